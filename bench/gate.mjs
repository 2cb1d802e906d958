// SPDX-License-Identifier: MIT
// The few figures that tests hold: ratios of what took turns in one process, so that the machine cancels out, each of the
// least times, which a busy machine disturbs least. Prints them as JSON; test/bench/gate.test.ts knows the limits.
import { measure } from "./measure.mjs";
import { startNative } from "./native.mjs";
import { nativeSubject } from "./subjects/native.mjs";
import { maintenance } from "./subjects/maintenance.mjs";
import { simulator } from "./subjects/simulator.mjs";
import { translationGroups } from "./subjects/translation.mjs";

const started = startNative();
const native = started.missing === undefined ? started : undefined;
const options = { quick: true };
const WANTED = ["hit/1024/rnd", "hit/64/rnd", "walk/1024/seq", "tlbi/asid/1024", "tlbi/asid/65536", "sim/bare", "sim/step/4"];
const { hits, misses } = translationGroups;
const ours = [...hits(options), ...misses(options), ...maintenance(options, undefined), ...simulator()].filter(({ id }) =>
  WANTED.includes(id),
);
const theirs =
  native === undefined
    ? []
    : [
        nativeSubject(native, { id: "call/1024", label: "hit, called", what: "call", pages: 1024, pattern: "rnd" }),
        nativeSubject(native, { id: "hash/64", label: "hash-table TLB", what: "hash-hit", pages: 64, pattern: "rnd" }),
      ];
for (const { prepare } of ours) prepare?.();
for (const { check } of [...ours, ...theirs]) await check?.(native);
await measure([...ours, ...theirs], { rounds: 9, warmMs: 60 });
native?.stop();

const least = new Map([...ours, ...theirs].map(({ id, samples }) => [id, Math.min(...samples)]));
const over = (a, b) => least.get(a) / least.get(b);
const ratios = {
  flatAsid: over("tlbi/asid/65536", "tlbi/asid/1024"),
  stepOverBare: over("sim/step/4", "sim/bare"),
  walkOverHit: over("walk/1024/seq", "hit/1024/rnd"),
  ...(native === undefined ? {} : { hitOverC: over("hit/1024/rnd", "c/call/1024"), hashOverHit: over("c/hash/64", "hit/64/rnd") }),
};
process.stdout.write(JSON.stringify({ missing: started.missing, ratios }));
