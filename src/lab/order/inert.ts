// SPDX-License-Identifier: MIT
/** A platform on which nothing happens: registers read as zero, nothing interrupts, nobody watches. */
import { type CpuBus, type DtNode, noPageWatcher, type Platform } from "../../kernel/index.ts";

const RAM = { base: 0x8000_0000, size: 0x1000_0000 };

const bus: CpuBus = {
  read8: () => 0,
  read16: () => 0,
  read32: () => 0,
  read64: () => 0n,
  write8: () => {},
  write16: () => {},
  write32: () => {},
  write64: () => {},
  readBytes: (_pa, out) => void out.fill(0),
  writeBytes: () => {},
  fill: () => {},
};

export function inertPlatform(deviceTree: DtNode): Platform {
  return {
    bus,
    interrupts: { acknowledge: () => -1, complete: () => {}, enable: () => {} },
    firmware: { systemReset: () => {}, systemOff: () => {}, halt: () => {} },
    pages: noPageWatcher,
    deviceTree,
    memory: [RAM],
    mmioNs: 0,
  };
}
