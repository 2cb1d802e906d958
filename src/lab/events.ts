// SPDX-License-Identifier: MIT
/** All that a run traces: the events of every floor, and the lab's own. */
import type { DmaEvents, DmaOutcome, SmmuEvents } from "../hw/index.ts";
import type { KernelEvents } from "../kernel/index.ts";
import type { SimEvents, Trace, TraceRecord } from "../sim/index.ts";
import type { Trespass } from "./shadow/ownership.ts";

/** A DMA access (or an access of the SMMU itself) together with what the shadow says of where it landed. */
export interface Landing {
  /** The kernel's name of the device; the SMMU's own for its walks and queues. */
  readonly device: string;
  readonly write: boolean;
  /** What the device put on the bus. */
  readonly address: number;
  /** Where it went; undefined: nowhere. */
  readonly physical: number | undefined;
  readonly length: number;
  readonly outcome: DmaOutcome;
  /** True if memory or a register answered. */
  readonly reached: boolean;
  /** The parts that reached memory which was not granted to the device, page by page; none if all was granted. */
  readonly trespasses: readonly Trespass[];
}

/** A step in the life of the machine that is nobody's but the machine's. */
export type MachineStep =
  | "cold-boot"
  | "way-down"
  | "hardware-reset"
  | "power-cut"
  | "halt"
  | "panic-loop"
  | "kexec-entry"
  | "crash-entry"
  | "jump-entry"
  | "jump-back"
  | "next-kernel-up";

export interface LabOwnEvents {
  "lab.landing": Landing;
  /** The SMMU read or wrote memory for itself. */
  "lab.smmu-access": Landing & { readonly access: string };
  /** What a kernel that is up waits for before it goes down, or has waited for in vain. */
  "lab.waits": { readonly kernel: string; readonly text: string };
  "lab.machine": { readonly step: MachineStep; readonly kernel: string };
}

export type LabEvents = SimEvents & DmaEvents & SmmuEvents & KernelEvents & LabOwnEvents;
export type LabTrace = Trace<LabEvents>;
export type LabRecord = TraceRecord<LabEvents>;
