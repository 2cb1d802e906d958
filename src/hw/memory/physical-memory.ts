// SPDX-License-Identifier: MIT
/**
 * RAM: real bytes, sparse. Memory that was never written costs nothing and reads as zero.
 *
 * Addresses are numbers, physical, below 2^53. Every access must lie inside the RAM that was added; the bus checks that
 * before it comes here.
 */

const CHUNK_BITS = 16;
const CHUNK_SIZE = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK_SIZE - 1;
const PER_CHUNK = 1 / CHUNK_SIZE;
const PAGE_SIZE = 4096;
/** A power of two. */
const RECENT = 64;
const FEW = 8;

class Chunk {
  readonly bytes: Uint8Array = new Uint8Array(CHUNK_SIZE);
  readonly words: Uint32Array = new Uint32Array(this.bytes.buffer);
}

const ZERO_CHUNK = new Chunk();

export class PhysicalMemory {
  readonly #chunks = new Map<number, Chunk>();
  /** Chunks used lately, by the low bits of their index: tables and buffers lie in few of them. */
  readonly #recentIndex = new Float64Array(RECENT).fill(-1);
  readonly #recent: Chunk[] = Array.from({ length: RECENT }, () => ZERO_CHUNK);
  /** Their indices once more, as the host compares them fastest: 32 bits, of addresses below 2^48. */
  readonly #recentKey = new Int32Array(RECENT).fill(-1);

  /** Bytes of host memory in use for contents: 64 KiB for each 64 KiB of guest memory that was ever written. */
  get bytesInUse(): number {
    return this.#chunks.size * CHUNK_SIZE;
  }

  #read(address: number): Chunk {
    const index = Math.floor(address * PER_CHUNK);
    const place = index & (RECENT - 1);
    return this.#recentIndex[place] === index ? this.#recent[place]! : this.#find(index, place);
  }

  #find(index: number, place: number): Chunk {
    const chunk = this.#chunks.get(index);
    if (chunk === undefined) return ZERO_CHUNK;
    this.#recentIndex[place] = index;
    this.#recent[place] = chunk;
    // One that is beyond 32 bits is nowhere to be found by its key: it must not be taken for another.
    this.#recentKey[place] = index < 2 ** 32 ? index : ~place;
    return chunk;
  }

  #write(address: number): Chunk {
    const index = Math.floor(address * PER_CHUNK);
    const place = index & (RECENT - 1);
    return this.#recentIndex[place] === index ? this.#recent[place]! : this.#make(index, place);
  }

  #make(index: number, place: number): Chunk {
    if (!this.#chunks.has(index)) this.#chunks.set(index, new Chunk());
    return this.#find(index, place);
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
    for (let done = 0; done < length;) {
      const offset = (address + done) & CHUNK_MASK;
      const part = Math.min(length - done, CHUNK_SIZE - offset);
      copy(this.#read(address + done).bytes, offset, out, start + done, part);
      done += part;
    }
  }

  /** Writes `length` bytes of `bytes` from `start` on. Any address, any length. */
  writeBytes(address: number, bytes: Uint8Array, start: number = 0, length: number = bytes.length - start): void {
    for (let done = 0; done < length;) {
      const offset = (address + done) & CHUNK_MASK;
      const part = Math.min(length - done, CHUNK_SIZE - offset);
      copy(bytes, start + done, this.#write(address + done).bytes, offset, part);
      done += part;
    }
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
    this.#recentIndex.fill(-1);
    this.#recentKey.fill(-1);
    for (let place = 0; place < RECENT; place++) this.#recent[place] = ZERO_CHUNK;
  }
}

/** Copies bytes: a few by a loop, for a view of a part costs more than they do. */
function copy(from: Uint8Array, fromIndex: number, to: Uint8Array, toIndex: number, length: number): void {
  if (length <= FEW) for (let i = 0; i < length; i++) to[toIndex + i] = from[fromIndex + i]!;
  else to.set(fromIndex === 0 && length === from.length ? from : from.subarray(fromIndex, fromIndex + length), toIndex);
}
