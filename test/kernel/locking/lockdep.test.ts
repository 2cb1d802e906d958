// SPDX-License-Identifier: GPL-2.0-only
/** What lockdep finds: locks in the wrong order, in the wrong context, in the wrong hands. Each code here is wrong on purpose. */
import { describe, expect, test } from "vitest";
import {
  alloc_ordered_workqueue,
  complete,
  Completion,
  flush_work,
  free_irq,
  INIT_WORK,
  IRQ_HANDLED,
  type Kernel,
  kthread_run,
  kthread_stop,
  local_irq_restore,
  local_irq_save,
  mod_timer,
  Mutex,
  queue_work,
  request_irq,
  request_threaded_irq,
  SpinLock,
  type Timer,
  timer_delete_sync,
  timer_setup,
  wait_for_completion,
} from "../../../src/kernel/index.ts";
import { type Coroutine, sleepNs, waitEvent } from "../../../src/sim/index.ts";
import { testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel, type TestKernelOptions } from "../support/fake-platform.ts";

type Step = Mutex | SpinLock;

/** Takes locks in this order and lets them go in reverse. */
function* nest(...locks: readonly Step[]): Coroutine<void> {
  for (const lock of locks) {
    if (lock instanceof Mutex) yield* lock.lock();
    else lock.lock();
  }
  for (const lock of locks.toReversed()) lock.unlock();
}

/** Tasks that run one after the other; what the kernel reported. */
function reportsOf(machine: TestKernel, ...bodies: readonly Coroutine<unknown>[]): string[] {
  for (const [index, body] of bodies.entries()) {
    machine.kernel.spawn(`task${index}`, body);
    machine.idle(1_000_000);
  }
  return machine.kernel.warnings.map(({ message }) => message);
}

function mutexes(kernel: Kernel, ...names: readonly string[]): Mutex[] {
  return names.map((name) => new Mutex(kernel, name));
}

const CIRCLE = "possible circular locking dependency detected";

describe("lock order", () => {
  test("two tasks that take two mutexes in opposite orders are reported although neither waited", () => {
    const machine = makeTestKernel();
    const [a, b] = mutexes(machine.kernel, "a", "b") as [Mutex, Mutex];
    expect(reportsOf(machine, nest(a, b), nest(b, a))).toEqual([`${CIRCLE}: task1 takes a while it holds b`]);
  });

  test("the report names task and time, and both chains", () => {
    const machine = makeTestKernel();
    const [a, b] = mutexes(machine.kernel, "a", "b") as [Mutex, Mutex];
    reportsOf(machine, nest(a, b), nest(b, a));
    expect(machine.kernel.warnings[0]).toMatchObject({ check: "lockdep", task: "task1", time: 1_000_000 });
    expect(machine.kernel.warnings[0]?.details).toEqual([
      "seen before: a -> b by task0 at 0 ns, holding a",
      "now: b -> a by task1 at 1000000 ns, holding b",
    ]);
  });

  test("a circle may go through locks of three tasks", () => {
    const machine = makeTestKernel();
    const [a, b, c] = mutexes(machine.kernel, "a", "b", "c") as [Mutex, Mutex, Mutex];
    expect(reportsOf(machine, nest(a, b), nest(b, c), nest(c, a))).toEqual([`${CIRCLE}: task2 takes a while it holds c`]);
    expect(machine.kernel.warnings[0]?.details).toHaveLength(3);
  });

  test("a pair of classes is reported once", () => {
    const machine = makeTestKernel();
    const [a, b] = mutexes(machine.kernel, "a", "b") as [Mutex, Mutex];
    expect(reportsOf(machine, nest(a, b), nest(b, a), nest(b, a), nest(a, b))).toHaveLength(1);
  });

  test("the same order each time is no report", () => {
    const machine = makeTestKernel();
    const [a, b] = mutexes(machine.kernel, "a", "b") as [Mutex, Mutex];
    expect(reportsOf(machine, nest(a, b), nest(a, b), nest(b), nest(a))).toEqual([]);
  });

  test("locks of one class share their order", () => {
    const machine = makeTestKernel();
    const lock = (name: string, key: string): Mutex => new Mutex(machine.kernel, name, { key });
    const reports = reportsOf(machine, nest(lock("a0", "a"), lock("b0", "b")), nest(lock("b1", "b"), lock("a1", "a")));
    expect(reports).toEqual([`${CIRCLE}: task1 takes a1 while it holds b1`]);
  });

  test("a lock that is only tried cannot close a circle", () => {
    const machine = makeTestKernel();
    const [a, b] = mutexes(machine.kernel, "a", "b") as [Mutex, Mutex];
    const tries = (function* (): Coroutine<void> {
      yield* b.lock();
      expect(a.tryLock()).toBe(true);
      a.unlock();
      b.unlock();
    })();
    expect(reportsOf(machine, nest(a, b), tries)).toEqual([]);
  });

  test("device locks are not validated: a bus nests them as its tree does", () => {
    const machine = makeTestKernel();
    const [a, b] = ["a", "b"].map((name) => testDevice(machine.kernel, name).mutex) as [Mutex, Mutex];
    expect(reportsOf(machine, nest(a, b), nest(b, a))).toEqual([]);
  });

  test("with debugChecks off nothing is reported", () => {
    const machine = makeTestKernel({ cmdline: { debugChecks: false } });
    const [a, b] = mutexes(machine.kernel, "a", "b") as [Mutex, Mutex];
    expect(reportsOf(machine, nest(a, b), nest(b, a))).toEqual([]);
  });

  test("after an oops lockdep is silent, as after Linux's debug_locks_off", () => {
    const machine = makeTestKernel();
    const [a, b] = mutexes(machine.kernel, "a", "b") as [Mutex, Mutex];
    machine.kernel.oops("BUG: something");
    expect(reportsOf(machine, nest(a, b), nest(b, a))).toEqual([]);
  });
});

