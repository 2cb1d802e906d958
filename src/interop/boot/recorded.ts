// SPDX-License-Identifier: MIT
/**
 * The boots in a recording: each probe and reset of the SMMU up to the attach of the first device, and in what state it
 * found the SMMU. A boot begins where a driver reads IDR0 after something else.
 */
import type { Effect, TraceRecord } from "../replay/recording.ts";
import { BootSequence, type Peek, wordsOf } from "./sequence.ts";
import { streamTable, structureLines } from "./structures.ts";

const IDR0 = 0x00;
const CR0 = 0x20;
const STRTAB_BASE = 0x80;
const STRTAB_BASE_CFG = 0x88;
const CMDQ_PROD = 0x98;
const SMMUEN = 1;
const OPCODE = {
  prefetchConfig: 0x01,
  cfgiSte: 0x03,
  cfgiSteRange: 0x04,
  cfgiCd: 0x05,
  nhAsid: 0x11,
  s12Vmall: 0x28,
  nsnhAll: 0x30,
  sync: 0x46,
};
const PAGE = 4096;

export interface RegisterWrite {
  readonly offset: number;
  readonly size: 4 | 8;
  readonly lo: number;
  readonly hi: number;
}

export interface RecordedBoot {
  /** IDR0 … IDR5 and AIDR. */
  readonly idr: readonly number[];
  readonly aidr: number;
  /** The last value that each register was given since the last reset, the latest last: what this boot found. */
  readonly before: readonly RegisterWrite[];
  /** It found the SMMU enabled: a crash kernel. */
  readonly crash: boolean;
  /** The StreamID of the first device; undefined if the recording ends before. */
  readonly sid: number | undefined;
  readonly lines: readonly string[];
  /** The first device's STE and CD at its first request; empty if there is none. */
  readonly structures: readonly string[];
}

/** Memory as far as records tell it. */
class Told {
  readonly #pages = new Map<number, Uint8Array>();

  put(address: number, bytes: Uint8Array): void {
    for (const [index, byte] of bytes.entries()) {
      const number = Math.floor((address + index) / PAGE);
      let page = this.#pages.get(number);
      if (page === undefined) this.#pages.set(number, (page = new Uint8Array(PAGE)));
      page[(address + index) % PAGE] = byte;
    }
  }

  readonly peek: Peek = (address, out) => {
    for (const index of out.keys()) out[index] = this.#pages.get(Math.floor((address + index) / PAGE))?.[(address + index) % PAGE] ?? 0;
  };
}

/** One boot while it is read. */
class Boot {
  readonly before: readonly RegisterWrite[];
  readonly sequence: BootSequence;
  sid: number | undefined;
  crash = false;
  structures: readonly string[] = [];
  /** Nothing that follows belongs to it. */
  over = false;
  #tag: string | undefined;

  constructor(before: readonly RegisterWrite[], told: Told) {
    this.before = before;
    this.sequence = new BootSequence(told.peek);
  }

  /** Whether commands are still about the first device, or about none. */
  takes(commands: readonly (readonly number[])[]): boolean {
    return commands.every((words) => this.#takes(words));
  }

  #takes([word0 = 0, word1 = 0]: readonly number[]): boolean {
    switch (word0 & 0xff) {
      case OPCODE.cfgiSte:
      case OPCODE.cfgiCd:
      case OPCODE.prefetchConfig:
        this.sid ??= word1;
        return this.sid === word1;
      case OPCODE.nhAsid:
      case OPCODE.s12Vmall: {
        const tag = `${word0 & 0xff} ${word1}`;
        this.#tag ??= tag;
        return this.#tag === tag;
      }
      case OPCODE.cfgiSteRange:
      case OPCODE.nsnhAll:
      case OPCODE.sync:
        return true;
      default:
        return false;
    }
  }
}

export class RecordedBoots {
  readonly #told = new Told();
  readonly #boots: RecordedBoot[] = [];
  #idr: readonly number[] = [];
  #aidr = 0;
  readonly #written = new Map<number, RegisterWrite>();
  #boot: Boot | undefined;
  #lastRead = -1;
  #strtab = { lo: 0, hi: 0, config: 0 };

  /** The boots so far; call it when the recording is read. */
  get boots(): readonly RecordedBoot[] {
    this.#close();
    return this.#boots;
  }

  apply(record: TraceRecord): void {
    if (record.t === "w" || record.t === "x") {
      for (const { address, bytes } of record.memory) this.#told.put(address, bytes);
      for (const effect of record.effects) this.#effect(effect);
    }
    if (record.t === "reset") this.#reset(record.idr, record.aidr);
    else if (record.t === "r") this.#read(record.offset, record.lo);
    else if (record.t === "w") this.#write(record);
    else if (record.t === "x") this.#request(record.sid);
  }

  #effect(effect: Effect): void {
    if (effect.kind === "command") this.#told.put(effect.address, effect.bytes);
  }

  #reset(idr: readonly number[], aidr: number): void {
    this.#close();
    this.#idr = idr;
    this.#aidr = aidr;
    this.#written.clear();
  }

  #read(offset: number, value: number): void {
    if (offset === IDR0 && this.#lastRead !== IDR0) {
      this.#close();
      this.#boot = new Boot([...this.#written.values()], this.#told);
    }
    this.#lastRead = offset;
    const boot = this.#boot;
    if (boot === undefined || boot.over) return;
    if (offset === CR0) boot.crash ||= (value & SMMUEN) !== 0;
    boot.sequence.read(offset, value);
  }

  #write({ offset, size, lo, hi, effects }: RegisterWrite & { readonly effects: readonly Effect[] }): void {
    this.#lastRead = -1;
    this.#written.delete(offset);
    this.#written.set(offset, { offset, size, lo, hi });
    if (offset === STRTAB_BASE) Object.assign(this.#strtab, { lo, hi });
    if (offset === STRTAB_BASE_CFG) this.#strtab.config = lo;
    const boot = this.#boot;
    if (boot === undefined || boot.over) return;
    const commands = effects.flatMap((effect) => (effect.kind === "command" ? [wordsOf(effect.bytes)] : []));
    boot.over = offset === CMDQ_PROD && !boot.takes(commands);
    if (!boot.over) boot.sequence.write(offset, size, lo, hi);
  }

  /** The first request of the first device shows its structures. */
  #request(sid: number): void {
    const boot = this.#boot;
    if (boot === undefined || boot.sid !== sid) return;
    const { lo, hi, config } = this.#strtab;
    boot.structures = structureLines(this.#told.peek, streamTable(lo, hi, config), sid);
    this.#close();
  }

  #close(): void {
    const boot = this.#boot;
    this.#boot = undefined;
    if (boot === undefined) return;
    const { before, crash, sid, structures } = boot;
    this.#boots.push({ idr: this.#idr, aidr: this.#aidr, before, crash, sid, lines: boot.sequence.lines, structures });
  }
}
