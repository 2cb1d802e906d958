// SPDX-License-Identifier: MIT
/** What the identification registers say (IHI 0070 §6.3.1 … §6.3.6), as far as translation depends on it. */
import { field } from "./bits.ts";
import type { Registers } from "./types.ts";

export type Granule = 12 | 14 | 16;

export interface Features {
  readonly minor: number;
  readonly S1P: boolean;
  readonly S2P: boolean;
  readonly TTF: number;
  readonly HTTU: number;
  readonly Hyp: boolean;
  readonly ATS: boolean;
  readonly NS1ATS: boolean;
  readonly ASID16: boolean;
  readonly VMID16: boolean;
  readonly CD2L: boolean;
  readonly TTENDIAN: number;
  readonly STALL_MODEL: number;
  readonly TERM_MODEL: boolean;
  readonly ST_LEVEL: number;
  readonly SIDSIZE: number;
  readonly SSIDSIZE: number;
  readonly ATTR_PERMS_OVR: boolean;
  readonly ATTR_TYPES_OVR: boolean;
  readonly HAD: boolean;
  readonly XNX: boolean;
  readonly FWB: boolean;
  readonly STT: boolean;
  readonly E0PD: boolean;
  readonly EPAN: boolean;
  readonly S1PI: boolean;
  readonly S2PI: boolean;
  readonly S2PO: boolean;
  readonly AIE: boolean;
  readonly MTEPERM: boolean;
  readonly VAX: number;
  readonly DS: boolean;
  /** Output and intermediate address sizes in bits. */
  readonly OAS: number;
  readonly IAS: number;
  granule(log2: Granule): boolean;
}

const ADDRESS_BITS = [32, 36, 40, 42, 44, 48, 52, 56];

export function featuresOf(registers: Registers): Features {
  const idr = (value: number, hi: number, lo: number = hi): number => field(BigInt(value >>> 0), hi, lo);
  const { IDR0, IDR1, IDR3, IDR5 } = registers;
  const OAS = ADDRESS_BITS[idr(IDR5, 2, 0)]!;
  const TTF = idr(IDR0, 3, 2);
  return {
    minor: idr(registers.AIDR, 3, 0),
    S2P: idr(IDR0, 0) === 1,
    S1P: idr(IDR0, 1) === 1,
    TTF,
    HTTU: idr(IDR0, 7, 6),
    Hyp: idr(IDR0, 9) === 1,
    ATS: idr(IDR0, 10) === 1,
    NS1ATS: idr(IDR0, 11) === 1,
    ASID16: idr(IDR0, 12) === 1,
    VMID16: idr(IDR0, 18) === 1,
    CD2L: idr(IDR0, 19) === 1,
    TTENDIAN: idr(IDR0, 22, 21),
    STALL_MODEL: idr(IDR0, 25, 24),
    TERM_MODEL: idr(IDR0, 26) === 1,
    ST_LEVEL: idr(IDR0, 28, 27),
    SIDSIZE: idr(IDR1, 5, 0),
    SSIDSIZE: idr(IDR1, 10, 6),
    ATTR_PERMS_OVR: idr(IDR1, 26) === 1,
    ATTR_TYPES_OVR: idr(IDR1, 27) === 1,
    HAD: idr(IDR3, 2) === 1,
    XNX: idr(IDR3, 4) === 1,
    FWB: idr(IDR3, 8) === 1,
    STT: idr(IDR3, 9) === 1,
    E0PD: idr(IDR3, 13) === 1,
    EPAN: idr(IDR3, 17) === 1,
    S1PI: idr(IDR3, 18) === 1,
    S2PI: idr(IDR3, 19) === 1,
    S2PO: idr(IDR3, 20) === 1,
    MTEPERM: idr(IDR3, 22) === 1,
    AIE: idr(IDR3, 23) === 1,
    VAX: idr(IDR5, 11, 10),
    DS: idr(IDR5, 7) === 1,
    OAS,
    IAS: Math.max(TTF & 1 ? 40 : 0, TTF & 2 ? OAS : 0),
    granule: (log2) => idr(IDR5, log2 === 12 ? 4 : log2 === 14 ? 5 : 6) === 1,
  };
}

/** Bits of an address size code, capped to the OAS (§5.2 S2PS, §5.4 IPS). */
export function effectiveSize(code: number, features: Features): number {
  let known = code;
  if (features.minor === 0 && code > 5) known = 5;
  else if (features.minor < 4 && code > 6) known = 6;
  return Math.min(ADDRESS_BITS[known]!, features.OAS);
}

/** Which features the oracle has no steps for: it must not be asked about them. */
export function beyondOracle(features: Features): string[] {
  return features.TTF === 2 ? [] : ["VMSAv8-32 tables"];
}
