// SPDX-License-Identifier: GPL-2.0-only
/** Dirty tracking: the bits in descriptors and context descriptors, and on the hardware model which pages are reported. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import {
  arm_smmu_domain_alloc_paging_flags,
  type ArmSmmuPagingDomain,
  IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
  IOMMU_HWPT_ALLOC_NEST_PARENT,
  IOMMU_HWPT_ALLOC_PASID,
} from "../../../src/drivers/iommu/arm-smmu-v3/domains/domain.ts";
import { ArmSmmuDevice } from "../../../src/drivers/index.ts";
import {
  createSmmuHost,
  type DmaEvents,
  DmaStatus,
  profiles,
  Smmu,
  type SmmuConfig,
  SmmuDmaPort,
  type SmmuEvents,
} from "../../../src/hw/index.ts";
import {
  EINVAL,
  EOPNOTSUPP,
  IOMMU_DIRTY_NO_CLEAR,
  iommu_attach_device,
  iommu_dirty_tracking_supported,
  iommu_map,
  iommu_read_and_clear_dirty,
  iommu_set_dirty_tracking,
  KernelBuffer,
} from "../../../src/kernel/index.ts";
import { silentTrace, Trace } from "../../../src/sim/index.ts";
import { ID_REGISTERS } from "./fake-smmu.ts";
import { CLIENT_SID, EVTQ_IRQ, GERROR_IRQ, Machine } from "./machine.ts";
import { newDomain, rig as recorder, ste } from "./support.ts";

const IDR0 = ID_REGISTERS[R.ARM_SMMU_IDR0]!;
const HTTU = { [R.ARM_SMMU_IDR0]: IDR0 | (R.IDR0_HTTU_ACCESS_DIRTY << 6) };

describe("the domain", () => {
  test.each([
    ["dirty tracking", IOMMU_HWPT_ALLOC_DIRTY_TRACKING, "S1"],
    ["dirty tracking with PASIDs", IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID, "S1"],
    ["a parent of nested domains", IOMMU_HWPT_ALLOC_NEST_PARENT, "S2"],
  ])("%s: stage by flags", (_what, flags, stage) => {
    expect(newDomain(recorder({ ids: HTTU }).smmu, flags).stage).toBe(stage);
  });

  test("dirty tracking in a parent of nested domains, or without stage 1: -EOPNOTSUPP", () => {
    const both = IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_NEST_PARENT;
    expect(arm_smmu_domain_alloc_paging_flags(recorder({ ids: HTTU }).smmu, both)).toBe(-EOPNOTSUPP);
    const s2only = recorder({ ids: { [R.ARM_SMMU_IDR0]: HTTU[R.ARM_SMMU_IDR0]! & ~R.IDR0_S1P } });
    expect(arm_smmu_domain_alloc_paging_flags(s2only.smmu, IOMMU_HWPT_ALLOC_DIRTY_TRACKING)).toBe(-EOPNOTSUPP);
  });

  test("has HA and HD in its context descriptor; another domain has neither", () => {
    const r = recorder({ ids: HTTU });
    const { client } = r.machine;
    const cd = (): bigint => r.machine.kernel.platform.bus.read64(Number(ste(r.smmu, CLIENT_SID) & R.STRTAB_STE_0_S1CTXPTR_MASK));
    expect((cd() >> 42n) & 3n).toBe(0n);
    r.machine.run(iommu_attach_device(newDomain(r.smmu, IOMMU_HWPT_ALLOC_DIRTY_TRACKING), client));
    expect((cd() >> 42n) & 3n).toBe(3n);
  });

  test.each<[string, Record<number, number>, boolean, boolean]>([
    ["with HTTU of dirty state and coherent walks", HTTU, true, true],
    ["with HTTU of the Access flag only", { [R.ARM_SMMU_IDR0]: IDR0 | (R.IDR0_HTTU_ACCESS << 6) }, true, false],
    ["with walks that do not snoop", HTTU, false, false],
  ])("the capability %s", (_what, ids, coherent, can) => {
    const r = recorder({ ids, coherent });
    expect(iommu_dirty_tracking_supported(r.machine.client)).toBe(can);
  });

  test("a domain without it: -EOPNOTSUPP", () => {
    const r = recorder({ ids: HTTU });
    const domain = newDomain(r.smmu);
    expect(r.machine.run(iommu_read_and_clear_dirty(domain, 0, 0x1000))).toBe(-EOPNOTSUPP);
    expect(r.machine.run(iommu_set_dirty_tracking(domain, 0, 0x1000, true))).toBe(-EOPNOTSUPP);
  });
});

describe("S2FWB", () => {
  const fwb = { [R.ARM_SMMU_IDR3]: R.IDR3_FWB };

  test("a parent of nested domains forces write-back where the SMMU can, and says so in the STE", () => {
    const r = recorder({ ids: fwb });
    const domain = newDomain(r.smmu, IOMMU_HWPT_ALLOC_NEST_PARENT);
    r.machine.run(iommu_attach_device(domain, r.machine.client));
    expect(ste(r.smmu, CLIENT_SID, 1) & R.STRTAB_STE_1_S2FWB).toBe(R.STRTAB_STE_1_S2FWB);
  });

  test.each<[string, Record<number, number>, number]>([
    ["a parent where the SMMU cannot", {}, IOMMU_HWPT_ALLOC_NEST_PARENT],
    ["another stage 2", { ...fwb, [R.ARM_SMMU_IDR0]: IDR0 & ~R.IDR0_S1P }, 0],
  ])("%s does not", (_what, ids, flags) => {
    const r = recorder({ ids });
    r.machine.run(iommu_attach_device(newDomain(r.smmu, flags), r.machine.client));
    expect(ste(r.smmu, CLIENT_SID, 1) & R.STRTAB_STE_1_S2FWB).toBe(0n);
  });
});

const IOVA = 0x10_0000;
const PAGE = 0x1000;
const PAGES = 4;

class Rig {
  readonly machine: Machine;
  readonly domain: ArmSmmuPagingDomain;
  readonly port: SmmuDmaPort;

  constructor(config: SmmuConfig) {
    let smmu: Smmu | undefined;
    const trace = new Trace<SmmuEvents>();
    this.machine = new Machine({
      coherent: config.coherent,
      smmu: ({ sim, bus, controller }) => {
        const pulse = (line: string): void => controller.raise(line === "eventq" ? EVTQ_IRQ : GERROR_IRQ);
        smmu = new Smmu(config, createSmmuHost({ simulation: sim, bus, trace, pulse }), { trace });
        return { size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth };
      },
    }).boot();
    const { machine } = this;
    const driver = machine.smmuDevice.drvdata;
    if (!(driver instanceof ArmSmmuDevice)) throw new Error(`not bound: ${machine.log.join(" | ")}`);
    this.port = new SmmuDmaPort({ smmu: smmu!, bus: machine.bus, streamId: CLIENT_SID, name: "client", trace: silentTrace<DmaEvents>() });
    this.domain = newDomain(driver, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
    const memory = KernelBuffer.alloc(machine.kernel, PAGES * PAGE, "client");
    if (memory === null) throw new Error("no memory");
    // Page by page: blocks would be tracked as wholes.
    for (let i = 0; i < PAGES; i++) iommu_map(machine.sim, this.domain, IOVA + i * PAGE, memory.pa + i * PAGE, PAGE, 3);
    machine.run(iommu_attach_device(this.domain, machine.client));
  }

  /** Which pages are reported, by number. */
  dirty(flags = 0): number[] {
    const ranges = this.machine.run(iommu_read_and_clear_dirty(this.domain, IOVA, PAGES * PAGE, flags));
    if (typeof ranges === "number") throw new Error(`not read: ${ranges}`);
    return ranges.map(({ iova }) => (iova - IOVA) / PAGE);
  }
  start(): void {
    const ret = this.machine.run(iommu_set_dirty_tracking(this.domain, IOVA, PAGES * PAGE, true));
    if (ret !== 0) throw new Error(`not started: ${ret}`);
  }
  write(page: number): DmaStatus {
    return this.port.write(IOVA + page * PAGE, Uint8Array.of(1));
  }
  read(page: number): DmaStatus {
    return this.port.read(IOVA + page * PAGE, new Uint8Array(1));
  }
}

