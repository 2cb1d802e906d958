// SPDX-License-Identifier: MIT
/**
 * The front tier decides nothing: random programs give the same results, event records, fetches and cache contents with it
 * and without it.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as hw from "../../../../src/hw/index.ts";
import { Simulation, Trace } from "../../../../src/sim/index.ts";
import { outputs } from "./outputs.ts";

const RAM = 0x4000_0000;
const DATA = RAM + 0x800_0000;
/** Input pages: two neighbours, one in another 2 MiB, one under a block, one in the TTB1 half, one with a top byte. */
const PAGES: readonly (readonly [hi: number, lo: number])[] = [
  [0, 0x20_0000],
  [0, 0x20_1000],
  [0, 0x40_0000],
  [0, 0x60_3000],
  [0xffff_ffff, 0xffe0_0000],
  [0x1200_0000, 0x20_0000],
];
/** Stage 1 twice in one ASID, with overrides and without; nested; stage 2 alone; bypass. */
const STREAMS = 5;
const VMID = 3;

type Op =
  | {
      readonly op: "access";
      readonly sid: number;
      readonly page: number;
      readonly write: boolean;
      readonly instruction: boolean;
      readonly privileged: boolean;
    }
  | { readonly op: "leaf"; readonly page: number; readonly value: number; readonly high: number }
  | { readonly op: "leaf2"; readonly page: number; readonly value: number }
  | { readonly op: "cd"; readonly which: number; readonly fields: hw.FieldValues }
  | { readonly op: "ste"; readonly sid: number; readonly fields: hw.FieldValues }
  | { readonly op: "command"; readonly name: string; readonly fields: hw.FieldValues }
  | { readonly op: "size"; readonly log2: number }
  | { readonly op: "enable"; readonly on: boolean };

const page = fc.nat(PAGES.length - 1);
const address = page.map((index) => PAGES[index]!).map(([hi, lo]) => hi * 2 ** 32 + lo);
const bit = fc.nat(1);
const asid = fc.constantFrom(1, 2);
const commands: fc.Arbitrary<Op> = fc
  .oneof(
    fc.record({
      name: fc.constant("CMD_TLBI_NH_VA"),
      fields: fc.record({ VMID: fc.constant(VMID), ASID: asid, Leaf: bit, Address: address }),
    }),
    fc.record({ name: fc.constant("CMD_TLBI_NH_VAA"), fields: fc.record({ VMID: fc.constant(VMID), Leaf: bit, Address: address }) }),
    fc.record({ name: fc.constant("CMD_TLBI_NH_ASID"), fields: fc.record({ VMID: fc.constant(VMID), ASID: asid }) }),
    fc.record({ name: fc.constant("CMD_TLBI_NH_ALL"), fields: fc.record({ VMID: fc.constant(VMID) }) }),
    fc.record({ name: fc.constant("CMD_TLBI_S12_VMALL"), fields: fc.record({ VMID: fc.constant(VMID) }) }),
    fc.record({
      name: fc.constant("CMD_TLBI_S2_IPA"),
      fields: fc.record({ VMID: fc.constant(VMID), Leaf: bit, Address: fc.nat(3).map((n) => DATA + n * 0x1000) }),
    }),
    fc.record({ name: fc.constant("CMD_TLBI_NSNH_ALL"), fields: fc.constant({}) }),
    fc.record({ name: fc.constant("CMD_CFGI_STE"), fields: fc.record({ StreamID: fc.nat(STREAMS - 1), Leaf: bit }) }),
    fc.record({ name: fc.constant("CMD_CFGI_CD"), fields: fc.record({ StreamID: fc.nat(STREAMS - 1), Leaf: bit }) }),
    fc.record({ name: fc.constant("CMD_CFGI_STE_RANGE"), fields: fc.constantFrom({ Range: 31 }, { Range: 0 }) }),
    fc.record({ name: fc.constant("CMD_SYNC"), fields: fc.constant({}) }),
  )
  .map(({ name, fields }): Op => ({ op: "command", name, fields }));
