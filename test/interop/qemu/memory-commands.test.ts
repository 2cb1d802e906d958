// SPDX-License-Identifier: MIT
/** The commands that move bytes, one rule of the protocol per test. */
import { describe, expect, test } from "vitest";
import { QtestClient, hex } from "./client.ts";
import { ECAM, SMMU } from "./smmuv3-sequence.ts";

const RAM = 0x4000_0000;
const HOLE = 0x2_0000_0000;
const client = (): QtestClient => new QtestClient("-m", "1");

describe("sized accesses", () => {
  test("endianness is little", () => {
    expect(client().reply("endianness")).toBe("OK little");
  });

  test.each([
    ["b", "0x00000000000000ef"],
    ["w", "0x000000000000beef"],
    ["l", "0x00000000deadbeef"],
    ["q", "0x01234567deadbeef"],
  ])("write%s cuts the value to its size; read%s answers with 16 digits", (width, expected) => {
    const qtest = client();
    expect(qtest.reply(`write${width} ${hex(RAM)} 0x01234567deadbeef`)).toBe("OK");
    expect(qtest.reply(`read${width} ${hex(RAM)}`)).toBe(`OK ${expected}`);
    expect(qtest.readq(RAM)).toBe(BigInt(expected));
  });

  test("bytes are in little-endian order", () => {
    const qtest = client();
    qtest.reply(`writel ${hex(RAM)} 0x12345678`);
    expect(qtest.reply(`read ${hex(RAM)} 4`)).toBe("OK 0x78563412");
  });

  test("numbers are C literals: hexadecimal, octal with a leading 0, decimal", () => {
    const qtest = client();
    expect(qtest.reply(`writel ${RAM} 0777`)).toBe("OK");
    expect(qtest.reply("readl 0X40000000")).toBe("OK 0x00000000000001ff");
    expect(qtest.reply("readl 010000000000")).toBe("OK 0x00000000000001ff");
  });

  test("a negative value wraps, as strtoull has it", () => {
    const qtest = client();
    qtest.reply(`writeq ${hex(RAM)} -1`);
    expect(qtest.readq(RAM)).toBe(0xffff_ffff_ffff_ffffn);
  });

  test.each(["readl 09", "readl zero", "readl 0x", "readl 0x10000000000000000", "readl", "writel 0x40000000"])(
    "%s: a number that is none or missing fails and ends nothing",
    (command) => {
      const qtest = client();
      expect(qtest.reply(command)).toMatch(/^FAIL /);
      expect(qtest.reply("endianness")).toBe("OK little");
    },
  );
});

describe("blocks", () => {
  test("write and read take digits in the order of addresses", () => {
    const qtest = client();
    expect(qtest.reply(`write ${hex(RAM + 3)} 5 0x0102030405`)).toBe("OK");
    expect(qtest.reply(`read ${hex(RAM + 2)} 0x7`)).toBe("OK 0x00010203040500");
  });

  test("bytes without digits are written as 0", () => {
    const qtest = client();
    qtest.reply(`writeq ${hex(RAM)} -1`);
    expect(qtest.reply(`write ${hex(RAM)} 4 0xaB`)).toBe("OK");
    expect(qtest.reply(`read ${hex(RAM)} 6`)).toBe("OK 0xab000000ffff");
  });

  test("digits beyond the length are ignored", () => {
    const qtest = client();
    expect(qtest.reply(`write ${hex(RAM)} 1 0x1122`)).toBe("OK");
    expect(qtest.reply(`read ${hex(RAM)} 2`)).toBe("OK 0x1100");
  });

  test("data of fewer than 3 characters is an invalid argument size", () => {
    expect(client().reply(`write ${hex(RAM)} 1 0x`)).toBe("ERR invalid argument size");
    expect(client().reply(`b64write ${hex(RAM)} 1 AA`)).toBe("ERR invalid argument size");
  });

  test("a read of 0 bytes fails", () => {
    expect(client().reply(`read ${hex(RAM)} 0`)).toMatch(/^FAIL /);
  });

  test("base 64 carries every byte", () => {
    const qtest = client();
    expect(qtest.reply(`b64write ${hex(RAM)} 7 AAH+/0Bh/w==`)).toBe("OK");
    expect(qtest.reply(`read ${hex(RAM)} 8`)).toBe("OK 0x0001feff4061ff00");
    expect(qtest.reply(`b64read ${hex(RAM)} 7`)).toBe("OK AAH+/0Bh/w==");
    expect(qtest.reply(`b64read ${hex(RAM)} 5`)).toBe("OK AAH+/0A=");
    expect(qtest.reply(`b64read ${hex(RAM)} 6`)).toBe("OK AAH+/0Bh");
  });

  test("b64write with another length than told uses the shorter one", () => {
    const qtest = client();
    expect(qtest.reply(`b64write ${hex(RAM)} 2 AQIDBA==`)).toBe("OK");
    expect(qtest.reply(`b64write ${hex(RAM + 4)} 9 AQIDBA==`)).toBe("OK");
    expect(qtest.reply(`read ${hex(RAM)} 9`)).toBe("OK 0x010200000102030400");
  });

  test("memset fills; length 0 is allowed", () => {
    const qtest = client();
    expect(qtest.reply(`memset ${hex(RAM + 1)} 3 0x1a5`)).toBe("OK");
    expect(qtest.reply(`memset ${hex(RAM)} 0 0xff`)).toBe("OK");
    expect(qtest.reply(`read ${hex(RAM)} 5`)).toBe("OK 0x00a5a5a500");
  });
});

