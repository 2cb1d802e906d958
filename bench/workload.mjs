// SPDX-License-Identifier: MIT
// The workload that this side and bench/native/workload.h generate alike: which page of which stream each access goes to.
// Whoever changes one changes the other; the checksums are compared before anything is measured.

/** Accesses of one pass: also the operations of one sample. */
export const TRACE = 0x1_0000;
export const VA_BASE = 0x7f12_0000_0000;
/** A stride in pages that visits all pages of a power of two. */
const STRIDE = 37;

/** Where the data of a page lies, in pages from the start of the data: scattered, but the same on both sides. */
export function scatter(page, pages) {
  return (Math.imul(page, 40503) & (pages - 1)) >>> 0;
}

/**
 * @param pages a power of two
 * @param pattern "seq", "rnd" or "str" (strided)
 * @param streams a power of two: page p belongs to stream p modulo this
 * @param pageSize bytes that one leaf maps; offsets inside pages of 4 KiB are the same on both sides
 */
export function makeTrace({ pages, pattern, streams, pageSize = 4096 }) {
  const stream = new Int32Array(TRACE);
  const hi = new Int32Array(TRACE);
  const lo = new Int32Array(TRACE);
  let random = 12345;
  let checksum = 0x811c_9dc5 | 0;
  for (let i = 0; i < TRACE; i++) {
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    const page = (pattern === "rnd" ? random : pattern === "seq" ? i : i * STRIDE) & (pages - 1);
    const offset = pageSize === 4096 ? (i * 64) & 0xfff : Math.floor(((random >>> 0) / 2 ** 32) * pageSize) & -64;
    const address = VA_BASE + page * pageSize + (offset >>> 0);
    stream[i] = page & (streams - 1);
    hi[i] = Math.floor(address / 2 ** 32);
    lo[i] = address >>> 0;
    for (const word of [stream[i], hi[i], lo[i]]) checksum = Math.imul(checksum ^ word, 0x0100_0193);
  }
  return { stream, hi, lo, checksum: checksum >>> 0 };
}

/** What the outputs of a pass sum up to, from the start of the data: 32 bits. Pages of 4 KiB. */
export function outputSum({ hi, lo }, pages) {
  let sum = 0;
  for (let i = 0; i < TRACE; i++) {
    const page = (hi[i] * 2 ** 32 + (lo[i] >>> 0) - VA_BASE) / 4096;
    sum = (sum + scatter(Math.floor(page), pages) * 4096 + (lo[i] & 0xfff)) | 0;
  }
  return sum >>> 0;
}
