// SPDX-License-Identifier: MIT
/** Translated transactions: which pass, where to, with which attributes, and what is recorded (IHI 0070 §3.9.1.3, §13.6, §13.7). */
import { describe, expect, test } from "vitest";
import {
  abortSte,
  BusStatus,
  bypassSte,
  DmaStatus,
  HostMisuseError,
  SmmuDmaPort,
  TransactionKind,
  Transaction,
  Outcome,
  type DmaEvents,
} from "../../../../src/hw/index.ts";
import { Trace as SimTrace } from "../../../../src/sim/index.ts";
import { AtsBench, ATSCHK, type AtsOptions, CMDQEN, EVENTQEN, IPA, ON, PA, REC_CFG_ATS, RECINVSID, STREAM, VA, Via } from "./bench.ts";

/** Full ATS over a stage-1 table that maps {@link VA}. */
function full(ste: Readonly<Record<string, number>> = {}, more: AtsOptions = {}): AtsBench {
  const bench = new AtsBench(more);
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000);
  bench.stage1(table, {}, ste);
  return bench;
}

function split(
  leaf2: Parameters<ReturnType<AtsBench["pageTable"]>["map"]>[3] = {},
  ste: Readonly<Record<string, number>> = {},
  more: AtsOptions = {},
): AtsBench {
  const bench = new AtsBench(more);
  const second = bench.pageTable(2, { inputBits: 40 });
  second.map(IPA, PA, 0x1000, leaf2);
  bench.nested(bench.pageTable(1), second, {}, { EATS: 2, ...ste });
  return bench;
}

describe("§3.9.1.3: what passes", () => {
  test("SMMUEN 0: abort and F_TRANSL_FORBIDDEN, although ordinary transactions bypass", () => {
    const bench = full().run(RECINVSID, CMDQEN | EVENTQEN);
    expect(bench.passes(PA)).toBe("abort");
    expect(bench.dmaAt(PA)).toBe(PA);
    expect(bench.eventNames()).toEqual(["F_TRANSL_FORBIDDEN"]);
  });
  test("§7.3.8: the record has StreamID, RnW and the address, and no SubstreamID", () => {
    const bench = full().run(RECINVSID, CMDQEN | EVENTQEN);
    bench.passes(0xabc_4000_0128, { write: true, ssid: 3 });
    bench.passes(PA);
    const [write, read] = bench.events();
    const fields = { StreamID: STREAM, RnW: 0, "InputAddr[31:0]": 0x4000_0128, "InputAddr[63:32]": 0xabc };
    expect(write).toMatchObject({ name: "F_TRANSL_FORBIDDEN", fields });
    expect(write!.fields["SubstreamID"]).toBeUndefined();
    expect(read!.fields["RnW"]).toBe(1);
  });
  test("ATSCHK 0: all pass with their address as it is, whatever the STE says", () => {
    const bench = full({ EATS: 0 }).run(RECINVSID, ON);
    expect(bench.passes(PA + 0x123)).toBe(PA + 0x123);
    bench.bus.memory.write32(bench.streams.steAddress(STREAM), 0);
    expect(bench.passes(PA)).toBe(PA);
    expect(bench.passes(PA, { sid: 0x1000 })).toBe(PA);
    expect(bench.eventNames()).toEqual([]);
  });
  test("ATSCHK 1: full ATS passes with the address as it is, mapped or not", () => {
    const bench = full().run();
    expect([bench.passes(PA), bench.passes(PA + 0x10_0008, { write: true })]).toEqual([PA, PA + 0x10_0008]);
  });
  test("ATSCHK 1: EATS 0b00, EATS 0b11 and Config 0b100 forbid it", () => {
    for (const EATS of [0, 3]) {
      const bench = full({ EATS }).run(0);
      expect(bench.passes(PA)).toBe("abort");
      expect(bench.eventNames()).toEqual(["F_TRANSL_FORBIDDEN"]);
    }
    const bypassed = full().run(0);
    bypassed.streams.write(STREAM, bypassSte({ EATS: 1 }));
    expect(bypassed.passes(PA)).toBe("abort");
    expect(bypassed.dmaAt(PA)).toBe(PA);
    expect(bypassed.eventNames()).toEqual(["F_TRANSL_FORBIDDEN"]);
  });
  test("ATSCHK 1: Config 0b000 aborts without a record", () => {
    const bench = full().run(RECINVSID | REC_CFG_ATS);
    bench.streams.write(STREAM, abortSte({ EATS: 1 }));
    expect(bench.passes(PA)).toBe("abort");
    expect(bench.eventNames()).toEqual([]);
  });
  test("§5.2 EATS: without ATS no Translated traffic passes", () => {
    const noAts = { ats: false, splitStageAts: false, atsRecErr: false, pasidTt: false, pri: false };
    const bench = full({}, { config: noAts }).run(RECINVSID, ON);
    expect(bench.passes(PA)).toBe("abort");
    expect(bench.eventNames()).toEqual([]);
  });
  test("what an ordinary transaction has left in the caches is not used for a Translated one", () => {
    const bench = full().run();
    for (let i = 0; i < 3; i++) expect(bench.dmaAt(VA)).toBe(PA);
    expect(bench.passes(VA)).toBe(VA);
    expect(bench.dmaAt(VA)).toBe(PA);
  });
});

