// SPDX-License-Identifier: MIT
/** The PCI bus and QEMU's two test devices, by what QEMU documents of them. */
import { describe, expect, test } from "vitest";
import { EDU, TESTDEV } from "../../../src/interop/index.ts";
import { QtestClient, hex } from "./client.ts";
import { BAR0, ECAM, EVENT_QUEUE, IOVA, SMMU, TARGET, caseArguments, placeTestdev, testdevDma, translation } from "./smmuv3-sequence.ts";

/** Places BAR 0 of the function at `devfn` and lets it decode memory; `command` is COMMAND. */
function place(qtest: QtestClient, devfn: number, address: number, command: number = 7): void {
  qtest.writel(ECAM + devfn * 4096 + 0x10, address);
  qtest.writel(ECAM + devfn * 4096 + 4, command);
}

describe("PCI", () => {
  const id = (qtest: QtestClient, devfn: number): number => qtest.readl(ECAM + devfn * 4096);

  test("the host bridge is 1b36:0008 at 00:00.0, devices follow in order from devfn 8", () => {
    const qtest = new QtestClient("-device", "edu", "-device", "iommu-testdev");
    expect([0, 8, 16, 24].map((devfn) => id(qtest, devfn))).toEqual([0x0008_1b36, 0x11e8_1234, 0x0005_1b36, 0xffff_ffff]);
  });

  test("addr= places a device; the others take the first free slot", () => {
    const qtest = new QtestClient("-device", "edu,addr=1f.1", "-device", "iommu-testdev,addr=1", "-device", "edu");
    expect([0xf9, 8, 16].map((devfn) => id(qtest, devfn))).toEqual([0x11e8_1234, 0x0005_1b36, 0x11e8_1234]);
  });

  test("the test device: class 00ff, subsystem 1af4:1100, no capabilities, a 4 KiB BAR of 32 bits", () => {
    const qtest = new QtestClient("-device", "iommu-testdev");
    const config = ECAM + 8 * 4096;
    expect(qtest.readl(config + 0x08) >>> 16).toBe(0x00ff);
    expect(qtest.readl(config + 0x2c)).toBe(0x1100_1af4);
    expect(qtest.readl(config + 0x34) & 0xff).toBe(0);
    expect(qtest.readl(config + 0x04) >>> 16).toBe(0);
    expect(qtest.reply(`read ${hex(config + 0x40)} 0xc0`)).toBe(`OK 0x${"00".repeat(0xc0)}`);
    qtest.writel(config + 0x10, 0xffff_ffff);
    expect(qtest.readl(config + 0x10)).toBe(0xffff_f000);
  });

  test("other buses are empty", () => {
    expect(new QtestClient("-device", "edu").readl(ECAM + 0x10_0000 + 8 * 4096)).toBe(0xffff_ffff);
  });
});

