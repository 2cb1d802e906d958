// SPDX-License-Identifier: GPL-2.0-only
/**
 * arm_smmu_write_entry: the cases of Linux's arm-smmu-v3-test.c. Each tells how many syncs a change takes and whether the
 * entry was invalid in between; after each sync, what the SMMU looks at must be the old entry or the new one.
 */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import {
  arm_smmu_get_cd_used,
  arm_smmu_make_s1_cd,
  arm_smmu_make_sva_cd,
  new_cd,
} from "../../../src/drivers/iommu/arm-smmu-v3/tables/cd.ts";
import { arm_smmu_write_entry } from "../../../src/drivers/iommu/arm-smmu-v3/tables/entry-writer.ts";
import { ARM_SMMU_FEAT_ATTR_TYPES_OVR, ARM_SMMU_FEAT_STALLS } from "../../../src/drivers/iommu/arm-smmu-v3/features.ts";
import { arm_smmu_make_nested_domain_ste } from "../../../src/drivers/iommu/arm-smmu-v3/domains/nested.ts";
import {
  type ArmSmmuEntry,
  arm_smmu_get_ste_update_safe,
  arm_smmu_get_ste_used,
  arm_smmu_make_abort_ste,
  arm_smmu_make_bypass_ste,
  arm_smmu_make_cdtable_ste,
  arm_smmu_make_s2_domain_ste,
} from "../../../src/drivers/iommu/arm-smmu-v3/tables/ste.ts";

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

const S2_CFG = { vttbr: 0xdaed_beef_dead_beefn, vtcr: { ps: 1, tg: 2, sh: 3, orgn: 1, irgn: 2, sl: 3, tsz: 4 } };

function s2(feat: Feat): ArmSmmuEntry {
  const master = { features: FEATURES, stall_enabled: feat.stall ?? false };
  return arm_smmu_make_s2_domain_ste(master, S2_CFG, 0, feat.ats ?? false);
}

/** A guest's CD table on a parent's stage 2. */
function nested(s1dss: number, feat: Feat): ArmSmmuEntry {
  const [word0 = 0n, word1 = 0n] = cdtable(s1dss, {});
  const master = { features: FEATURES, stall_enabled: false };
  return arm_smmu_make_nested_domain_ste(master, { arm_lpae_s2_cfg: () => S2_CFG, id: 0, s2fwb: false }, [word0, word1], feat.ats ?? false);
}

function s1_cd(asid: number): ArmSmmuEntry {
  const tcr = { ips: 1, tg: 2, sh: 3, orgn: 1, irgn: 2, tsz: 4 };
  return arm_smmu_make_s1_cd({ stall_enabled: false }, { ttbr: 0xdaed_beef_dead_beefn, tcr, mair: 0xabc_def0_1234_5678n }, asid);
}

const SVA_MASTER = { features: FEATURES, stall_enabled: false, smmu: { driver: { cpu: { pa_bits: 48 } } } };

