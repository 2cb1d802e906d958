// SPDX-License-Identifier: GPL-2.0-only
/** Nested domains: what a guest may say, what becomes of its commands and events, and both stages on the hardware model. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { arm_smmu_make_s1_cd } from "../../../src/drivers/iommu/arm-smmu-v3/tables/cd.ts";
import type { ArmSmmuCmd } from "../../../src/drivers/iommu/arm-smmu-v3/queues/cmdq-build.ts";
import { type ArmSmmuPagingDomain, IOMMU_HWPT_ALLOC_NEST_PARENT } from "../../../src/drivers/iommu/arm-smmu-v3/domains/domain.ts";
import {
  type ArmSmmuNestedDomain,
  type ArmSmmuVste,
  arm_vsmmu_alloc_domain_nested,
} from "../../../src/drivers/iommu/arm-smmu-v3/domains/nested.ts";
import type { ArmVsmmu } from "../../../src/drivers/iommu/arm-smmu-v3/domains/smmu-domain.ts";
import {
  arm_vsmmu_cache_invalidate,
  arm_vsmmu_convert_user_cmd,
  arm_vsmmu_init,
} from "../../../src/drivers/iommu/arm-smmu-v3/domains/vsmmu.ts";
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
  EBUSY,
  EINVAL,
  EIO,
  ENOENT,
  EOPNOTSUPP,
  IOMMU_FWSPEC_PCI_RC_CANWBS,
  iommu_attach_device,
  iommu_attach_device_pasid,
  iommu_map,
  iommu_unmap,
  KernelBuffer,
} from "../../../src/kernel/index.ts";
import { silentTrace, Trace } from "../../../src/sim/index.ts";
import { ENDPOINT, ENDPOINT_SID, FakeEndpoint, pciHost } from "../../kernel/pci/fake-endpoint.ts";
import { ID_REGISTERS } from "./fake-smmu.ts";
import { CLIENT_SID, EVTQ_IRQ, GERROR_IRQ, Machine, RAM_BASE, RAM_SIZE } from "./machine.ts";
import { newDomain, type Rig, type RigOptions, rig, ste } from "./support.ts";

const FWB = { [R.ARM_SMMU_IDR3]: R.IDR3_FWB };
const VSID = 0x77;
const VALID = R.STRTAB_STE_0_V;
const cfg = (config: number): bigint => BigInt(config) << 1n;
/** A guest's CD table, linear, with one descriptor. */
const CDTABLE: ArmSmmuVste = [VALID | cfg(5) | 0x4000_0000n, 2n | (1n << 2n) | (1n << 4n) | (3n << 6n)];
const BYPASS: ArmSmmuVste = [VALID | cfg(4), 0n];
const ABORT: ArmSmmuVste = [VALID, 0n];

function vsmmuOf(r: Rig, parent = newDomain(r.smmu, IOMMU_HWPT_ALLOC_NEST_PARENT), dev = r.machine.client): ArmVsmmu {
  const vsmmu = arm_vsmmu_init(dev, parent);
  if (typeof vsmmu === "number") throw new Error(`no guest's SMMU: ${vsmmu}`);
  vsmmu.vdevs.set(VSID, dev);
  return vsmmu;
}
function nested(vsmmu: ArmVsmmu, vste: ArmSmmuVste): ArmSmmuNestedDomain {
  const domain = arm_vsmmu_alloc_domain_nested(vsmmu, vste);
  if (typeof domain === "number") throw new Error(`refused: ${domain}`);
  return domain;
}
function config(r: Rig, sid = CLIENT_SID): number {
  return Number((ste(r.smmu, sid) >> 1n) & 7n);
}
const nestedRig = (options: RigOptions = {}): Rig => rig({ ids: FWB, ...options });

