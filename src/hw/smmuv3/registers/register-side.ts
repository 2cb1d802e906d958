// SPDX-License-Identifier: MIT
/**
 * Registers, queues, errors and interrupts put together: all of an SMMU but its translation. The translation side reads
 * `registers`, records into `events`, and is told by commands through {@link RegisterSide.connect}.
 */
import type { TraceSink } from "../../../sim/index.ts";
import { hex } from "../../bits/hex.ts";
import type { NotModelledLog } from "../../errors.ts";
import { type Caches, CommandExecution } from "../queues/command-execution.ts";
import { CommandQueue } from "../queues/command-queue.ts";
import { defaultRegisterChoices, type RegisterChoices } from "../choices-registers.ts";
import type { SmmuConfig } from "../config/config.ts";
import { deferMaintenance, type HeldInvalidation, invalidate } from "../caches/deferred-maintenance.ts";
import { Delays } from "./delays.ts";
import { EventQueue } from "../queues/event-queue.ts";
import { GlobalErrors } from "./gerror.ts";
import { Interrupts } from "./interrupts.ts";
import { type Lint, lintTo } from "../lint.ts";
import type { PendingInvalidations } from "../ats/atc-invalidations.ts";
import type { SmmuEvents, SmmuHost, StallControl } from "../ports.ts";
import type { Prefetches } from "../queues/prefetch.ts";
import { RegisterFile } from "./register-file.ts";
import { bitsOf, offsetOf } from "./register-layout.ts";

const CR0 = offsetOf("CR0");
const SMMUEN = bitsOf("CR0", "SMMUEN");
const EVENTQEN = bitsOf("CR0", "EVENTQEN");
const CMDQEN = bitsOf("CR0", "CMDQEN");
const DORMANT = bitsOf("STATUSR", "DORMANT");

export interface RegisterSideDeps {
  readonly config: SmmuConfig;
  readonly host: SmmuHost;
  readonly trace: TraceSink<SmmuEvents>;
  readonly notModelled: NotModelledLog;
  readonly choices?: Partial<RegisterChoices>;
}

/** What an SMMU has accepted and not carried out, apart from commands in the queue. */
export interface PendingWork {
  /** It is in Service Failure Mode. */
  readonly serviceFailed: boolean;
  /** They wait for a CMD_SYNC. */
  readonly invalidations: readonly HeldInvalidation[];
  /** What CMD_ATC_INV has sent and no CMD_SYNC has seen the end of; absent: nothing. */
  readonly atc?: PendingInvalidations;
}

export class RegisterSide {
  readonly registers: RegisterFile;
  readonly events: EventQueue;
  readonly #commands: CommandQueue;
  readonly #execution: CommandExecution;
  readonly #errors: GlobalErrors;
  readonly #delays: Delays;
  readonly #lint: Lint;
  readonly #deferred: boolean;
  #stalls: StallControl | undefined;
  /** Told when SMMUEN has changed. */
  onEnable: () => void = () => {};

