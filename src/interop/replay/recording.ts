// SPDX-License-Identifier: MIT
/**
 * The recording of a real driver at a real SMMU, one JSON object a line (format smmuv3-trace/1): register accesses,
 * translation requests, and all that each of them caused. This file turns lines into records and says where a line is bad.
 */
import {
  type CacheHits,
  type Effect,
  type MemoryImage,
  type RecordedOperation,
  type Permission,
  type RecordingHeader,
  type StateAfter,
  type TraceRecord,
  type TranslationAnswer,
  physicalText,
} from "./records.ts";

export * from "./records.ts";

/** A line that is not what the format says. */
export class RecordingError extends Error {
  readonly code = "RECORDING";
  /** The line, counted from 1; record n stands in line n + 2. */
  readonly line: number;

  constructor(line: number, message: string) {
    super(`line ${line}: ${message}`);
    this.name = "RecordingError";
    this.line = line;
  }
}

export const RECORDING_FORMAT = "smmuv3-trace/1";

type Json = Readonly<Record<string, unknown>>;

/** The value of each character as a hexadecimal digit, -1 for all others. Recordings are long: a table is what pays here. */
const DIGITS: Int32Array = Int32Array.from({ length: 0x1_0000 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(value) ? -1 : value;
});
const NONE: readonly never[] = [];
const HITS = {
  none: { config: false, tlb: false },
  config: { config: true, tlb: false },
  tlb: { config: false, tlb: true },
  both: { config: true, tlb: true },
} as const;
const ID_REGISTERS = 6;
const FATES: readonly string[] = ["ok", "evtq-full", "evtq-off", "none"];
const INTERRUPTS: readonly string[] = ["evtq", "gerror", "sync", "priq"];
const PERMISSIONS: readonly string[] = ["", "r", "w", "rw"];
/** Page 0 and page 1. */
const REGISTER_SPACE = 0x2_0000;
/** Bytes of an STE or a CD. */
const LARGEST_FETCH = 64;
const ADDRESS_LIMIT = 2 ** 52;

/**
 * The lines that make up most of a recording: register reads, and requests that were answered without an event. Reading
 * these by pattern takes a quarter of the time; everything else goes the general way, and a test holds the two together.
 */
const PLAIN_READ = /^\{"n":(\d+),"t":"r","o":"(0x[0-9a-f]+)","s":4,"v":"(0x[0-9a-f]{1,8})"\}$/;
const PLAIN_REQUEST =
  /^\{"n":(\d+),"t":"x","sid":(\d{1,8}),"iova":"(0x[0-9a-f]{1,16})","f":"([rw])","r":\{"s":"ok","pa":"(0x[0-9a-f]{1,13})","mask":"(0x[0-9a-f]{1,12})","perm":"(r|w|rw)"\}(?:,"m":\[\["P","(0x[0-9a-f]{1,12})","([0-9a-f]{16})"\]\])?,"h":\[([01]),(-?[012])\],"sg":([0-3])(?:,"asid":\d+)?(?:,"vmid":\d+)?(?:,"q":"[LSDP]*")?\}$/;

/** Reads one recording line by line: the header first, then records in order. */
export class RecordingReader {
  #line = 0;
  #next = 0;
  /** The record that is being read, once its number is known to be right. */
  #record: number | undefined;

  /** Lines read so far. */
  get lines(): number {
    return this.#line;
  }

  /** The number that the next record must carry. */
  get nextRecord(): number {
    return this.#next;
  }

  /** @throws RecordingError */
  header(line: string): RecordingHeader {
    const object = this.#object(line);
    if (object["t"] !== "hdr") this.#fail("the first line is not a header");
    const format = this.#string(object, "format");
    if (format !== RECORDING_FORMAT) this.#fail(`format "${format}" is not known; "${RECORDING_FORMAT}" is`);
    return {
      format,
      scenario: this.#string(object, "scenario"),
      what: this.#string(object, "what"),
      qemu: this.#string(object, "qemu"),
      kernel: this.#string(object, "kernel"),
      ...(typeof object["cmdline"] === "string" ? { commandLine: object["cmdline"] } : {}),
      mmioBase: this.#number(object["mmio_base"], "mmio_base"),
      counts: this.#counts(object["counts"]),
    };
  }