/** An SVA descriptor, and the same after its process ended: TTBR0 walks off, the rest kept. */
function sva_cd(): ArmSmmuEntry {
  return arm_smmu_make_sva_cd(SVA_MASTER, { pgd: 0x1234_5678_9000 }, 1997);
}
function sva_released_cd(): ArmSmmuEntry {
  return arm_smmu_make_sva_cd(SVA_MASTER, null, 1997);
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

/** One case: its transitions one after the other, all with the same number of syncs. */
type Case = readonly [name: string, syncs: number, transitions: readonly (readonly [ArmSmmuEntry, ArmSmmuEntry])[]];

function there_and_back(a: ArmSmmuEntry, b: ArmSmmuEntry): (readonly [ArmSmmuEntry, ArmSmmuEntry])[] {
  return [
    [a, b],
    [b, a],
  ];
}

/** The names are those of Linux 7.1's KUnit cases, in its order. arm_smmu_v3_invs_test is in invs.test.ts. */
describe("arm-smmu-v3-kunit-test", () => {
  test.each<Case>([
    ["arm_smmu_v3_write_ste_test_bypass_to_abort", 2, [[bypass, abort]]],
    ["arm_smmu_v3_write_ste_test_abort_to_bypass", 2, [[abort, bypass]]],
    ["arm_smmu_v3_write_ste_test_cdtable_to_abort", 2, [[cdtable(SSID0, ATS), abort]]],
    ["arm_smmu_v3_write_ste_test_abort_to_cdtable", 2, [[abort, cdtable(SSID0, ATS)]]],
    ["arm_smmu_v3_write_ste_test_cdtable_to_bypass", 3, [[cdtable(SSID0, ATS), bypass]]],
    ["arm_smmu_v3_write_ste_test_bypass_to_cdtable", 3, [[bypass, cdtable(SSID0, ATS)]]],
    ["arm_smmu_v3_write_ste_test_cdtable_s1dss_change", 1, there_and_back(cdtable(SSID0, ATS), cdtable(S1DSS_BYPASS, ATS))],
    ["arm_smmu_v3_write_ste_test_s1dssbypass_to_stebypass", 2, [[cdtable(S1DSS_BYPASS, ATS), bypass]]],
    ["arm_smmu_v3_write_ste_test_stebypass_to_s1dssbypass", 2, [[bypass, cdtable(S1DSS_BYPASS, ATS)]]],
    ["arm_smmu_v3_write_ste_test_s2_to_abort", 2, [[s2(ATS), abort]]],
    ["arm_smmu_v3_write_ste_test_abort_to_s2", 2, [[abort, s2(ATS)]]],
    ["arm_smmu_v3_write_ste_test_s2_to_bypass", 2, [[s2(ATS), bypass]]],
    ["arm_smmu_v3_write_ste_test_bypass_to_s2", 2, [[bypass, s2(ATS)]]],
    ["arm_smmu_v3_write_ste_test_s1_to_s2", 3, [[cdtable(SSID0, ATS), s2(ATS)]]],
    ["arm_smmu_v3_write_ste_test_s2_to_s1", 3, [[s2(ATS), cdtable(SSID0, ATS)]]],
    ["arm_smmu_v3_write_ste_test_s1_to_s2_stall", 3, [[cdtable(SSID0, STALL), s2(STALL)]]],
    ["arm_smmu_v3_write_ste_test_s2_to_s1_stall", 3, [[s2(STALL), cdtable(SSID0, STALL)]]],
    ["arm_smmu_v3_write_ste_test_nested_s1dssbypass_to_s1bypass", 3, [[nested(S1DSS_BYPASS, ATS), s2({})]]],
    ["arm_smmu_v3_write_ste_test_nested_s1bypass_to_s1dssbypass", 2, [[s2({}), nested(S1DSS_BYPASS, ATS)]]],
  ])("%s: hitless, %i syncs", (_name, syncs, transitions) => {
    for (const [from, target] of transitions) expect(transition("ste", from, target)).toEqual({ syncs, invalid: false });
  });

  test("arm_smmu_v3_write_ste_test_non_hitless: S1DSS and the CD table change together, so V is cleared in between", () => {
    expect(transition("ste", cdtable(SSID0, ATS), cdtable(S1DSS_BYPASS, ATS, 0x4b_4b4b_4b4b))).toEqual({ syncs: 3, invalid: true });
  });

  test.each<Case>([
    ["arm_smmu_v3_write_cd_test_s1_clear", 2, there_and_back(new_cd(), s1_cd(1997))],
    ["arm_smmu_v3_write_cd_test_sva_clear", 2, there_and_back(new_cd(), sva_cd())],
  ])("%s: by way of V=0, %i syncs", (_name, syncs, transitions) => {
    for (const [from, target] of transitions) expect(transition("cd", from, target)).toEqual({ syncs, invalid: true });
  });

  test.each<Case>([
    ["arm_smmu_v3_write_cd_test_s1_change_asid", 1, there_and_back(s1_cd(778), s1_cd(1997))],
    ["arm_smmu_v3_write_cd_test_sva_release", 2, there_and_back(sva_cd(), sva_released_cd())],
  ])("%s: hitless, %i syncs", (_name, syncs, transitions) => {
    for (const [from, target] of transitions) expect(transition("cd", from, target)).toEqual({ syncs, invalid: false });
  });
});

test("an entry that already is the target is neither stored nor synced", () => {
  expect(transition("ste", bypass, bypass)).toEqual({ syncs: 0, invalid: false });
});
