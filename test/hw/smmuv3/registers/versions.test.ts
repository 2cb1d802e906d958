// SPDX-License-Identifier: MIT
/** What the register interface does differently from one minor version to the next; docs/conformance.md has the whole list. */
import { describe, expect, test } from "vitest";
import { type SmmuConfig, profiles } from "../../../../src/hw/index.ts";
import { Bench, CMDQEN, GERROR_IRQEN, SMMUEN, at, command } from "./bench.ts";

type Version = SmmuConfig["version"];
const UPDATE = 0x8000_0000;
const ABORT = 1 << 20;

function part(version: Version, earlyMistakes: "ignored" | "taken"): Bench {
  return new Bench({ ...profiles.max, version, oas: version === 0 ? 48 : 52 }, { earlyMistakes });
}

/** The same mistakes on every version: from v3.2 on they are ignored, whatever is chosen for earlier ones. */
const strict: readonly (readonly [Version, "ignored" | "taken"])[] = [
  [0, "ignored"],
  [1, "ignored"],
  [2, "ignored"],
  [2, "taken"],
  [3, "taken"],
  [4, "taken"],
];
const lax: readonly (readonly [Version, "taken"])[] = [
  [0, "taken"],
  [1, "taken"],
];

describe.each(strict)("v3.%i, mistakes of v3.0 and v3.1 are %s: writes that software must not make are ignored", (version, choice) => {
  test("IHI 0070 §6.3.24, §6.3.26, §6.3.12, §6.3.11: guarded registers keep their values", () => {
    const bench = part(version, choice);
    bench.enable(SMMUEN | CMDQEN);
    bench.w32(at.STRTAB_BASE_CFG, 5);
    bench.w32(at.CR2, 2);
    bench.w32(at.CR1, 0xd75);
    bench.w64(at.CMDQ_BASE, 0x4000_0005, 0);
    expect([at.STRTAB_BASE_CFG, at.CR2, at.CR1, at.CMDQ_BASE].map((offset) => bench.r32(offset))).toEqual([0, 0, 0, 0]);
    // CR1 has two guards.
    expect(bench.lint).toEqual(["guarded-write", "guarded-write", "guarded-write", "guarded-write", "guarded-write"]);
  });

  test("IHI 0070 §6.3.21: so do interrupt configuration registers", () => {
    const bench = part(version, choice);
    bench.enableInterrupts(GERROR_IRQEN);
    bench.w32(at.GERROR_IRQ_CFG1, 7);
    expect(bench.r32(at.GERROR_IRQ_CFG1)).toBe(0);
  });

  test("IHI 0070 §6.3.14.1: GBPA without Update, and GBPA during an Update", () => {
    const bench = part(version, choice);
    bench.w32(at.GBPA, ABORT);
    expect(bench.r32(at.GBPA)).toBe(0x1000);
    bench.w32(at.GBPA, UPDATE | ABORT);
    bench.w32(at.GBPA, UPDATE | 0x2000);
    bench.settle();
    expect(bench.r32(at.GBPA)).toBe(ABORT);
    expect(bench.side.registers.gbpa()).toBe(ABORT);
  });

  test("IHI 0070 §6.3.9: a field in transition finishes with the first value", () => {
    const bench = part(version, choice);
    bench.w32(at.CR0, SMMUEN);
    bench.w32(at.CR0, 0);
    bench.settle();
    expect([bench.r32(at.CR0), bench.r32(at.CR0ACK)]).toEqual([SMMUEN, SMMUEN]);
  });
});

describe.each(lax)("v3.%i, mistakes are %s", (version, choice) => {
  test("IHI 0070 §6.3.24, §6.3.26, §6.3.12: a guarded register may take the value; the lint message stays", () => {
    const bench = part(version, choice);
    bench.enable(SMMUEN | CMDQEN);
    bench.w32(at.STRTAB_BASE_CFG, 5);
    bench.w32(at.CR2, 2);
    bench.w32(at.CMDQ_BASE, 0x4000_0005);
    expect([at.STRTAB_BASE_CFG, at.CR2, at.CMDQ_BASE].map((offset) => bench.r32(offset))).toEqual([5, 2, 0x4000_0005]);
    expect(bench.lint).toEqual(["guarded-write", "guarded-write", "guarded-write"]);
  });

  test("IHI 0070 §6.3.14.1: GBPA without Update is stored and does not act", () => {
    const bench = part(version, choice);
    bench.w32(at.GBPA, ABORT);
    bench.settle();
    expect(bench.r32(at.GBPA)).toBe(ABORT);
    expect(bench.side.registers.gbpa()).toBe(0x1000);
    expect(bench.lint).toEqual(["gbpa-without-update"]);
  });

  test("IHI 0070 §6.3.14.1: a second write during an Update is taken too, and Update clears in the end", () => {
    const bench = part(version, choice);
    bench.w32(at.GBPA, UPDATE | ABORT);
    bench.w32(at.GBPA, UPDATE | 0x2000);
    bench.settle();
    expect(bench.r32(at.GBPA)).toBe(0x2000);
    expect(bench.side.registers.gbpa()).toBe(0x2000);
  });

  test("IHI 0070 §6.3.9: a field changed again before its acknowledge ends with the second value, acknowledged", () => {
    const bench = part(version, choice);
    bench.w32(at.CR0, SMMUEN);
    bench.w32(at.CR0, 0);
    bench.settle();
    expect([bench.r32(at.CR0), bench.r32(at.CR0ACK)]).toEqual([0, 0]);
    expect(bench.side.registers.smmuEnabled()).toBe(false);
  });

  test("IHI 0070 §6.2: read-only registers and bits that do not exist stay what they are", () => {
    const bench = part(version, choice);
    const idr0 = bench.r32(at.IDR0);
    bench.enable(SMMUEN);
    bench.w32(at.IDR0, 0);
    bench.w32(at.CR1, 0xffff_ffff);
    expect(bench.r32(at.IDR0)).toBe(idr0);
    expect(bench.r32(at.CR1)).toBe(0xfff);
  });
});

describe("IHI 0070 §4.1.6: physical and intermediate addresses in commands have 48 bits in v3.0, 52 up to v3.3, then 56", () => {
  const cases: readonly (readonly [Version, high: number])[] = [
    [0, 0x0000_1234],
    [1, 0x000a_1234],
    [3, 0x000a_1234],
    [4, 0x00fa_1234],
  ];

  test.each(cases)("v3.%i: CMD_TLBI_S2_IPA, bits above are ignored", (version, high) => {
    const bench = part(version, "ignored");
    bench.startCommands(3);
    bench.submit([0x2a, 7, 0x5000, 0x00fa_1234]);
    bench.settle();
    expect(bench.cacheCalls).toHaveLength(1);
    expect(bench.cacheCalls[0]).toContain(`"hi":${high},`);
  });

  test.each(cases)("v3.%i: CMD_SYNC's MSIAddress; 0 without the bits above sends nothing", (version, high) => {
    const bench = part(version, "ignored");
    bench.startCommands(3);
    bench.submit(command.sync(1, 9, 0x00fa_0000 * 2 ** 32));
    bench.settle();
    const sent = bench.accesses.filter((access) => access.startsWith("msi"));
    expect(sent).toHaveLength((high & 0x00ff_0000) === 0 ? 0 : 1);
    expect(bench.pulses).toEqual(["cmdq-sync"]);
  });
});
