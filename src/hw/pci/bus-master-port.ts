// SPDX-License-Identifier: MIT
/**
 * The way of a function's own requests (DMA and message-signalled interrupts) to memory, past COMMAND.BME, the power state
 * and the ports above it.
 *
 * A function whose bus mastering is off must issue no request; what becomes of the requests that its engines still want to
 * make is the function's choice, and real ones differ: they forget them, they hold them until bus mastering returns, or
 * they reset themselves. A port whose bus mastering is off answers from outside: a write is dropped, a read ends as
 * Unsupported Request.
 *
 * A posted write that an SMMU stalls holds up what comes after it, since nothing passes a posted write on PCI Express: later
 * writes are answered `held`, reads `stalled`, and all are carried out in order when the write has ended. A stalled read holds up
 * nothing. What has left the function so is carried out even if the function is reset meanwhile.
 */
import { DmaStatus, type DmaAttributes, type DmaEvents, type DmaPort } from "../memory/dma-port.ts";
import type { TranslationAgent } from "../memory/ats.ts";
import { BusStatus } from "../memory/system-bus.ts";
import type { TraceSink } from "../../sim/index.ts";

/** What a function does with requests while bus mastering is off. */
export type BusMasterOff =
  /** Forgets them. */
  | "drop"
  /** Keeps writes and issues them, in order, when bus mastering returns. */
  | "hold"
  /** Resets itself when bus mastering goes off; requests are forgotten. */
  | "reset";

/** A port of the machine, which may know under which StreamID the SMMU sees it. */
export interface UpstreamPort extends DmaPort {
  readonly streamId?: number | undefined;
  /** Who translates for functions that keep translations. Absent: nobody, their requests for translations are unsupported. */
  readonly agent?: TranslationAgent;
}

/** Where a function's requests go; made by the root complex when the function is placed. */
export interface Upstream {
  /** True if a port above the function lets no requests through. */
  blocked(): boolean;
  /** A request was refused, by a port above or by what is behind the root complex. */
  refused(address: number, length: number, write: boolean): void;
  port(): UpstreamPort;
}

export interface BusMasterPortOptions {
  readonly name: string;
  readonly busMasterOff: BusMasterOff;
  /** True if the function itself may issue requests now. */
  readonly allowed: () => boolean;
  readonly upstream: () => Upstream;
  readonly trace: TraceSink<DmaEvents>;
}

/** A request behind a stalled write. */
interface Behind {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly write: boolean;
  readonly attributes: DmaAttributes | undefined;
}

interface HeldWrite {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly attributes: DmaAttributes | undefined;
}

export class BusMasterPort implements DmaPort {
  readonly name: string;
  readonly busMasterOff: BusMasterOff;
  readonly #allowed: () => boolean;
  readonly #upstream: () => Upstream;
  readonly #trace: TraceSink<DmaEvents>;
  #held: HeldWrite[] = [];
  /** A write is stalled. */
  #stalled = false;
  #behind: Behind[] = [];

  constructor(options: BusMasterPortOptions) {
    this.name = options.name;
    this.busMasterOff = options.busMasterOff;
    this.#allowed = options.allowed;
    this.#upstream = options.upstream;
    this.#trace = options.trace;
  }

  /** True while an engine that needs an answer had better wait: the function holds its requests back. */
  get paused(): boolean {
    return this.busMasterOff === "hold" && !this.#allowed();
  }

  /** Number of writes that wait for bus mastering to return. */
  get heldWrites(): number {
    return this.#held.length;
  }

  /** @returns dropped if the function may not issue requests, abort if a port above refuses them */
  read(address: number, out: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    const upstream = this.#upstream();
    if (!this.#allowed()) {
      this.#gated(upstream, address, out.length, false, "dropped");
      return DmaStatus.dropped;
    }
    if (upstream.blocked()) {
      this.#gated(upstream, address, out.length, false, "dropped");
      upstream.refused(address, out.length, false);
      return DmaStatus.abort;
    }
    if (this.#stalled) {
      this.#behind.push({ address, bytes: out, write: false, attributes });
      return DmaStatus.stalled;
    }
    return this.#get(upstream, address, out, attributes);
  }

  /** A posted write: dropped or held without the function noticing more than the status tells. */
  write(address: number, bytes: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    const upstream = this.#upstream();
    if (!this.#allowed()) {
      const held = this.busMasterOff === "hold";
      if (held) this.#held.push({ address, bytes: new Uint8Array(bytes), attributes });
      this.#gated(upstream, address, bytes.length, true, held ? "held" : "dropped");
      return held ? DmaStatus.held : DmaStatus.dropped;
    }
    if (upstream.blocked()) {
      this.#gated(upstream, address, bytes.length, true, "dropped");
      upstream.refused(address, bytes.length, true);
      return DmaStatus.dropped;
    }
    if (this.#stalled) {
      this.#behind.push({ address, bytes: new Uint8Array(bytes), write: true, attributes });
      return DmaStatus.held;
    }
    return this.#post(upstream, address, bytes, attributes);
  }

  #get(upstream: Upstream, address: number, out: Uint8Array, attributes: DmaAttributes | undefined): DmaStatus {
    const onCompletion = (ended: DmaStatus): void => {
      if (ended === DmaStatus.abort) upstream.refused(address, out.length, false);
      attributes?.onCompletion?.(ended);
    };
    const status = upstream.port().read(address, out, { ...attributes, onCompletion });
    if (status === DmaStatus.abort) upstream.refused(address, out.length, false);
    return status;
  }

  #post(upstream: Upstream, address: number, bytes: Uint8Array, attributes: DmaAttributes | undefined): DmaStatus {
    const { length } = bytes;
    const onCompletion = (ended: DmaStatus): void => {
      if (ended === DmaStatus.abort) upstream.refused(address, length, true);
      attributes?.onCompletion?.(ended);
      this.#unblock();
    };
    const status = upstream.port().write(address, bytes, { ...attributes, onCompletion });
    if (status === DmaStatus.abort) upstream.refused(address, length, true);
    if (status !== DmaStatus.stalled) return status;
    this.#stalled = true;
    return DmaStatus.held;
  }

  /** The stalled write has ended: what came after it goes on, up to the next write that stalls. */
  #unblock(): void {
    this.#stalled = false;
    while (!this.#stalled) {
      const next = this.#behind.shift();
      if (!next) return;
      const { address, bytes, write, attributes } = next;
      const upstream = this.#upstream();
      const status = write ? this.#post(upstream, address, bytes, attributes) : this.#get(upstream, address, bytes, attributes);
      if (status !== DmaStatus.stalled && status !== DmaStatus.held) attributes?.onCompletion?.(status);
    }
  }

  /** Bus mastering returned: issues what was held, in order. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const { address, bytes, attributes } of held) this.write(address, bytes, attributes);
  }

  /** A reset of the function: held writes are lost. */
  discard(): void {
    this.#held = [];
  }

  #gated(upstream: Upstream, address: number, length: number, write: boolean, outcome: "dropped" | "held"): void {
    if (!this.#trace.wants("dma.access")) return;
    const streamId = upstream.port().streamId;
    this.#trace.emit("dma.access", {
      master: this.name,
      streamId,
      address,
      physical: undefined,
      length,
      write,
      outcome,
      bus: BusStatus.abort,
    });
  }
}
