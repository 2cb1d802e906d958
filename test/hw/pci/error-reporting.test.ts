// SPDX-License-Identifier: MIT
/**
 * Errors of refused requests, after the PCI Express Base Specification §6.2 (signalling and logging), §7.5.1.1 (STATUS), §7.5.3
 * (device control and status) and §7.8.4 (advanced error reporting): who finds an error, what is logged, who is told.
 */
import { describe, expect, test } from "vitest";
import { DmaStatus, RootPort, type RootPortOptions } from "../../../src/hw/index.ts";
import { BME, type Config, MEM, PciMachine, RAM, type TestFunction, WINDOW } from "./support.ts";

const UR = 1 << 20;
const ADVISORY = 1 << 13;
const NOWHERE = 0x1_2345_6000;
const SERR = 0x100;
const STATUS = 6;
const RECEIVED_MASTER_ABORT = 0x2000;
const RECEIVED_TARGET_ABORT = 0x1000;

interface Rig {
  readonly machine: PciMachine;
  readonly port: Config;
  readonly dev: TestFunction;
  readonly config: Config;
  /** Of the port. */
  aer(offset: number): number;
  setAer(offset: number, value: number): void;
  /** DEVCTL and DEVSTA of the port. */
  control(value: number): void;
  status(): number;
  /** Messages that have arrived at RAM. */
  interrupts(): number;
}

const UNCORRECTABLE_STATUS = 4;
const UNCORRECTABLE_MASK = 8;
const SEVERITY = 12;
const CORRECTABLE_STATUS = 16;
const CORRECTABLE_MASK = 20;
const CONTROL = 24;
const HEADER = 28;
const ROOT_COMMAND = 44;
const ROOT_STATUS = 48;
const SOURCE = 52;

function rig(options: Partial<RootPortOptions> = { extended: { aer: true } }, abortsAs?: "completer-abort"): Rig {
  const machine = new PciMachine(abortsAs ? { abortsAs } : {});
  const rootPort = new RootPort({ name: "rp", trace: machine.trace, downstream: 1, ...options });
  machine.root.addFunction(0, 1, 0, rootPort);
  const dev = machine.function();
  machine.root.addFunction(1, 0, 0, dev);
  const port = machine.config("00:01.0");
  const config = machine.config("01:00.0");
  const { aer } = rootPort.extended;
  const { express, msix } = rootPort.capabilities;
  if (msix !== 0) {
    port.write(0x10, WINDOW);
    port.command(MEM | BME);
    machine.write(WINDOW, RAM);
    machine.write(WINDOW + 8, 0x77);
    machine.write(WINDOW + 12, 0);
    port.write(msix + 2, 0x8000, 2);
  }
  port.command(MEM | BME);
  config.command(BME);
  let seen = 0;
  return {
    machine,
    port,
    dev,
    config,
    aer: (offset) => port.read(aer + offset)!,
    setAer: (offset, value) => port.write(aer + offset, value),
    control: (value) => port.write(express + 8, value, 2),
    status: () => port.read(express + 10, 2)!,
    interrupts: () => {
      if (machine.read(RAM) === 0x77) seen++;
      machine.write(RAM, 0);
      return seen;
    },
  };
}

const read = ({ dev }: Rig, address: number = NOWHERE, length: number = 8): DmaStatus => dev.dma.read(address, new Uint8Array(length));
const write = ({ dev }: Rig, address: number = NOWHERE, length: number = 8): DmaStatus => dev.dma.write(address, new Uint8Array(length));
const ALL = 0xf;

