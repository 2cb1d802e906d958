// SPDX-License-Identifier: MIT
/** From a StreamID to its STE (IHI 0070 §3.3.2, §5.1; translation steps 3.1 to 3.6). */
import type { TraceSink } from "../../../sim/index.ts";
import { hex, join64 } from "../../bits/hex.ts";
import type { NotModelledLog } from "../../errors.ts";
import { BusStatus } from "../../memory/system-bus.ts";
import type { TranslationChoices } from "../choices.ts";
import type { SmmuConfig } from "./config.ts";
import type { ConfigCache, Level1Entry, SteEntry } from "./config-cache.ts";
import type { Fault } from "../queues/faults.ts";
import { type Lint, lintTo } from "../lint.ts";
import type { RegisterView, SmmuEvents, SmmuHost } from "../ports.ts";
import { EventNumber } from "../spec/events.ts";
import type { StaleDetector } from "../caches/stale-detector.ts";
import { cdTableAlignment, decodeSte, noteAbsentSteFeatures } from "./ste.ts";

export interface StreamTableDeps {
  readonly config: SmmuConfig;
  readonly registers: RegisterView;
  readonly host: SmmuHost;
  readonly cache: ConfigCache;
  readonly fault: Fault;
  readonly detector: StaleDetector | undefined;
  readonly trace: TraceSink<SmmuEvents>;
  readonly notModelled: NotModelledLog;
  readonly choices: TranslationChoices;
}

/** STRTAB_BASE_CFG and STRTAB_BASE as they act (§6.3.24, §6.3.25). */
export class StreamTableFormat {
  readonly twoLevel: boolean;
  readonly split: number;
  /** The first StreamID that is out of range. */
  readonly limit: number;
  readonly base: number;

  constructor(config: SmmuConfig, base: number, cfg: number) {
    const log2Size = cfg & 63;
    const splitField = (cfg >>> 6) & 31;
    this.twoLevel = config.twoLevelStreamTable && ((cfg >>> 16) & 3) === 1;
    this.split = splitField === 8 || splitField === 10 ? splitField : 6;
    this.limit = 2 ** Math.min(log2Size, config.sidSize);
    // Alignment goes by the size as written, the range by the size in force.
    const bytes = this.twoLevel ? Math.max(64, 8 * 2 ** (log2Size - this.split)) : 64 * 2 ** log2Size;
    this.base = base - (base % bytes);
  }
}

const SPAN_MAX = 11;

export class StreamTable {
  readonly #deps: StreamTableDeps;
  readonly #lintTo: Lint;
  #format: StreamTableFormat;
  #base = -1;
  #cfg = -1;

  constructor(deps: StreamTableDeps) {
    this.#deps = deps;
    this.#lintTo = lintTo(deps.trace);
    this.#format = new StreamTableFormat(deps.config, 0, 0);
  }

