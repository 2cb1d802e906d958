// SPDX-License-Identifier: MIT
/** Seeded programs: tables, then accesses, changes with the maintenance that they need, commands, register reads. */
import type { SmmuConfig } from "../../hw/index.ts";
import { Prng } from "../../sim/index.ts";
import { Dice } from "./dice.ts";
import { cdFields, stage1Table, stage2Table, steFields } from "./generate-tables.ts";
import {
  DATA_BASE,
  DATA_SIZE,
  leafShift,
  type Maintenance,
  type Program,
  type Step,
  STREAM_IDS,
  type StreamKind,
  type StreamPlan,
  type StreamTablePlan,
  TABLES,
  type TableName,
  type TablePlan,
} from "./program.ts";

const REGISTERS: readonly (readonly [offset: number, width: 4 | 8])[] = [
  [0x00, 4],
  [0x04, 4],
  [0x08, 4],
  [0x0c, 4],
  [0x10, 4],
  [0x14, 4],
  [0x18, 4],
  [0x1c, 4], // identification
  [0x20, 4],
  [0x24, 4],
  [0x28, 4],
  [0x2c, 4],
  [0x44, 4],
  [0x50, 4],
  [0x54, 4], // control
  [0x60, 4],
  [0x64, 4],
  [0x68, 8],
  [0x70, 4],
  [0x74, 4], // errors
  [0x80, 8],
  [0x88, 4],
  [0x90, 8],
  [0x98, 4],
  [0x9c, 4],
  [0xa0, 8],
  [0xa8, 4],
  [0xac, 4],
  [0x1_00a8, 4],
  [0x1_00ac, 4], // tables, queues
  [0xfd0, 4],
  [0xfe0, 4],
  [0xfe8, 4],
  [0xff0, 4], // CoreSight
];

/** Opcodes of commands with operands that make them interesting: [words 0 and 1], [words 2 and 3]. */
const COMMANDS: readonly (readonly [number, number, number, number])[] = [
  [0x00, 0, 0, 0], // reserved
  [0xff, 0, 0, 0],
  [0x01, 0x08, 0, 0], // CMD_PREFETCH_CONFIG
  [0x02, 0x08, 0, 0], // CMD_PREFETCH_ADDR
  [0x03, 0x08, 1, 0], // CMD_CFGI_STE
  [0x403, 0x08, 1, 0], // with SSec
  [0x04, 0x00, 31, 0], // CMD_CFGI_ALL
  [0x05, 0x08, 1, 0], // CMD_CFGI_CD
  [0x06, 0x08, 0, 0], // CMD_CFGI_CD_ALL
  [0x06, 0x88, 0, 0],
  [0x07, 0, 0, 0], // CMD_CFGI_VMS_PIDM
  [0x10, 0, 0, 0], // CMD_TLBI_NH_ALL
  [0x11, 0x1_0000, 0, 0], // CMD_TLBI_NH_ASID
  [0x12, 0x1_0000, 0x1000, 0], // CMD_TLBI_NH_VA
  [0x12, 0x1_0000, 0x1400, 0], // with TG and nothing else: reserved
  [0x13, 0, 0x1000, 0], // CMD_TLBI_NH_VAA
  [0x18, 0, 0, 0], // CMD_TLBI_EL3_ALL
  [0x1a, 0, 0, 0], // CMD_TLBI_EL3_VA
  [0x20, 0, 0, 0], // CMD_TLBI_EL2_ALL
  [0x21, 0, 0, 0], // CMD_TLBI_EL2_ASID
  [0x22, 0, 0, 0], // CMD_TLBI_EL2_VA
  [0x23, 0, 0, 0], // CMD_TLBI_EL2_VAA
  [0x28, 0, 0, 0], // CMD_TLBI_S12_VMALL
  [0x2a, 0, 0x1000, 0], // CMD_TLBI_S2_IPA
  [0x30, 0, 0, 0], // CMD_TLBI_NSNH_ALL
  [0x40, 0x08, 0, 0], // CMD_ATC_INV
  [0x41, 0x08, 0, 0], // CMD_PRI_RESP
  [0x44, 0x08, 0, 0], // CMD_RESUME
  [0x45, 0x08, 0, 0], // CMD_STALL_TERM
  [0x46, 0, 0, 0], // CMD_SYNC
  [0x1046, 0, 0, 0],
  [0x2046, 0, 0, 0],
  [0x3046, 0, 0, 0], // CS reserved
  [0x60, 0, 0, 0], // CMD_TLBI_S_EL1_*
];

const NONE: Partial<Record<TableName, TablePlan>> = {};

class Generator {
  readonly #dice: Dice;
  readonly #config: SmmuConfig;
  readonly #narrow: boolean;
  #globals = 0;
  readonly #streams: StreamPlan[] = [];
  readonly #steps: Step[] = [];

