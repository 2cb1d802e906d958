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
  CLASS_IN,
  differOnlyIn,
  eventType,
  beyondOas,
  endsOtherwise,
} from "./deviation-conditions.ts";
import type { Deviation } from "./difference.ts";
import { programDeviations } from "./qemu-deviations-programs.ts";

const IDR0_ST_LEVEL = 0x0800_0000;
const IDR3_HAD = 0x4;
const OVFLG = 0x8000_0000;
const EVENTQ_ABT_ERR = 0x4;

const recorded: readonly Deviation[] = [
  {
    id: "idr3-had-without-stage1",
    section: "6.3.4",
    title: "IDR3.HAD is advertised by a part without stage 1",
    applies: (d) => d.what === "read" && d.offset === 0x0c && (Number(d.ours) ^ Number(d.theirs)) === IDR3_HAD,
  },
  {
    id: "st-level-hidden",
    section: "6.3.2",
    title: "IDR0.ST_LEVEL is 0 although SIDSIZE is 7 or more (the recorded part was told to hide it)",
    applies: (d) => d.what === "read" && d.offset === 0 && (Number(d.ours) ^ Number(d.theirs)) === IDR0_ST_LEVEL,
  },
  {
    id: "eventq-irq-each",
    section: "3.18.2",
    title: "the Event queue interrupt is pulsed for every record, not only when the queue becomes non-empty",
    applies: (d, { eventPending, eventqFull }) =>
      d.what === "interrupts" && eventPending && !eventqFull && d.ours.length === 0 && d.theirs.join() === "evtq",
  },
  {
    id: "eventq-full-gerror",
    section: "7.4",
    title: "a full Event queue raises GERROR.EVENTQ_ABT_ERR, which is for external aborts of queue writes",
    applies: (d, { eventqFull }) =>
      eventqFull &&
      ((d.what === "interrupts" && d.ours.length === 0 && d.theirs.join() === "gerror") ||
        (d.what === "state" && d.register === "GERROR" && (d.ours ^ d.theirs) === EVENTQ_ABT_ERR)),
  },
  {
    id: "eventq-full-no-ovflg",
    section: "7.4",
    title: "a full Event queue does not toggle EVENTQ_PROD.OVFLG",
    applies: (d) =>
      (d.what === "state" && d.register === "EVENTQ_PROD" && (d.ours ^ d.theirs) >>> 0 === OVFLG && d.theirs < OVFLG) ||
      (d.what === "read" && (d.offset & 0xffff) === 0xa8 && Number(d.ours) - Number(d.theirs) === OVFLG),
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
          eventType(ours) === F_CD_FETCH && theirs[4] === ours[6] && theirs[5] === ours[7] && theirs[6] === 0 && theirs[7] === 0,
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
          (ours[3]! & 0x80) !== 0 &&
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
        (ours, theirs) => eventType(ours) >= F_TRANSLATION && (ours[3]! ^ theirs[3]!) === CLASS_IN && (theirs[3]! & 0x300) === 0,
      ),
  },
  {
    id: "hit-read-permission",
    section: "3.4, 7.3.16",
    title: "on a TLB hit only write permission is checked: a read through a write-only stage-2 entry is answered",
    applies: (d, context) =>
      endsOtherwise(
        d,
        context,
        F_PERMISSION,
        (request) => request.stages === 2 && !request.write && request.answer.status === "ok" && request.deviation === "tlbhit-noperm",
      ),
  },
  {
    id: "hit-write-permission-silent",
    section: "3.12.2, 7.3.16",
    title: "a stage-2-only TLB hit without write permission ends without an event, although STE.S2R asks for one",
    applies: (d, context) =>
      endsOtherwise(d, context, F_PERMISSION, (request) => request.stages === 2 && request.write && request.answer.event === 0),
  },
  {
    id: "stage2-input-size-silent",
    section: "3.4",
    title: "stage 2 only: an input address beyond IAS ends without an event instead of F_ADDR_SIZE",
    applies: (d, context) =>
      endsOtherwise(
        d,
        context,
        F_ADDR_SIZE,
        (request) => request.stages === 2 && beyondOas(request, context.oas) && request.answer.event === 0,
      ),
  },
  {
    id: "bypass-input-size",
    section: "3.4",
    title: "STE bypass: an address beyond OAS is passed on instead of F_ADDR_SIZE",
    applies: (d, context) =>
      endsOtherwise(d, context, F_ADDR_SIZE, (request) => request.answer.status === "bypass" && beyondOas(request, context.oas)),
  },
  {
    id: "level0-block",
    section: "3.4 (VMSAv8-64)",
    title: "a level-0 block descriptor of the 4KB granule is taken for valid",
    applies: (d, context) =>
      endsOtherwise(d, context, F_TRANSLATION, (request) => request.injected.includes("->block") && request.answer.status === "ok"),
  },
  {
    id: "table-address-size",
    section: "3.4.3",
    title: "a table address beyond the output size is fetched (F_WALK_EABT) instead of F_ADDR_SIZE",
    applies: (d, context) =>
      endsOtherwise(d, context, F_ADDR_SIZE, (request) => request.injected.includes("beyond OAS") && request.answer.event === F_WALK_EABT),
  },
  {
    id: "permission-before-size",
    section: "3.4.3",
    title: "F_PERMISSION is taken before F_ADDR_SIZE on the same descriptor",
    applies: (d, context) =>
      endsOtherwise(d, context, F_ADDR_SIZE, (request) => request.injected.includes("beyond OAS") && request.answer.event === F_PERMISSION),
  },
  {
    id: "unprivileged",
    section: "3.4 (VMSAv8-64), 13",
    title: "privilege is not distinguished: AP[1] == 0 and APTable[0] == 1 do not stop unprivileged accesses",
    applies: (d, context) =>
      endsOtherwise(
        d,
        context,
        F_PERMISSION,
        (request) => /AP/.test(request.injected) && request.stages === 1 && request.answer.status === "ok",
      ),
  },
  {
    id: "s1cdmax-not-ignored",
    section: "5.2",
    title: "STE.S1CDMax != 0 makes the STE ILLEGAL although SSIDSIZE is 0 and the field therefore ignored",
    applies: (d, { record }) =>
      record.t === "x" &&
      record.injected.startsWith("STE.S1CDMax") &&
      record.answer.event === C_BAD_STE &&
      (d.what === "translation" ||
        (d.what === "event" && eventType(d.theirs) === C_BAD_STE) ||
        (d.what === "interrupts" && d.ours.length === 0 && d.theirs.join() === "evtq")),
  },
];

/** All of them: those of recordings first. */
export const qemuDeviations: readonly Deviation[] = [...recorded, ...programDeviations];
