// SPDX-License-Identifier: MIT
/** Building STEs, CDs, level-1 descriptors and commands from field values, by the tables of fields. */
import { type Field, setField } from "../../bits/fields.ts";
import { HostMisuseError } from "../../errors.ts";
import type { GranuleBits } from "../translation/address-size.ts";
import { CD, L1CD } from "../spec/cd.ts";
import { type CommandField, smmuCommands } from "../spec/commands.ts";
import { L1STD, STE } from "../spec/ste.ts";
import type { Structure } from "../spec/structure.ts";
import { checkInteger, checkNames, hint, shown } from "../../checks.ts";
import { PageTable } from "./page-table.ts";
import { PageTable128 } from "./page-table128.ts";

/** Field values by the specification's names. Pointers (S1ContextPtr, S2TTB, TTB0, TTB1, L2Ptr) are whole addresses. */
export type FieldValues = Readonly<Record<string, number>>;

/** Fields that hold an address without its low bits, which are 0. The bits have their natural place in a doubleword. */
const POINTERS: ReadonlySet<string> = new Set(["S1ContextPtr", "S2TTB", "TTB0", "TTB1", "L2Ptr"]);

/** Codes of granules: TG0 and S2TG, and TG1. */
const TG0: Readonly<Record<GranuleBits, number>> = { 12: 0, 14: 2, 16: 1 };
const TG1: Readonly<Record<GranuleBits, number>> = { 12: 2, 14: 1, 16: 3 };

/** Sets a field whose bit 0 stands for `unit`. */
function put(words: Uint32Array, owner: string, field: Field, value: number, unit: number): void {
  const largest = (2 ** (field.hi - field.lo + 1) - 1) * unit;
  checkInteger("FIELD_VALUE", `${owner}.${field.name}`, value, 0, largest, unit);
  setField(words, field, value / unit);
}

function unknownField(owner: string, name: string, fields: readonly Field[]): HostMisuseError {
  const meant = fields.find((field) => field.name.toLowerCase() === name.toLowerCase());
  const hint = meant ? `${meant.name} is meant` : `there are ${fields.map((field) => field.name).join(", ") || "none"}`;
  return new HostMisuseError("UNKNOWN_FIELD", `${owner} has no field ${shown(name)}: ${hint}`);
}

function entriesOf(owner: string, values: FieldValues): readonly (readonly [string, number])[] {
  if (typeof values !== "object" || values === null) {
    throw new HostMisuseError("FIELD_VALUE", `fields of ${owner}: ${shown(values)} where an object is expected, such as { StreamID: 1 }`);
  }
  return Object.entries(values);
}

function build(structure: Structure, values: FieldValues): Uint32Array {
  const words = new Uint32Array(structure.words);
  for (const [name, value] of entriesOf(structure.name, values)) {
    const field = structure.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw unknownField(structure.name, name, structure.fields);
    put(words, structure.name, field, value, POINTERS.has(name) ? 2 ** (field.lo % 64) : 1);
  }
  return words;
}

/** An STE of any fields. @throws HostMisuseError for an unknown field or a value that does not fit */
export function buildSte(values: FieldValues): Uint32Array {
  return build(STE, values);
}

/** Config 0b000: transactions abort without an event. */
export function abortSte(values: FieldValues = {}): Uint32Array {
  return buildSte({ V: 1, Config: 0, ...values });
}

/** Config 0b100. SHCFG is "use incoming". */
export function bypassSte(values: FieldValues = {}): Uint32Array {
  return buildSte({ V: 1, Config: 4, SHCFG: 1, ...values });
}

/** Config 0b101. @param cdTable physical address of the CD or CD table */
export function stage1Ste(cdTable: number, values: FieldValues = {}): Uint32Array {
  return buildSte({ V: 1, Config: 5, S1ContextPtr: cdTable, S1CIR: 1, S1COR: 1, S1CSH: 3, SHCFG: 1, ...values });
}

/** Config 0b110. @throws HostMisuseError unless `table` is a PageTable or PageTable128 of stage 2 */
export function stage2Ste(table: PageTable | PageTable128, values: FieldValues = {}): Uint32Array {
  return buildSte({ V: 1, Config: 6, SHCFG: 1, ...stage2Fields(table), ...values });
}

