// SPDX-License-Identifier: MIT
/** CMD_ATC_INV, and the CMD_SYNC that waits for it (IHI 0070 §3.9.1.4, §3.9.1.5, §4.5.1, §4.7.3, §7.1). */
import { describe, expect, test } from "vitest";
import {
  buildCommand,
  createSmmuHost,
  HostMisuseError,
  profiles,
  restoreSnapshot,
  Smmu,
  snapshotOf,
  SystemBus,
} from "../../../../src/hw/index.ts";
import { Simulation } from "../../../../src/sim/index.ts";
import { CFGI_STE, SYNC, TLBI_ALL } from "../lint/driver.ts";
import { at, ATSCHK, AtsBench, type AtsOptions, CMDQEN, EVENTQEN, ON, PA, RECINVSID, STREAM, VA } from "./bench.ts";

const CERROR_ILL = 1;
const CERROR_ATC_INV_SYNC = 3;
const CMDQ_ERR = 1;

const inv = (values: Readonly<Record<string, number>> = {}): Uint32Array =>
  buildCommand("CMD_ATC_INV", { StreamID: STREAM, Size: 0, ...values });
const ALL = { substreamId: -1, global: false, addressHi: 0, addressLo: 0, sizeLog2: 64 };

function running(options: AtsOptions = {}): AtsBench {
  const bench = new AtsBench(options);
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000);
  bench.stage1(table);
  return bench.run();
}

const consumed = (bench: AtsBench): number => bench.r32(at.CMDQ_CONS) & 0x1f;
const error = (bench: AtsBench): number => (bench.r32(at.CMDQ_CONS) >>> 24) & 0x7f;
const requests = (bench: AtsBench): object[] => bench.sent.map(({ streamId, request }) => ({ streamId, ...request }));

describe("§4.5.1: what is sent", () => {
  test("StreamID, page and size 4096 * 2^Size; without SSV no PASID, and Global is ignored", () => {
    const bench = running();
    bench.issue(inv({ Address: 0xabc_1234_5000, Global: 1, SubstreamID: 9 }), SYNC);
    expect(requests(bench)).toEqual([
      { streamId: STREAM, substreamId: -1, global: false, addressHi: 0xabc, addressLo: 0x1234_5000, sizeLog2: 12 },
    ]);
  });
  test("Address is aligned to the span, up to 2^64 bytes", () => {
    const bench = running();
    const address = { AddressHi: 0xffff_ffff, AddressLo: 0xffff_f000 };
    bench.issue(
      inv({ ...address, Size: 1 }),
      inv({ ...address, Size: 20 }),
      inv({ ...address, Size: 21 }),
      inv({ ...address, Size: 52 }),
      SYNC,
    );
    expect(bench.sent.map(({ request }) => [request.addressHi, request.addressLo, request.sizeLog2])).toEqual([
      [0xffff_ffff, 0xffff_e000, 13],
      [0xffff_ffff, 0, 32],
      [0xffff_fffe, 0, 33],
      [0, 0, 64],
    ]);
  });
  test("with SSV the PASID goes along, also with Global", () => {
    const bench = running();
    bench.issue(inv({ SSV: 1, SubstreamID: 0xf_ffff, Size: 52 }), inv({ SSV: 1, SubstreamID: 1, Global: 1, Size: 52 }), SYNC);
    expect(bench.sent.map(({ request }) => request)).toEqual([
      { ...ALL, substreamId: 0xf_ffff },
      { ...ALL, substreamId: 1, global: true },
    ]);
  });
  test("choice atc-inv-without-pasids: without substreams SSV counts as 0", () => {
    const bench = running({ config: { ssidSize: 0, pasidTt: false } });
    bench.issue(inv({ SSV: 1, SubstreamID: 3, Global: 1, Size: 52 }), SYNC);
    expect(bench.sent.map(({ request }) => request)).toEqual([ALL]);
  });
  test("choice atc-inv-size: a Size beyond 52 is CERROR_ILL", () => {
    for (const Size of [53, 63]) {
      const bench = running();
      bench.issue(inv({ Size }));
      expect([error(bench), bench.activeErrors & CMDQ_ERR, bench.sent.length]).toEqual([CERROR_ILL, CMDQ_ERR, 0]);
    }
  });
  test("without IDR0.ATS it is CERROR_ILL", () => {
    const bench = new AtsBench({ config: { ats: false, splitStageAts: false, atsRecErr: false, pasidTt: false, pri: false } }).run(RECINVSID, ON);
    bench.issue(inv());
    expect([error(bench), bench.sent.length]).toEqual([CERROR_ILL, 0]);
  });
  test("with SMMUEN 0 it is ignored", () => {
    const bench = running();
    bench.cr0(CMDQEN | EVENTQEN | ATSCHK);
    const before = consumed(bench);
    bench.issue(inv(), SYNC);
    expect([consumed(bench) - before, bench.sent.length, bench.activeErrors]).toEqual([2, 0, 0]);
  });
  test("a StreamID beyond SIDSIZE reaches nobody", () => {
    const bench = running({ config: { sidSize: 16 } });
    bench.issue(inv({ StreamID: 0x1_0000 }), SYNC);
    expect(bench.sent).toEqual([]);
    expect(bench.lint).toEqual(["operand-out-of-range"]);
  });
});

