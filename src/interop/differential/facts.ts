// SPDX-License-Identifier: MIT
/** Where an access may end by a program's tables, and what is out of the ordinary about it. */
import type { StreamLayout } from "./layout.ts";
import {
  DATA_BASE,
  DATA_SIZE,
  hasLeaf,
  leafShift,
  type MappingPlan,
  type Program,
  TABLES,
  type TableName,
  type TablePlan,
} from "./program.ts";

const PAGE = 0x1000;
/** CR2. */
const RECINVSID = 2;

const inData = (address: number): boolean => address >= DATA_BASE && address < DATA_BASE + DATA_SIZE;

/** An address below 2^52 with the low bits of a leaf replaced by those of a 64-bit address. */
function output(base: number, shift: number, hi: number, lo: number): number {
  const low = shift >= 32 ? (hi % 2 ** (shift - 32)) * 2 ** 32 + lo : lo % 2 ** shift;
  return base - (base % 2 ** shift) + low;
}

/**
 * Pages of data that an access can reach through one leaf, through a leaf of stage 1 and one of stage 2, or unchanged: all
 * leaves of the program count, since the question is where an access went that went wrong.
 */
export function candidatesOf(streams: readonly StreamLayout[], own: StreamLayout, hi: number, lo: number): readonly number[] {
  const pages = new Set<number>();
  const add = (address: number): void => {
    if (inData(address)) pages.add(address - (address % PAGE));
  };
  const first: number[] = [];
  if (hi < 2 ** 20) first.push(hi * 2 ** 32 + lo);
  for (const layout of [own, ...streams.filter((other) => other !== own)]) {
    for (const name of ["ttb0", "ttb1"] as const) {
      for (const { plan, mapping } of leaves(layout, name))
        first.push(output(mapping.output, leafShift(plan.granule, mapping.level), hi, lo));
    }
  }
  first.forEach(add);
  for (const { plan, mapping } of leaves(own, "stage2")) {
    const shift = leafShift(plan.granule, mapping.level);
    for (const address of first) add(output(mapping.output, shift, Math.floor(address / 2 ** 32), address % 2 ** 32));
  }
  return [...pages];
}

function* leaves(layout: StreamLayout, name: TableName): Generator<{ readonly plan: TablePlan; readonly mapping: MappingPlan }> {
  const plan = layout.plans[name];
  if (plan === undefined) return;
  // The leaf before a change and the one after it both count.
  for (const mapping of [...plan.mappings, ...layout.mappings[name]]) yield { plan, mapping };
}

/** The words that conditions of deviations look for. */
export function factsOf(layout: StreamLayout, { cr2, streamTable }: Program, hi: number, lo: number): string {
  const facts: string[] = (cr2 & RECINVSID) === 0 ? ["RECINVSID=0"] : [];
  if (streamTable.span !== undefined) facts.push(`L1STD.Span=${streamTable.span}`);
  for (const [prefix, fields] of [
    ["STE", layout.ste],
    ["CD", layout.cd],
  ] as const) {
    for (const [name, value] of Object.entries(fields)) if (name !== "ASID" && name !== "S2VMID") facts.push(`${prefix}.${name}=${value}`);
  }
  // First, for its condition asks for it there.
  facts.sort((a, b) => Number(b.startsWith("STE.S1CDMax")) - Number(a.startsWith("STE.S1CDMax")));
  const upper = (hi & 0x0080_0000) !== 0;
  const { stage2 } = layout.plans;
  if (stage2 !== undefined && 2 ** (64 - (layout.ste["S2T0SZ"] ?? 64 - stage2.inputBits)) > outputLimit(layout, "stage2"))
    facts.push("S2T0SZ beyond S2PS");
  if (layout.invalidatedByAddress && splintered(layout)) facts.push("splinters");
  facts.push(upper ? "TTB1" : "TTB0", `granule ${(upper ? layout.plans.ttb1 : layout.plans.ttb0)?.granule ?? 0}`);
  for (const name of TABLES) facts.push(...factsOfTable(layout, name, hi, lo));
  return facts.join(", ");
}

function* factsOfTable(layout: StreamLayout, name: TableName, hi: number, lo: number): Generator<string> {
  const plan = layout.plans[name];
  if (plan === undefined) return;
  yield `${name} of ${plan.inputBits} bits`;
  // Mappings share upper tables: whichever made one gave it its APTable.
  for (const { apTable } of layout.mappings[name]) if (name !== "stage2" && apTable !== 0) yield `APTable=${apTable}`;
  for (const mapping of layout.mappings[name]) {
    const shift = leafShift(plan.granule, mapping.level);
    const own = name !== "stage2" || layout.kind === "stage2";
    if (own && !covers(mapping.address, shift, plan.inputBits, hi, lo)) continue;
    if (!hasLeaf(plan.granule, mapping.level)) yield `${name} level ${mapping.level} ->block`;
    if (mapping.output >= outputLimit(layout, name)) yield `${name} output beyond OAS`;
    if (name === "stage2") {
      if (mapping.ap !== 3) yield `S2AP=${mapping.ap}`;
    } else {
      if ((mapping.ap & 1) === 0) yield `AP=${mapping.ap}`;
      if (mapping.nG === 0) yield "nG=0";
    }
    if (mapping.af === 0) yield `${name} AF=0`;
    if (mapping.kind !== undefined) yield `${name} kind=${mapping.kind}`;
  }
}

/** True if some leaf of stage 1 is larger than some leaf of stage 2, which cuts it to pieces in a TLB of combined entries. */
function splintered({ kind, plans, mappings }: StreamLayout): boolean {
  const { stage2 } = plans;
  if (kind !== "nested" || stage2 === undefined) return false;
  const smallest = Math.min(...mappings.stage2.map(({ level }) => leafShift(stage2.granule, level)));
  return (["ttb0", "ttb1"] as const).some((name) => mappings[name].some(({ level }) => leafShift(plans[name]!.granule, level) > smallest));
}

const SIZES: readonly number[] = [32, 36, 40, 42, 44, 44];

/** The first address beyond the output size of a table, on a part of 44 bits. */
function outputLimit(layout: StreamLayout, name: TableName): number {
  return 2 ** (SIZES[(name === "stage2" ? layout.ste["S2PS"] : layout.cd["IPS"]) ?? 5] ?? 44);
}

/** True if a leaf maps an address, going by the bits that the table translates. */
function covers(address: number, shift: number, inputBits: number, hi: number, lo: number): boolean {
  const low = inputBits > 32 ? (hi % 2 ** (inputBits - 32)) * 2 ** 32 + lo : lo % 2 ** inputBits;
  return low >= address && low < address + 2 ** shift;
}
