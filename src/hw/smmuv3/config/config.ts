// SPDX-License-Identifier: MIT
/**
 * What one SMMU implements, as a plain object, and which combinations of it the architecture allows.
 *
 * The ID registers follow from this object (id-registers.ts); nothing else in the model decides what exists. What the
 * architecture has and this model does not is refused here, so that no ID bit ever promises it.
 */
import { HostMisuseError, NotModelledError } from "../../errors.ts";
import { checkShape } from "./config-shape.ts";
import { presetRules, type Presets } from "./presets.ts";
import { profiles, type ProfileName } from "./profiles.ts";
import type { Replacement } from "../caches/tagged-cache.ts";

export { profiles, type ProfileName };
export type { Presets };
export { idRegisters, type IdRegisters } from "../registers/id-registers.ts";

/** Output and physical address sizes that IDR5.OAS can name. 56 is not modelled: it is refused. */
export type AddressSize = 32 | 36 | 40 | 42 | 44 | 48 | 52 | 56;

/** What an SMMU implements. Sizes in bits unless said otherwise. */
export interface SmmuConfig {
  readonly name: string;
  /** Architecture minor version: 0 is SMMUv3.0, 4 is SMMUv3.4 (AIDR). */
  readonly version: 0 | 1 | 2 | 3 | 4;
  /** IDR0.S1P, IDR0.S2P. */
  readonly stage1: boolean;
  readonly stage2: boolean;
  /** IDR0.TTF. Only "aarch64" is modelled. */
  readonly ttf: "aarch64" | "aarch32" | "both";
  /** IDR1.SIDSIZE, 0 … 32. */
  readonly sidSize: number;
  /** IDR1.SSIDSIZE, 0 … 20; 0 means no substreams. */
  readonly ssidSize: number;
  /** IDR0.ST_LEVEL, IDR0.CD2L. */
  readonly twoLevelStreamTable: boolean;
  readonly twoLevelCd: boolean;
  readonly asid16: boolean;
  readonly vmid16: boolean;
  /** IDR5.OAS. */
  readonly oas: AddressSize;
  /** IDR5.VAX. */
  readonly vax: 48 | 52 | 56;
  readonly gran4k: boolean;
  readonly gran16k: boolean;
  readonly gran64k: boolean;
  /** IDR0.TTENDIAN. */
  readonly ttEndian: "little" | "big" | "mixed";
  /** IDR0.COHACC. */
  readonly coherent: boolean;
  readonly msi: boolean;
  readonly sev: boolean;
  /** IDR0.Hyp: StreamWorlds EL2 and EL2-E2H. */
  readonly hyp: boolean;
  /** IDR0.ATS: PCIe Address Translation Services. The host has to carry invalidations (SmmuHost.invalidateAtc). */
  readonly ats: boolean;
  /** IDR0.NS1ATS is 0: split-stage ATS (STE.EATS 0b10). */
  readonly splitStageAts: boolean;
  /** IDR0.ATSRECERR: CR2.REC_CFG_ATS. */
  readonly atsRecErr: boolean;
  /** IDR3.PASIDTT: Translated transactions may have a SubstreamID. */
  readonly pasidTt: boolean;
  /** Not modelled: must be false. */
  readonly pri: boolean;
  /** IDR0.HTTU: 0 none, 1 Access flag, 2 and dirty state, 3 and Access flag of table descriptors. */
  readonly httu: 0 | 1 | 2 | 3;
  /** IDR0.BTM: TLBIs that PEs broadcast are received (Smmu.broadcast). */
  readonly btm: boolean;
  /** IDR0.VMW: VMID wildcards. */
  readonly vmw: boolean;
  /** IDR0.DORMHINT. */
  readonly dormhint: boolean;
  /** IDR0.STALL_MODEL: "terminate" 0b01, "both" 0b00, "force" 0b10. */
  readonly stallModel: "terminate" | "both" | "force";
  /** IDR5.STALL_MAX: how many stall records may be unanswered at once; 0 where nothing stalls. */
  readonly stallMax: number;
  /** IDR0.TERM_MODEL: true: faults always abort and CD.A must be 1; false: CD.A selects abort or RAZ/WI. */
  readonly termModel: boolean;
  /** IDR1.ATTR_TYPES_OVR, IDR1.ATTR_PERMS_OVR. */
  readonly attrTypesOvr: boolean;
  readonly attrPermsOvr: boolean;
  /** IDR3.RIL: range invalidation and level hints. */
  readonly ril: boolean;
  /** IDR3.BBML. */
  readonly bbml: 0 | 1 | 2;
  readonly xnx: boolean;
  /** IDR3.HAD: hierarchical attribute disable. */
  readonly had: boolean;
  /** IDR3.FWB: stage 2 forced write-back. */
  readonly fwb: boolean;
  readonly e0pd: boolean;
  /** IDR3.PTWNNC: with S2PTW 0, walks that stage 2 maps as Device are done as Normal Non-cacheable. */
  readonly ptwnnc: boolean;
  /** IDR3.STT: small translation tables. */
  readonly stt: boolean;
  /** IDR3.EPAN: PAN also where unprivileged software may execute. */
  readonly epan: boolean;
  /** IDR3.S1PI, S2PI, S2PO: permission indirection and overlay. */
  readonly s1pi: boolean;
  readonly s2pi: boolean;
  readonly s2po: boolean;
  /** IDR3.AIE: sixteen memory types of stage 1. */
  readonly aie: boolean;
  /** IDR3.MTEPERM: NoTagAccess encodings of stage 2's MemAttr. */
  readonly mteperm: boolean;
  /** IDR3.THE: translation hardening. */
  readonly the: boolean;
  /** IDR5.DS: 52-bit addresses with 4 and 16 KiB granules (LPA2). */
  readonly ds: boolean;
  /** IDR5.D128: VMSAv9-128 tables, which AA64 and S2AA64 0 then select. */
  readonly d128: boolean;
  /** IDR1.CMDQS, EVENTQS, PRIQS: log2 of the largest queue in entries, 0 … 19. */
  readonly cmdqLog2Max: number;
  readonly eventqLog2Max: number;
  readonly priqLog2Max: number;
  /** GBPA.ABORT after a hardware reset. */
  readonly gbpaResetAbort: boolean;
  /** EVENTQ_PROD/CONS and PRIQ_PROD/CONS also answer at their page-0 offsets (IHI 0070 §6.2). */
  readonly page0Alias: boolean;
  readonly timing: SmmuTiming;
  readonly caches: CacheSizes;
  /** IIDR as read. */
  readonly iidr: number;
  /** PIDR4 … PIDR7, PIDR0 … PIDR3 (in order of their offsets from 0xFD0), one byte each. */
  readonly pidr: readonly number[];
  /** Embedded implementations: tables or queues at fixed addresses; absent means that software places all of them. */
  readonly presets?: Presets;
  /** Features that the architecture has and this model refuses; absent means not implemented. */
  readonly beyond?: Partial<Record<BeyondFeature, boolean>>;
}

