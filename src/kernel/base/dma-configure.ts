// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a bus does about DMA around a driver's probe: the device's IOMMU must be there, and its group be free for drivers. After
 * Linux 7.1 drivers/base/platform.c: platform_dma_configure, platform_dma_cleanup; drivers/of/device.c: of_dma_configure. Left
 * out: `dma-ranges`, masks and coherence, which the device has already.
 */
import type { Coroutine } from "../../sim/index.ts";
import { EPROBE_DEFER } from "../errno.ts";
import { iommu_device_unuse_default_domain, iommu_device_use_default_domain, of_iommu_configure } from "../iommu/iommu.ts";
import type { Device } from "./device.ts";

/** Linux's `of_dma_configure`. @returns 0, or -EPROBE_DEFER; any other trouble means that the device has no IOMMU */
function* of_dma_configure(dev: Device): Coroutine<number> {
  const ret = yield* of_iommu_configure(dev);
  if (ret === -EPROBE_DEFER) return ret;
  dev.kernel.printk.dev_dbg(dev, `device is${ret === 0 ? "" : " not"} behind an iommu`);
  return 0;
}

/**
 * Linux's `platform_dma_configure`.
 * @returns 0; -EPROBE_DEFER while the IOMMU is not there; -EBUSY if somebody claimed the device's group
 */
export function* dma_configure(dev: Device): Coroutine<number> {
  const ret = yield* of_dma_configure(dev);
  if (ret !== 0 || !dev.driver || dev.driver.driver_managed_dma) return ret;
  return iommu_device_use_default_domain(dev);
}

/** Linux's `platform_dma_cleanup`. */
export function dma_cleanup(dev: Device): void {
  if (dev.driver && !dev.driver.driver_managed_dma) iommu_device_unuse_default_domain(dev);
}
