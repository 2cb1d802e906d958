// SPDX-License-Identifier: MIT
/** CR0.VMW and STATUSR.DORMANT: which VMIDs maintenance reaches, and whether there is anything to maintain. */
import { describe, expect, test } from "vitest";
import {
  IPA_ENTRY,
  Outcome,
  Smmu,
  StreamWorld,
  SystemBus,
  TlbEntry,
  Transaction,
  createSmmuHost,
  profiles,
} from "../../../../src/hw/index.ts";
import { VaLookup } from "../../../../src/hw/smmuv3/caches/tlb-tags.ts";
import { Simulation } from "../../../../src/sim/index.ts";
import { Bench, CMDQ, CMDQEN, RAM, SMMUEN, at, command } from "./bench.ts";

const STREAM_TABLE = RAM + 0x40_0000;

class Machine {
  readonly simulation = new Simulation();
  readonly bus = new SystemBus();
  readonly smmu: Smmu;
  #prod = 0;

  constructor(config = profiles.max) {
    this.bus.addRam({ name: "ram", base: RAM, size: 0x100_0000 });
    this.smmu = new Smmu(config, createSmmuHost({ simulation: this.simulation, bus: this.bus }));
    this.smmu.write64(at.CMDQ_BASE, CMDQ + 8, 0);
    this.smmu.write64(at.STRTAB_BASE, STREAM_TABLE, 0);
    this.smmu.write(at.STRTAB_BASE_CFG, 4, 4);
    // StreamID 0: bypass.
    this.bus.memory.storeWords(STREAM_TABLE, Uint32Array.of(1 | (4 << 1)), 1);
    this.enable(CMDQEN);
  }

  enable(bits: number): void {
    this.smmu.write(at.CR0, 4, bits);
    this.simulation.advance(10_000);
  }

