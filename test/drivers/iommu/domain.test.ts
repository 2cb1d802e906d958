// SPDX-License-Identifier: GPL-2.0-only
/** Domains and TLB maintenance: which entries are written and which commands follow, as a recording SMMU sees them. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { ArmSmmuPagingDomain } from "../../../src/drivers/iommu/arm-smmu-v3/domains/domain.ts";
import { arm_smmu_domain_inv_range } from "../../../src/drivers/iommu/arm-smmu-v3/invalidation/invalidation.ts";
import {
  DMA_FROM_DEVICE,
  dma_map_single,
  dma_unmap_single,
  iommu_device_unregister,
  iommu_iotlb_gather_init,
  iommu_map,
  iommu_unmap,
  type PageWatcher,
} from "../../../src/kernel/index.ts";
import { type FakeSmmu, ID_REGISTERS } from "./fake-smmu.ts";
import { CLIENT_SID } from "./machine.ts";
import { domainOf, rig, ste } from "./support.ts";

/** Commands as `opcode leaf?`, without SYNCs and prefetches. */
function maintenance(fake: FakeSmmu): string[] {
  return fake.commands
    .filter(({ opcode }) => opcode !== R.CMDQ_OP_CMD_SYNC && opcode !== R.CMDQ_OP_PREFETCH_CFG)
    .map(({ words }) => words.map((word) => word.toString(16)).join(" "));
}

const S2_ONLY = { [R.ARM_SMMU_IDR0]: ID_REGISTERS[R.ARM_SMMU_IDR0]! & ~R.IDR0_S1P };
const RIL = { [R.ARM_SMMU_IDR3]: R.IDR3_RIL };

