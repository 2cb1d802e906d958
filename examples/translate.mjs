// SPDX-License-Identifier: MIT
// An SMMUv3 with one stream: tables in memory, registers by MMIO, one DMA that is translated and one that faults.
import { Simulation, silentTrace } from "quiesce/sim";
import * as hw from "quiesce/hw";

const RAM = 0x8000_0000;
const simulation = new Simulation();
const bus = new hw.SystemBus(48);
bus.addRam({ name: "dram", base: RAM, size: 0x4000_0000 });
const smmu = new hw.Smmu(hw.profiles["linux-typical"], hw.createSmmuHost({ simulation, bus }));

// Tables, as a driver would write them: IOVA 0x10000 of StreamID 0x10 goes to RAM + 16 MiB.
const memory = bus.memory;
const arena = new hw.TableArena(RAM, 0x10_0000);
const pages = new hw.PageTable({ memory, arena, stage: 1, granule: 12 });
pages.map(0x10000, RAM + 0x100_0000, 0x1000);
const cd = arena.take(64);
hw.writeWords(memory, cd, hw.stage1Cd({ ttb0: pages }, { ASID: 1 }));
const streams = new hw.StreamTables({ memory, arena, log2Size: 8 });
streams.write(0x10, hw.stage1Ste(cd));
const eventq = arena.take(32 * 16);

// Registers, by the specification's names (IHI 0070 §6.2).
const at = hw.registerOffset;
smmu.write64(at("STRTAB_BASE"), hw.low32(streams.base), hw.high32(streams.base));
smmu.write(at("STRTAB_BASE_CFG"), 4, streams.config);
smmu.write64(at("EVENTQ_BASE"), hw.low32(eventq + 4), hw.high32(eventq)); // 16 entries
smmu.write(at("CR0"), 4, hw.registerField("CR0", "SMMUEN") | hw.registerField("CR0", "EVENTQEN"));
simulation.advance(1000); // until CR0ACK follows

const nic = new hw.SmmuDmaPort({ smmu, bus, streamId: 0x10, name: "nic", trace: silentTrace() });
nic.write(0x10040, Uint8Array.of(1, 2, 3, 4));
console.log("at RAM + 0x1000040:", hw.hex(memory.read32(RAM + 0x100_0040)));

const status = nic.write(0x20000, Uint8Array.of(9)); // nothing is mapped there
const record = new Uint32Array(8);
memory.loadWords(eventq, record, 8);
console.log("aborted:", status === hw.DmaStatus.abort);
console.log(hw.describeEvent(record));
