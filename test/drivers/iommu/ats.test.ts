// SPDX-License-Identifier: GPL-2.0-only
/** ATS: who may use it, and the order in which STE, ATC and the endpoint's enable bit change. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { arm_smmu_atc_inv_to_cmd } from "../../../src/drivers/iommu/arm-smmu-v3/masters/ats.ts";
import { IOMMU_HWPT_ALLOC_NEST_PARENT } from "../../../src/drivers/iommu/arm-smmu-v3/domains/domain.ts";
import { INV_TYPE_ATS, INV_TYPE_ATS_FULL } from "../../../src/drivers/iommu/arm-smmu-v3/invalidation/invs.ts";
import { type Device, iommu_attach_device, iommu_map, iommu_unmap, PciDev } from "../../../src/kernel/index.ts";
import { ATS, ENDPOINT, ENDPOINT_SID, FakeEndpoint, PASID, pciHost } from "../../kernel/pci/fake-endpoint.ts";
import { ID_REGISTERS } from "./fake-smmu.ts";
import { domainOf, newDomain, type Rig, type RigOptions, rig, ste } from "./support.ts";

const IDR0 = ID_REGISTERS[R.ARM_SMMU_IDR0]!;
const IDR1 = ID_REGISTERS[R.ARM_SMMU_IDR1]!;
const WITH_ATS = { [R.ARM_SMMU_IDR0]: IDR0 | R.IDR0_ATS, [R.ARM_SMMU_IDR1]: IDR1 | (16 << 6) };

interface AtsRig extends Rig {
  readonly endpoint: FakeEndpoint;
  readonly dev: Device;
}

/** An endpoint with ATS under a stage-1 domain. Its writes appear in the SMMU's journal. */
function atsRig(options: RigOptions & { readonly endpoint?: FakeEndpoint; readonly rootAts?: boolean } = {}): AtsRig {
  const endpoint = options.endpoint ?? new FakeEndpoint();
  const made = rig({
    sids: [],
    ids: WITH_ATS,
    ...pciHost(endpoint, options.rootAts ?? true),
    prepare(fake) {
      endpoint.onControl = (write) => void fake.journal.push(write);
    },
    ...options,
  });
  return { ...made, endpoint, dev: made.machine.device(ENDPOINT) };
}

function eats(r: AtsRig): number {
  return Number((ste(r.smmu, ENDPOINT_SID, 1) >> 28n) & 3n);
}

describe("arm_smmu_ats_supported", () => {
  test("with SMMU, root complex and endpoint: EATS is set and the endpoint enabled", () => {
    const r = atsRig();
    expect(eats(r)).toBe(R.STRTAB_STE_1_EATS_TRANS);
    expect(r.endpoint.get(ATS + 6, 2)).toBe(0x8000);
    expect(r.smmu.streams.get(ENDPOINT_SID)).toMatchObject({ ats_enabled: true, ste_ats_enabled: true });
  });

  test.each<[string, Parameters<typeof atsRig>[0]]>([
    ["the SMMU", { ids: { [R.ARM_SMMU_IDR1]: IDR1 | (16 << 6) } }],
    ["the root complex, as the firmware says", { rootAts: false }],
    ["the endpoint", { endpoint: new FakeEndpoint().hide(ATS) }],
  ])("not without %s", (_name, options) => {
    const r = atsRig(options);
    expect(eats(r)).toBe(0);
    expect(r.endpoint.get(ATS + 6, 2) & 0x8000).toBe(0);
  });

  test("a stage that bypasses or aborts has none", () => {
    const r = atsRig({ params: { iommuPassthrough: true } });
    expect(eats(r)).toBe(0);
    expect(r.endpoint.writes).not.toContain("ATS=8000");
  });

  test("the smallest translation unit is the smallest page", () => {
    const r = atsRig({ ids: { ...WITH_ATS, [R.ARM_SMMU_IDR5]: R.IDR5_GRAN64K | 5 } });
    expect(r.endpoint.writes.filter((write) => write.startsWith("ATS="))).toEqual(["ATS=4", "ATS=8004"]);
  });

  test("PASIDs are enabled before ATS, which is prepared first", () => {
    expect(atsRig().endpoint.writes).toEqual(["PASID=3", "ATS=0", "ATS=8000"]);
  });
});

