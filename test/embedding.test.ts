// SPDX-License-Identifier: MIT
/** The guide for embedding programs shows a program that is there, piece by piece, and what it prints. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const guide = readFileSync(join(root, "docs", "embedding.md"), "utf8");
const program = readFileSync(join(root, "examples", "embedding.mjs"), "utf8");

/** Contents of the guide's blocks in a language; "" is output. */
function blocks(language: string): string[] {
  return [...guide.matchAll(/^```(\w*)\n([^]*?\n)```$/gm)].filter((block) => block[1] === language).map((block) => block[2]!);
}

describe("the guide", () => {
  test("its pieces are pieces of the program, in the program's order", () => {
    const pieces = blocks("js");
    expect(pieces.length).toBeGreaterThan(5);
    let end = 0;
    for (const piece of pieces) {
      const at = program.indexOf(`\n${piece}`, end);
      expect(at, piece).toBeGreaterThan(0);
      end = at + piece.length;
    }
  });

  test("the program prints what the guide says", () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "examples", "embedding.mjs")], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(blocks("")).toEqual([stdout]);
  });

  test("what it links to is there", () => {
    for (const [, target] of guide.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      expect(existsSync(join(root, "docs", target!)), target).toBe(true);
  });
});
