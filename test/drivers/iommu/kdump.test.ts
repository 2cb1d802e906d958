// SPDX-License-Identifier: GPL-2.0-only
/** A crash kernel that finds the SMMU running: what it takes over, what it refuses, and that it resets where it refuses. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { arm_smmu_is_attach_deferred } from "../../../src/drivers/iommu/arm-smmu-v3/probe/kdump.ts";
import { ArmSmmuMaster, arm_smmu_probe_device } from "../../../src/drivers/iommu/arm-smmu-v3/masters/master.ts";
import { arm_smmu_make_cdtable_ste } from "../../../src/drivers/iommu/arm-smmu-v3/tables/ste.ts";
import { arm_smmu_init_sid_strtab } from "../../../src/drivers/iommu/arm-smmu-v3/tables/strtab.ts";
import { ArmSmmuDevice } from "../../../src/drivers/index.ts";
import type { SystemBus } from "../../../src/hw/index.ts";
import { type Device, device_release_driver, dtNode, EINVAL, ENXIO, iommu_group_claim_dma_owner } from "../../../src/kernel/index.ts";
import { FakeSmmu, ID_REGISTERS } from "./fake-smmu.ts";
import { CLIENT_SID, Machine, type MachineOptions, RAM_BASE, RAM_SIZE } from "./machine.ts";

/** The crash kernel has the upper half of RAM; what follows lies in the lower half. */
const LIMITS = { base: RAM_BASE + RAM_SIZE / 2, size: RAM_SIZE / 2 };
const L1 = RAM_BASE + 0x10_0000;
const L2 = RAM_BASE + 0x11_0000;
const CDS = RAM_BASE + 0x12_0000;
const OLD_ASID = 1;
const OLD_VMID = 1;
const ABORT_SID = CLIENT_SID + 1;
const S2_SID = CLIENT_SID + 2;

const OLD_STE = arm_smmu_make_cdtable_ste(
  { features: 0, stall_enabled: false },
  { cdtab_dma: CDS, s1fmt: 0, s1cdmax: 0 },
  false,
  R.STRTAB_STE_1_S1DSS_SSID0,
);
const S1_STE = OLD_STE[0]!;
const OLD_CD = R.CTXDESC_CD_0_V | R.CTXDESC_CD_0_AA64 | (BigInt(OLD_ASID) << 48n);

function store(bus: SystemBus, address: number, value: bigint): void {
  bus.storeWords(address, Uint32Array.of(Number(value & 0xffff_ffffn), Number(value >> 32n)), 2);
}
function load(bus: SystemBus, address: number): bigint {
  const words = new Uint32Array(2);
  bus.loadWords(address, words, 2);
  return BigInt(words[0]!) | (BigInt(words[1]!) << 32n);
}

/** The SMMU as a crashed Linux leaves it: translating by two-level tables, all queues on, one client in stage 1, one in stage 2. */
function crashed(fake: FakeSmmu, bus: SystemBus): void {
  store(bus, L1, BigInt(L2) | BigInt(R.STRTAB_SPLIT + 1));
  for (let sid = 0; sid < R.STRTAB_NUM_L2_STES; sid++) store(bus, L2 + 64 * sid, 1n);
  OLD_STE.forEach((word, index) => store(bus, L2 + 64 * CLIENT_SID + 8 * index, word));
  store(bus, L2 + 64 * S2_SID, 1n | (6n << 1n));
  store(bus, L2 + 64 * S2_SID + 16, BigInt(OLD_VMID));
  store(bus, CDS, OLD_CD);
  const regs: readonly (readonly [number, bigint])[] = [
    [R.ARM_SMMU_CR0, 0xdn],
    [R.ARM_SMMU_CR0ACK, 0xdn],
    [R.ARM_SMMU_CR2, 6n],
    [R.ARM_SMMU_STRTAB_BASE, BigInt(L1) | R.STRTAB_BASE_RA],
    [R.ARM_SMMU_STRTAB_BASE_CFG, BigInt((1 << 16) | (8 << 6) | 16)],
  ];
  for (const [offset, value] of regs) fake.regs.set(offset, value);
}

