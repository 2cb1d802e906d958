// SPDX-License-Identifier: GPL-2.0-only
/** Domains of PASIDs: the context descriptor of each, and what becomes of the STE and of plain DMA beside them. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { IOMMU_HWPT_ALLOC_NEST_PARENT } from "../../../src/drivers/iommu/arm-smmu-v3/domains/domain.ts";
import { INV_TYPE_ATS } from "../../../src/drivers/iommu/arm-smmu-v3/invalidation/invs.ts";
import {
  type Device,
  EBUSY,
  EINVAL,
  EOPNOTSUPP,
  iommu_attach_device,
  iommu_attach_device_pasid,
  iommu_detach_device_pasid,
  iommu_group_claim_dma_owner,
  iommu_replace_device_pasid,
} from "../../../src/kernel/index.ts";
import { ATS, ENDPOINT, ENDPOINT_SID, FakeEndpoint, PASID_WIDTH, pciHost } from "../../kernel/pci/fake-endpoint.ts";
import { ID_REGISTERS } from "./fake-smmu.ts";
import { CLIENT_SID } from "./machine.ts";
import { newDomain, type Rig, type RigOptions, rig, ste } from "./support.ts";

const SSIDS = { [R.ARM_SMMU_IDR1]: ID_REGISTERS[R.ARM_SMMU_IDR1]! | (16 << 6) };
const PASSTHROUGH: RigOptions = { params: { iommuPassthrough: true } };
const { STRTAB_STE_1_S1DSS_BYPASS: BYPASS, STRTAB_STE_1_S1DSS_SSID0: SSID0, STRTAB_STE_1_S1DSS_TERMINATE: TERMINATE } = R;

/** A platform device with 8 PASIDs. */
function pasidRig(options: RigOptions = {}): Rig {
  return rig({ ids: SSIDS, clientProperties: { "pasid-num-bits": 3 }, ...options });
}

function config(r: Rig, sid = CLIENT_SID): number {
  return Number((ste(r.smmu, sid) >> 1n) & 7n);
}
function s1dss(r: Rig, sid = CLIENT_SID): number {
  return Number(ste(r.smmu, sid, 1) & R.STRTAB_STE_1_S1DSS);
}
/** The first word of a descriptor in the linear table of a StreamID. */
function cd(r: Rig, ssid: number, sid = CLIENT_SID): bigint {
  return r.machine.kernel.platform.bus.read64(Number(ste(r.smmu, sid) & R.STRTAB_STE_0_S1CTXPTR_MASK) + 64 * ssid);
}

