// SPDX-License-Identifier: MIT
/** The fields of an STE that the model reads, taken out of its words once per fetch (IHI 0070 §5.2). */
import { type Field, fieldNamed, getField } from "../../bits/fields.ts";
import { STE } from "../spec/ste.ts";

/** Looked up once: a structure is decoded at each fetch. */
const fields = new Map<string, Field>();

function take(words: Uint32Array, name: string): number {
  let field = fields.get(name);
  if (field === undefined) {
    field = fieldNamed(STE.fields, name);
    fields.set(name, field);
  }
  return getField(words, field);
}

/** Field values as they stand in memory; names are the specification's. Pointers are whole addresses. */
export class SteFields {
  readonly V: number;
  readonly Config: number;
  readonly S1Fmt: number;
  readonly S1ContextPtr: number;
  readonly S1CDMax: number;
  readonly S1DSS: number;
  readonly S2FWB: number;
  readonly DRE: number;
  readonly DCP: number;
  readonly MEV: number;
  readonly S1STALLD: number;
  readonly EATS: number;
  readonly STRW: number;
  readonly MemAttr: number;
  readonly MTCFG: number;
  readonly ALLOCCFG: number;
  readonly SHCFG: number;
  readonly PRIVCFG: number;
  readonly INSTCFG: number;
  readonly S2VMID: number;
  readonly S2T0SZ: number;
  readonly S2SL0: number;
  readonly S2SH0: number;
  readonly S2TG: number;
  readonly S2PS: number;
  readonly S2AA64: number;
  readonly S2ENDI: number;
  readonly S2AFFD: number;
  readonly S2PTW: number;
  readonly S2HD: number;
  readonly S2HA: number;
  readonly S2HAFT: number;
  readonly S2S: number;
  readonly S2R: number;
  readonly S2SL0_2: number;
  readonly S2DS: number;
  readonly S2TTB: number;
  /** Bits [55:52] of the address, with VMSAv9-128 tables. */
  readonly S2TTBHigh: number;
  readonly S2SKL: number;
  readonly AssuredOnly: number;
  readonly TL0: number;
  readonly TL1: number;
  readonly S1PIE: number;
  readonly S2PIE: number;
  readonly S2POE: number;
  /** By POIndex. */
  readonly #words: Uint32Array;

  constructor(words: Uint32Array) {
    this.V = take(words, "V");
    this.Config = take(words, "Config");
    this.S1Fmt = take(words, "S1Fmt");
    this.S1ContextPtr = take(words, "S1ContextPtr") * 64;
    this.S1CDMax = take(words, "S1CDMax");
    this.S1DSS = take(words, "S1DSS");
    this.S2FWB = take(words, "S2FWB");
    this.DRE = take(words, "DRE");
    this.DCP = take(words, "DCP");
    this.MEV = take(words, "MEV");
    this.S1STALLD = take(words, "S1STALLD");
    this.EATS = take(words, "EATS");
    this.STRW = take(words, "STRW");
    this.MemAttr = take(words, "MemAttr");
    this.MTCFG = take(words, "MTCFG");
    this.ALLOCCFG = take(words, "ALLOCCFG");
    this.SHCFG = take(words, "SHCFG");
    this.PRIVCFG = take(words, "PRIVCFG");
    this.INSTCFG = take(words, "INSTCFG");
    this.S2VMID = take(words, "S2VMID");
    this.S2T0SZ = take(words, "S2T0SZ");
    this.S2SL0 = take(words, "S2SL0");
    this.S2SH0 = take(words, "S2SH0");
    this.S2TG = take(words, "S2TG");
    this.S2PS = take(words, "S2PS");
    this.S2AA64 = take(words, "S2AA64");
    this.S2ENDI = take(words, "S2ENDI");
    this.S2AFFD = take(words, "S2AFFD");
    this.S2PTW = take(words, "S2PTW");
    this.S2HD = take(words, "S2HD");
    this.S2HA = take(words, "S2HA");
    this.S2HAFT = take(words, "S2HAFT");
    this.S2S = take(words, "S2S");
    this.S2R = take(words, "S2R");
    this.S2SL0_2 = take(words, "S2SL0_2");
    this.S2DS = take(words, "S2DS");
    this.S2TTB = take(words, "S2TTB") * 16;
    this.S2TTBHigh = take(words, "S2TTB[55:52]");
    this.S2SKL = take(words, "S2SKL");
    this.AssuredOnly = take(words, "AssuredOnly");
    this.TL0 = take(words, "TL0");
    this.TL1 = take(words, "TL1");
    this.S1PIE = take(words, "S1PIE");
    this.S2PIE = take(words, "S2PIE");
    this.S2POE = take(words, "S2POE");
    this.#words = words;
  }

  /** The 16 entries, taken apart when asked for: few STEs use them. */
  get S2POI(): readonly number[] {
    const { lo } = fieldNamed(STE.fields, "S2POI");
    return Array.from({ length: 16 }, (_, p) => getField(this.#words, { name: "S2POI", lo: lo + 4 * p, hi: lo + 4 * p + 3 }));
  }

  /** Config bits of a translating or bypassing STE. */
  get stage1(): boolean {
    return (this.Config & 5) === 5;
  }

  get stage2(): boolean {
    return (this.Config & 6) === 6;
  }
}
