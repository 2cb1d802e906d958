// SPDX-License-Identifier: GPL-2.0-only
/**
 * Registers of the CoreSight Trace Memory Controller in its ETR configuration.
 *
 * Names are those of Linux 7.1 `drivers/hwtracing/coresight/coresight-tmc.h` and `coresight-priv.h`; values are the TMC
 * technical reference manual's. Only what the driver uses.
 */

export const TMC_RSZ = 0x004;
export const TMC_STS = 0x00c;
export const TMC_RRP = 0x014;
export const TMC_RWP = 0x018;
export const TMC_TRG = 0x01c;
export const TMC_CTL = 0x020;
export const TMC_MODE = 0x028;
export const TMC_RRPHI = 0x038;
export const TMC_RWPHI = 0x03c;
export const TMC_AXICTL = 0x110;
export const TMC_DBALO = 0x118;
export const TMC_DBAHI = 0x11c;
export const TMC_FFCR = 0x304;
export const CORESIGHT_CLAIMSET = 0xfa0;
export const CORESIGHT_CLAIMCLR = 0xfa4;
export const CORESIGHT_LAR = 0xfb0;
export const CORESIGHT_DEVID = 0xfc8;

/** Written to LAR to allow writes to the other registers; any other value locks them. */
export const CORESIGHT_UNLOCK = 0xc5acce55;

/** Claim tags: who uses the component, the debugger or the kernel. */
export const CORESIGHT_CLAIM_MASK = 0x3;
export const CORESIGHT_CLAIM_FREE = 0;
export const CORESIGHT_CLAIM_EXTERNAL = 1;
export const CORESIGHT_CLAIM_SELF_HOSTED = 2;

export const TMC_CTL_CAPT_EN = 0x1;

export const TMC_STS_FULL = 0x1;
export const TMC_STS_TMCREADY = 0x4;
/** The formatter holds nothing. */
export const TMC_STS_FTEMPTY = 0x8;
export const TMC_STS_MEMERR = 0x20;

/** The AXICTL fields that the driver sets anew: all but the reserved bits 6 and 31:12. */
export const TMC_AXICTL_CLEAR_MASK = 0xfbf;
export const TMC_AXICTL_PROT_CTL_B1 = 0x2;
export const TMC_AXICTL_WR_BURST_SHIFT = 8;
export const TMC_AXICTL_WR_BURST_16 = 0xf;
/** Write-back, read and write allocate. */
export const TMC_AXICTL_AXCACHE_OS = 0x3c;

export const TMC_FFCR_EN_FMT = 0x1;
export const TMC_FFCR_EN_TI = 0x2;
export const TMC_FFCR_FON_FLIN = 0x10;
export const TMC_FFCR_FON_TRIG_EVT = 0x20;
export const TMC_FFCR_FLUSHMAN = 0x40;
export const TMC_FFCR_TRIGON_TRIGIN = 0x100;
export const TMC_FFCR_STOP_ON_FLUSH = 0x1000;

export const TMC_DEVID_CONFIG_TYPE_SHIFT = 6;
export const TMC_DEVID_CONFIG_TYPE_MASK = 0x3;
export const TMC_CONFIG_TYPE_ETR = 1;
export const TMC_DEVID_AXIAW_VALID = 0x10000;
export const TMC_DEVID_AXIAW_SHIFT = 17;
export const TMC_DEVID_AXIAW_MASK = 0x7f;

export const TMC_MODE_CIRCULAR_BUFFER = 0;
