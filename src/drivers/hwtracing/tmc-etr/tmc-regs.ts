// SPDX-License-Identifier: GPL-2.0-only
/**
 * Registers of the CoreSight Trace Memory Controller in its ETR configuration.
 *
 * Names are those of Linux 7.1 `drivers/hwtracing/coresight/coresight-tmc.h` and `coresight-priv.h`; values are the TMC
 * technical reference manual's.
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
export const TMC_FFSR = 0x300;
export const TMC_FFCR = 0x304;
export const CORESIGHT_LAR = 0xfb0;
export const CORESIGHT_LSR = 0xfb4;
export const CORESIGHT_DEVID = 0xfc8;

/** Written to LAR to allow writes to the other registers; any other value locks them. */
export const CORESIGHT_UNLOCK = 0xc5acce55;

export const TMC_CTL_CAPT_EN = 1 << 0;

export const TMC_STS_FULL = 1 << 0;
export const TMC_STS_TMCREADY = 1 << 2;
export const TMC_STS_EMPTY = 1 << 4;
export const TMC_STS_MEMERR = 1 << 5;

/** The AXICTL fields that the driver sets anew: all but the reserved bits 6 and 31:12. */
export const TMC_AXICTL_CLEAR_MASK = 0xfbf;
export const TMC_AXICTL_PROT_CTL_B1 = 1 << 1;
export const TMC_AXICTL_WR_BURST_SHIFT = 8;
export const TMC_AXICTL_WR_BURST_16 = 0xf;
/** Write-back, read and write allocate. */
export const TMC_AXICTL_AXCACHE_OS = 0xf << 2;

export const TMC_FFSR_FT_STOPPED = 1 << 1;

export const TMC_FFCR_EN_FMT = 1 << 0;
export const TMC_FFCR_EN_TI = 1 << 1;
export const TMC_FFCR_FON_FLIN = 1 << 4;
export const TMC_FFCR_FON_TRIG_EVT = 1 << 5;
export const TMC_FFCR_FLUSHMAN = 1 << 6;
export const TMC_FFCR_TRIGON_TRIGIN = 1 << 8;
export const TMC_FFCR_STOP_ON_FLUSH = 1 << 12;

export const TMC_DEVID_CONFIG_TYPE_SHIFT = 6;
export const TMC_DEVID_CONFIG_TYPE_MASK = 0x3;
export const TMC_CONFIG_TYPE_ETR = 1;
export const TMC_DEVID_AXIAW_VALID = 1 << 16;
export const TMC_DEVID_AXIAW_SHIFT = 17;
export const TMC_DEVID_AXIAW_MASK = 0x7f;

export const TMC_MODE_CIRCULAR_BUFFER = 0;
