// SPDX-License-Identifier: GPL-2.0-only
/** Booting from real bytes: what is overwritten is found out by whoever uses it. */
import { describe, expect, test } from "vitest";
import {
  boot_regions,
  type BootFiles,
  build_kernel_image,
  dtNode,
  type DtNode,
  execute_kernel_text,
  FdtError,
  firmware_load,
  loaded_blob,
  PAGE_SIZE,
  patternBytes,
} from "../../../src/kernel/index.ts";
import { memoryBlob } from "../support/blob.ts";
import { FakePlatform, makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const RAM = 0xff80_0000;
const memory = [{ base: RAM, size: 0x80_0000 }];
const files: BootFiles = {
  kernel: build_kernel_image("linux 7.1", 18),
  initrd: patternBytes("initrd", 8192),
  dtb: memoryBlob(memory),
};

/** A machine whose firmware has loaded a kernel that did not start yet. */
function loaded(): TestKernel {
  const boot = firmware_load(new FakePlatform({ memory }).bus, memory, files);
  const machine = makeTestKernel({ memory, kernel: { boot } });
  firmware_load(machine.platform.bus, memory, files);
  return machine;
}

/** Runs until `ready`, spoils a word, and lets the boot go on to its end or its oops. */
function bootAndSpoil(address: (machine: TestKernel) => number | undefined): TestKernel {
  const machine = loaded();
  machine.kernel.spawn("swapper", machine.kernel.boot());
  let at: number | undefined;
  machine.sim.run({ until: () => (at = address(machine)) !== undefined, limitNs: 1e9 });
  machine.platform.bus.write32(at!, 0xffff_ffff);
  machine.idle(1e9);
  return machine;
}

const region = (name: string) => (machine: TestKernel) => boot_regions(machine.kernel).find((found) => found.name === name)?.base;

describe("build_kernel_image", () => {
  test("is the same for one name and differs between names", () => {
    const image = (name: string): Uint8Array => build_kernel_image(name, 4).bytes;
    expect(Buffer.compare(image("a"), image("a"))).toBe(0);
    expect(Buffer.compare(image("a"), image("b"))).not.toBe(0);
  });

  test('has arm64\'s header: image size at 16, "ARM\\x64" at 56', () => {
    const { bytes } = build_kernel_image("a", 4);
    expect(new DataView(bytes.buffer).getUint32(16, true)).toBe(5 * PAGE_SIZE);
    expect(String.fromCharCode(...bytes.slice(56, 60))).toBe("ARM\x64");
  });

  test("refuses more text pages than its header holds check words for", () => {
    expect(() => build_kernel_image("a", 961)).toThrow(RangeError);
  });
});

describe("a cold boot", () => {
  test("firmware puts the image at the start of RAM, 2 MiB aligned, and it comes up", () => {
    const machine = loaded();
    expect(machine.kernel.bootInfo).toMatchObject({ kind: "cold", image: { base: RAM } });
    machine.run(machine.kernel.boot());
    expect(machine.kernel.state).toBe("running");
    expect(machine.kernel.oopses).toEqual([]);
  });

  test("takes virtual time, in which devices can interfere", () => {
    const machine = loaded();
    machine.run(machine.kernel.boot());
    expect(machine.sim.now).toBeGreaterThan(18 * 1000);
  });

  test("early allocations come from right below 4 GiB, the image's pages are reserved", () => {
    const machine = loaded();
    machine.run(machine.kernel.boot());
    const top = boot_regions(machine.kernel).find(({ name }) => name === "page tables")!;
    expect(top.base + top.size).toBe(0x1_0000_0000);
    expect(machine.kernel.mm.ownerOf(RAM)?.kind).toBe("image");
    expect(machine.kernel.mm.ownerOf(top.base)).toMatchObject({ owner: "page tables", kind: "early" });
  });

  test("the regions to watch hold what memory holds", () => {
    const machine = loaded();
    machine.run(machine.kernel.boot());
    for (const { base, size, contents } of boot_regions(machine.kernel)) {
      const bytes = new Uint8Array(size);
      machine.platform.bus.readBytes(base, bytes);
      expect(Buffer.compare(bytes, contents)).toBe(0);
    }
  });

  test("the initrd moves to early memory, and is freed once it is unpacked", () => {
    const machine = loaded();
    const { base } = machine.kernel.bootInfo!.initrd!;
    machine.run(machine.kernel.boot());
    expect(machine.kernel.mm.ownerOf(base)).toBeNull();
    expect(boot_regions(machine.kernel).some(({ name }) => name === "initrd copy")).toBe(false);
    expect(machine.kernel.printk.lines.some(({ text }) => text === "Freeing initrd memory: 8K")).toBe(true);
  });

  test("a kernel without boot information has no text to execute", () => {
    const machine = makeTestKernel();
    machine.run(execute_kernel_text(machine.kernel, "all"));
    expect(machine.sim.now).toBe(0);
  });
});

describe("what memblock makes of a blob", () => {
  const BASE = 0x8000_0000;
  const MIB = 0x10_0000;
  const ram = [{ base: BASE, size: 16 * MIB }];
  const sizeOf = ({ kernel }: TestKernel): number => kernel.mm.memory.reduce((sum, { size }) => sum + size, 0);

  /** Boots from a blob that lies apart from image and initrd. */
  function bootedFrom(dtb: Uint8Array): TestKernel {
    const given: BootFiles = { kernel: build_kernel_image("linux 7.1", 8) };
    const boot = firmware_load(new FakePlatform({ memory: ram }).bus, ram, given);
    const blob = loaded_blob("dtb", dtb, BASE + 8 * MIB);
    const machine = makeTestKernel({ memory: ram, kernel: { boot: { ...boot, dtb: blob } } });
    firmware_load(machine.platform.bus, ram, given);
    machine.platform.bus.writeBytes(blob.base, dtb);
    machine.run(machine.kernel.boot());
    return machine;
  }

  test("RAM that two nodes name is there once, and what is no whole page is not there", () => {
    const nodes = [...ram, { base: BASE + 8 * MIB, size: 8 * MIB }, { base: BASE + 16 * MIB + 0x800, size: 0x400 }];
    expect(sizeOf(bootedFrom(memoryBlob(nodes, { size: 2048 })))).toBe(16 * MIB);
  });

  test("an empty usable range caps nothing, and a second one is added", () => {
    const chosen = dtNode({
      name: "chosen",
      properties: { "linux,usable-memory-range": [0, BASE, 0, 0, 0, BASE + 12 * MIB, 0, MIB] },
    });
    expect(sizeOf(bootedFrom(memoryBlob([{ base: BASE, size: 12 * MIB }], { nodes: [chosen], size: 2048 })))).toBe(13 * MIB);
  });

  test("the list of reservations ends at the first that is empty", () => {
    const reservations = [
      { address: BigInt(BASE + 11 * MIB), size: 0n },
      { address: BigInt(BASE + 12 * MIB), size: BigInt(MIB) },
    ];
    const { mm } = bootedFrom(memoryBlob(ram, { reservations, size: 2048 })).kernel;
    let inside = 0;
    for (let pa = mm.alloc_pages(4096, "all", "kernel"); pa >= 0; pa = mm.alloc_pages(4096, "all", "kernel"))
      if (pa >= BASE + 12 * MIB && pa < BASE + 13 * MIB) inside++;
    expect(inside).toBe(256);
  });
});

describe("what a kernel takes from its blob", () => {
  const MIB = 0x10_0000;
  /** A kernel that firmware has loaded with this blob on a machine with more RAM than the blob may say. */
  function booted(dtb: Uint8Array, initrd?: Uint8Array): TestKernel {
    const all: BootFiles = { kernel: files.kernel, dtb, ...(initrd ? { initrd } : {}) };
    const ram = [{ base: RAM - 8 * MIB, size: 16 * MIB }];
    const boot = firmware_load(new FakePlatform({ memory: ram }).bus, memory, all);
    const machine = makeTestKernel({ memory: ram, kernel: { boot } });
    firmware_load(machine.platform.bus, memory, all);
    machine.run(machine.kernel.boot());
    return machine;
  }
  /** Every page that the kernel would hand out. */
  function given({ kernel }: TestKernel): number[] {
    const pages: number[] = [];
    for (;;) {
      const pa = kernel.mm.alloc_pages(PAGE_SIZE, "all", "kernel");
      if (pa < 0) return pages;
      pages.push(pa);
    }
  }
  const chosen = (properties: DtNode["properties"]): DtNode => dtNode({ name: "chosen", properties });
  const at = (base: number): number[] => [0, base];

  test("its memory: the memory nodes, whatever RAM there is besides (early_init_dt_scan_memory)", () => {
    const machine = booted(memoryBlob(memory));
    expect(machine.kernel.mm.memory).toEqual(memory);
    expect(Math.min(...given(machine))).toBeGreaterThanOrEqual(RAM);
  });

  test("linux,usable-memory-range caps it, and a second range is added (early_init_dt_check_for_usable_mem_range)", () => {
    const ranges = [...at(RAM), ...at(6 * MIB), ...at(RAM - 4 * MIB), ...at(MIB)];
    const machine = booted(memoryBlob(memory, { nodes: [chosen({ "linux,usable-memory-range": ranges })] }));
    expect(machine.kernel.mm.memory).toEqual([
      { base: RAM, size: 6 * MIB },
      { base: RAM - 4 * MIB, size: MIB },
    ]);
  });

  test("the command line's limit comes on top (memory_limit)", () => {
    const dtb = memoryBlob(memory);
    const boot = firmware_load(new FakePlatform({ memory }).bus, memory, { kernel: files.kernel, dtb });
    const machine = makeTestKernel({ memory, kernel: { boot, memoryLimits: { base: RAM - MIB, size: 5 * MIB } } });
    firmware_load(machine.platform.bus, memory, { kernel: files.kernel, dtb });
    machine.run(machine.kernel.boot());
    expect(machine.kernel.mm.memory).toEqual([{ base: RAM, size: 4 * MIB }]);
  });

  test("what /reserved-memory and /memreserve/ name is never handed out (early_init_fdt_scan_reserved_mem)", () => {
    const carveout = dtNode({ name: "fb@0", reg: [{ base: RAM + 4 * MIB, size: MIB }] });
    const reserved = dtNode({ name: "reserved-memory", children: [carveout] });
    const reservations = [{ address: BigInt(RAM + 6 * MIB), size: 0x1800n }];
    const pages = given(booted(memoryBlob(memory, { nodes: [reserved], reservations })));
    const inside = (base: number, size: number): number[] => pages.filter((pa) => pa >= base && pa < base + size);
    expect(inside(RAM + 4 * MIB, MIB)).toEqual([]);
    expect(inside(RAM + 6 * MIB, 0x2000)).toEqual([]);
    expect(inside(RAM + 6 * MIB + 0x2000, PAGE_SIZE)).toHaveLength(1);
  });

  test("a region that is reserved twice, or lies partly outside, is no mistake", () => {
    const carveout = (base: number): DtNode => dtNode({ name: `fb@${base}`, reg: [{ base, size: MIB }] });
    const reserved = dtNode({
      name: "reserved-memory",
      children: [carveout(RAM + 4 * MIB), carveout(RAM + 4.5 * MIB), carveout(RAM - MIB / 2)],
    });
    const { kernel } = booted(memoryBlob(memory, { nodes: [reserved] }));
    expect([kernel.state, kernel.oopses]).toEqual(["running", []]);
  });

  test("its initrd is where the boot loader said, in /chosen", () => {
    const machine = booted(memoryBlob(memory), files.initrd);
    expect(machine.kernel.printk.lines.some(({ text }) => text === "Freeing initrd memory: 8K")).toBe(true);
  });

  test("without linux,initrd-start there is no initrd, whatever lies in memory", () => {
    const blob = memoryBlob(memory);
    const boot = firmware_load(new FakePlatform({ memory }).bus, memory, { kernel: files.kernel, initrd: files.initrd! });
    const dtb = loaded_blob("dtb", blob, RAM + 4 * MIB);
    const machine = makeTestKernel({ memory, kernel: { boot: { ...boot, dtb } } });
    firmware_load(machine.platform.bus, memory, { kernel: files.kernel, initrd: files.initrd! });
    machine.platform.bus.writeBytes(dtb.base, blob);
    machine.run(machine.kernel.boot());
    expect(machine.kernel.printk.lines.some(({ text }) => text.startsWith("Freeing initrd memory"))).toBe(false);
  });

  test("an initrd that the tree says lies outside of its memory is given up (reserve_initrd_mem)", () => {
    const machine = booted(memoryBlob(memory, { nodes: [chosen({ "linux,initrd-start": at(0x1000), "linux,initrd-end": at(0x3000) })] }));
    expect(machine.kernel.printk.lines.some(({ text }) => text.includes("INITRD: 0x1000+0x2000 is not a memory region"))).toBe(true);
    expect(machine.kernel.state).toBe("running");
  });

  test("firmware refuses a blob that is none", () => {
    const load = (): unknown => firmware_load(new FakePlatform({ memory }).bus, memory, { ...files, dtb: patternBytes("dtb", 512) });
    expect(load).toThrow(FdtError);
  });

  test("a blob without memory is invalid", () => {
    const blob = memoryBlob([]);
    const boot = firmware_load(new FakePlatform({ memory }).bus, memory, { kernel: files.kernel, dtb: blob });
    const machine = makeTestKernel({ memory, kernel: { boot } });
    firmware_load(machine.platform.bus, memory, { kernel: files.kernel, dtb: blob });
    expect(machine.runToOops(machine.kernel.boot())).toContain("invalid device tree blob: it names no memory");
  });
});

describe("a spoiled kernel", () => {
  test("an overwritten text page is an undefined instruction that names page, address and word", () => {
    const machine = loaded();
    const pa = RAM + 11 * PAGE_SIZE;
    machine.platform.bus.write32(pa + 0x40, 0xffff_ffff);
    const message = machine.runToOops(machine.kernel.boot());
    expect(message).toContain("Undefined instruction: text page 10 of linux 7.1 at 0xff80b000");
    expect(message).toContain("0xffffffff at 0xff80b040");
  });

  test("it comes when the page is executed: stages before it still run", () => {
    const machine = loaded();
    machine.platform.bus.write32(RAM + 18 * PAGE_SIZE, 0xffff_ffff);
    machine.runToOops(machine.kernel.boot());
    // The initrd is unpacked at fs_initcall, the last page runs at the end.
    expect(machine.kernel.printk.lines.some(({ text }) => text.startsWith("Freeing initrd memory"))).toBe(true);
  });

  test("init's death is a panic, and nothing goes on", () => {
    const machine = loaded();
    machine.platform.bus.write32(RAM + 2 * PAGE_SIZE, 0xffff_ffff);
    machine.runToOops(machine.kernel.boot());
    machine.idle(1e9);
    expect(machine.kernel.state).toBe("crashed");
    expect(machine.kernel.printk.lines.some(({ text }) => text.startsWith("Kernel panic - not syncing: Attempted to kill init!"))).toBe(
      true,
    );
  });

  test("a spoiled header does not start", () => {
    const machine = loaded();
    machine.platform.bus.write32(RAM + 0x38, 0);
    expect(machine.runToOops(machine.kernel.boot())).toContain("bad magic");
  });

  test("a spoiled device tree is refused", () => {
    const machine = loaded();
    machine.platform.bus.write32(machine.kernel.bootInfo!.dtb!.base, 0xffff_ffff);
    expect(machine.runToOops(machine.kernel.boot())).toContain("invalid device tree blob");
  });

  test("an initrd spoiled where it was loaded does not unpack", () => {
    const machine = loaded();
    machine.platform.bus.write32(machine.kernel.bootInfo!.initrd!.base + 0x100, 0xffff_ffff);
    expect(machine.runToOops(machine.kernel.boot())).toContain("Initramfs unpacking failed");
  });

  test("nor does one whose copy was spoiled", () => {
    const machine = bootAndSpoil(region("initrd copy"));
    expect(machine.kernel.oopses[0]?.message).toContain("Initramfs unpacking failed");
  });

  test.each(["page structs", "per-CPU areas", "page tables"])("spoiled %s end in a paging request", (name) => {
    const machine = bootAndSpoil(region(name));
    expect(machine.kernel.oopses[0]?.message).toMatch(new RegExp(`Unable to handle kernel paging request: ${name} at`));
  });

  test("the idle bounce pool may be spoiled unnoticed", () => {
    const machine = bootAndSpoil(region("swiotlb"));
    expect(machine.kernel.oopses).toEqual([]);
    expect(machine.kernel.state).toBe("running");
  });
});
