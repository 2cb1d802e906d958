// SPDX-License-Identifier: MIT
/**
 * Anything that software may do, in any order: no exception, no loop without bound, no memory without bound, and only what
 * IHI 0070 allows comes out. FUZZ_SEED and FUZZ_STEPS in the environment look further; a failure names the seed and the step.
 */
import { describe, expect, test } from "vitest";
import { Prng } from "../../../../src/sim/index.ts";
import { BusStatus, Outcome, smmuRegisters, type StalledTransaction, Transaction } from "../../../../src/hw/index.ts";
import { Draw } from "./draw.ts";
import { HIGH_RAM, LOW_RAM, type Machine } from "./machine.ts";
import { judge } from "./oracle.ts";
import { injectAbort, spoil, vary } from "./mistakes.ts";
import { drawScenario, type Kinds, type Scenario } from "./scenario.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const STEPS = Number(process.env["FUZZ_STEPS"] ?? 50_000);
/** Steps on one machine. */
const LIFE = 500;
/** Reads that one step may take: 100 commands, or one nested walk. */
const BUDGET = 2000;

const EVENTS = [0x02, 0x03, 0x04, 0x06, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13];
const OFFSETS = smmuRegisters.map(({ offset }) => offset);

/** Random words without end. */
class Endless extends Draw {
  readonly #prng: Prng;

  constructor(seed: number) {
    super(new Uint32Array(0));
    this.#prng = new Prng(seed);
  }

  override word(): number {
    return this.#prng.nextU32();
  }
}

/** Values that registers and structures are made of: few bits, all bits, addresses in RAM, anything. */
function value(draw: Draw): number {
  switch (draw.nat(5)) {
    case 0:
      return draw.nat(31);
    case 1:
      return (2 ** draw.nat(31)) >>> 0;
    case 2:
      return (draw.nat(LOW_RAM - 1) & ~0xfff) >>> 0;
    case 3:
      return 0xffff_ffff;
    default:
      return draw.word();
  }
}

function access(draw: Draw, { smmu }: Machine): void {
  const offset = draw.oneIn(6) ? draw.nat(smmu.size - 1) : draw.one(OFFSETS) + (draw.oneIn(4) ? 4 : 0);
  const width = draw.one([4, 4, 8, 1, 2] as const);
  const write = draw.nat(2) > 0;
  if (width === 8) {
    if (write) smmu.write64(offset, value(draw), value(draw));
    else smmu.read64(offset, new Uint32Array(2));
  } else if (write) smmu.write(offset, width, value(draw));
  else expect(smmu.read(offset, width)).toBeLessThan(2 ** (8 * width));
}

/** Memory near the structures, and now and then anywhere. */
function scribble(draw: Draw, { machine, arena }: Scenario): void {
  const base =
    draw.oneIn(3) || arena.placed.length === 0 ? draw.nat(LOW_RAM / 4 - 1) * 4 : Number(draw.one(arena.placed).address) + 4 * draw.nat(15);
  if (machine.bus.isRam(base, 4)) machine.bus.memory.write32(base, value(draw));
}

const OPCODES = [
  0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x18, 0x1a, 0x20, 0x21, 0x22, 0x23, 0x28, 0x2a, 0x30, 0x44, 0x45, 0x46,
];

/** Stalls that nobody has answered, and the answer: CMD_RESUME with any Ac and Ab (bits 12, 13), mostly of the right STAG. */
const held: StalledTransaction[] = [];

function resume(draw: Draw): number[] | undefined {
  const one = held.shift();
  if (one === undefined || one.stag < 0) return undefined;
  return [0x44 | (draw.nat(3) << 12), one.streamId, draw.oneIn(8) ? draw.nat(0xffff) : one.stag, 0];
}

/** Ends the external aborts of Command queue reads. */
let endAborts = (): void => {};

/** A command where the SMMU will look for it, and PROD behind it. */
function command(draw: Draw, machine: Machine): void {
  const base = (machine.r64(0x90) >> 5n) << 5n;
  const log2 = Number(machine.r64(0x90) & 31n);
  const prod = machine.r32(0x98);
  const slot = Number(base % 2n ** 48n) + 16 * (prod % 2 ** Math.min(log2, 19));
  const words = Uint32Array.from([
    draw.oneIn(6) ? draw.word() : draw.one(OPCODES) | (draw.word() & ~0xff),
    value(draw),
    value(draw),
    value(draw),
  ]);
  const answer = draw.oneIn(2) ? resume(draw) : undefined;
  if (answer !== undefined) words.set(answer);
  if (machine.bus.isRam(slot, 16)) machine.bus.memory.storeWords(slot, words, 4);
  if (draw.oneIn(16)) {
    endAborts();
    endAborts = machine.bus.inject({ base: slot, size: 16, status: BusStatus.abort, on: "read" });
  }
  machine.w32(0x98, draw.oneIn(8) ? value(draw) : prod + 1);
}

