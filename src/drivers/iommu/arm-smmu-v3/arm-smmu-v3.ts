// SPDX-License-Identifier: GPL-2.0-only
/**
 * The arm-smmu-v3 platform driver, after Linux 7.1's, and its ways to shut down.
 *
 * Modelled: one Non-secure SMMU per device, command, event and PRI queue, linear and two-level tables, stage 1 or stage 2 with
 * the DMA API's domains, identity and blocked domains, domains for PASIDs, those of processes with their page faults (stalls),
 * nested ones, dirty tracking, ATS, wired and message-signalled interrupts, kdump. Not modelled: page requests (PRI; they are
 * denied), runtime power management, ACPI, implementation-specific queues.
 */
import {
  type DriverModule,
  type Kernel,
  type PlatformDevice,
  type PlatformDriver,
  platform_driver_register,
} from "../../../kernel/index.ts";
import type { Coroutine } from "../../../sim/index.ts";
import { GBPA_ABORT } from "./arm-smmu-v3-regs.ts";
import { ArmSmmuDevice, ArmSmmuDriverData, type ArmSmmuV3Options } from "./device.ts";
import { arm_smmu_device_probe, arm_smmu_device_remove } from "./probe.ts";
import { arm_smmu_device_disable, arm_smmu_update_gbpa } from "./reg-sync.ts";

/** Line of `iommu/` in drivers/Makefile. */
const LINK_ORDER = 65;

/**
 * `arm_smmu_device_shutdown`. Linux disables and leaves GBPA as it is, which after a hardware reset is bypass on most
 * SMMUs; with `abort`, GBPA is set to abort before translation ends, so that there is no moment of bypass.
 */
function* arm_smmu_device_shutdown(pdev: PlatformDevice, how: "bypass" | "abort"): Coroutine<void> {
  const smmu = pdev.drvdata;
  if (!(smmu instanceof ArmSmmuDevice)) return;
  if (how === "abort") yield* arm_smmu_update_gbpa(smmu, GBPA_ABORT, 0);
  yield* arm_smmu_device_disable(smmu);
}

function arm_smmu_driver(driver: ArmSmmuDriverData): PlatformDriver {
  const { shutdown } = driver;
  return {
    name: "arm-smmu-v3",
    of_match_table: ["arm,smmu-v3"],
    probe: (pdev) => arm_smmu_device_probe(driver, pdev),
    remove: arm_smmu_device_remove,
    ...(shutdown === "none" ? {} : { shutdown: (pdev: PlatformDevice) => arm_smmu_device_shutdown(pdev, shutdown) }),
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
