// SPDX-License-Identifier: GPL-2.0-only
/**
 * The driver's own header: register offsets, register and queue fields, in-memory structures, commands and events. Facts
 * from IHI 0070 chapters 3.5, 4, 5, 6, 7 and 8. Masks of 32-bit registers are numbers, masks of 64-bit words are bigints.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.h, under its names. Left out: AIDR, the memory attributes and
 * fields that no code here uses.
 */
import { BIT, BIT_ULL, GENMASK, GENMASK_ULL } from "../bitfield.ts";

// Registers, page 0.
export const ARM_SMMU_IDR0 = 0x0;
export const IDR0_ST_LVL: number = GENMASK(28, 27);
export const IDR0_ST_LVL_2LVL = 1;
export const IDR0_STALL_MODEL: number = GENMASK(25, 24);
export const IDR0_STALL_MODEL_STALL = 0;
export const IDR0_STALL_MODEL_FORCE = 2;
export const IDR0_TTENDIAN: number = GENMASK(22, 21);
export const IDR0_TTENDIAN_MIXED = 0;
export const IDR0_TTENDIAN_LE = 2;
export const IDR0_TTENDIAN_BE = 3;
export const IDR0_CD2L: number = BIT(19);
export const IDR0_VMID16: number = BIT(18);
export const IDR0_PRI: number = BIT(16);
export const IDR0_SEV: number = BIT(14);
export const IDR0_MSI: number = BIT(13);
export const IDR0_ASID16: number = BIT(12);
export const IDR0_ATS: number = BIT(10);
export const IDR0_HYP: number = BIT(9);
export const IDR0_HTTU: number = GENMASK(7, 6);
export const IDR0_HTTU_ACCESS = 1;
export const IDR0_HTTU_ACCESS_DIRTY = 2;
export const IDR0_COHACC: number = BIT(4);
export const IDR0_TTF: number = GENMASK(3, 2);
export const IDR0_TTF_AARCH64 = 2;
export const IDR0_S1P: number = BIT(1);
export const IDR0_S2P: number = BIT(0);

export const ARM_SMMU_IDR1 = 0x4;
export const IDR1_TABLES_PRESET: number = BIT(30);
export const IDR1_QUEUES_PRESET: number = BIT(29);
export const IDR1_REL: number = BIT(28);
export const IDR1_ATTR_TYPES_OVR: number = BIT(27);
export const IDR1_CMDQS: number = GENMASK(25, 21);
export const IDR1_EVTQS: number = GENMASK(20, 16);
export const IDR1_PRIQS: number = GENMASK(15, 11);
export const IDR1_SSIDSIZE: number = GENMASK(10, 6);
export const IDR1_SIDSIZE: number = GENMASK(5, 0);

export const ARM_SMMU_IDR3 = 0xc;
export const IDR3_FWB: number = BIT(8);
export const IDR3_RIL: number = BIT(10);
export const IDR3_BBM: number = GENMASK(12, 11);

export const ARM_SMMU_IDR5 = 0x14;
export const IDR5_STALL_MAX: number = GENMASK(31, 16);
export const IDR5_VAX: number = GENMASK(11, 10);
export const IDR5_VAX_52_BIT = 1;
export const IDR5_GRAN64K: number = BIT(6);
export const IDR5_GRAN16K: number = BIT(5);
export const IDR5_GRAN4K: number = BIT(4);
export const IDR5_OAS: number = GENMASK(2, 0);

export const ARM_SMMU_IIDR = 0x18;
export const IIDR_PRODUCTID: number = GENMASK(31, 20);
export const IIDR_VARIANT: number = GENMASK(19, 16);
export const IIDR_REVISION: number = GENMASK(15, 12);
export const IIDR_IMPLEMENTER: number = GENMASK(11, 0);
export const IIDR_IMPLEMENTER_ARM = 0x43b;
export const IIDR_PRODUCTID_ARM_MMU_600 = 0x483;
export const IIDR_PRODUCTID_ARM_MMU_700 = 0x487;
export const IIDR_PRODUCTID_ARM_MMU_L1 = 0x48a;
export const IIDR_PRODUCTID_ARM_MMU_S3 = 0x498;

export const ARM_SMMU_CR0 = 0x20;
export const CR0_ATSCHK: number = BIT(4);
export const CR0_CMDQEN: number = BIT(3);
export const CR0_EVTQEN: number = BIT(2);
export const CR0_PRIQEN: number = BIT(1);
export const CR0_SMMUEN: number = BIT(0);
export const ARM_SMMU_CR0ACK = 0x24;

