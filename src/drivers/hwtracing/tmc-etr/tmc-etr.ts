// SPDX-License-Identifier: GPL-2.0-only
/**
 * The Embedded Trace Router: programming, starting and stopping it, its buffer. After Linux 7.1
 * `drivers/hwtracing/coresight/coresight-tmc-etr.c`, flat buffer, sysfs mode.
 *
 * Left out: scatter-gather and CATU buffers, perf mode, reading the trace out, SoC-600's save and restore.
 */
import {
  dev_err,
  dma_alloc_coherent,
  dma_free_coherent,
  EBUSY,
  EINVAL,
  ENOMEM,
  type IoMem,
  type KernelBuffer,
  type PlatformDevice,
  readl,
  writel,
} from "../../../kernel/index.ts";
import type { Coroutine } from "../../../sim/index.ts";
import { coresight_claim_device, coresight_disclaim_device, coresight_timeout, CS_LOCK, CS_UNLOCK } from "./coresight.ts";
import * as reg from "./tmc-regs.ts";

/** A buffer in memory that the router fills in a circle. */
export interface EtrBuf {
  readonly cpu: KernelBuffer;
  /** Where the router finds it. */
  readonly hwaddr: number;
  readonly size: number;
  /** After a stop: where the oldest trace lies, how much there is, and whether the buffer wrapped. */
  offset: number;
  len: number;
  full: boolean;
}

/** Linux's `struct tmc_drvdata`. */
export class TmcDrvdata {
  readonly pdev: PlatformDevice;
  readonly base: IoMem;
  /** Bytes of the buffer to allocate. */
  readonly size: number;
  readonly max_burst_size: number = reg.TMC_AXICTL_WR_BURST_16;
  readonly trigger_cntr: number = 0;
  mode: "disabled" | "sysfs" = "disabled";
  /** The buffer in use by the hardware. */
  etr_buf: EtrBuf | null = null;
  /** The buffer of the sysfs session; outlives it. */
  sysfs_buf: EtrBuf | null = null;

  constructor(pdev: PlatformDevice, base: IoMem, size: number) {
    this.pdev = pdev;
    this.base = base;
    this.size = size;
  }
}

/** Waits until formatter and write FIFO are empty and no write is under way. @returns 0 or -EBUSY */
export function* tmc_wait_for_tmcready(drvdata: TmcDrvdata): Coroutine<number> {
  if (yield* coresight_timeout(drvdata.base, reg.TMC_STS, reg.TMC_STS_TMCREADY, true)) return 0;
  dev_err(drvdata.pdev, "timeout while waiting for TMC to be Ready");
  return -EBUSY;
}

/** Asks for a last flush, after which capture stops, and waits for both; a timeout is only reported. */
export function* tmc_flush_and_stop(drvdata: TmcDrvdata): Coroutine<void> {
  const { base } = drvdata;
  const ffcr = readl(base, reg.TMC_FFCR) | reg.TMC_FFCR_STOP_ON_FLUSH;
  writel(base, reg.TMC_FFCR, ffcr);
  writel(base, reg.TMC_FFCR, ffcr | reg.TMC_FFCR_FLUSHMAN);
  if (!(yield* coresight_timeout(base, reg.TMC_FFCR, reg.TMC_FFCR_FLUSHMAN, false))) {
    dev_err(drvdata.pdev, "timeout while waiting for completion of Manual Flush");
  }
  yield* tmc_wait_for_tmcready(drvdata);
}

function tmc_enable_hw(drvdata: TmcDrvdata): void {
  writel(drvdata.base, reg.TMC_CTL, reg.TMC_CTL_CAPT_EN);
}

function tmc_disable_hw(drvdata: TmcDrvdata): void {
  writel(drvdata.base, reg.TMC_CTL, 0);
}

/** A 64-bit pointer register in two halves. */
function tmc_read_pair(base: IoMem, low: number, high: number): number {
  const lowHalf = readl(base, low);
  return readl(base, high) * 0x1_0000_0000 + lowHalf;
}

/** The write pointer: where the next burst goes. */
export function tmc_read_rwp(drvdata: TmcDrvdata): number {
  return tmc_read_pair(drvdata.base, reg.TMC_RWP, reg.TMC_RWPHI);
}

function tmc_write_dba(drvdata: TmcDrvdata, address: number): void {
  writel(drvdata.base, reg.TMC_DBALO, address % 0x1_0000_0000);
  writel(drvdata.base, reg.TMC_DBAHI, Math.floor(address / 0x1_0000_0000));
}

