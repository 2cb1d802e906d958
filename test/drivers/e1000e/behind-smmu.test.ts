// SPDX-License-Identifier: GPL-2.0-only
/** The 82574's driver with its DMA translated: mappings, doorbell, and what the ways down leave for the SMMU to catch. */
import { describe, expect, test } from "vitest";
import {
  armSmmuV3Module,
  e1000_adapter,
  e1000_xmit_frame,
  e1000eModule,
  type E1000Adapter,
  type E1000eDriverOptions,
} from "../../../src/drivers/index.ts";
import { BroadcastSource, broadcastFrame, E1000e } from "../../../src/hw/index.ts";
import { device_link_add, device_shutdown, DL_FLAG, type KernelParameters, pci_ioremap_bar, readl } from "../../../src/kernel/index.ts";
import { Machine, MSI_FRAME } from "../../kernel/pci/machine.ts";

const NIC = "0000:01:00.0";

class Rig {
  readonly m: Machine;
  readonly nic: E1000e;

  constructor(driver: E1000eDriverOptions, periodNs: number = 0, cmdline: Partial<KernelParameters> = {}) {
    const found: { nic?: E1000e } = {};
    this.m = new Machine({
      smmu: true,
      cmdline,
      drivers: [armSmmuV3Module(), e1000eModule(driver)],
      functions: (made) => {
        found.nic = new E1000e({ simulation: made.sim, name: "nic", trace: made.trace });
        return [{ bus: 1, device: 0, pciFunction: found.nic }];
      },
    });
    this.nic = found.nic!;
    this.m.boot();
    this.m.idle(200e6);
    if (periodNs > 0) new BroadcastSource(this.m.sim, this.nic, { periodNs }).start();
  }

  get adapter(): E1000Adapter {
    return e1000_adapter(this.m.pci(NIC))!;
  }

  shutdown(): void {
    this.m.run(device_shutdown(this.m.kernel));
  }
}

describe("behind an SMMU", () => {
  test("the endpoint waits for the SMMU's driver and is behind it in the device list", () => {
    const names = new Rig({ shutdown: "mainline" }).m.kernel.base.deviceNames();
    expect(names.indexOf(NIC)).toBeGreaterThan(names.indexOf("2b400000.iommu"));
  });

  test("interface and IOMMU are class devices, each shut down before the device that it is on", () => {
    const rig = new Rig({ shutdown: "mainline" });
    rig.shutdown();
    const passed = rig.m.of("kernel.shutdown").flatMap(({ data }) => (data.phase === "begin" ? [data.device] : []));
    for (const [on, device] of [
      ["eth0", NIC],
      ["smmu3.0x000000002b400000", "2b400000.iommu"],
    ] as const) {
      expect(passed).toContain(on);
      expect(passed.indexOf(on)).toBeLessThan(passed.indexOf(device));
    }
  });

  describe("asynchronous shutdown", () => {
    /** What was shut down two seconds later, and what the log says. */
    function shutDown(smmuLast: boolean): { steps: string[]; timeouts: number } {
      const rig = new Rig({ shutdown: "mainline" }, 0, { asyncShutdown: "v16" });
      const { kernel } = rig.m;
      // Any new link of the SMMU's own, to a clock or a power domain, moves it to the tail.
      const [smmu, root] = [kernel.base.findDevice("2b400000.iommu")!, kernel.base.findDevice("platform")!];
      // With interrupts off for a second at each of hundreds of unmaps, the reboot waits for minutes.
      if (smmuLast) rig.m.tolerated.push("hung-task");
      if (smmuLast) device_link_add(smmu, root, DL_FLAG.STATELESS);
      kernel.spawn("reboot", device_shutdown(kernel));
      rig.m.idle(2e9);
      return {
        steps: rig.m.of("kernel.shutdown").map(({ data }) => `${data.phase} ${data.device}`),
        timeouts: kernel.printk.lines.filter(({ text }) => text.includes("CMD_SYNC timeout")).length,
      };
    }

    test("the host bridge waits for what is below it, so an SMMU before it in the list is safe without a link", () => {
      const { steps, timeouts } = shutDown(false);
      expect(steps.indexOf("begin 2b400000.iommu")).toBeGreaterThan(steps.indexOf(`end ${NIC}`));
      expect(steps).toContain(`end ${NIC}`);
      expect(timeouts).toBe(0);
    });

    test("an SMMU behind it is off while the endpoint's hook unmaps: each unmap waits a second for a CMD_SYNC", () => {
      const { steps, timeouts } = shutDown(true);
      expect(steps).toContain("end 2b400000.iommu");
      expect(steps).not.toContain(`end ${NIC}`);
      expect(timeouts).toBeGreaterThan(0);
    });
  });

  test("rings and buffers have IOVAs, and frames arrive through them", () => {
    const rig = new Rig({ shutdown: "mainline" }, 50_000);
    rig.m.idle(5e6);
    expect(rig.adapter.netdev.stats.rx_packets).toBeGreaterThan(80);
    expect(rig.m.of("dma.access").every(({ data }) => data.outcome === "translated")).toBe(true);
    expect(rig.m.strays).toEqual([]);
    expect(rig.adapter.rx_ring.dma).not.toBe(rig.adapter.rx_ring.desc!.pa);
  });

  test("the MSI-X table holds an IOVA of the doorbell, and interrupts arrive", () => {
    const rig = new Rig({ shutdown: "mainline" });
    const doorbell = readl(pci_ioremap_bar(rig.m.pci(NIC), 3)!, 0);
    expect(doorbell).not.toBe(MSI_FRAME + 0x40);
    expect(doorbell % 0x1000).toBe(0x40);
    expect(rig.m.kernel.irq.count(rig.adapter.msix_entries[2]!)).toBeGreaterThan(0);
  });

  test("transmit buffers are unmapped in the interrupt handler", () => {
    const rig = new Rig({ shutdown: "mainline" }, 50_000);
    for (let i = 0; i < 8; i++) {
      e1000_xmit_frame(rig.adapter, new Uint8Array(60));
      rig.m.idle(100_000);
    }
    expect(rig.adapter.netdev.stats.tx_packets).toBe(8);
    expect(rig.adapter.tx_ring.buffer_info.every(({ dma }) => dma === null)).toBe(true);
  });

  test("e1000_shutdown on the 82574: frames during the clean-up of the ring are aborted by the SMMU, and the device goes on", () => {
    const rig = new Rig({ shutdown: "mainline" });
    let frames = 0;
    rig.m.pages.listener = ({ what, who }) => {
      if (what === "freed" && who === "eth0 rx skb") rig.nic.receive(broadcastFrame(frames++, 60));
    };
    rig.shutdown();
    expect(frames).toBe(255);
    const aborted = rig.m.of("dma.access").filter(({ data }) => data.outcome === "aborted");
    expect(aborted.length).toBeGreaterThan(1);
    expect(rig.nic.lostWrites.receive).toBe(aborted.length);
    expect(rig.nic.fatalErrors.receive).toBe(0);
    expect(rig.m.strays).toEqual([]);
  });

  test("the quiescing hook under traffic raises no event and leaves nothing mapped but the doorbell", () => {
    const rig = new Rig({ shutdown: "quiescing" }, 20_000);
    rig.m.idle(2e6);
    rig.shutdown();
    rig.m.idle(20e6);
    expect(rig.m.of("dma.access").filter(({ data }) => data.outcome !== "translated")).toEqual([]);
    expect(rig.m.kernel.dma.mappings(rig.m.pci(NIC))).toEqual([]);
  });
});
