// SPDX-License-Identifier: MIT
/** The tasks that can run, in the order in which they became runnable: a ring, so that taking the first moves nothing. */
import type { Task, TaskGroup } from "./task.ts";

export class RunQueue {
  /** A power of two long. */
  #ring: (Task | undefined)[] = Array.from({ length: 16 });
  #head = 0;
  #count = 0;
  readonly #view: Task[] = [];

  get length(): number {
    return this.#count;
  }

  push(task: Task): void {
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#count++) & (this.#ring.length - 1)] = task;
  }

  /** Takes the task that has waited longest; the queue must not be empty. */
  takeFirst(): Task {
    const ring = this.#ring;
    const task = ring[this.#head]!;
    ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (ring.length - 1);
    this.#count--;
    return task;
  }

  /** Takes the task at a place of {@link inOrder}; those before it move up by one. */
  take(index: number): Task {
    const ring = this.#ring;
    const mask = ring.length - 1;
    const task = ring[(this.#head + index) & mask]!;
    for (let i = index; i > 0; i--) ring[(this.#head + i) & mask] = ring[(this.#head + i - 1) & mask];
    ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & mask;
    this.#count--;
    return task;
  }

  /** All of them, the longest waiting first; good until the queue changes. */
  inOrder(): readonly Task[] {
    const view = this.#view;
    while (view.length > this.#count) view.pop();
    for (let i = 0; i < this.#count; i++) view[i] = this.#ring[(this.#head + i) & (this.#ring.length - 1)]!;
    return view;
  }

  /** Forgets the tasks that have ended. */
  dropEnded(): void {
    this.#keep((task) => task.state === "runnable");
  }

  /** Takes all tasks of a group, in their order. */
  takeGroup(group: TaskGroup): Task[] {
    const taken = this.inOrder().filter((task) => task.group === group);
    this.#keep((task) => task.group !== group);
    return taken;
  }

  #keep(wanted: (task: Task) => boolean): void {
    const left = this.inOrder().filter((task) => wanted(task));
    this.#ring.fill(undefined);
    this.#head = 0;
    this.#count = 0;
    this.#view.length = 0;
    for (const task of left) this.push(task);
  }

  #grow(): void {
    const tasks: (Task | undefined)[] = [...this.inOrder()];
    while (tasks.length < 2 * this.#count) tasks.push(undefined);
    this.#ring = tasks;
    this.#head = 0;
  }
}
