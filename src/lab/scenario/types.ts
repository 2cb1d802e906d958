// SPDX-License-Identifier: MIT
/** A scenario: a machine, its kernels and drivers, a workload, a way down, and what is expected of it. Plain data. */
import type { BusMasterOff, CacheMode } from "../../hw/index.ts";
import type { Board } from "../machine/board.ts";
import type { ClaimName, ClientHook, ClientKind, KdumpPolicy, ScenarioWayDown, SecondKernel, SmmuVariant, Verdict } from "../run/types.ts";

/** How a driver comes into the kernel. Absent: the device is there, nobody drives it. */
export type DriverPlace = "built-in" | "module" | "absent";

export const ATS_REFUSED = ["disable", "keep"] as const;
/**
 * What a function does once a translation was refused it as unsupported: it uses none any more and goes on untranslated, or it keeps
 * what it has and sends that access untranslated. PCI Express permits both.
 */
export type AtsRefused = (typeof ATS_REFUSED)[number];

export interface DeviceSpec {
  /** Name of its device-tree node; for a PCI function a label only. */
  readonly name: string;
  readonly kind: ClientKind;
  readonly bus: "platform" | "pci";
  readonly hook: ClientHook;
  /** Platform devices: the StreamID. PCI functions: the requester id is mapped to this StreamID. */
  readonly streamId: number;
  readonly driver: DriverPlace;
  /** False: the device is there and bound, and is never put to work. */
  readonly active: boolean;
  /** Board code adds a device link from the device to the SMMU. */
  readonly linkToSmmu: boolean;
  /** Registers of a platform device; absent: the usual place of its kind. */
  readonly base?: number;
  /** What a PCI function does with its requests while bus mastering is off. Absent: as `machine.pci` says. */
  readonly busMasterOff?: BusMasterOff | undefined;
  /** A PCI function that asks the SMMU for translations and keeps them (ATS). Absent: no. */
  readonly ats?: boolean | undefined;
  /** With ATS: after a Translation Request that the SMMU does not support. Absent: "disable". */
  readonly atsRefused?: AtsRefused | undefined;
}

export interface MachineSpec {
  readonly memory: { readonly base: number; readonly size: number };
  readonly smmu: {
    readonly profile: string;
    readonly base: number;
    readonly shutdown: SmmuVariant;
    readonly driver: "built-in" | "module";
    /** How much the SMMU keeps. */
    readonly caches: CacheMode;
  };
  /** Absent: no PCI. */
  readonly pci?: {
    readonly busMasterOff: BusMasterOff;
    /** Root ports report errors, and kernels take care of them. Absent: no. */
    readonly aer?: boolean;
  };
  /** In the order of their nodes in the device tree; the place of the SMMU's node among them is `smmuNode`. */
  readonly devices: readonly DeviceSpec[];
  /** How many device nodes come before the SMMU's. */
  readonly smmuNode: number;
  /** From the reset request to the reset, while devices run on. Virtual milliseconds. */
  readonly resetDelayMs: number;
  /** Absent: the lab's own. No scenario file says it; a device tree does. */
  readonly board?: Board;
}

export interface WorkloadSpec {
  /** From the start of the devices' work to the way down. Virtual milliseconds, as all times here. */
  readonly beforeMs: number;
  /** How long the run is watched after the second kernel is up, or after the machine stopped. */
  readonly afterMs: number;
  /**
   * A further delay before the way down, in virtual microseconds: where in a frame, a burst or a packet's interval it falls.
   * Absent: the seed picks it.
   */
  readonly phaseUs?: number;
  readonly frames: { readonly periodUs: number; readonly bytes: number; readonly jitterPercent: number };
}

/** How kernels boot. */
export interface BootSpec {
  /** What each driver's initcall takes before it probes: clocks, regulators, firmware, what else is probed. Virtual ms. */
  readonly probeMs: number;
  /** Pages that other code of the first kernel holds below the clients' buffers. Absent: the seed picks how many. */
  readonly pagesBefore?: number;
}

/** The memory kept for a crash kernel, where the way down is kdump; where it is a kexec jump, the region of the other kernel. */
export interface CrashReserveSpec {
  /** Absent: 64, or a quarter of a smaller RAM. */
  readonly mib?: number;
  /** Physical; absent: the highest place below 4 GiB, as arm64 finds one for `crashkernel=SIZE`. */
  readonly base?: number;
}

export interface KernelSpec {
  readonly fwDevlink: "off" | "on" | "rpm";
  readonly fwDevlinkStrict: boolean;
  /** The place of a device in devices_kset: where it was registered, or at the tail since its last probe, as until 2018. */
  readonly devicesKset: "register" | "probe-4.3";
  /** Whether devices shut down in parallel, as proposed and not merged. */
  readonly asyncShutdown: "off" | "v16";
  /** CPUs that the kernel brings up; the boot CPU runs everything. */
  readonly cpus: number;
  /** `panic=`, in seconds: how long a panic waits before it restarts the machine. 0: for ever; -1: not at all. */
  readonly panicTimeoutSec: number;
  readonly passthrough: boolean;
  /** Unmapped addresses are invalidated later, by the flush queue (`iommu.strict=0`). */
  readonly lazy: boolean;
  readonly crashReserve: CrashReserveSpec;
  /** What the SMMU driver of a crash kernel does with what it finds. */
  readonly kdumpPolicy: KdumpPolicy;
}

export interface NextKernelSpec {
  /** Drivers of the clients are in it too. The SMMU driver always is. */
  readonly clientDrivers: boolean;
  /** From the jump or the reset to its first instruction of interest: purgatory, decompression, firmware. */
  readonly handoverMs: number;
  /** CONFIG_PCI_ATS of that kernel. Absent: yes. */
  readonly pciAts?: boolean | undefined;
}

/** How a kernel that came next goes down itself. It is a full kernel: it works, and loads the image that it jumps to. */
export interface FurtherWayDown {
  readonly wayDown: ScenarioWayDown;
  /** Hooks of its client drivers. Absent: mainline's. */
  readonly hook?: ClientHook;
  /** What its SMMU driver does at shutdown. Absent: as the machine's description says. */
  readonly smmuShutdown?: SmmuVariant;
  /** How long it works before. Absent: as long as the first. Virtual milliseconds. */
  readonly beforeMs?: number;
  /** Of the kernel after it. */
  readonly next: NextKernelSpec;
}

export interface Scenario {
  readonly title: string;
  readonly story: string;
  readonly source: string;
  readonly machine: MachineSpec;
  readonly kernel: KernelSpec;
  readonly boot: BootSpec;
  readonly workload: WorkloadSpec;
  readonly wayDown: ScenarioWayDown;
  readonly next: NextKernelSpec;
  /** Ways down of the kernels that come next, one after the other. Absent: the run ends with the second kernel. */
  readonly then?: readonly FurtherWayDown[];
  readonly expect: {
    readonly verdict?: Verdict;
    /** Absent: any end but a failure that overwritten memory does not explain. */
    readonly secondKernel?: SecondKernel;
    readonly holds: readonly ClaimName[];
    readonly broken: readonly ClaimName[];
  };
}
