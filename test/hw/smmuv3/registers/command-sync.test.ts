// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { BusStatus, profiles } from "../../../../src/hw/index.ts";
import { Bench, BASE, CMDQ, DOORBELL, GERROR_IRQEN, RAM, at, command } from "./bench.ts";

const commandNs = profiles.max.timing.commandNs;
const NONE = 0;
const IRQ = 1;
const SEV = 2;
const MSI_CMDQ_ABT_ERR = 1 << 4;

describe("CMD_SYNC", () => {
  test("IHI 0070 §4.7.3: CS none: consumed without a signal; the MSI fields are ignored", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.sync(NONE, 0x55, DOORBELL));
    bench.settle();
    expect(bench.r32(at.CMDQ_CONS)).toBe(1);
    expect(bench.memory32(DOORBELL)).toBe(0);
    expect(bench.pulses).toEqual([]);
    expect(bench.wakeEvents).toBe(0);
  });

  test("IHI 0070 §4.7.3: CS interrupt: a 4-byte write of MSIData to MSIAddress, and a wired pulse, without any enable", () => {
    const bench = new Bench();
    bench.bus.memory.fill(DOORBELL, 16, 0xee);
    bench.startCommands(3);
    bench.submit(command.sync(IRQ, 0x1234_5678, DOORBELL + 4));
    bench.settle();
    expect(bench.memory32(DOORBELL + 4)).toBe(0x1234_5678);
    expect(bench.memory32(DOORBELL)).toBe(0xeeee_eeee);
    expect(bench.memory32(DOORBELL + 8)).toBe(0xeeee_eeee);
    expect(bench.pulses).toEqual(["cmdq-sync"]);
  });

  test("IHI 0070 §4.7.3: CS interrupt with MSIAddress 0 sends no MSI", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.sync(IRQ, 0x1234_5678, 0));
    bench.settle();
    expect(bench.accesses.filter((access) => access.startsWith("msi"))).toEqual([]);
    expect(bench.pulses).toEqual(["cmdq-sync"]);
  });

  test("IHI 0070 §4.7.3: without IDR0.MSI only the wired interrupt is signalled", () => {
    const bench = new Bench({ ...profiles.max, msi: false });
    bench.startCommands(3);
    bench.submit(command.sync(IRQ, 0x55, DOORBELL));
    bench.settle();
    expect(bench.memory32(DOORBELL)).toBe(0);
    expect(bench.pulses).toEqual(["cmdq-sync"]);
  });

  test("IHI 0070 §4.7.3: CS SEV sends an event where IDR0.SEV is 1, else nothing", () => {
    for (const sev of [true, false]) {
      const bench = new Bench({ ...profiles.max, sev });
      bench.startCommands(3);
      bench.submit(command.sync(SEV, 0x55, DOORBELL));
      bench.settle();
      expect(bench.wakeEvents).toBe(sev ? 1 : 0);
      expect(bench.pulses).toEqual([]);
      expect(bench.memory32(DOORBELL)).toBe(0);
    }
  });

  test("IHI 0070 §4.7.3: the signal comes after all earlier commands are complete, and CONS is past the CMD_SYNC by then", () => {
    const bench = new Bench();
    bench.startCommands(3);
    const seen: string[] = [];
    bench.trace.on("smmu.access", ({ data }) => {
      if (data.access === "msi") seen.push(`CONS ${bench.r32(at.CMDQ_CONS)}, ${bench.cacheCalls.length} invalidations`);
    });
    bench.submit(command.cfgiAll, command.nsnhAll, command.sync(IRQ, 1, DOORBELL));
    bench.simulation.advance(3 * commandNs - 1);
    expect(bench.memory32(DOORBELL)).toBe(0);
    bench.simulation.advance(1);
    expect(seen).toEqual(["CONS 3, 2 invalidations"]);
  });

  test("Linux arm_smmu_cmdq_issue_cmdlist: an MSI may overwrite the first word of its own CMD_SYNC", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.sync(IRQ, 0, CMDQ));
    expect(bench.memory32(CMDQ)).not.toBe(0);
    bench.settle();
    expect(bench.memory32(CMDQ)).toBe(0);
    expect(bench.activeErrors).toBe(0);
    expect(bench.r32(at.CMDQ_CONS)).toBe(1);
  });

  test("IHI 0070 §4.7.3: bits of MSIAddress above the output address size are dropped", () => {
    const bench = new Bench({ ...profiles.max, oas: 40 });
    bench.startCommands(3);
    bench.submit([0x46 | (IRQ << 12), 0x77, DOORBELL, 0x00f0_0000]);
    bench.settle();
    expect(bench.memory32(DOORBELL)).toBe(0x77);
  });

  test("IHI 0070 §3.18, §4.7.3: an MSI that aborts sets MSI_CMDQ_ABT_ERR; the CMD_SYNC is consumed and later ones go on", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.enableInterrupts(GERROR_IRQEN);
    const stop = bench.bus.inject({ base: DOORBELL, size: 4, status: BusStatus.abort, on: "write" });
    bench.submit(command.sync(IRQ, 1, DOORBELL));
    bench.settle();
    expect(bench.r32(at.CMDQ_CONS)).toBe(1);
    expect(bench.activeErrors).toBe(MSI_CMDQ_ABT_ERR);
    expect(bench.pulses).toContain("gerror");
    stop();
    bench.putCommand(1, command.sync(IRQ, 2, DOORBELL));
    bench.w32(at.CMDQ_PROD, 2);
    bench.settle();
    expect(bench.memory32(DOORBELL)).toBe(2);
  });

  test("IHI 0070 §3.18: an MSI to a device register arrives as one 32-bit write", () => {
    const bench = new Bench();
    const writes: string[] = [];
    bench.bus.addWindow({
      name: "frame",
      base: BASE + 0x10_0000,
      size: 0x1000,
      device: { read: () => 0, write: (offset, width, value) => writes.push(`${offset.toString(16)} ${width} ${value}`) },
    });
    bench.startCommands(3);
    bench.submit(command.sync(IRQ, 67, BASE + 0x10_0040));
    bench.settle();
    expect(writes).toEqual(["40 4 67"]);
    expect(bench.memory32(RAM)).toBe(0);
  });
});
