// SPDX-License-Identifier: GPL-2.0-only
/**
 * The driver's header against the hardware model's tables: two sets of constants, written apart, must say the same of
 * every register, field, command and event that the driver uses.
 */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { type Field, fieldNamed, smmuCommands, smmuRegisters } from "../../../src/hw/index.ts";
import { CD, L1CD } from "../../../src/hw/smmuv3/spec/cd.ts";
import { EVENTS, EventNumber } from "../../../src/hw/smmuv3/spec/events.ts";
import { L1STD, STE } from "../../../src/hw/smmuv3/spec/ste.ts";

/** The bits of a field, seen from bit `base` of its structure. */
function bits(field: Field, base = 0): bigint {
  return ((1n << BigInt(field.hi - field.lo + 1)) - 1n) << BigInt(field.lo - base);
}

function register(name: string): (typeof smmuRegisters)[number] {
  const found = smmuRegisters.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`no register ${name}`);
  return found;
}

test.each<[string, number]>([
  ["SMMU_IDR0", R.ARM_SMMU_IDR0],
  ["SMMU_IDR1", R.ARM_SMMU_IDR1],
  ["SMMU_IDR3", R.ARM_SMMU_IDR3],
  ["SMMU_IDR5", R.ARM_SMMU_IDR5],
  ["SMMU_IIDR", R.ARM_SMMU_IIDR],
  ["SMMU_CR0", R.ARM_SMMU_CR0],
  ["SMMU_CR0ACK", R.ARM_SMMU_CR0ACK],
  ["SMMU_CR1", R.ARM_SMMU_CR1],
  ["SMMU_CR2", R.ARM_SMMU_CR2],
  ["SMMU_GBPA", R.ARM_SMMU_GBPA],
  ["SMMU_IRQ_CTRL", R.ARM_SMMU_IRQ_CTRL],
  ["SMMU_IRQ_CTRLACK", R.ARM_SMMU_IRQ_CTRLACK],
  ["SMMU_GERROR", R.ARM_SMMU_GERROR],
  ["SMMU_GERRORN", R.ARM_SMMU_GERRORN],
  ["SMMU_GERROR_IRQ_CFG0", R.ARM_SMMU_GERROR_IRQ_CFG0],
  ["SMMU_GERROR_IRQ_CFG1", R.ARM_SMMU_GERROR_IRQ_CFG1],
  ["SMMU_GERROR_IRQ_CFG2", R.ARM_SMMU_GERROR_IRQ_CFG2],
  ["SMMU_STRTAB_BASE", R.ARM_SMMU_STRTAB_BASE],
  ["SMMU_STRTAB_BASE_CFG", R.ARM_SMMU_STRTAB_BASE_CFG],
  ["SMMU_CMDQ_BASE", R.ARM_SMMU_CMDQ_BASE],
  ["SMMU_CMDQ_PROD", R.ARM_SMMU_CMDQ_PROD],
  ["SMMU_CMDQ_CONS", R.ARM_SMMU_CMDQ_CONS],
  ["SMMU_EVENTQ_BASE", R.ARM_SMMU_EVTQ_BASE],
  ["SMMU_EVENTQ_PROD", R.ARM_SMMU_PAGE1_OFFSET + R.ARM_SMMU_EVTQ_PROD],
  ["SMMU_EVENTQ_CONS", R.ARM_SMMU_PAGE1_OFFSET + R.ARM_SMMU_EVTQ_CONS],
  ["SMMU_EVENTQ_IRQ_CFG0", R.ARM_SMMU_EVTQ_IRQ_CFG0],
  ["SMMU_EVENTQ_IRQ_CFG1", R.ARM_SMMU_EVTQ_IRQ_CFG1],
  ["SMMU_EVENTQ_IRQ_CFG2", R.ARM_SMMU_EVTQ_IRQ_CFG2],
  ["SMMU_PRIQ_BASE", R.ARM_SMMU_PRIQ_BASE],
  ["SMMU_PRIQ_PROD", R.ARM_SMMU_PAGE1_OFFSET + R.ARM_SMMU_PRIQ_PROD],
  ["SMMU_PRIQ_CONS", R.ARM_SMMU_PAGE1_OFFSET + R.ARM_SMMU_PRIQ_CONS],
  ["SMMU_PRIQ_IRQ_CFG0", R.ARM_SMMU_PRIQ_IRQ_CFG0],
  ["SMMU_PRIQ_IRQ_CFG1", R.ARM_SMMU_PRIQ_IRQ_CFG1],
  ["SMMU_PRIQ_IRQ_CFG2", R.ARM_SMMU_PRIQ_IRQ_CFG2],
])("%s is at its offset", (name, offset) => expect(register(name).offset).toBe(offset));

