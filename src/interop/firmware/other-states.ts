// SPDX-License-Identifier: MIT
/** Register pages of other Security states, which the model has not got: what firmware touches there, by name (IHI 0070 §6.2). */

const SECURE: Readonly<Record<number, string>> = {
  0x00: "S_IDR0",
  0x04: "S_IDR1",
  0x08: "S_IDR2",
  0x0c: "S_IDR3",
  0x10: "S_IDR4",
  0x20: "S_CR0",
  0x24: "S_CR0ACK",
  0x28: "S_CR1",
  0x2c: "S_CR2",
  0x3c: "S_INIT",
  0x44: "S_GBPA",
  0x48: "S_AGBPA",
  0x50: "S_IRQ_CTRL",
  0x54: "S_IRQ_CTRLACK",
  0x60: "S_GERROR",
  0x64: "S_GERRORN",
  0x80: "S_STRTAB_BASE",
  0x88: "S_STRTAB_BASE_CFG",
  0x90: "S_CMDQ_BASE",
  0x98: "S_CMDQ_PROD",
  0x9c: "S_CMDQ_CONS",
  0xa0: "S_EVENTQ_BASE",
  0xa8: "S_EVENTQ_PROD",
  0xac: "S_EVENTQ_CONS",
};

const ROOT: Readonly<Record<number, string>> = {
  0x00: "ROOT_IDR0",
  0x08: "ROOT_IIDR",
  0x20: "ROOT_CR0",
  0x24: "ROOT_CR0ACK",
  0x28: "ROOT_GPT_BASE",
  0x30: "ROOT_GPT_BASE_CFG",
  0x38: "ROOT_GPF_FAR",
  0x40: "ROOT_GPT_CFG_FAR",
};

/** Where the Secure registers begin in page 0 and in page 1. */
const SECURE_HALF = 0x8000;
const PAGES = 0x2_0000;
/** The Root control page: its place is IMPLEMENTATION DEFINED, behind the two pages in the recordings. */
const ROOT_END = PAGES + 0x1000;

/** What an access to a page of another state is called in the log; undefined if the offset is Non-secure. */
export function otherState(kind: "read" | "write", offset: number): string | undefined {
  if (offset >= PAGES) {
    const known = offset < ROOT_END ? ROOT[offset - PAGES] : undefined;
    return `Root state: ${kind} of ${known === undefined ? `offset 0x${offset.toString(16)}` : `SMMU_${known}`}`;
  }
  if ((offset & SECURE_HALF) === 0) return undefined;
  const known = SECURE[offset & (SECURE_HALF - 1)];
  return `Secure state: ${kind} of ${known === undefined ? `offset 0x${offset.toString(16)}` : `SMMU_${known}`}`;
}
