// SPDX-License-Identifier: MIT
/** Outcomes of the model as recordings write answers. */
import { Outcome, type Transaction, type Translator, Via } from "../../hw/index.ts";
import { type Permission, type TranslationAnswer, physicalText } from "./recording.ts";

const PERMISSIONS: readonly Permission[] = ["", "r", "w", "rw"];

/** log2 of the bytes that a leaf maps, by granule and level, without what Contiguous adds. */
function leafBits(granule: number, level: number): number {
  return granule + (3 - level) * (granule - 3);
}

/** @param translator where `tx` has just been translated */
export function answerOf(outcome: Outcome, tx: Transaction, translator: Translator): TranslationAnswer {
  if (outcome !== Outcome.forward) return tx.event === 0 ? { status: "abort" } : { status: "fault", event: tx.event };
  const { via } = tx;
  const physical = physicalText(Math.floor(tx.physical / 2 ** 32), tx.physical >>> 0);
  if (via === Via.globalBypass) return { status: "disabled", physical };
  if (via === Via.steBypass) return { status: "bypass", physical };
  const { size, granule, level } = translator.mapping(via);
  // Contiguous is a hint that the recorded SMMU does not take.
  const mask = 2 ** Math.min(size, leafBits(granule, level)) - 1;
  const perm = PERMISSIONS[(translator.allows(via, false) ? 1 : 0) | (translator.allows(via, true) ? 2 : 0)]!;
  return { status: "ok", physical, mask, perm };
}
