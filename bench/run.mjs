// SPDX-License-Identifier: MIT
// npm run bench: measures the built dist/, prints tables and writes out/bench.json and out/bench.html.
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root, setUp } from "../scripts/setup.mjs";

const HELP = `npm run bench -- [options]

  --quick         fewer subjects and rounds: less than half a minute
  --only PATTERN  subjects whose id or label matches this regular expression
  --profile       also a CPU profile of each subject into out/profile, with its shares
  --document      puts the figures into README.md and docs/performance.md; only for a whole run
  --help

Measures the built dist/. With a C compiler (cc, or what CC names) the programs of
bench/native are built and take turns with it. Writes out/bench.json, out/bench.html.
`;

const OPTIONS = {
  document: { type: "boolean", default: false },
  quick: { type: "boolean", default: false },
  only: { type: "string" },
  profile: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

function options() {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    return { ...values, only: values.only === undefined ? undefined : new RegExp(values.only, "i") };
  } catch (error) {
    process.stderr.write(`quiesce: ${error.message}\n\n${HELP}`);
    return process.exit(2);
  }
}

const { quick, only, profile: profiled, document: documented, help } = options();
if (help) {
  process.stdout.write(HELP);
  process.exit(0);
}

if (documented && (quick || only !== undefined)) {
  process.stderr.write("quiesce: --document needs all figures: leave out --quick and --only\n");
  process.exit(2);
}

setUp();
const { measure, summary } = await import("./measure.mjs");
const { startNative } = await import("./native.mjs");
const { suite } = await import("./suite.mjs");
const { targets } = await import("./targets.mjs");
const { measureMemory } = await import("./memory.mjs");
const { groupTable, memoryTable, targetTable } = await import("./table.mjs");
const { benchPage } = await import("./page.mjs");
const { profile } = await import("./profile.mjs");

const started = startNative();
const native = started.missing === undefined ? started : undefined;
if (native === undefined) process.stdout.write(`Nothing is compared with C here: ${started.missing}.\n\n`);

const bySubject = new Map();
const groups = [];
for (const { name, title, unit, subjects: make } of suite({ quick }, native)) {
  const subjects = make().filter(({ id, label }) => only === undefined || only.test(id) || only.test(label));
  if (subjects.length === 0) continue;
  process.stderr.write(`measuring: ${title}\n`);
  for (const { prepare } of subjects) prepare?.();
  for (const { check } of subjects) await check?.(native);
  await measure(subjects, quick ? { rounds: 7, warmMs: 60 } : { rounds: 15, warmMs: 250 });
  if (profiled) for (const one of subjects) if (!one.axes.native) process.stdout.write(`${(await profile(one)).join("\n")}\n\n`);
  for (const { dispose } of subjects) dispose?.();
  for (const one of subjects) bySubject.set(one.id, one);
  groups.push({ name, title, unit, results: subjects.map(summary) });
  process.stdout.write(groupTable(groups.at(-1)));
}
native?.stop();
const memory = only === undefined || only.test("memory") ? measureMemory() : undefined;
if (memory !== undefined) process.stdout.write(memoryTable(memory));
const figures = targets(bySubject, memory);
if (figures.length > 0) process.stdout.write(targetTable(figures));

const report = {
  schema: "quiesce/bench@2",
  node: process.versions.node,
  v8: process.versions.v8,
  platform: `${process.platform} ${process.arch}`,
  cpu: `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}`,
  native: native === undefined ? { missing: started.missing } : { compiler: native.compiler, hashTable: native.hashTable },
  quick,
  groups,
  ...(memory === undefined ? {} : { memory }),
  figures,
};
mkdirSync(join(root, "out"), { recursive: true });
writeFileSync(join(root, "out", "bench.json"), `${JSON.stringify(report, null, 2)}\n`);
writeFileSync(join(root, "out", "bench.html"), benchPage(report));
if (documented) (await import("./document.mjs")).document(report);
process.stderr.write(`\nwrote out/bench.json and out/bench.html${documented ? ", and the figures of docs/performance.md" : ""}\n`);