describe("arm_smmu_probe_device and attach", () => {
  test("a stage-1 domain: CD first (2 syncs), then the STE, then a prefetch hint", () => {
    const { fake } = rig();
    const { CMDQ_OP_CFGI_CD: CD, CMDQ_OP_CFGI_STE: STE, CMDQ_OP_CMD_SYNC: SYNC, CMDQ_OP_PREFETCH_CFG: PREFETCH } = R;
    // Four commands of the reset come before.
    expect(fake.opcodes.slice(4)).toEqual([CD, SYNC, CD, SYNC, STE, SYNC, STE, SYNC, PREFETCH]);
  });

  test("the STE leads to a CD table with one descriptor; ASIDs count from 1", () => {
    const { machine, smmu } = rig();
    expect(ste(smmu, CLIENT_SID) & 0xfn).toBe(0xbn);
    expect(domainOf(machine.client)).toMatchObject({ stage: "S1", id: 1, aperture_end: 2 ** 48 - 1 });
    const cd = Number(ste(smmu, CLIENT_SID) & R.STRTAB_STE_0_S1CTXPTR_MASK);
    expect(machine.kernel.platform.bus.read64(cd) >> 48n).toBe(1n);
  });

  test("without stage 1 the domain is stage 2 with a VMID from 1 on, and no CD is written", () => {
    const { machine, smmu, fake } = rig({ ids: S2_ONLY });
    expect(domainOf(machine.client)).toMatchObject({ stage: "S2", id: 1 });
    expect(ste(smmu, CLIENT_SID) & 0xfn).toBe(0xdn);
    expect(ste(smmu, CLIENT_SID, 2) & 0xffffn).toBe(1n);
    expect(fake.opcodes).not.toContain(R.CMDQ_OP_CFGI_CD);
  });

  test("iommu.passthrough: the STE bypasses", () => {
    const { smmu } = rig({ params: { iommuPassthrough: true } });
    expect(ste(smmu, CLIENT_SID)).toBe(9n);
  });

  test("only the level-2 table of a used StreamID is allocated, the rest of it aborts", () => {
    const { smmu } = rig({ sids: [0x1010] });
    expect([...smmu.strtab.l2!.keys()]).toEqual([0x10]);
    expect(smmu.strtab.table.get64(0x10 * 8) & R.STRTAB_L1_DESC_SPAN).toBe(9n);
    expect(ste(smmu, 0x1011)).toBe(1n);
  });

  test("a StreamID beyond the table is refused", () => {
    const { machine } = rig({ sids: [0x1_0000] });
    expect(machine.client.iommu_group).toBeNull();
  });

  test("the same StreamID twice in one device counts once", () => {
    const { machine, fake } = rig({ sids: [CLIENT_SID, CLIENT_SID] });
    expect(machine.client.iommu_group).not.toBeNull();
    expect(fake.opcodes.filter((opcode) => opcode === R.CMDQ_OP_PREFETCH_CFG)).toHaveLength(1);
  });

  test("a StreamID of another device is refused, and said so", () => {
    const { machine } = rig({ otherSids: [0x11, CLIENT_SID] });
    expect(machine.client.iommu_group).not.toBeNull();
    expect(machine.device("2000.client").iommu_group).toBeNull();
    expect(machine.log.some((line) => line.includes("Aliasing StreamID 0x10 (from 1000.client) unsupported"))).toBe(true);
  });

  test("devices have groups and ASIDs of their own", () => {
    const { machine } = rig({ otherSids: [0x11] });
    const [first, second] = [machine.client, machine.device("2000.client")].map((dev) => dev.iommu_group?.domain);
    expect([first, second].map((domain) => (domain instanceof ArmSmmuPagingDomain ? domain.id : 0))).toEqual([1, 2]);
  });

  test("more than 1024 descriptors: two levels, the leaf linked before CFGI_CD without leaf", () => {
    const ids = { [R.ARM_SMMU_IDR1]: ID_REGISTERS[R.ARM_SMMU_IDR1]! | (16 << 6) };
    const { machine, smmu, fake } = rig({ ids, clientProperties: { "pasid-num-bits": 12 } });
    const word = ste(smmu, CLIENT_SID);
    expect((word >> 4n) & 3n).toBe(BigInt(R.STRTAB_STE_0_S1FMT_64K_L2));
    expect(word >> 59n).toBe(12n);
    const { bus } = machine.kernel.platform;
    const leaf = bus.read64(Number(word & R.STRTAB_STE_0_S1CTXPTR_MASK));
    expect(leaf & 1n).toBe(1n);
    expect(bus.read64(Number(leaf & R.CTXDESC_L1_DESC_L2PTR_MASK)) & R.CTXDESC_CD_0_V).not.toBe(0n);
    expect(maintenance(fake).slice(2, 4)).toEqual(["1000000005 0", "1000000005 1"]);
  });

  test("a linear CD table ends at 64 KiB", () => {
    const ids = {
      [R.ARM_SMMU_IDR0]: ID_REGISTERS[R.ARM_SMMU_IDR0]! & ~R.IDR0_CD2L,
      [R.ARM_SMMU_IDR1]: ID_REGISTERS[R.ARM_SMMU_IDR1]! | (16 << 6),
    };
    const { smmu } = rig({ ids, clientProperties: { "pasid-num-bits": 16 } });
    expect(ste(smmu, CLIENT_SID) >> 59n).toBe(10n);
    expect((ste(smmu, CLIENT_SID) >> 4n) & 3n).toBe(0n);
  });

  test("every StreamID of a device gets its STE", () => {
    const { smmu } = rig({ sids: [0x20, 0x10] });
    expect(ste(smmu, 0x10)).toBe(ste(smmu, 0x20));
    expect(ste(smmu, 0x10) & 0xfn).toBe(0xbn);
  });

  test("blocking: abort STE, the old tag flushed, the CD cleared", () => {
    const { machine, fake, smmu } = rig();
    const group = machine.client.iommu_group!;
    fake.forget();
    expect(machine.run(group.blocking_domain!.attach_dev!(machine.client, group.domain))).toBe(0);
    expect(ste(smmu, CLIENT_SID)).toBe(1n);
    expect(maintenance(fake)).toEqual([
      "1000000003 1",
      "1000000003 1", // STE: abort, then the rest
      "1000000000011 0", // TLBI_NH_ASID of ASID 1
      "1000000005 1",
      "1000000005 1", // CD: invalid, then the rest
    ]);
  });

  test("release: the device's StreamIDs are free again and its CD table is given back", () => {
    const freed: string[] = [];
    const pages: PageWatcher = {
      allocated: () => {},
      freed: (_pa, _size, by) => freed.push(by),
      granted: () => {},
      revoked: () => {},
    };
    const { machine, smmu } = rig({ pages });
    freed.length = 0;
    machine.run(iommu_device_unregister(machine.kernel, machine.smmuDevice));
    expect(ste(smmu, CLIENT_SID)).toBe(1n);
    expect(smmu.streams.size).toBe(0);
    // The CD table and the domain's first table.
    expect(freed).toEqual(["2b400000.smmu", "2b400000.smmu"]);
  });

  test("page tables are granted to the SMMU while they live", () => {
    const tables = new Set<number>();
    const pages: PageWatcher = {
      allocated: () => {},
      freed: (pa) => expect(tables.has(pa)).toBe(false),
      granted: (device, pa, _size, how) => {
        if (how === "table" && device === "2b400000.smmu") tables.add(pa);
      },
      revoked: (_device, pa) => tables.delete(pa),
    };
    const { machine } = rig({ pages });
    const before = tables.size;
    iommu_map(machine.sim, domainOf(machine.client), 0x1000, 0x8800_0000, 0x1000, 3);
    expect(tables.size).toBe(before + 3);
  });
});

