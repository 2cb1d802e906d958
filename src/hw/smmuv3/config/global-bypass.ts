// SPDX-License-Identifier: MIT
/** GBPA as it acts on transactions while SMMUEN is 0 (IHI 0070 §6.3.14). */
import { NO_OVERRIDES, type TypeOverrides } from "../translation/attributes.ts";
import type { SmmuConfig } from "./config.ts";

export const GBPA_ABORT: number = 1 << 20;

/** Takes the overrides out of GBPA, once for each value it has. */
export class GlobalBypass {
  readonly #honoured: boolean;
  #gbpa = -1;
  #overrides: TypeOverrides = NO_OVERRIDES;

  constructor(config: SmmuConfig) {
    this.#honoured = config.attrTypesOvr;
  }

  overrides(gbpa: number): TypeOverrides {
    if (this.#honoured && gbpa !== this.#gbpa) {
      this.#gbpa = gbpa;
      this.#overrides = { MTCFG: (gbpa >>> 4) & 1, MemAttr: gbpa & 15, ALLOCCFG: (gbpa >>> 8) & 15, SHCFG: (gbpa >>> 12) & 3 };
    }
    return this.#overrides;
  }
}
