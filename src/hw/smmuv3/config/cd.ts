// SPDX-License-Identifier: MIT
/** A CD as fetched: its words, whether it is legal, and what the translation needs of it (IHI 0070 §5.4). */
import {
  alignTable,
  descriptorSize,
  effectiveSize,
  type GranuleBits,
  stage1StartLevel,
  wideDescriptors,
} from "../translation/address-size.ts";
import { alignTable128, startLevel128 } from "../translation/address-size128.ts";
import { mairType } from "../translation/attributes.ts";
import { CdFields } from "./cd-fields.ts";
import { brokenCdRule, type CdRule, hasTwoTables, indirectStage1, stage1Granule, tableInUse, usesD128 } from "./cd-rules.ts";
import type { SmmuConfig } from "./config.ts";
import { stage1Table } from "../translation/indirection.ts";
import type { Ste } from "./ste.ts";
import { VaLookup } from "../caches/tlb-tags.ts";

/** One half of the stage-1 address space: TTB0 or TTB1. */
export interface Stage1Half {
  /** False: EPDx is 1 and a TLB miss faults. The walk parameters below then have no meaning. */
  readonly enabled: boolean;
  readonly topByteIgnored: boolean;
  /** E0PDx in force. */
  readonly noUnprivileged: boolean;
  /** HADx in force, or AIE, which has hierarchical permissions disabled (DDI 0487 R_MJGNV). */
  readonly noTableAttributes: boolean;
  readonly granule: GranuleBits;
  readonly startLevel: number;
  /** 64 - TxSZ. */
  readonly inputBits: number;
  /** Effective IPS, as far as descriptors can hold it. */
  readonly outputBits: number;
  /** Descriptors hold addresses of 52 bits or more. */
  readonly wide: boolean;
  /** Shareability of all leaves, as DS has it; -1: each leaf says its own. */
  readonly shareability: number;
  /** 128-bit descriptors: DisCHx in force. */
  readonly noContiguous: boolean;
  /** Aligned base of the first table. */
  readonly table: number;
}

/** A fetched CD. Everything but `words`, `address` and `broken` has a meaning only if `broken` is undefined. */
export interface Cd {
  readonly words: Uint32Array;
  /** Physical. */
  readonly address: number;
  readonly broken: CdRule | undefined;
  /** The STE under which the CD was judged. */
  readonly ste: Ste;
  /** The tables are VMSAv9-128. */
  readonly d128: boolean;
  readonly ttb0: Stage1Half;
  readonly ttb1: Stage1Half;
  readonly bigEndian: boolean;
  /** AFFD in force: HA overrules it. */
  readonly ignoreAccessFlag: boolean;
  /** Hardware sets the Access flag (HA), keeps dirty state (HA and HD), sets the Access flag of table descriptors (HAFT). */
  readonly hardwareAccess: boolean;
  readonly hardwareDirty: boolean;
  readonly tableAccess: boolean;
  readonly WXN: boolean;
  readonly PAN: boolean;
  /** EPAN in force. */
  readonly EPAN: boolean;
  /** Descriptors have Protected: PnCH in force, so that bit 52 is not Contiguous, or bit 114 of 128-bit ones. */
  readonly protectedBit: boolean;
  /** The CD and the descriptor that led to it were fetched from memory that stage 2 marks AssuredOnly. */
  readonly assured: boolean;
  /** Permissions by PIIndex, undefined if they are direct. */
  readonly indirect: Uint8Array | undefined;
  /** NS-EL1 and EL2-E2H: two tables, two privileges, ASIDs. */
  readonly twoPrivileges: boolean;
  /** TLB tags; 0 where the StreamWorld has none. */
  readonly asid: number;
  readonly aset: number;
  /** Where its translations are cached. */
  readonly lookup: VaLookup;
  /** CD.A, CD.R and CD.S. */
  readonly abort: boolean;
  readonly record: boolean;
  readonly stall: boolean;
  /** Memory types by AttrIndx: the eight of MAIR, and its last for what only AIE reaches. */
  readonly memoryTypes: Uint8Array;
  /** AIE in force: bit 59 of a leaf is AttrIndx[3], or bit 5 of a 128-bit one. */
  readonly wideAttrIndx: boolean;
}