  #counts(value: unknown): Record<string, number> {
    if (value === undefined) return {};
    const counts = this.#json(value) ?? this.#fail('"counts" is not a JSON object');
    return Object.fromEntries(Object.entries(counts).map(([key, count]) => [key, this.#number(count, "counts")]));
  }

  /** @throws RecordingError */
  record(line: string): TraceRecord {
    return this.#plainRecord(line) ?? this.#anyRecord(line);
  }

  #plainRecord(line: string): TraceRecord | undefined {
    const read = PLAIN_READ.exec(line);
    if (read !== null) {
      const offset = Number(read[2]);
      if ((offset & 3) !== 0 || offset >= REGISTER_SPACE || !this.#follows(Number(read[1]))) return undefined;
      return { t: "r", n: this.#next++, offset, size: 4, hi: 0, lo: Number(read[3]) };
    }
    const request = PLAIN_REQUEST.exec(line);
    if (request === null || !this.#follows(Number(request[1]))) return undefined;
    const [, , sid, iova, flag, physical, mask, perm, address, bytes, config, tlb, stages] = request;
    const { hi, lo } = this.#halves(iova, "iova");
    return {
      t: "x",
      n: this.#next++,
      memory: bytes === undefined ? NONE : [{ address: Number(address), bytes: this.#bytes(bytes, "m") }],
      effects: NONE,
      state: undefined,
      sid: Number(sid),
      addressHi: hi,
      addressLo: lo,
      write: flag === "w",
      answer: { status: "ok", physical: physical!, mask: Number(mask), perm: perm as Permission },
      uncached: undefined,
      hits: config === "1" ? (tlb === "1" ? HITS.both : HITS.config) : tlb === "1" ? HITS.tlb : HITS.none,
      architecture: undefined,
      deviation: undefined,
      injected: "",
      stages: Number(stages),
    };
  }

  /** True, and the line counts, if this is the record that comes next; the general way says what is wrong if it is not. */
  #follows(n: number): boolean {
    if (n !== this.#next) return false;
    this.#line++;
    return true;
  }

  #anyRecord(line: string): TraceRecord {
    const object = this.#object(line);
    const n = object["n"];
    if (n !== this.#next) this.#fail(`record ${this.#next} was expected, ${JSON.stringify(n)} is there`);
    this.#record = this.#next++;
    switch (object["t"]) {
      case "reset":
        return {
          t: "reset",
          n,
          idr: this.#idr(object["idr"]),
          iidr: this.#register(object["iidr"], "iidr"),
          aidr: this.#register(object["aidr"], "aidr"),
        };
      case "r":
        return { t: "r", n, ...this.#access(object) };
      case "w":
        return { t: "w", ...this.#operation(object, n), ...this.#access(object) };
      case "x":
        return { t: "x", ...this.#operation(object, n), ...this.#translation(object) };
      case "inv":
        return { t: "inv", n };
      default:
        return this.#fail(`is of the unknown type ${JSON.stringify(object["t"])}`);
    }
  }

  #fail(message: string): never {
    throw new RecordingError(this.#line, this.#record === undefined ? message : `record ${this.#record}: ${message}`);
  }

  #object(line: string): Json {
    this.#line++;
    this.#record = undefined;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      this.#fail(line.length === 0 ? "is empty" : "is not JSON (cut short?)");
    }
    return this.#json(value) ?? this.#fail("is not a JSON object");
  }

  #json(value: unknown): Json | undefined {
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
  }

  #string(object: Json, key: string): string {
    const value = object[key];
    return typeof value === "string" ? value : this.#fail(`"${key}" is not a string`);
  }

  #array(value: unknown, key: string): readonly unknown[] {
    return Array.isArray(value) ? value : this.#fail(`"${key}" is not a list`);
  }

  /** A number, or a hexadecimal string of a value below 2^53. */
  #number(value: unknown, key: string): number {
    const number = typeof value === "string" && value.startsWith("0x") ? Number(value) : value;
    if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0)
      this.#fail(`"${key}" is not a number: ${JSON.stringify(value)}`);
    return number as number;
  }

  /** A number of 32 bits. */
  #register(value: unknown, key: string): number {
    const number = this.#number(value, key);
    return number < 2 ** 32 ? number : this.#fail(`"${key}" has more than 32 bits: ${JSON.stringify(value)}`);
  }

  #idr(value: unknown): readonly number[] {
    const registers = this.#array(value, "idr");
    if (registers.length !== ID_REGISTERS) this.#fail(`"idr" is not IDR0 to IDR${ID_REGISTERS - 1}`);
    return registers.map((register) => this.#register(register, "idr"));
  }

  /** A physical address at which `size` bytes lie. */
  #address(value: unknown, key: string, size: number): number {
    const address = this.#number(value, key);
    if (address + size > ADDRESS_LIMIT) this.#fail(`"${key}": ${JSON.stringify(value)} is no physical address`);
    return address;
  }

