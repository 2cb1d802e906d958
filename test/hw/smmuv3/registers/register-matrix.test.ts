// SPDX-License-Identifier: MIT
/**
 * Every word of pages 0 and 1, with each access width, in each state of each enable, judged by the facts of the register
 * table: which bits exist, which are read-only, what guards them (IHI 0070 §6.2, §6.3). register-table.test.ts checks the table
 * itself; the guards are checked here. Registers with a protocol of their own have tests by hand.
 */
import { describe, expect, test } from "vitest";
import {
  type RegisterField,
  type RegisterGuard,
  Smmu,
  type SmmuConfig,
  type SmmuRegister,
  SystemBus,
  createSmmuHost,
  has,
  implementedFeatures,
  profiles,
  smmuRegisters,
} from "../../../../src/hw/index.ts";
import { Simulation } from "../../../../src/sim/index.ts";
import { CMDQEN, EVENTQEN, EVENTQ_IRQEN, GERROR_IRQEN, SMMUEN, at } from "./bench.ts";

/** The guards of IHI 0070 §6.3, register by register; those of fields in CR1 and CR0 apart. */
const guardsOf: Readonly<Partial<Record<RegisterGuard, readonly string[]>>> = {
  SMMUEN: ["CR2", "STRTAB_BASE", "STRTAB_BASE_CFG"],
  CMDQEN: ["CMDQ_BASE", "CMDQ_CONS"],
  EVENTQEN: ["EVENTQ_BASE", "EVENTQ_PROD"],
  PRIQEN: ["PRIQ_BASE", "PRIQ_PROD"],
  EVENTQ_IRQEN: ["EVENTQ_IRQ_CFG0", "EVENTQ_IRQ_CFG1", "EVENTQ_IRQ_CFG2"],
  PRIQ_IRQEN: ["PRIQ_IRQ_CFG0", "PRIQ_IRQ_CFG1", "PRIQ_IRQ_CFG2"],
  GERROR_IRQEN: ["GERROR_IRQ_CFG0", "GERROR_IRQ_CFG1", "GERROR_IRQ_CFG2"],
  Update: ["GBPA", "GMPAM", "GBPMPAM"],
  RUN: ["GATOS_CTRL", "GATOS_SID", "GATOS_ADDR", "VATOS_SEL"],
  DPT_WALK_EN: ["DPT_BASE", "DPT_BASE_CFG"],
};

test("IHI 0070 §6.3: the table has the guards of the architecture", () => {
  const guarded = smmuRegisters.filter(({ guard }) => guard !== undefined).map(({ name, guard }) => `${name} ${guard}`);
  const expected = Object.entries(guardsOf).flatMap(([guard, names]) => names.map((name) => `SMMU_${name} ${guard}`));
  expect(guarded.toSorted()).toEqual(expected.toSorted());
  const fields = smmuRegisters.flatMap(({ name, fields: all }) =>
    all.filter(({ guard }) => guard !== undefined).map((field) => `${name}.${field.name} ${field.guard}`),
  );
  expect(fields).toEqual([
    "SMMU_CR0.DPT_WALK_EN DPT_WALK_EN",
    "SMMU_CR1.TABLE_SH SMMUEN",
    "SMMU_CR1.TABLE_OC SMMUEN",
    "SMMU_CR1.TABLE_IC SMMUEN",
    "SMMU_CR1.QUEUE_SH any-queue",
    "SMMU_CR1.QUEUE_OC any-queue",
    "SMMU_CR1.QUEUE_IC any-queue",
  ]);
});

test("IHI 0070 §6.3.2: presets fix the registers that place tables and queues, and their attributes", () => {
  const fixed = (kind: "tables" | "queues"): string[] =>
    smmuRegisters.flatMap(({ name, preset, fields }) =>
      preset === kind ? [name] : fields.filter((field) => field.preset === kind).map((field) => `${name}.${field.name}`),
    );
  expect(fixed("tables")).toEqual([
    ...["TABLE_SH", "TABLE_OC", "TABLE_IC"].map((field) => `SMMU_CR1.${field}`),
    "SMMU_STRTAB_BASE",
    "SMMU_STRTAB_BASE_CFG",
  ]);
  expect(fixed("queues")).toEqual([
    ...["QUEUE_SH", "QUEUE_OC", "QUEUE_IC"].map((field) => `SMMU_CR1.${field}`),
    "SMMU_CMDQ_BASE",
    "SMMU_EVENTQ_BASE",
    "SMMU_PRIQ_BASE",
  ]);
});

/** A v3.0 part can have nothing of what later versions bring, whatever `max` has. */
const v30: SmmuConfig = { ...profiles.tiny, name: "v3.0", stage2: true, twoLevelStreamTable: true, msi: true, had: true };

