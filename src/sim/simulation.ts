// SPDX-License-Identifier: MIT
/**
 * Virtual time and the interpreter of tasks. A group of tasks can be held: the world goes on, its tasks and their time do not.
 *
 * Devices are events on the clock; software is tasks. A task may let time pass in the middle of its work by
 * {@link Simulation.advance} (an MMIO access does): device events that fall due meanwhile happen before it returns, so a
 * device's DMA can land between any two register writes of a driver. Everything else a task does takes no time.
 */
import { DecisionLog } from "./decision-log.ts";
import { EventHeap, type ScheduledEvent } from "./event-heap.ts";
import { Prng } from "./prng.ts";
import { RunQueue } from "./run-queue.ts";
import { RunOrderScheduler, type Scheduler } from "./scheduler.ts";
import { type Action, type Coroutine, Task, TaskGroup, YIELD } from "./task.ts";
import type { TraceSink } from "./trace.ts";

/** What the simulation itself traces. */
export interface SimEvents {
  "sim.task": { readonly task: string; readonly group: string; readonly what: "spawned" | "done" | "killed" | "failed" };
}

/** Where a task stands when nothing can go on. */
export interface WaitingTask {
  readonly task: string;
  readonly group: string;
  readonly reason: string;
  /** Nanoseconds of the group's own time, see {@link Simulation.timeOf}. */
  readonly since: number;
}

export type RunOutcome =
  | { readonly kind: "done" }
  /** Nothing will ever happen again, and these tasks wait. */
  | { readonly kind: "deadlock"; readonly waiting: readonly WaitingTask[] }
  /** A limit was hit before the end. */
  | { readonly kind: "limit"; readonly limit: "time" | "steps"; readonly waiting: readonly WaitingTask[] };

/** The library was used wrongly: a bug of the embedding program, never of simulated software. */
export class SimulationMisuseError extends Error {
  override readonly name = "SimulationMisuseError";
  readonly code = "SIMULATION_MISUSE";
}

/** Code that must not sleep slept: thrown into whoever called {@link Simulation.runAtomic}. */
export class SleepInAtomicError extends Error {
  override readonly name = "SleepInAtomicError";
  readonly code = "SLEEP_IN_ATOMIC";
}

/** Device events come before wake-ups of tasks that fall due at the same time. */
const DEVICE_PRIORITY = 0;
const WAKE_PRIORITY = 100;

export interface SimulationOptions {
  /** Seed of {@link Simulation.prng}: stimulus such as arrival times. 0 if absent. */
  readonly seed?: number;
  /** Default: {@link RunOrderScheduler}. */
  readonly scheduler?: Scheduler;
  readonly trace?: TraceSink<SimEvents> & { setClock?(now: () => number): void };
}

export class Simulation {
  readonly seed: number;
  /** Randomness for stimulus; fork it by name. */
  readonly prng: Prng;
  /**
   * Called where a CPU may take an interrupt: between steps of tasks and after device events. Software that lets time
   * pass inside a step calls {@link pollInterrupts} itself.
   */
  interruptHook: (() => void) | null = null;

  readonly #heap = new EventHeap();
  readonly #scheduler: Scheduler;
  readonly #trace: TraceSink<SimEvents> | undefined;
  readonly #groups = new Set<TaskGroup>();
  readonly #decisions = new DecisionLog();
  readonly #runnable = new RunQueue();
  /** The scheduler takes the first task each time: it need not be asked. */
  readonly #inRunOrder: boolean;
  #now = 0;
  #steps = 0;
  #taskId = 0;
  #inEvent = false;
  #current: Task | null = null;
  /** The task that {@link unpark} let go on: its step is the next. */
  #next: Task | null = null;

