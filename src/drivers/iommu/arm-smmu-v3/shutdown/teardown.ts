// SPDX-License-Identifier: GPL-2.0-only
/**
 * Letting go of an SMMU, when its driver is unbound and when its probe fails. Queues, tables and interrupts are managed
 * resources: they go after the remove function, newest first. The SMMU must be off before.
 *
 * After Linux 7.1 and others, drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_device_remove and the ends of arm_smmu_device_probe, in
 * three orders:
 *
 * - 6.1: remove unregisters and disables, and a device that is released with PASIDs in use is cut off. A probe that fails once the SMMU is programmed frees its memory and leaves it as
 *   it is (until 6.1.129, "Clean up more on probe failure").
 * - 7.1: remove as in 6.1, and a failing probe disables. Of PASIDs in use nobody thinks: see arm_smmu_release_device.
 * - 7.3: "Manage teardown with devm" (2bd22a0d4050; 6.12.109, 6.1.191). Remove unregisters only. Disabling is a managed
 *   action, registered last of all, so it unwinds first: command queue and interrupts are there still. A probe that fails
 *   before it is registered disables by itself.
 *
 * Left out: the VMID allocator, which needs no care here.
 */
import {
  devm_add_action,
  iommu_device_sysfs_remove,
  iommu_device_unregister,
  iopf_queue_free,
  type PlatformDevice,
} from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { ArmSmmuDevice } from "../device.ts";
import { arm_smmu_device_disable } from "../probe/reg-sync.ts";

/** The driver's list of SMMUs forgets it: no device finds it any more. */
export function arm_smmu_forget(smmu: ArmSmmuDevice): void {
  const { smmus } = smmu.driver;
  const index = smmus.indexOf(smmu);
  if (index >= 0) smmus.splice(index, 1);
}

/** Called when everything else is acquired, the interrupts too. */
export function arm_smmu_manage_disable(smmu: ArmSmmuDevice): void {
  if (smmu.teardown !== "7.3") return;
  devm_add_action(smmu.dev, "iopf_queue_free", () => free_page_faults(smmu));
  devm_add_action(smmu.dev, "arm_smmu_device_disable", function* () {
    yield* arm_smmu_device_disable(smmu);
  });
}

/** The probe failed after it began to program the SMMU. */
export function* arm_smmu_probe_failed(smmu: ArmSmmuDevice): Coroutine<void> {
  arm_smmu_forget(smmu);
  if (smmu.teardown !== "6.1") yield* arm_smmu_device_disable(smmu);
  yield* free_page_faults(smmu);
}

function* free_page_faults(smmu: ArmSmmuDevice): Coroutine<void> {
  const { iopf } = smmu;
  smmu.iopf = null;
  if (iopf !== null) yield* iopf_queue_free(iopf);
}

/** `arm_smmu_device_remove`: the devices behind it are released first. */
export function* arm_smmu_device_remove(pdev: PlatformDevice): Coroutine<void> {
  const smmu = pdev.drvdata;
  if (!(smmu instanceof ArmSmmuDevice)) return;
  yield* iommu_device_unregister(smmu.kernel, pdev);
  yield* iommu_device_sysfs_remove(pdev);
  arm_smmu_forget(smmu);
  if (smmu.teardown === "7.3") return;
  yield* arm_smmu_device_disable(smmu);
  yield* free_page_faults(smmu);
}
