// SPDX-License-Identifier: GPL-2.0-only
/**
 * Clocks as drivers use them, counted: the first user turns a clock on, the last one turns it off, its parent around it. What
 * a gated clock does to the device behind it is the machine's affair: accesses to its registers may abort. After Linux 7.1
 * drivers/clk/clk.c: clk_core_{prepare,unprepare,enable,disable}, of_clk_get, of_clk_add_hw_provider. Left out: rates, parents
 * that change, clk_disable_unused, critical clocks, sleeping prepare callbacks.
 */
import type { Device } from "../base/device.ts";
import { devm_add_action } from "../base/devres.ts";
import { EINVAL, ENOENT, EPROBE_DEFER, ESHUTDOWN } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { type DtNode, type DtReference, of_device_is_compatible } from "../of/dt.ts";

/** Linux's `struct clk_ops`, as far as gates need it. */
export interface ClkOps {
  enable?(): void;
  disable?(): void;
}

/** Linux's `struct clk_core`. */
export class Clk {
  readonly kernel: Kernel;
  readonly name: string;
  readonly parent: Clk | null;
  readonly ops: ClkOps;
  prepare_count: number = 0;
  enable_count: number = 0;

  constructor(kernel: Kernel, name: string, parent: Clk | null = null, ops: ClkOps = {}) {
    this.kernel = kernel;
    this.name = name;
    this.parent = parent;
    this.ops = ops;
  }
}

/** Finds a provider's clock by the cells of a reference; null if it has no such clock. */
export type ClkGet = (args: readonly number[]) => Clk | null;

/** The clocks of one kernel. */
export class ClkCore {
  readonly providers: Map<DtNode, ClkGet> = new Map<DtNode, ClkGet>();
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** The clock that a reference means. @returns the clock or -errno */
  fromReference({ label, args }: DtReference): Clk | number {
    const node = this.#kernel.of.byLabel(label);
    if (!node) return -EINVAL;
    const get = this.providers.get(node) ?? this.#fixed(node);
    return get ? (get(args) ?? -EINVAL) : -EPROBE_DEFER;
  }

  /** Fixed clocks are there from the start, and run. */
  #fixed(node: DtNode): ClkGet | null {
    if (!of_device_is_compatible(node, "fixed-clock", "fixed-factor-clock")) return null;
    const clk = new Clk(this.#kernel, node.name);
    const get: ClkGet = () => clk;
    this.providers.set(node, get);
    return get;
  }
}

/** Linux's `of_clk_add_hw_provider`: consumers of the device's node find its clocks; until the driver lets go of it. */
export function devm_of_clk_add_hw_provider(dev: Device, get: ClkGet): number {
  const node = dev.of_node;
  if (!node) return -EINVAL;
  const { providers } = dev.kernel.clk;
  providers.set(node, get);
  devm_add_action(dev, "of_clk_del_provider", () => void providers.delete(node));
  return 0;
}

/** Linux's `clk_get`: by its place in `clocks`, or by its name in `clock-names`. @returns the clock, -ENOENT or -EPROBE_DEFER */
export function clk_get(dev: Device, id: string | number = 0): Clk | number {
  const names = dev.of_node?.properties["clock-names"];
  const index = typeof id === "number" ? id : Array.isArray(names) ? names.findIndex((name) => name === id) : names === id ? 0 : -1;
  const reference = dev.of_node?.clocks?.[index];
  return reference ? dev.kernel.clk.fromReference(reference) : -ENOENT;
}

/** Linux's `clk_prepare`. @returns 0 */
export function clk_prepare(clk: Clk): number {
  if (clk.prepare_count++ === 0 && clk.parent) clk_prepare(clk.parent);
  return 0;
}

/** Linux's `clk_unprepare`; too many are a warning. */
export function clk_unprepare(clk: Clk): void {
  if (clk.prepare_count === 0) return clk.kernel.warn(`${clk.name} already unprepared`);
  if (--clk.prepare_count > 0) return;
  if (clk.enable_count > 0) clk.kernel.warn(`Unpreparing enabled ${clk.name}`);
  if (clk.parent) clk_unprepare(clk.parent);
}

/** Linux's `clk_enable`; callable from any context. @returns 0, or -ESHUTDOWN for a clock that is not prepared */
export function clk_enable(clk: Clk): number {
  if (clk.prepare_count === 0) {
    clk.kernel.warn(`Enabling unprepared ${clk.name}`);
    return -ESHUTDOWN;
  }
  if (clk.enable_count === 0) {
    if (clk.parent) clk_enable(clk.parent);
    clk.ops.enable?.();
  }
  clk.enable_count++;
  return 0;
}

/** Linux's `clk_disable`; too many are a warning, and the clock's other users keep it. */
export function clk_disable(clk: Clk): void {
  if (clk.enable_count === 0) return clk.kernel.warn(`${clk.name} already disabled`);
  if (--clk.enable_count > 0) return;
  clk.ops.disable?.();
  if (clk.parent) clk_disable(clk.parent);
}

/** Linux's `clk_prepare_enable`. @returns 0 or -errno */
export function clk_prepare_enable(clk: Clk): number {
  clk_prepare(clk);
  return clk_enable(clk);
}

/** Linux's `clk_disable_unprepare`. */
export function clk_disable_unprepare(clk: Clk): void {
  clk_disable(clk);
  clk_unprepare(clk);
}

/** Linux's `devm_clk_get_enabled`: on until the driver lets go of the device. @returns the clock or -errno */
export function devm_clk_get_enabled(dev: Device, id: string | number = 0): Clk | number {
  const clk = clk_get(dev, id);
  if (typeof clk === "number") return clk;
  const ret = clk_prepare_enable(clk);
  if (ret !== 0) return ret;
  devm_add_action(dev, `devm_clk_release ${clk.name}`, () => clk_disable_unprepare(clk));
  return clk;
}
