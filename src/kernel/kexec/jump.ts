// SPDX-License-Identifier: GPL-2.0-only
/**
 * A kexec jump: the kernel freezes its devices instead of shutting them down, another kernel boots and has the machine for a
 * while, and jumps back in the same way; this one goes on where it stood. Memory that the other was given is exchanged and
 * exchanged back; registers are what the other kernel made of them, unless a driver's restore callback writes them anew.
 * SMMUv3's driver has none. The one that was left waits in its turn: the next jump does not boot it again but goes on in it.
 *
 * Tasks of a kernel that is away do not run, and its clock stands still from syscore_suspend() to syscore_resume(): sleeps,
 * timeouts and timers have left afterwards what they had before (see time.ts).
 *
 * After Linux 7.1 kernel/kexec_core.c: kernel_kexec with CONFIG_KEXEC_JUMP; kernel/power/process.c: freeze_processes; drivers/base/
 * syscore.c: syscore_suspend, syscore_resume; arch/x86/kernel/relocate_kernel_64.S for the exchange of pages and the return
 * addresses. No arm64 kernel has CONFIG_KEXEC_JUMP: its kexec_load refuses the flag and its machine_kexec does not come back. This
 * shows what it would meet. Left out: user processes (freeze_processes finds none, and on this way it leaves kernel threads
 * alone), the console, the control page with its return address, which a kernel's own object stands for.
 */
import { type Coroutine, park, SimulationMisuseError, type Task } from "../../sim/index.ts";
import { local_irq_restore } from "../irq/cpu.ts";
import type { Kernel } from "../kernel.ts";
import { PAGE_SIZE } from "../mm/page-allocator.ts";
import { DpmTransition } from "../power/dpm.ts";
import type { JumpImage } from "./jump-image.ts";

/** Where a kernel that has jumped away goes on. */
export interface JumpContext {
  readonly task: Task;
  /** Who jumped there: its own return address is where the next jump goes. */
  from: Kernel | null;
}

/**
 * To the image and back. @returns 0 when the image has come back; the error of a device, a CPU or a syscore operation that
 * refused, with everything undone. Does not return if the other kernel does not come back.
 * @throws SimulationMisuseError if nobody can make the image's kernel
 */
export function* kexec_jump(kernel: Kernel, image: JumpImage): Coroutine<number> {
  if (image.start === null && kernel.kexec.bootPreserved === null) {
    throw new SimulationMisuseError("a kexec jump needs kexec.bootPreserved to make the image's kernel");
  }
  const dpm = new DpmTransition(kernel);
  for (const step of ["pm_prepare_console", "freeze_processes", "console_suspend_all"]) kernel.path(step);
  let error = yield* dpm.dpm_suspend_start();
  if (error === 0) error = yield* dpm.dpm_suspend_end();
  if (error === 0) {
    error = yield* withOneCpu(kernel, image);
    yield* dpm.dpm_resume_start("restore");
  }
  yield* dpm.dpm_resume_end("restore");
  for (const step of ["console_resume_all", "thaw_processes", "pm_restore_console"]) kernel.path(step);
  return error;
}

/** The part with no other CPU and no interrupt. */
function* withOneCpu(kernel: Kernel, image: JumpImage): Coroutine<number> {
  kernel.path("suspend_disable_secondary_cpus");
  let error = kernel.smp.freeze_secondary_cpus();
  if (error === 0) {
    kernel.path("local_irq_disable");
    kernel.cpu.irqsDisabled = true;
    error = syscore_suspend(kernel);
    if (error === 0) {
      kernel.reboot.kmsg_dump();
      yield* machine_kexec(kernel, image);
      syscore_resume(kernel);
    }
    kernel.path("local_irq_enable");
    local_irq_restore(kernel, false);
  }
  kernel.path("suspend_enable_secondary_cpus");
  kernel.smp.thaw_secondary_cpus();
  return error;
}

/** The last registered first. @returns 0, or the error of the one that refused; those before it are resumed then */
function syscore_suspend(kernel: Kernel): number {
  kernel.path("syscore_suspend");
  const { syscore } = kernel.reboot.chains;
  for (const [index, ops] of [...syscore.entries()].toReversed()) {
    const error = ops.suspend?.() ?? 0;
    if (error === 0) continue;
    kernel.printk.pr_err(`PM: System core suspend callback ${ops.name} failed.`);
    for (const done of syscore.slice(index + 1)) done.resume?.();
    return error;
  }
  return 0;
}

function syscore_resume(kernel: Kernel): void {
  kernel.path("syscore_resume");
  for (const ops of kernel.reboot.chains.syscore) ops.resume?.();
}

/**
 * The image and what lies at its destinations change places, so that neither is lost, and change back at the return: where the
 * image waited there is now what the other kernel has made of it. The CPU takes its interrupts to this kernel again.
 */
function* machine_kexec(kernel: Kernel, image: JumpImage): Coroutine<void> {
  const { kexec, irq } = kernel;
  kernel.path("machine_kexec");
  swapPages(kernel, image);
  kernel.trace.emit("kernel.jump", { from: kernel.name, to: image.start === null ? "jump" : "return" });
  irq.detach();
  image.start = yield* relocate_kernel(kernel, image);
  swapPages(kernel, image);
  kexec.context = null;
  irq.attach();
}

/** The CPU leaves for the image's entry. @returns the kernel that jumped back, when it does */
function* relocate_kernel(kernel: Kernel, image: JumpImage): Coroutine<Kernel> {
  const { kexec, sim } = kernel;
  const context: JumpContext = { task: sim.current!, from: null };
  kexec.context = context;
  if (image.start === null) {
    const other = kexec.bootPreserved!(image);
    other.kexec.jump_back_entry = kernel;
  } else {
    const there = image.start.kexec.context;
    if (there === null) throw new SimulationMisuseError(`a kexec jump from ${kernel.name} to ${image.start.name}, which waits for none`);
    there.from = kernel;
    sim.unpark(there.task);
  }
  yield* park("kexec jump");
  return context.from!;
}

function swapPages({ kexec, platform: { bus }, sim }: Kernel, { segments }: JumpImage): void {
  const here = new Uint8Array(PAGE_SIZE);
  const there = new Uint8Array(PAGE_SIZE);
  for (const { source, destination, size } of segments) {
    for (let offset = 0; offset < size; offset += PAGE_SIZE) {
      bus.readBytes(source + offset, here);
      bus.readBytes(destination + offset, there);
      bus.writeBytes(destination + offset, here);
      bus.writeBytes(source + offset, there);
      sim.advance(kexec.copyPageNs);
    }
  }
}
