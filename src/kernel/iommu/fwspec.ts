// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which IOMMU a device sits behind and under which ids: from the device tree to `dev.iommu.fwspec`.
 *
 * After Linux 7.1 drivers/iommu/iommu.c: iommu_fwspec_init, iommu_fwspec_add_ids, iommu_fwspec_free, and of_iommu.c:
 * of_iommu_configure_device, of_pci_iommu_init, of_iommu_xlate. Left out: `#iommu-cells` other than the length of
 * a specifier.
 */
import { driver_deferred_probe_check_state } from "../base/deferred.ts";
import type { Device } from "../base/device.ts";
import { EINVAL, ENODEV, EPROBE_DEFER } from "../errno.ts";
import { type DtNode, of_device_is_available, of_walk } from "../of/dt.ts";
import { PciDev } from "../pci/pci-dev.ts";
import { pci_dma_aliases } from "./pci-alias.ts";
import { IOMMU_FWSPEC_PCI_RC_ATS, type IommuFwspec } from "./types.ts";

/** One specifier: the IOMMU's node and its argument cells. */
interface IommuSpec {
  readonly node: DtNode;
  readonly args: readonly number[];
}

/** `dev_iommu_fwspec_get`. */
export function dev_iommu_fwspec_get(dev: Device): IommuFwspec | null {
  return dev.iommu?.fwspec ?? null;
}

/**
 * Ties a device to the IOMMU at `node`.
 * @returns 0; -EPROBE_DEFER while that IOMMU is not there; -EINVAL if the device is tied to another one
 */
export function iommu_fwspec_init(dev: Device, node: DtNode): number {
  const instance = dev.kernel.iommu.iommu_from_fwnode(node);
  if (instance === null) return driver_deferred_probe_check_state(dev);
  if (dev.iommu === null && !instance.ready) return -EPROBE_DEFER;
  if (dev.iommu !== null) return dev.iommu.fwspec.iommu_fwnode === node ? 0 : -EINVAL;
  dev.iommu = { fwspec: { iommu_fwnode: node, ids: [] }, priv: null, pci_32bit_workaround: false };
  return 0;
}

/** Adds ids (StreamIDs) to a device: what `of_xlate` of an IOMMU driver does with the specifier's cells. */
export function iommu_fwspec_add_ids(dev: Device, ids: readonly number[]): number {
  const fwspec = dev_iommu_fwspec_get(dev);
  if (fwspec === null) return -EINVAL;
  fwspec.ids.push(...ids);
  return 0;
}

/** `iommu_fwspec_free`: forgets what was found, after a failure. */
export function iommu_fwspec_free(dev: Device): void {
  dev.iommu = null;
}

/** Reads `iommus` of the device's own node or `iommu-map` of its host bridge. @returns 0, -EPROBE_DEFER or -ENODEV */
export function of_iommu_configure_device(dev: Device): number {
  const specs = dev instanceof PciDev ? pci_specs(dev) : platform_specs(dev);
  if (specs.length === 0) return -ENODEV;
  for (const spec of specs) {
    const error = of_iommu_xlate(dev, spec);
    if (error !== 0) return error;
  }
  if (dev instanceof PciDev) of_pci_check_device_ats(dev);
  return 0;
}

/** Whether ATS gets through is the host bridge's word. */
function of_pci_check_device_ats(dev: PciDev): void {
  const fwspec = dev_iommu_fwspec_get(dev);
  if (fwspec !== null && host_node(dev)?.properties["ats-supported"] === true) fwspec.flags = (fwspec.flags ?? 0) | IOMMU_FWSPEC_PCI_RC_ATS;
}

function host_node(dev: PciDev): DtNode | null {
  const bridge = dev.pciBus.bridge.dev;
  return bridge.of_node ?? bridge.parent?.of_node ?? null;
}

function of_iommu_xlate(dev: Device, spec: IommuSpec): number {
  if (!of_device_is_available(spec.node)) return -ENODEV;
  const error = iommu_fwspec_init(dev, spec.node);
  if (error !== 0) return error;
  const instance = dev.kernel.iommu.iommu_from_fwnode(spec.node);
  return instance === null ? -ENODEV : instance.ops.of_xlate(dev, spec.args);
}

function platform_specs(dev: Device): IommuSpec[] {
  return (dev.of_node?.iommus ?? []).flatMap((reference) => specs(dev, reference.label, reference.args ?? []));
}

function pci_specs(dev: PciDev): IommuSpec[] {
  const host = host_node(dev);
  const map = host?.iommuMap ?? [];
  return pci_dma_aliases(dev).flatMap(({ requesterId }) => {
    const rid = requesterId & (host?.iommuMapMask ?? 0xffff);
    const row = map.find((entry) => rid >= entry.ridBase && rid < entry.ridBase + entry.length);
    return row === undefined ? [] : specs(dev, row.label, [row.outBase + rid - row.ridBase]);
  });
}

function specs(dev: Device, label: string, args: readonly number[]): IommuSpec[] {
  for (const node of of_walk(dev.kernel.platform.deviceTree)) if (node.label === label) return [{ node, args }];
  return [];
}