describe("the requester", () => {
  test("of a read learns from the completion: Received Master Abort for Unsupported Request (§7.5.1.1.4)", () => {
    const all = rig();
    read(all);
    expect(all.config.read(STATUS, 2)! & 0xf900).toBe(RECEIVED_MASTER_ABORT & 0xf900);
    expect(all.config.read(STATUS, 2)! & (RECEIVED_MASTER_ABORT | RECEIVED_TARGET_ABORT)).toBe(RECEIVED_MASTER_ABORT);
  });

  test("Received Target Abort for Completer Abort, and the port has Signaled Target Abort on its secondary side", () => {
    const all = rig(undefined, "completer-abort");
    read(all);
    expect(all.config.read(STATUS, 2)! & (RECEIVED_MASTER_ABORT | RECEIVED_TARGET_ABORT)).toBe(RECEIVED_TARGET_ABORT);
    expect(all.port.read(0x1e, 2)! & 0x0800).toBe(0x0800);
    expect(all.aer(CORRECTABLE_STATUS)).toBe(ADVISORY);
    expect(all.status()).toBe(1);
  });

  test("of a posted write learns nothing", () => {
    const all = rig();
    write(all);
    expect(all.config.read(STATUS, 2)! & 0xf900).toBe(0);
    expect(all.config.read(STATUS, 2)! & (RECEIVED_MASTER_ABORT | RECEIVED_TARGET_ABORT)).toBe(0);
  });

  test("its error bits are cleared by writing 1", () => {
    const all = rig();
    read(all);
    all.config.write(STATUS, RECEIVED_MASTER_ABORT, 2);
    expect(all.config.read(STATUS, 2)! & RECEIVED_MASTER_ABORT).toBe(0);
  });

  test("a request that memory answers leaves no error anywhere", () => {
    const all = rig();
    expect([read(all, RAM), write(all, RAM)]).toEqual([DmaStatus.ok, DmaStatus.ok]);
    expect([all.status(), all.aer(UNCORRECTABLE_STATUS), all.aer(CORRECTABLE_STATUS), all.aer(ROOT_STATUS)]).toEqual([0, 0, 0, 0]);
  });
});

describe("a refused posted write", () => {
  test("is an uncorrectable error, non-fatal after reset, that the port logs with its header", () => {
    const all = rig();
    write(all, NOWHERE + 4, 8);
    expect(all.status()).toBe(0b1010);
    expect(all.aer(UNCORRECTABLE_STATUS)).toBe(UR);
    expect(all.aer(CONTROL) & 0x1f).toBe(20);
    // Four words with data, two words long, requester 01:00.0, all bytes of both.
    expect([0, 4, 8, 12].map((at) => all.aer(HEADER + at))).toEqual([0x6000_0002, 0x0100_00ff, 0x1, 0x2345_6004]);
  });

  test("below 4 GiB has a header of three words, and byte enables for what it does not begin or end with", () => {
    const all = rig();
    write(all, 0x1000_0003, 3);
    expect([0, 4, 8, 12].map((at) => all.aer(HEADER + at))).toEqual([0x4000_0002, 0x0100_0038, 0x1000_0000, 0]);
  });

  test("of bytes within one word has no last byte enables", () => {
    const all = rig();
    write(all, 0x1000_0001, 2);
    expect([0, 4].map((at) => all.aer(HEADER + at))).toEqual([0x4000_0001, 0x0100_0006]);
  });

  test("is reported to the root port only if non-fatal errors and unsupported requests are (§6.2.5)", () => {
    for (const [control, reported] of [
      [0, false],
      [0b0010, false],
      [0b1000, false],
      [0b1010, true],
    ] as const) {
      const all = rig();
      all.control(control);
      write(all);
      expect([control, all.aer(ROOT_STATUS) !== 0]).toEqual([control, reported]);
    }
  });

  test("is reported with COMMAND.SERR# too, which STATUS then says", () => {
    const all = rig();
    all.port.command(MEM | BME | SERR);
    write(all);
    expect(all.aer(ROOT_STATUS)).toBe(0x24);
    expect(all.port.read(STATUS, 2)! & 0x4000).toBe(0x4000);
  });

  test("masked is in the status and nowhere else", () => {
    const all = rig();
    all.control(ALL);
    all.setAer(UNCORRECTABLE_MASK, UR);
    write(all);
    expect([all.aer(UNCORRECTABLE_STATUS), all.aer(HEADER), all.aer(ROOT_STATUS)]).toEqual([UR, 0, 0]);
  });

  test("with a fatal severity is a fatal error", () => {
    const all = rig();
    all.control(ALL);
    all.setAer(SEVERITY, UR);
    write(all);
    expect(all.status()).toBe(0b1100);
    expect(all.aer(ROOT_STATUS)).toBe(0x54);
  });
});

