// SPDX-License-Identifier: MIT
/** A whole SMMU with ATS, driven by registers and queues, and a function behind it that writes down what it is sent. */
import {
  AtsStatus,
  type DecodedEvent,
  type InvalidateEnd,
  type InvalidateRequest,
  nestedSte,
  Outcome,
  PageTable,
  type PageTableOptions,
  type SmmuConfig,
  type SmmuOptions,
  stage1Cd,
  stage1Ste,
  stage2Ste,
  Transaction,
  TransactionKind,
  type TranslationCompletion,
  type TranslationRequest,
  Via,
  decodeEvent,
  writeWords,
} from "../../../../src/hw/index.ts";
import { at, CMDQEN, Driver, EVENTQ, EVENTQEN, QUEUE, SMMUEN, STREAM } from "../lint/driver.ts";

export { at, CMDQEN, EVENTQEN, SMMUEN, STREAM } from "../lint/driver.ts";

export const ATSCHK = 16;
export const ON: number = CMDQEN | EVENTQEN | SMMUEN;
/** CR2. */
export const RECINVSID = 2;
export const REC_CFG_ATS = 8;
/** A page of the device, its IPA where there are two stages, and its PA. */
export const VA = 0x1234_5000;
export const IPA = 0x5555_6000;
export const PA = 0x4080_0000;

/** An Invalidate Request as it was sent. */
export interface Sent {
  readonly streamId: number;
  readonly request: InvalidateRequest;
  readonly ended: (how: InvalidateEnd) => void;
}

/** A completion in short: what was granted at which address, or why not. */
export interface Short {
  readonly to: number;
  readonly size: number;
  readonly rights: string;
}

export interface AtsOptions {
  readonly config?: Partial<SmmuConfig>;
  readonly options?: SmmuOptions;
}

export class AtsBench extends Driver {
  readonly sent: Sent[] = [];
  /** How each Invalidate Request ends at once; undefined: the test ends it. */
  endsAt: InvalidateEnd | undefined = "completed";
  #cons = 0;

  constructor({ config = {}, options = {} }: AtsOptions = {}) {
    const lines: { invalidateAtc: (streamId: number, request: InvalidateRequest, ended: (how: InvalidateEnd) => void) => void } = {
      invalidateAtc: () => {},
    };
    super(config, options, { invalidateAtc: (...given) => lines.invalidateAtc(...given) });
    lines.invalidateAtc = (streamId, request, ended) => {
      this.sent.push({ streamId, request, ended });
      if (this.endsAt !== undefined) ended(this.endsAt);
    };
  }

  /** Queues, enables, and which ATS records are wanted. */
  run(cr2: number = RECINVSID, cr0: number = ON | ATSCHK): this {
    this.start();
    this.cr0(0);
    this.w32(at.CR2, cr2);
    this.startQueues();
    this.#cons = 0;
    this.cr0(cr0);
    this.lint.length = 0;
    return this;
  }

  pageTable(stage: 1 | 2, options: Partial<PageTableOptions> = {}): PageTable {
    return new PageTable({ memory: this.bus.memory, arena: this.arena, stage, granule: 12, ...options });
  }

  /** A CD in memory of its own. */
  putCd(table: PageTable, fields: Readonly<Record<string, number>> = {}, where: number = this.arena.take(64)): number {
    writeWords(this.bus.memory, where, stage1Cd({ ttb0: table }, { ASID: 1, ...fields }));
    return where;
  }

  /** A stage-1 stream with full ATS. @returns its CD */
  stage1(table: PageTable, cd: Readonly<Record<string, number>> = {}, ste: Readonly<Record<string, number>> = {}): number {
    const where = this.putCd(table, cd);
    this.streams.write(STREAM, stage1Ste(where, { EATS: 1, ...ste }));
    return where;
  }

  stage2(table: PageTable, ste: Readonly<Record<string, number>> = {}): void {
    this.streams.write(STREAM, stage2Ste(table, { EATS: 1, ...ste }));
  }

