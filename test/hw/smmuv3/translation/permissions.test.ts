// SPDX-License-Identifier: MIT
/** Permissions of both stages against tables written from DDI 0487 D8.4 and IHI 0070 §13. */
import { describe, expect, test } from "vitest";
import { stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench, type Request } from "./bench.ts";

/** AP[2:1], UXN, PXN; what privileged and what unprivileged accesses may do. */
const STAGE1: readonly (readonly [ap: number, uxn: number, pxn: number, privileged: string, user: string])[] = [
  [0, 0, 0, "RWX", "X"],
  [0, 0, 1, "RW", "X"],
  [0, 1, 0, "RWX", ""],
  [0, 1, 1, "RW", ""],
  [1, 0, 0, "RW", "RWX"],
  [1, 0, 1, "RW", "RWX"],
  [1, 1, 0, "RW", "RW"],
  [1, 1, 1, "RW", "RW"],
  [2, 0, 0, "RX", "X"],
  [2, 0, 1, "R", "X"],
  [2, 1, 0, "RX", ""],
  [2, 1, 1, "R", ""],
  [3, 0, 0, "RX", "RX"],
  [3, 0, 1, "R", "RX"],
  [3, 1, 0, "RX", "R"],
  [3, 1, 1, "R", "R"],
];

const ACCESSES: readonly (readonly [letter: string, request: Request])[] = [
  ["R", {}],
  ["W", { write: true }],
  ["X", { instruction: true }],
];

/** What a stream may do at an address, as letters; a refusal must be an F_PERMISSION of the given stage. */
function allowed(bench: Bench, privileged: boolean, stage: 1 | 2 = 1): string {
  let letters = "";
  for (const [letter, request] of ACCESSES) {
    const { event } = bench.go(0x10, { ...request, privileged });
    if (event === undefined) {
      letters += letter;
    } else {
      expect(event.name).toBe("F_PERMISSION");
      expect(event.fields).toMatchObject({
        S2: stage - 1,
        CLASS: 2,
        RnW: letter === "W" ? 0 : 1,
        InD: letter === "X" ? 1 : 0,
        PnU: privileged ? 1 : 0,
      });
    }
  }
  return letters;
}

function page(ap: number, uxn: number, pxn: number, cd: Record<string, number> = {}, ste: Record<string, number> = {}, tables = {}): Bench {
  const bench = new Bench();
  const table = bench.pageTable(1);
  table.map(0, 0x5000_0000, 0x1000, { ap, uxn, pxn }, 3, tables);
  bench.stage1(0, table, cd, ste);
  return bench;
}

function without(letters: string, gone: string): string {
  return [...letters].filter((letter) => !gone.includes(letter)).join("");
}

describe("stage 1 with two privileges", () => {
  for (const [ap, uxn, pxn, privileged, user] of STAGE1) {
    const name = `AP ${ap}, UXN ${uxn}, PXN ${pxn}`;
    test(`${name}: privileged may ${privileged || "nothing"}`, () => expect(allowed(page(ap, uxn, pxn), true)).toBe(privileged));
    test(`${name}: unprivileged may ${user || "nothing"}`, () => expect(allowed(page(ap, uxn, pxn), false)).toBe(user));

    const wxnPrivileged = privileged.includes("W") ? without(privileged, "X") : privileged;
    const wxnUser = user.includes("W") ? without(user, "X") : user;
    test(`${name}, WXN: what is writable is not executable`, () => {
      const bench = page(ap, uxn, pxn, { WXN: 1 });
      expect([allowed(bench, true), allowed(bench, false)]).toEqual([wxnPrivileged, wxnUser]);
    });

    const epanPrivileged = user === "" ? privileged : without(privileged, "RW");
    test(`${name}, PAN and EPAN: privileged data accesses to memory that is unprivileged in any way are refused (§5.4)`, () => {
      const bench = page(ap, uxn, pxn, { PAN: 1, EPAN: 1 });
      expect([allowed(bench, true), allowed(bench, false)]).toEqual([epanPrivileged, user]);
    });

    test(`${name}, EPAN without PAN: no effect (§5.4)`, () => {
      const bench = page(ap, uxn, pxn, { EPAN: 1 });
      expect([allowed(bench, true), allowed(bench, false)]).toEqual([privileged, user]);
    });

    const panPrivileged = ap & 1 ? without(privileged, "RW") : privileged;
    test(`${name}, PAN: privileged data accesses to unprivileged memory are refused, execution is not`, () => {
      const bench = page(ap, uxn, pxn, { PAN: 1 });
      expect([allowed(bench, true), allowed(bench, false)]).toEqual([panPrivileged, user]);
    });
  }
});

