// SPDX-License-Identifier: GPL-2.0-only
/**
 * A PCI host whose one function, 00:01.0, is an integrated endpoint with the extended capabilities ATS, PRI and PASID. Writes to
 * their control registers are told.
 */
import type { MmioDevice, MmioWindow } from "../../../src/hw/index.ts";
import { type DriverModule, type DtNode, dtNode, pciHostGenericModule } from "../../../src/kernel/index.ts";

const ECAM = 0x4000_0000;
const ECAM_SIZE = 0x10_0000;
/** Device 1, function 0. */
const DEVFN = 0x08;

/** Offsets of the capabilities. */
export const EXPRESS = 0x40;
export const ATS = 0x100;
export const PRI = 0x110;
export const PASID = 0x120;
/** PASID bits of the function. */
export const PASID_WIDTH = 5;

/** Control registers that software may write. */
const CONTROLS: Readonly<Record<number, string>> = { [ATS + 6]: "ATS", [PRI + 4]: "PRI", [PRI + 12]: "PRI.alloc", [PASID + 6]: "PASID" };

export class FakeEndpoint implements MmioDevice {
  readonly config = new Uint8Array(0x1000);
  /** `NAME=hex` of every write to a control register. */
  readonly writes: string[] = [];
  onControl: (write: string) => void = () => {};

  constructor() {
    this.#put(0x00, 4, 0x1234_1b36); // device and vendor
    this.#put(0x06, 2, 0x10); // a capability list
    this.#put(0x08, 4, 0x1200_0000); // class
    this.#put(0x34, 1, EXPRESS);
    this.#put(EXPRESS, 4, 0x0092_0010); // version 2, root complex integrated endpoint
    this.#put(EXPRESS + 0x24, 4, 0x0060_0000); // end-end TLP prefixes, 1
    this.#put(ATS, 4, (PRI << 20) | (1 << 16) | 0x0f);
    this.#put(PRI, 4, (PASID << 20) | (1 << 16) | 0x13);
    this.#put(PRI + 6, 2, 0x8100); // stopped, responses need PASIDs
    this.#put(PRI + 8, 4, 16); // requests
    this.#put(PASID, 4, (1 << 16) | 0x1b);
    this.#put(PASID + 4, 2, (PASID_WIDTH << 8) | 0x2); // execute requests
  }

  #put(offset: number, width: number, value: number): void {
    for (let i = 0; i < width; i++) this.config[offset + i] = (value >>> (8 * i)) & 0xff;
  }

  /** Changes a read-only register. */
  set(offset: number, width: number, value: number): this {
    this.#put(offset, width, value);
    return this;
  }

  /** A register of the function. */
  get(offset: number, width: number): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.config[offset + i]!;
    return value;
  }

  /** Takes a capability out of the lists. */
  hide(capability: typeof ATS | typeof PRI | typeof PASID): this {
    this.#put(capability, 2, 0);
    return this;
  }

  read(offset: number, width: 1 | 2 | 4): number {
    return offset >> 12 === DEVFN ? this.get(offset & 0xfff, width) : 2 ** (8 * width) - 1;
  }

  write(offset: number, width: 1 | 2 | 4, value: number): void {
    const name = CONTROLS[offset & 0xfff];
    if (offset >> 12 !== DEVFN || name === undefined) return;
    this.#put(offset & 0xfff, width, value);
    const write = `${name}=${value.toString(16)}`;
    this.writes.push(write);
    this.onControl(write);
  }
}

/** The name that the function has as a device. */
export const ENDPOINT = "0000:00:01.0";
/** Its StreamID. */
export const ENDPOINT_SID = 0x100 + DEVFN;

export interface FakePciHost {
  readonly nodes: readonly DtNode[];
  readonly modules: readonly DriverModule[];
  readonly windows: readonly MmioWindow[];
}

/** For a machine: the host with `endpoint`. @param ats the firmware says that the root complex knows ATS */
export function pciHost(endpoint: FakeEndpoint, ats = true): FakePciHost {
  const node: DtNode = dtNode({
    name: `pcie@${ECAM.toString(16)}`,
    compatible: ["pci-host-ecam-generic"],
    reg: [{ base: ECAM, size: ECAM_SIZE }],
    busRange: [0, 0],
    ranges: [{ base: 0x5000_0000, size: 0x100_0000 }],
    dmaCoherent: true,
    iommuMap: [{ ridBase: 0, label: "smmu", outBase: 0x100, length: 0x100 }],
    properties: ats ? { "ats-supported": true } : {},
  });
  const window: MmioWindow = { name: "ecam", base: ECAM, size: ECAM_SIZE, device: endpoint, widths: [1, 2, 4] };
  return { nodes: [node], modules: [pciHostGenericModule()], windows: [window] };
}
