// SPDX-License-Identifier: MIT
/** Registers of the PRI queue: presence, guards, resets, aliases, presets (IHI 0070 §6.2, §6.3). */
import { describe, expect, test } from "vitest";
import {
  HostMisuseError,
  NotModelledLog,
  restoreSnapshot,
  Smmu,
  type SmmuConfig,
  type SmmuSnapshot,
  snapshotOf,
} from "../../../../src/hw/index.ts";
import {
  ALL_ON,
  at,
  base,
  CMDQ,
  EVENTQ,
  EVENTQEN,
  FAILURE,
  LO,
  MSI_PRIQ_ABT_ERR,
  OVFLG,
  PriBench,
  PRIQ,
  PRIQ_ABT_ERR,
  PRIQ_IRQEN,
  PRIQEN,
  SMMUEN,
} from "./bench.ts";
import { misuse } from "../tables/misuse.ts";

const queueRegisters = [at.PRIQ_BASE, at.PRIQ_PROD, at.PRIQ_CONS, at.PRIQ_IRQ_CFG0, at.PRIQ_IRQ_CFG1, at.PRIQ_IRQ_CFG2];

describe("presence", () => {
  test("IHI 0070 §6.3.1, §6.3.2, §6.3.4: IDR0.PRI, IDR1.PRIQS and IDR3.PPS say what the configuration has", () => {
    const having = (config: Partial<SmmuConfig>): number[] => {
      const bench = new PriBench({ config });
      return [(bench.r32(at.IDR0) >>> 16) & 1, (bench.r32(at.IDR1) >>> 11) & 31, (bench.r32(at.IDR3) >>> 5) & 1];
    };
    expect(having({})).toEqual([1, 19, 0]);
    expect(having({ pps: true, priqLog2Max: 7 })).toEqual([1, 7, 1]);
    expect(having({ pri: false })[0]).toBe(0);
  });

  test("IHI 0070 §6.3.1: without PRI all of them are RES0, as are PRIQEN, PRIQ_IRQEN and the bits of GERRORN", () => {
    const bench = new PriBench({ config: { pri: false } });
    for (const offset of [...queueRegisters, at.CR0, at.IRQ_CTRL, at.GERRORN]) bench.w32(offset, 0xffff_ffff);
    for (const offset of queueRegisters) expect(bench.r32(offset)).toBe(0);
    expect(bench.r32(at.CR0) & PRIQEN).toBe(0);
    expect(bench.r32(at.IRQ_CTRL) & PRIQ_IRQEN).toBe(0);
    expect(bench.r32(at.GERRORN) & (PRIQ_ABT_ERR | MSI_PRIQ_ABT_ERR)).toBe(0);
  });

  test("absence by ID is no lack of the model: nothing is counted as not modelled", () => {
    for (const config of [{ pri: false }, { msi: false }]) {
      const notModelled = new NotModelledLog();
      const bench = new PriBench({ config, smmu: { notModelled } });
      for (const offset of queueRegisters) bench.w32(offset, 1);
      expect([...notModelled.counts]).toEqual([]);
    }
  });

  test("IHI 0070 §6.3.20: without MSIs GERRORN has PRIQ_ABT_ERR and not MSI_PRIQ_ABT_ERR", () => {
    const bench = new PriBench({ config: { msi: false } });
    bench.w32(at.GERRORN, PRIQ_ABT_ERR | MSI_PRIQ_ABT_ERR);
    expect(bench.r32(at.GERRORN)).toBe(PRIQ_ABT_ERR);
  });
});