describe("§4.7.3: CMD_SYNC waits", () => {
  function waiting(options: AtsOptions = {}): { bench: AtsBench; before: number } {
    const bench = running(options);
    bench.endsAt = undefined;
    const before = consumed(bench);
    bench.issue(inv({ Size: 52 }), inv({ SSV: 1, SubstreamID: 1, Size: 52 }), SYNC, CFGI_STE, SYNC);
    return { bench, before };
  }
  for (const commandNs of [100, 0]) {
    test(`CMD_ATC_INV is consumed at once, CMD_SYNC when the last one has ended, and then what comes after it (commandNs ${commandNs})`, () => {
      const { bench, before } = waiting({ config: { timing: { commandNs, updateNs: 200 } } });
      expect([consumed(bench) - before, bench.sent.length]).toEqual([2, 2]);
      bench.simulation.advance(1e9);
      bench.sent[1]!.ended("completed");
      bench.simulation.advance(10_000);
      expect(consumed(bench) - before).toBe(2);
      bench.sent[0]!.ended("completed");
      bench.simulation.advance(10_000);
      expect([consumed(bench) - before, bench.activeErrors]).toEqual([5, 0]);
    });
  }
  test("the signal of the CMD_SYNC comes with its completion", () => {
    const bench = running();
    bench.endsAt = undefined;
    bench.issue(inv(), buildCommand("CMD_SYNC", { CS: 1, MSIAddress: 0x4030_0000, MSIData: 0x77 }));
    expect(bench.bus.memory.read32(0x4030_0000)).toBe(0);
    bench.sent[0]!.ended("completed");
    expect(bench.bus.memory.read32(0x4030_0000)).toBe(0x77);
  });
  test("a host may end it later in virtual time", () => {
    const bench = running();
    bench.endsAt = undefined;
    const before = consumed(bench);
    bench.issue(inv(), SYNC);
    bench.simulation.after(5000, () => bench.sent[0]!.ended("completed"));
    bench.simulation.advance(4999);
    expect(consumed(bench) - before).toBe(1);
    bench.simulation.advance(1);
    expect(consumed(bench) - before).toBe(2);
  });
  test("§3.9.1.5: UR ends it without an error", () => {
    const bench = running();
    bench.endsAt = "unsupported-request";
    const before = consumed(bench);
    bench.issue(inv(), SYNC);
    expect([consumed(bench) - before, bench.activeErrors]).toEqual([2, 0]);
  });
  test("§6.3.9.3: the Update of CMDQEN to 0 is over when the waiting CMD_SYNC is", () => {
    const { bench } = waiting();
    bench.w32(at.CR0, EVENTQEN | ATSCHK | 1);
    bench.simulation.advance(10_000);
    expect(bench.r32(at.CR0ACK) & CMDQEN).toBe(CMDQEN);
    for (const { ended } of bench.sent) ended("completed");
    expect(bench.r32(at.CR0ACK) & CMDQEN).toBe(0);
  });
  test("one that ends twice is a mistake of the host", () => {
    const { bench } = waiting();
    bench.sent[0]!.ended("completed");
    expect(() => bench.sent[0]!.ended("completed")).toThrow(HostMisuseError);
  });
  test("a hardware reset forgets them, and what ends afterwards does nothing", () => {
    const { bench } = waiting();
    bench.smmu.reset();
    for (const { ended } of bench.sent) ended("timeout");
    bench.start();
    bench.issue(SYNC);
    expect(bench.activeErrors).toBe(0);
  });
});

