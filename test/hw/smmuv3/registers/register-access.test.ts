// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { profiles } from "../../../../src/hw/index.ts";
import { Bench, CMDQEN, EVENTQEN, EVENTQ_IRQEN, GERROR_IRQEN, SMMUEN, at } from "./bench.ts";

type Enable = "SMMUEN" | "CMDQEN" | "EVENTQEN" | "PRIQEN" | "EVENTQ_IRQEN" | "PRIQ_IRQEN" | "GERROR_IRQEN";

/** One writable word of the profile "max" (52 address bits, MSIs, ATS, PRI): bits that software can write, by guard. */
interface Word {
  readonly offset: number;
  readonly open?: number;
  readonly guarded?: Partial<Record<Enable, number>>;
}

const ALL = 0xffff_ffff;
/** Upper half of a base register: the hint in bit 62, the address up to bit 51. */
const BASE_HIGH = 0x400f_ffff;
const MSI_ADDRESS_HIGH = 0x000f_ffff;
const QUEUES = (bits: number): Partial<Record<Enable, number>> => ({ CMDQEN: bits, EVENTQEN: bits, PRIQEN: bits });
/** Registers of the PRI queue, enables of CR0 and of IRQ_CTRL. */
const PRIQ_BASE = 0xc0;
const PRIQ_IRQ_CFG0 = 0xd0;
const PRIQ_IRQ_CFG1 = 0xd8;
const PRIQ_IRQ_CFG2 = 0xdc;
const PRIQ_PROD = 0x1_00c8;
const PRIQ_CONS = 0x1_00cc;
const PRIQEN = 2;
const PRIQ_IRQEN = 2;

/** IHI 0070 §6.3, for a v3.4 SMMU. Registers with a write protocol (CR0, IRQ_CTRL, GBPA) have tests of their own. */
const writable: readonly Word[] = [
  { offset: at.CR1, guarded: { SMMUEN: 0xfc0, ...QUEUES(0x3f) } },
  { offset: at.CR2, guarded: { SMMUEN: 0xf } },
  { offset: at.S2PII, open: ALL },
  { offset: at.S2PII + 4, open: ALL },
  { offset: at.GERRORN, open: 0x1fd },
  { offset: at.GERROR_IRQ_CFG0, guarded: { GERROR_IRQEN: 0xffff_fffc } },
  { offset: at.GERROR_IRQ_CFG0 + 4, guarded: { GERROR_IRQEN: MSI_ADDRESS_HIGH } },
  { offset: at.GERROR_IRQ_CFG1, guarded: { GERROR_IRQEN: ALL } },
  { offset: at.GERROR_IRQ_CFG2, guarded: { GERROR_IRQEN: 0x3f } },
  { offset: at.STRTAB_BASE, guarded: { SMMUEN: 0xffff_ffc0 } },
  { offset: at.STRTAB_BASE + 4, guarded: { SMMUEN: BASE_HIGH } },
  { offset: at.STRTAB_BASE_CFG, guarded: { SMMUEN: 0x0003_07ff } },
  { offset: at.CMDQ_BASE, guarded: { CMDQEN: ALL } },
  { offset: at.CMDQ_BASE + 4, guarded: { CMDQEN: BASE_HIGH } },
  { offset: at.CMDQ_PROD, open: 0x000f_ffff },
  { offset: at.CMDQ_CONS, guarded: { CMDQEN: 0x7f0f_ffff } },
  { offset: at.EVENTQ_BASE, guarded: { EVENTQEN: ALL } },
  { offset: at.EVENTQ_BASE + 4, guarded: { EVENTQEN: BASE_HIGH } },
  { offset: at.EVENTQ_IRQ_CFG0, guarded: { EVENTQ_IRQEN: 0xffff_fffc } },
  { offset: at.EVENTQ_IRQ_CFG0 + 4, guarded: { EVENTQ_IRQEN: MSI_ADDRESS_HIGH } },
  { offset: at.EVENTQ_IRQ_CFG1, guarded: { EVENTQ_IRQEN: ALL } },
  { offset: at.EVENTQ_IRQ_CFG2, guarded: { EVENTQ_IRQEN: 0x3f } },
  { offset: at.EVENTQ_PROD, guarded: { EVENTQEN: 0x800f_ffff } },
  { offset: at.EVENTQ_CONS, open: 0x800f_ffff },
  { offset: PRIQ_BASE, guarded: { PRIQEN: ALL } },
  { offset: PRIQ_BASE + 4, guarded: { PRIQEN: BASE_HIGH } },
  { offset: PRIQ_IRQ_CFG0, guarded: { PRIQ_IRQEN: 0xffff_fffc } },
  { offset: PRIQ_IRQ_CFG0 + 4, guarded: { PRIQ_IRQEN: MSI_ADDRESS_HIGH } },
  { offset: PRIQ_IRQ_CFG1, guarded: { PRIQ_IRQEN: ALL } },
  { offset: PRIQ_IRQ_CFG2, guarded: { PRIQ_IRQEN: 0x8000_003f } },
  { offset: PRIQ_PROD, guarded: { PRIQEN: 0x800f_ffff } },
  { offset: PRIQ_CONS, open: 0x800f_ffff },
];
const byOffset = new Map(writable.map((word) => [word.offset, word]));
const protocol: readonly number[] = [at.CR0, at.IRQ_CTRL, at.GBPA];

