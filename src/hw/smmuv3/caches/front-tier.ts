// SPDX-License-Identifier: MIT
/**
 * The front tier: answers of the TLB for single 4 KiB pages, found in a few loads. It decides nothing. A line is a copy of
 * what the caches behind it would answer, and it goes whenever they could answer otherwise; it may go at any other time, too.
 *
 *     StreamID, SubstreamID  ->  view  ->  class  ->  line
 *
 * A view is one stream as the configuration cache has it. A class is one way to look translations up: the contexts of the TLB
 * and what the STE and CD do to each access. Lines carry the number of their class, so that a class with another number has
 * lost all its lines at once. All of it lies in typed arrays; a hit allocates nothing.
 */
import type { Transaction } from "../ports.ts";
import type { TagContext } from "./tagged-cache.ts";
import { asetOfKey } from "./tlb-tags.ts";

/** Lines of four words: VA[31:12] and a part of the class's number; VA[55:32] and the rest; PA[31:12] and rights; PA[51:32] and attributes. */
const LINE_WORDS = 4;
const FEWEST_LINES = 256;
const MOST_LINES = 0x2_0000;
/** Views of one StreamID, told apart by the low bits of the SubstreamID. */
const VIEW_WAYS = 4;
const VIEWS = 0x4000;
const MOST_CLASSES = 0x4000;
/** Numbers of classes have 20 bits; 0 is none. */
const LAST_NUMBER = 0xf_ffff;
const VIEW_WORDS = 4;
/** No SubstreamID is that; -1 is none. */
const NO_SUBSTREAM = -2;

/** Reads as "no such view" everywhere: before the first line there is nothing to find. */
const NO_VIEWS = new Int32Array(VIEW_WORDS * VIEWS).fill(NO_SUBSTREAM);

/** Rights of a line: one bit for each kind of access, at {@link rightOf}. */
export function rightOf(write: boolean, instruction: boolean, privileged: boolean): number {
  const kind = write ? 1 : instruction ? 2 : 0;
  return 1 << (privileged ? kind + 3 : kind);
}

/** One way to look translations up. A command that drops a context finds all it needs in the class and its view. */
export class FrontClass {
  /** What its lines carry; 0 once it is gone. */
  number: number;
  /** Place of the first view that uses it, or did; -1: none. */
  view = -1;
  /** Those of others, where streams share it. */
  others: number[] | undefined = undefined;
  /** The next class with this `own`, and the next one with this `global` behind another `own`. */
  nextOfOwn: FrontClass | undefined = undefined;
  nextBehind: FrontClass | undefined = undefined;
  /** What the STE and CD do to an access, as a number. */
  readonly signature: number;
  readonly global: TagContext;
  /** ASET of `global`. */
  readonly aset: number;

  constructor(number: number, signature: number, global: TagContext) {
    this.number = number;
    this.signature = signature;
    this.global = global;
    this.aset = asetOfKey(global.key);
  }

  addView(view: number): void {
    if (this.view < 0) this.view = view;
    else if (this.others === undefined) this.others = [view];
    else if (!this.others.includes(view)) this.others.push(view);
  }
}

export class FrontTier {
  readonly #lineCount: number;
  /** Four words: StreamID, SubstreamID, number of the class, and what the number does to the place of a line. */
  #views: Int32Array = NO_VIEWS;
  #classes: FrontClass[] = [];
  #lastNumber = 0;
  /** Made with the first view when the first line comes. */
  #lines: Int32Array;
  #mask = 0;

  /** @param entries of the TLB behind it */
  constructor(entries: number) {
    this.#lineCount = Math.min(MOST_LINES, Math.max(FEWEST_LINES, 2 ** Math.ceil(Math.log2(Math.max(1, 2 * entries)))));
    this.#lines = new Int32Array(LINE_WORDS);
  }

  /** The words of the lines; {@link find} gives places in it. */
  get lines(): Int32Array {
    return this.#lines;
  }

