// SPDX-License-Identifier: MIT
/** Descriptors of the 82574 on their way to the chip and back: fetch, prefetch, write-back thresholds, receive timers. */
import { describe, expect, it } from "vitest";
import { broadcastFrame } from "../../../src/hw/index.ts";
import * as m from "./e1000e-support.ts";

const DRAINED = 10_000;
const RXQ0 = 0x10_0000;
const FPD = 0x8000_0000;

/** Addresses in descriptors and numbers of descriptors that the controller has read from the receive ring. */
function fetches(machine: m.NicMachine): [number, number][] {
  return machine.accesses
    .filter(({ write, address }) => !write && address >= m.RX_RING && address < m.TX_RING)
    .map(({ address, length }) => [(address - m.RX_RING) / 16, length / 16]);
}

/** Reception on, with thresholds, `owned` descriptors of a ring of `count` in hardware's hands, and those fetched that it fetches. */
function fetching(rxdctl: number, count: number, owned: number): m.NicMachine {
  const machine = new m.NicMachine();
  machine.ew(m.RXDCTL, rxdctl);
  machine.rxRing(count, owned);
  machine.ew(m.RCTL, m.RX_ON);
  machine.pass(DRAINED);
  return machine;
}

describe("82574 datasheet §7.1.6, receive descriptor fetching", () => {
  it("with nothing on chip a write of the tail leads to a fetch, before any frame comes", () => {
    const machine = fetching(0, 16, 0);
    expect(fetches(machine)).toEqual([]);
    machine.ew(m.RDT, 3);
    machine.pass(DRAINED);
    expect(fetches(machine)).toEqual([[0, 3]]);
  });

  it("descriptors beyond the tail are never fetched", () => {
    expect(fetches(fetching(m.GRAN | (1 << 8) | 32, 64, 5))).toEqual([[0, 5]]);
  });

  it("RCTL.EN = 0: nothing is fetched; set, the ring is", () => {
    const machine = new m.NicMachine();
    machine.rxRing(16, 8);
    machine.pass(DRAINED);
    expect(fetches(machine)).toEqual([]);
    machine.ew(m.RCTL, m.RX_ON);
    machine.pass(DRAINED);
    expect(fetches(machine)).toEqual([[0, 8]]);
  });

  it("below PTHRESH on chip a prefetch waits for HTHRESH valid descriptors in memory", () => {
    const machine = fetching(m.GRAN | (4 << 8) | 32, 64, 16);
    machine.ew(m.RDT, 19);
    machine.pass(DRAINED);
    expect(fetches(machine)).toEqual([[0, 16]]);
    machine.ew(m.RDT, 20);
    machine.pass(DRAINED);
    expect(fetches(machine)).toEqual([
      [0, 16],
      [16, 4],
    ]);
  });

  it("at PTHRESH or more on chip nothing is prefetched, until a frame has used one", () => {
    const machine = fetching(m.GRAN | (4 << 8) | 16, 64, 16);
    machine.ew(m.RDT, 40);
    machine.pass(DRAINED);
    expect(fetches(machine)).toEqual([[0, 16]]);
    machine.broadcast();
    machine.pass(DRAINED);
    expect(fetches(machine)).toEqual([
      [0, 16],
      [16, 24],
    ]);
  });

  it("PTHRESH = 0, as after reset: the next fetch is made when the last descriptor on chip is used", () => {
    const machine = fetching(0, 16, 2);
    machine.ew(m.RDT, 8);
    machine.broadcast();
    machine.pass(DRAINED);
    expect(fetches(machine)).toEqual([[0, 2]]);
    machine.broadcast();
    machine.pass(DRAINED);
    expect(fetches(machine)).toEqual([
      [0, 2],
      [2, 6],
    ]);
  });

  it("RXDCTL.GRAN = 0: thresholds count cache lines of four descriptors", () => {
    const machine = fetching((1 << 8) | 4, 64, 12);
    machine.ew(m.RDT, 15);
    machine.pass(DRAINED);
    expect(fetches(machine)).toEqual([[0, 12]]);
    machine.ew(m.RDT, 16);
    machine.pass(DRAINED);
    expect(fetches(machine)[1]).toEqual([12, 4]);
  });

  it("a fetch ends at the end of the ring and goes on at its base", () => {
    const machine = fetching(0, 16, 12);
    for (let i = 0; i < 12; i++) machine.broadcast(i);
    machine.pass(100_000);
    machine.ew(m.RXDCTL, m.GRAN | (1 << 8) | 32);
    machine.ew(m.RDT, 5);
    machine.pass(DRAINED);
    expect(fetches(machine).slice(1)).toEqual([
      [12, 4],
      [0, 5],
    ]);
  });

  it("a fetch is one request of at most 512 bytes (PCI Express, initial Max_Read_Request_Size)", () => {
    expect(fetches(fetching(m.GRAN | (1 << 8) | 63, 128, 100))).toEqual([
      [0, 32],
      [32, 32],
    ]);
  });
});

