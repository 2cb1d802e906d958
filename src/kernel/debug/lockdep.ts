// SPDX-License-Identifier: GPL-2.0-only
/**
 * The validator of locks: which locks running code holds, and whether the order and the contexts in which locks are taken
 * could ever deadlock, even if they did not this time.
 *
 * After Linux 7.1 kernel/locking/lockdep.c: lock_acquire, lock_release, check_deadlock, check_prevs_add, check_irq_usage,
 * mark_lock, print_circular_bug, debug_check_no_locks_held, debug_locks_off. Linux falls silent after its first report; here each pair of classes
 * is reported once. Interrupts and tasks have stacks of their own, so an interrupt adds no order to what it interrupted. Left
 * out: read locks, subclasses (nesting annotations), softirqs as a context of their own, wait types.
 */
import type { Task } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";
import type { ReportOptions } from "./debug.ts";
import { addDependency, type Dependency, findPath, LockClass, type LockSite } from "./lock-graph.ts";

/** What can be held: a lock, or something that is waited for as if it were one. */
export interface LockdepMap {
  readonly name: string;
  readonly lockClass: LockClass;
  /** `lockdep_set_novalidate_class`. */
  readonly novalidate?: boolean;
  /** No lock: the run of a work, a timer, an interrupt's thread, a kernel thread. */
  readonly pseudo?: boolean;
}

interface HeldLock {
  readonly map: LockdepMap;
  readonly trylock: boolean;
}

export class Lockdep {
  readonly #kernel: Kernel;
  readonly #classes = new Map<string, LockClass>();
  readonly #tasks = new Map<Task | null, HeldLock[]>();
  readonly #interrupt: HeldLock[] = [];
  #off = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** `debug_locks_off`: after an oops locks may stand as they should not, and nothing is reported any more. */
  off(): void {
    this.#off = true;
  }

