// SPDX-License-Identifier: MIT
/** The circular queues in memory: sizes, wrap flags, addresses of entries (IHI 0070 §3.5.1). */
import { hex, join64 } from "../../bits/hex.ts";
import type { Lint } from "../lint.ts";
import type { RegisterFile } from "../registers/register-file.ts";

/** Bits of PROD and CONS that hold the index and its wrap flag. */
export const INDEX_FIELD = 0x000f_ffff;

const LOG2SIZE_FIELD = 0x1f;
const ADDR_LOW = 0xffff_ffe0;
const ADDR_HIGH = 0x00ff_ffff;
const SMALLEST_ALIGNMENT = 32;

export interface QueueRegisters {
  readonly name: string;
  readonly base: number;
  readonly prod: number;
  readonly cons: number;
  /** IDR1.CMDQS, EVENTQS or PRIQS. */
  readonly log2Max: number;
  readonly entryBytes: number;
  /** Where the base counts from: page 0 if it is preset and relative (IDR1.REL), else 0. */
  readonly origin: number;
}

export class CircularQueue {
  readonly #registers: RegisterFile;
  readonly #at: QueueRegisters;

  constructor(registers: RegisterFile, at: QueueRegisters, lint: Lint) {
    this.#registers = registers;
    this.#at = at;
    registers.onWrite(at.base, (value) => this.#checkBase(value, lint));
  }

  /** log2 of the entries in use: LOG2SIZE, capped by what is implemented. */
  get log2Size(): number {
    return Math.min(this.#registers.get(this.#at.base) & LOG2SIZE_FIELD, this.#at.log2Max);
  }

  /** The index bits and the wrap flag of this size. */
  get indexMask(): number {
    return (1 << (this.log2Size + 1)) - 1;
  }

  /** PROD and CONS with wrap flag, cut to the size in use. */
  get prod(): number {
    return this.#registers.get(this.#at.prod) & this.indexMask;
  }

  get cons(): number {
    return this.#registers.get(this.#at.cons) & this.indexMask;
  }

  /** Entries between CONS and PROD; beyond `capacity` if the indexes are inconsistent. */
  get used(): number {
    const { prod, cons } = this.#at;
    return (this.#registers.get(prod) - this.#registers.get(cons)) & this.indexMask;
  }

  get capacity(): number {
    return 1 << this.log2Size;
  }

  get consistent(): boolean {
    return this.used <= this.capacity;
  }

  /** Physical address of the entry at an index; the base is aligned down to the size of the queue. */
  entryAddress(index: number): number {
    const { base, entryBytes, origin } = this.#at;
    const { capacity } = this;
    const address = origin + join64(this.#registers.get(base + 4) & ADDR_HIGH, this.#registers.get(base) & ADDR_LOW);
    return address - (address & (this.#alignment(capacity) - 1)) + (index & (capacity - 1)) * entryBytes;
  }

  /** A power of two. */
  #alignment(capacity: number): number {
    return Math.max(capacity * this.#at.entryBytes, SMALLEST_ALIGNMENT);
  }

  /** Moves an index of the SMMU's own one entry on; the other bits of the register stay. */
  advance(which: "prod" | "cons"): void {
    const offset = this.#at[which];
    const next = (this[which] + 1) & this.indexMask;
    this.#registers.set(offset, ((this.#registers.get(offset) & ~INDEX_FIELD) | next) >>> 0);
  }

  #checkBase(value: number, lint: Lint): void {
    const { name, log2Max } = this.#at;
    const log2 = value & LOG2SIZE_FIELD;
    if (log2 > log2Max) lint("queue-too-large", () => `${name}_BASE.LOG2SIZE ${log2} is capped to ${log2Max}`);
    if (((value & ADDR_LOW) >>> 0) % this.#alignment(this.capacity) !== 0) {
      lint(
        "queue-base-alignment",
        () => `${name}_BASE ${hex(value, 8)} is not aligned to ${hex(this.#alignment(this.capacity))} bytes: low bits are taken as 0`,
      );
    }
  }
}
