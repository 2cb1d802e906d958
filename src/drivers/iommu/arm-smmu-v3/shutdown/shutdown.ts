// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the driver does at shutdown: Linux's way, and the ways that other kernels had, other drivers have or people proposed.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_device_shutdown, which is `bypass`. The others:
 *
 * - none: no hook. Sai Prakash Ranjan's RFC of 7 June 2020 removes it.
 * - bypass: CR0 <- 0 and nothing else, Linux 6.2 and later ("Don't unregister on shutdown", 32ea2c57dc21; 6.1.7). Nobody
 *   writes GBPA, so it decides: bypass after a hardware reset on most parts, abort if the driver once found the SMMU running.
 * - abort: GBPA.ABORT, then CR0 <- 0. Will Deacon, 8 June 2020; never implemented.
 * - remove: Linux 5.8 to 6.1.6, where the hook called the remove function: unregister, then CR0 <- 0. Until 6.0 unregistering
 *   released no device; modelled is 6.1, where it does, under drivers that are still bound.
 * - gbpa-bypass: what arm-smmu (SMMUv2) does by sCR0.CLIENTPD: all clients bypass, whatever was set before.
 * - audit: Tyler Hicks, March 2024, on how a missing hook is found: abort, sleep, and look who still comes. See audit.ts.
 * - blocked: each master's STE becomes an abort, PASIDs included, and its endpoint's ATS goes off before; CR0 stays.
 * - leave-on: only what would write memory or interrupt the next kernel ends (event and PRI queue, interrupts). For a next
 *   kernel that adopts the tables, as the live-update work intends.
 *
 * Left out: handing the tables over to a kernel started by plain kexec (KHO): a kernel after `leave-on` resets what it finds.
 */
import { type Device, type PlatformDevice, dev_err, dev_warn, readl } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { arm_smmu_block_master } from "../masters/install.ts";
import { arm_smmu_device_audit } from "./audit.ts";
import { ArmSmmuDevice, type ArmSmmuShutdown } from "../device.ts";
import type { ArmSmmuMaster } from "../masters/master.ts";
import { arm_smmu_device_disable, arm_smmu_update_gbpa, arm_smmu_write_reg_sync } from "../probe/reg-sync.ts";
import { arm_smmu_device_remove } from "./teardown.ts";

type Hook = (smmu: ArmSmmuDevice) => Coroutine<unknown>;

function* abort(smmu: ArmSmmuDevice): Coroutine<void> {
  // Before translation ends, so that there is no moment of bypass.
  yield* arm_smmu_update_gbpa(smmu, R.GBPA_ABORT, 0);
  yield* arm_smmu_device_disable(smmu);
}

function* gbpa_bypass(smmu: ArmSmmuDevice): Coroutine<void> {
  yield* arm_smmu_update_gbpa(smmu, 0, R.GBPA_ABORT);
  yield* arm_smmu_device_disable(smmu);
}

/** The masters of an SMMU, each once. */
function masters(smmu: ArmSmmuDevice): Set<ArmSmmuMaster> {
  return new Set(smmu.streams.values());
}

/**
 * 6.1's hook. The devices' drivers stay bound and have their DMA operations still, which go through a group that is gone: the next
 * call of the DMA API for one of them is a NULL dereference.
 */
function* remove(smmu: ArmSmmuDevice): Coroutine<void> {
  const bound = [...masters(smmu)].map(({ dev }) => dev).filter((dev: Device) => dev.driver !== null);
  for (const dev of bound) smmu.kernel.iommu.released_while_bound.add(dev);
  // Whatever the order at unbinding is: no kernel whose hook this is leaves the disabling to managed resources, which do not
  // unwind at shutdown.
  smmu.teardown = "6.1";
  yield* arm_smmu_device_remove(smmu.dev);
}

/** Devices with a 1:1 mapping of the firmware refuse the blocked domain, and so this: they stay as they are. */
function* blocked(smmu: ArmSmmuDevice): Coroutine<void> {
  yield* smmu.driver.asid_lock.with("arm_smmu_device_shutdown", function* () {
    for (const master of masters(smmu)) {
      const { dev } = master;
      if (dev.iommu?.require_direct === true) {
        dev_warn(dev, "not blocked: the firmware requires a 1:1 mapping");
        continue;
      }
      yield* arm_smmu_block_master(master);
    }
  });
}

function* leave_on(smmu: ArmSmmuDevice): Coroutine<void> {
  if ((yield* arm_smmu_write_reg_sync(smmu, 0, R.ARM_SMMU_IRQ_CTRL, R.ARM_SMMU_IRQ_CTRLACK)) !== 0)
    dev_err(smmu.dev, "failed to disable irqs");
  // The command queue stays: drivers that shut down later unmap, and wait for it.
  const cr0 = readl(smmu.base, R.ARM_SMMU_CR0) & ~(R.CR0_EVTQEN | R.CR0_PRIQEN);
  if ((yield* arm_smmu_write_reg_sync(smmu, cr0, R.ARM_SMMU_CR0, R.ARM_SMMU_CR0ACK)) !== 0)
    dev_err(smmu.dev, "failed to disable the event queue");
}

const HOOKS: Record<Exclude<ArmSmmuShutdown, "none">, Hook> = {
  bypass: arm_smmu_device_disable,
  abort,
  remove,
  "gbpa-bypass": gbpa_bypass,
  audit: arm_smmu_device_audit,
  blocked,
  "leave-on": leave_on,
};

/** `arm_smmu_device_shutdown` in one of its variants; undefined: the driver has no hook. */
export function arm_smmu_shutdown_hook(how: ArmSmmuShutdown): ((pdev: PlatformDevice) => Coroutine<void>) | undefined {
  if (how === "none") return undefined;
  const hook = HOOKS[how];
  return function* (pdev) {
    const smmu = pdev.drvdata;
    if (smmu instanceof ArmSmmuDevice) yield* hook(smmu);
  };
}
