// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { profiles } from "../../../../src/hw/index.ts";
import { Bench, CMDQEN, EVENTQEN, SMMUEN, at, command } from "./bench.ts";

const updateNs = profiles.max.timing.updateNs;
const ATSCHK = 16;
const PRIQEN = 2;
const VMW = 7 << 6;
const commandNs = profiles.max.timing.commandNs;

describe("CR0 and CR0ACK", () => {
  test("IHI 0070 §6.3.9: a value written to CR0 reads back at once; CR0ACK follows when the Update is complete", () => {
    const bench = new Bench();
    bench.w32(at.CR0, EVENTQEN);
    expect(bench.r32(at.CR0)).toBe(EVENTQEN);
    expect(bench.r32(at.CR0ACK)).toBe(0);
    bench.simulation.advance(updateNs - 1);
    expect(bench.r32(at.CR0ACK)).toBe(0);
    bench.simulation.advance(1);
    expect(bench.r32(at.CR0ACK)).toBe(EVENTQEN);
  });

  test("IHI 0070 §6.3.10: reserved fields and fields of absent features are not mirrored into CR0ACK", () => {
    const bench = new Bench();
    bench.enable(0xffff_ffff);
    // DPT is absent: VMW, ATSCHK, SMMUEN, PRIQEN, EVENTQEN and CMDQEN remain.
    expect(bench.r32(at.CR0)).toBe(VMW | ATSCHK | SMMUEN | PRIQEN | EVENTQEN | CMDQEN);
    expect(bench.r32(at.CR0ACK)).toBe(VMW | ATSCHK | SMMUEN | PRIQEN | EVENTQEN | CMDQEN);
    const without = new Bench({ ...profiles.max, vmw: false, ats: false, pri: false });
    without.enable(0xffff_ffff);
    expect(without.r32(at.CR0ACK)).toBe(SMMUEN | EVENTQEN | CMDQEN);
  });

  test("IHI 0070 §6.3.9: each field is Updated by itself", () => {
    const bench = new Bench();
    bench.w32(at.CR0, EVENTQEN);
    bench.simulation.advance(updateNs / 2);
    bench.w32(at.CR0, EVENTQEN | SMMUEN);
    bench.simulation.advance(updateNs / 2);
    expect(bench.r32(at.CR0ACK)).toBe(EVENTQEN);
    bench.simulation.advance(updateNs / 2);
    expect(bench.r32(at.CR0ACK)).toBe(EVENTQEN | SMMUEN);
  });

  test("IHI 0070 §6.3.9: a field that is changed again before its Update is complete finishes with the first value", () => {
    const bench = new Bench();
    bench.w32(at.CR0, SMMUEN);
    bench.w32(at.CR0, 0);
    expect(bench.lint).toContain("field-in-transition");
    bench.settle();
    expect(bench.r32(at.CR0ACK)).toBe(SMMUEN);
    expect(bench.r32(at.CR0)).toBe(SMMUEN);
  });

  test("IHI 0070 §6.3.9: writing the same value while an Update is pending is allowed", () => {
    const bench = new Bench();
    bench.w32(at.CR0, SMMUEN);
    bench.w32(at.CR0, SMMUEN);
    bench.settle();
    expect(bench.r32(at.CR0ACK)).toBe(SMMUEN);
    expect(bench.lint).toEqual([]);
  });

  test("IHI 0070 §6.3.9: translation counts as enabled from the acknowledge on, and as disabled from the acknowledge on", () => {
    const bench = new Bench();
    bench.w32(at.CR0, SMMUEN);
    expect(bench.side.registers.smmuEnabled()).toBe(false);
    bench.settle();
    expect(bench.side.registers.smmuEnabled()).toBe(true);
    bench.w32(at.CR0, 0);
    expect(bench.side.registers.smmuEnabled()).toBe(true);
    bench.settle();
    expect(bench.side.registers.smmuEnabled()).toBe(false);
  });

  test("IHI 0070 §6.3.9: CMDQEN 1 to 0 is acknowledged when the command in progress is consumed; nothing newer is fetched", () => {
    const bench = new Bench({ ...profiles.max, timing: { updateNs: 50, commandNs: 1000 } });
    bench.startCommands(3);
    bench.submit(command.cfgiAll, command.nsnhAll);
    bench.w32(at.CR0, 0);
    bench.simulation.advance(999);
    expect(bench.r32(at.CR0ACK)).toBe(CMDQEN);
    bench.simulation.advance(1);
    expect(bench.r32(at.CR0ACK)).toBe(0);
    expect(bench.r32(at.CMDQ_CONS)).toBe(1);
    bench.settle();
    expect(bench.r32(at.CMDQ_CONS)).toBe(1);
    expect(bench.cacheCalls).toEqual(["invalidateAll()"]);
    expect(bench.lint).toContain("cmdqen-cleared-with-work");
  });

  test("IHI 0070 §6.3.9: CMDQEN 0 to 1 starts consumption of what is in the queue", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.enable(0);
    bench.submit(command.cfgiAll);
    bench.settle();
    expect(bench.r32(at.CMDQ_CONS)).toBe(0);
    bench.w32(at.CR0, CMDQEN);
    bench.simulation.advance(updateNs + commandNs);
    expect(bench.r32(at.CMDQ_CONS)).toBe(1);
  });

  test("a configuration with updateNs 0 acknowledges within the write", () => {
    const bench = new Bench(profiles.qemu);
    bench.w32(at.CR0, 0xd);
    expect(bench.r32(at.CR0ACK)).toBe(0xd);
    bench.w32(at.IRQ_CTRL, 0x5);
    expect(bench.r32(at.IRQ_CTRLACK)).toBe(0x5);
  });
});

