// SPDX-License-Identifier: MIT
/** Differences by hand: each deviation with what is not one. */
import type { SmmuConfig } from "../../../src/hw/index.ts";
import type { Difference, DifferenceContext } from "../../../src/interop/index.ts";
import { endings } from "./deviation-endings.ts";
import {
  type DeviationCase,
  PAGE,
  SID,
  config,
  contextOf,
  ending,
  event,
  events,
  fault,
  hex,
  ok,
  read,
  request,
  reset,
  write,
} from "./deviation-forms.ts";

const F = 0x10;
const word3 = { read: 8, in: 0x200, s2: 0x80 };
const nested = request({ stages: 3, answer: fault(F) });
const second = request({ stages: 2, addressLo: 0x5678, answer: fault(F) });
const s2Record = (ipa: number, flags: number = word3.in | word3.s2 | word3.read, lo: number = 0x5678): Uint32Array =>
  event(F, SID, 0, flags, lo, 0, ipa);
const words = (...list: readonly number[]): string => list.map((word) => word.toString(16).padStart(8, "0")).join(" ");
const SYNC = words(0x46, 0, 0, 0);
const commands = (ours: readonly string[], theirs: readonly string[]): Difference => ({ what: "commands", ours, theirs });
const full = (more: Partial<DifferenceContext> = {}): DifferenceContext =>
  contextOf(request({ answer: fault(F) }), fault(F), { eventPending: true, eventqFull: true, ...more });
const withRecord = request({ answer: fault(F), effects: [{ kind: "event-record", address: 0, bytes: new Uint8Array(32) }] });
const noStage1: SmmuConfig = { ...config, stage1: false, had: false };
const v2: SmmuConfig = { ...config, version: 2, hyp: true, fwb: true };
const state = (register: "EVENTQ_PROD" | "GERROR", ours: number, theirs: number): Difference => ({ what: "state", register, ours, theirs });
const lines = (ours: readonly string[], theirs: readonly string[]): Difference => ({ what: "interrupts", ours, theirs });

