// SPDX-License-Identifier: GPL-2.0-only
/** The three shutdown hooks of the 82574's driver under broadcast traffic, without an SMMU to catch anything. */
import { describe, expect, test } from "vitest";
import * as reg from "../../../src/drivers/net/e1000e/regs.ts";
import { broadcastFrame } from "../../../src/hw/index.ts";
import { NicRig } from "./rig.ts";

/** Brings the interface up, lets broadcasts come, and shuts the machine down in the middle of them. */
function underTraffic(
  driver: ConstructorParameters<typeof NicRig>[0],
  device: ConstructorParameters<typeof NicRig>[1] = {},
  { kexec = false, quiet = false } = {},
): NicRig {
  const rig = new NicRig(driver, device).start();
  const source = rig.broadcasts(20_000);
  rig.m.idle(2e6);
  rig.m.kernel.kexec.kexec_in_progress = kexec;
  rig.shutdown();
  if (quiet) source.stop();
  return rig;
}

/** A frame of 60 bytes; its check sequence is stripped. */
const FRAME_IN_MEMORY = 60;

/** One broadcast arrives at the moment in which the last receive buffer is freed. */
function frameWhenRingIsCleaned(rig: NicRig): void {
  const { buffer_info } = rig.adapter.rx_ring;
  rig.m.pages.listener = ({ what, who }) => {
    if (what !== "freed" || who !== "eth0 rx skb" || buffer_info.filter(({ skb }) => skb !== null).length > 1) return;
    rig.m.pages.listener = () => {};
    rig.nic.receive(broadcastFrame(1, 60));
  };
}

/** DMA in the 20 ms after now. */
function dmaFromNow(rig: NicRig): ReturnType<NicRig["dma"]> {
  const from = rig.m.records.length;
  rig.m.idle(20e6);
  return rig.dma(from);
}

describe("no hook", () => {
  test("at a restart the device goes on receiving into the driver's buffers", () => {
    const rig = underTraffic({ shutdown: "no-hook" });
    expect(rig.m.of("kernel.shutdown").map(({ data }) => data.device)).toContain(rig.pdev.name);
    expect(dmaFromNow(rig).filter(({ write, outcome }) => write && outcome === "bypassed").length).toBeGreaterThan(10);
    expect(rig.busMaster).toBe(true);
  });

  test("at a kexec the bus hook clears COMMAND.BME; reception stays on and the frames are dropped", () => {
    const rig = underTraffic({ shutdown: "no-hook" }, {}, { kexec: true });
    expect(rig.busMaster).toBe(false);
    const after = dmaFromNow(rig);
    expect(after.length).toBeGreaterThan(10);
    expect(after.every(({ outcome }) => outcome === "dropped")).toBe(true);
  });
});

