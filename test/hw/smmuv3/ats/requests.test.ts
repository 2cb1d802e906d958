// SPDX-License-Identifier: MIT
/** What a Translation Request is answered, and what is recorded (IHI 0070 §3.9.1.2, §5.2 EATS, §7.3.6). */
import { describe, expect, test } from "vitest";
import { BusStatus, bypassSte, HostMisuseError, abortSte } from "../../../../src/hw/index.ts";
import { ATSCHK, AtsBench, CMDQEN, EVENTQEN, IPA, ON, PA, REC_CFG_ATS, RECINVSID, STREAM, VA } from "./bench.ts";

const PAGE = { to: PA, size: 12, rights: "RW" };

function mapped(bench: AtsBench = new AtsBench()): AtsBench {
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000);
  bench.stage1(table);
  return bench;
}

/** A nested stream; pages of IPA on are mapped by stage 2. */
function nested(ste: Readonly<Record<string, number>> = {}, bench: AtsBench = new AtsBench()): AtsBench {
  const first = bench.pageTable(1);
  first.map(VA, IPA, 0x1000);
  const second = bench.pageTable(2, { inputBits: 40 });
  second.map(IPA, PA, 0x1000);
  bench.nested(first, second, {}, ste);
  return bench;
}

describe("§3.9.1.2: a Translation Request that ATS refuses gets UR", () => {
  test("SMMUEN 0: UR, and F_BAD_ATS_TREQ is recorded", () => {
    const bench = mapped().run(RECINVSID, CMDQEN | EVENTQEN);
    expect(bench.tr()).toBe("UR");
    expect(bench.eventNames()).toEqual(["F_BAD_ATS_TREQ"]);
  });
  test("Config 0b000: UR and no event", () => {
    const bench = mapped().run(RECINVSID | REC_CFG_ATS);
    bench.streams.write(STREAM, abortSte({ EATS: 1 }));
    expect(bench.tr()).toBe("UR");
    expect(bench.eventNames()).toEqual([]);
  });
  test("Config 0b100: UR and F_BAD_ATS_TREQ, whatever EATS says", () => {
    const bench = mapped().run();
    bench.streams.write(STREAM, bypassSte({ EATS: 1 }));
    expect(bench.tr()).toBe("UR");
    expect(bench.eventNames()).toEqual(["F_BAD_ATS_TREQ"]);
  });
  test("EATS 0b00: UR and F_BAD_ATS_TREQ", () => {
    const bench = new AtsBench();
    bench.stage1(bench.pageTable(1), {}, { EATS: 0 });
    bench.run();
    expect(bench.tr()).toBe("UR");
    expect(bench.eventNames()).toEqual(["F_BAD_ATS_TREQ"]);
  });
  test("EATS 0b11 without a DPT acts as 0b00", () => {
    const bench = new AtsBench();
    bench.stage1(bench.pageTable(1), {}, { EATS: 3 });
    bench.run();
    expect(bench.tr()).toBe("UR");
    expect(bench.eventNames()).toEqual(["F_BAD_ATS_TREQ"]);
  });
  test("EATS 0b10 with ATSCHK 0 acts as 0b00; full ATS does not need ATSCHK", () => {
    const split = nested({ EATS: 2 }).run(RECINVSID, ON);
    expect(split.tr()).toBe("UR");
    expect(split.eventNames()).toEqual(["F_BAD_ATS_TREQ"]);
    expect(mapped().run(RECINVSID, ON).tr()).toEqual(PAGE);
  });
  test("§7.3.6: the record has the request before overrides: StreamID, SubstreamID, R, W, X, P, one unit, page", () => {
    const bench = new AtsBench();
    bench.stage1(bench.pageTable(1), {}, { EATS: 0, PRIVCFG: 2, INSTCFG: 2 });
    bench.run();
    bench.request(0xabc_1234_5000, { substreamId: 7, execute: true, privileged: true, noWrite: true });
    const [event] = bench.events();
    expect(event).toMatchObject({
      name: "F_BAD_ATS_TREQ",
      fields: { StreamID: STREAM, SSV: 1, SubstreamID: 7, Span: 1, R: 1, W: 0, X: 1, P: 1, "InputAddr[63:12]": 0xabc_1234_5000 },
    });
    bench.request(VA);
    expect(bench.events()[0]).toMatchObject({ fields: { SSV: 0, R: 1, W: 1, X: 0, P: 0, "InputAddr[63:12]": VA } });
  });
  test("F_BAD_ATS_TREQ needs neither REC_CFG_ATS nor RECINVSID", () => {
    const bench = new AtsBench();
    bench.stage1(bench.pageTable(1), {}, { EATS: 0 });
    bench.run(0);
    bench.tr();
    expect(bench.eventNames()).toEqual(["F_BAD_ATS_TREQ"]);
  });
  test("an SMMU without ATS answers UR and records nothing", () => {
    const noAts = { ats: false, splitStageAts: false, atsRecErr: false, pasidTt: false };
    const bench = mapped(new AtsBench({ config: noAts })).run(RECINVSID, ON);
    expect(bench.tr()).toBe("UR");
    expect(bench.eventNames()).toEqual([]);
  });
});

