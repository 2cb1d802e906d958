// SPDX-License-Identifier: GPL-2.0-only
/** The ETR's driver: enabling in Linux's order, and how each shutdown hook leaves the capture. */
import { describe, expect, test } from "vitest";
import { tmc_disable_etr_sink, tmc_drvdata, TmcDrvdata, tmcEtrModule, type TmcEtrDriverOptions } from "../../../src/drivers/index.ts";
import * as reg from "../../../src/drivers/hwtracing/tmc-etr/tmc-regs.ts";
import { TmcEtr, type TmcEtrOptions as DeviceOptions } from "../../../src/hw/index.ts";
import { device_release_driver, device_shutdown, dtNode, PlatformDevice } from "../../../src/kernel/index.ts";
import { Machine } from "../../kernel/pci/machine.ts";

const BASE = 0x2007_0000;
const BUFFER = 0x1_0000;

class Rig {
  readonly m: Machine;
  readonly etr: TmcEtr;
  readonly pdev: PlatformDevice;

  constructor(options: Partial<TmcEtrDriverOptions> & Pick<TmcEtrDriverOptions, "shutdown">, device: Partial<DeviceOptions> = {}) {
    this.m = new Machine({
      drivers: [tmcEtrModule({ bufferSize: BUFFER, ...options })],
      nodes: [dtNode({ name: `etr@${BASE.toString(16)}`, compatible: ["arm,coresight-tmc"], reg: [{ base: BASE, size: 0x1000 }] })],
    });
    this.etr = new TmcEtr({ simulation: this.m.sim, name: "etr", dma: this.m.dmaPort("etr"), ...device });
    this.m.bus.addWindow({ name: "etr", base: BASE, size: 0x1000, device: this.etr });
    this.m.boot();
    const dev = this.m.kernel.base.findDevice(`${BASE.toString(16)}.etr`);
    if (!(dev instanceof PlatformDevice)) throw new Error("no such device");
    this.pdev = dev;
  }

  get drvdata(): TmcDrvdata {
    const found = tmc_drvdata(this.pdev);
    if (!found) throw new Error("the driver is not bound");
    return found;
  }

  writes(from: number = 0): { readonly offset: number; readonly value: number }[] {
    return this.m.registers(BASE, 0x1000, from).flatMap(({ offset, write, value }) => (write ? [{ offset, value }] : []));
  }

  shutdown(): number {
    const start = this.m.sim.now;
    this.m.run(device_shutdown(this.m.kernel));
    return this.m.sim.now - start;
  }

  /** Bursts in the next millisecond. */
  burstsFromNow(): number {
    const from = this.m.records.length;
    this.m.idle(1e6);
    return this.m.records.slice(from).filter(({ kind }) => kind === "dma.access").length;
  }
}

describe("tmc_etr_enable_hw", () => {
  test("writes: unlock, RSZ, MODE, AXICTL, DBALO, DBAHI, FFCR, TRG, CTL, lock", () => {
    const rig = new Rig({ shutdown: "mainline" });
    const writes = rig.writes();
    const start = writes.findIndex(({ offset }) => offset === reg.TMC_RSZ);
    expect(writes.slice(start - 1, start + 9).map(({ offset }) => offset)).toEqual([
      reg.CORESIGHT_LAR,
      reg.TMC_RSZ,
      reg.TMC_MODE,
      reg.TMC_AXICTL,
      reg.TMC_DBALO,
      reg.TMC_DBAHI,
      reg.TMC_FFCR,
      reg.TMC_TRG,
      reg.TMC_CTL,
      reg.CORESIGHT_LAR,
    ]);
    expect(writes[start]!.value).toBe(BUFFER / 4);
    expect(writes[start - 1]!.value).toBe(reg.CORESIGHT_UNLOCK);
    expect(writes[start + 8]!.value).toBe(0);
  });

  test("TMCReady is waited for before anything is programmed", () => {
    const rig = new Rig({ shutdown: "mainline" });
    const accesses = rig.m.registers(BASE, 0x1000);
    const rsz = accesses.findIndex(({ offset, write }) => write && offset === reg.TMC_RSZ);
    const sts = accesses.slice(0, rsz).findLast(({ offset }) => offset === reg.TMC_STS);
    expect(sts!.value & reg.TMC_STS_TMCREADY).toBe(reg.TMC_STS_TMCREADY);
  });

  test("the DMA mask is the AXI address width of DEVID", () => {
    expect(new Rig({ shutdown: "mainline" }, { axiAddressBits: 44 }).pdev.dma_mask).toBe(2 ** 44 - 1);
  });

  test("trace goes into the buffer and nowhere else, round after round", () => {
    const rig = new Rig({ shutdown: "mainline" }, { periodNs: 1000, burstBytes: 256 });
    rig.m.idle(2e6);
    expect(rig.m.of("dma.access").length * 256).toBeGreaterThan(2 * BUFFER);
    expect(rig.m.strays).toEqual([]);
  });

  test("the component is claimed for the kernel, and a tag left over by a kernel before is taken off", () => {
    const rig = new Rig({ shutdown: "mainline" });
    expect(rig.etr.read(reg.CORESIGHT_CLAIMCLR) & reg.CORESIGHT_CLAIM_MASK).toBe(reg.CORESIGHT_CLAIM_SELF_HOSTED);
    const claims = rig.writes().filter(({ offset }) => offset === reg.CORESIGHT_CLAIMCLR || offset === reg.CORESIGHT_CLAIMSET);
    expect(claims.map(({ offset }) => offset)).toEqual([reg.CORESIGHT_CLAIMCLR, reg.CORESIGHT_CLAIMSET]);
  });
});

