// SPDX-License-Identifier: MIT
/** Indirect permissions and overlays of stage 2 (IHI 0070 §3.26.2, §5.2 STE.S2POI, §6.3.17; DDI 0487 D8.4.2.2). */
import { describe, expect, test } from "vitest";
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { nestedSte, stage1Cd, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import type { PageTable } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { Bench, type Request } from "./bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;
const IPA = 0x4800_0000;
const PIE = { S2PIE: 1 };
const POE = { S2PIE: 1, S2POE: 1 };

/** Code, and the accesses that it permits: read, write, unprivileged and privileged execute, and update by a stage-1 walk. */
const CODES: readonly (readonly [code: number, name: string, permits: string])[] = [
  [0, "NoAccess", ""],
  [2, "MRO", "rm"],
  [3, "MRO-TL1", "rm"],
  [4, "WO", "w"],
  [6, "MRO-TL0", "rm"],
  [7, "MRO-TL01", "rm"],
  [8, "RO", "r"],
  [9, "RO+uX", "ru"],
  [10, "RO+pX", "rp"],
  [11, "RO+puX", "rup"],
  [12, "RW", "rwm"],
  [13, "RW+uX", "rwum"],
  [14, "RW+pX", "rwpm"],
  [15, "RW+puX", "rwupm"],
];

const ACCESSES: readonly (readonly [letter: string, request: Request])[] = [
  ["r", {}],
  ["w", { write: true }],
  ["u", { instruction: true }],
  ["p", { instruction: true, privileged: true }],
];

interface Made {
  readonly bench: Bench;
  readonly s1: PageTable;
  readonly s2: PageTable;
}

/** An STE with S2POI, of which entry 5 has a code and the others permit all. */
function withOverlay(words: Uint32Array, overlay: number | undefined): Uint32Array {
  if (overlay === undefined) return words;
  words[14] = (0xff0f_ffff | (overlay << 20)) >>> 0;
  words[15] = 0xffff_ffff;
  return words;
}

/** Stage 2 alone: the page has PIIndex 9 and POIndex 5. */
function stage2(base: number, overlay?: number, leaf = {}, ste: Record<string, number> = {}, config: Partial<SmmuConfig> = {}): Made {
  const bench = new Bench(config);
  bench.s2pii[9] = base;
  const s2 = bench.pageTable(2, 12, { inputBits: 40 });
  s2.map(VA, PA, 0x1000, { piIndex: 9, poIndex: 5, ...leaf });
  const on = overlay === undefined ? PIE : POE;
  bench.streams.write(0, withOverlay(stage2Ste(s2, { ...on, ...ste }), overlay));
  return { bench, s1: s2, s2 };
}

/** Two stages; stage-1 tables and the CD have PIIndex 9 and POIndex 5, the output page may be used in any way. */
function nested(base: number, overlay?: number, cd = {}, ste: Record<string, number> = {}, leaf1 = {}, tables = {}): Made {
  const bench = new Bench();
  bench.s2pii.fill(15);
  bench.s2pii[9] = base;
  const s1 = bench.pageTable(1);
  s1.map(VA, IPA, 0x1000, leaf1);
  const at = bench.placeCd(stage1Cd({ ttb0: s1 }, cd));
  const s2 = bench.pageTable(2, 12, { inputBits: 40 });
  s2.map(0x4000_0000, 0x4000_0000, 0x10_0000, { piIndex: 9, poIndex: 5, ...tables });
  // The CD is used, whatever becomes of the tables.
  s2.map(at & ~0xfff, at & ~0xfff, 0x1000, { piIndex: 1, poIndex: 1 });
  s2.map(IPA, PA, 0x1000, { piIndex: 1, poIndex: 1 });
  const on = overlay === undefined ? PIE : POE;
  bench.streams.write(0, withOverlay(nestedSte(at, s2, { ...on, ...ste }), overlay));
  return { bench, s1, s2 };
}

/** What may be done at the page, as letters; Overlay of a refusal must be as told. */
function permits({ bench }: Made, overlayBit: (letter: string) => number = () => 0): string {
  let letters = "";
  for (const [letter, request] of ACCESSES) {
    const { event } = bench.go(VA, request);
    if (event === undefined) letters += letter;
    else {
      expect(event.name).toBe("F_PERMISSION");
      expect(event.fields).toMatchObject({ S2: 1, CLASS: 2, Overlay: overlayBit(letter), DirtyBit: 0, AssuredOnly: 0 });
    }
  }
  return letters;
}

function both(a: string, b: string): string {
  return [...a].filter((letter) => b.includes(letter)).join("");
}

function unprivilegedWalk(letters: string): string {
  return letters.replace("m", "");
}

describe("SMMU_S2PII alone", () => {
  for (const [code, name, letters] of [...CODES, [1, "reserved", ""], [5, "reserved", ""]] as const) {
    test(`code ${code}, ${name}, permits ${letters || "nothing"}`, () => {
      expect(permits(stage2(code))).toBe(unprivilegedWalk(letters));
    });

    const walks = letters.includes("r");
    test(`code ${code}, ${name}: a stage-1 walk may ${walks ? "" : "not "}read there`, () => {
      const { bench } = nested(code);
      const { event } = bench.go(VA);
      if (walks) expect(event).toBeUndefined();
      else expect(event).toMatchObject({ name: "F_PERMISSION", fields: { S2: 1, CLASS: 1, TTRnW: 1 } });
    });

    if (!walks) continue;
    const updates = letters.includes("m");
    test(`code ${code}, ${name}: a stage-1 walk may ${updates ? "" : "not "}update there`, () => {
      const { bench, s1 } = nested(code, undefined, { HA: 1 }, {}, { af: 0 });
      const { event } = bench.go(VA);
      if (updates) expect(event).toBeUndefined();
      else expect(event).toMatchObject({ name: "F_PERMISSION", fields: { S2: 1, CLASS: 1, TTRnW: 0 } });
      expect((s1.read(s1.entryAddress(VA, 3))[0] & 0x400) !== 0).toBe(updates);
    });
  }

  test("DDI 0487 D8.3: PIIndex is bits 54, 53, 51 and 6", () => {
    for (let index = 0; index < 16; index++) {
      const { bench, s2 } = stage2(0);
      s2.map(VA, PA, 0x1000, { piIndex: index });
      bench.s2pii.fill(0);
      bench.s2pii[index] = 8;
      expect(bench.result(VA)).toBe(PA);
    }
  });

  test("§3.26.2: S2PIE 0, or IDR3.S2PI 0: permissions are direct", () => {
    expect(stage2(0, undefined, { piIndex: undefined, ap: 3 }, { S2PIE: 0 }).bench.result(VA, { write: true })).toBe(PA);
    const config = { s2pi: false, s2po: false };
    expect(stage2(0, undefined, { piIndex: undefined, ap: 3 }, {}, config).bench.result(VA, { write: true })).toBe(PA);
  });

  test("§6.3.17: the register may be cached: a change reaches a page after invalidation", () => {
    const { bench } = stage2(8);
    expect(bench.result(VA)).toBe(PA);
    bench.s2pii[9] = 0;
    expect(bench.result(VA)).toBe(PA);
    bench.translator.tlbMaintenance.s12Vmall(0);
    expect(bench.result(VA)).toBe("F_PERMISSION");
  });
});

describe("STE.S2POI over SMMU_S2PII", () => {
  for (const [base, baseName, baseLetters] of CODES) {
    for (const [overlay, overlayName, overlayLetters] of CODES) {
      const letters = unprivilegedWalk(both(baseLetters, overlayLetters));
      test(`${baseName} under ${overlayName} permits ${letters || "nothing"}; Overlay is 1 for what the overlay forbids`, () => {
        expect(permits(stage2(base, overlay), (letter) => (overlayLetters.includes(letter) ? 0 : 1))).toBe(letters);
      });
    }
  }

  // DDI 0487 D8.4.2.2.4: special with general permissions.
  for (const [base, overlay, updates] of [
    [2, 12, true],
    [12, 2, true],
    [2, 8, false],
    [8, 2, false],
    [2, 2, true],
    [2, 6, true],
    [7, 3, true],
    [12, 12, true],
    [15, 11, false],
  ] as const) {
    test(`codes ${base} and ${overlay}: a stage-1 walk may ${updates ? "" : "not "}update there`, () => {
      const { event } = nested(base, overlay, { HA: 1 }, {}, { af: 0 }).bench.go(VA);
      if (updates) expect(event).toBeUndefined();
      else {
        const Overlay = CODES.find(([code]) => code === overlay)![2].includes("m") ? 0 : 1;
        expect(event).toMatchObject({ name: "F_PERMISSION", fields: { S2: 1, CLASS: 1, TTRnW: 0, Overlay } });
      }
    });
  }

  test("DDI 0487 D8.3: POIndex is bits 62 to 59", () => {
    for (let index = 0; index < 16; index++) {
      const { bench, s2 } = stage2(15);
      s2.map(VA, PA, 0x1000, { piIndex: 9, poIndex: index });
      const ste = stage2Ste(s2, POE);
      ste[index < 8 ? 14 : 15] = (8 << (4 * (index % 8))) >>> 0;
      bench.streams.write(0, ste);
      expect(bench.result(VA)).toBe(PA);
    }
  });

  test("§5.2: S2POI is not cached with a translation: a new STE counts at once", () => {
    const { bench, s2 } = stage2(15, 15);
    expect(bench.result(VA)).toBe(PA);
    bench.streams.write(0, withOverlay(stage2Ste(s2, POE), 0));
    bench.translator.configCache.invalidateSte(0, true);
    expect(bench.go(VA).event).toMatchObject({ name: "F_PERMISSION", fields: { Overlay: 1 } });
  });

  test("§5.2: the same for the output of stage 1, in a combined entry", () => {
    const { bench, s2, s1 } = nested(15, 15);
    expect(bench.result(VA)).toBe(PA);
    const ste = nestedSte(bench.placeCd(stage1Cd({ ttb0: s1 })), s2, POE);
    ste[14] = 0xffff_ff0f;
    ste[15] = 0xffff_ffff;
    // POIndex 1, of the output page and of the CD's page: the CD is at another page now.
    s2.map(0x4000_0000, 0x4000_0000, 0x10_0000, { piIndex: 9, poIndex: 5 });
    bench.translator.tlbMaintenance.s2Ipa(0, { hi: 0, lo: 0x4000_0000, leaf: true, tg: 1, ttl: 0, num: 31, scale: 3 });
    bench.streams.write(0, ste);
    bench.translator.configCache.invalidateSte(0, true);
    expect(bench.go(VA).event).toMatchObject({ name: "F_PERMISSION", fields: { S2: 1, CLASS: 2, Overlay: 1 } });
  });

  for (const index of [0, 7, 8, 15]) {
    for (const code of [1, 5]) {
      test(`§5.2.2: S2POI[${index}] ${code} is C_BAD_STE`, () => {
        const { bench, s2 } = stage2(15);
        const ste = stage2Ste(s2, POE);
        ste[14 + (index >> 3)] = (code << (4 * (index & 7))) >>> 0;
        bench.streams.write(0, ste);
        expect(bench.result(VA)).toBe("C_BAD_STE");
      });
    }
  }

  test("§3.26.2: without IDR3.S2PO S2POE is RES0", () => {
    expect(stage2(15, 0, {}, {}, { s2po: false }).bench.result(VA)).toBe(PA);
  });
});

describe("§3.13.3.2: dirty state", () => {
  const clean = { dirty: 0 };
  const HD = { S2HA: 1, S2HD: 1 };

  test("S2HD 1: a write to a writable-clean page sets Dirty, a read does not", () => {
    const { bench, s2 } = stage2(12, undefined, clean, HD);
    const [lo, hi] = s2.read(s2.entryAddress(VA, 3));
    expect(bench.result(VA)).toBe(PA);
    expect(s2.read(s2.entryAddress(VA, 3))).toEqual([lo, hi]);
    expect(bench.result(VA, { write: true })).toBe(PA);
    expect(s2.read(s2.entryAddress(VA, 3))).toEqual([lo | 0x80, hi]);
  });

  for (const [name, ste] of [
    ["S2HD 0", { S2HA: 1 }],
    ["S2HD 1 without S2HA", { S2HD: 1 }],
  ] as const) {
    test(`${name}: a write to a writable-clean page is F_PERMISSION with DirtyBit 1, from memory and from the TLB`, () => {
      const { bench } = stage2(12, 12, clean, ste);
      for (let i = 0; i < 2; i++) {
        const { event } = bench.go(VA, { write: true });
        expect(event).toMatchObject({ name: "F_PERMISSION", fields: { S2: 1, CLASS: 2, RnW: 0, DirtyBit: 1, Overlay: 0 } });
        expect(bench.result(VA)).toBe(PA);
      }
    });
  }

  test("an update of a stage-1 descriptor is a write: mostly read-only memory becomes dirty by it", () => {
    const { bench, s1, s2 } = nested(2, undefined, { HA: 1 }, HD, { af: 0 }, clean);
    expect(bench.result(VA)).toBe(PA);
    expect(s2.read(s2.entryAddress(s1.entryAddress(VA, 3), 3))[0] & 0x80).toBe(0x80);
    expect(s2.read(s2.entryAddress(s1.entryAddress(VA, 2), 3))[0] & 0x80).toBe(0);
  });

  test("an update of a stage-1 descriptor where S2HD is 0: F_PERMISSION, CLASS TT, TTRnW 0, DirtyBit 1", () => {
    const { bench } = nested(12, undefined, { HA: 1 }, {}, { af: 0 }, clean);
    expect(bench.go(VA).event).toMatchObject({ name: "F_PERMISSION", fields: { S2: 1, CLASS: 1, TTRnW: 0, DirtyBit: 1 } });
  });
});

describe("§3.26.2: priority of stage-2 permission faults", () => {
  // Stage-1 tables on stage-2 Device memory, with the update of a descriptor.
  const device = { memAttr: 1 };
  const ptw = { S2PTW: 1 };
  test("the overlay before S2PTW", () => {
    const { bench } = nested(12, 4, {}, ptw, {}, device);
    expect(bench.go(VA).event).toMatchObject({ name: "F_PERMISSION", fields: { CLASS: 1, Overlay: 1 } });
  });
  test("S2PTW before dirty state", () => {
    const { bench } = nested(12, undefined, { HA: 1 }, ptw, { af: 0 }, { ...device, dirty: 0 });
    expect(bench.go(VA).event).toMatchObject({ name: "F_PERMISSION", fields: { CLASS: 1, DirtyBit: 0, Overlay: 0 } });
  });
  test("the overlay before dirty state", () => {
    const { bench } = stage2(12, 8, { dirty: 0 });
    expect(bench.go(VA, { write: true }).event).toMatchObject({ name: "F_PERMISSION", fields: { DirtyBit: 0, Overlay: 1 } });
  });
  test("base permissions before dirty state", () => {
    const { bench } = stage2(8, undefined, { dirty: 0 });
    expect(bench.go(VA, { write: true }).event).toMatchObject({ name: "F_PERMISSION", fields: { DirtyBit: 0 } });
  });
});
