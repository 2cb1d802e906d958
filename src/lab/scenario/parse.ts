// SPDX-License-Identifier: MIT
/** Reads the text of a scenario file. Whatever is wrong with it becomes one line with file, line and column. */
import * as v from "valibot";
import { LineCounter, isMap, isNode, isScalar, isSeq, parseDocument, type Document, type Node } from "yaml";
import { checkScenario } from "./check.ts";
import { scenarioSchema } from "./schema.ts";
import type { Scenario } from "./types.ts";

/** The scenario cannot be used. The message is `file:line:column: what is wrong`. */
export class ScenarioError extends Error {
  readonly code = "BAD_SCENARIO";
}

type Path = readonly (string | number)[];

/** The node at a path, or the deepest one on the way to it; for a key that should not be there, the key itself. */
function nodeAt(document: Document, path: Path): Node | null {
  let node: Node | null = document.contents;
  for (const key of path) {
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
      next = pair?.value ?? pair?.key;
    } else if (isSeq(node) && typeof key === "number") {
      next = node.items[key];
    }
    if (!isNode(next)) return node;
    node = next;
  }
  return node;
}

function keyAt(document: Document, path: Path): Node | null {
  const parent = nodeAt(document, path.slice(0, -1));
  if (!isMap(parent)) return parent;
  const key = parent.items.find((item) => isScalar(item.key) && item.key.value === path.at(-1))?.key;
  return isNode(key) ? key : parent;
}

function nameOf(path: Path): string {
  return path.map((key, index) => (typeof key === "number" ? `[${key}]` : index === 0 ? key : `.${key}`)).join("");
}

/** One issue of the schema in plain words. */
function explain(issue: v.BaseIssue<unknown>, path: Path): string {
  const name = nameOf(path);
  if (issue.type === "strict_object" && issue.expected === "never") return `unknown key "${String(path.at(-1))}"`;
  if (issue.type === "strict_object" && path.length === 0) return "a scenario is a mapping of keys to values";
  if (issue.received === "undefined") return `"${name}" is missing`;
  if (issue.kind === "validation") return `"${name}" ${issue.message} (${issue.received})`;
  const options =
    issue.type === "picklist"
      ? issue.expected
          ?.replace(/^\(|\)$/g, "")
          .replaceAll(" | ", ", ")
          .replaceAll('"', "")
      : undefined;
  if (options !== undefined) return `"${name}" is ${issue.received}; possible: ${options}`;
  return `"${name}" should be ${(issue.expected ?? "something else").toLowerCase()}, not ${issue.received}`;
}

/**
 * Parses and checks a scenario.
 * @param file its name, for messages only
 * @throws ScenarioError with the first thing that is wrong, in the order of the text
 */
export function parseScenario(text: string, file: string): Scenario {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const fail = (offset: number, message: string): never => {
    const { line, col } = lines.linePos(offset);
    throw new ScenarioError(`${file}:${Math.max(line, 1)}:${Math.max(col, 1)}: ${message}`);
  };
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem) return fail(problem.pos[0], problem.message.replace(/\s+/g, " "));

  const result = v.safeParse(scenarioSchema, document.toJS({ maxAliasCount: 16 }));
  if (!result.success) {
    const found = result.issues.map((issue) => {
      const path = (issue.path ?? []).map((item) => item.key as string | number);
      const unknown = issue.type === "strict_object" && issue.expected === "never";
      const node = unknown ? keyAt(document, path) : nodeAt(document, path);
      return { offset: node?.range?.[0] ?? 0, message: explain(issue, path) };
    });
    const first = found.reduce((a, b) => (b.offset < a.offset ? b : a));
    return fail(first.offset, first.message);
  }
  const unfit = checkScenario(result.output)[0];
  if (unfit) return fail(nodeAt(document, unfit.path)?.range?.[0] ?? 0, unfit.message);
  return result.output;
}
