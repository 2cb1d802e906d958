// SPDX-License-Identifier: GPL-2.0-only
/** Kexec jump: to another kernel, which boots and works, and back, with devices frozen and nothing shut down. */
import { describe, expect, test } from "vitest";
import {
  type BootFiles,
  build_kernel_image,
  device_add,
  type Device,
  type DevPmOps,
  driver_register,
  EADDRNOTAVAIL,
  EBUSY,
  EINVAL,
  EIO,
  ENOMEM,
  firmware_load,
  JumpImage,
  type KernelParameters,
  mod_timer,
  msleep,
  PAGE_ALIGN,
  patternBytes,
  register_syscore_ops,
  request_irq,
  request_threaded_irq,
  IRQ_HANDLED,
  timer_pending,
  timer_setup,
} from "../../../src/kernel/index.ts";
import { type Coroutine, waitEvent, WaitQueue } from "../../../src/sim/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { FakePlatform, makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const RAM = 0x8000_0000;
const MIB = 0x10_0000;
const memory = [{ base: RAM, size: 12 * MIB }];
const files: BootFiles = { kernel: build_kernel_image("other", 8), initrd: patternBytes("initrd", 5000) };

/** What the other kernel may use. */
const region = { base: RAM + 4 * MIB, size: MIB };
const flags = { preserve_context: true, mem_min: region.base, mem_max: region.base + region.size - 1 };

/** The first kernel's machine, and the other kernel once it boots. */
interface Jumper extends TestKernel {
  other: TestKernel | null;
}

/**
 * A booted kernel with CONFIG_KEXEC_JUMP and an image to jump to: a kernel that boots, works, and jumps back, each time.
 * @param work what it does, with its own machine
 */
function loaded(work: (other: TestKernel) => Coroutine<void> = idle, cmdline: Partial<KernelParameters> = {}): Jumper {
  const boot = firmware_load(new FakePlatform({ memory }).bus, memory, { kernel: build_kernel_image("first", 8) });
  const machine: Jumper = { ...makeTestKernel({ memory, kernel: { boot }, cmdline }), other: null };
  machine.platform.bus.writeBytes(boot.image.base, boot.image.contents);
  machine.run(machine.kernel.boot());
  const { kexec } = machine.kernel;
  kexec.config_kexec_jump = true;
  kexec.bootPreserved = (image) => {
    const other = makeTestKernel({
      on: machine,
      name: "other",
      kernel: { boot: image.boot!, memoryLimits: image.region! },
      cmdline,
      attach: false,
    });
    machine.other = other;
    other.kernel.kexec.config_kexec_jump = true;
    other.kernel.spawn("init", life(other, work));
    return other.kernel;
  };
  expect(kexec.kexec_load(files, "kexec", flags)).toBe(0);
  return machine;
}

function* idle(): Coroutine<void> {}

function* life(other: TestKernel, work: (other: TestKernel) => Coroutine<void>): Coroutine<void> {
  const { kernel } = other;
  yield* kernel.boot();
  expect(kernel.kexec.kexec_load_jump_back()).toBe(0);
  for (;;) {
    yield* work(other);
    expect(yield* kernel.kexec.kernel_kexec()).toBe(0);
  }
}

/** Work that does not wait. */
function doing(what: (other: TestKernel) => void): (other: TestKernel) => Coroutine<void> {
  return function* (other) {
    what(other);
  };
}

const DOWN = ["prepare", "freeze", "freeze_late", "freeze_noirq"] as const;
const UP = ["restore_noirq", "restore_early", "restore", "thaw_noirq", "thaw_early", "thaw"] as const;

/** Adds devices `nic0`, `nic1`, … whose driver writes its callbacks down. @param refuse the callback that fails, as `freeze nic0` */
function addDevices(machine: TestKernel, count: number, refuse = ""): string[] {
  const log: string[] = [];
  const bus = testBus();
  const callback = (name: string) =>
    function* (dev: Device): Coroutine<number> {
      log.push(`${name} ${dev.name}`);
      return refuse === `${name} ${dev.name}` ? -EIO : 0;
    };
  const pm: DevPmOps = {
    ...Object.fromEntries([...DOWN, ...UP].map((name) => [name, callback(name)])),
    *complete(dev: Device): Coroutine<void> {
      log.push(`complete ${dev.name}`);
    },
  };
  machine.run(driver_register(machine.kernel, { ...loggingDriver("nic", bus, []), pm }));
  for (let i = 0; i < count; i++) machine.run(device_add(testDevice(machine.kernel, `nic${i}`, bus)));
  return log;
}

