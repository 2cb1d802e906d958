// SPDX-License-Identifier: MIT
/** A command as one line of text: its name and its operands, zeros left out where they say nothing. */
import { getField } from "../bits/fields.ts";
import { hex, hex64 } from "../bits/hex.ts";
import { type CommandField, type SmmuCommand, smmuCommands } from "./spec/commands.ts";

const byOpcode: ReadonlyMap<number, SmmuCommand> = new Map(smmuCommands.map((command) => [command.opcode, command]));

/** Operands that are worth reading even when they are 0. */
const ALWAYS: ReadonlySet<string> = new Set(["StreamID", "VMID", "ASID", "Leaf", "Address", "CS"]);

/** The table's row for the opcode of a command; undefined if it is reserved. */
export function commandOf(words: Uint32Array | readonly number[]): SmmuCommand | undefined {
  return byOpcode.get((words[0] ?? 0) & 0xff);
}

function operand(field: CommandField, words: Uint32Array | readonly number[]): string | undefined {
  if (field.address) {
    const cut = 2 ** (field.lo - 64);
    const lo = (words[2] ?? 0) - ((words[2] ?? 0) % cut);
    const hi = (words[3] ?? 0) % 2 ** (field.hi - 95);
    return hi === 0 && lo === 0 && !ALWAYS.has(field.name) ? undefined : `${field.name}=${hex64(hi, lo)}`;
  }
  const value = getField(words, field);
  return value === 0 && !ALWAYS.has(field.name) ? undefined : `${field.name}=${value < 10 ? value : hex(value)}`;
}

/** @param words the 16 bytes of the command, four 32-bit words, lowest first */
export function describeCommand(words: Uint32Array | readonly number[]): string {
  const command = commandOf(words);
  if (command === undefined) return `reserved opcode ${hex((words[0] ?? 0) & 0xff, 2)}`;
  const all = command.name === "CMD_CFGI_STE_RANGE" && ((words[2] ?? 0) & 0x1f) === 31;
  if (all) return "CMD_CFGI_ALL";
  return [command.name, ...command.fields.map((field) => operand(field, words)).filter((text) => text !== undefined)].join(" ");
}
