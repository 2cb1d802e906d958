// SPDX-License-Identifier: MIT
/** Registers of the 82574 as tables: offsets in BAR 0, bits, values after reset (82574 datasheet, chapter 10). Facts only. */

export const REG = {
  CTRL: 0x00000,
  STATUS: 0x00008,
  EECD: 0x00010,
  EERD: 0x00014,
  CTRL_EXT: 0x00018,
  FLA: 0x0001c,
  MDIC: 0x00020,
  FCAL: 0x00028,
  FCAH: 0x0002c,
  FCT: 0x00030,
  VET: 0x00038,
  ICR: 0x000c0,
  ITR: 0x000c4,
  ICS: 0x000c8,
  IMS: 0x000d0,
  IMC: 0x000d8,
  EIAC: 0x000dc,
  IAM: 0x000e0,
  IVAR: 0x000e4,
  EITR: 0x000e8,
  RCTL: 0x00100,
  FCTTV: 0x00170,
  TCTL: 0x00400,
  TIPG: 0x00410,
  AIT: 0x00458,
  LEDCTL: 0x00e00,
  EXTCNF_CTRL: 0x00f00,
  POEMB: 0x00f10,
  PBA: 0x01000,
  PBS: 0x01008,
  FCRTL: 0x02160,
  FCRTH: 0x02168,
  RDBAL: 0x02800,
  RDBAH: 0x02804,
  RDLEN: 0x02808,
  RDH: 0x02810,
  RDTR: 0x02820,
  RDT: 0x02818,
  RXDCTL: 0x02828,
  RADV: 0x0282c,
  RXDCTL1: 0x02928,
  RSRPD: 0x02c00,
  TDBAL: 0x03800,
  TDBAH: 0x03804,
  TDLEN: 0x03808,
  TDH: 0x03810,
  TDT: 0x03818,
  TIDV: 0x03820,
  TXDCTL: 0x03828,
  TADV: 0x0382c,
  TARC0: 0x03840,
  TXDCTL1: 0x03928,
  TARC1: 0x03940,
  RXCSUM: 0x05000,
  RFCTL: 0x05008,
  MTA: 0x05200,
  RAL: 0x05400,
  RAH: 0x05404,
  VFTA: 0x05600,
  WUC: 0x05800,
  WUFC: 0x05808,
  WUS: 0x05810,
  MRQC: 0x05818,
  MANC: 0x05820,
  IPAV: 0x05838,
  WUPL: 0x05900,
  GCR: 0x05b00,
  FACTPS: 0x05b30,
  SWSM: 0x05b50,
  FWSM: 0x05b54,
  SWSM2: 0x05b58,
  GCR2: 0x05b64,
  RETA: 0x05c00,
  RSSRK: 0x05c80,
} as const;

/** Statistics: 0x4000 … 0x41ff, each cleared when read. */
export const STAT = {
  FIRST: 0x04000,
  LAST: 0x041fc,
  MPC: 0x04010,
  GPRC: 0x04074,
  BPRC: 0x04078,
  MPRC: 0x0407c,
  GPTC: 0x04080,
  GORCL: 0x04088,
  GOTCL: 0x04090,
  RNBC: 0x040a0,
  TORL: 0x040c0,
  TOTL: 0x040c8,
  TPR: 0x040d0,
  TPT: 0x040d4,
  MPTC: 0x040f0,
  BPTC: 0x040f4,
} as const;

export const CTRL = { GIO_MASTER_DISABLE: 0x4, SLU: 0x40, RST: 0x0400_0000, PHY_RST: 0x8000_0000 } as const;
export const STATUS = { FULL_DUPLEX: 0x1, LINK_UP: 0x2, SPEED_1000: 0x80, GIO_MASTER_ENABLE: 0x8_0000 } as const;
export const EECD = { REQUEST: 0x40, GRANT: 0x80, PRESENT: 0x100, AUTO_READ_DONE: 0x200 } as const;
export const EERD = { START: 0x1, DONE: 0x2 } as const;
export const CTRL_EXT = { EIAME: 0x0100_0000, IAME: 0x0800_0000, DRV_LOAD: 0x1000_0000 } as const;
export const SWSM_SMBI = 0x1;
export const MDIC = { OP_WRITE: 1, OP_READ: 2, READY: 0x1000_0000, INTERRUPT: 0x2000_0000, ERROR: 0x4000_0000 } as const;
export const RCTL = {
  EN: 0x2,
  UPE: 0x8,
  MPE: 0x10,
  BAM: 0x8000,
  BSEX: 0x0200_0000,
  SECRC: 0x0400_0000,
} as const;
export const TCTL = { EN: 0x2 } as const;
/** RXDCTL and TXDCTL: PTHRESH [5:0], HTHRESH [13:8] and WTHRESH [21:16] count descriptors if GRAN is set, else cache lines. */
export const THRESHOLDS = { GRAN: 0x0100_0000, CACHE_LINE: 4 } as const;
/** RDTR: flush partial descriptor blocks; reads 0. */
export const RDTR_FPD = 0x8000_0000;
export const RFCTL_EXTEN = 0x8000;
export const RAH_AV = 0x8000_0000;

/** Interrupt causes: bits of ICR, ICS, IMS, IMC, IAM, EIAC. */
export const CAUSE = {
  TXDW: 0x1,
  TXQE: 0x2,
  LSC: 0x4,
  RXDMT0: 0x10,
  RXO: 0x40,
  RXT0: 0x80,
  MDAC: 0x200,
  RXQ0: 0x10_0000,
  RXQ1: 0x20_0000,
  TXQ0: 0x40_0000,
  TXQ1: 0x80_0000,
  OTHER: 0x100_0000,
  INT_ASSERTED: 0x8000_0000,
} as const;

