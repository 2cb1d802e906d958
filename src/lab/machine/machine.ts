// SPDX-License-Identifier: MIT
/**
 * A machine built from its description: bus, RAM, SMMU, interrupt controller, PCI and clients, and the platform that a
 * kernel sees of it. Hardware reset stops all DMA and resets SMMU and devices; RAM keeps its contents.
 */
import {
  HostMisuseError,
  createSmmuHost,
  DirectDmaPort,
  type DmaEvents,
  InterruptController,
  MsiFrame,
  NotModelledLog,
  profiles,
  RootComplex,
  RootPort,
  Smmu,
  SmmuDmaPort,
  type SmmuConfig,
  type SmmuLine,
  SystemBus,
} from "../../hw/index.ts";
import type { FirmwarePort, Platform } from "../../kernel/index.ts";
import { silentTrace, Simulation } from "../../sim/index.ts";
import type { LabTrace } from "../events.ts";
import type { MachineSpec, WorkloadSpec } from "../scenario/types.ts";
import { OwnershipShadow } from "../shadow/ownership.ts";
import { watchLandings } from "../shadow/landings.ts";
import { agentOf, AtsDmaPort, atsHost, hasAts } from "./ats.ts";
import type { Board } from "./board.ts";
import { type Client, buildClient, type CustomClients } from "./clients.ts";
import { SystemCpuBus } from "./cpu-bus.ts";
import { type DeviceNames, deviceNames, pciPlaces, usualBoard } from "./device-tree.ts";

/** What one MMIO access of the CPU costs. */
const MMIO_NS = 100;

export interface MachineOptions {
  readonly seed: number;
  readonly trace: LabTrace;
  readonly workload: WorkloadSpec;
  readonly clients?: CustomClients;
}

export class Machine {
  readonly spec: MachineSpec;
  readonly board: Board;
  readonly simulation: Simulation;
  readonly bus: SystemBus;
  readonly smmu: Smmu;
  readonly interrupts: InterruptController;
  readonly shadow: OwnershipShadow;
  readonly clients: readonly Client[];
  readonly custom: CustomClients;
  readonly names: DeviceNames;
  readonly notModelled: NotModelledLog = new NotModelledLog();
  readonly #rootComplex: RootComplex | undefined;
  readonly #trace: LabTrace;

  /** @throws HostMisuseError for a machine that cannot be: scenarios are checked before they come here */
  constructor(spec: MachineSpec, options: MachineOptions) {
    const { trace, workload } = options;
    this.spec = spec;
    this.custom = options.clients ?? {};
    const unknown = Object.keys(this.custom).find((name) => !spec.devices.some((device) => device.name === name));
    if (unknown !== undefined) throw new HostMisuseError("LAB_CLIENTS", `clients: the scenario has no device ${unknown}`);
    this.board = spec.board ?? usualBoard(spec, this.custom);
    const { board } = this;
    this.#trace = trace;
    this.simulation = new Simulation({ seed: options.seed, trace });
    const { simulation } = this;
    this.bus = new SystemBus();
    for (const range of board.memory) this.bus.addRam({ name: "RAM", ...range });
    this.interrupts = new InterruptController(board.lines);
    const profile = profiles[spec.smmu.profile]!;
    this.smmu = this.#buildSmmu(hasAts(spec) ? { ...profile, ats: true } : profile);
    this.bus.addWindow({
      name: "SMMU",
      base: spec.smmu.base,
      size: this.smmu.size,
      device: this.smmu,
      widths: this.smmu.widths,
      badWidth: this.smmu.badWidth,
    });
    const { base, first, count } = board.msiFrame;
    const frame = new MsiFrame({ interrupts: this.interrupts, first, count });
    this.bus.addWindow({ name: "MSI frame", base, size: frame.size, device: frame });
    this.names = deviceNames(spec, board);
    this.shadow = new OwnershipShadow(() => simulation.now);
    this.clients = spec.devices.map((device) =>
      buildClient(
        device,
        {
          simulation,
          trace,
          workload,
          bus: this.bus,
          notModelled: this.notModelled,
          busMasterOff: device.busMasterOff ?? spec.pci?.busMasterOff ?? "drop",
          aer: spec.pci?.aer ?? false,
          port: () => this.#port(device.streamId, device.name),
          line: (level) => this.#setLine(board.places.get(device.name)?.interrupt, level),
        },
        this.custom[device.name],
      ),
    );
    this.#placeClients();
    this.#rootComplex = spec.pci && board.pci ? this.#buildPci(board.pci) : undefined;
    watchLandings({ trace, shadow: this.shadow, bus: this.bus, deviceOf: this.names.clients, smmu: this.names.smmu });
  }

