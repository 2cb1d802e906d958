// SPDX-License-Identifier: MIT
/** The published JSON Schemas are those that the program itself checks with. */
import { expect, test } from "vitest";
import { matrixSchema, variantsSchema } from "../../../src/lab/matrix/schema.ts";
import { jsonSchema } from "../../../src/lab/scenario/json-schema.ts";
import { scenarioFileSchema } from "../../../src/lab/scenario/schema.ts";

const text = (document: object): string => `${JSON.stringify(document, null, 2)}\n`;

test("schema/scenario.schema.json is the schema of scenario files", async () => {
  await expect(text(jsonSchema(scenarioFileSchema, "Quiesce scenario"))).toMatchFileSnapshot("../../../schema/scenario.schema.json");
});

test("schema/matrix.schema.json is the schema of quiesce/matrix@1", async () => {
  await expect(text(jsonSchema(matrixSchema, "quiesce/matrix@1"))).toMatchFileSnapshot("../../../schema/matrix.schema.json");
});

test("schema/variants.schema.json is the schema of quiesce/variants@1", async () => {
  await expect(text(jsonSchema(variantsSchema, "quiesce/variants@1"))).toMatchFileSnapshot("../../../schema/variants.schema.json");
});

test("a scenario's schema requires what has no default and refuses unknown keys", () => {
  const schema = jsonSchema(scenarioFileSchema, "t");
  expect(schema).toMatchObject({
    type: "object",
    additionalProperties: false,
    required: ["title", "story", "source", "machine", "wayDown"],
  });
});
