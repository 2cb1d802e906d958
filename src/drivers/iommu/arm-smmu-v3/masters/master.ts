// SPDX-License-Identifier: GPL-2.0-only
/**
 * Masters: the devices behind the SMMU, which StreamIDs they have, and how the IOMMU core meets them.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_probe_device, arm_smmu_insert_master,
 * arm_smmu_release_device, arm_smmu_device_group, arm_smmu_of_xlate, arm_smmu_get_resv_regions, arm_smmu_def_domain_type. Left
 * out: aliases behind PCI bridges, regions that the firmware reserves.
 */
import {
  type Device,
  EINVAL,
  ENODEV,
  IOMMU_NOEXEC,
  IOMMU_MMIO,
  IOMMU_WRITE,
  type IommuGroup,
  PciDev,
  type ResvRegion,
  dev_warn,
  dt_number,
  generic_device_group,
  iommu_fwspec_add_ids,
  of_iommu_get_resv_regions,
  pci_device_group,
  pci_prepare_ats,
} from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { __ffs } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { arm_smmu_disable_pasid, arm_smmu_enable_pasid } from "./ats.ts";
import { type ArmSmmuCdTable, arm_smmu_free_cd_tables, arm_smmu_ssids_in_use } from "../tables/cd-table.ts";
import { arm_smmu_block_master } from "./install.ts";
import type { ArmSmmuDevice, ArmSmmuDriverData } from "../device.ts";
import { ARM_SMMU_FEAT_2_LVL_CDTAB, ARM_SMMU_FEAT_STALLS, ARM_SMMU_FEAT_STALL_FORCE } from "../features.ts";
import { hex } from "../hex.ts";
import type { ArmSmmuVmaster } from "../domains/smmu-domain.ts";
import { arm_smmu_init_sid_strtab } from "../tables/strtab.ts";

const PCI_VENDOR_ID_HUAWEI = 0x19e5;
const HISI_PTT_DEVICE = 0xa12e;

/** `struct arm_smmu_master`. */
export class ArmSmmuMaster {
  readonly smmu: ArmSmmuDevice;
  readonly dev: Device;
  /** StreamIDs, ascending, each once. */
  readonly streams: readonly number[];
  cd_table: ArmSmmuCdTable | null = null;
  /** SubstreamID bits that its CD table has room for. */
  ssid_bits = 0;
  stall_enabled = false;
  /** A guest has it, and hears of its stage-1 events. */
  vmaster: ArmSmmuVmaster | null = null;
  /** Domains that handle its page faults. */
  iopf_refcount = 0;
  /** The endpoint may ask for translations and cache them. */
  ats_enabled = false;
  /** EATS of its STE. */
  ste_ats_enabled = false;

  constructor(smmu: ArmSmmuDevice, dev: Device, streams: readonly number[]) {
    this.smmu = smmu;
    this.dev = dev;
    this.streams = streams;
  }

  /** Of its SMMU. */
  get features(): number {
    return this.smmu.features;
  }
}

/** The master behind a device that probe_device accepted. */
export function dev_iommu_priv_get(dev: Device): ArmSmmuMaster {
  const priv = dev.iommu?.priv;
  return priv instanceof ArmSmmuMaster ? priv : dev.kernel.bug(`${dev.name} is no master of an arm-smmu-v3`, dev);
}

/** Claims the StreamIDs of a master and makes their STEs exist. @returns 0, -ERANGE, -ENOMEM, or -ENODEV: taken by another */
function arm_smmu_insert_master(smmu: ArmSmmuDevice, master: ArmSmmuMaster): number {
  for (const sid of master.streams) {
    const error = arm_smmu_init_sid_strtab(smmu, sid);
    if (error !== 0) {
      arm_smmu_remove_master(master);
      return error;
    }
    const existing = smmu.streams.get(sid);
    if (existing !== undefined) {
      dev_warn(master.dev, `Aliasing StreamID ${hex(sid)} (from ${existing.dev.name}) unsupported, expect DMA to be broken`);
      arm_smmu_remove_master(master);
      return -ENODEV;
    }
    smmu.streams.set(sid, master);
  }
  return 0;
}

