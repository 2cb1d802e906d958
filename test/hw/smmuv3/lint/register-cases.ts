// SPDX-License-Identifier: MIT
/** Mistakes with registers and queue indexes. */
import { expect } from "vitest";
import { writeWords } from "../../../../src/hw/index.ts";
import { CMDQ, CMDQEN, type Case, Driver, EVENTQ, EVENTQEN, ILLEGAL, QUEUE, RAM, SMMUEN, SYNC, at } from "./driver.ts";

const running = (driver: Driver): void => driver.start();
const GBPA_UPDATE = 0x8000_0000;

/** Fills the Event queue's room with faults of a stream without an STE. */
function faults(driver: Driver, count: number): void {
  for (let i = 0; i < count; i++) driver.dma();
}

const PRIQ = { BASE: 0xc0, PROD: 0x1_00c8, CONS: 0x1_00cc } as const;
const PRIQEN = 2;

/** Starts a PRI queue of four entries, and has a function ask for pages. */
function pages(driver: Driver, count: number): void {
  running(driver);
  driver.w64(PRIQ.BASE, RAM + 0x90_0000 + 2);
  driver.cr0(SMMUEN | PRIQEN | CMDQEN | EVENTQEN);
  const page = { addressHi: 0, addressLo: 0, read: true, write: false, execute: false, privileged: false, last: true };
  for (let groupIndex = 0; groupIndex < count; groupIndex++) driver.smmu.requestPage(1, { ...page, substreamId: -1, groupIndex });
}

