// SPDX-License-Identifier: MIT
/**
 * Arguments of the table builders, checked. Plain JavaScript has no types, and a table that is wrong in silence is found late.
 *
 * Each check throws a {@link HostMisuseError} that says what was given and what is expected.
 */
import { HostMisuseError } from "./errors.ts";
import { hex } from "./bits/hex.ts";
import { nearest } from "./bits/nearest.ts";

/** Any value, short enough for a message: large numbers as addresses, objects by their kind. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "number":
      return Number.isInteger(value) && Math.abs(value) > 4095 ? `${value < 0 ? "-" : ""}${hex(Math.abs(value))}` : String(value);
    case "string":
      return JSON.stringify(value);
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "an array" : "an object";
    default:
      return String(value);
  }
}

/** Joins alternatives: "6, 8 or 10". */
export function alternatives(values: readonly unknown[]): string {
  const texts = values.map(shown);
  const last = texts.pop() ?? "nothing";
  return texts.length === 0 ? last : `${texts.join(", ")} or ${last}`;
}

/** A whole number from `low` to `high`, both included. @param unit it must be a multiple of this */
export function checkInteger(code: string, what: string, value: unknown, low: number, high: number, unit: number = 1): void {
  if (typeof value === "number" && Number.isInteger(value) && value >= low && value <= high && value % unit === 0) return;
  const kind = unit === 1 ? "a whole number" : `a multiple of ${shown(unit)}`;
  throw new HostMisuseError(code, `${what} is ${shown(value)}: it has to be ${kind} from ${shown(low)} to ${shown(high)}`);
}

export function checkOneOf(code: string, what: string, value: unknown, allowed: readonly unknown[]): void {
  if (!allowed.includes(value)) throw new HostMisuseError(code, `${what} is ${shown(value)}: it has to be ${alternatives(allowed)}`);
}

/** Which known name somebody may have meant, as a hint for a message; undefined if none is near. */
export function hint(name: unknown, known: readonly string[]): string | undefined {
  if (typeof name !== "string") return undefined;
  const same = known.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  if (same !== undefined) return `${same} is meant`;
  const near = nearest(name, known);
  return near === undefined ? undefined : `${near} may be meant`;
}

export function checkBoolean(code: string, what: string, value: unknown): void {
  if (typeof value !== "boolean") throw new HostMisuseError(code, `${what} is ${shown(value)}: it has to be true or false`);
}

/** An object that has at least these methods. @param such what the object is to be */
export function checkMethods(code: string, what: string, value: unknown, methods: readonly string[], such: string): void {
  const has = (name: string): boolean => isObject(value) && typeof value[name] === "function";
  if (methods.every(has)) return;
  const missing = methods.filter((name) => !has(name));
  const lacking = isObject(value) ? `${shown(value)} without ${missing.join(", ")}` : shown(value);
  throw new HostMisuseError(code, `${what} is ${lacking}: it has to be ${such}`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** An object that has only properties of these names. @param what said at the start of the message, such as "options of a PageTable" */
export function checkNames(code: string, what: string, values: unknown, known: readonly string[]): void {
  if (!isObject(values)) {
    throw new HostMisuseError(code, `${what}: ${shown(values)} where an object is expected, with some of ${known.join(", ")}`);
  }
  for (const name of Object.keys(values)) {
    if (known.includes(name)) continue;
    const meant = hint(name, known);
    const all = `there are ${known.join(", ")}`;
    throw new HostMisuseError(code, `${what}: ${shown(name)} is unknown${meant === undefined ? "" : `, ${meant}`}; ${all}`);
  }
}

/** An object of numbers, each 0 to its limit or absent. */
export function checkFields(code: string, what: string, values: object, limits: Readonly<Record<string, number>>): void {
  checkNames(code, what, values, Object.keys(limits));
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) checkInteger(code, `${what}: ${name}`, value, 0, limits[name]!);
  }
}

/** What every builder needs to write tables: a `TableMemory` and a `TableArena`. */
export function checkPlaces(code: string, what: string, memory: unknown, arena: unknown): void {
  if (!isObject(memory) || typeof memory["read32"] !== "function" || typeof memory["write32"] !== "function") {
    throw new HostMisuseError(code, `memory of ${what} is ${shown(memory)}: it has to be a PhysicalMemory, such as bus.memory`);
  }
  if (!isObject(arena) || typeof arena["take"] !== "function") {
    throw new HostMisuseError(code, `arena of ${what} is ${shown(arena)}: it has to be a TableArena`);
  }
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value);
}

/** A list of 32-bit words, signed or unsigned. @param count how many there have to be; undefined: any number */
export function checkWords(what: string, words: unknown, count?: number): void {
  if (!isList(words))
    throw new HostMisuseError("WORDS", `${what}: ${shown(words)} where ${count ?? "some"} words are expected, as a Uint32Array`);
  if (count !== undefined && words.length !== count)
    throw new HostMisuseError("WORDS", `${what} of ${words.length} words: it has ${count}`);
  if (words instanceof Uint32Array) return;
  for (let i = 0; i < words.length; i++) checkInteger("WORDS", `${what}: word ${i}`, words[i], -(2 ** 31), 2 ** 32 - 1);
}