const states: Readonly<Record<string, (bench: Bench) => void>> = {
  none: () => {},
  SMMUEN: (bench) => bench.enable(SMMUEN),
  CMDQEN: (bench) => bench.enable(CMDQEN),
  EVENTQEN: (bench) => bench.enable(EVENTQEN),
  PRIQEN: (bench) => bench.enable(PRIQEN),
  PRIQ_IRQEN: (bench) => bench.enableInterrupts(PRIQ_IRQEN),
  EVENTQ_IRQEN: (bench) => bench.enableInterrupts(EVENTQ_IRQEN),
  GERROR_IRQEN: (bench) => bench.enableInterrupts(GERROR_IRQEN),
};

/** Bits that a write changes while `state` is on. */
function openBits(offset: number, state: string): number {
  const word = byOffset.get(offset);
  let bits = word?.open ?? 0;
  let held = 0;
  for (const [guard, guarded] of Object.entries(word?.guarded ?? {})) {
    bits |= guarded;
    if (guard === state) held |= guarded;
  }
  return (bits & ~held) >>> 0;
}

/** Every word of both pages' architected ranges, also those where nothing is. */
function* offsets(): Generator<number> {
  for (let offset = 0; offset < 0x1000; offset += 4) yield offset;
  for (let offset = 0x4000; offset < 0x4100; offset += 4) yield offset;
  for (let offset = 0x8000; offset < 0x8200; offset += 4) yield offset;
  for (let offset = 0x1_0000; offset < 0x1_0200; offset += 4) yield offset;
}

/** Queues of the largest size, so that no index bit is cut off when CONS and PROD are read. */
function machine(state: string): Bench {
  const bench = new Bench();
  bench.w64(at.CMDQ_BASE, 19, 0);
  bench.w64(at.EVENTQ_BASE, 19, 0);
  bench.w64(PRIQ_BASE, 19, 0);
  states[state]!(bench);
  return bench;
}

describe.each(Object.keys(states))("with %s on", (state) => {
  test.each([0xffff_ffff, 0x5555_5555, 0xaaaa_aaaa, 0])(
    "IHI 0070 §6.2, §6.3: 32-bit writes of %i reach exactly the bits that exist and are not guarded",
    (value) => {
      const wrong: string[] = [];
      const bench = machine(state);
      for (const offset of offsets()) {
        if (protocol.includes(offset)) continue;
        const before = bench.r32(offset);
        const open = openBits(offset, state);
        bench.w32(offset, value);
        const wanted = ((before & ~open) | (value & open)) >>> 0;
        const got = bench.r32(offset);
        if (got !== wanted) wrong.push(`${offset.toString(16)}: ${got.toString(16)} instead of ${wanted.toString(16)}`);
        bench.w32(offset, before);
      }
      expect(wrong).toEqual([]);
    },
  );

  test("IHI 0070 §6.2: 64-bit writes of 64-bit registers do the same to both halves", () => {
    const wide = [at.S2PII, at.GERROR_IRQ_CFG0, at.STRTAB_BASE, at.CMDQ_BASE, at.EVENTQ_BASE, at.EVENTQ_IRQ_CFG0, PRIQ_BASE, PRIQ_IRQ_CFG0];
    for (const offset of wide) {
      const bench = machine(state);
      const [lo, hi] = bench.r64(offset);
      bench.w64(offset, 0xffff_ffff, 0xffff_ffff);
      const wanted = [lo | openBits(offset, state), hi | openBits(offset + 4, state)].map((bits) => bits >>> 0);
      expect([offset, ...bench.r64(offset)]).toEqual([offset, ...wanted]);
    }
  });
});

