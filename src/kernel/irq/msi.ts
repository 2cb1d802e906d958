// SPDX-License-Identifier: GPL-2.0-only
/**
 * Message-signalled interrupts through a GICv2m-like frame: a device writes an interrupt number to the frame's doorbell.
 * The frame is the node `arm,gic-v2m-frame`; `reg` gives its page, `base-spi` and `num-spis` its interrupts.
 *
 * After Linux 7.1 drivers/irqchip/irq-gic-v2m.c: gicv2m_irq_domain_alloc, gicv2m_compose_msi_msg. Left out: the frame's own
 * registers (MSI_TYPER), several frames, aligned blocks for multi-message MSI.
 */
import type { Device } from "../base/device.ts";
import { ENOSPC } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { type DtNode, dt_number, of_device_is_compatible, of_walk } from "../of/dt.ts";

/** MSI_SETSPI_NS: the doorbell's offset in the frame's page. */
const DOORBELL = 0x40;

/** What a device writes where to raise an interrupt. Physical address; an IOMMU may need another for the device. */
export interface MsiMessage {
  readonly address: number;
  readonly data: number;
}

export class MsiDomain {
  /** Null without a frame in the device tree. */
  readonly frame: DtNode | null;
  readonly #kernel: Kernel;
  readonly #first: number;
  readonly #count: number;
  readonly #used = new Map<number, string>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    let frame: DtNode | null = null;
    for (const node of of_walk(kernel.platform.deviceTree)) {
      if (of_device_is_compatible(node, "arm,gic-v2m-frame")) frame ??= node;
    }
    this.frame = frame;
    this.#first = frame ? (dt_number(frame, "base-spi") ?? 0) : 0;
    this.#count = frame ? (dt_number(frame, "num-spis") ?? 0) : 0;
  }

  /** First byte and size of the page with the doorbell, or null without a frame. */
  get doorbell(): { readonly base: number; readonly size: number } | null {
    return this.frame?.reg?.[0] ?? null;
  }

  /** The interrupts of the frame. */
  *range(): Generator<number, void, undefined> {
    for (let intid = this.#first; intid < this.#first + this.#count; intid++) yield intid;
  }

  /** Linux's `platform_device_msi_init_and_alloc_irqs` and kin. @returns `count` interrupt numbers, or -ENOSPC */
  alloc(dev: Device, count: number): number[] | number {
    const found: number[] = [];
    for (const intid of this.range()) if (!this.#used.has(intid) && found.length < count) found.push(intid);
    if (found.length < count) return -ENOSPC;
    for (const intid of found) this.#used.set(intid, dev.name);
    return found;
  }

  /** The interrupts that a device was given and has not freed. */
  vectorsOf(device: string): number[] {
    return [...this.#used].filter(([, owner]) => owner === device).map(([intid]) => intid);
  }

  free(intids: readonly number[]): void {
    for (const intid of intids) this.#used.delete(intid);
  }

  /** @throws KernelBug without a frame */
  message(intid: number): MsiMessage {
    const { doorbell } = this;
    if (!doorbell) return this.#kernel.bug("no MSI frame in the device tree");
    return { address: doorbell.base + DOORBELL, data: intid };
  }
}
