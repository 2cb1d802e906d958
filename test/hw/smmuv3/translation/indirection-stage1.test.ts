// SPDX-License-Identifier: MIT
/** Indirect permissions of stage 1 (IHI 0070 §3.26.1, §5.4 CD.PIIP and CD.PIIU; DDI 0487 D8.4.1.3). */
import { describe, expect, test } from "vitest";
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { at, Bench, type Request } from "./bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;
const ON = { S1PIE: 1 };

/** Codes of an entry that are not reserved, and what they permit. */
const CODES: readonly (readonly [code: number, letters: string])[] = [
  [0, ""],
  [1, "R"],
  [2, "X"],
  [3, "RX"],
  [5, "RW"],
  [7, "RWX"],
];

/** CD.PIIP or CD.PIIU with one entry that is not 0. */
function entry(index: number, code: number): number {
  return code * 8 ** index;
}

function without(letters: string, gone: string): string {
  return [...letters].filter((letter) => !gone.includes(letter)).join("");
}

function page(
  leaf: Record<string, number>,
  cd: Record<string, number>,
  ste: Record<string, number> = ON,
  config: Partial<SmmuConfig> = {},
  tables = {},
): Bench {
  const bench = new Bench(config);
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000, leaf, 3, tables);
  bench.stage1(0, table, { PIE: 1, ...cd }, ste);
  return bench;
}

/** What may be done, as letters; a refusal must be an F_PERMISSION of stage 1 and not one of dirty state. */
function allowed(bench: Bench, privileged: boolean): string {
  let letters = "";
  const accesses: readonly (readonly [string, Request])[] = [
    ["R", {}],
    ["W", { write: true }],
    ["X", { instruction: true }],
  ];
  for (const [letter, request] of accesses) {
    const { event } = bench.go(VA, { ...request, privileged });
    if (event === undefined) letters += letter;
    else expect([event.name, event.fields["S2"], event.fields["CLASS"], event.fields["DirtyBit"]]).toEqual(["F_PERMISSION", 0, 2, 0]);
  }
  return letters;
}

describe("§5.4: PIIP and PIIU say what privileged and unprivileged accesses may do", () => {
  for (const [privilegedCode, privileged] of CODES) {
    for (const [userCode, user] of CODES) {
      const unsafe = privileged.includes("X") && user.includes("W");
      const name = `PIIP ${privilegedCode}, PIIU ${userCode}`;
      const cd = { PIIP: entry(9, privilegedCode), PIIU: entry(9, userCode) };
      if (unsafe) {
        test(`${name}: privileged execution of what is unprivileged-writable is C_BAD_CD`, () => {
          expect(page({ piIndex: 9 }, cd).result(VA)).toBe("C_BAD_CD");
        });
        continue;
      }
      test(`${name}: privileged ${privileged || "nothing"}, unprivileged ${user || "nothing"}`, () => {
        const bench = page({ piIndex: 9 }, cd);
        expect([allowed(bench, true), allowed(bench, false)]).toEqual([privileged, user]);
      });
      test(`${name}, WXN: no effect`, () => {
        const bench = page({ piIndex: 9 }, { ...cd, WXN: 1 });
        expect([allowed(bench, true), allowed(bench, false)]).toEqual([privileged, user]);
      });
      for (const EPAN of [0, 1]) {
        test(`${name}, PAN, EPAN ${EPAN}: no privileged data access where there is any unprivileged access`, () => {
          const bench = page({ piIndex: 9 }, { ...cd, PAN: 1, EPAN });
          expect(allowed(bench, true)).toBe(user === "" ? privileged : without(privileged, "RW"));
          expect(allowed(bench, false)).toBe(user);
        });
      }
      test(`${name}, EL2: PIIP alone, at either privilege`, () => {
        const bench = page({ piIndex: 9 }, { ...cd, PAN: 1 }, { ...ON, STRW: 2 });
        expect([allowed(bench, true), allowed(bench, false)]).toEqual([privileged, privileged]);
      });
    }
  }
});

describe("DDI 0487 D8.3: PIIndex is bits 54, 53, 51 and 6", () => {
  for (let index = 0; index < 16; index++) {
    test(`PIIndex ${index} picks its entry and no other`, () => {
      const bench = page({ piIndex: index }, { PIIP: entry(index, 1), PIIU: entry(index, 1) });
      expect([bench.result(VA), bench.result(VA, { privileged: true })]).toEqual([PA, PA]);
      const others = (8 ** 16 - 1) / 7 - entry(index, 1);
      expect(page({ piIndex: index }, { PIIP: others, PIIU: others }).result(VA)).toBe("F_PERMISSION");
    });
  }
  test("bit by bit", () => {
    for (const [lo, hi, index] of [
      [0x40, 0, 1],
      [0, 0x8_0000, 2],
      [0, 0x20_0000, 4],
      [0, 0x40_0000, 8],
    ] as const) {
      const bench = new Bench();
      const table = bench.pageTable(1);
      table.map(VA, PA, 0x1000, { piIndex: 0 });
      const [low, high] = table.read(table.entryAddress(VA, 3));
      table.write(table.entryAddress(VA, 3), [low | lo, high | hi]);
      bench.stage1(0, table, { PIE: 1, PIIU: entry(index, 1) }, ON);
      expect(bench.result(VA)).toBe(PA);
    }
  });
});

