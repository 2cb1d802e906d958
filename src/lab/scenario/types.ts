// SPDX-License-Identifier: MIT
/** A scenario: a machine, its kernels and drivers, a workload, a way down, and what is expected of it. Plain data. */
import type { ClaimName, ClientHook, ClientKind, SmmuPolicy, Verdict, WayDown } from "../run/types.ts";

/** How a driver comes into the kernel. Absent: the device is there, nobody drives it. */
export type DriverPlace = "built-in" | "module" | "absent";

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
}

export interface MachineSpec {
  readonly memory: { readonly base: number; readonly size: number };
  readonly smmu: { readonly profile: string; readonly base: number; readonly shutdown: SmmuPolicy; readonly driver: "built-in" | "module" };
  /** Absent: no PCI. */
  readonly pci?: { readonly busMasterOff: "drop" | "hold" | "reset" };
  /** In the order of their nodes in the device tree; the place of the SMMU's node among them is `smmuNode`. */
  readonly devices: readonly DeviceSpec[];
  /** How many device nodes come before the SMMU's. */
  readonly smmuNode: number;
  /** From the reset request to the reset, while devices run on. Virtual milliseconds. */
  readonly resetDelayMs: number;
}

export interface WorkloadSpec {
  /** From the start of the devices' work to the way down. Virtual milliseconds, as all times here. */
  readonly beforeMs: number;
  /** How long the run is watched after the second kernel is up, or after the machine stopped. */
  readonly afterMs: number;
  readonly frames: { readonly periodUs: number; readonly bytes: number; readonly jitterPercent: number };
}

export interface NextKernelSpec {
  /** Drivers of the clients are in it too. The SMMU driver always is. */
  readonly clientDrivers: boolean;
  /** From the jump or the reset to its first instruction of interest: purgatory, decompression, firmware. */
  readonly handoverMs: number;
}

export interface Scenario {
  readonly title: string;
  readonly story: string;
  readonly source: string;
  readonly machine: MachineSpec;
  readonly kernel: { readonly fwDevlink: "off" | "on" | "rpm"; readonly fwDevlinkStrict: boolean; readonly passthrough: boolean };
  readonly workload: WorkloadSpec;
  readonly wayDown: WayDown;
  readonly next: NextKernelSpec;
  readonly expect: { readonly verdict?: Verdict; readonly holds: readonly ClaimName[]; readonly broken: readonly ClaimName[] };
}
