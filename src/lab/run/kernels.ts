// SPDX-License-Identifier: MIT
/**
 * The kernels of a run, one after the other: how the first is booted, what each loads for the next, and what the machine
 * does when a kernel resets it, turns it off, or jumps away.
 */
import {
  type BootFiles,
  type BootInfo,
  build_kernel_image,
  device_link_add,
  DL_FLAG,
  fdt_write,
  flatten_device_tree,
  type DriverModule,
  firmware_load,
  type FirmwarePort,
  Kernel,
  type KernelJump,
  type KernelParameters,
  patternBytes,
  PAGE_SIZE,
  pciHostGenericModule,
  pcieportModule,
} from "../../kernel/index.ts";
import { armSmmuV3Module } from "../../drivers/index.ts";
import { type Coroutine, sleepNs } from "../../sim/index.ts";
import type { LabTrace, MachineStep } from "../events.ts";
import { clientDriver } from "../machine/clients.ts";
import type { Machine } from "../machine/machine.ts";
import { crashReserve } from "../scenario/crash-reserve.ts";
import type { DeviceSpec, Scenario } from "../scenario/types.ts";
import type { Chance } from "./chance.ts";
import { KERNEL_NAMES, type Leg, legsOf } from "./chain.ts";

const MS = 1_000_000;
const INITRD_BYTES = 64 * 1024;
/** A blob has free space behind it, for what a boot loader adds. */
const DTB_ALIGN = 8 * 1024;

/** Every driver's initcall takes its time before it probes: meanwhile devices run on, and the next driver is not there yet. */
function atPace(modules: readonly DriverModule[], ns: number): DriverModule[] {
  if (ns === 0) return [...modules];
  return modules.map((module) => ({
    ...module,
    *init(kernel: Kernel): Coroutine<void> {
      yield* sleepNs(ns);
      const waiting = module.init(kernel);
      if (waiting) yield* waiting;
    },
  }));
}

/** What a kernel holds that has nothing to do with the clients: it decides where their buffers lie. */
function otherAllocations(pages: number): DriverModule {
  return {
    name: "other-allocations",
    initcall: "core",
    linkOrder: 0,
    init(kernel) {
      if (pages > 0) kernel.mm.alloc_pages(pages * PAGE_SIZE, "other code", "user");
    },
  };
}

/** Board code that links devices to the SMMU as soon as they exist, before any driver probes. */
function boardLinks(devices: readonly DeviceSpec[]): DriverModule {
  return {
    name: "board-links",
    initcall: "subsys",
    linkOrder: 0,
    init(kernel) {
      const smmu = kernel.of.byLabel("smmu");
      const supplier = smmu && kernel.of.deviceOf(smmu);
      for (const { name } of devices) {
        const node = kernel.of.byLabel(name);
        const consumer = node && kernel.of.deviceOf(node);
        if (supplier && consumer) device_link_add(consumer, supplier, DL_FLAG.PM_RUNTIME | DL_FLAG.AUTOREMOVE_SUPPLIER);
      }
    },
  };
}

/** What becomes of the machine as kernels come and go, for whoever wants to look at it just then. */
export interface KernelWatcher {
  /** A kernel is about to execute its first instruction. */
  entered(kernel: Kernel): void;
  /** A kernel was left, or is about to be overwritten by the next: its memory is still its own. */
  leaving(kernel: Kernel): void;
}

export class Kernels {
  /** In the order in which they booted. */
  readonly all: Kernel[] = [];
  readonly #scenario: Scenario;
  readonly #legs: readonly Leg[];
  readonly #machine: Machine;
  readonly #trace: LabTrace;
  readonly #chance: Chance;
  readonly #extra: readonly DriverModule[];
  readonly #watcher: KernelWatcher;
  /** Kernels that run no more, once the machine has acted on that. */
  readonly #ended = new Set<string>();