describe("IRQ_CTRL and IRQ_CTRLACK", () => {
  test("IHI 0070 §6.3.16: IRQ_CTRLACK follows IRQ_CTRL after the Update, implemented bits only", () => {
    const bench = new Bench();
    bench.w32(at.IRQ_CTRL, 0xffff_ffff);
    expect(bench.r32(at.IRQ_CTRL)).toBe(0x7);
    expect(bench.r32(at.IRQ_CTRLACK)).toBe(0);
    bench.simulation.advance(updateNs);
    expect(bench.r32(at.IRQ_CTRLACK)).toBe(0x7);
    const without = new Bench({ ...profiles.max, pri: false });
    without.enableInterrupts(0xffff_ffff);
    expect(without.r32(at.IRQ_CTRLACK)).toBe(0x5);
  });
});

describe("GBPA", () => {
  const ABORT = 1 << 20;
  const UPDATE = 0x8000_0000;

  test("IHI 0070 §6.3.14: resets to the configured ABORT with Update 0", () => {
    expect(new Bench().r32(at.GBPA)).toBe(0x1000);
    const aborting = new Bench({ ...profiles.max, gbpaResetAbort: true });
    expect(aborting.r32(at.GBPA)).toBe(0x10_1000);
    expect(aborting.side.registers.gbpa() & ABORT).toBe(ABORT);
  });

  test("IHI 0070 §6.3.14.1: a write with Update 1 reads back at once, is applied after the Update, and Update clears", () => {
    const bench = new Bench();
    bench.w32(at.GBPA, UPDATE | ABORT);
    expect(bench.r32(at.GBPA)).toBe((UPDATE | ABORT) >>> 0);
    expect(bench.side.registers.gbpa() & ABORT).toBe(0);
    bench.simulation.advance(updateNs);
    expect(bench.r32(at.GBPA)).toBe(ABORT);
    expect(bench.side.registers.gbpa()).toBe(ABORT);
  });

  test("IHI 0070 §6.3.14.1: a write without Update is ignored (v3.2+)", () => {
    const bench = new Bench();
    bench.w32(at.GBPA, ABORT);
    bench.settle();
    expect(bench.r32(at.GBPA)).toBe(0x1000);
    expect(bench.side.registers.gbpa()).toBe(0x1000);
    expect(bench.lint).toEqual(["gbpa-without-update"]);
  });

  test("IHI 0070 §6.3.14.1: a write while Update is 1 is ignored and the running update keeps its value (v3.2+)", () => {
    const bench = new Bench();
    bench.w32(at.GBPA, UPDATE | ABORT);
    bench.w32(at.GBPA, UPDATE | 0x2000);
    expect(bench.lint).toEqual(["guarded-write"]);
    bench.settle();
    expect(bench.r32(at.GBPA)).toBe(ABORT);
    bench.w32(at.GBPA, UPDATE | 0x2000);
    bench.settle();
    expect(bench.r32(at.GBPA)).toBe(0x2000);
  });

  test("IHI 0070 §6.3.14: without the override features the attribute fields act as use-incoming", () => {
    const bench = new Bench({ ...profiles.max, attrTypesOvr: false, attrPermsOvr: false });
    bench.w32(at.GBPA, UPDATE | ABORT | (3 << 18) | (3 << 16) | (3 << 12) | (0xf << 8) | (1 << 4));
    bench.settle();
    expect(bench.side.registers.gbpa()).toBe(ABORT | 0x1000);
  });

  test("IHI 0070 §6.3.14: reserved bits read as zero", () => {
    const bench = new Bench();
    bench.w32(at.GBPA, 0xffff_ffff);
    bench.settle();
    expect(bench.r32(at.GBPA)).toBe(0x001f_3f1f);
    expect(bench.lint).toContain("reserved-bits");
  });
});
