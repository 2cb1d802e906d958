// SPDX-License-Identifier: MIT
// A QEMU process with an SMMUv3 and edu devices, driven over the qtest protocol: it carries out the scripts of the
// differential test. Its CPU is off and its clock jumps to the next timer, so that a DMA takes no real time.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const SMMU = 0x0905_0000;
const ECAM = 0x40_1000_0000;
const BARS = 0x1000_0000;
const BAR_SIZE = 0x10_0000;

// Registers of edu, and its buffer as its DMA addresses it. The lower half holds what accesses write, the upper what they read.
const DMA_SOURCE = 0x80;
const DMA_DESTINATION = 0x88;
const DMA_COUNT = 0x90;
const DMA_COMMAND = 0x98;
const TO_DEVICE = 1;
const TO_MEMORY = 3;
const BUFFER = 0x4_0000;
const HALF = 2048;

const CR0 = 0x20;
const GERROR = 0x60;
const GERRORN = 0x64;
const CMDQ_PROD = 0x98;
const CMDQ_CONS = 0x9c;
const EVENTQ_PROD = 0x1_00a8;
const EVENTQ_CONS = 0x1_00ac;
const CMDQ_ERR = 1;
const INDEX = 0xf_ffff;

// Memory that no script uses: where buffers are filled from and emptied to.
const SCRATCH = 0x4300_0000;

const START_TIMEOUT_MS = 30_000;
const POLLS = 20_000;

/** The process has ended, or does not answer: its own matter, not a difference. */
export class QemuEnded extends Error {}

const hex = (value) => `0x${value.toString(16)}`;
const hex64 = (hi, lo) => `0x${hi.toString(16)}${lo.toString(16).padStart(8, "0")}`;

function bytesOf(words) {
  const bytes = Buffer.alloc(4 * words.length);
  words.forEach((word, index) => bytes.writeUInt32LE(word >>> 0, 4 * index));
  return `0x${bytes.toString("hex")}`;
}

function wordsOf(hexBytes) {
  const bytes = Buffer.from(hexBytes.slice(2), "hex");
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32LE(4 * index));
}

export class QemuMachine {
  #library;
  #child;
  #socket;
  #folder;
  #received = "";
  #waiting = [];
  #ended;
  #devices = new Map();
  #consumedEvents = 0;
  /** GERROR at the beginning of the script: what happened before is none of its business. */
  #gerror = 0;
  #diagnostics = "";

  /** @param library the built interop floor */
  constructor(library) {
    this.#library = library;
  }

  /** Starts the process. @param command program and first arguments, separated by blanks */
  async start(command) {
    const [program, ...first] = command.split(" ").filter((word) => word !== "");
    const { RAM_SIZE, STREAM_IDS } = this.#library;
    this.#folder = mkdtempSync(join(tmpdir(), "quiesce-qemu-"));
    const path = join(this.#folder, "qtest.sock");
    const server = createServer();
    const connected = new Promise((resolve) => server.once("connection", resolve));
    await new Promise((resolve, reject) => server.once("error", reject).listen(path, resolve));
    const devices = STREAM_IDS.flatMap((sid) => ["-device", `edu,addr=${hex(sid >> 3)}.${sid & 7},dma_mask=0xffffffffffffffff`]);
    const args = [
      ["-machine", "virt,iommu=smmuv3", "-cpu", "cortex-a57", "-m", String(RAM_SIZE / 2 ** 20)],
      ["-display", "none", "-nodefaults", "-net", "none", "-accel", "tcg", "-icount", "shift=0,sleep=off"],
      ["-global", "driver=cortex-a57-arm-cpu,property=start-powered-off,value=on"],
      ["-qtest", `unix:${path}`, "-qtest-log", "none", ...devices],
    ];
    // A group of its own: Ctrl-C at a terminal is for the script, which then stops it, with what a wrapper may have started.
    this.#child = spawn(program, [...first, ...args.flat()], { stdio: ["ignore", "ignore", "pipe"], detached: true });
    this.#child.stderr.on("data", (data) => (this.#diagnostics = (this.#diagnostics + data).slice(-2000)));
    const ended = new Promise((_resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("exit", (code, signal) =>
        reject(new QemuEnded(`QEMU ended (${signal ?? code}): ${this.#diagnostics.trim().split("\n").at(-1)}`)),
      );
    });
    ended.catch((error) => this.#end(error));
    try {
      const late = sleep(START_TIMEOUT_MS, undefined, { ref: false }).then(() => Promise.reject(new QemuEnded("QEMU does not connect")));
      this.#socket = await Promise.race([connected, ended, late]);
    } finally {
      server.close();
    }
    this.#socket.setEncoding("utf8");
    this.#socket.on("data", (text) => this.#receive(text));
    this.#socket.on("error", (error) => this.#end(new QemuEnded(error.message)));
    this.#socket.on("close", () => this.#end(new QemuEnded("QEMU has closed its socket")));
    await this.#findDevices();
  }

  stop() {
    this.#end(new QemuEnded("QEMU was stopped"));
    this.#socket?.destroy();
    this.#kill();
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
  }

  #kill() {
    if (this.#child?.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, "SIGTERM");
    } catch {
      // It has gone already.
    }
  }

  #end(error) {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }

  // The protocol: a line each way.

  #receive(text) {
    const lines = (this.#received + text).split("\n");
    this.#received = lines.pop();
    for (const line of lines) {
      const { resolve, reject } = this.#waiting.shift();
      if (line.startsWith("OK")) resolve(line.slice(3));
      else reject(new QemuEnded(`qtest answers "${line}"`));
    }
  }

  /** Sends lines at once. @returns the answers */
  #send(...lines) {
    if (this.#ended) return Promise.reject(this.#ended);
    const answers = lines.map(() => new Promise((resolve, reject) => this.#waiting.push({ resolve, reject })));
    this.#socket.write(`${lines.join("\n")}\n`);
    return Promise.all(answers);
  }

  async #readRegister(offset) {
    const [value] = await this.#send(`readl ${hex(SMMU + offset)}`);
    return Number(value);
  }

  #writeRegister(offset, value) {
    return this.#send(`writel ${hex(SMMU + offset)} ${hex(value)}`);
  }

  #memory(address, words) {
    return `write ${hex(address)} ${hex(4 * words.length)} ${bytesOf(words)}`;
  }

