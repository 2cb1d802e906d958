// SPDX-License-Identifier: GPL-2.0-only
/** What the driver's STEs and CDs say, read back field by field with the hardware model's own tables. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { arm_smmu_make_s1_cd } from "../../../src/drivers/iommu/arm-smmu-v3/tables/cd.ts";
import * as F from "../../../src/drivers/iommu/arm-smmu-v3/features.ts";
import {
  type ArmSmmuEntry,
  type SteMaster,
  arm_smmu_make_abort_ste,
  arm_smmu_make_bypass_ste,
  arm_smmu_make_cdtable_ste,
  arm_smmu_make_s2_domain_ste,
} from "../../../src/drivers/iommu/arm-smmu-v3/tables/ste.ts";
import type { Field } from "../../../src/hw/index.ts";
import { CD } from "../../../src/hw/smmuv3/spec/cd.ts";
import { STE } from "../../../src/hw/smmuv3/spec/ste.ts";

/** The fields of a structure that are not zero. */
function decode(fields: readonly Field[], entry: ArmSmmuEntry): Record<string, bigint> {
  const whole = [...entry].reduce((sum, word, i) => sum | (word << BigInt(64 * i)), 0n);
  const found: Record<string, bigint> = {};
  let listed = 0n;
  for (const { name, hi, lo } of fields) {
    const mask = (1n << BigInt(hi - lo + 1)) - 1n;
    listed |= mask << BigInt(lo);
    const value = (whole >> BigInt(lo)) & mask;
    if (value !== 0n) found[name] = value;
  }
  if ((whole & ~listed) !== 0n) found["outside every field"] = whole & ~listed;
  return found;
}

const CD_TABLE = { cdtab_dma: 0x12_3456_7000, s1fmt: R.STRTAB_STE_0_S1FMT_64K_L2, s1cdmax: 16 };
const S2 = { vttbr: 0x98_7654_3000n, vtcr: { ps: 5, tg: 0, sh: 3, orgn: 1, irgn: 1, sl: 2, tsz: 16 } };

function master(features: number, stall_enabled = false): SteMaster {
  return { features, stall_enabled };
}

describe("stream table entries (IHI 0070 §5.2)", () => {
  test("abort", () => expect(decode(STE.fields, arm_smmu_make_abort_ste())).toEqual({ V: 1n }));

  test("bypass", () => {
    expect(decode(STE.fields, arm_smmu_make_bypass_ste(0))).toEqual({ V: 1n, Config: 4n });
    expect(decode(STE.fields, arm_smmu_make_bypass_ste(F.ARM_SMMU_FEAT_ATTR_TYPES_OVR))).toEqual({ V: 1n, Config: 4n, SHCFG: 1n });
  });

  const stage1 = { V: 1n, Config: 5n, S1Fmt: 2n, S1ContextPtr: 0x12_3456_7000n >> 6n, S1CDMax: 16n, S1CIR: 1n, S1COR: 1n, S1CSH: 3n };

  test("CD table, CD 0 without SubstreamID", () => {
    expect(decode(STE.fields, arm_smmu_make_cdtable_ste(master(0), CD_TABLE, false, R.STRTAB_STE_1_S1DSS_SSID0))).toEqual({
      ...stage1,
      S1DSS: 2n,
    });
  });

  test("CD table, stage 1 skipped without SubstreamID, ATS on", () => {
    const ste = arm_smmu_make_cdtable_ste(master(F.ARM_SMMU_FEAT_ATTR_TYPES_OVR), CD_TABLE, true, R.STRTAB_STE_1_S1DSS_BYPASS);
    expect(decode(STE.fields, ste)).toEqual({ ...stage1, S1DSS: 1n, SHCFG: 1n, EATS: 1n });
  });

  test("stalls are forbidden where the SMMU could stall and the device must not", () => {
    const stalls = (stall: boolean): bigint | undefined =>
      decode(STE.fields, arm_smmu_make_cdtable_ste(master(F.ARM_SMMU_FEAT_STALLS, stall), CD_TABLE, false, 2))["S1STALLD"];
    expect(stalls(false)).toBe(1n);
    expect(stalls(true)).toBeUndefined();
  });

  test("a VHE kernel uses the EL2-E2H StreamWorld", () => {
    expect(decode(STE.fields, arm_smmu_make_cdtable_ste(master(F.ARM_SMMU_FEAT_E2H), CD_TABLE, false, 2))["STRW"]).toBe(2n);
  });

  test("stage 2", () => {
    const ste = arm_smmu_make_s2_domain_ste(master(F.ARM_SMMU_FEAT_ATTR_TYPES_OVR), S2, 7, false);
    expect(decode(STE.fields, ste)).toEqual({
      V: 1n,
      Config: 6n,
      SHCFG: 1n,
      S2VMID: 7n,
      S2T0SZ: 16n,
      S2SL0: 2n,
      S2IR0: 1n,
      S2OR0: 1n,
      S2SH0: 3n,
      S2PS: 5n,
      S2AA64: 1n,
      S2PTW: 1n,
      S2R: 1n,
      S2TTB: 0x98_7654_3000n >> 4n,
    });
  });
});

test("context descriptor of a stage-1 domain (IHI 0070 §5.4)", () => {
  const tcr = { ips: 5, tg: 0, sh: 3, orgn: 1, irgn: 1, tsz: 16 };
  const cd = arm_smmu_make_s1_cd({ stall_enabled: false }, { ttbr: 0x98_7654_3000n, tcr, mair: 0xf404ff44n }, 0xabcd);
  expect(decode(CD.fields, cd)).toEqual({
    T0SZ: 16n,
    IR0: 1n,
    OR0: 1n,
    SH0: 3n,
    EPD1: 1n,
    V: 1n,
    IPS: 5n,
    AA64: 1n,
    R: 1n,
    A: 1n,
    ASET: 1n,
    ASID: 0xabcdn,
    TTB0: 0x98_7654_3000n >> 4n,
    MAIR0: 0xf404ff44n,
  });
});
