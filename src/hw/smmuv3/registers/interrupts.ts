// SPDX-License-Identifier: MIT
/** Interrupts of the Event queue, the PRI queue and global errors: wired pulses and MSIs (IHI 0070 §3.18). */
import { join64 } from "../../bits/hex.ts";
import { BusStatus } from "../../memory/system-bus.ts";
import type { SmmuConfig } from "../config/config.ts";
import type { GlobalErrorBit } from "./gerror.ts";
import { messageAttributes } from "../translation/own-attributes.ts";
import type { SmmuHost } from "../ports.ts";
import type { RegisterFile } from "./register-file.ts";
import { bitsOf, offsetOf } from "./register-layout.ts";

/** Sources that IRQ_CTRL enables. CMD_SYNC has its target in the command. */
export type InterruptSource = "eventq" | "priq" | "gerror";

interface SourceRegisters {
  readonly enable: number;
  readonly address: number;
  readonly data: number;
  readonly attributes: number;
  readonly abort: GlobalErrorBit;
}

const sources: Readonly<Record<InterruptSource, SourceRegisters>> = {
  eventq: {
    enable: bitsOf("IRQ_CTRL", "EVENTQ_IRQEN"),
    address: offsetOf("EVENTQ_IRQ_CFG0"),
    data: offsetOf("EVENTQ_IRQ_CFG1"),
    attributes: offsetOf("EVENTQ_IRQ_CFG2"),
    abort: "MSI_EVENTQ_ABT_ERR",
  },
  priq: {
    enable: bitsOf("IRQ_CTRL", "PRIQ_IRQEN"),
    address: offsetOf("PRIQ_IRQ_CFG0"),
    data: offsetOf("PRIQ_IRQ_CFG1"),
    attributes: offsetOf("PRIQ_IRQ_CFG2"),
    abort: "MSI_PRIQ_ABT_ERR",
  },
  gerror: {
    enable: bitsOf("IRQ_CTRL", "GERROR_IRQEN"),
    address: offsetOf("GERROR_IRQ_CFG0"),
    data: offsetOf("GERROR_IRQ_CFG1"),
    attributes: offsetOf("GERROR_IRQ_CFG2"),
    abort: "MSI_GERROR_ABT_ERR",
  },
};
const IRQ_CTRLACK = offsetOf("IRQ_CTRLACK");

export class Interrupts {
  readonly #config: SmmuConfig;
  readonly #host: SmmuHost;
  readonly #registers: RegisterFile;
  readonly #aborted: (bit: GlobalErrorBit) => void;
  readonly #data = new Uint32Array(1);

  /** @param aborted told when the write of an MSI was aborted */
  constructor(config: SmmuConfig, host: SmmuHost, registers: RegisterFile, aborted: (bit: GlobalErrorBit) => void) {
    this.#config = config;
    this.#host = host;
    this.#registers = registers;
    this.#aborted = aborted;
  }

  /** Signals an occurrence, if its source is enabled. What it tells of must be visible already. */
  signal(source: InterruptSource): void {
    const { enable, address, data, attributes, abort } = sources[source];
    if ((this.#registers.get(IRQ_CTRLACK) & enable) === 0) return;
    const target = join64(this.#registers.get(address + 4), this.#registers.get(address));
    const cfg2 = this.#registers.get(attributes);
    if (target !== 0) this.message(target, this.#registers.get(data), abort, messageAttributes(cfg2 & 15, (cfg2 >>> 4) & 3));
    this.#host.pulse(source);
  }

  /** Sends an MSI, if they are implemented: a 32-bit write of `data`. @param attributes as SmmuHost.store takes them */
  message(address: number, data: number, abort: GlobalErrorBit, attributes: number): void {
    if (!this.#config.msi) return;
    this.#data[0] = data;
    if (this.#host.store("msi", address, this.#data, 1, attributes) !== BusStatus.ok) this.#aborted(abort);
  }
}