export const ARM_SMMU_CR1 = 0x28;
export const CR1_TABLE_SH: number = GENMASK(11, 10);
export const CR1_TABLE_OC: number = GENMASK(9, 8);
export const CR1_TABLE_IC: number = GENMASK(7, 6);
export const CR1_QUEUE_SH: number = GENMASK(5, 4);
export const CR1_QUEUE_OC: number = GENMASK(3, 2);
export const CR1_QUEUE_IC: number = GENMASK(1, 0);
export const CR1_CACHE_WB = 1;

export const ARM_SMMU_CR2 = 0x2c;
export const CR2_PTM: number = BIT(2);
export const CR2_RECINVSID: number = BIT(1);
export const CR2_E2H: number = BIT(0);

export const ARM_SMMU_GBPA = 0x44;
export const GBPA_UPDATE: number = BIT(31);
export const GBPA_ABORT: number = BIT(20);

export const ARM_SMMU_IRQ_CTRL = 0x50;
export const IRQ_CTRL_EVTQ_IRQEN: number = BIT(2);
export const IRQ_CTRL_PRIQ_IRQEN: number = BIT(1);
export const IRQ_CTRL_GERROR_IRQEN: number = BIT(0);
export const ARM_SMMU_IRQ_CTRLACK = 0x54;

export const ARM_SMMU_GERROR = 0x60;
export const GERROR_SFM_ERR: number = BIT(8);
export const GERROR_MSI_GERROR_ABT_ERR: number = BIT(7);
export const GERROR_MSI_PRIQ_ABT_ERR: number = BIT(6);
export const GERROR_MSI_EVTQ_ABT_ERR: number = BIT(5);
export const GERROR_MSI_CMDQ_ABT_ERR: number = BIT(4);
export const GERROR_PRIQ_ABT_ERR: number = BIT(3);
export const GERROR_EVTQ_ABT_ERR: number = BIT(2);
export const GERROR_CMDQ_ERR: number = BIT(0);
export const GERROR_ERR_MASK = 0x1fd;
export const ARM_SMMU_GERRORN = 0x64;
export const ARM_SMMU_GERROR_IRQ_CFG0 = 0x68;
export const ARM_SMMU_GERROR_IRQ_CFG1 = 0x70;
export const ARM_SMMU_GERROR_IRQ_CFG2 = 0x74;

export const ARM_SMMU_STRTAB_BASE = 0x80;
export const STRTAB_BASE_RA: bigint = BIT_ULL(62);
export const STRTAB_BASE_ADDR_MASK: bigint = GENMASK_ULL(51, 6);
export const ARM_SMMU_STRTAB_BASE_CFG = 0x88;
export const STRTAB_BASE_CFG_FMT: number = GENMASK(17, 16);
export const STRTAB_BASE_CFG_FMT_LINEAR = 0;
export const STRTAB_BASE_CFG_FMT_2LVL = 1;
export const STRTAB_BASE_CFG_SPLIT: number = GENMASK(10, 6);
export const STRTAB_BASE_CFG_LOG2SIZE: number = GENMASK(5, 0);

export const ARM_SMMU_CMDQ_BASE = 0x90;
export const ARM_SMMU_CMDQ_PROD = 0x98;
export const ARM_SMMU_CMDQ_CONS = 0x9c;
export const ARM_SMMU_EVTQ_BASE = 0xa0;
/** PROD and CONS of the event queue live on page 1. */
export const ARM_SMMU_EVTQ_PROD = 0xa8;
export const ARM_SMMU_EVTQ_CONS = 0xac;
export const ARM_SMMU_EVTQ_IRQ_CFG0 = 0xb0;
export const ARM_SMMU_EVTQ_IRQ_CFG1 = 0xb8;
export const ARM_SMMU_EVTQ_IRQ_CFG2 = 0xbc;
export const ARM_SMMU_PRIQ_BASE = 0xc0;
/** Those of the PRI queue too. */
export const ARM_SMMU_PRIQ_PROD = 0xc8;
export const ARM_SMMU_PRIQ_CONS = 0xcc;
export const ARM_SMMU_PRIQ_IRQ_CFG0 = 0xd0;
export const ARM_SMMU_PRIQ_IRQ_CFG1 = 0xd8;
export const ARM_SMMU_PRIQ_IRQ_CFG2 = 0xdc;

