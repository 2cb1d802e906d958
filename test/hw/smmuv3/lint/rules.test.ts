// SPDX-License-Identifier: MIT
/** Each rule of the lint: a driver that makes the mistake, and one that does the same thing right. */
import { describe, expect, test } from "vitest";
import { lintRules, lintText } from "../../../../src/hw/index.ts";
import { CD_RULES } from "../../../../src/hw/smmuv3/config/cd-rules.ts";
import { STE_RULES } from "../../../../src/hw/smmuv3/config/ste-rules.ts";
import { commandCases } from "./command-cases.ts";
import { CFGI_STE, CMDQ, Driver, PA, STREAM, SYNC, at } from "./driver.ts";
import { registerCases } from "./register-cases.ts";
import { tableCases } from "./table-cases.ts";

const cases = [...registerCases, ...commandCases, ...tableCases];

describe.each(cases)("$rule: $what", ({ rule, wrong, right }) => {
  test("is named, and nothing else is", () => {
    const driver = new Driver({ sidSize: 16 });
    wrong(driver);
    expect(
      driver.finish().filter((name) => !name.startsWith("ste-")),
      driver.details.join("\n"),
    ).toEqual([rule]);
  });
  test("done right it is not", () => {
    const driver = new Driver({ sidSize: 16 });
    right(driver);
    expect(
      driver.finish().filter((name) => !name.startsWith("ste-")),
      driver.details.join("\n"),
    ).toEqual([]);
  });
});

describe("the table of rules", () => {
  test("every rule has a case", () => {
    const tested = new Set<string>(cases.map(({ rule }) => rule));
    expect(lintRules.map(({ id }) => id).filter((id) => !tested.has(id))).toEqual([]);
  });
  test("every rule has an id of its own, a section and a text", () => {
    expect(new Set(lintRules.map(({ id }) => id)).size).toBe(lintRules.length);
    for (const { section, text } of lintRules) {
      expect(section).toMatch(/^§\d+(\.\d+)+$/);
      expect(text.length).toBeGreaterThan(10);
    }
  });
  test("a message carries the section of its rule", () => {
    const driver = new Driver();
    driver.w64(at.CMDQ_BASE, CMDQ + 0x20 + 8);
    expect(driver.details).toEqual([
      `queue-base-alignment: CMDQ_BASE 0x40100028 is not aligned to 0x1000 bytes: low bits are taken as 0 (§3.5.1)`,
    ]);
  });
});

describe("a text", () => {
  test("is there for every rule of the three tables, and for nothing else", () => {
    const all = [...lintRules.map(({ id }) => id), ...STE_RULES.map(({ id }) => `ste-${id}`), ...CD_RULES.map(({ id }) => `cd-${id}`)];
    const texts = all.map((rule) => lintText(rule));
    expect(all.filter((_rule, index) => (texts[index]?.length ?? 0) < 10)).toEqual([]);
    expect(new Set(texts).size).toBe(all.length);
    expect(["ste-", "ste-none", "cd-none", "none"].map(lintText)).toEqual([undefined, undefined, undefined, undefined]);
  });
  test("of an STE with V = 0 says what that means", () => {
    expect(lintText("ste-V")).toBe(
      "an STE is used that is ILLEGAL, V is 0: nobody has configured this stream, or somebody took its configuration away",
    );
  });
});

describe("live structures", () => {
  function rewrite(detector: boolean): string[] {
    const driver = new Driver({}, { detector });
    driver.start();
    driver.install(driver.attach().ste);
    driver.dma();
    driver.streams.write(STREAM, driver.attach({ S1CSH: 0 }).ste);
    driver.issue(CFGI_STE, SYNC);
    return driver.finish();
  }
  test("are watched with the stale-use detector only: without it nothing is compared", () => {
    expect(rewrite(true)).toEqual(["live-ste-rewritten"]);
    expect(rewrite(false)).toEqual([]);
  });
  test("are named once, however often they are used", () => {
    const driver = new Driver();
    driver.start();
    driver.install(driver.attach().ste);
    driver.dma();
    driver.streams.write(STREAM, driver.attach({ S1CSH: 0 }).ste);
    driver.dma();
    driver.dma();
    driver.issue(CFGI_STE, SYNC);
    expect(driver.finish()).toEqual(["live-ste-rewritten"]);
  });
  test("are no concern while STE.V is 0: software prepares them in any order", () => {
    const driver = new Driver();
    driver.start();
    driver.dma();
    driver.streams.write(STREAM, driver.attach().ste);
    driver.issue(CFGI_STE, SYNC);
    expect(driver.dma()).toBe(PA);
    expect(driver.finish()).toEqual(["ste-V"]);
  });
});
