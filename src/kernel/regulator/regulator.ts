// SPDX-License-Identifier: GPL-2.0-only
/**
 * Regulators, counted as clocks are: the first consumer turns a supply on, the last one turns it off. After Linux 7.1
 * drivers/regulator/core.c: regulator_get, _regulator_enable, _regulator_disable, regulator_register. Left out: voltages,
 * modes, coupling, regulator_late_cleanup, forced disabling.
 */
import type { Device } from "../base/device.ts";
import { devm_add_action } from "../base/devres.ts";
import { EIO, EPROBE_DEFER } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { type DtNode, dt_references } from "../of/dt.ts";

/** Linux's `struct regulator_ops`, as far as switches need it. */
export interface RegulatorOps {
  enable?(): void;
  disable?(): void;
}

/** Linux's `struct regulator_dev`. */
export class RegulatorDev {
  readonly kernel: Kernel;
  readonly name: string;
  readonly supply: RegulatorDev | null;
  readonly ops: RegulatorOps;
  /** `regulator-always-on`. */
  readonly always_on: boolean;
  use_count: number = 0;

  constructor(
    kernel: Kernel,
    name: string,
    options: { readonly supply?: RegulatorDev; readonly ops?: RegulatorOps; readonly always_on?: boolean } = {},
  ) {
    this.kernel = kernel;
    this.name = name;
    this.supply = options.supply ?? null;
    this.ops = options.ops ?? {};
    this.always_on = options.always_on ?? false;
  }
}

/** A consumer's hold on a regulator: Linux's `struct regulator`. */
export interface Regulator {
  readonly rdev: RegulatorDev;
  enable_count: number;
}

/** The regulators of one kernel, by their nodes. */
export class RegulatorCore {
  readonly providers: Map<DtNode, RegulatorDev> = new Map<DtNode, RegulatorDev>();
  /** What a consumer gets that names no supply. */
  readonly dummy: RegulatorDev;

  constructor(kernel: Kernel) {
    this.dummy = new RegulatorDev(kernel, "regulator-dummy");
  }
}

/** Linux's `devm_regulator_register`. @param node the regulator's node; for a regulator inside of a chip a child of the chip's */
export function devm_regulator_register(dev: Device, node: DtNode, rdev: RegulatorDev): void {
  const { providers } = dev.kernel.regulator;
  providers.set(node, rdev);
  if (rdev.always_on) turnOn(rdev);
  devm_add_action(dev, `regulator_unregister ${rdev.name}`, () => {
    if (rdev.use_count > (rdev.always_on ? 1 : 0)) dev.kernel.warn(`regulator ${rdev.name} is in use`, dev);
    providers.delete(node);
  });
}

/** Linux's `regulator_get`: `ID-supply`. @returns a hold, on a dummy if nothing is named; -EPROBE_DEFER while it is not there */
export function regulator_get(dev: Device, id: string): Regulator | number {
  const { regulator, of } = dev.kernel;
  const reference = dt_references(dev.of_node?.properties[`${id}-supply`])[0];
  if (!reference) {
    dev.kernel.printk.dev_warn(dev, `supply ${id} not found, using dummy regulator`);
    return { rdev: regulator.dummy, enable_count: 0 };
  }
  const node = of.byLabel(reference.label);
  const rdev = node && regulator.providers.get(node);
  return rdev ? { rdev, enable_count: 0 } : -EPROBE_DEFER;
}

function turnOn(rdev: RegulatorDev): void {
  if (rdev.use_count++ > 0) return;
  if (rdev.supply) turnOn(rdev.supply);
  rdev.ops.enable?.();
}

function turnOff(rdev: RegulatorDev): void {
  if (--rdev.use_count > 0) return;
  rdev.ops.disable?.();
  if (rdev.supply) turnOff(rdev.supply);
}

/** Linux's `regulator_enable`. @returns 0 */
export function regulator_enable(regulator: Regulator): number {
  regulator.enable_count++;
  turnOn(regulator.rdev);
  return 0;
}

/** Linux's `regulator_disable`. @returns 0, or -EIO with a warning if the consumer had not enabled it */
export function regulator_disable(regulator: Regulator): number {
  if (regulator.enable_count === 0) {
    regulator.rdev.kernel.warn(`unbalanced disables for ${regulator.rdev.name}`);
    return -EIO;
  }
  regulator.enable_count--;
  turnOff(regulator.rdev);
  return 0;
}
