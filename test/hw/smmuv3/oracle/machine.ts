// SPDX-License-Identifier: MIT
/** The model under test behind its registers, and the same registers and memory as the oracle sees them. */
import { Simulation, Trace } from "../../../../src/sim/index.ts";
import {
  BusStatus,
  createSmmuHost,
  Outcome,
  Smmu,
  type SmmuAccessKind,
  type SmmuConfig,
  type SmmuEvents,
  type SmmuHost,
  SystemBus,
  Transaction,
} from "../../../../src/hw/index.ts";
import type { Incoming, Memory, Registers, Verdict } from "./types.ts";
import { updateList } from "./updates.ts";

const at = {
  CR0: 0x20,
  S2PII: 0x30,
  CR2: 0x2c,
  GBPA: 0x44,
  STRTAB_BASE: 0x80,
  STRTAB_BASE_CFG: 0x88,
  CMDQ_BASE: 0x90,
  EVENTQ_BASE: 0xa0,
} as const;
const CR0ACK = 0x24;
const CMDQ_PROD = 0x98;
const CMDQ_CONS = 0x9c;
const EVENTQ_PROD = 0x1_00a8;
const EVENTQ_CONS = 0x1_00ac;
/** CR0. */
const SMMUEN = 1;
const EVENTQEN = 4;
const CMDQEN = 8;

/** RAM: the first 48 MiB, and the last 16 MiB of the physical address space. Queues lie in the last page of the former. */
export const LOW_RAM = 0x300_0000;
export const HIGH_RAM = 0x100_0000;
const QUEUES = LOW_RAM - 0x1000;

/** The three invalidations that reach everything: CFGI_ALL, TLBI_NSNH_ALL, TLBI_EL2_ALL (§4.3, §4.4), and a CMD_SYNC. */
const CFGI_ALL = [0x04, 0, 31, 0];
const NSNH_ALL = [0x30, 0, 0, 0];
const EL2_ALL = [0x20, 0, 0, 0];
const SYNC = [0x46, 0, 0, 0];
const stallTerm = (streamId: number): number[] => [0x45, streamId, 0, 0];

export interface Fetch {
  readonly kind: SmmuAccessKind;
  readonly address: number;
}

export class Machine {
  readonly smmu: Smmu;
  readonly bus: SystemBus;
  readonly simulation: Simulation = new Simulation();
  /** What the SMMU read since this was last emptied. */
  readonly fetches: Fetch[] = [];
  /** Descriptors that the SMMU has written since. */
  readonly #stored = new Map<bigint, Uint8Array>();
  /** The read, counted from 1 in {@link fetches}, that ends in an external abort. */
  abortAt = 0;
  /** More reads than this are a loop without bound. */
  budget = Infinity;
  /** What the stale-use detector has said. */
  readonly staleUses: string[] = [];
  readonly highBase: number;
  readonly #pair = new Uint32Array(2);
  readonly #tx = new Transaction();
  #produced = 0;

  /** @param detector compare cache hits with memory, see `staleUses` */
  constructor(config: SmmuConfig, detector: boolean = false) {
    this.bus = new SystemBus(config.oas);
    this.bus.addRam({ name: "low", base: 0, size: LOW_RAM });
    this.highBase = 2 ** config.oas - HIGH_RAM;
    this.bus.addRam({ name: "high", base: this.highBase, size: HIGH_RAM });
    const host = createSmmuHost({ simulation: this.simulation, bus: this.bus });
    const watched: SmmuHost = {
      ...host,
      load: (kind, ...access) => {
        this.fetches.push({ kind, address: access[0] });
        if (this.fetches.length > this.budget) throw new Error(`more than ${this.budget} reads`);
        if (this.fetches.length === this.abortAt) return BusStatus.abort;
        return host.load(kind, ...access);
      },
      store: (kind, address, words, count) => {
        const status = host.store(kind, address, words, count);
        if (kind === "httu" && status === BusStatus.ok) this.#stored.set(BigInt(address), new Uint8Array(words.slice(0, count).buffer));
        return status;
      },
    };
    const trace = new Trace<SmmuEvents>();
    trace.on("smmu.stale-use", ({ data }) => this.staleUses.push(`${data.cached}, in memory ${data.inMemory}: ${data.missing}`));
    this.smmu = new Smmu(config, watched, { trace, detector });
  }

  w32(offset: number, value: number): void {
    this.smmu.write(offset, 4, value >>> 0);
  }

  w64(offset: number, value: bigint): void {
    this.smmu.write64(offset, Number(value & 0xffff_ffffn), Number(value >> 32n));
  }

  r32(offset: number): number {
    return this.smmu.read(offset, 4);
  }

