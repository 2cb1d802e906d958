// SPDX-License-Identifier: MIT
/** The virtual clock and the interrupt lines of the protocol. */
import { describe, expect, test } from "vitest";
import { QtestClient } from "./client.ts";
import { EVENT_QUEUE, IOVA, SMMU, caseArguments, placeTestdev, testdevDma, translation } from "./smmuv3-sequence.ts";

const PATH = "/machine/unattached/smmuv3";
const SETUP = [...placeTestdev(), ...translation("s1-only", 8)];
/** A page that has no translation. */
const UNMAPPED = IOVA + 4096;

function enabled(irqControl: number): QtestClient {
  const qtest = new QtestClient(...caseArguments);
  for (const { command } of SETUP) qtest.reply(command);
  qtest.writel(SMMU + 0x50, irqControl);
  return qtest;
}

describe("clock", () => {
  const client = (): QtestClient => new QtestClient("-m", "1");

  test("clock_step answers with the new time in nanoseconds", () => {
    const qtest = client();
    expect(qtest.reply("clock_step 1000")).toBe("OK 1000");
    expect(qtest.reply("clock_step 0x10")).toBe("OK 1016");
  });

  test("clock_step without progress fails", () => {
    expect(client().reply("clock_step 0")).toBe("FAIL could not advance time");
    expect(client().reply("clock_step -5")).toBe("FAIL could not advance time");
  });

  test("clock_step without an argument needs a pending timer", () => {
    expect(client().reply("clock_step")).toMatch(/^FAIL cannot advance clock .* no pending deadline$/);
  });

  test("clock_set goes to a time; one that is past fails and tells the time", () => {
    const qtest = client();
    expect(qtest.reply("clock_set 5000")).toBe("OK 5000");
    expect(qtest.reply("clock_set 5000")).toBe("OK 5000");
    expect(qtest.reply("clock_set 4999")).toBe("FAIL 5000");
  });

  test("time stands still between commands", () => {
    const qtest = client();
    for (let i = 0; i < 100; i++) qtest.readl(SMMU);
    expect(qtest.reply("clock_set 0")).toBe("OK 0");
  });
});

describe("interrupt lines", () => {
  test("an event raises and lowers output 0 before the reply of the command that caused it", () => {
    const qtest = enabled(0x4);
    expect(qtest.lines(`irq_intercept_out ${PATH} sysbus-irq`)).toEqual(["OK"]);
    const dma = testdevDma(UNMAPPED, 0xdead_0002);
    const lines = dma.map(({ command }) => qtest.lines(command));
    expect(lines[7]).toEqual(["IRQ raise 0", "IRQ lower 0", "OK 0x00000000"]);
    expect(lines.filter((answer) => answer.length > 1)).toHaveLength(1);
    expect(qtest.readl(EVENT_QUEUE)).toBe(0x10);
  });

  test("with IRQ_CTRL.EVENTQ_IRQEN clear there is no line (IHI 0070 §6.3.16)", () => {
    const qtest = enabled(0);
    qtest.reply(`irq_intercept_out ${PATH} sysbus-irq`);
    for (const { command, reply } of testdevDma(UNMAPPED, 0xdead_0002)) expect(qtest.lines(command)).toEqual([reply]);
  });

  test("without an intercept there is no line", () => {
    const qtest = enabled(0x4);
    for (const { command, reply } of testdevDma(UNMAPPED, 0xdead_0002)) expect(qtest.lines(command)).toEqual([reply]);
  });

  test("CMD_SYNC with CS = SIG_IRQ is output 2, a command error is output 3 (IHI 0070 §4.7, §7.5)", () => {
    const qtest = enabled(0x5);
    qtest.reply(`irq_intercept_out ${PATH} sysbus-irq`);
    const queue = 0x4e16_8000;
    qtest.write("q", SMMU + 0x90, 0n);
    qtest.writel(SMMU + 0x20, 0);
    qtest.write("q", SMMU + 0x90, BigInt(queue) | 4n);
    qtest.writel(SMMU + 0x20, 0xd);
    qtest.write("q", queue, 0x1046n);
    qtest.write("q", queue + 8, 0n);
    qtest.write("q", queue + 16, 0xffn);
    qtest.write("q", queue + 24, 0n);
    expect(qtest.lines("writel 0x9050098 1")).toEqual(["IRQ raise 2", "IRQ lower 2", "OK"]);
    expect(qtest.lines("writel 0x9050098 2")).toEqual(["IRQ raise 3", "IRQ lower 3", "OK"]);
    expect(qtest.readl(SMMU + 0x60)).toBe(1);
  });

  test("a path that names no device is an unknown device", () => {
    const qtest = new QtestClient();
    for (const command of [
      "irq_intercept_out /machine/gic sysbus-irq",
      "irq_intercept_in /machine/gic",
      "set_irq_in /machine/gic unnamed-gpio-in 0 1",
    ]) {
      expect(qtest.reply(command)).toBe("FAIL Unknown device");
    }
  });

  test("outputs under another name, and inputs, cannot be watched", () => {
    const qtest = new QtestClient();
    expect(qtest.reply(`irq_intercept_out ${PATH}`)).toBe("FAIL No intercepts installed");
    expect(qtest.reply(`irq_intercept_in ${PATH}`)).toBe("FAIL No intercepts installed");
    expect(qtest.reply(`irq_intercept_in ${PATH} name`)).toBe("FAIL Interception of named in-GPIOs not yet supported");
  });

  test("one device can be watched: again is fine, another one is refused", () => {
    const qtest = new QtestClient();
    expect(qtest.reply(`irq_intercept_out ${PATH} sysbus-irq`)).toBe("OK");
    expect(qtest.reply(`irq_intercept_out ${PATH} sysbus-irq`)).toBe("OK");
    expect(qtest.reply("irq_intercept_out /machine/gpex sysbus-irq")).toBe("FAIL IRQ intercept already enabled");
  });
});
