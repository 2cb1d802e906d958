// SPDX-License-Identifier: MIT
/** Whatever is wrong with a scenario becomes one line with file, line and column of the culprit. */
import { describe, expect, test } from "vitest";
import { parseScenario, type Scenario } from "../../../src/lab/index.ts";

const GOOD = `title: a title
story: a story
source: a source
machine:
  pci: {}
  devices:
    - name: etr
      kind: tmc-etr
    - name: nic
      kind: e1000e
wayDown: kexec
`;

const parse = (text: string): Scenario => parseScenario(text, "s.yaml");

describe("a good scenario", () => {
  test("gets the defaults of its kinds: bus, StreamID, hook", () => {
    const { machine } = parse(GOOD);
    expect(machine.devices.map(({ name, bus, streamId, hook }) => ({ name, bus, streamId, hook }))).toEqual([
      { name: "etr", bus: "platform", streamId: 0x21, hook: "mainline" },
      { name: "nic", bus: "pci", streamId: 0x10, hook: "mainline" },
    ]);
  });

  test("has RAM from 2 GiB to 4 GiB unless it says otherwise", () => {
    expect(parse(GOOD).machine.memory).toEqual({ base: 0x8000_0000, size: 0x8000_0000 });
  });

  test("may have two devices of a kind that name neither address nor StreamID", () => {
    const two = parse(GOOD.replace("    - name: nic", "    - name: etr2\n      kind: tmc-etr\n    - name: nic")).machine.devices;
    expect(two.map(({ name, base, streamId }) => ({ name, base, streamId }))).toEqual([
      { name: "etr", base: undefined, streamId: 0x21 },
      { name: "etr2", base: 0x2007_1000, streamId: 0x22 },
      { name: "nic", base: undefined, streamId: 0x10 },
    ]);
  });

  test("may write numbers in hexadecimal", () => {
    expect(parse(GOOD.replace("kind: tmc-etr", "kind: tmc-etr\n      streamId: 0x2a")).machine.devices[0]?.streamId).toBe(0x2a);
  });
});

const replaced = (from: string, to: string): string => {
  expect(GOOD).toContain(from);
  return GOOD.replace(from, to);
};

