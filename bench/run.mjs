// SPDX-License-Identifier: MIT
// npm run bench: measures the built dist/, prints a table and writes out/bench.json.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, setUp } from "../scripts/setup.mjs";

setUp();
const { measure } = await import("./measure.mjs");
const { replaySubjects } = await import("./replay.mjs");
const { simulatorSubjects } = await import("./simulator.mjs");
const { translationSubjects } = await import("./translation.mjs");

const results = measure([...translationSubjects(), ...simulatorSubjects(), ...replaySubjects()]);
const ns = (value) => value.toFixed(value < 100 ? 1 : 0).padStart(8);
process.stdout.write(`${"subject".padEnd(34)}${"median".padStart(8)}${"best".padStart(8)}${"worst".padStart(8)}  ns per\n`);
for (const { name, unit, medianNs, bestNs, worstNs } of results) {
  process.stdout.write(`${name.padEnd(34)}${ns(medianNs)}${ns(bestNs)}${ns(worstNs)}  ${unit}\n`);
}
mkdirSync(join(root, "out"), { recursive: true });
const file = join(root, "out", "bench.json");
writeFileSync(file, `${JSON.stringify({ schema: "quiesce/bench@1", node: process.versions.node, results }, null, 2)}\n`);
process.stderr.write("\nwrote out/bench.json\n");
