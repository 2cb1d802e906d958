// SPDX-License-Identifier: GPL-2.0-only
/**
 * Properties that refer to other nodes, with the property of the target that says how many argument cells follow. From the
 * bindings as Linux 7.1 drivers/of/property.c and the frameworks' consumers read them; facts only.
 */

/** null: a list of phandles without arguments. */
const CELLS_PROPERTY: Readonly<Record<string, string | null>> = {
  "access-controllers": "#access-controller-cells",
  "assigned-clock-parents": "#clock-cells",
  "assigned-clocks": "#clock-cells",
  backlight: null,
  clocks: "#clock-cells",
  "cooling-device": "#cooling-cells",
  cpu: null,
  dmas: "#dma-cells",
  extcon: null,
  gpio: "#gpio-cells",
  gpios: "#gpio-cells",
  hwlocks: "#hwlock-cells",
  interconnects: "#interconnect-cells",
  "io-backends": "#io-backend-cells",
  "io-channels": "#io-channel-cells",
  iommus: "#iommu-cells",
  leds: null,
  mboxes: "#mbox-cells",
  "memory-region": null,
  "msi-parent": "#msi-cells",
  "next-level-cache": null,
  "nvmem-cells": "#nvmem-cell-cells",
  "operating-points-v2": null,
  panel: null,
  "phy-handle": null,
  phys: "#phy-cells",
  "post-init-providers": null,
  "power-domains": "#power-domain-cells",
  pwms: "#pwm-cells",
  "remote-endpoint": null,
  resets: "#reset-cells",
  "sound-dai": "#sound-dai-cells",
  syscon: null,
  "thermal-sensors": "#thermal-sensor-cells",
  "trigger-sources": "#trigger-source-cells",
  "wakeup-parent": null,
};

/** Targets that need not say it: these have no arguments then. */
export const OPTIONAL_CELLS: readonly string[] = ["#msi-cells", "#nvmem-cell-cells", "#access-controller-cells"];

/**
 * How a property refers to nodes: the name of the target's count of cells, null for none.
 * @returns undefined for a property that refers to nothing
 */
export function referenceCells(property: string): string | null | undefined {
  const known = Object.hasOwn(CELLS_PROPERTY, property) ? CELLS_PROPERTY[property] : undefined;
  if (known !== undefined) return known;
  if (/^pinctrl-\d+$/.test(property) || property.endsWith("-supply")) return null;
  if (property.endsWith("-gpios") && !property.endsWith(",nr-gpios")) return "#gpio-cells";
  return property.endsWith("-gpio") ? "#gpio-cells" : undefined;
}
