// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { BusStatus, HostMisuseError, Smmu, type SmmuEvents, SystemBus, createSmmuHost, profiles } from "../../../../src/hw/index.ts";
import { Simulation, Trace } from "../../../../src/sim/index.ts";
import { BASE, Bench, CMDQ, CMDQEN, EVENTQEN, RAM, SMMUEN, at, command, record } from "./bench.ts";

function machine(): { smmu: Smmu; bus: SystemBus; simulation: Simulation; lint: string[]; out: Uint32Array } {
  const simulation = new Simulation();
  const bus = new SystemBus();
  const trace = new Trace<SmmuEvents>();
  const lint: string[] = [];
  trace.on("smmu.lint", ({ data }) => lint.push(data.rule));
  bus.addRam({ name: "ram", base: RAM, size: 0x100_0000 });
  const smmu = new Smmu(profiles.max, createSmmuHost({ simulation, bus, trace }), { trace });
  bus.addWindow({ name: "smmu", base: BASE, size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth });
  return { smmu, bus, simulation, lint, out: new Uint32Array(2) };
}

describe("Smmu", () => {
  test("refuses an impossible configuration at construction", () => {
    const { simulation, bus } = machine();
    const host = createSmmuHost({ simulation, bus, trace: new Trace<SmmuEvents>() });
    expect(() => new Smmu({ ...profiles.max, sidSize: 40 }, host)).toThrow(HostMisuseError);
  });

  test("IHI 0070 §6.2: 8-bit, 16-bit and unaligned accesses are RAZ/WI on the bus and at the device", () => {
    const { smmu, bus, out, lint } = machine();
    expect(bus.write(BASE + at.CR1, 2, 0xd75)).toBe(BusStatus.ok);
    expect(bus.write(BASE + at.CR1, 1, 0x75)).toBe(BusStatus.ok);
    expect(bus.write(BASE + at.CR1 + 2, 4, 0xd75)).toBe(BusStatus.ok);
    expect(bus.read(BASE, 2, out)).toBe(BusStatus.ok);
    expect(out[0]).toBe(0);
    smmu.write(at.CR1, 2, 0xd75);
    smmu.write64(at.CR1 + 4, 1, 1);
    expect(smmu.read(at.IDR0, 1)).toBe(0);
    expect(lint).toEqual(["illegal-access", "illegal-access", "illegal-access"]);
    bus.read(BASE + at.CR1, 4, out);
    expect(out[0]).toBe(0);
  });

  test("reads and writes registers of both pages through its window", () => {
    const { bus, simulation, out } = machine();
    bus.write(BASE + at.EVENTQ_CONS, 4, 0x5);
    bus.read(BASE + at.EVENTQ_CONS, 4, out);
    expect(out[0]).toBe(5);
    bus.write(BASE + at.CR0, 4, 0xc);
    simulation.advance(1000);
    bus.read(BASE + at.CR0, 8, out);
    expect([...out]).toEqual([0xc, 0xc]);
  });

  test("carries out commands on the translation side's caches", () => {
    const { smmu, bus, simulation, out } = machine();
    let dropped = 0;
    smmu.translation.tlbMaintenance.nsnhAll = (): void => {
      dropped++;
    };
    bus.write(BASE + at.CMDQ_BASE, 8, CMDQ + 3, 0);
    bus.write(BASE + at.CR0, 4, CMDQEN);
    simulation.advance(1000);
    bus.memory.storeWords(CMDQ, Uint32Array.from(command.nsnhAll), 4);
    bus.write(BASE + at.CMDQ_PROD, 4, 1);
    simulation.advance(1000);
    bus.read(BASE + at.CMDQ_CONS, 4, out);
    expect(out[0]).toBe(1);
    expect(dropped).toBe(1);
  });
});

describe("hardware reset", () => {
  test("IHI 0070 §3.11: enables, acknowledges, errors and GBPA.Update are 0; ID registers read as before", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.reserved);
    bench.settle();
    bench.enable(SMMUEN | EVENTQEN | CMDQEN);
    bench.enableInterrupts(5);
    bench.w32(at.GBPA, 0x8010_0000);
    const id = bench.r32(at.IDR0);
    bench.side.reset();
    for (const offset of [at.CR0, at.CR0ACK, at.IRQ_CTRL, at.IRQ_CTRLACK, at.GERROR, at.GERRORN, at.STATUSR])
      expect(bench.r32(offset)).toBe(0);
    expect(bench.r32(at.GBPA)).toBe(0x1000);
    expect(bench.side.registers.gbpa()).toBe(0x1000);
    expect(bench.r32(at.IDR0)).toBe(id);
  });

  test("cancels the command in progress and Updates that are pending", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.cfgiAll, command.nsnhAll);
    bench.w32(at.CR0, CMDQEN | SMMUEN);
    bench.w32(at.GBPA, 0x8010_0000);
    bench.side.reset();
    bench.settle();
    expect(bench.cacheCalls).toEqual([]);
    expect(bench.r32(at.CR0ACK)).toBe(0);
    expect(bench.r32(at.GBPA)).toBe(0x1000);
    bench.startCommands(3);
    bench.submit(command.nsnhAll);
    bench.settle();
    expect(bench.cacheCalls).toEqual(["nsnhAll()"]);
  });

  test("IHI 0070 §6.3: registers with UNKNOWN reset values hold a pattern when so chosen; those with known ones do not", () => {
    const bench = new Bench(profiles.max, { unknownReset: "pattern" });
    expect(bench.r32(at.CR2)).toBe(0xa5a5_a5a5 & 0x7);
    expect(bench.r32(at.STRTAB_BASE)).toBe(0xa5a5_a580);
    expect(bench.r32(at.CMDQ_PROD)).toBe(0x5_a5a5);
    for (const offset of [at.CR0, at.CR0ACK, at.IRQ_CTRL, at.GERROR, at.GERRORN]) expect(bench.r32(offset)).toBe(0);
    expect(bench.side.events.record(record(1))).toBe(false);
  });
});

describe("lint of the Stream table base", () => {
  const misaligned = (cfg: number, base: number): boolean => {
    const bench = new Bench();
    bench.w32(at.STRTAB_BASE_CFG, cfg);
    bench.w64(at.STRTAB_BASE, base, 0);
    bench.enable(SMMUEN);
    return bench.lint.includes("strtab-base-alignment");
  };

  test("IHI 0070 §6.3.24: a linear table of 2^n entries is aligned to 64 * 2^n bytes", () => {
    expect(misaligned(5, 0x4000_0800)).toBe(false);
    expect(misaligned(5, 0x4000_0400)).toBe(true);
  });

  test("IHI 0070 §6.3.24: a 2-level table is aligned to its level-1 array, at least 64 bytes", () => {
    const twoLevel = (1 << 16) | (8 << 6);
    expect(misaligned(twoLevel | 16, 0x4000_0800)).toBe(false);
    expect(misaligned(twoLevel | 16, 0x4000_0400)).toBe(true);
    expect(misaligned(twoLevel | 8, 0x4000_0040)).toBe(false);
  });
});
