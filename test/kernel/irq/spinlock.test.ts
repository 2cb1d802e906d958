// SPDX-License-Identifier: GPL-2.0-only
/** Atomic sections: spinlocks, preemption, and sleeping where one must not. */
import { describe, expect, test } from "vitest";
import {
  IRQ_HANDLED,
  local_irq_restore,
  local_irq_save,
  request_irq,
  SpinLock,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
} from "../../../src/kernel/index.ts";
import { type Coroutine, pollUntil, sleepNs, yieldNow } from "../../../src/sim/index.ts";
import { testDevice } from "../support/devices.ts";
import { makeTestKernel } from "../support/fake-platform.ts";

describe("spinlocks", () => {
  test("record who holds them", () => {
    const { kernel, run } = makeTestKernel();
    const lock = new SpinLock(kernel, "queue");
    const holders: (string | null)[] = [lock.holder];
    run(
      (function* (): Coroutine<void> {
        const flags = spin_lock_irqsave(lock);
        holders.push(lock.holder);
        spin_unlock_irqrestore(lock, flags);
        holders.push(lock.holder);
      })(),
    );
    expect(holders).toEqual([null, "test", null]);
  });

  test("taking a lock that the task holds already is an oops", () => {
    const { kernel, runToOops } = makeTestKernel();
    const lock = new SpinLock(kernel, "queue");
    const message = runToOops(
      (function* (): Coroutine<void> {
        lock.lock();
        lock.lock();
        yield* yieldNow();
      })(),
    );
    expect(message).toBe("BUG: spinlock lockup suspected on CPU#0, test: lock queue, held by test");
  });

  test("a handler that takes a lock which the interrupted task holds without irqsave is an oops", () => {
    const machine = makeTestKernel();
    const { kernel, platform } = machine;
    const lock = new SpinLock(kernel, "queue");
    request_irq(testDevice(kernel, "dev"), 40, () => {
      lock.lock();
      lock.unlock();
      return IRQ_HANDLED;
    });
    kernel.spawn(
      "driver",
      (function* (): Coroutine<void> {
        lock.lock();
        platform.interrupts.raise(40);
        kernel.sim.pollInterrupts();
        lock.unlock();
        yield* yieldNow();
      })(),
    );
    machine.idle(1000);
    expect(kernel.oopses[0]).toMatchObject({
      message: "BUG: spinlock lockup suspected on CPU#0, irq/40: lock queue, held by driver",
      task: "irq/40",
    });
  });

  test("irqsave keeps the handler out until the lock is free", () => {
    const { kernel, platform, run } = makeTestKernel();
    const lock = new SpinLock(kernel, "queue");
    const log: string[] = [];
    request_irq(testDevice(kernel, "dev"), 40, () => {
      lock.lock();
      log.push("handler");
      lock.unlock();
      return IRQ_HANDLED;
    });
    run(
      (function* (): Coroutine<void> {
        const flags = lock.lockIrqsave();
        platform.interrupts.raise(40);
        kernel.sim.pollInterrupts();
        log.push("unlock");
        lock.unlockIrqrestore(flags);
      })(),
    );
    expect(log).toEqual(["unlock", "handler"]);
  });

  test("sleeping while holding a spinlock is an oops: scheduling while atomic", () => {
    const { kernel, runToOops } = makeTestKernel();
    const lock = new SpinLock(kernel, "queue");
    const message = runToOops(
      (function* (): Coroutine<void> {
        lock.lock();
        yield* sleepNs(1000);
      })(),
    );
    expect(message).toBe("BUG: scheduling while atomic: sleep of 1000 ns while preempt_count is 1");
  });

  test("unlocking a free lock is an oops", () => {
    const { kernel, runToOops } = makeTestKernel();
    expect(
      runToOops(
        (function* (): Coroutine<void> {
          new SpinLock(kernel, "queue").unlock();
        })(),
      ),
    ).toContain("already unlocked");
  });
});

describe("atomic sections of tasks", () => {
  test("sleeping with interrupts off is an oops", () => {
    const { kernel, runToOops } = makeTestKernel();
    const message = runToOops(
      (function* (): Coroutine<void> {
        local_irq_save(kernel);
        yield* sleepNs(5);
      })(),
    );
    expect(message).toContain("BUG: scheduling while atomic: sleep of 5 ns while interrupts are off");
  });

  test("ending a task with interrupts off is an oops, and the next task has them on again", () => {
    const { kernel, runToOops } = makeTestKernel();
    expect(
      runToOops(
        (function* (): Coroutine<void> {
          local_irq_save(kernel);
        })(),
      ),
    ).toContain("a task ended with interrupts off");
    expect(kernel.cpu.irqsDisabled).toBe(false);
  });

  test("polls spin until their time-out", () => {
    const { kernel, sim, run } = makeTestKernel();
    const log: string[] = [];
    run(
      (function* (): Coroutine<void> {
        const flags = local_irq_save(kernel);
        const start = sim.now;
        const held = yield* pollUntil(() => false, 1000, 10_000, "never");
        log.push(`poll ${held} after ${sim.now - start}`);
        local_irq_restore(kernel, flags);
      })(),
    );
    expect(log).toEqual(["poll false after 10000"]);
  });

  test("a poll without end is a hard lockup", () => {
    const { kernel, runToOops } = makeTestKernel();
    const message = runToOops(
      (function* (): Coroutine<void> {
        local_irq_save(kernel);
        yield* pollUntil(() => false, 1_000_000, Infinity, "a dead device");
      })(),
    );
    expect(message).toContain("hard LOCKUP on cpu 0: polling a dead device");
  });

  test("a task spawned inside the section runs after it", () => {
    const { kernel, run } = makeTestKernel();
    const log: string[] = [];
    run(
      (function* (): Coroutine<void> {
        const flags = local_irq_save(kernel);
        kernel.spawn(
          "other",
          (function* (): Coroutine<void> {
            log.push("other");
          })(),
        );
        yield* yieldNow();
        yield* pollUntil(() => false, 1000, 10_000, "never");
        log.push("section over");
        local_irq_restore(kernel, flags);
        yield* yieldNow();
      })(),
    );
    expect(log).toEqual(["section over", "other"]);
  });
});
