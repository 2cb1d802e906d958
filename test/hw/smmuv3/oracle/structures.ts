// SPDX-License-Identifier: MIT
/** STE and CD fields, typed in anew from IHI 0070 §5.2 and §5.4: [hi, lo] as bits of the whole structure. */
import { bits } from "./bits.ts";

export const STE_FIELDS = {
  V: [0, 0],
  Config: [3, 1],
  S1Fmt: [5, 4],
  S1ContextPtr: [55, 6],
  S1CDMax: [63, 59],
  S1DSS: [65, 64],
  S1PIE: [88, 88],
  S2FWB: [89, 89],
  S1STALLD: [91, 91],
  EATS: [93, 92],
  STRW: [95, 94],
  MemAttr: [99, 96],
  MTCFG: [100, 100],
  ALLOCCFG: [104, 101],
  SHCFG: [109, 108],
  PRIVCFG: [113, 112],
  INSTCFG: [115, 114],
  S2VMID: [143, 128],
  S2T0SZ: [165, 160],
  S2SL0: [167, 166],
  S2SH0: [173, 172],
  S2TG: [175, 174],
  S2PS: [178, 176],
  S2AA64: [179, 179],
  S2ENDI: [180, 180],
  S2AFFD: [181, 181],
  S2PTW: [182, 182],
  S2HD: [183, 183],
  S2HA: [184, 184],
  S2S: [185, 185],
  S2R: [186, 186],
  S2HAFT: [187, 187],
  S2PIE: [188, 188],
  S2POE: [189, 189],
  S2SL0_2: [194, 194],
  S2DS: [195, 195],
  S2TTB: [243, 196],
  S2POI: [511, 448],
} as const satisfies Record<string, readonly [number, number]>;

export const CD_FIELDS = {
  T0SZ: [5, 0],
  TG0: [7, 6],
  SH0: [13, 12],
  EPD0: [14, 14],
  ENDI: [15, 15],
  T1SZ: [21, 16],
  TG1: [23, 22],
  SH1: [29, 28],
  EPD1: [30, 30],
  V: [31, 31],
  IPS: [34, 32],
  AFFD: [35, 35],
  WXN: [36, 36],
  TBI0: [38, 38],
  TBI1: [39, 39],
  PAN: [40, 40],
  AA64: [41, 41],
  HD: [42, 42],
  HA: [43, 43],
  S: [44, 44],
  R: [45, 45],
  A: [46, 46],
  ASET: [47, 47],
  ASID: [63, 48],
  HAD0: [65, 65],
  E0PD0: [66, 66],
  HAFT: [67, 67],
  TTB0: [115, 68],
  EPAN: [123, 123],
  HAD1: [129, 129],
  E0PD1: [130, 130],
  AIE: [131, 131],
  TTB1: [179, 132],
  DS: [186, 186],
  PIE: [187, 187],
  MAIR: [255, 192],
  PIIU: [431, 384],
  PIIP: [495, 448],
} as const satisfies Record<string, readonly [number, number]>;

type FieldTable = Readonly<Record<string, readonly [number, number]>>;
type Decoded<T extends FieldTable> = { readonly [name in keyof T]: bigint };

/** Word by word: shifts of numbers as wide as a structure would take most of a test's time. */
function decode<T extends FieldTable>(table: T, value: bigint): Decoded<T> {
  const words = BigUint64Array.from({ length: 8 }, (_, i) => (value >> BigInt(64 * i)) & ALL);
  const decoded: Record<string, bigint> = {};
  for (const [name, [hi, lo]] of Object.entries(table)) decoded[name] = bits(words[lo >> 6]!, hi & 63, lo & 63);
  return decoded as Decoded<T>;
}

const ALL = (1n << 64n) - 1n;

export type Ste = Decoded<typeof STE_FIELDS>;
export type Cd = Decoded<typeof CD_FIELDS>;

export const decodeSte = (value: bigint): Ste => decode(STE_FIELDS, value);
export const decodeCd = (value: bigint): Cd => decode(CD_FIELDS, value);

/** StreamWorld (§3.3.4) of a Non-secure stream. */
export type World = "EL1" | "EL2" | "EL2-E2H";
