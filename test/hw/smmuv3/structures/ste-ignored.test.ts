// SPDX-License-Identifier: MIT
/** Fields of the STE that are IGNORED or RES0, by kind of STE and feature: no value of them changes anything (IHI 0070 §5.2). */
import { describe, expect, test } from "vitest";
import { STE } from "../../../../src/hw/smmuv3/spec/ste.ts";
import { CONFIGS } from "./configs.ts";
import { partsOf, Setup, valuesOf } from "./setup.ts";
import { steFieldMatters } from "./ste-law.ts";

const setups = CONFIGS.map((config) => new Setup(config));
/** What each configuration and kind of STE shows, unchanged. */
const views = new Map<string, string>();
/** These try every value, the others three, and those only of fields that count somewhere. */
const few = setups.filter(({ config }) => ["all of it", "tiny"].includes(config.name));

/** True if the field counts in some STE: what else it needs for that is set. */
function countsSomewhere(name: string): boolean {
  const needs = { MTCFG: 1, ALLOCCFG: 15, S2DS: 1, S2POE: 1, S1CDMax: 1 };
  return setups.some(({ config, kinds, ste }) => kinds.some((kind) => steFieldMatters(name, { ...ste[kind], ...needs }, config)));
}

describe("IHI 0070 §5.2, §5.2.1: fields that are IGNORED or RES0 change nothing, whatever their value", () => {
  for (const field of STE.fields.flatMap(partsOf)) {
    const name = field.name.replace(/hi$|lo$/u, "");
    test(`${field.name} where it does not count`, () => {
      const wrong: string[] = [];
      const values = valuesOf(field);
      for (const setup of countsSomewhere(name) ? setups : few) {
        const some = few.includes(setup) ? values : [values[0]!, values[1]!, values.at(-1)!];
        for (const kind of setup.kinds) {
          const base = setup.ste[kind];
          if (steFieldMatters(name, base, setup.config)) continue;
          const fields = { ...base };
          setup.place(base);
          const key = `${setup.config.name}, ${kind}`;
          const unchanged = views.get(key) ?? setup.view();
          views.set(key, unchanged);
          for (const value of some) {
            fields[field.name] = value;
            if (steFieldMatters(name, fields, setup.config)) continue;
            setup.change({ [field.name]: value });
            if (setup.view() !== unchanged) wrong.push(`${setup.config.name}, ${kind}: ${field.name} ${value}`);
          }
        }
      }
      expect(wrong).toEqual([]);
    });
  }
});

/** Bits of the STE that no field has: RES0 or IMPLEMENTATION DEFINED. */
test("choice res0-in-structures: bits of no field change nothing", () => {
  const wrong: string[] = [];
  const free = Array.from({ length: 512 }, (_, bit) => bit).filter((bit) => !STE.fields.some(({ hi, lo }) => bit >= lo && bit <= hi));
  expect(free.length).toBeGreaterThan(50);
  for (const setup of few) {
    for (const kind of setup.kinds) {
      setup.place(setup.ste[kind]);
      const unchanged = setup.view();
      const at = setup.bench.streams.steAddress(0);
      for (const bit of free) {
        setup.place(setup.ste[kind]);
        const word = at + 4 * (bit >> 5);
        const { memory } = setup.bench.bus;
        memory.write32(word, (memory.read32(word) | (1 << (bit & 31))) >>> 0);
        if (setup.view() !== unchanged) wrong.push(`${setup.config.name}, ${kind}: bit ${bit}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});
