// SPDX-License-Identifier: MIT
/** Whoever builds a machine is told what is wrong with a region, a window or an injection. */
import { describe, expect, test } from "vitest";
import { BusStatus, SystemBus } from "../../../src/hw/index.ts";
import { type Untyped, misuse } from "../smmuv3/tables/misuse.ts";

const device = { read: () => 0, write: () => {} };
const window = { name: "uart", base: 0x1000, size: 0x1000, device };
const injection = { base: 0, size: 64, status: BusStatus.abort };

describe("addRam", () => {
  test.each([
    ["nothing", undefined, "undefined is no object"],
    ["a string", "ram", '"ram" is no object'],
    ["no name", { base: 0, size: 0x1000 }, "name is undefined"],
    ["a base in a string", { name: "ram", base: "0x1000", size: 0x1000 }, 'base of ram is "0x1000"'],
    ["no size", { name: "ram", base: 0 }, "size of ram is undefined"],
  ])("%s", (_what, region, said) => {
    expect(() => new SystemBus().addRam(region as Untyped)).toThrow(misuse("BAD_RANGE", "addRam({ name, base, size })", said));
  });
  test("a base that is NaN is no range", () => {
    expect(() => new SystemBus().addRam({ name: "ram", base: NaN, size: 0x1000 })).toThrow(misuse("BAD_RANGE", "ram"));
  });
});

describe("addWindow", () => {
  test.each([
    ["no device", { device: undefined }, "device of uart is undefined: it has to be an object with read"],
    ["a device without write", { device: { read: () => 0 } }, "device of uart is an object without write"],
    ["a width of 3", { widths: [4, 3] }, "a width of uart is 3: it has to be 1, 2, 4 or 8"],
    ["a width that is no list", { widths: 4 }, "widths of uart are 4: they have to be a list"],
    ["no width", { widths: [] }, "widths of uart are an array"],
    ["another rule", { badWidth: "razwi" }, 'badWidth of uart is "razwi": it has to be "abort" or "raz-wi"'],
    ["a fixed answer", { enabled: true }, "enabled of uart is true: it has to be a function"],
  ])("%s", (_what, change, said) => {
    const bus = new SystemBus();
    expect(() => bus.addWindow({ ...window, ...change } as Untyped)).toThrow(misuse("BUS_WINDOW", said));
    expect(bus.windows).toEqual([]);
  });
  test("nothing", () => {
    expect(() => new SystemBus().addWindow(undefined as Untyped)).toThrow(misuse("BAD_RANGE", "addWindow({ name, base, size, device })"));
  });
});

describe("inject", () => {
  test.each([
    ["nothing", undefined, "undefined where an object is expected"],
    ["an empty object", {}, "base of an injection is undefined"],
    ["a size of 0", { ...injection, size: 0 }, "size of an injection is 0: it has to be a whole number from 1"],
    ["no status", { base: 0, size: 64 }, "status of an injection is undefined: it has to be BusStatus.abort or BusStatus.poison"],
    ["the status ok", { ...injection, status: BusStatus.ok }, "status of an injection is 0"],
    ["another direction", { ...injection, on: "reads" }, 'on of an injection is "reads": it has to be "read", "write" or "both"'],
    ["an unknown property", { ...injection, length: 64 }, '"length" is unknown'],
  ])("%s", (_what, given, said) => {
    expect(() => new SystemBus().inject(given as Untyped)).toThrow(misuse("INJECTION", said));
  });
});
