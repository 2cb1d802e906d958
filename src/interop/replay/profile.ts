// SPDX-License-Identifier: MIT
/** The configuration behind recorded ID registers: QEMU's profile with what the recording says instead. */
import { type SmmuConfig, fieldMask32, fieldNamed, getField, profiles, smmuRegisters } from "../../hw/index.ts";

const GRANULES = ["GRAN4K", "GRAN16K", "GRAN64K"] as const;
const OAS_BITS = [32, 36, 40, 42, 44, 48, 52] as const;

function fieldsOf(register: string): (field: string, value: number) => number {
  const table = smmuRegisters.find(({ name }) => name === register);
  if (!table) throw new RangeError(`no register is called ${register}`);
  return (field, value) => getField([value], fieldNamed(table.fields, field));
}

const idr0 = fieldsOf("SMMU_IDR0");
const idr1 = fieldsOf("SMMU_IDR1");
const idr3 = fieldsOf("SMMU_IDR3");
const idr5 = fieldsOf("SMMU_IDR5");

const IDR3_MANDATORY = {
  XNX: ({ version, stage2 }: SmmuConfig) => version >= 1 && stage2,
  FWB: ({ version, stage2 }: SmmuConfig) => version >= 2 && stage2,
  RIL: ({ version }: SmmuConfig) => version >= 2,
  BBML: ({ version }: SmmuConfig) => version >= 2,
  E0PD: ({ version }: SmmuConfig) => version >= 3,
  PTWNNC: ({ version, stage2 }: SmmuConfig) => version >= 3 && stage2,
} as const;

/** Bits of IDR3 that a part of this version must have set, whatever a recording made of them (IHI 0070 §6.3.4). */
export function mandatoryInIdr3(config: SmmuConfig): number {
  const { fields } = smmuRegisters.find(({ name }) => name === "SMMU_IDR3")!;
  let mask = 0;
  for (const [name, mandatory] of Object.entries(IDR3_MANDATORY)) if (mandatory(config)) mask |= fieldMask32(fieldNamed(fields, name));
  return mask;
}

/**
 * @param idr IDR0 … IDR5 as recorded
 * @returns a configuration whose ID registers read as recorded, as far as the model has what they promise
 */
export function configOfRecording(name: string, idr: readonly number[], aidr: number): SmmuConfig {
  const [zero = 0, one = 0, , three = 0, , five = 0] = idr;
  const [gran4k, gran16k, gran64k] = GRANULES.map((granule) => idr5(granule, five) === 1);
  const stage1 = idr0("S1P", zero) === 1;
  const stage2 = idr0("S2P", zero) === 1;
  const version = (aidr & 0xf) as SmmuConfig["version"];
  const config: SmmuConfig = {
    ...profiles.qemu,
    name,
    version,
    stage1,
    stage2,
    // Required of a part of this version or with so many StreamIDs, whatever a recording made of the bits (IHI 0070 §6.3.1, §6.3.2).
    hyp: idr0("Hyp", zero) === 1 || (version >= 2 && stage1 && stage2),
    twoLevelStreamTable: idr0("ST_LEVEL", zero) === 1 || idr1("SIDSIZE", one) >= 7,
    asid16: idr0("ASID16", zero) === 1,
    vmid16: idr0("VMID16", zero) === 1,
    sidSize: idr1("SIDSIZE", one),
    eventqLog2Max: idr1("EVENTQS", one),
    cmdqLog2Max: idr1("CMDQS", one),
    // A stage-1 feature (IHI 0070 §6.3.4).
    had: idr3("HAD", three) === 1 && stage1,
    bbml: (idr3("BBML", three) || (version >= 2 ? 1 : 0)) as SmmuConfig["bbml"],
    oas: OAS_BITS[idr5("OAS", five)] ?? 48,
    gran4k: gran4k ?? false,
    gran16k: gran16k ?? false,
    gran64k: gran64k ?? false,
  };
  const with3 = (three | mandatoryInIdr3(config)) >>> 0;
  const has = (name: string): boolean => idr3(name, with3) === 1;
  return { ...config, ril: has("RIL"), xnx: has("XNX"), fwb: has("FWB"), e0pd: has("E0PD"), ptwnnc: has("PTWNNC") };
}
