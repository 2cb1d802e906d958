// SPDX-License-Identifier: MIT
/** Global errors: bits that the SMMU toggles in GERROR and software answers in GERRORN (IHI 0070 §7.5). */
import type { TraceSink } from "../../../sim/index.ts";
import type { Lint } from "../lint.ts";
import type { SmmuEvents } from "../ports.ts";
import type { RegisterFile } from "./register-file.ts";
import { bitsOf, offsetOf } from "./register-layout.ts";

/** Errors that this model can raise. */
export type GlobalErrorBit =
  | "CMDQ_ERR"
  | "EVENTQ_ABT_ERR"
  | "PRIQ_ABT_ERR"
  | "MSI_CMDQ_ABT_ERR"
  | "MSI_EVENTQ_ABT_ERR"
  | "MSI_PRIQ_ABT_ERR"
  | "MSI_GERROR_ABT_ERR"
  | "SFM_ERR";

const GERROR = offsetOf("GERROR");
const GERRORN = offsetOf("GERRORN");
const names: readonly GlobalErrorBit[] = [
  "CMDQ_ERR",
  "EVENTQ_ABT_ERR",
  "PRIQ_ABT_ERR",
  "MSI_CMDQ_ABT_ERR",
  "MSI_EVENTQ_ABT_ERR",
  "MSI_PRIQ_ABT_ERR",
  "MSI_GERROR_ABT_ERR",
  "SFM_ERR",
];
const masks: ReadonlyMap<GlobalErrorBit, number> = new Map(names.map((name) => [name, bitsOf("GERROR", name)]));
const CMDQ_ERR = bitsOf("GERROR", "CMDQ_ERR");

export class GlobalErrors {
  /** Called when software has acknowledged errors. */
  onAcknowledge: () => void = () => {};

  #serviceFailed = false;
  readonly #registers: RegisterFile;
  readonly #interrupt: () => void;
  readonly #trace: TraceSink<SmmuEvents>;
  readonly #lint: Lint;

  /** @param interrupt signals the GERROR interrupt */
  constructor(registers: RegisterFile, interrupt: () => void, trace: TraceSink<SmmuEvents>, lint: Lint) {
    this.#registers = registers;
    this.#interrupt = interrupt;
    this.#trace = trace;
    this.#lint = lint;
    registers.onWrite(GERRORN, (value, old) => this.#written(value, old));
  }

  /** An error is active while GERROR and GERRORN differ in its bit. */
  isActive(bit: GlobalErrorBit): boolean {
    return ((this.#registers.get(GERROR) ^ this.#registers.get(GERRORN)) & masks.get(bit)!) !== 0;
  }

  /** Asked before each command: an error of the Command queue is active, or the service has failed. */
  get stopsCommands(): boolean {
    return this.#serviceFailed || ((this.#registers.get(GERROR) ^ this.#registers.get(GERRORN)) & CMDQ_ERR) !== 0;
  }

  /** Service Failure Mode: queues are not accessed any more. Acknowledging SFM_ERR does not end it (§12.3). */
  get serviceFailed(): boolean {
    return this.#serviceFailed;
  }

  failService(): void {
    this.#serviceFailed = true;
    this.raise("SFM_ERR");
  }

  /** Sets the mode as another SMMU had it; the registers tell of it as they told there. */
  restore(serviceFailed: boolean): void {
    this.#serviceFailed = serviceFailed;
  }

  /** Hardware reset, which ends Service Failure Mode. */
  reset(): void {
    this.#serviceFailed = false;
  }

  /** Activates an error. One that is active already stays so, and the new occurrence is lost. */
  raise(bit: GlobalErrorBit): void {
    if (this.isActive(bit)) return;
    this.#registers.set(GERROR, (this.#registers.get(GERROR) ^ masks.get(bit)!) >>> 0);
    this.#trace.emit("smmu.gerror", { bit, active: true });
    // A second MSI to the address that just aborted might abort as well (§7.5.1).
    if (bit !== "MSI_GERROR_ABT_ERR") this.#interrupt();
  }

  /** Names an error that still stops `what`. */
  lintActive(bit: GlobalErrorBit, what: () => string): void {
    if (this.isActive(bit)) this.#lint("gerror-unacknowledged", () => `${what()}: GERROR.${bit} is still active`);
  }

  /** Names all errors that nobody has acknowledged. */
  audit(): void {
    for (const name of names) this.lintActive(name, () => "software has done its work");
  }

  #written(value: number, old: number): void {
    const gerror = this.#registers.get(GERROR);
    const toggled = value ^ old;
    for (const name of names) {
      const mask = masks.get(name)!;
      if ((toggled & mask) === 0) continue;
      const active = ((gerror ^ value) & mask) !== 0;
      this.#trace.emit("smmu.gerror", { bit: name, active });
      if (active) this.#lint("gerrorn-inactive", () => `SMMU_GERRORN.${name} toggled while the error was not active`);
    }
    this.onAcknowledge();
  }
}
