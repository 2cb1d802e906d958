// SPDX-License-Identifier: MIT
/** Sizes, bases and indexes of the Command and the Event queue, all of them (IHI 0070 §3.5.1, §6.3.26 … §6.3.29, §6.3.95, §6.3.96). */
import { describe, expect, test } from "vitest";
import { type SmmuConfig, profiles } from "../../../../src/hw/index.ts";
import { Bench, CMDQ, CMDQEN, EVENTQ, EVENTQEN, at, command, record } from "./bench.ts";

const instant: SmmuConfig = { ...profiles.max, timing: { commandNs: 0, updateNs: 0 } };
const OVFLG = 0x8000_0000;
/** A base with every bit from 5 up to 23 set: none but those above the alignment may count. */
const RAGGED = 0x4cff_ffe0;
const SIZES = Array.from({ length: 20 }, (_, log2) => log2);

interface Queue {
  readonly base: number;
  readonly prod: number;
  readonly cons: number;
  readonly enable: number;
  readonly entry: number;
  /** Consumes or produces one entry. */
  step(bench: Bench, index: number): void;
}

const QUEUES: readonly (readonly [string, Queue])[] = [
  [
    "Command queue",
    {
      base: at.CMDQ_BASE,
      prod: at.CMDQ_PROD,
      cons: at.CMDQ_CONS,
      enable: CMDQEN,
      entry: 16,
      step: (bench, index) => bench.w32(at.CMDQ_PROD, index),
    },
  ],
  [
    "Event queue",
    {
      base: at.EVENTQ_BASE,
      prod: at.EVENTQ_PROD,
      cons: at.EVENTQ_CONS,
      enable: EVENTQEN,
      entry: 32,
      step: (bench) => bench.side.events.record(record(1)),
    },
  ],
];

for (const [name, queue] of QUEUES) {
  describe(name, () => {
    test.each(SIZES)("2^%i entries: the base is aligned down to the queue or 32 bytes; index and wrap flag go over the end", (log2) => {
      const size = 2 ** log2;
      const aligned = RAGGED - (RAGGED % Math.max(32, size * queue.entry));
      for (const wrap of [0, size]) {
        const bench = new Bench(instant);
        const last = size - 1;
        for (const entry of [last, 0]) {
          bench.bus.memory.storeWords(aligned + entry * queue.entry, Uint32Array.from(command.nsnhAll), 4);
        }
        bench.w64(queue.base, RAGGED + log2, 0);
        bench.w32(queue.prod, wrap + last);
        bench.w32(queue.cons, wrap + last);
        bench.w32(at.CR0, queue.enable);
        const after = (wrap + size) % (2 * size);
        queue.step(bench, after);
        queue.step(bench, (after + 1) % (2 * size));
        if (name === "Event queue" && size === 1) {
          // One record fills it, the other overflows.
          expect(bench.r32(queue.prod)).toBe((OVFLG | after) >>> 0);
          expect(bench.accesses.map((access) => access.split(" ")[2])).toEqual([hex(aligned)]);
        } else {
          expect(bench.accesses.map((access) => access.split(" ")[2])).toEqual([hex(aligned + last * queue.entry), hex(aligned)]);
          expect(bench.r32(name === "Event queue" ? queue.prod : queue.cons)).toBe((after + 1) % (2 * size));
        }
      }
    });

    test("bits of the base beyond the output address size are RES0 and take no part", () => {
      const bench = new Bench({ ...instant, oas: 40, vax: 48 });
      bench.putCommand(0, command.nsnhAll);
      bench.w64(queue.base, CMDQ + 3, 0x00ff_ff00);
      expect(bench.r64(queue.base)).toEqual([CMDQ + 3, 0]);
      bench.w32(queue.prod, 0);
      bench.w32(queue.cons, 0);
      bench.w32(at.CR0, queue.enable);
      queue.step(bench, 1);
      expect(bench.accesses[0]).toContain(hex(CMDQ));
    });

    test("a smaller LOG2SIZE cuts the indexes: what was above the new wrap flag counts no more", () => {
      const bench = new Bench(instant);
      bench.putCommand(1, command.nsnhAll);
      bench.w64(queue.base, CMDQ + 8, 0);
      bench.w32(queue.prod, 0x1f5);
      bench.w32(queue.cons, 0x0a5);
      bench.w64(queue.base, CMDQ + 2, 0);
      bench.w32(at.CR0, queue.enable);
      // 3 bits are left of each: 5 and 5, empty, at entry 1 of 4 with wrap flag 1.
      queue.step(bench, 6);
      expect(bench.accesses).toEqual([expect.stringContaining(hex(CMDQ + queue.entry))]);
      expect(bench.r32(name === "Event queue" ? queue.prod : queue.cons)).toBe(6);
    });
  });
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}