describe("a mutex", () => {
  test("taken twice by one task is recursion", () => {
    const machine = makeTestKernel();
    const [a] = mutexes(machine.kernel, "a") as [Mutex];
    expect(reportsOf(machine, nest(a, a))).toEqual(["possible recursive locking detected: task0 takes a while it holds a"]);
  });

  test("unlocked by a task that does not hold it is an imbalance that names the holder", () => {
    const machine = makeTestKernel();
    const [a] = mutexes(machine.kernel, "a") as [Mutex];
    const holder = (function* (): Coroutine<void> {
      yield* a.lock();
      yield* sleepNs(10_000_000);
    })();
    const other = (function* (): Coroutine<void> {
      a.unlock();
      yield* sleepNs(0);
    })();
    expect(reportsOf(machine, holder, other)).toEqual(["bad unlock balance detected: task1 unlocks a, which task0 holds"]);
  });

  test("unlocked while nobody holds it is an imbalance", () => {
    const machine = makeTestKernel();
    const [a] = mutexes(machine.kernel, "a") as [Mutex];
    const body = (function* (): Coroutine<void> {
      a.unlock();
      yield* sleepNs(0);
    })();
    expect(reportsOf(machine, body)).toEqual(["bad unlock balance detected: task0 unlocks a, which nobody holds"]);
  });

  test("held when its task ends is reported", () => {
    const machine = makeTestKernel();
    const [a] = mutexes(machine.kernel, "a") as [Mutex];
    expect(reportsOf(machine, a.lock())).toEqual(["task0 still has locks held: a"]);
  });

  test("with debugChecks off locks and unlocks as ever", () => {
    const machine = makeTestKernel({ cmdline: { debugChecks: false } });
    const [a] = mutexes(machine.kernel, "a") as [Mutex];
    expect(machine.run(a.with("someone", () => nest()))).toBeUndefined();
    expect(a.owner).toBeNull();
  });
});