describe("a bad scenario is refused at the place of the mistake", () => {
  const cases: readonly { readonly what: string; readonly text: string; readonly says: string }[] = [
    { what: "an unknown key", text: replaced("wayDown: kexec", "wayDown: kexec\nwayUp: slowly"), says: 's.yaml:12:1: unknown key "wayUp"' },
    {
      what: "an unknown key in a device",
      text: replaced("kind: tmc-etr", "kind: tmc-etr\n      hoook: mainline"),
      says: 's.yaml:9:7: unknown key "hoook"',
    },
    { what: "a missing key", text: replaced("wayDown: kexec\n", ""), says: 's.yaml:1:1: "wayDown" is missing' },
    { what: "a wrong type", text: replaced("title: a title", "title: [1]"), says: 's.yaml:1:8: "title" should be a text, not a list' },
    {
      what: "a key written twice",
      text: replaced("wayDown: kexec", "wayDown: kexec\nwayDown: reboot"),
      says: 's.yaml:12:1: the key "wayDown" is written twice',
    },
    {
      what: "an unknown way down",
      text: replaced("wayDown: kexec", "wayDown: explode"),
      says: 's.yaml:11:10: "wayDown" is "explode"; possible: reboot, kexec, kdump, power-off, emergency, halt, panic, kexec-jump',
    },
    {
      what: "an unknown driver variant",
      text: replaced("kind: tmc-etr", "kind: tmc-etr\n      hook: teardown"),
      says: 's.yaml:9:13: "machine.devices[0].hook" is "teardown"; possible: no-hook, mainline, quiescing',
    },
    {
      what: "an unknown SMMU profile",
      text: replaced("  pci: {}", "  smmu: { profile: huge }"),
      says: 's.yaml:5:20: "machine.smmu.profile" is "huge"; possible: ',
    },
    {
      what: "a number that is not whole",
      text: replaced("kind: tmc-etr", "kind: tmc-etr\n      streamId: 1.5"),
      says: 's.yaml:9:17: "machine.devices[0].streamId" is not a whole number',
    },
    {
      what: "a number with underscores, which YAML reads as text",
      text: replaced("kind: tmc-etr", "kind: tmc-etr\n      base: 0x2007_0000"),
      says: 's.yaml:9:13: "machine.devices[0].base" should be a number, not the text "0x2007_0000"',
    },
    { what: "a device without a bus", text: replaced("  pci: {}\n", ""), says: 's.yaml:9:13: nic has no bus: the machine has no "pci"' },
    {
      what: "a StreamID beyond SIDSIZE",
      text: replaced("  pci: {}", "  pci: {}\n  smmu: { profile: tiny }").replace("kind: tmc-etr", "kind: tmc-etr\n      streamId: 0x4000"),
      says: "s.yaml:10:17: StreamID 0x4000 does not fit profile tiny",
    },
    {
      what: "windows that overlap",
      text: replaced("kind: tmc-etr", "kind: tmc-etr\n      base: 0x2b410000"),
      says: "s.yaml:9:13: etr at 0x2b410000 overlaps the SMMU at 0x2b400000",
    },
    {
      what: "a window off a page",
      text: replaced("kind: tmc-etr", "kind: tmc-etr\n      base: 0x20070010"),
      says: "s.yaml:9:13: etr at 0x20070010 does not begin and end on a 4 KiB page",
    },
    {
      what: "a StreamID twice",
      text: replaced("kind: tmc-etr", "kind: tmc-etr\n      streamId: 0x10"),
      says: "nic and etr share StreamID 0x10",
    },
    { what: "a name twice", text: replaced("name: nic", "name: etr"), says: "s.yaml:9:13: two devices are named etr" },
    {
      what: "an SMMU node behind more devices than there are",
      text: replaced("  pci: {}", "  pci: {}\n  smmuNode: 3"),
      says: "s.yaml:6:13: the SMMU's node cannot come after 3 devices: there are 2 devices",
    },
    {
      what: "a claim expected both ways",
      text: `${GOOD}expect:\n  holds: [no-stale-walk]\n  broken: [no-stale-walk]\n`,
      says: "s.yaml:14:11: no-stale-walk is expected both to hold and to be broken",
    },
    {
      what: "a strictness of fw_devlink that is off",
      text: `${GOOD}kernel: { fwDevlink: off, fwDevlinkStrict: true }\n`,
      says: "s.yaml:12:44: fwDevlinkStrict has no meaning with fwDevlink: off",
    },
    { what: "text that is no YAML", text: "title: [", says: "s.yaml:1:9: " },
    { what: "an empty file", text: "", says: "s.yaml:1:1: " },
    {
      what: "a list instead of a mapping",
      text: "- a\n- b\n",
      says: "s.yaml:1:1: a scenario is a mapping of keys to values: title, story, source, machine, wayDown",
    },
    { what: "two documents", text: `${GOOD}---\n${GOOD}`, says: "s.yaml:12:1: a second document begins here: a scenario file holds one" },
    {
      what: "an alias without an anchor",
      text: replaced("title: a title", "title: *there"),
      says: "s.yaml:1:8: the alias *there has no anchor",
    },
    {
      what: "a value that is a mapping",
      text: replaced("a title", "{ a: b }"),
      says: 's.yaml:1:8: "title" should be a text, not a mapping',
    },
    { what: "a list that is a mapping", text: "machine: { devices: { a: b } }", says: '"machine.devices" should be a list, not a mapping' },
    {
      what: "no device at all",
      text: GOOD.replace(/ {2}devices:[^]*(?=wayDown)/, "  devices: []\n"),
      says: 's.yaml:6:12: "machine.devices" has no device',
    },
    {
      what: "a value that is nearly right",
      text: replaced("wayDown: kexec", "wayDown: kexce"),
      says: 's.yaml:11:10: "wayDown" is "kexce", did you mean kexec?',
    },
    {
      what: "an SMMU beyond the address bits of the bus",
      text: replaced("  pci: {}", "  pci: {}\n  smmu: { base: 4503599627370496 }"),
      says: "s.yaml:6:17: the SMMU at 0x10000000000000 does not end within 48 address bits",
    },
    {
      what: "RAM beyond the address bits of the bus",
      text: replaced("  pci: {}", "  pci: {}\n  memory: { base: 4503599627370496, size: 0x80000000 }"),
      says: "s.yaml:6:19: RAM at 0x10000000000000 does not end within 48 address bits",
    },
    {
      what: "RAM beyond what the SMMU reaches",
      text: replaced("  pci: {}", "  pci: {}\n  memory: { base: 0x10000000000, size: 0x80000000 }\n  smmu: { profile: tiny }"),
      says: "s.yaml:6:11: RAM ends at 0x10080000000: profile tiny reaches 40 address bits",
    },
    {
      what: "a device beyond the address bits of the bus",
      text: replaced("kind: tmc-etr", "kind: tmc-etr\n      base: 4503599627370496"),
      says: "s.yaml:9:13: etr at 0x10000000000000 does not end within 48 address bits",
    },
    {
      what: "a PCI device on the platform bus, before any address that follows from it",
      text: replaced("kind: e1000e", "kind: e1000e\n      bus: platform"),
      says: "s.yaml:11:12: e1000e is a pci device",
    },
  ];
  test.each(cases)("$what", ({ text, says }) => {
    expect(() => parse(text)).toThrow(says);
  });

  const told = (text: string): string[] => {
    try {
      parse(text);
      return [];
    } catch (error) {
      return error instanceof Error ? error.message.split("\n") : [];
    }
  };

  test("of a misspelt key that is required only the misspelling is told, with what was meant", () => {
    expect(told(replaced("wayDown", "waydown"))).toEqual(['s.yaml:11:1: unknown key "waydown", did you mean wayDown?']);
  });

  test("every mistake is told, a line for each, in the order of the text, what is missing last", () => {
    const text = replaced("title: a title", "title: 5\nfoo: 1\nbar: 2")
      .replace("story: a story\n", "")
      .replace("wayDown: kexec", "wayDown: explode");
    expect(told(text)).toEqual([
      's.yaml:1:8: "title" should be a text, not 5',
      's.yaml:2:1: unknown key "foo"',
      's.yaml:3:1: unknown key "bar"',
      's.yaml:12:10: "wayDown" is "explode"; possible: reboot, kexec, kdump, power-off, emergency, halt, panic, kexec-jump',
      's.yaml:1:1: "story" is missing',
    ]);
  });

  test("of what does not fit together every part is told", () => {
    const text = replaced("kind: tmc-etr", "kind: tmc-etr\n      base: 0x20070010\n      streamId: 0x10");
    expect(told(text)).toEqual([
      "s.yaml:9:13: etr at 0x20070010 does not begin and end on a 4 KiB page",
      "s.yaml:11:7: nic and etr share StreamID 0x10",
    ]);
  });

  test("a PCI device on the platform bus is told once", () => {
    expect(told(replaced("kind: e1000e", "kind: e1000e\n      bus: platform"))).toEqual(["s.yaml:11:12: e1000e is a pci device"]);
  });

  test("of several mistakes the first in the text is told", () => {
    expect(() => parse(replaced("title: a title", "title: 5").replace("wayDown: kexec", "wayDown: explode"))).toThrow("s.yaml:1:8: ");
  });

  test("the message is one line", () => {
    try {
      parse("title: {\n  a: }\n]");
      expect.unreachable();
    } catch (error) {
      expect(String(error)).not.toContain("\n");
    }
  });
});
