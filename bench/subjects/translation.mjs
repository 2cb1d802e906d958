// SPDX-License-Identifier: MIT
// Translations through the whole SMMU, one axis at a time.
import * as hw from "../../dist/hw/index.js";
import { EVENTS, makeMachine } from "../machine.mjs";
import { subject } from "../measure.mjs";
import { makeTrace, TRACE } from "../workload.mjs";

/** One pass over a trace. @returns the sum of the outputs, to be compared with the native side */
function pass(smmu, tx, { stream, hi, lo }, expected) {
  let sum = 0;
  for (let i = 0; i < stream.length; i++) {
    tx.streamId = stream[i];
    tx.addressHi = hi[i];
    tx.addressLo = lo[i] >>> 0;
    if (smmu.translate(tx) !== expected) throw new Error(`access ${i}: another outcome than ${expected}`);
    sum = (sum + tx.physicalLo) | 0;
  }
  return sum;
}

/** The same with a SubstreamID that follows from the page. */
function passWithSubstreams(smmu, tx, { stream, hi, lo }, substreams) {
  for (let i = 0; i < stream.length; i++) {
    tx.streamId = stream[i];
    tx.substreamId = (lo[i] >>> 14) & (substreams - 1);
    tx.addressHi = hi[i];
    tx.addressLo = lo[i] >>> 0;
    if (smmu.translate(tx) !== hw.Outcome.forward) throw new Error(`access ${i} was not forwarded`);
  }
}

/** As many faults as the Event queue takes, then software takes the records away. */
function passOfFaults(machine, tx, { stream, hi, lo }) {
  for (let i = 0; i < stream.length; i++) {
    if (i % EVENTS === 0) machine.queues.drain();
    tx.streamId = stream[i];
    tx.addressHi = hi[i];
    tx.addressLo = lo[i] >>> 0;
    if (machine.smmu.translate(tx) !== hw.Outcome.abort) throw new Error(`access ${i} did not fault`);
  }
}

/** Each pass over the pages begins with a guest's TLBI of all that is its own: stage 2 stays cached. */
function passAsGuest({ smmu, queues }, tx, { stream, hi, lo }) {
  const all = hw.buildCommand("CMD_TLBI_NH_ALL", { VMID: 1 });
  for (let i = 0; i < stream.length; i++) {
    if (i % 1024 === 0) {
      queues.put(all);
      queues.ring();
    }
    tx.streamId = stream[i];
    tx.addressHi = hi[i];
    tx.addressLo = lo[i] >>> 0;
    if (smmu.translate(tx) !== hw.Outcome.forward) throw new Error(`access ${i} was not forwarded`);
  }
}

/** Caches that hold all of it, with room. */
export const fitting = (pages, streams = 4) => ({
  tlb: Math.max(1024, 2 * pages),
  walk: 1024,
  ste: 2 * streams + 64,
  cd: 2 * streams + 64,
});
/** So few entries that a pass over more pages, in order, misses each time. */
export const TOO_FEW = { tlb: 256, walk: 256 };

const kilo = (count) => (count >= 1024 ? `${count / 1024}K` : String(count));
const PATTERNS = { seq: "sequential", rnd: "random", str: "strided" };

export function translationGroup(options) {
  const { id, label, axes, machine: spec, pattern = "rnd", expected = hw.Outcome.forward, run, comparable = false } = options;
  let made;
  const build = () => {
    const machine = makeMachine(spec);
    const trace = makeTrace({ pages: spec.pages, pattern, streams: spec.streams ?? 4, pageSize: machine.size });
    return { machine, trace, tx: new hw.Transaction() };
  };
  return subject({
    id,
    label,
    unit: "translation",
    settle: true,
    axes,
    operations: TRACE,
    prepare: () => (made ??= build()),
    run: () => {
      const { machine, trace, tx } = made;
      if (run === undefined) pass(machine.smmu, tx, trace, expected);
      else run(machine, tx, trace);
    },
    /** The same accesses and the same outputs here as there: relative to the data's start, which lies elsewhere there. */
    check: async (native) => {
      if (!comparable || native === undefined) return;
      const { machine, trace, tx } = made;
      const sum = (pass(machine.smmu, tx, trace, expected) - Math.imul(TRACE, machine.output | 0)) >>> 0;
      const theirs = await native.check(spec.pages, pattern);
      if (theirs.trace !== trace.checksum || theirs.sum !== sum) throw new Error(`${id}: the C program translates something else`);
    },
    dispose: () => (made = undefined),
  });
}

