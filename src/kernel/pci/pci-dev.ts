// SPDX-License-Identifier: GPL-2.0-only
/**
 * The objects of the PCI core: host bridge, bus, device, driver, after Linux 7.1 include/linux/pci.h.
 * Left out: what the files beside this one leave out.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { DeviceDriver } from "../base/bus.ts";
import { Device } from "../base/device.ts";
import type { DevPmOps } from "../base/power/types.ts";
import type { IoMem } from "../io/io.ts";
import type { Kernel } from "../kernel.ts";
import type { DtRange } from "../of/dt.ts";
import type { PciChannelState, PciErrorHandlers } from "./pcie/ers.ts";

/** Power states of a PCI function, in Linux's order: a smaller number is more awake. */
export const PciPower = { D0: 0, D1: 1, D2: 2, D3hot: 3, D3cold: 4, unknown: 5 } as const;
export type PciPower = (typeof PciPower)[keyof typeof PciPower];

/** A memory BAR of a function, or the window of a bridge. */
export interface PciResource {
  /** Index of the (first) base address register; -1 for a bridge's window. */
  readonly bar: number;
  /** Bytes, a power of two for a BAR. */
  readonly size: number;
  readonly align: number;
  readonly is64: boolean;
  readonly prefetch: boolean;
  /** CPU and bus address, 0 until assigned. */
  base: number;
  assigned: boolean;
}

/** A PCI bus: the root bus of a host bridge, or what lies below a bridge. */
export class PciBus {
  /** The bus as a class device, "0000:00", once it is registered. */
  dev: Device | null = null;
  readonly number: number;
  readonly bridge: PciHostBridge;
  readonly parent: PciBus | null;
  /** The bridge above; null on a root bus. */
  readonly self: PciDev | null;
  /** In the order of the scan. */
  readonly devices: PciDev[] = [];
  readonly children: PciBus[] = [];
  /** Last bus number below. */
  busnEnd: number;

  constructor(bridge: PciHostBridge, number: number, parent: PciBus | null, self: PciDev | null) {
    this.bridge = bridge;
    this.number = number;
    this.parent = parent;
    this.self = self;
    this.busnEnd = number;
  }
}

/** A host bridge: the device "pciDDDD:BB" between the platform device and the root bus. */
export class PciHostBridge {
  /** "pci0000:00". */
  readonly dev: Device;
  readonly ecam: IoMem;
  /** First and last bus number. */
  readonly busRange: readonly [number, number];
  /** Where non-prefetchable BARs and bridge windows are placed. */
  readonly window: DtRange;
  readonly root: PciBus;

  constructor(dev: Device, ecam: IoMem, busRange: readonly [number, number], window: DtRange) {
    this.dev = dev;
    this.ecam = ecam;
    this.busRange = busRange;
    this.window = window;
    this.root = new PciBus(this, busRange[0], null, null);
  }
}

/** What the header of a function says it is. */
export interface PciFunctionId {
  readonly vendor: number;
  readonly device: number;
  readonly class: number;
  readonly hdr_type: number;
}

/** What Linux's `struct pci_dev` is. */
export class PciDev extends Device {
  readonly pciBus: PciBus;
  /** Device number in bits 7:3, function in 2:0. */
  readonly devfn: number;
  readonly vendor: number;
  readonly device: number;
  /** Base class, subclass and programming interface: 24 bits (Linux's `class`). */
  readonly class: number;
  /** 0 for endpoints, 1 for bridges. */
  readonly hdr_type: number;
  /** Offsets of capabilities; 0 if absent. */
  pm_cap: number = 0;
  pcie_cap: number = 0;
  msix_cap: number = 0;
  aer_cap: number = 0;
  ats_cap: number = 0;
  pri_cap: number = 0;
  pasid_cap: number = 0;
  /** End-end TLP prefixes that arrive at the root complex; 0: none. */
  eetlp_prefix_max: number = 0;
  ats_enabled: boolean = false;
  /** log2 of the smallest translation unit. */
  ats_stu: number = 0;
  pri_enabled: boolean = false;
  pri_reqs_alloc: number = 0;
  pasid_required: boolean = false;
  pasid_enabled: boolean = false;
  pasid_features: number = 0;
  /** Version of the PCI Express capability; 0 without one. */
  pcie_version: number = 0;
  /** PCI Express port type; -1 if the function has no PCI Express capability. */
  pcie_type: number = -1;
  override resources: PciResource[] = [];
  /** The bus below a bridge. */
  subordinate: PciBus | null = null;
  current_state: PciPower = PciPower.unknown;
  is_busmaster: boolean = false;
  enable_cnt: number = 0;
  /** False until the bus has been assigned its resources: no driver is matched before. */
  match_driver: boolean = false;
  /** Other functions share its device number. */
  multifunction: boolean = false;
  /** It lies below a port that leads out of the machine (`external-facing`). */
  untrusted: boolean = false;
  pci_driver: PciDriver | null = null;
  /** Whether requests reach the function, as the recovery from errors sees it. */
  error_state: PciChannelState = "normal";
  /** The header as it was saved before a suspend, or null. */
  saved_config_space: readonly number[] | null = null;
  /** How often runtime PM resumed the function. */
  runtime_resumes: number = 0;
  msix_enabled: boolean = false;
  /** Interrupt numbers of the allocated vectors. */
  readonly irqs: number[] = [];
  /** The MSI-X table, while enabled. */
  msix_base: IoMem | null = null;

  constructor(kernel: Kernel, pciBus: PciBus, devfn: number, id: PciFunctionId) {
    super(kernel, pci_name(pciBus.number, devfn), pciBus.self ?? pciBus.bridge.dev);
    this.async_shutdown = true;
    this.pciBus = pciBus;
    this.devfn = devfn;
    this.vendor = id.vendor;
    this.device = id.device;
    this.class = id.class;
    this.hdr_type = id.hdr_type;
  }

  /** Bus number in bits 15:8, devfn in 7:0: what the function puts on its requests. */
  get requesterId(): number {
    return (this.pciBus.number << 8) | this.devfn;
  }
}

/** `dev_is_untrusted`: a function below a port that leads out of the machine. */
export function dev_is_untrusted(dev: Device): boolean {
  return dev instanceof PciDev && dev.untrusted;
}

/** "0000:00:01.0". Segment 0 only. */
export function pci_name(bus: number, devfn: number): string {
  return `0000:${hex2(bus)}:${hex2(devfn >> 3)}.${devfn & 7}`;
}

function hex2(value: number): string {
  return value.toString(16).padStart(2, "0");
}

/** One row of a driver's table; what is left out matches everything. */
export interface PciDeviceId {
  readonly vendor?: number;
  readonly device?: number;
  /** Compared under `classMask`. */
  readonly class?: number;
  readonly classMask?: number;
  readonly driverData?: unknown;
}

/** What Linux's `struct pci_driver` is. Each function returns 0 or -errno where it returns a number. */
export interface PciDriver {
  readonly name: string;
  readonly id_table: readonly PciDeviceId[];
  probe(pdev: PciDev, id: PciDeviceId): Coroutine<number>;
  remove?(pdev: PciDev): Coroutine<void>;
  shutdown?(pdev: PciDev): Coroutine<void>;
  readonly pm?: DevPmOps;
  readonly err_handler?: PciErrorHandlers;
  /** The driver does DMA only through other drivers, or not at all (a port). */
  readonly driver_managed_dma?: boolean;
}

/** The device core's side of a PCI driver. */
export interface PciDeviceDriver extends DeviceDriver {
  readonly pci: PciDriver;
}
