// SPDX-License-Identifier: MIT
/**
 * The short way through a TLB miss decides nothing: it exists with the front tier alone, and random page tables give the same
 * results, event records, fetches in the same order and cache contents with it and without it.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as hw from "../../../../src/hw/index.ts";
import type { GranuleBits } from "../../../../src/hw/smmuv3/translation/address-size.ts";
import { Simulation, Trace } from "../../../../src/sim/index.ts";
import { outputs } from "./outputs.ts";

const RAM = 0x4000_0000;
/** Tables of stage 1, tables of stage 2, output pages. */
const TABLES1 = RAM;
const TABLES2 = RAM + 0x400_0000;
const DATA = RAM + 0x800_0000;
/** Pages of a stage: half of them in one last table, half in the next. In stage 2 the two tables themselves come after them. */
const PAGES = 24;
const TABLES = 2;
const VMID = 3;
/** Beyond 44 bits. */
const FAR = 2 ** 44;
/** Stage 1 in two sets of one ASID, nested, nested with its own CD, stage 2 alone. */
const STREAMS = 5;

interface Given {
  readonly config: hw.SmmuConfig;
  readonly caches: hw.CacheSizes;
  readonly granules: readonly [GranuleBits, GranuleBits];
  readonly cds: readonly [hw.FieldValues, hw.FieldValues];
  readonly ste: hw.FieldValues;
  readonly limits: number;
}

type Op =
  | { readonly op: "access"; readonly sid: number; readonly page: number; readonly top: number; readonly kind: number }
  | { readonly op: "leaf"; readonly stage: 1 | 2; readonly page: number; readonly lo: number; readonly hi: number }
  | { readonly op: "command"; readonly name: string; readonly fields: hw.FieldValues }
  | { readonly op: "tlbi"; readonly stage: 1 | 2; readonly vmid: number; readonly page: number; readonly leaf: number }
  | { readonly op: "poison"; readonly stage: 1 | 2; readonly page: number }
  | { readonly op: "heal" };

const bit = fc.nat(1);
const rare = fc.constantFrom(0, 0, 0, 0, 1);
/** A few of them mostly, so that they meet what is cached. */
const page = fc.oneof(fc.nat(3), fc.nat(PAGES - 1));
const valid = fc.oneof({ weight: 12, arbitrary: fc.constant(3) }, fc.constantFrom(1, 0));
const page2 = fc.oneof(page, fc.nat(PAGES + TABLES - 1), fc.constantFrom(PAGES, PAGES + 1));
const mostly = (usual: number, ...others: readonly number[]): fc.Arbitrary<number> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });

/** Valid, AttrIndx or MemAttr, AP or S2AP, SH, Access flag, nG; bits 15:12 are no address where granules are larger. */
const leaf1 = fc
  .tuple(valid, fc.nat(4), fc.constantFrom(1, 1, 3, 2, 0), fc.constantFrom(0, 2, 3), mostly(1, 0), bit, mostly(0, 1))
  .map(([kind, attr, ap, sh, af, ng, low]) => kind | (attr << 2) | (ap << 6) | (sh << 8) | (af << 10) | (ng << 11) | (low << 12));
const leaf2 = fc
  .tuple(valid, mostly(15, 0, 5, 7, 4), fc.constantFrom(3, 3, 1, 2, 0), fc.constantFrom(0, 2, 3), mostly(1, 0))
  .map(([kind, attr, ap, sh, af]) => kind | (attr << 2) | (ap << 6) | (sh << 8) | (af << 10));
