// SPDX-License-Identifier: MIT
/** What a console log yields: boots, records and messages with their place, findings. */

/** One kernel's life in the log. */
export interface Boot {
  /** Counts from 0. */
  readonly index: number;
  /** How this kernel was started, as far as the log shows. */
  how: "unknown" | "cold" | "kexec" | "crash";
  /** SMMUs that this kernel found enabled, with the time in seconds if the log has it. */
  readonly takenOver: Map<string, number | undefined>;
  /** SMMUs that had a command error, with the line that says so. */
  readonly commandErrors: Map<string, number>;
  /** The last line that says that the machine goes down. */
  goingDown: string | undefined;
  /** RAM as the kernel lists it, first and last address. */
  readonly ram: { readonly first: bigint; readonly last: bigint }[];
  /** Entries of the Command queue by SMMU. */
  readonly cmdqEntries: Map<string, number>;
  /** Version of the kernel as its first lines say it: 6.12 is [6, 12]. */
  version: readonly [number, number] | undefined;
  /** Bits of ias and oas, and features, by SMMU. */
  readonly probes: Map<string, { readonly ias: number; readonly oas: number; readonly features: number }>;
  /** Client devices that joined an IOMMU group. */
  readonly attached: Set<string>;
  /** True: invalidation is deferred ("lazy mode"). */
  lazy: boolean;
  /** True: devices get identity domains by default. */
  passthrough: boolean;
}

/** Where something stood. */
export interface Place {
  readonly device: string;
  readonly time: string | undefined;
  /** Counted from 1. */
  readonly firstLine: number;
  readonly lastLine: number;
  readonly boot: Boot;
  /** What the boot's `goingDown` was at that moment. */
  readonly goingDown: string | undefined;
}

/** An event record, from its four words or from Linux's sentence about them. */
export interface EventFound extends Place {
  readonly what: "event";
  /** 8 words; those that the log has not got are 0. */
  readonly words: Uint32Array;
  /** How many of the four 64-bit words the log has. */
  readonly known: number;
  /** What the log says of it, by words or by sentences. */
  readonly said: { address: boolean; access: boolean; fetch: boolean };
  /** False: a sentence calls it UNKNOWN, so that its number is not known. */
  readonly named: boolean;
  /** The client's name, "(unassigned sid)", or undefined on kernels that do not say. */
  readonly client: string | undefined;
  /** What is odd about the block. */
  readonly doubts: readonly string[];
}

/** The command that the driver replaced after an error. */
export interface CommandFound extends Place {
  readonly what: "command";
  readonly words: Uint32Array;
  readonly known: number;
  readonly doubts: readonly string[];
}

/** A message of the table in messages.ts. */
export interface MessageFound extends Place {
  readonly what: "message";
  readonly id: string;
  readonly groups: Readonly<Record<string, string>>;
}

export type Found = EventFound | CommandFound | MessageFound;

export interface CauseFound {
  readonly id: string;
  readonly text: string;
  /** Section of IHI 0070 or function of Linux. */
  readonly reference: string;
}

/** Addresses of a finding that happened more than once. */
export interface AddressSummary {
  readonly first: string;
  readonly lowest: string;
  readonly highest: string;
  readonly distinct: number;
  readonly pattern: "one" | "rising" | "scattered";
}

/** One thing that happened, once or often, with what follows from it. */
export interface DmesgFinding {
  readonly id: string;
  readonly severity: "error" | "warning" | "info";
  readonly title: string;
  /** Linux function that prints it. */
  readonly from: string;
  readonly count: number;
  readonly device: string;
  readonly time: string | undefined;
  readonly lines: { readonly first: number; readonly last: number };
  /** Which kernel of the log, from 0. */
  readonly boot: number;
  readonly stream: { readonly streamId: string; readonly substreamId: string | undefined; readonly client: string | undefined } | undefined;
  readonly access: string | undefined;
  readonly addresses: AddressSummary | undefined;
  /** Address of the structure whose fetch failed. */
  readonly fetch: string | undefined;
  /** 64-bit words as logged, of the first occurrence. */
  readonly words: readonly string[];
  readonly story: readonly string[];
  /** The likeliest first. */
  readonly causes: readonly CauseFound[];
  readonly next: readonly string[];
  readonly doubts: readonly string[];
}

/** All events of one stream. */
export interface StreamSummary {
  readonly streamId: string;
  readonly client: string | undefined;
  readonly device: string;
  /** Events by name with their counts. */
  readonly events: Readonly<Record<string, number>>;
  readonly lowest: string | undefined;
  readonly highest: string | undefined;
}

export interface DmesgReport {
  readonly lines: number;
  readonly boots: number;
  readonly findings: readonly DmesgFinding[];
  readonly streams: readonly StreamSummary[];
  /** Messages that the kernel's rate limit swallowed. */
  readonly suppressed: number;
  /** Lines that name an SMMUv3 and that nobody here knows; the first of each kind, with how many there are. */
  readonly unknown: {
    readonly count: number;
    readonly kinds: number;
    readonly first: readonly { readonly line: number; readonly count: number; readonly text: string }[];
  };
}
