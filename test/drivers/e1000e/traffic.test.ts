// SPDX-License-Identifier: GPL-2.0-only
/** The driver of the 82574 in service: probe, receive, transmit, watchdog, down. */
import { describe, expect, test } from "vitest";
import { e1000_xmit_frame, ifdown } from "../../../src/drivers/index.ts";
import * as reg from "../../../src/drivers/net/e1000e/regs.ts";
import { device_release_driver } from "../../../src/kernel/index.ts";
import { NicRig } from "./rig.ts";

describe("e1000_probe", () => {
  test("resets the device in the order of e1000_reset_hw_82571: master disable, IMC, RCTL, TCTL, CTRL.RST, IMC, ICR", () => {
    const rig = new NicRig({ shutdown: "mainline", up: false }).start();
    const ops = rig.registers().filter(({ offset, write }) => write || offset === reg.E1000_ICR);
    const start = ops.findIndex(({ offset, value }) => offset === reg.E1000_CTRL && (value & reg.E1000_CTRL_GIO_MASTER_DISABLE) !== 0);
    expect(ops.slice(start, start + 7).map(({ offset }) => offset)).toEqual([
      reg.E1000_CTRL,
      reg.E1000_IMC,
      reg.E1000_RCTL,
      reg.E1000_TCTL,
      reg.E1000_CTRL,
      reg.E1000_IMC,
      reg.E1000_ICR,
    ]);
    expect(ops[start + 4]!.value & reg.E1000_CTRL_RST).toBe(reg.E1000_CTRL_RST);
    expect(ops[start + 2]!.value).toBe(0);
  });

  test("interrupts are masked before anything else is written: the device may be in any state", () => {
    const rig = new NicRig({ shutdown: "mainline", up: false }).start();
    const first = rig.registers().find(({ write }) => write)!;
    expect([first.offset, first.value]).toEqual([reg.E1000_IMC, 0xffff_ffff]);
  });

  test("takes the MAC address that the device loaded from its NVM", () => {
    const rig = new NicRig({ shutdown: "mainline", up: false }, { macAddress: [2, 0, 0, 0xaa, 0xbb, 0xcc] }).start();
    expect([...rig.adapter.hw.mac.addr]).toEqual([2, 0, 0, 0xaa, 0xbb, 0xcc]);
  });

  test("ends with bus mastering on and three MSI-X vectors", () => {
    const rig = new NicRig({ shutdown: "mainline", up: false }).start();
    expect(rig.busMaster).toBe(true);
    expect(rig.adapter.msix_entries).toHaveLength(3);
  });
});

