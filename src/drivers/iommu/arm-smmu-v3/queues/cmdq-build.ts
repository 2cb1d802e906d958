// SPDX-License-Identifier: GPL-2.0-only
/**
 * The commands this driver uses and their 16-byte form (IHI 0070 chapter 4).
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_cmdq_build_cmd. Left out: Global of CMD_ATC_INV,
 * which no caller sets, and responses to PRI requests other than the denial.
 */
import { FIELD_PREP_ULL } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";

/** What the TLBI commands by address have in common; num, scale, ttl and tg are the hints of IDR3.RIL. */
interface TlbiRange {
  readonly addr: number;
  readonly leaf: boolean;
  readonly num?: number;
  readonly scale?: number;
  readonly ttl?: number;
  readonly tg?: number;
}

/** `ssid` counts only with `substream_valid`. */
interface Substream {
  readonly substream_valid: boolean;
  readonly ssid: number;
}

/** What an ATC invalidation covers: 2^size pages of 4 KiB from `addr` on. */
export interface AtcSpan extends Substream {
  readonly addr: number;
  readonly size: number;
}

function build_substream({ substream_valid, ssid }: Substream): bigint {
  return (substream_valid ? R.CMDQ_0_SSV : 0n) | FIELD_PREP_ULL(R.CMDQ_ATC_0_SSID, ssid);
}

/** `struct arm_smmu_cmdq_ent`. */
export type ArmSmmuCmdqEnt =
  | { readonly opcode: typeof R.CMDQ_OP_PREFETCH_CFG | typeof R.CMDQ_OP_CFGI_CD_ALL; readonly sid: number }
  | { readonly opcode: typeof R.CMDQ_OP_CFGI_STE; readonly sid: number; readonly leaf: boolean }
  | { readonly opcode: typeof R.CMDQ_OP_CFGI_CD; readonly sid: number; readonly ssid: number; readonly leaf: boolean }
  | { readonly opcode: typeof R.CMDQ_OP_CFGI_ALL | typeof R.CMDQ_OP_TLBI_EL2_ALL | typeof R.CMDQ_OP_TLBI_NSNH_ALL }
  | ({ readonly opcode: typeof R.CMDQ_OP_TLBI_NH_VA; readonly vmid: number; readonly asid: number } & TlbiRange)
  | ({ readonly opcode: typeof R.CMDQ_OP_TLBI_EL2_VA; readonly asid: number } & TlbiRange)
  | ({ readonly opcode: typeof R.CMDQ_OP_TLBI_S2_IPA; readonly vmid: number } & TlbiRange)
  | { readonly opcode: typeof R.CMDQ_OP_TLBI_NH_ASID; readonly vmid: number; readonly asid: number }
  | { readonly opcode: typeof R.CMDQ_OP_TLBI_EL2_ASID; readonly asid: number }
  | { readonly opcode: typeof R.CMDQ_OP_TLBI_S12_VMALL | typeof R.CMDQ_OP_TLBI_NH_ALL; readonly vmid: number }
  | ({ readonly opcode: typeof R.CMDQ_OP_ATC_INV; readonly sid: number } & AtcSpan)
  | ({ readonly opcode: typeof R.CMDQ_OP_PRI_RESP; readonly sid: number; readonly grpid: number; readonly resp: number } & Substream)
  | { readonly opcode: typeof R.CMDQ_OP_RESUME; readonly sid: number; readonly stag: number; readonly resp: number }
  | { readonly opcode: typeof R.CMDQ_OP_CMD_SYNC; readonly msiaddr?: number };

/** A command as the SMMU reads it. */
export type ArmSmmuCmd = readonly [bigint, bigint];

function build_range(range: TlbiRange, va_mask: bigint): ArmSmmuCmd {
  return [
    FIELD_PREP_ULL(R.CMDQ_TLBI_0_NUM, range.num ?? 0) | FIELD_PREP_ULL(R.CMDQ_TLBI_0_SCALE, range.scale ?? 0),
    (range.leaf ? R.CMDQ_TLBI_1_LEAF : 0n) |
      FIELD_PREP_ULL(R.CMDQ_TLBI_1_TTL, range.ttl ?? 0) |
      FIELD_PREP_ULL(R.CMDQ_TLBI_1_TG, range.tg ?? 0) |
      (BigInt(range.addr) & va_mask),
  ];
}

