// SPDX-License-Identifier: MIT
/** quiesce matrix: files, documents, interruption. */
import { readdirSync, readFileSync } from "node:fs";
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
      expect(document).toMatchObject({ seed: "0x5", complete: true });
      expect(document.cells).toHaveLength(15);
      expect(document.order).toHaveLength(24);
    });
  });

  test("a cell's replay command gives the cell's verdict", async () => {
    await inFolder(async (folder) => {
      const { stdout } = await quiesce(["matrix", "--only", "none/tmc-etr/no-hook/kexec", "--json", "--out", folder]);
      const cell = v.parse(matrixSchema, JSON.parse(stdout)).cells[0]!;
      expect(cell.replay.startsWith("node bin/quiesce.js ")).toBe(true);
      const replayed = await quiesce(cell.replay.split(" ").slice(2));
      expect(replayed.stdout).toContain(`verdict: ${cell.verdict}\n`);
    });
  });
});

test("an interrupt ends 130 with the partial result written", async () => {
  await inFolder(async (folder) => {
    let killed = false;
    const { code, stderr } = await quiesce(["matrix", "--out", folder, "--log-level", "info"], {
      onStderr: (text, kill) => {
        if (killed || !text.includes('"running"')) return;
        killed = true;
        kill("SIGINT");
      },
    });
    expect(code).toBe(130);
    expect(stderr).not.toContain("Error");
    const document = v.parse(matrixSchema, JSON.parse(readFileSync(join(folder, "matrix.json"), "utf8")));
    expect(document.complete).toBe(false);
    expect(readFileSync(join(folder, "matrix.html"), "utf8")).toContain("Interrupted");
  });
});
