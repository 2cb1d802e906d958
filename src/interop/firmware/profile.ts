// SPDX-License-Identifier: MIT
/** The configuration behind the ID registers that a firmware driver was shown, as far as it looked at them. */
import { type SmmuConfig, fieldNamed, getField, idRegisters, profiles, smmuRegisters } from "../../hw/index.ts";
import { configOfRecording } from "../replay/profile.ts";
import type { FirmwareRun } from "./format.ts";

const IDR = [0x00, 0x04, 0x08, 0x0c, 0x10, 0x14] as const;
const AIDR = 0x1c;
const GBPA = 0x44;
const GBPA_ABORT = 1 << 20;

/** Identification: what is read here says what the stub claimed to be. */
export function isIdentification(offset: number): boolean {
  return offset <= AIDR || (offset >= 0xfd0 && offset <= 0xffc);
}

/** The first value read at each offset before anything was written there. */
function resetValues(runs: readonly FirmwareRun[]): ReadonlyMap<number, number> {
  const values = new Map<number, number>();
  for (const { steps } of runs) {
    const written = new Set<number>();
    for (const step of steps) {
      if (step.kind === "write") written.add(step.offset);
      if (step.kind === "read" && step.width === 4 && !written.has(step.offset) && !values.has(step.offset))
        values.set(step.offset, step.lo);
    }
  }
  return values;
}

function field(register: string, name: string, value: number): number {
  const { fields } = smmuRegisters.find((candidate) => candidate.name === register)!;
  return getField([value], fieldNamed(fields, name));
}

/** A stub that stalls and forgot STALL_MAX would never record a stall: one is the least (IHI 0070 §6.3.6). */
function stalling(model: number, most: number): Pick<SmmuConfig, "stallModel" | "stallMax"> {
  if (model === 0) return { stallModel: "both", stallMax: Math.max(1, most) };
  return model === 2 ? { stallModel: "force", stallMax: Math.max(1, most) } : { stallModel: "terminate", stallMax: 0 };
}

/** What was not read is as in the profile "qemu"; what the model has not got (Secure state) is left out. */
export function configOfFirmware(name: string, runs: readonly FirmwareRun[]): SmmuConfig {
  const seen = resetValues(runs);
  const usual = idRegisters(profiles.qemu);
  const idr = IDR.map((offset, number) => seen.get(offset) ?? usual[`SMMU_IDR${number}`] ?? 0);
  const base = configOfRecording(name, idr, seen.get(AIDR) ?? usual["SMMU_AIDR"] ?? 0);
  const [zero = 0, one = 0, , , , five = 0] = idr;
  return {
    ...base,
    hyp: field("SMMU_IDR0", "Hyp", zero) === 1 && base.stage1 && base.stage2,
    msi: field("SMMU_IDR0", "MSI", zero) === 1,
    sev: field("SMMU_IDR0", "SEV", zero) === 1,
    twoLevelCd: field("SMMU_IDR0", "CD2L", zero) === 1,
    ...stalling(field("SMMU_IDR0", "STALL_MODEL", zero), field("SMMU_IDR5", "STALL_MAX", five)),
    ssidSize: field("SMMU_IDR1", "SSIDSIZE", one),
    attrTypesOvr: field("SMMU_IDR1", "ATTR_TYPES_OVR", one) === 1,
    attrPermsOvr: field("SMMU_IDR1", "ATTR_PERMS_OVR", one) === 1,
    gbpaResetAbort: ((seen.get(GBPA) ?? 0) & GBPA_ABORT) !== 0,
    page0Alias: false,
  };
}