  constructor(options: SimulationOptions = {}) {
    this.seed = options.seed ?? 0;
    this.prng = new Prng(this.seed);
    this.#scheduler = options.scheduler ?? new RunOrderScheduler();
    this.#inRunOrder = this.#scheduler.nextTask === RunOrderScheduler.prototype.nextTask;
    this.#trace = options.trace;
    options.trace?.setClock?.(() => this.#now);
    this.#scheduler.start();
  }

  /** Virtual nanoseconds since the start. */
  get now(): number {
    return this.#now;
  }

  /** Steps of tasks taken so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Every decision with more than one alternative so far, in order. */
  get decisions(): number[] {
    return this.#decisions.toArray();
  }

  /** The task whose step is being carried out, if any. */
  get current(): Task | null {
    return this.#current;
  }

  /** Asks the scheduler for a choice among `count` alternatives and records the answer. */
  choose(name: string, count: number): number {
    if (count < 2) return 0;
    const decision = this.#scheduler.nextChoice(name, count);
    if (!(decision >= 0 && decision < count)) throw new SimulationMisuseError(`the scheduler chose ${decision} of ${count} for "${name}"`);
    this.#decisions.push(decision);
    return decision;
  }

  /**
   * Schedules a device event `delayNs` from now.
   * @param delayNs at least 0
   * @param priority lower fires first among equal times
   */
  after(delayNs: number, action: () => void, priority: number = DEVICE_PRIORITY): ScheduledEvent {
    if (!(delayNs >= 0)) throw new SimulationMisuseError(`a delay of ${delayNs} ns`);
    return this.#heap.push(this.#now + Math.round(delayNs), priority, action);
  }

  /**
   * Lets `ns` of time pass for the running code: events due within it fire in order, then the clock stands at the end.
   * Not allowed inside a device event: a device acts at one instant and schedules what comes later.
   * @param ns at least 0
   * @throws SimulationMisuseError inside a device event, or for another span
   */
  advance(ns: number): void {
    if (!(ns >= 0 && ns < Infinity)) throw new SimulationMisuseError(`advance() by ${ns} ns: time goes on by a number of at least 0`);
    if (this.#inEvent) throw new SimulationMisuseError("advance() inside a device event: schedule a later event instead");
    const end = this.#now + ns;
    for (let event = this.#heap.peek(); event && event.time <= end; event = this.#heap.peek()) this.#fire(event);
    this.#now = end;
  }

  /** Takes pending interrupts, if the hook is set and the CPU may. Inside a device event it does nothing. */
  pollInterrupts(): void {
    if (!this.#inEvent) this.interruptHook?.();
  }

  /** True while a device event is being carried out. */
  get inDeviceEvent(): boolean {
    return this.#inEvent;
  }

  #fire(event: ScheduledEvent): void {
    this.#heap.pop();
    this.#now = Math.max(this.#now, event.time);
    this.#inEvent = true;
    try {
      event.fire();
    } finally {
      this.#inEvent = false;
    }
  }

  /** Starts a task. It first runs when the scheduler picks it. */
  spawn(name: string, group: TaskGroup, body: Coroutine<unknown>, options: { readonly daemon?: boolean } = {}): Task {
    const task = new Task(this.#taskId++, name, group, options.daemon ?? false, body);
    group.tasks.add(task);
    this.#groups.add(group);
    this.#enqueue(task);
    this.#trace?.emit("sim.task", { task: name, group: group.name, what: "spawned" });
    return task;
  }

  /** Drops all tasks of a group where they stand; no code of theirs runs any more, not even `finally`. */
  kill(group: TaskGroup): void {
    for (const task of group.tasks) this.#end(task, "killed");
    this.#runnable.dropEnded();
    group.heldRunnable.length = 0;
    this.#groups.delete(group);
  }

  /**
   * From now on no task of the group runs and no time passes for it: sleeps and timeouts keep what is left of them. A wake-up
   * is not lost: the task runs after the release. The running task, if it is one of them, goes on until it waits.
   */
  hold(group: TaskGroup): void {
    if (group.heldSince !== null) throw new SimulationMisuseError(`${group.name} is held already`);
    group.heldSince = this.#now;
    group.heldRunnable.push(...this.#runnable.takeGroup(group));
    const timed = [...group.tasks].filter(({ timer }) => timer?.pending ?? false).toSorted((a, b) => a.timer!.seq - b.timer!.seq);
    for (const task of timed) {
      task.timeLeft = task.timer!.time - this.#now;
      task.timer!.cancel();
      task.timer = null;
      group.heldTimers.push(task);
    }
  }

  /** The group's tasks go on where they stood, in the order in which they would have. */
  release(group: TaskGroup): void {
    if (group.heldSince === null) throw new SimulationMisuseError(`${group.name} is not held`);
    group.heldNs += this.#now - group.heldSince;
    group.heldSince = null;
    for (const task of group.heldRunnable.splice(0)) if (task.state === "runnable") this.#runnable.push(task);
    for (const task of group.heldTimers.splice(0)) {
      const left = task.timeLeft!;
      task.timeLeft = null;
      this.#setTimer(task, left, task.alarm!);
    }
  }

  /** Virtual nanoseconds since the start without those for which the group was held: the clock by which its tasks wait. */
  timeOf(group: TaskGroup): number {
    return (group.heldSince ?? this.#now) - group.heldNs;
  }

  /**
   * A parked task goes on, even one of a held group: as soon as the running step is over, before anything else, so that
   * there is nothing to choose.
   */
  unpark(task: Task): void {
    if (task.state !== "waiting" || task.waitingFor?.kind !== "park") throw new SimulationMisuseError(`task ${task.name} is not parked`);
    if (this.#next !== null) throw new SimulationMisuseError(`task ${this.#next.name} is to go on already`);
    task.waitingFor = null;
    task.resume = true;
    task.state = "runnable";
    this.#next = task;
  }

  /** Drops one task where it stands. */
  killTask(task: Task): void {
    if (task.state === "done" || task.state === "killed") return;
    this.#end(task, "killed");
    this.#runnable.dropEnded();
  }

  #end(task: Task, what: "done" | "killed" | "failed"): void {
    this.#unblock(task);
    task.poll = null;
    task.state = what === "done" ? "done" : "killed";
    task.group.tasks.delete(task);
    if (this.#next === task) this.#next = null;
    this.#trace?.emit("sim.task", { task: task.name, group: task.group.name, what });
  }

  /** Takes a task off what it waits for. */
  #unblock(task: Task): void {
    task.queue?.leave(task.wakeUp!);
    task.queue = null;
    task.timer?.cancel();
    task.timer = null;
    if (task.timeLeft === null) return;
    task.timeLeft = null;
    const { heldTimers } = task.group;
    heldTimers.splice(heldTimers.indexOf(task), 1);
  }

  #setTimer(task: Task, ns: number, alarm: () => void): void {
    task.alarm = alarm;
    if (task.group.heldSince === null) {
      task.timer = this.after(ns, alarm, WAKE_PRIORITY);
      return;
    }
    task.timeLeft = ns;
    task.group.heldTimers.push(task);
  }

  #enqueue(task: Task): void {
    if (task.group.heldSince === null) this.#runnable.push(task);
    else task.group.heldRunnable.push(task);
  }

  #makeRunnable(task: Task, resume: boolean): void {
    this.#unblock(task);
    task.waitingFor = null;
    task.resume = resume;
    task.state = "runnable";
    this.#enqueue(task);
  }

  #block(task: Task, action: Action): void {
    task.state = "waiting";
    task.waitingFor = action;
    task.waitingSince = this.timeOf(task.group);
    task.wakeUp ??= () => this.#makeRunnable(task, true);
  }

  /** Carries out what a task yielded. */
  #perform(task: Task, action: Action): void {
    switch (action.kind) {
      case "yield":
        task.resume = true;
        this.#enqueue(task);
        return;
      case "sleep":
        this.#block(task, action);
        this.#setTimer(task, action.ns, task.wakeUp!);
        return;
      case "wait":
        this.#block(task, action);
        action.queue.enqueue(task.wakeUp!);
        task.queue = action.queue;
        if (action.timeoutNs === undefined) return;
        task.timeOut ??= () => this.#makeRunnable(task, false);
        this.#setTimer(task, action.timeoutNs, task.timeOut);
        return;
      case "poll":
        task.poll = action;
        task.pollDeadline = this.timeOf(task.group) + action.timeoutNs;
        this.#enqueue(task);
        return;
      case "park":
      case "never":
        this.#block(task, action);
        return;
    }
  }

  /** Tests a poll of a task that has its turn. @returns true if the poll is over */
  #pollStep(task: Task): boolean {
    const poll = task.poll!;
    const held = poll.condition();
    const now = this.timeOf(task.group);
    if (held || now >= task.pollDeadline) {
      task.poll = null;
      task.resume = held;
      return true;
    }
    this.#block(task, poll);
    this.#setTimer(task, Math.min(Math.max(1, poll.intervalNs), task.pollDeadline - now), task.wakeUp!);
    return false;
  }

