// SPDX-License-Identifier: MIT
/**
 * Stub drivers: they bind what the table says, in Linux's order of initcalls, and do what decides an order: wait for
 * suppliers, register as an IOMMU, make devices of what lies below. They touch no register.
 */
import {
  type Device,
  type DeviceDriver,
  device_link_add,
  DL_FLAG,
  driver_register,
  type DriverModule,
  type DtNode,
  EPROBE_DEFER,
  generic_device_group,
  type IommuDomain,
  type IommuOps,
  iommu_device_register,
  iommu_fwspec_add_ids,
  type Kernel,
  of_node_is_populatable,
  of_platform_populate,
  type PlatformDevice,
  platform_driver_register,
  supplierReferences,
} from "../../kernel/index.ts";
import type { Coroutine } from "../../sim/index.ts";
import { type DriverFacts, MAKEFILE_LINES } from "./driver-table.ts";
import type { NamedPci } from "./pci.ts";

/** A domain that maps nothing: attaching is all that happens. */
function domain(type: IommuDomain["type"]): IommuDomain {
  return {
    type,
    pgsize_bitmap: 0x1000,
    aperture_start: 0,
    aperture_end: 2 ** 48 - 1,
    *attach_dev() {
      return 0;
    },
  };
}

/** @param links the driver links each client to itself, as SMMUv2's does and SMMUv3's does not */
function iommuOps(smmu: Device, links: boolean): IommuOps {
  return {
    name: smmu.name,
    domain_alloc_paging: () => domain("unmanaged"),
    identity_domain: domain("identity"),
    blocked_domain: domain("blocked"),
    probe_device(dev) {
      if (links) device_link_add(dev, smmu, DL_FLAG.PM_RUNTIME | DL_FLAG.AUTOREMOVE_SUPPLIER);
      return 0;
    },
    release_device: () => {},
    device_group: generic_device_group,
    of_xlate: iommu_fwspec_add_ids,
    def_domain_type: () => "identity",
  };
}

/**
 * Drivers ask for their clocks, power domains and regulators themselves, and are told to come again while the supplier has
 * no driver: what fw_devlink saves them is only the attempt.
 */
function suppliersReady(dev: Device): boolean {
  const { of, base } = dev.kernel;
  if (!dev.of_node || base.deferred.timed_out) return true;
  const tree = {
    byLabel: (label: string) => of.byLabel(label),
    parentOf: (node: DtNode) => of.parentOf(node),
    hasDevice: (node: DtNode) => of.deviceOf(node) !== null,
  };
  return supplierReferences(dev.of_node, tree, false).every(({ supplier: named, ignore }) => {
    let node: DtNode | null = named;
    while (node && node.compatible === undefined) node = of.parentOf(node);
    if (ignore || !node || node === dev.of_node || !of_node_is_populatable(node)) return true;
    const supplier = of.deviceOf(node);
    return supplier !== null && supplier.driver !== null;
  });
}

/** What a driver does when it probes a device. */
function* probe(facts: DriverFacts, dev: Device, pci: NamedPci): Coroutine<number> {
  if (!suppliersReady(dev)) return -EPROBE_DEFER;
  const { kernel, of_node: node } = dev;
  if (facts.role === "smmu-v3" || facts.role === "smmu") yield* iommu_device_register(kernel, iommuOps(dev, facts.role === "smmu"), dev);
  else if (facts.role === "pci-host") yield* pci.scan(dev as PlatformDevice);
  // Buses without a driver of their own here (I2C, SPI, glue): their devices join when the controller is bound. A node below a
  // PCI bridge is a function of its bus, and no platform device.
  else if (node && dev.bus !== pci.bus) yield* of_platform_populate(kernel, node, dev);
  return 0;
}

function shutdownOf(facts: DriverFacts): { shutdown(): Coroutine<void> } | Record<string, never> {
  return facts.shutdown ? { *shutdown(): Coroutine<void> {} } : {};
}

/** A driver of the table as code of a kernel. @param pciOf the PCI buses of a kernel */
export function stubDriver(facts: DriverFacts, module: boolean, pciOf: (kernel: Kernel) => NamedPci): DriverModule {
  const { name, compatible, directory, initcall } = facts;
  const forPci = compatible.some((text) => text.startsWith("pci") && /^pci(class|[0-9a-f]{4}),/.test(text));
  return {
    name,
    initcall: module ? "module" : initcall,
    linkOrder: MAKEFILE_LINES[directory],
    *init(kernel) {
      const pci = pciOf(kernel);
      if (forPci) {
        const driver: DeviceDriver = {
          name,
          bus: pci.bus,
          of_match_table: compatible,
          probe: (dev) => probe(facts, dev, pci),
          ...shutdownOf(facts),
        };
        yield* driver_register(kernel, driver);
      } else {
        yield* platform_driver_register(kernel, {
          name,
          of_match_table: compatible,
          probe: (dev) => probe(facts, dev, pci),
          ...shutdownOf(facts),
        });
      }
    },
  };
}
