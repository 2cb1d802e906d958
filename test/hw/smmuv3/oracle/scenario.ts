// SPDX-License-Identifier: MIT
/** A random machine with streams, tables and transactions that mostly make sense, and what spoils them now and then. */
import type { SmmuConfig } from "../../../../src/hw/index.ts";
import { pow2 } from "./bits.ts";
import { drawConfig } from "./configs.ts";
import type { Draw } from "./draw.ts";
import { type Features, featuresOf } from "./features.ts";
import {
  type CdValues,
  drawCd,
  drawOverrides,
  drawStage2,
  encode,
  stage1LeafBits,
  tableBits,
  stage2LeafBits,
  type SteValues,
} from "./legal.ts";
import { LOW_RAM, Machine } from "./machine.ts";
import { stage1Walk, stage2Walk } from "./stages.ts";
import { CD_FIELDS, decodeCd, decodeSte, STE_FIELDS, type World } from "./structures.ts";
import { Arena, Exhausted, plant, type Stage } from "./tables.ts";
import type { Incoming, Registers } from "./types.ts";
import { tableUsed, twoRanges, worldOf } from "./validity.ts";
import { shiftOf, type Walk } from "./walk.ts";

/** What a scenario may contain. */
export interface Kinds {
  /** Entries of each cache. */
  readonly caches: number;
  /** Contiguous bits, whose runs here never agree. */
  readonly contiguous: boolean;
  /** Each stream has a VMID of its own and each CD an ASID, as caches need; the stale-use detector watches. */
  readonly ownTags: boolean;
  /** Streams, and addresses for each. */
  readonly streams: number;
  readonly addresses: number;
  /** Commands and Updates take time. */
  readonly timed?: boolean;
}

export interface Scenario {
  readonly config: SmmuConfig;
  readonly machine: Machine;
  readonly registers: Registers;
  readonly arena: Arena;
  readonly kinds: Kinds;
  /** What the registers were programmed with. */
  readonly program: Parameters<Machine["start"]>[0];
  /** Transactions that the tables were written for. */
  readonly incoming: Incoming[];
}

interface StreamTableShape {
  readonly base: bigint;
  /** STRTAB_BASE. */
  readonly register: bigint;
  readonly cfg: number;
  readonly twoLevel: boolean;
  readonly split: number;
  readonly log2size: number;
}

class Builder {
  readonly draw: Draw;
  readonly f: Features;
  readonly arena: Arena;
  readonly kinds: Kinds;
  readonly e2h: boolean;
  readonly incoming: Incoming[] = [];
  #tag = 0;

  constructor(draw: Draw, f: Features, arena: Arena, kinds: Kinds, e2h: boolean) {
    this.draw = draw;
    this.f = f;
    this.arena = arena;
    this.kinds = kinds;
    this.e2h = e2h;
  }

