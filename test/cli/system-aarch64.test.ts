// SPDX-License-Identifier: MIT
/** quiesce-system-aarch64 as a process, started and driven the way libqtest does it: the test listens, the program connects. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type Server, type Socket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { caseArguments, smmuv3Test, translationCases } from "../interop/qemu/smmuv3-sequence.ts";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "quiesce-system-aarch64");

let folder = "";
let sockets = 0;
const children = new Set<ChildProcess>();
const servers = new Set<Server>();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quiesce-qtest-"));
});

afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
  for (const server of servers) server.close();
  servers.clear();
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** One end of a connection, read line by line. */
class Lines {
  readonly socket: Socket;
  #text = "";
  #lines: string[] = [];
  #wanted: ((line: string) => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      const parts = (this.#text + chunk).split("\n");
      this.#text = parts.pop()!;
      this.#lines.push(...parts);
      while (this.#lines.length > 0 && this.#wanted.length > 0) this.#wanted.shift()!(this.#lines.shift()!);
    });
    socket.on("error", () => {});
  }

  send(line: string): void {
    this.socket.write(`${line}\n`);
  }

  next(): Promise<string> {
    const line = this.#lines.shift();
    return line === undefined ? new Promise((resolve) => this.#wanted.push(resolve)) : Promise.resolve(line);
  }

  async ask(line: string): Promise<string> {
    this.send(line);
    return this.next();
  }
}

function listen(): { readonly path: string; readonly connection: Promise<Lines> } {
  const path = join(folder, `${sockets++}.sock`);
  const server = createServer();
  servers.add(server);
  const connection = new Promise<Lines>((resolve) => {
    server.once("connection", (socket) => resolve(new Lines(socket)));
  });
  server.listen(path, 1);
  return { path, connection };
}

interface Session {
  readonly child: ChildProcess;
  readonly qtest: Lines;
  readonly qmp: Lines;
  /** Exit status and signal. */
  readonly end: Promise<readonly [number | null, string | null]>;
  readonly stderr: () => string;
}

