// SPDX-License-Identifier: GPL-2.0-only
/**
 * The driver of the Arm HDLCD. After Linux 7.1 `drivers/gpu/drm/arm/hdlcd_drv.c`: bind, interrupt, frame buffer, shutdown,
 * system sleep.
 *
 * Left out: the component framework (probe binds at once), DRM and its clients (the probe allocates a frame buffer, draws
 * a pattern and shows it, as the console would), reserved memory; of system sleep the polling of connectors and the console.
 */
import {
  devm_platform_ioremap_resource,
  dev_err,
  dev_info,
  dev_warn,
  type Device,
  type DevPmOps,
  dma_alloc_coherent,
  dma_free_coherent,
  dma_set_mask_and_coherent,
  type DriverModule,
  EINVAL,
  ENOMEM,
  free_irq,
  IRQ_HANDLED,
  type IrqReturn,
  type PlatformDevice,
  type PlatformDriver,
  platform_driver_register,
  platform_get_irq,
  request_irq,
} from "../../../kernel/index.ts";
import { type Coroutine, pollUntil } from "../../../sim/index.ts";
import {
  type DisplayMode,
  drm_atomic_helper_resume,
  drm_atomic_helper_shutdown,
  drm_atomic_helper_suspend,
  fbPitch,
  fbSize,
  frameNs,
  hdlcd_read,
  hdlcd_show,
  hdlcd_write,
  HdlcdDrmPrivate,
  VGA_MODE,
} from "./hdlcd-crtc.ts";
import * as reg from "./hdlcd-regs.ts";

/** Line of `gpu/` in Linux's drivers/Makefile. */
const GPU_LINK_ORDER = 68;

export interface HdlcdDriverOptions {
  /** no-hook: none. mainline: `hdlcd_shutdown`. quiescing: waits for the end of the last frame, then frees its buffer. */
  readonly shutdown: "no-hook" | "mainline" | "quiescing";
  /** Default: 640 × 480 at 60 Hz. */
  readonly mode?: DisplayMode;
  /** The probe shows a picture. Default: true. */
  readonly enable?: boolean;
  /** Default: "device". */
  readonly initcall?: DriverModule["initcall"];
}

/** The driver's data of a bound device; null if it is not bound. */
export function hdlcd_drvdata(pdev: PlatformDevice): HdlcdDrmPrivate | null {
  return pdev.drvdata instanceof HdlcdDrmPrivate ? pdev.drvdata : null;
}

function hdlcd_irq(hdlcd: HdlcdDrmPrivate): IrqReturn {
  const irq_status = hdlcd_read(hdlcd, reg.HDLCD_REG_INT_STATUS);
  if ((irq_status & reg.HDLCD_INTERRUPT_UNDERRUN) !== 0) hdlcd.buffer_underrun_count++;
  if ((irq_status & reg.HDLCD_INTERRUPT_DMA_END) !== 0) hdlcd.dma_end_count++;
  if ((irq_status & reg.HDLCD_INTERRUPT_BUS_ERROR) !== 0) hdlcd.bus_error_count++;
  if ((irq_status & reg.HDLCD_INTERRUPT_VSYNC) !== 0) hdlcd.vsync_count++;
  hdlcd_write(hdlcd, reg.HDLCD_REG_INT_CLEAR, irq_status);
  return IRQ_HANDLED;
}

function hdlcd_irq_install(hdlcd: HdlcdDrmPrivate): number {
  hdlcd_write(hdlcd, reg.HDLCD_REG_INT_MASK, 0);
  hdlcd_write(hdlcd, reg.HDLCD_REG_INT_CLEAR, 0xffff_ffff);
  const ret = request_irq(hdlcd.dev, hdlcd.irq, () => hdlcd_irq(hdlcd), { name: "hdlcd" });
  if (ret !== 0) return ret;
  hdlcd.irq_installed = true;
  hdlcd_write(hdlcd, reg.HDLCD_REG_INT_MASK, reg.HDLCD_DEBUG_INT_MASK);
  return 0;
}

