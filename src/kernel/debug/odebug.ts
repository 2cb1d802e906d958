// SPDX-License-Identifier: GPL-2.0-only
/**
 * Objects with a life: timers, works and devices. What a driver keeps with a device is freed when it lets go of it, and then
 * no timer or work in it may be active, and none may be used again. A deleted device's data is gone.
 *
 * After Linux 7.1 lib/debugobjects.c: debug_check_no_obj_freed; kernel/time/timer.c and kernel/workqueue.c: their debug
 * descriptors; KASAN for uses after that. Left out: fixups (Linux stops the timer; here it goes on to do its harm), objects that
 * hang deeper than the driver's data and the plain objects and arrays in it.
 */
import { WaitQueue } from "../../sim/index.ts";
import { type Device, dev_driver_string } from "../base/device.ts";
import type { Kernel } from "../kernel.ts";
import { Timer, timer_pending } from "../time/time.ts";
import type { Work } from "../time/workqueue.ts";

/** How deep plain objects and arrays are looked into. */
const DEPTH = 3;

export class DebugObjects {
  readonly #kernel: Kernel;
  /** Freed timers and works, with who had them. */
  readonly #freed = new WeakMap<object, string>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** The driver lets go of `dev`, and its data is freed. */
  dataFreed(dev: Device): void {
    if (!this.#kernel.params.debugChecks) return;
    const owner = `${dev_driver_string(dev)} ${dev.name}`;
    for (const object of partsOf(dev.drvdata, DEPTH)) {
      const active = stateOf(object);
      if (active !== null) {
        const message = `ODEBUG: free active ${object instanceof Timer ? "timer_list" : "work_struct"}: ${object.name} is ${active} when ${owner} frees it`;
        this.#kernel.debug.report("debug-objects", message, { device: dev });
      }
      this.#freed.set(object, owner);
    }
  }

  /** A timer or work is used. */
  used(object: Timer | Work, what: string): void {
    const owner = this.#freed.get(object);
    if (owner === undefined) return;
    const once = `${what} ${object.name}`;
    this.#kernel.debug.report("kasan", `KASAN: use-after-free: ${what} of ${object.name}, freed by ${owner}`, { once });
  }

  /** Data of a device is used that was deleted. */
  usedDeleted(dev: Device, what: string): void {
    this.#kernel.debug.report("kasan", `KASAN: use-after-free: ${what} of deleted device ${dev.name}`, {
      device: dev,
      once: `${what} ${dev.name}`,
    });
  }
}

function isWork(value: object): value is Work {
  return "done" in value && value.done instanceof WaitQueue && "fn" in value && "running" in value;
}

function stateOf(object: Timer | Work): string | null {
  if (object instanceof Timer) return timer_pending(object) ? "pending" : null;
  if (object.queue !== null) return "queued";
  if (object.running) return "running";
  return "timer" in object && timer_pending(object.timer as Timer) ? "delayed" : null;
}

/** Timers and works that are part of a driver's data. Objects of classes are others' but for the data itself. */
function* partsOf(data: unknown, depth: number): Generator<Timer | Work, void, undefined> {
  if (typeof data !== "object" || data === null) return;
  if (data instanceof Timer || isWork(data)) return yield data;
  for (const value of Object.values(data) as unknown[]) {
    if (typeof value !== "object" || value === null) continue;
    if (value instanceof Timer || isWork(value)) yield value;
    else if (depth > 1 && isPlain(value)) yield* partsOf(value, depth - 1);
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === Array.prototype;
}
