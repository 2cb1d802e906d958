// SPDX-License-Identifier: MIT
// The whole shutdown matrix, as a user runs it: a process of its own, from its start to its end.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../../scripts/setup.mjs";
import { subject } from "../measure.mjs";
import { interrupted } from "../output.mjs";

const INTERRUPTED = 130;

export function whole() {
  let folder;
  const remove = () => folder !== undefined && rmSync(folder, { recursive: true, force: true });
  return [
    subject({
      id: "matrix",
      label: "the shutdown matrix, in JSON",
      unit: "matrix",
      operations: 1,
      warmRuns: 0,
      rounds: 3,
      prepare: () => {
        // Not into out/, where a matrix of the user's may lie.
        folder = mkdtempSync(join(tmpdir(), "quiesce-bench-"));
        process.on("exit", remove);
      },
      run: () => {
        // By the clock: another process does the work.
        const start = performance.now();
        const args = [join(root, "bin", "quiesce.js"), "matrix", "--json", "--out", folder];
        const { status, signal } = spawnSync(process.execPath, args, { stdio: "ignore" });
        if (signal === "SIGINT" || status === INTERRUPTED) interrupted();
        if (status !== 0) throw new Error(`quiesce matrix ended with ${status ?? signal}`);
        return 1e6 * (performance.now() - start);
      },
      dispose: remove,
    }),
  ];
}