/** Receive descriptor write-back, legacy: status byte; extended: status and error word. Bits agree. */
export const RX_STATUS = { DD: 0x1, EOP: 0x2 } as const;

/** Transmit descriptor: bits of the third word (command in 31:24) and of the status that is written back. */
export const TX_COMMAND = { EOP: 0x0100_0000, RS: 0x0800_0000, DEXT: 0x2000_0000, CONTEXT_MASK: 0x00f0_0000 } as const;
export const TX_STATUS_DD = 0x1;

/** Values after reset that are not zero. */
export const RESET_VALUES: readonly (readonly [number, number])[] = [
  [REG.CTRL, 0x0000_0241],
  [REG.EECD, EECD.PRESENT | EECD.AUTO_READ_DONE],
  [REG.PBA, 0x0014_0014],
  [REG.RXDCTL, 0x0001_0000],
  [REG.RXDCTL1, 0x0001_0000],
  [REG.TIPG, 0x0060_2008],
  [REG.TARC0, 0x0000_0403],
  [REG.LEDCTL, 0x0706_8302],
  [REG.VET, 0x0000_8100],
];

/** Registers that hold what software writes, with the bits they have. Others, apart from those with behaviour, read zero. */
export const STORED: readonly { readonly offset: number; readonly mask: number; readonly count?: number; readonly stride?: number }[] = [
  { offset: REG.CTRL_EXT, mask: 0x7fff_ffff },
  { offset: REG.FLA, mask: 0xffff_ffff },
  { offset: REG.FCAL, mask: 0xffff_ffff },
  { offset: REG.FCAH, mask: 0xffff },
  { offset: REG.FCT, mask: 0xffff },
  { offset: REG.VET, mask: 0xffff },
  { offset: REG.ITR, mask: 0xffff },
  { offset: REG.IAM, mask: 0xffff_ffff },
  { offset: REG.EIAC, mask: 0x01f0_0000 },
  { offset: REG.IVAR, mask: 0x800f_ffff },
  { offset: REG.EITR, mask: 0xffff, count: 5 },
  { offset: REG.RCTL, mask: 0x06ff_fffe },
  { offset: REG.FCTTV, mask: 0xffff },
  { offset: REG.TCTL, mask: 0xffff_ffff },
  { offset: REG.TIPG, mask: 0x3fff_ffff },
  { offset: REG.AIT, mask: 0xffff },
  { offset: REG.LEDCTL, mask: 0xffff_ffff },
  { offset: REG.EXTCNF_CTRL, mask: 0xffff_ffff },
  { offset: REG.POEMB, mask: 0xffff_ffff },
  { offset: REG.PBA, mask: 0xffff_ffff },
  { offset: REG.PBS, mask: 0x3f },
  { offset: REG.FCRTL, mask: 0x8000_fff8 },
  { offset: REG.FCRTH, mask: 0xfff8 },
  { offset: REG.RDBAL, mask: 0xffff_fff0 },
  { offset: REG.RDBAH, mask: 0xffff_ffff },
  { offset: REG.RDLEN, mask: 0xf_ff80 },
  { offset: REG.RDH, mask: 0xffff },
  { offset: REG.RDT, mask: 0xffff },
  { offset: REG.RDTR, mask: 0xffff },
  { offset: REG.RXDCTL, mask: 0x013f_3f3f },
  { offset: REG.RXDCTL1, mask: 0x013f_3f3f },
  { offset: REG.RADV, mask: 0xffff },
  { offset: REG.RSRPD, mask: 0xfff },
  { offset: REG.TDBAL, mask: 0xffff_fff0 },
  { offset: REG.TDBAH, mask: 0xffff_ffff },
  { offset: REG.TDLEN, mask: 0xf_ff80 },
  { offset: REG.TDH, mask: 0xffff },
  { offset: REG.TDT, mask: 0xffff },
  { offset: REG.TIDV, mask: 0xffff },
  { offset: REG.TXDCTL, mask: 0xfdff_3f3f },
  { offset: REG.TADV, mask: 0xffff },
  { offset: REG.TARC0, mask: 0xffff_ffff },
  { offset: REG.TXDCTL1, mask: 0xfdff_3f3f },
  { offset: REG.TARC1, mask: 0xffff_ffff },
  { offset: REG.RXCSUM, mask: 0x3fff },
  { offset: REG.RFCTL, mask: 0xffff_ffff },
  { offset: REG.MTA, mask: 0xffff_ffff, count: 128 },
  { offset: REG.RAL, mask: 0xffff_ffff, count: 16, stride: 8 },
  { offset: REG.RAH, mask: 0x8003_ffff, count: 16, stride: 8 },
  { offset: REG.VFTA, mask: 0xffff_ffff, count: 128 },
  { offset: REG.WUC, mask: 0x3 },
  { offset: REG.WUFC, mask: 0xffff_ffff },
  { offset: REG.MRQC, mask: 0xffff_ffff },
  { offset: REG.MANC, mask: 0xffff_ffff },
  { offset: REG.IPAV, mask: 0xffff_ffff },
  { offset: REG.GCR, mask: 0xffff_ffff },
  { offset: REG.SWSM2, mask: 0x3 },
  { offset: REG.GCR2, mask: 0xffff_ffff },
  { offset: REG.RETA, mask: 0xffff_ffff, count: 32 },
  { offset: REG.RSSRK, mask: 0xffff_ffff, count: 10 },
];
