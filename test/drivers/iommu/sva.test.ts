// SPDX-License-Identifier: GPL-2.0-only
/** SVA at a recording SMMU: the descriptor, and the commands that follow from what the process does. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { arm_smmu_make_sva_cd } from "../../../src/drivers/iommu/arm-smmu-v3/tables/cd.ts";
import { ARM_SMMU_FEAT_STALL_FORCE } from "../../../src/drivers/iommu/arm-smmu-v3/features.ts";
import { ArmSmmuSvaDomain } from "../../../src/drivers/iommu/arm-smmu-v3/domains/sva.ts";
import {
  copy_to_user,
  type Device,
  device_unregister,
  EBUSY,
  EINVAL,
  ENODEV,
  EOPNOTSUPP,
  EOVERFLOW,
  iommu_attach_device_pasid,
  type IommuSva,
  iommu_sva_bind_device,
  iommu_sva_get_pasid,
  iommu_sva_unbind_device,
  mm_alloc,
  mmput,
  type MmStruct,
  VM_READ,
  VM_WRITE,
  vm_mmap,
  vm_munmap,
} from "../../../src/kernel/index.ts";
import { ENDPOINT, ENDPOINT_SID, FakeEndpoint, pciHost } from "../../kernel/pci/fake-endpoint.ts";
import { ID_REGISTERS } from "./fake-smmu.ts";
import { CLIENT_SID } from "./machine.ts";
import { newDomain, type Rig, type RigOptions, rig, ste } from "./support.ts";

const IDR0 = ID_REGISTERS[R.ARM_SMMU_IDR0]!;
const SSIDS = { [R.ARM_SMMU_IDR1]: ID_REGISTERS[R.ARM_SMMU_IDR1]! | (16 << 6) };
const RANGE = { ...SSIDS, [R.ARM_SMMU_IDR3]: R.IDR3_RIL };
/** STALL_MODEL 0: stall and terminate. */
const STALLS = { ...SSIDS, [R.ARM_SMMU_IDR0]: IDR0 & ~(3 << 24) };
const RW = VM_READ | VM_WRITE;
const PAGE = 0x1000;

function svaRig(options: RigOptions = {}): Rig {
  return rig({ ids: SSIDS, clientProperties: { "pasid-num-bits": 3 }, otherSids: [0x20], ...options });
}

function process(r: Rig, name = "app"): MmStruct {
  const mm = mm_alloc(r.machine.kernel, name);
  if (mm === null) throw new Error("no memory");
  return mm;
}

function bind(r: Rig, mm: MmStruct, dev: Device = r.machine.client): IommuSva {
  const handle = r.machine.run(iommu_sva_bind_device(dev, mm));
  if (typeof handle === "number") throw new Error(`not bound: ${handle}`);
  return handle;
}

/** A process with `pages` pages in use, bound to the client. */
function bound(r: Rig, pages: number, dev?: Device): { readonly mm: MmStruct; readonly at: number; readonly handle: IommuSva } {
  const mm = process(r);
  const at = r.machine.run(vm_mmap(mm, pages * PAGE, RW));
  r.machine.run(copy_to_user(mm, at, new Uint8Array(pages * PAGE)));
  const handle = bind(r, mm, dev);
  r.fake.forget();
  return { mm, at, handle };
}

/** A word of the descriptor in the linear table of a StreamID. */
function cd(r: Rig, ssid: number, word = 0, sid = CLIENT_SID): bigint {
  return r.machine.kernel.platform.bus.read64(Number(ste(r.smmu, sid) & R.STRTAB_STE_0_S1CTXPTR_MASK) + 64 * ssid + 8 * word);
}

