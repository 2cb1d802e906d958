// SPDX-License-Identifier: MIT
/** Event records as people read them; each is written here word by word as IHI 0070 §7.3 draws it. */
import { describe, expect, test } from "vitest";
import { describeCommand } from "../../../../src/hw/smmuv3/queues/command-text.ts";
import { decodeEvent, describeEvent } from "../../../../src/hw/smmuv3/tables/events.ts";
import { type Untyped, misuse } from "./misuse.ts";

/** Word 2. */
const STALL = 2 ** 31;
/** Word 3. */
const [PNU, IND, RNW, S2] = [1 << 1, 1 << 2, 1 << 3, 1 << 7];
const CLASS = (code: number): number => code << 8;
const TTRNW = 1 << 12;
const SSV = 1 << 11;
const SID = 0x2a;

/** Expectations name what has to be said, and what must not. */
const RECORDS: readonly (readonly [name: string, words: readonly number[], says: readonly string[], not: readonly string[]])[] = [
  ["C_BAD_STREAMID", [0x02, SID, 0, 0, 0, 0, 0, 0], ["StreamID 0x2a"], ["SubstreamID", "address"]],
  ["F_STE_FETCH", [0x03, SID, 0, 0, 0, 0, 0x4000_0040, 1], ["fetch of 0x140000040"], ["SubstreamID"]],
  ["C_BAD_STE", [0x04 | SSV | (7 << 12), SID, 0, 0, 0, 0, 0, 0], ["StreamID 0x2a", "SubstreamID 0x7"], []],
  [
    "F_TRANSLATION",
    [0x10, SID, 0, PNU | IND | RNW | CLASS(2), 0x1234_5678, 0x9a, 0, 0],
    ["read", "instruction", "privileged", "stage 1", "input address", "address 0x0000009a12345678"],
    ["unprivileged", "IPA", "stalled", "walk"],
  ],
  [
    "F_TRANSLATION",
    [0x10, SID, 0, S2 | CLASS(2), 0x1000, 0, 0x5000_6000, 0x1],
    ["write", "data", "unprivileged", "stage 2", "IPA 0x150006000"],
    ["instruction"],
  ],
  ["F_TRANSLATION", [0x10, SID, STALL + 0x9, RNW, 0, 0, 0, 0], ["stalled with tag 0x9", "CD fetch"], []],
  ["F_PERMISSION", [0x13, SID, 0, S2 | CLASS(1) | TTRNW, 0, 0, 0x7000, 0], ["stage-1 table walk", "walk read"], ["walk write"]],
  ["F_PERMISSION", [0x13, SID, 0, S2 | CLASS(1), 0, 0, 0x7000, 0], ["walk write"], ["walk read"]],
  ["F_PERMISSION", [0x13, SID, 0, S2 | CLASS(2) | (1 << 10), 0, 0, 0x7000, 0], ["writable-clean"], []],
  ["F_PERMISSION", [0x13, SID, 0, S2 | CLASS(1) | (1 << 11) | TTRNW, 0, 0, 0x7000, 0], ["not an assured translation"], ["stage-2 overlay"]],
  ["F_PERMISSION", [0x13, SID, 0, S2 | CLASS(2) | (1 << 13), 0, 0, 0x7000, 0], ["stage-2 overlay"], ["not an", "writable"]],
  ["F_UUT", [0x01, SID, 0x12, RNW, 0, 0, 0, 0], ["reason 0x12"], []],
  ["F_WALK_EABT", [0x0b, SID, 0, RNW | CLASS(1), 0, 0, 0x8000_0008, 0], ["fetch of 0x80000008"], ["stage 2"]],
];

describe("describeEvent", () => {
  for (const [name, words, says, not] of RECORDS) {
    test(`${name}, word 3 0x${words[3]!.toString(16)}: ${says.join("; ")}`, () => {
      const text = describeEvent(words);
      expect(text.startsWith(`${name} (`)).toBe(true);
      const parts = text.slice(text.indexOf("): ") + 3).split(", ");
      for (const part of says) expect(parts).toContain(part);
      for (const part of not) expect(parts.some((said) => said.startsWith(part))).toBe(false);
    });
  }
  test("a number that no event has is told as it is", () => {
    const words = [0xdf, 1, 2, 3, 4, 5, 6, 7];
    expect(describeEvent(words)).toBe("event 0xdf (reserved)");
    expect(decodeEvent(words)).toEqual({ number: 0xdf, name: "reserved", meaning: "", fields: {}, inputAddress: undefined });
  });
});

test("a command of other than four words is refused, as an event record of other than eight is", () => {
  for (const words of [[1], [], [1, 2, 3, 4, 5], new Uint32Array(3), undefined as Untyped])
    expect(() => describeCommand(words)).toThrow(misuse("WORDS", "a command", "4"));
  expect(() => describeCommand([2 ** 32, 0, 0, 0])).toThrow(misuse("WORDS", "a command: word 0"));
  expect(() => describeEvent([1])).toThrow(misuse("WORDS", "an event record"));
});
