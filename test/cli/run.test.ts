// SPDX-License-Identifier: MIT
/** quiesce run: verdicts as exit codes, evidence, replay. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inFolder, program, quiesce, root, start } from "./program.ts";

const ABORT = "scenarios/kexec-abort-trace.yaml";

describe("exit code", () => {
  test("0 when the run is as its scenario expects", async () => {
    const { code, stderr } = await quiesce(["run", ABORT]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  test("1 when the verdict is another one, with the replay command", async () => {
    await inFolder(async (folder) => {
      const file = join(folder, "wrong.yaml");
      writeFileSync(file, readFileSync(join(root, ABORT), "utf8").replace("verdict: contained", "verdict: clean"));
      const { code, stdout } = await quiesce(["run", file, "--seed", "7"]);
      expect(code).toBe(1);
      expect(stdout).toContain("not as expected: the verdict is contained, clean was expected");
      expect(stdout.replaceAll(/ \\\n +/g, " ")).toContain(`replay:\nnode bin/quiesce.js run ${file} --seed 0x7\n`);
    });
  });

  test("1 when a claim that must hold is broken", async () => {
    await inFolder(async (folder) => {
      const file = join(folder, "wrong.yaml");
      writeFileSync(
        file,
        readFileSync(join(root, ABORT), "utf8")
          .replace("holds: [", "holds: [no-dma-after-own-shutdown, ")
          .replace("  broken: [no-dma-after-own-shutdown]\n", ""),
      );
      const { code, stdout } = await quiesce(["run", file]);
      expect(code).toBe(1);
      expect(stdout).toContain("not as expected: no-dma-after-own-shutdown is broken, it was expected to hold");
    });
  });

  test("1 for a cell of the matrix, which expects nothing, if it breaks a claim; 0 if it breaks none", async () => {
    const [broken, clean] = await Promise.all([
      quiesce(["run", "--cell", "abort/tmc-etr/no-hook/kexec"]),
      quiesce(["run", "--cell", "abort/tmc-etr/quiescing/kexec"]),
    ]);
    expect(broken.code).toBe(1);
    expect(broken.stdout).toContain("verdict: contained");
    expect(clean.code).toBe(0);
  });

  test("1 for a scenario without expectations that breaks a claim", async () => {
    await inFolder(async (folder) => {
      const file = join(folder, "open.yaml");
      writeFileSync(file, readFileSync(join(root, ABORT), "utf8").replace(/^expect:[^]*/m, ""));
      expect((await quiesce(["run", file])).code).toBe(1);
    });
  });
});

