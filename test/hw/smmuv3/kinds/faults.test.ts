// SPDX-License-Identifier: MIT
/** How each kind of transaction ends where it faults, and what is recorded of it (IHI 0070 §3.12, §3.14, §3.22.2, §7.3.2, §16.7.2). */
import { describe, expect, test } from "vitest";
import {
  Outcome,
  Transaction,
  TransactionKind as K,
  abortSte,
  bypassSte,
  nestedSte,
  stage1Cd,
  stage1Ste,
  stage2Ste,
} from "../../../../src/hw/index.ts";
import { StallBench, state } from "../stall/bench.ts";
import { ALL_KINDS, KindBench } from "./bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;
const HINTS: readonly K[] = [K.destructiveHint, K.directedPrefetch];
const READS: readonly K[] = [K.clean, K.cleanInvalidate, K.cleanToPersistence, K.invalidate, K.readCleanInvalidate, K.destructiveRead];
const WRITES: readonly K[] = [K.atomic, K.writeDirectedPrefetch];

/** A stream for each way to fault without a look at permissions. */
const CAUSES: Readonly<Record<string, (bench: KindBench) => number>> = {
  F_TRANSLATION: (bench) => {
    bench.stage1(0, bench.pageTable(1));
    return VA;
  },
  F_ACCESS: (bench) => {
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000, { af: 0 });
    bench.stage1(0, table);
    return VA;
  },
  F_ADDR_SIZE: (bench) => {
    bench.streams.write(0, bypassSte());
    return 2 ** 52;
  },
  F_WALK_EABT: (bench) => {
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    bench.stage1(0, table);
    bench.abortAt(table.entryAddress(VA, 2), 8);
    return VA;
  },
};

/** Errors whose records have no RnW. */
const CONFIGURATION: Readonly<Record<string, (bench: KindBench) => void>> = {
  C_BAD_STREAMID: (bench) => {
    // Two levels, with nothing but Span 0 in the first.
    bench.strtabBase = bench.arena.take(4096, 4096);
    bench.strtabBaseCfg = (1 << 16) | (6 << 6) | 8;
  },
  C_BAD_STE: (bench) => {
    bench.streams.write(0, new Uint32Array(16));
  },
  C_BAD_CD: (bench) => {
    bench.stage1(0, bench.pageTable(1), { V: 0 });
  },
  F_STREAM_DISABLED: (bench) => {
    bench.streams.write(0, stage1Ste(0x4100_0000, { S1CDMax: 2, S1DSS: 0 }));
  },
};

describe("§13.1.1, §3.22.2, §16.7.2.2: RnW of faults other than F_PERMISSION", () => {
  for (const [name, make] of Object.entries(CAUSES)) {
    test.each(ALL_KINDS.filter(([, kind]) => READS.includes(kind)))(`${name} of %s is that of a read`, (_, kind) => {
      const bench = new KindBench();
      const address = make(bench);
      expect(bench.send(kind, address, { instruction: true, write: true }).event).toMatchObject({ name, fields: { RnW: 1, InD: 1 } });
    });
    test.each(ALL_KINDS.filter(([, kind]) => WRITES.includes(kind)))(`${name} of %s is that of a write, and Data`, (_, kind) => {
      const bench = new KindBench();
      const address = make(bench);
      expect(bench.send(kind, address, { instruction: true }).event).toMatchObject({ name, fields: { RnW: 0, InD: 0 } });
    });
  }

  test("a descriptor that stage 2 does not let the SMMU read faults an atomic with RnW 0 and TTRnW 1", () => {
    const bench = new KindBench();
    const second = bench.pageTable(2, 12, { inputBits: 40 });
    const first = bench.pageTable(1);
    first.map(VA, PA, 0x1000);
    second.map(0x4000_0000, 0x4000_0000, 0x1000_0000);
    second.map(Math.floor(first.base / 4096) * 4096, Math.floor(first.base / 4096) * 4096, 0x1000, { ap: 2 });
    bench.streams.write(0, nestedSte(bench.placeCd(stage1Cd({ ttb0: first })), second, { S2R: 1 }));
    expect(bench.send(K.atomic, VA).event).toMatchObject({ name: "F_PERMISSION", fields: { RnW: 0, S2: 1, CLASS: 1, TTRnW: 1 } });
  });
});

