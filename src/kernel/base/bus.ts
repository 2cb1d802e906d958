// SPDX-License-Identifier: GPL-2.0-only
/**
 * Buses and drivers: what the device core calls. Both are plain descriptions; their state lives with each kernel.
 * After Linux 7.1 include/linux/device/{bus,driver}.h. Left out: system sleep, attributes, IRQ affinity.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "./device.ts";
import type { DevPmOps } from "./power/types.ts";

/** Linux's `struct bus_type`. */
export interface BusType {
  readonly name: string;
  match(dev: Device, drv: DeviceDriver): boolean;
  /** Instead of the driver's probe; most buses call that after some preparation. @returns 0 or -errno */
  probe?(dev: Device): Coroutine<number>;
  remove?(dev: Device): Coroutine<void>;
  /** If a bus has a shutdown, device_shutdown calls it *instead of* the driver's. */
  shutdown?(dev: Device): Coroutine<void>;
  /** What the bus's shutdown will run for this device, for traces: "driver hdlcd", "none". Default: "bus NAME". */
  shutdown_hook?(dev: Device): string;
  /** Makes the device ready for DMA before probe. @returns 0 or -errno, -EPROBE_DEFER while its IOMMU is not ready */
  dma_configure?(dev: Device): Coroutine<number>;
  dma_cleanup?(dev: Device): void;
  /** Every consumer of the device is there: it need not keep the state of the boot loader for them any more. */
  sync_state?(dev: Device): Coroutine<void> | void;
  readonly pm?: DevPmOps;
  /** Binding takes the parent's lock too (USB). */
  readonly need_parent_lock?: boolean;
}

/** Linux's `struct device_driver`. */
export interface DeviceDriver {
  readonly name: string;
  readonly bus: BusType;
  /** Compatible strings. */
  readonly of_match_table?: readonly string[];
  /** What the bus matches by; its shape is the bus's affair. */
  readonly id_table?: unknown;
  /** The driver takes care of the DMA ownership of its devices itself. */
  readonly driver_managed_dma?: boolean;
  /** Whether its probes run in tasks of their own; default: as the command line says. */
  readonly probe_type?: "prefer-asynchronous" | "force-synchronous";
  readonly pm?: DevPmOps;
  /** Called when every consumer of the device has a driver; see {@link BusType.sync_state}. */
  sync_state?(dev: Device): Coroutine<void> | void;
  /** @returns 0 or -errno; -EPROBE_DEFER to be tried again later */
  probe?(dev: Device): Coroutine<number>;
  remove?(dev: Device): Coroutine<void>;
  shutdown?(dev: Device): Coroutine<void>;
}

/** Linux's BUS_NOTIFY_* as far as anybody listens. */
export type BusEvent = "add-device" | "removed-device" | "bound-driver" | "unbound-driver";

/** @see bus_register_notifier */
export type BusNotifier = (event: BusEvent, dev: Device) => Coroutine<void> | void;

/** Linux's `struct subsys_private`: a bus as one kernel knows it. Both lists are in order of registration. */
export class BusPrivate {
  readonly bus: BusType;
  readonly klist_devices: Set<Device> = new Set();
  readonly klist_drivers: Set<DeviceDriver> = new Set();
  readonly notifiers: BusNotifier[] = [];

  constructor(bus: BusType) {
    this.bus = bus;
  }

  *notify(event: BusEvent, dev: Device): Coroutine<void> {
    for (const notifier of this.notifiers) {
      const waiting = notifier(event, dev);
      if (waiting) yield* waiting;
    }
  }
}
