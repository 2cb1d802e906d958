// SPDX-License-Identifier: MIT
/** VMSAv8-64 translation table descriptors, 64 bits: where each field is (DDI 0487 D8.3; IHI 0070 §3.4 names the subset). */
import type { Structure } from "./structure.ts";

/** A table descriptor of stage 1 (level below 3, bits [1:0] = 3). */
export const TABLE_S1: Structure = {
  name: "TABLE_S1",
  section: "DDI 0487 D8.3.1",
  words: 2,
  fields: [
    { name: "Type", hi: 1, lo: 0, applies: "any", meaning: "3: table" },
    { name: "Ignored[7:2]", hi: 7, lo: 2, applies: "ignored", meaning: "for software" },
    { name: "Ignored[9:8]", hi: 9, lo: 8, applies: "ignored", meaning: "for software", lpa2: false },
    { name: "NextTable[51:50]", hi: 9, lo: 8, applies: "any", meaning: "4 and 16 KiB granules with 52-bit addresses", lpa2: true },
    { name: "AF", hi: 10, lo: 10, applies: "ignored", meaning: "Access flag, with HAFT" },
    { name: "Ignored[11]", hi: 11, lo: 11, applies: "ignored", meaning: "for software" },
    { name: "NextTable[51:48]", hi: 15, lo: 12, applies: "any", meaning: "64 KiB granule with 52-bit addresses" },
    { name: "NextTable[47:12]", hi: 47, lo: 12, applies: "any", meaning: "next-level table, bits below the granule are RES0" },
    { name: "NextTable[49:48]", hi: 49, lo: 48, applies: "any", meaning: "4 and 16 KiB granules with 52-bit addresses", lpa2: true },
    { name: "Ignored[51]", hi: 51, lo: 51, applies: "ignored", meaning: "for software" },
    { name: "Protected", hi: 52, lo: 52, applies: "ignored", meaning: "with translation hardening; else for software" },
    { name: "Ignored[58:53]", hi: 58, lo: 53, applies: "ignored", meaning: "for software" },
    { name: "PXNTable", hi: 59, lo: 59, applies: "any", meaning: "1: nothing below is privileged-executable" },
    { name: "UXNTable", hi: 60, lo: 60, applies: "any", meaning: "1: nothing below is unprivileged-executable" },
    { name: "APTable", hi: 62, lo: 61, applies: "any", meaning: "bit 0: no unprivileged access below, bit 1: no write below" },
    { name: "NSTable", hi: 63, lo: 63, applies: "ignored", meaning: "Secure streams" },
  ],
};

/** A block (bits [1:0] = 1) or page (level 3, bits [1:0] = 3) descriptor of stage 1. */
export const LEAF_S1: Structure = {
  name: "LEAF_S1",
  section: "DDI 0487 D8.3.2",
  words: 2,
  fields: [
    { name: "Type", hi: 1, lo: 0, applies: "any", meaning: "1 block, 3 page" },
    { name: "AttrIndx", hi: 4, lo: 2, applies: "any", meaning: "byte of MAIR" },
    { name: "NS", hi: 5, lo: 5, applies: "ignored", meaning: "Secure streams" },
    { name: "AP", hi: 7, lo: 6, applies: "any", meaning: "AP[2:1]: bit 0 unprivileged access, bit 1 read-only" },
    { name: "SH", hi: 9, lo: 8, applies: "any", meaning: "0 Non-shareable, 2 Outer, 3 Inner", lpa2: false },
    { name: "OA[51:50]", hi: 9, lo: 8, applies: "any", meaning: "4 and 16 KiB granules with 52-bit addresses", lpa2: true },
    { name: "AF", hi: 10, lo: 10, applies: "any", meaning: "Access flag" },
    { name: "nG", hi: 11, lo: 11, applies: "any", meaning: "1: belongs to the ASID only" },
    { name: "OA[51:48]", hi: 15, lo: 12, applies: "any", meaning: "64 KiB granule with 52-bit addresses" },
    { name: "nT", hi: 16, lo: 16, applies: "any", meaning: "blocks: do not cache in a conflicting way (BBML 1)" },
    { name: "OA[47:12]", hi: 47, lo: 12, applies: "any", meaning: "output address, bits below the page or block size are RES0" },
    { name: "OA[49:48]", hi: 49, lo: 48, applies: "any", meaning: "4 and 16 KiB granules with 52-bit addresses", lpa2: true },
    {
      name: "DBM",
      hi: 51,
      lo: 51,
      applies: "ignored",
      meaning: "dirty bit modifier: with hardware dirty state, 1 where a write may make the memory writable",
    },
    { name: "Contiguous", hi: 52, lo: 52, applies: "any", meaning: "one of an aligned run of equal entries" },
    { name: "PXN", hi: 53, lo: 53, applies: "any", meaning: "1: not privileged-executable" },
    { name: "UXN", hi: 54, lo: 54, applies: "any", meaning: "1: not unprivileged-executable; XN where there is one privilege" },
    { name: "Software", hi: 58, lo: 55, applies: "ignored", meaning: "for software" },
    { name: "PBHA", hi: 62, lo: 59, applies: "ignored", meaning: "page-based hardware attributes" },
  ],
};

