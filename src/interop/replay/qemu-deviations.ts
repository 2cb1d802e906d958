// SPDX-License-Identifier: MIT
/**
 * Where QEMU's SMMUv3 departs from the architecture, as far as recordings show it: each entry with its section and a
 * condition that is as narrow as the deviation itself. A difference that fits no entry is ours.
 */
import {
  F_CD_FETCH,
  F_WALK_EABT,
  C_BAD_STE,
  F_TRANSLATION,
  F_ADDR_SIZE,
  F_PERMISSION,
  CLASS,
  CLASS_IN,
  CLASS_TT,
  type Request,
  SILENT,
  STAGE2,
  beyondOas,
  differOnlyIn,
  endsOtherwise,
  eventType,
  fault,
  hitTlb,
  inputAddress,
  isAbout,
  onlyOursHas,
  saidToBe,
  uncachedEvent,
} from "./deviation-conditions.ts";
import { type Deviation, type Difference, type DifferenceContext, sameAnswer } from "./difference.ts";
import { l1stdSpan } from "./qemu-deviation-span.ts";
import { programDeviations } from "./qemu-deviations-programs.ts";
import type { TranslationAnswer } from "./recording.ts";
import { mandatoryInIdr3 } from "./profile.ts";
import { BLOCK, LEVEL0_BITS, READ_ONLY, blockAnswer, isTable, outputOf } from "./qemu-walk.ts";

const IDR0 = 0;
const IDR0_HYP = 0x200;
const IDR0_ST_LEVEL = 0x0800_0000;
const IDR3 = 0x0c;
const IDR3_HAD = 0x4;
const OVFLG = 0x8000_0000;
const EVENTQ_ABT_ERR = 0x4;
/** Bytes of the largest granule: a table is no larger. */
const TABLE_LIMIT = 0x1_0000;

/** The request asked for an event. */
function askedForEvent({ record, answer }: DifferenceContext): boolean {
  return record.t === "x" && (answer?.event ?? 0) !== 0;
}

/** Where a read of the recorded SMMU beyond all memory was aborted. */
function abortedBeyondOas({ effects }: Request, { config }: DifferenceContext): number | undefined {
  for (const effect of effects) if (effect.kind === "abort" && effect.address >= 2 ** config.oas) return effect.address;
  return undefined;
}

/** F_WALK_EABT where the table that our walk found too far away would have been read. */
function fetchBeyondOas(request: Request, context: DifferenceContext): readonly TranslationAnswer[] {
  const aborted = abortedBeyondOas(request, context);
  const descriptor = context.lastDescriptor();
  if (aborted === undefined || descriptor === undefined || !isTable(descriptor)) return [];
  const inTable = aborted - outputOf(descriptor);
  return inTable >= 0 && inTable < TABLE_LIMIT ? [fault(F_WALK_EABT)] : [];
}

/** Its record names the address that was read. */
function recordsFetch(d: Difference, context: DifferenceContext): boolean {
  if (d.what !== "event" || d.theirs === undefined || context.record.t !== "x") return true;
  const [, , , flags = 0, , , lo = 0, hi = 0] = d.theirs;
  return (flags & (CLASS | STAGE2)) === CLASS_TT && hi * 2 ** 32 + lo === abortedBeyondOas(context.record, context);
}

