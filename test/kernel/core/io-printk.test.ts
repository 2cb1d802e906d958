// SPDX-License-Identifier: GPL-2.0-only
/** MMIO accessors, the kernel log, the platform bus. */
import { describe, expect, test } from "vitest";
import {
  device_shutdown,
  devm_platform_ioremap_resource,
  errname,
  ETIMEDOUT,
  formatLogLine,
  PlatformDevice,
  platform_device_add,
  platform_driver_register,
  readl,
  readl_poll,
  readq,
  readw,
  writeb,
  writel,
  writeq,
} from "../../../src/kernel/index.ts";
import type { Coroutine } from "../../../src/sim/index.ts";
import { testDevice } from "../support/devices.ts";
import { makeTestKernel } from "../support/fake-platform.ts";

describe("MMIO", () => {
  test("an access takes platform.mmioNs, and what a device does meanwhile happens before it", () => {
    let register = 0;
    const { kernel, sim, run } = makeTestKernel({ mmioNs: 250, windows: [{ base: 0x1000, size: 0x1000, read: () => register }] });
    const seen = run(
      (function* (): Coroutine<number> {
        sim.after(200, () => void (register = 7));
        return readl(kernel.io.ioremap(0x1000, 0x1000), 0x10);
      })(),
    );
    expect([seen, sim.now]).toEqual([7, 250]);
  });

  test("every width goes to the bus as it is", () => {
    const log: string[] = [];
    const window = {
      base: 0x1000,
      size: 0x1000,
      read: (offset: number) => offset,
      write: (offset: number, value: number, width: number) => void log.push(`${width}@${offset}=${value}`),
    };
    const { kernel, run } = makeTestKernel({ windows: [window] });
    run(
      (function* (): Coroutine<void> {
        const io = kernel.io.ioremap(0x1000, 0x1000);
        writeb(io, 1, 0xff);
        writel(io, 8, 0xffff_ffff);
        writeq(io, 16, 0x1122_3344_5566_7788n);
        expect(readw(io, 2)).toBe(2);
        expect(readq(io, 0x20)).toBe((0x24n << 32n) | 0x20n);
      })(),
    );
    expect(log).toEqual(["1@1=255", "4@8=4294967295", `4@16=${0x5566_7788}`, `4@20=${0x1122_3344}`]);
  });

  test("readl_poll returns 0 once the condition holds, -ETIMEDOUT after the time and one more look", () => {
    let reads = 0;
    const { kernel, run } = makeTestKernel({ mmioNs: 0, windows: [{ base: 0x1000, size: 0x1000, read: () => ++reads }] });
    const io = kernel.io.ioremap(0x1000, 0x1000);
    expect(run(readl_poll(io, 0, (value) => value === 3, 1, 100))).toBe(0);
    reads = 0;
    expect(run(readl_poll(io, 0, () => false, 10, 100))).toBe(-ETIMEDOUT);
    expect(reads).toBe(11);
  });
});

describe("printk", () => {
  test("dev_* lines carry driver and device as Linux prints them", () => {
    const { kernel } = makeTestKernel();
    const dev = testDevice(kernel, "2b400000.smmu");
    dev.driver = { name: "arm-smmu-v3", bus: { name: "platform", match: () => false } };
    kernel.printk.dev_info(dev, "ias 44-bit, oas 44-bit");
    expect(kernel.printk.lines).toEqual([{ time: 0, level: "info", text: "arm-smmu-v3 2b400000.smmu: ias 44-bit, oas 44-bit" }]);
  });

  test("without driver the bus is named, without either only the device", () => {
    const { kernel } = makeTestKernel();
    const dev = testDevice(kernel, "0000:00:01.0", { name: "pci", match: () => false });
    kernel.printk.dev_err(dev, "x");
    dev.bus = null;
    kernel.printk.dev_err(dev, "y");
    expect(kernel.printk.lines.map(({ text }) => text)).toEqual(["pci 0000:00:01.0: x", "0000:00:01.0: y"]);
  });

  test("lines are kept with their time, traced, and shown as on a console", () => {
    const { kernel, sim, of } = makeTestKernel();
    sim.advance(1_234_567_000);
    kernel.printk.pr_info("hello");
    expect(formatLogLine(kernel.printk.lines[0]!)).toBe("[    1.234567] hello");
    expect(of("kernel.log")).toEqual([{ kernel: "linux", level: "info", text: "hello" }]);
  });

  test("errors have names", () => {
    expect([errname(-517), errname(19), errname(-9999)]).toEqual(["-EPROBE_DEFER", "ENODEV", "-9999"]);
  });
});

describe("platform bus", () => {
  function bound(name: string, driver: { name: string; of_match_table?: string[] }, compatible?: string[]): string | null {
    const { kernel, run } = makeTestKernel();
    const pdev = new PlatformDevice(kernel, name);
    if (compatible) pdev.of_node = { name, compatible, properties: {}, children: [] };
    run(platform_device_add(pdev));
    run(
      platform_driver_register(kernel, {
        ...driver,
        *probe() {
          return 0;
        },
      }),
    );
    return pdev.driver?.name ?? null;
  }

  test("matches by compatible string first, then by name", () => {
    expect(bound("2b400000.smmu", { name: "x", of_match_table: ["arm,smmu-v3"] }, ["arm,smmu-v3"])).toBe("x");
    expect(bound("gpio", { name: "gpio" })).toBe("gpio");
    expect(bound("gpio", { name: "uart", of_match_table: ["arm,pl011"] }, ["arm,pl061"])).toBeNull();
  });

  test("shutdown is the driver's, and nothing at all without one", () => {
    const { kernel, run, of } = makeTestKernel();
    const log: string[] = [];
    for (const name of ["hooked", "bare", "driverless"]) run(platform_device_add(new PlatformDevice(kernel, name)));
    const probe = function* (): Coroutine<number> {
      return 0;
    };
    run(
      platform_driver_register(kernel, {
        name: "hooked",
        probe,
        *shutdown(pdev) {
          log.push(pdev.name);
        },
      }),
    );
    run(platform_driver_register(kernel, { name: "bare", probe }));
    run(device_shutdown(kernel));
    expect(log).toEqual(["hooked"]);
    expect(of("kernel.shutdown").flatMap(({ hook, phase }) => (phase === "begin" ? [hook] : []))).toEqual([
      "none",
      "none",
      "driver hooked",
    ]);
  });

  test("devm_platform_ioremap_resource maps the resource of that index", () => {
    const { kernel } = makeTestKernel();
    const pdev = new PlatformDevice(kernel, "dev");
    pdev.resources = [
      { base: 0x1000, size: 0x100 },
      { base: 0x9000, size: 0x200 },
    ];
    expect(devm_platform_ioremap_resource(pdev, 1)).toMatchObject({ base: 0x9000, size: 0x200 });
    expect(() => devm_platform_ioremap_resource(pdev, 2)).toThrow("invalid resource 2");
  });
});
