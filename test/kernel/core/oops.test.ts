// SPDX-License-Identifier: GPL-2.0-only
/** Oopses: what becomes one, what it prints, what goes on afterwards. */
import { describe, expect, test } from "vitest";
import { build_kernel_image, readl, writel } from "../../../src/kernel/index.ts";
import { type Coroutine, SimulationMisuseError, sleepNs } from "../../../src/sim/index.ts";
import { testDevice } from "../support/devices.ts";
import { makeTestKernel } from "../support/fake-platform.ts";

function* throwing(error: Error): Coroutine<void> {
  yield* sleepNs(1);
  throw error;
}

describe("oops", () => {
  test("a read that aborts is a synchronous external abort, a write an SError", () => {
    const read = makeTestKernel();
    const readMessage = read.runToOops(
      (function* (): Coroutine<void> {
        readl(read.kernel.io.ioremap(0x5000, 0x1000), 4);
      })(),
    );
    expect(readMessage).toBe("Internal error: synchronous external abort: external abort on a read of 0x5004");
    const write = makeTestKernel();
    const writeMessage = write.runToOops(
      (function* (): Coroutine<void> {
        writel(write.kernel.io.ioremap(0x5000, 0x1000), 8, 1);
      })(),
    );
    expect(writeMessage).toBe("Internal error: SError Interrupt: external abort on a write to 0x5008");
  });

  test("an access beyond a mapping is a paging request that cannot be handled", () => {
    const { kernel, runToOops } = makeTestKernel();
    const message = runToOops(
      (function* (): Coroutine<void> {
        readl(kernel.io.ioremap(0x5000, 0x100), 0x100);
      })(),
    );
    expect(message).toContain("Unable to handle kernel paging request: 4 bytes at offset 0x100");
  });

  test("prints message, task, device and time, traces kernel.oops, and marks the kernel crashed", () => {
    const { kernel, of } = makeTestKernel();
    const dev = testDevice(kernel, "eth0");
    kernel.oops("BUG: something", { device: dev, task: "kworker/events" });
    expect(kernel.state).toBe("crashed");
    expect(of("kernel.oops")).toEqual([{ kernel: "linux", message: "BUG: something", task: "kworker/events", device: "eth0" }]);
    const text = kernel.printk.lines.map((line) => line.text).join("\n");
    expect(text).toContain("BUG: something\nCPU: 0 Comm: kworker/events Kernel: linux Time: 0 ns\nDevice:  eth0");
  });

  test("a task's error does not leave the simulation, and other tasks go on", () => {
    const { kernel, idle, sim } = makeTestKernel();
    let done = false;
    kernel.spawn("bad", throwing(new TypeError("undefined is not a function")));
    kernel.spawn(
      "good",
      (function* (): Coroutine<void> {
        yield* sleepNs(100);
        done = true;
      })(),
    );
    idle(1000);
    expect(kernel.oopses[0]).toMatchObject({
      message: "Internal error: Oops: TypeError: undefined is not a function",
      task: "bad",
      time: 1,
    });
    expect([done, sim.now]).toEqual([true, 1000]);
  });

  test("misuse of the simulation is not the kernel's fault and leaves the simulation", () => {
    const { kernel, idle } = makeTestKernel();
    kernel.spawn("bad", throwing(new SimulationMisuseError("wrong")));
    expect(() => idle(1000)).toThrow("wrong");
  });

  test("kernel.bug ends the task with an oops that names the device", () => {
    const { kernel, runToOops } = makeTestKernel();
    const dev = testDevice(kernel, "eth0");
    expect(
      runToOops(
        (function* (): Coroutine<void> {
          kernel.bug("BUG: broken", dev);
        })(),
      ),
    ).toBe("BUG: broken");
    expect(kernel.oopses[0]?.device).toBe(dev);
  });

  test("with oops=panic and a crash kernel loaded, the CPU jumps into it", () => {
    const crashkernel = { base: 0x8800_0000, size: 0x100_0000 };
    const { kernel, idle, of } = makeTestKernel({ cmdline: { panicOnOops: true, crashkernel } });
    const jumps: string[] = [];
    kernel.onJump = ({ kind }) => void jumps.push(kind);
    expect(kernel.kexec.kexec_load({ kernel: build_kernel_image("crash") }, "crash")).toBe(0);
    kernel.spawn("bad", throwing(new Error("broken")));
    idle(1e9);
    expect(jumps).toEqual(["crash"]);
    expect(of("kernel.jump")).toEqual([{ from: "linux", to: "crash" }]);
    expect(kernel.state).toBe("gone");
  });

  test("with oops=panic nothing else runs but the panic", () => {
    const { kernel, idle } = makeTestKernel({ cmdline: { panicOnOops: true } });
    let ran = false;
    kernel.spawn("bad", throwing(new Error("broken")));
    kernel.spawn(
      "good",
      (function* (): Coroutine<void> {
        yield* sleepNs(100);
        ran = true;
      })(),
    );
    idle(1000);
    expect(ran).toBe(false);
    expect(kernel.printk.lines.map(({ text }) => text)).toContain("Kernel panic - not syncing: Fatal exception");
  });
});

describe("warn", () => {
  test("prints message, task, device and time, traces kernel.warn, and the kernel goes on", () => {
    const { kernel, of } = makeTestKernel();
    const before = kernel.state;
    kernel.warn("refcount_t: underflow", testDevice(kernel, "eth0"));
    expect(kernel.state).toBe(before);
    expect(of("kernel.warn")).toEqual([
      { kernel: "linux", message: "refcount_t: underflow", task: "swapper/0", device: "eth0", check: null, details: [] },
    ]);
    expect(kernel.warnings.map(({ message, device }) => [message, device?.name])).toEqual([["refcount_t: underflow", "eth0"]]);
    const text = kernel.printk.lines.map((line) => line.text).join("\n");
    expect(text).toContain("WARNING: refcount_t: underflow\nCPU: 0 Comm: swapper/0 Kernel: linux Time: 0 ns\nDevice:  eth0");
  });

  test("with panic_on_warn it is the kernel's end", () => {
    const { kernel, of } = makeTestKernel({ cmdline: { panicOnWarn: true } });
    kernel.warn("something");
    expect(of("kernel.path").map(({ step }) => step)).toContain("panic");
  });
});
