// SPDX-License-Identifier: GPL-2.0-only
/** io-pgtable-arm: Linux's self test over its 63 configurations and both stages, then descriptors and table life. */
import { describe, expect, test } from "vitest";
import { ArmLpaeIoPgtable } from "../../../src/drivers/iommu/io-pgtable-arm.ts";
import type { IoPgtableCfg, IoPgtableFmt } from "../../../src/drivers/iommu/io-pgtable.ts";
import {
  EEXIST,
  EINVAL,
  ENOMEM,
  ERANGE,
  IOMMU_CACHE,
  IOMMU_MMIO,
  IOMMU_NOEXEC,
  IOMMU_PRIV,
  IOMMU_READ,
  IOMMU_WRITE,
} from "../../../src/kernel/index.ts";

const SZ_4K = 0x1000;
const SZ_16K = 0x4000;
const SZ_64K = 0x1_0000;
const SZ_2M = 0x20_0000;
const SZ_32M = 0x200_0000;
const SZ_512M = 0x2000_0000;
const SZ_1G = 0x4000_0000;
const RW_NOEXEC_CACHE = IOMMU_READ | IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_CACHE;

/** Table memory and what the table asked of its owner. */
class Tables {
  readonly words = new Map<number, bigint>();
  readonly live = new Map<number, number>();
  readonly warnings: string[] = [];
  /** What happened, in order. */
  readonly log: string[] = [];
  limit = Infinity;
  #next = 0x8000_0000;

