// SPDX-License-Identifier: MIT
// --profile: where the time of each subject goes, sampled while it is warm and nothing else runs.
import { mkdirSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { join } from "node:path";
import { root } from "../scripts/setup.mjs";

const SAMPLE_US = 100;
const SHOWN = 14;
const LEAST_MS = 1000;

/** Runs a warmed-up subject for a second. @returns lines: the share of each function, without what it calls */
export async function profile({ id, run }) {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: SAMPLE_US });
  await session.post("Profiler.start");
  for (const start = performance.now(); performance.now() - start < LEAST_MS;) await run();
  const { profile: recorded } = await session.post("Profiler.stop");
  session.disconnect();
  const folder = join(root, "out", "profile");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${id.replaceAll("/", "-")}.cpuprofile`);
  writeFileSync(file, JSON.stringify(recorded));
  return [file, ...shares(recorded)];
}

function shares({ nodes, samples, timeDeltas }) {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      `${functionName || "(anonymous)"} ${url === "" ? "" : `${url.split("/").slice(-2).join("/")}:${lineNumber + 1}`}`,
    ]),
  );
  const spent = new Map();
  for (const [index, id] of samples.entries()) spent.set(names.get(id), (spent.get(names.get(id)) ?? 0) + timeDeltas[index]);
  const total = [...spent.values()].reduce((sum, time) => sum + time, 0);
  return [...spent]
    .sort((a, b) => b[1] - a[1])
    .slice(0, SHOWN)
    .map(([name, time]) => `  ${((100 * time) / total).toFixed(1).padStart(5)} %  ${name}`);
}
