// SPDX-License-Identifier: MIT
/** How stalls end: CMD_RESUME, CMD_STALL_TERM, SMMUEN, reset (IHI 0070 §3.12.2, §4.7.1, §4.7.2, §6.3.9.6). */
import { describe, expect, test } from "vitest";
import { Outcome, type SmmuConfig, TranslationBatch, buildCommand, nestedSte, PageTable, stage1Ste } from "../../../../src/hw/index.ts";
import { CMDQEN, EVENTQEN, PA, STREAM, SYNC, VA, at } from "../lint/driver.ts";
import { ON, StallBench, state } from "./bench.ts";

const RETRY = { Ac: 1 };
const F_TRANSLATION = 0x10;

describe("a stalled transaction", () => {
  test("IHI 0070 §3.12.2: has no answer, and one record with Stall 1 and a STAG", () => {
    const bench = new StallBench();
    const client = bench.go();
    expect(client.first).toBe(Outcome.stalled);
    expect(client.tx).toMatchObject({ event: F_TRANSLATION, recorded: true, physical: 0 });
    const events = bench.takeEvents();
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ name: "F_TRANSLATION", fields: { StreamID: STREAM, Stall: 1, RnW: 1, S2: 0, CLASS: 2 } });
    expect(events[0]!.fields["STAG"]).toBe(client.tx.stall?.stag);
    bench.simulation.advance(1e9);
    expect(state(client)).toBe("waits");
  });

  test("IHI 0070 §4.7.1: several of one stream have STAGs of their own, also for the same page (choice stall-duplicates)", () => {
    const bench = new StallBench();
    for (let i = 0; i < 5; i++) bench.go();
    expect(new Set(bench.takeEvents().map(({ fields }) => fields["STAG"])).size).toBe(5);
  });

  test("IHI 0070 §7.3.1: stall records are never merged, with STE.MEV 1 on an SMMU that merges", () => {
    const bench = new StallBench({}, 4, true, { choices: { eventMerging: true } });
    bench.streams.write(STREAM, stage1Ste(bench.cd, { MEV: 1 }));
    bench.maintain();
    const clients = [bench.go(), bench.go()];
    expect(clients.map(({ tx }) => tx.recorded)).toEqual([true, true]);
    expect(bench.takeEvents()).toHaveLength(2);
  });

  test("IHI 0070 §3.12.2: a later transaction of the stream passes it", () => {
    const bench = new StallBench();
    bench.pageTable.map(VA + 0x1000, PA, 0x1000);
    const stalled = bench.go();
    expect(bench.go(VA + 0x1000)).toMatchObject({ first: Outcome.forward, tx: { physical: PA } });
    expect(state(stalled)).toBe("waits");
  });

  test("the client may use its Transaction anew at once: the SMMU has its own copy", () => {
    const bench = new StallBench();
    const client = bench.go(VA, { write: true });
    const stag = bench.stag();
    client.tx.setAddress(0);
    client.tx.write = false;
    client.tx.streamId = 0;
    bench.pageTable.map(VA, PA, 0x1000, { ap: 1 });
    bench.resume(stag, RETRY);
    expect(client.ends).toEqual([{ outcome: Outcome.forward, physical: PA, event: 0 }]);
  });

  test("a Transaction that is used anew does not show the stall of before, from memory or from caches", () => {
    const bench = new StallBench({}, 4, false);
    bench.pageTable.map(VA + 0x1000, PA, 0x1000);
    for (let i = 0; i < 3; i++) bench.go(VA + 0x1000);
    const { tx } = bench.go();
    expect(tx.stall).not.toBeNull();
    tx.setAddress(VA + 0x1000);
    expect(bench.smmu.translate(tx)).toBe(Outcome.forward);
    expect(tx.stall).toBeNull();
  });

  test("of a batch: those that stall wait by themselves, each with its own end", () => {
    const bench = new StallBench();
    bench.pageTable.map(VA, PA, 0x1000);
    const batch = new TranslationBatch(3);
    batch.streamId = STREAM;
    batch.count = 3;
    [VA, VA + 0x1000, VA + 0x2000].forEach((address, index) => batch.setAddress(index, address));
    expect(bench.smmu.translateBatch(batch)).toBe(1);
    expect([...batch.stalls.keys()]).toEqual([1, 2]);
    const ends: string[] = [];
    for (const [index, stall] of batch.stalls) stall.onEnd = (outcome) => void ends.push(`${index}: ${outcome}`);
    const stags = bench.takeEvents().map(({ fields }) => fields["STAG"]!);
    bench.resume(stags[1]!, { Ab: 1 });
    bench.resume(stags[0]!);
    expect(ends).toEqual([`2: ${Outcome.abort}`, `1: ${Outcome.razWi}`]);
    batch.count = 1;
    bench.smmu.translateBatch(batch);
    expect(batch.stalls.size).toBe(0);
  });

  test.each(["CMD_RESUME", "CMD_STALL_TERM"])("§3.11: a reset out of the answer to %s leaves the Command queue as after a reset", (by) => {
    const bench = new StallBench();
    bench.go().tx.stall!.onEnd = () => bench.smmu.reset();
    if (by === "CMD_RESUME") bench.resume(bench.stag());
    else bench.stallTerm();
    expect([bench.r32(at.CMDQ_PROD), bench.r32(at.CMDQ_CONS)]).toEqual([0, 0]);
    bench.start();
    expect(bench.r32(at.CMDQ_CONS)).toBe(bench.prod);
  });

  test("whoever asks for no answer gets none, and the stall ends all the same", () => {
    const bench = new StallBench();
    bench.go().tx.stall!.onEnd = null;
    bench.resume(bench.stag());
    expect(bench.smmu.translation.stalls.held).toEqual([]);
  });
});

