// SPDX-License-Identifier: MIT
// Bytes of memory, each measured in a process of its own: what a translation, a stream and an idle SMMU take, and how a
// large machine starts.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../scripts/setup.mjs";
import { interrupted } from "./output.mjs";

function child(what) {
  const args = ["--expose-gc", join(root, "bench", "memory-child.mjs"), what];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (signal === "SIGINT") interrupted();
  if (status !== 0) throw new Error(`measuring memory (${what}): ${stderr}`);
  return JSON.parse(stdout);
}

export function measureMemory() {
  const starts = Array.from({ length: 5 }, () => child("start")).sort((a, b) => a.ms - b.ms);
  return {
    bytesPerTranslation: child("translations").bytes,
    bytesPerStream: child("streams").bytes,
    bytesPerIdleSmmu: child("idle").bytes,
    startMs: starts[2].ms,
    startLeastMs: starts[0].ms,
    startRss: Math.max(...starts.map(({ rss }) => rss)),
    nodeRss: child("nothing").rss,
  };
}
