// SPDX-License-Identifier: MIT
/** TLBIs that PEs broadcast: what each reaches, who takes part, and when they are complete (IHI 0070 §3.17, §6.3.1, §6.3.12). */
import { describe, expect, test } from "vitest";
import {
  type BroadcastOperation,
  type BroadcastTlbi,
  broadcastOperations,
  nestedSte,
  profiles,
  type SmmuConfig,
  stage1Cd,
  stage1Ste,
  stage2Ste,
} from "../../../../src/hw/index.ts";
import { Machine, type MachineOptions } from "../commands/machine.ts";
import { commandNamed, encode } from "../commands/table.ts";
import { at } from "../registers/bench.ts";
import { reached, type Shown } from "./broadcast-law.ts";

const VA = 0x7000;
/** Two pages of the ASID, a global one; in one table. */
const PAGES = [VA, VA + 0x1000, VA + 0x2000] as const;
const PA = 0x5000_0000;
const OPERATIONS = Object.keys(broadcastOperations) as BroadcastOperation[];

/** One ASID is private: ASET 1. */
const ASIDS = [
  { ASID: 5, ASET: 0 },
  { ASID: 6, ASET: 0 },
  { ASID: 7, ASET: 1 },
] as const;
const VMIDS = [3, 4] as const;

/** A machine with streams of all StreamWorlds and tags, each with its pages in the TLB. */
function populated(options: MachineOptions = {}): { readonly machine: Machine; readonly touch: () => void } {
  const machine = new Machine(options);
  const table = machine.pageTable();
  for (const [i, page] of PAGES.entries()) table.map(page, PA + page, 0x1000, { nG: i < 2 ? 1 : 0 });
  const second = machine.pageTable({ stage: 2, inputBits: 40 });
  second.map(0x4000_0000, 0x4000_0000, 0x4000_0000, {}, 2);
  for (const page of PAGES) second.map(page, PA + page, 0x1000);
  const cds = ASIDS.map((tags) => machine.place(stage1Cd({ ttb0: table }, tags)));
  let sid = 0;
  for (const cd of cds) {
    for (const S2VMID of VMIDS) {
      machine.streams.write(sid++, stage1Ste(cd, { S2VMID }));
      machine.streams.write(sid++, nestedSte(cd, second, { S2VMID }));
    }
    machine.streams.write(sid++, stage1Ste(cd, { STRW: 2 }));
  }
  for (const S2VMID of VMIDS) machine.streams.write(sid++, stage2Ste(second, { S2VMID }));
  const touch = (): void => {
    for (let stream = 0; stream < sid; stream++) for (const page of PAGES) machine.go(stream, page);
  };
  touch();
  return { machine, touch };
}

function entries(machine: Machine): Shown[] {
  return [...machine.smmu.translation.tlb.entries()];
}

function shown({ kind, nested, vmid, asid, aset, global, hi, lo }: Shown): string {
  return `kind ${kind} nested ${nested} vmid ${vmid} asid ${asid} aset ${aset} global ${global} at ${hi}:${lo.toString(16)}`;
}

/** Operands under which an operation meets something, or just misses it. */
function operands(operation: BroadcastOperation): Omit<BroadcastTlbi, "operation">[] {
  const spec = broadcastOperations[operation];
  const range = spec.range ? [{ tg: 1 }, { tg: 1, num: 1 }, { tg: 1, scale: 1 }, { tg: 3, num: 2, scale: 2 }] : [{}, { tg: 1, ttl: 3 }];
  const places = spec.by.startsWith("va") || spec.by === "ipa" ? [...PAGES, VA - 0x1000, 0x4000_0000] : [VA];
  const out: Omit<BroadcastTlbi, "operation">[] = [];
  for (const vmid of [0, 3])
    for (const asid of [5, 7]) for (const place of places) for (const hints of range) out.push({ vmid, asid, addressLo: place, ...hints });
  return out;
}