  /** @returns the place of a line that answers a transaction, or -1: ask the caches */
  find(tx: Transaction): number {
    const { streamId, substreamId, addressHi: hi, addressLo: lo } = tx;
    const view = viewOf(streamId, substreamId);
    const views = this.#views;
    if (views[view] !== (streamId | 0) || views[view | 1] !== substreamId) return -1;
    const number = views[view | 2]!;
    const lines = this.#lines;
    const at = LINE_WORDS * (((lo >>> 12) ^ (hi << 4) ^ views[view | 3]!) & this.#mask);
    if (lines[at] !== firstWord(number, lo) || lines[at | 1] !== secondWord(number, hi)) return -1;
    // The address is canonical in bits [63:56], and the transaction a plain read or write.
    if (((((hi << 8) >> 8) ^ hi) | tx.kind) !== 0) return -1;
    const right = rightOf(tx.write, tx.instruction, tx.privileged);
    return (lines[at | 2]! & right) === 0 ? -1 : at;
  }

  /**
   * Keeps an answer for one page.
   * @param own,global contexts whose entries it may come from; the same twice where there is one
   * @param signature what the STE and CD do to an access: equal numbers for what is the same
   * @param rights bits of {@link rightOf} that the caches would grant without any effect but the answer, and 6 bits above
   *   them to be given back as they are
   * @param attributes 12 bits to be given back as they are
   */
  keep(
    streamId: number,
    substreamId: number,
    own: TagContext,
    global: TagContext,
    signature: number,
    hi: number,
    lo: number,
    rights: number,
    physical: number,
    attributes: number,
  ): FrontClass | undefined {
    if ((hi << 8) >> 8 !== (hi | 0)) return undefined;
    if (this.#mask === 0) {
      this.#views = new Int32Array(VIEW_WORDS * VIEWS).fill(NO_SUBSTREAM);
      this.#lines = new Int32Array(LINE_WORDS * this.#lineCount);
      this.#mask = this.#lineCount - 1;
    }
    const found = this.#classOf(own, global, signature);
    const { number } = found;
    const view = viewOf(streamId, substreamId);
    if (found.view !== view) found.addView(view);
    this.#views[view] = streamId;
    this.#views[view | 1] = substreamId;
    this.#views[view | 2] = number;
    this.#views[view | 3] = seedOf(number);
    this.#setLine(number, hi, lo, rights, physical | 0, Math.floor(physical / 2 ** 32), attributes);
    return found;
  }

  /**
   * {@link keep} for a class that it gave before, if the stream still goes there.
   * @returns false if it does not: nothing is kept
   */
  keepIn(
    member: FrontClass,
    streamId: number,
    substreamId: number,
    hi: number,
    lo: number,
    rights: number,
    paLo: number,
    paHi: number,
    attributes: number,
  ): boolean {
    const { number } = member;
    const view = viewOf(streamId, substreamId);
    const views = this.#views;
    if (number === 0 || views[view] !== (streamId | 0) || views[view | 1] !== substreamId || views[view | 2] !== number) return false;
    if ((hi << 8) >> 8 === (hi | 0)) this.#setLine(number, hi, lo, rights, paLo, paHi, attributes);
    return true;
  }

  #setLine(number: number, hi: number, lo: number, rights: number, paLo: number, paHi: number, attributes: number): void {
    const at = LINE_WORDS * (hashOf(number, hi, lo) & this.#mask);
    const lines = this.#lines;
    lines[at] = firstWord(number, lo);
    lines[at | 1] = secondWord(number, hi);
    lines[at | 2] = (paLo & ~0xfff) | rights;
    lines[at | 3] = paHi | (attributes << 20);
  }

  #classOf(own: TagContext, global: TagContext, signature: number): FrontClass {
    for (let known = own.front; known !== undefined; known = known.nextOfOwn)
      if (known.signature === signature && known.global === global && !isGone(known)) return known;
    if (this.#classes.length === MOST_CLASSES) this.clear();
    const made = new FrontClass(this.#nextNumber(), signature, global);
    this.#classes.push(made);
    made.nextOfOwn = withoutGone(own.front, "nextOfOwn");
    own.front = made;
    if (global !== own) {
      made.nextBehind = withoutGone(global.frontBehind, "nextBehind");
      global.frontBehind = made;
      own.asets |= 1 << made.aset;
    }
    return made;
  }

  #nextNumber(): number {
    if (this.#lastNumber === LAST_NUMBER) {
      this.#lines.fill(0);
      this.#lastNumber = 0;
      for (const member of this.#classes) this.#renumber(member, ++this.#lastNumber);
    }
    return ++this.#lastNumber;
  }

  /** All lines of a class are lost; its views find those to come. */
  #renumber(member: FrontClass, next: number): void {
    const old = member.number;
    const { view, others } = member;
    member.number = next;
    if (view >= 0 && !this.#renumberView(view, old, next)) member.view = -1;
    if (others !== undefined) member.others = others.filter((other) => this.#renumberView(other, old, next));
  }

  /** @returns false for a view that has gone to another stream: it is no longer this class's */
  #renumberView(view: number, old: number, next: number): boolean {
    const views = this.#views;
    if (views[view | 2] !== old) return false;
    views[view | 2] = next;
    views[view | 3] = seedOf(next);
    return true;
  }

  // What the caches say.

  /** One entry has left a context: its page, or, if it was larger, all that came from the context. @param size log2 of bytes */
  entryGone(context: TagContext, size: number, hi: number, lo: number): void {
    for (let member = context.front; member !== undefined; member = member.nextOfOwn) this.#drop(member, size, hi, lo);
    for (let member = context.frontBehind; member !== undefined; member = member.nextBehind) this.#drop(member, size, hi, lo);
  }

  /**
   * One entry was put into a context. Those who look for global entries behind it find it first from now on. For those of its
   * own ASET there was nothing before at the page that it came for, but there may have been at other pages that it covers.
   */
  entryCame(context: TagContext, aset: number, size: number, hi: number, lo: number): void {
    for (let member = context.front; member !== undefined; member = member.nextOfOwn) {
      const { global } = member;
      if ((member.aset !== aset || size > 12) && global !== context && global.count > 0) this.#drop(member, size, hi, lo);
    }
  }

  #drop(member: FrontClass, size: number, hi: number, lo: number): void {
    const { number } = member;
    if (isGone(member)) return;
    if (size > 12) {
      this.#renumber(member, this.#nextNumber());
      return;
    }
    const at = LINE_WORDS * (hashOf(number, hi, lo) & this.#mask);
    if (this.#lines[at] !== firstWord(number, lo) || this.#lines[at | 1] !== secondWord(number, hi)) return;
    // No class has the number 0.
    this.#lines[at] = 0;
    this.#lines[at | 1] = 0;
  }

  /** All entries of a context are gone. */
  contextGone(context: TagContext): void {
    for (let member = context.front; member !== undefined; member = member.nextOfOwn) this.#lose(member);
    for (let member = context.frontBehind; member !== undefined; member = member.nextBehind) this.#lose(member);
  }

  #lose(member: FrontClass): void {
    if (!isGone(member)) this.#renumber(member, this.#nextNumber());
  }

  /** The STE or a CD of a stream has left the configuration cache, or stands there anew. */
  streamGone(streamId: number): void {
    const first = viewOf(streamId, 0);
    for (let view = first; view < first + VIEW_WORDS * VIEW_WAYS; view += VIEW_WORDS)
      if (this.#views[view] === (streamId | 0)) this.#views[view | 1] = NO_SUBSTREAM;
  }

  /** All of them have. */
  streamsGone(): void {
    for (let view = 0; view < this.#views.length; view += VIEW_WORDS) this.#views[view | 1] = NO_SUBSTREAM;
  }

  /** Nothing is known any more: registers have changed, or the caches were reset. */
  clear(): void {
    if (this.#classes.length === 0) return;
    for (const member of this.#classes) member.number = 0;
    this.#classes = [];
    this.#lastNumber = 0;
    this.#views.fill(NO_SUBSTREAM);
    this.#lines.fill(0);
  }
}

/** Where the view of a stream lies. */
function viewOf(streamId: number, substreamId: number): number {
  return VIEW_WORDS * (((streamId * VIEW_WAYS) | (substreamId & (VIEW_WAYS - 1))) & (VIEWS - 1));
}

/** What a class's number does to the place of its lines. */
function seedOf(number: number): number {
  return Math.imul(number, 0x9e37_79b1);
}

function isGone({ number }: FrontClass): boolean {
  return number === 0;
}

/** A list of classes without those that are gone. */
function withoutGone(list: FrontClass | undefined, next: "nextOfOwn" | "nextBehind"): FrontClass | undefined {
  let first = list;
  while (first !== undefined && isGone(first)) first = first[next];
  for (let kept = first; kept !== undefined; kept = kept[next]) {
    let after = kept[next];
    while (after !== undefined && isGone(after)) after = after[next];
    kept[next] = after;
  }
  return first;
}

function hashOf(number: number, hi: number, lo: number): number {
  return (lo >>> 12) ^ (hi << 4) ^ seedOf(number);
}

function firstWord(number: number, lo: number): number {
  return (lo & ~0xfff) | (number & 0xfff);
}

function secondWord(number: number, hi: number): number {
  return (hi & 0xff_ffff) | ((number >>> 12) << 24);
}
