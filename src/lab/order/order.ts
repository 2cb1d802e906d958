// SPDX-License-Identifier: MIT
/**
 * The shutdown order of a board: its tree, booted by the device core on a platform where nothing happens, with stub drivers
 * from the table; then device_shutdown, and who was passed before whom.
 */
import {
  type Device,
  device_shutdown,
  type DtNode,
  Kernel,
  type KernelEvents,
  of_device_is_available,
  of_walk,
} from "../../kernel/index.ts";
import { Simulation, type SimEvents, Trace } from "../../sim/index.ts";
import { nearest } from "../../hw/index.ts";
import { DRIVER_TABLE, type DriverFacts } from "./driver-table.ts";
import { stubDriver } from "./drivers.ts";
import { inertPlatform } from "./inert.ts";
import { mapped, NamedPci } from "./pci.ts";
import { assumedDriver } from "./suppliers.ts";
import { type OrderClient, type OrderDevice, OrderError, type OrderOptions, type OrderResult, type OrderRisk } from "./types.ts";

/** No boot of stubs takes longer; one that does has come to a standstill. Virtual. */
const LONGEST_NS = 60e9;

/** Which drivers the tree has work for, in the order of the table; assumed ones behind. */
function driversFor(root: DtNode): { readonly known: readonly DriverFacts[]; readonly assumed: readonly DriverFacts[] } {
  const nodes = root.children.flatMap((child) => [...of_walk(child)]).filter(of_device_is_available);
  const fits = (facts: DriverFacts, node: DtNode): boolean => node.compatible?.some((name) => facts.compatible.includes(name)) ?? false;
  // Bridges need no compatible string, so their driver is always wanted.
  const known = DRIVER_TABLE.filter((facts) => facts.name === "pcieport" || nodes.some((node) => fits(facts, node)));
  const assumed = new Map<string, DriverFacts>();
  for (const node of nodes) {
    const facts = known.some((candidate) => fits(candidate, node)) ? undefined : assumedDriver(node);
    if (facts) assumed.set(facts.name, facts);
  }
  return { known, assumed: [...assumed.values()] };
}

/** Whether a driver of the table says this of a device that it takes. */
export function isCompatible(word: string): boolean {
  return DRIVER_TABLE.some(({ compatible }) => compatible.includes(word));
}

/** A driver that an option names. @throws OrderError if the tree has no work for one of that name */
function named(option: string, name: string, drivers: readonly DriverFacts[]): string {
  const found = drivers.find((facts) => facts.name === name || facts.compatible.includes(name));
  if (found) return found.name;
  const names = drivers.map((facts) => facts.name);
  const meant = nearest(name, names);
  throw new OrderError(
    `${option} ${name}: no such driver for this board${meant === undefined ? `; --all shows the ${names.length} that it has` : `, did you mean ${meant}?`}`,
  );
}

/** The SMMUs' nodes. */
function smmuNodes(root: DtNode): Set<DtNode> {
  const compatible = DRIVER_TABLE.flatMap((facts) => (facts.role === "smmu" || facts.role === "smmu-v3" ? facts.compatible : []));
  return new Set(
    [...of_walk(root)].filter((node) => of_device_is_available(node) && node.compatible?.some((name) => compatible.includes(name))),
  );
}

interface Booted {
  readonly kernel: Kernel;
  readonly pci: NamedPci;
  readonly order: readonly Device[];
  readonly deferred: OrderResult["deferred"];
}

/** Boots the board and takes it down. @throws OrderError if it does not come to an end */
function bootAndShutDown(
  root: DtNode,
  options: OrderOptions,
  drivers: readonly DriverFacts[],
  isModule: (facts: DriverFacts) => boolean,
): Booted {
  const trace = new Trace<KernelEvents & SimEvents>();
  const simulation = new Simulation({ trace });
  const pciOf = new WeakMap<Kernel, NamedPci>();
  const pci = (kernel: Kernel): NamedPci => {
    let found = pciOf.get(kernel);
    if (!found) pciOf.set(kernel, (found = new NamedPci(kernel)));
    return found;
  };
  const kernel = new Kernel({
    name: "order",
    simulation,
    platform: inertPlatform(root),
    trace,
    drivers: drivers.map((facts) => stubDriver(facts, isModule(facts), pci)),
    cmdline: { fwDevlink: options.fwDevlink, fwDevlinkStrict: options.strict },
  });
  const passed: string[] = [];
  trace.on("kernel.shutdown", ({ data }) => {
    if (data.phase === "begin") passed.push(data.device);
  });
  const devices = new Map<string, Device>();
  let deferred: OrderResult["deferred"] = [];
  let done = false;
  kernel.spawn(
    "order",
    (function* () {
      yield* kernel.boot();
      for (const dev of kernel.base.devices()) devices.set(dev.name, dev);
      deferred = [...kernel.base.deferred.pending].map(({ name, deferred_probe_reason: reason }) => ({ name, reason }));
      yield* device_shutdown(kernel);
      done = true;
    })(),
  );
  simulation.run({ until: () => done || kernel.oopses.length > 0, limitNs: LONGEST_NS });
  const oops = kernel.oopses[0];
  if (oops) throw new OrderError(`the board does not boot: ${oops.message}`);
  if (!done) throw new OrderError("the board does not boot: its probes come to no end");
  return { kernel, pci: pci(kernel), order: passed.flatMap((name) => devices.get(name) ?? []), deferred };
}