for (const e2h of [false, true]) {
  describe(`§3.17, with CR2.E2H ${e2h ? 1 : 0}`, () => {
    test.each(OPERATIONS)("TLBI %s takes what it matches and nothing else", (operation) => {
      const { machine, touch } = populated({ e2h });
      const { regime, by } = broadcastOperations[operation];
      let dropped = 0;
      for (const pe of [false, true]) {
        for (const values of operands(operation)) {
          const tlbi: BroadcastTlbi = { operation, e2h: pe, ...values };
          const before = entries(machine);
          const expected = before
            .filter((entry) => !reached(entry, tlbi))
            .map(shown)
            .sort();
          machine.smmu.broadcast(tlbi);
          expect(entries(machine).map(shown).sort(), JSON.stringify(tlbi)).toEqual(expected);
          dropped += before.length - expected.length;
          if (expected.length !== before.length) touch();
        }
      }
      expect(dropped > 0).toBe(regime === "EL1" || (regime === "EL2" && (e2h || by !== "asid")));
    });
  });
}

/** One stage-1 stream. @returns whether a broadcast makes it walk again */
function stream(options: MachineOptions, tags: { vmid?: number; asid?: number; aset?: number }) {
  const machine = new Machine(options);
  const table = machine.pageTable();
  table.map(VA, PA, 0x1000);
  const cd = machine.place(stage1Cd({ ttb0: table }, { ASID: tags.asid ?? 5, ASET: tags.aset ?? 0 }));
  machine.streams.write(0, stage1Ste(cd, { S2VMID: tags.vmid ?? 0 }));
  const walks = (): number => {
    expect(machine.go(0, VA)).toBe(PA);
    return machine.reads.filter((kind) => kind === "tt-s1").length;
  };
  walks();
  return {
    machine,
    walks,
    after: (tlbi: BroadcastTlbi): number => {
      machine.smmu.broadcast(tlbi);
      return walks();
    },
  };
}

const ALL: BroadcastTlbi = { operation: "ALLE1" };

describe("§3.17: what is looked up afterwards", () => {
  test("an access that hit before walks again, all levels; with the last level only, just the leaf", () => {
    const { walks, after } = stream({}, {});
    expect(walks()).toBe(0);
    expect(after({ operation: "VAE1", asid: 5, addressLo: VA })).toBe(4);
    expect(after({ operation: "VALE1", asid: 5, addressLo: VA })).toBe(1);
    expect(after({ operation: "VAE1", asid: 6, addressLo: VA })).toBe(0);
  });

  test("a VA is compared without its top byte", () => {
    const { after } = stream({}, {});
    expect(after({ operation: "VALE1", asid: 5, addressHi: 0xab00_0000, addressLo: VA })).toBe(1);
  });

  test("cached configuration stays", () => {
    const { machine, after } = stream({}, {});
    machine.streams.write(0, new Uint32Array(16));
    expect(after(ALL)).toBe(4);
    expect(machine.reads).not.toContain("ste");
    expect(machine.reads).not.toContain("cd");
  });

  test("DDI 0487 D8.17.5: with a hint of another level nothing has to go", () => {
    const { after } = stream({}, {});
    expect(after({ operation: "VALE1", asid: 5, addressLo: VA, tg: 1, ttl: 2 })).toBe(0);
    expect(after({ operation: "VALE1", asid: 5, addressLo: VA, tg: 1, ttl: 3 })).toBe(1);
  });
});

describe("§6.3.1, §6.3.12: taking part", () => {
  test("IDR0.BTM 1: CR2.PTM can be written, and opts out", () => {
    const { machine, after } = stream({}, {});
    const { smmu } = machine;
    expect(smmu.read(0, 4) & 0x20).toBe(0x20);
    smmu.write(at.CR0, 4, 0);
    smmu.write(at.CR2, 4, 6);
    expect(smmu.read(at.CR2, 4)).toBe(6);
    smmu.write(at.CR0, 4, 0xd);
    expect(after(ALL)).toBe(0);
    smmu.write(at.CR0, 4, 0);
    smmu.write(at.CR2, 4, 2);
    smmu.write(at.CR0, 4, 0xd);
    expect(after(ALL)).toBe(4);
  });

  test("IDR0.BTM 0: PTM is RES0, and broadcasts are not heard", () => {
    const { machine, after } = stream({ config: { btm: false } }, {});
    const { smmu } = machine;
    expect(smmu.read(0, 4) & 0x20).toBe(0);
    expect(after(ALL)).toBe(0);
    smmu.write(at.CR0, 4, 0);
    smmu.write(at.CR2, 4, 6);
    expect(smmu.read(at.CR2, 4)).toBe(2);
  });

  test("only profile max has it: the others are parts that Linux and QEMU know without", () => {
    expect(
      Object.values(profiles)
        .filter(({ btm }) => btm)
        .map(({ name }) => name),
    ).toEqual(["max"]);
  });
});

