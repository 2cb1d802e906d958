// SPDX-License-Identifier: MIT
/** Structures and commands shown to somebody: every rule that they break, not only the first (IHI 0070 §4.1.3, §5.2.2, §5.4.2). */
import { describe, expect, test } from "vitest";
import { HostMisuseError } from "../../../../src/hw/errors.ts";
import { profiles, type SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { judgeCd, judgeCommand, judgeSte, type Objection } from "../../../../src/hw/smmuv3/tables/judge.ts";
import { abortSte, buildCommand, buildSte, bypassSte, stage1Cd, stage1Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";

const { max, qemu, tiny } = profiles;

const brief = (objections: readonly Objection[]): string[] => objections.map(({ id, section }) => `${id} ${section}`);

describe("STEs", () => {
  test("a legal one has no objection", () => expect(judgeSte(stage1Ste(0x4000_0000), max)).toEqual([]));
  test("V 0: that alone, whatever else there is", () => {
    expect(brief(judgeSte(buildSte({ V: 0, Config: 6, S2TG: 3 }), max))).toEqual(["V 5.2.2"]);
  });
  test("Config 0b0xx: legal whatever else there is", () => {
    expect(judgeSte(abortSte({ STRW: 3, S1CDMax: 31, S2TG: 3 }), max)).toEqual([]);
  });
  test("bypass: what is IGNORED is no objection", () => expect(judgeSte(bypassSte({ STRW: 3, S1CDMax: 31, S2TG: 3 }), max)).toEqual([]));
  test("every rule that is broken, in the order of §5.2.2", () => {
    const ste = stage1Ste(2 ** 48, { STRW: 1, S1CDMax: 31, S2VMID: 0x100 });
    expect(brief(judgeSte(ste, { ...max, oas: 48, vmid16: false }))).toEqual(["STRW 5.2.2", "S1CDMax 5.2.2", "S1ContextPtr 5.2.2"]);
  });
  test("a stage that is not implemented", () => {
    expect(brief(judgeSte(buildSte({ V: 1, Config: 6 }), tiny))[0]).toBe("S2P 5.2.2");
  });
  test("a reserved granule: start level and base are judged as far as they can be", () => {
    const ste = buildSte({ V: 1, Config: 6, S2AA64: 1, S2TG: 3, S2T0SZ: 24, S2SL0: 1, S2PS: 5, S2TTB: 0x4000_0000 });
    expect(brief(judgeSte(ste, max))).toEqual(["S2TG 5.2.2", "S2SL0 5.2.2"]);
  });
  test("words are missing: misuse", () => expect(() => judgeSte(new Uint32Array(15), max)).toThrow(HostMisuseError));
});

describe("CDs", () => {
  const ste = stage1Ste(0x4000_0000);
  test("a legal one has no objection", () => expect(judgeCd(stage1Cd({}), ste, max)).toEqual([]));
  test("V 0: that alone", () => expect(brief(judgeCd(new Uint32Array(16), ste, max))).toEqual(["V 5.4.2"]));
  test("every rule that is broken, in the order of §5.4.2", () => {
    const cd = stage1Cd({}, { EPD0: 0, AA64: 0, T0SZ: 50, TG0: 3, TTB0: 2 ** 50 });
    expect(brief(judgeCd(cd, ste, { ...max, oas: 48, d128: false }))).toEqual(["AA64=0 5.4.2", "T0SZ 5.4.2", "TG0 5.4.2", "TTB0 5.4.2"]);
  });
  test("an ASID of 16 bits is judged by the StreamWorld of the STE", () => {
    const cd = stage1Cd({}, { ASID: 0x100, T0SZ: 25 });
    expect(brief(judgeCd(cd, ste, { ...max, asid16: false }))).toEqual(["ASID 5.4.2"]);
    expect(judgeCd(cd, stage1Ste(0x4000_0000, { STRW: 2 }), { ...max, asid16: false })).toEqual([]);
  });
  test("words are missing in either: misuse", () => {
    expect(() => judgeCd(new Uint32Array(15), ste, max)).toThrow(HostMisuseError);
    expect(() => judgeCd(stage1Cd({}), new Uint32Array(8), max)).toThrow(HostMisuseError);
  });
});

describe("commands of the Non-secure queue", () => {
  const judged = (name: string, fields: Record<string, number>, config = max): string[] =>
    brief(judgeCommand(buildCommand(name, fields), config));
  test("what is implemented and well-formed has no objection", () => {
    expect(judged("CMD_CFGI_STE", { StreamID: 3, Leaf: 1 })).toEqual([]);
    expect(judged("CMD_SYNC", { CS: 2 })).toEqual([]);
    expect(judged("CMD_TLBI_NH_VA", { TG: 1, NUM: 3, SCALE: 1, TTL: 2 })).toEqual([]);
  });
  test("a reserved opcode", () => expect(brief(judgeCommand(Uint32Array.of(0xff, 0, 0, 0), max))).toEqual(["Opcode 4.1.3"]));
  test("a command of a feature that is absent", () => {
    expect(judgeCommand(buildCommand("CMD_TLBI_S12_VMALL", { VMID: 1 }), tiny)).toMatchObject([
      { id: "Opcode", text: "needs stage2, which this SMMU has not got" },
    ]);
  });
  test("SSec 1", () => expect(judged("CMD_CFGI_STE", { SSec: 1 }).map((text) => text.split(" ")[0])).toEqual(["SSec"]));
  test("CMD_SYNC with the reserved CS", () => expect(judged("CMD_SYNC", { CS: 3 }).map((text) => text.split(" ")[0])).toEqual(["CS"]));
  test("CMD_PRI_RESP with the reserved Resp, and on top of the feature where that is absent", () => {
    const ids = (config: SmmuConfig): (string | undefined)[] =>
      judged("CMD_PRI_RESP", { Resp: 3 }, config).map((text) => text.split(" ")[0]);
    expect(ids(max)).toEqual(["Resp"]);
    expect(ids(tiny)).toEqual(["Opcode", "Resp"]);
  });
  test("TG set and nothing else of a range (§4.4.1.1), where ranges are implemented", () => {
    expect(judged("CMD_TLBI_NH_VA", { TG: 1 })).toEqual(["TG 4.4.1.1"]);
    expect(judged("CMD_TLBI_NH_VA", { TG: 1 }, { ...qemu, ril: false })).toEqual([]);
  });
  test("words are missing: misuse", () => expect(() => judgeCommand(Uint32Array.of(3), max)).toThrow(HostMisuseError));
});