interface Options extends Partial<MachineOptions> {
  readonly ids?: Readonly<Record<number, number>>;
  /** Changes what the crashed kernel left. */
  change?(fake: FakeSmmu, bus: SystemBus): void;
}

interface Booted {
  readonly machine: Machine;
  readonly fake: FakeSmmu;
  readonly smmu: ArmSmmuDevice;
}

function boot({ ids = {}, change = () => {}, ...options }: Options = {}): Booted {
  let fake: FakeSmmu | undefined;
  const machine = new Machine({
    sids: [],
    crashKernel: true,
    limits: LIMITS,
    driver: { kdumpPolicy: "adopt" },
    ...options,
    smmu: (made) => {
      fake = new FakeSmmu(made, ids);
      crashed(fake, made.bus);
      change(fake, made.bus);
      return { size: 0x2_0000, device: fake, widths: [4, 8] };
    },
  }).boot();
  const smmu = machine.smmuDevice.drvdata;
  if (!(smmu instanceof ArmSmmuDevice)) throw new Error(`not bound: ${machine.log.join(" | ")}`);
  return { machine, fake: fake!, smmu };
}

/** A master as the core would have it after probe_device, before anything is attached. */
function master({ machine, smmu }: Booted, sid: number): ArmSmmuMaster {
  const dev = machine.smmuDevice;
  const made = new ArmSmmuMaster(smmu, dev, [sid]);
  dev.iommu = { fwspec: { iommu_fwnode: dtNode({ name: "smmu" }), ids: [sid] }, priv: made, pci_32bit_workaround: false };
  expect(arm_smmu_init_sid_strtab(smmu, sid)).toBe(0);
  return made;
}

/** What the core does at the first mapping: a new domain is attached. @returns 0 or -errno */
function attach({ machine }: Booted, dev: Device): number {
  const [instance] = machine.kernel.iommu.instances;
  const domain = instance!.ops.domain_alloc_paging(dev);
  return machine.run(domain.attach_dev!(dev, null));
}

const values = (fake: FakeSmmu, name: string): string[] =>
  fake.writes.filter((write) => write.startsWith(`${name}=`)).map((write) => write.split("=")[1]!);

