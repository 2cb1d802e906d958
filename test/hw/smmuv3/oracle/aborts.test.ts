// SPDX-License-Identifier: MIT
/**
 * An external abort at every read of every shape of translation (IHI 0070 §7.3.4, §7.3.10, §7.3.12): which event, which address, which
 * CLASS, which stage. What is read, and in which order, is counted from the shape.
 */
import { describe, expect, test } from "vitest";
import { profiles } from "../../../../src/hw/index.ts";
import { pow2 } from "./bits.ts";
import { cachesOf } from "./configs.ts";
import { Draw } from "./draw.ts";
import { featuresOf, type Granule } from "./features.ts";
import { encode, type CdValues, type SteValues } from "./legal.ts";
import { type Fetch, Machine } from "./machine.ts";
import { stage1Walk, stage2Walk } from "./stages.ts";
import { CD_FIELDS, decodeCd, decodeSte, STE_FIELDS } from "./structures.ts";
import { Arena, plant, type Stage } from "./tables.ts";
import { shiftOf } from "./walk.ts";

/** A walk: granule, bits of input address, and the level where it begins. */
interface WalkShape {
  readonly granule: Granule;
  readonly inputBits: number;
  readonly start: number;
  /** Level of the leaf of the client's address. */
  readonly leaf: 2 | 3;
}

interface Shape {
  readonly streams: "linear" | "two-level";
  readonly contexts: "one" | "linear" | "64-CD leaves" | "1024-CD leaves";
  readonly stage1: WalkShape | undefined;
  readonly stage2: WalkShape | undefined;
}

const STAGE1: readonly WalkShape[] = [
  { granule: 12, inputBits: 48, start: 0, leaf: 3 },
  { granule: 12, inputBits: 39, start: 1, leaf: 2 },
  { granule: 12, inputBits: 30, start: 2, leaf: 3 },
  { granule: 14, inputBits: 48, start: 0, leaf: 3 },
  { granule: 14, inputBits: 47, start: 1, leaf: 2 },
  { granule: 14, inputBits: 36, start: 2, leaf: 3 },
  { granule: 16, inputBits: 52, start: 1, leaf: 3 },
  { granule: 16, inputBits: 42, start: 2, leaf: 2 },
  { granule: 16, inputBits: 29, start: 3, leaf: 3 },
];
const STAGE2: readonly WalkShape[] = [
  { granule: 12, inputBits: 48, start: 0, leaf: 3 },
  { granule: 12, inputBits: 42, start: 1, leaf: 3 },
  { granule: 12, inputBits: 33, start: 2, leaf: 2 },
  { granule: 14, inputBits: 47, start: 1, leaf: 3 },
  { granule: 14, inputBits: 40, start: 2, leaf: 2 },
  { granule: 16, inputBits: 50, start: 1, leaf: 3 },
  { granule: 16, inputBits: 42, start: 2, leaf: 3 },
  { granule: 16, inputBits: 33, start: 3, leaf: 3 },
];
const STREAMS: readonly Shape["streams"][] = ["linear", "two-level"];
const CONTEXTS: readonly Shape["contexts"][] = ["one", "linear", "64-CD leaves", "1024-CD leaves"];

const SID = 0x45;
const SSID = 0x541;
const VA = 0x1234_5678n;

/** Nothing is random here. */
const PLAIN = new Draw(new Uint32Array(0));

function s2Fields({ granule, inputBits, start }: WalkShape): SteValues {
  return {
    S2TG: granule === 12 ? 0n : granule === 14 ? 2n : 1n,
    S2T0SZ: BigInt(64 - inputBits),
    S2SL0: BigInt(granule === 12 ? 2 - start : 3 - start),
    S2AA64: 1n,
    S2PS: 6n,
  };
}

