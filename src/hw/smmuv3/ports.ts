// SPDX-License-Identifier: MIT
/**
 * What the parts of the SMMU need of each other and of the silicon around them.
 *
 * The register interface (registers, queues, commands, interrupts) and the translation side (configuration lookup, walks,
 * caches, faults) know each other only through these interfaces.
 */
import type { InvalidateEnd, InvalidateRequest } from "../memory/ats.ts";
import type { BusStatus } from "../memory/system-bus.ts";
import type { StalledTransaction } from "./transaction.ts";

/** Why the SMMU reads or writes memory by itself. */
export type SmmuAccessKind = "l1std" | "ste" | "l1cd" | "cd" | "tt-s1" | "tt-s2" | "httu" | "cmdq" | "eventq" | "priq" | "msi";

/** The wired interrupt outputs. Each is an edge. */
export type SmmuLine = "eventq" | "priq" | "cmdq-sync" | "gerror";

/** A call that is still to come. Cancelling it again, or when it has come, does nothing. */
export interface HostTimer {
  cancel(): void;
}

/** What surrounds the SMMU. */
export interface SmmuHost {
  /** Virtual nanoseconds. */
  now(): number;
  /** Calls `action` `delayNs` from now, as a device event. */
  after(delayNs: number, action: () => void): HostTimer;
  /**
   * Physical read of `count` 32-bit words.
   * @param address a multiple of 4
   * @param level of a translation descriptor: that of its table, -2 … 3
   * @param attributes the memory type as a byte of MAIR, plus 256 times the shareability (0 Non-shareable, 2 Outer, 3 Inner);
   *   given for "l1std", "ste" and "cmdq". A host may ignore it, or answer with an abort what it does not support (§13.1.2).
   */
  load(kind: SmmuAccessKind, address: number, out: Uint32Array, count: number, level?: number, attributes?: number): BusStatus;
  /** Physical write of `count` 32-bit words. @param attributes likewise, given for "eventq" and "msi" */
  store(kind: SmmuAccessKind, address: number, words: Uint32Array, count: number, attributes?: number): BusStatus;
  /** Reads without any side effect or trace, for the stale-use detector. */
  peek(address: number, out: Uint32Array, count: number): BusStatus;
  /** Pulses a wired interrupt. */
  pulse(line: SmmuLine): void;
  /** IDR0.SEV: wakes CPUs that wait for an event. */
  sendEvent(): void;
  /**
   * IDR0.ATS: sends an Invalidate Request to the function behind a StreamID.
   * @param ended to be called once, at once or later: until then a CMD_SYNC waits. Where there is no such function or ATS does not
   *   reach it, the request counts as completed (§4.5).
   */
  invalidateAtc?(streamId: number, request: InvalidateRequest, ended: (how: InvalidateEnd) => void): void;
}

/** Registers as the translation side sees them: values in force (after acknowledge), not as merely written. */
export interface RegisterView {
  /** CR0ACK.SMMUEN. */
  smmuEnabled(): boolean;
  /** CR0ACK.ATSCHK. */
  atsChecked(): boolean;
  gbpa(): number;
  cr2(): number;
  /** CR1.TABLE_* and STRTAB_BASE.RA, as {@link SmmuHost.load} takes them. */
  tableAttributes(): number;
  /** CR0ACK.VMW: low bits of a VMID that invalidations do not compare. */
  vmidWildcard(): number;
  /** STRTAB_BASE.ADDR, masked to the output address size, not yet aligned. */
  strtabBase(): number;
  strtabBaseCfg(): number;
  /** Entry of SMMU_S2PII. @param index 0 … 15 */
  s2pii(index: number): number;
}

/** Where event records go. */
export interface EventSink {
  /**
   * Tries to record an event (32 bytes, 8 words).
   * @param mayMerge an equal record just before it may stand for it: STE.MEV is 1, or there was no STE yet
   * @param stall of a stalled transaction, which waits if it cannot be recorded: nothing is lost, no overflow is flagged
   * @returns false if the queue could not take it (disabled, full, in abort): a non-stall event is then lost
   */
  record(words: Uint32Array, mayMerge?: boolean, stall?: boolean): boolean;
  /** True if the queue would take a record now (IHI 0070 §7.2.1). */
  writable(): boolean;
}

