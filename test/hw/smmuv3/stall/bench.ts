// SPDX-License-Identifier: MIT
/** A whole SMMU with a stream that stalls, and clients that remember how their transactions ended. */
import {
  type DecodedEvent,
  Outcome,
  PageTable,
  type SmmuConfig,
  type SmmuOptions,
  Transaction,
  buildCommand,
  decodeEvent,
  stage1Cd,
  stage1Ste,
  writeWords,
} from "../../../../src/hw/index.ts";
import { CFGI_CD, CFGI_STE, CMDQEN, Driver, EVENTQ, EVENTQEN, SMMUEN, STREAM, SYNC, TLBI_ALL, VA, at } from "../lint/driver.ts";

export const ON: number = CMDQEN | EVENTQEN | SMMUEN;

/** One transaction of a client. */
export interface Client {
  /** What `translate` said. */
  readonly first: Outcome;
  readonly tx: Transaction;
  /** What it was told later: once at most. */
  readonly ends: { readonly outcome: Outcome; readonly physical: number; readonly event: number }[];
}

export class StallBench extends Driver {
  readonly pageTable: PageTable;
  readonly cd: number;
  /** EVENTQ_CONS, with its wrap flag. */
  cons = 0;

  /** @param log2 of the Event queue's entries */
  constructor(config: Partial<SmmuConfig> = {}, log2: number = 4, detector: boolean = true, options: SmmuOptions = {}) {
    super({ sidSize: 16, eventqLog2Max: log2, ...config }, { ...options, detector });
    this.pageTable = new PageTable({ memory: this.bus.memory, arena: this.arena, stage: 1, granule: 12 });
    this.cd = this.arena.take(64);
    this.putCd({ S: 1 });
    for (const sid of [STREAM, STREAM + 1]) this.streams.write(sid, stage1Ste(this.cd));
    this.start();
    this.lint.length = 0;
  }

  /** Writes the CD of all streams; maintenance is the caller's. */
  putCd(fields: Readonly<Record<string, number>>): void {
    writeWords(this.bus.memory, this.cd, stage1Cd({ ttb0: this.pageTable }, { ASID: 1, ...fields }));
  }

  /** One transaction. */
  go(address: number = VA, { sid = STREAM, ssid = -1, write = false } = {}): Client {
    const tx = new Transaction();
    tx.setAddress(address);
    tx.streamId = sid;
    tx.substreamId = ssid;
    tx.write = write;
    const ends: Client["ends"] = [];
    const first = this.smmu.translate(tx);
    if (tx.stall) {
      tx.stall.onEnd = (outcome, { physical, event }) => {
        ends.push({ outcome, physical, event });
      };
    }
    return { first, tx, ends };
  }

  get prodIndex(): number {
    return this.r32(at.EVENTQ_PROD) & 0x7fff_ffff;
  }

  /** Takes all records out of the Event queue, or the first ones. */
  takeEvents(most: number = 2 ** 20): DecodedEvent[] {
    const events: DecodedEvent[] = [];
    const { eventqLog2Max } = this.smmu.config;
    const log2 = Math.min(eventqLog2Max, 4);
    for (; events.length < most && this.cons !== this.prodIndex; this.cons = (this.cons + 1) % 2 ** (log2 + 1)) {
      const words = new Uint32Array(8);
      this.bus.memory.loadWords(EVENTQ + 32 * (this.cons % 2 ** log2), words, 8);
      events.push(decodeEvent(words)!);
    }
    this.w32(at.EVENTQ_CONS, this.cons);
    return events;
  }

  /** The STAG of the only record in the queue. */
  stag(): number {
    const events = this.takeEvents();
    if (events.length !== 1) throw new Error(`${events.length} records`);
    return events[0]!.fields["STAG"]!;
  }

  resume(stag: number, how: { Ac?: number; Ab?: number; sid?: number } = {}): void {
    const { Ac = 0, Ab = 0, sid = STREAM } = how;
    this.issue(buildCommand("CMD_RESUME", { StreamID: sid, STAG: stag, Ac, Ab }));
  }

  stallTerm(sid: number = STREAM): void {
    this.issue(buildCommand("CMD_STALL_TERM", { StreamID: sid }));
  }

  maintain(): void {
    this.issue(CFGI_STE, CFGI_CD, TLBI_ALL, SYNC);
  }
}

/** How a client's transaction stands: "waits" or its answer. */
export function state({ first, ends }: Client): string {
  const names = ["forward", "abort", "RAZ/WI", "waits"];
  return ends.length === 0 ? names[first]! : ends.map(({ outcome }) => names[outcome]).join(", then ");
}
