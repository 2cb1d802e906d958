// SPDX-License-Identifier: MIT
/** What every command keeps to: where output goes, how it ends, what it obeys. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inFolder, program, quiesce, root, start } from "./program.ts";

const oneLine = /^quiesce: [^\n]+\n$/;

describe("help and version", () => {
  test.each([[[]], [["matrix"]], [["run"]], [["regs"]]])(
    "quiesce %j --help has two examples, goes to standard output and ends 0",
    async (words) => {
      const { code, stdout, stderr } = await quiesce([...words, "--help"]);
      expect(code).toBe(0);
      expect(stderr).toBe("");
      const examples = stdout.slice(stdout.indexOf("Examples:"));
      expect(examples.match(/^ {2}quiesce /gm)).toHaveLength(2);
    },
  );

  test("help fits 80 columns", async () => {
    const { stdout } = await quiesce(["matrix", "--help"]);
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
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
    ["a filter that no cell passes", ["matrix", "--only", "floppy"]],
    ["a register that does not exist", ["regs", "EAX"]],
    ["an unknown log level", ["run", "--cell", "bypass/hdlcd/no-hook/kexec", "--log-level", "loud"]],
  ])("%s", async (_what, words) => {
    const { code, stdout, stderr } = await quiesce(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(oneLine);
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

  test("without a terminal there is no colour", async () => {
    const { stdout } = await quiesce(["regs", "CR0"]);
    expect(stdout).not.toContain("\u001b");
  });

  test("FORCE_COLOR asks for colour, NO_COLOR wins over it", async () => {
    expect((await quiesce(["regs", "CR0"], { env: { FORCE_COLOR: "1" } })).stdout).toContain("\u001b[");
    expect((await quiesce(["regs", "CR0"], { env: { FORCE_COLOR: "1", NO_COLOR: "1" } })).stdout).not.toContain("\u001b");
  });

  test("regs --json is one document with its schema, offsets in hexadecimal", async () => {
    const { code, stdout } = await quiesce(["regs", "CR0", "--json"]);
    expect(code).toBe(0);
    const document = JSON.parse(stdout) as { schema: string; registers: { name: string; offset: string }[] };
    expect(document.schema).toBe("quiesce/regs@1");
    expect(document.registers[0]).toMatchObject({ name: "SMMU_CR0", offset: "0x20" });
  });
});
