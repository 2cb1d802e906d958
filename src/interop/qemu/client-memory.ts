// SPDX-License-Identifier: MIT
/**
 * Physical memory as a qtest client reads and writes it: any range, over RAM, registers and holes alike.
 *
 * A range that meets registers is cut into naturally aligned accesses of at most 8 bytes and at most the width that the
 * device takes. Where nothing answers, reads give zeros and writes are lost.
 */
import { BusStatus, type SystemBus, type Width } from "../../hw/index.ts";

const WIDTHS: readonly Width[] = [8, 4, 2, 1];
/** No region of the machine lies at or beyond this address. */
const END = 2n ** 52n;

/** A part of a range that one region answers with one access. */
interface Piece {
  readonly kind: "ram" | "register" | "hole";
  readonly length: number;
}

export class ClientMemory {
  readonly #bus: SystemBus;

  constructor(bus: SystemBus) {
    this.#bus = bus;
  }

  /** @param address 0 … 2^64 - 1 */
  read(address: bigint, out: Uint8Array): void {
    out.fill(0);
    this.#each(address, out.length, (at, { kind, length }, done) => {
      const part = out.subarray(done, done + length);
      if (kind === "ram") this.#bus.memory.readBytes(at, part);
      else if (this.#bus.readBytes(at, part) !== BusStatus.ok) part.fill(0);
    });
  }

  /** @param address 0 … 2^64 - 1 */
  write(address: bigint, bytes: Uint8Array): void {
    this.#each(address, bytes.length, (at, { length }, done) => void this.#bus.writeBytes(at, bytes.subarray(done, done + length)));
  }

  /** Sets `length` bytes to `value`. Untouched RAM set to zero costs nothing. @param address 0 … 2^64 - 1 */
  fill(address: bigint, length: number, value: number): void {
    this.#each(address, length, (at, piece) => {
      if (piece.kind === "ram") this.#bus.memory.fill(at, piece.length, value);
      else this.#bus.writeBytes(at, new Uint8Array(piece.length).fill(value));
    });
  }

  /** Calls `access` for each piece that somebody answers. */
  #each(address: bigint, length: number, access: (at: number, piece: Piece, done: number) => void): void {
    for (let done = 0; done < length && address + BigInt(done) < END;) {
      const at = Number(address) + done;
      const piece = this.#pieceAt(at, length - done);
      if (piece.kind !== "hole") access(at, piece, done);
      done += piece.length;
    }
  }

  #pieceAt(at: number, length: number): Piece {
    const inside = ({ base, size }: { readonly base: number; readonly size: number }): boolean => at >= base && at < base + size;
    const ram = this.#bus.ram.find(inside);
    if (ram) return { kind: "ram", length: Math.min(length, ram.base + ram.size - at) };
    const window = this.#bus.windows.find(inside);
    if (window) {
      const widest = Math.max(...(window.widths ?? [4]));
      return { kind: "register", length: WIDTHS.find((width) => width <= widest && width <= length && at % width === 0) ?? 1 };
    }
    const next = Math.min(...[...this.#bus.ram, ...this.#bus.windows].map(({ base }) => base).filter((base) => base > at));
    return { kind: "hole", length: Math.min(length, next - at) };
  }
}