describe("descriptors on the chip", () => {
  it("are used as they were fetched, although software has cleared the ring since", () => {
    const machine = fetching(0, 8, 4);
    for (let at = 0; at < 8 * 16; at += 4) machine.write32(m.RX_RING + at, 0);
    machine.broadcast(9);
    machine.pass(DRAINED);
    expect(machine.bytes(m.BUFFERS, 60)).toEqual(broadcastFrame(9, 60));
  });

  it("stay when RCTL.EN is cleared: a frame in the FIFO still uses them", () => {
    const machine = fetching(0, 8, 4);
    machine.write32(m.RX_RING, m.BUFFERS + 0x8000);
    machine.broadcast(9);
    machine.ew(m.RCTL, 0);
    machine.pass(DRAINED);
    expect(machine.bytes(m.BUFFERS, 60)).toEqual(broadcastFrame(9, 60));
  });

  it.each([
    ["a write of RDH", (machine: m.NicMachine) => machine.ew(m.RDH, 0)],
    [
      "CTRL.RST",
      (machine: m.NicMachine) => {
        machine.ew(m.CTRL, m.RST);
        machine.ew(m.RDBAL, m.RX_RING);
        machine.ew(m.RDLEN, 128);
        machine.ew(m.RDT, 4);
        machine.ew(m.RCTL, m.RX_ON);
      },
    ],
  ])("are void after %s", (_what, act) => {
    const machine = fetching(0, 8, 4);
    machine.write32(m.RX_RING, m.BUFFERS + 0x8000);
    act(machine);
    machine.broadcast(9);
    machine.pass(DRAINED);
    expect(machine.bytes(m.BUFFERS + 0x8000, 60)).toEqual(broadcastFrame(9, 60));
  });

  it("§7.1.7.2: a null descriptor takes no data; DD is set, all else stays; the frame goes to the next one", () => {
    const machine = new m.NicMachine();
    machine.rxRing(8, 2);
    machine.write32(m.RX_RING, 0);
    machine.write32(m.RX_RING + 8, 0x1234);
    machine.ew(m.RCTL, m.RX_ON);
    machine.broadcast(9);
    machine.pass(DRAINED);
    expect(machine.rx(0)).toEqual({ status: 1, length: 0x1234 });
    expect(machine.rx(1)).toEqual({ status: 3, length: 60 });
    expect(machine.bytes(m.BUFFERS + 0x800, 60)).toEqual(broadcastFrame(9, 60));
    expect(machine.accesses.filter(({ address }) => address === 0)).toEqual([]);
  });

  it("transmit: TXDCTL fetches ahead; what was fetched is sent although software has cleared the ring since", () => {
    const machine = new m.NicMachine({ txDescriptorNs: 5000 });
    machine.ew(m.TXDCTL, m.GRAN | (1 << 8) | 31);
    machine.ew(m.TDBAL, m.TX_RING);
    machine.ew(m.TDLEN, 128);
    machine.write32(m.TX_RING, m.BUFFERS);
    machine.write32(m.TX_RING + 4, 0);
    machine.write32(m.TX_RING + 8, 0x0100_0000 | 60);
    machine.ew(m.TCTL, 2);
    machine.ew(m.TDT, 1);
    machine.pass(1000);
    machine.write32(m.TX_RING + 8, 0);
    machine.pass(DRAINED);
    expect(machine.sent.map((frame) => frame.length)).toEqual([60]);
  });
});

