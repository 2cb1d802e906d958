// SPDX-License-Identifier: GPL-2.0-only
/**
 * The driver of generic host bridges ("pci-host-ecam-generic"), after Linux 7.1
 * drivers/pci/controller/pci-host-{generic,common}.c: `reg` is the ECAM window, `busRange` the bus numbers, `ranges` the memory
 * window. The bridge itself has no shutdown hook, as in Linux. Left out: CAM, `linux,pci-probe-only`, unbinding.
 */
import type { Coroutine } from "../../sim/index.ts";
import { Device } from "../base/device.ts";
import { devm_platform_ioremap_resource, type PlatformDevice, platform_driver_register } from "../base/platform.ts";
import { EINVAL } from "../errno.ts";
import type { DriverModule } from "../initcall.ts";
import { PciHostBridge } from "./pci-dev.ts";
import { pci_host_probe } from "./probe.ts";

/** Line of `pci/` in Linux's drivers/Makefile. */
export const PCI_LINK_ORDER = 23;

function* pci_host_common_probe(pdev: PlatformDevice): Coroutine<number> {
  const node = pdev.of_node;
  const window = node?.ranges?.[0];
  if (window === undefined || pdev.resources.length === 0) {
    pdev.kernel.printk.dev_err(pdev, "no configuration space or no memory window");
    return -EINVAL;
  }
  const ecam = devm_platform_ioremap_resource(pdev, 0);
  const [first, last] = node?.busRange ?? [0, 0xff];
  const dev = new Device(pdev.kernel, `pci0000:${first.toString(16).padStart(2, "0")}`, pdev);
  const bridge = new PciHostBridge(dev, ecam, [first, last], window);
  pdev.drvdata = bridge;
  return yield* pci_host_probe(bridge);
}

/** The generic host bridge driver. */
export function pciHostGenericModule(): DriverModule {
  return {
    name: "pci-host-generic",
    initcall: "device",
    linkOrder: PCI_LINK_ORDER,
    *init(kernel) {
      yield* platform_driver_register(kernel, {
        name: "pci-host-generic",
        of_match_table: ["pci-host-ecam-generic"],
        probe: pci_host_common_probe,
      });
    },
  };
}
