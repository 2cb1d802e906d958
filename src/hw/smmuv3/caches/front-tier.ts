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
import { overridesOf, type Transaction, Via } from "../transaction.ts";
import type { TagContext } from "./tagged-cache.ts";
import { asetOfKey } from "./tlb-tags.ts";

/** Lines of four words: VA[31:12] and a part of the class's number; VA[55:32] and the rest; PA[31:12] and rights; PA[51:32] and output. */
const LINE_WORDS = 4;
const FEWEST_LINES = 256;
const MOST_LINES = 0x2_0000;
/** Views of one StreamID, told apart by the low bits of the SubstreamID. */
const VIEW_WAYS_LOG2 = 2;
const VIEW_WAYS: number = 1 << VIEW_WAYS_LOG2;
const VIEWS = 0x4000;
const MOST_CLASSES = 0x4000;
/** Numbers of classes have 20 bits; 0 is none. */
const LAST_NUMBER = 0xf_ffff;
const VIEW_WORDS = 4;
const VIEW_SHIFT = 2;
/** What a place of a view, and of a line, is cut to: the compiler of the host then knows that it is not negative. */
const VIEW_PLACES: number = VIEW_WORDS * (VIEWS - 1);
const LINE_PLACES: number = LINE_WORDS * (MOST_LINES - 1);
/** Spreads classes over the lines: a multiple of their size. */
const SEED: number = 0x9e37_79b1 << 2;
/** StreamIDs above have no views: a view has 32 bits with a sign, and no transaction with anything else may pass for one of these. */
const LAST_STREAM = 0x7fff_ffff;

/** Flags that are none of a plain read or write. */
const NOT_PLAIN = ~7;
/** PRIVCFG and INSTCFG among the rights, and how far from there to their place in an answer; where the flags go there. */
const OVERRIDES = 0xf00;
const OVERRIDES_SHIFT = 5;
const FLAGS_SHIFT = 17;

