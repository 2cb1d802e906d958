// SPDX-License-Identifier: GPL-2.0-only
/**
 * A kernel: its parts, its boot, its end. Several kernels may live one after another on one machine (kexec, kdump); each
 * is an object of its own with its own tasks.
 */
import { type Coroutine, type Simulation, SimulationMisuseError, type Task, TaskGroup, type TraceSink } from "../sim/index.ts";
import { DeviceCore } from "./base/core.ts";
import type { Device } from "./base/device.ts";
import { boot } from "./boot-sequence.ts";
import { ClkCore } from "./clk/clk.ts";
import type { BootInfo } from "./boot/boot-info.ts";
import { KernelDebug } from "./debug/debug.ts";
import { DmaCore } from "./dma/dma.ts";
import type { KernelEvents, KernelState } from "./events.ts";
import type { DriverModule } from "./initcall.ts";
import { Mmio } from "./io/io.ts";
import { IommuCore } from "./iommu/iommu.ts";
import { CpuState, preemptible } from "./irq/cpu.ts";
import { IrqCore } from "./irq/irq.ts";
import { KexecCore, type KexecImage } from "./kexec/kexec.ts";
import { PageAllocator } from "./mm/page-allocator.ts";
import { OpenFirmware } from "./of/of.ts";
import { describeError, KernelBug, KernelStopped, type OopsRecord, Oopses, type WarningRecord, type WarnOptions } from "./oops.ts";
import { defaultParameters, type KernelParameters } from "./params.ts";
import { PciCore } from "./pci/pci.ts";
import type { Platform } from "./ports.ts";
import { Printk } from "./printk.ts";
import { RegulatorCore } from "./regulator/regulator.ts";
import { RebootCore, register_syscore_ops } from "./reboot/reboot.ts";
import { Smp } from "./smp/smp.ts";
import { Time } from "./time/time.ts";
import { Workqueues } from "./time/workqueue.ts";

export interface KernelOptions {
  readonly name: string;
  readonly simulation: Simulation;
  readonly platform: Platform;
  readonly cmdline?: Partial<KernelParameters>;
  readonly trace: TraceSink<KernelEvents>;
  readonly drivers: readonly DriverModule[];
  /** The only memory this kernel may use: a crash kernel's reserve. Default: all RAM. */
  readonly memoryLimits?: { readonly base: number; readonly size: number };
  /** How this kernel was started and where it lies. Without it no kernel text is executed. */
  readonly boot?: BootInfo;
}

/** The CPU leaves a kernel: where to. */
export interface KernelJump {
  readonly kind: "kexec" | "crash";
  readonly image: KexecImage;
}

export class Kernel {
  readonly name: string;
  readonly sim: Simulation;
  readonly platform: Platform;
  readonly trace: TraceSink<KernelEvents>;
  readonly params: KernelParameters;
  readonly drivers: readonly DriverModule[];
  readonly memoryLimits: { readonly base: number; readonly size: number } | null;
  readonly bootInfo: BootInfo | null;
  /** Everything that runs in this kernel. Start tasks by {@link spawn}, which gives them a kernel's rules. */
  readonly tasks: TaskGroup;
  readonly printk: Printk;
  readonly debug: KernelDebug;
  readonly cpu: CpuState;
  readonly smp: Smp;
  readonly io: Mmio;
  readonly irq: IrqCore;
  readonly time: Time;
  readonly workqueues: Workqueues;
  readonly base: DeviceCore;
  readonly of: OpenFirmware;
  readonly mm: PageAllocator;
  readonly iommu: IommuCore;
  readonly dma: DmaCore;
  readonly clk: ClkCore;
  readonly regulator: RegulatorCore;
  readonly pci: PciCore;
  readonly reboot: RebootCore;
  readonly kexec: KexecCore;
  /** Called when the CPU leaves for another kernel; whoever built the machine starts that one. */
  onJump: ((jump: KernelJump) => void) | null = null;

  #state: KernelState = "booting";
  readonly #oopses: Oopses;

