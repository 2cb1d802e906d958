// SPDX-License-Identifier: GPL-2.0-only
/**
 * The display pipe of the HDLCD: plane, mode, enable, disable, vertical blank. After Linux 7.1
 * `drivers/gpu/drm/arm/hdlcd_crtc.c` with the order in which the atomic helpers call it: plane, then CRTC.
 *
 * Left out: the pixel clock (on Juno, a board with this controller, the clock provider cannot gate it: disabling the
 * clock does not stop the scan-out), other pixel formats than XRGB8888, page flips, encoder and connector.
 */
import { type Device, type IoMem, type KernelBuffer, readl, writel } from "../../../kernel/index.ts";
import * as reg from "./hdlcd-regs.ts";

/** A display mode: visible size, then front porch, sync and back porch of each direction, in pixels and lines. */
export interface DisplayMode {
  readonly hdisplay: number;
  readonly hfront: number;
  readonly hsync: number;
  readonly hback: number;
  readonly vdisplay: number;
  readonly vfront: number;
  readonly vsync: number;
  readonly vback: number;
  /** Pixel clock in kHz. */
  readonly clock: number;
  readonly phsync: boolean;
  readonly pvsync: boolean;
}

/** 640 × 480 at 60 Hz. */
export const VGA_MODE: DisplayMode = {
  hdisplay: 640,
  hfront: 16,
  hsync: 96,
  hback: 48,
  vdisplay: 480,
  vfront: 10,
  vsync: 2,
  vback: 33,
  clock: 25_175,
  phsync: false,
  pvsync: false,
};

/** XRGB8888. */
const BYTES_PER_PIXEL = 4;

/** Duration of a frame in nanoseconds. */
export function frameNs(mode: DisplayMode): number {
  const pixels = (mode.hdisplay + mode.hfront + mode.hsync + mode.hback) * (mode.vdisplay + mode.vfront + mode.vsync + mode.vback);
  return Math.ceil((pixels * 1e6) / mode.clock);
}

/** Bytes of a line, and of a frame buffer. */
export function fbPitch(mode: DisplayMode): number {
  return mode.hdisplay * BYTES_PER_PIXEL;
}
export function fbSize(mode: DisplayMode): number {
  return fbPitch(mode) * mode.vdisplay;
}

/** Linux's `struct hdlcd_drm_private`. */
export class HdlcdDrmPrivate {
  readonly dev: Device;
  readonly mmio: IoMem;
  readonly irq: number;
  readonly mode: DisplayMode;
  /** The frame buffer that is shown, and where the controller finds it. */
  fb: { readonly cpu: KernelBuffer; readonly dma: number; readonly size: number } | null = null;
  crtc_active: boolean = false;
  /** Where the controller found what was shown when the system went to sleep; null: nothing was. */
  suspend_state: number | null = null;
  irq_installed: boolean = false;
  buffer_underrun_count: number = 0;
  bus_error_count: number = 0;
  vsync_count: number = 0;
  dma_end_count: number = 0;

  constructor(dev: Device, mmio: IoMem, irq: number, mode: DisplayMode) {
    this.dev = dev;
    this.mmio = mmio;
    this.irq = irq;
    this.mode = mode;
  }
}

export function hdlcd_read(hdlcd: HdlcdDrmPrivate, offset: number): number {
  return readl(hdlcd.mmio, offset);
}
export function hdlcd_write(hdlcd: HdlcdDrmPrivate, offset: number, value: number): void {
  writel(hdlcd.mmio, offset, value >>> 0);
}

function hdlcd_crtc_enable_vblank(hdlcd: HdlcdDrmPrivate): void {
  hdlcd_write(hdlcd, reg.HDLCD_REG_INT_MASK, hdlcd_read(hdlcd, reg.HDLCD_REG_INT_MASK) | reg.HDLCD_INTERRUPT_VSYNC);
}
function hdlcd_crtc_disable_vblank(hdlcd: HdlcdDrmPrivate): void {
  hdlcd_write(hdlcd, reg.HDLCD_REG_INT_MASK, hdlcd_read(hdlcd, reg.HDLCD_REG_INT_MASK) & ~reg.HDLCD_INTERRUPT_VSYNC);
}

/** How each colour lies in a pixel: lowest bit, number of bits. */
function hdlcd_set_pxl_fmt(hdlcd: HdlcdDrmPrivate): void {
  hdlcd_write(hdlcd, reg.HDLCD_REG_PIXEL_FORMAT, (BYTES_PER_PIXEL - 1) << 3);
  hdlcd_write(hdlcd, reg.HDLCD_REG_RED_SELECT, 16 | (8 << 8));
  hdlcd_write(hdlcd, reg.HDLCD_REG_GREEN_SELECT, 8 | (8 << 8));
  hdlcd_write(hdlcd, reg.HDLCD_REG_BLUE_SELECT, 0 | (8 << 8));
}

