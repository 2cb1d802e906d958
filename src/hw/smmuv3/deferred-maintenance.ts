// SPDX-License-Identifier: MIT
/**
 * Invalidations that take effect as late as they may: when a CMD_SYNC says that they have (IHI 0070 §4.7.3). Until then
 * cached entries go on being used, which shows drivers that rely on a command without its CMD_SYNC.
 */
import type { Caches } from "./command-execution.ts";
import type { ConfigInvalidation, TlbInvalidation } from "./ports.ts";

/** Commands held back at the most. The oldest ones are then carried out: they may complete at any time. */
const HELD = 4096;

const CONFIGURATION = [
  "invalidateAll",
  "invalidateSte",
  "invalidateSteRange",
  "invalidateCd",
  "invalidateCdAll",
] as const satisfies readonly (keyof ConfigInvalidation)[];

const TLB = [
  "nsnhAll",
  "everything",
  "nhAll",
  "nhAsid",
  "nhVa",
  "el2All",
  "el2Asid",
  "el2Va",
  "s12Vmall",
  "s2Ipa",
] as const satisfies readonly (keyof TlbInvalidation)[];

type Held = () => void;

/** An object with the methods of `target` that are named; calls are kept in `held`. */
function holding<T extends object>(target: T, names: readonly (keyof T)[], hold: (action: Held) => void): T {
  const calls = names.map((name) => {
    const method = target[name] as (...args: unknown[]) => void;
    // Operands may be objects that the caller uses again.
    const call = (...args: unknown[]): void => hold(() => method.apply(target, args));
    return [name, (...args: unknown[]) => call(...args.map((arg) => (typeof arg === "object" ? { ...arg } : arg)))];
  });
  return Object.fromEntries(calls) as T;
}

export function deferMaintenance({ configuration, tlb, empty }: Caches): Caches {
  let held: Held[] = [];
  const hold = (action: Held): void => {
    held.push(action);
    if (held.length > HELD) held.shift()!();
  };
  return {
    configuration: holding(configuration, CONFIGURATION, hold),
    tlb: holding(tlb, TLB, hold),
    empty,
    complete: () => {
      const due = held;
      held = [];
      for (const action of due) action();
    },
    forget: () => {
      held = [];
    },
  };
}
