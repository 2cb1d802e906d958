// SPDX-License-Identifier: MIT
/** Groups of tasks that are held: the world goes on, they and their time do not. */
import { describe, expect, test } from "vitest";
import {
  type Coroutine,
  park,
  pollUntil,
  ReplayScheduler,
  type Scheduler,
  SeededRoundRobinScheduler,
  Simulation,
  SimulationMisuseError,
  sleepNs,
  type Task,
  TaskGroup,
  waitEvent,
  WaitQueue,
  yieldNow,
} from "../../src/sim/index.ts";

interface Setup {
  readonly sim: Simulation;
  readonly group: TaskGroup;
  readonly log: string[];
  /** Starts a task of the group that says when it is over. */
  start(name: string, body: Coroutine<unknown>): Task;
}

function setUp(scheduler?: Scheduler): Setup {
  const sim = new Simulation(scheduler ? { scheduler } : {});
  const group = new TaskGroup("held");
  const log: string[] = [];
  const start = (name: string, body: Coroutine<unknown>): Task =>
    sim.spawn(
      name,
      group,
      (function* (): Coroutine<void> {
        const result = yield* body;
        log.push(`${name}${result === undefined ? "" : ` ${String(result)}`} at ${sim.now}`);
      })(),
    );
  return { sim, group, log, start };
}

/** Holds the group for a while. */
function holdBetween({ sim, group }: Setup, from: number, to: number): void {
  sim.after(from, () => sim.hold(group));
  sim.after(to, () => sim.release(group));
}

describe("a held group", () => {
  test("sleeps on for what was left of its sleep, however long it was held", () => {
    const setup = setUp();
    setup.start("sleeper", sleepNs(100));
    holdBetween(setup, 40, 1000);
    setup.sim.run();
    expect(setup.log).toEqual(["sleeper at 1060"]);
  });

  test("waits on for what was left of a timeout", () => {
    const setup = setUp();
    const { sim, group } = setup;
    const now = (): number => sim.timeOf(group);
    setup.start(
      "waiter",
      waitEvent(new WaitQueue("q"), () => false, { timeoutNs: 100, now }),
    );
    holdBetween(setup, 40, 1000);
    sim.run();
    expect(setup.log).toEqual(["waiter false at 1060"]);
  });

  test("tests no condition, and its polls have their time left", () => {
    const setup = setUp();
    const { sim } = setup;
    const tested: number[] = [];
    setup.start(
      "poller",
      pollUntil(() => (tested.push(sim.now), false), 30, 100, "a register"),
    );
    holdBetween(setup, 40, 1000);
    sim.run();
    expect(tested).toEqual([0, 30, 1020, 1050, 1060]);
    expect(setup.log).toEqual(["poller false at 1060"]);
  });

  test("loses no wake-up: who was woken meanwhile runs after the release, and his timeout is off", () => {
    const setup = setUp();
    const { sim } = setup;
    const queue = new WaitQueue("q");
    let ready = false;
    setup.start(
      "waiter",
      waitEvent(queue, () => ready, { timeoutNs: 100, now: () => sim.timeOf(setup.group) }),
    );
    holdBetween(setup, 40, 1000);
    sim.after(500, () => {
      ready = true;
      queue.wake();
    });
    sim.run();
    expect(setup.log).toEqual(["waiter true at 1000"]);
  });

  test("goes on in the order in which it would have: runnable tasks, then sleeps that end at the same time", () => {
    const setup = setUp();
    const { sim, group } = setup;
    for (const name of ["a", "b"]) setup.start(name, sleepNs(50));
    sim.run({ until: () => sim.steps === 2 });
    for (const name of ["c", "d"]) setup.start(name, yieldNow());
    sim.hold(group);
    sim.after(1000, () => sim.release(group));
    sim.run();
    expect(setup.log).toEqual(["c at 1000", "d at 1000", "a at 1050", "b at 1050"]);
  });

  test("does not keep other groups and devices from going on", () => {
    const setup = setUp();
    const { sim, log } = setup;
    setup.start("held", sleepNs(10));
    sim.hold(setup.group);
    sim.spawn(
      "other",
      new TaskGroup("other"),
      (function* () {
        yield* sleepNs(10);
        log.push(`other at ${sim.now}`);
      })(),
    );
    sim.after(20, () => log.push(`device at ${sim.now}`));
    sim.after(30, () => sim.release(setup.group));
    sim.run();
    expect(log).toEqual(["other at 10", "device at 20", "held at 40"]);
  });

  test("has a clock that leaves out the time for which it was held", () => {
    const setup = setUp();
    const { sim, group } = setup;
    const seen: number[] = [];
    for (const at of [30, 50, 90, 120, 210]) sim.after(at, () => seen.push(sim.timeOf(group)));
    holdBetween(setup, 40, 100);
    holdBetween(setup, 150, 200);
    sim.run();
    expect(seen).toEqual([30, 40, 40, 60, 100]);
  });

  test("keeps a task that is started meanwhile, and one that is killed meanwhile does not come back", () => {
    const setup = setUp();
    const { sim, group } = setup;
    const victims = [setup.start("sleeping victim", sleepNs(10)), setup.start("runnable victim", yieldNow())];
    sim.run({ until: () => sim.steps === 1 });
    sim.hold(group);
    setup.start("newcomer", yieldNow());
    for (const victim of victims) sim.killTask(victim);
    sim.after(70, () => sim.release(group));
    sim.run();
    expect(setup.log).toEqual(["newcomer at 70"]);
  });

  test("may be killed as a whole, and its release then starts nothing", () => {
    const setup = setUp();
    const { sim, group } = setup;
    setup.start("sleeper", sleepNs(10));
    setup.start("runner", yieldNow());
    sim.run({ until: () => sim.steps === 1 });
    sim.hold(group);
    sim.kill(group);
    sim.release(group);
    expect(sim.run()).toEqual({ kind: "done" });
    expect(setup.log).toEqual([]);
  });

  test("that nobody will release is a deadlock, not an end", () => {
    const { sim, group, start } = setUp();
    start("runner", yieldNow());
    start("sleeper", sleepNs(10));
    sim.run({ until: () => sim.steps === 2 });
    sim.hold(group);
    expect(sim.run()).toEqual({
      kind: "deadlock",
      waiting: [
        { task: "runner", group: "held", reason: "held is held", since: 0 },
        { task: "sleeper", group: "held", reason: "sleep of 10 ns", since: 0 },
      ],
    });
  });

  test("is held once and released once: everything else is misuse", () => {
    const { sim, group } = setUp();
    expect(() => sim.release(group)).toThrow(SimulationMisuseError);
    sim.hold(group);
    expect(() => sim.hold(group)).toThrow(SimulationMisuseError);
    sim.release(group);
    expect(() => sim.release(group)).toThrow(SimulationMisuseError);
  });
});

