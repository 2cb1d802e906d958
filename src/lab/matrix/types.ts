// SPDX-License-Identifier: MIT
/** The matrix as data: `quiesce/matrix@1`, and the table of variants: `quiesce/variants@1`. */
import type { DmaCounts } from "../run/result.ts";
import type {
  ClaimName,
  ClientHook,
  ClientKind,
  KdumpPolicy,
  SecondKernel,
  SmmuPolicy,
  SmmuVariant,
  Verdict,
  WayDown,
} from "../run/types.ts";

/** A cell of either table: what makes its scenario. */
export interface AnyCellKey {
  readonly smmuShutdown: SmmuVariant;
  readonly client: ClientKind;
  readonly clientShutdown: ClientHook;
  readonly wayDown: WayDown;
  /** Absent: `reset-abort`. */
  readonly kdumpPolicy?: KdumpPolicy;
}

/** Which cell of the matrix. */
export interface CellKey extends AnyCellKey {
  readonly smmuShutdown: SmmuPolicy;
  readonly kdumpPolicy?: never;
}

/** Which cell of the table of variants. */
export interface VariantKey extends AnyCellKey {
  readonly kdumpPolicy: KdumpPolicy;
}

/** What was measured in a cell. */
export interface CellResult {
  readonly dma: DmaCounts;
  readonly foreignWriteBytes: number;
  readonly nextKernelBytesCorrupted: number;
  readonly staleWalks: number;
  readonly events: number;
  /** Those of the events that found no queue, or a full one. */
  readonly eventsLost: number;
  readonly secondKernel: SecondKernel;
  readonly claims: Readonly<Record<ClaimName, "holds" | "broken">>;
  readonly verdict: Verdict;
  readonly replay: string;
}

/** How the nodes, drivers and links of a board are arranged in the order experiment. */
export interface OrderBoard {
  readonly nodes: "smmu-first" | "smmu-last";
  readonly drivers: "built-in" | "client-module" | "smmu-module";
  readonly fwDevlinkStrict: boolean;
  readonly deviceLink: boolean;
}

export interface OrderRow {
  /** The arrangement in words. */
  readonly board: string;
  readonly arrangement: OrderBoard;
  readonly shutdownOrder: readonly string[];
  /** Clients that were shut down after their SMMU. */
  readonly smmuBeforeClients: readonly string[];
}

export interface MatrixCell extends CellKey, CellResult {}
export interface VariantCell extends VariantKey, CellResult {}

export const LAYOUTS = ["2-4G", "2-3G", "2-8G"] as const;
/** Where RAM lies in the layout experiment. */
export type LayoutName = (typeof LAYOUTS)[number];

/** Which run of the layout experiment. */
export interface LayoutKey extends CellKey {
  readonly layout: LayoutName;
  readonly seed: number;
}

/** One cell on one layout with one seed. */
export interface LayoutRow extends CellKey {
  readonly layout: LayoutName;
  /** As hexadecimal strings, bytes. */
  readonly ram: { readonly base: string; readonly size: string };
  readonly seed: string;
  readonly dma: DmaCounts;
  readonly foreignWriteBytes: number;
  readonly nextKernelBytesCorrupted: number;
  readonly staleWalks: number;
  readonly secondKernel: SecondKernel;
  readonly verdict: Verdict;
  readonly replay: string;
}

export interface Matrix {
  readonly schema: "quiesce/matrix@1";
  readonly seed: string;
  /** False: cells are missing, because the run was interrupted or only some were asked for. */
  readonly complete: boolean;
  /** Only cells with this in their names were asked for. */
  readonly only?: string | undefined;
  readonly cells: readonly MatrixCell[];
  readonly order: readonly OrderRow[];
  readonly layout: readonly LayoutRow[];
}

/** Ways of an SMMU driver beside those of the matrix. */
export interface Variants {
  readonly schema: "quiesce/variants@1";
  readonly seed: string;
  /** False: cells are missing, because the run was interrupted or only some were asked for. */
  readonly complete: boolean;
  /** Only cells with this in their names were asked for. */
  readonly only?: string | undefined;
  readonly cells: readonly VariantCell[];
}
