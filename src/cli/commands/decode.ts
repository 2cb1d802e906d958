// SPDX-License-Identifier: MIT
/** `quiesce decode`: raw words of structures, commands, records and registers, explained; and console logs. */
import type { Argv, CommandModule } from "yargs";
import { type SmmuConfig, profiles } from "../../hw/index.ts";
import {
  DecodeError,
  type Decoded,
  type DescriptorPlace,
  decodeCd,
  decodeCommand,
  decodeEventRecord,
  decodePageRequestRecord,
  decodeL1cd,
  decodeL1std,
  decodePte,
  decodePte128,
  decodeRegister,
  decodeSte,
  decodedText,
  findRegister,
  parseWords,
  printable,
  quoted,
  wordsOfBytes,
} from "../../interop/index.ts";
import { readStandardInput, textOf } from "../bytes.ts";
import { UsageError } from "../exit.ts";
import { painter, print, printJson } from "../terminal.ts";
import { COMMANDS, examples } from "../usage.ts";
import { dmesgCommand } from "./dmesg.ts";

interface DecodeArguments {
  /** The command's own words, and those behind `--`. */
  readonly _: readonly (string | number)[];
  readonly words: readonly string[] | undefined;
  readonly profile: string;
  readonly json: boolean;
  readonly all: boolean;
  readonly stage: number | undefined;
  readonly level: number | undefined;
  readonly granule: string | undefined;
  readonly ds: boolean | undefined;
  readonly d128: boolean | undefined;
  readonly ste: string | undefined;
  readonly name: string | undefined;
}

/** One kind of structure that can be pasted. */
interface Kind {
  readonly name: string;
  readonly describe: string;
  readonly bytes: number | ((argv: DecodeArguments) => number);
  readonly example: string;
  options?(yargs: Argv<object>): Argv<object>;
  decode(words: Uint32Array, config: SmmuConfig, argv: DecodeArguments): Decoded;
}

const GRANULES: Readonly<Record<string, DescriptorPlace["granule"]>> = { "4k": 12, "16k": 14, "64k": 16 };

function placeOf({ stage, level, granule = "4k", ds = false, d128 = false }: DecodeArguments): DescriptorPlace {
  if (stage !== 1 && stage !== 2) throw new UsageError("--stage is 1 or 2");
  const known = GRANULES[granule.toLowerCase()];
  if (known === undefined) throw new UsageError(`--granule ${printable(granule)}: granules are 4k, 16k and 64k`);
  const lowest = d128 ? -2 : -1;
  if (level !== undefined && !(Number.isInteger(level) && level >= lowest && level <= 3)) throw new UsageError(`--level is ${lowest} to 3`);
  if (d128 && ds) throw new UsageError("--ds is for descriptors of 64 bits");
  return { stage, level, granule: known, ds, d128 };
}

const KINDS: readonly Kind[] = [
  { name: "ste", describe: "Stream Table Entry, 64 bytes", bytes: 64, example: "0x4401200b 0xd6 0 0 0 0 0 0", decode: decodeSte },
  {
    name: "cd",
    describe: "Context Descriptor, 64 bytes",
    bytes: 64,
    example: "0x2e204c0003510 0x44011000 0 0xffffffff04ff44ff 0 0 0 0",
    options: (yargs) => yargs.option("ste", { type: "string", describe: "the STE above it, for the judgement", requiresArg: true }),
    decode: (words, config, { ste }) => decodeCd(words, config, ste === undefined ? undefined : parse(ste, 64, "--ste")),
  },
  { name: "cmd", describe: "command of the Command queue, 16 bytes", bytes: 16, example: "0x2000000003 0x1", decode: decodeCommand },
  {
    name: "event",
    describe: "event record, 32 bytes",
    bytes: 32,
    example: "0x2000000010 0x20800000000 0xfffff000 0",
    decode: (words) => decodeEventRecord(words),
  },
  {
    name: "pri",
    describe: "page request of the PRI queue, 16 bytes",
    bytes: 16,
    example: "0xf000000700002100 0x8000005",
    decode: (words) => decodePageRequestRecord(words),
  },
  {
    name: "pte",
    describe: "translation table descriptor, 8 bytes, with --d128 16 bytes",
    bytes: ({ d128 }) => (d128 === true ? 16 : 8),
    example: "0x45031f47 --level 3",
    options: (yargs) =>
      yargs
        .option("stage", { type: "number", default: 1, describe: "1 or 2", requiresArg: true })
        .option("level", { type: "number", describe: "level of the table it stands in, -1 (with --d128 -2) to 3", requiresArg: true })
        .option("granule", { type: "string", default: "4k", describe: "4k, 16k or 64k", requiresArg: true })
        .option("ds", { type: "boolean", default: false, describe: "LPA2: CD.DS or STE.S2DS is 1" })
        .option("d128", { type: "boolean", default: false, describe: "VMSAv9-128: CD.AA64 or STE.S2AA64 is 0" }),
    decode: (words, config, argv) => (argv.d128 === true ? decodePte128 : decodePte)(words, placeOf(argv), config),
  },
  {
    name: "l1std",
    describe: "level-1 Stream table descriptor, 8 bytes",
    bytes: 8,
    example: "0x6b260009",
    decode: (words) => decodeL1std(words),
  },
  { name: "l1cd", describe: "level-1 CD table descriptor, 8 bytes", bytes: 8, example: "0x44013001", decode: (words) => decodeL1cd(words) },
];