  /** A nested stream: structures and tables lie where stage 2 maps them to themselves. */
  nested(
    first: PageTable,
    second: PageTable,
    cd: Readonly<Record<string, number>> = {},
    ste: Readonly<Record<string, number>> = {},
  ): number {
    const where = this.putCd(first, cd);
    second.map(0x4040_0000, 0x4040_0000, 0x40_0000);
    this.streams.write(STREAM, nestedSte(where, second, { EATS: 1, ...ste }));
    return where;
  }

  request(address: number = VA, more: Partial<TranslationRequest> = {}, sid: number = STREAM): TranslationCompletion {
    const addressHi = Math.floor(address / 2 ** 32);
    const base = { substreamId: -1, noWrite: false, execute: false, privileged: false };
    return this.smmu.requestTranslation(sid, { ...base, addressHi, addressLo: address >>> 0, ...more });
  }

  /** The same in short: "UR", "CA", "none", or where to. */
  tr(address: number = VA, more: Partial<TranslationRequest> = {}, sid: number = STREAM): Short | string {
    const { status, read, write, execute, ...rest } = this.request(address, more, sid);
    if (status === AtsStatus.unsupportedRequest) return "UR";
    if (status === AtsStatus.completerAbort) return "CA";
    if (!read && !write) return "none";
    const to = rest.translatedHi * 2 ** 32 + rest.translatedLo;
    return { to, size: rest.sizeLog2, rights: `${read ? "R" : ""}${write ? "W" : ""}${execute ? "X" : ""}` };
  }

  /** What is granted alone. */
  rights(address: number = VA, more: Partial<TranslationRequest> = {}): string {
    const short = this.tr(address, more);
    return typeof short === "string" ? short : short.rights;
  }

  /** A Translated transaction. */
  translated(
    address: number,
    {
      write = false,
      ssid = -1,
      privileged = false,
      instruction = false,
      sid = STREAM,
      kind = TransactionKind.ordinary as TransactionKind,
    } = {},
  ): Transaction & { readonly outcome: Outcome } {
    const tx = new Transaction();
    tx.setAddress(address);
    tx.kind = kind;
    tx.streamId = sid;
    tx.substreamId = ssid;
    tx.write = write;
    tx.privileged = privileged;
    tx.instruction = instruction;
    tx.translated = true;
    const outcome = this.smmu.translate(tx);
    return Object.assign(tx, { outcome });
  }

  /** Its physical address, or how it ended. */
  passes(address: number, how: Parameters<AtsBench["translated"]>[1] = {}): number | string {
    const { outcome, physical } = this.translated(address, how);
    return outcome === Outcome.forward ? physical : (["", "abort", "RAZ/WI", "stalled"][outcome] ?? "");
  }

  /** An ordinary access. */
  dmaAt(address: number, write: boolean = false): number | undefined {
    const tx = new Transaction();
    tx.setAddress(address);
    tx.streamId = STREAM;
    tx.write = write;
    return this.smmu.translate(tx) === Outcome.forward ? tx.physical : undefined;
  }

  /** New records of the Event queue. */
  events(): DecodedEvent[] {
    const events: DecodedEvent[] = [];
    for (; this.#cons !== (this.r32(at.EVENTQ_PROD) & 0x7fff_ffff); this.#cons = (this.#cons + 1) % 2 ** (QUEUE + 1)) {
      const words = new Uint32Array(8);
      this.bus.memory.loadWords(EVENTQ + 32 * (this.#cons % 2 ** QUEUE), words, 8);
      events.push(decodeEvent(words)!);
    }
    this.w32(at.EVENTQ_CONS, this.#cons);
    return events;
  }

  eventNames(): string[] {
    return this.events().map(({ name }) => name);
  }

  get activeErrors(): number {
    return (this.r32(at.GERROR) ^ this.r32(at.GERRORN)) >>> 0;
  }
}

export { AtsStatus, Via };