  run(...commands: readonly (readonly number[])[]): void {
    for (const words of commands) {
      this.bus.memory.storeWords(CMDQ + 16 * this.#prod, Uint32Array.from([...words, 0, 0, 0, 0].slice(0, 4)), 4);
      this.#prod++;
    }
    this.smmu.write(at.CMDQ_PROD, 4, this.#prod);
    this.simulation.advance(10_000);
  }

  /** Entries of stage 1 or of stage 2 for these VMIDs, at address 0, ASID 1. */
  fill(kind: typeof StreamWorld.nsEl1 | typeof IPA_ENTRY, vmids: readonly number[]): void {
    for (const vmid of vmids)
      this.smmu.translation.tlb.insert(Object.assign(new TlbEntry(), { kind, vmid, asid: kind === IPA_ENTRY ? 0 : 1 }));
  }

  get vmids(): number[] {
    return Array.from(this.smmu.translation.tlb.entries(), ({ vmid }) => vmid).toSorted((a, b) => a - b);
  }

  get dormant(): number {
    return this.smmu.read(at.STATUSR, 4);
  }
}

describe("CR0.VMW", () => {
  const VMIDS = [0x10, 0x11, 0x12, 0x14, 0x18, 0x1f, 0x20, 0x110];
  const commands: readonly (readonly [string, typeof StreamWorld.nsEl1 | typeof IPA_ENTRY, readonly number[]])[] = [
    ["TLBI_NH_ALL", StreamWorld.nsEl1, [0x10, 0x10]],
    ["TLBI_NH_ASID", StreamWorld.nsEl1, [0x11, 0x0001_0010]],
    ["TLBI_NH_VA", StreamWorld.nsEl1, [0x12, 0x0001_0010]],
    ["TLBI_NH_VAA", StreamWorld.nsEl1, [0x13, 0x10]],
    ["TLBI_S12_VMALL", StreamWorld.nsEl1, [0x28, 0x10]],
    ["TLBI_S2_IPA", IPA_ENTRY, [0x2a, 0x10]],
  ];
  /** Low bits that each code leaves out of the comparison (§6.3.9). */
  const codes: readonly (readonly [code: number, bits: number])[] = [
    [0, 0],
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
    [5, 0],
    [6, 0],
    [7, 0],
  ];

  test.each(commands)("IHI 0070 §3.17.6, §6.3.9: %s reaches the VMIDs that agree above the wildcard", (_name, kind, words) => {
    for (const [code, bits] of codes) {
      const machine = new Machine();
      machine.enable(CMDQEN | (code << 6));
      machine.fill(kind, VMIDS);
      machine.run(words);
      expect([code, ...machine.vmids]).toEqual([code, ...VMIDS.filter((vmid) => vmid >> bits !== 0x10 >> bits)]);
    }
  });

  test("IHI 0070 §3.17.6: tables in the walk cache go by the same wildcard", () => {
    const machine = new Machine();
    machine.enable(CMDQEN | (4 << 6));
    const { walks } = machine.smmu.translation;
    for (const vmid of [0x10, 0x1f, 0x20])
      walks.keep(walks.vaContext(new VaLookup(StreamWorld.nsEl1, true, vmid, 1, 0)), 12, 2, 0, 0, RAM, 0);
    machine.run([0x11, 0x0001_0012]);
    expect(Array.from(walks.entries(), ({ vmid }) => vmid)).toEqual([0x20]);
  });

  test("IHI 0070 §3.17.6: lookups compare all bits of the VMID", () => {
    const machine = new Machine();
    machine.enable(CMDQEN | (4 << 6));
    const { tlb } = machine.smmu.translation;
    tlb.insert(Object.assign(new TlbEntry(), { vmid: 0x10, asid: 1 }));
    expect(tlb.lookupVa(new VaLookup(StreamWorld.nsEl1, false, 0x11, 1, 0), 0, 0)).toBe(-1);
    expect(tlb.lookupVa(new VaLookup(StreamWorld.nsEl1, false, 0x10, 1, 0), 0, 0)).toBeGreaterThanOrEqual(0);
  });

  test("IHI 0070 §6.3.9: EL2 entries have no VMID: the wildcard does not spare or add any", () => {
    const machine = new Machine();
    machine.enable(CMDQEN | (4 << 6));
    machine.smmu.translation.tlb.insert(Object.assign(new TlbEntry(), { kind: StreamWorld.nsEl2 }));
    machine.run([0x10, 0]);
    expect(machine.vmids).toEqual([0]);
    machine.run([0x20, 0]);
    expect(machine.vmids).toEqual([]);
  });

  test("IHI 0070 §6.3.9.1: the new value is in force with the acknowledge", () => {
    const machine = new Machine();
    machine.smmu.write(at.CR0, 4, CMDQEN | (4 << 6));
    machine.fill(StreamWorld.nsEl1, [0x10, 0x11]);
    machine.smmu.translation.tlbMaintenance.nhAll(0x10);
    expect(machine.vmids).toEqual([0x11]);
    machine.simulation.advance(10_000);
    machine.smmu.translation.tlbMaintenance.nhAll(0x10);
    expect(machine.vmids).toEqual([]);
  });

  test("IHI 0070 §6.3.1: without IDR0.VMW the field does not exist and VMIDs match exactly", () => {
    const machine = new Machine({ ...profiles.max, vmw: false });
    machine.enable(CMDQEN | (4 << 6));
    expect(machine.smmu.read(at.CR0, 4)).toBe(CMDQEN);
    machine.fill(StreamWorld.nsEl1, [0x10, 0x11]);
    machine.run([0x10, 0x10]);
    expect(machine.vmids).toEqual([0x11]);
  });
});

describe("STATUSR.DORMANT", () => {
  const everything: readonly (readonly number[])[] = [command.cfgiAll, command.nsnhAll, [0x20]];

  function touch(machine: Machine): void {
    const tx = new Transaction();
    tx.setAddress(0x1000);
    expect(machine.smmu.translate(tx)).toBe(Outcome.forward);
  }

  test("IHI 0070 §6.3.13, §3.19.1: 1 says that nothing is cached; a cached STE makes it 0 until it is invalidated", () => {
    const machine = new Machine();
    expect(machine.dormant).toBe(0);
    machine.run(...everything);
    expect(machine.dormant).toBe(1);
    machine.enable(CMDQEN | SMMUEN);
    expect(machine.dormant).toBe(1);
    touch(machine);
    expect(machine.dormant).toBe(0);
    machine.run(...everything);
    expect(machine.dormant).toBe(1);
  });

  test("IHI 0070 §3.19.1: a table in the walk cache makes it 0, too", () => {
    const machine = new Machine();
    machine.run(...everything);
    const { walks } = machine.smmu.translation;
    walks.keep(walks.vaContext(new VaLookup(StreamWorld.nsEl1, false, 0, 1, 0)), 12, 2, 0, 0, RAM, 0);
    expect(machine.dormant).toBe(0);
  });

  test("IHI 0070 §3.19.1: a cached translation makes it 0 as well", () => {
    const machine = new Machine();
    machine.run(...everything);
    machine.fill(StreamWorld.nsEl1, [1]);
    expect(machine.dormant).toBe(0);
  });

  test("IHI 0070 §6.3.13: it resets to 0", () => {
    const machine = new Machine();
    machine.run(...everything);
    machine.smmu.reset();
    expect(machine.dormant).toBe(0);
  });

  test("IHI 0070 §6.3.13: it is read-only, and RES0 without IDR0.DORMHINT", () => {
    const machine = new Machine({ ...profiles.max, dormhint: false });
    machine.run(...everything);
    expect(machine.dormant).toBe(0);
    const bench = new Bench();
    bench.w32(at.STATUSR, 1);
    expect(bench.r32(at.STATUSR)).toBe(0);
  });
});
