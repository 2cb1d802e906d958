// SPDX-License-Identifier: MIT
/**
 * What becomes of transactions that are neither plain reads nor plain writes: what they have to be granted, and as what they
 * leave (IHI 0070 §3.14, §3.22, §16.7.2; translation steps 1.2 and 8.2).
 *
 * A hint that may not go on ends with Outcome.razWi: it completes, and nothing has happened.
 */
import type { TranslationChoices } from "../choices.ts";
import type { SmmuConfig } from "../config/config.ts";
import { needOfStage1, Perm1, Perm2 } from "./permissions.ts";
import { noKind, type Transaction, Via } from "../transaction.ts";
import { type KindSpec, TransactionKind, transactionKinds } from "../spec/transactions.ts";
import { granted } from "./stage2.ts";
import type { Ste } from "../config/ste.ts";
import { Clean, type TlbEntry } from "../caches/tlb-entry.ts";

/** What happens to a transaction on arrival. */
export const Fate = {
  translated: 0,
  /** An abort and nothing else. */
  terminated: 1,
  /** F_UUT. */
  unsupported: 2,
} as const;
export type Fate = (typeof Fate)[keyof typeof Fate];

/** A row of the table of kinds, as this SMMU has it, for one direction. */
export interface AccessRules extends Omit<KindSpec, "write"> {
  readonly write: boolean;
  readonly fate: Fate;
}

/** In place of a kind: the hint does not leave. */
export const NO_EFFECT: TransactionKind = TransactionKind.noAddress;

function rulesFor(spec: KindSpec, given: boolean, fate: Fate): AccessRules {
  const write = spec.write ?? given;
  return { ...spec, write, data: spec.data || write, fate };
}

const ORDINARY = transactionKinds[TransactionKind.ordinary]!;

export const PLAIN_READ: AccessRules = rulesFor(ORDINARY, false, Fate.translated);
export const PLAIN_WRITE: AccessRules = rulesFor(ORDINARY, true, Fate.translated);

/** Cache maintenance, but for the hint. */
const MAINTENANCE: ReadonlySet<TransactionKind> = new Set<TransactionKind>([
  TransactionKind.clean,
  TransactionKind.cleanInvalidate,
  TransactionKind.cleanToPersistence,
  TransactionKind.invalidate,
]);

const USER = Perm1.userRead | Perm1.userExecute;

export class TransactionKinds {
  readonly #early: boolean;
  /** Reads, then writes, by kind. */
  readonly #rules: readonly (readonly AccessRules[])[];

  constructor(config: SmmuConfig, choices: TranslationChoices) {
    this.#early = config.version === 0;
    this.#rules = [false, true].map((write) => transactionKinds.map((spec) => rulesFor(spec, write, this.#fate(spec, write, choices))));
  }

  #fate({ kind }: KindSpec, write: boolean, choices: TranslationChoices): Fate {
    if (kind === TransactionKind.noAddress || (kind === TransactionKind.speculative && write)) return Fate.terminated;
    if (kind === TransactionKind.unsupported || (kind === TransactionKind.atomic && choices.atomics === "unsupported"))
      return Fate.unsupported;
    return this.#early && MAINTENANCE.has(kind) ? Fate.unsupported : Fate.translated;
  }

  /** @throws HostMisuseError for a kind that there is not */
  rules({ kind, write }: Transaction): AccessRules {
    const rules = this.#rules[write ? 1 : 0]![kind];
    if (rules === undefined) throw noKind(kind);
    return rules;
  }

  /**
   * As what a transaction leaves that has been translated or let through.
   * @param ste undefined if SMMUEN is 0
   * @param entry the translation that it used, if any
   * @returns its kind, a lesser one, or {@link NO_EFFECT}
   */
  leavesAs(rules: AccessRules, via: Via, ste: Ste | undefined, entry: TlbEntry, privileged: boolean): TransactionKind {
    const { kind, control, hint, lesser } = rules;
    const otherwise = hint ? NO_EFFECT : lesser;
    // v3.0 has none of these (§3.22), wherever they come from.
    if (this.#early) return otherwise;
    if (via === Via.globalBypass || via === Via.steBypass || ste === undefined) return kind;
    if (control !== undefined && ste.fields[control] === 0) return otherwise;
    // The SMMU has translated nothing: what the translation permitted is between the device and its cache.
    if (via === Via.ats) return kind;
    if (rules.wantsWritable && !mayWrite(ste, entry, via, privileged)) return otherwise;
    if (rules.anyPermission && !mayDoAnything(ste, entry, via, privileged)) return otherwise;
    return kind;
  }
}

/** What stage 2 grants; without it, everything. */
function byStage2(ste: Ste, entry: TlbEntry, via: Via): number {
  return via === Via.stage1 || ste.stage2 === undefined ? ~0 : granted(ste.stage2, entry);
}

/** Writing is permitted by all stages, and makes nothing dirty that was clean (§3.13.8). */
function mayWrite(ste: Ste, entry: TlbEntry, via: Via, privileged: boolean): boolean {
  if (entry.clean !== 0 || (byStage2(ste, entry, via) & Perm2.write) === 0) return false;
  return via === Via.stage2 || (entry.stage1 & needOfStage1(true, false, privileged)) !== 0;
}

/** Each stage permits something. */
function mayDoAnything(ste: Ste, entry: TlbEntry, via: Via, privileged: boolean): boolean {
  // Stage 1 grants no write without a read.
  if (via !== Via.stage2 && (entry.stage1 & (privileged ? USER << 3 : USER)) === 0) return false;
  const write = (entry.clean & Clean.stage2) === 0 ? Perm2.write : 0;
  return (byStage2(ste, entry, via) & (Perm2.read | write | (privileged ? Perm2.privExecute : Perm2.userExecute))) !== 0;
}