const CONFIGS = Object.values(profiles)
  .filter(({ httu, stage1, coherent, ttf }) => httu >= 2 && stage1 && coherent && ttf !== "aarch32")
  .map((config) => [config.name, config] as const);

describe.each(CONFIGS)("profile %s", (_name, config) => {
  test("what is mapped counts as dirty until tracking starts", () => {
    const r = new Rig(config);
    expect(r.dirty(IOMMU_DIRTY_NO_CLEAR)).toEqual([0, 1, 2, 3]);
    r.start();
    expect(r.dirty()).toEqual([]);
  });

  test("pages that a device wrote are reported, once; pages that it read are not", () => {
    const r = new Rig(config);
    r.start();
    expect([r.write(1), r.read(2), r.write(3)]).toEqual([DmaStatus.ok, DmaStatus.ok, DmaStatus.ok]);
    expect(r.dirty()).toEqual([1, 3]);
    expect(r.dirty()).toEqual([]);
  });

  test("a look without clearing leaves them for the next", () => {
    const r = new Rig(config);
    r.start();
    r.write(0);
    expect(r.dirty(IOMMU_DIRTY_NO_CLEAR)).toEqual([0]);
    expect(r.dirty()).toEqual([0]);
  });

  /** iommu_dirty_bitmap_record gathers without a page size, and arm_smmu_iotlb_sync takes that for nothing to do. */
  test("as in Linux 7.1, clearing invalidates nothing: a second write through the cached entry goes unseen until a flush", () => {
    const r = new Rig(config);
    r.start();
    r.write(1);
    expect(r.dirty()).toEqual([1]);
    expect(r.write(1)).toBe(DmaStatus.ok);
    expect(r.dirty()).toEqual([]);
    r.machine.run(r.domain.flush_iotlb_all());
    r.write(1);
    expect(r.dirty()).toEqual([1]);
  });

  test("a range with a hole: -EINVAL", () => {
    const r = new Rig(config);
    expect(r.machine.run(iommu_read_and_clear_dirty(r.domain, IOVA, (PAGES + 1) * PAGE))).toBe(-EINVAL);
  });
});

test("some profile updates dirty state", () => expect(CONFIGS).not.toEqual([]));
