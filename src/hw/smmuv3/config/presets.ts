// SPDX-License-Identifier: MIT
/**
 * Embedded implementations, whose Stream table or queues lie at fixed addresses: IDR1.TABLES_PRESET, QUEUES_PRESET and REL
 * (IHI 0070 §6.3.2). The registers that would place them are constants then.
 */
import { high32, low32 } from "../../bits/hex.ts";
import type { ConfigRule, SmmuConfig } from "./config.ts";
import { bitsOf, offsetOf } from "../registers/register-layout.ts";

/** A queue at a fixed place. */
export interface QueuePreset {
  /** CMDQ_BASE.ADDR, EVENTQ_BASE.ADDR or PRIQ_BASE.ADDR: aligned to the queue, at least to 32 bytes. */
  readonly base: number;
  /** log2 of the entries. */
  readonly log2Size: number;
}

export interface Presets {
  /** TABLES_PRESET. */
  readonly tables?: {
    /** STRTAB_BASE.ADDR: aligned to the table, at least to 64 bytes. */
    readonly base: number;
    /** STRTAB_BASE_CFG as it reads. */
    readonly config: number;
    /** CR1 as it reads, of which the TABLE_* fields count. */
    readonly attributes: number;
  };
  /** QUEUES_PRESET. A PRI queue, where there is one, is preset like the others. */
  readonly queues?: {
    readonly cmdq: QueuePreset;
    readonly eventq: QueuePreset;
    readonly priq?: QueuePreset;
    /** CR1 as it reads, of which the QUEUE_* fields count. */
    readonly attributes: number;
  };
  /** REL: the bases above are offsets from page 0, which lies at this physical address. undefined: they are absolute. */
  readonly relativeTo?: number;
}

const CR1 = offsetOf("CR1");
const CR1_TABLE = bitsOf("CR1", "TABLE_SH") | bitsOf("CR1", "TABLE_OC") | bitsOf("CR1", "TABLE_IC");
const CR1_QUEUE = bitsOf("CR1", "QUEUE_SH") | bitsOf("CR1", "QUEUE_OC") | bitsOf("CR1", "QUEUE_IC");

/** What the preset registers hold, as [offset of the word, value]. CR1 comes with the preset fields only. */
export function presetWords({ presets }: SmmuConfig): readonly (readonly [number, number])[] {
  const words: (readonly [number, number])[] = [];
  const wide = (name: string, low: number, base: number): void => {
    words.push([offsetOf(name), (low32(base) | low) >>> 0], [offsetOf(name) + 4, high32(base)]);
  };
  const { tables, queues } = presets ?? {};
  if (tables) {
    wide("STRTAB_BASE", 0, tables.base);
    words.push([offsetOf("STRTAB_BASE_CFG"), tables.config >>> 0]);
  }
  if (queues) {
    const { cmdq, eventq, priq } = queues;
    wide("CMDQ_BASE", cmdq.log2Size, cmdq.base);
    wide("EVENTQ_BASE", eventq.log2Size, eventq.base);
    if (priq) wide("PRIQ_BASE", priq.log2Size, priq.base);
  }
  const attributes = ((tables?.attributes ?? 0) & CR1_TABLE) | ((queues?.attributes ?? 0) & CR1_QUEUE);
  if (tables || queues) words.push([CR1, attributes]);
  return words;
}

/** What the bases of preset tables or queues count from: page 0 with REL, else 0. */
export function presetOrigin(config: SmmuConfig, what: "tables" | "queues"): number {
  return config.presets?.[what] === undefined ? 0 : (config.presets.relativeTo ?? 0);
}

function wholeAddress(address: number, alignment: number, c: SmmuConfig, origin: number): boolean {
  return Number.isInteger(address) && address >= 0 && address + origin < 2 ** c.oas && (address + origin) % alignment === 0;
}

function queueFits(queue: QueuePreset | undefined, entryBytes: number, log2Max: number, c: SmmuConfig): boolean {
  if (queue === undefined) return true;
  const { base, log2Size } = queue;
  if (!Number.isInteger(log2Size) || log2Size < 0 || log2Size > log2Max) return false;
  return wholeAddress(base, Math.max(32, entryBytes * 2 ** log2Size), c, presetOrigin(c, "queues"));
}

/** Bytes of the table that STRTAB_BASE points to, by the size as written (§6.3.24). */
function tableBytes(config: number): number {
  const log2Size = config & 0x3f;
  const split = (config >>> 6) & 0x1f;
  const leafBits = split === 8 || split === 10 ? split : 6;
  return ((config >>> 16) & 3) === 1 ? Math.max(64, 8 * 2 ** (log2Size - leafBits)) : 64 * 2 ** log2Size;
}

const STRTAB_CFG_LINEAR = bitsOf("STRTAB_BASE_CFG", "LOG2SIZE");
const STRTAB_CFG_ALL = STRTAB_CFG_LINEAR | bitsOf("STRTAB_BASE_CFG", "SPLIT") | bitsOf("STRTAB_BASE_CFG", "FMT");

/** Rules of `validateConfig`. */
export const presetRules: readonly ConfigRule[] = [
  {
    section: "§6.3.2",
    rule: "REL needs TABLES_PRESET or QUEUES_PRESET",
    holds: ({ presets }) => presets?.relativeTo === undefined || presets.tables !== undefined || presets.queues !== undefined,
  },
  {
    section: "§6.1",
    rule: "page 0, from which relative bases count, is aligned to 64KB",
    holds: (c) => wholeAddress(c.presets?.relativeTo ?? 0, 0x1_0000, c, 0),
  },
  {
    section: "§6.3.24",
    rule: "a preset Stream table is aligned to its size, within the output address size",
    holds: (c) => {
      const tables = c.presets?.tables;
      return tables === undefined || wholeAddress(tables.base, tableBytes(tables.config), c, presetOrigin(c, "tables"));
    },
  },
  {
    section: "§6.3.25",
    rule: "a preset STRTAB_BASE_CFG sets implemented bits only",
    holds: (c) => ((c.presets?.tables?.config ?? 0) & ~(c.twoLevelStreamTable ? STRTAB_CFG_ALL : STRTAB_CFG_LINEAR)) === 0,
  },
  {
    section: "§6.3.26, §6.3.29, §6.3.33",
    rule: "a preset queue is within IDR1's size, aligned to its own, within the output address size",
    holds: (c) => {
      const queues = c.presets?.queues;
      if (queues === undefined) return true;
      const { cmdq, eventq, priq } = queues;
      return queueFits(cmdq, 16, c.cmdqLog2Max, c) && queueFits(eventq, 32, c.eventqLog2Max, c) && queueFits(priq, 16, c.priqLog2Max, c);
    },
  },
  {
    section: "§6.3.2",
    rule: "QUEUES_PRESET fixes the PRI queue too, where there is one",
    holds: (c) => c.presets?.queues === undefined || c.pri === (c.presets.queues.priq !== undefined),
  },
];