describe("arm_smmu_make_sva_cd", () => {
  const master = { features: 0, stall_enabled: true, smmu: { driver: { cpu: { pa_bits: 44 } } } };

  test("describes the process's table as its CPUs use it: 48 bits, 4 KiB, write-back, inner shareable, their MAIR", () => {
    const [word0, word1, , word3] = arm_smmu_make_sva_cd(master, { pgd: 0x8123_4000 }, 5);
    // ASID 5, ASET, A, R, S, AA64, IPS 44 bits, V, EPD1, SH0 3, OR0 1, IR0 1, TG0 0, T0SZ 16.
    expect(word0).toBe((5n << 48n) | (0xfn << 44n) | (1n << 41n) | (4n << 32n) | (1n << 31n) | (1n << 30n) | 0x3510n);
    expect(word1).toBe(0x8123_4000n);
    expect(word3).toBe(0x04_0044_ffffn);
  });

  test("without a process it is valid, translates nothing, and neither stalls nor records", () => {
    const [word0, word1] = arm_smmu_make_sva_cd(master, null, 5);
    expect(word0).toBe((5n << 48n) | (0xcn << 44n) | (1n << 41n) | (4n << 32n) | (1n << 31n) | (1n << 30n) | (1n << 14n));
    expect(word1).toBe(0n);
  });

  test("an SMMU that always stalls keeps S and R even then: S clear would be illegal", () => {
    const [word0] = arm_smmu_make_sva_cd({ ...master, features: ARM_SMMU_FEAT_STALL_FORCE }, null, 5);
    expect((word0! >> 44n) & 3n).toBe(3n);
  });
});

describe("what the process does", () => {
  test("munmap of one page: TLBI by ASID and address, tables included, before the page is free", () => {
    const r = svaRig();
    const { mm, at, handle } = bound(r, 2);
    const free = r.machine.kernel.mm.freeBytes;
    r.machine.run(vm_munmap(mm, at + PAGE, PAGE));
    expect(r.fake.journal).toEqual(["TLBI_NH_VA", "SYNC"]);
    const [low, high] = r.fake.commands[0]!.words;
    expect(low >> 48n).toBe(BigInt((handle.domain as ArmSmmuSvaDomain).id));
    expect(high).toBe(BigInt(at + PAGE));
    expect(r.machine.kernel.mm.freeBytes).toBe(free + PAGE);
  });

  test("munmap of a range: one command for each page without range commands, one for all with them", () => {
    const single = svaRig();
    const one = bound(single, 4);
    single.machine.run(vm_munmap(one.mm, one.at, 4 * PAGE));
    expect(single.fake.journal).toEqual([...Array.from({ length: 4 }, () => "TLBI_NH_VA"), "SYNC"]);
    const range = svaRig({ ids: RANGE });
    const all = bound(range, 4);
    range.machine.run(vm_munmap(all.mm, all.at, 4 * PAGE));
    expect(range.fake.journal).toEqual(["TLBI_NH_VA", "SYNC"]);
  });

  test("munmap of 512 pages without range commands: the whole ASID", () => {
    const r = svaRig();
    const { mm, at } = bound(r, 512);
    r.machine.run(vm_munmap(mm, at, 512 * PAGE));
    expect(r.fake.journal).toEqual(["TLBI_NH_ASID", "SYNC"]);
  });

  test("memory that no page was given: nothing to invalidate", () => {
    const r = svaRig();
    const { mm } = bound(r, 1);
    const at = r.machine.run(vm_mmap(mm, PAGE, RW));
    r.machine.run(vm_munmap(mm, at, PAGE));
    expect(r.fake.journal).toEqual([]);
  });

  test("exit: the descriptor turns walks off and stays valid, hitless, then the ASID is invalidated", () => {
    const r = svaRig();
    const { mm, handle } = bound(r, 1);
    const pasid = iommu_sva_get_pasid(handle);
    r.machine.run(mmput(mm));
    expect(r.fake.journal).toEqual(["CFGI_CD", "SYNC", "CFGI_CD", "SYNC", "TLBI_NH_ASID", "SYNC"]);
    expect(cd(r, pasid) & (R.CTXDESC_CD_0_V | R.CTXDESC_CD_0_TCR_EPD0)).toBe(R.CTXDESC_CD_0_V | R.CTXDESC_CD_0_TCR_EPD0);
    expect(cd(r, pasid, 1)).toBe(0n);
  });

  test("exit of one process leaves the other's descriptor alone", () => {
    const r = svaRig();
    const { mm } = bound(r, 1);
    const other = iommu_sva_get_pasid(bind(r, process(r, "other")));
    const before = cd(r, other);
    r.machine.run(mmput(mm));
    expect(cd(r, other)).toBe(before);
  });

  test("with ATS: munmap invalidates the TLB, waits, then the endpoint's entries of the PASID", () => {
    const endpoint = new FakeEndpoint();
    const r = rig({ sids: [], ids: { ...SSIDS, [R.ARM_SMMU_IDR0]: IDR0 | R.IDR0_ATS }, ...pciHost(endpoint) });
    const { mm, at, handle } = bound(r, 1, r.machine.device(ENDPOINT));
    r.machine.run(vm_munmap(mm, at, PAGE));
    expect(r.fake.journal).toEqual(["TLBI_NH_VA", "SYNC", "ATC_INV", "SYNC"]);
    const [low, high] = r.fake.commands[2]!.words;
    expect(low >> 32n).toBe(BigInt(ENDPOINT_SID));
    expect((low >> 12n) & 0xf_ffffn).toBe(BigInt(iommu_sva_get_pasid(handle)));
    expect(low & R.CMDQ_0_SSV).toBe(R.CMDQ_0_SSV);
    expect(high).toBe(BigInt(at));
  });
});

