// SPDX-License-Identifier: MIT
/** A bus master behind the SMMU: each access goes through translation, page by page, and then to memory. */
import type { TraceSink } from "../../sim/index.ts";
import { NotModelledError } from "../errors.ts";
import { type DmaAttributes, type DmaEvents, type DmaOutcome, type DmaPort, DmaStatus } from "../memory/dma-port.ts";
import { BusStatus, type SystemBus } from "../memory/system-bus.ts";
import { Outcome, Transaction, Via } from "./ports.ts";

/** The smallest translation granule: no access is translated across its border in one go. */
const PAGE = 4096;

export interface SmmuDmaPortOptions {
  readonly smmu: { translate(tx: Transaction): Outcome };
  readonly bus: SystemBus;
  readonly streamId: number;
  /** The master's name, for the trace. */
  readonly name: string;
  readonly trace: TraceSink<DmaEvents>;
}

export class SmmuDmaPort implements DmaPort {
  readonly #options: SmmuDmaPortOptions;
  readonly #tx = new Transaction();

  constructor(options: SmmuDmaPortOptions) {
    this.#options = options;
  }

  read(address: number, out: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#access(address, out, false, attributes);
  }

  write(address: number, bytes: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#access(address, bytes, true, attributes);
  }

  /** The parts up to the first that fails are carried out. */
  #access(address: number, bytes: Uint8Array, write: boolean, attributes: DmaAttributes | undefined): DmaStatus {
    const tx = this.#tx;
    tx.streamId = this.#options.streamId;
    tx.substreamId = attributes?.substreamId ?? -1;
    tx.privileged = attributes?.privileged ?? false;
    tx.instruction = attributes?.instruction ?? false;
    tx.write = write;
    let worst: DmaStatus = DmaStatus.ok;
    for (let done = 0; done < bytes.length;) {
      const at = address + done;
      const length = Math.min(PAGE - (at % PAGE), bytes.length - done);
      const status = this.#part(at, bytes.subarray(done, done + length));
      if (status === DmaStatus.abort) return status;
      if (status !== DmaStatus.ok) worst = status;
      done += length;
    }
    return worst;
  }

  #part(address: number, bytes: Uint8Array): DmaStatus {
    const tx = this.#tx;
    const { smmu, bus } = this.#options;
    tx.setAddress(address);
    switch (smmu.translate(tx)) {
      case Outcome.forward: {
        const status = tx.write ? bus.writeBytes(tx.physical, bytes) : bus.readBytes(tx.physical, bytes);
        const bypassed = tx.via === Via.globalBypass || tx.via === Via.steBypass;
        this.#trace(address, bytes.length, tx.physical, bypassed ? "bypassed" : "translated", status);
        return status === BusStatus.ok ? DmaStatus.ok : DmaStatus.abort;
      }
      case Outcome.razWi:
        if (!tx.write) bytes.fill(0);
        this.#trace(address, bytes.length, undefined, "raz-wi", BusStatus.ok);
        return DmaStatus.razWi;
      case Outcome.stalled:
        throw new NotModelledError("a stalled transaction of a device");
      default:
        if (!tx.write) bytes.fill(0);
        this.#trace(address, bytes.length, undefined, "aborted", BusStatus.abort);
        return DmaStatus.abort;
    }
  }

  #trace(address: number, length: number, physical: number | undefined, outcome: DmaOutcome, bus: BusStatus): void {
    const { trace, name, streamId } = this.#options;
    if (!trace.wants("dma.access")) return;
    trace.emit("dma.access", { master: name, streamId, address, physical, length, write: this.#tx.write, outcome, bus });
  }
}
