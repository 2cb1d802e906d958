// SPDX-License-Identifier: MIT
/**
 * Two things wrong at a time: the one that IHI 0070 §7.3.22 has first is reported. A transaction of a stream with 2-level Stream
 * table, 2-level CD table and both stages meets 61 places where something may be wrong; each pair of them is tried.
 */
import { describe, expect, test } from "vitest";
import { Outcome } from "../../../../src/hw/smmuv3/transaction.ts";
import { TableArena } from "../../../../src/hw/smmuv3/tables/memory.ts";
import { PageTable } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { nestedSte, stage1Cd } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "../translation/bench.ts";

const SID = 0x41;
const SSID = 0x42;
const VA = 0x12_3456_7000;
/** The guest's IPA = PA - SHIFT. */
const SHIFT = 0x1000_0000;
const GUEST = 0x7000_0000;
const DATA = 0x6800_0000;

const bench = new Bench({ caches: { ste: 0, cd: 0, tlb: 0, walk: 0, replacement: "round-robin" } }, { log2Size: 8, split: 6 });
const guest = new TableArena(GUEST - SHIFT, 0x40_0000);
const { memory } = bench.bus;
const s1 = new PageTable({
  memory: {
    read32: (ipa: number): number => memory.read32(ipa + SHIFT),
    write32: (ipa: number, value: number): void => memory.write32(ipa + SHIFT, value),
  },
  arena: guest,
  stage: 1,
  granule: 12,
});
s1.map(VA, DATA, 0x1000);
const cds = new CdTable({
  memory: { read32: (ipa) => memory.read32(ipa + SHIFT), write32: (ipa, value) => memory.write32(ipa + SHIFT, value) },
  arena: guest,
  cdMax: 7,
  format: 1,
});
// 44 bits of output in both stages, so that descriptors can hold addresses beyond.
const cd = cds.write(SSID, stage1Cd({ ttb0: s1 }, { IPS: 4 }));
const l1cd = cds.level1Address(SSID);
const s2 = bench.pageTable(2, 12, { inputBits: 40 });
s2.map(GUEST - SHIFT, GUEST, 0x40_0000);
s2.map(DATA, DATA + SHIFT, 0x1000);
const ste = bench.streams.write(SID, nestedSte(cds.base, s2, { ...cds.fields, S1DSS: 0, S2PS: 4 }));
const l1std = bench.streams.level1Address(SID);

/** What a transaction is to carry, if something about it is wrong. */
interface Request {
  ssid: number;
  va: number;
}

/** Something wrong: how it comes about, and the event that tells of it. */
interface Wrong {
  readonly name: string;
  readonly event: string;
  readonly fields?: Readonly<Record<string, number>>;
  /** Brings it about. @returns what mends it */
  make(request: Request): () => void;
}

/** Bits of a word cleared and set. */
function bits(at: number, clear: number, set: number): Wrong["make"] {
  return () => {
    const before = memory.read32(at);
    memory.write32(at, ((before & ~clear) | set) >>> 0);
    return () => memory.write32(at, before);
  };
}

function abort(at: number, size: number): Wrong["make"] {
  return () => bench.abortAt(at, size);
}

/** A register, or a part of the request, changed for one transaction. */
function once(change: (request: Request) => void, back: () => void = () => {}): Wrong["make"] {
  return (request) => {
    change(request);
    return back;
  };
}

const page = (address: number): number => address - (address % 0x1000);

/** §7.3.22, nested walk, 2 and 5: what stage 2 may find about one intermediate address. */
function stage2(what: string, ipa: number, CLASS: number): readonly Wrong[] {
  const at = s2.entryAddress(ipa, 3);
  const fields = { S2: 1, CLASS, IPA: page(ipa) };
  return [
    { name: `${what}: abort on its stage-2 descriptor`, event: "F_WALK_EABT", fields: { S2: 1, CLASS, FetchAddr: at }, make: abort(at, 8) },
    { name: `${what}: not mapped at stage 2`, event: "F_TRANSLATION", fields, make: bits(at, 1, 0) },
    { name: `${what}: stage-2 output too large`, event: "F_ADDR_SIZE", fields, make: bits(at + 4, 0, 1 << 14) },
    { name: `${what}: stage-2 Access flag 0`, event: "F_ACCESS", fields, make: bits(at, 1 << 10, 0) },
    { name: `${what}: not readable at stage 2`, event: "F_PERMISSION", fields, make: bits(at, 3 << 6, 0) },
  ];
}

/** §7.3.22, nested walk, 2 to 4: one level of stage 1. */
function level(number: number): readonly Wrong[] {
  const ipa = s1.entryAddress(VA, number);
  const at = ipa + SHIFT;
  const what = `level ${number} of stage 1`;
  const fields = { S2: 0, CLASS: 2 };
  return [
    ...stage2(what, ipa, 1),
    { name: `${what}: abort`, event: "F_WALK_EABT", fields: { S2: 0, CLASS: 1, FetchAddr: at }, make: abort(at, 8) },
    { name: `${what}: not mapped`, event: "F_TRANSLATION", fields, make: bits(at, 1, 0) },
    { name: `${what}: output too large`, event: "F_ADDR_SIZE", fields: { S2: 0 }, make: bits(at + 4, 0, 1 << 14) },
  ];
}