  constructor(seed: number, config: SmmuConfig, narrow: boolean) {
    this.#dice = new Dice(seed);
    this.#config = config;
    this.#narrow = narrow;
  }

  program(): Program {
    const dice = this.#dice;
    const streamTable = this.#streamTable();
    const sids = STREAM_IDS.filter((_, index) => index === 0 || dice.chance(40));
    // A global leaf serves all ASIDs of its VMID: streams may have tables of their own where each has a VMID, or none has company.
    this.#globals = sids.length === 1 ? 30 : this.#config.stage2 ? 10 : 0;
    for (const sid of sids) this.#streams.push(this.#stream(sid));
    for (let wanted = 3 + dice.below(10); wanted > 0; wanted--) this.#step();
    return {
      streamTable,
      cr1: dice.pick([0, 0x0d75, 0x003f]),
      cr2: dice.weighted([
        [80, 2],
        [10, 6],
        [10, 0],
      ]),
      streams: this.#streams,
      steps: this.#steps,
    };
  }

  #streamTable(): StreamTablePlan {
    const dice = this.#dice;
    const log2Size = dice.weighted([
      [70, 8],
      [10, 7],
      [10, 16],
      [10, 4],
    ]);
    if (!this.#config.twoLevelStreamTable || dice.chance(50)) return { log2Size, split: undefined };
    const split = dice.pick([6, 8, 10] as const);
    return dice.chance(90) ? { log2Size, split } : { log2Size, split, span: dice.pick([0, 1, 4, 5, split, split + 1, split + 2, 12]) };
  }

