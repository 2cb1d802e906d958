// SPDX-License-Identifier: MIT
/**
 * How the machine's devices reach memory: through the SMMU if there is one. Input addresses are full 64-bit values, so that
 * the upper half of an address space (TTB1) can be used.
 */
import {
  BusStatus,
  type DmaAttributes,
  DmaStatus,
  type NotModelledLog,
  Outcome,
  type Smmu,
  type SystemBus,
  Transaction,
} from "../../hw/index.ts";

const PAGE = 4096n;
/** A physical address at or beyond this is nowhere. */
const PHYSICAL_END = 2n ** 52n;

export class Master {
  readonly #bus: SystemBus;
  readonly #smmu: Smmu | undefined;
  readonly #notModelled: NotModelledLog;
  readonly #tx = new Transaction();

  constructor(bus: SystemBus, smmu: Smmu | undefined, notModelled: NotModelledLog) {
    this.#bus = bus;
    this.#smmu = smmu;
    this.#notModelled = notModelled;
  }

  /** Fills `out`, page by page up to the first page that fails. @param address 0 … 2^64 - 1 */
  read(streamId: number, address: bigint, out: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#access(streamId, address, out, false, attributes);
  }

  /** Writes `bytes`, page by page up to the first page that fails. @param address 0 … 2^64 - 1 */
  write(streamId: number, address: bigint, bytes: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#access(streamId, address, bytes, true, attributes);
  }

  /** Reads physical memory, past the SMMU. */
  readPhysical(address: bigint, out: Uint8Array): DmaStatus {
    return this.#physical(address, out, false);
  }

  #access(streamId: number, address: bigint, bytes: Uint8Array, write: boolean, attributes: DmaAttributes | undefined): DmaStatus {
    let worst: DmaStatus = DmaStatus.ok;
    for (let done = 0; done < bytes.length;) {
      const at = BigInt.asUintN(64, address + BigInt(done));
      const part = bytes.subarray(done, done + Math.min(Number(PAGE - (at % PAGE)), bytes.length - done));
      const status = this.#part(streamId, at, part, write, attributes);
      if (status === DmaStatus.abort) return status;
      if (status !== DmaStatus.ok) worst = status;
      done += part.length;
    }
    return worst;
  }

  #part(streamId: number, address: bigint, bytes: Uint8Array, write: boolean, attributes: DmaAttributes | undefined): DmaStatus {
    if (!this.#smmu) return this.#physical(address, bytes, write);
    const tx = this.#tx;
    tx.streamId = streamId;
    tx.substreamId = attributes?.substreamId ?? -1;
    tx.privileged = attributes?.privileged ?? false;
    tx.instruction = attributes?.instruction ?? false;
    tx.write = write;
    tx.addressHi = Number(address >> 32n);
    tx.addressLo = Number(address & 0xffff_ffffn);
    switch (this.#smmu.translate(tx)) {
      case Outcome.forward:
        return this.#physical(BigInt(tx.physical), bytes, write);
      case Outcome.razWi:
        if (!write) bytes.fill(0);
        return DmaStatus.razWi;
      case Outcome.stalled:
        this.#notModelled.note("a device that waits for a stalled transaction: it sees an abort");
        return DmaStatus.abort;
      default:
        return DmaStatus.abort;
    }
  }

  #physical(address: bigint, bytes: Uint8Array, write: boolean): DmaStatus {
    if (address >= PHYSICAL_END) return DmaStatus.abort;
    const at = Number(address);
    const status = write ? this.#bus.writeBytes(at, bytes) : this.#bus.readBytes(at, bytes);
    return status === BusStatus.ok ? DmaStatus.ok : DmaStatus.abort;
  }
}
