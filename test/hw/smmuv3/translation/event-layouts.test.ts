// SPDX-License-Identifier: MIT
/**
 * Every event record that this interface generates, all 256 bits, against the drawings of IHI 0070 §7.3 written out here once
 * more: defined fields where they are, everything else zero.
 */
import { describe, expect, test } from "vitest";
import { EVENTS } from "../../../../src/hw/smmuv3/spec/events.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { buildSte, l1std, nestedSte, stage1Cd, stage1Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench, type Request } from "./bench.ts";

type Layout = Readonly<Record<string, readonly [hi: number, lo: number]>>;

const type = { EventType: [7, 0] } as const;
const stream = { StreamID: [63, 32] } as const;
const id = { ...type, SSV: [11, 11], SubstreamID: [31, 12], ...stream } as const;
const reason = { Reason: [79, 64] } as const;
const access = { PnU: [97, 97], InD: [98, 98], RnW: [99, 99] } as const;
const input = { InputAddr: [191, 128] } as const;
const fetch = { FetchAddr: [247, 195] } as const;
const stage = { NSIPA: [102, 102], S2: [103, 103], CLASS: [105, 104] } as const;
const configFetch = { ...id, ...reason, GPCF: [80, 80], ...fetch } as const;
const translation = {
  ...id,
  STAG: [79, 64],
  Stall: [95, 95],
  ...access,
  ...stage,
  ImpDef: [127, 112],
  ...input,
  IPA: [247, 204],
} as const;

const LAYOUTS: Readonly<Record<string, readonly [number: number, layout: Layout]>> = {
  F_UUT: [0x01, { ...id, ...reason, ...access, ...input }],
  C_BAD_STREAMID: [0x02, id],
  F_STE_FETCH: [0x03, configFetch],
  C_BAD_STE: [0x04, id],
  F_BAD_ATS_TREQ: [0x05, { ...id, Span: [67, 64], P: [92, 92], X: [93, 93], W: [94, 94], R: [95, 95], "InputAddr[63:12]": [191, 140] }],
  F_STREAM_DISABLED: [0x06, { ...type, ...stream }],
  F_TRANSL_FORBIDDEN: [0x07, { ...type, ...stream, RnW: [99, 99], ...input }],
  C_BAD_SUBSTREAMID: [0x08, { ...type, SubstreamID: [31, 12], ...stream }],
  F_CD_FETCH: [0x09, configFetch],
  C_BAD_CD: [0x0a, id],
  F_WALK_EABT: [0x0b, { ...configFetch, ...access, ...stage, ...input }],
  F_TRANSLATION: [0x10, translation],
  F_ADDR_SIZE: [0x11, translation],
  F_ACCESS: [0x12, translation],
  F_PERMISSION: [0x13, { ...translation, DirtyBit: [106, 106], AssuredOnly: [107, 107], TTRnW: [108, 108], Overlay: [109, 109] }],
  F_TLB_CONFLICT: [0x20, { ...id, Reason: [95, 64], ...access, ...stage, ...input, IPA: [247, 204] }],
  F_CFG_CONFLICT: [0x21, { ...id, Reason: [95, 64] }],
  E_PAGE_REQUEST: [
    0x24,
    {
      ...id,
      uX: [97, 97],
      uW: [98, 98],
      uR: [99, 99],
      pX: [101, 101],
      pW: [102, 102],
      pR: [103, 103],
      Span: [115, 108],
      "InputAddr[63:12]": [191, 140],
    },
  ],
  F_VMS_FETCH: [0x25, configFetch],
};

describe("layouts", () => {
  test("§7.3: the events are these", () => {
    expect(EVENTS.map(({ number, name }) => [name, number])).toEqual(Object.entries(LAYOUTS).map(([name, [number]]) => [name, number]));
  });
  for (const [name, [, layout]] of Object.entries(LAYOUTS)) {
    test(`${name}: each field stands in its bits, and there is no other`, () => {
      const spec = EVENTS.find((event) => event.name === name)!;
      const found = spec.fields.map((field): [string, readonly [number, number]] => {
        if (field.name === "InputAddr[31:0]") return ["InputAddr", [field.hi + 32, field.lo]];
        return [field.name, [field.hi, field.lo]];
      });
      expect(Object.fromEntries(found.filter(([field]) => field !== "InputAddr[63:32]"))).toEqual(layout);
    });
  }
});

type Values = Readonly<Record<string, number | bigint>>;