describe("stage 1 of EL2: one privilege, one XN", () => {
  for (const ap of [0, 1, 2, 3]) {
    for (const uxn of [0, 1]) {
      for (const pxn of [0, 1]) {
        const expected = (ap & 2 ? "R" : "RW") + (uxn ? "" : "X");
        test(`AP ${ap}, XN ${uxn}, bit 53 ${pxn}: ${expected} at either privilege`, () => {
          const bench = page(ap, uxn, pxn, {}, { STRW: 2 });
          expect([allowed(bench, true), allowed(bench, false)]).toEqual([expected, expected]);
        });
      }
    }
  }

  test("PAN and EPAN have no effect", () => {
    expect(allowed(page(1, 0, 0, { PAN: 1, EPAN: 1 }, { STRW: 2 }), true)).toBe("RWX");
  });

  test("WXN has effect", () => {
    expect(allowed(page(1, 0, 0, { WXN: 1 }, { STRW: 2 }), true)).toBe("RW");
  });

  test("EL2-E2H has two privileges", () => {
    const bench = page(0, 0, 0, {}, { STRW: 2 });
    bench.cr2 |= 1;
    expect([allowed(bench, true), allowed(bench, false)]).toEqual(["RWX", "X"]);
  });
});

describe("hierarchical attributes", () => {
  for (const [tables, privileged, user] of [
    [{ apTable: 0 }, "RW", "RWX"],
    [{ apTable: 1 }, "RWX", "X"],
    [{ apTable: 2 }, "RX", "RX"],
    [{ apTable: 3 }, "RX", "X"],
    [{ uxnTable: 1 }, "RW", "RW"],
    [{ apTable: 2, uxnTable: 1 }, "RX", "R"],
    [{ apTable: 2, pxnTable: 1 }, "R", "RX"],
  ] as const) {
    const name = JSON.stringify(tables);
    test(`${name} over a page that all may read, write and execute`, () => {
      const bench = page(1, 0, 0, {}, {}, tables);
      expect([allowed(bench, true), allowed(bench, false)]).toEqual([privileged, user]);
    });
    test(`${name} with HAD0 1 has no effect`, () => {
      const bench = page(1, 0, 0, { HAD0: 1 }, {}, tables);
      expect([allowed(bench, true), allowed(bench, false)]).toEqual(["RW", "RWX"]);
    });
    test(`${name} with AIE 1 has no effect (DDI 0487 R_MJGNV)`, () => {
      const bench = page(1, 0, 0, { AIE: 1 }, {}, tables);
      expect([allowed(bench, true), allowed(bench, false)]).toEqual(["RW", "RWX"]);
    });
    test(`${name} with HAD1 1 has effect on TTB0`, () => {
      const bench = page(1, 0, 0, { HAD1: 1 }, {}, tables);
      expect([allowed(bench, true), allowed(bench, false)]).toEqual([privileged, user]);
    });
  }

  test("attributes of all levels add up", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(0, 0x5000_0000, 0x1000);
    for (const [level, bit] of [
      [0, 30],
      [1, 29],
      [2, 28],
    ] as const) {
      const at = table.entryAddress(0, level);
      const [lo, hi] = table.read(at);
      table.write(at, [lo, (hi | (1 << bit)) >>> 0]);
    }
    bench.stage1(0, table);
    expect([allowed(bench, true), allowed(bench, false)]).toEqual(["RX", ""]);
  });
});

