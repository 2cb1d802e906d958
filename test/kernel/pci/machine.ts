// SPDX-License-Identifier: GPL-2.0-only
/**
 * A machine of real device models under a kernel, with or without an SMMU: RAM, interrupts with an MSI frame, a PCI host with one
 * root port, and whatever a test adds. Everything the CPU writes and reads can be looked at afterwards.
 */
import {
  BusStatus,
  createSmmuHost,
  type DmaEvents,
  DirectDmaPort,
  InterruptController,
  MsiFrame,
  type PciFunction,
  profiles,
  RootComplex,
  RootPort,
  Smmu,
  SmmuDmaPort,
  type SmmuEvents,
  type SmmuLine,
  SystemBus,
  type Width,
} from "../../../src/hw/index.ts";
import {
  type CpuBus,
  type DriverModule,
  type DtNode,
  dtNode,
  ExternalAbort,
  Kernel,
  type KernelCheck,
  type KernelEvents,
  type KernelParameters,
  type MemoryKind,
  type PageWatcher,
  type PciDev,
  pcieportModule,
  pciHostGenericModule,
} from "../../../src/kernel/index.ts";
import { type Coroutine, Simulation, Trace, type TraceRecord } from "../../../src/sim/index.ts";

export const RAM = 0x8000_0000;
export const RAM_SIZE = 0x400_0000;
export const ECAM = 0x4000_0000;
export const PCI_WINDOW = 0x5000_0000;
export const PCI_WINDOW_SIZE = 0x100_0000;
export const MSI_FRAME = 0x0802_0000;
export const SMMU = 0x2b40_0000;
/** StreamID of the requester id 01:00.0. */
export const STREAM_ID = 0x10;
const MSI_FIRST = 64;
const SMMU_LINES: Record<SmmuLine, number> = { eventq: 48, gerror: 49, priq: 50, "cmdq-sync": 51 };

export type Events = KernelEvents & DmaEvents & SmmuEvents;

/** One register access of the CPU. */
export interface CpuAccess {
  readonly time: number;
  readonly pa: number;
  readonly write: boolean;
  readonly value: number;
}

/** The CPU's view of the bus; accesses outside RAM are written down. */
class CpuOnBus implements CpuBus {
  readonly accesses: CpuAccess[] = [];
  readonly #bus: SystemBus;
  readonly #now: () => number;
  readonly #pair = new Uint32Array(2);

  constructor(bus: SystemBus, now: () => number) {
    this.#bus = bus;
    this.#now = now;
  }