/** A table descriptor of stage 2. */
export const TABLE_S2: Structure = {
  name: "TABLE_S2",
  section: "DDI 0487 D8.3.1",
  words: 2,
  fields: [
    { name: "Type", hi: 1, lo: 0, applies: "any", meaning: "3: table" },
    { name: "Ignored[7:2]", hi: 7, lo: 2, applies: "ignored", meaning: "for software" },
    { name: "Ignored[9:8]", hi: 9, lo: 8, applies: "ignored", meaning: "for software", lpa2: false },
    { name: "NextTable[51:50]", hi: 9, lo: 8, applies: "any", meaning: "4 and 16 KiB granules with 52-bit addresses", lpa2: true },
    { name: "AF", hi: 10, lo: 10, applies: "ignored", meaning: "Access flag, with HAFT" },
    { name: "Ignored[11]", hi: 11, lo: 11, applies: "ignored", meaning: "for software" },
    { name: "NextTable[51:48]", hi: 15, lo: 12, applies: "any", meaning: "64 KiB granule with 52-bit addresses" },
    { name: "NextTable[47:12]", hi: 47, lo: 12, applies: "any", meaning: "next-level table, bits below the granule are RES0" },
    { name: "NextTable[49:48]", hi: 49, lo: 48, applies: "any", meaning: "4 and 16 KiB granules with 52-bit addresses", lpa2: true },
    { name: "Ignored[58:51]", hi: 58, lo: 51, applies: "ignored", meaning: "for software" },
  ],
};

/** A block or page descriptor of stage 2. */
export const LEAF_S2: Structure = {
  name: "LEAF_S2",
  section: "DDI 0487 D8.3.2",
  words: 2,
  fields: [
    { name: "Type", hi: 1, lo: 0, applies: "any", meaning: "1 block, 3 page" },
    { name: "MemAttr", hi: 5, lo: 2, applies: "any", meaning: "memory type; its encoding depends on S2FWB" },
    { name: "S2AP", hi: 7, lo: 6, applies: "any", meaning: "bit 0 read, bit 1 write" },
    { name: "SH", hi: 9, lo: 8, applies: "any", meaning: "0 Non-shareable, 2 Outer, 3 Inner", lpa2: false },
    { name: "OA[51:50]", hi: 9, lo: 8, applies: "any", meaning: "4 and 16 KiB granules with 52-bit addresses", lpa2: true },
    { name: "AF", hi: 10, lo: 10, applies: "any", meaning: "Access flag" },
    { name: "OA[51:48]", hi: 15, lo: 12, applies: "any", meaning: "64 KiB granule with 52-bit addresses" },
    { name: "nT", hi: 16, lo: 16, applies: "any", meaning: "blocks: do not cache in a conflicting way (BBML 1)" },
    { name: "OA[47:12]", hi: 47, lo: 12, applies: "any", meaning: "output address, bits below the page or block size are RES0" },
    { name: "OA[49:48]", hi: 49, lo: 48, applies: "any", meaning: "4 and 16 KiB granules with 52-bit addresses", lpa2: true },
    {
      name: "DBM",
      hi: 51,
      lo: 51,
      applies: "ignored",
      meaning: "dirty bit modifier: with hardware dirty state, 1 where a write may make the memory writable",
    },
    { name: "Contiguous", hi: 52, lo: 52, applies: "any", meaning: "one of an aligned run of equal entries" },
    {
      name: "XN",
      hi: 54,
      lo: 53,
      applies: "any",
      meaning: "0 execute, 1 unprivileged only, 2 never, 3 privileged only; without XNX only bit 1 counts",
    },
    { name: "Software", hi: 58, lo: 55, applies: "ignored", meaning: "for software" },
  ],
};
