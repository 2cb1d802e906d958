// SPDX-License-Identifier: GPL-2.0-only
/** Interrupts: when handlers run, threads, masking, disabling, and what handlers must not do. */
import { describe, expect, test } from "vitest";
import {
  type Device,
  devm_request_threaded_irq,
  devres_release_all,
  disable_irq,
  dtNode,
  EBUSY,
  EINVAL,
  enable_irq,
  ENOSPC,
  free_irq,
  IRQ_HANDLED,
  IRQ_NONE,
  IRQ_WAKE_THREAD,
  local_irq_restore,
  local_irq_save,
  request_irq,
  request_threaded_irq,
  synchronize_irq,
  udelay,
  writel,
} from "../../../src/kernel/index.ts";
import { Mutex, pollUntil, sleepNs } from "../../../src/sim/index.ts";
import { testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const IRQ = 40;

function machineWithDevice(): TestKernel & { dev: Device; log: string[] } {
  const machine = makeTestKernel({ windows: [{ base: 0x1000, size: 0x1000 }] });
  return { ...machine, dev: testDevice(machine.kernel, "eth0"), log: [] };
}

describe("hard handlers", () => {
  test("run at once, in the middle of a task's MMIO", () => {
    const { kernel, dev, log, platform, sim, run } = machineWithDevice();
    request_irq(dev, IRQ, () => (log.push("irq"), IRQ_HANDLED));
    const io = kernel.io.ioremap(0x1000, 0x1000);
    run(
      (function* () {
        sim.after(50, () => platform.interrupts.raise(IRQ));
        log.push("before");
        writel(io, 0, 1);
        log.push("after");
      })(),
    );
    expect(log).toEqual(["before", "irq", "after"]);
    expect(platform.interrupts.completed).toEqual([IRQ]);
  });

  test("wait until local_irq_restore when interrupts are off, nested saves included", () => {
    const { kernel, dev, log, platform, run } = machineWithDevice();
    request_irq(dev, IRQ, () => (log.push("irq"), IRQ_HANDLED));
    run(
      (function* () {
        const outer = local_irq_save(kernel);
        const inner = local_irq_save(kernel);
        platform.interrupts.raise(IRQ);
        udelay(kernel, 5);
        local_irq_restore(kernel, inner);
        log.push("inner restored");
        local_irq_restore(kernel, outer);
        log.push("outer restored");
      })(),
    );
    expect(log).toEqual(["inner restored", "irq", "outer restored"]);
  });

  test("are taken during udelay", () => {
    const { kernel, dev, log, platform, sim, run } = machineWithDevice();
    request_irq(dev, IRQ, () => (log.push(`irq ${sim.now < 10_000}`), IRQ_HANDLED));
    run(
      (function* () {
        sim.after(2000, () => platform.interrupts.raise(IRQ));
        udelay(kernel, 50);
      })(),
    );
    expect(log).toEqual(["irq true"]);
  });

  test("are not interrupted by another interrupt", () => {
    const { dev, kernel, log, platform, run } = machineWithDevice();
    request_irq(dev, IRQ, () => {
      log.push("first begins");
      platform.interrupts.raise(IRQ + 1);
      udelay(kernel, 1);
      log.push("first ends");
      return IRQ_HANDLED;
    });
    request_irq(dev, IRQ + 1, () => (log.push("second"), IRQ_HANDLED));
    platform.interrupts.raise(IRQ);
    run(sleepNs(100));
    expect(log).toEqual(["first begins", "first ends", "second"]);
  });

  test("may poll: a coroutine handler spins with time passing", () => {
    const { dev, log, platform, sim, run } = machineWithDevice();
    request_irq(dev, IRQ, function* () {
      const start = sim.now;
      yield* pollUntil(() => sim.now >= start + 3000, 1000, 10_000, "ready");
      log.push(`after ${sim.now - start}`);
      return IRQ_HANDLED;
    });
    platform.interrupts.raise(IRQ);
    run(sleepNs(100));
    expect(log).toEqual(["after 3000"]);
  });

  test("a hard handler that sleeps is reported: scheduling while atomic, and the kernel panics", () => {
    const { kernel, dev, platform, idle } = machineWithDevice();
    request_irq(dev, IRQ, function* () {
      yield* sleepNs(1000);
      return IRQ_HANDLED;
    });
    platform.interrupts.raise(IRQ);
    idle(1e6);
    expect(kernel.oopses[0]).toMatchObject({ task: `irq/${IRQ}` });
    expect(kernel.oopses[0]!.message).toContain("BUG: scheduling while atomic");
    expect(kernel.printk.lines.map(({ text }) => text)).toContain("Kernel panic - not syncing: Fatal exception in interrupt");
  });

  test("a hard handler that waits for a mutex is reported too", () => {
    const { kernel, dev, platform, idle } = machineWithDevice();
    const mutex = new Mutex("busy");
    mutex.tryLock("somebody");
    request_irq(dev, IRQ, function* () {
      yield* mutex.lock("handler");
      return IRQ_HANDLED;
    });
    platform.interrupts.raise(IRQ);
    idle(1e6);
    expect(kernel.oopses[0]!.message).toContain("mutex busy");
  });

  test("an interrupt that nobody requested is switched off", () => {
    const { platform, log, kernel, run } = machineWithDevice();
    platform.interrupts.enable(99, true);
    platform.interrupts.setLevel(99, true);
    run(sleepNs(100));
    expect(platform.interrupts.enabled.has(99)).toBe(false);
    expect(kernel.printk.lines.at(-1)?.text).toContain("unexpected IRQ trap at vector 99");
    expect(log).toEqual([]);
  });

  test("a level nobody handles is switched off after 100 000 tries: nobody cared", () => {
    const { dev, platform, kernel, run } = machineWithDevice();
    request_irq(dev, IRQ, () => IRQ_NONE);
    platform.interrupts.setLevel(IRQ, true);
    run(pollUntil(() => !platform.interrupts.enabled.has(IRQ), 1000, 1e9, "off"));
    expect(kernel.irq.count(IRQ)).toBe(100_000);
    expect(kernel.printk.lines.map(({ text }) => text)).toContain(`Disabling IRQ #${IRQ}`);
  });
});

describe("threaded handlers", () => {
  test("run as task irq/<n>-<name> after the hard handler said IRQ_WAKE_THREAD", () => {
    const { dev, log, platform, kernel, run } = machineWithDevice();
    request_threaded_irq(dev, IRQ, () => (log.push(`hard in ${kernel.currentTask}`), IRQ_WAKE_THREAD), {
      name: "evtq",
      *thread() {
        log.push(`thread in ${kernel.currentTask}`);
        return IRQ_HANDLED;
      },
    });
    platform.interrupts.raise(IRQ);
    run(sleepNs(1000));
    expect(log).toEqual([`hard in irq/${IRQ}`, `thread in irq/${IRQ}-evtq`]);
  });

  test("may sleep", () => {
    const { dev, log, platform, run } = machineWithDevice();
    request_threaded_irq(dev, IRQ, null, {
      oneshot: true,
      *thread() {
        yield* sleepNs(500);
        log.push("thread done");
        return IRQ_HANDLED;
      },
    });
    platform.interrupts.raise(IRQ);
    run(sleepNs(1000));
    expect(log).toEqual(["thread done"]);
  });

  test("oneshot: the line stays masked until the thread is done", () => {
    const { dev, log, platform, run } = machineWithDevice();
    request_threaded_irq(dev, IRQ, null, {
      oneshot: true,
      *thread() {
        log.push(`masked ${!platform.interrupts.enabled.has(IRQ)}`);
        yield* sleepNs(500);
        platform.interrupts.setLevel(IRQ, false);
        return IRQ_HANDLED;
      },
    });
    platform.interrupts.setLevel(IRQ, true);
    run(sleepNs(1000));
    expect(log).toEqual(["masked true"]);
    expect(platform.interrupts.enabled.has(IRQ)).toBe(true);
  });

  test("without oneshot an edge during the thread makes it run once more", () => {
    const { dev, log, platform, run } = machineWithDevice();
    request_threaded_irq(dev, IRQ, () => IRQ_WAKE_THREAD, {
      *thread() {
        log.push("thread");
        yield* sleepNs(1000);
        return IRQ_HANDLED;
      },
    });
    platform.interrupts.raise(IRQ);
    run(sleepNs(500));
    platform.interrupts.raise(IRQ);
    platform.interrupts.raise(IRQ);
    run(sleepNs(5000));
    expect(log).toEqual(["thread", "thread"]);
  });

  test("a thread without hard handler that is not oneshot is refused", () => {
    const { dev } = machineWithDevice();
    expect(
      request_threaded_irq(dev, IRQ, null, {
        thread: function* () {
          return IRQ_HANDLED;
        },
      }),
    ).toBe(-EINVAL);
  });

  test("synchronize_irq waits for the thread", () => {
    const { dev, log, platform, kernel, run } = machineWithDevice();
    request_threaded_irq(dev, IRQ, () => IRQ_WAKE_THREAD, {
      *thread() {
        yield* sleepNs(1000);
        log.push("thread done");
        return IRQ_HANDLED;
      },
    });
    platform.interrupts.raise(IRQ);
    run(sleepNs(100));
    run(synchronize_irq(kernel, IRQ));
    expect(log).toEqual(["thread done"]);
  });
});

describe("requesting and freeing", () => {
  test("an interrupt that is taken is refused: sharing is not supported", () => {
    const { dev } = machineWithDevice();
    expect(request_irq(dev, IRQ, () => IRQ_HANDLED)).toBe(0);
    expect(request_irq(dev, IRQ, () => IRQ_HANDLED)).toBe(-EBUSY);
  });

  test("free_irq masks the line and waits for the thread", () => {
    const { dev, log, platform, run, sim } = machineWithDevice();
    request_threaded_irq(dev, IRQ, () => IRQ_WAKE_THREAD, {
      *thread() {
        yield* sleepNs(1000);
        log.push(`thread done at ${sim.now >= 1000}`);
        return IRQ_HANDLED;
      },
    });
    platform.interrupts.raise(IRQ);
    run(sleepNs(100));
    run(free_irq(dev, IRQ));
    expect(log).toEqual(["thread done at true"]);
    expect(platform.interrupts.enabled.has(IRQ)).toBe(false);
    expect(request_irq(dev, IRQ, () => IRQ_HANDLED)).toBe(0);
  });

  test("a managed interrupt is freed with the device's resources", () => {
    const { dev, platform, run } = machineWithDevice();
    devm_request_threaded_irq(dev, IRQ, () => IRQ_HANDLED);
    expect(platform.interrupts.enabled.has(IRQ)).toBe(true);
    run(devres_release_all(dev));
    expect(platform.interrupts.enabled.has(IRQ)).toBe(false);
  });

  test("disable_irq nests; what came meanwhile is taken at the last enable_irq", () => {
    const { dev, log, platform, kernel, run } = machineWithDevice();
    request_irq(dev, IRQ, () => (log.push("irq"), IRQ_HANDLED));
    run(disable_irq(kernel, IRQ));
    run(disable_irq(kernel, IRQ));
    platform.interrupts.raise(IRQ);
    enable_irq(kernel, IRQ);
    run(sleepNs(100));
    log.push("still one");
    enable_irq(kernel, IRQ);
    expect(log).toEqual(["still one", "irq"]);
  });
});

describe("MSI", () => {
  const frame = dtNode({
    name: "v2m@8020000",
    compatible: ["arm,gic-v2m-frame"],
    reg: [{ base: 0x802_0000, size: 0x1000 }],
    properties: { "base-spi": 80, "num-spis": 2 },
  });
  const gic = dtNode({ name: "gic@8000000", compatible: ["arm,gic-400"], children: [frame] });

  test("interrupts come from the frame's range; the message is its doorbell and the interrupt's number", () => {
    const { kernel } = makeTestKernel({ nodes: [gic] });
    expect(kernel.irq.msi.alloc(testDevice(kernel, "nic"), 2)).toEqual([80, 81]);
    expect(kernel.irq.msi.message(81)).toEqual({ address: 0x802_0040, data: 81 });
  });

  test("none are given if there are not as many; freed ones are given again", () => {
    const { kernel } = makeTestKernel({ nodes: [gic] });
    const dev = testDevice(kernel, "nic");
    const first = kernel.irq.msi.alloc(dev, 1) as number[];
    expect(kernel.irq.msi.alloc(dev, 2)).toBe(-ENOSPC);
    kernel.irq.msi.free(first);
    expect(kernel.irq.msi.alloc(dev, 2)).toEqual([80, 81]);
  });
});
