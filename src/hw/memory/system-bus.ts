// SPDX-License-Identifier: MIT
/**
 * The physical address space: RAM, MMIO windows, and the holes between them.
 *
 * Masters downstream of the SMMU, the SMMU's own fetches and the CPU all come here. A guest's mistake is a status, never
 * an exception; {@link HostMisuseError} is for whoever builds the machine.
 */
import { HostMisuseError } from "../errors.ts";
import { hex } from "../bits/hex.ts";
import { checkInteger, checkMethods, checkNames, checkOneOf, shown } from "../checks.ts";
import { PhysicalMemory } from "./physical-memory.ts";

/** How an access to the bus ended. */
export const BusStatus = {
  ok: 0,
  /** Decode error or slave error: nothing there, or an injected abort. */
  abort: 1,
  /** Data came, marked as corrupt. The SMMU and devices treat a poisoned read as an abort. */
  poison: 2,
} as const;
export type BusStatus = (typeof BusStatus)[keyof typeof BusStatus];

export type Width = 1 | 2 | 4 | 8;

/** What a window does with an access whose width or alignment it does not support. */
export type BadWidthRule = "abort" | "raz-wi";

/**
 * Registers behind an address range. Offsets are relative to the window's base. A 64-bit access goes to `read64`/`write64`
 * where the device has them and is otherwise done as two 32-bit accesses, low half first.
 */
export interface MmioDevice {
  /** @returns an unsigned value of `width` bytes */
  read(offset: number, width: 1 | 2 | 4): number;
  write(offset: number, width: 1 | 2 | 4, value: number): void;
  /** Puts the low and the high word into `out`. */
  read64?(offset: number, out: Uint32Array): void;
  write64?(offset: number, lo: number, hi: number): void;
}

export interface MmioWindow {
  readonly name: string;
  /** A multiple of 4096, as is `size`. */
  readonly base: number;
  readonly size: number;
  readonly device: MmioDevice;
  /** Supported access widths in bytes. Default: 4 only. */
  readonly widths?: readonly Width[];
  /** Default: "abort". */
  readonly badWidth?: BadWidthRule;
  /** The device can move its window (a PCI BAR) or hide it: asked at each access. Default: always there. */
  enabled?(): boolean;
}

export interface RamRegion {
  readonly name: string;
  readonly base: number;
  readonly size: number;
}

/** An address range whose accesses end badly, for experiments. */
export interface Injection {
  readonly base: number;
  readonly size: number;
  readonly status: typeof BusStatus.abort | typeof BusStatus.poison;
  /** Which accesses. Default: both. */
  readonly on?: "read" | "write" | "both";
}

type Target = { readonly ram: RamRegion } | { readonly window: MmioWindow };

const PAGE = 4096;

/** The physical address space: RAM, MMIO windows, and holes that abort. */
export class SystemBus {
  readonly memory: PhysicalMemory = new PhysicalMemory();
  /** Physical address bits: an address at or beyond 2^addressBits decodes to nothing. */
  readonly addressBits: number;
  readonly #ram: RamRegion[] = [];
  /** The first region, which most accesses are for. */
  #firstBase = 0;
  #firstEnd = 0;
  readonly #windows: MmioWindow[] = [];
  readonly #injections = new Set<Injection>();
  readonly #pair = new Uint32Array(2);

  /** @param addressBits 32 … 52 */
  constructor(addressBits: number = 48) {
    if (!Number.isInteger(addressBits) || addressBits < 32 || addressBits > 52) {
      throw new HostMisuseError("ADDRESS_BITS", `a bus of ${addressBits} address bits: 32 to 52 are possible`);
    }
    this.addressBits = addressBits;
  }

  get ram(): readonly RamRegion[] {
    return this.#ram;
  }

  get windows(): readonly MmioWindow[] {
    return this.#windows;
  }

