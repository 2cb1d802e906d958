// SPDX-License-Identifier: MIT
/** LICENSE says that each file names its licence in its first line: so does each file that was compiled from one. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const firstLine = (path: string): string => readFileSync(path, "utf8").split("\n", 1)[0]!;

test.each([".js", ".d.ts"])("each %s in dist has its source's licence line (npm run build puts it there)", (extension) => {
  const outputs = readdirSync(join(root, "dist"), { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(extension) && !name.startsWith("."),
  );
  const wrong = outputs.filter((name) => {
    const source = join(root, "src", `${name.slice(0, -extension.length)}.ts`);
    if (!existsSync(source)) return false;
    const line = firstLine(source);
    const licence = /^(?:kernel|drivers)\//.test(name) ? "GPL-2.0-only" : "MIT";
    return line !== `// SPDX-License-Identifier: ${licence}` || firstLine(join(root, "dist", name)) !== line;
  });
  expect(outputs.length).toBeGreaterThan(400);
  expect(wrong).toEqual([]);
});
