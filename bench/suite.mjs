// SPDX-License-Identifier: MIT
// Which groups of subjects there are. The subjects of a group take turns; what is compared stands in one group.
import { alternatives } from "./subjects/alternatives.mjs";
import { dma } from "./subjects/dma.mjs";
import { maintenance } from "./subjects/maintenance.mjs";
import { nativeHits, nativeMisses } from "./subjects/native.mjs";
import { replaySubjects } from "./subjects/replay.mjs";
import { simulator } from "./subjects/simulator.mjs";
import { translationGroups } from "./subjects/translation.mjs";
import { whole } from "./subjects/whole.mjs";

/** @param native the C program, or undefined */
export function suite(options, native) {
  const beside = (make) => (native === undefined ? [] : make(native, options));
  const { hits, misses, others, streams, leaves } = translationGroups;
  return [
    {
      name: "hits",
      title: "Translations that the TLB holds",
      unit: "translation",
      subjects: () => [...hits(options), ...beside(nativeHits)],
    },
    {
      name: "misses",
      title: "Translations that it does not hold",
      unit: "translation",
      subjects: () => [...misses(options), ...beside(nativeMisses)],
    },
    { name: "others", title: "Transactions that end before a walk, or badly", unit: "translation", subjects: () => others(options) },
    { name: "streams", title: "Streams and substreams", unit: "translation", subjects: () => streams(options) },
    { name: "leaves", title: "Granules and blocks", unit: "translation", subjects: () => leaves(options) },
    { name: "dma", title: "DMA", unit: "transfer or buffer", subjects: () => dma(options, native) },
    { name: "maintenance", title: "Invalidation", unit: "command", subjects: () => maintenance(options, native) },
    { name: "simulator", title: "The simulator", unit: "step or event", subjects: () => simulator(options) },
    ...(options.quick
      ? []
      : [
          { name: "alternatives", title: "Other ways to write it", unit: "operation", subjects: alternatives },
          { name: "replay", title: "Replay of a recording", unit: "record", subjects: () => replaySubjects(options) },
          { name: "matrix", title: "The whole matrix", unit: "matrix", subjects: () => whole(options) },
        ]),
  ];
}

/** What --only chooses from besides: it is no subject of a group. */
export const MEMORY = { id: "memory", label: "memory, and the start of a large machine" };
