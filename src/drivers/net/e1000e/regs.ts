// SPDX-License-Identifier: GPL-2.0-only
/**
 * Registers, bits and descriptors of the 82574 network controller.
 *
 * Names are those of Linux 7.1 `drivers/net/ethernet/intel/e1000e/{regs.h,defines.h}`; values are the 82574 datasheet's.
 * Only what the driver uses; queue 0 only.
 */

/** Register offsets in BAR 0. */
export const E1000_CTRL = 0x00000;
export const E1000_STATUS = 0x00008;
export const E1000_EECD = 0x00010;
export const E1000_CTRL_EXT = 0x00018;
export const E1000_ICR = 0x000c0;
export const E1000_ICS = 0x000c8;
export const E1000_IMS = 0x000d0;
export const E1000_IMC = 0x000d8;
export const E1000_EIAC_82574 = 0x000dc;
export const E1000_IAM = 0x000e0;
export const E1000_IVAR = 0x000e4;
/** Interrupt throttling of vector n at +4n. */
export const E1000_EITR_82574 = 0x000e8;
export const E1000_RCTL = 0x00100;
export const E1000_TCTL = 0x00400;
export const E1000_PBA = 0x01000;
export const E1000_RDBAL = 0x02800;
export const E1000_RDBAH = 0x02804;
export const E1000_RDLEN = 0x02808;
export const E1000_RDH = 0x02810;
export const E1000_RDT = 0x02818;
export const E1000_RDTR = 0x02820;
export const E1000_RXDCTL = 0x02828;
export const E1000_RADV = 0x0282c;
export const E1000_RXDCTL1 = 0x02928;
export const E1000_TDBAL = 0x03800;
export const E1000_TDBAH = 0x03804;
export const E1000_TDLEN = 0x03808;
export const E1000_TDH = 0x03810;
export const E1000_TDT = 0x03818;
export const E1000_TIDV = 0x03820;
export const E1000_TXDCTL = 0x03828;
export const E1000_TADV = 0x0382c;
export const E1000_TXDCTL1 = 0x03928;
export const E1000_RFCTL = 0x05008;
export const E1000_RAL = 0x05400;
export const E1000_RAH = 0x05404;
export const E1000_WUC = 0x05800;
export const E1000_WUFC = 0x05808;

/** CTRL */
export const E1000_CTRL_GIO_MASTER_DISABLE = 0x00000004;
export const E1000_CTRL_SLU = 0x00000040;
export const E1000_CTRL_ADVD3WUC = 0x00100000;
export const E1000_CTRL_EN_PHY_PWR_MGMT = 0x00200000;
export const E1000_CTRL_RST = 0x04000000;

/** STATUS */
export const E1000_STATUS_LU = 0x00000002;
/** Set while the device may still issue requests: master not disabled, or requests pending. */
export const E1000_STATUS_GIO_MASTER_ENABLE = 0x00080000;

/** EECD */
export const E1000_EECD_AUTO_RD = 0x00000200;

/** CTRL_EXT */
export const E1000_CTRL_EXT_EIAME = 0x01000000;
export const E1000_CTRL_EXT_IAME = 0x08000000;
export const E1000_CTRL_EXT_DRV_LOAD = 0x10000000;
export const E1000_CTRL_EXT_PBA_CLR = 0x80000000;

/** ICR, ICS, IMS, IMC */
export const E1000_ICR_LSC = 0x00000004;
export const E1000_ICR_RXO = 0x00000040;
export const E1000_ICR_MDAC = 0x00000200;
export const E1000_ICR_SRPD = 0x00010000;
export const E1000_ICR_ACK = 0x00020000;
export const E1000_ICR_MNG = 0x00040000;
export const E1000_ICR_RXQ0 = 0x00100000;
export const E1000_ICR_TXQ0 = 0x00400000;
export const E1000_ICR_OTHER = 0x01000000;

/** What the vector for other causes serves. */
export const IMS_OTHER_MASK: number = E1000_ICR_LSC | E1000_ICR_RXO | E1000_ICR_MDAC | E1000_ICR_SRPD | E1000_ICR_ACK | E1000_ICR_MNG;

/** EIAC: the causes of the 82574. */
export const E1000_EIAC_MASK_82574 = 0x01f00000;

/** IVAR: vector and valid bit of RxQ0 [3:0], TxQ0 [11:8], other [19:16]; bit 31: interrupt on every TX write-back. */
export const E1000_IVAR_INT_ALLOC_VALID = 0x8;
export const E1000_IVAR_TX_INT_EVERY_WB = 0x80000000;

