// SPDX-License-Identifier: MIT
/**
 * One PCI Express function: configuration space, BARs, capabilities, and what COMMAND and the power state allow.
 *
 * Devices extend this class. They reach memory by {@link PciFunction.dma} only, so that COMMAND.BME, D3hot and the ports
 * above gate all that they do, interrupt messages included.
 */
import { HostMisuseError } from "../errors.ts";
import { high32, join64, low32 } from "../bits/hex.ts";
import type { DmaEvents } from "../memory/dma-port.ts";
import type { MmioDevice, Width } from "../memory/system-bus.ts";
import type { TraceSink } from "../../sim/index.ts";
import { AtsEndpoint, type AtsBehaviour } from "./ats-endpoint.ts";
import { BusMasterPort, type BusMasterOff, type Upstream } from "./bus-master-port.ts";
import { ConfigSpace, type ConfigWidth } from "./config-space.ts";
import type { Refusal } from "./error-reporting.ts";
import { defineExtendedCapabilities, type ExtendedCapabilities, type ExtendedOffsets } from "./extended-capabilities.ts";
import { MsixTable } from "./msix.ts";
import { NOT_TRANSLATED, RequestPort } from "./request-port.ts";
import { CAPABILITY, COMMAND, CONFIG, EXPRESS, MSIX, PM, PRI, STATUS, STATUS_CAPABILITIES, STATUS_ERRORS } from "./spec.ts";

export interface PciIdentity {
  readonly vendorId: number;
  readonly deviceId: number;
  /** 24 bits: base class, sub-class, programming interface. */
  readonly classCode: number;
  readonly revision?: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
}

/** A memory BAR. */
export interface BarSpec {
  /** 0 … 5; a 64-bit BAR takes the next one too. */
  readonly index: number;
  /** Bytes: a power of two of at least 4096. */
  readonly size: number;
  readonly device: MmioDevice;
  /** Default: 32-bit. */
  readonly is64?: boolean;
  readonly prefetchable?: boolean;
  /** Access widths. Default: 4 only. */
  readonly widths?: readonly Width[];
}

export interface PciFunctionOptions {
  readonly name: string;
  readonly identity: PciIdentity;
  readonly trace: TraceSink<DmaEvents>;
  /** Default: "endpoint". */
  readonly kind?: "endpoint" | "root-port";
  readonly bars?: readonly BarSpec[];
  /** MSI-X with its table in a 32-bit BAR of its own. */
  readonly msix?: { readonly vectors: number; readonly bar: number };
  /** Default: "drop". */
  readonly busMasterOff?: BusMasterOff;
  /** PMCSR.No_Soft_Reset: the function keeps its state from D3hot to D0. Default: false, it resets. */
  readonly noSoftReset?: boolean;
  /** Function Level Reset is there. Default: false. */
  readonly functionLevelReset?: boolean;
  /** The function has a legacy interrupt: INTERRUPT_PIN reads INTA. Default: false. */
  readonly interruptPin?: boolean;
  /** Capabilities in extended configuration space. Default: none. */
  readonly extended?: ExtendedCapabilities;
  /** How it uses the ATS and PRI that `extended` gives it. */
  readonly ats?: AtsBehaviour;
  /** End-end TLP prefixes pass, which PASIDs need. Default: where the function has PASIDs itself. */
  readonly tlpPrefixes?: boolean;
}

/** Where a function sits; made by the root complex. */
export interface PciSlot extends Omit<Upstream, "refused"> {
  /** A request of the function was refused. @returns as what: the status of the completion, if there is one */
  refuse(address: number, length: number, write: boolean): Refusal;
  /** bus << 8 | device << 3 | function. */
  requesterId(): number;
  /** What the function decodes may have changed. */
  changed(): void;
  /** A bridge resets everything below it. */
  resetBelow(): void;
}

const D0 = 0;
const D3HOT = 3;

