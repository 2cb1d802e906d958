// SPDX-License-Identifier: MIT
/** The qtest protocol: one line in, one line out, and interrupt lines before the reply once a client watches a device. */
import { NotModelledError } from "../../../hw/index.ts";
import { LineSplitter } from "../lines.ts";
import type { Machine } from "../machine.ts";
import { Arguments, type Command, type QtestSession, Refused } from "./command.ts";
import { memoryCommands } from "./memory-commands.ts";
import { timeAndInterruptCommands } from "./time-and-interrupt-commands.ts";

const commands: Readonly<Record<string, Command>> = {
  endianness: () => "OK little",
  /** There are no modules to load. */
  module_load: () => "FAIL",
  ...memoryCommands,
  ...timeAndInterruptCommands,
};

export class QtestServer {
  readonly #session: QtestSession;
  readonly #log: (line: string) => void;
  readonly #lines = new LineSplitter((line) => this.execute(line));

  /**
   * @param send takes each line for the client, without its end
   * @param log takes each line that came (`R`) or went (`S`), with the virtual time in seconds
   */
  constructor(machine: Machine, send: (line: string) => void, log: (line: string) => void = () => {}) {
    this.#log = log;
    this.#session = {
      machine,
      watched: undefined,
      send: (line) => {
        this.#record("S", line);
        send(line);
      },
    };
  }

  /** Takes the next piece of the client's stream. */
  receive(text: string): void {
    this.#lines.push(text);
  }

  /** Carries out one line and sends the reply, if it has one. */
  execute(line: string): void {
    this.#record("R", line);
    const [name = "", ...words] = line.split(" ");
    if (line !== "" && !name.startsWith("#")) this.#session.send(this.#reply(name, words));
  }

  #reply(name: string, words: readonly string[]): string {
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (!command) return `FAIL Unknown command '${name}'`;
    try {
      const reply = command(this.#session, new Arguments(words));
      this.#session.machine.settle();
      return reply;
    } catch (error) {
      if (error instanceof Refused) return error.message;
      if (error instanceof NotModelledError) return `FAIL ${error.message}`;
      throw error;
    }
  }

  #record(direction: "R" | "S", line: string): void {
    this.#log(`[${direction} +${(this.#session.machine.simulation.now / 1e9).toFixed(6)}] ${line}`);
  }
}
