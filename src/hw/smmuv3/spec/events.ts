// SPDX-License-Identifier: MIT
/** Event records: number, name and the place of each field in the 32 bytes (IHI 0070 §7.3). Bits not listed are zero. */
import type { Field } from "../../bits/fields.ts";

/** Event numbers. */
export const EventNumber = {
  F_UUT: 0x01,
  C_BAD_STREAMID: 0x02,
  F_STE_FETCH: 0x03,
  C_BAD_STE: 0x04,
  F_BAD_ATS_TREQ: 0x05,
  F_STREAM_DISABLED: 0x06,
  F_TRANSL_FORBIDDEN: 0x07,
  C_BAD_SUBSTREAMID: 0x08,
  F_CD_FETCH: 0x09,
  C_BAD_CD: 0x0a,
  F_WALK_EABT: 0x0b,
  F_TRANSLATION: 0x10,
  F_ADDR_SIZE: 0x11,
  F_ACCESS: 0x12,
  F_PERMISSION: 0x13,
  F_TLB_CONFLICT: 0x20,
  F_CFG_CONFLICT: 0x21,
  E_PAGE_REQUEST: 0x24,
  F_VMS_FETCH: 0x25,
} as const;
export type EventNumber = (typeof EventNumber)[keyof typeof EventNumber];

/** Events that may be merged whatever STE.MEV says, for they can come before there is an STE (IHI 0070 §7.3.1). */
export const eventsMergedWithoutSte: ReadonlySet<number> = new Set([
  EventNumber.F_UUT,
  EventNumber.C_BAD_STREAMID,
  EventNumber.F_STE_FETCH,
  EventNumber.C_BAD_STE,
]);

/** Events that are equal for merging although InputAddr[11:0] differ (IHI 0070 §7.3.8, §7.3.12 … §7.3.17). */
export const eventsMergedByPage: ReadonlySet<number> = new Set([
  EventNumber.F_TRANSL_FORBIDDEN,
  EventNumber.F_WALK_EABT,
  EventNumber.F_TRANSLATION,
  EventNumber.F_ADDR_SIZE,
  EventNumber.F_ACCESS,
  EventNumber.F_PERMISSION,
  EventNumber.F_TLB_CONFLICT,
]);

/** CLASS of a translation-related event: what was being translated (IHI 0070 §7.3.12). */
export const FaultClass = { cd: 0, tt: 1, in: 2 } as const;
export type FaultClass = (typeof FaultClass)[keyof typeof FaultClass];

/** Fields that records have in common; `scale` is the weight of bit 0 where a field holds an address without its low bits. */
export interface EventField extends Field {
  readonly scale?: number;
  readonly meaning: string;
}

const EventType: EventField = { name: "EventType", hi: 7, lo: 0, meaning: "event number" };
const SSV: EventField = { name: "SSV", hi: 11, lo: 11, meaning: "1: SubstreamID is valid" };
const SubstreamID: EventField = { name: "SubstreamID", hi: 31, lo: 12, meaning: "SubstreamID of the transaction" };
const StreamID: EventField = { name: "StreamID", hi: 63, lo: 32, meaning: "StreamID of the transaction" };
const Reason: EventField = { name: "Reason", hi: 79, lo: 64, meaning: "IMPLEMENTATION DEFINED" };
const Reason32: EventField = { name: "Reason", hi: 95, lo: 64, meaning: "IMPLEMENTATION DEFINED" };
const GPCF: EventField = { name: "GPCF", hi: 80, lo: 80, meaning: "1: a granule protection fault caused the abort" };
const STAG: EventField = { name: "STAG", hi: 79, lo: 64, meaning: "tag for CMD_RESUME, if Stall is 1" };
const Stall: EventField = { name: "Stall", hi: 95, lo: 95, meaning: "1: the transaction waits" };
const PnU: EventField = { name: "PnU", hi: 97, lo: 97, meaning: "1 privileged, after STE.PRIVCFG" };
const InD: EventField = { name: "InD", hi: 98, lo: 98, meaning: "1 instruction, after STE.INSTCFG" };
const RnW: EventField = { name: "RnW", hi: 99, lo: 99, meaning: "1 read, of the transaction" };
const NSIPA: EventField = { name: "NSIPA", hi: 102, lo: 102, meaning: "Secure event queue and S2 only" };
const S2: EventField = { name: "S2", hi: 103, lo: 103, meaning: "0 stage 1, 1 stage 2" };
const CLASS: EventField = { name: "CLASS", hi: 105, lo: 104, meaning: "0 CD fetch, 1 stage-1 table walk, 2 the input address" };
const DirtyBit: EventField = { name: "DirtyBit", hi: 106, lo: 106, meaning: "dirty state of the indirect scheme" };
const AssuredOnly: EventField = { name: "AssuredOnly", hi: 107, lo: 107, meaning: "AssuredOnly check" };
const TTRnW: EventField = { name: "TTRnW", hi: 108, lo: 108, meaning: "CLASS 1: the walk read (1) or wrote (0)" };
const Overlay: EventField = { name: "Overlay", hi: 109, lo: 109, meaning: "stage-2 overlay" };
const ImpDef: EventField = { name: "ImpDef", hi: 127, lo: 112, meaning: "IMPLEMENTATION DEFINED" };
const InputAddrLo: EventField = { name: "InputAddr[31:0]", hi: 159, lo: 128, meaning: "input address, low half" };
const InputAddrHi: EventField = { name: "InputAddr[63:32]", hi: 191, lo: 160, meaning: "input address, high half" };
const InputPage: EventField = { name: "InputAddr[63:12]", hi: 191, lo: 140, scale: 4096, meaning: "input address" };
const IPA: EventField = { name: "IPA", hi: 247, lo: 204, scale: 4096, meaning: "intermediate address [55:12], if S2 is 1" };
const FetchAddr: EventField = { name: "FetchAddr", hi: 247, lo: 195, scale: 8, meaning: "physical address [55:3] of the structure" };

