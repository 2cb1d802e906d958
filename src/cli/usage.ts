// SPDX-License-Identifier: MIT
/** What is wrong with a command line, in this program's own words; and the examples of its help. */
import { quoted } from "../interop/index.ts";
import { nearest } from "../lab/index.ts";
import { UsageError } from "./exit.ts";

/** Options that are there or not. */
const FLAGS = ["json", "all", "strict", "variants", "help", "version"];

/** Options that may be given several times, and what are lists by nature: words of a structure and of the command itself. */
const LISTS = ["words", "_", "module", "built-in", "builtIn"];

/** The commands; those that have commands of their own with these. */
export const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  matrix: [],
  run: [],
  order: [],
  decode: ["ste", "cd", "cmd", "event", "pri", "pte", "l1std", "l1cd", "reg", "dmesg"],
  explain: [],
  replay: [],
  regs: [],
};

function unknownCommand(word: string, known: readonly string[], what: string): UsageError {
  const meant = nearest(word, known);
  const hint = meant === undefined ? "; possible" : `, did you mean ${meant}? Possible`;
  return new UsageError(`${what} ${quoted(word)}${hint}: ${known.join(", ")}`);
}

/** Mistakes that the parser would let pass or would name badly. @throws UsageError */
export function checkWords(words: readonly string[]): void {
  for (const [index, word] of words.entries()) {
    if (word === "--") break;
    const [, name = "", value] = /^--(?:no-)?([a-z][a-z-]*)(?:=(.*))?$/s.exec(word) ?? [];
    const before = words[index - 1];
    if (word === "") throw new UsageError(before?.startsWith("--") ? `${before}: the value is empty` : "an argument is empty");
    if (FLAGS.includes(name) && value !== undefined && value !== "true" && value !== "false")
      throw new UsageError(`--${name} takes no value, ${quoted(value)} was given`);
    if (value === "") throw new UsageError(`--${name}: the value is empty`);
  }
  const [first, second] = words;
  if (first === undefined || first.startsWith("-")) return;
  const inner = COMMANDS[first];
  if (inner === undefined) throw unknownCommand(first, Object.keys(COMMANDS), "unknown command");
  if (inner.length > 0 && second !== undefined && !second.startsWith("-") && !inner.includes(second))
    throw unknownCommand(second, inner, `${first} knows no`);
}

/** The same without a `--` that protects nothing: the parser gives what is behind it to no command. */
export function withoutSeparator(words: readonly string[]): string[] {
  const at = words.indexOf("--");
  const needed = at >= 0 && words.slice(at + 1).some((word) => word.startsWith("-") && word !== "-");
  return needed ? [...words] : words.filter((_word, index) => index !== at);
}

/** Lets through options that were given once. @throws UsageError */
export function checkOnce(argv: Readonly<Record<string, unknown>>): true {
  for (const [name, value] of Object.entries(argv)) {
    if (!LISTS.includes(name) && Array.isArray(value)) throw new UsageError(`--${name} is given ${value.length} times`);
  }
  return true;
}

/** As it was written: an option, or a word. */
function asWritten(name: string, words: readonly string[]): string {
  const option = words.find((word) => word.replace(/^--?(no-)?/, "").split("=")[0] === name && word.startsWith("-"));
  return option === undefined ? `argument "${name}"` : `option ${option.split("=")[0]}`;
}

const list = (text: string): string[] => text.split(",").map((part) => part.trim());

/** The parser's message as one line of this program. @param words the command line, without the program */
export function explainUsage(message: string, words: readonly string[]): string {
  const text = message.trim().replace(/\s*\n\s*/g, " ");
  const unknown = /^Unknown (?:argument|command)s?: (.*)$/.exec(text);
  if (unknown) {
    const names = list(unknown[1]!).map((name) => asWritten(name, words));
    return `unknown ${names.join(", ")}`;
  }
  const valueless = /^Not enough arguments following: (.*)$/.exec(text);
  if (valueless) return `--${valueless[1]!} needs a value`;
  const missing = /^Missing required arguments?: (.*)$/.exec(text);
  if (missing) {
    const names = list(missing[1]!).map((name) => `--${name}`);
    return `${names.join(" and ")} ${names.length === 1 ? "is" : "are"} missing`;
  }
  if (text.startsWith("Not enough non-option arguments")) {
    if (words[0] === "order") return "order needs a device tree blob";
    return words[0] === "replay" ? "replay needs a recording: a file, or - for standard input" : "decode reg needs the name of a register";
  }
  const choice = /^Invalid values: Argument: ([\w-]+), Given: (.*), Choices: (.*)$/.exec(text);
  if (choice) return `--${choice[1]!} is ${choice[2]!}; possible: ${choice[3]!.replaceAll('"', "")}`;
  return text;
}

/** The examples that end a help text: a line for each command, a line for what it gives. */
export function examples(...pairs: readonly (readonly [command: string, gives?: string])[]): string {
  return `Examples:\n${pairs.map(([command, gives]) => (gives === undefined ? `  ${command}` : `  ${command}\n      ${gives}`)).join("\n")}`;
}