/** RCTL */
export const E1000_RCTL_EN = 0x00000002;
export const E1000_RCTL_SBP = 0x00000004;
export const E1000_RCTL_MPE = 0x00000010;
export const E1000_RCTL_LPE = 0x00000020;
export const E1000_RCTL_MO_SHIFT = 12;
export const E1000_RCTL_BAM = 0x00008000;
export const E1000_RCTL_SZ_4096 = 0x00030000;
export const E1000_RCTL_BSEX = 0x02000000;
export const E1000_RCTL_SECRC = 0x04000000;

/** TCTL */
export const E1000_TCTL_EN = 0x00000002;
export const E1000_TCTL_PSP = 0x00000008;
export const E1000_TCTL_CT = 0x00000ff0;
export const E1000_TCTL_RTLC = 0x01000000;
export const E1000_COLLISION_THRESHOLD = 15;
export const E1000_CT_SHIFT = 4;

/** TXDCTL, RXDCTL: thresholds for fetching ahead [5:0], in host memory [13:8] and for write-back [21:16]; unit: descriptors. */
export const E1000_TXDCTL_PTHRESH = 0x0000003f;
export const E1000_TXDCTL_HTHRESH = 0x00003f00;
export const E1000_TXDCTL_WTHRESH = 0x003f0000;
export const E1000_TXDCTL_COUNT_DESC = 0x00400000;
export const E1000_TXDCTL_GRAN = 0x01000000;
/** GRAN, WTHRESH 1. */
export const E1000_TXDCTL_FULL_TX_DESC_WB = 0x01010000;
/** FLAG2_DMA_BURST: fetch ahead below 31 on chip when at least 1 waits; write back one by one. */
export const E1000_TXDCTL_DMA_BURST_ENABLE: number = E1000_TXDCTL_GRAN | E1000_TXDCTL_COUNT_DESC | (1 << 16) | (1 << 8) | 0x1f;
/** FLAG2_DMA_BURST: fetch ahead below 32 on chip when at least 4 wait; write back by 4. */
export const E1000_RXDCTL_DMA_BURST_ENABLE: number = 0x01000000 | (4 << 16) | (4 << 8) | 0x20;
/** RDTR and RADV with FLAG2_DMA_BURST, in units of 1.024 µs. */
export const BURST_RDTR = 0x20;
export const BURST_RADV = 0x20;
/** TIDV, RDTR: flush partial descriptor blocks. */
export const E1000_TIDV_FPD = 0x80000000;
export const E1000_RDTR_FPD = 0x80000000;

/** RAH: the address is valid. */
export const E1000_RAH_AV = 0x80000000;

/** RFCTL: no interrupt for small TCP acknowledgements; receive descriptors are written back in the extended form. */
export const E1000_RFCTL_ACK_DIS = 0x00001000;
export const E1000_RFCTL_EXTEN = 0x00008000;

/** WUC, WUFC */
export const E1000_WUC_PME_EN = 0x00000002;
export const E1000_WUFC_LNKC = 0x00000001;
export const E1000_WUFC_MAG = 0x00000002;
export const E1000_WUFC_MC = 0x00000008;

/**
 * Extended receive descriptor, 16 bytes. Read by the device: buffer address 0 (64 bits). Written back over it: status and
 * errors 8 (32 bits), length 12 (16 bits), VLAN tag 14.
 */
export const E1000_RX_DESC_SIZE = 16;
export const E1000_RX_DESC_WB_STATUS_ERROR = 8;
export const E1000_RX_DESC_WB_LENGTH = 12;
export const E1000_RXD_STAT_DD = 0x01;
export const E1000_RXD_STAT_EOP = 0x02;
/** CRC, symbol, sequence, carrier extension and data errors. */
export const E1000_RXDEXT_ERR_FRAME_ERR_MASK = 0x97000000;

/** Legacy transmit descriptor, 16 bytes: address 0 (64 bits), length and command 8, status and special 12. */
export const E1000_TX_DESC_SIZE = 16;
export const E1000_TX_DESC_LOWER = 8;
export const E1000_TX_DESC_UPPER = 12;
export const E1000_TXD_CMD_EOP = 0x01000000;
export const E1000_TXD_CMD_IFCS = 0x02000000;
export const E1000_TXD_CMD_RS = 0x08000000;
export const E1000_TXD_STAT_DD = 0x00000001;

/** Tries of 100 to 200 µs that `e1000e_disable_pcie_master` makes. */
export const MASTER_DISABLE_TIMEOUT = 800;
/** Tries of 1 to 2 ms for the NVM's auto read. */
export const AUTO_READ_DONE_TIMEOUT = 10;

/** 82574L */
export const PCI_VENDOR_ID_INTEL = 0x8086;
export const E1000_DEV_ID_82574L = 0x10d3;
