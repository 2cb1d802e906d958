// SPDX-License-Identifier: MIT
/**
 * The stale-use detector: tells where something cached is used although memory says something else by now, which maintenance
 * should have come, and when maintenance drops such an entry after all.
 *
 * It compares only what has a meaning: fields that the cached structure ignores may change freely (drivers prepare them
 * before they switch them on). An entry is reported once. A report is not yet a mistake of software: between a change in
 * memory and the end of its invalidation, old contents may be used.
 */
import type { TraceSink } from "../../../sim/index.ts";
import { hex, hex64 } from "../../bits/hex.ts";
import { BusStatus } from "../../memory/system-bus.ts";
import type { Cd } from "../config/cd.ts";
import type { CachedStructure, CdEntry, ConfigEntry, Level1Entry, SteEntry } from "../config/config-cache.ts";
import { swapBytes } from "../translation/descriptor.ts";
import { LiveRewrites } from "../config/live-rewrite.ts";
import { type SmmuEvents, type SmmuHost, type StaleUse, StreamWorld } from "../ports.ts";
import { Transaction } from "../transaction.ts";
import type { Stage2Config } from "../config/stage2-config.ts";
import { cdMask, descriptorMask, level1Mask, steMask } from "./stale-masks.ts";
import type { Ste } from "../config/ste.ts";
import type { TaggedCache } from "./tagged-cache.ts";
import type { TlbEntry } from "./tlb-entry.ts";
import { Origin, Step, Trail } from "../translation/trail.ts";

/** The caches whose entries are compared with memory. */
export interface WatchedCaches {
  readonly tlb: TaggedCache;
  readonly walks: TaggedCache;
}

type Finding = Pick<StaleUse, "structure" | "cached" | "inMemory">;

export class StaleDetector {
  /** The walk in progress notes its descriptors here. */
  readonly trail: Trail = new Trail();
  readonly #host: SmmuHost;
  readonly #trace: TraceSink<SmmuEvents>;
  readonly #caches: () => WatchedCaches;
  readonly #rewrites: LiveRewrites;
  /** Where the entries of the two caches came from, by slot. */
  readonly #entries: Origin[] = [];
  readonly #tables: Origin[] = [];
  readonly #words = new Uint32Array(16);
  #lastId = 0;
  #tx: Transaction = new Transaction();

  /** @param caches whose slots are watched; asked late, for they are built with this object */
  constructor(host: SmmuHost, trace: TraceSink<SmmuEvents>, caches: () => WatchedCaches) {
    this.#host = host;
    this.#trace = trace;
    this.#caches = caches;
    this.#rewrites = new LiveRewrites(host, trace);
  }

  /** A transaction begins. */
  begin(tx: Transaction): void {
    this.#tx = tx;
    this.trail.length = 0;
  }

