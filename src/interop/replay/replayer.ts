// SPDX-License-Identifier: MIT
/**
 * Feeds a recording to the SMMU and compares everything: each register read, each consumed command, each event record bit
 * for bit, each interrupt, each translation.
 *
 * Where the recorded implementation departed from the architecture in a way that moves its event queue, the replay goes on
 * by translating queue indexes between the two (`#shift`, `#gerror`), so that one deviation does not make all that follows
 * differ.
 */
import {
  BusStatus,
  NotModelledLog,
  Outcome,
  Smmu,
  type SmmuEvents,
  type SmmuHost,
  type SmmuLine,
  type StaleUse,
  SystemBus,
  Transaction,
  Via,
  hex64,
} from "../../hw/index.ts";
import { Simulation, Trace } from "../../sim/index.ts";
import { qemuDeviations } from "./qemu-deviations.ts";
import { type Difference, type DifferenceContext, sameAnswer } from "./difference.ts";
import { configOfRecording } from "./profile.ts";
import type { Finding, ReplayObserver, ReplayReport } from "./report.ts";
import { type RecordingHeader, type TraceRecord, type TranslationAnswer, physicalText } from "./recording.ts";

const CR0 = 0x20;
const CR0ACK = 0x24;
const GERROR = 0x60;
const GERRORN = 0x64;
const CMDQ_CONS = 0x9c;
const EVENTQ_BASE = 0xa0;
const EVENTQ_PROD = 0x100a8;
const EVENTQ_CONS = 0x100ac;
const OVFLG = 0x8000_0000;
const CONS_ERR = 0x7f00_0000;

const LINES: Readonly<Record<SmmuLine, string>> = { eventq: "evtq", priq: "priq", "cmdq-sync": "sync", gerror: "gerror" };

type Request = Extract<TraceRecord, { t: "x" }>;

const KEPT = 5;

const nothingToRestore = (): void => {};

/** One recording, one SMMU. Records go in one after the other. */
export class Replayer {
  readonly #header: RecordingHeader;
  readonly #observer: ReplayObserver;
  readonly #sim = new Simulation();
  readonly #bus = new SystemBus(52);
  readonly #trace = new Trace<SmmuEvents>();
  readonly #notModelled = new NotModelledLog();
  readonly #tx = new Transaction();
  #outcome: Outcome = Outcome.abort;
  readonly #out = new Uint32Array(2);
  #smmu: Smmu | undefined;
  #record: TraceRecord | undefined;
  #records = 0;
  #equal = 0;
  #wrong = 0;
  readonly #deviations = new Map<string, number>();
  readonly #findings: Finding[] = [];
  readonly #lint = new Map<string, number>();
  #staleUses = 0;
  readonly #stale: { record: number; use: StaleUse }[] = [];

  /** What the SMMU did in the current operation. */
  #commands: { readonly address: number; readonly words: Uint32Array }[] = [];
  #events: Uint32Array[] = [];
  #interrupts: string[] = [];

  /** Our EVENTQ_PROD minus theirs, in entries. */
  #shift = 0;
  /** GERROR bits that only theirs has toggled. */
  #gerror = 0;
  /** The same for GERRORN: as of its last write. */
  #gerrorn = 0;
  #oas = 48;
  #answered: TranslationAnswer | undefined;
  /** Index and wrap bits of the event queue's indexes. */
  #eventqMask = 1;
  #eventPending = false;
  #eventqFull = false;

