// SPDX-License-Identifier: MIT
/** Reception of the 82574-class controller, by the rules of its datasheet and of PCI Express. */
import { describe, expect, it } from "vitest";
import { BroadcastSource, broadcastFrame, BusStatus } from "../../../src/hw/index.ts";
import * as m from "./e1000e-support.ts";

const DRAINED = 10_000;

describe("receive ring", () => {
  it("a frame goes to the buffer of the descriptor at RDH; the write-back says DD, EOP and the length; RDH moves on", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    expect(machine.broadcast(5)).toBe(true);
    machine.pass(DRAINED);
    expect(machine.rx(0)).toEqual({ status: 3, length: 60 });
    expect(machine.bytes(m.BUFFERS, 60)).toEqual(broadcastFrame(5, 60));
    expect(machine.er(m.RDH)).toBe(1);
  });

  it("the order of accesses of a frame is: descriptor read, buffer write, descriptor write-back", () => {
    const machine = new m.NicMachine();
    machine.rxRing(8, 1);
    machine.ew(m.RCTL, m.RX_ON);
    machine.broadcast();
    machine.pass(DRAINED);
    expect(machine.accesses.map(({ address, length, write }) => [address, length, write])).toEqual([
      [m.RX_RING, 16, false],
      [m.BUFFERS, 60, true],
      [m.RX_RING, 16, true],
    ]);
  });

  it("nothing reaches memory before fifoDrainNs, and frames drain one after the other", () => {
    const machine = new m.NicMachine({ fifoDrainNs: 1000 });
    machine.receiving();
    machine.broadcast(0);
    machine.broadcast(1);
    machine.pass(999);
    expect(machine.accesses.filter(({ write }) => write)).toHaveLength(0);
    machine.pass(1);
    expect(machine.er(m.RDH)).toBe(1);
    expect(machine.nic.framesInFifo).toBe(1);
    machine.pass(1000);
    expect(machine.er(m.RDH)).toBe(2);
  });

  it("the ring wraps at RDLEN", () => {
    const machine = new m.NicMachine();
    machine.receiving(8);
    for (let i = 0; i < 7; i++) machine.broadcast(i);
    machine.pass(100_000);
    machine.ew(m.RDT, 6);
    machine.broadcast(7);
    machine.broadcast(8);
    machine.pass(DRAINED);
    expect(machine.er(m.RDH)).toBe(1);
    expect(machine.bytes(m.BUFFERS, 60)).toEqual(broadcastFrame(8, 60));
  });

  it("a frame longer than a buffer uses several descriptors, EOP on the last only", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.ew(m.RCTL, m.RX_ON | (3 << 16));
    machine.broadcast(0, 600);
    machine.pass(DRAINED);
    expect([0, 1, 2].map((i) => machine.rx(i))).toEqual([
      { status: 1, length: 256 },
      { status: 1, length: 256 },
      { status: 3, length: 88 },
    ]);
  });

  it("without RCTL.SECRC the frame check sequence is stored and counted in the length", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.ew(m.RCTL, m.RCTL_EN | m.RCTL_BAM);
    const frame = new Uint8Array(60).fill(0xff);
    machine.nic.receive(frame);
    machine.pass(DRAINED);
    expect(machine.rx(0).length).toBe(64);
    // The residue of a frame with its check sequence (IEEE 802.3).
    let crc = 0xffff_ffff;
    for (const byte of machine.bytes(m.BUFFERS, 64)) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
    }
    expect(crc >>> 0).toBe(0xdebb_20e3);
  });

  it("with RFCTL.EXTEN the write-back is extended: status at byte 8, length at byte 12", () => {
    const machine = new m.NicMachine();
    machine.ew(m.RFCTL, 0x8000);
    machine.receiving();
    machine.broadcast();
    machine.pass(DRAINED);
    expect(machine.read32(m.RX_RING + 8) & 0xfffff).toBe(3);
    expect(machine.read32(m.RX_RING + 12) & 0xffff).toBe(60);
  });
});

describe("without descriptors, without room", () => {
  it("a frame that finds no descriptor waits in the FIFO (RNBC counts) and drains after the next write of RDT", () => {
    const machine = new m.NicMachine();
    machine.rxRing(8, 0);
    machine.ew(m.RCTL, m.RX_ON);
    expect(machine.broadcast()).toBe(true);
    machine.pass(DRAINED);
    expect([machine.nic.framesInFifo, machine.er(m.RNBC)]).toEqual([1, 1]);
    machine.ew(m.RDT, 2);
    machine.pass(DRAINED);
    expect([machine.nic.framesInFifo, machine.er(m.RDH)]).toEqual([0, 1]);
  });

  it("a full FIFO misses frames: MPC counts and ICR.RXO is set", () => {
    const machine = new m.NicMachine({ rxFifoBytes: 128 });
    machine.rxRing(8, 0);
    machine.ew(m.RCTL, m.RX_ON);
    expect([machine.broadcast(), machine.broadcast(), machine.broadcast()]).toEqual([true, true, false]);
    expect(machine.er(m.MPC)).toBe(1);
    expect(machine.er(m.ICR) & 0x40).toBe(0x40);
  });

  it("pointers outside the ring give the device no descriptors", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.ew(m.RDT, 500);
    machine.broadcast();
    machine.pass(DRAINED);
    expect(machine.accesses).toHaveLength(0);
  });
});

