// SPDX-License-Identifier: MIT
/** The commands that read and write physical memory and ports. */
import { fromBase64, fromBytes, fromHex, toBase64, toBytes, toHex } from "../numbers.ts";
import { type Arguments, type Command, type QtestSession, Refused } from "./command.ts";

/** The most bytes that one command carries. */
const MOST_BYTES = 64n * 2n ** 20n;
const LAST_PORT = 0xffffn;

function blockLength(args: Arguments): number {
  const length = args.unsigned(1);
  if (length > MOST_BYTES) throw new Refused(`FAIL more than ${MOST_BYTES} bytes at once`);
  return Number(length);
}

function blockData(args: Arguments): string {
  const data = args.word(2);
  if (data.length < 3) throw new Refused("ERR invalid argument size");
  return data;
}

function readBlock({ machine }: QtestSession, args: Arguments): Uint8Array {
  const bytes = new Uint8Array(blockLength(args));
  machine.memory.read(args.unsigned(0), bytes);
  return bytes;
}

const readSized =
  (width: number): Command =>
  ({ machine }, args) => {
    const bytes = new Uint8Array(width);
    machine.memory.read(args.unsigned(0), bytes);
    return `OK 0x${fromBytes(bytes).toString(16).padStart(16, "0")}`;
  };

const writeSized =
  (width: number): Command =>
  ({ machine }, args) => {
    machine.memory.write(args.unsigned(0), toBytes(args.unsigned(1), width));
    return "OK";
  };

function port(args: Arguments): void {
  if (args.unsigned(0) > LAST_PORT) throw new Refused("FAIL ports are 0 to 0xffff");
}

/** Nothing answers in the port space: all bits are set. */
const readPort =
  (width: number): Command =>
  (_session, args) => {
    port(args);
    return `OK 0x${"ff".repeat(width).padStart(4, "0")}`;
  };

const writePort: Command = (_session, args) => {
  port(args);
  args.unsigned(1);
  return "OK";
};

export const memoryCommands: Readonly<Record<string, Command>> = {
  readb: readSized(1),
  readw: readSized(2),
  readl: readSized(4),
  readq: readSized(8),
  writeb: writeSized(1),
  writew: writeSized(2),
  writel: writeSized(4),
  writeq: writeSized(8),
  inb: readPort(1),
  inw: readPort(2),
  inl: readPort(4),
  outb: writePort,
  outw: writePort,
  outl: writePort,
  read: (session, args) => {
    const bytes = readBlock(session, args);
    if (bytes.length === 0) throw new Refused("FAIL a read of 0 bytes");
    return `OK 0x${toHex(bytes)}`;
  },
  b64read: (session, args) => `OK ${toBase64(readBlock(session, args))}`,
  write: ({ machine }, args) => {
    const address = args.unsigned(0);
    const bytes = fromHex(blockData(args).slice(2), blockLength(args));
    if (!bytes) throw new Refused("FAIL data is not hexadecimal");
    machine.memory.write(address, bytes);
    return "OK";
  },
  b64write: ({ machine }, args) => {
    const address = args.unsigned(0);
    machine.memory.write(address, fromBase64(blockData(args)).subarray(0, blockLength(args)));
    return "OK";
  },
  memset: ({ machine }, args) => {
    machine.memory.fill(args.unsigned(0), Number(args.unsigned(1)), Number(args.unsigned(2) & 0xffn));
    return "OK";
  },
};
