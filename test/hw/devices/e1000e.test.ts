// SPDX-License-Identifier: MIT
/** Register behaviour, transmission and interrupts of the 82574-class controller, by the rules of its datasheet. */
import { describe, expect, it } from "vitest";
import { BusStatus } from "../../../src/hw/index.ts";
import * as m from "./e1000e-support.ts";

const DRAINED = 10_000;

/** A transmit descriptor: address, length | command, status 0. */
function txDescriptor(machine: m.NicMachine, index: number, address: number, lower: number): void {
  [address, 0, lower, 0].forEach((value, i) => machine.write32(m.TX_RING + 16 * index + 4 * i, value));
}
function txRing(machine: m.NicMachine): void {
  machine.ew(m.TDBAL, m.TX_RING);
  machine.ew(m.TDLEN, 128);
  machine.ew(m.TCTL, 2);
}
const EOP = 1 << 24,
  RS = 1 << 27;

describe("probe", () => {
  it("configuration space says 8086:10d3, an Ethernet controller", () => {
    const machine = new m.NicMachine();
    expect(machine.read32(0x4000_8000)).toBe(0x10d3_8086);
    expect(machine.read32(0x4000_8008) >>> 8).toBe(0x020000);
  });

  it("EERD reads the NVM: the address in words 0 to 2, all 64 words add up to 0xbaba", () => {
    const machine = new m.NicMachine();
    const words = Array.from({ length: 64 }, (_, word) => {
      machine.ew(m.EERD, 1 | (word << 2));
      expect(machine.er(m.EERD) & 2).toBe(2);
      return machine.er(m.EERD) >>> 16;
    });
    expect(words.slice(0, 3)).toEqual([0x5452, 0x1200, 0x5634]);
    expect(words.reduce((sum, word) => sum + word, 0) & 0xffff).toBe(0xbaba);
  });

  it("EECD: auto-read is done, a request is granted", () => {
    const machine = new m.NicMachine();
    expect(machine.er(m.EECD) & 0x200).toBe(0x200);
    machine.ew(m.EECD, 0x40);
    expect(machine.er(m.EECD) & 0xc0).toBe(0xc0);
    machine.ew(m.EECD, 0);
    expect(machine.er(m.EECD) & 0xc0).toBe(0);
  });

  it("MDIC reads the PHY's identifier at address 1, and reports READY; another address is an error", () => {
    const machine = new m.NicMachine();
    machine.ew(m.MDIC, (2 << 26) | (1 << 21) | (2 << 16));
    expect(machine.er(m.MDIC) & 0x5000_ffff).toBe(0x1000_0141);
    machine.ew(m.MDIC, (2 << 26) | (2 << 21) | (2 << 16));
    expect(machine.er(m.MDIC) & 0x4000_0000).toBe(0x4000_0000);
  });

  it("SWSM.SMBI: a read takes the semaphore, a write of 0 gives it back", () => {
    const machine = new m.NicMachine();
    expect(machine.er(m.SWSM) & 1).toBe(0);
    expect(machine.er(m.SWSM) & 1).toBe(1);
    machine.ew(m.SWSM, 0);
    expect(machine.er(m.SWSM) & 1).toBe(0);
  });
});

describe("link", () => {
  const bmcr = (machine: m.NicMachine, value: number): void => machine.ew(m.MDIC, (1 << 26) | (1 << 21) | value);

  it("a PHY power-down takes the link down: ICR.LSC, STATUS.LU = 0, and no frame enters", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    bmcr(machine, 0x1940);
    expect(machine.er(m.STATUS) & 2).toBe(0);
    expect(machine.er(m.ICR) & 4).toBe(4);
    expect(machine.broadcast()).toBe(false);
    machine.pass(100_000_000);
    expect(machine.er(m.STATUS) & 2).toBe(0);
  });

  it("power-up negotiates: the link is back after linkUpNs with another LSC", () => {
    const machine = new m.NicMachine({ linkUpNs: 5000 });
    bmcr(machine, 0x1940);
    machine.er(m.ICR);
    bmcr(machine, 0x1140);
    machine.pass(4999);
    expect(machine.er(m.STATUS) & 2).toBe(0);
    machine.pass(1);
    expect(machine.er(m.STATUS) & 2).toBe(2);
    expect(machine.er(m.ICR) & 4).toBe(4);
  });

  it("CTRL.RST leaves the PHY and its link alone, CTRL.PHY_RST does not", () => {
    const machine = new m.NicMachine();
    machine.ew(m.CTRL, m.RST);
    expect(machine.er(m.STATUS) & 2).toBe(2);
    machine.ew(m.CTRL, 0x8000_0000);
    expect(machine.er(m.STATUS) & 2).toBe(0);
  });
});