describe("adoption", () => {
  test("SMMUEN stays 1; CR1, CR2, STRTAB_BASE, STRTAB_BASE_CFG and GBPA are not written", () => {
    const { fake } = boot();
    expect(values(fake, "CR0")).toEqual(["1", "9"]);
    for (const name of ["CR1", "CR2", "STRTAB_BASE", "STRTAB_BASE_CFG", "GBPA"]) expect(fake.order).not.toContain(name);
  });

  test("ATSCHK stays as it was", () => {
    const { fake } = boot({ change: (old) => old.regs.set(R.ARM_SMMU_CR0, 0x1dn) });
    expect(values(fake, "CR0")).toEqual(["11", "19"]);
  });

  test("the command queue is this kernel's, then everything cached is invalidated", () => {
    const { fake } = boot();
    expect(fake.order.slice(0, 5)).toEqual(["CR0", "CMDQ_BASE", "CMDQ_PROD", "CMDQ_CONS", "CR0"]);
    expect(fake.opcodes).toEqual([R.CMDQ_OP_CFGI_ALL, R.CMDQ_OP_CMD_SYNC, R.CMDQ_OP_TLBI_NSNH_ALL, R.CMDQ_OP_CMD_SYNC]);
  });

  test("event queue and its interrupt stay off, global errors interrupt", () => {
    const { fake, machine } = boot();
    expect(fake.order).not.toContain("EVTQ_BASE");
    expect(values(fake, "IRQ_CTRL")).toEqual(["0", "1"]);
    expect(machine.log.some((line) => line.includes("no evtq irq"))).toBe(false);
  });

  test("errors that the crashed kernel left are acknowledged before the command queue starts", () => {
    const { fake } = boot({ change: (old) => old.regs.set(R.ARM_SMMU_GERROR, BigInt(R.GERROR_CMDQ_ERR)) });
    expect(values(fake, "GERRORN")).toEqual(["1"]);
    expect(fake.order.indexOf("GERRORN")).toBeLessThan(fake.order.indexOf("CMDQ_BASE"));
    expect(fake.opcodes).toHaveLength(4);
  });

  test.each([
    ["an SMMU that has linear tables only", { [R.ARM_SMMU_IDR0]: ID_REGISTERS[R.ARM_SMMU_IDR0]! & ~R.IDR0_ST_LVL }],
    ["an SMMU that knows two levels, which the crashed kernel may not have known", {}],
  ])("a linear table is adopted by %s", (_what, ids) => {
    const { smmu } = boot({
      ids,
      change: (fake) => {
        fake.regs.set(R.ARM_SMMU_STRTAB_BASE, BigInt(L2));
        fake.regs.set(R.ARM_SMMU_STRTAB_BASE_CFG, 6n);
      },
    });
    expect(smmu.adopted).toBe(true);
    expect([smmu.strtab.num_ents, smmu.strtab.l2]).toEqual([64, null]);
    expect(arm_smmu_init_sid_strtab(smmu, CLIENT_SID)).toBe(0);
  });

  test("ASIDs and VMIDs of the old table are not given out again", () => {
    const { smmu } = boot();
    expect(smmu.driver.asids.alloc(100)).toBe(OLD_ASID + 1);
    expect(smmu.vmids.alloc(100)).toBe(OLD_VMID + 1);
  });

  test("an audit at the crash kernel's own shutdown invalidates the STEs of the whole table, those of devices that it has not as well", () => {
    const { machine } = boot({ driver: { kdumpPolicy: "adopt", shutdown: "audit" } });
    expect(load(machine.bus, L2 + 64 * CLIENT_SID) & 1n).toBe(1n);
    machine.run(machine.smmuDevice.driver!.shutdown!(machine.smmuDevice));
    for (let sid = 0; sid < R.STRTAB_NUM_L2_STES; sid++) expect(load(machine.bus, L2 + 64 * sid) & 1n).toBe(0n);
  });

  test("ASIDs of a two-level table of context descriptors count too", () => {
    const leaf = CDS + 0x2_0000;
    const { smmu } = boot({
      ids: { [R.ARM_SMMU_IDR1]: ID_REGISTERS[R.ARM_SMMU_IDR1]! | (12 << 6) },
      change: (_fake, bus) => {
        store(bus, L2 + 64 * CLIENT_SID, S1_STE | (2n << 4n) | (12n << 59n));
        store(bus, CDS, BigInt(leaf) | 1n);
        store(bus, leaf + 64 * 3, OLD_CD);
      },
    });
    expect(smmu.driver.asids.alloc(100)).toBe(OLD_ASID + 1);
  });
});