/**
 * Config 0b111.
 * @param cdTable intermediate address of the CD or CD table
 * @throws HostMisuseError unless `table` is a PageTable or PageTable128 of stage 2
 */
export function nestedSte(cdTable: number, table: PageTable | PageTable128, values: FieldValues = {}): Uint32Array {
  return buildSte({ V: 1, Config: 7, S1ContextPtr: cdTable, S1CIR: 1, S1COR: 1, S1CSH: 3, SHCFG: 1, ...stage2Fields(table), ...values });
}

function checkTable(what: string, table: PageTable | PageTable128, stage: 1 | 2): void {
  const found = table instanceof PageTable || table instanceof PageTable128 ? `one of stage ${table.stage}` : shown(table);
  if (found !== `one of stage ${stage}`)
    throw new HostMisuseError("WRONG_TABLE", `${what} has to be a PageTable of stage ${stage}; it is ${found}`);
}

/**
 * The STE fields that lead to a stage-2 table. Faults are recorded; the output size is as large as it can be. Permissions of a
 * PageTable128 are those of SMMU_S2PII.
 * @throws HostMisuseError unless `table` is a PageTable or PageTable128 of stage 2
 */
export function stage2Fields(table: PageTable | PageTable128): FieldValues {
  checkTable("the table of an STE", table, 2);
  const { granule, inputBits, base, bigEndian } = table;
  const plain = {
    S2T0SZ: 64 - inputBits,
    S2TG: TG0[granule],
    S2IR0: 1,
    S2OR0: 1,
    S2SH0: 3,
    S2ENDI: bigEndian ? 1 : 0,
    S2R: 1,
    S2TTB: base,
  };
  if (table instanceof PageTable128) return { ...plain, S2PS: 6, S2SKL: table.skip };
  const { startLevel, ds } = table;
  return {
    ...plain,
    // Levels 2, 1, 0, 3 and -1 with 4 KiB granules are codes 0 to 4, of which S2SL0 has the low two bits.
    S2SL0: granule !== 12 ? 3 - startLevel : startLevel === 3 ? 3 : startLevel < 0 ? 0 : 2 - startLevel,
    ...(ds ? { S2DS: 1, S2SL0_2: startLevel < 0 ? 1 : 0 } : {}),
    S2PS: granule === 16 || ds ? 6 : 5,
    S2AA64: 1,
  };
}

/** A CD of any fields. @throws HostMisuseError for an unknown field or a value that does not fit */
export function buildCd(values: FieldValues): Uint32Array {
  return build(CD, values);
}

/**
 * A CD over one or two stage-1 tables. Faults abort and are recorded; AttrIndx 0 is Normal Write-Back, 1 Device-nGnRE,
 * 2 Normal Non-cacheable. A missing half is disabled by EPDx. Over a PageTable128 entry 0 of PIIP and PIIU grants reads and
 * writes, and the STE has to have S1PIE 1.
 * @throws HostMisuseError unless the tables are PageTables, or both PageTable128s, of stage 1 of the same endianness and, with 4
 *   and 16 KiB granules, of the same `ds`
 */
