// SPDX-License-Identifier: MIT
/** Steps of walks with LPA2: five levels, addresses above 2^48 (IHI 0070 §5.2 S2DS, §5.4 DS; DDI 0487 D8.2). */
import { describe, expect, test } from "vitest";
import { BusStatus, PageTable, TableArena, profiles, stage1Cd, stage1Ste, stage2Ste } from "../../../src/hw/index.ts";
import { type Fetch, stepsOf } from "../../../src/interop/explain/steps.ts";
import { Images } from "./machine.ts";

const IA = 0xf_edcb_a987_6000;

function walk(stage: 1 | 2, size: number): ReturnType<typeof stepsOf> {
  const memory = new Images();
  const table = new PageTable({
    memory,
    arena: new TableArena(0x4000_0000, 0x10_0000),
    stage,
    granule: 12,
    inputBits: 52,
    startLevel: -1,
    ds: true,
  });
  table.map(IA, 2 ** 51 + 0x5000, 0x1000);
  const kind = stage === 1 ? "tt-s1" : "tt-s2";
  const fetches = [-1, 0, 1, 2, 3].map((level): Fetch => {
    const address = table.entryAddress(IA, level);
    return { kind, address, level, words: Uint32Array.from(table.read(address)), status: BusStatus.ok };
  });
  return stepsOf(fetches, {
    config: profiles.max,
    streamId: 0,
    index: 0,
    addressHi: Math.floor(IA / 2 ** 32),
    addressLo: IA % 2 ** 32,
    split: undefined,
    e2h: false,
    ste: stage === 1 ? stage1Ste(0) : stage2Ste(table, { S2PS: size }),
    cd: stage === 1 ? stage1Cd({ ttb0: table }, { IPS: size }) : undefined,
  });
}

describe("a walk of 52 bits with 4 KiB granules", () => {
  test("stage 1 starts at level -1 and names the entry of each table", () => {
    const steps = walk(1, 6);
    expect(steps.map(({ title }) => title)).toEqual([-1, 0, 1, 2, 3].map((level) => `stage 1, level ${level}`));
    expect(steps.map(({ says }) => says[0])).toEqual([
      "entry 0xf of the table of TTB0",
      ...["0x1db", "0x12e", "0x14c", "0x76"].map((index) => `entry ${index} of the next table`),
    ]);
  });
  test("stage 2 starts at level -1 by S2SL0_2", () => {
    expect(walk(2, 6).map(({ title }) => title.slice(0, 17))).toEqual(
      [-1, 0, 1, 2, 3].map((level) => `stage 2, level ${level},`.slice(0, 17)),
    );
  });
  test("the output has bit 51; with an output size of 48 bits that is F_ADDR_SIZE", () => {
    for (const stage of [1, 2] as const) {
      expect(walk(stage, 6).at(-1)!.decoded!.summary).toContain("output 0x8000000005000");
      expect(walk(stage, 6).at(-1)!.says.join()).not.toContain("F_ADDR_SIZE");
      expect(walk(stage, 5).at(-1)!.says.join()).toContain("0x8000000005000 is beyond the output size of 48 bits: F_ADDR_SIZE");
    }
  });
});
