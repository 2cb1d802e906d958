// SPDX-License-Identifier: MIT
/**
 * What stands around the message of a log line: quote marks of a mail, numbers of grep, names and times of loggers, time,
 * host, caller, driver and device. Kernel logs pass through many hands, and each hand writes something in front.
 */

/** A line of a kernel log, taken apart as far as it says something. */
export interface LogLine {
  /** Time stamp as it stands in the log; the kernel's own if there is one. */
  readonly time: string | undefined;
  /** A kernel wrote the line, for certain: it has the kernel's time stamp, or a logger says so. */
  readonly stamped: boolean;
  /** Who printed, on kernels that say so: "T123" (a task) or "C1" (a CPU in interrupt context). */
  readonly caller: string | undefined;
  readonly driver: string | undefined;
  readonly device: string | undefined;
  readonly message: string;
  /** Where the message begins, counted from 0. */
  readonly column: number;
}

const MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const CLOCK = String.raw`\d\d:\d\d:\d\d(?:[.,]\d+)?`;
const FACILITY = "(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local\\d|res\\d)";
const SEVERITY = "(?:emerg|alert|crit|err|warn|notice|info|debug)";
/** What a line of a kernel log may begin with once the numbers of grep are off. */
const BEGINNING = String.raw`\s*(?:\[\s*[+\d]|\[\w{3}|<\d+>|\d{4}-\d\d-|${MONTH}\s|\d+,\d+,\d+,|${FACILITY}\s*:${SEVERITY}|arm-smmu-v3 )`;

interface Prefix {
  readonly pattern: RegExp;
  readonly is?: "time" | "kernel-time" | "microseconds" | "caller" | "kernel";
}

/** Prefixes that may follow each other in any order. */
const PREFIXES: readonly Prefix[] = [
  // Quote marks of a mail.
  { pattern: /^(?:\s*>)+\s?/ },
  // grep -n, grep -C -n, grep over files: "12:", "12-", "console.log:12:", "console.log:".
  { pattern: new RegExp(String.raw`^(?:[\w./~+@=-]*[\w~]:)?\d+[:-](?=${BEGINNING})`) },
  { pattern: new RegExp(String.raw`^[\w./~+@=-]*\.[A-Za-z]\w*[:-](?=${BEGINNING})`) },
  // Containers and test runners: "qemu | ".
  { pattern: new RegExp(String.raw`^[\w./@-]+ *\|(?=${BEGINNING})`) },
  // /dev/kmsg and pstore: level, number, microseconds, flags.
  { pattern: /^\s*\d+,\d+,(\d+),[^;]*;/, is: "microseconds" },
  // Levels: "<3>", "kern  :err   : ".
  { pattern: /^\s*<\d+>/ },
  { pattern: new RegExp(String.raw`^\s*${FACILITY}\s*:${SEVERITY}\s*: ?`) },
  // The kernel's own time: seconds, also with the CPU behind; as dmesg -H, -T, -d write it; as ISO time in brackets.
  { pattern: /^\s*\[\s*(\d+\.\d+)(?:@\d+)?(?:\s*<[\s\d.]*>)?\]/, is: "kernel-time" },
  { pattern: /^\s*\[\s*(\+\d+\.\d+)\s*\]/, is: "kernel-time" },
  { pattern: new RegExp(String.raw`^\s*\[(\w{3} ${MONTH}\s+\d+ ${CLOCK} \d{4})(?:\s*<[\s\d.]*>)?\]`), is: "kernel-time" },
  { pattern: /^\s*\[\s*([A-Za-z]{3}\s?\d+ \d\d:\d\d)\]/, is: "kernel-time" },
  { pattern: new RegExp(String.raw`^\s*\[(\d{4}-\d\d-\d\d[T ]${CLOCK}(?:Z|[+-]\d\d:?\d\d)?)\]`), is: "time" },
  // Loggers: ISO times, syslog, journalctl's short-full and short-unix, a bare clock.
  { pattern: new RegExp(String.raw`^(\d{4}-\d\d-\d\d[T ]${CLOCK}(?:Z| ?[+-]\d\d:?\d\d)?):? `), is: "time" },
  { pattern: new RegExp(String.raw`^(${MONTH}\s+\d+ ${CLOCK}) `), is: "time" },
  { pattern: new RegExp(String.raw`^(\w{3} \d{4}-\d\d-\d\d ${CLOCK} [\w+:-]+) `), is: "time" },
  { pattern: /^(\d{10}\.\d+) (?=\S+ kernel)/, is: "time" },
  { pattern: new RegExp(String.raw`^(${CLOCK}) (?=${BEGINNING})`), is: "time" },
  // Who logged: "host kernel: ", "kernel[0]: ".
  { pattern: /^ ?(?:[\w.-]+ )?kernel(?:\[\d+\])?: ?/, is: "kernel" },
  { pattern: /^\s*\[\s*([TC]\d+)\]/, is: "caller" },
];

