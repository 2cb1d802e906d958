// SPDX-License-Identifier: MIT
/** Building STEs, CDs, level-1 descriptors and commands from field values, by the tables of fields. */
import { fieldNamed, setField } from "../../bits/fields.ts";
import { high32, low32 } from "../../bits/hex.ts";
import type { GranuleBits } from "../address-size.ts";
import { CD } from "../spec/cd.ts";
import { smmuCommands } from "../spec/commands.ts";
import { STE } from "../spec/ste.ts";
import type { Structure } from "../spec/structure.ts";
import type { PageTable } from "./page-table.ts";

/** Field values by the specification's names. Pointers (S1ContextPtr, S2TTB, TTB0, TTB1) are whole addresses. */
export type FieldValues = Readonly<Record<string, number>>;

/** Bytes that bit 0 of a pointer field stands for. */
const POINTER_UNIT: FieldValues = { S1ContextPtr: 64, S2TTB: 16, TTB0: 16, TTB1: 16 };

/** Codes of granules: TG0 and S2TG, and TG1. */
const TG0: Readonly<Record<GranuleBits, number>> = { 12: 0, 14: 2, 16: 1 };
const TG1: Readonly<Record<GranuleBits, number>> = { 12: 2, 14: 1, 16: 3 };

function build(structure: Structure, values: FieldValues): Uint32Array {
  const words = new Uint32Array(structure.words);
  for (const [name, value] of Object.entries(values)) {
    setField(words, fieldNamed(structure.fields, name), value / (POINTER_UNIT[name] ?? 1));
  }
  return words;
}

/** An STE of any fields. @throws RangeError for an unknown field or a value that does not fit */
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

/** Config 0b110. */
export function stage2Ste(table: PageTable, values: FieldValues = {}): Uint32Array {
  return buildSte({ V: 1, Config: 6, SHCFG: 1, ...stage2Fields(table), ...values });
}

/** Config 0b111. @param cdTable intermediate address of the CD or CD table */
export function nestedSte(cdTable: number, table: PageTable, values: FieldValues = {}): Uint32Array {
  return buildSte({ V: 1, Config: 7, S1ContextPtr: cdTable, S1CIR: 1, S1COR: 1, S1CSH: 3, SHCFG: 1, ...stage2Fields(table), ...values });
}

/** The STE fields that lead to a stage-2 table. Faults are recorded; the output size is as large as it can be. */
export function stage2Fields(table: PageTable): FieldValues {
  const { granule, startLevel, inputBits, base, bigEndian } = table;
  return {
    S2T0SZ: 64 - inputBits,
    S2SL0: granule === 12 ? 2 - startLevel : 3 - startLevel,
    S2TG: TG0[granule],
    S2PS: granule === 16 ? 6 : 5,
    S2IR0: 1,
    S2OR0: 1,
    S2SH0: 3,
    S2AA64: 1,
    S2ENDI: bigEndian ? 1 : 0,
    S2R: 1,
    S2TTB: base,
  };
}

/** A CD of any fields. @throws RangeError for an unknown field or a value that does not fit */
export function buildCd(values: FieldValues): Uint32Array {
  return build(CD, values);
}

/**
 * A CD over one or two stage-1 tables. Faults abort and are recorded; AttrIndx 0 is Normal Write-Back, 1 Device-nGnRE,
 * 2 Normal Non-cacheable. A missing half is disabled by EPDx.
 */
export function stage1Cd(tables: { readonly ttb0?: PageTable; readonly ttb1?: PageTable }, values: FieldValues = {}): Uint32Array {
  const { ttb0, ttb1 } = tables;
  return buildCd({
    V: 1,
    AA64: 1,
    A: 1,
    R: 1,
    IPS: ttb0?.granule === 16 || ttb1?.granule === 16 ? 6 : 5,
    MAIR0: 0x0044_04ff,
    ENDI: (ttb0 ?? ttb1)?.bigEndian ? 1 : 0,
    ...(ttb0 === undefined ? { EPD0: 1 } : { T0SZ: 64 - ttb0.inputBits, TG0: TG0[ttb0.granule], TTB0: ttb0.base, IR0: 1, OR0: 1, SH0: 3 }),
    ...(ttb1 === undefined ? { EPD1: 1 } : { T1SZ: 64 - ttb1.inputBits, TG1: TG1[ttb1.granule], TTB1: ttb1.base, IR1: 1, OR1: 1, SH1: 3 }),
    ...values,
  });
}

/** A level-1 Stream table descriptor. @param span 0: no level-2 array; else it has 2^(span-1) STEs */
export function l1std(array: number, span: number): Uint32Array {
  return new Uint32Array([(low32(array) | span) >>> 0, high32(array)]);
}

/** A valid level-1 CD table descriptor. */
export function l1cd(leaf: number): Uint32Array {
  return new Uint32Array([(low32(leaf) | 1) >>> 0, high32(leaf)]);
}

/**
 * A command as four words. A 64-bit Address is given as two values: `Address` (bits [63:32] too if below 2^53) or `AddressHi`
 * and `AddressLo`.
 * @throws RangeError for an unknown command or field
 */
export function buildCommand(name: string, values: FieldValues = {}): Uint32Array {
  const spec = smmuCommands.find((candidate) => candidate.name === name);
  if (spec === undefined) throw new RangeError(`no command is called ${name}`);
  const words = new Uint32Array(4);
  words[0] = spec.opcode;
  for (const [field, value] of Object.entries(values)) {
    if (field === "Address") {
      words[2] = (words[2]! | (low32(value) & ~0xfff)) >>> 0;
      words[3] = high32(value);
    } else if (field === "AddressLo") {
      words[2] = (words[2]! | (value & ~0xfff)) >>> 0;
    } else if (field === "AddressHi") {
      words[3] = value;
    } else {
      setField(words, fieldNamed(spec.fields, field), value);
    }
  }
  return words;
}
