// SPDX-License-Identifier: MIT
/** quiesce run: verdicts as exit codes, evidence, replay. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inFolder, quiesce, root } from "./program.ts";

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
      expect(stdout).toContain(`replay:  node bin/quiesce.js run ${file} --seed 0x7`);
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
    const { stdout } = await quiesce(["run", ABORT]);
    expect(stdout.split("\n").filter((line) => line.length > 80 && !line.startsWith("replay:"))).toEqual([]);
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
