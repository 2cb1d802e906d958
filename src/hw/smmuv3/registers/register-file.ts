// SPDX-License-Identifier: MIT
/**
 * The registers as software sees them: access widths, halves, read-only and reserved bits, guards, Update protocols
 * (IHI 0070 §6.2, §6.3). Values are sanitised when they are written, so nothing behind sees a bit that does not exist.
 */
import type { TraceSink } from "../../../sim/index.ts";
import { hex, join64 } from "../../bits/hex.ts";
import type { NotModelledLog } from "../../errors.ts";
import { AcknowledgedRegister } from "./acknowledged-register.ts";
import { BypassAttributes } from "../config/bypass-attributes.ts";
import { absentBlocks, type RegisterChoices } from "../choices-registers.ts";
import type { SmmuConfig } from "../config/config.ts";
import type { Delays } from "./delays.ts";
import { has, implementedFeatures } from "./features.ts";
import { idRegisters } from "./id-registers.ts";
import type { Lint } from "../lint.ts";
import type { RegisterView, SmmuEvents } from "../ports.ts";
import { queueAttributes, tableAttributes } from "../translation/own-attributes.ts";
import { presetOrigin, presetWords } from "../config/presets.ts";
import { bitsOf, layOutRegisters, offsetOf, type RegisterWord } from "./register-layout.ts";
import { type RegisterGuard, type SmmuRegister, smmuRegisters } from "../spec/registers.ts";

const CR0 = offsetOf("CR0");
const CR0ACK = offsetOf("CR0ACK");
const CR1 = offsetOf("CR1");
const CR2 = offsetOf("CR2");
const GBPA = offsetOf("GBPA");
const IRQ_CTRL = offsetOf("IRQ_CTRL");
const IRQ_CTRLACK = offsetOf("IRQ_CTRLACK");
const STRTAB_BASE = offsetOf("STRTAB_BASE");
const S2PII = offsetOf("S2PII");
const STRTAB_BASE_CFG = offsetOf("STRTAB_BASE_CFG");

const SMMUEN = bitsOf("CR0", "SMMUEN");
const CMDQEN = bitsOf("CR0", "CMDQEN");
const EVENTQEN = bitsOf("CR0", "EVENTQEN");
const PRIQEN = bitsOf("CR0", "PRIQEN");
const ATSCHK = bitsOf("CR0ACK", "ATSCHK");
const VMW = bitsOf("CR0ACK", "VMW");
const VMW_SHIFT = 6;
/** Larger codes of CR0.VMW are reserved and act as 0. */
const VMW_LARGEST = 4;
/** RA and WA in the upper halves of base registers. */
const ALLOCATE = 1 << 30;
const UPDATE = bitsOf("GBPA", "Update");

/** Bytes of the register space: page 0 and page 1. */
export const REGISTER_SPACE = 0x2_0000;
const PAGE_SIZE = 0x1_0000;
/** Offsets that have their registers on page 1 (IHI 0070 §6.2). */
const RELOCATED: readonly number[] = [0xa8, 0xac, 0xc8, 0xcc];
/** Odd bits set in turn: what registers with an UNKNOWN reset value hold if so chosen. */
const RESET_PATTERN = 0xa5a5_a5a5;

export interface RegisterFileDeps {
  readonly config: SmmuConfig;
  readonly delays: Delays;
  readonly trace: TraceSink<SmmuEvents>;
  readonly lint: Lint;
  readonly notModelled: NotModelledLog;
  readonly choices: RegisterChoices;
}

export class RegisterFile implements RegisterView {
  readonly cr0: AcknowledgedRegister;
  readonly irqControl: AcknowledgedRegister;
  readonly #deps: RegisterFileDeps;
  readonly #layout: ReadonlyMap<number, RegisterWord>;
  readonly #tableOrigin: number;
  /** Writes that software must not make are carried out: a choice that only v3.0 and v3.1 have. */
  readonly #takesMistakes: boolean;
  readonly #words = new Uint32Array(REGISTER_SPACE / 4);
  readonly #bypass: BypassAttributes;
  readonly #writeHooks = new Map<number, (value: number, old: number) => void>();
  readonly #readMasks = new Map<number, () => number>();
  readonly #readHooks = new Map<number, () => number>();

