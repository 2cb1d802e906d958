// SPDX-License-Identifier: MIT
/** Numbers and bytes as the qtest protocol spells them: C literals, hexadecimal strings, base 64. */

const LITERAL = /^([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/;
const U64_MAX = 2n ** 64n - 1n;

/** A C integer literal with base 0: `0x` hexadecimal, a leading `0` octal, else decimal; a sign is allowed. */
function literal(text: string): bigint | undefined {
  const [, sign, digits = ""] = LITERAL.exec(text) ?? [];
  if (sign === undefined) return undefined;
  const value = BigInt(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return sign === "-" ? -value : value;
}

/** An unsigned 64-bit number; a negative one wraps, as strtoull does. @returns undefined if it is none */
export function parseU64(text: string): bigint | undefined {
  const value = literal(text);
  return value === undefined || value > U64_MAX || value < -U64_MAX ? undefined : BigInt.asUintN(64, value);
}

/** A signed 64-bit number. @returns undefined if it is none */
export function parseI64(text: string): bigint | undefined {
  const value = literal(text);
  return value === undefined || BigInt.asIntN(64, value) !== value ? undefined : value;
}

/** The bytes of a little-endian number of `width` bytes; higher bits are cut off. */
export function toBytes(value: bigint, width: number): Uint8Array {
  const bytes = new Uint8Array(width);
  for (let i = 0; i < width; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return bytes;
}

/** The number that little-endian bytes make. */
export function fromBytes(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  return value;
}

const HEX_OF_BYTE: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Two lower-case digits for each byte, in the order of addresses. */
export function toHex(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (const byte of bytes) parts.push(HEX_OF_BYTE[byte]!);
  return parts.join("");
}

/** `length` bytes from pairs of digits; bytes without digits are 0. @returns undefined if something else than a digit is met */
export function fromHex(digits: string, length: number): Uint8Array | undefined {
  const given = Math.min(length, Math.floor(digits.length / 2));
  if (!/^[0-9a-fA-F]*$/.test(digits.slice(0, 2 * given))) return undefined;
  const bytes = new Uint8Array(length);
  for (let i = 0; i < given; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Base 64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let i = 0; i < bytes.length; i += 3) {
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const digits = Math.min(bytes.length - i, 3) + 1;
    for (let digit = 0; digit < 4; digit++) parts.push(digit < digits ? BASE64[(group >>> (18 - 6 * digit)) & 63]! : "=");
  }
  return parts.join("");
}

/** The bytes of a base 64 text; characters outside the alphabet are skipped. */
export function fromBase64(text: string): Uint8Array {
  const bytes: number[] = [];
  let group = 0;
  let bits = 0;
  for (const character of text) {
    const digit = BASE64.indexOf(character);
    if (digit < 0) continue;
    group = ((group << 6) | digit) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((group >>> bits) & 0xff);
    }
  }
  return Uint8Array.from(bytes);
}