const configs: readonly SmmuConfig[] = [
  profiles.max,
  profiles.tiny,
  v30,
  {
    ...profiles.max,
    name: "preset",
    presets: {
      tables: { base: 0x4000_0000, config: 0x1_0208, attributes: 0xd40 },
      queues: {
        cmdq: { base: 0x4010_0000, log2Size: 8 },
        eventq: { base: 0x4020_0000, log2Size: 7 },
        priq: { base: 0x4030_0000, log2Size: 5 },
        attributes: 0x35,
      },
    },
  },
];

/** Enables and registers of the PRI queue: RES0 where a part has none. */
const PRIQEN = 2;
const PRIQ_IRQEN = 2;
const PRIQ_BASE = 0xc0;
const PRIQ_PROD = 0x1_00c8;

type Phase = "off" | "on" | "rising" | "falling";

/** One enable in one phase; all others are off. */
interface State {
  readonly guard: RegisterGuard | "none";
  readonly phase: Phase;
  readonly control: number;
  readonly bit: number;
}

const enables: readonly (readonly [RegisterGuard, control: number, bit: number])[] = [
  ["SMMUEN", at.CR0, SMMUEN],
  ["CMDQEN", at.CR0, CMDQEN],
  ["EVENTQEN", at.CR0, EVENTQEN],
  ["PRIQEN", at.CR0, PRIQEN],
  ["EVENTQ_IRQEN", at.IRQ_CTRL, EVENTQ_IRQEN],
  ["PRIQ_IRQEN", at.IRQ_CTRL, PRIQ_IRQEN],
  ["GERROR_IRQEN", at.IRQ_CTRL, GERROR_IRQEN],
];
const states: readonly State[] = [
  { guard: "none", phase: "off", control: at.CR0, bit: 0 },
  ...enables.flatMap(([guard, control, bit]) => (["on", "rising", "falling"] as const).map((phase) => ({ guard, phase, control, bit }))),
];

function machine(config: SmmuConfig, { phase, control, bit }: State): Smmu {
  const simulation = new Simulation();
  const smmu = new Smmu(config, createSmmuHost({ simulation, bus: new SystemBus() }));
  smmu.write64(at.CMDQ_BASE, 19, 0);
  smmu.write64(at.EVENTQ_BASE, 19, 0);
  smmu.write64(PRIQ_BASE, 19, 0);
  if (phase !== "off") smmu.write(control, 4, bit);
  if (phase === "on" || phase === "falling") simulation.advance(100_000);
  if (phase === "falling") smmu.write(control, 4, 0);
  return smmu;
}

/** What the table says of one word. */
interface Facts {
  readonly implemented: number;
  /** Bits that a write changes in the state asked for. */
  readonly open: number;
}

const EMPTY: Facts = { implemented: 0, open: 0 };
/** Registers whose writes start a protocol. */
const PROTOCOL: readonly number[] = [at.CR0, at.IRQ_CTRL, at.GBPA];

function holds(guard: RegisterGuard | undefined, state: State, config: SmmuConfig): boolean {
  if (guard === "any-queue") return state.guard === "CMDQEN" || state.guard === "EVENTQEN" || (config.pri && state.guard === "PRIQEN");
  return guard !== undefined && guard === state.guard;
}

function factsOf(register: SmmuRegister, half: number, config: SmmuConfig, state: State): Facts {
  const features = implementedFeatures(config);
  if (!has(features, register.needs)) return EMPTY;
  let implemented = 0;
  let open = 0;
  for (let bit = 0; bit < 32; bit++) {
    const position = bit + 32 * half;
    const field = register.fields.find(({ hi, lo }) => position <= hi && position >= lo);
    if (field === undefined || !has(features, field.needs)) continue;
    // Address bits above the output address size are RES0.
    if (register.width === 64 && field.name === "ADDR" && position >= config.oas) continue;
    implemented += 2 ** bit;
    if (register.access === "RW" && !fixed(register, field, config) && !holds(register.guard ?? field.guard, state, config))
      open += 2 ** bit;
  }
  return { implemented, open };
}

function fixed(register: SmmuRegister, field: RegisterField, config: SmmuConfig): boolean {
  const kind = register.preset ?? field.preset;
  return kind !== undefined && config.presets?.[kind] !== undefined;
}

/** All words that the table has, and some where nothing is, with their facts. */
function words(config: SmmuConfig, state: State): Map<number, Facts> {
  const all = new Map<number, Facts>();
  for (const [first, last] of [
    [0, 0x1000],
    [0x4000, 0x4040],
    [0x8000, 0x8100],
    [0x1_0000, 0x1_0100],
  ] as const) {
    for (let offset = first; offset < last; offset += 4) all.set(offset, EMPTY);
  }
  for (const register of smmuRegisters) {
    for (let half = 0; half < register.width / 32; half++) {
      all.set(register.offset + 4 * half, factsOf(register, half, config, state));
    }
  }
  return all;
}

