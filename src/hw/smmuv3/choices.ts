// SPDX-License-Identifier: MIT
/**
 * Where the architecture leaves a choice (CONSTRAINED UNPREDICTABLE, IMPLEMENTATION DEFINED, options): what this model does, and
 * why. The one table that code, tests and documentation read; `choices` holds all rows.
 */
import { registerChoices } from "./choices-registers.ts";

export { registerChoices };

/** One such behaviour. */
export interface Choice {
  /** Short and stable, for references from tests and documentation. */
  readonly id: string;
  /** Where IHI 0070 leaves it open. */
  readonly section: string;
  /** What the architecture allows. */
  readonly options: string;
  /** What the model does. */
  readonly ours: string;
  readonly why: string;
}

/** Choices of the translation side that an embedding program may make. */
export interface TranslationChoices {
  /** Row "level1-cached-invalid": L1STDs with Span 0 and L1CDs with V 0 are cached. */
  readonly cacheInvalidLevel1: boolean;
  /** Far atomics: passed on, or not there (F_UUT). */
  readonly atomics: "supported" | "unsupported";
  /** TLB entries with CD.ASET 1, at a broadcast that matches their ASID (without ASIDs: their address). */
  readonly privateAsids: "spared" | "dropped";
  /** ATS Translated transactions with an address beyond the output size. */
  readonly translatedBeyondOas: "abort" | "truncate";
  /** Permission to write for an ATS Translation Request with NW 1, where memory is writable and dirty. */
  readonly unaskedWrite: "granted" | "withheld";
}

export const defaultTranslationChoices: TranslationChoices = {
  cacheInvalidLevel1: true,
  atomics: "supported",
  privateAsids: "spared",
  translatedBeyondOas: "abort",
  unaskedWrite: "granted",
};

/** What each of them can be. */
export const translationChoiceValues: { readonly [K in keyof TranslationChoices]: readonly TranslationChoices[K][] } = {
  cacheInvalidLevel1: [true, false],
  atomics: ["supported", "unsupported"],
  privateAsids: ["spared", "dropped"],
  translatedBeyondOas: ["abort", "truncate"],
  unaskedWrite: ["granted", "withheld"],
};

