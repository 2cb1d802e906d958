// SPDX-License-Identifier: MIT
/**
 * The table of variants: what else an SMMU driver has done or was proposed to do, put to the clients that need it most, those
 * without a hook. It stands beside the matrix, whose three policies are the positions of the thread.
 */
import type { RunResult } from "../run/result.ts";
import {
  CLIENT_KINDS,
  KDUMP_POLICIES,
  type KdumpPolicy,
  SMMU_POLICIES,
  SMMU_VARIANTS,
  type SmmuVariant,
  type WayDown,
} from "../run/types.ts";
import { cellResult, cellWords, parseCell, seedWords } from "./cells.ts";
import type { AnyCellKey, VariantCell, VariantKey, Variants } from "./types.ts";

/** The ways down of this table: hooks run and the machine is reset, hooks run and memory is given away, no hook runs. */
export const VARIANT_WAYS: readonly WayDown[] = ["reboot", "kexec", "kdump"];

/** A row: what is done at shutdown, and by the crash kernel. */
export interface VariantRow {
  readonly smmuShutdown: SmmuVariant;
  readonly kdumpPolicy: KdumpPolicy;
  readonly waysDown: readonly WayDown[];
}

const isPolicy = (name: SmmuVariant): boolean => SMMU_POLICIES.some((policy) => policy === name);

/** Each further way to shut down; then, since a crash runs no hook, each further crash kernel after Linux's. */
export const VARIANT_ROWS: readonly VariantRow[] = [
  ...SMMU_VARIANTS.filter((name) => !isPolicy(name)).map((smmuShutdown): VariantRow => ({
    smmuShutdown,
    kdumpPolicy: "reset-abort",
    waysDown: VARIANT_WAYS,
  })),
  ...KDUMP_POLICIES.filter((name) => name !== "reset-abort").map((kdumpPolicy): VariantRow => ({
    smmuShutdown: "bypass",
    kdumpPolicy,
    waysDown: ["kdump"],
  })),
];

/** Every cell of the table, in its order. */
export function variantKeys(): VariantKey[] {
  return VARIANT_ROWS.flatMap(({ smmuShutdown, kdumpPolicy, waysDown }) =>
    CLIENT_KINDS.flatMap((client) =>
      waysDown.map((wayDown) => ({ smmuShutdown, client, clientShutdown: "no-hook" as const, wayDown, kdumpPolicy })),
    ),
  );
}

/** The variants as the names of their cells have them: `audit`, `kdump/adopt`. */
export const VARIANT_NAMES: readonly string[] = VARIANT_ROWS.map(({ smmuShutdown, kdumpPolicy, waysDown }) =>
  kdumpPolicy === "reset-abort" ? smmuShutdown : `${waysDown[0]!}/${kdumpPolicy}`,
);

/** Reads the name of a cell of the matrix or of this table; undefined if it is neither. */
export function parseAnyCell(text: string): AnyCellKey | undefined {
  return parseCell(text) ?? variantKeys().find((key) => cellWords(key) === text);
}

/**
 * Puts the table together. Runs stand in the order of their keys; undefined ones were not finished.
 * @param only what the names of the cells had to have in them, if not all were asked for
 */
export function assembleVariants(
  seed: number,
  keys: readonly VariantKey[],
  runs: readonly (RunResult | undefined)[],
  only?: string,
): Variants {
  const cells = keys.flatMap((key, index): VariantCell[] => {
    const run = runs[index];
    return run === undefined ? [] : [{ ...key, ...cellResult(run) }];
  });
  return {
    schema: "quiesce/variants@1",
    seed: seedWords(seed),
    complete: cells.length === variantKeys().length,
    ...(only === undefined ? {} : { only }),
    cells,
  };
}
