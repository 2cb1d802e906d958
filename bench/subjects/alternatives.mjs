// SPDX-License-Identifier: MIT
// What other ways to write the same would cost: a direct-mapped TLB, a walk of four loads and a switch between tasks, each
// bare and by several means. docs/performance.md gives the ratios to the first of each kind.
import { subject } from "../measure.mjs";
import { makeTrace, scatter, TRACE, VA_BASE } from "../workload.mjs";

const PAGES = 1024;
const LINES = 4096;
const trace = makeTrace({ pages: PAGES, pattern: "rnd", streams: 4 });
const page = (i) => trace.hi[i] * 2 ** 20 + (trace.lo[i] >>> 12);
const physicalOf = (address) => scatter((address - VA_BASE) / 4096, PAGES) * 4096;
const pagesInUse = Array.from({ length: PAGES }, (_, index) => VA_BASE + index * 4096);

/** @param base the first of its kind */
function alternative(id, label, base, run) {
  return subject({ id: `alternative/${id}`, label, base: `alternative/${base}`, unit: "operation", operations: TRACE, run });
}

/** Each gives a lookup of an access by its number: what it returns is summed up. */
const LOOKUPS = {
  halves: () => {
    const lines = new Int32Array(4 * LINES);
    for (const address of pagesInUse) {
      const at = 4 * ((address / 4096) % LINES);
      lines[at] = address | 0;
      lines[at + 1] = Math.floor(address / 2 ** 32);
      lines[at + 2] = physicalOf(address);
    }
    const { hi, lo } = trace;
    return (i) => {
      const at = 4 * ((lo[i] >>> 12) & (LINES - 1));
      if (lines[at] !== (lo[i] & ~0xfff) || lines[at + 1] !== hi[i]) return -1;
      return lines[at + 2] | (lo[i] & 0xfff);
    };
  },
  object: () => {
    const find = LOOKUPS.halves();
    return (i) => ({ outcome: 0, physical: find(i), rights: 3 }).physical;
  },
  double: () => {
    const tags = new Float64Array(LINES);
    const outputs = new Float64Array(LINES);
    for (const address of pagesInUse) {
      tags[(address / 4096) % LINES] = address;
      outputs[(address / 4096) % LINES] = physicalOf(address);
    }
    const { hi, lo } = trace;
    return (i) => {
      const at = (lo[i] >>> 12) & (LINES - 1);
      return tags[at] === hi[i] * 2 ** 32 + ((lo[i] & ~0xfff) >>> 0) ? outputs[at] + (lo[i] & 0xfff) : -1;
    };
  },
  mapOfNumbers: () => {
    const map = new Map(pagesInUse.map((address) => [address / 4096, { physical: physicalOf(address) }]));
    return (i) => map.get(page(i)).physical | (trace.lo[i] & 0xfff);
  },
  mapOfStrings: () => {
    const map = new Map(pagesInUse.map((address) => [`${address / 4096}:1`, { physical: physicalOf(address) }]));
    return (i) => map.get(`${page(i)}:1`).physical | (trace.lo[i] & 0xfff);
  },
  bigint: () => {
    const tags = new BigUint64Array(LINES);
    const outputs = new BigUint64Array(LINES);
    const addresses = new BigUint64Array(TRACE);
    for (let i = 0; i < TRACE; i++) addresses[i] = BigInt(trace.hi[i] * 2 ** 32 + (trace.lo[i] >>> 0));
    for (const address of pagesInUse) {
      tags[(address / 4096) % LINES] = BigInt(address);
      outputs[(address / 4096) % LINES] = BigInt(physicalOf(address));
    }
    return (i) => {
      const address = addresses[i];
      const at = Number((address >> 12n) & BigInt(LINES - 1));
      return tags[at] === (address & ~0xfffn) ? Number(outputs[at] | (address & 0xfffn)) : -1;
    };
  },
};

const LOOKUP_LABELS = {
  halves: "lookup: two halves in one Int32Array",
  object: "lookup: the result as a fresh object",
  double: "lookup: addresses as doubles",
  mapOfNumbers: "lookup: Map by number",
  mapOfStrings: "lookup: Map by string",
  bigint: "lookup: BigInt and BigUint64Array",
};