  /** @throws HostMisuseError for an overlap or a range that is not whole pages inside the address space */
  addRam(region: RamRegion): void {
    this.#check("addRam({ name, base, size })", region);
    this.#ram.push(region);
    if (this.#ram.length > 1) return;
    this.#firstBase = region.base;
    this.#firstEnd = region.base + region.size;
  }

  /** @throws HostMisuseError as {@link addRam}, or for a device, widths or a rule that a window cannot have */
  addWindow(window: MmioWindow): void {
    this.#check("addWindow({ name, base, size, device })", window);
    checkWindow(window);
    this.#windows.push(window);
  }

  removeWindow(window: MmioWindow): void {
    const index = this.#windows.indexOf(window);
    if (index >= 0) this.#windows.splice(index, 1);
  }

  #check(call: string, range: RamRegion): void {
    checkRange(call, range);
    const end = range.base + range.size;
    if (range.base % PAGE !== 0 || range.size % PAGE !== 0 || range.size <= 0 || range.base < 0 || end > 2 ** this.addressBits) {
      throw new HostMisuseError(
        "BAD_RANGE",
        `${range.name}: ${hex(range.base)} … ${hex(end)} is not whole 4 KiB pages inside ${this.addressBits} address bits`,
      );
    }
    for (const other of [...this.#ram, ...this.#windows]) {
      if (range.base < other.base + other.size && other.base < end) {
        throw new HostMisuseError("WINDOW_OVERLAP", `${range.name} at ${hex(range.base)} overlaps ${other.name} at ${hex(other.base)}`);
      }
    }
  }

  /** Makes accesses to a range end badly until the returned function is called. @throws HostMisuseError for what is no injection */
  inject(injection: Injection): () => void {
    checkInjection(injection);
    this.#injections.add(injection);
    return () => this.#injections.delete(injection);
  }

  #find(address: number, length: number): Target | undefined {
    for (const ram of this.#ram) {
      if (address >= ram.base && address + length <= ram.base + ram.size) return { ram };
    }
    for (const window of this.#windows) {
      if (address >= window.base && address + length <= window.base + window.size && (window.enabled?.() ?? true)) return { window };
    }
    return undefined;
  }

  /** True if the whole range is RAM of one region. */
  isRam(address: number, length: number): boolean {
    return (address >= this.#firstBase && address + length <= this.#firstEnd) || this.#isOtherRam(address, length);
  }

  #isOtherRam(address: number, length: number): boolean {
    for (const ram of this.#ram) if (address >= ram.base && address + length <= ram.base + ram.size) return true;
    return false;
  }

  #injected(address: number, length: number, what: "read" | "write"): BusStatus {
    for (const injection of this.#injections) {
      const on = injection.on ?? "both";
      if ((on === "both" || on === what) && address < injection.base + injection.size && injection.base < address + length)
        return injection.status;
    }
    return BusStatus.ok;
  }

  /**
   * Fetches `count` 32-bit words, as the SMMU does for its structures.
   * @param address a multiple of 4
   */
  loadWords(address: number, out: Uint32Array, count: number, outIndex: number = 0): BusStatus {
    if (this.#injections.size > 0) {
      const status = this.#injected(address, 4 * count, "read");
      if (status !== BusStatus.ok) return status;
    }
    if (!this.isRam(address, 4 * count)) return BusStatus.abort;
    this.memory.loadWords(address, out, count, outIndex);
    return BusStatus.ok;
  }

  /**
   * Fetches the two words at an address whose halves are given, as {@link loadWords}.
   * @param hi,lo signed or unsigned, `lo` a multiple of 8
   */
  loadPair(hi: number, lo: number, out: Int32Array): BusStatus {
    const address = hi * 0x1_0000_0000 + (lo >>> 0);
    if (this.#injections.size > 0) {
      const status = this.#injected(address, 8, "read");
      if (status !== BusStatus.ok) return status;
    }
    if (!this.isRam(address, 8)) return BusStatus.abort;
    this.memory.loadPair(hi, lo, out);
    return BusStatus.ok;
  }

