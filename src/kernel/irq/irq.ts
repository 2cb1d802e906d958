// SPDX-License-Identifier: GPL-2.0-only
/**
 * Interrupts: the CPU's entry, hard handlers, and threads. Hard handlers run at once, with interrupts off and on top of
 * whatever task runs; a threaded handler runs as task `irq/<n>-<name>`, with the line masked meanwhile if it is oneshot.
 *
 * After Linux 7.1 kernel/irq/handle.c: __handle_irq_event_percpu; kernel/irq/manage.c: irq_thread, irq_finalize_oneshot;
 * kernel/irq/spurious.c: note_interrupt. Left out: shared lines, level and edge flows, affinity, irq domains, forced threading.
 */
import { type Coroutine, type Task, WaitQueue, waitEvent } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import type { LockdepMap } from "../debug/lockdep.ts";
import { EBUSY } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { of_walk } from "../of/dt.ts";
import { MsiDomain } from "./msi.ts";

/** What a handler says: it was not for me, it is done, the thread shall do it. */
export const IrqReturn = { IRQ_NONE: 0, IRQ_HANDLED: 1, IRQ_WAKE_THREAD: 2 } as const;
export type IrqReturn = (typeof IrqReturn)[keyof typeof IrqReturn];
export const IRQ_NONE: 0 = IrqReturn.IRQ_NONE;
export const IRQ_HANDLED: 1 = IrqReturn.IRQ_HANDLED;
export const IRQ_WAKE_THREAD: 2 = IrqReturn.IRQ_WAKE_THREAD;

/** A hard handler: plain, or a coroutine that is run to its end at once and must not sleep. */
export type IrqHandler = (irq: number) => IrqReturn | Coroutine<IrqReturn>;
export type IrqThread = (irq: number) => Coroutine<IrqReturn>;

export interface IrqOptions {
  /** Default: the device's name. */
  readonly name?: string;
  /** Runs as a task when the hard handler says IRQ_WAKE_THREAD. */
  readonly thread?: IrqThread;
  /** IRQF_ONESHOT: the line stays masked until the thread is done. */
  readonly oneshot?: boolean;
  /** IRQF_NO_AUTOEN: enabled by the first enable_irq. */
  readonly noAutoEnable?: boolean;
}

/** Linux's `struct irqaction`, with what concerns its line. */
export class IrqAction {
  readonly intid: number;
  readonly name: string;
  readonly dev: Device;
  readonly handler: IrqHandler | null;
  readonly thread: IrqThread | null;
  readonly oneshot: boolean;
  /** disable_irq nests; the line is enabled at depth 0. */
  depth: number;
  /** Masked until the thread of a oneshot interrupt is done. */
  maskedByOneshot: boolean = false;
  /** The thread has been asked to run and has not begun that run. */
  wanted: boolean = false;
  threadRunning: boolean = false;
  count: number = 0;
  unhandled: number = 0;
  task: Task | null = null;
  readonly wake: WaitQueue;
  readonly idle: WaitQueue;
  /** The run of the thread, for lockdep. */
  readonly map: LockdepMap;

  constructor(dev: Device, intid: number, handler: IrqHandler | null, options: IrqOptions) {
    this.dev = dev;
    this.intid = intid;
    this.name = options.name ?? dev.name;
    this.handler = handler;
    this.thread = options.thread ?? null;
    this.oneshot = options.oneshot ?? false;
    this.depth = options.noAutoEnable ? 1 : 0;
    this.wake = new WaitQueue(`irq/${intid}-${this.name}`);
    this.idle = new WaitQueue(`synchronize_irq ${intid}`);
    this.map = dev.kernel.debug.lockdep.pseudo(`(irq)${intid}-${this.name}`);
  }
}

/** Interrupts taken in a row before the interrupted task goes on; more would only hide a stuck line from every limit. */
const INTERRUPTS_PER_ENTRY = 64;
/** Virtual nanoseconds from the interrupt to its handler and back. */
const ENTRY_NS = 100;
/** Linux's note_interrupt: so many in 100 000 unhandled, and the line is switched off. */
const UNHANDLED_LIMIT = 99_900;
const UNHANDLED_WINDOW = 100_000;