/** Bytes of each page that the driver maps. */
export const ARM_SMMU_REG_SZ = 0xe00;
/** Where page 1 begins. */
export const ARM_SMMU_PAGE1_OFFSET = 0x10000;

export const MSI_CFG0_ADDR_MASK: bigint = GENMASK_ULL(51, 2);
export const ARM_SMMU_SH_ISH = 3;
export const ARM_SMMU_MEMATTR_DEVICE_nGnRE = 0x1;
export const ARM_SMMU_MEMATTR_OIWB = 0xf;

// Queues.
export const Q_OVERFLOW_FLAG: number = BIT(31);
export const Q_BASE_RWA: bigint = BIT_ULL(62);
export const Q_BASE_ADDR_MASK: bigint = GENMASK_ULL(51, 5);
export const Q_BASE_LOG2SIZE: bigint = GENMASK_ULL(4, 0);
/** PAGE_SHIFT + MAX_PAGE_ORDER: the largest naturally aligned allocation. */
const Q_MAX_SZ_SHIFT = 22;

// The stream table.
export const STRTAB_SPLIT = 8;
export const STRTAB_NUM_L2_STES = 256;
export const STRTAB_MAX_L1_ENTRIES = 0x20000;
export const STRTAB_L1_DESC_SPAN: bigint = GENMASK_ULL(4, 0);
export const STRTAB_L1_DESC_L2PTR_MASK: bigint = GENMASK_ULL(51, 6);
export const STRTAB_STE_DWORDS = 8;
/** Bytes of an STE and of a CD. */
export const ARM_SMMU_ENTRY_SIZE = 64;

export const STRTAB_STE_0_V: bigint = BIT_ULL(0);
export const STRTAB_STE_0_CFG: bigint = GENMASK_ULL(3, 1);
export const STRTAB_STE_0_CFG_ABORT = 0;
export const STRTAB_STE_0_CFG_BYPASS = 4;
export const STRTAB_STE_0_CFG_S1_TRANS = 5;
export const STRTAB_STE_0_CFG_S2_TRANS = 6;
export const STRTAB_STE_0_CFG_NESTED = 7;
export const STRTAB_STE_0_S1FMT: bigint = GENMASK_ULL(5, 4);
export const STRTAB_STE_0_S1FMT_LINEAR = 0;
export const STRTAB_STE_0_S1FMT_64K_L2 = 2;
export const STRTAB_STE_0_S1CTXPTR_MASK: bigint = GENMASK_ULL(51, 6);
export const STRTAB_STE_0_S1CDMAX: bigint = GENMASK_ULL(63, 59);

export const STRTAB_STE_1_S1DSS: bigint = GENMASK_ULL(1, 0);
export const STRTAB_STE_1_S1DSS_TERMINATE = 0;
export const STRTAB_STE_1_S1DSS_BYPASS = 1;
export const STRTAB_STE_1_S1DSS_SSID0 = 2;
export const STRTAB_STE_1_S1C_CACHE_WBRA = 1;
export const STRTAB_STE_1_S1CIR: bigint = GENMASK_ULL(3, 2);
export const STRTAB_STE_1_S1COR: bigint = GENMASK_ULL(5, 4);
export const STRTAB_STE_1_S1CSH: bigint = GENMASK_ULL(7, 6);
export const STRTAB_STE_1_MEV: bigint = BIT_ULL(19);
export const STRTAB_STE_1_S2FWB: bigint = BIT_ULL(25);
export const STRTAB_STE_1_S1STALLD: bigint = BIT_ULL(27);
export const STRTAB_STE_1_EATS: bigint = GENMASK_ULL(29, 28);
export const STRTAB_STE_1_EATS_ABT = 0;
export const STRTAB_STE_1_EATS_TRANS = 1;
export const STRTAB_STE_1_EATS_S1CHK = 2;
export const STRTAB_STE_1_STRW: bigint = GENMASK_ULL(31, 30);
export const STRTAB_STE_1_STRW_NSEL1 = 0;
export const STRTAB_STE_1_STRW_EL2 = 2;
export const STRTAB_STE_1_SHCFG: bigint = GENMASK_ULL(45, 44);
export const STRTAB_STE_1_SHCFG_INCOMING = 1;

