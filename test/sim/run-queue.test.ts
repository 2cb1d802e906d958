// SPDX-License-Identifier: MIT
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  Prng,
  RunOrderScheduler,
  type Scheduler,
  SeededRoundRobinScheduler,
  Simulation,
  SimulationMisuseError,
  type TaskView,
  TaskGroup,
  sleepNs,
  yieldNow,
} from "../../src/sim/index.ts";

/** Asks for the first task as the run-order scheduler does, but is another one, so that it is asked each time. */
class AskedScheduler implements Scheduler {
  start(): void {}
  nextTask(): number {
    return 0;
  }
  nextChoice(): number {
    return 0;
  }
}

class LastScheduler extends RunOrderScheduler {
  override nextTask(runnable: readonly TaskView[] = []): number {
    return runnable.length - 1;
  }
}

interface Run {
  readonly order: number[];
  readonly decisions: number[];
}

/** Tasks that yield, sleep and drop one another as a seed says. */
function churn(seed: number, count: number, scheduler?: Scheduler): Run {
  const sim = new Simulation(scheduler ? { scheduler } : {});
  const prng = new Prng(seed);
  const group = new TaskGroup("g");
  const order: number[] = [];
  const tasks = Array.from({ length: count }, (_, id) =>
    sim.spawn(
      `t${id}`,
      group,
      (function* () {
        for (let i = 0; i < 8; i++) {
          order.push(id);
          const what = prng.below(16);
          if (what === 0) sim.killTask(tasks[prng.below(count)]!);
          if (what < 6) yield* sleepNs(prng.below(40));
          else yield* yieldNow();
        }
      })(),
    ),
  );
  sim.run();
  return { order, decisions: sim.decisions };
}

describe("who can run", () => {
  test("a scheduler that is asked and one that need not be give the same run and the same recording", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 70 }), (seed, count) => {
        expect(churn(seed, count)).toEqual(churn(seed, count, new AskedScheduler()));
      }),
      { numRuns: 40 },
    );
  });

  test("a scheduler derived from the run-order scheduler is asked if it picks tasks itself", () => {
    const { order } = churn(1, 3, new LastScheduler());
    expect(order[0]).toBe(2);
  });

  test("tasks are offered in the order in which they became runnable, those behind the chosen one included", () => {
    const sim = new Simulation({
      scheduler: {
        start: () => {},
        nextTask: (runnable) => {
          offered.push(runnable.map(({ name }) => name).join(""));
          return 1;
        },
        nextChoice: () => 0,
      },
    });
    const offered: string[] = [];
    for (const name of ["a", "b", "c"]) sim.spawn(name, new TaskGroup("g"), yieldNow());
    sim.run();
    expect(offered).toEqual(["abc", "acb", "abc", "ac"]);
  });

  test.each([-1, 3, Number.NaN])("a scheduler that picks task %d of three is a mistake of the program", (picked) => {
    const sim = new Simulation({ scheduler: { start: () => {}, nextTask: () => picked, nextChoice: () => 0 } });
    for (const name of ["a", "b", "c"]) sim.spawn(name, new TaskGroup("g"), yieldNow());
    expect(() => sim.run()).toThrow(SimulationMisuseError);
  });

  test("the seeded scheduler draws from the tasks that have not run in this round, in their order", () => {
    const scheduler = new SeededRoundRobinScheduler(5);
    const prng = new Prng(5);
    const served = new Set<number>();
    const runnable = Array.from({ length: 9 }, (_, id) => ({ id, name: `t${id}` }));
    for (let step = 0; step < 200; step++) {
      const some = runnable.filter(({ id }) => (id * 7 + step) % 5 !== 0);
      let waiting = some.filter(({ id }) => !served.has(id));
      if (waiting.length === 0) {
        served.clear();
        waiting = some;
      }
      const expected = waiting[prng.below(waiting.length)]!;
      served.add(expected.id);
      expect(some[scheduler.nextTask(some)]).toBe(expected);
    }
  });
});

describe("a pause", () => {
  test("ends after one action, however it is left", () => {
    const pause = yieldNow();
    expect(pause.next(true)).toEqual({ value: { kind: "yield" }, done: false });
    expect(pause.next(true)).toEqual({ value: undefined, done: true });
    const left = sleepNs(5);
    expect(left.return(undefined)).toEqual({ value: undefined, done: true });
    expect(left.next(true).done).toBe(true);
    const broken = sleepNs(5);
    expect(() => broken.throw(new Error("atomic"))).toThrow("atomic");
    expect(broken.next(true).done).toBe(true);
  });
});
