// SPDX-License-Identifier: MIT
/** Whatever a recording says is compared: one thing changed in it, and the replay finds a difference that nothing explains. */
import { describe, expect, test } from "vitest";
import {
  type Line,
  type Recording,
  byHand,
  drop,
  effects,
  find,
  fixture,
  flipped,
  flippedWord,
  replayLines,
  withoutEffects,
  wrongAfter,
} from "./mutate.ts";

const EDU = "q100-l612-4k-edu-faults";
const STAGE1 = "q100-l612-4k-inject-stage1";
const STAGE2 = "q100-l612-4k-stage2-edu";
const PASSTHROUGH = "q72-l61-4k-passthrough-edu";

const isRequest = ({ t }: Line): boolean => t === "x";
const isOk = (record: Line): boolean => isRequest(record) && record.r.s === "ok";
const hasEvent = (record: Line): boolean => effects(record, "e").length > 0;
const hasCommand = (record: Line): boolean => effects(record, "c").length > 0;
const deviates = (record: Line, ...words: readonly string[]): boolean => isRequest(record) && words.includes(record.dev);

type Mutation = readonly [what: string, wanted: (record: Line, n: number) => boolean, change: (record: Line) => void];

function all(recording: () => Recording, mutations: readonly Mutation[]): void {
  test.each(mutations)("%s", (_what, wanted, change) => {
    const subject = recording();
    expect(wrongAfter(subject, find(subject, wanted), change)).not.toEqual([]);
  });
}

describe("registers", () => {
  all(
    () => fixture(EDU),
    [
      ...[0, 1, 2, 3, 4, 5].map((index): Mutation => [
        `IDR${index} at reset`,
        ({ t }) => t === "reset",
        (r) => (r.idr[index] = flipped(r.idr[index], 0x2000_0000)),
      ]),
      ["IIDR at reset", ({ t }) => t === "reset", (r) => (r.iidr = "0x1234")],
      ["IDR0 as read, other than at reset", ({ t, o }) => t === "r" && o === "0x0", (r) => (r.v = flipped(r.v, 0x0800_0000))],
      ["IDR3 as read, other than at reset", ({ t, o }) => t === "r" && o === "0xc", (r) => (r.v = flipped(r.v, 4))],
      ["EVENTQ_PROD as read", ({ t, o }) => t === "r" && o === "0x100a8", (r) => (r.v = flipped(r.v, 1))],
      ["EVENTQ_PROD.OVFLG as read", ({ t, o }) => t === "r" && o === "0x100a8", (r) => (r.v = flipped(r.v, 0x8000_0000))],
      ["CMDQ_CONS as read", ({ t, o }) => t === "r" && o === "0x9c", (r) => (r.v = flipped(r.v, 1))],
      ["CMDQ_CONS after a write", ({ t, st }) => t === "w" && st !== undefined, (r) => (r.st.cons = flipped(r.st.cons, 1))],
      ["EVENTQ_PROD after a request", ({ t, st }) => t === "x" && st !== undefined, (r) => (r.st.eprod = flipped(r.st.eprod, 1))],
      [
        "EVENTQ_PROD.OVFLG after a request",
        ({ t, st }) => t === "x" && st !== undefined,
        (r) => (r.st.eprod = flipped(r.st.eprod, 0x8000_0000)),
      ],
      ["GERROR", ({ st }) => st !== undefined, (r) => (r.st.gerr = "0x1")],
      ["GERROR.EVENTQ_ABT_ERR while the queue is not full", ({ t, st }) => t === "x" && st !== undefined, (r) => (r.st.gerr = "0x4")],
      ["CR0ACK", ({ t, st }) => t === "w" && st !== undefined, (r) => (r.st.cr0ack = flipped(r.st.cr0ack, 1))],
      ["a change that is not told", ({ t, st }) => t === "w" && st !== undefined, (r) => drop(r, "st")],
      ["a change by a request that is not told", ({ t, st }) => t === "x" && st !== undefined, (r) => drop(r, "st")],
    ],
  );
});

