// SPDX-License-Identifier: MIT
/** Every command of a Command queue: opcode, fields, and when it is legal on the Non-secure queue (IHI 0070 §4). */
import type { Field } from "../../bits/fields.ts";
import type { SmmuFeature } from "./register-types.ts";

export interface CommandField extends Field {
  /** Bits of an address in their natural place in the second doubleword; the bits below are zero. */
  readonly address?: boolean;
  readonly what?: string;
}

/** Operand checks beyond the features: each makes the command illegal when it fails. */
export type OperandCheck =
  /** SSec must be 0 on the Non-secure queue. */
  | "SSec"
  /** TG != 0 with NUM, SCALE and the effective TTL all 0 is reserved. */
  | "range"
  /** CS == 3 is reserved. */
  | "CS"
  /** A Size beyond 52 spans more than there is. */
  | "Size"
  /** Resp == 3 is reserved. */
  | "Resp";

export interface SmmuCommand {
  readonly name: string;
  readonly opcode: number;
  readonly fields: readonly CommandField[];
  /** All must be implemented, else CERROR_ILL. "secure-queue" is never true on the Non-secure queue. */
  readonly needs: readonly SmmuFeature[];
  readonly checks: readonly OperandCheck[];
  /** Section of IHI 0070. */
  readonly section: string;
}

const SSec: CommandField = { name: "SSec", hi: 10, lo: 10, what: "1: the StreamID is Secure" };
const SSV: CommandField = { name: "SSV", hi: 11, lo: 11, what: "SubstreamID valid" };
const SubstreamID: CommandField = { name: "SubstreamID", hi: 31, lo: 12 };
const StreamID: CommandField = { name: "StreamID", hi: 63, lo: 32 };
const VMID: CommandField = { name: "VMID", hi: 47, lo: 32 };
const ASID: CommandField = { name: "ASID", hi: 63, lo: 48 };
const Leaf: CommandField = { name: "Leaf", hi: 64, lo: 64, what: "1: last-level entries only" };
const VA: CommandField = { name: "Address", hi: 127, lo: 76, address: true };
const IPA: CommandField = { name: "Address", hi: 119, lo: 76, address: true };
const NUM: CommandField = { name: "NUM", hi: 16, lo: 12, what: "range multiplier minus one" };
const SCALE: CommandField = { name: "SCALE", hi: 25, lo: 20, what: "range is 2^SCALE units; bit 25 only with IDR5.DS" };
const TTL128: CommandField = { name: "TTL128", hi: 71, lo: 71, what: "TTL is a level of 128-bit descriptors" };
const TTL: CommandField = { name: "TTL", hi: 73, lo: 72, what: "level of the leaf, 0: unknown" };
const TG: CommandField = { name: "TG", hi: 75, lo: 74, what: "0 no range, 1 4KB, 2 16KB, 3 64KB" };
const range: readonly CommandField[] = [NUM, SCALE];
const hints: readonly CommandField[] = [Leaf, TTL128, TTL, TG];

