// SPDX-License-Identifier: MIT
/** What is wrong with the text of a YAML file, in words for somebody who writes scenarios. */
import { type Document, type YAMLError, isAlias, isMap, isNode, isPair, isScalar, visit } from "yaml";

const WORDS: Readonly<Record<YAMLError["code"], string>> = {
  ALIAS_PROPS: "an alias (*name) can have neither anchor nor tag",
  BAD_ALIAS: "this is no usable alias or anchor name",
  BAD_COLLECTION_TYPE: "the tag does not fit what follows it",
  BAD_DIRECTIVE: "this is no directive of YAML",
  BAD_DQ_ESCAPE: "in a text in double quotes, this backslash begins no known character",
  BAD_INDENT: "the indentation does not fit the lines above",
  BAD_PROP_ORDER: "anchor or tag stand in the wrong place",
  BAD_SCALAR_START: "a plain text cannot begin with this character: put it in quotes",
  BLOCK_AS_IMPLICIT_KEY: "a mapping or list begins where a value should stand on one line",
  BLOCK_IN_FLOW: "an indented block cannot stand inside brackets or braces",
  DUPLICATE_KEY: "this key is written twice",
  IMPOSSIBLE: "this cannot be read",
  KEY_OVER_1024_CHARS: "a key is too long",
  MISSING_CHAR: "a bracket, brace, quote, comma, colon or space is missing",
  MULTILINE_IMPLICIT_KEY: "a key goes over more than one line: a colon or an indentation is missing",
  MULTIPLE_ANCHORS: "there are two anchors for one value",
  MULTIPLE_DOCS: "a second document begins here: a scenario file holds one",
  MULTIPLE_TAGS: "there are two tags for one value",
  NON_STRING_KEY: "a key is a plain word",
  RESOURCE_EXHAUSTION: "this is nested too deeply",
  TAB_AS_INDENT: "a tab cannot indent: use spaces",
  TAG_RESOLVE_FAILED: "this tag is unknown, and scenarios need none",
  UNEXPECTED_TOKEN: "this does not belong here",
};

interface Flaw {
  readonly offset: number;
  readonly message: string;
}

function duplicate(document: Document, offset: number): string | undefined {
  let name: string | undefined;
  visit(document, {
    Pair(_key, pair) {
      if (isScalar(pair.key) && pair.key.range?.[0] === offset) name = String(pair.key.value);
    },
  });
  return name;
}

/** The first thing that keeps the text from being read; undefined if it can be. */
export function yamlFlaw(document: Document.Parsed): Flaw | undefined {
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem) {
    const offset = problem.pos[0];
    const name = problem.code === "DUPLICATE_KEY" ? duplicate(document, offset) : undefined;
    return { offset, message: name === undefined ? WORDS[problem.code] : `the key "${name}" is written twice` };
  }
  let flaw: Flaw | undefined;
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) === undefined)
        flaw ??= { offset: alias.range?.[0] ?? 0, message: `the alias *${alias.source} has no anchor above it` };
    },
    Pair(_key, pair) {
      if (isPair(pair) && isNode(pair.key) && !isScalar(pair.key) && !isAlias(pair.key))
        flaw ??= { offset: pair.key.range?.[0] ?? 0, message: WORDS.NON_STRING_KEY };
    },
  });
  if (flaw === undefined && !isMap(document.contents)) {
    const message = "a scenario is a mapping of keys to values: title, story, source, machine, wayDown";
    return { offset: document.contents?.range[0] ?? 0, message };
  }
  return flaw;
}