  #step(task: Task): void {
    this.#steps++;
    this.#current = task;
    try {
      if (task.poll !== null && !this.#pollStep(task)) return;
      const result = task.body.next(task.resume);
      if (task.state === "killed") return;
      if (result.done) {
        this.#end(task, "done");
      } else if (result.value === YIELD) {
        task.resume = true;
        this.#enqueue(task);
      } else {
        this.#perform(task, result.value);
      }
    } catch (error) {
      if (task.state !== "killed") this.#end(task, "failed");
      if (!task.group.onError) throw error;
      task.group.onError(task, error);
    } finally {
      this.#current = null;
    }
  }

  /**
   * Runs a coroutine to its end at once, as code with interrupts disabled: polls spin, letting time pass; anything that
   * would sleep throws.
   * @throws SleepInAtomicError
   */
  runAtomic<T>(body: Coroutine<T>): T {
    let result = body.next(true);
    while (!result.done) {
      const action = result.value;
      if (action.kind === "yield") {
        result = body.next(true);
      } else if (action.kind === "poll") {
        const deadline = this.#now + action.timeoutNs;
        let held = action.condition();
        while (!held && this.#now < deadline) {
          this.advance(Math.min(Math.max(1, action.intervalNs), deadline - this.#now));
          held = action.condition();
        }
        result = body.next(held);
      } else {
        const what = action.kind === "sleep" ? `sleep of ${action.ns} ns` : action.reason;
        result = body.throw(new SleepInAtomicError(`sleeping in atomic context: ${what}`)) as IteratorResult<Action, T>;
      }
    }
    return result.value;
  }

  /** Where each waiting task stands; daemons are left out unless asked for. */
  waitingTasks(includeDaemons: boolean = false): WaitingTask[] {
    const waiting: WaitingTask[] = [];
    for (const group of this.#groups) {
      for (const task of group.tasks) {
        if (task.daemon && !includeDaemons) continue;
        const held = task.state === "runnable" && group.heldSince !== null;
        if (task.state !== "waiting" && !held) continue;
        const reason = held ? `${group.name} is held` : task.waitReason;
        waiting.push({ task: task.name, group: group.name, reason, since: held ? this.timeOf(group) : task.waitingSince });
      }
    }
    return waiting;
  }

  /**
   * Runs until `until` holds (tested between steps), nothing is left to do, or a limit is hit.
   * @param options.limitNs virtual time at which to stop
   * @param options.limitSteps steps of tasks after which to stop
   */
  run(options: { readonly until?: () => boolean; readonly limitNs?: number; readonly limitSteps?: number } = {}): RunOutcome {
    const { until, limitNs = Infinity, limitSteps = Infinity } = options;
    for (;;) {
      this.interruptHook?.();
      if (until?.()) return { kind: "done" };
      if (this.#steps >= limitSteps) return { kind: "limit", limit: "steps", waiting: this.waitingTasks() };
      if (this.#now >= limitNs) return { kind: "limit", limit: "time", waiting: this.waitingTasks() };
      if (this.#next !== null || this.#runnable.length > 0) {
        this.#step(this.#pickTask());
        continue;
      }
      const event = this.#heap.peek();
      if (event === undefined) {
        const waiting = this.waitingTasks();
        return waiting.length === 0 ? { kind: "done" } : { kind: "deadlock", waiting };
      }
      if (event.time >= limitNs) {
        this.#now = limitNs;
        return { kind: "limit", limit: "time", waiting: this.waitingTasks() };
      }
      this.#fire(event);
    }
  }

  #pickTask(): Task {
    const runnable = this.#runnable;
    const next = this.#next;
    if (next !== null) {
      this.#next = null;
      return next;
    }
    if (runnable.length === 1) return runnable.takeFirst();
    if (this.#inRunOrder) {
      this.#decisions.push(0);
      return runnable.takeFirst();
    }
    const index = this.#scheduler.nextTask(runnable.inOrder());
    if (!(index >= 0 && index < runnable.length)) {
      throw new SimulationMisuseError(`the scheduler picked task ${index} of ${runnable.length}`);
    }
    this.#decisions.push(index);
    return runnable.take(index);
  }
}
