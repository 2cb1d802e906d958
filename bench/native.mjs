// SPDX-License-Identifier: MIT
// The C program of bench/native: built where there is a compiler, asked line by line, so that it takes turns with the rest.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "../scripts/setup.mjs";
import { interrupted } from "./output.mjs";

const sources = join(root, "bench", "native");
const folder = join(root, "out", "native");
const program = join(folder, "bench");

function execute(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", ...options });
  if (result.signal === "SIGINT") interrupted();
  return result;
}

/** glib, whose hash table QEMU uses. @returns what the compiler has to be told, or why it is not to be had */
function glib() {
  const { error, status, stdout } = execute("pkg-config", ["--cflags", "--libs", "glib-2.0"]);
  if (error) return { missing: "pkg-config, which would find glib, was not found" };
  return status === 0 ? { flags: stdout.trim().split(/\s+/) } : { missing: "pkg-config finds no glib-2.0" };
}

/** @param command the words of CC @returns undefined for success, or why there is no program */
function compile([compiler, ...words], flags, table, libraries) {
  rmSync(program, { force: true });
  const files = readdirSync(sources).filter((name) => name.endsWith(".c") && (!name.startsWith("table-") || name === table));
  const args = ["-O3", ...flags, "-pthread", "-o", program, ...files.map((name) => join(sources, name)), ...libraries];
  const { error, status, signal, stderr } = execute(compiler, [...words, ...args]);
  if (error) return `${compiler} could not be started (${error.code})`;
  if (status !== 0) return `${compiler} could not build bench/native: ${firstError(stderr) ?? `it ended with ${status ?? signal}`}`;
  return existsSync(program) ? undefined : `${compiler} says that it built bench/native, but there is no program`;
}

function firstError(text) {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => /error/i.test(line)) ?? lines[0];
}

/** The words of CC, `cc` where it is not set. */
function compilerWords() {
  return (process.env["CC"] ?? "cc").split(/\s+/).filter((word) => word !== "");
}

/** @returns the program, or why there is none */
export function startNative() {
  const words = compilerWords();
  if (words.length === 0) return { missing: "CC is set, but empty" };
  const { error } = execute(words[0], ["--version"]);
  if (error) return { missing: error.code === "ENOENT" ? `there is no ${words[0]}` : `${words[0]} could not be started (${error.code})` };
  mkdirSync(folder, { recursive: true });
  const found = glib();
  const build = (table, libraries) => {
    const why = compile(words, ["-march=native"], table, libraries);
    return why === undefined ? undefined : compile(words, [], table, libraries);
  };
  const withGlib = found.missing ?? (build("table-glib.c", found.flags) === undefined ? undefined : "building against glib failed");
  const missing = withGlib === undefined ? undefined : build("table-own.c", []);
  if (missing !== undefined) return { missing };
  const tried = execute(program, [], { input: "" });
  if (tried.status !== 0) return { missing: `what ${words[0]} built does not run here` };
  const version = execute(words[0], [...words.slice(1), "--version"]);
  return {
    compiler: (version.status === 0 && version.stdout.split("\n")[0]) || words.join(" "),
    hashTable: withGlib === undefined ? "glib's" : `our own (${withGlib})`,
    ...talk(),
  };
}

function talk() {
  const child = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
  const waiting = [];
  createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()?.resolve(line));
  child.on("exit", (code, signal) => {
    if (signal === "SIGINT") interrupted();
    for (const { reject } of waiting.splice(0)) reject(new Error(`the C program ended with ${code ?? signal}`));
  });
  // Its end is told above.
  child.stdin.on("error", () => {});
  const ask = (line) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      child.stdin.write(`${line}\n`);
    });
  const checked = new Map();
  const check = async (pages, pattern) => {
    const [trace, sum, same] = (await ask(`check ${pages} ${pattern}`)).split(" ").map(Number);
    if (same !== 1) throw new Error(`the C program's ways to translate disagree for ${pages} pages`);
    return { trace, sum };
  };
  return {
    /** @returns nanoseconds of one pass */
    run: async (what) => {
      const answer = Number(await ask(`run ${what}`));
      if (!(answer >= 0)) throw new Error(`the C program does not know "${what}"`);
      return answer;
    },
    /** @returns the checksum of a trace and the sum of its outputs; throws if the ways to translate disagree */
    check: (pages, pattern) => {
      const key = `${pages} ${pattern}`;
      if (!checked.has(key)) checked.set(key, check(pages, pattern));
      return checked.get(key);
    },
    stop: () => child.stdin.end(),
  };
}
