// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a kernel needs of the machine it runs on. The kernel knows no silicon: whoever builds a machine plugs it in here.
 */
import type { DtNode } from "./of/dt.ts";

/**
 * The CPU's way to memory and registers, by physical address. 8-, 16- and 32-bit values are unsigned numbers, 64-bit
 * values unsigned bigints. Little-endian; addresses are aligned to the access.
 * @throws ExternalAbort from each method, when the access ends in an abort
 */
export interface CpuBus {
  read8(pa: number): number;
  read16(pa: number): number;
  read32(pa: number): number;
  read64(pa: number): bigint;
  write8(pa: number, value: number): void;
  write16(pa: number, value: number): void;
  write32(pa: number, value: number): void;
  write64(pa: number, value: bigint): void;
  readBytes(pa: number, out: Uint8Array): void;
  writeBytes(pa: number, bytes: Uint8Array): void;
  fill(pa: number, length: number, value: number): void;
}

/** An access of the CPU was answered with an error. Reads end as a synchronous external abort, writes as an SError. */
export class ExternalAbort extends Error {
  readonly code = "EXTERNAL_ABORT";
  readonly pa: number;
  readonly write: boolean;

  constructor(pa: number, write: boolean) {
    super(`external abort on a ${write ? "write to" : "read of"} 0x${pa.toString(16)}`);
    this.pa = pa;
    this.write = write;
  }
}

/** The interrupt controller as the CPU sees it. */
export interface InterruptPort {
  /** @returns the pending, enabled interrupt to serve, now active; -1 if there is none */
  acknowledge(): number;
  /** Ends the handling of an acknowledged interrupt. */
  complete(intid: number): void;
  enable(intid: number, on: boolean): void;
}

/** PSCI. The CPU does not come back from any of these: the machine stops this kernel and acts. */
export interface FirmwarePort {
  systemReset(): void;
  systemOff(): void;
  halt(): void;
}

/** What a piece of memory is used for. */
export type MemoryKind = "image" | "early" | "kernel" | "dma-coherent" | "page-table" | "smmu-table" | "kexec-segment" | "user";

/** The ownership shadow beside memory. It changes nothing; it is told who owns what, and which device may touch it. */
export interface PageWatcher {
  allocated(pa: number, size: number, owner: string, kind: MemoryKind): void;
  freed(pa: number, size: number, by: string): void;
  /** The device may touch the memory from now on. */
  granted(device: string, pa: number, size: number, how: "streaming" | "coherent" | "table"): void;
  revoked(device: string, pa: number, size: number): void;
}

/** A watcher that does not look. */
export const noPageWatcher: PageWatcher = {
  allocated: () => {},
  freed: () => {},
  granted: () => {},
  revoked: () => {},
};

export interface Platform {
  readonly bus: CpuBus;
  readonly interrupts: InterruptPort;
  readonly firmware: FirmwarePort;
  readonly pages: PageWatcher;
  readonly deviceTree: DtNode;
  /** RAM. */
  readonly memory: readonly { readonly base: number; readonly size: number }[];
  /** Virtual nanoseconds that one MMIO access takes, at least 0. */
  readonly mmioNs: number;
}
