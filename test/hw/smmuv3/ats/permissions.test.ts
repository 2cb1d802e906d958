// SPDX-License-Identifier: MIT
/** What a Translation Request is granted, and what it makes accessed and dirty (IHI 0070 §3.13.7, §13.7). */
import { describe, expect, test } from "vitest";
import type { LeafFields, PageTable } from "../../../../src/hw/index.ts";
import { AtsBench, type AtsOptions, IPA, PA, STREAM, VA } from "./bench.ts";

const RO_USER_RW_PRIV = "User-RO, Priv-RW";
/** Permissions of §13.7's table that direct permissions have: AP[2:1] 1 is RW for both, 3 RO for both, 0 RW for privileged. */
const AP = { "User-RW, Priv-RW": 1, "User-RO, Priv-RO": 3, "Priv-RW": 0, "Priv-RO": 2 } as const;

/** A substream, so that requests may have Exe and Priv. */
function stage1(
  leaf: LeafFields,
  ste: Readonly<Record<string, number>> = {},
  cd: Readonly<Record<string, number>> = {},
  more: AtsOptions = {},
): AtsBench {
  const bench = new AtsBench(more);
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000, leaf);
  const at = bench.arena.take(128);
  bench.putCd(table, cd, at);
  bench.putCd(table, cd, at + 64);
  bench.stage1(table, cd, { S1CDMax: 1, S1DSS: 2, S1ContextPtr: at, ...ste });
  return bench.run();
}

const PASID = { substreamId: 1 } as const;

describe("§13.7: what is granted, by request and page", () => {
  const rows: readonly (readonly [nw: boolean, exe: boolean, priv: boolean, page: LeafFields, granted: string])[] = [
    [false, false, false, { ap: AP["User-RW, Priv-RW"] }, "RW"],
    [false, false, false, { ap: AP["User-RW, Priv-RW"], uxn: 1 }, "RW"],
    [false, true, false, { ap: AP["User-RW, Priv-RW"] }, "RWX"],
    [false, true, false, { ap: AP["User-RW, Priv-RW"], uxn: 1 }, "RW"],
    [true, true, false, { ap: AP["User-RO, Priv-RO"] }, "RX"],
    [true, false, false, { ap: AP["User-RO, Priv-RO"] }, "R"],
    [false, false, false, { ap: AP["User-RO, Priv-RO"] }, "R"],
    [false, false, false, { ap: AP["Priv-RW"] }, "none"],
    [false, false, true, { ap: AP["Priv-RW"] }, "RW"],
    [false, true, true, { ap: AP["Priv-RW"] }, "RWX"],
    [false, true, true, { ap: AP["Priv-RW"], pxn: 1 }, "RW"],
    // User-X, Priv-RW, UXN 0: without a read there is nothing.
    [false, true, false, { ap: AP["Priv-RW"] }, "none"],
  ];
  for (const [noWrite, execute, privileged, page, granted] of rows) {
    test(`NW ${+noWrite}, Exe ${+execute}, Priv ${+privileged} to ${JSON.stringify(page)}: ${granted}`, () => {
      expect(stage1(page).rights(VA, { ...PASID, noWrite, execute, privileged })).toBe(granted);
    });
  }
  test(`${RO_USER_RW_PRIV}, by indirect permissions: privileged requests write, others read`, () => {
    // PIIP code 5 reads and writes, PIIU code 1 reads.
    const bench = stage1({ piIndex: 0 }, { S1PIE: 1 }, { PIE: 1, PIIP: 5, PIIU: 1 });
    expect(bench.rights(VA, PASID)).toBe("R");
    expect(bench.rights(VA, { ...PASID, privileged: true })).toBe("RW");
  });
  test("Priv of the completion is that of the request, also where nothing is granted", () => {
    const bench = stage1({ ap: AP["Priv-RW"] });
    expect(bench.request(VA, { ...PASID, privileged: true })).toMatchObject({ privileged: true, read: true });
    expect(bench.request(VA + 0x1000, { ...PASID, privileged: true })).toMatchObject({ privileged: true, read: false });
    expect(bench.request(VA, PASID)).toMatchObject({ privileged: false, read: false });
  });
  test("without a PASID there is no Exe and no Priv", () => {
    const bench = stage1({ ap: AP["Priv-RW"] });
    expect(bench.rights(VA, { execute: true, privileged: true })).toBe("none");
    const open = stage1({ ap: AP["User-RW, Priv-RW"] });
    expect(open.request(VA, { execute: true, privileged: true })).toMatchObject({ read: true, execute: false, privileged: false });
  });
});

