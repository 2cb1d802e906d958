// SPDX-License-Identifier: MIT
// The whole shutdown matrix, as a user runs it: a process of its own, from its start to its end.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../../scripts/setup.mjs";
import { subject } from "../measure.mjs";

export function whole() {
  return [
    subject({
      id: "matrix",
      label: "the shutdown matrix, in JSON",
      unit: "matrix",
      operations: 1,
      warmRuns: 0,
      rounds: 3,
      run: () => {
        const { status } = spawnSync(process.execPath, [join(root, "bin", "quiesce.js"), "matrix", "--json"], { stdio: "ignore" });
        if (status !== 0) throw new Error(`quiesce matrix ended with ${status}`);
      },
    }),
  ];
}
