// SPDX-License-Identifier: MIT
/** What comes out of a run: everything a report, a matrix or a test wants to know, as plain data. Times are virtual ns. */
import type { ClaimResult } from "../monitors/monitor.ts";
import type { DeferredProbe, IdleClient } from "./deferred.ts";
import type { KernelChecksResult } from "./kernel-checks.ts";
import type { ClaimName, ScenarioWayDown, SecondKernel, Verdict } from "./types.ts";

/** Accesses of clients from the first step of the way down until a later kernel's driver owned the device or the run ended. */
export interface DmaCounts {
  /** After the device core had passed the device itself. */
  readonly afterOwnShutdown: number;
  /** After the device core had passed the SMMU, whatever became of them. */
  readonly afterSmmuShutdown: number;
  /** Reached memory or a register, translated. */
  readonly translated: number;
  /** Reached memory or a register by the raw address. */
  readonly bypassed: number;
  /** Refused by the SMMU. */
  readonly aborted: number;
  /** Left the SMMU for an address that nothing decodes. Behind a bypass that is luck: it did no harm on this layout. */
  readonly undecoded: number;
}

export interface ShutdownStep {
  /** Place in the trace: orders what happened at the same instant. */
  readonly seq: number;
  readonly kernel: string;
  readonly device: string;
  /** What ran: `driver hdlcd`, `none`. */
  readonly hook: string;
  /** The bound driver; null: none. */
  readonly driver: string | null;
  readonly begin: number;
  /** undefined: the hook never returned. */
  readonly end: number | undefined;
}

/** Something worth a mark on the time axis. */
export interface Milestone {
  /** Place in the trace: orders what happened at the same instant. */
  readonly seq: number;
  readonly time: number;
  readonly kernel: string;
  readonly text: string;
  /** `path`: a step of the way down; `machine`: of the machine; `driver`: a probe; `oops`: a kernel's end. */
  readonly what: "path" | "machine" | "driver" | "oops";
}

/** The kinds of landing that are told apart in a timeline. */
export const LANDING_CLASSES = ["granted", "ungranted", "bypassed", "undecoded", "aborted", "dropped"] as const;
/** granted: translated, into memory the device may use; ungranted: translated, into other memory; bypassed: by raw address; undecoded: past the SMMU, and nothing answered; aborted: refused by the SMMU; dropped: never left the device's bus. */
export type LandingClass = (typeof LANDING_CLASSES)[number];

/** Accesses by kind, in equal slices of time. */
export interface Timeline {
  readonly start: number;
  readonly binNs: number;
  readonly bins: Readonly<Record<LandingClass, readonly number[]>>;
}

/** One distinct place where DMA landed without a grant. */
export interface LandingSite {
  readonly who: string;
  readonly what: string;
  readonly writes: number;
  readonly reads: number;
  readonly first: number;
}

/**
 * What started a kernel: the machine's firmware, the kernel before it on purpose, its panic, or its kexec jump. return: it did not
 * start, it went on when the other kernel jumped back.
 */
export type StartedBy = "firmware" | "kexec" | "crash" | "jump" | "return";

/** What came of one kernel of a chain, or of one of its times at the machine. */
export interface KernelResult {
  readonly kernel: string;
  readonly startedBy: StartedBy;
  readonly startedAt: number;
  /** up: it ran until it went down, or until the end of the run. oops and hung: it failed, while it booted, worked or went down. */
  readonly state: "up" | "oops" | "hung";
  /** The SMMU when the kernel was entered: translating (CR0.SMMUEN), and refusing what it does not translate (GBPA.ABORT). */
  readonly smmuFound: { readonly enabled: boolean; readonly aborting: boolean };
  /** Bytes of its image and early memory that somebody else changed, until it was left or the run ended. */
  readonly imageBytesChanged: number;
  /** null: it did not go down. */
  readonly wayDown: ScenarioWayDown | null;
  readonly wayDownAt: number | null;
  /** From its way down to that of the next kernel, or to the end. */
  readonly dma: DmaCounts | null;
}

export interface RunResult {
  readonly title: string;
  /** Of the first kernel. */
  readonly wayDown: ScenarioWayDown;
  readonly seed: number;
  readonly verdict: Verdict;
  readonly claims: readonly ClaimResult[];
  readonly dma: DmaCounts;
  readonly foreignWriteBytes: number;
  readonly nextKernelBytesCorrupted: number;
  readonly staleWalks: number;
  /** Event records the SMMU made from the way down on, written to a queue or lost. */
  readonly events: { readonly recorded: number; readonly lost: number; readonly kinds: Readonly<Record<string, number>> };
  readonly secondKernel: SecondKernel;
  /** How each kernel that there was is at the end, in order. */
  readonly kernelStates: readonly Pick<KernelResult, "kernel" | "state">[];
  /** Every kernel that there was, in order; only of a scenario with further ways down. */
  readonly kernels?: readonly KernelResult[];
  /** The first oops, of any kernel; null without one. */
  readonly oops: {
    readonly kernel: string;
    readonly time: number;
    readonly message: string;
    readonly task: string;
    readonly device: string | null;
  } | null;
  /** What the kernels found wrong with their own code, and survived. */
  readonly kernelChecks: KernelChecksResult;
  /** Devices that waited for a supplier until nobody waits any longer, or still do. */
  readonly deferredProbes: readonly DeferredProbe[];
  /** Active clients that did no DMA before their kernel went down, and why. */
  readonly idleClients: readonly IdleClient[];
  /** Where tasks waited when nothing could go on or a limit was hit. */
  readonly stuck: readonly { readonly kernel: string; readonly task: string; readonly reason: string }[];
  readonly inconclusive: boolean;
  readonly wayDownAt: number;
  readonly endedAt: number;
  readonly shutdownOrder: readonly ShutdownStep[];
  readonly milestones: readonly Milestone[];
  readonly timeline: Timeline;
  readonly sites: readonly LandingSite[];
  /** Mistakes of the SMMU's drivers that the architecture does not fault, and what they have left undone at the end, by rule. */
  readonly lint: Readonly<Record<string, number>>;
  /** What was met and is not modelled, with counts. */
  readonly notModelled: Readonly<Record<string, number>>;
  /** Lines of the kernels' logs from the way down on, the first few hundred. */
  readonly log: readonly { readonly time: number; readonly kernel: string; readonly text: string }[];
  /** The clients, the SMMU and what stands above them, by the kernel's names: whose shutdown a reader looks for. */
  readonly interestingDevices: readonly string[];
  readonly smmuDevice: string;
  readonly clientDevices: readonly string[];
  readonly replay: string;
}

/** The claims as the names and words of the matrix. */
export function claimWords(claims: readonly ClaimResult[]): Record<ClaimName, "holds" | "broken"> {
  return Object.fromEntries(claims.map(({ claim, holds }) => [claim, holds ? "holds" : "broken"])) as Record<ClaimName, "holds" | "broken">;
}
