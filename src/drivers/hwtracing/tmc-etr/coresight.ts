// SPDX-License-Identifier: GPL-2.0-only
/**
 * What all CoreSight components have: the lock register, claim tags, bits to wait for. After Linux 7.1
 * `drivers/hwtracing/coresight/coresight-{priv.h,core.c}`. Left out: paths, sources and links, the claim protocol's tag of a debugger.
 */
import { dev_err, type Device, EBUSY, type IoMem, readl, writel } from "../../../kernel/index.ts";
import { type Coroutine, pollUntil } from "../../../sim/index.ts";
import * as reg from "./tmc-regs.ts";

/** `TIMEOUT_US`: tries of one microsecond. */
const TIMEOUT_NS = 100_000;

/** Opens the registers for writing. */
export function CS_UNLOCK(base: IoMem): void {
  writel(base, reg.CORESIGHT_LAR, reg.CORESIGHT_UNLOCK);
}

/** Closes the registers for writing. */
export function CS_LOCK(base: IoMem): void {
  writel(base, reg.CORESIGHT_LAR, 0);
}

/** Waits for bits of a register to be all set or all clear, 100 µs at most. @returns whether they came */
export function* coresight_timeout(base: IoMem, offset: number, bits: number, set: boolean): Coroutine<boolean> {
  const held = (): boolean => (readl(base, offset) & bits) === (set ? bits : 0);
  return yield* pollUntil(held, 1000, TIMEOUT_NS, `CoreSight register 0x${offset.toString(16)}`);
}

function claimTags(base: IoMem): number {
  return readl(base, reg.CORESIGHT_CLAIMCLR) & reg.CORESIGHT_CLAIM_MASK;
}

/** Takes off a tag that this kernel, or one before it, left. */
export function coresight_clear_self_claim_tag(base: IoMem): void {
  CS_UNLOCK(base);
  writel(base, reg.CORESIGHT_CLAIMCLR, reg.CORESIGHT_CLAIM_SELF_HOSTED);
  CS_LOCK(base);
}

/** Claims the component for the kernel. @returns 0, or -EBUSY if a debugger has it or a tag is left over */
export function coresight_claim_device(dev: Device, base: IoMem): number {
  CS_UNLOCK(base);
  const tag = claimTags(base);
  if (tag === reg.CORESIGHT_CLAIM_FREE) writel(base, reg.CORESIGHT_CLAIMSET, reg.CORESIGHT_CLAIM_SELF_HOSTED);
  else if (tag !== reg.CORESIGHT_CLAIM_EXTERNAL) dev_err(dev, `Invalid claim tag state: ${tag.toString(16)}`);
  const claimed = tag === reg.CORESIGHT_CLAIM_FREE && claimTags(base) === reg.CORESIGHT_CLAIM_SELF_HOSTED;
  CS_LOCK(base);
  return claimed ? 0 : -EBUSY;
}

/** Gives the component up. */
export function coresight_disclaim_device(base: IoMem): void {
  coresight_clear_self_claim_tag(base);
}
