// SPDX-License-Identifier: GPL-2.0-only
/** The ways down: which calls what, in which order. */
import { describe, expect, test } from "vitest";
import {
  build_kernel_image,
  device_add,
  driver_register,
  type Kernel,
  register_panic_notifier,
  register_reboot_notifier,
  register_sys_off_handler,
  register_syscore_ops,
} from "../../../src/kernel/index.ts";
import { type Coroutine, sleepNs } from "../../../src/sim/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel, type TestKernelOptions } from "../support/fake-platform.ts";

const CRASHKERNEL = { base: 0x8800_0000, size: 0x40_0000 };

interface Machine extends TestKernel {
  /** What hooks and notifiers wrote down. */
  readonly log: string[];
  /** Starts a way down and lets a second pass. */
  down(body: (kernel: Kernel) => Coroutine<unknown>): void;
  steps(): string[];
}

/** One bound device with a shutdown hook, two reboot notifiers and a panic notifier. */
function machine(options: TestKernelOptions = {}): Machine {
  const base = makeTestKernel(options);
  const { kernel } = base;
  const log: string[] = [];
  const bus = testBus();
  base.run(driver_register(kernel, loggingDriver("nic", bus, log)));
  base.run(device_add(testDevice(kernel, "nic0", bus)));
  log.length = 0;
  register_reboot_notifier(kernel, { name: "late", priority: -1, notifier_call: (action) => void log.push(`late ${action}`) });
  register_reboot_notifier(kernel, { name: "early", priority: 128, notifier_call: (action) => void log.push(`early ${action}`) });
  register_panic_notifier(kernel, { name: "panic", notifier_call: () => void log.push("panic notifier") });
  return {
    ...base,
    log,
    down(body) {
      kernel.spawn("way down", body(kernel));
      base.idle(1e9);
    },
    steps: () => base.of("kernel.path").map(({ step }) => step),
  };
}

describe("kernel_restart", () => {
  test("goes through Linux's steps in order and ends in the firmware's reset", () => {
    const { steps, down, platform } = machine();
    down((kernel) => kernel.reboot.kernel_restart());
    expect(steps()).toEqual([
      "system_transition_mutex",
      "kernel_restart_prepare",
      "reboot_notifier_list SYS_RESTART",
      "usermodehelper_disable",
      "device_shutdown",
      "do_kernel_restart_prepare",
      "migrate_to_reboot_cpu",
      "cpu_hotplug_disable",
      "syscore_shutdown",
      "kmsg_dump",
      "machine_restart",
      "smp_send_stop",
      "do_kernel_restart",
    ]);
    expect(platform.firmware.calls).toEqual(["systemReset"]);
  });

  test("calls notifiers by falling priority, then the devices' hooks", () => {
    const { log, down } = machine();
    down((kernel) => kernel.reboot.kernel_restart());
    expect(log).toEqual(["early SYS_RESTART", "late SYS_RESTART", "shutdown nic0"]);
  });

  test("notifiers of one priority are called in order of registration", () => {
    const { kernel, log, down } = machine();
    for (const name of ["a", "b"]) register_reboot_notifier(kernel, { name, priority: 200, notifier_call: () => void log.push(name) });
    down(() => kernel.reboot.kernel_restart());
    expect(log.slice(0, 3)).toEqual(["a", "b", "early SYS_RESTART"]);
  });

  test("a notifier may sleep", () => {
    const { kernel, platform, down } = machine();
    register_reboot_notifier(kernel, { name: "slow", notifier_call: () => sleepNs(1e6) });
    down(() => kernel.reboot.kernel_restart());
    expect(platform.firmware.calls).toEqual(["systemReset"]);
  });

  test("syscore operations are shut down the last registered first, after the devices", () => {
    const { kernel, log, down } = machine();
    for (const name of ["gic", "timer"]) register_syscore_ops(kernel, { name, shutdown: () => void log.push(name) });
    down(() => kernel.reboot.kernel_restart());
    expect(log.slice(2)).toEqual(["shutdown nic0", "timer", "gic"]);
  });

  test("restart handlers are called with interrupts off, after the prepare handlers", () => {
    const { kernel, log, down } = machine();
    register_sys_off_handler(kernel, {
      name: "wdt",
      mode: "restart",
      sys_off_call: () => void log.push(`restart irqsDisabled=${kernel.cpu.irqsDisabled}`),
    });
    register_sys_off_handler(kernel, { name: "pmic", mode: "restart-prepare", sys_off_call: () => void log.push("prepare") });
    down(() => kernel.reboot.kernel_restart());
    expect(log.slice(2)).toEqual(["shutdown nic0", "prepare", "restart irqsDisabled=true"]);
  });

  test("devices go on between the end of the kernel and the reset", () => {
    const { kernel, sim, platform, down } = machine();
    kernel.reboot.resetDelayNs = 1000;
    const seen: string[] = [];
    let asleep = false;
    sim.after(500, () => seen.push(`dma, state ${kernel.state}, resets ${platform.firmware.calls.length}`));
    kernel.spawn(
      "kthread",
      (function* () {
        yield* sleepNs(700);
        asleep = true;
      })(),
    );
    down(() => kernel.reboot.kernel_restart());
    expect(seen).toEqual(["dma, state gone, resets 0"]);
    expect(platform.firmware.calls).toEqual(["systemReset"]);
    expect(asleep).toBe(false);
  });

  test("a second way down waits for the lock for ever", () => {
    const { platform, down, log } = machine();
    down(function* (kernel) {
      kernel.spawn("second", kernel.reboot.kernel_halt());
      yield* kernel.reboot.kernel_restart();
    });
    expect(platform.firmware.calls).toEqual(["systemReset"]);
    expect(log.filter((line) => line.startsWith("shutdown"))).toHaveLength(1);
  });
});