describe("§3.9.1.3: configuration errors abort, with a record only if CR2.REC_CFG_ATS is 1; RECINVSID does not count", () => {
  const cases: readonly (readonly [string, (bench: AtsBench) => Parameters<AtsBench["passes"]>[1]])[] = [
    ["C_BAD_STREAMID", (): { sid: number } => ({ sid: 0x1000 })],
    [
      "F_STE_FETCH",
      (bench): object => {
        bench.bus.inject({ base: bench.streams.steAddress(STREAM), size: 64, status: BusStatus.abort, on: "read" });
        return {};
      },
    ],
    [
      "C_BAD_STE",
      (bench): object => {
        bench.bus.memory.write32(bench.streams.steAddress(STREAM), 0);
        return {};
      },
    ],
    ["C_BAD_SUBSTREAMID", (): { ssid: number } => ({ ssid: 9 })],
    [
      "F_STREAM_DISABLED",
      (bench): object => {
        const at = bench.arena.take(128);
        bench.stage1(bench.pageTable(1), {}, { S1CDMax: 1, S1DSS: 2, S1ContextPtr: at });
        return { ssid: 0 };
      },
    ],
    [
      "C_BAD_CD",
      (bench): object => {
        const at = bench.arena.take(128);
        bench.stage1(bench.pageTable(1), {}, { S1CDMax: 1, S1ContextPtr: at });
        return { ssid: 1 };
      },
    ],
    [
      "F_CD_FETCH",
      (bench): object => {
        const at = bench.arena.take(128);
        bench.stage1(bench.pageTable(1), {}, { S1CDMax: 1, S1ContextPtr: at });
        bench.bus.inject({ base: at, size: 128, status: BusStatus.abort, on: "read" });
        return { ssid: 1 };
      },
    ],
  ];
  for (const [event, make] of cases) {
    test(event, () => {
      for (const [cr2, recorded] of [
        [RECINVSID, []],
        [REC_CFG_ATS, [event]],
      ] as const) {
        const bench = full().run(cr2);
        expect(bench.passes(PA, make(bench))).toBe("abort");
        expect(bench.eventNames()).toEqual(recorded);
      }
    });
  }
  test("ATSCHK 0: none of them is detected", () => {
    for (const [, make] of cases) {
      const bench = full().run(RECINVSID | REC_CFG_ATS, ON);
      expect(bench.passes(PA, make(bench))).toBe(PA);
      expect(bench.eventNames()).toEqual([]);
    }
  });
  test("F_TRANSL_FORBIDDEN comes after C_BAD_STE and before C_BAD_SUBSTREAMID", () => {
    const bench = full({ EATS: 0 }).run(REC_CFG_ATS);
    bench.passes(PA, { ssid: 9 });
    expect(bench.eventNames()).toEqual(["F_TRANSL_FORBIDDEN"]);
  });
  test("IDR3.PASIDTT 0: a SubstreamID does not count", () => {
    const bench = full({}, { config: { pasidTt: false } }).run(REC_CFG_ATS);
    expect(bench.passes(PA, { ssid: 9 })).toBe(PA);
    expect(bench.eventNames()).toEqual([]);
  });
});