  /** Stores words, as {@link loadWords}; a single word may also go to an MMIO window (a message-signalled interrupt). */
  storeWords(address: number, words: Uint32Array, count: number): BusStatus {
    if (this.#injections.size > 0) {
      const status = this.#injected(address, 4 * count, "write");
      if (status !== BusStatus.ok) return status;
    }
    if (this.isRam(address, 4 * count)) {
      this.memory.storeWords(address, words, count);
      return BusStatus.ok;
    }
    if (count === 1) return this.write(address, 4, words[0]!);
    return BusStatus.abort;
  }

  /**
   * Reads a block of bytes for a bus master: `length` bytes into `out` from `start` on. Blocks come from RAM only; an MMIO window
   * takes single accesses of its widths.
   */
  readBytes(address: number, out: Uint8Array, start: number = 0, length: number = out.length - start): BusStatus {
    // What is common is short enough to become a part of its callers.
    if (this.#injections.size > 0 || !this.isRam(address, length)) return this.#readElsewhere(address, out, start, length);
    this.memory.readBytes(address, out, start, length);
    return BusStatus.ok;
  }

  #readElsewhere(address: number, out: Uint8Array, start: number, length: number): BusStatus {
    const injected = this.#injections.size > 0 ? this.#injected(address, length, "read") : BusStatus.ok;
    if (injected !== BusStatus.ok) return injected;
    if (this.isRam(address, length)) {
      this.memory.readBytes(address, out, start, length);
      return BusStatus.ok;
    }
    if (!isWidth(length)) return BusStatus.abort;
    const status = this.read(address, length, this.#pair);
    for (let i = 0; i < length; i++) out[start + i] = this.#pair[i >> 2]! >>> (8 * (i & 3));
    return status;
  }

  /** Writes a block of bytes, as {@link readBytes}. */
  writeBytes(address: number, bytes: Uint8Array, start: number = 0, length: number = bytes.length - start): BusStatus {
    if (this.#injections.size > 0 || !this.isRam(address, length)) return this.#writeElsewhere(address, bytes, start, length);
    this.memory.writeBytes(address, bytes, start, length);
    return BusStatus.ok;
  }

  #writeElsewhere(address: number, bytes: Uint8Array, start: number, length: number): BusStatus {
    const injected = this.#injections.size > 0 ? this.#injected(address, length, "write") : BusStatus.ok;
    if (injected !== BusStatus.ok) return injected;
    if (this.isRam(address, length)) {
      this.memory.writeBytes(address, bytes, start, length);
      return BusStatus.ok;
    }
    if (!isWidth(length)) return BusStatus.abort;
    let lo = 0;
    let hi = 0;
    for (let i = 0; i < length; i++) {
      const byte = bytes[start + i]!;
      if (i < 4) lo |= byte << (8 * i);
      else hi |= byte << (8 * (i - 4));
    }
    return this.write(address, length, lo >>> 0, hi >>> 0);
  }

  /** One access of `width` bytes; the value's low and high words go to `out`. */
  read(address: number, width: Width, out: Uint32Array): BusStatus {
    out[0] = 0;
    out[1] = 0;
    if (this.#injections.size > 0) {
      const status = this.#injected(address, width, "read");
      if (status !== BusStatus.ok) return status;
    }
    const target = this.#find(address, width);
    if (target === undefined) return BusStatus.abort;
    if ("ram" in target) {
      for (let i = 0; i < width; i++) out[i >> 2]! |= this.memory.read8(address + i) << (8 * (i & 3));
      return BusStatus.ok;
    }
    const { window } = target;
    const offset = address - window.base;
    if (!supports(window, offset, width)) return window.badWidth === "raz-wi" ? BusStatus.ok : BusStatus.abort;
    if (width !== 8) {
      out[0] = window.device.read(offset, width);
    } else if (window.device.read64) {
      window.device.read64(offset, out);
    } else {
      const low = window.device.read(offset, 4);
      out[1] = window.device.read(offset + 4, 4);
      out[0] = low;
    }
    return BusStatus.ok;
  }

  /** One access of `width` bytes. */
  write(address: number, width: Width, lo: number, hi: number = 0): BusStatus {
    if (this.#injections.size > 0) {
      const status = this.#injected(address, width, "write");
      if (status !== BusStatus.ok) return status;
    }
    const target = this.#find(address, width);
    if (target === undefined) return BusStatus.abort;
    if ("ram" in target) {
      for (let i = 0; i < width; i++) this.memory.write8(address + i, (i < 4 ? lo : hi) >>> (8 * (i & 3)));
      return BusStatus.ok;
    }
    const { window } = target;
    const offset = address - window.base;
    if (!supports(window, offset, width)) return window.badWidth === "raz-wi" ? BusStatus.ok : BusStatus.abort;
    if (width !== 8) {
      window.device.write(offset, width, (width === 4 ? lo : lo & (2 ** (8 * width) - 1)) >>> 0);
    } else if (window.device.write64) {
      window.device.write64(offset, lo >>> 0, hi >>> 0);
    } else {
      window.device.write(offset, 4, lo >>> 0);
      window.device.write(offset + 4, 4, hi >>> 0);
    }
    return BusStatus.ok;
  }
}

const WIDTHS = [1, 2, 4, 8];

/** A name and two numbers. @param call how the method is called, for the message */
function checkRange(call: string, range: RamRegion): void {
  if (typeof range !== "object" || range === null) throw new HostMisuseError("BAD_RANGE", `${call}: ${shown(range)} is no object`);
  if (typeof range.name !== "string")
    throw new HostMisuseError("BAD_RANGE", `${call}: name is ${shown(range.name)}: it has to be a string`);
  for (const key of ["base", "size"] as const) {
    if (typeof range[key] !== "number")
      throw new HostMisuseError("BAD_RANGE", `${call}: ${key} of ${range.name} is ${shown(range[key])}: it has to be a number of bytes`);
  }
}

function checkWindow({ name, device, widths, badWidth, enabled }: MmioWindow): void {
  checkMethods(
    "BUS_WINDOW",
    `device of ${name}`,
    device,
    ["read", "write"],
    "an object with read(offset, width) and write(offset, width, value)",
  );
  if (widths !== undefined && !(Array.isArray(widths) && widths.length > 0))
    throw new HostMisuseError(
      "BUS_WINDOW",
      `widths of ${name} are ${shown(widths)}: they have to be a list of 1, 2, 4 or 8, such as [4, 8]`,
    );
  for (const width of widths ?? []) checkOneOf("BUS_WINDOW", `a width of ${name}`, width, WIDTHS);
  if (badWidth !== undefined) checkOneOf("BUS_WINDOW", `badWidth of ${name}`, badWidth, ["abort", "raz-wi"]);
  if (enabled !== undefined && typeof enabled !== "function")
    throw new HostMisuseError("BUS_WINDOW", `enabled of ${name} is ${shown(enabled)}: it has to be a function`);
}

function checkInjection(injection: Injection): void {
  const code = "INJECTION";
  checkNames(code, "inject({ base, size, status })", injection, ["base", "size", "status", "on"]);
  const { base, size, status, on } = injection;
  checkInteger(code, "base of an injection", base, 0, 2 ** 52 - 1);
  checkInteger(code, "size of an injection", size, 1, 2 ** 52);
  const { abort, poison } = BusStatus;
  if (status !== abort && status !== poison)
    throw new HostMisuseError(code, `status of an injection is ${shown(status)}: it has to be BusStatus.abort or BusStatus.poison`);
  if (on !== undefined) checkOneOf(code, "on of an injection", on, ["read", "write", "both"]);
}

function isWidth(length: number): length is Width {
  return length === 1 || length === 2 || length === 4 || length === 8;
}

function supports(window: MmioWindow, offset: number, width: Width): boolean {
  return offset % width === 0 && (window.widths ?? [4]).includes(width);
}
