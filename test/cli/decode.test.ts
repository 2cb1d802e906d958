// SPDX-License-Identifier: MIT
/** `quiesce decode` as a user runs it: words as arguments and from standard input, JSON, exit codes, messages. */
import { describe, expect, test } from "vitest";
import { quiesce, widest } from "./tool.ts";

const EVENT = ["0x0000210000000010", "0x0000020000000000", "0x0000000008000040", "0x0000000000000000"];
const LOG = [
  "[  131.474962] arm-smmu-v3 fc900000.iommu: event 0x10 received:",
  ...EVENT.map((word) => `[  131.475699] arm-smmu-v3 fc900000.iommu: \t${word}`),
  "[  131.478201] arm-smmu-v3 fc900000.iommu: event: F_TRANSLATION client: 0002:21:00.0 sid: 0x2100 ssid: 0x0 iova: 0x8000040 ipa: 0x0",
  "",
].join("\n");

describe("words", () => {
  test("as arguments: the record's fields, in 80 columns", () => {
    const { status, stdout, stderr } = quiesce(["decode", "event", ...EVENT]);
    expect(status).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^F_TRANSLATION {2}IHI 0070 §7\.3\.13\n/);
    expect(stdout).toMatch(/StreamID +\[63:32\] +0x2100/);
    expect(widest(stdout)).toBeLessThanOrEqual(80);
  });

  test("from standard input, piped or named by -", () => {
    const piped = quiesce(["decode", "event"], LOG.split("\n").slice(0, 5).join("\n"));
    const named = quiesce(["decode", "event", "-"], EVENT.join("\n"));
    expect(piped.stdout).toBe(named.stdout);
    expect(piped.status).toBe(0);
  });

  test("--json is one document with the schema, 64-bit values as hexadecimal strings", () => {
    const { stdout } = quiesce(["decode", "ste", "--json", "0x4401200b", "0xd6", "0", "0", "0", "0", "0", "0"]);
    const document: unknown = JSON.parse(stdout);
    expect(document).toMatchObject({ schema: "quiesce/decode@1", kind: "ste", profile: "max", name: "STE", legal: true });
    expect(document).toMatchObject({
      fields: expect.arrayContaining([
        expect.objectContaining({ name: "S1ContextPtr", hi: 55, lo: 6, address: "0x44012000" }),
      ]) as unknown[],
    });
  });

  test("an illegal structure was decoded: exit 0, with the rule and the event", () => {
    const { status, stdout } = quiesce(["decode", "ste", "--profile", "tiny", "0xd", "0", "0", "0", "0", "0", "0", "0"]);
    expect(status).toBe(0);
    expect(stdout).toContain("illegal");
    expect(stdout).toContain("C_BAD_STE");
    expect(stdout).toContain("stage 2 on, not implemented");
  });

  test("an entry of the PRI queue", () => {
    const { status, stdout } = quiesce(["decode", "pri", "0xf000000700002100", "0x0000000008000005"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^page request {2}IHI 0070 §8\n/);
    expect(stdout).toMatch(/SubstreamID +\[51:32\] +0x7/);
    expect(widest(stdout)).toBeLessThanOrEqual(80);
  });

  test("a register by name and value", () => {
    expect(quiesce(["decode", "reg", "CR0", "0xd"]).stdout).toMatch(/SMMUEN +\[0\] +1 +streams go through STE configuration/);
  });

  test("a descriptor needs its place: stage, level, granule", () => {
    const { stdout } = quiesce(["decode", "pte", "0x40000711", "--stage", "1", "--level", "2", "--granule", "64k"]);
    expect(stdout).toContain("block of 512 MiB at level 2");
  });

  test("--ste gives the STE under which a CD is judged", () => {
    const cd = ["0x0002e204c0003510", "0x44011000", "0", "0", "0", "0", "0", "0"];
    expect(quiesce(["decode", "cd", ...cd]).stdout).toContain("judged under a plain stage-1 STE");
    expect(quiesce(["decode", "cd", "--ste", "0x4401200b 0xd6 0 0 0 0 0 0", ...cd]).stdout).not.toContain("judged under a plain");
  });

  test("words behind -- are words, all 64 bits of them, also those that look like options", () => {
    const words = ["0x4401200b", "0xd6", "0", "0", "0", "0", "0", "0xffffffffffffffff"];
    const { stdout } = quiesce(["decode", "ste", ...words]);
    expect(quiesce(["decode", "ste", "--", ...words]).stdout).toBe(stdout);
    expect(quiesce(["decode", "ste", words[0]!, "--", ...words.slice(1)]).stdout).toBe(stdout);
    expect(quiesce(["decode", "reg", "--", "CR0", "0xd"]).stdout).toMatch(/^SMMU_CR0 /);
    expect(quiesce(["decode", "pte", "--", "-1"])).toMatchObject({ status: 2, stderr: expect.stringContaining('"-1" is not') as string });
  });

  test("a structure's own bytes on standard input", () => {
    const bytes = Buffer.alloc(64);
    bytes.writeBigUInt64LE(0x4401_200bn, 0);
    bytes.writeBigUInt64LE(0xd6n, 8);
    const asWords = quiesce(["decode", "ste", "0x4401200b", "0xd6", "0", "0", "0", "0", "0", "0"]);
    expect(quiesce(["decode", "ste"], bytes).stdout).toBe(asWords.stdout);
    expect(quiesce(["decode", "reg", "CR0"], Buffer.of(0xd, 0, 0, 0)).stdout).toMatch(/^SMMU_CR0 /);
    expect(quiesce(["decode", "ste"], bytes.subarray(1))).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/63 bytes of binary data were given; the structure has 64/) as string,
    });
  });

  test("standard input without an end is refused after 1 MiB", () => {
    expect(quiesce(["decode", "ste"], "0 ".repeat(2 ** 20))).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("1 MiB") as string,
    });
  });

  test("what a message echoes is cut and printable", () => {
    for (const args of [
      ["decode", "event", "z".repeat(5000)],
      ["decode", "z".repeat(5000)],
      ["z".repeat(5000)],
      ["decode", "reg", "z".repeat(5000), "0"],
      ["regs", "z".repeat(5000)],
      ["run", "--cell", "z".repeat(5000)],
    ]) {
      const { status, stderr } = quiesce(args);
      expect([status, stderr.length < 400, stderr.includes("z".repeat(40)), stderr.includes("z".repeat(41))]).toEqual([
        2,
        true,
        true,
        false,
      ]);
    }
    // oxlint-disable-next-line no-control-regex
    expect(quiesce(["decode", "event", "\u001b[2Jzz", "\u0007"]).stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  test("the examples of decode's help are legal and fit together", () => {
    for (const kind of ["ste", "cd", "cmd", "l1std", "l1cd"]) {
      const help = quiesce(["decode", kind, "--help"]).stdout;
      const [, example = ""] = /Examples:\n {2}quiesce (.*)/.exec(help)!;
      expect(quiesce(example.split(" ")).stdout.split("\n")[0]).toMatch(/ {2}legal$/);
    }
    const help = quiesce(["--help"]).stdout.replace(/\s+/g, " ");
    expect(help).toContain("l1std, l1cd");
  });

  const mistakes: readonly (readonly [name: string, args: readonly string[], message: RegExp])[] = [
    [
      "a word that is none, with its number and column",
      ["event", "0x10", "0xzz", "0", "0"],
      /^quiesce: word 2, column 1: "0xzz" is not a hexadecimal number\n$/,
    ],
    ["too few words", ["event", "0x10", "0"], /^quiesce: word 2, column 1: 2 words were given; a structure of 32 bytes/],
    ["an unknown register", ["reg", "CR9", "0"], /^quiesce: no register is called "CR9"/],
    ["a value wider than the register", ["reg", "CR0", "0x100000000"], /^quiesce: SMMU_CR0 has 32 bits/],
    ["an unknown profile", ["ste", "--profile", "big", "0"], /^quiesce: /],
    ["a level that is none", ["pte", "0x1", "--level", "7"], /^quiesce: --level is -1 to 3\n$/],
    ["a granule that is none", ["pte", "0x1", "--granule", "8k"], /^quiesce: --granule 8k/],
    ["a bad --ste", ["cd", "--ste", "zz", "0"], /^quiesce: /],
    ["nothing to decode", [], /^quiesce: say what to decode/],
    ["an unknown kind", ["nonsense", "1"], /^quiesce: /],
  ];
  test.each(mistakes)("bad usage is one line and exit 2: %s", (_name, args, message) => {
    const { status, stdout, stderr } = quiesce(["decode", ...args]);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  test("bad words in standard input are named by line and column", () => {
    expect(quiesce(["decode", "event"], "0x10\n0x11 0xzz\n")).toMatchObject({
      status: 2,
      stderr: 'quiesce: standard input: line 2, column 6: "0xzz" is not a hexadecimal number\n',
    });
  });
});

describe("console logs", () => {
  test("from standard input: what happened, to whom, why, what next, in 80 columns", () => {
    const { status, stdout, stderr } = quiesce(["decode", "dmesg"], LOG);
    expect(status).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toContain("StreamID 0x2100 (0002:21:00.0)");
    expect(stdout).toContain("window of MSI doorbells");
    expect(stdout).toContain("by StreamID");
    expect(widest(stdout)).toBeLessThanOrEqual(80);
  });

  test("--json is one document with the schema", () => {
    const { stdout } = quiesce(["decode", "dmesg", "-", "--json"], LOG);
    expect(JSON.parse(stdout)).toMatchObject({
      schema: "quiesce/dmesg@1",
      findings: [
        {
          id: "F_TRANSLATION",
          count: 1,
          stream: { streamId: "0x2100", client: "0002:21:00.0" },
          causes: expect.arrayContaining([expect.objectContaining({ id: "msi-doorbell" })]) as unknown[],
        },
      ],
    });
  });

  test("--context shows the log's own lines", () => {
    const { stdout } = quiesce(["decode", "dmesg", "--context", "1"], `before\n${LOG}`);
    expect(stdout).toContain("  | before");
    expect(stdout).toContain("event 0x10 received:");
  });

  test("a log about something else: nothing to explain, exit 0", () => {
    expect(quiesce(["decode", "dmesg"], "hello\nworld\n")).toMatchObject({
      status: 0,
      stdout: "2 lines, nothing about an SMMUv3 that needs explaining\n",
    });
  });

  test("UTF-16 as PowerShell writes it, with its line ends of two bytes each", () => {
    const { stdout } = quiesce(["decode", "dmesg"], Buffer.from(`\ufeff${LOG.replaceAll("\n", "\r\n")}`, "utf16le"));
    expect(stdout).toBe(quiesce(["decode", "dmesg"], LOG).stdout);
  });

  test("lines that are not understood are shown instead of an all-clear", () => {
    const { status, stdout } = quiesce(["decode", "dmesg"], "[    1.0] arm-smmu-v3 a.smmu: the frobnicator is askew\n");
    expect(status).toBe(0);
    expect(stdout).toContain("1 line about an SMMUv3 that is not known here");
    expect(stdout).toContain("the frobnicator is askew");
  });

  test("a file that is not there: one line, exit 2", () => {
    expect(quiesce(["decode", "dmesg", "/nowhere/console.log"])).toMatchObject({
      status: 2,
      stdout: "",
      stderr: "quiesce: /nowhere/console.log: no such file\n",
    });
  });
});