function* __tmc_etr_enable_hw(drvdata: TmcDrvdata, etr_buf: EtrBuf): Coroutine<number> {
  const { base } = drvdata;
  CS_UNLOCK(base);
  const rc = yield* tmc_wait_for_tmcready(drvdata);
  if (rc !== 0) {
    dev_err(drvdata.pdev, "Failed to enable : TMC not ready");
    CS_LOCK(base);
    return rc;
  }
  writel(base, reg.TMC_RSZ, etr_buf.size / 4);
  writel(base, reg.TMC_MODE, reg.TMC_MODE_CIRCULAR_BUFFER);
  let axictl = (readl(base, reg.TMC_AXICTL) & ~reg.TMC_AXICTL_CLEAR_MASK) >>> 0;
  axictl |= reg.TMC_AXICTL_PROT_CTL_B1;
  axictl |= (drvdata.max_burst_size & 0xf) << reg.TMC_AXICTL_WR_BURST_SHIFT;
  axictl |= reg.TMC_AXICTL_AXCACHE_OS;
  writel(base, reg.TMC_AXICTL, axictl);
  tmc_write_dba(drvdata, etr_buf.hwaddr);
  writel(
    base,
    reg.TMC_FFCR,
    reg.TMC_FFCR_EN_FMT | reg.TMC_FFCR_EN_TI | reg.TMC_FFCR_FON_FLIN | reg.TMC_FFCR_FON_TRIG_EVT | reg.TMC_FFCR_TRIGON_TRIGIN,
  );
  writel(base, reg.TMC_TRG, drvdata.trigger_cntr);
  tmc_enable_hw(drvdata);
  CS_LOCK(base);
  return 0;
}

/** Claims the router and starts capture into the buffer. @returns 0 or -errno */
export function* tmc_etr_enable_hw(drvdata: TmcDrvdata, etr_buf: EtrBuf): Coroutine<number> {
  if (drvdata.etr_buf !== null) return -EBUSY;
  let rc = coresight_claim_device(drvdata.pdev, drvdata.base);
  if (rc !== 0) return rc;
  drvdata.etr_buf = etr_buf;
  rc = yield* __tmc_etr_enable_hw(drvdata, etr_buf);
  if (rc !== 0) {
    drvdata.etr_buf = null;
    coresight_disclaim_device(drvdata.base);
  }
  return rc;
}

/** Notes where the trace lies; after a memory error there is none to trust. */
function tmc_sync_etr_buf(drvdata: TmcDrvdata, etr_buf: EtrBuf): void {
  const { base } = drvdata;
  const rrp = tmc_read_pair(base, reg.TMC_RRP, reg.TMC_RRPHI);
  const rwp = tmc_read_rwp(drvdata);
  const status = readl(base, reg.TMC_STS);
  if ((status & reg.TMC_STS_MEMERR) !== 0) {
    dev_err(drvdata.pdev, "tmc memory error detected, truncating buffer");
    etr_buf.len = 0;
    etr_buf.full = false;
    return;
  }
  etr_buf.full = (status & reg.TMC_STS_FULL) !== 0;
  etr_buf.offset = rrp - etr_buf.hwaddr;
  etr_buf.len = etr_buf.full ? etr_buf.size : rwp - rrp;
}

/** Stops capture and gives the router up; the buffer stays allocated and mapped. */
export function* tmc_etr_disable_hw(drvdata: TmcDrvdata): Coroutine<void> {
  CS_UNLOCK(drvdata.base);
  yield* tmc_flush_and_stop(drvdata);
  if (drvdata.mode === "sysfs" && drvdata.etr_buf) tmc_sync_etr_buf(drvdata, drvdata.etr_buf);
  tmc_disable_hw(drvdata);
  CS_LOCK(drvdata.base);
  coresight_disclaim_device(drvdata.base);
  drvdata.etr_buf = null;
}

/** Allocates a flat buffer. @returns null without memory */
function tmc_etr_alloc_flat_buf(drvdata: TmcDrvdata): EtrBuf | null {
  const memory = dma_alloc_coherent(drvdata.pdev, drvdata.size);
  return memory && { cpu: memory.cpu, hwaddr: memory.dma, size: drvdata.size, offset: 0, len: 0, full: false };
}

/** Frees the session's buffer. The router must have stopped. */
export function* tmc_etr_free_sysfs_buf(drvdata: TmcDrvdata): Coroutine<void> {
  const buf = drvdata.sysfs_buf;
  drvdata.sysfs_buf = null;
  if (buf) yield* dma_free_coherent(drvdata.pdev, buf.size, buf.cpu, buf.hwaddr);
}

/** What writing 1 to the sink's `enable_sink` leads to. @returns 0 or -errno */
export function* tmc_enable_etr_sink_sysfs(drvdata: TmcDrvdata): Coroutine<number> {
  if (drvdata.mode !== "disabled") return -EBUSY;
  if (drvdata.size % 4096 !== 0 || drvdata.size === 0) return -EINVAL;
  drvdata.sysfs_buf ??= tmc_etr_alloc_flat_buf(drvdata);
  if (drvdata.sysfs_buf === null) return -ENOMEM;
  const rc = yield* tmc_etr_enable_hw(drvdata, drvdata.sysfs_buf);
  if (rc === 0) drvdata.mode = "sysfs";
  return rc;
}

/** What ending the session leads to: the buffer is kept for reading. */
export function* tmc_disable_etr_sink(drvdata: TmcDrvdata): Coroutine<void> {
  if (drvdata.mode === "disabled") return;
  yield* tmc_etr_disable_hw(drvdata);
  drvdata.mode = "disabled";
}
