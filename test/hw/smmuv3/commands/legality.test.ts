// SPDX-License-Identifier: MIT
/** Which commands the Non-secure queue refuses, for every opcode, every operand and every set of features (IHI 0070 §4, §7.1). */
import { describe, expect, test } from "vitest";
import { type SmmuConfig, profiles } from "../../../../src/hw/index.ts";
import { Runner } from "./runner.ts";
import { COMMANDS, type CommandRow, encode, put, STALL_COMMANDS } from "./table.ts";

const CERROR_ILL = 1;
const { max } = profiles;
const old = { version: 0, ds: false, xnx: false, fwb: false, ptwnnc: false, e0pd: false, ril: false, bbml: 0 } as const;
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

/** Operand values that are ILLEGAL by themselves: §4.1.6 SSec, §4.7.3 CS, §4.5.2 Resp; by choice §4.5.1 Size. TG is in ranges.test.ts. */
function refused(field: string, value: bigint): boolean {
  if (field === "CS" || field === "Resp") return value === 3n;
  return (field === "SSec" && value === 1n) || (field === "Size" && value > 52n);
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
      const wrong: string[] = [];
      for (const command of COMMANDS.filter(({ present }) => !present(config))) {
        for (let bit = 8; bit < 128; bit++) {
          const { error, calls } = runner.run(put([command.opcode, 0, 0, 0], [bit, bit], 1n));
          if (error !== CERROR_ILL || calls.length > 0) wrong.push(`${command.name}, bit ${bit}: error ${error}, ${calls.join()}`);
        }
      }
      expect(wrong).toEqual([]);
    });

    for (const command of COMMANDS.filter(({ present }) => present(config))) {
      test(`${command.name}: each operand's illegal values are CERROR_ILL and do nothing, all others are consumed`, () => {
        const runner = new Runner(config);
        const wrong: string[] = [];
        for (const words of legal(command)) {
          for (const [field, place] of Object.entries(command.fields)) {
            if (field === "TG" || field === "NUM" || field === "SCALE" || field === "TTL") continue;
            for (const value of values(place)) {
              const { error, calls } = runner.run(put(words, place, value));
              const illegal = refused(field, value);
              if (error !== (illegal ? CERROR_ILL : 0)) wrong.push(`${field} ${value}: error ${error}`);
              if (illegal && calls.length > 0) wrong.push(`${field} ${value}: refused, but has done ${calls.join()}`);
            }
          }
        }
        expect(wrong).toEqual([]);
      });
    }
  });
}

test("§7.1: CERROR_ATC_INV_SYNC never comes without a time-out: a CMD_SYNC after every other command is consumed", () => {
  const runner = new Runner(max);
  for (let opcode = 0; opcode <= 0xff; opcode++) {
    expect(runner.run([opcode, 0, 0, 0]).error).toBeLessThan(2);
    expect(runner.run([0x46, 0, 0, 0]).error).toBe(0);
  }
});