describe("RCTL.EN", () => {
  it("is 0 after reset: frames are not accepted", () => {
    const machine = new m.NicMachine();
    machine.rxRing();
    expect(machine.broadcast()).toBe(false);
  });

  it("cleared, it stops new frames, but what is in the FIFO still drains to memory", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.broadcast(1);
    machine.broadcast(2);
    machine.ew(m.RCTL, 0);
    expect(machine.broadcast(3)).toBe(false);
    machine.pass(DRAINED);
    expect(machine.accesses.filter(({ write }) => write)).toHaveLength(4);
    expect(machine.er(m.RDH)).toBe(2);
  });

  it("cleared, it empties the FIFO where the controller is built with drainAfterDisable false", () => {
    const machine = new m.NicMachine({ drainAfterDisable: false });
    machine.receiving();
    machine.broadcast();
    machine.ew(m.RCTL, 0);
    machine.pass(DRAINED);
    expect(machine.accesses).toHaveLength(0);
    expect(machine.nic.framesInFifo).toBe(0);
  });
});

describe("address filters", () => {
  const frameTo = (...address: number[]): Uint8Array => {
    const frame = new Uint8Array(60);
    frame.set(address);
    return frame;
  };

  it("RCTL.BAM admits broadcasts", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.ew(m.RCTL, m.RCTL_EN);
    expect(machine.broadcast()).toBe(false);
    machine.ew(m.RCTL, m.RCTL_EN | m.RCTL_BAM);
    expect(machine.broadcast()).toBe(true);
  });

  it("RAL0 and RAH0 hold the address of the NVM after reset and admit it", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    expect([machine.er(m.RAL), machine.er(m.RAH)]).toEqual([0x1200_5452, 0x8000_5634]);
    expect(machine.nic.receive(frameTo(0x52, 0x54, 0x00, 0x12, 0x34, 0x56))).toBe(true);
    expect(machine.nic.receive(frameTo(0x52, 0x54, 0x00, 0x12, 0x34, 0x57))).toBe(false);
    machine.ew(m.RAH, 0x5634);
    expect(machine.nic.receive(frameTo(0x52, 0x54, 0x00, 0x12, 0x34, 0x56))).toBe(false);
  });

  it("the multicast table admits by the upper 12 bits of the address (RCTL.MO = 0)", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    // 01:00:5e:00:00:fb: bits [47:36] are 0xfb0.
    const frame = frameTo(0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb);
    expect(machine.nic.receive(frame)).toBe(false);
    machine.ew(m.MTA + 4 * (0xfb0 >>> 5), 1 << (0xfb0 & 31));
    expect(machine.nic.receive(frame)).toBe(true);
  });

  it("UPE admits all unicast, MPE all multicast", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.ew(m.RCTL, m.RCTL_EN | 8);
    expect([machine.nic.receive(frameTo(2, 0, 0, 0, 0, 1)), machine.nic.receive(frameTo(3, 0, 0, 0, 0, 1))]).toEqual([true, false]);
    machine.ew(m.RCTL, m.RCTL_EN | 16);
    expect([machine.nic.receive(frameTo(2, 0, 0, 0, 0, 1)), machine.nic.receive(frameTo(3, 0, 0, 0, 0, 1))]).toEqual([false, true]);
  });

  it("statistics count good and broadcast frames and are cleared by reading", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.broadcast();
    machine.nic.receive(frameTo(0x52, 0x54, 0x00, 0x12, 0x34, 0x56));
    expect([machine.er(m.GPRC), machine.er(m.BPRC), machine.er(m.GPRC)]).toEqual([2, 1, 0]);
  });
});

