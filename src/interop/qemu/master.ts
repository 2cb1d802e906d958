// SPDX-License-Identifier: MIT
/**
 * How the machine's devices reach memory: through the SMMU if there is one. Input addresses are full 64-bit values, so that
 * the upper half of an address space (TTB1) can be used.
 */
import { BusStatus, type DmaAttributes, type DmaEvents, DmaStatus, type Smmu, SmmuDmaPort, type SystemBus } from "../../hw/index.ts";
import { silentTrace } from "../../sim/index.ts";

/** A physical address at or beyond this is nowhere. */
const PHYSICAL_END = 2n ** 52n;
const PAGE = 4096;
/** Ports kept: they have no state, and a guest may name any number of streams. */
const PORTS = 1024;

export class Master {
  readonly #bus: SystemBus;
  readonly #smmu: Smmu | undefined;
  /** By StreamID, made when first used. */
  readonly #ports = new Map<number, SmmuDmaPort>();

  constructor(bus: SystemBus, smmu: Smmu | undefined) {
    this.#bus = bus;
    this.#smmu = smmu;
  }

  /** Fills `out`, page by page up to the first page that fails; may stall, as a `DmaPort` does. @param address 0 … 2^64 - 1 */
  read(streamId: number, address: bigint, out: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#access(streamId, address, out, false, attributes);
  }

  /** Writes `bytes`, page by page up to the first page that fails; may stall, as a `DmaPort` does. @param address 0 … 2^64 - 1 */
  write(streamId: number, address: bigint, bytes: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#access(streamId, address, bytes, true, attributes);
  }

  /** Reads physical memory, past the SMMU. */
  readPhysical(address: bigint, out: Uint8Array): DmaStatus {
    return this.#physical(address, out, false);
  }

  #access(streamId: number, address: bigint, bytes: Uint8Array, write: boolean, attributes: DmaAttributes | undefined): DmaStatus {
    const port = this.#smmu && this.#port(streamId, this.#smmu);
    if (port) return port.access(Number(address >> 32n), Number(address & 0xffff_ffffn), bytes, write, attributes);
    for (let done = 0; done < bytes.length;) {
      const at = BigInt.asUintN(64, address + BigInt(done));
      const part = bytes.subarray(done, done + PAGE - Number(at % BigInt(PAGE)));
      if (this.#physical(at, part, write) === DmaStatus.abort) return DmaStatus.abort;
      done += part.length;
    }
    return DmaStatus.ok;
  }

  #port(streamId: number, smmu: Smmu): SmmuDmaPort {
    let port = this.#ports.get(streamId);
    if (!port) {
      if (this.#ports.size >= PORTS) this.#ports.clear();
      port = new SmmuDmaPort({ smmu, bus: this.#bus, streamId, name: "master", trace: silentTrace<DmaEvents>() });
      this.#ports.set(streamId, port);
    }
    return port;
  }

  #physical(address: bigint, bytes: Uint8Array, write: boolean): DmaStatus {
    if (address >= PHYSICAL_END) return DmaStatus.abort;
    const at = Number(address);
    const status = write ? this.#bus.writeBytes(at, bytes) : this.#bus.readBytes(at, bytes);
    return status === BusStatus.ok ? DmaStatus.ok : DmaStatus.abort;
  }
}
