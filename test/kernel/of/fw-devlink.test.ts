// SPDX-License-Identifier: GPL-2.0-only
/** Devices from the device tree, links from its references, and what both mean for probe and shutdown order. */
import { describe, expect, test } from "vitest";
import { type DtNode, dtNode, PlatformDevice, platform_get_irq } from "../../../src/kernel/index.ts";
import { node, platformModule } from "../support/devices.ts";
import { makeTestKernel, type TestKernel, type TestKernelOptions } from "../support/fake-platform.ts";

function booted(options: TestKernelOptions): TestKernel {
  const machine = makeTestKernel(options);
  machine.run(machine.kernel.boot());
  return machine;
}

/** Names of the platform devices in list order, without unit addresses. */
function order({ kernel }: TestKernel): string[] {
  return kernel.base.devices().flatMap((dev) => (dev instanceof PlatformDevice ? [dev.name.replace(/^[0-9a-f]+\./, "")] : []));
}

function links({ kernel }: TestKernel): string[] {
  return kernel.base.deviceNames().filter((name) => name.includes("--"));
}

describe("of_platform_default_populate", () => {
  test("makes devices in the order of the tree, named by address", () => {
    const { kernel } = booted({ nodes: [node("uart", 0x900_0000), node("smmu", 0x2b40_0000)] });
    expect(kernel.base.deviceNames()).toEqual(["platform", "9000000.uart", "2b400000.smmu"]);
  });

  test("a node without address is named by its path below the root", () => {
    const soc = dtNode({ name: "soc", compatible: ["simple-bus"], children: [dtNode({ name: "pmu", compatible: ["test,pmu"] })] });
    expect(booted({ nodes: [soc] }).kernel.base.deviceNames()).toEqual(["platform", "soc", "soc:pmu"]);
  });

  test("goes below simple buses only, and makes the bus the parent", () => {
    const nodes = [
      dtNode({ name: "soc", compatible: ["simple-bus"], children: [node("uart", 0x1000)] }),
      node("codec", 0x2000, { children: [node("port", 0x3000)] }),
    ];
    const { kernel } = booted({ nodes });
    expect(kernel.base.deviceNames()).toEqual(["platform", "soc", "1000.uart", "2000.codec"]);
    expect(kernel.base.findDevice("1000.uart")?.parent?.name).toBe("soc");
  });

  test("skips disabled nodes, nodes without compatible, and what was set up before devices exist", () => {
    const nodes = [
      node("off", 0x1000, { status: "disabled" }),
      dtNode({ name: "chosen" }),
      dtNode({ name: "clk24", compatible: ["fixed-clock"] }),
      dtNode({ name: "gic@8000000", compatible: ["arm,gic-v3"], reg: [{ base: 0x800_0000, size: 0x1_0000 }] }),
    ];
    expect(booted({ nodes }).kernel.base.deviceNames()).toEqual(["platform"]);
  });

  test("the architected timer is a device like others: its early driver does not take the node", () => {
    const timer = dtNode({ name: "timer", compatible: ["arm,armv8-timer"], interrupts: [29, 30] });
    expect(booted({ nodes: [timer] }).kernel.base.deviceNames()).toEqual(["platform", "timer"]);
  });

  test("gives the device its resources, interrupts and coherence", () => {
    const nodes = [node("eth", 0x4000, { interrupts: [40, 41], interruptNames: ["rx", "tx"], dmaCoherent: true })];
    const pdev = booted({ nodes }).kernel.base.findDevice("4000.eth");
    if (!(pdev instanceof PlatformDevice)) throw new Error("no platform device");
    expect(pdev.resources).toEqual([{ base: 0x4000, size: 0x1000 }]);
    expect([platform_get_irq(pdev, 0), platform_get_irq(pdev, "tx")]).toEqual([40, 41]);
    expect(platform_get_irq(pdev, 2)).toBeLessThan(0);
    expect(pdev.dma_coherent).toBe(true);
  });
});

