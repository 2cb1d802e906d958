// SPDX-License-Identifier: MIT
/** The Command, Event and PRI queues: page 0, and the indexes on page 1 (IHI 0070 §6.3.26 … §6.3.36, §6.3.95 … §6.3.98). */
import type { SmmuRegister } from "./register-types.ts";

export const queueRegisterTable: readonly SmmuRegister[] = [
  {
    name: "SMMU_CMDQ_BASE",
    offset: 0x0090,
    page: 0,
    width: 64,
    access: "RW",
    section: "§6.3.26",
    guard: "CMDQEN",
    fields: [
      { name: "RA", hi: 62, lo: 62, reset: "unknown", what: "0 no allocate hint, 1 allocate hint" },
      { name: "ADDR", hi: 55, lo: 5, reset: "unknown", what: "base PA; bits above OAS RES0; low bits forced to zero by alignment rule" },
      {
        name: "LOG2SIZE",
        hi: 4,
        lo: 0,
        reset: "unknown",
        what: "log2(entries); use capped at SMMU_IDR1.CMDQS, readback returns the written value",
      },
    ],
  },
  {
    name: "SMMU_CMDQ_PROD",
    offset: 0x0098,
    page: 0,
    width: 32,
    access: "RW",
    section: "§6.3.27",
    fields: [
      {
        name: "WR",
        hi: 19,
        lo: 0,
        reset: "unknown",
        what: "bits [QS-1:0] index, bit [QS] wrap flag, QS = queue LOG2SIZE (capped); written by software",
      },
    ],
  },
  {
    name: "SMMU_CMDQ_CONS",
    offset: 0x009c,
    page: 0,
    width: 32,
    access: "RW",
    section: "§6.3.28",
    guard: "CMDQEN",
    fields: [
      {
        name: "ERR",
        hi: 30,
        lo: 24,
        reset: "unknown",
        what:
          "0x00 CERROR_NONE (never reported), 0x01 CERROR_ILL, 0x02 CERROR_ABT, 0x03 CERROR_ATC_INV_SYNC; unknown while " +
          "GERROR.CMDQ_ERR inactive",
      },
      {
        name: "RD",
        hi: 19,
        lo: 0,
        reset: "unknown",
        what: "bits [QS-1:0] index, bit [QS] wrap flag, QS = queue LOG2SIZE (capped); written by the SMMU while enabled",
      },
    ],
  },
  {
    name: "SMMU_EVENTQ_BASE",
    offset: 0x00a0,
    page: 0,
    width: 64,
    access: "RW",
    section: "§6.3.29",
    guard: "EVENTQEN",
    fields: [
      { name: "WA", hi: 62, lo: 62, reset: "unknown", what: "0 no allocate hint, 1 allocate hint" },
      { name: "ADDR", hi: 55, lo: 5, reset: "unknown", what: "base PA; bits above OAS RES0; low bits forced to zero by alignment rule" },
      {
        name: "LOG2SIZE",
        hi: 4,
        lo: 0,
        reset: "unknown",
        what: "log2(entries); use capped at SMMU_IDR1.EVENTQS, readback returns the written value",
      },
    ],
  },
  {
    name: "SMMU_EVENTQ_IRQ_CFG0",
    offset: 0x00b0,
    page: 0,
    width: 64,
    access: "RW",
    section: "§6.3.30",
    needs: ["msi"],
    guard: "EVENTQ_IRQEN",
    fields: [
      {
        name: "ADDR",
        hi: 55,
        lo: 2,
        reset: "unknown",
        what: "MSI target PA[55:2]; ADDR==0 means no MSI (a wired interrupt may still pulse); bits above OAS RES0",
      },
    ],
  },
  {
    name: "SMMU_EVENTQ_IRQ_CFG1",
    offset: 0x00b8,
    page: 0,
    width: 32,
    access: "RW",
    section: "§6.3.31",
    needs: ["msi"],
    guard: "EVENTQ_IRQEN",
    fields: [{ name: "DATA", hi: 31, lo: 0, reset: "unknown", what: "MSI payload (32-bit write)" }],
  },
  {
    name: "SMMU_EVENTQ_IRQ_CFG2",
    offset: 0x00bc,
    page: 0,
    width: 32,
    access: "RW",
    section: "§6.3.32",
    needs: ["msi"],
    guard: "EVENTQ_IRQEN",
    fields: [
      {
        name: "SH",
        hi: 5,
        lo: 4,
        reset: "unknown",
        what:
          "0b00 Non-shareable, 0b01 reserved, as 0b00, 0b10 Outer Shareable, 0b11 Inner Shareable; ignored for Device MemAttr (acts " +
          "Outer Shareable)",
      },
      { name: "MemAttr", hi: 3, lo: 0, reset: "unknown", what: "same encoding as STE.MemAttr" },
    ],
  },
  {
    name: "SMMU_PRIQ_BASE",
    offset: 0x00c0,
    page: 0,
    width: 64,
    access: "RW",
    section: "§6.3.33",
    needs: ["pri"],
    guard: "PRIQEN",
    fields: [
      { name: "WA", hi: 62, lo: 62, reset: "unknown", what: "0 no allocate hint, 1 allocate hint" },
      { name: "ADDR", hi: 55, lo: 5, reset: "unknown", what: "base PA; bits above OAS RES0; low bits forced to zero by alignment rule" },
      {
        name: "LOG2SIZE",
        hi: 4,
        lo: 0,
        reset: "unknown",
        what: "log2(entries); use capped at SMMU_IDR1.PRIQS, readback returns the written value",
      },
    ],
  },
  {
    name: "SMMU_PRIQ_IRQ_CFG0",
    offset: 0x00d0,
    page: 0,
    width: 64,
    access: "RW",
    section: "§6.3.34",
    needs: ["msi", "pri"],
    guard: "PRIQ_IRQEN",
    fields: [
      {
        name: "ADDR",
        hi: 55,
        lo: 2,
        reset: "unknown",
        what: "MSI target PA[55:2]; ADDR==0 means no MSI (a wired interrupt may still pulse); bits above OAS RES0",
      },
    ],
  },
  {
    name: "SMMU_PRIQ_IRQ_CFG1",
    offset: 0x00d8,
    page: 0,
    width: 32,
    access: "RW",
    section: "§6.3.35",
    needs: ["msi", "pri"],
    guard: "PRIQ_IRQEN",
    fields: [{ name: "DATA", hi: 31, lo: 0, reset: "unknown", what: "MSI payload (32-bit write)" }],
  },
  {
    name: "SMMU_PRIQ_IRQ_CFG2",
    offset: 0x00dc,
    page: 0,
    width: 32,
    access: "RW",
    section: "§6.3.36",
    needs: ["msi", "pri"],
    guard: "PRIQ_IRQEN",
    fields: [
      {
        name: "LO",
        hi: 31,
        lo: 31,
        reset: "unknown",
        what:
          "0 interrupt on empty to non-empty, 1 interrupt when a page request with Last set arrives (also if discarded due to " +
          "overflow, not for other discards); applies to wired and MSI",
      },
      {
        name: "SH",
        hi: 5,
        lo: 4,
        reset: "unknown",
        what:
          "0b00 Non-shareable, 0b01 reserved, as 0b00, 0b10 Outer Shareable, 0b11 Inner Shareable; ignored for Device MemAttr (acts " +
          "Outer Shareable)",
      },
      { name: "MemAttr", hi: 3, lo: 0, reset: "unknown", what: "same encoding as STE.MemAttr" },
    ],
  },
];

