// SPDX-License-Identifier: MIT
/** Which nodes supply others, so that some driver must be there for them even if the table knows none. */
import { type DtNode, OF_BUSES, of_device_is_available, of_device_is_compatible, of_node_is_populatable } from "../../kernel/index.ts";
import type { DriverFacts } from "./driver-table.ts";

/** What a node says it provides, and where drivers of that kind live. */
const PROVIDES: readonly (readonly [property: string, directory: DriverFacts["directory"]])[] = [
  ["#clock-cells", "clk"],
  ["#power-domain-cells", "pmdomain"],
  ["#reset-cells", "reset"],
  ["#phy-cells", "phy"],
  ["#mbox-cells", "mailbox"],
  ["#pwm-cells", "soc"],
  ["gpio-controller", "gpio"],
  ["regulator-name", "regulator"],
  ["regulator-min-microvolt", "regulator"],
];

/** Where drivers of what a node, or one below it that is its driver's affair, provides are; undefined if it provides nothing. */
function provides(node: DtNode): DriverFacts["directory"] | undefined {
  const found = PROVIDES.find(([property]) => property in node.properties);
  if (found) return found[1];
  if (/^(pinctrl|pinmux|iomux)/.test(node.name)) return "pinctrl";
  if (of_device_is_compatible(node, ...OF_BUSES)) return undefined;
  for (const child of node.children) {
    const below = of_device_is_available(child) ? provides(child) : undefined;
    // A supplier behind a controller joins when that is bound.
    if (below !== undefined) return child.compatible === undefined ? below : controllerOf(node);
  }
  return undefined;
}

function controllerOf({ name }: DtNode): DriverFacts["directory"] {
  if (name.startsWith("i2c")) return "i2c";
  return name.startsWith("spi") ? "spi" : "soc";
}

/** A driver for a supplier that the table does not know: built in, at the level where most of its kind are. */
export function assumedDriver(node: DtNode): DriverFacts | undefined {
  const directory = of_node_is_populatable(node) ? provides(node) : undefined;
  const [compatible] = node.compatible ?? [];
  if (directory === undefined || compatible === undefined) return undefined;
  return { name: compatible, compatible: [compatible], directory, initcall: "subsys", shutdown: false, module: false };
}
