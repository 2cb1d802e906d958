// SPDX-License-Identifier: MIT
/** From lines to records: the forms of Linux's messages, what stands between them, what is cut short. */
import { describe, expect, test } from "vitest";
import { type EventOptions, analyse, faultLines, faultWords, line, only, rawEvent } from "./log.ts";

describe("arm_smmu_dump_raw_event: a headline and four words", () => {
  test("with time stamps, device and tabs", () => {
    const found = only(analyse(faultLines({ sid: 0x2100, address: 0x9000_f040n })), "F_TRANSLATION");
    expect(found).toMatchObject({
      device: "9050000.smmuv3",
      time: "1.000000",
      lines: { first: 1, last: 5 },
      stream: { streamId: "0x2100", substreamId: undefined, client: undefined },
      access: "write, data, unprivileged",
      addresses: { first: "0x9000f040", distinct: 1, pattern: "one" },
      words: ["0x0000210000000010", "0x0000020000000000", "0x000000009000f040", "0x0000000000000000"],
      doubts: [],
    });
  });

  const forms: readonly (readonly [name: string, change: (text: string) => string])[] = [
    ["without time stamps", (text) => text.replace(/^\[[^\]]*\] /, "")],
    ["with log levels", (text) => `<3>${text}`],
    ["quoted in a mail", (text) => `> > ${text}`],
    ["from the journal", (text) => text.replace(/^\[[^\]]*\]/, "Jan 02 03:04:05 host kernel:")],
    ["with wall-clock time (dmesg -T)", (text) => text.replace(/^\[[^\]]*\]/, "[Mon Jan  2 03:04:05 2026]")],
    ["from serial consoles with carriage returns", (text) => `${text}\r`.trimEnd()],
    ["with blanks for tabs", (text) => text.replace("\t", "      ")],
    ["of an ACPI platform device", (text) => text.replace("9050000.smmuv3", "arm-smmu-v3.5.auto")],
    ["after the driver has gone", (text) => text.replace("arm-smmu-v3 9050000.smmuv3", "platform arm-smmu-v3.0.auto")],
  ];
  test.each(forms)("%s", (_name, change) => {
    const found = only(analyse(faultLines({ sid: 0x2100 }).map(change)), "F_TRANSLATION");
    expect(found.stream?.streamId).toBe("0x2100");
    expect(found.words).toHaveLength(4);
  });

  test("lines of other drivers in between pass by silently", () => {
    const [head = "", ...words] = faultLines();
    const report = analyse(
      head,
      words.flatMap((word) => [word, "[    1.967442] input: gpio-keys as /devices/platform/gpio-keys/input/input0"]),
    );
    expect(report.findings).toHaveLength(1);
    expect(report.findings[0]!.words).toHaveLength(4);
  });

  test("equal records are told once, with their count", () => {
    const found = only(analyse(faultLines(), faultLines(), faultLines({ address: 0x1_2380n })), "F_TRANSLATION");
    expect(found.count).toBe(3);
    expect(found.addresses).toMatchObject({ distinct: 2, lowest: "0x12340", highest: "0x12380" });
  });

  test("records that differ in stream or direction are told apart", () => {
    expect(analyse(faultLines(), faultLines({ sid: 0x21 }), faultLines({ read: true })).findings).toHaveLength(3);
  });
});

describe("arm_smmu_dump_event since 6.13: sentences behind the words", () => {
  const sentences = (options: EventOptions = {}): string[] => [
    line("event: F_TRANSLATION client: 0002:21:00.0 sid: 0x20 ssid: 0x0 iova: 0x12340 ipa: 0x0", options),
    line('unpriv data write s1 "Input address caused fault" stag: 0x0', options),
  ];

  test("they name the client, and the record is still one", () => {
    const report = analyse(faultLines(), sentences());
    expect(report.findings).toHaveLength(1);
    expect(report.findings[0]).toMatchObject({ count: 1, stream: { client: "0002:21:00.0" }, lines: { first: 1, last: 7 } });
  });

  test("alone, as in a filtered log, they are a record with a doubt", () => {
    const found = only(analyse(sentences()), "F_TRANSLATION");
    expect(found).toMatchObject({
      stream: { streamId: "0x20", client: "0002:21:00.0" },
      access: "write, data, unprivileged",
      addresses: { first: "0x12340" },
      words: [],
    });
    expect(found.doubts.join()).toContain("only Linux's sentence");
  });

  test("a fetch fault's sentence has the address of the structure", () => {
    const report = analyse(line("event: F_STE_FETCH client: (unassigned sid) sid: 0x8 ssid: 0x0 fetch_addr: 0x10000000"));
    expect(only(report, "F_STE_FETCH")).toMatchObject({ stream: { client: "(unassigned sid)" }, fetch: "0x10000000" });
  });

  test("a fetch fault's words have it too", () => {
    const report = analyse(rawEvent([0x8_0000_0003n, 0n, 0n, 0x1000_0000n]));
    expect(only(report, "F_STE_FETCH")).toMatchObject({ stream: { streamId: "0x8" }, fetch: "0x10000000" });
    expect(only(analyse(rawEvent([0x8_0000_0003n, 0n])), "F_STE_FETCH").fetch).toBeUndefined();
  });

  test("stage 2, table walk, stall: all of the second sentence is read", () => {
    const report = analyse(
      line("event: F_PERMISSION client: dev sid: 0x8 ssid: 0x5 iova: 0x1000 ipa: 0x7000"),
      line('priv inst read s2 "Stage 1 translation table fetch" ttd_read stall stag: 0x12'),
    );
    const found = only(report, "F_PERMISSION");
    expect(found).toMatchObject({ access: "read, instruction, privileged", stream: { substreamId: "0x5" } });
    expect(found.story.join()).toMatch(/stage 2, for the address of a stage-1 table.*page 0x7000.*waits until CMD_RESUME/);
  });
});

