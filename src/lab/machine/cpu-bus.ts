// SPDX-License-Identifier: MIT
/** The CPU's way to the system bus: the kernel's CpuBus over the machine's memory and windows. */
import { BusStatus, type SystemBus, type Width } from "../../hw/index.ts";
import { type CpuBus, ExternalAbort } from "../../kernel/index.ts";

export class SystemCpuBus implements CpuBus {
  readonly #bus: SystemBus;
  readonly #pair = new Uint32Array(2);

  constructor(bus: SystemBus) {
    this.#bus = bus;
  }

  #read(pa: number, width: Width): number {
    if (this.#bus.read(pa, width, this.#pair) !== BusStatus.ok) throw new ExternalAbort(pa, false);
    return this.#pair[0]!;
  }

  #write(pa: number, width: Width, lo: number, hi: number = 0): void {
    if (this.#bus.write(pa, width, lo, hi) !== BusStatus.ok) throw new ExternalAbort(pa, true);
  }

  read8(pa: number): number {
    return this.#read(pa, 1);
  }

  read16(pa: number): number {
    return this.#read(pa, 2);
  }

  read32(pa: number): number {
    return this.#read(pa, 4);
  }

  read64(pa: number): bigint {
    this.#read(pa, 8);
    return (BigInt(this.#pair[1]!) << 32n) | BigInt(this.#pair[0]!);
  }

  write8(pa: number, value: number): void {
    this.#write(pa, 1, value & 0xff);
  }

  write16(pa: number, value: number): void {
    this.#write(pa, 2, value & 0xffff);
  }

  write32(pa: number, value: number): void {
    this.#write(pa, 4, value >>> 0);
  }

  write64(pa: number, value: bigint): void {
    this.#write(pa, 8, Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n)));
  }

  readBytes(pa: number, out: Uint8Array): void {
    if (this.#bus.readBytes(pa, out) !== BusStatus.ok) throw new ExternalAbort(pa, false);
  }

  writeBytes(pa: number, bytes: Uint8Array): void {
    if (this.#bus.writeBytes(pa, bytes) !== BusStatus.ok) throw new ExternalAbort(pa, true);
  }

  fill(pa: number, length: number, value: number): void {
    if (!this.#bus.isRam(pa, length)) throw new ExternalAbort(pa, true);
    this.#bus.memory.fill(pa, length, value);
  }
}
