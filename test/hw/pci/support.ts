// SPDX-License-Identifier: MIT
/** A small PCI machine for tests: RAM, a root complex, functions with a BAR, and software's accesses to them. */
import {
  type BarSpec,
  BusStatus,
  type BusMasterOff,
  type DmaEvents,
  DirectDmaPort,
  PciFunction,
  type PciFunctionOptions,
  RootComplex,
  type RootComplexOptions,
  SystemBus,
  type UpstreamPort,
} from "../../../src/hw/index.ts";
import { Trace, type TraceRecord } from "../../../src/sim/index.ts";

export const ECAM = 0x4000_0000;
export const WINDOW = 0x5000_0000;
export const RAM = 0x8000_0000;

export type Access = TraceRecord<DmaEvents>["data"];

/** A function whose BAR 0 is 16 registers that keep what is written. */
export class TestFunction extends PciFunction {
  readonly words: Uint32Array;
  resets = 0;
  readonly masterChanges: boolean[] = [];

  constructor(options: Partial<PciFunctionOptions> & Pick<PciFunctionOptions, "trace">, extraBars: readonly BarSpec[] = []) {
    const words = new Uint32Array(16);
    super({
      name: "dev",
      identity: { vendorId: 0x1234, deviceId: 0x5678, classCode: 0x020000, revision: 7 },
      bars: [
        {
          index: 0,
          size: 0x4000,
          device: { read: (offset) => words[offset >>> 2] ?? 0, write: (offset, _width, value) => void (words[offset >>> 2] = value) },
        },
        ...extraBars,
      ],
      msix: { vectors: 4, bar: 3 },
      ...options,
    });
    this.words = words;
  }

  protected override resetDevice(): void {
    this.resets++;
    this.words.fill(0);
  }

  protected override busMasterChanged(on: boolean): void {
    this.masterChanges.push(on);
  }
}

/** RAM, a root complex of four buses, and all "dma.access" events. */
export class PciMachine {
  readonly bus: SystemBus = new SystemBus();
  readonly trace: Trace<DmaEvents> = new Trace<DmaEvents>();
  readonly accesses: Access[] = [];
  readonly root: RootComplex;
  /** Requester ids for which a port was asked for. */
  readonly requesters: number[] = [];
  readonly #out = new Uint32Array(2);

  constructor(options: Pick<RootComplexOptions, "abortsAs"> = {}) {
    this.trace.on("dma.access", ({ data }) => this.accesses.push(data));
    this.bus.addRam({ name: "ram", base: RAM, size: 0x100_0000 });
    this.root = new RootComplex({
      name: "pcie",
      bus: this.bus,
      ecamBase: ECAM,
      ecamSize: 4 << 20,
      busCount: 4,
      memoryWindow: { base: WINDOW, size: 0x100_0000 },
      portFor: (requesterId): UpstreamPort => {
        this.requesters.push(requesterId);
        return new DirectDmaPort(this.bus, `rid ${requesterId.toString(16)}`, this.trace);
      },
      trace: this.trace,
      ...options,
    });
  }

  function(options: { busMasterOff?: BusMasterOff; noSoftReset?: boolean; functionLevelReset?: boolean } = {}): TestFunction {
    return new TestFunction({ trace: this.trace, ...options });
  }

  config(bdf: string): Config {
    const [bus, device, fn] = bdf.split(/[:.]/).map((part) => Number.parseInt(part, 16));
    return new Config(this, ECAM + (bus! << 20) + (device! << 15) + (fn! << 12));
  }

  /** undefined: the access was aborted. */
  read(address: number, width: 1 | 2 | 4 = 4): number | undefined {
    return this.bus.read(address, width, this.#out) === BusStatus.ok ? this.#out[0] : undefined;
  }

  write(address: number, value: number, width: 1 | 2 | 4 = 4): boolean {
    return this.bus.write(address, width, value >>> 0) === BusStatus.ok;
  }
}

/** Configuration space of one address, through ECAM. */
export class Config {
  readonly #machine: Pick<PciMachine, "read" | "write">;
  readonly #base: number;

  constructor(machine: Pick<PciMachine, "read" | "write">, base: number) {
    this.#machine = machine;
    this.#base = base;
  }

  read(offset: number, width: 1 | 2 | 4 = 4): number | undefined {
    return this.#machine.read(this.#base + offset, width);
  }

  write(offset: number, value: number, width: 1 | 2 | 4 = 4): void {
    this.#machine.write(this.#base + offset, value, width);
  }

  /** COMMAND: bit 1 memory, bit 2 bus master. */
  command(value: number): void {
    this.write(4, value, 2);
  }

  /** The offset of a capability, found as software does. */
  capability(id: number): number {
    for (let at = this.read(0x34, 1)!; at !== 0; at = this.read(at + 1, 1)!) if (this.read(at, 1) === id) return at;
    return 0;
  }
}

export const MEM = 2;
export const BME = 4;
