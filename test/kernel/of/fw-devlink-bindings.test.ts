// SPDX-License-Identifier: GPL-2.0-only
/** Which properties name suppliers, each with the link it makes, and how links between nodes become links between devices. */
import { describe, expect, test } from "vitest";
import { DL_FLAG, type DtNode, type DtReference, type DtValue, dtNode, type KernelParameters } from "../../../src/kernel/index.ts";
import { node, platformModule } from "../support/devices.ts";
import { makeTestKernel, type TestKernel, type TestKernelOptions } from "../support/fake-platform.ts";

function booted(options: TestKernelOptions): TestKernel {
  const machine = makeTestKernel(options);
  machine.run(machine.kernel.boot());
  return machine;
}

const to = (label: string): readonly DtReference[] => [{ label, args: [] }];

/** "supplier -> consumer", in the order in which the links were made, without addresses. */
function links({ kernel }: TestKernel): string[] {
  const plain = (name: string): string => name.replace(/^[0-9a-f]+\./, "");
  return [...kernel.base.links].map(({ supplier, consumer }) => `${plain(supplier.name)} -> ${plain(consumer.name)}`);
}

/** The links of a board with a supplier and a consumer that has this property. */
function linksOf(property: string, value: DtValue, cmdline: Partial<KernelParameters> = {}, extra: Partial<DtNode> = {}): string[] {
  const nodes = [node("sup", 0x1000), node("con", 0x2000, { properties: { [property]: value }, ...extra })];
  return links(booted({ nodes, cmdline, drivers: [platformModule("sup"), platformModule("con")] }));
}

describe("of_supplier_bindings", () => {
  test.each([
    "interconnects",
    "mboxes",
    "io-channels",
    "io-backends",
    "hwlocks",
    "extcon",
    "nvmem-cells",
    "phys",
    "wakeup-parent",
    "pinctrl-0",
    "pinctrl-8",
    "pwms",
    "resets",
    "leds",
    "backlight",
    "panel",
    "pses",
    "power-supplies",
    "mmc-pwrseq",
    "gpio",
    "gpios",
    "interrupts-extended",
    "interrupt-map",
    "access-controllers",
    "vdd-supply",
    "reset-gpio",
    "enable-gpios",
  ])("%s names a supplier", (property) => {
    expect(linksOf(property, to("sup"))).toEqual(["sup -> con"]);
  });

  test.each(["pinctrl-names", "foo", "clock-output-names", "supply", "ngpios", "snps,nr-gpios", "memory-region", "post-init-providers"])(
    "%s names none",
    (property) => {
      expect(linksOf(property, to("sup"))).toEqual([]);
    },
  );

  test.each([
    ["iommus", { iommus: to("sup") }],
    ["iommu-map", { iommuMap: [{ ridBase: 0, label: "sup", outBase: 0, length: 1 }] }],
    ["dmas", { dmas: to("sup") }],
  ] as const)("%s is optional: it counts with fw_devlink.strict=1 only", (_property, extra) => {
    expect(linksOf("x", 0, {}, extra)).toEqual([]);
    expect(linksOf("x", 0, { fwDevlinkStrict: true }, extra)).toEqual(["sup -> con"]);
  });

  test.each([
    ["clocks", { clocks: to("sup") }],
    ["power-domains", { powerDomains: to("sup") }],
    ["msi-parent", { msiParent: to("sup")[0]! }],
  ] as const)("%s is mandatory", (_property, extra) => {
    expect(linksOf("x", 0, {}, extra)).toEqual(["sup -> con"]);
  });

  test("interrupts are supplied by the interrupt parent, the node's own or the next one above", () => {
    const interrupts = [40];
    expect(linksOf("interrupt-parent", to("sup"), {}, { interrupts })).toEqual(["sup -> con"]);
    const soc = dtNode({
      name: "soc",
      compatible: ["simple-bus"],
      properties: { "interrupt-parent": to("sup") },
      children: [node("con", 0x2000, { interrupts })],
    });
    expect(links(booted({ nodes: [node("sup", 0x1000), soc], drivers: [platformModule("sup")] }))).toContain("sup -> con");
  });

  test("an interrupt controller that is set up before there are devices is no supplier", () => {
    const gic = node("sup", 0x1000, { compatible: ["arm,gic-v3"] });
    const con = node("con", 0x2000, { interrupts: [40], properties: { "interrupt-parent": to("sup") } });
    expect(links(booted({ nodes: [gic, con] }))).toEqual([]);
  });

  test("a gpio-hog is described by its parent", () => {
    expect(linksOf("gpios", to("sup"), {}, { properties: { gpios: to("sup"), "gpio-hog": true } })).toEqual([]);
  });

  test("a supplier that is disabled, or below something disabled, is not waited for", () => {
    const con = node("con", 0x2000, { clocks: to("clk") });
    for (const nodes of [
      [node("clk", 0x1000, { status: "disabled" }), con],
      [node("soc", 0x1000, { status: "disabled", children: [node("clk", 0x1100)] }), con],
    ]) {
      const m = booted({ nodes, drivers: [platformModule("con")] });
      expect(m.of("kernel.probe").map(({ result }) => result)).toEqual(["bound"]);
    }
  });

  test("endpoints link the devices that their ports belong to", () => {
    const port = (label: string, remote: string): DtNode =>
      dtNode({
        name: "ports",
        children: [
          dtNode({ name: "port@0", children: [dtNode({ name: "endpoint", label, properties: { "remote-endpoint": to(remote) } })] }),
        ],
      });
    const nodes = [
      node("display", 0x1000, { children: [port("out", "in")] }),
      node("panel", 0x2000, { children: [dtNode({ name: "port", children: [dtNode({ name: "endpoint", label: "in" })] })] }),
    ];
    const m = booted({ nodes, drivers: [platformModule("display", { linkOrder: 1 }), platformModule("panel", { linkOrder: 2 })] });
    expect(links(m)).toEqual(["panel -> display"]);
  });
});

