// SPDX-License-Identifier: MIT
/** A console log, line by line: what happened to the SMMU, how often, to whom, and why it is likely. */
import { type SmmuConfig, decodeEvent, hex, profiles } from "../../hw/index.ts";
import { eventStory } from "../decode/event-story.ts";
import { decodeCommand } from "../decode/messages.ts";
import { wordsText } from "../decode/decoded.ts";
import { isImplementationDefinedEvent } from "../decode/implementation-defined.ts";
import { Assembler } from "./assemble.ts";
import { likelyCauses } from "./causes.ts";
import { MESSAGES } from "./messages.ts";
import { Addresses, subjectOf } from "./subject.ts";
import type { CommandFound, DmesgReport, EventFound, DmesgFinding, Found, MessageFound, StreamSummary } from "./types.ts";

/** Equal things, told once. */
interface Group {
  readonly found: Found;
  readonly addresses: Addresses;
  count: number;
  lastLine: number;
  /** The client, as soon as one record names it. */
  client: string | undefined;
  readonly doubts: Set<string>;
}

/** What must be equal for two records to be told as one. */
function keyOf(found: Found): string {
  const place = `${found.boot.index} ${found.device} ${found.goingDown ?? ""}`;
  switch (found.what) {
    case "event": {
      const { number, fields } = decodeEvent(found.words);
      const parts = ["StreamID", "SubstreamID", "RnW", "InD", "PnU", "S2", "CLASS", "Stall", "FetchAddr"].map((name) => fields[name] ?? "");
      const said = `${found.named} ${found.said.access} ${found.said.address} ${found.known > 0 || found.client !== undefined}`;
      return `event ${place} ${number} ${parts.join(" ")} ${said}`;
    }
    case "command":
      return `command ${place} ${found.words.join(" ")}`;
    case "message":
      return `message ${place} ${found.id} ${found.id === "sync-timeout" || found.id === "pri" ? "" : Object.values(found.groups).join(" ")}`;
  }
}

/** What an event is called: by its name, by its number where it has none. */
function labelOf({ words, named }: EventFound): string {
  const { name, number } = decodeEvent(words);
  if (!named) return "UNKNOWN";
  return name === "reserved" ? hex(number, 2) : name;
}

function clientOf({ found, client }: Group): string | undefined {
  return client ?? (found.what === "event" ? found.client : undefined);
}

export class Dmesg {
  readonly #assembler: Assembler;
  readonly #groups = new Map<string, Group>();
  readonly #config: SmmuConfig;
  #boots = 0;

  /** @param config which SMMU judges commands. Default: the fullest */
  constructor(config: SmmuConfig = profiles.max) {
    this.#config = config;
    this.#assembler = new Assembler((found) => this.#take(found));
  }

  /** One line of the log, without its line end. */
  push(line: string): void {
    this.#assembler.push(line);
    this.#boots = Math.max(this.#boots, this.#assembler.history.boot.index + 1);
  }

  /** The log has ended: what it says. */
  report(): DmesgReport {
    this.#assembler.end();
    const groups = [...this.#groups.values()].sort((a, b) => a.found.firstLine - b.found.firstLine);
    return {
      lines: this.#assembler.lines,
      boots: this.#boots,
      findings: groups.map((group) => this.#finding(group)),
      streams: summaries(groups),
      suppressed: this.#assembler.suppressed,
      unknown: this.#assembler.unknown.summary(),
    };
  }

  #take(found: Found): void {
    const key = keyOf(found);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { found, addresses: new Addresses(), count: 0, lastLine: 0, client: undefined, doubts: new Set() };
      this.#groups.set(key, group);
    }
    group.count++;
    group.lastLine = Math.max(group.lastLine, found.lastLine);
    if (found.what === "message") return;
    for (const doubt of found.doubts) group.doubts.add(`line ${found.firstLine}: ${doubt}`);
    if (found.what !== "event") return;
    group.client ??= found.client;
    const { address } = subjectOf(found, group.addresses, group.count);
    if (address !== undefined) group.addresses.push(address);
  }

  #finding(group: Group): DmesgFinding {
    switch (group.found.what) {
      case "event":
        return eventFinding(group, group.found);
      case "command":
        return commandFinding(group, group.found, this.#config);
      case "message":
        return messageFinding(group, group.found);
    }
  }
}

type Common = Pick<
  DmesgFinding,
  "count" | "device" | "time" | "lines" | "boot" | "stream" | "access" | "addresses" | "fetch" | "words" | "doubts"
>;

function common({ found, count, lastLine, doubts }: Group): Common {
  return {
    count,
    device: found.device,
    time: found.time,
    lines: { first: found.firstLine, last: lastLine },
    boot: found.boot.index,
    stream: undefined,
    access: undefined,
    addresses: undefined,
    fetch: undefined,
    words: [],
    doubts: [...doubts].slice(0, 8),
  };
}

