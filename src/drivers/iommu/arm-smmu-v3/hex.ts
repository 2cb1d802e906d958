// SPDX-License-Identifier: GPL-2.0-only
/** Numbers as Linux's log prints them: `%#x`, `0x%08x`, `0x%016llx`. */

/** `0x` and as many digits as needed; zero is a bare 0. */
export function hex(value: number | bigint): string {
  return Number(value) === 0 ? "0" : `0x${value.toString(16)}`;
}
export function hex32(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
export function hex64(value: bigint): string {
  return `0x${value.toString(16).padStart(16, "0")}`;
}
