// SPDX-License-Identifier: MIT
/** A PCI function seen by software: header, BAR sizing, decoding, capabilities, power states, resets. */
import { describe, expect, it } from "vitest";
import { DmaStatus, HostMisuseError, type PciFunctionOptions } from "../../../src/hw/index.ts";
import { BME, MEM, PciMachine, RAM, TestFunction, WINDOW, type Config } from "./support.ts";

function place(options: Partial<PciFunctionOptions> = {}): { machine: PciMachine; dev: TestFunction; config: Config } {
  const machine = new PciMachine();
  const dev = new TestFunction({ trace: machine.trace, ...options });
  machine.root.addFunction(0, 1, 0, dev);
  return { machine, dev, config: machine.config("00:01.0") };
}

describe("configuration space", () => {
  it("an absent function reads all ones at every width, and writes to it vanish", () => {
    const { machine } = place();
    const absent = machine.config("00:02.0");
    expect([absent.read(0, 4), absent.read(0, 2), absent.read(0, 1)]).toEqual([0xffff_ffff, 0xffff, 0xff]);
    absent.write(4, 6, 2);
    expect(absent.read(4, 2)).toBe(0xffff);
  });

  it("header: vendor, device, class, revision, type 0", () => {
    const { config } = place();
    expect(config.read(0)).toBe(0x5678_1234);
    expect(config.read(8)).toBe(0x0200_0007);
    expect(config.read(0x0e, 1)).toBe(0);
  });

  it("identification is read-only", () => {
    const { config } = place();
    config.write(0, 0);
    config.write(8, 0);
    expect([config.read(0), config.read(8)]).toEqual([0x5678_1234, 0x0200_0007]);
  });

  it("BAR sizing: after writing all ones the BAR reads the complement of its size minus one, type bits kept", () => {
    const { config } = place();
    config.write(0x10, 0xffff_ffff);
    expect(config.read(0x10)).toBe(0xffff_c000);
    config.write(0x14, 0xffff_ffff);
    expect(config.read(0x14)).toBe(0);
  });

  it("BAR sizing: a 64-bit BAR says so in bits [2:1] and sizes over both registers", () => {
    const machine = new PciMachine();
    const dev = new TestFunction({ trace: machine.trace }, [
      { index: 4, size: 2 ** 33, device: { read: () => 0, write: () => {} }, is64: true, prefetchable: true },
    ]);
    machine.root.addFunction(0, 1, 0, dev);
    const config = machine.config("00:01.0");
    config.write(0x20, 0xffff_ffff);
    config.write(0x24, 0xffff_ffff);
    expect(config.read(0x20)).toBe(0x0000_000c);
    expect(config.read(0x24)).toBe(0xffff_fffe);
  });

  it("the capability list holds Power Management, MSI-X and PCI Express", () => {
    const { config } = place();
    expect(config.read(6, 2)! & 0x10).toBe(0x10);
    for (const id of [0x01, 0x11, 0x10]) expect(config.capability(id)).toBeGreaterThanOrEqual(0x40);
  });

  it("refuses a BAR that is not a power of two of at least a page", () => {
    const { machine } = place();
    const bad = { index: 1, size: 0x3000, device: { read: () => 0, write: () => {} } };
    expect(() => new TestFunction({ trace: machine.trace }, [bad])).toThrow(HostMisuseError);
  });
});

