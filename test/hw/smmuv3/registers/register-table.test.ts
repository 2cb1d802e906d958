// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { smmuRegisters } from "../../../../src/hw/index.ts";

/**
 * Offset, width, access and RES0 bits of every Non-secure register as IHI 0070 §6.3 gives them when all features are
 * implemented: written down by itself, so that a slip in the table of fields shows.
 */
const expected: readonly (readonly [name: string, offset: number, width: 32 | 64, access: "RO" | "RW", res0: string])[] = [
  ["SMMU_IDR0", 0x0000, 32, "RO", "a0000000"],
  ["SMMU_IDR1", 0x0004, 32, "RO", "00000000"],
  ["SMMU_IDR2", 0x0008, 32, "RO", "fffffc00"],
  ["SMMU_IDR3", 0x000c, 32, "RO", "ff000043"],
  ["SMMU_IDR4", 0x0010, 32, "RO", "00000000"],
  ["SMMU_IDR5", 0x0014, 32, "RO", "0000f208"],
  ["SMMU_IIDR", 0x0018, 32, "RO", "00000000"],
  ["SMMU_AIDR", 0x001c, 32, "RO", "ffffff00"],
  ["SMMU_CR0", 0x0020, 32, "RW", "fffffa20"],
  ["SMMU_CR0ACK", 0x0024, 32, "RO", "fffffa20"],
  ["SMMU_CR1", 0x0028, 32, "RW", "fffff000"],
  ["SMMU_CR2", 0x002c, 32, "RW", "fffffff0"],
  ["SMMU_S2PII", 0x0030, 64, "RW", "0000000000000000"],
  ["SMMU_STATUSR", 0x0040, 32, "RO", "fffffffe"],
  ["SMMU_GBPA", 0x0044, 32, "RW", "7fe0c0e0"],
  ["SMMU_AGBPA", 0x0048, 32, "RW", "00000000"],
  ["SMMU_IRQ_CTRL", 0x0050, 32, "RW", "fffffff8"],
  ["SMMU_IRQ_CTRLACK", 0x0054, 32, "RO", "fffffff8"],
  ["SMMU_GERROR", 0x0060, 32, "RO", "fffff802"],
  ["SMMU_GERRORN", 0x0064, 32, "RW", "fffff802"],
  ["SMMU_GERROR_IRQ_CFG0", 0x0068, 64, "RW", "ff00000000000003"],
  ["SMMU_GERROR_IRQ_CFG1", 0x0070, 32, "RW", "00000000"],
  ["SMMU_GERROR_IRQ_CFG2", 0x0074, 32, "RW", "ffffffc0"],
  ["SMMU_STRTAB_BASE", 0x0080, 64, "RW", "bf0000000000003f"],
  ["SMMU_STRTAB_BASE_CFG", 0x0088, 32, "RW", "fffcf800"],
  ["SMMU_CMDQ_BASE", 0x0090, 64, "RW", "bf00000000000000"],
  ["SMMU_CMDQ_PROD", 0x0098, 32, "RW", "fff00000"],
  ["SMMU_CMDQ_CONS", 0x009c, 32, "RW", "80f00000"],
  ["SMMU_EVENTQ_BASE", 0x00a0, 64, "RW", "bf00000000000000"],
  ["SMMU_EVENTQ_IRQ_CFG0", 0x00b0, 64, "RW", "ff00000000000003"],
  ["SMMU_EVENTQ_IRQ_CFG1", 0x00b8, 32, "RW", "00000000"],
  ["SMMU_EVENTQ_IRQ_CFG2", 0x00bc, 32, "RW", "ffffffc0"],
  ["SMMU_PRIQ_BASE", 0x00c0, 64, "RW", "bf00000000000000"],
  ["SMMU_PRIQ_IRQ_CFG0", 0x00d0, 64, "RW", "ff00000000000003"],
  ["SMMU_PRIQ_IRQ_CFG1", 0x00d8, 32, "RW", "00000000"],
  ["SMMU_PRIQ_IRQ_CFG2", 0x00dc, 32, "RW", "7fffffc0"],
  ["SMMU_GATOS_CTRL", 0x0100, 32, "RW", "fffffffe"],
  ["SMMU_GATOS_SID", 0x0108, 64, "RW", "ffe0000000000000"],
  ["SMMU_GATOS_ADDR", 0x0110, 64, "RW", "000000000000003f"],
  ["SMMU_GATOS_PAR", 0x0118, 64, "RO", "00000000000004fe"],
  ["SMMU_MPAMIDR", 0x0130, 32, "RO", "ff000000"],
  ["SMMU_GMPAM", 0x0138, 32, "RW", "7f000000"],
  ["SMMU_GBPMPAM", 0x013c, 32, "RW", "7f000000"],
  ["SMMU_VATOS_SEL", 0x0180, 32, "RW", "ffff0000"],
  ["SMMU_IDR6", 0x0190, 32, "RO", "f0f0ffff"],
  ["SMMU_DPT_BASE", 0x0200, 64, "RW", "bf00000000000fff"],
  ["SMMU_DPT_BASE_CFG", 0x0208, 32, "RW", "ff0f3ff8"],
  ["SMMU_DPT_CFG_FAR", 0x0210, 64, "RW", "ff00000000000f0c"],
  ["SMMU_CMDQ_CONTROL_PAGE_BASE<n>", 0x4000, 64, "RO", "ff0000000000fff8"],
  ["SMMU_CMDQ_CONTROL_PAGE_CFG<n>", 0x4008, 32, "RO", "fffffffe"],
  ["SMMU_CMDQ_CONTROL_PAGE_STATUS<n>", 0x400c, 32, "RO", "fffffffe"],
  ["SMMU_PIDR4", 0x0fd0, 32, "RO", "ffffff00"],
  ["SMMU_PIDR5", 0x0fd4, 32, "RO", "ffffffff"],
  ["SMMU_PIDR6", 0x0fd8, 32, "RO", "ffffffff"],
  ["SMMU_PIDR7", 0x0fdc, 32, "RO", "ffffffff"],
  ["SMMU_PIDR0", 0x0fe0, 32, "RO", "ffffff00"],
  ["SMMU_PIDR1", 0x0fe4, 32, "RO", "ffffff00"],
  ["SMMU_PIDR2", 0x0fe8, 32, "RO", "ffffff00"],
  ["SMMU_PIDR3", 0x0fec, 32, "RO", "ffffff00"],
  ["SMMU_CIDR0", 0x0ff0, 32, "RO", "ffffff00"],
  ["SMMU_CIDR1", 0x0ff4, 32, "RO", "ffffff00"],
  ["SMMU_CIDR2", 0x0ff8, 32, "RO", "ffffff00"],
  ["SMMU_CIDR3", 0x0ffc, 32, "RO", "ffffff00"],
  ["SMMU_EVENTQ_PROD", 0x100a8, 32, "RW", "7ff00000"],
  ["SMMU_EVENTQ_CONS", 0x100ac, 32, "RW", "7ff00000"],
  ["SMMU_PRIQ_PROD", 0x100c8, 32, "RW", "7ff00000"],
  ["SMMU_PRIQ_CONS", 0x100cc, 32, "RW", "7ff00000"],
];

