// SPDX-License-Identifier: MIT
/** Entries of the PRI queue: the place of each field in the 16 bytes (IHI 0070 §8). Bits not listed are zero. */
import type { EventField } from "./events.ts";

/** 32-bit words of an entry. */
export const PAGE_REQUEST_WORDS = 4;

/** All fields, lowest bit first. */
export const PAGE_REQUEST_FIELDS: readonly EventField[] = [
  { name: "StreamID", hi: 31, lo: 0, meaning: "StreamID of the function that asks" },
  { name: "SubstreamID", hi: 51, lo: 32, meaning: "its PASID" },
  { name: "Priv", hi: 58, lo: 58, meaning: "1: for a privileged entity; 0 without SSV" },
  { name: "X", hi: 59, lo: 59, meaning: "1: for execution; 0 without SSV" },
  { name: "R", hi: 60, lo: 60, meaning: "1: for reads" },
  { name: "W", hi: 61, lo: 61, meaning: "1: for writes" },
  { name: "Last", hi: 62, lo: 62, meaning: "1: the last request of its group" },
  { name: "SSV", hi: 63, lo: 63, meaning: "1: the request has a PASID, and SubstreamID is valid" },
  { name: "PRGIndex", hi: 72, lo: 64, meaning: "Page Request Group Index, which the response repeats" },
  { name: "PageAddr", hi: 127, lo: 76, meaning: "address [63:12] of the page" },
];
