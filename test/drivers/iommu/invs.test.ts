// SPDX-License-Identifier: GPL-2.0-only
/** Invalidation arrays: merging, counting users, and which commands follow from them in which order. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { ArmSmmuDevice } from "../../../src/drivers/iommu/arm-smmu-v3/device.ts";
import { IOMMU_HWPT_ALLOC_NEST_PARENT } from "../../../src/drivers/iommu/arm-smmu-v3/domains/domain.ts";
import { arm_smmu_domain_inv_range } from "../../../src/drivers/iommu/arm-smmu-v3/invalidation/invalidation.ts";
import {
  type ArmSmmuInv,
  type ArmSmmuInvType,
  ArmSmmuInvs,
  INV_TYPE_ATS,
  INV_TYPE_ATS_FULL,
  INV_TYPE_S1_ASID,
  INV_TYPE_S2_VMID,
  INV_TYPE_S2_VMID_S1_CLEAR,
  arm_smmu_invs_for_each_entry,
  arm_smmu_invs_merge,
  arm_smmu_invs_purge,
  arm_smmu_invs_unref,
} from "../../../src/drivers/iommu/arm-smmu-v3/invalidation/invs.ts";
import { devm_platform_ioremap_resource, iommu_attach_device, iommu_detach_device, PlatformDevice } from "../../../src/kernel/index.ts";
import { CLIENT_SID } from "./machine.ts";
import { domainOf, newDomain, type Rig, rig } from "./support.ts";

type Row = readonly [type: ArmSmmuInvType, id: number, ssid?: number];

function invs(smmu: ArmSmmuDevice, rows: readonly Row[], users = 0): ArmSmmuInvs {
  return new ArmSmmuInvs(rows.map(([type, id, ssid = 0]): ArmSmmuInv => ({ smmu, type, id, ssid, pgsize: 0, users })));
}

interface Seen {
  readonly ids: number[];
  readonly users: number[];
  readonly ssids: number[];
  readonly trashes: number;
}

function seen(array: ArmSmmuInvs): Seen {
  const live = array.inv.slice(0, array.num_invs);
  return {
    ids: live.map(({ id }) => id),
    users: live.map(({ users }) => users),
    ssids: live.map(({ ssid }) => ssid),
    trashes: array.num_trashes,
  };
}

/** The tables of Linux 7.1's arm_smmu_v3_invs_test. */
test("arm_smmu_v3_invs_test", () => {
  const { smmu } = rig({ sids: [] });
  const invs1 = invs(smmu, [
    [INV_TYPE_S2_VMID, 1],
    [INV_TYPE_S2_VMID_S1_CLEAR, 1],
    [INV_TYPE_ATS, 3],
  ]);
  const invs2 = invs(smmu, [
    [INV_TYPE_S2_VMID, 1],
    [INV_TYPE_ATS, 4],
    [INV_TYPE_ATS, 5],
  ]);
  const invs3 = invs(smmu, [
    [INV_TYPE_S2_VMID, 1],
    [INV_TYPE_ATS, 5],
    [INV_TYPE_ATS, 6],
  ]);
  const invs4 = invs(smmu, [
    [INV_TYPE_ATS, 10, 1],
    [INV_TYPE_ATS, 10, 3],
    [INV_TYPE_ATS, 12, 1],
  ]);
  const invs5 = invs(smmu, [
    [INV_TYPE_ATS, 10, 2],
    [INV_TYPE_ATS, 10, 3],
    [INV_TYPE_ATS, 12, 2],
  ]);

  let array = arm_smmu_invs_merge(new ArmSmmuInvs(), invs1);
  expect(seen(array)).toEqual({ ids: [1, 1, 3], users: [1, 1, 1], ssids: [0, 0, 0], trashes: 0 });
  array = arm_smmu_invs_merge(array, invs2);
  expect(seen(array)).toEqual({ ids: [1, 1, 3, 4, 5], users: [2, 1, 1, 1, 1], ssids: [0, 0, 0, 0, 0], trashes: 0 });
  arm_smmu_invs_unref(array, invs2);
  expect(seen(array)).toEqual({ ids: [1, 1, 3], users: [1, 1, 1], ssids: [0, 0, 0], trashes: 0 });
  array = arm_smmu_invs_merge(array, invs3);
  expect(seen(array)).toEqual({ ids: [1, 1, 3, 5, 6], users: [2, 1, 1, 1, 1], ssids: [0, 0, 0, 0, 0], trashes: 0 });
  arm_smmu_invs_unref(array, invs1);
  expect(seen(array)).toEqual({ ids: [1, 1, 3, 5, 6], users: [1, 0, 0, 1, 1], ssids: [0, 0, 0, 0, 0], trashes: 2 });
  array = arm_smmu_invs_purge(array)!;
  expect(seen(array)).toEqual({ ids: [1, 5, 6], users: [1, 1, 1], ssids: [0, 0, 0], trashes: 0 });
  arm_smmu_invs_unref(array, invs3);
  expect(seen(array)).toEqual({ ids: [], users: [], ssids: [], trashes: 0 });
  array = arm_smmu_invs_merge(array, invs4);
  expect(seen(array)).toEqual({ ids: [10, 10, 12], users: [1, 1, 1], ssids: [1, 3, 1], trashes: 0 });
  array = arm_smmu_invs_merge(array, invs5);
  expect(seen(array)).toEqual({ ids: [10, 10, 10, 12, 12], users: [1, 1, 2, 1, 1], ssids: [1, 2, 3, 1, 2], trashes: 0 });
  arm_smmu_invs_unref(array, invs5);
  expect(seen(array)).toEqual({ ids: [10, 10, 10, 12], users: [1, 0, 1, 1], ssids: [1, 2, 3, 1], trashes: 1 });
  array = arm_smmu_invs_purge(array)!;
  expect(seen(array)).toEqual({ ids: [10, 10, 12], users: [1, 1, 1], ssids: [1, 3, 1], trashes: 0 });
});

