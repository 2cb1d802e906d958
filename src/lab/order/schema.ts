// SPDX-License-Identifier: MIT
/** The shape of `quiesce/order@1`, for readers of saved documents and for the published JSON Schema. */
import * as v from "valibot";
import type { OrderDocument } from "./types.ts";

const name = v.string();
const names = v.array(name);

const device = v.strictObject({
  name,
  driver: v.nullable(name),
  hook: v.nullable(v.boolean()),
  known: v.boolean(),
  role: v.picklist(["smmu", "client", "other"]),
});

const client = v.strictObject({
  name,
  smmu: name,
  driver: v.nullable(name),
  hook: v.nullable(v.boolean()),
  known: v.boolean(),
  bus: v.picklist(["platform", "pci"]),
  assumed: v.boolean(),
  risks: v.array(v.picklist(["after-smmu", "no-hook"])),
});

export const orderSchema: v.GenericSchema<unknown, OrderDocument> = v.strictObject({
  schema: v.literal("quiesce/order@1"),
  board: v.string(),
  linux: v.string(),
  fwDevlink: v.picklist(["off", "permissive", "on", "rpm"]),
  strict: v.boolean(),
  shutdownOrder: v.array(device),
  clients: v.array(client),
  atRisk: names,
  unknown: names,
  deferred: v.array(v.strictObject({ name, reason: v.nullable(v.string()) })),
  modules: names,
  assumedDrivers: names,
  withoutDevice: names,
});

/** What the keys mean, by their path. */
export const ORDER_WORDS: Readonly<Record<string, string>> = {
  board: "The blob, as it was named.",
  linux: "The version of Linux that the drivers are those of.",
  fwDevlink: "fw_devlink=",
  strict: "fw_devlink.strict=1",
  shutdownOrder: "Devices of a bus, first shut down first.",
  "shutdownOrder[].driver": "null: none is bound.",
  "shutdownOrder[].hook": "The bound driver has a ->shutdown; null where none is bound, or nothing is known of it.",
  "shutdownOrder[].known": "The table has a driver for it, bound or not.",
  clients: "Devices behind an SMMU, in the same order.",
  "clients[].assumed": "The tree names no function below this host bridge; this one stands for any.",
  "clients[].risks": "after-smmu: shut down after its SMMU; no-hook: nothing tells its driver to stop DMA.",
  atRisk: "Names of the clients that have a risk.",
  unknown: "Names of the clients that the tree names and the table has no driver for.",
  deferred: "Devices that wait for a supplier to the end.",
  modules: "Drivers that were loaded as modules, in the order of loading.",
  assumedDrivers: "Suppliers of which the table knows no driver, so that one was assumed.",
  withoutDevice: "Nodes behind an SMMU of which no device was made.",
};
