// SPDX-License-Identifier: MIT
/**
 * What the seed picks of a run, beside the stimulus of its devices: when in the clients' work the way down begins, and what
 * else the first kernel holds. Another seed is another sample of the same machine.
 */
import { Prng } from "../../sim/index.ts";
import type { Scenario } from "../scenario/types.ts";

/** One frame at 60 Hz: the longest period of any client's activity; bursts and packets come many times in it. */
const PERIOD_US = 16_667;
/** 4 MiB: buffers of clients come to lie under, across and beside where the next image is put. */
const PAGES = 1024;

export interface Chance {
  /** Virtual microseconds before the way down. */
  readonly phaseUs: number;
  /** Pages that other code of the first kernel holds. */
  readonly pagesBefore: number;
}

/** @param seed any integer of magnitude below 2^53; the scenario's own values win over the seed's */
export function chanceOf(seed: number, { workload, boot }: Pick<Scenario, "workload" | "boot">): Chance {
  const prng = new Prng(seed).fork("chance");
  const phaseUs = prng.below(PERIOD_US);
  const pagesBefore = prng.below(PAGES);
  return { phaseUs: workload.phaseUs ?? phaseUs, pagesBefore: boot.pagesBefore ?? pagesBefore };
}