/** Configuration errors, each with the event that an ordinary transaction would record. */
const ERRORS: readonly (readonly [event: string, what: string, make: (bench: AtsBench) => Parameters<AtsBench["tr"]>])[] = [
  ["C_BAD_STREAMID", "a StreamID beyond the table", (): Parameters<AtsBench["tr"]> => [VA, {}, 0x1000]],
  [
    "F_STE_FETCH",
    "an abort of the STE fetch",
    (bench): Parameters<AtsBench["tr"]> => {
      bench.bus.inject({ base: bench.streams.steAddress(STREAM), size: 64, status: BusStatus.abort, on: "read" });
      return [VA];
    },
  ],
  [
    "C_BAD_STE",
    "an STE with V 0",
    (bench): Parameters<AtsBench["tr"]> => {
      bench.bus.memory.write32(bench.streams.steAddress(STREAM), 0);
      return [VA];
    },
  ],
  [
    "C_BAD_STE",
    "an ILLEGAL STE: EATS 0b10 without stage 2",
    (bench): Parameters<AtsBench["tr"]> => {
      bench.stage1(bench.pageTable(1), {}, { EATS: 2 });
      return [VA];
    },
  ],
  ["C_BAD_SUBSTREAMID", "a PASID where there are no substreams", (): Parameters<AtsBench["tr"]> => [VA, { substreamId: 1 }]],
  [
    "F_STREAM_DISABLED",
    "no PASID with S1DSS 0b00",
    (bench): Parameters<AtsBench["tr"]> => {
      bench.stage1(bench.pageTable(1), {}, { S1CDMax: 1, S1DSS: 0 });
      return [VA];
    },
  ],
  [
    "F_CD_FETCH",
    "an abort of the CD fetch",
    (bench): Parameters<AtsBench["tr"]> => {
      const cd = bench.stage1(bench.pageTable(1));
      bench.bus.inject({ base: cd, size: 64, status: BusStatus.abort, on: "read" });
      return [VA];
    },
  ],
  [
    "C_BAD_CD",
    "a CD with V 0",
    (bench): Parameters<AtsBench["tr"]> => {
      bench.stage1(bench.pageTable(1), { V: 0 });
      return [VA];
    },
  ],
  [
    "F_WALK_EABT",
    "an abort of the walk",
    (bench): Parameters<AtsBench["tr"]> => {
      const table = bench.pageTable(1);
      bench.stage1(table);
      bench.bus.inject({ base: table.base, size: 4096, status: BusStatus.abort, on: "read" });
      return [VA];
    },
  ],
];

describe("§3.9.1.2: a configuration error gets CA, and a record only with CR2.REC_CFG_ATS", () => {
  for (const [event, what, make] of ERRORS) {
    test(`${event}: ${what}`, () => {
      for (const [cr2, recorded] of [
        [RECINVSID, []],
        [RECINVSID | REC_CFG_ATS, [event]],
      ] as const) {
        const bench = mapped().run(cr2);
        expect(bench.tr(...make(bench))).toBe("CA");
        expect(bench.eventNames()).toEqual(recorded);
      }
    });
  }
  test("C_BAD_STREAMID needs CR2.RECINVSID as well", () => {
    const bench = mapped().run(REC_CFG_ATS);
    expect(bench.tr(VA, {}, 0x1000)).toBe("CA");
    expect(bench.eventNames()).toEqual([]);
  });
  test("§6.3.12: without IDR0.ATSRECERR there is no CR2.REC_CFG_ATS", () => {
    const bench = mapped(new AtsBench({ config: { atsRecErr: false } })).run(RECINVSID | REC_CFG_ATS);
    expect(bench.r32(0x2c)).toBe(RECINVSID);
    expect(bench.tr(VA, { substreamId: 1 })).toBe("CA");
    expect(bench.eventNames()).toEqual([]);
  });
  test("§15: a bad STE comes before ATS being off, which comes before a bad SubstreamID", () => {
    const bench = new AtsBench();
    bench.stage1(bench.pageTable(1), {}, { EATS: 0, V: 0 });
    bench.run(RECINVSID | REC_CFG_ATS);
    expect(bench.tr(VA, { substreamId: 1 })).toBe("CA");
    expect(bench.eventNames()).toEqual(["C_BAD_STE"]);
    const off = new AtsBench();
    off.stage1(off.pageTable(1), {}, { EATS: 0 });
    off.run(RECINVSID | REC_CFG_ATS);
    expect(off.tr(VA, { substreamId: 1 })).toBe("UR");
    expect(off.eventNames()).toEqual(["F_BAD_ATS_TREQ"]);
  });
});