test("IHI 0070 §6.3.17: entry p of S2PII is bits [4p+3:4p], for all that is translated", () => {
  const bench = new Bench();
  bench.w64(at.S2PII, 0x7654_3210, 0xfedc_ba98);
  for (let p = 0; p < 16; p++) expect(bench.side.registers.s2pii(p)).toBe(p);
});

test("IHI 0070 §6.3.17: without IDR3.S2PI S2PII is RES0", () => {
  const bench = new Bench({ ...profiles.max, s2pi: false, s2po: false });
  bench.w64(at.S2PII, 0xffff_ffff, 0xffff_ffff);
  expect(bench.r64(at.S2PII)).toEqual([0, 0]);
});

describe("guards", () => {
  test("IHI 0070 §6.2: a guard holds from the write of the enable on, and until the acknowledge of its clearing", () => {
    const bench = new Bench();
    bench.w32(at.CR0, SMMUEN);
    bench.w32(at.STRTAB_BASE_CFG, 5);
    expect(bench.r32(at.STRTAB_BASE_CFG)).toBe(0);
    bench.settle();
    bench.w32(at.CR0, 0);
    bench.w32(at.STRTAB_BASE_CFG, 5);
    expect(bench.r32(at.STRTAB_BASE_CFG)).toBe(0);
    bench.settle();
    bench.w32(at.STRTAB_BASE_CFG, 5);
    expect(bench.r32(at.STRTAB_BASE_CFG)).toBe(5);
  });

  test("IHI 0070 §6.3.11: CR1 keeps the guarded fields and takes the others of one write", () => {
    const bench = new Bench();
    bench.enable(SMMUEN);
    bench.w32(at.CR1, 0xd75);
    expect(bench.r32(at.CR1)).toBe(0x35);
    bench.enable(EVENTQEN);
    bench.w32(at.CR1, 0xd40);
    expect(bench.r32(at.CR1)).toBe(0xd75);
  });

  test("IHI 0070 §6.3.26: the queue's guard is its own enable only", () => {
    const bench = new Bench();
    bench.enable(EVENTQEN | SMMUEN);
    bench.w64(at.CMDQ_BASE, 0x4010_0003, 0);
    expect(bench.r64(at.CMDQ_BASE)).toEqual([0x4010_0003, 0]);
  });

  test("a guarded write that would change something is named; one that changes nothing is not", () => {
    const bench = new Bench();
    bench.w32(at.CR2, 2);
    bench.enable(SMMUEN);
    bench.w32(at.CR2, 2);
    expect(bench.lint).toEqual([]);
    bench.w32(at.CR2, 0);
    expect(bench.lint).toEqual(["guarded-write"]);
  });
});

describe("halves and pairs", () => {
  test("IHI 0070 §6.2: the halves of a 64-bit register are written and read one by one", () => {
    const bench = new Bench();
    bench.w32(at.STRTAB_BASE + 4, 0x4000_0001);
    bench.w32(at.STRTAB_BASE, 0x8000_0040);
    expect(bench.r64(at.STRTAB_BASE)).toEqual([0x8000_0040, 0x4000_0001]);
    bench.w32(at.STRTAB_BASE, 0);
    expect(bench.r32(at.STRTAB_BASE + 4)).toBe(0x4000_0001);
  });

  test("IHI 0070 §6.3.24: address bits above the output address size are RES0", () => {
    const bench = new Bench({ ...profiles.max, oas: 40, vax: 48 });
    bench.w64(at.STRTAB_BASE, 0xffff_ffff, 0xffff_ffff);
    expect(bench.r64(at.STRTAB_BASE)).toEqual([0xffff_ffc0, 0x4000_00ff]);
    expect(bench.side.registers.strtabBase()).toBe(0xff_ffff_ffc0);
    const narrow = new Bench({ ...profiles.max, oas: 32, vax: 48 });
    narrow.w64(at.STRTAB_BASE, 0xffff_ffff, 0xffff_ffff);
    expect(narrow.r64(at.STRTAB_BASE)).toEqual([0xffff_ffc0, 0x4000_0000]);
  });

  test("IHI 0070 §6.2: a 64-bit access to two 32-bit registers reaches both (our choice)", () => {
    const bench = new Bench();
    bench.w64(at.CR1, 0xd75, 0x2);
    expect(bench.r32(at.CR1)).toBe(0xd75);
    expect(bench.r32(at.CR2)).toBe(0x2);
    expect(bench.r64(at.CR1)).toEqual([0xd75, 0x2]);
  });

  test("IHI 0070 §6.2: the same access is RAZ/WI when that is chosen; 64-bit registers are not affected", () => {
    const bench = new Bench(profiles.max, { pairAccess: "raz-wi" });
    bench.w64(at.CR1, 0xd75, 0x2);
    expect(bench.r32(at.CR1)).toBe(0);
    expect(bench.r64(at.IDR0)).toEqual([0, 0]);
    bench.w64(at.STRTAB_BASE, 0x40, 1);
    expect(bench.r64(at.STRTAB_BASE)).toEqual([0x40, 1]);
  });
});