describe("arm_vsmmu_init", () => {
  test("needs nesting, and memory attributes that no guest can weaken: -EOPNOTSUPP", () => {
    const parent = (r: Rig): ArmSmmuPagingDomain => newDomain(r.smmu, IOMMU_HWPT_ALLOC_NEST_PARENT);
    const without = rig({ ids: {} });
    expect(arm_vsmmu_init(without.machine.client, parent(without))).toBe(-EOPNOTSUPP);
    const s2only = rig({ ids: { ...FWB, [R.ARM_SMMU_IDR0]: ID_REGISTERS[R.ARM_SMMU_IDR0]! & ~R.IDR0_S1P } });
    expect(arm_vsmmu_init(s2only.machine.client, newDomain(s2only.smmu))).toBe(-EOPNOTSUPP);
    without.machine.client.iommu!.fwspec.flags = IOMMU_FWSPEC_PCI_RC_CANWBS;
    const canwbs = parent(without);
    expect(arm_vsmmu_init(without.machine.client, canwbs)).toMatchObject({ vmid: canwbs.id });
  });

  test("memory of another SMMU: -EINVAL", () => {
    const [one, other] = [nestedRig(), nestedRig()];
    expect(arm_vsmmu_init(one.machine.client, newDomain(other.smmu, IOMMU_HWPT_ALLOC_NEST_PARENT))).toBe(-EINVAL);
  });
});

describe("a guest's STE", () => {
  test.each<[string, ArmSmmuVste, number]>([
    ["invalid: abort", [0n, 0n], R.STRTAB_STE_0_CFG_ABORT],
    ["abort", ABORT, R.STRTAB_STE_0_CFG_ABORT],
    ["bypass: stage 2 alone", BYPASS, R.STRTAB_STE_0_CFG_S2_TRANS],
    ["CD table: both stages", CDTABLE, R.STRTAB_STE_0_CFG_NESTED],
  ])("%s", (_what, vste, expected) => {
    const r = nestedRig();
    expect(r.machine.run(iommu_attach_device(nested(vsmmuOf(r), vste), r.machine.client))).toBe(0);
    expect(config(r)).toBe(expected);
  });

  test("with a CD table keeps the guest's pointer, has the parent's VMID, table and S2FWB, and merges events", () => {
    const r = nestedRig();
    const vsmmu = vsmmuOf(r);
    r.machine.run(iommu_attach_device(nested(vsmmu, CDTABLE), r.machine.client));
    expect(ste(r.smmu, CLIENT_SID) & R.STRTAB_STE_0_S1CTXPTR_MASK).toBe(0x4000_0000n);
    expect(ste(r.smmu, CLIENT_SID, 1) & (R.STRTAB_STE_1_MEV | R.STRTAB_STE_1_S2FWB | R.STRTAB_STE_1_S1DSS)).toBe(
      R.STRTAB_STE_1_MEV | R.STRTAB_STE_1_S2FWB | 2n,
    );
    expect(ste(r.smmu, CLIENT_SID, 2) & R.STRTAB_STE_2_S2VMID).toBe(BigInt(vsmmu.vmid));
    expect(ste(r.smmu, CLIENT_SID, 3)).toBe(vsmmu.s2_parent.arm_lpae_s2_cfg().vttbr);
  });

  test.each<[string, ArmSmmuVste]>([
    ["stage 2", [VALID | cfg(6), 0n]],
    ["both stages", [VALID | cfg(7), 0n]],
    ["a bit of the first word that is the host's", [CDTABLE[0] | (1n << 58n), CDTABLE[1]]],
    ["a StreamWorld", [CDTABLE[0], CDTABLE[1] | (2n << 30n)]],
    ["split-stage ATS", [CDTABLE[0], CDTABLE[1] | (2n << 28n)]],
  ])("that says %s is refused: -EIO", (_what, vste) => {
    expect(arm_vsmmu_alloc_domain_nested(vsmmuOf(nestedRig()), vste)).toBe(-EIO);
  });

  test("with a CD table for a device that the guest does not know: -ENOENT; abort and bypass need none", () => {
    const r = nestedRig();
    const vsmmu = vsmmuOf(r);
    vsmmu.vdevs.clear();
    const before = config(r);
    expect(r.machine.run(iommu_attach_device(nested(vsmmu, CDTABLE), r.machine.client))).toBe(-ENOENT);
    expect(config(r)).toBe(before);
    expect(vsmmu.s2_parent.devices).toEqual([]);
    expect(r.machine.run(iommu_attach_device(nested(vsmmu, BYPASS), r.machine.client))).toBe(0);
  });

  test("while the host has SubstreamIDs in use: -EBUSY", () => {
    const ids = { ...FWB, [R.ARM_SMMU_IDR1]: ID_REGISTERS[R.ARM_SMMU_IDR1]! | (16 << 6) };
    const r = nestedRig({ ids, clientProperties: { "pasid-num-bits": 3 } });
    r.machine.run(iommu_attach_device_pasid(newDomain(r.smmu), r.machine.client, 1));
    expect(r.machine.run(iommu_attach_device(nested(vsmmuOf(r), CDTABLE), r.machine.client))).toBe(-EBUSY);
  });

  test("from one nested domain to another of the same parent: one use stays, and the tag is not flushed", () => {
    const r = nestedRig();
    const vsmmu = vsmmuOf(r);
    r.machine.run(iommu_attach_device(nested(vsmmu, BYPASS), r.machine.client));
    r.fake.forget();
    r.machine.run(iommu_attach_device(nested(vsmmu, CDTABLE), r.machine.client));
    expect(vsmmu.s2_parent.devices).toHaveLength(1);
    expect(r.fake.journal).not.toContain("TLBI_S12_VMALL");
    expect(r.smmu.streams.get(CLIENT_SID)!.vmaster).toEqual({ vsmmu, vsid: VSID });
  });

  test.each([
    ["the guest has it on", 1n, true],
    ["the guest has it off, so nobody would invalidate", 0n, false],
  ])("ATS: %s", (_what, eats, enabled) => {
    const ids = { ...FWB, [R.ARM_SMMU_IDR0]: ID_REGISTERS[R.ARM_SMMU_IDR0]! | R.IDR0_ATS };
    const r = rig({ sids: [], ids, ...pciHost(new FakeEndpoint()) });
    const dev = r.machine.device(ENDPOINT);
    const vsmmu = vsmmuOf(r, undefined, dev);
    r.machine.run(iommu_attach_device(nested(vsmmu, [CDTABLE[0], CDTABLE[1] | (eats << 28n)]), dev));
    expect(r.smmu.streams.get(ENDPOINT_SID)!.ats_enabled).toBe(enabled);
    expect((ste(r.smmu, ENDPOINT_SID, 1) >> 28n) & 3n).toBe(enabled ? 1n : 0n);
  });
});