describe("e1000e_open", () => {
  test("programs the receive ring before it enables reception, and IMS last", () => {
    const rig = new NicRig({ shutdown: "mainline" }).start();
    const writes = rig.registers().filter(({ write }) => write);
    const last = (offset: number): number => writes.findLastIndex((access) => access.offset === offset);
    expect(last(reg.E1000_RDBAL)).toBeLessThan(last(reg.E1000_RDT));
    expect(last(reg.E1000_RDLEN)).toBeLessThan(last(reg.E1000_RCTL));
    expect(last(reg.E1000_RCTL)).toBeLessThan(last(reg.E1000_IMS));
    const rctl = writes[last(reg.E1000_RCTL)]!.value;
    expect(rctl & (reg.E1000_RCTL_EN | reg.E1000_RCTL_BAM)).toBe(reg.E1000_RCTL_EN | reg.E1000_RCTL_BAM);
  });

  test("e1000_configure_rx: RXDCTL of both queues, RDTR and RADV are written before the ring's base (FLAG2_DMA_BURST)", () => {
    const rig = new NicRig({ shutdown: "mainline" }).start();
    const writes = rig.registers().filter(({ write }) => write);
    const from = writes.findIndex(({ offset }) => offset === reg.E1000_RXDCTL);
    expect(writes.slice(from, from + 4).map(({ offset, value }) => [offset, value])).toEqual([
      [reg.E1000_RXDCTL, 0x0104_0420],
      [reg.E1000_RXDCTL1, 0x0104_0420],
      [reg.E1000_RDTR, 0x20],
      [reg.E1000_RADV, 0x20],
    ]);
    expect(writes.findIndex(({ offset }) => offset === reg.E1000_RDBAL)).toBeGreaterThan(from + 3);
  });

  test("e1000_configure_tx: TXDCTL gets the burst setting, and the second queue the same", () => {
    const rig = new NicRig({ shutdown: "mainline" }).start();
    const last = (offset: number): number => rig.registers().findLast((access) => access.write && access.offset === offset)!.value;
    expect(last(reg.E1000_TXDCTL)).toBe(0x0141_011f);
    expect(last(reg.E1000_TXDCTL1)).toBe(0x0141_011f);
  });

  test("rings have 256 descriptors (E1000_DEFAULT_RXD, E1000_DEFAULT_TXD), and the device has fetched dozens of them", () => {
    const rig = new NicRig({ shutdown: "mainline" }).start();
    expect([rig.adapter.rx_ring.count, rig.adapter.tx_ring.count]).toEqual([256, 256]);
    const fetched = rig.m.of("dma.access").filter(({ data }) => !data.write && data.length % 16 === 0);
    const descriptors = fetched.reduce((sum, { data }) => sum + data.length / 16, 0);
    expect(descriptors).toBeGreaterThanOrEqual(32);
    expect(descriptors).toBeLessThanOrEqual(64);
  });

  test("all descriptors but one hold a mapped buffer", () => {
    const rig = new NicRig({ shutdown: "mainline", ringSize: 64 }).start();
    expect(rig.adapter.rx_ring.buffer_info.filter(({ dma }) => dma !== null)).toHaveLength(63);
  });

  test("a ring has at least 64 descriptors, as ethtool's bounds have it", () => {
    expect(new NicRig({ shutdown: "mainline", ringSize: 8 }).start().adapter.rx_ring.count).toBe(64);
  });

  test("the watchdog finds the link and lets the stack transmit", () => {
    const rig = new NicRig({ shutdown: "mainline" }).start();
    expect(rig.adapter.netdev.carrier_ok).toBe(true);
    expect(rig.adapter.netdev.queue_stopped).toBe(false);
  });
});

describe("receive", () => {
  test("every broadcast that the device took reaches the stack, for many rounds of the ring", () => {
    const rig = new NicRig({ shutdown: "mainline", ringSize: 64 }).start();
    const source = rig.broadcasts(20_000);
    rig.m.idle(10e6);
    source.stop();
    rig.m.idle(1e6);
    expect(source.accepted).toBeGreaterThan(300);
    expect(rig.adapter.netdev.stats.rx_packets).toBe(source.accepted);
    expect(rig.adapter.netdev.stats.rx_bytes).toBe(60 * source.accepted);
  });

  test("the ring is refilled: 63 buffers are mapped again when traffic stops", () => {
    const rig = new NicRig({ shutdown: "mainline", ringSize: 64 }).start();
    const source = rig.broadcasts(20_000);
    rig.m.idle(5e6);
    source.stop();
    rig.m.idle(1e6);
    expect(rig.adapter.rx_ring.buffer_info.filter(({ dma }) => dma !== null)).toHaveLength(63);
  });

  test("a packet's memory is unmapped before it is freed", () => {
    const rig = new NicRig({ shutdown: "mainline" }).start();
    const source = rig.broadcasts(50_000);
    rig.m.idle(5e6);
    source.stop();
    const granted = new Set<number>();
    let freed = 0;
    for (const { what, who, pa } of rig.m.pages.log) {
      if (what === "granted" && who === rig.pdev.name) granted.add(pa);
      if (what === "revoked" && who === rig.pdev.name) granted.delete(pa);
      if (what !== "freed" || who !== "eth0 rx skb") continue;
      expect(granted.has(pa)).toBe(false);
      freed++;
    }
    expect(freed).toBeGreaterThan(50);
  });

  test("whatever the device touches was granted to it at that moment", () => {
    const rig = new NicRig({ shutdown: "mainline" }).start();
    rig.broadcasts(50_000);
    rig.m.idle(5e6);
    expect(rig.dma().length).toBeGreaterThan(100);
    expect(rig.m.strays).toEqual([]);
    expect(rig.nic.fatalErrors.receive).toBe(0);
  });
});

