// SPDX-License-Identifier: MIT
/**
 * The register side's rows of the table of choices, the switches among them, and the register blocks that are not modelled.
 */
import type { Choice } from "./choices.ts";

/** Choices that an embedding program may make. */
export interface RegisterChoices {
  /** Registers that reset to an UNKNOWN value: zero, or a pattern that shows software which forgets to initialise them. */
  readonly unknownReset: "zero" | "pattern";
  /** A 64-bit access to two 32-bit registers. */
  readonly pairAccess: "both" | "raz-wi";
  /** When CMD_CFGI_* and CMD_TLBI_* take effect: when they are consumed, or with the CMD_SYNC that waits for them. */
  readonly maintenance: "at-once" | "at-sync";
  /** v3.0 and v3.1 only: guarded writes and changes of fields in transition. */
  readonly earlyMistakes: "ignored" | "taken";
  /** Equal events close in time share a record where STE.MEV allows it. */
  readonly eventMerging: boolean;
  /** Reserved bits of a command that are not zero. */
  readonly commandReservedFields: "ignored" | "illegal";
  /** CMD_PREFETCH_CONFIG and CMD_PREFETCH_ADDR: without effect, or followed. */
  readonly prefetch: "ignored" | "taken";
}

export const defaultRegisterChoices: RegisterChoices = {
  unknownReset: "zero",
  pairAccess: "both",
  maintenance: "at-once",
  earlyMistakes: "ignored",
  eventMerging: false,
  commandReservedFields: "ignored",
  prefetch: "ignored",
};

/** What each of them can be. */
export const registerChoiceValues: { readonly [K in keyof RegisterChoices]: readonly RegisterChoices[K][] } = {
  unknownReset: ["zero", "pattern"],
  pairAccess: ["both", "raz-wi"],
  maintenance: ["at-once", "at-sync"],
  earlyMistakes: ["ignored", "taken"],
  eventMerging: [true, false],
  commandReservedFields: ["ignored", "illegal"],
  prefetch: ["ignored", "taken"],
};

