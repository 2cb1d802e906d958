// SPDX-License-Identifier: MIT
/** Which commands the Non-secure queue refuses, for every opcode, every operand and every set of features (IHI 0070 §4, §7.1). */
import { describe, expect, test } from "vitest";
import { type SmmuConfig, profiles } from "../../../../src/hw/index.ts";
import { Runner } from "./runner.ts";
import { COMMANDS, type CommandRow, encode, put, STALL_COMMANDS } from "./table.ts";

const CERROR_ILL = 1;
const { max } = profiles;
const old = { version: 0, xnx: false, fwb: false, ptwnnc: false, e0pd: false, ril: false, bbml: 0 } as const;
const CONFIGS: readonly SmmuConfig[] = [
  max,
  { ...max, ...old, name: "stage-1-only", stage2: false, hyp: false },
  { ...max, ...old, name: "stage-2-only", stage1: false, hyp: false, had: false },
  { ...max, ...old, name: "v3.0-nested-no-hyp", hyp: false },
  { ...max, ...old, name: "v3.1-stage-2-only-ril", version: 1, ril: true, stage1: false, hyp: false, had: false },
  profiles["linux-typical"],
  profiles.qemu,
  profiles.tiny,
];

/** Operand values that reach every bit of a field: all of them where they are few, else each bit alone, and all bits. */
function values([hi, lo]: readonly [number, number]): bigint[] {
  const width = hi - lo + 1;
  if (width <= 6) return Array.from({ length: 2 ** width }, (_, value) => BigInt(value));
  return [0n, ...Array.from({ length: width }, (_, bit) => 1n << BigInt(bit)), (1n << BigInt(width)) - 1n];
}

/** Operand values that are ILLEGAL by themselves: §4.1.6 SSec, §4.7.3 CS. TG is in ranges.test.ts. */
function refused(field: string, value: bigint): boolean {
  return (field === "SSec" && value === 1n) || (field === "CS" && value === 3n);
}

/** A legal command of each kind: with TG 0, and with a range where there is one. */
function legal(command: CommandRow): number[][] {
  return "TG" in command.fields ? [encode(command), encode(command, { TG: 1, NUM: 1, SCALE: 1, TTL: 3 })] : [encode(command)];
}

for (const config of CONFIGS) {
  describe(`configuration ${config.name}`, () => {
    test("§4.1.1, §4.1.3: opcodes without a meaning here are CERROR_ILL and do nothing, all others are consumed", () => {
      const runner = new Runner(config);
      for (let opcode = 0; opcode <= 0xff; opcode++) {
        if (STALL_COMMANDS.includes(opcode)) continue;
        const present = COMMANDS.find((command) => command.opcode === opcode)?.present(config) ?? false;
        const { error, calls } = runner.run([opcode, 0, 0, 0]);
        expect([opcode, error]).toEqual([opcode, present ? 0 : CERROR_ILL]);
        if (!present) expect(calls).toEqual([]);
      }
    });

    test("§7.1: a command of an absent feature is CERROR_ILL whatever its operands", () => {
      const runner = new Runner(config);
      for (const command of COMMANDS.filter(({ present }) => !present(config))) {
        for (let bit = 8; bit < 128; bit++) {
          const { error, calls } = runner.run(put([command.opcode, 0, 0, 0], [bit, bit], 1n));
          expect([command.name, bit, error, calls]).toEqual([command.name, bit, CERROR_ILL, []]);
        }
      }
    });

    for (const command of COMMANDS.filter(({ present }) => present(config))) {
      test(`${command.name}: each operand's illegal values are CERROR_ILL and do nothing, all others are consumed`, () => {
        const runner = new Runner(config);
        for (const words of legal(command)) {
          for (const [field, place] of Object.entries(command.fields)) {
            if (field === "TG" || field === "NUM" || field === "SCALE" || field === "TTL") continue;
            for (const value of values(place)) {
              const { error, calls } = runner.run(put(words, place, value));
              const illegal = refused(field, value);
              expect([field, value, error]).toEqual([field, value, illegal ? CERROR_ILL : 0]);
              if (illegal) expect(calls).toEqual([]);
            }
          }
        }
      });

      test(`${command.name}: choice command-reserved-fields: each reserved bit is ignored`, () => {
        const runner = new Runner(config);
        const defined = Object.values(command.fields);
        for (const words of legal(command)) {
          const plain = runner.run(words);
          for (let bit = 8; bit < 128; bit++) {
            if (defined.some(([hi, lo]) => bit >= lo && bit <= hi)) continue;
            expect([bit, runner.run(put(words, [bit, bit], 1n))]).toEqual([bit, plain]);
          }
        }
      });
    }
  });
}

describe("§4.1.6: bits of an IPA that the version has not got are reserved", () => {
  const s2Ipa = COMMANDS.find(({ name }) => name === "TLBI_S2_IPA")!;
  for (const [version, bits] of [
    [0, 48],
    [1, 52],
    [2, 52],
    [3, 52],
    [4, 56],
  ] as const) {
    test(`v3.${version}: Address[55:${bits}] is ignored, the bit below is not`, () => {
      const runner = new Runner({ ...max, version });
      const plain = runner.run(encode(s2Ipa, { Address: 5n }));
      for (let bit = bits; bit <= 55; bit++) {
        expect([bit, runner.run(encode(s2Ipa, { Address: 5n | (1n << BigInt(bit - 12)) }))]).toEqual([bit, plain]);
      }
      expect(runner.run(encode(s2Ipa, { Address: 5n | (1n << BigInt(bits - 13)) }))).not.toEqual(plain);
    });
  }
});

test("§7.1: CERROR_ATC_INV_SYNC never comes without ATS: a CMD_SYNC after every other command is consumed", () => {
  const runner = new Runner(max);
  for (let opcode = 0; opcode <= 0xff; opcode++) {
    expect(runner.run([opcode, 0, 0, 0]).error).toBeLessThan(2);
    expect(runner.run([0x46, 0, 0, 0]).error).toBe(0);
  }
});