export const STRTAB_STE_2_S2VMID: bigint = GENMASK_ULL(15, 0);
export const STRTAB_STE_2_VTCR: bigint = GENMASK_ULL(50, 32);
export const STRTAB_STE_2_VTCR_S2T0SZ: number = GENMASK(5, 0);
export const STRTAB_STE_2_VTCR_S2SL0: number = GENMASK(7, 6);
export const STRTAB_STE_2_VTCR_S2IR0: number = GENMASK(9, 8);
export const STRTAB_STE_2_VTCR_S2OR0: number = GENMASK(11, 10);
export const STRTAB_STE_2_VTCR_S2SH0: number = GENMASK(13, 12);
export const STRTAB_STE_2_VTCR_S2TG: number = GENMASK(15, 14);
export const STRTAB_STE_2_VTCR_S2PS: number = GENMASK(18, 16);
export const STRTAB_STE_2_S2AA64: bigint = BIT_ULL(51);
export const STRTAB_STE_2_S2ENDI: bigint = BIT_ULL(52);
export const STRTAB_STE_2_S2PTW: bigint = BIT_ULL(54);
export const STRTAB_STE_2_S2S: bigint = BIT_ULL(57);
export const STRTAB_STE_2_S2R: bigint = BIT_ULL(58);
export const STRTAB_STE_3_S2TTB_MASK: bigint = GENMASK_ULL(51, 4);

// Context descriptors.
export const CTXDESC_L2_ENTRIES = 1024;
export const CTXDESC_L1_DESC_V: bigint = BIT_ULL(0);
export const CTXDESC_L1_DESC_L2PTR_MASK: bigint = GENMASK_ULL(51, 12);
export const CTXDESC_CD_DWORDS = 8;
/** log2 of the CDs in the largest linear table (64 KiB). */
export const CTXDESC_LINEAR_CDMAX = 10;

export const CTXDESC_CD_0_TCR_T0SZ: bigint = GENMASK_ULL(5, 0);
export const CTXDESC_CD_0_TCR_TG0: bigint = GENMASK_ULL(7, 6);
export const CTXDESC_CD_0_TCR_IRGN0: bigint = GENMASK_ULL(9, 8);
export const CTXDESC_CD_0_TCR_ORGN0: bigint = GENMASK_ULL(11, 10);
export const CTXDESC_CD_0_TCR_SH0: bigint = GENMASK_ULL(13, 12);
export const CTXDESC_CD_0_TCR_EPD0: bigint = BIT_ULL(14);
export const CTXDESC_CD_0_ENDI: bigint = BIT_ULL(15);
export const CTXDESC_CD_0_TCR_EPD1: bigint = BIT_ULL(30);
export const CTXDESC_CD_0_V: bigint = BIT_ULL(31);
export const CTXDESC_CD_0_TCR_IPS: bigint = GENMASK_ULL(34, 32);
export const CTXDESC_CD_0_AA64: bigint = BIT_ULL(41);
export const CTXDESC_CD_0_TCR_HD: bigint = BIT_ULL(42);
export const CTXDESC_CD_0_TCR_HA: bigint = BIT_ULL(43);
export const CTXDESC_CD_0_S: bigint = BIT_ULL(44);
export const CTXDESC_CD_0_R: bigint = BIT_ULL(45);
export const CTXDESC_CD_0_A: bigint = BIT_ULL(46);
export const CTXDESC_CD_0_ASET: bigint = BIT_ULL(47);
export const CTXDESC_CD_0_ASID: bigint = GENMASK_ULL(63, 48);
export const CTXDESC_CD_1_TTB0_MASK: bigint = GENMASK_ULL(51, 4);

// The command queue.
const CMDQ_ENT_SZ_SHIFT = 4;
export const CMDQ_ENT_DWORDS = 2;
export const CMDQ_MAX_SZ_SHIFT: number = Q_MAX_SZ_SHIFT - CMDQ_ENT_SZ_SHIFT;
export const CMDQ_CONS_ERR: number = GENMASK(30, 24);
export const CMDQ_ERR_CERROR_NONE_IDX = 0;
export const CMDQ_ERR_CERROR_ILL_IDX = 1;
export const CMDQ_ERR_CERROR_ABT_IDX = 2;
export const CMDQ_ERR_CERROR_ATC_INV_IDX = 3;
/** Commands of one batch: BITS_PER_LONG. */
export const CMDQ_BATCH_ENTRIES = 64;

