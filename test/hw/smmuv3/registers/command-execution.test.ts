// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { type SmmuConfig, describeCommand, profiles, smmuCommands } from "../../../../src/hw/index.ts";
import { Bench, at } from "./bench.ts";

const { max } = profiles;
const stage1Only: SmmuConfig = {
  ...max,
  name: "stage-1-only",
  version: 0,
  stage2: false,
  hyp: false,
  xnx: false,
  ptwnnc: false,
  fwb: false,
  e0pd: false,
  ril: false,
  bbml: 0,
};
const stage2Only: SmmuConfig = { ...max, name: "stage-2-only", stage1: false, hyp: false, had: false };
const withoutDs: SmmuConfig = { ...max, name: "without-ds", ds: false };
const noHyp: SmmuConfig = { ...max, name: "no-hyp", version: 1, hyp: false, e0pd: false, ptwnnc: false };

const SECURE = 1 << 10;

/** Runs one command. @returns what it asked of the caches, or "ILL" */
function run(words: readonly number[], config: SmmuConfig = max, cr2: number = 0): string[] | "ILL" {
  const bench = new Bench(config);
  bench.w32(at.CR2, cr2);
  bench.startCommands(3);
  bench.submit(words);
  bench.settle();
  if ((bench.activeErrors & 1) === 0) return bench.cacheCalls;
  expect((bench.r32(at.CMDQ_CONS) >>> 24) & 0x7f).toBe(1);
  expect(bench.cacheCalls).toEqual([]);
  return "ILL";
}

/** Opcodes that are legal on a Non-secure queue, by what they need: IHI 0070 §4.1.1, §4.3 … §4.7. */
const always = [0x01, 0x02, 0x03, 0x04, 0x30, 0x46];
const withStage1 = [0x05, 0x06, 0x10, 0x11, 0x12, 0x13];
const withStage2 = [0x28, 0x2a];
const withHyp = [0x20, 0x21, 0x22, 0x23];
/** IDR0.ATS. */
const withAts = [0x40];
/** IDR0.PRI. */
const withPri = [0x41];
/** IDR0.STALL_MODEL is not 0b01. */
const withStall = [0x44, 0x45];

describe("opcodes on the Non-secure queue", () => {
  const cases: readonly (readonly [SmmuConfig, readonly number[]])[] = [
    [max, [...always, ...withStage1, ...withStage2, ...withHyp, ...withAts, ...withPri, ...withStall]],
    [stage1Only, [...always, ...withStage1, ...withAts, ...withPri, ...withStall]],
    [stage2Only, [...always, ...withStage2, ...withAts, ...withPri, ...withStall]],
    [noHyp, [...always, ...withStage1, ...withStage2, ...withAts, ...withPri, ...withStall]],
    [profiles.tiny, [...always, ...withStage1]],
    [profiles.qemu, [...always, ...withStage1, ...withStage2]],
  ];
  for (const [config, legal] of cases) {
    test(`IHI 0070 §4.1.1: profile ${config.name}: reserved and unsupported opcodes are CERROR_ILL, all others are consumed`, () => {
      for (let opcode = 0; opcode <= 0xff; opcode++) {
        const outcome = run([opcode, 0, 0, 0], config);
        expect(`${opcode.toString(16)} ${outcome === "ILL" ? "illegal" : "legal"}`).toBe(
          `${opcode.toString(16)} ${legal.includes(opcode) ? "legal" : "illegal"}`,
        );
      }
    });
  }

  test.each([0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x44, 0x45])(
    "IHI 0070 §4.1.6: SSec 1 on the Non-secure queue is CERROR_ILL (opcode %i)",
    (opcode) => {
      expect(run([opcode | SECURE, 0, 0, 0])).toBe("ILL");
    },
  );

  test("IHI 0070 §4.1.6: the bit of SSec means nothing to commands without that field", () => {
    expect(run([0x30 | SECURE, 0, 0, 0])).toEqual(["nsnhAll()"]);
    expect(run([0x46 | SECURE, 0, 0, 0])).toEqual([]);
  });

  test("IHI 0070 §4.7.3: CMD_SYNC with CS 3 is CERROR_ILL", () => {
    expect(run([0x46 | (3 << 12), 0, 0, 0])).toBe("ILL");
  });
});

