// SPDX-License-Identifier: MIT
/**
 * The commands of IHI 0070 chapter 4 as a test needs them: where each operand stands, what makes the command legal on the
 * Non-secure queue. Written from the specification (§4.1 … §4.7, Linux's CMDQ_* masks for the drawings), not from the table
 * under test.
 */
import type { SmmuConfig } from "../../../../src/hw/index.ts";

/** Operands as [highest bit, lowest bit] of the 128. */
type Fields = Readonly<Record<string, readonly [hi: number, lo: number]>>;

export interface CommandRow {
  readonly opcode: number;
  readonly name: string;
  /** True if the implementation has what the command needs. */
  readonly present: (config: SmmuConfig) => boolean;
  readonly fields: Fields;
}

const always = (): boolean => true;
const never = (): boolean => false;
const stage1 = (c: SmmuConfig): boolean => c.stage1;
const stage2 = (c: SmmuConfig): boolean => c.stage2;
const ats = (c: SmmuConfig): boolean => c.ats;
const pri = (c: SmmuConfig): boolean => c.pri;
const el2 = (c: SmmuConfig): boolean => c.stage1 && c.hyp;

const stream = { SSec: [10, 10], StreamID: [63, 32] } as const;
const substream = { SSV: [11, 11], SubstreamID: [31, 12] } as const;
const leaf = { Leaf: [64, 64] } as const;
const range = { NUM: [16, 12], SCALE: [25, 20], TTL128: [71, 71], TTL: [73, 72], TG: [75, 74] } as const;
const vmid = { VMID: [47, 32] } as const;
const asid = { ASID: [63, 48] } as const;
const va = { Address: [127, 76] } as const;
const ipa = { Address: [119, 76] } as const;
const none = {};

function row(opcode: number, name: string, present: CommandRow["present"], fields: Fields): CommandRow {
  return { opcode, name, present, fields };
}

/** Every opcode that the architecture gives a meaning; all others are Reserved or IMPLEMENTATION DEFINED (§4.1.1). */
export const COMMANDS: readonly CommandRow[] = [
  row(0x01, "PREFETCH_CONFIG", always, { ...stream, ...substream }),
  row(0x02, "PREFETCH_ADDR", always, { ...stream, ...substream, Size: [68, 64], Stride: [73, 69], ...va }),
  row(0x03, "CFGI_STE", always, { ...stream, ...leaf }),
  row(0x04, "CFGI_STE_RANGE", always, { ...stream, Range: [68, 64] }),
  row(0x05, "CFGI_CD", stage1, { ...stream, SubstreamID: [31, 12], ...leaf }),
  row(0x06, "CFGI_CD_ALL", stage1, stream),
  row(0x07, "CFGI_VMS_PIDM", never, none),
  row(0x10, "TLBI_NH_ALL", stage1, vmid),
  row(0x11, "TLBI_NH_ASID", stage1, { ...vmid, ...asid }),
  row(0x12, "TLBI_NH_VA", stage1, { ...vmid, ...asid, ...leaf, ...range, ...va }),
  row(0x13, "TLBI_NH_VAA", stage1, { ...vmid, ...leaf, ...range, ...va }),
  row(0x18, "TLBI_EL3_ALL", never, none),
  row(0x1a, "TLBI_EL3_VA", never, none),
  row(0x20, "TLBI_EL2_ALL", el2, none),
  row(0x21, "TLBI_EL2_ASID", el2, asid),
  row(0x22, "TLBI_EL2_VA", el2, { ...asid, ...leaf, ...range, ...va }),
  row(0x23, "TLBI_EL2_VAA", el2, { ...leaf, ...range, ...va }),
  row(0x28, "TLBI_S12_VMALL", stage2, vmid),
  row(0x2a, "TLBI_S2_IPA", stage2, { ...vmid, ...leaf, ...range, ...ipa }),
  row(0x30, "TLBI_NSNH_ALL", always, none),
  row(0x40, "ATC_INV", ats, { Global: [9, 9], ...substream, StreamID: [63, 32], Size: [69, 64], ...va }),
  row(0x41, "PRI_RESP", pri, { ...substream, StreamID: [63, 32], PRGIndex: [72, 64], Resp: [77, 76] }),
  row(0x46, "SYNC", always, { CS: [13, 12], MSH: [23, 22], MSIAttr: [27, 24], MSIData: [63, 32], MSIAddress: [119, 66] }),
  row(0x50, "TLBI_S_EL2_ALL", never, none),
  row(0x51, "TLBI_S_EL2_ASID", never, none),
  row(0x52, "TLBI_S_EL2_VA", never, none),
  row(0x53, "TLBI_S_EL2_VAA", never, none),
  row(0x58, "TLBI_S_S12_VMALL", never, none),
  row(0x5a, "TLBI_S_S2_IPA", never, none),
  row(0x60, "TLBI_SNH_ALL", never, none),
  row(0x70, "DPTI_ALL", never, none),
  row(0x73, "DPTI_PA", never, none),
];

/** Commands whose presence another test decides: they need the stall model. */
export const STALL_COMMANDS: readonly number[] = [0x44, 0x45];

/** Puts a value into bits [hi:lo] of a command. */
export function put(words: number[], [hi, lo]: readonly [number, number], value: bigint): number[] {
  const whole = words.reduceRight((high, word) => (high << 32n) | BigInt(word), 0n);
  const mask = ((1n << BigInt(hi - lo + 1)) - 1n) << BigInt(lo);
  const result = (whole & ~mask) | ((value << BigInt(lo)) & mask);
  return [0n, 32n, 64n, 96n].map((shift) => Number((result >> shift) & 0xffff_ffffn));
}

/** The four words of a command with the operands given by name; an address is given as the field's own bits. */
export function encode(command: CommandRow, operands: Readonly<Record<string, number | bigint>> = {}): number[] {
  return Object.entries(operands).reduce(
    (words, [name, value]) => put(words, command.fields[name]!, BigInt(value)),
    [command.opcode, 0, 0, 0],
  );
}

export function commandNamed(name: string): CommandRow {
  return COMMANDS.find((command) => command.name === name)!;
}