  constructor(options: KernelOptions) {
    this.name = options.name;
    this.sim = options.simulation;
    this.platform = options.platform;
    this.trace = options.trace;
    this.params = { ...defaultParameters, ...options.cmdline };
    this.drivers = options.drivers;
    this.memoryLimits = options.memoryLimits ?? null;
    this.bootInfo = options.boot ?? null;
    this.tasks = new TaskGroup(options.name);
    this.tasks.onError = (task, error) => this.#oopses.taskFailed(task, error);
    this.printk = new Printk(this.name, () => this.time.ktime_get(), this.trace);
    this.#oopses = new Oopses(this);
    this.debug = new KernelDebug(this);
    this.cpu = new CpuState(this);
    this.smp = new Smp(this);
    this.io = new Mmio(this);
    this.time = new Time(this);
    this.irq = new IrqCore(this);
    this.workqueues = new Workqueues(this);
    this.base = new DeviceCore(this);
    this.of = new OpenFirmware(this);
    this.mm = new PageAllocator(this);
    this.iommu = new IommuCore(this);
    this.dma = new DmaCore(this);
    this.clk = new ClkCore(this);
    this.regulator = new RegulatorCore(this);
    this.pci = new PciCore(this);
    this.reboot = new RebootCore(this);
    register_syscore_ops(this, this.time.syscore_ops);
    this.kexec = new KexecCore(this);
  }

  get state(): KernelState {
    return this.#state;
  }

  /** Moves to another state and traces it; from `gone` there is no way back. */
  setState(state: KernelState): void {
    if (this.#state === state || this.#state === "gone") return;
    this.#state = state;
    this.trace.emit("kernel.state", { kernel: this.name, state });
  }

  /** Core init, initcalls by level and link order, modules, deferred probes; ends in state `running`. */
  *boot(): Coroutine<void> {
    yield* boot(this);
  }

  /**
   * Starts a task of this kernel. In sections with interrupts or preemption disabled its polls spin, and sleeping is a bug.
   * @param options.daemon the task may wait for ever without being a deadlock
   */
  spawn(name: string, body: Coroutine<unknown>, options: { readonly daemon?: boolean } = {}): Task {
    return this.sim.spawn(name, this.tasks, preemptible(this, body), options);
  }

  /** The name of what the CPU runs, for reports and lock owners. */
  get currentTask(): string {
    if (this.cpu.interruptName !== null) return this.cpu.interruptName;
    return this.sim.current?.name ?? "swapper/0";
  }

  /**
   * Reports that the kernel hurt itself, as Linux's die(): log, `kernel.oops`, state `crashed`. With `oops=panic`, and
   * always in an interrupt handler, the kernel panics. Returns; {@link bug} is for code that cannot go on.
   */
  oops(message: string, options: { readonly device?: Device; readonly task?: string; readonly error?: unknown } = {}): void {
    this.#oopses.oops(message, options);
  }

  /** Reports something wrong that the kernel survives, as Linux's WARN: log and `kernel.warn`. With `panic_on_warn` the kernel panics. */
  warn(message: string, device?: Device, options: WarnOptions = {}): void {
    this.#oopses.warn(message, device ?? null, options);
  }

  /** All warnings so far. */
  get warnings(): readonly WarningRecord[] {
    return this.#oopses.warnings;
  }

  /** All oopses so far. */
  get oopses(): readonly OopsRecord[] {
    return this.#oopses.records;
  }

  /** Ends the running code with an oops. @throws KernelBug always */
  bug(message: string, device?: Device): never {
    throw new KernelBug(message, device);
  }

  /** Oopses with what was caught where an error cannot be passed on (an interrupt handler, a timer). */
  oopsFromError(error: unknown): void {
    if (error instanceof KernelStopped || error instanceof SimulationMisuseError) throw error;
    this.#oopses.oops(describeError(error), { error, ...(error instanceof KernelBug && error.device ? { device: error.device } : {}) });
  }

  /** One step of a way down, traced by the name of Linux's function. */
  path(step: string): void {
    this.trace.emit("kernel.path", { kernel: this.name, step });
  }

  /**
   * The CPU stops running this kernel: a reset, power-off, halt or jump. Its tasks and timers end where they stand. What
   * runs at this moment must not go on: `yield* never()`.
   */
  stop(): void {
    this.debug.ended();
    this.irq.stop();
    this.time.stop();
    this.sim.kill(this.tasks);
    const first = this.#state !== "gone";
    this.setState("gone");
    if (first) this.kexec.stop();
  }
}
