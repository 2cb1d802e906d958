// SPDX-License-Identifier: MIT
/** What `npm run bench` measures, by name: without measuring it. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");

interface Subject {
  readonly id: string;
  readonly label: string;
  readonly base?: string;
}

interface Listed {
  readonly groups: readonly { readonly name: string; readonly subjects: readonly Subject[] }[];
  readonly labelWidth: number;
  readonly documented: readonly string[];
}

/** The parts of the command that know, in a process of their own, because they are no part of the package. */
const PROGRAM = `
  const of = (name) => import(new URL(name, process.argv[1]));
  const { suite } = await of("suite.mjs");
  const { LABEL_WIDTH } = await of("table.mjs");
  const { documentedIds } = await of("document.mjs");
  const groups = suite({ quick: false }, {}).map(({ name, subjects }) => ({
    name,
    subjects: subjects().map(({ id, label, base }) => ({ id, label, base })),
  }));
  process.stdout.write(JSON.stringify({ groups, labelWidth: LABEL_WIDTH, documented: documentedIds() }));
`;

describe("the subjects of the bench", () => {
  let listed: Listed = { groups: [], labelWidth: 0, documented: [] };

  beforeAll(() => {
    const folder = pathToFileURL(`${join(root, "bench")}/`).href;
    const args = ["--input-type=module", "--eval", PROGRAM, "--", folder];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`listing ended with ${status}: ${stderr}`);
    listed = JSON.parse(stdout) as Listed;
  }, 60_000);

  test("a label fits into its column of a terminal, whole", () => {
    const labels = listed.groups.flatMap(({ subjects }) => subjects.map(({ label }) => label));
    expect(labels.length).toBeGreaterThan(50);
    expect(labels.filter((label) => label.length > listed.labelWidth)).toEqual([]);
  });

  test("labels of a group differ, and so do all ids", () => {
    for (const { name, subjects } of listed.groups) expect(new Set(subjects.map(({ label }) => label)).size, name).toBe(subjects.length);
    const ids = listed.groups.flatMap(({ subjects }) => subjects.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("what a subject is a multiple of takes turns with it", () => {
    const strays = listed.groups.flatMap(({ subjects }) => {
      const ids = new Set(subjects.map(({ id }) => id));
      return subjects.filter(({ base }) => base !== undefined && !ids.has(base));
    });
    expect(strays).toEqual([]);
  });

  test("what the documents show is measured", () => {
    const ids = new Set(listed.groups.flatMap(({ subjects }) => subjects.map(({ id }) => id)));
    expect(listed.documented.filter((id) => !ids.has(id))).toEqual([]);
  });

  test("the documents have places for the figures", () => {
    for (const [path, names] of [
      ["docs/performance.md", ["machine", "targets", "kinds", "commands", "simulator", "memory", "alternatives"]],
      ["README.md", ["targets"]],
    ] as const) {
      const text = readFileSync(join(root, path), "utf8");
      expect([...text.matchAll(/^<!-- figures: (\w+) -->\n[^]*?\n<!-- end -->$/gm)].map(([, name]) => name).sort(), path).toEqual(
        [...names].sort(),
      );
    }
  });
});