/** Jumps, and comes back. @throws what the other kernel oopsed with */
function jump(machine: Jumper): number {
  try {
    return machine.run(machine.kernel.kexec.kernel_kexec());
  } catch (error) {
    throw machine.other?.kernel.oopses[0]?.error ?? error;
  }
}

/** Steps of the way of a kernel. */
const steps = (machine: TestKernel, name = "linux"): string[] =>
  machine
    .of("kernel.path")
    .filter(({ kernel }) => kernel === name)
    .map(({ step }) => step);

describe("kexec_load with KEXEC_PRESERVE_CONTEXT", () => {
  test("is refused with -EINVAL by a kernel without CONFIG_KEXEC_JUMP, as every arm64 kernel is", () => {
    const { kernel } = makeTestKernel({ memory });
    expect(kernel.kexec.kexec_load(files, "kexec", flags)).toBe(-EINVAL);
    expect(kernel.kexec.kexec_load_jump_back()).toBe(-EINVAL);
    expect(kernel.kexec.kexec_image).toBeNull();
  });

  test("covers the whole region from --mem-min to --mem-max, each page once, from pages outside of it", () => {
    const { segments, region: covered } = loaded().kernel.kexec.kexec_image as JumpImage;
    expect(covered).toEqual(region);
    const sorted = segments.toSorted((a, b) => a.destination - b.destination);
    let next = region.base;
    for (const { source, destination, size } of sorted) {
      expect(destination).toBe(next);
      expect(source + size <= region.base || source >= region.base + region.size).toBe(true);
      next += size;
    }
    expect(next).toBe(region.base + region.size);
    const kernel = sorted.filter(({ name }) => name === "kernel");
    expect(kernel[0]!.destination).toBe(region.base);
    expect(kernel.reduce((sum, { size }) => sum + size, 0)).toBe(PAGE_ALIGN(files.kernel.bytes.length));
  });

  test("refuses more than half of RAM with -EINVAL, and so a region that nobody limits", () => {
    const { kernel } = loaded();
    const half = { preserve_context: true, mem_min: RAM + 4 * MIB, mem_max: RAM + 10 * MIB - 1 };
    const free = kernel.mm.freeBytes;
    expect(kernel.kexec.kexec_load(files, "kexec", { preserve_context: true })).toBe(-EINVAL);
    expect(kernel.kexec.kexec_load(files, "kexec", { ...half, mem_max: half.mem_max + 4096 })).toBe(-EINVAL);
    expect(kernel.mm.freeBytes).toBeGreaterThan(free);
    expect(kernel.kexec.kexec_image).toBeNull();
  });

  test("returns -ENOMEM, with everything freed, if the pages are not there, and -EADDRNOTAVAIL if the image does not fit", () => {
    const { kernel } = loaded();
    const load = (range: { mem_min: number; mem_max?: number }): number =>
      kernel.kexec.kexec_load(files, "kexec", { preserve_context: true, ...range });
    kernel.kexec.kexec_unload();
    expect(load({ mem_min: RAM + 12 * MIB })).toBe(-EADDRNOTAVAIL);
    expect(load({ mem_min: region.base, mem_max: region.base + 4095 })).toBe(-EADDRNOTAVAIL);
    kernel.mm.alloc_pages(kernel.mm.freeBytes - MIB / 2, "filler", "kernel");
    const free = kernel.mm.freeBytes;
    expect(load(flags)).toBe(-ENOMEM);
    expect(kernel.mm.freeBytes).toBe(free);
    expect(kernel.kexec.kexec_image).toBeNull();
  });
});

