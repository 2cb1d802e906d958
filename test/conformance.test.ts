// SPDX-License-Identifier: MIT
/** docs/conformance.md: every section of chapters 3 to 8 and 13 has its row, and the tests that a row names are there. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const text = readFileSync(join(root, "docs/conformance.md"), "utf8");
const part = text.slice(text.indexOf("### Section by section"), text.indexOf("Profiles: "));
/** Section, state, tests. */
const rows = part
  .split("\n")
  .filter((line) => /^\| \d/u.test(line))
  .map(
    (line) =>
      line
        .split("|")
        .map((cell) => cell.trim())
        .slice(1, 4) as [string, string, string],
  );

/** Sections of each chapter of IHI 0070 G.b that has a row for each. */
const SECTIONS: Readonly<Record<number, number>> = { 3: 27, 4: 8, 5: 6, 6: 3, 7: 5, 8: 3, 13: 8 };

test("every section has one row, in order", () => {
  const due = Object.entries(SECTIONS).flatMap(([chapter, count]) => Array.from({ length: count }, (_, i) => `${chapter}.${i + 1}`));
  const found = rows.flatMap(([section]) =>
    section
      .match(/^[\d., ]+/u)![0]
      .trim()
      .split(", "),
  );
  expect(found).toEqual([...due, "15"]);
});

/** @param path a folder with a slash behind, or a test file without its ending, in which * stands for anything */
function exists(path: string): boolean {
  const place = join(root, path);
  if (path.endsWith("/") || !path.startsWith("test/hw/")) return existsSync(place);
  const wanted = new RegExp(`^${basename(place).replaceAll("*", ".*")}\\.test\\.ts$`, "u");
  return readdirSync(dirname(place)).some((file) => wanted.test(file));
}

describe("tests that are named", () => {
  for (const [section, , cell] of rows) {
    const names = [...cell.matchAll(/`([^`]+)`/gu)].map(([, name]) => name!);
    if (names.length === 0) continue;
    test(section, () => {
      let folder = "";
      for (const name of names) {
        // A name without a folder is in the folder of the one before.
        if (name.includes("/")) folder = name.slice(0, name.lastIndexOf("/") + 1);
        const path = name.startsWith("test/") ? name : `test/hw/smmuv3/${name.includes("/") ? "" : folder}${name}`;
        expect(`${path} ${exists(path) ? "exists" : "is missing"}`).toBe(`${path} exists`);
      }
    });
  }
});
