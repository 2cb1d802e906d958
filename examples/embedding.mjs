// SPDX-License-Identifier: MIT
// A tour for a program that embeds the SMMU: queues, stalls, interrupts, caches, saved states. docs/embedding.md explains it.
import { Simulation, Trace, silentTrace } from "quiesce/sim";
import * as hw from "quiesce/hw";

// The machine: RAM from 64 GiB on, a doorbell for MSIs, an SMMU with its registers on the bus.
const RAM = 0x10_0000_0000;
const DOORBELL = 0x0802_0000;
const simulation = new Simulation();
const trace = new Trace();
const bus = new hw.SystemBus(48);
bus.addRam({ name: "dram", base: RAM, size: 0x4000_0000 });
const interrupts = new hw.InterruptController(64);
const doorbell = new hw.MsiFrame({ interrupts, first: 40, count: 8 });
bus.addWindow({ name: "doorbell", base: DOORBELL, size: doorbell.size, device: doorbell });
const host = hw.createSmmuHost({ simulation, bus, trace });
const config = { ...hw.profiles["linux-typical"], btm: true };
const smmu = new hw.Smmu(config, host, { trace, detector: true });
const { size, widths, badWidth } = smmu;
bus.addWindow({ name: "smmu", base: 0x0905_0000, size, device: smmu, widths, badWidth });

// Tables: StreamID 0x10 faults with an abort, 0x11 with a stall; both map 16 KiB at IOVA 0x10000.
const memory = bus.memory;
const arena = new hw.TableArena(RAM, 0x100_0000);
const pages = new hw.PageTable({ memory, arena, stage: 1, granule: 12 });
pages.map(0x10000, RAM + 0x100_0000, 0x4000);
const streams = new hw.StreamTables({ memory, arena, log2Size: 8 });
for (const [streamId, S] of [
  [0x10, 0],
  [0x11, 1],
]) {
  const cd = arena.take(64);
  hw.writeWords(memory, cd, hw.stage1Cd({ ttb0: pages }, { ASID: 1, S }));
  streams.write(streamId, hw.stage1Ste(cd));
}

// Registers: what a driver writes before the first transaction.
const at = hw.registerOffset;
const LOG2SIZE = 4; // 16 entries in each queue; indexes have a wrap bit above, so they count to 32
const WRAP = 2 ** (LOG2SIZE + 1);

function start(unit) {
  const place = { cmdq: arena.take(16 * 16), eventq: arena.take(16 * 32), prod: 0, cons: 0 };
  const base = (name, address, low = 0) => unit.write64(at(name), (hw.low32(address) | low) >>> 0, hw.high32(address));
  base("STRTAB_BASE", streams.base);
  unit.write(at("STRTAB_BASE_CFG"), 4, streams.config);
  base("CMDQ_BASE", place.cmdq, LOG2SIZE);
  base("EVENTQ_BASE", place.eventq, LOG2SIZE);
  const enable = hw.registerField("CR0", "CMDQEN") | hw.registerField("CR0", "EVENTQEN") | hw.registerField("CR0", "SMMUEN");
  unit.write(at("CR0"), 4, enable);
  while (unit.read(at("CR0ACK"), 4) !== enable) simulation.advance(100);
  return place;
}

const queues = start(smmu);

// The Command queue: write the command, move PROD, and wait for CONS behind a CMD_SYNC.
function command(unit, place, name, values) {
  hw.writeWords(memory, place.cmdq + 16 * (place.prod % 16), hw.buildCommand(name, values));
  place.prod = (place.prod + 1) % WRAP;
  unit.write(at("CMDQ_PROD"), 4, place.prod);
}

function sync(unit, place) {
  command(unit, place, "CMD_SYNC", { CS: 0 });
  while (unit.read(at("CMDQ_CONS"), 4) !== place.prod) {
    if (unit.read(at("GERROR"), 4) !== unit.read(at("GERRORN"), 4)) throw new Error("the SMMU refuses a command");
    simulation.advance(100);
  }
}

command(smmu, queues, "CMD_CFGI_STE_RANGE", { Range: 31 }); // CMD_CFGI_ALL
command(smmu, queues, "CMD_TLBI_NSNH_ALL");
sync(smmu, queues);
console.log("commands consumed:", smmu.read(at("CMDQ_CONS"), 4));

// An interrupt of the Event queue: an MSI that writes 40 to the doorbell.
smmu.write64(at("EVENTQ_IRQ_CFG0"), DOORBELL + 0x40, 0);
smmu.write(at("EVENTQ_IRQ_CFG1"), 4, 40);
smmu.write(at("IRQ_CTRL"), 4, hw.registerField("IRQ_CTRL", "EVENTQ_IRQEN"));
simulation.advance(1000); // until IRQ_CTRLACK follows
interrupts.enable(40, true);

// The Event queue: records from CONS to PROD.
function printEvents(unit, place) {
  const record = new Uint32Array(8);
  while (place.cons !== unit.read(at("EVENTQ_PROD"), 4)) {
    memory.loadWords(place.eventq + 32 * (place.cons % 16), record, 8);
    console.log(" ", hw.describeEvent(record));
    place.cons = (place.cons + 1) % WRAP;
    unit.write(at("EVENTQ_CONS"), 4, place.cons);
  }
  return record; // the last one
}

const nic = new hw.SmmuDmaPort({ smmu, bus, streamId: 0x10, name: "nic", trace: silentTrace() });
console.log("mapped:", hw.dmaStatusName(nic.write(0x10040, Uint8Array.of(1, 2, 3, 4))));
console.log("not mapped:", hw.dmaStatusName(nic.write(0x20000, Uint8Array.of(9))));
console.log("interrupt", interrupts.acknowledge());
printEvents(smmu, queues);
interrupts.complete(40);