const Pages: EventField = { name: "Span", hi: 115, lo: 108, meaning: "number of 4 KiB pages" };

/** What an ATS Translation Request asked for. */
const requested: readonly EventField[] = [
  { name: "Span", hi: 67, lo: 64, meaning: "number of translation units" },
  { name: "P", hi: 92, lo: 92, meaning: "privileged requested" },
  { name: "X", hi: 93, lo: 93, meaning: "execute requested" },
  { name: "W", hi: 94, lo: 94, meaning: "write requested" },
  { name: "R", hi: 95, lo: 95, meaning: "read requested" },
];

/** What an E_PAGE_REQUEST hints at. */
const hinted: readonly EventField[] = [
  { name: "uX", hi: 97, lo: 97, meaning: "unprivileged execute" },
  { name: "uW", hi: 98, lo: 98, meaning: "unprivileged write" },
  { name: "uR", hi: 99, lo: 99, meaning: "unprivileged read" },
  { name: "pX", hi: 101, lo: 101, meaning: "privileged execute" },
  { name: "pW", hi: 102, lo: 102, meaning: "privileged write" },
  { name: "pR", hi: 103, lo: 103, meaning: "privileged read" },
];

const id = [EventType, SSV, SubstreamID, StreamID];
const fetch = [...id, Reason, GPCF, FetchAddr];
const input = [InputAddrLo, InputAddrHi];
const translation = [...id, STAG, Stall, PnU, InD, RnW, NSIPA, S2, CLASS, ImpDef, ...input, IPA];
const permission = [...translation, DirtyBit, AssuredOnly, TTRnW, Overlay];

export interface EventSpec {
  readonly number: EventNumber;
  readonly name: string;
  /** Section of IHI 0070. */
  readonly section: string;
  /** One of the four that CD.A/R/S and STE.S2R/S2S govern. */
  readonly translationRelated: boolean;
  readonly fields: readonly EventField[];
  readonly meaning: string;
}

/* prettier-ignore */
export const EVENTS: readonly EventSpec[] = [
  { number: 0x01, name: "F_UUT", section: "7.3.2", translationRelated: false, fields: [...id, Reason, PnU, InD, RnW, ...input], meaning: "unsupported kind of transaction" },
  { number: 0x02, name: "C_BAD_STREAMID", section: "7.3.3", translationRelated: false, fields: id, meaning: "StreamID outside the Stream table" },
  { number: 0x03, name: "F_STE_FETCH", section: "7.3.4", translationRelated: false, fields: fetch, meaning: "external abort fetching an STE or a level-1 descriptor" },
  { number: 0x04, name: "C_BAD_STE", section: "7.3.5", translationRelated: false, fields: id, meaning: "STE invalid or ILLEGAL" },
  { number: 0x05, name: "F_BAD_ATS_TREQ", section: "7.3.6", translationRelated: false, fields: [...id, ...requested, InputPage], meaning: "ATS Translation Request where ATS is off" },
  { number: 0x06, name: "F_STREAM_DISABLED", section: "7.3.7", translationRelated: false, fields: [EventType, StreamID], meaning: "STE.S1DSS forbids this transaction" },
  { number: 0x07, name: "F_TRANSL_FORBIDDEN", section: "7.3.8", translationRelated: false, fields: [EventType, StreamID, RnW, ...input], meaning: "ATS Translated transaction that is not allowed" },
  { number: 0x08, name: "C_BAD_SUBSTREAMID", section: "7.3.9", translationRelated: false, fields: [EventType, SubstreamID, StreamID], meaning: "SubstreamID outside the CD table" },
  { number: 0x09, name: "F_CD_FETCH", section: "7.3.10", translationRelated: false, fields: fetch, meaning: "external abort fetching a CD or a level-1 descriptor" },
  { number: 0x0a, name: "C_BAD_CD", section: "7.3.11", translationRelated: false, fields: id, meaning: "CD invalid or ILLEGAL" },
  { number: 0x0b, name: "F_WALK_EABT", section: "7.3.12", translationRelated: false, fields: [...id, Reason, GPCF, PnU, InD, RnW, NSIPA, S2, CLASS, ...input, FetchAddr], meaning: "external abort on a translation table descriptor" },
  { number: 0x10, name: "F_TRANSLATION", section: "7.3.13", translationRelated: true, fields: translation, meaning: "no translation" },
  { number: 0x11, name: "F_ADDR_SIZE", section: "7.3.14", translationRelated: true, fields: translation, meaning: "output address too large" },
  { number: 0x12, name: "F_ACCESS", section: "7.3.15", translationRelated: true, fields: translation, meaning: "Access flag is 0" },
  { number: 0x13, name: "F_PERMISSION", section: "7.3.16", translationRelated: true, fields: permission, meaning: "permission denied" },
  { number: 0x20, name: "F_TLB_CONFLICT", section: "7.3.17", translationRelated: false, fields: [...id, Reason32, PnU, InD, RnW, NSIPA, S2, CLASS, ...input, IPA], meaning: "more than one TLB entry matches" },
  { number: 0x21, name: "F_CFG_CONFLICT", section: "7.3.18", translationRelated: false, fields: [...id, Reason32], meaning: "more than one cached STE matches" },
  { number: 0x24, name: "E_PAGE_REQUEST", section: "7.3.19", translationRelated: false, fields: [...id, ...hinted, Pages, InputPage], meaning: "hint that memory will be used" },
  { number: 0x25, name: "F_VMS_FETCH", section: "7.3.20", translationRelated: false, fields: fetch, meaning: "external abort fetching a VMS" },
];
