// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { BusStatus, profiles } from "../../../../src/hw/index.ts";
import { Bench, CMDQ, CMDQEN, SMMUEN, at, command } from "./bench.ts";

const commandNs = profiles.max.timing.commandNs;
const CMDQ_ERR = 1;
const CERROR_ILL = 1;
const CERROR_ABT = 2;

function errorCode(bench: Bench): number {
  return (bench.r32(at.CMDQ_CONS) >>> 24) & 0x7f;
}

function consIndex(bench: Bench): number {
  return bench.r32(at.CMDQ_CONS) & 0xf_ffff;
}

describe("consumption", () => {
  test("IHI 0070 §4.1.4: CONS moves past a command when its time has passed and its effect has happened", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.cfgiAll, command.nsnhAll);
    expect(consIndex(bench)).toBe(0);
    bench.simulation.advance(commandNs - 1);
    expect(bench.cacheCalls).toEqual([]);
    expect(consIndex(bench)).toBe(0);
    bench.simulation.advance(1);
    expect(bench.cacheCalls).toEqual(["invalidateAll()"]);
    expect(consIndex(bench)).toBe(1);
    bench.simulation.advance(commandNs);
    expect(bench.cacheCalls).toEqual(["invalidateAll()", "nsnhAll()"]);
    expect(consIndex(bench)).toBe(2);
  });

  test("IHI 0070 §4.1: the queue works with SMMUEN 0 and stands still with CMDQEN 0", () => {
    const bench = new Bench();
    bench.w64(at.CMDQ_BASE, CMDQ + 3, 0);
    bench.enable(SMMUEN);
    bench.submit(command.cfgiAll);
    bench.settle();
    expect(consIndex(bench)).toBe(0);
    bench.enable(CMDQEN);
    expect(consIndex(bench)).toBe(1);
  });

  test("IHI 0070 §4.1.2: nothing at or beyond PROD is fetched", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.putCommand(1, command.reserved);
    bench.submit(command.cfgiAll);
    bench.settle();
    expect(bench.accesses).toEqual([`cmdq read 0x${CMDQ.toString(16)}`]);
    expect(bench.activeErrors).toBe(0);
  });

  test.each([0, 1, 2, 5])("IHI 0070 §3.5.1: a queue of 2^%i entries goes round three times with its wrap flag", (log2) => {
    const bench = new Bench();
    const size = 2 ** log2;
    bench.startCommands(log2);
    for (let entry = 0; entry < size; entry++) bench.putCommand(entry, [0x03, entry, 0, 0]);
    for (let turn = 1; turn <= 3 * size; turn++) {
      bench.w32(at.CMDQ_PROD, turn % (2 * size));
      bench.settle();
      expect(consIndex(bench)).toBe(turn % (2 * size));
      expect(bench.cacheCalls.at(-1)).toBe(`invalidateSte(${(turn - 1) % size}, false)`);
    }
    expect(bench.activeErrors).toBe(0);
  });

  test.each([0, 1, 3])("IHI 0070 §3.5.1: a full queue of 2^%i entries is consumed whole", (log2) => {
    const bench = new Bench();
    const size = 2 ** log2;
    bench.startCommands(log2);
    for (let entry = 0; entry < size; entry++) bench.putCommand(entry, command.nsnhAll);
    bench.w32(at.CMDQ_PROD, size);
    bench.settle();
    expect(consIndex(bench)).toBe(size);
    expect(bench.cacheCalls).toHaveLength(size);
  });

  test("IHI 0070 §6.3.26: LOG2SIZE is capped by IDR1.CMDQS in use and reads back as written", () => {
    const bench = new Bench({ ...profiles.max, cmdqLog2Max: 2 });
    bench.startCommands(10);
    expect(bench.r32(at.CMDQ_BASE) & 0x1f).toBe(10);
    expect(bench.lint).toContain("queue-too-large");
    for (let entry = 0; entry < 4; entry++) bench.putCommand(entry, command.nsnhAll);
    bench.w32(at.CMDQ_PROD, 4);
    bench.settle();
    expect(consIndex(bench)).toBe(4);
    bench.w32(at.CMDQ_PROD, 5);
    bench.settle();
    expect(bench.accesses.at(-1)).toBe(`cmdq read 0x${CMDQ.toString(16)}`);
  });

  test("IHI 0070 §6.3.26: the base is aligned down to the size of the queue", () => {
    const bench = new Bench();
    bench.w64(at.CMDQ_BASE, CMDQ + 0x40 + 3, 0);
    bench.enable(CMDQEN);
    bench.submit(command.nsnhAll);
    bench.settle();
    expect(bench.accesses).toEqual([`cmdq read 0x${CMDQ.toString(16)}`]);
    expect(bench.lint).toContain("queue-base-alignment");
  });

  test("IHI 0070 §6.3.27: index bits above the size have no effect", () => {
    const bench = new Bench();
    bench.startCommands(2);
    bench.putCommand(0, command.nsnhAll);
    bench.w32(at.CMDQ_PROD, 0xf_0001);
    bench.settle();
    expect(consIndex(bench)).toBe(1);
    expect(bench.cacheCalls).toEqual(["nsnhAll()"]);
  });

  test("IHI 0070 §6.3.28: bits of CONS above the wrap flag read as zero", () => {
    const bench = new Bench();
    bench.w64(at.CMDQ_BASE, CMDQ + 2, 0);
    bench.w32(at.CMDQ_CONS, 0xf_ffff);
    expect(bench.r32(at.CMDQ_CONS)).toBe(0x7);
  });

  test.each([
    ["PROD > CONS with different wrap", 0, 0b1001],
    ["PROD < CONS with equal wrap", 3, 2],
  ])("IHI 0070 §3.21.2: inconsistent PROD (%s): nothing is consumed until the queue has been disabled", (_case, cons, prod) => {
    const bench = new Bench();
    bench.startCommands(3, cons);
    bench.w32(at.CMDQ_PROD, prod);
    bench.settle();
    expect(bench.accesses).toEqual([]);
    expect(consIndex(bench)).toBe(cons);
    expect(bench.lint).toContain("prod-inconsistent");
    bench.putCommand(cons, command.nsnhAll);
    bench.w32(at.CMDQ_PROD, cons + 1);
    bench.settle();
    expect(consIndex(bench)).toBe(cons);
    bench.enable(0);
    bench.enable(CMDQEN);
    expect(consIndex(bench)).toBe(cons + 1);
  });

  test("IHI 0070 §3.5.1: while the queue is off its indexes may pass through any state; on enabling they are checked", () => {
    const bench = new Bench();
    bench.w64(at.CMDQ_BASE, CMDQ + 3, 0);
    bench.w32(at.CMDQ_CONS, 5);
    bench.w32(at.CMDQ_PROD, 0);
    expect(bench.lint).toEqual([]);
    bench.enable(CMDQEN);
    expect(bench.lint).toEqual(["prod-inconsistent"]);
  });

  test("IHI 0070 §3.5.1: PROD moved back over commands that were submitted is named", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.nsnhAll, command.nsnhAll, command.nsnhAll);
    bench.w32(at.CMDQ_PROD, 1);
    expect(bench.lint).toEqual(["prod-backwards"]);
  });

  test("IHI 0070 §4.1.1: IDR0.SEV sends an event when a queue that was full becomes non-full", () => {
    const bench = new Bench();
    bench.startCommands(1);
    bench.submit(command.nsnhAll, command.nsnhAll);
    bench.simulation.advance(commandNs);
    expect(bench.wakeEvents).toBe(1);
    bench.settle();
    expect(bench.wakeEvents).toBe(1);
  });

  test("with commandNs 0 a write of PROD returns when all commands are consumed", () => {
    const bench = new Bench(profiles.qemu);
    bench.startCommands(12);
    for (let entry = 0; entry < 4096; entry++) bench.putCommand(entry, command.nsnhAll);
    const before = bench.simulation.now;
    bench.w32(at.CMDQ_PROD, 4096);
    expect(consIndex(bench)).toBe(4096);
    expect(bench.simulation.now).toBe(before);
  });
});