describe("§3.26.1: when it is on", () => {
  const nothing = { PIIP: 0, PIIU: 0 };
  for (const [name, ste, cd, config] of [
    ["S1PIE 0", { S1PIE: 0 }, { PIE: 1 }, {}],
    ["PIE 0", ON, { PIE: 0 }, {}],
    ["IDR3.S1PI 0", ON, { PIE: 1 }, { s1pi: false }],
  ] as const) {
    test(`${name}: permissions are direct, and reserved entries are harmless`, () => {
      const leaf = { ap: 1 };
      expect(page(leaf, { ...nothing, ...cd }, ste, config).result(VA)).toBe(PA);
      expect(page(leaf, { ...cd, PIIP: entry(3, 4), PIIU: entry(4, 6) }, ste, config).result(VA)).toBe(PA);
    });
  }
  test("DDI 0487 D8.4.1.3: tables above have no say", () => {
    const bench = page({ piIndex: 0 }, { PIIP: 5, PIIU: 7 }, ON, {}, { apTable: 3, uxnTable: 1, pxnTable: 1 });
    expect([allowed(bench, true), allowed(bench, false)]).toEqual(["RW", "RWX"]);
  });
  test("§3.26.1: E0PD acts all the same", () => {
    expect(page({ piIndex: 0 }, { PIIP: 1, PIIU: 1, E0PD0: 1 }).result(VA)).toBe("F_TRANSLATION");
  });
});

describe("§5.4.2: reserved entries", () => {
  for (const code of [4, 6]) {
    for (const index of [0, 7, 10, 15]) {
      test(`PIIP[${index}] ${code} is C_BAD_CD`, () => expect(page({}, { PIIP: entry(index, code) }).result(VA)).toBe("C_BAD_CD"));
      test(`PIIU[${index}] ${code} is C_BAD_CD`, () => expect(page({}, { PIIU: entry(index, code) }).result(VA)).toBe("C_BAD_CD"));
      test(`PIIU[${index}] ${code} at EL2 is ignored`, () => {
        expect(page({ piIndex: 1 }, { PIIP: entry(1, 1), PIIU: entry(index, code) }, { ...ON, STRW: 2 }).result(VA)).toBe(PA);
      });
    }
  }
});

describe("§3.13.3.2: dirty state", () => {
  const cd = { PIIP: entry(4, 5), PIIU: entry(4, 5) };
  const clean = { piIndex: 4, nDirty: 1 };

  test("HD 1: a write to a writable-clean page clears nDirty", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000, clean);
    bench.stage1(0, table, { PIE: 1, ...cd, HA: 1, HD: 1 }, ON);
    const [lo, hi] = table.read(table.entryAddress(VA, 3));
    expect(bench.result(VA)).toBe(PA);
    expect(table.read(table.entryAddress(VA, 3))).toEqual([lo, hi]);
    expect(bench.result(VA, { write: true })).toBe(PA);
    expect(table.read(table.entryAddress(VA, 3))).toEqual([lo & ~0x80, hi]);
  });

  for (const [name, more] of [
    ["HA 0, HD 0", {}],
    ["HA 1, HD 0", { HA: 1 }],
    ["HA 0, HD 1, which acts as HD 0", { HD: 1 }],
  ] as const) {
    test(`${name}: a write to a writable-clean page is F_PERMISSION with DirtyBit 1, from memory and from the TLB`, () => {
      const bench = page(clean, { ...cd, ...more });
      for (let i = 0; i < 2; i++) {
        const { event } = bench.go(VA, { write: true });
        expect(event?.name).toBe("F_PERMISSION");
        expect(event?.fields).toMatchObject({ S2: 0, CLASS: 2, RnW: 0, DirtyBit: 1 });
        expect(bench.result(VA)).toBe(PA);
      }
      expect(bench.stores).toEqual([]);
    });
  }

  test("DirtyBit is 0 where a write is not permitted anyway", () => {
    const { event } = page({ piIndex: 1, nDirty: 1 }, { PIIU: entry(1, 1), PIIP: entry(1, 5) }).go(VA, { write: true });
    expect(event?.fields).toMatchObject({ DirtyBit: 0 });
  });

  test("DirtyBit is 0 with direct permissions", () => {
    const { event } = page({ ap: 3, dbm: 1 }, { PIE: 0 }).go(VA, { write: true });
    expect(event?.fields).toMatchObject({ DirtyBit: 0 });
  });

  test("software that marks the page dirty and invalidates may write", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000, clean);
    bench.stage1(0, table, { PIE: 1, ...cd }, ON);
    expect(bench.result(VA)).toBe(PA);
    table.map(VA, PA, 0x1000, { piIndex: 4 });
    expect(bench.result(VA, { write: true })).toBe("F_PERMISSION");
    bench.translator.tlbMaintenance.nhVa(0, 0, at(VA));
    expect(bench.result(VA, { write: true })).toBe(PA);
  });

  test("bit 51 is PIIndex[1] and no DBM: HD 1 alone decides", () => {
    expect(page({ piIndex: 2, nDirty: 1 }, { PIIU: entry(2, 1), HA: 1, HD: 1 }).result(VA, { write: true })).toBe("F_PERMISSION");
    expect(page({ piIndex: 1, nDirty: 1 }, { PIIU: entry(1, 5), HA: 1, HD: 1 }).result(VA, { write: true })).toBe(PA);
  });
});
