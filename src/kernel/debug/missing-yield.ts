// SPDX-License-Identifier: GPL-2.0-only
/**
 * The one mistake that this kernel's coroutines allow and Linux's functions do not: a call without `yield*` makes a coroutine and
 * runs nothing of it. Where such a coroutine comes back as the answer of a driver's callback, it is told. Calls whose value is
 * dropped only a lint can see (docs/porting.md).
 */
import type { Device } from "../base/device.ts";
import type { Kernel } from "../kernel.ts";

function isCoroutine(value: unknown): boolean {
  return typeof value === "object" && value !== null && "next" in value && typeof value.next === "function" && Symbol.iterator in value;
}

/**
 * Lets an answer pass.
 * @param what whose answer: `probe of driver hdlcd`
 * @throws KernelBug if it is a coroutine, which nobody runs
 */
export function answered<T>(kernel: Kernel, what: string, value: T, dev?: Device): T {
  if (isCoroutine(value)) kernel.bug(`${what} returned a coroutine that was never run: yield* is missing before the call`, dev);
  return value;
}

/** The same of what should be 0 or -errno. */
export function answeredNumber(kernel: Kernel, what: string, value: number, dev: Device): number {
  answered(kernel, what, value, dev);
  if (typeof value !== "number") kernel.bug(`${what} returned ${String(value)} and not 0 or -errno`, dev);
  return value;
}
