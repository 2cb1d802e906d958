// SPDX-License-Identifier: MIT
/** A controller in a PCI slot with RAM, and a driver's handful of register accesses. */
import {
  BusStatus,
  broadcastFrame,
  type DmaEvents,
  DirectDmaPort,
  E1000e,
  type E1000eOptions,
  InterruptController,
  MsiFrame,
  RootComplex,
  SystemBus,
} from "../../../src/hw/index.ts";
import { Simulation, Trace, type TraceRecord } from "../../../src/sim/index.ts";
import { StallingPort } from "./stalling-port.ts";

export const BAR0 = 0x5000_0000;
export const MSIX_BAR = 0x5010_0000;
export const RAM = 0x8000_0000;
export const RX_RING = RAM + 0x1000;
export const TX_RING = RAM + 0x2000;
export const BUFFERS = RAM + 0x1_0000;
const V2M = 0x2000_0000;
const CONFIG = 0x4000_8000;

export const CTRL = 0x0,
  STATUS = 0x8,
  EECD = 0x10,
  EERD = 0x14,
  CTRL_EXT = 0x18,
  MDIC = 0x20,
  ICR = 0xc0,
  ICS = 0xc8,
  IMS = 0xd0,
  IMC = 0xd8;
export const EIAC = 0xdc,
  IAM = 0xe0,
  IVAR = 0xe4,
  RCTL = 0x100,
  TCTL = 0x400,
  RDBAL = 0x2800,
  RDBAH = 0x2804,
  RDLEN = 0x2808,
  RDH = 0x2810,
  RDT = 0x2818,
  RDTR = 0x2820,
  RXDCTL = 0x2828,
  RADV = 0x282c;
export const TDBAL = 0x3800,
  TDLEN = 0x3808,
  TDH = 0x3810,
  TDT = 0x3818,
  TXDCTL = 0x3828,
  RFCTL = 0x5008,
  MTA = 0x5200,
  RAL = 0x5400,
  RAH = 0x5404,
  WUFC = 0x5808,
  SWSM = 0x5b50;
export const MPC = 0x4010,
  GPRC = 0x4074,
  BPRC = 0x4078,
  RNBC = 0x40a0,
  GPTC = 0x4080;

export const RCTL_EN = 0x2,
  RCTL_BAM = 0x8000,
  RCTL_SECRC = 0x0400_0000;
/** Reception of broadcasts, check sequences stripped. */
export const RX_ON: number = RCTL_EN | RCTL_BAM | RCTL_SECRC;
/** RXDCTL and TXDCTL: thresholds count descriptors. */
export const GRAN = 0x0100_0000;
export const GIO_MASTER_DISABLE = 4,
  RST = 0x0400_0000,
  GIO_MASTER_ENABLE = 0x8_0000;

export type Access = TraceRecord<DmaEvents>["data"] & { readonly time: number };

export class NicMachine {
  readonly trace: Trace<DmaEvents> = new Trace<DmaEvents>();
  readonly simulation: Simulation;
  readonly bus: SystemBus = new SystemBus();
  readonly interrupts: InterruptController = new InterruptController(64);
  readonly nic: E1000e;
  readonly root: RootComplex;
  readonly accesses: Access[] = [];
  readonly sent: Uint8Array[] = [];
  /** Level of the legacy interrupt. */
  level = false;
  readonly #out = new Uint32Array(2);

  /** The way to memory, which tests can make stall. */
  readonly port: StallingPort;

