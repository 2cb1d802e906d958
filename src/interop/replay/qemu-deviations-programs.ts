// SPDX-License-Identifier: MIT
/**
 * Where QEMU's SMMUv3 departs from the architecture, as far as the programs of the differential test have found it and
 * recordings have not. Conditions read the facts that such a program states about each of its accesses.
 */
import type { SmmuConfig } from "../../hw/index.ts";
import {
  C_BAD_STREAMID,
  C_BAD_STE,
  F_TRANSLATION,
  F_ADDR_SIZE,
  F_ACCESS,
  F_PERMISSION,
  CLASS,
  CLASS_IN,
  STAGE2,
  RNW,
  type Request,
  SILENT,
  differOnlyIn,
  endsOtherwise,
  eventType,
  fault,
} from "./deviation-conditions.ts";
import type { Deviation, Difference, DifferenceContext } from "./difference.ts";
import type { Supposition } from "./probe.ts";
import type { TranslationAnswer } from "./recording.ts";
import { READ_ONLY, blockAnswer } from "./qemu-walk.ts";

/** A stage-2 fault that a fetch of the SMMU itself met: CLASS is not IN. */
function fetchFault(words: Uint32Array): boolean {
  return eventType(words) >= F_TRANSLATION && (words[3]! & STAGE2) !== 0 && (words[3]! & CLASS) !== CLASS_IN;
}

/** Both record an event of the same type, ours in stage 1 and theirs in stage 2. */
function onlyTheirsIsStage2(d: Difference, event: number): boolean {
  return differOnlyIn(
    d,
    [3, 6, 7],
    (ours, theirs) => eventType(ours) === event && (ours[3]! & STAGE2) === 0 && (theirs[3]! & STAGE2) !== 0,
  );
}

/** QEMU does not know of privilege; a check that the architecture makes for privileged accesses alone is not there either. */
const EITHER_PRIVILEGE: readonly Supposition[] = [{ privileged: true }, { privileged: false }];

/** What the model says with these fields otherwise, whatever the privilege. */
function supposing(context: DifferenceContext, ...fields: readonly Supposition[]): readonly TranslationAnswer[] {
  return fields.flatMap((supposed) => EITHER_PRIVILEGE.map((privilege) => context.suppose({ ...supposed, ...privilege })));
}

/** Nested: ours ends with `event` in stage 1, theirs goes on as `theirs` says and stage 2 decides; `facts` says when. */
function goesOnToStage2(
  d: Difference,
  context: DifferenceContext,
  event: number,
  facts: RegExp,
  theirs: (request: Request) => readonly TranslationAnswer[],
): boolean {
  const { record, answer } = context;
  if (record.t !== "x" || record.stages !== 3 || answer?.event !== event || !facts.test(record.injected)) return false;
  // CD.R may keep our record of stage 1 back, never theirs of stage 2.
  const silent = record.injected.includes("CD.R=0");
  if (d.what === "event" && d.ours === undefined) return silent && d.theirs !== undefined && (d.theirs[3]! & STAGE2) !== 0;
  return onlyTheirsIsStage2(d, event) || endsOtherwise(d, context, { ours: event, theirs });
}

/** The page of an access is the same on both sides of any walk. */
function sameInPage(request: Request): boolean {
  const { physical } = request.answer;
  return physical === undefined || Number(BigInt(physical) & 0xfffn) === (request.addressLo & 0xfff);
}

/** Opcodes that QEMU takes for legal, and when they are not: without what they are for. */
const SWALLOWED: ReadonlyMap<number, (config: SmmuConfig) => boolean> = new Map([
  // EL3 has its commands on the Secure queue alone.
  ...[0x18, 0x1a].map((opcode) => [opcode, () => true] as const),
  ...[0x20, 0x21, 0x22, 0x23].map((opcode) => [opcode, ({ hyp }: SmmuConfig) => !hyp] as const),
  ...[0x28, 0x2a].map((opcode) => [opcode, ({ stage2 }: SmmuConfig) => !stage2] as const),
  [0x40, ({ ats }: SmmuConfig) => !ats] as const,
  [0x41, ({ pri }: SmmuConfig) => !pri] as const,
  ...[0x44, 0x45].map((opcode) => [opcode, ({ stallModel }: SmmuConfig) => stallModel === "terminate"] as const),
]);

