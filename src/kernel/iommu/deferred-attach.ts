// SPDX-License-Identifier: GPL-2.0-only
/**
 * Deferred attach: a crash kernel may find an IOMMU at work and leave each device the translations that the kernel before
 * it made, until the device's driver first maps memory. Drivers reset their device before that, so no DMA is cut off in
 * the middle.
 *
 * After Linux 7.1 drivers/iommu/iommu.c: iommu_deferred_attach, __iommu_attach_device. Left out: the static key of
 * iommu_dma_init, which turns the test off in kernels that are no crash kernels (here the driver's word alone counts); the
 * group's mutex, since mapping does not sleep here; devices that are being reset.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import { ENODEV } from "../errno.ts";
import type { IommuDomain } from "./types.ts";

/** `__iommu_attach_device`: with the first domain that is attached, nothing is deferred any more. @returns 0 or -errno */
export function* iommu_attach_one(domain: IommuDomain, dev: Device, old: IommuDomain | null): Coroutine<number> {
  if (!domain.attach_dev) return -ENODEV;
  const error = yield* domain.attach_dev(dev, old);
  if (error === 0 && dev.iommu !== null) dev.iommu.attach_deferred = false;
  return error;
}

/**
 * `iommu_deferred_attach`: every mapping begins with this.
 * @returns 0, also if nothing was deferred, or -errno
 */
export function iommu_deferred_attach(dev: Device, domain: IommuDomain): number {
  if (dev.iommu?.attach_deferred !== true) return 0;
  return dev.kernel.sim.runAtomic(iommu_attach_one(domain, dev, null));
}