function arm_smmu_remove_master(master: ArmSmmuMaster): void {
  const { streams } = master.smmu;
  for (const sid of master.streams) if (streams.get(sid) === master) streams.delete(sid);
}

/** @returns 0; -ENODEV if the device's SMMU is not this driver's; other -errno */
export function arm_smmu_probe_device(driver: ArmSmmuDriverData, dev: Device): number {
  const fwspec = dev.iommu?.fwspec;
  const smmu = driver.smmus.find((candidate) => candidate.dev.of_node === fwspec?.iommu_fwnode);
  if (fwspec === undefined || smmu === undefined) return -ENODEV;

  // A StreamID may be listed twice for one device: behind a bridge, functions share it.
  const streams = [...new Set(fwspec.ids)].sort((a, b) => a - b);
  const master = new ArmSmmuMaster(smmu, dev, streams);
  const error = arm_smmu_insert_master(smmu, master);
  if (error !== 0) return error;

  const node = dev.of_node;
  const wanted_ssid_bits = node === null ? 0 : (dt_number(node, "pasid-num-bits") ?? 0);
  master.ssid_bits = Math.min(wanted_ssid_bits, smmu.ssid_bits);
  // Before ATS: PASID Enable must not change while ATS is on (PCI Express Base §10.5.1.3).
  arm_smmu_enable_pasid(master);
  if (!smmu.has(ARM_SMMU_FEAT_2_LVL_CDTAB)) master.ssid_bits = Math.min(master.ssid_bits, R.CTXDESC_LINEAR_CDMAX);
  const can_stall = node?.properties["dma-can-stall"] === true;
  master.stall_enabled = (smmu.has(ARM_SMMU_FEAT_STALLS) && can_stall) || smmu.has(ARM_SMMU_FEAT_STALL_FORCE);
  if (dev instanceof PciDev) pci_prepare_ats(dev, __ffs(smmu.pgsize_bitmap));
  dev.iommu!.priv = master;
  return 0;
}

/**
 * The core has attached the blocked domain: the STEs abort, and nothing leads to the CD table. With PASIDs in use something does,
 * since blocking plain DMA leaves them alone (S1DSS terminates it), and the table is freed all the same. Linux 7.1 is no better,
 * but for a warning where page faults are handled, and one of the core when a driver leaves PASIDs behind. Up to 6.1
 * (arm_smmu_detach_dev) the STEs became aborts in any case.
 */
export function* arm_smmu_release_device(dev: Device): Coroutine<void> {
  const master = dev_iommu_priv_get(dev);
  const { smmu } = master;
  if (master.iopf_refcount > 0) smmu.kernel.warn("device released while its page faults are handled", dev);
  if (smmu.teardown === "6.1" && arm_smmu_ssids_in_use(master)) {
    yield* smmu.driver.asid_lock.with(dev.name, () => arm_smmu_block_master(master));
  }
  arm_smmu_disable_pasid(master);
  arm_smmu_remove_master(master);
  yield* arm_smmu_free_cd_tables(master);
}

/** Devices that share a StreamID are not supported, but for aliases of PCI. */
export function arm_smmu_device_group(dev: Device): IommuGroup {
  return dev instanceof PciDev ? pci_device_group(dev) : generic_device_group(dev);
}

/** HiSilicon's PCIe tune and trace device works only untranslated. */
export function arm_smmu_def_domain_type(dev: Device): "identity" | undefined {
  return dev instanceof PciDev && dev.vendor === PCI_VENDOR_ID_HUAWEI && dev.device === HISI_PTT_DEVICE ? "identity" : undefined;
}

/** The one cell of a specifier is the StreamID. */
export function arm_smmu_of_xlate(dev: Device, args: readonly number[]): number {
  const [sid] = args;
  return sid === undefined ? -EINVAL : iommu_fwspec_add_ids(dev, [sid]);
}

/** Where MSI doorbells may be mapped, and what the firmware wants. */
export function arm_smmu_get_resv_regions(dev: Device): ResvRegion[] {
  const prot = IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO;
  return [{ start: R.MSI_IOVA_BASE, length: R.MSI_IOVA_LENGTH, prot, type: "sw-msi" }, ...of_iommu_get_resv_regions(dev)];
}
