// SPDX-License-Identifier: MIT
// Records a second of `quiesce replay`: reading, feeding the SMMU with its stale-use detector, comparing everything.
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { RecordingReader, Replayer } from "../../dist/interop/index.js";
import { root } from "../../scripts/setup.mjs";
import { subject } from "../measure.mjs";

const folder = process.env["QUIESCE_RECORDINGS"] ?? join(root, "..", "shared", "recordings", "linux");
const long = join(folder, "q100-l612-4k-kexec.ndjson.gz");
const fixture = join(root, "test", "fixtures", "recordings", "q100-l612-4k-edu-faults.ndjson.gz");

/** A long recording where there is one, else a short one over and over. */
export function replaySubjects() {
  const file = existsSync(long) ? long : fixture;
  const lines = gunzipSync(readFileSync(file)).toString("latin1").split("\n");
  if (lines.at(-1) === "") lines.pop();
  const times = Math.ceil(50_000 / lines.length);
  return [
    subject({
      id: "replay",
      label: `replay, ${basename(file, ".ndjson.gz")}`,
      unit: "record",
      operations: times * (lines.length - 1),
      warmRuns: 1,
      rounds: 5,
      run: () => {
        for (let time = 0; time < times; time++) {
          const reader = new RecordingReader();
          const replayer = new Replayer(reader.header(lines[0]));
          for (let i = 1; i < lines.length; i++) replayer.apply(reader.record(lines[i]));
          if (replayer.report().wrong !== 0) throw new Error(`${file}: the model is wrong somewhere`);
        }
      },
    }),
  ];
}
