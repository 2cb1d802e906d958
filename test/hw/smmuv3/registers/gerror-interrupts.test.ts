// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { BusStatus, profiles } from "../../../../src/hw/index.ts";
import { Bench, DOORBELL, EVENTQ_IRQEN, GERROR_IRQEN, at, command, record } from "./bench.ts";

const CMDQ_ERR = 1;
const MSI_CMDQ_ABT_ERR = 1 << 4;
const MSI_EVENTQ_ABT_ERR = 1 << 5;
const MSI_GERROR_ABT_ERR = 1 << 7;

function failCommand(bench: Bench): void {
  bench.startCommands(3);
  bench.submit(command.reserved);
  bench.settle();
}

function msi(bench: Bench, offset: number, address: number, data: number): void {
  bench.w64(offset, address, 0);
  bench.w32(offset + 8, data);
  bench.w32(offset + 12, 1);
}

describe("GERROR", () => {
  test("IHI 0070 §7.5: the SMMU toggles a bit, software answers by making GERRORN equal; GERROR itself is read-only", () => {
    const bench = new Bench();
    failCommand(bench);
    expect(bench.r32(at.GERROR)).toBe(CMDQ_ERR);
    bench.w32(at.GERROR, 0);
    expect(bench.r32(at.GERROR)).toBe(CMDQ_ERR);
    expect(bench.lint).toContain("write-read-only");
    bench.w32(at.CMDQ_PROD, 0);
    bench.w32(at.GERRORN, CMDQ_ERR);
    expect(bench.activeErrors).toBe(0);
    bench.submit(command.reserved);
    bench.settle();
    expect(bench.r32(at.GERROR)).toBe(0);
    expect(bench.activeErrors).toBe(CMDQ_ERR);
  });

  test("IHI 0070 §7.5: an error that is active is not toggled again", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.bus.inject({ base: DOORBELL, size: 4, status: BusStatus.abort });
    bench.submit(command.sync(1, 1, DOORBELL), command.sync(1, 2, DOORBELL));
    bench.settle();
    expect(bench.r32(at.CMDQ_CONS)).toBe(2);
    expect(bench.activeErrors).toBe(MSI_CMDQ_ABT_ERR);
  });

  test("IHI 0070 §6.3.20: GERRORN holds the implemented bits last written", () => {
    const bench = new Bench();
    bench.w32(at.GERRORN, 0xffff_ffff);
    // CMDQ, aborts of EVENTQ and PRIQ, MSI aborts of CMDQ, EVENTQ, PRIQ and GERROR, SFM; no ECMDQ, DPT.
    expect(bench.r32(at.GERRORN)).toBe(0x1fd);
    expect(bench.lint).toContain("gerrorn-inactive");
  });

  test("IHI 0070 §6.3.19: without MSIs their abort bits do not exist", () => {
    const bench = new Bench(profiles.tiny);
    bench.w32(at.GERRORN, 0xffff_ffff);
    expect(bench.r32(at.GERRORN)).toBe(0x105);
  });

  test("IHI 0070 §6.3.20: acknowledging one error leaves the others active", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.bus.inject({ base: DOORBELL, size: 4, status: BusStatus.abort });
    bench.submit(command.sync(1, 1, DOORBELL), command.reserved);
    bench.settle();
    expect(bench.activeErrors).toBe(CMDQ_ERR | MSI_CMDQ_ABT_ERR);
    bench.w32(at.GERRORN, MSI_CMDQ_ABT_ERR);
    expect(bench.activeErrors).toBe(CMDQ_ERR);
  });

  test("activation and acknowledge are traced", () => {
    const bench = new Bench();
    const seen: string[] = [];
    bench.trace.on("smmu.gerror", ({ data }) => seen.push(`${data.bit} ${data.active}`));
    failCommand(bench);
    bench.w32(at.CMDQ_PROD, 0);
    bench.w32(at.GERRORN, CMDQ_ERR);
    expect(seen).toEqual(["CMDQ_ERR true", "CMDQ_ERR false"]);
  });
});

