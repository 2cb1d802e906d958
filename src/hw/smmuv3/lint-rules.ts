// SPDX-License-Identifier: MIT
/**
 * The mistakes of software that the model names although the architecture does not fault them, in one table. Two more
 * tables serve the same voice: each rule of ste-rules.ts and of cd-rules.ts is named `ste-<id>` or `cd-<id>` when a structure
 * that breaks it is fetched, because the event record says no more than that the structure is ILLEGAL.
 */

/** One such mistake. */
export interface LintRuleRow {
  readonly id: string;
  /** Where IHI 0070 forbids it, or says what comes of it. A register's own section takes its place where there is one. */
  readonly section: string;
  readonly text: string;
}

export const lintRules = [
  // Register accesses.
  { id: "illegal-access", section: "§6.2", text: "a register is accessed with a width or alignment that registers do not have" },
  { id: "write-read-only", section: "§6.2", text: "a read-only register is written" },
  { id: "write-undefined", section: "§6.2", text: "a reserved offset is written" },
  { id: "reserved-bits", section: "§6.2", text: "reserved bits of a register are written as 1" },
  { id: "guarded-write", section: "§6.3", text: "a register is changed while an enable guards it" },
  { id: "field-in-transition", section: "§6.3.9", text: "a field is changed before its last change is acknowledged" },
  { id: "gbpa-without-update", section: "§6.3.14", text: "GBPA is written without Update, or while one is in progress" },
  { id: "gerrorn-inactive", section: "§6.3.20", text: "an error is acknowledged that is not active" },
  { id: "strtab-base-alignment", section: "§6.3.24", text: "STRTAB_BASE is not aligned to the size of the Stream table" },
  // Queues.
  { id: "queue-base-alignment", section: "§3.5.1", text: "the base of a queue is not aligned to the size of the queue" },
  { id: "queue-too-large", section: "§3.5.1", text: "LOG2SIZE of a queue is beyond what IDR1 allows" },
  {
    id: "prod-inconsistent",
    section: "§3.5.1",
    text: "CMDQ_PROD is behind CMDQ_CONS or more than a queue ahead of it, as when a wrap flag is lost",
  },
  { id: "prod-backwards", section: "§3.5.1", text: "CMDQ_PROD is moved back while the queue is on and no error is active" },
  { id: "cons-inconsistent", section: "§3.5.1", text: "EVENTQ_CONS is beyond EVENTQ_PROD or more than a queue behind it" },
  { id: "cmdqen-cleared-with-work", section: "§6.3.9", text: "the Command queue is switched off while it holds commands" },
  {
    id: "gerror-unacknowledged",
    section: "§7.5",
    text: "an active error is never acknowledged in GERRORN: what it has stopped stays stopped",
  },
  // Commands.
  {
    id: "command-empty",
    section: "§3.5.1",
    text: "a command is all zeros: software has put its commands elsewhere, as when the queue's base lost low bits to alignment",
  },
  { id: "command-reserved-bits", section: "§4.1.5", text: "reserved bits of a command are set" },
  { id: "operand-out-of-range", section: "§4.1.7", text: "a StreamID, SubstreamID, ASID or VMID operand is beyond what is implemented" },
  {
    id: "cmd-sync-missing",
    section: "§4.7.3",
    text: "invalidations are relied upon without a CMD_SYNC, which alone says that they are complete",
  },
  {
    id: "atc-inv-before-sync",
    section: "§4.5.1",
    text: "a CMD_ATC_INV comes before the CMD_SYNC that completes a CMD_TLBI: the device may fetch the old translation again",
  },
  {
    id: "resume-unmatched",
    section: "§4.7.1",
    text: "a CMD_RESUME names a StreamID and STAG that no stalled transaction has, or has any more: it does nothing",
  },
  {
    id: "stall-unanswered",
    section: "§3.12.2",
    text: "a stalled transaction was reported and never resumed or terminated: its device waits for ever",
  },
  // Structures in memory.
  { id: "cd-table-alignment", section: "§5.2", text: "S1ContextPtr is not aligned to the size of the CD table: its low bits count as 0" },
  {
    id: "live-ste-rewritten",
    section: "§3.21.3",
    text: "more than one doubleword of a valid STE is changed without making it invalid first",
  },
  {
    id: "live-cd-rewritten",
    section: "§3.21.3",
    text: "more than one doubleword of a valid CD is changed without making it invalid first",
  },
  { id: "l1std-span-reserved", section: "§5.1", text: "Span of an L1STD is reserved: more than 11, or more than SPLIT + 1" },
  { id: "l1std-alignment", section: "§5.1", text: "L2Ptr of an L1STD is not aligned to the size of its array: its low bits count as 0" },
  {
    id: "l1std-is-ste",
    section: "§5.1",
    text: "an L1STD has Span 1 and L2Ptr 0, as the first word of an STE that was written into the level-1 table",
  },
  // Translation tables.
  {
    id: "table-leaf-bits",
    section: "§3.4",
    text: "a table descriptor carries the Access flag and attributes of a leaf, which count for nothing there",
  },
  { id: "table-reserved-bits", section: "§3.4", text: "reserved bits of a table descriptor are 1" },
] as const;

/** Ids of {@link lintRules}. */
export type LintRule = (typeof lintRules)[number]["id"];