/** Features that a configuration may name only to be refused. */
export type BeyondFeature = "secure" | "realm" | "root" | "ecmdq" | "atos" | "mpam" | "pmcg" | "dpt" | "pbha";

/** Virtual nanoseconds, at least 0. 0 makes the step part of the register access that causes it. */
export interface SmmuTiming {
  /** From the fetch of a command to its completion. */
  readonly commandNs: number;
  /** From a write to CR0, IRQ_CTRL or GBPA to its acknowledge. */
  readonly updateNs: number;
}

/** Entries of the caches, 0 to 2^22 (4194304) each. 0: nothing is cached. */
export interface CacheSizes {
  readonly ste: number;
  readonly cd: number;
  readonly tlb: number;
  /** Table descriptors of either stage. */
  readonly walk: number;
  /** Which entry makes room in a full TLB or walk cache. */
  readonly replacement: Replacement;
}

/** One dependency rule: `section` is where IHI 0070 says so. */
export interface ConfigRule {
  readonly section: string;
  readonly rule: string;
  holds(c: SmmuConfig): boolean;
}

function beyond(c: SmmuConfig, feature: BeyondFeature): boolean {
  return c.beyond?.[feature] === true;
}

/** DES_2, DES_1 and DES_0 of the peripheral identification, as IIDR.Implementer has them. */
function designerOf(pidr: readonly number[]): number {
  const [pidr4 = 0, , , , , pidr1 = 0, pidr2 = 0] = pidr;
  return ((pidr4 & 15) << 8) | ((pidr2 & 7) << 4) | (pidr1 >> 4);
}

function within(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high;
}

