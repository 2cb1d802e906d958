// SPDX-License-Identifier: MIT
/** A machine with an SMMU's register side, RAM, and caches that write down what commands ask of them. */
import { Simulation, Trace } from "../../../../src/sim/index.ts";
import {
  type ConfigInvalidation,
  type MmioDevice,
  NotModelledLog,
  type RegisterChoices,
  type SmmuConfig,
  type SmmuEvents,
  type SmmuLine,
  SystemBus,
  type TlbInvalidation,
  createSmmuHost,
  profiles,
} from "../../../../src/hw/index.ts";
import { RegisterSide } from "../../../../src/hw/smmuv3/registers/register-side.ts";

export const BASE = 0x0905_0000;
export const RAM = 0x4000_0000;
export const CMDQ = RAM + 0x10_0000;
export const EVENTQ = RAM + 0x20_0000;
export const DOORBELL = RAM + 0x30_0000;

/** Offsets as IHI 0070 §6.2 lists them; not taken from the table under test. */
export const at = {
  IDR0: 0x00,
  CR0: 0x20,
  CR0ACK: 0x24,
  CR1: 0x28,
  CR2: 0x2c,
  S2PII: 0x30,
  STATUSR: 0x40,
  GBPA: 0x44,
  AGBPA: 0x48,
  IRQ_CTRL: 0x50,
  IRQ_CTRLACK: 0x54,
  GERROR: 0x60,
  GERRORN: 0x64,
  GERROR_IRQ_CFG0: 0x68,
  GERROR_IRQ_CFG1: 0x70,
  GERROR_IRQ_CFG2: 0x74,
  STRTAB_BASE: 0x80,
  STRTAB_BASE_CFG: 0x88,
  CMDQ_BASE: 0x90,
  CMDQ_PROD: 0x98,
  CMDQ_CONS: 0x9c,
  EVENTQ_BASE: 0xa0,
  EVENTQ_IRQ_CFG0: 0xb0,
  EVENTQ_IRQ_CFG1: 0xb8,
  EVENTQ_IRQ_CFG2: 0xbc,
  EVENTQ_PROD: 0x1_00a8,
  EVENTQ_CONS: 0x1_00ac,
} as const;

export const SMMUEN = 1;
export const EVENTQEN = 4;
export const CMDQEN = 8;
/** IRQ_CTRL. */
export const GERROR_IRQEN = 1;
export const EVENTQ_IRQEN = 4;

function recorder<T extends object>(calls: string[], names: readonly (keyof T & string)[]): T {
  const target: Partial<Record<keyof T, unknown>> = {};
  for (const name of names) {
    target[name] = (...operands: unknown[]) =>
      calls.push(`${name}(${operands.map((operand) => (operand === undefined ? "any" : JSON.stringify(operand))).join(", ")})`);
  }
  return target as T;
}

export class Bench {
  readonly trace = new Trace<SmmuEvents>();
  readonly simulation = new Simulation();
  readonly bus = new SystemBus(48);
  readonly notModelled = new NotModelledLog();
  readonly side: RegisterSide;
  readonly config: SmmuConfig;
  readonly pulses: SmmuLine[] = [];
  readonly lint: string[] = [];
  readonly commands: string[] = [];
  readonly cacheCalls: string[] = [];
  /** Accesses of the SMMU itself, such as "cmdq read 0x40100000". */
  readonly accesses: string[] = [];
  wakeEvents = 0;
  cachesEmpty = true;
  readonly #pair = new Uint32Array(2);

