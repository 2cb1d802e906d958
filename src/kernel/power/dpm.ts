// SPDX-License-Identifier: GPL-2.0-only
/**
 * Devices on the way into a system-wide transition and back: each phase passes all devices, down from the tail of the list, up
 * from its head. After Linux 7.1 drivers/base/power/main.c: dpm_prepare, dpm_suspend, dpm_suspend_late, dpm_suspend_noirq,
 * dpm_resume_noirq, dpm_resume_early, dpm_resume, dpm_complete; kernel/irq/pm.c: suspend_device_irqs, resume_device_irqs.
 *
 * dpm_list is the list of devices here: the two differ only with `ksetPolicy: "probe-4.3"`. A device without a callback is passed
 * in silence, whatever its registers will have lost. Left out: asynchronous phases, direct_complete, syscore devices, wake-up,
 * IRQF_NO_SUSPEND, device types, legacy bus callbacks, and what the PCI bus itself does (it saves and restores configurations).
 */
import type { Coroutine } from "../../sim/index.ts";
import { device_block_probing, device_unblock_probing, wait_for_device_probe } from "../base/deferred.ts";
import type { Device } from "../base/device.ts";
import { callbackOf } from "../base/power/callbacks.ts";
import { pm_runtime_barrier, pm_runtime_disable, pm_runtime_enable } from "../base/power/enable.ts";
import { pm_runtime_get_noresume, pm_runtime_put } from "../base/power/pm-runtime.ts";
import { EAGAIN } from "../errno.ts";
import { disable_irq, enable_irq } from "../irq/manage.ts";
import type { Kernel } from "../kernel.ts";

/** The way back: PMSG_RESTORE after somebody else had the hardware, PMSG_RECOVER where the way down failed. */
export type PmResumeMessage = "restore" | "recover";

const RESUME = {
  restore: { noirq: "restore_noirq", early: "restore_early", resume: "restore" },
  recover: { noirq: "thaw_noirq", early: "thaw_early", resume: "thaw" },
} as const;

/** One transition, down with PMSG_FREEZE and up again. A device stands in the list of the last phase that it has passed. */
export class DpmTransition {
  readonly #kernel: Kernel;
  readonly #prepared: Device[] = [];
  readonly #suspended: Device[] = [];
  readonly #late: Device[] = [];
  readonly #noirq: Device[] = [];
  #irqs: number[] = [];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** @returns 0, or the error of the first device that refused */
  *dpm_suspend_start(): Coroutine<number> {
    this.#kernel.path("dpm_suspend_start");
    const error = yield* this.#prepare();
    return error === 0 ? yield* this.#suspend() : error;
  }

  /** @returns 0, or the error of the first device that refused; then those that had gone further are back where it stands */
  *dpm_suspend_end(): Coroutine<number> {
    this.#kernel.path("dpm_suspend_end");
    let error = yield* this.#suspendLate();
    if (error !== 0) return error;
    error = yield* this.#suspendNoirq();
    if (error !== 0) yield* this.#resumeEarly("recover");
    return error;
  }

  *dpm_resume_start(message: PmResumeMessage): Coroutine<void> {
    this.#kernel.path("dpm_resume_start");
    yield* this.#resumeNoirq(message);
    yield* this.#resumeEarly(message);
  }

  *dpm_resume_end(message: PmResumeMessage): Coroutine<void> {
    this.#kernel.path("dpm_resume_end");
    yield* this.#resume(message);
    yield* this.#complete();
  }

