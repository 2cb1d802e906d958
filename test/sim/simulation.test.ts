// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import {
  Completion,
  type Coroutine,
  Mutex,
  Simulation,
  SimulationMisuseError,
  SleepInAtomicError,
  TaskGroup,
  Trace,
  WaitQueue,
  never,
  pollUntil,
  sleepNs,
  waitEvent,
  yieldNow,
  type SimEvents,
} from "../../src/sim/index.ts";

function setUp(): { sim: Simulation; group: TaskGroup; log: string[] } {
  return { sim: new Simulation(), group: new TaskGroup("test"), log: [] };
}

describe("virtual time", () => {
  test("the clock jumps to the next event when no task can run", () => {
    const { sim, group, log } = setUp();
    sim.spawn(
      "sleeper",
      group,
      (function* (): Coroutine<void> {
        yield* sleepNs(1_000_000);
        log.push(`woke at ${sim.now}`);
      })(),
    );
    expect(sim.run()).toEqual({ kind: "done" });
    expect(log).toEqual(["woke at 1000000"]);
  });

  test("device events that fall due inside advance() happen before it returns, in order, at their own time", () => {
    const { sim, log } = setUp();
    sim.after(30, () => log.push(`b@${sim.now}`));
    sim.after(10, () => {
      log.push(`a@${sim.now}`);
      sim.after(5, () => log.push(`a2@${sim.now}`));
    });
    sim.after(51, () => log.push("late"));
    sim.advance(50);
    expect(log).toEqual(["a@10", "a2@15", "b@30"]);
    expect(sim.now).toBe(50);
  });

  test("a device event must not let time pass itself", () => {
    const { sim } = setUp();
    sim.after(1, () => sim.advance(1));
    expect(() => sim.advance(2)).toThrow(SimulationMisuseError);
  });

  test.each([-3, NaN, Infinity, undefined as never])("time does not go on by %s, and the clock stays right", (ns) => {
    const { sim } = setUp();
    sim.advance(10);
    expect(() => sim.advance(ns)).toThrow(
      expect.objectContaining({ name: "SimulationMisuseError", message: expect.stringContaining("advance() by") }),
    );
    expect(sim.now).toBe(10);
  });

  test("device events come before wake-ups of tasks at the same time", () => {
    const { sim, group, log } = setUp();
    sim.spawn(
      "sleeper",
      group,
      (function* (): Coroutine<void> {
        yield* sleepNs(10);
        log.push("task");
      })(),
    );
    sim.run({ until: () => sim.steps > 0 });
    sim.after(10, () => log.push("device"));
    sim.run();
    expect(log).toEqual(["device", "task"]);
  });
});

