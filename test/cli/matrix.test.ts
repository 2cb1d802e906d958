// SPDX-License-Identifier: MIT
/** quiesce matrix: files, documents, interruption. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { matrixSchema } from "../../src/lab/matrix/schema.ts";
import { inFolder, quiesce } from "./program.ts";

const FEW = ["matrix", "--only", "tmc-etr/no-hook"];

describe("a part of the matrix", () => {
  test("ends 0 although cells are corrupt, prints text and says where the files are", async () => {
    await inFolder(async (folder) => {
      const { code, stdout, stderr } = await quiesce([...FEW, "--out", join(folder, "a/b")]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain("COR");
      expect(stdout).toContain(`wrote ${join(folder, "a/b", "matrix.html")}`);
      expect(readdirSync(join(folder, "a/b")).sort()).toEqual(["matrix.html", "matrix.json"]);
    });
  });

  test("--json prints what it writes: one document that its schema accepts, the same bytes for the same seed", async () => {
    await inFolder(async (folder) => {
      const [one, two] = await Promise.all([
        quiesce([...FEW, "--json", "--seed", "5", "--jobs", "1", "--out", join(folder, "1")]),
        quiesce([...FEW, "--json", "--seed", "0x5", "--jobs", "2", "--out", join(folder, "2")]),
      ]);
      expect(one.stdout).toBe(two.stdout);
      expect(readFileSync(join(folder, "1/matrix.json"), "utf8")).toBe(one.stdout);
      expect(readFileSync(join(folder, "1/matrix.html"), "utf8")).toBe(readFileSync(join(folder, "2/matrix.html"), "utf8"));
      const document = v.parse(matrixSchema, JSON.parse(one.stdout));
      expect(document).toMatchObject({ seed: "0x5", complete: false, only: "tmc-etr/no-hook" });
      expect(document.cells).toHaveLength(15);
      expect(document.order).toHaveLength(24);
    });
  });

  test("says on top and at the end that it is partial, and concludes nothing", async () => {
    const { stdout, stderr, code } = await quiesce(FEW);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const note =
      /PARTIAL: 15 of 135 cells, because only cells with "tmc-etr\/no-hook" in their\nnames were asked for\. No conclusion is drawn\./g;
    expect(stdout.match(note)).toHaveLength(2);
    expect(stdout.startsWith("PARTIAL")).toBe(true);
    expect(stdout).not.toMatch(/borne out|in part|contradicted|What stops/);
  });

  test("writes nothing unless --out is given", async () => {
    await inFolder(async (folder) => {
      const { stdout } = await quiesce(FEW, { cwd: folder });
      expect(stdout).not.toContain("wrote");
      expect(readdirSync(folder)).toEqual([]);
    });
  });

  test("does not replace a complete matrix", async () => {
    await inFolder(async (folder) => {
      const whole = '{\n  "schema": "quiesce/matrix@1",\n  "seed": "0x1",\n  "complete": true\n}\n';
      writeFileSync(join(folder, "matrix.json"), whole);
      const { code, stderr } = await quiesce([...FEW, "--out", folder]);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^quiesce: \S+matrix\.json is a complete matrix, [^\n]+\n$/);
      expect(readFileSync(join(folder, "matrix.json"), "utf8")).toBe(whole);
    });
  });

  test("has as many workers as asked for, without a warning", async () => {
    const { code, stderr } = await quiesce([...FEW, "--jobs", "12"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  test("writes all or nothing: a folder in the place of one file leaves no other file", async () => {
    await inFolder(async (folder) => {
      mkdirSync(join(folder, "matrix.html"));
      const { code, stdout, stderr } = await quiesce([...FEW, "--out", folder]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(/^quiesce: \S+matrix\.html: is not a file that could be replaced\n$/);
      expect(readdirSync(folder)).toEqual(["matrix.html"]);
    });
  });

  test("a cell's replay command gives the cell's verdict", async () => {
    await inFolder(async (folder) => {
      const { stdout } = await quiesce(["matrix", "--only", "none/tmc-etr/no-hook/kexec", "--json", "--out", folder]);
      const cell = v.parse(matrixSchema, JSON.parse(stdout)).cells[0]!;
      expect(cell.replay.startsWith("node bin/quiesce.js ")).toBe(true);
      const replayed = await quiesce(cell.replay.split(" ").slice(2));
      expect(replayed.stdout).toContain(`verdict: ${cell.verdict} (`);
    });
  });
});

test("an interrupt ends 130 with the partial result beside a complete one", async () => {
  await inFolder(async (folder) => {
    writeFileSync(join(folder, "matrix.json"), "complete\n");
    let killed = false;
    const { code, stdout, stderr } = await quiesce(["matrix", "--out", folder, "--log-level", "info"], {
      onStderr: (text, kill) => {
        if (killed || !text.includes('"running"')) return;
        killed = true;
        kill("SIGINT");
      },
    });
    expect(code).toBe(130);
    expect(stderr).not.toContain("Error");
    expect(stderr).toMatch(
      /quiesce: interrupted after \d+ of 135 cells: the partial result is in \S+matrix\.partial\.json and \S+matrix\.partial\.html\n$/,
    );
    expect(stdout).toContain("because the run was interrupted");
    const document = v.parse(matrixSchema, JSON.parse(readFileSync(join(folder, "matrix.partial.json"), "utf8")));
    expect(document.complete).toBe(false);
    expect(readFileSync(join(folder, "matrix.partial.html"), "utf8")).toContain("PARTIAL");
    expect(readFileSync(join(folder, "matrix.json"), "utf8")).toBe("complete\n");
  });
});
