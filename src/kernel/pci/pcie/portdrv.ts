// SPDX-License-Identifier: GPL-2.0-only
/**
 * The PCI Express port driver, after Linux 7.1 drivers/pci/pcie/portdrv.c: enables a port, lets it forward requests, and makes
 * devices of the services that it offers.
 *
 * Its shutdown hook takes the services down but leaves the port enabled: there are bridges that with COMMAND.BME off also stop
 * accesses of the CPU to what is below them. Before a kexec the bus hook clears BME all the same.
 * Left out: every service but error reporting (hot plug, PME, DPC, bandwidth; a root port always has PME in Linux, which is
 * why bus mastering is set without any other service too), INTx for services, D3 of bridges; pci_save_state of a root port, which no
 * reset here makes lose anything.
 */
import type { Coroutine } from "../../../sim/index.ts";
import { device_unregister } from "../../base/core.ts";
import { ENODEV } from "../../errno.ts";
import type { DriverModule } from "../../initcall.ts";
import { pci_read_config_dword } from "../access.ts";
import { pci_disable_device, pci_enable_device_mem, pci_set_master } from "../enable.ts";
import { PCI_LINK_ORDER } from "../host-generic.ts";
import { pci_alloc_irq_vectors, pci_free_irq_vectors, pci_irq_vector } from "../msi.ts";
import type { PciDev, PciDriver } from "../pci-dev.ts";
import { pci_register_driver } from "../pci-driver.ts";
import * as regs from "../pci-regs.ts";
import { pci_restore_state, pci_save_state } from "../save-state.ts";
import { aerdriver } from "./aer.ts";
import { PCI_ERS_RESULT } from "./ers.ts";
import { pcie_device_init, pcie_port_service_register, PCIE_PORT_SERVICE_AER, PcieDevice } from "./port-bus.ts";

const PORT_TYPES: readonly number[] = [regs.PCI_EXP_TYPE_ROOT_PORT, regs.PCI_EXP_TYPE_UPSTREAM, regs.PCI_EXP_TYPE_DOWNSTREAM];
/** An interrupt message number has five bits. */
const PCIE_PORT_MAX_MSI_ENTRIES = 32;

function get_port_device_capability(pdev: PciDev): number {
  return pdev.pcie_type === regs.PCI_EXP_TYPE_ROOT_PORT && pdev.aer_cap !== 0 ? PCIE_PORT_SERVICE_AER : 0;
}

/** As many vectors as the highest message number asks for. @returns the interrupt of error reporting, or -errno */
function pcie_port_enable_irq_vec(pdev: PciDev): number {
  const most = pci_alloc_irq_vectors(pdev, 1, PCIE_PORT_MAX_MSI_ENTRIES);
  if (most < 0) return most;
  const number = (pci_read_config_dword(pdev, pdev.aer_cap + regs.PCI_ERR_ROOT_STATUS) & regs.PCI_ERR_ROOT_AER_IRQ) >>> 27;
  if (number + 1 !== most) {
    pci_free_irq_vectors(pdev);
    const again = pci_alloc_irq_vectors(pdev, number + 1, number + 1);
    if (again < 0) return again;
  }
  return pci_irq_vector(pdev, number);
}

function* pcie_port_device_register(pdev: PciDev): Coroutine<number> {
  const ret = yield* pci_enable_device_mem(pdev);
  if (ret !== 0) return ret;
  const capabilities = get_port_device_capability(pdev);
  pci_set_master(pdev);
  if (capabilities === 0) return 0;
  const irq = pcie_port_enable_irq_vec(pdev);
  // Without an interrupt there is no error reporting; the port forwards all the same.
  if (irq >= 0) yield* pcie_device_init(pdev, PCIE_PORT_SERVICE_AER, irq);
  return 0;
}

function* pcie_portdrv_probe(pdev: PciDev): Coroutine<number> {
  if (!PORT_TYPES.includes(pdev.pcie_type)) return -ENODEV;
  const ret = yield* pcie_port_device_register(pdev);
  if (ret !== 0) return ret;
  if (pdev.pciBus.self !== null) pci_save_state(pdev);
  return 0;
}

function* pcie_port_device_remove(pdev: PciDev): Coroutine<void> {
  for (const child of pdev.children) if (child instanceof PcieDevice) yield* device_unregister(child);
  pci_free_irq_vectors(pdev);
}

function* pcie_portdrv_remove(pdev: PciDev): Coroutine<void> {
  yield* pcie_port_device_remove(pdev);
  pci_disable_device(pdev);
}

const pcie_portdriver: PciDriver = {
  name: "pcieport",
  id_table: [{ class: regs.PCI_CLASS_BRIDGE_PCI << 8, classMask: 0xff_ffff }],
  probe: pcie_portdrv_probe,
  remove: pcie_portdrv_remove,
  shutdown: pcie_port_device_remove,
  err_handler: {
    *error_detected(_pdev, state) {
      return state === "frozen" ? PCI_ERS_RESULT.NEED_RESET : PCI_ERS_RESULT.CAN_RECOVER;
    },
    *mmio_enabled() {
      return PCI_ERS_RESULT.RECOVERED;
    },
    *slot_reset(pdev) {
      pci_restore_state(pdev);
      return PCI_ERS_RESULT.RECOVERED;
    },
  },
  driver_managed_dma: true,
};

/** The driver of root ports and switch ports, and of error reporting. */
export function pcieportModule(): DriverModule {
  return {
    name: "pcieport",
    initcall: "device",
    linkOrder: PCI_LINK_ORDER,
    *init(kernel) {
      yield* pcie_port_service_register(kernel, aerdriver);
      yield* pci_register_driver(kernel, pcie_portdriver);
    },
  };
}
