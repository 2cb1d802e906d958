// SPDX-License-Identifier: MIT
/**
 * The configuration cache: level-1 descriptors, STEs and CDs as fetched, valid or not, until maintenance or replacement drops
 * them (IHI 0070 §3.21.3, §4.3).
 *
 * A CD is cached below the STE that led to it, for it was judged under that STE: dropping an STE drops its CDs. When a kind
 * of structure has filled its share, the entry cached longest ago makes room.
 */
import { POW2 } from "../../bits/hex.ts";
import type { Cd } from "./cd.ts";
import type { CacheSizes } from "./config.ts";
import type { FrontTier } from "../caches/front-tier.ts";
import type { ConfigInvalidation } from "../ports.ts";
import type { Ste } from "./ste.ts";

/** Anything in the cache; `id` is its identity for the stale-use detector, 0 until a use was found stale. */
export interface ConfigEntry {
  id: number;
}

/** A level-1 descriptor of a Stream table (L1STD) or of a CD table (L1CD). */
export interface Level1Entry extends ConfigEntry {
  readonly index: number;
  /** Low bits of the StreamID or SubstreamID that do not select the descriptor. */
  readonly leafBits: number;
  /** Physical. */
  readonly address: number;
  readonly words: Uint32Array;
  /** An L1CD in memory that stage 2 marks AssuredOnly. */
  readonly assured: boolean;
}

/** A CD and the level-1 descriptor that led to it, if any. */
export interface CdEntry extends ConfigEntry {
  readonly owner: SteEntry;
  readonly index: number;
  readonly cd: Cd;
  readonly level1: Level1Entry | undefined;
}

/** An STE, the level-1 descriptor that led to it, if any, and the CDs reached through it. */
export interface SteEntry extends ConfigEntry {
  readonly streamId: number;
  readonly ste: Ste;
  readonly level1: Level1Entry | undefined;
  readonly cds: Map<number, CdEntry>;
  readonly level1Cds: Map<number, Level1Entry>;
}

/** What maintenance can drop. */
export type CachedStructure = SteEntry | CdEntry | Level1Entry;

export class ConfigCache implements ConfigInvalidation {
  /** Another number after every change of what is cached. */
  generation = 0;
  /** Is told of streams that lose their STE or a CD. */
  front: FrontTier | undefined;
  readonly #sizes: CacheSizes;
  readonly #onDrop: ((entry: CachedStructure) => void) | undefined;
  readonly #stes = new Map<number, SteEntry>();
  readonly #level1 = new Map<number, Level1Entry>();
  /** CDs and L1CDs of all streams, oldest first. */
  readonly #cds = new Set<CdEntry>();
  readonly #level1Cds = new Map<Level1Entry, SteEntry>();

  /** @param onDrop called for each entry that maintenance drops */
  constructor(sizes: CacheSizes, onDrop?: (entry: CachedStructure) => void) {
    this.#sizes = sizes;
    this.#onDrop = onDrop;
  }

  /** Forgets everything without telling anybody: hardware reset. */
  reset(): void {
    this.generation++;
    this.front?.clear();
    this.#stes.clear();
    this.#level1.clear();
    this.#cds.clear();
    this.#level1Cds.clear();
  }