describe("suppliers that are no devices", () => {
  // A regulator inside of a PMIC: its node has no compatible string, so it never becomes a device.
  const pmic = node("pmic", 0x1000, { children: [dtNode({ name: "ldo1", label: "ldo1" })] });
  const con = node("con", 0x2000, { properties: { "vdd-supply": to("ldo1") } });

  test("a consumer of a node inside of a device waits for that device's driver, and is linked to it then", () => {
    const drivers = [platformModule("con", { linkOrder: 1 }), platformModule("pmic", { linkOrder: 2 })];
    const m = booted({ nodes: [con, pmic], drivers });
    expect(m.of("kernel.probe").map(({ device, result }) => `${device} ${result}`)).toEqual([
      "2000.con deferred",
      "1000.pmic bound",
      "2000.con bound",
    ]);
    expect(links(m)).toEqual(["pmic -> con"]);
    expect(m.kernel.base.deviceNames().filter((name) => !name.includes("--"))).toEqual(["platform", "1000.pmic", "2000.con"]);
  });

  test("without that driver it waits for ever", () => {
    const m = booted({ nodes: [con, pmic], drivers: [platformModule("con")] });
    expect(m.kernel.base.findDevice("2000.con")?.driver).toBeNull();
    expect(m.kernel.base.findDevice("2000.con")?.deferred_probe_reason).toBe("wait for supplier ldo1");
  });

  test("a node below a bus is waited for by proxy of the bus: a link that only serves sync_state()", () => {
    const child = dtNode({ name: "sensor", label: "sensor", properties: { "vdd-supply": to("reg") } });
    const m = booted({ nodes: [node("reg", 0x1000), node("i2c", 0x2000, { children: [child] })] });
    expect(links(m)).toEqual(["reg -> i2c"]);
    const [link] = m.kernel.base.links;
    expect(link!.flags & DL_FLAG.SYNC_STATE_ONLY).not.toBe(0);
    expect(m.kernel.base.deviceNames().filter((name) => !name.includes("--"))).toEqual(["platform", "1000.reg", "2000.i2c"]);
  });
});

describe("several consumers of a supplier that comes later", () => {
  test("the newest is linked first, so the oldest ends up last in the list", () => {
    const clocks = to("clk");
    const m = booted({ nodes: [node("a", 0x1000, { clocks }), node("b", 0x2000, { clocks }), node("clk", 0x3000)] });
    expect(links(m)).toEqual(["clk -> b", "clk -> a"]);
    expect(m.kernel.base.deviceNames().filter((name) => !name.includes("--"))).toEqual(["platform", "3000.clk", "2000.b", "1000.a"]);
  });
});

