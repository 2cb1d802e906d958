// SPDX-License-Identifier: MIT
/** The edges that an embedding program meets first: building the SMMU, registers by name, names of results. */
import { describe, expect, test } from "vitest";
import { Simulation } from "../../../../src/sim/index.ts";
import {
  BusStatus,
  DmaStatus,
  Outcome,
  Smmu,
  SystemBus,
  Transaction,
  Via,
  busStatusName,
  createSmmuHost,
  dmaStatusName,
  outcomeName,
  profiles,
  registerField,
  registerOffset,
  registerOffsets,
  smmuRegisters,
  viaName,
} from "../../../../src/hw/index.ts";
import { type Untyped, misuse } from "./misuse.ts";

const simulation = new Simulation();
const bus = new SystemBus(48);
bus.addRam({ name: "ram", base: 0, size: 0x1000 });

describe("new Smmu", () => {
  test("an SMMU needs neither a trace nor options", () => {
    const host = createSmmuHost({ simulation, bus });
    const smmu = new Smmu(profiles.tiny, host);
    expect(host.load("ste", 0, new Uint32Array(16), 16)).toBe(BusStatus.ok);
    expect(smmu.read(registerOffset("CR0"), 4)).toBe(0);
  });
  test("a host needs a simulation and a bus", () => {
    expect(() => createSmmuHost({ simulation } as Untyped)).toThrow(misuse("SMMU_HOST", "bus is missing"));
    expect(() => createSmmuHost({ bus } as Untyped)).toThrow(misuse("SMMU_HOST", "simulation is missing"));
    expect(() => createSmmuHost(undefined as Untyped)).toThrow(misuse("SMMU_HOST", "simulation is missing"));
  });
  const host = createSmmuHost({ simulation, bus });
  for (const config of [undefined, null, profiles["linux_typical"], "linux-typical", 3] as Untyped[]) {
    test(`${JSON.stringify(config)} is no configuration: the known profiles are named`, () => {
      expect(() => new Smmu(config, host)).toThrow(misuse("SMMU_CONFIG", ...Object.keys(profiles)));
    });
  }
  test("a configuration without all of its properties names those that are missing", () => {
    expect(() => new Smmu({ name: "mine" } as Untyped, host)).toThrow(misuse("SMMU_CONFIG", "without", "sidSize", "caches"));
  });
  test("a misspelt property of a configuration is named", () => {
    expect(() => new Smmu({ ...profiles.max, sidsize: 8 } as Untyped, host)).toThrow(misuse("SMMU_CONFIG", "unknown is sidsize"));
  });
  test("an SMMU needs a host", () => {
    for (const none of [undefined, null, {}, bus] as Untyped[])
      expect(() => new Smmu(profiles.max, none)).toThrow(misuse("SMMU_HOST", "createSmmuHost"));
  });
});

