// SPDX-License-Identifier: MIT
/**
 * The rules of the house hold because a check enforces each of them. This file proves the checks: it plants one violation
 * per rule in a copy of the tree and expects the compiler or the linter to name the planted file.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

interface Violation {
  readonly rule: string;
  /** Where the violating file is planted. */
  readonly file: string;
  readonly code: string;
  /** What the checker's line about that file must say. */
  readonly says: RegExp;
}

const imports = (path: string): string => `import * as other from "${path}";\nexport const planted: unknown = other;\n`;

const FLOORS = ["sim", "hw", "kernel", "drivers", "lab", "interop", "cli"] as const;
const BELOW_CLI = FLOORS.filter((floor) => floor !== "cli");
const ALLOWED: Record<(typeof FLOORS)[number], readonly string[]> = {
  sim: [],
  hw: ["sim"],
  kernel: ["sim"],
  drivers: ["sim", "kernel"],
  lab: ["sim", "hw", "kernel", "drivers"],
  interop: ["sim", "hw", "kernel", "drivers", "lab"],
  cli: ["sim", "hw", "kernel", "drivers", "lab", "interop"],
};

/** Every import that no floor may make, from the table of those it may. */
const upward: Violation[] = FLOORS.flatMap((floor) =>
  FLOORS.filter((other) => other !== floor && !ALLOWED[floor].includes(other)).map((other) => ({
    rule: `${floor} does not import ${other}`,
    file: `src/${floor}/planted-${other}.ts`,
    code: imports(`../${other}/${other === "cli" ? "main" : "index"}.ts`),
    says: /TS6059|TS6307/,
  })),
);

const nodeKnowledge: Violation[] = BELOW_CLI.flatMap((floor) => [
  {
    rule: `${floor} does not import Node's modules`,
    file: `src/${floor}/planted-node.ts`,
    code: imports("node:fs"),
    says: /TS2591|TS2307|TS2580/,
  },
  {
    rule: `${floor} does not know the global process`,
    file: `src/${floor}/planted-process.ts`,
    code: "export const planted: unknown = process;\n",
    says: /TS2591|TS2580|TS2304/,
  },
  {
    rule: `${floor} does not log to the console`,
    file: `src/${floor}/planted-console.ts`,
    code: 'console.log("planted");\nexport const planted = 1;\n',
    says: /TS2584|TS2304/,
  },
]);

const lint: Violation[] = [
  ...upward.map((violation) => ({ ...violation, says: /no-restricted-imports/ })).filter(({ file }) => !file.includes("src/cli")),
  ...BELOW_CLI.flatMap((floor) => [
    {
      rule: `${floor} takes no time from the wall`,
      file: `src/${floor}/planted-date.ts`,
      code: "export const planted: number = Date.now();\n",
      says: /no-restricted-properties/,
    },
    {
      rule: `${floor} takes no randomness but the simulation's`,
      file: `src/${floor}/planted-random.ts`,
      code: "export const planted: number = Math.random();\n",
      says: /no-restricted-properties/,
    },
    {
      rule: `${floor} does not import the logger`,
      file: `src/${floor}/planted-pino.ts`,
      code: imports("pino"),
      says: /no-restricted-imports/,
    },
  ]),
  {
    rule: "files do not import each other in a circle",
    file: "src/sim/planted-cycle-a.ts",
    code: 'import { b } from "./planted-cycle-b.ts";\nexport const a: number = b + 1;\n',
    says: /no-cycle/,
  },
  {
    rule: "unsafeCompareBufferSources, whose result is inverted, is not used",
    file: "src/cli/planted-compare.ts",
    code: 'import { unsafeCompareBufferSources } from "typed-array-utils";\nexport const planted: unknown = unsafeCompareBufferSources;\n',
    says: /no-restricted-imports/,
  },
];

let copy = "";

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), "quiesce-layers-"));
  for (const entry of ["src", "dist", "package.json", "tsconfig.base.json", "tsconfig.json", ".oxlintrc.json", ".gitignore"]) {
    cpSync(join(root, entry), join(copy, entry), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"), "dir");
});