describe("what is torn", () => {
  test("the log ends in the middle: what is known is told, the rest is a doubt", () => {
    const found = only(analyse(faultLines({ sid: 0x2100 }).slice(0, 2)), "F_TRANSLATION");
    expect(found).toMatchObject({ stream: { streamId: "0x2100" }, access: undefined, addresses: undefined, words: ["0x0000210000000010"] });
    expect(found.doubts).toEqual(["line 1: cut short: 1 of 4 words, the log ends before its last word"]);
  });

  test("a headline without a word is an event of which only the number is known: no address, no cause in one", () => {
    const report = analyse(faultLines().slice(0, 1));
    const found = only(report, "F_TRANSLATION");
    expect(found).toMatchObject({ stream: undefined, access: undefined, addresses: undefined, words: [] });
    expect(found.doubts.join()).toContain("0 of 4 words");
    expect(found.causes.map(({ id }) => id)).not.toContain("null-address");
    expect(report.streams).toEqual([]);
  });

  test("a headline whose words are lost but whose sentences are there is one record, told by the sentences", () => {
    const report = analyse(
      faultLines().slice(0, 1),
      line("event: F_TRANSLATION client: nvme sid: 0x20 ssid: 0x0 iova: 0x12340 ipa: 0x0"),
      line('unpriv data read s1 "Input address caused fault" stag: 0x0'),
    );
    expect(only(report, "F_TRANSLATION")).toMatchObject({
      count: 1,
      stream: { streamId: "0x20", client: "nvme" },
      access: "read, data, unprivileged",
      addresses: { first: "0x12340" },
    });
  });

  test("a sentence without its second half says nothing of the direction", () => {
    const report = analyse(line("event: F_TRANSLATION client: nvme sid: 0x20 ssid: 0x0 iova: 0x12340 ipa: 0x0"));
    expect(only(report, "F_TRANSLATION").access).toBeUndefined();
  });

  test("a lone sentence about an UNKNOWN event names no number", () => {
    const found = only(analyse(line("event: UNKNOWN client: nvme sid: 0x20 ssid: 0x0")), "UNKNOWN");
    expect(found.title).not.toMatch(/0x00|reserved/);
    expect(found.stream).toMatchObject({ streamId: "0x20", client: "nvme" });
  });

  test("behind the words the number of an UNKNOWN event is theirs", () => {
    const report = analyse(rawEvent([0x20_0000_00e3n, 0n, 0n, 0n]), line("event: UNKNOWN client: nvme sid: 0x20 ssid: 0x0"));
    expect(report.findings.map(({ id, stream }) => [id, stream?.client])).toEqual([["0xe3", "nvme"]]);
  });

  const two = (a: readonly string[], b: readonly string[]): string[] => a.flatMap((text, i) => [text, b[i]!]);

  test("a record printed twice, line by line, is two equal records", () => {
    const lines = faultLines({ sid: 0x2100, address: 0x5000_1230n });
    const found = only(analyse(two(lines, lines)), "F_TRANSLATION");
    expect(found).toMatchObject({ count: 2, stream: { streamId: "0x2100" }, addresses: { distinct: 1, first: "0x50001230" } });
  });

  test("two equal records with a lag of a line or two are two equal records", () => {
    const [h = "", a = "", b = "", c = "", d = ""] = faultLines({ sid: 0x2100, address: 0x5000_1230n });
    for (const order of [
      [h, a, h, a, b, b, c, c, d, d],
      [h, a, b, h, a, c, b, d, c, d],
      [h, h, a, b, c, d, a, b, c, d],
    ]) {
      expect(only(analyse(order), "F_TRANSLATION")).toMatchObject({ count: 2, addresses: { distinct: 1, first: "0x50001230" } });
    }
  });

  test("two different records printed into each other: only what is certain is told", () => {
    const report = analyse(two(faultLines({ sid: 0xa, address: 0x1000n }), faultLines({ sid: 0xb, address: 0x2000n })));
    expect(report.findings.map(({ stream, addresses, words }) => [stream?.streamId, addresses, words.length])).toEqual([
      ["0xa", undefined, 1],
      ["0xb", undefined, 1],
    ]);
    expect(report.findings[0]!.doubts.join()).toContain("printed into each other");
  });

  test("a first word that comes twice in one block gives the mixture away", () => {
    const [, a = "", b = "", c = ""] = faultLines();
    const found = only(analyse(line("event 0x10 received:"), a, a, b, c), "F_TRANSLATION");
    expect(found).toMatchObject({ addresses: undefined, words: [expect.any(String)] });
    expect(found.doubts.join()).toContain("the first word comes twice");
  });

  test("the next headline of the same SMMU ends a record that has not all its words", () => {
    const report = analyse(faultLines({ sid: 1 }).slice(0, 3), faultLines({ sid: 2 }));
    expect(report.findings.map(({ stream, words }) => [stream?.streamId, words.length])).toEqual([
      ["0x1", 2],
      ["0x2", 4],
    ]);
  });

  test("a word that lost digits ends its record", () => {
    const lines = faultLines();
    lines[3] = line("\t0x000000");
    expect(only(analyse(lines), "F_TRANSLATION").doubts.join()).toContain("line 4 has only a part of a word");
  });

  test("two SMMUs print at the same time: their names keep the words apart", () => {
    const a = faultLines({ sid: 0xa }, { device: "a.smmu" });
    const b = faultLines({ sid: 0xb, address: 0x777_0000n }, { device: "b.smmu" });
    const report = analyse(a.flatMap((text, i) => [text, b[i]!]));
    expect(report.findings.map(({ device, stream, doubts }) => [device, stream?.streamId, doubts])).toEqual([
      ["a.smmu", "0xa", []],
      ["b.smmu", "0xb", []],
    ]);
  });

  test("two CPUs print about one SMMU: the caller keeps the words apart", () => {
    const event = faultLines({ sid: 0xa }, { caller: "T77" });
    const command = [
      line("skipping command in error state:", { caller: "C1" }),
      line("\t0x00000000000000ff", { caller: "C1" }),
      line("\t0x0000000000000000", { caller: "C1" }),
    ];
    const report = analyse(event[0]!, command[0]!, event[1]!, command[1]!, event[2]!, command[2]!, event[3]!, event[4]!);
    expect(only(report, "F_TRANSLATION").doubts).toEqual([]);
    expect(only(report, "bad-command").words).toEqual(["0x00000000000000ff", "0x0000000000000000"]);
  });

  test("without callers the error interrupt that cuts in gets its words first, and that is said", () => {
    const event = faultLines({ sid: 0xa });
    const command = [line("skipping command in error state:"), line("\t0x0000000000000046"), line("\t0x0000000000000000")];
    const report = analyse(event.slice(0, 2), command, event.slice(2));
    expect(only(report, "bad-command").words[0]).toBe("0x0000000000000046");
    expect(only(report, "bad-command").doubts.join()).toContain("in the middle of another");
    expect(only(report, "F_TRANSLATION")).toMatchObject({
      words: [faultWords({ sid: 0xa })[0], faultWords()[1], faultWords()[2], 0n].map((word) => `0x${word!.toString(16).padStart(16, "0")}`),
    });
  });

  test("words that do not belong to the headline are said to be mixed", () => {
    const lines = rawEvent(faultWords());
    lines[0] = line("event 0x13 received:");
    expect(analyse(lines).findings[0]!.doubts.join()).toContain("mixed");
  });
});