describe("arrays", () => {
  test("unref tells the caller which entries became trash", () => {
    const { smmu } = rig({ sids: [] });
    const asid = invs(smmu, [[INV_TYPE_S1_ASID, 1]]);
    const array = arm_smmu_invs_merge(arm_smmu_invs_merge(new ArmSmmuInvs(), asid), asid);
    arm_smmu_invs_unref(array, asid);
    expect(asid.inv[0]!.users).toBe(1);
    arm_smmu_invs_unref(array, asid);
    expect(asid.inv[0]!.users).toBe(0);
  });

  test("an array without trash has nothing to purge", () => {
    const { smmu } = rig({ sids: [] });
    expect(arm_smmu_invs_purge(new ArmSmmuInvs())).toBeNull();
    expect(arm_smmu_invs_purge(invs(smmu, [[INV_TYPE_S1_ASID, 1]], 1))).toBeNull();
  });

  test("dropping what an array does not have is a warning, and changes nothing", () => {
    const { smmu, machine } = rig({ sids: [] });
    const array = arm_smmu_invs_merge(new ArmSmmuInvs(), invs(smmu, [[INV_TYPE_S1_ASID, 1]]));
    arm_smmu_invs_unref(array, invs(smmu, [[INV_TYPE_S1_ASID, 2]]));
    expect(seen(array)).toMatchObject({ ids: [1], users: [1] });
    expect(machine.log.some((line) => line.includes("which the domain does not have"))).toBe(true);
  });

  test("a merged array knows whether it has ATS entries, trash left out", () => {
    const { smmu } = rig({ sids: [] });
    const asid = invs(smmu, [[INV_TYPE_S1_ASID, 1]]);
    const ats = invs(smmu, [[INV_TYPE_ATS, 7]]);
    const array = arm_smmu_invs_merge(arm_smmu_invs_merge(new ArmSmmuInvs(), asid), ats);
    expect(array.has_ats).toBe(true);
    arm_smmu_invs_unref(array, ats);
    expect(arm_smmu_invs_merge(array, asid).has_ats).toBe(false);
  });
});

