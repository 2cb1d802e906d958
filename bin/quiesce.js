#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// The command line. It runs the compiled program; without one it says how to make it.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const program = new URL("../dist/cli/main.js", import.meta.url);
if (existsSync(fileURLToPath(program))) {
  await import(program.href);
} else {
  process.stderr.write("quiesce: not built yet: run npm run build\n");
  process.exitCode = 3;
}
