// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a driver leaves behind: when it lets go of its device that is a report; when its kernel ends it is a fact worth knowing,
 * since whatever a device still has mapped or requested then, it may still use.
 *
 * After Linux 7.1 kernel/irq/proc.c: unregister_irq_proc (an interrupt that is taken away while requested), mm/kmemleak.c for
 * memory; the DMA API's own check at unbind is in dma/debug.ts. Linux finds leaked memory by scanning for pointers; here every
 * block has its owner's name. Left out: MMIO mappings, regions, clocks.
 */
import { type Device, dev_driver_string } from "../base/device.ts";
import type { Kernel } from "../kernel.ts";
import type { PageBlock } from "../mm/page-allocator.ts";

/** What one device has. */
export interface Leftover {
  readonly device: string;
  readonly driver: string;
  /** Mappings of the DMA API in force. */
  readonly dmaMappings: number;
  readonly msiVectors: number;
  readonly irqs: number;
  /** Bytes of pages allocated in the device's name. */
  readonly pageBytes: number;
}

/** What bound devices have, of those that have something. */
export function leftovers(kernel: Kernel): Leftover[] {
  const { base, dma, irq, mm } = kernel;
  const bytes = new Map<string, number>();
  mm.forEachBlock(({ owner, kind, size }) => {
    if (kind !== "page-table") bytes.set(owner, (bytes.get(owner) ?? 0) + size);
  });
  const found: Leftover[] = [];
  for (const bus of base.buses) {
    for (const dev of bus.klist_devices) {
      if (dev.driver === null) continue;
      const left: Leftover = {
        device: dev.name,
        driver: dev_driver_string(dev),
        dmaMappings: dma.debug.count(dev),
        msiVectors: irq.msi.vectorsOf(dev.name).length,
        irqs: irq.requestedBy(dev).length,
        pageBytes: bytes.get(dev.name) ?? 0,
      };
      if (left.dmaMappings + left.msiVectors + left.irqs + left.pageBytes > 0) found.push(left);
    }
  }
  return found;
}

/** A driver lets go of its device, or its probe failed; managed resources are released. Mappings are checked by the bus's notifier. */
export function debug_driver_gone(dev: Device): void {
  const { debug, irq, mm } = dev.kernel;
  if (!debug.enabled) return;
  const who = `${dev_driver_string(dev)} ${dev.name}`;
  for (const { intid, name } of irq.requestedBy(dev)) {
    debug.report("leak", `${who}: driver let go of the device with irq ${intid} requested, leaking at least '${name}'`, { device: dev });
  }
  const vectors = irq.msi.vectorsOf(dev.name);
  if (vectors.length > 0) {
    debug.report("leak", `${who}: driver let go of the device with MSI vectors allocated: ${vectors.join(", ")}`, { device: dev });
  }
  const blocks: PageBlock[] = [];
  mm.forEachBlock((block) => {
    if (block.owner === dev.name && block.kind !== "page-table") blocks.push(block);
  });
  const [first] = blocks;
  if (first) {
    const bytes = blocks.reduce((sum, { size }) => sum + size, 0);
    debug.report(
      "leak",
      `${who}: driver let go of the device with ${bytes} bytes of its memory allocated, one of them at 0x${first.base.toString(16)}`,
      {
        device: dev,
      },
    );
  }
  debug.objects.dataFreed(dev);
}