describe("page 1", () => {
  test("IHI 0070 §6.2: without the alias, the page-0 offsets of EVENTQ_PROD and EVENTQ_CONS are RAZ/WI", () => {
    const bench = new Bench();
    bench.w64(at.EVENTQ_BASE, 4, 0);
    bench.w32(at.EVENTQ_CONS, 3);
    bench.w32(at.EVENTQ_PROD, 5);
    expect(bench.r32(0xa8)).toBe(0);
    expect(bench.r32(0xac)).toBe(0);
    bench.w32(0xac, 7);
    expect(bench.r32(at.EVENTQ_CONS)).toBe(3);
    expect(bench.lint).toContain("write-undefined");
  });

  test("IHI 0070 §6.2: with the alias both offsets are the same register", () => {
    const bench = new Bench({ ...profiles.max, page0Alias: true });
    bench.w64(at.EVENTQ_BASE, 4, 0);
    bench.w32(0xac, 3);
    bench.w32(at.EVENTQ_PROD, 5);
    expect(bench.r32(at.EVENTQ_CONS)).toBe(3);
    expect(bench.r32(0xa8)).toBe(5);
    expect(bench.r64(0xa8)).toEqual([5, 3]);
  });

  test("IHI 0070 §6.2: other offsets of page 1 are RES0", () => {
    const bench = new Bench();
    expect(bench.r32(0x1_0000)).toBe(0);
    bench.w32(0x1_0020, 1);
    expect(bench.r32(at.CR0)).toBe(0);
  });
});

describe("what is absent", () => {
  test.each([
    ["Secure registers", 0x8020],
    ["ATOS registers", 0x108],
    ["MPAM registers", 0x138],
    ["enhanced Command queue control page registers", 0x4000],
    ["Device Permission Table registers", 0x200],
  ])("IHI 0070 §6.2: %s are RES0; a write is counted as not modelled", (name, offset) => {
    const bench = new Bench();
    bench.w32(offset, 0xffff_ffff);
    expect(bench.r32(offset)).toBe(0);
    expect([...bench.notModelled.counts]).toEqual([[`write to ${name}`, 1]]);
  });

  test("IHI 0070 §6.3.21: without MSIs the interrupt configuration registers are RES0", () => {
    const bench = new Bench({ ...profiles.max, msi: false });
    for (const offset of [
      at.GERROR_IRQ_CFG0,
      at.GERROR_IRQ_CFG1,
      at.GERROR_IRQ_CFG2,
      at.EVENTQ_IRQ_CFG0,
      at.EVENTQ_IRQ_CFG1,
      at.EVENTQ_IRQ_CFG2,
    ]) {
      bench.w32(offset, 0xffff_ffff);
      expect(bench.r32(offset)).toBe(0);
    }
  });

  test("IHI 0070 §6.3.25: with a linear Stream table only, FMT and SPLIT are RES0", () => {
    const bench = new Bench(profiles.tiny);
    bench.w32(at.STRTAB_BASE_CFG, 0xffff_ffff);
    expect(bench.r32(at.STRTAB_BASE_CFG)).toBe(0x3f);
  });
});

describe("trace of writes", () => {
  test("tells offset, register and value as they arrived", () => {
    const bench = new Bench();
    const seen: unknown[] = [];
    bench.trace.on("smmu.write", ({ data }) => seen.push(data));
    bench.w32(at.CR0, 1);
    bench.w64(at.STRTAB_BASE, 0x40, 1);
    bench.w64(at.CR1, 1, 2);
    bench.w32(0x300, 3);
    expect(seen).toEqual([
      { offset: at.CR0, register: "SMMU_CR0", valueLo: 1, valueHi: undefined },
      { offset: at.STRTAB_BASE, register: "SMMU_STRTAB_BASE", valueLo: 0x40, valueHi: 1 },
      { offset: at.CR1, register: "SMMU_CR1, SMMU_CR2", valueLo: 1, valueHi: 2 },
      { offset: 0x300, register: "reserved", valueLo: 3, valueHi: undefined },
    ]);
  });
});
