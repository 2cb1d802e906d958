// SPDX-License-Identifier: MIT
/** Recordings made by hand: structures in memory, registers, requests; and the fixtures from files. */
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { type TableMemory, writeWords } from "../../../src/hw/index.ts";
import {
  Explainer,
  type Explanation,
  RecordingReader,
  type RecordingHeader,
  type ReplayReport,
  Replayer,
  type TraceRecord,
} from "../../../src/interop/index.ts";

export const FIXTURES = join(import.meta.dirname, "..", "..", "fixtures", "recordings");

/** Memory that remembers what was written, to be handed over as images. */
export class Images implements TableMemory {
  readonly #words = new Map<number, number>();
  #fresh = new Set<number>();

  read32(address: number): number {
    return this.#words.get(address) ?? 0;
  }

  write32(address: number, value: number): void {
    this.#words.set(address, value >>> 0);
    this.#fresh.add(address);
  }

  write(address: number, words: ArrayLike<number>): void {
    writeWords(this, address, words);
  }

  /** What was written since the last call. */
  take(): { readonly address: number; readonly bytes: Uint8Array }[] {
    const images = [...this.#fresh].map((address) => {
      const value = this.read32(address);
      return { address, bytes: Uint8Array.from([0, 8, 16, 24], (shift) => (value >>> shift) & 0xff) };
    });
    this.#fresh = new Set();
    return images;
  }
}

const HEADER: RecordingHeader = {
  format: "smmuv3-trace/1",
  scenario: "by hand",
  what: "",
  qemu: "10.0",
  kernel: "",
  mmioBase: 0,
  counts: {},
};

/** A recording by hand, on the ID registers of QEMU 10. */
export class HandMade {
  readonly memory: Images = new Images();
  readonly #records: TraceRecord[] = [{ t: "reset", n: 0, idr: [0x0d44_101b, 0x0273_0010, 0, 0x1414, 0, 0x74], iidr: 0, aidr: 1 }];

  write(offset: number, lo: number, hi: number = 0, size: 4 | 8 = 4): this {
    this.#records.push({ t: "w", n: this.#records.length, offset, size, lo, hi, memory: [], effects: [], state: undefined });
    return this;
  }

  /** Stream table and SMMUEN (IHI 0070 §6.3.9, §6.3.24, §6.3.25). */
  enable(base: number, config: number): this {
    return this.write(0x80, base, 0, 8).write(0x88, config).write(0x2c, 2).write(0x20, 1);
  }

  /** A request of StreamID `sid`; memory written meanwhile comes with it. @returns its record's number */
  request(sid: number, address: number, write: boolean = false, abort?: number): number {
    const n = this.#records.length;
    this.#records.push({
      t: "x",
      n,
      sid,
      addressHi: Math.floor(address / 2 ** 32),
      addressLo: address >>> 0,
      write,
      answer: { status: "abort" },
      uncached: undefined,
      hits: undefined,
      architecture: undefined,
      deviation: undefined,
      injected: "",
      stages: 0,
      memory: this.memory.take(),
      effects: abort === undefined ? [] : [{ kind: "abort", address: abort, size: 8 }],
      state: undefined,
    });
    return n;
  }

  explain(target: number): Explanation {
    const explainer = new Explainer(HEADER, target);
    this.#records.some((record) => explainer.apply(record));
    return explainer.explanation;
  }
}

/** Recordings beside the checkout, if they are there. */
export function sharedRecordings(): { readonly folder: string; readonly files: readonly string[] } {
  const folder = process.env["QUIESCE_RECORDINGS"] ?? join(import.meta.dirname, "..", "..", "..", "..", "shared", "recordings", "linux");
  const slow = process.env["QUIESCE_SLOW"] !== undefined && process.env["QUIESCE_SLOW"] !== "";
  const files = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith(".ndjson.gz") && (slow || statSync(join(folder, name)).size < 150_000))
    : [];
  return { folder, files };
}

export function linesOf(path: string): string[] {
  return gunzipSync(readFileSync(path))
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "");
}

export function replay(path: string): ReplayReport {
  const reader = new RecordingReader();
  const [first = "", ...rest] = linesOf(path);
  const replayer = new Replayer(reader.header(first));
  for (const line of rest) replayer.apply(reader.record(line));
  return replayer.report();
}

export function explainFile(path: string, target: number): Explanation {
  const reader = new RecordingReader();
  const [first = "", ...rest] = linesOf(path);
  const explainer = new Explainer(reader.header(first), target);
  for (const line of rest) if (explainer.apply(reader.record(line))) break;
  return explainer.explanation;
}
