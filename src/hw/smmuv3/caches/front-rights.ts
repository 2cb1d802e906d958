// SPDX-License-Identifier: MIT
/** What a line of the front tier says besides the address: to which accesses it answers, and what the STE does to them. */
import { Perm2 } from "../translation/permissions.ts";
import { Via } from "../transaction.ts";
import type { Cd } from "../config/cd.ts";
import type { Ste } from "../config/ste.ts";

/** Bits of Perm1 that concern writes, and accesses by privilege. */
const WRITE_RIGHTS = 0b010_010;
const PRIVILEGED_RIGHTS = 0b111_000;
/** PRIVCFG and INSTCFG in the rights of a line. */
const PRIV_CFG_SHIFT = 8;
const INST_CFG_SHIFT = 10;

/**
 * Rights of a line: which transactions it answers, a bit for each value of their flags, and PRIVCFG and INSTCFG above.
 * @param stage1 Perm1 bits
 * @param stage2 Perm2 bits
 * @param clean Clean bits
 * @param unprivileged E0PD lets unprivileged accesses through
 */
export function rightsOf(ste: Ste, stage1: number, stage2: number, clean: number, via: Via, unprivileged: boolean): number {
  const { privCfg, instCfg } = ste;
  const granted = grantedBy(ste, stage1, stage2, clean, via, unprivileged);
  return byFlags(granted & 7) | (byFlags(granted >> 3) << 4) | (privCfg << PRIV_CFG_SHIFT) | (instCfg << INST_CFG_SHIFT);
}

/** Read, write and execute bits by the WRITE and INSTRUCTION flags: a write is none of an instruction. */
function byFlags(granted: number): number {
  return granted | ((granted & 2) << 2);
}

/** What an entry grants to each kind of access as it comes, in the order of Perm1. */
function grantedBy(ste: Ste, stage1: number, stage2: number, clean: number, via: Via, unprivileged: boolean): number {
  const second = (stage2 & 7) | ((stage2 & 3) << 3) | ((stage2 & Perm2.privExecute) << 2);
  let granted = via === Via.stage2 ? second : via === Via.stage1 ? stage1 : stage1 & second;
  if (clean !== 0) granted &= ~WRITE_RIGHTS;
  if (!unprivileged) granted &= PRIVILEGED_RIGHTS;
  // PRIVCFG and INSTCFG: each kind is judged as what it becomes.
  if (ste.privCfg === 2) granted = (granted & 7) | ((granted & 7) << 3);
  else if (ste.privCfg === 3) granted = (granted & PRIVILEGED_RIGHTS) | (granted >> 3);
  if (ste.instCfg === 2) granted = (granted & ~0b100_100) | ((granted & 0b001_001) << 2);
  else if (ste.instCfg === 3) granted = (granted & ~0b001_001) | ((granted & 0b100_100) >> 2);
  return granted;
}

/** All that an STE and a CD do to accesses besides the translation itself: to those of both halves, which a view has in common. */
export function signatureOf(ste: Ste, cd?: Cd): number {
  const { privCfg, instCfg, incomingType, incomingShareability } = ste;
  const type = incomingType | (incomingShareability << 8);
  const refused = (cd?.ttb0.noUnprivileged === true ? 1 : 0) | (cd?.ttb1.noUnprivileged === true ? 2 : 0);
  return (type << 7) | (refused << 5) | (ste.stage1 ? 16 : 0) | (instCfg << 2) | privCfg;
}