  /** Format by the registers in force. */
  #current(): StreamTableFormat {
    const { registers, config } = this.#deps;
    const base = registers.strtabBase();
    const cfg = registers.strtabBaseCfg();
    if (base !== this.#base || cfg !== this.#cfg) {
      this.#base = base;
      this.#cfg = cfg;
      this.#format = new StreamTableFormat(config, base, cfg);
    }
    return this.#format;
  }

  /**
   * The STE of a stream, valid or not.
   * @returns undefined if there is none, see `fault`
   */
  find(streamId: number): SteEntry | undefined {
    const { cache, fault, detector } = this.#deps;
    const format = this.#current();
    // 3.1
    if (streamId >= format.limit) {
      fault.raise(EventNumber.C_BAD_STREAMID);
      return undefined;
    }
    // 3.2
    const cached = cache.findSte(streamId);
    if (cached !== undefined) {
      detector?.steHit(cached, format.twoLevel ? -1 : format.base + streamId * 64);
      return cached;
    }
    if (!format.twoLevel) return this.#fetch(streamId, format.base + streamId * 64, undefined);
    const level1 = this.#level1(format, streamId);
    return level1 === undefined ? undefined : this.#second(format, streamId, level1);
  }

  /** 3.3: the level-1 descriptor of a two-level table. */
  #level1(format: StreamTableFormat, streamId: number): Level1Entry | undefined {
    const { cache, host, fault, config, detector, choices, registers } = this.#deps;
    const cached = cache.findLevel1(streamId, format.split);
    if (cached !== undefined) {
      detector?.level1Hit(cached, "ste", streamId, 0);
      return cached;
    }
    const index = Math.floor(streamId / 2 ** format.split);
    const address = format.base + index * 8;
    const words = new Uint32Array(2);
    if (address >= 2 ** config.oas || host.load("l1std", address, words, 2, undefined, registers.tableAttributes()) !== BusStatus.ok) {
      fault.raiseFetch(EventNumber.F_STE_FETCH, address);
      return undefined;
    }
    const entry: Level1Entry = { id: 0, index, leafBits: format.split, address, words, assured: false };
    if (choices.cacheInvalidLevel1 || (words[0]! & 31) !== 0) cache.keepLevel1(entry);
    this.#lintLevel1(entry);
    return entry;
  }

  #lintLevel1({ words, address, leafBits }: Level1Entry): void {
    const span = words[0]! & 31;
    if (span === 0) return;
    const pointer = join64(words[1]! & 0x00ff_ffff, words[0]! & ~0x3f);
    const what = (): string => `the L1STD at ${hex(address)}`;
    if (span > SPAN_MAX || span > leafBits + 1) {
      this.#lintTo("l1std-span-reserved", () => `${what()} has Span ${span}, SPLIT is ${leafBits}: it counts as no array`);
    } else if (span === 1 && pointer === 0) {
      this.#lintTo("l1std-is-ste", () => `${what()} has Span 1 and L2Ptr 0`);
    } else if (pointer % (64 * 2 ** (span - 1)) !== 0) {
      this.#lintTo("l1std-alignment", () => `${what()}: L2Ptr ${hex(pointer)} is not aligned to ${hex(64 * 2 ** (span - 1))} bytes`);
    }
  }

  #second(format: StreamTableFormat, streamId: number, level1: Level1Entry): SteEntry | undefined {
    const span = level1.words[0]! & 31;
    const index = streamId % 2 ** format.split;
    if (span === 0 || span > SPAN_MAX || span > format.split + 1 || index >= 2 ** (span - 1)) {
      this.#deps.fault.raise(EventNumber.C_BAD_STREAMID);
      return undefined;
    }
    const pointer = join64(level1.words[1]! & 0x00ff_ffff, level1.words[0]! & ~0x3f);
    const bytes = 64 * 2 ** (span - 1);
    return this.#fetch(streamId, pointer - (pointer % bytes) + index * 64, level1);
  }

  /** 3.4, 3.5 */
  #fetch(streamId: number, address: number, level1: Level1Entry | undefined): SteEntry | undefined {
    const { config, registers, host, cache, fault, notModelled } = this.#deps;
    const words = new Uint32Array(16);
    if (address >= 2 ** config.oas || host.load("ste", address, words, 16, undefined, registers.tableAttributes()) !== BusStatus.ok) {
      fault.raiseFetch(EventNumber.F_STE_FETCH, address);
      return undefined;
    }
    const ste = decodeSte(words, address, config, config.hyp && (registers.cr2() & 1) !== 0);
    noteAbsentSteFeatures(ste, notModelled);
    const entry: SteEntry = { id: 0, streamId, ste, level1, cds: new Map(), level1Cds: new Map() };
    cache.keepSte(entry);
    this.#lint(entry);
    return entry;
  }

  #lint({ streamId, ste }: SteEntry): void {
    const { trace } = this.#deps;
    const { broken, fields, stage1 } = ste;
    if (!trace.wants("smmu.lint")) return;
    const whose = `STE of StreamID ${hex(streamId)}`;
    if (broken !== undefined) {
      trace.emit("smmu.lint", { rule: `ste-${broken.id}`, detail: `${whose}: ${broken.text}`, section: "§5.2.2" });
    } else if (stage1 && fields.S1ContextPtr % cdTableAlignment(ste) !== 0) {
      const detail = `${whose}: S1ContextPtr ${hex(fields.S1ContextPtr)} is not aligned to ${hex(cdTableAlignment(ste))} bytes`;
      this.#lintTo("cd-table-alignment", () => detail);
    }
  }
}