function hits({ quick }) {
  const groups = [];
  for (const pages of quick ? [64, 1024] : [64, 1024, 65536]) {
    for (const pattern of quick && pages === 64 ? ["rnd"] : ["seq", "rnd", "str"]) {
      groups.push(
        translationGroup({
          id: `hit/${pages}/${pattern}`,
          label: `TLB hit, ${kilo(pages)} pages, ${PATTERNS[pattern]}`,
          axes: { kind: "hit", pages, pattern },
          machine: { pages, caches: fitting(pages) },
          pattern,
          comparable: true,
        }),
      );
    }
  }
  groups.push(
    translationGroup({
      id: "nested-hit/1024/rnd",
      label: "TLB hit, nested, 1K pages, random",
      axes: { kind: "nested hit", pages: 1024, pattern: "rnd" },
      machine: { pages: 1024, kind: "nested", caches: fitting(1024) },
    }),
  );
  return groups;
}

function misses({ quick }) {
  const groups = [];
  const of = (kind, pages, pattern, caches, name, label) =>
    groups.push(
      translationGroup({
        id: `${name}/${pages}/${pattern}`,
        label: `${label}, ${kilo(pages)} pages, ${PATTERNS[pattern]}`,
        axes: { kind: name, pages, pattern },
        machine: { pages, kind, caches },
        pattern,
        comparable: true,
      }),
    );
  for (const pages of quick ? [1024] : [1024, 65536]) {
    for (const pattern of quick ? ["seq"] : ["seq", "rnd"]) {
      of("stage1", pages, pattern, TOO_FEW, "miss", "stage-1 miss");
      of("nested", pages, pattern, TOO_FEW, "nested-miss", "nested miss");
    }
  }
  groups.push(
    translationGroup({
      id: "guest-miss/1024/seq",
      label: "nested miss, stage 2 cached, 1K pages, sequential",
      axes: { kind: "guest-miss", pages: 1024, pattern: "seq" },
      machine: { pages: 1024, kind: "nested", caches: { tlb: 4096, walk: 1024 } },
      pattern: "seq",
      run: passAsGuest,
    }),
  );
  of("stage1", 1024, "seq", { tlb: 0, walk: 0 }, "walk", "no caches of translations, stage 1");
  of("nested", 1024, "seq", { tlb: 0, walk: 0 }, "nested-walk", "no caches of translations, nested");
  return groups;
}

function others() {
  const pages = 1024;
  const axes = (kind) => ({ kind, pages, pattern: "rnd" });
  return [
    translationGroup({
      id: "bypass",
      label: "STE bypass",
      axes: axes("bypass"),
      machine: { pages, kind: "bypass", caches: fitting(pages) },
    }),
    translationGroup({
      id: "abort",
      label: "STE abort",
      axes: axes("abort"),
      machine: { pages, kind: "abort", caches: fitting(pages) },
      expected: hw.Outcome.abort,
    }),
    translationGroup({
      id: "fault",
      label: "F_TRANSLATION, recorded",
      axes: axes("fault"),
      machine: { pages, mapped: false, caches: fitting(pages) },
      run: passOfFaults,
    }),
  ];
}

function streams({ quick }) {
  const pages = 4096;
  const groups = (quick ? [1, 64] : [1, 64, 4096]).map((count) =>
    translationGroup({
      id: `streams/${count}`,
      label: `TLB hit, 4K pages, ${count} stream${count === 1 ? "" : "s"}`,
      axes: { kind: "hit", streams: count, pages },
      machine: { pages, streams: count, caches: fitting(pages, count) },
    }),
  );
  const substreams = 16;
  groups.push(
    translationGroup({
      id: "substreams/16",
      label: "TLB hit, 4K pages, 4 streams of 16 SubstreamIDs",
      axes: { kind: "hit", substreams, pages },
      machine: { pages, substreams, caches: fitting(pages, 64) },
      run: ({ smmu }, tx, trace) => passWithSubstreams(smmu, tx, trace, substreams),
    }),
  );
  return groups;
}

const LEAVES = [
  { granule: 12, level: 3, name: "4K" },
  { granule: 12, level: 2, name: "2M" },
  { granule: 12, level: 1, name: "1G" },
  { granule: 14, level: 3, name: "16K" },
  { granule: 14, level: 2, name: "32M" },
  { granule: 16, level: 3, name: "64K" },
  { granule: 16, level: 2, name: "512M" },
];

function leaves({ quick }) {
  const pages = 64;
  return LEAVES.filter(({ level }) => !quick || level === 3).flatMap(({ granule, level, name }) =>
    [
      { kind: "leaf-hit", label: "TLB hit", caches: fitting(pages) },
      { kind: "leaf-walk", label: "no caches of translations", caches: { tlb: 0, walk: 0 } },
    ].map(({ kind, label, caches }) =>
      translationGroup({
        id: `${kind}/${name}`,
        label: `${label}, 64 leaves of ${name}`,
        axes: { kind, leaf: 2 ** (level === 3 ? granule : granule + (3 - level) * (granule - 3)), name },
        machine: { pages, granule, level, caches },
      }),
    ),
  );
}

export const translationGroups = { hits, misses, others, streams, leaves };