describe("CMD_RESUME with Ac 1 (retry), IHI 0070 §4.7.1", () => {
  test("a mapping that was added meanwhile is used: no second record", () => {
    const bench = new StallBench();
    const client = bench.go();
    const stag = bench.stag();
    bench.pageTable.map(VA, PA, 0x1000);
    bench.resume(stag, RETRY);
    expect(client.ends).toEqual([{ outcome: Outcome.forward, physical: PA, event: 0 }]);
    expect(bench.takeEvents()).toEqual([]);
  });

  test("Ab is ignored", () => {
    const bench = new StallBench();
    const client = bench.go();
    bench.pageTable.map(VA, PA, 0x1000);
    bench.resume(bench.stag(), { Ac: 1, Ab: 1 });
    expect(state(client)).toBe("forward");
  });

  test("it may fault and stall once more, with a new record", () => {
    const bench = new StallBench();
    const client = bench.go(VA, { write: true });
    const first = bench.stag();
    bench.pageTable.map(VA, PA, 0x1000, { ap: 3 });
    bench.resume(first, RETRY);
    expect(state(client)).toBe("waits");
    const [event, ...more] = bench.takeEvents();
    expect(more).toEqual([]);
    expect(event).toMatchObject({ name: "F_PERMISSION", fields: { Stall: 1, RnW: 0 } });
    bench.resume(event!.fields["STAG"]!, { Ab: 1 });
    expect(state(client)).toBe("abort");
  });

  test.each([
    [{ A: 1 }, "abort"],
    [{ A: 0 }, "RAZ/WI"],
  ])("a CD that terminates by now decides: %j gives %s and a record with Stall 0", (fields, how) => {
    const bench = new StallBench();
    const client = bench.go();
    const stag = bench.stag();
    bench.putCd({ S: 0, ...fields });
    bench.maintain();
    bench.resume(stag, RETRY);
    expect(state(client)).toBe(how);
    expect(bench.takeEvents()).toMatchObject([{ name: "F_TRANSLATION", fields: { Stall: 0 } }]);
  });

  test("configuration that is still cached is used: without CMD_CFGI_CD the new CD is not seen", () => {
    const bench = new StallBench();
    const client = bench.go();
    const stag = bench.stag();
    bench.putCd({ S: 0 });
    bench.resume(stag, RETRY);
    expect(state(client)).toBe("waits");
  });

  test("an STE that aborts by now ends it silently (§4.7.2.1)", () => {
    const bench = new StallBench();
    const client = bench.go();
    const stag = bench.stag();
    bench.bus.memory.write32(bench.streams.steAddress(STREAM), 1);
    bench.maintain();
    bench.resume(stag, RETRY);
    expect(state(client)).toBe("abort");
    expect(bench.takeEvents()).toEqual([]);
  });
});