  r64(offset: number): bigint {
    this.smmu.read64(offset, this.#pair);
    return (BigInt(this.#pair[1]!) << 32n) | BigInt(this.#pair[0]!);
  }

  /** Programs the SMMU and turns it on. */
  start(set: { strtabBase: bigint; strtabBaseCfg: number; cr2: number; gbpa: number; s2pii: bigint; enabled: boolean }): void {
    this.w64(at.STRTAB_BASE, set.strtabBase);
    this.w32(at.STRTAB_BASE_CFG, set.strtabBaseCfg);
    this.w64(at.S2PII, set.s2pii);
    this.w32(at.CR2, set.cr2);
    this.w32(at.GBPA, (set.gbpa & 0x7fff_ffff) | 0x8000_0000);
    this.settle();
    this.w64(at.CMDQ_BASE, BigInt(QUEUES + 3));
    this.w64(at.EVENTQ_BASE, BigInt(QUEUES + 0x800 + 2));
    for (const index of [CMDQ_PROD, CMDQ_CONS, EVENTQ_PROD, EVENTQ_CONS]) this.w32(index, 0);
    this.w32(at.CR0, CMDQEN | EVENTQEN | (set.enabled ? SMMUEN : 0));
    this.settle();
  }

  settle(): void {
    this.simulation.advance(100_000);
  }

  registers(): Registers {
    return {
      IDR0: this.r32(0x00),
      IDR1: this.r32(0x04),
      IDR3: this.r32(0x0c),
      IDR5: this.r32(0x14),
      AIDR: this.r32(0x1c),
      CR0: this.r32(CR0ACK),
      CR2: this.r32(at.CR2),
      GBPA: this.r32(at.GBPA),
      S2PII: this.r64(at.S2PII),
      STRTAB_BASE: this.r64(at.STRTAB_BASE),
      STRTAB_BASE_CFG: this.r32(at.STRTAB_BASE_CFG),
    };
  }

  /** Memory for the oracle: through the bus, so that injected aborts are seen. */
  readonly memory: Memory = {
    read: (address, bytes) => {
      if (address >= 2n ** 53n) return undefined;
      const out = new Uint32Array(bytes / 4);
      if (this.bus.loadWords(Number(address), out, out.length) !== BusStatus.ok) return undefined;
      return new Uint8Array(out.buffer);
    },
  };

  /** Makes the SMMU forget everything, by commands as software would. */
  invalidate(): void {
    // Without Hyp (IDR0 bit 9) TLBI_EL2_ALL is no command.
    const el2 = (this.r32(0) & 0x200) === 0 ? [] : [EL2_ALL];
    this.#submit(CFGI_ALL, NSNH_ALL, ...el2, SYNC);
  }

  #submit(...commands: number[][]): void {
    for (const command of commands) {
      this.bus.memory.storeWords(QUEUES + (this.#produced % 8) * 16, Uint32Array.from(command), 4);
      this.#produced = (this.#produced + 1) % 16;
    }
    this.w32(CMDQ_PROD, this.#produced);
    this.settle();
    if (this.r32(CMDQ_CONS) !== this.#produced) throw new Error("the Command queue stands still");
  }

  /** What the model does with a transaction. */
  answer(incoming: Incoming): Verdict {
    const tx = this.#tx;
    tx.streamId = incoming.streamId;
    tx.substreamId = incoming.substreamId ?? -1;
    tx.addressHi = Number(incoming.address >> 32n);
    tx.addressLo = Number(incoming.address & 0xffff_ffffn);
    tx.write = incoming.write;
    tx.instruction = incoming.instruction;
    tx.privileged = incoming.privileged;
    const before = this.r32(EVENTQ_PROD);
    this.fetches.length = 0;
    this.#stored.clear();
    const outcome = this.smmu.translate(tx);
    const record = this.#takeRecord(before);
    const forwarded = outcome === Outcome.forward;
    if (outcome === Outcome.stalled) this.#endStall(incoming.streamId, record);
    return {
      outcome: (["forward", "abort", "raz-wi", "stall"] as const)[outcome],
      pa: forwarded ? BigInt(tx.physical) : 0n,
      attributes: forwarded ? tx.attributes : 0,
      shareability: forwarded ? tx.shareability : 0,
      instruction: forwarded && tx.outputInstruction,
      privileged: forwarded && tx.outputPrivileged,
      record,
      updates: updateList(this.#stored),
    };
  }

  /** Ends a stall as software does. STAG, bits [79:64], is any number, and that of the record: from here on it is 0. */
  #endStall(streamId: number, record: number[] | undefined): void {
    const held = this.#tx.stall;
    let ended: Outcome | undefined;
    if (held === null || record === undefined || (record[2]! & 0xffff) !== held.stag)
      throw new Error("a stall without a STAG in its record");
    held.onEnd = (outcome) => {
      ended = outcome;
    };
    record[2]! &= ~0xffff;
    record[2]! >>>= 0;
    this.#submit(stallTerm(streamId), SYNC);
    if (ended !== Outcome.abort) throw new Error(`CMD_STALL_TERM ended a stall with outcome ${ended}`);
  }

  #takeRecord(before: number): number[] | undefined {
    const now = this.r32(EVENTQ_PROD);
    if (now === before) return undefined;
    if (((before + 1) & 7) !== (now & 7)) throw new Error(`EVENTQ_PROD went from ${before} to ${now} by one transaction`);
    const words = new Uint32Array(8);
    this.bus.memory.loadWords(QUEUES + 0x800 + (before & 3) * 32, words, 8);
    this.w32(EVENTQ_CONS, now);
    return [...words];
  }
}