function hdlcd_crtc_mode_set_nofb(hdlcd: HdlcdDrmPrivate): void {
  const { mode } = hdlcd;
  let polarities = reg.HDLCD_POLARITY_DATAEN | reg.HDLCD_POLARITY_DATA;
  if (mode.phsync) polarities |= reg.HDLCD_POLARITY_HSYNC;
  if (mode.pvsync) polarities |= reg.HDLCD_POLARITY_VSYNC;
  hdlcd_write(hdlcd, reg.HDLCD_REG_BUS_OPTIONS, reg.HDLCD_BUS_MAX_OUTSTAND | reg.HDLCD_BUS_BURST_16);
  hdlcd_write(hdlcd, reg.HDLCD_REG_V_DATA, mode.vdisplay - 1);
  hdlcd_write(hdlcd, reg.HDLCD_REG_V_BACK_PORCH, mode.vback - 1);
  hdlcd_write(hdlcd, reg.HDLCD_REG_V_FRONT_PORCH, mode.vfront - 1);
  hdlcd_write(hdlcd, reg.HDLCD_REG_V_SYNC, mode.vsync - 1);
  hdlcd_write(hdlcd, reg.HDLCD_REG_H_DATA, mode.hdisplay - 1);
  hdlcd_write(hdlcd, reg.HDLCD_REG_H_BACK_PORCH, mode.hback - 1);
  hdlcd_write(hdlcd, reg.HDLCD_REG_H_FRONT_PORCH, mode.hfront - 1);
  hdlcd_write(hdlcd, reg.HDLCD_REG_H_SYNC, mode.hsync - 1);
  hdlcd_write(hdlcd, reg.HDLCD_REG_POLARITIES, polarities);
  hdlcd_set_pxl_fmt(hdlcd);
}

function hdlcd_crtc_atomic_enable(hdlcd: HdlcdDrmPrivate): void {
  hdlcd_crtc_mode_set_nofb(hdlcd);
  hdlcd_write(hdlcd, reg.HDLCD_REG_COMMAND, reg.HDLCD_COMMAND_ENABLE);
  hdlcd_crtc_enable_vblank(hdlcd);
  hdlcd.crtc_active = true;
}

/** The controller finishes the frame it scans out; nothing here waits for that. */
export function hdlcd_crtc_atomic_disable(hdlcd: HdlcdDrmPrivate): void {
  hdlcd_crtc_disable_vblank(hdlcd);
  hdlcd_write(hdlcd, reg.HDLCD_REG_COMMAND, 0);
  hdlcd.crtc_active = false;
}

/** FB_BASE comes last: the controller latches it with the next vsync. */
function hdlcd_plane_atomic_update(hdlcd: HdlcdDrmPrivate, scanout_start: number): void {
  const pitch = fbPitch(hdlcd.mode);
  hdlcd_write(hdlcd, reg.HDLCD_REG_FB_LINE_LENGTH, pitch);
  hdlcd_write(hdlcd, reg.HDLCD_REG_FB_LINE_PITCH, pitch);
  hdlcd_write(hdlcd, reg.HDLCD_REG_FB_LINE_COUNT, hdlcd.mode.vdisplay - 1);
  hdlcd_write(hdlcd, reg.HDLCD_REG_FB_BASE, scanout_start);
}

/** Shows a frame buffer, as `drm_atomic_helper_commit_tail` does: plane, then CRTC. */
export function hdlcd_show(hdlcd: HdlcdDrmPrivate, scanout_start: number): void {
  hdlcd_plane_atomic_update(hdlcd, scanout_start);
  if (!hdlcd.crtc_active) hdlcd_crtc_atomic_enable(hdlcd);
}

/** `drm_atomic_helper_shutdown`: disables the CRTC if it is active; without a bound driver it does nothing. */
export function drm_atomic_helper_shutdown(hdlcd: HdlcdDrmPrivate | null): void {
  if (hdlcd?.crtc_active) hdlcd_crtc_atomic_disable(hdlcd);
}

/** `drm_atomic_helper_suspend`: notes what is shown and disables the CRTC. */
export function drm_atomic_helper_suspend(hdlcd: HdlcdDrmPrivate): void {
  hdlcd.suspend_state = hdlcd.crtc_active && hdlcd.fb !== null ? hdlcd.fb.dma : null;
  drm_atomic_helper_shutdown(hdlcd);
}

/** `drm_atomic_helper_resume`: commits what was noted. */
export function drm_atomic_helper_resume(hdlcd: HdlcdDrmPrivate): void {
  const { suspend_state } = hdlcd;
  hdlcd.suspend_state = null;
  if (suspend_state !== null) hdlcd_show(hdlcd, suspend_state);
}
