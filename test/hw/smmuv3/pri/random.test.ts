// SPDX-License-Identifier: MIT
/**
 * Random programs: functions ask, software consumes, acknowledges, switches and is hit by aborts. After each step the registers,
 * the queue in memory, the responses and the interrupts are those of a queue that is written down here as chapter 8 says it.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BusStatus, bypassSte, type PageRequest } from "../../../../src/hw/index.ts";
import {
  ALL_ON,
  at,
  FAILURE,
  GERROR_IRQEN,
  LO,
  OVFLG,
  PriBench,
  PRIQ,
  PRIQ_ABT_ERR,
  PRIQ_IRQEN,
  PRIQEN,
  request,
  SMMUEN,
  SUCCESS,
} from "./bench.ts";

type Step =
  | { readonly do: "ask"; readonly streamId: number; readonly what: PageRequest; readonly abort: boolean }
  | { readonly do: "consume"; readonly count: number; readonly acknowledge: boolean }
  | { readonly do: "cr0"; readonly value: number }
  | { readonly do: "acknowledge-error" }
  | { readonly do: "interrupts"; readonly lo: boolean; readonly on: boolean };

/** Stream 1 has PPAR 1, stream 2 PPAR 0, stream 3 no valid STE, stream 0x100 is beyond the table. */
const STREAMS = [1, 2, 3, 0x100] as const;
const PPAR: Readonly<Record<number, boolean | undefined>> = { 1: true, 2: false };

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("ask" as const),
      streamId: fc.constantFrom(...STREAMS),
      what: fc
        .record({
          substreamId: fc.constantFrom(-1, 0, 9),
          read: fc.boolean(),
          write: fc.boolean(),
          last: fc.boolean(),
          groupIndex: fc.nat(0x1ff),
        })
        .map(request),
      abort: fc.nat(9).map((n) => n === 0),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("consume" as const), count: fc.nat(3), acknowledge: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("cr0" as const), value: fc.constantFrom(ALL_ON, ALL_ON, ALL_ON & ~PRIQEN, ALL_ON & ~SMMUEN) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "acknowledge-error" as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("interrupts" as const), lo: fc.boolean(), on: fc.boolean() }) },
);

/** The queue as chapter 8 has it: a list, without indexes. */
class Oracle {
  readonly waiting: [number, number][] = [];
  written = 0;
  consumed = 0;
  overflow = false;
  flag = false;
  error = false;
  cr0 = ALL_ON;
  lo = false;
  on = true;
  readonly responses: [number, number, number, number][] = [];
  interrupts = 0;
  readonly #size: number;
  readonly #pps: boolean;

  constructor(size: number, pps: boolean) {
    this.#size = size;
    this.#pps = pps;
  }

