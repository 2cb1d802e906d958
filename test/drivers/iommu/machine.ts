// SPDX-License-Identifier: GPL-2.0-only
/**
 * A small machine for tests of the SMMU driver: RAM, an interrupt controller, a kernel, and in the SMMU's place either a
 * recorder ({@link FakeSmmu}) or the hardware model. One client device with StreamID {@link CLIENT_SID}.
 */
import { armSmmuV3Module, type ArmSmmuV3Options } from "../../../src/drivers/index.ts";
import { BusStatus, InterruptController, type MmioWindow, SystemBus, type Width } from "../../../src/hw/index.ts";
import {
  build_kernel_image,
  type CpuBus,
  type Device,
  type DriverModule,
  type DtNode,
  dtNode,
  ExternalAbort,
  firmware_load,
  Kernel,
  type KernelEvents,
  type KernelParameters,
  noPageWatcher,
  type PageWatcher,
  type Platform,
  platform_driver_register,
} from "../../../src/kernel/index.ts";
import { type Coroutine, Simulation, Trace } from "../../../src/sim/index.ts";

export const RAM_BASE = 0x8000_0000;
export const RAM_SIZE = 0x1000_0000;
export const SMMU_BASE = 0x2b40_0000;
export const CLIENT_SID = 0x10;
export const EVTQ_IRQ = 40;
export const GERROR_IRQ = 41;
export const PRIQ_IRQ = 42;

/** The CPU on the bus: an access that does not end well is an external abort. */
class Cpu implements CpuBus {
  readonly #bus: SystemBus;
  readonly #pair = new Uint32Array(2);