describe("interrupts", () => {
  test("IHI 0070 §7.5.1: an activated error pulses the GERROR interrupt only while GERROR_IRQEN is 1", () => {
    const silent = new Bench();
    failCommand(silent);
    expect(silent.pulses).toEqual([]);
    const heard = new Bench();
    heard.enableInterrupts(GERROR_IRQEN);
    failCommand(heard);
    expect(heard.pulses).toEqual(["gerror"]);
  });

  test("IHI 0070 §6.3.16: what happened before the enable is not signalled after it", () => {
    const bench = new Bench();
    failCommand(bench);
    bench.enableInterrupts(GERROR_IRQEN);
    expect(bench.pulses).toEqual([]);
  });

  test("IHI 0070 §6.3.16: after IRQEN 1 to 0 is acknowledged there is no interrupt any more", () => {
    const bench = new Bench();
    bench.enableInterrupts(GERROR_IRQEN | EVENTQ_IRQEN);
    bench.enableInterrupts(EVENTQ_IRQEN);
    failCommand(bench);
    expect(bench.pulses).toEqual([]);
  });

  test("IHI 0070 §3.18: an MSI of DATA to ADDR is sent beside the wired pulse", () => {
    const bench = new Bench();
    msi(bench, at.GERROR_IRQ_CFG0, DOORBELL, 77);
    bench.enableInterrupts(GERROR_IRQEN);
    failCommand(bench);
    expect(bench.memory32(DOORBELL)).toBe(77);
    expect(bench.pulses).toEqual(["gerror"]);
  });

  test("IHI 0070 §3.18: with ADDR 0 there is the wired pulse only", () => {
    const bench = new Bench();
    msi(bench, at.GERROR_IRQ_CFG0, 0, 77);
    bench.enableInterrupts(GERROR_IRQEN);
    failCommand(bench);
    expect(bench.accesses.filter((access) => access.startsWith("msi"))).toEqual([]);
    expect(bench.pulses).toEqual(["gerror"]);
  });

  test("IHI 0070 §3.18: the Event queue has its own address and data", () => {
    const bench = new Bench();
    bench.startEvents(2);
    msi(bench, at.EVENTQ_IRQ_CFG0, DOORBELL + 8, 78);
    msi(bench, at.GERROR_IRQ_CFG0, DOORBELL, 77);
    bench.enableInterrupts(EVENTQ_IRQEN | GERROR_IRQEN);
    bench.side.events.record(record(1));
    expect(bench.memory32(DOORBELL + 8)).toBe(78);
    expect(bench.memory32(DOORBELL)).toBe(0);
  });

  test("IHI 0070 §7.5: an Event queue MSI that aborts activates MSI_EVENTQ_ABT_ERR, which is a GERROR interrupt", () => {
    const bench = new Bench();
    bench.startEvents(2);
    msi(bench, at.EVENTQ_IRQ_CFG0, 0x1000, 78);
    msi(bench, at.GERROR_IRQ_CFG0, DOORBELL, 77);
    bench.enableInterrupts(EVENTQ_IRQEN | GERROR_IRQEN);
    bench.side.events.record(record(1));
    expect(bench.activeErrors).toBe(MSI_EVENTQ_ABT_ERR);
    expect(bench.memory32(DOORBELL)).toBe(77);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(1);
  });

  test("IHI 0070 §7.5.1: MSI_GERROR_ABT_ERR is recorded and triggers no interrupt itself", () => {
    const bench = new Bench();
    msi(bench, at.GERROR_IRQ_CFG0, 0x1000, 77);
    bench.enableInterrupts(GERROR_IRQEN);
    failCommand(bench);
    expect(bench.activeErrors).toBe(CMDQ_ERR | MSI_GERROR_ABT_ERR);
    expect(bench.accesses.filter((access) => access.startsWith("msi"))).toEqual(["msi write 0x1000"]);
    expect(bench.pulses).toEqual(["gerror"]);
  });
});
