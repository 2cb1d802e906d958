// SPDX-License-Identifier: GPL-2.0-only
/** What a panic and other ends without shutdown call, in Linux's order. */
import { describe, expect, test } from "vitest";
import {
  build_kernel_image,
  type KernelParameters,
  kmsg_dump_register,
  kmsg_dump_unregister,
  type KmsgDumper,
  register_panic_notifier,
} from "../../../src/kernel/index.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const CRASHKERNEL = { base: 0x8800_0000, size: 0x40_0000 };

interface Machine extends TestKernel {
  readonly log: string[];
  readonly jumps: string[];
  steps(): string[];
}

/** With a panic notifier that writes down what it sees, and a crash kernel if asked for. */
function machine(crash: boolean, cmdline: Partial<KernelParameters> = {}): Machine {
  const base = makeTestKernel({ cmdline: { ...cmdline, ...(crash ? { crashkernel: CRASHKERNEL } : {}) } });
  const { kernel } = base;
  const log: string[] = [];
  const jumps: string[] = [];
  kernel.onJump = ({ kind }) => jumps.push(kind);
  if (crash) expect(kernel.kexec.kexec_load({ kernel: build_kernel_image("kdump", 4) }, "crash")).toBe(0);
  register_panic_notifier(kernel, { name: "notifier", notifier_call: (message) => void log.push(`notifier: ${message}`) });
  return { ...base, log, jumps, steps: () => base.of("kernel.path").map(({ step }) => step) };
}

function panic(on: Machine): void {
  on.kernel.spawn("task", on.kernel.reboot.panic("test"));
  on.idle(1e6);
}

describe("panic", () => {
  test("without a crash kernel: other CPUs are stopped, then the notifiers, then the log is dumped", () => {
    const on = machine(false);
    panic(on);
    expect(on.steps()).toEqual(["panic", "panic_other_cpus_shutdown", "smp_send_stop", "panic_notifier_list", "kmsg_dump"]);
  });

  test("crash_kexec_post_notifiers: the notifiers and the log come before the jump, other CPUs stop once with their registers saved", () => {
    const on = machine(true, { crashKexecPostNotifiers: true });
    panic(on);
    expect(on.log).toEqual(["notifier: test"]);
    expect(on.jumps).toEqual(["crash"]);
    expect(on.steps()).toEqual([
      "panic",
      "panic_other_cpus_shutdown",
      "crash_smp_send_stop",
      "panic_notifier_list",
      "kmsg_dump",
      "__crash_kexec",
      "crash_setup_regs",
      "crash_save_vmcoreinfo",
      "machine_crash_shutdown",
      "crash_save_cpu",
      "machine_kexec_mask_interrupts",
      "machine_kexec",
    ]);
  });

  test("crash_kexec_post_notifiers without a crash kernel ends as any panic", () => {
    const on = machine(false, { crashKexecPostNotifiers: true });
    panic(on);
    expect(on.log).toEqual(["notifier: test"]);
    expect(on.jumps).toEqual([]);
    expect(on.kernel.state).toBe("crashed");
  });

  test("panic_timeout below 0 restarts at once, through emergency_restart", () => {
    const on = machine(false);
    on.kernel.reboot.panic_timeout = -1;
    panic(on);
    expect(on.steps().slice(-6)).toEqual([
      "emergency_restart",
      "kmsg_dump",
      "machine_emergency_restart",
      "machine_restart",
      "smp_send_stop",
      "do_kernel_restart",
    ]);
    expect(on.platform.firmware.calls).toEqual(["systemReset"]);
  });
});

describe("crash_kexec", () => {
  const fault = (on: Machine): void => {
    on.kernel.spawn(
      "task",
      (function* () {
        on.kernel.cpu.interrupt("irq 40", () => on.kernel.bug("broken handler"));
      })(),
    );
    on.idle(1e6);
  };

  test("code that dies in an interrupt goes to the crash kernel before there is a panic", () => {
    const on = machine(true);
    fault(on);
    expect(on.jumps).toEqual(["crash"]);
    expect(on.steps().slice(0, 2)).toEqual(["crash_kexec", "__crash_kexec"]);
    expect(on.steps()).not.toContain("panic");
  });

  test("so does a task that oopses with oops=panic, and one oops is all there is", () => {
    const on = machine(true, { panicOnOops: true });
    on.kernel.spawn(
      "task",
      (function* () {
        on.kernel.bug("broken task");
      })(),
    );
    on.idle(1e6);
    expect(on.jumps).toEqual(["crash"]);
    expect(on.kernel.oopses).toHaveLength(1);
  });

  test("crash_kexec_post_notifiers: it is left to the panic, whose notifiers run", () => {
    const on = machine(true, { crashKexecPostNotifiers: true });
    fault(on);
    expect(on.log).toEqual(["notifier: Fatal exception in interrupt"]);
    expect(on.steps()).not.toContain("crash_kexec");
    expect(on.jumps).toEqual(["crash"]);
  });
});

describe("kmsg_dump", () => {
  const dumper = (log: string[], max_reason?: KmsgDumper["max_reason"]): KmsgDumper => ({
    name: "pstore",
    ...(max_reason === undefined ? {} : { max_reason }),
    dump: (reason) => void log.push(reason),
  });

  test("a dumper hears of panics and not of orderly ends, unless it asks for them", () => {
    const usual: string[] = [];
    const all: string[] = [];
    for (const way of ["panic", "restart"]) {
      const on = machine(false);
      kmsg_dump_register(on.kernel, dumper(usual));
      kmsg_dump_register(on.kernel, dumper(all, "KMSG_DUMP_SHUTDOWN"));
      on.kernel.spawn("task", way === "panic" ? on.kernel.reboot.panic("test") : on.kernel.reboot.kernel_restart());
      on.idle(1e6);
    }
    expect(usual).toEqual(["KMSG_DUMP_PANIC"]);
    expect(all).toEqual(["KMSG_DUMP_PANIC", "KMSG_DUMP_SHUTDOWN"]);
  });

  test("emergency_restart dumps as an emergency", () => {
    const on = machine(false);
    const heard: string[] = [];
    kmsg_dump_register(on.kernel, dumper(heard, "KMSG_DUMP_EMERG"));
    on.kernel.reboot.emergency_restart();
    expect(heard).toEqual(["KMSG_DUMP_EMERG"]);
  });

  test("a panic that jumps to a crash kernel at once dumps nothing", () => {
    const on = machine(true);
    const heard: string[] = [];
    kmsg_dump_register(on.kernel, dumper(heard));
    panic(on);
    expect(heard).toEqual([]);
  });

  test("who has unregistered is not called", () => {
    const on = machine(false);
    const heard: string[] = [];
    const gone = dumper(heard);
    kmsg_dump_register(on.kernel, gone);
    kmsg_dump_unregister(on.kernel, gone);
    panic(on);
    expect(heard).toEqual([]);
  });
});
