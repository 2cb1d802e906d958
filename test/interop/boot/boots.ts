// SPDX-License-Identifier: MIT
/** Recorded boots: from recordings, where they are present, and from the fixture that was made of them. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type RecordedBoot, RecordedBoots, RecordingReader } from "../../../src/interop/index.ts";
import { linesOf, sharedRecordings } from "../explain/machine.ts";

export const FIXTURE: string = join(import.meta.dirname, "..", "..", "fixtures", "boots.json");

/** A boot, of which kernel it was one, and where it stands. */
export interface Recorded {
  /** Recordings and numbers of equal boots: "q100-l612-4k-boot-io 0". */
  readonly where: readonly string[];
  /** "6.12" */
  readonly linux: string;
  readonly passthrough: boolean;
  readonly strict: boolean;
  readonly boot: RecordedBoot;
}

/** All boots of one recording; none of a kernel whose pages are not of 4 KiB. */
export function bootsOf(path: string, name: string): Recorded[] {
  const reader = new RecordingReader();
  const [first = "", ...rest] = linesOf(path);
  const { kernel, commandLine = "" } = reader.header(first);
  if (kernel.includes("-16k")) return [];
  const boots = new RecordedBoots();
  for (const line of rest) boots.apply(reader.record(line));
  return boots.boots.map((boot, index) => ({
    where: [`${name.replace(".ndjson.gz", "")} ${index}`],
    linux: /^\d+\.\d+/.exec(kernel)?.[0] ?? kernel,
    passthrough: commandLine.includes("iommu.passthrough=1"),
    strict: !commandLine.includes("iommu.strict=0"),
    boot,
  }));
}

/** Equal boots become one. What was written before a boot differs in addresses and is no part of what makes them equal. */
export function distinct(boots: readonly Recorded[]): Recorded[] {
  const found = new Map<string, Recorded>();
  for (const recorded of boots) {
    const { where, boot, ...rest } = recorded;
    const key = JSON.stringify([rest, { ...boot, before: boot.before.length > 0 }]);
    const same = found.get(key);
    found.set(key, same === undefined ? recorded : { ...same, where: [...same.where, ...where] });
  }
  return [...found.values()];
}

export function fixtureBoots(): Recorded[] {
  return existsSync(FIXTURE) ? (JSON.parse(readFileSync(FIXTURE, "utf8")) as Recorded[]) : [];
}

/** @returns null where the recordings are not present */
export function sharedBoots(): Recorded[] | null {
  const { folder } = sharedRecordings();
  if (!existsSync(folder)) return null;
  const names = readdirSync(folder).filter((name) => name.endsWith(".ndjson.gz"));
  return names.length === 0 ? null : names.toSorted().flatMap((name) => bootsOf(join(folder, name), name));
}
