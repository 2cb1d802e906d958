// SPDX-License-Identifier: MIT
/** A way to memory that stalls accesses to some addresses until the test says how they end. */
import { type DmaAttributes, type DmaPort, DmaStatus } from "../../../src/hw/index.ts";

interface Stalled {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly write: boolean;
  readonly attributes: DmaAttributes | undefined;
}

export class StallingPort implements DmaPort {
  /** Which accesses stall; none by default. */
  stalls: (address: number, write: boolean) => boolean = () => false;
  readonly waiting: Stalled[] = [];
  readonly #port: DmaPort;

  constructor(port: DmaPort) {
    this.#port = port;
  }

  read(address: number, out: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#access({ address, bytes: out, write: false, attributes });
  }

  write(address: number, bytes: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#access({ address, bytes, write: true, attributes });
  }

  #access(access: Stalled): DmaStatus {
    if (!this.stalls(access.address, access.write)) return this.#carryOut(access);
    this.waiting.push(access.write ? { ...access, bytes: access.bytes.slice() } : access);
    return DmaStatus.stalled;
  }

  #carryOut({ address, bytes, write }: Stalled): DmaStatus {
    return write ? this.#port.write(address, bytes) : this.#port.read(address, bytes);
  }

  /** Ends the oldest stall: with a retry that succeeds, or with a status. */
  end(status?: DmaStatus): void {
    const access = this.waiting.shift()!;
    access.attributes?.onCompletion?.(status ?? this.#carryOut(access));
  }
}