describe("the rest of the log", () => {
  test("a log without an SMMU has no findings", () => {
    expect(analyse("[    0.1] foo bar: failed to enable irqs", "[    0.2] nvme nvme0: CMDQ timeout", "hello")).toMatchObject({
      findings: [],
      streams: [],
      lines: 3,
    });
  });

  test("records that the rate limit swallowed are counted", () => {
    expect(analyse(faultLines(), "[    6.0] arm_smmu_evtq_thread: 123 callbacks suppressed").suppressed).toBe(123);
  });

  test("the summary adds up by stream, with names and the range of addresses", () => {
    const { streams } = analyse(
      faultLines({ sid: 0x20, address: 0x1000n }),
      faultLines({ sid: 0x20, address: 0x9000n, number: 0x13 }),
      faultLines({ sid: 0x20, address: 0x5000n }),
      faultLines({ sid: 0x21 }),
    );
    expect(streams).toMatchObject([
      { streamId: "0x20", events: { F_TRANSLATION: 2, F_PERMISSION: 1 }, lowest: "0x1000", highest: "0x9000" },
      { streamId: "0x21", events: { F_TRANSLATION: 1 } },
    ]);
  });

  test("a second kernel in the log begins a new boot: its records are told apart", () => {
    const boot = ["[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]", "[    0.000000] Linux version 6.12.0"];
    const report = analyse(boot, faultLines(), boot, faultLines());
    expect(report.boots).toBe(2);
    expect(report.findings.map((finding) => finding.boot)).toEqual([0, 1]);
  });

  test("an IMPLEMENTATION DEFINED event and a reserved one are named as what they are", () => {
    const report = analyse(rawEvent([0xe3n, 0n, 0n, 0n]), rawEvent([0x7fn, 0n, 0n, 0n]));
    expect(report.findings.map(({ title }) => title)).toEqual(["IMPLEMENTATION DEFINED event 0xe3", "reserved event 0x7f"]);
  });
});
