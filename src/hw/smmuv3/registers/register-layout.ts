// SPDX-License-Identifier: MIT
/** The register tables laid out as 32-bit words for one configuration: which bits exist, which can be written, what guards them. */
import type { SmmuConfig } from "../config/config.ts";
import { fieldNamed } from "../../bits/fields.ts";
import { has, implementedFeatures } from "./features.ts";
import { type RegisterField, type RegisterGuard, type SmmuRegister, smmuRegisters } from "../spec/registers.ts";

/** One 32-bit word of a register. */
export interface RegisterWord {
  readonly register: SmmuRegister;
  /** 1: the upper half of a 64-bit register. */
  readonly half: 0 | 1;
  /** Bits of any field, implemented or not. */
  readonly defined: number;
  /** Bits that exist in this configuration. All others are RES0. */
  readonly implemented: number;
  /** Bits that software can write while no guard holds. */
  readonly writable: number;
  /** Bits that an embedded implementation presets. */
  readonly preset: number;
  readonly guards: readonly { readonly guard: RegisterGuard; readonly bits: number }[];
  /** Bits with an architected reset value, and that value. */
  readonly resetKnown: number;
  readonly resetValue: number;
}

/** Bits `hi` … `lo` as far as they lie in one half of a register. */
function bitsInHalf(hi: number, lo: number, half: 0 | 1): number {
  const top = Math.min(hi - 32 * half, 31);
  const bottom = Math.max(lo - 32 * half, 0);
  if (top < bottom) return 0;
  return ((2 ** (top - bottom + 1) - 1) * 2 ** bottom) >>> 0;
}

/** An address field of a 64-bit register ends at the output address size; the bits above are RES0. */
function implementedTop(register: SmmuRegister, field: RegisterField, config: SmmuConfig): number {
  return register.width === 64 && field.name === "ADDR" ? Math.min(field.hi, config.oas - 1) : field.hi;
}

function layOutHalf(register: SmmuRegister, half: 0 | 1, config: SmmuConfig): RegisterWord {
  const features = implementedFeatures(config);
  let defined = 0;
  let implemented = 0;
  let resetKnown = 0;
  let resetValue = 0;
  let preset = 0;
  const guards: { guard: RegisterGuard; bits: number }[] = [];
  for (const field of register.fields) {
    defined |= bitsInHalf(field.hi, field.lo, half);
    if (!has(features, field.needs)) continue;
    const bits = bitsInHalf(implementedTop(register, field, config), field.lo, half);
    implemented |= bits;
    if (field.guard) {
      const same = guards.find(({ guard }) => guard === field.guard);
      if (same) same.bits = (same.bits | bits) >>> 0;
      else guards.push({ guard: field.guard, bits });
    }
    const fixedBy = register.preset ?? field.preset;
    if (fixedBy !== undefined && config.presets?.[fixedBy] !== undefined) preset |= bits;
    if (typeof field.reset === "number" && half === 0) {
      resetKnown |= bits;
      resetValue |= field.reset * 2 ** field.lo;
    }
  }
  if (register.guard) guards.push({ guard: register.guard, bits: implemented });
  return {
    register,
    half,
    defined: defined >>> 0,
    implemented: implemented >>> 0,
    writable: register.access === "RW" ? (implemented & ~preset) >>> 0 : 0,
    preset: preset >>> 0,
    guards,
    resetKnown: resetKnown >>> 0,
    resetValue: resetValue >>> 0,
  };
}

/** All words of the registers that exist in this configuration, by offset from page 0. */
export function layOutRegisters(config: SmmuConfig): ReadonlyMap<number, RegisterWord> {
  const features = implementedFeatures(config);
  const words = new Map<number, RegisterWord>();
  for (const register of smmuRegisters) {
    if (!has(features, register.needs)) continue;
    words.set(register.offset, layOutHalf(register, 0, config));
    if (register.width === 64) words.set(register.offset + 4, layOutHalf(register, 1, config));
  }
  return words;
}

function named(name: string): SmmuRegister {
  const register = smmuRegisters.find((candidate) => candidate.name === `SMMU_${name}`);
  if (!register) throw new RangeError(`no register is called SMMU_${name}`);
  return register;
}

/** Offset from page 0 of the register `SMMU_<name>`. @throws RangeError if there is none */
export function offsetOf(name: string): number {
  return named(name).offset;
}

/** Mask of a field in the lower word of the register `SMMU_<name>`. @throws RangeError if there is none */
export function bitsOf(name: string, field: string): number {
  const { hi, lo } = fieldNamed(named(name).fields, field);
  return bitsInHalf(hi, lo, 0);
}
