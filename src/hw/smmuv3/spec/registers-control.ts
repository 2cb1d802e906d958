// SPDX-License-Identifier: MIT
/** Page 0, Non-secure: control, status and bypass attributes (IHI 0070 §6.3.9 … §6.3.15, §6.3.17). */
import type { SmmuRegister } from "./register-types.ts";

export const controlRegisterTable: readonly SmmuRegister[] = [
  {
    name: "SMMU_CR0",
    offset: 0x0020,
    page: 0,
    width: 32,
    access: "RW",
    section: "§6.3.9",
    fields: [
      { name: "DPT_WALK_EN", hi: 10, lo: 10, reset: 0, needs: ["dpt"], guard: "DPT_WALK_EN", what: "0 DPT walks off, 1 DPT walks on" },
      {
        name: "VMW",
        hi: 8,
        lo: 6,
        reset: 0,
        needs: ["vmw"],
        what:
          "0b000 exact VMID match, 0b001 match VMID[N:1], 0b010 match VMID[N:2], 0b011 match VMID[N:3], 0b100 match VMID[N:4], " +
          "other reserved, as 0b000; VMID wildcard for TLB invalidation only; N is top VMID bit per IDR0.VMID16; cacheable in TLB",
      },
      {
        name: "ATSCHK",
        hi: 4,
        lo: 4,
        reset: 0,
        needs: ["ats"],
        what:
          "0 fast mode: Translated traffic passes unchecked, 1 safe mode: Translated traffic checked against STE.EATS; may be " +
          "cached in configuration caches",
      },
      { name: "CMDQEN", hi: 3, lo: 3, reset: 0, what: "0 command processing off, 1 on" },
      { name: "EVENTQEN", hi: 2, lo: 2, reset: 0, what: "0 Event queue writes off, 1 on" },
      {
        name: "PRIQEN",
        hi: 1,
        lo: 1,
        reset: 0,
        needs: ["pri"],
        what: "0 PRI queue writes off, 1 on; effective value is 0 while SMMUEN==0; ACK follows the written value",
      },
      { name: "SMMUEN", hi: 0, lo: 0, reset: 0, what: "0 streams bypass per SMMU_GBPA, 1 streams go through STE configuration" },
    ],
  },
  {
    name: "SMMU_CR0ACK",
    offset: 0x0024,
    page: 0,
    width: 32,
    access: "RO",
    section: "§6.3.10",
    fields: [
      { name: "DPT_WALK_EN", hi: 10, lo: 10, reset: 0, needs: ["dpt"], what: "acknowledge of SMMU_CR0.DPT_WALK_EN" },
      { name: "VMW", hi: 8, lo: 6, reset: 0, needs: ["vmw"], what: "acknowledge of SMMU_CR0.VMW" },
      { name: "ATSCHK", hi: 4, lo: 4, reset: 0, needs: ["ats"], what: "acknowledge of SMMU_CR0.ATSCHK" },
      { name: "CMDQEN", hi: 3, lo: 3, reset: 0, what: "acknowledge of SMMU_CR0.CMDQEN" },
      { name: "EVENTQEN", hi: 2, lo: 2, reset: 0, what: "acknowledge of SMMU_CR0.EVENTQEN" },
      { name: "PRIQEN", hi: 1, lo: 1, reset: 0, needs: ["pri"], what: "acknowledge of SMMU_CR0.PRIQEN" },
      { name: "SMMUEN", hi: 0, lo: 0, reset: 0, what: "acknowledge of SMMU_CR0.SMMUEN" },
    ],
  },
  {
    name: "SMMU_CR1",
    offset: 0x0028,
    page: 0,
    width: 32,
    access: "RW",
    section: "§6.3.11",
    fields: [
      {
        name: "TABLE_SH",
        hi: 11,
        lo: 10,
        reset: "unknown",
        guard: "SMMUEN",
        what:
          "0b00 Non-shareable, 0b01 reserved, as 0b00, 0b10 Outer Shareable, 0b11 Inner Shareable; acts as Outer Shareable when " +
          "TABLE_OC and TABLE_IC are both 0b00",
      },
      {
        name: "TABLE_OC",
        hi: 9,
        lo: 8,
        reset: "unknown",
        guard: "SMMUEN",
        what: "0b00 Non-cacheable, 0b01 Write-Back, 0b10 Write-Through, 0b11 reserved, as 0b00",
      },
      {
        name: "TABLE_IC",
        hi: 7,
        lo: 6,
        reset: "unknown",
        guard: "SMMUEN",
        what: "0b00 Non-cacheable, 0b01 Write-Back, 0b10 Write-Through, 0b11 reserved, as 0b00",
      },
      {
        name: "QUEUE_SH",
        hi: 5,
        lo: 4,
        reset: "unknown",
        guard: "any-queue",
        what:
          "0b00 Non-shareable, 0b01 reserved, as 0b00, 0b10 Outer Shareable, 0b11 Inner Shareable; acts as Outer Shareable when " +
          "QUEUE_OC and QUEUE_IC are both 0b00",
      },
      {
        name: "QUEUE_OC",
        hi: 3,
        lo: 2,
        reset: "unknown",
        guard: "any-queue",
        what: "0b00 Non-cacheable, 0b01 Write-Back, 0b10 Write-Through, 0b11 reserved, as 0b00",
      },
      {
        name: "QUEUE_IC",
        hi: 1,
        lo: 0,
        reset: "unknown",
        guard: "any-queue",
        what: "0b00 Non-cacheable, 0b01 Write-Back, 0b10 Write-Through, 0b11 reserved, as 0b00",
      },
    ],
  },
  {
    name: "SMMU_CR2",
    offset: 0x002c,
    page: 0,
    width: 32,
    access: "RW",
    section: "§6.3.12",
    guard: "SMMUEN",
    fields: [
      {
        name: "REC_CFG_ATS",
        hi: 3,
        lo: 3,
        reset: "unknown",
        needs: ["atsrecerr"],
        what: "0 base event set for ATS/PRI, 1 extended event set for ATS/PRI",
      },
      {
        name: "PTM",
        hi: 2,
        lo: 2,
        reset: "unknown",
        needs: ["btm"],
        what:
          "0 takes part in broadcast TLB maintenance, 1 need not act on broadcast TLBI for this Security state; reset to 1 is " +
          "recommended but software may not rely on it; Secure bit also covers EL3 regime",
      },
      { name: "RECINVSID", hi: 1, lo: 1, reset: "unknown", what: "0 C_BAD_STREAMID not recorded, 1 C_BAD_STREAMID may be recorded" },
      {
        name: "E2H",
        hi: 0,
        lo: 0,
        reset: "unknown",
        needs: ["hyp"],
        what:
          "0 STRW 0b10 selects EL2 (no ASID), 1 STRW 0b10 selects EL2-E2H (ASID tagged); cacheable in configuration caches and TLB; " +
          "changing it needs EL2 configuration + TLB invalidation",
      },
    ],
  },
  {
    name: "SMMU_S2PII",
    offset: 0x0030,
    page: 0,
    width: 64,
    access: "RW",
    section: "§6.3.17",
    needs: ["s2pi"],
    fields: [
      {
        name: "S2PII15",
        hi: 63,
        lo: 60,
        reset: "unknown",
        what:
          "0b0000 no access, 0b0001 reserved, as no access, 0b0010 MRO, 0b0011 MRO-TL1, 0b0100 WO, 0b0101 reserved, as no access, " +
          "0b0110 MRO-TL0, 0b0111 MRO-TL01, 0b1000 RO, 0b1001 RO+uX, 0b1010 RO+pX, 0b1011 RO+puX, 0b1100 RW, 0b1101 RW+uX, 0b1110 " +
          "RW+pX, 0b1111 RW+puX",
      },
      { name: "S2PII14", hi: 59, lo: 56, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII13", hi: 55, lo: 52, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII12", hi: 51, lo: 48, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII11", hi: 47, lo: 44, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII10", hi: 43, lo: 40, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII9", hi: 39, lo: 36, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII8", hi: 35, lo: 32, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII7", hi: 31, lo: 28, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII6", hi: 27, lo: 24, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII5", hi: 23, lo: 20, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII4", hi: 19, lo: 16, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII3", hi: 15, lo: 12, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII2", hi: 11, lo: 8, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII1", hi: 7, lo: 4, reset: "unknown", what: "same encoding as S2PII15" },
      { name: "S2PII0", hi: 3, lo: 0, reset: "unknown", what: "same encoding as S2PII15" },
    ],
  },
  {
    name: "SMMU_STATUSR",
    offset: 0x0040,
    page: 0,
    width: 32,
    access: "RO",
    section: "§6.3.13",
    fields: [
      {
        name: "DORMANT",
        hi: 0,
        lo: 0,
        reset: 0,
        needs: ["dormhint"],
        what: "0 may hold cached config/translations, 1 nothing cached, no prefetch in flight",
      },
    ],
  },
  {
    name: "SMMU_GBPA",
    offset: 0x0044,
    page: 0,
    width: 32,
    access: "RW",
    section: "§6.3.14",
    guard: "Update",
    fields: [
      { name: "Update", hi: 31, lo: 31, reset: 0, what: "write 1 with the new value; SMMU clears it when applied" },
      { name: "ABORT", hi: 20, lo: 20, reset: "impdef", what: "0 bypass with the attributes here, 1 abort all incoming" },
      {
        name: "INSTCFG",
        hi: 19,
        lo: 18,
        reset: "impdef",
        what: "0b00 use incoming, 0b01 reserved, as 0b00, 0b10 Data, 0b11 Instruction; affects reads only; writes always Data",
      },
      {
        name: "PRIVCFG",
        hi: 17,
        lo: 16,
        reset: "impdef",
        what: "0b00 use incoming, 0b01 reserved, as 0b00, 0b10 Unprivileged, 0b11 Privileged",
      },
      {
        name: "SHCFG",
        hi: 13,
        lo: 12,
        reset: "impdef",
        what: "0b00 Non-shareable, 0b01 use incoming, 0b10 Outer Shareable, 0b11 Inner Shareable",
      },
      {
        name: "ALLOCCFG",
        hi: 11,
        lo: 8,
        reset: "impdef",
        what: "0b0xxx use incoming RA/WA/TR, 0b1rwt override RA=r WA=w TR=t (inner and outer); no effect unless type is Normal WB or WT",
      },
      { name: "MTCFG", hi: 4, lo: 4, reset: "impdef", what: "0 use incoming memory type, 1 use MemAttr" },
      { name: "MemAttr", hi: 3, lo: 0, reset: "impdef", what: "same encoding as STE.MemAttr" },
    ],
  },
  {
    name: "SMMU_AGBPA",
    offset: 0x0048,
    page: 0,
    width: 32,
    access: "RW",
    section: "§6.3.15",
    needs: ["impdef"],
    fields: [{ name: "IMPDEF", hi: 31, lo: 0, reset: "impdef", what: "RES0 if unsupported" }],
  },
];