describe("§3.9.1.4: a time-out", () => {
  /** ATC_INV at index `before`, SYNC after it. */
  function timedOut(): { bench: AtsBench; before: number } {
    const bench = running();
    bench.endsAt = "timeout";
    const before = consumed(bench);
    bench.issue(inv({ Size: 52 }), CFGI_STE, SYNC, CFGI_STE);
    return { bench, before };
  }
  test("CERROR_ATC_INV_SYNC at the CMD_SYNC: CONS stays at it, no signal, nothing after it is consumed", () => {
    const { bench, before } = timedOut();
    expect([consumed(bench) - before, error(bench), bench.activeErrors & CMDQ_ERR]).toEqual([2, CERROR_ATC_INV_SYNC, CMDQ_ERR]);
  });
  test("the CMD_ATC_INV itself and other commands are consumed without an error", () => {
    const bench = running();
    bench.endsAt = "timeout";
    const before = consumed(bench);
    bench.issue(inv(), CFGI_STE, TLBI_ALL);
    expect([consumed(bench) - before, bench.activeErrors]).toEqual([3, 0]);
  });
  test("after the acknowledge the same CMD_SYNC is fetched again, and completes", () => {
    const { bench, before } = timedOut();
    bench.w32(at.GERRORN, bench.r32(at.GERROR));
    bench.simulation.advance(10_000);
    expect([consumed(bench) - before, bench.activeErrors]).toEqual([4, 0]);
  });
  test("a new CMD_ATC_INV in its place may time out again", () => {
    const { bench, before } = timedOut();
    bench.prod = (bench.prod + 30) % 32;
    bench.w32(at.CMDQ_PROD, bench.prod);
    bench.w32(at.GERRORN, bench.r32(at.GERROR));
    bench.issue(inv({ Size: 52 }), SYNC);
    expect([consumed(bench) - before, error(bench)]).toEqual([3, CERROR_ATC_INV_SYNC]);
  });
  test("choice atc-sync-error: it comes when no request is under way any more", () => {
    const bench = running();
    bench.endsAt = undefined;
    const before = consumed(bench);
    bench.issue(inv(), inv(), SYNC);
    bench.sent[0]!.ended("timeout");
    expect([consumed(bench) - before, bench.activeErrors]).toEqual([2, 0]);
    bench.sent[1]!.ended("completed");
    expect([consumed(bench) - before, error(bench)]).toEqual([2, CERROR_ATC_INV_SYNC]);
  });
  test("§4.7.3: invalidations that the CMD_SYNC was to complete wait for the one that succeeds", () => {
    const bench = running({ options: { choices: { maintenance: "at-sync" } } });
    expect(bench.dmaAt(VA)).toBe(PA);
    bench.bus.memory.write32(bench.streams.steAddress(STREAM), 0);
    bench.endsAt = "timeout";
    bench.issue(CFGI_STE, inv(), SYNC);
    expect(error(bench)).toBe(CERROR_ATC_INV_SYNC);
    expect(bench.dmaAt(VA)).toBe(PA);
    bench.w32(at.GERRORN, bench.r32(at.GERROR));
    bench.simulation.advance(10_000);
    expect(bench.dmaAt(VA)).toBeUndefined();
  });
});

describe("snapshots", () => {
  test("requests under way go along, and are sent once more: the CMD_SYNC waits there, too", () => {
    const one = running();
    one.endsAt = undefined;
    one.issue(inv({ Size: 52 }), SYNC);
    const snapshot = JSON.parse(JSON.stringify(snapshotOf(one.smmu))) as ReturnType<typeof snapshotOf>;
    const other = new AtsBench();
    for (const { address, bytes } of one.bus.memory.pages()) other.bus.memory.writeBytes(address, bytes);
    other.endsAt = undefined;
    restoreSnapshot(other.smmu, snapshot);
    expect(requests(other)).toEqual(requests(one));
    other.simulation.advance(10_000);
    const before = consumed(other);
    other.sent[0]!.ended("completed");
    expect(consumed(other) - before).toBe(1);
  });
  test("a time-out that no CMD_SYNC has told goes along", () => {
    const one = running();
    one.endsAt = "timeout";
    one.issue(inv());
    const other = new AtsBench();
    for (const { address, bytes } of one.bus.memory.pages()) other.bus.memory.writeBytes(address, bytes);
    restoreSnapshot(other.smmu, JSON.parse(JSON.stringify(snapshotOf(one.smmu))) as ReturnType<typeof snapshotOf>);
    other.prod = one.prod;
    other.issue(SYNC);
    expect(error(other)).toBe(CERROR_ATC_INV_SYNC);
  });
  test("without any of it there is nothing of it in a snapshot", () => {
    expect("atc" in snapshotOf(running().smmu).pending).toBe(false);
  });
});

describe("the host", () => {
  test("an SMMU with ATS needs one that carries invalidations", () => {
    const { invalidateAtc: _, ...without } = createSmmuHost({ simulation: new Simulation(), bus: new SystemBus() });
    expect(() => new Smmu(profiles.max, without)).toThrow(/invalidateAtc/);
    expect(() => new Smmu(profiles["linux-typical"], without)).not.toThrow();
  });
  test("§4.5: where ATS reaches no function, the command is ignored: createSmmuHost without invalidateAtc", () => {
    const host = createSmmuHost({ simulation: new Simulation(), bus: new SystemBus() });
    const ends: string[] = [];
    host.invalidateAtc!(STREAM, ALL, (how) => ends.push(how));
    expect(ends).toEqual(["completed"]);
  });
});
