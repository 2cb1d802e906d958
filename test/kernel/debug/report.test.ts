// SPDX-License-Identifier: GPL-2.0-only
/** How a check reports: its headline as Linux writes it, and whether panic_on_warn ends the kernel. */
import { describe, expect, test } from "vitest";
import { KERNEL_CHECKS, type KernelCheck, KernelBuffer, PAGE_SIZE } from "../../../src/kernel/index.ts";
import { testDevice } from "../support/devices.ts";
import { makeTestKernel } from "../support/fake-platform.ts";

const HEADLINE: Readonly<Record<KernelCheck, string>> = {
  lockdep: "WARNING: x",
  "atomic-sleep": "BUG: x",
  kasan: "BUG: x",
  "debug-objects": "WARNING: x",
  "dma-api": "WARNING: x",
  leak: "WARNING: x",
  "hung-task": "INFO: x",
  workqueue: "BUG: x",
};

/** check_panic_on_warn is called by WARN and by KASAN. */
const PANICS: readonly KernelCheck[] = ["kasan", "debug-objects", "dma-api", "leak"];

describe.each(KERNEL_CHECKS)("%s", (check) => {
  test("has Linux's headline, then details, task, kernel, time and device", () => {
    const { kernel } = makeTestKernel();
    kernel.debug.report(check, "x", { device: testDevice(kernel, "eth0"), task: "ifup", details: ["more"] });
    const text = kernel.printk.lines.map((line) => line.text).join("\n");
    expect(text).toContain(`${HEADLINE[check]}\n  more\nCPU: 0 Comm: ifup Kernel: linux Time: 0 ns\nDevice:  eth0`);
  });

  test(`${PANICS.includes(check) ? "panics" : "does not panic"} under panic_on_warn`, () => {
    const { kernel, of } = makeTestKernel({ cmdline: { panicOnWarn: true } });
    kernel.debug.report(check, "x");
    expect(of("kernel.path").some(({ step }) => step === "panic")).toBe(PANICS.includes(check));
  });

  test("leaves the kernel running", () => {
    const { kernel } = makeTestKernel();
    const { state } = kernel;
    kernel.debug.report(check, "x");
    expect([kernel.state, kernel.oopses]).toEqual([state, []]);
  });

  test("is silent with debugChecks off", () => {
    const { kernel } = makeTestKernel({ cmdline: { debugChecks: false } });
    kernel.debug.report(check, "x");
    expect(kernel.warnings).toEqual([]);
  });
});

test("a double free is told of with debugChecks off, too: the allocator itself notices", () => {
  const { kernel } = makeTestKernel({ cmdline: { debugChecks: false } });
  const buffer = KernelBuffer.alloc(kernel, PAGE_SIZE, "ring")!;
  buffer.free();
  buffer.free();
  expect(kernel.warnings.map(({ message }) => message)).toEqual([expect.stringContaining("KASAN: double-free: ring frees page")]);
});

test("a use after free is not noticed with debugChecks off", () => {
  const { kernel } = makeTestKernel({ cmdline: { debugChecks: false } });
  const buffer = KernelBuffer.alloc(kernel, PAGE_SIZE, "ring")!;
  buffer.free();
  buffer.get32(0);
  expect(kernel.warnings).toEqual([]);
});