const recorded: readonly Deviation[] = [
  {
    id: "idr3-had-without-stage1",
    section: "6.3.4",
    title: "IDR3.HAD is advertised by a part without stage 1",
    applies: (d, { config }) =>
      d.what === "read" &&
      d.offset === IDR3 &&
      !config.stage1 &&
      (Number(d.ours) ^ Number(d.theirs)) === IDR3_HAD &&
      (Number(d.theirs) & IDR3_HAD) !== 0,
  },
  {
    id: "st-level-hidden",
    section: "6.3.2",
    title: "IDR0.ST_LEVEL is 0 although SIDSIZE is 7 or more (the recorded part was told to hide it)",
    applies: (d, { config }) => config.sidSize >= 7 && onlyOursHas(d, IDR0, IDR0_ST_LEVEL),
  },
  {
    id: "hyp-hidden",
    section: "6.3.1",
    title: "IDR0.HYP is 0 although AIDR says SMMUv3.2 or later and both stages are there",
    applies: (d, { config }) =>
      config.version >= 2 && config.stage1 && config.stage2 && onlyOursHas(d, IDR0, IDR0_HYP | (config.sidSize >= 7 ? IDR0_ST_LEVEL : 0)),
  },
  {
    id: "idr3-mandatory-hidden",
    section: "6.3.4",
    title: "IDR3 is without what is mandatory from the version on that AIDR says",
    applies: (d, { config }) => onlyOursHas(d, IDR3, mandatoryInIdr3(config)),
  },
  {
    id: "eventq-irq-each",
    section: "3.18.2",
    title: "the Event queue interrupt is pulsed for every record, not only when the queue becomes non-empty",
    applies: (d, { record, eventPending, eventqFull }) =>
      d.what === "interrupts" &&
      eventPending &&
      !eventqFull &&
      record.t === "x" &&
      record.effects.some(({ kind }) => kind === "event-record") &&
      d.ours.length === 0 &&
      d.theirs.join() === "evtq",
  },
  {
    id: "eventq-full-gerror",
    section: "7.4",
    title: "a full Event queue raises GERROR.EVENTQ_ABT_ERR, which is for external aborts of queue writes",
    applies: (d, context) =>
      context.eventqFull &&
      askedForEvent(context) &&
      ((d.what === "interrupts" && d.ours.length === 0 && d.theirs.join() === "gerror") ||
        (d.what === "state" && d.register === "GERROR" && (d.ours ^ d.theirs) === EVENTQ_ABT_ERR)),
  },
  {
    id: "eventq-full-no-ovflg",
    section: "7.4",
    title: "a full Event queue does not toggle EVENTQ_PROD.OVFLG",
    applies: (d, context) =>
      context.eventqFull &&
      askedForEvent(context) &&
      d.what === "state" &&
      d.register === "EVENTQ_PROD" &&
      (d.ours ^ d.theirs) >>> 0 === OVFLG,
  },
  {
    id: "cd-fetch-address",
    section: "7.3.10",
    title: "F_CD_FETCH has FetchAddr in the third doubleword; it belongs into the fourth",
    applies: (d) =>
      differOnlyIn(
        d,
        [4, 5, 6, 7],
        (ours, theirs) =>
          eventType(ours) === F_CD_FETCH &&
          ours[4] === 0 &&
          ours[5] === 0 &&
          theirs[4] === ours[6] &&
          theirs[5] === ours[7] &&
          theirs[6] === 0 &&
          theirs[7] === 0,
      ),
  },
  {
    id: "ipa-low-bits",
    section: "7.3.13 to 7.3.16",
    title: "a stage-2 fault records the IPA's low 12 bits, where the field is IPA[55:12]",
    applies: (d) =>
      differOnlyIn(
        d,
        [6],
        (ours, theirs) =>
          eventType(ours) >= F_TRANSLATION &&
          (ours[3]! & STAGE2) !== 0 &&
          ours[6] === (theirs[6]! & ~0xfff) >>> 0 &&
          (theirs[6]! & 0xfff) === (ours[4]! & 0xfff),
      ),
  },
  {
    id: "class-missing",
    section: "7.3.13 to 7.3.16",
    title: "before QEMU 9.1 CLASS is always 0, where a fault of the input address has CLASS IN",
    applies: (d, { qemu }) =>
      qemu < 9 &&
      differOnlyIn(
        d,
        [3],
        (ours, theirs) => eventType(ours) >= F_TRANSLATION && (ours[3]! ^ theirs[3]!) === CLASS_IN && (theirs[3]! & CLASS) === 0,
      ),
  },
  {
    id: "hit-read-permission",
    section: "3.4, 7.3.16",
    title: "on a TLB hit only write permission is checked: a read through a write-only stage-2 entry is answered",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: F_PERMISSION,
        // What a write, which the entry allows, would be told.
        theirs: (request) =>
          request.stages === 2 &&
          !request.write &&
          hitTlb(request) &&
          saidToBe(request, "tlbhit-noperm") &&
          uncachedEvent(request, F_PERMISSION)
            ? [context.suppose({ write: true })]
            : [],
      }) && context.suppose({ write: true }).status === "ok",
  },
  {
    id: "hit-write-permission-silent",
    section: "3.12.2, 7.3.16",
    title: "a stage-2-only TLB hit without write permission ends without an event, although STE.S2R asks for one",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: F_PERMISSION,
        theirs: (request) =>
          request.stages === 2 && request.write && hitTlb(request) && saidToBe(request, "noevent") && uncachedEvent(request, F_PERMISSION)
            ? [SILENT]
            : [],
      }),
  },
  {
    id: "stage2-input-size-silent",
    section: "3.4",
    title: "stage 2 only: an input address beyond IAS ends without an event instead of F_ADDR_SIZE",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: F_ADDR_SIZE,
        theirs: (request) => (request.stages === 2 && beyondOas(request, context) && saidToBe(request, "noevent") ? [SILENT] : []),
      }),
  },
  {
    id: "bypass-input-size",
    section: "3.4",
    title: "STE bypass: an address beyond OAS is passed on instead of F_ADDR_SIZE",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: F_ADDR_SIZE,
        theirs: (request) =>
          beyondOas(request, context) && context.lastDescriptor() === undefined
            ? [{ status: "bypass", physical: inputAddress(request) }]
            : [],
      }),
  },
  {
    id: "level0-block",
    section: "3.4 (VMSAv8-64)",
    title: "a level-0 block descriptor of the 4KB granule is taken for valid",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: F_TRANSLATION,
        theirs: (request) => {
          const descriptor = context.lastDescriptor();
          const isBlock = descriptor !== undefined && descriptor.index === 0 && (descriptor.lo & 3) === BLOCK;
          const is4k = !/granule 1[46]/.test(request.injected);
          return request.stages === 1 && is4k && isBlock ? [blockAnswer(request, descriptor, LEVEL0_BITS)] : [];
        },
      }),
  },
  {
    id: "table-address-size",
    section: "3.4.3",
    title: "a table address beyond the output size is fetched (F_WALK_EABT) instead of F_ADDR_SIZE",
    applies: (d, context) => endsOtherwise(d, context, { ours: F_ADDR_SIZE, theirs: fetchBeyondOas }) && recordsFetch(d, context),
  },
  {
    id: "permission-before-size",
    section: "3.4.3",
    title: "F_PERMISSION is taken before F_ADDR_SIZE on the same descriptor",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: F_ADDR_SIZE,
        theirs: (request) => {
          const descriptor = context.lastDescriptor();
          const readOnly = descriptor !== undefined && (descriptor.lo & READ_ONLY) !== 0;
          return request.stages === 1 && request.write && readOnly ? [fault(F_PERMISSION)] : [];
        },
      }),
  },
  {
    id: "unprivileged",
    section: "3.4 (VMSAv8-64), 13",
    title: "privilege is not distinguished: AP[1] == 0 and APTable[0] == 1 do not stop unprivileged accesses",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: F_PERMISSION,
        theirs: (request) => (request.stages === 1 ? [context.suppose({ privileged: true })].filter(({ status }) => status === "ok") : []),
      }),
  },
  {
    id: "aptable-not-kept",
    section: "3.4 (VMSAv8-64)",
    title: "an entry of the TLB allows writes that APTable of the tables above takes away",
    applies: (d, context) => {
      if (d.what !== "translation" || context.record.t !== "x" || (context.record.stages & 1) === 0 || d.ours.perm !== "r") return false;
      const without = context.suppose({ cd: { HAD0: 1, HAD1: 1 } });
      return without.perm === "rw" && sameAnswer(d.theirs, without) && sameAnswer(d.theirs, { ...d.ours, perm: "rw" });
    },
  },
  {
    id: "s1cdmax-not-ignored",
    section: "5.2",
    title: "STE.S1CDMax != 0 makes the STE ILLEGAL although SSIDSIZE is 0 and the field therefore ignored",
    applies: (d, context) =>
      context.config.ssidSize === 0 &&
      endsOtherwise(d, context, {
        ours: [{ ste: { S1CDMax: 0 } }],
        theirs: (request) => (/^STE\.S1CDMax=[1-9]/.test(request.injected) ? [fault(C_BAD_STE)] : []),
      }),
  },
];

