// SPDX-License-Identifier: MIT
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Coroutine,
  Prng,
  ReplayDivergedError,
  ReplayScheduler,
  type Scheduler,
  SeededRoundRobinScheduler,
  Simulation,
  TaskGroup,
  decodeChoices,
  encodeChoices,
  yieldNow,
} from "../../src/sim/index.ts";

/** Three tasks of four steps each and a free choice in each step; returns the order of what happened. */
function program(scheduler?: Scheduler): { readonly order: string; readonly decisions: readonly number[] } {
  const sim = new Simulation(scheduler ? { scheduler } : {});
  const group = new TaskGroup("g");
  let order = "";
  for (const name of ["a", "b", "c"]) {
    sim.spawn(
      name,
      group,
      (function* (): Coroutine<void> {
        for (let i = 0; i < 4; i++) {
          order += name + sim.choose("letter", 3);
          yield* yieldNow();
        }
      })(),
    );
  }
  sim.run();
  return { order, decisions: sim.decisions };
}

describe("schedulers", () => {
  test("run order: first come, first served, every choice the first alternative", () => {
    expect(program().order).toBe("a0b0c0".repeat(4));
  });

  test("the seeded scheduler gives the same run for the same seed and others for other seeds", () => {
    expect(program(new SeededRoundRobinScheduler(7)).order).toBe(program(new SeededRoundRobinScheduler(7)).order);
    const orders = new Set(Array.from({ length: 20 }, (_, seed) => program(new SeededRoundRobinScheduler(seed)).order));
    expect(orders.size).toBeGreaterThan(10);
  });

  test("round robin: in each round every task runs once", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const tasks = program(new SeededRoundRobinScheduler(seed)).order.replaceAll(/\d/g, "");
        for (let i = 0; i < tasks.length; i += 3)
          expect(
            tasks
              .slice(i, i + 3)
              .split("")
              .sort()
              .join(""),
          ).toBe("abc");
      }),
      { numRuns: 50 },
    );
  });

  test("a replay of the recorded decisions gives the same run", () => {
    const recorded = program(new SeededRoundRobinScheduler(42));
    expect(program(new ReplayScheduler(recorded.decisions)).order).toBe(recorded.order);
  });

  test("a recording that is too short or does not fit is refused", () => {
    const recorded = program(new SeededRoundRobinScheduler(42)).decisions;
    expect(() => program(new ReplayScheduler(recorded.slice(0, 5)))).toThrow(ReplayDivergedError);
    expect(() => program(new ReplayScheduler([9, ...recorded]))).toThrow(ReplayDivergedError);
  });
});

describe("recorded choices as text", () => {
  test("any decisions survive writing and reading", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100)), (decisions) => {
        expect(decodeChoices(encodeChoices(decisions))).toEqual(decisions);
      }),
    );
  });

  test("runs are folded", () => {
    expect(encodeChoices([0, 0, 0, 35, 1])).toBe("q1:0*3,z,1");
  });

  test.each(["", "0,1", "q1:,", "q1:1*", "q1:-1", "q1:1 2"])("%j is refused", (text) => {
    expect(() => decodeChoices(text)).toThrow(SyntaxError);
  });
});

describe("Prng", () => {
  test("the same seed gives the same numbers; fork separates consumers by name", () => {
    const draw = (prng: Prng): number[] => Array.from({ length: 8 }, () => prng.nextU32());
    expect(draw(new Prng(1))).toEqual(draw(new Prng(1)));
    expect(draw(new Prng(1))).not.toEqual(draw(new Prng(2)));
    expect(draw(new Prng(1).fork("nic"))).not.toEqual(draw(new Prng(1).fork("display")));
  });

  test("below() covers its range and nothing else", () => {
    const prng = new Prng(3);
    const seen = new Set(Array.from({ length: 500 }, () => prng.below(7)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(() => prng.below(0)).toThrow(RangeError);
  });
});
