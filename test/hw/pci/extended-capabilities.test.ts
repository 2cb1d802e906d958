// SPDX-License-Identifier: MIT
/** Extended configuration space seen by software: the list, and what can be written in each capability. */
import { describe, expect, it } from "vitest";
import { type ExtendedCapabilities, HostMisuseError, RootPort } from "../../../src/hw/index.ts";
import { type Config, PciMachine, TestFunction } from "./support.ts";

function place(extended?: ExtendedCapabilities): { config: Config; dev: TestFunction } {
  const machine = new PciMachine();
  const dev = new TestFunction({ trace: machine.trace, ...(extended ? { extended } : {}) });
  machine.root.addFunction(0, 1, 0, dev);
  return { config: machine.config("00:01.0"), dev };
}

/** Ids and versions along the list, with offsets. */
function list(config: Config): { id: number; version: number; at: number }[] {
  const found = [];
  for (let at = 0x100; at !== 0;) {
    const header = config.read(at, 4)!;
    if (header === 0) break;
    found.push({ id: header & 0xffff, version: (header >>> 16) & 0xf, at });
    at = header >>> 20;
  }
  return found;
}

const ALL: ExtendedCapabilities = { aer: true, ats: {}, pri: { capacity: 16 }, pasid: { width: 16, execute: true } };

describe("the list", () => {
  it("is empty without capabilities: the dword at 0x100 is 0", () => {
    expect(place().config.read(0x100, 4)).toBe(0);
  });

  it("begins at 0x100 and holds AER version 2, ATS, PRI and PASID version 1", () => {
    const { config, dev } = place(ALL);
    expect(list(config).map(({ id, version }) => [id, version])).toEqual([
      [0x01, 2],
      [0x0f, 1],
      [0x13, 1],
      [0x1b, 1],
    ]);
    expect(list(config).map(({ at }) => at)).toEqual([dev.extended.aer, dev.extended.ats, dev.extended.pri, dev.extended.pasid]);
  });

  it("begins at 0x100 whichever is first", () => {
    const { config, dev } = place({ pasid: { width: 20 } });
    expect(list(config)).toEqual([{ id: 0x1b, version: 1, at: 0x100 }]);
    expect(dev.extended).toEqual({ aer: 0, ats: 0, pri: 0, pasid: 0x100 });
  });

  it("PASIDs need TLP prefixes: DEVCAP2 says that the function passes one", () => {
    for (const [extended, prefixes] of [
      [{ pasid: { width: 1 } }, 0x0060_0000],
      [{ ats: {} }, 0],
    ] as const) {
      const { config, dev } = place(extended);
      expect(config.read(dev.capabilities.express + 0x24, 4)! & 0x00e0_0000).toBe(prefixes);
    }
  });

  it.each<ExtendedCapabilities>([
    { ats: { queueDepth: 33 } },
    { ats: { queueDepth: 0 } },
    { pri: { capacity: 0 } },
    { pasid: { width: 21 } },
  ])("%o is refused", (extended) => {
    expect(() => place(extended)).toThrow(HostMisuseError);
  });
});

describe("ATS", () => {
  it("a queue depth of 32 reads as 0, others as themselves; bit 5 says that addresses are those of pages", () => {
    for (const [ats, value] of [
      [{}, 0x20],
      [{ queueDepth: 5, pageAligned: false }, 5],
    ] as const) {
      const { config, dev } = place({ ats });
      expect(config.read(dev.extended.ats + 4, 2)).toBe(value);
    }
  });

  it("of the control register the unit and the enable bit can be written, the capability not; a reset turns it off", () => {
    const { config, dev } = place(ALL);
    config.write(dev.extended.ats + 4, 0xffff_ffff, 4);
    expect(config.read(dev.extended.ats + 4, 4)).toBe(0x801f_0020);
    dev.reset();
    expect(config.read(dev.extended.ats + 6, 2)).toBe(0);
  });
});

describe("PRI", () => {
  it("Stopped is set and nothing is outstanding; capacity is fixed, allocation is software's", () => {
    const { config, dev } = place({ pri: { capacity: 16, responsePasid: true } });
    const at = dev.extended.pri;
    expect([config.read(at + 6, 2), config.read(at + 8, 4), config.read(at + 12, 4)]).toEqual([0x8100, 16, 0]);
    config.write(at + 8, 1, 4);
    config.write(at + 12, 8, 4);
    expect([config.read(at + 8, 4), config.read(at + 12, 4)]).toEqual([16, 8]);
  });

  it("Enable stays, Reset reads as 0", () => {
    const { config, dev } = place(ALL);
    config.write(dev.extended.pri + 4, 3, 2);
    expect(config.read(dev.extended.pri + 4, 2)).toBe(1);
  });
});

describe("PASID", () => {
  it("width and kinds; only kinds that it has can be enabled", () => {
    const { config, dev } = place(ALL);
    expect(config.read(dev.extended.pasid + 4, 2)).toBe(0x1002);
    config.write(dev.extended.pasid + 6, 0xffff, 2);
    expect(config.read(dev.extended.pasid + 6, 2)).toBe(0x3);
  });
});

describe("AER", () => {
  it("after reset nothing is reported, internal errors, advisory ones and log overflow are masked, six kinds are fatal", () => {
    const { config, dev } = place(ALL);
    expect([4, 8, 12, 16, 20].map((offset) => config.read(dev.extended.aer + offset, 4))).toEqual([0, 0x0040_0000, 0x0046_2030, 0, 0xe000]);
  });

  it("of a root port: software enables its three interrupts", () => {
    const machine = new PciMachine();
    const port = new RootPort({ name: "port", trace: machine.trace, downstream: 1, extended: { aer: true } });
    machine.root.addFunction(0, 2, 0, port);
    const config = machine.config("00:02.0");
    config.write(port.extended.aer + 0x2c, 0xffff_ffff, 4);
    expect(config.read(port.extended.aer + 0x2c, 4)).toBe(7);
    config.write(port.extended.aer + 0x30, 0xffff_ffff, 4);
    expect(config.read(port.extended.aer + 0x30, 4)).toBe(0);
  });

  it("an endpoint has no root error registers: ATS follows after 0x2c bytes", () => {
    const { dev } = place(ALL);
    expect(dev.extended.ats - dev.extended.aer).toBe(0x2c);
  });
});
