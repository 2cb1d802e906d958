// SPDX-License-Identifier: MIT
/** SMMUv3TestEngine by its public programming interface, behind the SMMU. */
import { describe, expect, test } from "vitest";
import { ENGINE, PRIVILEGED_FRAME, USER_FRAME, VIRT } from "../../../src/interop/index.ts";
import { QtestClient, hex } from "./client.ts";
import { EVENT_QUEUE, IOVA, SMMU, TARGET, translation } from "./smmuv3-sequence.ts";

const RAM = 0x4000_0000;

interface Job {
  readonly command: number;
  readonly begin: bigint;
  readonly end: bigint;
  readonly stride?: bigint;
  readonly seed?: number;
  readonly attributes?: number;
  readonly target?: bigint;
  readonly streamId?: number;
  readonly substreamId?: number;
  readonly msi?: bigint;
}

class Frame {
  readonly qtest: QtestClient;
  readonly user: number;
  readonly privileged: number;

  constructor(qtest: QtestClient, index: number) {
    this.qtest = qtest;
    this.user = VIRT.TEST_ENGINE + 128 * index;
    this.privileged = this.user + 0x1_0000;
  }

  get cmd(): number {
    return this.qtest.readl(this.user + USER_FRAME.CMD);
  }

  udata(index: number): bigint {
    return this.qtest.readq(this.user + USER_FRAME.UDATA + 8 * index);
  }

  /** Sets the frame up and starts it. @returns what cmd reads afterwards */
  run(job: Job): number {
    const { qtest, user, privileged } = this;
    qtest.writel(privileged + PRIVILEGED_FRAME.STREAM_ID, job.streamId ?? 0);
    qtest.writel(privileged + PRIVILEGED_FRAME.SUBSTREAM_ID, job.substreamId ?? 0xffff_ffff);
    qtest.writel(user + USER_FRAME.UCTRL, 0);
    qtest.writel(user + USER_FRAME.SEED, job.seed ?? 0);
    qtest.writel(user + USER_FRAME.ATTRIBUTES, job.attributes ?? 0x42ff_42ff);
    qtest.write("q", user + USER_FRAME.BEGIN, job.begin);
    qtest.write("q", user + USER_FRAME.END_INCL, job.end);
    qtest.write("q", user + USER_FRAME.STRIDE, job.stride ?? 1n);
    qtest.write("q", user + USER_FRAME.MSI_ADDRESS, job.msi ?? 0n);
    qtest.writel(user + USER_FRAME.MSI_DATA, 0x5a5a_1234);
    qtest.write("q", user + USER_FRAME.UDATA, job.target ?? 0n);
    qtest.writel(user + USER_FRAME.CMD, job.command);
    return this.cmd;
  }
}

const bytesAt = (qtest: QtestClient, address: number, length: number): string => qtest.reply(`read ${hex(address)} ${length}`).slice(5);
const address = (value: number): bigint => BigInt(value);

describe("frames", () => {
  test("512 frames stand halted, Non-secure, each independent of the others", () => {
    const qtest = new QtestClient("-machine", "virt");
    for (const index of [0, 1, 511]) {
      const frame = new Frame(qtest, index);
      expect(frame.cmd).toBe(ENGINE.HALTED);
      expect(qtest.readl(frame.privileged + PRIVILEGED_FRAME.PCTRL) & 1).toBe(1);
      qtest.writel(frame.user + USER_FRAME.SEED, index + 7);
    }
    expect(qtest.readl(new Frame(qtest, 1).user + USER_FRAME.SEED)).toBe(8);
  });

  test.each([
    ["stride 0", { stride: 0n }],
    ["a stride that is neither 1 nor a multiple of 8", { stride: 12n }],
    ["an end before the begin", { end: address(RAM - 1) }],
    ["the whole address space", { begin: 7n, end: 0xffff_ffff_ffff_fff8n }],
    ["a SubstreamID of more than 20 bits", { substreamId: 0x10_0000 }],
    ["an unknown command", { command: 5 }],
    ["sums of unaligned words", { command: ENGINE.SUM64, begin: address(RAM + 4) }],
  ])("%s is misconfigured, which the next read of cmd shows", (_name, change) => {
    const qtest = new QtestClient("-machine", "virt");
    const job = { command: ENGINE.RAND48, begin: address(RAM), end: address(RAM + 63), ...change };
    expect(new Frame(qtest, 0).run(job)).toBe(ENGINE.MISCONFIGURED);
    expect(bytesAt(qtest, RAM, 64)).toBe("00".repeat(64));
  });

  test("ENGINE_NO_FRAME may be written and counts as halted", () => {
    const frame = new Frame(new QtestClient("-machine", "virt"), 3);
    frame.qtest.writel(frame.user, ENGINE.NO_FRAME);
    expect(frame.cmd).toBe(ENGINE.HALTED);
  });
});