/** Index bits above a queue's size read as zero in the indexes that the SMMU moves (§6.3.28, §6.3.95, §6.3.97). */
function visible(offset: number, config: SmmuConfig): number {
  const preset = config.presets?.queues;
  if (offset === at.CMDQ_CONS) return (0x7f00_0000 | (2 ** (Math.min(preset?.cmdq.log2Size ?? 19, config.cmdqLog2Max) + 1) - 1)) >>> 0;
  if (offset === at.EVENTQ_PROD)
    return (0x8000_0000 | (2 ** (Math.min(preset?.eventq.log2Size ?? 19, config.eventqLog2Max) + 1) - 1)) >>> 0;
  if (offset === PRIQ_PROD) return (0x8000_0000 | (2 ** (Math.min(preset?.priq?.log2Size ?? 19, config.priqLog2Max) + 1) - 1)) >>> 0;
  return 0xffff_ffff;
}

const PATTERNS = [0xffff_ffff, 0x5555_5555, 0xaaaa_aaaa, 0];
const pair = new Uint32Array(2);

function differs(offset: number, got: number, wanted: number): string[] {
  return got === wanted >>> 0 ? [] : [`${offset.toString(16)}: ${got.toString(16)} instead of ${(wanted >>> 0).toString(16)}`];
}

describe.each(configs)("$name", (config) => {
  test.each(states)("IHI 0070 §6.2: 32-bit accesses, $guard $phase", (state) => {
    const smmu = machine(config, state);
    const wrong: string[] = [];
    for (const [offset, { implemented, open }] of words(config, state)) {
      if (PROTOCOL.includes(offset)) continue;
      const before = smmu.read(offset, 4);
      if ((before & ~implemented) !== 0) wrong.push(`${offset.toString(16)} has bits that do not exist: ${before.toString(16)}`);
      for (const value of PATTERNS) {
        smmu.write(offset, 4, value);
        wrong.push(...differs(offset, smmu.read(offset, 4), ((before & ~open) | (value & open)) & visible(offset, config)));
      }
      smmu.write(offset, 4, before);
    }
    expect(wrong).toEqual([]);
  });

  test.each(states)("IHI 0070 §6.2: 64-bit accesses are two 32-bit ones, $guard $phase", (state) => {
    const smmu = machine(config, state);
    const wrong: string[] = [];
    const all = words(config, state);
    for (const [offset, low] of all) {
      const high = all.get(offset + 4);
      if (offset % 8 !== 0 || high === undefined || PROTOCOL.includes(offset) || PROTOCOL.includes(offset + 4)) continue;
      // CMDQ_PROD with CMDQ_CONS: commands would start, and CONS with them.
      if (offset === at.CMDQ_PROD && state.guard === "CMDQEN") continue;
      const before = [smmu.read(offset, 4), smmu.read(offset + 4, 4)] as const;
      for (const value of PATTERNS) {
        smmu.write64(offset, value, ~value >>> 0);
        smmu.read64(offset, pair);
        wrong.push(
          ...differs(offset, pair[0]!, ((before[0] & ~low.open) | (value & low.open)) & visible(offset, config)),
          ...differs(offset + 4, pair[1]!, ((before[1] & ~high.open) | (~value & high.open)) & visible(offset + 4, config)),
        );
      }
      smmu.write64(offset, before[0], before[1]);
    }
    expect(wrong).toEqual([]);
  });

  test.each(states)("IHI 0070 §6.2: 8-bit, 16-bit and misaligned accesses are RAZ/WI (our choice), $guard $phase", (state) => {
    const smmu = machine(config, state);
    const wrong: string[] = [];
    const offsets = [...words(config, state).keys()];
    const all = (): number[] => offsets.map((offset) => smmu.read(offset, 4));
    const before = all();
    for (const offset of offsets) {
      for (const [width, skew] of [
        [1, 0],
        [1, 3],
        [2, 0],
        [2, 2],
        [2, 1],
        [4, 1],
        [4, 2],
        [4, 3],
      ] as const) {
        smmu.write(offset + skew, width, 0xffff_ffff);
        if (smmu.read(offset + skew, width) !== 0) wrong.push(`${width} bytes at ${(offset + skew).toString(16)}`);
      }
      const unaligned = offset % 8 === 0 ? offset + 2 : offset;
      smmu.write64(unaligned, 0xffff_ffff, 0xffff_ffff);
      smmu.read64(unaligned, pair);
      if (pair[0] !== 0 || pair[1] !== 0) wrong.push(`8 bytes at ${unaligned.toString(16)}`);
    }
    expect(wrong).toEqual([]);
    expect(all()).toEqual(before);
  });
});
