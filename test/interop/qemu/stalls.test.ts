// SPDX-License-Identifier: MIT
/** The machine's devices behind a stream that stalls (IHI 0070 §3.12.2): they wait until the client answers the stall. */
import { describe, expect, test } from "vitest";
import { EDU, ENGINE, PRIVILEGED_FRAME, TESTDEV, USER_FRAME, VIRT } from "../../../src/interop/index.ts";
import { QtestClient, hex } from "./client.ts";
import { BAR0, ECAM, EVENT_QUEUE, IOVA, SMMU, TARGET, caseArguments, placeTestdev, testdevDma, translation } from "./smmuv3-sequence.ts";

/** CMDQ_BASE 0x4e16b00a, aligned down to its 16 KiB. */
const COMMANDS = 0x4e16_8000;
const CD = 0x4e17_8fc0;
/** CD.S beside what the sequence puts into the word: A and R. */
const CD_WORD_1_STALLS = 0x1e20_7204;
const BUSY = 0xffff_fffe;
const RETRY = 1 << 12;
const ABORT = 1 << 13;
const PAGE = IOVA - (IOVA % 4096);

class Stalling extends QtestClient {
  #commands = 0;

  /** Stream `streamId` maps IOVA's page and stalls elsewhere. */
  constructor(streamId: number, ...args: string[]) {
    super(...args);
    for (const { command } of translation("s1-only", streamId)) this.reply(command);
    this.writel(CD + 4, CD_WORD_1_STALLS);
  }

  /** Maps the page after IOVA's to the page after TARGET's. */
  map(): void {
    const leaf = this.readq(0x4e4d_3000 + 8 * (Math.floor(IOVA / 4096) % 512));
    this.write("q", 0x4e4d_3000 + 8 * ((Math.floor(IOVA / 4096) + 1) % 512), leaf + 4096n);
  }

  get records(): number {
    return this.readl(SMMU + 0x1_00a8);
  }

