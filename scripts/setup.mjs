// SPDX-License-Identifier: MIT
// What every command of a fresh clone needs first: the right Node, the locked dependencies, a current build.
// Uses Node alone, because nothing is installed yet when it starts.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { stampLicences } from "./licences.mjs";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

const OLDEST_NODE = [20, 19];

/** Ends the program with one line for people. */
function fail(message, code = 3) {
  process.stderr.write(`quiesce: ${message}\n`);
  process.exit(code);
}

/** Runs a program with its output on our standard error, so that standard output carries results only. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2], ...options });
  if (result.error) fail(`${command} could not be started: ${result.error.message}`);
  if (result.signal === "SIGINT") process.exit(130);
  return result.status ?? 3;
}

function lockHash() {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}

/** True if somebody has run `npm ci` here: npm notes in node_modules what it installed. */
function isInstalled() {
  const note = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(note)) return false;
  const there = JSON.parse(readFileSync(note, "utf8")).packages;
  const wanted = Object.entries(JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages);
  return wanted.every(
    ([path, { version, optional }]) => path === "" || (there[path] ? there[path].version === version : optional === true),
  );
}

/** Installs from the lock file when node_modules is missing or was made from another lock. */
function install() {
  const stamp = join(root, "node_modules", ".quiesce-lock");
  const wanted = lockHash();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  if (isInstalled()) {
    writeFileSync(stamp, wanted);
    return;
  }
  process.stderr.write("quiesce: installing the locked dependencies\n");
  const npm = process.env["npm_execpath"];
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const status =
    npm && /\.c?js$/.test(npm) ? run(process.execPath, [npm, ...args]) : run("npm", args, { shell: process.platform === "win32" });
  if (status !== 0) fail(`npm ci ended with ${status}`);
  writeFileSync(stamp, wanted);
}

/** Builds dist/ with the TypeScript compiler; quick when nothing changed. */
export function build() {
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  mkdirSync(join(root, "dist"), { recursive: true });
  if (run(process.execPath, [tsc, "-b"]) !== 0) {
    // A build interrupted half-way leaves information that no longer fits its output: build once more from nothing.
    rmSync(join(root, "dist"), { recursive: true, force: true });
    if (run(process.execPath, [tsc, "-b"]) !== 0) fail("the build failed", 1);
  }
  stampLicences(root);
}

/** Everything up to a current dist/. */
export function setUp() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    fail(`Node ${OLDEST_NODE.join(".")} or newer is needed, this is ${process.versions.node}`);
  }
  install();
  build();
}