describe("register fields", () => {
  const fields: readonly (readonly [register: string, field: string, mask: number | bigint])[] = [
    ["SMMU_IDR0", "ST_LEVEL", R.IDR0_ST_LVL],
    ["SMMU_IDR0", "STALL_MODEL", R.IDR0_STALL_MODEL],
    ["SMMU_IDR0", "TTENDIAN", R.IDR0_TTENDIAN],
    ["SMMU_IDR0", "CD2L", R.IDR0_CD2L],
    ["SMMU_IDR0", "VMID16", R.IDR0_VMID16],
    ["SMMU_IDR0", "PRI", R.IDR0_PRI],
    ["SMMU_IDR0", "SEV", R.IDR0_SEV],
    ["SMMU_IDR0", "MSI", R.IDR0_MSI],
    ["SMMU_IDR0", "ASID16", R.IDR0_ASID16],
    ["SMMU_IDR0", "ATS", R.IDR0_ATS],
    ["SMMU_IDR0", "Hyp", R.IDR0_HYP],
    ["SMMU_IDR0", "HTTU", R.IDR0_HTTU],
    ["SMMU_IDR0", "COHACC", R.IDR0_COHACC],
    ["SMMU_IDR0", "TTF", R.IDR0_TTF],
    ["SMMU_IDR0", "S1P", R.IDR0_S1P],
    ["SMMU_IDR0", "S2P", R.IDR0_S2P],
    ["SMMU_IDR1", "TABLES_PRESET", R.IDR1_TABLES_PRESET],
    ["SMMU_IDR1", "QUEUES_PRESET", R.IDR1_QUEUES_PRESET],
    ["SMMU_IDR1", "REL", R.IDR1_REL],
    ["SMMU_IDR1", "ATTR_TYPES_OVR", R.IDR1_ATTR_TYPES_OVR],
    ["SMMU_IDR1", "CMDQS", R.IDR1_CMDQS],
    ["SMMU_IDR1", "EVENTQS", R.IDR1_EVTQS],
    ["SMMU_IDR1", "PRIQS", R.IDR1_PRIQS],
    ["SMMU_IDR1", "SSIDSIZE", R.IDR1_SSIDSIZE],
    ["SMMU_IDR1", "SIDSIZE", R.IDR1_SIDSIZE],
    ["SMMU_IDR3", "FWB", R.IDR3_FWB],
    ["SMMU_IDR3", "RIL", R.IDR3_RIL],
    ["SMMU_IDR3", "BBML", R.IDR3_BBM],
    ["SMMU_IDR5", "STALL_MAX", R.IDR5_STALL_MAX],
    ["SMMU_IDR5", "VAX", R.IDR5_VAX],
    ["SMMU_IDR5", "GRAN64K", R.IDR5_GRAN64K],
    ["SMMU_IDR5", "GRAN16K", R.IDR5_GRAN16K],
    ["SMMU_IDR5", "GRAN4K", R.IDR5_GRAN4K],
    ["SMMU_IDR5", "OAS", R.IDR5_OAS],
    ["SMMU_IIDR", "ProductID", R.IIDR_PRODUCTID],
    ["SMMU_IIDR", "Variant", R.IIDR_VARIANT],
    ["SMMU_IIDR", "Revision", R.IIDR_REVISION],
    ["SMMU_IIDR", "Implementer", R.IIDR_IMPLEMENTER],
    ["SMMU_CR0", "ATSCHK", R.CR0_ATSCHK],
    ["SMMU_CR0", "CMDQEN", R.CR0_CMDQEN],
    ["SMMU_CR0", "EVENTQEN", R.CR0_EVTQEN],
    ["SMMU_CR0", "PRIQEN", R.CR0_PRIQEN],
    ["SMMU_CR0", "SMMUEN", R.CR0_SMMUEN],
    ["SMMU_CR1", "TABLE_SH", R.CR1_TABLE_SH],
    ["SMMU_CR1", "TABLE_OC", R.CR1_TABLE_OC],
    ["SMMU_CR1", "TABLE_IC", R.CR1_TABLE_IC],
    ["SMMU_CR1", "QUEUE_SH", R.CR1_QUEUE_SH],
    ["SMMU_CR1", "QUEUE_OC", R.CR1_QUEUE_OC],
    ["SMMU_CR1", "QUEUE_IC", R.CR1_QUEUE_IC],
    ["SMMU_CR2", "PTM", R.CR2_PTM],
    ["SMMU_CR2", "RECINVSID", R.CR2_RECINVSID],
    ["SMMU_CR2", "E2H", R.CR2_E2H],
    ["SMMU_GBPA", "Update", R.GBPA_UPDATE],
    ["SMMU_GBPA", "ABORT", R.GBPA_ABORT],
    ["SMMU_IRQ_CTRL", "EVENTQ_IRQEN", R.IRQ_CTRL_EVTQ_IRQEN],
    ["SMMU_IRQ_CTRL", "PRIQ_IRQEN", R.IRQ_CTRL_PRIQ_IRQEN],
    ["SMMU_IRQ_CTRL", "GERROR_IRQEN", R.IRQ_CTRL_GERROR_IRQEN],
    ["SMMU_GERROR", "SFM_ERR", R.GERROR_SFM_ERR],
    ["SMMU_GERROR", "MSI_GERROR_ABT_ERR", R.GERROR_MSI_GERROR_ABT_ERR],
    ["SMMU_GERROR", "MSI_PRIQ_ABT_ERR", R.GERROR_MSI_PRIQ_ABT_ERR],
    ["SMMU_GERROR", "MSI_EVENTQ_ABT_ERR", R.GERROR_MSI_EVTQ_ABT_ERR],
    ["SMMU_GERROR", "MSI_CMDQ_ABT_ERR", R.GERROR_MSI_CMDQ_ABT_ERR],
    ["SMMU_GERROR", "PRIQ_ABT_ERR", R.GERROR_PRIQ_ABT_ERR],
    ["SMMU_GERROR", "EVENTQ_ABT_ERR", R.GERROR_EVTQ_ABT_ERR],
    ["SMMU_GERROR", "CMDQ_ERR", R.GERROR_CMDQ_ERR],
    ["SMMU_STRTAB_BASE", "RA", R.STRTAB_BASE_RA],
    ["SMMU_STRTAB_BASE_CFG", "FMT", R.STRTAB_BASE_CFG_FMT],
    ["SMMU_STRTAB_BASE_CFG", "SPLIT", R.STRTAB_BASE_CFG_SPLIT],
    ["SMMU_STRTAB_BASE_CFG", "LOG2SIZE", R.STRTAB_BASE_CFG_LOG2SIZE],
    ["SMMU_CMDQ_BASE", "RA", R.Q_BASE_RWA],
    ["SMMU_CMDQ_BASE", "LOG2SIZE", R.Q_BASE_LOG2SIZE],
    ["SMMU_EVENTQ_BASE", "WA", R.Q_BASE_RWA],
    ["SMMU_EVENTQ_BASE", "LOG2SIZE", R.Q_BASE_LOG2SIZE],
    ["SMMU_CMDQ_CONS", "ERR", R.CMDQ_CONS_ERR],
    ["SMMU_PRIQ_BASE", "WA", R.Q_BASE_RWA],
    ["SMMU_PRIQ_BASE", "LOG2SIZE", R.Q_BASE_LOG2SIZE],
    ["SMMU_PRIQ_PROD", "OVFLG", R.Q_OVERFLOW_FLAG],
    ["SMMU_PRIQ_CONS", "OVACKFLG", R.Q_OVERFLOW_FLAG],
    ["SMMU_EVENTQ_PROD", "OVFLG", R.Q_OVERFLOW_FLAG],
    ["SMMU_EVENTQ_CONS", "OVACKFLG", R.Q_OVERFLOW_FLAG],
  ];

  test.each(fields)("%s.%s", (name, field, mask) => expect(BigInt(mask)).toBe(bits(fieldNamed(register(name).fields, field))));

  /** Linux stops address fields at bit 51, the largest it knows; the architecture goes on to bit 55. */
  test.each<[string, string, bigint]>([
    ["SMMU_STRTAB_BASE", "ADDR", R.STRTAB_BASE_ADDR_MASK],
    ["SMMU_CMDQ_BASE", "ADDR", R.Q_BASE_ADDR_MASK],
    ["SMMU_EVENTQ_IRQ_CFG0", "ADDR", R.MSI_CFG0_ADDR_MASK],
  ])("%s.%s up to bit 51", (name, field, mask) => expect(mask).toBe(bits(fieldNamed(register(name).fields, field)) & ((1n << 52n) - 1n)));
});