/** Rules of §6.3 that tie identification fields to each other and to the minor version (§2.3 … §2.9). */
const rules: readonly ConfigRule[] = [
  { section: "§6.3.8", rule: "the minor version is 0 to 4", holds: (c) => within(c.version, 0, 4) },
  // Stages and formats.
  { section: "§6.3.1", rule: "an SMMU implements stage 1 or stage 2 or both", holds: (c) => c.stage1 || c.stage2 },
  { section: "§6.3.1", rule: "Hyp == 1 needs S1P == 1 and S2P == 1", holds: (c) => !c.hyp || (c.stage1 && c.stage2) },
  {
    section: "§6.3.1",
    rule: "from v3.2 Hyp == 1 is mandatory with S1P == 1 and S2P == 1",
    holds: (c) => c.hyp || c.version < 2 || !(c.stage1 && c.stage2),
  },
  { section: "§6.3.6", rule: "GRAN4K is 1 where VMSAv8-32 tables are implemented (TTF[0])", holds: (c) => c.gran4k || c.ttf === "aarch64" },
  { section: "§6.3.1", rule: "VMW == 1 needs S2P == 1", holds: (c) => !c.vmw || c.stage2 },
  { section: "§6.3.1", rule: "HTTU is 0 to 3", holds: (c) => within(c.httu, 0, 3) },
  { section: "§6.3.1", rule: "PRI == 1 needs ATS == 1", holds: (c) => !c.pri || c.ats },
  {
    section: "§6.3.1",
    rule: "an SMMU of a PCIe system (ATS == 1) does not force stalls (STALL_MODEL 0b10)",
    holds: (c) => !c.ats || c.stallModel !== "force",
  },
  {
    section: "§6.3.1",
    rule: "split-stage ATS (NS1ATS == 0) needs ATS == 1, S1P == 1 and S2P == 1",
    holds: (c) => !c.splitStageAts || (c.ats && c.stage1 && c.stage2),
  },
  { section: "§6.3.1", rule: "ATSRECERR == 1 needs ATS == 1", holds: (c) => !c.atsRecErr || c.ats },
  { section: "§6.3.4", rule: "PASIDTT == 1 needs ATS == 1 and SSIDSIZE != 0", holds: (c) => !c.pasidTt || (c.ats && c.ssidSize !== 0) },
  // Sizes of tables, queues and identifiers.
  { section: "§6.3.2", rule: "SIDSIZE is 0 to 32", holds: (c) => within(c.sidSize, 0, 32) },
  {
    section: "§6.3.2",
    rule: "SIDSIZE >= 7 needs a 2-level Stream table (ST_LEVEL != 0b00)",
    holds: (c) => c.sidSize < 7 || c.twoLevelStreamTable,
  },
  { section: "§6.3.2", rule: "SSIDSIZE is 0 to 20", holds: (c) => within(c.ssidSize, 0, 20) },
  {
    section: "§6.3.2",
    rule: "CMDQS, EVENTQS and PRIQS are 0 to 19",
    holds: (c) => within(c.cmdqLog2Max, 0, 19) && within(c.eventqLog2Max, 0, 19) && within(c.priqLog2Max, 0, 19),
  },
  {
    section: "§6.3.2",
    rule: "ECMDQ == 1 needs COHACC == 1, MSI == 1 and QUEUES_PRESET == 0",
    holds: (c) => !beyond(c, "ecmdq") || (c.coherent && c.msi && c.presets?.queues === undefined),
  },
  // Features of stage 1.
  { section: "§6.3.4", rule: "HAD == 1 needs S1P == 1", holds: (c) => !c.had || c.stage1 },
  { section: "§6.3.4", rule: "from v3.1 HAD == 1 is mandatory with S1P == 1", holds: (c) => c.had || c.version < 1 || !c.stage1 },
  { section: "§6.3.4", rule: "PBHA == 1 needs HAD == 1", holds: (c) => !beyond(c, "pbha") || c.had },
  { section: "§6.3.4", rule: "S1PI == 1 needs S1P == 1", holds: (c) => !c.s1pi || c.stage1 },
  { section: "§6.3.4", rule: "AIE == 1 needs S1P == 1", holds: (c) => !c.aie || c.stage1 },
  { section: "§6.3.4", rule: "THE == 1 needs S1P == 1", holds: (c) => !c.the || c.stage1 },
  { section: "§6.3.4", rule: "from v3.3 E0PD == 1 is mandatory", holds: (c) => c.e0pd || c.version < 3 },
  { section: "§6.3.4", rule: "from v3.4 EPAN == 1 is mandatory", holds: (c) => c.epan || c.version < 4 },
  // Features of stage 2.
  { section: "§6.3.4", rule: "XNX == 1 needs S2P == 1", holds: (c) => !c.xnx || c.stage2 },
  { section: "§6.3.4", rule: "from v3.1 XNX == 1 is mandatory with S2P == 1", holds: (c) => c.xnx || c.version < 1 || !c.stage2 },
  { section: "§6.3.4", rule: "from v3.2 FWB == 1 is mandatory", holds: (c) => c.fwb || c.version < 2 },
  { section: "§6.3.4", rule: "PTWNNC == 1 needs S2P == 1", holds: (c) => !c.ptwnnc || c.stage2 },
  { section: "§6.3.4", rule: "from v3.3 PTWNNC == 1 is mandatory with S2P == 1", holds: (c) => c.ptwnnc || c.version < 3 || !c.stage2 },
  { section: "§6.3.4", rule: "MTEPERM == 1 needs S2P == 1", holds: (c) => !c.mteperm || c.stage2 },
  { section: "§6.3.4", rule: "from v3.4 MTEPERM == 1 is mandatory with S2P == 1", holds: (c) => c.mteperm || c.version < 4 || !c.stage2 },
  { section: "§6.3.4", rule: "S2PI == 1 needs S2P == 1", holds: (c) => !c.s2pi || c.stage2 },
  { section: "§6.3.4", rule: "S2PO == 1 needs S2PI == 1", holds: (c) => !c.s2po || c.s2pi },
  { section: "§6.3.4", rule: "THE == 1 with S2P == 1 needs S2PI == 1", holds: (c) => !c.the || !c.stage2 || c.s2pi },
  // Invalidation.
  { section: "§6.3.4", rule: "from v3.2 RIL == 1 is mandatory", holds: (c) => c.ril || c.version < 2 },
  { section: "§6.3.4", rule: "BBML is 0 to 2", holds: (c) => within(c.bbml, 0, 2) },
  { section: "§6.3.4", rule: "from v3.2 BBML is 1 or 2", holds: (c) => c.bbml !== 0 || c.version < 2 },
  // Device Permission Table, 128-bit descriptors.
  { section: "§6.3.4", rule: "DPT == 1 needs ATS == 1", holds: (c) => !beyond(c, "dpt") || c.ats },
  {
    section: "§6.3.1",
    rule: "VMSAv8-32 tables (TTF[0]) exclude DPT and D128",
    holds: (c) => c.ttf === "aarch64" || !(beyond(c, "dpt") || c.d128),
  },
  {
    section: "§6.3.6",
    rule: "D128 == 1 needs S1PI, AIE (with S1P == 1), S2PI, S2PO, MTEPERM (with S2P == 1)",
    holds: (c) => !c.d128 || ((!c.stage1 || (c.s1pi && c.aie)) && (!c.stage2 || (c.s2pi && c.s2po && c.mteperm))),
  },
  // Address sizes.
  { section: "§6.3.6", rule: "at least one granule is implemented", holds: (c) => c.gran4k || c.gran16k || c.gran64k },
  { section: "§6.3.6", rule: "DS == 1 needs GRAN4K == 1 or GRAN16K == 1", holds: (c) => !c.ds || c.gran4k || c.gran16k },
  { section: "§6.3.6", rule: "DS == 1 needs VAs of 52 bits or more (VAX)", holds: (c) => !c.ds || c.vax >= 52 },
  {
    section: "§6.3.6",
    rule: "OAS is one of 32, 36, 40, 42, 44, 48, 52, 56",
    holds: (c) => [32, 36, 40, 42, 44, 48, 52, 56].includes(c.oas),
  },
  { section: "§6.3.6", rule: "VAX is 48, 52 or 56", holds: (c) => [48, 52, 56].includes(c.vax) },
  { section: "§6.3.6", rule: "VAs of 52 bits or more need the 64KB granule or DS == 1", holds: (c) => c.vax === 48 || c.gran64k || c.ds },
  { section: "§6.3.6", rule: "56-bit VAs and an OAS of 56 need D128 == 1", holds: (c) => c.d128 || (c.vax < 56 && c.oas < 56) },
  { section: "§6.3.6", rule: "an OAS of 56 is reserved before v3.4", holds: (c) => c.oas < 56 || c.version >= 4 },
  {
    section: "§6.3.6",
    rule: "an OAS of 52 needs the 64KB granule, DS == 1 or D128 == 1",
    holds: (c) => c.oas !== 52 || c.gran64k || c.ds || c.d128,
  },
  { section: "§6.3.6", rule: "STALL_MAX is 0 with STALL_MODEL 0b01", holds: (c) => c.stallModel !== "terminate" || c.stallMax === 0 },
  {
    section: "§6.3.6",
    rule: "STALL_MAX is 1 to 65535 where faults can stall",
    holds: (c) => c.stallModel === "terminate" || within(c.stallMax, 1, 0xffff),
  },
  // What a minor version may have of later ones: features of the next one, where their fields are not RES0 in it.
  {
    section: "§6.3.6",
    rule: "VAX and OAS of 52 bits are v3.1 features: RES0 in v3.0",
    holds: (c) => c.version >= 1 || (c.vax === 48 && c.oas < 52),
  },
  {
    section: "§6.3.4",
    rule: "XNX and PBHA are v3.1 features: RES0 in v3.0",
    holds: (c) => c.version >= 1 || !(c.xnx || beyond(c, "pbha")),
  },
  {
    section: "§2.9, §6.3.4",
    rule: "RIL, FWB, BBML, STT and MPAM are v3.2 features: not before v3.1",
    holds: (c) => c.version >= 1 || !(c.ril || c.fwb || c.bbml !== 0 || c.stt || beyond(c, "mpam")),
  },
  {
    section: "§2.9, §6.3.4",
    rule: "E0PD, PTWNNC and ECMDQ are v3.3 features: not before v3.2",
    holds: (c) => c.version >= 2 || !(c.e0pd || c.ptwnnc || beyond(c, "ecmdq")),
  },
  {
    section: "§2.9, §6.3.4",
    rule: "EPAN, S1PI, S2PI, S2PO, AIE, MTEPERM and THE are v3.4 features: not before v3.3",
    holds: (c) => c.version >= 3 || !(c.epan || c.s1pi || c.s2pi || c.s2po || c.aie || c.mteperm || c.the),
  },
  {
    section: "§2.9, §6.3.1",
    rule: "ATSRECERR is a v3.3 feature: not before v3.2",
    holds: (c) => c.version >= 2 || !c.atsRecErr,
  },
  {
    section: "§2.9, §6.3.4",
    rule: "PASIDTT is a v3.4 feature: not before v3.3",
    holds: (c) => c.version >= 3 || !c.pasidTt,
  },
  {
    section: "§2.9, §6.3.6",
    rule: "DS and D128 are v3.4 features: not before v3.3",
    holds: (c) => c.version >= 3 || !(c.ds || c.d128),
  },
  { section: "§2.9, §6.3.1", rule: "HTTU 0b11 is a v3.4 feature: not before v3.3", holds: (c) => c.version >= 3 || c.httu < 3 },
  // Who made it.
  {
    section: "§6.3.170",
    rule: "PIDR0 to PIDR7 are eight bytes",
    holds: (c) => c.pidr.length === 8 && c.pidr.every((byte) => within(byte, 0, 0xff)),
  },
  {
    section: "§6.3.7",
    rule: "IIDR is a 32-bit value with bit 7 zero",
    holds: (c) => within(c.iidr, 0, 0xffff_ffff) && (c.iidr & 0x80) === 0,
  },
  {
    section: "§6.3.7",
    rule: "IIDR.Implementer is the designer that PIDR1, PIDR2 and PIDR4 name, where both are given",
    holds: (c) => c.iidr === 0 || designerOf(c.pidr) === 0 || (c.iidr & 0xfff) === designerOf(c.pidr),
  },
];

function refuseNotModelled(c: SmmuConfig): void {
  if (c.ttf !== "aarch64") throw new NotModelledError(`configuration ${c.name}: VMSAv8-32 LPAE tables (IDR0.TTF)`);
  if (c.oas === 56) throw new NotModelledError(`configuration ${c.name}: physical addresses of 56 bits (IDR5.OAS 0b111)`);
  if (c.pri) throw new NotModelledError(`configuration ${c.name}: PCIe PRI (IDR0.PRI)`);
  for (const [feature, asked] of Object.entries(c.beyond ?? {})) {
    if (asked) throw new NotModelledError(`configuration ${c.name}: ${feature}`);
  }
}

/**
 * Checks that the architecture allows this combination and that the model has it.
 * @throws HostMisuseError naming the rule and its section, or what is missing or unknown in the object or has a value that it cannot have
 * @throws NotModelledError for a feature that the architecture has and this model does not
 */
export function validateConfig(config: SmmuConfig): void {
  checkShape(config);
  for (const { section, rule, holds } of [...rules, ...presetRules]) {
    if (!holds(config)) throw new HostMisuseError("SMMU_CONFIG", `configuration ${config.name}: ${rule} (IHI 0070 ${section})`);
  }
  refuseNotModelled(config);
}
