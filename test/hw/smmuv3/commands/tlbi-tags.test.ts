// SPDX-License-Identifier: MIT
/** ASIDs and VMIDs of eight bits, VMIDs without stage 2, and E2H that has changed (IHI 0070 §4.4, §4.4.2). */
import { expect, test } from "vitest";
import type { SmmuConfig } from "../../../../src/hw/index.ts";
import { stage1Cd, stage1Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { at } from "../registers/bench.ts";
import { Machine } from "./machine.ts";
import { commandNamed, encode } from "./table.ts";

const VA = 0x7000;
const PA = 0x5000_0000;

/** A machine with one stage-1 stream in the TLB. @returns whether the entry is gone after a command */
function stream(
  config: Partial<SmmuConfig>,
  tags: { readonly vmid: number; readonly asid: number; readonly strw?: number },
  e2h = false,
): { machine: Machine; gone: (name: string, operands?: Record<string, number>) => boolean } {
  const machine = new Machine({ config, e2h });
  const table = machine.pageTable();
  table.map(VA, PA, 0x1000);
  const cd = machine.place(stage1Cd({ ttb0: table }, { ASID: tags.asid }));
  machine.streams.write(0, stage1Ste(cd, { S2VMID: tags.vmid, STRW: tags.strw ?? 0 }));
  return {
    machine,
    gone: (name, operands = {}) => {
      expect(machine.go(0, VA)).toBe(PA);
      machine.command(encode(commandNamed(name), operands));
      expect(machine.go(0, VA)).toBe(PA);
      return machine.reads.includes("tt-s1");
    },
  };
}

const eightBits = { asid16: false, vmid16: false };

test("§4.4: choice tlbi-8-bit-tags: an ASID operand beyond the 8 bits implemented matches nothing", () => {
  const { gone } = stream(eightBits, { vmid: 7, asid: 3 });
  expect(gone("TLBI_NH_ASID", { VMID: 7, ASID: 0x103 })).toBe(false);
  expect(gone("TLBI_NH_VA", { VMID: 7, ASID: 0x103, Address: VA >> 12 })).toBe(false);
  expect(gone("TLBI_NH_ASID", { VMID: 7, ASID: 3 })).toBe(true);
});

test("§4.4: choice tlbi-8-bit-tags: a VMID operand beyond the 8 bits implemented matches nothing", () => {
  const { gone } = stream(eightBits, { vmid: 7, asid: 3 });
  for (const name of ["TLBI_NH_ALL", "TLBI_S12_VMALL"]) {
    expect(gone(name, { VMID: 0x107 })).toBe(false);
    expect(gone(name, { VMID: 7 })).toBe(true);
  }
  expect(gone("TLBI_NH_VAA", { VMID: 0x107, Address: VA >> 12 })).toBe(false);
  expect(gone("TLBI_NH_VAA", { VMID: 7, Address: VA >> 12 })).toBe(true);
});

test("§4.4: with 16 bits implemented, the upper 8 count", () => {
  const { gone } = stream({}, { vmid: 0x107, asid: 0x103 });
  expect(gone("TLBI_NH_ASID", { VMID: 0x107, ASID: 3 })).toBe(false);
  expect(gone("TLBI_NH_ASID", { VMID: 7, ASID: 0x103 })).toBe(false);
  expect(gone("TLBI_NH_ASID", { VMID: 0x107, ASID: 0x103 })).toBe(true);
});

test("§4.4.2: without stage 2 NH_* compare no VMID, whatever the operand and STE.S2VMID are", () => {
  const stage1Only = {
    splitStageAts: false,
    stage2: false,
    vmw: false,
    hyp: false,
    xnx: false,
    ptwnnc: false,
    s2pi: false,
    s2po: false,
    mteperm: false,
  };
  const { gone } = stream(stage1Only, { vmid: 7, asid: 3 });
  for (const VMID of [0, 7, 8, 0xffff]) {
    expect(gone("TLBI_NH_ALL", { VMID })).toBe(true);
    expect(gone("TLBI_NH_ASID", { VMID, ASID: 3 })).toBe(true);
    expect(gone("TLBI_NH_ASID", { VMID, ASID: 4 })).toBe(false);
    expect(gone("TLBI_NH_VA", { VMID, ASID: 3, Address: VA >> 12 })).toBe(true);
    expect(gone("TLBI_NH_VAA", { VMID, Address: VA >> 12 })).toBe(true);
  }
});

test("§4.4.2.7: CMD_TLBI_EL2_ALL removes EL2 and EL2-E2H entries, whatever CR2.E2H is now", () => {
  for (const e2h of [false, true]) {
    const { machine, gone } = stream({}, { vmid: 0, asid: 3, strw: 2 }, e2h);
    expect(machine.go(0, VA)).toBe(PA);
    // CR2 can be written with SMMUEN 0 only; the STE that is cached keeps the world it was fetched with (§6.3.12.3).
    machine.smmu.write(at.CR0, 4, 0xc);
    machine.smmu.write(at.CR2, 4, e2h ? 2 : 3);
    machine.smmu.write(at.CR0, 4, 0xd);
    expect(gone("TLBI_NSNH_ALL")).toBe(false);
    expect(gone("TLBI_EL2_ALL")).toBe(true);
  }
});

test("§4.4.2.8: CMD_TLBI_EL2_VA with CR2.E2H 0 ignores the ASID operand", () => {
  const { gone } = stream({}, { vmid: 0, asid: 3, strw: 2 });
  for (const ASID of [0, 3, 4, 0xffff]) expect(gone("TLBI_EL2_VA", { ASID, Address: VA >> 12 })).toBe(true);
});
