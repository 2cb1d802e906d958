// SPDX-License-Identifier: GPL-2.0-only
/**
 * arm_smmu_write_entry: the cases of Linux's arm-smmu-v3-test.c. Each tells how many syncs a change takes and whether the
 * entry was invalid in between; after each sync, what the SMMU looks at must be the old entry or the new one.
 */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { arm_smmu_get_cd_used, arm_smmu_make_s1_cd, new_cd } from "../../../src/drivers/iommu/arm-smmu-v3/cd.ts";
import { arm_smmu_write_entry } from "../../../src/drivers/iommu/arm-smmu-v3/entry-writer.ts";
import { ARM_SMMU_FEAT_ATTR_TYPES_OVR, ARM_SMMU_FEAT_STALLS } from "../../../src/drivers/iommu/arm-smmu-v3/features.ts";
import {
  type ArmSmmuEntry,
  arm_smmu_get_ste_update_safe,
  arm_smmu_get_ste_used,
  arm_smmu_make_abort_ste,
  arm_smmu_make_bypass_ste,
  arm_smmu_make_cdtable_ste,
  arm_smmu_make_s2_domain_ste,
} from "../../../src/drivers/iommu/arm-smmu-v3/ste.ts";
import { FIELD_PREP_ULL } from "../../../src/drivers/iommu/bitfield.ts";

const FEATURES = ARM_SMMU_FEAT_STALLS | ARM_SMMU_FEAT_ATTR_TYPES_OVR;
const CDTAB = 0xf0f0_f0f0_f0f0;
const { STRTAB_STE_1_S1DSS_SSID0: SSID0, STRTAB_STE_1_S1DSS_BYPASS: S1DSS_BYPASS } = R;

interface Feat {
  readonly ats?: boolean;
  readonly stall?: boolean;
}

function cdtable(s1dss: number, feat: Feat, cdtab_dma = CDTAB): ArmSmmuEntry {
  const cd_table = { cdtab_dma, s1fmt: R.STRTAB_STE_0_S1FMT_64K_L2, s1cdmax: 0x1f };
  return arm_smmu_make_cdtable_ste({ features: FEATURES, stall_enabled: feat.stall ?? false }, cd_table, feat.ats ?? false, s1dss);
}

function s2(feat: Feat): ArmSmmuEntry {
  const master = { features: FEATURES, stall_enabled: feat.stall ?? false };
  const vtcr = { ps: 1, tg: 2, sh: 3, orgn: 1, irgn: 2, sl: 3, tsz: 4 };
  return arm_smmu_make_s2_domain_ste(master, { vttbr: 0xdaed_beef_dead_beefn, vtcr }, 0, feat.ats ?? false);
}

/** A nested STE as the user-space part of Linux makes it: both stages, MEV set. */
function nested(s1dss: number, feat: Feat): ArmSmmuEntry {
  const ste = s2(feat);
  const stage1 = cdtable(s1dss, feat);
  ste[0] = stage1[0]! | FIELD_PREP_ULL(R.STRTAB_STE_0_CFG, 7);
  ste[1] = ste[1]! | stage1[1]! | R.STRTAB_STE_1_MEV;
  return ste;
}

function s1_cd(asid: number): ArmSmmuEntry {
  const tcr = { ips: 1, tg: 2, sh: 3, orgn: 1, irgn: 2, tsz: 4 };
  return arm_smmu_make_s1_cd({ stall_enabled: false }, { ttbr: 0xdaed_beef_dead_beefn, tcr, mair: 0xabc_def0_1234_5678n }, asid);
}

/** An SVA descriptor, and the same after its process died: TTBR0 walks off, the rest kept. */
function sva_cd(): ArmSmmuEntry {
  const cd = s1_cd(1997);
  cd[1] = 0x1234_5678_9000n;
  return cd;
}
function sva_released_cd(): ArmSmmuEntry {
  const cd = sva_cd();
  const walk =
    R.CTXDESC_CD_0_TCR_T0SZ | R.CTXDESC_CD_0_TCR_TG0 | R.CTXDESC_CD_0_TCR_IRGN0 | R.CTXDESC_CD_0_TCR_ORGN0 | R.CTXDESC_CD_0_TCR_SH0;
  cd[0] = (cd[0]! & ~walk) | R.CTXDESC_CD_0_TCR_EPD0;
  cd[1] = 0n;
  return cd;
}

type Kind = "ste" | "cd";
const RULES = {
  ste: { get_used: arm_smmu_get_ste_used, get_update_safe: arm_smmu_get_ste_update_safe },
  cd: { get_used: arm_smmu_get_cd_used },
} as const;

interface Observed {
  readonly syncs: number;
  readonly invalid: boolean;
}

