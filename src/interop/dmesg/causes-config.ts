// SPDX-License-Identifier: MIT
/** Causes of events about configuration: Stream table, CDs, table memory, ATS. The other half of the table in causes.ts. */
import { EventNumber } from "../../hw/index.ts";
import { FEAT_2_LVL_STRTAB } from "./features.ts";
import { type Cause, type Subject, inRam } from "./subject.ts";

const E = EventNumber;

const linearTable = ({ boot, device }: Subject): boolean =>
  ((boot.probes.get(device)?.features ?? FEAT_2_LVL_STRTAB) & FEAT_2_LVL_STRTAB) === 0;
const fetchOutside = (s: Subject): boolean => s.fetch !== undefined && s.boot.ram.length > 0 && !inRam(s, s.fetch);

export const CONFIGURATION_CAUSES: readonly Cause[] = [
  {
    id: "streamid-map",
    events: [E.C_BAD_STREAMID],
    weight: 80,
    when: () => true,
    text: () =>
      "the StreamID on the bus is not the one that the firmware's map says: Linux makes STEs only around StreamIDs that it was told of",
    next: "iommu-map or IORT ID mappings against the StreamID in the record; for PCIe its low 16 bits are the requester ID",
    reference: "IHI 0070 §7.3.3; arm_smmu_init_sid_strtab",
  },
  {
    id: "linear-table-misaligned",
    events: [E.C_BAD_STE],
    weight: 82,
    when: linearTable,
    text: () =>
      "the probe line has no two-level Stream table: a large linear one must be aligned to its size, and memory from CMA may not be; the SMMU then reads STEs from somewhere else",
    next: "STRTAB_BASE against the table's size (64 bytes for each StreamID)",
    reference: "IHI 0070 §6.3.24; arm_smmu_init_strtab_linear",
  },
  {
    id: "table-overwritten",
    events: [E.C_BAD_STE],
    weight: 70,
    when: () => true,
    text: () =>
      "every STE that Linux allocates is valid from the start: V = 0 or nonsense means that the table's memory was overwritten (by a device in bypass, by another owner) or is not the table that the SMMU looks at",
    next: "the eight words of the STE (quiesce decode ste) and STRTAB_BASE",
    reference: "arm_smmu_init_initial_stes",
  },
  {
    id: "ste-illegal",
    events: [E.C_BAD_STE],
    weight: 60,
    when: () => true,
    text: () =>
      "the STE is valid but ILLEGAL for this SMMU: a stage, granule, size, VMID width or stall setting that it does not implement",
    next: "quiesce decode ste WORDS names the rule",
    reference: "IHI 0070 §5.2.2",
  },
  {
    id: "ste-stale",
    events: [E.C_BAD_STE],
    weight: 34,
    when: () => true,
    text: () => "a cached STE: the entry was changed without CMD_CFGI_STE and CMD_SYNC, or the CMD_SYNC timed out",
    reference: "IHI 0070 §3.21.3; arm_smmu_write_ste",
  },
  {
    id: "table-gone",
    events: [E.F_STE_FETCH, E.F_CD_FETCH, E.F_WALK_EABT, E.F_VMS_FETCH],
    weight: 81,
    when: fetchOutside,
    text: (s) =>
      `the structure's address 0x${s.fetch!.toString(16)} is not in RAM: the pointer to it is nonsense (overwritten table, or a structure of an earlier kernel)`,
    next: "the structure above it, which holds the pointer",
    reference: "IHI 0070 §7.3.4, §7.3.10, §7.3.12",
  },
  {
    id: "table-protected",
    events: [E.F_STE_FETCH, E.F_CD_FETCH, E.F_WALK_EABT, E.F_VMS_FETCH],
    weight: 66,
    when: (s) => !fetchOutside(s),
    text: () =>
      "memory that holds the structure does not answer the SMMU: protected by firmware (TrustZone, granule protection), powered down, with an uncorrectable error, or reserved since",
    next: "reserved-memory and firmware carve-outs around the address; RAS records",
    reference: "IHI 0070 §7.3.4, §7.3.10, §7.3.12",
  },
  {
    id: "granule-protection",
    events: [E.F_STE_FETCH, E.F_CD_FETCH, E.F_WALK_EABT, E.F_VMS_FETCH],
    weight: 94,
    when: ({ fields }) => fields["GPCF"] === 1,
    text: () => "GPCF is 1: the granule protection table gives the memory to another physical address space (Realm, Secure, Root)",
    reference: "IHI 0070 §3.25",
  },
  {
    id: "walk-freed",
    events: [E.F_WALK_EABT],
    weight: 60,
    when: () => true,
    text: () =>
      "the walk went through a table that was freed or overwritten, so that a descriptor points to nowhere (a missing TLB invalidation keeps such tables in use)",
    next: "the driver's TLBI and CMD_SYNC before it frees tables; CMD_SYNC timeouts before this line",
    reference: "IHI 0070 §3.21.1; arm_lpae_unmap_pages",
  },
  {
    id: "pasid-unbound",
    events: [E.C_BAD_CD, E.C_BAD_SUBSTREAMID],
    weight: 80,
    when: ({ substream }) => substream,
    text: () => "no CD for this SubstreamID (PASID): the address space was unbound while the device still uses it, or was never bound",
    next: "the user's order: stop the queue of this PASID, then unbind",
    reference: "arm_smmu_remove_dev_pasid, arm_smmu_clear_cd",
  },
  {
    id: "pasid-not-enabled",
    events: [E.C_BAD_SUBSTREAMID],
    weight: 64,
    when: () => true,
    text: () =>
      "the stream's STE has no room for this SubstreamID: substreams are off (S1CDMax is 0, identity or stage-2 domain) or it is beyond 2^S1CDMax",
    next: "pasid-num-bits (device tree), the PASID capability, the type of the group's domain",
    reference: "IHI 0070 §7.3.9; arm_smmu_enable_pasid",
  },
  {
    id: "cd-invalid",
    events: [E.C_BAD_CD],
    weight: 62,
    when: () => true,
    text: () =>
      "the CD is not valid: written after the STE that points to it, cached from before (no CMD_CFGI_CD), overwritten, or ILLEGAL for this SMMU",
    next: "quiesce decode cd WORDS names the rule",
    reference: "IHI 0070 §5.4.2; arm_smmu_write_cd_entry",
  },
  {
    id: "substream-zero",
    events: [E.F_STREAM_DISABLED],
    weight: 75,
    when: () => true,
    text: () =>
      "with substreams on, Linux lets CD 0 serve traffic without a SubstreamID, so SubstreamID 0 itself is forbidden; or S1DSS forbids traffic without one",
    next: "does the device send PASID 0, or untagged traffic although only tagged traffic is expected?",
    reference: "IHI 0070 §5.2 (S1DSS); arm_smmu_make_cdtable_ste",
  },
  {
    id: "ats-off",
    events: [E.F_BAD_ATS_TREQ, E.F_TRANSL_FORBIDDEN],
    weight: 80,
    when: () => true,
    text: () =>
      "ATS is on in the endpoint but not in its STE (EATS is 0): left on by an earlier kernel or firmware, or switched off in the wrong order; translated addresses may come from a stale ATC",
    next: "the ATS capability's Enable bit (lspci -vv); pci_disable_ats before the STE changes",
    reference: "IHI 0070 §3.9.2; arm_smmu_attach_prepare",
  },
  {
    id: "unsupported-transaction",
    events: [E.F_UUT],
    weight: 70,
    when: () => true,
    text: () =>
      "an atomic, exclusive or otherwise special access, or one that crosses 4 KiB: the SMMU or the interconnect does not support it",
    reference: "IHI 0070 §7.3.2",
  },
  {
    id: "break-before-make",
    events: [E.F_TLB_CONFLICT],
    weight: 80,
    when: () => true,
    text: () =>
      "tables were changed between block and pages, or contiguous and not, without break-before-make, on an SMMU whose BBML does not allow it",
    reference: "IHI 0070 §3.21.1.1, §7.3.17",
  },
  {
    id: "cont",
    events: [E.F_CFG_CONFLICT],
    weight: 80,
    when: () => true,
    text: () => "STE.CONT joins STEs that are not equal (Linux never sets CONT: the STE was overwritten, or other software wrote it)",
    reference: "IHI 0070 §7.3.18",
  },
  {
    id: "page-request",
    events: [E.E_PAGE_REQUEST],
    weight: 50,
    when: () => true,
    text: () => "a hint of the client, no fault: the memory will be used soon",
    reference: "IHI 0070 §7.3.19",
  },
];
