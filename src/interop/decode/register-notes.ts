// SPDX-License-Identifier: MIT
/** What a register's value says as a whole: nobody answers, a base that the SMMU aligns by itself. */
import { type SmmuRegister, fieldNamed, getField, hex } from "../../hw/index.ts";
import { sizeText } from "./decoded.ts";

/** Bytes of an entry of the queue whose base a register holds. */
const ENTRY_BYTES: Readonly<Record<string, number>> = {
  SMMU_CMDQ_BASE: 16,
  SMMU_EVENTQ_BASE: 32,
  SMMU_PRIQ_BASE: 16,
};

/** The largest queue that IDR1 can announce (IHI 0070 §6.3.2). */
const MAX_LOG2SIZE = 19;

/** ID registers of which no working SMMU reads 0: without a stage, a queue or a granule there is none. */
const NEVER_ZERO = new Set(["SMMU_IDR0", "SMMU_IDR1", "SMMU_IDR5"]);

/** IHI 0070 §6.3.26, §6.3.29, §6.3.33: the queue's base is aligned to the larger of its size and 32 bytes. */
function queueBase(register: SmmuRegister, words: Uint32Array): string[] {
  const entry = ENTRY_BYTES[register.name];
  if (entry === undefined) return [];
  const log2Size = getField(words, fieldNamed(register.fields, "LOG2SIZE"));
  if (log2Size > MAX_LOG2SIZE) return [`LOG2SIZE is more than any SMMU has (2^${MAX_LOG2SIZE}): IDR1 gives the size that counts`];
  const size = entry * 2 ** log2Size;
  const alignment = Math.max(32, size);
  const base = getField(words, fieldNamed(register.fields, "ADDR")) * 32;
  const low = base % alignment;
  const effective = `effective base ${hex(base - low)}: ${size / entry} entries, ${sizeText(size)}`;
  if (low === 0) return [effective];
  return [
    effective,
    `warning: ADDR is not aligned to the queue's size (${sizeText(alignment)}); the SMMU takes its low bits as zero, so that it does not use ${hex(base)}`,
  ];
}

/** @param words 2 words, the second 0 for a 32-bit register */
export function registerNotes(register: SmmuRegister, words: Uint32Array): string[] {
  const ones = words[0] === 0xffff_ffff && (register.width === 32 || words[1] === 0xffff_ffff);
  if (ones)
    return [
      "all ones: so reads what nobody answers for, as an SMMU without clock or power, or a wrong address; the fields mean nothing then",
    ];
  const zero = words[0] === 0 && words[1] === 0;
  if (zero && NEVER_ZERO.has(register.name))
    return ["all zeros: no SMMU that works reads so; it has no clock or power, is held in reset, or its registers are elsewhere"];
  return queueBase(register, words);
}