export class IrqCore {
  readonly msi: MsiDomain;
  readonly #kernel: Kernel;
  readonly #actions = new Map<number, IrqAction>();
  readonly #hook: () => void = () => this.#enter();
  readonly #softirqs: { readonly name: string; readonly run: () => void }[] = [];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.msi = new MsiDomain(kernel);
  }

  /** The CPU takes its interrupts to this kernel from now on. */
  attach(): void {
    this.#kernel.sim.interruptHook = this.#hook;
  }

  /** The CPU no longer takes interrupts to this kernel, until {@link attach}. */
  detach(): void {
    if (this.#kernel.sim.interruptHook === this.#hook) this.#kernel.sim.interruptHook = null;
  }

  /** Never again. */
  stop(): void {
    this.detach();
    this.#softirqs.length = 0;
  }

  /** Linux's `init_IRQ`: every interrupt that the device tree names is off until it is requested, whoever ran before. */
  init(): void {
    const { platform } = this.#kernel;
    for (const node of of_walk(platform.deviceTree)) for (const intid of node.interrupts ?? []) platform.interrupts.enable(intid, false);
    for (const intid of this.msi.range()) platform.interrupts.enable(intid, false);
    this.attach();
  }

  /** Has the CPU run something when it leaves its interrupts (an expired timer), as an interrupt of that name. */
  raiseSoftirq(name: string, run: () => void): void {
    this.#softirqs.push({ name, run });
  }

  /** The interrupts that a device's driver has requested. */
  requestedBy(dev: Device): { readonly intid: number; readonly name: string }[] {
    return [...this.#actions.values()].filter((action) => action.dev === dev);
  }

  action(intid: number): IrqAction | undefined {
    return this.#actions.get(intid);
  }

  /** How often the interrupt was taken since it was requested. */
  count(intid: number): number {
    return this.#actions.get(intid)?.count ?? 0;
  }

  /** What the CPU does where it may take an interrupt. */
  #enter(): void {
    const { cpu, debug, platform, sim, time } = this.#kernel;
    if (time.ktime_get() >= debug.hung.nextCheck) debug.hung.check();
    if (!cpu.mayTakeInterrupts) return;
    for (let i = 0; i < INTERRUPTS_PER_ENTRY; i++) {
      const intid = platform.interrupts.acknowledge();
      if (intid < 0) break;
      cpu.interrupt(`irq/${intid}`, () => {
        sim.advance(ENTRY_NS);
        this.#handle(intid);
        platform.interrupts.complete(intid);
      });
      if (sim.interruptHook !== this.#hook) return;
    }
    for (let softirq = this.#softirqs.shift(); softirq; softirq = this.#softirqs.shift()) cpu.interrupt(softirq.name, softirq.run);
  }

  #handle(intid: number): void {
    const kernel = this.#kernel;
    const action = this.#actions.get(intid);
    if (!action) {
      kernel.platform.interrupts.enable(intid, false);
      kernel.printk.pr_emerg(`unexpected IRQ trap at vector ${intid}`);
      this.#trace(intid, "", "spurious");
      return;
    }
    action.count++;
    if (action.oneshot && action.thread) {
      action.maskedByOneshot = true;
      this.update(action);
    }
    this.#trace(intid, action.name, "hard");
    let ret: IrqReturn = IRQ_WAKE_THREAD;
    if (action.handler) {
      const answer = action.handler(intid);
      ret = typeof answer === "number" ? answer : kernel.sim.runAtomic(answer);
    }
    if (ret === IRQ_WAKE_THREAD && action.thread) {
      action.wanted = true;
      action.wake.wake();
    } else if (action.maskedByOneshot && !action.wanted && !action.threadRunning) {
      action.maskedByOneshot = false;
      this.update(action);
    }
    this.#noteInterrupt(action, ret);
  }

  #noteInterrupt(action: IrqAction, ret: IrqReturn): void {
    if (ret === IRQ_NONE) action.unhandled++;
    if (action.count % UNHANDLED_WINDOW !== 0) return;
    if (action.unhandled > UNHANDLED_LIMIT) {
      this.#kernel.printk.pr_emerg(`irq ${action.intid}: nobody cared (try booting with the "irqpoll" option)`);
      this.#kernel.printk.pr_emerg(`Disabling IRQ #${action.intid}`);
      action.depth++;
      this.update(action);
      this.#trace(action.intid, action.name, "disabled");
    }
    action.unhandled = 0;
  }

  #trace(intid: number, name: string, what: "hard" | "thread" | "spurious" | "disabled"): void {
    const { trace } = this.#kernel;
    if (trace.wants("kernel.irq")) trace.emit("kernel.irq", { kernel: this.#kernel.name, intid, name, what });
  }

  /** Tells the controller whether the line is to be enabled. */
  update(action: IrqAction): void {
    this.#kernel.platform.interrupts.enable(action.intid, action.depth === 0 && !action.maskedByOneshot);
  }

  add(action: IrqAction): number {
    if (this.#actions.has(action.intid)) return -EBUSY;
    this.#actions.set(action.intid, action);
    if (action.thread) action.task = this.#kernel.spawn(`irq/${action.intid}-${action.name}`, this.#runThread(action), { daemon: true });
    this.update(action);
    return 0;
  }

  remove(action: IrqAction): void {
    this.#kernel.platform.interrupts.enable(action.intid, false);
    this.#actions.delete(action.intid);
    if (action.task) this.#kernel.sim.killTask(action.task);
  }

  *#runThread(action: IrqAction): Coroutine<void> {
    for (;;) {
      yield* waitEvent(action.wake, () => action.wanted);
      action.wanted = false;
      action.threadRunning = true;
      this.#trace(action.intid, action.name, "thread");
      const { lockdep } = this.#kernel.debug;
      lockdep.acquire(action.map);
      yield* action.thread!(action.intid);
      lockdep.release(action.map);
      action.threadRunning = false;
      if (action.maskedByOneshot && !action.wanted) {
        action.maskedByOneshot = false;
        this.update(action);
      }
      action.idle.wake();
    }
  }
}