// A stall: the device waits, software maps the page and resumes it.
const gpu = new hw.SmmuDmaPort({ smmu, bus, streamId: 0x11, name: "gpu", trace: silentTrace() });
const onCompletion = (status) => console.log("the stalled write ended:", hw.dmaStatusName(status));
console.log("answer at once:", hw.dmaStatusName(gpu.write(0x30000, Uint8Array.of(5), { onCompletion })));
const { StreamID, STAG } = hw.decodeEvent(printEvents(smmu, queues)).fields;
pages.map(0x30000, RAM + 0x200_0000, 0x1000);
command(smmu, queues, "CMD_RESUME", { StreamID, STAG, Ac: 1 });
sync(smmu, queues);
console.log("in memory:", memory.read8(RAM + 0x200_0000));

// Many addresses in one call.
const batch = new hw.TranslationBatch(4);
batch.streamId = 0x10;
batch.count = 4;
for (let i = 0; i < 4; i++) batch.setAddress(i, 0x12000 + 0x1000 * i);
console.log("forwarded:", smmu.translateBatch(batch), Array.from(batch.outcome, hw.outcomeName).join(" "));
console.log("second page at", hw.hex(batch.physical[1]));

// A forgotten TLBI: the page is unmapped, the TLB still has it, and the detector says so.
trace.on("smmu.stale-use", ({ data }) => console.log("stale:", data.missing, "is missing"));
pages.unmap(0x10000);
console.log("unmapped, not invalidated:", hw.dmaStatusName(nic.write(0x10000, Uint8Array.of(6))));

// A TLBI that a PE broadcasts does it without the Command queue.
smmu.broadcast({ operation: "VAE1", asid: 1, addressLo: 0x10000 });
smmu.broadcastSync();
console.log("after TLBI VAE1 and DSB:", hw.dmaStatusName(nic.write(0x10000, Uint8Array.of(6))));

// The least and the most that an SMMU may keep.
for (const cacheMode of ["none", "adversarial"]) {
  const unit = new hw.Smmu(config, host, { cacheMode });
  const its = start(unit);
  const dma = new hw.SmmuDmaPort({ smmu: unit, bus, streamId: 0x10, name: "nic", trace: silentTrace() });
  const write = () => hw.dmaStatusName(dma.write(0x11000, Uint8Array.of(7)));
  write();
  pages.unmap(0x11000);
  const before = write();
  command(unit, its, "CMD_TLBI_NH_VA", { ASID: 1, Address: 0x11000 });
  simulation.advance(1000); // carried out, but no CMD_SYNC yet
  const consumed = write();
  sync(unit, its);
  console.log(`${cacheMode}: unmapped ${before}, TLBI consumed ${consumed}, CMD_SYNC ${write()}`);
  pages.map(0x11000, RAM + 0x100_1000, 0x1000);
}

// The hot path: larger caches, one transaction for all, addresses and answers in halves.
const caches = { ...config.caches, tlb: 4096, ste: 1024, cd: 1024 };
const fast = new hw.Smmu({ ...config, caches }, host);
start(fast);
const hot = new hw.Transaction();
hot.streamId = 0x10;
hot.write = false;
const hi = Uint32Array.of(0, 0, 0);
const lo = Uint32Array.of(0x12008, 0x13010, 0x20000);
for (let i = 0; i < lo.length; i++) {
  hot.addressHi = hi[i];
  hot.addressLo = lo[i]; // unsigned: what you have calculated goes through >>> 0
  const outcome = fast.translate(hot);
  if (outcome !== hw.Outcome.forward) {
    console.log("access", i, hw.outcomeName(outcome)); // abort, razWi: answer the device; stalled: hot.stall
    continue;
  }
  // RAM is 1 GiB from 16 * 2^32 on: the upper half chooses it, the lower one is the place in it, once it is unsigned.
  if (hot.physicalHi !== hw.high32(RAM)) throw new Error("not RAM");
  console.log("access", i, "byte", hw.hex(hot.physicalLo >>> 0), "of RAM");
}

// What software has left undone.
trace.on("smmu.lint", ({ data }) => console.log("lint:", data.rule, data.section));
command(smmu, queues, "CMD_TLBI_NH_ASID", { ASID: 1 });
simulation.advance(1000);
smmu.audit();
sync(smmu, queues);
smmu.audit(); // nothing more to say

// A state to look at later or elsewhere.
nic.write(0x12000, Uint8Array.of(1));
const copy = new hw.Smmu(config, host);
hw.restoreSnapshot(copy, JSON.parse(JSON.stringify(hw.snapshotOf(smmu))));
const tx = new hw.Transaction();
tx.streamId = 0x10;
tx.setAddress(0x12000);
console.log("the copy:", hw.outcomeName(copy.translate(tx)), hw.hex(tx.physical), "TLB entries:", copy.translation.tlb.entriesInUse);

// An embedded part: its Stream table lies where the hardware says.
const tables = { base: streams.base, config: streams.config, attributes: 0 };
const embedded = new hw.Smmu({ ...config, presets: { tables } }, host);
embedded.write64(at("STRTAB_BASE"), 0, 0); // read-only here
console.log("STRTAB_BASE:", hw.hex64(embedded.read(at("STRTAB_BASE") + 4, 4), embedded.read(at("STRTAB_BASE"), 4)));

// Three voices.
try {
  bus.addRam({ name: "more", base: RAM, size: 0x1000 });
} catch (error) {
  console.log(error.name, error.code);
}
try {
  void new hw.Smmu({ ...config, beyond: { mpam: true } }, host);
} catch (error) {
  console.log(error.name, error.message);
}