/** The masks that a table gives for the fields named, each in the 64-bit word that it starts in. */
function masksOf(fields: readonly Field[], names: readonly string[]): Record<string, bigint> {
  return Object.fromEntries(
    names.map((name) => {
      const field = fieldNamed(fields, name);
      return [name, bits(field, 64 * Math.floor(field.lo / 64))];
    }),
  );
}
const BELOW_52: bigint = (1n << 52n) - 1n;

test("STE fields", () => {
  const masks = {
    V: R.STRTAB_STE_0_V,
    Config: R.STRTAB_STE_0_CFG,
    S1Fmt: R.STRTAB_STE_0_S1FMT,
    S1CDMax: R.STRTAB_STE_0_S1CDMAX,
    S1DSS: R.STRTAB_STE_1_S1DSS,
    S1CIR: R.STRTAB_STE_1_S1CIR,
    S1COR: R.STRTAB_STE_1_S1COR,
    S1CSH: R.STRTAB_STE_1_S1CSH,
    MEV: R.STRTAB_STE_1_MEV,
    S2FWB: R.STRTAB_STE_1_S2FWB,
    S1STALLD: R.STRTAB_STE_1_S1STALLD,
    EATS: R.STRTAB_STE_1_EATS,
    STRW: R.STRTAB_STE_1_STRW,
    SHCFG: R.STRTAB_STE_1_SHCFG,
    S2VMID: R.STRTAB_STE_2_S2VMID,
    S2AA64: R.STRTAB_STE_2_S2AA64,
    S2ENDI: R.STRTAB_STE_2_S2ENDI,
    S2PTW: R.STRTAB_STE_2_S2PTW,
    S2S: R.STRTAB_STE_2_S2S,
    S2R: R.STRTAB_STE_2_S2R,
  };
  expect(masks).toEqual(masksOf(STE.fields, Object.keys(masks)));
  expect(R.STRTAB_STE_0_S1CTXPTR_MASK).toBe(bits(fieldNamed(STE.fields, "S1ContextPtr")) & BELOW_52);
  expect(R.STRTAB_STE_3_S2TTB_MASK).toBe(bits(fieldNamed(STE.fields, "S2TTB"), 192) & BELOW_52);
});