describe("a refused read", () => {
  test("is an advisory error, masked after reset: it leaves only its bit (§6.2.3.2.4.1)", () => {
    const all = rig();
    all.control(ALL);
    read(all);
    expect(all.status()).toBe(0b1001);
    expect([all.aer(CORRECTABLE_STATUS), all.aer(UNCORRECTABLE_STATUS), all.aer(HEADER), all.aer(ROOT_STATUS)]).toEqual([
      ADVISORY,
      0,
      0,
      0,
    ]);
  });

  test("unmasked is logged as the error that it is and reported as a correctable one", () => {
    const all = rig();
    all.control(ALL);
    all.setAer(CORRECTABLE_MASK, 0);
    read(all);
    expect(all.aer(UNCORRECTABLE_STATUS)).toBe(UR);
    expect(all.aer(HEADER)).toBe(0x2000_0002);
    expect(all.aer(ROOT_STATUS)).toBe(1);
    expect(all.aer(SOURCE)).toBe(0x0008);
  });

  test("with a fatal severity is not advisory", () => {
    const all = rig();
    all.control(ALL);
    all.setAer(SEVERITY, UR);
    read(all);
    expect(all.aer(CORRECTABLE_STATUS)).toBe(0);
    expect(all.aer(ROOT_STATUS)).toBe(0x54);
  });

  test("is not reported by SERR#, which is for uncorrectable errors", () => {
    const all = rig();
    all.port.command(MEM | BME | SERR);
    all.setAer(CORRECTABLE_MASK, 0);
    read(all);
    expect(all.aer(ROOT_STATUS)).toBe(0);
  });
});

describe("more than one error", () => {
  test("the header and the pointer are the first one's until its bit is cleared (§6.2.4.2)", () => {
    const all = rig();
    write(all, 0x1000_0000);
    write(all, 0x2000_0000);
    expect(all.aer(HEADER + 8)).toBe(0x1000_0000);
    all.setAer(UNCORRECTABLE_STATUS, UR);
    write(all, 0x3000_0000);
    expect(all.aer(HEADER + 8)).toBe(0x3000_0000);
  });

  test("the root port keeps the first source and says that there were more", () => {
    const all = rig();
    all.control(ALL);
    write(all);
    write(all);
    expect(all.aer(ROOT_STATUS)).toBe(0x2c);
    expect(all.aer(SOURCE) >>> 16).toBe(0x0008);
  });
});

describe("an access of several packets", () => {
  test("written is refused packet by packet, none longer than DEVCTL's payload size: the header is the first one's (§2.2.7)", () => {
    const all = rig();
    all.control(ALL);
    write(all, 0x1000_0000, 300);
    expect(all.aer(HEADER) & 0x3ff).toBe(128 / 4);
    expect(all.aer(ROOT_STATUS)).toBe(0x2c);
  });

  test("of as much as a packet holds is one", () => {
    const all = rig();
    all.control(ALL);
    write(all, 0x1000_0000, 128);
    expect(all.aer(ROOT_STATUS)).toBe(0x24);
    const { express } = all.dev.capabilities;
    all.config.write(express + 8, all.config.read(express + 8, 2)! | (1 << 5), 2);
    all.setAer(UNCORRECTABLE_STATUS, UR);
    all.setAer(ROOT_STATUS, 0x7f);
    write(all, 0x1000_0000, 256);
    expect(all.aer(HEADER) & 0x3ff).toBe(256 / 4);
    expect(all.aer(ROOT_STATUS)).toBe(0x24);
  });

  test("crosses 4 KiB in none", () => {
    const all = rig();
    all.control(ALL);
    write(all, 0x1000_0ff8, 16);
    expect(all.aer(HEADER) & 0x3ff).toBe(2);
    expect(all.aer(ROOT_STATUS)).toBe(0x2c);
  });

  test("read is asked for in requests of DEVCTL's read request size, 512 bytes after reset", () => {
    const all = rig();
    all.control(ALL);
    all.setAer(CORRECTABLE_MASK, 0);
    read(all, 0x1000_0000, 1024);
    expect(all.aer(HEADER) & 0x3ff).toBe(512 / 4);
    expect(all.aer(ROOT_STATUS)).toBe(3);
  });
});

