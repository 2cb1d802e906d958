// SPDX-License-Identifier: MIT
/** The layout experiment: which verdicts hang on where memory lies. */
import { describe, expect, test } from "vitest";
import {
  type LayoutKey,
  layoutKeys,
  type LayoutName,
  type LayoutRow,
  layoutSamples,
  runLayout,
  type SmmuPolicy,
  type Verdict,
} from "../../../src/lab/index.ts";
import { foldLayout, layoutSentences, tallyWords } from "../../../src/lab/matrix/layout-table.ts";

const key = (smmuShutdown: SmmuPolicy, layout: LayoutName): LayoutKey => ({
  smmuShutdown,
  client: "tmc-etr",
  clientShutdown: "no-hook",
  wayDown: "kexec",
  layout,
  seed: 1,
});

describe("what a run measures", () => {
  test("where RAM ends below a client's IOVAs, raw addresses reach nothing: counted apart from what the SMMU refuses", () => {
    const row = runLayout(key("bypass", "2-3G"));
    expect(row.dma.undecoded).toBeGreaterThan(0);
    expect(row.dma).toMatchObject({ bypassed: 0, aborted: 0 });
    expect(row.foreignWriteBytes).toBe(0);
    expect(row.ram).toEqual({ base: "0x80000000", size: "0x40000000" });
  });

  test("where RAM reaches beyond 4 GiB they are memory again", () => {
    expect(runLayout(key("bypass", "2-8G")).dma.bypassed).toBeGreaterThan(0);
  });

  test("an SMMU that aborts refuses on every layout", () => {
    for (const layout of ["2-4G", "2-3G", "2-8G"] as const) {
      const { dma } = runLayout(key("abort", layout));
      expect(dma.aborted).toBeGreaterThan(0);
      expect(dma).toMatchObject({ bypassed: 0, undecoded: 0 });
    }
  });

  test("is a function of the key, and its replay command names all of it", () => {
    expect(runLayout(key("abort", "2-3G"))).toEqual(runLayout(key("abort", "2-3G")));
    expect(runLayout(key("abort", "2-3G")).replay).toBe(
      "node bin/quiesce.js run --cell abort/tmc-etr/no-hook/kexec --layout 2-3G --seed 0x1",
    );
  });
});

describe("what it says", () => {
  const rows = (verdict: (key: LayoutKey) => Verdict): LayoutRow[] =>
    layoutKeys(1).map((one) => ({
      ...one,
      ram: { base: "0x0", size: "0x0" },
      seed: "0x1",
      dma: { afterOwnShutdown: 0, afterSmmuShutdown: 0, translated: 0, bypassed: 0, aborted: 0, undecoded: one.layout === "2-3G" ? 1 : 0 },
      foreignWriteBytes: 0,
      nextKernelBytesCorrupted: 0,
      staleWalks: 0,
      secondKernel: "up",
      verdict: verdict(one),
      replay: "",
    }));

  test("every layout and further seeds, none twice", () => {
    const samples = layoutSamples(Number.MAX_SAFE_INTEGER);
    expect(new Set(samples.map(({ layout, seed }) => `${layout} ${seed}`)).size).toBe(5);
    expect(samples.every(({ seed }) => Number.isSafeInteger(seed))).toBe(true);
  });

  test("a tally for each cell, the worst first", () => {
    const cells = foldLayout(rows(({ layout, seed }) => (layout === "2-3G" ? "contained" : seed === 1 ? "corrupt" : "stray")));
    expect(cells).toHaveLength(12);
    expect(tallyWords(cells[0]!)).toBe("corrupt 2, stray 2, contained 1 of 5");
  });

  test("what depends on the layout and what does not follows from the rows", () => {
    const [sentence, luck] = layoutSentences(
      rows(({ smmuShutdown, layout }) => (smmuShutdown === "bypass" && layout !== "2-3G" ? "corrupt" : "contained")),
    );
    expect(sentence).toBe(
      "The verdict depends on the layout with bypass (3 of 3 clients, at worst corrupt) and quiescing clients under bypass " +
        "(3 of 3 clients, at worst corrupt); it does not with none (at worst contained) and abort (at worst contained).",
    );
    expect(luck).toContain("In 12 of the 12 runs");
  });

  test("nothing is said without runs", () => {
    expect(layoutSentences([])).toEqual([]);
  });
});
