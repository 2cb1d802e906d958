// SPDX-License-Identifier: MIT
/** The interrupt of the PRI queue, by wire and by message (IHI 0070 §3.18, §6.3.34 … §6.3.36). */
import { describe, expect, test } from "vitest";
import {
  ALL_ON,
  at,
  DOORBELL,
  FAILURE,
  GERROR_IRQEN,
  LO,
  MSI_PRIQ_ABT_ERR,
  NOWHERE,
  OVFLG,
  PriBench,
  PRIQ_IRQEN,
  PRIQEN,
  stopMarker,
} from "./bench.ts";

/** @param lo PRIQ_IRQ_CFG2.LO */
function bench(lo: number, log2: number = 2): PriBench {
  const made = new PriBench().start(log2);
  made.w32(at.PRIQ_IRQ_CFG2, lo);
  made.interrupts(PRIQ_IRQEN);
  return made;
}

describe("LO 0: empty to non-empty", () => {
  test("IHI 0070 §6.3.36: the interrupt comes with the first entry, not with further ones, last or not", () => {
    const one = bench(0);
    one.ask(1, { last: false });
    one.ask(1, { last: true });
    expect(one.pulses).toEqual(["priq"]);
    one.w32(at.PRIQ_CONS, 1);
    one.ask(1);
    expect(one.pulses).toEqual(["priq"]);
    one.w32(at.PRIQ_CONS, 3);
    one.ask(1);
    expect(one.pulses).toEqual(["priq", "priq"]);
  });

  test("IHI 0070 §6.3.36: a Stop Marker makes the queue non-empty, too", () => {
    const one = bench(0);
    one.smmu.requestPage(1, stopMarker(3));
    expect(one.pulses).toEqual(["priq"]);
  });

  test("IHI 0070 §6.3.36: an overflow has no interrupt", () => {
    const one = bench(0, 0);
    one.ask(1);
    one.pulses.length = 0;
    one.ask(1);
    expect(one.prod).toBe((OVFLG | 1) >>> 0);
    expect(one.pulses).toEqual([]);
  });
});

describe("LO 1: the last of a group", () => {
  test("IHI 0070 §6.3.36: each message with L set has an interrupt, others have none", () => {
    const one = bench(LO, 3);
    one.ask(1, { last: false });
    expect(one.pulses).toEqual([]);
    one.ask(1, { last: true });
    one.ask(1, { last: false });
    one.ask(1, { last: true });
    expect(one.pulses).toEqual(["priq", "priq"]);
  });

  test("IHI 0070 §6.3.36: a Stop Marker has L set", () => {
    const one = bench(LO);
    one.smmu.requestPage(1, stopMarker(3));
    expect(one.pulses).toEqual(["priq"]);
  });

  test("IHI 0070 §6.3.36: also when the message is lost to an overflow", () => {
    const one = bench(LO, 0);
    one.ask(1, { last: false });
    one.ask(1, { last: false });
    expect(one.pulses).toEqual([]);
    one.ask(1);
    one.smmu.requestPage(1, stopMarker(3));
    expect(one.pulses).toEqual(["priq", "priq"]);
  });

  test("IHI 0070 §6.3.36: not when it is refused for another reason", () => {
    const one = bench(LO);
    one.cr0(ALL_ON & ~PRIQEN);
    one.ask(1);
    expect(one.responses).toEqual([[1, -1, 0, FAILURE]]);
    expect(one.pulses).toEqual([]);
  });

  test("IHI 0070 §3.18, §6.3.36: what the interrupt tells of is visible: the entry and PROD, or OVFLG", () => {
    const seen: number[] = [];
    const one = new PriBench({
      wrap: (host) => ({
        ...host,
        pulse: () => seen.push(one.prod, Number(one.entry(0)[0] & 0xffff_ffffn)),
      }),
    }).start(0);
    one.w32(at.PRIQ_IRQ_CFG2, LO);
    one.interrupts(PRIQ_IRQEN);
    one.ask(7);
    one.ask(8);
    expect(seen).toEqual([1, 7, (OVFLG | 1) >>> 0, 7]);
  });
});

