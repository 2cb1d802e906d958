// SPDX-License-Identifier: MIT
/** From a SubstreamID to a CD: every table format and size, S1DSS, bounds, fetches and their faults (IHI 0070 §5.2, §5.3). */
import { describe, expect, test } from "vitest";
import { Outcome, Via } from "../../../../src/hw/smmuv3/transaction.ts";
import { bypassSte, l1cd, nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { Bench, RAM, RAM_SIZE } from "../translation/bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;

/** All bits of S1ContextPtr and L2Ptr that memory has: those below the alignment count as zero (choice s1contextptr-low-bits). */
const POINTER = RAM + RAM_SIZE - 64;
const LEAF = 0x6fff_f000;

interface Shape {
  readonly S1Fmt: number;
  readonly S1CDMax: number;
  readonly S1DSS: number;
  readonly ssidSize: number;
}

const aligned = (base: number, bytes: number): number => base - (base % bytes);

/** §5.2 S1Fmt, S1CDMax and S1DSS said a second time: the event, "no stage 1", or the addresses of what is fetched. */
function law(shape: Shape, ssid: number): string {
  const { S1Fmt, S1CDMax, S1DSS, ssidSize } = shape;
  const many = ssidSize !== 0 && S1CDMax !== 0;
  if (ssid >= 0 && (!many || ssid >= 2 ** S1CDMax)) return "C_BAD_SUBSTREAMID";
  if (!many) return `cd ${POINTER}`;
  if (ssid < 0 && S1DSS === 1) return "no stage 1";
  if (ssid < 0 ? S1DSS !== 2 : ssid === 0 && S1DSS === 2) return "F_STREAM_DISABLED";
  const index = Math.max(0, ssid);
  const leafBits = S1Fmt === 1 ? 6 : S1Fmt === 2 ? 10 : 0;
  if (leafBits === 0) return `cd ${aligned(POINTER, 64 * 2 ** S1CDMax) + 64 * index}`;
  const level1 = aligned(POINTER, Math.max(64, 8 * 2 ** (S1CDMax - leafBits))) + 8 * Math.floor(index / 2 ** leafBits);
  return `l1cd ${level1}, cd ${aligned(LEAF, 64 * 2 ** leafBits) + 64 * (index % 2 ** leafBits)}`;
}

describe("S1Fmt, S1CDMax and S1DSS in every value: what is fetched for a SubstreamID, or which event ends it", () => {
  for (const ssidSize of [0, 5, 20]) {
    for (const S1Fmt of [0, 1, 2, 3]) {
      test(`SSIDSIZE ${ssidSize}, S1Fmt ${S1Fmt}`, () => {
        const bench = new Bench({ ssidSize, caches: { ste: 0, cd: 0, tlb: 0, walk: 0, replacement: "round-robin" } });
        const wrong: string[] = [];
        for (let S1CDMax = 0; S1CDMax <= (ssidSize === 0 ? 31 : ssidSize); S1CDMax++) {
          for (const S1DSS of [0, 1, 2, 3]) {
            const shape = { S1Fmt, S1CDMax, S1DSS, ssidSize };
            bench.streams.write(0, stage1Ste(POINTER, { S1Fmt, S1CDMax, S1DSS }));
            const end = Math.min(2 ** S1CDMax, 2 ** 20 - 1);
            for (const ssid of new Set([-1, 0, 1, 2, 63, 64, 1023, 1024, end - 1, end, 2 ** 20 - 1])) {
              const expected = law(shape, ssid);
              const level1 = /^l1cd (\d+)/u.exec(expected)?.[1];
              if (level1 !== undefined) bench.write(Number(level1), l1cd(LEAF));
              bench.loads.length = 0;
              const { event, tx } = bench.go(VA, { ssid });
              const fetched = bench.loads
                .filter(({ kind }) => kind === "cd" || kind === "l1cd")
                .map(({ kind, address }) => `${kind} ${address}`);
              // The CDs are all zero.
              const got = fetched.length > 0 ? fetched.join(", ") : tx.via === Via.steBypass ? "no stage 1" : event?.name;
              if (fetched.length > 0) expect(event?.name).toBe("C_BAD_CD");
              if (event?.name === "C_BAD_SUBSTREAMID") expect(event.fields["SubstreamID"]).toBe(ssid);
              if (got !== expected) wrong.push(`S1CDMax ${S1CDMax}, S1DSS ${S1DSS}, SubstreamID ${ssid}: ${got}, not ${expected}`);
            }
          }
        }
        expect(wrong).toEqual([]);
      });
    }
  }
});

/** A table in which CD number i maps VA to PA + i pages. */
function substreams(bench: Bench, cdMax: number, format: 0 | 1 | 2, filled: readonly number[], ste: Record<string, number> = {}): CdTable {
  const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax, format });
  for (const index of filled) {
    const table = bench.pageTable(1);
    table.map(VA, PA + 0x1000 * index, 0x1000);
    cds.write(index, stage1Cd({ ttb0: table }, { ASID: index & 0xffff }));
  }
  bench.streams.write(0, stage1Ste(cds.base, { ...cds.fields, ...ste }));
  return cds;
}