test("STE.VTCR is a block of fields from bit 160 on", () => {
  const vtcr: Readonly<Record<string, number>> = {
    S2T0SZ: R.STRTAB_STE_2_VTCR_S2T0SZ,
    S2SL0: R.STRTAB_STE_2_VTCR_S2SL0,
    S2IR0: R.STRTAB_STE_2_VTCR_S2IR0,
    S2OR0: R.STRTAB_STE_2_VTCR_S2OR0,
    S2SH0: R.STRTAB_STE_2_VTCR_S2SH0,
    S2TG: R.STRTAB_STE_2_VTCR_S2TG,
    S2PS: R.STRTAB_STE_2_VTCR_S2PS,
  };
  for (const [name, mask] of Object.entries(vtcr)) expect([name, BigInt(mask)]).toEqual([name, bits(fieldNamed(STE.fields, name), 160)]);
  expect(R.STRTAB_STE_2_VTCR).toBe(Object.values(vtcr).reduce((sum, mask) => sum | (BigInt(mask) << 32n), 0n));
});

test("CD fields", () => {
  const masks = {
    T0SZ: R.CTXDESC_CD_0_TCR_T0SZ,
    TG0: R.CTXDESC_CD_0_TCR_TG0,
    IR0: R.CTXDESC_CD_0_TCR_IRGN0,
    OR0: R.CTXDESC_CD_0_TCR_ORGN0,
    SH0: R.CTXDESC_CD_0_TCR_SH0,
    EPD0: R.CTXDESC_CD_0_TCR_EPD0,
    ENDI: R.CTXDESC_CD_0_ENDI,
    EPD1: R.CTXDESC_CD_0_TCR_EPD1,
    V: R.CTXDESC_CD_0_V,
    IPS: R.CTXDESC_CD_0_TCR_IPS,
    AA64: R.CTXDESC_CD_0_AA64,
    HD: R.CTXDESC_CD_0_TCR_HD,
    HA: R.CTXDESC_CD_0_TCR_HA,
    S: R.CTXDESC_CD_0_S,
    R: R.CTXDESC_CD_0_R,
    A: R.CTXDESC_CD_0_A,
    ASET: R.CTXDESC_CD_0_ASET,
    ASID: R.CTXDESC_CD_0_ASID,
    TTB0: R.CTXDESC_CD_1_TTB0_MASK,
  };
  expect(masks).toEqual(masksOf(CD.fields, Object.keys(masks)));
});