describe("arm_smmu_domain_inv_range", () => {
  /** What an array makes the SMMU see for one page. */
  function journal({ machine, fake }: Rig, array: ArmSmmuInvs, size = 0x1000): string[] {
    fake.forget();
    machine.run(arm_smmu_domain_inv_range({ invs: array }, 0x10000, size, 0x1000, true));
    return fake.journal;
  }

  test("an empty array sends nothing", () => {
    const r = rig({ sids: [] });
    expect(journal(r, new ArmSmmuInvs())).toEqual([]);
  });

  test("trash sends nothing, wherever it is", () => {
    const r = rig({ sids: [] });
    const array = invs(
      r.smmu,
      [
        [INV_TYPE_S1_ASID, 1],
        [INV_TYPE_S1_ASID, 2],
        [INV_TYPE_ATS, 7],
      ],
      1,
    );
    array.inv[0]!.users = array.inv[2]!.users = 0;
    expect(journal(r, array)).toEqual(["TLBI_NH_VA", "SYNC"]);
    expect(r.fake.commands[0]!.words[0] >> 48n).toBe(2n);
  });

  test("TLB entries are gone before the first ATC invalidation", () => {
    const r = rig({ sids: [] });
    const array = invs(
      r.smmu,
      [
        [INV_TYPE_S1_ASID, 1],
        [INV_TYPE_ATS, 7],
        [INV_TYPE_ATS, 8],
      ],
      1,
    );
    expect(journal(r, array)).toEqual(["TLBI_NH_VA", "SYNC", "ATC_INV", "ATC_INV", "SYNC"]);
  });

  test("stage 2 is gone before the stage 1 that it was under", () => {
    const r = rig({ sids: [] });
    const array = invs(
      r.smmu,
      [
        [INV_TYPE_S2_VMID, 5],
        [INV_TYPE_S2_VMID_S1_CLEAR, 5],
        [INV_TYPE_ATS_FULL, 7],
      ],
      1,
    );
    expect(journal(r, array)).toEqual(["TLBI_S2_IPA", "SYNC", "TLBI_NH_ALL", "SYNC", "ATC_INV", "SYNC"]);
    expect(r.fake.commands[2]!.words[0]).toBe((5n << 32n) | BigInt(R.CMDQ_OP_TLBI_NH_ALL));
    // Addresses of stage 2 mean nothing to the endpoint.
    expect(r.fake.commands[4]!.words[1]).toBe(52n);
  });

  test("all of stage 2 takes stage 1 along", () => {
    const r = rig({ sids: [] });
    const array = invs(
      r.smmu,
      [
        [INV_TYPE_S2_VMID, 5],
        [INV_TYPE_S2_VMID_S1_CLEAR, 5],
      ],
      1,
    );
    expect(journal(r, array, 0)).toEqual(["TLBI_S12_VMALL", "SYNC"]);
  });

  test("two tags of one SMMU share a SYNC, those of two do not", () => {
    const r = rig({ sids: [] });
    const { smmuDevice } = r.machine;
    if (!(smmuDevice instanceof PlatformDevice)) throw new Error("no platform device");
    // The other SMMU has the same queue here: its commands are seen in order.
    const other = new ArmSmmuDevice(r.smmu.driver, smmuDevice, devm_platform_ioremap_resource(smmuDevice, 0));
    other.cmdq = r.smmu.cmdq;
    const one = invs(r.smmu, [[INV_TYPE_S1_ASID, 1]]);
    const same = arm_smmu_invs_merge(arm_smmu_invs_merge(new ArmSmmuInvs(), one), invs(r.smmu, [[INV_TYPE_S1_ASID, 2]]));
    expect(journal(r, same)).toEqual(["TLBI_NH_VA", "TLBI_NH_VA", "SYNC"]);
    const both = arm_smmu_invs_merge(arm_smmu_invs_merge(new ArmSmmuInvs(), invs(other, [[INV_TYPE_S1_ASID, 2]])), one);
    expect(journal(r, both)).toEqual(["TLBI_NH_VA", "SYNC", "TLBI_NH_VA", "SYNC"]);
    expect([...arm_smmu_invs_for_each_entry(both)].map(({ smmu }) => smmu)).toEqual([r.smmu, other]);
  });
});