/** §3.5.1: the states in which the agent may put the indexes, and the entries that are then in the queue. */
function entriesIn(prod: number, cons: number, size: number): number | undefined {
  const [prodWrap, consWrap] = [Math.floor(prod / size), Math.floor(cons / size)];
  const [wr, rd] = [prod % size, cons % size];
  if (prodWrap === consWrap) return wr >= rd ? wr - rd : undefined;
  return wr <= rd ? size + wr - rd : undefined;
}

describe("every pair of indexes", () => {
  for (const log2 of [0, 1, 2, 3]) {
    const size = 2 ** log2;
    const pairs = Array.from({ length: 4 * size * size }, (_, i) => [Math.floor(i / (2 * size)), i % (2 * size)] as const);

    test(`Command queue of 2^${log2}: consistent ones give as many commands, inconsistent ones none and a lint message`, () => {
      for (const [prod, cons] of pairs) {
        const bench = new Bench(instant);
        for (let entry = 0; entry < size; entry++) bench.putCommand(entry, command.nsnhAll);
        bench.w64(at.CMDQ_BASE, CMDQ + log2, 0);
        bench.w32(at.CMDQ_PROD, prod);
        bench.w32(at.CMDQ_CONS, cons);
        bench.w32(at.CR0, CMDQEN);
        const due = entriesIn(prod, cons, size);
        expect([prod, cons, bench.cacheCalls.length]).toEqual([prod, cons, due ?? 0]);
        expect([prod, cons, bench.r32(at.CMDQ_CONS)]).toEqual([prod, cons, due === undefined ? cons : prod]);
        expect(bench.lint).toEqual(due === undefined ? ["prod-inconsistent"] : []);
      }
    });

    test(`Event queue of 2^${log2}: consistent ones leave room for the rest, inconsistent ones count as full`, () => {
      for (const [prod, cons] of pairs) {
        const bench = new Bench(instant);
        bench.w64(at.EVENTQ_BASE, EVENTQ + log2, 0);
        bench.w32(at.EVENTQ_PROD, prod);
        bench.w32(at.EVENTQ_CONS, cons);
        bench.w32(at.CR0, EVENTQEN);
        const used = entriesIn(prod, cons, size);
        const room = used === undefined ? 0 : size - used;
        let written = 0;
        while (written <= size && bench.side.events.record(record(written))) written++;
        expect([prod, cons, written]).toEqual([prod, cons, room]);
        expect(bench.r32(at.EVENTQ_PROD)).toBe((OVFLG | ((prod + room) % (2 * size))) >>> 0);
        expect(bench.lint).toEqual(used === undefined ? ["cons-inconsistent"] : []);
      }
    });
  }
});

test("an MSI whose receiver submits the next command at once does not keep a register write from returning", () => {
  const bench = new Bench(instant);
  let received = 0;
  const door = 0x0a00_0000;
  const device = {
    read: () => 0,
    write: () => {
      received++;
      bench.w32(at.CMDQ_PROD, (received + 1) & 1);
    },
  };
  bench.bus.addWindow({ name: "door", base: door, size: 0x1000, device });
  bench.startCommands(0);
  bench.putCommand(0, command.sync(1, 1, door));
  bench.w32(at.CMDQ_PROD, 1);
  expect(received).toBe(1);
  bench.simulation.advance(10);
  expect(received).toBe(11);
});
