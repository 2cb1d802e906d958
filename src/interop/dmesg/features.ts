// SPDX-License-Identifier: MIT
/** The feature bits that Linux's probe line prints in hexadecimal (ARM_SMMU_FEAT_*, arm-smmu-v3.h). */

interface Feature {
  readonly name: string;
  readonly meaning: string;
}

/** By bit, as in mainline; the kernels of vendors may have bits of their own behind the last one. */
const FEATURES: readonly Feature[] = [
  { name: "2_LVL_STRTAB", meaning: "two-level Stream tables" },
  { name: "2_LVL_CDTAB", meaning: "two-level CD tables" },
  { name: "TT_LE", meaning: "little-endian tables" },
  { name: "TT_BE", meaning: "big-endian tables" },
  { name: "PRI", meaning: "PCIe page requests" },
  { name: "ATS", meaning: "PCIe address translation services" },
  { name: "SEV", meaning: "CMD_SYNC can wake CPUs that wait for an event" },
  { name: "MSI", meaning: "message-signalled interrupts" },
  { name: "COHERENCY", meaning: "coherent access to tables and queues" },
  { name: "TRANS_S1", meaning: "stage 1" },
  { name: "TRANS_S2", meaning: "stage 2" },
  { name: "STALLS", meaning: "stalling faults" },
  { name: "HYP", meaning: "EL2 StreamWorlds" },
  { name: "STALL_FORCE", meaning: "faults always stall" },
  { name: "VAX", meaning: "52-bit input addresses" },
  { name: "RANGE_INV", meaning: "range invalidation" },
  { name: "BTM", meaning: "broadcast TLB maintenance" },
  { name: "SVA", meaning: "sharing of process address spaces" },
  { name: "E2H", meaning: "EL2 with the host extensions" },
  { name: "NESTING", meaning: "both stages in one STE" },
  { name: "ATTR_TYPES_OVR", meaning: "memory types can be overridden" },
  { name: "HA", meaning: "hardware Access flag" },
  { name: "HD", meaning: "hardware dirty state" },
  { name: "S2FWB", meaning: "stage-2 forced write-back" },
  { name: "BBML2", meaning: "break-before-make level 2" },
  { name: "HAFT", meaning: "hardware Access flag in table descriptors" },
];

/** Bit of a feature in the probe line. */
export const FEAT_2_LVL_STRTAB = 0x1;

/** The features of a probe line, with those bits that no known kernel prints. */
export function featureTexts(bits: number): string[] {
  const texts: string[] = [];
  for (let bit = 0; bit < 32; bit++) {
    if (((bits >>> bit) & 1) === 0) continue;
    const feature = FEATURES[bit];
    texts.push(feature === undefined ? `bit ${bit} (unknown)` : `${feature.name} (${feature.meaning})`);
  }
  return texts;
}
