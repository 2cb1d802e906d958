// SPDX-License-Identifier: MIT
/** The identification registers that follow from a configuration (IHI 0070 §6.3.1 … §6.3.8, §6.3.170). */
import type { SmmuConfig } from "../config/config.ts";
import { setField } from "../../bits/fields.ts";
import { smmuRegisters } from "../spec/registers.ts";

/** Values of the read-only identification registers, by name. Those not named read as zero. */
export type IdRegisters = Readonly<Record<string, number>>;

const OAS_CODES: readonly number[] = [32, 36, 40, 42, 44, 48, 52, 56];
const TTENDIAN: Readonly<Record<SmmuConfig["ttEndian"], number>> = { mixed: 0, little: 2, big: 3 };
const STALL_MODEL: Readonly<Record<SmmuConfig["stallModel"], number>> = { both: 0, terminate: 1, force: 2 };
const TTF: Readonly<Record<SmmuConfig["ttf"], number>> = { aarch32: 1, aarch64: 2, both: 3 };
const PIDR_ORDER: readonly string[] = ["PIDR4", "PIDR5", "PIDR6", "PIDR7", "PIDR0", "PIDR1", "PIDR2", "PIDR3"];

type Values = Readonly<Record<string, number | boolean>>;

/** Field values per register. Fields that are not named are zero: the feature is absent. */
function fieldValues(c: SmmuConfig): Readonly<Record<string, Values>> {
  return {
    SMMU_IDR0: {
      S2P: c.stage2,
      S1P: c.stage1,
      TTF: TTF[c.ttf],
      COHACC: c.coherent,
      BTM: c.btm,
      HTTU: c.httu,
      DORMHINT: c.dormhint,
      VMW: c.vmw,
      Hyp: c.hyp,
      ATS: c.ats,
      NS1ATS: c.ats && c.stage1 && c.stage2 && !c.splitStageAts,
      ATSRECERR: c.atsRecErr,
      ASID16: c.asid16,
      MSI: c.msi,
      SEV: c.sev,
      PRI: c.pri,
      VMID16: c.vmid16,
      CD2L: c.twoLevelCd,
      TTENDIAN: TTENDIAN[c.ttEndian],
      STALL_MODEL: STALL_MODEL[c.stallModel],
      TERM_MODEL: c.termModel,
      ST_LEVEL: c.twoLevelStreamTable,
    },
    SMMU_IDR1: {
      SIDSIZE: c.sidSize,
      SSIDSIZE: c.ssidSize,
      PRIQS: c.priqLog2Max,
      EVENTQS: c.eventqLog2Max,
      CMDQS: c.cmdqLog2Max,
      REL: c.presets?.relativeTo !== undefined,
      QUEUES_PRESET: c.presets?.queues !== undefined,
      TABLES_PRESET: c.presets?.tables !== undefined,
      ATTR_PERMS_OVR: c.attrPermsOvr,
      ATTR_TYPES_OVR: c.attrTypesOvr,
    },
    SMMU_IDR3: {
      HAD: c.had,
      XNX: c.xnx,
      FWB: c.fwb,
      RIL: c.ril,
      BBML: c.bbml,
      E0PD: c.e0pd,
      PTWNNC: c.ptwnnc,
      STT: c.stt,
      EPAN: c.epan,
      S1PI: c.s1pi,
      S2PI: c.s2pi,
      S2PO: c.s2po,
      AIE: c.aie,
      MTEPERM: c.mteperm,
      THE: c.the,
      PASIDTT: c.pasidTt,
    },
    SMMU_IDR5: {
      OAS: OAS_CODES.indexOf(c.oas),
      GRAN4K: c.gran4k,
      GRAN16K: c.gran16k,
      GRAN64K: c.gran64k,
      VAX: (c.vax - 48) / 4,
      D128: c.d128,
      DS: c.ds,
      STALL_MAX: c.stallMax,
    },
    SMMU_AIDR: { ArchMinorRev: c.version },
  };
}

/** The ID registers of a configuration. It should have passed `validateConfig`. */
export function idRegisters(config: SmmuConfig): IdRegisters {
  const values: Record<string, number> = { SMMU_IIDR: config.iidr };
  for (const [name, wanted] of Object.entries(fieldValues(config))) {
    const fields = smmuRegisters.find((register) => register.name === name)?.fields ?? [];
    const words = [0];
    for (const field of fields) {
      const value = wanted[field.name];
      if (value !== undefined) setField(words, field, Number(value));
    }
    values[name] = words[0]!;
  }
  config.pidr.forEach((byte, index) => {
    values[`SMMU_${PIDR_ORDER[index]!}`] = byte;
  });
  return values;
}
