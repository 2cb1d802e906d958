// SPDX-License-Identifier: MIT
/**
 * RAM: real bytes, sparse. Memory that was never written costs nothing and reads as zero.
 *
 * Addresses are numbers, physical, below 2^53. Every access must lie inside the RAM that was added; the bus checks that
 * before it comes here.
 */
import { WordView } from "./word-view.ts";

const CHUNK_BITS = 16;
const CHUNK_SIZE = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK_SIZE - 1;
const PAGE_BITS = 12;
const PAGE_SIZE = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_SIZE - 1;
/** Powers of two. */
const RECENT = 64;
const RECENT_PAGES = 1024;
/** Bytes that a loop copies sooner than a call does, and sooner than a view of them is made: one by one, and by words. */
const FEW = 8;
const FEW_WITHOUT_VIEW = 16;
const FEW_BY_WORDS = 128;

class Chunk {
  readonly bytes: Uint8Array = new Uint8Array(CHUNK_SIZE);
  readonly words: Uint32Array = new Uint32Array(this.bytes.buffer);
}

const ZERO_CHUNK = new Chunk();
const ZERO_PAGE = ZERO_CHUNK.bytes.subarray(0, PAGE_SIZE);

export class PhysicalMemory {
  readonly #chunks = new Map<number, Chunk>();
  /** Addresses of chunks used lately, by the low bits of their index: tables and buffers lie in few of them. */
  readonly #recentBase = new Float64Array(RECENT).fill(-1);
  readonly #outView = new WordView();
  readonly #recent: Chunk[] = Array.from({ length: RECENT }, () => ZERO_CHUNK);
  /** Their indices once more, as the host compares them fastest: 32 bits, of addresses below 2^48. */
  readonly #recentKey = new Int32Array(RECENT).fill(-1);
  /** Views of pages that were read as a whole lately, by the low bits of their number: to make one takes as long as to copy 1 KiB. */
  readonly #recentPage = new Float64Array(RECENT_PAGES).fill(-1);
  readonly #pages: Uint8Array[] = Array.from({ length: RECENT_PAGES }, () => ZERO_PAGE);

  /** Bytes of host memory in use for contents: 64 KiB for each 64 KiB of guest memory that was ever written. */
  get bytesInUse(): number {
    return this.#chunks.size * CHUNK_SIZE;
  }

  // Whatever is accessed waits for its place among the recent ones, but not for the comparison.

