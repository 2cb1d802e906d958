// SPDX-License-Identifier: MIT
/** The positions of the thread are judged by counts of cells, and by nothing else. */
import { describe, expect, test } from "vitest";
import { conclusion, type Position, positions } from "../../../src/lab/index.ts";
import { cells } from "./cells.ts";

const position = (id: string, ...given: Parameters<typeof cells>): Position => positions(cells(...given)).find((other) => other.id === id)!;

describe("on a machine whose clients all stop", () => {
  test("every position is borne out", () => {
    expect(positions(cells()).map(({ bearing }) => bearing)).toEqual(["borne out", "borne out", "borne out", "borne out", "borne out"]);
  });

  test("the conclusion names every policy and every hook", () => {
    expect(conclusion(cells())[0]).toContain("none, bypass and abort");
    expect(conclusion(cells())[1]).toContain("no-hook, mainline and quiescing");
  });
});

describe("findings follow the cells", () => {
  test("raw addresses under bypass speak against bypass alone", () => {
    const raw = ({ smmuShutdown }: { smmuShutdown: string }): object =>
      smmuShutdown === "bypass"
        ? { dma: { afterOwnShutdown: 1, afterSmmuShutdown: 1, translated: 0, bypassed: 1, aborted: 0, undecoded: 0 } }
        : {};
    expect(position("bypass", raw).bearing).toBe("in part");
    expect(position("bypass", raw).findings.find(({ text }) => text.includes("raw address"))).toMatchObject({ count: 27, of: 27 });
    expect(position("keep", raw).bearing).toBe("borne out");
  });

  test("stale walks after kexec speak against keeping translation", () => {
    const walks = ({ smmuShutdown, wayDown }: { smmuShutdown: string; wayDown: string }): object =>
      smmuShutdown === "none" && wayDown === "kexec" ? { staleWalks: 5 } : {};
    expect(position("keep", walks).findings.find(({ text }) => text.includes("walks tables"))).toMatchObject({ count: 9, of: 9 });
  });

  test("a quiescing client that is not clean contradicts the demand that clients quiesce", () => {
    expect(position("quiesce", ({ clientShutdown }) => (clientShutdown === "quiescing" ? { verdict: "stray" } : {})).bearing).toBe(
      "contradicted",
    );
  });

  test("a price weighs neither way", () => {
    const refused = ({ smmuShutdown }: { smmuShutdown: string }): object => (smmuShutdown === "abort" ? { verdict: "contained" } : {});
    expect(position("abort", refused).bearing).toBe("borne out");
    expect(
      position("abort", refused)
        .findings.filter(({ weight }) => weight === "price")
        .map(({ count }) => count),
    ).toEqual([0, 27]);
  });

  test("in kdump a verdict that depends on a hook would show", () => {
    const swayed = position("crash", ({ wayDown, clientShutdown }) =>
      wayDown === "kdump" && clientShutdown === "no-hook" ? { verdict: "stray" } : {},
    );
    expect(swayed.findings[0]).toMatchObject({ count: 0, of: 3 });
    expect(swayed.bearing).not.toBe("borne out");
  });

  test("without cells nothing is claimed", () => {
    expect(positions([]).map(({ bearing }) => bearing)).toEqual(Array.from({ length: 5 }, () => "not measured"));
  });
});
