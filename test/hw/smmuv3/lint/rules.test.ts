// SPDX-License-Identifier: MIT
/** Each rule of the lint: a driver that makes the mistake, and one that does the same thing right. */
import { describe, expect, test } from "vitest";
import { type LintRule, buildCommand, bypassSte, lintRules, stage1Cd, stage1Ste, writeWords } from "../../../../src/hw/index.ts";
import {
  CFGI_ALL,
  CFGI_CD,
  CFGI_STE,
  CMDQ,
  CMDQEN,
  Driver,
  EVENTQ,
  EVENTQEN,
  ILLEGAL,
  PA,
  QUEUE,
  RAM,
  SMMUEN,
  STREAM,
  SYNC,
  at,
} from "./driver.ts";

interface Case {
  readonly rule: LintRule;
  /** What software does, in words. */
  readonly what: string;
  readonly wrong: (driver: Driver) => void;
  /** The same, done right. */
  readonly right: (driver: Driver) => void;
}

const running = (driver: Driver): void => driver.start();
const GBPA_UPDATE = 0x8000_0000;

/** Fills the Event queue's room with faults of a stream without an STE. */
function faults(driver: Driver, count: number): void {
  for (let i = 0; i < count; i++) driver.dma();
}

const cases: readonly Case[] = [
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
  { rule: "write-undefined", what: "a write to an offset without a register", wrong: (d) => d.w32(0x7c, 1), right: (d) => d.w32(at.CR2, 2) },
  { rule: "reserved-bits", what: "CR1 with bits that it has not got", wrong: (d) => d.w32(at.CR1, 0x1000_0d75), right: (d) => d.w32(at.CR1, 0xd75) },
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
      d.w32(at.CMDQ_PROD, prod + 2);
      d.w32(at.CMDQ_PROD, prod + 1);
      d.simulation.advance(100_000);
      recover(d);
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
      d.streams.write(STREAM, Uint32Array.from(ste, (word, index) => (index === 0 ? low : index === 1 ? high : word)));
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

/** Repairs a command error: CMD_SYNC in place of the bad command, then the acknowledge. */
function recover(driver: Driver): void {
  if ((driver.r32(at.GERROR) ^ driver.r32(at.GERRORN)) === 0) return;
  writeWords(driver.bus.memory, CMDQ + 16 * (driver.r32(at.CMDQ_CONS) & 15), SYNC);
  driver.w32(at.GERRORN, driver.r32(at.GERROR));
  driver.simulation.advance(100_000);
}

describe.each(cases)("$rule: $what", ({ rule, wrong, right }) => {
  test("is named, and nothing else is", () => {
    const driver = new Driver({ sidSize: 16 });
    wrong(driver);
    expect(driver.finish().filter((name) => !name.startsWith("ste-")), driver.details.join("\n")).toEqual([rule]);
  });
  test("done right it is not", () => {
    const driver = new Driver({ sidSize: 16 });
    right(driver);
    expect(driver.finish().filter((name) => !name.startsWith("ste-")), driver.details.join("\n")).toEqual([]);
  });
});

describe("the table of rules", () => {
  test("every rule has a case", () => {
    const tested = new Set<string>(cases.map(({ rule }) => rule));
    expect(lintRules.map(({ id }) => id).filter((id) => !tested.has(id))).toEqual([]);
  });
  test("every rule has an id of its own, a section and a text", () => {
    expect(new Set(lintRules.map(({ id }) => id)).size).toBe(lintRules.length);
    for (const { section, text } of lintRules) {
      expect(section).toMatch(/^§\d+(\.\d+)+$/);
      expect(text.length).toBeGreaterThan(10);
    }
  });
  test("a message carries the section of its rule", () => {
    const driver = new Driver();
    driver.w64(at.CMDQ_BASE, CMDQ + 0x20 + 8);
    expect(driver.details).toEqual([`queue-base-alignment: CMDQ_BASE 0x40100028 is not aligned to 0x1000 bytes: low bits are taken as 0 (§3.5.1)`]);
  });
});

describe("live structures", () => {
  function rewrite(detector: boolean): string[] {
    const driver = new Driver({}, { detector });
    driver.start();
    driver.install(driver.attach().ste);
    driver.dma();
    driver.streams.write(STREAM, driver.attach({ S1CSH: 0 }).ste);
    driver.issue(CFGI_STE, SYNC);
    return driver.finish();
  }
  test("are watched with the stale-use detector only: without it nothing is compared", () => {
    expect(rewrite(true)).toEqual(["live-ste-rewritten"]);
    expect(rewrite(false)).toEqual([]);
  });
  test("are named once, however often they are used", () => {
    const driver = new Driver();
    driver.start();
    driver.install(driver.attach().ste);
    driver.dma();
    driver.streams.write(STREAM, driver.attach({ S1CSH: 0 }).ste);
    driver.dma();
    driver.dma();
    driver.issue(CFGI_STE, SYNC);
    expect(driver.finish()).toEqual(["live-ste-rewritten"]);
  });
  test("are no concern while STE.V is 0: software prepares them in any order", () => {
    const driver = new Driver();
    driver.start();
    driver.dma();
    driver.streams.write(STREAM, driver.attach().ste);
    driver.issue(CFGI_STE, SYNC);
    expect(driver.dma()).toBe(PA);
    expect(driver.finish()).toEqual(["ste-V"]);
  });
});