describe("fw_devlink=permissive", () => {
  const board = (): TestKernel =>
    booted({
      nodes: [node("con", 0x1000, { clocks: to("sup") }), node("sup", 0x2000)],
      drivers: [platformModule("con", { linkOrder: 1 }), platformModule("sup", { linkOrder: 2 })],
      cmdline: { fwDevlink: "permissive" },
    });

  test("nobody waits and nothing moves", () => {
    const m = board();
    expect(m.of("kernel.probe").map(({ device, result }) => `${device} ${result}`)).toEqual(["1000.con bound", "2000.sup bound"]);
    expect(m.kernel.base.deviceNames().filter((name) => !name.includes("--"))).toEqual(["platform", "1000.con", "2000.sup"]);
  });

  test("strict has no effect on it", () => {
    const m = makeTestKernel({
      nodes: [node("con", 0x1000, { iommus: to("sup") }), node("sup", 0x2000)],
      cmdline: { fwDevlink: "permissive", fwDevlinkStrict: true },
    });
    m.run(m.kernel.boot());
    expect(links(m)).toEqual([]);
  });
});

describe("fw_devlink=on and rpm", () => {
  test("rpm adds runtime PM to the links of on", () => {
    const flags = (fwDevlink: "on" | "rpm"): number => {
      const nodes = [node("sup", 0x1000), node("con", 0x2000, { clocks: to("sup") })];
      const drivers = [platformModule("sup"), platformModule("con")];
      return [...booted({ nodes, drivers, cmdline: { fwDevlink } }).kernel.base.links][0]!.flags;
    };
    expect(flags("on") & DL_FLAG.PM_RUNTIME).toBe(0);
    expect(flags("rpm")).toBe(flags("on") | DL_FLAG.PM_RUNTIME);
  });
});

describe("cycles", () => {
  const ring = (...names: string[]): DtNode[] =>
    names.map((name, i) => node(name, 0x1000 * (i + 1), { clocks: to(names[(i + 1) % names.length]!) }));

  test("in a ring of suppliers nobody waits for anybody, and the log says that a cycle was fixed", () => {
    const m = booted({ nodes: ring("a", "b", "c"), drivers: ["a", "b", "c"].map((name) => platformModule(name)) });
    expect(m.of("kernel.probe").map(({ result }) => result)).toEqual(["bound", "bound", "bound"]);
    expect(m.kernel.printk.lines.some(({ text }) => text.includes("Fixed dependency cycle(s) with"))).toBe(true);
  });

  test("a link of a cycle is a sync_state link with DL_FLAG_CYCLE, and the list keeps the tree's order among them", () => {
    const m = makeTestKernel({ nodes: ring("a", "b") });
    m.run(m.kernel.boot());
    for (const { flags } of m.kernel.base.links) expect(flags & DL_FLAG.SYNC_STATE_ONLY).not.toBe(0);
    expect([...m.kernel.base.links].some(({ flags }) => (flags & DL_FLAG.CYCLE) !== 0)).toBe(true);
  });

  test("who only leads into a cycle waits as always", () => {
    const outside = node("outside", 0x8000, { clocks: to("a") });
    const m = booted({
      nodes: [...ring("a", "b"), outside],
      drivers: [platformModule("outside", { linkOrder: 1 }), platformModule("a", { linkOrder: 2 }), platformModule("b", { linkOrder: 3 })],
    });
    expect(m.of("kernel.probe")[0]).toMatchObject({ device: "8000.outside", result: "deferred" });
    expect(m.kernel.base.findDevice("8000.outside")?.driver?.name).toBe("outside-driver");
  });

  test("a child that supplies its parent's supplier closes a cycle through the parent", () => {
    const soc = dtNode({
      name: "soc@1000",
      label: "soc",
      compatible: ["simple-bus"],
      reg: [{ base: 0x1000, size: 0x100 }],
      clocks: to("clk"),
      children: [node("pll", 0x1100)],
    });
    const clk = node("clk", 0x2000, { clocks: to("pll") });
    const m = booted({ nodes: [soc, clk], drivers: [platformModule("pll"), platformModule("clk")] });
    expect(m.kernel.base.findDevice("2000.clk")?.driver?.name).toBe("clk-driver");
  });

  test("post-init-providers breaks a cycle where the firmware says so: the other link stays strict", () => {
    const nodes = [
      node("a", 0x1000, { clocks: to("b"), properties: { "post-init-providers": to("b") } }),
      node("b", 0x2000, { clocks: to("a") }),
    ];
    const m = booted({ nodes, drivers: [platformModule("b", { linkOrder: 1 }), platformModule("a", { linkOrder: 2 })] });
    expect(m.of("kernel.probe").map(({ device, result }) => `${device} ${result}`)).toEqual([
      "2000.b deferred",
      "1000.a bound",
      "2000.b bound",
    ]);
  });
});