/** Writes what the shape needs. @returns the machine, ready for the transaction */
function build(shape: Shape): Machine {
  const machine = new Machine({ ...profiles.max, timing: { commandNs: 0, updateNs: 0 }, caches: cachesOf(0) });
  const f = featuresOf(machine.registers());
  const arena = new Arena(machine.bus.memory, machine.highBase);
  const ste: SteValues = { V: 1n, Config: 4n + (shape.stage1 ? 1n : 0n) + (shape.stage2 ? 2n : 0n), SHCFG: 1n };
  let second: Stage | undefined;
  if (shape.stage2 !== undefined) {
    Object.assign(ste, s2Fields(shape.stage2), { S2TTB: arena.take(pow2(20), false) >> 4n });
    const walk = stage2Walk(decodeSte(encode(STE_FIELDS, ste)), f);
    const takeTable = (bytes: bigint): bigint => arena.take(bytes, walk.granule === 16);
    second = { kind: "tt-s2", walk, arena, f, draw: PLAIN, toPhysical: (address) => address, takeTable, tableBits: () => 0n };
  }
  // AF, readable, writable, Normal.
  const leaf2 = 0x4fcn;
  const toPhysical = (address: bigint): bigint => {
    if (second !== undefined) plant(second, address, { bits: leaf2, output: address });
    return address;
  };
  let input = VA;
  if (shape.stage1 !== undefined) {
    const cd: CdValues = { V: 1n, AA64: 1n, IPS: 6n, EPD1: 1n, MAIR: 0xffn, T0SZ: BigInt(64 - shape.stage1.inputBits) };
    cd.TG0 = shape.stage1.granule === 12 ? 0n : shape.stage1.granule === 14 ? 2n : 1n;
    cd.TTB0 = arena.take(pow2(16), false) >> 4n;
    const walk = stage1Walk(decodeCd(encode(CD_FIELDS, cd)), 0, f);
    const takeTable = (bytes: bigint): bigint => arena.take(bytes, false);
    const stage: Stage = { kind: "tt-s1", walk, arena, f, draw: blocksAt(shape.stage1), toPhysical, takeTable, tableBits: () => 0n };
    const size = pow2(shiftOf(shape.stage1.granule, shape.stage1.leaf));
    input = plant(stage, VA, { bits: 0x440n, output: 0x4000_0000n - (0x4000_0000n % size) + (VA % size) })!;
    placeCd(shape, ste, arena, toPhysical, encode(CD_FIELDS, cd));
  }
  if (second !== undefined) plant({ ...second, draw: blocksAt(shape.stage2!) }, input, { bits: leaf2, output: undefined });
  placeSte(shape, machine, arena, encode(STE_FIELDS, ste));
  return machine;
}

/** Draws that choose a block at level 2 if the shape has one. */
function blocksAt({ leaf }: WalkShape): Draw {
  const draw = new Draw(new Uint32Array(0));
  let asked = 0;
  draw.oneIn = (): boolean => leaf === 2 && ++asked > 0;
  return draw;
}

function placeCd(shape: Shape, ste: SteValues, arena: Arena, toPhysical: (address: bigint) => bigint, cd: bigint): void {
  const linear = shape.contexts === "one" || shape.contexts === "linear";
  const table = arena.take(pow2(17), false);
  ste.S1ContextPtr = table >> 6n;
  if (shape.contexts !== "one") ste.S1CDMax = 11n;
  if (linear) {
    arena.put("cd", toPhysical(table + (shape.contexts === "one" ? 0n : 64n * BigInt(SSID))), 64, cd);
    return;
  }
  const leafBits = shape.contexts === "64-CD leaves" ? 6 : 10;
  ste.S1Fmt = leafBits === 6 ? 1n : 2n;
  const leaf = arena.take(pow2(16), false);
  arena.put("l1cd", toPhysical(table + 8n * BigInt(SSID >> leafBits)), 8, leaf | 1n);
  arena.put("cd", toPhysical(leaf + 64n * BigInt(SSID % 2 ** leafBits)), 64, cd);
}

function placeSte(shape: Shape, machine: Machine, arena: Arena, ste: bigint): void {
  const base = arena.take(pow2(14), true);
  let cfg = 8;
  if (shape.streams === "linear") {
    arena.put("ste", base + 64n * BigInt(SID), 64, ste);
  } else {
    cfg |= (1 << 16) | (6 << 6);
    const leaf = arena.take(pow2(12), true);
    arena.put("l1std", base + 8n * BigInt(SID >> 6), 8, leaf | 7n);
    arena.put("ste", leaf + 64n * BigInt(SID & 63), 64, ste);
  }
  machine.start({ strtabBase: base, strtabBaseCfg: cfg, cr2: 0, gbpa: 0x1000, s2pii: 0n, enabled: true });
}

const incoming = (shape: Shape) => ({
  streamId: SID,
  substreamId: shape.contexts === "one" || shape.stage1 === undefined ? undefined : SSID,
  address: VA,
  write: false,
  instruction: false,
  privileged: true,
});