  async #readMemory(address, words) {
    const [data] = await this.#send(`read ${hex(address)} ${hex(4 * words)}`);
    return wordsOf(data);
  }

  // Devices.

  async #findDevices() {
    const { STREAM_IDS, MAX_ACCESSES, tagOf } = this.#library;
    for (const [index, sid] of STREAM_IDS.entries()) {
      const config = ECAM + (sid << 12);
      const bar = BARS + index * BAR_SIZE;
      await this.#send(`writel ${hex(config + 0x10)} ${hex(bar)}`, `writew ${hex(config + 4)} 0x6`);
      const [id] = await this.#send(`readl ${hex(bar)}`);
      if (Number(id) !== 0x0100_00ed) throw new QemuEnded(`no edu device answers for StreamID ${hex(sid)}`);
      this.#devices.set(sid, bar);
    }
    const tags = Array.from({ length: MAX_ACCESSES }, (_, index) => tagOf(index));
    await this.#send(this.#memory(SCRATCH, tags));
    for (const bar of this.#devices.values()) await this.#dma(bar, 0, SCRATCH, BUFFER, 4 * MAX_ACCESSES, TO_DEVICE);
  }

  /** Starts a DMA and waits for its end. The upper word belongs to the address that is not in the buffer. */
  async #dma(bar, hi, source, destination, count, command) {
    const [from, to] = command === TO_MEMORY ? [hex(source), hex64(hi, destination)] : [hex64(hi, source), hex(destination)];
    const lines = [
      [DMA_SOURCE, from],
      [DMA_DESTINATION, to],
      [DMA_COUNT, hex(count)],
      [DMA_COMMAND, hex(command)],
    ].map(([register, value]) => `writeq ${hex(bar + register)} ${value}`);
    const busy = `readq ${hex(bar + DMA_COMMAND)}`;
    let state = (await this.#send(...lines, busy)).at(-1);
    for (let polls = 0; (BigInt(state) & 1n) !== 0n; polls++) {
      if (polls === POLLS) throw new QemuEnded("a DMA does not end");
      [state] = await this.#send(busy);
    }
  }

  // What scripts ask for.

  /** The ID registers and the version behind them. */
  async identify() {
    const idr = [];
    for (let index = 0; index < 6; index++) idr.push(await this.#readRegister(4 * index));
    return { idr, aidr: await this.#readRegister(0x1c) };
  }

  /** Carries out a script. @returns observations in its order */
  async run(script) {
    const observations = [];
    this.#consumedEvents = 0;
    const used = [...new Set(script.accesses.map(({ sid }) => sid))].map((sid) => this.#devices.get(sid));
    await this.#writeRegister(CR0, 0);
    await this.#send(`memset ${hex(SCRATCH)} ${hex(HALF)} 0x0`);
    for (const bar of used) await this.#dma(bar, 0, SCRATCH, BUFFER + HALF, HALF - 4, TO_DEVICE);
    for (const [at, operation] of script.operations.entries()) {
      const observation = await this.#operation(operation);
      if (observation) observations.push({ at, ...observation });
    }
    await this.#writeRegister(CR0, 0);
    await this.#look(script, observations);
    return observations;
  }

  /** Finds out where each access went: what was written where, and what was read. */
  async #look(script, observations) {
    const { tagOf } = this.#library;
    const read = new Map();
    for (const sid of new Set(script.accesses.filter(({ write }) => !write).map(({ sid }) => sid))) {
      await this.#dma(this.#devices.get(sid), 0, BUFFER + HALF, SCRATCH, HALF - 4, TO_MEMORY);
      read.set(sid, await this.#readMemory(SCRATCH, HALF / 4 - 1));
    }
    const numbers = new Map(script.operations.map((operation, at) => [operation, at]));
    for (const access of script.accesses) {
      const observation = observations.find(({ at }) => at === numbers.get(access));
      const contents = await this.#send(...access.candidates.map((address) => `readl ${hex(address)}`), "endianness");
      const wanted = access.write ? tagOf(access.index) : read.get(access.sid)[access.index];
      observation.seen = access.candidates.find((_address, index) => Number(contents[index]) === wanted);
    }
  }

  async #operation(operation) {
    switch (operation.op) {
      case "clear":
        await this.#send(`memset ${hex(operation.address)} ${hex(operation.size)} 0x0`);
        return undefined;
      case "memory":
        await this.#send(this.#memory(operation.address, operation.words));
        return undefined;
      case "write": {
        const { offset, width, hi, lo } = operation;
        await this.#send(width === 8 ? `writeq ${hex(SMMU + offset)} ${hex64(hi, lo)}` : `writel ${hex(SMMU + offset)} ${hex(lo)}`);
        return undefined;
      }
      case "acknowledge":
        this.#gerror = await this.#readRegister(GERROR);
        await this.#writeRegister(GERRORN, this.#gerror);
        return undefined;
      case "commands":
        return this.#commands(operation);
      case "access":
        return this.#access(operation);
      case "read": {
        const { offset, width } = operation;
        const [value] = await this.#send(`read${width === 8 ? "q" : "l"} ${hex(SMMU + offset)}`);
        const before = offset === GERROR || offset === GERRORN ? this.#gerror : 0;
        return { what: "read", lo: (Number(BigInt(value) & 0xffff_ffffn) ^ before) >>> 0, hi: Number(BigInt(value) >> 32n) };
      }
      default:
        throw new RangeError(`an operation of the unknown kind ${operation.op}`);
    }
  }

  async #commands({ at, commands }) {
    const { CMDQ_BASE } = this.#library;
    const failing = async () => (((await this.#readRegister(GERROR)) ^ (await this.#readRegister(GERRORN))) & CMDQ_ERR) !== 0;
    await this.#send(this.#memory(CMDQ_BASE + 16 * at, commands.flat()));
    await this.#writeRegister(CMDQ_PROD, at + commands.length);
    const cons = await this.#readRegister(CMDQ_CONS);
    const failed = await failing();
    for (let tries = 0; tries < commands.length && (await failing()); tries++) {
      const index = (await this.#readRegister(CMDQ_CONS)) & INDEX;
      await this.#send(this.#memory(CMDQ_BASE + 16 * index, [0x46, 0, 0, 0]));
      await this.#writeRegister(GERRORN, await this.#readRegister(GERROR));
    }
    return { what: "commands", error: failed ? (cons >>> 24) & 0x7f : 0, index: cons & INDEX };
  }

  async #access({ sid, addressHi, addressLo, write, index }) {
    const bar = this.#devices.get(sid);
    if (write) await this.#dma(bar, addressHi, BUFFER + 4 * index, addressLo, 4, TO_MEMORY);
    else await this.#dma(bar, addressHi, addressLo, BUFFER + HALF + 4 * index, 4, TO_DEVICE);
    return { what: "access", events: await this.#takeEvents(), seen: undefined };
  }

  async #takeEvents() {
    const { EVENTQ_BASE, EVENTQ_LOG2 } = this.#library;
    const entries = 2 ** EVENTQ_LOG2;
    const prod = (await this.#readRegister(EVENTQ_PROD)) % (2 * entries);
    const records = [];
    for (; this.#consumedEvents !== prod; this.#consumedEvents = (this.#consumedEvents + 1) % (2 * entries)) {
      records.push(await this.#readMemory(EVENTQ_BASE + 32 * (this.#consumedEvents % entries), 8));
    }
    if (records.length > 0) await this.#writeRegister(EVENTQ_CONS, prod);
    return records;
  }
}