describe("a kexec jump", () => {
  test("goes through Linux's steps in order, and back through their opposites", () => {
    const machine = loaded();
    expect(jump(machine)).toBe(0);
    expect(steps(machine)).toEqual([
      "system_transition_mutex",
      "kernel_kexec",
      "pm_prepare_console",
      "freeze_processes",
      "console_suspend_all",
      "dpm_suspend_start",
      "dpm_prepare",
      "dpm_suspend",
      "dpm_suspend_end",
      "dpm_suspend_late",
      "dpm_suspend_noirq",
      "suspend_device_irqs",
      "suspend_disable_secondary_cpus",
      "local_irq_disable",
      "syscore_suspend",
      "kmsg_dump",
      "machine_kexec",
      "syscore_resume",
      "local_irq_enable",
      "suspend_enable_secondary_cpus",
      "dpm_resume_start",
      "dpm_resume_noirq",
      "resume_device_irqs",
      "dpm_resume_early",
      "dpm_resume_end",
      "dpm_resume",
      "dpm_complete",
      "console_resume_all",
      "thaw_processes",
      "pm_restore_console",
    ]);
  });

  test("shuts no device down, and kexec_in_progress stays false", () => {
    const seen: boolean[] = [];
    const machine = loaded(doing(() => seen.push(machine.kernel.kexec.kexec_in_progress)));
    addDevices(machine, 1);
    jump(machine);
    expect(seen).toEqual([false]);
    expect(machine.of("kernel.shutdown")).toEqual([]);
    expect(machine.kernel.state).toBe("running");
  });

  test("freezes from the tail of the list and restores from its head, phase by phase", () => {
    const machine = loaded();
    const log = addDevices(machine, 2);
    jump(machine);
    expect(log).toEqual([
      "prepare nic0",
      "prepare nic1",
      "freeze nic1",
      "freeze nic0",
      "freeze_late nic1",
      "freeze_late nic0",
      "freeze_noirq nic1",
      "freeze_noirq nic0",
      "restore_noirq nic0",
      "restore_noirq nic1",
      "restore_early nic0",
      "restore_early nic1",
      "restore nic0",
      "restore nic1",
      "complete nic1",
      "complete nic0",
    ]);
  });

  test("a device that refuses to freeze ends it before the jump: what was frozen is restored, and the error comes back", () => {
    const machine = loaded();
    const log = addDevices(machine, 2, "freeze nic0");
    expect(jump(machine)).toBe(-EIO);
    expect(machine.other).toBeNull();
    expect(log).toEqual(["prepare nic0", "prepare nic1", "freeze nic1", "freeze nic0", "restore nic1", "complete nic1", "complete nic0"]);
    expect(steps(machine)).not.toContain("dpm_suspend_end");
  });

  test("a device that refuses with interrupts off is thawed to where the late phase began, then restored", () => {
    const machine = loaded();
    const log = addDevices(machine, 2, "freeze_noirq nic0");
    expect(jump(machine)).toBe(-EIO);
    expect(log.slice(log.indexOf("freeze_noirq nic0") + 1)).toEqual([
      "thaw_noirq nic1",
      "thaw_early nic0",
      "thaw_early nic1",
      "restore nic0",
      "restore nic1",
      "complete nic1",
      "complete nic0",
    ]);
    expect(steps(machine)).not.toContain("suspend_disable_secondary_cpus");
  });

  test("a kernel is left with no secondary CPU and interrupts off; the other one has them all; both come back", () => {
    const seen: unknown[] = [];
    const machine = loaded(
      doing(({ kernel: other }) => {
        seen.push(machine.kernel.smp.num_online_cpus, machine.kernel.cpu.irqsDisabled);
        seen.push(other.smp.num_online_cpus, other.cpu.irqsDisabled);
      }),
      { cpus: 4 },
    );
    jump(machine);
    expect(seen).toEqual([1, true, 4, false]);
    expect(machine.kernel.smp.num_online_cpus).toBe(4);
    expect(machine.kernel.cpu.irqsDisabled).toBe(false);
    expect(machine.kernel.smp.cpu_down(3)).toBe(0);
  });

  test("a CPU that refuses to go down ends it, and those that had gone come up again", () => {
    const machine = loaded(undefined, { cpus: 3 });
    const { smp } = machine.kernel;
    smp.cpuhp_setup_state({ name: "busy", state: "CPUHP_AP_ONLINE_DYN", teardown: (cpu) => (cpu === 2 ? -EBUSY : 0) });
    expect(jump(machine)).toBe(-EBUSY);
    expect(smp.num_online_cpus).toBe(3);
    expect(steps(machine)).not.toContain("syscore_suspend");
  });

  test("syscore operations are suspended in reverse order and resumed in order; if one refuses, those before it are resumed", () => {
    const machine = loaded();
    const log: string[] = [];
    let answer = 0;
    for (const name of ["a", "b", "c"]) {
      register_syscore_ops(machine.kernel, {
        name,
        suspend: () => (log.push(`suspend ${name}`), name === "b" ? answer : 0),
        resume: () => log.push(`resume ${name}`),
      });
    }
    expect(jump(machine)).toBe(0);
    expect(log.splice(0)).toEqual(["suspend c", "suspend b", "suspend a", "resume a", "resume b", "resume c"]);
    answer = -EBUSY;
    expect(jump(machine)).toBe(-EBUSY);
    expect(log).toEqual(["suspend c", "suspend b", "resume c"]);
  });

  test("an interrupt that comes meanwhile, and that the other kernel does not want, is taken after the return", () => {
    const machine = loaded(doing(() => machine.platform.interrupts.raise(40)));
    addDevices(machine, 1);
    const taken: string[] = [];
    const nic = machine.kernel.base.findDevice("nic0")!;
    request_irq(nic, 40, () => (taken.push(steps(machine).at(-1)!), 1));
    jump(machine);
    expect(taken).toEqual(["resume_device_irqs"]);
  });

  test("the region and this kernel's memory change places, and change back", () => {
    const read = (pa: number): Uint8Array => {
      const bytes = new Uint8Array(64);
      machine.platform.bus.readBytes(pa, bytes);
      return bytes;
    };
    const image = (): JumpImage => machine.kernel.kexec.kexec_image as JumpImage;
    const theirs = patternBytes("theirs", 64);
    const free = region.base + MIB / 2;
    const machine = loaded(
      doing(() => {
        expect(read(region.base)).toEqual(files.kernel.bytes.slice(0, 64));
        machine.platform.bus.writeBytes(free, theirs);
      }),
    );
    const mine = patternBytes("mine", 64);
    for (const pa of [region.base, free]) machine.platform.bus.writeBytes(pa, mine);
    expect(jump(machine)).toBe(0);
    expect([read(region.base), read(free)]).toEqual([mine, mine]);
    const segment = image().segments.find(({ destination, size }) => free >= destination && free < destination + size)!;
    expect(read(segment.source + free - segment.destination)).toEqual(theirs);
  });

  test("what the other kernel writes outside of the region stays written", () => {
    const victim = region.base + region.size + 4096;
    const machine = loaded(doing(({ platform }) => platform.bus.write32(victim, 0xbad)));
    machine.platform.bus.write32(victim, 0x600d);
    jump(machine);
    expect(machine.platform.bus.read32(victim)).toBe(0xbad);
  });
});

