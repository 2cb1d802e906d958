// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a device link is: its flags, its states, its two ends. After Linux 7.1 include/linux/device.h: DL_FLAG_*, struct
 * device_link. Left out: the device that a link itself is in sysfs.
 */
import type { Device } from "./device.ts";

/** Linux's DL_FLAG_* as bits. */
export const DL_FLAG = {
  STATELESS: 0x1,
  AUTOREMOVE_CONSUMER: 0x2,
  PM_RUNTIME: 0x4,
  RPM_ACTIVE: 0x8,
  AUTOREMOVE_SUPPLIER: 0x10,
  AUTOPROBE_CONSUMER: 0x20,
  MANAGED: 0x40,
  SYNC_STATE_ONLY: 0x80,
  INFERRED: 0x100,
  CYCLE: 0x200,
} as const;

export type DeviceLinkStatus = "none" | "dormant" | "available" | "consumer-probe" | "active" | "supplier-unbind";

/** Whether a device's own driver is there, as links see it. */
export type DevLinkDriverStatus = "no-driver" | "probing" | "bound" | "unbinding";

export interface DeviceLink {
  readonly consumer: Device;
  readonly supplier: Device;
  /** Bits of {@link DL_FLAG}. */
  flags: number;
  status: DeviceLinkStatus;
  /** A link is a device itself, of class `devlink`. */
  readonly link_dev: Device;
  refcount: number;
  /** References that the link holds on its supplier's runtime PM, and one. */
  rpm_active: number;
  /** The supplier is kept active for a probe of the consumer. */
  supplier_preactivated: boolean;
}

/** Both lists in the order in which the links were made. */
export interface DevLinksInfo {
  /** Links to what this device needs. */
  suppliers: DeviceLink[];
  /** Links to what needs this device. */
  consumers: DeviceLink[];
  status: DevLinkDriverStatus;
}

/** Linux's `device_link_flag_is_sync_state_only`: the link only tells the supplier when its consumers are all there. */
export function isSyncStateOnly(flags: number): boolean {
  return (flags & ~(DL_FLAG.INFERRED | DL_FLAG.CYCLE)) === (DL_FLAG.SYNC_STATE_ONLY | DL_FLAG.MANAGED);
}