/** The record of an event: values that its layout has no field for are left out, fields without a value are zero. */
function recordOf(name: string, values: Values): number[] {
  const [number, layout] = LAYOUTS[name]!;
  let bits = 0n;
  for (const [field, [hi, lo]] of Object.entries(layout)) {
    const value = BigInt(field === "EventType" ? number : (values[field] ?? 0));
    bits |= (value & ((1n << BigInt(hi - lo + 1)) - 1n)) << BigInt(lo);
  }
  return Array.from({ length: 8 }, (_, word) => Number((bits >> BigInt(32 * word)) & 0xffff_ffffn));
}

const SID = 0x2a;
const SSID = 0x5;
const VA = 0x8765_4321_0000;
const PA = 0x7000_0000;

/** Every kind of access, and STE overrides of it (§13.1.2: writes are Data). */
const REQUESTS: readonly { readonly request: Request; readonly ste: Record<string, number> }[] = [0, 1, 2, 3, 4, 5, 6, 7].flatMap(
  (bits) => {
    const request = { write: (bits & 1) !== 0, privileged: (bits & 2) !== 0, instruction: (bits & 4) !== 0 };
    return [{}, { PRIVCFG: 2 }, { PRIVCFG: 3 }, { INSTCFG: 2 }, { INSTCFG: 3 }, { PRIVCFG: 3, INSTCFG: 3 }].map((ste) => ({
      request,
      ste,
    }));
  },
);

/** PnU, InD and RnW as §7.3 and §13.1.2 have them. */
function attributes(request: Request, ste: Record<string, number>): Values {
  const privileged = { 2: false, 3: true }[ste["PRIVCFG"] ?? 0] ?? request.privileged ?? false;
  const instruction = { 2: false, 3: true }[ste["INSTCFG"] ?? 0] ?? request.instruction ?? false;
  return { RnW: request.write ? 0 : 1, PnU: privileged ? 1 : 0, InD: instruction && !request.write ? 1 : 0 };
}

/** A machine that fails in one way. `s1` is nested where stage 2 is meant. */
interface Failing {
  readonly event: string;
  readonly values?: Values;
  readonly bench: Bench;
}

type Build = (ste: Record<string, number>, request: Request) => Failing;

const SINGLE: Readonly<Record<string, Build>> = {
  "F_STE_FETCH on the STE": (fields) => {
    const { bench, ste } = stage1(fields);
    bench.abortAt(ste);
    return { event: "F_STE_FETCH", bench, values: { FetchAddr: BigInt(ste) >> 3n } };
  },
  C_BAD_STE: (fields) => {
    const { bench } = stage1(fields);
    bench.streams.write(SID, buildSte({ V: 0 }));
    return { event: "C_BAD_STE", bench };
  },
  F_STREAM_DISABLED: (fields) => {
    const { bench, cds } = stage1(fields);
    bench.streams.write(SID, stage1Ste(cds.base, { ...cds.fields, S1DSS: 0, ...fields }));
    return { event: "F_STREAM_DISABLED", bench, values: { without: 1 } };
  },
  C_BAD_SUBSTREAMID: (fields) => {
    const { bench, cds } = stage1(fields);
    bench.streams.write(SID, stage1Ste(cds.base, { ...cds.fields, S1CDMax: 0, ...fields }));
    return { event: "C_BAD_SUBSTREAMID", bench };
  },
  F_CD_FETCH: (fields) => {
    const { bench, cds } = stage1(fields);
    bench.abortAt(cds.cdAddress(SSID));
    return { event: "F_CD_FETCH", bench, values: { FetchAddr: BigInt(cds.cdAddress(SSID)) >> 3n } };
  },
  C_BAD_CD: (fields) => {
    const { bench, cds } = stage1(fields);
    cds.write(SSID, new Uint32Array(16));
    return { event: "C_BAD_CD", bench };
  },
  "F_WALK_EABT of stage 1": (fields) => {
    const { bench, table } = stage1(fields);
    const at = table.entryAddress(VA, 1);
    bench.abortAt(at, 8);
    return { event: "F_WALK_EABT", bench, values: { CLASS: 1, FetchAddr: BigInt(at) >> 3n } };
  },
  "F_TRANSLATION of stage 1": (fields) => {
    const { bench, table } = stage1(fields);
    table.unmap(VA);
    return { event: "F_TRANSLATION", bench, values: { CLASS: 2 } };
  },
  "F_ADDR_SIZE of stage 1": (fields) => {
    const { bench, table } = stage1(fields);
    table.map(VA, 2 ** 45, 0x1000);
    return { event: "F_ADDR_SIZE", bench, values: { CLASS: 2 } };
  },
  "F_ACCESS of stage 1": (fields) => {
    const { bench, table } = stage1(fields);
    table.map(VA, PA, 0x1000, { af: 0 });
    return { event: "F_ACCESS", bench, values: { CLASS: 2 } };
  },
};