describe("the root port's interrupt", () => {
  test("comes when a message arrives of a kind that ROOT_COMMAND enables (§6.2.4.1.2)", () => {
    for (const [command, count] of [
      [0, 0],
      [1, 0],
      [2, 1],
      [4, 0],
    ] as const) {
      const all = rig();
      all.control(ALL);
      all.setAer(ROOT_COMMAND, command);
      write(all);
      expect([command, all.interrupts()]).toEqual([command, count]);
    }
  });

  test("comes once until software has cleared the status: a message is an edge", () => {
    const all = rig();
    all.control(ALL);
    all.setAer(ROOT_COMMAND, 7);
    write(all);
    expect(all.interrupts()).toBe(1);
    write(all);
    expect(all.interrupts()).toBe(1);
    all.setAer(ROOT_STATUS, all.aer(ROOT_STATUS));
    write(all);
    expect(all.interrupts()).toBe(2);
  });

  test("comes when software enables what is pending already", () => {
    const all = rig();
    all.control(ALL);
    write(all);
    expect(all.interrupts()).toBe(0);
    all.setAer(ROOT_COMMAND, 2);
    expect(all.interrupts()).toBe(1);
  });

  test("a root port without bus mastering cannot send it", () => {
    const all = rig();
    all.control(ALL);
    all.setAer(ROOT_COMMAND, 7);
    all.port.command(MEM);
    write(all);
    expect(all.aer(ROOT_STATUS)).toBe(0x24);
    expect(all.interrupts()).toBe(0);
  });
});

