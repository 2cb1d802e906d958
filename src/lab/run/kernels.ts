// SPDX-License-Identifier: MIT
/**
 * The kernels of a run, one after the other: how the first is booted, what it loads for the next, and what the machine
 * does when a kernel resets it, turns it off, or jumps away.
 */
import { bytesToHexString, unsafeCompareUint8Arrays } from "typed-array-utils";
import { hex } from "../../hw/index.ts";
import {
  boot_regions,
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
import type { ImageDamage } from "../monitors/next-kernel.ts";
import { crashReserve } from "../scenario/crash-reserve.ts";
import type { DeviceSpec, Scenario } from "../scenario/types.ts";
import type { Chance } from "./chance.ts";

/** Names of the kernels of a run. */
export const FIRST = "first";
export const SECOND = "second";

const MS = 1_000_000;
const INITRD_BYTES = 64 * 1024;
/** A blob has free space behind it, for what a boot loader adds. */
const DTB_ALIGN = 8 * 1024;
/** Bytes of overwritten memory that are shown. */
const SHOWN_BYTES = 8;

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

export class Kernels {
  first: Kernel | null = null;
  second: Kernel | null = null;
  /** True once the first kernel runs no more and the machine has acted on that. */
  ended = false;
  readonly #scenario: Scenario;
  readonly #machine: Machine;
  readonly #trace: LabTrace;
  readonly #chance: Chance;
  readonly #extra: readonly DriverModule[];

  /** @param chance what the seed picked @param extra further code of the first kernel */
  constructor(scenario: Scenario, machine: Machine, trace: LabTrace, chance: Chance, extra: readonly DriverModule[]) {
    this.#scenario = scenario;
    this.#machine = machine;
    this.#trace = trace;
    this.#chance = chance;
    this.#extra = extra;
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

  /** @param role the first kernel drives what the description says; the second drives it as mainline does */
  #drivers(role: typeof FIRST | typeof SECOND): DriverModule[] {
    const { machine, next } = this.#scenario;
    const smmu = armSmmuV3Module({ shutdown: machine.smmu.shutdown, kdumpPolicy: this.#scenario.kernel.kdumpPolicy });
    const clients = role === FIRST || next.clientDrivers ? machine.devices.filter(({ driver }) => driver !== "absent") : [];
    const linked = machine.devices.filter(({ linkToSmmu }) => linkToSmmu);
    const modules = [
      ...(machine.pci ? [pciHostGenericModule(), pcieportModule()] : []),
      { ...smmu, initcall: machine.smmu.driver === "module" ? "module" : smmu.initcall },
      ...(linked.length > 0 ? [boardLinks(linked)] : []),
      ...(role === FIRST ? [otherAllocations(this.#chance.pagesBefore), ...this.#extra] : []),
      ...clients.map(({ name, kind, hook, driver, active }) => {
        const custom = this.#machine.custom[name];
        const initcall = driver === "module" ? "module" : "device";
        if (custom) return custom.driver(role === FIRST ? hook : "mainline", initcall, role === FIRST && active);
        if (role === FIRST) return clientDriver(kind, hook, initcall, active);
        // A trace session is something a user starts; network and display come up by themselves.
        return clientDriver(kind, "mainline", initcall, active && kind !== "tmc-etr");
      }),
    ];
    return atPace(modules, this.#scenario.boot.probeMs * MS);
  }

  #parameters(role: typeof FIRST | typeof SECOND, kind: BootInfo["kind"]): Partial<KernelParameters> {
    const { kernel, wayDown } = this.#scenario;
    return {
      fwDevlink: kernel.fwDevlink,
      fwDevlinkStrict: kernel.fwDevlinkStrict,
      iommuPassthrough: kernel.passthrough,
      iommuStrict: !kernel.lazy,
      resetDevices: kind === "crash",
      ...(role === FIRST && wayDown === "kdump" ? { crashkernel: crashReserve(this.#scenario) } : {}),
    };
  }

  #make(name: typeof FIRST | typeof SECOND, boot: BootInfo): Kernel {
    const { simulation } = this.#machine;
    const kernel = new Kernel({
      name,
      simulation,
      platform: this.#machine.platform(name, this.#firmware(name)),
      cmdline: this.#parameters(name, boot.kind),
      trace: this.#trace,
      drivers: this.#drivers(name),
      boot,
      ...(boot.kind === "crash" ? { memoryLimits: crashReserve(this.#scenario) } : {}),
    });
    kernel.reboot.resetDelayNs = this.#scenario.machine.resetDelayMs * MS;
    kernel.onJump = (jump) => this.#jumped(name, jump);
    kernel.spawn("swapper/0", kernel.boot());
    return kernel;
  }

  #load(name: typeof FIRST | typeof SECOND): BootInfo {
    return firmware_load(this.#machine.platform(name, this.#firmware(name)).bus, [this.#machine.spec.memory], this.#files(name));
  }

  bootFirst(): Kernel {
    this.first = this.#make(FIRST, this.#load(FIRST));
    return this.first;
  }

  /**
   * Loads the kernel that the way down jumps to, if it does.
   * @throws Error if there is no place for it, which the least RAM of a scenario rules out
   */
  loadNext(): void {
    const kind = { kexec: "kexec", kdump: "crash", reboot: null, "power-off": null, emergency: null } as const;
    const jump = kind[this.#scenario.wayDown];
    if (jump === null) return;
    const error = this.first?.kexec.kexec_load(this.#files(SECOND), jump);
    if (error !== 0) throw new Error(`kexec_load of the ${jump} kernel: ${error}`);
  }

  #step(step: MachineStep, kernel: string): void {
    this.#trace.emit("lab.machine", { step, kernel });
  }

  #firmware(kernel: string): FirmwarePort {
    return {
      systemReset: () => this.#reset(kernel, "hardware-reset"),
      systemOff: () => this.#reset(kernel, "power-cut"),
      halt: () => {
        this.ended = true;
        this.#step("halt", kernel);
      },
    };
  }

  /** All DMA stops, memory is nobody's; after a reset firmware starts the second kernel, once. */
  #reset(kernel: string, step: "hardware-reset" | "power-cut"): void {
    this.#machine.reset();
    this.#machine.shadow.giveAway(kernel, step === "power-cut" ? "the power cut" : "the hardware reset");
    this.ended = true;
    this.#step(step, kernel);
    if (step === "power-cut" || this.second) return;
    this.#after(() => {
      this.second = this.#make(SECOND, this.#load(SECOND));
      this.#step("cold-boot", SECOND);
    });
  }

  /** Devices and SMMU go on as they are. After a crash the old kernel's memory stays what it was. */
  #jumped(kernel: string, { kind, image }: KernelJump): void {
    const { shadow } = this.#machine;
    this.ended = true;
    if (kernel !== FIRST) return;
    if (kind === "kexec") shadow.giveAway(kernel, "the kexec jump");
    for (const { name, destination, contents } of image.segments) shadow.own(SECOND, destination, contents.length, name, "image");
    this.#after(() => {
      this.second = this.#make(SECOND, image.boot);
      this.#step(kind === "crash" ? "crash-entry" : "kexec-entry", SECOND);
    });
  }

  #after(start: () => void): void {
    this.#machine.simulation.after(this.#scenario.next.handoverMs * MS, start);
  }

  /** What of the second kernel's image and standing early memory is not what was put there. */
  damageOfSecond(): ImageDamage {
    let bytes = 0;
    let first = "";
    for (const { name, base, size, contents } of this.second === null ? [] : boot_regions(this.second)) {
      const found = new Uint8Array(size);
      this.#machine.bus.memory.readBytes(base, found);
      if (unsafeCompareUint8Arrays(found, contents)) continue;
      const differs = (byte: number, index: number): boolean => byte !== contents[index];
      const at = found.findIndex(differs);
      if (first === "")
        first = `${name} at ${hex(base + at)} hold ${bytesToHexString(found.subarray(at, at + SHOWN_BYTES))}, ${bytesToHexString(contents.subarray(at, at + SHOWN_BYTES))} belongs there`;
      bytes += found.filter(differs).length;
    }
    return { bytes, first };
  }
}
