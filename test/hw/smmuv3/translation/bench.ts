// SPDX-License-Identifier: MIT
/** A translation side on real memory, with a register view, an event queue and a host that tests can turn. */
import { Trace } from "../../../../src/sim/index.ts";
import type { TranslationChoices } from "../../../../src/hw/smmuv3/choices.ts";
import { NotModelledLog } from "../../../../src/hw/errors.ts";
import { BusStatus, SystemBus } from "../../../../src/hw/memory/system-bus.ts";
import { profiles, type SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import type { SmmuAccessKind, SmmuEvents, SmmuHost, TlbiAddress } from "../../../../src/hw/smmuv3/ports.ts";
import { Outcome, Transaction } from "../../../../src/hw/smmuv3/transaction.ts";
import { type DecodedEvent, decodeEvent } from "../../../../src/hw/smmuv3/tables/events.ts";
import { TableArena, writeWords } from "../../../../src/hw/smmuv3/tables/memory.ts";
import { PageTable, type PageTableOptions } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { stage1Cd, stage1Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { StreamTables } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { Translator } from "../../../../src/hw/smmuv3/translation/translator.ts";
import type { GranuleBits } from "../../../../src/hw/smmuv3/translation/address-size.ts";

export const RAM = 0x4000_0000;
export const RAM_SIZE = 0x4000_0000;
/** Tables are built here; data pages of tests lie above. */
export const ARENA = 0x4000_0000;
export const ARENA_SIZE = 0x1000_0000;

export interface Request {
  readonly sid?: number;
  readonly ssid?: number;
  readonly write?: boolean;
  readonly instruction?: boolean;
  readonly privileged?: boolean;
  /** Upper word of the address, if `address` has not all of it. */
  readonly hi?: number;
}

export interface Answer {
  readonly outcome: Outcome;
  readonly physical: number;
  readonly tx: Transaction;
  /** The record that this transaction caused. */
  readonly event: DecodedEvent | undefined;
  readonly words: Uint32Array | undefined;
}

export interface BenchOptions {
  readonly detector?: boolean;
  readonly log2Size?: number;
  readonly split?: 6 | 8 | 10;
  readonly choices?: Partial<TranslationChoices>;
}

export class Bench {
  readonly config: SmmuConfig;
  readonly bus: SystemBus;
  readonly arena: TableArena = new TableArena(ARENA, ARENA_SIZE);
  readonly translator: Translator;
  readonly trace: Trace<SmmuEvents> = new Trace<SmmuEvents>();
  readonly notModelled: NotModelledLog = new NotModelledLog();
  readonly records: Uint32Array[] = [];
  readonly loads: { kind: SmmuAccessKind; address: number }[] = [];
  /** The SMMU's own writes: updates of descriptors. */
  readonly stores: { kind: SmmuAccessKind; address: number }[] = [];
  /** Called before each load, as another agent in the system would come in between. */
  onLoad: (kind: SmmuAccessKind, address: number) => void = () => {};
  enabled = true;
  atsChecked = false;
  queueOpen = true;
  gbpa = 0x1000;
  /** RECINVSID. */
  cr2 = 2;
  vmidWildcard = 0;
  strtabBase = 0;
  strtabBaseCfg = 0;
  /** SMMU_S2PII by entry. */
  s2pii: number[] = Array.from({ length: 16 }, () => 0);
  #table: StreamTables;

  constructor(changes: Partial<SmmuConfig> = {}, options: BenchOptions = {}) {
    this.config = { ...profiles.max, ...changes };
    this.bus = new SystemBus(this.config.oas);
    this.bus.addRam({ name: "ram", base: RAM, size: RAM_SIZE });
    const { detector = false, log2Size = 8, split, choices = {} } = options;
    this.#table = new StreamTables({ memory: this.bus.memory, arena: this.arena, log2Size, ...(split === undefined ? {} : { split }) });
    this.use(this.#table);
    this.translator = new Translator({
      config: this.config,
      registers: {
        smmuEnabled: () => this.enabled,
        atsChecked: () => this.atsChecked,
        gbpa: () => this.gbpa,
        cr2: () => this.cr2,
        tableAttributes: () => 0,
        vmidWildcard: () => this.vmidWildcard,
        strtabBase: () => this.strtabBase,
        strtabBaseCfg: () => this.strtabBaseCfg,
        s2pii: (index) => this.s2pii[index]!,
      },
      events: {
        record: (words) => {
          if (this.queueOpen) this.records.push(words.slice());
          return this.queueOpen;
        },
        writable: () => this.queueOpen,
      },
      host: this.#host(),
      trace: this.trace,
      notModelled: this.notModelled,
      detector,
      choices,
    });
  }

  #host(): SmmuHost {
    return {
      now: () => 0,
      after: () => {
        throw new Error("the translation side needs no timers");
      },
      load: (kind, address, out, count) => {
        this.onLoad(kind, address);
        this.loads.push({ kind, address });
        return this.bus.loadWords(address, out, count);
      },
      store: (kind, address, words, count) => {
        this.stores.push({ kind, address });
        return this.bus.storeWords(address, words, count);
      },
      peek: (address, out, count) => {
        if (!this.bus.isRam(address, 4 * count)) return BusStatus.abort;
        this.bus.memory.loadWords(address, out, count);
        return BusStatus.ok;
      },
      pulse: () => {},
      sendEvent: () => {},
    };
  }

  get streams(): StreamTables {
    return this.#table;
  }

  /** Points the registers to a Stream table. */
  use(table: StreamTables): void {
    this.#table = table;
    this.strtabBase = table.base;
    this.strtabBaseCfg = table.config;
  }

  write(address: number, words: ArrayLike<number>): void {
    writeWords(this.bus.memory, address, words);
  }

  /** Makes the SMMU's reads (or writes) of an address abort from now on. @returns what ends that */
  abortAt(address: number, size: number = 4, on: "read" | "write" = "read"): () => void {
    return this.bus.inject({ base: address, size, status: BusStatus.abort, on });
  }

  pageTable(stage: 1 | 2, granule: GranuleBits = 12, more: Partial<PageTableOptions> = {}): PageTable {
    return new PageTable({ memory: this.bus.memory, arena: this.arena, stage, granule, ...more });
  }

  /** A single CD somewhere. @returns its address */
  placeCd(words: Uint32Array): number {
    const at = this.arena.take(64);
    this.write(at, words);
    return at;
  }

  /** Stage 1 for a stream, over one TTB0 table. @returns addresses of STE and CD */
  stage1(sid: number, table: PageTable, cd: Record<string, number> = {}, ste: Record<string, number> = {}): { ste: number; cd: number } {
    const at = this.placeCd(stage1Cd({ ttb0: table }, cd));
    return { ste: this.streams.write(sid, stage1Ste(at, ste)), cd: at };
  }

  /** One transaction. */
  go(address: number, request: Request = {}): Answer {
    const tx = new Transaction();
    tx.setAddress(address);
    if (request.hi !== undefined) tx.addressHi = request.hi;
    tx.streamId = request.sid ?? 0;
    tx.substreamId = request.ssid ?? -1;
    tx.write = request.write ?? false;
    tx.instruction = request.instruction ?? false;
    tx.privileged = request.privileged ?? false;
    const before = this.records.length;
    const outcome = this.translator.translate(tx);
    const words = this.records[before];
    return { outcome, physical: tx.physical, tx, words, event: words && decodeEvent(words) };
  }

  /** Names an answer for short expectations: the physical address, or the event, or how it ended without one. */
  result(address: number, request: Request = {}): number | string {
    const { outcome, physical, event } = this.go(address, request);
    if (outcome === Outcome.forward) return physical;
    return event?.name ?? (outcome === Outcome.razWi ? "RAZ/WI" : "abort");
  }
}

/** The address operand of a TLBI without range and hints. */
export function at(address: number, more: Partial<TlbiAddress> = {}): TlbiAddress {
  return { hi: Math.floor(address / 2 ** 32), lo: address >>> 0, leaf: true, tg: 0, ttl: 0, num: 0, scale: 0, ...more };
}
