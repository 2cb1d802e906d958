// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which callback runtime PM runs, after Linux 7.1 drivers/base/power/runtime.c: __rpm_get_callback. Left out: device types,
 * the strict mid layer.
 */
import type { Coroutine } from "../../../sim/index.ts";
import type { Device } from "../device.ts";
import type { DevPmOps } from "./types.ts";

/** The power domain's, else the class's, else the bus's; where that has none, the driver's. */
export function callbackOf(dev: Device, name: Exclude<keyof DevPmOps, "complete">): ((dev: Device) => Coroutine<number>) | null {
  const ops = dev.pm_domain?.ops ?? dev.dev_class?.pm ?? dev.bus?.pm;
  return ops?.[name] ?? dev.driver?.pm?.[name] ?? null;
}