/** Stream 0x2a with 8 CDs; SubstreamID 5 maps VA to PA, with an output size of 44 bits. */
function stage1(fields: Record<string, number>): { bench: Bench; cds: CdTable; ste: number; table: ReturnType<Bench["pageTable"]> } {
  const bench = new Bench({}, { log2Size: 6 });
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000);
  const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax: 3 });
  cds.write(SSID, stage1Cd({ ttb0: table }, { IPS: 4 }));
  const ste = bench.streams.write(SID, stage1Ste(cds.base, { ...cds.fields, ...fields }));
  return { bench, cds, ste, table };
}

/** What stage 2 translates when it fails, and CLASS. */
const PURPOSES = { CD: 0, TT: 1, IN: 2 } as const;
const IPA = 0x12_3456_7000;

/** A nested stream of which stage 2 fails at the CD, at a table of stage 1 or at the output of stage 1. */
function nested(purpose: keyof typeof PURPOSES, failure: string, fields: Record<string, number>, write: boolean): Failing {
  const bench = new Bench({}, { log2Size: 6 });
  const s1 = bench.pageTable(1);
  // Stage 1 lets everything pass: what both may write, the privileged may not execute.
  s1.map(VA, IPA, 0x1000, { ap: write ? 1 : 3 });
  const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax: 3 });
  cds.write(SSID, stage1Cd({ ttb0: s1 }));
  const s2 = bench.pageTable(2, 12, { inputBits: 42 });
  const page = (address: number): number => address - (address % 0x1000);
  const tables = [0, 1, 2, 3].map((level) => s1.entryAddress(VA, level));
  for (const at of [cds.base, ...tables]) s2.map(page(at), page(at), 0x1000);
  s2.map(IPA, PA, 0x1000);
  const ipa = { CD: cds.cdAddress(SSID), TT: tables[2]!, IN: IPA }[purpose];
  const values = { S2: 1, CLASS: PURPOSES[purpose], IPA: BigInt(ipa) >> 12n, TTRnW: purpose === "TT" ? 1 : 0 };
  bench.streams.write(SID, nestedSte(cds.base, s2, { ...cds.fields, S2PS: 4, ...fields }));
  switch (failure) {
    case "F_TRANSLATION":
      s2.unmap(page(ipa));
      break;
    case "F_ADDR_SIZE":
      s2.map(page(ipa), 2 ** 45, 0x1000);
      break;
    case "F_ACCESS":
      s2.map(page(ipa), page(ipa), 0x1000, { af: 0 });
      break;
    case "F_PERMISSION":
      s2.map(page(ipa), page(ipa), 0x1000, { ap: 0, xn: 2 });
      break;
    default: {
      const at = s2.entryAddress(ipa, 3);
      bench.abortAt(at, 8);
      return { event: "F_WALK_EABT", bench, values: { ...values, FetchAddr: BigInt(at) >> 3n } };
    }
  }
  return { event: failure, bench, values };
}

function check(name: string, build: Build): void {
  test(`${name}: 8 kinds of access under 6 sets of overrides, with an address of all kinds of bits`, () => {
    for (const { request, ste } of REQUESTS) {
      const { event, bench, values = {} } = build(ste, request);
      const without = values["without"] === 1;
      const { words } = bench.go(VA + 0xabc, { sid: SID, ...(without ? {} : { ssid: SSID }), ...request });
      const due = recordOf(event, {
        StreamID: SID,
        ...(without ? {} : { SSV: 1, SubstreamID: SSID }),
        ...attributes(request, ste),
        InputAddr: BigInt(VA + 0xabc),
        ...values,
      });
      expect([request, ste, [...(words ?? [])]]).toEqual([request, ste, due]);
    }
  });
}

