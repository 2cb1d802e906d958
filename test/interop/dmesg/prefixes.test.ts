// SPDX-License-Identifier: MIT
/** What tools and loggers write in front of a kernel's line: none of it may hide a fault. */
import { describe, expect, test } from "vitest";
import { readLogLine } from "../../../src/interop/decode/log-line.ts";
import { dmesgText } from "../../../src/interop/index.ts";
import { analyse, faultLines, line, only } from "./log.ts";

const plain = (_style: string, text: string): string => text;

const STAMP = "[    1.000000] ";
const BODY = "arm-smmu-v3 9050000.smmuv3: ";
/** Lines of one fault with something else in front of each. */
const prefixed = (prefix: string | ((index: number) => string)): string[] =>
  faultLines({ sid: 0x2100 }).map((text, i) => (typeof prefix === "string" ? prefix : prefix(i)) + text.slice(text.indexOf(BODY)));

const prefixes: readonly (readonly [name: string, prefix: string | ((index: number) => string)])[] = [
  ["dmesg -H, later lines", "[  +0.000004] "],
  ["dmesg -H, first line of a minute", "[nov27 00:24] "],
  ["dmesg -H with a blank", "[Nov 7 00:24] "],
  ["dmesg -x", "kern  :err   : [   95.123456] "],
  ["dmesg -d", "[   95.123456 <    0.000004>] "],
  ["dmesg --time-format=iso", "2024-11-27T00:24:16,123456+00:00 "],
  ["dmesg -x --time-format=iso", "kern  :err   : 2024-11-27T00:24:16,123456+00:00 "],
  ["dmesg in colour", "\u001b[32m[   95.123456] \u001b[0m\u001b[33m"],
  ["colours as cat -v shows them", "^[[32m[   95.123456] ^[[0m"],
  ["journalctl -o short", "Nov 27 00:24:16 myhost kernel: "],
  ["journalctl -o short-precise", "Nov 27 00:24:16.123456 myhost kernel: "],
  ["journalctl -o short-monotonic", "[   95.123456] myhost kernel: "],
  ["journalctl -o short-full", "Wed 2024-11-27 00:24:16 UTC myhost kernel: "],
  ["journalctl -o short-iso", "2024-11-27T00:24:16+0000 myhost kernel: "],
  ["journalctl -o short-unix", "1732667056.123456 myhost kernel: "],
  ["journalctl --no-hostname", "Nov 27 00:24:16 kernel: "],
  ["syslog with the kernel's time", "Nov 27 00:24:16 myhost kernel: [   95.123456] "],
  ["/dev/kmsg and pstore", (i) => `3,${1234 + i},95123456,-;`],
  ["/dev/kmsg with the caller", (i) => `3,${1234 + i},95123456,-,caller=T77;`],
  ["a serial logger's time", "2024-11-27 00:24:16 [   95.1] "],
  ["a serial logger's time without the kernel's", "2024-11-27 00:24:16 "],
  ["a serial logger's time in brackets", "[2024-11-27 00:24:16] [   95.1] "],
  ["a CI's time", "2024-11-27T00:24:16.1234567Z [   95.1] "],
  ["a logger of the syslog kind", "Nov 27 00:24:16 [   95.1] "],
  ["a bare clock", "00:24:16.123 [   95.1] "],
  ["a container's name", "qemu | [   95.1] "],
  ["a container's name, padded", "qemu-1    | [   95.1] "],
  ["grep -n", (i) => `${12 + i}:[   95.1] `],
  ["grep -C", (i) => `${12 + i}-[   95.1] `],
  ["grep over files", (i) => `console.log:${12 + i}:[   95.1] `],
  ["grep over files without numbers", "logs/console.log:[   95.1] "],
  ["ripgrep without the kernel's time", (i) => `${12 + i}:`],
  ["a level behind the time", "[   95.123456] <3>"],
  ["a CPU behind the time", "[   95.123456@0] "],
  ["Android's level and CPU", "<3>[   95.123456,0] "],
  ["something nobody foresaw", "worker#7 >> node[3] ** "],
];