describe("attaching a domain to a PASID", () => {
  test("beside stage 1: only the descriptor is written, in two steps", () => {
    const r = pasidRig();
    const domain = newDomain(r.smmu);
    r.fake.forget();
    expect(r.machine.run(iommu_attach_device_pasid(domain, r.machine.client, 3))).toBe(0);
    expect(r.fake.journal).toEqual(["CFGI_CD", "SYNC", "CFGI_CD", "SYNC"]);
    expect((r.fake.commands[0]!.words[0] >> 12n) & 0xf_ffffn).toBe(3n);
    expect(cd(r, 3) >> 48n).toBe(BigInt(domain.id));
    expect(s1dss(r)).toBe(SSID0);
    expect(domain.devices).toEqual([{ master: r.smmu.streams.get(CLIENT_SID), ssid: 3 }]);
  });

  test("beside identity: the STE gets a CD table, and plain DMA bypasses by S1DSS", () => {
    const r = pasidRig(PASSTHROUGH);
    expect(config(r)).toBe(R.STRTAB_STE_0_CFG_BYPASS);
    r.fake.forget();
    r.machine.run(iommu_attach_device_pasid(newDomain(r.smmu), r.machine.client, 1));
    expect(config(r)).toBe(R.STRTAB_STE_0_CFG_S1_TRANS);
    expect(s1dss(r)).toBe(BYPASS);
    // The descriptor before the STE that leads to it, which changes without V=0.
    const { journal } = r.fake;
    expect(journal.lastIndexOf("CFGI_CD")).toBeLessThan(journal.indexOf("CFGI_STE"));
    expect(journal.filter((command) => command === "CFGI_STE").length).toBeLessThanOrEqual(3);
  });

  test("beside blocked: plain DMA is terminated by S1DSS", () => {
    const r = pasidRig();
    const { client } = r.machine;
    const domain = newDomain(r.smmu);
    r.machine.run(iommu_attach_device(client.iommu_group!.blocking_domain!, client));
    expect(config(r)).toBe(R.STRTAB_STE_0_CFG_ABORT);
    r.machine.run(iommu_attach_device_pasid(domain, client, 1));
    expect([config(r), s1dss(r)]).toEqual([R.STRTAB_STE_0_CFG_S1_TRANS, TERMINATE]);
    r.machine.run(iommu_detach_device_pasid(domain, client, 1));
    expect(config(r)).toBe(R.STRTAB_STE_0_CFG_ABORT);
  });

  test("the same domain for two PASIDs counts twice and is flushed once", () => {
    const r = pasidRig();
    const domain = newDomain(r.smmu);
    const { client } = r.machine;
    r.machine.run(iommu_attach_device_pasid(domain, client, 1));
    r.machine.run(iommu_attach_device_pasid(domain, client, 2));
    expect(domain.invs.inv.map(({ users }) => users)).toEqual([2]);
    r.fake.forget();
    r.machine.run(iommu_detach_device_pasid(domain, client, 1));
    expect(r.fake.journal).not.toContain("TLBI_NH_ASID");
    r.machine.run(iommu_detach_device_pasid(domain, client, 2));
    expect(r.fake.journal.at(-2)).toBe("TLBI_NH_ASID");
  });

  test("replacing changes the descriptor and flushes the tag that was there", () => {
    const r = pasidRig();
    const [first, second] = [newDomain(r.smmu), newDomain(r.smmu)];
    const { client } = r.machine;
    r.machine.run(iommu_attach_device_pasid(first, client, 1));
    r.fake.forget();
    expect(r.machine.run(iommu_replace_device_pasid(second, client, 1))).toBe(0);
    expect(cd(r, 1) >> 48n).toBe(BigInt(second.id));
    expect(r.fake.commands.find(({ opcode }) => opcode === R.CMDQ_OP_TLBI_NH_ASID)!.words[0] >> 48n).toBe(BigInt(first.id));
    expect(first.devices).toEqual([]);
  });

  test.each<[string, number, (r: Rig) => [ReturnType<typeof newDomain>, number]]>([
    ["PASID 0, which is plain DMA", -EINVAL, (r) => [newDomain(r.smmu), 0]],
    ["a PASID beyond pasid-num-bits", -EINVAL, (r) => [newDomain(r.smmu), 8]],
    ["a stage-2 domain", -EINVAL, (r) => [newDomain(r.smmu, IOMMU_HWPT_ALLOC_NEST_PARENT), 1]],
  ])("%s: %i", (_name, error, args) => {
    const r = pasidRig();
    const [domain, pasid] = args(r);
    expect(r.machine.run(iommu_attach_device_pasid(domain, r.machine.client, pasid))).toBe(error);
  });

  test("a PASID that has a domain: -EBUSY", () => {
    const r = pasidRig();
    const { client } = r.machine;
    r.machine.run(iommu_attach_device_pasid(newDomain(r.smmu), client, 1));
    expect(r.machine.run(iommu_attach_device_pasid(newDomain(r.smmu), client, 1))).toBe(-EBUSY);
  });

  test("beside stage 2 there are none: -EINVAL, and the other way round -EBUSY", () => {
    const r = pasidRig();
    const { client } = r.machine;
    const stage2 = newDomain(r.smmu, IOMMU_HWPT_ALLOC_NEST_PARENT);
    r.machine.run(iommu_attach_device(stage2, client));
    expect(r.machine.run(iommu_attach_device_pasid(newDomain(r.smmu), client, 1))).toBe(-EINVAL);

    const other = pasidRig();
    other.machine.run(iommu_attach_device_pasid(newDomain(other.smmu), other.machine.client, 1));
    const parent = newDomain(other.smmu, IOMMU_HWPT_ALLOC_NEST_PARENT);
    expect(other.machine.run(iommu_attach_device(parent, other.machine.client))).toBe(-EBUSY);
  });

  test("an IOMMU without SubstreamIDs refuses every PASID", () => {
    const r = rig({ clientProperties: { "pasid-num-bits": 3 } });
    expect(r.machine.client.iommu!.max_pasids).toBe(1);
    expect(r.machine.run(iommu_attach_device_pasid(newDomain(r.smmu), r.machine.client, 1))).toBe(-EINVAL);
  });

  test("an identity domain cannot be given to a PASID: -EOPNOTSUPP", () => {
    const r = pasidRig(PASSTHROUGH);
    const { client } = r.machine;
    expect(r.machine.run(iommu_attach_device_pasid(client.iommu_group!.domain!, client, 1))).toBe(-EOPNOTSUPP);
  });
});

describe("giving a PASID up", () => {
  test("its descriptor becomes invalid and its tag is flushed; stage 1 beside it stays", () => {
    const r = pasidRig();
    const domain = newDomain(r.smmu);
    const { client } = r.machine;
    r.machine.run(iommu_attach_device_pasid(domain, client, 1));
    r.fake.forget();
    r.machine.run(iommu_detach_device_pasid(domain, client, 1));
    expect(cd(r, 1) & R.CTXDESC_CD_0_V).toBe(0n);
    expect(r.fake.journal).toEqual(["CFGI_CD", "SYNC", "CFGI_CD", "SYNC", "TLBI_NH_ASID", "SYNC"]);
    expect(config(r)).toBe(R.STRTAB_STE_0_CFG_S1_TRANS);
  });

  test("the last one beside identity: the STE bypasses again", () => {
    const r = pasidRig(PASSTHROUGH);
    const [first, second] = [newDomain(r.smmu), newDomain(r.smmu)];
    const { client } = r.machine;
    r.machine.run(iommu_attach_device_pasid(first, client, 1));
    r.machine.run(iommu_attach_device_pasid(second, client, 2));
    r.machine.run(iommu_detach_device_pasid(first, client, 1));
    expect(config(r)).toBe(R.STRTAB_STE_0_CFG_S1_TRANS);
    r.machine.run(iommu_detach_device_pasid(second, client, 2));
    expect(config(r)).toBe(R.STRTAB_STE_0_CFG_BYPASS);
    expect(r.smmu.streams.get(CLIENT_SID)!.cd_table).toMatchObject({ used_ssids: 0, in_ste: false });
  });
});

