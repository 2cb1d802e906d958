// SPDX-License-Identifier: MIT
/**
 * Memory attributes said a second time, from the text of IHI 0070 §5.2 (MemAttr, ALLOCCFG, SHCFG), §13.1 and §13.4, and the
 * encoding of MAIR (DDI 0487). Nothing here comes from the model.
 */

/** One level of cache: cached types have hints. */
export interface Level {
  readonly type: "NC" | "WT" | "WB";
  readonly ra: boolean;
  readonly wa: boolean;
  readonly tr: boolean;
}

/** Device types from the strongest to the weakest. */
const DEVICES = ["nGnRnE", "nGnRE", "nGRE", "GRE"] as const;
type Device = (typeof DEVICES)[number];

export type Memory = Device | { readonly outer: Level; readonly inner: Level };

const NC: Level = { type: "NC", ra: false, wa: false, tr: false };
/** §13.1.3: what comes without attributes. */
export const INCOMING: Memory = {
  outer: { type: "WB", ra: true, wa: true, tr: false },
  inner: { type: "WB", ra: true, wa: true, tr: false },
};

function bothLevels(memory: Memory, change: (level: Level) => Level): Memory {
  return typeof memory === "string" ? memory : { outer: change(memory.outer), inner: change(memory.inner) };
}

/** §5.2 MemAttr: the encoding of stage 2 without FWB; 0b0100, 0b1000 and 0b1100 are Device-nGnRnE. */
export function memAttr(code: number): Memory {
  const level = (bits: number): Level =>
    [NC, NC, { ...NC, type: "WT", ra: true, wa: true }, { ...NC, type: "WB", ra: true, wa: true }][bits] as Level;
  if (code < 4) return DEVICES[code]!;
  if (code % 4 === 0) return "nGnRnE";
  return { outer: level(code >> 2), inner: level(code % 4) };
}

/** §5.2 MTCFG and ALLOCCFG, §13.1.4; choice alloccfg-without-mtcfg: effective in any case. */
export function overridden(mtCfg: number, code: number, allocCfg: number): Memory {
  const memory = mtCfg === 1 ? memAttr(code) : INCOMING;
  if (allocCfg < 8) return memory;
  const hints = { ra: (allocCfg & 4) !== 0, wa: (allocCfg & 2) !== 0, tr: (allocCfg & 1) !== 0 };
  return bothLevels(memory, (level) => (level.type === "NC" ? level : { ...level, ...hints }));
}

/** §13.4.2: stage 1 replaces all but the hints, which combine where the input is cached: no-allocate and transient are stronger. */
export function throughStage1(input: Memory, stage1: Memory): Memory {
  if (typeof input === "string" || typeof stage1 === "string") return stage1;
  const level = (mine: Level, its: Level): Level =>
    its.type === "NC" || mine.type === "NC" ? mine : { ...mine, ra: mine.ra && its.ra, wa: mine.wa && its.wa, tr: mine.tr || its.tr };
  return { outer: level(stage1.outer, input.outer), inner: level(stage1.inner, input.inner) };
}

/** §13.1.5: the stronger type at each level; stage 2 has no hints. */
export function throughStage2(input: Memory, code: number): Memory {
  const stage2 = memAttr(code);
  if (typeof input === "string" || typeof stage2 === "string") {
    const devices = [input, stage2].filter((memory): memory is Device => typeof memory === "string");
    return DEVICES.find((device) => devices.includes(device))!;
  }
  const order = ["NC", "WT", "WB"] as const;
  const level = (a: Level, b: Level): Level => ({ ...a, type: order[Math.min(order.indexOf(a.type), order.indexOf(b.type))]! });
  return { outer: level(input.outer, stage2.outer), inner: level(input.inner, stage2.inner) };
}

/** A byte of MAIR, with what §13.1.7 makes consistent: NC has no hints, without allocation there is no transient. */
export function encodeMemory(memory: Memory): number {
  if (typeof memory === "string") return 4 * DEVICES.indexOf(memory);
  const nibble = ({ type, ra, wa, tr }: Level): number => {
    if (type === "NC") return 0b0100;
    const hints = (ra ? 2 : 0) + (wa ? 1 : 0);
    return hints + (type === "WB" ? 4 : 0) + (tr && hints !== 0 ? 0 : 8);
  };
  return 16 * nibble(memory.outer) + nibble(memory.inner);
}

/** A byte of MAIR taken apart; only encodings that DDI 0487 defines. */
export function decodeMemory(byte: number): Memory {
  if (byte < 16) return DEVICES[byte >> 2]!;
  const level = (nibble: number): Level =>
    nibble === 0b0100
      ? NC
      : { type: (nibble & 4) === 0 ? "WT" : "WB", ra: (nibble & 2) !== 0, wa: (nibble & 1) !== 0, tr: (nibble & 8) === 0 };
  return { outer: level(byte >> 4), inner: level(byte & 15) };
}

/** §13.1.7: Device and Normal iNC-oNC are Outer Shareable; 0 Non-shareable, 2 Outer, 3 Inner. */
export function shareability(memory: Memory, code: number): number {
  if (typeof memory === "string" || (memory.outer.type === "NC" && memory.inner.type === "NC")) return 2;
  return code === 1 ? 0 : code;
}
