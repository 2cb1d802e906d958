// SPDX-License-Identifier: MIT
/**
 * Every TLB invalidation against every kind of TLB entry, in both directions: what the scope of IHI 0070 §4.4 names goes, and
 * all else stays, by the choices "combined-entries", "walk-cache" and "tlbi-range-alignment". The SMMU is asked through its
 * Command queue, and whether an entry is still there shows in whether an access reads translation tables.
 */
import { describe, expect, test } from "vitest";
import { nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Machine } from "./machine.ts";
import { commandNamed, encode } from "./table.ts";

type World = "EL1" | "EL2" | "E2H";

/** One translation, as its tags and its place in the tables say. */
interface Entry {
  readonly name: string;
  readonly kind: "stage1" | "stage2" | "nested";
  readonly world: World;
  readonly vmid: number;
  readonly asid: number;
  readonly global: boolean;
  /** Input address, size, granule and level of the leaf. For stage2 the input is the IPA. */
  readonly base: number;
  readonly size: number;
  readonly granule: 12 | 14 | 16;
  readonly level: number;
}

/** A command with its operands. */
interface Tlbi {
  readonly name: string;
  readonly VMID?: number;
  readonly ASID?: number;
  readonly address?: number;
  readonly TG?: number;
  readonly TTL?: number;
  readonly NUM?: number;
  readonly SCALE?: number;
}

/** §4.4.1.1: does the address operand with its range and hints reach the entry? */
function reaches({ address = 0, TG = 0, TTL = 0, NUM = 0, SCALE = 0 }: Tlbi, entry: Entry): boolean {
  if (TG === 0) return address >= entry.base && address < entry.base + entry.size;
  const granule = ([0, 12, 14, 16] as const)[TG]!;
  if (granule !== entry.granule) return false;
  if (TTL !== 0 && TTL !== entry.level) return false;
  return address < entry.base + entry.size && address + (NUM + 1) * 2 ** (SCALE + granule) > entry.base;
}

/** The scope table of §4.4.2 to §4.4.4 for the Non-secure queue. */
function goes(tlbi: Tlbi, entry: Entry, e2h: boolean): boolean {
  const el1 = entry.world === "EL1" && entry.kind !== "stage2";
  const el2 = entry.world === (e2h ? "E2H" : "EL2");
  const vmid = entry.vmid === tlbi.VMID;
  const asid = entry.asid === tlbi.ASID;
  switch (tlbi.name) {
    case "NH_ALL":
      return el1 && vmid;
    case "NH_ASID":
      return el1 && vmid && asid && !entry.global;
    case "NH_VA":
      return el1 && vmid && (asid || entry.global) && reaches(tlbi, entry);
    case "NH_VAA":
      return el1 && vmid && reaches(tlbi, entry);
    case "EL2_ALL":
      return entry.world !== "EL1";
    case "EL2_ASID":
      return entry.world === "E2H" && asid && !entry.global;
    case "EL2_VA":
      return el2 && (!e2h || asid || entry.global) && reaches(tlbi, entry);
    case "EL2_VAA":
      return el2 && reaches(tlbi, entry);
    case "S12_VMALL":
      return entry.world === "EL1" && vmid;
    case "S2_IPA":
      return entry.kind === "stage2" && vmid && reaches(tlbi, entry);
    case "NSNH_ALL":
      return entry.world === "EL1";
    default:
      throw new RangeError(tlbi.name);
  }
}

const BASE = 2 ** 39;
const LEAVES: readonly (readonly [granule: 12 | 14 | 16, level: number])[] = [
  [12, 3],
  [12, 2],
  [12, 1],
  [14, 3],
  [14, 2],
  [16, 3],
  [16, 2],
  // With LPA2 (IDR5.DS) 16K tables have blocks at level 1, and 4K tables at level 0, which no TTL names.
  [14, 1],
  [12, 0],
];

function needsLpa2(granule: number, level: number): boolean {
  return level === 0 || (granule === 14 && level === 1);
}

function leafSize(granule: number, level: number): number {
  return 2 ** (granule + (3 - level) * (granule - 3));
}

/** Entries of one machine, each reached through a stream of its own. */
function entries(e2h: boolean): Entry[] {
  const all: Entry[] = [];
  const add = (
    kind: Entry["kind"],
    world: World,
    vmid: number,
    asid: number,
    global: boolean,
    granule: 12 | 14 | 16,
    level: number,
  ): void => {
    const size = leafSize(granule, level);
    const name = `${kind} ${world} VMID ${vmid} ASID ${asid}${global ? " global" : ""} ${2 ** (granule - 10)}K level ${level}`;
    all.push({ name, kind, world, vmid, asid, global, base: BASE, size, granule, level });
  };
  for (const [granule, level] of LEAVES) add("stage1", "EL1", 7, 3, false, granule, level);
  for (const vmid of [7, 0x107]) {
    for (const asid of [3, 0x103]) for (const global of [false, true]) add("stage1", "EL1", vmid, asid, global, 12, 3);
    add("nested", "EL1", vmid, 3, false, 12, 3);
    add("nested", "EL1", vmid, 3, true, 12, 2);
    for (const [granule, level] of LEAVES) add("stage2", "EL1", vmid, 0, false, granule, level);
  }
  for (const asid of e2h ? [3, 0x103] : [0]) {
    for (const global of e2h ? [false, true] : [true]) {
      for (const [granule, level] of LEAVES.filter((_, i) => i < 4)) add("stage1", e2h ? "E2H" : "EL2", 0, asid, global, granule, level);
    }
  }
  return all;
}

const PA = 2 ** 40;
const OFFSET = 0x1234;

/** A machine with one stream, whose translation is the entry. */
class Scope {
  readonly machine: Machine;
  readonly entry: Entry;

