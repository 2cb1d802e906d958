// SPDX-License-Identifier: MIT
/** The table of variants: which cells it has, what it prints, and what its cells measure. */
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import {
  assembleVariants,
  cellScenario,
  cellWords,
  matrixCellKeys,
  parseAnyCell,
  runCell,
  type RunResult,
  SMMU_POLICIES,
  SMMU_VARIANTS,
  type VariantCell,
  variantKeys,
  type Variants,
  variantsText,
} from "../../../src/lab/index.ts";
import { matrixSchema, variantsSchema } from "../../../src/lab/matrix/schema.ts";
import { quietCell } from "./cells.ts";

const plain = (variants: Variants): string => variantsText(variants, (_style, text) => text);
const quiet = (change: (key: VariantCell) => Partial<VariantCell> = () => ({})): VariantCell[] =>
  variantKeys().map((key) => {
    const cell = { ...quietCell(matrixCellKeys()[0]!), ...key };
    return { ...cell, ...change(cell) };
  });
const table = (cells: readonly VariantCell[]): Variants => ({
  schema: "quiesce/variants@1",
  seed: "0x1",
  complete: cells.length === variantKeys().length,
  cells,
});

describe("its cells", () => {
  test("each further variant, each client, reboot, kexec and kdump; and each client under an adopting crash kernel", () => {
    const further = SMMU_VARIANTS.filter((name) => !SMMU_POLICIES.some((policy) => policy === name));
    expect(further).toEqual(["remove", "gbpa-bypass", "audit", "blocked", "leave-on"]);
    const keys = variantKeys();
    expect(keys).toHaveLength(further.length * 3 * 3 + 3);
    expect(keys.every(({ clientShutdown }) => clientShutdown === "no-hook")).toBe(true);
    expect(keys.filter(({ kdumpPolicy }) => kdumpPolicy === "adopt").map(cellWords)).toEqual([
      "bypass/e1000e/no-hook/kdump/adopt",
      "bypass/hdlcd/no-hook/kdump/adopt",
      "bypass/tmc-etr/no-hook/kdump/adopt",
    ]);
  });

  test("no name stands twice, in this table or in the matrix, and each can be read", () => {
    const names = [...matrixCellKeys(), ...variantKeys()].map(cellWords);
    expect(new Set(names).size).toBe(names.length);
    for (const key of variantKeys()) expect(parseAnyCell(cellWords(key))).toEqual(key);
    for (const key of matrixCellKeys()) expect(parseAnyCell(cellWords(key))).toEqual(key);
    expect(parseAnyCell("audit/hdlcd/mainline/kexec")).toBeUndefined();
  });

  test("the matrix keeps its 135 cells, and a matrix of other policies is none", () => {
    expect(matrixCellKeys()).toHaveLength(135);
    const cell = { ...quiet()[0]!, kdumpPolicy: undefined };
    const document = { schema: "quiesce/matrix@1", seed: "0x1", complete: false, cells: [cell], order: [], layout: [] };
    expect(v.safeParse(matrixSchema, document).success).toBe(false);
  });

  test("a cell's scenario has the variant and the crash kernel's policy", () => {
    const scenario = cellScenario(parseAnyCell("bypass/hdlcd/no-hook/kdump/adopt")!);
    expect(scenario.kernel.kdumpPolicy).toBe("adopt");
    expect(cellScenario(parseAnyCell("audit/hdlcd/no-hook/kexec")!).machine.smmu.shutdown).toBe("audit");
  });
});

