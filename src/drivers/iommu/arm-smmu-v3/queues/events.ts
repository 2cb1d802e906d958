// SPDX-License-Identifier: GPL-2.0-only
/**
 * Events (IHI 0070 §7.3): decoding a record, handing it to who can do something about it, printing it.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_decode_event, arm_smmu_handle_event,
 * arm_smmu_dump_event. Left out: streams_mutex.
 */
import { EINVAL, EOPNOTSUPP, dev_err, iommu_report_device_fault } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { FIELD_GET_ULL } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import type { ArmSmmuDevice } from "../device.ts";
import { hex, hex64 } from "../hex.ts";
import { arm_vmaster_report_event } from "../domains/vsmmu.ts";

const EVENT_NAMES: Readonly<Record<number, string>> = {
  [R.EVT_ID_BAD_STREAMID_CONFIG]: "C_BAD_STREAMID",
  [R.EVT_ID_STE_FETCH_FAULT]: "F_STE_FETCH",
  [R.EVT_ID_BAD_STE_CONFIG]: "C_BAD_STE",
  [R.EVT_ID_STREAM_DISABLED_FAULT]: "F_STREAM_DISABLED",
  [R.EVT_ID_BAD_SUBSTREAMID_CONFIG]: "C_BAD_SUBSTREAMID",
  [R.EVT_ID_CD_FETCH_FAULT]: "F_CD_FETCH",
  [R.EVT_ID_BAD_CD_CONFIG]: "C_BAD_CD",
  [R.EVT_ID_TRANSLATION_FAULT]: "F_TRANSLATION",
  [R.EVT_ID_ADDR_SIZE_FAULT]: "F_ADDR_SIZE",
  [R.EVT_ID_ACCESS_FAULT]: "F_ACCESS",
  [R.EVT_ID_PERMISSION_FAULT]: "F_PERMISSION",
  [R.EVT_ID_VMS_FETCH_FAULT]: "F_VMS_FETCH",
};

/** What was being accessed when stage 2 (or stage 1) faulted: the CLASS field. */
const EVENT_CLASSES: readonly string[] = ["CD fetch", "Stage 1 translation table fetch", "Input address caused fault", "Reserved"];

/** `struct arm_smmu_event`. */
export interface ArmSmmuEvent {
  readonly id: number;
  readonly sid: number;
  readonly ssv: boolean;
  /** 0 without a valid SubstreamID. */
  readonly ssid: number;
  readonly stall: boolean;
  readonly stag: number;
  readonly privileged: boolean;
  readonly instruction: boolean;
  readonly read: boolean;
  readonly s2: boolean;
  readonly class: number;
  /** A translation table access for reading. */
  readonly ttrnw: boolean;
  readonly iova: bigint;
  readonly ipa: bigint;
  readonly fetch_addr: bigint;
  /** Name of the device behind the StreamID, if any. */
  readonly client: string;
}

export function arm_smmu_decode_event(smmu: ArmSmmuDevice, raw: readonly bigint[]): ArmSmmuEvent {
  const [dw0 = 0n, dw1 = 0n, dw2 = 0n, dw3 = 0n] = raw;
  const sid = FIELD_GET_ULL(R.EVTQ_0_SID, dw0);
  const ssv = (dw0 & R.EVTQ_0_SSV) !== 0n;
  return {
    id: FIELD_GET_ULL(R.EVTQ_0_ID, dw0),
    sid,
    ssv,
    ssid: ssv ? FIELD_GET_ULL(R.EVTQ_0_SSID, dw0) : 0,
    stall: (dw1 & R.EVTQ_1_STALL) !== 0n,
    stag: FIELD_GET_ULL(R.EVTQ_1_STAG, dw1),
    privileged: (dw1 & R.EVTQ_1_PnU) !== 0n,
    instruction: (dw1 & R.EVTQ_1_InD) !== 0n,
    read: (dw1 & R.EVTQ_1_RnW) !== 0n,
    s2: (dw1 & R.EVTQ_1_S2) !== 0n,
    class: FIELD_GET_ULL(R.EVTQ_1_CLASS, dw1),
    ttrnw: (dw1 & R.EVTQ_1_TT_READ) !== 0n,
    iova: dw2 & R.EVTQ_2_ADDR,
    ipa: dw3 & R.EVTQ_3_IPA,
    fetch_addr: dw3 & R.EVTQ_3_FETCH_ADDR,
    client: smmu.streams.get(sid)?.dev.name ?? "(unassigned sid)",
  };
}