describe("kernel_halt and kernel_power_off", () => {
  test("halt tells devices and leaves the power on", () => {
    const { log, down, platform, of } = machine();
    down((kernel) => kernel.reboot.kernel_halt());
    expect(log).toEqual(["early SYS_HALT", "late SYS_HALT", "shutdown nic0"]);
    expect(platform.firmware.calls).toEqual(["halt"]);
    expect(of("kernel.state").map(({ state }) => state)).toEqual(["halt", "gone"]);
  });

  test("power-off calls its prepare handlers after the devices, its handlers with interrupts off", () => {
    const { kernel, log, down, platform } = machine();
    register_sys_off_handler(kernel, {
      name: "pmic",
      mode: "power-off",
      sys_off_call: () => void log.push(`off irqsDisabled=${kernel.cpu.irqsDisabled}`),
    });
    register_sys_off_handler(kernel, { name: "ec", mode: "power-off-prepare", sys_off_call: () => void log.push("prepare") });
    down(() => kernel.reboot.kernel_power_off());
    expect(log).toEqual(["early SYS_POWER_OFF", "late SYS_POWER_OFF", "shutdown nic0", "prepare", "off irqsDisabled=true"]);
    expect(platform.firmware.calls).toEqual(["systemOff"]);
  });
});

describe("emergency_restart", () => {
  test("runs no hook and no notifier", () => {
    const { log, down, platform, steps } = machine();
    down(function* (kernel) {
      kernel.reboot.emergency_restart();
    });
    expect(log).toEqual([]);
    expect(platform.firmware.calls).toEqual(["systemReset"]);
    expect(steps()).not.toContain("device_shutdown");
  });

  test("the caller goes no further, and that is no oops", () => {
    const { kernel, down } = machine();
    let went = false;
    down(function* () {
      kernel.reboot.emergency_restart();
      went = true;
    });
    expect(went).toBe(false);
    expect(kernel.oopses).toEqual([]);
  });

  test("may come from a timer's interrupt, while a device's event is carried out", () => {
    const { kernel, sim, platform, idle } = machine();
    kernel.reboot.resetDelayNs = 1000;
    sim.after(10, () => kernel.reboot.emergency_restart());
    idle(500);
    expect(platform.firmware.calls).toEqual([]);
    idle(1000);
    expect(platform.firmware.calls).toEqual(["systemReset"]);
  });
});

describe("panic", () => {
  test("without a crash kernel: notifiers but no device_shutdown, then the CPU hangs and devices go on", () => {
    const { kernel, log, down, platform, sim, idle } = machine();
    let kthreadRan = false;
    kernel.spawn(
      "kthread",
      (function* () {
        yield* sleepNs(1e3);
        kthreadRan = true;
      })(),
    );
    down(() => kernel.reboot.panic("test"));
    expect(log).toEqual(["panic notifier"]);
    expect(kernel.state).toBe("crashed");
    expect(kernel.oopses).toEqual([]);
    expect(platform.firmware.calls).toEqual([]);
    expect(kthreadRan).toBe(false);
    let dma = false;
    sim.after(10, () => (dma = true));
    idle(100);
    expect(dma).toBe(true);
  });

  test("with panic_timeout: waits, then restarts without any hook", () => {
    const { kernel, log, down, platform, sim } = machine();
    kernel.reboot.panic_timeout = 2;
    down(() => kernel.reboot.panic("test"));
    expect(log).toEqual(["panic notifier"]);
    expect(platform.firmware.calls).toEqual(["systemReset"]);
    expect(sim.now).toBeGreaterThanOrEqual(2e9);
  });

  test("with a crash kernel: neither notifiers nor device_shutdown, straight to the jump", () => {
    const { kernel, log, down, steps, of } = machine({ cmdline: { crashkernel: CRASHKERNEL } });
    expect(kernel.kexec.kexec_load({ kernel: build_kernel_image("kdump", 4) }, "crash")).toBe(0);
    const jumps: string[] = [];
    kernel.onJump = ({ kind }) => jumps.push(kind);
    down(() => kernel.reboot.panic("test"));
    expect(log).toEqual([]);
    expect(jumps).toEqual(["crash"]);
    expect(of("kernel.jump")).toEqual([{ from: "linux", to: "crash" }]);
    expect(steps()).toEqual([
      "panic",
      "__crash_kexec",
      "crash_setup_regs",
      "crash_save_vmcoreinfo",
      "machine_crash_shutdown",
      "crash_smp_send_stop",
      "crash_save_cpu",
      "machine_kexec_mask_interrupts",
      "machine_kexec",
    ]);
    expect(kernel.kexec.kexec_in_progress).toBe(false);
  });

  test("an oops in an interrupt handler ends here", () => {
    const { kernel, down } = machine();
    down(function* () {
      kernel.cpu.interrupt("irq 40", () => kernel.bug("broken handler"));
    });
    expect(kernel.printk.lines.some(({ text }) => text === "Kernel panic - not syncing: Fatal exception in interrupt")).toBe(true);
  });
});
