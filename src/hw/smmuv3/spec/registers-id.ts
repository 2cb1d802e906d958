// SPDX-License-Identifier: MIT
/** Page 0, Non-secure: the ID registers that state what is implemented (IHI 0070 §6.3.1 … §6.3.8). */
import type { SmmuRegister } from "./register-types.ts";

export const idRegisterTable: readonly SmmuRegister[] = [
  {
    name: "SMMU_IDR0",
    offset: 0x0000, page: 0, width: 32, access: "RO", section: "§6.3.1",
    fields: [
      {
        name: "RME_IMPL", hi: 30, lo: 30, reset: "id",
        what: "0 no RME features on programming interfaces, 1 RME features (GPCF in events); implies ROOT_IDR0.ROOT_IMPL==1",
      },
      { name: "ST_LEVEL", hi: 28, lo: 27, reset: "id", what: "0b00 linear only, 0b01 linear and 2-level, 0b1x reserved" },
      { name: "TERM_MODEL", hi: 26, lo: 26, reset: "id", what: "0 CD.A selects abort or RAZ/WI, 1 abort only, CD.A must be 1" },
      {
        name: "STALL_MODEL", hi: 25, lo: 24, reset: "id",
        what:
          "0b00 Stall and Terminate, 0b01 no Stall, 0b10 Stall forced, 0b11 reserved; with SECURE_IMPL==1 reads S_IDR0.STALL_MODEL, "
          + "but 0b01 when that is 0b00 and S_CR0.NSSTALLD==1 (only ID field that can change at run time)",
      },
      { name: "ATSRECERR", hi: 23, lo: 23, reset: "id", needs: ["ats"], what: "0 base ATS/PRI events only, 1 CR2.REC_CFG_ATS present" },
      { name: "TTENDIAN", hi: 22, lo: 21, reset: "id", what: "0b00 mixed, 0b01 reserved, 0b10 little only, 0b11 big only" },
      { name: "VATOS", hi: 20, lo: 20, reset: "id", needs: ["atos", "stage1", "stage2"], what: "0 absent, 1 VATOS page present" },
      { name: "CD2L", hi: 19, lo: 19, reset: "id", what: "0 no 2-level CD table, 1 2-level CD table" },
      { name: "VMID16", hi: 18, lo: 18, reset: "id", what: "0 8-bit VMID, 1 16-bit VMID" },
      { name: "VMW", hi: 17, lo: 17, reset: "id", needs: ["stage2"], what: "0 no wildcard, 1 VMID wildcard for invalidation" },
      { name: "PRI", hi: 16, lo: 16, reset: "id", needs: ["ats"], what: "0 no PRI, PRIQ registers reserved, 1 PRI" },
      { name: "ATOS", hi: 15, lo: 15, reset: "id", what: "0 no ATOS, GATOS registers reserved, VATOS RES0, 1 ATOS" },
      { name: "SEV", hi: 14, lo: 14, reset: "id", what: "0 no WFE wake events, 1 WFE wake events" },
      { name: "MSI", hi: 13, lo: 13, reset: "id", what: "0 wired only, 1 MSI supported" },
      { name: "ASID16", hi: 12, lo: 12, reset: "id", what: "0 8-bit ASID, 1 16-bit ASID" },
      {
        name: "NS1ATS", hi: 11, lo: 11, reset: "id", needs: ["ats", "stage1", "stage2"],
        what: "0 Split-stage ATS supported, 1 Split-stage ATS not supported",
      },
      { name: "ATS", hi: 10, lo: 10, reset: "id", what: "0 no, 1 PCIe ATS" },
      {
        name: "Hyp", hi: 9, lo: 9, reset: "id", needs: ["stage1", "stage2"],
        what: "0 no NS-EL2 contexts, 1 NS-EL2 contexts; mandatory 1 from v3.2 when S1P and S2P",
      },
      { name: "DORMHINT", hi: 8, lo: 8, reset: "id", what: "0 no, 1 STATUSR.DORMANT valid" },
      {
        name: "HTTU", hi: 7, lo: 6, reset: "id",
        what: "0b00 none, 0b01 Access flag, 0b10 Access flag and dirty state, 0b11 also Access flag in Table descriptors (v3.4 HAFT)",
      },
      { name: "BTM", hi: 5, lo: 5, reset: "id", what: "0 no broadcast TLBI, 1 broadcast TLBI" },
      { name: "COHACC", hi: 4, lo: 4, reset: "id", what: "0 no coherent access, 1 IO-coherent structures, queues, walks, MSIs" },
      {
        name: "TTF", hi: 3, lo: 2, reset: "id",
        what: "0b00 reserved, 0b01 VMSAv8-32 LPAE, 0b10 VMSAv8-64, 0b11 both; bit 0 of TTF is 0 when any DPT is 1 or D128 is 1",
      },
      { name: "S1P", hi: 1, lo: 1, reset: "id", what: "0 no stage 1, 1 stage 1" },
      { name: "S2P", hi: 0, lo: 0, reset: "id", what: "0 no stage 2, 1 stage 2" },
    ],
  },
  {
    name: "SMMU_IDR1",
    offset: 0x0004, page: 0, width: 32, access: "RO", section: "§6.3.2",
    fields: [
      { name: "ECMDQ", hi: 31, lo: 31, reset: "id", what: "0 no ECMDQ, IDR6 RES0, 1 ECMDQ; needs COHACC=1, MSI=1, QUEUES_PRESET=0" },
      { name: "TABLES_PRESET", hi: 30, lo: 30, reset: "id", what: "0 STRTAB registers programmable, 1 STRTAB registers fixed" },
      { name: "QUEUES_PRESET", hi: 29, lo: 29, reset: "id", what: "0 queue BASE registers programmable, 1 fixed" },
      {
        name: "REL", hi: 28, lo: 28, reset: "id", needs: ["presets"],
        what: "0 preset bases absolute, 1 preset bases are offsets from Page 0 base",
      },
      { name: "ATTR_TYPES_OVR", hi: 27, lo: 27, reset: "id", what: "0 MT/SH/alloc/transient not overridable, 1 overridable" },
      { name: "ATTR_PERMS_OVR", hi: 26, lo: 26, reset: "id", what: "0 INST/PRIV/NS not overridable, 1 overridable" },
      { name: "CMDQS", hi: 25, lo: 21, reset: "id", what: "log2 max Command queue entries, <=19" },
      { name: "EVENTQS", hi: 20, lo: 16, reset: "id", what: "log2 max Event queue entries, <=19" },
      { name: "PRIQS", hi: 15, lo: 11, reset: "id", what: "log2 max PRI queue entries, <=19; implementation-specific value if PRI==0" },
      { name: "SSIDSIZE", hi: 10, lo: 6, reset: "id", what: "SubstreamID bits 0..20" },
      { name: "SIDSIZE", hi: 5, lo: 0, reset: "id", what: "StreamID bits 0..32; >=7 requires ST_LEVEL!=0" },
    ],
  },
  {
    name: "SMMU_IDR2",
    offset: 0x0008, page: 0, width: 32, access: "RO", section: "§6.3.3",
    fields: [
      { name: "BA_VATOS", hi: 9, lo: 0, reset: "id", needs: ["vatos"], what: "VATOS page = SMMU_BASE + 0x20000 + BA*0x10000" },
    ],
  },
  {
    name: "SMMU_IDR3",
    offset: 0x000c, page: 0, width: 32, access: "RO", section: "§6.3.4",
    fields: [
      { name: "AIE", hi: 23, lo: 23, reset: "id", needs: ["stage1"], what: "stage 1 Attribute Index Extension; CD.AIE present; 1 if D128" },
      { name: "MTEPERM", hi: 22, lo: 22, reset: "id", needs: ["stage2"], what: "stage 2 NoTagAccess MemAttr encodings; 1 in v3.4+" },
      { name: "THE", hi: 21, lo: 21, reset: "id", needs: ["stage1"], what: "translation hardening; with S2P implies S2PI" },
      { name: "S2PO", hi: 20, lo: 20, reset: "id", what: "stage 2 permission overlays; implies S2PI" },
      { name: "S2PI", hi: 19, lo: 19, reset: "id", needs: ["stage2"], what: "stage 2 permission indirection; 1 if D128" },
      { name: "S1PI", hi: 18, lo: 18, reset: "id", needs: ["stage1"], what: "stage 1 permission indirection; 1 if D128" },
      { name: "EPAN", hi: 17, lo: 17, reset: "id", what: "Enhanced PAN; 1 in v3.4+" },
      { name: "PASIDTT", hi: 16, lo: 16, reset: "id", needs: ["ats", "substreams"], what: "PASID on ATS Translated transactions" },
      { name: "DPT", hi: 15, lo: 15, reset: "id", what: "Device Permission Table and EATS 0b11 for NS; implies ATS; forces TTF[0]=0" },
      {
        name: "PTWNNC", hi: 14, lo: 14, reset: "id", needs: ["stage2"],
        what: "0 S2PTW==0 lets walks mapped Device proceed, 1 treated as Normal Non-cacheable; 1 in v3.3+ with S2P",
      },
      { name: "E0PD", hi: 13, lo: 13, reset: "id", what: "1 in v3.3+" },
      { name: "BBML", hi: 12, lo: 11, reset: "id", what: "0b00 level 0, 0b01 level 1, 0b10 level 2; 1 or 2 in v3.2+" },
      { name: "RIL", hi: 10, lo: 10, reset: "id", what: "range TLBI and level hint; 1 in v3.2+" },
      { name: "STT", hi: 9, lo: 9, reset: "id", what: "small translation tables; 1 if SEL2==1" },
      { name: "FWB", hi: 8, lo: 8, reset: "id", what: "stage 2 forced write-back; 1 in v3.2+" },
      { name: "MPAM", hi: 7, lo: 7, reset: "id", what: "MPAM in at least one Security state; *_MPAMIDR present" },
      {
        name: "PPS", hi: 5, lo: 5, reset: "id", needs: ["pri", "substreams"],
        what: "0 STE.PPAR decides PASID on overflow auto-response, 1 PASID always used if request had one",
      },
      { name: "XNX", hi: 4, lo: 4, reset: "id", what: "EL0/EL1 stage 2 XN; 1 in v3.1+ with S2P" },
      { name: "PBHA", hi: 3, lo: 3, reset: "id", what: "page-based hardware attributes; implies HAD" },
      { name: "HAD", hi: 2, lo: 2, reset: "id", needs: ["stage1"], what: "hierarchical attribute disable; 1 in v3.1+ with S1P" },
    ],
  },
  {
    name: "SMMU_IDR4",
    offset: 0x0010, page: 0, width: 32, access: "RO", section: "§6.3.5",
    fields: [
      { name: "IMPDEF", hi: 31, lo: 0, reset: "impdef" },
    ],
  },
  {
    name: "SMMU_IDR5",
    offset: 0x0014, page: 0, width: 32, access: "RO", section: "§6.3.6",
    fields: [
      {
        name: "STALL_MAX", hi: 31, lo: 16, reset: "id",
        what: "max outstanding stalls; RES0 when the physical stall model (S_IDR0 if Secure exists, else IDR0) is 0b01",
      },
      {
        name: "VAX", hi: 11, lo: 10, reset: "id",
        what: "0b00 48-bit, 0b01 52-bit, 0b10 56-bit (needs D128), 0b11 reserved; >=0b01 needs GRAN64K or DS with 4K/16K",
      },
      { name: "D128", hi: 8, lo: 8, reset: "id", what: "VMSAv9-128 descriptors" },
      { name: "DS", hi: 7, lo: 7, reset: "id", what: "52-bit with 4K/16K (LPA2); needs VAX>=0b01; RES0 without 4K and 16K" },
      { name: "GRAN64K", hi: 6, lo: 6, reset: "id" },
      { name: "GRAN16K", hi: 5, lo: 5, reset: "id" },
      { name: "GRAN4K", hi: 4, lo: 4, reset: "id", what: "1 if TTF[0]==1" },
      {
        name: "OAS", hi: 2, lo: 0, reset: "id",
        what: "0b000 32, 0b001 36, 0b010 40, 0b011 42, 0b100 44, 0b101 48, 0b110 52, 0b111 56 (needs D128)",
      },
    ],
  },
  {
    name: "SMMU_IIDR",
    offset: 0x0018, page: 0, width: 32, access: "RO", section: "§6.3.7",
    fields: [
      { name: "ProductID", hi: 31, lo: 20, reset: "id" },
      { name: "Variant", hi: 19, lo: 16, reset: "id" },
      { name: "Revision", hi: 15, lo: 12, reset: "id" },
      { name: "Implementer", hi: 11, lo: 0, reset: "id", what: "[11:8] JEP106 continuation, [7]=0, [6:0] identity; Arm is 0x43B" },
    ],
  },
  {
    name: "SMMU_AIDR",
    offset: 0x001c, page: 0, width: 32, access: "RO", section: "§6.3.8",
    fields: [
      { name: "ArchMajorRev", hi: 7, lo: 4, reset: "id", what: "0b0000 SMMUv3.x" },
      { name: "ArchMinorRev", hi: 3, lo: 0, reset: "id", what: "0 v3.0, 1 v3.1, 2 v3.2, 3 v3.3, 4 v3.4" },
    ],
  },
];
