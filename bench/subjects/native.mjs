// SPDX-License-Identifier: MIT
// What the C program measures, as subjects that take turns with ours.
import { subject } from "../measure.mjs";
import { makeTrace, outputSum, TRACE } from "../workload.mjs";

const kilo = (count) => (count >= 1024 ? `${count / 1024}K` : String(count));

/**
 * @param spec.what the word after "run" of bench/native/main.c, which gets pages and pattern, or `words` in their place
 * @param spec.operations of one run, if not the whole trace
 */
export function nativeSubject(native, { id, label, what, words, pages, pattern, operations, unit = "translation", axes = {} }) {
  const ask = [what, ...(words ?? [pages, pattern, ...(operations === undefined ? [] : [operations])])].join(" ");
  return subject({
    id: `c/${id}`,
    label: `C: ${label}`,
    unit,
    axes: { native: true, ...axes },
    operations: operations ?? TRACE,
    run: () => native.run(ask),
    /** The accesses are the ones of this side, and every way of the C program gives the outputs that the tables say. */
    check: async () => {
      if (pages === undefined) return;
      const trace = makeTrace({ pages, pattern, streams: 4 });
      const theirs = await native.check(pages, pattern);
      if (theirs.trace !== trace.checksum || theirs.sum !== outputSum(trace, pages))
        throw new Error(`c/${id}: the C program translates something else`);
    },
  });
}

/** Entries of the hash-table TLB, bench/native/hash-tlb.c. */
const MOST_ENTRIES = 256;

export function nativeHits(native, { quick }) {
  return (quick ? [64, 1024] : [64, 1024, 65536]).flatMap((pages) => {
    const of = (id, label, what, kind) =>
      nativeSubject(native, { id: `${id}/${pages}`, label, what, pages, pattern: "rnd", ...(kind && { axes: { kind, pages } }) });
    const size = `${kilo(pages)} pages`;
    return [
      of("call", `hit, called, ${size}`, "call", "C limit"),
      of("inline", `hit, inlined, ${size}`, "inline"),
      of("dependent", `hit, latency, ${size}`, "dependent"),
      of("hash", `hash-table TLB of 256${pages > MOST_ENTRIES ? ": miss" : ""}, ${size}`, "hash-hit", "hash-table TLB"),
    ];
  });
}

export function nativeMisses(native) {
  return [
    { id: "miss/1024", label: "miss and refill, 1K pages", what: "miss" },
    { id: "walk/1024", label: "stage-1 walk, 4 loads", what: "walk" },
    { id: "nested-walk/1024", label: "nested walk, 24 loads", what: "nested-walk" },
    { id: "hash-miss/1024", label: "hash-table TLB of 256: miss, 1K pages", what: "hash-miss" },
  ].map((spec) => nativeSubject(native, { ...spec, pages: 1024, pattern: "seq" }));
}