/** What the register side does to stalled transactions. */
export interface StallControl {
  /** CMD_RESUME; `abort` counts without `retry` only. @returns false if nothing matches */
  resume(streamId: number, stag: number, retry: boolean, abort: boolean): boolean;
  /** CMD_STALL_TERM. */
  terminateStream(streamId: number): void;
  /** SMMUEN has become 0. */
  terminateAll(): void;
  /** The Event queue may have become writable. */
  retryWaiting(): void;
  /** One that was recorded and not answered, if any. */
  readonly unanswered: StalledTransaction | undefined;
}

/** What CMD_CFGI_* do. Over-invalidation is always allowed, under-invalidation never. */
export interface ConfigInvalidation {
  invalidateAll(): void;
  /** CFGI_STE: the STE and everything below it (CDs too); `leaf` spares the path of level-1 descriptors. */
  invalidateSte(streamId: number, leaf: boolean): void;
  /** CFGI_STE_RANGE: StreamIDs that agree with `streamId` above bit `range`. `range` 31 is all. */
  invalidateSteRange(streamId: number, range: number): void;
  invalidateCd(streamId: number, substreamId: number, leaf: boolean): void;
  invalidateCdAll(streamId: number): void;
}

/** The address operand of a TLBI by VA or IPA, with the range and level hints of IDR3.RIL. */
export interface TlbiAddress {
  readonly hi: number;
  readonly lo: number;
  readonly leaf: boolean;
  /** 0: one address, no hints. 1 4 KiB, 2 16 KiB, 3 64 KiB. */
  readonly tg: number;
  /** 0: any level. Reserved values have become what they act as. */
  readonly ttl: number;
  /** TTL128: what the level is one of; undefined: of any descriptors. */
  readonly ttl128?: boolean;
  readonly num: number;
  readonly scale: number;
}

/** StreamWorlds as tags of TLB entries (IHI 0070 §3.3.4). */
export const StreamWorld = { nsEl1: 0, nsEl2: 1, nsEl2E2h: 2 } as const;
export type StreamWorld = (typeof StreamWorld)[keyof typeof StreamWorld];

/** What CMD_TLBI_* do on the Non-secure queue. */
export interface TlbInvalidation {
  /** NSNH_ALL: all Non-secure but EL2. */
  nsnhAll(): void;
  /** Everything, as S_INIT.INV_ALL does. */
  everything(): void;
  /** NH_ALL: NS-EL1 stage 1 (and combined) by VMID. */
  nhAll(vmid: number): void;
  nhAsid(vmid: number, asid: number): void;
  /** NH_VA; `asid` undefined is NH_VAA. */
  nhVa(vmid: number, asid: number | undefined, address: TlbiAddress): void;
  el2All(): void;
  el2Asid(asid: number): void;
  el2Va(asid: number | undefined, address: TlbiAddress): void;
  /** S12_VMALL: NS-EL1, all stages, by VMID. */
  s12Vmall(vmid: number): void;
  s2Ipa(vmid: number, address: TlbiAddress): void;
}

/** Where cached configuration or a cached translation was used although memory says something else by now. */
export interface StaleUse {
  readonly what: "ste" | "cd" | "tlb";
  readonly streamId: number;
  /** For "tlb": the input address. */
  readonly addressHi: number;
  readonly addressLo: number;
  /** Physical address of the first structure or descriptor that differs. */
  readonly structure: number;
  readonly cached: string;
  readonly inMemory: string;
  /** The maintenance that should have come, as a command's name with operands. */
  readonly missing: string;
  /** Identifies the cache entry, so that later maintenance that drops it can be told. */
  readonly entry: number;
}

/** What the SMMU traces. */
export interface SmmuEvents {
  /** A register write as it arrived. 64-bit writes give `valueHi`. */
  "smmu.write": { readonly offset: number; readonly register: string; readonly valueLo: number; readonly valueHi: number | undefined };
  "smmu.command": { readonly words: readonly number[]; readonly text: string };
  /** A record, written to the queue or lost. */
  "smmu.event": { readonly words: readonly number[]; readonly recorded: boolean; readonly text: string };
  "smmu.gerror": { readonly bit: string; readonly active: boolean };
  /** A physical access of the SMMU itself. */
  "smmu.access": {
    readonly access: SmmuAccessKind;
    readonly address: number;
    readonly length: number;
    readonly write: boolean;
    readonly bus: BusStatus;
  };
  "smmu.stale-use": StaleUse;
  /** A cache entry that had been used stale was dropped by maintenance. */
  "smmu.stale-dropped": { readonly entry: number };
  /** Software did something the architecture calls a mistake but does not fault. */
  "smmu.lint": { readonly rule: string; readonly detail: string; readonly section: string };
}