describe("iommu-testdev", () => {
  function ready(): QtestClient {
    const qtest = new QtestClient(...caseArguments);
    for (const { command } of [...placeTestdev(), ...translation("s1-only", 8)]) qtest.reply(command);
    return qtest;
  }
  const result = (qtest: QtestClient): number => qtest.readl(BAR0 + TESTDEV.RESULT);
  function run(qtest: QtestClient, registers: Partial<Record<keyof typeof TESTDEV, number>>): number {
    const all = { GVA_LO: IOVA % 2 ** 32, GVA_HI: 0x80, GPA_LO: TARGET, GPA_HI: 0, LEN: 4, ATTRS: 0xa, DOORBELL: 1, ...registers };
    for (const [name, value] of Object.entries(all)) qtest.writel(BAR0 + TESTDEV[name as keyof typeof TESTDEV], value);
    qtest.readl(BAR0 + TESTDEV.TRIGGER);
    return result(qtest);
  }

  test("registers after reset: RESULT idle, ATTRS non-secure", () => {
    const qtest = ready();
    expect(result(qtest)).toBe(0xffff_ffff);
    expect(qtest.readl(BAR0 + TESTDEV.ATTRS)).toBe(2);
    expect(qtest.readl(BAR0 + TESTDEV.DOORBELL)).toBe(0);
  });

  test("TRIGGER without arming says so and stays unarmed", () => {
    const qtest = ready();
    expect(run(qtest, { DOORBELL: 0 })).toBe(0xdead_0005);
  });

  test("DOORBELL arms (busy) and disarms (idle)", () => {
    const qtest = ready();
    qtest.writel(BAR0 + TESTDEV.DOORBELL, 1);
    expect(result(qtest)).toBe(0xffff_fffe);
    qtest.writel(BAR0 + TESTDEV.DOORBELL, 0);
    expect(result(qtest)).toBe(0xffff_ffff);
  });

  test.each([
    ["length 0", { LEN: 0 }, 0xdead_0001],
    ["space S without secure", { ATTRS: 0x8 }, 0xdead_0006],
    ["space NS with secure", { ATTRS: 0xb }, 0xdead_0006],
    ["a write that the SMMU aborts", { GVA_LO: 0 }, 0xdead_0002],
    ["a read from nowhere", { GPA_HI: 0x10 }, 0xdead_0003],
    ["other bytes than were written", { GPA_LO: TARGET - 1 }, 0xdead_0004],
    ["the pattern", {}, 0],
    ["5 bytes of the pattern", { LEN: 5 }, 0],
  ])("%s", (_name, registers, expected) => {
    const qtest = ready();
    expect(run(qtest, registers)).toBe(expected);
    qtest.readl(BAR0 + TESTDEV.TRIGGER);
    expect(result(qtest)).toBe(0xdead_0005);
  });

  test("a read-back from TRIGGER itself does not start over", () => {
    expect(run(ready(), { GPA_LO: BAR0 })).toBe(0xdead_0004);
  });

  test("other widths than 4 bytes read 0", () => {
    const qtest = ready();
    expect(qtest.readq(BAR0 + TESTDEV.RESULT, "w")).toBe(0n);
  });

  test("it does not look at COMMAND.BME", () => {
    const qtest = ready();
    qtest.writel(ECAM + 8 * 4096 + 4, 2);
    expect(run(qtest, {})).toBe(0);
  });

  test("an address of the upper half reaches the SMMU in full (TTB1 disabled: F_TRANSLATION, IHI 0070 §7.3.12)", () => {
    const qtest = ready();
    expect(run(qtest, { GVA_HI: 0xffff_ff80 })).toBe(0xdead_0002);
    expect(qtest.readq(EVENT_QUEUE) & 0xffn).toBe(0x10n);
    expect(qtest.readq(EVENT_QUEUE + 16)).toBe(0xffff_ff80_8060_4567n);
  });

  test("an unmapped address leaves one event: F_TRANSLATION, StreamID 8, a write, class IN", () => {
    const qtest = ready();
    for (const { command, reply } of testdevDma(IOVA + 4096, 0xdead_0002)) expect(qtest.reply(command)).toBe(reply);
    expect(qtest.readl(SMMU + 0x100a8)).toBe(1);
    expect([0, 8, 16, 24].map((offset) => qtest.readq(EVENT_QUEUE + offset))).toEqual([
      0x8_0000_0010n,
      0x200_0000_0000n,
      0x80_8060_5567n,
      0n,
    ]);
  });
});

