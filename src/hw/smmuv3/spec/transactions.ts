// SPDX-License-Identifier: MIT
/**
 * What a client's transaction can be besides a plain read or write, and what the SMMU asks of each kind (IHI 0070 §3.14, §3.22,
 * §13.1.1, §16.7.2, §16.7.6).
 */

/** Kinds of client transactions. Non-negative codes are for callers to switch on. */
export const TransactionKind = {
  /** A plain read or write, as `Transaction.write` says. */
  ordinary: 0,
  /** Far atomic: a write that also reads. */
  atomic: 1,
  /** Cache maintenance by address. */
  clean: 2,
  cleanInvalidate: 3,
  cleanToPersistence: 4,
  invalidate: 5,
  /** A hint to invalidate (DH). */
  destructiveHint: 6,
  /** A read with the hint to clean and invalidate (RCI). */
  readCleanInvalidate: 7,
  /** A read that may invalidate without writing back (DR). */
  destructiveRead: 8,
  /** A write with directed cache prefetch (W-DCP). */
  writeDirectedPrefetch: 9,
  /** Directed cache prefetch without data (NW-DCP). */
  directedPrefetch: 10,
  /** A read, or a write that is refused, that a client marks as speculative. */
  speculative: 11,
  /** A DVM operation, a barrier, or cache maintenance without an address. */
  noAddress: 12,
  /** Anything that the part or the interconnect behind it has not got; `Transaction.write` says how it is recorded. */
  unsupported: 13,
} as const;
export type TransactionKind = (typeof TransactionKind)[keyof typeof TransactionKind];

/** How a kind is checked, recorded and passed on. */
export interface KindSpec {
  readonly name: string;
  readonly kind: TransactionKind;
  readonly section: string;
  /** Checked and recorded as a read or a write; undefined: as `Transaction.write` says. */
  readonly write: boolean | undefined;
  /** Needs read permission, too. */
  readonly alsoReads: boolean;
  /** Always Data: InD and INSTCFG do not count. */
  readonly data: boolean;
  /** Needs no permission to be translated; what it finds decides whether it goes on. */
  readonly anyPermission: boolean;
  /** A fault makes no event and no stall. */
  readonly quiet: boolean;
  /** Ends in success without effect where it cannot go on. */
  readonly hint: boolean;
  /** Where a stage translates, leaves unchanged only with this STE field 1. */
  readonly control: "DRE" | "DCP" | undefined;
  /** … and only where it could also write without making memory dirty. */
  readonly wantsWritable: boolean;
  /** What it leaves as where it may not go on unchanged. Hints do not leave at all. */
  readonly lesser: TransactionKind;
}

const plain = { alsoReads: false, data: false, anyPermission: false, quiet: false, hint: false, control: undefined, wantsWritable: false };
const K = TransactionKind;

/* prettier-ignore */
export const transactionKinds: readonly KindSpec[] = [
  { ...plain, name: "ordinary", kind: K.ordinary, section: "§13.1.1", write: undefined, lesser: K.ordinary },
  { ...plain, name: "atomic", kind: K.atomic, section: "§16.7.6", write: true, alsoReads: true, data: true, lesser: K.atomic },
  { ...plain, name: "Clean", kind: K.clean, section: "§16.7.2", write: false, lesser: K.clean },
  { ...plain, name: "CleanInvalidate", kind: K.cleanInvalidate, section: "§16.7.2", write: false, lesser: K.cleanInvalidate },
  { ...plain, name: "CleanToPersistence", kind: K.cleanToPersistence, section: "§16.7.2", write: false, lesser: K.cleanToPersistence },
  { ...plain, name: "Invalidate", kind: K.invalidate, section: "§16.7.2", write: false, control: "DRE", wantsWritable: true, lesser: K.cleanInvalidate },
  { ...plain, name: "DH", kind: K.destructiveHint, section: "§16.7.2", write: false, quiet: true, hint: true, control: "DRE", wantsWritable: true, lesser: K.destructiveHint },
  { ...plain, name: "RCI", kind: K.readCleanInvalidate, section: "§3.22", write: false, lesser: K.ordinary },
  { ...plain, name: "DR", kind: K.destructiveRead, section: "§3.22", write: false, control: "DRE", wantsWritable: true, lesser: K.ordinary },
  { ...plain, name: "W-DCP", kind: K.writeDirectedPrefetch, section: "§3.22", write: true, data: true, control: "DCP", lesser: K.ordinary },
  { ...plain, name: "NW-DCP", kind: K.directedPrefetch, section: "§3.22", write: false, data: true, anyPermission: true, quiet: true, hint: true, control: "DCP", lesser: K.directedPrefetch },
  { ...plain, name: "speculative", kind: K.speculative, section: "§3.14", write: undefined, quiet: true, lesser: K.speculative },
  { ...plain, name: "without address", kind: K.noAddress, section: "§16.7.2", write: false, quiet: true, lesser: K.noAddress },
  { ...plain, name: "unsupported", kind: K.unsupported, section: "§16.7.1", write: undefined, lesser: K.unsupported },
];
