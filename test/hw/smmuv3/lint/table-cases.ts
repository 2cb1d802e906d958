// SPDX-License-Identifier: MIT
/** Mistakes in tables: level-1 Stream table descriptors, and table descriptors of page tables. */
import { expect } from "vitest";
import { PageTable, StreamTables, buildCommand, l1std, stage2Ste, writeWords } from "../../../../src/hw/index.ts";
import { type Case, Driver, PA, SMMUEN, STREAM, SYNC, VA, at } from "./driver.ts";

const CFGI_ALL = buildCommand("CMD_CFGI_STE_RANGE", { Range: 31 });
const SPLIT = 6;

/** A running SMMU with a 2-level Stream table. @param level1 changes the descriptor of the stream, given where it is and its array */
function twoLevel(d: Driver, level1: (address: number, array: number) => void): void {
  const streams = new StreamTables({ memory: d.bus.memory, arena: d.arena, log2Size: 8, split: SPLIT });
  streams.write(STREAM, d.attach().ste);
  d.w32(at.CR2, 2);
  d.w64(at.STRTAB_BASE, streams.base);
  d.w32(at.STRTAB_BASE_CFG, streams.config);
  d.startQueues();
  level1(streams.base, streams.steAddress(STREAM) - 64 * STREAM);
  d.issue(CFGI_ALL, SYNC);
  d.cr0(0xc | SMMUEN);
}

/** The one descriptor in the first table of a stream's page table has further bits. */
function withTableBits(d: Driver, stage: 1 | 2, granule: 12 | 14 | 16, lo: number, hi: number): void {
  const memory = d.bus.memory;
  const table = new PageTable({ memory, arena: d.arena, stage, granule });
  const mapped = VA - (VA % 2 ** granule);
  const output = PA - (PA % 2 ** granule);
  table.map(mapped, output, 2 ** granule);
  d.start();
  d.install(stage === 2 ? stage2Ste(table, { S2VMID: 1 }) : d.attachTable(table));
  const at0 = firstDescriptor(d, table.base);
  memory.write32(at0, memory.read32(at0) | lo);
  memory.write32(at0 + 4, memory.read32(at0 + 4) | hi);
  expect(d.dma()).toBe(output + (VA % 2 ** granule));
}

/** The one entry of a first table that is not 0. */
function firstDescriptor(d: Driver, table: number): number {
  let address = table;
  while (d.bus.memory.read32(address) === 0) address += 8;
  return address;
}

export const tableCases: readonly Case[] = [
  {
    rule: "l1std-is-ste",
    what: "an STE is written into the level-1 table, as by software that takes it for a linear one (§5.1)",
    wrong: (d) => {
      twoLevel(d, (address) => writeWords(d.bus.memory, address, [1, 0]));
      expect(d.dma()).toBeUndefined();
    },
    right: (d) => {
      twoLevel(d, () => {});
      expect(d.dma()).toBe(PA);
    },
  },
  {
    rule: "l1std-span-reserved",
    what: "Span is larger than SPLIT + 1 (§5.1)",
    wrong: (d) => {
      twoLevel(d, (address, array) => writeWords(d.bus.memory, address, l1std(array, SPLIT + 2)));
      expect(d.dma()).toBeUndefined();
    },
    right: (d) => {
      twoLevel(d, (address, array) => writeWords(d.bus.memory, address, l1std(array, SPLIT + 1)));
      expect(d.dma()).toBe(PA);
    },
  },
  {
    rule: "l1std-alignment",
    what: "the array of level 2 is not aligned to its size (§5.1)",
    wrong: (d) => {
      twoLevel(d, (address, array) => writeWords(d.bus.memory, address, l1std(array + 64, SPLIT + 1)));
      // Its low bits count as 0.
      expect(d.dma()).toBe(PA);
    },
    right: (d) => {
      twoLevel(d, (address, array) => writeWords(d.bus.memory, address, l1std(array, 4)));
      expect(d.dma()).toBe(PA);
    },
  },
  {
    rule: "table-leaf-bits",
    what: "a table descriptor of stage 1 is made from the template of a leaf (DDI 0487 D8.3.1)",
    wrong: (d) => withTableBits(d, 1, 12, 0x4c0, 0),
    // NSTable and what is for software.
    right: (d) => withTableBits(d, 1, 12, 0x800, 0x8780_0000),
  },
  {
    rule: "table-leaf-bits",
    what: "a table descriptor of stage 2 is made from the template of a leaf (DDI 0487 D8.3.1)",
    wrong: (d) => withTableBits(d, 2, 12, 0x4fc, 0),
    // The Access flag of tables alone (HAFT).
    right: (d) => withTableBits(d, 2, 12, 0x400, 0),
  },
  {
    rule: "table-reserved-bits",
    what: "bit 50 of a table descriptor is 1 (DDI 0487 D8.3.1)",
    wrong: (d) => withTableBits(d, 1, 12, 0, 0x4_0000),
    right: (d) => withTableBits(d, 1, 12, 0, 0x0800_0000),
  },
  {
    rule: "table-reserved-bits",
    what: "a table descriptor of stage 2 has hierarchical attributes (DDI 0487 D8.3.1)",
    wrong: (d) => withTableBits(d, 2, 12, 0, 0x0800_0000),
    right: (d) => withTableBits(d, 2, 12, 0, 0x0400_0000),
  },
  {
    rule: "table-reserved-bits",
    what: "a table of the 16KB granule is aligned to 4KB (DDI 0487 D8.3.1)",
    wrong: (d) => withTableBits(d, 1, 14, 0x1000, 0),
    right: (d) => withTableBits(d, 1, 14, 0, 0),
  },
];
