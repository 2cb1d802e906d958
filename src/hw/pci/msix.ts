// SPDX-License-Identifier: MIT
/**
 * The MSI-X table and pending bit array, as one memory BAR: the table from offset 0, the pending bits from the middle.
 *
 * A vector whose own mask, or the function's mask, is set when it is raised becomes pending and is sent when both are clear.
 */
import { join64 } from "../bits/hex.ts";
import type { MmioDevice } from "../memory/system-bus.ts";

const ENTRY_WORDS = 4;
const CONTROL_WORD = 3;
const MASKED = 1;

export class MsixTable implements MmioDevice {
  readonly vectors: number;
  /** Bytes of the BAR: a power of two of at least 8 KiB. */
  readonly size: number;
  readonly pbaOffset: number;
  readonly #words: Uint32Array;
  readonly #pending: Uint32Array;
  readonly #send: (address: number, data: number) => void;
  #enabled = false;
  #masked = false;

  /**
   * @param vectors 1 … 2048
   * @param send issues the message: a 4-byte write
   */
  constructor(vectors: number, send: (address: number, data: number) => void) {
    this.vectors = vectors;
    this.#send = send;
    this.#words = new Uint32Array(ENTRY_WORDS * vectors);
    this.#pending = new Uint32Array(Math.ceil(vectors / 64) * 2);
    let half = 0x1000;
    while (half < 16 * vectors) half *= 2;
    this.pbaOffset = half;
    this.size = 2 * half;
    this.reset();
  }

  /** Message control changed. */
  control(enabled: boolean, functionMasked: boolean): void {
    this.#enabled = enabled;
    this.#masked = functionMasked;
    this.#sendPending();
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** Sends the vector's message or makes it pending. Without MSI-X enabled nothing happens. */
  raise(vector: number): void {
    if (!this.#enabled || vector < 0 || vector >= this.vectors) return;
    if (this.#masked || (this.#words[ENTRY_WORDS * vector + CONTROL_WORD]! & MASKED) !== 0) {
      this.#pending[vector >>> 5]! |= 1 << (vector & 31);
      return;
    }
    this.#message(vector);
  }

  #message(vector: number): void {
    const at = ENTRY_WORDS * vector;
    this.#send(join64(this.#words[at + 1]!, this.#words[at]! & ~3), this.#words[at + 2]!);
  }

  #sendPending(): void {
    if (!this.#enabled || this.#masked) return;
    for (let vector = 0; vector < this.vectors; vector++) {
      const bit = 1 << (vector & 31);
      if ((this.#pending[vector >>> 5]! & bit) === 0 || (this.#words[ENTRY_WORDS * vector + CONTROL_WORD]! & MASKED) !== 0) continue;
      this.#pending[vector >>> 5]! &= ~bit;
      this.#message(vector);
    }
  }

  read(offset: number): number {
    const words = offset < this.pbaOffset ? this.#words : this.#pending;
    return words[(offset % this.pbaOffset) >>> 2] ?? 0;
  }

  /** The pending bits are read-only, as is all of vector control but the mask bit. */
  write(offset: number, _width: 1 | 2 | 4, value: number): void {
    const index = offset >>> 2;
    if (offset >= this.pbaOffset || index >= this.#words.length) return;
    const control = index % ENTRY_WORDS === CONTROL_WORD;
    this.#words[index] = control ? value & MASKED : value;
    if (control) this.#sendPending();
  }

  /** All vectors masked, nothing pending, MSI-X disabled. */
  reset(): void {
    this.#words.fill(0);
    this.#pending.fill(0);
    for (let vector = 0; vector < this.vectors; vector++) this.#words[ENTRY_WORDS * vector + CONTROL_WORD] = MASKED;
    this.#enabled = false;
    this.#masked = false;
  }
}