afterAll(() => {
  rmSync(copy, { recursive: true, force: true });
});

function check(tool: string, args: readonly string[]): { readonly status: number; readonly output: string } {
  const result = spawnSync(process.execPath, [join(root, "node_modules", tool), ...args], { cwd: copy, encoding: "utf8" });
  return { status: result.status ?? -1, output: result.stdout + result.stderr };
}

const compile = (floor: string): { readonly status: number; readonly output: string } =>
  check("typescript/bin/tsc", ["-p", `src/${floor}`, "--noEmit", "--pretty", "false"]);
const oxlint = (): { readonly status: number; readonly output: string } => check("oxlint/bin/oxlint", ["--format", "unix", "src"]);

function plant(violations: readonly Violation[]): () => void {
  for (const { file, code } of violations) writeFileSync(join(copy, file), code);
  return () => {
    for (const { file } of violations) rmSync(join(copy, file));
  };
}

/** The messages about a file, with their further lines, which are indented. */
function messagesAbout(output: string, file: string): string {
  const messages = output.replaceAll(/\n(?=\s)/g, " ").split("\n");
  return messages.filter((message) => message.includes(file)).join("\n");
}

describe("the compiler keeps the layers", () => {
  test.each(FLOORS)("%s: the tree as it is compiles, each planted violation does not", (floor) => {
    expect(compile(floor)).toEqual({ status: 0, output: "" });
    // Apart: a wrong import of cli would bring Node's types along.
    for (const kind of [upward, nodeKnowledge]) {
      const violations = kind.filter(({ file }) => file.startsWith(`src/${floor}/`));
      const remove = plant(violations);
      try {
        const { output } = compile(floor);
        for (const { file, says, rule } of violations) expect(messagesAbout(output, file), rule).toMatch(says);
      } finally {
        remove();
      }
    }
  });
});

describe("the linter keeps the layers", () => {
  test("the tree as it is passes, each planted violation is named", () => {
    expect(oxlint().status).toBe(0);
    const cycle = {
      rule: "",
      file: "src/sim/planted-cycle-b.ts",
      code: 'import { a } from "./planted-cycle-a.ts";\nexport const b: number = a + 1;\n',
      says: /./,
    };
    const remove = plant([...lint, cycle]);
    try {
      const { status, output } = oxlint();
      expect(status).not.toBe(0);
      for (const { file, says, rule } of lint) expect(messagesAbout(output, file), rule).toMatch(says);
    } finally {
      remove();
    }
  });
});

describe("tables hold facts", () => {
  test("the files in spec/ folders contain no functions", () => {
    const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((file) =>
      /(^|[\\/])spec[\\/].*\.ts$/.test(file),
    );
    expect(files.length).toBeGreaterThan(0);
    const withLogic = files.filter((file) =>
      /\bfunction\b|=>|\bclass\b|\bif\s*\(|\bfor\s*\(/.test(withoutComments(readFileSync(join(root, "src", file), "utf8"))),
    );
    expect(withLogic).toEqual([]);
  });
});

function withoutComments(code: string): string {
  return code.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*|"(?:[^"\\]|\\.)*"/g, "");
}

describe("every file names its licence", () => {
  test("GPL-2.0-only in kernel and drivers and in their tests, MIT elsewhere", () => {
    const wrong: string[] = [];
    for (const folder of ["src", "test", "scripts", "bench", "bin", "examples"]) {
      for (const file of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
        if (!/\.(ts|mjs|js)$/.test(file)) continue;
        const licence = (folder === "src" || folder === "test") && /^(kernel|drivers)[\\/]/.test(file) ? "GPL-2.0-only" : "MIT";
        const head = readFileSync(join(root, folder, file), "utf8")
          .split("\n", 3)
          .join("\n");
        if (!head.includes(`SPDX-License-Identifier: ${licence}\n`) && !head.endsWith(`SPDX-License-Identifier: ${licence}`))
          wrong.push(`${folder}/${file}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
