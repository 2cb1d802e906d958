// SPDX-License-Identifier: MIT
/** Which event may be merged into the record before it (IHI 0070 §3.5.5, §7.3.1), if the choice `eventMerging` is on. */
import { EVENTS, eventsMergedByPage } from "../spec/events.ts";

/** "Not separated by a significant amount of time": how long after its record an equal event is merged into it. */
export const MERGE_WINDOW_NS = 1000;

const WORDS = 8;
/** Where bit 95, Stall, is. */
const STALL_WORD = 2;
const STALL_BIT = 0x8000_0000;
const INPUT_WORD = 4;
const PAGE_OFFSET = 0xfff;

const stallable: ReadonlySet<number> = new Set(EVENTS.filter((event) => event.translationRelated).map((event) => event.number));

/** Remembers the youngest record that equal events may be merged into. */
export class EventMerging {
  readonly #record = new Uint32Array(WORDS);
  #index = -1;
  #until = 0;

  /** No record is remembered: what comes next is written. */
  forget(): void {
    this.#index = -1;
  }

  /** A record was written. @param index where in the queue, with its wrap flag @param mayMerge see {@link covers} */
  written(words: Uint32Array, index: number, mayMerge: boolean, now: number): void {
    if (!mayMerge || stalls(words)) {
      this.forget();
      return;
    }
    this.#record.set(words);
    this.#index = index;
    this.#until = now + MERGE_WINDOW_NS;
  }

  /**
   * True if the record at `index`, the youngest that software has not consumed, stands for this event too.
   * @param mayMerge STE.MEV is 1, or the event comes before there is an STE
   */
  covers(words: Uint32Array, index: number, mayMerge: boolean, now: number): boolean {
    if (!mayMerge || index !== this.#index || now > this.#until || stalls(words)) return false;
    const byPage = eventsMergedByPage.has(words[0]! & 0xff);
    return this.#record.every((word, i) => ((word ^ words[i]!) & (byPage && i === INPUT_WORD ? ~PAGE_OFFSET : ~0)) === 0);
  }
}

function stalls(words: Uint32Array): boolean {
  return stallable.has(words[0]! & 0xff) && (words[STALL_WORD]! & STALL_BIT) !== 0;
}