describe("arm_smmu_domain_inv_range", () => {
  function commands(ids: Record<number, number>, iova: number, size: number, granule: number, leaf: boolean): string[] {
    const { machine, fake } = rig({ ids });
    const domain = domainOf(machine.client);
    fake.forget();
    machine.run(arm_smmu_domain_inv_range(domain, iova, size, granule, leaf));
    expect(fake.opcodes.at(-1)).toBe(R.CMDQ_OP_CMD_SYNC);
    return maintenance(fake);
  }

  test("without ranges: one TLBI_NH_VA for each page", () => {
    expect(commands({}, 0x10000, 0x3000, 0x1000, true)).toEqual(["1000000000012 10001", "1000000000012 11001", "1000000000012 12001"]);
  });

  test("without ranges: from 512 pages on, the whole ASID", () => {
    expect(commands({}, 0, 511 * 0x1000, 0x1000, true)).toHaveLength(511);
    expect(commands({}, 0, 512 * 0x1000, 0x1000, true)).toEqual(["1000000000011 0"]);
  });

  test("stage 2: TLBI_S2_IPA, and TLBI_S12_VMALL when it is too much", () => {
    expect(commands(S2_ONLY, 0x10000, 0x1000, 0x1000, false)).toEqual(["10000002a 10000"]);
    expect(commands(S2_ONLY, 0, 512 * 0x1000, 0x1000, true)).toEqual(["100000028 0"]);
  });

  test("with ranges: NUM and SCALE from the low end, TG of the granule, TTL of the level", () => {
    // 0x421 pages: 1, then 1 * 2^5, then 1 * 2^10.
    expect(commands(RIL, 0x10000, 0x421 * 0x1000, 0x1000, true)).toEqual([
      "1000000000012 10701",
      "1000000500012 11701",
      "1000000a00012 31701",
    ]);
    // 31 * 2^2 pages in one command.
    expect(commands(RIL, 0, 124 * 0x1000, 0x1000, true)).toEqual(["100000021e012 701"]);
    // Blocks of 2 MiB: level 2.
    expect(commands(RIL, 0, 0x20_0000, 0x20_0000, true)).toEqual(["1000000900012 601"]);
  });

  test("with ranges, not only leaves: TTL 0, and one page more where NUM, SCALE and TTL would all be 0", () => {
    expect(commands(RIL, 0, 33 * 0x1000, 0x1000, false)).toEqual(["1000000110012 400"]);
  });

  test("with ranges nothing is too big", () => {
    expect(commands(RIL, 0, 2 ** 36, 0x1000, true)).toEqual(["1000001800012 701"]);
  });

  test("a size of zero is everything", () => expect(commands(RIL, 0, 0, 0x1000, true)).toEqual(["1000000000011 0"]));
});

describe("mapping and unmapping", () => {
  test("mapping sends no command; unmapping one leaf invalidation and one sync", () => {
    const { machine, fake } = rig();
    const { client } = machine;
    fake.forget();
    const dma = dma_map_single(client, 0x8800_0000, 0x1000, DMA_FROM_DEVICE);
    expect(fake.commands).toEqual([]);
    machine.run(dma_unmap_single(client, dma, 0x1000, DMA_FROM_DEVICE));
    expect(fake.opcodes).toEqual([R.CMDQ_OP_TLBI_NH_VA, R.CMDQ_OP_CMD_SYNC]);
    expect(fake.commands[0]!.words[1]).toBe(BigInt(dma) | 1n);
  });

  test("pages of one unmap are gathered into one range", () => {
    const { machine, fake } = rig({ ids: RIL });
    const domain = domainOf(machine.client);
    iommu_map(machine.sim, domain, 0x1_0000, 0x8800_0000, 0x8000, 3);
    fake.forget();
    expect(machine.run(iommu_unmap(domain, 0x1_0000, 0x8000))).toBe(0x8000);
    expect(maintenance(fake)).toEqual(["1000000300012 10701"]);
  });

  test("a table that goes away is flushed and waited for within the unmap itself", () => {
    const { machine, fake } = rig();
    const domain = domainOf(machine.client);
    iommu_map(machine.sim, domain, 0x20_0000, 0x8800_1000, 0x1000, 3);
    machine.run(iommu_unmap(domain, 0x20_0000, 0x1000));
    fake.forget();
    expect(iommu_map(machine.sim, domain, 0x20_0000, 0x8800_0000, 0x20_0000, 3)).toBe(0);
    // 2 MiB are 512 pages: the whole ASID.
    expect(fake.opcodes).toEqual([R.CMDQ_OP_TLBI_NH_ASID, R.CMDQ_OP_CMD_SYNC]);
  });

  test("flush_iotlb_all drops the whole tag", () => {
    const { machine, fake } = rig();
    fake.forget();
    machine.run(domainOf(machine.client).flush_iotlb_all());
    expect(maintenance(fake)).toEqual(["1000000000011 0"]);
  });

  test("a sync with nothing gathered sends nothing", () => {
    const { machine, fake } = rig();
    fake.forget();
    machine.run(domainOf(machine.client).iotlb_sync(iommu_iotlb_gather_init()));
    expect(fake.commands).toEqual([]);
  });

  test("after the shutdown hook an unmap waits a second for a sync that never comes", () => {
    const { machine, fake } = rig();
    const dma = dma_map_single(machine.client, 0x8800_0000, 0x1000, DMA_FROM_DEVICE);
    machine.run(machine.smmuDevice.driver!.shutdown!(machine.smmuDevice));
    fake.forget();
    const start = machine.sim.now;
    machine.run(dma_unmap_single(machine.client, dma, 0x1000, DMA_FROM_DEVICE));
    expect(machine.sim.now - start).toBeGreaterThan(1_000_000_000);
    expect(machine.log.some((line) => line.includes("CMD_SYNC timeout"))).toBe(true);
    expect(fake.commands).toEqual([]);
  });
});
