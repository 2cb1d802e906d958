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
    expect(stdout).toMatch(/^blocked( +-){6} +con +con +ok$/m);
    expect(readdirSync(folder)).toEqual([]);
  });
});

test("--json prints one document of quiesce/variants@1, --out writes the same bytes", async () => {
  await inFolder(async (folder) => {
    const { stdout } = await quiesce([...FEW, "--json", "--out", folder]);
    expect(readFileSync(join(folder, "variants.json"), "utf8")).toBe(stdout);
    expect(readdirSync(folder)).toEqual(["variants.json"]);
    const document = v.parse(variantsSchema, JSON.parse(stdout));
    expect(document.cells.map(({ wayDown }) => wayDown)).toEqual(["reboot", "kexec", "kdump"]);
  });
});

test("a name that no variant has is a mistake, and names one", async () => {
  const { code, stdout, stderr } = await quiesce(["matrix", "--variants", "--only", "abort/"]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toBe("quiesce: --only abort/: no variant has that in its name, as in audit/hdlcd/no-hook/kexec\n");
});

test("a cell of the table runs by itself", async () => {
  const { stdout } = await quiesce(["run", "--cell", "blocked/tmc-etr/no-hook/kexec"]);
  expect(stdout).toContain("verdict: contained");
});
