// SPDX-License-Identifier: MIT
/** Root ports: routing by bus numbers, memory windows downwards, BME upwards. */
import { describe, expect, it } from "vitest";
import { DmaStatus, HostMisuseError, RootPort, type RootPortOptions } from "../../../src/hw/index.ts";
import { BME, MEM, PciMachine, RAM, WINDOW, type Config, type TestFunction } from "./support.ts";

const MIB = 0x10_0000;

function place(options: Partial<RootPortOptions> = {}): {
  machine: PciMachine;
  port: Config;
  dev: TestFunction;
  config: Config;
  rootPort: RootPort;
} {
  const machine = new PciMachine();
  const rootPort = new RootPort({ name: "rp", trace: machine.trace, downstream: 1, ...options });
  machine.root.addFunction(0, 0, 0, rootPort);
  const dev = machine.function();
  machine.root.addFunction(1, 0, 0, dev);
  return { machine, port: machine.config("00:00.0"), dev, config: machine.config("01:00.0"), rootPort };
}
/** Opens the port's window for one MiB at WINDOW, and the function's BAR in it. */
function open({ port, config }: { port: Config; config: Config }): void {
  port.write(0x20, (WINDOW >>> 16) | (WINDOW & 0xfff0_0000));
  port.command(MEM | BME);
  config.write(0x10, WINDOW);
  config.command(MEM | BME);
}

describe("configuration routing", () => {
  it("a root port has a type 1 header and says so in its PCI Express capability", () => {
    const { port } = place();
    expect(port.read(0x0e, 1)! & 0x7f).toBe(1);
    expect((port.read(port.capability(0x10) + 2, 2)! >>> 4) & 0xf).toBe(4);
    expect(port.read(8)! >>> 8).toBe(0x060400);
  });

  it("functions below are found on the secondary bus that software programmed, and only there", () => {
    const { machine, port } = place();
    expect(machine.config("01:00.0").read(0)).toBe(0x5678_1234);
    port.write(0x18, 0x0003_0300);
    expect(machine.config("01:00.0").read(0)).toBe(0xffff_ffff);
    expect(machine.config("03:00.0").read(0)).toBe(0x5678_1234);
  });

  it("a secondary bus of 0, as before enumeration, hides what is below", () => {
    const { machine } = place({ busNumbers: { secondary: 0, subordinate: 0 } });
    expect(machine.config("01:00.0").read(0)).toBe(0xffff_ffff);
    expect(machine.config("00:00.0").read(0, 2)).toBe(0x13b5);
  });

  it("the requester id below follows the secondary bus number", () => {
    const { machine, port, dev } = place();
    port.write(0x18, 0x0002_0200);
    port.command(BME);
    machine.config("02:00.0").command(BME);
    dev.dma.write(RAM, Uint8Array.of(1));
    expect(dev.requesterId).toBe(0x200);
    expect(machine.requesters).toEqual([0x200]);
  });

  it("a function behind a port that does not exist is refused", () => {
    const { machine } = place();
    expect(() => machine.root.addFunction(2, 0, 0, machine.function())).toThrow(HostMisuseError);
  });
});

describe("memory window", () => {
  it("a BAR below decodes only inside the port's window and with the port's COMMAND.MEM", () => {
    const all = place();
    const { machine, port, config } = all;
    config.write(0x10, WINDOW);
    config.command(MEM);
    expect(machine.read(WINDOW)).toBeUndefined();
    open(all);
    expect(machine.read(WINDOW)).toBe(0);
    port.command(BME);
    expect(machine.read(WINDOW)).toBeUndefined();
    port.command(MEM);
    expect(machine.read(WINDOW)).toBe(0);
    config.write(0x10, WINDOW + MIB);
    expect(machine.read(WINDOW + MIB)).toBeUndefined();
  });

  it("base above limit is a closed window", () => {
    const all = place();
    open(all);
    all.port.write(0x20, 0x0000_fff0);
    expect(all.machine.read(WINDOW)).toBeUndefined();
  });

  it("the prefetchable window forwards too", () => {
    const all = place();
    open(all);
    all.port.write(0x20, 0x0000_fff0);
    all.port.write(0x24, (WINDOW >>> 16) | (WINDOW & 0xfff0_0000));
    expect(all.machine.read(WINDOW)).toBe(0);
  });

  it("windows and bus numbers given as firmware's are there after reset", () => {
    const { machine, port, config } = place({ window: { base: WINDOW, size: MIB } });
    machine.root.reset();
    expect(port.read(0x20)).toBe(((WINDOW & 0xfff0_0000) | (WINDOW >>> 16)) >>> 0);
    port.command(MEM);
    config.write(0x10, WINDOW);
    config.command(MEM);
    expect(machine.read(WINDOW)).toBe(0);
  });
});

describe("COMMAND.BME of the port", () => {
  it("0 drops writes from below silently and answers reads as Unsupported Request", () => {
    const all = place();
    open(all);
    const { machine, port, dev } = all;
    port.command(MEM);
    expect(dev.dma.write(RAM, Uint8Array.of(1))).toBe(DmaStatus.dropped);
    expect(dev.dma.read(RAM, new Uint8Array(4))).toBe(DmaStatus.abort);
    expect(machine.read(RAM)).toBe(0);
    expect(machine.accesses.map(({ outcome }) => outcome)).toEqual(["dropped", "dropped"]);
  });

  it("0 leaves CPU accesses downwards alone", () => {
    const all = place();
    open(all);
    all.port.command(MEM);
    expect(all.machine.read(WINDOW)).toBe(0);
  });

  it("0 stops CPU accesses downwards as well on a bridge like the LS7A's", () => {
    const all = place({ bmeGatesMmio: true });
    open(all);
    expect(all.machine.read(WINDOW)).toBe(0);
    all.port.command(MEM);
    expect(all.machine.read(WINDOW)).toBeUndefined();
  });

  it("1 lets requests through again without the function doing anything", () => {
    const all = place();
    open(all);
    all.port.command(MEM);
    all.port.command(MEM | BME);
    expect(all.dev.dma.write(RAM, Uint8Array.of(1))).toBe(DmaStatus.ok);
  });
});

describe("secondary bus reset", () => {
  it("BRIDGE_CONTROL bit 6 resets the functions below and not the port", () => {
    const all = place();
    open(all);
    all.port.write(0x3e, 0x40, 2);
    expect(all.dev.resets).toBe(1);
    expect(all.config.read(4, 2)).toBe(0);
    expect(all.port.read(4, 2)! & BME).toBe(BME);
  });
});