/** "driver device: ": a driver's name never has blanks, a device's neither. */
const DEVICE = /^([A-Za-z][\w.-]*) ([\w.:-]*[\w-]): ?/;
/** The same of an SMMU, wherever it stands: what is in front of it is some prefix that nobody foresaw. */
const SMMU_ANYWHERE = /(?:^|[\s\]>|:;,=("'])(arm-smmu-v3) ([\w.:-]*[\w-]): ?/;

/** Colours and other sequences of a terminal, as they are or as tools show them. */
// eslint-disable-next-line no-control-regex
const ANSI = /(?:\u001b|\u009b|\^\[|\\e|\\x1b|\\033|#033)\[[0-9;?]*[A-Za-z]|\u001b\][^\u0007]*\u0007/g;
/** Marks of encodings (UTF-16 read as bytes leaves zeros), and control characters other than the tab. */
// eslint-disable-next-line no-control-regex
const CONTROL = /^[\ufeff\ufffd]+|[\u0000-\u0008\u000b-\u001f\u007f]/g;
/** A tab as /dev/kmsg and as syslog write it. */
const TAB = /\\x09|#011/g;

function clean(line: string): string {
  return line.replace(ANSI, "").replace(CONTROL, "").replace(TAB, "\t");
}

/** Takes the prefix of a log line apart. Never fails: what is no prefix is message. */
export function readLogLine(line: string): LogLine {
  const whole = clean(line);
  let rest = whole;
  let time: string | undefined;
  let kernelTime: string | undefined;
  let caller: string | undefined;
  let stamped = false;
  for (let found = true; found;) {
    found = false;
    for (const { pattern, is } of PREFIXES) {
      const match = pattern.exec(rest);
      if (match === null) continue;
      found = true;
      rest = rest.slice(match[0].length);
      if (is === "time") time ??= match[1];
      else if (is === "kernel-time") kernelTime ??= match[1];
      else if (is === "microseconds") kernelTime ??= (Number(match[1]) / 1e6).toFixed(6);
      else if (is === "caller") caller ??= match[1];
      if (is !== undefined && is !== "time") stamped = true;
    }
  }
  rest = rest.replace(/^ /, "");
  let device = DEVICE.exec(rest);
  if (device === null || !/smmu/i.test(device[0])) {
    const elsewhere = SMMU_ANYWHERE.exec(rest);
    if (elsewhere !== null) {
      kernelTime ??= [...rest.slice(0, elsewhere.index).matchAll(/\[\s*(\d+\.\d+)(?:@\d+)?\]/g)].at(-1)?.[1];
      caller ??= /\[\s*([TC]\d+)\]/.exec(rest.slice(0, elsewhere.index))?.[1];
      device = elsewhere;
    }
  }
  if (device !== null) rest = rest.slice(device.index + device[0].length);
  return {
    time: kernelTime ?? time,
    stamped,
    caller,
    driver: device?.[1],
    device: device?.[2],
    message: rest,
    // Counted in the line as it was given, where what was cleaned off stood in front.
    column: line.length - rest.length,
  };
}
