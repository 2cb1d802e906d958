// SPDX-License-Identifier: MIT
/** Mistakes with commands, errors, and structures in memory. */
import { expect } from "vitest";
import { buildCommand, bypassSte, stage1Cd, stage1Ste, writeWords } from "../../../../src/hw/index.ts";
import {
  CFGI_ALL,
  CFGI_CD,
  CFGI_STE,
  CMDQ,
  CMDQEN,
  type Case,
  Driver,
  EVENTQEN,
  ILLEGAL,
  PA,
  RAM,
  SMMUEN,
  STREAM,
  SYNC,
  TLBI_ALL,
  at,
  recover,
} from "./driver.ts";

const running = (driver: Driver): void => driver.start();

const ATC_INV = buildCommand("CMD_ATC_INV", { StreamID: STREAM, Size: 52 });

export const commandCases: readonly Case[] = [
  {
    rule: "atc-inv-before-sync",
    what: "a CMD_ATC_INV follows a CMD_TLBI without a CMD_SYNC between",
    wrong: (d) => {
      running(d);
      d.issue(TLBI_ALL, ATC_INV, SYNC);
    },
    right: (d) => {
      running(d);
      d.issue(TLBI_ALL, SYNC, ATC_INV, SYNC);
    },
  },
  {
    rule: "cmd-sync-missing",
    what: "no CMD_SYNC follows a CMD_ATC_INV",
    wrong: (d) => {
      running(d);
      d.issue(ATC_INV);
    },
    right: (d) => {
      running(d);
      d.issue(ATC_INV, SYNC);
    },
  },
  {
    rule: "cmdqen-cleared-with-work",
    what: "CMDQEN is cleared right after commands were queued",
    wrong: (d) => {
      running(d);
      for (const index of [0, 1, 2]) writeWords(d.bus.memory, CMDQ + 16 * (d.prod + index), SYNC);
      d.w32(at.CMDQ_PROD, d.prod + 3);
      d.cr0(0);
    },
    right: (d) => {
      running(d);
      d.issue(SYNC, SYNC, SYNC);
      d.cr0(0);
    },
  },
  {
    rule: "gerror-unacknowledged",
    what: "a command error is never acknowledged",
    wrong: (d) => {
      running(d);
      d.issue(ILLEGAL);
    },
    right: (d) => {
      running(d);
      d.issue(ILLEGAL);
      recover(d);
    },
  },
  {
    rule: "gerror-unacknowledged",
    what: "the next driver switches the queue on and leaves the error of the last one",
    wrong: (d) => {
      running(d);
      d.issue(ILLEGAL);
      d.w32(at.CMDQ_PROD, d.r32(at.CMDQ_CONS) & 0xf_ffff);
      d.cr0(0);
      d.cr0(CMDQEN);
      d.w32(at.GERRORN, 1);
    },
    right: (d) => {
      running(d);
      d.issue(ILLEGAL);
      d.w32(at.CMDQ_PROD, d.r32(at.CMDQ_CONS) & 0xf_ffff);
      d.cr0(0);
      d.w32(at.GERRORN, 1);
      d.cr0(CMDQEN);
    },
  },
  {
    rule: "command-empty",
    what: "the queue lies 24 bytes into an allocation, and its base is written without the low bits",
    wrong: (d) => {
      d.w64(at.CMDQ_BASE, CMDQ + 8);
      d.cr0(CMDQEN);
      writeWords(d.bus.memory, CMDQ + 24, SYNC);
      d.w32(at.CMDQ_PROD, 1);
      d.simulation.advance(100_000);
      recover(d);
    },
    right: (d) => {
      d.w64(at.CMDQ_BASE, CMDQ + 8);
      d.cr0(CMDQEN);
      writeWords(d.bus.memory, CMDQ, SYNC);
      d.w32(at.CMDQ_PROD, 1);
      d.simulation.advance(100_000);
      expect(d.r32(at.CMDQ_CONS)).toBe(1);
    },
  },
  {
    rule: "command-reserved-bits",
    what: "CMD_TLBI_NH_VA with a level hint and no granule",
    wrong: (d) => {
      running(d);
      d.issue(buildCommand("CMD_TLBI_NH_VA", { TTL: 3 }), SYNC);
    },
    right: (d) => {
      running(d);
      d.issue(buildCommand("CMD_TLBI_NH_VA", { TTL: 3, TG: 1 }), SYNC);
    },
  },
  {
    rule: "operand-out-of-range",
    what: "CMD_CFGI_STE for a StreamID beyond SIDSIZE",
    wrong: (d) => {
      running(d);
      d.issue(buildCommand("CMD_CFGI_STE", { StreamID: 0x1_0000 }), SYNC);
    },
    right: (d) => {
      running(d);
      d.issue(buildCommand("CMD_CFGI_STE", { StreamID: 0xffff }), SYNC);
    },
  },
  {
    rule: "cmd-sync-missing",
    what: "SMMUEN is set without waiting for the invalidation of what an earlier driver left in the caches",
    wrong: (d) => {
      d.startQueues();
      d.issue(CFGI_ALL);
      d.cr0(CMDQEN | SMMUEN | EVENTQEN);
      d.issue(SYNC);
    },
    right: (d) => {
      d.startQueues();
      d.issue(CFGI_ALL, SYNC);
      d.cr0(CMDQEN | SMMUEN | EVENTQEN);
    },
  },
  {
    rule: "cmd-sync-missing",
    what: "the queue is taken down after invalidations without a final CMD_SYNC",
    wrong: (d) => {
      running(d);
      d.cr0(CMDQEN);
      d.issue(CFGI_ALL);
      d.cr0(0);
      d.startQueues();
    },
    right: (d) => {
      running(d);
      d.cr0(CMDQEN);
      d.issue(CFGI_ALL, SYNC);
      d.cr0(0);
    },
  },
  {
    rule: "cmd-sync-missing",
    what: "an STE is removed, and nobody waits for its invalidation",
    wrong: (d) => {
      running(d);
      d.install(bypassSte());
      d.bus.memory.write32(d.streams.steAddress(STREAM), 0);
      d.issue(CFGI_STE);
    },
    right: (d) => {
      running(d);
      d.install(bypassSte());
      d.remove();
    },
  },
  {
    rule: "cd-table-alignment",
    what: "a level-1 CD table for 2048 substreams, aligned to its descriptors only",
    wrong: (d) => {
      running(d);
      d.install(stage1Ste(RAM + 0x70_0040, { S1CDMax: 11, S1Fmt: 1, S1DSS: 2 }));
      d.dma();
    },
    right: (d) => {
      running(d);
      d.install(stage1Ste(RAM + 0x70_0100, { S1CDMax: 11, S1Fmt: 1, S1DSS: 2 }));
      d.dma();
    },
  },
  {
    rule: "stall-unanswered",
    what: "a stall event is not answered",
    wrong: (d) => {
      running(d);
      d.install(d.attachStalling());
      d.dma();
    },
    right: (d) => {
      running(d);
      d.install(d.attachStalling());
      d.dma();
      d.issue(buildCommand("CMD_RESUME", { StreamID: STREAM, STAG: 0 }));
    },
  },
  {
    rule: "resume-unmatched",
    what: "a stall event is answered twice",
    wrong: (d) => {
      running(d);
      d.install(d.attachStalling());
      d.dma();
      d.issue(buildCommand("CMD_RESUME", { StreamID: STREAM, STAG: 0 }), buildCommand("CMD_RESUME", { StreamID: STREAM, STAG: 0 }));
    },
    right: (d) => {
      running(d);
      d.install(d.attachStalling());
      d.dma();
      d.dma();
      d.issue(buildCommand("CMD_RESUME", { StreamID: STREAM, STAG: 0 }), buildCommand("CMD_RESUME", { StreamID: STREAM, STAG: 1 }));
    },
  },
  {
    rule: "live-ste-rewritten",
    what: "a live stage-1 STE becomes one of stage 2 in place, then CMD_CFGI_STE",
    wrong: (d) => {
      running(d);
      d.install(d.attach().ste);
      d.dma();
      d.streams.write(STREAM, d.attach({ S1CSH: 0, S1CIR: 2 }).ste);
      d.issue(CFGI_STE, SYNC);
    },
    right: (d) => {
      running(d);
      d.install(d.attach().ste);
      d.dma();
      d.remove();
      d.install(d.attach({ S1CSH: 0, S1CIR: 2 }).ste);
      d.dma();
    },
  },
  {
    rule: "live-ste-rewritten",
    what: "the same without CMD_CFGI_STE, and the device goes on",
    wrong: (d) => {
      running(d);
      d.install(d.attach().ste);
      d.dma();
      d.streams.write(STREAM, d.attach({ S1CSH: 0, S1CIR: 2 }).ste);
      expect(d.dma()).toBe(PA);
    },
    // Bypass to stage 1 as Linux does it: what bypass ignores, CFGI, then the doubleword that decides, CFGI.
    right: (d) => {
      running(d);
      d.install(bypassSte());
      d.dma();
      const { ste } = d.attach();
      const [low, high] = [bypassSte()[0]!, bypassSte()[1]!];
      d.streams.write(
        STREAM,
        Uint32Array.from(ste, (word, index) => (index === 0 ? low : index === 1 ? high : word)),
      );
      d.issue(CFGI_STE, SYNC);
      d.dma();
      d.streams.write(STREAM, ste);
      d.issue(CFGI_STE, SYNC);
      expect(d.dma()).toBe(PA);
    },
  },
  {
    rule: "live-cd-rewritten",
    what: "the table and the size of a live CD are changed in place",
    wrong: (d) => {
      running(d);
      const { ste, cd } = d.attach();
      d.install(ste);
      d.dma();
      writeWords(d.bus.memory, cd, stage1Cd({ ttb0: d.table(PA + 0x1000) }, { ASID: 2 }));
      d.issue(CFGI_CD, SYNC);
    },
    // One doubleword: the ASID, as §3.21.3 allows.
    right: (d) => {
      running(d);
      const { ste, cd } = d.attach();
      d.install(ste);
      d.dma();
      d.bus.memory.write32(cd + 4, (d.bus.memory.read32(cd + 4) & 0xffff) | (2 << 16));
      d.issue(CFGI_CD, SYNC);
      expect(d.dma()).toBe(PA);
    },
  },
  {
    rule: "live-cd-rewritten",
    what: "the same without CMD_CFGI_CD, and the device goes on",
    wrong: (d) => {
      running(d);
      const { ste, cd } = d.attach();
      d.install(ste);
      d.dma();
      writeWords(d.bus.memory, cd, stage1Cd({ ttb0: d.table(PA + 0x1000) }, { ASID: 2 }));
      d.dma();
    },
    right: (d) => {
      running(d);
      const { ste, cd } = d.attach();
      d.install(ste);
      d.dma();
      d.bus.memory.write32(cd, d.bus.memory.read32(cd) & 0x7fff_ffff);
      d.issue(CFGI_CD, SYNC);
      writeWords(d.bus.memory, cd, stage1Cd({ ttb0: d.table(PA + 0x1000) }, { ASID: 2, V: 0 }));
      d.issue(CFGI_CD, SYNC);
      writeWords(d.bus.memory, cd, stage1Cd({ ttb0: d.table(PA + 0x1000) }, { ASID: 2 }));
      d.issue(CFGI_CD, SYNC);
      expect(d.dma()).toBe(PA + 0x1000);
    },
  },
];