describe("CMD_RESUME with Ac 0 (terminate), IHI 0070 §4.7.1", () => {
  for (const termModel of [false, true]) {
    for (const Ab of [0, 1]) {
      for (const stage of [1, 2]) {
        const how = termModel || Ab === 1 ? "abort" : "RAZ/WI";
        test(`TERM_MODEL ${termModel ? 1 : 0}, Ab ${Ab}: a stall of stage ${stage} ends with ${how}, without a record`, () => {
          const bench = new StallBench({ termModel });
          if (stage === 2) {
            const s2 = new PageTable({ memory: bench.bus.memory, arena: bench.arena, stage: 2, granule: 12, inputBits: 40 });
            bench.streams.write(STREAM, nestedSte(bench.cd, s2, { S2S: 1 }));
            bench.maintain();
          }
          const client = bench.go();
          const [event] = bench.takeEvents();
          expect(event!.fields["S2"]).toBe(stage - 1);
          bench.resume(event!.fields["STAG"]!, { Ab });
          expect(state(client)).toBe(how);
          expect(client.ends[0]!.physical).toBe(0);
          expect(bench.takeEvents()).toEqual([]);
        });
      }
    }
  }

  test("it ends what would succeed by now (choice stall-early-retry)", () => {
    const bench = new StallBench();
    const client = bench.go();
    bench.pageTable.map(VA, PA, 0x1000);
    bench.resume(bench.stag(), { Ab: 1 });
    expect(state(client)).toBe("abort");
  });
});

describe("CMD_RESUME that matches nothing is a no-op, IHI 0070 §4.7.1", () => {
  test.each([
    ["another STAG", 1, STREAM],
    ["another StreamID", 0, STREAM + 1],
    ["a StreamID beyond SIDSIZE", 0, 0x1_0000 + STREAM],
  ])("%s", (_what, more, sid) => {
    const bench = new StallBench();
    const client = bench.go();
    const stag = (bench.stag() + more) & 0xffff;
    for (const Ac of [0, 1]) bench.resume(stag, { Ac, sid });
    expect(state(client)).toBe("waits");
    expect(bench.r32(at.GERROR)).toBe(0);
    expect(bench.r32(at.CMDQ_CONS)).toBe(bench.r32(at.CMDQ_PROD));
  });

  test("no stall at all", () => {
    const bench = new StallBench();
    bench.resume(0);
    expect(bench.r32(at.GERROR)).toBe(0);
  });

  test("one that was answered already", () => {
    const bench = new StallBench();
    const client = bench.go();
    const stag = bench.stag();
    bench.resume(stag);
    bench.resume(stag, { Ab: 1 });
    expect(state(client)).toBe("RAZ/WI");
  });

  test("only the one of that STAG ends", () => {
    const bench = new StallBench();
    const clients = [bench.go(), bench.go(), bench.go()];
    const stags = bench.takeEvents().map(({ fields }) => fields["STAG"]!);
    bench.resume(stags[1]!);
    expect(clients.map(state)).toEqual(["waits", "RAZ/WI", "waits"]);
  });

  test("in any order", () => {
    const bench = new StallBench();
    const clients = [bench.go(), bench.go(VA + 0x1000), bench.go(VA + 0x2000)];
    const stags = bench.takeEvents().map(({ fields }) => fields["STAG"]!);
    for (const index of [2, 0, 1]) bench.resume(stags[index]!, { Ab: index & 1 });
    expect(clients.map(state)).toEqual(["RAZ/WI", "abort", "RAZ/WI"]);
  });
});

describe("CMD_STALL_TERM, IHI 0070 §4.7.2", () => {
  test("ends all of its stream with an abort, of any SubstreamID, and none of another", () => {
    const bench = new StallBench();
    const cds = bench.arena.take(256);
    for (const index of [0, 1, 2, 3]) {
      for (let word = 0; word < 16; word++) {
        bench.bus.memory.write32(cds + 64 * index + 4 * word, bench.bus.memory.read32(bench.cd + 4 * word));
      }
    }
    bench.streams.write(STREAM, stage1Ste(cds, { S1CDMax: 2, S1DSS: 2 }));
    bench.maintain();
    const mine = [bench.go(), bench.go(VA, { ssid: 1 }), bench.go(VA, { ssid: 3 })];
    const other = bench.go(VA, { sid: STREAM + 1 });
    bench.stallTerm();
    expect(mine.map(state)).toEqual(["abort", "abort", "abort"]);
    expect(state(other)).toBe("waits");
  });

  test("TERM_MODEL makes no difference: always an abort", () => {
    for (const termModel of [false, true]) {
      const bench = new StallBench({ termModel });
      const client = bench.go();
      bench.stallTerm();
      expect(state(client)).toBe("abort");
    }
  });

  test("what stalls afterwards is not affected", () => {
    const bench = new StallBench();
    bench.stallTerm();
    const client = bench.go();
    expect(state(client)).toBe("waits");
  });

  test("the way to shut a stream down (§4.7.2.1): STE to abort, CFGI, SYNC, STALL_TERM", () => {
    const bench = new StallBench();
    const clients = [bench.go(), bench.go(VA + 0x1000)];
    bench.bus.memory.write32(bench.streams.steAddress(STREAM), 1);
    bench.maintain();
    bench.stallTerm();
    bench.issue(SYNC);
    expect(clients.map(state)).toEqual(["abort", "abort"]);
    expect(bench.go().first).toBe(Outcome.abort);
    expect(bench.smmu.translation.stalls.held).toEqual([]);
  });
});