describe("prefixes", () => {
  test.each(prefixes)("%s", (_name, prefix) => {
    const report = analyse(prefixed(prefix));
    expect(only(report, "F_TRANSLATION")).toMatchObject({
      device: "9050000.smmuv3",
      stream: { streamId: "0x2100" },
      addresses: { first: "0x12340" },
      doubts: [],
    });
    expect(report.unknown.count).toBe(0);
  });

  test("escaped tabs of /dev/kmsg and of syslog are tabs", () => {
    for (const tab of [String.raw`\x09`, "#011"]) {
      const lines = faultLines().map((text, i) => `3,${i},95123456,-;${text.slice(STAMP.length)}`.replace("\t", tab));
      expect(only(analyse(lines), "F_TRANSLATION").words).toHaveLength(4);
    }
  });

  test("colours anywhere in the line, also inside the message", () => {
    const lines = faultLines().map((text) => text.replace("arm-smmu-v3", "\u001b[1marm-smmu-v3\u001b[0m").replace("0x", "\u001b[31m0x"));
    expect(only(analyse(lines), "F_TRANSLATION").words).toHaveLength(4);
  });

  test("a byte order mark, and UTF-16 read as bytes", () => {
    const wide = (text: string): string => [...text].map((letter) => `${letter}\0`).join("");
    expect(only(analyse(faultLines().map((text, i) => (i === 0 ? `\ufeff${text}` : text))), "F_TRANSLATION").count).toBe(1);
    expect(
      only(analyse(faultLines().map((text, i) => (i === 0 ? `\ufffd\ufffd${wide(text)}` : `\0${wide(text)}`))), "F_TRANSLATION").count,
    ).toBe(1);
  });

  test("the kernel's time counts before a logger's; microseconds of /dev/kmsg are seconds", () => {
    expect(readLogLine(`Nov 27 00:24:16 myhost kernel: [   95.123456] ${BODY}x`).time).toBe("95.123456");
    expect(readLogLine(`3,1234,95123456,-;${BODY}x`)).toMatchObject({ time: "95.123456", stamped: true, message: "x" });
    expect(readLogLine(`2024-11-27 00:24:16 ${BODY}x`)).toMatchObject({ time: "2024-11-27 00:24:16", stamped: false });
  });

  test("the caller is found behind any prefix", () => {
    expect(readLogLine(`qemu | [   95.1][   T77] ${BODY}x`)).toMatchObject({ caller: "T77", device: "9050000.smmuv3", message: "x" });
  });

  test("a second boot is found behind a logger's time", () => {
    const at = "2024-11-27T00:24:16Z ";
    const boot = [`${at}[    0.000000] Booting Linux on physical CPU 0x0`, `${at}[    0.000000] Linux version 6.12.0`];
    expect(analyse(`${at}U-Boot 2024.01`, boot, prefixed(at), boot, prefixed(at)).boots).toBe(2);
  });
});

describe("what is not understood is said", () => {
  test("a line of the driver that no table knows is shown, with its number", () => {
    const report = analyse("hello", line("the frobnicator is askew"));
    expect(report.unknown).toMatchObject({
      count: 1,
      kinds: 1,
      first: [{ line: 2, text: "arm-smmu-v3 9050000.smmuv3: the frobnicator is askew" }],
    });
    expect(dmesgText(report, plain)).toContain("1 line about an SMMUv3 that is not known here");
    expect(dmesgText(report, plain)).not.toContain("nothing about an SMMUv3");
  });

  test("the same message with other numbers is one kind", () => {
    const report = analyse(Array.from({ length: 30 }, (_, i) => line(`stream ${i} frobnicated at 0x${i.toString(16)}`)));
    expect(report.unknown).toMatchObject({ count: 30, kinds: 1, first: [{ line: 1, count: 30 }] });
  });

  test.each([
    line("unknown architecture version"),
    "[    1.0] arm-smmu-v3 arm-smmu-v3.0.auto: missing IORT node",
    "[    1.0] acpi NVDA200C:00: tegra241_cmdqv: unexpected error reported. vintf_map: 0000000000000000, vcmdq_map 00000000:00000000",
    "[    1.0] ACPI: IORT: cannot create arm-smmu-v3 device",
    line("\t0x0000210000000010"),
    line("\t0x0000"),
  ])("nothing is passed over: %s", (text) => {
    expect(analyse(text).unknown.count).toBe(1);
  });

  test("a healthy boot has nothing unknown", () => {
    const report = analyse(
      "[    0.0] Kernel command line: root=/dev/vda arm-smmu-v3.disable_msipolling=1",
      line("option mask 0x0"),
      line("ias 44-bit, oas 44-bit (features 0x00088705)"),
      line("allocated 65536 entries for cmdq"),
      line("allocated 32768 entries for evtq"),
      line("msi_domain absent - falling back to wired irqs"),
      "[    2.0] nvme 0000:01:00.0: Adding to iommu group 3",
    );
    expect(report.unknown.count).toBe(0);
  });

  test("a long line is cut, and control characters do not get through", () => {
    const { text } = analyse(`[    1.0] ${BODY}\u001b[31m\u0007${"x".repeat(5000)}`).unknown.first[0]!;
    expect(text.length).toBeLessThan(200);
    // oxlint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u001f]/);
  });

  test("an SMMUv2 is none of this tool's business", () => {
    expect(analyse("[    1.0] arm-smmu 2b400000.iommu: Unhandled context fault: fsr=0x402").unknown.count).toBe(0);
  });
});