  /** Reports, unless the validator is off. */
  report(message: string, options: ReportOptions = {}): void {
    if (!this.#off) this.#kernel.debug.report("lockdep", message, options);
  }

  classOf(key: string): LockClass {
    let found = this.#classes.get(key);
    if (!found) this.#classes.set(key, (found = new LockClass(key)));
    return found;
  }

  /** A map for something that is no lock, as `lockdep_init_map`. */
  pseudo(name: string): LockdepMap {
    return { name, lockClass: this.classOf(name), pseudo: true };
  }

  /** Names of what running code holds, oldest first. */
  get held(): string[] {
    return this.#stack().map(({ map }) => map.name);
  }

  /** What running code holds, as lines of a report. */
  heldLines(): string[] {
    const { held } = this;
    return held.length === 0
      ? []
      : [`${held.length} ${held.length === 1 ? "lock" : "locks"} held by ${this.#kernel.currentTask}: ${held.join(", ")}`];
  }

  /** Running code is about to take a lock; called before it waits for it. */
  acquire(map: LockdepMap, trylock: boolean = false): void {
    if (!this.#kernel.params.debugChecks) return;
    const stack = this.#stack();
    if (!trylock && !map.novalidate) {
      if (this.#mayRecurse(stack, map)) this.#addDependencies(stack, map);
    }
    if (!map.pseudo && !map.novalidate) this.#markTaken(map);
    stack.push({ map, trylock });
  }

  /** @returns false if running code does not hold it */
  release(map: LockdepMap): boolean {
    if (!this.#kernel.params.debugChecks) return true;
    const stack = this.#stack();
    if (take(stack, map)) {
      if (stack.length === 0 && stack !== this.#interrupt) this.#tasks.delete(this.#kernel.sim.current);
      return true;
    }
    for (const other of [...this.#tasks.values(), this.#interrupt]) if (take(other, map)) break;
    return false;
  }

  /** Waiting for something as if it were a lock that is let go at once. */
  waitFor(map: LockdepMap): void {
    this.acquire(map);
    this.release(map);
  }

  /** What running code holds is needed for that which `map` waits for. */
  neededFor(map: LockdepMap): void {
    if (!this.#kernel.params.debugChecks) return;
    for (const { map: held } of this.#stack()) {
      if (!held.novalidate && !map.lockClass.after.has(held.lockClass)) this.#addDependency(map, held);
    }
  }

  /** Interrupts go on: what is held is held with interrupts on. */
  interruptsOn(): void {
    if (this.#tasks.size === 0 || this.#kernel.cpu.interruptName !== null) return;
    for (const { map } of this.#stack()) if (!map.pseudo && !map.novalidate) this.#markOn(map);
  }

  /** A task ends. */
  taskEnds(task: Task | null): void {
    const stack = this.#tasks.get(task);
    if (stack === undefined) return;
    this.#tasks.delete(task);
    const locks = stack.filter(({ map }) => !map.pseudo).map(({ map }) => map.name);
    if (locks.length === 0) return;
    const name = task?.name ?? this.#kernel.currentTask;
    this.report(`${name} still has locks held: ${locks.join(", ")}`, { task: name });
  }

  /** An interrupt handler, a softirq or a timer has returned. */
  interruptEnds(name: string): void {
    if (this.#interrupt.length === 0) return;
    const locks = this.#interrupt.splice(0).map(({ map }) => map.name);
    this.report(`${name} returned with locks held: ${locks.join(", ")}`, { task: name });
  }

  #stack(): HeldLock[] {
    const { cpu, sim } = this.#kernel;
    if (cpu.interruptName !== null) return this.#interrupt;
    let stack = this.#tasks.get(sim.current);
    if (!stack) this.#tasks.set(sim.current, (stack = []));
    return stack;
  }

  #site(): LockSite {
    return { task: this.#kernel.currentTask, time: this.#kernel.sim.now, held: this.held };
  }

  /** `check_deadlock`. @returns false after a report */
  #mayRecurse(stack: readonly HeldLock[], map: LockdepMap): boolean {
    const same = stack.find((held) => held.map.lockClass === map.lockClass);
    if (!same) return true;
    this.#report("possible recursive locking detected", map, same.map, [], "recursion");
    return false;
  }

  /** `check_prevs_add`: after the lock taken last, and those that were only tried on top of it. */
  #addDependencies(stack: readonly HeldLock[], map: LockdepMap): void {
    for (let index = stack.length - 1; index >= 0; index--) {
      const { map: previous, trylock } = stack[index]!;
      if (previous.novalidate) continue;
      if (!previous.lockClass.after.has(map.lockClass)) this.#addDependency(previous, map);
      if (!trylock) return;
    }
  }

  #addDependency(previous: LockdepMap, map: LockdepMap): void {
    const from = previous.lockClass;
    const to = map.lockClass;
    const cycle = findPath(to, "after", (found) => found === from);
    if (cycle) return this.#report("possible circular locking dependency detected", map, previous, cycle, "circle");
    addDependency({ ...this.#site(), from, to });
    const safe = findPath(from, "before", (found) => found.inInterrupt !== null);
    const unsafe = safe && findPath(to, "after", (found) => found.interruptsOn !== null);
    if (safe && unsafe) this.#reportInversion(safe.at(-1)?.from ?? from, unsafe.at(-1)?.to ?? to);
  }

  #markTaken(map: LockdepMap): void {
    const { cpu } = this.#kernel;
    if (cpu.interruptName === null) {
      if (!cpu.irqsDisabled) this.#markOn(map);
      return;
    }
    const { lockClass } = map;
    if (lockClass.inInterrupt) return;
    lockClass.inInterrupt = this.#site();
    if (lockClass.interruptsOn) return this.#reportState(map);
    const unsafe = findPath(lockClass, "after", (found) => found.interruptsOn !== null);
    if (unsafe) this.#reportInversion(lockClass, unsafe.at(-1)!.to);
  }

  #markOn({ lockClass, ...map }: LockdepMap): void {
    if (lockClass.interruptsOn) return;
    lockClass.interruptsOn = this.#site();
    if (lockClass.inInterrupt) return this.#reportState({ ...map, lockClass });
    const safe = findPath(lockClass, "before", (found) => found.inInterrupt !== null);
    if (safe) this.#reportInversion(safe.at(-1)!.from, lockClass);
  }

  #reportState({ name, lockClass }: LockdepMap): void {
    const details = [
      `taken in interrupt ${site(lockClass.inInterrupt!)}`,
      `held with interrupts on ${site(lockClass.interruptsOn!)}`,
      "an interrupt on top of its holder would wait for it for ever",
    ];
    this.report(`inconsistent lock state: ${name} is taken in interrupts and with interrupts on`, {
      details,
      once: `state ${lockClass.key}`,
    });
  }

  #reportInversion(safe: LockClass, unsafe: LockClass): void {
    const order = findPath(safe, "after", (found) => found === unsafe) ?? [];
    const details = [
      `${safe.key} is taken in interrupt ${site(safe.inInterrupt!)}`,
      `${unsafe.key} is held with interrupts on ${site(unsafe.interruptsOn!)}`,
      ...order.map(line),
    ];
    const message = `HARDIRQ-safe -> HARDIRQ-unsafe lock order detected: ${safe.key} -> ${unsafe.key}`;
    this.report(message, { details, once: `inversion ${safe.key} ${unsafe.key}` });
  }

  #report(headline: string, wanted: LockdepMap, holding: LockdepMap, cycle: readonly Dependency[], kind: string): void {
    const here = this.#site();
    const now: Dependency = { ...here, from: holding.lockClass, to: wanted.lockClass };
    const details = [...cycle.map((dependency) => `seen before: ${line(dependency)}`), `now: ${line(now)}`];
    this.report(`${headline}: ${here.task} takes ${wanted.name} while it holds ${holding.name}`, {
      details,
      once: `${kind} ${[wanted.lockClass.key, holding.lockClass.key].toSorted().join(" ")}`,
    });
  }
}

function take(stack: HeldLock[], map: LockdepMap): boolean {
  const index = stack.findLastIndex((held) => held.map === map);
  if (index >= 0) stack.splice(index, 1);
  return index >= 0;
}

function site({ task, time }: LockSite): string {
  return `by ${task} at ${time} ns`;
}

function line(dependency: Dependency): string {
  return `${dependency.from.key} -> ${dependency.to.key} ${site(dependency)}, holding ${dependency.held.join(", ")}`;
}
