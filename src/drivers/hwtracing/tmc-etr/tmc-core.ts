// SPDX-License-Identifier: GPL-2.0-only
/**
 * The driver of the CoreSight Trace Memory Controller, ETR configuration. After Linux 7.1
 * `drivers/hwtracing/coresight/coresight-tmc-core.c`; its shutdown hook came with Linux 5.9.
 *
 * Left out: the ETB and ETF configurations, the AMBA bus (the device is a platform device here), clocks, the CoreSight
 * topology, crash data. The trace session that a user would start by sysfs can be started by the probe.
 */
import {
  devm_platform_ioremap_resource,
  dev_err,
  dev_info,
  dev_warn,
  dma_set_mask_and_coherent,
  type DriverModule,
  EINVAL,
  type PlatformDevice,
  type PlatformDriver,
  platform_driver_register,
  readl,
} from "../../../kernel/index.ts";
import { type Coroutine, sleepNs } from "../../../sim/index.ts";
import { coresight_clear_self_claim_tag } from "./coresight.ts";
import {
  tmc_disable_etr_sink,
  tmc_enable_etr_sink_sysfs,
  tmc_etr_disable_hw,
  tmc_etr_free_sysfs_buf,
  tmc_read_rwp,
  TmcDrvdata,
} from "./tmc-etr.ts";
import * as reg from "./tmc-regs.ts";

/** Line of `hwtracing/coresight/` in Linux's drivers/Makefile. */
const HWTRACING_LINK_ORDER = 177;

export interface TmcEtrDriverOptions {
  /** no-hook: as before Linux 5.9. mainline: `tmc_shutdown`. quiescing: stops, proves it idle, frees the buffer. */
  readonly shutdown: "no-hook" | "mainline" | "quiescing";
  /** Bytes of the trace buffer, a multiple of 4096. Default: 1 MiB. */
  readonly bufferSize?: number;
  /** Capture starts at the end of the probe, and runs until something stops it. Default: true. */
  readonly enable?: boolean;
  /** Default: "device". */
  readonly initcall?: DriverModule["initcall"];
}

/** The widths of AXI addresses that DEVID may name; anything else means 40. */
const AXI_WIDTHS: readonly number[] = [32, 40, 44, 48, 52];

function tmc_etr_setup_caps(pdev: PlatformDevice, devid: number): number {
  let bits = 40;
  if ((devid & reg.TMC_DEVID_AXIAW_VALID) !== 0) {
    const width = (devid >>> reg.TMC_DEVID_AXIAW_SHIFT) & reg.TMC_DEVID_AXIAW_MASK;
    if (AXI_WIDTHS.includes(width)) {
      bits = width;
      dev_info(pdev, `Detected dma mask ${width}bits`);
    }
  }
  const rc = dma_set_mask_and_coherent(pdev, bits);
  if (rc !== 0) dev_err(pdev, `Failed to setup DMA mask: ${rc}`);
  return rc;
}

/** The driver's data of a bound device; null if it is not bound. */
export function tmc_drvdata(pdev: PlatformDevice): TmcDrvdata | null {
  return pdev.drvdata instanceof TmcDrvdata ? pdev.drvdata : null;
}

function* __tmc_probe(pdev: PlatformDevice, options: TmcEtrDriverOptions): Coroutine<number> {
  const base = devm_platform_ioremap_resource(pdev, 0);
  const devid = readl(base, reg.CORESIGHT_DEVID);
  const config = (devid >>> reg.TMC_DEVID_CONFIG_TYPE_SHIFT) & reg.TMC_DEVID_CONFIG_TYPE_MASK;
  if (config !== reg.TMC_CONFIG_TYPE_ETR) {
    dev_err(pdev, "Unsupported TMC config");
    return -EINVAL;
  }
  const drvdata = new TmcDrvdata(pdev, base, options.bufferSize ?? 0x10_0000);
  pdev.drvdata = drvdata;
  let ret = tmc_etr_setup_caps(pdev, devid);
  if (ret !== 0) return ret;
  coresight_clear_self_claim_tag(base);
  if (options.enable ?? true) {
    ret = yield* tmc_enable_etr_sink_sysfs(drvdata);
    if (ret !== 0) {
      yield* tmc_etr_free_sysfs_buf(drvdata);
      dev_err(pdev, `trace session not started: ${ret}`);
    }
  }
  return 0;
}

function* tmc_remove(pdev: PlatformDevice): Coroutine<void> {
  const drvdata = tmc_drvdata(pdev);
  if (!drvdata) return;
  yield* tmc_disable_etr_sink(drvdata);
  yield* tmc_etr_free_sysfs_buf(drvdata);
}

/** Linux's hook: stops the router if a session runs. The buffer stays allocated and mapped. */
function* tmc_shutdown(pdev: PlatformDevice): Coroutine<void> {
  const drvdata = tmc_drvdata(pdev);
  if (drvdata === null || drvdata.mode === "disabled") return;
  yield* tmc_etr_disable_hw(drvdata);
}

/** How long the write pointer must stand still to count as proof. */
const PROOF_NS = 100_000;

/** Stops the router, sees for itself that nothing moves any more, and only then lets go of the buffer. */
function* tmc_shutdown_quiescing(pdev: PlatformDevice): Coroutine<void> {
  const drvdata = tmc_drvdata(pdev);
  if (drvdata === null || drvdata.mode === "disabled") return;
  yield* tmc_disable_etr_sink(drvdata);
  const before = tmc_read_rwp(drvdata);
  yield* sleepNs(PROOF_NS);
  const idle = reg.TMC_STS_TMCREADY | reg.TMC_STS_FTEMPTY;
  const still = tmc_read_rwp(drvdata) === before && (readl(drvdata.base, reg.TMC_STS) & idle) === idle;
  if (!still) {
    dev_warn(pdev, "the router still writes: its buffer is kept");
    return;
  }
  yield* tmc_etr_free_sysfs_buf(drvdata);
}

/** The driver as one of its variants. */
export function tmcEtrModule(options: TmcEtrDriverOptions): DriverModule {
  const driver: PlatformDriver = {
    name: "coresight-tmc",
    of_match_table: ["arm,coresight-tmc"],
    probe: (pdev) => __tmc_probe(pdev, options),
    remove: tmc_remove,
    ...(options.shutdown === "mainline" && { shutdown: tmc_shutdown }),
    ...(options.shutdown === "quiescing" && { shutdown: tmc_shutdown_quiescing }),
  };
  return {
    name: "coresight-tmc",
    initcall: options.initcall ?? "device",
    linkOrder: HWTRACING_LINK_ORDER,
    *init(kernel) {
      yield* platform_driver_register(kernel, driver);
    },
  };
}
