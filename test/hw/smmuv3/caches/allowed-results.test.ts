// SPDX-License-Identifier: MIT
/**
 * Random programs of table changes, maintenance and accesses: every result is one that the architecture allows, old or new
 * before a CMD_SYNC, new after it (IHI 0070 §3.17, §3.21, §4.7.3). The allowed results come from histories.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as hw from "../../../../src/hw/index.ts";
import { Allowed, type CdState, type SteState } from "./allowed.ts";
import { Machine, PAGES, RAM, type Result, STREAMS, VMID } from "./machine.ts";

type Op =
  | { readonly op: "ste"; readonly sid: number; readonly ste: SteState }
  | { readonly op: "cd"; readonly sid: number; readonly cd: CdState }
  | { readonly op: "link"; readonly root: number; readonly table: number }
  | { readonly op: "leaf"; readonly table: number; readonly page: number; readonly output: number | undefined }
  | { readonly op: "cfgi-ste" | "cfgi-cd"; readonly sid: number }
  | { readonly op: "tlbi-va"; readonly asid: number; readonly page: number; readonly leaf: boolean }
  | { readonly op: "tlbi-asid"; readonly asid: number }
  | { readonly op: "cfgi-all" | "tlbi-all" | "sync" | "off-on" }
  | { readonly op: "access"; readonly sid: number; readonly page: number };

const OUTPUTS = [RAM + 0x800_0000, RAM + 0x800_1000, RAM + 0x800_2000];

const sid = fc.integer({ min: 0, max: STREAMS - 1 });
const bit = fc.integer({ min: 0, max: 1 });
const asid = fc.constantFrom(1, 2);
const anyOp: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("ste" as const),
      sid,
      ste: fc.constantFrom<SteState>("translate", "translate", "translate", "bypass", "abort", "invalid"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("cd" as const),
      sid,
      cd: fc.record({ root: bit, asid, valid: fc.constantFrom(true, true, true, false) }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("link" as const), root: bit, table: bit }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant("leaf" as const), table: bit, page: bit, output: fc.constantFrom(undefined, ...OUTPUTS) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom("cfgi-ste" as const, "cfgi-cd" as const), sid }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("tlbi-va" as const), asid, page: bit, leaf: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("tlbi-asid" as const), asid }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constantFrom("cfgi-all" as const, "tlbi-all" as const, "sync" as const, "sync" as const, "off-on" as const),
    }),
  },
  { weight: 9, arbitrary: fc.record({ op: fc.constant("access" as const), sid, page: bit }) },
);

interface Answer {
  readonly result: Result;
  /** Results that the architecture allows. */
  readonly may: ReadonlySet<Result>;
  /** The one without any cache. */
  readonly fresh: Result;
}

class Program {
  readonly machine: Machine;
  readonly allowed: Allowed;
  /** How many results were not those of memory as it is. */
  stale = 0;

