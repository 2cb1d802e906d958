// SPDX-License-Identifier: MIT
/** A conventional PCI function as QEMU's small test devices are: a type 0 header without the capabilities of PCI Express. */
import { type BarSpec, type DmaAttributes, type DmaEvents, type DmaStatus, PciFunction } from "../../../hw/index.ts";
import { silentTrace } from "../../../sim/index.ts";
import type { Master } from "../master.ts";

const STATUS = 0x06;
const CAPABILITIES_POINTER = 0x34;
const FIRST_CAPABILITY = 0x40;
const CAPABILITIES_END = 0x100;

/** Subsystem of every device that does not choose its own. */
const SUBSYSTEM_VENDOR_ID = 0x1af4;
const SUBSYSTEM_ID = 0x1100;

export interface PlainFunctionOptions {
  readonly name: string;
  readonly vendorId: number;
  readonly deviceId: number;
  /** 24 bits: base class, sub-class, programming interface. */
  readonly classCode: number;
  readonly revision?: number;
  readonly bar?: Omit<BarSpec, "index">;
  readonly interruptPin?: boolean;
  /** The way to memory. */
  readonly master: Pick<Master, "read" | "write">;
}

export abstract class PlainFunction extends PciFunction {
  readonly #master: PlainFunctionOptions["master"];

  constructor(options: PlainFunctionOptions) {
    const { name, vendorId, deviceId, classCode, revision = 0, bar, interruptPin = false, master } = options;
    super({
      name,
      identity: { vendorId, deviceId, classCode, revision, subsystemVendorId: SUBSYSTEM_VENDOR_ID, subsystemId: SUBSYSTEM_ID },
      bars: bar ? [{ ...bar, index: 0 }] : [],
      interruptPin,
      trace: silentTrace<DmaEvents>(),
    });
    this.#master = master;
    this.config.define(STATUS, 2, 0);
    this.config.define(CAPABILITIES_POINTER, 1, 0);
    for (let offset = FIRST_CAPABILITY; offset < CAPABILITIES_END; offset += 4) this.config.define(offset, 4, 0);
  }

  /** A read under this function's StreamID, whether or not it is a bus master. @param address 64 bits */
  protected readMemory(address: bigint, out: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#master.read(this.requesterId, address, out, attributes);
  }

  /** A write under this function's StreamID, whether or not it is a bus master. @param address 64 bits */
  protected writeMemory(address: bigint, bytes: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#master.write(this.requesterId, address, bytes, attributes);
  }
}