/** As Linux 7.1 does: arm_smmu_clear_cd has no place for descriptor 0 then. */
test("beside identity, with two levels and PASIDs above the first leaf only, giving the last one up is a warning", () => {
  const r = pasidRig({ ...PASSTHROUGH, clientProperties: { "pasid-num-bits": 12 } });
  const { client } = r.machine;
  const domain = newDomain(r.smmu);
  r.machine.run(iommu_attach_device_pasid(domain, client, 2000));
  expect(r.machine.kernel.warnings).toEqual([]);
  r.machine.run(iommu_detach_device_pasid(domain, client, 2000));
  expect(r.machine.kernel.warnings.map(({ message }) => message)).toEqual(["no context descriptor 0 to clear"]);
  expect(config(r)).toBe(R.STRTAB_STE_0_CFG_BYPASS);
});

test("a group with PASIDs in use cannot be claimed", () => {
  const r = pasidRig();
  const { client } = r.machine;
  r.machine.run(iommu_attach_device_pasid(newDomain(r.smmu), client, 1));
  expect(r.machine.run(iommu_group_claim_dma_owner(client.iommu_group!, "vfio"))).toBe(-EBUSY);
});

describe("a PCI function", () => {
  const ids = { ...SSIDS, [R.ARM_SMMU_IDR0]: ID_REGISTERS[R.ARM_SMMU_IDR0]! | R.IDR0_ATS };

  function pciRig(options: RigOptions = {}): Rig & { readonly dev: Device; readonly endpoint: FakeEndpoint } {
    const endpoint = new FakeEndpoint();
    const made = rig({ sids: [], ids, ...pciHost(endpoint), ...options });
    return { ...made, endpoint, dev: made.machine.device(ENDPOINT) };
  }

  test("has as many PASIDs as function and SMMU both know", () => {
    const { dev, smmu } = pciRig();
    expect(dev.iommu!.max_pasids).toBe(2 ** PASID_WIDTH);
    expect(smmu.streams.get(ENDPOINT_SID)!.ssid_bits).toBe(PASID_WIDTH);
    const narrow = pciRig({ ids: { ...ids, [R.ARM_SMMU_IDR1]: ID_REGISTERS[R.ARM_SMMU_IDR1]! | (2 << 6) } });
    expect(narrow.dev.iommu!.max_pasids).toBe(4);
  });

  test("beside identity a PASID switches ATS on, and the last one off", () => {
    const r = pciRig(PASSTHROUGH);
    expect(r.endpoint.get(ATS + 6, 2) & 0x8000).toBe(0);
    const domain = newDomain(r.smmu);
    r.machine.run(iommu_attach_device_pasid(domain, r.dev, 1));
    expect(Number((ste(r.smmu, ENDPOINT_SID, 1) >> 28n) & 3n)).toBe(R.STRTAB_STE_1_EATS_TRANS);
    expect(r.endpoint.get(ATS + 6, 2) & 0x8000).toBe(0x8000);
    expect(domain.invs.inv.at(-1)).toMatchObject({ type: INV_TYPE_ATS, id: ENDPOINT_SID, ssid: 1 });
    r.machine.run(iommu_detach_device_pasid(domain, r.dev, 1));
    expect(r.endpoint.get(ATS + 6, 2) & 0x8000).toBe(0);
  });

  test("plain DMA blocked while a PASID is in use: ATS stays on", () => {
    const r = pciRig();
    r.machine.run(iommu_attach_device_pasid(newDomain(r.smmu), r.dev, 1));
    r.machine.run(iommu_attach_device(r.dev.iommu_group!.blocking_domain!, r.dev));
    expect(r.smmu.streams.get(ENDPOINT_SID)).toMatchObject({ ats_enabled: true, ste_ats_enabled: true });
    expect(s1dss(r, ENDPOINT_SID)).toBe(TERMINATE);
  });

  test("an invalidation of a PASID's domain is for that PASID at the endpoint", () => {
    const r = pciRig();
    const domain = newDomain(r.smmu);
    r.machine.run(iommu_attach_device_pasid(domain, r.dev, 9));
    r.fake.forget();
    r.machine.run(domain.flush_iotlb_all());
    expect(r.fake.journal).toEqual(["TLBI_NH_ASID", "SYNC", "ATC_INV", "SYNC"]);
    expect(r.fake.commands[2]!.words[0]).toBe((BigInt(ENDPOINT_SID) << 32n) | (9n << 12n) | (1n << 11n) | 0x40n);
  });
});