describe("§3.14, §3.22.2, §16.7.2.2: kinds that never fault", () => {
  const all = { ...CAUSES, ...CONFIGURATION };
  test.each(Object.keys(all))("%s: a hint completes without effect; a speculative read aborts; nothing is recorded of either", (name) => {
    for (const kind of [...HINTS, K.speculative]) {
      const bench = new KindBench();
      const address = all[name]!(bench) ?? VA;
      expect(bench.result(address)).toBe(name);
      bench.records.length = 0;
      const { outcome, tx } = bench.send(kind, address);
      expect(outcome).toBe(kind === K.speculative ? Outcome.abort : Outcome.razWi);
      expect(tx).toMatchObject({ physical: 0, event: 0, recorded: false, stall: null });
      expect(bench.records).toEqual([]);
    }
  });

  test.each(ALL_KINDS)("GBPA.ABORT, Config 0b000, an address beyond OAS with SMMUEN 0: %s", (_, kind) => {
    const bench = new KindBench();
    const expected = HINTS.includes(kind) ? Outcome.razWi : Outcome.abort;
    bench.streams.write(0, abortSte());
    expect(bench.send(kind, VA).outcome).toBe(expected);
    bench.enabled = false;
    expect(bench.send(kind, 2 ** 52).outcome).toBe(expected);
    bench.gbpa |= 1 << 20;
    expect(bench.send(kind, VA).outcome).toBe(expected);
    expect(bench.records).toHaveLength(kind === K.unsupported ? 3 : 0);
  });

  test("what a hint leaves behind is not taken for the answer to the next transaction", () => {
    const bench = new KindBench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    bench.stage1(0, table);
    expect(bench.send(K.destructiveHint, VA).outcome).toBe(Outcome.razWi);
    const { outcome, tx } = bench.send(K.ordinary, VA);
    expect(outcome).toBe(Outcome.forward);
    expect(tx.outputKind).toBe(K.ordinary);
    expect(bench.send(K.clean, VA).tx.outputKind).toBe(K.clean);
    expect(bench.send(K.ordinary, VA).tx.outputKind).toBe(K.ordinary);
  });
});

describe("§3.12.1: termination", () => {
  test.each(ALL_KINDS.filter(([, kind]) => [...READS, ...WRITES].includes(kind)))(
    "CD.A 0: %s ends as an ordinary access would",
    (_, kind) => {
      const bench = new KindBench();
      bench.stage1(0, bench.pageTable(1), { A: 0 });
      expect(bench.send(kind, VA).outcome).toBe(Outcome.razWi);
      bench.streams.write(0, stage2Ste(bench.pageTable(2, 12, { inputBits: 40 })));
      bench.translator.configCache.invalidateAll();
      expect(bench.send(kind, VA).outcome).toBe(Outcome.abort);
    },
  );
});