  constructor(machine: Machine) {
    this.machine = machine;
    const cd = { root: 0, asid: 1, valid: true };
    this.allowed = new Allowed({
      stes: Array.from({ length: STREAMS }, () => "translate" as const),
      cds: Array.from({ length: STREAMS }, () => cd),
      links: [0, 1],
      leaves: [OUTPUTS.slice(0, 2), [undefined, OUTPUTS[2]]],
    });
    const { stes, cds, links, leaves } = this.allowed.memory;
    stes.forEach((ste, i) => this.#writeSte(i, ste));
    cds.forEach((state, i) => this.#writeCd(i, state));
    links.forEach((table, root) => this.#writeLink(root, table));
    leaves.forEach((outputs, table) => outputs.forEach((output, page) => this.#writeLeaf(table, page, output)));
  }

  #writeSte(i: number, ste: SteState): void {
    const { machine } = this;
    const words = {
      translate: () => hw.stage1Ste(machine.cds[i]!, { S2VMID: VMID }),
      bypass: () => hw.bypassSte(),
      abort: () => hw.abortSte(),
      invalid: () => new Uint32Array(16),
    }[ste]();
    hw.writeWords(machine.bus.memory, machine.stes[i]!, words);
  }

  #writeCd(i: number, { root, asid: id, valid }: CdState): void {
    const { machine } = this;
    const words = hw.buildCd({
      V: valid ? 1 : 0,
      AA64: 1,
      T0SZ: 16,
      EPD1: 1,
      IPS: 5,
      R: 1,
      A: 1,
      ASID: id,
      TTB0: machine.roots[root]!,
    });
    hw.writeWords(machine.bus.memory, machine.cds[i]!, words);
  }

  #writeLink(root: number, table: number): void {
    this.machine.bus.memory.write32(this.machine.links[root]!, this.machine.tables[table]! | 3);
  }

  #writeLeaf(table: number, page: number, output: number | undefined): void {
    // nG, AF, AP[1], a page.
    const descriptor = output === undefined ? 0 : output | 0xc43;
    this.machine.bus.memory.write32(this.machine.tables[table]! + 8 * page, descriptor >>> 0);
  }

  /** @returns the result of an access and what it may be */
  run(op: Op): Answer | undefined {
    const { machine, allowed } = this;
    const { memory } = allowed;
    const address = (page: number): hw.FieldValues => ({ Address: PAGES[page]! });
    switch (op.op) {
      case "ste":
        memory.stes[op.sid] = op.ste;
        this.#writeSte(op.sid, op.ste);
        break;
      case "cd":
        memory.cds[op.sid] = op.cd;
        this.#writeCd(op.sid, op.cd);
        break;
      case "link":
        memory.links[op.root] = op.table;
        this.#writeLink(op.root, op.table);
        break;
      case "leaf":
        memory.leaves[op.table]![op.page] = op.output;
        this.#writeLeaf(op.table, op.page, op.output);
        break;
      case "cfgi-ste":
        allowed.cfgiSte(op.sid);
        machine.command("CMD_CFGI_STE", { StreamID: op.sid, Leaf: 1 });
        break;
      case "cfgi-cd":
        allowed.cfgiCd(op.sid);
        machine.command("CMD_CFGI_CD", { StreamID: op.sid, Leaf: 1 });
        break;
      case "cfgi-all":
        allowed.cfgiAll();
        machine.command("CMD_CFGI_STE_RANGE", { Range: 31 });
        break;
      case "tlbi-va":
        allowed.tlbiVa(op.asid, op.page, op.leaf);
        machine.command("CMD_TLBI_NH_VA", { VMID, ASID: op.asid, Leaf: op.leaf ? 1 : 0, ...address(op.page) });
        break;
      case "tlbi-asid":
        allowed.tlbiAsid(op.asid);
        machine.command("CMD_TLBI_NH_ASID", { VMID, ASID: op.asid });
        break;
      case "tlbi-all":
        allowed.tlbiAll();
        machine.command("CMD_TLBI_NSNH_ALL");
        break;
      case "sync":
        machine.command("CMD_SYNC");
        allowed.sync();
        break;
      case "off-on":
        // Nothing is invalidated (§3.21, §6.3.9.6).
        machine.smmu.write(hw.registerOffset("CR0"), 4, 0xc);
        machine.smmu.write(hw.registerOffset("CR0"), 4, 0xd);
        break;
      case "access": {
        const may = allowed.results(op.sid, op.page);
        const fresh = allowed.fresh(op.sid, op.page);
        const result = machine.access(op.sid, PAGES[op.page]!);
        if (result !== fresh) this.stale++;
        return { result, may, fresh };
      }
    }
    allowed.step();
    return undefined;
  }
}

/** Runs a program. @returns what was none of the allowed results, in words */
function forbidden(program: Program, ops: readonly Op[], allowed: (answer: Answer) => ReadonlySet<Result>): string[] {
  return ops.flatMap((op, index) => {
    const answer = program.run(op);
    if (answer === undefined || allowed(answer).has(answer.result)) return [];
    return [`step ${index}: ${answer.result}, allowed: ${[...allowed(answer)].join(", ")}`];
  });
}

const size = fc.constantFrom(0, 1, 2, 8);
const anyCaches: fc.Arbitrary<hw.CacheSizes> = fc.record({
  ste: size,
  cd: size,
  tlb: size,
  walk: size,
  replacement: fc.constantFrom("round-robin" as const, "random" as const),
});
const anyProgram = fc.array(anyOp, { minLength: 1, maxLength: 200, size: "max" });
const NONE: hw.CacheSizes = hw.cacheModes.none.caches;

describe("every result of a random program is allowed", () => {
  test("with caches of any size", () => {
    fc.assert(
      fc.property(anyProgram, anyCaches, (ops, caches) => {
        const program = new Program(new Machine({}, caches));
        expect(forbidden(program, ops, ({ may }) => may)).toEqual([]);
      }),
      { numRuns: 250, seed: 1 },
    );
  });

  test("keeping whatever may be kept as long as it may be; and that shows", () => {
    let stale = 0;
    fc.assert(
      fc.property(anyProgram, (ops) => {
        const program = new Program(new Machine({ cacheMode: "adversarial" }, NONE));
        expect(forbidden(program, ops, ({ may }) => may)).toEqual([]);
        stale += program.stale;
      }),
      { numRuns: 150, seed: 2 },
    );
    expect(stale).toBeGreaterThan(500);
  });

  test("without caches it is the one that memory says", () => {
    fc.assert(
      fc.property(anyProgram, (ops) => {
        const program = new Program(new Machine({ cacheMode: "none" }, NONE));
        expect(forbidden(program, ops, ({ fresh }) => new Set([fresh]))).toEqual([]);
      }),
      { numRuns: 60, seed: 3 },
    );
  });
});

describe("what is kept until the CMD_SYNC", () => {
  const change: readonly Op[] = [
    { op: "access", sid: 0, page: 0 },
    { op: "leaf", table: 0, page: 0, output: OUTPUTS[2] },
  ];
  const last = (mode: hw.CacheMode, ops: readonly Op[]): Result => {
    const program = new Program(new Machine({ cacheMode: mode }, hw.profiles.max.caches));
    return ops.map((op) => program.run(op)).at(-1)!.result;
  };
  const look: Op = { op: "access", sid: 0, page: 0 };
  const tlbi: Op = { op: "tlbi-va", asid: 1, page: 0, leaf: true };

  test("an adversarial SMMU uses the old translation after a TLBI and before its CMD_SYNC (§4.7.3)", () => {
    expect(last("adversarial", [...change, tlbi, look])).toBe(OUTPUTS[0]);
    expect(last("adversarial", [...change, tlbi, { op: "sync" }, look])).toBe(OUTPUTS[2]);
  });

  test("as configured, the TLBI acts when it is consumed", () => {
    expect(last("configured", [...change, tlbi, look])).toBe(OUTPUTS[2]);
  });

  test("SMMUEN 1 to 0 to 1 keeps entries (§6.3.9.6)", () => {
    expect(last("configured", [...change, { op: "off-on" }, look])).toBe(OUTPUTS[0]);
  });

  test("a hardware reset forgets what was held back, with the caches", () => {
    const machine = new Machine({ cacheMode: "adversarial" }, NONE);
    const program = new Program(machine);
    for (const op of [...change, tlbi]) program.run(op);
    machine.smmu.reset();
    expect(machine.smmu.translation.tlb.entriesInUse).toBe(0);
  });
});
