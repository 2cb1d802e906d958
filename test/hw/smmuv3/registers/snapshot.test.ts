// SPDX-License-Identifier: MIT
/** An SMMU taken as data and put into another one: registers and caches are as they were (IHI 0070 §3.17, §3.21). */
import { describe, expect, test } from "vitest";
import * as hw from "../../../../src/hw/index.ts";
import { restoreSnapshot, snapshotOf, type SmmuSnapshot } from "../../../../src/hw/smmuv3/snapshot.ts";
import { Simulation } from "../../../../src/sim/index.ts";

const RAM = 0x4000_0000;
const VA = 0x20_0000;
const PA = 0x4800_0000;
const SSID = 0x41;

interface Made {
  readonly smmu: hw.Smmu;
  readonly bus: hw.SystemBus;
}

const config: hw.SmmuConfig = { ...hw.profiles.max, timing: { commandNs: 0, updateNs: 0 } };

function make(bus: hw.SystemBus): hw.Smmu {
  return new hw.Smmu(config, hw.createSmmuHost({ simulation: new Simulation(), bus }));
}

/** An SMMU with 2-level tables of both kinds; stream 0x41 has both stages, stream 1 stage 1 alone. */
function machine(): Made {
  const bus = new hw.SystemBus(48);
  bus.addRam({ name: "ram", base: RAM, size: 0x1000_0000 });
  const { memory } = bus;
  const arena = new hw.TableArena(RAM, 0x800_0000);
  const streams = new hw.StreamTables({ memory, arena, log2Size: 8, split: 6 });
  const s1 = new hw.PageTable({ memory, arena, stage: 1, granule: 12 });
  s1.map(VA, PA, 0x2000);
  const s2 = new hw.PageTable({ memory, arena, stage: 2, granule: 12, inputBits: 40 });
  s2.map(RAM, RAM, 0x1000_0000);
  const cds = new hw.CdTable({ memory, arena, cdMax: 7, format: 1 });
  cds.write(SSID, hw.stage1Cd({ ttb0: s1 }, { ASID: 5 }));
  streams.write(0x41, hw.nestedSte(cds.base, s2, { ...cds.fields, S2VMID: 3 }));
  const single = arena.take(64);
  hw.writeWords(memory, single, hw.stage1Cd({ ttb0: s1 }, { ASID: 6 }));
  streams.write(1, hw.stage1Ste(single));
  const smmu = make(bus);
  const at = hw.registerOffset;
  smmu.write64(at("STRTAB_BASE"), streams.base, 0);
  smmu.write(at("STRTAB_BASE_CFG"), 4, streams.config);
  smmu.write64(at("EVENTQ_BASE"), arena.take(4096, 4096) + 7, 0);
  smmu.write(at("CR0"), 4, 5);
  return { smmu, bus };
}

/** Where an access of stream 0x41 (or another) goes, or the number of its event. */
function access(smmu: hw.Smmu, address: number, streamId = 0x41, substreamId = SSID): number | string {
  const tx = new hw.Transaction();
  tx.setAddress(address);
  tx.streamId = streamId;
  tx.substreamId = streamId === 0x41 ? substreamId : -1;
  return smmu.translate(tx) === hw.Outcome.forward ? tx.physical : `event ${tx.event}`;
}

/** One that has served both streams, and its snapshot as it would come from a file. */
function used(): Made & { snapshot: SmmuSnapshot } {
  const made = machine();
  access(made.smmu, VA);
  access(made.smmu, VA, 1);
  return { ...made, snapshot: JSON.parse(JSON.stringify(snapshotOf(made.smmu))) as SmmuSnapshot };
}

test("after a reset nothing is cached", () => {
  const smmu = make(new hw.SystemBus(48));
  expect(snapshotOf(smmu)).toMatchObject({ config, stes: [], level1: [], tlb: [], walks: [] });
});