describe("the order of an attach", () => {
  test("switching on: the STE, the whole ATC, then the endpoint", () => {
    const r = atsRig();
    // Two syncs write the CD, two the STE.
    expect(r.fake.journal.slice(-7)).toEqual(["CFGI_STE", "SYNC", "CFGI_STE", "SYNC", "ATC_INV", "SYNC", "ATS=8000"]);
    const inv = r.fake.commands.find(({ opcode }) => opcode === R.CMDQ_OP_ATC_INV)!;
    expect(inv.words).toEqual([(BigInt(ENDPOINT_SID) << 32n) | 0x40n, 52n]);
  });

  test("staying on: the ATC after the change, then the old tag", () => {
    const r = atsRig();
    r.fake.forget();
    r.machine.run(iommu_attach_device(newDomain(r.smmu), r.dev));
    expect(r.fake.journal.slice(-4)).toEqual(["ATC_INV", "SYNC", "TLBI_NH_ASID", "SYNC"]);
    expect(r.endpoint.get(ATS + 6, 2)).toBe(0x8000);
  });

  test("switching off: the endpoint before the STE, the whole ATC after it", () => {
    const r = atsRig();
    r.fake.forget();
    r.machine.run(iommu_attach_device(r.dev.iommu_group!.blocking_domain!, r.dev));
    const { journal } = r.fake;
    expect(journal[0]).toBe("ATS=0");
    expect(journal.indexOf("ATC_INV")).toBeGreaterThan(journal.lastIndexOf("CFGI_STE"));
    expect(journal.indexOf("TLBI_NH_ASID")).toBeGreaterThan(journal.indexOf("ATC_INV"));
    expect(r.dev instanceof PciDev && r.dev.ats_enabled).toBe(false);
  });

  test("the shutdown variant blocked switches it off in the order of an attach", () => {
    const r = atsRig({ driver: { shutdown: "blocked" } });
    r.fake.forget();
    r.machine.run(r.machine.smmuDevice.driver!.shutdown!(r.machine.smmuDevice));
    const { journal } = r.fake;
    expect(journal[0]).toBe("ATS=0");
    expect(journal.indexOf("ATC_INV")).toBeGreaterThan(journal.lastIndexOf("CFGI_STE"));
    expect(ste(r.smmu, ENDPOINT_SID)).toBe(1n);
    expect(r.smmu.streams.get(ENDPOINT_SID)).toMatchObject({ ats_enabled: false, ste_ats_enabled: false });
  });

  test("a released device has neither ATS nor PASIDs", () => {
    const r = atsRig();
    r.machine.run(r.machine.smmuDevice.driver!.remove!(r.machine.smmuDevice));
    expect(r.endpoint.get(ATS + 6, 2) & 0x8000).toBe(0);
    expect(r.endpoint.get(PASID + 6, 2)).toBe(0);
  });
});

describe("invalidation", () => {
  test("an unmap invalidates the TLB, waits, then the ATC", () => {
    const r = atsRig();
    const domain = domainOf(r.dev);
    iommu_map(r.machine.sim, domain, 0x1_0000, 0x8800_0000, 0x4000, 3);
    r.fake.forget();
    r.machine.run(iommu_unmap(domain, 0x1_0000, 0x4000));
    expect(r.fake.journal).toEqual([...Array<string>(4).fill("TLBI_NH_VA"), "SYNC", "ATC_INV", "SYNC"]);
    expect(r.fake.commands.at(-2)!.words).toEqual([(BigInt(ENDPOINT_SID) << 32n) | 0x40n, 0x1_0002n]);
  });

  test("a nesting parent empties the ATC", () => {
    const r = atsRig();
    const domain = newDomain(r.smmu, IOMMU_HWPT_ALLOC_NEST_PARENT);
    r.machine.run(iommu_attach_device(domain, r.dev));
    expect(domain.invs.inv.at(-1)).toMatchObject({ type: INV_TYPE_ATS_FULL, id: ENDPOINT_SID });
  });

  test("the array of a domain has the endpoint while ATS is on", () => {
    const r = atsRig();
    const domain = domainOf(r.dev);
    expect(domain.invs.inv.at(-1)).toMatchObject({ type: INV_TYPE_ATS, id: ENDPOINT_SID, ssid: 0, users: 1 });
    expect(domain.invs.has_ats).toBe(true);
  });
});

/** The examples of the comment in Linux, and PCI Express Base §10.3: size and alignment are powers of two of 4 KiB. */
describe("arm_smmu_atc_inv_to_cmd", () => {
  test.each<[string, [iova: number, size: number], [addr: number, log2: number]]>([
    ["one page", [0x7000, 0x1000], [0x7000, 0]],
    ["one byte", [0x7fff, 1], [0x7000, 0]],
    ["pages 8 to 11", [0x8000, 0x4000], [0x8000, 2]],
    ["pages 7 to 10 need 0 to 15", [0x7000, 0x4000], [0, 4]],
    ["a range across 4 GiB", [2 ** 32 - 0x1000, 0x2000], [0, 21]],
    ["everything", [0, 0], [0, 52]],
  ])("%s", (_name, [iova, size], [addr, log2]) => {
    expect(arm_smmu_atc_inv_to_cmd(0, iova, size)).toEqual({ substream_valid: false, ssid: 0, addr, size: log2 });
  });

  test("a SubstreamID other than 0 limits it to that PASID", () => {
    expect(arm_smmu_atc_inv_to_cmd(5, 0, 0)).toMatchObject({ substream_valid: true, ssid: 5 });
  });
});