  ask(streamId: number, what: PageRequest, abort: boolean): void {
    const marker = what.substreamId >= 0 && what.last && !what.read && !what.write;
    const answer = (pasid: number, code: number): void => {
      if (!marker) this.responses.push([streamId, pasid, what.groupIndex, code]);
    };
    const effective = (this.cr0 & (SMMUEN | PRIQEN)) === (SMMUEN | PRIQEN);
    if (!effective || this.error) {
      answer(-1, FAILURE);
      return;
    }
    if (!this.overflow && this.waiting.length === this.#size) {
      this.overflow = true;
      this.flag = !this.flag;
    }
    if (this.overflow) {
      if (!what.last) return;
      if (this.lo && this.on) this.interrupts++;
      if (what.substreamId < 0) answer(-1, SUCCESS);
      else if (this.#pps) answer(what.substreamId, SUCCESS);
      else if (PPAR[streamId] === undefined) answer(-1, FAILURE);
      else answer(PPAR[streamId] ? what.substreamId : -1, SUCCESS);
      return;
    }
    if (abort) {
      this.error = true;
      answer(-1, FAILURE);
      return;
    }
    const interrupt = this.lo ? what.last : this.waiting.length === 0;
    this.waiting.push([streamId, what.groupIndex]);
    this.written++;
    if (interrupt && this.on) this.interrupts++;
  }

  consume(count: number, acknowledge: boolean): void {
    this.consumed += Math.min(count, this.waiting.length);
    this.waiting.splice(0, count);
    if (acknowledge) this.overflow = false;
  }
}

function carryOut(bench: PriBench, oracle: Oracle, step: Step, log2: number): void {
  const wrap = 2 ** (log2 + 1);
  switch (step.do) {
    case "ask": {
      const stop = step.abort ? bench.bus.inject({ base: PRIQ, size: 16 * 2 ** log2, status: BusStatus.abort, on: "write" }) : undefined;
      bench.smmu.requestPage(step.streamId, step.what);
      stop?.();
      oracle.ask(step.streamId, step.what, step.abort);
      return;
    }
    case "consume": {
      oracle.consume(step.count, step.acknowledge);
      const acknowledged = step.acknowledge ? oracle.flag : (bench.r32(at.PRIQ_CONS) & OVFLG) !== 0;
      bench.w32(at.PRIQ_CONS, (oracle.consumed % wrap) + (acknowledged ? OVFLG : 0));
      return;
    }
    case "cr0":
      bench.cr0(step.value);
      oracle.cr0 = step.value;
      return;
    case "acknowledge-error":
      bench.w32(at.GERRORN, bench.r32(at.GERROR));
      oracle.error = false;
      return;
    case "interrupts":
      bench.interrupts(0);
      bench.w32(at.PRIQ_IRQ_CFG2, step.lo ? LO : 0);
      bench.interrupts((step.on ? PRIQ_IRQEN : 0) | GERROR_IRQEN);
      oracle.lo = step.lo;
      oracle.on = step.on;
  }
}

/** What software and functions can see of the queue. */
interface View {
  readonly prod: number;
  readonly errors: number;
  readonly responses: readonly (readonly number[])[];
  readonly interrupts: number;
  /** Those that wait, as [StreamID, group]. */
  readonly entries: readonly (readonly number[])[];
}

function seen(bench: PriBench, oracle: Oracle, log2: number): View {
  const entry = (index: number): number[] => {
    const [low, high] = bench.entry(index % 2 ** log2);
    return [Number(low & 0xffff_ffffn), Number(high & 0x1ffn)];
  };
  return {
    prod: bench.prod,
    errors: bench.activeErrors,
    responses: bench.responses,
    interrupts: bench.pulses.filter((line) => line === "priq").length,
    entries: oracle.waiting.map((_, i) => entry(oracle.consumed + i)),
  };
}

function due({ written, flag, error, responses, interrupts, waiting }: Oracle, log2: number): View {
  return {
    prod: (written % 2 ** (log2 + 1)) + (flag ? OVFLG : 0),
    errors: error ? PRIQ_ABT_ERR : 0,
    responses,
    interrupts,
    entries: waiting,
  };
}

test.each([
  [0, false],
  [1, true],
  [2, false],
])("IHI 0070 §8.1 … §8.3: any program sees the queue of chapter 8: 2^%i entries, PPS %s", (log2, pps) => {
  fc.assert(
    fc.property(fc.array(steps, { minLength: 5, maxLength: 60 }), (program) => {
      const bench = new PriBench({ config: { pps } }).start(log2);
      bench.streams.write(1, bypassSte({ PPAR: 1 }));
      bench.streams.write(2, bypassSte());
      bench.interrupts(PRIQ_IRQEN | GERROR_IRQEN);
      const oracle = new Oracle(2 ** log2, pps);
      for (const step of program) {
        carryOut(bench, oracle, step, log2);
        expect(seen(bench, oracle, log2)).toEqual(due(oracle, log2));
      }
    }),
    { numRuns: 60, seed: 8 },
  );
});