/** Both words without the opcode. */
function build_operands(ent: ArmSmmuCmdqEnt): ArmSmmuCmd {
  switch (ent.opcode) {
    case R.CMDQ_OP_TLBI_EL2_ALL:
    case R.CMDQ_OP_TLBI_NSNH_ALL:
      return [0n, 0n];
    case R.CMDQ_OP_PREFETCH_CFG:
    case R.CMDQ_OP_CFGI_CD_ALL:
      return [FIELD_PREP_ULL(R.CMDQ_CFGI_0_SID, ent.sid), 0n];
    case R.CMDQ_OP_CFGI_STE:
      return [FIELD_PREP_ULL(R.CMDQ_CFGI_0_SID, ent.sid), ent.leaf ? R.CMDQ_CFGI_1_LEAF : 0n];
    case R.CMDQ_OP_CFGI_CD:
      return [
        FIELD_PREP_ULL(R.CMDQ_CFGI_0_SSID, ent.ssid) | FIELD_PREP_ULL(R.CMDQ_CFGI_0_SID, ent.sid),
        ent.leaf ? R.CMDQ_CFGI_1_LEAF : 0n,
      ];
    case R.CMDQ_OP_CFGI_ALL:
      // CFGI_ALL is CFGI_STE_RANGE over every StreamID.
      return [0n, FIELD_PREP_ULL(R.CMDQ_CFGI_1_RANGE, 31)];
    case R.CMDQ_OP_TLBI_NH_VA: {
      const [low, high] = build_range(ent, R.CMDQ_TLBI_1_VA_MASK);
      return [low | FIELD_PREP_ULL(R.CMDQ_TLBI_0_VMID, ent.vmid) | FIELD_PREP_ULL(R.CMDQ_TLBI_0_ASID, ent.asid), high];
    }
    case R.CMDQ_OP_TLBI_EL2_VA: {
      const [low, high] = build_range(ent, R.CMDQ_TLBI_1_VA_MASK);
      return [low | FIELD_PREP_ULL(R.CMDQ_TLBI_0_ASID, ent.asid), high];
    }
    case R.CMDQ_OP_TLBI_S2_IPA: {
      const [low, high] = build_range(ent, R.CMDQ_TLBI_1_IPA_MASK);
      return [low | FIELD_PREP_ULL(R.CMDQ_TLBI_0_VMID, ent.vmid), high];
    }
    case R.CMDQ_OP_TLBI_NH_ASID:
      return [FIELD_PREP_ULL(R.CMDQ_TLBI_0_VMID, ent.vmid) | FIELD_PREP_ULL(R.CMDQ_TLBI_0_ASID, ent.asid), 0n];
    case R.CMDQ_OP_TLBI_EL2_ASID:
      return [FIELD_PREP_ULL(R.CMDQ_TLBI_0_ASID, ent.asid), 0n];
    case R.CMDQ_OP_TLBI_NH_ALL:
    case R.CMDQ_OP_TLBI_S12_VMALL:
      return [FIELD_PREP_ULL(R.CMDQ_TLBI_0_VMID, ent.vmid), 0n];
    case R.CMDQ_OP_ATC_INV:
      return [
        build_substream(ent) | FIELD_PREP_ULL(R.CMDQ_ATC_0_SID, ent.sid),
        FIELD_PREP_ULL(R.CMDQ_ATC_1_SIZE, ent.size) | (BigInt(ent.addr) & R.CMDQ_ATC_1_ADDR_MASK),
      ];
    case R.CMDQ_OP_PRI_RESP:
      return [
        build_substream(ent) | FIELD_PREP_ULL(R.CMDQ_PRI_0_SID, ent.sid),
        FIELD_PREP_ULL(R.CMDQ_PRI_1_GRPID, ent.grpid) | FIELD_PREP_ULL(R.CMDQ_PRI_1_RESP, ent.resp),
      ];
    case R.CMDQ_OP_RESUME:
      return [
        FIELD_PREP_ULL(R.CMDQ_RESUME_0_SID, ent.sid) | FIELD_PREP_ULL(R.CMDQ_RESUME_0_RESP, ent.resp),
        FIELD_PREP_ULL(R.CMDQ_RESUME_1_STAG, ent.stag),
      ];
    case R.CMDQ_OP_CMD_SYNC:
      return build_sync(ent.msiaddr ?? 0);
  }
}

/** With an address: completion is a write of zero to it; without: an event to waiting CPUs, if the SMMU can send one. */
function build_sync(msiaddr: number): ArmSmmuCmd {
  return [
    FIELD_PREP_ULL(R.CMDQ_SYNC_0_CS, msiaddr !== 0 ? R.CMDQ_SYNC_0_CS_IRQ : R.CMDQ_SYNC_0_CS_SEV) |
      FIELD_PREP_ULL(R.CMDQ_SYNC_0_MSH, R.ARM_SMMU_SH_ISH) |
      FIELD_PREP_ULL(R.CMDQ_SYNC_0_MSIATTR, R.ARM_SMMU_MEMATTR_OIWB),
    BigInt(msiaddr) & R.CMDQ_SYNC_1_MSIADDR_MASK,
  ];
}

export function arm_smmu_cmdq_build_cmd(ent: ArmSmmuCmdqEnt): ArmSmmuCmd {
  const [low, high] = build_operands(ent);
  return [FIELD_PREP_ULL(R.CMDQ_0_OP, ent.opcode) | low, high];
}
