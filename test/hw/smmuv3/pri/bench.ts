// SPDX-License-Identifier: MIT
/** A whole SMMU with a PRI queue on real memory: software drives registers, queues and commands, functions send page requests. */
import { Simulation, Trace } from "../../../../src/sim/index.ts";
import {
  createSmmuHost,
  type PageGroupResponse,
  type PageRequest,
  profiles,
  Smmu,
  type SmmuConfig,
  type SmmuEvents,
  type SmmuHost,
  type SmmuLine,
  type SmmuOptions,
  StreamTables,
  type StreamTableOptions,
  SystemBus,
  TableArena,
} from "../../../../src/hw/index.ts";
import { at as others } from "../registers/bench.ts";

export const RAM = 0x4000_0000;
export const CMDQ = RAM + 0x10_0000;
export const EVENTQ = RAM + 0x20_0000;
export const PRIQ = RAM + 0x30_0000;
export const DOORBELL = RAM + 0x40_0000;
/** Nothing is there. */
export const NOWHERE = 0x1000;

/** Offsets as IHI 0070 §6.2 lists them; not taken from the table under test. */
export const at = {
  ...others,
  IDR1: 0x04,
  IDR3: 0x0c,
  PRIQ_BASE: 0xc0,
  PRIQ_IRQ_CFG0: 0xd0,
  PRIQ_IRQ_CFG1: 0xd8,
  PRIQ_IRQ_CFG2: 0xdc,
  PRIQ_PROD: 0x1_00c8,
  PRIQ_CONS: 0x1_00cc,
} as const;

export const SMMUEN = 1;
export const PRIQEN = 2;
export const EVENTQEN = 4;
export const CMDQEN = 8;
export const ALL_ON: number = SMMUEN | PRIQEN | EVENTQEN | CMDQEN;
/** IRQ_CTRL. */
export const GERROR_IRQEN = 1;
export const PRIQ_IRQEN = 2;
/** GERROR. */
export const PRIQ_ABT_ERR = 1 << 3;
export const MSI_PRIQ_ABT_ERR = 1 << 6;
/** PRIQ_PROD.OVFLG, PRIQ_CONS.OVACKFLG; PRIQ_IRQ_CFG2.LO. */
export const OVFLG = 0x8000_0000;
export const LO = 0x8000_0000;

/** PRG Response codes (PCIe; IHI 0070 §8.3). */
export const SUCCESS = 0b0000;
export const INVALID = 0b0001;
export const FAILURE = 0b1111;

const CMDQ_LOG2 = 4;
const EVENTQ_LOG2 = 4;

export const base: SmmuConfig = { ...profiles.max, ats: true, pri: true, timing: { commandNs: 0, updateNs: 0 } };

/** A request of group 0 for nothing in particular; the last of its group unless said otherwise. */
export function request(fields: Partial<PageRequest> = {}): PageRequest {
  return {
    substreamId: -1,
    addressHi: 0,
    addressLo: 0x1000,
    read: true,
    write: false,
    execute: false,
    privileged: false,
    last: true,
    groupIndex: 0,
    ...fields,
  };
}

export function stopMarker(substreamId: number, groupIndex: number = 0): PageRequest {
  return request({ substreamId, groupIndex, read: false, write: false, last: true });
}

export interface BenchOptions {
  readonly config?: Partial<SmmuConfig>;
  readonly smmu?: SmmuOptions;
  readonly streams?: Partial<Pick<StreamTableOptions, "log2Size" | "split">>;
  /** Stands between the SMMU and its surroundings. */
  readonly wrap?: (host: SmmuHost) => SmmuHost;
}

export class PriBench {
  readonly simulation = new Simulation();
  readonly bus = new SystemBus(48);
  readonly arena = new TableArena(RAM + 0x100_0000, 0x100_0000);
  readonly streams: StreamTables;
  readonly smmu: Smmu;
  readonly config: SmmuConfig;
  /** What functions have been told, as [StreamID, PASID or -1, group, code]. */
  readonly responses: [number, number, number, number][] = [];
  readonly pulses: SmmuLine[] = [];
  /** Accesses of the SMMU itself, such as "priq write 0x40300000". */
  readonly accesses: string[] = [];
  readonly lint: string[] = [];
  readonly trace = new Trace<SmmuEvents>();
  onResponse: (streamId: number, response: PageGroupResponse) => void = () => {};
  #commands = 0;

