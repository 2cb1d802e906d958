// SPDX-License-Identifier: GPL-2.0-only
/** Drivers, each as a module with the variants of its shutdown hook. */
export { e1000eModule, ifdown, ifup } from "./net/e1000e/main.ts";
export { E1000Adapter, e1000_adapter, type E1000eDriverOptions, type NetDevice } from "./net/e1000e/adapter.ts";
export { e1000_xmit_frame, type NetdevTx } from "./net/e1000e/tx.ts";
export { hdlcdModule, hdlcd_drvdata, type HdlcdDriverOptions } from "./gpu/hdlcd/hdlcd-drv.ts";
export { type DisplayMode, frameNs, HdlcdDrmPrivate, VGA_MODE } from "./gpu/hdlcd/hdlcd-crtc.ts";
export { tmcEtrModule, tmc_drvdata, type TmcEtrDriverOptions } from "./hwtracing/tmc-etr/tmc-core.ts";
export { type EtrBuf, tmc_disable_etr_sink, tmc_enable_etr_sink_sysfs, TmcDrvdata } from "./hwtracing/tmc-etr/tmc-etr.ts";
export { armSmmuV3Module } from "./iommu/arm-smmu-v3/arm-smmu-v3.ts";
export { ArmSmmuDevice, type ArmSmmuShutdown, type ArmSmmuV3Options } from "./iommu/arm-smmu-v3/device.ts";
