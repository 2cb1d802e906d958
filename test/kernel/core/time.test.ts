// SPDX-License-Identifier: GPL-2.0-only
/** Timers, delays, workqueues, kernel threads. */
import { describe, expect, test } from "vitest";
import {
  alloc_ordered_workqueue,
  cancel_delayed_work_sync,
  cancel_work_sync,
  flush_work,
  flush_workqueue,
  INIT_DELAYED_WORK,
  INIT_WORK,
  kthread_run,
  kthread_stop,
  local_irq_restore,
  local_irq_save,
  mod_timer,
  msleep,
  queue_delayed_work,
  queue_work,
  schedule_work,
  timer_delete_sync,
  timer_setup,
  udelay,
  usleep_range,
} from "../../../src/kernel/index.ts";
import { type Coroutine, pollUntil, sleepNs, waitEvent } from "../../../src/sim/index.ts";
import { makeTestKernel } from "../support/fake-platform.ts";

describe("delays", () => {
  test("udelay advances time without letting other tasks run", () => {
    const { kernel, sim, run } = makeTestKernel();
    let other = false;
    const seen = run(
      (function* (): Coroutine<[number, boolean]> {
        kernel.spawn(
          "other",
          (function* (): Coroutine<void> {
            other = true;
          })(),
        );
        const start = sim.now;
        udelay(kernel, 25);
        return [sim.now - start, other];
      })(),
    );
    expect(seen).toEqual([25_000, false]);
  });

  test("msleep and usleep_range sleep", () => {
    const { sim, run } = makeTestKernel();
    run(msleep(3));
    expect(sim.now).toBe(3e6);
    run(usleep_range(10, 20));
    expect(sim.now - 3e6).toBeGreaterThanOrEqual(10_000);
    expect(sim.now - 3e6).toBeLessThanOrEqual(20_000);
  });
});

describe("timers", () => {
  test("call their function once, after the delay", () => {
    const { kernel, sim, idle } = makeTestKernel();
    const fired: number[] = [];
    mod_timer(
      timer_setup(kernel, "watchdog", () => void fired.push(sim.now)),
      2,
    );
    idle(10e6);
    expect(fired).toEqual([2e6]);
  });

  test("mod_timer moves a pending timer", () => {
    const { kernel, sim, idle } = makeTestKernel();
    const fired: number[] = [];
    const timer = timer_setup(kernel, "watchdog", () => void fired.push(sim.now));
    expect(mod_timer(timer, 2)).toBe(false);
    expect(mod_timer(timer, 5)).toBe(true);
    expect(kernel.time.armedTimers).toEqual(["watchdog"]);
    idle(10e6);
    expect(fired).toEqual([5e6]);
  });

  test("timer_delete_sync: the function is not called any more", () => {
    const { kernel, idle } = makeTestKernel();
    let fired = false;
    const timer = timer_setup(kernel, "watchdog", () => void (fired = true));
    mod_timer(timer, 2);
    expect(timer_delete_sync(timer)).toBe(true);
    idle(10e6);
    expect(fired).toBe(false);
  });

  test("an expired timer waits until interrupts are on", () => {
    const { kernel, run } = makeTestKernel();
    const log: string[] = [];
    mod_timer(
      timer_setup(kernel, "t", () => void log.push("timer")),
      1,
    );
    run(
      (function* (): Coroutine<void> {
        const flags = local_irq_save(kernel);
        udelay(kernel, 2000);
        log.push("restore");
        local_irq_restore(kernel, flags);
      })(),
    );
    expect(log).toEqual(["restore", "timer"]);
  });

  test("a timer function may delay and poll", () => {
    const { kernel, sim, idle } = makeTestKernel();
    const at: number[] = [];
    const fn = function* (): Coroutine<void> {
      udelay(kernel, 3);
      yield* pollUntil(() => false, 1000, 2000, "never");
      at.push(sim.now);
    };
    mod_timer(timer_setup(kernel, "t", fn), 1);
    idle(2e6);
    expect(at).toEqual([1e6 + 5000]);
  });

  test("a timer function that sleeps is reported under the timer's name, and the kernel panics", () => {
    const { kernel, idle } = makeTestKernel();
    mod_timer(
      timer_setup(kernel, "watchdog", () => sleepNs(10)),
      1,
    );
    idle(2e6);
    expect(kernel.oopses[0]).toMatchObject({ task: "timer watchdog" });
    expect(kernel.oopses[0]!.message).toContain("BUG: scheduling while atomic");
  });
});

