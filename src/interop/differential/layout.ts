// SPDX-License-Identifier: MIT
/** The memory of a program while it is laid out, and one stream's structures in it. */
import {
  CdTable,
  type DescriptorWords,
  PageTable,
  type SmmuConfig,
  type StreamTables,
  type TableArena,
  type TableMemory,
  abortSte,
  bypassSte,
  leafDescriptor,
  nestedSte,
  stage1Cd,
  stage1Ste,
  stage2Ste,
} from "../../hw/index.ts";
import type { Fields, MappingPlan, StreamKind, StreamPlan, TableName, TablePlan } from "./program.ts";
import type { Operation } from "./script.ts";

/** Memory that remembers what changed since it was asked last. */
export class RecordingMemory implements TableMemory {
  readonly #words = new Map<number, number>();
  readonly #dirty = new Set<number>();

  read32(address: number): number {
    return this.#words.get(address) ?? 0;
  }

  write32(address: number, value: number): void {
    this.#words.set(address, value >>> 0);
    this.#dirty.add(address);
  }

  /** The changes, neighbours together. */
  take(): Operation[] {
    const operations: Operation[] = [];
    let words: number[] = [];
    let next = -1;
    for (const address of [...this.#dirty].sort((a, b) => a - b)) {
      if (address !== next) {
        words = [];
        operations.push({ op: "memory", address, words });
      }
      words.push(this.read32(address));
      next = address + 4;
    }
    this.#dirty.clear();
    return operations;
  }
}

/** IPS and S2PS are at most this: 48 bits. A larger code ends some emulators. */
const LARGEST_SIZE_CODE = 5;

export class StreamLayout {
  kind: StreamKind;
  ste: Fields;
  cd: Fields;
  /** True once a leaf of stage 1 was invalidated by its address alone. */
  invalidatedByAddress = false;
  readonly sid: number;
  readonly plans: Readonly<Record<TableName, TablePlan | undefined>>;
  readonly mappings: Readonly<Record<TableName, MappingPlan[]>>;
  readonly #tables: Readonly<Record<TableName, PageTable | undefined>>;
  readonly #cdTable: CdTable;
  readonly #streams: StreamTables;
  readonly #reachable: boolean;

  /** @param reachable false: the Stream table has no place for its STE */
  constructor(plan: StreamPlan, memory: TableMemory, arena: TableArena, streams: StreamTables, reachable: boolean) {
    const build = (stage: 1 | 2, table: TablePlan | undefined): PageTable | undefined =>
      table && new PageTable({ memory, arena, stage, granule: table.granule, inputBits: table.inputBits });
    this.sid = plan.sid;
    this.kind = plan.kind;
    this.ste = plan.ste;
    this.cd = plan.cd;
    this.plans = plan;
    this.mappings = {
      ttb0: [...(plan.ttb0?.mappings ?? [])],
      ttb1: [...(plan.ttb1?.mappings ?? [])],
      stage2: [...(plan.stage2?.mappings ?? [])],
    };
    this.#tables = { ttb0: build(1, plan.ttb0), ttb1: build(1, plan.ttb1), stage2: build(2, plan.stage2) };
    this.#cdTable = new CdTable({ memory, arena, cdMax: 0 });
    this.#streams = streams;
    this.#reachable = reachable;
    for (const name of ["ttb0", "ttb1", "stage2"] as const) this.mappings[name].forEach((mapping) => this.writeLeaf(name, mapping));
    this.writeCd(true);
    this.writeSte(true);
  }

  /** Writes a mapping's leaf. @param mapped false: clears it */
  writeLeaf(name: TableName, mapping: MappingPlan, mapped: boolean = true): void {
    const table = this.#tables[name];
    if (table === undefined) return;
    const { address, output, level, ap, af, nG, apTable, kind } = mapping;
    const at = table.entryAddress(address, level, { apTable });
    const [lo, hi]: DescriptorWords = leafDescriptor(table.stage, level, table.granule, output, { ap, af, nG });
    table.write(at, mapped ? [kind === undefined ? lo : ((lo & ~3) | kind) >>> 0, hi] : [0, 0]);
  }

  writeCd(valid: boolean): void {
    const { ttb0, ttb1 } = this.#tables;
    const cd = stage1Cd(
      { ...(ttb0 && { ttb0 }), ...(ttb1 && { ttb1 }) },
      { IPS: LARGEST_SIZE_CODE, ...this.cd, ...(valid ? {} : { V: 0 }) },
    );
    this.#cdTable.write(0, cd);
  }

  writeSte(valid: boolean): void {
    if (this.#reachable) this.#streams.write(this.sid, this.#steWords(valid ? this.ste : { ...this.ste, V: 0 }));
  }

  #steWords(fields: Fields): Uint32Array {
    const stage2 = this.#tables.stage2;
    const sized = { S2PS: LARGEST_SIZE_CODE, ...fields };
    switch (this.kind) {
      case "invalid":
        return bypassSte({ ...fields, V: 0 });
      case "abort":
        return abortSte(fields);
      case "bypass":
        return bypassSte(fields);
      case "stage1":
        return stage1Ste(this.#cdTable.base, fields);
      case "stage2":
        return stage2 === undefined ? abortSte(fields) : stage2Ste(stage2, sized);
      case "nested":
        return stage2 === undefined ? abortSte(fields) : nestedSte(this.#cdTable.base, stage2, sized);
    }
  }

  /** Stages that the STE enables: bit 0 stage 1, bit 1 stage 2. */
  get stages(): number {
    if (this.kind === "stage1") return 1;
    const { stage2 } = this.#tables;
    if (stage2 === undefined) return 0;
    return this.kind === "nested" ? 3 : this.kind === "stage2" ? 2 : 0;
  }

  /** Tags of TLB entries. */
  vmid(config: SmmuConfig): number {
    return config.stage2 ? (this.ste["S2VMID"] ?? 0) : 0;
  }

  get asid(): number {
    return this.cd["ASID"] ?? 0;
  }
}