describe("configuration invalidation", () => {
  test("IHI 0070 §4.3.1: CMD_CFGI_STE names the stream and Leaf", () => {
    expect(run([0x03, 0x1234, 0, 0])).toEqual(["invalidateSte(4660, false)"]);
    expect(run([0x03, 0xffff_ffff, 1, 0])).toEqual(["invalidateSte(4294967295, true)"]);
  });

  test("IHI 0070 §4.3.2, §4.3.6: CMD_CFGI_STE_RANGE names 2^(Range+1) streams; Range 31 is CMD_CFGI_ALL, whatever the StreamID", () => {
    expect(run([0x04, 0x40, 4, 0])).toEqual(["invalidateSteRange(64, 4)"]);
    expect(run([0x04, 0x40, 31, 0])).toEqual(["invalidateAll()"]);
    expect(run([0x04, 0xffff_ffff, 31, 0], profiles.tiny)).toEqual(["invalidateAll()"]);
  });

  test("IHI 0070 §4.3.3: CMD_CFGI_CD names stream, SubstreamID and Leaf; SSV plays no part", () => {
    expect(run([0x05 | (0x54321 << 12), 7, 1, 0])).toEqual([`invalidateCd(7, ${0x54321}, true)`]);
  });

  test("IHI 0070 §4.3.4: CMD_CFGI_CD_ALL names the stream", () => {
    expect(run([0x06, 9, 0, 0])).toEqual(["invalidateCdAll(9)"]);
  });

  test("IHI 0070 §4.1.7: a StreamID or SubstreamID beyond the implemented size has no effect and is no error", () => {
    expect(run([0x03, 64, 0, 0], profiles.tiny)).toEqual([]);
    expect(run([0x03, 63, 0, 0], profiles.tiny)).toEqual(["invalidateSte(63, false)"]);
    expect(run([0x06, 64, 0, 0], profiles.tiny)).toEqual([]);
    expect(run([0x05 | (1 << 12), 3, 0, 0], profiles.tiny)).toEqual([]);
    expect(run([0x05, 3, 0, 0], profiles.tiny)).toEqual(["invalidateCd(3, 0, false)"]);
  });

  test("IHI 0070 §4.2: prefetches are consumed and touch no cache", () => {
    expect(run([0x01, 3, 0, 0])).toEqual([]);
    expect(run([0x02, 3, 0x1000, 0])).toEqual([]);
  });
});

