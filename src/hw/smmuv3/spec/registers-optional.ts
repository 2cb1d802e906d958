// SPDX-License-Identifier: MIT
/** Page 0, Non-secure: registers of optional features: ATOS, MPAM, DPT, enhanced Command queues (IHI 0070 §6.3.37 … §6.3.51). */
import type { SmmuRegister } from "./register-types.ts";

export const optionalRegisterTable: readonly SmmuRegister[] = [
  {
    name: "SMMU_GATOS_CTRL",
    offset: 0x0100, page: 0, width: 32, access: "RW", section: "§6.3.37",
    needs: ["atos"], guard: "RUN",
    fields: [
      {
        name: "RUN", hi: 0, lo: 0, reset: 0,
        what: "write 1 starts; SMMU clears after PAR is valid; writing 0 has no effect beyond the flag",
      },
    ],
  },
  {
    name: "SMMU_GATOS_SID",
    offset: 0x0108, page: 0, width: 64, access: "RW", section: "§6.3.38",
    needs: ["atos"], guard: "RUN",
    fields: [
      { name: "SSID_VALID", hi: 52, lo: 52, reset: "unknown", needs: ["substreams"] },
      { name: "SUBSTREAMID", hi: 51, lo: 32, reset: "unknown" },
      { name: "STREAMID", hi: 31, lo: 0, reset: "unknown" },
    ],
  },
  {
    name: "SMMU_GATOS_ADDR",
    offset: 0x0110, page: 0, width: 64, access: "RW", section: "§6.3.39",
    needs: ["atos"], guard: "RUN",
    fields: [
      { name: "ADDR", hi: 63, lo: 12, reset: "unknown" },
      {
        name: "TYPE", hi: 11, lo: 10, reset: "unknown",
        what: "0b00 reserved (INV_REQ), 0b01 stage 1 (VA to IPA), 0b10 stage 2 (IPA to PA), 0b11 stage 1+2 (VA to PA)",
      },
      { name: "PnU", hi: 9, lo: 9, reset: "unknown", what: "0 Unprivileged, 1 Privileged" },
      { name: "RnW", hi: 8, lo: 8, reset: "unknown", what: "0 write, 1 read" },
      { name: "InD", hi: 7, lo: 7, reset: "unknown", what: "0 data, 1 instruction; ignored (Data) when RnW==0" },
      { name: "HTTUI", hi: 6, lo: 6, reset: "unknown", what: "0 HTTU may happen per HA/HD, 1 HTTU inhibited" },
    ],
  },
  {
    name: "SMMU_GATOS_PAR",
    offset: 0x0118, page: 0, width: 64, access: "RO", section: "§6.3.40",
    needs: ["atos"],
    fields: [
      { name: "ATTR", hi: 63, lo: 56, reset: "unknown", what: "memory attributes, MAIR byte format" },
      { name: "ADDR", hi: 55, lo: 12, reset: "unknown", what: "output address plus size marker" },
      { name: "Size", hi: 11, lo: 11, reset: "unknown", what: "0 4KB, 1 size given by lowest set bit N of ADDR: 2^(N+1) bytes" },
      {
        name: "SH", hi: 9, lo: 8, reset: "unknown",
        what: "0b00 Non-shareable, 0b01 reserved, 0b10 Outer Shareable, 0b11 Inner Shareable; Outer Shareable for any Device ATTR",
      },
      { name: "FAULT", hi: 0, lo: 0, reset: "unknown", what: "0 success" },
    ],
    whenFault: [
      { name: "IMPDEF", hi: 63, lo: 60, reset: "unknown" },
      { name: "FADDR", hi: 55, lo: 12, reset: "unknown", what: "IPA page of stage 2 fault, else 0" },
      { name: "FAULTCODE", hi: 11, lo: 4, reset: "unknown", what: "see atos.faultcodes" },
      {
        name: "REASON", hi: 2, lo: 1, reset: "unknown",
        what:
          "0b00 stage 1 fault or non-stage error, 0b01 CD: stage 2 fault on CD fetch, 0b10 TT: stage 2 fault on stage 1 walk, 0b11 "
          + "IN: stage 2 fault on the input address",
      },
      { name: "FAULT", hi: 0, lo: 0, reset: "unknown", what: "1 fault" },
    ],
  },
  {
    name: "SMMU_MPAMIDR",
    offset: 0x0130, page: 0, width: 32, access: "RO", section: "§6.3.41",
    needs: ["mpam"],
    fields: [
      { name: "PMG_MAX", hi: 23, lo: 16, reset: "id" },
      { name: "PARTID_MAX", hi: 15, lo: 0, reset: "id" },
    ],
  },
  {
    name: "SMMU_GMPAM",
    offset: 0x0138, page: 0, width: 32, access: "RW", section: "§6.3.42",
    needs: ["mpam"], guard: "Update",
    fields: [
      { name: "Update", hi: 31, lo: 31, reset: 0 },
      { name: "SO_PMG", hi: 23, lo: 16, reset: 0, what: "bits above the PMG width RES0; value above PMG_MAX gives UNKNOWN PMG" },
      { name: "SO_PARTID", hi: 15, lo: 0, reset: 0, what: "bits above the PARTID width RES0; value above PARTID_MAX gives UNKNOWN PARTID" },
    ],
  },
  {
    name: "SMMU_GBPMPAM",
    offset: 0x013c, page: 0, width: 32, access: "RW", section: "§6.3.43",
    needs: ["mpam"], guard: "Update",
    fields: [
      { name: "Update", hi: 31, lo: 31, reset: 0 },
      { name: "GBP_PMG", hi: 23, lo: 16, reset: 0, what: "bits above the PMG width RES0; value above PMG_MAX gives UNKNOWN PMG" },
      {
        name: "GBP_PARTID", hi: 15, lo: 0, reset: 0,
        what: "bits above the PARTID width RES0; value above PARTID_MAX gives UNKNOWN PARTID",
      },
    ],
  },
  {
    name: "SMMU_VATOS_SEL",
    offset: 0x0180, page: 0, width: 32, access: "RW", section: "§6.3.44",
    needs: ["vatos"], guard: "RUN",
    fields: [
      { name: "VMID", hi: 15, lo: 0, reset: "unknown", what: "bits [15:8] RES0 when IDR0.VMID16==0" },
    ],
  },
  {
    name: "SMMU_IDR6",
    offset: 0x0190, page: 0, width: 32, access: "RO", section: "§6.3.45",
    needs: ["ecmdq"],
    fields: [
      { name: "CMDQ_CONTROL_PAGE_LOG2NUMP", hi: 27, lo: 24, reset: "id", what: "log2(control pages), max 8" },
      { name: "CMDQ_CONTROL_PAGE_LOG2NUMQ", hi: 19, lo: 16, reset: "id", what: "log2(queues per page), max 8" },
    ],
  },
  {
    name: "SMMU_DPT_BASE",
    offset: 0x0200, page: 0, width: 64, access: "RW", section: "§6.3.46",
    needs: ["dpt"], guard: "DPT_WALK_EN",
    fields: [
      { name: "RA", hi: 62, lo: 62, reset: "unknown", what: "0 no Read-Allocate, 1 Read-Allocate" },
      {
        name: "BADDR", hi: 55, lo: 12, reset: "unknown",
        what: "level 0 DPT base (Non-secure PA); aligned to max(4KB, table size); bits above OAS RES0",
      },
    ],
  },
  {
    name: "SMMU_DPT_BASE_CFG",
    offset: 0x0208, page: 0, width: 32, access: "RW", section: "§6.3.47",
    needs: ["dpt"], guard: "DPT_WALK_EN",
    fields: [
      {
        name: "L0DPTSZ", hi: 23, lo: 20, reset: "unknown",
        what:
          "0b0000 30 bits (1GB), 0b0100 34 bits (16GB), 0b0110 36 bits (64GB), 0b1001 39 bits (512GB), other reserved (invalid); "
          + "invalid if > OAS or > DPTPS",
      },
      {
        name: "DPTGS", hi: 15, lo: 14, reset: "unknown",
        what: "0b00 4KB, 0b01 64KB, 0b10 16KB, 0b11 reserved; invalid if that granule is not in IDR5.GRAN*",
      },
      {
        name: "DPTPS", hi: 2, lo: 0, reset: "unknown",
        what: "0b000 32 bits, 0b001 36, 0b010 40, 0b011 42, 0b100 44, 0b101 48, 0b110 52, 0b111 reserved; invalid if > OAS",
      },
    ],
  },
  {
    name: "SMMU_DPT_CFG_FAR",
    offset: 0x0210, page: 0, width: 64, access: "RW", section: "§6.3.48",
    needs: ["dpt"],
    fields: [
      { name: "FADDR", hi: 55, lo: 12, reset: 0, what: "PA input of the failing DPT check" },
      {
        name: "DPT_FAULTCODE", hi: 7, lo: 4, reset: 0,
        what: "0b0000 DPT_DISABLED, 0b0001 DPT_WALK_FAULT, 0b0010 DPT_GPC_FAULT, 0b0011 DPT_EABT",
      },
      { name: "LEVEL", hi: 1, lo: 1, reset: 0, what: "0 level 0, 1 level 1" },
      { name: "FAULT", hi: 0, lo: 0, reset: 0, what: "0 none since cleared, 1 one or more faults" },
    ],
  },
  {
    name: "SMMU_CMDQ_CONTROL_PAGE_BASE<n>",
    offset: 0x4000, page: 0, width: 64, access: "RO", section: "§6.3.49",
    needs: ["ecmdq"], stride: 32, count: 256,
    fields: [
      {
        name: "ADDR", hi: 55, lo: 16, reset: "id",
        what: "page offset [55:16] from SMMU Page 0 base (not absolute); ascending and contiguous in n",
      },
      { name: "CMDQGS", hi: 2, lo: 1, reset: 1, what: "0b01 64KB" },
      { name: "CMDQ_CONTROL_PAGE_PRESET", hi: 0, lo: 0, reset: 1, what: "1 interfaces are registers" },
    ],
  },
  {
    name: "SMMU_CMDQ_CONTROL_PAGE_CFG<n>",
    offset: 0x4008, page: 0, width: 32, access: "RO", section: "§6.3.50",
    needs: ["ecmdq"], stride: 32, count: 256,
    fields: [
      { name: "EN", hi: 0, lo: 0, reset: 1, what: "1 enabled (RES1)" },
    ],
  },
  {
    name: "SMMU_CMDQ_CONTROL_PAGE_STATUS<n>",
    offset: 0x400c, page: 0, width: 32, access: "RO", section: "§6.3.51",
    needs: ["ecmdq"], stride: 32, count: 256,
    fields: [
      { name: "ENACK", hi: 0, lo: 0, reset: 1, what: "1 enabled (RES1)" },
    ],
  },
];
