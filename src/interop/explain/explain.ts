// SPDX-License-Identifier: MIT
/** Explains one translation of a recording: the recording is replayed up to it, and the translation is watched. */
import { hex, hex64 } from "../../hw/index.ts";
import type { RecordingHeader, TraceRecord } from "../replay/recording.ts";
import { Replayer } from "../replay/replayer.ts";
import type { Finding } from "../replay/report.ts";
import { Watch, explainWalk } from "./walkthrough.ts";
import type { Explanation } from "./types.ts";

type Request = Extract<TraceRecord, { t: "x" }>;

/** What was asked for cannot be explained. */
export class ExplainError extends Error {
  readonly code = "EXPLAIN";

  constructor(message: string) {
    super(message);
    this.name = "ExplainError";
  }
}

/** Takes the records of one recording in order, up to the one to explain. */
export class Explainer {
  readonly #header: RecordingHeader;
  readonly #target: number;
  readonly #replayer: Replayer;
  readonly #watch = new Watch();
  #differences: Finding[] = [];
  #lastRequest: number | undefined;
  #explanation: Explanation | undefined;

  /** @param target number of the record to explain, from 0 */
  constructor(header: RecordingHeader, target: number) {
    this.#header = header;
    this.#target = target;
    this.#replayer = new Replayer(header, {
      load: (kind, address, words, status, level) => this.#watch.load(kind, address, words, status, level),
      event: (words) => this.#watch.event(words),
      stale: (use) => this.#watch.staleUse(use),
      finding: (finding) => this.#differences.push(finding),
    });
  }

  /**
   * Carries one record out.
   * @returns true if it was the one to explain
   * @throws ExplainError if that is not a translation request
   */
  apply(record: TraceRecord): boolean {
    this.#differences = [];
    if (record.n !== this.#target) {
      this.#replayer.apply(record);
      if (record.t === "x") this.#lastRequest = record.n;
      return false;
    }
    if (record.t !== "x")
      throw new ExplainError(`record ${record.n} is ${describeRecord(record)}, not a translation request${this.#nearest()}`);
    this.#explain(record);
    return true;
  }

  /** @throws ExplainError if the record was not there */
  get explanation(): Explanation {
    if (this.#explanation === undefined) throw new ExplainError(`the recording ends before record ${this.#target}${this.#nearest()}`);
    return this.#explanation;
  }

  #nearest(): string {
    return this.#lastRequest === undefined ? "" : `; the last request before it is record ${this.#lastRequest}`;
  }

  #explain(record: Request): void {
    const replayer = this.#replayer;
    const walk = explainWalk({
      smmu: replayer.smmu,
      tx: replayer.transactionOf(record),
      watch: this.#watch,
      withCaches: () => {
        replayer.apply(record);
        return replayer.outcome;
      },
      fromMemory: () => {
        replayer.again(record);
        return replayer.outcome;
      },
    });
    this.#explanation = {
      subject: { record: record.n, scenario: this.#header.scenario },
      request: {
        streamId: hex(record.sid),
        substreamId: undefined,
        address: hex64(record.addressHi, record.addressLo),
        access: record.write ? "write" : "read",
        injected: record.injected,
      },
      ...walk,
      recorded: { answer: record.answer, architecture: record.architecture },
      differences: this.#differences,
    };
  }
}

function describeRecord(record: Exclude<TraceRecord, { t: "x" }>): string {
  switch (record.t) {
    case "r":
      return `a read of register ${hex(record.offset)}`;
    case "w":
      return `a write to register ${hex(record.offset)}`;
    case "reset":
      return "a reset";
    case "inv":
      return "a drop of all caches";
  }
}
