// SPDX-License-Identifier: MIT
/**
 * From lines to records. Linux prints a record as a headline and four words on lines of their own, each with the device's
 * name; other lines may stand between them. Two SMMUs are told apart by their names, two CPUs by the caller if the kernel
 * prints it. On one CPU the error interrupt may cut in on the event thread: then the youngest open block gets the words.
 */
import { EVENTS, EventNumber, fieldNamed, setField } from "../../hw/index.ts";
import { type LogLine, readLogLine } from "../decode/log-line.ts";
import { History, secondsOf } from "./history.ts";
import { matchMessage } from "./messages.ts";
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

/** A headline that waits for its words. */
interface Block {
  readonly key: string;
  readonly what: "event" | "command";
  /** Event number in the headline. */
  readonly announced: number;
  readonly words: bigint[];
  readonly place: Omit<Place, "lastLine">;
  lastLine: number;
  doubts: string[];
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
    this.history.note(line.message, line.device, line.time !== undefined);
    const suppressed = SUPPRESSED.exec(text);
    if (suppressed) this.suppressed += Number(suppressed[1]);
    if (this.#word(line, device) || this.#headline(line, device) || this.#sentence(line, device)) return;
    if (line.device === undefined) return;
    const found = matchMessage(line.message, isSmmu(line));
    if (!found) return;
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
      boot.probes.set(device, { ias: Number(groups["ias"]), oas: Number(groups["oas"]), features: Number(groups["features"]) });
  }

  #headline(line: LogLine, device: string): boolean {
    const event = EVENT.exec(line.message);
    if (!event && !COMMAND.test(line.message)) {
      const queue = /allocated (\d+) entries for cmdq/.exec(line.message);
      if (queue) this.history.boot.cmdqEntries.set(device, Number(queue[1]));
      return queue !== null;
    }
    const what = event ? "event" : "command";
    const key = `${device} ${line.caller ?? ""}`;
    const cut = this.#blocks.filter((block) => block.key === key && block.what === what);
    for (const block of cut) this.#close(block, "the next one begins before its last word");
    this.#blocks = this.#blocks.filter((block) => !cut.includes(block));
    this.#blocks.push({
      key,
      what,
      announced: event ? Number.parseInt(event[1]!, 16) : 0,
      words: [],
      place: this.#place(line, device),
      lastLine: this.#line,
      doubts: [],
    });
    return true;
  }

  #word(line: LogLine, device: string): boolean {
    const match = WORD.exec(line.message);
    if (!match && !HALF_WORD.test(line.message)) return false;
    const key = `${device} ${line.caller ?? ""}`;
    const block = this.#blocks.findLast((open) => open.key === key);
    if (!block) return false;
    if (this.#blocks.some((open) => open !== block && open.key === key)) block.doubts.push("it was printed in the middle of another one");
    if (!match) {
      this.#blocks = this.#blocks.filter((open) => open !== block);
      this.#close(block, `line ${this.#line} has only a part of a word`);
      return true;
    }
    block.words.push(BigInt(`0x${match[1]!}`));
    block.lastLine = this.#line;
    if (block.words.length === (block.what === "event" ? 4 : 2)) {
      this.#blocks = this.#blocks.filter((open) => open !== block);
      this.#close(block, undefined);
    }
    return true;
  }

  #close(block: Block, cut: string | undefined): void {
    const { what, words, place, announced, lastLine } = block;
    const doubts = [...new Set(block.doubts)];
    const total = what === "event" ? 4 : 2;
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
    this.#keep({ ...place, lastLine, what, words: record, known: words.length, client: undefined, doubts });
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
    if (sentence) this.#subject(sentence, line, device);
    if (access) this.#access(access, device);
    return true;
  }

  /** "event: F_TRANSLATION client: … sid: …": names the client; alone it is a record by itself. */
  #subject([, name = "", client, sid, ssid, iova, ipa, fetch]: RegExpExecArray, line: LogLine, device: string): void {
    const recent = this.#recent.get(device);
    const spec = EVENTS.find((event) => event.name === name);
    if (
      recent &&
      recent.client === undefined &&
      (recent.words[0]! & 0xff) === (spec?.number ?? recent.words[0]! & 0xff) &&
      recent.words[1] === Number(sid)
    ) {
      recent.client = client;
      recent.lastLine = this.#line;
      return;
    }
    const words = new Uint32Array(8);
    words[0] = spec?.number ?? 0;
    words[1] = Number(sid);
    if (Number(ssid) !== 0) words[0] |= 0x800 | (Number(ssid) << 12);
    if (iova !== undefined) words.set(toWords([BigInt(iova), BigInt(ipa ?? "0")], 4), 4);
    if (fetch !== undefined) words.set(toWords([BigInt(fetch)], 2), 6);
    const doubts = ["only Linux's sentence about it is here, not its words"];
    this.#keep({ ...this.#place(line, device), lastLine: this.#line, what: "event", words, known: 0, client, doubts });
  }

  /** 'unpriv data write s1 "…" stag: …': the second word in a sentence. */
  #access([, un, kind, direction, stage, cls = "", walk, stall, stag]: RegExpExecArray, device: string): void {
    const recent = this.#recent.get(device);
    if (!recent) return;
    recent.lastLine = this.#line;
    if (recent.known > 1) return;
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