describe("§13.6.3: split-stage ATS", () => {
  test("the address is an intermediate one, and goes through stage 2", () => {
    expect(
      split()
        .run()
        .passes(IPA + 0x128),
    ).toBe(PA + 0x128);
  });
  test("EATS 0b10 with ATSCHK 0 passes unchecked, as all Translated traffic", () => {
    expect(split().run(RECINVSID, ON).passes(IPA)).toBe(IPA);
  });
  test("a fault of stage 2 is recorded as that of an ordinary transaction, S2R included, and never stalls", () => {
    const bench = split().run(0);
    expect(bench.passes(IPA + 0x1000, { write: true })).toBe("abort");
    expect(bench.events()).toMatchObject([
      { name: "F_TRANSLATION", fields: { S2: 1, CLASS: 2, Stall: 0, RnW: 0, IPA: IPA + 0x1000, "InputAddr[31:0]": IPA + 0x1000 } },
    ]);
    const silent = split({}, { S2R: 0 }).run(0);
    expect(silent.passes(IPA + 0x1000)).toBe("abort");
    expect(silent.eventNames()).toEqual([]);
  });
  test("permissions of stage 2 count", () => {
    const bench = split({ ap: 1 }).run();
    expect([bench.passes(IPA), bench.passes(IPA, { write: true })]).toEqual([PA, "abort"]);
    expect(bench.eventNames()).toEqual(["F_PERMISSION"]);
  });
  test("an address beyond the intermediate size is F_ADDR_SIZE of stage 1", () => {
    const bench = split({}, {}, { config: { oas: 48, ds: false } }).run(0);
    expect(bench.passes(2 ** 48)).toBe("abort");
    expect(bench.events()).toMatchObject([{ name: "F_ADDR_SIZE", fields: { S2: 0, CLASS: 2 } }]);
  });
  test("§3.13.7.1: the access marks stage 2 as accessed and dirty", () => {
    const bench = new AtsBench();
    const second = bench.pageTable(2, { inputBits: 40 });
    second.map(IPA, PA, 0x1000, { ap: 1, dbm: 1, af: 0 });
    bench.nested(bench.pageTable(1), second, {}, { EATS: 2, S2HA: 1, S2HD: 1 });
    bench.run();
    const leaf = (): number => second.read(second.entryAddress(IPA, 3))[0];
    expect(bench.passes(IPA)).toBe(PA);
    expect([(leaf() >>> 10) & 1, (leaf() >>> 6) & 3]).toEqual([1, 1]);
    expect(bench.passes(IPA, { write: true })).toBe(PA);
    expect((leaf() >>> 6) & 3).toBe(3);
  });
  test("§3.27.2: AssuredOnly does not count", () => {
    expect(split({ assuredOnly: 1 }, { AssuredOnly: 1 }).run().passes(IPA)).toBe(PA);
  });
  test("§13.7: without a PASID it is unprivileged data before PRIVCFG and INSTCFG", () => {
    // XN 0b01: privileged software may not execute; 0b11: only it may.
    const unprivileged = { privileged: true, instruction: true };
    expect(split({ xn: 2 }).run().passes(IPA, unprivileged)).toBe(PA);
    const instruction = { INSTCFG: 3 };
    expect(split({ xn: 3 }, instruction).run().passes(IPA, { privileged: true })).toBe("abort");
    expect(
      split({ xn: 3 }, { ...instruction, PRIVCFG: 3 })
        .run()
        .passes(IPA),
    ).toBe(PA);
  });
  test("PASIDTT 1: Priv and Exe of a PASID count", () => {
    const make = (xn: number): AtsBench => {
      const bench = split({ xn }, { S1CDMax: 1 });
      const at = bench.arena.take(128);
      for (const place of [at, at + 64]) bench.putCd(bench.pageTable(1), {}, place);
      const second = bench.pageTable(2, { inputBits: 40 });
      second.map(IPA, PA, 0x1000, { xn });
      bench.nested(bench.pageTable(1), second, {}, { EATS: 2, S1CDMax: 1, S1ContextPtr: at });
      return bench.run();
    };
    expect(make(3).passes(IPA, { ssid: 1, instruction: true, privileged: true })).toBe(PA);
    expect(make(3).passes(IPA, { ssid: 1, instruction: true })).toBe("abort");
    expect(make(2).passes(IPA, { ssid: 1 })).toBe(PA);
  });
  test("a translation-related fault of the CD's fetch is recorded without REC_CFG_ATS", () => {
    const bench = split({}, { S1CDMax: 1, S1ContextPtr: 0x7000_0000 }).run(0);
    expect(bench.passes(IPA, { ssid: 1 })).toBe("abort");
    expect(bench.events()).toMatchObject([{ name: "F_TRANSLATION", fields: { S2: 1, CLASS: 0 } }]);
  });
});

