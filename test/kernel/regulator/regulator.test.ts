// SPDX-License-Identifier: GPL-2.0-only
/** Regulators: counts, supplies, providers. */
import { describe, expect, test } from "vitest";
import {
  device_release_driver,
  devm_regulator_register,
  EIO,
  EPROBE_DEFER,
  regulator_disable,
  regulator_enable,
  regulator_get,
  RegulatorDev,
} from "../../../src/kernel/index.ts";
import { node, platformModule } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const nodes = [node("pmic", 0x1000), node("uart", 0x2000, { properties: { "vdd-supply": [{ label: "pmic", args: [] }] } })];

/** A PMIC with one regulator behind a supply, booted. */
function booted(log: string[], always_on: boolean = false): TestKernel {
  const m = makeTestKernel({
    nodes,
    drivers: [
      platformModule("pmic", {
        *probe(pdev) {
          const ops = (name: string) => ({ enable: () => void log.push(`+${name}`), disable: () => void log.push(`-${name}`) });
          const supply = new RegulatorDev(pdev.kernel, "vin", { ops: ops("vin") });
          devm_regulator_register(pdev, pdev.of_node!, new RegulatorDev(pdev.kernel, "vdd", { supply, ops: ops("vdd"), always_on }));
          return 0;
        },
      }),
    ],
  });
  m.run(m.kernel.boot());
  return m;
}

const hold = (m: TestKernel, id: string = "vdd") => {
  const found = regulator_get(m.kernel.base.findDevice("2000.uart")!, id);
  if (typeof found === "number") throw new Error(`error ${found}`);
  return found;
};

describe("regulators", () => {
  test("the first consumer turns one on and the last one off, its supply around it", () => {
    const log: string[] = [];
    const m = booted(log);
    const [a, b] = [hold(m), hold(m)];
    for (const regulator of [a, b]) regulator_enable(regulator);
    regulator_disable(a);
    expect(log).toEqual(["+vin", "+vdd"]);
    regulator_disable(b);
    expect(log).toEqual(["+vin", "+vdd", "-vdd", "-vin"]);
  });

  test("a consumer that disables what it had not enabled is told so, and others keep their power", () => {
    const log: string[] = [];
    const m = booted(log);
    const [a, b] = [hold(m), hold(m)];
    regulator_enable(a);
    expect(regulator_disable(b)).toBe(-EIO);
    expect(m.kernel.warnings.map(({ message }) => message)).toEqual(["unbalanced disables for vdd"]);
    expect(log).toEqual(["+vin", "+vdd"]);
  });

  test("an always-on regulator is on from its registration, whoever lets go of it", () => {
    const log: string[] = [];
    const m = booted(log, true);
    const regulator = hold(m);
    regulator_enable(regulator);
    regulator_disable(regulator);
    expect(log).toEqual(["+vin", "+vdd"]);
  });

  test("a supply that is not named is a dummy; one that is not there asks for deferral", () => {
    const m = booted([]);
    expect(regulator_enable(hold(m, "vio"))).toBe(0);
    m.run(device_release_driver(m.kernel.base.findDevice("1000.pmic")!));
    expect(regulator_get(m.kernel.base.findDevice("2000.uart")!, "vdd")).toBe(-EPROBE_DEFER);
  });

  test("a provider that goes while its regulator is in use is a warning", () => {
    const m = booted([]);
    regulator_enable(hold(m));
    m.run(device_release_driver(m.kernel.base.findDevice("1000.pmic")!));
    expect(m.kernel.warnings.map(({ message }) => message)).toEqual(["regulator vdd is in use"]);
  });
});
