// SPDX-License-Identifier: MIT
/** Boots of real Linux kernels against boots of our own: what the driver does to the SMMU is the same, but for a table. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bootDifferences, compareBoots, modelBoot } from "../../../src/interop/index.ts";
import { FIXTURES } from "../explain/machine.ts";
import { bootsOf, distinct, fixtureBoots, type Recorded, sharedBoots } from "./boots.ts";

function compare({ boot, linux, passthrough, strict }: Recorded): ReturnType<typeof compareBoots> {
  const ours = modelBoot("recorded", boot, { iommuPassthrough: passthrough, iommuStrict: strict });
  const structures = boot.structures.length > 0;
  const facts = { linux, passthrough, structures, crash: boot.crash, idr: boot.idr };
  return compareBoots([...boot.lines, ...boot.structures], [...ours.lines, ...(structures ? ours.structures : [])], facts);
}

const boots = fixtureBoots();
const named = boots.map((recorded) => [`Linux ${recorded.linux}, ${recorded.where[0]}`, recorded] as const);

describe("probe, reset and first attach", () => {
  test.each(named)("%s: no difference that is not listed, and none listed that does not occur", (_name, recorded) => {
    const { unlisted, absent } = compare(recorded);
    expect(unlisted).toEqual({ recorded: [], ours: [] });
    expect(absent).toEqual([]);
  });

  test("each row of the table occurs in some boot of a version that it names", () => {
    const occurred = new Set(boots.flatMap((recorded) => compare(recorded).listed.map((name) => `${name} ${recorded.linux}`)));
    const listed = bootDifferences.flatMap(({ name, linux }) => linux.map((version) => `${name} ${version}`));
    expect([...occurred].toSorted()).toEqual(listed.toSorted());
  });

  test("a boot has everything from the first ID register to the first device's structures", () => {
    for (const { boot } of boots.filter((recorded) => recorded.boot.structures.length > 0)) {
      expect(boot.lines[0]).toMatch(/^SMMU_IDR0 reads/);
      expect(boot.lines).toContain(boot.crash ? "SMMU_CR0 <- 0x9" : "SMMU_CR0 <- 0xd");
      expect(boot.lines.some((line) => line.startsWith("CMD_CFGI_STE"))).toBe(true);
      expect(boot.structures[0]).toMatch(/^STE\[0\]/);
    }
  });
});

describe("the fixture of boots", () => {
  const places = new Set(boots.flatMap(({ where }) => where));

  test.each(readdirSync(FIXTURES))("has the boots of the recording %s", (name) => {
    for (const recorded of bootsOf(join(FIXTURES, name), name)) {
      expect(places).toContain(recorded.where[0]);
      const stored = boots.find(({ where }) => where.includes(recorded.where[0]!))!;
      expect({ ...recorded.boot, before: [] }).toEqual({ ...stored.boot, before: [] });
    }
  });

  const shared = sharedBoots();
  // To make it again, write `distinct(sharedBoots())` as JSON to FIXTURE and have it formatted.
  test.skipIf(shared === null)("is what the recordings say, where they are present (QUIESCE_RECORDINGS names their folder)", () => {
    expect(boots).toEqual(distinct(shared!));
  });

  test.skipIf(shared === null)("stands for every boot of a recorded kernel with pages of 4 KiB", () => {
    expect(new Set(shared!.flatMap(({ where }) => where))).toEqual(places);
  });
});
