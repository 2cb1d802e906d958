// SPDX-License-Identifier: MIT
/**
 * A machine's state as a document `quiesce/state@1`: memory, the SMMU's registers and what its caches hold, at one moment of
 * a run. `quiesce explain` answers questions about it.
 */
import { bytesToHexString, hexStringToBytes } from "typed-array-utils";
import * as v from "valibot";
import { type BroadcastTlbi, hex, type SmmuConfig, type SmmuSnapshot, snapshotOf } from "../../hw/index.ts";
import type { Machine } from "../machine/machine.ts";

const STATE_SCHEMA = "quiesce/state@1";
const PAGE = 4096;

/** One page of memory that is not all zeros. */
export interface StatePage {
  readonly address: number;
  readonly bytes: Uint8Array;
}

export interface MachineState {
  /** What ran. */
  readonly title: string;
  /** When, in words: `+0.455 ms` counts from the beginning of the way down. */
  readonly moment: string;
  /** The command line that makes this state again. */
  readonly replay: string;
  /** RAM. Bytes. */
  readonly memory: { readonly base: number; readonly size: number };
  /** The masters behind the SMMU. */
  readonly streams: readonly { readonly name: string; readonly streamId: number }[];
  readonly smmu: SmmuSnapshot;
  readonly pages: readonly StatePage[];
}

/** The text is no state. The message says what is wrong with it. */
export class StateError extends Error {
  readonly code = "BAD_STATE";
}

/** @param moment,replay as in {@link MachineState} */
export function stateOf(machine: Machine, title: string, moment: string, replay: string): MachineState {
  const { spec, bus, smmu } = machine;
  return {
    title,
    moment,
    replay,
    memory: { base: spec.memory.base, size: spec.memory.size },
    streams: spec.devices.map(({ name, streamId }) => ({ name, streamId })),
    smmu: snapshotOf(smmu),
    pages: [...bus.memory.pages()],
  };
}

const ADDRESSES: ReadonlySet<string> = new Set(["address", "pa", "ipa", "hi", "lo", "base", "streamId", "table"]);

/** Addresses, StreamIDs, register words and pages are hexadecimal strings. */
export function stateText(state: MachineState): string {
  const document = {
    schema: STATE_SCHEMA,
    ...state,
    smmu: { ...state.smmu, registers: Object.fromEntries(state.smmu.registers.map(([offset, value]) => [hex(offset), hex(value)])) },
    pages: Object.fromEntries(state.pages.map(({ address, bytes }) => [hex(address), bytesToHexString(bytes)])),
  };
  const replace = (key: string, value: unknown): unknown => (ADDRESSES.has(key) && typeof value === "number" ? hex(value) : value);
  return `${JSON.stringify(document, replace)}\n`;
}

// Reading.

