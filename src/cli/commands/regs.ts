// SPDX-License-Identifier: MIT
/** `quiesce regs`: the SMMU's register map as modelled, from the tables that the model itself reads. */
import type { Argv, CommandModule } from "yargs";
import { has, hex, implementedFeatures, profiles, type SmmuFeature, type SmmuRegister, smmuRegisters } from "../../hw/index.ts";
import { wrap } from "../../lab/index.ts";
import { UsageError } from "../exit.ts";
import { findRegister, quoted } from "../../interop/index.ts";
import { painter, print, printJson } from "../terminal.ts";
import { examples } from "../usage.ts";

interface RegsArguments {
  readonly name: string | undefined;
  readonly json: boolean;
}

/** Registers whose name contains the text, by the specification's names; or the one at an offset with 0x. */
function chosen(text: string | undefined): SmmuRegister[] {
  const placed = text !== undefined && /^0x/i.test(text) ? findRegister(text) : undefined;
  if (placed) return [placed];
  const wanted = text?.toUpperCase().replace(/^SMMU_/, "");
  const found = smmuRegisters.filter(
    ({ name }) =>
      wanted === undefined ||
      name
        .toUpperCase()
        .replace(/^SMMU_/, "")
        .includes(wanted),
  );
  if (found.length === 0) throw new UsageError(`no register is named ${quoted(text ?? "")}; try quiesce regs without a name`);
  return found;
}

/** The fullest profile: what it has not got, no other has. */
const MODELLED = implementedFeatures(profiles.max);

/** Says so of what the model has not got: it reads as zero and ignores writes. */
function absence(needs: readonly SmmuFeature[] | undefined): string {
  return has(MODELLED, needs) ? "" : "not modelled: RES0";
}

function place({ offset, stride, count }: SmmuRegister): string {
  return count === undefined || count === 1 ? hex(offset, 5) : `${hex(offset, 5)}+${hex(stride ?? 4)}n`;
}

function lines(register: SmmuRegister, withFields: boolean): string {
  const paint = painter();
  const head = `${place(register).padEnd(15)}${String(register.width)}  ${register.access}  ${paint("bold", register.name)}  ${paint("dim", `IHI 0070 ${register.section}`)}`;
  const absent = absence(register.needs);
  // Beside the name if a terminal of 80 columns has room for it, else below.
  const plain = `${place(register).padEnd(15)}64  RW  ${register.name}  IHI 0070 ${register.section}  ${absent}`;
  const before = plain.length > 80 ? `\n${" ".repeat(23)}` : "  ";
  if (!withFields || absent !== "") return `${head}${absent === "" ? "" : `${before}${paint("dim", absent)}`}\n`;
  const fields = register.fields.map(({ name, hi, lo, reset, what, needs }) => {
    const bits = hi === lo ? `[${hi}]` : `[${hi}:${lo}]`;
    if (absence(needs) !== "") return paint("dim", `    ${bits.padEnd(9)}${name.padEnd(20)}${absence(needs)}`) + "\n";
    const after = typeof reset === "number" ? `reset ${hex(reset)}` : reset;
    const remarks = what === undefined ? [] : wrap(what, 70).map((line) => `          ${line}\n`);
    return `    ${bits.padEnd(9)}${name.padEnd(20)}${after}\n${remarks.join("")}`;
  });
  return `${head}\n${fields.join("")}`;
}

function regs({ name, json }: RegsArguments): void {
  const found = chosen(name);
  if (json) printJson({ schema: "quiesce/regs@1", registers: found.map((register) => ({ ...register, offset: hex(register.offset) })) });
  else print(found.map((register) => lines(register, name !== undefined)).join(""));
}

export const regsCommand: CommandModule<object, RegsArguments> = {
  command: "regs [name]",
  describe: "the SMMU's register map as modelled; with a name, fields too",
  builder: (yargs: Argv<object>): Argv<RegsArguments> =>
    yargs
      .positional("name", { type: "string", describe: "part of a register's name, or its offset with 0x" })
      .option("json", { type: "boolean", default: false, describe: "print one JSON document instead of the text" })
      .epilogue(examples(["quiesce regs", "every register with its offset"], ["quiesce regs CR0", "the fields of CR0 and CR0ACK"])),
  handler: regs,
};