test("level-1 descriptors", () => {
  expect(R.STRTAB_L1_DESC_SPAN).toBe(bits(fieldNamed(L1STD.fields, "Span")));
  expect(R.STRTAB_L1_DESC_L2PTR_MASK).toBe(bits(fieldNamed(L1STD.fields, "L2Ptr")) & BELOW_52);
  expect(R.CTXDESC_L1_DESC_V).toBe(bits(fieldNamed(L1CD.fields, "V")));
  expect(R.CTXDESC_L1_DESC_L2PTR_MASK).toBe(bits(fieldNamed(L1CD.fields, "L2Ptr")) & BELOW_52);
});

describe("commands", () => {
  test.each<[string, number]>([
    ["CMD_PREFETCH_CONFIG", R.CMDQ_OP_PREFETCH_CFG],
    ["CMD_CFGI_STE", R.CMDQ_OP_CFGI_STE],
    ["CMD_CFGI_STE_RANGE", R.CMDQ_OP_CFGI_ALL],
    ["CMD_CFGI_CD", R.CMDQ_OP_CFGI_CD],
    ["CMD_CFGI_CD_ALL", R.CMDQ_OP_CFGI_CD_ALL],
    ["CMD_TLBI_NH_ALL", R.CMDQ_OP_TLBI_NH_ALL],
    ["CMD_TLBI_NH_ASID", R.CMDQ_OP_TLBI_NH_ASID],
    ["CMD_TLBI_NH_VA", R.CMDQ_OP_TLBI_NH_VA],
    ["CMD_TLBI_EL2_ALL", R.CMDQ_OP_TLBI_EL2_ALL],
    ["CMD_TLBI_EL2_ASID", R.CMDQ_OP_TLBI_EL2_ASID],
    ["CMD_TLBI_EL2_VA", R.CMDQ_OP_TLBI_EL2_VA],
    ["CMD_TLBI_S12_VMALL", R.CMDQ_OP_TLBI_S12_VMALL],
    ["CMD_TLBI_S2_IPA", R.CMDQ_OP_TLBI_S2_IPA],
    ["CMD_TLBI_NSNH_ALL", R.CMDQ_OP_TLBI_NSNH_ALL],
    ["CMD_ATC_INV", R.CMDQ_OP_ATC_INV],
    ["CMD_PRI_RESP", R.CMDQ_OP_PRI_RESP],
    ["CMD_RESUME", R.CMDQ_OP_RESUME],
    ["CMD_SYNC", R.CMDQ_OP_CMD_SYNC],
  ])("%s has its opcode", (name, opcode) => expect(smmuCommands.find((command) => command.name === name)?.opcode).toBe(opcode));

  test.each<[string, string, bigint]>([
    ["CMD_PREFETCH_CONFIG", "StreamID", R.CMDQ_PREFETCH_0_SID],
    ["CMD_CFGI_CD", "SubstreamID", R.CMDQ_CFGI_0_SSID],
    ["CMD_CFGI_STE", "StreamID", R.CMDQ_CFGI_0_SID],
    ["CMD_CFGI_STE", "Leaf", R.CMDQ_CFGI_1_LEAF],
    ["CMD_CFGI_STE_RANGE", "Range", R.CMDQ_CFGI_1_RANGE],
    ["CMD_TLBI_NH_VA", "NUM", R.CMDQ_TLBI_0_NUM],
    ["CMD_TLBI_NH_VA", "VMID", R.CMDQ_TLBI_0_VMID],
    ["CMD_TLBI_NH_VA", "ASID", R.CMDQ_TLBI_0_ASID],
    ["CMD_TLBI_NH_VA", "Leaf", R.CMDQ_TLBI_1_LEAF],
    ["CMD_TLBI_NH_VA", "TTL", R.CMDQ_TLBI_1_TTL],
    ["CMD_TLBI_NH_VA", "TG", R.CMDQ_TLBI_1_TG],
    ["CMD_TLBI_NH_VA", "Address", R.CMDQ_TLBI_1_VA_MASK],
    ["CMD_ATC_INV", "SSV", R.CMDQ_0_SSV],
    ["CMD_ATC_INV", "SubstreamID", R.CMDQ_ATC_0_SSID],
    ["CMD_ATC_INV", "StreamID", R.CMDQ_ATC_0_SID],
    ["CMD_ATC_INV", "Global", R.CMDQ_ATC_0_GLOBAL],
    ["CMD_ATC_INV", "Size", R.CMDQ_ATC_1_SIZE],
    ["CMD_ATC_INV", "Address", R.CMDQ_ATC_1_ADDR_MASK],
    ["CMD_PRI_RESP", "SSV", R.CMDQ_0_SSV],
    ["CMD_PRI_RESP", "SubstreamID", R.CMDQ_PRI_0_SSID],
    ["CMD_PRI_RESP", "StreamID", R.CMDQ_PRI_0_SID],
    ["CMD_PRI_RESP", "PRGIndex", R.CMDQ_PRI_1_GRPID],
    ["CMD_PRI_RESP", "Resp", R.CMDQ_PRI_1_RESP],
    ["CMD_RESUME", "StreamID", R.CMDQ_RESUME_0_SID],
    ["CMD_RESUME", "STAG", R.CMDQ_RESUME_1_STAG],
    ["CMD_SYNC", "CS", R.CMDQ_SYNC_0_CS],
    ["CMD_SYNC", "MSH", R.CMDQ_SYNC_0_MSH],
    ["CMD_SYNC", "MSIAttr", R.CMDQ_SYNC_0_MSIATTR],
    ["CMD_SYNC", "MSIData", R.CMDQ_SYNC_0_MSIDATA],
  ])("%s.%s", (name, field, mask) => {
    const found = fieldNamed(smmuCommands.find((command) => command.name === name)!.fields, field);
    expect(mask).toBe(bits(found, 64 * Math.floor(found.lo / 64)));
  });

  test("SCALE has 5 bits here; the sixth belongs to 52-bit 4 KiB tables", () => {
    const scale = fieldNamed(smmuCommands.find((command) => command.name === "CMD_TLBI_NH_VA")!.fields, "SCALE");
    expect(R.CMDQ_TLBI_0_SCALE).toBe(bits(scale) & ~(1n << 25n));
  });

  test("addresses up to bit 51", () => {
    const field = (command: string, name: string): Field =>
      fieldNamed(smmuCommands.find((candidate) => candidate.name === command)!.fields, name);
    expect(R.CMDQ_TLBI_1_IPA_MASK).toBe(bits(field("CMD_TLBI_S2_IPA", "Address"), 64) & BELOW_52);
    expect(R.CMDQ_SYNC_1_MSIADDR_MASK).toBe(bits(field("CMD_SYNC", "MSIAddress"), 64) & BELOW_52);
  });

  test("RESUME's response: Ab without Ac is an abort", () => {
    const resume = smmuCommands.find((command) => command.name === "CMD_RESUME")!.fields;
    expect(R.CMDQ_RESUME_0_RESP).toBe(bits(fieldNamed(resume, "Ac")) | bits(fieldNamed(resume, "Ab")));
    expect(BigInt(R.CMDQ_RESUME_0_RESP_ABORT) << 12n).toBe(bits(fieldNamed(resume, "Ab")));
  });
});

