// SPDX-License-Identifier: MIT
/** Who is shut down before whom on a board, by the rules of Linux's device list; and the table of drivers. */
import { describe, expect, test } from "vitest";
import { dtNode, type DtNode } from "../../../src/kernel/index.ts";
import { OrderError, type OrderOptions, type OrderResult, orderText, shutdownOrder } from "../../../src/lab/index.ts";
import { DRIVER_TABLE, MAKEFILE_LINES } from "../../../src/lab/order/driver-table.ts";

const device = (name: string, base: number, compatible: string, extra: Partial<DtNode> = {}): DtNode =>
  dtNode({ name: `${name}@${base.toString(16)}`, label: name, compatible: [compatible], reg: [{ base, size: 0x1000 }], ...extra });

const iommus = [{ label: "smmu", args: [1] }];
const smmu = device("smmu", 0x1000, "arm,smmu-v3");
const display = device("display", 0x2000, "arm,hdlcd", { iommus });
const dma = device("dma", 0x3000, "arm,pl330", { iommus });
const ethernet = device("ethernet", 0x4000, "cdns,macb", { iommus });

const endpoint = (name: string, compatible: string, cell: number): DtNode =>
  dtNode({ name, compatible: [compatible], properties: { reg: [cell, 0, 0, 0, 0] } });
const disk = endpoint("disk", "pciclass,010802", 0x1000);
const port = dtNode({
  name: "pcie@1,0",
  properties: { device_type: "pci", reg: [0x800, 0, 0, 0, 0] },
  children: [endpoint("nic", "pci8086,10d3", 0x1_0000)],
});

const defaults: OrderOptions = { fwDevlink: "rpm", strict: false, modules: [], builtIn: [] };
const ordered = (nodes: readonly DtNode[], options: Partial<OrderOptions> = {}): OrderResult =>
  shutdownOrder(dtNode({ name: "", compatible: ["test,board"], children: nodes }), { ...defaults, ...options });
/** Names without unit addresses, first shut down first. */
const names = ({ shutdownOrder: order }: OrderResult): string[] => order.map(({ name }) => name.replace(/^[0-9a-f]+\./, ""));
const risks = ({ clients }: OrderResult): Record<string, readonly string[]> =>
  Object.fromEntries(clients.map((client) => [client.name.replace(/^[0-9a-f]+\./, ""), client.risks]));

describe("the order", () => {
  test("is that of the tree, backwards, where nobody was deferred and nothing is linked", () => {
    expect(names(ordered([smmu, ethernet]))).toEqual(["ethernet", "smmu"]);
    expect(names(ordered([ethernet, smmu]))).toEqual(["smmu", "ethernet"]);
  });

  test("puts a client of a driver that is linked before drivers/iommu behind its SMMU: its probe is deferred", () => {
    expect(names(ordered([dma, smmu]))).toEqual(["dma", "smmu"]);
  });

  test("does so with any client where the SMMU's driver is the module, loaded later", () => {
    expect(names(ordered([ethernet, smmu], { modules: ["arm-smmu-v3"] }))).toEqual(["ethernet", "smmu"]);
  });

  test("with fw_devlink.strict=1 follows iommus", () => {
    expect(names(ordered([display, smmu], { strict: true }))).toEqual(["display", "smmu"]);
    expect(names(ordered([display, smmu], { strict: true, fwDevlink: "off" }))).toEqual(["smmu", "display"]);
  });

  test("SMMUv2's driver links its clients to itself, SMMUv3's does not", () => {
    expect(names(ordered([display, device("smmu", 0x1000, "arm,mmu-500")]))).toEqual(["display", "smmu"]);
    expect(names(ordered([display, smmu]))).toEqual(["smmu", "display"]);
  });

  test("a link to a supplier that comes later in the tree moves the SMMU, away from its clients", () => {
    const powered = device("smmu", 0x1000, "arm,smmu-v3", { powerDomains: [{ label: "power", args: [] }] });
    const power = device("power", 0x5000, "test,power", { properties: { "#power-domain-cells": 0 } });
    const result = ordered([powered, ethernet, power]);
    expect(names(result)).toEqual(["smmu", "power", "ethernet"]);
    expect(result.assumedDrivers).toEqual(["test,power"]);
  });

  test("functions below a PCI host bridge come behind what the tree describes, all of a bus before those behind its bridges", () => {
    const host = device("pcie", 0x4000_0000, "pci-host-ecam-generic", { children: [port, disk] });
    expect(names(ordered([host, smmu]))).toEqual(["0000:01:00.0", "0000:00:02.0", "0000:00:01.0", "smmu", "pcie"]);
  });

  test("a function behind a bridge is one device, with fw_devlink.strict=1 as without: no platform device is made of its node", () => {
    const iommuMap = [{ ridBase: 0, label: "smmu", outBase: 0, length: 0x1_0000 }];
    const host = device("pcie", 0x4000_0000, "pci-host-ecam-generic", { iommuMap, children: [port, disk] });
    for (const strict of [false, true])
      expect(names(ordered([host, smmu], { strict })).toSorted()).toEqual(["0000:00:01.0", "0000:00:02.0", "0000:01:00.0", "pcie", "smmu"]);
  });

  test("a bridge whose driver met no SMMU yet moves to the tail, with all below it", () => {
    const iommuMap = [{ ridBase: 0, label: "smmu", outBase: 0, length: 0x1_0000 }];
    const host = device("pcie", 0x4000_0000, "pci-host-ecam-generic", { iommuMap, children: [port, disk] });
    const result = ordered([host, smmu]);
    expect(names(result)).toEqual(["0000:01:00.0", "0000:00:01.0", "0000:00:02.0", "smmu", "pcie"]);
    expect(risks(result)).toEqual({ "0000:01:00.0": [], "0000:00:02.0": [] });
  });
});

