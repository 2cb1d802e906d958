// SPDX-License-Identifier: MIT
/** Service Failure Mode: GERROR.SFM_ERR (IHI 0070 §12.3, §7.5). */
import { describe, expect, test } from "vitest";
import { Outcome, Smmu, SystemBus, Transaction, createSmmuHost, profiles } from "../../../../src/hw/index.ts";
import { Simulation } from "../../../../src/sim/index.ts";
import { Bench, CMDQEN, GERROR_IRQEN, RAM, at, command, record } from "./bench.ts";

const SFM_ERR = 1 << 8;

describe("Service Failure Mode", () => {
  test("IHI 0070 §12.3, §7.5.1: SFM_ERR becomes active and is a GERROR interrupt; registers stay readable", () => {
    const bench = new Bench();
    bench.enableInterrupts(GERROR_IRQEN);
    const idr0 = bench.r32(at.IDR0);
    bench.side.failService();
    expect(bench.activeErrors).toBe(SFM_ERR);
    expect(bench.pulses).toEqual(["gerror"]);
    expect(bench.r32(at.IDR0)).toBe(idr0);
  });

  test("IHI 0070 §6.3.19: acknowledging the error does not end the mode", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.side.failService();
    bench.w32(at.GERRORN, SFM_ERR);
    expect(bench.activeErrors).toBe(0);
    bench.submit(command.cfgiAll);
    bench.settle();
    expect(bench.r32(at.CMDQ_CONS)).toBe(0);
  });

  test("IHI 0070 §12.3: the queues are not accessed any more", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.startEvents(3);
    bench.side.failService();
    bench.submit(command.cfgiAll);
    bench.settle();
    expect(bench.side.events.record(record(1))).toBe(false);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(0);
    expect(bench.accesses).toEqual([]);
  });

  test("IHI 0070 §12.3, §6.3.9: a command in progress has no effect, and CMDQEN can still be cleared", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.cfgiAll, command.nsnhAll);
    bench.side.failService();
    bench.w32(at.CR0, 0);
    bench.settle();
    expect(bench.cacheCalls).toEqual([]);
    expect(bench.r32(at.CMDQ_CONS)).toBe(0);
    expect(bench.r32(at.CR0ACK)).toBe(0);
  });

  test("IHI 0070 §12.3: transactions abort, also those that would bypass, until a reset", () => {
    const bus = new SystemBus();
    bus.addRam({ name: "ram", base: RAM, size: 0x1000 });
    const smmu = new Smmu(profiles.max, createSmmuHost({ simulation: new Simulation(), bus }));
    const tx = new Transaction();
    tx.setAddress(RAM);
    expect(smmu.translate(tx)).toBe(Outcome.forward);
    smmu.failService();
    expect(smmu.translate(tx)).toBe(Outcome.abort);
    expect([tx.physical, tx.event, tx.recorded]).toEqual([0, 0, false]);
    smmu.reset();
    expect(smmu.translate(tx)).toBe(Outcome.forward);
    expect(smmu.read(at.GERROR, 4)).toBe(0);
  });

  test("after a reset commands run again", () => {
    const bench = new Bench();
    bench.side.failService();
    bench.side.reset();
    bench.startCommands(3);
    bench.submit(command.cfgiAll);
    bench.settle();
    expect(bench.r32(at.CMDQ_CONS)).toBe(1);
    expect(bench.r32(at.CR0)).toBe(CMDQEN);
  });
});