/** Every device behind an SMMU, with that SMMU's device. */
function clientsOf(
  { kernel, pci }: Booted,
  smmus: ReadonlySet<DtNode>,
): { dev: Device | null; node: DtNode; smmu: DtNode; assumed: boolean; pci: boolean }[] {
  const found: { dev: Device | null; node: DtNode; smmu: DtNode; assumed: boolean; pci: boolean }[] = [];
  for (const node of of_walk(kernel.of.root)) {
    if (!of_device_is_available(node)) continue;
    const smmu = node.iommus?.map(({ label }) => kernel.of.byLabel(label)).find((target) => target && smmus.has(target));
    if (smmu) found.push({ dev: kernel.of.deviceOf(node), node, smmu, assumed: false, pci: false });
  }
  for (const { dev, node, requesterId, host, assumed } of pci.functions) {
    // A bridge does no DMA of its own.
    if (node.properties["device_type"] === "pci") continue;
    const target = mapped(host, requesterId);
    const smmu = target && kernel.of.byLabel(target.label);
    if (smmu && smmus.has(smmu)) found.push({ dev, node, smmu, assumed, pci: true });
  }
  return found;
}

/**
 * The order in which a board's devices are shut down, and which SMMU clients that order, or a missing hook, leaves at risk.
 * @throws OrderError if the tree has no SMMU, or an option names a driver that it has no work for
 */
export function shutdownOrder(root: DtNode, options: OrderOptions): OrderResult {
  const smmus = smmuNodes(root);
  if (smmus.size === 0) throw new OrderError("the device tree has no SMMU that is enabled");
  const { known, assumed } = driversFor(root);
  const all = [...known, ...assumed];
  const modules = new Set(options.modules.map((name) => named("--module", name, all)));
  const builtIn = new Set(options.builtIn.map((name) => named("--built-in", name, all)));
  const isModule = (facts: DriverFacts): boolean => modules.has(facts.name) || (facts.module && !builtIn.has(facts.name));
  const loaded = inTreeOrder(root, all.filter(isModule));
  const booted = bootAndShutDown(root, options, [...all.filter((facts) => !isModule(facts)), ...loaded], isModule);
  const { kernel, order } = booted;

  const unknown = new Set(assumed.map(({ name }) => name));
  const hookOf = (dev: Device): boolean | null => (dev.driver && !unknown.has(dev.driver.name) ? dev.driver.shutdown !== undefined : null);
  // A driver of a bridge needs no compatible string.
  const knownOf = (dev: Device): boolean =>
    (dev.driver !== null && !unknown.has(dev.driver.name)) ||
    known.some(({ compatible }) => dev.of_node?.compatible?.some((name) => compatible.includes(name)));
  const clients: OrderClient[] = [];
  const withoutDevice: string[] = [];
  const clientDevices = new Set<Device>();
  for (const { dev, node, smmu, assumed: stand, pci } of clientsOf(booted, smmus)) {
    const supplier = kernel.of.deviceOf(smmu);
    if (!dev || !supplier) {
      withoutDevice.push(node.name);
      continue;
    }
    clientDevices.add(dev);
    const hook = hookOf(dev);
    const risks: OrderRisk[] = [];
    if (order.indexOf(dev) > order.indexOf(supplier)) risks.push("after-smmu");
    if (hook === false) risks.push("no-hook");
    clients.push({
      name: dev.name,
      smmu: supplier.name,
      driver: dev.driver?.name ?? null,
      hook,
      known: knownOf(dev),
      bus: pci ? "pci" : "platform",
      assumed: stand,
      risks,
    });
  }
  const roleOf = (dev: Device): OrderDevice["role"] =>
    dev.of_node && smmus.has(dev.of_node) ? "smmu" : clientDevices.has(dev) ? "client" : "other";
  return {
    shutdownOrder: order
      .filter(({ bus }) => bus !== null)
      .map((dev) => ({ name: dev.name, driver: dev.driver?.name ?? null, hook: hookOf(dev), known: knownOf(dev), role: roleOf(dev) })),
    clients: clients.toSorted((a, b) => position(order, a.name) - position(order, b.name)),
    atRisk: clients.filter(({ risks }) => risks.length > 0).map(({ name }) => name),
    unknown: clients.filter((client) => !client.known && !client.assumed).map(({ name }) => name),
    deferred: booted.deferred,
    modules: loaded.map(({ name }) => name),
    assumedDrivers: [...unknown].toSorted(),
    withoutDevice,
  };
}

function position(order: readonly Device[], name: string): number {
  return order.findIndex((dev) => dev.name === name);
}

/** Modules load as their devices are announced to user space: in the order of the tree. */
function inTreeOrder(root: DtNode, drivers: readonly DriverFacts[]): DriverFacts[] {
  const nodes = [...of_walk(root)];
  const first = (facts: DriverFacts): number => {
    const at = nodes.findIndex((node) => node.compatible?.some((name) => facts.compatible.includes(name)));
    return at < 0 ? nodes.length : at;
  };
  return drivers.toSorted((a, b) => first(a) - first(b));
}
