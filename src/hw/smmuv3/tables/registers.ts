// SPDX-License-Identifier: MIT
/** Registers by name, for programs that drive the SMMU and want no bare numbers. */
import { HostMisuseError } from "../../errors.ts";
import { smmuRegisters } from "../spec/registers.ts";
import { checkInteger, hint, shown } from "../../checks.ts";

/** Offsets from page 0 by the specification's name without SMMU_; EVENTQ_PROD and others of page 1 are 0x10000 and more. */
export const registerOffsets: Readonly<Record<string, number>> = Object.fromEntries(
  smmuRegisters.map(({ name, offset }) => [name.slice("SMMU_".length), offset]),
);

/** Offset of a register from page 0. @param name without SMMU_, such as "STRTAB_BASE" @throws HostMisuseError for an unknown name */
export function registerOffset(name: string): number {
  return named(name).offset;
}

/**
 * A field's value in its place, to be joined with others by `|`.
 * @param register without SMMU_, such as "CR0"
 * @param field such as "SMMUEN"
 * @param value what the field is to hold. Default: all ones, the field's mask
 * @returns an unsigned 32-bit word; of a 64-bit register, the word in which the field lies
 * @throws HostMisuseError for an unknown name, a value that does not fit, or a field that lies in both words of its register
 */
export function registerField(register: string, field: string, value?: number): number {
  const { name, fields } = named(register);
  const found = fields.find((candidate) => candidate.name === field);
  if (found === undefined) {
    const names = fields.map((candidate) => candidate.name).join(", ") || "none";
    throw new HostMisuseError("UNKNOWN_FIELD", `${name} has no field ${shown(field)}: there are ${names}`);
  }
  const { hi, lo } = found;
  if (hi >>> 5 !== lo >>> 5) {
    throw new HostMisuseError(
      "REGISTER_FIELD",
      `${name}.${field} is [${hi}:${lo}], in both words of the register: write the whole address`,
    );
  }
  const largest = 2 ** (hi - lo + 1) - 1;
  if (value !== undefined) checkInteger("FIELD_VALUE", `${name}.${field}`, value, 0, largest);
  return (value ?? largest) * 2 ** (lo & 31);
}

function named(name: string): (typeof smmuRegisters)[number] {
  const register = smmuRegisters.find((candidate) => candidate.name === `SMMU_${name}`);
  if (register !== undefined) return register;
  const bare = typeof name === "string" ? name.replace(/^SMMU_/i, "") : name;
  const meant = hint(bare, Object.keys(registerOffsets)) ?? "the names of registerOffsets are known";
  throw new HostMisuseError("UNKNOWN_REGISTER", `no register is called ${shown(name)}: ${meant}`);
}