describe("§3.9.1.2: a fault of the translation is Success with R = W = 0, and never a record", () => {
  const recorded = RECINVSID | REC_CFG_ATS;
  test("F_TRANSLATION, F_ACCESS and F_ADDR_SIZE at stage 1", () => {
    const bench = new AtsBench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000, { af: 0 });
    table.map(VA + 0x1000, 2 ** 47, 0x1000);
    bench.stage1(table, { IPS: 2 });
    bench.run(recorded);
    expect([bench.tr(VA), bench.tr(VA + 0x1000), bench.tr(VA + 0x2000), bench.tr(2 ** 50)]).toEqual(["none", "none", "none", "none"]);
    expect(bench.eventNames()).toEqual([]);
  });
  test("a CD that stalls or answers RAZ/WI makes no difference", () => {
    const bench = new AtsBench();
    bench.stage1(bench.pageTable(1), { S: 1, A: 0, R: 1 });
    bench.run(recorded);
    expect(bench.tr()).toBe("none");
    expect(bench.eventNames()).toEqual([]);
  });
  test("stage 2: of the address, of a stage-1 table, of the CD", () => {
    const bench = new AtsBench();
    const first = bench.pageTable(1);
    first.map(VA, IPA, 0x1000);
    const empty = bench.pageTable(2, { inputBits: 40 });
    bench.nested(first, empty);
    bench.run(recorded);
    expect(bench.tr()).toBe("none");
    const blind = new AtsBench();
    const second = blind.pageTable(2, { inputBits: 40 });
    blind.nested(blind.pageTable(1), second);
    second.map(0x4040_0000, 0x4040_0000, 0x40_0000, { ap: 2 });
    blind.run(recorded);
    expect(blind.tr()).toBe("none");
    expect([...bench.eventNames(), ...blind.eventNames()]).toEqual([]);
  });
  test("the completion is as large as the Smallest Translation Unit, which is the smallest granule", () => {
    for (const [config, size] of [
      [{}, 12],
      [{ gran4k: false }, 14],
      [{ gran4k: false, gran16k: false, ds: false }, 16],
    ] as const) {
      const bench = new AtsBench({ config });
      const granule = size;
      bench.stage1(bench.pageTable(1, { granule }));
      bench.run(recorded);
      expect(bench.request()).toMatchObject({ status: 0, read: false, write: false, sizeLog2: size });
    }
  });
});

