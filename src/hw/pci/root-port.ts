// SPDX-License-Identifier: MIT
/**
 * A root port: a type 1 header. Its bus numbers route configuration accesses, its memory windows and COMMAND.MEM let
 * CPU accesses down, its COMMAND.BME lets requests up.
 */
import type { DmaEvents } from "../memory/dma-port.ts";
import type { TraceSink } from "../../sim/index.ts";
import type { ConfigWidth } from "./config-space.ts";
import { ErrorReporting } from "./error-reporting.ts";
import type { ExtendedCapabilities } from "./extended-capabilities.ts";
import { PciFunction } from "./function.ts";
import { BRIDGE, BRIDGE_CONTROL_RESET, BRIDGE_CONTROL_SERR, STATUS_ERRORS } from "./spec.ts";

export interface RootPortOptions {
  readonly name: string;
  readonly trace: TraceSink<DmaEvents>;
  /** The link below, 1 … 255: functions behind this port are added to the root complex under this bus number. */
  readonly downstream: number;
  /** SECONDARY_BUS and SUBORDINATE_BUS as firmware leaves them after reset. Default: `downstream` both. */
  readonly busNumbers?: { readonly secondary: number; readonly subordinate: number };
  /** The memory window as firmware leaves it after reset, in whole MiB below 4 GiB. Default: none. */
  readonly window?: { readonly base: number; readonly size: number };
  /** COMMAND.BME = 0 stops CPU accesses downwards too, as the bridges of the Loongson LS7A do. Default: false. */
  readonly bmeGatesMmio?: boolean;
  /** With error reporting, its interrupt is MSI-X vector 0, whose table is in BAR 0. */
  readonly extended?: Pick<ExtendedCapabilities, "aer">;
  /** End-end TLP prefixes pass: what is below can use PASIDs. Default: false. */
  readonly tlpPrefixes?: boolean;
}

export class RootPort extends PciFunction {
  readonly downstream: number;
  /** The errors that it finds, and as the port of the root complex those that are reported to it. */
  readonly errors: ErrorReporting;
  readonly #bmeGatesMmio: boolean;

  constructor(options: RootPortOptions) {
    super({
      name: options.name,
      trace: options.trace,
      kind: "root-port",
      identity: { vendorId: 0x13b5, deviceId: 0x0100, classCode: 0x060400 },
      noSoftReset: true,
      ...(options.extended ? { extended: options.extended } : {}),
      ...(options.extended?.aer ? { msix: { vectors: 1, bar: 0 } } : {}),
      tlpPrefixes: options.tlpPrefixes ?? false,
    });
    this.downstream = options.downstream;
    this.#bmeGatesMmio = options.bmeGatesMmio ?? false;
    const { config } = this;
    this.errors = new ErrorReporting(config, this.capabilities.express, this.extended.aer, () => this.raiseMsix(0));
    const window = options.window;
    config.define(BRIDGE.PRIMARY_BUS, 1, 0, 0xff);
    config.define(BRIDGE.SECONDARY_BUS, 1, options.busNumbers?.secondary ?? options.downstream, 0xff);
    config.define(BRIDGE.SUBORDINATE_BUS, 1, options.busNumbers?.subordinate ?? options.downstream, 0xff);
    config.define(BRIDGE.SECONDARY_STATUS, 2, 0, 0, STATUS_ERRORS);
    // A base above the limit is a closed window.
    config.define(BRIDGE.MEMORY_BASE, 2, window ? (window.base >>> 16) & 0xfff0 : 0xfff0, 0xfff0);
    config.define(BRIDGE.MEMORY_LIMIT, 2, window ? ((window.base + window.size - 1) >>> 16) & 0xfff0 : 0, 0xfff0);
    config.define(BRIDGE.PREFETCHABLE_BASE, 2, 0xfff1, 0xfff0);
    config.define(BRIDGE.PREFETCHABLE_LIMIT, 2, 1, 0xfff0);
    config.define(BRIDGE.PREFETCHABLE_BASE_UPPER, 4, 0, 0xffff_ffff);
    config.define(BRIDGE.PREFETCHABLE_LIMIT_UPPER, 4, 0, 0xffff_ffff);
    config.define(BRIDGE.BRIDGE_CONTROL, 2, 0, BRIDGE_CONTROL_RESET | BRIDGE_CONTROL_SERR | 1);
  }

  get secondaryBus(): number {
    return this.config.read(BRIDGE.SECONDARY_BUS, 1);
  }

  get subordinateBus(): number {
    return this.config.read(BRIDGE.SUBORDINATE_BUS, 1);
  }

  /** Messages reach what is below: the port is in D0 and does not hold its secondary bus in reset. */
  get linkUp(): boolean {
    return this.powered && (this.config.read(BRIDGE.BRIDGE_CONTROL, 2) & BRIDGE_CONTROL_RESET) === 0;
  }

  /** True if a CPU access to the range goes down through this port. */
  forwards(base: number, size: number): boolean {
    if (!this.memoryDecode || (this.#bmeGatesMmio && !this.busMaster)) return false;
    return (
      this.#window(BRIDGE.MEMORY_BASE, BRIDGE.MEMORY_LIMIT, 0, 0, base, size) ||
      this.#window(
        BRIDGE.PREFETCHABLE_BASE,
        BRIDGE.PREFETCHABLE_LIMIT,
        this.config.read(BRIDGE.PREFETCHABLE_BASE_UPPER, 4),
        this.config.read(BRIDGE.PREFETCHABLE_LIMIT_UPPER, 4),
        base,
        size,
      )
    );
  }

  #window(lowRegister: number, highRegister: number, lowUpper: number, highUpper: number, base: number, size: number): boolean {
    const low = lowUpper * 2 ** 32 + (this.config.read(lowRegister, 2) & 0xfff0) * 2 ** 16;
    const end = highUpper * 2 ** 32 + ((this.config.read(highRegister, 2) & 0xfff0) + 0x10) * 2 ** 16;
    return base >= low && base + size <= end;
  }

  override configWrite(offset: number, width: ConfigWidth, value: number): void {
    const before = this.config.read(BRIDGE.BRIDGE_CONTROL, 2);
    super.configWrite(offset, width, value);
    const after = this.config.read(BRIDGE.BRIDGE_CONTROL, 2);
    if ((after & ~before & BRIDGE_CONTROL_RESET) !== 0) this.slot.resetBelow();
  }

  protected override configChanged(): void {
    this.errors.settle();
  }

  protected override resetDevice(): void {}
}
