// SPDX-License-Identifier: MIT
/** What an event record says happened, in sentences: its type, stage and CLASS together (IHI 0070 §7.3). */
import { EVENTS, EventNumber, FaultClass, decodeEvent, hex } from "../../hw/index.ts";

/** What the SMMU was doing when it happened, by event. Events with a CLASS get their sentence from it. */
const STORIES: Readonly<Partial<Record<EventNumber, string>>> = {
  [EventNumber.F_UUT]: "the client issued a kind of transaction that the SMMU does not support",
  [EventNumber.C_BAD_STREAMID]: "the StreamID has no STE: it is beyond the Stream table, or its level-1 descriptor leads nowhere",
  [EventNumber.F_STE_FETCH]: "memory answered the fetch of the STE, or of its level-1 descriptor, with an abort",
  [EventNumber.C_BAD_STE]: "the STE is invalid (V is 0) or ILLEGAL for this SMMU",
  [EventNumber.F_BAD_ATS_TREQ]: "the device sent an ATS Translation Request although ATS is off for its stream",
  [EventNumber.F_STREAM_DISABLED]:
    "the STE has substreams, and S1DSS forbids this transaction (none given, or SubstreamID 0 where CD 0 serves those without)",
  [EventNumber.F_TRANSL_FORBIDDEN]: "the device sent an address as already translated, which is not allowed for its stream",
  [EventNumber.C_BAD_SUBSTREAMID]:
    "the SubstreamID has no CD: substreams are off, it is beyond S1CDMax, or its level-1 descriptor is invalid",
  [EventNumber.F_CD_FETCH]: "memory answered the fetch of the CD, or of its level-1 descriptor, with an abort",
  [EventNumber.C_BAD_CD]: "the CD is invalid (V is 0) or ILLEGAL under its STE",
  [EventNumber.F_TLB_CONFLICT]: "more than one TLB entry matched: tables were changed without break-before-make",
  [EventNumber.F_CFG_CONFLICT]: "more than one cached STE matched: STE.CONT joins STEs that differ",
  [EventNumber.E_PAGE_REQUEST]: "the client announces that it will use this memory; no answer is due",
  [EventNumber.F_VMS_FETCH]: "memory answered the fetch of the VMS with an abort",
};

const FAULTS: Readonly<Partial<Record<EventNumber, string>>> = {
  [EventNumber.F_WALK_EABT]: "memory answered the fetch of a descriptor with an abort",
  [EventNumber.F_TRANSLATION]: "there is no valid translation",
  [EventNumber.F_ADDR_SIZE]: "the output address is beyond the output size",
  [EventNumber.F_ACCESS]: "the leaf descriptor's Access flag is 0",
  [EventNumber.F_PERMISSION]: "the leaf descriptor does not permit the access",
  [EventNumber.F_TLB_CONFLICT]: "more than one TLB entry matched",
};

const PURPOSES: Readonly<Record<number, string>> = {
  [FaultClass.cd]: "for the address of the CD",
  [FaultClass.tt]: "for the address of a stage-1 table",
  [FaultClass.in]: "for the address that the device's access needs",
};

function stageSentence(number: EventNumber, S2: number, CLASS: number): string {
  const fault = FAULTS[number]!;
  if (S2 === 1) return CLASS > FaultClass.in ? `stage 2: ${fault} (CLASS is reserved)` : `stage 2, ${PURPOSES[CLASS]!}: ${fault}`;
  if (CLASS === FaultClass.in && number === EventNumber.F_WALK_EABT) return `stage 1: ${fault} (the record should have CLASS TT)`;
  if (CLASS === FaultClass.in) return `stage 1, for the device's own address: ${fault}`;
  if (CLASS === FaultClass.tt && number === EventNumber.F_WALK_EABT) return `stage 1: ${fault}`;
  return `stage 1 with CLASS ${CLASS === FaultClass.tt ? "TT" : CLASS === FaultClass.cd ? "CD" : "reserved"}: ${fault} (the architecture has no such record: a fault of that CLASS is one of stage 2)`;
}

/** @param words the record, 8 words. @returns nothing for a reserved event */
export function eventStory(words: Uint32Array): string[] {
  const { number, fields } = decodeEvent(words);
  const spec = EVENTS.find((event) => event.number === number);
  if (spec === undefined) return [];
  const story: string[] = [];
  const { S2, CLASS, Stall, IPA } = fields;
  if (S2 !== undefined && CLASS !== undefined && FAULTS[spec.number] !== undefined) story.push(stageSentence(spec.number, S2, CLASS));
  else if (STORIES[spec.number] !== undefined) story.push(STORIES[spec.number]!);
  if (S2 === 1 && IPA !== undefined) story.push(`the intermediate address was in the page ${hex(IPA)}`);
  if (Stall === 1) story.push("the transaction waits until CMD_RESUME or CMD_STALL_TERM ends it");
  return story;
}