describe("COMMAND.BME", () => {
  it("0, drop, with no descriptor on the chip: the frame is lost and counted as missed, no descriptor is used, later frames pass", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.command(2);
    machine.broadcast(1);
    machine.pass(DRAINED);
    expect([machine.er(m.RDH), machine.er(m.MPC), machine.nic.framesInFifo]).toEqual([0, 1, 0]);
    machine.command(6);
    machine.broadcast(2);
    machine.pass(DRAINED);
    expect(machine.bytes(m.BUFFERS, 60)).toEqual(broadcastFrame(2, 60));
  });

  it("0, hold, with no descriptor on the chip: frames wait in the FIFO and land when the next owner sets BME, before it resets the device", () => {
    const machine = new m.NicMachine({ busMasterOff: "hold" });
    machine.receiving();
    machine.command(2);
    machine.broadcast(1);
    machine.pass(DRAINED);
    expect(machine.accesses).toHaveLength(0);
    machine.command(6);
    machine.pass(DRAINED);
    expect(machine.bytes(m.BUFFERS, 60)).toEqual(broadcastFrame(1, 60));
  });

  it("0, hold, with descriptors on the chip: the queued writes are issued by setting BME itself", () => {
    const machine = new m.NicMachine({ busMasterOff: "hold" });
    machine.receiving();
    machine.broadcast(0);
    machine.pass(DRAINED);
    machine.command(2);
    machine.broadcast(1);
    machine.pass(DRAINED);
    expect(machine.bytes(m.BUFFERS + 0x800, 60)).toEqual(new Uint8Array(60));
    expect(machine.accesses.at(-1)).toMatchObject({ outcome: "held" });
    machine.command(6);
    expect(machine.bytes(m.BUFFERS + 0x800, 60)).toEqual(broadcastFrame(1, 60));
  });

  it("1 -> 0, reset: the controller resets itself, RCTL.EN is 0 and the FIFO empty", () => {
    const machine = new m.NicMachine({ busMasterOff: "reset" });
    machine.receiving();
    machine.broadcast();
    machine.command(2);
    expect([machine.er(m.RCTL), machine.nic.framesInFifo]).toEqual([0, 0]);
    machine.command(6);
    machine.pass(DRAINED);
    expect(machine.accesses).toHaveLength(0);
  });
});

describe("aborts", () => {
  it("an aborted descriptor read, which has a completion (Unsupported Request), stops the engine until CTRL.RST", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    const heal = machine.bus.inject({ base: m.RX_RING, size: 16, status: BusStatus.abort });
    machine.broadcast();
    machine.pass(DRAINED);
    expect(machine.nic.fatalErrors).toEqual({ receive: 1, transmit: 0 });
    heal();
    machine.ew(m.RDT, 3);
    machine.broadcast();
    machine.pass(DRAINED);
    expect(machine.er(m.RDH)).toBe(0);
    machine.ew(m.CTRL, m.RST);
    machine.receiving();
    machine.broadcast();
    machine.pass(DRAINED);
    expect(machine.er(m.RDH)).toBe(1);
    expect(machine.nic.fatalErrors.receive).toBe(1);
  });

  it("PCI Express: writes are posted, so an aborted buffer write goes unnoticed: write-back, and on with the next frame", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.write32(m.RX_RING, 0x1000);
    machine.broadcast(1);
    machine.broadcast(2);
    machine.pass(DRAINED);
    expect([machine.nic.fatalErrors.receive, machine.nic.lostWrites.receive]).toEqual([0, 1]);
    expect([machine.rx(0), machine.rx(1)]).toEqual([
      { status: 3, length: 60 },
      { status: 3, length: 60 },
    ]);
    expect(machine.bytes(m.BUFFERS + 0x800, 60)).toEqual(broadcastFrame(2, 60));
  });

  it("… and so does an aborted write-back", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.pass(DRAINED);
    machine.bus.inject({ base: m.RX_RING, size: 16, status: BusStatus.abort });
    machine.broadcast(1);
    machine.broadcast(2);
    machine.pass(DRAINED);
    expect(machine.nic.lostWrites.receive).toBe(1);
    expect(machine.er(m.RDH)).toBe(2);
  });
});

describe("BroadcastSource", () => {
  it("sends one recognisable broadcast each period until it is stopped, whether or not they are taken", () => {
    const machine = new m.NicMachine();
    const source = new BroadcastSource(machine.simulation, machine.nic, { periodNs: 100_000, bytes: 64 });
    source.start();
    machine.pass(250_000);
    expect([source.sent, source.accepted]).toEqual([2, 0]);
    machine.receiving();
    machine.pass(200_000);
    source.stop();
    machine.pass(1_000_000);
    expect([source.sent, source.accepted]).toEqual([4, 2]);
    expect(machine.bytes(m.BUFFERS, 64)).toEqual(broadcastFrame(2, 64));
  });

  it("jitter makes periods longer by at most its percentage, the same for the same seed", () => {
    const times = (): number[] => {
      const machine = new m.NicMachine();
      const seen: number[] = [];
      const source = new BroadcastSource(
        machine.simulation,
        { receive: () => seen.push(machine.simulation.now) > 0 },
        { periodNs: 1000, jitterPercent: 50 },
      );
      source.start();
      machine.pass(100_000);
      return seen;
    };
    const first = times();
    const gaps = first.map((time, i) => time - (first[i - 1] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1000);
    expect(Math.max(...gaps)).toBeLessThan(1500);
    expect(new Set(gaps).size).toBeGreaterThan(5);
    expect(times()).toEqual(first);
  });
});