  #read(pa: number, width: Width): Uint32Array {
    if (this.#bus.read(pa, width, this.#pair) === BusStatus.abort) throw new ExternalAbort(pa, false);
    if (!this.#bus.isRam(pa, width)) this.accesses.push({ time: this.#now(), pa, write: false, value: this.#pair[0]! });
    return this.#pair;
  }
  #write(pa: number, width: Width, low: number, high: number = 0): void {
    if (!this.#bus.isRam(pa, width)) this.accesses.push({ time: this.#now(), pa, write: true, value: low >>> 0 });
    if (this.#bus.write(pa, width, low, high) === BusStatus.abort) throw new ExternalAbort(pa, true);
  }
  read8(pa: number): number {
    return this.#read(pa, 1)[0]!;
  }
  read16(pa: number): number {
    return this.#read(pa, 2)[0]!;
  }
  read32(pa: number): number {
    return this.#read(pa, 4)[0]!;
  }
  read64(pa: number): bigint {
    const [low, high] = this.#read(pa, 8);
    return (BigInt(high!) << 32n) | BigInt(low!);
  }
  write8(pa: number, value: number): void {
    this.#write(pa, 1, value);
  }
  write16(pa: number, value: number): void {
    this.#write(pa, 2, value);
  }
  write32(pa: number, value: number): void {
    this.#write(pa, 4, value);
  }
  write64(pa: number, value: bigint): void {
    this.#write(pa, 8, Number(value & 0xffff_ffffn), Number(value >> 32n));
  }
  readBytes(pa: number, out: Uint8Array): void {
    if (this.#bus.readBytes(pa, out) === BusStatus.abort) throw new ExternalAbort(pa, false);
  }
  writeBytes(pa: number, bytes: Uint8Array): void {
    if (this.#bus.writeBytes(pa, bytes) === BusStatus.abort) throw new ExternalAbort(pa, true);
  }
  fill(pa: number, length: number, value: number): void {
    if (!this.#bus.isRam(pa, length)) throw new ExternalAbort(pa, true);
    this.#bus.memory.fill(pa, length, value);
  }
}

/** Who may touch which memory, as told. */
export interface PageRecord {
  readonly what: "allocated" | "freed" | "granted" | "revoked";
  readonly who: string;
  readonly pa: number;
  readonly size: number;
}

class Pages implements PageWatcher {
  readonly log: PageRecord[] = [];
  /** Called at each record. */
  listener: (record: PageRecord) => void = () => {};
  readonly #grants: { readonly pa: number; readonly size: number }[] = [];

  #note(what: PageRecord["what"], who: string, pa: number, size: number): void {
    const record = { what, who, pa, size };
    this.log.push(record);
    this.listener(record);
  }

  allocated(pa: number, size: number, who: string, _kind: MemoryKind): void {
    this.#note("allocated", who, pa, size);
  }
  freed(pa: number, size: number, who: string): void {
    this.#note("freed", who, pa, size);
  }
  granted(who: string, pa: number, size: number): void {
    this.#grants.push({ pa, size });
    this.#note("granted", who, pa, size);
  }
  revoked(who: string, pa: number, size: number): void {
    const index = this.#grants.findIndex((grant) => grant.pa === pa && grant.size === size);
    if (index >= 0) this.#grants.splice(index, 1);
    this.#note("revoked", who, pa, size);
  }

  /** True if some device may touch all of the range now. */
  isGranted(pa: number, size: number): boolean {
    return this.#grants.some((grant) => pa >= grant.pa && pa + size <= grant.pa + grant.size);
  }
}

function smmuNode(): DtNode {
  return dtNode({
    name: `iommu@${SMMU.toString(16)}`,
    label: "smmu",
    compatible: ["arm,smmu-v3"],
    reg: [{ base: SMMU, size: 0x2_0000 }],
    interrupts: Object.values(SMMU_LINES),
    interruptNames: Object.keys(SMMU_LINES),
    dmaCoherent: true,
    properties: { "#iommu-cells": 1 },
  });
}

/** Where a function sits: bus 0 is the root bus, bus 1 lies behind the root port at 00:01.0, others behind ports that a test places. */
export interface Placement {
  readonly bus: number;
  readonly device: number;
  readonly fn?: number;
  readonly pciFunction: PciFunction;
}

export interface MachineOptions {
  readonly drivers?: readonly DriverModule[];
  /** More nodes of the device tree. */
  readonly nodes?: readonly DtNode[];
  readonly functions?: (machine: Machine) => readonly Placement[];
  readonly bmeGatesMmio?: boolean;
  /** The root port reports errors. */
  readonly aer?: boolean;
  /** TLP prefixes pass the root port. */
  readonly tlpPrefixes?: boolean;
  /** What sits behind the root port is behind an SMMU, whose driver the test brings along. */
  readonly smmu?: boolean;
  readonly cmdline?: Partial<KernelParameters>;
}

export class Machine {
  readonly trace: Trace<Events> = new Trace<Events>();
  readonly records: TraceRecord<Events>[] = [];
  readonly sim: Simulation;
  readonly bus: SystemBus = new SystemBus();
  readonly interrupts: InterruptController = new InterruptController(96);
  readonly port: RootPort;
  readonly root: RootComplex;
  readonly cpu: CpuOnBus;
  pages: Pages = new Pages();
  readonly #nodes: readonly DtNode[];
  readonly #cmdline: Partial<KernelParameters>;
  /** DMA to memory that nobody had granted at that moment, or to nothing at all. */
  readonly strays: DmaEvents["dma.access"][] = [];
  kernel: Kernel;
  readonly smmu: Smmu | null = null;

  constructor(options: MachineOptions = {}) {
    this.sim = new Simulation();
    this.trace.setClock(() => this.sim.now);
    this.trace.on("*", (record) => this.records.push(record));
    this.trace.on("dma.access", ({ data }) => {
      const atDoorbell = data.physical !== undefined && data.physical >= MSI_FRAME && data.physical < MSI_FRAME + 0x1000;
      if (data.physical !== undefined && !atDoorbell && !this.pages.isGranted(data.physical, data.length)) this.strays.push(data);
    });
    this.cpu = new CpuOnBus(this.bus, () => this.sim.now);
    this.bus.addRam({ name: "ram", base: RAM, size: RAM_SIZE });
    const frame = new MsiFrame({ interrupts: this.interrupts, first: MSI_FIRST, count: 32 });
    this.bus.addWindow({ name: "v2m", base: MSI_FRAME, size: frame.size, device: frame });
    if (options.smmu) this.smmu = this.#buildSmmu();
    this.root = new RootComplex({
      name: "pcie",
      bus: this.bus,
      ecamBase: ECAM,
      ecamSize: 4 << 20,
      busCount: 4,
      memoryWindow: { base: PCI_WINDOW, size: PCI_WINDOW_SIZE },
      portFor: (requesterId) => {
        const name = `rid ${requesterId.toString(16)}`;
        if (!this.smmu || requesterId !== 0x100) return this.dmaPort(name);
        return new SmmuDmaPort({ smmu: this.smmu, bus: this.bus, streamId: STREAM_ID, name, trace: this.trace });
      },
      trace: this.trace,
    });
    this.port = new RootPort({
      name: "port",
      trace: this.trace,
      downstream: 1,
      bmeGatesMmio: options.bmeGatesMmio ?? false,
      tlpPrefixes: options.tlpPrefixes ?? false,
      ...(options.aer ? { extended: { aer: true } } : {}),
    });
    this.root.addFunction(0, 1, 0, this.port);
    for (const { bus, device, fn, pciFunction } of options.functions?.(this) ?? [])
      this.root.addFunction(bus, device, fn ?? 0, pciFunction);
    const nodes: DtNode[] = [
      dtNode({
        name: `v2m@${MSI_FRAME.toString(16)}`,
        label: "v2m",
        compatible: ["arm,gic-v2m-frame"],
        reg: [{ base: MSI_FRAME, size: 0x1000 }],
        properties: { "base-spi": MSI_FIRST, "num-spis": 32 },
      }),
      dtNode({
        name: `pcie@${ECAM.toString(16)}`,
        compatible: ["pci-host-ecam-generic"],
        reg: [{ base: ECAM, size: 4 << 20 }],
        busRange: [0, 3],
        ranges: [{ base: PCI_WINDOW, size: PCI_WINDOW_SIZE }],
        msiParent: { label: "v2m", args: [] },
        dmaCoherent: true,
        ...(options.smmu && { iommuMap: [{ ridBase: 0x100, label: "smmu", outBase: STREAM_ID, length: 1 }] }),
      }),
      ...(options.smmu ? [smmuNode()] : []),
      ...(options.nodes ?? []),
    ];
    this.#nodes = nodes;
    this.#cmdline = options.cmdline ?? {};
    this.kernel = this.#newKernel("linux", options.drivers ?? []);
  }

  #newKernel(name: string, drivers: readonly DriverModule[]): Kernel {
    return new Kernel({
      name,
      simulation: this.sim,
      platform: {
        bus: this.cpu,
        interrupts: this.interrupts,
        firmware: { systemReset: () => {}, systemOff: () => {}, halt: () => {} },
        pages: this.pages,
        deviceTree: dtNode({ name: "", children: this.#nodes }),
        memory: [{ base: RAM, size: RAM_SIZE }],
        mmioNs: 100,
      },
      trace: this.trace,
      cmdline: this.#cmdline,
      drivers: [pciHostGenericModule(), pcieportModule(), ...drivers],
    });
  }

  /** Another kernel takes over without a reset: nothing stops the devices, all memory is its own. */
  bootNext(drivers: readonly DriverModule[]): void {
    this.kernel.stop();
    this.pages = new Pages();
    this.interrupts.reset();
    this.kernel = this.#newKernel("next", drivers);
    this.boot();
  }

  #buildSmmu(): Smmu {
    const { sim: simulation, bus, trace } = this;
    const host = createSmmuHost({ simulation, bus, trace, pulse: (line) => this.interrupts.raise(SMMU_LINES[line]) });
    const smmu = new Smmu(profiles["linux-typical"]!, host, { trace, detector: true });
    bus.addWindow({ name: "smmu", base: SMMU, size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth });
    return smmu;
  }

  /** A way to memory without an SMMU. */
  dmaPort(name: string): DirectDmaPort {
    return new DirectDmaPort(this.bus, name, this.trace);
  }

  /** Runs a coroutine as a task of the kernel until it ends. @throws Error if it does not, at an oops, or at a report of the kernel's checks */
  run<T>(body: Coroutine<T>): T {
    const result: { value?: T; done: boolean } = { done: false };
    this.kernel.spawn(
      "test",
      (function* () {
        result.value = yield* body;
        result.done = true;
      })(),
    );
    const outcome = this.sim.run({ until: () => result.done || this.kernel.oopses.length > 0, limitNs: this.sim.now + 60e9 });
    this.check();
    if (!result.done) throw new Error(`the task does not end: ${JSON.stringify(outcome)}`);
    return result.value as T;
  }

  boot(): void {
    this.run(this.kernel.boot());
  }

  /** Lets time pass. @throws Error at an oops, or at a report of the kernel's checks */
  idle(ns: number): void {
    this.sim.run({ limitNs: this.sim.now + ns });
    this.check();
  }

  /** Checks whose reports are what the test is about. */
  readonly tolerated: KernelCheck[] = [];

  check(): void {
    const oops = this.kernel.oopses[0];
    if (oops) throw oops.error instanceof Error ? oops.error : new Error(oops.message);
    const report = this.kernel.warnings.find(({ check }) => check !== null && !this.tolerated.includes(check));
    if (report) throw new Error(report.message);
  }

  /** A PCI device that the kernel found. */
  pci(name: string): PciDev {
    const found = this.kernel.pci.find(name);
    if (!found) throw new Error(`the kernel has no device ${name}`);
    return found;
  }

  /** What was traced of one kind. */
  of<K extends keyof Events & string>(kind: K): Extract<TraceRecord<Events>, { kind: K }>[] {
    return this.records.filter((record): record is Extract<TraceRecord<Events>, { kind: K }> => record.kind === kind);
  }

  /** Register accesses to a range since access number `from`, with offsets from its base. */
  registers(
    base: number,
    size: number,
    from: number = 0,
  ): { readonly time: number; readonly offset: number; readonly write: boolean; readonly value: number }[] {
    return this.cpu.accesses
      .slice(from)
      .filter(({ pa }) => pa >= base && pa < base + size)
      .map(({ time, pa, write, value }) => ({ time, offset: pa - base, write, value }));
  }
}
