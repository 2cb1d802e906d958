// SPDX-License-Identifier: MIT
/** Reading recordings line by line, and saying where one is bad. */
import { HostMisuseError, NotModelledError } from "../hw/index.ts";
import { RecordingError, type RecordingHeader, RecordingReader, type TraceRecord } from "../interop/index.ts";
import { UsageError } from "./exit.ts";
import { inputName } from "./input.ts";

/** Carries `action` out; what a bad recording makes of it becomes one line that names file and line. */
export function onRecording<T>(path: string, line: number, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof RecordingError) throw new UsageError(`${inputName(path)}: ${error.message}`);
    // A recording of an SMMU that cannot be, or that begins in the middle.
    if (error instanceof HostMisuseError || error instanceof NotModelledError || error instanceof RangeError) {
      throw new UsageError(`${inputName(path)}: line ${line}: ${error.message}`);
    }
    throw error;
  }
}

/** Takes the header of a recording and then its records, in order. */
export class RecordingLines {
  readonly header: RecordingHeader;
  readonly #path: string;
  readonly #reader: RecordingReader;

  /** @throws UsageError */
  constructor(path: string, first: string) {
    this.#path = path;
    this.#reader = new RecordingReader();
    this.header = onRecording(path, 1, () => this.#reader.header(first));
  }

  /** Records that the header counts. */
  get expected(): number {
    return Object.values(this.header.counts).reduce((sum, count) => sum + count, 0);
  }

  /** Records read so far. */
  get records(): number {
    return this.#reader.nextRecord;
  }

  get lines(): number {
    return this.#reader.lines;
  }

  /** @throws UsageError */
  read(line: string): TraceRecord {
    return onRecording(this.#path, this.lines + 1, () => this.#reader.record(line));
  }

  /** The input has ended. @throws UsageError if records are missing */
  end(): void {
    if (this.records < this.expected) {
      throw new UsageError(
        `${inputName(this.#path)}: after line ${this.lines}: the recording is cut short: ${this.records} of ${this.expected} records`,
      );
    }
  }
}
