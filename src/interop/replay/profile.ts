// SPDX-License-Identifier: MIT
/** The configuration behind recorded ID registers: QEMU's profile with what the recording says instead. */
import { type SmmuConfig, fieldNamed, getField, profiles, smmuRegisters } from "../../hw/index.ts";

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

/**
 * @param idr IDR0 … IDR5 as recorded
 * @returns a configuration whose ID registers read as recorded, as far as the model has what they promise
 */
export function configOfRecording(name: string, idr: readonly number[], aidr: number): SmmuConfig {
  const [zero = 0, one = 0, , three = 0, , five = 0] = idr;
  const [gran4k, gran16k, gran64k] = GRANULES.map((granule) => idr5(granule, five) === 1);
  return {
    ...profiles.qemu,
    name,
    version: (aidr & 0xf) as SmmuConfig["version"],
    stage1: idr0("S1P", zero) === 1,
    stage2: idr0("S2P", zero) === 1,
    // Required of a part with so many StreamIDs, whatever a recording made of the bit (IHI 0070 §6.3.2).
    twoLevelStreamTable: idr0("ST_LEVEL", zero) === 1 || idr1("SIDSIZE", one) >= 7,
    asid16: idr0("ASID16", zero) === 1,
    vmid16: idr0("VMID16", zero) === 1,
    sidSize: idr1("SIDSIZE", one),
    eventqLog2Max: idr1("EVENTQS", one),
    cmdqLog2Max: idr1("CMDQS", one),
    ril: idr3("RIL", three) === 1,
    xnx: idr3("XNX", three) === 1,
    // A stage-1 feature (IHI 0070 §6.3.4).
    had: idr3("HAD", three) === 1 && idr0("S1P", zero) === 1,
    bbml: idr3("BBML", three) as SmmuConfig["bbml"],
    oas: OAS_BITS[idr5("OAS", five)] ?? 48,
    gran4k: gran4k ?? false,
    gran16k: gran16k ?? false,
    gran64k: gran64k ?? false,
  };
}