describe("commands, without an SMMU", () => {
  const client = (): QtestClient => new QtestClient("-machine", "virt");

  test("MEMCPY copies the range to udata[0], at any alignment", () => {
    const qtest = client();
    qtest.reply(`memset ${hex(RAM + 5)} 0x2000 0xa1`);
    const frame = new Frame(qtest, 0);
    const end = address(RAM + 5 + 0x1fff);
    expect(frame.run({ command: ENGINE.MEMCPY, begin: address(RAM + 5), end, target: address(RAM + 0x1_0003) })).toBe(ENGINE.HALTED);
    expect(bytesAt(qtest, RAM + 0x1_0002, 0x2002)).toBe(`00${"a1".repeat(0x2000)}00`);
    const launched = qtest.readl(frame.user + USER_FRAME.LAUNCHED);
    expect(launched).toBeGreaterThan(0);
    expect(qtest.readl(frame.user + USER_FRAME.RETURNED)).toBe(launched);
  });

  test.each([0, 0xffff_ffff, 0x1234])("MEMCPY copies everything in whatever order the seed asks for (%i)", (seed) => {
    const qtest = client();
    const frame = new Frame(qtest, 0);
    frame.run({ command: ENGINE.RAND48, begin: address(RAM), end: address(RAM + 0x4fff), seed: 1 });
    frame.run({ command: ENGINE.MEMCPY, begin: address(RAM), end: address(RAM + 0x4fff), target: address(RAM + 0x8000), seed });
    expect(bytesAt(qtest, RAM + 0x8000, 0x5000)).toBe(bytesAt(qtest, RAM, 0x5000));
  });

  test("RAND48 with seed 0 at address 0x40000000 writes drand48's bits 24 … 17 of every other step", () => {
    const qtest = client();
    expect(new Frame(qtest, 0).run({ command: ENGINE.RAND48, begin: address(RAM), end: address(RAM + 7) })).toBe(ENGINE.HALTED);
    let state = (0x4000_0000n << 16n) | 0x330en;
    const step = (): bigint => (state = (state * 0x5_deec_e66dn + 0xbn) % 2n ** 48n);
    const expected = Array.from({ length: 8 }, () => {
      const byte = (step() >> 17n) & 0xffn;
      step();
      return byte.toString(16).padStart(2, "0");
    });
    expect(bytesAt(qtest, RAM, 9)).toBe(`${expected.join("")}00`);
  });

  test("RAND48 is seeded anew at each 4 KiB border, so a page's contents do not depend on where the range began", () => {
    const qtest = client();
    const frame = new Frame(qtest, 0);
    frame.run({ command: ENGINE.RAND48, begin: address(RAM), end: address(RAM + 0x1fff), seed: 9 });
    const page = bytesAt(qtest, RAM + 0x1000, 0x1000);
    frame.run({ command: ENGINE.RAND48, begin: address(RAM + 0x1000), end: address(RAM + 0x1fff), seed: 9 });
    expect(bytesAt(qtest, RAM + 0x1000, 0x1000)).toBe(page);
    expect(page).not.toBe("00".repeat(0x1000));
  });

  test("a stride of 16 touches every other 64-bit word, up to the last that fits end_incl | 7", () => {
    const qtest = client();
    new Frame(qtest, 0).run({ command: ENGINE.RAND48, begin: address(RAM + 3), end: address(RAM + 0x20), stride: 16n, seed: 5 });
    const touched = [0, 8, 16, 24, 32, 40].map((offset) => bytesAt(qtest, RAM + offset, 8) !== "00".repeat(8));
    expect(touched).toEqual([true, false, true, false, true, false]);
  });

  test("SUM64 delivers the sum of the words, modulo 2^64, in udata[1]", () => {
    const qtest = client();
    qtest.write("q", RAM, 0xffff_ffff_ffff_ffffn);
    qtest.write("q", RAM + 8, 3n);
    qtest.write("q", RAM + 0x1000, 40n);
    const frame = new Frame(qtest, 0);
    expect(frame.run({ command: ENGINE.SUM64, begin: address(RAM), end: address(RAM + 0x1007) })).toBe(ENGINE.HALTED);
    expect(frame.udata(1)).toBe(42n);
  });

  test("an aborted transaction ends in ERROR with its address in udata[2], and the end is still announced", () => {
    const qtest = client();
    const frame = new Frame(qtest, 0);
    const msi = address(RAM + 0x100);
    expect(frame.run({ command: ENGINE.RAND48, begin: address(RAM - 8), end: address(RAM - 1), msi })).toBe(ENGINE.ERROR);
    expect(frame.udata(2)).toBe(address(RAM - 8));
    expect(qtest.readl(RAM + 0x100)).toBe(0x5a5a_1234);
    expect(qtest.readl(frame.user + USER_FRAME.UCTRL)).toBe(0);
  });

  test("an aborted MSI sets uctrl.MSI_ABORTED", () => {
    const qtest = client();
    const frame = new Frame(qtest, 0);
    expect(frame.run({ command: ENGINE.RAND48, begin: address(RAM), end: address(RAM + 7), msi: 0x2000_0000_0000n })).toBe(ENGINE.HALTED);
    expect(qtest.readl(frame.user + USER_FRAME.UCTRL)).toBe(1);
  });

  test("an engine cannot command itself: its registers are closed until its last transaction, the MSI, is over", () => {
    const frame = new Frame(client(), 0);
    const msi = address(frame.user + USER_FRAME.CMD);
    expect(frame.run({ command: ENGINE.RAND48, begin: address(RAM), end: address(RAM + 7), msi })).toBe(ENGINE.HALTED);
  });
});

