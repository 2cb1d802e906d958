// SPDX-License-Identifier: MIT
// --document: puts the figures of a whole run into docs/performance.md and README.md, between their markers.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../scripts/setup.mjs";

const KINDS = [
  ["hit, 64 pages", "hit/64/rnd"],
  ["hit, 1K pages", "hit/1024/rnd"],
  ["hit, 1K pages, nested", "nested-hit/1024/rnd"],
  ["hit, 1K pages of one stream, in halves", "ask/halves"],
  ["the same by `setAddress` and `physical`", "ask/numbers"],
  ["the same in batches of 256 addresses", "ask/batch"],
  ["hit, 64K pages, in order", "hit/65536/seq"],
  ["hit, 64K pages, random", "hit/65536/rnd"],
  ["hit, 4K pages of 64 streams", "streams/64"],
  ["hit, 4K pages of 4096 streams", "streams/4096"],
  ["hit, 4K pages of 4 streams with 16 SubstreamIDs each", "substreams/16"],
  ["hit, 64 pages of 16 KiB", "leaf-hit/16K"],
  ["hit, 64 pages of 64 KiB", "leaf-hit/64K"],
  ["hit, 64 blocks of 2 MiB", "leaf-hit/2M"],
  ["hit, 64 blocks of 1 GiB", "leaf-hit/1G"],
  ["miss of a TLB of 256 entries, stage 1", "miss/1024/seq"],
  ["miss of a TLB of 256 entries, nested", "nested-miss/1024/seq"],
  ["no caches of translations, stage 1", "walk/1024/seq"],
  ["no caches of translations, nested", "nested-walk/1024/seq"],
  ["STE bypass", "bypass"],
  ["STE abort", "abort"],
  ["F_TRANSLATION with its event record", "fault"],
  ["map, DMA of 64 B, unmap, TLBI, sync", "churn/1"],
  ["the same, one sync for 64 buffers", "churn/64"],
];
const COMMANDS = [
  ["TLBI by ASID", "tlbi/asid"],
  ["TLBI by VMID (16 contexts)", "tlbi/vmid"],
  ["TLBI by VA", "tlbi/va"],
  ["TLBI of a range of 64 pages", "tlbi/range"],
  ["TLBI of all", "tlbi/all"],
  ["CFGI_STE", "tlbi/ste"],
  ["CFGI of all, 256 streams", "tlbi/cfgall"],
  ["C, hash table as large, by ASID", "c/hash-tlbi/asid"],
  ["C, hash table as large, by VA", "c/hash-tlbi/va"],
];
const STEPS = [
  ["steps, 4 tasks", "sim/step/4"],
  ["steps, 1000 tasks", "sim/step/1000"],
  ["steps, 4 tasks in seeded order", "sim/seeded/4"],
  ["steps that sleep, 4 tasks", "sim/sleep/4"],
  ["device events, 1 pending", "sim/events/1"],
  ["device events, 1000 pending", "sim/events/1000"],
  ["resumes in a bare loop over generators", "sim/bare"],
];
const ALTERNATIVES = {
  "a direct-mapped lookup": [
    ["two halves in one Int32Array", "halves"],
    ["the result as a fresh object", "object"],
    ["addresses as doubles", "double"],
    ["Map by number", "mapOfNumbers"],
    ["BigInt and BigUint64Array", "bigint"],
    ["Map by string", "mapOfStrings"],
  ],
  "a walk of four loads": [
    ["words of one Int32Array", "walk-flat"],
    ["DataView", "walk-dataview"],
    ["Map of chunks", "walk-chunks"],
    ["DataView.getBigUint64", "walk-bigint"],
  ],
  "a switch between tasks": [
    ["generator", "generator"],
    ["async function", "async"],
    ["generators three calls deep", "generator-deep"],
    ["async functions three calls deep", "async-deep"],
  ],
};

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const verdict = (bound, met) => (bound === undefined ? "" : `${bound}: ${met ? "met" : "missed"}`);
const multiple = (value) => (value === 1 ? "1" : value.toFixed(value < 10 ? 1 : 0));
const micros = (ns) => (ns === undefined ? "" : (ns / 1e3).toFixed(ns < 1e5 ? 1 : 0));

