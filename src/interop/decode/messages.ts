// SPDX-License-Identifier: MIT
/** Commands, event records and registers, for people. */
import {
  EVENTS,
  type SmmuConfig,
  type SmmuRegister,
  describeCommand,
  describeEvent,
  judgeCommand,
  smmuCommands,
  smmuRegisters,
} from "../../hw/index.ts";
import { type Decoded, decodeFields, strayBits, wordsText } from "./decoded.ts";

const OPCODE = { name: "Opcode", hi: 7, lo: 0, what: "which command" };

/** @param words 4 words */
export function decodeCommand(words: Uint32Array, config: SmmuConfig): Decoded {
  const objections = judgeCommand(words, config);
  const command = smmuCommands.find(({ opcode }) => opcode === (words[0]! & 0xff));
  const fields = [OPCODE, ...(command?.fields ?? [])];
  return {
    name: command?.name ?? "reserved command",
    summary: objections.length === 0 ? describeCommand(words) : `${describeCommand(words)}; CERROR_ILL`,
    section: command?.section.replace("§", "") ?? "4.1.3",
    words: wordsText(words),
    fields: decodeFields(words, fields, objections),
    legal: objections.length === 0,
    objections,
    notes: strayBits(words, fields),
  };
}

/** @param words 8 words */
export function decodeEventRecord(words: Uint32Array): Decoded {
  const spec = EVENTS.find(({ number }) => number === (words[0]! & 0xff));
  const fields = spec?.fields ?? [{ name: "EventType", hi: 7, lo: 0, meaning: "reserved" }];
  return {
    name: spec?.name ?? "reserved event",
    summary: describeEvent(words),
    section: spec?.section ?? "7.3",
    words: wordsText(words),
    fields: decodeFields(words, fields, []),
    legal: spec !== undefined,
    objections: [],
    notes: strayBits(words, fields),
  };
}

/** Registers by name, with or without SMMU_, or by offset. */
export function findRegister(name: string): SmmuRegister | undefined {
  const wanted = name.toUpperCase().replace(/^SMMU_/, "");
  const offset = /^0X[0-9A-F]+$/.test(wanted) ? Number(wanted) : -1;
  return smmuRegisters.find((register) => register.name.replace(/^SMMU_/, "") === wanted || register.offset === offset);
}

/** @param words 2 words, the second 0 for a 32-bit register */
export function decodeRegister(register: SmmuRegister, words: Uint32Array): Decoded {
  return {
    name: register.name,
    summary: `${register.width}-bit ${register.access} at offset 0x${register.offset.toString(16)}`,
    section: register.section.replace("§", ""),
    words: wordsText(words),
    fields: decodeFields(words, register.fields, []),
    legal: undefined,
    objections: [],
    notes: strayBits(words, register.fields),
  };
}