  /** The halves of a 64-bit value in hexadecimal. */
  #halves(value: unknown, key: string): { readonly lo: number; readonly hi: number } {
    if (typeof value === "string" && value.length > 2 && value.length <= 18 && value.startsWith("0x")) {
      const cut = Math.max(2, value.length - 8);
      const lo = Number(`0x${value.slice(cut)}`);
      const hi = cut === 2 ? 0 : Number(value.slice(0, cut));
      if (!Number.isNaN(lo) && !Number.isNaN(hi)) return { hi, lo };
    }
    return this.#fail(`"${key}" is not a hexadecimal string: ${JSON.stringify(value)}`);
  }

  #bytes(value: unknown, key: string): Uint8Array {
    if (typeof value !== "string" || value.length === 0 || value.length % 2 !== 0)
      return this.#fail(`"${key}" is not bytes in hexadecimal`);
    const bytes = new Uint8Array(value.length / 2);
    for (let i = 0; i < bytes.length; i++) {
      const byte = (DIGITS[value.charCodeAt(2 * i)]! << 4) | DIGITS[value.charCodeAt(2 * i + 1)]!;
      if (!(byte >= 0)) this.#fail(`"${key}" is not bytes in hexadecimal`);
      bytes[i] = byte;
    }
    return bytes;
  }

  #access(object: Json): { offset: number; size: 4 | 8; lo: number; hi: number } {
    const size = object["s"];
    if (size !== 4 && size !== 8) this.#fail(`an access of ${JSON.stringify(size)} bytes`);
    const offset = this.#number(object["o"], "o");
    if (offset % (size as number) !== 0 || offset >= REGISTER_SPACE)
      this.#fail(`"o": ${JSON.stringify(object["o"])} is no offset of a register`);
    const { lo, hi } = this.#halves(object["v"], "v");
    if (size === 4 && hi !== 0) this.#fail(`"v" has more than 32 bits: ${JSON.stringify(object["v"])}`);
    return { offset, size: size as 4 | 8, lo, hi };
  }

  #operation(object: Json, n: number): RecordedOperation {
    const { st, m, fx } = object;
    return {
      n,
      memory: m === undefined ? NONE : this.#array(m, "m").map((entry) => this.#image(this.#array(entry, "m"))),
      effects: fx === undefined ? NONE : this.#array(fx, "fx").map((entry) => this.#effect(this.#array(entry, "fx"))),
      state: st === undefined ? undefined : this.#state(this.#json(st) ?? this.#fail('"st" is not a JSON object')),
    };
  }

  #state(state: Json): StateAfter {
    return {
      cons: this.#register(state["cons"], "cons"),
      eprod: this.#register(state["eprod"], "eprod"),
      gerr: this.#register(state["gerr"], "gerr"),
      cr0ack: this.#register(state["cr0ack"], "cr0ack"),
    };
  }

  #image([kind, address, content]: readonly unknown[]): MemoryImage {
    if (kind !== "L" && kind !== "S" && kind !== "D" && kind !== "P") this.#fail(`memory of the unknown kind ${JSON.stringify(kind)}`);
    const bytes = this.#bytes(content, "m");
    return { address: this.#address(address, "m", bytes.length), bytes };
  }

  /** Bytes of a fixed number. */
  #entry(value: unknown, key: string, size: number): Uint8Array {
    const bytes = this.#bytes(value, key);
    return bytes.length === size ? bytes : this.#fail(`"${key}": ${bytes.length} bytes where ${size} belong`);
  }

  #text(value: unknown, key: string, known: readonly string[]): string {
    return typeof value === "string" && known.includes(value) ? value : this.#fail(`"${key}": ${JSON.stringify(value)} is not known`);
  }

  #effect(entry: readonly unknown[]): Effect {
    const [kind, a, b, c] = entry;
    switch (kind) {
      case "c":
        return { kind: "command", cons: this.#register(a, "c"), address: this.#address(b, "c", 16), bytes: this.#entry(c, "c", 16) };
      case "cerr":
        return { kind: "command-error", code: this.#register(a, "cerr") };
      case "ev":
        return { kind: "event-due", event: this.#register(a, "ev"), sid: this.#register(b, "ev"), fate: this.#text(c, "ev", FATES) };
      case "e":
        return { kind: "event-record", address: this.#address(a, "e", 32), bytes: this.#entry(b, "e", 32) };
      case "irq":
        return { kind: "interrupt", line: this.#text(a, "irq", INTERRUPTS) };
      case "fail": {
        const size = this.#number(c, "fail");
        if (size === 0 || size > LARGEST_FETCH) this.#fail(`"fail": a fetch of ${JSON.stringify(c)} bytes`);
        return { kind: "abort", address: this.#address(b, "fail", size), size };
      }
      default:
        return this.#fail(`an effect of the unknown kind ${JSON.stringify(kind)}`);
    }
  }

  #answer(value: unknown, key: string): TranslationAnswer {
    const answer = this.#json(value) ?? this.#fail(`"${key}" is not a JSON object`);
    const status = answer["s"];
    if (status === "fault") return { status, event: this.#register(answer["ev"], "ev") };
    if (status === "ok" || status === "bypass" || status === "disabled") {
      const { hi, lo } = this.#halves(answer["pa"], "pa");
      const physical = physicalText(hi, lo);
      if (status !== "ok") return { status, physical };
      const mask = this.#number(answer["mask"], "mask");
      return { status, physical, mask, perm: this.#text(answer["perm"], "perm", PERMISSIONS) as Permission };
    }
    if (status === "abort") return { status };
    return this.#fail(`an answer of the unknown kind ${JSON.stringify(status)}`);
  }

  #hits(value: unknown): CacheHits {
    const [config, tlb, ...rest] = this.#array(value, "h");
    const known = (hit: unknown): boolean => hit === 1 || hit === 0 || hit === -1 || hit === -2;
    if (!known(config) || !known(tlb) || rest.length > 0) this.#fail(`"h" is not two hits: ${JSON.stringify(value)}`);
    return { config: config === 1, tlb: tlb === 1 };
  }

  #optionalString(object: Json, key: string): string | undefined {
    return object[key] === undefined ? undefined : this.#string(object, key);
  }

  #translation(object: Json): Omit<Extract<TraceRecord, { t: "x" }>, keyof RecordedOperation | "t"> {
    const { hi, lo } = this.#halves(object["iova"], "iova");
    const flag = object["f"];
    if (flag !== "r" && flag !== "w") this.#fail(`a request of the unknown kind ${JSON.stringify(flag)}`);
    const { u, arch, sg = 0 } = object;
    if (sg !== 0 && sg !== 1 && sg !== 2 && sg !== 3) this.#fail(`"sg" is not 0 to 3: ${JSON.stringify(sg)}`);
    return {
      sid: this.#register(object["sid"], "sid"),
      addressHi: hi,
      addressLo: lo,
      write: flag === "w",
      answer: this.#answer(object["r"], "r"),
      uncached: u === undefined ? undefined : this.#answer(u, "u"),
      hits: this.#hits(object["h"]),
      architecture: arch === undefined ? undefined : this.#answer(arch, "arch"),
      deviation: this.#optionalString(object, "dev"),
      injected: this.#optionalString(object, "inj") ?? "",
      stages: sg as number,
    };
  }
}
