// SPDX-License-Identifier: MIT
/** From a program to a script: lays out tables, follows their changes, and adds the maintenance that each change needs. */
import { type SmmuConfig, StreamTables, TableArena, buildCommand } from "../../hw/index.ts";
import { candidatesOf, factsOf } from "./facts.ts";
import { RecordingMemory, StreamLayout } from "./layout.ts";
import {
  CMDQ_BASE,
  DATA_BASE,
  DATA_SIZE,
  EVENTQ_BASE,
  hasLeaf,
  hasSte,
  type MappingPlan,
  type Program,
  type Step,
  TABLE_BASE,
  TABLE_SIZE,
} from "./program.ts";
import {
  type AccessOperation,
  CMDQ_LOG2,
  EVENTQ_LOG2,
  MAX_ACCESSES,
  markerOf,
  type Operation,
  type Script,
  type Words4,
} from "./script.ts";

const CR0 = 0x20;
const CR1 = 0x28;
const CR2 = 0x2c;
const IRQ_CTRL = 0x50;
const STRTAB_BASE = 0x80;
const STRTAB_BASE_CFG = 0x88;
const CMDQ_BASE_REGISTER = 0x90;
const CMDQ_PROD = 0x98;
const CMDQ_CONS = 0x9c;
const EVENTQ_BASE_REGISTER = 0xa0;
const EVENTQ_PROD = 0x1_00a8;
const EVENTQ_CONS = 0x1_00ac;
const CMDQEN = 8;
const EVENTQEN = 4;
const SMMUEN = 1;
/** No address is as large as this on any part: a bypassed access of it reaches nothing. */
const BEYOND_ALL_HI = 0x2000;

function command(name: string, fields: Readonly<Record<string, number>> = {}): Words4 {
  const [a = 0, b = 0, c = 0, d = 0] = buildCommand(name, fields);
  return [a, b, c, d];
}

const SYNC = command("CMD_SYNC");
const CFGI_ALL = command("CMD_CFGI_STE_RANGE", { Range: 31 });
/** All that Non-secure streams leave in the TLB. */
function tlbiAll({ hyp }: SmmuConfig): readonly Words4[] {
  return hyp ? [command("CMD_TLBI_NSNH_ALL"), command("CMD_TLBI_EL2_ALL")] : [command("CMD_TLBI_NSNH_ALL")];
}

/** STE.STRW: the stream is EL2's, where the part has EL2. */
const STRW_EL2 = 2;

class Compiler {
  readonly #program: Program;
  readonly #config: SmmuConfig;
  readonly #memory = new RecordingMemory();
  readonly #arena = new TableArena(TABLE_BASE, TABLE_SIZE);
  readonly #streams: StreamLayout[];
  readonly #operations: Operation[] = [];
  readonly #steps: number[] = [];
  readonly #accesses: AccessOperation[] = [];
  #step = -1;
  #prod = 0;
  #enabled = false;

  constructor(program: Program, config: SmmuConfig) {
    this.#program = program;
    this.#config = config;
    const { log2Size, split, span } = program.streamTable;
    const tables = new StreamTables({ memory: this.#memory, arena: this.#arena, log2Size, ...(split === undefined ? {} : { split }) });
    if (split !== undefined && span !== undefined) {
      const first = program.streams.filter(
        ({ sid }, index, all) => sid < 2 ** log2Size && all.findIndex((other) => other.sid >> split === sid >> split) === index,
      );
      for (const { sid } of first) tables.setArray(sid, span);
    }
    this.#streams = program.streams.map(
      (plan) => new StreamLayout(plan, this.#memory, this.#arena, tables, hasSte(program.streamTable, plan.sid)),
    );
    this.#start(tables);
  }

  script(): Script {
    this.#program.steps.forEach((step, index) => {
      this.#step = index;
      this.#compile(step);
    });
    // What the tables of an earlier program left is cleared first; what accesses look for comes next.
    const used = this.#arena.take(64) - TABLE_BASE;
    const before: Operation[] = [{ op: "clear", address: TABLE_BASE, size: used }, ...this.#looking()];
    return { operations: [...before, ...this.#operations], steps: [...before.map(() => -1), ...this.#steps], accesses: this.#accesses };
  }

  /** Words that accesses read, each different, and words that they write, all zero. */
  #looking(): Operation[] {
    return this.#accesses.flatMap(({ candidates, index, write }) =>
      candidates.map((address, number) => ({ op: "memory", address, words: [write ? 0 : markerOf(index, number)] }) as const),
    );
  }

  #emit(...operations: readonly Operation[]): void {
    for (const operation of operations) {
      this.#operations.push(operation);
      this.#steps.push(this.#step);
    }
  }