  /** Answers the stall of the last record. */
  answer(how: number): void {
    const at = EVENT_QUEUE + 32 * (this.records - 1);
    if (this.readl(at + 8) >>> 31 === 0) throw new Error("Stall is 0");
    const place = COMMANDS + 16 * this.#commands++;
    this.writel(place, 0x44 | how);
    this.writel(place + 4, this.readl(at + 4));
    this.writel(place + 8, this.readl(at + 8) & 0xffff);
    this.writel(place + 12, 0);
    this.writel(SMMU + 0x98, this.#commands);
  }
}

describe("iommu-testdev", () => {
  function started(): Stalling {
    const qtest = new Stalling(8, ...caseArguments);
    for (const { command } of [...placeTestdev(), ...testdevDma(PAGE + 4096, BUSY)]) qtest.reply(command);
    return qtest;
  }
  const result = (qtest: QtestClient): number => qtest.readl(BAR0 + TESTDEV.RESULT);

  test("RESULT stays BUSY until the stall is answered; then the DMA goes on", () => {
    const qtest = started();
    expect([result(qtest), qtest.records]).toEqual([BUSY, 1]);
    qtest.map();
    qtest.writel(BAR0 + TESTDEV.GPA_LO, TARGET - (TARGET % 4096) + 4096);
    qtest.answer(RETRY);
    expect(result(qtest)).toBe(0);
  });

  test("terminated with an abort the write has failed", () => {
    const qtest = started();
    qtest.answer(ABORT);
    expect(result(qtest)).toBe(0xdead_0002);
  });

  test("a reset forgets it", () => {
    const qtest = started();
    qtest.machine.reset();
    for (const { command } of placeTestdev()) qtest.reply(command);
    expect(result(qtest)).toBe(0xffff_ffff);
  });

  test("another start takes the place of the one that waits", () => {
    const qtest = started();
    qtest.writel(BAR0 + TESTDEV.LEN, 0);
    qtest.writel(BAR0 + TESTDEV.DOORBELL, 1);
    qtest.readl(BAR0 + TESTDEV.TRIGGER);
    expect(result(qtest)).toBe(0xdead_0001);
  });
});

describe("edu", () => {
  const EDU_BAR = 0x1010_0000;
  function started(source: number, destination: number, command: bigint): Stalling {
    const qtest = new Stalling(8, "-machine", "virt,iommu=smmuv3", "-device", "edu,dma_mask=0xffffffffffff");
    qtest.writel(ECAM + 8 * 4096 + 0x10, EDU_BAR);
    qtest.writel(ECAM + 8 * 4096 + 4, 7);
    qtest.write("q", EDU_BAR + EDU.DMA_SOURCE, BigInt(source));
    qtest.write("q", EDU_BAR + EDU.DMA_DESTINATION, BigInt(destination));
    qtest.write("q", EDU_BAR + EDU.DMA_COUNT, 8n);
    qtest.write("q", EDU_BAR + EDU.DMA_COMMAND, command);
    qtest.reply("clock_step 100000000");
    return qtest;
  }
  const running = (qtest: QtestClient): boolean => (qtest.readq(EDU_BAR + EDU.DMA_COMMAND) & 1n) !== 0n;
  const irq = (qtest: QtestClient): number => qtest.readl(EDU_BAR + EDU.IRQ_STATUS);

  test("the transfer runs on until the stall is answered, and interrupts then", () => {
    const qtest = started(0x4_0000, PAGE + 4096, 7n);
    expect([running(qtest), irq(qtest)]).toEqual([true, 0]);
    qtest.reply(`memset ${hex(TARGET - (TARGET % 4096) + 4096)} 8 0xff`);
    qtest.map();
    qtest.answer(RETRY);
    expect([running(qtest), irq(qtest)]).toEqual([false, 0x100]);
    expect(qtest.reply(`read ${hex(TARGET - (TARGET % 4096) + 4096)} 8`)).toBe(`OK 0x${"00".repeat(8)}`);
  });

  test("a read fills the buffer then", () => {
    const qtest = started(PAGE + 4096, 0x4_0000, 5n);
    qtest.reply(`memset ${hex(TARGET - (TARGET % 4096) + 4096)} 8 0x5a`);
    qtest.map();
    qtest.answer(RETRY);
    expect([running(qtest), irq(qtest)]).toEqual([false, 0x100]);
    qtest.write("q", EDU_BAR + EDU.DMA_SOURCE, 0x4_0000n);
    qtest.write("q", EDU_BAR + EDU.DMA_DESTINATION, BigInt(PAGE));
    qtest.write("q", EDU_BAR + EDU.DMA_COMMAND, 3n);
    qtest.reply("clock_step 100000000");
    expect(qtest.reply(`read ${hex(TARGET - (TARGET % 4096))} 8`)).toBe(`OK 0x${"5a".repeat(8)}`);
  });

  test("terminated it ends like any transfer", () => {
    const qtest = started(0x4_0000, PAGE + 4096, 7n);
    qtest.answer(ABORT);
    expect([running(qtest), irq(qtest)]).toEqual([false, 0x100]);
  });
});

describe("SMMUv3TestEngine", () => {
  const frameAt = (index: number): number => VIRT.TEST_ENGINE + 128 * index;
  function start(qtest: QtestClient, frame: number, begin: number, end: number, streamId: number, msi: number = 0): number {
    qtest.writel(frame + 0x1_0000 + PRIVILEGED_FRAME.STREAM_ID, streamId);
    qtest.writel(frame + USER_FRAME.SEED, 0);
    qtest.write("q", frame + USER_FRAME.BEGIN, BigInt(begin));
    qtest.write("q", frame + USER_FRAME.END_INCL, BigInt(end));
    qtest.write("q", frame + USER_FRAME.STRIDE, 1n);
    qtest.write("q", frame + USER_FRAME.MSI_ADDRESS, BigInt(msi));
    qtest.writel(frame + USER_FRAME.MSI_DATA, 0x77);
    qtest.writel(frame + USER_FRAME.CMD, ENGINE.RAND48);
    return cmd(qtest, frame);
  }
  const cmd = (qtest: QtestClient, frame: number): number => qtest.readl(frame + USER_FRAME.CMD);
  const filled = (qtest: QtestClient, at: number): boolean => qtest.readq(at) !== 0n;
  const target = TARGET - (TARGET % 4096);

  test("a frame holds at the transaction that stalls: cmd reads as written, other writes are ignored, and it goes on afterwards", () => {
    const qtest = new Stalling(5, "-machine", "virt,iommu=smmuv3");
    const frame = frameAt(3);
    expect(start(qtest, frame, PAGE, PAGE + 0x1fff, 5)).toBe(ENGINE.RAND48);
    expect([filled(qtest, target), filled(qtest, target + 4096)]).toEqual([true, false]);
    expect(qtest.readl(frame + USER_FRAME.LAUNCHED) - qtest.readl(frame + USER_FRAME.RETURNED)).toBe(1);
    qtest.writel(frame + USER_FRAME.CMD, ENGINE.HALTED);
    qtest.writel(frame + 0x1_0000 + PRIVILEGED_FRAME.STREAM_ID, 9);
    expect([cmd(qtest, frame), qtest.readl(frame + 0x1_0000 + PRIVILEGED_FRAME.STREAM_ID)]).toEqual([ENGINE.RAND48, 5]);
    qtest.map();
    qtest.answer(RETRY);
    expect(cmd(qtest, frame)).toBe(ENGINE.HALTED);
    expect(filled(qtest, target + 4096)).toBe(true);
    expect(qtest.readl(frame + USER_FRAME.LAUNCHED)).toBe(qtest.readl(frame + USER_FRAME.RETURNED));
  });

  test("other frames work meanwhile", () => {
    const qtest = new Stalling(5, "-machine", "virt,iommu=smmuv3");
    expect(start(qtest, frameAt(0), PAGE + 0x1000, PAGE + 0x1fff, 5)).toBe(ENGINE.RAND48);
    expect(start(qtest, frameAt(1), PAGE, PAGE + 63, 5)).toBe(ENGINE.HALTED);
    expect(filled(qtest, target)).toBe(true);
  });

  test("terminated with an abort it ends in ERROR with its address", () => {
    const qtest = new Stalling(5, "-machine", "virt,iommu=smmuv3");
    const frame = frameAt(0);
    start(qtest, frame, PAGE + 0x1000, PAGE + 0x1fff, 5);
    qtest.answer(ABORT);
    expect(cmd(qtest, frame)).toBe(ENGINE.ERROR);
    expect(qtest.readq(frame + USER_FRAME.UDATA + 16)).toBe(BigInt(PAGE + 0x1000));
  });

  test("its MSI may stall too: the command ends when that is over", () => {
    const qtest = new Stalling(5, "-machine", "virt,iommu=smmuv3");
    const frame = frameAt(0);
    expect(start(qtest, frame, PAGE, PAGE + 63, 5, PAGE + 0x1000)).toBe(ENGINE.RAND48);
    qtest.map();
    qtest.answer(RETRY);
    expect(cmd(qtest, frame)).toBe(ENGINE.HALTED);
    expect(qtest.readl(target + 0x1000)).toBe(0x77);
  });

  test("a reset forgets it", () => {
    const qtest = new Stalling(5, "-machine", "virt,iommu=smmuv3");
    start(qtest, frameAt(0), PAGE + 0x1000, PAGE + 0x1fff, 5);
    qtest.machine.reset();
    expect(cmd(qtest, frameAt(0))).toBe(ENGINE.HALTED);
  });
});