function describe_access(event: ArmSmmuEvent): string {
  const table = event.class === R.EVTQ_1_CLASS_TT ? (event.ttrnw ? " ttd_read" : " ttd_write") : "";
  return (
    `${event.privileged ? "priv" : "unpriv"} ${event.instruction ? "inst" : "data"} ${event.read ? "read" : "write"} ` +
    `${event.s2 ? "s2" : "s1"} "${EVENT_CLASSES[event.class]}"${table}${event.stall ? " stall" : ""} stag: ${hex(event.stag)}`
  );
}

/** Prints the record and what it means. */
export function arm_smmu_dump_event(smmu: ArmSmmuDevice, raw: readonly bigint[], event: ArmSmmuEvent): void {
  dev_err(smmu.dev, `event 0x${event.id.toString(16).padStart(2, "0")} received:`);
  for (const dword of raw) dev_err(smmu.dev, `\t${hex64(dword)}`);

  const who = `event: ${EVENT_NAMES[event.id] ?? "UNKNOWN"} client: ${event.client} sid: ${hex(event.sid)} ssid: ${hex(event.ssid)}`;
  switch (event.id) {
    case R.EVT_ID_TRANSLATION_FAULT:
    case R.EVT_ID_ADDR_SIZE_FAULT:
    case R.EVT_ID_ACCESS_FAULT:
    case R.EVT_ID_PERMISSION_FAULT:
      dev_err(smmu.dev, `${who} iova: ${hex(event.iova)} ipa: ${hex(event.ipa)}`);
      dev_err(smmu.dev, describe_access(event));
      break;
    case R.EVT_ID_STE_FETCH_FAULT:
    case R.EVT_ID_CD_FETCH_FAULT:
    case R.EVT_ID_VMS_FETCH_FAULT:
      dev_err(smmu.dev, `${who} fetch_addr: ${hex(event.fetch_addr)}`);
      break;
    default:
      dev_err(smmu.dev, who);
  }
}

/** Events that somebody may handle. */
const HANDLED: ReadonlySet<number> = new Set([
  R.EVT_ID_BAD_STE_CONFIG,
  R.EVT_ID_STREAM_DISABLED_FAULT,
  R.EVT_ID_BAD_SUBSTREAMID_CONFIG,
  R.EVT_ID_BAD_CD_CONFIG,
  R.EVT_ID_TRANSLATION_FAULT,
  R.EVT_ID_ADDR_SIZE_FAULT,
  R.EVT_ID_ACCESS_FAULT,
  R.EVT_ID_PERMISSION_FAULT,
]);

/**
 * A stalled access is a page fault of its master, answered later, or refused at once if nobody handles it. Other events of
 * stage 1 go to the guest that has the master.
 * @returns 0; -EOPNOTSUPP, -EINVAL: to be printed
 */
export function* arm_smmu_handle_event(smmu: ArmSmmuDevice, raw: readonly bigint[], event: ArmSmmuEvent): Coroutine<number> {
  if (!HANDLED.has(event.id)) return -EOPNOTSUPP;
  const master = smmu.streams.get(event.sid);
  if (master === undefined) return -EINVAL;
  if (!event.stall) return master.vmaster !== null && !event.s2 ? arm_vmaster_report_event(master.vmaster, raw) : -EOPNOTSUPP;
  return yield* iommu_report_device_fault(master.dev, {
    addr: Number(event.iova),
    grpid: event.stag,
    last: true,
    ...(event.ssv ? { pasid: event.ssid } : {}),
    read: event.read,
    write: !event.read,
    exec: event.instruction,
    priv: event.privileged,
  });
}
