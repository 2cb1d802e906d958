// SPDX-License-Identifier: MIT
/** What stands around the message of a log line: quote marks of a mail, time, host, caller, driver and device. */

/** A line of a kernel log, taken apart as far as it says something. */
export interface LogLine {
  /** Time stamp as it stands in the log. */
  readonly time: string | undefined;
  /** Who printed, on kernels that say so: "T123" (a task) or "C1" (a CPU in interrupt context). */
  readonly caller: string | undefined;
  readonly driver: string | undefined;
  readonly device: string | undefined;
  readonly message: string;
  /** Where the message begins, counted from 0. */
  readonly column: number;
}

const QUOTES = /^(?:\s*>)+\s?/;
/** "Jan 02 03:04:05 host kernel: " of syslog, or the same with an ISO time. */
const SYSLOG = /^(\w{3}\s+\d+ \d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\dT\S+) \S+ kernel: ?/;
const LEVEL = /^\s*<\d+>/;
const STAMP = /^\s*\[\s*(\d+\.\d+|\w{3} \w{3}\s+\d+ \d\d:\d\d:\d\d \d{4})\]/;
const CALLER = /^\s*\[\s*([TC]\d+)\]/;
/** "driver device: ": a driver's name never has blanks, a device's neither. */
const DEVICE = /^([A-Za-z][\w.-]*) ([\w.:-]*[\w-]): ?/;

/** Takes the prefix of a log line apart. Never fails: what is no prefix is message. */
export function readLogLine(line: string): LogLine {
  let rest = line;
  const eat = (pattern: RegExp): RegExpExecArray | null => {
    const match = pattern.exec(rest);
    if (match) rest = rest.slice(match[0].length);
    return match;
  };
  eat(QUOTES);
  const syslog = eat(SYSLOG)?.[1];
  eat(LEVEL);
  const stamp = eat(STAMP)?.[1];
  const caller = eat(CALLER)?.[1];
  eat(/^ /);
  const device = eat(DEVICE);
  return { time: stamp ?? syslog, caller, driver: device?.[1], device: device?.[2], message: rest, column: line.length - rest.length };
}