describe("a guest's commands", () => {
  const op = (opcode: number): bigint => BigInt(opcode);
  const vmid = (id: number): bigint => BigInt(id) << 32n;

  test("TLBI_NSNH_ALL becomes TLBI_NH_ALL of its VMID", () => {
    const vsmmu = vsmmuOf(nestedRig());
    expect(arm_vsmmu_convert_user_cmd(vsmmu, [op(0x30), 0n])).toEqual([op(0x10) | vmid(vsmmu.vmid), 0n]);
  });

  test.each([
    ["TLBI_NH_ALL", 0x10],
    ["TLBI_NH_ASID", 0x11],
    ["TLBI_NH_VA", 0x12],
    ["TLBI_NH_VAA", 0x13],
  ])("%s gets its VMID, whatever the guest wrote", (_name, opcode) => {
    const vsmmu = vsmmuOf(nestedRig());
    expect(arm_vsmmu_convert_user_cmd(vsmmu, [op(opcode) | vmid(0xffff) | (9n << 48n), 0x1000n])).toEqual([
      op(opcode) | vmid(vsmmu.vmid) | (9n << 48n),
      0x1000n,
    ]);
  });

  test.each([
    ["CFGI_CD", 0x05],
    ["CFGI_CD_ALL", 0x06],
    ["ATC_INV", 0x40],
  ])("%s gets the physical StreamID; of a device that the guest does not have: -EIO", (_name, opcode) => {
    const vsmmu = vsmmuOf(nestedRig());
    expect(arm_vsmmu_convert_user_cmd(vsmmu, [op(opcode) | vmid(VSID), 1n])).toEqual([op(opcode) | vmid(CLIENT_SID), 1n]);
    expect(arm_vsmmu_convert_user_cmd(vsmmu, [op(opcode) | vmid(CLIENT_SID), 1n])).toBe(-EIO);
  });

  test.each([
    ["CFGI_STE", 0x03],
    ["CFGI_ALL", 0x04],
    ["TLBI_EL2_ALL", 0x20],
    ["TLBI_S12_VMALL", 0x28],
    ["RESUME", 0x44],
    ["SYNC", 0x46],
  ])("%s is none for guests: -EIO", (_name, opcode) => {
    expect(arm_vsmmu_convert_user_cmd(vsmmuOf(nestedRig()), [op(opcode), 0n])).toBe(-EIO);
  });

  test("go out in blocks of 63 with a SYNC each", () => {
    const r = nestedRig();
    const vsmmu = vsmmuOf(r);
    const cmds = Array.from({ length: 70 }, (): ArmSmmuCmd => [op(0x11), 0n]);
    r.fake.forget();
    expect(r.machine.run(arm_vsmmu_cache_invalidate(vsmmu, cmds))).toEqual({ ret: 0, handled: 70 });
    expect(r.fake.journal.flatMap((name, i) => (name === "SYNC" ? [i] : []))).toEqual([63, 71]);
  });

  test("before a wrong one count as handled although they are not issued, as in Linux 7.1", () => {
    const r = nestedRig();
    const vsmmu = vsmmuOf(r);
    r.fake.forget();
    const result = r.machine.run(
      arm_vsmmu_cache_invalidate(vsmmu, [
        [op(0x11), 0n],
        [op(0x46), 0n],
      ]),
    );
    expect(result).toEqual({ ret: -EIO, handled: 1 });
    expect(r.fake.journal).toEqual([]);
  });
});