describe("§7.3.2, §16.7.1: F_UUT", () => {
  test("has the attributes as they came in, and is recorded before anything is looked up, with SMMUEN 0, too", () => {
    const bench = new KindBench();
    bench.streams.write(1, bypassSte({ PRIVCFG: 2, INSTCFG: 2 }));
    for (const enabled of [true, false]) {
      bench.enabled = enabled;
      bench.loads.length = 0;
      const { outcome, event } = bench.send(K.unsupported, VA, { sid: 1, ssid: 9, privileged: true, instruction: true });
      expect(outcome).toBe(Outcome.abort);
      expect(event).toMatchObject({
        name: "F_UUT",
        fields: { StreamID: 1, SSV: 1, SubstreamID: 9, Reason: 0, PnU: 1, InD: 1, RnW: 1, "InputAddr[31:0]": VA },
      });
      expect(bench.loads).toEqual([]);
    }
    expect(bench.send(K.unsupported, VA, { write: true, instruction: true }).event?.fields).toMatchObject({ RnW: 0, InD: 0, PnU: 0 });
  });

  test("§16.7.6: choice atomics: where there are none, F_UUT as a write of data", () => {
    const bench = new KindBench({}, { choices: { atomics: "unsupported" } });
    bench.streams.write(0, bypassSte());
    expect(bench.send(K.atomic, VA, { instruction: true }).event).toMatchObject({ name: "F_UUT", fields: { RnW: 0, InD: 0 } });
    expect(bench.send(K.clean, VA).outcome).toBe(Outcome.forward);
  });

  test("a kind that there is not is a mistake of the embedding program", () => {
    const bench = new KindBench();
    expect(() => bench.send(99 as K, VA)).toThrow(/TransactionKind/);
  });
});

describe("§13.1.4, table 13.4: overrides", () => {
  test.each(ALL_KINDS.filter(([, kind]) => READS.includes(kind)))("INSTCFG and PRIVCFG apply to %s", (_, kind) => {
    const bench = new KindBench();
    bench.stage1(0, bench.pageTable(1), {}, { PRIVCFG: 3, INSTCFG: 3 });
    expect(bench.send(kind, VA).event?.fields).toMatchObject({ PnU: 1, InD: 1 });
  });
  test.each(ALL_KINDS.filter(([, kind]) => WRITES.includes(kind)))("PRIVCFG applies to %s, INSTCFG does not", (_, kind) => {
    const bench = new KindBench();
    bench.stage1(0, bench.pageTable(1), {}, { PRIVCFG: 3, INSTCFG: 3 });
    expect(bench.send(kind, VA).event?.fields).toMatchObject({ PnU: 1, InD: 0 });
  });
});

describe("§3.22.2, §16.7.2.2: stalls", () => {
  const client = (bench: StallBench, kind: K) => {
    const tx = new Transaction();
    tx.kind = kind;
    tx.streamId = 5;
    tx.setAddress(VA);
    const ends: { outcome: Outcome; as: K }[] = [];
    const first = bench.smmu.translate(tx);
    if (tx.stall) tx.stall.onEnd = (outcome, held) => void ends.push({ outcome, as: held.outputKind });
    return { first, tx, ends };
  };

  test.each(ALL_KINDS.filter(([, kind]) => [...READS, ...WRITES].includes(kind)))("%s stalls and is retried as what it was", (_, kind) => {
    const bench = new StallBench();
    const { first, tx, ends } = client(bench, kind);
    expect(first).toBe(Outcome.stalled);
    // The client's object is its own again.
    tx.kind = K.ordinary;
    bench.pageTable.map(VA, PA, 0x1000);
    bench.maintain();
    bench.resume(bench.stag(), { Ac: 1 });
    const lesser: Partial<Record<K, K>> = { [K.invalidate]: K.cleanInvalidate, [K.destructiveRead]: K.ordinary };
    const as = kind === K.writeDirectedPrefetch ? K.ordinary : (lesser[kind] ?? kind);
    expect(ends).toEqual([{ outcome: Outcome.forward, as }]);
  });

  test("hints and speculative reads do not", () => {
    const bench = new StallBench();
    expect(client(bench, K.destructiveHint).first).toBe(Outcome.razWi);
    expect(client(bench, K.directedPrefetch).first).toBe(Outcome.razWi);
    expect(client(bench, K.speculative).first).toBe(Outcome.abort);
    expect(bench.takeEvents()).toEqual([]);
    expect(state(bench.go(VA))).toBe("waits");
  });
});
