// SPDX-License-Identifier: GPL-2.0-only
/**
 * MMIO. An access takes `platform.mmioNs` of virtual time, and what devices do meanwhile happens before it: so a device
 * may act between any two register accesses of a driver. After the access the CPU takes pending interrupts if it may.
 *
 * After Linux 7.1 arch/arm64/include/asm/io.h and include/linux/iopoll.h: readl_poll_timeout. Left out: barriers and the relaxed
 * accessors (accesses happen in program order), I/O ports, block copies, memory types.
 */
import { type Coroutine, pollUntil } from "../../sim/index.ts";
import { ETIMEDOUT } from "../errno.ts";
import type { Kernel } from "../kernel.ts";

/** A mapped register range. */
export class IoMem {
  readonly kernel: Kernel;
  /** Physical address. */
  readonly base: number;
  /** Bytes. */
  readonly size: number;

  constructor(kernel: Kernel, base: number, size: number) {
    this.kernel = kernel;
    this.base = base;
    this.size = size;
  }

  /** A part of the range. */
  slice(offset: number, size: number = this.size - offset): IoMem {
    return new IoMem(this.kernel, this.base + offset, size);
  }
}

/** Makes MMIO accesses by physical address; `readl` and its family use it. */
export class Mmio {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  ioremap(base: number, size: number): IoMem {
    return new IoMem(this.#kernel, base, size);
  }
}

function address(io: IoMem, offset: number, width: number): number {
  if (offset < 0 || offset + width > io.size || offset % width !== 0) {
    io.kernel.bug(
      `Unable to handle kernel paging request: ${width} bytes at offset 0x${offset.toString(16)} of a mapping of 0x${io.size.toString(16)} bytes at 0x${io.base.toString(16)}`,
    );
  }
  io.kernel.sim.advance(io.kernel.platform.mmioNs);
  return io.base + offset;
}

/** Every accessor throws ExternalAbort if the access aborts. */
export function readb(io: IoMem, offset: number): number {
  const value = io.kernel.platform.bus.read8(address(io, offset, 1));
  io.kernel.sim.pollInterrupts();
  return value;
}
export function readw(io: IoMem, offset: number): number {
  const value = io.kernel.platform.bus.read16(address(io, offset, 2));
  io.kernel.sim.pollInterrupts();
  return value;
}
export function readl(io: IoMem, offset: number): number {
  const value = io.kernel.platform.bus.read32(address(io, offset, 4));
  io.kernel.sim.pollInterrupts();
  return value;
}
export function readq(io: IoMem, offset: number): bigint {
  const value = io.kernel.platform.bus.read64(address(io, offset, 8));
  io.kernel.sim.pollInterrupts();
  return value;
}
export function writeb(io: IoMem, offset: number, value: number): void {
  io.kernel.platform.bus.write8(address(io, offset, 1), value);
  io.kernel.sim.pollInterrupts();
}
export function writew(io: IoMem, offset: number, value: number): void {
  io.kernel.platform.bus.write16(address(io, offset, 2), value);
  io.kernel.sim.pollInterrupts();
}
export function writel(io: IoMem, offset: number, value: number): void {
  io.kernel.platform.bus.write32(address(io, offset, 4), value);
  io.kernel.sim.pollInterrupts();
}
export function writeq(io: IoMem, offset: number, value: bigint): void {
  io.kernel.platform.bus.write64(address(io, offset, 8), value);
  io.kernel.sim.pollInterrupts();
}

/**
 * Linux's `readl_poll_timeout`: reads until the condition holds, once more when the time is over.
 * @param delayUs microseconds between reads
 * @param timeoutUs give up after so many microseconds
 * @returns 0 or -ETIMEDOUT
 */
export function* readl_poll(
  io: IoMem,
  offset: number,
  condition: (value: number) => boolean,
  delayUs: number,
  timeoutUs: number,
): Coroutine<number> {
  const reason = `register 0x${(io.base + offset).toString(16)}`;
  const held = yield* pollUntil(() => condition(readl(io, offset)), delayUs * 1000, timeoutUs * 1000, reason);
  return held ? 0 : -ETIMEDOUT;
}
