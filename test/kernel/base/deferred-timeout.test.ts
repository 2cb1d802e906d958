// SPDX-License-Identifier: GPL-2.0-only
/** deferred_probe_timeout: how long probes wait for drivers that do not come. */
import { describe, expect, test } from "vitest";
import { driver_deferred_probe_check_state, driver_register, type KernelParameters } from "../../../src/kernel/index.ts";
import { loggingDriver, node, platformModule, testBus } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

/** A display whose clock has no driver; its probe asks whether it may still wait for something else. */
function booted(cmdline: Partial<KernelParameters>): TestKernel {
  const m = makeTestKernel({
    cmdline,
    nodes: [node("clk", 0x1000), node("display", 0x2000, { clocks: [{ label: "clk", args: [] }] }), node("panel", 0x3000)],
    drivers: [
      platformModule("display"),
      platformModule("panel", {
        *probe(pdev) {
          return driver_deferred_probe_check_state(pdev);
        },
      }),
    ],
  });
  m.run(m.kernel.boot());
  return m;
}

const isBound = ({ kernel }: TestKernel): boolean => kernel.base.findDevice("2000.display")?.driver !== null;
const lastPanel = (m: TestKernel): string | undefined => m.of("kernel.probe").findLast(({ device }) => device === "3000.panel")?.result;

describe("deferred_probe_timeout", () => {
  test("without a number the wait is over when the last module was loaded", () => {
    const m = booted({});
    expect([isBound(m), lastPanel(m)]).toEqual([true, "failed"]);
  });

  test("a number of seconds from the late initcalls: then suppliers without driver block nobody", () => {
    const m = booted({ deferredProbeTimeoutSec: 10 });
    m.idle(9.9e9);
    expect([isBound(m), lastPanel(m)]).toEqual([false, "deferred"]);
    m.idle(0.2e9);
    expect([isBound(m), lastPanel(m)]).toEqual([true, "failed"]);
  });

  test("each driver that comes starts it anew", () => {
    const m = booted({ deferredProbeTimeoutSec: 10 });
    m.idle(9e9);
    m.run(driver_register(m.kernel, loggingDriver("late", testBus(), [])));
    m.idle(9e9);
    expect(isBound(m)).toBe(false);
    m.idle(2e9);
    expect(isBound(m)).toBe(true);
  });

  test("0 ends driver_deferred_probe_check_state's patience at the late initcalls, and relaxes no link", () => {
    const m = booted({ deferredProbeTimeoutSec: 0 });
    m.idle(100e9);
    expect([isBound(m), lastPanel(m)]).toEqual([false, "failed"]);
  });

  test("a negative one waits for ever", () => {
    const m = booted({ deferredProbeTimeoutSec: -1 });
    m.idle(1000e9);
    expect([isBound(m), lastPanel(m)]).toEqual([false, "deferred"]);
  });

  test("what is still deferred afterwards is named, with its reason", () => {
    const m = makeTestKernel({
      nodes: [node("bus", 0x1000, { children: [node("clk", 0)] }), node("display", 0x2000, { clocks: [{ label: "clk", args: [] }] })],
      drivers: [platformModule("display")],
    });
    m.run(m.kernel.boot());
    expect(m.kernel.printk.lines.map(({ text }) => text)).toContain(
      "platform 2000.display: deferred probe pending: wait for supplier clk@0",
    );
  });
});
