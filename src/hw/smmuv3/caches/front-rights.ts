// SPDX-License-Identifier: MIT
/** What a line of the front tier says besides the address: to which accesses it answers, and what the STE does to them. */
import { Perm2 } from "../translation/permissions.ts";
import { Via } from "../ports.ts";
import type { Ste } from "../config/ste.ts";

/** How a line of the front tier names the way. */
export const VIA_OF_LINE: readonly Via[] = [Via.none, Via.stage1, Via.stage2, Via.nested];
export const LINE_OF_VIA: Uint8Array = Uint8Array.from({ length: 6 }, (_, via) => Math.max(0, VIA_OF_LINE.indexOf(via as Via)));
/** Rights of {@link rightOf} that concern writes, unprivileged accesses, and accesses as data, instructions and writes by privilege. */
const WRITE_RIGHTS = 0b010_010;
const PRIVILEGED_RIGHTS = 0b111_000;

/**
 * What an entry grants to each kind of access as it comes, as {@link rightOf} has it. Perm1 has the same order.
 * @param stage1 Perm1 bits
 * @param stage2 Perm2 bits
 * @param clean Clean bits
 * @param unprivileged E0PD lets unprivileged accesses through
 */
export function rightsOf(ste: Ste, stage1: number, stage2: number, clean: number, via: Via, unprivileged: boolean): number {
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

/** All that an STE and a CD do to an access besides the translation itself. */
export function signatureOf(ste: Ste, unprivileged: boolean): number {
  const { privCfg, instCfg, incomingType, incomingShareability } = ste;
  const type = incomingType | (incomingShareability << 8);
  return (type << 6) | (unprivileged ? 32 : 0) | (ste.stage1 ? 16 : 0) | (instCfg << 2) | privCfg;
}

/** PRIVCFG or INSTCFG: 2 and 3 say what a transaction is, the others leave it as it comes. */
export function overridden(code: number, incoming: boolean): boolean {
  return code < 2 ? incoming : code === 3;
}
