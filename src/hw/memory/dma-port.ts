// SPDX-License-Identifier: MIT
/**
 * The door through which a device reaches memory. What stands behind it (an SMMU, a root complex, nothing) is the
 * machine's business.
 */
import { BusStatus, type SystemBus } from "./system-bus.ts";
import type { TraceSink } from "../../sim/index.ts";

/** What became of an access. */
export const DmaStatus = {
  ok: 0,
  /** The device sees an error response. */
  abort: 1,
  /** Answered as if nothing were there: reads gave zeros, writes were dropped, both with success. */
  razWi: 2,
  /** The root complex dropped it: bus mastering is off. */
  dropped: 3,
  /** No answer: the port holds the access and will carry it out later (writes only). */
  held: 4,
  /** No answer yet: an SMMU stalls the access. How it ends is told to `DmaAttributes.onCompletion`. */
  stalled: 5,
} as const;
export type DmaStatus = (typeof DmaStatus)[keyof typeof DmaStatus];

/** Attributes of an access; absent means an ordinary unprivileged data access without SubstreamID. */
export interface DmaAttributes {
  /** 0 … 2^20 - 1; absent: none. */
  readonly substreamId?: number;
  readonly privileged?: boolean;
  readonly instruction?: boolean;
  /** PCIe's AT field says Translated: the address comes from a Translation Completion. */
  readonly translated?: boolean;
  /**
   * Told how an access ended that was answered with `stalled` (or was a write answered with `held` behind one): once, with a
   * status that is neither. Called from within whatever ended the stall, such as a register write of a CPU. A device that was
   * reset meanwhile has to ignore it; the access itself has left the device and is carried out all the same.
   */
  readonly onCompletion?: (status: DmaStatus) => void;
}

/** Bus-master accesses of one device. Addresses are what the device was programmed with, below 2^53. */
export interface DmaPort {
  /**
   * Fills `out`; on an abort its contents are unspecified but harmless (zeros or a prefix). After `stalled` they are so until
   * the completion, and the caller leaves `out` alone until then.
   */
  read(address: number, out: Uint8Array, attributes?: DmaAttributes): DmaStatus;
  /** `bytes` is the caller's again as soon as this returns, stalled or not. */
  write(address: number, bytes: Uint8Array, attributes?: DmaAttributes): DmaStatus;
}

/** How an access left the SMMU, or that there was none in the way. */
export type DmaOutcome = "translated" | "bypassed" | "aborted" | "raz-wi" | "dropped" | "held";

/** Trace events of DMA. */
export interface DmaEvents {
  /** One access (or that part of it that lies in one 4 KiB page), as it ended. */
  "dma.access": {
    readonly master: string;
    /** undefined: the master is not behind an SMMU. */
    readonly streamId: number | undefined;
    /** The address that the device used. */
    readonly address: number;
    /** Where it went; undefined if nowhere. */
    readonly physical: number | undefined;
    readonly length: number;
    readonly write: boolean;
    readonly outcome: DmaOutcome;
    /** Answer of the bus behind the SMMU; abort where nothing decodes the address. */
    readonly bus: BusStatus;
  };
}

/** A master wired straight to memory. */
export class DirectDmaPort implements DmaPort {
  readonly #bus: SystemBus;
  readonly #name: string;
  readonly #trace: TraceSink<DmaEvents>;

  constructor(bus: SystemBus, name: string, trace: TraceSink<DmaEvents>) {
    this.#bus = bus;
    this.#name = name;
    this.#trace = trace;
  }

  read(address: number, out: Uint8Array): DmaStatus {
    return this.#done(address, out.length, false, this.#bus.readBytes(address, out));
  }

  write(address: number, bytes: Uint8Array): DmaStatus {
    return this.#done(address, bytes.length, true, this.#bus.writeBytes(address, bytes));
  }

  #done(address: number, length: number, write: boolean, bus: BusStatus): DmaStatus {
    if (this.#trace.wants("dma.access")) {
      this.#trace.emit("dma.access", {
        master: this.#name,
        streamId: undefined,
        address,
        physical: address,
        length,
        write,
        outcome: "bypassed",
        bus,
      });
    }
    return bus === BusStatus.ok ? DmaStatus.ok : DmaStatus.abort;
  }
}
