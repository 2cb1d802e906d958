// SPDX-License-Identifier: GPL-2.0-only
/** A kexec jump and the SMMU: its driver of Linux 7.1 has no callback for it, so registers stay as the other kernel left them. */
import { expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { ArmSmmuDevice } from "../../../src/drivers/index.ts";
import { createSmmuHost, type DmaEvents, DmaStatus, profiles, Smmu, SmmuDmaPort, type SmmuEvents } from "../../../src/hw/index.ts";
import { build_kernel_image, DMA_BIDIRECTIONAL, dma_map_single, KernelBuffer } from "../../../src/kernel/index.ts";
import { type Coroutine, pollUntil, silentTrace, Trace } from "../../../src/sim/index.ts";
import { CLIENT_SID, Machine, RAM_BASE, RAM_SIZE, SMMU_BASE } from "./machine.ts";

/** This kernel has the lower half of RAM, the other one the upper. */
const HALF = RAM_SIZE / 2;
const UPPER = RAM_BASE + HALF;

/** Boots, maps a page for the client, and jumps. */
function jumped(other: (machine: Machine) => Coroutine<void>) {
  let smmu: Smmu | undefined;
  const config = profiles["linux-typical"];
  const machine = new Machine({
    coherent: config.coherent,
    ram: HALF,
    smmu: ({ sim, bus }) => {
      const trace = new Trace<SmmuEvents>();
      smmu = new Smmu(config, createSmmuHost({ simulation: sim, bus, trace, pulse: () => {} }), { trace });
      return { size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth };
    },
  }).boot();
  const { kernel, bus, client } = machine;
  const port = new SmmuDmaPort({ smmu: smmu!, bus, streamId: CLIENT_SID, name: "client", trace: silentTrace<DmaEvents>() });
  const buffer = KernelBuffer.alloc(kernel, 0x1000, "client")!;
  const dma = dma_map_single(client, buffer.pa, 0x1000, DMA_BIDIRECTIONAL);
  const read = (address: number): DmaStatus => port.read(address, new Uint8Array(4));
  expect(read(dma)).toBe(DmaStatus.ok);
  kernel.kexec.config_kexec_jump = true;
  kernel.kexec.enterPreserved = () => other(machine);
  expect(kernel.kexec.kexec_load({ kernel: build_kernel_image("other", 4) }, "kexec", { preserve_context: true })).toBe(0);
  expect(machine.run(kernel.kexec.kernel_kexec())).toBe(0);
  return { machine, smmu: smmu!, buffer, dma, read };
}

test("the SMMU still translates after a jump to a kernel that leaves it alone", () => {
  const { dma, read, buffer } = jumped(function* () {});
  expect(read(dma)).toBe(DmaStatus.ok);
  expect(read(buffer.pa)).toBe(DmaStatus.abort);
});

test("translation is off if the other kernel turned it off, while this kernel has mapping and driver as before", () => {
  const { machine, smmu, dma, read, buffer } = jumped(function* ({ kernel: { platform } }) {
    platform.bus.write32(SMMU_BASE + R.ARM_SMMU_CR0, 0);
  });
  expect(machine.smmuDevice.drvdata).toBeInstanceOf(ArmSmmuDevice);
  expect(smmu.registers.smmuEnabled()).toBe(false);
  // With SMMUEN 0 GBPA decides, and ABORT is 0: the device reaches memory by physical address.
  expect(read(buffer.pa)).toBe(DmaStatus.ok);
  expect(read(dma)).not.toBe(DmaStatus.ok);
});

test("the SMMU keeps the other kernel's stream table: the driver does not write its own again", () => {
  const strtab = ({ kernel }: Machine): bigint => kernel.platform.bus.read64(SMMU_BASE + R.ARM_SMMU_STRTAB_BASE);
  let mine = 0n;
  const { machine } = jumped(function* (first) {
    const { bus } = first.kernel.platform;
    mine = strtab(first);
    const cr0 = bus.read32(SMMU_BASE + R.ARM_SMMU_CR0);
    const acknowledged = (value: number) => () => bus.read32(SMMU_BASE + R.ARM_SMMU_CR0ACK) === value;
    bus.write32(SMMU_BASE + R.ARM_SMMU_CR0, 0);
    yield* pollUntil(acknowledged(0), 1000, 1e6, "CR0ACK");
    bus.write64(SMMU_BASE + R.ARM_SMMU_STRTAB_BASE, BigInt(UPPER));
    bus.write32(SMMU_BASE + R.ARM_SMMU_CR0, cr0);
    yield* pollUntil(acknowledged(cr0), 1000, 1e6, "CR0ACK");
  });
  expect(strtab(machine)).toBe(BigInt(UPPER));
  expect(strtab(machine)).not.toBe(mine);
});