export const page1RegisterTable: readonly SmmuRegister[] = [
  {
    name: "SMMU_EVENTQ_PROD",
    offset: 0x100a8,
    page: 1,
    width: 32,
    access: "RW",
    section: "§6.3.95",
    guard: "EVENTQEN",
    fields: [
      { name: "OVFLG", hi: 31, lo: 31, reset: "unknown" },
      {
        name: "WR",
        hi: 19,
        lo: 0,
        reset: "unknown",
        what: "bits [QS-1:0] index, bit [QS] wrap flag, QS = queue LOG2SIZE (capped); written by the SMMU while enabled",
      },
    ],
  },
  {
    name: "SMMU_EVENTQ_CONS",
    offset: 0x100ac,
    page: 1,
    width: 32,
    access: "RW",
    section: "§6.3.96",
    fields: [
      { name: "OVACKFLG", hi: 31, lo: 31, reset: "unknown" },
      {
        name: "RD",
        hi: 19,
        lo: 0,
        reset: "unknown",
        what: "bits [QS-1:0] index, bit [QS] wrap flag, QS = queue LOG2SIZE (capped); written by software",
      },
    ],
  },
  {
    name: "SMMU_PRIQ_PROD",
    offset: 0x100c8,
    page: 1,
    width: 32,
    access: "RW",
    section: "§6.3.97",
    needs: ["pri"],
    guard: "PRIQEN",
    fields: [
      { name: "OVFLG", hi: 31, lo: 31, reset: 0 },
      {
        name: "WR",
        hi: 19,
        lo: 0,
        reset: "unknown",
        what: "bits [QS-1:0] index, bit [QS] wrap flag, QS = queue LOG2SIZE (capped); written by the SMMU while enabled",
      },
    ],
  },
  {
    name: "SMMU_PRIQ_CONS",
    offset: 0x100cc,
    page: 1,
    width: 32,
    access: "RW",
    section: "§6.3.98",
    needs: ["pri"],
    fields: [
      { name: "OVACKFLG", hi: 31, lo: 31, reset: "unknown" },
      {
        name: "RD",
        hi: 19,
        lo: 0,
        reset: "unknown",
        what: "bits [QS-1:0] index, bit [QS] wrap flag, QS = queue LOG2SIZE (capped); written by software",
      },
    ],
  },
];