describe("what is not adopted is reset, aborting", () => {
  /** How the probe went: first and last writes, and the first ids that are free. */
  function outcome({ fake, smmu }: Booted): object {
    return {
      adopted: smmu.adopted,
      first: fake.writes.slice(0, 2),
      last: fake.writes.at(-1),
      asid: smmu.driver.asids.alloc(100),
      vmid: smmu.vmids.alloc(100),
    };
  }
  const RESET = { adopted: false, first: ["GBPA=80100000", "CR0=0"], last: "CR0=9", asid: 1, vmid: 1 };

  test("by the policy reset-abort, which is Linux 7.1", () => {
    expect(outcome(boot({ driver: {} }))).toEqual(RESET);
  });

  test("an SMMU in Service Failure Mode", () => {
    const change = (fake: FakeSmmu): unknown => fake.regs.set(R.ARM_SMMU_GERROR, BigInt(R.GERROR_SFM_ERR));
    expect(outcome(boot({ change }))).toEqual(RESET);
  });

  test("an SMMU that is not coherent, with a warning", () => {
    const setup = boot({ coherent: false });
    expect(outcome(setup)).toEqual(RESET);
    expect(setup.machine.log.some((line) => line.includes("in-flight DMA will be rejected"))).toBe(true);
  });

  const REGISTER = (offset: number, value: bigint) => (fake: FakeSmmu) => void fake.regs.set(offset, value);
  const MEMORY = (address: number, value: bigint) => (_fake: FakeSmmu, bus: SystemBus) => store(bus, address, value);
  const CFG = (fmt: number, split: number, log2size: number) => BigInt((fmt << 16) | (split << 6) | log2size);

  test.each<[string, NonNullable<Options["change"]>]>([
    ["a table outside of RAM", REGISTER(R.ARM_SMMU_STRTAB_BASE, 0x1000n)],
    ["a table in this kernel's own memory", REGISTER(R.ARM_SMMU_STRTAB_BASE, BigInt(LIMITS.base))],
    ["a table that reaches into this kernel's own memory", REGISTER(R.ARM_SMMU_STRTAB_BASE, BigInt(LIMITS.base - 64))],
    ["a format that there is not", REGISTER(R.ARM_SMMU_STRTAB_BASE_CFG, CFG(2, 8, 16))],
    ["a linear table for more StreamIDs than there are", REGISTER(R.ARM_SMMU_STRTAB_BASE_CFG, CFG(0, 0, 17))],
    ["another split", REGISTER(R.ARM_SMMU_STRTAB_BASE_CFG, CFG(1, 6, 16))],
    ["more StreamIDs than there are", REGISTER(R.ARM_SMMU_STRTAB_BASE_CFG, CFG(1, 8, 17))],
    ["fewer StreamIDs than one level-2 table", REGISTER(R.ARM_SMMU_STRTAB_BASE_CFG, CFG(1, 8, 7))],
    ["another CR2.E2H", REGISTER(R.ARM_SMMU_CR2, 7n)],
    ["a level-1 descriptor with another span", MEMORY(L1, BigInt(L2) | 8n)],
    ["a table that is not aligned to its size", REGISTER(R.ARM_SMMU_STRTAB_BASE, BigInt(L1 + 64))],
    ["a level-1 descriptor without a pointer", MEMORY(L1 + 8, 9n)],
    ["a level-1 descriptor whose table is not aligned", MEMORY(L1 + 8, BigInt(L2 + 0x1000) | 9n)],
    ["a level-1 descriptor that leads nowhere", MEMORY(L1 + 8, 0x1000_0000n | 9n)],
    ["an STE whose context descriptors lie nowhere", MEMORY(L2 + 64 * CLIENT_SID, 1n | (5n << 1n) | 0x1000_0000n)],
    ["an STE with more SubstreamIDs than there are", MEMORY(L2 + 64 * CLIENT_SID, S1_STE | (3n << 59n))],
  ])("%s", (_name, change) => {
    const setup = boot({ change });
    expect(outcome(setup)).toEqual(RESET);
    expect(setup.machine.log.some((line) => line.includes("the stream table is not adopted"))).toBe(true);
  });

  test("a kernel that no panic started", () => {
    const { fake, smmu } = boot({ crashKernel: false });
    expect(smmu.adopted).toBe(false);
    expect(fake.writes[0]).toBe("GBPA=80100000");
  });
});

describe("is_attach_deferred", () => {
  test.each([
    ["an STE that translates", CLIENT_SID, true],
    ["an STE with stage 2", S2_SID, true],
    ["an STE that aborts", ABORT_SID, false],
    ["a StreamID that had no level-2 table", 0x1234, false],
  ])("%s", (_name, sid, deferred) => {
    const setup = boot();
    const { dev } = master(setup, sid);
    expect(arm_smmu_is_attach_deferred(dev)).toBe(deferred);
  });

  test("nothing is deferred where nothing was adopted", () => {
    const setup = boot({ driver: {} });
    expect(arm_smmu_is_attach_deferred(master(setup, CLIENT_SID).dev)).toBe(false);
  });
});

