// SPDX-License-Identifier: MIT
/** GBPA: what happens to transactions while translation is off, and how it is changed (IHI 0070 §6.3.14). */
import type { WordStore } from "../registers/acknowledged-register.ts";
import type { SmmuConfig } from "./config.ts";
import type { Delays } from "../registers/delays.ts";
import { bitsOf, offsetOf } from "../registers/register-layout.ts";

const GBPA = offsetOf("GBPA");
const UPDATE = bitsOf("GBPA", "Update");
const ABORT = bitsOf("GBPA", "ABORT");
const TYPES = bitsOf("GBPA", "MTCFG") | bitsOf("GBPA", "SHCFG") | bitsOf("GBPA", "ALLOCCFG");
const PERMISSIONS = bitsOf("GBPA", "INSTCFG") | bitsOf("GBPA", "PRIVCFG");
const SHCFG_INCOMING = 1 << 12;

export class BypassAttributes {
  readonly #config: SmmuConfig;
  readonly #store: WordStore;
  readonly #delays: Delays;
  #inForce = 0;

  constructor(config: SmmuConfig, store: WordStore, delays: Delays) {
    this.#config = config;
    this.#store = store;
    this.#delays = delays;
  }

  /** The attributes that new transactions get, in the layout of GBPA with Update 0. */
  get inForce(): number {
    return this.#inForce;
  }

  reset(): void {
    const value = (this.#config.gbpaResetAbort ? ABORT : 0) | SHCFG_INCOMING;
    this.#store.set(GBPA, value);
    this.#inForce = value;
  }

  /** Takes what the register says as in force: an Update in progress is over. */
  restore(): void {
    const value = this.#store.get(GBPA) & ~UPDATE;
    this.#store.set(GBPA, value >>> 0);
    this.#inForce = this.#effective(value);
  }

  /** True if a write counts: it must set Update. (While Update is 1 the register's guard holds.) */
  accepts(value: number): boolean {
    return (value & UPDATE) !== 0;
  }

  /** Starts the Update to the value just stored; one stored without Update has no effect (before v3.2 only). */
  written(value: number): void {
    if (!this.accepts(value)) return;
    this.#delays.after(this.#config.timing.updateNs, () => {
      this.#store.set(GBPA, (value & ~UPDATE) >>> 0);
      this.#inForce = this.#effective(value);
    });
  }

  /** Without the override features the fields act as use-incoming, whatever they read as. */
  #effective(value: number): number {
    let effective = value & ~UPDATE;
    if (!this.#config.attrTypesOvr) effective = (effective & ~TYPES) | SHCFG_INCOMING;
    if (!this.#config.attrPermsOvr) effective &= ~PERMISSIONS;
    return effective >>> 0;
  }
}
