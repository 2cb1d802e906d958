// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { profiles } from "../../../../src/hw/index.ts";
import { Bench, CMDQ, CMDQEN, DOORBELL, EVENTQ, EVENTQEN, SMMUEN, at, command, record } from "./bench.ts";

const GBPA_UPDATE = 0x8000_0000;
const GBPA_ABORT = 1 << 20;

/** A 32-bit register write followed by polling its acknowledge, one microsecond apart, as Linux does. */
function writeAndPoll(bench: Bench, register: number, acknowledge: number, value: number): void {
  bench.w32(register, value);
  for (let tries = 0; tries < 10 && bench.r32(acknowledge) !== value; tries++) bench.simulation.advance(1000);
  expect(bench.r32(acknowledge)).toBe(value);
}

describe("what drivers do", () => {
  test("Linux arm_smmu_device_reset: tables, queues, maintenance with polled MSIs, interrupts, then SMMUEN", () => {
    const bench = new Bench(profiles["linux-typical"]);
    writeAndPoll(bench, at.CR0, at.CR0ACK, 0);
    bench.w32(at.CR1, 0xd75);
    bench.w32(at.CR2, 0x6);
    bench.w64(at.STRTAB_BASE, 0x4100_0000, 1 << 30);
    bench.w32(at.STRTAB_BASE_CFG, (1 << 16) | (8 << 6) | 24);
    bench.w64(at.CMDQ_BASE, CMDQ + 8, 1 << 30);
    bench.w32(at.CMDQ_PROD, 0);
    bench.w32(at.CMDQ_CONS, 0);
    writeAndPoll(bench, at.CR0, at.CR0ACK, CMDQEN);
    // Each step: the commands, then a CMD_SYNC whose MSI clears the first word of its own slot.
    let prod = 0;
    for (const words of [command.cfgiAll, [0x20, 0, 0, 0], command.nsnhAll]) {
      bench.putCommand(prod, words);
      const slot = CMDQ + 16 * (prod + 1);
      bench.putCommand(prod + 1, command.sync(1, 0, slot));
      prod += 2;
      bench.w32(at.CMDQ_PROD, prod);
      for (let tries = 0; tries < 10 && bench.memory32(slot) !== 0; tries++) bench.simulation.advance(1000);
      expect(bench.memory32(slot)).toBe(0);
      expect(bench.r32(at.CMDQ_CONS)).toBe(prod);
    }
    expect(bench.cacheCalls).toEqual(["invalidateAll()", "el2All()", "nsnhAll()"]);
    bench.w64(at.EVENTQ_BASE, EVENTQ + 7, 1 << 30);
    bench.w32(at.EVENTQ_PROD, 0);
    bench.w32(at.EVENTQ_CONS, 0);
    writeAndPoll(bench, at.CR0, at.CR0ACK, CMDQEN | EVENTQEN);
    writeAndPoll(bench, at.IRQ_CTRL, at.IRQ_CTRLACK, 0);
    for (const [offset, data] of [
      [at.GERROR_IRQ_CFG0, 81],
      [at.EVENTQ_IRQ_CFG0, 80],
    ] as const) {
      bench.w64(offset, 0, 0);
      bench.w64(offset, DOORBELL, 0);
      bench.w32(offset + 8, data);
      bench.w32(offset + 12, 1);
    }
    writeAndPoll(bench, at.IRQ_CTRL, at.IRQ_CTRLACK, 5);
    writeAndPoll(bench, at.CR0, at.CR0ACK, CMDQEN | EVENTQEN | SMMUEN);
    expect(bench.r32(at.CR1)).toBe(0xd75);
    expect(bench.side.registers.strtabBase()).toBe(0x4100_0000);
    expect(bench.side.registers.smmuEnabled()).toBe(true);
    bench.side.events.record(record(1));
    expect(bench.memory32(DOORBELL)).toBe(80);
    expect(bench.activeErrors).toBe(0);
    expect(bench.lint).toEqual([]);
  });

  test("Linux arm_smmu_device_disable: CR0 to 0 is acknowledged even while commands are in progress", () => {
    const bench = new Bench(profiles["linux-typical"]);
    bench.startCommands(8);
    bench.enable(CMDQEN | SMMUEN);
    bench.submit(command.cfgiAll, command.nsnhAll, command.sync(0));
    writeAndPoll(bench, at.CR0, at.CR0ACK, 0);
    expect(bench.side.registers.smmuEnabled()).toBe(false);
  });

  test("Linux arm_smmu_update_gbpa: poll, read-modify-write with UPDATE, poll", () => {
    const bench = new Bench(profiles["linux-typical"]);
    const reg = bench.r32(at.GBPA);
    expect(reg & GBPA_UPDATE).toBe(0);
    bench.w32(at.GBPA, reg | GBPA_ABORT | GBPA_UPDATE);
    for (let tries = 0; tries < 10 && (bench.r32(at.GBPA) & GBPA_UPDATE) !== 0; tries++) bench.simulation.advance(1000);
    expect(bench.r32(at.GBPA)).toBe(reg | GBPA_ABORT);
    expect(bench.side.registers.gbpa()).toBe(reg | GBPA_ABORT);
  });

  test("QEMU iommu-smmuv3-test: registers without polling, unaligned queue base, event indexes at page 0, in force at once", () => {
    const bench = new Bench(profiles.qemu);
    bench.w32(at.GBPA, GBPA_UPDATE);
    bench.w32(at.CR0, 0);
    bench.w32(at.CR1, 0xd75);
    bench.w64(at.CMDQ_BASE, 0x4e16_b00a, 0);
    bench.w32(at.CMDQ_CONS, 0);
    bench.w32(at.CMDQ_PROD, 0);
    bench.w64(at.EVENTQ_BASE, 0x4e17_000a, 0);
    bench.w32(0xa8, 0);
    bench.w32(0xac, 0);
    bench.w32(at.STRTAB_BASE_CFG, 5);
    bench.w64(at.STRTAB_BASE, 0x4e17_9000, 0);
    bench.w32(at.CR0, 0xd);
    expect(bench.side.registers.smmuEnabled()).toBe(true);
    expect(bench.side.registers.strtabBase()).toBe(0x4e17_9000);
    expect(bench.side.registers.strtabBaseCfg()).toBe(5);
    expect(bench.activeErrors).toBe(0);
  });

  test("Hafnium: CMDQ_PROD reads back as written after every write, through the wrap", () => {
    const bench = new Bench();
    bench.startCommands(2);
    for (let entry = 0; entry < 4; entry++) bench.putCommand(entry, command.nsnhAll);
    for (let turn = 1; turn <= 20; turn++) {
      bench.w32(at.CMDQ_PROD, turn % 8);
      expect(bench.r32(at.CMDQ_PROD)).toBe(turn % 8);
      bench.settle();
    }
  });

  test("FreeBSD smmu_evtq_dequeue: one 64-bit read gives EVENTQ_PROD and EVENTQ_CONS", () => {
    const bench = new Bench();
    bench.startEvents(3);
    bench.side.events.record(record(1));
    bench.side.events.record(record(2));
    bench.w32(at.EVENTQ_CONS, 1);
    expect(bench.r64(at.EVENTQ_PROD)).toEqual([2, 1]);
  });

  test("EDK2 SmmuDxe: a PROD that loses its wrap flag after one lap is named", () => {
    const bench = new Bench();
    bench.startCommands(1);
    bench.putCommand(0, command.nsnhAll);
    bench.putCommand(1, command.nsnhAll);
    bench.w32(at.CMDQ_PROD, 2);
    bench.settle();
    bench.w32(at.CMDQ_PROD, 1);
    expect(bench.lint).toEqual(["prod-inconsistent"]);
  });
});
