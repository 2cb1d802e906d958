// SPDX-License-Identifier: MIT
/** What the README promises is what happens. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");

describe("the library example", () => {
  const program = readFileSync(join(root, "examples", "translate.mjs"), "utf8");

  test("the README shows the program that is in examples/", () => {
    const code = program.split("\n").slice(2).join("\n").trim();
    expect(readme).toContain(`\`\`\`js\n${code}\n\`\`\``);
  });

  test("it runs on the built package and prints what the README says", () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "examples", "translate.mjs")], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(readme).toContain(`\`\`\`\n${stdout.trim()}\n\`\`\``);
  });
});

test("the scenario that it runs is the one that it shows", () => {
  const [, file] = readme.match(/quiesce\.js run (scenarios\/\S+)/)!;
  const yaml = readFileSync(join(root, file!), "utf8").split("\n").slice(2).join("\n");
  expect(readme).toContain(`\`\`\`yaml\n${yaml}\`\`\``);
});

test("it counts the records of docs/conformance.md, and their comparisons in millions", () => {
  const [, records, equal, deviating] = readFileSync(join(root, "docs", "conformance.md"), "utf8").match(
    /^\| all \| (\d+) \| (\d+) \| (\d+) \|/m,
  )!;
  const millions = ["", "one", "two", "three", "four", "five"][Math.round((Number(equal) + Number(deviating)) / 1e6)];
  expect(readme).toContain(`${Number(records).toLocaleString("en-GB")} records and ${millions} million comparisons`);
});

test("every file that the README links to is there", () => {
  for (const [, target] of readme.matchAll(/\]\(([^)#:]+)\)/g)) expect(() => readFileSync(join(root, target!))).not.toThrow(/ENOENT/);
});