async function start(args: readonly string[], log: string = "/dev/null"): Promise<Session> {
  const [qtest, qmp] = [listen(), listen()];
  const common = ["-qtest", `unix:${qtest.path}`, "-qtest-log", log, "-chardev", `socket,path=${qmp.path},id=char0`];
  const monitor = ["-object", "monitor-qmp,id=qmp0,chardev=char0", "-display", "none", "-audio", "none"];
  const child = spawn(PROGRAM, [...common, ...monitor, "-run-with", "exit-with-parent=on", ...args, "-accel", "qtest"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.add(child);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const end = new Promise<readonly [number | null, string | null]>((resolve) => {
    child.on("close", (code, signal) => resolve([code, signal]));
  });
  return { child, end, qtest: await qtest.connection, qmp: await qmp.connection, stderr: () => stderr };
}

describe("as libqtest starts it", () => {
  test.each(translationCases)("QEMU's SMMUv3 test, %s: every reply, and status 0 on SIGTERM right after the last one", async (kind) => {
    const { child, qtest, qmp, end, stderr } = await start(caseArguments);
    expect(JSON.parse(await qmp.next())).toHaveProperty("QMP");
    expect(JSON.parse(await qmp.ask('{"execute": "qmp_capabilities"}'))).toEqual({ return: {} });
    for (const { command, reply } of smmuv3Test(kind)) expect(await qtest.ask(command), command).toBe(reply);
    child.kill("SIGTERM");
    expect(await end).toEqual([0, null]);
    expect(stderr()).toBe("");
  });

  test("the probes: -machine none answers query-machines and qom-list-types", async () => {
    const { child, qtest, qmp, end } = await start(["-machine", "none"]);
    await qmp.next();
    await qmp.ask('{"execute": "qmp_capabilities"}');
    expect(await qmp.ask('{"execute": "query-machines"}')).toContain('"alias":"virt"');
    expect(await qmp.ask('{"execute": "qom-list-types", "arguments": {"abstract": false, "implements": "device"}}')).toContain(
      '"name":"arm-gicv3"',
    );
    expect(await qtest.ask("endianness")).toBe("OK little");
    child.kill("SIGTERM");
    expect(await end).toEqual([0, null]);
  });

  test("commands sent at once are answered in order", async () => {
    const { qtest } = await start(["-machine", "virt"]);
    qtest.socket.write("writel 0x40000000 1\nreadl 0x40000000\n\n# nothing\nwritel 0x40000000 2\nreadl 0x4000");
    qtest.socket.write("0000\n");
    const replies = [await qtest.next(), await qtest.next(), await qtest.next(), await qtest.next()];
    expect(replies).toEqual(["OK", "OK 0x0000000000000001", "OK", "OK 0x0000000000000002"]);
  });
});

describe("the end", () => {
  test("closing the qtest socket ends it with status 0, after all commands were answered", async () => {
    const { qtest, end } = await start(["-machine", "virt"]);
    qtest.send("readl 0x40000000");
    qtest.socket.end();
    expect(await qtest.next()).toBe("OK 0x0000000000000000");
    expect(await end).toEqual([0, null]);
  });

  test("quit answers and ends it with status 0", async () => {
    const { qmp, end } = await start(["-machine", "none"]);
    await qmp.next();
    await qmp.ask('{"execute": "qmp_capabilities"}');
    expect(JSON.parse(await qmp.ask('{"execute": "quit"}'))).toMatchObject({ event: "SHUTDOWN" });
    expect(JSON.parse(await qmp.next())).toEqual({ return: {} });
    expect(await end).toEqual([0, null]);
  });

  test("what was met and is not modelled is named", async () => {
    const { qtest, end, stderr } = await start(["-machine", "virt,iommu=smmuv3"]);
    await qtest.ask("writel 0x09050100 1");
    qtest.socket.end();
    expect(await end).toEqual([0, null]);
    expect(stderr()).toMatch(/^quiesce-system-aarch64: not modelled: .*ATOS.* \(1 times\)\n$/);
  });

  test("-qtest-log holds everything when the process has ended", async () => {
    const log = join(folder, "qtest.log");
    const { child, qtest, end } = await start(["-machine", "virt"], log);
    await qtest.ask("clock_step 250");
    child.kill("SIGTERM");
    await end;
    expect(readFileSync(log, "utf8")).toBe("[R +0.000000] clock_step 250\n[S +0.000000] OK 250\n");
  });
});

describe("by hand", () => {
  const run = (
    args: readonly string[],
    input: string = "",
  ): { readonly status: number | null; readonly stdout: string; readonly stderr: string } =>
    spawnSync(PROGRAM, args, { input, encoding: "utf8" });

  test("-qtest stdio: commands in, replies out, status 0 at the end of input", () => {
    expect(run(["-qtest", "stdio", "-machine", "virt,iommu=smmuv3,x-smmu-profile=qemu"], "readl 0x09050000\nreadl 0x09050004\n")).toEqual(
      expect.objectContaining({ status: 0, stdout: "OK 0x000000000d44101b\nOK 0x0000000002730010\n", stderr: "" }),
    );
  });

  test("-d guest_errors tells what software does wrong", () => {
    const { stderr } = run(["-qtest", "stdio", "-d", "guest_errors"], "writel 0x09050000 1\n");
    expect(stderr).toMatch(/^quiesce-system-aarch64: write-read-only: .*SMMU_IDR0.*\(IHI 0070 §6\.3\.1\)\n$/);
  });

  test("--help explains itself, with two examples", () => {
    const { status, stdout } = run(["--help"]);
    expect(status).toBe(0);
    expect(stdout).toContain("QTEST_QEMU_BINARY=");
    expect(stdout).toContain("socat");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("--version names the QEMU whose behaviour it has", () => {
    expect(run(["--version"])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^quiesce-system-aarch64 .*QEMU.*11\.1/) });
  });

  test.each([
    [[]],
    [["-qtest", "stdio", "-machine", "virt,iommu=smmuv3,x-smmu-profile=huge"]],
    [["-qtest", "stdio", "-device", "e1000e"]],
    [["-qtest", "stdio", "-device", "edu,addr=1", "-device", "edu,addr=1"]],
    [["-qtest", "unix:/nonexistent/qtest.sock"]],
    [["-qtest", "stdio", "-qtest-log", "/nonexistent/log"]],
  ])("bad values end with status 2 and one line: %j", (args) => {
    const { status, stdout, stderr } = run(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^quiesce-system-aarch64: [^\n]+\n$/);
  });
});
