// SPDX-License-Identifier: MIT
// What an invalidation costs by how many translations are cached. The caches are filled again between samples; only the
// commands count, from the write of the index register to their completion.
import * as hw from "../../dist/hw/index.js";
import { makeMachine } from "../machine.mjs";
import { subject, watch } from "../measure.mjs";
import { VA_BASE } from "../workload.mjs";
import { nativeSubject } from "./native.mjs";

const STREAMS = 256;
const VMIDS = 16;
const kilo = (count) => (count >= 0x10_0000 ? `${count / 0x10_0000}M` : `${count / 1024}K`);

/** 256 streams, each with its ASID, share `entries` translations evenly. */
class Filled {
  constructor(entries) {
    this.pages = entries / STREAMS;
    const caches = { tlb: entries, walk: 1024, ste: 512, cd: 512 };
    this.machine = makeMachine({ pages: this.pages, streams: STREAMS, vmids: VMIDS, caches });
    this.tx = new hw.Transaction();
    for (let stream = 0; stream < STREAMS; stream++) this.fill(stream);
  }

  fill(stream, from = 0, to = this.pages) {
    const { tx } = this;
    tx.streamId = stream;
    for (let page = from; page < to; page++) {
      tx.setAddress(VA_BASE + page * 4096);
      if (this.machine.smmu.translate(tx) !== hw.Outcome.forward) throw new Error(`stream ${stream}, page ${page}: not forwarded`);
    }
  }

  /** @returns nanoseconds of these commands */
  command(commands) {
    const { queues } = this.machine;
    for (const words of commands) queues.put(words);
    const read = watch();
    queues.ring();
    return read();
  }
}

const vmidOf = (stream) => 1 + (stream % VMIDS);

/** Each kind: commands for some streams, and what they drop. */
const KINDS = {
  asid: {
    label: "TLBI by ASID",
    words: (stream) => hw.buildCommand("CMD_TLBI_NH_ASID", { VMID: vmidOf(stream), ASID: 1 + stream }),
    refill: (filled, streams) => streams.forEach((stream) => filled.fill(stream)),
    count: (entries) => (entries > 0x1_0000 ? 64 : STREAMS),
  },
  vmid: {
    label: "TLBI by VMID",
    words: (stream) => hw.buildCommand("CMD_TLBI_S12_VMALL", { VMID: vmidOf(stream) }),
    refill: (filled, streams) => {
      for (let stream = 0; stream < STREAMS; stream++) if (streams.some((one) => vmidOf(one) === vmidOf(stream))) filled.fill(stream);
    },
    count: (entries) => (entries > 0x1_0000 ? 4 : VMIDS),
  },
  va: {
    label: "TLBI by VA",
    words: (stream) => hw.buildCommand("CMD_TLBI_NH_VA", { VMID: vmidOf(stream), ASID: 1 + stream, Leaf: 1, Address: VA_BASE }),
    refill: (filled, streams) => streams.forEach((stream) => filled.fill(stream, 0, 1)),
    count: () => STREAMS,
  },
  range: {
    label: "TLBI of a range, 64 pages",
    // (NUM + 1) * 2^SCALE granules, or all that there are of them.
    words: (stream) =>
      hw.buildCommand("CMD_TLBI_NH_VA", { VMID: vmidOf(stream), ASID: 1 + stream, Leaf: 1, Address: VA_BASE, TG: 1, NUM: 31, SCALE: 1 }),
    refill: (filled, streams) => streams.forEach((stream) => filled.fill(stream, 0, Math.min(64, filled.pages))),
    count: () => STREAMS,
  },
  all: {
    label: "TLBI of everything",
    words: () => hw.buildCommand("CMD_TLBI_NSNH_ALL"),
    refill: (filled) => {
      for (let stream = 0; stream < STREAMS; stream++) filled.fill(stream);
    },
    count: () => 1,
  },
  ste: {
    label: "CFGI_STE",
    words: (stream) => hw.buildCommand("CMD_CFGI_STE", { StreamID: stream, Leaf: 1 }),
    refill: (filled, streams) => streams.forEach((stream) => filled.fill(stream, 0, 1)),
    count: () => STREAMS,
  },
  cfgall: {
    label: "CFGI_ALL, 256 streams",
    words: () => hw.buildCommand("CMD_CFGI_STE_RANGE", { Range: 31 }),
    refill: (filled) => {
      for (let stream = 0; stream < STREAMS; stream++) filled.fill(stream, 0, 1);
    },
    count: () => 1,
  },
};

/** Passes of one sample: as many commands as can be had without filling the caches for seconds. */
const passesFor = (entries, kind) => (entries <= 1024 ? (kind === "all" || kind === "cfgall" ? 64 : 40) : entries <= 0x1_0000 ? 4 : 1);

function invalidation(filled, entries, kind) {
  const { label, words, refill, count } = KINDS[kind];
  const streams = Array.from({ length: count(entries) }, (_, stream) => stream);
  const commands = streams.map(words);
  const passes = passesFor(entries, kind);
  return subject({
    id: `tlbi/${kind}/${entries}`,
    label: `${label}, ${kilo(entries)} cached`,
    unit: "command",
    axes: { kind: `tlbi ${kind}`, entries },
    operations: passes * commands.length,
    warmRuns: entries > 0x1_0000 ? 1 : 3,
    rounds: entries > 0x1_0000 ? 5 : undefined,
    run: () => {
      let spent = 0;
      for (let pass = 0; pass < passes; pass++) {
        const cache = filled();
        spent += cache.command(commands);
        refill(cache, streams);
      }
      return spent;
    },
  });
}

export function maintenance({ quick }, native) {
  const subjects = [];
  for (const entries of quick ? [1024, 0x1_0000] : [1024, 0x1_0000, 0x10_0000]) {
    let made;
    const filled = () => (made ??= new Filled(entries));
    for (const kind of Object.keys(KINDS)) {
      if (quick && !["asid", "va"].includes(kind)) continue;
      subjects.push({ ...invalidation(filled, entries, kind), prepare: filled, dispose: () => (made = undefined) });
    }
  }
  // Uncapped there: a table as large as our TLB, which no emulator lets it become.
  if (native !== undefined) {
    for (const [what, name] of [
      ["asid", "ASID"],
      ["va", "VA"],
    ]) {
      for (const entries of [1024, 0x1_0000]) {
        subjects.push(
          nativeSubject(native, {
            id: `hash-tlbi/${what}/${entries}`,
            label: `hash table as large, by ${name}, ${kilo(entries)}`,
            what: `hash-tlbi-${what}`,
            words: [entries],
            operations: 1,
            unit: "command",
            axes: { kind: `hash-table TLB, ${name}`, entries },
          }),
        );
      }
    }
  }
  return subjects;
}
