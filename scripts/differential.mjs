// SPDX-License-Identifier: MIT
// node scripts/differential.mjs [--seed 0x1] [--programs 200]: runs seeded programs on the model and on QEMU's SMMUv3 and
// compares what came of them. A program in which they differ without a known deviation is made simpler and printed.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { QemuEnded, QemuMachine } from "./differential-qemu.mjs";
import { root, setUp } from "./setup.mjs";

const USAGE = `usage: node scripts/differential.mjs [options]
  --seed N        of the whole run, default 0x1
  --programs N    default 200
  --only N        this program alone
  --qemu COMMAND  default qemu-system-aarch64; further arguments after blanks
  --no-shrink     print failing programs as they are
  --no-build      use dist/ as it is
  --json          one JSON document on standard output
exit: 0 nothing unexplained, 1 something is, 2 bad usage, 3 internal error,
4 nothing was compared, 130 interrupted (the partial result is printed)`;

function fail(message, code) {
  process.stderr.write(`differential: ${message}\n`);
  process.exit(code);
}

function options() {
  const number = (text, name) => {
    const value = Number(text);
    if (text === "" || !Number.isSafeInteger(value) || value < 0) fail(`--${name} ${text} is not a number from 0 on\n${USAGE}`, 2);
    return value;
  };
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: "string", default: "0x1" },
        programs: { type: "string", default: "200" },
        only: { type: "string" },
        qemu: { type: "string", default: "qemu-system-aarch64" },
        "no-shrink": { type: "boolean", default: false },
        "no-build": { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(`${USAGE}\n`);
      process.exit(0);
    }
    const only = values.only === undefined ? undefined : number(values.only, "only");
    return {
      seed: number(values.seed, "seed"),
      programs: number(values.programs, "programs"),
      only,
      qemu: values.qemu,
      shrink: !values["no-shrink"],
      build: !values["no-build"],
      json: values.json,
    };
  } catch (error) {
    return fail(`${error.message}\n${USAGE}`, 2);
  }
}

/** The version as a number such as 7.2; or why there is none. */
function versionOf(command) {
  const [program = "", ...first] = command.split(" ").filter((word) => word !== "");
  const { stdout, error } = spawnSync(program, [...first, "--version"], { encoding: "utf8" });
  if (error) return { failure: `"${command}" cannot be started (${error.code ?? error.message}; Debian: apt-get install qemu-system-arm)` };
  const found = /QEMU emulator version (\d+)\.(\d+)/.exec(stdout);
  if (!found) return { failure: `"${command}" can be started, but is no QEMU: it does not answer --version as one` };
  return { version: Number(`${found[1]}.${found[2]}`) };
}

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** Set by a signal: what runs is given up, and what is known so far is printed. */
const interruption = { signal: undefined };

/** A QEMU per format of the Stream table, since it keeps to the first one that it was shown; each begins when it is needed. */
class Laboratory {
  #library;
  #command;
  #machines = new Map();
  config;
  version;

  constructor(library, command, version) {
    this.#library = library;
    this.#command = command;
    this.version = version;
  }

