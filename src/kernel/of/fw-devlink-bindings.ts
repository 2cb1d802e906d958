// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which properties of the device tree name suppliers: a table of Linux 7.1 drivers/of/property.c, of_supplier_bindings, in its
 * order. How references are found in a property is the affair of fw-devlink-parse.ts.
 * Left out: nothing of the table.
 */

export interface SupplierBinding {
  /** The property's name; with `match`, its beginning or its end. */
  readonly property: string;
  /** Default: the whole name. `prefix-digit`: the beginning, and a digit follows. */
  readonly match?: "suffix" | "prefix-digit";
  /** Skipped unless fw_devlink.strict=1. */
  readonly optional?: true;
  /** The supplier comes later by intent: it is never waited for, and it breaks cycles (FWLINK_FLAG_IGNORE). */
  readonly ignore?: true;
  /** References are to endpoints of a graph: supplier and consumer are the devices that the endpoints' ports belong to. */
  readonly graph?: true;
  /** Names that end like the binding and are something else. */
  readonly except?: string;
  /** Nodes with this property are described by their parent. */
  readonly exceptNodesWith?: string;
}

export const SUPPLIER_BINDINGS: readonly SupplierBinding[] = [
  { property: "clocks" },
  { property: "interconnects" },
  { property: "iommus", optional: true },
  { property: "iommu-map", optional: true },
  { property: "mboxes" },
  { property: "io-channels" },
  { property: "io-backends" },
  { property: "dmas", optional: true },
  { property: "power-domains" },
  { property: "hwlocks" },
  { property: "extcon" },
  { property: "nvmem-cells" },
  { property: "phys" },
  { property: "wakeup-parent" },
  { property: "pinctrl-", match: "prefix-digit" },
  { property: "remote-endpoint", graph: true },
  { property: "pwms" },
  { property: "resets" },
  { property: "leds" },
  { property: "backlight" },
  { property: "panel" },
  { property: "msi-parent" },
  { property: "pses" },
  { property: "power-supplies" },
  { property: "mmc-pwrseq" },
  { property: "gpio", exceptNodesWith: "gpio-hog" },
  { property: "gpios", exceptNodesWith: "gpio-hog" },
  { property: "interrupts" },
  { property: "interrupts-extended" },
  { property: "interrupt-map" },
  { property: "access-controllers" },
  { property: "-supply", match: "suffix" },
  { property: "-gpio", match: "suffix" },
  { property: "-gpios", match: "suffix", except: ",nr-gpios" },
  { property: "post-init-providers", ignore: true },
];
