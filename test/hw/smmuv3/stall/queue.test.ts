// SPDX-License-Identifier: MIT
/** Stalls and the Event queue: full, disabled, in error; STAGs and STALL_MAX (IHI 0070 §3.12.2, §6.3.6, §7.2.1, §7.4). */
import { describe, expect, test } from "vitest";
import { BusStatus, Outcome, type SmmuConfig } from "../../../../src/hw/index.ts";
import { CMDQEN, EVENTQ, EVENTQEN, PA, SMMUEN, STREAM, VA, at } from "../lint/driver.ts";
import { type Client, ON, StallBench, state } from "./bench.ts";

const OVFLG = 0x8000_0000;
const EVENTQ_ABT_ERR = 4;

/** Ways for the Event queue not to be writable, and back. */
const UNWRITABLE: readonly { what: string; close: (bench: StallBench) => void; open: (bench: StallBench) => void }[] = [
  {
    what: "full",
    close: (bench) => {
      bench.go(VA + 0x8000);
      bench.go(VA + 0x9000);
    },
    open: (bench) => void bench.takeEvents(),
  },
  { what: "disabled", close: (bench) => bench.cr0(CMDQEN | SMMUEN), open: (bench) => bench.cr0(ON) },
  {
    what: "in abort",
    close: (bench) => {
      const end = bench.bus.inject({ base: EVENTQ, size: 64, status: BusStatus.abort, on: "write" });
      bench.streams.write(9, new Uint32Array(16));
      bench.go(0, { sid: 9 });
      end();
      if ((bench.r32(at.GERROR) & EVENTQ_ABT_ERR) === 0) throw new Error("no error");
    },
    open: (bench) => bench.w32(at.GERRORN, EVENTQ_ABT_ERR),
  },
];

/** The records of {@link VA} alone: those that fill the queue are of other pages. */
const ofVa = (bench: StallBench): { name: string; stall: number }[] =>
  bench
    .takeEvents()
    .filter(({ fields }) => fields["InputAddr[31:0]"] === VA)
    .map(({ name, fields }) => ({ name, stall: fields["Stall"]! }));

describe.each(UNWRITABLE)("IHI 0070 §7.2.1: a stall while the Event queue is $what", ({ close, open }) => {
  function bench(): { bench: StallBench; client: Client } {
    const made = new StallBench({}, 1);
    close(made);
    return { bench: made, client: made.go() };
  }

  test("waits, without a STAG and without an overflow", () => {
    const { bench: b, client } = bench();
    expect(client.first).toBe(Outcome.stalled);
    expect(client.tx.recorded).toBe(false);
    expect(client.tx.stall!.stag).toBe(-1);
    expect(b.r32(at.EVENTQ_PROD) & OVFLG).toBe(0);
  });

  test("is recorded when the queue is writable again", () => {
    const { bench: b, client } = bench();
    open(b);
    expect(client.tx.stall!.stag).toBeGreaterThanOrEqual(0);
    expect(ofVa(b)).toEqual([{ name: "F_TRANSLATION", stall: 1 }]);
    b.resume(client.tx.stall!.stag);
    expect(state(client)).toBe("RAZ/WI");
  });

  test("is tried anew then: what software has repaired succeeds, and no record tells of it", () => {
    const { bench: b, client } = bench();
    b.pageTable.map(VA, PA, 0x1000);
    b.maintain();
    expect(state(client)).toBe("waits");
    open(b);
    expect(client.ends).toEqual([{ outcome: Outcome.forward, physical: PA, event: 0 }]);
    expect(ofVa(b)).toEqual([]);
  });

  test("records what it runs into then, not what it ran into before", () => {
    const { bench: b, client } = bench();
    b.pageTable.map(VA, PA, 0x1000, { af: 0 });
    b.maintain();
    open(b);
    expect(state(client)).toBe("waits");
    expect(ofVa(b)).toEqual([{ name: "F_ACCESS", stall: 1 }]);
  });

  test("terminates then if the configuration has come to say so", () => {
    const { bench: b, client } = bench();
    b.putCd({ S: 0, A: 1 });
    b.maintain();
    open(b);
    expect(state(client)).toBe("abort");
    expect(ofVa(b)).toEqual([{ name: "F_TRANSLATION", stall: 0 }]);
  });

  test("CMD_STALL_TERM ends it, and no record appears later (choice stall-term-unrecorded)", () => {
    const { bench: b, client } = bench();
    b.stallTerm();
    expect(state(client)).toBe("abort");
    open(b);
    expect(ofVa(b)).toEqual([]);
  });

  test("SMMUEN 0 ends it, and no record appears later (§6.3.9.6)", () => {
    const { bench: b, client } = bench();
    b.cr0(b.r32(at.CR0) & ~SMMUEN);
    expect(state(client)).toBe("abort");
    open(b);
    expect(ofVa(b)).toEqual([]);
  });
});

