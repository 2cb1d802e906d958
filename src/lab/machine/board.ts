// SPDX-License-Identifier: MIT
/**
 * Where things are on the lab's board. It is no real one: its devices are those of several Arm systems, its map is made up.
 *
 * RAM lies from 2 GiB to 4 GiB. IOVAs are handed out from just below 4 GiB downwards, so on this board the first IOVAs of a
 * client that sees 32 bits are valid RAM addresses too: when translation goes away, a raw address means memory, and memory
 * that a booting kernel takes first. Where RAM ends elsewhere it means something else or nothing; the layout experiment
 * (matrix/layout.ts) measures what depends on that.
 */
import type { SmmuLine } from "../../hw/index.ts";
import type { DtNode, DtRange } from "../../kernel/index.ts";
import type { ClientKind } from "../run/types.ts";

export const BOARD = {
  ramBase: 0x8000_0000,
  ramSize: 0x8000_0000,
  smmuBase: 0x2b40_0000,
  gicBase: 0x2c00_0000,
  msiFrameBase: 0x2c1c_0000,
  ecamBase: 0x4000_0000,
  ecamSize: 0x0010_0000,
  pciWindowBase: 0x5000_0000,
  pciWindowSize: 0x0800_0000,
  hdlcdBase: 0x7ff6_0000,
  etrBase: 0x2007_0000,
} as const;

/** Shared peripheral interrupts: the numbers the controller reports, 32 and up. */
export const LINES = {
  total: 256,
  smmuEventq: 64,
  smmuPriq: 65,
  smmuSync: 66,
  smmuGerror: 67,
  hdlcd: 70,
  etr: 71,
  msiFirst: 128,
  msiCount: 64,
} as const;

/** The usual StreamID of each kind of client. */
export const STREAM_IDS: Record<ClientKind, number> = { e1000e: 0x10, hdlcd: 0x20, "tmc-etr": 0x21 };

/** Where a platform device is. */
export interface Place {
  readonly window: DtRange;
  /** Its interrupt number, if it has one. */
  readonly interrupt?: number;
  /** The kernel's name of it. */
  readonly deviceName: string;
}

/** A map of addresses and interrupts: the lab's own, or that of a device tree. */
export interface Board {
  readonly tree: DtNode;
  /** RAM. */
  readonly memory: readonly DtRange[];
  /** RAM less what the tree reserves. */
  readonly usable: readonly DtRange[];
  /** What the tree's blob reserves besides, in its header. */
  readonly reservations?: readonly DtRange[];
  /** Shared peripheral interrupts of the controller. */
  readonly lines: number;
  readonly smmuLines: Partial<Record<SmmuLine, number>>;
  /** The kernel's name of the SMMU. */
  readonly smmuName: string;
  readonly msiFrame: { readonly base: number; readonly first: number; readonly count: number };
  readonly pci?: { readonly ecam: DtRange; readonly busCount: number; readonly window: DtRange; readonly deviceName: string };
  /** Platform devices, by their names in the machine's description. */
  readonly places: ReadonlyMap<string, Place>;
}