describe("§3.9.1: a request that is granted", () => {
  test("stage 1 alone gives the physical address", () => {
    expect(mapped().run().tr()).toEqual(PAGE);
  });
  test("stage 2 alone, and both stages: the physical address", () => {
    const bench = new AtsBench();
    const table = bench.pageTable(2, { inputBits: 40 });
    table.map(IPA, PA, 0x1000);
    bench.stage2(table);
    expect(bench.run().tr(IPA)).toEqual(PAGE);
    expect(nested().run().tr()).toEqual(PAGE);
  });
  test("§13.6.3: split-stage ATS gives the intermediate address, with permissions and size of both stages", () => {
    const bench = new AtsBench();
    const first = bench.pageTable(1);
    first.map(0x1240_0000, 0x5540_0000, 0x20_0000, {}, 2);
    const second = bench.pageTable(2, { inputBits: 40 });
    second.map(0x5540_0000, PA, 0x1000, { ap: 1 });
    bench.nested(first, second, {}, { EATS: 2 });
    expect(bench.run().tr(0x1240_0000)).toEqual({ to: 0x5540_0000, size: 12, rights: "R" });
  });
  test("the size is that of the smaller stage, and the address its beginning", () => {
    const bench = new AtsBench();
    const first = bench.pageTable(1);
    first.map(0x1240_0000, 0x5540_0000, 0x20_0000, {}, 2);
    first.map(0x4000_0000, 0x8000_0000, 0x4000_0000, {}, 1);
    const second = bench.pageTable(2, { inputBits: 40 });
    second.map(0x5540_0000, 0x4200_0000, 0x20_0000, {}, 2);
    second.map(0x8000_0000, 0x4400_0000, 0x20_0000, {}, 2);
    bench.nested(first, second);
    bench.run();
    expect(bench.tr(0x1241_3000)).toEqual({ to: 0x4200_0000, size: 21, rights: "RW" });
    expect(bench.tr(0x4001_2000)).toEqual({ to: 0x4400_0000, size: 21, rights: "RW" });
  });
  test("a contiguous run is one translation", () => {
    const bench = new AtsBench();
    const table = bench.pageTable(1);
    table.map(0x1_0000, 0x4080_0000, 0x1_0000, { contiguous: 1 });
    bench.stage1(table);
    expect(bench.run().tr(0x1_3000)).toEqual({ to: 0x4080_0000, size: 16, rights: "RW" });
  });
  test("§3.9.1: N, U and Global are 0, also of a global page", () => {
    const bench = new AtsBench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000, { nG: 0 });
    bench.stage1(table);
    expect(bench.run().request()).toMatchObject({ global: false, untranslatedOnly: false });
  });
  test("a request fills the TLB, and is answered from it", () => {
    const bench = new AtsBench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    bench.stage1(table);
    bench.run();
    expect(bench.tr()).toEqual(PAGE);
    table.unmap(VA);
    expect(bench.tr()).toEqual(PAGE);
    expect(bench.dmaAt(VA)).toBe(PA);
  });
});

describe("§13.6.4, §13.6.5: STE.S1DSS skips stage 1 for a request without a PASID", () => {
  const SKIP = { S1CDMax: 1, S1DSS: 1 };
  test("stage 1 alone, full ATS: identity, R = W = 1, as large as the output", () => {
    const bench = new AtsBench();
    bench.stage1(bench.pageTable(1), {}, SKIP);
    expect(bench.run().tr(VA, { noWrite: true })).toEqual({ to: 0, size: 52, rights: "RW" });
  });
  test("both stages, full ATS: what stage 2 gives", () => {
    expect(nested(SKIP).run().tr(IPA)).toEqual(PAGE);
  });
  test("split-stage ATS: identity, with rights and size of stage 2", () => {
    const bench = new AtsBench();
    const second = bench.pageTable(2, { inputBits: 40 });
    second.map(0x5540_0000, 0x4200_0000, 0x20_0000, { ap: 1 }, 2);
    bench.nested(bench.pageTable(1), second, {}, { ...SKIP, EATS: 2 });
    expect(bench.run().tr(0x5541_3000)).toEqual({ to: 0x5540_0000, size: 21, rights: "R" });
  });
  test("an address beyond the intermediate size: R = W = 0", () => {
    const bench = new AtsBench({ config: { oas: 48, ds: false } });
    bench.stage1(bench.pageTable(1), {}, SKIP);
    expect(bench.run().tr(2 ** 48)).toBe("none");
  });
  test("S1DSS 0b10: CD 0 serves requests without a PASID", () => {
    const bench = new AtsBench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    bench.stage1(table, {}, { S1CDMax: 1, S1DSS: 2 });
    expect(bench.run().tr()).toEqual(PAGE);
  });
});

test("§12.3: in Service Failure Mode a request gets CA", () => {
  const bench = mapped().run();
  bench.smmu.failService();
  expect(bench.tr()).toBe("CA");
});

describe("requests that cannot be", () => {
  test("a StreamID, SubstreamID or address that there is not is a mistake of the embedding program", () => {
    const bench = mapped().run();
    expect(() => bench.request(VA, {}, -1)).toThrow(HostMisuseError);
    expect(() => bench.request(VA, { substreamId: 2 ** 20 })).toThrow(HostMisuseError);
    expect(() => bench.request(VA + 4)).toThrow(/address/);
  });
});

test("§6.3.9: CR0.ATSCHK is acknowledged by an Update, and there without ATS not at all", () => {
  const bench = new AtsBench();
  bench.w32(0x20, ATSCHK);
  expect(bench.r32(0x24)).toBe(0);
  bench.simulation.advance(10_000);
  expect(bench.r32(0x24)).toBe(ATSCHK);
  const without = new AtsBench({ config: { ats: false, splitStageAts: false, atsRecErr: false, pasidTt: false } });
  without.w32(0x20, ATSCHK);
  expect(without.r32(0x20)).toBe(0);
});
