// SPDX-License-Identifier: MIT
/**
 * Every field of the CD, in every value or at every bit, and every two that hang together, under every StreamWorld, on SMMUs that
 * differ in one feature each: ILLEGAL exactly where IHI 0070 §5.4.2 says so, and without effect where the field is IGNORED or RES0.
 */
import { describe, expect, test } from "vitest";
import { CD } from "../../../../src/hw/smmuv3/spec/cd.ts";
import { PageTable128 } from "../../../../src/hw/smmuv3/tables/page-table128.ts";
import { brokenCdLaw, CD_LAW, cdFieldMatters, type CdLaw, type Stream } from "./cd-law.ts";
import { CONFIGS } from "./configs.ts";
import { type Fields, PA, partsOf, Setup, VA, valuesOf } from "./setup.ts";

/** A way to a CD, and the legal CD there. */
interface Case {
  readonly setup: Setup;
  readonly name: string;
  readonly stream: Stream;
  readonly base: Fields;
  /** Makes the way. */
  enter(): void;
}

const FEW = ["all of it", "tiny"];
const STREAM: Stream = { world: "NS-EL1", S1STALLD: 0, S1PIE: 0 };

function casesOf(setup: Setup): readonly Case[] {
  const { config, ste, cd, bench } = setup;
  if (!config.stage1) return [];
  const way = (name: string, stream: Stream, fields: Fields, base: Fields = cd): Case => ({
    setup,
    name,
    stream,
    base,
    enter: () => {
      bench.cr2 = stream.world === "EL2-E2H" ? 3 : 2;
      setup.place(fields);
      setup.placeCd(base);
    },
  });
  const cases = [way("EL1", STREAM, ste["stage 1"])];
  // What these ways leave out or add hangs on no other feature than the byte order.
  if (FEW.includes(config.name) || config.name.endsWith("-endian")) {
    cases.push(way("EPD0", STREAM, ste["stage 1"], { ...cd, EPD0: 1 }), way("EPD1", STREAM, ste["stage 1"], { ...cd, EPD1: 1 }));
    if (config.stage2) cases.push(way("nested", STREAM, ste.nested));
  }
  if (config.hyp) {
    cases.push(way("EL2", { ...STREAM, world: "EL2" }, ste.EL2), way("EL2-E2H", { ...STREAM, world: "EL2-E2H" }, ste.EL2));
  }
  if (config.stallModel === "both") cases.push(way("S1STALLD", { ...STREAM, S1STALLD: 1 }, { ...ste["stage 1"], S1STALLD: 1 }));
  if (config.s1pi && FEW.includes(config.name)) {
    const stream = { ...STREAM, S1PIE: 1 };
    const PIIP = 0b101;
    cases.push(way("PIE", stream, { ...ste["stage 1"], S1PIE: 1 }, { ...cd, PIE: 1, PIIP }));
    if (config.d128) {
      const [ttb0, ttb1] = [0, 1].map(() => {
        const { memory } = bench.bus;
        return new PageTable128({ memory, arena: bench.arena, stage: 1, granule: setup.granule, inputBits: 39 });
      });
      ttb0!.map(VA, PA, 2 ** setup.granule);
      cases.push(
        way("D128", stream, { ...ste["stage 1"], S1PIE: 1 }, { ...cd, AA64: 0, PIIP, PIIU: PIIP, TTB0: ttb0!.base, TTB1: ttb1!.base }),
      );
    }
    if (config.hyp) cases.push(way("PIE, EL2", { ...stream, world: "EL2" }, { ...ste.EL2, S1PIE: 1 }, { ...cd, PIE: 1, PIIP }));
  }
  return cases;
}

/** Features that say nothing of a CD. */
const ELSEWHERE = /VMID|overrides|substreams|SSIDSIZE|2-level|overlays|stage-2|of stage 2|OAS 3[26]|OAS 42|without EL2/u;
const cases = CONFIGS.filter(({ name }) => !ELSEWHERE.test(name)).flatMap((config) => casesOf(new Setup(config)));
const few = cases.filter(({ setup }) => FEW.includes(setup.config.name));
const seen = new Set<CdLaw>();
const C_BAD_CD = 0x0a;

/** Fields whose legality hangs on each other, and values of each. */
const TOGETHER: Readonly<Record<string, readonly number[]>> = {
  T0SZ: [8, 9, 11, 12, 15, 16, 39, 40, 47, 48, 49],
  TG0: [0, 1, 2, 3],
  EPD0: [0, 1],
  ENDI: [0, 1],
  T1SZ: [11, 12, 15, 16, 39, 40, 47, 48, 49],
  TG1: [0, 1, 2, 3],
  EPD1: [0, 1],
  IPS: [0, 1, 2, 5, 6, 7],
  AA64: [0, 1],
  HD: [0, 1],
  HA: [0, 1],
  S: [0, 1],
  A: [0, 1],
  ASID: [0, 255, 256],
  HAFT: [0, 1],
  TTB0: [0x4800_0000, 2 ** 32, 2 ** 40, 2 ** 48, 2 ** 51],
  TTB1: [0x4800_0000, 2 ** 32, 2 ** 40, 2 ** 48, 2 ** 51],
  DS: [0, 1],
  SKL0: [0, 1, 2, 3],
  SKL1: [0, 1, 3],
  PIE: [0, 1],
  PIIU: [0, 0b100, 0b110, 0b111],
  PIIP: [0, 0b010, 0b100, 0b110, 0b111],
};

