// SPDX-License-Identifier: GPL-2.0-only
/**
 * The PCI core of one kernel: which host bridges it has, and their functions. After Linux 7.1 drivers/pci/probe.c:
 * pci_root_buses; drivers/pci/search.c. Left out: domains. The rest is in the files beside this one.
 */
import type { Kernel } from "../kernel.ts";
import type { PciDev, PciHostBridge } from "./pci-dev.ts";
import { pci_walk_bus } from "./bus.ts";

export class PciCore {
  readonly kernel: Kernel;
  readonly #hostBridges: PciHostBridge[] = [];

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** In the order in which they were probed. */
  get hostBridges(): readonly PciHostBridge[] {
    return this.#hostBridges;
  }

  addHostBridge(bridge: PciHostBridge): void {
    this.#hostBridges.push(bridge);
  }

  /** Every function, bridges before what is below them. */
  get devices(): PciDev[] {
    return this.#hostBridges.flatMap((bridge) => pci_walk_bus(bridge.root));
  }

  /** The function of that name ("0000:00:01.0"), or null. */
  find(name: string): PciDev | null {
    return this.devices.find((pdev) => pdev.name === name) ?? null;
  }
}
