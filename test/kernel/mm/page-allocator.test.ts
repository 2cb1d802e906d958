// SPDX-License-Identifier: GPL-2.0-only
/** Pages: who has which, from where they are served, and what a wrong free does. */
import { describe, expect, test } from "vitest";
import { KernelBuffer, NO_PAGES, PAGE_SIZE, RangeSet } from "../../../src/kernel/index.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const RAM = 0x8000_0000;
const MIB = 0x10_0000;

function machine(size: number = 16 * MIB, memoryLimits?: { base: number; size: number }): TestKernel {
  return makeTestKernel({ memory: [{ base: RAM, size }], ...(memoryLimits ? { kernel: { memoryLimits } } : {}) });
}

describe("alloc_pages", () => {
  test("serves from the lowest free address, and a freed page is the next one served", () => {
    const { kernel } = machine();
    const first = kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel");
    const second = kernel.mm.alloc_pages(PAGE_SIZE, "b", "kernel");
    expect([first, second]).toEqual([RAM, RAM + PAGE_SIZE]);
    kernel.mm.free_pages(first, PAGE_SIZE, "a");
    expect(kernel.mm.alloc_pages(PAGE_SIZE, "c", "kernel")).toBe(first);
  });

  test("rounds up to whole pages and remembers owner, kind and size", () => {
    const { kernel, platform } = machine();
    const pa = kernel.mm.alloc_pages(5000, "e1000e", "dma-coherent");
    expect(kernel.mm.ownerOf(pa + 8191)).toEqual({ base: RAM, size: 8192, owner: "e1000e", kind: "dma-coherent", reserved: false });
    expect(kernel.mm.ownerOf(pa + 8192)).toBeNull();
    expect(platform.pages.log).toEqual(["allocated 80000000+2000 e1000e dma-coherent"]);
  });

  test("gives zeroed memory, whatever the last owner left in it", () => {
    const { kernel, platform } = machine();
    const pa = kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel");
    platform.bus.write32(pa + 0xffc, 0xdead_beef);
    kernel.mm.free_pages(pa, PAGE_SIZE, "a");
    expect(platform.bus.read32(pa + 0xffc)).toBe(0xdead_beef);
    expect(kernel.mm.alloc_pages(PAGE_SIZE, "b", "kernel")).toBe(pa);
    expect(platform.bus.read32(pa + 0xffc)).toBe(0);
  });

  test("aligns when asked", () => {
    const { kernel } = machine();
    kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel");
    expect(kernel.mm.alloc_pages(0x8000, "b", "kernel", { align: 0x8000 })).toBe(RAM + 0x8000);
    expect(kernel.mm.alloc_pages(PAGE_SIZE, "c", "kernel")).toBe(RAM + PAGE_SIZE);
  });

  test("keeps below a limit and away from ranges to avoid", () => {
    const { kernel } = machine();
    expect(kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel", { below: RAM })).toBe(NO_PAGES);
    const avoid = [{ base: RAM, size: 0x3000 }];
    expect(kernel.mm.alloc_pages(0x2000, "a", "kernel", { avoid })).toBe(RAM + 0x3000);
  });

  test("fails without memory and says who asked", () => {
    const { kernel } = machine(2 * PAGE_SIZE);
    expect(kernel.mm.alloc_pages(3 * PAGE_SIZE, "greedy", "kernel")).toBe(NO_PAGES);
    expect(kernel.printk.lines.at(-1)?.text).toContain("greedy: page allocation failure");
  });

  test("never gives out physical page 0", () => {
    const { kernel } = makeTestKernel({ memory: [{ base: 0, size: MIB }] });
    expect(kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel")).toBe(PAGE_SIZE);
  });

  test("a crash kernel gets nothing outside its limits", () => {
    const { kernel } = machine(16 * MIB, { base: RAM + 8 * MIB, size: MIB });
    expect(kernel.mm.freeBytes).toBe(MIB);
    expect(kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel")).toBe(RAM + 8 * MIB);
  });
});

describe("free_pages", () => {
  test("a double free is reported and frees nothing twice", () => {
    const { kernel } = machine();
    const pa = kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel");
    const free = kernel.mm.freeBytes;
    kernel.mm.free_pages(pa, PAGE_SIZE, "a");
    kernel.mm.free_pages(pa, PAGE_SIZE, "a");
    expect(kernel.warnings[0]?.message).toContain("double free");
    expect(kernel.mm.freeBytes).toBe(free + PAGE_SIZE);
  });

  test("another size than allocated is reported, and the block stays", () => {
    const { kernel } = machine();
    const pa = kernel.mm.alloc_pages(2 * PAGE_SIZE, "a", "kernel");
    kernel.mm.free_pages(pa, PAGE_SIZE, "a");
    expect(kernel.warnings).toHaveLength(1);
    expect(kernel.mm.ownerOf(pa)?.owner).toBe("a");
  });

  test("an address inside another's block is reported that names the owner", () => {
    const { kernel } = machine();
    const pa = kernel.mm.alloc_pages(2 * PAGE_SIZE, "victim", "kernel");
    kernel.mm.free_pages(pa + PAGE_SIZE, PAGE_SIZE, "thief");
    expect(kernel.warnings[0]?.message).toMatch(/thief.*victim/);
  });

  test("tells the ownership shadow who freed", () => {
    const { kernel, platform } = machine();
    kernel.mm.free_pages(kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel"), PAGE_SIZE, "b");
    expect(platform.pages.log.at(-1)).toBe("freed 80000000+1000 b");
  });
});

describe("early_alloc", () => {
  test("comes top-down from the end of RAM", () => {
    const { kernel } = machine();
    expect(kernel.mm.early_alloc(0x3000, "page structs")).toBe(RAM + 16 * MIB - 0x3000);
    expect(kernel.mm.early_alloc(PAGE_SIZE, "per-CPU")).toBe(RAM + 16 * MIB - 0x4000);
  });

  test("stays below 4 GiB where there is RAM above", () => {
    const { kernel } = makeTestKernel({ memory: [{ base: 0xff00_0000, size: 32 * MIB }] });
    expect(kernel.mm.early_alloc(PAGE_SIZE, "page structs")).toBe(0xffff_f000);
  });
});

describe("reserve", () => {
  test("keeps its contents and is never handed out", () => {
    const { kernel, platform } = machine();
    platform.bus.write32(RAM, 0x1234);
    expect(kernel.mm.reserve(RAM, 0x1800, "image", "image")).toBe(true);
    expect(platform.bus.read32(RAM)).toBe(0x1234);
    expect(kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel")).toBe(RAM + 0x2000);
  });

  test("of memory in use is an oops", () => {
    const { kernel } = machine();
    kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel");
    expect(kernel.mm.reserve(RAM, PAGE_SIZE, "b", "kernel")).toBe(false);
    expect(kernel.oopses).toHaveLength(1);
  });
});

describe("KernelBuffer", () => {
  test("reads and writes little-endian in all widths", () => {
    const { kernel } = machine();
    const buffer = KernelBuffer.alloc(kernel, 64, "a")!;
    buffer.set64(8, 0x1122_3344_5566_7788n);
    expect(buffer.get8(8)).toBe(0x88);
    expect(buffer.get16(8)).toBe(0x7788);
    expect(buffer.get32(12)).toBe(0x1122_3344);
    buffer.write(16, new Uint8Array([1, 2, 3]));
    expect([...buffer.bytes(15, 5)]).toEqual([0x11, 1, 2, 3, 0]);
  });

  test("use after free is reported, once", () => {
    const { kernel } = machine();
    const buffer = KernelBuffer.alloc(kernel, 64, "ring")!;
    buffer.free();
    buffer.get32(0);
    buffer.set32(0, 1);
    expect(kernel.warnings.map((report) => report.message)).toEqual([expect.stringMatching(/use-after-free: read of 4 bytes.*ring/)]);
  });

  test("an access behind the end is reported", () => {
    const { kernel } = machine();
    KernelBuffer.alloc(kernel, 64, "ring")!.get32(62);
    expect(kernel.warnings[0]?.message).toContain("out-of-bounds");
  });
});

describe("RangeSet", () => {
  test("merges what touches and splits what is cut", () => {
    const set = new RangeSet();
    set.add(0, 10);
    set.add(20, 10);
    set.add(10, 10);
    expect(set.ranges).toEqual([{ base: 0, size: 30 }]);
    set.remove(5, 10);
    expect(set.ranges).toEqual([
      { base: 0, size: 5 },
      { base: 15, size: 15 },
    ]);
    expect(set.total).toBe(20);
  });
});