/** @param origin names an option in messages; undefined: the words themselves */
function parse(text: string, bytes: number, origin?: string, byWord: boolean = false): Uint32Array {
  return inPlace(() => parseWords(text, bytes), origin, byWord ? "word" : "line");
}

/** Carries `read` out; what it cannot read becomes one line that names the place. */
function inPlace(read: () => Uint32Array, origin: string | undefined, unit: "word" | "line"): Uint32Array {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new UsageError(`${origin === undefined ? "" : `${origin}: `}${unit} ${error.line}, column ${error.column}: ${error.message}`);
  }
}

/** The words of the arguments, or those of standard input: text, or the structure's own bytes. */
async function wordsOf({ words = [], _: rest }: DecodeArguments, bytes: number): Promise<Uint32Array> {
  const given = [...words, ...rest.slice(2).map(String)];
  if (given.length === 0 || (given.length === 1 && (given[0] === "-" || given[0] === ""))) {
    const input = await readStandardInput();
    const text = textOf(input);
    if (text !== undefined) return parse(text, bytes, "standard input");
    // A 32-bit register takes half of the room that registers are given.
    const padded = bytes === 8 && input.length === 4 ? Uint8Array.of(...input, 0, 0, 0, 0) : input;
    return inPlace(() => wordsOfBytes(padded, bytes), "standard input", "line");
  }
  // Arguments are words, not lines of a dump; one argument may be a whole dump.
  return parse(given.join("\n"), bytes, undefined, given.length > 1);
}

function configOf(profile: string): SmmuConfig {
  const config = profiles[profile];
  if (config === undefined) throw new UsageError(`--profile ${printable(profile)}: profiles are ${Object.keys(profiles).join(", ")}`);
  return config;
}

function show(kind: string, decoded: Decoded, { json, all, profile }: DecodeArguments): void {
  if (json) printJson({ schema: "quiesce/decode@1", kind, profile, ...decoded });
  else print(decodedText(decoded, painter(), { all }));
}

async function decodeRegisterValue(argv: DecodeArguments): Promise<void> {
  const register = findRegister(argv.name!);
  if (register === undefined) throw new UsageError(`no register is called ${quoted(argv.name!)}; quiesce regs lists them`);
  const words = await wordsOf(argv, 8);
  if (register.width === 32 && words[1] !== 0) throw new UsageError(`${register.name} has 32 bits; the value has more`);
  show("reg", decodeRegister(register, words), argv);
}

function common(yargs: Argv<object>): Argv<object> {
  return yargs
    .option("profile", {
      type: "string",
      default: "max",
      describe: "which SMMU judges: max, qemu, linux-typical, fvp, tiny",
      requiresArg: true,
    })
    .option("all", { type: "boolean", default: false, describe: "one line for each field, also for zeros without effect" })
    .option("json", { type: "boolean", default: false, describe: "print one JSON document instead of the text" });
}

/** The shape that yargs has built by the options above. */
function typed(yargs: Argv<object>): Argv<DecodeArguments> {
  return yargs as Argv<DecodeArguments>;
}

function kindCommand(kind: Kind): CommandModule<object, DecodeArguments> {
  return {
    command: `${kind.name} [words..]`,
    describe: kind.describe,
    builder: (yargs) =>
      typed(common(kind.options?.(yargs) ?? yargs))
        .positional("words", {
          type: "string",
          array: true,
          describe: "words or bytes in any usual shape; none, or -: standard input, also binary",
        })
        .epilogue(examples([`quiesce decode ${kind.name} ${kind.example}`])),
    handler: async (argv) => {
      const bytes = typeof kind.bytes === "number" ? kind.bytes : kind.bytes(argv);
      show(kind.name, kind.decode(await wordsOf(argv, bytes), configOf(argv.profile), argv), argv);
    },
  };
}

const registerCommand: CommandModule<object, DecodeArguments> = {
  command: "reg <name> [words..]",
  describe: "value of a register",
  builder: (yargs) =>
    typed(common(yargs))
      .positional("name", { type: "string", describe: "a register's name, or its offset with 0x" })
      .positional("words", { type: "string", array: true, describe: "the value; none, or -: standard input" })
      .epilogue(examples(["quiesce decode reg CR0 0xd"])),
  handler: decodeRegisterValue,
};

export const decodeCommandModule: CommandModule = {
  command: "decode",
  describe: "explain raw words (ste, cd, cmd, event, pri, pte, l1std, l1cd, reg) or a console log (dmesg)",
  builder: (yargs) => {
    for (const kind of KINDS) yargs.command(kindCommand(kind));
    return yargs
      .command(registerCommand)
      .command(dmesgCommand)
      .demandCommand(1, `say what to decode: ${COMMANDS["decode"]!.join(", ")}`)
      .epilogue(
        examples(
          ["quiesce decode event 0x2000000010 0x20800000000 0xfffff000 0", "an event record as Linux prints it"],
          ["dmesg | quiesce decode dmesg", "what a kernel log says about the SMMU, and why"],
        ),
      );
  },
  handler: () => {},
};
