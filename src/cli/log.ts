// SPDX-License-Identifier: MIT
/** Diagnostics, on standard error, without time stamps so that two runs log the same. */
import { type Logger, destination, pino } from "pino";

export const LOG_LEVELS = ["silent", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export function makeLogger(level: LogLevel): Logger {
  const stream = destination({ dest: 2, sync: true });
  // Diagnostics that nobody can take (a full disk, a closed pipe) are lost; the result is not.
  stream.on("error", () => {});
  return pino({ level, base: null, timestamp: false }, stream);
}