  *#prepare(): Coroutine<number> {
    const kernel = this.#kernel;
    kernel.path("dpm_prepare");
    yield* wait_for_device_probe(kernel);
    yield* device_block_probing(kernel);
    for (const dev of kernel.base.devices()) {
      pm_runtime_get_noresume(dev);
      const error = yield* this.#locked(dev, callbackOf(dev, "prepare"));
      if (error >= 0) {
        this.#prepared.push(dev);
        continue;
      }
      pm_runtime_put(dev);
      if (error === -EAGAIN) continue;
      kernel.printk.dev_info(dev, `not prepared for power transition: code ${error}`);
      return error;
    }
    return 0;
  }

  *#suspend(): Coroutine<number> {
    this.#kernel.path("dpm_suspend");
    return yield* this.#down(this.#prepared, this.#suspended, "", function* (this: DpmTransition, dev) {
      yield* pm_runtime_barrier(dev);
      return yield* this.#locked(dev, callbackOf(dev, "freeze"));
    });
  }

  *#suspendLate(): Coroutine<number> {
    this.#kernel.path("dpm_suspend_late");
    const error = yield* this.#down(this.#suspended, this.#late, " late", function* (dev) {
      yield* pm_runtime_disable(dev, false);
      const failed = yield* call(dev, callbackOf(dev, "freeze_late"));
      if (failed !== 0) pm_runtime_enable(dev);
      return failed;
    });
    if (error !== 0) yield* this.#resumeEarly("recover");
    return error;
  }

  *#suspendNoirq(): Coroutine<number> {
    this.#kernel.path("dpm_suspend_noirq");
    yield* this.#suspendDeviceIrqs();
    const error = yield* this.#down(this.#late, this.#noirq, " noirq", (dev) => call(dev, callbackOf(dev, "freeze_noirq")));
    if (error !== 0) yield* this.#resumeNoirq("recover");
    return error;
  }

  *#resumeNoirq(message: PmResumeMessage): Coroutine<void> {
    this.#kernel.path("dpm_resume_noirq");
    yield* this.#up(this.#noirq, this.#late, message, " noirq", (dev) => call(dev, callbackOf(dev, RESUME[message].noirq)));
    this.#kernel.path("resume_device_irqs");
    for (const irq of this.#irqs.splice(0)) enable_irq(this.#kernel, irq);
  }

  *#resumeEarly(message: PmResumeMessage): Coroutine<void> {
    this.#kernel.path("dpm_resume_early");
    yield* this.#up(this.#late, this.#suspended, message, " early", function* (dev) {
      const error = yield* call(dev, callbackOf(dev, RESUME[message].early));
      pm_runtime_enable(dev);
      return error;
    });
  }

  *#resume(message: PmResumeMessage): Coroutine<void> {
    this.#kernel.path("dpm_resume");
    yield* this.#up(this.#suspended, this.#prepared, message, "", (dev) => this.#locked(dev, callbackOf(dev, RESUME[message].resume)));
  }

  *#complete(): Coroutine<void> {
    this.#kernel.path("dpm_complete");
    for (let dev = this.#prepared.pop(); dev; dev = this.#prepared.pop()) {
      const { bus, dev_class, driver, pm_domain } = dev;
      const complete = (pm_domain?.ops ?? dev_class?.pm ?? bus?.pm)?.complete ?? driver?.pm?.complete;
      yield* dev.mutex.lock("device_complete");
      if (complete) yield* complete(dev);
      dev.mutex.unlock();
      pm_runtime_put(dev);
    }
    device_unblock_probing(this.#kernel);
  }

  /** Every line that a device has requested is off, and its thread at rest. */
  *#suspendDeviceIrqs(): Coroutine<void> {
    this.#kernel.path("suspend_device_irqs");
    const { irq: core } = this.#kernel;
    this.#irqs = this.#kernel.base.devices().flatMap((dev) => core.requestedBy(dev).map(({ intid }) => intid));
    for (const irq of this.#irqs) yield* disable_irq(this.#kernel, irq);
  }

  /** Moves devices from one phase to the next, the tail first; the first that refuses ends it and stays where it is. */
  *#down(from: Device[], to: Device[], phase: string, step: (this: DpmTransition, dev: Device) => Coroutine<number>): Coroutine<number> {
    for (let dev = from.at(-1); dev; dev = from.at(-1)) {
      const error = yield* step.call(this, dev);
      if (error !== 0) {
        this.#kernel.printk.dev_err(dev, `PM: failed to freeze${phase}: error ${error}`);
        return error;
      }
      from.pop();
      to.unshift(dev);
    }
    return 0;
  }

  /** And back, the head first. Nobody can refuse: errors are only told. */
  *#up(from: Device[], to: Device[], message: PmResumeMessage, phase: string, step: (dev: Device) => Coroutine<number>): Coroutine<void> {
    for (let dev = from.shift(); dev; dev = from.shift()) {
      to.push(dev);
      const error = yield* step(dev);
      if (error !== 0) this.#kernel.printk.dev_err(dev, `PM: failed to ${message}${phase}: error ${error}`);
    }
  }

  *#locked(dev: Device, callback: ReturnType<typeof callbackOf>): Coroutine<number> {
    if (!callback) return 0;
    yield* dev.mutex.lock("device_pm");
    const error = yield* callback(dev);
    dev.mutex.unlock();
    return error;
  }
}

function* call(dev: Device, callback: ReturnType<typeof callbackOf>): Coroutine<number> {
  return callback ? yield* callback(dev) : 0;
}