describe("a client is at risk", () => {
  test("if it goes after its SMMU, or its driver has no hook", () => {
    const result = ordered([dma, display, smmu, ethernet]);
    expect(risks(result)).toEqual({ dma: ["no-hook"], display: ["after-smmu"], ethernet: [] });
    expect(result.atRisk.toSorted()).toEqual(["2000.display", "3000.dma"]);
  });

  test("by its place even if the table knows no driver for it, and nothing is said of a hook", () => {
    const [client] = ordered([device("codec", 0x6000, "test,codec", { iommus }), smmu]).clients;
    expect(client).toMatchObject({ driver: null, hook: null, risks: ["after-smmu"] });
  });

  test("by its driver only if the table has one: a client without is unknown, not safe", () => {
    const codec = device("codec", 0x6000, "test,codec", { iommus });
    const result = ordered([smmu, codec, ethernet]);
    expect(result.atRisk).toEqual([]);
    expect(result.unknown).toEqual(["6000.codec"]);
    expect(result.clients.map(({ name, known }) => [name, known])).toEqual([
      ["4000.ethernet", true],
      ["6000.codec", false],
    ]);
    const says = orderText("a board", defaults, result, false, (_style, text) => text);
    expect(says).not.toMatch(/^No client is at risk/m);
    expect(says).toMatch(/^Unknown: 1 client, whose hook is not known; no other is at risk$/m);
    expect(says).toMatch(/6000\.codec +none is known +\? +behind 1000\.smmu/);
    expect(ordered([smmu, ethernet]).unknown).toEqual([]);
  });

  test("by no hook where its driver is known and not bound, which is said", () => {
    const pmic = dtNode({ name: "pmic", label: "pmic", compatible: ["test,pmic"] });
    const bus = device("glue", 0x7000, "test,glue", { children: [pmic] });
    const waits = { ...ethernet, properties: { "vdd-supply": [{ label: "pmic", args: [] }] } };
    const result = ordered([smmu, waits, bus]);
    expect(result.clients).toMatchObject([{ name: "4000.ethernet", driver: null, hook: null, known: true, risks: [] }]);
    expect(result).toMatchObject({ unknown: [], deferred: [{ name: "4000.ethernet", reason: "wait for supplier pmic" }] });
    const says = orderText("a board", defaults, result, false, (_style, text) => text);
    expect(says).toMatch(/4000\.ethernet +none is bound +- +behind 1000\.smmu/);
    expect(says).toContain("Deferred probe pending: 4000.ethernet: wait for supplier pmic.");
  });

  test("not where it is disabled", () => {
    expect(ordered([{ ...display, status: "disabled" }, smmu]).clients).toEqual([]);
  });
});

describe("what has no order", () => {
  test.each<[string, readonly DtNode[], Partial<OrderOptions>, string]>([
    ["no SMMU", [display], {}, "the device tree has no SMMU that is enabled"],
    ["a disabled SMMU", [{ ...smmu, status: "disabled" }], {}, "the device tree has no SMMU that is enabled"],
    [
      "a driver that is not needed",
      [smmu, display],
      { modules: ["hdlc"] },
      "--module hdlc: no such driver for this board, did you mean hdlcd?",
    ],
  ])("%s", (_what, nodes, options, says) => {
    expect(() => ordered(nodes, options)).toThrow(new OrderError(says));
  });
});

describe("the table of drivers", () => {
  test("names each driver and each compatible string once", () => {
    for (const list of [DRIVER_TABLE.map(({ name }) => name), DRIVER_TABLE.flatMap(({ compatible }) => compatible)])
      expect(list.filter((item, index) => list.indexOf(item) !== index)).toEqual([]);
  });

  test("lists drivers in the order in which drivers/Makefile links their directories", () => {
    const lines = DRIVER_TABLE.map(({ directory }) => MAKEFILE_LINES[directory]);
    expect(lines).toEqual(lines.toSorted((a, b) => a - b));
  });

  test("has DMA engines before SMMUs, and SMMUs before displays, disks, network and USB", () => {
    const { dma: engines, iommu, gpu, nvme, net, usb } = MAKEFILE_LINES;
    expect([engines, iommu, gpu, nvme, net, usb]).toEqual([43, 65, 68, 84, 92, 106]);
  });
});

test("the text fits 80 columns, also with names that do not", () => {
  const long = device("a-device-with-a-very-long-name-that-no-column-holds", 0x7000, "test,long", { iommus });
  const result = ordered([long, smmu, display, dma], { modules: ["dma-pl330"] });
  for (const line of orderText("a board", defaults, result, true, (_style, text) => text).split("\n"))
    expect(line.length).toBeLessThanOrEqual(80);
});
