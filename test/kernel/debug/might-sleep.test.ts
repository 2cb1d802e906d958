// SPDX-License-Identifier: GPL-2.0-only
/** Functions that may sleep, called where nobody may, are reported even where they would not have slept. */
import { describe, expect, test } from "vitest";
import {
  dma_alloc_coherent,
  dma_free_coherent,
  flush_work,
  free_irq,
  INIT_WORK,
  IRQ_HANDLED,
  type Kernel,
  kthread_run,
  kthread_stop,
  local_irq_restore,
  local_irq_save,
  msleep,
  Mutex,
  NO_PAGES,
  PAGE_SIZE,
  request_irq,
  synchronize_irq,
} from "../../../src/kernel/index.ts";
import type { Coroutine } from "../../../src/sim/index.ts";
import { testDevice } from "../support/devices.ts";
import { makeTestKernel } from "../support/fake-platform.ts";

type Body = (kernel: Kernel) => Coroutine<unknown>;

function* irqsOff(kernel: Kernel, body: Body): Coroutine<void> {
  const flags = local_irq_save(kernel);
  yield* body(kernel);
  local_irq_restore(kernel, flags);
}

function* preemptionOff(kernel: Kernel, body: Body): Coroutine<void> {
  kernel.cpu.preemptDisable();
  yield* body(kernel);
  kernel.cpu.preemptEnable();
}

const CALLS: Readonly<Record<string, Body>> = {
  "mutex_lock(m)": (kernel) => new Mutex(kernel, "m").with("test", function* () {}),
  "flush_work(w)": (kernel) => flush_work(INIT_WORK(kernel, "w", function* () {})),
  "free_irq(40)": (kernel) => free_irq(testDevice(kernel, "dev"), 40),
  "synchronize_irq(40)": (kernel) => synchronize_irq(kernel, 40),
  *"alloc_pages GFP_KERNEL(driver)"(kernel) {
    kernel.mm.alloc_pages(PAGE_SIZE, "driver", "kernel");
  },
};

describe("with interrupts off", () => {
  test.each(Object.keys(CALLS))("%s is reported", (name) => {
    const { kernel, runToReport } = makeTestKernel();
    expect(runToReport(irqsOff(kernel, CALLS[name]!))).toBe(`sleeping function called from invalid context at ${name}, in test`);
    expect(kernel.printk.lines.map(({ text }) => text)).toContain(`BUG: sleeping function called from invalid context at ${name}, in test`);
    expect(kernel.warnings[0]).toMatchObject({ check: "atomic-sleep", task: "test" });
    expect(kernel.warnings[0]?.details[0]).toBe("in_atomic(): 0, irqs_disabled(): 1, preempt_count: 0");
  });
});

describe("with preemption off", () => {
  test.each(Object.keys(CALLS))("%s is reported", (name) => {
    const { kernel, runToReport } = makeTestKernel();
    expect(runToReport(preemptionOff(kernel, CALLS[name]!))).toContain(name);
    expect(kernel.warnings[0]?.details[0]).toBe("in_atomic(): 1, irqs_disabled(): 0, preempt_count: 1");
  });
});

describe("where one may sleep", () => {
  test.each(Object.keys(CALLS))("%s is no report", (name) => {
    const { kernel, run } = makeTestKernel();
    run(CALLS[name]!(kernel));
    expect(kernel.warnings).toEqual([]);
  });
});

test("kthread_stop of a thread that has ended is reported with interrupts off", () => {
  const { kernel, idle, runToReport } = makeTestKernel();
  const thread = kthread_run(kernel, "short", function* () {});
  idle(1000);
  expect(runToReport(irqsOff(kernel, () => kthread_stop(thread)))).toContain("kthread_stop(short)");
});

test("dma_free_coherent is reported with interrupts off", () => {
  const { kernel, runToReport } = makeTestKernel();
  const dev = testDevice(kernel, "eth0");
  const { cpu, dma } = dma_alloc_coherent(dev, 64)!;
  expect(runToReport(irqsOff(kernel, () => dma_free_coherent(dev, 64, cpu, dma)))).toContain("dma_free_coherent(eth0)");
});

test("a mutex in an interrupt handler is reported with the handler as what ran", () => {
  const { kernel, platform } = makeTestKernel();
  const mutex = new Mutex(kernel, "m");
  request_irq(testDevice(kernel, "eth0"), 40, function* () {
    yield* mutex.lock();
    mutex.unlock();
    return IRQ_HANDLED;
  });
  platform.interrupts.raise(40);
  kernel.sim.pollInterrupts();
  expect(kernel.warnings.map(({ message }) => message)).toEqual([
    "sleeping function called from invalid context at mutex_lock(m), in irq/40",
  ]);
});

test("an allocation that says it must not sleep is no report", () => {
  const { kernel, run } = makeTestKernel();
  let pa = NO_PAGES;
  const body: Body = function* () {
    pa = kernel.mm.alloc_pages(PAGE_SIZE, "driver", "kernel", { atomic: true });
  };
  run(irqsOff(kernel, body));
  expect(pa).not.toBe(NO_PAGES);
});

test("msleep(0) with interrupts off sleeps, and that is an oops", () => {
  const { kernel, runToOops } = makeTestKernel();
  expect(runToOops(irqsOff(kernel, () => msleep(0)))).toContain("scheduling while atomic");
});

test("one function in one task is reported once", () => {
  const { kernel, runToReport } = makeTestKernel();
  const twice: Body = function* () {
    for (let i = 0; i < 2; i++) yield* synchronize_irq(kernel, 40);
  };
  runToReport(irqsOff(kernel, twice));
  expect(kernel.warnings).toHaveLength(1);
});
