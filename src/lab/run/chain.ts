// SPDX-License-Identifier: MIT
/** The kernels of a run in a row: how they are called, how each goes down, and what comes of each. */
import type { NextKernelSpec, Scenario } from "../scenario/types.ts";
import type { ClientHook, ScenarioWayDown, SmmuVariant } from "./types.ts";

/** Names of the kernels of a run, in the order in which they boot: one more than a scenario can have ways down. */
export const KERNEL_NAMES = ["first", "second", "third", "fourth", "fifth", "sixth"] as const;
export const FIRST: string = KERNEL_NAMES[0];
/** Further ways down that a scenario can have after its first. */
export const MOST_FURTHER_WAYS: number = KERNEL_NAMES.length - 2;

/** How the next kernel is started; null: there is none. jump: it is started, or goes on where it was left. */
export type Start = "firmware" | "kexec" | "crash" | "jump" | null;

/** One kernel's way down. */
export interface Leg {
  readonly wayDown: ScenarioWayDown;
  readonly leadsTo: Start;
  /** From the kernel being up to the way down. Virtual milliseconds. */
  readonly beforeMs: number;
  /** Hooks of this kernel's client drivers; undefined: what each device's description says. */
  readonly hook: ClientHook | undefined;
  /** What this kernel's SMMU driver does at shutdown. */
  readonly smmuShutdown: SmmuVariant;
  /** Of the kernel that comes after. */
  readonly next: NextKernelSpec;
}

/** The ways down of a scenario, one for each kernel that goes down. */
export function legsOf(scenario: Scenario): readonly Leg[] {
  const { wayDown, next, workload, machine } = scenario;
  const first: Leg = {
    wayDown,
    leadsTo: leadsTo(wayDown, scenario),
    beforeMs: workload.beforeMs,
    hook: undefined,
    smmuShutdown: machine.smmu.shutdown,
    next,
  };
  const further = (scenario.then ?? []).map((spec): Leg => ({
    wayDown: spec.wayDown,
    leadsTo: leadsTo(spec.wayDown, scenario),
    beforeMs: spec.beforeMs ?? workload.beforeMs,
    hook: spec.hook,
    smmuShutdown: spec.smmuShutdown ?? machine.smmu.shutdown,
    next: spec.next,
  }));
  return [first, ...further];
}

const STARTS: Readonly<Record<ScenarioWayDown, Start>> = {
  reboot: "firmware",
  kexec: "kexec",
  kdump: "crash",
  "power-off": null,
  emergency: "firmware",
  halt: null,
  panic: "firmware",
  "kexec-jump": "jump",
};

/** What a way down leads to. A panic without a time-out leads nowhere. */
export function leadsTo(wayDown: ScenarioWayDown, { kernel }: Pick<Scenario, "kernel">): Start {
  return wayDown === "panic" && kernel.panicTimeoutSec === 0 ? null : STARTS[wayDown];
}

/** A time in which one kernel has the machine: the first begins with the first boot, and each way down leads to the next. */
export interface Stint {
  /** Index of the kernel in the order in which they boot. */
  readonly kernel: number;
  /** It does not boot: it had the machine before, jumped away, and goes on. */
  readonly back: boolean;
  /** Index of the kernel that jumped to this one, or away from it, and waits; null: none does. */
  readonly waits: number | null;
}

/** Who has the machine when, one stint more than there are ways down that lead somewhere. @param starts what each leads to */
export function stintsOf(starts: readonly Start[]): readonly Stint[] {
  let current: Stint = { kernel: 0, back: false, waits: null };
  const stints = [current];
  let kernels = 1;
  for (const start of starts) {
    if (start === null) break;
    if (start !== "jump") current = { kernel: kernels++, back: false, waits: null };
    else if (current.waits === null) current = { kernel: kernels++, back: false, waits: current.kernel };
    else current = { kernel: current.waits, back: true, waits: current.kernel };
    stints.push(current);
  }
  return stints;
}
