// SPDX-License-Identifier: MIT
/** What a command of the qtest protocol is: words in, a reply out. */
import type { Machine, NamedDevice } from "../machine.ts";
import { parseI64, parseU64 } from "../numbers.ts";

/** A command that cannot be carried out; the message is the reply. */
export class Refused extends Error {}

/** What a client's commands work on. */
export interface QtestSession {
  readonly machine: Machine;
  /** The device whose interrupts the client watches. */
  watched: NamedDevice | undefined;
  /** Sends a line of its own accord. */
  readonly send: (line: string) => void;
}

export type Command = (session: QtestSession, args: Arguments) => string;

/** The words after a command's name. */
export class Arguments {
  readonly #words: readonly string[];

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  /** undefined if the client gave fewer words. */
  optional(index: number): string | undefined {
    return this.#words[index];
  }

  /** @throws Refused if it is missing */
  word(index: number): string {
    const word = this.#words[index];
    if (word === undefined) throw new Refused("FAIL missing argument");
    return word;
  }

  /** An unsigned 64-bit number. @throws Refused if it is none */
  unsigned(index: number): bigint {
    return this.#number(index, parseU64);
  }

  /** A signed 64-bit number. @throws Refused if it is none */
  signed(index: number): bigint {
    return this.#number(index, parseI64);
  }

  #number(index: number, parse: (text: string) => bigint | undefined): bigint {
    const word = this.word(index);
    const value = parse(word);
    if (value === undefined) throw new Refused(`FAIL not a number '${word}'`);
    return value;
  }
}