const single: readonly Deviation[] = [...recorded, ...programDeviations];

/** All of them: those of recordings first. */
export const qemuDeviations: readonly Deviation[] = [...single, l1stdSpan(single)];

/** What the recorder's own model says that the architecture wants; undefined where it has nothing to say. */
function contradictsArchitecture({ record, answer }: DifferenceContext): boolean {
  const wanted = record.t === "x" ? record.architecture : undefined;
  return wanted !== undefined && (answer?.status !== wanted.status || answer.event !== wanted.event);
}

/** A difference that no deviation can be the reason of: it is about something else than the operation, or not what the part says it is. */
function strays(d: Difference, { record, idr }: DifferenceContext): boolean {
  // An ID register reads as it did at reset.
  if (d.what === "read" && record.t === "r")
    return idr !== undefined && d.offset < 4 * idr.length && Number(d.theirs) !== idr[d.offset / 4];
  if (record.t !== "x") return d.what === "event";
  if (d.what === "event-due") return [d.ours, d.theirs].some((due) => due !== undefined && due.sid !== record.sid);
  if (d.what !== "event") return false;
  return (d.ours !== undefined && !isAbout(d.ours, record, false)) || (d.theirs !== undefined && !isAbout(d.theirs, record, true));
}

/** The deviation that a difference is a case of; undefined: the model is wrong, or the recording shows something new. */
export function deviationOf(difference: Difference, context: DifferenceContext): Deviation | undefined {
  if (strays(difference, context) || contradictsArchitecture(context)) return undefined;
  return qemuDeviations.find((candidate) => candidate.applies(difference, context));
}
