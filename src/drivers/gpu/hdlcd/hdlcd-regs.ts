// SPDX-License-Identifier: GPL-2.0-only
/**
 * Registers of the Arm HDLCD display controller.
 *
 * Names are those of Linux 7.1 `drivers/gpu/drm/arm/hdlcd_regs.h`; values are the HDLCD technical reference manual's.
 * Only what the driver uses.
 */

export const HDLCD_REG_VERSION = 0x0000;
export const HDLCD_REG_INT_RAWSTAT = 0x0010;
export const HDLCD_REG_INT_CLEAR = 0x0014;
export const HDLCD_REG_INT_MASK = 0x0018;
export const HDLCD_REG_INT_STATUS = 0x001c;
export const HDLCD_REG_FB_BASE = 0x0100;
export const HDLCD_REG_FB_LINE_LENGTH = 0x0104;
export const HDLCD_REG_FB_LINE_COUNT = 0x0108;
export const HDLCD_REG_FB_LINE_PITCH = 0x010c;
export const HDLCD_REG_BUS_OPTIONS = 0x0110;
export const HDLCD_REG_V_SYNC = 0x0200;
export const HDLCD_REG_V_BACK_PORCH = 0x0204;
export const HDLCD_REG_V_DATA = 0x0208;
export const HDLCD_REG_V_FRONT_PORCH = 0x020c;
export const HDLCD_REG_H_SYNC = 0x0210;
export const HDLCD_REG_H_BACK_PORCH = 0x0214;
export const HDLCD_REG_H_DATA = 0x0218;
export const HDLCD_REG_H_FRONT_PORCH = 0x021c;
export const HDLCD_REG_POLARITIES = 0x0220;
export const HDLCD_REG_COMMAND = 0x0230;
export const HDLCD_REG_PIXEL_FORMAT = 0x0240;
export const HDLCD_REG_RED_SELECT = 0x0244;
export const HDLCD_REG_GREEN_SELECT = 0x0248;
export const HDLCD_REG_BLUE_SELECT = 0x024c;

export const HDLCD_PRODUCT_ID = 0x1cdc0000;
export const HDLCD_PRODUCT_MASK = 0xffff0000;
export const HDLCD_VERSION_MAJOR_MASK = 0x0000ff00;
export const HDLCD_VERSION_MINOR_MASK = 0x000000ff;

export const HDLCD_INTERRUPT_DMA_END = 0x1;
export const HDLCD_INTERRUPT_BUS_ERROR = 0x2;
export const HDLCD_INTERRUPT_VSYNC = 0x4;
export const HDLCD_INTERRUPT_UNDERRUN = 0x8;
export const HDLCD_DEBUG_INT_MASK: number = HDLCD_INTERRUPT_DMA_END | HDLCD_INTERRUPT_BUS_ERROR | HDLCD_INTERRUPT_UNDERRUN;

export const HDLCD_POLARITY_VSYNC = 0x1;
export const HDLCD_POLARITY_HSYNC = 0x2;
export const HDLCD_POLARITY_DATAEN = 0x4;
export const HDLCD_POLARITY_DATA = 0x8;

export const HDLCD_COMMAND_ENABLE = 1;

export const HDLCD_BUS_MAX_OUTSTAND = 0xf00;
export const HDLCD_BUS_BURST_16 = 0x10;
