// SPDX-License-Identifier: MIT
/** CMD_PREFETCH_CONFIG and CMD_PREFETCH_ADDR where they are followed (IHI 0070 §4.2; choice prefetch). */
import { describe, expect, test } from "vitest";
import { abortSte, nestedSte, profiles, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/index.ts";
import { Machine, type MachineOptions } from "../commands/machine.ts";
import { commandNamed, encode } from "../commands/table.ts";
import { at } from "../registers/bench.ts";

const VA = 0x40_0000;
const PA = 0x5000_0000;
const PAGE = 0x1000;
const PAGES = 1024;

const taken: MachineOptions = { choices: { prefetch: "taken" } };

function machine(options: MachineOptions = taken, cd: Record<string, number> = {}): Machine {
  const made = new Machine(options);
  const table = made.pageTable();
  for (let i = 0; i < PAGES; i++) table.map(VA + i * PAGE, PA + i * PAGE, PAGE);
  made.streams.write(0, stage1Ste(made.place(stage1Cd({ ttb0: table }, { ASID: 5, ...cd }))));
  return made;
}

function prefetch(made: Machine, name: "CONFIG" | "ADDR", operands: Record<string, number>): void {
  const { Address, ...others } = operands;
  made.reads.length = 0;
  made.command(encode(commandNamed(`PREFETCH_${name}`), Address === undefined ? others : { ...others, Address: Address / PAGE }));
}

/** Pages of the stream, by number, that an access finds without reading anything. */
function held(made: Machine): number[] {
  const { tlb } = made.smmu.translation;
  return [...tlb.entries()].map(({ lo }) => (lo - VA) / PAGE).toSorted((a, b) => a - b);
}

describe("§4.2.1: CMD_PREFETCH_CONFIG", () => {
  test("fetches STE and CD: the next transaction reads tables only", () => {
    const made = machine();
    prefetch(made, "CONFIG", {});
    expect(made.reads).toEqual(expect.arrayContaining(["ste", "cd"]));
    expect(made.go(0, VA)).toBe(PA);
    expect(new Set(made.reads)).toEqual(new Set(["tt-s1"]));
  });

  test("with SSV, the CD of the SubstreamID, and no other", () => {
    const made = machine();
    const table = made.pageTable();
    table.map(VA, PA, PAGE);
    const cds = made.place(new Uint32Array(16 * 4), 4 * 64);
    for (const i of [1, 2]) made.bus.memory.storeWords(cds + 64 * i, stage1Cd({ ttb0: table }, { ASID: i }), 16);
    made.streams.write(1, stage1Ste(cds, { S1CDMax: 2 }));
    prefetch(made, "CONFIG", { StreamID: 1, SSV: 1, SubstreamID: 2 });
    expect(made.go(1, VA, { ssid: 2 })).toBe(PA);
    expect(made.reads).not.toContain("cd");
    expect(made.go(1, VA, { ssid: 1 })).toBe(PA);
    expect(made.reads).toContain("cd");
  });
});

describe("§4.2.2: CMD_PREFETCH_ADDR", () => {
  test("2^Size translations, 2^(12+Stride) bytes apart, wait in the TLB", () => {
    for (const { Size, Stride } of [
      { Size: 0, Stride: 0 },
      { Size: 2, Stride: 0 },
      { Size: 3, Stride: 2 },
    ]) {
      const made = machine();
      prefetch(made, "ADDR", { Address: VA + 3 * PAGE, Size, Stride });
      expect(held(made)).toEqual(Array.from({ length: 2 ** Size }, (_, n) => 3 + n * 2 ** Stride));
      expect(made.go(0, VA + 3 * PAGE)).toBe(PA + 3 * PAGE);
      expect(made.reads).toEqual([]);
    }
  });

  test("choice prefetch: v3.0 has no Stride", () => {
    const config = { ...profiles.tiny, sidSize: 8, twoLevelStreamTable: true };
    const made = machine({ ...taken, config });
    prefetch(made, "ADDR", { Address: VA, Size: 2, Stride: 3 });
    expect(held(made)).toEqual([0, 1, 2, 3]);
  });

  test("the largest Size ends in reasonable time: no more than 512 translations, or than the TLB holds", () => {
    const made = machine();
    prefetch(made, "ADDR", { Address: VA, Size: 31 });
    expect(held(made)).toEqual(Array.from({ length: 512 }, (_, n) => n));
    const small = machine({ ...taken, config: { caches: { ste: 4, cd: 4, tlb: 8, walk: 8, replacement: "round-robin" } } });
    prefetch(small, "ADDR", { Address: VA, Size: 31 });
    expect(held(small)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("a sequence that reaches the end of the address space ends there", () => {
    const made = machine();
    const top = encode(commandNamed("PREFETCH_ADDR"), { Size: 4 }).slice();
    top[2]! |= 0xffff_e000;
    top[3] = 0xffff_ffff;
    made.command(top);
    expect(made.events).toEqual([]);
    expect(held(made)).toEqual([]);
  });

  test("permissions do not matter, and nothing is passed on to the next access that it does not grant", () => {
    const made = new Machine(taken);
    const table = made.pageTable({ stage: 2, inputBits: 40 });
    table.map(VA, PA, PAGE, { ap: 0 });
    made.streams.write(0, stage2Ste(table, { S2R: 1 }));
    prefetch(made, "ADDR", { Address: VA });
    expect([...made.smmu.translation.tlb.entries()]).toHaveLength(1);
    expect(made.go(0, VA)).toBe(-0x13);
  });

  test("STE.DCP does not matter", () => {
    const made = machine();
    prefetch(made, "ADDR", { Address: VA });
    expect(held(made)).toEqual([0]);
  });
});

describe("§4.2: what goes wrong leaves no trace", () => {
  const wrong: readonly (readonly [string, (made: Machine) => Record<string, number>])[] = [
    ["a StreamID beyond the Stream table", () => ({ StreamID: 0x1_0000 })],
    ["an STE with V 0", () => ({ StreamID: 9 })],
    ["an STE that aborts", (made) => (made.streams.write(9, abortSte()), { StreamID: 9 })],
    ["a CD with V 0", (made) => (made.streams.write(9, stage1Ste(made.place(new Uint32Array(16)))), { StreamID: 9 })],
    [
      "a CD that stage 2 does not map",
      (made) => (made.streams.write(9, nestedSte(0x1000, made.pageTable({ stage: 2, inputBits: 40 }))), { StreamID: 9 }),
    ],
    ["SSV without substreams", () => ({ SSV: 1, SubstreamID: 1 })],
    ["an address that is not mapped", () => ({ Address: 0x1000_0000 })],
    ["an address beyond the input size", () => ({ Address: 2 ** 52 })],
  ];
  for (const name of ["CONFIG", "ADDR"] as const) {
    test.each(wrong)(`CMD_PREFETCH_${name}: %s`, (_, prepare) => {
      const made = machine(taken, { S: 1 });
      const operands = prepare(made);
      if (name === "CONFIG") delete operands["Address"];
      prefetch(made, name, { ...(name === "ADDR" ? { Address: VA } : {}), ...operands });
      expect(made.events).toEqual([]);
      expect(made.smmu.translation.stalls.held).toEqual([]);
      expect(made.smmu.read(at.GERROR, 4)).toBe(0);
      expect(held(made)).toEqual([]);
    });
  }

  test("with SMMUEN 0 nothing is fetched", () => {
    const made = machine();
    made.smmu.write(at.CR0, 4, 0xc);
    prefetch(made, "CONFIG", {});
    prefetch(made, "ADDR", { Address: VA });
    expect(made.reads.filter((kind) => kind !== "cmdq")).toEqual([]);
  });

  test("the default: neither is followed", () => {
    const made = machine({});
    prefetch(made, "CONFIG", {});
    prefetch(made, "ADDR", { Address: VA, Size: 3 });
    expect(made.reads.filter((kind) => kind !== "cmdq")).toEqual([]);
  });
});
