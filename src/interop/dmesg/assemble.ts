// SPDX-License-Identifier: MIT
/**
 * From lines to records. Linux prints a record as a headline and four words on lines of their own, each with the device's
 * name; other lines may stand between them. Two SMMUs are told apart by their names, two CPUs by the caller if the kernel
 * prints it. On one CPU the error interrupt may cut in on the event thread: then the youngest open block gets the words. Two
 * records printed into each other are told apart where their words allow it; where not, only what is certain is kept.
 */
import { EVENTS, EventNumber, fieldNamed, setField } from "../../hw/index.ts";
import { type LogLine, readLogLine } from "../decode/log-line.ts";
import { History, secondsOf } from "./history.ts";
import { matchMessage } from "./messages.ts";
import { Unknown, isSilent } from "./unknown.ts";
import type { CommandFound, EventFound, Found, Place } from "./types.ts";

const EVENT = /^\s*event 0x([0-9a-f]{1,2}) received:/;
const COMMAND = /^\s*skipping command in error state:/;
const WORD = /^\s*0x([0-9a-f]{16})\s*$/;
/** A word that lost digits: the console was cut or overrun. */
const HALF_WORD = /^\s*0x[0-9a-f]{1,15}\s*$/;
const SENTENCE =
  /event: (\w+) client: (.+?) sid: (0x[0-9a-f]+|0) ssid: (0x[0-9a-f]+|0)(?: iova: (0x[0-9a-f]+|0) ipa: (0x[0-9a-f]+|0)| fetch_addr: (0x[0-9a-f]+|0))?/;
const ACCESS = /(un)?priv (data|inst) (read|write) (s1|s2) "([^"]*)"( ttd_read| ttd_write)?( stall)? stag: (0x[0-9a-f]+|0)/;
const SUPPRESSED = /arm_smmu\w*: (\d+) callbacks suppressed/;

const CLASSES = ["CD fetch", "Stage 1 translation table fetch", "Input address caused fault", "Reserved"];

const WORDS = { event: 4, command: 2 } as const;

/** A headline that waits for its words. */
interface Block {
  readonly key: string;
  readonly what: "event" | "command";
  /** Event number in the headline. */
  readonly announced: number;
  readonly words: bigint[];
  readonly place: Omit<Place, "lastLine">;
  /** An equal headline that came before this one had its words, after so many of them. */
  twin: { readonly place: Omit<Place, "lastLine">; readonly after: number } | undefined;
  lastLine: number;
  doubts: string[];
}

const MIXED = "two equal headlines and their words are printed into each other";

/** Two records printed into each other, as far as it is certain which word is whose. */
function untangle(
  words: readonly bigint[],
  announced: number,
): { readonly first: bigint[]; readonly second: bigint[]; readonly sure: boolean } {
  // Twice the same record: each word goes to the one that lacks it.
  const [first, second]: [bigint[], bigint[]] = [[], []];
  for (const word of words) (second.length < first.length && word === first[second.length] ? second : first).push(word);
  if (first.length === 4 && second.length === 4) return { first, second, sure: true };
  const begins = words.flatMap((word, i) => (Number(word & 0xffn) === announced ? [i] : []));
  if (begins.length === 2 && begins[0] === 0 && begins[1] === 4) return { first: words.slice(0, 4), second: words.slice(4), sure: true };
  return { first: words.slice(0, 1), second: begins.length === 2 ? [words[begins[1]!]!] : [], sure: false };
}

function toWords(values: readonly bigint[], count: number): Uint32Array {
  const words = new Uint32Array(count);
  values.forEach((value, i) => {
    words[2 * i] = Number(value & 0xffff_ffffn);
    words[2 * i + 1] = Number(value >> 32n);
  });
  return words;
}

/** A mutable event: Linux's sentences about it come after its words. */
type OpenEvent = { -readonly [K in keyof EventFound]: EventFound[K] };

export class Assembler {
  readonly history: History = new History();
  suppressed = 0;
  /** Lines that name an SMMUv3 and were not understood. */
  readonly unknown: Unknown = new Unknown();
  readonly #emit: (found: Found) => void;
  #line = 0;
  #blocks: Block[] = [];
  /** The last event of each SMMU, kept back until no sentence about it can follow. */
  readonly #recent = new Map<string, OpenEvent>();

  /** @param emit gets what was found; an event comes when the next thing about its SMMU begins */
  constructor(emit: (found: Found) => void) {
    this.#emit = emit;
  }

  get lines(): number {
    return this.#line;
  }