  /** A TLB entry was made of the descriptors noted since `mark`. */
  keep(slot: number, mark: number, table2: number, table1: number): void {
    (this.#entries[slot] ??= new Origin()).take(this.trail, mark, table2, table1);
  }

  /** The same for a walk cache entry. */
  keepWalk(slot: number, mark: number, table2: number, table1: number): void {
    (this.#tables[slot] ??= new Origin()).take(this.trail, mark, table2, table1);
  }

  // Uses.

  /** @param expected where the Stream table in force has the STE, if that can be told without a fetch, else -1 */
  steHit(entry: SteEntry, expected: number): void {
    if (entry.id !== 0) return;
    const { ste, level1, streamId } = entry;
    if (expected >= 0 && expected !== ste.address) {
      const finding = {
        structure: ste.address,
        cached: `STE at ${hex(ste.address)}`,
        inMemory: `Stream table in force has it at ${hex(expected)}`,
      };
      this.#report(entry, "ste", finding, "CMD_CFGI_ALL");
      return;
    }
    if (level1 !== undefined && this.#level1Differs(entry, level1, "ste", () => `CMD_CFGI_STE StreamID ${hex(streamId)} Leaf 0`)) return;
    const finding = this.#compare(ste.address, ste.words, () => steMask(ste));
    if (finding === undefined) return;
    this.#rewrites.ste(entry, "used");
    this.#report(entry, "ste", finding, `CMD_CFGI_STE StreamID ${hex(streamId)}`);
  }

  cdHit(entry: CdEntry): void {
    if (entry.id !== 0) return;
    const { cd, index, owner, level1 } = entry;
    const missing = (): string => `CMD_CFGI_CD StreamID ${hex(owner.streamId)} SubstreamID ${hex(index)}`;
    if (level1 !== undefined && this.#level1Differs(entry, level1, "cd", () => `${missing()} Leaf 0`)) return;
    const finding = this.#compare(cd.address, cd.words, () => cdMask(cd));
    if (finding === undefined) return;
    this.#rewrites.cd(entry, "used");
    this.#report(entry, "cd", finding, missing());
  }

  /** A level-1 descriptor from the cache leads to a structure. */
  level1Hit(entry: Level1Entry, what: "ste" | "cd", streamId: number, index: number): void {
    if (entry.id !== 0) return;
    this.#level1Differs(entry, entry, what, () =>
      what === "ste"
        ? `CMD_CFGI_STE StreamID ${hex(streamId)} Leaf 0`
        : `CMD_CFGI_CD StreamID ${hex(streamId)} SubstreamID ${hex(index)} Leaf 0`,
    );
  }

  /**
   * A VA entry serves a transaction of `ste` and `cd`.
   * @param table1 the stage-1 table that a walk would start from, -1 if there would be none
   */
  vaHit(slot: number, entry: TlbEntry, ste: Ste, cd: Cd, table1: number): void {
    const { tlb } = this.#caches();
    const origin = this.#entries[slot];
    if (origin === undefined || tlb.entryId[slot] !== 0) return;
    if (!entry.global && table1 >= 0 && table1 !== origin.table1) {
      const finding = { structure: origin.table1, cached: `table at ${hex(origin.table1)}`, inMemory: `CD says ${hex(table1)}` };
      this.#reportSlot(tlb, slot, finding, vaTags(ste, cd, entry.global).all);
    } else if (ste.stage2 !== undefined && ste.stage2.table !== origin.table2) {
      const finding = {
        structure: origin.table2,
        cached: `stage-2 table at ${hex(origin.table2)}`,
        inMemory: `STE says ${hex(ste.stage2.table)}`,
      };
      this.#reportSlot(tlb, slot, finding, `CMD_TLBI_S12_VMALL VMID ${ste.vmid}`);
    } else {
      this.#descriptors(tlb, slot, origin, (stage2, leaf) => {
        if (stage2) return `CMD_TLBI_S2_IPA VMID ${ste.vmid} address ${hex(entry.ipa)} and CMD_TLBI_NH_ALL VMID ${ste.vmid}`;
        const address = `address ${hex64(this.#tx.addressHi, this.#tx.addressLo)}`;
        return `${vaTags(ste, cd, entry.global).byAddress} ${address}${leaf ? "" : " Leaf 0"}`;
      });
    }
  }

  /** An IPA entry serves a stage-2 translation. */
  ipaHit(slot: number, stage2: Stage2Config, ipa: number): void {
    const { tlb } = this.#caches();
    this.#stage2Hit(tlb, slot, this.#entries[slot], stage2, ipa);
  }

  /** A walk begins at a table that the walk cache has: stage 1. @param table1 where it would begin otherwise */
  stage1WalkHit(slot: number, cd: Cd, table1: number): void {
    const { walks } = this.#caches();
    const origin = this.#tables[slot];
    if (origin === undefined) return;
    this.trail.append(origin);
    if (walks.entryId[slot] !== 0) return;
    const { ste } = cd;
    if (table1 !== origin.table1) {
      const finding = { structure: origin.table1, cached: `table at ${hex(origin.table1)}`, inMemory: `CD says ${hex(table1)}` };
      this.#reportSlot(walks, slot, finding, vaTags(ste, cd, false).all);
      return;
    }
    const address = `address ${hex64(this.#tx.addressHi, this.#tx.addressLo)}`;
    this.#descriptors(walks, slot, origin, (stage2) =>
      stage2 ? `CMD_TLBI_NH_ALL VMID ${ste.vmid}` : `${vaTags(ste, cd, false).byAddress} ${address} Leaf 0`,
    );
  }

  /** The same for stage 2. */
  stage2WalkHit(slot: number, stage2: Stage2Config, ipa: number): void {
    this.#stage2Hit(this.#caches().walks, slot, this.#tables[slot], stage2, ipa);
  }