  constructor(header: RecordingHeader, observer: ReplayObserver = {}) {
    this.#header = header;
    this.#observer = observer;
    this.#bus.addRam({ name: "recorded memory", base: 0, size: 2 ** 52 });
    this.#trace.on("smmu.lint", ({ data }) => count(this.#lint, data.rule));
    this.#trace.on("smmu.stale-use", ({ data }) => {
      this.#staleUses++;
      if (this.#stale.length < KEPT) this.#stale.push({ record: this.#record?.n ?? 0, use: data });
      observer.stale?.(data);
    });
    const { event } = observer;
    if (event) this.#trace.on("smmu.event", ({ data }) => event(data.words));
  }

  /** Carries out one record and compares. */
  apply(record: TraceRecord): void {
    this.#record = record;
    this.#records++;
    switch (record.t) {
      case "reset":
        this.#reset(record.idr, record.aidr);
        return;
      case "inv":
        this.smmu.translation.reset();
        return;
      case "r":
        this.#read(record);
        return;
      case "w":
        this.#operation(record, () => this.#write(record));
        return;
      case "x":
        this.#operation(record, () => this.#translate(record));
        return;
    }
  }

  report(): ReplayReport {
    return {
      scenario: this.#header.scenario,
      records: this.#records,
      equal: this.#equal,
      deviations: Object.fromEntries(this.#deviations),
      wrong: this.#wrong,
      findings: this.#findings,
      staleUses: this.#staleUses,
      stale: this.#stale,
      lint: Object.fromEntries(this.#lint),
      notModelled: Object.fromEntries(this.#notModelled.counts),
    };
  }

  /** The SMMU as it stands. @throws RangeError before the first reset */
  get smmu(): Smmu {
    if (this.#smmu === undefined) throw new RangeError(`record ${this.#record?.n ?? 0} comes before the first reset`);
    return this.#smmu;
  }

  /** How the request that was translated last left the SMMU. */
  get outcome(): Outcome {
    return this.#outcome;
  }

  /** Translates a request once more, from memory alone: caches are dropped first. Nothing is compared. */
  again(record: Request): void {
    const restore = this.#withAborts(record);
    this.smmu.translation.reset();
    this.#request(record);
    restore();
  }

  #reset(idr: readonly number[], aidr: number): void {
    const config = configOfRecording(this.#header.scenario, idr, aidr);
    this.#oas = config.oas;
    this.#smmu = new Smmu(config, this.#host(), { trace: this.#trace, notModelled: this.#notModelled, detector: true });
    this.#shift = 0;
    this.#gerror = 0;
    this.#gerrorn = 0;
    this.#readEventqMask();
    idr.forEach((theirs, index) =>
      this.#compare(this.#get(4 * index) === theirs, () => readDifference(4 * index, this.#get(4 * index), theirs)),
    );
  }

  #host(): SmmuHost {
    const sim = this.#sim;
    const bus = this.#bus;
    return {
      now: () => sim.now,
      after: (delayNs, action) => sim.after(delayNs, action),
      load: (kind, address, out, words, level) => {
        const status = bus.loadWords(address, out, words);
        this.#observer.load?.(kind, address, out.subarray(0, words), status, level);
        if (kind === "cmdq" && status === BusStatus.ok) this.#commands.push({ address, words: out.slice(0, words) });
        return status;
      },
      store: (kind, address, words, count) => {
        if (kind === "eventq") this.#events.push(words.slice(0, count));
        return bus.storeWords(address, words, count);
      },
      peek: (address, out, words) => bus.loadWords(address, out, words),
      pulse: (line) => this.#interrupts.push(LINES[line]),
      sendEvent: () => {},
    };
  }

  #get(offset: number): number {
    return this.smmu.read(offset, 4);
  }

  // Differences.

  #compare(equal: boolean, difference: () => Difference): void {
    if (equal) {
      this.#equal++;
      return;
    }
    const found = difference();
    const record = this.#record!;
    const context: DifferenceContext = {
      record,
      qemu: this.#header.qemu.startsWith("7.2") ? 7.2 : 10,
      answer: record.t === "x" ? this.#answered : undefined,
      oas: this.#oas,
      eventPending: this.#eventPending,
      eventqFull: this.#eventqFull,
    };
    const deviation = qemuDeviations.find((candidate) => candidate.applies(found, context));
    const finding = { record: record.n, difference: found, deviation };
    const first = deviation ? count(this.#deviations, deviation.id) === 1 : ++this.#wrong <= KEPT;
    if (first) this.#findings.push(finding);
    this.#observer.finding?.(finding);
  }

  // Operations.

  #read(record: Extract<TraceRecord, { t: "r" }>): void {
    const out = this.#out;
    out[1] = 0;
    if (record.size === 8) this.smmu.read64(record.offset, out);
    else out[0] = this.#theirView(record.offset, this.#get(record.offset));
    this.#compare(out[0] === record.lo && out[1] === record.hi, () => ({
      what: "read",
      offset: record.offset,
      ours: hex64(out[1]!, out[0]!),
      theirs: hex64(record.hi, record.lo),
    }));
  }

  /** What theirs would read where ours reads `value`, given the deviations met so far. */
  #theirView(offset: number, value: number): number {
    const page0 = offset & 0xffff;
    if (page0 === GERROR) return (value ^ this.#gerror) >>> 0;
    if (page0 === GERRORN) return (value ^ this.#gerrorn) >>> 0;
    if (page0 === (EVENTQ_PROD & 0xffff)) return this.#moveIndex(value, -this.#shift);
    if (page0 === (EVENTQ_CONS & 0xffff)) return this.#moveIndex(value & ~OVFLG, -this.#shift);
    if (page0 === CMDQ_CONS) return this.#consView(value);
    return value;
  }

  /** CMDQ_CONS.ERR counts only while GERROR.CMDQ_ERR is active. */
  #consView(value: number): number {
    const record = this.#record!;
    const theirs = record.t === "r" ? record.lo : record.t === "w" || record.t === "x" ? (record.state?.cons ?? 0) : 0;
    const active = ((this.#get(GERROR) ^ this.#get(GERRORN)) & 1) !== 0;
    return active ? value : ((value & ~CONS_ERR) | (theirs & CONS_ERR)) >>> 0;
  }

  #readEventqMask(): void {
    this.smmu.read64(EVENTQ_BASE, this.#out);
    this.#eventqMask = 2 ** (Math.min(this.#out[0]! & 31, this.smmu.config.eventqLog2Max) + 1) - 1;
  }

  #moveIndex(index: number, by: number): number {
    if (by === 0) return index >>> 0;
    const mask = this.#eventqMask;
    return ((index & ~mask) | ((index + by) & mask)) >>> 0;
  }

  #operation(record: Extract<TraceRecord, { t: "w" | "x" }>, carryOut: () => void): void {
    for (const { address, bytes } of record.memory) this.#bus.memory.writeBytes(address, bytes);
    for (const effect of record.effects) if (effect.kind === "command") this.#bus.memory.writeBytes(effect.address, effect.bytes);
    const restore = this.#withAborts(record);
    const between = (this.#get(EVENTQ_PROD) ^ this.#get(EVENTQ_CONS)) & this.#eventqMask;
    this.#eventPending = between !== 0;
    this.#eventqFull = between === (this.#eventqMask + 1) / 2;
    if (this.#commands.length > 0) this.#commands = [];
    if (this.#events.length > 0) this.#events = [];
    if (this.#interrupts.length > 0) this.#interrupts = [];
    carryOut();
    restore();
    this.#compareEffects(record);
  }

  /** Makes memory abort where it did in the recording, until the returned function is called. */
  #withAborts(record: Extract<TraceRecord, { t: "w" | "x" }>): () => void {
    if (!record.effects.some(({ kind }) => kind === "abort")) return nothingToRestore;
    const removals = record.effects.flatMap((effect) =>
      effect.kind === "abort" ? [this.#bus.inject({ base: effect.address, size: effect.size, status: BusStatus.abort, on: "read" })] : [],
    );
    return () => {
      for (const remove of removals) remove();
    };
  }

  #write(record: Extract<TraceRecord, { t: "w" }>): void {
    const { offset, size, hi } = record;
    let { lo } = record;
    const page0 = offset & 0xffff;
    if (page0 === GERRORN) {
      lo = (lo ^ this.#gerror) >>> 0;
      this.#gerrorn = this.#gerror;
    }
    if (page0 === (EVENTQ_CONS & 0xffff)) {
      // Software that saw this queue would acknowledge an overflow together with what it took out.
      lo = this.#moveIndex(lo & ~OVFLG, this.#shift) | (this.#get(EVENTQ_PROD) & OVFLG);
      lo >>>= 0;
    }
    if (page0 === (EVENTQ_PROD & 0xffff)) this.#shift = 0;
    if (size === 8) this.smmu.write64(offset, lo, hi);
    else this.smmu.write(offset, 4, lo);
    this.#sim.run();
    if (page0 >= EVENTQ_BASE && page0 < EVENTQ_BASE + 8) this.#readEventqMask();
  }

  /** The transaction of a request, not yet translated. */
  transactionOf(record: Request): Transaction {
    const tx = this.#tx;
    tx.streamId = record.sid;
    tx.substreamId = -1;
    tx.addressHi = record.addressHi;
    tx.addressLo = record.addressLo;
    tx.write = record.write;
    tx.instruction = false;
    tx.privileged = false;
    return tx;
  }

  #request(record: Request): Outcome {
    this.#outcome = this.smmu.translate(this.transactionOf(record));
    return this.#outcome;
  }

  #translate(record: Request): void {
    const ours = this.#answer(this.#request(record));
    this.#answered = ours;
    // Where the recorder's own model says that the architecture wants something else, agreeing with QEMU is the mistake.
    const { answer: theirs, architecture } = record;
    const agreed = sameAnswer(ours, theirs) && (architecture === undefined || sameAnswer(architecture, theirs));
    this.#compare(agreed, () => ({ what: "translation", ours, theirs }));
  }

  #answer(outcome: Outcome): TranslationAnswer {
    const tx = this.#tx;
    if (outcome !== Outcome.forward) return tx.event === 0 ? { status: "abort" } : { status: "fault", event: tx.event };
    const status = tx.via === Via.globalBypass ? "disabled" : tx.via === Via.steBypass ? "bypass" : "ok";
    return { status, physical: physicalText(Math.floor(tx.physical / 2 ** 32), tx.physical >>> 0) };
  }

  #compareEffects(record: Extract<TraceRecord, { t: "w" | "x" }>): void {
    const { effects } = record;
    if (effects.length + this.#commands.length + this.#events.length + this.#interrupts.length === 0) {
      this.#equal += 2;
      if (record.state) this.#compareState(record.state);
      return;
    }
    const theirCommands = effects.filter((effect) => effect.kind === "command");
    const sameCommands =
      this.#commands.length === theirCommands.length &&
      this.#commands.every(
        ({ address, words }, index) => address === theirCommands[index]!.address && sameBytes(words, theirCommands[index]!.bytes),
      );
    this.#compare(sameCommands, () => ({
      what: "commands",
      ours: this.#commands.map(({ address, words }) => commandText(address, words)),
      theirs: theirCommands.map(({ address, bytes }) => commandText(address, toWords(bytes))),
    }));

    const theirEvents = effects.filter((effect) => effect.kind === "event-record");
    for (let i = 0; i < Math.max(this.#events.length, theirEvents.length); i++) {
      const ours = this.#events[i];
      const theirs = theirEvents[i]?.bytes;
      this.#compare(ours !== undefined && theirs !== undefined && sameBytes(ours, theirs), () => ({
        what: "event",
        ours,
        theirs: theirs && toWords(theirs),
      }));
    }
    this.#shift += this.#events.length - theirEvents.length;

    const theirInterrupts = effects.flatMap((effect) => (effect.kind === "interrupt" ? [effect.line] : []));
    this.#compare(sameList(this.#interrupts, theirInterrupts), () => ({
      what: "interrupts",
      ours: [...this.#interrupts],
      theirs: theirInterrupts,
    }));
    if (record.state) this.#compareState(record.state);
  }

  #compareState(state: { readonly cons: number; readonly eprod: number; readonly gerr: number; readonly cr0ack: number }): void {
    const gerror = this.#get(GERROR);
    const values = [
      ["CMDQ_CONS", this.#consView(this.#get(CMDQ_CONS)), state.cons],
      ["EVENTQ_PROD", this.#moveIndex(this.#get(EVENTQ_PROD), -this.#shift), state.eprod],
      ["GERROR", (gerror ^ this.#gerror) >>> 0, state.gerr],
      ["CR0ACK", this.#get(CR0ACK), state.cr0ack],
    ] as const;
    for (const [register, ours, theirs] of values) this.#compare(ours === theirs, () => ({ what: "state", register, ours, theirs }));
    this.#gerror = (gerror ^ state.gerr) >>> 0;
  }

  /** True once CR0 was written: used by tests to see that a recording got somewhere. */
  get enabled(): boolean {
    return (this.#get(CR0) & 1) !== 0;
  }
}

function count<K>(map: Map<K, number>, key: K): number {
  const next = (map.get(key) ?? 0) + 1;
  map.set(key, next);
  return next;
}

function toWords(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(bytes.length / 4);
  for (let i = 0; i < bytes.length; i++) words[i >> 2]! |= bytes[i]! << (8 * (i & 3));
  return words;
}

function commandText(address: number, words: Uint32Array): string {
  return `${hex64(words[1]!, words[0]!)} ${hex64(words[3]!, words[2]!)} @0x${address.toString(16)}`;
}

function readDifference(offset: number, ours: number, theirs: number): Difference {
  return { what: "read", offset, ours: hex64(0, ours), theirs: hex64(0, theirs) };
}

function sameBytes(words: Uint32Array, bytes: Uint8Array): boolean {
  if (bytes.length !== 4 * words.length) return false;
  for (let i = 0; i < bytes.length; i++) if (((words[i >> 2]! >>> (8 * (i & 3))) & 0xff) !== bytes[i]) return false;
  return true;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}