describe("ports", () => {
  test("one whose bus mastering is off refuses by itself, always as Unsupported Request (§7.5.1.1.3)", () => {
    const all = rig(undefined, "completer-abort");
    all.port.command(MEM);
    read(all, RAM);
    expect(all.config.read(STATUS, 2)! & (RECEIVED_MASTER_ABORT | RECEIVED_TARGET_ABORT)).toBe(RECEIVED_MASTER_ABORT);
    write(all, RAM);
    expect(all.aer(UNCORRECTABLE_STATUS)).toBe(UR);
  });

  interface Two {
    readonly upper: Config;
    readonly lower: Config;
    /** Registers of the upper port's capability. */
    aer(offset: number): number;
    /** DEVCTL of a port. */
    control(port: "upper" | "lower", value: number): void;
    /** A request of the function below both, which the lower port refuses: its bus mastering is off. */
    write(): void;
    read(): void;
  }

  function two(lowerAer: boolean = true): Two {
    const machine = new PciMachine();
    const extended = { aer: true };
    const busNumbers = { secondary: 1, subordinate: 2 };
    const ports = {
      upper: new RootPort({ name: "up", trace: machine.trace, downstream: 1, busNumbers, extended }),
      lower: new RootPort({ name: "low", trace: machine.trace, downstream: 2, ...(lowerAer ? { extended } : {}) }),
    };
    machine.root.addFunction(0, 0, 0, ports.upper);
    machine.root.addFunction(1, 0, 0, ports.lower);
    const dev = machine.function();
    machine.root.addFunction(2, 0, 0, dev);
    machine.config("02:00.0").command(BME);
    const upper = machine.config("00:00.0");
    const lower = machine.config("01:00.0");
    upper.command(BME);
    return {
      upper,
      lower,
      aer: (offset) => upper.read(ports.upper.extended.aer + offset)!,
      control: (which, value) => (which === "upper" ? upper : lower).write(ports[which].capabilities.express + 8, value, 2),
      write: () => dev.dma.write(RAM, new Uint8Array(4)),
      read: () => dev.dma.read(RAM, new Uint8Array(4)),
    };
  }
  const SECONDARY_STATUS = 0x1e;
  const BRIDGE_CONTROL = 0x3e;

  test("a message from below goes up only if BRIDGE_CONTROL.SERR# lets it in; that it came is in SECONDARY_STATUS anyway (§7.5.1.3.6)", () => {
    for (const serr of [0, 2]) {
      const { upper, aer, control, write: refused } = two();
      upper.write(BRIDGE_CONTROL, serr, 2);
      control("upper", ALL);
      control("lower", ALL);
      refused();
      expect([serr, aer(SOURCE) >>> 16]).toEqual([serr, serr === 0 ? 0 : 0x0100]);
      expect(upper.read(SECONDARY_STATUS, 2)! & 0x4000).toBe(0x4000);
    }
  });

  test("one of an uncorrectable error gets out only if DEVCTL or COMMAND.SERR# of the port have it reported (§6.2.6, §7.5.1.1.3)", () => {
    for (const [devctl, serr, arrives] of [
      [0, 0, false],
      [0b0100, 0, false],
      [0b0010, 0, true],
      [0, SERR, true],
    ] as const) {
      const { upper, aer, control, write: refused } = two();
      upper.write(BRIDGE_CONTROL, 2, 2);
      upper.command(BME | serr);
      control("upper", devctl);
      control("lower", ALL);
      refused();
      expect([devctl, serr, aer(ROOT_STATUS) !== 0]).toEqual([devctl, serr, arrives]);
      expect(upper.read(STATUS, 2)! & 0x4000).toBe(serr === 0 ? 0 : 0x4000);
    }
  });

  test("one of a correctable error needs nothing but BRIDGE_CONTROL.SERR#, and is no system error", () => {
    const { upper, lower, aer, control, read: refused } = two();
    upper.write(BRIDGE_CONTROL, 2, 2);
    control("upper", 0);
    control("lower", ALL);
    lower.write(0x100 + CORRECTABLE_MASK, 0);
    refused();
    expect(aer(ROOT_STATUS)).toBe(1);
    expect(aer(SOURCE) & 0xffff).toBe(0x0100);
    expect(upper.read(SECONDARY_STATUS, 2)! & 0x4000).toBe(0);
  });

  test("without the capability a completer of a read reports nothing, having answered it (§6.2.3.2.4.1); of a write it does", () => {
    const { upper, aer, control, read: refusedRead, write: refusedWrite } = two(false);
    upper.write(BRIDGE_CONTROL, 2, 2);
    control("upper", ALL);
    control("lower", ALL);
    refusedRead();
    expect(aer(ROOT_STATUS)).toBe(0);
    refusedWrite();
    expect(aer(ROOT_STATUS)).toBe(0x24);
  });

  test("a reset of the link leaves what has been logged, with masks and severities; what is enabled in ROOT_COMMAND goes (§7.8.4)", () => {
    const { upper, lower, control, write: refused } = two();
    control("lower", ALL);
    const at = 0x100;
    lower.write(at + SEVERITY, UR);
    lower.write(at + ROOT_COMMAND, 7);
    refused();
    const logged = [UNCORRECTABLE_STATUS, SEVERITY, CONTROL, HEADER, HEADER + 4, HEADER + 8];
    const before = logged.map((offset) => lower.read(at + offset));
    const express = lower.capability(0x10);
    expect([before[0], before[1], before[3]]).toEqual([UR, UR, 0x4000_0001]);
    upper.write(BRIDGE_CONTROL, 0x40, 2);
    upper.write(BRIDGE_CONTROL, 0, 2);
    upper.write(0x18, 0x0002_0100);
    expect(logged.map((offset) => lower.read(at + offset))).toEqual(before);
    expect([lower.read(at + ROOT_COMMAND), lower.read(express + 10, 2)]).toEqual([0, 0]);
  });

  test("a reset of the machine leaves nothing", () => {
    const all = rig();
    all.setAer(SEVERITY, UR);
    write(all);
    all.machine.root.reset();
    const port = all.machine.config("00:01.0");
    expect([UNCORRECTABLE_STATUS, SEVERITY, HEADER].map((offset) => port.read(0x100 + offset))).toEqual([0, 0x0046_2030, 0]);
  });

  test("without the capability DEVSTA still says what was found, and nothing else happens", () => {
    const all = rig({});
    all.control(ALL);
    write(all);
    read(all);
    expect(all.status()).toBe(0b1011);
  });

  test("a function on the root bus has nobody who would report its errors, and is answered all the same", () => {
    const machine = new PciMachine();
    const dev = machine.function();
    machine.root.addFunction(0, 3, 0, dev);
    machine.config("00:03.0").command(BME);
    expect(dev.dma.read(NOWHERE, new Uint8Array(4))).toBe(DmaStatus.abort);
    expect(machine.config("00:03.0").read(STATUS, 2)! & RECEIVED_MASTER_ABORT).toBe(RECEIVED_MASTER_ABORT);
  });
});