  push(text: string): void {
    this.#line++;
    const line = readLogLine(text);
    const device = line.device ?? "";
    this.history.note(line.message, line.device, line.stamped);
    const suppressed = SUPPRESSED.exec(text);
    if (suppressed) this.suppressed += Number(suppressed[1]);
    if (this.#word(line, device) || this.#headline(line, device) || this.#sentence(line, device)) return;
    const found = matchMessage(line.message, line.device === undefined ? "none" : isSmmu(line) ? "smmu" : "client");
    if (!found) {
      if (!suppressed && (isSmmuV3(line) || /\barm-smmu-v3\b|tegra241.cmdqv/i.test(line.message)) && !isSilent(line))
        this.unknown.note(this.#line, line);
      return;
    }
    this.#note(found.row.id, found.groups, device, line.time);
    this.#emit({
      ...this.#place(line, device),
      lastLine: this.#line,
      what: "message",
      id: found.row.id,
      groups: found.groups,
    });
  }

  /** The log has ended. */
  end(): void {
    for (const block of this.#blocks) this.#close(block, "the log ends before its last word");
    this.#blocks = [];
    for (const event of this.#recent.values()) this.#emit(event);
    this.#recent.clear();
  }

  #place(line: LogLine, device: string): Omit<Place, "lastLine"> {
    const { boot } = this.history;
    return { device, time: line.time, firstLine: this.#line, boot, goingDown: boot.goingDown };
  }

  #note(id: string, groups: Readonly<Record<string, string>>, device: string, time: string | undefined): void {
    const { boot } = this.history;
    if (id === "taken-over") boot.takenOver.set(device, secondsOf(time));
    if (id === "cmd-error") boot.commandErrors.set(device, this.#line);
    if (id === "probe")
      boot.probes.set(device, {
        ias: Number(groups["ias"] ?? groups["oas"]),
        oas: Number(groups["oas"]),
        features: Number(groups["features"]),
      });
  }

  #headline(line: LogLine, device: string): boolean {
    const event = EVENT.exec(line.message);
    if (!event && !COMMAND.test(line.message)) {
      const queue = /allocated (\d+) entries for cmdq/.exec(line.message);
      if (queue) this.history.boot.cmdqEntries.set(device, Number(queue[1]));
      return queue !== null;
    }
    const what = event ? "event" : "command";
    const announced = event ? Number.parseInt(event[1]!, 16) : 0;
    const key = `${device} ${line.caller ?? ""}`;
    const place = this.#place(line, device);
    const open = this.#blocks.filter((block) => block.key === key && block.what === what);
    const [only] = open;
    if (what === "event" && open.length === 1 && only!.announced === announced && only!.twin === undefined) {
      only!.twin = { place, after: only!.words.length };
      return true;
    }
    this.#closeAll(open, "the next one begins before its last word");
    this.#blocks.push({ key, what, announced, words: [], place, twin: undefined, lastLine: this.#line, doubts: [] });
    return true;
  }

  #closeAll(blocks: readonly Block[], cut: string | undefined): void {
    this.#blocks = this.#blocks.filter((block) => !blocks.includes(block));
    for (const block of blocks) this.#close(block, cut);
  }

  #word(line: LogLine, device: string): boolean {
    const match = WORD.exec(line.message);
    if (!match && !HALF_WORD.test(line.message)) return false;
    const key = `${device} ${line.caller ?? ""}`;
    const block = this.#blocks.findLast((open) => open.key === key);
    if (!block) return false;
    if (this.#blocks.some((open) => open !== block && open.key === key)) block.doubts.push("it was printed in the middle of another one");
    if (!match) {
      this.#closeAll([block], `line ${this.#line} has only a part of a word`);
      return true;
    }
    block.words.push(BigInt(`0x${match[1]!}`));
    block.lastLine = this.#line;
    if (block.words.length === WORDS[block.what] * (block.twin === undefined ? 1 : 2)) this.#closeAll([block], undefined);
    return true;
  }