describe("RXDCTL.WTHRESH, RDTR, RADV", () => {
  /** RDTR is 10 units of 1.024 µs, write-back by 4. */
  function delayed(radv: number = 0): m.NicMachine {
    const machine = fetching(m.GRAN | (4 << 16), 16, 12);
    machine.ew(m.RDTR, 10);
    machine.ew(m.RADV, radv);
    return machine;
  }

  it("RDTR = 0: a descriptor is written back at once, whatever WTHRESH says", () => {
    const machine = fetching(m.GRAN | (4 << 16), 16, 12);
    machine.broadcast();
    machine.pass(2000);
    expect(machine.rx(0).status).toBe(3);
  });

  it("a descriptor goes back when RDTR ends without another frame; RXT0 is set then, and RDH moves with the write-back", () => {
    const machine = delayed();
    machine.broadcast(7);
    machine.pass(2000 + 10_239);
    expect(machine.bytes(m.BUFFERS, 60)).toEqual(broadcastFrame(7, 60));
    expect([machine.rx(0).status, machine.er(m.RDH), machine.er(m.ICR) & 0x80]).toEqual([0, 0, 0]);
    machine.pass(1);
    expect([machine.rx(0).status, machine.er(m.RDH), machine.er(m.ICR) & 0x80]).toEqual([3, 1, 0x80]);
  });

  it("each frame starts RDTR anew; RADV counts from the first", () => {
    const machine = delayed(20);
    machine.broadcast(0);
    machine.pass(8000);
    machine.broadcast(1);
    machine.pass(8000);
    machine.broadcast(2);
    machine.pass(2000 + 20_480 - 16_000 - 1);
    expect(machine.er(m.RDH)).toBe(0);
    machine.pass(1);
    expect(machine.er(m.RDH)).toBe(3);
  });

  it("WTHRESH descriptors go back together without waiting for a timer", () => {
    const machine = delayed();
    for (let i = 0; i < 4; i++) machine.broadcast(i);
    machine.pass(6000);
    expect(machine.er(m.RDH)).toBe(0);
    machine.pass(2000);
    expect(machine.er(m.RDH)).toBe(4);
  });

  it("RDTR.FPD ends the timer at once: write-back, RXT0; it reads 0", () => {
    const machine = delayed();
    machine.broadcast();
    machine.pass(2000);
    machine.ew(m.RDTR, FPD | 10);
    expect([machine.er(m.RDH), machine.er(m.ICR) & 0x80, machine.er(m.RDTR)]).toEqual([1, 0x80, 10]);
  });

  it("CTRL.RST: what was not written back never is", () => {
    const machine = delayed();
    machine.broadcast();
    machine.pass(2000);
    machine.ew(m.CTRL, m.RST);
    machine.pass(100_000);
    expect(machine.rx(0).status).toBe(0);
  });

  it("GIO master disable holds write-backs, and they go out when it ends", () => {
    const machine = delayed();
    machine.broadcast();
    machine.pass(2000);
    machine.ew(m.CTRL, m.GIO_MASTER_DISABLE);
    machine.pass(100_000);
    expect(machine.rx(0).status).toBe(0);
    machine.ew(m.CTRL, 0);
    expect(machine.rx(0).status).toBe(3);
  });

  it("MSI-X: RxQ0 is the write-back, not the arrival", () => {
    const machine = delayed();
    machine.msix();
    machine.ew(m.IVAR, 8);
    machine.ew(m.EIAC, RXQ0);
    machine.ew(m.IMS, RXQ0);
    machine.broadcast();
    machine.pass(5000);
    expect(machine.taken()).toEqual([]);
    machine.pass(8000);
    expect(machine.taken()).toEqual([64]);
  });
});
