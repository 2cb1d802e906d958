// SPDX-License-Identifier: MIT
/** quiesce matrix --variants: the second table, its document and its file. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { expect, test } from "vitest";
import { variantsSchema } from "../../src/lab/matrix/schema.ts";
import { inFolder, quiesce } from "./program.ts";

const FEW = ["matrix", "--variants", "--only", "blocked/tmc-etr"];

test("prints the table and writes nothing", async () => {
  await inFolder(async (folder) => {
    const { code, stdout, stderr } = await quiesce(FEW, { cwd: folder });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^SMMU at shutdown {3}tmc-etr$/m);
    expect(stdout).toMatch(/^blocked +con +con +ok$/m);
    expect(readdirSync(folder)).toEqual([]);
  });
});

test("what was not asked for has no row, no column and no meaning", async () => {
  const { stdout } = await quiesce(["matrix", "--variants", "--only", "audit/hdlcd"]);
  expect(stdout).not.toMatch(/^(remove|gbpa-bypass|blocked|leave-on|kdump: adopt)/m);
  expect(stdout).not.toMatch(/tmc-etr|e1000e/);
  expect(stdout.match(/^audit/gm)).toHaveLength(3);
});

test("--help says what --only takes with --variants", async () => {
  const { stdout } = await quiesce(["matrix", "--help"]);
  expect(stdout.replace(/\s+/g, " ")).toContain("of variants: VARIANT/CLIENT/no-hook/WAY-DOWN");
});

test("--json prints one document of quiesce/variants@1, --out writes the same bytes", async () => {
  await inFolder(async (folder) => {
    const { stdout } = await quiesce([...FEW, "--json", "--out", folder]);
    expect(readFileSync(join(folder, "variants.json"), "utf8")).toBe(stdout);
    expect(readdirSync(folder).toSorted()).toEqual(["variants.html", "variants.json"]);
    expect(readFileSync(join(folder, "variants.html"), "utf8")).toContain('href="#cell-blocked-tmc-etr-no-hook-kexec"');
    const document = v.parse(variantsSchema, JSON.parse(stdout));
    expect(document.cells.map(({ wayDown }) => wayDown)).toEqual(["reboot", "kexec", "kdump"]);
  });
});

test("a name that no variant has is a mistake, and names one", async () => {
  const { code, stdout, stderr } = await quiesce(["matrix", "--variants", "--only", "abort/"]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toBe(
    "quiesce: --only abort/: no variant has that in its name; there are remove, gbpa-bypass, audit, blocked, leave-on, kdump/adopt\n",
  );
});

test("a variant that the matrix is asked for is told where it is", async () => {
  const { code, stderr } = await quiesce(["matrix", "--only", "audit"]);
  expect(code).toBe(2);
  expect(stderr).toBe("quiesce: --only audit: no cell has that in its name; a variant has: add --variants\n");
});

test("a cell of the table runs by itself", async () => {
  const { stdout } = await quiesce(["run", "--cell", "blocked/tmc-etr/no-hook/kexec"]);
  expect(stdout).toContain("verdict: contained");
});