const GUEST_ASID = 3;
const IOVA = 0x10_0000;
const PAGE = 0x1000;

/** A guest whose memory is the machine's, one to one, with a stage 1 of its own. */
class Guest {
  readonly machine: Machine;
  readonly port: SmmuDmaPort;
  readonly vsmmu: ArmVsmmu;
  /** Stands for the guest's page table, and its memory. */
  readonly stage1: ArmSmmuPagingDomain;
  readonly page: KernelBuffer;

  constructor(config_: SmmuConfig) {
    let smmu: Smmu | undefined;
    this.machine = new Machine({
      coherent: config_.coherent,
      smmu: ({ sim, bus, controller }) => {
        const pulse = (line: string): void => controller.raise(line === "eventq" ? EVTQ_IRQ : GERROR_IRQ);
        const trace = new Trace<SmmuEvents>();
        smmu = new Smmu(config_, createSmmuHost({ simulation: sim, bus, trace, pulse }), { trace });
        return { size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth };
      },
    }).boot();
    const { machine } = this;
    const driver = machine.smmuDevice.drvdata;
    if (!(driver instanceof ArmSmmuDevice)) throw new Error(`not bound: ${machine.log.join(" | ")}`);
    this.port = new SmmuDmaPort({ smmu: smmu!, bus: machine.bus, streamId: CLIENT_SID, name: "client", trace: silentTrace<DmaEvents>() });
    const parent = newDomain(driver, IOMMU_HWPT_ALLOC_NEST_PARENT);
    iommu_map(machine.sim, parent, RAM_BASE, RAM_BASE, RAM_SIZE, 3);
    const vsmmu = arm_vsmmu_init(machine.client, parent);
    if (typeof vsmmu === "number") throw new Error(`no guest's SMMU: ${vsmmu}`);
    this.vsmmu = vsmmu;
    vsmmu.vdevs.set(VSID, machine.client);
    vsmmu.veventq = [];
    this.stage1 = newDomain(driver);
    const [page, cd] = [KernelBuffer.alloc(machine.kernel, PAGE, "guest"), KernelBuffer.alloc(machine.kernel, PAGE, "guest")];
    if (page === null || cd === null) throw new Error("no memory");
    this.page = page;
    this.stage1.map_pages(IOVA, page.pa, PAGE, 1, 3);
    arm_smmu_make_s1_cd({ stall_enabled: false }, this.stage1.arm_lpae_s1_cfg(), GUEST_ASID).forEach((word, i) => cd.set64(8 * i, word));
    const vste: ArmSmmuVste = [VALID | cfg(5) | BigInt(cd.pa), CDTABLE[1] | R.STRTAB_STE_1_S1STALLD];
    const ret = machine.run(iommu_attach_device(nested(vsmmu, vste), machine.client));
    if (ret !== 0) throw new Error(`not attached: ${ret}`);
  }

