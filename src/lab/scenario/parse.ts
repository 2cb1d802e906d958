// SPDX-License-Identifier: MIT
/** Reads the text of a scenario file. Each thing that is wrong with it becomes one line with file, line and column. */
import * as v from "valibot";
import { LineCounter, isMap, isNode, isScalar, isSeq, parseDocument, type Document, type Node } from "yaml";
import { nearest } from "../../hw/index.ts";
import { checkScenario } from "./check.ts";
import { knownKeys } from "./json-schema.ts";
import { scenarioFileSchema, scenarioSchema } from "./schema.ts";
import type { Scenario } from "./types.ts";
import { yamlFlaw } from "./yaml-words.ts";

/** The scenario cannot be used. Each line of the message is `file:line:column: what is wrong`. */
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

interface Found {
  readonly path: Path;
  readonly message: string;
  /** Where it is told: at a key itself, at its value, or, of what is missing, after all else. */
  readonly at: "key" | "value" | "missing";
}

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping of keys to values",
  strict_object: "a mapping of keys to values",
};

/** A value as a reader of the file would call it. */
function called(value: unknown): string {
  if (value === null || value === undefined) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return typeof value === "string" ? `the text ${JSON.stringify(value)}` : `${value as string | number | boolean}`;
}

/** One issue of the schema in plain words. */
function explain(issue: v.BaseIssue<unknown>, path: Path): string {
  const name = nameOf(path);
  if (issue.kind === "validation") return `"${name}" ${issue.message}${Array.isArray(issue.input) ? "" : ` (${issue.received})`}`;
  if (issue.type === "picklist") {
    const options = (issue.expected ?? "")
      .replace(/^\(|\)$/g, "")
      .replaceAll(" | ", ", ")
      .replaceAll('"', "");
    const meant = typeof issue.input === "string" ? nearest(issue.input, options.split(", ")) : undefined;
    const value = typeof issue.input === "string" ? issue.received : called(issue.input);
    return `"${name}" is ${value}${meant === undefined ? "" : `, did you mean ${meant}?`}${meant === undefined ? "; possible: " : " Possible: "}${options}`;
  }
  return `"${name}" should be ${KINDS[issue.type] ?? "something else"}, not ${called(issue.input)}`;
}

const pathOf = (issue: v.BaseIssue<unknown>): (string | number)[] => (issue.path ?? []).map((item) => item.key as string | number);

/**
 * Checks the shape. The schema tells one unknown key of each mapping, so those are taken out and it is asked again.
 * A key that is missing is not told where an unknown one beside it looks like it.
 */
function checkShape(value: unknown): { readonly found: readonly Found[]; readonly scenario?: Scenario } {
  const found: Found[] = [];
  const meantKeys = new Set<string>();
  for (;;) {
    const result = v.safeParse(scenarioSchema, value);
    if (result.success) return { found, scenario: result.output };
    const unknown = result.issues.filter((issue) => issue.type === "strict_object" && issue.expected === "never");
    for (const issue of unknown) {
      const path = pathOf(issue);
      const key = String(path.at(-1));
      const holder = issue.path?.at(-1)?.input as Record<string, unknown>;
      const free = knownKeys(scenarioFileSchema, path.slice(0, -1)).filter((candidate) => !(candidate in holder));
      const meant = nearest(key, free);
      if (meant !== undefined) meantKeys.add(nameOf([...path.slice(0, -1), meant]));
      found.push({ path, at: "key", message: `unknown key "${key}"${meant === undefined ? "" : `, did you mean ${meant}?`}` });
      delete holder[key];
    }
    if (unknown.length > 0) continue;
    for (const issue of result.issues) {
      const path = pathOf(issue);
      const name = nameOf(path);
      if (issue.received !== "undefined") found.push({ path, at: "value", message: explain(issue, path) });
      else if (!meantKeys.has(name)) found.push({ path, at: "missing", message: `"${name}" is missing` });
    }
    return { found };
  }
}

/**
 * Parses and checks a scenario.
 * @param file its name, for messages only
 * @throws ScenarioError with everything that is wrong, a line for each, in the order of the text; what is missing comes last
 */
export function parseScenario(text: string, file: string): Scenario {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const told = (offset: number, message: string): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}: ${message}`;
  };
  const fail = (found: readonly Found[]): never => {
    const placed = found.map(({ path, at, message }) => {
      const node = at === "key" ? keyAt(document, path) : nodeAt(document, path);
      return { offset: node?.range?.[0] ?? 0, last: at === "missing" ? 1 : 0, message };
    });
    placed.sort((a, b) => a.last - b.last || a.offset - b.offset);
    throw new ScenarioError(placed.map(({ offset, message }) => told(offset, message)).join("\n"));
  };
  const flaw = yamlFlaw(document);
  if (flaw) throw new ScenarioError(told(flaw.offset, flaw.message));

  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 16 });
  } catch {
    throw new ScenarioError(told(0, "aliases stand for too much here: write the values out"));
  }
  const { found, scenario } = checkShape(value);
  if (scenario === undefined || found.length > 0) return fail(found);
  const unfit = checkScenario(scenario);
  if (unfit.length > 0) return fail(unfit.map(({ path, message }) => ({ path, message, at: "value" })));
  return scenario;
}