describe("TLB invalidation", () => {
  const plain = (hi: number, lo: number, leaf: boolean): string => JSON.stringify({ hi, lo, leaf, tg: 0, ttl: 0, num: 0, scale: 0 });

  test("IHI 0070 §4.4.2.1, §4.4.2.2: NH_ALL by VMID, NH_ASID by VMID and ASID", () => {
    expect(run([0x10, 0xabcd_1234, 0, 0])).toEqual([`nhAll(${0x1234})`]);
    expect(run([0x11, 0xabcd_1234, 0, 0])).toEqual([`nhAsid(${0x1234}, ${0xabcd})`]);
  });

  test("IHI 0070 §4.4.2: without stage 2 the VMID is not compared", () => {
    expect(run([0x10, 0x1234, 0, 0], stage1Only)).toEqual(["nhAll(0)"]);
  });

  test("IHI 0070 §4.4.2.4, §4.4.2.3: NH_VA has an ASID, NH_VAA is for every ASID; Address[63:12]", () => {
    expect(run([0x12, 0x0005_0007, 0x8765_4001, 0xffff_1234])).toEqual([`nhVa(7, 5, ${plain(0xffff_1234, 0x8765_4000, true)})`]);
    expect(run([0x13, 0x0005_0007, 0x8765_4000, 0])).toEqual([`nhVa(7, any, ${plain(0, 0x8765_4000, false)})`]);
  });

  test("IHI 0070 §4.4.2.7, §4.4.2.10: EL2_ALL, EL2_ASID", () => {
    expect(run([0x20, 0, 0, 0])).toEqual(["el2All()"]);
    expect(run([0x21, 0x0042_0000, 0, 0])).toEqual([`el2Asid(${0x42})`]);
  });

  test("IHI 0070 §4.4.2.8: EL2_VA compares the ASID only when CR2.E2H is 1; EL2_VAA never does", () => {
    expect(run([0x22, 0x0042_0000, 0x1000, 0], max, 1)).toEqual([`el2Va(${0x42}, ${plain(0, 0x1000, false)})`]);
    expect(run([0x22, 0x0042_0000, 0x1000, 0], max, 0)).toEqual([`el2Va(any, ${plain(0, 0x1000, false)})`]);
    expect(run([0x23, 0x0042_0000, 0x1000, 0], max, 1)).toEqual([`el2Va(any, ${plain(0, 0x1000, false)})`]);
  });

  test("IHI 0070 §4.4.3, §4.4.4.1: S12_VMALL and S2_IPA by VMID, NSNH_ALL", () => {
    expect(run([0x28, 0x9876, 0, 0])).toEqual([`s12Vmall(${0x9876})`]);
    expect(run([0x2a, 0x9876, 0x5001, 0x000f_0000])).toEqual([`s2Ipa(${0x9876}, ${plain(0x000f_0000, 0x5000, true)})`]);
    expect(run([0x30, 0, 0, 0])).toEqual(["nsnhAll()"]);
  });

  const ranged = (tg: number, ttl: number, num: number, scale: number, config: SmmuConfig = max): string[] | "ILL" =>
    run([0x13 | (num << 12) | (scale << 20), 0, 0x10_0000 | (ttl << 8) | (tg << 10), 0], config);

  test("IHI 0070 §4.4.1.1: with TG != 0 the range and the level hint are passed on", () => {
    expect(ranged(1, 3, 31, 4)).toEqual([
      `nhVa(0, any, ${JSON.stringify({ hi: 0, lo: 0x10_0000, leaf: false, tg: 1, ttl: 3, num: 31, scale: 4, ttl128: false })})`,
    ]);
  });

  test("IHI 0070 §4.4.1.1: TG != 0 with NUM, SCALE and TTL all 0 is CERROR_ILL", () => {
    expect(ranged(1, 0, 0, 0)).toBe("ILL");
    expect(ranged(2, 0, 0, 0)).toBe("ILL");
    expect(ranged(3, 0, 0, 0)).toBe("ILL");
    expect(ranged(1, 0, 1, 0)).not.toBe("ILL");
    expect(ranged(1, 0, 0, 1)).not.toBe("ILL");
    expect(ranged(1, 1, 0, 0)).not.toBe("ILL");
  });

  test("IHI 0070 §4.4.1.1: without IDR5.DS, TG 16KB with TTL 1 acts as TTL 0", () => {
    expect(ranged(2, 1, 0, 0, withoutDs)).toBe("ILL");
    expect(ranged(2, 1, 1, 0, withoutDs)).toEqual([
      `nhVa(0, any, ${JSON.stringify({ hi: 0, lo: 0x10_0000, leaf: false, tg: 2, ttl: 0, num: 1, scale: 0 })})`,
    ]);
  });

  test("IHI 0070 §4.4.1.1: without IDR5.DS, bit 25 is not part of SCALE", () => {
    expect(ranged(1, 0, 0, 32, withoutDs)).toBe("ILL");
  });

  test("IHI 0070 §4.4.1.1: with TG 0 the other range fields are RES0: one address, no hint", () => {
    expect(ranged(0, 3, 31, 4)).toEqual([`nhVa(0, any, ${plain(0, 0x10_0000, false)})`]);
  });

  test("IHI 0070 §4.4.1.1: without IDR3.RIL all range fields are RES0", () => {
    expect(ranged(1, 0, 0, 0, profiles.tiny)).toEqual([`nhVa(0, any, ${plain(0, 0x10_0000, false)})`]);
  });
});

describe("text of commands", () => {
  test("names the command and its operands", () => {
    expect(describeCommand([0x03, 0x10, 1, 0])).toBe("CMD_CFGI_STE StreamID=0x10 Leaf=1");
    expect(describeCommand([0x12, 0x0005_0007, 0x8765_4001, 0xffff_1234])).toBe(
      "CMD_TLBI_NH_VA VMID=7 ASID=5 Leaf=1 Address=0xffff123487654000",
    );
    expect(describeCommand([0x46 | (1 << 12), 5, 0x4010_0004, 1])).toBe("CMD_SYNC CS=1 MSIData=5 MSIAddress=0x0000000140100004");
    expect(describeCommand([0x04, 0x10, 31, 0])).toBe("CMD_CFGI_ALL");
    expect(describeCommand([0x07, 0, 0, 0])).toBe("CMD_CFGI_VMS_PIDM VMID=0");
    expect(describeCommand([0xff, 0, 0, 0])).toBe("reserved opcode 0xff");
  });

  test("every command of the table has a unique opcode and fields within 128 bits that do not overlap", () => {
    expect(new Set(smmuCommands.map(({ opcode }) => opcode)).size).toBe(smmuCommands.length);
    const wrong: string[] = [];
    for (const { name, fields } of smmuCommands) {
      const taken = new Set<number>(Array.from({ length: 8 }, (_, bit) => bit));
      for (const field of fields) {
        for (let bit = field.lo; bit <= field.hi; bit++) {
          if (taken.has(bit) || bit > 127) wrong.push(`${name}.${field.name} bit ${bit}`);
          taken.add(bit);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});