describe("CTRL.RST", () => {
  it("returns registers to their initial values, clears itself, empties the FIFO and stops DMA", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.ew(m.IMS, 0x80);
    machine.ew(m.RAL, 1);
    machine.broadcast();
    machine.ew(m.CTRL, machine.er(m.CTRL) | m.RST);
    expect(machine.er(m.CTRL) & m.RST).toBe(0);
    expect([machine.er(m.RCTL), machine.er(m.RDT), machine.er(m.IMS), machine.er(m.ICR), machine.er(m.RAL)]).toEqual([
      0, 0, 0, 0, 0x1200_5452,
    ]);
    machine.pass(DRAINED);
    expect(machine.accesses).toHaveLength(0);
    expect(machine.nic.framesInFifo).toBe(0);
  });

  it("leaves configuration space as it is", () => {
    const machine = new m.NicMachine();
    machine.ew(m.CTRL, m.RST);
    expect(machine.read32(0x4000_8004) & 0xffff).toBe(6);
  });
});

describe("CTRL.GIO_MASTER_DISABLE", () => {
  it("stops new requests at once; STATUS.GIO_MASTER_ENABLE clears when outstanding ones are over", () => {
    const machine = new m.NicMachine({ masterIdleNs: 3000 });
    machine.receiving();
    machine.broadcast();
    machine.ew(m.CTRL, machine.er(m.CTRL) | m.GIO_MASTER_DISABLE);
    expect(machine.er(m.STATUS) & m.GIO_MASTER_ENABLE).toBe(m.GIO_MASTER_ENABLE);
    machine.pass(3000);
    expect(machine.er(m.STATUS) & m.GIO_MASTER_ENABLE).toBe(0);
    machine.pass(DRAINED);
    expect(machine.accesses).toHaveLength(0);
    expect(machine.nic.framesInFifo).toBe(1);
  });

  it("holds back descriptors fetched ahead and MSI-X messages too", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.msix();
    machine.ew(m.IVAR, 0x8);
    machine.ew(m.IMS, 0x10_0000);
    machine.broadcast(0);
    machine.pass(DRAINED);
    machine.accesses.length = 0;
    machine.ew(m.CTRL, m.GIO_MASTER_DISABLE);
    machine.broadcast(1);
    machine.ew(m.ICS, 0x10_0000);
    machine.pass(DRAINED);
    expect(machine.accesses).toHaveLength(0);
  });

  it("cleared again, the status returns and what waited goes on", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.ew(m.CTRL, m.GIO_MASTER_DISABLE);
    machine.broadcast();
    machine.pass(DRAINED);
    machine.ew(m.CTRL, 0);
    expect(machine.er(m.STATUS) & m.GIO_MASTER_ENABLE).toBe(m.GIO_MASTER_ENABLE);
    machine.pass(DRAINED);
    expect(machine.er(m.RDH)).toBe(1);
  });

  it("with masterIdleNs Infinity the status never clears: a driver's poll times out", () => {
    const machine = new m.NicMachine({ masterIdleNs: Infinity });
    machine.ew(m.CTRL, m.GIO_MASTER_DISABLE);
    machine.pass(1_000_000_000);
    expect(machine.er(m.STATUS) & m.GIO_MASTER_ENABLE).toBe(m.GIO_MASTER_ENABLE);
  });
});