  async #machine(twoLevel) {
    const known = this.#machines.get(twoLevel);
    if (known) return known;
    const machine = new QemuMachine(this.#library);
    this.#machines.set(twoLevel, machine);
    await machine.start(this.#command);
    return machine;
  }

  async open() {
    const { idr, aidr } = await (await this.#machine(false)).identify();
    this.config = this.#library.configOfRecording("qemu", idr, aidr);
  }

  /** Both sides of a program and their comparison. */
  async compare(program) {
    const { compileProgram, runOnModel, compareRuns } = this.#library;
    const script = compileProgram(program, this.config);
    const ours = runOnModel(script, this.config);
    const twoLevel = program.streamTable.split !== undefined;
    const machine = await this.#machine(twoLevel);
    try {
      const theirs = await machine.run(script);
      return { ours, ...compareRuns(script, ours, theirs, { qemu: this.version, config: this.config }) };
    } catch (error) {
      if (!(error instanceof QemuEnded)) throw error;
      machine.stop();
      this.#machines.delete(twoLevel);
      return { ours, ended: error.message, equal: 0, findings: [], wrong: 0 };
    }
  }

  close() {
    for (const machine of this.#machines.values()) machine.stop();
  }
}

/** Every change of a program comes with the maintenance that it needs: a stale use is an invalidation that the model lost. */
const failed = ({ ended, wrong, ours }) => ended !== undefined || wrong > 0 || ours.staleUses > 0;

/** What makes two failures the same: the kinds of difference, not their number. */
function symptom({ ended, findings, ours }) {
  if (ended) return ["ended"];
  if (ours.staleUses > 0) return ["stale use"];
  return findings.filter(({ deviation }) => deviation === undefined).map(({ difference }) => difference.what);
}

/** @returns what is simplest so far if a signal comes */
async function simplest(laboratory, program, result, { Shrinker }) {
  const wanted = new Set(symptom(result));
  const shrinker = new Shrinker(program);
  let best = result;
  for (let next = shrinker.next(); next; next = shrinker.next()) {
    const tried = await laboratory.compare(next);
    if (interruption.signal) break;
    const fails = symptom(tried).some((what) => wanted.has(what));
    if (fails) best = tried;
    shrinker.report(fails);
  }
  return { program: shrinker.best, result: best };
}

function reason({ ended, wrong, ours }) {
  if (ended) return ended;
  if (ours.staleUses > 0) return "the model uses what maintenance should have dropped";
  return wrong > 0 ? "a difference that no deviation explains" : "nothing is left of it";
}

function textOf(difference) {
  const side = (value) => {
    if (value === undefined) return "nothing";
    if (value instanceof Uint32Array) return [...value].map((word) => word.toString(16).padStart(8, "0")).join(" ");
    return typeof value === "string" ? value : JSON.stringify(value);
  };
  const where = difference.what === "read" ? ` of 0x${difference.offset.toString(16)}` : "";
  return `${difference.what}${where}: model ${side(difference.ours)}, QEMU ${side(difference.theirs)}`;
}

async function main() {
  const wanted = options();
  const { version, failure } = versionOf(wanted.qemu);
  if (version === undefined) {
    process.stderr.write(`differential: NOTHING WAS COMPARED: ${failure}\n`);
    if (wanted.json) process.stdout.write(`${JSON.stringify({ schema: "quiesce/differential@1", compared: false })}\n`);
    return 4;
  }
  if (wanted.build) setUp();
  const library = await import(pathToFileURL(join(root, "dist", "interop", "index.js")).href);
  const laboratory = new Laboratory(library, wanted.qemu, version);
  // However this ends, no QEMU and no folder of its sockets stays behind.
  process.on("exit", () => laboratory.close());
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.on(signal, () => {
      interruption.signal = signal;
      laboratory.close();
    });
  const report = {
    schema: "quiesce/differential@1",
    compared: true,
    qemu: version,
    seed: `0x${wanted.seed.toString(16)}`,
    programs: 0,
    equal: 0,
    deviations: {},
    wrong: 0,
    ended: 0,
    staleUses: 0,
    failures: [],
  };
  const print = (text) => (wanted.json ? process.stderr : process.stdout).write(`${text}\n`);
  try {
    await laboratory.open();
    const first = wanted.only ?? 0;
    const end = wanted.only === undefined ? wanted.programs : first + 1;
    for (let number = first; number < end; number++) {
      if (process.stderr.isTTY) process.stderr.write(`\rprogram ${number} of ${end}`);
      const program = library.generateProgram(library.programSeed(wanted.seed, number), laboratory.config, version < 8);
      const result = await laboratory.compare(program);
      if (interruption.signal) break;
      report.programs++;
      report.equal += result.equal;
      report.wrong += result.wrong;
      report.ended += result.ended ? 1 : 0;
      report.staleUses += result.ours.staleUses;
      for (const { deviation } of result.findings)
        if (deviation) report.deviations[deviation.id] = (report.deviations[deviation.id] ?? 0) + 1;
      if (!failed(result)) continue;
      const failing = wanted.shrink ? await simplest(laboratory, program, result, library) : { program, result };
      const replay = `node scripts/differential.mjs --seed 0x${wanted.seed.toString(16)} --only ${number}`;
      report.failures.push({ program: number, replay, ended: failing.result.ended, simplest: failing.program });
      print(`\nprogram ${number}: ${reason(failing.result)}`);
      for (const line of library.describeProgram(failing.program)) print(`  ${line}`);
      for (const { step, difference, deviation } of failing.result.findings)
        print(`  step ${step}: ${textOf(difference)}${deviation ? ` [${deviation.id}]` : ""}`);
      print(`  replay: ${replay}`);
    }
  } catch (error) {
    // A QEMU that was stopped in the middle of something is what a signal asks for.
    if (!interruption.signal) throw error;
  } finally {
    laboratory.close();
  }
  report.compared = report.programs > 0;
  report.interrupted = interruption.signal !== undefined;
  if (process.stderr.isTTY) process.stderr.write("\r");
  if (wanted.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  if (report.interrupted) print(`interrupted: what follows is of the programs until then`);
  print(
    `QEMU ${version}: ${counted(report.programs, "program")}, ${counted(report.equal, "comparison")} equal, ${counted(report.wrong, "difference")} unexplained, ${counted(report.staleUses, "stale use")}, QEMU ended by itself ${counted(report.ended, "time")}`,
  );
  for (const [id, times] of Object.entries(report.deviations).sort(([a], [b]) => (a < b ? -1 : 1))) {
    print(`  ${String(times).padStart(6)}  ${id}: ${library.qemuDeviations.find((deviation) => deviation.id === id).title}`);
  }
  if (report.interrupted) return 130;
  if (report.failures.length > 0) return 1;
  if (report.compared) return 0;
  process.stderr.write("differential: NOTHING WAS COMPARED: no program was asked for\n");
  return 4;
}

// A reader that has seen enough is no failure.
process.stdout.on("error", (error) => process.exit(error.code === "EPIPE" ? 0 : 3));

main().then(
  (code) => (process.exitCode = code),
  (error) => fail(error.stack ?? String(error), 3),
);
