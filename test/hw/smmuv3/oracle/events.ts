// SPDX-License-Identifier: MIT
/** Event records (IHI 0070 §7.3), written bit by bit. */
import { pow2 } from "./bits.ts";
import type { Access } from "./permissions.ts";
import type { Incoming } from "./types.ts";

/** What a stage-2 translation, or a stage-1 fault, was about. */
export const CLASS = { CD: 0n, TT: 1n, IN: 2n } as const;
export type Class = (typeof CLASS)[keyof typeof CLASS];

export type EventName =
  | "C_BAD_STREAMID"
  | "F_STE_FETCH"
  | "C_BAD_STE"
  | "F_STREAM_DISABLED"
  | "C_BAD_SUBSTREAMID"
  | "F_CD_FETCH"
  | "C_BAD_CD"
  | "F_WALK_EABT"
  | "F_TRANSLATION"
  | "F_ADDR_SIZE"
  | "F_ACCESS"
  | "F_PERMISSION";

const NUMBER: Readonly<Record<EventName, bigint>> = {
  C_BAD_STREAMID: 0x02n,
  F_STE_FETCH: 0x03n,
  C_BAD_STE: 0x04n,
  F_STREAM_DISABLED: 0x06n,
  C_BAD_SUBSTREAMID: 0x08n,
  F_CD_FETCH: 0x09n,
  C_BAD_CD: 0x0an,
  F_WALK_EABT: 0x0bn,
  F_TRANSLATION: 0x10n,
  F_ADDR_SIZE: 0x11n,
  F_ACCESS: 0x12n,
  F_PERMISSION: 0x13n,
};

/** The four that CD.A/R/S and STE.S2R/S2S govern (§3.12). */
export const TRANSLATION_RELATED: readonly EventName[] = ["F_TRANSLATION", "F_ADDR_SIZE", "F_ACCESS", "F_PERMISSION"];

/** Thrown where the translation ends badly. */
export class Faulted {
  readonly event: EventName;
  /** Of the stage-2 translation that failed; undefined: a fault of stage 1 or of configuration. */
  readonly stage2: { readonly ipa: bigint } | undefined;
  readonly class: Class;
  readonly fetch: bigint;
  /** C_BAD_SUBSTREAMID: the index in use. */
  readonly index: number;
  /** Aborts and is recorded whatever CD and STE say. */
  readonly forced: boolean;
  /** TTRnW: what a stage-1 walk wanted to do with its descriptor. */
  readonly walkWrites: boolean;
  /** F_PERMISSION: an update of the dirty state by hardware would have helped. */
  readonly dirtyBit: boolean;
  /** F_PERMISSION: the stage-2 overlay forbids the access. */
  readonly overlay: boolean;

  constructor(
    event: EventName,
    more: Partial<{
      stage2: { ipa: bigint };
      class: Class;
      fetch: bigint;
      index: number;
      forced: boolean;
      walkWrites: boolean;
      dirtyBit: boolean;
      overlay: boolean;
    }> = {},
  ) {
    this.event = event;
    this.stage2 = more.stage2;
    this.class = more.class ?? CLASS.IN;
    this.fetch = more.fetch ?? 0n;
    this.index = more.index ?? 0;
    this.forced = more.forced ?? false;
    this.walkWrites = more.walkWrites ?? false;
    this.dirtyBit = more.dirtyBit ?? false;
    this.overlay = more.overlay ?? false;
  }
}

export function recordOf(fault: Faulted, incoming: Incoming, access: Access | undefined, oas: number, stall: boolean): number[] {
  const { event } = fault;
  let record = NUMBER[event] | (BigInt(incoming.streamId) << 32n);
  const substream = incoming.substreamId === undefined ? 0n : (1n << 11n) | (BigInt(incoming.substreamId) << 12n);
  if (event === "C_BAD_SUBSTREAMID") record |= BigInt(fault.index) << 12n;
  else if (event !== "F_STREAM_DISABLED") record |= substream;
  const physical = fault.fetch % pow2(oas);
  if (event === "F_STE_FETCH" || event === "F_CD_FETCH" || event === "F_WALK_EABT") record |= (physical >> 3n) << 195n;
  const translation = TRANSLATION_RELATED.includes(event);
  if ((translation || event === "F_WALK_EABT") && access !== undefined) {
    record |= (access.privileged ? 1n : 0n) << 97n;
    record |= (access.instruction ? 1n : 0n) << 98n;
    record |= (access.write ? 0n : 1n) << 99n;
    record |= (fault.stage2 === undefined ? 0n : 1n) << 103n;
    record |= fault.class << 104n;
    record |= incoming.address << 128n;
  }
  if (translation && fault.stage2 !== undefined) record |= ((fault.stage2.ipa % pow2(oas)) >> 12n) << 204n;
  if (event === "F_PERMISSION" && fault.stage2 !== undefined && fault.class === CLASS.TT) record |= (fault.walkWrites ? 0n : 1n) << 108n;
  if (fault.dirtyBit) record |= 1n << 106n;
  if (fault.overlay) record |= 1n << 109n;
  if (stall) record |= 1n << 95n;
  return Array.from({ length: 8 }, (_, i) => Number((record >> BigInt(32 * i)) & 0xffff_ffffn));
}
