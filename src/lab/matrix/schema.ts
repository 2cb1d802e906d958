// SPDX-License-Identifier: MIT
/** The shapes of `quiesce/matrix@1` and `quiesce/variants@1`, for readers of saved documents and for the published JSON Schemas. */
import * as v from "valibot";
import {
  CLAIMS,
  CLIENT_HOOKS,
  CLIENT_KINDS,
  KDUMP_POLICIES,
  SECOND_KERNELS,
  SMMU_POLICIES,
  SMMU_VARIANTS,
  VERDICTS,
  WAYS_DOWN,
} from "../run/types.ts";
import { LAYOUTS, type Matrix, type Variants } from "./types.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const words = v.picklist(["holds", "broken"]);

const dma = v.strictObject({
  afterOwnShutdown: count,
  afterSmmuShutdown: count,
  translated: count,
  bypassed: count,
  aborted: count,
  undecoded: count,
});

const result = {
  dma,
  foreignWriteBytes: count,
  nextKernelBytesCorrupted: count,
  staleWalks: count,
  events: count,
  eventsLost: count,
  secondKernel: v.picklist(SECOND_KERNELS),
  claims: v.strictObject(v.entriesFromList(CLAIMS, words)),
  verdict: v.picklist(VERDICTS),
  replay: v.string(),
};

const cell = v.strictObject({
  smmuShutdown: v.picklist(SMMU_POLICIES),
  client: v.picklist(CLIENT_KINDS),
  clientShutdown: v.picklist(CLIENT_HOOKS),
  wayDown: v.picklist(WAYS_DOWN),
  ...result,
});

const variant = v.strictObject({
  smmuShutdown: v.picklist(SMMU_VARIANTS),
  client: v.picklist(CLIENT_KINDS),
  clientShutdown: v.picklist(CLIENT_HOOKS),
  wayDown: v.picklist(WAYS_DOWN),
  kdumpPolicy: v.picklist(KDUMP_POLICIES),
  ...result,
});

const row = v.strictObject({
  board: v.string(),
  arrangement: v.strictObject({
    nodes: v.picklist(["smmu-first", "smmu-last"]),
    drivers: v.picklist(["built-in", "client-module", "smmu-module"]),
    fwDevlinkStrict: v.boolean(),
    deviceLink: v.boolean(),
  }),
  shutdownOrder: v.array(v.string()),
  smmuBeforeClients: v.array(v.string()),
});

const hexadecimal = v.pipe(v.string(), v.regex(/^0x[0-9a-f]+$/));

const layout = v.strictObject({
  smmuShutdown: v.picklist(SMMU_POLICIES),
  client: v.picklist(CLIENT_KINDS),
  clientShutdown: v.picklist(CLIENT_HOOKS),
  wayDown: v.picklist(WAYS_DOWN),
  layout: v.picklist(LAYOUTS),
  ram: v.strictObject({ base: hexadecimal, size: hexadecimal }),
  seed: hexadecimal,
  dma,
  foreignWriteBytes: count,
  nextKernelBytesCorrupted: count,
  staleWalks: count,
  secondKernel: v.picklist(SECOND_KERNELS),
  verdict: v.picklist(VERDICTS),
  replay: v.string(),
});

export const matrixSchema: v.GenericSchema<unknown, Matrix> = v.strictObject({
  schema: v.literal("quiesce/matrix@1"),
  seed: v.pipe(v.string(), v.regex(/^0x[0-9a-f]+$/)),
  complete: v.boolean(),
  only: v.optional(v.string()),
  cells: v.array(cell),
  order: v.array(row),
  layout: v.array(layout),
});

export const variantsSchema: v.GenericSchema<unknown, Variants> = v.strictObject({
  schema: v.literal("quiesce/variants@1"),
  seed: v.pipe(v.string(), v.regex(/^0x[0-9a-f]+$/)),
  complete: v.boolean(),
  only: v.optional(v.string()),
  cells: v.array(variant),
});