describe("fw_devlink", () => {
  const display = (extra: Partial<DtNode>): DtNode => node("display", 0x1000, extra);
  const smmu = node("smmu", 0x2000);
  const drivers = [platformModule("display"), platformModule("smmu")];
  const iommus = [{ label: "smmu", args: [0x10] }];

  test("creates no link from iommus unless strict", () => {
    const machine = booted({ nodes: [display({ iommus }), smmu] });
    expect(links(machine)).toEqual([]);
    expect(order(machine)).toEqual(["display", "smmu"]);
  });

  test("with fw_devlink.strict=1 a link from iommus puts the client behind its IOMMU", () => {
    const machine = booted({ nodes: [display({ iommus }), smmu], drivers, cmdline: { fwDevlinkStrict: true } });
    expect(links(machine)).toEqual(["platform:2000.smmu--platform:1000.display"]);
    expect(order(machine)).toEqual(["smmu", "display"]);
  });

  test("creates no link from iommu-map unless strict", () => {
    const iommuMap = [{ ridBase: 0, label: "smmu", outBase: 0, length: 0x100 }];
    const make = (fwDevlinkStrict: boolean): string[] =>
      links(
        booted({
          nodes: [node("pcie", 0x1000, { iommuMap }), smmu],
          cmdline: { fwDevlinkStrict },
          drivers: [platformModule("smmu"), platformModule("pcie")],
        }),
      );
    expect(make(false)).toEqual([]);
    expect(make(true)).toEqual(["platform:2000.smmu--platform:1000.pcie"]);
  });

  test("a clock that comes later in the tree pulls its consumer behind it", () => {
    const machine = booted({
      nodes: [display({ clocks: [{ label: "clk", args: [0] }] }), node("other", 0x3000), node("clk", 0x4000)],
      drivers: [platformModule("display"), platformModule("clk"), platformModule("other")],
    });
    expect(order(machine)).toEqual(["other", "clk", "display"]);
  });

  test("the consumer is not probed before its clock's driver is bound", () => {
    const machine = booted({
      nodes: [node("clk", 0x4000), display({ clocks: [{ label: "clk", args: [] }] })],
      drivers: [platformModule("display", { linkOrder: 1 }), platformModule("clk", { linkOrder: 2 })],
    });
    const probes = machine.of("kernel.probe").map(({ device, result }) => `${device} ${result}`);
    expect(probes).toEqual(["1000.display deferred", "4000.clk bound", "1000.display bound"]);
  });

  test("while the supplier has no device at all the consumer waits for it", () => {
    const machine = makeTestKernel({ nodes: [display({ clocks: [{ label: "clk", args: [] }] }), node("clk", 0x4000)] });
    const { kernel } = machine;
    const consumer = new PlatformDevice(kernel, "1000.display");
    consumer.of_node = kernel.of.byLabel("display");
    kernel.of.linkDevice(consumer);
    expect(kernel.of.missingSupplier(consumer)).toBe("clk@4000");
  });

  test("a fixed clock is no supplier to wait for", () => {
    const machine = booted({
      nodes: [display({ clocks: [{ label: "osc", args: [] }] }), dtNode({ name: "osc", label: "osc", compatible: ["fixed-clock"] })],
      drivers,
    });
    expect(links(machine)).toEqual([]);
    expect(machine.kernel.base.findDevice("1000.display")?.driver?.name).toBe("display-driver");
  });

  test("a supplier for which no driver comes blocks its consumer only until all modules are loaded", () => {
    const machine = booted({ nodes: [node("clk", 0x4000), display({ clocks: [{ label: "clk", args: [] }] })], drivers });
    expect(machine.of("kernel.probe").map(({ result }) => result)).toContain("deferred");
    expect(machine.kernel.base.findDevice("1000.display")?.driver?.name).toBe("display-driver");
  });

  test("regulators and power domains are mandatory suppliers", () => {
    const machine = booted({
      nodes: [
        display({ powerDomains: [{ label: "pd", args: [] }], properties: { "vdd-supply": [{ label: "reg", args: [] }] } }),
        node("reg", 0x4000),
        node("pd", 0x5000),
      ],
      drivers: [platformModule("reg"), platformModule("pd"), platformModule("display")],
    });
    expect(links(machine).toSorted()).toEqual(["platform:4000.reg--platform:1000.display", "platform:5000.pd--platform:1000.display"]);
  });

  test("fw_devlink=off creates nothing", () => {
    const machine = booted({
      nodes: [display({ clocks: [{ label: "clk", args: [] }] }), node("clk", 0x4000)],
      drivers: [platformModule("display"), platformModule("clk")],
      cmdline: { fwDevlink: "off", fwDevlinkStrict: true },
    });
    expect(links(machine)).toEqual([]);
    expect(order(machine)).toEqual(["display", "clk"]);
  });

  test("two nodes that name each other get one blocking link and one that blocks nobody", () => {
    const machine = booted({
      nodes: [node("a", 0x1000, { clocks: [{ label: "b", args: [] }] }), node("b", 0x2000, { clocks: [{ label: "a", args: [] }] })],
      drivers: [platformModule("a"), platformModule("b")],
    });
    expect(["1000.a", "2000.b"].map((name) => machine.kernel.base.findDevice(name)?.driver?.name)).toEqual(["a-driver", "b-driver"]);
  });
});