describe("tmc_disable_etr_sink", () => {
  test("flushes, stops, waits, disables; the buffer is kept and what it holds is known", () => {
    const rig = new Rig({ shutdown: "mainline" });
    rig.m.idle(100_000);
    const from = rig.m.cpu.accesses.length;
    rig.m.run(tmc_disable_etr_sink(rig.drvdata));
    const ffcr = rig
      .writes(from)
      .filter(({ offset }) => offset === reg.TMC_FFCR)
      .map(({ value }) => value & (reg.TMC_FFCR_STOP_ON_FLUSH | reg.TMC_FFCR_FLUSHMAN));
    expect(ffcr).toEqual([reg.TMC_FFCR_STOP_ON_FLUSH, reg.TMC_FFCR_STOP_ON_FLUSH | reg.TMC_FFCR_FLUSHMAN]);
    expect(rig.etr.capturing).toBe(false);
    expect(rig.drvdata.sysfs_buf?.len).toBeGreaterThan(0);
    expect(rig.burstsFromNow()).toBe(0);
  });

  test("remove frees the buffer after that", () => {
    const rig = new Rig({ shutdown: "mainline" });
    rig.m.run(device_release_driver(rig.pdev));
    rig.m.idle(1e6);
    expect(rig.m.kernel.dma.mappings(rig.pdev)).toEqual([]);
    expect(rig.m.strays).toEqual([]);
  });
});

describe("no hook", () => {
  test("capture goes on", () => {
    const rig = new Rig({ shutdown: "no-hook" });
    rig.shutdown();
    expect(rig.etr.capturing).toBe(true);
    expect(rig.burstsFromNow()).toBeGreaterThan(50);
  });
});

describe("tmc_shutdown", () => {
  test("stops capture; no burst comes after the hook returned", () => {
    const rig = new Rig({ shutdown: "mainline" });
    rig.shutdown();
    expect(rig.etr.capturing).toBe(false);
    expect(rig.etr.writesInFlight).toBe(0);
    expect(rig.burstsFromNow()).toBe(0);
  });

  test("leaves the buffer allocated and mapped", () => {
    const rig = new Rig({ shutdown: "mainline" });
    rig.shutdown();
    expect(rig.m.kernel.dma.mappings(rig.pdev)).toHaveLength(1);
  });

  test("does nothing if no session runs", () => {
    const rig = new Rig({ shutdown: "mainline", enable: false });
    const from = rig.m.cpu.accesses.length;
    rig.shutdown();
    expect(rig.m.registers(BASE, 0x1000, from)).toEqual([]);
  });

  test("gives up on a flush after 100 µs and disables all the same", () => {
    const rig = new Rig({ shutdown: "mainline" }, { flushNs: 10e6 });
    expect(rig.shutdown()).toBeLessThan(1e6);
    expect(rig.m.kernel.printk.lines.some(({ text }) => text.includes("timeout while waiting for completion of Manual Flush"))).toBe(true);
    expect(rig.etr.capturing).toBe(false);
  });
});

describe("the quiescing hook", () => {
  test("stops capture, sees the write pointer stand still, frees the buffer", () => {
    const rig = new Rig({ shutdown: "quiescing" });
    rig.shutdown();
    expect(rig.etr.capturing).toBe(false);
    expect(rig.m.kernel.dma.mappings(rig.pdev)).toEqual([]);
    expect(rig.burstsFromNow()).toBe(0);
    expect(rig.m.strays).toEqual([]);
  });

  test("a router whose writes are still under way keeps its buffer", () => {
    const rig = new Rig({ shutdown: "quiescing" }, { writeLatencyNs: 5e6 });
    rig.shutdown();
    rig.m.idle(20e6);
    expect(rig.m.kernel.dma.mappings(rig.pdev)).toHaveLength(1);
    expect(rig.m.strays).toEqual([]);
  });
});

describe("a kernel after a kexec", () => {
  const next = tmcEtrModule({ shutdown: "mainline", bufferSize: BUFFER });

  test("finds a router that still captures not ready, and starts no session", () => {
    const rig = new Rig({ shutdown: "no-hook" });
    rig.m.bootNext([next]);
    expect(rig.m.kernel.printk.lines.some(({ text }) => text.includes("Failed to enable : TMC not ready"))).toBe(true);
    expect(rig.etr.capturing).toBe(true);
    rig.m.idle(1e6);
    expect(rig.m.strays.length).toBeGreaterThan(0);
  });

  test("after tmc_shutdown it starts a session of its own", () => {
    const rig = new Rig({ shutdown: "mainline" });
    rig.shutdown();
    rig.m.bootNext([next]);
    expect(rig.etr.capturing).toBe(true);
    rig.m.idle(1e6);
    expect(rig.m.strays).toEqual([]);
  });
});
