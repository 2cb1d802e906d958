// SPDX-License-Identifier: MIT
/**
 * Random VMSAv9-128 tables walked twice: by the SMMU, and by the rules of DDI 0487 D8.2.11 in 128-bit arithmetic, written down
 * here once more without anything of the model.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";
import { RW, table128, words128 } from "./d128.ts";

const BASE = 0x5000_0000;
const SIZE = 0x100_0000;
const OUTPUT = 48n;

interface Case {
  readonly granule: 12 | 14 | 16;
  readonly bits: number;
  readonly skip: number;
  readonly base: number;
}

interface Walk {
  readonly result: number | string;
  /** Where a descriptor was read. */
  readonly places: readonly number[];
}

/** Reads 16 bytes; undefined where there is no memory. */
type Read = (address: bigint) => bigint | undefined;

function walk({ granule, bits, skip, base }: Case, ia: bigint, read: Read): Walk {
  const g = BigInt(granule);
  const stride = g - 4n;
  const size = BigInt(bits);
  const places: number[] = [];
  if (ia >> size !== 0n) return { result: "F_TRANSLATION", places };
  const regular = 3n - (size - 1n - g) / stride;
  let level = regular + BigInt(skip);
  // Bits resolved at the start level: all that later levels do not resolve.
  let width = size - g - (3n - level) * stride;
  const align = (address: bigint, low: bigint): bigint => (address >> low) << low;
  let table = align(BigInt(base), width + 4n);
  for (;;) {
    const low = g + (3n - level) * stride;
    const at = table + (((ia >> low) & ((1n << width) - 1n)) << 4n);
    if (at >> OUTPUT !== 0n) return { result: "F_ADDR_SIZE", places };
    places.push(Number(at));
    const descriptor = read(at);
    if (descriptor === undefined) return { result: "F_WALK_EABT", places };
    const skl = (descriptor >> 109n) & 3n;
    const last = level + skl;
    if ((descriptor & 1n) === 0n || last > 3n) return { result: "F_TRANSLATION", places };
    // Tables and blocks of three levels' size exist with 4 KiB granules alone.
    if (skl === 3n && granule !== 12) return { result: "F_TRANSLATION", places };
    const address = align(descriptor & ((1n << 56n) - 1n), 12n);
    if (last === 3n) {
      const output = align(address, low) | (ia & ((1n << low) - 1n));
      if (output >> OUTPUT !== 0n) return { result: "F_ADDR_SIZE", places };
      return { result: (descriptor & 0x400n) === 0n ? "F_ACCESS" : Number(output), places };
    }
    width = (skl + 1n) * stride;
    table = align(address, width + 4n);
    level = last + 1n;
    if (table >> OUTPUT !== 0n) return { result: "F_ADDR_SIZE", places };
  }
}

/** A descriptor that is worth following: mostly valid, mostly pointing into the memory of tables. */
const descriptor = fc
  .record({
    valid: fc.constantFrom(1n, 1n, 1n, 1n, 1n, 1n, 0n),
    af: fc.constantFrom(0x400n, 0x400n, 0x400n, 0n),
    skl: fc.constantFrom(0n, 0n, 0n, 1n, 1n, 2n, 3n),
    near: fc.constantFrom(true, true, true, true, false),
    page: fc.nat({ max: SIZE / 4096 - 1 }),
    far: fc.bigInt({ min: 0n, max: (1n << 44n) - 1n }),
  })
  .map(({ valid, af, skl, near, page, far }) => valid | af | (skl << 109n) | (near ? BigInt(BASE + 4096 * page) : far << 12n));

const shape = fc
  .record({
    granule: fc.constantFrom(12, 14, 16) as fc.Arbitrary<12 | 14 | 16>,
    bits: fc.integer({ min: 20, max: 52 }),
    skip: fc.nat({ max: 3 }),
  })
  .filter(({ granule, bits, skip }) => 3 - Math.floor((bits - 1 - granule) / (granule - 4)) + skip <= 3);

for (const stage of [1, 2] as const) {
  describe(`stage ${stage}`, () => {
    test("results and places of descriptors are those of the rules", () => {
      fc.assert(
        fc.property(
          shape,
          fc.array(descriptor, { minLength: 5, maxLength: 40 }),
          fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
          (chosen, pool, seeds) => {
            const bench = new Bench({ stt: true, caches: { ste: 8, cd: 8, tlb: 0, walk: 0, replacement: "round-robin" } });
            // Every 16 bytes of the region hold a descriptor of the pool.
            const read: Read = (address) =>
              address < BigInt(BASE) || address >= BigInt(BASE + SIZE) ? undefined : pool[Number((address >> 4n) % BigInt(pool.length))]!;
            const some = { ...chosen, base: BASE };
            const { granule, bits, skip } = chosen;
            bench.onLoad = (kind, address) => {
              if (!kind.startsWith("tt-")) return;
              const found = read(BigInt(address));
              if (found !== undefined) bench.write(address, words128(found));
              else if (address >= 0x4000_0000 && address < 0x8000_0000) bench.abortAt(address, 16);
            };
            const txsz = 64 - bits;
            const tg = { 12: 0, 14: 2, 16: 1 }[granule];
            const any = table128(bench, stage, 12, { inputBits: 20 });
            bench.s2pii[0] = RW;
            if (stage === 1) {
              const cd = stage1Cd({ ttb0: any }, { T0SZ: txsz, TG0: tg, SKL0: skip, TTB0: BASE, IPS: 5 });
              bench.streams.write(0, stage1Ste(bench.placeCd(cd), { S1PIE: 1 }));
            } else bench.streams.write(0, stage2Ste(any, { S2T0SZ: txsz, S2TG: tg, S2SKL: skip, S2TTB: BASE, S2PS: 5 }));
            for (const seed of seeds) {
              const ia = (BigInt(seed) * 0x9e37_79b9_7f4a_7c15n) & ((1n << BigInt(bits)) - 1n) & ~0xfffn;
              const due = walk(some, ia, read);
              bench.loads.length = 0;
              expect(bench.result(Number(ia))).toBe(due.result);
              expect(bench.loads.filter(({ kind }) => kind.startsWith("tt-")).map(({ address }) => address)).toEqual(due.places);
            }
          },
        ),
        { numRuns: 150, seed: 128 },
      );
    });
  });
}
