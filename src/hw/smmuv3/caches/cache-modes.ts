// SPDX-License-Identifier: MIT
/**
 * How much an SMMU keeps. The architecture lets it cache everything that is valid or nothing at all, and lets it use what it
 * has until maintenance is complete; software has to be right for all of that.
 */
import type { TranslationChoices } from "../choices.ts";
import type { RegisterChoices } from "../choices-registers.ts";
import type { CacheSizes } from "../config/config.ts";

/**
 * configured: as the configuration says; none: every access reads all of its configuration and tables; adversarial: whatever
 * may be kept is kept, as long as it may, so that each missing invalidation or CMD_SYNC shows.
 */
export type CacheMode = (typeof CACHE_MODES)[number];
export const CACHE_MODES = ["configured", "none", "adversarial"] as const;

/** What a mode puts in place of a configuration's sizes and of the default choices. */
export interface CacheModeSettings {
  readonly caches: CacheSizes;
  readonly choices: Partial<RegisterChoices & TranslationChoices>;
}

export const cacheModes: Readonly<Record<Exclude<CacheMode, "configured">, CacheModeSettings>> = {
  none: {
    caches: { ste: 0, cd: 0, tlb: 0, walk: 0, replacement: "round-robin" },
    choices: {},
  },
  adversarial: {
    caches: { ste: 0x1_0000, cd: 0x1_0000, tlb: 0x1_0000, walk: 0x4000, replacement: "round-robin" },
    choices: { cacheInvalidLevel1: true, maintenance: "at-sync" },
  },
};
