// SPDX-License-Identifier: MIT
/** The words in which a run is described: what can be chosen, and what comes out. */

export const SMMU_POLICIES = ["none", "bypass", "abort"] as const;
/** What the SMMU driver does at shutdown: no hook at all, CR0 to zero as Linux does, or CR0 to zero with GBPA aborting. */
export type SmmuPolicy = (typeof SMMU_POLICIES)[number];

/** What it does besides in experiments: ways that other times and drivers had, or that were proposed (`quiesce matrix --variants`). */
export const SMMU_VARIANTS = ["none", "bypass", "abort", "remove", "gbpa-bypass", "audit", "blocked", "leave-on"] as const;
export type SmmuVariant = (typeof SMMU_VARIANTS)[number];

export const KDUMP_POLICIES = ["reset-abort", "adopt"] as const;
/** What an SMMU driver in a crash kernel does with what it finds: resets it aborting, as Linux does, or adopts its stream table, as proposed. */
export type KdumpPolicy = (typeof KDUMP_POLICIES)[number];

export const CLIENT_HOOKS = ["no-hook", "mainline", "quiescing"] as const;
/** What a client's driver does at shutdown: nothing, what Linux does, or stop DMA and prove it idle. */
export type ClientHook = (typeof CLIENT_HOOKS)[number];

export const WAYS_DOWN = ["reboot", "kexec", "kdump", "power-off", "emergency"] as const;
export type WayDown = (typeof WAYS_DOWN)[number];

/**
 * What a scenario can choose beside the ways of the matrix: a halt stops the CPU and nothing else; a panic has no crash kernel,
 * shuts no device down, and waits for its time-out or for ever; a kexec jump, which no arm64 kernel can make today, leaves for a
 * kernel that can come back.
 */
export const SCENARIO_WAYS_DOWN = ["reboot", "kexec", "kdump", "power-off", "emergency", "halt", "panic", "kexec-jump"] as const;
export type ScenarioWayDown = (typeof SCENARIO_WAYS_DOWN)[number];

export const CLIENT_KINDS = ["e1000e", "hdlcd", "tmc-etr"] as const;
export type ClientKind = (typeof CLIENT_KINDS)[number];

export const VERDICTS = ["clean", "contained", "stray", "corrupt"] as const;
/** clean: no claim broken; contained: DMA went on or another rule was broken, nothing was harmed; stray: memory was reached that nobody had granted; corrupt: memory given to someone else was changed. */
export type Verdict = (typeof VERDICTS)[number];

export const CLAIMS = [
  "no-dma-after-own-shutdown",
  "no-dma-after-smmu-shutdown",
  "no-foreign-write",
  "no-stale-walk",
  "suppliers-last",
  "next-kernel-intact",
  "no-missed-maintenance",
] as const;
export type ClaimName = (typeof CLAIMS)[number];

export const SECOND_KERNELS = ["up", "oops", "hung", "none"] as const;
/**
 * How the second kernel ended. none: this way down starts none. oops and hung stand too for a first kernel that failed and
 * never came to where the second starts.
 */
export type SecondKernel = (typeof SECOND_KERNELS)[number];