describe("writes", () => {
  const NONE = 0;
  test.each([
    ["PRIQ_BASE", at.PRIQ_BASE, 0xffff_ffe0 | 19],
    ["PRIQ_PROD", at.PRIQ_PROD, (OVFLG | 5) >>> 0],
  ])("IHI 0070 §6.3.33, §6.3.97: %s is guarded by PRIQEN as written, whatever SMMUEN is", (_name, offset, value) => {
    for (const [cr0, taken] of [
      [NONE, true],
      [ALL_ON & ~PRIQEN, true],
      [PRIQEN, false],
      [PRIQEN | SMMUEN, false],
    ] as const) {
      const bench = new PriBench().start(4, cr0);
      const before = bench.r32(offset);
      bench.w32(offset, value);
      expect(bench.r32(offset)).toBe(taken ? value >>> 0 : before);
    }
  });

  test("IHI 0070 §6.3.33: they are guarded while PRIQEN is in transition, either way", () => {
    const bench = new PriBench({ config: { timing: { commandNs: 0, updateNs: 200 } } }).start(4, 0);
    bench.w32(at.CR0, PRIQEN);
    bench.w64(at.PRIQ_BASE, PRIQ + 0x1000);
    expect(bench.r32(at.PRIQ_BASE)).toBe(PRIQ + 4);
    bench.settle();
    bench.w32(at.CR0, 0);
    bench.w64(at.PRIQ_BASE, PRIQ + 0x1000);
    expect(bench.r32(at.PRIQ_BASE)).toBe(PRIQ + 4);
    bench.settle();
    bench.w64(at.PRIQ_BASE, PRIQ + 0x1000);
    expect(bench.r32(at.PRIQ_BASE)).toBe(PRIQ + 0x1000);
  });

  test("IHI 0070 §6.3.98: PRIQ_CONS is not guarded", () => {
    const bench = new PriBench().start();
    bench.w32(at.PRIQ_CONS, 3);
    expect(bench.r32(at.PRIQ_CONS)).toBe(3);
  });

  test("IHI 0070 §6.3.34 … §6.3.36: the interrupt's configuration is guarded by PRIQ_IRQEN", () => {
    const bench = new PriBench().start();
    const values: [number, number][] = [
      [at.PRIQ_IRQ_CFG0, 0x4000_1000],
      [at.PRIQ_IRQ_CFG1, 0xffff_ffff],
      [at.PRIQ_IRQ_CFG2, (LO | 0x3f) >>> 0],
    ];
    for (const [offset, value] of values) bench.w32(offset, value);
    expect(values.map(([offset]) => bench.r32(offset))).toEqual(values.map(([, value]) => value));
    bench.interrupts(PRIQ_IRQEN);
    for (const [offset] of values) bench.w32(offset, 0);
    expect(values.map(([offset]) => bench.r32(offset))).toEqual(values.map(([, value]) => value));
  });

  test("IHI 0070 §6.3.11: CR1.QUEUE_* are guarded by PRIQEN, too", () => {
    const bench = new PriBench().start(2, PRIQEN);
    bench.w32(at.CR1, 0x3f);
    expect(bench.r32(at.CR1) & 0x3f).toBe(0);
    bench.cr0(0);
    bench.w32(at.CR1, 0x3f);
    expect(bench.r32(at.CR1) & 0x3f).toBe(0x3f);
  });

  test("IHI 0070 §6.3.97: OVFLG resets to 0 although the index is UNKNOWN; a reset empties enables and errors", () => {
    const bench = new PriBench({ smmu: { choices: { unknownReset: "pattern" } } });
    expect(bench.prod & OVFLG).toBe(0);
    bench.start(0);
    bench.fill(1);
    bench.ask(1);
    expect(bench.prod & OVFLG).not.toBe(0);
    bench.smmu.reset();
    expect(bench.prod & OVFLG).toBe(0);
    expect([at.CR0, at.CR0ACK, at.GERROR, at.IRQ_CTRLACK].map((offset) => bench.r32(offset))).toEqual([0, 0, 0, 0]);
    bench.responses.length = 0;
    bench.ask(3);
    expect(bench.responses).toEqual([[3, -1, 0, FAILURE]]);
  });
});