function lookups() {
  return Object.entries(LOOKUPS).map(([id, make]) => {
    const find = make();
    // A function of its own for each, as each would have where it is the only one.
    const pass = new Function("find", "count", "let sum = 0; for (let i = 0; i < count; i++) sum = (sum + find(i)) | 0; return sum;");
    const expected = id === "halves" ? undefined : pass(LOOKUPS.halves(), TRACE);
    return alternative(id, LOOKUP_LABELS[id], "halves", () => {
      const sum = pass(find, TRACE);
      if (expected !== undefined && sum !== expected) throw new Error(`${id} finds something else`);
    });
  });
}

const TABLES = 0x20_0000;

/** Page tables in a flat buffer. @returns its words and the address of the first table */
function flatTables() {
  const buffer = new ArrayBuffer(TABLES);
  const words = new Int32Array(buffer);
  let next = 4096;
  const take = () => (next += 4096) - 4096;
  const top = take();
  for (const address of pagesInUse) {
    let table = top;
    for (const shift of [39, 30, 21]) {
      const at = (table >>> 2) + 2 * (Math.floor(address / 2 ** shift) & 511);
      if (words[at] === 0) words[at] = take() | 3;
      table = words[at] & ~0xfff;
    }
    words[(table >>> 2) + 2 * ((address / 4096) & 511)] = physicalOf(address) | 0x403;
  }
  return { buffer, words, top };
}

function walks() {
  const { buffer, words, top } = flatTables();
  const view = new DataView(buffer);
  const chunks = new Map(Array.from({ length: TABLES >>> 16 }, (_, index) => [index, words.subarray(index << 14, (index + 1) << 14)]));
  const loads = {
    "walk-flat": ["walk: words of one Int32Array", (address) => words[address >>> 2]],
    "walk-dataview": ["walk: DataView", (address) => view.getInt32(address, true)],
    "walk-bigint": ["walk: DataView.getBigUint64", (address) => Number(view.getBigUint64(address, true) & 0xffff_ffffn) | 0],
    "walk-chunks": ["walk: Map of chunks", (address) => chunks.get(address >>> 16)[(address & 0xffff) >>> 2]],
  };
  const body = `let sum = 0;
    for (let i = 0; i < count; i++) {
      const h = hi[i], l = lo[i];
      let entry = load(top + 8 * ((h >>> 7) & 511));
      entry = load((entry & ~0xfff) + 8 * (((h << 2) | (l >>> 30)) & 511));
      entry = load((entry & ~0xfff) + 8 * ((l >>> 21) & 511));
      entry = load((entry & ~0xfff) + 8 * ((l >>> 12) & 511));
      sum = (sum + (entry & ~0xfff)) | 0;
    }
    return sum;`;
  return Object.entries(loads).map(([id, [label, load]]) => {
    const pass = new Function("load", "hi", "lo", "top", "count", body);
    const expected = (sum, i) => (sum + physicalOf(page(i) * 4096)) | 0;
    const right = Array.from({ length: TRACE }, (_, i) => i).reduce(expected, 0);
    return alternative(id, label, "walk-flat", () => {
      if (pass(load, trace.hi, trace.lo, top, TRACE) !== right) throw new Error(`${id} finds something else`);
    });
  });
}

const SWITCHES = 16384;

function* flat(count) {
  for (let i = 0; i < count; i++) yield i;
}

function* inner() {
  yield 1;
}

function* middle() {
  yield* inner();
}

function* deep(count) {
  for (let i = 0; i < count; i++) yield* middle();
}

async function waits(count) {
  for (let i = 0; i < count; i++) await undefined;
}

async function waitsDeep(count) {
  const last = async () => await undefined;
  const call = async () => await last();
  for (let i = 0; i < count; i++) await call();
}

function switches() {
  const drive = (make) => () => {
    const ring = Array.from({ length: 4 }, () => make(SWITCHES / 4));
    for (let left = 4, turn = 0; left > 0; turn++) if (ring[turn & 3].next().done) left--;
  };
  const together = (body) => () => Promise.all(Array.from({ length: 4 }, () => body(SWITCHES / 4))).then(() => undefined);
  const of = (id, label, run) => ({ ...alternative(id, label, "generator", run), operations: SWITCHES });
  return [
    of("generator", "switch: generator", drive(flat)),
    of("generator-deep", "switch: generators three calls deep", drive(deep)),
    of("async", "switch: async function", together(waits)),
    of("async-deep", "switch: async functions three calls deep", together(waitsDeep)),
  ];
}

export function alternatives() {
  return [...lookups(), ...walks(), ...switches()];
}