function* hdlcd_irq_uninstall(hdlcd: HdlcdDrmPrivate): Coroutine<void> {
  if (!hdlcd.irq_installed) return;
  hdlcd.irq_installed = false;
  hdlcd_write(hdlcd, reg.HDLCD_REG_INT_MASK, 0);
  yield* free_irq(hdlcd.dev, hdlcd.irq);
}

/** Colour bars with the line number in the lowest byte: a line shown from the wrong place is recognisable. */
function drawPattern(hdlcd: HdlcdDrmPrivate): void {
  const { fb, mode } = hdlcd;
  if (!fb) return;
  const pitch = fbPitch(mode);
  const line = new Uint8Array(pitch);
  for (let y = 0; y < mode.vdisplay; y++) {
    for (let x = 0; x < mode.hdisplay; x++) {
      const bar = Math.floor((8 * x) / mode.hdisplay);
      line.set([y & 0xff, bar & 1 ? 0xff : 0, bar & 2 ? 0xff : 0, 0], 4 * x);
    }
    fb.cpu.write(y * pitch, line);
  }
}

/** `hdlcd_load`: registers, version, DMA mask, interrupt. @returns the driver's data, or -errno */
function hdlcd_load(pdev: PlatformDevice, mode: DisplayMode): HdlcdDrmPrivate | number {
  const hdlcd = new HdlcdDrmPrivate(pdev, devm_platform_ioremap_resource(pdev, 0), platform_get_irq(pdev, 0), mode);
  const version = hdlcd_read(hdlcd, reg.HDLCD_REG_VERSION);
  if ((version & reg.HDLCD_PRODUCT_MASK) !== reg.HDLCD_PRODUCT_ID) {
    dev_err(pdev, `unknown product id: 0x${version.toString(16)}`);
    return -EINVAL;
  }
  const major = (version & reg.HDLCD_VERSION_MAJOR_MASK) >> 8;
  dev_info(pdev, `found ARM HDLCD version r${major}p${version & reg.HDLCD_VERSION_MINOR_MASK}`);
  const ret = dma_set_mask_and_coherent(pdev, 32);
  if (ret !== 0) return ret;
  if (hdlcd.irq < 0) return hdlcd.irq;
  const installed = hdlcd_irq_install(hdlcd);
  return installed === 0 ? hdlcd : installed;
}

function* hdlcd_drm_bind(pdev: PlatformDevice, options: HdlcdDriverOptions): Coroutine<number> {
  const hdlcd = hdlcd_load(pdev, options.mode ?? VGA_MODE);
  if (typeof hdlcd === "number") return hdlcd;
  pdev.drvdata = hdlcd;
  // Firmware, or a kernel before this one, may have left the controller running.
  if (hdlcd_read(hdlcd, reg.HDLCD_REG_COMMAND) !== 0) hdlcd_write(hdlcd, reg.HDLCD_REG_COMMAND, 0);
  if (!(options.enable ?? true)) return 0;
  const size = fbSize(hdlcd.mode);
  const memory = dma_alloc_coherent(pdev, size);
  if (memory === null) {
    yield* hdlcd_irq_uninstall(hdlcd);
    return -ENOMEM;
  }
  hdlcd.fb = { ...memory, size };
  drawPattern(hdlcd);
  hdlcd_show(hdlcd, memory.dma);
  return 0;
}

function* freeFramebuffer(hdlcd: HdlcdDrmPrivate): Coroutine<void> {
  const { fb } = hdlcd;
  hdlcd.fb = null;
  if (fb) yield* dma_free_coherent(hdlcd.dev, fb.size, fb.cpu, fb.dma);
}

