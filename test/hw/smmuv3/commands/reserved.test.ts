// SPDX-License-Identifier: MIT
/** Reserved bits of commands: which they are, and the choice between ignoring them and CERROR_ILL (IHI 0070 §4.1.5). */
import { describe, expect, test } from "vitest";
import { type SmmuConfig, profiles } from "../../../../src/hw/index.ts";
import { Runner } from "./runner.ts";
import { COMMANDS, type CommandRow, commandNamed, encode, put } from "./table.ts";

const CERROR_ILL = 1;
const { max } = profiles;
const older = { ds: false, fwb: false, ptwnnc: false, e0pd: false, bbml: 0 } as const;
const CONFIGS: readonly SmmuConfig[] = [
  max,
  { ...max, name: "without DS", ds: false },
  { ...max, ...older, name: "v3.0 without RIL", version: 0, ril: false },
  { ...max, name: "v3.4", version: 4 },
];
/** Bits [55:n] of an IPA or PA are reserved (§4.1.6). */
const ADDRESS_END = { 0: 48, 1: 52, 2: 52, 3: 52, 4: 56 } as const;

/** §4.1.5, §4.1.6, §4.2.2, §4.4.1.1: is a bit that is set in this command reserved? */
function reserved(command: CommandRow, bit: number, tg: number, ttl: number, config: SmmuConfig): boolean {
  const [name] = Object.entries(command.fields).find(([, [hi, lo]]) => bit >= lo && bit <= hi) ?? [];
  if (name === undefined) return true;
  if (name === "Stride") return config.version === 0;
  if (["TG", "TTL", "TTL128", "NUM", "SCALE"].includes(name)) {
    if (!config.ril) return true;
    if (name === "TG") return false;
    if (tg === 0) return true;
    if (name === "TTL128") return ttl === 0;
    return name === "SCALE" && bit === 25 && !config.ds;
  }
  const physical = name === "MSIAddress" || command.name === "TLBI_S2_IPA";
  return physical && (name === "MSIAddress" || name === "Address") && bit >= 64 + ADDRESS_END[config.version];
}

interface Probe {
  readonly words: readonly number[];
  readonly bit: number;
  readonly reserved: boolean;
}

/** Each bit set alone, in a command without a range, with one, and with one that has a level hint. */
function* probes(command: CommandRow, config: SmmuConfig): Generator<Probe> {
  const bases: { TG: number; TTL: number; words: number[] }[] = [{ TG: 0, TTL: 0, words: encode(command) }];
  if ("TG" in command.fields && config.ril) {
    bases.push({ TG: 1, TTL: 0, words: encode(command, { TG: 1, NUM: 1 }) }, { TG: 1, TTL: 3, words: encode(command, { TG: 1, TTL: 3 }) });
  }
  for (const { TG, TTL, words } of bases) {
    for (let bit = 8; bit < 128; bit++) {
      const field = Object.entries(command.fields).find(([, [hi, lo]]) => bit >= lo && bit <= hi);
      // These change what is reserved, or are illegal by themselves: legality.test.ts and ranges.test.ts have them.
      if (field !== undefined && ["TG", "TTL", "SSec"].includes(field[0])) continue;
      yield { words: put([...words], [bit, bit], 1n), bit, reserved: reserved(command, bit, TG, TTL, config) };
    }
  }
}

/** CS 3 needs two bits; a Range, CS or ASID of one bit is as legal as 0. */
const LEGAL = COMMANDS.filter(({ present }) => present(max));

for (const config of CONFIGS) {
  describe(`configuration ${config.name}`, () => {
    // v3.4 differs in physical addresses alone.
    for (const command of LEGAL.filter(({ name }) => config.version < 4 || ["SYNC", "TLBI_S2_IPA"].includes(name))) {
      test(`${command.name}: a reserved bit is CERROR_ILL under the choice "illegal", and no other bit is`, () => {
        const runner = new Runner(config, { commandReservedFields: "illegal" });
        const wrong: string[] = [];
        for (const probe of probes(command, config)) {
          const { error, calls } = runner.run(probe.words);
          if (error !== (probe.reserved ? CERROR_ILL : 0)) wrong.push(`bit ${probe.bit}: error ${error}`);
          if (error !== 0 && calls.length > 0) wrong.push(`bit ${probe.bit}: refused, but has done ${calls.join()}`);
        }
        expect(wrong).toEqual([]);
      });

      test(`${command.name}: by default reserved bits change nothing and are named`, () => {
        const runner = new Runner(config);
        const wrong: string[] = [];
        for (const { words, bit, reserved: isReserved } of probes(command, config)) {
          const { error, calls, lint } = runner.run(words);
          if (error !== 0) wrong.push(`bit ${bit}: error ${error}`);
          if (lint.includes("command-reserved-bits") !== isReserved) wrong.push(`bit ${bit}: named are ${lint.join()}`);
          if (!isReserved) continue;
          const without = runner.run(put([...words], [bit, bit], 0n)).calls;
          if (calls.join() !== without.join()) wrong.push(`bit ${bit}: ${calls.join()} instead of ${without.join()}`);
        }
        expect(wrong).toEqual([]);
      });
    }
  });
}

test("§4.1.3: what is ILLEGAL by itself is not named as reserved", () => {
  const runner = new Runner(max);
  expect(runner.run(put(encode(commandNamed("SYNC"), { CS: 3 }), [9, 9], 1n))).toEqual({ error: CERROR_ILL, calls: [], lint: [] });
});

describe("§4.1.7, §4.4: ASID and VMID operands beyond what is implemented are named", () => {
  const narrow: SmmuConfig = { ...max, asid16: false, vmid16: false };
  const single: SmmuConfig = { ...max, stage2: false, hyp: false, xnx: false, ptwnnc: false, fwb: false };
  for (const [what, config, name, operands, named] of [
    ["VMID 0x100 of 8 bits", narrow, "TLBI_NH_ALL", { VMID: 0x100 }, true],
    ["VMID 0xff of 8 bits", narrow, "TLBI_NH_ALL", { VMID: 0xff }, false],
    ["VMID 0x100 of 8 bits", narrow, "TLBI_S12_VMALL", { VMID: 0x100 }, true],
    ["VMID 0x100 of 8 bits", narrow, "TLBI_S2_IPA", { VMID: 0x100 }, true],
    ["VMID 0xffff of 16 bits", max, "TLBI_S12_VMALL", { VMID: 0xffff }, false],
    ["ASID 0x100 of 8 bits", narrow, "TLBI_NH_ASID", { ASID: 0x100 }, true],
    ["ASID 0x100 of 8 bits", narrow, "TLBI_NH_VA", { ASID: 0x100 }, true],
    ["ASID 0x100 of 8 bits", narrow, "TLBI_EL2_ASID", { ASID: 0x100 }, true],
    ["ASID 0xffff of 16 bits", max, "TLBI_NH_ASID", { ASID: 0xffff }, false],
    ["a VMID without stage 2", single, "TLBI_NH_ASID", { VMID: 1 }, true],
    ["VMID 0 without stage 2", single, "TLBI_NH_ASID", { VMID: 0 }, false],
  ] as const) {
    test(`${name}, ${what}`, () => {
      expect(new Runner(config).run(encode(commandNamed(name), operands)).lint).toEqual(named ? ["operand-out-of-range"] : []);
    });
  }
});