  #buildSmmu(config: SmmuConfig): Smmu {
    const { simulation, bus } = this;
    const trace = this.#trace;
    const pulse = (line: SmmuLine): void => {
      const intid = this.board.smmuLines[line];
      if (intid !== undefined) this.interrupts.raise(intid);
    };
    const host = { ...createSmmuHost({ simulation, bus, trace, pulse }), ...atsHost(this.spec, () => this.#rootComplex) };
    // Linux tells no SMMU that a level-1 descriptor got its first table, and works everywhere: no part it runs on keeps those.
    const choices = { cacheInvalidLevel1: false };
    return new Smmu(config, host, { trace, notModelled: this.notModelled, detector: true, cacheMode: this.spec.smmu.caches, choices });
  }

  /** @param ats the device asks the SMMU for translations */
  #port(streamId: number, name: string, ats = false): SmmuDmaPort {
    const options = { smmu: this.smmu, bus: this.bus, streamId, name, trace: this.#trace };
    return ats ? new AtsDmaPort(options, agentOf(this.smmu, streamId)) : new SmmuDmaPort(options);
  }

  #setLine(intid: number | undefined, level: boolean): void {
    if (intid !== undefined) this.interrupts.setLevel(intid, level);
  }

  #placeClients(): void {
    for (const { spec, registers } of this.clients) {
      const place = this.board.places.get(spec.name);
      if (place && registers) this.bus.addWindow({ name: spec.name, ...place.window, device: registers });
    }
  }

  #buildPci({ ecam, busCount, window }: NonNullable<Board["pci"]>): RootComplex {
    const trace = this.#trace;
    const places = pciPlaces(this.spec);
    const aer = this.spec.pci?.aer ?? false;
    const rootComplex = new RootComplex({
      name: "pcie",
      bus: this.bus,
      ecamBase: ecam.base,
      ecamSize: ecam.size,
      busCount,
      memoryWindow: window,
      // The SMMU sees what the device tree's iommu-map says; an id that it leaves out comes as itself. Root ports send interrupts only.
      portFor: (requesterId) => {
        if (requesterId >> 8 === 0) return new DirectDmaPort(this.bus, `port-${requesterId.toString(16)}`, silentTrace<DmaEvents>());
        const place = places.find(({ busNo }) => busNo === requesterId >> 8);
        const device = this.spec.devices.find(({ name }) => name === place?.name);
        return this.#port(device?.streamId ?? requesterId, device?.name ?? `rid-${requesterId.toString(16)}`, device?.ats);
      },
      trace,
      after: (delayNs, action) => this.simulation.after(delayNs, action),
    });
    for (const [index, { name, busNo }] of places.entries()) {
      rootComplex.addFunction(
        0,
        index,
        0,
        new RootPort({ name: `${name}-port`, trace, downstream: busNo, ...(aer ? { extended: { aer } } : {}) }),
      );
      const client = this.clients.find(({ spec }) => spec.name === name);
      if (client?.pciFunction) rootComplex.addFunction(busNo, 0, 0, client.pciFunction);
    }
    return rootComplex;
  }

  /** The machine as the kernel of this name sees it. */
  platform(kernel: string, firmware: FirmwarePort): Platform {
    const { interrupts } = this;
    return {
      bus: new SystemCpuBus(this.bus),
      interrupts: {
        acknowledge: () => interrupts.acknowledge(),
        complete: (intid) => interrupts.complete(intid),
        enable: (intid, on) => interrupts.enable(intid, on),
      },
      firmware,
      pages: this.shadow.watcher(kernel),
      deviceTree: this.board.tree,
      memory: this.board.usable,
      mmioNs: MMIO_NS,
    };
  }

  /** Hardware reset: no DMA any more, SMMU and devices as after power-on, RAM as it was. */
  reset(): void {
    for (const client of this.clients) client.reset();
    this.#rootComplex?.reset();
    this.smmu.reset();
    this.interrupts.reset();
  }
}
