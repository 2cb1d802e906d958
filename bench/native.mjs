// SPDX-License-Identifier: MIT
// The C program of bench/native: built where there is a compiler, asked line by line, so that it takes turns with the rest.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "../scripts/setup.mjs";

const sources = join(root, "bench", "native");
const program = join(root, "out", "native", "bench");

/** glib, whose hash table QEMU uses: what the compiler has to be told, or undefined where it is not installed. */
function glibFlags() {
  const { status, stdout } = spawnSync("pkg-config", ["--cflags", "--libs", "glib-2.0"], { encoding: "utf8" });
  return status === 0 ? stdout.trim().split(/\s+/) : undefined;
}

function compile(compiler, glib, ...flags) {
  const unused = glib === undefined ? "table-glib.c" : "table-own.c";
  const files = readdirSync(sources).filter((name) => name.endsWith(".c") && name !== unused);
  const args = ["-O3", ...flags, "-pthread", "-o", program, ...files.map((name) => join(sources, name)), ...(glib ?? [])];
  return spawnSync(compiler, args, { encoding: "utf8" });
}

/** @returns the program, or why there is none */
export function startNative() {
  const compiler = process.env["CC"] ?? "cc";
  mkdirSync(join(root, "out", "native"), { recursive: true });
  let glib = glibFlags();
  let made = compile(compiler, glib, "-march=native");
  if (made.error) return { missing: `no C compiler (${compiler})` };
  if (made.status !== 0) made = compile(compiler, glib);
  if (made.status !== 0 && glib !== undefined) made = compile(compiler, (glib = undefined));
  if (made.status !== 0) return { missing: `${compiler} could not build bench/native: ${made.stderr.split("\n")[0]}` };
  const version = spawnSync(compiler, ["--version"], { encoding: "utf8" }).stdout?.split("\n")[0] ?? compiler;
  return { compiler: version, hashTable: glib === undefined ? "our own (glib is not installed)" : "glib's", ...talk() };
}

function talk() {
  const child = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
  const waiting = [];
  createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()?.resolve(line));
  child.on("exit", (code, signal) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`the C program ended with ${code ?? signal}`));
  });
  const ask = (line) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      child.stdin.write(`${line}\n`);
    });
  return {
    /** @returns nanoseconds of one pass */
    run: async (what) => {
      const answer = Number(await ask(`run ${what}`));
      if (!(answer >= 0)) throw new Error(`the C program does not know "${what}"`);
      return answer;
    },
    /** @returns the checksum of a trace and the sum of its outputs; throws if the ways to translate disagree */
    check: async (pages, pattern) => {
      const [trace, sum, same] = (await ask(`check ${pages} ${pattern}`)).split(" ").map(Number);
      if (same !== 1) throw new Error(`the C program's ways to translate disagree for ${pages} pages`);
      return { trace, sum };
    },
    stop: () => child.stdin.end(),
  };
}
