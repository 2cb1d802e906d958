// SPDX-License-Identifier: MIT
/** The STE and the CD that a driver made for a stream, as lines without the addresses that a kernel chose. */
import { CD, fieldNamed, getField, STE } from "../../hw/index.ts";
import { type Peek, valueText, wordsOf } from "./sequence.ts";

const STE_BYTES = 64;
const CD_BYTES = 64;
const BELOW_52_BITS = 0xf_ffff;
/** S1ContextPtr and S2TTB (IHI 0070 §5.2). */
const STE_ADDRESSES: ReadonlyMap<number, bigint> = new Map([
  [0, 0x000f_ffff_ffff_ffc0n],
  [3, 0x000f_ffff_ffff_fff0n],
]);
/** TTB0 (IHI 0070 §5.4). */
const CD_ADDRESSES: ReadonlyMap<number, bigint> = new Map([[1, 0x000f_ffff_ffff_fff0n]]);

/** Where STRTAB_BASE and STRTAB_BASE_CFG lead. */
export interface StreamTable {
  readonly base: number;
  readonly twoLevel: boolean;
  /** StreamID bits below the first level. */
  readonly split: number;
}

export function streamTable(baseLo: number, baseHi: number, config: number): StreamTable {
  return {
    base: (baseHi & BELOW_52_BITS) * 2 ** 32 + ((baseLo & ~0x3f) >>> 0),
    twoLevel: ((config >>> 16) & 3) === 1,
    split: (config >>> 6) & 0x1f,
  };
}

function load(peek: Peek, address: number, length: number): number[] {
  const bytes = new Uint8Array(length);
  peek(address, bytes);
  return wordsOf(bytes);
}

function steAddress(peek: Peek, { base, twoLevel, split }: StreamTable, sid: number): number {
  if (!twoLevel) return base + sid * STE_BYTES;
  const [lo = 0, hi = 0] = load(peek, base + Math.floor(sid / 2 ** split) * 8, 8);
  return (hi & BELOW_52_BITS) * 2 ** 32 + ((lo & ~0x3f) >>> 0) + (sid % 2 ** split) * STE_BYTES;
}

function lines(name: string, words: readonly number[], addresses: ReadonlyMap<number, bigint>): string[] {
  const found: string[] = [];
  for (let at = 0; at < words.length; at += 2) {
    const [lo = 0, hi = 0] = words.slice(at, at + 2);
    if (lo !== 0 || hi !== 0) found.push(`${name}[${at / 2}] = ${valueText(addresses.get(at / 2), 8, lo, hi)}`);
  }
  return found;
}

/** What stands in memory for a stream: its STE, and its CD of SubstreamID 0 if the STE has stage 1. */
export function structureLines(peek: Peek, table: StreamTable, sid: number): string[] {
  const ste = load(peek, steAddress(peek, table, sid), STE_BYTES);
  const field = (name: string): number => getField(ste, fieldNamed(STE.fields, name));
  const found = lines("STE", ste, STE_ADDRESSES);
  if (field("V") !== 1 || (field("Config") & 5) !== 5) return found;
  const pointer = (ste[1]! & BELOW_52_BITS) * 2 ** 32 + ((ste[0]! & ~0x3f) >>> 0);
  const cd = load(peek, pointer, CD_BYTES);
  return getField(cd, fieldNamed(CD.fields, "V")) === 1 ? [...found, ...lines("CD", cd, CD_ADDRESSES)] : found;
}
