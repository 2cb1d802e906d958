// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { BusStatus, DirectDmaPort, type DmaEvents, DmaStatus, HostMisuseError, type MmioDevice, SystemBus } from "../../../src/hw/index.ts";
import { Trace } from "../../../src/sim/index.ts";

const RAM = 0x8000_0000;

function machine(): { bus: SystemBus; log: string[] } {
  const bus = new SystemBus(48);
  const log: string[] = [];
  const device: MmioDevice = {
    read: (offset, width) => {
      log.push(`r${width}@${offset.toString(16)}`);
      return 0x1100_0000 + offset;
    },
    write: (offset, width, value) => {
      log.push(`w${width}@${offset.toString(16)}=${value.toString(16)}`);
    },
  };
  bus.addRam({ name: "dram", base: RAM, size: 0x8000_0000 });
  bus.addWindow({ name: "regs", base: 0x1000_0000, size: 0x1000, device, widths: [4, 8] });
  bus.addWindow({ name: "quiet", base: 0x1000_1000, size: 0x1000, device, badWidth: "raz-wi" });
  return { bus, log };
}

describe("RAM", () => {
  test("untouched memory reads as zero and costs nothing, at any address of 48 bits", () => {
    const bus = new SystemBus(48);
    bus.addRam({ name: "huge", base: 0, size: 2 ** 48 });
    const out = new Uint32Array(4);
    expect(bus.loadWords(2 ** 48 - 16, out, 4)).toBe(BusStatus.ok);
    expect([...out]).toEqual([0, 0, 0, 0]);
    expect(bus.memory.bytesInUse).toBe(0);
    bus.memory.write32(2 ** 48 - 4, 0xdead_beef);
    expect(bus.memory.read32(2 ** 48 - 4)).toBe(0xdead_beef);
    expect(bus.memory.bytesInUse).toBe(65_536);
  });

  test("bytes, words and blocks see the same little-endian memory", () => {
    const { bus } = machine();
    bus.memory.write32(RAM + 0xfffc, 0x0403_0201);
    bus.memory.write16(RAM + 0x10000, 0x0605);
    const out = new Uint8Array(8);
    bus.memory.readBytes(RAM + 0xfffc, out);
    expect([...out]).toEqual([1, 2, 3, 4, 5, 6, 0, 0]);
    expect(bus.memory.read8(RAM + 0xfffe)).toBe(3);
  });

  test("an unaligned access inside RAM reads the bytes that are there", () => {
    const { bus } = machine();
    bus.memory.writeBytes(RAM + 1, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const out = new Uint32Array(2);
    expect(bus.read(RAM + 1, 8, out)).toBe(BusStatus.ok);
    expect([...out]).toEqual([0x0403_0201, 0x0807_0605]);
  });

  test("filling untouched memory with zero costs nothing", () => {
    const { bus } = machine();
    bus.memory.fill(RAM, 0x1000_0000, 0);
    expect(bus.memory.bytesInUse).toBe(0);
    bus.memory.fill(RAM + 0xfffe, 4, 0xaa);
    expect(bus.memory.read32(RAM + 0xfffc)).toBe(0xaaaa_0000);
  });
});

describe("MMIO windows", () => {
  test("an access reaches the device with its offset and width", () => {
    const { bus, log } = machine();
    const out = new Uint32Array(2);
    expect(bus.read(0x1000_0020, 4, out)).toBe(BusStatus.ok);
    expect(out[0]).toBe(0x1100_0020);
    expect(bus.write(0x1000_0044, 4, 0x8010_0000)).toBe(BusStatus.ok);
    expect(log).toEqual(["r4@20", "w4@44=80100000"]);
  });

  test("64 bits go as two 32-bit accesses, low half first, where the device knows no better", () => {
    const { bus, log } = machine();
    bus.write(0x1000_0080, 8, 1, 2);
    expect(log).toEqual(["w4@80=1", "w4@84=2"]);
  });

  test("an unsupported width or alignment aborts, or is RAZ/WI where the window says so", () => {
    const { bus, log } = machine();
    const out = Uint32Array.of(7, 7);
    expect(bus.read(0x1000_0000, 1, out)).toBe(BusStatus.abort);
    expect(bus.read(0x1000_0002, 4, out)).toBe(BusStatus.abort);
    expect(bus.read(0x1000_1000, 1, out)).toBe(BusStatus.ok);
    expect(out[0]).toBe(0);
    expect(bus.write(0x1000_1000, 2, 5)).toBe(BusStatus.ok);
    expect(log).toEqual([]);
  });

  test("nothing decodes a hole", () => {
    const { bus } = machine();
    expect(bus.read(0x2000_0000, 4, new Uint32Array(2))).toBe(BusStatus.abort);
    expect(bus.writeBytes(0x2000_0000, new Uint8Array(64))).toBe(BusStatus.abort);
    expect(bus.readBytes(RAM + 0x8000_0000 - 4, new Uint8Array(8))).toBe(BusStatus.abort);
  });

  test("a window can hide", () => {
    const bus = new SystemBus();
    let shown = false;
    bus.addWindow({ name: "bar", base: 0x1000, size: 0x1000, device: { read: () => 5, write: () => {} }, enabled: () => shown });
    const out = new Uint32Array(2);
    expect(bus.read(0x1000, 4, out)).toBe(BusStatus.abort);
    shown = true;
    expect(bus.read(0x1000, 4, out)).toBe(BusStatus.ok);
  });

  test("overlaps, odd ranges and impossible widths are the builder's mistake", () => {
    const { bus } = machine();
    const device: MmioDevice = { read: () => 0, write: () => {} };
    expect(() => bus.addWindow({ name: "clash", base: 0x1000_0000, size: 0x2000, device })).toThrow(/clash .* overlaps regs/);
    expect(() => bus.addRam({ name: "odd", base: 1, size: 4096 })).toThrow(HostMisuseError);
    expect(() => bus.addRam({ name: "beyond", base: 2 ** 48 - 4096, size: 8192 })).toThrow(/48 address bits/);
    expect(() => new SystemBus(64)).toThrow(HostMisuseError);
  });
});

describe("injection", () => {
  test("an injected range aborts or poisons the accesses that touch it, until it is taken away", () => {
    const { bus } = machine();
    const remove = bus.inject({ base: RAM + 0x1000, size: 8, status: BusStatus.abort, on: "read" });
    bus.inject({ base: RAM + 0x2000, size: 4, status: BusStatus.poison });
    const words = new Uint32Array(4);
    expect(bus.loadWords(RAM + 0x1000, words, 2)).toBe(BusStatus.abort);
    expect(bus.storeWords(RAM + 0x1000, words, 2)).toBe(BusStatus.ok);
    expect(bus.readBytes(RAM + 0x0ff8, new Uint8Array(8))).toBe(BusStatus.ok);
    expect(bus.readBytes(RAM + 0x0ff8, new Uint8Array(9))).toBe(BusStatus.abort);
    expect(bus.read(RAM + 0x2000, 4, words)).toBe(BusStatus.poison);
    remove();
    expect(bus.loadWords(RAM + 0x1000, words, 2)).toBe(BusStatus.ok);
  });
});

describe("a master wired straight to memory", () => {
  test("reaches RAM at the address it gives, and each access is traced", () => {
    const { bus } = machine();
    const trace = new Trace<DmaEvents>();
    const seen: unknown[] = [];
    trace.on("dma.access", ({ data }) => seen.push(data));
    const port = new DirectDmaPort(bus, "nic", trace);
    expect(port.write(RAM + 16, Uint8Array.of(1, 2, 3))).toBe(DmaStatus.ok);
    expect(port.read(0x4000_0000, new Uint8Array(16))).toBe(DmaStatus.abort);
    expect(bus.memory.read32(RAM + 16)).toBe(0x0003_0201);
    expect(seen).toEqual([
      { master: "nic", streamId: undefined, address: RAM + 16, physical: RAM + 16, length: 3, write: true, outcome: "bypassed", bus: 0 },
      {
        master: "nic",
        streamId: undefined,
        address: 0x4000_0000,
        physical: 0x4000_0000,
        length: 16,
        write: false,
        outcome: "bypassed",
        bus: 1,
      },
    ]);
  });
});
