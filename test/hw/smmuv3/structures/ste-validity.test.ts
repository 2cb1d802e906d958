// SPDX-License-Identifier: MIT
/**
 * Every field of the STE, in every value or at every bit, and every two that hang together, in every kind of STE, on SMMUs that
 * differ in one feature each: ILLEGAL exactly where IHI 0070 §5.2.2 says so.
 */
import { describe, expect, test } from "vitest";
import { STE } from "../../../../src/hw/smmuv3/spec/ste.ts";
import { CONFIGS } from "./configs.ts";
import { type Fields, type Kind, partsOf, Setup, valuesOf } from "./setup.ts";
import { brokenSteLaw, type Law, STE_LAW } from "./ste-law.ts";

/** Features that say nothing of an STE's legality. */
const ELSEWHERE = /RAZ|overrides|ASIDs|stage-1 indirection|granule only|OAS 36|OAS 42|VAX/u;
const setups = CONFIGS.filter(({ name }) => !ELSEWHERE.test(name)).map((config) => new Setup(config));
const seen = new Set<Law>();
const C_BAD_STE = 4;
/** For fields that no feature makes or breaks. */
const few = setups.filter(({ config }) => ["all of it", "no stage 2", "linux-typical", "tiny"].includes(config.name));

/** Fields whose legality hangs on each other, and values of each. */
const TOGETHER: Readonly<Record<string, readonly number[]>> = {
  Config: [0, 3, 4, 5, 6, 7],
  S1Fmt: [0, 1, 2, 3],
  S1CDMax: [0, 1, 3, 4, 20, 21],
  S1ContextPtr: [0, 2 ** 32, 2 ** 44, 2 ** 48, 2 ** 52],
  S1STALLD: [0, 1],
  EATS: [0, 1, 2, 3],
  STRW: [0, 1, 2, 3],
  S2VMID: [0, 255, 256],
  S2T0SZ: [11, 12, 15, 16, 20, 24, 32, 39, 40, 47, 48, 49],
  S2SL0: [0, 1, 2, 3],
  S2SL0_2: [0, 1],
  S2DS: [0, 1],
  S2TG: [0, 1, 2, 3],
  S2PS: [0, 1, 2, 5, 6, 7],
  S2TTB: [0x4800_0000, 2 ** 32, 2 ** 40, 2 ** 48, 2 ** 51],
  S2AA64: [0, 1],
  S2SKL: [0, 1, 3],
  S2ENDI: [0, 1],
  S2FWB: [0, 1],
  S2HA: [0, 1],
  S2HD: [0, 1],
  S2HAFT: [0, 1],
  S2S: [0, 1],
  S2PIE: [0, 1],
  S2POE: [0, 1],
  S2POIlo: [0, 0x1000],
};

/** Changes to a legal STE that the model takes otherwise than the text. */
function wrongOf(kinds: (setup: Setup) => readonly Kind[], changes: readonly Fields[], on: readonly Setup[] = setups): string[] {
  const wrong: string[] = [];
  for (const setup of on) {
    const { config } = setup;
    for (const kind of kinds(setup)) {
      const base = setup.ste[kind];
      const fields = { ...base };
      setup.place(base);
      for (const change of changes) {
        Object.assign(fields, change);
        const law = brokenSteLaw(fields, config);
        for (const name in change) fields[name] = base[name]!;
        if (law !== undefined) seen.add(law);
        setup.change(change);
        const event = setup.event();
        if ((law !== undefined) === (event === C_BAD_STE)) continue;
        const truth = law === undefined ? "the STE is legal" : `${law.text} (${law.section})`;
        wrong.push(`${config.name}, ${kind}, ${JSON.stringify(change)}: event ${event}, but ${truth}`);
      }
    }
  }
  return wrong;
}

describe("IHI 0070 §5.2.2: STEs that are ILLEGAL, one field at a time", () => {
  test("the unchanged STEs are legal", () => {
    expect(wrongOf((setup) => setup.kinds, [{}])).toEqual([]);
    for (const setup of setups) for (const kind of setup.kinds) expect(brokenSteLaw(setup.ste[kind], setup.config)).toBeUndefined();
  });
  test("a stage that is not implemented", () => {
    expect(wrongOf(() => ["stage 1", "EL2", "substreams", "stage 2", "nested"], [{}])).toEqual([]);
  });
  for (const field of STE.fields.flatMap(partsOf)) {
    test(`${field.name}: ILLEGAL exactly where the text says so`, () => {
      const changes = valuesOf(field).map((value) => ({ [field.name]: value }));
      expect(wrongOf((setup) => setup.kinds, changes, field.name === "V" || field.name in TOGETHER ? setups : few)).toEqual([]);
    });
  }
});

describe("IHI 0070 §5.2.2: STEs that are ILLEGAL, two fields at a time", () => {
  const names = Object.keys(TOGETHER);
  for (const [index, first] of names.entries()) {
    test(`${first} and each field after it`, () => {
      const pairs = names
        .slice(index + 1)
        .flatMap((second) => TOGETHER[first]!.flatMap((a) => TOGETHER[second]!.map((b) => ({ [first]: a, [second]: b }))));
      expect(wrongOf(() => (first.startsWith("S2") ? ["nested"] : ["stage 1", "nested"]), pairs)).toEqual([]);
    });
  }
});

test("every rule of §5.2.2 for Non-secure streams is broken by some STE above, as far as the model has the feature", () => {
  const missed = STE_LAW.filter((law) => !seen.has(law)).map(({ text }) => text);
  const features: Readonly<Record<string, boolean>> = {
    "no S2S, stalls forced": CONFIGS.some(({ stallModel }) => stallModel === "force"),
    "S2HD with HTTU 0b01": CONFIGS.some(({ httu }) => httu === 1),
    "S2HAFT without S2HA": CONFIGS.some(({ httu }) => httu === 3),
    "overlay without indirection": CONFIGS.some(({ s2po }) => s2po),
    "reserved overlay": CONFIGS.some(({ s2po }) => s2po),
  };
  expect(missed.filter((text) => features[text] ?? true)).toEqual([]);
});