function accessText(fields: Readonly<Record<string, number>>): string | undefined {
  const { RnW, InD, PnU } = fields;
  if (RnW === undefined) return undefined;
  const rest = [InD, PnU].every((bit) => bit === undefined)
    ? []
    : [InD === 1 ? "instruction" : "data", PnU === 1 ? "privileged" : "unprivileged"];
  return [RnW === 1 ? "read" : "write", ...rest].join(", ");
}

function eventFinding(group: Group, event: EventFound): DmesgFinding {
  const { number, name, meaning, fields } = decodeEvent(event.words);
  const client = clientOf(group);
  const subject = subjectOf({ ...event, client }, group.addresses, group.count);
  const causes = event.named ? likelyCauses(subject) : [];
  const identified = event.known > 0 || event.client !== undefined;
  const kind = isImplementationDefinedEvent(number) ? "IMPLEMENTATION DEFINED event" : "reserved event";
  const title = name === "reserved" ? `${kind} ${hex(number, 2)}` : `${name} (event ${hex(number, 2)}): ${meaning}`;
  const withSubstream = subject.substream && fields["SubstreamID"] !== undefined;
  return {
    ...common(group),
    id: labelOf(event),
    severity: "error",
    from: "arm_smmu_evtq_thread",
    title: event.named ? title : "an event that the kernel calls UNKNOWN; its number is in the words, which the log lacks",
    stream: identified
      ? { streamId: hex(event.words[1]!), substreamId: withSubstream ? hex(fields["SubstreamID"]!) : undefined, client }
      : undefined,
    access: subject.complete ? accessText(fields) : undefined,
    addresses: group.addresses.summary(),
    fetch: subject.fetch === undefined ? undefined : `0x${subject.fetch.toString(16)}`,
    words: event.known === 0 ? [] : wordsText(event.words).slice(0, event.known),
    story: event.named && (subject.complete || fields["S2"] === undefined) ? eventStory(event.words) : [],
    causes: causes.map((cause) => ({ id: cause.id, text: cause.text(subject), reference: cause.reference })),
    next: [...new Set(causes.flatMap(({ next }) => (next === undefined ? [] : [next])))].slice(0, 3),
  };
}

function commandFinding(group: Group, { words, known }: CommandFound, config: SmmuConfig): DmesgFinding {
  const decoded = known === 2 ? decodeCommand(words, config) : undefined;
  const objections = decoded?.objections.map(({ text, section }) => `${text} (IHI 0070 §${section.replace("§", "")})`) ?? [];
  const fine =
    decoded !== undefined && objections.length === 0
      ? ["the command is legal as it stands: the SMMU saw something else, or has not got what it needs"]
      : objections;
  return {
    ...common(group),
    id: "bad-command",
    severity: "error",
    from: "arm_smmu_cmdq_skip_err",
    title: decoded === undefined ? "a command in error, cut short" : `the command in error: ${decoded.name}`,
    words: wordsText(words).slice(0, known),
    story:
      decoded === undefined
        ? []
        : [
            decoded.summary,
            ...fine,
            "the driver replaced it by a CMD_SYNC: what it should have done (an invalidation, say) has not been done",
          ],
    causes: [],
    next: [],
  };
}

function messageFinding(group: Group, found: MessageFound): DmesgFinding {
  const row = MESSAGES.find(({ id }) => id === found.id)!;
  return {
    ...common(group),
    id: row.id,
    severity: row.severity,
    title: typeof row.title === "string" ? row.title : row.title(found.groups, found),
    from: typeof row.from === "string" ? row.from : row.from(found.groups, found),
    story: row.story(found.groups, found),
    causes: row.causes?.(found.groups, found) ?? [],
    next: typeof row.next === "function" ? row.next(found.groups, found) : (row.next ?? []),
  };
}

/** The events of each stream, in order of their first. */
function summaries(groups: readonly Group[]): StreamSummary[] {
  const streams = new Map<
    string,
    {
      client: string | undefined;
      device: string;
      streamId: string;
      events: Record<string, number>;
      lowest: bigint | undefined;
      highest: bigint | undefined;
    }
  >();
  for (const group of groups) {
    const { found } = group;
    if (found.what !== "event" || (found.known === 0 && found.client === undefined)) continue;
    const streamId = hex(found.words[1]!);
    const key = `${found.device} ${streamId}`;
    const stream = streams.get(key) ?? {
      client: undefined,
      device: found.device,
      streamId,
      events: {},
      lowest: undefined,
      highest: undefined,
    };
    streams.set(key, stream);
    stream.client ??= clientOf(group);
    const label = labelOf(found);
    stream.events[label] = (stream.events[label] ?? 0) + group.count;
    const range = group.addresses.summary();
    if (range === undefined) continue;
    const [low, high] = [BigInt(range.lowest), BigInt(range.highest)];
    if (stream.lowest === undefined || low < stream.lowest) stream.lowest = low;
    if (stream.highest === undefined || high > stream.highest) stream.highest = high;
  }
  const text = (address: bigint | undefined): string | undefined => (address === undefined ? undefined : `0x${address.toString(16)}`);
  return [...streams.values()].map(({ lowest, highest, ...stream }) => ({ ...stream, lowest: text(lowest), highest: text(highest) }));
}