  write(value: number): DmaStatus {
    return this.port.write(IOVA, Uint8Array.of(value));
  }
}

const CONFIGS = Object.values(profiles)
  .filter(({ stage1, stage2, fwb, coherent }) => stage1 && stage2 && fwb && coherent)
  .map((config_) => [config_.name, config_] as const);

describe.each(CONFIGS)("profile %s", (_name, config_) => {
  test("the guest's device passes its stage 1 and the host's stage 2", () => {
    const g = new Guest(config_);
    expect(g.write(42)).toBe(DmaStatus.ok);
    expect(g.page.get8(0)).toBe(42);
  });

  test("the guest unmaps and invalidates by its ASID and address; the fault is the guest's, under its StreamID", () => {
    const g = new Guest(config_);
    expect(g.write(1)).toBe(DmaStatus.ok);
    expect(g.machine.run(iommu_unmap(plain(g.stage1), IOVA, PAGE))).toBe(PAGE);
    const tlbi: ArmSmmuCmd = [0x12n | (BigInt(GUEST_ASID) << 48n), BigInt(IOVA)];
    expect(g.machine.run(arm_vsmmu_cache_invalidate(g.vsmmu, [tlbi]))).toEqual({ ret: 0, handled: 1 });
    const printed = g.machine.log.length;
    expect(g.write(2)).toBe(DmaStatus.abort);
    g.machine.idle(1_000_000);
    expect(g.vsmmu.veventq!.map(([word = 0n]) => [Number(word & 0xffn), Number(word >> 32n)])).toEqual([
      [R.EVT_ID_TRANSLATION_FAULT, VSID],
    ]);
    expect(g.machine.log.slice(printed)).toEqual([]);
  });

  test("the host takes a page of the guest away: both stages are invalidated, and the stage-2 fault is the host's", () => {
    const g = new Guest(config_);
    expect(g.write(1)).toBe(DmaStatus.ok);
    expect(g.machine.run(iommu_unmap(g.vsmmu.s2_parent, RAM_BASE, RAM_SIZE))).toBe(RAM_SIZE);
    expect(g.write(2)).toBe(DmaStatus.abort);
    g.machine.idle(1_000_000);
    expect(g.vsmmu.veventq).toEqual([]);
    expect(g.machine.log.some((line) => line.includes(" s2 "))).toBe(true);
  });
});

/** A domain's table without its invalidations, which the guest does itself. */
function plain(domain: ArmSmmuPagingDomain): Parameters<typeof iommu_unmap>[0] {
  return {
    type: "unmanaged",
    pgsize_bitmap: domain.pgsize_bitmap,
    aperture_start: 0,
    aperture_end: domain.aperture_end,
    unmap_pages: (iova, pgsize, count, gather) => domain.unmap_pages(iova, pgsize, count, { ...gather, queued: true }),
  };
}

test("some profile has both stages and S2FWB", () => expect(CONFIGS).not.toEqual([]));
