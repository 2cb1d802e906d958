// SPDX-License-Identifier: MIT
// npm test: every check, in the order in which they fail fastest. Ends with a line that counts the tests.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root, run, setUp } from "./setup.mjs";

const bin = (name) => join(root, "node_modules", ".bin", name);
const node = process.execPath;
const sources = ["src", "test", "bench", "scripts", "bin", "examples"].filter((folder) => existsSync(join(root, folder)));

setUp();

const checks = [
  ["lint (and layers)", bin("oxlint"), ["--deny-warnings", ...sources]],
  ["format", bin("oxfmt"), ["--check", ...sources]],
  ["unused files, exports and dependencies", bin("knip"), []],
  ["package", bin("publint"), ["--strict"]],
];
let failed = 0;
for (const [name, command, args] of checks) {
  process.stderr.write(`\n== ${name}\n`);
  if (run(command, args) !== 0) {
    process.stderr.write(`quiesce: the check "${name}" failed\n`);
    failed++;
  }
}

process.stderr.write("\n== tests\n");
const report = join(root, "out", "vitest.json");
mkdirSync(join(root, "out"), { recursive: true });
rmSync(report, { force: true });
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const status = run(node, [vitest, "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...process.argv.slice(2)]);
if (status !== 0) failed++;

const counts = existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : undefined;
if (counts) {
  const skipped = counts.numPendingTests + (counts.numTodoTests ?? 0);
  process.stdout.write(`${counts.numPassedTests} passed, ${counts.numFailedTests} failed, ${skipped} skipped\n`);
}
process.exit(failed === 0 ? 0 : 1);