/** S2AP: reads and writes. XN with XNX: who may execute. */
const S2AP = ["", "R", "W", "RW"];
const XNX: readonly (readonly [privileged: boolean, user: boolean])[] = [
  [true, true],
  [false, true],
  [false, false],
  [true, false],
];

describe("stage 2", () => {
  function bench(ap: number, xn: number, xnx: boolean): Bench {
    const made = new Bench({ xnx });
    const table = made.pageTable(2, 12, { inputBits: 40 });
    table.map(0, 0x5000_0000, 0x1000, { ap, xn });
    made.streams.write(0, stage2Ste(table));
    return made;
  }
  for (const [ap, data] of S2AP.entries()) {
    for (const [xn, [privileged, user]] of XNX.entries()) {
      test(`S2AP ${ap}, XN ${xn} with XNX: data ${data || "none"}, execution by privilege`, () => {
        const made = bench(ap, xn, true);
        expect([allowed(made, true, 2), allowed(made, false, 2)]).toEqual([data + (privileged ? "X" : ""), data + (user ? "X" : "")]);
      });
      test(`S2AP ${ap}, XN ${xn} without XNX: only XN[1] counts`, () => {
        const made = bench(ap, xn, false);
        const expected = data + (xn < 2 ? "X" : "");
        expect([allowed(made, true, 2), allowed(made, false, 2)]).toEqual([expected, expected]);
      });
    }
  }
});

describe("IHI 0070 §5.2: PRIVCFG and INSTCFG", () => {
  /** Privileged: RX. Unprivileged: nothing. */
  const privOnly = (ste: Record<string, number>): Bench => page(2, 1, 0, {}, ste);
  /** Privileged: R. Unprivileged: X. */
  const userExecutes = (ste: Record<string, number>): Bench => page(2, 0, 1, {}, ste);

  test("PRIVCFG 0 and 1 use the incoming privilege", () => {
    for (const PRIVCFG of [0, 1]) expect([allowed(privOnly({ PRIVCFG }), true), allowed(privOnly({ PRIVCFG }), false)]).toEqual(["RX", ""]);
  });
  test("PRIVCFG 2 makes every access unprivileged, also in the event", () => {
    const { event } = privOnly({ PRIVCFG: 2 }).go(0, { privileged: true });
    expect(event?.name).toBe("F_PERMISSION");
    expect(event?.fields["PnU"]).toBe(0);
  });
  test("PRIVCFG 3 makes every access privileged", () => {
    expect(privOnly({ PRIVCFG: 3 }).result(0)).toBe(0x5000_0000);
  });
  test("INSTCFG 0 and 1 use the incoming kind", () => {
    for (const INSTCFG of [0, 1]) expect(allowed(userExecutes({ INSTCFG }), false)).toBe("X");
  });
  test("INSTCFG 2 makes reads data, also in the event", () => {
    const { event } = userExecutes({ INSTCFG: 2 }).go(0, { instruction: true });
    expect(event?.name).toBe("F_PERMISSION");
    expect(event?.fields["InD"]).toBe(0);
  });
  test("INSTCFG 3 makes reads instruction fetches", () => {
    expect(userExecutes({ INSTCFG: 3 }).result(0)).toBe(0x5000_0000);
  });
  test("INSTCFG 3 leaves writes data", () => {
    expect(page(1, 1, 1, {}, { INSTCFG: 3 }).result(0, { write: true })).toBe(0x5000_0000);
  });
  test("a write marked as instruction counts as data (§13.1.2)", () => {
    const { event } = page(3, 0, 0).go(0, { write: true, instruction: true });
    expect(event?.fields).toMatchObject({ InD: 0, RnW: 0 });
  });
  test("without ATTR_PERMS_OVR they have no effect", () => {
    const bench = new Bench({ attrPermsOvr: false });
    const table = bench.pageTable(1);
    table.map(0, 0x5000_0000, 0x1000, { ap: 2, uxn: 1 });
    bench.stage1(0, table, {}, { PRIVCFG: 3, INSTCFG: 3 });
    expect(bench.result(0)).toBe("F_PERMISSION");
    expect(bench.result(0, { privileged: true })).toBe(0x5000_0000);
  });
});
