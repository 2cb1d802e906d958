// SPDX-License-Identifier: GPL-2.0-only
/** arm_smmu_device_probe and arm_smmu_device_reset, as an SMMU sees them: the order of register accesses. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { ArmSmmuDevice } from "../../../src/drivers/iommu/arm-smmu-v3/device.ts";
import * as F from "../../../src/drivers/iommu/arm-smmu-v3/features.ts";
import { FakeSmmu, fakeSmmu, ID_REGISTERS } from "./fake-smmu.ts";
import { Machine, type MachineOptions } from "./machine.ts";

interface Booted {
  readonly machine: Machine;
  readonly smmu: FakeSmmu;
}

function boot(options: Partial<MachineOptions> & { readonly ids?: Record<number, number>; prepare?(smmu: FakeSmmu): void } = {}): Booted {
  let smmu: FakeSmmu | undefined;
  const maker = fakeSmmu((made) => {
    smmu = made;
    options.prepare?.(made);
  }, options.ids);
  const machine = new Machine({ sids: [], ...options, smmu: maker }).boot();
  return { machine, smmu: smmu! };
}

function driverData(machine: Machine): ArmSmmuDevice {
  const data = machine.smmuDevice.drvdata;
  if (!(data instanceof ArmSmmuDevice)) throw new Error(`not bound: ${machine.log.join(" | ")}`);
  return data;
}

const { CMDQ_OP_CFGI_ALL: CFGI_ALL, CMDQ_OP_TLBI_NSNH_ALL: NSNH_ALL, CMDQ_OP_TLBI_EL2_ALL: EL2_ALL, CMDQ_OP_CMD_SYNC: SYNC } = R;
const IDR0 = ID_REGISTERS[R.ARM_SMMU_IDR0]!;
const IDR1 = ID_REGISTERS[R.ARM_SMMU_IDR1]!;
const IDR5 = ID_REGISTERS[R.ARM_SMMU_IDR5]!;

const ORDER = [
  "CR0",
  "CR1",
  "CR2",
  "STRTAB_BASE",
  "STRTAB_BASE_CFG",
  "CMDQ_BASE",
  "CMDQ_PROD",
  "CMDQ_CONS",
  "CR0",
  "CMDQ_PROD",
  "CMDQ_PROD",
  "EVTQ_BASE",
  "EVTQ_PROD",
  "EVTQ_CONS",
  "CR0",
  "IRQ_CTRL",
  "GERROR_IRQ_CFG0",
  "EVTQ_IRQ_CFG0",
  "IRQ_CTRL",
  "CR0",
];

describe("arm_smmu_device_reset", () => {
  test("writes the registers in Linux's order", () => expect(boot().smmu.order).toEqual(ORDER));

  test("CR0 gains CMDQEN, EVTQEN and SMMUEN one by one; CR1, CR2 and IRQ_CTRL have Linux's values", () => {
    const { smmu } = boot();
    const values = (name: string): string[] =>
      smmu.writes.filter((write) => write.startsWith(`${name}=`)).map((write) => write.split("=")[1]!);
    expect(values("CR0")).toEqual(["0", "8", "c", "d"]);
    expect(values("CR1")).toEqual(["d75"]);
    expect(values("CR2")).toEqual(["6"]);
    expect(values("IRQ_CTRL")).toEqual(["0", "5"]);
  });

  test("invalidates configuration and TLBs by separate syncs", () => {
    expect(boot().smmu.opcodes).toEqual([CFGI_ALL, SYNC, NSNH_ALL, SYNC]);
    expect(boot({ ids: { [R.ARM_SMMU_IDR0]: IDR0 | R.IDR0_HYP } }).smmu.opcodes).toEqual([CFGI_ALL, SYNC, EL2_ALL, SYNC, NSNH_ALL, SYNC]);
  });

  test("an SMMU found enabled is set to abort by Update before it is disabled", () => {
    const { smmu, machine } = boot({ prepare: (fake) => fake.regs.set(R.ARM_SMMU_CR0, 1n) });
    expect(smmu.writes.slice(0, 2)).toEqual(["GBPA=80100000", "CR0=0"]);
    expect(machine.log.some((line) => line.includes("SMMU currently enabled! Resetting..."))).toBe(true);
    expect(smmu.order.slice(1)).toEqual(ORDER);
  });

  test("in a crash kernel the event queue ends up off", () => {
    const { smmu } = boot({ crashKernel: true });
    expect(smmu.writes.at(-1)).toBe("CR0=9");
  });

  test("an SMMU that does not acknowledge CR0 fails the probe after a second", () => {
    const { machine, smmu } = boot({
      prepare: (fake) => {
        fake.deaf = true;
        fake.regs.set(R.ARM_SMMU_CR0ACK, 0xffn);
      },
    });
    expect(machine.smmuDevice.driver).toBeNull();
    expect(machine.sim.now).toBeGreaterThan(1_000_000_000);
    expect(smmu.order.every((name) => name === "CR0")).toBe(true);
    expect(machine.log.some((line) => line.includes("failed to clear cr0"))).toBe(true);
  });

  test("a two-level stream table: format, split 8, log2 of all StreamIDs", () => {
    const { smmu } = boot();
    expect(smmu.reg(R.ARM_SMMU_STRTAB_BASE_CFG)).toBe((1 << 16) | (8 << 6) | 16);
    expect(smmu.regs.get(R.ARM_SMMU_STRTAB_BASE)! & R.STRTAB_BASE_RA).toBe(R.STRTAB_BASE_RA);
  });

  test("a linear stream table: format 0, log2 of the StreamIDs, every STE an abort", () => {
    const { smmu, machine } = boot({ ids: { [R.ARM_SMMU_IDR1]: (IDR1 & ~0x3f) | 6 } });
    expect(smmu.reg(R.ARM_SMMU_STRTAB_BASE_CFG)).toBe(6);
    const { strtab } = driverData(machine);
    for (let sid = 0; sid < 64; sid++) expect(strtab.table.get64(sid * 64)).toBe(1n);
  });

  test("with VHE and IDR0.HYP, CR2.E2H is set", () => {
    const { smmu } = boot({ ids: { [R.ARM_SMMU_IDR0]: IDR0 | R.IDR0_HYP }, driver: { vhe: true } });
    expect(smmu.writes).toContain("CR2=7");
  });

  test("MSIs: both configurations are cleared first, then written for event queue and global errors", () => {
    const { smmu, machine } = boot({
      ids: { [R.ARM_SMMU_IDR0]: IDR0 | R.IDR0_MSI },
      node: { msiParent: { label: "v2m", args: [] } },
      frame: { base: 0x2c1c_0000, first: 50, count: 8 },
    });
    const after = smmu.writes.slice(smmu.writes.indexOf("IRQ_CTRL=0") + 1, -2);
    expect(after).toEqual([
      "GERROR_IRQ_CFG0=0",
      "EVTQ_IRQ_CFG0=0",
      "EVTQ_IRQ_CFG0=2c1c0040",
      "EVTQ_IRQ_CFG1=32",
      "EVTQ_IRQ_CFG2=1",
      "GERROR_IRQ_CFG0=2c1c0040",
      "GERROR_IRQ_CFG1=33",
      "GERROR_IRQ_CFG2=1",
    ]);
    expect(driverData(machine)).toMatchObject({ evtq_irq: 50, gerr_irq: 51 });
  });
});

describe("arm_smmu_device_hw_probe", () => {
  test("reads IDR0, IDR1, IDR3, IDR5 and IIDR in that order, once", () => {
    expect(boot().smmu.idReads).toEqual([R.ARM_SMMU_IDR0, R.ARM_SMMU_IDR1, R.ARM_SMMU_IDR3, R.ARM_SMMU_IDR5, R.ARM_SMMU_IIDR]);
  });

  test.each<[string, Record<number, number>]>([
    ["neither stage", { [R.ARM_SMMU_IDR0]: IDR0 & ~3 }],
    ["no AArch64 tables", { [R.ARM_SMMU_IDR0]: (IDR0 & ~R.IDR0_TTF) | (1 << 2) }],
    ["reserved endianness", { [R.ARM_SMMU_IDR0]: (IDR0 & ~R.IDR0_TTENDIAN) | (1 << 21) }],
    ["preset tables", { [R.ARM_SMMU_IDR1]: IDR1 | R.IDR1_TABLES_PRESET }],
    ["preset queues", { [R.ARM_SMMU_IDR1]: IDR1 | R.IDR1_QUEUES_PRESET }],
    ["relative bases", { [R.ARM_SMMU_IDR1]: IDR1 | R.IDR1_REL }],
    ["a command queue that holds no batch and its sync", { [R.ARM_SMMU_IDR1]: (IDR1 & ~R.IDR1_CMDQS) | (6 << 21) }],
  ])("%s: -ENXIO, and no register is written", (_name, ids) => {
    const { machine, smmu } = boot({ ids });
    expect(machine.smmuDevice.driver).toBeNull();
    expect(smmu.writes).toEqual([]);
  });

  test.each<[string, Record<number, number>, number]>([
    ["IDR0.ST_LVL", {}, F.ARM_SMMU_FEAT_2_LVL_STRTAB],
    ["IDR0.CD2L", {}, F.ARM_SMMU_FEAT_2_LVL_CDTAB],
    ["IDR0.SEV", { [R.ARM_SMMU_IDR0]: IDR0 | R.IDR0_SEV }, F.ARM_SMMU_FEAT_SEV],
    [
      "IDR0.STALL_MODEL 2",
      { [R.ARM_SMMU_IDR0]: (IDR0 & ~R.IDR0_STALL_MODEL) | (2 << 24) },
      F.ARM_SMMU_FEAT_STALL_FORCE | F.ARM_SMMU_FEAT_STALLS,
    ],
    ["IDR0.HTTU 2", { [R.ARM_SMMU_IDR0]: IDR0 | (2 << 6) }, F.ARM_SMMU_FEAT_HA | F.ARM_SMMU_FEAT_HD],
    ["IDR1.ATTR_TYPES_OVR", { [R.ARM_SMMU_IDR1]: IDR1 | R.IDR1_ATTR_TYPES_OVR }, F.ARM_SMMU_FEAT_ATTR_TYPES_OVR],
    ["IDR3.RIL and FWB", { [R.ARM_SMMU_IDR3]: R.IDR3_RIL | R.IDR3_FWB }, F.ARM_SMMU_FEAT_RANGE_INV | F.ARM_SMMU_FEAT_S2FWB],
    ["IDR3.BBM 2", { [R.ARM_SMMU_IDR3]: 2 << 11 }, F.ARM_SMMU_FEAT_BBML2],
    ["IDR5.VAX", { [R.ARM_SMMU_IDR5]: IDR5 | (1 << 10) }, F.ARM_SMMU_FEAT_VAX],
    ["both stages", {}, F.ARM_SMMU_FEAT_NESTING],
    [
      "IDR0.ATS and PRI",
      { [R.ARM_SMMU_IDR0]: IDR0 | R.IDR0_ATS | R.IDR0_PRI, [R.ARM_SMMU_IDR1]: IDR1 | (3 << 11) },
      F.ARM_SMMU_FEAT_ATS | F.ARM_SMMU_FEAT_PRI,
    ],
  ])("%s", (_name, ids, features) => {
    expect(driverData(boot({ ids }).machine).features & features).toBe(features);
  });

  test("IDR5.STALL_MAX is how many transactions can stall", () => {
    expect(driverData(boot({ ids: { [R.ARM_SMMU_IDR5]: IDR5 | (12 << 16) } }).machine).max_stalls).toBe(12);
  });

  test.each<[string, boolean, Partial<MachineOptions> & { readonly ids?: Record<number, number> }]>([
    ["a coherent SMMU that is at least as wide as the CPUs", true, {}],
    ["not when table walks are not coherent", false, { coherent: false }],
    ["not with fewer output bits than the CPUs", false, { ids: { [R.ARM_SMMU_IDR5]: R.IDR5_GRAN4K | 4 } }],
    ["with fewer, if the CPUs have as few", true, { ids: { [R.ARM_SMMU_IDR5]: R.IDR5_GRAN4K | 4 }, driver: { cpu: { pa_bits: 44 } } }],
    ["not with 8-bit ASIDs, if the CPUs have 16", false, { ids: { [R.ARM_SMMU_IDR0]: IDR0 & ~R.IDR0_ASID16 } }],
    ["not without the kernel's page size", false, { ids: { [R.ARM_SMMU_IDR5]: R.IDR5_GRAN64K | 5 } }],
    ["not without BBML2, if the CPUs change block sizes in place", false, { driver: { cpu: { bbml2_noabort: true } } }],
  ])("arm_smmu_sva_supported: %s", (_name, supported, options) => {
    expect(driverData(boot(options).machine).has(F.ARM_SMMU_FEAT_SVA)).toBe(supported);
  });

  test("8 StreamID bits or fewer need no second level", () => {
    const { machine } = boot({ ids: { [R.ARM_SMMU_IDR1]: (IDR1 & ~0x3f) | 8 } });
    expect(driverData(machine).has(F.ARM_SMMU_FEAT_2_LVL_STRTAB)).toBe(false);
  });

  test("MSI polling needs MSIs, a coherent SMMU, and that nobody switched it off", () => {
    const ids = { [R.ARM_SMMU_IDR0]: IDR0 | R.IDR0_MSI };
    const polls = (options: Partial<MachineOptions>): boolean =>
      (driverData(boot({ ids, ...options }).machine).options & F.ARM_SMMU_OPT_MSIPOLL) !== 0;
    expect(polls({})).toBe(true);
    expect(polls({ coherent: false })).toBe(false);
    expect(polls({ params: { disableMsiPolling: true } })).toBe(false);
  });

  test.each<[string, number, Partial<Record<"features" | "options", number>>]>([
    [
      "MMU-600 r0p2 loses SEV (1076982) and nesting (1209401)",
      (0x483 << 20) | (0 << 16) | (2 << 12) | 0x43b,
      { features: F.ARM_SMMU_FEAT_SEV | F.ARM_SMMU_FEAT_NESTING },
    ],
    ["MMU-700 r1p0 loses nesting (2268618)", (0x487 << 20) | (1 << 16) | (0 << 12) | 0x43b, { features: F.ARM_SMMU_FEAT_NESTING }],
  ])("%s", (_name, iidr, lost) => {
    const ids = { [R.ARM_SMMU_IDR0]: IDR0 | R.IDR0_SEV, [R.ARM_SMMU_IIDR]: iidr };
    expect(driverData(boot({ ids }).machine).features & (lost.features ?? 0)).toBe(0);
  });

  test("MMU-700 before r1p1 forces a sync into full batches (2812531)", () => {
    const options = (revision: number): number =>
      driverData(boot({ ids: { [R.ARM_SMMU_IIDR]: (0x487 << 20) | (1 << 16) | (revision << 12) | 0x43b } }).machine).options;
    expect(options(0) & F.ARM_SMMU_OPT_CMDQ_FORCE_SYNC).not.toBe(0);
    expect(options(1) & F.ARM_SMMU_OPT_CMDQ_FORCE_SYNC).toBe(0);
  });

  test("OAS, page sizes and id sizes", () => {
    expect(driverData(boot().machine)).toMatchObject({
      oas: 48,
      asid_bits: 16,
      vmid_bits: 16,
      sid_bits: 16,
      pgsize_bitmap: 0x4020_1000,
    });
  });
});

describe("arm_smmu_device_probe", () => {
  test("#iommu-cells other than 1 is refused", () => {
    expect(boot({ node: { properties: { "#iommu-cells": 2 } } }).machine.smmuDevice.driver).toBeNull();
  });

  test("a register window below 128 KiB is refused", () => {
    expect(boot({ node: { reg: [{ base: 0x2b40_0000, size: 0x1_0000 }] } }).machine.smmuDevice.driver).toBeNull();
  });

  test("queues are halved until there is memory for them", () => {
    // 2^19 advertised, capped to 2^18 commands: 4 MiB, more than there is.
    const { machine } = boot({ ids: { [R.ARM_SMMU_IDR1]: (IDR1 & ~R.IDR1_CMDQS) | (19 << 21) }, ram: 0x30_0000 });
    expect(driverData(machine).cmdq.llq.max_n_shift).toBe(17);
  });

  test("queue bases hold allocation hint, address and size", () => {
    const { machine, smmu } = boot();
    const { cmdq, evtq } = driverData(machine);
    expect(smmu.regs.get(R.ARM_SMMU_CMDQ_BASE)).toBe((1n << 62n) | BigInt(cmdq.base_dma) | 8n);
    expect(smmu.regs.get(R.ARM_SMMU_EVTQ_BASE)).toBe((1n << 62n) | BigInt(evtq.base_dma) | 7n);
    expect(cmdq.base_dma % (256 * 16)).toBe(0);
  });
});
