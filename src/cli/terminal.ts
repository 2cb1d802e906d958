// SPDX-License-Identifier: MIT
/** Standard output and error: results, colour, progress, and pipes that close early. */
import { styleText } from "node:util";
import type { Paint, TextStyle } from "../lab/index.ts";
import { ExitCode } from "./exit.ts";
import { reason } from "./files.ts";

type Format = Parameters<typeof styleText>[0];

const FORMATS: Record<TextStyle, Format> = {
  bold: "bold",
  dim: "dim",
  clean: "green",
  contained: "cyan",
  stray: "yellow",
  corrupt: ["red", "bold"],
};

function set(variable: string): boolean {
  const value = process.env[variable];
  return value !== undefined && value !== "";
}

/** Colour on a terminal only, never with NO_COLOR. */
export function painter(): Paint {
  const colour = !set("NO_COLOR") && (set("FORCE_COLOR") ? process.env["FORCE_COLOR"] !== "0" : process.stdout.isTTY);
  return (style, text) => (colour ? styleText(FORMATS[style], text, { validateStream: false }) : text);
}

/** A reader that went away (a closed pipe) ends the program quietly; a full disk with one line and exit code 3. */
export function endOnFailedOutput(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    process.stderr.write(`quiesce: standard output: ${reason(error)}\n`);
    process.exit(ExitCode.internal);
  });
  // Without standard error there is nobody to tell.
  process.stderr.on("error", () => process.exit(process.exitCode ?? ExitCode.internal));
}

/** Writes a result. */
export function print(text: string): void {
  process.stdout.write(text);
}

/** Prints one JSON document. */
export function printJson(document: unknown): void {
  print(`${JSON.stringify(document, null, 2)}\n`);
}

/** A line of progress that replaces itself; nothing where nobody watches. */
export class Progress {
  readonly #on: boolean = process.stderr.isTTY && !set("CI");

  update(text: string): void {
    if (this.#on) process.stderr.write(`\r\u001b[K${text}`);
  }

  clear(): void {
    this.update("");
  }
}
