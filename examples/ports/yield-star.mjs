// SPDX-License-Identifier: MIT
// A lint plugin for ports, for ESLint and oxlint: a call of a coroutine without yield* runs nothing of it. docs/porting.md shows
// how to use it.
//
// It knows the coroutines of quiesce/kernel and quiesce/sim by their types, those of the file by function*, and those that the
// file imports from files beside it.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));

/** Names of exported functions, and of methods, whose type is a coroutine. */
function typed() {
  const functions = new Set();
  const methods = new Set();
  for (const floor of ["sim", "kernel"]) {
    const folder = join(dist, floor);
    if (!existsSync(folder)) throw new Error(`${folder} is not there: build quiesce first (npm run build)`);
    for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".d.ts")) continue;
      // One declaration each, on one line: types of options stand in braces of their own.
      const text = readFileSync(join(folder, name), "utf8").replace(/\/\*[^]*?\*\//g, "");
      for (const [, called] of text.matchAll(/^export declare function (\w+)(?:[^;{]|\{[^}]*\})*?\): Coroutine</gm)) functions.add(called);
      // Of classes only what a port waits by, mutexes and completions: other names are too common.
      if (floor === "sim")
        for (const [, called] of text.matchAll(/^ {4}(\w+)(?:<[^>\n]*>)?\((?:[^;{]|\{[^}]*\})*?\): Coroutine</gm)) methods.add(called);
    }
  }
  return { functions, methods };
}

/** Names of the coroutines that a file exports. */
function exportedOf(path) {
  if (!existsSync(path)) return [];
  const text = readFileSync(path, "utf8");
  return [...text.matchAll(/^export (?:async )?function\*\s*(\w+)/gm)].map((match) => match[1]);
}

/** What takes a coroutine and runs it. */
const RUNNERS = ["spawn", "runAtomic", "uninterruptible"];

/** True where the value of a call goes somewhere that runs it, or that is not a driver's affair. */
function runs(node) {
  const { parent } = node;
  switch (parent.type) {
    case "YieldExpression":
      return parent.delegate;
    // A plain function hands a coroutine on to who calls it; a coroutine that returns one has forgotten to run it.
    case "ArrowFunctionExpression":
      return parent.body === node;
    case "ReturnStatement":
      return !inCoroutine(parent);
    case "CallExpression":
      return parent.arguments.includes(node) && RUNNERS.includes(nameOf(parent.callee));
    case "SpreadElement":
      return true;
    case "ForOfStatement":
      return parent.right === node;
    case "ConditionalExpression":
    case "LogicalExpression":
    case "ParenthesizedExpression":
    case "TSAsExpression":
    case "TSNonNullExpression":
      return parent.test !== node && runs(parent);
    default:
      return false;
  }
}

function inCoroutine(node) {
  for (let at = node.parent; at; at = at.parent) {
    if (at.type === "FunctionDeclaration" || at.type === "FunctionExpression") return at.generator;
    if (at.type === "ArrowFunctionExpression") return false;
  }
  return false;
}

function nameOf(callee) {
  if (callee.type === "Identifier") return callee.name;
  if (callee.type !== "MemberExpression" || callee.computed) return undefined;
  return callee.property.name;
}

let known;

const rule = {
  meta: { type: "problem", docs: { description: "a coroutine that is called without yield* does nothing" }, schema: [] },
  create(context) {
    known ??= typed();
    const own = new Set();
    const ownMethods = new Set();
    const calls = [];
    /** Variables whose coroutine is run later. */
    const run = new Set();
    return {
      FunctionDeclaration(node) {
        if (node.generator && node.id) own.add(node.id.name);
      },
      VariableDeclarator(node) {
        if (node.init?.type === "FunctionExpression" && node.init.generator && node.id.type === "Identifier") own.add(node.id.name);
      },
      MethodDefinition(node) {
        if (node.value.generator && !node.computed) ownMethods.add(node.key.name);
      },
      ImportDeclaration(node) {
        if (!node.source.value.startsWith(".")) return;
        const coroutines = exportedOf(resolve(dirname(context.filename), node.source.value));
        for (const { type, imported, local } of node.specifiers)
          if (type === "ImportSpecifier" && coroutines.includes(imported.name)) own.add(local.name);
      },
      YieldExpression(node) {
        if (node.delegate && node.argument.type === "Identifier") run.add(node.argument.name);
      },
      CallExpression(node) {
        calls.push(node);
        if (RUNNERS.includes(nameOf(node.callee))) for (const given of node.arguments) if (given.type === "Identifier") run.add(given.name);
      },
      // Functions may stand below their first call.
      "Program:exit"() {
        for (const node of calls) {
          const { callee } = node;
          const name = nameOf(callee);
          const coroutine =
            callee.type === "Identifier"
              ? own.has(name) || known.functions.has(name)
              : callee.type === "MemberExpression" &&
                (callee.object.type === "ThisExpression"
                  ? ownMethods.has(name)
                  : // Arrays and promises have methods of these names, too: only where nobody wants a result is it plain.
                    known.functions.has(name) || (known.methods.has(name) && node.parent.type === "ExpressionStatement"));
          const kept = node.parent.type === "VariableDeclarator" && run.has(node.parent.id.name);
          if (coroutine && !kept && !runs(node))
            context.report({ node, message: `${name} is a coroutine: without yield* this call does nothing` });
        }
      },
    };
  },
};

export default { meta: { name: "quiesce" }, rules: { "yield-star": rule } };