  constructor(entry: Entry, e2h: boolean) {
    this.entry = entry;
    this.machine = new Machine({ e2h });
    const { machine } = this;
    const { kind, granule, level, size, world, vmid, asid, global } = entry;
    const STRW = world === "EL1" ? 0 : 2;
    const ds = needsLpa2(granule, level);
    const fields = { S2VMID: vmid, ...(kind === "stage1" ? { STRW } : {}) };
    if (kind === "stage2") {
      const table = machine.pageTable({ stage: 2, granule, inputBits: 42, ds });
      table.map(BASE, PA, size, {}, level);
      machine.streams.write(0, stage2Ste(table, fields));
      return;
    }
    const table = machine.pageTable({ granule, ds });
    table.map(BASE, PA, size, { nG: global ? 0 : 1 }, level);
    const cd = machine.place(stage1Cd({ ttb0: table }, { ASID: asid }), 4096);
    if (kind === "stage1") {
      machine.streams.write(0, stage1Ste(cd, fields));
      return;
    }
    const second = machine.pageTable({ stage: 2, inputBits: 42 });
    second.map(0x4000_0000, 0x4000_0000, 0x1000_0000, {}, 2);
    second.map(PA, PA, size, {}, level);
    machine.streams.write(0, nestedSte(cd, second, fields));
  }

  /** Fills the TLB, runs the command, and says whether the entry has gone. */
  gone(words: readonly number[]): boolean {
    this.#access();
    if (this.#access()) throw new Error(`${this.entry.name} is not in the TLB`);
    this.machine.command(words);
    return this.#access();
  }

  /** One access. @returns true if tables were read */
  #access(): boolean {
    const result = this.machine.go(0, BASE + (OFFSET % this.entry.size));
    if (result !== PA + (OFFSET % this.entry.size)) throw new Error(`${this.entry.name}: ${result}`);
    return this.machine.reads.some((read) => read.startsWith("tt-"));
  }
}

function commandWords(tlbi: Tlbi): number[] {
  const { name, address, ...operands } = tlbi;
  const command = commandNamed(`TLBI_${name}`);
  return encode(command, { ...operands, ...(address === undefined ? {} : { Address: BigInt(address) >> 12n }) });
}

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Commands whose operands hit, miss by one tag, and miss by one page. */
function commands(): Tlbi[] {
  const all: Tlbi[] = [{ name: "NSNH_ALL" }, { name: "EL2_ALL" }];
  const vmids = [7, 0x107, 8, 0];
  const asids = [3, 0x103, 0];
  for (const VMID of vmids) all.push({ name: "NH_ALL", VMID }, { name: "S12_VMALL", VMID });
  for (const VMID of vmids) for (const ASID of asids) all.push({ name: "NH_ASID", VMID, ASID });
  for (const ASID of asids) all.push({ name: "EL2_ASID", ASID });
  const places: Omit<Tlbi, "name">[] = [
    ...[
      BASE,
      BASE + 4 * KIB,
      BASE + 12 * KIB,
      BASE + 32 * KIB,
      BASE + MIB,
      BASE + 20 * MIB,
      BASE + 300 * MIB,
      BASE + GIB,
      BASE + 20 * GIB,
      BASE - 4 * KIB,
    ].map((address) => ({ address })),
    ...[1, 2, 3].flatMap((TG) => [1, 2, 3].map((TTL) => ({ address: BASE, TG, TTL }))),
    ...[1, 2, 3].map((TG) => ({ address: BASE, TG, NUM: 1 })),
    ...[1, 2, 3].map((TG) => ({ address: BASE - 4 * MIB, TG, NUM: 0, SCALE: 6 })),
    { address: BASE - 4 * MIB, TG: 1, NUM: 0, SCALE: 10 },
    { address: BASE - 4 * MIB, TG: 1, NUM: 1, SCALE: 10 },
    { address: BASE - 2 * GIB, TG: 1, NUM: 31, SCALE: 31, TTL: 2 },
    { address: 0, TG: 3, NUM: 31, SCALE: 31 },
    { address: BASE + 512 * MIB, TG: 3, NUM: 31, SCALE: 31 },
  ];
  for (const place of places) {
    for (const VMID of [7, 8]) {
      all.push({ name: "NH_VAA", VMID, ...place }, { name: "S2_IPA", VMID, ...place });
      for (const ASID of [3, 4]) all.push({ name: "NH_VA", VMID, ASID, ...place });
    }
    all.push({ name: "EL2_VAA", ...place });
    for (const ASID of [3, 4]) all.push({ name: "EL2_VA", ASID, ...place });
  }
  return all;
}

for (const e2h of [false, true]) {
  describe(`CR2.E2H ${Number(e2h)}`, () => {
    for (const entry of entries(e2h)) {
      test(`${entry.name}: goes by the commands whose scope it is in, stays for all others`, () => {
        const scope = new Scope(entry, e2h);
        const wrong: string[] = [];
        for (const tlbi of commands()) {
          const gone = scope.gone(commandWords(tlbi));
          if (gone !== goes(tlbi, entry, e2h)) wrong.push(`${JSON.stringify(tlbi)}: ${gone ? "has gone" : "is still there"}`);
        }
        expect(wrong).toEqual([]);
      });
    }
  });
}

test("the matrix has what it is meant to have: each command removes something and spares something", () => {
  for (const name of new Set(commands().map((tlbi) => tlbi.name))) {
    const hit = commands()
      .filter((tlbi) => tlbi.name === name)
      .flatMap((tlbi) => [false, true].flatMap((e2h) => entries(e2h).map((entry) => goes(tlbi, entry, e2h))));
    expect([name, hit.includes(true), hit.includes(false)]).toEqual([name, true, true]);
  }
});
