// SPDX-License-Identifier: MIT
/**
 * Interrupt causes and how they reach the CPU: as the level of the legacy interrupt, or as MSI-X messages by IVAR.
 *
 * In MSI-X mode write-backs of descriptors set their queue's cause, and so does RXDMT0; other causes set OTHER. A message
 * goes out when a queue's cause and its mask bit come together, and it clears the cause (EIAC) and the mask bit
 * (CTRL_EXT.EIAME) if software asked for that. Moderation (ITR, EITR) is kept and not applied.
 */
import { CAUSE, CTRL_EXT, REG } from "./registers.ts";

export interface InterruptHost {
  get(offset: number): number;
  msixEnabled(): boolean;
  raiseMsix(vector: number): void;
  /** The legacy interrupt's level, as the controller drives it. */
  setLevel(on: boolean): void;
  /** False while master accesses are disabled: messages are memory writes. */
  mayAccess(): boolean;
}

/** Causes with a vector of their own, and where IVAR holds it (3 bits, then a valid bit). */
const QUEUES: readonly { readonly cause: number; readonly shift: number }[] = [
  { cause: CAUSE.RXQ0, shift: 0 },
  { cause: CAUSE.RXQ1, shift: 4 },
  { cause: CAUSE.TXQ0, shift: 8 },
  { cause: CAUSE.TXQ1, shift: 12 },
  { cause: CAUSE.OTHER, shift: 16 },
];
const OTHERS = CAUSE.LSC | CAUSE.RXO | CAUSE.MDAC;

export class NicInterrupts {
  readonly #host: InterruptHost;
  #causes = 0;
  #mask = 0;
  /** Causes whose message is out, until they or their mask bits are cleared. */
  #sent = 0;

  constructor(host: InterruptHost) {
    this.#host = host;
  }

  reset(): void {
    this.#causes = 0;
    this.#mask = 0;
    this.update();
  }

  get mask(): number {
    return this.#mask >>> 0;
  }

  raise(causes: number): void {
    if (causes === 0) return;
    this.#causes |= causes & ~CAUSE.INT_ASSERTED;
    if (this.#host.msixEnabled()) {
      if ((causes & CAUSE.RXDMT0) !== 0) this.#causes |= CAUSE.RXQ0;
      if ((causes & CAUSE.TXDW) !== 0) this.#causes |= CAUSE.TXQ0;
      if ((causes & OTHERS) !== 0) this.#causes |= CAUSE.OTHER;
    }
    this.update();
  }

  /** Receive descriptors were written back. */
  receiveWrittenBack(): void {
    if (this.#host.msixEnabled()) this.raise(CAUSE.RXQ0);
  }

  get #asserted(): boolean {
    return (this.#causes & this.#mask) !== 0;
  }

  /** A read of ICR clears it if an interrupt is asserted or all are masked; with CTRL_EXT.IAME it also masks by IAM. */
  readCauses(): number {
    const value = (this.#causes | (this.#asserted ? CAUSE.INT_ASSERTED : 0)) >>> 0;
    if (this.#asserted || this.#mask === 0) {
      if (this.#asserted) this.#autoMask();
      this.#causes = 0;
      this.update();
    }
    return value;
  }

  /** A write of ICR clears the causes written as 1. */
  clearCauses(causes: number): void {
    if (this.#asserted) this.#autoMask();
    this.#causes &= ~causes;
    this.update();
  }

  #autoMask(): void {
    if ((this.#host.get(REG.CTRL_EXT) & CTRL_EXT.IAME) !== 0) this.#mask &= ~this.#host.get(REG.IAM);
  }

  enable(causes: number): void {
    this.#mask |= causes & ~CAUSE.INT_ASSERTED;
    this.update();
  }

  disable(causes: number): void {
    this.#mask &= ~causes;
    this.update();
  }

  /** Drives the level or sends messages, as causes, masks and mode are now. */
  update(): void {
    const host = this.#host;
    const msix = host.msixEnabled();
    host.setLevel(!msix && this.#asserted);
    this.#sent &= this.#causes & this.#mask;
    if (!msix || !host.mayAccess()) return;
    for (const { cause, shift } of QUEUES) {
      const vector = host.get(REG.IVAR) >>> shift;
      if ((this.#causes & this.#mask & ~this.#sent & cause) === 0 || (vector & 8) === 0) continue;
      this.#sent |= cause;
      if ((host.get(REG.EIAC) & cause) !== 0) this.#causes &= ~cause;
      if ((host.get(REG.CTRL_EXT) & CTRL_EXT.EIAME) !== 0) this.#mask &= ~cause;
      this.#sent &= this.#causes & this.#mask;
      host.raiseMsix(vector & 7);
    }
  }
}