  #read(address: number): Chunk {
    const place = (address >>> CHUNK_BITS) & (RECENT - 1);
    return this.#recentBase[place] === address - (address & CHUNK_MASK) ? this.#recent[place]! : this.#find(address, place);
  }

  #find(address: number, place: number): Chunk {
    const index = Math.floor(address / CHUNK_SIZE);
    const chunk = this.#chunks.get(index);
    if (chunk === undefined) return ZERO_CHUNK;
    this.#recentBase[place] = address - (address & CHUNK_MASK);
    this.#recent[place] = chunk;
    // One that is beyond 32 bits is nowhere to be found by its key: it must not be taken for another.
    this.#recentKey[place] = index < 2 ** 32 ? index : ~place;
    return chunk;
  }

  #write(address: number): Chunk {
    const place = (address >>> CHUNK_BITS) & (RECENT - 1);
    return this.#recentBase[place] === address - (address & CHUNK_MASK) ? this.#recent[place]! : this.#make(address, place);
  }

  #make(address: number, place: number): Chunk {
    const index = Math.floor(address / CHUNK_SIZE);
    if (!this.#chunks.has(index)) this.#chunks.set(index, new Chunk());
    return this.#find(address, place);
  }

  /** A view of a page. Its address goes into as few steps as can be: all that follows waits for it. */
  #page(address: number): Uint8Array {
    const place = (address >>> PAGE_BITS) & (RECENT_PAGES - 1);
    return this.#recentPage[place] === address ? this.#pages[place]! : this.#view(address, place);
  }

  #view(address: number, place: number): Uint8Array {
    const chunk = this.#read(address);
    // The chunk may come into being later.
    if (chunk === ZERO_CHUNK) return ZERO_PAGE;
    const offset = address & CHUNK_MASK;
    this.#recentPage[place] = address;
    return (this.#pages[place] = chunk.bytes.subarray(offset, offset + PAGE_SIZE));
  }

  read8(address: number): number {
    return this.#read(address).bytes[address & CHUNK_MASK]!;
  }

  /** @param address a multiple of 2 */
  read16(address: number): number {
    const bytes = this.#read(address).bytes;
    const offset = address & CHUNK_MASK;
    return bytes[offset]! | (bytes[offset + 1]! << 8);
  }

  /** Unsigned. @param address a multiple of 4 */
  read32(address: number): number {
    return this.#read(address).words[(address & CHUNK_MASK) >>> 2]!;
  }

  write8(address: number, value: number): void {
    this.#write(address).bytes[address & CHUNK_MASK] = value;
  }

  /** @param address a multiple of 2 */
  write16(address: number, value: number): void {
    const bytes = this.#write(address).bytes;
    const offset = address & CHUNK_MASK;
    bytes[offset] = value;
    bytes[offset + 1] = value >>> 8;
  }

  /** @param address a multiple of 4 */
  write32(address: number, value: number): void {
    this.#write(address).words[(address & CHUNK_MASK) >>> 2] = value;
  }

  /** Reads `count` 32-bit words into `out` from `outIndex` on. @param address a multiple of 4 */
  loadWords(address: number, out: Uint32Array, count: number, outIndex: number = 0): void {
    const first = (address & CHUNK_MASK) >>> 2;
    if (first + count > CHUNK_SIZE >>> 2) {
      for (let i = 0; i < count; i++) out[outIndex + i] = this.read32(address + 4 * i);
      return;
    }
    const { words } = this.#read(address);
    out[outIndex] = words[first]!;
    if (count > 1) out[outIndex + 1] = words[first + 1]!;
    for (let i = 2; i < count; i++) out[outIndex + i] = words[first + i]!;
  }

  /** Reads the two words at an address whose halves are given. @param lo a multiple of 8 @param hi,lo signed or unsigned */
  loadPair(hi: number, lo: number, out: Int32Array): void {
    const key = (hi << 16) | (lo >>> 16);
    const place = key & (RECENT - 1);
    const { words } =
      this.#recentKey[place] === key && hi >>> 16 === 0 ? this.#recent[place]! : this.#read(hi * 0x1_0000_0000 + (lo >>> 0));
    const first = (lo & CHUNK_MASK) >>> 2;
    out[0] = words[first]!;
    out[1] = words[first + 1]!;
  }

  /** Writes `count` 32-bit words of `words`. @param address a multiple of 4 */
  storeWords(address: number, words: Uint32Array, count: number): void {
    for (let i = 0; i < count; i++) this.write32(address + 4 * i, words[i]!);
  }

  /** Fills `length` bytes of `out` from `start` on from memory. Any address, any length. */
  readBytes(address: number, out: Uint8Array, start: number = 0, length: number = out.length - start): void {
    if (length === PAGE_SIZE && (address & PAGE_MASK) === 0) {
      out.set(this.#page(address), start);
      return;
    }
    const offset = address & CHUNK_MASK;
    if (offset + length > CHUNK_SIZE) this.#readAcross(address, out, start, length);
    else if (length <= FEW_BY_WORDS) this.#get(this.#read(address), offset, out, start, length);
    else out.set(this.#read(address).bytes.subarray(offset, offset + length), start);
  }

  #readAcross(address: number, out: Uint8Array, start: number, length: number): void {
    for (let done = 0; done < length;) {
      const part = Math.min(length - done, CHUNK_SIZE - ((address + done) & CHUNK_MASK));
      this.readBytes(address + done, out, start + done, part);
      done += part;
    }
  }

  /** Writes `length` bytes of `bytes` from `start` on. Any address, any length. */
  writeBytes(address: number, bytes: Uint8Array, start: number = 0, length: number = bytes.length - start): void {
    const offset = address & CHUNK_MASK;
    if (offset + length > CHUNK_SIZE) {
      this.#writeAcross(address, bytes, start, length);
      return;
    }
    if (length <= 0) return;
    const chunk = this.#write(address);
    const whole = length === bytes.length;
    if (length <= (whole ? FEW : FEW_WITHOUT_VIEW)) for (let i = 0; i < length; i++) chunk.bytes[offset + i] = bytes[start + i]!;
    else chunk.bytes.set(whole ? bytes : bytes.subarray(start, start + length), offset);
  }

  #writeAcross(address: number, bytes: Uint8Array, start: number, length: number): void {
    for (let done = 0; done < length;) {
      const part = Math.min(length - done, CHUNK_SIZE - ((address + done) & CHUNK_MASK));
      this.writeBytes(address + done, bytes, start + done, part);
      done += part;
    }
  }

  /** Copies a few bytes out of a chunk. */
  #get({ bytes, words }: Chunk, offset: number, out: Uint8Array, start: number, length: number): void {
    if (((offset | start | length) & 3) === 0) {
      const view = this.#outView.of(out, start + length);
      if (view !== undefined) {
        copyWords(words, offset >>> 2, view, start >>> 2, length >>> 2);
        return;
      }
    }
    if (length > FEW_WITHOUT_VIEW) out.set(bytes.subarray(offset, offset + length), start);
    else for (let i = 0; i < length; i++) out[start + i] = bytes[offset + i]!;
  }

  /** Sets `length` bytes to `value`; setting untouched memory to zero costs nothing. */
  fill(address: number, length: number, value: number): void {
    for (let done = 0; done < length;) {
      const offset = (address + done) & CHUNK_MASK;
      const part = Math.min(length - done, CHUNK_SIZE - offset);
      if (value !== 0 || this.#chunks.has(Math.floor((address + done) / CHUNK_SIZE))) {
        this.#write(address + done).bytes.fill(value, offset, offset + part);
      }
      done += part;
    }
  }

  /** The pages of 4 KiB that hold anything but zeros, in order of address. */
  *pages(): Generator<{ readonly address: number; readonly bytes: Uint8Array }> {
    for (const index of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const { bytes, words } = this.#chunks.get(index)!;
      for (let offset = 0; offset < CHUNK_SIZE; offset += PAGE_SIZE) {
        const used = words.subarray(offset / 4, (offset + PAGE_SIZE) / 4).some((word) => word !== 0);
        if (used) yield { address: index * CHUNK_SIZE + offset, bytes: bytes.slice(offset, offset + PAGE_SIZE) };
      }
    }
  }

  /** Forgets all contents: everything reads as zero again. */
  clear(): void {
    this.#chunks.clear();
    this.#recentKey.fill(-1);
    this.#recentBase.fill(-1);
    for (let place = 0; place < RECENT; place++) this.#recent[place] = ZERO_CHUNK;
    this.#recentPage.fill(-1);
    this.#pages.fill(ZERO_PAGE);
  }
}

/** Four at a time: that is what a loop costs. */
function copyWords(from: Uint32Array, fromIndex: number, to: Uint32Array, toIndex: number, count: number): void {
  let done = 0;
  for (; done + 4 <= count; done += 4) {
    const source = fromIndex + done;
    const target = toIndex + done;
    to[target] = from[source]!;
    to[target + 1] = from[source + 1]!;
    to[target + 2] = from[source + 2]!;
    to[target + 3] = from[source + 3]!;
  }
  for (; done < count; done++) to[toIndex + done] = from[fromIndex + done]!;
}