describe("where stage 1 is skipped or off (§5.2 S1DSS)", () => {
  test("S1DSS 1 without SubstreamID skips stage 1: the transaction passes as with Config 0b100", () => {
    const bench = new Bench();
    substreams(bench, 2, 0, [0], { S1DSS: 1 });
    expect(bench.go(VA).tx.via).toBe(Via.steBypass);
  });

  test("S1DSS 1 in a nested STE leaves stage 2", () => {
    const bench = new Bench();
    const s2 = bench.pageTable(2, 12, { inputBits: 40 });
    s2.map(VA, PA, 0x1000);
    bench.streams.write(0, nestedSte(0, s2, { S1CDMax: 2, S1DSS: 1 }));
    const { physical, tx } = bench.go(VA);
    expect(physical).toBe(PA);
    expect(tx.via).toBe(Via.stage2);
  });

  test("a SubstreamID without stage 1 is C_BAD_SUBSTREAMID: bypass and stage 2 only", () => {
    const bench = new Bench();
    const s2 = bench.pageTable(2, 12, { inputBits: 40 });
    s2.map(VA, PA, 0x1000);
    bench.streams.write(0, bypassSte());
    bench.streams.write(1, stage2Ste(s2));
    expect(bench.result(VA, { ssid: 1 })).toBe("C_BAD_SUBSTREAMID");
    expect(bench.result(VA, { sid: 1, ssid: 1 })).toBe("C_BAD_SUBSTREAMID");
  });
});

describe("CD tables", () => {
  for (const [format, cdMax, indexes] of [
    [0, 1, [0, 1]],
    [0, 7, [0, 1, 127]],
    [1, 3, [0, 7]],
    [1, 6, [0, 63]],
    [1, 8, [0, 63, 64, 255]],
    [2, 5, [0, 31]],
    [2, 10, [0, 1023]],
    [2, 12, [0, 1023, 1024, 4095]],
  ] as const) {
    for (const index of indexes) {
      test(`S1Fmt ${format}, S1CDMax ${cdMax}: SubstreamID ${index}`, () => {
        const bench = new Bench();
        substreams(bench, cdMax, format, [index]);
        expect(bench.result(VA + 8, { ssid: index })).toBe(PA + 0x1000 * index + 8);
      });
    }
  }

  test("L1CD.V 0 is C_BAD_SUBSTREAMID with the index", () => {
    const bench = new Bench();
    substreams(bench, 8, 1, [0]);
    const { event } = bench.go(VA, { ssid: 0x41 });
    expect(event?.name).toBe("C_BAD_SUBSTREAMID");
    expect(event?.fields["SubstreamID"]).toBe(0x41);
  });

  test("L1CD.V 0 without a SubstreamID (S1DSS 2) records SubstreamID 0", () => {
    const bench = new Bench();
    substreams(bench, 8, 1, [0x41], { S1DSS: 2 });
    const { event } = bench.go(VA);
    expect(event?.name).toBe("C_BAD_SUBSTREAMID");
    expect(event?.fields["SubstreamID"]).toBe(0);
  });

  test("L1CD.L2Ptr beyond the output address size is C_BAD_SUBSTREAMID", () => {
    const bench = new Bench({ oas: 40, vax: 48 });
    const cds = substreams(bench, 8, 1, [0]);
    bench.write(cds.level1Address(0x40), l1cd(2 ** 40));
    expect(bench.result(VA, { ssid: 0x40 })).toBe("C_BAD_SUBSTREAMID");
  });

  for (const [what, format] of [
    ["CD", 0],
    ["L1CD", 1],
  ] as const) {
    test(`an external abort on the ${what} is F_CD_FETCH with its address`, () => {
      const bench = new Bench();
      const cds = substreams(bench, 8, format, [0x45]);
      const at = format === 0 ? cds.cdAddress(0x45) : cds.level1Address(0x45);
      bench.abortAt(at);
      const { outcome, event } = bench.go(VA, { ssid: 0x45 });
      expect(outcome).toBe(Outcome.abort);
      expect(event?.name).toBe("F_CD_FETCH");
      expect(event?.fields).toMatchObject({ SSV: 1, SubstreamID: 0x45, FetchAddr: at });
    });
  }
});
