// SPDX-License-Identifier: MIT
/**
 * The machine behind the qtest socket: RAM, SMMU, PCI and test devices where QEMU's `virt` machine has them, and no CPU. The
 * client is the CPU, and time stands still unless the client moves it.
 */
import {
  createSmmuHost,
  type DmaEvents,
  HostMisuseError,
  NotModelledLog,
  type PciFunction,
  RootComplex,
  Smmu,
  type SmmuConfig,
  type SmmuEvents,
  type SmmuLine,
  SystemBus,
  type UpstreamPort,
} from "../../hw/index.ts";
import { Simulation, Trace, silentTrace } from "../../sim/index.ts";
import { ClientMemory } from "./client-memory.ts";
import { explain } from "./diagnostics.ts";
import { EDU_DMA_MASK, Edu } from "./devices/edu.ts";
import { HostBridge } from "./devices/host-bridge.ts";
import { IommuTestdev } from "./devices/iommu-testdev.ts";
import { TEST_ENGINE_SIZE, TestEngine } from "./devices/test-engine.ts";
import { Master } from "./master.ts";
import { Outputs } from "./outputs.ts";

/** Where things are. Addresses and sizes in bytes. */
export const VIRT = {
  SMMU: 0x0905_0000,
  TEST_ENGINE: 0x0c00_0000,
  PCI_WINDOW: 0x1000_0000,
  PCI_WINDOW_SIZE: 0x2eff_0000,
  RAM: 0x4000_0000,
  ECAM: 0x40_1000_0000,
  ECAM_SIZE: 0x1000_0000,
} as const;

/** The most RAM that fits below the configuration space. */
export const MAX_RAM: number = VIRT.ECAM - VIRT.RAM;

/** The SMMU's outputs by number. */
const SMMU_OUTPUTS: readonly SmmuLine[] = ["eventq", "priq", "cmdq-sync", "gerror"];
/** INTA … INTD of the host bridge. */
const INTX_OUTPUTS = 4;
const BUSES = 256;
const SLOTS = 32;

export interface DeviceRequest {
  readonly model: "iommu-testdev" | "edu";
  /** Device << 3 | function; absent: the first free device. */
  readonly devfn: number | undefined;
  readonly dmaMask: bigint | undefined;
}

/** What to build. */
export interface MachineRequest {
  /** `none` has neither memory nor devices. */
  readonly kind: "virt" | "none";
  /** undefined: devices reach memory directly. */
  readonly smmu: SmmuConfig | undefined;
  /** Bytes: whole 4 KiB pages, at most {@link MAX_RAM}. */
  readonly ramSize: number;
  readonly devices: readonly DeviceRequest[];
}

/** A device that a client can name. */
export interface NamedDevice {
  readonly path: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, string | number | boolean>>;
  readonly outputs?: Outputs;
}

export class Machine {
  readonly simulation: Simulation = new Simulation();
  readonly memory: ClientMemory;
  readonly notModelled: NotModelledLog = new NotModelledLog();
  readonly devices: readonly NamedDevice[];
  /** QEMU's name of the machine's type. */
  readonly type: "virt-machine" | "none-machine";
  readonly #bus = new SystemBus(52);
  /** In the order of a reset: masters before the SMMU. */
  readonly #resettable: { reset(): void }[] = [];

  /**
   * @param diagnose gets a line for each mistake of the client's that the SMMU notices but does not fault
   * @throws HostMisuseError for RAM or devices that do not fit
   */
  constructor(request: MachineRequest, diagnose?: (line: string) => void) {
    this.memory = new ClientMemory(this.#bus);
    this.type = `${request.kind}-machine`;
    this.devices = request.kind === "none" ? [] : this.#buildVirt(request, diagnose);
  }

  #buildVirt({ smmu: config, ramSize, devices }: MachineRequest, diagnose: ((line: string) => void) | undefined): NamedDevice[] {
    const bus = this.#bus;
    if (ramSize > MAX_RAM) throw new HostMisuseError("RAM_SIZE", `${ramSize} bytes of RAM: at most ${MAX_RAM} fit`);
    bus.addRam({ name: "RAM", base: VIRT.RAM, size: ramSize });
    const named: NamedDevice[] = [];
    const smmuOutputs = new Outputs(SMMU_OUTPUTS.length);
    const smmu = config && this.#addSmmu(config, smmuOutputs, diagnose);
    if (smmu) named.push({ path: "/machine/smmuv3", type: "arm-smmuv3", properties: smmuProperties(smmu), outputs: smmuOutputs });
    const master = new Master(bus, smmu);
    const engine = new TestEngine(master, this.notModelled);
    bus.addWindow({ name: "SMMUv3TestEngine", base: VIRT.TEST_ENGINE, size: TEST_ENGINE_SIZE, device: engine, widths: [1, 2, 4, 8] });
    named.push({ path: "/machine/test-engine", type: "smmuv3-test-engine", properties: PLUGGED });
    const intx = new Outputs(INTX_OUTPUTS);
    const { root, functions } = this.#addPci(devices, master, intx);
    named.push(
      { path: "/machine/gpex", type: "gpex-pcihost", properties: PLUGGED, outputs: intx },
      { path: PCI_BUS, type: "PCIE", properties: { realized: true } },
      ...functions,
    );
    this.#resettable.push(root, engine);
    if (smmu) this.#resettable.push(smmu);
    return named;
  }

