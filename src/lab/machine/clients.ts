// SPDX-License-Identifier: MIT
/** The kinds of client that a machine can have: silicon, device-tree node, driver and what puts it to work. */
import {
  BroadcastSource,
  type BusMasterOff,
  type DmaPort,
  E1000e,
  Hdlcd,
  type MmioDevice,
  type NotModelledLog,
  type PciFunction,
  type SystemBus,
  TmcEtr,
} from "../../hw/index.ts";
import { type DriverModule, type DtNode, dtNode } from "../../kernel/index.ts";
import { e1000eModule, hdlcdModule, tmcEtrModule } from "../../drivers/index.ts";
import type { Simulation } from "../../sim/index.ts";
import type { ClientHook, ClientKind } from "../run/types.ts";
import type { DeviceSpec, WorkloadSpec } from "../scenario/types.ts";
import type { LabTrace } from "../events.ts";
import { BOARD, LINES } from "./board.ts";

/** What a client is built with. */
export interface ClientContext {
  readonly simulation: Simulation;
  readonly trace: LabTrace;
  readonly bus: SystemBus;
  readonly notModelled: NotModelledLog;
  readonly workload: WorkloadSpec;
  readonly busMasterOff: BusMasterOff;
  /** PCI functions have advanced error reporting, as the machine's root ports have. */
  readonly aer: boolean;
  /** A way to memory behind the SMMU, for a platform device. */
  port(): DmaPort;
  /** The device's interrupt line as a level. */
  line(level: boolean): void;
}

/** A built client. */
export interface Client {
  readonly spec: DeviceSpec;
  /** A platform device's registers. */
  readonly registers?: MmioDevice;
  readonly pciFunction?: PciFunction;
  /** Hardware reset; a PCI function is reset by its root complex. */
  reset(): void;
  /** The outside world begins: frames arrive. */
  start(): void;
}

/** A device that the lab does not know: it stands in the place of one that the scenario names, on the same bus. */
export interface CustomClient {
  /** Called once, before any kernel boots. */
  build(context: ClientContext): Partial<Omit<Client, "spec">>;
  /** What the node of a platform device says besides its registers and its StreamID; its first interrupt is the device's line. */
  readonly node?: Partial<DtNode>;
  /** The driver; each kernel of a run has one of its own. */
  driver(hook: ClientHook, initcall: "device" | "module", active: boolean): DriverModule;
}

/** Custom clients by the name of the device whose place they take. */
export type CustomClients = Readonly<Record<string, CustomClient>>;

/** The window of a platform device's registers; undefined for a PCI function. */
export function deviceWindow(
  device: Pick<DeviceSpec, "bus" | "kind" | "base">,
): { readonly base: number; readonly size: number } | undefined {
  if (device.bus === "pci" || device.kind === "e1000e") return undefined;
  return { base: device.base ?? (device.kind === "hdlcd" ? BOARD.hdlcdBase : BOARD.etrBase), size: 0x1000 };
}

/** The interrupt line of a platform device, as its node has it. */
export function clientInterrupt(device: Pick<DeviceSpec, "kind">, custom?: CustomClient): number | undefined {
  if (custom) return custom.node?.interrupts?.[0];
  return device.kind === "hdlcd" ? LINES.hdlcd : undefined;
}

/** A small display: 640 x 480 at 32 bits would scan 1.2 MiB at 60 Hz. */
function buildHdlcd(spec: DeviceSpec, context: ClientContext): Client {
  const { simulation } = context;
  const hdlcd = new Hdlcd({ simulation, name: spec.name, dma: context.port(), irq: (level) => context.line(level) });
  return { spec, registers: hdlcd, reset: () => hdlcd.reset(), start: () => {} };
}

function buildEtr(spec: DeviceSpec, context: ClientContext): Client {
  const { simulation, notModelled } = context;
  const etr = new TmcEtr({ simulation, name: spec.name, dma: context.port(), notModelled });
  return { spec, registers: etr, reset: () => etr.reset(), start: () => {} };
}

function buildE1000e(spec: DeviceSpec, context: ClientContext): Client {
  const { simulation, trace, busMasterOff, aer, workload, notModelled } = context;
  const after = (delayNs: number, action: () => void): unknown => simulation.after(delayNs, action);
  const onUnsupported = spec.atsRefused === "keep" ? ("untranslated" as const) : ("disable" as const);
  const extended = { aer, ...(spec.ats === true ? { ats: {} } : {}) };
  const nic = new E1000e({ simulation, name: spec.name, trace, busMasterOff, notModelled, extended, ats: { after, onUnsupported } });
  const { periodUs, bytes, jitterPercent } = workload.frames;
  const source = new BroadcastSource(simulation, nic, { periodNs: periodUs * 1000, bytes, jitterPercent });
  return { spec, pciFunction: nic, reset: () => {}, start: () => (spec.active ? source.start() : undefined) };
}

const BUILD: Record<ClientKind, (spec: DeviceSpec, context: ClientContext) => Client> = {
  e1000e: buildE1000e,
  hdlcd: buildHdlcd,
  "tmc-etr": buildEtr,
};

export function buildClient(spec: DeviceSpec, context: ClientContext, custom?: CustomClient): Client {
  if (custom) return { reset: () => {}, start: () => {}, ...custom.build(context), spec };
  return BUILD[spec.kind](spec, context);
}

/** The node of a platform device. */
export function clientNode(spec: DeviceSpec, custom?: CustomClient): DtNode | undefined {
  const window = deviceWindow(spec);
  if (window === undefined) return undefined;
  const display = spec.kind === "hdlcd";
  const interrupt = clientInterrupt(spec, custom);
  return dtNode({
    name: `${spec.name}@${window.base.toString(16)}`,
    label: spec.name,
    ...(custom ? {} : { compatible: display ? ["arm,hdlcd"] : ["arm,coresight-tmc"] }),
    reg: [window],
    iommus: [{ label: "smmu", args: [spec.streamId] }],
    dmaCoherent: true,
    ...(interrupt === undefined ? {} : { interrupts: [interrupt] }),
    ...custom?.node,
  });
}

/**
 * The driver of a kind, in one of its variants.
 * @param active put the device to work once it is bound
 */
export function clientDriver(kind: ClientKind, shutdown: ClientHook, initcall: "device" | "module", active: boolean): DriverModule {
  switch (kind) {
    case "e1000e":
      return e1000eModule({ shutdown, initcall, up: active });
    case "hdlcd":
      return hdlcdModule({ shutdown, initcall, enable: active });
    case "tmc-etr":
      return tmcEtrModule({ shutdown, initcall, enable: active });
  }
}