const anyOp: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 60,
    arbitrary: fc.record({
      op: fc.constant("access" as const),
      sid: fc.nat(STREAMS - 1),
      page,
      write: fc.boolean(),
      instruction: fc.boolean(),
      privileged: fc.boolean(),
    }),
  },
  { weight: 9, arbitrary: commands },
  // nG, AF, AP, AttrIndx, valid; PXN and UXN.
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant("leaf" as const),
      page,
      value: fc.constantFrom(0xc43, 0x443, 0xcc3, 0xc03, 0xc83, 0x843, 0x8c3, 0, 0x1c43),
      high: fc.constantFrom(0, 0x8_0000, 0x8_0000, 0x20_0000, 0x40_0000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant("leaf2" as const), page: fc.nat(3), value: fc.constantFrom(0x7fd, 0x77d, 0x7bd, 0x3fd, 0) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("cd" as const),
      which: bit,
      fields: fc.record({
        ASID: asid,
        ASET: bit,
        E0PD0: bit,
        PAN: bit,
        WXN: bit,
        TBI0: bit,
        HA: bit,
        HD: bit,
        V: fc.constantFrom(1, 1, 1, 0),
      }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("ste" as const),
      sid: fc.nat(STREAMS - 1),
      fields: fc.record({
        PRIVCFG: fc.nat(3),
        INSTCFG: fc.nat(3),
        SHCFG: fc.nat(3),
        MTCFG: bit,
        MemAttr: fc.constantFrom(0, 5, 15),
        S2HA: bit,
        S2HD: bit,
      }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("size" as const), log2: fc.constantFrom(1, 3) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("enable" as const), on: fc.boolean() }) },
);

class Machine {
  readonly fetches: string[] = [];
  readonly events: string[] = [];
  readonly #smmu: hw.Smmu;
  readonly #bus = new hw.SystemBus(48);
  readonly #streams: hw.StreamTables;
  /** Of the others and of stream 1: the same ASID in two sets. In one table, whose third is for SubstreamIDs. */
  readonly #cds: readonly number[];
  readonly #table: hw.PageTable;
  readonly #upper: hw.PageTable;
  readonly #stage2: hw.PageTable;
  readonly #commands: number;
  /** Stream 1 overrides what stream 0 takes as it comes. */
  readonly #fields: hw.FieldValues[] = [{}, { PRIVCFG: 3, INSTCFG: 2, SHCFG: 2 }, {}, {}, {}];
  #prod = 0;