  #addSmmu(config: SmmuConfig, outputs: Outputs, diagnose: ((line: string) => void) | undefined): Smmu {
    const trace = new Trace<SmmuEvents>();
    if (diagnose) explain(trace, diagnose);
    const pulse = (line: SmmuLine): void => outputs.pulse(SMMU_OUTPUTS.indexOf(line));
    const host = createSmmuHost({ simulation: this.simulation, bus: this.#bus, trace, pulse });
    const smmu = new Smmu(config, host, { trace, notModelled: this.notModelled, detector: diagnose !== undefined });
    this.#bus.addWindow({
      name: "SMMU",
      base: VIRT.SMMU,
      size: smmu.size,
      device: smmu,
      widths: smmu.widths,
      badWidth: smmu.badWidth,
    });
    return smmu;
  }

  #addPci(requests: readonly DeviceRequest[], master: Master, intx: Outputs): { root: RootComplex; functions: NamedDevice[] } {
    const root = new RootComplex({
      name: "pcie.0",
      bus: this.#bus,
      ecamBase: VIRT.ECAM,
      ecamSize: VIRT.ECAM_SIZE,
      busCount: BUSES,
      memoryWindow: { base: VIRT.PCI_WINDOW, size: VIRT.PCI_WINDOW_SIZE },
      portFor: (requesterId) => portOf(master, requesterId),
      trace: silentTrace<DmaEvents>(),
    });
    root.addFunction(0, 0, 0, new HostBridge(master));
    const taken = new Set([0]);
    const asserted: Set<number>[] = Array.from({ length: INTX_OUTPUTS }, () => new Set<number>());
    const functions: NamedDevice[] = [];
    for (const { model, devfn: wanted, dmaMask } of requests) {
      const devfn = wanted ?? firstFreeDevice(taken) << 3;
      if (taken.has(devfn)) throw new HostMisuseError("PCI_PLACE", `PCI slot ${devfn >> 3} function ${devfn & 7} is not free for ${model}`);
      taken.add(devfn);
      const pin = (devfn >> 3) % INTX_OUTPUTS;
      const interrupt = (on: boolean): void => {
        const sources = asserted[pin]!;
        if (on) sources.add(devfn);
        else sources.delete(devfn);
        intx.set(pin, sources.size > 0);
      };
      root.addFunction(0, devfn >> 3, devfn & 7, this.#makeFunction(model, master, dmaMask, interrupt));
      const mask = model === "edu" ? { dma_mask: Number(dmaMask ?? EDU_DMA_MASK) } : {};
      const properties = { ...PLUGGED, parent_bus: PCI_BUS, addr: devfn, ...mask };
      functions.push({ path: `/machine/peripheral-anon/device[${functions.length}]`, type: model, properties });
    }
    return { root, functions };
  }

  #makeFunction(model: DeviceRequest["model"], master: Master, dmaMask: bigint | undefined, interrupt: (on: boolean) => void): PciFunction {
    const { simulation, notModelled } = this;
    if (model === "iommu-testdev") return new IommuTestdev(master, notModelled);
    return new Edu({ simulation, master, notModelled, interrupt, ...(dmaMask === undefined ? {} : { dmaMask }) });
  }

  /** Carries out what is due now. */
  settle(): void {
    this.simulation.advance(0);
  }

  /** Lets time pass until the next thing that is to happen. @returns false if there is none */
  advanceToNextEvent(): boolean {
    let asked = 0;
    this.simulation.run({ until: () => asked++ > 0 });
    this.settle();
    return asked > 1;
  }

  /** System reset: masters first, then the SMMU, so that no transaction meets a disabled SMMU. RAM keeps its contents. */
  reset(): void {
    for (const part of this.#resettable) part.reset();
  }

  /** The device of that path; a path that only mentions the SMMU or the PCI host will do for these. */
  find(path: string): NamedDevice | undefined {
    const exact = this.devices.find((device) => device.path === path);
    if (exact) return exact;
    if (path.includes("smmuv3")) return this.devices.find(({ type }) => type === "arm-smmuv3");
    if (path.includes("gpex")) return this.devices.find(({ type }) => type === "gpex-pcihost");
    return undefined;
  }
}

/** Where the devices' path says that their bus is. */
const PCI_BUS = "/machine/gpex/pcie.0";
const PLUGGED = { realized: true, hotplugged: false, hotpluggable: false } as const;

function smmuProperties({ config, size }: Smmu): NamedDevice["properties"] {
  const stage = config.stage1 && config.stage2 ? "nested" : config.stage1 ? "1" : "2";
  const { ats, ril, oas, ssidSize } = config;
  return {
    ...PLUGGED,
    "primary-bus": PCI_BUS,
    stage,
    // Ours is never accelerated by a host's.
    accel: false,
    ats,
    ril,
    oas,
    ssidsize: ssidSize,
    "x-smmu-profile": config.name,
    "x-smmu-size": size,
  };
}

function firstFreeDevice(taken: ReadonlySet<number>): number {
  for (let device = 1; device < SLOTS; device++) if (!taken.has(device << 3)) return device;
  throw new HostMisuseError("PCI_PLACE", `a PCI bus has ${SLOTS} slots`);
}

function portOf(master: Master, streamId: number): UpstreamPort {
  return {
    streamId,
    read: (address, out, attributes) => master.read(streamId, BigInt(address), out, attributes),
    write: (address, bytes, attributes) => master.write(streamId, BigInt(address), bytes, attributes),
  };
}