describe("the other kernel", () => {
  test("is a booted kernel of its own in the region, with the first one's entry on its command line", () => {
    const machine = loaded(
      doing(({ kernel }) => {
        expect(kernel.state).toBe("running");
        expect(kernel.mm.memory).toEqual([region]);
        expect(kernel.kexec.jump_back_entry === machine.kernel).toBe(true);
        expect(machine.kernel.kexec.context === null).toBe(false);
      }),
    );
    expect(jump(machine)).toBe(0);
    expect(machine.other!.kernel.printk.lines.map(({ text }) => text)).toContain("Run /sbin/init as init process");
    expect(machine.other!.kernel.oopses).toEqual([]);
    expect(machine.of("kernel.jump")).toEqual([
      { from: "linux", to: "jump" },
      { from: "other", to: "return" },
    ]);
  });

  test("goes back by the same steps as the first one came, without an image of its own", () => {
    const machine = loaded();
    jump(machine);
    const own = steps(machine, "other").slice(steps(machine, "other").indexOf("system_transition_mutex"));
    expect(own).toEqual(steps(machine).slice(0, steps(machine).indexOf("syscore_resume")));
  });

  test("sleeps, has tasks, drivers, timers and threaded interrupts, while the first one's stand still", () => {
    const log: string[] = [];
    const machine = loaded(function* (other) {
      const { kernel } = other;
      const nic = testDevice(kernel, "othernic", testBus());
      yield* device_add(nic);
      const queue = new WaitQueue("rx");
      let packets = 0;
      request_threaded_irq(nic, 40, null, {
        oneshot: true,
        *thread() {
          packets++;
          queue.wake();
          return IRQ_HANDLED;
        },
      });
      other.sim.after(5e6, () => machine.platform.interrupts.raise(40));
      const polled = timer_setup(kernel, "poll", () => void log.push("timer"));
      mod_timer(polled, 3);
      kernel.spawn(
        "worker",
        (function* () {
          yield* msleep(2);
          log.push("worker");
        })(),
      );
      yield* waitEvent(queue, () => packets === 1);
      log.push(`packet, ${other.sim.current!.name}`);
    });
    machine.kernel.spawn(
      "ticker",
      (function* () {
        for (;;) {
          yield* msleep(1);
          log.push("tick");
        }
      })(),
    );
    expect(jump(machine)).toBe(0);
    expect(log).toEqual(["worker", "timer", "packet, init"]);
    machine.idle(1.5e6);
    expect(log.slice(3)).toEqual(["tick"]);
  });

  test("may have the machine for long: sleeps, timeouts and timers of the first one have left what they had", () => {
    const LONG = 1800e9;
    const machine = loaded(function* () {
      yield* msleep(LONG / 1e6);
    });
    const { kernel, sim } = machine;
    const log: string[] = [];
    const at = (what: string): void => void log.push(`${what} at ${Math.round((sim.now - start) / 1e6)}`);
    const timer = timer_setup(kernel, "watchdog", () => at("timer"));
    mod_timer(timer, 30);
    kernel.spawn(
      "sleeper",
      (function* () {
        yield* msleep(20);
        at("sleeper");
      })(),
    );
    kernel.spawn(
      "waiter",
      (function* () {
        yield* waitEvent(new WaitQueue("none"), () => false, { timeoutNs: 40e6, now: () => kernel.time.ktime_get() });
        at("waiter");
      })(),
    );
    machine.idle(10e6);
    const before = { clock: kernel.time.ktime_get(), now: sim.now };
    let start = sim.now;
    expect(jump(machine)).toBe(0);
    expect(log).toEqual([]);
    expect(timer_pending(timer)).toBe(true);
    expect(sim.now - before.now).toBeGreaterThan(LONG);
    expect(kernel.time.ktime_get() - before.clock).toBeLessThan(1e6);
    start = sim.now;
    machine.idle(40e6);
    expect(log).toEqual(["sleeper at 10", "timer at 20", "waiter at 30"]);
  });

  test("makes no hung task of one that waits in the first kernel", () => {
    const machine = loaded(
      function* () {
        yield* msleep(1000e3);
      },
      { debugChecks: true },
    );
    const { kernel } = machine;
    const queue = new WaitQueue("long");
    let over = false;
    kernel.spawn(
      "waiter",
      waitEvent(queue, () => over),
    );
    expect(jump(machine)).toBe(0);
    machine.idle(60e9);
    over = true;
    queue.wake();
    machine.idle(60e9);
    expect(kernel.warnings).toEqual([]);
  });

  test("waits after its return: a second jump goes on in it where it stood, and its own clock stood still", () => {
    const seen: number[] = [];
    const machine = loaded(doing(({ kernel }) => seen.push(kernel.time.ktime_get())));
    const log = addDevices(machine, 1);
    expect(jump(machine)).toBe(0);
    const { kernel: other } = machine.other!;
    expect((machine.kernel.kexec.kexec_image as JumpImage).start === other).toBe(true);
    machine.idle(5e9);
    expect(jump(machine)).toBe(0);
    expect(machine.other!.kernel === other).toBe(true);
    expect(seen).toHaveLength(2);
    expect(seen[1]! - seen[0]!).toBeLessThan(1e9);
    expect(other.printk.lines.filter(({ text }) => text.startsWith("Booting"))).toHaveLength(1);
    expect(log.filter((line) => line === "restore nic0")).toHaveLength(2);
  });

  test("is lost with its pages when the first one unloads the image, and may be loaded anew", () => {
    const machine = loaded();
    const free = machine.kernel.mm.freeBytes;
    jump(machine);
    const { kernel: other } = machine.other!;
    expect(other.state).toBe("running");
    machine.kernel.kexec.kexec_unload();
    expect(other.state).toBe("gone");
    expect(machine.kernel.state).toBe("running");
    expect(machine.kernel.kexec.kexec_load(files, "kexec", flags)).toBe(0);
    expect(machine.kernel.mm.freeBytes).toBe(free);
    expect(jump(machine)).toBe(0);
    expect(machine.other!.kernel === other).toBe(false);
  });

  test("that resets the machine takes the first one with it", () => {
    const machine = loaded(function* ({ kernel }) {
      yield* kernel.reboot.kernel_restart();
    });
    machine.kernel.spawn("jump", machine.kernel.kexec.kernel_kexec());
    machine.idle(1e9);
    expect(machine.platform.firmware.calls).toEqual(["systemReset"]);
    expect(machine.kernel.state).toBe("gone");
    expect(machine.sim.run()).toEqual({ kind: "done" });
  });

  test("whose device refuses to freeze stays, and the first one goes on waiting", () => {
    const seen: number[] = [];
    const machine = loaded(function* (other) {
      addDevices({ ...other, run: run(other) }, 1, "freeze nic0");
      seen.push(yield* other.kernel.kexec.kernel_kexec());
      yield* msleep(1e6);
    });
    const run =
      ({ kernel }: TestKernel) =>
      <T>(body: Coroutine<T>): T =>
        kernel.sim.runAtomic(body);
    machine.kernel.spawn("jump", machine.kernel.kexec.kernel_kexec());
    machine.idle(1e9);
    expect(seen).toEqual([-EIO]);
    expect(machine.kernel.kexec.context === null).toBe(false);
  });

  test("cannot be made by nobody: a jump without bootPreserved is misuse", () => {
    const machine = loaded();
    machine.kernel.kexec.bootPreserved = null;
    expect(() => jump(machine)).toThrow("bootPreserved");
  });
});