describe("ranges", () => {
  test("where nothing answers, reads give zeros and writes are lost", () => {
    const qtest = client();
    expect(qtest.reply(`writeq ${hex(HOLE)} -1`)).toBe("OK");
    expect(qtest.reply(`readq ${hex(HOLE)}`)).toBe("OK 0x0000000000000000");
    expect(qtest.reply("readq 0xfffffffffffffff8")).toBe("OK 0x0000000000000000");
  });

  test("a range over RAM's end moves what lies in RAM", () => {
    const qtest = client();
    const end = RAM + 2 ** 20;
    expect(qtest.reply(`write ${hex(end - 2)} 4 0x11223344`)).toBe("OK");
    expect(qtest.reply(`read ${hex(end - 3)} 6`)).toBe("OK 0x001122000000");
  });

  test("a range that starts in a hole reaches the RAM behind it", () => {
    const qtest = client();
    expect(qtest.reply(`memset ${hex(RAM - 4096)} 0x1001 0x77`)).toBe("OK");
    expect(qtest.reply(`read ${hex(RAM - 2)} 4`)).toBe("OK 0x00007700");
  });

  test("8 aligned bytes at the SMMU are one 64-bit access", () => {
    const qtest = client();
    expect(qtest.reply(`write ${hex(SMMU + 0x80)} 8 0xc0ffffffffff0f00`)).toBe("OK");
    expect(qtest.reply(`read ${hex(SMMU + 0x80)} 8`)).toBe("OK 0xc0ffffffffff0f00");
    expect(qtest.readl(SMMU + 0x84)).toBe(0x000f_ffff);
  });

  test("accesses of 1 and 2 bytes to the SMMU read 0 and change nothing (IHI 0070 §6.2)", () => {
    const qtest = client();
    expect(qtest.reply(`readb ${hex(SMMU)}`)).toBe("OK 0x0000000000000000");
    qtest.reply(`writew ${hex(SMMU + 0x28)} 0xd75`);
    expect(qtest.readl(SMMU + 0x28)).toBe(0);
  });

  test("configuration space takes 1, 2 and 4 bytes; 8 become two accesses", () => {
    const qtest = client();
    expect(qtest.reply(`readb ${hex(ECAM + 1)}`)).toBe("OK 0x000000000000001b");
    expect(qtest.reply(`readw ${hex(ECAM + 2)}`)).toBe("OK 0x0000000000000008");
    expect(qtest.reply(`readq ${hex(ECAM)}`)).toBe("OK 0x0000000000081b36");
    expect(qtest.reply(`read ${hex(ECAM + 1)} 3`)).toBe("OK 0x1b0800");
  });
});

describe("ports", () => {
  test("nothing answers: all bits are set, at least 4 digits", () => {
    expect(client().reply("inb 0x10")).toBe("OK 0x00ff");
    expect(client().reply("inw 0x10")).toBe("OK 0xffff");
    expect(client().reply("inl 0x10")).toBe("OK 0xffffffff");
    for (const width of ["b", "w", "l"]) expect(client().reply(`out${width} 0x10 1`)).toBe("OK");
  });
});

describe("lines", () => {
  test("empty lines and comments have no reply", () => {
    const qtest = client();
    for (const line of ["", "#", "# readl 0", "#x"]) expect(qtest.lines(line)).toEqual([]);
  });

  test("an unknown command fails with its name; so does a line of blanks", () => {
    expect(client().reply("rtas 1 2")).toBe("FAIL Unknown command 'rtas'");
    expect(client().reply("   ")).toBe("FAIL Unknown command ''");
    expect(client().reply("constructor")).toBe("FAIL Unknown command 'constructor'");
  });

  test("module_load fails: there are no modules", () => {
    expect(client().reply("module_load hw- display-qxl")).toBe("FAIL");
  });

  test("the log has each line that came and went, with the virtual time", () => {
    const qtest = client();
    qtest.reply("clock_step 1500000");
    qtest.reply("endianness");
    expect(qtest.log).toEqual([
      "[R +0.000000] clock_step 1500000",
      "[S +0.001500] OK 1500000",
      "[R +0.001500] endianness",
      "[S +0.001500] OK little",
    ]);
  });

  test("-machine none has no memory, and answers", () => {
    const qtest = new QtestClient("-machine", "none");
    expect(qtest.reply("endianness")).toBe("OK little");
    expect(qtest.reply("readl 0x40000000")).toBe("OK 0x0000000000000000");
  });
});