describe("iommu_sva_bind_device", () => {
  test("the second device of a process shares domain, ASID and PASID", () => {
    const r = svaRig({ otherProperties: { "pasid-num-bits": 3 } });
    const { mm, at, handle } = bound(r, 1);
    const second = bind(r, mm, r.machine.device("2000.client"));
    expect(second).not.toBe(handle);
    expect(mm.iommu_mm!.sva_domains).toEqual([{ domain: handle.domain, users: 2 }]);
    expect(iommu_sva_get_pasid(second)).toBe(iommu_sva_get_pasid(handle));
    r.fake.forget();
    r.machine.run(vm_munmap(mm, at, PAGE));
    expect(r.fake.journal).toEqual(["TLBI_NH_VA", "SYNC"]);
  });

  test("a device that does not know PASIDs as large as the process's: -EOVERFLOW", () => {
    const r = svaRig();
    const { mm, handle } = bound(r, 1);
    expect(r.machine.run(iommu_sva_bind_device(r.machine.device("2000.client"), mm))).toBe(-EOVERFLOW);
    expect(mm.iommu_mm!.sva_domains).toEqual([{ domain: handle.domain, users: 1 }]);
  });

  test("a PASID that has another domain: -EBUSY", () => {
    const r = svaRig();
    const mm = process(r);
    mm.iommu_mm = { pasid: 2, sva_domains: [], handles: [] };
    r.machine.run(iommu_attach_device_pasid(newDomain(r.smmu), r.machine.client, 2));
    expect(r.machine.run(iommu_sva_bind_device(r.machine.client, mm))).toBe(-EBUSY);
  });

  test.each<[string, RigOptions]>([
    ["walks do not snoop", { coherent: false }],
    ["the CPUs have larger physical addresses", { driver: { cpu: { pa_bits: 52 } } }],
    ["its ASIDs are smaller than the CPUs'", { ids: { ...SSIDS, [R.ARM_SMMU_IDR0]: IDR0 & ~R.IDR0_ASID16 } }],
  ])("an SMMU whose %s cannot walk a process's table: -EOPNOTSUPP", (_why, options) => {
    const r = svaRig(options);
    expect(r.machine.run(iommu_sva_bind_device(r.machine.client, process(r)))).toBe(-EOPNOTSUPP);
  });

  test("a device without IOMMU: -ENODEV", () => {
    const r = svaRig();
    expect(r.machine.run(iommu_sva_bind_device(r.machine.smmuDevice, process(r)))).toBe(-ENODEV);
  });

  test("a process that has ended: -EINVAL, and nothing stays behind", () => {
    const r = svaRig();
    const { mm, handle } = bound(r, 1);
    r.machine.run(mmput(mm));
    const { domain } = handle;
    expect(r.machine.run(domain.set_dev_pasid!(r.machine.client, 5, null))).toBe(-EINVAL);
  });

  test("the last unbind clears the descriptor, flushes the ASID and gives it back", () => {
    const r = svaRig();
    const { handle } = bound(r, 1);
    const { id } = handle.domain as ArmSmmuSvaDomain;
    const pasid = iommu_sva_get_pasid(handle);
    r.machine.run(iommu_sva_unbind_device(handle));
    expect(r.fake.journal).toEqual(["CFGI_CD", "SYNC", "CFGI_CD", "SYNC", "TLBI_NH_ASID", "SYNC"]);
    expect(cd(r, pasid)).toBe(0n);
    expect(newDomain(r.smmu).id).toBe(id);
  });
});