  constructor(deps: RegisterFileDeps) {
    this.#deps = deps;
    const { config, delays } = deps;
    this.#layout = layOutRegisters(config);
    this.#takesMistakes = config.version < 2 && deps.choices.earlyMistakes === "taken";
    this.#tableOrigin = presetOrigin(config, "tables");
    const { updateNs } = config.timing;
    this.cr0 = new AcknowledgedRegister(this, CR0, CR0ACK, this.#fieldMasks(CR0), delays, updateNs);
    this.irqControl = new AcknowledgedRegister(this, IRQ_CTRL, IRQ_CTRLACK, this.#fieldMasks(IRQ_CTRL), delays, updateNs);
    this.#bypass = new BypassAttributes(config, this, delays);
    this.onWrite(CR0, (value, old) => this.cr0.written(value, old));
    this.onWrite(IRQ_CTRL, (value, old) => this.irqControl.written(value, old));
    this.onWrite(GBPA, (value) => this.#bypass.written(value));
    this.reset();
  }

  #fieldMasks(offset: number): number[] {
    const { register } = this.#layout.get(offset)!;
    const features = implementedFeatures(this.#deps.config);
    return register.fields.filter((field) => has(features, field.needs)).map((field) => bitsOf(register.name.slice(5), field.name));
  }

  /** Hardware reset. Pending Updates must have been cancelled. */
  reset(): void {
    const { config, choices } = this.#deps;
    this.#words.fill(0);
    const unknown = choices.unknownReset === "pattern" ? RESET_PATTERN : 0;
    for (const [offset, word] of this.#layout) {
      const open = word.register.access === "RW" ? word.implemented & ~word.resetKnown : 0;
      this.set(offset, word.resetValue | (unknown & open));
    }
    const values = idRegisters(config);
    for (const { name, offset } of smmuRegisters) {
      const value = values[name];
      if (value !== undefined) this.set(offset, value);
    }
    for (const [offset, value] of presetWords(config)) {
      const { preset } = this.#layout.get(offset)!;
      this.set(offset, ((this.get(offset) & ~preset) | (value & preset)) >>> 0);
    }
    this.#bypass.reset();
  }

  // The SMMU's own access to the words: no rules apply.

  /** @param offset of a 32-bit word, from page 0 */
  get(offset: number): number {
    return this.#words[offset >>> 2]!;
  }

  set(offset: number, value: number): void {
    this.#words[offset >>> 2] = value;
  }

  /** All words that are not zero, as [offset, value], in order. */
  words(): [number, number][] {
    return Array.from(this.#words, (value, index): [number, number] => [4 * index, value]).filter(([, value]) => value !== 0);
  }

  /**
   * Puts the words of another instance of this configuration in place of its own. The Update of GBPA is over then, those of CR0
   * and IRQ_CTRL start anew.
   */
  restore(words: readonly (readonly [number, number])[]): void {
    this.#words.fill(0);
    for (const [offset, value] of words) this.set(offset, value);
    this.#bypass.restore();
    this.cr0.restart();
    this.irqControl.restart();
  }

  /** Calls `hook` after software has written the word at `offset`. */
  onWrite(offset: number, hook: (value: number, old: number) => void): void {
    this.#writeHooks.set(offset, hook);
  }

  /** Software sees of the word at `offset` only the bits of `mask()`. */
  maskReads(offset: number, mask: () => number): void {
    this.#readMasks.set(offset, mask);
  }

  /** Software reads `value()` at `offset`, whatever is stored there. */
  onRead(offset: number, value: () => number): void {
    this.#readHooks.set(offset, value);
  }

  // The values in force, for the translation side.

  smmuEnabled(): boolean {
    return (this.#words[CR0ACK >>> 2]! & SMMUEN) !== 0;
  }

  atsChecked(): boolean {
    return (this.get(CR0ACK) & ATSCHK) !== 0;
  }

  gbpa(): number {
    return this.#bypass.inForce;
  }

  cr2(): number {
    return this.get(CR2);
  }

  tableAttributes(): number {
    return tableAttributes(this.get(CR1), (this.get(STRTAB_BASE + 4) & ALLOCATE) !== 0);
  }

  /** CR1.QUEUE_* with the RA or WA of the queue whose base register is at `base`. */
  queueAttributes(base: number, write: boolean): number {
    return queueAttributes(this.get(CR1), write, (this.get(base + 4) & ALLOCATE) !== 0);
  }

  vmidWildcard(): number {
    const code = (this.get(CR0ACK) & VMW) >>> VMW_SHIFT;
    return code > VMW_LARGEST ? 0 : (1 << code) - 1;
  }

  strtabBase(): number {
    return this.#tableOrigin + join64(this.get(STRTAB_BASE + 4) & 0x00ff_ffff, this.get(STRTAB_BASE) & ~0x3f);
  }

  strtabBaseCfg(): number {
    return this.get(STRTAB_BASE_CFG);
  }

  s2pii(index: number): number {
    return (this.get(S2PII + (index < 8 ? 0 : 4)) >>> (4 * (index & 7))) & 15;
  }

  // Software's access.

  /** @param offset from page 0; a multiple of 4 */
  read32(offset: number): number {
    const place = this.#place(offset);
    const hook = this.#readHooks.get(place);
    if (hook) return hook();
    const value = this.get(place);
    const mask = this.#readMasks.get(place);
    return mask ? (value & mask()) >>> 0 : value;
  }

  /** Puts the low and the high word into `out`. @param offset a multiple of 8 */
  read64(offset: number, out: Uint32Array): void {
    const wide = this.#wideAccess(offset);
    out[0] = wide ? this.read32(offset) : 0;
    out[1] = wide ? this.read32(offset + 4) : 0;
  }

  /** @param offset from page 0; a multiple of 4 */
  write32(offset: number, value: number): void {
    this.#traceWrite(offset, value, undefined);
    this.#write(offset, value);
  }

  /** @param offset a multiple of 8 */
  write64(offset: number, lo: number, hi: number): void {
    this.#traceWrite(offset, lo, hi);
    if (!this.#wideAccess(offset)) return;
    this.#write(offset, lo);
    this.#write(offset + 4, hi);
  }

  /** False: the access meets two 32-bit registers and is RAZ/WI by choice. */
  #wideAccess(offset: number): boolean {
    return this.#deps.choices.pairAccess === "both" || this.#layout.get(this.#place(offset))?.register.width === 64;
  }

  #place(offset: number): number {
    return this.#deps.config.page0Alias && RELOCATED.includes(offset) ? offset + PAGE_SIZE : offset;
  }

  #write(offset: number, value: number): void {
    const place = this.#place(offset);
    const word = this.#layout.get(place);
    if (word === undefined) {
      this.#writeUndefined(offset, value);
      return;
    }
    const { register } = word;
    const { lint } = this.#deps;
    if (register.access === "RO" || (word.preset !== 0 && word.writable === 0)) {
      lint("write-read-only", () => `${hex(value, 8)} written to ${register.name}, which is read-only`, register.section);
      return;
    }
    if ((value & ~word.defined) !== 0) {
      lint(
        "reserved-bits",
        () => `${hex(value, 8)} written to ${wordName(word)} sets reserved bits ${hex((value & ~word.defined) >>> 0)}`,
        register.section,
      );
    }
    const old = this.get(place);
    const open = this.#openBits(place, word, value, old);
    if (open === 0) return;
    const next = this.#sanitise(place, register, ((old & ~open) | (value & open)) >>> 0, old);
    if (next === undefined) return;
    this.set(place, next);
    this.#writeHooks.get(place)?.(next, old);
  }

  /** The writable bits whose guard does not hold. */
  #openBits(place: number, word: RegisterWord, value: number, old: number): number {
    let open = word.writable;
    for (const { guard, bits } of word.guards) {
      if ((open & bits) === 0 || !this.#guardHolds(guard, place)) continue;
      if (!this.#takesMistakes) open &= ~bits;
      if (((value ^ old) & bits) !== 0) {
        const { register } = word;
        const verdict = this.#takesMistakes ? "should not have been" : "is ignored";
        this.#deps.lint(
          "guarded-write",
          () => `${hex(value, 8)} written to ${wordName(word)} ${verdict}: ${guard} is set or in transition`,
          register.section,
        );
      }
    }
    return open;
  }

  #guardHolds(guard: RegisterGuard, place: number): boolean {
    switch (guard) {
      case "SMMUEN":
        return (this.cr0.inUse & SMMUEN) !== 0;
      case "CMDQEN":
        return (this.cr0.inUse & CMDQEN) !== 0;
      case "EVENTQEN":
        return (this.cr0.inUse & EVENTQEN) !== 0;
      case "PRIQEN":
        return (this.cr0.inUse & PRIQEN) !== 0;
      case "any-queue":
        return (this.cr0.inUse & (CMDQEN | EVENTQEN | PRIQEN)) !== 0;
      case "EVENTQ_IRQEN":
      case "PRIQ_IRQEN":
      case "GERROR_IRQEN":
        return (this.irqControl.inUse & bitsOf("IRQ_CTRL", guard)) !== 0;
      case "Update":
        return (this.get(place) & UPDATE) !== 0;
      case "RUN":
      case "DPT_WALK_EN":
        return false; // Only registers that no configuration has use these.
    }
  }

  /** What a write stores, or undefined if the register's protocol ignores it. */
  #sanitise(place: number, register: SmmuRegister, value: number, old: number): number | undefined {
    const { lint } = this.#deps;
    if (place === GBPA && !this.#bypass.accepts(value)) {
      lint("gbpa-without-update", () => `${hex(value, 8)} written to SMMU_GBPA without Update has no effect`, register.section);
      return this.#takesMistakes ? value : undefined;
    }
    if (place !== CR0 && place !== IRQ_CTRL) return value;
    const sanitised = (place === CR0 ? this.cr0 : this.irqControl).sanitise(value, old);
    const next = this.#takesMistakes ? value : sanitised;
    if (sanitised !== value) {
      lint(
        "field-in-transition",
        () => `${hex(value, 8)} written to ${register.name} changes fields that are not yet acknowledged`,
        register.section,
      );
    }
    return next;
  }

  #writeUndefined(offset: number, value: number): void {
    if (value === 0) return;
    const block = absentBlocks.find(({ first, last }) => offset >= first && offset <= last);
    if (block) this.#deps.notModelled.note(`write to ${block.name}`);
    this.#deps.lint("write-undefined", () => `${hex(value, 8)} written to offset ${hex(offset, 5)}, which is reserved`);
  }

  #traceWrite(offset: number, lo: number, hi: number | undefined): void {
    const { trace } = this.#deps;
    if (!trace.wants("smmu.write")) return;
    const first = this.#nameAt(offset);
    const second = hi === undefined ? first : this.#nameAt(offset + 4);
    const register = first === second ? first : `${first}, ${second}`;
    trace.emit("smmu.write", { offset, register, valueLo: lo >>> 0, valueHi: hi });
  }

  #nameAt(offset: number): string {
    return this.#layout.get(this.#place(offset))?.register.name ?? "reserved";
  }
}

function wordName(word: RegisterWord): string {
  return word.half === 1 ? `${word.register.name}[63:32]` : word.register.name;
}
