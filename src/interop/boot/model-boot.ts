// SPDX-License-Identifier: MIT
/**
 * The same boot with this project's kernel and driver on the hardware model: an SMMU with the ID registers of a recording,
 * in the state in which the recorded boot found it, and one device with the StreamID of the recording's first.
 */
import { armSmmuV3Module } from "../../drivers/index.ts";
import { createSmmuHost, InterruptController, type MmioDevice, Smmu, type SmmuEvents, SystemBus } from "../../hw/index.ts";
import {
  build_kernel_image,
  type DriverModule,
  dtNode,
  firmware_load,
  Kernel,
  type KernelEvents,
  type KernelParameters,
  noPageWatcher,
  type Platform,
  platform_driver_register,
} from "../../kernel/index.ts";
import { SystemCpuBus } from "../../lab/machine/cpu-bus.ts";
import { Simulation, Trace } from "../../sim/index.ts";
import { configOfRecording } from "../replay/profile.ts";
import type { RecordedBoot, RegisterWrite } from "./recorded.ts";
import { BootSequence } from "./sequence.ts";
import { streamTable, structureLines } from "./structures.ts";

/** As on QEMU's virt machine. */
const SMMU_BASE = 0x905_0000;
const RAM = { base: 0x4000_0000, size: 0x800_0000 };
const EVENTQ_IRQ = 74;
const GERROR_IRQ = 77;
const IRQS = 128;
const CLIENT_BASE = 0xa00_0000;
const STRTAB_BASE = 0x80;
const STRTAB_BASE_CFG = 0x88;
const CMDQ_PROD = 0x98;
/** PROD and CONS of the queues: what they were belongs to queues that are gone. */
const INDEXES: ReadonlySet<number> = new Set([CMDQ_PROD, 0x9c, 0x1_00a8, 0x1_00ac]);
const LIMIT_NS = 60e9;

/** A driver that binds and does nothing: attaching happens before it. */
const client: DriverModule = {
  name: "client",
  initcall: "device",
  linkOrder: 100,
  *init(kernel) {
    yield* platform_driver_register(kernel, {
      name: "client",
      of_match_table: ["test,client"],
      *probe() {
        return 0;
      },
    });
  },
};

/** The SMMU's registers, with a note of every access. */
class NotedRegisters implements MmioDevice {
  readonly #smmu: Smmu;
  readonly #sequence: BootSequence;

  constructor(smmu: Smmu, sequence: BootSequence) {
    this.#smmu = smmu;
    this.#sequence = sequence;
  }
  read(offset: number, width: 1 | 2 | 4): number {
    const value = this.#smmu.read(offset, width);
    this.#sequence.read(offset, value);
    return value;
  }
  read64(offset: number, out: Uint32Array): void {
    this.#smmu.read64(offset, out);
  }
  write(offset: number, width: 1 | 2 | 4, value: number): void {
    this.#sequence.write(offset, 4, value, 0);
    this.#smmu.write(offset, width, value);
  }
  write64(offset: number, lo: number, hi: number): void {
    this.#sequence.write(offset, 8, lo, hi);
    this.#smmu.write64(offset, lo, hi);
  }
}

function put(smmu: Smmu, { offset, size, lo, hi }: RegisterWrite): void {
  if (size === 8) smmu.write64(offset, lo, hi);
  else smmu.write(offset, 4, lo);
}

export interface ModelBoot {
  readonly lines: readonly string[];
  readonly structures: readonly string[];
}

/**
 * @param name what to call the SMMU's configuration
 * @param cmdline as of the recorded kernel
 * @throws Error if the kernel does not come up
 */
export function modelBoot(name: string, recorded: RecordedBoot, cmdline: Partial<KernelParameters>): ModelBoot {
  const sim = new Simulation();
  const bus = new SystemBus(48);
  const interrupts = new InterruptController(IRQS);
  bus.addRam({ name: "RAM", ...RAM });
  const host = createSmmuHost({
    simulation: sim,
    bus,
    trace: new Trace<SmmuEvents>(),
    pulse: (line) => interrupts.raise(line === "eventq" ? EVENTQ_IRQ : GERROR_IRQ),
  });
  const smmu = new Smmu(configOfRecording(name, recorded.idr, recorded.aidr), host);
  for (const write of recorded.before) {
    if (!INDEXES.has(write.offset)) put(smmu, write);
    sim.run();
  }
  const sequence = new BootSequence((address, out) => void bus.memory.readBytes(address, out));
  const registers = new NotedRegisters(smmu, sequence);
  bus.addWindow({ name: "SMMU", base: SMMU_BASE, size: smmu.size, device: registers, widths: smmu.widths, badWidth: smmu.badWidth });
  const kernel = makeKernel(sim, bus, interrupts, recorded, cmdline);
  kernel.spawn("swapper/0", kernel.boot());
  sim.run({ until: () => kernel.state === "running", limitNs: sim.now + LIMIT_NS });
  if (kernel.state !== "running") throw new Error(`the kernel does not come up: ${kernel.printk.lines.at(-1)?.text}`);
  const [lo = 0, hi = 0] = pair(smmu, STRTAB_BASE);
  const table = streamTable(lo, hi, smmu.read(STRTAB_BASE_CFG, 4));
  const peek = (address: number, out: Uint8Array): void => void bus.memory.readBytes(address, out);
  return { lines: sequence.lines, structures: structureLines(peek, table, recorded.sid ?? 0) };
}

function pair(smmu: Smmu, offset: number): Uint32Array {
  const out = new Uint32Array(2);
  smmu.read64(offset, out);
  return out;
}

function makeKernel(
  sim: Simulation,
  bus: SystemBus,
  interrupts: InterruptController,
  recorded: RecordedBoot,
  cmdline: Partial<KernelParameters>,
): Kernel {
  const iommu = dtNode({
    name: `iommu@${SMMU_BASE.toString(16)}`,
    label: "smmu",
    compatible: ["arm,smmu-v3"],
    reg: [{ base: SMMU_BASE, size: 0x2_0000 }],
    interrupts: [EVENTQ_IRQ, GERROR_IRQ],
    interruptNames: ["eventq", "gerror"],
    dmaCoherent: true,
    properties: { "#iommu-cells": 1 },
  });
  const device = dtNode({
    name: `client@${CLIENT_BASE.toString(16)}`,
    compatible: ["test,client"],
    reg: [{ base: CLIENT_BASE, size: 0x1000 }],
    iommus: [{ label: "smmu", args: [recorded.sid ?? 0] }],
    dmaCoherent: true,
  });
  const platform: Platform = {
    bus: new SystemCpuBus(bus),
    interrupts: {
      acknowledge: () => interrupts.acknowledge(),
      complete: (intid) => interrupts.complete(intid),
      enable: (intid, on) => interrupts.enable(intid, on),
    },
    firmware: { systemReset: () => {}, systemOff: () => {}, halt: () => {} },
    pages: noPageWatcher,
    deviceTree: dtNode({ name: "/", children: [iommu, device] }),
    memory: [RAM],
    mmioNs: 20,
  };
  const loaded = firmware_load(platform.bus, platform.memory, { kernel: build_kernel_image("boot", 4) });
  return new Kernel({
    name: "boot",
    simulation: sim,
    platform,
    trace: new Trace<KernelEvents>(),
    cmdline,
    drivers: [armSmmuV3Module(), client],
    boot: recorded.crash ? { ...loaded, kind: "crash" } : loaded,
  });
}