export const CMDQ_0_OP: bigint = GENMASK_ULL(7, 0);
export const CMDQ_0_SSV: bigint = BIT_ULL(11);
export const CMDQ_PREFETCH_0_SID: bigint = GENMASK_ULL(63, 32);
export const CMDQ_CFGI_0_SSID: bigint = GENMASK_ULL(31, 12);
export const CMDQ_CFGI_0_SID: bigint = GENMASK_ULL(63, 32);
export const CMDQ_CFGI_1_LEAF: bigint = BIT_ULL(0);
export const CMDQ_CFGI_1_RANGE: bigint = GENMASK_ULL(4, 0);
export const CMDQ_TLBI_0_NUM: bigint = GENMASK_ULL(16, 12);
export const CMDQ_TLBI_RANGE_NUM_MAX = 31;
export const CMDQ_TLBI_0_SCALE: bigint = GENMASK_ULL(24, 20);
export const CMDQ_TLBI_0_VMID: bigint = GENMASK_ULL(47, 32);
export const CMDQ_TLBI_0_ASID: bigint = GENMASK_ULL(63, 48);
export const CMDQ_TLBI_1_LEAF: bigint = BIT_ULL(0);
export const CMDQ_TLBI_1_TTL: bigint = GENMASK_ULL(9, 8);
export const CMDQ_TLBI_1_TG: bigint = GENMASK_ULL(11, 10);
export const CMDQ_TLBI_1_VA_MASK: bigint = GENMASK_ULL(63, 12);
export const CMDQ_TLBI_1_IPA_MASK: bigint = GENMASK_ULL(51, 12);
export const CMDQ_ATC_0_SSID: bigint = GENMASK_ULL(31, 12);
export const CMDQ_ATC_0_SID: bigint = GENMASK_ULL(63, 32);
export const CMDQ_ATC_0_GLOBAL: bigint = BIT_ULL(9);
export const CMDQ_ATC_1_SIZE: bigint = GENMASK_ULL(5, 0);
export const CMDQ_ATC_1_ADDR_MASK: bigint = GENMASK_ULL(63, 12);
/** log2 of the 4 KiB pages of a whole address space. */
export const ATC_INV_SIZE_ALL = 52;
export const CMDQ_PRI_0_SSID: bigint = GENMASK_ULL(31, 12);
export const CMDQ_PRI_0_SID: bigint = GENMASK_ULL(63, 32);
export const CMDQ_PRI_1_GRPID: bigint = GENMASK_ULL(8, 0);
export const CMDQ_PRI_1_RESP: bigint = GENMASK_ULL(13, 12);
/** The endpoint hears "Response Failure" and stops using PRI. */
export const PRI_RESP_DENY = 0;
export const CMDQ_RESUME_0_SID: bigint = GENMASK_ULL(63, 32);
export const CMDQ_RESUME_0_RESP: bigint = GENMASK_ULL(13, 12);
export const CMDQ_RESUME_0_RESP_RETRY = 1;
export const CMDQ_RESUME_0_RESP_ABORT = 2;
export const CMDQ_RESUME_1_STAG: bigint = GENMASK_ULL(15, 0);
export const CMDQ_SYNC_0_CS: bigint = GENMASK_ULL(13, 12);
export const CMDQ_SYNC_0_CS_IRQ = 1;
export const CMDQ_SYNC_0_CS_SEV = 2;
export const CMDQ_SYNC_0_MSH: bigint = GENMASK_ULL(23, 22);
export const CMDQ_SYNC_0_MSIATTR: bigint = GENMASK_ULL(27, 24);
export const CMDQ_SYNC_0_MSIDATA: bigint = GENMASK_ULL(63, 32);
export const CMDQ_SYNC_1_MSIADDR_MASK: bigint = GENMASK_ULL(51, 2);

export const CMDQ_OP_PREFETCH_CFG = 0x01;
export const CMDQ_OP_CFGI_STE = 0x03;
export const CMDQ_OP_CFGI_ALL = 0x04;
export const CMDQ_OP_CFGI_CD = 0x05;
export const CMDQ_OP_CFGI_CD_ALL = 0x06;
export const CMDQ_OP_TLBI_NH_ALL = 0x10;
export const CMDQ_OP_TLBI_NH_ASID = 0x11;
export const CMDQ_OP_TLBI_NH_VA = 0x12;
export const CMDQ_OP_TLBI_NH_VAA = 0x13;
export const CMDQ_OP_TLBI_EL2_ALL = 0x20;
export const CMDQ_OP_TLBI_EL2_ASID = 0x21;
export const CMDQ_OP_TLBI_EL2_VA = 0x22;
export const CMDQ_OP_TLBI_S12_VMALL = 0x28;
export const CMDQ_OP_TLBI_S2_IPA = 0x2a;
export const CMDQ_OP_TLBI_NSNH_ALL = 0x30;
export const CMDQ_OP_ATC_INV = 0x40;
export const CMDQ_OP_PRI_RESP = 0x41;
export const CMDQ_OP_RESUME = 0x44;
export const CMDQ_OP_CMD_SYNC = 0x46;

