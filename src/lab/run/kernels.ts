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
  type JumpImage,
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
import type { PageRecord } from "../shadow/ownership.ts";
import type { DeviceSpec, Scenario } from "../scenario/types.ts";
import type { Chance } from "./chance.ts";
import { KERNEL_NAMES, type Leg, legsOf, type Stint, stintsOf } from "./chain.ts";
import type { StartedBy } from "./result.ts";

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

/** A kernel that is entered without a reset takes its time to its first instruction of interest. */
function* bootLater(kernel: Kernel, ns: number): Coroutine<void> {
  yield* sleepNs(ns);
  yield* kernel.boot();
}

/** What becomes of the machine as kernels come and go, for whoever wants to look at it just then. */
export interface KernelWatcher {
  /** A kernel is about to execute its first instruction, or the first after it jumped away. */
  entered(kernel: Kernel, startedBy: StartedBy): void;
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
  readonly #stints: readonly Stint[];
  /** Which stint it is; -1 before the first boot. */
  #stint = -1;
  /** Stints that are over, once the machine has acted on that. */
  readonly #over = new Set<number>();
  /** The shadow's books of the region of a kexec jump, for each kernel that waits. */
  readonly #aside = new Map<string, readonly PageRecord[]>();

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
    this.#stints = stintsOf(this.#legs.map(({ leadsTo }) => leadsTo));
    this.#machine = machine;
    this.#trace = trace;
    this.#chance = chance;
    this.#extra = extra;
    this.#watcher = watcher;
    // From here on the pages of the next image go where this kernel's memory is.
    trace.on("kernel.path", ({ data }) => {
      if (data.step === "machine_kexec") this.#leaving(data.kernel);
      // The first step after machine_kexec() has come back.
      if (data.step === "syscore_resume") this.#returned(data.kernel);
    });
  }

  get first(): Kernel | null {
    return this.all[0] ?? null;
  }

  get second(): Kernel | null {
    return this.all[1] ?? null;
  }

  /** The kernel of a stint, once it has begun. */
  at(stint: number): Kernel | undefined {
    return stint > this.#stint ? undefined : this.all[this.#stints[stint]?.kernel ?? -1];
  }

  /** True once the kernel of a stint has left the machine and the machine has acted on that. */
  isOver(stint: number): boolean {
    return this.#over.has(stint);
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
    const { tree, reservations } = this.#machine.board;
    const entries = (reservations ?? []).map(({ base, size }) => ({ address: BigInt(base), size: BigInt(size) }));
    const blob = fdt_write(flatten_device_tree(tree, entries));
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

  /** The next kernel of the run. @param jump it may use this memory only, and starts after a while */
  #make(boot: BootInfo, jump?: { readonly region: { readonly base: number; readonly size: number }; readonly delayNs: number }): Kernel {
    const { simulation } = this.#machine;
    const name = this.#nextName();
    const index = ++this.#stint;
    const kernel = new Kernel({
      name,
      simulation,
      platform: this.#machine.platform(name, this.#firmware(name)),
      cmdline: this.#parameters(index, boot.kind),
      trace: this.#trace,
      drivers: this.#drivers(index),
      boot,
      ...(jump ? { memoryLimits: jump.region } : {}),
    });
    kernel.reboot.panic_timeout = this.#scenario.kernel.panicTimeoutSec;
    kernel.reboot.resetDelayNs = this.#scenario.machine.resetDelayMs * MS;
    kernel.onJump = (to) => this.#jumped(name, to);
    kernel.kexec.config_kexec_jump = this.#legs.some(({ wayDown }) => wayDown === "kexec-jump");
    kernel.kexec.bootPreserved = (image) => this.#jumpedToComeBack(name, image);
    kernel.spawn("swapper/0", jump ? bootLater(kernel, jump.delayNs) : kernel.boot());
    this.all.push(kernel);
    this.#watcher.entered(kernel, jump ? "jump" : boot.kind === "cold" ? "firmware" : boot.kind);
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
    const kind = this.#legs[this.#stint]!.leadsTo;
    if (kind === null || kind === "firmware") return;
    const { kexec } = this.at(this.#stint)!;
    const error = kind === "jump" ? this.#loadJump(kexec) : kexec.kexec_load(this.#files(this.#nextName()), kind);
    if (error !== 0) throw new Error(`kexec_load of the ${kind} kernel: ${error}`);
  }

  /** An image to jump to, or the one that goes back. One that was gone to before is loaded still. */
  #loadJump(kexec: Kernel["kexec"]): number {
    if (this.#stints[this.#stint + 1]!.back) return kexec.kexec_image === null ? kexec.kexec_load_jump_back() : 0;
    const { base, size } = crashReserve(this.#scenario);
    const flags = { preserve_context: true, mem_min: base, mem_max: base + size - 1 };
    return kexec.kexec_load(this.#files(this.#nextName()), "kexec", flags);
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
        this.#over.add(this.#stint);
        this.#step("halt", kernel);
      },
    };
  }

  /** The kernel has panicked and goes round in its last loop; power stays on. */
  spins({ name }: Kernel): void {
    this.#leaving(name);
    this.#over.add(this.#stint);
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
    this.#aside.clear();
    this.#over.add(this.#stint);
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
    this.#over.add(this.#stint);
    if (!this.#goesOn) return;
    if (kind === "kexec") shadow.giveAway(kernel, "the kexec jump");
    const next = this.#nextName();
    for (const { name, destination, contents } of image.segments) shadow.own(next, destination, contents.length, name, "image");
    this.#after(() => {
      this.#make(image.boot);
      this.#step(kind === "crash" ? "crash-entry" : "kexec-entry", next);
    });
  }

  /** A kernel has jumped away and means to come back: its memory stays what it was, but for the region that was exchanged. */
  #jumpedToComeBack(from: string, { segments, region, boot }: JumpImage): Kernel {
    const { shadow } = this.#machine;
    this.#over.add(this.#stint);
    this.#aside.set(from, shadow.setAside(region!.base, region!.size, "the kexec jump"));
    const name = this.#nextName();
    for (const { name: what, destination, size } of segments) {
      if (what !== "backup") shadow.own(name, destination, size, what, "image");
    }
    const kernel = this.#make(boot!, { region: region!, delayNs: this.#legs[this.#stint]!.next.handoverMs * MS });
    this.#step("jump-entry", name);
    return kernel;
  }

  /** A kernel that had jumped away has the machine again, and its memory. */
  #returned(name: string): void {
    const { shadow } = this.#machine;
    const records = this.#aside.get(name);
    const from = this.at(this.#stint);
    if (records === undefined || from === undefined) return;
    const { base, size } = crashReserve(this.#scenario);
    this.#aside.delete(name);
    this.#aside.set(from.name, shadow.setAside(base, size, "the jump back"));
    shadow.putBack(records);
    this.#over.add(this.#stint++);
    this.#watcher.entered(this.at(this.#stint)!, "return");
    this.#step("jump-back", name);
  }

  get #goesOn(): boolean {
    return this.#stint < this.#legs.length;
  }

  #after(start: () => void): void {
    const leg = this.#legs[this.#stint]!;
    this.#machine.simulation.after(leg.next.handoverMs * MS, start);
  }
}