export function decodeCd(words: Uint32Array, address: number, ste: Ste, config: SmmuConfig, assured: boolean = false): Cd {
  const f = new CdFields(words);
  const broken = brokenCdRule(f, ste, config);
  const twoTables = hasTwoTables(ste.world);
  return {
    words,
    address,
    broken,
    ste,
    d128: usesD128(f, config),
    ttb0: decodeHalf(f, ste, config, 0, broken === undefined),
    ttb1: decodeHalf(f, ste, config, 1, broken === undefined),
    bigEndian: f.ENDI === 1,
    ignoreAccessFlag: f.AFFD === 1 && f.HA === 0,
    hardwareAccess: f.HA === 1,
    hardwareDirty: f.HA === 1 && f.HD === 1,
    tableAccess: config.httu === 3 && f.HAFT === 1,
    WXN: f.WXN === 1,
    PAN: twoTables && f.PAN === 1,
    EPAN: config.epan && f.EPAN === 1,
    protectedBit: config.the && (f.PnCH === 1 || usesD128(f, config)),
    assured,
    indirect: indirectStage1(f, ste, config) ? stage1Table(f.PIIP, twoTables ? f.PIIU : undefined, f.PAN === 1) : undefined,
    twoPrivileges: twoTables,
    asid: twoTables ? f.ASID : 0,
    aset: twoTables ? f.ASET : 0,
    lookup: new VaLookup(ste.world, ste.stage2 !== undefined, ste.vmid, twoTables ? f.ASID : 0, twoTables ? f.ASET : 0),
    abort: f.A === 1,
    record: f.R === 1,
    stall: f.S === 1,
    memoryTypes: memoryTypes(f),
    wideAttrIndx: config.aie && f.AIE === 1,
  };
}

function decodeHalf(f: CdFields, ste: Ste, config: SmmuConfig, half: 0 | 1, legal: boolean): Stage1Half {
  const first = half === 0;
  const enabled = legal && tableInUse(f, ste, half);
  const granule = (enabled ? stage1Granule(f, half) : undefined) ?? 12;
  const inputBits = enabled ? 64 - (first ? f.T0SZ : f.T1SZ) : 48;
  const d128 = usesD128(f, config);
  const startLevel = d128 ? startLevel128(granule, inputBits, first ? f.SKL0 : f.SKL1) : stage1StartLevel(granule, inputBits);
  const wide = d128 || wideDescriptors(granule, f.DS, config);
  const base = first ? f.TTB0 : f.TTB1;
  const effective = effectiveSize(f.IPS, config);
  const twoTables = hasTwoTables(ste.world);
  return {
    enabled,
    topByteIgnored: (first ? f.TBI0 : f.TBI1) === 1,
    noUnprivileged: config.e0pd && twoTables && (first ? f.E0PD0 : f.E0PD1) === 1,
    // Bit 65 and bit 129 are HADx where they are not DisCHx.
    noTableAttributes: (config.had && (first ? f.HAD0 : f.HAD1) === 1) || (config.aie && f.AIE === 1),
    granule,
    startLevel,
    inputBits,
    outputBits: descriptorSize(wide, effective),
    wide,
    shareability: wide && !d128 && granule !== 16 ? (first ? f.SH0 : f.SH1) : -1,
    noContiguous: d128 && (first ? f.DisCH0 : f.DisCH1) === 1,
    table: d128 ? alignTable128(base, granule, startLevel, inputBits) : alignTable(base, granule, startLevel, inputBits, effective),
  };
}

function memoryTypes(f: CdFields): Uint8Array {
  const types = new Uint8Array(16);
  for (let i = 0; i < 8; i++) types[i] = mairType(((i < 4 ? f.MAIR0 : f.MAIR1) >>> (8 * (i & 3))) & 0xff);
  types.fill(types[7]!, 8);
  return types;
}