  constructor(frontTier: boolean, given: hw.SmmuConfig, caches: hw.CacheSizes) {
    const simulation = new Simulation();
    this.#bus.addRam({ name: "ram", base: RAM, size: 0x1000_0000 });
    const { memory } = this.#bus;
    const trace = new Trace<hw.SmmuEvents>();
    trace.on("smmu.access", ({ data }) => this.fetches.push(`${data.access} ${data.address}`));
    trace.on("smmu.event", ({ data }) => this.events.push(data.words.join()));
    const config = { ...given, caches, timing: { commandNs: 0, updateNs: 0 } };
    this.#smmu = new hw.Smmu(config, hw.createSmmuHost({ simulation, bus: this.#bus, trace }), { trace, frontTier });
    const arena = new hw.TableArena(RAM, 0x400_0000);
    this.#table = new hw.PageTable({ memory, arena, stage: 1, granule: 12 });
    this.#upper = new hw.PageTable({ memory, arena, stage: 1, granule: 12 });
    this.#stage2 = new hw.PageTable({ memory, arena, stage: 2, granule: 12, inputBits: 40, startLevel: 1 });
    this.#stage2.map(RAM, RAM, 0x400_0000, {}, 2);
    for (let n = 0; n < 4; n++) this.#stage2.map(DATA + n * 0x1000, DATA + n * 0x1000, 0x1000);
    this.#stage2.map(0, DATA, 0x80_0000, {}, 2);
    for (const index of [0, 1, 2]) this.#table.map(PAGES[index]![1], DATA + index * 0x1000, 0x1000);
    this.#table.map(0x60_0000, DATA, 0x20_0000, {}, 2);
    this.#upper.map(0xffff_ffe0_0000, DATA + 0x3000, 0x1000);
    const cds = arena.take(0x100, 0x100);
    this.#cds = [0, 1, 2].map((index) => cds + 64 * index);
    this.#streams = new hw.StreamTables({ memory, arena, log2Size: 3 });
    this.#writeCd(0, {});
    this.#writeCd(1, { ASET: 1 });
    for (let sid = 0; sid < STREAMS; sid++) this.#writeSte(sid);
    this.#commands = arena.take(0x1000, 0x1000);
    const at = hw.registerOffset;
    const smmu = this.#smmu;
    smmu.write64(at("STRTAB_BASE"), this.#streams.base, 0);
    smmu.write(at("STRTAB_BASE_CFG"), 4, this.#streams.config);
    smmu.write64(at("CMDQ_BASE"), this.#commands + 6, 0);
    smmu.write64(at("EVENTQ_BASE"), arena.take(0x1000, 0x1000) + 7, 0);
    smmu.write(at("CR2"), 4, 2);
    smmu.write(at("CR0"), 4, 0xd);
  }

  #writeCd(which: number, fields: hw.FieldValues): void {
    hw.writeWords(this.#bus.memory, this.#cds[which]!, hw.stage1Cd({ ttb0: this.#table, ttb1: this.#upper }, { ASID: 1, ...fields }));
  }

  #writeSte(sid: number): void {
    const fields = { S2VMID: VMID, ...this.#fields[sid] };
    const words = [
      () => hw.stage1Ste(this.#cds[0]!, fields),
      () => hw.stage1Ste(this.#cds[1]!, fields),
      () => hw.nestedSte(this.#cds[0]!, this.#stage2, fields),
      () => hw.stage2Ste(this.#stage2, fields),
      () => hw.bypassSte(fields),
    ][sid]!();
    this.#streams.write(sid, words);
  }

  translate(inputs: Partial<hw.Transaction>): hw.Outcome {
    return this.#smmu.translate(Object.assign(new hw.Transaction(), inputs));
  }

  #write(name: string, value: number): void {
    this.#smmu.write(hw.registerOffset(name), 4, value);
  }

  /** Does one thing. @returns what an access gave */
  run(op: Op): string | undefined {
    const { memory } = this.#bus;
    switch (op.op) {
      case "access": {
        const tx = new hw.Transaction();
        const [hi, lo] = PAGES[op.page]!;
        Object.assign(tx, {
          streamId: op.sid,
          addressHi: hi,
          addressLo: lo + 0x10,
          write: op.write,
          instruction: op.instruction,
          privileged: op.privileged,
        });
        const outcome = this.#smmu.translate(tx);
        return JSON.stringify({ outcome, ...outputs(tx) });
      }
      case "leaf": {
        const [, lo] = PAGES[op.page]!;
        const table = op.page === 4 ? this.#upper : this.#table;
        const place = table.entryAddress(op.page === 4 ? 0xffff_ffe0_0000 : lo, op.page === 3 ? 2 : 3);
        const block = op.page === 3 && op.value !== 0 ? 2 : 0;
        memory.write32(place, op.value === 0 ? 0 : ((DATA + (op.page === 3 ? 0 : op.page * 0x1000)) | op.value) - block);
        memory.write32(place + 4, op.high);
        return undefined;
      }
      case "leaf2":
        memory.write32(
          this.#stage2.entryAddress(DATA + op.page * 0x1000, 3),
          op.value === 0 ? 0 : (DATA + op.page * 0x1000) | op.value | 2,
        );
        return undefined;
      case "cd":
        this.#writeCd(op.which, op.fields);
        return undefined;
      case "ste":
        this.#fields[op.sid] = op.fields;
        this.#writeSte(op.sid);
        return undefined;
      case "command":
        hw.writeWords(memory, this.#commands + 16 * (this.#prod & 63), hw.buildCommand(op.name, op.fields));
        this.#prod = (this.#prod + 1) & 127;
        this.#write("CMDQ_PROD", this.#prod);
        return undefined;
      case "size":
        this.#write("CR0", 0xc);
        this.#write("STRTAB_BASE_CFG", op.log2);
        this.#write("CR0", 0xd);
        return undefined;
      case "enable":
        this.#write("CR0", op.on ? 0xd : 0xc);
        return undefined;
    }
  }

  get cacheContents(): string {
    const { tlb, walks } = this.#smmu.translation;
    return JSON.stringify([[...tlb.entries()], [...walks.entries()]]);
  }
}

describe("with and without the front tier", () => {
  const size = fc.constantFrom(1, 2, 8, 64);
  const anyCaches: fc.Arbitrary<hw.CacheSizes> = fc.record({
    ste: size,
    cd: size,
    tlb: size,
    walk: fc.constantFrom(0, 8),
    replacement: fc.constantFrom("round-robin" as const, "random" as const),
  });
  /** Where INST and PRIV leave as they came, and where they do not (v3.4); with updates of descriptors and without. */
  const anyConfig: fc.Arbitrary<hw.SmmuConfig> = fc.constantFrom(hw.profiles.max, hw.profiles["linux-typical"]);
  const anyProgram = fc.array(anyOp, { minLength: 1, maxLength: 300, size: "max" });

  test("results, event records, fetches and cache contents are the same", () => {
    let hits = 0;
    fc.assert(
      fc.property(anyProgram, anyConfig, anyCaches, (ops, config, caches) => {
        const [front, plain] = [new Machine(true, config, caches), new Machine(false, config, caches)];
        ops.forEach((op, index) => {
          const [a, b] = [front.run(op), plain.run(op)];
          if (a !== b) expect({ index, op, result: a }).toEqual({ index, op, result: b });
        });
        expect(front.events).toEqual(plain.events);
        expect(front.fetches).toEqual(plain.fetches);
        expect(front.cacheContents).toBe(plain.cacheContents);
        hits += ops.length;
      }),
      { numRuns: 60, seed: 4 },
    );
    expect(hits).toBeGreaterThan(1000);
  });
});

test("with SMMUEN at 0 a page that was translated goes by GBPA, and is translated again when SMMUEN is back (§6.3.9.6)", () => {
  const access: Op = { op: "access", sid: 0, page: 0, write: false, instruction: false, privileged: false };
  const machine = new Machine(true, hw.profiles.max, hw.profiles.max.caches);
  machine.run({ op: "leaf", page: 0, value: 0xc43, high: 0 });
  const on = [machine.run(access), machine.run(access)];
  machine.run({ op: "enable", on: false });
  const off = machine.run(access)!;
  machine.run({ op: "enable", on: true });
  expect([...on, machine.run(access)]).toEqual([on[0], on[0], on[0]]);
  expect((JSON.parse(off) as { address: { via: number } }).address.via).toBe(hw.Via.globalBypass);
});

test("an entry of the ASID is found before a global one of another set that a line was made of (§3.17.2)", () => {
  const ops: Op[] = [
    // Global for stream 0, whose ASET is 0; then not global any more, and read-only, for stream 1, whose ASET is 1.
    { op: "leaf", page: 0, value: 0x443, high: 0 },
    { op: "access", sid: 0, page: 0, write: false, instruction: false, privileged: false },
    { op: "leaf", page: 0, value: 0xcc3, high: 0 },
    { op: "access", sid: 1, page: 0, write: false, instruction: false, privileged: false },
    { op: "access", sid: 0, page: 0, write: true, instruction: false, privileged: false },
  ];
  const [front, plain] = [true, false].map((frontTier) => new Machine(frontTier, hw.profiles.max, hw.profiles.max.caches)) as [
    Machine,
    Machine,
  ];
  expect(ops.map((op) => front.run(op))).toEqual(ops.map((op) => plain.run(op)));
  expect(front.events).toHaveLength(1);
});

test("an entry of the ASID that covers neighbours is found before their global entries of the same set (§3.17.2)", () => {
  const ops: Op[] = [
    { op: "leaf", page: 1, value: 0x443, high: 0 },
    { op: "access", sid: 0, page: 1, write: false, instruction: false, privileged: false },
    // Contiguous, not global, read-only: 64 KiB, with the other page in them.
    { op: "leaf", page: 0, value: 0xcc3, high: 0x10_0000 },
    { op: "access", sid: 0, page: 0, write: false, instruction: false, privileged: false },
    { op: "access", sid: 0, page: 1, write: true, instruction: false, privileged: false },
  ];
  const [front, plain] = [true, false].map((frontTier) => new Machine(frontTier, hw.profiles.max, hw.profiles.max.caches)) as [
    Machine,
    Machine,
  ];
  expect(ops.map((op) => front.run(op))).toEqual(ops.map((op) => plain.run(op)));
  expect(front.events).toHaveLength(1);
});

test("an entry of the ASID is found first, too, where the ASID had nothing of its own for long (§3.17.2)", () => {
  const read = { op: "access", write: false, instruction: false, privileged: false } as const;
  const caches = { ...hw.profiles.max.caches, tlb: 8 };
  const machine = new Machine(true, hw.profiles.max, caches);
  const asid = (number: number): void => {
    machine.run({ op: "cd", which: 1, fields: { ASID: number } });
    machine.run({ op: "command", name: "CMD_CFGI_CD", fields: { StreamID: 1 } });
  };
  machine.run({ op: "leaf", page: 1, value: 0x443, high: 0 });
  machine.run({ ...read, sid: 0, page: 1 });
  // Many ASIDs that find the global entry: those that have nothing of their own are not kept for ever.
  for (let number = 2; number < 200; number++) {
    asid(number);
    machine.run({ ...read, sid: 1, page: 1 });
  }
  asid(1);
  // Contiguous, not global, read-only: 64 KiB, with the other page in them.
  machine.run({ op: "leaf", page: 0, value: 0xcc3, high: 0x10_0000 });
  machine.run({ ...read, sid: 1, page: 0 });
  const result = machine.run({ ...read, sid: 0, page: 1, write: true });
  expect((JSON.parse(result!) as { outcome: hw.Outcome }).outcome).toBe(hw.Outcome.abort);
  expect(machine.events).toHaveLength(1);
});

test("E0PD0 refuses a page that a stream of the same ASID may have, though the half of TTB1 is open to both (§5.4)", () => {
  const read = { op: "access", write: false, instruction: false, privileged: false } as const;
  const machine = new Machine(true, hw.profiles.max, hw.profiles.max.caches);
  machine.run({ op: "cd", which: 1, fields: { E0PD0: 1 } });
  machine.run({ op: "ste", sid: 1, fields: {} });
  const results = [
    machine.run({ ...read, sid: 0, page: 0 }),
    machine.run({ ...read, sid: 1, page: 4 }),
    machine.run({ ...read, sid: 1, page: 0 }),
  ].map((result) => (JSON.parse(result!) as { outcome: hw.Outcome; event: number }).outcome);
  expect(results).toEqual([hw.Outcome.forward, hw.Outcome.forward, hw.Outcome.abort]);
  expect(machine.events).toHaveLength(1);
});

test("a StreamID or SubstreamID that is none is refused, whatever is known of others", () => {
  const machine = new Machine(true, hw.profiles.max, hw.profiles.max.caches);
  const ask = (streamId: number, substreamId: number): (() => unknown) => {
    return () => machine.translate({ streamId, substreamId, addressLo: PAGES[0]![1] });
  };
  machine.run({ op: "cd", which: 2, fields: {} });
  machine.run({ op: "ste", sid: 0, fields: { S1CDMax: 2, S1DSS: 2 } });
  // Three times: from memory, from the caches, from the front tier.
  for (let n = 0; n < 3; n++) for (const substreamId of [-1, 2]) expect(ask(0, substreamId)()).toBe(hw.Outcome.forward);
  for (const id of [2 ** 32, 0.5, -0.5, Number.NaN]) expect(ask(id, -1), `StreamID ${id}`).toThrow(hw.HostMisuseError);
  machine.run({ op: "command", name: "CMD_CFGI_STE", fields: { StreamID: 0 } });
  for (const id of [-2, -4, 0.5, 2 ** 20]) expect(ask(0, id), `SubstreamID ${id}`).toThrow(hw.HostMisuseError);
});

test.each([-1, 14, 255, 256, 2 ** 29, 0.5, Number.NaN])("a transaction of kind %d is refused: there is none", (kind) => {
  const machine = new Machine(true, hw.profiles.max, hw.profiles.max.caches);
  const ask = (): unknown => machine.translate({ streamId: 0, addressLo: PAGES[0]![1], kind: kind as hw.TransactionKind });
  expect(ask).toThrow(hw.HostMisuseError);
});