  cfg(overrides: Partial<IoPgtableCfg> = {}): IoPgtableCfg {
    return {
      pgsize_bitmap: SZ_4K + SZ_2M + SZ_1G,
      ias: 48,
      oas: 48,
      coherent_walk: true,
      tlb: {
        tlb_flush_walk: (iova, size, granule) => this.log.push(`flush ${iova.toString(16)} ${size.toString(16)} ${granule.toString(16)}`),
      },
      memory: {
        alloc: (size) => {
          if (this.live.size >= this.limit) return null;
          const align = Math.max(size, 64);
          const pa = Math.ceil(this.#next / align) * align;
          this.#next = pa + size;
          this.live.set(pa, size);
          return pa;
        },
        free: (pa, size) => {
          if (this.live.get(pa) !== size) throw new Error(`bad free of 0x${pa.toString(16)}`);
          this.live.delete(pa);
          this.log.push("free");
        },
        read: (pa) => this.words.get(pa) ?? 0n,
        write: (pa, descriptor) => {
          this.words.set(pa, descriptor);
          this.log.push(descriptor === 0n ? "clear" : "write");
        },
      },
      warn: (message) => this.warnings.push(message),
      ...overrides,
    };
  }

  table(fmt: IoPgtableFmt, overrides: Partial<IoPgtableCfg> = {}): ArmLpaeIoPgtable {
    const table = ArmLpaeIoPgtable.alloc(fmt, this.cfg(overrides));
    if (table === null) throw new Error("no table");
    return table;
  }
}

/** Linux maps in a loop until everything is mapped; one page at a time here. */
function map(table: ArmLpaeIoPgtable, iova: number, pa: number, size: number): number {
  return table.map_pages(iova, pa, size, 1, RW_NOEXEC_CACHE).ret;
}

const PAGE_SETS: readonly (readonly number[])[] = [
  [SZ_4K, SZ_2M, SZ_1G],
  [SZ_16K, SZ_32M],
  [SZ_64K, SZ_512M],
];
const ADDRESS_SIZES = [32, 36, 40, 42, 44, 48];

function configurations(): { sizes: readonly number[]; ias: number; oas: number }[] {
  return PAGE_SETS.flatMap((sizes) =>
    ADDRESS_SIZES.flatMap((ias) => ADDRESS_SIZES.filter((oas) => oas >= ias).map((oas) => ({ sizes, ias, oas }))),
  );
}

describe("arm_lpae_do_selftests", () => {
  test("there are 63 configurations", () => expect(configurations()).toHaveLength(63));

  for (const fmt of ["ARM_64_LPAE_S1", "ARM_64_LPAE_S2"] as const) {
    test.each(configurations())(`${fmt}, pages $sizes, ias $ias, oas $oas`, ({ sizes, ias, oas }) => {
      const tables = new Tables();
      const table = tables.table(fmt, { pgsize_bitmap: sizes.reduce((a, b) => a + b), ias, oas });

      // Nothing is mapped at first.
      for (const iova of [42, SZ_1G + 42, 2 * SZ_1G + 42]) expect(table.iova_to_phys(iova)).toBe(0);

      // One page of each size, a GiB apart; a page cannot be mapped twice.
      sizes.forEach((size, i) => {
        const iova = i * SZ_1G;
        expect(map(table, iova, iova, size)).toBe(0);
        expect(map(table, iova, iova + size, size)).toBe(-EEXIST);
        expect(table.iova_to_phys(iova + 42)).toBe(iova + 42);
      });

      // Away and back.
      sizes.forEach((size, i) => {
        const iova = i * SZ_1G;
        expect(table.unmap_pages(iova, size, 1)).toBe(size);
        expect(table.iova_to_phys(iova + 42)).toBe(0);
        expect(map(table, iova, iova, size)).toBe(0);
        expect(table.iova_to_phys(iova + 42)).toBe(iova + 42);
      });

      // The last page of the input range, of the largest size.
      const size = sizes.at(-1)!;
      const iova = 2 ** ias - size;
      expect(map(table, iova, iova, size)).toBe(0);
      expect(table.unmap_pages(iova, size, 1)).toBe(size);
      expect(table.iova_to_phys(iova + 42)).toBe(0);

      table.free();
      expect(tables.live.size).toBe(0);
    });
  }
});

describe("table geometry", () => {
  test("a 48-bit stage 1 of 4 KiB pages starts at level 0 with 512 entries, T0SZ 16, TG0 0", () => {
    const table = new Tables().table("ARM_64_LPAE_S1", { ias: 48, oas: 44 });
    expect(table.geometry.start_level).toBe(0);
    expect(table.pgd_size).toBe(4096);
    expect(table.arm_lpae_s1_cfg()).toEqual({
      ttbr: BigInt(table.pgd),
      tcr: { ips: 4, tg: 0, sh: 3, orgn: 1, irgn: 1, tsz: 16 },
      mair: 0xffff_ffff_f404_ff44n,
    });
  });

  test("walks that do not snoop are outer shareable and non-cacheable", () => {
    const { tcr } = new Tables().table("ARM_64_LPAE_S1", { coherent_walk: false }).arm_lpae_s1_cfg();
    expect(tcr).toMatchObject({ sh: 2, orgn: 0, irgn: 0 });
  });

  test.each([
    { granule: SZ_4K, ias: 40, oas: 40, start: 1, pgd: 2 * SZ_4K, sl: 1 },
    { granule: SZ_4K, ias: 42, oas: 42, start: 1, pgd: 8 * SZ_4K, sl: 1 },
    { granule: SZ_4K, ias: 44, oas: 44, start: 0, pgd: 32 * 8, sl: 2 },
    { granule: SZ_16K, ias: 48, oas: 48, start: 1, pgd: 2 * SZ_16K, sl: 2 },
    { granule: SZ_16K, ias: 40, oas: 40, start: 2, pgd: 16 * SZ_16K, sl: 1 },
    { granule: SZ_64K, ias: 48, oas: 48, start: 1, pgd: 64 * 8, sl: 2 },
  ])("stage 2, granule $granule, $ias bits: start level $start, $pgd bytes, SL0 $sl (DDI 0487 concatenation)", (c) => {
    const table = new Tables().table("ARM_64_LPAE_S2", { pgsize_bitmap: c.granule, ias: c.ias, oas: c.oas });
    expect({ start: table.geometry.start_level, pgd: table.pgd_size, sl: table.arm_lpae_s2_cfg().vtcr.sl }).toEqual({
      start: c.start,
      pgd: c.pgd,
      sl: c.sl,
    });
    expect(table.pgd % table.pgd_size).toBe(0);
  });

  test("arm_lpae_restrict_pgsizes keeps the kernel's granule, else the next larger", () => {
    const all = SZ_4K + SZ_2M + SZ_1G + SZ_16K + SZ_32M + SZ_64K + SZ_512M;
    expect(new Tables().table("ARM_64_LPAE_S1", { pgsize_bitmap: all }).geometry.pgsize_bitmap).toBe(SZ_4K + SZ_2M + SZ_1G);
    expect(new Tables().table("ARM_64_LPAE_S1", { pgsize_bitmap: all - SZ_4K - SZ_2M - SZ_1G }).geometry.granule).toBe(SZ_16K);
  });

  test("64 KiB pages with 52 output bits keep PA[51:48] in bits 15:12 and have 4 TiB blocks", () => {
    const tables = new Tables();
    const table = tables.table("ARM_64_LPAE_S1", { pgsize_bitmap: SZ_64K + SZ_512M + 2 ** 42, ias: 48, oas: 52 });
    expect(table.geometry.pgsize_bitmap).toBe(SZ_64K + SZ_512M + 2 ** 42);
    const pa = 0xa_1234_5678_0000;
    expect(map(table, 0, pa, SZ_64K)).toBe(0);
    expect(table.iova_to_phys(0x42)).toBe(pa + 0x42);
    const leaf = [...tables.words.values()].at(-1)!;
    expect(leaf & 0xffff_ffff_f000n).toBe(0x1234_5678_a000n);
  });
});

describe("descriptors (arm_lpae_prot_to_pte)", () => {
  function leaf(fmt: IoPgtableFmt, prot: number, size = SZ_4K): bigint {
    const tables = new Tables();
    expect(tables.table(fmt).map_pages(0, 0x4000_0000, size, 1, prot).ret).toBe(0);
    return [...tables.words.values()].at(-1)!;
  }
  const AF_PAGE = 0x403n;
  const PA = 0x4000_0000n;
  const nG = 0x800n;
  const UNPRIV = 0x40n;
  const RDONLY = 0x80n;
  const IS = 0x300n;
  const OS = 0x200n;

  test.each([
    ["read and write, cacheable", IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE, UNPRIV | IS | (1n << 2n)],
    ["read only", IOMMU_READ | IOMMU_CACHE, UNPRIV | RDONLY | IS | (1n << 2n)],
    ["write only is read and write", IOMMU_WRITE, UNPRIV | OS],
    ["privileged", IOMMU_READ | IOMMU_WRITE | IOMMU_PRIV, OS],
    ["device memory, never executable", IOMMU_WRITE | IOMMU_MMIO | IOMMU_NOEXEC, UNPRIV | OS | (2n << 2n) | (3n << 53n)],
  ])("stage 1: %s", (_name, prot, bits) => expect(leaf("ARM_64_LPAE_S1", prot)).toBe(AF_PAGE | PA | nG | bits));

  test.each([
    ["read and write, cacheable", IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE, 0xc0n | IS | (0xfn << 2n)],
    ["read only, non-cacheable", IOMMU_READ, 0x40n | OS | (0x5n << 2n)],
    ["write only device memory", IOMMU_WRITE | IOMMU_MMIO, 0x80n | OS | (0x1n << 2n)],
  ])("stage 2: %s", (_name, prot, bits) => expect(leaf("ARM_64_LPAE_S2", prot)).toBe(AF_PAGE | PA | bits));

  test("a block has type 1", () => expect(leaf("ARM_64_LPAE_S1", IOMMU_READ, SZ_2M) & 3n).toBe(1n));
});

describe("map_pages and unmap_pages", () => {
  test("arguments out of range are refused", () => {
    const tables = new Tables();
    const table = tables.table("ARM_64_LPAE_S1", { ias: 40, oas: 40 });
    expect(table.map_pages(0, 0, SZ_16K, 1, IOMMU_READ).ret).toBe(-EINVAL);
    expect(table.map_pages(0, 0, SZ_4K, 1, IOMMU_CACHE).ret).toBe(-EINVAL);
    expect(table.map_pages(2 ** 40, 0, SZ_4K, 1, IOMMU_READ).ret).toBe(-ERANGE);
    expect(table.map_pages(0, 2 ** 40, SZ_4K, 1, IOMMU_READ).ret).toBe(-ERANGE);
    expect(tables.warnings).toHaveLength(3);
  });

  test("a block larger than the first level's is refused", () => {
    const table = new Tables().table("ARM_64_LPAE_S1", { pgsize_bitmap: SZ_64K + SZ_512M + 2 ** 42, ias: 42, oas: 52 });
    expect(table.geometry.start_level).toBe(2);
    expect(map(table, 0, 0, 2 ** 42)).toBe(-EINVAL);
    expect(table.unmap_pages(0, 2 ** 42, 1)).toBe(0);
  });

  test("one call maps up to the end of the first table, however small it is", () => {
    const table = new Tables().table("ARM_64_LPAE_S1", { ias: 32, oas: 40 });
    expect(table.map_pages(2 * SZ_1G, 0, SZ_1G, 8, IOMMU_READ)).toEqual({ ret: 0, mapped: 2 * SZ_1G });
  });

  test("one call maps up to the end of a table", () => {
    const table = new Tables().table("ARM_64_LPAE_S1");
    expect(table.map_pages(510 * SZ_4K, SZ_1G, SZ_4K, 8, IOMMU_READ)).toEqual({ ret: 0, mapped: 2 * SZ_4K });
    expect(table.map_pages(512 * SZ_4K, SZ_1G + 2 * SZ_4K, SZ_4K, 6, IOMMU_READ)).toEqual({ ret: 0, mapped: 6 * SZ_4K });
    expect(table.iova_to_phys(517 * SZ_4K)).toBe(SZ_1G + 7 * SZ_4K);
    expect(table.unmap_pages(510 * SZ_4K, SZ_4K, 8)).toBe(2 * SZ_4K);
  });

  test("mapping needs no TLB maintenance", () => {
    const tables = new Tables();
    map(tables.table("ARM_64_LPAE_S1"), 0, 0, SZ_4K);
    expect(tables.log.filter((line) => line.startsWith("flush"))).toEqual([]);
  });

  test("without memory for a sub-table the map fails with -ENOMEM", () => {
    const tables = new Tables();
    const table = tables.table("ARM_64_LPAE_S1");
    tables.limit = 2;
    expect(map(table, 0, 0, SZ_4K)).toBe(-ENOMEM);
  });

  test("a block over an emptied table: clear, flush the walk, free the table, then write", () => {
    const tables = new Tables();
    const table = tables.table("ARM_64_LPAE_S1");
    map(table, SZ_2M, SZ_1G, SZ_4K);
    table.unmap_pages(SZ_2M, SZ_4K, 1);
    tables.log.length = 0;
    expect(map(table, SZ_2M, SZ_1G, SZ_2M)).toBe(0);
    expect(tables.log).toEqual(["clear", "flush 200000 200000 1000", "free", "write"]);
    expect(table.iova_to_phys(SZ_2M + 42)).toBe(SZ_1G + 42);
  });

  test("unmapping a range whose pages are in a table takes the table away, flushed before it is freed", () => {
    const tables = new Tables();
    const table = tables.table("ARM_64_LPAE_S1");
    map(table, SZ_2M, SZ_1G, SZ_4K);
    tables.log.length = 0;
    expect(table.unmap_pages(SZ_2M, SZ_2M, 1)).toBe(SZ_2M);
    expect(tables.log).toEqual(["clear", "flush 200000 200000 1000", "free"]);
  });

  test("a part of a block cannot be unmapped", () => {
    const tables = new Tables();
    const table = tables.table("ARM_64_LPAE_S1");
    map(table, 0, SZ_1G, SZ_2M);
    expect(table.unmap_pages(0, SZ_4K, 1)).toBe(0);
    expect(tables.warnings).toHaveLength(1);
    expect(table.iova_to_phys(42)).toBe(SZ_1G + 42);
  });

  test("unmapping stops with a warning where nothing is mapped", () => {
    const tables = new Tables();
    const table = tables.table("ARM_64_LPAE_S1");
    map(table, 0, 0x1000, SZ_4K);
    expect(table.unmap_pages(0, SZ_4K, 2)).toBe(SZ_4K);
    expect(tables.warnings).toHaveLength(1);
  });

  test("a page below a block is refused with -EEXIST", () => {
    const tables = new Tables();
    const table = tables.table("ARM_64_LPAE_S1");
    map(table, 0, 0, SZ_2M);
    expect(map(table, 0x1000, 0, SZ_4K)).toBe(-EEXIST);
  });
});
