// SPDX-License-Identifier: MIT
/** A command as one line of text: its name and its operands, zeros left out where they say nothing. */
import { getField } from "../../bits/fields.ts";
import { hex, hex64 } from "../../bits/hex.ts";
import { addressIn, commandOf, type CommandWords } from "./command-operands.ts";
import type { CommandField } from "../spec/commands.ts";
import { checkWords } from "../../checks.ts";

/** Operands that are worth reading even when they are 0. */
const ALWAYS: ReadonlySet<string> = new Set(["StreamID", "VMID", "ASID", "Leaf", "Address", "CS"]);

function operand(field: CommandField, words: CommandWords): string | undefined {
  const { hi, lo } = field.address ? addressIn(field, words) : { hi: 0, lo: getField(words, field) };
  if (hi === 0 && lo === 0 && !ALWAYS.has(field.name)) return undefined;
  if (field.address) return `${field.name}=${hex64(hi, lo)}`;
  return `${field.name}=${lo < 10 ? lo : hex(lo)}`;
}

/**
 * @param words the 16 bytes of the command, four 32-bit words, lowest first
 * @throws HostMisuseError for another number of words
 */
export function describeCommand(words: CommandWords): string {
  checkWords("a command", words, 4);
  const command = commandOf(words);
  if (command === undefined) return `reserved opcode ${hex((words[0] ?? 0) & 0xff, 2)}`;
  const all = command.name === "CMD_CFGI_STE_RANGE" && ((words[2] ?? 0) & 0x1f) === 31;
  if (all) return "CMD_CFGI_ALL";
  return [command.name, ...command.fields.map((field) => operand(field, words)).filter((text) => text !== undefined)].join(" ");
}
