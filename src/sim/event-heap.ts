// SPDX-License-Identifier: MIT
/** The queue of things that will happen, ordered by (time, priority, order of insertion). */

/** An entry of the heap. `cancel` is idempotent; a cancelled entry never fires. */
export class ScheduledEvent {
  readonly time: number;
  readonly priority: number;
  readonly seq: number;
  #action: (() => void) | null;

  constructor(time: number, priority: number, seq: number, action: () => void) {
    this.time = time;
    this.priority = priority;
    this.seq = seq;
    this.#action = action;
  }

  /** True until the event has fired or was cancelled. */
  get pending(): boolean {
    return this.#action !== null;
  }

  cancel(): void {
    this.#action = null;
  }

  /** Runs the action once; the event is no longer pending while the action runs, so the action may schedule it anew. */
  fire(): void {
    const action = this.#action;
    this.#action = null;
    action?.();
  }
}

function before(a: ScheduledEvent, b: ScheduledEvent): boolean {
  if (a.time !== b.time) return a.time < b.time;
  if (a.priority !== b.priority) return a.priority < b.priority;
  return a.seq < b.seq;
}

/** A binary heap of events. Equal times fire by ascending priority, then in the order in which they were pushed. */
export class EventHeap {
  readonly #heap: ScheduledEvent[] = [];
  #seq = 0;

  /** Adds an action for `time` (virtual nanoseconds). Lower priority numbers fire first among equal times. */
  push(time: number, priority: number, action: () => void): ScheduledEvent {
    const event = new ScheduledEvent(time, priority, this.#seq++, action);
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = event;
    return event;
  }

  /** The earliest pending event, without removing it; cancelled ones are dropped on the way. */
  peek(): ScheduledEvent | undefined {
    while (this.#heap.length > 0 && !this.#heap[0]!.pending) this.#removeTop();
    return this.#heap[0];
  }

  /** Removes and returns the earliest pending event. */
  pop(): ScheduledEvent | undefined {
    const top = this.peek();
    if (top) this.#removeTop();
    return top;
  }

  #removeTop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}
