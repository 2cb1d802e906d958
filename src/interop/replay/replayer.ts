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
  HostMisuseError,
  NotModelledError,
  NotModelledLog,
  Outcome,
  Smmu,
  type SmmuEvents,
  type SmmuHost,
  type SmmuLine,
  type StaleUse,
  SystemBus,
  Transaction,
  hex64,
} from "../../hw/index.ts";
import { Simulation, Trace } from "../../sim/index.ts";
import { answerOf } from "./answer.ts";
import { deviationOf } from "./qemu-deviations.ts";
import { type Difference, type DifferenceContext, type DueEvent, type StateRegister, sameAnswer } from "./difference.ts";
import { type Command, CONS_ERR, commandText, errorText, sameBytes, sameCommand, sameList, toWords } from "./effects.ts";
import { Probe } from "./probe.ts";
import { configOfRecording } from "./profile.ts";
import type { Finding, ReplayObserver, ReplayReport } from "./report.ts";
import { SILENT } from "./deviation-conditions.ts";
import {
  type Effect,
  RecordingError,
  type RecordingHeader,
  type StateAfter,
  type TraceRecord,
  type TranslationAnswer,
} from "./recording.ts";

const CR0 = 0x20;
const CR0ACK = 0x24;
const IIDR = 0x18;
const AIDR = 0x1c;
const GERROR = 0x60;
const GERRORN = 0x64;
const CMDQ_CONS = 0x9c;
const EVENTQ_BASE = 0xa0;
const EVENTQ_PROD = 0x100a8;
const EVENTQ_CONS = 0x100ac;
const OVFLG = 0x8000_0000;
const EVENTQEN = 4;
const RECORD_BYTES = 32;
/** After a reset (IHI 0070 §6.3). */
const RESET_STATE: StateAfter = { cons: 0, eprod: 0, gerr: 0, cr0ack: 0 };

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
  readonly #host: SmmuHost = this.#makeHost();
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

  /** What the SMMU did in the current operation. A command carries CMDQ_CONS before it, an error of the queue its code. */
  #commands: (Command | number)[] = [];
  #events: { readonly address: number; readonly words: Uint32Array }[] = [];
  #interrupts: string[] = [];

  /** Our EVENTQ_PROD minus theirs, in entries. */
  #shift = 0;
  /** EVENTQ_PROD.OVFLG, if only one of the two has toggled it. */
  #ovflg = 0;
  /** GERROR bits that only theirs has toggled. */
  #gerror = 0;
  /** The same for GERRORN: as of its last write. */
  #gerrorn = 0;
  #answered: TranslationAnswer | undefined;
  /** Registers after the last operation, as recorded: what a record does not repeat has not changed. */
  #theirState: StateAfter = RESET_STATE;
  #idr: readonly number[] = [];
  #probe: Probe | undefined;
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
    this.#trace.on("smmu.gerror", ({ data }) => {
      if (data.active && data.bit === "CMDQ_ERR") this.#commands.push((this.#get(CMDQ_CONS) & CONS_ERR) >>> 24);
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
        this.#reset(record);
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

  /** The SMMU as it stands. @throws RecordingError before the first reset */
  get smmu(): Smmu {
    return this.#smmu ?? this.#fail("comes before the first reset");
  }

  #fail(why: string): never {
    const n = this.#record?.n ?? 0;
    throw new RecordingError(n + 2, `record ${n}: ${why}`);
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

  #reset({ idr, iidr, aidr }: Extract<TraceRecord, { t: "reset" }>): void {
    this.#smmu = this.#build(idr, aidr);
    this.#idr = idr;
    this.#probe = undefined;
    this.#shift = 0;
    this.#ovflg = 0;
    this.#gerror = 0;
    this.#gerrorn = 0;
    this.#theirState = RESET_STATE;
    this.#readEventqMask();
    idr.forEach((theirs, index) => this.#compareRegister(4 * index, theirs));
    this.#compareRegister(IIDR, iidr);
    this.#compareRegister(AIDR, aidr);
  }

  /** @throws RecordingError for the ID registers of an SMMU that cannot be, or that the model has not got */
  #build(idr: readonly number[], aidr: number): Smmu {
    try {
      const config = configOfRecording(this.#header.scenario, idr, aidr);
      return new Smmu(config, this.#host, { trace: this.#trace, notModelled: this.#notModelled, detector: true });
    } catch (error) {
      if (error instanceof HostMisuseError || error instanceof NotModelledError) return this.#fail(error.message);
      throw error;
    }
  }

  #compareRegister(offset: number, theirs: number): void {
    const ours = this.#get(offset);
    this.#compare(ours === theirs, () => ({ what: "read", offset, ours: hex64(0, ours), theirs: hex64(0, theirs) }));
  }

  #makeHost(): SmmuHost {
    const sim = this.#sim;
    const bus = this.#bus;
    return {
      now: () => sim.now,
      after: (delayNs, action) => sim.after(delayNs, action),
      load: (kind, address, out, words, level) => {
        const status = bus.loadWords(address, out, words);
        this.#observer.load?.(kind, address, out.subarray(0, words), status, level);
        if (kind === "cmdq" && status === BusStatus.ok)
          this.#commands.push({ cons: this.#get(CMDQ_CONS) & ~CONS_ERR, address, words: out.slice(0, words) });
        return status;
      },
      store: (kind, address, words, count) => {
        if (kind === "eventq") this.#events.push({ address, words: words.slice(0, count) });
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
    const deviation = deviationOf(found, this.#context(record));
    const finding = { record: record.n, difference: found, deviation };
    const first = deviation ? count(this.#deviations, deviation.id) === 1 : ++this.#wrong <= KEPT;
    if (first) this.#findings.push(finding);
    this.#observer.finding?.(finding);
  }

  #context(record: TraceRecord): DifferenceContext {
    const { smmu } = this;
    const probe = (): Probe => (this.#probe ??= new Probe(smmu, this.#host));
    const request = (): Request => (record.t === "x" ? record : this.#fail("is no request"));
    return {
      record,
      qemu: this.#header.qemu.startsWith("7.2") ? 7.2 : 10,
      config: smmu.config,
      idr: this.#idr,
      answer: record.t === "x" ? this.#answered : undefined,
      eventPending: this.#eventPending,
      eventqFull: this.#eventqFull,
      visible: () => true,
      suppose: (supposed) => probe().answer(request(), supposed),
      lastDescriptor: (supposed) => probe().lastDescriptor(request(), supposed),
    };
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
    if (page0 === (EVENTQ_PROD & 0xffff)) return this.#prodView(value);
    if (page0 === (EVENTQ_CONS & 0xffff)) return this.#moveIndex(value & ~OVFLG, -this.#shift);
    if (page0 === CMDQ_CONS) return this.#consView(value);
    return value;
  }

  #prodView(value: number): number {
    return (this.#moveIndex(value, -this.#shift) ^ this.#ovflg) >>> 0;
  }

  /** CMDQ_CONS.ERR counts only while GERROR.CMDQ_ERR is active. */
  #consView(value: number): number {
    const record = this.#record!;
    const theirs = record.t === "r" ? record.lo : this.#theirState.cons;
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
    if (record.state !== undefined) this.#theirState = record.state;
    const between = (this.#get(EVENTQ_PROD) ^ this.#get(EVENTQ_CONS)) & this.#eventqMask;
    this.#eventPending = between !== 0;
    this.#eventqFull = between === (this.#eventqMask + 1) / 2;
    if (this.#commands.length > 0) this.#commands = [];
    if (this.#events.length > 0) this.#events = [];
    if (this.#interrupts.length > 0) this.#interrupts = [];
    carryOut();
    this.#compareEffects(record);
    restore();
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
    if (page0 === (EVENTQ_PROD & 0xffff)) {
      this.#shift = 0;
      this.#ovflg = 0;
    }
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
    const staleUses = this.#staleUses;
    const ours = this.#answer(this.#request(record));
    this.#answered = ours;
    // Where the recorder's own model says that the architecture wants something else, agreeing with QEMU is the mistake.
    const { answer: theirs, architecture, uncached } = record;
    const agreed = sameAnswer(ours, theirs) && (architecture === undefined || sameAnswer(architecture, theirs));
    this.#compare(agreed, () => ({ what: "translation", ours, theirs }));
    if (uncached !== undefined || this.#staleUses !== staleUses) this.#compareUncached(record, ours, this.#staleUses !== staleUses);
  }

  /** What was found in a cache is what memory says, but for stale uses: only these have to be looked up again. */
  #compareUncached(record: Request, answer: TranslationAnswer, stale: boolean): void {
    const ours = stale ? this.#context(record).suppose({}) : answer;
    const theirs = record.uncached ?? record.answer;
    this.#compare(sameAnswer(ours, theirs), () => ({ what: "uncached", ours, theirs }));
  }

  #answer(outcome: Outcome): TranslationAnswer {
    // Recordings do not tell what an event was that CD.R or STE.S2R kept back.
    return this.#fate() === "none" ? SILENT : answerOf(outcome, this.#tx, this.smmu.translation);
  }

  /** What became of the event of the last request; undefined if it had none. */
  #fate(): string | undefined {
    const { event, recorded } = this.#tx;
    if (event === 0) return undefined;
    if (recorded) return "ok";
    if ((this.#get(CR0ACK) & EVENTQEN) === 0) return "evtq-off";
    return this.#eventqFull ? "evtq-full" : "none";
  }

  #dueEvent(): DueEvent | undefined {
    const { event, streamId: sid } = this.#tx;
    const fate = this.#fate();
    return fate === undefined ? undefined : { event: fate === "none" ? 0 : event, sid, fate };
  }

  #compareEffects(record: Extract<TraceRecord, { t: "w" | "x" }>): void {
    const { effects } = record;
    if (effects.length + this.#commands.length + this.#events.length + this.#interrupts.length === 0 && !this.#hasEvent(record)) {
      this.#equal += 2;
    } else {
      this.#compareCommands(effects);
      if (record.t === "x") this.#compareDueEvents(effects);
      this.#compareEvents(effects);
      const theirs = effects.flatMap((effect) => (effect.kind === "interrupt" ? [effect.line] : []));
      this.#compare(sameList(this.#interrupts, theirs), () => ({ what: "interrupts", ours: [...this.#interrupts], theirs }));
    }
    this.#compareState(this.#theirState);
  }

  #hasEvent(record: TraceRecord): boolean {
    return record.t === "x" && this.#tx.event !== 0;
  }

  #compareCommands(effects: readonly Effect[]): void {
    const theirs = effects.filter((effect) => effect.kind === "command" || effect.kind === "command-error");
    const same = this.#commands.length === theirs.length && this.#commands.every((command, index) => sameCommand(command, theirs[index]!));
    this.#compare(same, () => ({
      what: "commands",
      ours: this.#commands.map((command) =>
        typeof command === "number" ? errorText(command) : commandText(command.words, command.address, command.cons),
      ),
      theirs: theirs.map((effect) =>
        effect.kind === "command-error"
          ? errorText(effect.code)
          : commandText(toWords(effect.bytes), effect.address, effect.cons & ~CONS_ERR),
      ),
    }));
  }

  #compareDueEvents(effects: readonly Effect[]): void {
    const theirs = effects.filter((effect) => effect.kind === "event-due");
    const ours = this.#dueEvent();
    for (let i = 0; i < Math.max(theirs.length, ours === undefined ? 0 : 1); i++) {
      const [a, b] = [i === 0 ? ours : undefined, theirs[i]];
      const due = b && { event: b.event, sid: b.sid, fate: b.fate };
      const equal = a !== undefined && b !== undefined && a.event === b.event && a.sid === b.sid && a.fate === b.fate;
      this.#compare(equal, () => ({ what: "event-due", ours: a, theirs: due }));
    }
  }

  #compareEvents(effects: readonly Effect[]): void {
    const theirs = effects.filter((effect) => effect.kind === "event-record");
    for (let i = 0; i < Math.max(this.#events.length, theirs.length); i++) {
      const [a, b] = [this.#events[i], theirs[i]];
      this.#compare(a !== undefined && b !== undefined && sameBytes(a.words, b.bytes), () => ({
        what: "event",
        ours: a?.words,
        theirs: b && toWords(b.bytes),
      }));
      if (a === undefined || b === undefined) continue;
      const ours = this.#theirSlot(a.address);
      this.#compare(ours === b.address, () => ({ what: "event-address", ours, theirs: b.address }));
    }
    this.#shift += this.#events.length - theirs.length;
  }

  /** Where a record of ours would stand in the event queue if it had the records that theirs has. */
  #theirSlot(address: number): number {
    if (this.#shift === 0) return address;
    const bytes = (RECORD_BYTES * (this.#eventqMask + 1)) / 2;
    const offset = (((address % bytes) - RECORD_BYTES * this.#shift) % bytes) + bytes;
    return address - (address % bytes) + (offset % bytes);
  }

  #compareState(theirs: StateAfter): void {
    const gerror = this.#get(GERROR);
    const prod = this.#prodView(this.#get(EVENTQ_PROD));
    this.#compareStateOf("CMDQ_CONS", this.#consView(this.#get(CMDQ_CONS)), theirs.cons);
    this.#compareStateOf("EVENTQ_PROD", prod, theirs.eprod);
    this.#compareStateOf("GERROR", (gerror ^ this.#gerror) >>> 0, theirs.gerr);
    this.#compareStateOf("CR0ACK", this.#get(CR0ACK), theirs.cr0ack);
    this.#ovflg = (this.#ovflg ^ ((prod ^ theirs.eprod) & OVFLG)) >>> 0;
    this.#gerror = (gerror ^ theirs.gerr) >>> 0;
  }

  #compareStateOf(register: StateRegister, ours: number, theirs: number): void {
    if (ours === theirs) this.#equal++;
    else this.#compare(false, () => ({ what: "state", register, ours, theirs }));
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
