// SPDX-License-Identifier: MIT
/**
 * The MSI capability of QEMU's conventional PCI devices: one vector, 64-bit address, no masks (PCI Local Bus 3.0 §6.8.1). It
 * is the only capability of its device, so it stands first, where QEMU puts it too.
 */
import type { PciFunction } from "../../../hw/index.ts";

const AT = 0x40;
const ID = 0x05;
const CAPABILITIES_POINTER = 0x34;
const STATUS = 0x06;
const STATUS_CAPABILITIES = 0x10;

/** Offsets from the capability. */
const CONTROL = 0x02;
const ADDRESS_LO = 0x04;
const ADDRESS_HI = 0x08;
const DATA = 0x0c;

/** Bits of message control. */
const ENABLE = 0x01;
const VECTORS_ENABLED = 0x70;
const ADDRESS_64 = 0x80;

export class MsiCapability {
  readonly #config: PciFunction["config"];

  constructor(config: PciFunction["config"]) {
    this.#config = config;
    config.define(STATUS, 2, STATUS_CAPABILITIES);
    config.define(CAPABILITIES_POINTER, 1, AT);
    config.define(AT, 2, ID);
    config.define(AT + CONTROL, 2, ADDRESS_64, ENABLE | VECTORS_ENABLED);
    config.define(AT + ADDRESS_LO, 4, 0, 0xffff_fffc);
    config.define(AT + ADDRESS_HI, 4, 0, 0xffff_ffff);
    config.define(AT + DATA, 2, 0, 0xffff);
  }

  get enabled(): boolean {
    return (this.#config.read(AT + CONTROL, 2) & ENABLE) !== 0;
  }

  /** Configuration space was written: enabling more vectors than there are enables one. */
  settle(): void {
    const control = this.#config.read(AT + CONTROL, 2);
    if (this.enabled && (control & VECTORS_ENABLED) !== 0) this.#config.set(AT + CONTROL, 2, control & ~VECTORS_ENABLED);
  }

  /** Where the message goes, and its four bytes: the upper half of the data is 0. */
  message(): { readonly address: bigint; readonly bytes: Uint8Array } {
    const config = this.#config;
    const data = config.read(AT + DATA, 2);
    const address = (BigInt(config.read(AT + ADDRESS_HI, 4)) << 32n) | BigInt(config.read(AT + ADDRESS_LO, 4));
    return { address, bytes: Uint8Array.of(data & 0xff, data >>> 8, 0, 0) };
  }
}