describe("edu", () => {
  const EDU_BAR = 0x1010_0000;
  const BUFFER = 0x4_0000n;
  const DMA_MASK = "edu,dma_mask=0xffffffffffff";

  function ready(device: string = "edu", command: number = 7): QtestClient {
    const qtest = new QtestClient("-machine", "virt,iommu=smmuv3", "-device", device);
    place(qtest, 8, EDU_BAR, command);
    return qtest;
  }
  function start(qtest: QtestClient, source: bigint, destination: bigint, count: bigint, command: bigint): void {
    qtest.write("q", EDU_BAR + EDU.DMA_SOURCE, source);
    qtest.write("q", EDU_BAR + EDU.DMA_DESTINATION, destination);
    qtest.write("q", EDU_BAR + EDU.DMA_COUNT, count);
    qtest.write("q", EDU_BAR + EDU.DMA_COMMAND, command);
  }
  const reg = (qtest: QtestClient, offset: number): number => qtest.readl(EDU_BAR + offset);

  test("identification, and a liveness register that inverts", () => {
    const qtest = ready();
    expect(reg(qtest, EDU.ID)).toBe(0x0100_00ed);
    qtest.writel(EDU_BAR + EDU.LIVENESS, 0x1234_5678);
    expect(reg(qtest, EDU.LIVENESS)).toBe(0xedcb_a987);
  });

  test("the factorial, modulo 2^32, and its interrupt if STATUS asks for it", () => {
    const qtest = ready();
    qtest.writel(EDU_BAR + EDU.FACTORIAL, 5);
    expect([reg(qtest, EDU.FACTORIAL), reg(qtest, EDU.IRQ_STATUS)]).toEqual([120, 0]);
    qtest.writel(EDU_BAR + EDU.STATUS, 0x80);
    qtest.writel(EDU_BAR + EDU.FACTORIAL, 13);
    expect([reg(qtest, EDU.FACTORIAL), reg(qtest, EDU.IRQ_STATUS), reg(qtest, EDU.STATUS)]).toEqual([6_227_020_800 % 2 ** 32, 1, 0x80]);
  });

  test("interrupts: raised bits gather, acknowledged ones go; INTA of slot 1 is output 1 of the host bridge", () => {
    const qtest = ready();
    qtest.reply("irq_intercept_out /machine/gpex sysbus-irq");
    expect(qtest.lines(`writel ${hex(EDU_BAR + EDU.IRQ_RAISE)} 6`)).toEqual(["IRQ raise 1", "OK"]);
    expect(qtest.lines(`writel ${hex(EDU_BAR + EDU.IRQ_RAISE)} 1`)).toEqual(["OK"]);
    expect(reg(qtest, EDU.IRQ_STATUS)).toBe(7);
    expect(qtest.lines(`writel ${hex(EDU_BAR + EDU.IRQ_ACK)} 7`)).toEqual(["IRQ lower 1", "OK"]);
  });

  test("registers below 0x80 take 32 bits only", () => {
    const qtest = ready();
    expect(qtest.readq(EDU_BAR + EDU.ID)).toBe(0xffff_ffff_ffff_ffffn);
  });

  test("a transfer ends 100 ms of virtual time after its start, and its registers are closed until then", () => {
    const qtest = ready();
    qtest.write("l", 0x4000_0000, 0xcafen);
    start(qtest, 0x4000_0000n, BUFFER, 4n, 1n);
    qtest.write("q", EDU_BAR + EDU.DMA_COUNT, 8n);
    expect(qtest.readq(EDU_BAR + EDU.DMA_COUNT)).toBe(4n);
    expect(qtest.reply("clock_step 99999999")).toBe("OK 99999999");
    expect(qtest.readq(EDU_BAR + EDU.DMA_COMMAND)).toBe(1n);
    expect(qtest.reply("clock_step")).toBe("OK 100000000");
    expect(qtest.readq(EDU_BAR + EDU.DMA_COMMAND)).toBe(0n);
  });

  test("memory to buffer to memory, with the interrupt of its end", () => {
    const qtest = ready(DMA_MASK);
    qtest.reply("write 0x40000000 8 0x0102030405060708");
    start(qtest, 0x4000_0000n, BUFFER + 0xff0n, 8n, 1n);
    qtest.reply("clock_step");
    start(qtest, BUFFER + 0xff0n, 0x4000_1ffcn, 8n, 7n);
    qtest.reply("clock_step");
    expect(qtest.reply("read 0x40001ffc 8")).toBe("OK 0x0102030405060708");
    expect(reg(qtest, EDU.IRQ_STATUS)).toBe(0x100);
  });

  test("addresses of memory are cut to 28 bits unless dma_mask says otherwise", () => {
    const qtest = ready();
    start(qtest, BUFFER, 0x5000_0000n, 8n, 3n);
    qtest.reply("memset 0x50000000 8 0x55");
    qtest.reply("clock_step");
    expect(qtest.reply("read 0x50000000 8")).toBe(`OK 0x${"55".repeat(8)}`);
  });

  test("without COMMAND.BME nothing moves", () => {
    const qtest = ready(DMA_MASK, 2);
    qtest.reply("memset 0x40000000 8 0x55");
    start(qtest, BUFFER, 0x4000_0000n, 8n, 3n);
    qtest.reply("clock_step");
    expect(qtest.reply("read 0x40000000 8")).toBe(`OK 0x${"55".repeat(8)}`);
  });

  test("a transfer outside the buffer moves nothing", () => {
    const qtest = ready(DMA_MASK);
    qtest.reply("memset 0x40000000 8 0x55");
    start(qtest, BUFFER + 0xffcn, 0x4000_0000n, 8n, 3n);
    qtest.reply("clock_step");
    expect(qtest.reply("read 0x40000000 8")).toBe(`OK 0x${"55".repeat(8)}`);
    expect(qtest.machine.notModelled.counts.size).toBe(1);
  });

  describe("MSI: one vector, 64-bit address, at 0x40, as QEMU 7.2 answers the same accesses", () => {
    const CONFIG = ECAM + 8 * 4096;
    const bytes = (qtest: QtestClient): string => qtest.reply(`read ${hex(CONFIG + 0x40)} 0x20`);
    /** A machine without an SMMU in the way, MSI enabled. */
    function armed(address: bigint, data: number, command: number = 6): QtestClient {
      const qtest = new QtestClient("-machine", "virt", "-device", "edu");
      place(qtest, 8, EDU_BAR, command);
      program(qtest, address, data);
      return qtest;
    }
    function program(qtest: QtestClient, address: bigint, data: number): void {
      qtest.writel(CONFIG + 0x44, Number(address & 0xffff_ffffn));
      qtest.writel(CONFIG + 0x48, Number(address >> 32n));
      qtest.writel(CONFIG + 0x4c, data);
      qtest.writel(CONFIG + 0x40, 0x0001_0000);
    }

    test("the capability is the only one; its writable bits are enable, vectors, address and 16 bits of data", () => {
      const qtest = ready();
      expect(qtest.readl(CONFIG + 0x34)).toBe(0x40);
      expect(qtest.readl(CONFIG + 0x04) >>> 16).toBe(0x10);
      expect(bytes(qtest)).toBe(`OK 0x05008000${"00".repeat(28)}`);
      for (const offset of [0x40, 0x44, 0x48, 0x4c, 0x50]) qtest.writel(CONFIG + offset, 0xffff_ffff);
      expect(bytes(qtest)).toBe(`OK 0x05008100fcffffffffffffffffff${"00".repeat(18)}`);
      qtest.writel(CONFIG + 0x40, 0x0070_0000);
      expect(qtest.readl(CONFIG + 0x40)).toBe(0x00f0_0005);
    });

    test("an interrupt is a write of the data, upper half 0; the line stays low", () => {
      const qtest = armed(0x4000_1000n, 0x1234_abcd);
      qtest.reply("memset 0x40001000 8 0x55");
      qtest.reply("irq_intercept_out /machine/gpex sysbus-irq");
      expect(qtest.lines(`writel ${hex(EDU_BAR + EDU.IRQ_RAISE)} 1`)).toEqual(["OK"]);
      expect(qtest.reply("read 0x40001000 8")).toBe("OK 0xcdab000055555555");
      expect(reg(qtest, EDU.IRQ_STATUS)).toBe(1);
    });

    test("each raise is a message of its own, also of a bit that is set already", () => {
      const qtest = armed(0x4000_1000n, 7);
      qtest.writel(EDU_BAR + EDU.IRQ_RAISE, 1);
      qtest.writel(0x4000_1000, 0);
      qtest.writel(EDU_BAR + EDU.IRQ_RAISE, 1);
      expect(qtest.readl(0x4000_1000)).toBe(7);
    });

    test("the end of a DMA is a message too", () => {
      const qtest = armed(0x4000_1000n, 7);
      start(qtest, 0x4000_0000n, BUFFER, 4n, 5n);
      qtest.reply("clock_step");
      expect(qtest.readl(0x4000_1000)).toBe(7);
    });

    test("without COMMAND.BME there is no message", () => {
      const qtest = armed(0x4000_1000n, 7, 2);
      qtest.writel(EDU_BAR + EDU.IRQ_RAISE, 1);
      expect(qtest.readl(0x4000_1000)).toBe(0);
    });

    test("enabling MSI lets go of the line; a reset disables it", () => {
      const qtest = ready();
      qtest.reply("irq_intercept_out /machine/gpex sysbus-irq");
      qtest.lines(`writel ${hex(EDU_BAR + EDU.IRQ_RAISE)} 1`);
      expect(qtest.lines(`writel ${hex(CONFIG + 0x40)} 0x10000`)).toEqual(["IRQ lower 1", "OK"]);
      qtest.machine.reset();
      expect(bytes(qtest)).toBe(`OK 0x05008000${"00".repeat(28)}`);
    });

    test("behind the SMMU the message is a write of the device's stream: mapped it arrives, unmapped it leaves a record", () => {
      const qtest = ready(DMA_MASK);
      for (const { command, reply } of translation("s1-only", 8)) expect(qtest.reply(command)).toBe(reply);
      program(qtest, BigInt(IOVA - (IOVA % 4096)), 0x22);
      qtest.writel(EDU_BAR + EDU.IRQ_RAISE, 1);
      expect(qtest.readl(TARGET - (TARGET % 4096))).toBe(0x22);
      expect(qtest.readl(SMMU + 0x100a8)).toBe(0);
      program(qtest, 0x0800_0040n, 0x22);
      qtest.writel(EDU_BAR + EDU.IRQ_RAISE, 1);
      expect(qtest.readl(SMMU + 0x100a8)).toBe(1);
      expect([0, 8, 16].map((offset) => qtest.readq(EVENT_QUEUE + offset))).toEqual([0x8_0000_0010n, 0x200_0000_0000n, 0x0800_0040n]);
    });
  });

  test("behind the SMMU: what is mapped arrives, what is not leaves a record", () => {
    const qtest = ready(DMA_MASK);
    for (const { command, reply } of translation("s1-only", 8)) expect(qtest.reply(command)).toBe(reply);
    qtest.reply(`writel ${hex(TARGET - (TARGET % 4096))} 0x600df00d`);
    start(qtest, BigInt(IOVA - (IOVA % 4096)), BUFFER, 4n, 1n);
    qtest.reply("clock_step");
    start(qtest, BUFFER, BigInt(IOVA), 4n, 3n);
    qtest.reply("clock_step");
    expect(qtest.readl(TARGET)).toBe(0x600d_f00d);
    expect(qtest.readl(SMMU + 0x100a8)).toBe(0);
    start(qtest, 0x1000n, BUFFER, 4n, 1n);
    expect(qtest.readl(SMMU + 0x100a8)).toBe(0);
    qtest.reply("clock_step");
    expect(qtest.readl(SMMU + 0x100a8)).toBe(1);
    expect([0, 8, 16].map((offset) => qtest.readq(EVENT_QUEUE + offset))).toEqual([0x8_0000_0010n, 0x208_0000_0000n, 0x1000n]);
  });
});
