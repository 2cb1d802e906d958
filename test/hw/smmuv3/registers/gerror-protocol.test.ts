// SPDX-License-Identifier: MIT
/** The handshake of GERROR and GERRORN, the same for each error that the model has, driven by what causes it (IHI 0070 §7.5). */
import { describe, expect, test } from "vitest";
import { BusStatus } from "../../../../src/hw/index.ts";
import { Bench, CMDQEN, EVENTQ, EVENTQEN, EVENTQ_IRQEN, GERROR_IRQEN, RAM, SMMUEN, at, command, record } from "./bench.ts";

/** Addresses that abort. */
const BROKEN = RAM + 0x50_0000;

interface Cause {
  readonly name: string;
  readonly bit: number;
  /** Makes it possible, with GERROR_IRQEN as asked. */
  setUp(bench: Bench, interrupts: number): void;
  /** One occurrence. */
  occur(bench: Bench): void;
}

function breakMemory(bench: Bench): void {
  bench.bus.inject({ base: BROKEN, size: 0x1000, status: BusStatus.abort });
}

/** Puts one more command behind the last. */
function issue(bench: Bench, words: readonly number[]): void {
  const prod = bench.r32(at.CMDQ_PROD);
  bench.putCommand(prod & 7, words);
  bench.w32(at.CMDQ_PROD, (prod + 1) & 15);
  bench.settle();
}

/** The next event finds the queue empty. */
function drainEvents(bench: Bench): void {
  bench.w32(at.EVENTQ_CONS, bench.r32(at.EVENTQ_PROD));
}

const causes: readonly Cause[] = [
  {
    name: "CMDQ_ERR",
    bit: 1 << 0,
    setUp(bench, interrupts) {
      bench.enableInterrupts(interrupts);
      bench.startCommands(3);
    },
    // The same command is met again when the error has been acknowledged.
    occur(bench) {
      if (bench.r32(at.CMDQ_PROD) === 0) issue(bench, command.reserved);
      else bench.settle();
    },
  },
  {
    name: "EVENTQ_ABT_ERR",
    bit: 1 << 2,
    setUp(bench, interrupts) {
      breakMemory(bench);
      bench.enableInterrupts(interrupts);
      bench.w64(at.EVENTQ_BASE, BROKEN + 3, 0);
      bench.enable(EVENTQEN);
    },
    occur: (bench) => void bench.side.events.record(record(1)),
  },
  {
    name: "MSI_CMDQ_ABT_ERR",
    bit: 1 << 4,
    setUp(bench, interrupts) {
      breakMemory(bench);
      bench.enableInterrupts(interrupts);
      bench.startCommands(3);
    },
    occur: (bench) => issue(bench, command.sync(1, 1, BROKEN)),
  },
  {
    name: "MSI_EVENTQ_ABT_ERR",
    bit: 1 << 5,
    setUp(bench, interrupts) {
      breakMemory(bench);
      bench.w64(at.EVENTQ_IRQ_CFG0, BROKEN, 0);
      bench.enableInterrupts(interrupts | EVENTQ_IRQEN);
      bench.startEvents(3);
    },
    occur(bench) {
      drainEvents(bench);
      expect(bench.side.events.record(record(1))).toBe(true);
    },
  },
  {
    name: "MSI_GERROR_ABT_ERR",
    bit: 1 << 7,
    setUp(bench, interrupts) {
      breakMemory(bench);
      bench.w64(at.GERROR_IRQ_CFG0, BROKEN, 0);
      bench.enableInterrupts(interrupts);
      bench.startCommands(3);
    },
    // Another error, whose own interrupt message aborts; that error is acknowledged at once.
    occur(bench) {
      issue(bench, command.sync(1, 1, BROKEN));
      bench.w32(at.GERRORN, bench.r32(at.GERRORN) ^ (1 << 4));
    },
  },
  {
    name: "SFM_ERR",
    bit: 1 << 8,
    setUp: (bench, interrupts) => bench.enableInterrupts(interrupts),
    occur: (bench) => bench.side.failService(),
  },
];

