// SPDX-License-Identifier: MIT
// npm run coverage: how much of the SMMU the tests of the hardware run, by file. Fails below the least that the project accepts.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { root, run, setUp } from "./setup.mjs";

/** What is measured, by which tests, and the least percentage of lines and of branches in total. */
const MEASURED = "src/hw/smmuv3";
const TESTS = ["test/hw"];
const LEAST = 97;
const NAME_WIDTH = 40;

setUp();

const folder = join(root, "out", "coverage");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const options = [
  "--coverage.enabled",
  `--coverage.include=${MEASURED}/**/*.ts`,
  "--coverage.reporter=json-summary",
  "--coverage.reporter=json",
  `--coverage.reportsDirectory=${folder}`,
];
const status = run(process.execPath, [vitest, "run", ...options, ...TESTS, ...process.argv.slice(2)]);
const summary = join(folder, "coverage-summary.json");
if (!existsSync(summary)) {
  process.stderr.write("quiesce: no coverage was measured\n");
  process.exit(1);
}

const { total, ...files } = JSON.parse(readFileSync(summary, "utf8"));
const base = join(root, MEASURED);
const part = ({ covered, total: all, pct }) => `${`${pct.toFixed(2)} %`.padStart(9)} ${`${covered}/${all}`.padStart(9)}`;
const line = (name, { lines, branches }) => process.stdout.write(`${name.padEnd(NAME_WIDTH)}${part(lines)}${part(branches)}\n`);

process.stdout.write(`\n${MEASURED.padEnd(NAME_WIDTH)}${"lines".padStart(19)}${"branches".padStart(19)}\n`);
const named = Object.entries(files).map(([path, counts]) => [relative(base, path).split(sep).join("/"), counts]);
for (const [name, counts] of named.toSorted(([a], [b]) => (a < b ? -1 : 1))) line(name, counts);
line("in total", total);

const low = ["lines", "branches"].filter((kind) => total[kind].pct < LEAST);
for (const kind of low)
  process.stderr.write(`quiesce: ${total[kind].pct} % of the ${kind} of ${MEASURED} are covered; ${LEAST} % are asked for\n`);
process.exit(status === 0 && low.length === 0 ? 0 : 1);