const hexNumber = v.pipe(
  v.string(),
  v.regex(/^0x[0-9a-f]{1,13}$/, "is no hexadecimal number below 2^52"),
  v.transform((text) => Number.parseInt(text, 16)),
);
const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const word = v.pipe(whole, v.maxValue(0xffff_ffff));
const structureSchema = { address: hexNumber, words: v.pipe(v.array(word), v.length(16)) };
// Not in states of before it was there.
const assured = v.optional(v.boolean(), false);
const level1Schema = v.object({ index: whole, assured, leafBits: whole, address: hexNumber, words: v.pipe(v.array(word), v.length(2)) });
const cdSchema = v.object({ index: whole, assured, ...structureSchema, level1: v.nullable(level1Schema) });
const steSchema = v.object({
  streamId: hexNumber,
  e2h: v.boolean(),
  ...structureSchema,
  level1: v.nullable(level1Schema),
  cds: v.array(cdSchema),
  level1Cds: v.array(level1Schema),
});
const tags = {
  kind: v.picklist([0, 1, 2, 3]),
  nested: v.boolean(),
  vmid: word,
  asid: word,
  aset: word,
  global: v.boolean(),
  size: v.pipe(whole, v.minValue(12), v.maxValue(54)),
  granule: v.picklist([12, 14, 16]),
  hi: hexNumber,
  lo: hexNumber,
};
const tlbSchema = v.object({
  ...tags,
  level: v.pipe(whole, v.maxValue(3)),
  pa: hexNumber,
  ipa: hexNumber,
  stage1: word,
  stage2: word,
  type: word,
  shareability: word,
  memAttr: word,
  shareability2: word,
  forcedWriteBack: v.boolean(),
  // Not in states of before it was there.
  clean: v.optional(word, 0),
  poIndex: v.optional(word, 0),
  d128: v.optional(v.boolean(), false),
});
const operand = v.nullish(
  v.union([
    v.boolean(),
    v.number(),
    v.object({
      hi: hexNumber,
      lo: hexNumber,
      leaf: v.boolean(),
      tg: word,
      ttl: word,
      ttl128: v.exactOptional(v.boolean()),
      num: word,
      scale: word,
    }),
  ]),
);
const broadcastSchema = v.custom<BroadcastTlbi>((value) => typeof value === "object" && value !== null, "is no TLBI");
const pendingSchema = v.object({
  serviceFailed: v.boolean(),
  invalidations: v.array(v.object({ on: v.picklist(["configuration", "tlb"]), name: v.string(), operands: v.array(operand) })),
  broadcasts: v.array(broadcastSchema),
});
const pageBytes = v.pipe(
  v.string(),
  v.regex(/^(?:[0-9a-f]{2})*$/, "is not written in hexadecimal bytes"),
  v.length(2 * PAGE, `is not ${PAGE} bytes`),
  v.transform((text) => hexStringToBytes(text)),
);
const stateSchema = v.object({
  schema: v.literal(STATE_SCHEMA),
  title: v.string(),
  moment: v.string(),
  replay: v.string(),
  memory: v.object({ base: hexNumber, size: v.pipe(whole, v.minValue(1)) }),
  streams: v.array(v.object({ name: v.string(), streamId: hexNumber })),
  smmu: v.object({
    // The SMMU itself judges its configuration when it is built.
    config: v.custom<SmmuConfig>((value) => typeof value === "object" && value !== null, "is no configuration"),
    registers: v.pipe(
      v.record(v.string(), hexNumber),
      v.transform((words) => Object.entries(words).map(([offset, value]): [number, number] => [Number.parseInt(offset, 16), value])),
    ),
    stes: v.array(steSchema),
    level1: v.array(level1Schema),
    tlb: v.array(tlbSchema),
    walks: v.array(v.object({ ...tags, table: hexNumber, limits: word })),
    // Not in states of before it was there.
    pending: v.optional(pendingSchema, { serviceFailed: false, invalidations: [], broadcasts: [] }),
  }),
  pages: v.pipe(
    v.record(v.string(), pageBytes),
    v.transform((pages) => Object.entries(pages).map(([address, bytes]): StatePage => ({ address: Number.parseInt(address, 16), bytes }))),
  ),
});

/** Reads what {@link stateText} wrote. @throws StateError */
export function parseState(text: string): MachineState {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new StateError("is no JSON document: a state comes from `quiesce run --save-state`");
  }
  const result = v.safeParse(stateSchema, document);
  if (!result.success) {
    const [issue] = result.issues;
    const path = (issue.path ?? []).map(({ key }) => String(key)).join(".");
    if (path === "schema" || path === "")
      throw new StateError(`is no ${STATE_SCHEMA} document: a state comes from \`quiesce run --save-state\``);
    throw new StateError(`${path}: ${issue.message}`);
  }
  const { schema: _schema, ...state } = result.output;
  const { base, size } = state.memory;
  const astray = state.pages.find(({ address }) => address % PAGE !== 0 || address < base || address + PAGE > base + size);
  if (astray) throw new StateError(`pages.${hex(astray.address)}: lies outside of memory`);
  return state;
}