function transition(kind: Kind, from: ArmSmmuEntry, target: ArmSmmuEntry): Observed {
  const live = from.slice();
  const rules = RULES[kind];
  let syncs = 0;
  let invalid = false;
  /** Whether what the SMMU looks at in the live entry differs from `other`, apart from bits that may take either value. */
  const differs = (other: ArmSmmuEntry, safe: ArmSmmuEntry | undefined): boolean => {
    const used = rules.get_used(live);
    return [...live].some((word, i) => {
      const looked_at = ~(safe?.[i] ?? 0n);
      return (word & used[i]! & looked_at) !== (other[i]! & looked_at);
    });
  };
  const safe_bits = kind === "ste" ? arm_smmu_get_ste_update_safe(from, target) : undefined;
  const writer = {
    load: (i: number) => live[i]!,
    store: (i: number, value: bigint) => void (live[i] = value),
    ...rules,
    *sync() {
      syncs++;
      if (live[0] === 0n) invalid = true;
      else expect(differs(from, safe_bits) && differs(target, safe_bits)).toBe(false);
    },
  };
  expect(arm_smmu_write_entry(writer, target).next(true).done).toBe(true);
  expect([...live]).toEqual([...target]);
  return { syncs, invalid };
}

const bypass = arm_smmu_make_bypass_ste(FEATURES);
const abort = arm_smmu_make_abort_ste();
const ATS: Feat = { ats: true };
const STALL: Feat = { stall: true };

describe("arm-smmu-v3-test.c: stream table entries", () => {
  test.each<[string, ArmSmmuEntry, ArmSmmuEntry, number]>([
    ["bypass_to_abort", bypass, abort, 2],
    ["abort_to_bypass", abort, bypass, 2],
    ["cdtable_to_abort", cdtable(SSID0, ATS), abort, 2],
    ["abort_to_cdtable", abort, cdtable(SSID0, ATS), 2],
    ["cdtable_to_bypass", cdtable(SSID0, ATS), bypass, 3],
    ["bypass_to_cdtable", bypass, cdtable(SSID0, ATS), 3],
    ["cdtable_s1dss_change, SSID0 to bypass", cdtable(SSID0, ATS), cdtable(S1DSS_BYPASS, ATS), 1],
    ["cdtable_s1dss_change, bypass to SSID0", cdtable(S1DSS_BYPASS, ATS), cdtable(SSID0, ATS), 1],
    ["s1dssbypass_to_stebypass", cdtable(S1DSS_BYPASS, ATS), bypass, 2],
    ["stebypass_to_s1dssbypass", bypass, cdtable(S1DSS_BYPASS, ATS), 2],
    ["s2_to_abort", s2(ATS), abort, 2],
    ["abort_to_s2", abort, s2(ATS), 2],
    ["s2_to_bypass", s2(ATS), bypass, 2],
    ["bypass_to_s2", bypass, s2(ATS), 2],
    ["s1_to_s2", cdtable(SSID0, ATS), s2(ATS), 3],
    ["s2_to_s1", s2(ATS), cdtable(SSID0, ATS), 3],
    ["s1_to_s2_stall", cdtable(SSID0, STALL), s2(STALL), 3],
    ["s2_to_s1_stall", s2(STALL), cdtable(SSID0, STALL), 3],
    ["nested_s1dssbypass_to_s1bypass (stage 2, no ATS)", nested(S1DSS_BYPASS, ATS), s2({}), 3],
    ["nested_s1bypass_to_s1dssbypass", s2({}), nested(S1DSS_BYPASS, ATS), 2],
  ])("%s is hitless", (_name, from, target, syncs) => {
    expect(transition("ste", from, target)).toEqual({ syncs, invalid: false });
  });

  test("non_hitless: S1DSS and the CD table change together, so V is cleared in between", () => {
    expect(transition("ste", cdtable(SSID0, ATS), cdtable(S1DSS_BYPASS, ATS, 0x4b_4b4b_4b4b))).toEqual({ syncs: 3, invalid: true });
  });
});

describe("arm-smmu-v3-test.c: context descriptors", () => {
  test.each<[string, ArmSmmuEntry, ArmSmmuEntry]>([
    ["s1_clear: zero to stage 1", new_cd(), s1_cd(1997)],
    ["s1_clear: stage 1 to zero", s1_cd(1997), new_cd()],
    ["sva_clear: zero to SVA", new_cd(), sva_cd()],
    ["sva_clear: SVA to zero", sva_cd(), new_cd()],
  ])("%s takes 2 syncs by way of V=0", (_name, from, target) => {
    expect(transition("cd", from, target)).toEqual({ syncs: 2, invalid: true });
  });

  test.each<[string, ArmSmmuEntry, ArmSmmuEntry, number]>([
    ["s1_change_asid there", s1_cd(778), s1_cd(1997), 1],
    ["s1_change_asid back", s1_cd(1997), s1_cd(778), 1],
    ["sva_release", sva_cd(), sva_released_cd(), 2],
    ["sva_release undone", sva_released_cd(), sva_cd(), 2],
  ])("%s is hitless", (_name, from, target, syncs) => {
    expect(transition("cd", from, target)).toEqual({ syncs, invalid: false });
  });
});

test("an entry that already is the target is neither stored nor synced", () => {
  expect(transition("ste", bypass, bypass)).toEqual({ syncs: 0, invalid: false });
});