  #write(offset: number, lo: number, width: 4 | 8 = 4): void {
    this.#emit({ op: "write", offset, width, lo: lo >>> 0, hi: 0 });
  }

  #issue(...commands: readonly Words4[]): void {
    this.#emit(...this.#memory.take(), { op: "commands", at: this.#prod, commands });
    this.#prod += commands.length;
  }

  /** The whole way from whatever was there before to a running SMMU. */
  #start(tables: StreamTables): void {
    const { cr1, cr2 } = this.#program;
    this.#write(CR0, 0);
    this.#emit({ op: "acknowledge" });
    this.#write(IRQ_CTRL, 0);
    this.#write(CR1, cr1);
    this.#write(CR2, cr2);
    this.#write(STRTAB_BASE, tables.base, 8);
    this.#write(STRTAB_BASE_CFG, tables.config);
    this.#write(CMDQ_BASE_REGISTER, CMDQ_BASE + CMDQ_LOG2, 8);
    this.#write(CMDQ_PROD, 0);
    this.#write(CMDQ_CONS, 0);
    this.#write(EVENTQ_BASE_REGISTER, EVENTQ_BASE + EVENTQ_LOG2, 8);
    this.#write(EVENTQ_PROD, 0);
    this.#write(EVENTQ_CONS, 0);
    this.#write(CR0, CMDQEN);
    this.#issue(CFGI_ALL, ...tlbiAll(this.#config), SYNC);
    this.#write(CR0, CMDQEN | EVENTQEN);
    this.#enable(true);
  }

  #enable(on: boolean): void {
    this.#enabled = on;
    this.#write(CR0, CMDQEN | EVENTQEN | (on ? SMMUEN : 0));
  }

  #compile(step: Step): void {
    switch (step.op) {
      case "access":
        this.#access(step);
        break;
      case "map":
        this.#map(step);
        break;
      case "ste":
        this.#ste(step);
        break;
      case "cd":
        this.#cd(step);
        break;
      case "command":
        this.#issue(step.words, SYNC);
        break;
      case "enable":
        this.#enable(step.on);
        break;
      case "read":
        this.#emit({ op: "read", offset: step.offset, width: step.width });
    }
  }

  #access({ stream, addressHi, addressLo, write }: Extract<Step, { op: "access" }>): void {
    const layout = this.#streams[stream];
    const index = this.#accesses.length;
    if (layout === undefined || index >= MAX_ACCESSES) return;
    const untranslated = this.#enabled ? (layout.kind === "bypass" ? "bypass" : undefined) : "disabled";
    const isData = addressHi === 0 && addressLo >= DATA_BASE && addressLo < DATA_BASE + DATA_SIZE;
    // Where stage 1 does not choose the output, an access of anything but data might reach a device or the tables.
    if ((untranslated !== undefined || (layout.stages & 1) === 0) && !isData && addressHi < BEYOND_ALL_HI) return;
    const operation: AccessOperation = {
      op: "access",
      index,
      sid: layout.sid,
      addressHi,
      addressLo: addressLo + 4 * index,
      write,
      candidates: candidatesOf(this.#streams, layout, addressHi, addressLo).map((page) => page + 4 * index),
      facts: untranslated === "disabled" ? "SMMUEN=0" : factsOf(layout, this.#program, addressHi, addressLo),
      stages: this.#enabled ? layout.stages : 0,
      untranslated,
    };
    this.#accesses.push(operation);
    this.#emit(operation);
  }

  #map({ stream, table, mapping, change, by }: Extract<Step, { op: "map" }>): void {
    const layout = this.#streams[stream];
    const old = layout?.mappings[table][mapping];
    if (layout === undefined || old === undefined) return;
    const next = change === "unmap" ? old : { ...old, ...change };
    layout.mappings[table][mapping] = next;
    layout.writeLeaf(table, next, change !== "unmap");
    if (table !== "stage2" && by < 2) layout.invalidatedByAddress = true;
    this.#issue(...(table === "stage2" ? this.#stage2Tlbi(layout, old, by) : this.#stage1Tlbi(layout, table, old, next, by)), SYNC);
  }

  #stage1Tlbi(layout: StreamLayout, table: "ttb0" | "ttb1", old: MappingPlan, next: MappingPlan, by: number): readonly Words4[] {
    const { granule, inputBits } = layout.plans[table]!;
    const VMID = layout.vmid(this.#config);
    const ASID = layout.asid;
    const lo = old.address % 2 ** 32;
    const upper = table === "ttb1";
    const ones = !upper ? 0 : inputBits >= 32 ? 2 ** 32 - 2 ** (inputBits - 32) : 2 ** 32 - 1;
    const AddressHi = (Math.floor(old.address / 2 ** 32) | ones) >>> 0;
    const AddressLo = (upper && inputBits < 32 ? lo + 2 ** 32 - 2 ** inputBits : lo) >>> 0;
    const address = { AddressHi, AddressLo, Leaf: 1 };
    if (by === 3 || !hasLeaf(granule, old.level)) return tlbiAll(this.#config);
    if (this.#config.hyp && layout.kind === "stage1" && layout.ste["STRW"] === STRW_EL2) {
      return by === 2 ? [command("CMD_TLBI_EL2_ALL")] : [command(by === 0 ? "CMD_TLBI_EL2_VA" : "CMD_TLBI_EL2_VAA", address)];
    }
    // An entry of all ASIDs stays when one ASID goes.
    if (by === 2)
      return [old.nG === 1 && next.nG === 1 ? command("CMD_TLBI_NH_ASID", { VMID, ASID }) : command("CMD_TLBI_NH_ALL", { VMID })];
    if (by === 1 && !this.#config.ril) return [command("CMD_TLBI_NH_VAA", { VMID, ...address })];
    const TG = granule === 12 ? 1 : granule === 14 ? 2 : 3;
    const hints = by === 1 ? { TG, TTL: old.level } : {};
    return [command("CMD_TLBI_NH_VA", { VMID, ASID, ...address, ...hints })];
  }

  #stage2Tlbi(layout: StreamLayout, old: MappingPlan, by: number): readonly Words4[] {
    const VMID = layout.vmid(this.#config);
    if (by === 3) return tlbiAll(this.#config);
    if (by === 2) return [command("CMD_TLBI_S12_VMALL", { VMID })];
    return [command("CMD_TLBI_S2_IPA", { VMID, Address: old.address, Leaf: 1 }), command("CMD_TLBI_NH_ALL", { VMID })];
  }

  /** As IHI 0070 §3.21.3.1 has it: invalid first, then the rest, each with its invalidation. */
  #ste({ stream, kind, ste, by }: Extract<Step, { op: "ste" }>): void {
    const layout = this.#streams[stream];
    if (layout === undefined) return;
    const StreamID = layout.sid;
    const invalidate =
      [command("CMD_CFGI_STE", { StreamID, Leaf: 1 }), command("CMD_CFGI_STE_RANGE", { StreamID, Range: 2 })][by] ?? CFGI_ALL;
    layout.writeSte(false);
    this.#issue(command("CMD_CFGI_STE", { StreamID, Leaf: 1 }), SYNC);
    layout.kind = kind;
    layout.ste = ste;
    layout.writeSte(true);
    this.#issue(invalidate, ...tlbiAll(this.#config), SYNC);
  }

  #cd({ stream, cd, by }: Extract<Step, { op: "cd" }>): void {
    const layout = this.#streams[stream];
    if (layout === undefined) return;
    const StreamID = layout.sid;
    // Without stage 1 in the SMMU, CFGI_CD is illegal.
    const choices = this.#config.stage1 ? [command("CMD_CFGI_CD", { StreamID, Leaf: 1 }), command("CMD_CFGI_CD_ALL", { StreamID })] : [];
    const invalidate = choices[by] ?? CFGI_ALL;
    layout.writeCd(false);
    this.#issue(invalidate, SYNC);
    layout.cd = cd;
    layout.writeCd(true);
    this.#issue(invalidate, ...tlbiAll(this.#config), SYNC);
  }
}

/** @param config of the model, which has what the SMMU under test says it has */
export function compileProgram(program: Program, config: SmmuConfig): Script {
  return new Compiler(program, config).script();
}
