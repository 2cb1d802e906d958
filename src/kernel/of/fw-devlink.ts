// SPDX-License-Identifier: GPL-2.0-only
/**
 * fw_devlink: references in the device tree become device links, so that probing and shutdown follow them. Mandatory
 * suppliers (clocks, power domains, regulators …) always count; optional ones (`iommus`, `iommu-map`, `dmas`) only with
 * fw_devlink.strict=1. So by default no link leads from a client to its IOMMU.
 */
import type { Coroutine } from "../../sim/index.ts";
import { driver_deferred_probe_trigger, wait_for_device_probe } from "../base/deferred.ts";
import type { Device } from "../base/device.ts";
import { DL_FLAG } from "../base/link-flags.ts";
import { device_link_add, fw_devlink_relax_link } from "../base/links.ts";
import type { Kernel } from "../kernel.ts";
import { type DtNode, dt_references, of_device_is_available, of_device_is_compatible } from "./dt.ts";

/** Properties that name mandatory suppliers (drivers/of/property.c), besides `*-supply` and `*-gpios`. */
const MANDATORY = ["interconnects", "mboxes", "phys", "resets", "hwlocks", "nvmem-cells", "pwms", "backlight", "extcon", "pinctrl-0"];

/** Set up before there are devices (CLK_OF_DECLARE, IRQCHIP_DECLARE, timers): never devices, never waited for. */
const OF_DECLARED = ["fixed-clock", "fixed-factor-clock", "arm,gic-v3", "arm,gic-400", "arm,gic-v2m-frame", "arm,armv8-timer"];

/** True for nodes that become devices: they have a compatible string and nothing else took them early. */
export function of_node_is_populatable(node: DtNode): boolean {
  return node.compatible !== undefined && of_device_is_available(node) && !of_device_is_compatible(node, ...OF_DECLARED);
}

/** The labels of a node's suppliers, mandatory ones first, each once. */
export function supplierLabels(node: DtNode, strict: boolean): string[] {
  const labels: string[] = [];
  for (const reference of [...(node.clocks ?? []), ...(node.powerDomains ?? [])]) labels.push(reference.label);
  for (const [name, value] of Object.entries(node.properties)) {
    if (!MANDATORY.includes(name) && !name.endsWith("-supply") && !name.endsWith("-gpios")) continue;
    for (const reference of dt_references(value)) labels.push(reference.label);
  }
  if (strict) {
    for (const reference of [...(node.iommus ?? []), ...(node.iommuMap ?? []), ...(node.dmas ?? [])]) labels.push(reference.label);
  }
  return [...new Set(labels)];
}

export class FwDevlink {
  readonly #kernel: Kernel;
  /** fwnode links not yet turned into device links: consumer, supplier. */
  readonly #waiting = new Map<DtNode, Set<DtNode>>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  get #flags(): number {
    const runtimePm = this.#kernel.params.fwDevlink === "rpm" ? DL_FLAG.PM_RUNTIME : 0;
    return DL_FLAG.AUTOPROBE_CONSUMER | DL_FLAG.INFERRED | runtimePm;
  }

  /** The node that supplies: the one referred to, or the ancestor that becomes a device. Null if none ever will. */
  #supplierNode(label: string): DtNode | null {
    const { of } = this.#kernel;
    let node = of.byLabel(label);
    if (node && of_device_is_compatible(node, ...OF_DECLARED)) return null;
    while (node && node.compatible === undefined) node = of.parentOf(node);
    return node && node !== of.root && of_node_is_populatable(node) ? node : null;
  }

  /** Linux's `fw_devlink_link_device`: links that wait for this device, then the links it needs itself. */
  linkDevice(dev: Device): void {
    const node = dev.of_node;
    if (!node || this.#kernel.params.fwDevlink === "off") return;
    const { of } = this.#kernel;
    for (const [consumerNode, suppliers] of this.#waiting) {
      if (!suppliers.delete(node)) continue;
      const consumer = of.deviceOf(consumerNode);
      if (consumer) this.#link(consumer, dev);
    }
    const waiting = new Set<DtNode>();
    for (const label of supplierLabels(node, this.#kernel.params.fwDevlinkStrict)) {
      const supplierNode = this.#supplierNode(label);
      if (!supplierNode || supplierNode === node) continue;
      const supplier = of.deviceOf(supplierNode);
      if (supplier) this.#link(dev, supplier);
      else waiting.add(supplierNode);
    }
    if (waiting.size > 0) this.#waiting.set(node, waiting);
  }

  /** A link that would close a cycle only serves sync_state, so it blocks nobody. */
  #link(consumer: Device, supplier: Device): void {
    const link = device_link_add(consumer, supplier, this.#flags);
    if (link) return;
    device_link_add(consumer, supplier, DL_FLAG.SYNC_STATE_ONLY | DL_FLAG.INFERRED);
  }

  /** A supplier that the node waits for and that has no device yet, or null. */
  missingSupplier(node: DtNode): string | null {
    for (const supplier of this.#waiting.get(node) ?? []) return supplier.name;
    return null;
  }

  /**
   * Linux's `fw_devlink_drivers_done` and the end of deferred_probe_timeout, taken together when the last module has been
   * loaded: suppliers for which no driver came block nobody any more, and all deferred probes are tried again.
   */
  *driversDone(): Coroutine<void> {
    this.#waiting.clear();
    for (const dev of this.#kernel.base.devices()) {
      if (dev.can_match) continue;
      for (const link of dev.links.consumers) fw_devlink_relax_link(link);
    }
    this.#kernel.base.deferred.timed_out = true;
    driver_deferred_probe_trigger(this.#kernel);
    yield* wait_for_device_probe(this.#kernel);
  }
}