function acknowledge(bench: Bench, bit: number): void {
  bench.w32(at.GERRORN, bench.r32(at.GERRORN) ^ bit);
}

describe.each(causes)("GERROR.$name", ({ name, bit, setUp, occur }) => {
  function started(interrupts: number = GERROR_IRQEN): Bench {
    const bench = new Bench();
    setUp(bench, interrupts);
    return bench;
  }

  test("IHI 0070 §6.3.19: an occurrence toggles its bit, and GERRORN stays", () => {
    const bench = started();
    occur(bench);
    expect(bench.activeErrors).toBe(bit);
    expect((bench.r32(at.GERROR) & bit) >>> 0).toBe(bit);
    expect(bench.r32(at.GERRORN) & bit).toBe(0);
  });

  test("IHI 0070 §7.5: while it is active further occurrences change nothing and do not signal", () => {
    const bench = started();
    occur(bench);
    const before = [bench.r32(at.GERROR) & bit, bench.activeErrors];
    const pulses = bench.pulses.filter((line) => line === "gerror").length;
    occur(bench);
    expect([bench.r32(at.GERROR) & bit, bench.activeErrors]).toEqual(before);
    // The cause of MSI_GERROR_ABT_ERR is an error with a signal of its own.
    expect(bench.pulses.filter((line) => line === "gerror")).toHaveLength(name === "MSI_GERROR_ABT_ERR" ? pulses + 1 : pulses);
  });

  test("IHI 0070 §6.3.20: software makes GERRORN equal; the next occurrence toggles the bit back", () => {
    const bench = started();
    occur(bench);
    acknowledge(bench, bit);
    if (name !== "CMDQ_ERR") {
      expect(bench.activeErrors).toBe(0);
      expect(bench.r32(at.GERROR) & bit).toBe(bit);
    }
    occur(bench);
    expect(bench.activeErrors).toBe(bit);
    expect(bench.r32(at.GERROR) & bit).toBe(0);
    acknowledge(bench, bit);
    if (name !== "CMDQ_ERR") expect(bench.activeErrors).toBe(0);
  });

  test("IHI 0070 §7.5.1: its activation is a GERROR interrupt, but for MSI_GERROR_ABT_ERR; with GERROR_IRQEN 0 there is none", () => {
    const bench = started();
    occur(bench);
    // MSI_GERROR_ABT_ERR comes with the one signal of the error before it.
    expect(bench.pulses.filter((line) => line === "gerror")).toHaveLength(1);
    const quiet = started(0);
    if (name === "MSI_GERROR_ABT_ERR") return;
    occur(quiet);
    expect(quiet.activeErrors).toBe(bit);
    expect(quiet.pulses.filter((line) => line === "gerror")).toEqual([]);
  });

  test("IHI 0070 §6.3.19: a change of the enables does not acknowledge it", () => {
    const bench = started();
    occur(bench);
    bench.enable(0);
    bench.enable(SMMUEN | CMDQEN | EVENTQEN);
    bench.enableInterrupts(0);
    expect(bench.activeErrors & bit).toBe(bit);
  });
});

test("IHI 0070 §6.3.19: errors are independent: one that is active does not hide another", () => {
  const bench = new Bench();
  breakMemory(bench);
  bench.startCommands(3);
  bench.startEvents(3);
  bench.bus.inject({ base: EVENTQ, size: 0x100, status: BusStatus.abort });
  bench.side.events.record(record(1));
  issue(bench, command.sync(1, 1, BROKEN));
  issue(bench, command.reserved);
  expect(bench.activeErrors).toBe(0b1_0101);
  acknowledge(bench, 1 << 2);
  expect(bench.activeErrors).toBe(0b1_0001);
});