  #close(block: Block, cut: string | undefined): void {
    const { twin, words, announced } = block;
    if (twin === undefined) return this.#record(block, cut);
    if (words.length === 8) {
      const { first, second, sure } = untangle(words, announced);
      const doubts = [...block.doubts, MIXED];
      this.#record({ ...block, words: first, doubts }, sure ? undefined : "the rest cannot be told apart");
      this.#record({ ...block, place: twin.place, words: second, doubts }, sure ? undefined : "the rest cannot be told apart");
      return;
    }
    // The second headline was no twin: the first record is cut short, and the rest of the words are the second one's.
    const rest = words.slice(twin.after);
    this.#record(
      { ...block, words: words.slice(0, twin.after), lastLine: twin.place.firstLine - 1 },
      "the next one begins before its last word",
    );
    if (rest.length > 4)
      this.#record(
        { ...block, place: twin.place, words: rest.slice(0, 1), doubts: [...block.doubts, MIXED] },
        "the rest cannot be told apart",
      );
    else this.#record({ ...block, place: twin.place, words: rest }, rest.length === 4 ? undefined : cut);
  }

  #record(block: Block, cut: string | undefined): void {
    const { what, words: all, place, announced, lastLine } = block;
    const doubts = [...new Set(block.doubts)];
    const total = WORDS[what];
    // No record has its first word twice.
    const repeated = what === "event" && all.length > 1 && all[0] === all[1];
    if (repeated) doubts.push("the first word comes twice: two records are printed into each other, and only that word is certain");
    const words = repeated ? all.slice(0, 1) : all;
    if (cut !== undefined) doubts.push(`cut short: ${words.length} of ${total} words, ${cut}`);
    if (what === "command") {
      const command: CommandFound = { ...place, lastLine, what, words: toWords(words, 4), known: words.length, doubts };
      this.#emit(command);
      return;
    }
    const record = toWords(words, 8);
    if (words.length > 0 && (record[0]! & 0xff) !== announced)
      doubts.push("the first word is of another event than the headline: the words of two messages are mixed");
    if (words.length === 0) record[0] = announced;
    const said = { address: words.length > 2, access: words.length > 1, fetch: words.length > 3 };
    this.#keep({ ...place, lastLine, what, words: record, known: words.length, said, named: true, client: undefined, doubts });
  }

  /** Holds an event back for its sentences. */
  #keep(event: OpenEvent): void {
    const before = this.#recent.get(event.device);
    if (before) this.#emit(before);
    this.#recent.set(event.device, event);
  }

  #sentence(line: LogLine, device: string): boolean {
    const sentence = SENTENCE.exec(line.message);
    const access = ACCESS.exec(line.message);
    if (!sentence && !access) return false;
    const key = `${device} ${line.caller ?? ""}`;
    this.#closeAll(
      this.#blocks.filter((block) => block.key === key && block.what === "event"),
      "Linux's sentence about it comes before its last word",
    );
    if (sentence) this.#subject(sentence, line, device);
    if (access) this.#access(access, device);
    return true;
  }

  /** "event: F_TRANSLATION client: … sid: …": names the client; alone it is a record by itself. */
  #subject([, name = "", client, sid, ssid, iova, ipa, fetch]: RegExpExecArray, line: LogLine, device: string): void {
    const recent = this.#recent.get(device);
    const spec = EVENTS.find((event) => event.name === name);
    const said = new Uint32Array(8);
    said[0] = spec?.number ?? 0;
    said[1] = Number(sid);
    if (Number(ssid) !== 0) said[0] |= 0x800 | (Number(ssid) << 12);
    if (iova !== undefined) said.set(toWords([BigInt(iova), BigInt(ipa ?? "0")], 4), 4);
    if (fetch !== undefined) said.set(toWords([BigInt(fetch)], 2), 6);
    if (
      recent &&
      recent.client === undefined &&
      (recent.words[0]! & 0xff) === (spec?.number ?? recent.words[0]! & 0xff) &&
      (recent.known === 0 || recent.words[1] === Number(sid))
    ) {
      // What the record lacks, its sentence may have.
      if (recent.known === 0) recent.words.set([(recent.words[0]! & 0xff) | (said[0] & ~0xff), said[1]]);
      if (recent.known < 3 && iova !== undefined) recent.words.set(said.subarray(4), 4);
      if (recent.known < 4 && fetch !== undefined) recent.words.set(said.subarray(6), 6);
      recent.said.address ||= iova !== undefined;
      recent.said.fetch ||= fetch !== undefined;
      recent.client = client;
      recent.lastLine = this.#line;
      return;
    }
    const doubts = ["only Linux's sentence about it is here, not its words"];
    this.#keep({
      ...this.#place(line, device),
      lastLine: this.#line,
      what: "event",
      words: said,
      known: 0,
      said: { address: iova !== undefined, access: false, fetch: fetch !== undefined },
      named: spec !== undefined,
      client,
      doubts,
    });
  }

  /** 'unpriv data write s1 "…" stag: …': the second word in a sentence. */
  #access([, un, kind, direction, stage, cls = "", walk, stall, stag]: RegExpExecArray, device: string): void {
    const recent = this.#recent.get(device);
    if (!recent) return;
    recent.lastLine = this.#line;
    if (recent.known > 1) return;
    recent.said.access = true;
    const { fields } = EVENTS.find(({ number }) => number === EventNumber.F_PERMISSION)!;
    const set = (name: string, value: number): void => setField(recent.words, fieldNamed(fields, name), value);
    set("PnU", un === undefined ? 1 : 0);
    set("InD", kind === "inst" ? 1 : 0);
    set("RnW", direction === "read" ? 1 : 0);
    set("S2", stage === "s2" ? 1 : 0);
    set("CLASS", Math.max(0, CLASSES.indexOf(cls)));
    set("TTRnW", walk === " ttd_read" ? 1 : 0);
    set("Stall", stall === undefined ? 0 : 1);
    set("STAG", Number(stag) & 0xffff);
  }
}

function isSmmu({ driver = "", device = "" }: LogLine): boolean {
  return /smmu/i.test(driver) || /smmu|iommu/i.test(device);
}

/** True for a line of the driver of SMMUv3, or about a device that is one by its name. */
function isSmmuV3({ driver = "", device = "" }: LogLine): boolean {
  return driver.startsWith("arm-smmu-v3") || /smmu-?v3/i.test(device);
}