  constructor(config: SmmuConfig = profiles.max, choices: Partial<RegisterChoices> = {}) {
    this.config = config;
    this.bus.addRam({ name: "ram", base: RAM, size: 0x1000_0000 });
    this.trace.setClock(() => this.simulation.now);
    this.trace.on("smmu.lint", ({ data }) => this.lint.push(data.rule));
    this.trace.on("smmu.command", ({ data }) => this.commands.push(data.text));
    this.trace.on("smmu.access", ({ data }) =>
      this.accesses.push(`${data.access} ${data.write ? "write" : "read"} 0x${data.address.toString(16)}`),
    );
    const host = createSmmuHost({
      simulation: this.simulation,
      bus: this.bus,
      trace: this.trace,
      pulse: (line) => this.pulses.push(line),
      sendEvent: () => this.wakeEvents++,
    });
    this.side = new RegisterSide({ config, host, trace: this.trace, notModelled: this.notModelled, choices });
    this.side.connect({
      configuration: recorder<ConfigInvalidation>(this.cacheCalls, [
        "invalidateAll",
        "invalidateSte",
        "invalidateSteRange",
        "invalidateCd",
        "invalidateCdAll",
      ]),
      tlb: recorder<TlbInvalidation>(this.cacheCalls, [
        "nsnhAll",
        "everything",
        "nhAll",
        "nhAsid",
        "nhVa",
        "el2All",
        "el2Asid",
        "el2Va",
        "s12Vmall",
        "s2Ipa",
      ]),
      empty: () => this.cachesEmpty,
    });
    const registers = this.side.registers;
    const device: MmioDevice = {
      read: (offset) => registers.read32(offset),
      write: (offset, _width, value) => registers.write32(offset, value),
      read64: (offset, out) => registers.read64(offset, out),
      write64: (offset, lo, hi) => registers.write64(offset, lo, hi),
    };
    this.bus.addWindow({ name: "smmu", base: BASE, size: 0x2_0000, device, widths: [4, 8] });
  }

  r32(offset: number): number {
    this.bus.read(BASE + offset, 4, this.#pair);
    return this.#pair[0]!;
  }

  r64(offset: number): [lo: number, hi: number] {
    this.bus.read(BASE + offset, 8, this.#pair);
    return [this.#pair[0]!, this.#pair[1]!];
  }

  w32(offset: number, value: number): void {
    this.bus.write(BASE + offset, 4, value >>> 0);
  }

  w64(offset: number, lo: number, hi: number): void {
    this.bus.write(BASE + offset, 8, lo >>> 0, hi >>> 0);
  }

  /** Lets enough time pass for every Update and a good many commands. */
  settle(ns: number = 100_000): void {
    this.simulation.advance(ns);
  }

  /** Writes CR0 and waits for its acknowledge. */
  enable(bits: number): void {
    this.w32(at.CR0, bits);
    this.settle();
  }

  enableInterrupts(bits: number): void {
    this.w32(at.IRQ_CTRL, bits);
    this.settle();
  }

  /** A Command queue of 2^log2 entries at {@link CMDQ}, empty, enabled. */
  startCommands(log2: number, start: number = 0): void {
    this.w64(at.CMDQ_BASE, CMDQ + log2, 0);
    this.w32(at.CMDQ_PROD, start);
    this.w32(at.CMDQ_CONS, start);
    this.enable(this.r32(at.CR0) | CMDQEN);
  }

  startEvents(log2: number): void {
    this.w64(at.EVENTQ_BASE, EVENTQ + log2, 0);
    this.w32(at.EVENTQ_PROD, 0);
    this.w32(at.EVENTQ_CONS, 0);
    this.enable(this.r32(at.CR0) | EVENTQEN);
  }

  /** Puts a command into an entry. PROD stays. */
  putCommand(index: number, words: readonly number[]): void {
    this.bus.memory.storeWords(CMDQ + 16 * index, Uint32Array.from([...words, 0, 0, 0, 0].slice(0, 4)), 4);
  }

  /** Puts commands from entry 0 on and moves PROD behind them. */
  submit(...commands: readonly (readonly number[])[]): void {
    commands.forEach((words, index) => this.putCommand(index, words));
    this.w32(at.CMDQ_PROD, commands.length);
  }

  memory32(address: number): number {
    return this.bus.memory.read32(address);
  }

  /** Errors that are active: GERROR ^ GERRORN. */
  get activeErrors(): number {
    return (this.r32(at.GERROR) ^ this.r32(at.GERRORN)) >>> 0;
  }
}

/** An event record whose words are all different. */
export function record(tag: number): Uint32Array {
  return Uint32Array.from({ length: 8 }, (_, index) => (tag * 0x100 + index + 1) >>> 0);
}

export const command = {
  sync: (cs: number, data: number = 0, address: number = 0): number[] => [
    0x46 | (cs << 12),
    data,
    address >>> 0,
    Math.floor(address / 2 ** 32),
  ],
  cfgiAll: [0x04, 0, 31, 0],
  nsnhAll: [0x30, 0, 0, 0],
  reserved: [0xff, 0, 0, 0],
} as const;
