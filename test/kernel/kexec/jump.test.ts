// SPDX-License-Identifier: GPL-2.0-only
/** Kexec jump: to another kernel and back, with devices frozen and nothing shut down. */
import { describe, expect, test } from "vitest";
import {
  type BootFiles,
  build_kernel_image,
  device_add,
  type Device,
  type DevPmOps,
  driver_register,
  EBUSY,
  EINVAL,
  EIO,
  firmware_load,
  type KexecImage,
  type KernelParameters,
  patternBytes,
  register_syscore_ops,
  request_irq,
} from "../../../src/kernel/index.ts";
import type { Coroutine } from "../../../src/sim/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { FakePlatform, makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const RAM = 0x8000_0000;
const MIB = 0x10_0000;
const memory = [{ base: RAM, size: 12 * MIB }];
const files: BootFiles = { kernel: build_kernel_image("other", 8), initrd: patternBytes("initrd", 5000) };

/** A booted kernel with CONFIG_KEXEC_JUMP and an image to jump to. */
function loaded(enter: (image: KexecImage) => void = () => {}, cmdline: Partial<KernelParameters> = {}): TestKernel {
  const boot = firmware_load(new FakePlatform({ memory }).bus, memory, { kernel: build_kernel_image("first", 8) });
  const machine = makeTestKernel({ memory, kernel: { boot }, cmdline });
  machine.platform.bus.writeBytes(boot.image.base, boot.image.contents);
  machine.run(machine.kernel.boot());
  const { kexec } = machine.kernel;
  kexec.config_kexec_jump = true;
  kexec.enterPreserved = function* (image) {
    enter(image);
  };
  expect(kexec.kexec_load(files, "kexec", { preserve_context: true })).toBe(0);
  return machine;
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

const jump = (machine: TestKernel): number => machine.run(machine.kernel.kexec.kernel_kexec());
const steps = (machine: TestKernel): string[] => machine.of("kernel.path").map(({ step }) => step);

describe("kexec_load with KEXEC_PRESERVE_CONTEXT", () => {
  test("is refused with -EINVAL by a kernel without CONFIG_KEXEC_JUMP, as every arm64 kernel is", () => {
    const { kernel } = makeTestKernel({ memory });
    expect(kernel.kexec.kexec_load(files, "kexec", { preserve_context: true })).toBe(-EINVAL);
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
    const machine = loaded(() => seen.push(machine.kernel.kexec.kexec_in_progress));
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
    let entered = false;
    const machine = loaded(() => (entered = true));
    const log = addDevices(machine, 2, "freeze nic0");
    expect(jump(machine)).toBe(-EIO);
    expect(entered).toBe(false);
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

  test("the other kernel runs with no secondary CPU and interrupts off; both come back", () => {
    const seen: unknown[] = [];
    const machine = loaded(() => seen.push(machine.kernel.smp.num_online_cpus, machine.kernel.cpu.irqsDisabled), { cpus: 4 });
    jump(machine);
    expect(seen).toEqual([1, true]);
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

  test("an interrupt that comes meanwhile is taken after the return", () => {
    const machine = loaded(() => machine.platform.interrupts.raise(40));
    addDevices(machine, 1);
    const taken: string[] = [];
    const nic = machine.kernel.base.findDevice("nic0")!;
    request_irq(nic, 40, () => (taken.push(steps(machine).at(-1)!), 1));
    jump(machine);
    expect(taken).toEqual(["resume_device_irqs"]);
  });

  test("the image and this kernel's memory change places, and change back", () => {
    const read = (pa: number): Uint8Array => {
      const bytes = new Uint8Array(64);
      machine.platform.bus.readBytes(pa, bytes);
      return bytes;
    };
    const machine = loaded(({ segments }) => {
      const { source, destination } = segments[0]!;
      expect(read(destination)).toEqual(files.kernel.bytes.slice(0, 64));
      expect(read(source)).toEqual(mine);
      machine.platform.bus.write32(destination, 0x600d);
    });
    const { source, destination } = machine.kernel.kexec.kexec_image!.segments[0]!;
    const mine = patternBytes("mine", 64);
    machine.platform.bus.writeBytes(destination, mine);
    expect(jump(machine)).toBe(0);
    expect(read(destination)).toEqual(mine);
    expect(machine.platform.bus.read32(source)).toBe(0x600d);
  });

  test("may be made again and again", () => {
    let entries = 0;
    const machine = loaded(() => entries++);
    const log = addDevices(machine, 1);
    expect([jump(machine), jump(machine)]).toEqual([0, 0]);
    expect(entries).toBe(2);
    expect(log.filter((line) => line === "restore nic0")).toHaveLength(2);
  });
});
