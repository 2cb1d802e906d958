// SPDX-License-Identifier: GPL-2.0-only
/**
 * A kexec jump and the SMMU: its driver of Linux 7.1 has neither callbacks for a system-wide transition nor a syscore operation, so
 * registers stay as the other kernel left them, while the memory that they name is exchanged back.
 */
import { expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { ArmSmmuDevice } from "../../../src/drivers/index.ts";
import { createSmmuHost, type DmaEvents, DmaStatus, profiles, Smmu, SmmuDmaPort, type SmmuEvents } from "../../../src/hw/index.ts";
import {
  build_kernel_image,
  DMA_BIDIRECTIONAL,
  dma_map_single,
  dma_unmap_single,
  type DriverModule,
  Kernel,
  KernelBuffer,
} from "../../../src/kernel/index.ts";
import { type Coroutine, silentTrace, Trace } from "../../../src/sim/index.ts";
import { CLIENT_SID, Machine, RAM_BASE, SMMU_BASE } from "./machine.ts";

const MIB = 0x10_0000;
/** What the other kernel may use. The first one's own pages there are put by meanwhile. */
const REGION = { base: RAM_BASE + 64 * MIB, size: 8 * MIB };
const PAGE = 0x1000;
/** Offset of register page 1. */
const PAGE1 = 0x1_0000;
/** What the first kernel has in the region, each byte of it. */
const MINE = 0xa5;

/** Another kernel at work: its own client device, and what the client reaches. */
interface Other {
  readonly kernel: Kernel;
  map(): { readonly dma: number; readonly pa: number };
  read(address: number): DmaStatus;
}

/** Boots, maps a page for the client, jumps to a kernel with these drivers, and comes back when it has done its work. */
function jumped(drivers: (machine: Machine) => readonly DriverModule[], work: (other: Other) => Coroutine<void> | void) {
  let smmu: Smmu | undefined;
  const config = profiles["linux-typical"];
  const machine = new Machine({
    coherent: config.coherent,
    smmu: ({ sim, bus }) => {
      const trace = new Trace<SmmuEvents>();
      smmu = new Smmu(config, createSmmuHost({ simulation: sim, bus, trace, pulse: () => {} }), { trace });
      return { size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth };
    },
  }).boot();
  const { kernel, bus } = machine;
  const port = new SmmuDmaPort({ smmu: smmu!, bus, streamId: CLIENT_SID, name: "client", trace: silentTrace<DmaEvents>() });
  const map = (owner: Kernel): { buffer: KernelBuffer; dma: number; pa: number } => {
    const buffer = KernelBuffer.alloc(owner, PAGE, "client")!;
    const dma = dma_map_single(owner.base.findDevice("1000.client")!, buffer.pa, PAGE, DMA_BIDIRECTIONAL);
    return { buffer, dma, pa: buffer.pa };
  };
  const read = (address: number): DmaStatus => port.read(address, new Uint8Array(4));
  const write = (address: number): DmaStatus => port.write(address, new Uint8Array(4));
  const mine = map(kernel);
  expect(read(mine.dma)).toBe(DmaStatus.ok);
  kernel.platform.bus.fill(REGION.base, REGION.size, MINE);
  kernel.kexec.config_kexec_jump = true;
  const others: Kernel[] = [];
  kernel.kexec.bootPreserved = (image) => {
    const other = new Kernel({
      name: "other",
      simulation: machine.sim,
      platform: kernel.platform,
      trace: machine.trace,
      drivers: drivers(machine),
      boot: image.boot!,
      memoryLimits: image.region!,
    });
    other.kexec.config_kexec_jump = true;
    other.spawn(
      "init",
      (function* () {
        yield* other.boot();
        const waiting = work({ kernel: other, map: () => map(other), read });
        if (waiting) yield* waiting;
        expect(other.kexec.kexec_load_jump_back()).toBe(0);
        yield* other.kexec.kernel_kexec();
      })(),
    );
    others.push(other);
    return other;
  };
  const flags = { preserve_context: true, mem_min: REGION.base, mem_max: REGION.base + REGION.size - 1 };
  expect(kernel.kexec.kexec_load({ kernel: build_kernel_image("other", 4) }, "kexec", flags)).toBe(0);
  const register = (offset: number): number => kernel.platform.bus.read32(SMMU_BASE + offset);
  const base = (offset: number): number => Number(kernel.platform.bus.read64(SMMU_BASE + offset) & 0xf_ffff_ffff_ffc0n);
  const before = { strtab: base(R.ARM_SMMU_STRTAB_BASE), cmdq: base(R.ARM_SMMU_CMDQ_BASE), evtq: base(R.ARM_SMMU_EVTQ_BASE) };
  expect(machine.run(kernel.kexec.kernel_kexec())).toBe(0);
  expect(others[0]!.oopses).toEqual([]);
  return { machine, smmu: smmu!, other: others[0]!, mine, read, write, register, base, before };
}

const withoutSmmu = (): readonly DriverModule[] => [];
/** The same drivers as the first kernel's: the SMMU's and the client's. */
const withSmmu = ({ kernel }: Machine): readonly DriverModule[] => kernel.drivers;

const inRegion = (pa: number): boolean => pa >= REGION.base && pa < REGION.base + REGION.size;

/** A page of the region's memory, as a byte that all of it has, or undefined. */
function uniform(machine: Machine, pa: number): number | undefined {
  const bytes = new Uint8Array(PAGE);
  machine.kernel.platform.bus.readBytes(pa - (pa % PAGE), bytes);
  return bytes.every((byte) => byte === bytes[0]) ? bytes[0] : undefined;
}

test("the SMMU still translates after a jump to a kernel that leaves it alone", () => {
  const { mine, read } = jumped(withoutSmmu, () => {});
  expect(read(mine.dma)).toBe(DmaStatus.ok);
  expect(read(mine.pa)).toBe(DmaStatus.abort);
});

test("translation is off if the other kernel turned it off, while this kernel has mapping and driver as before", () => {
  const { machine, smmu, mine, read } = jumped(withoutSmmu, ({ kernel: { platform } }) => {
    platform.bus.write32(SMMU_BASE + R.ARM_SMMU_CR0, 0);
  });
  expect(machine.smmuDevice.drvdata).toBeInstanceOf(ArmSmmuDevice);
  expect(smmu.registers.smmuEnabled()).toBe(false);
  // With SMMUEN 0 GBPA decides, and ABORT is 0: the device reaches memory by physical address.
  expect(read(mine.pa)).toBe(DmaStatus.ok);
  expect(read(mine.dma)).not.toBe(DmaStatus.ok);
});

test("the other kernel finds the SMMU on, resets it, and translates by tables of its own in its region", () => {
  const seen: unknown[] = [];
  const { other, before } = jumped(withSmmu, ({ kernel, map, read }) => {
    const { dma, pa } = map();
    seen.push(inRegion(pa), read(dma), read(pa));
    expect(kernel.base.findDevice("2b400000.smmu")!.drvdata).toBeInstanceOf(ArmSmmuDevice);
  });
  expect(seen).toEqual([true, DmaStatus.ok, DmaStatus.abort]);
  expect(other.printk.lines.map(({ text }) => text)).toContainEqual(expect.stringContaining("SMMU currently enabled! Resetting..."));
  expect(Object.values(before).some(inRegion)).toBe(false);
});

test("the SMMU keeps the other kernel's tables and queues: the driver does not write its own again", () => {
  const { machine, smmu, base, before } = jumped(withSmmu, () => {});
  expect(machine.smmuDevice.drvdata).toBeInstanceOf(ArmSmmuDevice);
  expect(smmu.registers.smmuEnabled()).toBe(true);
  const now = { strtab: base(R.ARM_SMMU_STRTAB_BASE), cmdq: base(R.ARM_SMMU_CMDQ_BASE), evtq: base(R.ARM_SMMU_EVTQ_BASE) };
  expect(Object.values(now).map(inRegion)).toEqual([true, true, true]);
  expect(now).not.toEqual(before);
  // Where the other kernel had its tables is this kernel's memory again.
  expect(uniform(machine, now.strtab)).toBe(MINE);
});

test("the first kernel's DMA faults by what its own data say as a Stream table, and the record lands in its memory", () => {
  const { machine, mine, read, base, register } = jumped(withSmmu, () => {});
  const evtq = base(R.ARM_SMMU_EVTQ_BASE);
  const prod = (): number => register(PAGE1 + R.ARM_SMMU_EVTQ_PROD);
  const before = prod();
  expect(uniform(machine, evtq)).toBe(MINE);
  expect(read(mine.dma)).toBe(DmaStatus.abort);
  machine.idle(1e6);
  expect(prod()).toBe(before + 1);
  expect(uniform(machine, evtq)).toBeUndefined();
});

test("a device that works on by the other kernel's mapping writes to the first kernel's memory", () => {
  let theirs: { readonly dma: number; readonly pa: number } | undefined;
  const { machine, write } = jumped(withSmmu, ({ map, read }) => {
    theirs = map();
    // The translation is cached, and nobody invalidates it.
    expect(read(theirs.dma)).toBe(DmaStatus.ok);
  });
  expect(uniform(machine, theirs!.pa)).toBe(MINE);
  expect(write(theirs!.dma)).toBe(DmaStatus.ok);
  expect(uniform(machine, theirs!.pa)).toBeUndefined();
});

test("the first kernel's commands go to a queue that the SMMU does not read: its next CMD_SYNC never completes", () => {
  const { machine, mine } = jumped(withSmmu, () => {});
  const from = machine.log.length;
  machine.run(
    (function* () {
      yield* dma_unmap_single(machine.client, mine.dma, PAGE, DMA_BIDIRECTIONAL);
    })(),
  );
  expect(machine.log.slice(from)).toContainEqual(expect.stringContaining("CMD_SYNC timeout"));
});
