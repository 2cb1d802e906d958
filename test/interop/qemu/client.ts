// SPDX-License-Identifier: MIT
/** A qtest client without a socket: commands in, lines out, as a libqtest program would see them. */
import { Machine, type MachineRequest, QtestServer, parseQemuOptions } from "../../../src/interop/index.ts";

/** The machine that a command line asks for. */
export function machineOf(...args: string[]): MachineRequest {
  return parseQemuOptions(["-qtest", "stdio", ...args]).machine;
}

export class QtestClient {
  readonly machine: Machine;
  readonly log: string[] = [];
  readonly diagnostics: string[] = [];
  readonly #server: QtestServer;
  #lines: string[] = [];

  /** @param args as on the command line, without the sockets */
  constructor(...args: string[]) {
    this.machine = new Machine(machineOf(...args), (line) => this.diagnostics.push(line));
    this.#server = new QtestServer(
      this.machine,
      (line) => this.#lines.push(line),
      (line) => this.log.push(line),
    );
  }

  /** All lines that a command brings, the reply last. */
  lines(command: string): string[] {
    this.#lines = [];
    this.#server.receive(`${command}\n`);
    return this.#lines;
  }

  /** The reply, where nothing else may come. */
  reply(command: string): string {
    const lines = this.lines(command);
    if (lines.length !== 1) throw new Error(`${command} brought ${lines.length} lines: ${lines.join(" | ")}`);
    return lines[0]!;
  }

  readl(address: number): number {
    return Number(this.readq(address, "l"));
  }

  readq(address: number, width: "b" | "w" | "l" | "q" = "q"): bigint {
    return BigInt(this.reply(`read${width} ${hex(address)}`).replace(/^OK /, ""));
  }

  writel(address: number, value: number): void {
    this.write("l", address, BigInt(value >>> 0));
  }

  write(width: "b" | "w" | "l" | "q", address: number, value: bigint): void {
    const reply = this.reply(`write${width} ${hex(address)} ${hex(value)}`);
    if (reply !== "OK") throw new Error(reply);
  }
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
