// SPDX-License-Identifier: MIT
/** A small driver that does everything right, on a whole SMMU with its memory, and what the SMMU says about it. */
import { Simulation, Trace } from "../../../../src/sim/index.ts";
import {
  type LintRule,
  type MachineHostOptions,
  PageTable,
  Smmu,
  type SmmuConfig,
  type SmmuEvents,
  type SmmuOptions,
  StreamTables,
  SystemBus,
  TableArena,
  Transaction,
  buildCommand,
  createSmmuHost,
  profiles,
  stage1Cd,
  stage1Ste,
  writeWords,
} from "../../../../src/hw/index.ts";

export const RAM = 0x4000_0000;
export const CMDQ = RAM + 0x10_0000;
export const EVENTQ = RAM + 0x20_0000;
const TABLES = RAM + 0x40_0000;
export const VA = 0x1234_5000;
export const PA = RAM + 0x80_0000;
export const STREAM = 5;
/** log2 of the entries of both queues. */
export const QUEUE = 4;

/** Offsets as IHI 0070 §6.2 lists them. */
export const at = {
  IDR0: 0x00,
  CR0: 0x20,
  CR0ACK: 0x24,
  CR1: 0x28,
  CR2: 0x2c,
  GBPA: 0x44,
  GERROR: 0x60,
  GERRORN: 0x64,
  STRTAB_BASE: 0x80,
  STRTAB_BASE_CFG: 0x88,
  CMDQ_BASE: 0x90,
  CMDQ_PROD: 0x98,
  CMDQ_CONS: 0x9c,
  EVENTQ_BASE: 0xa0,
  EVENTQ_PROD: 0x1_00a8,
  EVENTQ_CONS: 0x1_00ac,
} as const;

export const SMMUEN = 1;
export const EVENTQEN = 4;
export const CMDQEN = 8;

export const CFGI_ALL: Uint32Array = buildCommand("CMD_CFGI_STE_RANGE", { Range: 31 });
export const TLBI_ALL: Uint32Array = buildCommand("CMD_TLBI_NSNH_ALL");
export const SYNC: Uint32Array = buildCommand("CMD_SYNC", {});
export const CFGI_STE: Uint32Array = buildCommand("CMD_CFGI_STE", { StreamID: STREAM, Leaf: 1 });
export const CFGI_CD: Uint32Array = buildCommand("CMD_CFGI_CD", { StreamID: STREAM, Leaf: 1 });
/** A reserved opcode. */
export const ILLEGAL: Uint32Array = Uint32Array.of(0xff, 0, 0, 0);

export class Driver {
  readonly lint: string[] = [];
  readonly details: string[] = [];
  readonly simulation = new Simulation();
  readonly bus = new SystemBus(52);
  readonly smmu: Smmu;
  readonly arena = new TableArena(TABLES, 0x40_0000);
  readonly streams: StreamTables;
  /** Index of the next command, with its wrap flag. */
  prod = 0;

  constructor(config: Partial<SmmuConfig> = {}, options: SmmuOptions = { detector: true }, lines: Partial<MachineHostOptions> = {}) {
    const trace = new Trace<SmmuEvents>();
    trace.on("smmu.lint", ({ data }) => {
      this.lint.push(data.rule);
      this.details.push(`${data.rule}: ${data.detail} (${data.section})`);
    });
    this.bus.addRam({ name: "ram", base: RAM, size: 0x1000_0000 });
    const host = createSmmuHost({ simulation: this.simulation, bus: this.bus, trace, ...lines });
    this.smmu = new Smmu({ ...profiles.max, ...config }, host, { ...options, trace });
    this.streams = new StreamTables({ memory: this.bus.memory, arena: this.arena, log2Size: 6 });
  }

  r32(offset: number): number {
    return this.smmu.read(offset, 4);
  }

  w32(offset: number, value: number): void {
    this.smmu.write(offset, 4, value);
  }

  w64(offset: number, value: number): void {
    this.smmu.write64(offset, value >>> 0, Math.floor(value / 2 ** 32));
  }

  /** Writes CR0 and polls its acknowledge. */
  cr0(value: number): void {
    this.w32(at.CR0, value);
    this.simulation.advance(10_000);
    if (this.r32(at.CR0ACK) !== value) throw new Error("CR0 is not acknowledged");
  }

  /** Queues commands and waits for them. */
  issue(...commands: readonly Uint32Array[]): void {
    for (const words of commands) {
      writeWords(this.bus.memory, CMDQ + 16 * (this.prod % 2 ** QUEUE), words);
      this.prod = (this.prod + 1) % 2 ** (QUEUE + 1);
    }
    this.w32(at.CMDQ_PROD, this.prod);
    this.simulation.advance(100_000);
  }

