// SPDX-License-Identifier: MIT
// Machines to measure: one SMMU over sparse RAM, as software would set it up, and a driver of its queues.
import * as hw from "../dist/hw/index.js";
import { Simulation, Trace } from "../dist/sim/index.js";
import { scatter, VA_BASE } from "./workload.mjs";

export const RAM = 0x8000_0000;
export const DATA = 0xc000_0000;
const TABLES = 0x2000_0000;
/** Room for the tables that stage 2 maps for stage 1. */
const STAGE1_TABLES = 0x0200_0000;

const at = hw.registerOffset;
const { smmuEnabled, queuesEnabled } = { smmuEnabled: 1, queuesEnabled: 0b1100 };

/** Everything acknowledged at once, so that the cost of a command is the model's and not the clock's. */
export function configOf(caches, changes = {}) {
  const base = hw.profiles["linux-typical"];
  return { ...base, timing: { commandNs: 0, updateNs: 0 }, caches: { ...base.caches, ste: 256, cd: 256, ...caches }, ...changes };
}

/**
 * @param options.pages that the table of all streams maps
 * @param options.streams how many, each with an ASID of its own
 * @param options.kind "stage1", "nested", "bypass" or "abort"
 * @param options.mapped false: the table is empty, every access faults
 * @param options.substreams SubstreamIDs of each stream, 0: none
 * @param options.vmids VMIDs among which the streams are dealt out
 */
export function makeMachine(options) {
  const { pages, streams = 4, kind = "stage1", granule = 12, level = 3, mapped = true, substreams = 0, vmids = 1, caches } = options;
  const simulation = new Simulation();
  const trace = new Trace();
  const bus = new hw.SystemBus(48);
  bus.addRam({ name: "dram", base: RAM, size: 0x8000_0000 });
  const smmu = new hw.Smmu(configOf(caches, options.config), hw.createSmmuHost({ simulation, bus, trace }), { trace });
  const { memory } = bus;
  const arena = new hw.TableArena(RAM, STAGE1_TABLES);
  const others = new hw.TableArena(RAM + STAGE1_TABLES, TABLES - STAGE1_TABLES);
  const table = new hw.PageTable({ memory, arena, stage: 1, granule });
  const size = table.leafSize(level);
  const output = Math.ceil(DATA / size) * size;
  if (mapped)
    for (let page = 0; page < pages; page++) table.map(VA_BASE + page * size, output + scatter(page, pages) * size, size, {}, level);
  else table.entryAddress(VA_BASE, 3);
  const stage2 = new hw.PageTable({ memory, arena: others, stage: 2, granule: 12, startLevel: 0 });
  const tables = new hw.StreamTables({ memory, arena: others, log2Size: Math.max(1, Math.ceil(Math.log2(streams))) });
  for (let stream = 0; stream < streams; stream++) {
    const cds = new hw.CdTable({ memory, arena, cdMax: substreams === 0 ? 0 : Math.log2(substreams) });
    for (let index = 0; index < Math.max(1, substreams); index++) {
      hw.writeWords(memory, cds.cdAddress(index), hw.stage1Cd({ ttb0: table }, { ASID: 1 + stream * Math.max(1, substreams) + index }));
    }
    const values = { S2VMID: 1 + (stream % vmids), ...(substreams === 0 ? {} : { ...cds.fields, S1DSS: 1 }) };
    const ste = {
      stage1: () => hw.stage1Ste(cds.base, values),
      nested: () => hw.nestedSte(cds.base, stage2, values),
      bypass: hw.bypassSte,
      abort: hw.abortSte,
    };
    tables.write(stream, ste[kind]());
  }
  if (kind === "nested") {
    stage2.map(RAM, RAM, STAGE1_TABLES);
    stage2.map(output, output, pages * size);
  }
  const machine = { simulation, bus, smmu, memory, table, size, output, trace, arena: others };
  smmu.write64(at("STRTAB_BASE"), tables.base, 0);
  smmu.write(at("STRTAB_BASE_CFG"), 4, tables.config);
  machine.queues = new Queues(machine);
  smmu.write(at("CR0"), 4, smmuEnabled | queuesEnabled);
  return machine;
}

const CMDQ_LOG2 = 12;
const EVENTQ_LOG2 = 12;

/** Both queues, driven as a driver does: entries into memory, then the index register. */
class Queues {
  #machine;
  #commands;
  #prod = 0;

  constructor(machine) {
    this.#machine = machine;
    const { smmu, arena } = machine;
    this.#commands = arena.take(16 << CMDQ_LOG2);
    smmu.write64(at("CMDQ_BASE"), (this.#commands + CMDQ_LOG2) >>> 0, 0);
    smmu.write64(at("EVENTQ_BASE"), (arena.take(32 << EVENTQ_LOG2) + EVENTQ_LOG2) >>> 0, 0);
  }

  /** Writes a command; {@link ring} makes it visible. */
  put(words) {
    const place = this.#commands + 16 * (this.#prod & ((1 << CMDQ_LOG2) - 1));
    this.#machine.memory.storeWords(place, words, 4);
    this.#prod = (this.#prod + 1) & ((2 << CMDQ_LOG2) - 1);
  }

  ring() {
    const { smmu } = this.#machine;
    smmu.write(CMDQ_PROD, 4, this.#prod);
    if (smmu.read(CMDQ_CONS, 4) !== this.#prod) throw new Error("a command was not consumed");
  }

  /** Takes all event records. */
  drain() {
    const { smmu } = this.#machine;
    smmu.write(EVENTQ_CONS, 4, smmu.read(EVENTQ_PROD, 4));
  }
}

const CMDQ_PROD = at("CMDQ_PROD");
const CMDQ_CONS = at("CMDQ_CONS");
const EVENTQ_PROD = at("EVENTQ_PROD");
const EVENTQ_CONS = at("EVENTQ_CONS");
/** Event records that fit. */
export const EVENTS = 1 << EVENTQ_LOG2;
