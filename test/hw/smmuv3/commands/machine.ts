// SPDX-License-Identifier: MIT
/** A whole SMMU on real memory, driven as software does: tables in RAM, commands through the Command queue. */
import { Simulation, Trace } from "../../../../src/sim/index.ts";
import {
  createSmmuHost,
  Outcome,
  profiles,
  Smmu,
  type SmmuAccessKind,
  type SmmuConfig,
  type SmmuEvents,
  type SmmuOptions,
  SystemBus,
  Transaction,
} from "../../../../src/hw/index.ts";
import { TableArena, writeWords } from "../../../../src/hw/smmuv3/tables/memory.ts";
import { PageTable, type PageTableOptions } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { StreamTables, type StreamTableOptions } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { at } from "../registers/bench.ts";

const RAM = 0x4000_0000;
const RAM_SIZE = 0x4000_0000;
const CMDQ = 0x7f00_0000;
const EVENTQ = 0x7e00_0000;
const CMDQ_LOG2 = 8;
const EVENTQ_LOG2 = 8;
const SMMUEN = 1;
const EVENTQEN = 4;
const CMDQEN = 8;
const RECINVSID = 2;

export interface MachineOptions {
  readonly config?: Partial<SmmuConfig>;
  readonly e2h?: boolean;
  readonly streams?: Partial<Pick<StreamTableOptions, "log2Size" | "split">>;
  readonly choices?: SmmuOptions["choices"];
}

export interface Access {
  readonly ssid?: number;
  readonly write?: boolean;
}

export class Machine {
  readonly simulation = new Simulation();
  readonly bus: SystemBus;
  readonly arena = new TableArena(RAM, 0x1000_0000);
  readonly streams: StreamTables;
  readonly smmu: Smmu;
  /** What the SMMU has read of its structures and tables since the last {@link go}. */
  readonly reads: SmmuAccessKind[] = [];
  #prod = 0;

  constructor({ config = {}, e2h = false, streams = {}, choices = {} }: MachineOptions = {}) {
    const whole: SmmuConfig = { ...profiles.max, ...config, timing: { commandNs: 0, updateNs: 0 } };
    this.bus = new SystemBus(Math.min(whole.oas, 48));
    this.bus.addRam({ name: "ram", base: RAM, size: RAM_SIZE });
    const trace = new Trace<SmmuEvents>();
    trace.on("smmu.access", ({ data }) => this.reads.push(data.access));
    const host = createSmmuHost({ simulation: this.simulation, bus: this.bus, trace });
    this.smmu = new Smmu(whole, host, { trace, choices });
    this.streams = new StreamTables({ memory: this.bus.memory, arena: this.arena, log2Size: 8, ...streams });
    const { smmu } = this;
    smmu.write64(at.STRTAB_BASE, this.streams.base, 0);
    smmu.write(at.STRTAB_BASE_CFG, 4, this.streams.config);
    smmu.write64(at.CMDQ_BASE, CMDQ | CMDQ_LOG2, 0);
    smmu.write64(at.EVENTQ_BASE, EVENTQ | EVENTQ_LOG2, 0);
    smmu.write(at.CR2, 4, RECINVSID | (e2h ? 1 : 0));
    smmu.write(at.CR0, 4, SMMUEN | EVENTQEN | CMDQEN);
  }

  pageTable(options: Partial<PageTableOptions> = {}): PageTable {
    return new PageTable({ memory: this.bus.memory, arena: this.arena, stage: 1, granule: 12, ...options });
  }

  /** Puts a structure into memory. @returns its address */
  place(words: Uint32Array, alignedTo: number = 64): number {
    const address = this.arena.take(alignedTo);
    writeWords(this.bus.memory, address, words);
    return address;
  }

  /** Runs commands to their end. */
  command(...commands: readonly (readonly number[])[]): void {
    for (const words of commands) {
      this.bus.memory.storeWords(CMDQ + 16 * (this.#prod % 2 ** CMDQ_LOG2), Uint32Array.from(words), 4);
      this.#prod = (this.#prod + 1) % 2 ** (CMDQ_LOG2 + 1);
      this.smmu.write(at.CMDQ_PROD, 4, this.#prod);
    }
    if ((this.smmu.read(at.CMDQ_CONS, 4) & 0xf_ffff) !== this.#prod) throw new Error(`refused: ${commands.join(" | ")}`);
  }

  /** One transaction. @returns the physical address, or the number of the event that it caused, negative (0: none) */
  go(streamId: number, address: number, access: Access = {}): number {
    const tx = new Transaction();
    tx.setAddress(address);
    tx.streamId = streamId;
    tx.substreamId = access.ssid ?? -1;
    tx.write = access.write ?? false;
    this.reads.length = 0;
    return this.smmu.translate(tx) === Outcome.forward ? tx.physical : -tx.event;
  }

  /** Records in the Event queue that nobody has consumed. */
  get events(): number[][] {
    const prod = this.smmu.read(at.EVENTQ_PROD, 4) & 0xf_ffff;
    const cons = this.smmu.read(at.EVENTQ_CONS, 4) & 0xf_ffff;
    const count = (prod - cons) & (2 ** (EVENTQ_LOG2 + 1) - 1);
    return Array.from({ length: count }, (_, i) => {
      const words = new Uint32Array(8);
      this.bus.memory.loadWords(EVENTQ + 32 * ((cons + i) % 2 ** EVENTQ_LOG2), words, 8);
      return [...words];
    });
  }

  /** Moves EVENTQ_CONS behind all records. */
  consumeEvents(): void {
    this.smmu.write(at.EVENTQ_CONS, 4, this.smmu.read(at.EVENTQ_PROD, 4));
  }
}
