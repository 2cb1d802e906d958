// SPDX-License-Identifier: MIT
/** The SMMU: registers on one side, transactions on the other. */
import { silentTrace, type TraceSink } from "../../sim/index.ts";
import { NotModelledLog } from "../errors.ts";
import { hex } from "../bits/hex.ts";
import type { TranslationCompletion, TranslationRequest } from "../memory/ats.ts";
import type { BadWidthRule, MmioDevice, Width } from "../memory/system-bus.ts";
import { checkAccess, checkWord } from "./registers/access-checks.ts";
import type { TranslationBatch } from "./batch.ts";
import { type CacheMode, cacheModes } from "./caches/cache-modes.ts";
import { BroadcastMaintenance, type BroadcastTlbi } from "./caches/broadcast.ts";
import { defaultTranslationChoices, type TranslationChoices } from "./choices.ts";
import { defaultRegisterChoices, type RegisterChoices } from "./choices-registers.ts";
import { type SmmuConfig, validateConfig } from "./config/config.ts";
import { type Lint, lintTo } from "./lint.ts";
import type { SmmuEvents, SmmuHost } from "./ports.ts";
import type { Outcome, Transaction } from "./transaction.ts";
import { checkHost, checkOptions, choicesMade } from "./options.ts";
import { Prefetches } from "./queues/prefetch.ts";
import { REGISTER_SPACE, type RegisterFile } from "./registers/register-file.ts";
import { offsetOf } from "./registers/register-layout.ts";
import { type PendingWork, RegisterSide } from "./registers/register-side.ts";
import { Translator } from "./translation/translator.ts";

const WIDTHS = [1, 2, 4];
const WIDE = [8];

/** What an {@link Smmu} can be given besides its configuration and its host. */
export interface SmmuOptions {
  readonly trace?: TraceSink<SmmuEvents>;
  readonly notModelled?: NotModelledLog;
  /** Compare every cache hit with memory and trace "smmu.stale-use". Default: false. */
  readonly detector?: boolean;
  /** How much is kept in caches. Default: as the configuration says. */
  readonly cacheMode?: CacheMode;
  /** False: answers always come from the caches proper, which gives the same results more slowly. Default: true. */
  readonly frontTier?: boolean;
  /** What the architecture leaves open; see choices.ts. */
  readonly choices?: Partial<RegisterChoices & TranslationChoices>;
}

/** One SMMUv3: registers for CPUs as an MMIO device, `translate` for client devices. */
export class Smmu implements MmioDevice {
  readonly config: SmmuConfig;
  readonly registers: RegisterFile;
  readonly translation: Translator;
  /** Bytes of MMIO: page 0 and page 1. */
  readonly size: number = REGISTER_SPACE;
  /** For the window on the bus: access widths, and what others get (IHI 0070 §6.2). */
  readonly widths: readonly Width[] = [4, 8];
  readonly badWidth: BadWidthRule = "raz-wi";
  readonly #side: RegisterSide;
  readonly #lint: Lint;
  readonly #broadcasts: BroadcastMaintenance;
  readonly #translate = (tx: Transaction): Outcome => this.translate(tx);