describe("§3.17: tags", () => {
  const noStage2: SmmuConfig = { ...profiles.tiny, btm: true, sidSize: 8, twoLevelStreamTable: true };

  test("without stage 2 all that is cached counts as VMID 0", () => {
    const { after } = stream({ config: noStage2 }, {});
    expect(after({ operation: "VMALLE1", vmid: 5 })).toBe(0);
    expect(after({ operation: "VMALLE1", vmid: 0 })).toBe(4);
  });

  test("without stage 2 an operation of both stages acts on stage 1, one of stage 2 on nothing", () => {
    const { after } = stream({ config: noStage2 }, {});
    expect(after({ operation: "IPAS2E1", addressLo: VA })).toBe(0);
    expect(after({ operation: "VMALLS12E1" })).toBe(4);
  });

  test("§3.17.4: 8-bit tags: the low bits are compared; choice tlbi-8-bit-tags: with others above them nothing matches", () => {
    const { after } = stream({ config: { asid16: false, vmid16: false } }, { vmid: 7, asid: 5 });
    expect(after({ operation: "ASIDE1", vmid: 7, asid: 0x105 })).toBe(0);
    expect(after({ operation: "ASIDE1", vmid: 0x107, asid: 5 })).toBe(0);
    expect(after({ operation: "ASIDE1", vmid: 7, asid: 5 })).toBe(4);
  });

  test("§3.17.6: CR0.VMW widens the VMID of a broadcast", () => {
    const { machine, after } = stream({}, { vmid: 7 });
    expect(after({ operation: "VMALLE1", vmid: 6 })).toBe(0);
    machine.smmu.write(at.CR0, 4, 0xd | (1 << 6));
    expect(after({ operation: "VMALLE1", vmid: 6 })).toBe(4);
    expect(after({ operation: "VMALLE1", vmid: 5 })).toBe(0);
  });

  test("choice privateAsids: entries with ASET 1 go where so chosen", () => {
    const spared = stream({}, { aset: 1 });
    expect(spared.after({ operation: "VALE1", asid: 5, addressLo: VA })).toBe(0);
    const dropped = stream({ choices: { privateAsids: "dropped" } }, { aset: 1 });
    expect(dropped.after({ operation: "VALE1", asid: 5, addressLo: VA })).toBe(1);
    expect(dropped.after({ operation: "ASIDE1", asid: 5 })).toBe(4);
  });
});

describe("§3.17.8, §3.21.1: completion", () => {
  const late: MachineOptions = { choices: { maintenance: "at-sync" } };

  test("choice maintenance: at its latest with the DSB of the PE, which a CMD_SYNC is not", () => {
    const { machine, walks, after } = stream(late, {});
    const tlbi = { ...ALL };
    expect(after(tlbi)).toBe(0);
    // The caller's object is its own.
    Object.assign(tlbi, { operation: "ALLE2" });
    machine.command(encode(commandNamed("SYNC"), {}));
    expect(walks()).toBe(0);
    machine.smmu.broadcastSync();
    expect(walks()).toBe(4);
    machine.smmu.broadcastSync();
    expect(walks()).toBe(0);
  });

  test("a hardware reset forgets those that are under way", () => {
    const { machine, walks } = stream(late, {});
    const { smmu, streams } = machine;
    smmu.broadcast(ALL);
    smmu.reset();
    smmu.write64(at.STRTAB_BASE, streams.base, 0);
    smmu.write(at.STRTAB_BASE_CFG, 4, streams.config);
    smmu.write(at.CR0, 4, 1);
    expect(walks()).toBe(4);
    smmu.broadcastSync();
    expect(walks()).toBe(0);
  });
});

describe("misuse", () => {
  const cases: readonly (readonly [string, object, RegExp])[] = [
    ["an operation that there is not", { operation: "VAE4" }, /VAE4.*VAE1/],
    ["one of Object's own names", { operation: "toString" }, /toString/],
    ["a VMID of 17 bits", { operation: "VMALLE1", vmid: 0x1_0000 }, /vmid/],
    ["a half of a page", { operation: "VAE1", addressLo: 0.5 }, /addressLo/],
    ["a range without granule", { operation: "RVAE1" }, /tg/],
  ];
  test.each(cases)("%s is named", (_, tlbi, message) => {
    const { machine } = stream({}, {});
    expect(() => machine.smmu.broadcast(tlbi as BroadcastTlbi)).toThrow(message);
  });
});
