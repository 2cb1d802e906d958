// SPDX-License-Identifier: GPL-2.0-only
/**
 * Linux's `struct device`: what the device core knows of a device. The functions that act on it are beside this file. After
 * Linux 7.1 include/linux/device.h. Left out: names of /dev and sysfs, reference counts, the list of system sleep.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { IommuGroup } from "../iommu/group.ts";
import type { DevIommu } from "../iommu/types.ts";
import type { Kernel } from "../kernel.ts";
import { Mutex } from "../locking/mutex.ts";
import type { DtNode } from "../of/dt.ts";
import type { BusType, DeviceDriver } from "./bus.ts";
import type { DevresNode } from "./devres.ts";
import type { DevLinksInfo } from "./link-flags.ts";
import { ListNode } from "./list.ts";
import { type DevPmDomain, DevPmInfo, type DevPmOps } from "./power/types.ts";

/** Linux's `struct class`, as far as shutdown and runtime PM need it. */
export interface DeviceClass {
  readonly name: string;
  /** Runs before the bus or driver hook (the TPM's class is the only user). */
  shutdown_pre?(dev: Device): Coroutine<void>;
  readonly pm?: DevPmOps;
}

/** What `platform_get_resource` and PCI BARs describe. */
export interface Resource {
  readonly base: number;
  readonly size: number;
  readonly name?: string;
}

export class Device {
  readonly kernel: Kernel;
  readonly name: string;
  parent: Device | null;
  bus: BusType | null = null;
  /** Linux's `dev->class`. */
  dev_class: DeviceClass | null = null;
  driver: DeviceDriver | null = null;
  of_node: DtNode | null = null;
  /** Highest DMA address, inclusive. `dma_mask` is for streaming, `coherent_dma_mask` for coherent memory. */
  dma_mask: number = 0xffff_ffff;
  coherent_dma_mask: number = 0xffff_ffff;
  dma_coherent: boolean = false;
  iommu: DevIommu | null = null;
  iommu_group: IommuGroup | null = null;
  resources: readonly Resource[] = [];

  /** `device_lock`. */
  readonly mutex: Mutex;
  /** In the order in which they were added. */
  readonly children: Set<Device> = new Set();
  readonly links: DevLinksInfo = { suppliers: [], consumers: [], status: "no-driver" };
  /** Managed resources, oldest first. */
  readonly devres: DevresNode[] = [];
  /** Place in `devices_kset`. */
  readonly kset_node: ListNode<Device> = new ListNode<Device>(this);
  /** Place in the list of deferred probes. */
  readonly deferred_node: ListNode<Device> = new ListNode<Device>(this);
  /** Set by device_add, cleared by device_del. */
  registered: boolean = false;
  /** Set by device_del at its end: nobody may use the device's data any more. */
  deleted: boolean = false;
  /** `dev->can_match`: some driver matched once, even if it did not bind. */
  can_match: boolean = false;
  /** What runtime PM knows of the device. */
  readonly power: DevPmInfo = new DevPmInfo();
  pm_domain: DevPmDomain | null = null;
  /** The driver that an asynchronous probe under way will try. */
  async_driver: DeviceDriver | null = null;
  /** Why the device waits for another probe. */
  deferred_probe_reason: string | null = null;
  /** sync_state() was called, or will be. */
  state_synced: boolean = false;
  /** With asynchronous shutdown: the hook may run beside others'. Set for PCI functions. */
  async_shutdown: boolean = false;
  #drvdata: unknown = null;

  /** Linux's `device_initialize`; the device becomes known by `device_add`. */
  constructor(kernel: Kernel, name: string, parent: Device | null = null) {
    this.kernel = kernel;
    this.name = name;
    this.parent = parent;
    this.mutex = new Mutex(kernel, `device_lock ${name}`, { key: "&dev->mutex", novalidate: true });
  }

  /** What the driver keeps with the device; null again when it lets go of it. */
  get drvdata(): unknown {
    if (this.deleted) this.kernel.debug.objects.usedDeleted(this, "drvdata");
    return this.#drvdata;
  }

  set drvdata(data: unknown) {
    this.#drvdata = data;
  }
}

/** Linux's `dev_driver_string`: the driver's name, else the bus's, else the class's. */
export function dev_driver_string(dev: Device): string {
  return dev.driver?.name ?? dev.bus?.name ?? dev.dev_class?.name ?? "";
}

/** Linux's `device_is_registered`. */
export function device_is_registered(dev: Device): boolean {
  return dev.registered;
}