/** Views of class 0, which has no lines that answer: before the first line there is nothing to find. */
const NO_VIEWS = new Int32Array(VIEW_WORDS * VIEWS);

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
  readonly #fixed: number;

  /**
   * @param entries of the TLB behind it
   * @param fixedOutput all transactions leave as privileged data
   */
  constructor(entries: number, fixedOutput: boolean) {
    this.#fixed = overridesOf(0, 0, fixedOutput, Via.none);
    this.#lineCount = Math.min(MOST_LINES, Math.max(FEWEST_LINES, 2 ** Math.ceil(Math.log2(Math.max(1, 2 * entries)))));
    this.#lines = new Int32Array(LINE_WORDS);
  }

  /** Forwards a transaction for which there is a line. @returns false: ask the caches */
  answer(tx: Transaction): boolean {
    const { streamId, substreamId, addressHi: hi, addressLo: lo, flags } = tx;
    // All in one piece: functions that are called by name would be looked up here each time.
    const view = (((streamId << VIEW_WAYS_LOG2) | (substreamId & (VIEW_WAYS - 1))) << VIEW_SHIFT) & VIEW_PLACES;
    const views = this.#views;
    if (views[view] !== streamId || views[view | 1] !== substreamId) return false;
    const lines = this.#lines;
    const first = views[view | 2]!;
    const at = ((lo >>> 10) ^ (hi << 6) ^ Math.imul(first, SEED)) & this.#mask & LINE_PLACES;
    if (lines[at] !== ((lo & ~0xfff) | first) || lines[at | 1] !== (hi ^ views[view | 3]!)) return false;
    const low = lines[at | 2]!;
    // The address is canonical in bits [63:56], and the transaction is a read or write without more to it that may be done.
    if (((((hi << 8) >> 8) ^ hi) | (flags & NOT_PLAIN) | (~(low >> flags) & 1)) !== 0) return false;
    const high = lines[at | 3]!;
    tx.physicalLo = (low & ~0xfff) | (lo & 0xfff);
    tx.physicalHi = high & 0xf_ffff;
    tx.answer = (high >>> 20) | ((low & OVERRIDES) << OVERRIDES_SHIFT) | (flags << FLAGS_SHIFT) | this.#fixed;
    tx.stall = null;
    return true;
  }

  /**
   * Keeps an answer for one page.
   * @param own,global contexts whose entries it may come from; the same twice where there is one
   * @param signature what the STE and CD do to an access: equal numbers for what is the same
   * @param rights accesses that the caches would grant without any effect but the answer, as {@link rightsOf} gives them
   * @param output memory type, shareability and way, of an answer
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
    paLo: number,
    paHi: number,
    output: number,
  ): FrontClass | undefined {
    if ((hi << 8) >> 8 !== (hi | 0) || streamId > LAST_STREAM) return undefined;
    if (own.retired || global.retired) return undefined;
    if (this.#mask === 0) {
      this.#views = new Int32Array(VIEW_WORDS * VIEWS);
      this.#lines = new Int32Array(LINE_WORDS * this.#lineCount);
      this.#mask = LINE_WORDS * (this.#lineCount - 1);
    }
    const found = this.#classOf(own, global, signature);
    const { number } = found;
    const view = viewOf(streamId, substreamId);
    if (found.view !== view) found.addView(view);
    this.#views[view] = streamId;
    this.#views[view | 1] = substreamId;
    this.#views[view | 2] = firstOf(number);
    this.#views[view | 3] = secondOf(number);
    this.#setLine(number, hi, lo, rights, paLo, paHi, output);
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
    output: number,
  ): boolean {
    const { number } = member;
    const view = viewOf(streamId, substreamId);
    const views = this.#views;
    if (number === 0 || views[view] !== streamId || views[view | 1] !== substreamId || !this.#shows(view, number)) return false;
    if ((hi << 8) >> 8 === (hi | 0)) this.#setLine(number, hi, lo, rights, paLo, paHi, output);
    return true;
  }

  /** Where the line of a page lies. */
  #place(number: number, hi: number, lo: number): number {
    return ((lo >>> 10) ^ (hi << 6) ^ Math.imul(firstOf(number), SEED)) & this.#mask & LINE_PLACES;
  }

  /** Whether a view shows the lines of a class. */
  #shows(view: number, number: number): boolean {
    return this.#views[view | 2] === firstOf(number) && this.#views[view | 3] === secondOf(number);
  }

  #setLine(number: number, hi: number, lo: number, rights: number, paLo: number, paHi: number, output: number): void {
    const at = this.#place(number, hi, lo);
    const lines = this.#lines;
    lines[at] = (lo & ~0xfff) | firstOf(number);
    lines[at | 1] = hi ^ secondOf(number);
    lines[at | 2] = (paLo & ~0xfff) | rights;
    lines[at | 3] = paHi | (output << 20);
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
    if (!this.#shows(view, old)) return false;
    views[view | 2] = firstOf(next);
    views[view | 3] = secondOf(next);
    return true;
  }

  // What the caches say.

  /** One entry has left a context: its page, or, if it was larger, all that came from the context. @param size log2 of bytes */
  entryGone(context: TagContext, size: number, hi: number, lo: number): void {
    if (size > 12) {
      this.contextGone(context);
      return;
    }
    for (let member = context.front; member !== undefined; member = member.nextOfOwn) this.#losePage(member.number, hi, lo);
    for (let member = context.frontBehind; member !== undefined; member = member.nextBehind) this.#losePage(member.number, hi, lo);
  }

  /**
   * One entry was put into a context. Those who look for global entries behind it find it first from now on. For those of its
   * own ASET there was nothing before at the page that it came for, but there may have been at other pages that it covers.
   */
  entryCame(context: TagContext, aset: number, size: number, hi: number, lo: number): void {
    for (let member = context.front; member !== undefined; member = member.nextOfOwn) {
      const { global } = member;
      if ((member.aset === aset && size <= 12) || global === context || global.count === 0) continue;
      if (size > 12) this.#loseAll(member);
      else this.#losePage(member.number, hi, lo);
    }
  }

  #loseAll(member: FrontClass): void {
    if (member.number !== 0) this.#renumber(member, this.#nextNumber());
  }

  /** Takes all rights from a line: it answers nothing. @param number of a class, or 0, of which there is no line */
  #losePage(number: number, hi: number, lo: number): void {
    const first = number & 0xfff;
    const at = ((lo >>> 10) ^ (hi << 6) ^ Math.imul(first, SEED)) & this.#mask & LINE_PLACES;
    const lines = this.#lines;
    if (lines[at] !== ((lo & ~0xfff) | first) || lines[at | 1] !== (hi ^ ((number >>> 12) << 24))) return;
    lines[at | 2] = 0;
  }

  /** All entries of a context are gone. */
  contextGone(context: TagContext): void {
    for (let member = context.front; member !== undefined; member = member.nextOfOwn) this.#loseAll(member);
    for (let member = context.frontBehind; member !== undefined; member = member.nextBehind) this.#loseAll(member);
  }

  /** The STE or a CD of a stream has left the configuration cache, or stands there anew. */
  streamGone(streamId: number): void {
    const first = viewOf(streamId, 0);
    const views = this.#views;
    for (let view = first; view < first + VIEW_WORDS * VIEW_WAYS; view += VIEW_WORDS)
      if (views[view] === streamId) views.fill(0, view, view + VIEW_WORDS);
  }

  /** All of them have. */
  streamsGone(): void {
    this.#views.fill(0);
  }

  /** Nothing is known any more: registers have changed, or the caches were reset. */
  clear(): void {
    if (this.#classes.length === 0) return;
    for (const member of this.#classes) member.number = 0;
    this.#classes = [];
    this.#lastNumber = 0;
    this.#views.fill(0);
    this.#lines.fill(0);
  }
}

/** Where the view of a stream lies. */
function viewOf(streamId: number, substreamId: number): number {
  return (((streamId << VIEW_WAYS_LOG2) | (substreamId & (VIEW_WAYS - 1))) << VIEW_SHIFT) & VIEW_PLACES;
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

// What the number of a class does to the first two words of its lines.

function firstOf(number: number): number {
  return number & 0xfff;
}

function secondOf(number: number): number {
  return (number >>> 12) << 24;
}
