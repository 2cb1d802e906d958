// SPDX-License-Identifier: MIT
/** Embedded implementations: IDR1.TABLES_PRESET, QUEUES_PRESET, REL (IHI 0070 §6.3.2). */
import { describe, expect, test } from "vitest";
import {
  BusStatus,
  Outcome,
  type Presets,
  Smmu,
  type SmmuConfig,
  SystemBus,
  Transaction,
  createSmmuHost,
  profiles,
} from "../../../../src/hw/index.ts";
import { Simulation } from "../../../../src/sim/index.ts";
import { BASE, Bench, CMDQ, CMDQEN, EVENTQ, EVENTQEN, RAM, SMMUEN, at, command, record } from "./bench.ts";

const TABLE = RAM + 0x40_0000;
const PRIQ = RAM + 0x50_0000;
const tables = { base: TABLE, config: 6, attributes: 0xd40 };
const queues = {
  cmdq: { base: CMDQ, log2Size: 3 },
  eventq: { base: EVENTQ, log2Size: 2 },
  priq: { base: PRIQ, log2Size: 1 },
  attributes: 0x35,
};

function embedded(presets: Presets): SmmuConfig {
  return { ...profiles.max, presets };
}

describe("preset queues", () => {
  test("IHI 0070 §6.3.26, §6.3.29: the base registers are constants, whether or not the queue is enabled", () => {
    const bench = new Bench(embedded({ queues }), { unknownReset: "pattern" });
    bench.w64(at.CMDQ_BASE, 0xffff_ffff, 0xffff_ffff);
    bench.w64(at.EVENTQ_BASE, 0, 0);
    expect(bench.r64(at.CMDQ_BASE)).toEqual([CMDQ + 3, 0]);
    expect(bench.r64(at.EVENTQ_BASE)).toEqual([EVENTQ + 2, 0]);
    expect(bench.lint).toContain("write-read-only");
    // The Stream table of the same part is software's.
    bench.w32(at.STRTAB_BASE_CFG, 5);
    expect(bench.r32(at.STRTAB_BASE_CFG)).toBe(5);
  });

  test("IHI 0070 §6.3.11.2: CR1.QUEUE_* are preset; CR1.TABLE_* are not", () => {
    const bench = new Bench(embedded({ queues }));
    expect(bench.r32(at.CR1)).toBe(0x35);
    bench.w32(at.CR1, 0xfca);
    expect(bench.r32(at.CR1)).toBe(0xff5);
  });

  test("commands and events go through them", () => {
    const bench = new Bench(embedded({ queues }));
    bench.w32(at.EVENTQ_PROD, 0);
    bench.w32(at.EVENTQ_CONS, 0);
    bench.enable(CMDQEN | EVENTQEN);
    bench.submit(command.cfgiAll);
    bench.settle();
    expect(bench.cacheCalls).toEqual(["invalidateAll()"]);
    expect(bench.side.events.record(record(1))).toBe(true);
    expect(bench.memory32(EVENTQ)).toBe(record(1)[0]);
  });

  test("IHI 0070 §6.3.2: with REL the registers report offsets, which count from page 0", () => {
    const relative = { cmdq: { base: CMDQ - RAM, log2Size: 3 }, eventq: { base: EVENTQ - RAM, log2Size: 2 }, attributes: 0 };
    const bench = new Bench(embedded({ queues: relative, relativeTo: RAM }));
    expect((bench.r32(4) >>> 28) & 7).toBe(3);
    expect(bench.r64(at.CMDQ_BASE)).toEqual([CMDQ - RAM + 3, 0]);
    bench.enable(CMDQEN | EVENTQEN);
    bench.submit(command.cfgiAll);
    bench.settle();
    bench.side.events.record(record(1));
    expect(bench.accesses).toEqual([`cmdq read 0x${CMDQ.toString(16)}`, `eventq write 0x${EVENTQ.toString(16)}`]);
  });
});

describe("a preset Stream table", () => {
  test("IHI 0070 §6.3.24, §6.3.25: base, configuration and CR1.TABLE_* are constants", () => {
    const bench = new Bench(embedded({ tables }));
    bench.w64(at.STRTAB_BASE, 0, 0);
    bench.w32(at.STRTAB_BASE_CFG, 0);
    bench.w32(at.CR1, 0x03f);
    expect(bench.r64(at.STRTAB_BASE)).toEqual([TABLE, 0]);
    expect(bench.r32(at.STRTAB_BASE_CFG)).toBe(6);
    expect(bench.r32(at.CR1)).toBe(0xd7f);
    expect((bench.r32(4) >>> 28) & 7).toBe(4);
  });

  test.each([
    ["absolute", undefined, TABLE],
    ["relative", RAM, TABLE - RAM],
  ] as const)("IHI 0070 §6.3.2: streams find their STE in it: %s", (_what, relativeTo, base) => {
    const simulation = new Simulation();
    const bus = new SystemBus();
    bus.addRam({ name: "ram", base: RAM, size: 0x100_0000 });
    const presets: Presets = relativeTo === undefined ? { tables } : { tables: { ...tables, base }, relativeTo };
    const smmu = new Smmu(embedded(presets), createSmmuHost({ simulation, bus }));
    bus.addWindow({ name: "smmu", base: BASE, size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth });
    // StreamID 5: bypass. V and Config 0b100.
    bus.memory.storeWords(TABLE + 5 * 64, Uint32Array.of(1 | (4 << 1)), 1);
    expect(bus.write(BASE + at.CR0, 4, SMMUEN)).toBe(BusStatus.ok);
    simulation.advance(1000);
    const tx = new Transaction();
    tx.streamId = 5;
    tx.setAddress(0x1234);
    expect(smmu.translate(tx)).toBe(Outcome.forward);
    tx.streamId = 6;
    expect(smmu.translate(tx)).toBe(Outcome.abort);
  });

  test("a hardware reset brings the constants back, and a saved state keeps them", () => {
    const bench = new Bench(embedded({ tables, queues }));
    bench.side.reset();
    expect(bench.r64(at.STRTAB_BASE)).toEqual([TABLE, 0]);
    expect(bench.r64(at.CMDQ_BASE)).toEqual([CMDQ + 3, 0]);
    expect(bench.r32(at.CR1)).toBe(0xd75);
  });
});
