// SPDX-License-Identifier: MIT
/** The records of a recording (format smmuv3-trace/1): register accesses, requests, and all that each of them caused. */

/** Memory that the operation may need, as it is at that moment. */
export interface MemoryImage {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** What the recorded SMMU did during an operation. */
export type Effect =
  | { readonly kind: "command"; readonly cons: number; readonly address: number; readonly bytes: Uint8Array }
  | { readonly kind: "command-error"; readonly code: number }
  | { readonly kind: "event-record"; readonly address: number; readonly bytes: Uint8Array }
  /** An event was due; `fate` says what became of it. */
  | { readonly kind: "event-due"; readonly event: number; readonly sid: number; readonly fate: string }
  | { readonly kind: "interrupt"; readonly line: string }
  /** A read by the SMMU that was answered with an abort. */
  | { readonly kind: "abort"; readonly address: number; readonly size: number };

/** Registers after an operation, given when one of them changed. */
export interface StateAfter {
  readonly cons: number;
  readonly eprod: number;
  readonly gerr: number;
  readonly cr0ack: number;
}

/** How a translation request ended. */
export interface TranslationAnswer {
  readonly status: "ok" | "bypass" | "disabled" | "abort" | "fault";
  /** Hexadecimal, since a bypass passes on all 64 bits. */
  readonly physical?: string;
  /** Of a translation: the bytes that one entry maps, less 1. */
  readonly mask?: number;
  /** Of a translation: what the entry allows. */
  readonly perm?: Permission;
  readonly event?: number;
  /** CD.R or STE.S2R keep the event from being recorded. */
  readonly keptBack?: boolean;
}

export type Permission = "" | "r" | "w" | "rw";

/** What the recorded SMMU's caches had for a request. */
export interface CacheHits {
  readonly config: boolean;
  readonly tlb: boolean;
}

/** What a write and a request have in common. */
export interface RecordedOperation {
  readonly n: number;
  readonly memory: readonly MemoryImage[];
  readonly effects: readonly Effect[];
  readonly state: StateAfter | undefined;
}

export type TraceRecord =
  | { readonly t: "reset"; readonly n: number; readonly idr: readonly number[]; readonly iidr: number; readonly aidr: number }
  | { readonly t: "r"; readonly n: number; readonly offset: number; readonly size: 4 | 8; readonly lo: number; readonly hi: number }
  | ({ readonly t: "w"; readonly offset: number; readonly size: 4 | 8; readonly lo: number; readonly hi: number } & RecordedOperation)
  | ({
      readonly t: "x";
      readonly sid: number;
      readonly addressHi: number;
      readonly addressLo: number;
      readonly write: boolean;
      readonly answer: TranslationAnswer;
      /** The answer of the same request from memory alone, where that differs from the answer. */
      readonly uncached: TranslationAnswer | undefined;
      /** Undefined: not recorded. */
      readonly hits: CacheHits | undefined;
      /** What the recorder's own model says the architecture wants, where that differs from the answer. */
      readonly architecture: TranslationAnswer | undefined;
      /** Why, in the recorder's words: "tlbhit-noperm", "noevent", "arch". */
      readonly deviation: string | undefined;
      /** What was changed under the driver for this request; empty if nothing was. */
      readonly injected: string;
      /** Stages that the stream's STE enables: bit 0 stage 1, bit 1 stage 2. */
      readonly stages: number;
    } & RecordedOperation)
  /** All caches were dropped. */
  | { readonly t: "inv"; readonly n: number };

export interface RecordingHeader {
  readonly format: string;
  readonly scenario: string;
  readonly what: string;
  readonly qemu: string;
  readonly kernel: string;
  /** Of QEMU, with the kernel's own as `-append`. */
  readonly commandLine?: string;
  readonly mmioBase: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** A physical address as answers carry it. */
export function physicalText(hi: number, lo: number): string {
  return hi === 0 ? `0x${lo.toString(16)}` : `0x${hi.toString(16)}${lo.toString(16).padStart(8, "0")}`;
}