const leaf = s1.entryAddress(VA, 3) + SHIFT;
const { strtabBaseCfg } = bench;
/** In the order of §7.3.22. */
const ORDER: readonly Wrong[] = [
  {
    name: "StreamID out of range",
    event: "C_BAD_STREAMID",
    make: once(
      () => (bench.strtabBaseCfg = strtabBaseCfg - 2),
      () => (bench.strtabBaseCfg = strtabBaseCfg),
    ),
  },
  { name: "abort on the L1STD", event: "F_STE_FETCH", fields: { FetchAddr: l1std }, make: abort(l1std, 8) },
  { name: "Span 0", event: "C_BAD_STREAMID", make: bits(l1std, 31, 0) },
  { name: "abort on the STE", event: "F_STE_FETCH", fields: { FetchAddr: ste }, make: abort(ste, 64) },
  { name: "ILLEGAL STE", event: "C_BAD_STE", make: bits(ste + 0x14, 0, 3 << 14) },
  {
    name: "SubstreamID out of range",
    event: "C_BAD_SUBSTREAMID",
    fields: { SubstreamID: 128 },
    make: once((request) => (request.ssid = 128)),
  },
  { name: "no SubstreamID where one is asked for", event: "F_STREAM_DISABLED", make: once((request) => (request.ssid = -1)) },
  ...stage2("L1CD", l1cd, 0),
  { name: "abort on the L1CD", event: "F_CD_FETCH", fields: { FetchAddr: l1cd + SHIFT }, make: abort(l1cd + SHIFT, 8) },
  { name: "L1CD not valid", event: "C_BAD_SUBSTREAMID", fields: { SubstreamID: SSID }, make: bits(l1cd + SHIFT, 1, 0) },
  ...stage2("CD", cd, 0),
  { name: "abort on the CD", event: "F_CD_FETCH", fields: { FetchAddr: cd + SHIFT }, make: abort(cd + SHIFT, 64) },
  { name: "ILLEGAL CD", event: "C_BAD_CD", make: bits(cd + SHIFT + 4, 1 << 9, 0) },
  {
    name: "address beyond T0SZ",
    event: "F_TRANSLATION",
    fields: { S2: 0, CLASS: 2 },
    make: once((request) => (request.va = VA + 2 ** 48)),
  },
  ...[0, 1, 2, 3].flatMap(level),
  { name: "Access flag 0", event: "F_ACCESS", fields: { S2: 0, CLASS: 2 }, make: bits(leaf, 1 << 10, 0) },
  { name: "privileged only", event: "F_PERMISSION", fields: { S2: 0, CLASS: 2 }, make: bits(leaf, 1 << 6, 0) },
  ...stage2("output of stage 1", DATA, 2),
];

/** What becomes of a read with all of this wrong. */
function report(wrongs: readonly Wrong[]): { readonly name: string | undefined; readonly fields: Readonly<Record<string, number>> } {
  const request = { ssid: SSID, va: VA };
  // The earliest is made last: of two that want the same word or part of the request otherwise, it has its way.
  const mends = wrongs.toReversed().map(({ make }) => make(request));
  const { event, outcome } = bench.go(request.va, { sid: SID, ssid: request.ssid });
  for (const mend of mends.toReversed()) mend();
  return { name: outcome === Outcome.forward ? "forward" : event?.name, fields: event?.fields ?? {} };
}

/** @param later what else is wrong */
function differs(first: Wrong, later: readonly Wrong[] = []): string[] {
  const { name, event, fields = {} } = first;
  const got = report([first, ...later]);
  const same = got.name === event && Object.entries(fields).every(([key, value]) => got.fields[key] === value);
  return same ? [] : [`${name} and ${later.map((wrong) => wrong.name).join()}: ${got.name} ${JSON.stringify(got.fields)}`];
}

test("nothing wrong: the read passes", () => expect(report([]).name).toBe("forward"));

describe("IHI 0070 §7.3.22: before everything that comes later", () => {
  for (const [index, first] of ORDER.entries()) {
    test(`${first.name}: ${first.event}`, () => {
      expect(differs(first)).toEqual([]);
      expect(ORDER.slice(index + 1).flatMap((second) => differs(first, [second]))).toEqual([]);
    });
  }
  test("all of them at once, from each on", () => {
    const found = ORDER.flatMap((first, index) => differs(first, ORDER.slice(index + 1)));
    expect(found).toEqual([]);
    expect(ORDER).toHaveLength(61);
  });
});

test("IHI 0070 §5.2 Config: an STE that aborts is silent, whatever comes later", () => {
  const quiet = bits(ste, 0b1110, 0)({ ssid: SSID, va: VA });
  const after = ORDER.findIndex(({ name }) => name === "ILLEGAL STE");
  for (const wrong of ORDER.slice(after)) expect(report([wrong])).toEqual({ name: undefined, fields: {} });
  quiet();
});