describe("behind the SMMU", () => {
  function translated(streamId: number): QtestClient {
    const qtest = new QtestClient("-machine", "virt,iommu=smmuv3");
    for (const { command, reply } of translation("s1-only", streamId)) expect(qtest.reply(command)).toBe(reply);
    return qtest;
  }
  const event = (qtest: QtestClient): bigint[] => [0, 8, 16].map((offset) => qtest.readq(EVENT_QUEUE + offset));
  const start = address(IOVA - (IOVA % 4096));

  test("the frame's StreamID chooses the translation", () => {
    const qtest = translated(5);
    const page = TARGET - (TARGET % 4096);
    expect(new Frame(qtest, 7).run({ command: ENGINE.RAND48, begin: start, end: start + 63n, streamId: 5 })).toBe(ENGINE.HALTED);
    expect(bytesAt(qtest, page, 64)).not.toBe("00".repeat(64));
  });

  test("a StreamID without a valid entry: C_BAD_STE with that StreamID (IHI 0070 §7.3.5)", () => {
    const qtest = translated(5);
    expect(new Frame(qtest, 0).run({ command: ENGINE.RAND48, begin: start, end: start + 7n, streamId: 6 })).toBe(ENGINE.ERROR);
    expect(event(qtest)[0]).toBe(0x6_0000_0004n);
  });

  test("a SubstreamID where STE.S1CDMax is 0: C_BAD_SUBSTREAMID, whose record has no SSV (IHI 0070 §7.3.9)", () => {
    const qtest = translated(5);
    expect(new Frame(qtest, 0).run({ command: ENGINE.SUM64, begin: start, end: start + 7n, streamId: 5, substreamId: 0x54321 })).toBe(
      ENGINE.ERROR,
    );
    expect(event(qtest)[0]).toBe(0x5_5432_1008n);
  });

  test("privileged and instruction attributes reach the event record as PnU and InD (IHI 0070 §7.3)", () => {
    const qtest = translated(5);
    const unmapped = start + 4096n;
    const frame = new Frame(qtest, 0);
    const job = { begin: unmapped, end: unmapped + 7n, streamId: 5 };
    frame.run({ ...job, command: ENGINE.SUM64, attributes: 0x42ff_47ff });
    expect(event(qtest)).toEqual([0x5_0000_0010n, 0x20e_0000_0000n, unmapped]);
    expect(qtest.readl(SMMU + 0x100a8)).toBe(1);
  });

  test("source attributes are the lower half, destination attributes the upper one", () => {
    const qtest = translated(5);
    const unmapped = start + 4096n;
    new Frame(qtest, 0).run({ command: ENGINE.RAND48, begin: unmapped, end: unmapped + 7n, streamId: 5, attributes: 0x43ff_42ff });
    expect(event(qtest)[1]).toBe(0x202_0000_0000n);
  });
});
