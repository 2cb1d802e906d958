// SPDX-License-Identifier: MIT
/** What software and memory get wrong: fields, bits, words, reads that abort, transactions that nobody expects. */
import { BusStatus } from "../../../../src/hw/index.ts";
import { littleEndian, pow2 } from "./bits.ts";
import type { Draw } from "./draw.ts";
import type { Scenario } from "./scenario.ts";
import { CD_FIELDS, STE_FIELDS } from "./structures.ts";
import type { Arena, Placed } from "./tables.ts";
import type { Incoming } from "./types.ts";

/** Something of a random kind that was written. */
function pick(draw: Draw, arena: Arena): Placed | undefined {
  const kinds = [...new Set(arena.placed.map(({ kind }) => kind))];
  if (kinds.length === 0) return undefined;
  const kind = draw.one(kinds);
  return draw.one(arena.placed.filter((placed) => placed.kind === kind));
}

/** Changes a field, a bit or a word of something that was written. */
export function spoil(draw: Draw, { arena, kinds }: Scenario): string {
  const found = pick(draw, arena);
  if (found === undefined) return "nothing";
  const { kind, address, bytes } = found;
  const table = kind === "ste" ? STE_FIELDS : kind === "cd" ? CD_FIELDS : undefined;
  if (table !== undefined && draw.nat(2) < 2) {
    const [name, [hi, lo]] = draw.one(Object.entries(table));
    const width = Math.min(64, hi - lo + 1);
    const mask = (pow2(width) - 1n) << BigInt(lo);
    const wanted = draw.bits(width);
    arena.put(kind, address, bytes, (littleEndian(arena.read(address, bytes)) & ~mask) | (wanted << BigInt(lo)));
    return `${kind} at 0x${address.toString(16)}: ${name} becomes 0x${wanted.toString(16)}`;
  }
  const word = Number(address) + 4 * draw.nat(bytes / 4 - 1);
  const old = arena.memory.read32(word);
  const how = draw.nat(3);
  const bit = draw.nat(31);
  const wanted = how < 3 ? old ^ (1 << bit) : draw.oneIn(2) ? draw.word() : 0;
  // The Contiguous bit, big endian or not.
  const keep = kinds.contiguous || !kind.startsWith("tt-") ? 0 : 0x0010_1000;
  const value = (wanted & ~keep) | (old & keep);
  arena.memory.write32(word, value >>> 0);
  return `${kind} at 0x${word.toString(16)}: 0x${old.toString(16)} becomes 0x${(value >>> 0).toString(16)}`;
}

/** An external abort or poison on something that was written. */
export function injectAbort(draw: Draw, { arena, machine }: Scenario): string {
  const found = pick(draw, arena);
  if (found === undefined) return "nothing";
  const { kind, address } = found;
  machine.bus.inject({ base: Number(address), size: 8, status: draw.oneIn(2) ? BusStatus.poison : BusStatus.abort, on: "read" });
  return `${kind} at 0x${address.toString(16)} cannot be read`;
}

/** A transaction somewhat unlike the ones that the tables are for. */
export function vary(draw: Draw, scenario: Scenario): Incoming {
  const { incoming } = scenario;
  const base =
    incoming.length > 0
      ? draw.one(incoming)
      : { streamId: 0, substreamId: undefined, address: 0n, write: false, instruction: false, privileged: false };
  const change = draw.nat(15);
  const kind = draw.nat(2);
  const common = { ...base, write: kind === 1, instruction: kind === 2 || draw.oneIn(4), privileged: draw.nat(1) === 1 };
  if (change === 8) return { ...common, address: common.address ^ pow2(draw.nat(63)) };
  if (change === 9) return { ...common, address: common.address ^ (draw.bits(8) << 56n) };
  if (change === 10) return { ...common, address: draw.bits(64) };
  if (change === 11) return { ...common, substreamId: draw.nat(0xfffff) };
  if (change === 12) return { ...common, substreamId: draw.one([undefined, 0, 1]) };
  if (change === 13) return { ...common, streamId: draw.word() };
  if (change === 14) return { ...common, streamId: common.streamId + 1 + draw.nat(64) };
  return { ...common, address: common.address ^ draw.bits(draw.one([12, 4, 16, 21, 30])) };
}
