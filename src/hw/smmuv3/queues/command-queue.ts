// SPDX-License-Identifier: MIT
/**
 * The Command queue: entries are fetched one after another, each takes its time, and CONS moves past an entry only when
 * the command is complete. Software that polls CONS therefore never sees a command as consumed that is still to act
 * (IHI 0070 §3.5, §4.1, §7.1).
 */
import type { TraceSink } from "../../../sim/index.ts";
import { hex } from "../../bits/hex.ts";
import { BusStatus } from "../../memory/system-bus.ts";
import { CircularQueue } from "./circular-queue.ts";
import type { CommandExecution } from "./command-execution.ts";
import { describeCommand } from "./command-text.ts";
import type { SmmuConfig } from "../config/config.ts";
import type { Delays } from "../registers/delays.ts";
import type { GlobalErrors } from "../registers/gerror.ts";
import type { Lint } from "../lint.ts";
import type { SmmuEvents, SmmuHost } from "../ports.ts";
import { presetOrigin } from "../config/presets.ts";
import type { RegisterFile } from "../registers/register-file.ts";
import { bitsOf, offsetOf } from "../registers/register-layout.ts";
import { CommandError } from "../spec/commands.ts";

const CR0 = offsetOf("CR0");
const CR0ACK = offsetOf("CR0ACK");
const CMDQEN = bitsOf("CR0", "CMDQEN");
const BASE = offsetOf("CMDQ_BASE");
const PROD = offsetOf("CMDQ_PROD");
const CONS = offsetOf("CMDQ_CONS");
const ERR = bitsOf("CMDQ_CONS", "ERR");
const ERR_SHIFT = 24;
const ENTRY_BYTES = 16;
const ENTRY_WORDS = 4;

export interface CommandQueueDeps {
  readonly config: SmmuConfig;
  readonly host: SmmuHost;
  readonly delays: Delays;
  readonly registers: RegisterFile;
  readonly errors: GlobalErrors;
  readonly execution: CommandExecution;
  readonly trace: TraceSink<SmmuEvents>;
  readonly lint: Lint;
}

export class CommandQueue {
  readonly #deps: CommandQueueDeps;
  readonly #queue: CircularQueue;
  readonly #command = new Uint32Array(ENTRY_WORDS);
  #busy = false;
  #whenIdle: (() => void)[] = [];
  /** Inconsistent indexes are named once, until they are consistent again. */
  #inconsistent = false;
  /** PROD was written inconsistently: nothing is consumed until the queue has been disabled (§3.21.2). */
  #stopped = false;
  /** Counts resets: whoever waits for a command may reset the SMMU when it is carried out. */
  #epoch = 0;
  readonly #completion = (): void => this.#complete();
  /** What a CMD_SYNC has waited for is over. */
  readonly #settled = (): void => {
    this.#complete();
    if (this.#deps.config.timing.commandNs === 0) this.process();
  };

