// SPDX-License-Identifier: GPL-2.0-only
/**
 * The usage count of runtime PM, by itself: nothing is suspended or resumed here. After Linux 7.1
 * drivers/base/power/runtime.c: rpm_drop_usage_count; include/linux/pm_runtime.h: pm_runtime_get_noresume, pm_runtime_put_noidle.
 * A reference that nobody took is a warning here, where Linux prints a line. Left out: the
 * variants that do nothing without CONFIG_PM.
 */
import { EINVAL } from "../../errno.ts";
import type { Device } from "../device.ts";

/** Takes a reference: the device must not be suspended. It is not resumed. */
export function pm_runtime_get_noresume(dev: Device): void {
  dev.power.usage_count++;
}

/** Gives a reference back, and nothing happens. */
export function pm_runtime_put_noidle({ power }: Device): void {
  power.usage_count = Math.max(0, power.usage_count - 1);
}

/** Linux's `rpm_drop_usage_count`. @returns what is left, or -EINVAL if there was none */
export function rpm_drop_usage_count(dev: Device): number {
  if (dev.power.usage_count > 0) return --dev.power.usage_count;
  dev.kernel.warn("Runtime PM usage count underflow!", dev);
  return -EINVAL;
}