describe("workqueues", () => {
  function logged(
    kernel: ReturnType<typeof makeTestKernel>["kernel"],
    log: string[],
    name: string,
    ns: number,
  ): ReturnType<typeof INIT_WORK> {
    return INIT_WORK(kernel, name, function* () {
      log.push(`${name} begins`);
      yield* sleepNs(ns);
      log.push(`${name} ends`);
    });
  }

  test("an ordered queue runs one item at a time, in order", () => {
    const { kernel, run } = makeTestKernel();
    const log: string[] = [];
    const wq = alloc_ordered_workqueue(kernel, "q");
    queue_work(wq, logged(kernel, log, "a", 100));
    queue_work(wq, logged(kernel, log, "b", 10));
    run(flush_workqueue(wq));
    expect(log).toEqual(["a begins", "a ends", "b begins", "b ends"]);
  });

  test("on system_wq an item that sleeps does not hold up the next", () => {
    const { kernel, run } = makeTestKernel();
    const log: string[] = [];
    const works = [logged(kernel, log, "a", 100), logged(kernel, log, "b", 10)];
    for (const work of works) schedule_work(work);
    run(flush_work(works[0]!));
    expect(log).toEqual(["a begins", "b begins", "b ends", "a ends"]);
  });

  test("an item that is queued already is not queued twice; queued while it runs, it runs once more, not beside itself", () => {
    const { kernel, run, idle } = makeTestKernel();
    const log: string[] = [];
    const work = logged(kernel, log, "a", 100);
    expect([schedule_work(work), schedule_work(work)]).toEqual([true, false]);
    run(sleepNs(50));
    expect(schedule_work(work)).toBe(true);
    idle(1000);
    expect(log).toEqual(["a begins", "a ends", "a begins", "a ends"]);
  });

  test("cancel_work_sync takes a waiting item off and waits for a running one", () => {
    const { kernel, run } = makeTestKernel();
    const log: string[] = [];
    const work = logged(kernel, log, "a", 100);
    schedule_work(work);
    expect(
      run(
        (function* (): Coroutine<boolean> {
          return yield* cancel_work_sync(work);
        })(),
      ),
    ).toBe(false);
    expect(log).toEqual(["a begins", "a ends"]);
    const wq = alloc_ordered_workqueue(kernel, "q");
    const second = logged(kernel, log, "b", 1);
    queue_work(wq, logged(kernel, [], "blocker", 1000));
    queue_work(wq, second);
    expect(run(cancel_work_sync(second))).toBe(true);
    run(flush_workqueue(wq));
    expect(log).toEqual(["a begins", "a ends"]);
  });

  test("delayed work runs after its delay, and not at all when cancelled before", () => {
    const { kernel, sim, idle, run } = makeTestKernel();
    const at: number[] = [];
    const work = INIT_DELAYED_WORK(kernel, "poll", function* () {
      at.push(sim.now);
    });
    queue_delayed_work(kernel.workqueues.system_wq, work, 2);
    idle(5e6);
    expect(at).toEqual([2e6]);
    queue_delayed_work(kernel.workqueues.system_wq, work, 2);
    expect(run(cancel_delayed_work_sync(work))).toBe(true);
    idle(5e6);
    expect(at).toEqual([2e6]);
  });
});

describe("kthreads", () => {
  test("kthread_stop asks the thread to end and waits for it", () => {
    const { kernel, run } = makeTestKernel();
    const log: string[] = [];
    const thread = kthread_run(kernel, "poller", function* (self) {
      yield* waitEvent(self.wake, () => self.shouldStop);
      yield* sleepNs(10);
      log.push("ended");
    });
    run(kthread_stop(thread));
    expect(log).toEqual(["ended"]);
  });
});
