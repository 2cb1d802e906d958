// SPDX-License-Identifier: MIT
/** What `quiesce order` asks and answers. */
import type { KernelParameters } from "../../kernel/index.ts";

export interface OrderOptions {
  readonly fwDevlink: KernelParameters["fwDevlink"];
  readonly strict: boolean;
  /** Drivers that are modules, whatever the table says. */
  readonly modules: readonly string[];
  /** Drivers that are built in, whatever the table says. */
  readonly builtIn: readonly string[];
}

/** A device as the shutdown finds it. */
export interface OrderDevice {
  /** The kernel's name. */
  readonly name: string;
  /** null: none bound. */
  readonly driver: string | null;
  /** The bound driver has a ->shutdown; null where no driver is bound, or nothing is known of it. */
  readonly hook: boolean | null;
  readonly role: "smmu" | "client" | "other";
}

/** After-smmu: shut down after the SMMU that translates for it. No-hook: nothing tells its driver to stop DMA. */
export type OrderRisk = "after-smmu" | "no-hook";

/** A device behind an SMMU. */
export interface OrderClient {
  readonly name: string;
  readonly smmu: string;
  readonly driver: string | null;
  readonly hook: boolean | null;
  readonly bus: "platform" | "pci";
  /** The tree does not name it; some function below its host bridge. */
  readonly assumed: boolean;
  readonly risks: readonly OrderRisk[];
}

export interface OrderResult {
  /** First to last. */
  readonly shutdownOrder: readonly OrderDevice[];
  readonly clients: readonly OrderClient[];
  /** Names of the clients that have a risk. */
  readonly atRisk: readonly string[];
  /** Names of the drivers that were loaded as modules, in the order of loading. */
  readonly modules: readonly string[];
  /** Suppliers of which the table knows no driver, so that one was assumed. */
  readonly assumedDrivers: readonly string[];
  /** Nodes behind an SMMU of which no device was made. */
  readonly withoutDevice: readonly string[];
}

/** A tree that has no order to tell of, or an option that names nothing in it. */
export class OrderError extends Error {
  readonly code = "NO_ORDER";
}