describe("§13.7.1: PRIVCFG and INSTCFG", () => {
  test("PRIVCFG decides which permissions count, and Priv of the completion stays that of the request", () => {
    const user = stage1({ ap: AP["Priv-RW"] }, { PRIVCFG: 2 });
    expect(user.request(VA, { ...PASID, privileged: true })).toMatchObject({ read: false, write: false, privileged: true });
    const priv = stage1({ ap: AP["Priv-RW"] }, { PRIVCFG: 3 });
    expect(priv.request(VA, PASID)).toMatchObject({ read: true, write: true, privileged: false });
  });
  test("INSTCFG Instruction: R is the permission to execute, also of an execute-only page", () => {
    const xo = { S1PIE: 1, INSTCFG: 3 };
    // PIIU code 2 executes only.
    const bench = stage1({ piIndex: 0 }, xo, { PIE: 1, PIIP: 5, PIIU: 2 });
    expect(bench.rights(VA, { ...PASID, execute: true })).toBe("RX");
    expect(bench.rights(VA, PASID)).toBe("R");
    expect(stage1({ piIndex: 0 }, { S1PIE: 1 }, { PIE: 1, PIIP: 5, PIIU: 2 }).rights(VA, { ...PASID, execute: true })).toBe("none");
    expect(stage1({ ap: 3, uxn: 1 }, { INSTCFG: 3 }).rights(VA, { ...PASID, execute: true })).toBe("none");
  });
  test("INSTCFG Data: what may be read may be executed", () => {
    expect(stage1({ ap: 3, uxn: 1 }, { INSTCFG: 2 }).rights(VA, { ...PASID, execute: true })).toBe("RX");
  });
  test("without IDR1.ATTR_PERMS_OVR neither counts", () => {
    const none = { config: { attrPermsOvr: false } };
    expect(stage1({ ap: AP["Priv-RW"] }, { PRIVCFG: 3 }, {}, none).rights(VA, PASID)).toBe("none");
  });
});

interface Two {
  readonly bench: AtsBench;
  readonly first: PageTable;
  readonly second: PageTable;
}

function nested(
  leaf1: LeafFields,
  leaf2: LeafFields,
  cd: Readonly<Record<string, number>> = {},
  ste: Readonly<Record<string, number>> = {},
): Two {
  const bench = new AtsBench();
  const first = bench.pageTable(1);
  first.map(VA, IPA, 0x1000, leaf1);
  const second = bench.pageTable(2, { inputBits: 40 });
  second.map(IPA, PA, 0x1000, leaf2);
  bench.nested(first, second, cd, ste);
  return { bench: bench.run(), first, second };
}

/** Bits [10] (AF) and [7:6] (AP[2:1], or S2AP) of a leaf. */
function leaf(table: PageTable, address: number): { af: number; ap: number } {
  const [lo] = table.read(table.entryAddress(address, 3));
  return { af: (lo >>> 10) & 1, ap: (lo >>> 6) & 3 };
}

const HD = { HA: 1, HD: 1 };
const S2HD = { S2HA: 1, S2HD: 1 };

describe("§13.6.3: permissions of both stages", () => {
  for (const EATS of [1, 2]) {
    test(`EATS ${EATS}: what both grant`, () => {
      expect(nested({ ap: 1 }, { ap: 1 }, {}, { EATS }).bench.rights()).toBe("R");
      expect(nested({ ap: 3 }, { ap: 3 }, {}, { EATS }).bench.rights()).toBe("R");
      expect(nested({ ap: 1 }, { ap: 2 }, {}, { EATS }).bench.rights()).toBe("W");
      expect(nested({ ap: 1 }, { ap: 0 }, {}, { EATS }).bench.rights()).toBe("none");
    });
  }
  test("§3.9.1.2: where stage 1 grants nothing, stage 2 of the address is not asked", () => {
    const { bench, second } = nested({ ap: 0 }, { ap: 3, af: 0 }, {}, S2HD);
    expect(bench.rights()).toBe("none");
    expect(leaf(second, IPA).af).toBe(0);
  });
  test("§3.27.2: AssuredOnly memory that an ordinary translation leads to: R = W = 0", () => {
    expect(nested({}, { assuredOnly: 1 }, {}, { AssuredOnly: 1 }).bench.rights()).toBe("none");
    expect(nested({}, { assuredOnly: 1 }).bench.rights()).toBe("RW");
  });
});