/** Execute-never bits; the dirty bit modifier, Contiguous, bit 47 of the output. */
const upper = fc.oneof(mostly(0, 0x20_0000, 0x40_0000, 0x60_0000), fc.constantFrom(0x8_0000, 0x8_0000, 0x10_0000, 0x8000, 0x0400_0000));
const leaf: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ op: fc.constant("leaf" as const), stage: fc.constant(1 as const), page, lo: leaf1, hi: upper }),
  fc.record({ op: fc.constant("leaf" as const), stage: fc.constant(2 as const), page: page2, lo: leaf2, hi: upper }),
);
const command = (name: string, fields: hw.FieldValues = {}): Op => ({ op: "command", name, fields: { ...fields } });
const anyOp: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 150,
    arbitrary: fc.record({
      op: fc.constant("access" as const),
      sid: fc.nat(STREAMS - 1),
      page,
      top: fc.oneof(
        { weight: 6, arbitrary: fc.constant(0) },
        fc.constantFrom(0x1200_0000, 0xffff_0000, 0x1_0000, FAR / 2 ** 32, FAR / 2 ** 32, FAR / 2 ** 32),
      ),
      kind: fc.nat(7),
    }),
  },
  { weight: 20, arbitrary: leaf },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      command("CMD_TLBI_NSNH_ALL"),
      command("CMD_TLBI_NH_ASID", { VMID: 0, ASID: 1 }),
      command("CMD_TLBI_NH_ASID", { VMID, ASID: 1 }),
      command("CMD_TLBI_S12_VMALL", { VMID }),
      command("CMD_CFGI_STE", { StreamID: 0 }),
      command("CMD_CFGI_CD", { StreamID: 2 }),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant("tlbi" as const),
      stage: fc.constantFrom(1 as const, 1 as const, 2 as const),
      vmid: fc.constantFrom(0, VMID),
      page,
      leaf: bit,
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("poison" as const), stage: fc.constantFrom(1 as const, 2 as const), page }) },
  { weight: 3, arbitrary: fc.constant<Op>({ op: "heal" }) },
);

/** Nothing, Access flag, dirty state too. */
const updates = fc.constantFrom(0, 1, 2, 2);
const cd = fc
  .record({
    updates,
    AFFD: rare,
    E0PD0: rare,
    PAN: rare,
    WXN: rare,
    TBI0: rare,
    HAD0: rare,
    T0SZ: fc.constantFrom(17, 17, 20),
    IPS: mostly(5, 2),
  })
  .map(({ updates: done, ...fields }): hw.FieldValues => ({ ...fields, HA: done > 0 ? 1 : 0, HD: done > 1 ? 1 : 0 }));
const granule = fc.constantFrom<GranuleBits>(12, 12, 14, 16);
const typical: hw.SmmuConfig = { ...hw.profiles["linux-typical"], gran16k: true, gran64k: true, httu: 2, fwb: true, e0pd: true, had: true };
const anyGiven: fc.Arbitrary<Given> = fc.record({
  config: fc.constantFrom(hw.profiles.max, typical),
  caches: fc.record({
    ste: fc.constant(8),
    cd: fc.constant(8),
    tlb: fc.constantFrom(1, 4, 16, 16),
    walk: fc.constantFrom(0, 4, 64, 64),
    replacement: fc.constantFrom("round-robin" as const, "random" as const),
  }),
  granules: fc.tuple(granule, granule),
  cds: fc.tuple(cd, cd),
  ste: fc
    .record({
      PRIVCFG: mostly(0, 2, 3),
      INSTCFG: mostly(0, 2, 3),
      SHCFG: fc.nat(3),
      S2PTW: fc.constantFrom(0, 1, 1),
      S2FWB: bit,
      updates,
      S2AFFD: rare,
    })
    .map(({ updates: done, ...fields }): hw.FieldValues => ({ ...fields, S2HA: done > 0 ? 1 : 0, S2HD: done > 1 ? 1 : 0 })),
  limits: mostly(0, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000),
});

/** Address of a page, as a stage has it. */
function addressOf(granule: GranuleBits, index: number): number {
  const covered = 2 ** (2 * granule - 3);
  const half = PAGES / 2;
  return covered * (index < half ? 1 : 2) + (index % half) * 2 ** granule;
}

class Machine {
  readonly fetches: string[] = [];
  readonly events: string[] = [];
  readonly #given: Given;
  readonly #smmu: hw.Smmu;
  readonly #bus: hw.SystemBus;
  readonly #host: hw.SmmuHost;
  readonly #tables: readonly [hw.PageTable, hw.PageTable];
  readonly #commands: number;
  #heal: (() => void)[] = [];
  #prod = 0;