  constructor(bus: SystemBus) {
    this.#bus = bus;
  }
  #read(pa: number, width: Width): void {
    if (this.#bus.read(pa, width, this.#pair) !== BusStatus.ok) throw new ExternalAbort(pa, false);
  }
  #write(pa: number, width: Width, lo: number, hi = 0): void {
    if (this.#bus.write(pa, width, lo, hi) !== BusStatus.ok) throw new ExternalAbort(pa, true);
  }
  #narrow(pa: number, width: 1 | 2 | 4): number {
    this.#read(pa, width);
    return this.#pair[0]!;
  }
  read8(pa: number): number {
    return this.#narrow(pa, 1);
  }
  read16(pa: number): number {
    return this.#narrow(pa, 2);
  }
  read32(pa: number): number {
    return this.#narrow(pa, 4);
  }
  read64(pa: number): bigint {
    this.#read(pa, 8);
    return BigInt(this.#pair[0]!) | (BigInt(this.#pair[1]!) << 32n);
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
    if (this.#bus.readBytes(pa, out) !== BusStatus.ok) throw new ExternalAbort(pa, false);
  }
  writeBytes(pa: number, bytes: Uint8Array): void {
    if (this.#bus.writeBytes(pa, bytes) !== BusStatus.ok) throw new ExternalAbort(pa, true);
  }
  fill(pa: number, length: number, value: number): void {
    this.writeBytes(pa, new Uint8Array(length).fill(value));
  }
}

/** What stands at {@link SMMU_BASE}, made when bus and interrupts are there. */
export type SmmuMaker = (machine: Machine) => Omit<MmioWindow, "name" | "base">;

export interface MachineOptions {
  readonly smmu: SmmuMaker;
  readonly driver?: ArmSmmuV3Options;
  readonly params?: Partial<KernelParameters>;
  /** The kernel was started by another one's panic. */
  readonly crashKernel?: boolean;
  /** The only memory that this kernel may use: a crash kernel's. */
  readonly limits?: { readonly base: number; readonly size: number };
  /** Changes to the SMMU's node. */
  readonly node?: Partial<DtNode>;
  /** More StreamIDs of the client, or none at all without a client. */
  readonly sids?: readonly number[];
  readonly coherent?: boolean;
  /** Properties of the client's node. */
  readonly clientProperties?: DtNode["properties"];
  /** A second client with these StreamIDs. */
  readonly otherSids?: readonly number[];
  /** An MSI frame with the label `v2m`. */
  readonly frame?: { readonly base: number; readonly first: number; readonly count: number };
  /** Bytes of RAM. Default: {@link RAM_SIZE}. */
  readonly ram?: number;
  readonly pages?: PageWatcher;
  /** More nodes, drivers and what stands behind them. */
  readonly nodes?: readonly DtNode[];
  readonly modules?: readonly DriverModule[];
  readonly windows?: readonly MmioWindow[];
}

export class Machine {
  readonly trace: Trace<KernelEvents> = new Trace<KernelEvents>();
  readonly sim: Simulation = new Simulation();
  readonly bus: SystemBus = new SystemBus(48);
  readonly controller: InterruptController = new InterruptController(64);
  readonly kernel: Kernel;

  constructor(options: MachineOptions) {
    this.bus.addRam({ name: "ram", base: RAM_BASE, size: RAM_SIZE });
    this.bus.addWindow({ name: "smmu", base: SMMU_BASE, ...options.smmu(this) });
    for (const window of options.windows ?? []) this.bus.addWindow(window);
    const { controller } = this;
    const platform: Platform = {
      bus: new Cpu(this.bus),
      interrupts: {
        acknowledge: () => controller.acknowledge(),
        complete: (intid) => controller.complete(intid),
        enable: (intid, on) => controller.enable(intid, on),
      },
      firmware: { systemReset: () => {}, systemOff: () => {}, halt: () => {} },
      pages: options.pages ?? noPageWatcher,
      deviceTree: deviceTree(options),
      memory: [{ base: RAM_BASE, size: options.ram ?? RAM_SIZE }],
      mmioNs: 20,
    };
    this.kernel = new Kernel({
      name: "test",
      simulation: this.sim,
      platform,
      trace: this.trace,
      cmdline: options.params ?? {},
      drivers: [armSmmuV3Module(options.driver ?? {}), clientModule, ...(options.modules ?? [])],
      ...(options.crashKernel
        ? {
            boot: {
              ...firmware_load(platform.bus, options.limits ? [options.limits] : platform.memory, {
                kernel: build_kernel_image("test", 4),
              }),
              kind: "crash",
            },
          }
        : {}),
      ...(options.limits ? { memoryLimits: options.limits } : {}),
    });
  }

  /** Runs a piece of kernel code to its end, and the machine until nothing but daemons is left of it. */
  run<T>(body: Coroutine<T>, limitNs = 30_000_000_000): T {
    const results: T[] = [];
    this.kernel.spawn(
      "test",
      (function* () {
        results.push(yield* body);
      })(),
    );
    this.sim.run({ until: () => results.length > 0, limitNs: this.sim.now + limitNs });
    if (results.length === 0) throw new Error(`no end: ${this.log.slice(-5).join(" | ")}`);
    return results[0]!;
  }

  boot(): this {
    this.run(this.kernel.boot());
    return this;
  }

  /** Lets devices and tasks work for a while. */
  idle(ns: number): void {
    let over = false;
    this.sim.after(ns, () => (over = true));
    this.sim.run({ until: () => over });
  }

  get log(): string[] {
    return this.kernel.printk.lines.map((line) => line.text);
  }

  device(name: string): Device {
    const found = this.kernel.base.findDevice(name);
    if (!found) throw new Error(`no device ${name}: ${this.kernel.base.deviceNames().join(" ")}`);
    return found;
  }
  get smmuDevice(): Device {
    return this.device("2b400000.smmu");
  }
  get client(): Device {
    return this.device("1000.client");
  }
}

function deviceTree(options: MachineOptions): DtNode {
  const sids = options.sids ?? [CLIENT_SID];
  const smmu = dtNode({
    name: `smmu@${SMMU_BASE.toString(16)}`,
    label: "smmu",
    compatible: ["arm,smmu-v3"],
    reg: [{ base: SMMU_BASE, size: 0x2_0000 }],
    interrupts: [EVTQ_IRQ, GERROR_IRQ, PRIQ_IRQ],
    interruptNames: ["eventq", "gerror", "priq"],
    dmaCoherent: options.coherent ?? true,
    ...options.node,
    properties: { "#iommu-cells": 1, ...options.node?.properties },
  });
  const children = [smmu];
  if (sids.length > 0) children.push(clientNode(0x1000, sids, options.clientProperties));
  if (options.otherSids) children.push(clientNode(0x2000, options.otherSids));
  if (options.frame) children.push(frameNode(options.frame));
  return dtNode({ name: "/", children: [...children, ...(options.nodes ?? [])] });
}

function clientNode(base: number, sids: readonly number[], properties: DtNode["properties"] = {}): DtNode {
  return dtNode({
    name: `client@${base.toString(16)}`,
    label: `client-${base.toString(16)}`,
    compatible: ["test,client"],
    reg: [{ base, size: 0x1000 }],
    iommus: sids.map((sid) => ({ label: "smmu", args: [sid] })),
    dmaCoherent: true,
    properties,
  });
}

function frameNode(frame: NonNullable<MachineOptions["frame"]>): DtNode {
  return dtNode({
    name: `v2m@${frame.base.toString(16)}`,
    label: "v2m",
    compatible: ["arm,gic-v2m-frame"],
    reg: [{ base: frame.base, size: 0x1000 }],
    properties: { "base-spi": frame.first, "num-spis": frame.count },
  });
}

/** A driver that lets its device be; tests act in its name. */
const clientModule = {
  name: "client",
  initcall: "device" as const,
  linkOrder: 100,
  *init(kernel: Kernel): Coroutine<void> {
    yield* platform_driver_register(kernel, {
      name: "client",
      of_match_table: ["test,client"],
      *probe() {
        return 0;
      },
    });
  },
};
