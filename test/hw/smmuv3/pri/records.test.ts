// SPDX-License-Identifier: MIT
/** Entries of the PRI queue, bit by bit as IHI 0070 §8 draws them. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { abortSte, BusStatus, bypassSte, decodePageRequest, describePageRequest, describePageResponse } from "../../../../src/hw/index.ts";
import type { PageRequest } from "../../../../src/hw/index.ts";
import { ALL_ON, at, EVENTQEN, PriBench, PRIQ, PRIQEN, request, SMMUEN, stopMarker } from "./bench.ts";
import { misuse } from "../tables/misuse.ts";

const b = BigInt;

/** The two doublewords, from the drawing. */
function drawn(streamId: number, r: PageRequest): [bigint, bigint] {
  const flag = (is: boolean, bit: number): bigint => (is ? 1n << b(bit) : 0n);
  const pasid = r.substreamId >= 0;
  const low =
    b(streamId) |
    (pasid ? b(r.substreamId) << 32n : 0n) |
    flag(pasid && r.privileged, 58) |
    flag(pasid && r.execute, 59) |
    flag(r.read, 60) |
    flag(r.write, 61) |
    flag(r.last, 62) |
    flag(pasid, 63);
  return [low, b(r.groupIndex) | (b(r.addressLo >>> 12) << 12n) | (b(r.addressHi) << 32n)];
}

const requests: fc.Arbitrary<PageRequest> = fc.record({
  substreamId: fc.oneof(fc.constant(-1), fc.nat(0xf_ffff)),
  addressHi: fc.nat(0xffff_ffff),
  addressLo: fc.nat(0xf_ffff).map((page) => page * 4096),
  read: fc.boolean(),
  write: fc.boolean(),
  execute: fc.boolean(),
  privileged: fc.boolean(),
  last: fc.boolean(),
  groupIndex: fc.nat(0x1ff),
});

describe("an entry", () => {
  test("IHI 0070 §8: StreamID, SubstreamID, Priv, X, R, W, Last and SSV are the first doubleword, PRGIndex and the page the second", () => {
    const bench = new PriBench().start();
    bench.ask(0xabcd, {
      substreamId: 0x54321,
      addressHi: 0x0012_3456,
      addressLo: 0x789a_b000,
      read: true,
      write: false,
      execute: true,
      privileged: false,
      last: false,
      groupIndex: 0x1a5,
    });
    bench.ask(2, { substreamId: 0, addressLo: 0, read: false, write: true, privileged: true, last: true });
    expect(bench.entry(0)).toEqual([0x9805_4321_0000_abcdn, 0x0012_3456_789a_b1a5n]);
    expect(bench.entry(1)).toEqual([0xe400_0000_0000_0002n, 0n]);
    expect(bench.prod).toBe(2);
  });

  test("IHI 0070 §8: each field of any request is in its place", () => {
    const bench = new PriBench().start(0);
    let turn = 0;
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), requests, (streamId, r) => {
        bench.smmu.requestPage(streamId, r);
        expect(bench.entry(0)).toEqual(drawn(streamId, r));
        turn ^= 1;
        expect(bench.prod).toBe(turn);
        bench.w32(at.PRIQ_CONS, turn);
      }),
      { numRuns: 300, seed: 1 },
    );
    expect(bench.responses).toEqual([]);
  });

  test("IHI 0070 §8: without a PASID SSV, X and Priv are 0", () => {
    const bench = new PriBench().start();
    bench.ask(5, { execute: true, privileged: true, read: true, write: true, last: true });
    expect(bench.entry(0)[0]).toBe((0x7n << 60n) | 5n);
  });

  test("IHI 0070 §8: without substreams (SSIDSIZE 0) SSV is 0", () => {
    const bench = new PriBench({ config: { ssidSize: 0, pasidTt: false } }).start();
    bench.ask(5, { substreamId: 9, execute: true, privileged: true });
    expect(bench.entry(0)[0]).toBe((0x5n << 60n) | 5n);
  });

  test("IHI 0070 §8: a Stop Marker is an entry with LWR 0b100 and SSV 1; LWR 0b100 without a PASID is an ordinary request", () => {
    const bench = new PriBench().start();
    bench.smmu.requestPage(5, stopMarker(9));
    bench.smmu.requestPage(5, { ...stopMarker(9), substreamId: -1 });
    expect(bench.entry(0)[0]).toBe((0xcn << 60n) | (9n << 32n) | 5n);
    expect(bench.entry(1)[0]).toBe((0x4n << 60n) | 5n);
    expect(bench.responses).toEqual([]);
  });

  test("IHI 0070 §8: requests of several groups and functions stand in the order in which they came", () => {
    const bench = new PriBench().start(3);
    const sent: [number, number][] = [
      [1, 7],
      [2, 7],
      [1, 8],
      [1, 7],
    ];
    for (const [streamId, groupIndex] of sent) bench.ask(streamId, { groupIndex });
    const seen = sent.map((_, i) => [Number(bench.entry(i)[0] & 0xffff_ffffn), Number(bench.entry(i)[1] & 0x1ffn)]);
    expect(seen).toEqual(sent);
  });
});