  constructor(frontTier: boolean, given: Given, bus: hw.SystemBus = new hw.SystemBus(48)) {
    const simulation = new Simulation();
    this.#given = given;
    this.#bus = bus;
    this.#bus.addRam({ name: "ram", base: RAM, size: 0x1000_0000 });
    const { memory } = this.#bus;
    const trace = new Trace<hw.SmmuEvents>();
    trace.on("smmu.access", ({ data }) => this.fetches.push(`${data.access} ${data.address} ${data.bus}`));
    trace.on("smmu.event", ({ data }) => this.events.push(data.words.join()));
    const config = { ...given.config, caches: given.caches, timing: { commandNs: 0, updateNs: 0 } };
    this.#host = hw.createSmmuHost({ simulation, bus, trace });
    this.#smmu = new hw.Smmu(config, this.#host, { trace, frontTier });
    const [arena, arena2] = [new hw.TableArena(TABLES1, 0x400_0000), new hw.TableArena(TABLES2, 0x400_0000)];
    const [granule, granule2] = given.granules;
    const table = new hw.PageTable({ memory, arena, stage: 1, granule, inputBits: 47 });
    const second = new hw.PageTable({
      memory,
      arena: arena2,
      stage: 2,
      granule: granule2,
      inputBits: 40,
      startLevel: granule2 === 16 ? 2 : 1,
    });
    this.#tables = [table, second];
    // The output of stage 1 is the input of stage 2: its pages, whichever size they have.
    for (let index = 0; index < PAGES; index++) {
      this.#leaf(1, index, 0x443, 0);
      this.#leaf(2, index, 0x7ff, 0);
    }
    // The same tables again where the smaller of the two input ranges does not reach.
    const [first, again] = [0, FAR].map((address) => table.entryAddress(address, table.startLevel));
    memory.write32(again!, memory.read32(first!));
    memory.write32(table.entryAddress(addressOf(granule, 0), 2) + 4, given.limits);
    const cds = given.cds.map((fields, aset) => {
      const place = arena.take(64);
      hw.writeWords(memory, place, hw.stage1Cd({ ttb0: table }, { ASID: 1, ASET: aset, ...fields }));
      return place;
    });
    const streams = new hw.StreamTables({ memory, arena, log2Size: 3 });
    this.#commands = arena.take(0x1000, 0x1000);
    const events = arena.take(0x1000, 0x1000);
    second.map(TABLES1, TABLES1, 0x40_0000);
    const fields = { S2VMID: VMID, ...given.ste };
    streams.write(0, hw.stage1Ste(cds[0]!));
    streams.write(1, hw.stage1Ste(cds[1]!, fields));
    streams.write(2, hw.nestedSte(cds[0]!, second, { S2VMID: VMID }));
    streams.write(3, hw.nestedSte(cds[1]!, second, fields));
    streams.write(4, hw.stage2Ste(second, fields));
    const at = hw.registerOffset;
    this.#smmu.write64(at("STRTAB_BASE"), streams.base, 0);
    this.#smmu.write(at("STRTAB_BASE_CFG"), 4, streams.config);
    this.#smmu.write64(at("CMDQ_BASE"), this.#commands + 6, 0);
    this.#smmu.write64(at("EVENTQ_BASE"), events + 7, 0);
    this.#smmu.write(at("CR0"), 4, 0xd);
  }