describe("records", () => {
  for (const [name, build] of Object.entries(SINGLE)) check(name, build);
  for (const failure of ["F_TRANSLATION", "F_ADDR_SIZE", "F_ACCESS", "F_PERMISSION", "F_WALK_EABT"]) {
    for (const purpose of ["CD", "TT", "IN"] as const) {
      check(`${failure} of stage 2, CLASS ${purpose}`, (fields, { write = false }) => nested(purpose, failure, fields, write));
    }
  }

  test("F_PERMISSION of stage 1: reads, writes and instruction fetches that are refused", () => {
    for (const { request, ste } of REQUESTS) {
      const { bench, table } = stage1(ste);
      const { PnU, InD } = attributes(request, ste);
      // Privileged data is refused by no AP alone but writes by read-only; execution by UXN and PXN; unprivileged by AP[1] 0.
      table.map(VA, PA, 0x1000, { ap: PnU === 1 ? 2 : 0, uxn: 1, pxn: 1 });
      if (PnU === 1 && InD === 0 && !request.write) continue;
      const { words } = bench.go(VA, { sid: SID, ssid: SSID, ...request });
      const values = { StreamID: SID, SSV: 1, SubstreamID: SSID, ...attributes(request, ste), InputAddr: BigInt(VA), CLASS: 2 };
      expect([request, ste, [...(words ?? [])]]).toEqual([request, ste, recordOf("F_PERMISSION", values)]);
    }
  });

  test("C_BAD_STREAMID and C_BAD_SUBSTREAMID: every bit of StreamID and SubstreamID", () => {
    const { bench, cds } = stage1({});
    bench.streams.write(SID, stage1Ste(cds.base, { ...cds.fields, S1CDMax: 0 }));
    for (let bit = 6; bit < 32; bit++) {
      const sid = (1 << bit) >>> 0;
      const due = recordOf("C_BAD_STREAMID", { StreamID: sid });
      expect([...(bench.go(VA, { sid }).words ?? [])]).toEqual(due);
      const both = recordOf("C_BAD_STREAMID", { StreamID: sid, SSV: 1, SubstreamID: 0xa_5a5a });
      expect([...(bench.go(VA, { sid, ssid: 0xa_5a5a, write: true, privileged: true }).words ?? [])]).toEqual(both);
    }
    for (let bit = 0; bit < 20; bit++) {
      const ssid = 1 << bit;
      const due = recordOf("C_BAD_SUBSTREAMID", { StreamID: SID, SubstreamID: ssid });
      expect([...(bench.go(VA, { sid: SID, ssid }).words ?? [])]).toEqual(due);
    }
  });

  test("every bit of InputAddr, as it came: sign extension and top byte included (§7.3)", () => {
    const { bench } = stage1({});
    for (let bit = 0; bit < 64; bit++) {
      const address = 1n << BigInt(bit);
      const hi = Number(address >> 32n);
      const due = recordOf("F_TRANSLATION", { StreamID: SID, SSV: 1, SubstreamID: SSID, RnW: 1, CLASS: 2, InputAddr: address });
      expect([...(bench.go(Number(address & 0xffff_ffffn), { sid: SID, ssid: SSID, hi }).words ?? [])]).toEqual(due);
    }
  });

  test("FetchAddr and IPA have no bits beyond the output address size (§7.3.4, §7.3.13)", () => {
    const bench = new Bench({ oas: 40, vax: 48 }, { log2Size: 16, split: 6 });
    bench.write(bench.streams.level1Address(SID), l1std(2 ** 45 + 0x12_3456_7000, 7));
    const address = BigInt(0x12_3456_7000 + 64 * SID);
    expect([...(bench.go(VA, { sid: SID }).words ?? [])]).toEqual(recordOf("F_STE_FETCH", { StreamID: SID, FetchAddr: address >> 3n }));
    const s2 = bench.pageTable(2, 12, { inputBits: 39 });
    const s1 = bench.pageTable(1);
    s1.map(VA, 2 ** 38 + 0x5000, 0x1000);
    const cd = bench.placeCd(stage1Cd({ ttb0: s1 }));
    s2.map(0x4000_0000, 0x4000_0000, 0x1000_0000, {}, 2);
    bench.streams.write(0x80, nestedSte(cd, s2, { S2PS: 2 }));
    const due = recordOf("F_TRANSLATION", {
      StreamID: 0x80,
      RnW: 1,
      S2: 1,
      CLASS: 2,
      InputAddr: BigInt(VA),
      IPA: (2n ** 38n + 0x5000n) >> 12n,
    });
    expect([...(bench.go(VA, { sid: 0x80 }).words ?? [])]).toEqual(due);
  });

  test("F_ADDR_SIZE where stage 1 is bypassed: S2 0, CLASS IN, no IPA (§7.3.14)", () => {
    const bench = new Bench({ oas: 44, vax: 48 }, { log2Size: 6 });
    for (const [sid, ste] of [buildSte({ V: 1, Config: 4 }), nothingAtStage1(bench)].entries()) {
      bench.streams.write(sid, ste);
      const { words } = bench.go(2 ** 44 + 0xabc, { sid, write: true, privileged: true });
      const due = recordOf("F_ADDR_SIZE", { StreamID: sid, PnU: 1, CLASS: 2, InputAddr: BigInt(2 ** 44 + 0xabc) });
      expect([...(words ?? [])]).toEqual(due);
    }
  });
});

/** S1DSS 0b01: transactions without a SubstreamID skip stage 1. */
function nothingAtStage1(bench: Bench): Uint32Array {
  const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax: 3 });
  return stage1Ste(cds.base, { ...cds.fields, S1DSS: 1 });
}
