// SPDX-License-Identifier: MIT
/** Bits of wide numbers. The oracle works on whole structures as one BigInt, bit 0 first, as the specification numbers them. */

/** Bits hi down to lo of a structure. */
export function bits(value: bigint, hi: number, lo: number): bigint {
  return (value >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
}

/** As {@link bits}, as a number: for fields of at most 32 bits. */
export function field(value: bigint, hi: number, lo: number): number {
  return Number(bits(value, hi, lo));
}

export function bit(value: bigint, at: number): boolean {
  return ((value >> BigInt(at)) & 1n) === 1n;
}

/** Clears the bits below 2^log2. */
export function alignDown(value: bigint, log2: number): bigint {
  return (value >> BigInt(log2)) << BigInt(log2);
}

export function pow2(exponent: number): bigint {
  return 1n << BigInt(exponent);
}

/** Bytes in memory as a number. */
export function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  return value;
}

export function bigEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}
