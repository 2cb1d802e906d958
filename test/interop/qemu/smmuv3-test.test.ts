// SPDX-License-Identifier: MIT
/** QEMU's own SMMUv3 test, replayed through the protocol. */
import { describe, expect, test } from "vitest";
import { QtestClient } from "./client.ts";
import { BAR0, EVENT_QUEUE, IOVA, SMMU, caseArguments, placeTestdev, smmuv3Test, testdevDma, translation, translationCases } from "./smmuv3-sequence.ts";
import type { Exchange } from "./smmuv3-sequence.ts";

export function play(client: QtestClient, exchanges: readonly Exchange[]): void {
  for (const { command, reply } of exchanges) expect(client.lines(command), command).toEqual([reply]);
}

describe("QEMU's iommu-smmuv3-test", () => {
  test.each(translationCases)("%s: result 0 and the pattern at the physical address, with the default profile", (kind) => {
    play(new QtestClient(...caseArguments), smmuv3Test(kind));
  });

  test.each(["qemu", "max", "linux-typical"])("all cases pass with profile %s", (profile) => {
    for (const kind of translationCases) play(new QtestClient(...caseArguments, "-machine", `x-smmu-profile=${profile}`), smmuv3Test(kind));
  });

  test.each([
    { kind: "s1-only", event: 0x0a, why: "C_BAD_CD: its ASID has 16 bits" },
    { kind: "s2-only", event: 0x04, why: "C_BAD_STE: there is no stage 2" },
  ] as const)("profile tiny implements less and says so, $kind: $why", ({ kind, event }) => {
    const client = new QtestClient(...caseArguments, "-machine", "x-smmu-profile=tiny");
    play(client, [...placeTestdev(), ...translation(kind, 8), ...testdevDma(IOVA, 0xdead_0002)]);
    expect(client.readl(SMMU + 0x1_00a8)).toBe(1);
    expect(client.readl(EVENT_QUEUE) & 0xff).toBe(event);
  });

  test("without iommu=smmuv3 the device's addresses are physical", () => {
    const client = new QtestClient("-machine", "virt", "-device", "iommu-testdev");
    play(client, [...placeTestdev(), ...testdevDma(0x4ecb_a567, 0)]);
    play(client, testdevDma(0x3000_0000, 0xdead_0002));
    expect(client.readl(SMMU)).toBe(0);
    expect(client.readl(BAR0 + 0x10)).toBe(0xdead_0002);
  });
});
