// SPDX-License-Identifier: MIT
/**
 * The model against the oracle: random implementations, structures, tables and transactions (IHI 0070 §3.3 … §3.5, §5, §7.3, §13;
 * DDI 0487 D8).
 *
 * A difference shows as the two verdicts side by side. ORACLE_SEED and ORACLE_RUNS (a factor) in the environment look further.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Draw, draws } from "./draw.ts";
import { judge } from "./oracle.ts";
import { injectAbort, spoil, vary } from "./mistakes.ts";
import { drawScenario, type Kinds, type Scenario } from "./scenario.ts";
import type { Incoming, Verdict } from "./types.ts";

const SEED = Number(process.env["ORACLE_SEED"] ?? 20_240_611);
const RUNS = Number(process.env["ORACLE_RUNS"] ?? 1);

interface Told {
  readonly incoming: Incoming;
  readonly verdict: Verdict;
}

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

/** Readable, and comparable as a whole. */
function told({ incoming, verdict }: Told, config: Scenario["config"], notes: readonly string[]): unknown {
  return {
    config: config.name,
    notes,
    incoming: { ...incoming, address: hex(incoming.address) },
    verdict: {
      ...verdict,
      pa: hex(verdict.pa),
      attributes: hex(verdict.attributes),
      record: verdict.record?.map(hex),
      updates: verdict.updates.map(([at, bytes]) => `${hex(at)}: ${bytes}`),
    },
  };
}

/** Everything that was written, for a failure's message. */
function dump({ arena, registers, config }: Scenario): string {
  const lines = arena.placed.map(({ kind, address, bytes }) => {
    const words = Array.from({ length: bytes / 4 }, (_, i) => arena.memory.read32(Number(address) + 4 * i).toString(16));
    return `${kind} ${hex(address)}: ${words.join(" ")}`;
  });
  const values = Object.entries(registers).map(([name, value]) => `${name} ${hex(value as number)}`);
  return [JSON.stringify(config), ...values, ...lines].join("\n");
}

function compare(scenario: Scenario, incoming: Incoming, notes: readonly string[]): Verdict {
  const { machine, registers, config } = scenario;
  const wanted = judge(registers, machine.memory, incoming);
  const verdict = machine.answer(incoming);
  const model = JSON.stringify(told({ incoming, verdict }, config, notes), undefined, 1);
  const oracle = JSON.stringify(told({ incoming, verdict: wanted }, config, notes), undefined, 1);
  if (model !== oracle) expect(`model ${model}`, dump(scenario)).toBe(`oracle ${oracle}`);
  return wanted;
}

const seen = new Map<string, number>();

function count(verdict: Verdict): void {
  const event = verdict.record === undefined ? "" : ` event ${hex(verdict.record[0]! & 0xff)}`;
  const key = `${verdict.outcome}${event}`;
  seen.set(key, (seen.get(key) ?? 0) + 1);
}

const total = (): number => [...seen.values()].reduce((a, b) => a + b, 0);

/** Transactions that the tables are for, and others; three times something is spoilt in between. */
function run(draw: Draw, kinds: Kinds, before: (scenario: Scenario) => void): void {
  const scenario = drawScenario(draw, kinds);
  const notes: string[] = [];
  const go = (incoming: Incoming): void => {
    before(scenario);
    count(compare(scenario, incoming, notes));
  };
  for (const incoming of scenario.incoming) go(incoming);
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 4; i++) go(vary(draw, scenario));
    if (round === 3) break;
    notes.push(draw.oneIn(5) ? injectAbort(draw, scenario) : spoil(draw, scenario));
    for (const incoming of scenario.incoming) go(incoming);
  }
}

/** @returns how many transactions were compared */
function check(numRuns: number, property: (draw: Draw) => void): number {
  const before = total();
  fc.assert(fc.property(draws(500), property), { seed: SEED, numRuns: numRuns * RUNS });
  return total() - before;
}

test("without caches every outcome, address, attribute and event word is the oracle's", () => {
  const kinds: Kinds = { caches: 0, contiguous: true, ownTags: false, streams: 2, addresses: 2 };
  expect(check(100, (draw) => run(draw, kinds, () => {}))).toBeGreaterThan(1500);
});

test("so it is with caches after CMD_CFGI_ALL, CMD_TLBI_NSNH_ALL, CMD_TLBI_EL2_ALL and CMD_SYNC, whatever they held (§4.3, §4.4)", () => {
  const kinds: Kinds = { caches: 8, contiguous: false, ownTags: false, streams: 2, addresses: 1 };
  expect(check(40, (draw) => run(draw, kinds, ({ machine }) => machine.invalidate()))).toBeGreaterThan(400);
});

test("caches change nothing, and nothing is stale, as long as memory does not change, and streams and contexts have tags of their own (§3.17, §3.21)", () => {
  const compared = check(40, (draw) => {
    const scenario = drawScenario(draw, { caches: 1 + draw.nat(30), contiguous: false, ownTags: true, streams: 3, addresses: 3 });
    for (let i = 0; i < 2; i++) for (const incoming of scenario.incoming) count(compare(scenario, incoming, []));
    for (let i = 0; i < 20; i++) count(compare(scenario, vary(draw, scenario), []));
    expect(scenario.machine.staleUses).toEqual([]);
  });
  expect(compared).toBeGreaterThan(800);
});

test("the comparisons reached every kind of end that the model knows", () => {
  const ends = [...seen.keys()];
  for (const event of ["0x2", "0x3", "0x4", "0x6", "0x8", "0x9", "0xa", "0xb", "0x10", "0x11", "0x12", "0x13"]) {
    expect(ends).toContain(`abort event ${event}`);
  }
  for (const event of ["0x10", "0x13"]) for (const end of ["raz-wi", "stall"]) expect(ends).toContain(`${end} event ${event}`);
  for (const silent of ["forward", "abort", "raz-wi"]) expect(ends).toContain(silent);
});
