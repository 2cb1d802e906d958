// SPDX-License-Identifier: MIT
/** Console logs for tests, in the form in which Linux prints them. */
import { Dmesg, type DmesgFinding, type DmesgReport } from "../../../src/interop/index.ts";

export interface EventOptions {
  readonly device?: string;
  readonly time?: string;
  /** "T12" or "C1", as kernels with CONFIG_PRINTK_CALLER print it. */
  readonly caller?: string;
}

function prefix({ device = "9050000.smmuv3", time = "1.000000", caller }: EventOptions): string {
  return `[${time.padStart(12)}]${caller === undefined ? "" : `[${caller.padStart(6)}]`} arm-smmu-v3 ${device}: `;
}

/** A line of the driver. */
export function line(message: string, options: EventOptions = {}): string {
  return prefix(options) + message;
}

/** `arm_smmu_dump_raw_event`: the headline and four words. */
export function rawEvent(words: readonly bigint[], options: EventOptions = {}): string[] {
  const number = Number(words[0]! & 0xffn);
  return [
    line(`event 0x${number.toString(16).padStart(2, "0")} received:`, options),
    ...words.map((word) => line(`\t0x${word.toString(16).padStart(16, "0")}`, options)),
  ];
}

export interface Fault {
  readonly number?: number;
  readonly sid?: number;
  readonly ssid?: number;
  readonly read?: boolean;
  readonly instruction?: boolean;
  readonly privileged?: boolean;
  readonly s2?: boolean;
  readonly class?: 0 | 1 | 2;
  readonly address?: bigint;
  readonly ipa?: bigint;
}

/** The words of a translation-related record (IHI 0070 §7.3.13). */
export function faultWords(fault: Fault = {}): bigint[] {
  const {
    number = 0x10,
    sid = 0x20,
    ssid,
    read = false,
    instruction = false,
    privileged = false,
    s2 = false,
    address = 0x1_2340n,
    ipa = 0n,
  } = fault;
  const bit = (on: boolean, at: bigint): bigint => (on ? 1n << at : 0n);
  return [
    BigInt(number) | (BigInt(sid) << 32n) | (ssid === undefined ? 0n : (1n << 11n) | (BigInt(ssid) << 12n)),
    bit(privileged, 33n) | bit(instruction, 34n) | bit(read, 35n) | bit(s2, 39n) | (BigInt(fault.class ?? 2) << 40n),
    address,
    ipa,
  ];
}

export function faultLines(fault: Fault = {}, options: EventOptions = {}): string[] {
  return rawEvent(faultWords(fault), options);
}

export function analyse(...lines: readonly (string | readonly string[])[]): DmesgReport {
  const dmesg = new Dmesg();
  for (const text of lines.flat()) dmesg.push(text);
  return dmesg.report();
}

/** The only finding of a kind. */
export function only(report: DmesgReport, id: string): DmesgFinding {
  const found = report.findings.filter((finding) => finding.id === id);
  if (found.length !== 1)
    throw new Error(`${found.length} findings are called ${id}: ${report.findings.map((finding) => finding.id).join(", ")}`);
  return found[0]!;
}