  constructor(deps: CommandQueueDeps) {
    this.#deps = deps;
    const { config, registers, lint } = deps;
    const at = {
      name: "CMDQ",
      base: BASE,
      prod: PROD,
      cons: CONS,
      log2Max: config.cmdqLog2Max,
      entryBytes: ENTRY_BYTES,
      origin: presetOrigin(config, "queues"),
    };
    this.#queue = new CircularQueue(registers, at, lint);
    registers.maskReads(CONS, () => ERR | this.#queue.indexMask);
    registers.onWrite(PROD, (value, old) => {
      this.#checkProd(value, old);
      this.process();
    });
  }

  /** Hardware reset: the command in progress is gone. */
  reset(): void {
    this.#busy = false;
    this.#whenIdle = [];
    this.#inconsistent = false;
    this.#stopped = false;
    this.#epoch++;
  }

  /** Goes on with what is in the queue as soon as time passes: after a restart. */
  resume(): void {
    this.#deps.delays.after(Math.max(1, this.#deps.config.timing.commandNs), () => this.process());
  }

  get empty(): boolean {
    return this.#queue.used === 0;
  }

  /** Calls `action` when no command is in progress. */
  whenIdle(action: () => void): void {
    if (this.#busy) this.#whenIdle.push(action);
    else action();
  }

  /** An enable that was just written to 0 already stops the queue. */
  get #enabled(): boolean {
    const { registers } = this.#deps;
    return (registers.get(CR0) & registers.get(CR0ACK) & CMDQEN) !== 0;
  }

  /** True if the next entry may be fetched. */
  #mayConsume(): boolean {
    if (this.#stopped || this.#deps.errors.stopsCommands || !this.#enabled) return false;
    const { used, capacity } = this.#queue;
    return used > 0 && used <= capacity;
  }

  /** Looks for work: after PROD, an enable or the acknowledge of an error has changed. */
  process(): void {
    if (!this.#enabled) this.#stopped = false;
    this.#checkIndexes();
    const { host, delays, config, registers } = this.#deps;
    // Commands that take no time may have MSIs that move PROD: time passes before those are looked at, or it never would.
    let left = this.#queue.used;
    while (!this.#busy && this.#mayConsume()) {
      if (left-- === 0) {
        delays.after(1, () => this.process());
        return;
      }
      const address = this.#queue.entryAddress(this.#queue.cons);
      if (host.load("cmdq", address, this.#command, ENTRY_WORDS, undefined, registers.queueAttributes(BASE, false)) !== BusStatus.ok) {
        this.#fail(CommandError.abort);
        return;
      }
      this.#busy = true;
      delays.after(config.timing.commandNs, this.#completion);
    }
  }

  #complete(): void {
    const { config, errors, execution } = this.#deps;
    const epoch = this.#epoch;
    // Service Failure Mode ends what is in progress: it has no effect and stays in the queue.
    if (!errors.serviceFailed) {
      if (execution.waits(this.#command)) {
        execution.atc.whenSettled(this.#settled);
        return;
      }
      this.#carryOut();
    }
    if (epoch !== this.#epoch) return;
    this.#busy = false;
    if (this.#whenIdle.length > 0) {
      const waiting = this.#whenIdle;
      this.#whenIdle = [];
      for (const action of waiting) action();
    }
    // With commands that take no time, process() is the caller and goes on by itself.
    if (config.timing.commandNs > 0) this.process();
  }

  #carryOut(): void {
    const { trace, execution, host, config, lint } = this.#deps;
    const command = this.#command;
    if (trace.wants("smmu.command")) trace.emit("smmu.command", { words: [...command], text: describeCommand(command) });
    const epoch = this.#epoch;
    const done = execution.execute(command);
    if (epoch !== this.#epoch) return;
    if (typeof done === "number") {
      if (command.every((word) => word === 0)) {
        const { cons } = this.#queue;
        lint("command-empty", () => `the command at index ${hex(cons)}, address ${hex(this.#queue.entryAddress(cons))}, is all zeros`);
      }
      this.#fail(done);
    } else {
      const wasFull = this.#queue.used === this.#queue.capacity;
      this.#queue.advance("cons");
      // Whoever sees the signal of a CMD_SYNC must see CONS beyond it (§3.18).
      execution.signalCompletion(done);
      if (wasFull && config.sev) host.sendEvent();
    }
  }

  /** CONS stays at the command; its ERR field is visible before the error is (§7.1). */
  #fail(code: number): void {
    const { registers, errors } = this.#deps;
    registers.set(CONS, ((registers.get(CONS) & ~ERR) | (code << ERR_SHIFT)) >>> 0);
    errors.raise("CMDQ_ERR");
  }

  #checkIndexes(): void {
    const queue = this.#queue;
    const before = this.#inconsistent;
    this.#inconsistent = this.#enabled && !queue.consistent;
    if (before || !this.#inconsistent) return;
    this.#deps.lint(
      "prod-inconsistent",
      () =>
        `CMDQ_PROD ${hex(queue.prod)} is inconsistent with CMDQ_CONS ${hex(queue.cons)}, so nothing is consumed; ` +
        `commands between them if the wrap flag were the other way round: ${queue.used - queue.capacity}`,
    );
  }

  /** PROD goes back only while an error is active, or the queue is off (§3.5.1, §7.1). */
  #checkProd(value: number, old: number): void {
    const { lint, errors } = this.#deps;
    const queue = this.#queue;
    if (!this.#enabled || errors.isActive("CMDQ_ERR")) return;
    if (!queue.consistent) {
      this.#stopped = true;
      return;
    }
    const before = (old - queue.cons) & queue.indexMask;
    if (before <= queue.capacity && queue.used < before) {
      lint("prod-backwards", () => `CMDQ_PROD moved back from ${old & queue.indexMask} to ${value & queue.indexMask}`);
    }
  }
}