/** The reads of a shape in order, by kind: every address of stage 1's owner costs a walk of stage 2 first. */
function expectedKinds({ streams, contexts, stage1, stage2 }: Shape): string[] {
  const levels = (walk: WalkShape | undefined): number => (walk === undefined ? 0 : 4 - walk.start);
  const whole = Array.from({ length: levels(stage2) }, () => "tt-s2");
  const client = stage2 === undefined ? [] : whole.slice(3 - stage2.leaf);
  const kinds = streams === "linear" ? ["ste"] : ["l1std", "ste"];
  if (stage1 !== undefined) {
    if (contexts === "64-CD leaves" || contexts === "1024-CD leaves") kinds.push(...whole, "l1cd");
    kinds.push(...whole, "cd");
    for (let level = stage1.start; level <= stage1.leaf; level++) kinds.push(...whole, "tt-s1");
  }
  return [...kinds, ...client];
}

/** The record of an abort at read `n`, by §7.3. */
function expectedRecord(shape: Shape, fetches: readonly Fetch[], n: number): number[] {
  const { kind, address } = fetches[n]!;
  const { substreamId } = incoming(shape);
  const ssid = substreamId === undefined ? 0 : (substreamId << 12) | (1 << 11);
  const pnu = 1 << 1;
  const rnw = 1 << 3;
  const s2 = 1 << 7;
  const at = [address % 2 ** 32, Math.floor(address / 2 ** 32)];
  const walk = [Number(VA & 0xffff_ffffn), Number(VA >> 32n)];
  if (kind === "ste" || kind === "l1std") return [0x03 | ssid, SID, 0, 0, 0, 0, ...at];
  if (kind === "cd" || kind === "l1cd") return [0x09 | ssid, SID, 0, 0, 0, 0, ...at];
  if (kind === "tt-s1") return [0x0b | ssid, SID, 0, pnu | rnw | (1 << 8), ...walk, ...at];
  // Stage 2: CLASS says what its result was for, which is what is read next.
  const next = fetches.slice(n).find((fetch) => fetch.kind !== "tt-s2")?.kind;
  const CLASS = next === "cd" || next === "l1cd" ? 0 : next === "tt-s1" ? 1 : 2;
  return [0x0b | ssid, SID, 0, pnu | rnw | s2 | (CLASS << 8), ...walk, ...at];
}

/** @returns how many reads there were */
function every(shape: Shape): number {
  const machine = build(shape);
  expect(machine.answer(incoming(shape)).outcome).toBe("forward");
  const fetches = [...machine.fetches];
  expect(fetches.map(({ kind }) => kind)).toEqual(expectedKinds(shape));
  fetches.forEach((_, n) => {
    machine.abortAt = n + 1;
    // CD.A, CD.R and STE.S2R are 0: they do not count here (§3.12).
    const verdict = machine.answer(incoming(shape));
    expect([n, verdict.outcome, verdict.record]).toEqual([n, "abort", expectedRecord(shape, fetches, n)]);
    expect(machine.fetches.length).toBe(n + 1);
  });
  return fetches.length;
}

const name = (walk: WalkShape): string => `${2 ** (walk.granule - 10)}KB from level ${walk.start} to ${walk.leaf}`;

describe("an abort at each read", () => {
  for (const streams of STREAMS) {
    test(`bypass, ${streams} Stream table`, () => {
      expect(every({ streams, contexts: "one", stage1: undefined, stage2: undefined })).toBe(streams === "linear" ? 1 : 2);
    });
    for (const contexts of CONTEXTS) {
      test(`${streams} Stream table, ${contexts} CD table, stage 1 and both stages`, () => {
        for (const stage2 of [undefined, ...STAGE2]) expect(every({ streams, contexts, stage1: STAGE1[0], stage2 })).toBeGreaterThan(5);
      });
    }
  }
  for (const stage2 of STAGE2) {
    test(`stage 2, ${name(stage2)}, alone and under every stage 1`, () => {
      for (const stage1 of [undefined, ...STAGE1]) expect(every({ streams: "linear", contexts: "one", stage1, stage2 })).toBeGreaterThan(1);
    });
  }
  test("stage 1 alone", () => {
    for (const stage1 of STAGE1)
      expect(every({ streams: "linear", contexts: "one", stage1, stage2: undefined })).toBe(7 - stage1.start - (3 - stage1.leaf) - 1);
  });
});
