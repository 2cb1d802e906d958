// SPDX-License-Identifier: MIT
/** The monitors of the seven claims, over one machine. */
import type { Machine } from "../machine/machine.ts";
import { NoForeignWrite } from "./foreign-write.ts";
import { NoMissedMaintenance } from "./maintenance.ts";
import type { Monitor } from "./monitor.ts";
import { type ImageDamage, NextKernelIntact } from "./next-kernel.ts";
import { QuietAfterShutdown } from "./quiet.ts";
import { NoStaleWalk } from "./stale-walk.ts";
import { SuppliersLast } from "./suppliers-last.ts";
import { TranslatedAfterSmmu } from "./untranslated.ts";

export class Monitors {
  readonly quiet: QuietAfterShutdown = new QuietAfterShutdown();
  readonly untranslated: TranslatedAfterSmmu;
  readonly foreign: NoForeignWrite = new NoForeignWrite();
  readonly walks: NoStaleWalk = new NoStaleWalk();
  readonly suppliers: SuppliersLast;
  readonly next: NextKernelIntact;
  readonly maintenance: NoMissedMaintenance = new NoMissedMaintenance();
  /** In the order of the claims. */
  readonly all: readonly Monitor[];

  /** @param kernels,damage as for {@link NextKernelIntact} */
  constructor(machine: Machine, kernels: readonly string[], damage: () => readonly ImageDamage[]) {
    this.untranslated = new TranslatedAfterSmmu(machine.names.smmu);
    this.suppliers = new SuppliersLast(machine.names.suppliers);
    this.next = new NextKernelIntact(kernels, damage);
    this.all = [this.quiet, this.untranslated, this.foreign, this.walks, this.suppliers, this.next, this.maintenance];
  }
}
