// SPDX-License-Identifier: MIT
/** The lint plugin for ports: it finds a coroutine that is called without `yield*`, and nothing in code that is right. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as kernel from "../../src/kernel/index.ts";
import * as sim from "../../src/sim/index.ts";

const root = join(import.meta.dirname, "..", "..");
const plugin = join(root, "examples", "ports", "yield-star.mjs");
const oxlint = join(root, "node_modules", "oxlint", "bin", "oxlint");

interface Report {
  readonly diagnostics: readonly { readonly message: string; readonly labels: readonly { readonly span: { readonly line: number } }[] }[];
}

/** Lines that are reported, each with the name of what is called. */
function lint(paths: readonly string[], files: Readonly<Record<string, string>> = {}): string[] {
  const folder = mkdtempSync(join(tmpdir(), "quiesce-lint-"));
  try {
    const config = { jsPlugins: [plugin], categories: { correctness: "off" }, rules: { "quiesce/yield-star": "error" } };
    writeFileSync(join(folder, "oxlintrc.json"), JSON.stringify(config));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const targets = [...paths, ...Object.keys(files).map((name) => join(folder, name))];
    const args = [oxlint, "-c", join(folder, "oxlintrc.json"), "--format", "json", ...targets];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
    expect(stderr).toBe("");
    const { diagnostics } = JSON.parse(stdout) as Report;
    return diagnostics.map(({ message, labels }) => `${labels[0]?.span.line}: ${message.split(" ")[0]}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const port = (...lines: readonly string[]): Record<string, string> => ({ "port.mjs": lines.join("\n") });

describe("a coroutine that is called and not run is found", () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ["as a statement", ["function* stop(pdev) {", "  k.disable_irq(pdev.kernel, 1);", "}"], ["2: disable_irq"]],
    ["as a condition", ["function* probe() {", "  if (k.readl_poll(a, b, c, 1, 2) !== 0) return -1;", "}"], ["2: readl_poll"]],
    ["as a result", ["function* probe() {", "  const ret = msleep(1);", "  return ret;", "}"], ["2: msleep"]],
    ["as the answer of another", ["function* a() {}", "function* probe() {", "  return a();", "}"], ["3: a"]],
    ["with yield instead of yield*", ["function* probe() {", "  yield msleep(1);", "}"], ["2: msleep"]],
    ["as an argument", ["function* probe() {", "  k.writel(base, 0, k.readl_poll(a, b, c, 1, 2));", "}"], ["2: readl_poll"]],
    ["of the file, below its call", ["function* probe() {", "  stop();", "}", "function* stop() {}"], ["2: stop"]],
    ["of the class", ["class D {", "  *stop() {}", "  *probe() { this.stop(); }", "}"], ["3: stop"]],
    ["of a mutex", ["function* probe() {", "  lock.lock('me');", "}"], ["2: lock"]],
  ])("%s", (_what, lines, found) => {
    expect(lint([], port(...lines))).toEqual(found);
  });

  test("of a file beside it", () => {
    const files = {
      "stop.mjs": "export function* stop() {}\nexport function plain() {}",
      ...port("import { stop, plain } from './stop.mjs';", "plain(); stop();"),
    };
    expect(lint([], files)).toEqual(["2: stop"]);
  });

  test("of the kernel and of sim, every one", () => {
    const generator = (value: unknown): boolean => typeof value === "function" && value.constructor.name === "GeneratorFunction";
    const names = [
      ...new Set([...Object.entries(kernel), ...Object.entries(sim)].flatMap(([name, value]) => (generator(value) ? [name] : []))),
    ];
    expect(names.length).toBeGreaterThan(60);
    const found = lint([], port(...names.map((name) => `k.${name}();`)));
    // A walk over nodes is a generator and waits for nothing.
    expect(names.filter((name, index) => name !== "of_walk" && !found.includes(`${index + 1}: ${name}`))).toEqual([]);
  });
});

describe("nothing is found", () => {
  test("where coroutines are run, handed on, or iterated", () => {
    const lines = [
      "function* stop() { yield* k.msleep(1); }",
      "function* parts() { yield 1; }",
      "const driver = { probe: (pdev) => stop(pdev), remove(pdev) { return stop(pdev); } };",
      "function* probe() { const n = yield* stop(); for (const p of parts()) use(p, [...parts()]); return n; }",
      "function* later() { const work = stop(); yield* work; }",
      "kernel.spawn('t', probe()); simulation.runAtomic(stop());",
      "k.writel(base, 0, 1); list.with(0, 1).lock; const x = list.with(0, 1);",
    ];
    expect(lint([], port(...lines))).toEqual([]);
  });

  test("in the kernel, the drivers and the examples of Quiesce", () => {
    expect(lint(["src/kernel", "src/drivers", "examples"])).toEqual([]);
  });
});