describe("what is waited for as if it were a lock", () => {
  test("flush_work under a mutex that the work takes", () => {
    const machine = makeTestKernel();
    const [a] = mutexes(machine.kernel, "a") as [Mutex];
    const work = INIT_WORK(machine.kernel, "reset", () => nest(a));
    const flush = (function* (): Coroutine<void> {
      yield* a.lock();
      yield* flush_work(work);
      a.unlock();
    })();
    const queue = (function* (): Coroutine<void> {
      queue_work(machine.kernel.workqueues.system_wq, work);
      yield* flush_work(work);
    })();
    expect(reportsOf(machine, queue, flush)).toEqual([`${CIRCLE}: task1 takes (work)reset while it holds a`]);
  });

  test("flush_work of an ordered queue's item under a mutex that another item takes", () => {
    const machine = makeTestKernel();
    const [a] = mutexes(machine.kernel, "a") as [Mutex];
    const wq = alloc_ordered_workqueue(machine.kernel, "q");
    const first = INIT_WORK(machine.kernel, "first", () => nest(a));
    const second = INIT_WORK(machine.kernel, "second", () => nest());
    queue_work(wq, first);
    const flush = (function* (): Coroutine<void> {
      yield* a.lock();
      queue_work(wq, second);
      yield* flush_work(second);
      a.unlock();
    })();
    expect(reportsOf(machine, flush_work(first), flush)).toEqual([`${CIRCLE}: task1 takes (wq)q while it holds a`]);
  });

  test("a work that flushes itself", () => {
    const machine = makeTestKernel();
    const work = INIT_WORK(machine.kernel, "self", () => flush_work(work));
    queue_work(machine.kernel.workqueues.system_wq, work);
    expect(reportsOf(machine, nest())[0]).toBe(
      "possible recursive locking detected: kworker/events takes (work)self while it holds (work)self",
    );
  });

  test("kthread_stop under a mutex that the thread takes", () => {
    const machine = makeTestKernel();
    const [a] = mutexes(machine.kernel, "a") as [Mutex];
    const thread = kthread_run(machine.kernel, "poller", function* (self) {
      yield* nest(a);
      yield* waitEvent(self.wake, () => self.shouldStop);
    });
    const stop = (function* (): Coroutine<void> {
      yield* a.lock();
      yield* kthread_stop(thread);
      a.unlock();
    })();
    expect(reportsOf(machine, nest(), stop)).toEqual([`${CIRCLE}: task1 takes (kthread)poller while it holds a`]);
  });

  test("free_irq under a mutex that the interrupt's thread takes", () => {
    const machine = makeTestKernel();
    const [a] = mutexes(machine.kernel, "a") as [Mutex];
    const dev = testDevice(machine.kernel, "eth0");
    request_threaded_irq(dev, 40, null, {
      oneshot: true,
      *thread() {
        yield* nest(a);
        return IRQ_HANDLED;
      },
    });
    machine.platform.interrupts.raise(40);
    const free = (function* (): Coroutine<void> {
      yield* a.lock();
      yield* free_irq(dev, 40);
      a.unlock();
    })();
    expect(reportsOf(machine, nest(), free)).toEqual([`${CIRCLE}: task1 takes (irq)40-eth0 while it holds a`]);
  });

  test("timer_delete_sync under a lock that the timer's function takes", () => {
    const machine = makeTestKernel();
    const lock = new SpinLock(machine.kernel, "lock");
    const timer = timer_setup(machine.kernel, "watchdog", () => {
      lock.lock();
      lock.unlock();
    });
    const stop = function* (): Coroutine<void> {
      mod_timer(timer, 1);
      yield* sleepNs(2_000_000);
      const flags = lock.lockIrqsave();
      timer_delete_sync(timer);
      lock.unlockIrqrestore(flags);
    };
    machine.kernel.spawn("stop", stop());
    machine.idle(10_000_000);
    expect(machine.kernel.warnings.map(({ message }) => message)).toEqual([`${CIRCLE}: stop takes (timer)watchdog while it holds lock`]);
  });

  test("a timer whose function waits for its own end", () => {
    const machine = makeTestKernel();
    const timer: Timer = timer_setup(machine.kernel, "watchdog", () => void timer_delete_sync(timer));
    mod_timer(timer, 1);
    machine.idle(10_000_000);
    expect(machine.kernel.warnings.map(({ message }) => message)).toEqual([expect.stringContaining("possible recursive locking detected")]);
  });

  test("wait_for_completion under a mutex that is held where it is completed", () => {
    const machine = makeTestKernel();
    const [a] = mutexes(machine.kernel, "a") as [Mutex];
    const done = new Completion(machine.kernel, "done");
    const completer = (function* (): Coroutine<void> {
      yield* a.lock();
      complete(done);
      a.unlock();
    })();
    const waiter = (function* (): Coroutine<void> {
      yield* a.lock();
      yield* wait_for_completion(done);
      a.unlock();
    })();
    expect(reportsOf(machine, completer, waiter)).toEqual([`${CIRCLE}: task1 takes (completion)done while it holds a`]);
  });
});

