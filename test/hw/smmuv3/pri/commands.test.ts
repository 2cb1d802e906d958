// SPDX-License-Identifier: MIT
/** CMD_PRI_RESP (IHI 0070 §4.5.2). Commands are written as the drawing has them. */
import { describe, expect, test } from "vitest";
import { ALL_ON, at, CMDQEN, FAILURE, GERROR_IRQEN, INVALID, LO, OVFLG, PriBench, PRIQ_IRQEN, PRIQEN, SMMUEN, SUCCESS } from "./bench.ts";

const CERROR_ILL = 1;
const CMDQ_ERR = 1;
const SYNC = Uint32Array.of(0x46, 0, 0, 0);

/** Opcode, SSV at 11, SubstreamID at 31:12, StreamID at 63:32, PRGIndex at 72:64, Resp at 77:76. */
function response(streamId: number, group: number, resp: number, pasid: number = -1): Uint32Array {
  const ssv = pasid >= 0 ? 0x800 | (pasid << 12) : 0;
  return Uint32Array.of((0x41 | ssv) >>> 0, streamId, group | (resp << 12), 0);
}

describe("CMD_PRI_RESP", () => {
  test.each([
    ["0b00 ResponseFailure", 0, FAILURE],
    ["0b01 InvalidRequest", 1, INVALID],
    ["0b10 Success", 2, SUCCESS],
  ])("IHI 0070 §4.5.2, §8.3: Resp %s becomes its code of a PRG Response", (_what, resp, code) => {
    const bench = new PriBench().start();
    expect(bench.command(response(0xab, 0x1a5, resp))).toBe(1);
    expect(bench.responses).toEqual([[0xab, -1, 0x1a5, code]]);
  });

  test("IHI 0070 §4.5.2: SSV 1 gives the response the PASID SubstreamID, SSV 0 none", () => {
    const bench = new PriBench().start();
    bench.command(response(1, 2, 2, 0xf_ffff), response(1, 2, 2, 0), Uint32Array.of(0x41 | (5 << 12), 1, 2 | (2 << 12), 0));
    expect(bench.responses).toEqual([
      [1, 0xf_ffff, 2, SUCCESS],
      [1, 0, 2, SUCCESS],
      [1, -1, 2, SUCCESS],
    ]);
  });

  test("IHI 0070 §4.5.2: Resp 0b11 is reserved: CERROR_ILL, and nothing is sent", () => {
    const bench = new PriBench().start();
    expect((bench.command(response(1, 2, 3)) >>> 24) & 0x7f).toBe(CERROR_ILL);
    expect(bench.activeErrors).toBe(CMDQ_ERR);
    expect(bench.responses).toEqual([]);
  });

  test("IHI 0070 §4.5.2: without IDR0.PRI it is illegal", () => {
    const bench = new PriBench({ config: { pri: false } }).start(2, SMMUEN | CMDQEN);
    expect((bench.command(response(1, 2, 2)) >>> 24) & 0x7f).toBe(CERROR_ILL);
    expect(bench.responses).toEqual([]);
  });

  test("IHI 0070 §4.5.2, §6.3.9.6: with SMMUEN 0 it is ignored, but for a Resp that is illegal", () => {
    const bench = new PriBench().start(2, ALL_ON & ~SMMUEN);
    expect(bench.command(response(1, 2, 2))).toBe(1);
    expect(bench.activeErrors).toBe(0);
    expect((bench.command(response(1, 2, 3)) >>> 24) & 0x7f).toBe(CERROR_ILL);
    expect(bench.responses).toEqual([]);
  });

  test("IHI 0070 §4.5.2: PRIQEN does not matter to it, nor does an overflow", () => {
    const bench = new PriBench().start(2, ALL_ON & ~PRIQEN);
    bench.command(response(1, 2, 2));
    bench.cr0(ALL_ON);
    bench.w32(at.PRIQ_CONS, OVFLG);
    bench.command(response(1, 3, 2));
    expect(bench.responses.map(([, , group]) => group)).toEqual([2, 3]);
  });

  test("IHI 0070 §4.5: a system without PRI behind the SMMU ignores it, and the queue goes on", () => {
    const bench = new PriBench({ wrap: (host) => ({ ...host, respondToPageRequest: () => {} }) }).start();
    expect(bench.command(response(1, 2, 2), SYNC)).toBe(2);
    expect(bench.activeErrors).toBe(0);
  });

  test("IHI 0070 §4.1.7: a StreamID or SubstreamID beyond what is implemented has no effect (our choice), and is named", () => {
    const bench = new PriBench({ config: { sidSize: 8, ssidSize: 4 } }).start();
    expect(bench.command(response(0x100, 2, 2), response(1, 2, 2, 0x10))).toBe(2);
    expect(bench.responses).toEqual([]);
    expect(bench.lint).toEqual(["operand-out-of-range", "operand-out-of-range"]);
    bench.command(response(0xff, 2, 2, 0xf));
    expect(bench.responses).toEqual([[0xff, 0xf, 2, SUCCESS]]);
  });

  test("IHI 0070 §4.5.2: without substreams SSV 1 acts as SSV 0 (our choice)", () => {
    const bench = new PriBench({ config: { ssidSize: 0, pasidTt: false } }).start();
    bench.command(response(1, 2, 2, 7));
    expect(bench.responses).toEqual([[1, -1, 2, SUCCESS]]);
  });

  test("IHI 0070 §4.5.2, §8: groups are not tracked: any group of any stream may be answered, more than once, in the order of commands", () => {
    const bench = new PriBench().start();
    bench.ask(1, { groupIndex: 1 });
    bench.command(response(9, 8, 1), response(1, 1, 2), response(1, 1, 0));
    expect(bench.responses).toEqual([
      [9, -1, 8, INVALID],
      [1, -1, 1, SUCCESS],
      [1, -1, 1, FAILURE],
    ]);
    expect(bench.prod).toBe(1);
  });

  test("IHI 0070 §4.1: it is sent when it is consumed: CONS stays before it until then", () => {
    const bench = new PriBench({ config: { timing: { commandNs: 100, updateNs: 0 } } }).start();
    const seen: number[] = [];
    bench.onResponse = () => seen.push(bench.r32(at.CMDQ_CONS));
    bench.command(response(1, 2, 2));
    expect(seen).toEqual([0]);
    expect(bench.r32(at.CMDQ_CONS)).toBe(1);
  });
});

describe("a page is brought in", () => {
  test("IHI 0070 §8: request, interrupt, entry, response, and the function asks again", () => {
    const bench = new PriBench().start(1);
    bench.w32(at.PRIQ_IRQ_CFG2, LO);
    bench.interrupts(PRIQ_IRQEN | GERROR_IRQEN);
    for (let turn = 1; turn <= 5; turn++) {
      bench.ask(7, { substreamId: 3, groupIndex: turn });
      expect(bench.pulses).toHaveLength(turn);
      const [low, high] = bench.entry((turn - 1) % 2);
      // Space is made first: the response gives the function a credit for another request.
      bench.w32(at.PRIQ_CONS, turn % 4);
      bench.command(response(Number(low & 0xffff_ffffn), Number(high & 0x1ffn), 2, Number((low >> 32n) & 0xf_ffffn)));
    }
    expect(bench.responses).toEqual([1, 2, 3, 4, 5].map((group) => [7, 3, group, SUCCESS]));
    expect(bench.activeErrors).toBe(0);
    expect(bench.prod & LO).toBe(0);
  });
});