describe("BAR decoding", () => {
  it("a BAR decodes only while COMMAND.MEM is set", () => {
    const { machine, config } = place();
    config.write(0x10, WINDOW);
    expect(machine.read(WINDOW)).toBeUndefined();
    config.command(MEM);
    expect(machine.write(WINDOW + 4, 0x1234)).toBe(true);
    expect(machine.read(WINDOW + 4)).toBe(0x1234);
    config.command(0);
    expect(machine.read(WINDOW + 4)).toBeUndefined();
  });

  it("a BAR follows a write of its address", () => {
    const { machine, dev, config } = place();
    config.write(0x10, WINDOW);
    config.command(MEM);
    config.write(0x10, WINDOW + 0x1_0000);
    expect(machine.read(WINDOW)).toBeUndefined();
    machine.write(WINDOW + 0x1_0000, 9);
    expect(dev.words[0]).toBe(9);
  });

  it("a BAR outside the bridge's memory window is not decoded", () => {
    const { machine, config } = place();
    config.write(0x10, RAM + 0x200_0000);
    config.command(MEM);
    expect(machine.read(RAM + 0x200_0000)).toBeUndefined();
  });

  it("of two functions at one address the first goes on; the second decodes when the first moves away", () => {
    const { machine, dev, config } = place();
    const second = machine.function();
    machine.root.addFunction(0, 2, 0, second);
    const other = machine.config("00:02.0");
    for (const each of [config, other]) {
      each.write(0x10, WINDOW);
      each.command(MEM);
    }
    machine.write(WINDOW, 5);
    expect([dev.words[0], second.words[0]]).toEqual([5, 0]);
    config.command(0);
    machine.write(WINDOW, 6);
    expect(second.words[0]).toBe(6);
  });
});

describe("MSI-X", () => {
  const TABLE = WINDOW + 0x10_0000;
  function enabled(): ReturnType<typeof place> & { msix: number } {
    const all = place();
    const msix = all.config.capability(0x11);
    all.config.write(0x1c, TABLE);
    all.config.command(MEM | BME);
    all.config.write(msix + 2, 0x8000, 2);
    return { ...all, msix };
  }
  function program(machine: PciMachine, vector: number, data: number, control: number = 0): void {
    machine.write(TABLE + 16 * vector, RAM + 0x100);
    machine.write(TABLE + 16 * vector + 4, 0);
    machine.write(TABLE + 16 * vector + 8, data);
    machine.write(TABLE + 16 * vector + 12, control);
  }

  it("message control tells the table size minus one; table and PBA lie in the BAR that the capability names", () => {
    const { config, msix } = enabled();
    expect(config.read(msix + 2, 2)! & 0x7ff).toBe(3);
    expect(config.read(msix + 4)! & 7).toBe(3);
    expect(config.read(msix + 8)! & 7).toBe(3);
  });

  it("every vector is masked after reset", () => {
    const { machine } = enabled();
    expect([0, 1, 2, 3].map((vector) => machine.read(TABLE + 16 * vector + 12))).toEqual([1, 1, 1, 1]);
  });

  it("a vector is a 4-byte DMA write of its data to its address", () => {
    const { machine, dev } = enabled();
    program(machine, 2, 0xabcd);
    dev.raiseMsix(2);
    expect(machine.read(RAM + 0x100)).toBe(0xabcd);
    expect(machine.accesses).toMatchObject([{ address: RAM + 0x100, length: 4, write: true, outcome: "bypassed" }]);
  });

  it("a masked vector becomes pending in the PBA and is sent once when unmasked", () => {
    const { machine, dev, config, msix } = enabled();
    program(machine, 1, 7, 1);
    dev.raiseMsix(1);
    dev.raiseMsix(1);
    const pba = TABLE + (config.read(msix + 8)! & ~7);
    expect(machine.read(pba)).toBe(2);
    expect(machine.accesses).toHaveLength(0);
    machine.write(TABLE + 16 + 12, 0);
    expect(machine.accesses).toHaveLength(1);
    expect(machine.read(pba)).toBe(0);
  });

  it("the function mask holds all vectors back", () => {
    const { machine, dev, config, msix } = enabled();
    program(machine, 0, 3);
    config.write(msix + 2, 0xc000, 2);
    dev.raiseMsix(0);
    expect(machine.accesses).toHaveLength(0);
    config.write(msix + 2, 0x8000, 2);
    expect(machine.read(RAM + 0x100)).toBe(3);
  });

  it("with MSI-X disabled nothing is sent and nothing becomes pending", () => {
    const { machine, dev, config, msix } = enabled();
    program(machine, 0, 3);
    config.write(msix + 2, 0, 2);
    dev.raiseMsix(0);
    config.write(msix + 2, 0x8000, 2);
    expect(machine.accesses).toHaveLength(0);
  });

  it("COMMAND.BME = 0 silences messages: they are memory writes", () => {
    const { machine, dev, config } = enabled();
    program(machine, 0, 3);
    config.command(MEM);
    dev.raiseMsix(0);
    expect(machine.read(RAM + 0x100)).toBe(0);
    expect(machine.accesses).toMatchObject([{ outcome: "dropped", write: true }]);
  });
});

