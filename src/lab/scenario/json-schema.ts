// SPDX-License-Identifier: MIT
/** Publishes a schema of this floor as JSON Schema, for editors and for readers in other languages. */
import type * as v from "valibot";

/** The parts of valibot's schemas and actions that the lab's schemas are made of. */
interface Part {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Part>>;
  readonly item?: Part;
  readonly options?: readonly string[];
  readonly literal?: unknown;
  readonly wrapped?: Part;
  readonly default?: unknown;
  readonly requirement?: unknown;
  readonly pipe?: readonly Part[];
}

type JsonSchema = Record<string, unknown>;

function constraint({ type, requirement }: Part): JsonSchema {
  switch (type) {
    case "safe_integer":
      return { type: "integer" };
    case "min_value":
      return { minimum: requirement };
    case "max_value":
      return { maximum: requirement };
    case "min_length":
      return { minItems: requirement };
    case "max_length":
      return { maxItems: requirement };
    case "non_empty":
      return { minLength: 1 };
    case "regex":
      return requirement instanceof RegExp ? { pattern: requirement.source } : {};
    default:
      return {};
  }
}

/** What keys mean, by their path; `[]` stands for each item of a list. */
type Words = Readonly<Record<string, string>>;

function object(entries: Readonly<Record<string, Part>>, words: Words, path: string): JsonSchema {
  const required = Object.entries(entries).filter(([, part]) => part.type !== "optional");
  return {
    type: "object",
    additionalProperties: false,
    ...(required.length > 0 ? { required: required.map(([key]) => key) } : {}),
    properties: Object.fromEntries(
      Object.entries(entries).map(([key, part]) => [key, property(part, words, path === "" ? key : `${path}.${key}`)]),
    ),
  };
}

function property(part: Part, words: Words, path: string): JsonSchema {
  const description = words[path];
  return { ...(description === undefined ? {} : { description }), ...convert(part, words, path) };
}

function plain(part: Part, words: Words, path: string): JsonSchema {
  switch (part.type) {
    case "strict_object":
      return object(part.entries ?? {}, words, path);
    case "array":
      return { type: "array", items: part.item ? convert(part.item, words, `${path}[]`) : {} };
    case "picklist":
      return { enum: part.options };
    case "literal":
      return { const: part.literal };
    case "nullable":
      return { anyOf: [part.wrapped ? convert(part.wrapped, words, path) : {}, { type: "null" }] };
    case "optional":
      return {
        ...(part.wrapped ? convert(part.wrapped, words, path) : {}),
        ...(part.default === undefined ? {} : { default: part.default }),
      };
    default:
      return { type: part.type };
  }
}

function convert(part: Part, words: Words, path: string): JsonSchema {
  const [base, ...actions] = part.pipe ?? [part];
  return Object.assign(plain(base ?? part, words, path), ...actions.map(constraint)) as JsonSchema;
}

/**
 * @param schema of strict objects, arrays, picklists, literals and scalars, optional or nullable or not, with ranges and patterns
 * @param words descriptions of keys, by their path (`machine.devices[].name`)
 */
export function jsonSchema(schema: v.GenericSchema, title: string, words: Words = {}): JsonSchema {
  return { $schema: "https://json-schema.org/draft/2020-12/schema", title, ...convert(schema as unknown as Part, words, "") };
}

/** The keys that may stand in the mapping at a path. */
export function knownKeys(schema: v.GenericSchema, path: readonly (string | number)[]): string[] {
  let part: Part | undefined = schema as unknown as Part;
  const bare = (outer: Part | undefined): Part | undefined => {
    const inner = outer?.pipe?.[0] ?? outer;
    return inner?.type === "optional" ? bare(inner.wrapped) : inner;
  };
  for (const key of path) part = typeof key === "number" ? bare(part)?.item : bare(part)?.entries?.[key];
  return Object.keys(bare(part)?.entries ?? {});
}
