// SPDX-License-Identifier: MIT
/** The guide for ports shows a program that is there, what it prints, and names of the API that there are. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as kernel from "../src/kernel/index.ts";
import { CLAIMS } from "../src/lab/index.ts";
import * as sim from "../src/sim/index.ts";

const root = join(import.meta.dirname, "..");
const guide = readFileSync(join(root, "docs", "porting.md"), "utf8");
const example = join(root, "examples", "ports", "cyclic-dma.mjs");

/** Contents of the guide's blocks in a language; "" is output. */
function blocks(language: string): string[] {
  return [...guide.matchAll(/^```(\w*)\n([^]*?\n)```$/gm)].filter((block) => block[1] === language).map((block) => block[2]!);
}

/** Rows of the table under a heading, as cells. */
function table(heading: string): string[][] {
  const from = guide.indexOf(`\n## ${heading}\n`);
  expect(from).toBeGreaterThan(0);
  const section = guide.slice(from + 1).split("\n## ", 1)[0]!;
  const lines = section.split("\n").filter((line) => line.startsWith("| "));
  return lines.slice(1).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe("the guide for ports", () => {
  test("its pieces are pieces of the example", () => {
    const program = readFileSync(example, "utf8");
    const pieces = blocks("js");
    expect(pieces.length).toBeGreaterThan(5);
    for (const piece of pieces) expect(program.includes(`\n${piece}`), piece).toBe(true);
  });

  test("the example prints what the guide says", () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [example], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(blocks("")).toEqual([stdout]);
  });

  test("each function and class that it names for one of Linux is exported", () => {
    const names = table("From Linux's names to Quiesce's").flatMap(([, ours]) =>
      [...ours!.matchAll(/`(?:yield\* )?(\w+)/g)].map((match) => match[1]!).filter((name) => !["kernel", "pdev"].includes(name)),
    );
    expect(names.length).toBeGreaterThan(50);
    expect(names.filter((name) => !(name in kernel) && !(name in sim) && name !== "DriverModule")).toEqual([]);
  });

  test("it has every claim", () => {
    expect(table("Claims").map(([claim]) => claim)).toEqual([...CLAIMS]);
  });

  test("each claim means there what it means in the README, word for word", () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    for (const [claim, means] of table("Claims")) expect(readme).toContain(`\n| ${claim} | ${means} |\n`);
  });

  test("what it links to and names is there", () => {
    for (const [, target] of guide.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      expect(existsSync(join(root, "docs", target!)), target).toBe(true);
    for (const [path] of guide.matchAll(/\b(?:src|test|scenarios)\/[\w/.-]+\w/g)) expect(existsSync(join(root, path)), path).toBe(true);
  });
});