describe("power states", () => {
  it("D3hot stops memory decoding and bus mastering; configuration space stays", () => {
    const { machine, dev, config } = place({ noSoftReset: true });
    config.write(0x10, WINDOW);
    config.command(MEM | BME);
    const pmcsr = config.capability(1) + 4;
    config.write(pmcsr, 3, 2);
    expect(machine.read(WINDOW)).toBeUndefined();
    expect(dev.dma.write(RAM, Uint8Array.of(1))).toBe(DmaStatus.dropped);
    expect(config.read(0)).toBe(0x5678_1234);
    expect(config.read(pmcsr, 2)! & 3).toBe(3);
  });

  it("with No_Soft_Reset the function comes back from D3hot as it was", () => {
    const { machine, dev, config } = place({ noSoftReset: true });
    config.write(0x10, WINDOW);
    config.command(MEM | BME);
    machine.write(WINDOW, 0x55);
    const pmcsr = config.capability(1) + 4;
    expect(config.read(pmcsr, 2)! & 8).toBe(8);
    config.write(pmcsr, 3, 2);
    config.write(pmcsr, 0, 2);
    expect(machine.read(WINDOW)).toBe(0x55);
    expect(dev.resets).toBe(0);
  });

  it("without No_Soft_Reset the way from D3hot to D0 resets the function, BARs and COMMAND too", () => {
    const { dev, config } = place();
    config.write(0x10, WINDOW);
    config.command(MEM | BME);
    const pmcsr = config.capability(1) + 4;
    config.write(pmcsr, 3, 2);
    expect(dev.resets).toBe(0);
    config.write(pmcsr, 0, 2);
    expect(dev.resets).toBe(1);
    expect([config.read(0x10), config.read(4, 2)]).toEqual([0, 0]);
  });

  it("a write of an unsupported state (D1, D2) changes nothing", () => {
    const { config } = place();
    const pmcsr = config.capability(1) + 4;
    for (const state of [1, 2]) {
      config.write(pmcsr, state, 2);
      expect(config.read(pmcsr, 2)! & 3).toBe(0);
    }
  });
});

describe("resets", () => {
  it("Function Level Reset, where DEVCAP offers it: DEVCTL bit 15 resets device and COMMAND and reads 0", () => {
    const { dev, config } = place({ functionLevelReset: true });
    const express = config.capability(0x10);
    expect(config.read(express + 4)! & (1 << 28)).toBe(1 << 28);
    config.command(MEM | BME);
    config.write(express + 8, 0x8000, 2);
    expect(dev.resets).toBe(1);
    expect(config.read(4, 2)).toBe(0);
    expect(config.read(express + 8, 2)! & 0x8000).toBe(0);
  });

  it("without it the bit does nothing", () => {
    const { dev, config } = place();
    config.write(config.capability(0x10) + 8, 0x8000, 2);
    expect(dev.resets).toBe(0);
  });

  it("a fundamental reset takes BARs off the bus and clears COMMAND", () => {
    const { machine, dev, config } = place();
    config.write(0x10, WINDOW);
    config.command(MEM | BME);
    machine.root.reset();
    expect(machine.read(WINDOW)).toBeUndefined();
    expect([config.read(0x10), config.read(4, 2), dev.resets]).toEqual([0, 0, 1]);
  });
});