  /** STEs and CDs in the cache. */
  get counts(): { readonly stes: number; readonly cds: number; readonly level1: number } {
    return { stes: this.#stes.size, cds: this.#cds.size, level1: this.#level1.size + this.#level1Cds.size };
  }

  get isEmpty(): boolean {
    return this.#stes.size + this.#cds.size + this.#level1.size + this.#level1Cds.size === 0;
  }

  /** The STEs, cached longest ago first. */
  stes(): readonly SteEntry[] {
    return [...this.#stes.values()];
  }

  /** The level-1 descriptors of Stream tables, likewise. */
  level1(): readonly Level1Entry[] {
    return [...this.#level1.values()];
  }

  findSte(streamId: number): SteEntry | undefined {
    return this.#stes.get(streamId);
  }

  /** @param split low StreamID bits of the present table format; a descriptor kept from another format does not serve */
  findLevel1(streamId: number, split: number): Level1Entry | undefined {
    const entry = this.#level1.get(Math.floor(streamId / POW2[split]!));
    return entry?.leafBits === split ? entry : undefined;
  }

  keepSte(entry: SteEntry): void {
    this.generation++;
    const { ste: room } = this.#sizes;
    if (room === 0) return;
    if (this.#stes.size >= room) this.#forgetSte(first(this.#stes.values()));
    this.#stes.set(entry.streamId, entry);
  }

  keepLevel1(entry: Level1Entry): void {
    const { ste: room } = this.#sizes;
    if (room === 0) return;
    this.#level1.delete(entry.index);
    if (this.#level1.size >= room) this.#level1.delete(first(this.#level1.keys()));
    this.#level1.set(entry.index, entry);
  }

  /** Keeps a CD if its STE is in the cache. */
  keepCd(entry: CdEntry): void {
    this.generation++;
    const { cd: room } = this.#sizes;
    if (room === 0 || this.#stes.get(entry.owner.streamId) !== entry.owner) return;
    if (this.#cds.size >= room) this.#forgetCd(first(this.#cds.values()));
    this.#cds.add(entry);
    entry.owner.cds.set(entry.index, entry);
  }

  keepLevel1Cd(owner: SteEntry, entry: Level1Entry): void {
    const { cd: room } = this.#sizes;
    if (room === 0 || this.#stes.get(owner.streamId) !== owner) return;
    if (this.#level1Cds.size >= room) this.#forgetLevel1Cd(first(this.#level1Cds.keys()));
    this.#level1Cds.set(entry, owner);
    owner.level1Cds.set(entry.index, entry);
  }

  #forgetSte(entry: SteEntry): void {
    this.generation++;
    this.front?.streamGone(entry.streamId);
    for (const cd of entry.cds.values()) this.#cds.delete(cd);
    for (const level1 of entry.level1Cds.values()) this.#level1Cds.delete(level1);
    this.#stes.delete(entry.streamId);
  }

  #forgetCd(entry: CdEntry): void {
    this.generation++;
    this.front?.streamGone(entry.owner.streamId);
    this.#cds.delete(entry);
    entry.owner.cds.delete(entry.index);
  }

  #forgetLevel1Cd(entry: Level1Entry): void {
    this.#level1Cds.get(entry)?.level1Cds.delete(entry.index);
    this.#level1Cds.delete(entry);
  }

  #dropSte(entry: SteEntry): void {
    this.#dropCds(entry);
    this.#onDrop?.(entry);
    this.#forgetSte(entry);
  }

  #dropCds(owner: SteEntry): void {
    for (const cd of owner.cds.values()) this.#dropCd(cd);
    for (const level1 of owner.level1Cds.values()) this.#dropLevel1Cd(level1);
  }

  #dropCd(entry: CdEntry): void {
    this.#onDrop?.(entry);
    this.#forgetCd(entry);
  }

  #dropLevel1Cd(entry: Level1Entry): void {
    this.#onDrop?.(entry);
    this.#forgetLevel1Cd(entry);
  }

  #dropLevel1(entry: Level1Entry): void {
    this.#onDrop?.(entry);
    this.#level1.delete(entry.index);
  }

  invalidateAll(): void {
    if (this.#onDrop !== undefined) {
      this.invalidateSteRange(0, 31);
      return;
    }
    // Nobody wants to know of each.
    this.generation++;
    this.front?.streamsGone();
    this.#stes.clear();
    this.#level1.clear();
    this.#cds.clear();
    this.#level1Cds.clear();
  }

  invalidateSte(streamId: number, leaf: boolean): void {
    const entry = this.#stes.get(streamId);
    if (entry !== undefined) this.#dropSte(entry);
    if (leaf) return;
    for (const level1 of this.#level1.values()) {
      if (Math.floor(streamId / POW2[level1.leafBits]!) === level1.index) this.#dropLevel1(level1);
    }
  }

  invalidateSteRange(streamId: number, range: number): void {
    const span = 2 ** (range + 1);
    const lowest = range >= 31 ? 0 : Math.floor(streamId / span) * span;
    const highest = range >= 31 ? 2 ** 32 - 1 : lowest + span - 1;
    for (const entry of this.#stes.values()) if (entry.streamId >= lowest && entry.streamId <= highest) this.#dropSte(entry);
    for (const level1 of this.#level1.values()) {
      const start = level1.index * 2 ** level1.leafBits;
      if (start <= highest && start + 2 ** level1.leafBits > lowest) this.#dropLevel1(level1);
    }
  }

  invalidateCd(streamId: number, substreamId: number, leaf: boolean): void {
    const owner = this.#stes.get(streamId);
    if (owner === undefined) return;
    const entry = owner.cds.get(substreamId);
    if (entry !== undefined) this.#dropCd(entry);
    const level1 = leaf || owner.ste.cdLeafBits === 0 ? undefined : owner.level1Cds.get(substreamId >>> owner.ste.cdLeafBits);
    if (level1 !== undefined) this.#dropLevel1Cd(level1);
  }

  invalidateCdAll(streamId: number): void {
    const owner = this.#stes.get(streamId);
    if (owner !== undefined) this.#dropCds(owner);
  }
}

function first<T>(values: IterableIterator<T>): T {
  const next = values.next();
  if (next.done) throw new RangeError("the cache is empty");
  return next.value;
}
