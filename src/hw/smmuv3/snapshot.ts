// SPDX-License-Identifier: MIT
/**
 * An SMMU as plain data: its registers, what its caches hold and what it has accepted, to be looked at later or elsewhere.
 */
import { decodeCd } from "./config/cd.ts";
import type { CdEntry, Level1Entry, SteEntry } from "./config/config-cache.ts";
import { type SmmuConfig } from "./config/config.ts";
import { HostMisuseError } from "../errors.ts";
import { StreamWorld } from "./ports.ts";
import type { Smmu } from "./smmu.ts";
import { decodeSte } from "./config/ste.ts";
import { TlbEntry } from "./caches/tlb-entry.ts";
import type { WalkEntry } from "./caches/walk-cache.ts";

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

/** An SMMU as plain data, which JSON can carry. See {@link snapshotOf}. */
export interface SmmuSnapshot {
  readonly config: SmmuConfig;
  /** Words that are not zero, as [offset from page 0, value]. */
  readonly registers: readonly (readonly [number, number])[];
  readonly stes: readonly SteSnapshot[];
  readonly level1: readonly Level1Snapshot[];
  readonly tlb: readonly TlbSnapshot[];
  readonly walks: readonly WalkEntry[];
  /** Service Failure Mode, invalidations that wait for a CMD_SYNC, broadcast ones that wait for a DSB. */
  readonly pending: Smmu["pending"];
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

/**
 * An SMMU as it is at this moment; taking it changes nothing. An SMMU that is restored from it translates as this one does now,
 * and goes on when its time passes: pending Updates of CR0 and IRQ_CTRL start anew, the Update of GBPA is over, commands that are
 * not yet consumed are fetched again. It has not the stalled transactions, which belong to clients that wait for them, nor the
 * order in which caches replace entries and STAGs are given out.
 */
export function snapshotOf(smmu: Smmu): SmmuSnapshot {
  const { configCache, tlb, walks } = smmu.translation;
  return {
    config: smmu.config,
    registers: smmu.registers.words(),
    stes: configCache.stes().map(steSnapshot),
    level1: configCache.level1().map(level1Snapshot),
    tlb: Array.from(tlb.entries(), ({ cacheable: _cacheable, ...entry }) => entry),
    walks: [...walks.entries()],
    pending: smmu.pending,
  };
}

function level1Of(snapshot: Level1Snapshot): Level1Entry {
  return { ...snapshot, id: 0, words: Uint32Array.from(snapshot.words) };
}

/**
 * Puts a snapshot into an SMMU of the same configuration; what it had before is gone. Where this one carries invalidations out at
 * once, those that the other one held back are complete.
 * @throws HostMisuseError for a snapshot of another configuration, or one that is none
 * @throws RangeError if words are missing in a structure
 */
export function restoreSnapshot(smmu: Smmu, snapshot: SmmuSnapshot): void {
  const { config } = smmu;
  const { configCache, tlb, walks } = smmu.translation;
  checkConfig(snapshot.config, config);
  smmu.reset();
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
  smmu.restore(snapshot.registers, snapshot.pending);
}

/** Registers and caches mean what the configuration says: names, times and sizes of caches may differ. */
function checkConfig(theirs: SmmuConfig | undefined, ours: SmmuConfig): void {
  if (theirs === undefined) throw new HostMisuseError("SNAPSHOT", "a snapshot comes from snapshotOf(smmu): this one has no configuration");
  const free: ReadonlySet<string> = new Set<keyof SmmuConfig>(["name", "caches", "timing"]);
  for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)]) as Set<keyof SmmuConfig>) {
    const [here, there] = [JSON.stringify(ours[key]), JSON.stringify(theirs[key])];
    if (free.has(key) || here === there) continue;
    throw new HostMisuseError("SNAPSHOT", `a snapshot of another configuration: ${key} is ${there} there and ${here} here`);
  }
}

function structure(words: readonly number[]): Uint32Array {
  if (words.length !== 16) throw new RangeError(`a structure of ${words.length} words, 16 are due`);
  return Uint32Array.from(words);
}