describe("the array of a domain", () => {
  test("masters of one domain share its tag, and the last to leave has it flushed", () => {
    const { machine, fake, smmu } = rig({ otherSids: [0x11] });
    const domain = newDomain(smmu);
    const [first, second] = [machine.client, machine.device("2000.client")];
    machine.run(iommu_attach_device(domain, first));
    machine.run(iommu_attach_device(domain, second));
    expect(seen(domain.invs)).toMatchObject({ ids: [domain.id], users: [2] });

    fake.forget();
    machine.run(iommu_detach_device(first));
    expect(fake.journal).not.toContain("TLBI_NH_ASID");
    machine.run(iommu_detach_device(second));
    expect(fake.journal.filter((command) => command === "TLBI_NH_ASID")).toHaveLength(1);
    expect(domain.invs.num_invs).toBe(0);
  });

  test("a domain without masters has nothing to invalidate", () => {
    const { machine, fake, smmu } = rig();
    const domain = newDomain(smmu);
    fake.forget();
    machine.run(domain.flush_iotlb_all());
    expect(fake.commands).toEqual([]);
  });

  test("the domain that a master comes from invalidates until the STE has changed, then its tag is flushed", () => {
    const { machine, fake, smmu } = rig();
    const old = domainOf(machine.client);
    const domain = newDomain(smmu);
    fake.forget();
    machine.run(iommu_attach_device(domain, machine.client));
    // A CD with another ASID and table is written by way of V=0; the STE stays as it is.
    expect(fake.journal).toEqual(["CFGI_CD", "SYNC", "CFGI_CD", "SYNC", "CFGI_CD", "SYNC", "TLBI_NH_ASID", "SYNC"]);
    const flush = fake.commands.find(({ opcode }) => opcode === R.CMDQ_OP_TLBI_NH_ASID)!;
    expect(flush.words[0] >> 48n).toBe(BigInt(old.id));
  });

  test("attaching the same domain again leaves one user and does not flush it", () => {
    const { machine, fake } = rig();
    const domain = domainOf(machine.client);
    fake.forget();
    machine.run(domain.attach_dev(machine.client, domain));
    expect(seen(domain.invs)).toMatchObject({ users: [1] });
    expect(domain.devices).toHaveLength(1);
    expect(fake.journal).toEqual([]);
  });

  test("a nesting parent is stage 2, and drops the stage 1 above it", () => {
    const { machine, smmu } = rig();
    const domain = newDomain(smmu, IOMMU_HWPT_ALLOC_NEST_PARENT);
    machine.run(iommu_attach_device(domain, machine.client));
    expect(domain.stage).toBe("S2");
    expect(domain.invs.inv.map(({ type, id }) => [type, id])).toEqual([
      [INV_TYPE_S2_VMID, 1],
      [INV_TYPE_S2_VMID_S1_CLEAR, 1],
    ]);
    expect(smmu.streams.get(CLIENT_SID)!.ats_enabled).toBe(false);
  });

  test("range commands need the smallest page of the domain's table", () => {
    const { machine } = rig({ ids: { [R.ARM_SMMU_IDR3]: R.IDR3_RIL } });
    expect(domainOf(machine.client).invs.inv[0]!.pgsize).toBe(12);
  });
});
