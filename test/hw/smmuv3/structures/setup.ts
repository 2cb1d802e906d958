// SPDX-License-Identifier: MIT
/** One legal STE of each kind for a configuration, and what a handful of transactions shows of a changed one. */
import { type Field, setField } from "../../../../src/hw/bits/fields.ts";
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { type Outcome, Transaction } from "../../../../src/hw/smmuv3/transaction.ts";
import { CD } from "../../../../src/hw/smmuv3/spec/cd.ts";
import { STE } from "../../../../src/hw/smmuv3/spec/ste.ts";
import type { Structure } from "../../../../src/hw/smmuv3/spec/structure.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import type { PageTable } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { Bench } from "../translation/bench.ts";

/** Multiples of every granule, below every size limit. */
export const VA = 0x1_0000;
export const PA = 0x5000_0000;
/** Below tables that forbid writes, unless hierarchical attributes are disabled. */
const FAR = 0x4000_0000;
/** Added to an address of the lower half of 39 bits: the same one in the upper half. */
const UPPER = 2 ** 52;
const GRANULES = [12, 14, 16] as const;

export type Kind = "abort" | "bypass" | "stage 1" | "EL2" | "substreams" | "stage 2" | "nested" | "overlay";
export const KINDS: readonly Kind[] = ["abort", "bypass", "stage 1", "EL2", "substreams", "stage 2", "nested", "overlay"];

/** Fields by name; S2POI, which has 64 bits, in two halves. */
export type Fields = Record<string, number>;

/** Pointers are whole addresses. */
function unit(field: Field): number {
  return /Ptr$|TTB/u.test(field.name) ? 2 ** (field.lo % 64) : 1;
}

/** The parts in which a field is set: S2POI has 64 bits. */
export function partsOf(field: Field): readonly Field[] {
  if (field.hi - field.lo < 52) return [field];
  return [
    { name: `${field.name}lo`, hi: field.lo + 31, lo: field.lo },
    { name: `${field.name}hi`, hi: field.hi, lo: field.lo + 32 },
  ];
}

const FIELDS = new Map(
  [STE, CD].map((structure) => [structure, new Map(structure.fields.flatMap(partsOf).map((field) => [field.name, field]))]),
);

/** A field of the STE or the CD, or half of one. */
export function fieldOf(structure: Structure, name: string): Field {
  return FIELDS.get(structure)!.get(name)!;
}

export function encode(structure: Structure, fields: Fields): Uint32Array {
  const words = new Uint32Array(structure.words);
  for (const [name, value] of Object.entries(fields)) {
    const field = fieldOf(structure, name);
    setField(words, field, value / unit(field));
  }
  return words;
}

/** All fields of a structure as zero. */
export function zero(structure: Structure): Fields {
  return Object.fromEntries(structure.fields.flatMap(partsOf).map(({ name }) => [name, 0]));
}

/** Values of a field worth trying: all of a small one, else the ends, every single bit and every single bit missing. */
export function valuesOf(field: Field): readonly number[] {
  const width = field.hi - field.lo + 1;
  const scale = unit(field);
  const all = 2 ** width - 1;
  if (width <= 6) return Array.from({ length: all + 1 }, (_, value) => value * scale);
  const bits = Array.from({ length: width }, (_, bit) => 2 ** bit);
  return [0, all, ...bits, ...(width > 32 ? [] : bits.map((bit) => all - bit))].map((value) => value * scale);
}

export class Setup {
  readonly config: SmmuConfig;
  readonly bench: Bench;
  readonly granule: 12 | 14 | 16;
  /** IPA bits. */
  readonly inputBits: number;
  readonly ste: Readonly<Record<Kind, Fields>>;
  /** A legal CD over TTB0 and TTB1, and where it is. */
  readonly cd: Fields;
  readonly cdAddress: number;
  readonly #tx = new Transaction();
  #structure: Structure = STE;
  #at = 0;
  #base: Fields = {};
  /** What the fields changed last were before. */
  #changed: Fields = {};

  constructor(config: SmmuConfig) {
    this.config = config;
    this.bench = new Bench(config, { log2Size: 1 });
    const there = { 12: config.gran4k, 14: config.gran16k, 16: config.gran64k };
    this.granule = GRANULES.find((granule) => there[granule])!;
    this.inputBits = Math.min(39, config.oas);
    const page = 2 ** this.granule;
    const bigEndian = config.ttEndian === "big";
    const s1 = this.bench.pageTable(1, this.granule, { inputBits: 39, bigEndian });
    s1.map(VA, PA, page);
    s1.entryAddress(FAR, 3, { apTable: 2 });
    s1.map(FAR, PA, page);
    const cds = new CdTable({ memory: this.bench.bus.memory, arena: this.bench.arena, cdMax: 2, format: 0 });
    this.cdAddress = cds.base;
    this.cd = this.#cd(s1, bigEndian);
    for (const index of [0, 1, 2, 3]) this.bench.write(cds.cdAddress(index), encode(CD, this.cd));
    const s2 = this.bench.pageTable(2, this.granule, { inputBits: this.inputBits, startLevel: this.granule === 12 ? 1 : 2, bigEndian });
    s2.map(VA, PA, page);
    s2.map(PA, PA, page);
    s2.map(0x4000_0000, 0x4000_0000, 0x10_0000);
    const one = { ...zero(STE), V: 1, SHCFG: 1 };
    const force = config.stallModel === "force" ? 1 : 0;
    const first = { S1ContextPtr: this.cdAddress };
    const second = {
      S2T0SZ: 64 - this.inputBits,
      S2SL0: 1,
      S2TG: { 12: 0, 14: 2, 16: 1 }[this.granule],
      S2PS: 5,
      S2AA64: 1,
      S2R: 1,
      S2S: force,
      S2ENDI: bigEndian ? 1 : 0,
      S2TTB: s2.base,
      S2VMID: 7,
    };
    this.ste = {
      abort: { ...one, Config: 0 },
      bypass: { ...one, Config: 4 },
      "stage 1": { ...one, ...first, Config: 5 },
      EL2: { ...one, ...first, Config: 5, STRW: config.hyp ? 2 : 0 },
      substreams: { ...one, ...first, Config: 5, S1CDMax: config.ssidSize === 0 ? 0 : 2, S1DSS: 2 },
      "stage 2": { ...one, ...second, Config: 6 },
      nested: { ...one, ...first, ...second, Config: 7 },
      overlay: { ...one, ...second, Config: 6, S2PIE: 1, S2POE: 1, S2POIlo: 0xcccc_cccc, S2POIhi: 0xcccc_cccc },
    };
  }