  /** Where a leaf stands. */
  #place(stage: 1 | 2, index: number): number {
    const granule = this.#given.granules[stage - 1]!;
    if (index >= PAGES) return this.#tables[1].entryAddress(this.#place(1, (index - PAGES) * (PAGES / 2)), 3);
    return this.#tables[stage - 1]!.entryAddress(addressOf(granule, index), 3);
  }

  #leaf(stage: 1 | 2, index: number, lo: number, hi: number): void {
    const [granule, granule2] = this.#given.granules;
    const output =
      index >= PAGES
        ? this.#place(1, (index - PAGES) * (PAGES / 2))
        : stage === 1
          ? addressOf(granule2, index)
          : DATA + index * 2 ** granule2;
    const { memory } = this.#bus;
    const place = this.#place(stage, index);
    const aligned = output - (output % 2 ** (stage === 1 ? granule : granule2));
    memory.write32(place, (aligned | lo) >>> 0);
    memory.write32(place + 4, hi);
  }

  /** Does one thing. @returns what an access gave */
  run(op: Op): string | undefined {
    switch (op.op) {
      case "access": {
        const tx = new hw.Transaction();
        const { sid, page: index, top, kind } = op;
        const address = addressOf(this.#given.granules[sid === 4 ? 1 : 0]!, index) + 0xff8;
        const flags = { write: (kind & 1) !== 0, instruction: (kind & 2) !== 0, privileged: (kind & 4) !== 0 };
        Object.assign(tx, { streamId: sid, addressHi: top + Math.floor(address / 2 ** 32), addressLo: address >>> 0, ...flags });
        const outcome = this.#smmu.translate(tx);
        return JSON.stringify({ outcome, ...outputs(tx), tlb: [...this.#smmu.translation.tlb.entries()], fetches: this.fetches.length });
      }
      case "leaf":
        this.#leaf(op.stage, op.page, op.lo, op.hi);
        return undefined;
      case "tlbi": {
        // Elsewhere in the page than the accesses: it goes as a whole, even if it was cached in pieces.
        const Address = addressOf(this.#given.granules[op.stage - 1]!, op.page) + (this.#given.granules[op.stage - 1]! > 12 ? 0x3000 : 0);
        const tags = { VMID: op.vmid, Leaf: op.leaf, Address };
        return this.run(op.stage === 1 ? command("CMD_TLBI_NH_VA", { ...tags, ASID: 1 }) : command("CMD_TLBI_S2_IPA", tags));
      }
      case "command":
        hw.writeWords(this.#bus.memory, this.#commands + 16 * (this.#prod & 63), hw.buildCommand(op.name, op.fields));
        this.#prod = (this.#prod + 1) & 127;
        this.#smmu.write(hw.registerOffset("CMDQ_PROD"), 4, this.#prod);
        return undefined;
      case "poison": {
        const base = this.#place(op.stage, op.page);
        this.#heal.push(this.#bus.inject({ base, size: 8, status: hw.BusStatus.abort }));
        return undefined;
      }
      case "heal":
        for (const heal of this.#heal) heal();
        this.#heal = [];
        return undefined;
    }
  }

  /** Puts another `load` before the host's. */
  watchLoads(called: (address: number) => void): void {
    const { load } = this.#host;
    this.#host.load = (kind, address, ...more) => {
      called(address);
      return load(kind, address, ...more);
    };
  }

  get cacheContents(): string {
    const { tlb, walks } = this.#smmu.translation;
    return JSON.stringify([[...tlb.entries()], [...walks.entries()]]);
  }
}

test("results, event records, fetches and cache contents are the same", () => {
  let forwarded = 0;
  fc.assert(
    fc.property(
      anyGiven,
      fc.array(leaf, { maxLength: PAGES }),
      fc.array(anyOp, { minLength: 100, maxLength: 250, size: "max" }),
      (given, leaves, ops) => {
        const [front, plain] = [new Machine(true, given), new Machine(false, given)];
        [...leaves, ...ops].forEach((op, index) => {
          const [a, b] = [front.run(op), plain.run(op)];
          if (a !== b) expect({ index, op, result: a }).toEqual({ index, op, result: b });
          if (a?.startsWith('{"outcome":0')) forwarded++;
        });
        expect(front.events).toEqual(plain.events);
        expect(front.fetches).toEqual(plain.fetches);
        expect(front.cacheContents).toBe(plain.cacheContents);
      },
    ),
    { numRuns: 150, seed: 8 },
  );
  expect(forwarded).toBeGreaterThan(1000);
});

describe("whoever stands between the SMMU and memory gets every fetch", () => {
  const given: Given = {
    config: typical,
    caches: { ste: 8, cd: 8, tlb: 16, walk: 64, replacement: "round-robin" },
    granules: [12, 12],
    cds: [{}, {}],
    ste: {},
    limits: 0,
  };
  const read = (index: number): Op => ({ op: "access", sid: 0, page: index, top: 0, kind: 0 });

  test("a load that a host is given when the SMMU has long been in use", () => {
    const machine = new Machine(true, given);
    for (const index of [0, 1, 2]) machine.run(read(index));
    const { fetches } = machine;
    fetches.length = 0;
    const seen: number[] = [];
    machine.watchLoads((address) => seen.push(address));
    for (const index of [3, 4, 5]) machine.run(read(index));
    expect(fetches).toEqual(seen.map((address) => `tt-s1 ${address} ${hw.BusStatus.ok}`));
    expect(seen).toHaveLength(3);
  });

  test("a bus that loads words in its own way", () => {
    class Watched extends hw.SystemBus {
      readonly seen: number[] = [];
      override loadWords(address: number, ...more: [out: Uint32Array, count: number, outIndex?: number]): hw.BusStatus {
        this.seen.push(address);
        return super.loadWords(address, ...more);
      }
    }
    const bus = new Watched();
    const machine = new Machine(true, given, bus);
    for (let index = 0; index < 6; index++) machine.run(read(index));
    expect(bus.seen).toHaveLength(machine.fetches.length);
  });
});