export abstract class PciFunction {
  readonly name: string;
  readonly config: ConfigSpace = new ConfigSpace();
  readonly bars: readonly BarSpec[];
  /** The only way to memory. */
  readonly dma: BusMasterPort;
  /** Offsets of the capabilities in configuration space; msix is 0 without MSI-X. */
  readonly capabilities: { readonly pm: number; readonly msix: number; readonly express: number };
  /** Offsets of the extended capabilities; 0: not there. */
  readonly extended: ExtendedOffsets;
  /** What it keeps of ATS; undefined: it has neither ATS nor PASIDs. */
  readonly ats: AtsEndpoint | undefined;
  /** The step of its requests that knows PASIDs and translations. */
  readonly #requests: RequestPort | undefined;
  readonly #msix: MsixTable | undefined;
  /** The link above. */
  readonly #link: Upstream = {
    blocked: () => this.slot.blocked(),
    port: () => this.slot.port(),
    refused: (address, length, write) => this.#refused(this.slot.refuse(address, length, write), write),
  };
  #slot: PciSlot | undefined;
  #wasBusMaster = false;

  /** @throws HostMisuseError for an impossible BAR */
  constructor(options: PciFunctionOptions) {
    this.name = options.name;
    this.dma = new BusMasterPort({
      name: options.name,
      busMasterOff: options.busMasterOff ?? "drop",
      allowed: () => this.busMaster,
      upstream: () => this.#upstream(),
      trace: options.trace,
    });
    const bars = [...(options.bars ?? [])];
    if (options.msix) {
      this.#msix = new MsixTable(options.msix.vectors, (address, data) => this.#message(address, data));
      bars.push({ index: options.msix.bar, size: this.#msix.size, device: this.#msix, widths: [4, 8] });
    }
    this.bars = bars;
    this.#defineHeader(options);
    for (const bar of bars) this.#defineBar(bar);
    this.capabilities = this.#defineCapabilities(options);
    this.extended = defineExtendedCapabilities(this.config, options.extended ?? {}, options.kind === "root-port");
    this.ats = this.#atsEndpoint(options);
    this.#requests = this.ats && this.#requestPort(options, this.ats);
  }

  #atsEndpoint({ name, extended = {}, ats = {} }: PciFunctionOptions): AtsEndpoint | undefined {
    if (!extended.ats && !extended.pasid) return undefined;
    return new AtsEndpoint({
      name,
      config: this.config,
      offsets: this.extended,
      capabilities: extended,
      behaviour: ats,
      powered: () => this.powered,
      agent: () => this.slot.port().agent,
    });
  }

  #requestPort({ name, trace }: PciFunctionOptions, ats: AtsEndpoint): RequestPort {
    const { config, extended } = this;
    return new RequestPort({ name, config, pasid: extended.pasid, ats, upstream: () => this.#link, allowed: () => this.busMaster, trace });
  }

  #upstream(): Upstream {
    const requests = this.#requests;
    if (requests === undefined) return this.#link;
    const blocked = (): boolean => this.slot.blocked();
    // What leaves by way of the step between is refused there, with the address that it has by then.
    const refused = (address: number, length: number, write: boolean): void => {
      if (blocked()) this.#link.refused(address, length, write);
    };
    return { blocked, port: () => requests, refused };
  }

  #defineHeader({ identity, kind, interruptPin }: PciFunctionOptions): void {
    const { config } = this;
    config.define(CONFIG.VENDOR_ID, 2, identity.vendorId);
    config.define(CONFIG.DEVICE_ID, 2, identity.deviceId);
    config.define(CONFIG.COMMAND, 2, 0, COMMAND.IO | COMMAND.MEM | COMMAND.BME | COMMAND.PARITY | COMMAND.SERR | COMMAND.INTX_DISABLE);
    config.define(CONFIG.STATUS, 2, STATUS_CAPABILITIES, 0, STATUS_ERRORS);
    config.define(CONFIG.REVISION_ID, 4, (identity.revision ?? 0) | (identity.classCode << 8));
    config.define(CONFIG.CACHE_LINE_SIZE, 1, 0, 0xff);
    config.define(CONFIG.HEADER_TYPE, 1, kind === "root-port" ? 1 : 0);
    config.define(CONFIG.INTERRUPT_LINE, 1, 0, 0xff);
    config.define(CONFIG.INTERRUPT_PIN, 1, interruptPin ? 1 : 0);
    if (kind === "root-port") return;
    config.define(CONFIG.SUBSYSTEM_VENDOR_ID, 2, identity.subsystemVendorId ?? identity.vendorId);
    config.define(CONFIG.SUBSYSTEM_ID, 2, identity.subsystemId ?? identity.deviceId);
  }

  #defineBar(bar: BarSpec): void {
    if (!Number.isInteger(Math.log2(bar.size)) || bar.size < 4096 || (!bar.is64 && bar.size > 2 ** 31)) {
      throw new HostMisuseError("BAR_SIZE", `${this.name}: BAR ${bar.index} of ${bar.size} bytes is not a power of two of at least 4096`);
    }
    const offset = CONFIG.BAR0 + 4 * bar.index;
    const type = (bar.is64 ? 4 : 0) | (bar.prefetchable ? 8 : 0);
    this.config.define(offset, 4, type, low32(2 ** 53 - bar.size));
    if (bar.is64) this.config.define(offset + 4, 4, 0, low32(high32(2 ** 53 - bar.size) | 0xffe0_0000));
  }

  #defineCapabilities(options: PciFunctionOptions): { readonly pm: number; readonly msix: number; readonly express: number } {
    const { config } = this;
    let next = 0x40;
    let link: number = CONFIG.CAPABILITIES_POINTER;
    const add = (id: number, length: number): number => {
      const at = next;
      next += length;
      config.define(link, 1, at);
      config.define(at, 1, id);
      link = at + 1;
      return at;
    };
    const pm = add(CAPABILITY.POWER_MANAGEMENT, PM.LENGTH);
    config.define(pm + PM.PMC, 2, 3);
    config.define(pm + PM.PMCSR, 2, options.noSoftReset ? PM.NO_SOFT_RESET : 0, PM.STATE | PM.PME_ENABLE, PM.PME_STATUS);
    let msix = 0;
    if (options.msix && this.#msix) {
      msix = add(CAPABILITY.MSI_X, MSIX.LENGTH);
      config.define(msix + MSIX.CONTROL, 2, options.msix.vectors - 1, MSIX.ENABLE | MSIX.FUNCTION_MASK);
      config.define(msix + MSIX.TABLE, 4, options.msix.bar);
      config.define(msix + MSIX.PBA, 4, this.#msix.pbaOffset | options.msix.bar);
    }
    const express = add(CAPABILITY.PCI_EXPRESS, EXPRESS.LENGTH);
    const type = options.kind === "root-port" ? EXPRESS.TYPE_ROOT_PORT : EXPRESS.TYPE_ENDPOINT;
    config.define(express + EXPRESS.FLAGS, 2, 2 | (type << 4));
    config.define(express + EXPRESS.DEVCAP, 4, 1 | EXPRESS.DEVCAP_ROLE_BASED | (options.functionLevelReset ? EXPRESS.DEVCAP_FLR : 0));
    config.define(express + EXPRESS.DEVCTL, 2, 0x2810, 0x7fff | (options.functionLevelReset ? EXPRESS.DEVCTL_INITIATE_FLR : 0));
    config.define(express + EXPRESS.DEVSTA, 2, 0, 0, 0xf);
    config.define(express + EXPRESS.LNKCAP, 4, 0x11);
    if (type === EXPRESS.TYPE_ROOT_PORT) config.define(express + EXPRESS.RTCTL, 2, 0, 0x1f);
    config.define(express + EXPRESS.LNKCTL, 2, 0, 0x1cb);
    config.define(express + EXPRESS.LNKSTA, 2, 0x11);
    const prefixes = options.tlpPrefixes ?? options.extended?.pasid !== undefined;
    config.define(express + EXPRESS.DEVCAP2, 4, prefixes ? EXPRESS.DEVCAP2_PREFIXES : 0);
    config.define(express + EXPRESS.DEVCTL2, 2, 0, 0x1f);
    return { pm, msix, express };
  }

  /** Used by the root complex when it places the function. */
  attach(slot: PciSlot): void {
    if (this.#slot) throw new HostMisuseError("PCI_PLACED_TWICE", `${this.name} is already placed`);
    this.#slot = slot;
  }

  /** @throws HostMisuseError if the function was not placed in a root complex */
  protected get slot(): PciSlot {
    if (!this.#slot) throw new HostMisuseError("PCI_NOT_PLACED", `${this.name} is not placed in a root complex`);
    return this.#slot;
  }

  /** As the function would put it in its requests now: the bus number depends on the bridge above. */
  get requesterId(): number {
    return this.slot.requesterId();
  }

  /** The function is in D0. */
  get powered(): boolean {
    return (this.config.read(this.capabilities.pm + PM.PMCSR, 1) & PM.STATE) === D0;
  }

  /** COMMAND.BME is set and the function is in D0. */
  get busMaster(): boolean {
    return (this.config.read(CONFIG.COMMAND, 1) & COMMAND.BME) !== 0 && this.powered;
  }

  /** COMMAND.MEM is set and the function is in D0. */
  get memoryDecode(): boolean {
    return (this.config.read(CONFIG.COMMAND, 1) & COMMAND.MEM) !== 0 && this.powered;
  }

  /** COMMAND.INTX_DISABLE is clear. */
  protected get intxAllowed(): boolean {
    return (this.config.read(CONFIG.COMMAND, 2) & COMMAND.INTX_DISABLE) === 0;
  }

  get msixEnabled(): boolean {
    return this.#msix?.enabled ?? false;
  }

  /** The address that software programmed into a BAR. */
  barAddress(bar: BarSpec): number {
    const offset = CONFIG.BAR0 + 4 * bar.index;
    const low = (this.config.read(offset, 4) & ~0xf) >>> 0;
    return bar.is64 ? join64(this.config.read(offset + 4, 4), low) : low;
  }

  configRead(offset: number, width: ConfigWidth): number {
    return this.config.read(offset, width);
  }

  configWrite(offset: number, width: ConfigWidth, value: number): void {
    const { config } = this;
    const pmcsr = this.capabilities.pm + PM.PMCSR;
    const state = config.read(pmcsr, 1) & PM.STATE;
    config.write(offset, width, value);
    this.ats?.written(this.#resetsPages(offset, width, value));
    const wanted = config.read(pmcsr, 1) & PM.STATE;
    // D1 and D2 are not supported: a write of them changes nothing.
    if (wanted !== D0 && wanted !== D3HOT) config.set(pmcsr, 1, (config.read(pmcsr, 1) & ~PM.STATE) | state);
    const wakes = state === D3HOT && wanted === D0 && (config.read(pmcsr, 1) & PM.NO_SOFT_RESET) === 0;
    const levelReset = (config.read(this.capabilities.express + EXPRESS.DEVCTL, 2) & EXPRESS.DEVCTL_INITIATE_FLR) !== 0;
    if (wakes || levelReset) this.#reset(false);
    else this.#settle();
  }

  /** A write of software has RESET of the Page Request Interface set, which no register keeps. */
  #resetsPages(offset: number, width: ConfigWidth, value: number): boolean {
    const at = this.extended.pri + PRI.CONTROL - offset;
    return this.extended.pri !== 0 && at >= 0 && at < width && ((value >>> (8 * at)) & PRI.RESET) !== 0;
  }

  /** Carries out what a change of configuration space means. */
  #settle(): void {
    if (this.#msix) {
      const control = this.config.read(this.capabilities.msix + MSIX.CONTROL, 2);
      this.#msix.control((control & MSIX.ENABLE) !== 0, (control & MSIX.FUNCTION_MASK) !== 0);
    }
    this.slot.changed();
    const now = this.busMaster;
    if (now !== this.#wasBusMaster) {
      this.#wasBusMaster = now;
      if (now) this.dma.release();
      else if (this.dma.busMasterOff === "reset") this.internalReset();
      this.busMasterChanged(now);
    }
    this.configChanged();
  }

  /** The device resets itself; held writes are lost. */
  protected internalReset(): void {
    this.dma.discard();
    this.#requests?.reset();
    this.resetDevice();
  }

  /** The completion of a read says that it was refused; of a posted write nothing comes back (§7.5.1.1.4). */
  #refused(as: Refusal, write: boolean): void {
    if (write) return;
    const bit = as === "completer-abort" ? STATUS.RECEIVED_TARGET_ABORT : STATUS.RECEIVED_MASTER_ABORT;
    this.config.set(CONFIG.STATUS, 2, this.config.read(CONFIG.STATUS, 2) | bit);
  }

  /** Raises an MSI-X vector: a 4-byte write through {@link dma}, unless it is masked or MSI-X is off. */
  raiseMsix(vector: number): void {
    this.#msix?.raise(vector);
  }

  #message(address: number, data: number): void {
    const bytes = new Uint8Array(4);
    for (let i = 0; i < 4; i++) bytes[i] = data >>> (8 * i);
    this.dma.write(address, bytes, this.#requests && NOT_TRANSLATED);
  }

  /**
   * The device stops using a PASID: what waits with it ends unsent, translations and page requests of it end.
   * @param marker tell the host by a Stop Marker, instead of waiting for its responses
   * @param done called once, as soon as the PASID is stopped
   */
  protected stopPasid(substreamId: number, marker: boolean, done: () => void): void {
    this.#requests?.stop(substreamId);
    if (this.ats) this.ats.stopPasid(substreamId, marker, done);
    else done();
  }

  /** Fundamental reset: configuration space and the device itself. */
  reset(): void {
    this.#reset(true);
  }

  /** A reset that came down the link: what is sticky stays. */
  hotReset(): void {
    this.#reset(false);
  }

  #reset(fundamental: boolean): void {
    this.config.reset(fundamental);
    this.ats?.reset();
    this.#msix?.reset();
    this.#wasBusMaster = false;
    this.internalReset();
    this.#slot?.changed();
    this.configChanged();
  }

  /** The device's own reset: registers, engines. Configuration space stays. */
  protected abstract resetDevice(): void;

  /** Bus mastering went on (held writes have been issued) or off. */
  protected busMasterChanged(_on: boolean): void {}

  /** Configuration space may have changed in any way. */
  protected configChanged(): void {}
}
