// SPDX-License-Identifier: MIT
/** The interrupt controller and the MSI frame, driven as a CPU and a device would. */
import { describe, expect, it } from "vitest";
import { BusStatus, HostMisuseError, InterruptController, MsiFrame, SystemBus } from "../../../src/hw/index.ts";

function controller(...enabled: number[]): InterruptController {
  const interrupts = new InterruptController(64);
  for (const intid of enabled) interrupts.enable(intid, true);
  return interrupts;
}

describe("InterruptController", () => {
  it("acknowledges the lowest pending enabled interrupt first", () => {
    const interrupts = controller(40, 35, 50);
    interrupts.raise(50);
    interrupts.raise(35);
    interrupts.raise(40);
    expect([interrupts.acknowledge(), interrupts.acknowledge(), interrupts.acknowledge(), interrupts.acknowledge()]).toEqual([
      35, 40, 50, -1,
    ]);
  });

  it("keeps a pending interrupt back until it is enabled", () => {
    const interrupts = controller();
    interrupts.raise(33);
    expect(interrupts.acknowledge()).toBe(-1);
    expect(interrupts.pendingCount).toBe(0);
    interrupts.enable(33, true);
    expect(interrupts.pendingCount).toBe(1);
    expect(interrupts.acknowledge()).toBe(33);
  });

  it("merges edges that come before the acknowledge, and delivers one that comes while active after the completion", () => {
    const interrupts = controller(33);
    interrupts.raise(33);
    interrupts.raise(33);
    expect(interrupts.acknowledge()).toBe(33);
    interrupts.raise(33);
    expect(interrupts.acknowledge()).toBe(-1);
    interrupts.complete(33);
    expect(interrupts.acknowledge()).toBe(33);
    interrupts.complete(33);
    expect(interrupts.acknowledge()).toBe(-1);
  });

  it("delivers a level again after completion for as long as it is asserted", () => {
    const interrupts = controller(34);
    interrupts.setLevel(34, true);
    expect(interrupts.acknowledge()).toBe(34);
    expect(interrupts.acknowledge()).toBe(-1);
    interrupts.complete(34);
    expect(interrupts.acknowledge()).toBe(34);
    interrupts.setLevel(34, false);
    interrupts.complete(34);
    expect(interrupts.acknowledge()).toBe(-1);
  });

  it("forgets a level that goes away before it was acknowledged", () => {
    const interrupts = controller(34);
    interrupts.setLevel(34, true);
    interrupts.setLevel(34, false);
    expect(interrupts.acknowledge()).toBe(-1);
  });

  it("after a reset disables everything and forgets edges; asserted levels are still asserted", () => {
    const interrupts = controller(33, 34);
    interrupts.raise(33);
    interrupts.setLevel(34, true);
    interrupts.reset();
    expect(interrupts.pendingCount).toBe(0);
    interrupts.enable(33, true);
    interrupts.enable(34, true);
    expect(interrupts.acknowledge()).toBe(34);
    expect(interrupts.acknowledge()).toBe(-1);
  });

  it("ignores numbers that software makes up and refuses wires that do not exist", () => {
    const interrupts = controller();
    interrupts.enable(1000, true);
    interrupts.complete(7);
    expect(interrupts.acknowledge()).toBe(-1);
    expect(() => interrupts.raise(31)).toThrow(HostMisuseError);
    expect(() => interrupts.setLevel(96, true)).toThrow(HostMisuseError);
  });
});

describe("MsiFrame", () => {
  const BASE = 0x1000_0000;
  function machine(): { bus: SystemBus; interrupts: InterruptController } {
    const interrupts = controller(...Array.from({ length: 64 }, (_, i) => 32 + i));
    const bus = new SystemBus();
    const frame = new MsiFrame({ interrupts, first: 64, count: 16 });
    bus.addWindow({ name: "v2m", base: BASE, size: frame.size, device: frame });
    return { bus, interrupts };
  }

  it("MSI_TYPER tells the first SPI in [25:16] and the count in [9:0]", () => {
    const { bus } = machine();
    const out = new Uint32Array(2);
    expect(bus.read(BASE + 8, 4, out)).toBe(BusStatus.ok);
    expect(out[0]).toBe((64 << 16) | 16);
  });

  it("a 4-byte write of an SPI number to MSI_SETSPI_NS raises that SPI as an edge", () => {
    const { bus, interrupts } = machine();
    expect(bus.writeBytes(BASE + 0x40, Uint8Array.of(70, 0, 0, 0))).toBe(BusStatus.ok);
    expect(interrupts.acknowledge()).toBe(70);
    interrupts.complete(70);
    expect(interrupts.acknowledge()).toBe(-1);
  });

  it("a number outside the frame raises nothing", () => {
    const { bus, interrupts } = machine();
    for (const intid of [63, 80, 0, 0xffff_ffff]) bus.write(BASE + 0x40, 4, intid);
    expect(interrupts.pendingCount).toBe(0);
  });

  it("refuses a frame of interrupts that the controller does not have", () => {
    const interrupts = controller();
    expect(() => new MsiFrame({ interrupts, first: 90, count: 16 })).toThrow(HostMisuseError);
  });
});