describe("transmit ring", () => {
  it("a write of TDT sends: descriptor and buffer are read, DD is written back where RS asks, ICR.TXDW", () => {
    const machine = new m.NicMachine();
    txRing(machine);
    machine.bus.writeBytes(
      m.BUFFERS,
      Uint8Array.from({ length: 70 }, (_, i) => i),
    );
    txDescriptor(machine, 0, m.BUFFERS, 70 | EOP | RS);
    machine.ew(m.TDT, 1);
    machine.pass(DRAINED);
    expect(machine.sent).toEqual([Uint8Array.from({ length: 70 }, (_, i) => i)]);
    expect(machine.read32(m.TX_RING + 12) & 1).toBe(1);
    expect([machine.er(m.TDH), machine.er(m.GPTC)]).toEqual([1, 1]);
    expect(machine.er(m.ICR) & 3).toBe(3);
  });

  it("without RS nothing is written back and TXDW stays 0", () => {
    const machine = new m.NicMachine();
    txRing(machine);
    txDescriptor(machine, 0, m.BUFFERS, 60 | EOP);
    machine.ew(m.TDT, 1);
    machine.pass(DRAINED);
    expect(machine.accesses.filter(({ write }) => write)).toHaveLength(0);
    expect(machine.er(m.ICR) & 1).toBe(0);
    expect(machine.sent).toHaveLength(1);
  });

  it("a frame is what lies between two EOPs", () => {
    const machine = new m.NicMachine();
    txRing(machine);
    machine.bus.writeBytes(m.BUFFERS, Uint8Array.of(1, 2, 3, 4));
    txDescriptor(machine, 0, m.BUFFERS, 2);
    txDescriptor(machine, 1, m.BUFFERS + 2, 2 | EOP | RS);
    machine.ew(m.TDT, 2);
    machine.pass(DRAINED);
    expect(machine.sent).toEqual([Uint8Array.of(1, 2, 3, 4)]);
  });

  it("TCTL.EN = 0 stops between descriptors and 1 goes on", () => {
    const machine = new m.NicMachine({ txDescriptorNs: 1000 });
    txRing(machine);
    for (const i of [0, 1]) txDescriptor(machine, i, m.BUFFERS, 60 | EOP);
    machine.ew(m.TDT, 2);
    machine.pass(1000);
    machine.ew(m.TCTL, 0);
    machine.pass(DRAINED);
    expect(machine.sent).toHaveLength(1);
    machine.ew(m.TCTL, 2);
    machine.pass(DRAINED);
    expect(machine.sent).toHaveLength(2);
  });

  it("an aborted write-back, a posted write, goes unnoticed: the next frame is sent", () => {
    const machine = new m.NicMachine();
    txRing(machine);
    for (const i of [0, 1]) txDescriptor(machine, i, m.BUFFERS, 60 | EOP | RS);
    machine.ew(m.TDT, 2);
    machine.pass(500);
    machine.bus.inject({ base: m.TX_RING, size: 16, status: BusStatus.abort });
    machine.pass(DRAINED);
    expect(machine.sent).toHaveLength(2);
    expect([machine.nic.lostWrites.transmit, machine.nic.fatalErrors.transmit]).toEqual([1, 0]);
  });

  it("an aborted buffer read stops the engine and leaves reception alone", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    txRing(machine);
    machine.bus.inject({ base: m.RAM + 0x8_0000, size: 0x1000, status: BusStatus.abort });
    txDescriptor(machine, 0, m.RAM + 0x8_0000, 60 | EOP | RS);
    machine.ew(m.TDT, 1);
    machine.broadcast();
    machine.pass(DRAINED);
    expect(machine.nic.fatalErrors).toEqual({ receive: 0, transmit: 1 });
    expect([machine.er(m.TDH), machine.er(m.RDH)]).toEqual([0, 1]);
  });

  it("COMMAND.BME = 0: the ring stands still and goes on when BME returns", () => {
    const machine = new m.NicMachine();
    txRing(machine);
    txDescriptor(machine, 0, m.BUFFERS, 60 | EOP | RS);
    machine.command(2);
    machine.ew(m.TDT, 1);
    machine.pass(DRAINED);
    expect([machine.sent.length, machine.er(m.TDH)]).toEqual([0, 0]);
    machine.command(6);
    machine.pass(DRAINED);
    expect(machine.sent).toHaveLength(1);
  });
});

describe("legacy interrupt", () => {
  it("is the level of ICR & IMS; reading ICR clears the causes and the level", () => {
    const machine = new m.NicMachine();
    machine.ew(m.ICS, 0x80);
    expect(machine.level).toBe(false);
    machine.ew(m.IMS, 0x80);
    expect(machine.level).toBe(true);
    expect(machine.er(m.ICR)).toBe(0x8000_0080);
    expect(machine.level).toBe(false);
    expect(machine.er(m.ICR)).toBe(0);
  });

  it("reading ICR clears nothing while no enabled cause is set and some are enabled", () => {
    const machine = new m.NicMachine();
    machine.ew(m.IMS, 0x4);
    machine.ew(m.ICS, 0x80);
    expect([machine.er(m.ICR), machine.er(m.ICR)]).toEqual([0x80, 0x80]);
    machine.ew(m.IMC, 0xffff_ffff);
    expect([machine.er(m.ICR), machine.er(m.ICR)]).toEqual([0x80, 0]);
  });

  it("writing 1 to a cause in ICR clears it; IMC masks", () => {
    const machine = new m.NicMachine();
    machine.ew(m.IMS, 0x84);
    machine.ew(m.ICS, 0x84);
    machine.ew(m.ICR, 0x80);
    expect(machine.level).toBe(true);
    machine.ew(m.IMC, 0x4);
    expect(machine.level).toBe(false);
    expect(machine.er(m.IMS)).toBe(0x80);
  });

  it("CTRL_EXT.IAME: reading ICR masks by IAM", () => {
    const machine = new m.NicMachine();
    machine.ew(m.CTRL_EXT, 0x0800_0000);
    machine.ew(m.IAM, 0x80);
    machine.ew(m.IMS, 0x84);
    machine.ew(m.ICS, 0x80);
    machine.er(m.ICR);
    expect(machine.er(m.IMS)).toBe(0x4);
  });

  it("a received frame is RXT0", () => {
    const machine = new m.NicMachine();
    machine.receiving();
    machine.ew(m.IMS, 0x80);
    machine.broadcast();
    machine.pass(DRAINED);
    expect(machine.level).toBe(true);
    expect(machine.er(m.ICR) & 0x80).toBe(0x80);
  });

  it("COMMAND.INTX_DISABLE keeps the level down", () => {
    const machine = new m.NicMachine();
    machine.ew(m.IMS, 0x80);
    machine.ew(m.ICS, 0x80);
    machine.command(0x406);
    expect(machine.level).toBe(false);
    machine.command(6);
    expect(machine.level).toBe(true);
  });
});