describe("tasks", () => {
  test("a wait with a timeout resumes with false when nobody wakes it", () => {
    const { sim, group, log } = setUp();
    const queue = new WaitQueue("q");
    sim.spawn(
      "waiter",
      group,
      (function* (): Coroutine<void> {
        const held = yield* waitEvent(queue, () => false, { timeoutNs: 500, now: () => sim.now });
        log.push(`${held} at ${sim.now}, ${queue.waiting} waiting`);
      })(),
    );
    sim.run();
    expect(log).toEqual(["false at 500, 0 waiting"]);
  });

  test("waitEvent tests its condition again after each wake-up", () => {
    const { sim, group, log } = setUp();
    const queue = new WaitQueue("q");
    let value = 0;
    sim.spawn(
      "waiter",
      group,
      (function* (): Coroutine<void> {
        yield* waitEvent(queue, () => value === 2);
        log.push(`value 2 at ${sim.now}`);
      })(),
    );
    for (const delay of [10, 20]) {
      sim.after(delay, () => {
        value++;
        queue.wake();
      });
    }
    sim.run();
    expect(log).toEqual(["value 2 at 20"]);
  });

  test("pollUntil tests now, then every interval, and once more when the time is over", () => {
    const { sim, group } = setUp();
    const times: number[] = [];
    let result: boolean | undefined;
    sim.spawn(
      "poller",
      group,
      (function* (): Coroutine<void> {
        result = yield* pollUntil(
          () => {
            times.push(sim.now);
            return false;
          },
          40,
          100,
          "a register",
        );
      })(),
    );
    sim.run();
    expect(times).toEqual([0, 40, 80, 100]);
    expect(result).toBe(false);
  });

  test("a mutex is handed over in the order of arrival", () => {
    const { sim, group, log } = setUp();
    const mutex = new Mutex("m");
    for (const name of ["a", "b", "c"]) {
      sim.spawn(
        name,
        group,
        mutex.with(name, function* (): Coroutine<void> {
          log.push(`${name} in`);
          yield* sleepNs(10);
          log.push(`${name} out`);
        }),
      );
    }
    sim.run();
    expect(log).toEqual(["a in", "a out", "b in", "b out", "c in", "c out"]);
  });

  test("a completion lets exactly one waiter pass for each complete()", () => {
    const { sim, group, log } = setUp();
    const done = new Completion("done");
    for (const name of ["a", "b"]) {
      sim.spawn(
        name,
        group,
        (function* (): Coroutine<void> {
          yield* done.wait();
          log.push(name);
        })(),
      );
    }
    sim.after(5, () => done.complete());
    const outcome = sim.run();
    expect(log).toEqual(["a"]);
    expect(outcome.kind).toBe("deadlock");
  });

  test("deadlock says where each task waits and since when; daemons are no deadlock", () => {
    const { sim, group } = setUp();
    const mutex = new Mutex("smmu");
    sim.spawn(
      "holder",
      group,
      (function* (): Coroutine<void> {
        yield* mutex.lock("holder");
        yield* never("a powered-off bus");
      })(),
    );
    sim.spawn(
      "second",
      group,
      (function* (): Coroutine<void> {
        yield* sleepNs(7);
        yield* mutex.lock("second");
      })(),
    );
    sim.spawn("worker", group, never("work"), { daemon: true });
    expect(sim.run()).toEqual({
      kind: "deadlock",
      waiting: [
        { task: "holder", group: "test", reason: "a powered-off bus", since: 0 },
        { task: "second", group: "test", reason: "mutex smmu, held by holder", since: 7 },
      ],
    });
  });

  test("a killed group runs no further code, even if it kills itself", () => {
    const { sim, group, log } = setUp();
    sim.spawn(
      "victim",
      group,
      (function* (): Coroutine<void> {
        try {
          yield* sleepNs(100);
        } finally {
          log.push("finally");
        }
      })(),
    );
    sim.spawn(
      "jumper",
      group,
      (function* (): Coroutine<void> {
        yield* sleepNs(10);
        sim.kill(group);
        yield* never("jumped");
        log.push("after");
      })(),
    );
    expect(sim.run()).toEqual({ kind: "done" });
    expect(log).toEqual([]);
    expect(sim.now).toBe(10);
  });

  test("an error of a task goes to its group's handler and the others go on", () => {
    const { sim, group, log } = setUp();
    group.onError = (task, error) => log.push(`${task.name}: ${(error as Error).message}`);
    sim.spawn(
      "bad",
      group,
      (function* (): Coroutine<void> {
        yield* yieldNow();
        throw new Error("oops");
      })(),
    );
    sim.spawn(
      "good",
      group,
      (function* (): Coroutine<void> {
        yield* sleepNs(5);
        log.push("good");
      })(),
    );
    sim.run();
    expect(log).toEqual(["bad: oops", "good"]);
  });

  test("limits of time and of steps end a run and say so", () => {
    const { sim, group } = setUp();
    sim.spawn(
      "spinner",
      group,
      (function* (): Coroutine<void> {
        for (;;) yield* sleepNs(10);
      })(),
    );
    expect(sim.run({ limitNs: 95 })).toMatchObject({ kind: "limit", limit: "time" });
    expect(sim.now).toBe(95);
    expect(sim.run({ limitSteps: sim.steps + 3 })).toMatchObject({ kind: "limit", limit: "steps" });
  });
});

describe("runAtomic", () => {
  test("polls spin and let time pass, so that device events can end them", () => {
    const { sim } = setUp();
    let ready = false;
    sim.after(250, () => (ready = true));
    const held = sim.runAtomic(pollUntil(() => ready, 100, 1_000, "ready"));
    expect(held).toBe(true);
    expect(sim.now).toBe(300);
  });

  test("sleeping is refused", () => {
    const { sim } = setUp();
    expect(() => sim.runAtomic(sleepNs(10))).toThrow(SleepInAtomicError);
  });
});

describe("the trace", () => {
  test("records carry a running number and the virtual time; nobody pays for kinds without a listener", () => {
    const trace = new Trace<SimEvents>();
    const sim = new Simulation({ trace });
    expect(trace.wants("sim.task")).toBe(false);
    const seen: string[] = [];
    trace.on("sim.task", ({ seq, time, data }) => seen.push(`${seq} ${time} ${data.task} ${data.what}`));
    expect(trace.wants("sim.task")).toBe(true);
    sim.spawn("a", new TaskGroup("g"), sleepNs(10));
    sim.run();
    expect(seen).toEqual(["0 0 a spawned", "1 10 a done"]);
  });
});
