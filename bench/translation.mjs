// SPDX-License-Identifier: MIT
// Translations through the whole SMMU: a machine with one 4K stage-1 stream, one nested stream, one bypassed, one aborted.
import * as hw from "../dist/hw/index.js";
import { Simulation, Trace } from "../dist/sim/index.js";
import { subject } from "./measure.mjs";

const RAM = 0x8000_0000;
const BATCH = 20_000;
const STAGE1 = 1;
const NESTED = 2;
const BYPASS = 3;
const ABORT = 4;

function machine(pages, caches) {
  const simulation = new Simulation();
  const trace = new Trace();
  const bus = new hw.SystemBus(48);
  bus.addRam({ name: "dram", base: RAM, size: 0x8000_0000 });
  const config = { ...hw.profiles["linux-typical"], ...(caches === undefined ? {} : { caches }) };
  const smmu = new hw.Smmu(config, hw.createSmmuHost({ simulation, bus, trace }), { trace });
  const { memory } = bus;
  const arena = new hw.TableArena(RAM, 0x4000_0000);
  const table = new hw.PageTable({ memory, arena, stage: 1, granule: 12 });
  table.map(0, RAM + 0x4000_0000, pages * 4096);
  const identity = new hw.PageTable({ memory, arena, stage: 2, granule: 12, inputBits: 40, startLevel: 1 });
  identity.map(RAM, RAM, 0x8000_0000, {}, 2);
  const cd = arena.take(64);
  hw.writeWords(memory, cd, hw.stage1Cd({ ttb0: table }, { ASID: 1 }));
  const streams = new hw.StreamTables({ memory, arena, log2Size: 4 });
  streams.write(STAGE1, hw.stage1Ste(cd));
  streams.write(NESTED, hw.nestedSte(cd, identity, { S2VMID: 7 }));
  streams.write(BYPASS, hw.bypassSte());
  streams.write(ABORT, hw.abortSte());
  smmu.write64(0x80, streams.base, 0);
  smmu.write(0x88, 4, streams.config);
  smmu.write(0x20, 4, 1);
  simulation.advance(1000);
  return smmu;
}

/** A fixed pseudo-random order of pages. */
function order(pages) {
  const out = new Uint32Array(BATCH);
  for (let i = 0, x = 1; i < BATCH; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    out[i] = x % pages;
  }
  return out;
}

function translations(name, streamId, pages, caches, expected = hw.Outcome.forward) {
  const smmu = machine(pages, caches);
  const tx = new hw.Transaction();
  const pageOf = order(pages);
  return subject(name, "translation", BATCH, () => {
    tx.streamId = streamId;
    for (let i = 0; i < BATCH; i++) {
      tx.addressHi = 0;
      tx.addressLo = (pageOf[i] * 4096 + 64) >>> 0;
      if (smmu.translate(tx) !== expected) throw new Error(`${name}: outcome differs at page ${pageOf[i]}`);
    }
  });
}

const NO_TLB = { ste: 64, cd: 64, tlb: 0, walk: 256, replacement: "round-robin" };

export function translationSubjects() {
  return [
    translations("stage 1, TLB hit, 64 pages", STAGE1, 64),
    translations("stage 1, TLB hit, 1K pages", STAGE1, 1024, { ste: 64, cd: 64, tlb: 4096, walk: 256, replacement: "round-robin" }),
    translations("stage 1, every access walks", STAGE1, 1024, NO_TLB),
    translations("nested, TLB hit, 64 pages", NESTED, 64),
    translations("nested, every access walks", NESTED, 1024, NO_TLB),
    translations("STE bypass", BYPASS, 64),
    translations("STE abort", ABORT, 64, undefined, hw.Outcome.abort),
  ];
}