function sections({ groups, figures, memory, node, cpu, native }) {
  const results = new Map(groups.flatMap((group) => group.results).map((result) => [result.id, result]));
  const least = (id) => results.get(id)?.leastNs;
  // Of the base of its group, which is itself one time itself.
  const multiples = (rows) => rows.map(([label, id]) => [label, multiple(results.get(id)?.multiple ?? Number.NaN)]);
  return {
    machine: `Node ${node} on ${cpu}, which others used, too; ${native.compiler ?? native.missing}${native.hashTable === undefined ? "" : `; the hash table in C is ${native.hashTable}`}.`,
    targets: table(
      ["figure", "median", "least", "target", "aim"],
      figures.map(({ label, shown, leastShown = "", target, met, aim, aimMet }) => [
        label,
        shown,
        leastShown,
        verdict(target, met),
        verdict(aim, aimMet),
      ]),
    ),
    kinds: table(["access", "multiple"], multiples(KINDS)),
    commands: table(
      ["command", "1K", "64K", "1M"],
      COMMANDS.map(([label, id]) => [label, ...[1024, 0x1_0000, 0x10_0000].map((entries) => micros(least(`${id}/${entries}`)))]),
    ),
    simulator: table(
      ["what", "per second"],
      [
        ...STEPS.map(([label, id]) => [label, `${(1e3 / least(id)).toFixed(0)} million`]),
        ["records of a recording replayed", `${(1e6 / least("replay")).toFixed(0)} thousand`],
      ],
    ),
    memory: table(
      ["what", "takes"],
      [
        ["a cached translation", `${memory.bytesPerTranslation.toFixed(0)} bytes`],
        ["a stream in the configuration cache", `${memory.bytesPerStream.toFixed(0)} bytes`],
        ["an idle SMMU with its bus (profile linux-typical)", `${(memory.bytesPerIdleSmmu / 1024).toFixed(0)} KiB`],
        ["a machine of 16 GiB with 65,536 streams, until touched", `${(memory.startRss / 1e6).toFixed(0)} MB resident`],
        ["of which Node alone", `${(memory.nodeRss / 1e6).toFixed(0)} MB`],
        ["its start, with the loading of all modules", `${memory.startLeastMs.toFixed(0)} ms`],
      ],
    ),
    alternatives: Object.entries(ALTERNATIVES)
      .map(([name, rows]) => table([name, "multiple"], multiples(rows.map(([label, id]) => [label, `alternative/${id}`]))))
      .join("\n\n"),
  };
}

/** Ids of all subjects whose figures are shown. */
export function documentedIds() {
  return [
    ...[...KINDS, ...STEPS].map(([, id]) => id),
    // What holds a million translations has no counterpart in C.
    ...COMMANDS.flatMap(([, id]) => [1024, 0x1_0000].map((entries) => `${id}/${entries}`)),
    ...Object.values(ALTERNATIVES).flatMap((rows) => rows.map(([, id]) => `alternative/${id}`)),
    "replay",
  ];
}

/** Which document shows which figures; docs/performance.md shows all. */
const README = ["targets"];

/** @param report of a whole run */
export function document(report) {
  const all = sections(report);
  write(join("docs", "performance.md"), all);
  write("README.md", Object.fromEntries(README.map((name) => [name, all[name]])));
}

function write(path, parts) {
  const file = join(root, path);
  let text = readFileSync(file, "utf8");
  for (const [name, section] of Object.entries(parts)) {
    const [start, end] = [`<!-- figures: ${name} -->\n`, "\n<!-- end -->"];
    const from = text.indexOf(start);
    const to = text.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`${path} has no place for the figures "${name}"`);
    text = text.slice(0, from + start.length) + section + text.slice(to);
  }
  writeFileSync(file, text);
}
