// SPDX-License-Identifier: GPL-2.0-only
/**
 * Initcalls: in which order built-in code and modules start. After Linux 7.1 include/linux/init.h. Left out: the pure and early
 * levels, `rootfs`, and the `_sync` half of each level, which stands at the end of its level.
 */
import type { Coroutine } from "../sim/index.ts";
import type { Kernel } from "./kernel.ts";

/** Levels of built-in code, in the order in which they run. */
export const INITCALL_LEVELS = ["core", "postcore", "arch", "subsys", "fs", "device", "late"] as const;
export type InitcallLevel = (typeof INITCALL_LEVELS)[number];

/** Linux's `module_init` and its kin: a piece of code that starts at boot (or is loaded after it, for `module`). */
export interface DriverModule {
  readonly name: string;
  /** `module`: loaded after boot, in the order given. */
  readonly initcall: InitcallLevel | "module";
  /** Line of its directory in drivers/Makefile: the order among built-in code of one level. */
  readonly linkOrder: number;
  init(kernel: Kernel): void | Coroutine<void>;
}

/** The modules of one level in the order in which they run: by link order, then as given. */
export function initcallsOfLevel(modules: readonly DriverModule[], level: InitcallLevel): DriverModule[] {
  return modules.filter((module) => module.initcall === level).toSorted((a, b) => a.linkOrder - b.linkOrder);
}
