// SPDX-License-Identifier: MIT
/** Fields of features that the model has not got: RES0 by the ID registers, and named (IHI 0070 §5.2, §5.4, §5.6). */
import { describe, expect, test } from "vitest";
import { NotModelledError } from "../../../../src/hw/errors.ts";
import { profiles, idRegisters, validateConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { smmuCommands } from "../../../../src/hw/smmuv3/spec/commands.ts";
import { CD } from "../../../../src/hw/smmuv3/spec/cd.ts";
import { STE } from "../../../../src/hw/smmuv3/spec/ste.ts";
import { fieldOf, Setup } from "./setup.ts";

const config = { ...profiles.max, caches: { ste: 0, cd: 0, tlb: 0, walk: 0, replacement: "round-robin" } as const };

/** Fields that ask for a feature of the ID register bit behind them. */
const ASKING: readonly (readonly [feature: string, structure: typeof STE, fields: readonly string[]])[] = [
  ["MPAM", STE, ["S1MPAM", "PARTID", "PMG", "VMSPtr"]],
  ["MPAM", CD, ["PARTID", "PMG"]],
  ["PRI", STE, ["PPAR"]],
  ["PBHA", STE, ["S2HWU59", "S2HWU60", "S2HWU61", "S2HWU62"]],
  ["PBHA", CD, ["HWU059", "HWU060", "HWU061", "HWU062", "HWU159", "HWU160", "HWU161", "HWU162"]],
];

/** A nested stream with one field of its STE or CD changed. */
function asking(structure: typeof STE, fields: Record<string, number>): Setup {
  const setup = new Setup(config);
  setup.place(setup.ste.nested);
  if (structure === CD) setup.placeCd(setup.cd);
  setup.change(fields);
  return setup;
}

describe("a field that asks for what is absent changes nothing and is named", () => {
  const unchanged = asking(STE, {}).view();
  for (const [feature, structure, names] of ASKING) {
    for (const name of names) {
      test(`${structure.name}.${name} (${feature})`, () => {
        const { hi, lo } = fieldOf(structure, name);
        const all = (2 ** (hi - lo + 1) - 1) * (name === "VMSPtr" ? 4096 : 1);
        const setup = asking(structure, { [name]: all });
        expect(setup.view()).toBe(unchanged);
        expect([...setup.bench.notModelled.counts.keys()]).toEqual([`${structure.name}.${name} (${feature})`]);
      });
    }
  }
});

describe("IHI 0070 §5.6: the VMS belongs to MPAM, which is absent", () => {
  test("IDR3.MPAM is 0, and a configuration that asks for it is refused", () => {
    const { SMMU_IDR3 } = idRegisters(profiles.max);
    // FWB is bit 8, MPAM bit 7.
    expect(SMMU_IDR3! & (3 << 7)).toBe(1 << 8);
    expect(() => validateConfig({ ...profiles.max, beyond: { mpam: true } })).toThrow(NotModelledError);
  });
  test("S1MPAM 1 with a VMSPtr beyond the OAS in a nested STE: nothing is fetched through it, and the STE is legal", () => {
    const setup = asking(STE, { S1MPAM: 1, VMSPtr: 2 ** 55 });
    expect(setup.event()).toBe(0);
    expect(new Set(setup.bench.loads.map(({ kind }) => kind))).toEqual(new Set(["ste", "cd", "tt-s1", "tt-s2"]));
  });
  test("CMD_CFGI_VMS_PIDM is there for its name only", () => {
    expect(smmuCommands.find(({ opcode }) => opcode === 0x07)).toMatchObject({ name: "CMD_CFGI_VMS_PIDM", needs: ["mpam"] });
  });
});