function res0(width: number, fields: readonly { readonly hi: number; readonly lo: number }[]): string {
  const bits = Array.from({ length: width }, () => "1");
  for (const { hi, lo } of fields) for (let bit = lo; bit <= hi; bit++) bits[width - 1 - bit] = "0";
  return BigInt(`0b${bits.join("")}`)
    .toString(16)
    .padStart(width / 4, "0");
}

describe("the register table", () => {
  test("IHI 0070 §6.2: has every Non-secure register of pages 0 and 1 at its offset, with its width and access", () => {
    const table = smmuRegisters.map(({ name, offset, width, access }) => [name, offset, width, access]);
    expect(table).toEqual(expected.map(([name, offset, width, access]) => [name, offset, width, access]));
  });

  test.each(expected)("IHI 0070 §6.3: %s has fields for all bits that are not reserved", (name, _offset, width, _access, mask) => {
    const register = smmuRegisters.find((candidate) => candidate.name === name)!;
    expect(res0(width, register.fields)).toBe(mask);
  });

  test("fields do not overlap and run from high to low", () => {
    const wrong: string[] = [];
    for (const { name, fields } of smmuRegisters) {
      let above = 64;
      for (const field of fields) {
        if (field.hi >= above || field.lo > field.hi) wrong.push(`${name}.${field.name}`);
        above = field.lo;
      }
    }
    expect(wrong).toEqual([]);
  });

  test("each register names its section of chapter 6.3, and its page is that of its offset", () => {
    for (const { section, page, offset } of smmuRegisters) {
      expect(section).toMatch(/^§6\.3\.\d+$/);
      expect(offset >>> 16).toBe(page);
    }
  });
});
