// SPDX-License-Identifier: MIT
/**
 * What a driver does to an SMMU, as lines of text that two boots can be compared by: ID registers as they read, register
 * writes, and for each write of CMDQ_PROD the commands that it hands over. Addresses that a kernel chose are left out;
 * how often a driver polls is timing, and is left out too.
 */
import { describeCommand, hex, hex64, smmuRegisters } from "../../hw/index.ts";

const CR0 = 0x20;
const CMDQ_BASE = 0x90;
const CMDQ_PROD = 0x98;
const CMDQEN = 8;
const COMMAND_BYTES = 16;
const ADDRESS_BITS = 0x000f_ffff_ffff_ffc0n;
const QUEUE_ADDRESS_BITS = 0x000f_ffff_ffff_ffe0n;

/** Registers that hold an address of the kernel's, with the bits that make it up (IHI 0070 §6.3.24, §6.3.26, §6.3.29). */
const ADDRESSES: ReadonlyMap<string, bigint> = new Map([
  ["SMMU_STRTAB_BASE", ADDRESS_BITS],
  ["SMMU_CMDQ_BASE", QUEUE_ADDRESS_BITS],
  ["SMMU_EVENTQ_BASE", QUEUE_ADDRESS_BITS],
  ["SMMU_PRIQ_BASE", QUEUE_ADDRESS_BITS],
]);

/** Registers whose reads are decisions of a driver, not polls. */
const TELLING = /^SMMU_(IDR\d|IIDR|AIDR|CR0|GBPA)$/;

/** Memory of the machine at this moment. */
export type Peek = (address: number, out: Uint8Array) => void;

export function wordsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(4 * index, true));
}

function nameOf(offset: number): string {
  return smmuRegisters.find((register) => register.offset === offset)?.name ?? hex(offset);
}

export class BootSequence {
  /** The lines so far. */
  readonly lines: string[] = [];
  readonly #peek: Peek;
  #base = 0;
  #log2Size = 0;
  #prod = 0;
  #enabled = false;

  constructor(peek: Peek) {
    this.#peek = peek;
  }

  read(offset: number, value: number): void {
    const name = nameOf(offset);
    if (TELLING.test(name)) this.lines.push(`${name} reads ${hex(value)}`);
  }

  /** @returns the commands that the write hands over */
  write(offset: number, size: 4 | 8, lo: number, hi: number): readonly (readonly number[])[] {
    const name = nameOf(offset);
    if (offset === CR0) this.#enabled = (lo & CMDQEN) !== 0;
    if (offset === CMDQ_BASE) {
      this.#base = (hi & 0xf_ffff) * 2 ** 32 + (((lo & ~0x1f) >>> 0) as number);
      this.#log2Size = lo & 0x1f;
    }
    const commands = offset === CMDQ_PROD ? this.#commands(lo) : [];
    if (commands.length > 0) this.lines.push(commands.map((words) => describeCommand(words)).join("; "));
    else this.lines.push(`${name} <- ${valueText(ADDRESSES.get(name), size, lo, hi)}`);
    return commands;
  }

  #commands(prod: number): number[][] {
    const wrap = 2 ** (this.#log2Size + 1);
    const count = this.#enabled ? (prod - this.#prod + wrap) % wrap : 0;
    const found = Array.from({ length: count }, (_, index) => this.#command((this.#prod + index) % 2 ** this.#log2Size));
    this.#prod = prod;
    return found;
  }

  #command(index: number): number[] {
    const bytes = new Uint8Array(COMMAND_BYTES);
    this.#peek(this.#base + index * COMMAND_BYTES, bytes);
    return wordsOf(bytes);
  }
}

/** A value with its address left out; so that a null pointer does not look like one, zero stays zero. */
export function valueText(address: bigint | undefined, size: 4 | 8, lo: number, hi: number): string {
  if (address === undefined) return size === 8 ? hex64(hi, lo) : hex(lo);
  const value = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  return (value & address) === 0n ? `0x${value.toString(16)}` : `address | 0x${(value & ~address).toString(16)}`;
}