describe("transmit", () => {
  test("frames leave in order, and their memory is taken back after the device has read it", () => {
    const rig = new NicRig({ shutdown: "mainline" }).start();
    for (let i = 0; i < 5; i++) expect(e1000_xmit_frame(rig.adapter, new Uint8Array(60).fill(i))).toBe("ok");
    rig.m.idle(1e6);
    expect(rig.sent.map((frame) => frame[0])).toEqual([0, 1, 2, 3, 4]);
    expect(rig.adapter.netdev.stats.tx_packets).toBe(5);
    expect(rig.adapter.tx_ring.buffer_info.every(({ dma, skb }) => dma === null && skb === null)).toBe(true);
  });

  test("a full ring stops the queue, and sent packets wake it", () => {
    const rig = new NicRig({ shutdown: "mainline", ringSize: 64 }, { txDescriptorNs: 100_000 }).start();
    let sent = 0;
    while (e1000_xmit_frame(rig.adapter, new Uint8Array(60)) === "ok") sent++;
    expect(sent).toBeLessThan(64);
    expect(rig.adapter.netdev.queue_stopped).toBe(true);
    rig.m.idle(10e6);
    expect(rig.adapter.netdev.queue_stopped).toBe(false);
  });
});

describe("e1000_watchdog_task", () => {
  test("raises the receive interrupt every two seconds", () => {
    const rig = new NicRig({ shutdown: "mainline" }).start();
    const from = rig.m.cpu.accesses.length;
    rig.m.idle(9e9);
    const raised = rig
      .registers(from)
      .filter(({ write, offset, value }) => write && offset === reg.E1000_ICS && value === reg.E1000_ICR_RXQ0);
    expect(raised.length).toBeGreaterThanOrEqual(4);
    expect(raised.length).toBeLessThanOrEqual(5);
  });
});

describe("e1000e_close and e1000_remove", () => {
  test("after ifdown the device is reset and has no memory of the driver", () => {
    const rig = new NicRig({ shutdown: "mainline" }).start();
    const source = rig.broadcasts(20_000);
    rig.m.idle(2e6);
    rig.m.run(ifdown(rig.adapter));
    const from = rig.m.records.length;
    rig.m.idle(5e6);
    expect(source.running).toBe(true);
    expect(rig.dma(from)).toEqual([]);
    expect(rig.m.kernel.dma.mappings(rig.pdev)).toEqual([]);
  });

  test("remove leaves nothing mapped, no interrupt, no timer, and COMMAND.BME off", () => {
    const rig = new NicRig({ shutdown: "mainline" }).start();
    rig.broadcasts(20_000);
    rig.m.idle(2e6);
    const { pdev } = rig;
    rig.m.run(device_release_driver(pdev));
    expect(rig.m.kernel.dma.mappings(pdev)).toEqual([]);
    expect(pdev.irqs).toEqual([]);
    expect(rig.m.kernel.time.armedTimers).toEqual([]);
    expect(rig.busMaster).toBe(false);
  });
});

describe("a kernel after a kexec", () => {
  test("resets a device that a kernel before it left receiving, and receives by itself", () => {
    const rig = new NicRig({ shutdown: "no-hook" }).start();
    const source = rig.broadcasts(50_000);
    rig.m.idle(2e6);
    rig.kexec({ shutdown: "no-hook" });
    const { stats } = rig.adapter.netdev;
    const before = stats.rx_packets;
    rig.m.idle(2e6);
    expect(source.running).toBe(true);
    expect(stats.rx_packets - before).toBeGreaterThan(30);
  });

  test("until its driver resets the device, frames land in memory that is the next kernel's", () => {
    const rig = new NicRig({ shutdown: "no-hook" }).start();
    rig.broadcasts(50_000);
    rig.m.idle(2e6);
    rig.m.strays.length = 0;
    rig.kexec({ shutdown: "no-hook" });
    expect(rig.m.strays.length).toBeGreaterThan(0);
  });

  test("with the quiescing hook nothing lands there", () => {
    const rig = new NicRig({ shutdown: "quiescing" }).start();
    rig.broadcasts(50_000);
    rig.m.idle(2e6);
    rig.shutdown();
    rig.kexec({ shutdown: "quiescing" });
    expect(rig.m.strays).toEqual([]);
    expect(rig.adapter.netdev.stats.rx_packets).toBeGreaterThan(0);
  });
});
