// SPDX-License-Identifier: MIT
/**
 * Memory attributes of the accesses that the SMMU makes by itself, where registers and commands configure them: Stream table
 * and queues by CR1, interrupt messages by IRQ_CFG2 and CMD_SYNC (IHI 0070 §6.3.11, §6.3.23, §4.7.3).
 *
 * Both come as one number, for the host: the memory type as a byte of MAIR, and 256 times the shareability.
 */
import { memAttrType, outputShareability } from "./attributes.ts";

const READ_ALLOCATE = 2;
const WRITE_ALLOCATE = 1;
const NON_CACHEABLE = 4;
const WRITE_THROUGH = 8;
const WRITE_BACK = 12;
/** CR1.TABLE_* stand this far above CR1.QUEUE_*. */
const TABLE_SHIFT = 6;

function packed(type: number, shareability: number): number {
  return type | (outputShareability(type, shareability) << 8);
}

/** A nibble of MAIR from a cacheability of CR1; code 3 is reserved and acts as 0. */
function nibble(code: number, hint: number): number {
  return code === 1 ? WRITE_BACK | hint : code === 2 ? WRITE_THROUGH | hint : NON_CACHEABLE;
}

/** @param fields SH, OC and IC, two bits each */
function cached(fields: number, hint: number): number {
  return packed((nibble((fields >> 2) & 3, hint) << 4) | nibble(fields & 3, hint), (fields >> 4) & 3);
}

/** Reads of the Stream table. @param allocate STRTAB_BASE.RA */
export function tableAttributes(cr1: number, allocate: boolean): number {
  return cached(cr1 >> TABLE_SHIFT, allocate ? READ_ALLOCATE : 0);
}

/** Reads of the Command queue, writes of the others. @param allocate the queue's RA or WA */
export function queueAttributes(cr1: number, write: boolean, allocate: boolean): number {
  return cached(cr1, allocate ? (write ? WRITE_ALLOCATE : READ_ALLOCATE) : 0);
}

/** Interrupt messages. @param memAttr encoded as STE.MemAttr */
export function messageAttributes(memAttr: number, shareability: number): number {
  return packed(memAttrType(memAttr), shareability);
}