/** Replays tell where a command stood, and the one that was refused with the others; programs tell what was consumed. */
const HAS_PLACE = /@/;

/** The command at which our queue stops with CERROR_ILL although theirs goes on: words 0 to 3. */
function refused(d: Difference): number[] | undefined {
  if (d.what !== "commands" || d.ours.at(-1) !== "error 1") return undefined;
  const at = d.ours.length - (HAS_PLACE.test(d.ours.at(-2) ?? "") ? 2 : 1);
  // Up to there the two have to have consumed the same.
  if (d.ours.slice(0, -1).some((command, index) => command !== d.theirs[index])) return undefined;
  return d.theirs[at]
    ?.split(" ")
    .slice(0, 4)
    .map((word) => Number.parseInt(word, 16));
}

/** Leaves that stage 1 does not have, by granule and level: log2 of their bytes. */
const NO_LEAF: ReadonlyMap<string, number> = new Map([
  ["12 0", 39],
  ["14 0", 47],
  ["14 1", 36],
  ["16 1", 42],
]);

/** What comes of blocks where there are none: the checks of a leaf are made, and then it is taken at its word. */
function takenBlocks(request: Request, context: DifferenceContext): readonly TranslationAnswer[] {
  const descriptor = context.lastDescriptor();
  if (descriptor === undefined || !request.injected.includes("->block")) return [];
  const granule = /granule (\d+)/.exec(request.injected)?.[1] ?? "";
  const levels = [...request.injected.matchAll(/ttb[01] level (\d) ->block/g)].map(([, level]) => level!);
  const faults = [F_ACCESS, F_ADDR_SIZE, ...(request.write && (descriptor.lo & READ_ONLY) !== 0 ? [F_PERMISSION] : [])].map(fault);
  const blocks = levels.flatMap((level) => {
    const bits = NO_LEAF.get(`${granule} ${level}`);
    return bits === undefined ? [] : [blockAnswer(request, descriptor, bits)];
  });
  return [...faults, ...blocks];
}