describe("output", () => {
  test("text fits 80 columns, but for the replay command", async () => {
    const { stdout } = await quiesce(["run", "scenarios/kdump-nic.yaml"]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.at(-2)).toBe("replay:");
    expect(lines.slice(0, -1).filter((line) => line.length > 80)).toEqual([]);
  });

  test("the replay command can be pasted where the program was called, by the path it was called by", async () => {
    await inFolder(async (folder) => {
      const name = "my 'own'.yaml";
      writeFileSync(join(folder, name), readFileSync(join(root, ABORT), "utf8"));
      const first = await quiesce(["run", name], { cwd: folder });
      const command = first.stdout.trimEnd().split("\n").at(-1)!;
      expect(command).toBe(`node ${program} run 'my '\\''own'\\''.yaml' --seed 0x1`);
      expect((await start("bash", ["-c", command], { cwd: folder })).stdout).toBe(first.stdout);
    });
  });

  test("as JSON the replay command does not depend on the place", async () => {
    const at = async (cwd: string): Promise<string> =>
      (await quiesce(["run", "--cell", "abort/tmc-etr/quiescing/kexec", "--json"], { cwd })).stdout;
    await inFolder(async (folder) => expect(await at(folder)).toBe(await at(root)));
  });

  test("who is first and who second is said once", async () => {
    const { stdout } = await quiesce(["run", ABORT]);
    expect(stdout.match(/first: the kernel that goes down, second: the next/g)).toHaveLength(1);
  });

  test("who gave memory away is said once in a line of evidence", async () => {
    const { stdout } = await quiesce(["run", "--cell", "none/tmc-etr/no-hook/kexec"]);
    const evidence = stdout
      .replace(/\n {16}/g, " ")
      .split("\n")
      .filter((line) => line.includes("given away by"));
    expect(evidence).not.toEqual([]);
    expect(evidence.filter((line) => line.includes("given up by"))).toEqual([]);
  });

  test("an oops shows message, task and device of the simulated kernel, and no stack of this program", async () => {
    const { stdout, stderr } = await quiesce(["run", "--cell", "bypass/tmc-etr/no-hook/kexec"]);
    expect(stdout).toMatch(/second kernel oopsed at \+[0-9.]+ ms\n {2}\S/);
    expect(stdout).toMatch(/ {2}task swapper\/0, device none/);
    expect(stdout + stderr).not.toMatch(/^ +at .*\.js:/m);
  });

  test("--json is one document: the schema, addresses in hexadecimal, the same bytes for the same seed", async () => {
    const [one, two] = await Promise.all([quiesce(["run", ABORT, "--json"]), quiesce(["run", ABORT, "--json"])]);
    expect(one.stdout).toBe(two.stdout);
    const document = JSON.parse(one.stdout) as {
      schema: string;
      seed: string;
      verdict: string;
      claims: { claim: string; evidence: { address?: string }[] }[];
    };
    expect(document).toMatchObject({ schema: "quiesce/run@1", seed: "0x1", verdict: "contained" });
    expect(document.claims.find(({ claim }) => claim === "no-dma-after-own-shutdown")?.evidence[0]?.address).toMatch(/^0x[0-9a-f]+$/);
  });

  test("a seed may come from the environment, and the option wins", async () => {
    const env = { QUIESCE_SEED: "0x2a" };
    expect((await quiesce(["run", ABORT], { env })).stdout).toContain("--seed 0x2a");
    expect((await quiesce(["run", ABORT, "--seed", "3"], { env })).stdout).toContain("--seed 0x3");
  });

  test("--log-level debug adds the kernels' logs on standard error, without time stamps of this machine", async () => {
    const { stderr } = await quiesce(["run", ABORT, "--log-level", "debug"]);
    const lines = stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.some(({ kernel, msg }) => kernel === "second" && String(msg).startsWith("Booting"))).toBe(true);
    expect(lines.every((line) => !("time" in line) && !("pid" in line))).toBe(true);
  });
});

describe("--dtb", () => {
  const BOARD = "test/fixtures/dtb/board.dtb";

  test("puts a scenario on the board of a device tree, and its replay command says so", async () => {
    const { stdout, stderr } = await quiesce(["run", "--dtb", BOARD, ABORT]);
    expect(stderr).toBe("");
    expect(stdout).toContain("arm-smmu-v3 bound to 2b400000.iommu");
    expect(stdout.replaceAll(/ \\\n +/g, " ")).toContain(`node bin/quiesce.js run ${ABORT} --dtb ${BOARD} --seed 0x1`);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  test("takes the blob from standard input", async () => {
    const { code, stdout } = await quiesce(["run", "--dtb", "-", ABORT], { input: readFileSync(BOARD) });
    expect(code).toBeLessThan(2);
    expect(stdout).toContain("arm-smmu-v3 bound to 2b400000.iommu");
  });

  test.each<[string, readonly string[], string]>([
    ["a blob that is none", ["--dtb", "package.json", ABORT], "package.json: at byte 0x0: no device tree blob"],
    [
      "a client that the board has not",
      ["--dtb", "test/fixtures/dtb/qemu-virt-smmuv3.dtb", ABORT],
      "no arm,coresight-tmc of that name in the tree",
    ],
    ["both from standard input", ["--dtb", "-", "-"], "the scenario and --dtb cannot both come from standard input"],
    ["a cell", ["--dtb", BOARD, "--cell", "bypass/hdlcd/no-hook/kexec"], "--dtb goes with a scenario"],
  ])("%s is bad usage", async (_what, words, says) => {
    const { code, stdout, stderr } = await quiesce(["run", ...words]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^quiesce: [^\n]+\n$/);
    expect(stderr).toContain(says);
  });
});