describe("spinlocks and interrupts", () => {
  /** A handler of interrupt 40 that takes `lock`, run once at the start. */
  function withHandler(names: readonly string[], options: TestKernelOptions = {}): { machine: TestKernel; locks: SpinLock[] } {
    const machine = makeTestKernel(options);
    const locks = names.map((name) => new SpinLock(machine.kernel, name));
    request_irq(testDevice(machine.kernel, "eth0"), 40, () => {
      locks[0]!.lock();
      locks[0]!.unlock();
      return IRQ_HANDLED;
    });
    machine.platform.interrupts.raise(40);
    machine.kernel.sim.pollInterrupts();
    return { machine, locks };
  }

  test("a lock that a handler takes must not be held with interrupts on", () => {
    const { machine, locks } = withHandler(["ring"]);
    expect(reportsOf(machine, nest(...locks))).toEqual(["inconsistent lock state: ring is taken in interrupts and with interrupts on"]);
  });

  test("held with interrupts off it is no report", () => {
    const { machine, locks } = withHandler(["ring"]);
    const body = (function* (): Coroutine<void> {
      const flags = locks[0]!.lockIrqsave();
      locks[0]!.unlockIrqrestore(flags);
      yield* sleepNs(0);
    })();
    expect(reportsOf(machine, body)).toEqual([]);
  });

  test("interrupts that come on while it is held are as bad", () => {
    const { machine, locks } = withHandler(["ring"]);
    const body = (function* (): Coroutine<void> {
      const flags = local_irq_save(machine.kernel);
      locks[0]!.lock();
      local_irq_restore(machine.kernel, flags);
      locks[0]!.unlock();
      yield* sleepNs(0);
    })();
    expect(reportsOf(machine, body)).toHaveLength(1);
  });

  test("under it a lock must not be taken that others hold with interrupts on", () => {
    const { machine, locks } = withHandler(["ring", "stats"]);
    const [ring, stats] = locks as [SpinLock, SpinLock];
    const body = (function* (): Coroutine<void> {
      const flags = ring.lockIrqsave();
      stats.lock();
      stats.unlock();
      ring.unlockIrqrestore(flags);
      yield* sleepNs(0);
    })();
    expect(reportsOf(machine, nest(stats), body)).toEqual(["HARDIRQ-safe -> HARDIRQ-unsafe lock order detected: ring -> stats"]);
  });

  test("that order is found too if the order was seen first", () => {
    const { machine, locks } = withHandler(["ring", "stats"]);
    const [ring, stats] = locks as [SpinLock, SpinLock];
    const body = (function* (): Coroutine<void> {
      const flags = ring.lockIrqsave();
      stats.lock();
      stats.unlock();
      ring.unlockIrqrestore(flags);
      yield* sleepNs(0);
    })();
    expect(reportsOf(machine, body, nest(stats))).toEqual(["HARDIRQ-safe -> HARDIRQ-unsafe lock order detected: ring -> stats"]);
  });

  test("a handler that returns with a lock held is reported", () => {
    const machine = makeTestKernel();
    const lock = new SpinLock(machine.kernel, "ring");
    request_irq(testDevice(machine.kernel, "eth0"), 40, () => {
      lock.lock();
      return IRQ_HANDLED;
    });
    machine.platform.interrupts.raise(40);
    expect(reportsOf(machine, nest())).toEqual(["irq/40 returned with locks held: ring"]);
  });
});
