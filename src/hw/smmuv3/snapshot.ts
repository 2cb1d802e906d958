// SPDX-License-Identifier: MIT
/**
 * An SMMU as plain data: its registers and what its caches hold, to be looked at later or elsewhere.
 *
 * Work in progress is not part of it: a command that was fetched and not yet carried out, an Update not yet acknowledged, a
 * stalled transaction, which belongs to a client that waits for it. An
 * SMMU that was restored from a snapshot translates as the first one did at that moment.
 */
import { decodeCd } from "./cd.ts";
import type { CdEntry, Level1Entry, SteEntry } from "./config-cache.ts";
import { type SmmuConfig } from "./config.ts";
import { StreamWorld } from "./ports.ts";
import type { Smmu } from "./smmu.ts";
import { decodeSte } from "./ste.ts";
import { TlbEntry } from "./tlb-entry.ts";
import type { WalkEntry } from "./walk-cache.ts";

/** A structure as a cache has it. Addresses are physical, words are 32 bits. */
export interface CachedWords {
  readonly address: number;
  readonly words: readonly number[];
}

/** A level-1 descriptor: `index` in its table, and how many low bits of the identifier it covers. */
export interface Level1Snapshot extends CachedWords {
  readonly index: number;
  readonly leafBits: number;
  /** It came from memory that stage 2 marks AssuredOnly. */
  readonly assured: boolean;
}

export interface CdSnapshot extends CachedWords {
  readonly assured: boolean;
  readonly index: number;
  readonly level1: Level1Snapshot | null;
}

export interface SteSnapshot extends CachedWords {
  readonly streamId: number;
  /** CR2.E2H as it was when the STE was fetched. */
  readonly e2h: boolean;
  readonly level1: Level1Snapshot | null;
  readonly cds: readonly CdSnapshot[];
  readonly level1Cds: readonly Level1Snapshot[];
}

export type TlbSnapshot = Omit<TlbEntry, "cacheable">;

export interface SmmuSnapshot {
  readonly config: SmmuConfig;
  /** Words that are not zero, as [offset from page 0, value]. */
  readonly registers: readonly (readonly [number, number])[];
  readonly stes: readonly SteSnapshot[];
  readonly level1: readonly Level1Snapshot[];
  readonly tlb: readonly TlbSnapshot[];
  readonly walks: readonly WalkEntry[];
}

function level1Snapshot(entry: Level1Entry): Level1Snapshot {
  const { index, leafBits, address, words, assured } = entry;
  return { index, leafBits, address, words: [...words], assured };
}

function orNull(entry: Level1Entry | undefined): Level1Snapshot | null {
  return entry === undefined ? null : level1Snapshot(entry);
}

function steSnapshot({ streamId, ste, level1, cds, level1Cds }: SteEntry): SteSnapshot {
  return {
    streamId,
    address: ste.address,
    words: [...ste.words],
    e2h: ste.world === StreamWorld.nsEl2E2h,
    level1: orNull(level1),
    cds: [...cds.values()].map(({ index, cd, level1: parent }) => ({
      index,
      address: cd.address,
      words: [...cd.words],
      assured: cd.assured,
      level1: orNull(parent),
    })),
    level1Cds: [...level1Cds.values()].map(level1Snapshot),
  };
}

/** What there is to see of an SMMU. */
export function snapshotOf(smmu: Smmu): SmmuSnapshot {
  const { configCache, tlb, walks } = smmu.translation;
  return {
    config: smmu.config,
    registers: smmu.registers.words(),
    stes: configCache.stes().map(steSnapshot),
    level1: configCache.level1().map(level1Snapshot),
    tlb: Array.from(tlb.entries(), ({ cacheable: _cacheable, ...entry }) => entry),
    walks: [...walks.entries()],
  };
}

function level1Of(snapshot: Level1Snapshot): Level1Entry {
  return { ...snapshot, id: 0, words: Uint32Array.from(snapshot.words) };
}

/**
 * Puts a snapshot into an SMMU of the same configuration; what it had before is gone.
 * @throws RangeError if words are missing in a structure
 */
export function restoreSnapshot(smmu: Smmu, snapshot: SmmuSnapshot): void {
  const { config } = smmu;
  const { configCache, tlb, walks } = smmu.translation;
  smmu.reset();
  smmu.registers.restore(snapshot.registers);
  for (const entry of snapshot.level1) configCache.keepLevel1(level1Of(entry));
  for (const { streamId, address, words, e2h, level1, cds, level1Cds } of snapshot.stes) {
    const ste = decodeSte(structure(words), address, config, e2h);
    const owner: SteEntry = {
      id: 0,
      streamId,
      ste,
      level1: level1 === null ? undefined : level1Of(level1),
      cds: new Map(),
      level1Cds: new Map(),
    };
    configCache.keepSte(owner);
    for (const entry of level1Cds) configCache.keepLevel1Cd(owner, level1Of(entry));
    for (const { index, address: at, words: cdWords, assured, level1: parent } of cds) {
      const cd = decodeCd(structure(cdWords), at, ste, config, assured);
      const entry: CdEntry = { id: 0, owner, index, cd, level1: parent === null ? undefined : level1Of(parent) };
      configCache.keepCd(entry);
    }
  }
  for (const entry of snapshot.tlb) tlb.insert(Object.assign(new TlbEntry(), entry));
  for (const entry of snapshot.walks) walks.restore(entry);
}

function structure(words: readonly number[]): Uint32Array {
  if (words.length !== 16) throw new RangeError(`a structure of ${words.length} words, 16 are due`);
  return Uint32Array.from(words);
}
