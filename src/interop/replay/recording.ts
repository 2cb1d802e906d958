// SPDX-License-Identifier: MIT
/**
 * The recording of a real driver at a real SMMU, one JSON object a line (format smmuv3-trace/1): register accesses,
 * translation requests, and all that each of them caused. This file turns lines into records and says where a line is bad.
 */

/** Memory that the operation may need, as it is at that moment. */
export interface MemoryImage {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** What the recorded SMMU did during an operation. */
export type Effect =
  | { readonly kind: "command"; readonly cons: number; readonly address: number; readonly bytes: Uint8Array }
  | { readonly kind: "command-error"; readonly code: number }
  | { readonly kind: "event-record"; readonly address: number; readonly bytes: Uint8Array }
  /** An event was due; `fate` says what became of it. */
  | { readonly kind: "event-due"; readonly event: number; readonly fate: string }
  | { readonly kind: "interrupt"; readonly line: string }
  /** A read by the SMMU that was answered with an abort. */
  | { readonly kind: "abort"; readonly address: number; readonly size: number };

/** Registers after an operation, given when one of them changed. */
export interface StateAfter {
  readonly cons: number;
  readonly eprod: number;
  readonly gerr: number;
  readonly cr0ack: number;
}

/** How a translation request ended. */
export interface TranslationAnswer {
  readonly status: "ok" | "bypass" | "disabled" | "abort" | "fault";
  /** Hexadecimal, since a bypass passes on all 64 bits. */
  readonly physical?: string;
  readonly event?: number;
}

interface Operation {
  readonly n: number;
  readonly memory: readonly MemoryImage[];
  readonly effects: readonly Effect[];
  readonly state: StateAfter | undefined;
}

export type TraceRecord =
  | { readonly t: "reset"; readonly n: number; readonly idr: readonly number[]; readonly iidr: number; readonly aidr: number }
  | { readonly t: "r"; readonly n: number; readonly offset: number; readonly size: 4 | 8; readonly lo: number; readonly hi: number }
  | ({ readonly t: "w"; readonly offset: number; readonly size: 4 | 8; readonly lo: number; readonly hi: number } & Operation)
  | ({
      readonly t: "x";
      readonly sid: number;
      readonly addressHi: number;
      readonly addressLo: number;
      readonly write: boolean;
      readonly answer: TranslationAnswer;
      /** What the recorder's own model says the architecture wants, where that differs from the answer. */
      readonly architecture: TranslationAnswer | undefined;
      /** Why, in the recorder's words: "tlbhit-noperm", "noevent", "arch". */
      readonly deviation: string | undefined;
      /** What was changed under the driver for this request; empty if nothing was. */
      readonly injected: string;
      /** Stages that the stream's STE enables: bit 0 stage 1, bit 1 stage 2. */
      readonly stages: number;
    } & Operation)
  /** All caches were dropped. */
  | { readonly t: "inv"; readonly n: number };

export interface RecordingHeader {
  readonly format: string;
  readonly scenario: string;
  readonly what: string;
  readonly qemu: string;
  readonly kernel: string;
  readonly mmioBase: number;
  readonly counts: Readonly<Record<string, number>>;
}

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

/** A physical address as answers carry it. */
export function physicalText(hi: number, lo: number): string {
  return hi === 0 ? `0x${lo.toString(16)}` : `0x${hi.toString(16)}${lo.toString(16).padStart(8, "0")}`;
}

/**
 * The lines that make up most of a recording: register reads, and requests that were answered without an event. Reading
 * these by pattern takes a quarter of the time; everything else goes the general way, and a test holds the two together.
 */
const PLAIN_READ = /^\{"n":(\d+),"t":"r","o":"(0x[0-9a-f]+)","s":4,"v":"(0x[0-9a-f]{1,8})"\}$/;
const PLAIN_REQUEST =
  /^\{"n":(\d+),"t":"x","sid":(\d+),"iova":"(0x[0-9a-f]{1,16})","f":"([rw])","r":\{"s":"ok","pa":"(0x[0-9a-f]{1,13})","mask":"0x[0-9a-f]+","perm":"[rw]+"\}(?:,"m":\[\["P","(0x[0-9a-f]{1,13})","([0-9a-f]{16})"\]\])?,"h":\[-?\d,-?\d\],"sg":([0-3])(?:,"asid":\d+)?(?:,"vmid":\d+)?(?:,"q":"[LSDP]*")?\}$/;

/** Reads one recording line by line: the header first, then records in order. */
export class RecordingReader {
  #line = 0;
  #next = 0;

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
      mmioBase: this.#number(object["mmio_base"], "mmio_base"),
      counts: (object["counts"] ?? {}) as Record<string, number>,
    };
  }

  /** @throws RecordingError */
  record(line: string): TraceRecord {
    return this.#plainRecord(line) ?? this.#anyRecord(line);
  }

  #plainRecord(line: string): TraceRecord | undefined {
    const read = PLAIN_READ.exec(line);
    if (read !== null) {
      if (!this.#follows(Number(read[1]))) return undefined;
      return { t: "r", n: this.#next++, offset: Number(read[2]), size: 4, hi: 0, lo: Number(read[3]) };
    }
    const request = PLAIN_REQUEST.exec(line);
    if (request === null || !this.#follows(Number(request[1]))) return undefined;
    const [, , sid, iova, flag, physical, address, bytes, stages] = request;
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
      answer: { status: "ok", physical: physical! },
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
    this.#next++;
    switch (object["t"]) {
      case "reset":
        return {
          t: "reset",
          n,
          idr: this.#array(object["idr"], "idr").map((value) => this.#number(value, "idr")),
          iidr: this.#number(object["iidr"], "iidr"),
          aidr: this.#number(object["aidr"], "aidr"),
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
        return this.#fail(`record ${n} is of the unknown type ${JSON.stringify(object["t"])}`);
    }
  }

  #fail(message: string): never {
    throw new RecordingError(this.#line, message);
  }

  #object(line: string): Json {
    this.#line++;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      this.#fail(line.length === 0 ? "is empty" : "is not JSON (cut short?)");
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) this.#fail("is not a JSON object");
    return value as Json;
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
    const number = typeof value === "string" ? Number(value) : value;
    if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0)
      this.#fail(`"${key}" is not a number: ${JSON.stringify(value)}`);
    return number as number;
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
    if (typeof value !== "string" || value.length % 2 !== 0) return this.#fail(`"${key}" is not bytes in hexadecimal`);
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
    return { offset: this.#number(object["o"], "o"), size: size as 4 | 8, ...this.#halves(object["v"], "v") };
  }

  #operation(object: Json, n: number): Operation {
    const state = object["st"] as Json | undefined;
    return {
      n,
      memory: object["m"] === undefined ? NONE : this.#array(object["m"], "m").map((entry) => this.#image(this.#array(entry, "m"))),
      effects: object["fx"] === undefined ? NONE : this.#array(object["fx"], "fx").map((entry) => this.#effect(this.#array(entry, "fx"))),
      state: state && {
        cons: this.#number(state["cons"], "cons"),
        eprod: this.#number(state["eprod"], "eprod"),
        gerr: this.#number(state["gerr"], "gerr"),
        cr0ack: this.#number(state["cr0ack"], "cr0ack"),
      },
    };
  }

  #image(entry: readonly unknown[]): MemoryImage {
    return { address: this.#number(entry[1], "m"), bytes: this.#bytes(entry[2], "m") };
  }

  #effect(entry: readonly unknown[]): Effect {
    const [kind, a, b, c] = entry;
    switch (kind) {
      case "c":
        return { kind: "command", cons: this.#number(a, "c"), address: this.#number(b, "c"), bytes: this.#bytes(c, "c") };
      case "cerr":
        return { kind: "command-error", code: this.#number(a, "cerr") };
      case "ev":
        return { kind: "event-due", event: this.#number(a, "ev"), fate: String(c) };
      case "e":
        return { kind: "event-record", address: this.#number(a, "e"), bytes: this.#bytes(b, "e") };
      case "irq":
        return { kind: "interrupt", line: String(a) };
      case "fail":
        return { kind: "abort", address: this.#number(b, "fail"), size: this.#number(c, "fail") };
      default:
        return this.#fail(`an effect of the unknown kind ${JSON.stringify(kind)}`);
    }
  }

  #answer(value: unknown): TranslationAnswer {
    const answer = value as Json;
    const status = answer["s"];
    if (status === "fault") return { status, event: this.#number(answer["ev"], "ev") };
    if (status === "ok" || status === "bypass" || status === "disabled") {
      const { hi, lo } = this.#halves(answer["pa"], "pa");
      return { status, physical: physicalText(hi, lo) };
    }
    if (status === "abort") return { status };
    return this.#fail(`an answer of the unknown kind ${JSON.stringify(status)}`);
  }

  #translation(object: Json): {
    sid: number;
    addressHi: number;
    addressLo: number;
    write: boolean;
    answer: TranslationAnswer;
    architecture: TranslationAnswer | undefined;
    deviation: string | undefined;
    injected: string;
    stages: number;
  } {
    const { hi, lo } = this.#halves(object["iova"], "iova");
    const flag = object["f"];
    if (flag !== "r" && flag !== "w") this.#fail(`a request of the unknown kind ${JSON.stringify(flag)}`);
    return {
      sid: this.#number(object["sid"], "sid"),
      addressHi: hi,
      addressLo: lo,
      write: flag === "w",
      answer: this.#answer(object["r"]),
      architecture: object["arch"] === undefined ? undefined : this.#answer(object["arch"]),
      deviation: object["dev"] as string | undefined,
      injected: (object["inj"] as string | undefined) ?? "",
      stages: this.#number(object["sg"] ?? 0, "sg"),
    };
  }
}
