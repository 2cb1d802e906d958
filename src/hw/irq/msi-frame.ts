// SPDX-License-Identifier: MIT
/**
 * A doorbell for message-signalled interrupts, like a GICv2m frame: a 32-bit write of an SPI's number raises that SPI.
 */
import { HostMisuseError } from "../errors.ts";
import type { MmioDevice } from "../memory/system-bus.ts";
import { FIRST_SPI, type InterruptController } from "./interrupt-controller.ts";

const MSI_TYPER = 0x008;
const MSI_SETSPI_NS = 0x040;
const MSI_IIDR = 0xfcc;

/** Implementer Arm, product and revision 0. */
const IIDR_VALUE = 0x43b;

export interface MsiFrameOptions {
  readonly interrupts: InterruptController;
  /** First SPI of the frame, an interrupt number (32 or more). */
  readonly first: number;
  readonly count: number;
}

/** A doorbell: a 32-bit write of an interrupt number at 0x40 raises that interrupt. */
export class MsiFrame implements MmioDevice {
  /** Bytes of MMIO. */
  readonly size: number = 0x1000;
  readonly first: number;
  readonly count: number;
  readonly #interrupts: InterruptController;

  /** @throws HostMisuseError if the interrupts are not all there */
  constructor({ interrupts, first, count }: MsiFrameOptions) {
    if (first < FIRST_SPI || count < 1 || first + count > FIRST_SPI + interrupts.lines) {
      throw new HostMisuseError(
        "INTERRUPT_NUMBER",
        `an MSI frame of interrupts ${first} … ${first + count - 1}, but there are ${FIRST_SPI} … ${FIRST_SPI + interrupts.lines - 1}`,
      );
    }
    this.first = first;
    this.count = count;
    this.#interrupts = interrupts;
  }

  read(offset: number): number {
    if (offset === MSI_TYPER) return ((this.first << 16) | this.count) >>> 0;
    return offset === MSI_IIDR ? IIDR_VALUE : 0;
  }

  /** A number outside the frame raises nothing. */
  write(offset: number, width: 1 | 2 | 4, value: number): void {
    if (offset !== MSI_SETSPI_NS || width !== 4) return;
    if (value >= this.first && value < this.first + this.count) this.#interrupts.raise(value);
  }
}
