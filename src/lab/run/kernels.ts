// SPDX-License-Identifier: MIT
/**
 * The kernels of a run, one after the other: how the first is booted, what it loads for the next, and what the machine
 * does when a kernel resets it, turns it off, or jumps away.
 */
import {
  boot_regions,
  type BootFiles,
  type BootInfo,
  build_kernel_image,
  device_link_add,
  DL_FLAG,
  type DriverModule,
  firmware_load,
  type FirmwarePort,
  Kernel,
  type KernelJump,
  type KernelParameters,
  patternBytes,
  pciHostGenericModule,
  pcieportModule,
} from "../../kernel/index.ts";
import { armSmmuV3Module } from "../../drivers/index.ts";
import type { LabTrace, MachineStep } from "../events.ts";
import { clientDriver } from "../machine/clients.ts";
import type { Machine } from "../machine/machine.ts";
import type { DeviceSpec, Scenario } from "../scenario/types.ts";

/** Names of the kernels of a run. */
export const FIRST = "first";
export const SECOND = "second";

const MS = 1_000_000;
const INITRD_BYTES = 64 * 1024;
const DTB_BYTES = 8 * 1024;
/** Where and how much memory a kernel that may crash sets aside: in the middle of RAM, away from raw IOVAs. */
const CRASH_RESERVE_BYTES = 64 * 1024 * 1024;

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

  constructor(scenario: Scenario, machine: Machine, trace: LabTrace) {
    this.#scenario = scenario;
    this.#machine = machine;
    this.#trace = trace;
  }

  #files(kernel: string): BootFiles {
    return {
      kernel: build_kernel_image(kernel),
      initrd: patternBytes(`${kernel} initrd`, INITRD_BYTES),
      dtb: patternBytes(`${kernel} dtb`, DTB_BYTES),
    };
  }

  #crashReserve(): { readonly base: number; readonly size: number } {
    const { base, size } = this.#machine.spec.memory;
    return { base: base + Math.floor(size / 4 / CRASH_RESERVE_BYTES) * CRASH_RESERVE_BYTES, size: Math.min(CRASH_RESERVE_BYTES, size / 4) };
  }

  /** @param role the first kernel drives what the description says; the second drives it as mainline does */
  #drivers(role: typeof FIRST | typeof SECOND): DriverModule[] {
    const { machine, next } = this.#scenario;
    const smmu = armSmmuV3Module({ shutdown: machine.smmu.shutdown });
    const clients = role === FIRST || next.clientDrivers ? machine.devices.filter(({ driver }) => driver !== "absent") : [];
    const linked = machine.devices.filter(({ linkToSmmu }) => linkToSmmu);
    return [
      ...(machine.pci ? [pciHostGenericModule(), pcieportModule()] : []),
      { ...smmu, initcall: machine.smmu.driver === "module" ? "module" : smmu.initcall },
      ...(linked.length > 0 ? [boardLinks(linked)] : []),
      ...clients.map(({ kind, hook, driver, active }) =>
        role === FIRST
          ? clientDriver(kind, hook, driver === "module" ? "module" : "device", active)
          : // A trace session is something a user starts; network and display come up by themselves.
            clientDriver(kind, "mainline", driver === "module" ? "module" : "device", active && kind !== "tmc-etr"),
      ),
    ];
  }

  #parameters(role: typeof FIRST | typeof SECOND, kind: BootInfo["kind"]): Partial<KernelParameters> {
    const { kernel, wayDown } = this.#scenario;
    return {
      fwDevlink: kernel.fwDevlink,
      fwDevlinkStrict: kernel.fwDevlinkStrict,
      iommuPassthrough: kernel.passthrough,
      resetDevices: kind === "crash",
      ...(role === FIRST && wayDown === "kdump" ? { crashkernel: this.#crashReserve() } : {}),
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
      ...(boot.kind === "crash" ? { memoryLimits: this.#crashReserve() } : {}),
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

  /** Loads the kernel that the way down jumps to, if it does. */
  loadNext(): void {
    const { wayDown } = this.#scenario;
    if (wayDown === "kexec") this.first?.kexec.kexec_load(this.#files(SECOND), "kexec");
    if (wayDown === "kdump") this.first?.kexec.kexec_load(this.#files(SECOND), "crash");
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

  /** Bytes of the second kernel's image and standing early memory that are not what was put there. */
  changedBytesOfSecond(): number {
    const { second } = this;
    if (second === null) return 0;
    let changed = 0;
    for (const { base, size, contents } of boot_regions(second)) {
      const found = new Uint8Array(size);
      second.platform.bus.readBytes(base, found);
      for (let i = 0; i < size; i++) if (found[i] !== contents[i]) changed++;
    }
    return changed;
  }
}