export function stage1Cd(
  tables: { readonly ttb0?: PageTable | PageTable128; readonly ttb1?: PageTable | PageTable128 },
  values: FieldValues = {},
): Uint32Array {
  if (tables instanceof PageTable || tables instanceof PageTable128)
    throw new HostMisuseError("WRONG_TABLE", "the tables of a CD are { ttb0, ttb1 }: stage1Cd({ ttb0: table })");
  checkNames("WRONG_TABLE", "tables of a CD", tables, ["ttb0", "ttb1"]);
  const { ttb0, ttb1 } = tables;
  if (ttb0 !== undefined) checkTable("ttb0 of a CD", ttb0, 1);
  if (ttb1 !== undefined) checkTable("ttb1 of a CD", ttb1, 1);
  if (ttb0 && ttb1 && ttb0.bigEndian !== ttb1.bigEndian) {
    throw new HostMisuseError(
      "WRONG_TABLE",
      `bigEndian is ${ttb0.bigEndian} of ttb0 and ${ttb1.bigEndian} of ttb1: CD.ENDI is one for both`,
    );
  }
  const d128 = (ttb0 ?? ttb1) instanceof PageTable128;
  const both = [ttb0, ttb1].filter((table) => table !== undefined);
  if (both.some((table) => table instanceof PageTable128 !== d128))
    throw new HostMisuseError("WRONG_TABLE", "one table of a CD has descriptors of 128 bits: CD.AA64 is one for both");
  const small = both.filter((table) => table instanceof PageTable && table.granule !== 16) as PageTable[];
  const ds = small[0]?.ds === true;
  if (small.some((table) => table.ds !== ds))
    throw new HostMisuseError("WRONG_TABLE", `ds is ${small[0]?.ds} of ttb0 and ${small[1]?.ds} of ttb1: CD.DS is one for both`);
  return buildCd({
    V: 1,
    AA64: d128 ? 0 : 1,
    A: 1,
    R: 1,
    IPS: d128 || ds || ttb0?.granule === 16 || ttb1?.granule === 16 ? 6 : 5,
    ...(ds ? { DS: 1 } : {}),
    ...(ttb0 instanceof PageTable128 ? { SKL0: ttb0.skip } : {}),
    ...(ttb1 instanceof PageTable128 ? { SKL1: ttb1.skip } : {}),
    // Entry 0 lets everybody read and write.
    ...(d128 ? { PIIP: 5, PIIU: 5 } : {}),
    MAIR0: 0x0044_04ff,
    ENDI: (ttb0 ?? ttb1)?.bigEndian ? 1 : 0,
    ...(ttb0 === undefined ? { EPD0: 1 } : { T0SZ: 64 - ttb0.inputBits, TG0: TG0[ttb0.granule], TTB0: ttb0.base, IR0: 1, OR0: 1, SH0: 3 }),
    ...(ttb1 === undefined ? { EPD1: 1 } : { T1SZ: 64 - ttb1.inputBits, TG1: TG1[ttb1.granule], TTB1: ttb1.base, IR1: 1, OR1: 1, SH1: 3 }),
    ...values,
  });
}

/**
 * A level-1 Stream table descriptor.
 * @param array a multiple of 64
 * @param span 0: no level-2 array; else it has 2^(span-1) STEs; up to 31, of which those above 11 are reserved
 * @throws HostMisuseError for a value that does not fit
 */
export function l1std(array: number, span: number): Uint32Array {
  return build(L1STD, { L2Ptr: array, Span: span });
}

/** A valid level-1 CD table descriptor. @param leaf a multiple of 4096 @throws HostMisuseError for another value */
export function l1cd(leaf: number): Uint32Array {
  return build(L1CD, { L2Ptr: leaf, V: 1 });
}

/**
 * A command as four words. An address (Address, MSIAddress) is whole, in one value or in two words: `AddressHi` and `AddressLo`.
 * @throws HostMisuseError for an unknown command or field or a value that does not fit
 */
export function buildCommand(name: string, values: FieldValues = {}): Uint32Array {
  const spec = smmuCommands.find((candidate) => candidate.name === name);
  if (spec === undefined) {
    const names = smmuCommands.map((candidate) => candidate.name);
    const meant = hint(`CMD_${name}`, names) ?? hint(name, names);
    const all = `there are ${names.join(", ")}`;
    throw new HostMisuseError("UNKNOWN_COMMAND", `no command is called ${shown(name)}${meant === undefined ? "" : `, ${meant}`}; ${all}`);
  }
  const words = new Uint32Array(4);
  words[0] = spec.opcode;
  for (const [key, value] of entriesOf(name, values)) {
    const field = spec.fields.find((candidate) => candidate.name === key);
    if (field !== undefined) put(words, name, field, value, field.address ? 2 ** (field.lo % 64) : 1);
    else if (!putHalf(words, name, spec.fields, key, value)) throw unknownField(name, key, spec.fields);
  }
  return words;
}

/** The upper or the lower word of an address, by the name of its field with Hi or Lo behind. @returns false if there is none */
function putHalf(words: Uint32Array, owner: string, fields: readonly CommandField[], key: string, value: number): boolean {
  const field = fields.find((candidate) => candidate.address && (key === `${candidate.name}Hi` || key === `${candidate.name}Lo`));
  if (field === undefined) return false;
  const { hi, lo } = field;
  if (key.endsWith("Hi")) put(words, owner, { name: key, hi, lo: 96 }, value, 1);
  else put(words, owner, { name: key, hi: 95, lo }, value, 2 ** (lo % 64));
  return true;
}
