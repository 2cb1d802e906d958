// SPDX-License-Identifier: MIT
/** Arguments of register accesses that no bus can make. What a bus can make and the SMMU does not support is a guest's matter. */
import { checkInteger, checkOneOf } from "../../checks.ts";

const CODE = "REGISTER_ACCESS";

/** A 32-bit word, signed or unsigned. @throws HostMisuseError for another value */
export function checkWord(what: string, value: number): void {
  if (value >>> 0 !== value && (value | 0) !== value) checkInteger(CODE, what, value, -(2 ** 31), 2 ** 32 - 1);
}

/** @throws HostMisuseError unless `width` is one of `widths` and `offset` a whole number */
export function checkAccess(offset: number, width: number, widths: readonly number[]): void {
  checkOneOf(CODE, "width of a register access", width, widths);
  if (offset >>> 0 !== offset) checkInteger(CODE, "offset of a register access", offset, 0, 2 ** 32 - 1);
}