describe("e1000_shutdown", () => {
  test("COMMAND.BME is cleared last, after the last register access", () => {
    const rig = underTraffic({ shutdown: "mainline" });
    expect(rig.busMaster).toBe(false);
    const ecam = 0x4010_0000;
    const cleared = rig.m.registers(ecam, 0x1000).findLast(({ write, offset }) => write && offset === 4)!;
    expect(cleared.value & 4).toBe(0);
    expect(cleared.time).toBeGreaterThan(rig.registers().at(-1)!.time);
  });

  test("after the hook returned the device does no DMA", () => {
    expect(dmaFromNow(underTraffic({ shutdown: "mainline" })).filter(({ outcome }) => outcome !== "dropped")).toEqual([]);
  });

  test("boards with FLAG2_NO_DISABLE_RX keep RCTL.EN through e1000e_down", () => {
    const rig = underTraffic({ shutdown: "mainline", noDisableRx: true });
    const rctl = rig.registers().filter(({ write, offset }) => write && offset === reg.E1000_RCTL);
    expect(rctl.at(-1)!.value & reg.E1000_RCTL_EN).toBe(reg.E1000_RCTL_EN);
  });

  test("… so a frame that comes while the ring is cleaned goes to memory that was freed: the device has its descriptor on chip", () => {
    const rig = new NicRig({ shutdown: "mainline", noDisableRx: true }, { fifoDrainNs: 200 }).start();
    frameWhenRingIsCleaned(rig);
    rig.shutdown();
    const [stray] = rig.m.strays;
    expect(stray).toMatchObject({ write: true, length: FRAME_IN_MEMORY });
    expect(rig.m.pages.log.some(({ what, who, pa }) => what === "freed" && who === "eth0 rx skb" && pa === stray!.physical)).toBe(true);
  });

  test("e1000e_flush_descriptors: descriptors are flushed, twice, after interrupts are masked", () => {
    const rig = underTraffic({ shutdown: "mainline" });
    const writes = rig.registers().filter(({ write }) => write);
    const flush = [reg.E1000_TIDV, reg.E1000_RDTR, reg.E1000_TIDV, reg.E1000_RDTR];
    const masked = writes.findLastIndex(({ offset }) => offset === reg.E1000_EIAC_82574);
    expect(writes.slice(masked + 1, masked + 5).map(({ offset }) => offset)).toEqual(flush);
    expect(writes[masked + 2]!.value).toBe(0x8000_0020);
  });

  test("other boards clear RCTL.EN: what the FIFO holds drains within the 10 ms of e1000e_down, no access strays", () => {
    const rig = underTraffic({ shutdown: "mainline", noDisableRx: false });
    expect(rig.m.strays).toEqual([]);
  });

  test("… but a FIFO that drains slower than that writes to memory that was given back", () => {
    // The first machine tells when the ring is cleaned; the second has a frame drain just after that.
    const quiet = new NicRig({ shutdown: "mainline", noDisableRx: false }).start();
    const begin = quiet.m.sim.now;
    let cleaned = 0;
    quiet.m.pages.listener = ({ what, who }) => {
      if (what === "freed" && who === "eth0 rx skb") cleaned = quiet.m.sim.now;
    };
    quiet.shutdown();
    expect(cleaned - begin).toBeGreaterThan(10e6);

    const rig = new NicRig({ shutdown: "mainline", noDisableRx: false }, { fifoDrainNs: cleaned - begin + 300 }).start();
    expect(rig.m.sim.now).toBe(begin);
    expect(rig.nic.receive(broadcastFrame(0, 60))).toBe(true);
    rig.shutdown();
    expect(rig.m.strays).toMatchObject([{ write: true, length: FRAME_IN_MEMORY }]);
  });

  test("GIO master disable comes after the rings were cleaned, and its time-out is only a remark", () => {
    const rig = underTraffic({ shutdown: "mainline" }, { masterIdleNs: Infinity });
    const log = rig.m.kernel.printk.lines;
    expect(log.some(({ level, text }) => level === "debug" && text.includes("Master requests are pending"))).toBe(true);
    expect(rig.busMaster).toBe(false);
  });

  test("without Wake-on-LAN WUC and WUFC end as 0; DRV_LOAD is cleared", () => {
    const rig = underTraffic({ shutdown: "mainline" });
    const last = (offset: number): number => rig.registers().findLast((access) => access.write && access.offset === offset)!.value;
    expect(last(reg.E1000_WUC)).toBe(0);
    expect(last(reg.E1000_WUFC)).toBe(0);
    expect(last(reg.E1000_CTRL_EXT) & reg.E1000_CTRL_EXT_DRV_LOAD).toBe(0);
  });

  test("with Wake-on-LAN armed RCTL.EN is set again after the rings were cleaned", () => {
    const rig = underTraffic({ shutdown: "mainline", noDisableRx: false, wol: reg.E1000_WUFC_MAG });
    const writes = rig.registers().filter(({ write }) => write);
    const off = writes.findLastIndex(({ offset, value }) => offset === reg.E1000_RCTL && (value & reg.E1000_RCTL_EN) === 0);
    const on = writes.findLastIndex(({ offset, value }) => offset === reg.E1000_RCTL && (value & reg.E1000_RCTL_EN) !== 0);
    expect(on).toBeGreaterThan(off);
    expect(writes.findLast(({ offset }) => offset === reg.E1000_WUFC)!.value).toBe(reg.E1000_WUFC_MAG);
    expect(writes.findLast(({ offset }) => offset === reg.E1000_WUC)!.value).toBe(reg.E1000_WUC_PME_EN);
  });

  test("interrupts are freed, and neither watchdog nor poll runs afterwards", () => {
    const rig = underTraffic({ shutdown: "mainline" }, {}, { quiet: true });
    expect(rig.pdev.irqs).toEqual([]);
    expect(rig.m.kernel.time.armedTimers).toEqual([]);
    const from = rig.m.cpu.accesses.length;
    rig.m.idle(5e9);
    expect(rig.registers(from)).toEqual([]);
  });

  test("the rings stay allocated and mapped", () => {
    const rig = underTraffic({ shutdown: "mainline" });
    expect(rig.m.kernel.dma.mappings(rig.pdev).map(({ how }) => how)).toEqual(["coherent", "coherent"]);
  });
});

describe("the quiescing hook", () => {
  test.each([
    ["a quick FIFO", {}],
    ["a slow FIFO", { fifoDrainNs: 4_000_000 }],
  ])("no access of the device ever misses its driver's memory: %s", (_name, device) => {
    const rig = underTraffic({ shutdown: "quiescing" }, device);
    expect(dmaFromNow(rig)).toEqual([]);
    expect(rig.m.strays).toEqual([]);
    expect(rig.nic.fatalErrors).toEqual({ receive: 0, transmit: 0 });
  });

  test("memory is unmapped and freed only after COMMAND.BME is off", () => {
    const rig = underTraffic({ shutdown: "quiescing" });
    expect(rig.busMaster).toBe(false);
    expect(rig.m.kernel.dma.mappings(rig.pdev)).toEqual([]);
  });

  test("leaves the device reset: reception and transmission off, FIFO empty", () => {
    const rig = underTraffic({ shutdown: "quiescing" });
    expect(rig.nic.framesInFifo).toBe(0);
    expect(rig.adapter.down).toBe(true);
    const reset = rig.registers().findLast(({ write, offset }) => write && offset === reg.E1000_CTRL)!;
    expect(reset.value & reg.E1000_CTRL_RST).toBe(reg.E1000_CTRL_RST);
  });

  test("interrupts are freed, and neither watchdog nor poll runs afterwards", () => {
    const rig = underTraffic({ shutdown: "quiescing" }, {}, { quiet: true });
    expect(rig.m.kernel.time.armedTimers).toEqual([]);
    const from = rig.m.cpu.accesses.length;
    rig.m.idle(5e9);
    expect(rig.registers(from)).toEqual([]);
  });

  test("a device that was never brought up is shut down too", () => {
    const rig = new NicRig({ shutdown: "quiescing", up: false }).start();
    rig.shutdown();
    expect(rig.busMaster).toBe(false);
  });
});
