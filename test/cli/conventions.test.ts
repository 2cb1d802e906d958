// SPDX-License-Identifier: MIT
/** What every command keeps to: where output goes, how it ends, what it obeys. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inFolder, program, quiesce, root, start } from "./program.ts";

const oneLine = /^quiesce: [^\n]+\n$/;

describe("help and version", () => {
  test.each([[[]], [["matrix"]], [["run"]], [["order"]], [["regs"]]])(
    "quiesce %j --help has examples, goes to standard output and ends 0",
    async (words) => {
      const { code, stdout, stderr } = await quiesce([...words, "--help"]);
      expect(code).toBe(0);
      expect(stderr).toBe("");
      const examples = stdout.slice(stdout.indexOf("Examples:"));
      expect(examples.match(/^ {2}quiesce /gm)!.length).toBeGreaterThanOrEqual(2);
    },
  );

  test.each([
    [[]],
    [["matrix"]],
    [["run"]],
    [["order"]],
    [["decode"]],
    [["decode", "ste"]],
    [["decode", "dmesg"]],
    [["replay"]],
    [["explain"]],
    [["regs"]],
  ])("quiesce %j --help fits 80 columns, each example whole on one line", async (words) => {
    const { stdout } = await quiesce([...words, "--help"]);
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
    const examples = stdout.slice(stdout.indexOf("Examples:\n") + 10).trimEnd();
    for (const line of examples.split("\n")) expect(line).toMatch(/^( {2}(dmesg \| )?quiesce \S| {6}\S)/);
  });

  test("--version is that of the package", async () => {
    const { code, stdout } = await quiesce(["--version"]);
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${manifest.version}\n` });
  });
});

describe("bad usage ends 2 with one line on standard error and nothing on standard output", () => {
  test.each([
    ["no command", []],
    ["an unknown command", ["explode"]],
    ["an unknown option", ["regs", "--loud"]],
    ["an option without its value", ["run", "--seed"]],
    ["a seed that is no number", ["run", "--cell", "bypass/hdlcd/no-hook/kexec", "--seed", "soon"]],
    ["a seed that does not fit", ["matrix", "--seed", "9007199254740992"]],
    ["neither scenario nor cell", ["run"]],
    ["both scenario and cell", ["run", "a.yaml", "--cell", "bypass/hdlcd/no-hook/kexec"]],
    ["a cell that does not exist", ["run", "--cell", "bypass/hdlcd"]],
    ["a file that does not exist", ["run", "nowhere.yaml"]],
    ["no worker at all", ["matrix", "--jobs", "0"]],
    ["more workers than are sensible", ["matrix", "--jobs", "65"]],
    ["an empty filter", ["matrix", "--only", ""]],
    ["an empty filter after an equals sign", ["matrix", "--only="]],
    ["an empty name", ["regs", ""]],
    ["nothing to replay", ["replay"]],
    ["an empty recording", ["replay", "/dev/null"]],
    ["an empty path of a recording", ["replay", ""]],
    ["nothing to explain", ["explain"]],
    ["a register without its name", ["decode", "reg"]],
    ["a folder that cannot be", ["matrix", "--out", "/proc/xx"]],
    ["a folder that is a file", ["matrix", "--out", "/dev/null"]],
    ["a filter that no cell passes", ["matrix", "--only", "floppy"]],
    ["a register that does not exist", ["regs", "EAX"]],
    ["an unknown log level", ["run", "--cell", "bypass/hdlcd/no-hook/kexec", "--log-level", "loud"]],
  ])("%s", async (_what, words) => {
    const { code, stdout, stderr } = await quiesce(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(oneLine);
  });

  test.each([
    ["an unknown command", ["explode"], 'unknown command "explode"; possible: matrix, run, order, decode, explain, replay, regs'],
    [
      "a command misspelt",
      ["matrx"],
      'unknown command "matrx", did you mean matrix? Possible: matrix, run, order, decode, explain, replay, regs',
    ],
    ["an unknown structure", ["decode", "zz"], 'decode knows no "zz"; possible: ste, cd, cmd, event, pri, pte, l1std, l1cd, reg, dmesg'],
    ["an unknown option", ["regs", "--loud=3"], "unknown option --loud"],
    ["a word too many", ["regs", "CR0", "CR1"], 'unknown argument "CR1"'],
    ["an option without its value", ["run", "--seed"], "--seed needs a value"],
    ["an option twice", ["matrix", "--seed", "1", "--seed", "2"], "--seed is given 2 times"],
    ["a flag with a value", ["regs", "--json=maybe"], '--json takes no value, "maybe" was given'],
    ["what must be there", ["explain"], "name a --recording or a --state, one of them"],
    [
      "a value that is no choice",
      ["run", "--cell", "x", "--log-level", "loud"],
      '--log-level is "loud"; possible: silent, error, warn, info, debug',
    ],
  ])("%s, in plain words", async (_what, words, says) => {
    expect((await quiesce(words)).stderr).toBe(`quiesce: ${says}\n`);
  });

  test("every mistake of a scenario has a line of its own", async () => {
    await inFolder(async (folder) => {
      const file = join(folder, "bad.yaml");
      writeFileSync(file, "title: t\nstory: s\nsource: s\nmachine: { devices: [{ name: a, kind: hdlcd }] }\nwaydown: kexec\nfoo: 1\n");
      const { code, stderr } = await quiesce(["run", file]);
      expect(code).toBe(2);
      expect(stderr).toBe(`quiesce: ${file}:5:1: unknown key "waydown", did you mean wayDown?\nquiesce: ${file}:6:1: unknown key "foo"\n`);
    });
  });

  test("a scenario with an address that no bus has is told with file, line and column", async () => {
    await inFolder(async (folder) => {
      const file = join(folder, "far.yaml");
      const device = "{ name: a, kind: hdlcd, base: 4503599627370496 }";
      writeFileSync(file, `title: t\nstory: s\nsource: s\nmachine: { devices: [${device}] }\nwayDown: kexec\n`);
      const { code, stderr } = await quiesce(["run", file]);
      expect(code).toBe(2);
      expect(stderr).toBe(`quiesce: ${file}:4:52: a at 0x10000000000000 does not end within 48 address bits\n`);
    });
  });

  test("a bad scenario is told with file, line and column, and nothing is written", async () => {
    await inFolder(async (folder) => {
      const file = join(folder, "bad.yaml");
      writeFileSync(file, "title: t\nstory: s\nsource: s\nmachine: { devices: [{ name: a, kind: floppy }] }\nwayDown: kexec\n");
      const { code, stdout, stderr } = await quiesce(["run", file], { cwd: folder });
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toBe(`quiesce: ${file}:4:39: "machine.devices[0].kind" is "floppy"; possible: e1000e, hdlcd, tmc-etr\n`);
      expect(existsSync(join(folder, "out"))).toBe(false);
    });
  });

  test("bad usage of matrix writes nothing", async () => {
    await inFolder(async (folder) => {
      await quiesce(["matrix", "--seed", "x"], { cwd: folder });
      expect(existsSync(join(folder, "out"))).toBe(false);
    });
  });
});

describe("output", () => {
  test("a reader that closes the pipe ends the program quietly", async () => {
    const { stdout, stderr } = await start("bash", ["-c", `"${process.execPath}" "${program}" regs | head -n 1; echo "\${PIPESTATUS[0]}"`]);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^0x00000 .*\n0\n$/);
  });

  test.each([["regs"], ["regs --json"], ["run --cell abort/tmc-etr/quiescing/kexec"], ["matrix --only abort/tmc-etr/quiescing/kexec"]])(
    "quiesce %s to a full disk ends 3 with one line",
    async (words) => {
      const { code, stderr } = await start("bash", ["-c", `"${process.execPath}" "${program}" ${words} > /dev/full`]);
      expect({ code, stderr }).toEqual({ code: 3, stderr: "quiesce: standard output: no space left\n" });
    },
  );

  test("without a terminal there is no colour", async () => {
    const { stdout } = await quiesce(["regs", "CR0"]);
    expect(stdout).not.toContain("\u001b");
  });

  test("FORCE_COLOR asks for colour, NO_COLOR wins over it", async () => {
    expect((await quiesce(["regs", "CR0"], { env: { FORCE_COLOR: "1" } })).stdout).toContain("\u001b[");
    expect((await quiesce(["regs", "CR0"], { env: { FORCE_COLOR: "1", NO_COLOR: "1" } })).stdout).not.toContain("\u001b");
  });

  test("regs fits 80 columns, with and without fields", async () => {
    for (const words of [["regs"], ["regs", "CMDQ"], ["regs", "IDR"], ["regs", "GERROR"]]) {
      const { stdout } = await quiesce(words);
      expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
    }
  });

  test("regs finds a register by its offset as decode reg does", async () => {
    const { code, stdout } = await quiesce(["regs", "0x24"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^0x00024 +32 {2}RO {2}SMMU_CR0ACK /);
    expect(stdout).not.toContain("SMMU_CR0 ");
  });

  test("a scenario may come from standard input, or be named behind --", async () => {
    const scenario = "scenarios/kexec-bypass-trace.yaml";
    const named = await quiesce(["run", scenario]);
    expect((await quiesce(["run", "--", scenario])).stdout).toBe(named.stdout);
    const piped = await start("bash", ["-c", `"${process.execPath}" "${program}" run - <${scenario}`]);
    expect(piped.code).toBe(named.code);
    expect(piped.stdout.replaceAll(" run - ", ` run ${scenario} `)).toBe(named.stdout);
    const bad = await start("bash", ["-c", `echo "title: 3" | "${process.execPath}" "${program}" run -`]);
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringMatching(/^quiesce: standard input:1:8: /)]);
  });

  test("regs --json is one document with its schema, offsets in hexadecimal", async () => {
    const { code, stdout } = await quiesce(["regs", "CR0", "--json"]);
    expect(code).toBe(0);
    const document = JSON.parse(stdout) as { schema: string; registers: { name: string; offset: string }[] };
    expect(document.schema).toBe("quiesce/regs@1");
    expect(document.registers[0]).toMatchObject({ name: "SMMU_CR0", offset: "0x20" });
  });
});