  constructor(deps: RegisterSideDeps) {
    const { config, host, trace, notModelled } = deps;
    const delays = new Delays(host);
    const lint = lintTo(trace);
    const choices = { ...defaultRegisterChoices, ...deps.choices };
    const registers = new RegisterFile({ config, delays, trace, lint, notModelled, choices });
    const interrupts = new Interrupts(config, host, registers, (bit) => errors.raise(bit));
    const errors: GlobalErrors = new GlobalErrors(registers, () => interrupts.signal("gerror"), trace, lint);
    this.#errors = errors;
    this.#delays = delays;
    this.#lint = lint;
    this.#deferred = choices.maintenance === "at-sync";
    this.registers = registers;
    this.events = new EventQueue({ config, host, registers, errors, interrupts, lint, choices });
    this.#execution = new CommandExecution({ config, host, registers, interrupts, lint, choices });
    this.#commands = new CommandQueue({ config, host, delays, registers, errors, execution: this.#execution, trace, lint });
    errors.onAcknowledge = () => {
      this.#commands.process();
      this.events.announce();
    };
    if (config.dormhint) registers.onRead(offsetOf("STATUSR"), () => (this.#execution.dormant ? DORMANT : 0));
    registers.cr0.onUpdate = (fields, commit) => this.#updateCr0(fields, commit);
  }

  /** Names the caches that commands invalidate. */
  connect(caches: Caches): void {
    this.#execution.caches = this.#deferred ? deferMaintenance(caches) : caches;
  }

  /** Names what follows CMD_PREFETCH_*. */
  connectPrefetches(prefetches: Prefetches): void {
    this.#execution.prefetches = prefetches;
  }

  /** Names the stalled transactions that commands, SMMUEN and the Event queue act on. */
  connectStalls(stalls: StallControl): void {
    this.#stalls = stalls;
    this.#execution.stalls = stalls;
    this.events.onWritable = () => stalls.retryWaiting();
  }

  /** Hardware reset: whatever was in progress is gone. */
  reset(): void {
    this.#delays.cancelAll();
    this.#commands.reset();
    this.events.reset();
    this.#execution.reset();
    this.#errors.reset();
    this.registers.reset();
  }

  /** What has been accepted and waits: see {@link restore}. */
  get pending(): PendingWork {
    const { atc, caches } = this.#execution;
    const { pending } = atc;
    const work = { serviceFailed: this.#errors.serviceFailed, invalidations: caches?.held?.() ?? [] };
    return pending === undefined ? work : { ...work, atc: pending };
  }

  /**
   * Goes on from where another one of this configuration stood, as soon as time passes. Invalidations that wait for a CMD_SYNC
   * are carried out at once where this one holds nothing back. Invalidate Requests that are under way are sent once more.
   */
  restore(words: readonly (readonly [number, number])[], pending: PendingWork): void {
    this.#errors.restore(pending.serviceFailed);
    this.registers.restore(words);
    this.onEnable();
    for (const one of pending.invalidations) invalidate(this.#execution.caches!, one);
    if (pending.atc !== undefined) this.#execution.atc.restore(pending.atc);
    this.#commands.resume();
  }

  /** Enters Service Failure Mode. */
  failService(): void {
    this.#errors.failService();
    // Client transactions are terminated, those that wait too.
    this.#stalls?.terminateAll();
  }

  /** Names what software has left undone. */
  audit(): void {
    this.#errors.audit();
    this.#lintUnsynchronised("software has done its work");
    const stalled = this.#stalls?.unanswered;
    if (stalled) {
      this.#lint(
        "stall-unanswered",
        () => `a stalled transaction of StreamID ${hex(stalled.streamId)}, STAG ${hex(stalled.stag)}, still waits for its CMD_RESUME`,
      );
    }
  }

  #lintUnsynchronised(when: string): void {
    const { unsynchronised } = this.#execution;
    if (unsynchronised !== undefined) this.#lint("cmd-sync-missing", () => `${when}: no CMD_SYNC has come after ${unsynchronised}`);
  }

  /** CMDQEN is not acknowledged as 0 while a command is in progress (§6.3.9.3). */
  #updateCr0(fields: number, commit: () => void): void {
    const on = fields & this.registers.get(CR0);
    if ((on & CMDQEN) !== 0) this.#errors.lintActive("CMDQ_ERR", () => "CMDQEN is set and no command is consumed");
    if ((on & EVENTQEN) !== 0) this.#errors.lintActive("EVENTQ_ABT_ERR", () => "EVENTQEN is set and no event is recorded");
    if ((on & SMMUEN) !== 0) this.#lintUnsynchronised("SMMUEN is set");
    const acknowledge = (): void => {
      commit();
      if ((fields & EVENTQEN) !== 0) this.events.reset();
      if ((fields & SMMUEN) !== 0) {
        this.onEnable();
        this.#checkStreamTable();
      }
      // What is stalled ends with an abort and its STAGs are free (§6.3.9.6).
      if ((fields & SMMUEN) !== 0 && !this.registers.smmuEnabled()) this.#stalls?.terminateAll();
      this.#commands.process();
      if ((fields & EVENTQEN) !== 0) this.events.announce();
    };
    const stopsCommands = (fields & CMDQEN) !== 0 && (this.registers.get(CR0) & CMDQEN) === 0;
    if (!stopsCommands) {
      acknowledge();
      return;
    }
    if (!this.#commands.empty) this.#lint("cmdqen-cleared-with-work", () => "CMDQEN is cleared while the Command queue holds commands");
    this.#lintUnsynchronised("CMDQEN is cleared");
    this.#commands.whenIdle(acknowledge);
  }

  /** STRTAB_BASE must be aligned to the table (§6.3.24); the low bits are taken as zero otherwise. */
  #checkStreamTable(): void {
    if (!this.registers.smmuEnabled()) return;
    const cfg = this.registers.strtabBaseCfg();
    const log2Size = cfg & 0x3f;
    const split = [6, 8, 10].includes((cfg >>> 6) & 0x1f) ? (cfg >>> 6) & 0x1f : 6;
    const twoLevel = ((cfg >>> 16) & 3) === 1;
    const alignment = 2 ** (twoLevel ? Math.max(6, log2Size - split + 3) : log2Size + 6);
    const base = this.registers.strtabBase();
    if (base % alignment !== 0) {
      this.#lint(
        "strtab-base-alignment",
        () => `STRTAB_BASE ${hex(base)} is not aligned to ${hex(alignment)} bytes: low bits are taken as 0`,
      );
    }
  }
}