export const registerCases: readonly Case[] = [
  {
    rule: "illegal-access",
    what: "a 16-bit read of IDR0",
    wrong: (d) => d.smmu.read(at.IDR0, 2),
    right: (d) => d.smmu.read(at.IDR0, 4),
  },
  {
    rule: "write-read-only",
    what: "GERROR is written to clear an error, where GERRORN has to be",
    wrong: (d) => {
      running(d);
      d.issue(ILLEGAL);
      d.w32(at.GERROR, 0);
      writeWords(d.bus.memory, CMDQ + 16 * (d.r32(at.CMDQ_CONS) & 15), SYNC);
      d.w32(at.GERRORN, d.r32(at.GERROR));
    },
    right: (d) => {
      running(d);
      d.issue(ILLEGAL);
      writeWords(d.bus.memory, CMDQ + 16 * (d.r32(at.CMDQ_CONS) & 15), SYNC);
      d.w32(at.GERRORN, d.r32(at.GERROR));
    },
  },
  {
    rule: "write-undefined",
    what: "a write to an offset without a register",
    wrong: (d) => d.w32(0x7c, 1),
    right: (d) => d.w32(at.CR2, 2),
  },
  {
    rule: "reserved-bits",
    what: "CR1 with bits that it has not got",
    wrong: (d) => d.w32(at.CR1, 0x1000_0d75),
    right: (d) => d.w32(at.CR1, 0xd75),
  },
  {
    rule: "guarded-write",
    what: "STRTAB_BASE is moved while SMMUEN is 1",
    wrong: (d) => {
      running(d);
      d.w64(at.STRTAB_BASE, RAM + 0x70_0000);
    },
    right: (d) => {
      running(d);
      d.cr0(CMDQEN | EVENTQEN);
      d.w64(at.STRTAB_BASE, RAM + 0x70_0000);
    },
  },
  {
    rule: "field-in-transition",
    what: "CMDQEN is cleared before its setting is acknowledged",
    wrong: (d) => {
      d.w32(at.CR0, CMDQEN);
      d.w32(at.CR0, 0);
    },
    right: (d) => {
      d.cr0(CMDQEN);
      d.cr0(0);
    },
  },
  {
    rule: "gbpa-without-update",
    what: "GBPA.ABORT is set without Update",
    wrong: (d) => d.w32(at.GBPA, 1 << 20),
    right: (d) => d.w32(at.GBPA, (1 << 20) | GBPA_UPDATE),
  },
  {
    rule: "gerrorn-inactive",
    what: "all of GERRORN is toggled",
    wrong: (d) => {
      running(d);
      d.issue(ILLEGAL);
      writeWords(d.bus.memory, CMDQ + 16 * (d.r32(at.CMDQ_CONS) & 15), SYNC);
      d.w32(at.GERRORN, 5);
      d.w32(at.GERRORN, 1);
    },
    right: (d) => {
      running(d);
      d.issue(ILLEGAL);
      writeWords(d.bus.memory, CMDQ + 16 * (d.r32(at.CMDQ_CONS) & 15), SYNC);
      d.w32(at.GERRORN, 1);
    },
  },
  {
    rule: "strtab-base-alignment",
    what: "a linear Stream table of 64 STEs at a 64-byte boundary",
    wrong: (d) => {
      d.w64(at.STRTAB_BASE, RAM + 0x70_0040);
      d.w32(at.STRTAB_BASE_CFG, 6);
      d.cr0(SMMUEN);
    },
    right: (d) => {
      d.w64(at.STRTAB_BASE, RAM + 0x70_1000);
      d.w32(at.STRTAB_BASE_CFG, 6);
      d.cr0(SMMUEN);
    },
  },
  {
    rule: "queue-base-alignment",
    what: "a Command queue of 256 entries from an allocator that aligns to 32 bytes",
    wrong: (d) => d.w64(at.CMDQ_BASE, CMDQ + 0x20 + 8),
    right: (d) => d.w64(at.CMDQ_BASE, CMDQ + 8),
  },
  {
    rule: "queue-base-alignment",
    what: "an Event queue of 128 entries from the same allocator",
    wrong: (d) => d.w64(at.EVENTQ_BASE, EVENTQ + 0x20 + 7),
    right: (d) => d.w64(at.EVENTQ_BASE, EVENTQ + 7),
  },
  {
    rule: "queue-too-large",
    what: "a Command queue larger than IDR1.CMDQS",
    wrong: (d) => d.w64(at.CMDQ_BASE, RAM + 0x80_0000 + 20),
    right: (d) => d.w64(at.CMDQ_BASE, RAM + 0x80_0000 + 19),
  },
  {
    rule: "prod-inconsistent",
    what: "PROD loses its wrap flag after a lap",
    wrong: (d) => {
      running(d);
      while (d.prod !== 2 ** QUEUE) d.issue(SYNC);
      d.w32(at.CMDQ_PROD, 1);
    },
    right: (d) => {
      running(d);
      while (d.prod !== 2 ** QUEUE) d.issue(SYNC);
      d.issue(SYNC);
      expect(d.r32(at.CMDQ_CONS)).toBe(2 ** QUEUE + 1);
    },
  },
  {
    rule: "prod-inconsistent",
    what: "PROD overtakes CONS, which a stopped queue leaves behind",
    wrong: (d) => {
      running(d);
      d.issue(ILLEGAL);
      const start = d.r32(at.CMDQ_CONS) & 0xf_ffff;
      d.prod = start;
      d.w32(at.CMDQ_PROD, (start + 2 ** QUEUE + 1) % 2 ** (QUEUE + 1));
      writeWords(d.bus.memory, CMDQ + 16 * start, SYNC);
      d.w32(at.GERRORN, 1);
    },
    right: (d) => {
      running(d);
      d.issue(ILLEGAL);
      const start = d.r32(at.CMDQ_CONS) & 0xf_ffff;
      for (let i = 0; i < 2 ** QUEUE; i++) writeWords(d.bus.memory, CMDQ + 16 * i, SYNC);
      d.w32(at.CMDQ_PROD, (start + 2 ** QUEUE) % 2 ** (QUEUE + 1));
      d.w32(at.GERRORN, 1);
      d.simulation.advance(100_000);
    },
  },
  {
    rule: "prod-inconsistent",
    what: "an old CONS is left when the queue is set up again",
    wrong: (d) => {
      running(d);
      d.cr0(0);
      d.w32(at.CMDQ_PROD, 0);
      d.cr0(CMDQEN);
    },
    // PROD first, CONS next: inconsistent in between, but the queue is off.
    right: (d) => {
      running(d);
      d.cr0(0);
      d.startQueues();
    },
  },
  {
    rule: "prod-backwards",
    what: "a submitted command is taken back",
    wrong: (d) => {
      running(d);
      const { prod } = d;
      for (const index of [prod, prod + 1]) writeWords(d.bus.memory, CMDQ + 16 * index, SYNC);
      d.w32(at.CMDQ_PROD, prod + 2);
      d.w32(at.CMDQ_PROD, prod + 1);
      d.simulation.advance(100_000);
    },
    // Allowed while an error stops the queue (§7.1).
    right: (d) => {
      running(d);
      const { prod } = d;
      d.issue(ILLEGAL, SYNC);
      d.w32(at.CMDQ_PROD, prod);
      d.w32(at.GERRORN, 1);
    },
  },
  {
    rule: "cons-inconsistent",
    what: "the whole record count is written to EVENTQ_CONS, without a wrap flag",
    wrong: (d) => {
      running(d);
      faults(d, 2);
      d.w32(at.EVENTQ_CONS, 7);
    },
    right: (d) => {
      running(d);
      faults(d, 2);
      d.w32(at.EVENTQ_CONS, 2);
    },
  },
  {
    rule: "cons-inconsistent",
    what: "PRIQ_CONS is moved beyond what has come",
    wrong: (d) => {
      pages(d, 2);
      d.w32(PRIQ.CONS, 3);
    },
    right: (d) => {
      pages(d, 2);
      d.w32(PRIQ.CONS, 2);
    },
  },
  {
    rule: "priq-overflow",
    what: "functions have five requests outstanding, and the queue four entries",
    wrong: (d) => pages(d, 5),
    right: (d) => pages(d, 4),
  },
];