  #stage2Hit(cache: TaggedCache, slot: number, origin: Origin | undefined, stage2: Stage2Config, ipa: number): void {
    if (origin === undefined) return;
    this.trail.append(origin);
    if (cache.entryId[slot] !== 0) return;
    if (stage2.table !== origin.table2) {
      const finding = {
        structure: origin.table2,
        cached: `stage-2 table at ${hex(origin.table2)}`,
        inMemory: `STE says ${hex(stage2.table)}`,
      };
      this.#reportSlot(cache, slot, finding, `CMD_TLBI_S12_VMALL VMID ${stage2.vmid}`);
      return;
    }
    this.#descriptors(
      cache,
      slot,
      origin,
      (_stage2, leaf) => `CMD_TLBI_S2_IPA VMID ${stage2.vmid} address ${hex(ipa)}${leaf ? "" : " Leaf 0"}`,
    );
  }

  // Drops by maintenance.

  configDropped(entry: CachedStructure): void {
    if ("ste" in entry) this.#rewrites.ste(entry, "invalidated");
    else if ("cd" in entry) this.#rewrites.cd(entry, "invalidated");
    if (entry.id !== 0) this.#trace.emit("smmu.stale-dropped", { entry: entry.id });
  }

  dropped(cache: TaggedCache, slot: number): void {
    const entry = cache.entryId[slot]!;
    if (entry !== 0) this.#trace.emit("smmu.stale-dropped", { entry });
  }

  // Comparing.

  /** @param maskOf the bits that count; asked only where some bit differs */
  #compare(address: number, cached: Uint32Array, maskOf: () => Uint32Array): Finding | undefined {
    const now = this.#words;
    if (this.#host.peek(address, now, cached.length) !== BusStatus.ok) {
      return { structure: address, cached: "readable", inMemory: "external abort" };
    }
    for (let i = 0; i < cached.length; i++) {
      if (cached[i] === now[i] || ((cached[i]! ^ now[i]!) & maskOf()[i]!) === 0) continue;
      const low = i & ~1;
      return { structure: address + 4 * low, cached: hex64(cached[low + 1]!, cached[low]!), inMemory: hex64(now[low + 1]!, now[low]!) };
    }
    return undefined;
  }

  #level1Differs(entry: ConfigEntry, level1: Level1Entry, what: "ste" | "cd", missing: () => string): boolean {
    const finding = this.#compare(level1.address, level1.words, () => level1Mask(what));
    if (finding === undefined) return false;
    this.#report(entry, what, finding, missing());
    return true;
  }

  #descriptors(cache: TaggedCache, slot: number, origin: Origin, missing: (stage2: boolean, leaf: boolean) => string): void {
    const now = this.#words;
    for (let i = 0; i < origin.length; i++) {
      const step = origin.step[i]!;
      const address = origin.address[i]!;
      const mask = descriptorMask(step);
      const count = (step & Step.d128) !== 0 ? 4 : 2;
      const readable = this.#host.peek(address, now, count) === BusStatus.ok;
      const big = (step & Step.bigEndian) !== 0;
      const word = (index: number): number => (big ? swapBytes(now[count - 1 - index]!) : now[index]!);
      const lo = word(0);
      const hi = word(1);
      const lower = readable && ((hi ^ origin.hi[i]!) & mask[1]!) === 0 && ((lo ^ origin.lo[i]!) & mask[0]!) === 0;
      if (
        lower &&
        (count === 2 || (((word(2) ^ origin.upper[2 * i]!) & mask[2]!) | ((word(3) ^ origin.upper[2 * i + 1]!) & mask[3]!)) === 0)
      )
        continue;
      const finding = {
        structure: address,
        cached:
          count === 2
            ? hex64(origin.hi[i]!, origin.lo[i]!)
            : hex128(origin.upper[2 * i + 1]!, origin.upper[2 * i]!, origin.hi[i]!, origin.lo[i]!),
        inMemory: !readable ? "external abort" : count === 2 ? hex64(hi, lo) : hex128(word(3), word(2), hi, lo),
      };
      this.#reportSlot(cache, slot, finding, missing((step & Step.stage2) !== 0, (step & Step.leaf) !== 0));
      return;
    }
  }

  #reportSlot(cache: TaggedCache, slot: number, finding: Finding, missing: string): void {
    const entry = { id: 0 };
    this.#report(entry, "tlb", finding, missing);
    cache.entryId[slot] = entry.id;
  }

  #report(entry: ConfigEntry, what: StaleUse["what"], finding: Finding, missing: string): void {
    entry.id = ++this.#lastId;
    const { streamId, addressHi, addressLo } = this.#tx;
    this.#trace.emit("smmu.stale-use", { what, streamId, addressHi, addressLo, ...finding, missing, entry: entry.id });
  }
}

function hex128(...words: readonly number[]): string {
  return `0x${words.map((word) => hex(word, 8).slice(2)).join("")}`;
}

/** How a VA entry is invalidated, by address and by what its table belongs to. */
function vaTags(ste: Ste, cd: Cd, global: boolean): { readonly byAddress: string; readonly all: string } {
  const asid = global ? "" : ` ASID ${cd.asid}`;
  switch (ste.world) {
    case StreamWorld.nsEl1:
      return { byAddress: `CMD_TLBI_NH_VA${global ? "A" : ""} VMID ${ste.vmid}${asid}`, all: `CMD_TLBI_NH_ASID VMID ${ste.vmid}${asid}` };
    case StreamWorld.nsEl2E2h:
      return { byAddress: `CMD_TLBI_EL2_VA${global ? "A" : ""}${asid}`, all: `CMD_TLBI_EL2_ASID${asid}` };
    case StreamWorld.nsEl2:
      return { byAddress: "CMD_TLBI_EL2_VAA", all: "CMD_TLBI_EL2_ALL" };
  }
}