  #kind(): StreamKind {
    const { stage1, stage2 } = this.#config;
    return this.#dice.weighted<StreamKind>([
      [4, "invalid"],
      [4, "abort"],
      [8, "bypass"],
      [stage1 ? 50 : 2, "stage1"],
      [stage2 ? 30 : 2, "stage2"],
      [stage1 && stage2 ? 50 : 2, "nested"],
    ]);
  }

  /** A stream has all the tables that a later STE may ask for, seldom unused. */
  #stream(sid: number): StreamPlan {
    const dice = this.#dice;
    const config = this.#config;
    const kind = this.#kind();
    const stage2 = kind === "stage2" || kind === "nested" ? stage2Table(dice, config, kind === "nested") : undefined;
    const stage1 = kind === "stage2" ? NONE : this.#stage1(kind === "nested" ? stage2 : undefined);
    const tag = this.#streams.length + 1;
    return {
      sid,
      kind,
      ste: steFields(dice, kind, config.stage2 ? tag : undefined),
      cd: cdFields(dice, dice.chance(80) ? tag : 0x100 * tag),
      ttb0: stage1.ttb0,
      ttb1: stage1.ttb1,
      stage2,
    };
  }

  #stage1(stage2: TablePlan | undefined): Partial<Record<TableName, TablePlan>> {
    const dice = this.#dice;
    const upper = this.#narrow ? 4 : 25;
    const both = dice.chance(upper);
    const ttb0 = both || !dice.chance(upper) ? stage1Table(dice, this.#config, stage2, this.#globals) : undefined;
    return ttb0 === undefined
      ? { ttb1: stage1Table(dice, this.#config, stage2, this.#globals) }
      : both
        ? { ttb0, ttb1: stage1Table(dice, this.#config, stage2, this.#globals) }
        : { ttb0 };
  }

  #step(): void {
    const dice = this.#dice;
    const stream = dice.below(this.#streams.length);
    const plan = this.#streams[stream]!;
    const by = dice.below(4) as Maintenance;
    switch (
      dice.weighted([
        [60, "access"],
        [14, "map"],
        [5, "ste"],
        [6, "cd"],
        [7, "command"],
        [2, "off"],
        [6, "read"],
      ] as const)
    ) {
      case "access":
        this.#access(stream, plan);
        // The second one may hit what the first has left in a cache.
        if (dice.chance(30)) this.#access(stream, plan);
        break;
      case "map":
        this.#map(stream, plan, by);
        break;
      case "ste":
        this.#steps.push({
          op: "ste",
          stream,
          kind: dice.chance(70) ? plan.kind : dice.pick(["invalid", "abort", "bypass"] as const),
          ste: steFields(dice, plan.kind, plan.ste["S2VMID"]),
          by,
        });
        break;
      case "cd":
        this.#steps.push({ op: "cd", stream, cd: cdFields(dice, plan.cd["ASID"] ?? 0), by });
        break;
      case "command":
        this.#steps.push({ op: "command", words: dice.pick(COMMANDS) });
        break;
      case "off":
        this.#steps.push({ op: "enable", on: false });
        this.#plainAccess(stream);
        this.#steps.push({ op: "enable", on: true });
        break;
      case "read": {
        const [offset, width] = dice.pick(REGISTERS);
        this.#steps.push({ op: "read", offset, width });
      }
    }
  }

  /** Changes a mapping, and looks at it before and after. */
  #map(stream: number, plan: StreamPlan, by: Maintenance): void {
    const dice = this.#dice;
    const table = TABLES.filter((name) => (plan[name]?.mappings.length ?? 0) > 0);
    if (table.length === 0) return;
    const name = dice.pick(table);
    const { mappings, granule } = plan[name]!;
    const mapping = dice.below(mappings.length);
    const { level, address } = mappings[mapping]!;
    if (name === "stage2" && address < DATA_BASE) return;
    const shift = leafShift(granule, level);
    const output = 2 ** shift > DATA_SIZE ? 0 : DATA_BASE + dice.below(DATA_SIZE / 2 ** shift) * 2 ** shift;
    const change = dice.pick(["unmap", { output }, { ap: dice.below(4) }, { af: dice.below(2) }, { output, ap: 1 }] as const);
    const look = { op: "access", stream, ...this.#inside(plan, name, mapping), write: dice.chance(50) } as const;
    this.#steps.push(look, { op: "map", stream, table: name, mapping, change, by }, look);
    // Another page of the same leaf.
    if (dice.chance(30)) this.#steps.push({ ...look, ...this.#inside(plan, name, mapping) });
  }

  #access(stream: number, plan: StreamPlan): void {
    const dice = this.#dice;
    const used =
      plan.kind === "stage1" || plan.kind === "nested" ? (["ttb0", "ttb1"] as const) : plan.kind === "stage2" ? (["stage2"] as const) : [];
    const table = used.filter((name) => plan[name] !== undefined);
    if (table.length === 0) {
      this.#plainAccess(stream);
      return;
    }
    const name = dice.pick(table);
    const { mappings, inputBits } = plan[name]!;
    const data = mappings.map((_, index) => index).filter((index) => name !== "stage2" || mappings[index]!.address >= DATA_BASE);
    let { addressHi, addressLo } =
      data.length > 0 && dice.chance(92)
        ? this.#inside(plan, name, dice.pick(data))
        : this.#upper(dice.below(2 ** inputBits), inputBits, name);
    // A bit beyond the input size, or something in the top byte, which TBI may make harmless.
    if (dice.chance(6)) addressHi = (addressHi ^ (2 ** Math.max(0, Math.min(55, inputBits + dice.below(4)) - 32))) >>> 0;
    if (name !== "stage2" && dice.chance(this.#narrow ? 1 : 8)) addressHi = (addressHi ^ (dice.below(256) << 24)) >>> 0;
    addressLo = (addressLo & ~0xfff) >>> 0;
    this.#steps.push({ op: "access", stream, addressHi, addressLo, write: dice.chance(50) });
  }

  /** An address that is data even where nothing translates it, or beyond all addresses. */
  #plainAccess(stream: number): void {
    const dice = this.#dice;
    const beyond = dice.chance(this.#narrow ? 3 : 15);
    const addressLo = DATA_BASE + dice.below(DATA_SIZE / 0x1000) * 0x1000;
    this.#steps.push({ op: "access", stream, addressHi: beyond ? 0x2000 << dice.below(8) : 0, addressLo, write: dice.chance(50) });
  }

  /** An address that a mapping translates. */
  #inside(plan: StreamPlan, name: TableName, mapping: number): { readonly addressHi: number; readonly addressLo: number } {
    const { granule, inputBits, mappings } = plan[name]!;
    const { address, level } = mappings[mapping]!;
    const shift = leafShift(granule, level);
    const offset = 2 ** shift > DATA_SIZE ? DATA_BASE + this.#dice.below(DATA_SIZE) : this.#dice.below(2 ** shift);
    return this.#upper(address + offset - (offset % 0x1000), inputBits, name);
  }

  #upper(offset: number, inputBits: number, name: TableName): { readonly addressHi: number; readonly addressLo: number } {
    const hi = Math.floor(offset / 2 ** 32);
    const ones = name !== "ttb1" ? 0 : inputBits >= 32 ? 2 ** 32 - 2 ** (inputBits - 32) : 2 ** 32 - 1;
    const lo = name === "ttb1" && inputBits < 32 ? offset + 2 ** 32 - 2 ** inputBits : offset;
    return { addressHi: (hi | ones) >>> 0, addressLo: lo >>> 0 };
  }
}

/**
 * @param config what the SMMUs under test have in common
 * @param narrow true: few addresses of 2^48 and more, for an SMMU that has none
 */
export function generateProgram(seed: number, config: SmmuConfig, narrow: boolean = false): Program {
  return new Generator(seed, config, narrow).program();
}

/** The seed of the n-th program of a run. */
export function programSeed(seed: number, n: number): number {
  return new Prng(seed).fork(`program ${n}`).nextU32();
}
