// SPDX-License-Identifier: MIT
/** The words by which this program is called again. */
import { expect, test } from "vitest";
import { invocation, shellWord } from "../../src/cli/invocation.ts";

test("from a clone: node and the path of the program as seen from here", () => {
  expect(invocation("/clone/bin/quiesce.js", "/clone")).toBe("node bin/quiesce.js");
});

test("from elsewhere: the whole path", () => {
  expect(invocation("/clone/bin/quiesce.js", "/home")).toBe("node /clone/bin/quiesce.js");
  expect(invocation("/my clone/bin/quiesce.js", "/home")).toBe("node '/my clone/bin/quiesce.js'");
});

test("installed: the name alone", () => {
  expect(invocation("/usr/local/bin/quiesce", "/home")).toBe("quiesce");
});

test("words that a shell would take apart are quoted", () => {
  expect(["a.yaml", "a b", "it's", "$(x)"].map(shellWord)).toEqual(["a.yaml", "'a b'", "'it'\\''s'", "'$(x)'"]);
});
