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

/** Addresses and answers as numbers, one by one. */
function passOfNumbers({ smmu }, tx, { stream, hi, lo }) {
  let sum = 0;
  for (let i = 0; i < stream.length; i++) {
    tx.setAddress(hi[i] * 2 ** 32 + (lo[i] >>> 0));
    if (smmu.translate(tx) !== hw.Outcome.forward) throw new Error(`access ${i} was not forwarded`);
    sum += tx.physical;
  }
  return sum;
}

const BATCH = 256;

/** Addresses of one stream in batches, which are filled and read here, too. */
function passOfBatches({ smmu }, batch, { hi, lo }) {
  let sum = 0;
  for (let from = 0; from < hi.length; from += BATCH) {
    for (let i = 0; i < BATCH; i++) {
      batch.addressHi[i] = hi[from + i];
      batch.addressLo[i] = lo[from + i];
    }
    if (smmu.translateBatch(batch) !== BATCH) throw new Error(`batch at ${from}: not all was forwarded`);
    for (let i = 0; i < BATCH; i++) sum += batch.physical[i];
  }
  return sum;
}

function newBatch() {
  const batch = new hw.TranslationBatch(BATCH);
  batch.streamId = 0;
  batch.count = BATCH;
  return batch;
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
  const { id, label, base, axes, machine: spec, pattern = "rnd", expected = hw.Outcome.forward, run, comparable = false } = options;
  const newInput = options.input ?? (() => new hw.Transaction());
  let made;
  const build = () => {
    const machine = makeMachine(spec);
    const trace = makeTrace({ pages: spec.pages, pattern, streams: spec.streams ?? 4, pageSize: machine.size });
    return { machine, trace, tx: newInput() };
  };
  return subject({
    id,
    label,
    base,
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

/** The hit that every multiple is one of. A group has one of its own: ratios are of what took turns. */
const HIT = "hit/1024/rnd";
const referenceOf = (group) => `reference/${group}`;

export function reference(group) {
  return translationGroup({
    id: referenceOf(group),
    label: "reference: TLB hit, 1K pages, random",
    axes: { kind: "reference" },
    machine: { pages: 1024, caches: fitting(1024) },
    comparable: true,
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
          base: HIT,
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
      base: HIT,
      axes: { kind: "nested hit", pages: 1024, pattern: "rnd" },
      machine: { pages: 1024, kind: "nested", caches: fitting(1024) },
    }),
  );
  return [...groups, ...waysToAsk()];
}

/** The same hits of one stream, asked in the ways that an embedding program has. */
function waysToAsk() {
  return [
    { id: "halves", label: "one by one, in halves" },
    { id: "numbers", label: "one by one, as numbers", run: passOfNumbers },
    { id: "batch", label: `in batches of ${BATCH}`, run: passOfBatches, input: newBatch },
  ].map(({ id, label, run, input }) =>
    translationGroup({
      id: `ask/${id}`,
      label: `${label}, 1K pages, random`,
      base: HIT,
      axes: { kind: "ask", way: id },
      machine: { pages: 1024, streams: 1, caches: fitting(1024) },
      run,
      input,
    }),
  );
}

function misses({ quick }) {
  const base = referenceOf("misses");
  const groups = [reference("misses")];
  const of = (kind, pages, pattern, caches, name, label) =>
    groups.push(
      translationGroup({
        id: `${name}/${pages}/${pattern}`,
        label: `${label}, ${kilo(pages)} pages, ${PATTERNS[pattern]}`,
        base,
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
      label: "nested, stage 2 cached, 1K, sequential",
      base,
      axes: { kind: "guest-miss", pages: 1024, pattern: "seq" },
      machine: { pages: 1024, kind: "nested", caches: { tlb: 4096, walk: 1024 } },
      pattern: "seq",
      run: passAsGuest,
    }),
  );
  of("stage1", 1024, "seq", { tlb: 0, walk: 0 }, "walk", "no caches, stage 1");
  of("nested", 1024, "seq", { tlb: 0, walk: 0 }, "nested-walk", "no caches, nested");
  return groups;
}

function others() {
  const pages = 1024;
  const axes = (kind) => ({ kind, pages, pattern: "rnd" });
  const base = referenceOf("others");
  return [
    reference("others"),
    translationGroup({
      id: "bypass",
      label: "STE bypass",
      base,
      axes: axes("bypass"),
      machine: { pages, kind: "bypass", caches: fitting(pages) },
    }),
    translationGroup({
      id: "abort",
      label: "STE abort",
      base,
      axes: axes("abort"),
      machine: { pages, kind: "abort", caches: fitting(pages) },
      expected: hw.Outcome.abort,
    }),
    translationGroup({
      id: "fault",
      label: "F_TRANSLATION, recorded",
      base,
      axes: axes("fault"),
      machine: { pages, mapped: false, caches: fitting(pages) },
      run: passOfFaults,
    }),
  ];
}

function streams({ quick }) {
  const pages = 4096;
  const base = referenceOf("streams");
  const groups = (quick ? [1, 64] : [1, 64, 4096]).map((count) =>
    translationGroup({
      id: `streams/${count}`,
      label: `TLB hit, ${count} stream${count === 1 ? "" : "s"}, 4K pages`,
      base,
      axes: { kind: "hit", streams: count, pages },
      machine: { pages, streams: count, caches: fitting(pages, count) },
    }),
  );
  const substreams = 16;
  groups.push(
    translationGroup({
      id: "substreams/16",
      label: "TLB hit, 4 streams of 16 SubstreamIDs",
      base,
      axes: { kind: "hit", substreams, pages },
      machine: { pages, substreams, caches: fitting(pages, 64) },
      run: ({ smmu }, tx, trace) => passWithSubstreams(smmu, tx, trace, substreams),
    }),
  );
  return [reference("streams"), ...groups];
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
  const measured = LEAVES.filter(({ level }) => !quick || level === 3).flatMap(({ granule, level, name }) =>
    [
      { kind: "leaf-hit", label: "TLB hit", caches: fitting(pages) },
      { kind: "leaf-walk", label: "no caches", caches: { tlb: 0, walk: 0 } },
    ].map(({ kind, label, caches }) =>
      translationGroup({
        id: `${kind}/${name}`,
        label: `${label}, 64 leaves of ${name}`,
        base: referenceOf("leaves"),
        axes: { kind, leaf: 2 ** (level === 3 ? granule : granule + (3 - level) * (granule - 3)), name },
        machine: { pages, granule, level, caches },
      }),
    ),
  );
  return [reference("leaves"), ...measured];
}

export const translationGroups = { hits, misses, others, streams, leaves };
