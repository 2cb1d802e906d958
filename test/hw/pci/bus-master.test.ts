// SPDX-License-Identifier: MIT
/** COMMAND.BME: what happens to DMA while it is 0, for each kind of function. */
import { describe, expect, it } from "vitest";
import { DmaStatus, type BusMasterOff } from "../../../src/hw/index.ts";
import { BME, MEM, PciMachine, RAM, type Config, type TestFunction } from "./support.ts";

function place(busMasterOff: BusMasterOff): { machine: PciMachine; dev: TestFunction; config: Config } {
  const machine = new PciMachine();
  const dev = machine.function({ busMasterOff });
  machine.root.addFunction(0, 3, 1, dev);
  return { machine, dev, config: machine.config("00:03.1") };
}
const one = Uint8Array.of(1);

describe("requests", () => {
  it("carry the requester id bus << 8 | device << 3 | function", () => {
    const { machine, dev, config } = place("drop");
    config.command(BME);
    dev.dma.write(RAM, one);
    expect(machine.requesters).toEqual([(3 << 3) | 1]);
    expect(dev.requesterId).toBe((3 << 3) | 1);
  });

  it("are not issued after reset: BME is 0", () => {
    const { dev } = place("drop");
    expect(dev.dma.write(RAM, one)).toBe(DmaStatus.dropped);
  });

  it("pass with BME set, whatever COMMAND.MEM says", () => {
    const { machine, dev, config } = place("drop");
    config.command(BME);
    expect(dev.dma.write(RAM, one)).toBe(DmaStatus.ok);
    config.command(BME | MEM);
    const out = new Uint8Array(1);
    expect(dev.dma.read(RAM, out)).toBe(DmaStatus.ok);
    expect(out[0]).toBe(1);
    expect(machine.accesses.map(({ outcome }) => outcome)).toEqual(["bypassed", "bypassed"]);
  });
});

describe("BME = 0, drop", () => {
  it("reads and writes go nowhere, are traced as dropped, and do not come back with BME", () => {
    const { machine, dev, config } = place("drop");
    config.command(BME);
    config.command(0);
    expect(dev.dma.write(RAM, one)).toBe(DmaStatus.dropped);
    expect(dev.dma.read(RAM, new Uint8Array(4))).toBe(DmaStatus.dropped);
    expect(machine.accesses).toMatchObject([
      { master: "dev", address: RAM, physical: undefined, length: 1, write: true, outcome: "dropped" },
      { master: "dev", address: RAM, physical: undefined, length: 4, write: false, outcome: "dropped" },
    ]);
    config.command(BME);
    expect(machine.read(RAM)).toBe(0);
  });
});

describe("BME = 0, hold", () => {
  it("writes are held and replayed in order with BME 0 -> 1, to the addresses of then", () => {
    const { machine, dev, config } = place("hold");
    config.command(BME);
    config.command(0);
    // A Buffer, whose slice() is no copy.
    const bytes = Buffer.of(1);
    expect(dev.dma.write(RAM, bytes)).toBe(DmaStatus.held);
    bytes[0] = 2;
    expect(dev.dma.write(RAM, bytes)).toBe(DmaStatus.held);
    bytes[0] = 99;
    expect(dev.dma.heldWrites).toBe(2);
    expect(machine.read(RAM)).toBe(0);
    config.command(BME);
    expect(machine.read(RAM)).toBe(2);
    expect(dev.dma.heldWrites).toBe(0);
    expect(machine.accesses.map(({ outcome }) => outcome)).toEqual(["held", "held", "bypassed", "bypassed"]);
  });

  it("held writes survive until BME returns, however often COMMAND is written without it", () => {
    const { machine, dev, config } = place("hold");
    dev.dma.write(RAM, one);
    config.command(MEM);
    config.command(0);
    expect(machine.read(RAM)).toBe(0);
    config.command(BME);
    expect(machine.read(RAM)).toBe(1);
  });

  it("the device hears of BME after the held writes were issued", () => {
    const { dev, config } = place("hold");
    dev.dma.write(RAM, one);
    config.command(BME);
    expect(dev.masterChanges).toEqual([true]);
    expect(dev.dma.heldWrites).toBe(0);
  });

  it("a reset of the function loses held writes", () => {
    const { machine, dev, config } = place("hold");
    dev.dma.write(RAM, one);
    machine.root.reset();
    config.command(BME);
    expect(machine.read(RAM)).toBe(0);
  });
});

describe("BME = 0, reset", () => {
  it("the device resets itself when BME goes from 1 to 0, and only then; configuration space stays", () => {
    const { dev, config } = place("reset");
    config.command(0);
    expect(dev.resets).toBe(0);
    config.command(BME | MEM);
    config.command(MEM);
    expect(dev.resets).toBe(1);
    expect(config.read(4, 2)).toBe(MEM);
    expect(dev.dma.write(RAM, one)).toBe(DmaStatus.dropped);
  });
});
