// SPDX-License-Identifier: MIT
/** The published JSON Schemas are those that the program itself checks with. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { matrixSchema, variantsSchema } from "../../../src/lab/matrix/schema.ts";
import { ORDER_WORDS, orderSchema } from "../../../src/lab/order/schema.ts";
import { jsonSchema } from "../../../src/lab/scenario/json-schema.ts";
import { KEY_WORDS } from "../../../src/lab/scenario/key-words.ts";
import { scenarioFileSchema } from "../../../src/lab/scenario/schema.ts";

const text = (document: object): string => `${JSON.stringify(document, null, 2)}\n`;

test("schema/scenario.schema.json is the schema of scenario files", async () => {
  await expect(text(jsonSchema(scenarioFileSchema, "Quiesce scenario", KEY_WORDS))).toMatchFileSnapshot(
    "../../../schema/scenario.schema.json",
  );
});

test("schema/matrix.schema.json is the schema of quiesce/matrix@1", async () => {
  await expect(text(jsonSchema(matrixSchema, "quiesce/matrix@1"))).toMatchFileSnapshot("../../../schema/matrix.schema.json");
});

test("schema/variants.schema.json is the schema of quiesce/variants@1", async () => {
  await expect(text(jsonSchema(variantsSchema, "quiesce/variants@1"))).toMatchFileSnapshot("../../../schema/variants.schema.json");
});

test("schema/order.schema.json is the schema of quiesce/order@1, and says what may be null", async () => {
  const schema = jsonSchema(orderSchema, "quiesce/order@1", ORDER_WORDS);
  await expect(text(schema)).toMatchFileSnapshot("../../../schema/order.schema.json");
  expect(schema).toMatchObject({
    properties: { clients: { items: { properties: { hook: { anyOf: [{ type: "boolean" }, { type: "null" }] } } } } },
  });
});

test("every word on a key of quiesce/order@1 is in its schema", () => {
  const published = text(jsonSchema(orderSchema, "quiesce/order@1", ORDER_WORDS));
  for (const words of Object.values(ORDER_WORDS)) expect(published).toContain(JSON.stringify(words));
});

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly items?: Node;
  readonly enum?: readonly string[];
  readonly type?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** The keys that hold a value, with their schema and whether they must be there. */
function* leaves(node: Node, path: string = ""): Generator<[path: string, node: Node, required: boolean]> {
  for (const [key, inner] of Object.entries(node.properties ?? {})) {
    const at = path === "" ? key : `${path}.${key}`;
    if (inner.properties) yield* leaves(inner, at);
    else if (inner.items?.properties) yield* leaves(inner.items, `${at}[]`);
    else yield [at, inner, node.required?.includes(key) ?? false];
  }
}
const keys = [...leaves(jsonSchema(scenarioFileSchema, "t") as Node)];

test("every key of a scenario has its words, and no words are left over", () => {
  expect(Object.keys(KEY_WORDS).toSorted()).toEqual(keys.map(([path]) => path).toSorted());
});

/** What a key can be, with its default in bold. */
function values({ items, minimum, maximum, ...node }: Node, required: boolean): string {
  const choices = node.enum ?? items?.enum;
  if (items) return "a list of claims";
  if (choices) return choices.map((choice) => (choice === node.default ? `**${choice}**` : choice)).join(", ");
  const otherwise = required || node.default === undefined ? "" : ` (**${String(node.default)}**)`;
  if (minimum === undefined || maximum === undefined) return `${node.type === "boolean" ? "true, false" : "text"}${otherwise}`;
  const number = (value: number): string => (value >= 2 ** 20 ? `0x${value.toString(16)}` : String(value));
  return `${number(minimum)} … ${number(maximum)}${node.default === undefined ? "" : ` (**${number(Number(node.default))}**)`}`;
}

test("docs/scenarios.md has a row for every key, with its values, its default and its words", async () => {
  const path = join(import.meta.dirname, "../../../docs/scenarios.md");
  const rows = keys.map(
    ([key, node, required]) => `| \`${key}\`${required ? " *" : ""} | ${values(node, required)} | ${KEY_WORDS[key]} |\n`,
  );
  // What is not a row is written by hand.
  const [before, after] = readFileSync(path, "utf8").split(/(?<=\n\|---\|---\|---\|\n)(?:\| `.*\n)*/);
  await expect([before, ...rows, after].join("")).toMatchFileSnapshot(path);
});

test("a scenario's schema requires what has no default and refuses unknown keys", () => {
  const schema = jsonSchema(scenarioFileSchema, "t");
  expect(schema).toMatchObject({
    type: "object",
    additionalProperties: false,
    required: ["title", "story", "source", "machine", "wayDown"],
  });
});