describe("§3.13.7: Access flag and dirty state", () => {
  const CLEAN = { ap: 3, dbm: 1 };
  function one(page: LeafFields, cd: Readonly<Record<string, number>>): { bench: AtsBench; table: PageTable } {
    const bench = new AtsBench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000, page);
    bench.stage1(table, cd);
    return { bench: bench.run(), table };
  }
  test("a request sets the Access flag where hardware does, and is denied where software does", () => {
    const hardware = one({ af: 0 }, HD);
    expect(hardware.bench.rights(VA, { noWrite: true })).toBe("RW");
    expect(leaf(hardware.table, VA).af).toBe(1);
    const software = one({ af: 0 }, {});
    expect(software.bench.rights()).toBe("none");
    expect(leaf(software.table, VA).af).toBe(0);
  });
  test("NW 0 makes writable-clean memory dirty before W is granted", () => {
    const { bench, table } = one(CLEAN, HD);
    expect(bench.rights()).toBe("RW");
    expect(leaf(table, VA).ap).toBe(1);
  });
  test("NW 1 never does, and W is not granted", () => {
    const { bench, table } = one(CLEAN, HD);
    expect(bench.rights(VA, { noWrite: true })).toBe("R");
    expect(leaf(table, VA).ap).toBe(3);
  });
  test("NW 0 after NW 1: the cached writable-clean translation becomes dirty", () => {
    const { bench, table } = one(CLEAN, HD);
    expect(bench.rights(VA, { noWrite: true })).toBe("R");
    expect(bench.rights()).toBe("RW");
    expect(leaf(table, VA).ap).toBe(1);
  });
  test("with hardware Access flag alone a writable-clean page is read-only", () => {
    const { bench, table } = one(CLEAN, { HA: 1 });
    expect(bench.rights()).toBe("R");
    expect(leaf(table, VA).ap).toBe(3);
  });
  test("choice unaskedWrite: NW 1 is granted W where memory is dirty, or not", () => {
    expect(one({ ap: 1 }, HD).bench.rights(VA, { noWrite: true })).toBe("RW");
    const bench = new AtsBench({ options: { choices: { unaskedWrite: "withheld" } } });
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    bench.stage1(table);
    bench.run();
    expect(bench.rights(VA, { noWrite: true })).toBe("R");
    expect(bench.rights()).toBe("RW");
  });
  test("a read-only stage 1 leaves the dirty state of both stages alone", () => {
    const { bench, first, second } = nested({ ap: 3 }, { ap: 1, dbm: 1 }, HD, S2HD);
    expect(bench.rights()).toBe("R");
    expect([leaf(first, VA).ap, leaf(second, IPA).ap]).toEqual([3, 1]);
  });
  test("a read-only stage 2 leaves a writable-clean stage 1 clean: no write is granted", () => {
    const { bench, first } = nested(CLEAN, { ap: 1 }, HD, S2HD);
    expect(bench.rights()).toBe("R");
    expect(leaf(first, VA).ap).toBe(3);
  });
  test("both stages writable-clean become dirty", () => {
    for (const EATS of [1, 2]) {
      const { bench, first, second } = nested(CLEAN, { ap: 1, dbm: 1 }, HD, { ...S2HD, EATS });
      expect(bench.rights()).toBe("RW");
      expect([leaf(first, VA).ap, leaf(second, IPA).ap]).toEqual([1, 3]);
    }
  });
  test("stage 2 alone", () => {
    const bench = new AtsBench();
    const table = bench.pageTable(2, { inputBits: 40 });
    table.map(IPA, PA, 0x1000, { ap: 1, dbm: 1, af: 0 });
    bench.stage2(table, S2HD);
    bench.run();
    expect(bench.rights(IPA, { noWrite: true })).toBe("R");
    expect(leaf(table, IPA)).toEqual({ af: 1, ap: 1 });
    expect(bench.rights(IPA)).toBe("RW");
    expect(leaf(table, IPA)).toEqual({ af: 1, ap: 3 });
  });
  test("§3.13.6: Access flags of table descriptors are set as by an access", () => {
    const bench = new AtsBench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    bench.stage1(table, { HA: 1, HAFT: 1 });
    bench.run();
    expect(bench.rights(VA, { noWrite: true })).toBe("RW");
    const [lo] = table.read(table.entryAddress(VA, 2));
    expect((lo >>> 10) & 1).toBe(1);
  });
});

test("the requests of a stream that has no PASID support in its STE fail, others are not touched", () => {
  const bench = stage1({ ap: 1 });
  expect(bench.tr(VA, { substreamId: 2 })).toBe("CA");
  expect(bench.tr(VA, PASID, STREAM)).toEqual({ to: PA, size: 12, rights: "RW" });
});