describe("commands", () => {
  all(
    () => fixture(EDU),
    [
      ["CMDQ_CONS before a command", hasCommand, (r) => (effects(r, "c")[0]![1] = 0x77)],
      ["where a command stood", hasCommand, (r) => (effects(r, "c")[0]![2] = flipped(effects(r, "c")[0]![2], 0x10))],
      [
        "a command that is missing",
        hasCommand,
        (r) =>
          r.fx.splice(
            r.fx.findIndex(([kind]) => kind === "c"),
            1,
          ),
      ],
      ["an error that was none", hasCommand, (r) => r.fx.push(["cerr", 1])],
      ["an interrupt that was none", hasCommand, (r) => r.fx.push(["irq", "sync"])],
    ],
  );
});

/** A command error, on the registers of QEMU 10: CMD_SYNC, and an opcode that is reserved. */
const failing = byHand([
  { t: "reset", idr: ["0xd44101b", "0x2730010", "0x0", "0x1414", "0x0", "0x74"], iidr: "0x0", aidr: "0x1" },
  { t: "w", o: "0x90", s: 8, v: "0x40001004" },
  { t: "w", o: "0x50", s: 4, v: "0x7" },
  { t: "w", o: "0x20", s: 4, v: "0x8", st: { cons: "0x0", eprod: "0x0", gerr: "0x0", cr0ack: "0x8" } },
  {
    t: "w",
    o: "0x98",
    s: 4,
    v: "0x2",
    fx: [
      ["c", 0, "0x40001000", `46${"00".repeat(15)}`],
      ["c", 1, "0x40001010", `ff${"00".repeat(15)}`],
      ["cerr", 1],
      ["irq", "gerror"],
    ],
    st: { cons: "0x1000001", eprod: "0x0", gerr: "0x1", cr0ack: "0x8" },
  },
  { t: "r", o: "0x9c", s: 4, v: "0x1000001" },
]);

describe("a command error", () => {
  test("as it should be", () => expect(replayLines(failing.header, failing.lines)).toMatchObject({ wrong: 0, deviations: {} }));
  const isError = (record: Line): boolean => effects(record, "cerr").length > 0;
  all(
    () => failing,
    [
      ["its code", isError, (r) => (effects(r, "cerr")[0]![1] = 2)],
      ["that it was one", isError, (r) => withoutEffects(r, "cerr")],
      ["at which command", isError, (r) => (r.fx = [0, 2, 1, 3].map((index) => r.fx[index]!))],
      ["CMDQ_CONS before the command", isError, (r) => (effects(r, "c")[1]![1] = 0)],
      ["its interrupt", isError, (r) => withoutEffects(r, "irq")],
      ["CMDQ_CONS.ERR while the error is active", ({ t }) => t === "r", (r) => (r.v = flipped(r.v, 0x0300_0000))],
    ],
  );
});

describe("events", () => {
  const words = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((word) =>
    [1, 0x80, 0x100, 0x1000, 0x8000_0000].map((bits): Mutation => [
      `bit 0x${bits.toString(16)} of word ${word}`,
      hasEvent,
      (r) => (effects(r, "e")[0]![2] = flippedWord(effects(r, "e")[0]![2], word, bits)),
    ]),
  );
  all(
    () => fixture(EDU),
    [
      ...words,
      ["where a record was written", hasEvent, (r) => (effects(r, "e")[0]![1] = flipped(effects(r, "e")[0]![1], 32))],
      ["a record that is missing", hasEvent, (r) => withoutEffects(r, "e")],
      ["a record twice", hasEvent, (r) => r.fx.push(effects(r, "e")[0]!)],
      ["the event that was due", hasEvent, (r) => (effects(r, "ev")[0]![1] = 0x11)],
      ["its StreamID", hasEvent, (r) => (effects(r, "ev")[0]![2] = 9)],
      ["what became of it", hasEvent, (r) => (effects(r, "ev")[0]![3] = "evtq-full")],
      ["that it was due", hasEvent, (r) => withoutEffects(r, "ev")],
      ["its interrupt", hasEvent, (r) => withoutEffects(r, "irq")],
      ["another line", hasEvent, (r) => (effects(r, "irq")[0]![1] = "gerror")],
    ],
  );
});