  /**
   * @param given such as one of `profiles`
   * @param host such as `createSmmuHost` makes
   * @throws HostMisuseError without a configuration or a host, for a configuration that the architecture does not allow, or for
   *   options that there are not
   * @throws NotModelledError for one that asks for what is not modelled
   */
  constructor(given: SmmuConfig, host: SmmuHost, options: SmmuOptions = {}) {
    validateConfig(given);
    checkHost(host, given);
    checkOptions(options);
    const { detector = false, cacheMode = "configured" } = options;
    const mode = cacheMode === "configured" ? undefined : cacheModes[cacheMode];
    const choices = { ...mode?.choices, ...choicesMade(options.choices) };
    const trace = options.trace ?? silentTrace<SmmuEvents>();
    const notModelled = options.notModelled ?? new NotModelledLog();
    this.config = mode === undefined ? given : { ...given, caches: mode.caches };
    const { config } = this;
    this.#lint = lintTo(trace);
    this.#side = new RegisterSide({ config, host, trace, notModelled, choices });
    this.registers = this.#side.registers;
    this.translation = new Translator({
      config,
      registers: this.registers,
      events: this.#side.events,
      host,
      trace,
      notModelled,
      detector,
      front: options.frontTier ?? true,
      choices,
    });
    for (const register of ["STRTAB_BASE", "STRTAB_BASE_CFG"])
      this.registers.onWrite(offsetOf(register), () => this.translation.registersChanged());
    const { configCache, tlb, walks, tlbMaintenance } = this.translation;
    const empty = (): boolean => configCache.isEmpty && tlb.entriesInUse + walks.entriesInUse === 0;
    this.#side.connect({ configuration: configCache, tlb: tlbMaintenance, empty });
    this.#side.connectStalls(this.translation.stalls);
    this.#side.onEnable = () => this.translation.registersChanged();
    const all = { ...defaultRegisterChoices, ...defaultTranslationChoices, ...choices };
    this.#broadcasts = new BroadcastMaintenance({ config, registers: this.registers, tlb: tlbMaintenance, choices: all });
    if (all.prefetch === "taken") {
      this.#side.connectPrefetches(
        new Prefetches({
          enabled: () => this.registers.smmuEnabled(),
          entries: config.caches.tlb,
          configuration: (streamId, substreamId) => this.translation.prefetchConfiguration(streamId, substreamId),
          translate: this.#translate,
        }),
      );
    }
  }

  /** Hardware reset: registers take their reset values, caches are empty, commands and Updates in progress are gone. */
  reset(): void {
    this.#side.reset();
    this.translation.reset();
    this.#broadcasts.reset();
  }

  /**
   * Receives a TLBI that a PE broadcasts (IDR0.BTM); an SMMU that takes no part in them ignores it. It is complete when this
   * returns, or where choices.maintenance is "at-sync" with the next {@link broadcastSync}.
   * @throws HostMisuseError for an operation that there is not, or operands that no PE can give
   */
  broadcast(tlbi: BroadcastTlbi): void {
    this.#broadcasts.receive(tlbi);
  }

  /** The DSB of a PE that waits for its TLBIs: all that were broadcast before are complete when this returns. */
  broadcastSync(): void {
    this.#broadcasts.sync();
  }

  /**
   * Names what software has left undone, as "smmu.lint": errors that are still active, invalidations without a CMD_SYNC. To
   * be asked when software has done its work.
   */
  audit(): void {
    this.#side.audit();
  }

  /**
   * Takes a transaction of a client device and sets the outputs of `tx`. On Outcome.stalled the answer comes later: set
   * `tx.stall.onEnd`.
   * @throws HostMisuseError for a StreamID or SubstreamID out of range
   */
  translate(tx: Transaction): Outcome {
    return this.translation.translate(tx);
  }

  /**
   * Answers an ATS Translation Request of the function behind a StreamID. An SMMU without ATS answers UR.
   * @throws HostMisuseError for a StreamID, SubstreamID or address that cannot be
   */
  requestTranslation(streamId: number, request: TranslationRequest): TranslationCompletion {
    return this.translation.requestTranslation(streamId, request);
  }

  /**
   * Takes a list of transactions of one stream, in order, and sets the answers of `batch`.
   * @returns how many were forwarded
   */
  translateBatch(batch: TranslationBatch): number {
    return batch.run(this.translation);
  }

  /**
   * Injects an internal error: Service Failure Mode (IHI 0070 §12.3). GERROR.SFM_ERR becomes active, transactions abort, the
   * queues stand still and the registers stay accessible, until a reset.
   */
  failService(): void {
    this.#side.failService();
    this.translation.failService();
  }

  /** What was accepted and is not carried out: see snapshot.ts. */
  get pending(): PendingWork & { readonly broadcasts: readonly BroadcastTlbi[] } {
    return { ...this.#side.pending, broadcasts: this.#broadcasts.held };
  }

  /**
   * Takes registers and pending work of another SMMU of this configuration; the caches are filled before.
   * @throws RangeError for an invalidation that there is not
   */
  restore(words: readonly (readonly [number, number])[], pending: Smmu["pending"]): void {
    this.#side.restore(words, pending);
    for (const tlbi of pending.broadcasts) this.#broadcasts.take(tlbi);
    if (pending.serviceFailed) this.translation.failService();
  }

  // Register accesses. One that the architecture does not allow is RAZ/WI, and named as "smmu.lint" (§6.2).

  /**
   * @param offset in bytes from page 0
   * @param width in bytes: 4; with 1 and 2, and unaligned, it reads as zero
   * @throws HostMisuseError for another width, or for what is no offset
   */
  read(offset: number, width: 1 | 2 | 4): number {
    checkAccess(offset, width, WIDTHS);
    return this.#legal(offset, width) ? this.registers.read32(offset) : 0;
  }

  /**
   * @param offset in bytes from page 0
   * @param width in bytes: 4; with 1 and 2, and unaligned, nothing is written
   * @param value 32 bits, signed or unsigned
   * @throws HostMisuseError for another width or value, or for what is no offset
   */
  write(offset: number, width: 1 | 2 | 4, value: number): void {
    checkAccess(offset, width, WIDTHS);
    checkWord("value of a register write", value);
    if (this.#legal(offset, width)) this.registers.write32(offset, value >>> 0);
  }

  /**
   * @param offset in bytes from page 0, a multiple of 8; others read as zero
   * @param out gets the low and the high half
   * @throws HostMisuseError for what is no offset
   */
  read64(offset: number, out: Uint32Array): void {
    checkAccess(offset, 8, WIDE);
    if (this.#legal(offset, 8)) this.registers.read64(offset, out);
    else out.fill(0, 0, 2);
  }

  /**
   * @param offset in bytes from page 0, a multiple of 8; elsewhere nothing is written
   * @param lo the low half, 32 bits, signed or unsigned
   * @param hi the high half
   * @throws HostMisuseError for other halves, or for what is no offset
   */
  write64(offset: number, lo: number, hi: number): void {
    checkAccess(offset, 8, WIDE);
    checkWord("lo of a register write", lo);
    checkWord("hi of a register write", hi);
    if (this.#legal(offset, 8)) this.registers.write64(offset, lo >>> 0, hi >>> 0);
  }

  #legal(offset: number, width: Width): boolean {
    if (width >= 4 && offset % width === 0) return true;
    this.#lint("illegal-access", () => `an access of ${width} bytes to offset ${hex(offset, 5)} is RAZ/WI`);
    return false;
  }
}
