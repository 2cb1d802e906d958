// SPDX-License-Identifier: MIT
/** Queues that are switched, acknowledged and restarted while something is under way (IHI 0070 §4.1, §6.3.9, §7.1, §7.2, §7.4). */
import { describe, expect, test } from "vitest";
import { BusStatus, profiles } from "../../../../src/hw/index.ts";
import { Bench, CMDQ, CMDQEN, DOORBELL, EVENTQ, EVENTQEN, EVENTQ_IRQEN, GERROR_IRQEN, at, command, record } from "./bench.ts";

const CMDQ_ERR = 1;
const EVENTQ_ABT_ERR = 1 << 2;
const MSI_EVENTQ_ABT_ERR = 1 << 5;
const OVFLG = 0x8000_0000;
const ERR_ILL = 1 << 24;
const IRQ = 1;
const { commandNs } = profiles.max.timing;
const slow = { ...profiles.max, timing: { commandNs: 1000, updateNs: 50 } };

describe("Command queue", () => {
  test("§6.3.9.3: CMDQEN 1 to 0 with an illegal command in progress: acknowledged when the error is there", () => {
    const bench = new Bench(slow);
    bench.startCommands(3);
    bench.submit(command.reserved, command.nsnhAll);
    bench.w32(at.CR0, 0);
    bench.simulation.advance(999);
    expect(bench.r32(at.CR0ACK)).toBe(CMDQEN);
    bench.simulation.advance(1);
    expect(bench.r32(at.CR0ACK)).toBe(0);
    expect(bench.activeErrors).toBe(CMDQ_ERR);
    expect(bench.r32(at.CMDQ_CONS)).toBe(ERR_ILL);
  });

  test("§6.3.9.3: from the write of CMDQEN 0 on nothing is fetched, also not before the acknowledge", () => {
    const bench = new Bench(slow);
    bench.startCommands(3);
    bench.w32(at.CR0, 0);
    bench.submit(command.nsnhAll);
    bench.settle();
    expect(bench.accesses).toEqual([]);
    expect(bench.r32(at.CMDQ_CONS)).toBe(0);
  });

  test("§6.3.9.3: commands that were not consumed are fetched anew after CMDQEN 0 to 1", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.cfgiAll, command.cfgiAll);
    bench.w32(at.CR0, 0);
    bench.settle();
    expect(bench.r32(at.CMDQ_CONS)).toBe(1);
    bench.putCommand(1, command.nsnhAll);
    bench.enable(CMDQEN);
    expect(bench.cacheCalls).toEqual(["invalidateAll()", "nsnhAll()"]);
  });

  test("§7.1: acknowledging with CMDQEN 0 restarts nothing; enabling then does", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.reserved);
    bench.settle();
    bench.enable(0);
    bench.putCommand(0, command.nsnhAll);
    bench.w32(at.GERRORN, CMDQ_ERR);
    bench.settle();
    expect(bench.cacheCalls).toEqual([]);
    bench.enable(CMDQEN);
    expect(bench.cacheCalls).toEqual(["nsnhAll()"]);
  });

  test("§7.1: commands submitted while the error is active wait for the acknowledge", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.reserved);
    bench.settle();
    bench.putCommand(0, command.cfgiAll);
    bench.putCommand(1, command.nsnhAll);
    bench.w32(at.CMDQ_PROD, 2);
    bench.settle();
    expect(bench.cacheCalls).toEqual([]);
    bench.w32(at.GERRORN, CMDQ_ERR);
    bench.settle();
    expect(bench.cacheCalls).toEqual(["invalidateAll()", "nsnhAll()"]);
    expect(bench.lint).toEqual([]);
  });

  test("§7.1: an abort is repaired by the memory and the acknowledge; PROD need not be written", () => {
    const bench = new Bench();
    bench.startCommands(3);
    const stop = bench.bus.inject({ base: CMDQ, size: 16, status: BusStatus.abort });
    bench.submit(command.nsnhAll);
    bench.settle();
    expect(bench.r32(at.CMDQ_CONS) >>> 24).toBe(2);
    stop();
    bench.w32(at.GERRORN, CMDQ_ERR);
    bench.settle();
    expect(bench.cacheCalls).toEqual(["nsnhAll()"]);
    expect(bench.r32(at.CMDQ_CONS) & 0xf_ffff).toBe(1);
  });

  test("§7.1: the error code is visible when the GERROR interrupt comes, and CONS is at the command", () => {
    const bench = new Bench();
    bench.w64(at.GERROR_IRQ_CFG0, DOORBELL, 0);
    bench.enableInterrupts(GERROR_IRQEN);
    bench.startCommands(3);
    const seen: number[] = [];
    bench.trace.on("smmu.access", ({ data }) => {
      if (data.access === "msi") seen.push(bench.r32(at.CMDQ_CONS), bench.r32(at.GERROR));
    });
    bench.submit(command.cfgiAll, command.reserved);
    bench.settle();
    expect(seen).toEqual([ERR_ILL | 1, CMDQ_ERR]);
  });

  test("§6.3.28: a further error replaces the code of the one before", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit(command.reserved);
    bench.settle();
    bench.bus.inject({ base: CMDQ, size: 16, status: BusStatus.abort });
    bench.w32(at.GERRORN, CMDQ_ERR);
    bench.settle();
    expect(bench.r32(at.CMDQ_CONS)).toBe(2 << 24);
  });

  test("§4.1.2: IDR0.SEV: each command that is consumed from a full queue wakes; a failing one does not", () => {
    for (const sev of [true, false]) {
      const bench = new Bench({ ...profiles.max, sev });
      bench.startCommands(0);
      for (const prod of [1, 0, 1]) {
        bench.putCommand(0, command.nsnhAll);
        bench.w32(at.CMDQ_PROD, prod);
        bench.settle();
      }
      bench.putCommand(0, command.reserved);
      bench.w32(at.CMDQ_PROD, 0);
      bench.settle();
      expect(bench.wakeEvents).toBe(sev ? 3 : 0);
    }
  });
});

