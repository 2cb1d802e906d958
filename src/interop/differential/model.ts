// SPDX-License-Identifier: MIT
/** Runs a script on the model itself: memory, registers, and a device that reads and writes through the SMMU. */
import {
  BusStatus,
  NotModelledLog,
  Outcome,
  Smmu,
  type SmmuConfig,
  type SmmuEvents,
  type SmmuHost,
  SystemBus,
  Transaction,
  createSmmuHost,
  hex64,
  writeWords,
} from "../../hw/index.ts";
import { Simulation, Trace } from "../../sim/index.ts";
import { Probe } from "../replay/probe.ts";
import { CMDQ_BASE, EVENTQ_BASE, RAM_BASE, RAM_SIZE } from "./program.ts";
import { type AccessOperation, EVENTQ_LOG2, type Observation, type Operation, type Script, tagOf } from "./script.ts";

const GERROR = 0x60;
const GERRORN = 0x64;
const CMDQ_PROD = 0x98;
const CMDQ_CONS = 0x9c;
const EVENTQ_PROD = 0x1_00a8;
const EVENTQ_CONS = 0x1_00ac;
const CMDQ_ERR = 1;
const INDEX = 0xf_ffff;
const SYNC = [0x46, 0, 0, 0];
const RECORD_WORDS = 8;

/** What the model alone can tell about an access. */
export interface ModelAccess {
  readonly outcome: Outcome;
  readonly physical: string;
  readonly event: number;
}

export interface ModelRun {
  readonly observations: readonly Observation[];
  /** By the number of the operation. */
  readonly accesses: ReadonlyMap<number, ModelAccess>;
  /** Uses of cached contents that memory no longer says: a program without its maintenance, or a model that lost some. */
  readonly staleUses: number;
  /** Rules of the lint that were broken, by count. */
  readonly lint: ReadonlyMap<string, number>;
}

class ModelRunner {
  readonly smmu: Smmu;
  readonly host: SmmuHost;
  readonly #bus: SystemBus;
  readonly #simulation = new Simulation();
  readonly #tx = new Transaction();
  readonly #observations: Observation[] = [];
  readonly #accesses = new Map<number, ModelAccess>();
  /** What accesses read, by their number. */
  readonly #read = new Map<number, number>();
  readonly #lint = new Map<string, number>();
  #staleUses = 0;
  #consumedEvents = 0;

