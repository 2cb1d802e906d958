// SPDX-License-Identifier: MIT
/** An SMMU in memory of its own, on which a firmware driver's accesses are carried out again. */
import {
  BusStatus,
  NotModelledLog,
  Smmu,
  type SmmuConfig,
  type SmmuEvents,
  SystemBus,
  createSmmuHost,
  writeWords,
} from "../../hw/index.ts";
import { Simulation, Trace } from "../../sim/index.ts";

const GERROR = 0x60;
const GERRORN = 0x64;
const CMDQ_ERR = 1;
const CMDQ_BASE = 0x90;
const CMDQ_PROD = 0x98;
const CMDQ_CONS = 0x9c;
const COMMAND_BYTES = 16;
const SMALLEST_ALIGNMENT = 32;
const CMD_SYNC = Uint32Array.of(0x46, 0, 0, 0);

/** A message of the lint. */
export type Diagnostic = SmmuEvents["smmu.lint"];

export class FirmwareMachine {
  readonly smmu: Smmu;
  readonly bus: SystemBus = new SystemBus(52);
  readonly notModelled: NotModelledLog = new NotModelledLog();
  readonly #simulation = new Simulation();
  #commands: Uint32Array[] = [];
  #diagnostics: Diagnostic[] = [];

  /** @throws HostMisuseError for a configuration that the architecture does not allow */
  constructor(config: SmmuConfig) {
    const trace = new Trace<SmmuEvents>();
    trace.on("smmu.lint", ({ data }) => this.#diagnostics.push(data));
    this.bus.addRam({ name: "memory", base: 0, size: 2 ** 52 });
    const host = createSmmuHost({ simulation: this.#simulation, bus: this.bus, trace });
    const load: typeof host.load = (kind, address, out, count) => {
      const status = host.load(kind, address, out, count);
      if (kind === "cmdq" && status === BusStatus.ok) this.#commands.push(out.slice(0, count));
      return status;
    };
    this.smmu = new Smmu(config, { ...host, load }, { trace, notModelled: this.notModelled, detector: true });
  }

  read(offset: number, width: 4 | 8): { readonly lo: number; readonly hi: number } {
    if (width === 4) return { lo: this.smmu.read(offset, 4), hi: 0 };
    const out = new Uint32Array(2);
    this.smmu.read64(offset, out);
    return { lo: out[0]!, hi: out[1]! };
  }

  /** Carries out a write and all that it causes. @returns the commands that the SMMU fetched for it */
  write(offset: number, width: 4 | 8, lo: number, hi: number): readonly Uint32Array[] {
    this.#commands = [];
    if (width === 8) this.smmu.write64(offset, lo, hi);
    else this.smmu.write(offset, 4, lo);
    this.#simulation.run();
    return this.#commands;
  }

  /** What the lint has said since it was asked last. */
  takeDiagnostics(): readonly Diagnostic[] {
    const taken = this.#diagnostics;
    this.#diagnostics = [];
    return taken;
  }

  /** True while an unacknowledged error stops the Command queue. */
  get commandError(): boolean {
    return ((this.smmu.read(GERROR, 4) ^ this.smmu.read(GERRORN, 4)) & CMDQ_ERR) !== 0;
  }

  /** The index bits and the wrap flag of the Command queue. */
  get #indexMask(): number {
    return 2 ** (this.#log2Size + 1) - 1;
  }

  get #log2Size(): number {
    return Math.min(this.read(CMDQ_BASE, 8).lo & 31, this.smmu.config.cmdqLog2Max);
  }

  /** True if PROD and CONS cannot both be right (IHI 0070 §3.5.1). */
  get inconsistent(): boolean {
    const mask = this.#indexMask;
    return ((this.smmu.read(CMDQ_PROD, 4) - this.smmu.read(CMDQ_CONS, 4)) & mask) > (mask + 1) / 2;
  }

  /** Puts a command where the SMMU will fetch the entry of that index: the base is aligned to the size of the queue. */
  placeCommand(index: number, words: Uint32Array): void {
    const { lo, hi } = this.read(CMDQ_BASE, 8);
    const entries = 2 ** this.#log2Size;
    const base = (hi & 0xf_ffff) * 2 ** 32 + ((lo & ~31) >>> 0);
    const aligned = base - (base % Math.max(entries * COMMAND_BYTES, SMALLEST_ALIGNMENT));
    writeWords(this.bus.memory, aligned + (index % entries) * COMMAND_BYTES, words);
  }

  /** Lets CMD_SYNCs pass through the queue until PROD and CONS stand at `index`. @returns how many */
  advanceQueue(index: number): number {
    const mask = this.#indexMask;
    let commands = 0;
    for (let at = this.smmu.read(CMDQ_PROD, 4) & mask; at !== (index & mask) && commands <= mask; commands++) {
      this.placeCommand(at, CMD_SYNC);
      at = (at + 1) & mask;
      this.write(CMDQ_PROD, 4, at, 0);
    }
    return commands;
  }
}
