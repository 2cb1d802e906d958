// SPDX-License-Identifier: MIT
/** A CPU's accesses to a device's registers over the bus, as tests need them: an abort ends the test. */
import { BusStatus, type SystemBus } from "../../../src/hw/index.ts";

export class Mmio {
  readonly #bus: SystemBus;
  readonly #base: number;
  readonly #out = new Uint32Array(2);

  constructor(bus: SystemBus, base: number) {
    this.#bus = bus;
    this.#base = base;
  }

  read(offset: number): number {
    if (this.#bus.read(this.#base + offset, 4, this.#out) !== BusStatus.ok)
      throw new Error(`read of offset ${offset.toString(16)} aborted`);
    return this.#out[0]!;
  }

  write(offset: number, value: number): void {
    if (this.#bus.write(this.#base + offset, 4, value >>> 0) !== BusStatus.ok)
      throw new Error(`write of offset ${offset.toString(16)} aborted`);
  }
}
