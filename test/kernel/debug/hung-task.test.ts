// SPDX-License-Identifier: GPL-2.0-only
/** Tasks that wait for ever, and queues that nobody serves. */
import { describe, expect, test } from "vitest";
import { alloc_ordered_workqueue, flush_work, INIT_WORK, kthread_run, Mutex, queue_work } from "../../../src/kernel/index.ts";
import { type Coroutine, sleepNs, WaitQueue, waitEvent } from "../../../src/sim/index.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const SECOND = 1e9;

/** Lets time pass in small steps, as devices make it pass: the CPU may take interrupts at each. */
function pass(machine: TestKernel, seconds: number): void {
  for (let at = 0; at < seconds; at++) machine.idle(SECOND);
}

/** A mutex that one task holds for a thousand seconds. */
function heldMutex(machine: TestKernel): Mutex {
  const mutex = new Mutex(machine.kernel, "rtnl_mutex");
  machine.kernel.spawn(
    "holder",
    mutex.with("holder", () => sleepNs(1000 * SECOND)),
  );
  machine.idle(1);
  return mutex;
}

const BLOCKED = "blocked for more than 120 seconds";

describe("a task", () => {
  test("that waits for a mutex for more than 120 seconds is reported with the holder and what it waits for", () => {
    const machine = makeTestKernel();
    machine.kernel.spawn("ifup", heldMutex(machine).lock());
    pass(machine, 115);
    expect(machine.kernel.warnings).toEqual([]);
    pass(machine, 20);
    expect(machine.kernel.warnings).toMatchObject([{ check: "hung-task", message: `task ifup ${BLOCKED}`, task: "ifup" }]);
    expect(machine.kernel.warnings[0]?.details[1]).toBe("rtnl_mutex is held by holder, which waits: sleep of 1000000000000 ns");
    expect(machine.kernel.printk.lines.map(({ text }) => text)).toContain(`INFO: task ifup ${BLOCKED}`);
  });

  test("is reported once for each wait", () => {
    const machine = makeTestKernel();
    machine.kernel.spawn("ifup", heldMutex(machine).lock());
    pass(machine, 500);
    expect(machine.kernel.warnings).toHaveLength(1);
  });

  test("that is a daemon is reported where it waits for a lock, and not where it waits for work", () => {
    const machine = makeTestKernel();
    const mutex = heldMutex(machine);
    kthread_run(machine.kernel, "blocked", () => mutex.lock());
    kthread_run(machine.kernel, "idle", (self) => waitEvent(self.wake, () => self.shouldStop) as unknown as Coroutine<void>);
    pass(machine, 140);
    expect(machine.kernel.warnings.map(({ task }) => task)).toEqual(["blocked"]);
  });

  test("that waits for a work that never ends is reported", () => {
    const machine = makeTestKernel();
    const work = INIT_WORK(machine.kernel, "endless", () => sleepNs(1000 * SECOND));
    queue_work(machine.kernel.workqueues.system_wq, work);
    machine.kernel.spawn("rmmod", flush_work(work));
    pass(machine, 140);
    expect(machine.kernel.warnings.map(({ message }) => message)).toEqual([`task rmmod ${BLOCKED}`]);
  });

  test("that sleeps for long is no report: its end is known", () => {
    const machine = makeTestKernel();
    machine.kernel.spawn("sleeper", sleepNs(500 * SECOND));
    pass(machine, 300);
    expect(machine.kernel.warnings).toEqual([]);
  });

  test("that waits when nothing is left to happen is reported without the 120 seconds", () => {
    const machine = makeTestKernel();
    machine.kernel.spawn(
      "waiter",
      waitEvent(new WaitQueue("nothing"), () => false),
    );
    machine.idle(1000);
    machine.kernel.debug.hung.standstill();
    expect(machine.kernel.warnings.map(({ message }) => message)).toEqual([
      "task waiter blocked for ever: nothing is left that could wake it",
    ]);
  });

  test("is not looked at with debugChecks off", () => {
    const machine = makeTestKernel({ cmdline: { debugChecks: false } });
    machine.kernel.spawn("ifup", heldMutex(machine).lock());
    pass(machine, 300);
    machine.kernel.debug.hung.standstill();
    expect(machine.kernel.warnings).toEqual([]);
  });
});

test("a workqueue whose items nobody takes for 30 seconds is reported with what is in flight", () => {
  const machine = makeTestKernel();
  const wq = alloc_ordered_workqueue(machine.kernel, "resets");
  queue_work(
    wq,
    INIT_WORK(machine.kernel, "slow", () => sleepNs(1000 * SECOND)),
  );
  queue_work(
    wq,
    INIT_WORK(machine.kernel, "next", () => sleepNs(0)),
  );
  pass(machine, 50);
  expect(machine.kernel.warnings).toMatchObject([
    { check: "workqueue", message: expect.stringMatching(/^workqueue lockup: resets stuck for 3\ds$/) },
  ]);
  expect(machine.kernel.warnings[0]?.details).toEqual([
    "pending: next",
    "in flight: kworker/resets, which waits: sleep of 1000000000000 ns",
  ]);
});