describe("who may ask", () => {
  test.each(["linear", "two-level"])(
    "IHI 0070 §8.2: neither the STE nor CR0.ATSCHK matters to a request that is written: %s table",
    (kind) => {
      const bench = new PriBench({ streams: kind === "linear" ? {} : { split: 6, log2Size: 10 } }).start(3);
      bench.streams.write(1, abortSte());
      bench.streams.write(2, bypassSte());
      bench.cr0(ALL_ON | 0x10);
      bench.accesses.length = 0;
      for (const streamId of [1, 2, 3, 0xffff_ffff]) bench.ask(streamId, { substreamId: 1 });
      expect(bench.prod).toBe(4);
      expect(bench.responses).toEqual([]);
      expect(bench.accesses).toEqual([0, 1, 2, 3].map((i) => `priq write 0x${(PRIQ + 16 * i).toString(16)}`));
    },
  );

  test("IHI 0070 §6.3.33, §6.3.11: the write has the attributes of CR1.QUEUE_* with the hint of PRIQ_BASE.WA", () => {
    const seen: (number | undefined)[] = [];
    const bench = new PriBench({
      wrap: (host) => ({
        ...host,
        store: (kind, address, words, count, attributes) => {
          if (kind === "priq") seen.push(attributes);
          return host.store(kind, address, words, count, attributes);
        },
      }),
    });
    // Inner Shareable, outer and inner Write-Back.
    bench.w32(at.CR1, 0b11_01_01);
    bench.start();
    bench.ask(1);
    bench.cr0(0);
    bench.w64(at.PRIQ_BASE, PRIQ + 2, 1 << 30);
    bench.cr0(SMMUEN | PRIQEN | EVENTQEN);
    bench.ask(1);
    // As a byte of MAIR: Write-Back without and with Write-Allocate; shareability 3.
    expect(seen).toEqual([0x3cc, 0x3dd]);
  });
});

describe("messages that no function can send are refused", () => {
  const cases: readonly (readonly [string, number, Partial<Record<keyof PageRequest, unknown>>, string])[] = [
    ["a StreamID of 33 bits", 2 ** 32, {}, "StreamID of a page request"],
    ["a PASID of 21 bits", 1, { substreamId: 2 ** 20 }, "substreamId"],
    ["a negative PASID", 1, { substreamId: -2 }, "substreamId"],
    ["an address within a page", 1, { addressLo: 0x1800 }, "addressLo"],
    ["a signed half of an address", 1, { addressHi: -1 }, "addressHi"],
    ["a group of ten bits", 1, { groupIndex: 0x200 }, "groupIndex"],
    ["a flag that is a number", 1, { last: 1 }, "last"],
    ["no flag", 1, { read: undefined }, "read"],
  ];
  test.each(cases)("%s", (_what, streamId, fields, named) => {
    const bench = new PriBench().start();
    expect(() => bench.smmu.requestPage(streamId, { ...request(), ...fields } as PageRequest)).toThrow(misuse("PAGE_REQUEST", named));
    expect(bench.prod).toBe(0);
  });
});

describe("entries as people read them", () => {
  test("any request is read back as it was written", () => {
    const bench = new PriBench().start(0);
    let turn = 0;
    const words = new Uint32Array(4);
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), requests, (streamId, r) => {
        bench.smmu.requestPage(streamId, r);
        bench.bus.memory.loadWords(PRIQ, words, 4);
        const pasid = r.substreamId >= 0;
        const { stopMarker: marker, ...rest } = decodePageRequest(words);
        expect(rest).toEqual({ streamId, ...r, execute: pasid && r.execute, privileged: pasid && r.privileged });
        expect(marker).toBe(pasid && r.last && !r.read && !r.write);
        turn ^= 1;
        bench.w32(at.PRIQ_CONS, turn);
      }),
      { numRuns: 100, seed: 2 },
    );
  });

  test("a line says who asks, for which page, to do what", () => {
    expect(describePageRequest([0x2a, 0xf800_0007, 0x1234_5005, 0x9a])).toBe(
      "page request: StreamID 0x2a, SubstreamID 0x7, group 0x5, the last of it, address 0x0000009a12345000, read, write, execute",
    );
    expect(describePageRequest([0x2a, 0, 0x3000, 0])).toBe("page request: StreamID 0x2a, group 0x0, address 0x0000000000003000, no access");
    expect(describePageRequest([0x2a, 0xc000_0007, 0, 0])).toBe("Stop Marker: StreamID 0x2a, SubstreamID 0x7");
    expect(describePageResponse(1, { substreamId: 2, groupIndex: 3, code: 15 })).toBe(
      "Response Failure to StreamID 0x1, SubstreamID 0x2, group 0x3",
    );
  });

  test("an entry of other than four words is refused", () => {
    for (const words of [[], [1, 2, 3], new Uint32Array(8)])
      expect(() => describePageRequest(words)).toThrow(misuse("WORDS", "a page request", "4"));
  });

  test("the trace tells of requests, written or not, and of responses", () => {
    const bench = new PriBench();
    const told: string[] = [];
    bench.trace.on("smmu.page-request", ({ data }) => told.push(`${data.recorded} ${data.text}`));
    bench.trace.on("smmu.page-response", ({ data }) => told.push(`${data.automatic} ${data.text}`));
    bench.start();
    bench.ask(1);
    bench.bus.inject({ base: PRIQ, size: 64, status: BusStatus.abort, on: "write" });
    bench.ask(2, { groupIndex: 4 });
    expect(told).toEqual([
      "true page request: StreamID 0x1, group 0x0, the last of it, address 0x0000000000001000, read",
      "false page request: StreamID 0x2, group 0x4, the last of it, address 0x0000000000001000, read",
      "true Response Failure to StreamID 0x2, group 0x4",
    ]);
  });
});