export const smmuCommands: readonly SmmuCommand[] = [
  {
    name: "CMD_PREFETCH_CONFIG",
    opcode: 0x01,
    section: "§4.2.1",
    needs: [],
    checks: ["SSec"],
    fields: [SSec, SSV, SubstreamID, StreamID],
  },
  {
    name: "CMD_PREFETCH_ADDR",
    opcode: 0x02,
    section: "§4.2.2",
    needs: [],
    checks: ["SSec"],
    fields: [
      SSec,
      SSV,
      SubstreamID,
      StreamID,
      { name: "Size", hi: 68, lo: 64, what: "2^Size addresses" },
      { name: "Stride", hi: 73, lo: 69, what: "2^(12+Stride) bytes apart" },
      { name: "NS", hi: 75, lo: 75 },
      VA,
    ],
  },
  { name: "CMD_CFGI_STE", opcode: 0x03, section: "§4.3.1", needs: [], checks: ["SSec"], fields: [SSec, StreamID, Leaf] },
  {
    name: "CMD_CFGI_STE_RANGE",
    opcode: 0x04,
    section: "§4.3.2",
    needs: [],
    checks: ["SSec"],
    fields: [SSec, StreamID, { name: "Range", hi: 68, lo: 64, what: "2^(Range+1) StreamIDs; 31: CMD_CFGI_ALL (§4.3.6)" }],
  },
  {
    name: "CMD_CFGI_CD",
    opcode: 0x05,
    section: "§4.3.3",
    needs: ["stage1"],
    checks: ["SSec"],
    fields: [SSec, SubstreamID, StreamID, Leaf],
  },
  { name: "CMD_CFGI_CD_ALL", opcode: 0x06, section: "§4.3.4", needs: ["stage1"], checks: ["SSec"], fields: [SSec, StreamID] },
  { name: "CMD_CFGI_VMS_PIDM", opcode: 0x07, section: "§4.3.5", needs: ["mpam"], checks: ["SSec"], fields: [SSec, VMID] },
  { name: "CMD_TLBI_NH_ALL", opcode: 0x10, section: "§4.4.2.1", needs: ["stage1"], checks: [], fields: [VMID] },
  { name: "CMD_TLBI_NH_ASID", opcode: 0x11, section: "§4.4.2.2", needs: ["stage1"], checks: [], fields: [VMID, ASID] },
  {
    name: "CMD_TLBI_NH_VA",
    opcode: 0x12,
    section: "§4.4.2.4",
    needs: ["stage1"],
    checks: ["range"],
    fields: [...range, VMID, ASID, ...hints, VA],
  },
  {
    name: "CMD_TLBI_NH_VAA",
    opcode: 0x13,
    section: "§4.4.2.3",
    needs: ["stage1"],
    checks: ["range"],
    fields: [...range, VMID, ...hints, VA],
  },
  { name: "CMD_TLBI_EL3_ALL", opcode: 0x18, section: "§4.4.2.5", needs: ["stage1", "secure-queue"], checks: [], fields: [] },
  {
    name: "CMD_TLBI_EL3_VA",
    opcode: 0x1a,
    section: "§4.4.2.6",
    needs: ["stage1", "secure-queue"],
    checks: ["range"],
    fields: [...range, ...hints, VA],
  },
  { name: "CMD_TLBI_EL2_ALL", opcode: 0x20, section: "§4.4.2.7", needs: ["stage1", "hyp"], checks: [], fields: [] },
  { name: "CMD_TLBI_EL2_ASID", opcode: 0x21, section: "§4.4.2.10", needs: ["stage1", "hyp"], checks: [], fields: [ASID] },
  {
    name: "CMD_TLBI_EL2_VA",
    opcode: 0x22,
    section: "§4.4.2.8",
    needs: ["stage1", "hyp"],
    checks: ["range"],
    fields: [...range, ASID, ...hints, VA],
  },
  {
    name: "CMD_TLBI_EL2_VAA",
    opcode: 0x23,
    section: "§4.4.2.9",
    needs: ["stage1", "hyp"],
    checks: ["range"],
    fields: [...range, ...hints, VA],
  },
  { name: "CMD_TLBI_S12_VMALL", opcode: 0x28, section: "§4.4.3.2", needs: ["stage2"], checks: [], fields: [VMID] },
  {
    name: "CMD_TLBI_S2_IPA",
    opcode: 0x2a,
    section: "§4.4.3.1",
    needs: ["stage2"],
    checks: ["range"],
    fields: [...range, VMID, ...hints, IPA],
  },
  { name: "CMD_TLBI_NSNH_ALL", opcode: 0x30, section: "§4.4.4.1", needs: [], checks: [], fields: [] },
  {
    name: "CMD_ATC_INV",
    opcode: 0x40,
    section: "§4.5.1",
    needs: ["ats"],
    checks: ["Size"],
    fields: [
      { name: "Global", hi: 9, lo: 9, what: "Global Invalidate; ignored when SSV is 0" },
      SSV,
      SubstreamID,
      StreamID,
      { name: "Size", hi: 69, lo: 64, what: "4096 * 2^Size bytes" },
      VA,
    ],
  },
  {
    name: "CMD_PRI_RESP",
    opcode: 0x41,
    section: "§4.5.2",
    needs: ["pri"],
    checks: ["Resp"],
    fields: [
      SSV,
      SubstreamID,
      StreamID,
      { name: "PRGIndex", hi: 72, lo: 64 },
      { name: "Resp", hi: 77, lo: 76, what: "0 Response Failure, 1 Invalid Request, 2 Success, 3 reserved" },
    ],
  },
  {
    name: "CMD_RESUME",
    opcode: 0x44,
    section: "§4.7.1",
    needs: ["stall"],
    checks: ["SSec"],
    fields: [
      SSec,
      { name: "Ac", hi: 12, lo: 12, what: "1 retry, 0 terminate" },
      { name: "Ab", hi: 13, lo: 13, what: "terminate: 1 abort, 0 RAZ/WI" },
      StreamID,
      { name: "STAG", hi: 79, lo: 64 },
    ],
  },
  { name: "CMD_STALL_TERM", opcode: 0x45, section: "§4.7.2", needs: ["stall"], checks: ["SSec"], fields: [SSec, StreamID] },
  {
    name: "CMD_SYNC",
    opcode: 0x46,
    section: "§4.7.3",
    needs: [],
    checks: ["CS"],
    fields: [
      { name: "CS", hi: 13, lo: 12, what: "0 none, 1 interrupt, 2 event (SEV), 3 reserved" },
      { name: "MSH", hi: 23, lo: 22, what: "shareability: 0 NSH, 2 OSH, 3 ISH" },
      { name: "MSIAttr", hi: 27, lo: 24, what: "as STE.MemAttr" },
      { name: "MSIData", hi: 63, lo: 32 },
      { name: "MSIAddress", hi: 119, lo: 66, address: true, what: "0: no MSI" },
    ],
  },
  { name: "CMD_TLBI_S_EL2_ALL", opcode: 0x50, section: "§4.4.2.11", needs: ["secure-queue"], checks: [], fields: [] },
  { name: "CMD_TLBI_S_EL2_ASID", opcode: 0x51, section: "§4.4.2.14", needs: ["secure-queue"], checks: [], fields: [ASID] },
  {
    name: "CMD_TLBI_S_EL2_VA",
    opcode: 0x52,
    section: "§4.4.2.12",
    needs: ["secure-queue"],
    checks: ["range"],
    fields: [...range, ASID, ...hints, VA],
  },
  {
    name: "CMD_TLBI_S_EL2_VAA",
    opcode: 0x53,
    section: "§4.4.2.13",
    needs: ["secure-queue"],
    checks: ["range"],
    fields: [...range, ...hints, VA],
  },
  { name: "CMD_TLBI_S_S12_VMALL", opcode: 0x58, section: "§4.4.3.4", needs: ["secure-queue"], checks: [], fields: [VMID] },
  {
    name: "CMD_TLBI_S_S2_IPA",
    opcode: 0x5a,
    section: "§4.4.3.3",
    needs: ["secure-queue"],
    checks: ["range"],
    fields: [...range, VMID, Leaf, { name: "NS", hi: 65, lo: 65, what: "1: the Non-secure IPA space" }, TTL128, TTL, TG, IPA],
  },
  { name: "CMD_TLBI_SNH_ALL", opcode: 0x60, section: "§4.4.4.2", needs: ["secure-queue"], checks: [], fields: [] },
  { name: "CMD_DPTI_ALL", opcode: 0x70, section: "§4.6.1", needs: ["dpt"], checks: [], fields: [] },
  {
    name: "CMD_DPTI_PA",
    opcode: 0x73,
    section: "§4.6.2",
    needs: ["dpt"],
    checks: [],
    fields: [
      Leaf,
      { name: "SIZE", hi: 75, lo: 72, what: "0 4KB, 1 16KB, 2 64KB, 3 2MB, 4 32MB, 5 512MB, 6 1GB, 7 16GB, 8 64GB, 9 512GB" },
      IPA,
    ],
  },
];

/** Codes of CMDQ_CONS.ERR (IHI 0070 §7.1). */
export const CommandError = { none: 0, illegal: 1, abort: 2, atcInvSync: 3 } as const;
export type CommandError = (typeof CommandError)[keyof typeof CommandError];
