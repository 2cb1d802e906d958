// SPDX-License-Identifier: MIT
/**
 * Who runs next, and every other free choice of a run.
 *
 * A scheduler is three methods; a strategy is a small class that implements them. Whatever it answers is recorded, so
 * that a run can be repeated from its recording alone.
 */
import { Prng } from "./prng.ts";

/** What a scheduler may know of a task. */
export interface TaskView {
  readonly id: number;
  readonly name: string;
}

export interface Scheduler {
  /** Called once before a run starts. */
  start(): void;
  /**
   * Picks the task to run next.
   * @param runnable at least one task, in the order in which they became runnable
   * @returns an index into `runnable`
   */
  nextTask(runnable: readonly TaskView[]): number;
  /**
   * Decides any other choice point.
   * @param name what is chosen, for people
   * @param count the number of alternatives, at least 2
   * @returns 0 … count - 1
   */
  nextChoice(name: string, count: number): number;
}

/** First come, first served: the task that has been runnable longest runs; every other choice takes alternative 0. */
export class RunOrderScheduler implements Scheduler {
  start(): void {}
  nextTask(): number {
    return 0;
  }
  nextChoice(): number {
    return 0;
  }
}

/**
 * Round robin with a seeded order: in each round every runnable task runs once, in an order drawn from the seed; other
 * choices are drawn uniformly.
 */
export class SeededRoundRobinScheduler implements Scheduler {
  readonly #seed: number;
  #prng: Prng;
  /** The round in which each task, by its id, ran last. */
  #served: number[] = [];
  #round = 1;

  /** @param seed see {@link Prng} */
  constructor(seed: number) {
    this.#seed = seed;
    this.#prng = new Prng(seed);
  }

  start(): void {
    this.#prng = new Prng(this.#seed);
    this.#served = [];
    this.#round = 1;
  }

  nextTask(runnable: readonly TaskView[]): number {
    const served = this.#served;
    let waiting = 0;
    for (const { id } of runnable) if (served[id] !== this.#round) waiting++;
    if (waiting === 0) {
      this.#round++;
      waiting = runnable.length;
    }
    let skip = this.#prng.below(waiting);
    let index = 0;
    while (served[runnable[index]!.id] === this.#round || skip-- > 0) index++;
    served[runnable[index]!.id] = this.#round;
    return index;
  }

  nextChoice(_name: string, count: number): number {
    return this.#prng.below(count);
  }
}

/** A replay left the recorded path: the program asks other questions than the recorded run did. */
export class ReplayDivergedError extends Error {
  readonly code = "REPLAY_DIVERGED";
}

/** Repeats recorded decisions. @throws ReplayDivergedError when a question does not fit the recording */
export class ReplayScheduler implements Scheduler {
  readonly #decisions: readonly number[];
  #next = 0;

  constructor(decisions: readonly number[]) {
    this.#decisions = decisions;
  }

  start(): void {
    this.#next = 0;
  }

  nextTask(runnable: readonly TaskView[]): number {
    return runnable.length === 1 ? 0 : this.#take("task", runnable.length);
  }

  nextChoice(name: string, count: number): number {
    return this.#take(name, count);
  }

  #take(name: string, count: number): number {
    const decision = this.#decisions[this.#next];
    if (decision === undefined) {
      throw new ReplayDivergedError(`the recording ends after ${this.#decisions.length} decisions, but "${name}" asks for one more`);
    }
    if (decision >= count) {
      throw new ReplayDivergedError(`decision ${this.#next} is ${decision}, but "${name}" has ${count} alternatives`);
    }
    this.#next++;
    return decision;
  }
}