/** `hdlcd_drm_unbind`. */
function* hdlcd_remove(pdev: PlatformDevice): Coroutine<void> {
  const hdlcd = hdlcd_drvdata(pdev);
  if (!hdlcd) return;
  drm_atomic_helper_shutdown(hdlcd);
  yield* hdlcd_irq_uninstall(hdlcd);
  yield* freeFramebuffer(hdlcd);
}

/** Linux's hook. It returns at once; the frame that is being scanned out goes on, up to a frame's time. */
function* hdlcd_shutdown(pdev: PlatformDevice): Coroutine<void> {
  drm_atomic_helper_shutdown(hdlcd_drvdata(pdev));
}

/** Linux's callback: what is shown is noted and turned off. Like {@link hdlcd_shutdown} it does not wait for the frame under way. */
function* hdlcd_pm_suspend(dev: Device): Coroutine<number> {
  const hdlcd = hdlcd_drvdata(dev as PlatformDevice);
  if (hdlcd) drm_atomic_helper_suspend(hdlcd);
  return 0;
}

/** And shown again, with every register that showing takes. */
function* hdlcd_pm_resume(dev: Device): Coroutine<number> {
  const hdlcd = hdlcd_drvdata(dev as PlatformDevice);
  if (hdlcd) drm_atomic_helper_resume(hdlcd);
  return 0;
}

/** `SIMPLE_DEV_PM_OPS`, as far as a kexec jump calls it. */
const hdlcd_pm_ops: DevPmOps = { freeze: hdlcd_pm_suspend, thaw: hdlcd_pm_resume, restore: hdlcd_pm_resume };

/** The pixel clock may be a little slower than the mode says. */
const CLOCK_MARGIN = 1.01;

/**
 * Disables the controller and waits until the frame it was scanning out has been fetched: DMA_END, or a frame's time if
 * there was none under way. Only then are interrupt and frame buffer let go.
 */
function* hdlcd_shutdown_quiescing(pdev: PlatformDevice): Coroutine<void> {
  const hdlcd = hdlcd_drvdata(pdev);
  if (!hdlcd) return;
  if (hdlcd.crtc_active) {
    drm_atomic_helper_shutdown(hdlcd);
    yield* hdlcd_irq_uninstall(hdlcd);
    // Cleared after the disable: a DMA_END that is set from now on belongs to the last frame.
    hdlcd_write(hdlcd, reg.HDLCD_REG_INT_CLEAR, reg.HDLCD_INTERRUPT_DMA_END);
    const ended = (): boolean => (hdlcd_read(hdlcd, reg.HDLCD_REG_INT_RAWSTAT) & reg.HDLCD_INTERRUPT_DMA_END) !== 0;
    yield* pollUntil(ended, 100_000, Math.ceil(CLOCK_MARGIN * frameNs(hdlcd.mode)), "the end of the last frame");
    if (hdlcd_read(hdlcd, reg.HDLCD_REG_COMMAND) !== 0) {
      dev_warn(pdev, "the controller is enabled again: its frame buffer is kept");
      return;
    }
  }
  yield* hdlcd_irq_uninstall(hdlcd);
  yield* freeFramebuffer(hdlcd);
}

/** The driver as one of its variants. */
export function hdlcdModule(options: HdlcdDriverOptions): DriverModule {
  const driver: PlatformDriver = {
    name: "hdlcd",
    of_match_table: ["arm,hdlcd"],
    probe: (pdev) => hdlcd_drm_bind(pdev, options),
    remove: hdlcd_remove,
    pm: hdlcd_pm_ops,
    ...(options.shutdown === "mainline" && { shutdown: hdlcd_shutdown }),
    ...(options.shutdown === "quiescing" && { shutdown: hdlcd_shutdown_quiescing }),
  };
  return {
    name: "hdlcd",
    initcall: options.initcall ?? "device",
    linkOrder: GPU_LINK_ORDER,
    *init(kernel) {
      yield* platform_driver_register(kernel, driver);
    },
  };
}