describe("§3.9.1.1: addresses beyond the output size", () => {
  const config = { oas: 48, ds: false } as const;
  test("choice translatedBeyondOas: abort without a record, or truncated", () => {
    for (const cr0 of [ON, undefined]) {
      const bench = full({}, { config }).run(RECINVSID | REC_CFG_ATS, cr0);
      expect(bench.passes(2 ** 48 + PA)).toBe("abort");
      expect(bench.eventNames()).toEqual([]);
      const truncating = full({}, { config, options: { choices: { translatedBeyondOas: "truncate" } } }).run(RECINVSID, cr0);
      expect(truncating.passes(2 ** 48 + PA)).toBe(PA);
    }
  });
});

describe("§13.6.2: attributes", () => {
  test("full ATS: cached and shared, whatever the STE overrides", () => {
    for (const cr0 of [ON, undefined]) {
      const { attributes, shareability, via } = full({ MTCFG: 1, MemAttr: 0, SHCFG: 0 }).run(RECINVSID, cr0).translated(PA);
      expect({ attributes, shareability, via }).toEqual({ attributes: 0xff, shareability: 3, via: Via.ats });
    }
  });
  test("split-stage: combined with those of stage 2", () => {
    const { attributes, via } = split({ memAttr: 5 }).run().translated(IPA);
    expect({ attributes, via }).toEqual({ attributes: 0x44, via: Via.stage2 });
  });
  test("before v3.4 a Translated transaction leaves as unprivileged data, unless PRIVCFG says otherwise", () => {
    const old = {
      version: 3,
      epan: false,
      s1pi: false,
      s2pi: false,
      s2po: false,
      aie: false,
      mteperm: false,
      the: false,
      ds: false,
      d128: false,
      vax: 52,
      httu: 2,
      pasidTt: false,
    } as const;
    const plain = full({}, { config: old }).run().translated(PA, { privileged: true, instruction: true });
    expect([plain.outputPrivileged, plain.outputInstruction]).toEqual([false, false]);
    const overridden = full({ PRIVCFG: 3 }, { config: old }).run().translated(PA);
    expect(overridden.outputPrivileged).toBe(true);
  });
});

describe("kinds of transactions", () => {
  test("§3.9.1.3: one that would be F_UUT aborts without a record", () => {
    const bench = full().run(RECINVSID | REC_CFG_ATS);
    expect(bench.passes(PA, { kind: TransactionKind.unsupported })).toBe("abort");
    expect(bench.eventNames()).toEqual([]);
  });
  test("an atomic needs to read and write at stage 2", () => {
    expect(split({ ap: 3 }).run().passes(IPA, { kind: TransactionKind.atomic })).toBe(PA);
    expect(split({ ap: 2 }).run().passes(IPA, { kind: TransactionKind.atomic })).toBe("abort");
  });
  test("setting a kind leaves `translated` alone, and `translated` the kind", () => {
    const tx = new Transaction();
    tx.translated = true;
    tx.kind = TransactionKind.atomic;
    tx.write = true;
    expect([tx.translated, tx.kind, tx.write]).toEqual([true, TransactionKind.atomic, true]);
    tx.translated = false;
    expect([tx.translated, tx.kind, tx.write]).toEqual([false, TransactionKind.atomic, true]);
  });
});