describe("errors", () => {
  test("IHI 0070 §7.1: an illegal command: CONS stays at it, ERR says CERROR_ILL, CMDQ_ERR is active, nothing newer acts", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.cfgiAll, command.reserved, command.nsnhAll);
    bench.settle();
    expect(consIndex(bench)).toBe(1);
    expect(errorCode(bench)).toBe(CERROR_ILL);
    expect(bench.activeErrors).toBe(CMDQ_ERR);
    expect(bench.cacheCalls).toEqual(["invalidateAll()"]);
  });

  test("IHI 0070 §7.1: an abort of the fetch: CONS stays at the entry that could not be read, ERR says CERROR_ABT", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.bus.inject({ base: CMDQ + 16, size: 16, status: BusStatus.abort });
    bench.submit(command.cfgiAll, command.nsnhAll);
    bench.settle();
    expect(consIndex(bench)).toBe(1);
    expect(errorCode(bench)).toBe(CERROR_ABT);
    expect(bench.activeErrors).toBe(CMDQ_ERR);
  });

  test("IHI 0070 §7.1: a poisoned entry is an abort", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.bus.inject({ base: CMDQ, size: 16, status: BusStatus.poison });
    bench.submit(command.cfgiAll);
    bench.settle();
    expect(errorCode(bench)).toBe(CERROR_ABT);
  });

  test("IHI 0070 §7.1: a queue whose base decodes to nothing ends in CERROR_ABT", () => {
    const bench = new Bench();
    bench.w64(at.CMDQ_BASE, 3, 0x10);
    bench.enable(CMDQEN);
    bench.w32(at.CMDQ_PROD, 1);
    bench.settle();
    expect(errorCode(bench)).toBe(CERROR_ABT);
  });

  test("IHI 0070 §7.1: consumption goes on by itself after GERRORN acknowledges, with entries fetched anew", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.reserved, command.nsnhAll);
    bench.settle();
    bench.putCommand(0, command.sync(0));
    bench.w32(at.GERRORN, bench.r32(at.GERROR));
    bench.settle();
    expect(consIndex(bench)).toBe(2);
    expect(bench.cacheCalls).toEqual(["nsnhAll()"]);
    expect(bench.activeErrors).toBe(0);
  });

  test("IHI 0070 §7.1: acknowledged without repair, the same command fails again", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.reserved);
    bench.settle();
    bench.w32(at.GERRORN, CMDQ_ERR);
    expect(bench.activeErrors).toBe(0);
    bench.settle();
    expect(bench.activeErrors).toBe(CMDQ_ERR);
    expect(bench.r32(at.GERROR)).toBe(0);
  });

  test("IHI 0070 §4.1.3: while the error is active PROD may be moved back to CONS", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.reserved, command.nsnhAll);
    bench.settle();
    bench.w32(at.CMDQ_PROD, 0);
    bench.w32(at.GERRORN, CMDQ_ERR);
    bench.settle();
    expect(bench.activeErrors).toBe(0);
    expect(bench.cacheCalls).toEqual([]);
    expect(bench.lint).toEqual([]);
  });

  test("IHI 0070 §6.3.28: CMDQEN off and on neither acknowledges CMDQ_ERR nor restarts the queue", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.reserved);
    bench.settle();
    bench.enable(0);
    bench.putCommand(0, command.nsnhAll);
    bench.enable(CMDQEN);
    expect(bench.activeErrors).toBe(CMDQ_ERR);
    expect(consIndex(bench)).toBe(0);
    expect(bench.cacheCalls).toEqual([]);
  });

  test("IHI 0070 §6.3.28: with CMDQEN 0, CONS can be written", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.nsnhAll);
    bench.settle();
    bench.w32(at.CMDQ_CONS, 5);
    expect(consIndex(bench)).toBe(1);
    expect(bench.lint).toEqual(["guarded-write"]);
    bench.enable(0);
    bench.w32(at.CMDQ_CONS, 5);
    expect(consIndex(bench)).toBe(5);
  });

  test("Linux arm_smmu_cmdq_skip_err: the failing slot overwritten by a CMD_SYNC lets the queue go on", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.cfgiAll, command.reserved, command.sync(0));
    bench.settle();
    expect(errorCode(bench)).toBe(CERROR_ILL);
    bench.putCommand(bench.r32(at.CMDQ_CONS) & 0x7, command.sync(0));
    bench.w32(at.GERRORN, bench.r32(at.GERROR));
    bench.settle();
    expect(consIndex(bench)).toBe(3);
  });
});