  constructor({ config = {}, smmu = {}, streams = {}, wrap = (host) => host }: BenchOptions = {}) {
    this.config = { ...base, ...config };
    this.bus.addRam({ name: "ram", base: RAM, size: 0x1000_0000 });
    this.trace.on("smmu.lint", ({ data }) => this.lint.push(data.rule));
    this.trace.on("smmu.access", ({ data }) =>
      this.accesses.push(`${data.access} ${data.write ? "write" : "read"} 0x${data.address.toString(16)}`),
    );
    const host = createSmmuHost({
      simulation: this.simulation,
      bus: this.bus,
      trace: this.trace,
      pulse: (line) => this.pulses.push(line),
      respondToPageRequest: (streamId, response) => {
        this.responses.push([streamId, response.substreamId, response.groupIndex, response.code]);
        this.onResponse(streamId, response);
      },
    });
    this.smmu = new Smmu(this.config, wrap(host), { ...smmu, trace: this.trace });
    this.streams = new StreamTables({ memory: this.bus.memory, arena: this.arena, log2Size: 6, ...streams });
  }

  r32(offset: number): number {
    return this.smmu.read(offset, 4);
  }

  w32(offset: number, value: number): void {
    this.smmu.write(offset, 4, value);
  }

  w64(offset: number, lo: number, hi: number = 0): void {
    this.smmu.write64(offset, lo, hi);
  }

  settle(): void {
    this.simulation.advance(100_000);
  }

  /** All queues empty, the PRI queue with 2^log2 entries, everything enabled. */
  start(log2: number = 2, cr0: number = ALL_ON): this {
    this.w64(at.STRTAB_BASE, this.streams.base);
    this.w32(at.STRTAB_BASE_CFG, this.streams.config);
    this.w64(at.CMDQ_BASE, CMDQ + CMDQ_LOG2);
    this.w64(at.EVENTQ_BASE, EVENTQ + EVENTQ_LOG2);
    this.w64(at.PRIQ_BASE, PRIQ + log2);
    for (const offset of [at.CMDQ_PROD, at.CMDQ_CONS, at.EVENTQ_PROD, at.EVENTQ_CONS, at.PRIQ_PROD, at.PRIQ_CONS]) this.w32(offset, 0);
    this.cr0(cr0);
    return this;
  }

  cr0(bits: number): void {
    this.w32(at.CR0, bits);
    this.settle();
  }

  interrupts(bits: number): void {
    this.w32(at.IRQ_CTRL, bits);
    this.settle();
  }

  ask(streamId: number, fields: Partial<PageRequest> = {}): void {
    this.smmu.requestPage(streamId, request(fields));
  }

  /** Fills the queue with requests of stream 1 that are not the last of their group. @param count entries of the queue */
  fill(count: number): void {
    for (let i = 0; i < count; i++) this.ask(1, { last: false, groupIndex: 0x100 + i });
  }

  /** An entry of the PRI queue as two 64-bit words. */
  entry(index: number): [bigint, bigint] {
    const words = new Uint32Array(4);
    this.bus.memory.loadWords(PRIQ + 16 * index, words, 4);
    return [BigInt(words[0]!) | (BigInt(words[1]!) << 32n), BigInt(words[2]!) | (BigInt(words[3]!) << 32n)];
  }

  get prod(): number {
    return this.r32(at.PRIQ_PROD);
  }

  /** Errors that are active: GERROR ^ GERRORN. */
  get activeErrors(): number {
    return (this.r32(at.GERROR) ^ this.r32(at.GERRORN)) >>> 0;
  }

  /** Runs commands. @returns CMDQ_CONS */
  command(...commands: readonly Uint32Array[]): number {
    for (const words of commands) {
      this.bus.memory.storeWords(CMDQ + 16 * (this.#commands % 2 ** CMDQ_LOG2), words, 4);
      this.#commands = (this.#commands + 1) % 2 ** (CMDQ_LOG2 + 1);
      this.w32(at.CMDQ_PROD, this.#commands);
      this.settle();
    }
    return this.r32(at.CMDQ_CONS);
  }

  /** Events recorded so far, as [number, StreamID, SubstreamID or -1]. */
  get events(): [number, number, number][] {
    const count = this.r32(at.EVENTQ_PROD);
    return Array.from({ length: count }, (_, i) => {
      const words = new Uint32Array(8);
      this.bus.memory.loadWords(EVENTQ + 32 * i, words, 8);
      return [words[0]! & 0xff, words[1]!, (words[0]! & 0x800) === 0 ? -1 : words[0]! >>> 12];
    });
  }
}
