// SPDX-License-Identifier: MIT
/**
 * Every configuration invalidation against every cached structure, in both directions (IHI 0070 §4.3): what its scope names is
 * fetched again, all else is not, by the choice "config-cache-replacement" and by Leaf. Which structures the cache still has
 * shows in what the next accesses read.
 */
import { describe, expect, test } from "vitest";
import { stage1Cd, stage1Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { Machine } from "./machine.ts";
import { commandNamed, encode } from "./table.ts";

const SIDSIZE = 9;
/** Low StreamID bits that a level-2 array covers, and low SubstreamID bits of a leaf CD table with 4 KiB. */
const SPLIT = 6;
const LEAF = 6;
const STREAMS = [0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0xff, 0x100];
const SUBSTREAMS = [0, 1, 0x3f, 0x40];
const VA = 0x7000;
const PA = 0x5000_0000;

interface Cfgi {
  readonly name: string;
  readonly StreamID?: number;
  readonly SubstreamID?: number;
  readonly Leaf?: number;
  readonly Range?: number;
}

/** The first and the last StreamID that a command is about (§4.3.1 … §4.3.6). */
function streamsOf({ name, StreamID = 0, Range = 0 }: Cfgi): readonly [number, number] {
  if (name !== "CFGI_STE_RANGE") return [StreamID, StreamID];
  if (Range === 31) return [0, 0xffff_ffff];
  const first = Number(BigInt(StreamID) & ~((2n << BigInt(Range)) - 1n));
  return [first, first + 2 ** (Range + 1) - 1];
}

/** What is in the cache, after everything was and one command came. */
class Model {
  readonly #stes: Set<number>;
  readonly #level1: Set<number>;
  readonly #cds = new Set<string>();
  readonly #level1Cds = new Set<string>();

  constructor(cfgi: Cfgi) {
    const [first, last] = streamsOf(cfgi);
    const inScope = (sid: number): boolean => sid >= first && sid <= last;
    const stes = cfgi.name.startsWith("CFGI_STE");
    const level1 = stes && cfgi.Leaf !== 1;
    this.#stes = new Set(STREAMS.filter((sid) => !(stes && inScope(sid))));
    const array = (sid: number): number => Math.floor(sid / 2 ** SPLIT);
    this.#level1 = new Set(STREAMS.map(array).filter((index) => !level1 || index < array(first) || index > array(last)));
    for (const sid of STREAMS) {
      for (const ssid of SUBSTREAMS) {
        const table = ssid >> LEAF;
        const named = cfgi.name === "CFGI_CD" && inScope(sid);
        const all = cfgi.name !== "CFGI_CD" && inScope(sid);
        if (!all && !(named && ssid === cfgi.SubstreamID)) this.#cds.add(`${sid} ${ssid}`);
        if (!all && !(named && cfgi.Leaf === 0 && table === cfgi.SubstreamID! >> LEAF)) this.#level1Cds.add(`${sid} ${table}`);
      }
    }
  }

  /** What an access reads; the cache then has it. */
  reads(sid: number, ssid: number): string[] {
    const reads: string[] = [];
    const fetch = <T>(cache: Set<T>, key: T, what: string): void => {
      if (!cache.has(key)) reads.push(what);
      cache.add(key);
    };
    if (!this.#stes.has(sid)) {
      fetch(this.#level1, Math.floor(sid / 2 ** SPLIT), "l1std");
      fetch(this.#stes, sid, "ste");
    }
    if (!this.#cds.has(`${sid} ${ssid}`)) {
      fetch(this.#level1Cds, `${sid} ${ssid >> LEAF}`, "l1cd");
      fetch(this.#cds, `${sid} ${ssid}`, "cd");
    }
    return reads;
  }
}

function build(): Machine {
  const machine = new Machine({ config: { sidSize: SIDSIZE }, streams: { log2Size: SIDSIZE, split: SPLIT } });
  const table = machine.pageTable();
  table.map(VA, PA, 0x1000);
  const cd = stage1Cd({ ttb0: table }, { ASID: 1 });
  for (const sid of STREAMS) {
    const cds = new CdTable({ memory: machine.bus.memory, arena: machine.arena, cdMax: 7, format: 1 });
    for (const ssid of SUBSTREAMS) cds.write(ssid, cd);
    machine.streams.write(sid, stage1Ste(cds.base, { ...cds.fields }));
  }
  return machine;
}

function reads(machine: Machine, sid: number, ssid: number): string[] {
  expect(machine.go(sid, VA, { ssid })).toBe(PA);
  return machine.reads.filter((read) => !read.startsWith("tt-") && read !== "cmdq");
}

const SIDS = [...STREAMS, 0x02, 0x41, 0x1ff];
const GROUPS: readonly (readonly [string, readonly Cfgi[]])[] = [
  ["CFGI_STE", SIDS.flatMap((StreamID) => [0, 1].map((Leaf) => ({ name: "CFGI_STE", StreamID, Leaf })))],
  [
    "CFGI_STE_RANGE",
    SIDS.flatMap((StreamID) => [0, 1, 4, 5, 6, 7, 8, 9, 30, 31].map((Range) => ({ name: "CFGI_STE_RANGE", StreamID, Range }))),
  ],
  [
    "CFGI_CD",
    SIDS.flatMap((StreamID) =>
      [...SUBSTREAMS, 2, 0x41].flatMap((SubstreamID) => [0, 1].map((Leaf) => ({ name: "CFGI_CD", StreamID, SubstreamID, Leaf }))),
    ),
  ],
  ["CFGI_CD_ALL", SIDS.map((StreamID) => ({ name: "CFGI_CD_ALL", StreamID }))],
  [
    "CFGI_STE_RANGE with StreamID bits that do not count (§4.3.2)",
    [
      { name: "CFGI_STE_RANGE", StreamID: 0x3ff, Range: 9 },
      { name: "CFGI_STE_RANGE", StreamID: 0xffff_ffff, Range: 31 },
      { name: "CFGI_STE_RANGE", StreamID: 0x1_ffff, Range: 16 },
    ],
  ],
];

describe("scopes", () => {
  for (const [name, commands] of GROUPS) {
    test(`${name}: ${commands.length} commands against ${STREAMS.length} streams with ${SUBSTREAMS.length} CDs each`, () => {
      const machine = build();
      const wrong: string[] = [];
      for (const cfgi of commands) {
        for (const sid of STREAMS) for (const ssid of SUBSTREAMS) reads(machine, sid, ssid);
        const { name: command, ...operands } = cfgi;
        machine.command(encode(commandNamed(command), operands));
        const model = new Model(cfgi);
        for (const sid of STREAMS) {
          for (const ssid of SUBSTREAMS) {
            const due = model.reads(sid, ssid).join(" ");
            const found = reads(machine, sid, ssid).join(" ");
            if (found !== due) wrong.push(`${JSON.stringify(cfgi)}: stream ${sid}, CD ${ssid}: reads ${found}, expected ${due}`);
          }
        }
      }
      expect(wrong).toEqual([]);
    });
  }
});

test("§4.1.7: choice command-out-of-range: StreamIDs and SubstreamIDs beyond the implemented size touch nothing", () => {
  const machine = build();
  for (const sid of STREAMS) for (const ssid of SUBSTREAMS) reads(machine, sid, ssid);
  for (const StreamID of [0x200, 0x240, 0xffff_fe00]) {
    for (const Leaf of [0, 1]) {
      machine.command(encode(commandNamed("CFGI_STE"), { StreamID, Leaf }));
      machine.command(encode(commandNamed("CFGI_CD"), { StreamID, SubstreamID: 0, Leaf }));
    }
    machine.command(encode(commandNamed("CFGI_CD_ALL"), { StreamID }));
    machine.command(encode(commandNamed("CFGI_STE_RANGE"), { StreamID, Range: 5 }));
  }
  for (const sid of STREAMS) for (const ssid of SUBSTREAMS) expect(reads(machine, sid, ssid)).toEqual([]);
});

test("§4.3: no configuration invalidation touches the TLB", () => {
  const machine = build();
  machine.go(0, VA, { ssid: 0 });
  machine.command(encode(commandNamed("CFGI_STE_RANGE"), { Range: 31 }));
  expect(machine.go(0, VA, { ssid: 0 })).toBe(PA);
  expect(machine.reads).toEqual(["l1std", "ste", "l1cd", "cd"]);
});