describe("CMD_SYNC", () => {
  test("§4.7.3: commands behind a CMD_SYNC do not begin before its signal", () => {
    const bench = new Bench();
    bench.startCommands(3);
    const seen: number[] = [];
    bench.trace.on("smmu.access", ({ data }) => {
      if (data.access === "msi") seen.push(bench.cacheCalls.length);
    });
    bench.submit(command.nsnhAll, command.sync(IRQ, 1, DOORBELL), command.cfgiAll, command.sync(IRQ, 2, DOORBELL));
    bench.settle();
    expect(seen).toEqual([1, 2]);
  });

  test("§4.7.3, §3.18.1: the MSIs of several CMD_SYNCs become visible in their order, each before the next is consumed", () => {
    const bench = new Bench();
    bench.startCommands(3);
    const seen: string[] = [];
    bench.trace.on("smmu.access", ({ data }) => {
      if (data.access === "msi") seen.push(`${bench.memory32(DOORBELL)} at CONS ${bench.r32(at.CMDQ_CONS)}`);
    });
    bench.submit(command.sync(IRQ, 11, DOORBELL), command.sync(IRQ, 12, DOORBELL), command.sync(IRQ, 13, DOORBELL));
    bench.simulation.advance(commandNs);
    expect(bench.memory32(DOORBELL)).toBe(11);
    bench.settle();
    expect(seen).toEqual(["11 at CONS 1", "12 at CONS 2", "13 at CONS 3"]);
  });

  test("§4.7.3: when the SEV of a CMD_SYNC comes, CONS is past it", () => {
    const bench = new Bench();
    const seen: number[] = [];
    const notice = (): void => {
      seen.push(bench.r32(at.CMDQ_CONS));
    };
    Object.defineProperty(bench, "wakeEvents", { get: () => 0, set: notice });
    bench.startCommands(3);
    bench.submit(command.nsnhAll, command.sync(2));
    bench.settle();
    expect(seen).toEqual([2]);
  });

  test("§3.18.1: the abort of a CMD_SYNC's MSI is in GERROR before the next command is consumed", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.bus.inject({ base: DOORBELL, size: 4, status: BusStatus.abort, on: "write" });
    bench.submit(command.sync(IRQ, 1, DOORBELL), command.nsnhAll);
    bench.simulation.advance(commandNs);
    expect(bench.activeErrors).toBe(1 << 4);
    expect(bench.r32(at.CMDQ_CONS)).toBe(1);
    bench.settle();
    expect(bench.cacheCalls).toEqual(["nsnhAll()"]);
  });

  test("§4.7.3: MSH and MSIAttr of any value leave address and data as they are", () => {
    const bench = new Bench();
    bench.startCommands(8);
    let turn = 0;
    for (const msh of [0, 1, 2, 3]) {
      for (let attr = 0; attr < 16; attr++) {
        bench.putCommand(turn, [0x46 | (IRQ << 12) | (msh << 22) | (attr << 24), turn + 1, DOORBELL, 0]);
        bench.w32(at.CMDQ_PROD, ++turn);
        bench.settle(1000);
        expect(bench.memory32(DOORBELL)).toBe(turn);
      }
    }
  });

  test("§4.7.3: MSIAddress is bits [55:2]: bits 0 and 1 of the word do not count", () => {
    const bench = new Bench();
    bench.startCommands(3);
    bench.submit([0x46 | (IRQ << 12), 5, DOORBELL | 3, 0], [0x46 | (IRQ << 12), 6, 3, 0]);
    bench.settle();
    expect(bench.memory32(DOORBELL)).toBe(5);
    expect(bench.accesses.filter((access) => access.startsWith("msi"))).toEqual([`msi write 0x${DOORBELL.toString(16)}`]);
  });

  test("§4.7.3: the check for address 0 spans the whole field: bits beyond the output address size ask for an MSI", () => {
    const bench = new Bench({ ...profiles.max, oas: 40, vax: 48 });
    bench.startCommands(3);
    bench.submit([0x46 | (IRQ << 12), 5, 0, 0x0000_0100]);
    bench.settle();
    expect(bench.accesses.at(-1)).toBe("msi write 0x0");
    expect(bench.activeErrors).toBe(1 << 4);
  });

  test.each([
    [0, 0x0001_0000],
    [1, 0x0010_0000],
    [3, 0x0010_0000],
  ] as const)("§4.1.6: v3.%i has no MSIAddress bits from %i in the upper word on: alone they ask for no MSI", (version, hi) => {
    const bench = new Bench({ ...profiles.max, version });
    bench.startCommands(3);
    bench.submit([0x46 | (IRQ << 12), 5, 0, hi], [0x46 | (IRQ << 12), 6, DOORBELL, hi]);
    bench.settle();
    expect(bench.memory32(DOORBELL)).toBe(6);
    expect(bench.activeErrors).toBe(0);
  });
});