  #cd(table: PageTable, bigEndian: boolean): Fields {
    const other = this.bench.pageTable(1, this.granule, { inputBits: 39, bigEndian });
    return {
      ...zero(CD),
      V: 1,
      AA64: 1,
      A: 1,
      R: 1,
      S: this.config.stallModel === "force" ? 1 : 0,
      ENDI: bigEndian ? 1 : 0,
      ASID: 5,
      IPS: 5,
      T0SZ: 25,
      TG0: { 12: 0, 14: 2, 16: 1 }[this.granule],
      SH0: 3,
      TTB0: table.base,
      T1SZ: 25,
      TG1: { 12: 2, 14: 1, 16: 3 }[this.granule],
      SH1: 3,
      TTB1: other.base,
      MAIR0: 0xff,
    };
  }

  /** The kinds that the configuration can have. */
  get kinds(): readonly Kind[] {
    const { stage1, stage2, s2po } = this.config;
    const there: Readonly<Record<Kind, boolean>> = {
      abort: true,
      bypass: true,
      "stage 1": stage1,
      EL2: stage1,
      substreams: stage1,
      "stage 2": stage2,
      nested: stage1 && stage2,
      overlay: stage2 && s2po,
    };
    return KINDS.filter((kind) => there[kind]);
  }

  /** Writes the STE of the stream, over the legal CD. */
  place(ste: Fields): void {
    this.bench.write(this.cdAddress, encode(CD, this.cd));
    this.#put(STE, this.bench.streams.write(0, encode(STE, ste)), ste);
  }

  /** Writes the CD that the STE placed last leads to. */
  placeCd(cd: Fields): void {
    this.bench.write(this.cdAddress, encode(CD, cd));
    this.#put(CD, this.cdAddress, cd);
  }

  #put(structure: Structure, at: number, base: Fields): void {
    this.#structure = structure;
    this.#at = at;
    this.#base = base;
    this.#changed = {};
    this.bench.translator.reset();
  }

  /** The structure placed last with some fields changed. */
  change(fields: Fields): void {
    for (const [name, value] of Object.entries({ ...this.#changed, ...fields })) this.#poke(name, value);
    this.#changed = Object.fromEntries(Object.keys(fields).map((name) => [name, this.#base[name]!]));
    this.bench.translator.reset();
  }

  #poke(name: string, value: number): void {
    const field = fieldOf(this.#structure, name);
    const { memory } = this.bench.bus;
    const first = field.lo >> 5;
    const words = [0, 1, 2].map((i) => (first + i < 16 ? memory.read32(this.#at + 4 * (first + i)) : 0));
    setField(words, { name, hi: field.hi - 32 * first, lo: field.lo & 31 }, value / unit(field));
    for (const [i, word] of words.entries()) if (first + i < 16) memory.write32(this.#at + 4 * (first + i), word);
  }

  /** The number of the event that a read causes, or 0. */
  event(): number {
    this.#go(VA, false, false, false, -1);
    return this.#tx.event;
  }

  #go(address: number, write: boolean, instruction: boolean, privileged: boolean, substreamId: number): Outcome {
    const tx = this.#tx;
    this.bench.loads.length = 0;
    this.bench.records.length = 0;
    tx.setAddress(address % UPPER);
    if (address >= UPPER) tx.addressHi = 0xffff_ff80;
    tx.streamId = 0;
    tx.substreamId = substreamId;
    tx.write = write;
    tx.instruction = instruction;
    tx.privileged = privileged;
    return this.bench.translator.translate(tx);
  }

  #look(address: number, write = false, instruction = false, privileged = false, substreamId = -1): string {
    const { records } = this.bench;
    const outcome = this.#go(address, write, instruction, privileged, substreamId);
    const { physical, via, event, attributes, shareability, outputInstruction, outputPrivileged } = this.#tx;
    // A stall's tag is a new one each time; nothing else of its record changes.
    if (records[0]) records[0][2] = 0;
    return [outcome, physical, via, event, attributes, shareability, outputInstruction, outputPrivileged, ...records].join();
  }

  /** All that is to be seen of a read, a write, an instruction fetch, and of accesses that cannot succeed. */
  view(): string {
    const succeed = [this.#look(VA), this.#look(VA, true, false, true), this.#look(VA, false, true)];
    const fail = [
      this.#look(FAR, true),
      this.#look(VA, false, false, false, 1),
      this.#look(3 * VA),
      this.#look(3 * VA, true),
      this.#look(UPPER + VA),
    ];
    return [...succeed, ...fail].join(";");
  }
}