describe("what does not end a stall", () => {
  test("IHI 0070 §4.7.3: CMD_SYNC does not wait for it and leaves it alone", () => {
    const bench = new StallBench();
    const client = bench.go();
    bench.issue(SYNC);
    expect(bench.r32(at.CMDQ_CONS)).toBe(bench.r32(at.CMDQ_PROD));
    expect(state(client)).toBe("waits");
  });

  test("IHI 0070 §4.3, §4.4: CFGI and TLBI leave it alone, even where a retry would succeed", () => {
    const bench = new StallBench();
    const client = bench.go();
    bench.pageTable.map(VA, PA, 0x1000);
    bench.maintain();
    expect(state(client)).toBe("waits");
    bench.resume(bench.stag(), RETRY);
    expect(state(client)).toBe("forward");
  });

  test("CMDQEN 0 and EVENTQEN 0", () => {
    const bench = new StallBench();
    const client = bench.go();
    bench.cr0(ON & ~CMDQEN);
    bench.cr0(ON & ~CMDQEN & ~EVENTQEN);
    expect(state(client)).toBe("waits");
  });
});

describe("SMMUEN 1 to 0, IHI 0070 §6.3.9.6", () => {
  test("all stalls end with an abort by the acknowledge, and their STAGs are free", () => {
    const bench = new StallBench();
    const clients = [bench.go(), bench.go(VA, { sid: STREAM + 1 })];
    const stag = bench.takeEvents()[0]!.fields["STAG"]!;
    bench.w32(at.CR0, CMDQEN | EVENTQEN);
    expect(clients.map(state)).toEqual(["waits", "waits"]);
    bench.cr0(CMDQEN | EVENTQEN);
    expect(clients.map(state)).toEqual(["abort", "abort"]);
    bench.resume(stag);
    expect(clients.map(state)).toEqual(["abort", "abort"]);
  });

  test("a client that comes back at once is treated with SMMUEN 0", () => {
    const bench = new StallBench();
    let again: number | undefined;
    bench.go().tx.stall!.onEnd = () => {
      again = bench.go().first;
    };
    bench.cr0(CMDQEN | EVENTQEN);
    expect(again).toBe(Outcome.forward);
    expect(bench.smmu.translation.stalls.held).toEqual([]);
  });

  test("a hardware reset ends them likewise (choice stall-reset)", () => {
    const bench = new StallBench();
    const client = bench.go();
    bench.smmu.reset();
    expect(state(client)).toBe("abort");
  });
});

describe("Service Failure Mode, IHI 0070 §12.3", () => {
  test("stalls end with an abort, as client transactions do from then on; none is tried again", () => {
    const bench = new StallBench({}, 0);
    const clients = [bench.go(), bench.go()];
    bench.pageTable.map(VA, PA, 0x1000);
    bench.smmu.failService();
    bench.takeEvents();
    expect(clients.map(state)).toEqual(["abort", "abort"]);
    expect(bench.go().first).toBe(Outcome.abort);
  });
});

describe("STALL_MODEL 0b01, IHI 0070 §4.7.1, §4.7.2", () => {
  test.each(["CMD_RESUME", "CMD_STALL_TERM"])("%s is CERROR_ILL", (name) => {
    const none: Partial<SmmuConfig> = { stallModel: "terminate", stallMax: 0 };
    const bench = new StallBench(none);
    bench.issue(buildCommand(name, { StreamID: STREAM }));
    expect(bench.r32(at.GERROR)).toBe(1);
    expect((bench.r32(at.CMDQ_CONS) >>> 24) & 0x7f).toBe(1);
  });
});