  /** Queues, as after a reset: bases, indexes, enables, maintenance. */
  startQueues(): void {
    this.w64(at.CMDQ_BASE, CMDQ + QUEUE);
    this.prod = 0;
    this.w32(at.CMDQ_PROD, 0);
    this.w32(at.CMDQ_CONS, 0);
    this.cr0(CMDQEN);
    this.issue(CFGI_ALL, SYNC, TLBI_ALL, SYNC);
    this.w64(at.EVENTQ_BASE, EVENTQ + QUEUE);
    this.w32(at.EVENTQ_PROD, 0);
    this.w32(at.EVENTQ_CONS, 0);
    this.cr0(CMDQEN | EVENTQEN);
  }

  /** Everything, up to a running SMMU. */
  start(): void {
    this.cr0(0);
    this.w32(at.CR1, 0xd75);
    this.w32(at.CR2, 2);
    this.w64(at.STRTAB_BASE, this.streams.base);
    this.w32(at.STRTAB_BASE_CFG, this.streams.config);
    this.startQueues();
    this.cr0(CMDQEN | EVENTQEN | SMMUEN);
  }

  /** A stage-1 STE whose CD maps {@link VA}. @returns the address of its CD */
  attach(ste: Readonly<Record<string, number>> = {}, pa: number = PA): { readonly ste: Uint32Array; readonly cd: number } {
    const table = this.table(pa);
    const cd = this.arena.take(64);
    writeWords(this.bus.memory, cd, stage1Cd({ ttb0: table }, { ASID: 1 }));
    return { ste: stage1Ste(cd, ste), cd };
  }

  /** A stage-1 STE whose CD maps nothing and stalls. */
  attachStalling(): Uint32Array {
    const table = new PageTable({ memory: this.bus.memory, arena: this.arena, stage: 1, granule: 12 });
    const cd = this.arena.take(64);
    writeWords(this.bus.memory, cd, stage1Cd({ ttb0: table }, { ASID: 1, S: 1 }));
    return stage1Ste(cd);
  }

  /** A stage-1 STE whose CD has this table. */
  attachTable(ttb0: PageTable): Uint32Array {
    const cd = this.arena.take(64);
    writeWords(this.bus.memory, cd, stage1Cd({ ttb0 }, { ASID: 1 }));
    return stage1Ste(cd);
  }

  table(pa: number = PA): PageTable {
    const table = new PageTable({ memory: this.bus.memory, arena: this.arena, stage: 1, granule: 12 });
    table.map(VA, pa, 0x1000);
    return table;
  }

  /** Writes an STE as IHI 0070 §3.21.3.1 recommends: all but V, CFGI, SYNC, then V, CFGI, SYNC. */
  install(ste: Uint32Array): void {
    const invalid = ste.slice();
    invalid[0]! &= ~1;
    this.streams.write(STREAM, invalid);
    this.issue(CFGI_STE, SYNC);
    this.streams.write(STREAM, ste);
    this.issue(CFGI_STE, SYNC);
  }

  /** Makes the STE invalid. */
  remove(): void {
    this.bus.memory.write32(this.streams.steAddress(STREAM), 0);
    this.issue(CFGI_STE, SYNC);
  }

  /** The device reads. @returns the physical address, or undefined if the SMMU let nothing through */
  dma(): number | undefined {
    const tx = new Transaction();
    tx.setAddress(VA);
    tx.streamId = STREAM;
    return this.smmu.translate(tx) === 0 ? tx.physical : undefined;
  }

  /** Software is done. */
  finish(): string[] {
    this.smmu.audit();
    return this.lint;
  }
}

/** Mistakes of software, one by one. */
export interface Case {
  readonly rule: LintRule;
  /** What software does, in words. */
  readonly what: string;
  readonly wrong: (driver: Driver) => void;
  /** The same, done right. */
  readonly right: (driver: Driver) => void;
}

/** Repairs a command error: CMD_SYNC in place of the bad command, then the acknowledge. */
export function recover(driver: Driver): void {
  if ((driver.r32(at.GERROR) ^ driver.r32(at.GERRORN)) === 0) return;
  writeWords(driver.bus.memory, CMDQ + 16 * (driver.r32(at.CMDQ_CONS) & 15), SYNC);
  driver.w32(at.GERRORN, driver.r32(at.GERROR));
  driver.simulation.advance(100_000);
}