describe("places", () => {
  test.each([true, false])("IHI 0070 §6.2: PROD and CONS are on page 1; at their page-0 offsets only with page0Alias: %s", (page0Alias) => {
    const bench = new PriBench({ config: { page0Alias } }).start(3);
    bench.fill(3);
    bench.w32(0xcc, 2);
    expect(bench.r32(0xc8)).toBe(page0Alias ? 3 : 0);
    expect(bench.r32(at.PRIQ_CONS)).toBe(page0Alias ? 2 : 0);
  });

  const queues = {
    cmdq: { base: CMDQ, log2Size: 4 },
    eventq: { base: EVENTQ, log2Size: 4 },
    priq: { base: PRIQ, log2Size: 1 },
    attributes: 0,
  };

  test("IHI 0070 §6.3.2, §6.3.33: a preset queue is where the implementation puts it; PRIQ_BASE is read-only", () => {
    const bench = new PriBench({ config: { presets: { queues } } }).start(4);
    bench.w64(at.PRIQ_BASE, 0x4000_0000);
    expect(bench.r32(at.PRIQ_BASE)).toBe(PRIQ + 1);
    bench.fill(2);
    expect(bench.entry(1)[1] & 0x1ffn).toBe(0x101n);
    bench.ask(1);
    expect(bench.prod).toBe((OVFLG | 2) >>> 0);
  });

  test("IHI 0070 §6.3.2: with IDR1.REL the base counts from page 0", () => {
    const presets = { queues: { ...queues, priq: { base: PRIQ - 0x4000_0000, log2Size: 1 } }, relativeTo: 0x4000_0000 };
    const whole = {
      ...presets,
      queues: {
        ...presets.queues,
        cmdq: { base: CMDQ - 0x4000_0000, log2Size: 4 },
        eventq: { base: EVENTQ - 0x4000_0000, log2Size: 4 },
      },
    };
    const bench = new PriBench({ config: { presets: whole } }).start();
    bench.ask(0x77);
    expect(bench.entry(0)[0] & 0xffff_ffffn).toBe(0x77n);
  });
});

describe("a snapshot", () => {
  function copyOf(one: PriBench): PriBench {
    const other = new PriBench();
    for (const { address, bytes } of one.bus.memory.pages()) other.bus.memory.writeBytes(address, bytes);
    restoreSnapshot(other.smmu, JSON.parse(JSON.stringify(snapshotOf(one.smmu))) as SmmuSnapshot);
    return other;
  }

  test("has the queue with its indexes, overflow and errors; the copy goes on as the first would", () => {
    const one = new PriBench().start(1);
    one.w32(at.PRIQ_IRQ_CFG2, LO);
    one.interrupts(PRIQ_IRQEN);
    one.fill(2);
    one.ask(5);
    const copy = copyOf(one);
    for (const offset of queueRegisters) expect(copy.r32(offset)).toBe(one.r32(offset));
    for (const bench of [one, copy]) {
      bench.responses.length = 0;
      bench.pulses.length = 0;
      bench.ask(6, { groupIndex: 4 });
      bench.w32(at.PRIQ_CONS, bench.prod);
      bench.ask(7);
    }
    expect(copy.responses).toEqual(one.responses);
    expect(copy.pulses).toEqual(one.pulses);
    expect(copy.prod).toBe(one.prod);
    expect(copy.entry(0)).toEqual(one.entry(0));
    expect(copy.prod & OVFLG).not.toBe(0);
  });

  test("with an Update of PRIQEN under way ends it", () => {
    const config = { timing: { commandNs: 0, updateNs: 200 } };
    const one = new PriBench({ config }).start(2, EVENTQEN);
    one.w32(at.CR0, SMMUEN | PRIQEN);
    const copy = new PriBench({ config });
    restoreSnapshot(copy.smmu, snapshotOf(one.smmu));
    expect(copy.r32(at.CR0ACK) & PRIQEN).toBe(0);
    copy.settle();
    expect(copy.r32(at.CR0ACK)).toBe(SMMUEN | PRIQEN);
  });
});

describe("a host", () => {
  test("has respondToPageRequest where the SMMU has PRI", () => {
    const without = { wrap: (host: object) => ({ ...host, respondToPageRequest: undefined }) as never };
    expect(() => new PriBench(without)).toThrow(misuse("SMMU_HOST", "without respondToPageRequest"));
    expect(new PriBench({ ...without, config: { pri: false } }).smmu).toBeInstanceOf(Smmu);
  });

  test("IHI 0070 §6.3.4: IDR3.PPS needs PRI and substreams", () => {
    const broken: readonly Partial<SmmuConfig>[] = [
      { pps: true, pri: false },
      { pps: true, ssidSize: 0, pasidTt: false },
    ];
    for (const config of broken) expect(() => new PriBench({ config })).toThrow(HostMisuseError);
    expect(new PriBench({ config: { pps: true } }).config).toEqual({ ...base, pps: true });
  });
});