// The event queue.
const EVTQ_ENT_SZ_SHIFT = 5;
export const EVTQ_ENT_DWORDS = 4;
export const EVTQ_MAX_SZ_SHIFT: number = Q_MAX_SZ_SHIFT - EVTQ_ENT_SZ_SHIFT;
export const EVTQ_0_ID: bigint = GENMASK_ULL(7, 0);
export const EVTQ_0_SSV: bigint = BIT_ULL(11);
export const EVTQ_0_SSID: bigint = GENMASK_ULL(31, 12);
export const EVTQ_0_SID: bigint = GENMASK_ULL(63, 32);
export const EVTQ_1_STAG: bigint = GENMASK_ULL(15, 0);
export const EVTQ_1_STALL: bigint = BIT_ULL(31);
export const EVTQ_1_PnU: bigint = BIT_ULL(33);
export const EVTQ_1_InD: bigint = BIT_ULL(34);
export const EVTQ_1_RnW: bigint = BIT_ULL(35);
export const EVTQ_1_S2: bigint = BIT_ULL(39);
export const EVTQ_1_CLASS: bigint = GENMASK_ULL(41, 40);
export const EVTQ_1_CLASS_TT = 1;
export const EVTQ_1_TT_READ: bigint = BIT_ULL(44);
export const EVTQ_2_ADDR: bigint = GENMASK_ULL(63, 0);
export const EVTQ_3_IPA: bigint = GENMASK_ULL(51, 12);
export const EVTQ_3_FETCH_ADDR: bigint = GENMASK_ULL(51, 3);

export const EVT_ID_BAD_STREAMID_CONFIG = 0x02;
export const EVT_ID_STE_FETCH_FAULT = 0x03;
export const EVT_ID_BAD_STE_CONFIG = 0x04;
export const EVT_ID_STREAM_DISABLED_FAULT = 0x06;
export const EVT_ID_BAD_SUBSTREAMID_CONFIG = 0x08;
export const EVT_ID_CD_FETCH_FAULT = 0x09;
export const EVT_ID_BAD_CD_CONFIG = 0x0a;
export const EVT_ID_TRANSLATION_FAULT = 0x10;
export const EVT_ID_ADDR_SIZE_FAULT = 0x11;
export const EVT_ID_ACCESS_FAULT = 0x12;
export const EVT_ID_PERMISSION_FAULT = 0x13;
export const EVT_ID_VMS_FETCH_FAULT = 0x25;

// The PRI queue.
const PRIQ_ENT_SZ_SHIFT = 4;
export const PRIQ_ENT_DWORDS = 2;
export const PRIQ_MAX_SZ_SHIFT: number = Q_MAX_SZ_SHIFT - PRIQ_ENT_SZ_SHIFT;
export const PRIQ_0_SID: bigint = GENMASK_ULL(31, 0);
export const PRIQ_0_SSID: bigint = GENMASK_ULL(51, 32);
export const PRIQ_0_PERM_PRIV: bigint = BIT_ULL(58);
export const PRIQ_0_PERM_EXEC: bigint = BIT_ULL(59);
export const PRIQ_0_PERM_READ: bigint = BIT_ULL(60);
export const PRIQ_0_PERM_WRITE: bigint = BIT_ULL(61);
export const PRIQ_0_PRG_LAST: bigint = BIT_ULL(62);
export const PRIQ_0_SSID_V: bigint = BIT_ULL(63);
export const PRIQ_1_PRG_IDX: bigint = GENMASK_ULL(8, 0);
export const PRIQ_1_ADDR_MASK: bigint = GENMASK_ULL(63, 12);

// Times and windows.
export const ARM_SMMU_POLL_TIMEOUT_US = 1_000_000;
export const ARM_SMMU_POLL_SPIN_COUNT = 10;
export const MSI_IOVA_BASE = 0x800_0000;
export const MSI_IOVA_LENGTH = 0x10_0000;
