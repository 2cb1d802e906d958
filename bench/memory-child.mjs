// SPDX-License-Identifier: MIT
// Measures one thing in a process of its own and prints it as JSON. Run by memory.mjs with --expose-gc.
const what = process.argv[2];

function inUse() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** @returns bytes of each of `count` things that `make` makes; it returns what keeps them alive */
function each(count, make) {
  const before = inUse();
  const kept = make();
  const bytes = (inUse() - before) / count;
  return kept === undefined ? Number.NaN : bytes;
}

async function measured() {
  if (what === "nothing") return {};
  const started = performance.now();
  const hw = await import("../dist/hw/index.js");
  const { Simulation, Trace } = await import("../dist/sim/index.js");
  const makeSmmu = (size, caches, sidSize = 24) => {
    const simulation = new Simulation();
    const trace = new Trace();
    const bus = new hw.SystemBus(48);
    bus.addRam({ name: "dram", base: 0x8000_0000, size });
    const base = hw.profiles["linux-typical"];
    const smmu = new hw.Smmu({ ...base, sidSize, caches: { ...base.caches, ...caches } }, hw.createSmmuHost({ simulation, bus, trace }), {
      trace,
    });
    return { smmu, bus, trace };
  };
  if (what === "start") {
    const { smmu, bus, trace } = makeSmmu(16 * 2 ** 30, {}, 16);
    const ports = Array.from({ length: 65536 }, (_, streamId) => new hw.SmmuDmaPort({ smmu, bus, streamId, name: "device", trace }));
    const ms = performance.now() - started;
    return { ms, ports: ports.length };
  }
  if (what === "idle") return { bytes: each(64, () => Array.from({ length: 64 }, () => makeSmmu(2 ** 30, {}))) };
  const { makeMachine } = await import("./machine.mjs");
  const { VA_BASE } = await import("./workload.mjs");
  const touch = (machine, streams, pages) => {
    const tx = new hw.Transaction();
    for (let streamId = 0; streamId < streams; streamId++) {
      tx.streamId = streamId;
      for (let page = 0; page < pages; page++) {
        tx.setAddress(VA_BASE + page * 4096);
        if (machine.smmu.translate(tx) !== hw.Outcome.forward) throw new Error("not forwarded");
      }
    }
  };
  if (what === "translations") {
    // The caches lie ready before the first entry comes, so that two machines are compared.
    const count = 65536;
    const of = (tlb) => () => {
      const machine = makeMachine({ pages: 1024, streams: 64, caches: { tlb, walk: 256 } });
      if (tlb > 1024) touch(machine, 64, 1024);
      return machine;
    };
    each(1, of(1024));
    return { bytes: each(1, of(count)) / count - each(1, of(1024)) / count };
  }
  const streams = 4096;
  const machine = makeMachine({ pages: 1, streams, caches: { tlb: 8192, walk: 256, ste: streams, cd: streams } });
  touch(machine, 1, 1);
  return {
    bytes: each(streams, () => {
      touch(machine, streams, 1);
      return machine;
    }),
  };
}

const result = await measured();
process.stdout.write(JSON.stringify({ ...result, rss: process.memoryUsage().rss }));