describe("IHI 0070 §7.4: a full queue", () => {
  test("several that wait are recorded in order of arrival, as far as there is room", () => {
    const bench = new StallBench({}, 0);
    const clients = [0, 1, 2, 3].map((page) => bench.go(VA + 0x1000 * page));
    const seen: number[] = [];
    for (let turn = 0; turn < 4; turn++) {
      expect(clients.filter(({ tx }) => tx.stall!.stag >= 0)).toHaveLength(turn + 1);
      const [event] = bench.takeEvents(1);
      seen.push((event!.fields["InputAddr[31:0]"]! - VA) / 0x1000);
    }
    expect(seen).toEqual([0, 1, 2, 3]);
    expect(bench.takeEvents()).toEqual([]);
    expect(bench.r32(at.EVENTQ_PROD) & OVFLG).toBe(0);
  });

  test("a terminating fault overflows it, stalls that wait or not", () => {
    const bench = new StallBench({}, 0);
    bench.go();
    bench.go();
    expect(bench.r32(at.EVENTQ_PROD) >>> 31).toBe(0);
    bench.go(0, { sid: 9 });
    expect(bench.r32(at.EVENTQ_PROD) >>> 31).toBe(1);
    bench.takeEvents();
    expect(bench.takeEvents()).toMatchObject([{ fields: { Stall: 1 } }]);
  });

  test("a record that a waiting one needs is not lost to the rest: those that come after go on waiting", () => {
    const bench = new StallBench({}, 0);
    bench.go(VA + 0x8000);
    const clients = [bench.go(), bench.go()];
    bench.putCd({ S: 0, A: 1 });
    bench.maintain();
    bench.takeEvents();
    expect(clients.map(state)).toEqual(["abort", "waits"]);
    bench.takeEvents();
    expect(clients.map(state)).toEqual(["abort", "abort"]);
    expect(bench.r32(at.EVENTQ_PROD) & OVFLG).toBe(0);
  });

  test("§3.18.2: the interrupt comes when the waiting record makes the queue non-empty", () => {
    const bench = new StallBench({}, 0);
    const pulses: number[] = [];
    bench.w64(0xb0, EVENTQ + 0x1000);
    bench.w32(0xb8, 0x77);
    bench.w32(0x50, 4);
    bench.simulation.advance(10_000);
    bench.go();
    const count = (): number => bench.bus.memory.read32(EVENTQ + 0x1000);
    expect(count()).toBe(0x77);
    bench.bus.memory.write32(EVENTQ + 0x1000, 0);
    bench.go();
    pulses.push(count());
    bench.takeEvents(1);
    pulses.push(count());
    expect(pulses).toEqual([0, 0x77]);
  });

  test("§3.5.1: indexes in an inconsistent state count as full", () => {
    const bench = new StallBench({}, 1);
    bench.w32(at.EVENTQ_CONS, 1);
    const client = bench.go();
    expect(client.tx.stall!.stag).toBe(-1);
    bench.w32(at.EVENTQ_CONS, 0);
    expect(client.tx.stall!.stag).toBeGreaterThanOrEqual(0);
  });
});

describe("IHI 0070 §7.2.2: the write of a stall record aborts", () => {
  test("EVENTQ_ABT_ERR; the transaction waits and is recorded after the acknowledge (choice stall-record-abort)", () => {
    const bench = new StallBench();
    const end = bench.bus.inject({ base: EVENTQ, size: 64, status: BusStatus.abort, on: "write" });
    const client = bench.go();
    expect(bench.r32(at.GERROR)).toBe(EVENTQ_ABT_ERR);
    expect(state(client)).toBe("waits");
    end();
    bench.w32(at.GERRORN, EVENTQ_ABT_ERR);
    expect(bench.takeEvents()).toMatchObject([{ fields: { Stall: 1, STAG: client.tx.stall!.stag } }]);
  });

  test("while writes go on aborting each acknowledge gives one more error, and the transaction can be terminated", () => {
    const bench = new StallBench();
    bench.bus.inject({ base: EVENTQ, size: 64, status: BusStatus.abort, on: "write" });
    const clients = [bench.go(), bench.go()];
    for (let turn = 0; turn < 3; turn++) {
      const gerror = bench.r32(at.GERROR);
      bench.w32(at.GERRORN, gerror);
      expect(bench.r32(at.GERROR) ^ gerror).toBe(EVENTQ_ABT_ERR);
    }
    bench.stallTerm();
    expect(clients.map(state)).toEqual(["abort", "abort"]);
  });
});