  constructor(config: SmmuConfig) {
    this.#bus = new SystemBus(config.oas);
    this.#bus.addRam({ name: "ram", base: RAM_BASE, size: RAM_SIZE });
    const trace = new Trace<SmmuEvents>();
    trace.on("smmu.stale-use", () => this.#staleUses++);
    trace.on("smmu.lint", ({ data }) => this.#lint.set(data.rule, (this.#lint.get(data.rule) ?? 0) + 1));
    this.host = createSmmuHost({ simulation: this.#simulation, bus: this.#bus, trace });
    this.smmu = new Smmu(config, this.host, { trace, notModelled: new NotModelledLog(), detector: true });
  }

  run(script: Script): ModelRun {
    script.operations.forEach((operation, at) => this.carryOut(operation, at));
    for (const access of script.accesses) {
      const at = script.operations.indexOf(access);
      const observation = this.#observations.find((candidate) => candidate.at === at);
      if (observation?.what === "access") observation.seen = this.#seen(access);
    }
    return { observations: this.#observations, accesses: this.#accesses, staleUses: this.#staleUses, lint: this.#lint };
  }

  #seen({ index, write, candidates }: AccessOperation): number | undefined {
    const wanted = write ? tagOf(index) : this.#read.get(index);
    return candidates.find((address) => this.#bus.memory.read32(address) === wanted);
  }

  carryOut(operation: Operation, at: number): void {
    switch (operation.op) {
      case "clear":
        return; // Its memory begins with zeros.
      case "memory":
        writeWords(this.#bus.memory, operation.address, operation.words);
        return;
      case "write":
        if (operation.width === 8) this.smmu.write64(operation.offset, operation.lo, operation.hi);
        else this.smmu.write(operation.offset, 4, operation.lo);
        this.#simulation.run();
        return;
      case "acknowledge":
        this.#set(GERRORN, this.#get(GERROR));
        return;
      case "commands":
        this.#commands(operation, at);
        return;
      case "access":
        this.#access(operation, at);
        return;
      case "read": {
        const out = new Uint32Array(2);
        if (operation.width === 8) this.smmu.read64(operation.offset, out);
        else out[0] = this.#get(operation.offset);
        this.#observations.push({ at, what: "read", lo: out[0]!, hi: out[1]! });
      }
    }
  }

  #get(offset: number): number {
    return this.smmu.read(offset, 4);
  }

  #set(offset: number, value: number): void {
    this.smmu.write(offset, 4, value);
    this.#simulation.run();
  }

  get #failing(): boolean {
    return ((this.#get(GERROR) ^ this.#get(GERRORN)) & CMDQ_ERR) !== 0;
  }

  #commands({ at: first, commands }: Extract<Operation, { op: "commands" }>, at: number): void {
    commands.forEach((words, index) => writeWords(this.#bus.memory, CMDQ_BASE + 16 * (first + index), words));
    this.#set(CMDQ_PROD, first + commands.length);
    const cons = this.#get(CMDQ_CONS);
    this.#observations.push({ at, what: "commands", error: this.#failing ? (cons >>> 24) & 0x7f : 0, index: cons & INDEX });
    for (let tries = 0; this.#failing && tries < commands.length; tries++) {
      writeWords(this.#bus.memory, CMDQ_BASE + 16 * (this.#get(CMDQ_CONS) & INDEX), SYNC);
      this.#set(GERRORN, this.#get(GERROR));
    }
  }

  #access(operation: AccessOperation, at: number): void {
    const { sid, addressHi, addressLo, write, index } = operation;
    const tx = this.#tx;
    tx.streamId = sid;
    tx.substreamId = -1;
    tx.addressHi = addressHi;
    tx.addressLo = addressLo;
    tx.write = write;
    tx.instruction = false;
    tx.privileged = false;
    const outcome = this.smmu.translate(tx);
    const physical = hex64(Math.floor(tx.physical / 2 ** 32), tx.physical >>> 0);
    this.#accesses.set(at, { outcome, physical, event: tx.event });
    if (outcome === Outcome.forward && this.#bus.isRam(tx.physical, 4)) {
      if (write) this.#bus.memory.write32(tx.physical, tagOf(index));
      else this.#read.set(index, this.#bus.memory.read32(tx.physical));
    }
    this.#observations.push({ at, what: "access", events: this.#takeEvents(), seen: undefined });
  }

  #takeEvents(): number[][] {
    const records: number[][] = [];
    const words = new Uint32Array(RECORD_WORDS);
    const entries = 2 ** EVENTQ_LOG2;
    const prod = this.#get(EVENTQ_PROD) & (2 * entries - 1);
    for (; this.#consumedEvents !== prod; this.#consumedEvents = (this.#consumedEvents + 1) % (2 * entries)) {
      if (this.#bus.loadWords(EVENTQ_BASE + 32 * (this.#consumedEvents % entries), words, RECORD_WORDS) === BusStatus.ok)
        records.push([...words]);
    }
    this.#set(EVENTQ_CONS, prod);
    return records;
  }
}

/** @returns what memory and registers say just before one operation of a script */
export function probeBefore(script: Script, at: number, config: SmmuConfig): Probe {
  const runner = new ModelRunner(config);
  script.operations.slice(0, at).forEach((operation, index) => runner.carryOut(operation, index));
  return new Probe(runner.smmu, runner.host);
}

/** Runs a script on an SMMU of this configuration, fresh from reset. */
export function runOnModel(script: Script, config: SmmuConfig): ModelRun {
  return new ModelRunner(config).run(script);
}