function transaction(draw: Draw, scenario: Scenario): void {
  const { machine } = scenario;
  const incoming = vary(draw, scenario);
  const tx = new Transaction();
  tx.streamId = incoming.streamId >>> 0;
  tx.substreamId = incoming.substreamId ?? -1;
  tx.addressHi = Number(incoming.address >> 32n);
  tx.addressLo = Number(incoming.address & 0xffff_ffffn);
  tx.write = incoming.write;
  tx.instruction = incoming.instruction;
  tx.privileged = incoming.privileged;
  const registers = machine.registers();
  // While an Update of GBPA is under way its old or its new value is in force (§6.3.14).
  const known = scenario.kinds.caches === 0 && registers.GBPA < 0x8000_0000 && draw.oneIn(3);
  const wanted = known ? judge(registers, machine.memory, { ...incoming, streamId: tx.streamId }) : undefined;
  const outcome = machine.smmu.translate(tx);
  if (outcome === Outcome.forward) {
    expect(tx.physical).toBeLessThan(2 ** scenario.config.oas);
    expect(tx.attributes).toBeLessThan(0x100);
    expect([0, 2, 3]).toContain(tx.shareability);
    expect(tx.event).toBe(0);
  } else {
    expect([Outcome.abort, Outcome.razWi, Outcome.stalled]).toContain(outcome);
    if (tx.stall !== null) {
      held.push(tx.stall);
      tx.stall.onEnd = (end) => void reached.add(`stall ended with ${end}`);
    }
    if (tx.event !== 0) reached.add(`event ${tx.event} ${tx.recorded ? "recorded" : "lost"}`);
    if (tx.event !== 0) expect(EVENTS).toContain(tx.event);
    else expect(tx.recorded).toBe(false);
  }
  if (wanted === undefined) return;
  expect((["forward", "abort", "raz-wi", "stall"] as const)[outcome]).toBe(wanted.outcome);
  if (outcome === Outcome.forward) expect(BigInt(tx.physical)).toBe(wanted.pa);
}

/** States that fuzzing has to have been in: else it has become toothless. */
const reached = new Set<string>();

function look({ machine }: Scenario): void {
  const active = machine.r32(0x60) ^ machine.r32(0x64);
  if (active & 1) reached.add(`CMDQ_ERR ${(machine.r32(0x9c) >>> 24) & 0x7f}`);
  if (active & 4) reached.add("EVENTQ_ABT_ERR");
  if ((machine.r32(0x1_00a8) ^ machine.r32(0x1_00ac)) >>> 31) reached.add("Event queue overflow");
  if (machine.r32(0x9c) !== 0) reached.add("commands consumed");
}

type Step = (draw: Draw, scenario: Scenario) => void;

const advance: Step = (draw, scenario) => {
  scenario.machine.simulation.advance(draw.nat(5000));
  look(scenario);
};
const anyAccess: Step = (draw, { machine }) => access(draw, machine);
const anyCommand: Step = (draw, { machine }) => command(draw, machine);
const repair: Step = (draw, { machine, program }) => {
  endAborts();
  machine.w32(0x64, machine.r32(0x60));
  machine.w32(0x1_00ac, machine.r32(0x1_00a8));
  if (draw.oneIn(4)) {
    machine.w32(0x20, 0);
    machine.settle();
    machine.start(program);
  }
};

/** Anything at all. */
const WILD: readonly Step[] = [anyAccess, anyAccess, anyAccess, scribble, scribble, anyCommand, transaction, transaction, advance];
/** What working software does, with a mistake now and then. */
const PLAUSIBLE: readonly Step[] = [
  ...Array.from({ length: 12 }, () => transaction),
  anyCommand,
  advance,
  repair,
  (draw, scenario) => void (draw.oneIn(4) && spoil(draw, scenario)),
  (draw, scenario) => void (draw.oneIn(20) && injectAbort(draw, scenario)),
  (draw, scenario) => (draw.oneIn(8) ? anyAccess(draw, scenario) : undefined),
];

function fuzz(name: string, steps: readonly Step[], kinds: (life: number) => Kinds, total: number): number {
  let done = 0;
  for (let life = 0; done < total; life++) {
    const seed = SEED * 10_000 + life;
    const draw = new Endless(seed);
    const scenario = drawScenario(draw, kinds(life));
    const { machine } = scenario;
    held.length = 0;
    machine.budget = BUDGET;
    for (let i = 0; i < LIFE && done < total; i++, done++) {
      machine.fetches.length = 0;
      try {
        draw.one(steps)(draw, scenario);
      } catch (error) {
        throw new Error(`${name}: seed ${seed}, step ${i}, ${scenario.config.name}: ${String(error)}`, { cause: error });
      }
    }
    look(scenario);
    expect(machine.bus.memory.bytesInUse).toBeLessThanOrEqual(LOW_RAM + HIGH_RAM);
  }
  return done;
}

const kinds = (caches: number): Kinds => ({ caches, contiguous: true, ownTags: false, streams: 3, addresses: 3, timed: true });

describe("fuzzing", () => {
  test("anything at all", () => {
    expect(fuzz("wild", WILD, (life) => kinds(life % 2 === 0 ? 0 : 16), 0.7 * STEPS)).toBe(0.7 * STEPS);
  });
  test("mostly plausible", () => {
    expect(fuzz("plausible", PLAUSIBLE, (life) => kinds(life % 3 === 0 ? 16 : 0), 0.3 * STEPS)).toBe(0.3 * STEPS);
  });
  test("reached deep states", () => {
    const all = [...reached];
    for (const state of ["CMDQ_ERR 1", "CMDQ_ERR 2", "EVENTQ_ABT_ERR", "Event queue overflow", "commands consumed", "stall ended with 1"])
      expect(all).toContain(state);
    for (const event of EVENTS.filter((number) => number !== 0x02)) expect(all).toContain(`event ${event} recorded`);
    expect(all.filter((state) => state.endsWith("lost")).length).toBeGreaterThan(5);
  });
});