test("§12.3: in Service Failure Mode they abort", () => {
  const bench = full().run(RECINVSID, ON);
  bench.smmu.failService();
  expect(bench.passes(PA)).toBe("abort");
});

describe("DmaAttributes.translated", () => {
  function port(bench: AtsBench): { port: SmmuDmaPort; seen: string[] } {
    const trace = new SimTrace<DmaEvents>();
    const seen: string[] = [];
    trace.on("dma.access", ({ data }) => seen.push(`${data.outcome} ${data.physical?.toString(16)}`));
    return { port: new SmmuDmaPort({ smmu: bench.smmu, bus: bench.bus, streamId: STREAM, name: "nic", trace }), seen };
  }
  test("an SmmuDmaPort sends the access as Translated, page by page, and the next one without it as before", () => {
    const bench = full().run();
    const { port: dma, seen } = port(bench);
    const bytes = new Uint8Array(8).fill(0x5a);
    expect(dma.write(PA + 0xffc, bytes, { translated: true })).toBe(DmaStatus.ok);
    expect(bench.bus.memory.read32(PA + 0x1000)).toBe(0x5a5a_5a5a);
    expect(dma.write(VA, bytes)).toBe(DmaStatus.ok);
    expect(dma.write(PA, bytes)).toBe(DmaStatus.abort);
    const at = PA.toString(16);
    expect(seen).toEqual([
      `translated ${(PA + 0xffc).toString(16)}`,
      `translated ${(PA + 0x1000).toString(16)}`,
      `translated ${at}`,
      "aborted undefined",
    ]);
    expect(bench.eventNames()).toEqual(["F_TRANSLATION"]);
  });
  test("it is true or false", () => {
    const { port: dma } = port(full().run());
    expect(() => dma.read(PA, new Uint8Array(4), { translated: 1 } as never)).toThrow(HostMisuseError);
  });
});

test("a Translated transaction is no ordinary one to any cache that answers in its stead", () => {
  const bench = full({}, { options: { detector: false } }).run();
  const tx = new Transaction();
  tx.streamId = STREAM;
  tx.setAddress(VA);
  for (let i = 0; i < 4; i++) expect(bench.smmu.translate(tx)).toBe(Outcome.forward);
  tx.translated = true;
  expect(bench.smmu.translate(tx)).toBe(Outcome.forward);
  expect([tx.physical, tx.via]).toEqual([VA, Via.ats]);
  tx.translated = false;
  expect(bench.smmu.translate(tx)).toBe(Outcome.forward);
  expect([tx.physical, tx.via]).toEqual([PA, Via.stage1]);
});

describe("kinds of Translated transactions (§3.22)", () => {
  /** The page is read-only or writable for whoever translated before. */
  function leaving(kind: TransactionKind, before: number | undefined, controls: Readonly<Record<string, number>>): string {
    const bench = new AtsBench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000, { ap: 1 });
    table.map(VA + 0x1000, PA + 0x1000, 0x1000, { ap: 3 });
    bench.stage1(table, {}, controls);
    bench.run(0, ON | ATSCHK);
    if (before !== undefined) bench.tr(before);
    const tx = bench.translated(PA, { kind });
    return `${tx.outcome} ${tx.outputKind}`;
  }

  test.each([TransactionKind.destructiveRead, TransactionKind.directedPrefetch])(
    "kind %i leaves as itself where STE.DRE and DCP allow it, whatever was translated before",
    (kind) => {
      const seen = [undefined, VA, VA + 0x1000].map((before) => leaving(kind, before, { DRE: 1, DCP: 1 }));
      expect(new Set(seen)).toEqual(new Set([`${Outcome.forward} ${kind}`]));
    },
  );

  test("a destructive read is an ordinary one where STE.DRE is 0", () => {
    expect(leaving(TransactionKind.destructiveRead, undefined, { DRE: 0 })).toBe(`${Outcome.forward} ${TransactionKind.ordinary}`);
  });
});