describe("a level-1 descriptor that is spoilt after the adoption", () => {
  test.each<[string, bigint, number, string]>([
    ["another span", BigInt(L2) | 8n, -EINVAL, "L1[0] has span 8 (vs 9)"],
    ["a pointer that is not aligned", BigInt(L2 + 0x1000) | 9n, -EINVAL, "L1[0] bad l2 table base 0x80111000"],
    ["a pointer to nowhere", 0x1000_0000n | 9n, -ENXIO, "at 0x10000000 is no memory of the crashed kernel"],
  ])("%s: probe_device refuses the device and says why, and the others live on", (_what, descriptor, error, why) => {
    const setup = boot();
    const { machine, smmu } = setup;
    store(machine.bus, L1, descriptor);
    const dev = machine.smmuDevice;
    const of = (sid: number): void => {
      const fwspec = { iommu_fwnode: smmu.dev.of_node!, ids: [sid] };
      dev.iommu = { fwspec, priv: null, pci_32bit_workaround: false };
    };
    of(CLIENT_SID);
    expect(arm_smmu_probe_device(smmu.driver, dev)).toBe(error);
    expect(machine.log.at(-1)).toContain(`failed to adopt l2 stream table for SID ${CLIENT_SID}: `);
    expect(machine.log.at(-1)).toContain(why);
    expect(load(machine.bus, L1)).toBe(descriptor);
    expect(smmu.streams.size).toBe(0);
    of(0x1234);
    expect(arm_smmu_probe_device(smmu.driver, dev)).toBe(0);
  });

  test("an audit says so and invalidates the STEs that are left", () => {
    const { machine } = boot({
      driver: { kdumpPolicy: "adopt", shutdown: "audit" },
      change: (_fake, bus) => store(bus, L1 + 8, BigInt(L2) | 9n),
    });
    store(machine.bus, L1, BigInt(L2) | 8n);
    machine.run(machine.smmuDevice.driver!.shutdown!(machine.smmuDevice));
    expect(machine.log.some((line) => line.includes("failed to adopt l2 stream table for SID 0: "))).toBe(true);
    expect(load(machine.bus, L2 + 64 * CLIENT_SID) & 1n).toBe(0n);
  });
});

describe("the first attach", () => {
  test("until then the old STE stands; then it leads to this kernel's descriptors, with no moment of invalidity", () => {
    const setup = boot();
    const { machine, smmu } = setup;
    const { dev, ...made } = master(setup, CLIENT_SID);
    expect(made.smmu).toBe(smmu);
    expect(load(machine.bus, L2 + 64 * CLIENT_SID)).toBe(S1_STE);
    const seen = new Set<bigint>();
    const storing = machine.kernel.platform.bus;
    const write64 = storing.write64.bind(storing);
    storing.write64 = (pa: number, value: bigint): void => {
      if (pa === L2 + 64 * CLIENT_SID) seen.add(value & 1n);
      write64(pa, value);
    };
    expect(attach(setup, dev)).toBe(0);
    expect([...seen]).toEqual([1n]);
    const pointer = load(machine.bus, L2 + 64 * CLIENT_SID) & R.STRTAB_STE_0_S1CTXPTR_MASK;
    expect(Number(pointer)).toBeGreaterThanOrEqual(LIMITS.base);
    expect(Number(load(machine.bus, Number(pointer)) >> 48n)).not.toBe(OLD_ASID);
  });

  test("a StreamID without an old level-2 table gets one of this kernel's", () => {
    const setup = boot();
    const { dev } = master(setup, 0x1234);
    expect(attach(setup, dev)).toBe(0);
    const descriptor = load(setup.machine.bus, L1 + 8 * 0x12);
    expect(Number(descriptor & R.STRTAB_L1_DESC_L2PTR_MASK)).toBeGreaterThanOrEqual(LIMITS.base);
  });
});

describe("a deferred device that is claimed before it mapped anything", () => {
  /** The client as the crash kernel boots it, without its driver. */
  function claimed(): Booted {
    const setup = boot({ sids: [CLIENT_SID] });
    const { machine } = setup;
    expect(machine.client.iommu!.attach_deferred).toBe(true);
    machine.run(device_release_driver(machine.client));
    expect(machine.run(iommu_group_claim_dma_owner(machine.client.iommu_group!, "vfio"))).toBe(0);
    return setup;
  }

  test("its stream aborts", () => {
    const { machine } = claimed();
    expect(load(machine.bus, L2 + 64 * CLIENT_SID)).toBe(1n);
    expect(machine.client.iommu!.attach_deferred).toBe(false);
  });

  test("the core names the group's domain as the old one, which the device never was in: a warning (arm_smmu_invs_unref)", () => {
    const { machine } = claimed();
    const warnings = machine.kernel.warnings.map(({ message }) => message);
    expect(warnings).toEqual([expect.stringMatching(/^invalidation of type 0 for \d+ dropped, which the domain does not have$/)]);
  });
});