describe("registers by name", () => {
  for (const [name, offset] of [
    ["IDR0", 0],
    ["CR0", 0x20],
    ["CR0ACK", 0x24],
    ["GERRORN", 0x64],
    ["STRTAB_BASE", 0x80],
    ["STRTAB_BASE_CFG", 0x88],
    ["CMDQ_CONS", 0x9c],
    ["EVENTQ_PROD", 0x1_00a8],
    ["EVENTQ_CONS", 0x1_00ac],
  ] as const) {
    test(`IHI 0070 §6.2: SMMU_${name} is at 0x${offset.toString(16)}`, () => {
      expect(registerOffset(name)).toBe(offset);
      expect(registerOffsets[name]).toBe(offset);
    });
  }
  test("each register has its own name", () => expect(Object.keys(registerOffsets)).toHaveLength(smmuRegisters.length));
  test("an unknown register is refused", () => {
    expect(() => registerOffset("CR9")).toThrow(misuse("UNKNOWN_REGISTER", '"CR9"'));
    expect(() => registerOffset("SMMU_CR0")).toThrow(misuse("UNKNOWN_REGISTER", "CR0 is meant"));
    for (const near of ["cr0", "Cr0", "smmu_cr0"]) expect(() => registerOffset(near)).toThrow(misuse("UNKNOWN_REGISTER", ": CR0 is meant"));
    expect(() => registerOffset("STRTAB_BASE_CONFIG")).toThrow(misuse("UNKNOWN_REGISTER", "STRTAB_BASE_CFG may be meant"));
    for (const name of [undefined, 3, "constructor"] as Untyped[])
      expect(() => registerOffset(name)).toThrow(misuse("UNKNOWN_REGISTER", "no register"));
  });
  test("IHI 0070 §6.3.9: CR0.SMMUEN is bit 0, EVENTQEN bit 2, CMDQEN bit 3", () => {
    expect(["SMMUEN", "EVENTQEN", "CMDQEN"].map((field) => registerField("CR0", field))).toEqual([1, 4, 8]);
  });
  test("IHI 0070 §6.3.11: a value in its place: CR1.TABLE_SH is [11:10]", () => {
    expect(registerField("CR1", "TABLE_SH")).toBe(0xc00);
    expect(registerField("CR1", "TABLE_SH", 2)).toBe(0x800);
    expect(registerField("CR1", "TABLE_SH", 0)).toBe(0);
    expect(() => registerField("CR1", "TABLE_SH", 4)).toThrow(misuse("FIELD_VALUE", "SMMU_CR1.TABLE_SH", "0 to 3"));
  });
  test("bits 31 and whole words are unsigned; of a 64-bit register the word of the field counts", () => {
    expect(registerField("GBPA", "Update")).toBe(0x8000_0000);
    expect(registerField("EVENTQ_IRQ_CFG1", "DATA")).toBe(0xffff_ffff);
    expect(registerField("CMDQ_BASE", "LOG2SIZE", 8)).toBe(8);
    expect(registerField("CMDQ_BASE", "RA")).toBe(0x4000_0000);
  });
  test("a field in both words, an unknown field, an unknown register", () => {
    expect(() => registerField("CMDQ_BASE", "ADDR")).toThrow(misuse("REGISTER_FIELD", "SMMU_CMDQ_BASE.ADDR"));
    expect(() => registerField("CR0", "ENABLE")).toThrow(misuse("UNKNOWN_FIELD", '"ENABLE"', "SMMUEN"));
    expect(() => registerField("CR9", "SMMUEN")).toThrow(misuse("UNKNOWN_REGISTER", "CR9"));
  });
});

describe("names of results", () => {
  for (const [what, table, nameOf] of [
    ["DmaStatus", DmaStatus, dmaStatusName],
    ["BusStatus", BusStatus, busStatusName],
    ["Outcome", Outcome, outcomeName],
    ["Via", Via, viaName],
  ] as const) {
    test(`each ${what} has its name, and other values have none`, () => {
      for (const [name, value] of Object.entries(table)) expect((nameOf as (value: unknown) => string)(value)).toBe(name);
      for (const value of [99, -1, undefined, "ok"])
        expect(() => (nameOf as (value: unknown) => string)(value)).toThrow(misuse("UNKNOWN_VALUE", `no ${what}`, "0, 1"));
    });
  }
});

describe("transactions that no client can make", () => {
  const smmu = new Smmu(profiles.max, createSmmuHost({ simulation, bus }));
  test.each([
    ["a SubstreamID of 21 bits", { substreamId: 0x10_0000 }],
    ["a SubstreamID below -1", { substreamId: -2 }],
    ["a StreamID of 33 bits", { streamId: 0x1_0000_0000 }],
    ["a StreamID below 0", { streamId: -1 }],
    ["a StreamID and a half", { streamId: 1.5 }],
    ["a SubstreamID and a half", { substreamId: 1.5 }],
    ["a StreamID that is no number", { streamId: undefined as Untyped }],
  ])("%s", (_what, change) => {
    expect(() => smmu.translate(Object.assign(new Transaction(), change))).toThrow(misuse("TRANSACTION", "below 2^32", "below 2^20"));
  });
});
