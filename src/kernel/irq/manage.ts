// SPDX-License-Identifier: GPL-2.0-only
/**
 * What drivers do with interrupts: request and free them, enable and disable them, wait for their handlers.
 *
 * After Linux 7.1 kernel/irq/manage.c: request_threaded_irq, free_irq, synchronize_irq, disable_irq, enable_irq; kernel/irq/devres.c. Left
 * out: sharing, wake-up, affinity, NMIs, percpu interrupts.
 */
import { type Coroutine, waitEvent } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import { devm_add_action } from "../base/devres.ts";
import { uninterruptible } from "../debug/hung-task.ts";
import { might_sleep } from "../debug/might-sleep.ts";
import { EINVAL } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { IrqAction, type IrqHandler, type IrqOptions } from "./irq.ts";

/**
 * Linux's `request_threaded_irq`, without sharing. Without a hard handler the thread does everything.
 * @returns 0, -EINVAL (no handler at all; a thread without hard handler that is not oneshot), -EBUSY (taken)
 */
export function request_threaded_irq(dev: Device, irq: number, handler: IrqHandler | null, options: IrqOptions = {}): number {
  if (irq < 0 || (!handler && !options.thread)) return -EINVAL;
  if (!handler && !options.oneshot) {
    dev.kernel.printk.pr_err(`Threaded irq requested with handler=NULL and !ONESHOT for ${options.name ?? dev.name} (irq ${irq})`);
    return -EINVAL;
  }
  return dev.kernel.irq.add(new IrqAction(dev, irq, handler, options));
}

/** Linux's `request_irq`. @returns as {@link request_threaded_irq} */
export function request_irq(dev: Device, irq: number, handler: IrqHandler, options: IrqOptions = {}): number {
  return request_threaded_irq(dev, irq, handler, options);
}

/** Linux's `devm_request_threaded_irq`. @returns as {@link request_threaded_irq} */
export function devm_request_threaded_irq(dev: Device, irq: number, handler: IrqHandler | null, options: IrqOptions = {}): number {
  const ret = request_threaded_irq(dev, irq, handler, options);
  if (ret === 0) devm_add_action(dev, `irq ${irq}`, () => free_irq(dev, irq));
  return ret;
}

/** Linux's `devm_request_irq`. @returns as {@link request_threaded_irq} */
export function devm_request_irq(dev: Device, irq: number, handler: IrqHandler, options: IrqOptions = {}): number {
  return devm_request_threaded_irq(dev, irq, handler, options);
}

/** Linux's `free_irq`: masks the line, waits until handlers are done, forgets them. */
export function* free_irq(dev: Device, irq: number): Coroutine<void> {
  const { irq: core } = dev.kernel;
  might_sleep(dev.kernel, "free_irq", irq);
  const action = core.action(irq);
  if (!action) {
    dev.kernel.printk.pr_warn(`Trying to free already-free IRQ ${irq}`);
    return;
  }
  dev.kernel.platform.interrupts.enable(irq, false);
  action.depth++;
  yield* synchronize_irq(dev.kernel, irq);
  core.remove(action);
}

/** Linux's `synchronize_irq`: the thread has finished what it was woken for. Hard handlers never outlast a step. */
export function* synchronize_irq(kernel: Kernel, irq: number): Coroutine<void> {
  const action = kernel.irq.action(irq);
  might_sleep(kernel, "synchronize_irq", irq);
  if (!action?.thread) return;
  kernel.debug.lockdep.waitFor(action.map);
  const done = waitEvent(action.idle, () => !action.wanted && !action.threadRunning);
  yield* uninterruptible(kernel, action.name, done);
}

/** Linux's `disable_irq_nosync`. Nests. */
export function disable_irq_nosync(kernel: Kernel, irq: number): void {
  const action = kernel.irq.action(irq);
  if (!action) return;
  action.depth++;
  kernel.irq.update(action);
}

/** Linux's `disable_irq`: disables and waits for the thread. */
export function* disable_irq(kernel: Kernel, irq: number): Coroutine<void> {
  disable_irq_nosync(kernel, irq);
  yield* synchronize_irq(kernel, irq);
}

/** Linux's `enable_irq`; interrupts that are pending are taken now. */
export function enable_irq(kernel: Kernel, irq: number): void {
  const action = kernel.irq.action(irq);
  if (!action) return;
  if (action.depth === 0) {
    kernel.printk.pr_warn(`Unbalanced enable for IRQ ${irq}`);
    return;
  }
  action.depth--;
  kernel.irq.update(action);
  kernel.sim.pollInterrupts();
}
