// SPDX-License-Identifier: MIT
/** The fields of a CD that the model reads, taken out of its words once per fetch (IHI 0070 §5.4). */
import { type Field, fieldNamed, getField } from "../../bits/fields.ts";
import { CD } from "../spec/cd.ts";

/** The 16 three-bit entries of a field. */
function permissions(words: Uint32Array, name: string): number[] {
  const { lo } = fieldNamed(CD.fields, name);
  return Array.from({ length: 16 }, (_, p) => getField(words, { name, lo: lo + 3 * p, hi: lo + 3 * p + 2 }));
}

/** Looked up once: a structure is decoded at each fetch. */
const fields = new Map<string, Field>();

function take(words: Uint32Array, name: string): number {
  let field = fields.get(name);
  if (field === undefined) {
    field = fieldNamed(CD.fields, name);
    fields.set(name, field);
  }
  return getField(words, field);
}

/** Field values as they stand in memory; names are the specification's. Pointers are whole addresses. */
export class CdFields {
  readonly V: number;
  readonly T0SZ: number;
  readonly TG0: number;
  readonly SH0: number;
  readonly EPD0: number;
  readonly ENDI: number;
  readonly T1SZ: number;
  readonly TG1: number;
  readonly SH1: number;
  readonly EPD1: number;
  readonly IPS: number;
  readonly AFFD: number;
  readonly WXN: number;
  readonly TBI0: number;
  readonly TBI1: number;
  readonly PAN: number;
  readonly AA64: number;
  readonly HD: number;
  readonly HA: number;
  readonly HAFT: number;
  readonly S: number;
  readonly R: number;
  readonly A: number;
  readonly ASET: number;
  readonly ASID: number;
  readonly EPAN: number;
  readonly AIE: number;
  readonly HAD0: number;
  readonly HAD1: number;
  readonly E0PD0: number;
  readonly E0PD1: number;
  readonly DisCH0: number;
  readonly DisCH1: number;
  readonly SKL0: number;
  readonly SKL1: number;
  readonly TTB0: number;
  readonly TTB1: number;
  /** Bits [55:52] of their addresses, with VMSAv9-128 tables. */
  readonly TTB0High: number;
  readonly TTB1High: number;
  readonly DS: number;
  readonly MAIR0: number;
  readonly MAIR1: number;
  readonly PnCH: number;
  readonly PIE: number;
  /** By PIIndex. */
  readonly #words: Uint32Array;
  #piiu: readonly number[] | undefined;
  #piip: readonly number[] | undefined;

  constructor(words: Uint32Array) {
    this.V = take(words, "V");
    this.T0SZ = take(words, "T0SZ");
    this.TG0 = take(words, "TG0");
    this.SH0 = take(words, "SH0");
    this.EPD0 = take(words, "EPD0");
    this.ENDI = take(words, "ENDI");
    this.T1SZ = take(words, "T1SZ");
    this.TG1 = take(words, "TG1");
    this.SH1 = take(words, "SH1");
    this.EPD1 = take(words, "EPD1");
    this.IPS = take(words, "IPS");
    this.AFFD = take(words, "AFFD");
    this.WXN = take(words, "WXN");
    this.TBI0 = take(words, "TBI0");
    this.TBI1 = take(words, "TBI1");
    this.PAN = take(words, "PAN");
    this.AA64 = take(words, "AA64");
    this.HD = take(words, "HD");
    this.HA = take(words, "HA");
    this.HAFT = take(words, "HAFT");
    this.S = take(words, "S");
    this.R = take(words, "R");
    this.A = take(words, "A");
    this.ASET = take(words, "ASET");
    this.ASID = take(words, "ASID");
    this.EPAN = take(words, "EPAN");
    this.AIE = take(words, "AIE");
    this.HAD0 = take(words, "HAD0");
    this.HAD1 = take(words, "HAD1");
    this.E0PD0 = take(words, "E0PD0");
    this.E0PD1 = take(words, "E0PD1");
    this.DisCH0 = take(words, "DisCH0");
    this.DisCH1 = take(words, "DisCH1");
    this.SKL0 = take(words, "SKL0");
    this.SKL1 = take(words, "SKL1");
    this.TTB0 = take(words, "TTB0") * 16;
    this.TTB1 = take(words, "TTB1") * 16;
    this.TTB0High = take(words, "TTB0[55:52]");
    this.TTB1High = take(words, "TTB1[55:52]");
    this.DS = take(words, "DS");
    this.MAIR0 = take(words, "MAIR0");
    this.MAIR1 = take(words, "MAIR1");
    this.PnCH = take(words, "PnCH");
    this.PIE = take(words, "PIE");
    this.#words = words;
  }

  /** Taken apart when asked for: few CDs use it. */
  get PIIU(): readonly number[] {
    return (this.#piiu ??= permissions(this.#words, "PIIU"));
  }

  get PIIP(): readonly number[] {
    return (this.#piip ??= permissions(this.#words, "PIIP"));
  }
}
