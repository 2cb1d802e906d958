// SPDX-License-Identifier: GPL-2.0-only
/**
 * The arm-smmu-v3 platform driver. After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_driver.
 *
 * Modelled: one Non-secure SMMU per device, command, event and PRI queue, linear and two-level tables, stage 1 or stage 2 with
 * the DMA API's domains, identity and blocked domains, domains for PASIDs, those of processes with their page faults (stalls),
 * nested ones, dirty tracking, ATS, wired and message-signalled interrupts, kdump. Not modelled: page requests (PRI; they are
 * denied), runtime power management, ACPI, implementation-specific queues.
 */
import { type DriverModule, type Kernel, type PlatformDriver, platform_driver_register } from "../../../kernel/index.ts";
import { ArmSmmuDriverData, type ArmSmmuV3Options } from "./device.ts";
import { arm_smmu_device_probe } from "./probe/probe.ts";
import { arm_smmu_shutdown_hook } from "./shutdown/shutdown.ts";
import { arm_smmu_device_remove } from "./shutdown/teardown.ts";

/** Line of `iommu/` in drivers/Makefile. */
const LINK_ORDER = 65;

function arm_smmu_driver(driver: ArmSmmuDriverData): PlatformDriver {
  const shutdown = arm_smmu_shutdown_hook(driver.shutdown);
  return {
    name: "arm-smmu-v3",
    of_match_table: ["arm,smmu-v3"],
    probe: (pdev) => arm_smmu_device_probe(driver, pdev),
    remove: arm_smmu_device_remove,
    ...(shutdown === undefined ? {} : { shutdown }),
  };
}

/** The driver as a piece of kernel code that starts at boot. */
export function armSmmuV3Module(options: ArmSmmuV3Options = {}): DriverModule {
  return {
    name: "arm-smmu-v3",
    initcall: "device",
    linkOrder: LINK_ORDER,
    *init(kernel: Kernel) {
      yield* platform_driver_register(kernel, arm_smmu_driver(new ArmSmmuDriverData(kernel, options)));
    },
  };
}