/** Changes to a legal CD that the model takes otherwise than the text. */
function wrongOf(changes: readonly Fields[], on: readonly Case[] = cases): string[] {
  const wrong: string[] = [];
  for (const { setup, name, stream, base, enter } of on) {
    const { config } = setup;
    const fields = { ...base };
    enter();
    for (const change of changes) {
      Object.assign(fields, change);
      const law = brokenCdLaw(fields, stream, config);
      for (const key in change) fields[key] = base[key]!;
      if (law !== undefined) seen.add(law);
      setup.change(change);
      const event = setup.event();
      if ((law !== undefined) === (event === C_BAD_CD)) continue;
      const truth = law === undefined ? "the CD is legal" : `${law.text} (${law.section})`;
      wrong.push(`${config.name}, ${name}, ${JSON.stringify(change)}: event ${event}, but ${truth}`);
    }
  }
  return wrong;
}

describe("IHI 0070 §5.4.2: CDs that are ILLEGAL, one field at a time", () => {
  test("the unchanged CDs are legal", () => {
    expect(wrongOf([{}])).toEqual([]);
    for (const { setup, stream, base } of cases) expect(brokenCdLaw(base, stream, setup.config)).toBeUndefined();
  });
  for (const field of CD.fields) {
    test(`${field.name}: ILLEGAL exactly where the text says so`, () => {
      const changes = valuesOf(field).map((value) => ({ [field.name]: value }));
      expect(wrongOf(changes, field.name === "V" || field.name in TOGETHER ? cases : few)).toEqual([]);
    });
  }
});

describe("IHI 0070 §5.4.2: CDs that are ILLEGAL, two fields at a time", () => {
  const names = Object.keys(TOGETHER);
  for (const [index, first] of names.entries()) {
    test(`${first} and each field after it`, () => {
      const pairs = names
        .slice(index + 1)
        .flatMap((second) => TOGETHER[first]!.flatMap((a) => TOGETHER[second]!.map((b) => ({ [first]: a, [second]: b }))));
      const ways = ["EL1", "EL2", "PIE", "D128"];
      expect(
        wrongOf(
          pairs,
          cases.filter(({ name }) => ways.includes(name)),
        ),
      ).toEqual([]);
    });
  }
});

test("every rule of §5.4.2 for Non-secure streams is broken by some CD above, as far as the model has the feature", () => {
  const some = (feature: (setup: Setup) => boolean): boolean => cases.some(({ setup }) => feature(setup));
  const indirection = some(({ config }) => config.s1pi);
  const features: Readonly<Record<string, boolean>> = {
    "S where STE.S1STALLD forbids it": some(({ config }) => config.stallModel === "both"),
    "no S, stalls forced": some(({ config }) => config.stallModel === "force"),
    "HD with HTTU 0b01": some(({ config }) => config.httu === 1),
    "HAFT without HA": some(({ config }) => config.httu === 3),
    "reserved entry of PIIP": indirection,
    "reserved entry of PIIU": indirection,
    "pX where uW": indirection,
  };
  const missed = CD_LAW.filter((law) => !seen.has(law)).map(({ text }) => text);
  expect(missed.filter((text) => features[text] ?? true)).toEqual([]);
});

/** What each case shows, unchanged. */
const views = new Map<Case, string>();

describe("IHI 0070 §5.4, §5.4.1: fields that are IGNORED or RES0 change nothing, whatever their value", () => {
  for (const field of CD.fields.flatMap(partsOf)) {
    test(`${field.name} where it does not count`, () => {
      const wrong: string[] = [];
      const values = valuesOf(field);
      for (const each of cases) {
        const { setup, name, stream, base, enter } = each;
        if (cdFieldMatters(field.name, base, stream, setup.config)) continue;
        enter();
        const unchanged = views.get(each) ?? setup.view();
        views.set(each, unchanged);
        const fields = { ...base };
        for (const value of few.includes(each) ? values : [values[0]!, values[1]!, values.at(-1)!]) {
          fields[field.name] = value;
          if (cdFieldMatters(field.name, fields, stream, setup.config)) continue;
          setup.change({ [field.name]: value });
          if (setup.view() !== unchanged) wrong.push(`${setup.config.name}, ${name}: ${field.name} ${value}`);
        }
      }
      expect(wrong).toEqual([]);
    });
  }
});

test("choice res0-in-structures: bits of no field of the CD change nothing", () => {
  const wrong: string[] = [];
  const free = Array.from({ length: 512 }, (_, bit) => bit).filter((bit) => !CD.fields.some(({ hi, lo }) => bit >= lo && bit <= hi));
  expect(free.length).toBeGreaterThan(50);
  for (const { setup, name, enter } of few) {
    enter();
    const unchanged = setup.view();
    const { memory } = setup.bench.bus;
    for (const bit of free) {
      const at = setup.cdAddress + 4 * (bit >> 5);
      enter();
      memory.write32(at, (memory.read32(at) | (1 << (bit & 31))) >>> 0);
      if (setup.view() !== unchanged) wrong.push(`${setup.config.name}, ${name}: bit ${bit}`);
    }
  }
  expect(wrong).toEqual([]);
});