test("event numbers", () => {
  expect({
    C_BAD_STREAMID: R.EVT_ID_BAD_STREAMID_CONFIG,
    F_STE_FETCH: R.EVT_ID_STE_FETCH_FAULT,
    C_BAD_STE: R.EVT_ID_BAD_STE_CONFIG,
    F_STREAM_DISABLED: R.EVT_ID_STREAM_DISABLED_FAULT,
    C_BAD_SUBSTREAMID: R.EVT_ID_BAD_SUBSTREAMID_CONFIG,
    F_CD_FETCH: R.EVT_ID_CD_FETCH_FAULT,
    C_BAD_CD: R.EVT_ID_BAD_CD_CONFIG,
    F_TRANSLATION: R.EVT_ID_TRANSLATION_FAULT,
    F_ADDR_SIZE: R.EVT_ID_ADDR_SIZE_FAULT,
    F_ACCESS: R.EVT_ID_ACCESS_FAULT,
    F_PERMISSION: R.EVT_ID_PERMISSION_FAULT,
    F_VMS_FETCH: R.EVT_ID_VMS_FETCH_FAULT,
  }).toEqual({
    C_BAD_STREAMID: EventNumber.C_BAD_STREAMID,
    F_STE_FETCH: EventNumber.F_STE_FETCH,
    C_BAD_STE: EventNumber.C_BAD_STE,
    F_STREAM_DISABLED: EventNumber.F_STREAM_DISABLED,
    C_BAD_SUBSTREAMID: EventNumber.C_BAD_SUBSTREAMID,
    F_CD_FETCH: EventNumber.F_CD_FETCH,
    C_BAD_CD: EventNumber.C_BAD_CD,
    F_TRANSLATION: EventNumber.F_TRANSLATION,
    F_ADDR_SIZE: EventNumber.F_ADDR_SIZE,
    F_ACCESS: EventNumber.F_ACCESS,
    F_PERMISSION: EventNumber.F_PERMISSION,
    F_VMS_FETCH: EventNumber.F_VMS_FETCH,
  });
});

test("event fields", () => {
  const permission = EVENTS.find(({ name }) => name === "F_PERMISSION")!.fields;
  const masks = {
    EventType: R.EVTQ_0_ID,
    SSV: R.EVTQ_0_SSV,
    SubstreamID: R.EVTQ_0_SSID,
    StreamID: R.EVTQ_0_SID,
    STAG: R.EVTQ_1_STAG,
    Stall: R.EVTQ_1_STALL,
    PnU: R.EVTQ_1_PnU,
    InD: R.EVTQ_1_InD,
    RnW: R.EVTQ_1_RnW,
    S2: R.EVTQ_1_S2,
    CLASS: R.EVTQ_1_CLASS,
    TTRnW: R.EVTQ_1_TT_READ,
  };
  expect(masks).toEqual(masksOf(permission, Object.keys(masks)));
  expect(R.EVTQ_3_IPA).toBe(bits(fieldNamed(permission, "IPA"), 192) & BELOW_52);
  const fetch = EVENTS.find(({ name }) => name === "F_STE_FETCH")!.fields;
  expect(R.EVTQ_3_FETCH_ADDR).toBe(bits(fieldNamed(fetch, "FetchAddr"), 192) & BELOW_52);
});