describe("Event queue", () => {
  test("§6.3.9.4: records stay where they are over EVENTQEN 1 to 0 to 1, and the next one follows them", () => {
    const bench = new Bench();
    bench.startEvents(2);
    bench.side.events.record(record(1));
    bench.enable(0);
    expect(bench.side.events.record(record(2))).toBe(false);
    bench.enable(EVENTQEN);
    bench.side.events.record(record(3));
    expect(bench.r32(at.EVENTQ_PROD)).toBe(2);
    expect([bench.memory32(EVENTQ), bench.memory32(EVENTQ + 32)]).toEqual([record(1)[0], record(3)[0]]);
  });

  test("§7.4: neither a disabled queue nor one in abort enters the overflow condition, full as it may be", () => {
    const bench = new Bench();
    bench.startEvents(0);
    bench.side.events.record(record(1));
    bench.enable(0);
    bench.side.events.record(record(2));
    expect(bench.r32(at.EVENTQ_PROD)).toBe(1);
    bench.enable(EVENTQEN);
    bench.w32(at.EVENTQ_CONS, 1);
    const stop = bench.bus.inject({ base: EVENTQ, size: 32, status: BusStatus.abort, on: "write" });
    bench.side.events.record(record(3));
    stop();
    bench.w32(at.EVENTQ_CONS, 0);
    expect(bench.activeErrors).toBe(EVENTQ_ABT_ERR);
    bench.side.events.record(record(4));
    expect(bench.r32(at.EVENTQ_PROD)).toBe(1);
  });

  test("§7.2.2: an abort with records in the queue: those stay valid and the slot is used again after the acknowledge", () => {
    const bench = new Bench();
    bench.startEvents(2);
    bench.enableInterrupts(EVENTQ_IRQEN | GERROR_IRQEN);
    bench.side.events.record(record(1));
    const stop = bench.bus.inject({ base: EVENTQ + 32, size: 32, status: BusStatus.abort, on: "write" });
    expect(bench.side.events.record(record(2))).toBe(false);
    stop();
    expect(bench.pulses).toEqual(["eventq", "gerror"]);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(1);
    expect(bench.memory32(EVENTQ)).toBe(record(1)[0]);
    bench.w32(at.GERRORN, EVENTQ_ABT_ERR);
    expect(bench.side.events.record(record(3))).toBe(true);
    expect(bench.memory32(EVENTQ + 32)).toBe(record(3)[0]);
    expect(bench.pulses).toEqual(["eventq", "gerror"]);
  });

  test("§7.2.2: EVENTQEN off and on does not acknowledge EVENTQ_ABT_ERR", () => {
    const bench = new Bench();
    bench.startEvents(2);
    const stop = bench.bus.inject({ base: EVENTQ, size: 32, status: BusStatus.abort, on: "write" });
    bench.side.events.record(record(1));
    stop();
    bench.enable(0);
    bench.enable(EVENTQEN);
    expect(bench.side.events.record(record(2))).toBe(false);
    expect(bench.activeErrors).toBe(EVENTQ_ABT_ERR);
  });

  test("§6.3.16: an enable of the interrupt with records in the queue signals nothing; nor does the next record", () => {
    const bench = new Bench();
    bench.startEvents(2);
    bench.side.events.record(record(1));
    bench.enableInterrupts(EVENTQ_IRQEN);
    bench.side.events.record(record(2));
    expect(bench.pulses).toEqual([]);
    bench.w32(at.EVENTQ_CONS, 2);
    bench.side.events.record(record(3));
    expect(bench.pulses).toEqual(["eventq"]);
  });

  test("§7.4: an overflow while the last one is not acknowledged changes nothing, and PROD keeps its flag over the wrap", () => {
    const bench = new Bench();
    bench.startEvents(1);
    for (let tag = 1; tag <= 3; tag++) bench.side.events.record(record(tag));
    expect(bench.r32(at.EVENTQ_PROD)).toBe((OVFLG | 2) >>> 0);
    bench.w32(at.EVENTQ_CONS, 2);
    bench.side.events.record(record(4));
    bench.side.events.record(record(5));
    expect(bench.r32(at.EVENTQ_PROD)).toBe(OVFLG);
    bench.side.events.record(record(6));
    expect(bench.r32(at.EVENTQ_PROD)).toBe(OVFLG);
    bench.w32(at.EVENTQ_CONS, OVFLG | 2);
    bench.side.events.record(record(7));
    expect(bench.r32(at.EVENTQ_PROD)).toBe(0);
  });

  test("§7.5: an MSI of the Event queue that aborts does not stop delivery nor later MSIs", () => {
    const bench = new Bench();
    bench.startEvents(2);
    bench.w64(at.EVENTQ_IRQ_CFG0, DOORBELL, 0);
    bench.w32(at.EVENTQ_IRQ_CFG1, 9);
    bench.enableInterrupts(EVENTQ_IRQEN);
    const stop = bench.bus.inject({ base: DOORBELL, size: 4, status: BusStatus.abort, on: "write" });
    expect(bench.side.events.record(record(1))).toBe(true);
    stop();
    expect(bench.activeErrors).toBe(MSI_EVENTQ_ABT_ERR);
    bench.w32(at.EVENTQ_CONS, 1);
    expect(bench.side.events.record(record(2))).toBe(true);
    expect(bench.memory32(DOORBELL)).toBe(9);
  });

  test("§6.2: with the page-0 alias the queue is driven by 0xA8 and 0xAC alone; without it they drive nothing", () => {
    for (const page0Alias of [true, false]) {
      const bench = new Bench({ ...profiles.max, page0Alias });
      bench.w64(at.EVENTQ_BASE, EVENTQ + 1, 0);
      bench.w32(at.EVENTQ_PROD, 0);
      bench.w32(at.EVENTQ_CONS, 0);
      bench.enable(EVENTQEN);
      bench.side.events.record(record(1));
      bench.side.events.record(record(2));
      expect(bench.r32(0xa8)).toBe(page0Alias ? 2 : 0);
      bench.w32(0xac, 2);
      expect(bench.side.events.record(record(3))).toBe(page0Alias);
      expect(bench.r32(at.EVENTQ_CONS)).toBe(page0Alias ? 2 : 0);
    }
  });
});
