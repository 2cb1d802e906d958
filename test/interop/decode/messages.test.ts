// SPDX-License-Identifier: MIT
/** Commands, event records and registers in words. Expectations come from IHI 0070 §4, §6.3, §7.3. */
import { describe, expect, test } from "vitest";
import { buildCommand, profiles, smmuCommands, smmuRegisters } from "../../../src/hw/index.ts";
import {
  type Decoded,
  type DecodedField,
  decodeCommand,
  decodeEventRecord,
  decodePageRequestRecord,
  decodeRegister,
  decodedText,
  findRegister,
  parseWords,
} from "../../../src/interop/index.ts";

const plain = (_style: string, text: string): string => text;

function field({ fields }: Decoded, name: string): DecodedField {
  const found = fields.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`no field ${name}`);
  return found;
}

const event = (...words: string[]): Decoded => decodeEventRecord(parseWords(words.join(" "), 32));

describe("event records (IHI 0070 §7.3)", () => {
  test("F_TRANSLATION of a write: StreamID, direction, stage, CLASS, the 64-bit address in one piece", () => {
    const decoded = event("0x0000210000000010", "0x0000020000000000", "0x000000090000f040", "0");
    expect(decoded.name).toBe("F_TRANSLATION");
    expect(field(decoded, "StreamID").value).toBe("0x2100");
    expect(field(decoded, "RnW").says).toBe("write");
    expect(field(decoded, "CLASS").says).toBe("IN: the transaction's own address");
    expect(field(decoded, "InputAddr")).toMatchObject({ hi: 191, lo: 128, address: "0x000000090000f040" });
    expect(decoded.notes).toEqual(["stage 1, for the device's own address: there is no valid translation"]);
  });

  test("fields that other bits switch off have no effect: SubstreamID, STAG, IPA", () => {
    const decoded = event("0x10", "0", "0", "0");
    expect(field(decoded, "SubstreamID").ignored).toBe("SSV is 0");
    expect(field(decoded, "STAG").ignored).toBe("Stall is 0");
    expect(field(decoded, "IPA").ignored).toBe("S2 is 0");
  });

  test("C_BAD_SUBSTREAMID has no SSV: its SubstreamID always counts", () => {
    expect(field(event("0x0000002000005008", "0", "0", "0"), "SubstreamID")).toMatchObject({ value: "0x5", ignored: undefined });
  });

  const combinations: readonly (readonly [name: string, word1: string, says: RegExp])[] = [
    ["S2 = 0, CLASS IN", "0x0000020000000000", /stage 1, for the device's own address/],
    ["S2 = 1, CLASS IN", "0x0000028000000000", /stage 2, for the address that the device's access needs/],
    ["S2 = 1, CLASS TT", "0x0000018000000000", /stage 2, for the address of a stage-1 table/],
    ["S2 = 1, CLASS CD", "0x0000008000000000", /stage 2, for the address of the CD/],
    ["S2 = 0, CLASS CD: no record of the architecture", "0x0000000000000000", /the architecture has no such record/],
  ];
  test.each(combinations)("CLASS and S2 together: %s", (_name, word1, says) => {
    expect(event("0x0000002000000010", word1, "0x1000", "0x5000").notes[0]).toMatch(says);
  });

  test("F_WALK_EABT of a stage-1 descriptor has CLASS TT and a fetch address", () => {
    const decoded = event("0x000000200000000b", "0x0000010000000000", "0x1000", "0x0000000045678908");
    expect(field(decoded, "FetchAddr").address).toBe("0x45678908");
    expect(decoded.notes[0]).toBe("stage 1: memory answered the fetch of a descriptor with an abort");
  });

  test("a stage-2 fault names the intermediate page", () => {
    expect(event("0x10", "0x0000028000000000", "0x1234", "0x80005000").notes).toContain(
      "the intermediate address was in the page 0x80005000",
    );
  });

  test("a reserved number is said to be reserved, its words stay", () => {
    expect(event("0x7f", "1", "0", "0")).toMatchObject({
      name: "reserved event",
      legal: false,
      words: ["0x000000000000007f", "0x0000000000000001", "0x0000000000000000", "0x0000000000000000"],
    });
  });
});

const page = (...words: string[]): Decoded => decodePageRequestRecord(parseWords(words.join(" "), 16));

describe("entries of the PRI queue (IHI 0070 §8)", () => {
  test("the last of a group, with PASID: who, what for, which page and group, and that an answer is due", () => {
    const decoded = page("0xf800000700002100", "0x0000009a12345005");
    expect(decoded).toMatchObject({ name: "page request", section: "8", legal: undefined });
    expect(field(decoded, "StreamID").value).toBe("0x2100");
    expect(field(decoded, "SubstreamID")).toMatchObject({ value: "0x7", ignored: undefined });
    expect(["R", "W", "X", "Priv"].map((name) => field(decoded, name).value)).toEqual(["0x1", "0x1", "0x1", "0x0"]);
    expect(field(decoded, "PRGIndex").value).toBe("0x5");
    expect(field(decoded, "PageAddr").address).toBe("0x9a12345000");
    expect(decoded.notes).toEqual([
      "the group is complete: CMD_PRI_RESP answers it, with the PASID if the function wants it (PRG Response PASID Required)",
    ]);
  });

  test("without PASID SubstreamID, X and Priv say nothing; LWR 0b100 is an ordinary request", () => {
    const decoded = page("0x4c00000700002100", "0");
    for (const name of ["SubstreamID", "X", "Priv"]) expect(field(decoded, name).ignored).toBe("SSV is 0");
    expect(decoded.name).toBe("page request");
    expect(decoded.notes[0]).toMatch(/without a PASID; R = W = 0 is no Stop Marker/);
  });

  test("with PASID LWR 0b100 is a Stop Marker, which has no group and no page", () => {
    const decoded = page("0xc000000700002100", "0x5");
    expect(decoded.name).toBe("Stop Marker");
    expect(["PRGIndex", "PageAddr"].map((name) => field(decoded, name).ignored)).toEqual(["it is a Stop Marker", "it is a Stop Marker"]);
    expect(decoded.notes[0]).toMatch(/no response is due/);
  });

  test("one that is not the last of its group waits for the rest; bits that no field has are named", () => {
    expect(page("0x3010000000002100", "0x800").notes).toEqual([
      "more requests of this group come; it is answered once, after the one with Last",
      expect.stringMatching(/^reserved bits are not zero: 52, 75 /),
    ]);
  });
});

describe("events that the architecture leaves open", () => {
  test("0xe0 to 0xef are IMPLEMENTATION DEFINED, with a StreamID, and not illegal (IHI 0070 §7.3.21)", () => {
    for (const number of [0xe0, 0xe7, 0xef]) {
      const decoded = event(`0x00000020000000${number.toString(16)}`, "0x1", "0x2", "0x3");
      expect(decoded).toMatchObject({ name: "IMPDEF_EVENT", section: "7.3.21", legal: undefined });
      expect(field(decoded, "StreamID").value).toBe("0x20");
      expect(decoded.notes.join()).not.toMatch(/reserved|must write/);
    }
    expect(event("0xdf", "0", "0", "0").name).toBe("reserved event");
    expect(event("0xf0", "0", "0", "0").name).toBe("reserved event");
  });

  test("what the SMMU writes, software need not write as zero: stray bits of records and of read-only registers", () => {
    expect(event("0x0000002000000202", "0", "0", "0").notes.join()).toMatch(/reserved bits are not zero: 9 \(the SMMU writes them/);
    const gerror = decodeRegister(findRegister("GERROR")!, Uint32Array.of(0x1ff, 0)).notes.join();
    expect(gerror).toMatch(/reserved bits are not zero: 1 \(the SMMU writes them/);
    expect(decodeRegister(findRegister("CR0")!, Uint32Array.of(0x8000_0000, 0)).notes.join()).toContain("software must write them as zero");
  });
});

describe("commands (IHI 0070 §4)", () => {
  test("every command is found by its opcode", () => {
    for (const { name } of smmuCommands) expect(decodeCommand(buildCommand(name), profiles.max).name).toBe(name);
  });

  test("a 64-bit address is shown whole, also above 2^53", () => {
    expect(
      field(decodeCommand(buildCommand("CMD_TLBI_NH_VA", { ASID: 7, AddressHi: 0xffff_0000, AddressLo: 0x1000 }), profiles.max), "Address")
        .address,
    ).toBe("0xffff000000001000");
  });

  test("a range is told in bytes: (NUM + 1) * 2^SCALE granules", () => {
    const { notes } = decodeCommand(buildCommand("CMD_TLBI_NH_VA", { TG: 1, NUM: 3, SCALE: 2, Address: 0x1000 }), profiles.max);
    expect(notes[0]).toContain("64 KiB");
  });

  test("a reserved opcode is CERROR_ILL", () => {
    expect(decodeCommand(Uint32Array.of(0xff, 0, 0, 0), profiles.max)).toMatchObject({ legal: false, event: "CERROR_ILL" });
  });

  test("what the SMMU has not got is illegal: stage-2 invalidation without stage 2", () => {
    expect(decodeCommand(buildCommand("CMD_TLBI_S12_VMALL"), profiles.tiny).legal).toBe(false);
    expect(decodeCommand(buildCommand("CMD_TLBI_S12_VMALL"), profiles.max).legal).toBe(true);
  });

  test("the values of CS are words", () => {
    expect(field(decodeCommand(buildCommand("CMD_SYNC", { CS: 2 }), profiles.max), "CS").says).toBe("event (SEV)");
  });
});

describe("registers (IHI 0070 §6.3)", () => {
  const decode = (name: string, value: string): Decoded => decodeRegister(findRegister(name)!, parseWords(value, 8));

  test("found by name with or without SMMU_, in any case, or by offset", () => {
    for (const name of ["CR0", "smmu_cr0", "SMMU_CR0", "0x20"]) expect(findRegister(name)?.name).toBe("SMMU_CR0");
    expect(findRegister("CR9")).toBeUndefined();
  });

  test("listed values are told: GBPA.ABORT, STRTAB_BASE_CFG.FMT", () => {
    expect(field(decode("GBPA", "0x100000"), "ABORT").says).toBe("abort all incoming");
    expect(field(decode("IDR0", "0x08000000"), "ST_LEVEL").says).toBe("linear and 2-level");
    expect(field(decode("IDR5", "0x5"), "OAS").says).toBe("48-bit");
  });

  test("flags that are set are in the summary", () => {
    expect(decode("CR0", "0xd").summary).toContain("set: CMDQEN, EVENTQEN, SMMUEN");
  });

  test("a base address is shown whole", () => {
    expect(field(decode("CMDQ_BASE", "0x4000000043a00010"), "ADDR").address).toBe("0x43a00000");
  });

  test("a value that a list does not name is what the list says of the others (CR0.VMW = 7, IHI 0070 §6.3.9)", () => {
    expect(field(decode("CR0", "0x1c0"), "VMW").says).toBe("reserved, as 0b000");
  });

  test("OVFLG has a meaning (IHI 0070 §7.4)", () => {
    expect(field(decode("EVENTQ_PROD", "0x80000003"), "OVFLG").says).toContain("overflow that is not acknowledged");
    expect(field(decode("EVENTQ_CONS", "0x0"), "OVACKFLG").says).toContain("acknowledges");
  });

  test.each([
    ["CMDQ_BASE", "0x4000000080009108", "0x80009000", "4 KiB"],
    ["EVENTQ_BASE", "0x4000000080009108", "0x80008000", "8 KiB"],
    ["CMDQ_BASE", "0x80009020", "0x80009020", "16 bytes"],
  ])("%s %s: the base that counts is aligned to the queue's size (IHI 0070 §6.3.26, §6.3.29)", (name, value, base, size) => {
    const { notes } = decode(name, value);
    expect(notes[0]).toMatch(new RegExp(`effective base ${base}: .*${size}`));
    expect(notes.some((note) => note.startsWith("warning: ADDR is not aligned"))).toBe(base === "0x80009000" || base === "0x80008000");
  });

  test("all ones, and zeros where no SMMU has them, are nobody's answer", () => {
    expect(decode("IDR0", "0xffffffff").notes.join()).toMatch(/all ones.*clock or power/);
    expect(decode("CMDQ_BASE", "0xffffffffffffffff").notes.join()).toMatch(/all ones/);
    expect(decode("IDR1", "0x0").notes.join()).toMatch(/all zeros.*clock or power/);
    expect(decode("CR0", "0x0").notes).toEqual([]);
  });

  test("every register decodes any value", () => {
    for (const register of smmuRegisters) {
      for (const words of [Uint32Array.of(0, 0), Uint32Array.of(0xffff_ffff, register.width === 64 ? 0xffff_ffff : 0)]) {
        expect(decodeRegister(register, words).fields).toHaveLength(register.fields.length);
      }
    }
  });
});

describe("text", () => {
  test("a section has one mark", () => {
    const text = decodedText(decodeCommand(Uint32Array.of(0x3046, 0, 0, 0), profiles.max), plain);
    expect(text).toContain("(IHI 0070 §4.7.3)");
    expect(text).not.toContain("§§");
  });

  test("no line ends in blanks", () => {
    for (const { opcode } of smmuCommands)
      expect(decodedText(decodeCommand(Uint32Array.of(opcode, 0, 0, 0), profiles.max), plain, { all: true })).not.toMatch(/ \n/);
  });

  test("no line is longer than 80 columns, whatever is decoded", () => {
    const ones = new Uint32Array(16).fill(0xffff_ffff);
    const decoded = [
      ...smmuRegisters.map((register) => decodeRegister(register, ones.slice(0, 2))),
      ...smmuCommands.map(({ opcode }) =>
        decodeCommand(Uint32Array.of(0xffff_ff00 + opcode, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff), profiles.max),
      ),
      ...Array.from({ length: 0x26 }, (_, number) => decodeEventRecord(Uint32Array.of(0xffff_ff00 + number, ...ones.slice(0, 7)))),
    ];
    for (const one of decoded) {
      for (const all of [true, false])
        for (const line of decodedText(one, plain, { all }).split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    }
  });
});
