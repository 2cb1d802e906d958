// SPDX-License-Identifier: MIT
/**
 * Invalidations that take effect as late as they may: when a CMD_SYNC says that they have (IHI 0070 §4.7.3). Until then
 * cached entries go on being used, which shows drivers that rely on a command without its CMD_SYNC.
 */
import type { Caches } from "../queues/command-execution.ts";
import type { ConfigInvalidation, TlbiAddress, TlbInvalidation } from "../ports.ts";

/** Commands held back at the most. The oldest ones are then carried out: they may complete at any time. */
const HELD = 4096;

interface Methods {
  readonly configuration: readonly (keyof ConfigInvalidation)[];
  readonly tlb: readonly (keyof TlbInvalidation)[];
}

const METHODS: Methods = {
  configuration: ["invalidateAll", "invalidateSte", "invalidateSteRange", "invalidateCd", "invalidateCdAll"],
  tlb: ["nsnhAll", "everything", "nhAll", "nhAsid", "nhVa", "el2All", "el2Asid", "el2Va", "s12Vmall", "s2Ipa"],
};

type Operand = number | boolean | TlbiAddress | null | undefined;

/** A command that was consumed and is not carried out: a method of {@link Caches}.configuration or .tlb and its operands. */
export interface HeldInvalidation {
  readonly on: keyof Methods;
  readonly name: string;
  /** null stands for undefined, as in JSON. */
  readonly operands: readonly Operand[];
}

/** @throws RangeError if there is no such invalidation */
export function invalidate(caches: Pick<Caches, "configuration" | "tlb">, { on, name, operands }: HeldInvalidation): void {
  if (!(METHODS[on] as readonly string[] | undefined)?.includes(name)) throw new RangeError(`no invalidation is called ${on}.${name}`);
  const methods = caches[on] as unknown as Record<string, (...operands: readonly Operand[]) => void>;
  methods[name]!(...operands.map((operand) => operand ?? undefined));
}

export function deferMaintenance({ configuration, tlb, empty }: Caches): Caches {
  let held: HeldInvalidation[] = [];
  const act = (one: HeldInvalidation): void => invalidate({ configuration, tlb }, one);
  const hold = (one: HeldInvalidation): void => {
    held.push(one);
    if (held.length > HELD) act(held.shift()!);
  };
  // Operands may be objects that the caller uses again.
  const holding = <T>(on: keyof Methods): T =>
    Object.fromEntries(
      METHODS[on].map((name) => [
        name,
        (...operands: Operand[]) => hold({ on, name, operands: operands.map((one) => (one instanceof Object ? { ...one } : one)) }),
      ]),
    ) as T;
  return {
    configuration: holding<ConfigInvalidation>("configuration"),
    tlb: holding<TlbInvalidation>("tlb"),
    empty,
    complete: () => {
      const due = held;
      held = [];
      for (const one of due) act(one);
    },
    forget: () => {
      held = [];
    },
    held: () => held,
  };
}