describe("as text", () => {
  test("no line is longer than 80 columns", () => {
    const many = quiet(() => ({ dma: { ...quiet()[0]!.dma, aborted: 9_999_999 }, foreignWriteBytes: 99_999_999, verdict: "corrupt" }));
    expect(
      plain(table(many))
        .split("\n")
        .filter((line) => line.length > 80),
    ).toEqual([]);
  });

  test("each row has a verdict for each client and way down, and words that say what it is", () => {
    const text = plain(table(quiet()));
    expect(text.split("\n").filter((line) => /^[a-z-]+( +ok){9}$/.test(line))).toHaveLength(5);
    expect(text).toMatch(/^kdump: adopt( +- +- +ok){3}$/m);
    for (const name of ["remove", "gbpa-bypass", "audit", "blocked", "leave-on", "kdump: adopt"])
      expect(text).toMatch(new RegExp(`^${name} +[a-zL][a-z]`, "m"));
  });

  test("a part of the table says so and why", () => {
    expect(plain(table(quiet().slice(1))).startsWith("PARTIAL: 47 of 48 cells, because the run was interrupted.")).toBe(true);
    const text = plain({ ...table(quiet().slice(0, 3)), only: "remove" });
    expect(text).toMatch(/^PARTIAL: 3 of 48 cells, because only cells with "remove"/);
  });
});

describe("what cells measure", () => {
  const runs = new Map<string, RunResult>();
  function run(words: string): RunResult {
    const known = runs.get(words) ?? runCell(parseAnyCell(words)!, 1);
    runs.set(words, known);
    return known;
  }

  test("a document that its schema accepts, with a replay command for each cell", () => {
    const keys = variantKeys().filter((key) => cellWords(key) === "blocked/tmc-etr/no-hook/kexec");
    const document = assembleVariants(
      1,
      keys,
      keys.map((key) => run(cellWords(key))),
      "x",
    );
    expect(v.parse(variantsSchema, document)).toEqual(document);
    expect(document).toMatchObject({ complete: false, only: "x", seed: "0x1" });
    expect(document.cells[0]!.replay).toBe("node bin/quiesce.js run --cell blocked/tmc-etr/no-hook/kexec --seed 0x1");
  });

  test("blocked: nothing a client does reaches memory after the SMMU's hook", () => {
    for (const way of ["reboot", "kexec"]) {
      const { dma } = run(`blocked/hdlcd/no-hook/${way}`);
      expect(dma.aborted).toBeGreaterThan(0);
      expect(dma).toMatchObject({ translated: 0, bypassed: 0 });
    }
  });

  test("gbpa-bypass: a trace sink writes through raw addresses into the next kernel", () => {
    expect(run("gbpa-bypass/tmc-etr/no-hook/kexec").nextKernelBytesCorrupted).toBeGreaterThan(0);
  });

  test("leave-on: across kexec the old tables translate on, and are walked in memory that was given away", () => {
    const { dma, staleWalks, events } = run("leave-on/tmc-etr/no-hook/kexec");
    expect(dma.translated).toBeGreaterThan(0);
    expect(staleWalks).toBeGreaterThan(0);
    expect(events.recorded).toBe(0);
  });

  test("audit: across kexec the records themselves are writes into memory that was given away", () => {
    const { dma, events, foreignWriteBytes } = run("audit/hdlcd/no-hook/kexec");
    expect(dma).toMatchObject({ translated: 0, bypassed: 0 });
    expect(events.kinds["C_BAD_STE"]).toBeGreaterThan(0);
    expect(foreignWriteBytes % 32).toBe(0);
    expect(foreignWriteBytes).toBeGreaterThan(0);
  });

  test("a crash runs no hook: in kdump the variants of it are alike", () => {
    const kdump = (name: string): unknown => {
      const { verdict, dma, events, foreignWriteBytes } = run(`${name}/tmc-etr/no-hook/kdump`);
      return { verdict, dma, events, foreignWriteBytes };
    };
    expect(kdump("remove")).toEqual(kdump("leave-on"));
  });

  test("an adopting crash kernel harms nobody", () => {
    const { verdict, secondKernel, staleWalks } = run("bypass/e1000e/no-hook/kdump/adopt");
    expect({ verdict, secondKernel, staleWalks }).toEqual({ verdict: "clean", secondKernel: "up", staleWalks: 0 });
  });
});