/** Rows of the translation side. */
export const translationChoices: readonly Choice[] = [
  {
    id: "strtab-beyond-oas",
    section: "§3.4.3",
    options: "an STE or L1STD address beyond the output address size: truncated, or F_STE_FETCH",
    ours: "F_STE_FETCH",
    why: "a wrong pointer shows instead of reading other memory",
  },
  {
    id: "s1contextptr-beyond-ias",
    section: "§3.4.3",
    options: "S1ContextPtr beyond the intermediate address size: C_BAD_STE, or a stage-2 F_TRANSLATION",
    ours: "C_BAD_STE",
    why: "the same as without stage 2",
  },
  {
    id: "l2ptr-beyond-ias",
    section: "§3.4.3",
    options: "L1CD.L2Ptr beyond the intermediate address size: C_BAD_SUBSTREAMID, or a stage-2 F_TRANSLATION",
    ours: "C_BAD_SUBSTREAMID",
    why: "the same as without stage 2",
  },
  {
    id: "early-pointers",
    section: "§3.4.3",
    options: "v3.0, stage 1 only: S1ContextPtr or L2Ptr beyond the output address size: truncated, F_CD_FETCH, or as later versions",
    ours: "as from v3.1 on: C_BAD_STE, C_BAD_SUBSTREAMID",
    why: "one behaviour for all versions",
  },
  {
    id: "early-table-bases",
    section: "§5.2, §5.4",
    options: "v3.0: bits [51:48] of TTB0, TTB1 and S2TTB are RES0: ignored, or the structure is ILLEGAL",
    ours: "ILLEGAL, as any base beyond the output size",
    why: "one behaviour for all versions",
  },
  {
    id: "s1contextptr-low-bits",
    section: "§5.2",
    options: "S1ContextPtr bits below the table's alignment: as zero, or any entry is fetched",
    ours: "as zero",
    why: "the address that aligned software meant",
  },
  {
    id: "res0-in-structures",
    section: "§5",
    options: "RES0 bits of structures and fields of absent features: ignored, or ILLEGAL",
    ours: "ignored; those that ask for a feature are counted as not modelled",
    why: "later software goes on working, and nothing is silent",
  },
  {
    id: "txsz-range",
    section: "§5.2, §5.4",
    options: "TxSZ and S2T0SZ out of range, v3.0: clamped, or ILLEGAL",
    ours: "ILLEGAL in every version",
    why: "mandatory from v3.1 on",
  },
  {
    id: "cont",
    section: "§5.2",
    options: "STE.CONT: a cached STE may serve its aligned block, a mismatch may give F_CFG_CONFLICT",
    ours: "ignored",
    why: "a hint",
  },
  {
    id: "level1-cached-invalid",
    section: "§3.21.3, §5.1",
    options: "L1STD and L1CD without a level-2 table: cached, or fetched again",
    ours: "cached until maintenance with Leaf 0 (switchable)",
    why: "shows drivers that add a level-2 table and invalidate the leaf only",
  },
  {
    id: "config-cache-replacement",
    section: "§3.21",
    options: "any replacement",
    ours: "the entry cached longest ago goes; an STE takes its CDs along",
    why: "deterministic, and independent of hits",
  },
  {
    id: "tlb-replacement",
    section: "§3.17",
    options: "any replacement",
    ours: "a hand goes round the slots, free slots first",
    why: "deterministic, and independent of hits",
  },
  {
    id: "walk-cache",
    section: "§3.17",
    options: "table descriptors may be cached",
    ours: "as many of either stage as the configuration says, stage-1 tables of nested streams by their intermediate address",
    why: "a TLBI with Leaf 1 where a table was changed shows",
  },
  {
    id: "caching-of-faults",
    section: "§3.17",
    options: "a valid translation that refuses the access may be cached",
    ours: "not cached by the access that it refuses",
    why: "the next access sees what software has repaired",
  },
  {
    id: "update-on-fault",
    section: "§3.13.2",
    options: "an access that ends in a fault: Access flags on its way may be set, stage 1 may have become dirty where stage 2 refuses",
    ours:
      "a stage updates its descriptors, tables first, when it has granted the access, and stage 1 does so before stage 2 of the output " +
      "is looked up; a stage that faults updates nothing",
    why: "each stage is done before the next begins, as the faults are ordered",
  },
  {
    id: "update-contention",
    section: "§3.13.4",
    options: "a descriptor that is another one at each attempt to update it",
    ours: "after 8 walks F_WALK_EABT, as of memory that has no atomic update",
    why: "no transaction goes on for ever",
  },
  {
    id: "update-through-clean-entry",
    section: "§3.13.4",
    options: "a write that hits a cached writable-clean translation: the descriptor is checked, in any way",
    ours: "the entry goes and the walk is done again",
    why: "the new contents count whatever they are",
  },
  {
    id: "assured-initial-level",
    section: "§3.27.2; DDI 0487 D8.2.7.3",
    options: "which descriptors make a translation assured: the text names those of the levels after the initial one",
    ours: "TL0 or TL1 and the CD's memory decide the initial level; from there on each descriptor read has to be Protected and mostly read-only",
    why: "as the text stands: the initial table is vouched for by its TopLevel check",
  },
  {
    id: "tlb-multiple-match",
    section: "§3.20.1",
    options: "several matching entries: F_TLB_CONFLICT, or one of them (or a mix within its reach)",
    ours: "the one of the smallest size; no event",
    why: "deterministic; BBML 2 promises no conflict",
  },
  {
    id: "nT",
    section: "§3.21.1",
    options: "BBML 1: a block with nT is cached so that nothing conflicts, or not at all",
    ours: "not cached",
    why: "simple",
  },
  {
    id: "contiguous",
    section: "§3.17",
    options: "the Contiguous bit is a hint; descriptors of a run that disagree may give any of their translations",
    ours: "one entry for the run, if it fits the sizes and the descriptor's output address has its place in it; else as if the bit were 0",
    why: "a stale neighbour shows, a misplaced bit does no harm",
  },
  {
    id: "descriptor-bits-15-12",
    section: "§5.4",
    options:
      "64 KiB granules without 52-bit addresses: descriptor bits [15:12] other than 0 are F_ADDR_SIZE or are ignored (DDI 0487 D8.15)",
    ours: "ignored",
    why: "the descriptor then holds 48 bits, and the bits above count as zero",
  },
  {
    id: "had-or-disch",
    section: "§5.4",
    options:
      "with IDR5.D128 bits 65 and 129 of a CD are DisCH0 and DisCH1, which VMSAv9-128 tables alone have: with VMSAv8-64 tables HADx or nothing",
    ours: "HAD0 and HAD1 with VMSAv8-64 tables",
    why: "IDR3.HAD is 1 there too, and software that does not know D128 goes on working",
  },
  {
    id: "aie-128",
    section: "§5.4",
    options: "AttrIndx[3] of VMSAv9-128 leaves: as CD.AIE says (IHI 0070), or always there (DDI 0487 D8.6.1)",
    ours: "as CD.AIE says",
    why: "IHI 0070 says for other fields which ones are implicitly 1, and not for this one",
  },
  {
    id: "txsz-128",
    section: "§5.2, §5.4",
    options: "VMSAv9-128 tables without STT: TxSZ and S2T0SZ up to 48 or 47 (field descriptions), or up to 39 (validity functions)",
    ours: "up to 39",
    why: "as with VMSAv8-64 tables",
  },
  {
    id: "start-beyond-output",
    section: "§3.4.3",
    options: "a first entry beyond the output size in a VMSAv9-128 table whose base is not: a fetch, or F_ADDR_SIZE (DDI 0487 D8.2.11.1)",
    ours: "F_ADDR_SIZE, as of later tables",
    why: "the table's address is the stage's own output",
  },
  {
    id: "table-alignment",
    section: "§5.4",
    options: "the least alignment of 64 bytes follows the effective output size alone (IHI 0070), or granule and DS too (DDI 0487)",
    ours: "wherever the effective IPS or S2PS is 52 bits",
    why: "IHI 0070 says so for every VMSAv8-64 table",
  },
  {
    id: "s1-only-and-nested",
    section: "§3.17",
    options: "stage-1-only and nested streams with one VMID may hit each other's entries",
    ours: "they never do",
    why: "results stay within the stream's own stage 2",
  },
  {
    id: "combined-entries",
    section: "§4.4.3",
    options: "CMD_TLBI_S2_IPA may drop entries that combine both stages",
    ours: "they stay until a stage-1 command reaches them",
    why: "shows hypervisors that forget the second command",
  },
  {
    id: "tlbi-el2-e2h",
    section: "§4.4.2",
    options: "CMD_TLBI_EL2_* of one CR2.E2H need not reach entries of the other",
    ours: "both kinds go; entries without ASID count as global",
    why: "software must not mix them",
  },
  {
    id: "tlbi-8-bit-tags",
    section: "§4.4.1, §3.17.4",
    options: "ASID or VMID operand, of a command or a broadcast, beyond 8 bits where only 8 are implemented: no match, or truncated",
    ours: "no match",
    why: "simple",
  },
  {
    id: "privateAsids",
    section: "§3.17",
    options: "broadcasts that match an ASID (at EL2 an address) drop entries with CD.ASET 1, or spare them",
    ours: "spared (switchable to dropped); walk cache entries go",
    why: "shows software that relies on broadcasts where it has opted out of them",
  },
  {
    id: "broadcast-ptm",
    section: "§3.17, §6.3.12",
    options: "broadcasts with CR2.PTM 1: ignored, or carried out",
    ours: "ignored",
    why: "recommended",
  },
  {
    id: "broadcast-e2h",
    section: "§3.17.5",
    options: "broadcasts of a PE at EL2 with E2H and entries of EL2 without, or the other way round: dropped or not",
    ours: "not dropped",
    why: "software has to set CR2.E2H as HCR_EL2.E2H",
  },
  {
    id: "tlbi-ttl128",
    section: "§4.4.1.1",
    options: "TTL128 with a TTL: only entries of 128-bit descriptors (1) or of 64-bit ones (0) have to go",
    ours: "exactly these; without IDR5.D128 TTL128 is ignored",
    why: "a wrong hint shows; where there are no 128-bit descriptors dropping more is allowed",
  },
  {
    id: "tlbi-range-alignment",
    section: "§4.4.1.1",
    options: "a range whose address is not aligned to the leaf that TTL names: any range",
    ours: "the range as it stands",
    why: "simple",
  },
  {
    id: "tlbi-tbi",
    section: "§4.4.2",
    options: "bits [63:56] of a VA operand under TBI",
    ours: "compared as copies of bit 55",
    why: "as entries are kept; drops more rather than less",
  },
  {
    id: "stall-duplicates",
    section: "§3.12.2.1",
    options: "a stall record that repeats that of an earlier, still stalled transaction may be suppressed",
    ours: "never suppressed",
    why: "each transaction is seen and answered by itself",
  },
  {
    id: "stall-early-retry",
    section: "§3.12.2.2",
    options: "a stalled transaction whose event is recorded may be tried again before CMD_RESUME",
    ours: "never",
    why: "nothing happens to it but by software's word; drivers that forget an answer are caught",
  },
  {
    id: "stall-unrecorded",
    section: "§7.2.1",
    options: "a stall whose record could not be written: that record is written later, or the transaction is tried again",
    ours: "tried again, in order of arrival, at the write that makes the queue writable",
    why: "records never tell of a configuration or translation that is gone, with or without CMD_SYNC",
  },
  {
    id: "stall-term-unrecorded",
    section: "§4.7.2",
    options: "CMD_STALL_TERM without the STE's shutdown before it: unrecorded stalls may still be recorded or not be terminated",
    ours: "all of the stream are terminated, and no record appears",
    why: "the same as with the shutdown",
  },
  {
    id: "stall-record-abort",
    section: "§7.2.2",
    options: "an abort of a stall record's write may lose the record",
    ours: "not lost: the transaction counts as unrecorded",
    why: "no device waits for an answer to a record that nobody saw",
  },
  {
    id: "stall-max",
    section: "§6.3.6",
    options: "with STALL_MAX records unanswered, what becomes of a further transaction that stalls",
    ours: "it is held without a record, as with a queue that is not writable; other transactions go on",
    why: "the guarantee of STALL_MAX holds and nothing is lost",
  },
  {
    id: "stag",
    section: "§3.12.2",
    options: "any STAG that is not in use",
    ours: "counted from 0 to 0xffff and round again, over all streams",
    why: "a late or doubled CMD_RESUME finds nothing instead of another transaction",
  },
  {
    id: "stall-pcie",
    section: "§3.12, §16.4",
    options: "a stream whose stalling endangers the system (PCIe) may be terminated instead, recorded with Stall 0",
    ours: "stalls as configured: the SMMU does not know which streams are PCIe's; posted writes of a PCIe function queue up behind it",
    why: "software that forgot STE.S1STALLD sees what real hardware does",
  },
  {
    id: "stall-reset",
    section: "§3.11",
    options: "stalled transactions at a hardware reset of the SMMU",
    ours: "they end with an abort",
    why: "a device that was not reset with it does not wait for ever",
  },
  {
    id: "ats-absent",
    section: "§5.2, §3.9.1",
    options: "what an SMMU without ATS makes of ATS traffic, which it should not see",
    ours: "Translation Requests get UR, Translated transactions abort; no event",
    why: "as a root complex without ATS answers",
  },
  {
    id: "atschk-cached",
    section: "§5.2, §6.3.9",
    options: "CR0.ATSCHK may be cached with an STE",
    ours: "as CR0ACK has it",
    why: "nothing but its own Update has to be waited for",
  },
  {
    id: "translated-kinds",
    section: "§3.22, §3.9.1.3",
    options: "which permissions a Translated destructive read or prefetch hint needs, where no stage translates it",
    ours: "none: STE.DRE and STE.DCP decide alone",
    why: "the SMMU knows no permission of an address that it did not translate",
  },
  {
    id: "translatedBeyondOas",
    section: "§3.9.1.1",
    options: "an ATS Translated transaction beyond the output size: abort without an event, or truncated",
    ours: "abort (switchable to truncated)",
    why: "a wrong address shows instead of reaching other memory",
  },
  {
    id: "ats-attributes",
    section: "§13.6.2",
    options:
      "ATS Translated transactions: attributes as for the untranslated address, or fixed ones; which PRIVCFG and INSTCFG count in full ATS",
    ours:
      "fixed: Normal Write-Back, Inner Shareable, combined with those of stage 2 where ATS is split-stage; completions hold no " +
      "attributes; PRIVCFG and INSTCFG count wherever there is an STE",
    why: "attribute stashing is forbidden from v3.4 on; the overrides count as recommended",
  },
  {
    id: "ats-disabled-stream",
    section: "§3.9.1.3, §7.3.7",
    options: "ATS Translated transactions without a SubstreamID where S1DSS forbids them and PASIDTT is 1: F_STREAM_DISABLED, or not",
    ours: "not: S1DSS counts for those with a SubstreamID",
    why: "functions that send no PASID with them work as with PASIDTT 0",
  },
  {
    id: "ats-bad-cd",
    section: "§3.9.1.2, §3.9.1.3",
    options: "C_BAD_CD of a Translation Request or a Translated transaction: the tables of responses do not name it",
    ours: "CA, or an abort; recorded with CR2.REC_CFG_ATS",
    why: "as every configuration error",
  },
  {
    id: "ats-f-walk-eabt-cd",
    section: "§3.9.1.3",
    options: "ATS Translated transactions: F_WALK_EABT of stage 2 where the CD is fetched is translation-related, or an error of the fetch",
    ours: "an error of the fetch: recorded with CR2.REC_CFG_ATS",
    why: "CD.R and STE.S2R do not govern it either",
  },
  {
    id: "ats-order",
    section: "§15.1",
    options: "F_BAD_ATS_TREQ and C_BAD_SUBSTREAMID of one Translation Request: the text gives no order",
    ours: "F_BAD_ATS_TREQ first",
    why: "as F_TRANSL_FORBIDDEN comes first for Translated transactions",
  },
  {
    id: "unaskedWrite",
    section: "§13.7",
    options: "a Translation Request with NW 1 to memory that is writable and dirty: W granted, or not",
    ours: "granted (switchable to withheld)",
    why: "as the pseudocode has it: the function need not ask again",
  },
  {
    id: "ats-split-update",
    section: "§3.13.7.1",
    options:
      "split-stage ATS: a Translation Request updates the stage-2 descriptor of the final address, or the Translated transaction does",
    ours: "the request does, as in full ATS; the transaction does what is left",
    why: "one procedure for both",
  },
  {
    id: "ats-access-flag",
    section: "§3.13.7.1",
    options: "Access flags on the way of a Translation Request that is granted nothing",
    ours: "set, as far as the stages were walked",
    why: "an access may follow, and a completion is sent all the same",
  },
  {
    id: "ats-identity-size",
    section: "§13.6.4",
    options: "the size of an identity-mapped completion: from one page up to the output size",
    ours: "the output size",
    why: "the same answer holds for every address",
  },
  {
    id: "atc-inv-size",
    section: "§4.5.1",
    options: "CMD_ATC_INV with a Size beyond 52: CERROR_ILL, or an UNKNOWN span",
    ours: "CERROR_ILL",
    why: "a mistake shows",
  },
  {
    id: "atc-inv-without-pasids",
    section: "§4.5.1",
    options: "CMD_ATC_INV with SSV 1 where there are no SubstreamIDs: as with SSV 0, or no effect",
    ours: "as with SSV 0",
    why: "invalidating more is always allowed",
  },
  {
    id: "atc-sync-error",
    section: "§3.9.1.4, §4.7.3",
    options: "when CERROR_ATC_INV_SYNC comes, and what becomes of requests that may still complete",
    ours:
      "when no Invalidate Request is under way any more, at the CMD_SYNC that waits for them; it is told once: the next CMD_SYNC " +
      "fails only if another request times out",
    why: "software that sends them again finds no old ones in its way",
  },
  {
    id: "alloccfg-without-mtcfg",
    section: "§5.2",
    options: "ALLOCCFG with MTCFG 0: effective or not",
    ours: "effective",
    why: "the plainer reading",
  },
  {
    id: "stage2-memattr-reserved",
    section: "§13.1.6",
    options: "reserved MemAttr codes of stage 2",
    ours: "Device-nGnRnE without S2FWB; with it bit 3 is ignored, with MTEPERM too, and 0b100 is Normal Non-cacheable",
    why: "the strongest type, as the STE field has it",
  },
  {
    id: "stage1-shareability-into-stage2",
    section: "§13.4.2, DDI 0487 D8.6.2",
    options: "stage 1 maps Device or Normal iNC-oNC: stage 2 combines with the descriptor's shareability, or with Outer Shareable",
    ours: "with the descriptor's",
    why: "it shows only where S2FWB makes such a page write-back",
  },
  {
    id: "own-access-attributes",
    section: "§13.1.8",
    options: "attributes of the SMMU's own accesses matter to the memory system",
    ours:
      "those of Stream table, queues and interrupt messages are told to the host; S1CIR/S1COR/S1CSH, IRx/ORx/SHx and " +
      "S2IR0/S2OR0/S2SH0 are not, but for SHx and S2SH0 on leaves with DS; the modelled memory ignores all",
    why: "the modelled memory is coherent",
  },
  {
    id: "atomics",
    section: "§16.7.6",
    options:
      "far atomics where the interconnect has none: F_UUT, or made of local ones; what F_PERMISSION says in v3.0 where only the read is refused",
    ours: "passed on (switchable to F_UUT); RnW is 1 then in every version",
    why: "the memory system is the embedding program's",
  },
  {
    id: "unsupported",
    section: "§7.3.2, §16.7.1",
    options: "which transactions are unsupported; F_UUT before or after other errors, and with SMMUEN 0",
    ours: "those that the embedding program names so (TransactionKind.unsupported); before all else, with SMMUEN 0, too; Reason is 0",
    why: "the model has no interconnect of its own",
  },
  {
    id: "early-cache-maintenance",
    section: "§16.7.2",
    options: "v3.0: cache maintenance operations of clients",
    ours: "F_UUT; the destructive hint has no effect",
    why: "a client that counts on them shows",
  },
  {
    id: "destructive-reads",
    section: "§3.22",
    options: "a destructive read that is downgraded: a read, or a read with clean and invalidate; the latter: unchanged, or a read",
    ours: "a plain read; the latter leaves unchanged (v3.0: a plain read)",
    why: "nothing but the data is asked for",
  },
  {
    id: "kinds-downgraded",
    section: "§3.22, §16.7.2.3",
    options: "destructive reads, prefetches and cache maintenance may be downgraded for any reason, such as their memory type",
    ours: "only where DRE, DCP or permissions ask for it",
    why: "no interconnect's limits are modelled",
  },
  {
    id: "prefetch-permissions",
    section: "§3.22.2",
    options: "a directed cache prefetch without data: permissions of the stages are judged together, or each by itself",
    ours: "each by itself",
    why: "as for all other accesses",
  },
  {
    id: "poisoned-fetch",
    section: "§3.12",
    options: "a poisoned read of a structure or descriptor",
    ours: "as an external abort",
    why: "its contents cannot be trusted",
  },
];

/** All rows of the model. */
export const choices: readonly Choice[] = [...translationChoices, ...registerChoices];
