// SPDX-License-Identifier: MIT
/** A small machine whose tables can be changed under the SMMU one thing at a time, driven by registers and commands. */
import * as hw from "../../../../src/hw/index.ts";
import { Simulation } from "../../../../src/sim/index.ts";

export const RAM = 0x4000_0000;
/** Two pages in one 2 MiB. */
export const PAGES = [0x20_0000, 0x20_1000] as const;
export const STREAMS = 2;
export const VMID = 0;
const QUEUE_LOG2 = 6;
const CR0_ON = 0xd;

/** What an access gives: a physical page, or the name of an event, or "abort". */
export type Result = number | string;

/** The tables: each root leads through its own level-2 descriptor to one of two last-level tables. */
export class Machine {
  readonly simulation = new Simulation();
  readonly bus = new hw.SystemBus(48);
  readonly smmu: hw.Smmu;
  /** Addresses of what can be changed. */
  readonly stes: readonly number[];
  readonly cds: readonly number[];
  readonly roots: readonly number[];
  /** The level-2 descriptor below each root. */
  readonly links: readonly number[];
  /** The last-level tables. */
  readonly tables: readonly number[];
  readonly #commands: number;
  #prod = 0;

  constructor(options: hw.SmmuOptions, caches: hw.CacheSizes) {
    this.bus.addRam({ name: "ram", base: RAM, size: 0x1000_0000 });
    const config = { ...hw.profiles.max, caches, timing: { commandNs: 0, updateNs: 0 } };
    this.smmu = new hw.Smmu(config, hw.createSmmuHost({ simulation: this.simulation, bus: this.bus }), options);
    const { memory } = this.bus;
    const arena = new hw.TableArena(RAM, 0x100_0000);
    const page = (): number => arena.take(4096, 4096);
    this.roots = [page(), page()];
    this.tables = [page(), page()];
    this.links = this.roots.map((root) => {
      const [level1, level2] = [page(), page()];
      memory.write32(root, level1 | 3);
      memory.write32(level1, level2 | 3);
      return level2 + 8;
    });
    const streams = new hw.StreamTables({ memory, arena, log2Size: 1 });
    this.cds = Array.from({ length: STREAMS }, () => arena.take(64));
    this.stes = this.cds.map((_, sid) => streams.steAddress(sid));
    this.#commands = arena.take(16 * 2 ** QUEUE_LOG2, 16 * 2 ** QUEUE_LOG2);
    const { smmu } = this;
    const at = hw.registerOffset;
    smmu.write64(at("STRTAB_BASE"), streams.base, 0);
    smmu.write(at("STRTAB_BASE_CFG"), 4, streams.config);
    smmu.write64(at("CMDQ_BASE"), this.#commands + QUEUE_LOG2, 0);
    smmu.write64(at("EVENTQ_BASE"), arena.take(4096, 4096) + 7, 0);
    smmu.write(at("CR0"), 4, CR0_ON);
  }

  /** Puts a command on the queue; it is consumed at once. */
  command(name: string, fields: hw.FieldValues = {}): void {
    const mask = 2 ** QUEUE_LOG2 - 1;
    hw.writeWords(this.bus.memory, this.#commands + 16 * (this.#prod & mask), hw.buildCommand(name, fields));
    this.#prod = (this.#prod + 1) & (2 * mask + 1);
    this.smmu.write(hw.registerOffset("CMDQ_PROD"), 4, this.#prod);
    const cons = this.smmu.read(hw.registerOffset("CMDQ_CONS"), 4);
    if (cons !== this.#prod) throw new Error(`${name} was not consumed: CMDQ_CONS is ${cons}`);
  }

  access(streamId: number, address: number): Result {
    const tx = new hw.Transaction();
    tx.streamId = streamId;
    tx.setAddress(address);
    const outcome = this.smmu.translate(tx);
    if (outcome === hw.Outcome.forward) return tx.physical;
    return hw.EVENTS.find(({ number }) => number === tx.event)?.name ?? "abort";
  }
}
