// SPDX-License-Identifier: MIT
/** VMSAv9-128 translation table descriptors, 128 bits: where each field is (DDI 0487 D8.3.2; IHI 0070 §3.4). */
import type { Structure, StructureField } from "./structure.ts";

const Valid: StructureField = { name: "Valid", hi: 0, lo: 0, applies: "any", meaning: "1: level and SKL tell the kind" };
const nT: StructureField = { name: "nT", hi: 6, lo: 6, applies: "any", meaning: "SKL not 0: do not cache in a conflicting way (BBML 1)" };
const SH: StructureField = { name: "SH", hi: 9, lo: 8, applies: "any", meaning: "0 Non-shareable, 2 Outer, 3 Inner" };
const AF: StructureField = { name: "AF", hi: 10, lo: 10, applies: "any", meaning: "Access flag" };
const TableAF: StructureField = { name: "AF", hi: 10, lo: 10, applies: "ignored", meaning: "Access flag, with HAFT" };
const OA: StructureField = {
  name: "OA[55:12]",
  hi: 55,
  lo: 12,
  applies: "any",
  meaning: "output address, bits below the leaf's size are RES0",
};
const NextTable: StructureField = {
  name: "NextTable[55:12]",
  hi: 55,
  lo: 12,
  applies: "any",
  meaning: "next-level table, bits below its size are RES0",
};
const Software: StructureField = { name: "Software", hi: 100, lo: 91, applies: "ignored", meaning: "for software" };
const SKL: StructureField = {
  name: "SKL",
  hi: 110,
  lo: 109,
  applies: "any",
  meaning: "skip level: below level 3 by level and SKL a table, at 3 a leaf",
};
const Contiguous: StructureField = {
  name: "Contiguous",
  hi: 111,
  lo: 111,
  applies: "any",
  meaning: "one of an aligned run of equal entries",
};
const PIIndex: StructureField = { name: "PIIndex", hi: 118, lo: 115, applies: "any", meaning: "entry of the table of permissions" };
const Protected: StructureField = { name: "Protected", hi: 114, lo: 114, applies: "ignored", meaning: "translation hardening (THE)" };

/** A table descriptor of stage 1. */
export const TABLE128_S1: Structure = {
  name: "TABLE128_S1",
  section: "DDI 0487 D8.3.2.1",
  words: 4,
  fields: [
    Valid,
    nT,
    TableAF,
    NextTable,
    Software,
    SKL,
    { name: "DisCH", hi: 112, lo: 112, applies: "any", meaning: "1: no Contiguous in the next table" },
    Protected,
    { name: "NSTable", hi: 127, lo: 127, applies: "ignored", meaning: "Secure streams" },
  ],
};

/** A block or page descriptor of stage 1. */
export const LEAF128_S1: Structure = {
  name: "LEAF128_S1",
  section: "DDI 0487 D8.3.2.2",
  words: 4,
  fields: [
    Valid,
    { name: "AttrIndx", hi: 4, lo: 2, applies: "any", meaning: "byte of MAIR" },
    { name: "AttrIndx[3]", hi: 5, lo: 5, applies: "ignored", meaning: "with CD.AIE" },
    nT,
    { name: "nDirty", hi: 7, lo: 7, applies: "any", meaning: "0: memory that may be written is dirty" },
    SH,
    AF,
    { name: "nG", hi: 11, lo: 11, applies: "any", meaning: "1: belongs to the ASID only" },
    OA,
    Software,
    SKL,
    Contiguous,
    Protected,
    PIIndex,
    { name: "NS", hi: 127, lo: 127, applies: "ignored", meaning: "Secure and Realm streams" },
  ],
};

/** A table descriptor of stage 2. */
export const TABLE128_S2: Structure = {
  name: "TABLE128_S2",
  section: "DDI 0487 D8.3.2.1",
  words: 4,
  fields: [Valid, nT, TableAF, NextTable, Software, SKL],
};

/** A block or page descriptor of stage 2. */
export const LEAF128_S2: Structure = {
  name: "LEAF128_S2",
  section: "DDI 0487 D8.3.2.2",
  words: 4,
  fields: [
    Valid,
    { name: "MemAttr", hi: 5, lo: 2, applies: "any", meaning: "memory type; its encoding depends on S2FWB" },
    nT,
    { name: "Dirty", hi: 7, lo: 7, applies: "any", meaning: "1: memory that may be written is dirty" },
    SH,
    AF,
    { name: "FnXS", hi: 11, lo: 11, applies: "ignored", meaning: "XS attribute" },
    OA,
    Software,
    SKL,
    Contiguous,
    { name: "AssuredOnly", hi: 114, lo: 114, applies: "ignored", meaning: "translation hardening (THE)" },
    PIIndex,
    { name: "POIndex", hi: 124, lo: 121, applies: "ignored", meaning: "entry of STE.S2POI, with STE.S2POE" },
    { name: "NS", hi: 127, lo: 127, applies: "ignored", meaning: "Realm streams" },
  ],
};
