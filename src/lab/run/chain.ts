// SPDX-License-Identifier: MIT
/** The kernels of a run in a row: how they are called, how each goes down, and what comes of each. */
import type { NextKernelSpec, Scenario } from "../scenario/types.ts";
import type { ClientHook, ScenarioWayDown, SmmuVariant } from "./types.ts";

/** Names of the kernels of a run, in the order in which they boot: one more than a scenario can have ways down. */
export const KERNEL_NAMES = ["first", "second", "third", "fourth", "fifth", "sixth"] as const;
export const FIRST: string = KERNEL_NAMES[0];
/** Further ways down that a scenario can have after its first. */
export const MOST_FURTHER_WAYS: number = KERNEL_NAMES.length - 2;

/** How the next kernel is started; null: there is none. */
export type Start = "firmware" | "kexec" | "crash" | null;

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
};

/** What a way down leads to. A panic without a time-out leads nowhere. */
export function leadsTo(wayDown: ScenarioWayDown, { kernel }: Pick<Scenario, "kernel">): Start {
  return wayDown === "panic" && kernel.panicTimeoutSec === 0 ? null : STARTS[wayDown];
}