  get #high(): boolean {
    return this.draw.oneIn(4);
  }

  /** Bits below an alignment, which do not count. */
  #noise(alignment: number): bigint {
    return this.draw.oneIn(4) ? this.draw.bits(alignment) : 0n;
  }

  streamTable(): StreamTableShape {
    const { draw, f, arena } = this;
    const log2size = Math.min(draw.nat(12), f.SIDSIZE) + (draw.oneIn(16) ? draw.nat(40) : 0);
    const twoLevel = f.ST_LEVEL !== 0 && draw.oneIn(2);
    const splitField = draw.one([6, 8, 10, 0, 7]);
    const split = splitField === 8 || splitField === 10 ? splitField : 6;
    const bytes = twoLevel ? pow2(Math.max(6, 3 + log2size - split)) : pow2(6 + log2size);
    const cfg = log2size | (splitField << 6) | ((twoLevel ? 1 : draw.oneIn(8) ? draw.one([2, 3]) : 0) << 16);
    const base = log2size > 12 ? 0n : arena.take(bytes, this.#high);
    const noise = this.#noise(Math.min(32, bytes.toString(2).length - 1));
    return { base, register: base + noise, cfg, twoLevel, split, log2size };
  }

  /** Writes an STE for a StreamID, with a level-2 table if need be. */
  placeSte(table: StreamTableShape, streamId: number, ste: bigint): void {
    const { arena, draw } = this;
    const sid = BigInt(streamId);
    const { base } = table;
    if (!table.twoLevel) return arena.put("ste", base + sid * 64n, 64, ste);
    const level1 = base + (sid >> BigInt(table.split)) * 8n;
    const index = streamId % 2 ** table.split;
    const found = BigInt(arena.memory.read32(Number(level1))) & 31n;
    let array = 0n;
    if (found === 0n) {
      const least = index === 0 ? 1 : 33 - Math.clz32(index);
      const span = draw.oneIn(16) ? table.split + 2 : Math.min(table.split + 1, least + draw.nat(2));
      array = arena.take(pow2(5 + span), this.#high);
      arena.put("l1std", level1, 8, array | (this.#noise(5 + span) & ~31n) | BigInt(span));
    } else {
      const low = BigInt(arena.memory.read32(Number(level1)));
      array = ((BigInt(arena.memory.read32(Number(level1) + 4)) << 32n) | low) & ~(pow2(5 + Number(found)) - 1n);
      if (index >= 2 ** (Number(found) - 1)) return;
    }
    arena.put("ste", array + BigInt(index) * 64n, 64, ste);
  }

  #config(): bigint {
    const { draw, f } = this;
    const possible = [
      ...(f.S1P && f.S2P ? [7, 7, 7] : []),
      ...(f.S1P ? [5, 5] : []),
      ...(f.S2P ? [6] : []),
      4,
      ...(draw.oneIn(8) ? [0] : []),
    ];
    return BigInt(draw.one(possible));
  }

  stream(table: StreamTableShape, streamId: number): void {
    const { draw, f } = this;
    const Config = this.#config();
    this.#tag++;
    const values: SteValues = {
      V: 1n,
      Config,
      ...drawOverrides(draw),
      S2VMID: this.kinds.ownTags ? BigInt(this.#tag) : draw.bits(f.VMID16 || draw.oneIn(8) ? 16 : 8),
    };
    values.STRW = BigInt(Config === 5n && f.Hyp ? draw.one([0, 2, 2, 0, 2, 1, 3]) : draw.nat(3));
    // EL2 has no tags: one stream with one CD has it for itself.
    const untagged = f.Hyp && Config === 5n && !this.e2h && this.kinds.ownTags && values.STRW !== 0n;
    if (untagged && this.#tag > 1) values.STRW = 0n;
    values.S1PIE = BigInt(draw.nat(1));
    values.EATS = draw.oneIn(4) ? BigInt(draw.nat(4)) : 0n;
    values.S1STALLD = f.STALL_MODEL === 0 && draw.oneIn(8) ? 1n : 0n;
    if ((Config & 2n) !== 0n) {
      Object.assign(values, drawStage2(draw, f));
      values.S2TTB = this.#takeFirst(stage2Walk(decodeSte(encode(STE_FIELDS, { ...values, S2TTB: 0n })), f), this.#high) >> 4n;
    }
    const second = (Config & 2n) === 0n ? undefined : this.#stage2(values);
    const addresses: [bigint, number | undefined][] = [];
    if ((Config & 1n) === 0n) {
      for (let i = 0; i < this.kinds.addresses; i++) addresses.push([this.#flat(second), undefined]);
    } else {
      this.#contexts(values, second, addresses, untagged);
    }
    this.placeSte(table, streamId, encode(STE_FIELDS, values));
    for (const [address, substreamId] of addresses) this.incoming.push(this.#transaction(streamId, substreamId, address));
  }

  #transaction(streamId: number, substreamId: number | undefined, address: bigint): Incoming {
    const { draw } = this;
    const kind = draw.nat(2);
    return { streamId, substreamId, address, write: kind === 1, instruction: kind === 2, privileged: draw.nat(1) === 1 };
  }

  /** An address without stage 1. */
  #flat(second: Stage | undefined): bigint {
    const ipa = this.draw.bits(Math.min(this.f.OAS, second?.walk.inputBits ?? 64));
    if (second !== undefined) this.#mapForClient(second, ipa);
    return ipa;
  }

  #mapForClient(second: Stage, ipa: bigint): void {
    plant(second, ipa, { bits: stage2LeafBits(this.draw, second.walk.wide, this.kinds.contiguous, false), output: undefined });
  }

  /** Whether descriptors of a walk can name the highest addresses. */
  #reaches(walk: Walk): boolean {
    return this.f.OAS <= 48 || walk.granule === 16 || walk.wide;
  }

  /** A base for the first table of a walk. */
  #takeFirst(walk: Walk, high: boolean): bigint {
    const log2 = walk.inputBits - shiftOf(walk.granule, walk.startLevel) + 3;
    const alignment = Math.max(log2, walk.outputBits === 52 ? 6 : 4);
    return this.arena.take(pow2(alignment), high && this.#reaches(walk)) + this.#noise(alignment);
  }

  #stage2(values: SteValues): Stage {
    const { arena, f, draw } = this;
    const walk = stage2Walk(decodeSte(encode(STE_FIELDS, values)), f);
    return {
      kind: "tt-s2",
      walk,
      arena,
      f,
      draw,
      toPhysical: (address) => address,
      takeTable: (bytes) => arena.take(bytes, this.#high && this.#reaches(walk)),
      tableBits: () => tableBits(draw, false),
    };
  }

  /**
   * How the owner of stage 1 addresses memory: as it is, or as intermediate addresses some way above it.
   * @returns both directions; the one to physical addresses writes the stage-2 tables that it takes
   */
  #view(second: Stage | undefined): { from(physical: bigint): bigint; to(address: bigint): bigint | undefined; high: boolean } {
    const { draw, arena } = this;
    if (second === undefined) return { from: (physical) => physical, to: (address) => address, high: true };
    const range = pow2(second.walk.inputBits);
    const shifts = [0n, 1n << 30n, 1n << 34n, range - pow2(26)].filter((shift) => shift >= 0n && shift + BigInt(LOW_RAM) <= range);
    const shift = shifts.length > 0 ? draw.one(shifts) : 0n;
    const high = range > arena.highBase && shift === 0n;
    return {
      high,
      from: (physical) => physical + shift,
      to: (address) => {
        const physical = address - shift;
        if (physical < 0n || !arena.isRam(physical)) return undefined;
        const bits = stage2LeafBits(draw, second.walk.wide, this.kinds.contiguous, true);
        return address < range ? plant(second, address, { bits, output: physical }) : undefined;
      },
    };
  }

  #contexts(values: SteValues, second: Stage | undefined, addresses: [bigint, number | undefined][], single: boolean): void {
    const { draw, f, arena } = this;
    const view = this.#view(second);
    const take = (bytes: bigint): bigint => view.from(arena.take(bytes, view.high && this.#high));
    const cds = f.SSIDSIZE === 0 || single ? 0 : draw.oneIn(3) ? 0 : 1 + draw.nat(Math.min(f.SSIDSIZE, 12) - 1);
    values.S1CDMax = BigInt(cds);
    values.S1DSS = BigInt(draw.one([2, 1, 0, 3]));
    const format = cds === 0 || !f.CD2L ? draw.one([0, 3]) : draw.nat(3);
    values.S1Fmt = BigInt(format);
    const leafBits = cds === 0 ? 0 : format === 1 ? 6 : format === 2 ? 10 : 0;
    const table = take(leafBits === 0 ? pow2(6 + cds) : pow2(Math.max(6, 3 + cds - leafBits)));
    values.S1ContextPtr = (table + this.#noise(leafBits === 0 ? 6 + cds : Math.max(6, 3 + cds - leafBits))) >> 6n;
    const world = worldOf(decodeSte(encode(STE_FIELDS, values)), f, this.e2h);
    const indexes = cds === 0 ? [0] : [0, draw.nat(2 ** cds - 1)].slice(0, 1 + draw.nat(1));
    for (const index of new Set(indexes)) {
      const found = this.#cd(world, second, view, take);
      let at = table + BigInt(index) * 64n;
      if (leafBits !== 0) {
        const leaf = take(pow2(6 + leafBits));
        const level1 = view.to(table + BigInt(index >> leafBits) * 8n);
        if (level1 !== undefined) {
          // Now and then invalid, or with an L2Ptr out of range.
          const wrong = draw.oneIn(12) ? draw.one([1n, pow2(f.OAS), pow2(55)]) : 0n;
          arena.put("l1cd", level1, 8, (leaf | this.#noise(6 + leafBits) | 1n) ^ wrong);
        }
        at = leaf + BigInt(index % 2 ** leafBits) * 64n;
      }
      const physical = view.to(at);
      if (physical !== undefined) arena.put("cd", physical, 64, encode(CD_FIELDS, found.values));
      const implicit = cds === 0 || (index === 0 && values.S1DSS === 2n);
      for (const address of found.addresses) addresses.push([address, implicit ? undefined : index]);
    }
    if (cds > 0 && values.S1DSS === 1n) addresses.push([this.#flat(second), undefined]);
  }

  #cd(
    world: World,
    second: Stage | undefined,
    view: { from(physical: bigint): bigint; to(address: bigint): bigint | undefined },
    take: (bytes: bigint) => bigint,
  ): { values: CdValues; addresses: bigint[] } {
    const { draw, f, arena } = this;
    const values = drawCd(draw, f);
    if (this.kinds.ownTags) values.ASID = BigInt(++this.#tag);
    const addresses: bigint[] = [];
    for (const half of [0, 1] as const) {
      const decoded = decodeCd(encode(CD_FIELDS, values));
      if (!tableUsed(decoded, world, half)) continue;
      const walk = stage1Walk(decoded, half, f);
      const log2 = walk.inputBits - shiftOf(walk.granule, walk.startLevel) + 3;
      const bytes = pow2(Math.max(log2, walk.outputBits === 52 ? 6 : 4));
      const base = this.#reaches(walk) || draw.oneIn(16) ? take(bytes) : view.from(arena.take(bytes, false));
      values[half === 0 ? "TTB0" : "TTB1"] = (base + this.#noise(Math.max(log2, walk.outputBits === 52 ? 6 : 4))) >> 4n;
      const stage: Stage = {
        kind: "tt-s1",
        walk: { ...walk, base },
        arena,
        f,
        draw,
        toPhysical: (address) => view.to(address),
        takeTable: (bytes) => (this.#reaches(walk) ? take(bytes) : view.from(arena.take(bytes, false))),
        tableBits: () => tableBits(draw, true),
      };
      for (let i = 0; i < this.kinds.addresses; i++) addresses.push(this.#translated(stage, half, twoRanges(world), second));
    }
    return { values, addresses };
  }

  /** An input address of a half, mapped by both stages. */
  #translated(stage: Stage, half: 0 | 1, two: boolean, second: Stage | undefined): bigint {
    const { draw } = this;
    const low = draw.bits(stage.walk.inputBits);
    const va = half === 1 && two ? low | (pow2(64) - pow2(stage.walk.inputBits)) : low;
    let bits = stage1LeafBits(draw, stage.walk.wide, this.kinds.contiguous);
    if (this.kinds.ownTags) bits |= 1n << 11n;
    const size = Math.min(stage.walk.outputBits, second?.walk.inputBits ?? 64, draw.oneIn(16) ? 64 : this.f.OAS);
    const output = ((draw.bits(size) >> 12n) << 12n) | (low & 0xfffn);
    const offset = pow2(stage.walk.granule);
    const ipa = plant(stage, va, { bits, output: (output / offset) * offset + (low % offset) });
    if (second !== undefined && ipa !== undefined && ipa < pow2(second.walk.inputBits)) this.#mapForClient(second, ipa);
    return va;
  }
}

/** @returns undefined if memory did not suffice for even the Stream table */
export function drawScenario(draw: Draw, kinds: Kinds): Scenario {
  const config = drawConfig(draw, kinds.caches, kinds.timed ?? false);
  const machine = new Machine(config, kinds.ownTags);
  const arena = new Arena(machine.bus.memory, machine.highBase);
  const cr2 = draw.one([2, 3, 1, 0]);
  const builder = new Builder(draw, featuresOf(machine.registers()), arena, kinds, (cr2 & 1) === 1);
  let base = 0n;
  let cfg = 0;
  try {
    const table = builder.streamTable();
    base = table.register;
    cfg = table.cfg;
    const sids = Array.from({ length: 1 + draw.nat(kinds.streams - 1) }, () =>
      draw.nat(2 ** Math.min(table.log2size, config.sidSize, 12) - 1),
    );
    for (const sid of new Set(sids)) builder.stream(table, sid);
  } catch (error) {
    if (!(error instanceof Exhausted)) throw error;
  }
  const gbpa = draw.oneIn(2) ? Number(draw.bits(20)) : 0x1000;
  const program = {
    strtabBase: base,
    strtabBaseCfg: cfg,
    cr2,
    gbpa: gbpa | (draw.oneIn(8) ? 0x10_0000 : 0),
    // All of RW+puX, or anything.
    s2pii: draw.oneIn(2) ? draw.bits(64) : 2n ** 64n - 1n,
    enabled: !draw.oneIn(16),
  };
  machine.start(program);
  return { config, machine, registers: machine.registers(), arena, kinds, program, incoming: builder.incoming };
}
