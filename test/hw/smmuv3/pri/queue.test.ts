// SPDX-License-Identifier: MIT
/** The PRI queue as a circular queue (IHI 0070 §3.5.1, §6.3.33, §6.3.97, §6.3.98). */
import { describe, expect, test } from "vitest";
import { ALL_ON, at, OVFLG, PriBench, PRIQ } from "./bench.ts";

describe("the PRI queue", () => {
  test.each([0, 1, 2, 4])("IHI 0070 §3.5.1: a queue of 2^%i requests goes round three times with its wrap flag", (log2) => {
    const bench = new PriBench().start(log2);
    const size = 2 ** log2;
    for (let turn = 1; turn <= 3 * size; turn++) {
      bench.ask(turn);
      expect(bench.entry((turn - 1) % size)[0] & 0xffff_ffffn).toBe(BigInt(turn));
      expect(bench.prod).toBe(turn % (2 * size));
      bench.w32(at.PRIQ_CONS, turn % (2 * size));
    }
    expect(bench.responses).toEqual([]);
  });

  test("IHI 0070 §6.3.33: LOG2SIZE is capped by IDR1.PRIQS in use and reads back as written", () => {
    const bench = new PriBench({ config: { priqLog2Max: 1 } }).start(4);
    expect((bench.r32(at.IDR1) >>> 11) & 31).toBe(1);
    bench.fill(2);
    expect(bench.prod).toBe(2);
    bench.ask(1);
    expect(bench.prod).toBe((OVFLG | 2) >>> 0);
    expect(bench.r32(at.PRIQ_BASE) & 31).toBe(4);
    expect(bench.lint).toContain("queue-too-large");
  });

  test.each([
    [0, 0x60, 0x60],
    [1, 0x60, 0x60],
    [2, 0x60, 0x40],
    [3, 0x60, 0],
    [4, 0xffe0, 0xff00],
  ])("IHI 0070 §6.3.33: the base of 2^%i entries is aligned down to the queue's bytes, at least to 32: 0x%x", (log2, asked, taken) => {
    const bench = new PriBench().start(2, 0);
    bench.w64(at.PRIQ_BASE, (PRIQ + asked) | log2);
    bench.cr0(ALL_ON);
    bench.accesses.length = 0;
    bench.ask(1);
    expect(bench.accesses).toEqual([`priq write 0x${(PRIQ + taken).toString(16)}`]);
    expect(bench.lint.includes("queue-base-alignment")).toBe(asked !== taken);
  });

  test("IHI 0070 §6.3.97: PROD bits above the wrap flag are RAZ", () => {
    const bench = new PriBench().start(2);
    bench.cr0(0);
    bench.w32(at.PRIQ_PROD, 0x000f_fff5);
    expect(bench.prod).toBe(5);
  });

  test("IHI 0070 §6.3.98: CONS bits above the wrap flag have no other effect than being stored", () => {
    const bench = new PriBench().start(1);
    bench.fill(2);
    bench.w32(at.PRIQ_CONS, 0xffff2 & ~4);
    bench.fill(2);
    expect(bench.prod).toBe(0);
    expect(bench.lint).toEqual([]);
  });

  test("IHI 0070 §3.5.1: inconsistent indexes count as full, and a lint message says so", () => {
    const bench = new PriBench().start(2);
    bench.w32(at.PRIQ_CONS, 1);
    expect(bench.lint).toContain("cons-inconsistent");
    bench.accesses.length = 0;
    bench.ask(1);
    expect(bench.accesses).toEqual([]);
    expect(bench.prod).toBe(OVFLG);
  });

  test("IHI 0070 §3.5.2: PROD moves when the entry is in memory", () => {
    const seen: number[] = [];
    const bench = new PriBench({
      wrap: (host) => ({
        ...host,
        store: (kind, ...access) => {
          if (kind === "priq") seen.push(bench.prod);
          return host.store(kind, ...access);
        },
      }),
    }).start();
    bench.fill(2);
    expect(seen).toEqual([0, 1]);
  });
});