describe("MSI-X", () => {
  const RXQ0 = 0x10_0000,
    TXQ0 = 0x40_0000,
    OTHER = 0x100_0000;
  /** RxQ0 to vector 0, TxQ0 to vector 1, other to vector 2; auto-clear and auto-mask as Linux sets them. */
  function machine(): m.NicMachine {
    const all = new m.NicMachine();
    all.msix();
    all.ew(m.IVAR, 0x000a_0908);
    all.ew(m.EIAC, RXQ0 | TXQ0 | OTHER);
    all.ew(m.CTRL_EXT, 0x0100_0000);
    all.ew(m.IMS, RXQ0 | TXQ0 | OTHER | 4);
    return all;
  }

  it("reception, transmission and other causes go to the vectors of IVAR; the legacy level stays down", () => {
    const all = machine();
    all.receiving();
    all.broadcast();
    all.pass(DRAINED);
    expect(all.taken()).toEqual([64]);
    txRing(all);
    txDescriptor(all, 0, m.BUFFERS, 60 | EOP | RS);
    all.ew(m.TDT, 1);
    all.pass(DRAINED);
    expect(all.taken()).toEqual([65]);
    all.ew(m.ICS, 4);
    expect(all.taken()).toEqual([66]);
    expect(all.level).toBe(false);
  });

  it("EIAC clears the cause and EIAME the mask when the message goes out; setting IMS arms it again", () => {
    const all = machine();
    all.ew(m.ICS, RXQ0);
    expect(all.taken()).toEqual([64]);
    expect(all.er(m.IMS) & RXQ0).toBe(0);
    all.ew(m.ICS, RXQ0);
    expect(all.taken()).toEqual([]);
    all.ew(m.IMS, RXQ0);
    expect(all.taken()).toEqual([64]);
    all.ew(m.IMS, RXQ0);
    expect(all.taken()).toEqual([]);
  });

  it("a cause whose IVAR entry is not valid sends nothing", () => {
    const all = machine();
    all.ew(m.IVAR, 0x000a_0900);
    all.ew(m.ICS, RXQ0);
    expect(all.taken()).toEqual([]);
  });
});

describe("a driver's life", () => {
  it("after Linux's reset sequence (GIO master disable, IMC, RCTL, TCTL, RST) and a new set-up the controller works", () => {
    const machine = new m.NicMachine();
    for (let round = 0; round < 3; round++) {
      machine.ew(m.CTRL, machine.er(m.CTRL) | m.GIO_MASTER_DISABLE);
      machine.pass(200_000);
      expect(machine.er(m.STATUS) & m.GIO_MASTER_ENABLE).toBe(0);
      machine.ew(m.IMC, 0xffff_ffff);
      machine.ew(m.RCTL, 0);
      machine.ew(m.TCTL, 8);
      machine.pass(10_000_000);
      machine.ew(m.CTRL, machine.er(m.CTRL) | m.RST);
      expect(machine.er(m.STATUS) & m.GIO_MASTER_ENABLE).toBe(m.GIO_MASTER_ENABLE);
      machine.receiving();
      machine.broadcast(round);
      machine.pass(DRAINED);
      expect(machine.rx(0)).toEqual({ status: 3, length: 60 });
    }
  });

  it("Wake-on-LAN's registers are kept", () => {
    const machine = new m.NicMachine();
    machine.ew(m.WUFC, 0x2);
    expect(machine.er(m.WUFC)).toBe(2);
  });
});