describe("messages", () => {
  function withMessage(address: number, config = {}): PriBench {
    const one = new PriBench({ config }).start();
    one.w64(at.PRIQ_IRQ_CFG0, address);
    one.w32(at.PRIQ_IRQ_CFG1, 0x1234_5678);
    one.interrupts(PRIQ_IRQEN | GERROR_IRQEN);
    return one;
  }

  test("IHI 0070 §6.3.34, §6.3.35: a 32-bit write of DATA to ADDR", () => {
    const one = withMessage(DOORBELL);
    one.ask(1);
    expect(one.bus.memory.read32(DOORBELL)).toBe(0x1234_5678);
    expect(one.accesses.filter((access) => access.startsWith("msi"))).toEqual([`msi write 0x${DOORBELL.toString(16)}`]);
  });

  test("IHI 0070 §6.3.34: with ADDR 0 there is none, the wire alone", () => {
    const one = withMessage(0);
    one.ask(1);
    expect(one.accesses.filter((access) => access.startsWith("msi"))).toEqual([]);
    expect(one.pulses).toEqual(["priq"]);
  });

  test("IHI 0070 §6.3.16: with PRIQ_IRQEN 0 neither", () => {
    const one = withMessage(DOORBELL);
    one.interrupts(GERROR_IRQEN);
    one.ask(1);
    expect(one.bus.memory.read32(DOORBELL)).toBe(0);
    expect(one.pulses).toEqual([]);
  });

  test("IHI 0070 §6.3.16: enabled afterwards, older entries are not signalled", () => {
    const one = new PriBench().start();
    one.ask(1);
    one.interrupts(PRIQ_IRQEN);
    expect(one.pulses).toEqual([]);
  });

  test("IHI 0070 §7.5: a message that aborts is MSI_PRIQ_ABT_ERR; the entry stays and nothing stops", () => {
    const one = withMessage(NOWHERE);
    one.ask(1);
    expect(one.activeErrors).toBe(MSI_PRIQ_ABT_ERR);
    expect(one.pulses).toContain("gerror");
    one.ask(2);
    expect(one.prod).toBe(2);
    expect(one.responses).toEqual([]);
    one.w32(at.GERRORN, MSI_PRIQ_ABT_ERR);
    expect(one.activeErrors).toBe(0);
  });

  test("IHI 0070 §6.3.36: memory type and shareability are those of PRIQ_IRQ_CFG2", () => {
    const seen: (number | undefined)[] = [];
    const one = new PriBench({
      wrap: (host) => ({
        ...host,
        store: (kind, address, words, count, attributes) => {
          if (kind === "msi") seen.push(attributes);
          return host.store(kind, address, words, count, attributes);
        },
      }),
    }).start();
    one.w64(at.PRIQ_IRQ_CFG0, DOORBELL);
    // MemAttr 0b0001: Device-nGnRE, which is Outer Shareable whatever SH says.
    one.w32(at.PRIQ_IRQ_CFG2, 0x31);
    one.interrupts(PRIQ_IRQEN);
    one.ask(1);
    expect(seen).toEqual([0x204]);
  });

  test("IHI 0070 §6.3.36: without MSIs PRIQ_IRQ_CFG2 is RES0, so the wire tells of a queue that turns non-empty (our choice)", () => {
    const one = withMessage(DOORBELL, { msi: false });
    one.interrupts(0);
    one.w32(at.PRIQ_IRQ_CFG2, LO);
    expect([at.PRIQ_IRQ_CFG0, at.PRIQ_IRQ_CFG1, at.PRIQ_IRQ_CFG2].map((offset) => one.r32(offset))).toEqual([0, 0, 0]);
    one.interrupts(PRIQ_IRQEN);
    one.ask(1, { last: false });
    one.ask(1);
    expect(one.pulses).toEqual(["priq"]);
    expect(one.bus.memory.read32(DOORBELL)).toBe(0);
  });
});
