// SPDX-License-Identifier: GPL-2.0-only
/** What a driver leaves behind when it lets go of its device, and what is left when a kernel ends. */
import { describe, expect, test } from "vitest";
import {
  device_release_driver,
  DMA_TO_DEVICE,
  dma_map_single,
  devm_request_irq,
  dtNode,
  EIO,
  IRQ_HANDLED,
  KernelBuffer,
  PAGE_SIZE,
  type PlatformDevice,
  request_irq,
} from "../../../src/kernel/index.ts";
import { node, platformModule } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const FRAME = dtNode({
  name: "msi",
  compatible: ["arm,gic-v2m-frame"],
  reg: [{ base: 0x2c1c_0000, size: 0x1000 }],
  properties: { "base-spi": 80, "num-spis": 8 },
});

function machineWith(probe: (pdev: PlatformDevice) => number): TestKernel {
  const driver = platformModule("dev", {
    *probe(pdev) {
      return probe(pdev);
    },
  });
  const machine = makeTestKernel({ nodes: [FRAME, node("dev", 0x1000)], drivers: [driver] });
  machine.kernel.spawn("swapper/0", machine.kernel.boot());
  machine.idle(1e9);
  return machine;
}

function reportsAfterUnbind(machine: TestKernel): string[] {
  machine.kernel.spawn("rmmod", device_release_driver(machine.kernel.base.findDevice("1000.dev")!));
  machine.idle(1000);
  return machine.kernel.warnings.map(({ message }) => message);
}

const WHO = "dev-driver 1000.dev: driver let go of the device with";

describe("a driver that lets go of its device", () => {
  test("must have freed its interrupts", () => {
    const machine = machineWith((pdev) => request_irq(pdev, 40, () => IRQ_HANDLED, { name: "dma" }));
    expect(reportsAfterUnbind(machine)).toEqual([`${WHO} irq 40 requested, leaking at least 'dma'`]);
    expect(machine.kernel.warnings[0]).toMatchObject({ check: "leak", task: "rmmod", device: { name: "1000.dev" } });
  });

  test("need not free managed interrupts", () => {
    const machine = machineWith((pdev) => devm_request_irq(pdev, 40, () => IRQ_HANDLED));
    expect(reportsAfterUnbind(machine)).toEqual([]);
  });

  test("must have freed its MSI vectors", () => {
    const machine = machineWith((pdev) => (typeof pdev.kernel.irq.msi.alloc(pdev, 2) === "number" ? -EIO : 0));
    expect(reportsAfterUnbind(machine)).toEqual([`${WHO} MSI vectors allocated: 80, 81`]);
  });

  test("must have freed pages that it allocated in the device's name", () => {
    const machine = machineWith((pdev) => (KernelBuffer.alloc(pdev.kernel, 5000, pdev.name) ? 0 : -EIO));
    expect(reportsAfterUnbind(machine)).toEqual([expect.stringContaining(`${WHO} 8192 bytes of its memory allocated`)]);
  });

  test("has to clean up after a probe that failed, too", () => {
    const machine = machineWith((pdev) => {
      request_irq(pdev, 40, () => IRQ_HANDLED);
      return -EIO;
    });
    expect(machine.kernel.warnings.map(({ message }) => message)).toEqual([`${WHO} irq 40 requested, leaking at least '1000.dev'`]);
  });
});

describe("when a kernel ends", () => {
  test("what bound devices have is kept by device, and is no report", () => {
    const machine = machineWith((pdev) => {
      dma_map_single(pdev, pdev.kernel.mm.alloc_pages(PAGE_SIZE, pdev.name, "kernel"), 64, DMA_TO_DEVICE);
      return request_irq(pdev, 40, () => IRQ_HANDLED);
    });
    expect(machine.kernel.debug.leftAtEnd).toBeNull();
    machine.kernel.stop();
    expect(machine.kernel.debug.leftAtEnd).toEqual([
      { device: "1000.dev", driver: "dev-driver", dmaMappings: 1, msiVectors: 0, irqs: 1, pageBytes: PAGE_SIZE },
    ]);
    expect(machine.kernel.warnings).toEqual([]);
  });
});