describe("STAGs, IHI 0070 §3.12.2", () => {
  test("one that is not answered is not used again, however many others come and go", () => {
    const bench = new StallBench({ timing: { commandNs: 0, updateNs: 0 } });
    const first = bench.go();
    const kept = bench.stag();
    let reused = 0;
    for (let turn = 0; turn < 0x1_0010; turn++) {
      const { stag } = bench.go().tx.stall!;
      if (stag === kept) reused++;
      bench.smmu.translation.stalls.resume(STREAM, stag, false, true);
      bench.w32(at.EVENTQ_CONS, bench.prodIndex);
    }
    expect(reused).toBe(0);
    bench.resume(kept);
    expect(state(first)).toBe("RAZ/WI");
  });

  test("an answered one comes again as late as possible (choice stag)", () => {
    const bench = new StallBench();
    bench.go();
    const first = bench.stag();
    bench.resume(first);
    const client = bench.go();
    bench.resume(first);
    expect(state(client)).toBe("waits");
  });
});

describe("IDR5.STALL_MAX, IHI 0070 §6.3.6", () => {
  const limited = (stallMax: number, more: Partial<SmmuConfig> = {}): StallBench => new StallBench({ stallMax, ...more });

  test.each([1, 3])("%i: no more records than that are unanswered; further faults wait without one", (stallMax) => {
    const bench = limited(stallMax);
    const clients = Array.from({ length: stallMax + 2 }, () => bench.go());
    expect(clients.every(({ first }) => first === Outcome.stalled)).toBe(true);
    expect(bench.takeEvents()).toHaveLength(stallMax);
    expect(bench.r32(at.EVENTQ_PROD) & OVFLG).toBe(0);
  });

  test.each([
    ["CMD_RESUME (terminate)", (b: StallBench, stag: number) => b.resume(stag, { sid: STREAM + 1 })],
    ["CMD_STALL_TERM of the other stream", (b: StallBench) => b.stallTerm(STREAM + 1)],
  ])("%s makes room for the next in line", (_how, end) => {
    const bench = limited(1);
    const first = bench.go(VA, { sid: STREAM + 1 });
    const [second, third] = [bench.go(), bench.go()];
    const stag = bench.stag();
    end(bench, stag);
    expect(state(first)).not.toBe("waits");
    expect(bench.takeEvents()).toMatchObject([{ fields: { StreamID: STREAM, STAG: second.tx.stall!.stag } }]);
    expect(third.tx.stall!.stag).toBe(-1);
  });

  test("a retry that stalls again counts anew; the others go on waiting", () => {
    const bench = limited(1);
    const clients = [bench.go(), bench.go()];
    bench.resume(bench.stag(), { Ac: 1 });
    expect(bench.takeEvents()).toHaveLength(1);
    expect(clients.map(state)).toEqual(["waits", "waits"]);
  });

  test("a waiting one that software has repaired succeeds when there is room", () => {
    const bench = limited(1);
    const clients = [bench.go(VA + 0x1000), bench.go()];
    bench.pageTable.map(VA, PA, 0x1000);
    bench.resume(bench.stag());
    expect(clients.map(state)).toEqual(["RAZ/WI", "forward"]);
    expect(bench.takeEvents()).toEqual([]);
  });
});

test("clients that make the queue writable once more when they are answered are answered one after the other, not one within another", () => {
  const bench = new StallBench();
  bench.cr0(CMDQEN | SMMUEN);
  const clients = Array.from({ length: 100 }, () => bench.go());
  let depth = 0;
  let deepest = 0;
  for (const { tx } of clients) {
    tx.stall!.onEnd = () => {
      deepest = Math.max(deepest, ++depth);
      bench.w32(at.EVENTQ_CONS, bench.cons);
      depth--;
    };
  }
  bench.pageTable.map(VA, PA, 0x1000);
  bench.cr0(ON);
  expect(bench.smmu.translation.stalls.held).toEqual([]);
  expect(deepest).toBe(1);
});

describe("an interrupt's message that writes the SMMU's own registers", () => {
  const BASE = 0x0905_0000;
  function looped(register: number, data: number, config: Partial<SmmuConfig> = {}): StallBench {
    const bench = new StallBench(config, 0);
    const { smmu } = bench;
    bench.bus.addWindow({ name: "smmu", base: BASE, size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth });
    bench.w64(0xb0, BASE + register);
    bench.w32(0xb8, data);
    bench.w32(0x50, 4);
    bench.simulation.advance(10_000);
    return bench;
  }

  test("EVENTQ_CONS: the queue is drained as it fills, and nothing loops", () => {
    const bench = looped(at.EVENTQ_CONS, 1);
    const clients = [bench.go(), bench.go(), bench.go()];
    expect(clients.map(state)).toEqual(["waits", "waits", "waits"]);
    expect(clients.map(({ tx }) => tx.stall!.stag >= 0)).toEqual([true, true, false]);
  });

  test.each([0, 200])("CR0, acknowledged after %i ns: SMMUEN falls while the transaction stalls, so it ends with an abort", (updateNs) => {
    const bench = looped(at.CR0, EVENTQEN, { timing: { commandNs: 0, updateNs } });
    const client = bench.go();
    bench.simulation.advance(10_000);
    expect(state(client)).toBe("abort");
    expect(bench.smmu.translation.stalls.held).toEqual([]);
  });
});
