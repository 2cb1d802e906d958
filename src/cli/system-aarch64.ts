// SPDX-License-Identifier: MIT
/**
 * quiesce-system-aarch64: the machine of the QEMU face as a process. It connects to the sockets that it is given, speaks
 * qtest on one and QMP on the others, and ends as QEMU does: by SIGTERM, by `quit`, or when the qtest client goes.
 */
import { openSync, readFileSync, writeSync } from "node:fs";
import { type Socket, connect } from "node:net";
import { HostMisuseError } from "../hw/index.ts";
import {
  Machine,
  type QemuOptions,
  QemuOptionError,
  QmpServer,
  QtestServer,
  DEFAULT_PROFILE,
  parseQemuOptions,
  profileNames,
} from "../interop/index.ts";
import { ExitCode } from "./exit.ts";

const NAME = "quiesce-system-aarch64";

const HELP = `usage: ${NAME} -qtest unix:PATH [options]

An SMMUv3 behind QEMU's qtest protocol: RAM at 0x40000000, SMMU at 0x09050000,
PCI configuration space at 0x4010000000, SMMUv3TestEngine at 0x0c000000.
It connects to the sockets named; somebody else listens on them.

  -qtest unix:PATH | stdio      where the qtest client is
  -qtest-log FILE               write down each command and reply
  -chardev socket,path=PATH,id=ID
  -object monitor-qmp,id=ID,chardev=ID, or -mon chardev=ID,mode=control,
  or -qmp unix:PATH             where a QMP client is
  -machine virt[,iommu=smmuv3|none][,x-smmu-profile=NAME] | none
                                default: virt,iommu=smmuv3; virt alone has no
                                SMMU, as in QEMU, unless a profile is named.
                                NAME is one of
                                ${profileNames.join(", ")}
                                (default: ${DEFAULT_PROFILE}, the fullest; qemu has the ID
                                registers of QEMU's own SMMU)
  -m SIZE                       RAM, in MiB or with a suffix; default: 512
  -device iommu-testdev[,addr=SLOT]
  -device edu[,dma_mask=MASK][,addr=SLOT]
                                devices take slots in order from 1 on
  -d guest_errors               say on standard error what software does wrong
  --version, --help

Other options of QEMU are skipped with their values.

Examples:
  A libqtest program, such as QEMU's own SMMUv3 test, drives it:
    QTEST_QEMU_BINARY=${NAME} tests/qtest/iommu-smmuv3-test
  A line of shell does too; this reads SMMU_IDR0:
    echo readl 0x09050000 | ${NAME} -qtest stdio
  And whatever listens on a socket, here socat as a console:
    socat - UNIX-LISTEN:/tmp/qtest.sock &
    ${NAME} -qtest unix:/tmp/qtest.sock
`;

function complain(message: string): void {
  writeSync(2, `${NAME}: ${message}\n`);
}

/** Says what was met and is not modelled, and ends the process. */
function stop(machine: Machine): never {
  for (const [what, count] of machine.notModelled.counts) complain(`not modelled: ${what} (${count} times)`);
  process.exit(ExitCode.ok);
}

function badUsage(message: string): never {
  complain(message);
  process.exit(ExitCode.usage);
}

function buildMachine(options: QemuOptions): Machine {
  try {
    return new Machine(options.machine, options.guestErrors ? complain : undefined);
  } catch (error) {
    if (error instanceof HostMisuseError) return badUsage(error.message);
    throw error;
  }
}

/** A function that appends a line to the file at once; the end of the process may come right after a reply. */
function openLog(path: string): (line: string) => void {
  const descriptor = /^\/dev\/fd\/([0-9]+)$/.exec(path)?.[1];
  try {
    const file = descriptor === undefined ? openSync(path, "w") : Number(descriptor);
    return (line) => void writeSync(file, `${line}\n`);
  } catch (error) {
    return badUsage(`-qtest-log ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Connects to a listening unix socket; `lost` is called if the connection breaks later. */
function client(path: string, encoding: "latin1" | "utf8", lost: () => void): Socket {
  const socket = connect({ path, allowHalfOpen: true });
  let connected = false;
  socket.setEncoding(encoding);
  socket.on("connect", () => {
    connected = true;
  });
  socket.on("error", (error) => (connected ? lost() : badUsage(`cannot connect to ${path}: ${error.message}`)));
  return socket;
}

function serveQtest(options: QemuOptions, machine: Machine): void {
  const log = options.qtestLog === undefined ? undefined : openLog(options.qtestLog);
  if (options.qtest === "stdio") {
    const server = new QtestServer(machine, (line) => void process.stdout.write(`${line}\n`), log);
    process.stdout.on("error", () => stop(machine));
    process.stdin.setEncoding("latin1");
    process.stdin.on("data", (text) => server.receive(String(text)));
    process.stdin.on("end", () => process.stdout.write("", () => stop(machine)));
    return;
  }
  const socket = client(options.qtest.path, "latin1", () => stop(machine));
  const server = new QtestServer(machine, (line) => void socket.write(`${line}\n`), log);
  socket.on("data", (text) => server.receive(String(text)));
  socket.on("end", () => socket.end());
  socket.on("close", () => stop(machine));
}

function serveQmp(path: string, machine: Machine): void {
  const socket = client(path, "utf8", () => {});
  const server = new QmpServer(
    machine,
    (line) => void socket.write(`${line}\r\n`),
    () => socket.end(() => stop(machine)),
  );
  socket.on("connect", () => server.greet());
  socket.on("data", (text) => server.receive(String(text)));
  socket.on("end", () => socket.end());
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "unknown";
}

function main(): void {
  const options = parseQemuOptions(process.argv.slice(2));
  if (options.help) return void process.stdout.write(HELP);
  if (options.version) return void process.stdout.write(`${NAME} ${version()} (behaves as QEMU emulator version 11.1.50)\n`);
  const machine = buildMachine(options);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => stop(machine));
  serveQtest(options, machine);
  for (const path of options.monitors) serveQmp(path, machine);
}

process.on("uncaughtException", (error) => {
  if (error instanceof QemuOptionError) badUsage(error.message);
  complain(`internal error: ${error.stack ?? error.message}`);
  process.exit(ExitCode.internal);
});
main();
