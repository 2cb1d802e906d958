// SPDX-License-Identifier: MIT
/**
 * Names valid structures that were rewritten in place. The SMMU reads the doublewords of a structure one by one and in any
 * order, so software may change a single doubleword of a valid structure, but for more it has to go through V == 0
 * (IHI 0070 §3.21.3). Seen where a cached structure is used or invalidated: memory by then holds the new contents, still valid.
 *
 * Works for the stale-use detector and costs nothing without it.
 */
import type { TraceSink } from "../../../sim/index.ts";
import { hex } from "../../bits/hex.ts";
import { BusStatus } from "../../memory/system-bus.ts";
import type { Cd } from "./cd.ts";
import type { CdEntry, ConfigEntry, SteEntry } from "./config-cache.ts";
import { type Lint, lintTo } from "../lint.ts";
import type { SmmuEvents, SmmuHost } from "../ports.ts";
import { cdMask, steMask } from "../caches/stale-masks.ts";
import type { Ste } from "./ste.ts";
import { SteFields } from "./ste-fields.ts";

const WORDS = 16;
/** V in the first word. */
const STE_VALID = 1;
const CD_VALID = 0x8000_0000;

type Contents = Pick<Ste | Cd, "words" | "address">;

/** When the change came to light. */
type Moment = "used" | "invalidated";

export class LiveRewrites {
  readonly #host: SmmuHost;
  readonly #lint: Lint;
  readonly #now = new Uint32Array(WORDS);
  /** Each entry is named once. */
  readonly #named = new WeakSet<ConfigEntry>();

  constructor(host: SmmuHost, trace: TraceSink<SmmuEvents>) {
    this.#host = host;
    this.#lint = lintTo(trace);
  }

  ste(entry: SteEntry, moment: Moment): void {
    const { ste, streamId } = entry;
    if (
      !this.#rewritten(
        ste,
        STE_VALID,
        () => steMask({ fields: new SteFields(this.#now), d128: ste.d128, hasAts: ste.hasAts }),
        steMask(ste),
      )
    )
      return;
    this.#name(entry, "live-ste-rewritten", `STE of StreamID ${hex(streamId)} at ${hex(ste.address)}`, moment);
  }

  cd(entry: CdEntry, moment: Moment): void {
    const { cd, owner, index } = entry;
    // A CD that its STE no longer leads to may be anything by now.
    if (this.#changed(owner.ste, steMask(owner.ste)) !== 0) return;
    if (!this.#rewritten(cd, CD_VALID, () => cdMask({ words: this.#now, ste: owner.ste, d128: cd.d128 }), cdMask(cd))) return;
    this.#name(entry, "live-cd-rewritten", `CD of StreamID ${hex(owner.streamId)} SubstreamID ${hex(index)} at ${hex(cd.address)}`, moment);
  }

  #name(entry: ConfigEntry, rule: "live-ste-rewritten" | "live-cd-rewritten", what: string, moment: Moment): void {
    if (this.#named.has(entry)) return;
    this.#named.add(entry);
    const seen = moment === "used" ? "still in use from the cache, for no CMD_CFGI has come" : "a CMD_CFGI came only afterwards";
    this.#lint(rule, () => `${what} was rewritten while valid; ${seen}`);
  }

  /** A field counts if it has a meaning before or after the change. */
  #rewritten(cached: Contents, valid: number, maskNow: () => Uint32Array, mask: Uint32Array): boolean {
    if ((cached.words[0]! & valid) === 0 || this.#changed(cached, mask) === 0 || (this.#now[0]! & valid) === 0) return false;
    const other = maskNow();
    return (
      this.#changed(
        cached,
        mask.map((bits, index) => bits | other[index]!),
      ) > 1
    );
  }

  /** Doublewords that differ in memory under a mask; fetches the structure. */
  #changed({ words, address }: Contents, mask: Uint32Array): number {
    const now = this.#now;
    if (this.#host.peek(address, now, WORDS) !== BusStatus.ok) return 0;
    let changed = 0;
    for (let i = 0; i < WORDS; i += 2) {
      if (((words[i]! ^ now[i]!) & mask[i]!) !== 0 || ((words[i + 1]! ^ now[i + 1]!) & mask[i + 1]!) !== 0) changed++;
    }
    return changed;
  }
}