  constructor(options: Partial<E1000eOptions> = {}) {
    this.port = new StallingPort(new DirectDmaPort(this.bus, "nic", this.trace));
    this.simulation = new Simulation();
    this.trace.setClock(() => this.simulation.now);
    this.trace.on("dma.access", ({ data, time }) => this.accesses.push({ ...data, time }));
    this.bus.addRam({ name: "ram", base: RAM, size: 0x100_0000 });
    const frame = new MsiFrame({ interrupts: this.interrupts, first: 64, count: 8 });
    this.bus.addWindow({ name: "v2m", base: V2M, size: frame.size, device: frame });
    for (let intid = 64; intid < 72; intid++) this.interrupts.enable(intid, true);
    this.nic = new E1000e({
      simulation: this.simulation,
      name: "nic",
      trace: this.trace,
      irq: (level) => (this.level = level),
      transmit: (sent) => this.sent.push(sent),
      ...options,
    });
    this.root = new RootComplex({
      name: "pcie",
      bus: this.bus,
      ecamBase: 0x4000_0000,
      ecamSize: 1 << 20,
      busCount: 1,
      memoryWindow: { base: 0x5000_0000, size: 0x100_0000 },
      portFor: () => this.port,
      trace: this.trace,
    });
    this.root.addFunction(0, 1, 0, this.nic);
    this.plug();
  }

  /** What the PCI core does: BARs, COMMAND. */
  plug(command: number = 6): void {
    this.write32(CONFIG + 0x10, BAR0);
    this.write32(CONFIG + 0x1c, MSIX_BAR);
    this.command(command);
  }

  command(value: number): void {
    this.bus.write(CONFIG + 4, 2, value);
  }

  read32(address: number): number {
    const status = this.bus.read(address, 4, this.#out);
    if (status !== BusStatus.ok) throw new Error(`read of ${address.toString(16)} aborted`);
    return this.#out[0]!;
  }

  write32(address: number, value: number): void {
    if (this.bus.write(address, 4, value >>> 0) !== BusStatus.ok) throw new Error(`write of ${address.toString(16)} aborted`);
  }

  er(register: number): number {
    return this.read32(BAR0 + register);
  }

  ew(register: number, value: number): void {
    this.write32(BAR0 + register, value);
  }

  bytes(address: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.bus.readBytes(address, out);
    return out;
  }

  /** Lets virtual time pass. */
  pass(ns: number): void {
    this.simulation.advance(ns);
  }

  /** A ring of `count` descriptors, each with a 2 KiB buffer, of which the device owns `owned`. */
  rxRing(count: number = 8, owned: number = count - 1): void {
    for (let i = 0; i < count; i++) {
      this.write32(RX_RING + 16 * i, BUFFERS + 0x800 * i);
      for (const offset of [4, 8, 12]) this.write32(RX_RING + 16 * i + offset, 0);
    }
    this.ew(RDBAL, RX_RING);
    this.ew(RDBAH, 0);
    this.ew(RDLEN, 16 * count);
    this.ew(RDH, 0);
    this.ew(RDT, owned);
  }

  /** Reception on, with a full ring. */
  receiving(count: number = 8): void {
    this.rxRing(count);
    this.ew(RCTL, RX_ON);
  }

  /** Status and length of a receive descriptor. */
  rx(index: number): { readonly status: number; readonly length: number } {
    return { status: this.read32(RX_RING + 16 * index + 12) & 0xff, length: this.read32(RX_RING + 16 * index + 8) & 0xffff };
  }

  /** MSI-X on: vector n goes to SPI 64 + n. */
  msix(): void {
    for (let vector = 0; vector < 5; vector++) {
      this.write32(MSIX_BAR + 16 * vector, V2M + 0x40);
      this.write32(MSIX_BAR + 16 * vector + 8, 64 + vector);
      this.write32(MSIX_BAR + 16 * vector + 12, 0);
    }
    this.bus.write(CONFIG + this.nic.capabilities.msix + 2, 2, 0x8000);
  }

  /** Acknowledges and completes all pending interrupts. */
  taken(): number[] {
    const taken: number[] = [];
    for (let intid = this.interrupts.acknowledge(); intid >= 0; intid = this.interrupts.acknowledge()) {
      this.interrupts.complete(intid);
      taken.push(intid);
    }
    return taken;
  }

  broadcast(counter: number = 0, bytes: number = 60): boolean {
    return this.nic.receive(broadcastFrame(counter, bytes));
  }
}