test("what is cached: both STEs with their CDs and descriptors, translations and tables of both stages", () => {
  const { snapshot } = used();
  expect(snapshot.stes.map(({ streamId, cds, level1Cds }) => [streamId, cds.map(({ index }) => index), level1Cds.length])).toEqual([
    [0x41, [SSID], 1],
    [1, [0], 0],
  ]);
  expect(snapshot.level1.map(({ index }) => index)).toEqual([1, 0]);
  expect(snapshot.tlb.length).toBeGreaterThan(2);
  expect(snapshot.walks.length).toBeGreaterThan(2);
});

describe("put into another SMMU", () => {
  test("a snapshot of it is the same", () => {
    const { bus, snapshot } = used();
    const other = make(bus);
    restoreSnapshot(other, snapshot);
    expect(JSON.parse(JSON.stringify(snapshotOf(other)))).toEqual(snapshot);
  });
  test("translations come from the caches: memory may be gone", () => {
    const { snapshot } = used();
    const other = make(new hw.SystemBus(48));
    restoreSnapshot(other, snapshot);
    expect(access(other, VA + 8)).toBe(PA + 8);
    expect(access(other, VA + 8, 1)).toBe(PA + 8);
    // What is not cached has to be fetched: the page of a cached table, another CD of a cached STE, another STE.
    expect(access(other, VA + 0x1000)).toBe("event 11");
    expect(access(other, VA, 0x41, SSID - 1)).toBe("event 9");
    expect(access(other, VA, 2)).toBe("event 3");
  });
  test("with the memory there the rest is fetched", () => {
    const { bus, snapshot } = used();
    const other = make(bus);
    restoreSnapshot(other, snapshot);
    expect(access(other, VA + 0x1000)).toBe(PA + 0x1000);
  });
  test("STEs of a linear Stream table have no level-1 descriptor", () => {
    const { bus } = machine();
    const smmu = make(bus);
    const streams = new hw.StreamTables({ memory: bus.memory, arena: new hw.TableArena(RAM + 0xa00_0000, 0x1000), log2Size: 1 });
    streams.write(0, hw.bypassSte());
    const at = hw.registerOffset;
    smmu.write64(at("STRTAB_BASE"), streams.base, 0);
    smmu.write(at("STRTAB_BASE_CFG"), 4, streams.config);
    smmu.write(at("CR0"), 4, 1);
    expect(access(smmu, 0x1234, 0, -1)).toBe(0x1234);
    const snapshot = snapshotOf(smmu);
    expect(snapshot.stes.map(({ streamId, level1 }) => [streamId, level1])).toEqual([[0, null]]);
    const other = make(new hw.SystemBus(48));
    restoreSnapshot(other, snapshot);
    expect(access(other, 0x1234, 0, -1)).toBe(0x1234);
  });
  test("what it had before is gone", () => {
    const { bus, snapshot } = used();
    const other = make(bus);
    restoreSnapshot(other, snapshot);
    restoreSnapshot(other, { ...snapshot, stes: [], level1: [], tlb: [], walks: [] });
    expect(snapshotOf(other)).toMatchObject({ stes: [], level1: [], tlb: [], walks: [], registers: snapshot.registers });
  });
  test("GBPA is in force as it reads (§6.3.14)", () => {
    const { smmu, bus } = machine();
    const at = hw.registerOffset;
    smmu.write(at("CR0"), 4, 0);
    smmu.write(at("GBPA"), 4, (2 ** 31 + (1 << 20) + (1 << 12)) >>> 0);
    expect(access(smmu, VA)).toBe("event 0");
    const other = make(bus);
    restoreSnapshot(other, snapshotOf(smmu));
    expect(other.read(at("GBPA"), 4)).toBe((1 << 20) | (1 << 12));
    expect(access(other, VA)).toBe("event 0");
  });
  test("a structure without all of its words is an error", () => {
    const { bus, snapshot } = used();
    const [ste] = snapshot.stes;
    const short = { ...snapshot, stes: [{ ...ste!, words: ste!.words.slice(1) }] };
    expect(() => restoreSnapshot(make(bus), short)).toThrow(RangeError);
  });
});