describe("answers", () => {
  all(
    () => fixture(EDU),
    [
      ["the address", isOk, (r) => (r.r.pa = flipped(r.r.pa, 0x1000))],
      ["the size of the entry", isOk, (r) => (r.r.mask = "0x1fffff")],
      ["a right less", (r) => isOk(r) && r.r.perm === "rw", (r) => (r.r.perm = "r")],
      ["another right", (r) => isOk(r) && r.f === "r", (r) => (r.r.perm = "w")],
      ["that it was translated", isOk, (r) => (r.r = { s: "bypass", pa: r.r.pa })],
      ["that it was answered", isOk, (r) => (r.r = { s: "fault", ev: "0x10" })],
      ["the event", hasEvent, (r) => (r.r.ev = "0x11")],
      ["that there was an event", hasEvent, (r) => (r.r = { s: "abort" })],
      ["another answer from memory", isOk, (r) => (r.u = { s: "fault", ev: "0x10" })],
      ["another address from memory", isOk, (r) => (r.u = { ...r.r, pa: flipped(r.r.pa, 0x1000) })],
      ["the stream", isOk, (r) => (r.sid = 3)],
    ],
  );
});

describe("where QEMU deviates, it has to deviate as it does", () => {
  const wrongPlace = (r: Line): void => {
    r.r.pa = "0x123456789";
  };
  const injected =
    (what: string) =>
    (record: Line): boolean =>
      record.inj === what && record.arch !== undefined;
  describe("stage 1", () => {
    all(
      () => fixture(STAGE1),
      [
        ["a level-0 block leads elsewhere", injected("table3->block"), wrongPlace],
        ["a level-0 block of another size", injected("table3->block"), (r) => (r.r.mask = "0x3fffffff")],
        ["a level-0 block with other rights", injected("table3->block"), (r) => (r.r.perm = "rw")],
        ["AP[1] = 0 leads elsewhere", injected("leaf.AP[1]=0"), wrongPlace],
        ["AP[1] = 0 and another size", injected("leaf.AP[1]=0"), (r) => (r.r.mask = "0x1fffff")],
        ["APTable[0] = 1 leads elsewhere", injected("table.APTable[0]=1"), wrongPlace],
        ["APTable[1] = 1: an address", (r) => r.inj === "table.APTable[1]=1" && isOk(r), wrongPlace],
        ["APTable[1] = 1: a write alone", (r) => r.inj === "table.APTable[1]=1" && isOk(r), (r) => (r.r.perm = "w")],
        ...[1, 2, 3, 4, 5, 6, 7].map((word): Mutation => [
          `a table beyond the output size: word ${word} of the record`,
          injected("table.addr=beyond OAS"),
          (r) => (effects(r, "e")[0]![2] = flippedWord(effects(r, "e")[0]![2], word, 0x10)),
        ]),
        [
          "a table beyond the output size: RnW",
          injected("table.addr=beyond OAS"),
          (r) => (effects(r, "e")[0]![2] = flippedWord(effects(r, "e")[0]![2], 3, 8)),
        ],
        ["a table beyond the output size: another event", injected("table.addr=beyond OAS"), (r) => (r.r.ev = "0x10")],
        ["S1CDMax: another event", (r) => r.inj === "STE.S1CDMax=1", (r) => (r.r.ev = "0xa")],
        [
          "S1CDMax: a record with more in it",
          (r) => r.inj === "STE.S1CDMax=1",
          (r) => (effects(r, "e")[0]![2] = flippedWord(effects(r, "e")[0]![2], 4, 1)),
        ],
        [
          "S1CDMax: of another stream",
          (r) => r.inj === "STE.S1CDMax=1",
          (r) => (effects(r, "e")[0]![2] = flippedWord(effects(r, "e")[0]![2], 1, 1)),
        ],
        [
          "F_CD_FETCH: another address",
          (r) => hasEvent(r) && r.r.ev === "0x9",
          (r) => (effects(r, "e")[0]![2] = flippedWord(effects(r, "e")[0]![2], 4, 0x100)),
        ],
        [
          "F_WALK_EABT: another address",
          (r) => hasEvent(r) && r.r.ev === "0xb",
          (r) => (effects(r, "e")[0]![2] = flippedWord(effects(r, "e")[0]![2], 6, 0x100)),
        ],
        ["F_PERMISSION before F_ADDR_SIZE: another event", injected("leaf.OA=beyond OAS"), (r) => (r.r.ev = "0x12")],
      ],
    );
  });
  describe("stage 2", () => {
    all(
      () => fixture(STAGE2),
      [
        ["a read through a write-only entry leads elsewhere", (r) => deviates(r, "tlbhit-noperm"), (r) => (r.r.pa = "0x1000")],
        ["a read through a write-only entry of another size", (r) => deviates(r, "tlbhit-noperm"), (r) => (r.r.mask = "0x1fffff")],
        ["a read through an entry that is said to allow it", (r) => deviates(r, "tlbhit-noperm"), (r) => (r.r.perm = "rw")],
        ["a read through a write-only entry without a hit", (r) => deviates(r, "tlbhit-noperm"), (r) => (r.h[1] = 0)],
        ["a read that memory would allow", (r) => deviates(r, "tlbhit-noperm"), (r) => drop(r, "u")],
        ["a silent write without a hit", (r) => deviates(r, "noevent") && r.u !== undefined, (r) => (r.h[1] = 0)],
        ["a silent write that memory would allow", (r) => deviates(r, "noevent") && r.u !== undefined, (r) => drop(r, "u")],
        ["a silent write of which the recorder says nothing", (r) => deviates(r, "noevent") && r.u !== undefined, (r) => drop(r, "dev")],
        [
          "a first write without permission made silent",
          (r) => isRequest(r) && r.f === "w" && r.r.ev === "0x13" && r.h[1] === 0,
          (r) => {
            r.r.ev = "0x0";
            for (const key of ["fx", "st"] as const) drop(r, key);
          },
        ],
        [
          "an address beyond IAS that the architecture would pass",
          (r) => deviates(r, "noevent") && r.u === undefined,
          (r) => (r.arch = { s: "fault", ev: "0x10" }),
        ],
        ["the IPA in a record", (r) => hasEvent(r), (r) => (effects(r, "e")[0]![2] = flippedWord(effects(r, "e")[0]![2], 6, 0x1000))],
        [
          "the IPA's low bits in a record",
          (r) => hasEvent(r),
          (r) => (effects(r, "e")[0]![2] = flippedWord(effects(r, "e")[0]![2], 6, 0x10)),
        ],
        ["IDR3 with more than HAD", ({ t }) => t === "reset", (r) => (r.idr[3] = flipped(r.idr[3], 0x20))],
      ],
    );
  });
  describe("bypass and QEMU 7.2", () => {
    const beyond = (r: Line): boolean => isRequest(r) && r.r.s === "bypass" && r.arch !== undefined;
    all(
      () => fixture(PASSTHROUGH),
      [
        ["an address beyond OAS is passed on to another one", beyond, (r) => (r.r.pa = "0x1000")],
        ["an address beyond OAS is answered as translated", beyond, (r) => (r.r = { s: "ok", pa: r.r.pa, mask: "0xfff", perm: "rw" })],
        ["an address beyond OAS that the architecture would pass", beyond, (r) => (r.arch = r.r)],
        ["CLASS is something", hasEvent, (r) => (effects(r, "e")[0]![2] = flippedWord(effects(r, "e")[0]![2], 3, 0x100))],
        ["CLASS is missing and RnW is wrong", hasEvent, (r) => (effects(r, "e")[0]![2] = flippedWord(effects(r, "e")[0]![2], 3, 8))],
      ],
    );
  });
});

test.each([EDU, STAGE1, STAGE2, PASSTHROUGH])("%s: nothing changed, nothing unexplained", (name) => {
  const recording = fixture(name);
  for (const nth of [0, 1, 40, 100]) expect(wrongAfter(recording, find(recording, isRequest, nth), () => {})).toEqual([]);
});

test("a part of version 3.2 that hides what is mandatory is replayed, and that it hides it is a deviation (§6.3.1, §6.3.4)", () => {
  const { header, lines, records } = fixture(EDU);
  const reset = JSON.stringify({ ...records[0], aidr: "0x2" });
  const { wrong, deviations } = replayLines(header, [reset, ...lines.slice(1)]);
  expect(wrong).toBe(0);
  expect(Object.keys(deviations).sort()).toEqual(["eventq-irq-each", "hyp-hidden", "idr3-mandatory-hidden"]);
});