const others: readonly DeviationCase[] = [
  {
    id: "idr3-had-without-stage1",
    what: "at reset",
    difference: read(0x0c, 0x1410, 0x1414),
    context: contextOf(reset, undefined, { config: noStage1 }),
    not: {
      "with stage 1": { c: contextOf(reset, undefined) },
      "ours alone has it": { d: read(0x0c, 0x1414, 0x1410) },
      "another bit as well": { d: read(0x0c, 0x1400, 0x1414) },
      "another register": { d: read(0x10, 0x1410, 0x1414) },
    },
  },
  {
    id: "st-level-hidden",
    what: "16 bits of StreamIDs",
    difference: read(0, 0x0d44_101b, 0x0544_101b),
    context: contextOf(reset, undefined),
    not: {
      "6 bits": { c: contextOf(reset, undefined, { config: { ...config, sidSize: 6 } }) },
      "theirs alone has it": { d: read(0, 0x0544_101b, 0x0d44_101b) },
      "a read that is not as at reset": {
        c: contextOf({ t: "r", n: 1, offset: 0, size: 4, lo: 0, hi: 0 }, undefined, { idr: [0x0d44_101b, 0, 0, 0, 0, 0] }),
      },
    },
  },
  {
    id: "hyp-hidden",
    what: "version 3.2",
    difference: read(0, 0x0d44_121b, 0x0d44_101b),
    context: contextOf(reset, undefined, { config: v2 }),
    not: {
      "version 3.1": { c: contextOf(reset, undefined) },
      "theirs alone has it": { d: read(0, 0x0d44_101b, 0x0d44_121b) },
      "stage 1 alone": { c: contextOf(reset, undefined, { config: { ...v2, stage2: false } }) },
    },
  },
  {
    id: "idr3-mandatory-hidden",
    what: "FWB in version 3.2",
    difference: read(0x0c, 0x1514, 0x1414),
    context: contextOf(reset, undefined, { config: v2 }),
    not: {
      "version 3.1": { c: contextOf(reset, undefined) },
      "theirs alone has it": { d: read(0x0c, 0x1414, 0x1514) },
      "a bit that is not mandatory": { d: read(0x0c, 0x1416, 0x1414) },
    },
  },
  {
    id: "eventq-irq-each",
    what: "a second record",
    difference: lines([], ["evtq"]),
    context: contextOf(withRecord, fault(F), { eventPending: true }),
    not: {
      "the queue was empty": { c: contextOf(withRecord, fault(F)) },
      "the queue was full": { c: contextOf(withRecord, fault(F), { eventPending: true, eventqFull: true }) },
      "no record": { c: contextOf(request({ answer: fault(F) }), fault(F), { eventPending: true }) },
      "another line": { d: lines([], ["gerror"]) },
      "ours alone": { d: lines(["evtq"], []) },
    },
  },
  {
    id: "eventq-full-gerror",
    what: "GERROR",
    difference: state("GERROR", 0, 4),
    context: full(),
    not: {
      "not full": { c: full({ eventqFull: false }) },
      "no event": { c: full({ answer: ok(hex(PAGE)) }) },
      "another error": { d: state("GERROR", 0, 1) },
    },
  },
  {
    id: "eventq-full-gerror",
    what: "its interrupt",
    difference: lines([], ["gerror"]),
    context: full(),
    not: { "not full": { c: full({ eventqFull: false }) }, "another line": { d: lines([], ["sync"]) } },
  },
  {
    id: "eventq-full-no-ovflg",
    what: "EVENTQ_PROD",
    difference: state("EVENTQ_PROD", 0x8000_0008, 8),
    context: full(),
    not: {
      "not full": { c: full({ eventqFull: false }) },
      "no event": { c: full({ answer: ok(hex(PAGE)) }) },
      "another index": { d: state("EVENTQ_PROD", 0x8000_0009, 8) },
      "as read while the queue is not full": { d: read(0x1_00a8, 0x8000_0008, 8), c: contextOf(reset, undefined) },
    },
  },
  {
    id: "cd-fetch-address",
    what: "two words early",
    difference: events(event(9, SID, 0, 0, 0, 0, 0x1000, 1), event(9, SID, 0, 0, 0x1000, 1)),
    context: contextOf(request({ answer: fault(9) }), fault(9)),
    not: {
      "another address": { d: events(event(9, SID, 0, 0, 0, 0, 0x1000, 1), event(9, SID, 0, 0, 0x2000, 1)) },
      F_STE_FETCH: { d: events(event(3, SID, 0, 0, 0, 0, 0x1000), event(3, SID, 0, 0, 0x1000)) },
      "of another stream": { d: events(event(9, 9, 0, 0, 0, 0, 0x1000, 1), event(9, 9, 0, 0, 0x1000, 1)) },
    },
  },
  {
    id: "ipa-low-bits",
    what: "stage 2",
    difference: events(s2Record(0x5000), s2Record(0x5678)),
    context: contextOf(second, fault(F)),
    not: {
      "low bits of something else": { d: events(s2Record(0x5000), s2Record(0x5679)) },
      "another page on both sides": { d: events(s2Record(0x9000), s2Record(0x9678)) },
      "in stage 1": {
        d: events(event(F, SID, 0, 0x208, 0x5678, 0, 0x5000), event(F, SID, 0, 0x208, 0x5678, 0, 0x5678)),
        c: contextOf({ ...second, stages: 1 }, fault(F)),
      },
    },
  },
  {
    id: "class-missing",
    what: "QEMU 7.2",
    difference: events(event(F, SID, 0, 0x208, 0x5000), event(F, SID, 0, 8, 0x5000)),
    context: contextOf(request({ answer: fault(F) }), fault(F), { qemu: 7.2 }),
    not: {
      "QEMU 10": { c: contextOf(request({ answer: fault(F) }), fault(F)) },
      "another class": { d: events(event(F, SID, 0, 0x208, 0x5000), event(F, SID, 0, 0x108, 0x5000)) },
      "and another address": { d: events(event(F, SID, 0, 0x208, 0x6000), event(F, SID, 0, 8, 0x6000)) },
      "and RnW": { d: events(event(F, SID, 0, 0x208, 0x5000), event(F, SID, 0, 0, 0x5000)) },
    },
  },
  ...(
    [
      [0x18, "TLBI_EL3_ALL", undefined],
      [0x20, "TLBI_EL2_ALL", { ...config, hyp: true }],
      [0x2a, "TLBI_S2_IPA", config],
      [0x40, "ATC_INV", { ...config, ats: true }],
      [0x41, "PRI_RESP", { ...config, pri: true }],
      [0x44, "RESUME", { ...config, stallModel: "both" as SmmuConfig["stallModel"] }],
    ] as const
  ).map(([opcode, name, having]): DeviationCase => {
    const without: SmmuConfig = opcode === 0x2a ? { ...config, stage2: false, xnx: false } : config;
    const difference = commands(["error 1"], [words(opcode, 0, 0, 0), SYNC]);
    return {
      id: "unsupported-commands",
      what: name,
      difference,
      context: contextOf(write, undefined, { config: without }),
      not: {
        "a legal command": { d: commands(["error 1"], [words(0x04, 0, 0, 0), SYNC]) },
        "another error": { d: commands(["error 2"], [words(opcode, 0, 0, 0), SYNC]) },
        "after another command": { d: commands([words(0x04, 0, 0, 0), "error 1"], [SYNC, words(opcode, 0, 0, 0)]) },
        ...(having === undefined ? {} : { "a part that has it": { c: contextOf(write, undefined, { config: having }) } }),
      },
    };
  }),
  {
    id: "unsupported-commands",
    what: "TLBI_EL2_ALL in a recording, which has places",
    difference: commands([`${words(0x20, 0, 0, 0)} @0x1000 cons 0x0`, "error 1"], [`${words(0x20, 0, 0, 0)} @0x1000 cons 0x0`]),
    context: contextOf(write, undefined),
    not: {
      "another place": {
        d: commands([`${words(0x20, 0, 0, 0)} @0x1010 cons 0x0`, "error 1"], [`${words(0x20, 0, 0, 0)} @0x1000 cons 0x0`]),
      },
      "a legal command": { d: commands([`${words(4, 0, 0, 0)} @0x1000 cons 0x0`, "error 1"], [`${words(4, 0, 0, 0)} @0x1000 cons 0x0`]) },
    },
  },
  {
    id: "sync-cs-reserved",
    what: "CS 3",
    difference: commands(["error 1"], [words(0x3046, 0, 0, 0)]),
    context: contextOf(write, undefined),
    not: {
      "CS 2": { d: commands(["error 1"], [words(0x2046, 0, 0, 0)]) },
      "another error": { d: commands(["error 2"], [words(0x3046, 0, 0, 0)]) },
    },
  },
  {
    id: "tlbi-range-reserved",
    what: "TG without a range",
    difference: commands(["error 1"], [words(0x12, 0, 0x1400, 0)]),
    context: contextOf(write, undefined),
    not: {
      "with a level": { d: commands(["error 1"], [words(0x12, 0, 0x1500, 0)]) },
      "without TG": { d: commands(["error 1"], [words(0x12, 0, 0x1000, 0)]) },
      "with a range": { d: commands(["error 1"], [words(0x1012, 0, 0x1400, 0)]) },
    },
  },
  {
    id: "gbpa-missing",
    what: "QEMU 7.2",
    difference: read(0x44, 0x1000, 0),
    context: contextOf(reset, undefined, { qemu: 7.2 }),
    not: { "QEMU 8": { c: contextOf(reset, undefined, { qemu: 8 }) }, "something else": { d: read(0x44, 0x1000, 0x10_0000) } },
  },
  {
    id: "cr2-ptm-sticks",
    what: "PTM",
    difference: read(0x2c, 2, 6),
    context: contextOf(reset, undefined),
    not: { "ours alone": { d: read(0x2c, 6, 2) }, "another bit": { d: read(0x2c, 0, 6) } },
  },
  {
    id: "ipa-low-bits-fetch",
    what: "a table",
    difference: events(s2Record(0x9000, 0x188, 0x5000), s2Record(0x9018, 0x188, 0x5000)),
    context: contextOf(nested, fault(F)),
    not: {
      "another page": { d: events(s2Record(0x9000, 0x188, 0x5000), s2Record(0xa018, 0x188, 0x5000)) },
      "of another stream": { d: events(s2Record(0x9000, 0x188, 0x5000).fill(9, 1, 2), s2Record(0x9018, 0x188, 0x5000).fill(9, 1, 2)) },
    },
  },
  {
    id: "rnw-of-fetch",
    what: "a write",
    difference: events(s2Record(0x9000, 0x80, 0x5000), s2Record(0x9018, 0x88, 0x5000)),
    context: contextOf({ ...nested, write: true }, fault(F)),
    not: {
      "a read": { c: contextOf(nested, fault(F)) },
      "of the input address": { d: events(s2Record(0x5000, 0x280, 0x5000), s2Record(0x5000, 0x288, 0x5000)) },
    },
  },
  {
    id: "hit-ipa-missing",
    what: "a write",
    difference: events(event(0x13, SID, 0, 0x280, 0x5000, 0, 0x9000), event(0x13, SID, 0, 0x280, 0x5000)),
    context: contextOf({ ...nested, write: true, answer: fault(0x13) }, fault(0x13)),
    not: {
      "a read": {
        d: events(event(0x13, SID, 0, 0x288, 0x5000, 0, 0x9000), event(0x13, SID, 0, 0x288, 0x5000)),
        c: contextOf({ ...nested, answer: fault(0x13) }, fault(0x13)),
      },
      "another IPA": { d: events(event(0x13, SID, 0, 0x280, 0x5000, 0, 0x9000), event(0x13, SID, 0, 0x280, 0x5000, 0, 0x8000)) },
    },
  },
];

export const cases: readonly DeviationCase[] = [...endings.map(ending), ...others];