export const programDeviations: readonly Deviation[] = [
  {
    id: "iova-48-bits",
    section: "3.4.1",
    title: "before QEMU 8.0 an address of 2^48 or more never reaches the SMMU: the access fails without an event",
    applies: (d, { record, qemu }) =>
      qemu < 8 &&
      record.t === "x" &&
      record.addressHi >= 0x1_0000 &&
      record.answer.physical === undefined &&
      (record.answer.event ?? 0) === 0 &&
      (d.what === "translation" || (d.what === "event" && d.theirs === undefined)),
  },
  {
    id: "access-flag-stage1",
    section: "3.4 (VMSAv8-64), 7.3.15",
    title: "before QEMU 9.0 a stage-1 access flag of 0 is not a fault",
    applies: (d, context) =>
      context.qemu < 9 &&
      endsOtherwise(d, context, {
        ours: F_ACCESS,
        theirs: (request) =>
          request.stages === 1 && /ttb[01] AF=0/.test(request.injected)
            ? supposing(context, { cd: { AFFD: 1 } }, { cd: { AFFD: 1, HAD0: 1, HAD1: 1 } })
            : [],
      }),
  },
  {
    id: "unsupported-commands",
    section: "4.1.3",
    title: "commands for features that the part has not got are consumed without CERROR_ILL",
    applies: (d, { config }) => SWALLOWED.get((refused(d)?.[0] ?? 0) & 0xff)?.(config) ?? false,
  },
  {
    id: "sync-cs-reserved",
    section: "4.7.3",
    title: "CMD_SYNC with the reserved CS value 3 is consumed without CERROR_ILL",
    applies: (d) => ((refused(d)?.[0] ?? 0) & 0x30ff) === 0x3046,
  },
  {
    id: "tlbi-range-reserved",
    section: "4.4.1.1",
    title: "a TLBI with TG set and NUM, SCALE and TTL all 0 is consumed without CERROR_ILL",
    applies: (d) => {
      const [opcode = 0, , hints = 0] = refused(d) ?? [];
      return (opcode & 0x03ff_f0fe) === 0x12 && (hints & 0xc00) !== 0 && (hints & 0x300) === 0;
    },
  },
  {
    id: "page-output-size",
    section: "3.4.3, 7.3.14",
    title: "before QEMU 8.0 the output address of a stage-1 leaf beyond the output size is passed on instead of F_ADDR_SIZE",
    applies: (d, context) =>
      context.qemu < 8 &&
      endsOtherwise(d, context, {
        ours: F_ADDR_SIZE,
        theirs: (request) => (request.stages === 1 && /ttb[01] output beyond OAS/.test(request.injected) ? [SILENT] : []),
      }),
  },
  {
    id: "aptable-during-walk",
    section: "3.4 (VMSAv8-64)",
    title: "APTable stops a write while the walk goes on: F_PERMISSION before the faults of later descriptors",
    applies: (d, context) =>
      [F_TRANSLATION, F_ADDR_SIZE, F_ACCESS].some((event) =>
        endsOtherwise(d, context, {
          ours: event,
          theirs: (request) => (request.write && /APTable=[23]/.test(request.injected) ? [fault(F_PERMISSION)] : []),
        }),
      ),
  },
  {
    id: "gbpa-missing",
    section: "6.3.14",
    title: "before QEMU 8.0 there is no GBPA: it reads 0",
    applies: (d, { qemu }) => qemu < 8 && d.what === "read" && d.offset === 0x44 && Number(d.theirs) === 0,
  },
  {
    id: "cr2-ptm-sticks",
    section: "6.3.12",
    title: "CR2.PTM keeps what is written although IDR0.BTM is 0 and the bit therefore RES0",
    applies: (d) => d.what === "read" && d.offset === 0x2c && (Number(d.ours) ^ Number(d.theirs)) === 4 && (Number(d.theirs) & 4) !== 0,
  },
  {
    id: "recinvsid-ignored",
    section: "6.3.12, 7.3.3",
    title: "C_BAD_STREAMID is recorded although CR2.RECINVSID is 0",
    applies: (d, { record, answer }) =>
      record.t === "x" &&
      record.injected.includes("RECINVSID=0") &&
      answer?.event === C_BAD_STREAMID &&
      record.answer.event === C_BAD_STREAMID &&
      (d.what === "translation" || (d.what === "event" && d.ours === undefined && eventType(d.theirs) === C_BAD_STREAMID)),
  },
  {
    id: "ipa-low-bits-fetch",
    section: "7.3.13 to 7.3.16",
    title: "a stage-2 fault of a CD or table fetch records the fetch's low 12 bits, where the field is IPA[55:12]",
    applies: (d) => differOnlyIn(d, [6], (ours, theirs) => fetchFault(ours) && ours[6] === (theirs[6]! & ~0xfff) >>> 0),
  },
  {
    id: "rnw-of-fetch",
    section: "7.3",
    title: "a stage-2 fault of a CD or table fetch has RnW 1, where RnW is that of the transaction",
    applies: (d, { record }) =>
      record.t === "x" &&
      record.write &&
      differOnlyIn(
        d,
        [3, 6],
        (ours, theirs) =>
          fetchFault(ours) && (ours[3]! ^ theirs[3]!) === RNW && (theirs[3]! & RNW) !== 0 && ours[6] === (theirs[6]! & ~0xfff) >>> 0,
      ),
  },
  {
    id: "s2t0sz-by-s2ps",
    section: "5.2",
    title: "an S2T0SZ that is within IAS makes the STE ILLEGAL because it asks for more bits than S2PS",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        // Output sizes apart, an STE that asks for as many bits as there are is told the same.
        ours: context.answer?.event === F_ADDR_SIZE ? F_ADDR_SIZE : [{ ste: { S2PS: 5 } }],
        theirs: (request) => (request.injected.includes("S2T0SZ beyond S2PS") ? [fault(C_BAD_STE)] : []),
      }),
  },
  {
    id: "unprivileged-nested",
    section: "3.4 (VMSAv8-64), 13",
    title: "nested: stage 1 does not stop unprivileged accesses, and stage 2 decides alone",
    applies: (d, context) => goesOnToStage2(d, context, F_PERMISSION, /AP=[02]|APTable=[13]/, () => supposing(context, {})),
  },
  {
    id: "block-level-further",
    section: "3.4 (VMSAv8-64)",
    title: "a block descriptor at a level that has no blocks is taken for valid, and what it says ends otherwise",
    applies: (d, context) =>
      endsOtherwise(d, context, { ours: F_TRANSLATION, theirs: (request) => takenBlocks(request, context) }) ||
      goesOnToStage2(d, context, F_TRANSLATION, /ttb[01] level \d ->block/, (request) =>
        request.answer.event === F_TRANSLATION || !sameInPage(request) ? [] : [request.answer],
      ),
  },
  {
    id: "tbi1-by-tbi0",
    section: "5.4",
    title: "the top byte of an address of TTB1 is ignored by TBI0 instead of TBI1",
    applies: (d, context) => {
      const { record } = context;
      if (record.t !== "x" || (record.addressHi & 0x0080_0000) === 0 || record.addressHi >>> 24 === 0xff) return false;
      const [zero, one] = ["CD.TBI0=1", "CD.TBI1=1"].map((fact) => record.injected.includes(fact));
      if (zero === one) return false;
      // With the top byte as it would have to be, and with the other bit as their rule.
      const canonical = { addressHi: (record.addressHi | 0xff00_0000) >>> 0 };
      return one
        ? endsOtherwise(d, context, { ours: [canonical], theirs: () => [fault(F_TRANSLATION), SILENT] })
        : endsOtherwise(d, context, { ours: F_TRANSLATION, theirs: () => supposing(context, { cd: { TBI1: 1 } }) });
    },
  },
  {
    id: "hit-aptable",
    section: "3.4 (VMSAv8-64), 7.3.16",
    title: "on a TLB hit APTable of the tables above does not stop a write",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: F_PERMISSION,
        theirs: (request) =>
          request.write && (request.stages & 1) !== 0 && /APTable=[23]/.test(request.injected)
            ? supposing(context, { cd: { HAD0: 1, HAD1: 1 } }).filter(({ status }) => status === "ok")
            : [],
      }),
  },
  {
    id: "hit-read-permission-silent",
    section: "3.12.2, 7.3.16",
    title: "a read that hits a write-only stage-2 entry fails without an event, although STE.S2R asks for one",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: F_PERMISSION,
        theirs: (request) => (!request.write && (request.stages & 2) !== 0 && request.injected.includes("S2AP=2") ? [SILENT] : []),
      }),
  },
  {
    id: "access-flag-before-size",
    section: "3.4.3",
    title: "F_ACCESS is taken before F_ADDR_SIZE on the same descriptor",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: F_ADDR_SIZE,
        theirs: (request) => (/output beyond OAS.*AF=0/.test(request.injected) ? [fault(F_ACCESS)] : []),
      }),
  },
  {
    id: "s1stalld-not-ignored",
    section: "5.2",
    title: "STE.S1STALLD == 1 makes the STE ILLEGAL although stage 1 is off and the field therefore ignored",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: [{ ste: { S1STALLD: 0 } }],
        theirs: (request) => (request.stages === 2 && request.injected.includes("STE.S1STALLD=1") ? [fault(C_BAD_STE)] : []),
      }),
  },
  {
    id: "hit-ipa-missing",
    section: "7.3.16",
    title: "nested: a write that hits a read-only entry records no IPA",
    applies: (d, { record }) =>
      record.t === "x" &&
      record.stages === 3 &&
      record.write &&
      differOnlyIn(
        d,
        [6, 7],
        (ours, theirs) => eventType(ours) === F_PERMISSION && (ours[3]! & STAGE2) !== 0 && theirs[6] === 0 && theirs[7] === 0,
      ),
  },
  {
    id: "tlbi-splinters",
    section: "4.4 (DDI 0487 D8.17)",
    title: "nested: a TLBI by VA spares the pieces of a stage-1 leaf that do not lie at the address itself",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        // Ours is what memory says; theirs is what it said, of which the place in the page is known.
        ours: [{}],
        theirs: (request) =>
          request.stages === 3 && request.injected.includes("splinters") && request.answer.status === "ok" && sameInPage(request)
            ? [request.answer]
            : [],
      }),
  },
];
