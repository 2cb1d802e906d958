// SPDX-License-Identifier: MIT
/** How the program ends. */

export const ExitCode = {
  /** All that was asked holds. */
  ok: 0,
  /** A claim is broken, or a comparison differs. */
  broken: 1,
  /** Bad usage or bad input. */
  usage: 2,
  /** A fault of this program, or of the place where its output should go. */
  internal: 3,
  /** A limit was hit before an answer was found. */
  inconclusive: 4,
  /** SIGINT; the partial result is written. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends the program with exit code 2. Each line of the message is one thing that is wrong, and one line on standard error. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A result could not be written, by no fault of whoever asked: ends the program with exit code 3 and one line. */
export class OutputError extends Error {
  override readonly name = "OutputError";
}