export const registerChoices: readonly Choice[] = [
  {
    id: "pairAccess",
    section: "§6.2",
    options: "a 64-bit access to two 32-bit registers: RAZ/WI, both as two 32-bit accesses, one of the two, or abort",
    ours: "both, the lower offset first (switchable to RAZ/WI)",
    why: "FreeBSD reads EVENTQ_PROD and EVENTQ_CONS so; nothing is lost",
  },
  {
    id: "illegal-access",
    section: "§6.2",
    options: "8-bit, 16-bit and unaligned accesses: RAZ/WI, an arbitrary value is written or read, or abort",
    ours: "RAZ/WI, named by a lint message",
    why: "harmless and visible",
  },
  {
    id: "page-1-undefined",
    section: "§6.2",
    options: "undefined locations of page 1: RES0, or the same offset of page 0",
    ours: "RES0",
    why: "software that needs the alias is caught",
  },
  {
    id: "page-0-shadow",
    section: "§6.2",
    options: "page-0 offsets of the page-1 registers: alias or RAZ/WI",
    ours: "by configuration (page0Alias)",
    why: "drivers for both kinds exist",
  },
  {
    id: "unknownReset",
    section: "§6.3",
    options: "registers that reset to an UNKNOWN value: anything",
    ours: "zero (switchable to a pattern)",
    why: "the pattern exposes drivers that rely on zero",
  },
  {
    id: "gbpa-reset",
    section: "§6.3.14",
    options: "GBPA fields but Update reset to IMPLEMENTATION DEFINED values",
    ours: "ABORT by configuration, SHCFG use-incoming, all else use-incoming (0x00001000 or 0x00101000)",
    why: "bypass without a change of attributes is the useful default",
  },
  {
    id: "preset-attributes",
    section: "§6.3.11",
    options: "a write to preset CR1.TABLE_* or QUEUE_* fields: ignored, or stored without effect",
    ours: "ignored",
    why: "what reads back is what acts",
  },
  {
    id: "preset-alignment",
    section: "§6.3.2",
    options: "presets whose effective bases are not aligned to what they hold",
    ours: "refused as configuration",
    why: "nothing says whether a relative base is aligned before or after the addition",
  },
  {
    id: "cr2-effect",
    section: "§6.3.12",
    options: "a change of CR2 takes effect at any time up to the next Update of SMMUEN to 1",
    ours: "at once",
    why: "only maintenance between the two can tell",
  },
  {
    id: "vmw-in-transition",
    section: "§6.3.9.1",
    options: "invalidations while VMW is in transition use the old or the new value; VMW may be cached in the TLB",
    ours: "the old value up to the acknowledge; not cached",
    why: "simple",
  },
  {
    id: "message-hints",
    section: "§6.3.23",
    options: "allocation and transient hints of interrupt messages to cacheable memory",
    ours: "read- and write-allocate, not transient",
    why: "as for other accesses without hints of their own",
  },
  {
    id: "service-failure",
    section: "§12.3",
    options: "how Service Failure Mode is entered and left, beyond a reset",
    ours: "entered by the embedding program (failService), left by reset only",
    why: "the model has no internal errors of its own",
  },
  {
    id: "gbpa-overrides",
    section: "§6.3.14",
    options: "GBPA override fields without ATTR_TYPES_OVR or ATTR_PERMS_OVR: read zero or the value written",
    ours: "the value written; without effect",
    why: "simple",
  },
  {
    id: "earlyMistakes",
    section: "§6.3, §6.3.9, §6.3.14",
    options:
      "v3.0 and v3.1: a write while its guard holds, a change of a field in transition, GBPA without Update or during one: the " +
      "register takes any value, or the write is ignored",
    ours: "ignored, as from v3.2 on (switchable: taken at once; GBPA without Update is stored without effect)",
    why: "one behaviour for all versions; the switch shows drivers that a strict part saves from their mistakes",
  },
  {
    id: "cr0-in-transition",
    section: "§6.3.9",
    options: "changing a field whose Update is pending: the second value is ignored, or going back stops the Update",
    ours: "the second value is ignored and the first one completes",
    why: "allowed in every version",
  },
  {
    id: "cmdq-cons-err",
    section: "§6.3.28",
    options: "CMDQ_CONS.ERR written with CMDQEN == 0: taken or ignored",
    ours: "taken",
    why: "simple",
  },
  {
    id: "queue-prod-spare-bits",
    section: "§6.3.27",
    options: "index bits above the queue's size in registers that software owns: stored or not",
    ours: "stored and read back, without effect",
    why: "drivers compare what they read back",
  },
  {
    id: "queue-inconsistent",
    section: "§3.5.1, §3.21.2",
    options:
      "indexes in an inconsistent state: unknown entries are used, nothing is consumed or produced, or the output queue is as full; " +
      "after an inconsistent write of CMDQ_PROD: unknown commands, or none until the queue has been disabled and enabled",
    ours: "the Command queue stands still, after such a write until CMDQEN has been 0; the Event queue and the PRI queue count as full",
    why: "no memory outside the queue's valid entries is touched, and a driver that mends PROD alone is found out",
  },
  {
    id: "gerrorn-inactive",
    section: "§6.3.20",
    options: "toggling GERRORN for an inactive error: the error activates or not",
    ours: "GERROR and GERRORN then differ, which is what active means; no interrupt",
    why: "nothing but the comparison decides",
  },
  {
    id: "event-write-abort",
    section: "§7.2.2",
    options: "an abort of an event's write is synchronous or asynchronous",
    ours: "synchronous: PROD does not pass the record that aborted",
    why: "all records up to PROD stay valid",
  },
  {
    id: "pri-write-abort",
    section: "§8.2",
    options: "an abort of a page request's write is synchronous, or asynchronous and unanswered; the queue may be read at any time",
    ours: "synchronous: PROD does not pass the entry that aborted, and the request gets Response Failure; it is never read",
    why: "all entries up to PROD stay valid, and no function waits in vain",
  },
  {
    id: "pri-without-substreams",
    section: "§8, §8.1, §4.5.2",
    options:
      "without substreams: the automatic response after an overflow depends on the STE or not; CMD_PRI_RESP with SSV 1 acts as with SSV 0 or " +
      "does nothing; what a request with a PASID is, is open",
    ours: "it does not depend; as with SSV 0; such a request, or Stop Marker, is taken as one without a PASID",
    why: "the SMMU has nowhere to keep a PASID",
  },
  {
    id: "pri-record-unknown",
    section: "§8",
    options: "SubstreamID of an entry with SSV 0 is UNKNOWN; StreamIDs and SubstreamIDs beyond the implemented size are not mentioned",
    ours: "0; recorded as they came",
    why: "what is in memory depends on the request alone",
  },
  {
    id: "pri-last-only-without-msi",
    section: "§6.3.36",
    options: "PRIQ_IRQ_CFG2, which is not there without MSIs, has LO, which applies to wired interrupts too",
    ours: "without MSIs it is RES0: the interrupt comes when the queue turns non-empty",
    why: "the register's presence is stated without exception",
  },
  {
    id: "pri-service-failure",
    section: "§12.3",
    options: "what page requests meet in Service Failure Mode",
    ours: "Response Failure, as with the queue off",
    why: "a function is to be answered always",
  },
  {
    id: "eventMerging",
    section: "§3.5.5, §7.3.1",
    options: "equal events close in time may be merged where STE.MEV is 1, and those that need no STE always",
    ours:
      "never merged (switchable: an event is merged into the record just before it if software has not consumed that record yet, " +
      "no more than 1000 ns have passed since it was written, and STE.MEV was 1 for both)",
    why: "each fault is seen",
  },
  {
    id: "maintenance",
    section: "§4.7.3",
    options: "an invalidation takes effect at any time between its consumption and the completion of a CMD_SYNC behind it",
    ours: "when it is consumed (switchable to: with the CMD_SYNC, and broadcasts with Smmu.broadcastSync)",
    why: "the late one finds drivers without a CMD_SYNC",
  },
  {
    id: "prefetch",
    section: "§4.2",
    options:
      "CMD_PREFETCH_* may fetch configuration and translations, or do nothing; SSV 1 without substreams: as 0, or nothing; Stride in v3.0: " +
      "ignored, or CERROR_ILL",
    ours:
      "nothing, after the checks for CERROR_ILL (switchable: what is asked for is fetched, whatever the permissions, up to 512 addresses and " +
      "no more than the TLB has entries; nothing for SSV 1 without substreams; Stride in v3.0 is ignored)",
    why: "caches then hold only what transactions brought in",
  },
  {
    id: "commandReservedFields",
    section: "§4.1.5",
    options: "non-zero reserved fields of a command: CERROR_ILL or ignored",
    ours: "ignored, named by a lint message (switchable to CERROR_ILL)",
    why: "later software on this model goes on working",
  },
  {
    id: "command-out-of-range",
    section: "§4.1.7",
    options: "StreamID or SubstreamID beyond the implemented size: no effect, or an UNPREDICTABLE value",
    ours: "no effect, named by a lint message",
    why: "a driver's mistake stays visible",
  },
  {
    id: "interrupts-wired-and-msi",
    section: "§3.18",
    options: "an interrupt source asserts a wired output, sends an MSI, or both",
    ours: "both where MSIs are implemented and their address is not 0",
    why: "the machine connects what it has",
  },
  {
    id: "agbpa",
    section: "§6.3.15",
    options: "AGBPA is IMPLEMENTATION DEFINED",
    ours: "RES0",
    why: "no such attribute is modelled",
  },
  {
    id: "dormant",
    section: "§6.3.13, §3.19.1",
    options: "when STATUSR.DORMANT tells that nothing is cached",
    ours: "while the caches are empty, from the first invalidation after a reset on (it resets to 0)",
    why: "exact, and simple",
  },
];

/** A range of register offsets that the architecture gives to something that is not modelled. It is RES0. */
export interface AbsentBlock {
  readonly name: string;
  readonly first: number;
  readonly last: number;
}

/** The identification registers say that none of these exists; writes to them are counted. */
export const absentBlocks: readonly AbsentBlock[] = [
  { name: "SMMU_S2PII (stage 2 permission indirection)", first: 0x30, last: 0x37 },
  { name: "ATOS registers", first: 0x100, last: 0x11f },
  { name: "MPAM registers", first: 0x130, last: 0x13f },
  { name: "VATOS registers", first: 0x180, last: 0x183 },
  { name: "Device Permission Table registers", first: 0x200, last: 0x217 },
  { name: "performance monitor registers", first: 0xe00, last: 0xeff },
  { name: "enhanced Command queue control page registers", first: 0x4000, last: 0x5fff },
  { name: "Secure registers", first: 0x8000, last: 0xffff },
];
