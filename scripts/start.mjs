// SPDX-License-Identifier: MIT
// npm start: the main job, the shutdown matrix, from whatever state the clone is in.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { root, setUp } from "./setup.mjs";

setUp();
const child = spawn(process.execPath, [join(root, "bin", "quiesce.js"), "matrix", ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
// The child handles an interrupt itself and writes what it has; this process only waits for it.
process.on("SIGINT", () => {});
child.on("close", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 3)));
