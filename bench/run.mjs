// SPDX-License-Identifier: MIT
// npm run bench: measures the built dist/, prints tables and writes a report in JSON and in HTML.
import { cpus } from "node:os";
import { join } from "node:path";
import { root, setUp } from "../scripts/setup.mjs";
import { options } from "./options.mjs";
import { endOnFailedOutput, endOnInterrupt, failOn, refuse, writeFiles } from "./output.mjs";

endOnFailedOutput();
const { quick, only, wants, whole, list, profile: profiled, document: documented } = await options();
setUp();
endOnInterrupt();
const { measure, summary } = await import("./measure.mjs");
const { startNative } = await import("./native.mjs");
const { MEMORY, suite } = await import("./suite.mjs");
const { targets } = await import("./targets.mjs");
const { measureMemory } = await import("./memory.mjs");
const { groupTable, LEGEND, memoryTable, targetTable } = await import("./table.mjs");
const { benchPage } = await import("./page.mjs");
const { profile } = await import("./profile.mjs");

/** What is to be measured. @param native the C program; undefined: there is none; {}: if there were one */
function chosen(native) {
  return suite({ quick }, native)
    .map(({ subjects, ...group }) => ({ ...group, subjects: subjects().filter(wants) }))
    .filter(({ subjects }) => subjects.length > 0);
}

/** Measures a group. @returns its subjects */
async function take({ title, subjects }, native) {
  process.stderr.write(`measuring: ${title}\n`);
  for (const { prepare } of subjects) prepare?.();
  for (const { check } of subjects) await check?.(native);
  await measure(subjects, quick ? { rounds: 7, warmMs: 60 } : { rounds: 15, warmMs: 250 });
  if (profiled) for (const one of subjects) if (!one.axes.native) process.stdout.write(`${(await profile(one)).join("\n")}\n\n`);
  for (const { dispose } of subjects) dispose?.();
  return subjects;
}

async function run() {
  const everything = chosen({});
  const alsoMemory = wants(MEMORY);
  if (everything.length === 0 && !alsoMemory)
    refuse(
      `--only ${only.join(" --only ")}: no id and no label matches${quick ? " in a quick run" : ""}; npm run bench -- --list shows them`,
    );
  if (list) {
    const all = [...everything.flatMap(({ subjects }) => subjects), ...(alsoMemory ? [MEMORY] : [])];
    process.stdout.write(all.map(({ id, label }) => `${id.padEnd(28)}  ${label}\n`).join(""));
    return;
  }

  const started = startNative();
  const native = started.missing === undefined ? started : undefined;
  const groups = native === undefined ? chosen(undefined) : everything.length === 0 ? [] : chosen(native);
  if (groups.length === 0 && !alsoMemory) refuse(`nothing to measure, for all of that is in C: ${started.missing}`);
  process.stdout.write(
    native === undefined
      ? `C: none, nothing is compared with it: ${started.missing}.\n`
      : `C: ${native.compiler}\nhash table of the C program: ${native.hashTable}\n`,
  );
  process.stdout.write(`${LEGEND}\n`);

  const bySubject = new Map();
  const measured = [];
  for (const { name, title, unit, ...group } of groups) {
    const subjects = await take({ title, ...group }, native);
    for (const one of subjects) bySubject.set(one.id, one);
    measured.push({ name, title, unit, results: subjects.map((one) => summary(one, subjects)) });
    process.stdout.write(groupTable(measured.at(-1)));
  }
  native?.stop();
  const memory = alsoMemory ? measureMemory() : undefined;
  if (memory !== undefined) process.stdout.write(memoryTable(memory));
  const figures = targets(bySubject, memory);
  if (figures.length > 0) process.stdout.write(targetTable(figures));

  const report = {
    schema: "quiesce/bench@3",
    node: process.versions.node,
    v8: process.versions.v8,
    platform: `${process.platform} ${process.arch}`,
    cpu: `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}`,
    native: native === undefined ? { missing: started.missing } : { compiler: native.compiler, hashTable: native.hashTable },
    quick,
    only,
    groups: measured,
    ...(memory === undefined ? {} : { memory }),
    figures,
  };
  const name = whole ? "bench" : "bench-part";
  writeFiles(join(root, "out"), { [`${name}.json`]: `${JSON.stringify(report, null, 2)}\n`, [`${name}.html`]: benchPage(report) });
  if (documented) (await import("./document.mjs")).document(report);
  const notes = documented ? ", and the figures of docs/performance.md and README.md" : whole ? "" : "; out/bench.json is for whole runs";
  process.stderr.write(`\nwrote out/${name}.json and out/${name}.html${notes}\n`);
}

await run().catch(failOn);