  /** @param chance what the seed picked @param extra further code of the first kernel */
  constructor(
    scenario: Scenario,
    machine: Machine,
    trace: LabTrace,
    chance: Chance,
    extra: readonly DriverModule[],
    watcher: KernelWatcher,
  ) {
    this.#scenario = scenario;
    this.#legs = legsOf(scenario);
    this.#machine = machine;
    this.#trace = trace;
    this.#chance = chance;
    this.#extra = extra;
    this.#watcher = watcher;
    // From here on the pages of the next image go where this kernel's memory is.
    trace.on("kernel.path", ({ data }) => {
      if (data.step === "machine_kexec") this.#leaving(data.kernel);
    });
  }

  get first(): Kernel | null {
    return this.all[0] ?? null;
  }

  get second(): Kernel | null {
    return this.all[1] ?? null;
  }

  /** True once the kernel runs no more and the machine has acted on that. */
  hasEnded(name: string): boolean {
    return this.#ended.has(name);
  }

  #files(kernel: string): BootFiles {
    return {
      kernel: build_kernel_image(kernel),
      initrd: patternBytes(`${kernel} initrd`, INITRD_BYTES),
      dtb: this.#blob(),
    };
  }

  /** The board's tree as a boot loader hands it over. */
  #blob(): Uint8Array {
    const blob = fdt_write(flatten_device_tree(this.#machine.board.tree));
    const padded = new Uint8Array(Math.ceil(blob.length / DTB_ALIGN) * DTB_ALIGN);
    padded.set(blob);
    return padded;
  }

  /** @param index the first kernel drives what the description says; later ones drive it as mainline does, unless told otherwise */
  #drivers(index: number): DriverModule[] {
    const { machine, kernel } = this.#scenario;
    const leg = this.#legs[index];
    const smmu = armSmmuV3Module({ shutdown: leg?.smmuShutdown ?? machine.smmu.shutdown, kdumpPolicy: kernel.kdumpPolicy });
    const driven = index === 0 || this.#legs[index - 1]!.next.clientDrivers;
    const clients = driven ? machine.devices.filter(({ driver }) => driver !== "absent") : [];
    const linked = machine.devices.filter(({ linkToSmmu }) => linkToSmmu);
    const modules = [
      ...(machine.pci ? [pciHostGenericModule(), pcieportModule()] : []),
      { ...smmu, initcall: machine.smmu.driver === "module" ? "module" : smmu.initcall },
      ...(linked.length > 0 ? [boardLinks(linked)] : []),
      ...(index === 0 ? [otherAllocations(this.#chance.pagesBefore), ...this.#extra] : []),
      ...clients.map(({ name, kind, hook, driver, active }) => {
        const custom = this.#machine.custom[name];
        const initcall = driver === "module" ? "module" : "device";
        const variant = index === 0 ? hook : (leg?.hook ?? "mainline");
        // Network and display come up by themselves; what a user starts is started in a kernel that is there to work.
        const works = active && leg !== undefined;
        if (custom) return custom.driver(variant, initcall, works);
        return clientDriver(kind, variant, initcall, kind === "tmc-etr" ? works : active);
      }),
    ];
    return atPace(modules, this.#scenario.boot.probeMs * MS);
  }

  #parameters(index: number, kind: BootInfo["kind"]): Partial<KernelParameters> {
    const { kernel } = this.#scenario;
    return {
      fwDevlink: kernel.fwDevlink,
      fwDevlinkStrict: kernel.fwDevlinkStrict,
      ksetPolicy: kernel.devicesKset,
      asyncShutdown: kernel.asyncShutdown,
      cpus: kernel.cpus,
      iommuPassthrough: kernel.passthrough,
      iommuStrict: !kernel.lazy,
      resetDevices: kind === "crash",
      ...(index > 0 && this.#legs[index - 1]!.next.pciAts === false ? { configPciAts: false } : {}),
      ...(this.#legs[index]?.wayDown === "kdump" ? { crashkernel: crashReserve(this.#scenario) } : {}),
    };
  }

  /** The next kernel of the run. */
  #make(boot: BootInfo): Kernel {
    const { simulation } = this.#machine;
    const name = this.#nextName();
    const kernel = new Kernel({
      name,
      simulation,
      platform: this.#machine.platform(name, this.#firmware(name)),
      cmdline: this.#parameters(this.all.length, boot.kind),
      trace: this.#trace,
      drivers: this.#drivers(this.all.length),
      boot,
      ...(boot.kind === "crash" ? { memoryLimits: crashReserve(this.#scenario) } : {}),
    });
    kernel.reboot.panic_timeout = this.#scenario.kernel.panicTimeoutSec;
    kernel.reboot.resetDelayNs = this.#scenario.machine.resetDelayMs * MS;
    kernel.onJump = (jump) => this.#jumped(name, jump);
    kernel.spawn("swapper/0", kernel.boot());
    this.all.push(kernel);
    this.#watcher.entered(kernel);
    return kernel;
  }

  #nextName(): string {
    return KERNEL_NAMES[this.all.length]!;
  }

  #load(): BootInfo {
    const name = this.#nextName();
    return firmware_load(this.#machine.platform(name, this.#firmware(name)).bus, [this.#machine.spec.memory], this.#files(name));
  }

  bootFirst(): Kernel {
    return this.#make(this.#load());
  }

  /**
   * The running kernel loads the one that its way down jumps to, if it does.
   * @throws Error if there is no place for it, which the least RAM of a scenario rules out
   */
  loadNext(): void {
    const kind = this.#legs[this.all.length - 1]!.leadsTo;
    if (kind === null || kind === "firmware") return;
    const error = this.all.at(-1)?.kexec.kexec_load(this.#files(this.#nextName()), kind);
    if (error !== 0) throw new Error(`kexec_load of the ${kind} kernel: ${error}`);
  }

  #step(step: MachineStep, kernel: string): void {
    this.#trace.emit("lab.machine", { step, kernel });
  }

  #firmware(kernel: string): FirmwarePort {
    return {
      systemReset: () => this.#reset(kernel, "hardware-reset"),
      systemOff: () => this.#reset(kernel, "power-cut"),
      halt: () => {
        this.#leaving(kernel);
        this.#ended.add(kernel);
        this.#step("halt", kernel);
      },
    };
  }

  /** The kernel has panicked and goes round in its last loop; power stays on. */
  spins({ name }: Kernel): void {
    this.#leaving(name);
    this.#ended.add(name);
    this.#step("panic-loop", name);
  }

  #leaving(name: string): void {
    const kernel = this.all.find((other) => other.name === name);
    if (kernel) this.#watcher.leaving(kernel);
  }

  /** All DMA stops, memory is nobody's; after a reset firmware starts the next kernel, as often as the scenario goes down. */
  #reset(kernel: string, step: "hardware-reset" | "power-cut"): void {
    this.#leaving(kernel);
    this.#machine.reset();
    // A crashed kernel's memory was still its own under the crash kernel.
    for (const { name } of this.all) this.#machine.shadow.giveAway(name, step === "power-cut" ? "the power cut" : "the hardware reset");
    this.#ended.add(kernel);
    this.#step(step, kernel);
    if (step === "power-cut" || !this.#goesOn) return;
    this.#after(() => {
      const next = this.#make(this.#load());
      this.#step("cold-boot", next.name);
    });
  }

  /** Devices and SMMU go on as they are. After a crash the old kernel's memory stays what it was. */
  #jumped(kernel: string, { kind, image }: KernelJump): void {
    const { shadow } = this.#machine;
    this.#ended.add(kernel);
    if (!this.#goesOn) return;
    if (kind === "kexec") shadow.giveAway(kernel, "the kexec jump");
    const next = this.#nextName();
    for (const { name, destination, contents } of image.segments) shadow.own(next, destination, contents.length, name, "image");
    this.#after(() => {
      this.#make(image.boot);
      this.#step(kind === "crash" ? "crash-entry" : "kexec-entry", next);
    });
  }

  get #goesOn(): boolean {
    return this.all.length <= this.#legs.length;
  }

  #after(start: () => void): void {
    const leg = this.#legs[this.all.length - 1]!;
    this.#machine.simulation.after(leg.next.handoverMs * MS, start);
  }
}
