// SPDX-License-Identifier: GPL-2.0-only
/**
 * The PCI Express port driver, after Linux 7.1 drivers/pci/pcie/portdrv.c: enables a port and lets it forward requests.
 *
 * Its shutdown hook takes the port's services down but leaves the port enabled: there are bridges that with COMMAND.BME
 * off also stop accesses of the CPU to what is below them. Before a kexec the bus hook clears BME all the same.
 * Left out: the services themselves (hot plug, AER, PME, DPC), their interrupts, D3 of bridges.
 */
import type { Coroutine } from "../../sim/index.ts";
import { ENODEV } from "../errno.ts";
import type { DriverModule } from "../initcall.ts";
import { pci_disable_device, pci_enable_device_mem, pci_set_master } from "./enable.ts";
import { PCI_LINK_ORDER } from "./host-generic.ts";
import type { PciDev, PciDriver } from "./pci-dev.ts";
import { pci_register_driver } from "./pci-driver.ts";
import * as regs from "./pci-regs.ts";

const PORT_TYPES: readonly number[] = [regs.PCI_EXP_TYPE_ROOT_PORT, regs.PCI_EXP_TYPE_UPSTREAM, regs.PCI_EXP_TYPE_DOWNSTREAM];

function* pcie_portdrv_probe(pdev: PciDev): Coroutine<number> {
  if (!PORT_TYPES.includes(pdev.pcie_type)) return -ENODEV;
  const ret = yield* pci_enable_device_mem(pdev);
  if (ret === 0) pci_set_master(pdev);
  return ret;
}

function* pcie_portdrv_remove(pdev: PciDev): Coroutine<void> {
  pci_disable_device(pdev);
}

function* pcie_portdrv_shutdown(): Coroutine<void> {}

const pcie_portdriver: PciDriver = {
  name: "pcieport",
  id_table: [{ class: regs.PCI_CLASS_BRIDGE_PCI << 8, classMask: 0xff_ffff }],
  probe: pcie_portdrv_probe,
  remove: pcie_portdrv_remove,
  shutdown: pcie_portdrv_shutdown,
  driver_managed_dma: true,
};

/** The driver of root ports and switch ports. */
export function pcieportModule(): DriverModule {
  return {
    name: "pcieport",
    initcall: "device",
    linkOrder: PCI_LINK_ORDER,
    *init(kernel) {
      yield* pci_register_driver(kernel, pcie_portdriver);
    },
  };
}