describe("a parked task", () => {
  test("goes on before anything else, without a choice, even while its group is held", () => {
    class Never extends SeededRoundRobinScheduler {
      override nextTask(): number {
        throw new Error("there was a choice");
      }
    }
    const { sim, group, log } = setUp(new Never(1));
    const parked = sim.spawn(
      "parked",
      group,
      (function* () {
        yield* park("away");
        log.push(`back at ${sim.now}`);
      })(),
    );
    sim.run({ until: () => sim.steps === 1 });
    sim.hold(group);
    for (const name of ["x", "y"]) {
      sim.spawn(
        name,
        new TaskGroup("other"),
        (function* () {
          log.push(name);
        })(),
      );
    }
    sim.unpark(parked);
    sim.run({ until: () => sim.steps === 2 });
    expect(log).toEqual(["back at 0"]);
  });

  test("of a group that is released by it has its turn before the others of the group", () => {
    const { sim, group, log } = setUp(new SeededRoundRobinScheduler(7));
    const parked = sim.spawn(
      "jumper",
      group,
      (function* () {
        sim.hold(group);
        yield* park("away");
        sim.release(group);
        log.push("jumper");
      })(),
    );
    sim.run({ until: () => parked.state === "waiting" });
    for (const name of ["a", "b", "c"]) {
      sim.spawn(
        name,
        group,
        (function* () {
          log.push("other");
        })(),
      );
    }
    sim.after(5, () => sim.unpark(parked));
    sim.run();
    expect(log).toEqual(["jumper", "other", "other", "other"]);
  });

  test("is woken by nothing but unpark, and unpark wakes nothing else", () => {
    const { sim, start } = setUp();
    const parked = start("parked", park("away"));
    const sleeper = start("sleeper", sleepNs(5));
    sim.run({ until: () => sim.steps === 2 });
    expect(() => sim.unpark(sleeper)).toThrow(SimulationMisuseError);
    expect(sim.run()).toMatchObject({ kind: "deadlock", waiting: [{ task: "parked", reason: "away" }] });
    sim.unpark(parked);
    expect(() => sim.unpark(parked)).toThrow(SimulationMisuseError);
    expect(sim.run()).toEqual({ kind: "done" });
  });

  test("that was killed after unpark does not run", () => {
    const { sim, start, log } = setUp();
    const parked = start("parked", park("away"));
    sim.run();
    sim.unpark(parked);
    sim.killTask(parked);
    expect(sim.run()).toEqual({ kind: "done" });
    expect(log).toEqual([]);
  });
});

test("a run with holds is repeated by its seed and by its decisions", () => {
  const run = (scheduler: Scheduler): { log: string[]; decisions: number[] } => {
    const setup = setUp(scheduler);
    const { sim, log } = setup;
    for (let id = 0; id < 5; id++) {
      setup.start(
        `t${id}`,
        (function* () {
          for (let i = 0; i < 4; i++) {
            log.push(`t${id} ${i} ${sim.now}`);
            if ((id + i) % 2 === 0) yield* sleepNs(10 * id);
            else yield* yieldNow();
          }
        })(),
      );
    }
    holdBetween(setup, 15, 100);
    holdBetween(setup, 125, 300);
    sim.run();
    return { log, decisions: sim.decisions };
  };
  const first = run(new SeededRoundRobinScheduler(3));
  expect(first.log).toHaveLength(25);
  expect(run(new SeededRoundRobinScheduler(3))).toEqual(first);
  expect(run(new ReplayScheduler(first.decisions)).log).toEqual(first.log);
});
