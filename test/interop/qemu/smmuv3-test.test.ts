// SPDX-License-Identifier: MIT
/** QEMU's own SMMUv3 test, replayed through the protocol. */
import { describe, expect, test } from "vitest";
import { QtestClient } from "./client.ts";
import {
  BAR0,
  EVENT_QUEUE,
  type Exchange,
  IOVA,
  SMMU,
  caseArguments,
  placeTestdev,
  smmuv3Test,
  testdevDma,
  translation,
  translationCases,
} from "./smmuv3-sequence.ts";

/** What was said, line by line. */
function transcript(client: QtestClient, exchanges: readonly Exchange[]): string[] {
  return exchanges.map(({ command }) => `${command} -> ${client.lines(command).join(" | ")}`);
}

function expected(exchanges: readonly Exchange[]): string[] {
  return exchanges.map(({ command, reply }) => `${command} -> ${reply}`);
}

describe("QEMU's iommu-smmuv3-test", () => {
  test("the replay has as many commands as the test sends", () => {
    expect(translationCases.map((kind) => smmuv3Test(kind).length)).toEqual([362, 330, 366]);
  });

  test.each(translationCases)("%s: result 0 and the pattern at the physical address, with the default profile", (kind) => {
    const exchanges = smmuv3Test(kind);
    expect(transcript(new QtestClient(...caseArguments), exchanges)).toEqual(expected(exchanges));
  });

  test.each(["qemu", "max", "linux-typical"])("all cases pass with profile %s", (profile) => {
    for (const kind of translationCases) {
      const exchanges = smmuv3Test(kind);
      const client = new QtestClient(...caseArguments, "-machine", `x-smmu-profile=${profile}`);
      expect(transcript(client, exchanges)).toEqual(expected(exchanges));
    }
  });

  test.each([
    { kind: "s1-only", event: 0x0a, why: "C_BAD_CD: its ASID has 16 bits" },
    { kind: "s2-only", event: 0x04, why: "C_BAD_STE: there is no stage 2" },
  ] as const)("profile tiny implements less and says so, $kind: $why", ({ kind, event }) => {
    const client = new QtestClient(...caseArguments, "-machine", "x-smmu-profile=tiny");
    const exchanges = [...placeTestdev(), ...translation(kind, 8), ...testdevDma(IOVA, 0xdead_0002)];
    expect(transcript(client, exchanges)).toEqual(expected(exchanges));
    expect(client.readl(SMMU + 0x1_00a8)).toBe(1);
    expect(client.readl(EVENT_QUEUE) & 0xff).toBe(event);
  });

  test("without iommu=smmuv3 the device's addresses are physical", () => {
    const client = new QtestClient("-machine", "virt", "-device", "iommu-testdev");
    const exchanges = [...placeTestdev(), ...testdevDma(0x4ecb_a567, 0), ...testdevDma(0x3000_0000, 0xdead_0002)];
    expect(transcript(client, exchanges)).toEqual(expected(exchanges));
    expect(client.readl(SMMU)).toBe(0);
    expect(client.readl(BAR0 + 0x10)).toBe(0xdead_0002);
  });
});
