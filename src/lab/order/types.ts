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
  /** The table has a driver for it, bound or not. */
  readonly known: boolean;
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
  /** The table has a driver for it, bound or not. False: whether its driver has a hook is not known. */
  readonly known: boolean;
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
  /** Names of the clients that the tree names and the table has no driver for: nobody can say that they are safe. */
  readonly unknown: readonly string[];
  /** Devices that wait for a supplier to the end, with Linux's reason, as its devices_deferred has them. */
  readonly deferred: readonly { readonly name: string; readonly reason: string | null }[];
  /** Names of the drivers that were loaded as modules, in the order of loading. */
  readonly modules: readonly string[];
  /** Suppliers of which the table knows no driver, so that one was assumed. */
  readonly assumedDrivers: readonly string[];
  /** Nodes behind an SMMU of which no device was made. */
  readonly withoutDevice: readonly string[];
}

/** The document of `quiesce order --json`. */
export interface OrderDocument extends OrderResult {
  readonly schema: "quiesce/order@1";
  /** The blob, as it was named. */
  readonly board: string;
  /** The version of Linux that the drivers are those of. */
  readonly linux: string;
  readonly fwDevlink: OrderOptions["fwDevlink"];
  readonly strict: boolean;
}

/** A tree that has no order to tell of, or an option that names nothing in it. */
export class OrderError extends Error {
  readonly code = "NO_ORDER";
}