describe("arm_smmu_enable_iopf", () => {
  const can = { "pasid-num-bits": 3, "dma-can-stall": true };

  test("a device that can stall reports faults while it is bound, as often as it is bound", () => {
    const r = svaRig({ ids: STALLS, clientProperties: can });
    const { client } = r.machine;
    const master = r.smmu.streams.get(CLIENT_SID)!;
    const [first, second] = [bind(r, process(r)), bind(r, process(r, "other"))];
    expect(master.iopf_refcount).toBe(2);
    expect(client.iommu!.fault_param!.queue).toBe(r.smmu.iopf);
    r.machine.run(iommu_sva_unbind_device(first));
    expect(client.iommu!.fault_param!.queue).toBe(r.smmu.iopf);
    r.machine.run(iommu_sva_unbind_device(second));
    expect(client.iommu!.fault_param).toBeUndefined();
    expect(master.iopf_refcount).toBe(0);
  });

  test("a device that is unregistered while it reports faults: a warning (arm_smmu_release_device)", () => {
    const r = svaRig({ ids: STALLS, clientProperties: { "pasid-num-bits": 3, "dma-can-stall": true } });
    bind(r, process(r));
    r.machine.run(device_unregister(r.machine.client));
    const warnings = r.machine.kernel.warnings.map(({ message }) => message);
    expect(warnings).toEqual(["driver gone with PASIDs in use", "device released while its page faults are handled"]);
  });

  test("with several StreamIDs: -EOPNOTSUPP, and nothing of the attach stays behind", () => {
    const r = svaRig({ ids: STALLS, clientProperties: can, sids: [CLIENT_SID, CLIENT_SID + 1] });
    const { asids } = r.smmu.driver;
    const mm = process(r);
    expect(r.machine.run(iommu_sva_bind_device(r.machine.client, mm))).toBe(-EOPNOTSUPP);
    expect(cd(r, mm.iommu_mm!.pasid)).toBe(0n);
    expect(mm.iommu_mm!.sva_domains).toEqual([]);
    expect(mm.mm_count).toBe(1);
    expect(r.machine.client.iommu_group!.pasid_array.size).toBe(0);
    const next = asids.alloc(0xffff)!;
    asids.free(next);
    r.machine.run(iommu_sva_bind_device(r.machine.client, mm));
    expect(asids.alloc(0xffff)).toBe(next);
  });

  test("a device that cannot stall is bound all the same, and reports nothing", () => {
    const r = svaRig({ ids: STALLS });
    bind(r, process(r));
    expect(r.machine.client.iommu!.fault_param).toBeUndefined();
  });
});
