// SPDX-License-Identifier: GPL-2.0-only
/** Managed resources: order of release, groups, and what leaks. */
import { describe, expect, test } from "vitest";
import {
  type Device,
  device_add,
  device_release_driver,
  devm_add_action,
  devres_close_group,
  devres_open_group,
  devres_release_all,
  devres_release_group,
  devres_remove_group,
  driver_register,
  EBUSY,
} from "../../../src/kernel/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

interface Rig {
  readonly m: TestKernel;
  readonly dev: Device;
  readonly log: string[];
  acquire(...names: string[]): void;
}

function rig(): Rig {
  const m = makeTestKernel();
  const dev = testDevice(m.kernel, "d");
  const log: string[] = [];
  const acquire = (...names: string[]): void => {
    for (const name of names) devm_add_action(dev, name, () => void log.push(name));
  };
  return { m, dev, log, acquire };
}

describe("devres groups", () => {
  test("a group is released newest first, and nothing else", () => {
    const { m, dev, log, acquire } = rig();
    acquire("before");
    const group = devres_open_group(dev, "g");
    acquire("a", "b");
    devres_close_group(dev, group);
    acquire("after");
    expect(m.run(devres_release_group(dev, group))).toBe(2);
    expect(log).toEqual(["b", "a"]);
    expect(m.run(devres_release_all(dev))).toBe(2);
    expect(log).toEqual(["b", "a", "after", "before"]);
  });

  test("a group that was not closed reaches to the newest resource", () => {
    const { m, dev, log, acquire } = rig();
    const group = devres_open_group(dev, "g");
    acquire("a", "b");
    m.run(devres_release_group(dev, group));
    expect(log).toEqual(["b", "a"]);
  });

  test("a group inside of a group goes with it", () => {
    const { m, dev, log, acquire } = rig();
    const outer = devres_open_group(dev, "outer");
    acquire("a");
    const inner = devres_open_group(dev, "inner");
    acquire("b");
    devres_close_group(dev, inner);
    devres_close_group(dev, outer);
    m.run(devres_release_group(dev, outer));
    expect([log, dev.devres.length]).toEqual([["b", "a"], 0]);
  });

  test("a group that ends outside keeps its marks and what it holds there", () => {
    const { m, dev, log, acquire } = rig();
    const first = devres_open_group(dev, "first");
    acquire("a");
    const second = devres_open_group(dev, "second");
    acquire("b");
    devres_close_group(dev, first);
    acquire("c");
    devres_close_group(dev, second);
    m.run(devres_release_group(dev, first));
    expect(log).toEqual(["b", "a"]);
    m.run(devres_release_group(dev, second));
    expect(log).toEqual(["b", "a", "c"]);
  });

  test("removing a group keeps its resources", () => {
    const { m, dev, log, acquire } = rig();
    const group = devres_open_group(dev, "g");
    acquire("a");
    devres_close_group(dev, group);
    devres_remove_group(dev, group);
    expect(log).toEqual([]);
    expect(m.run(devres_release_all(dev))).toBe(1);
  });

  test("closing a group twice and releasing one that is gone are warnings", () => {
    const { m, dev } = rig();
    const group = devres_open_group(dev, "g");
    devres_close_group(dev, group);
    devres_close_group(dev, group);
    m.run(devres_release_group(dev, group));
    m.run(devres_release_group(dev, group));
    expect(m.kernel.warnings.map(({ message }) => message)).toEqual(["devres group g is not open", "devres group g is gone"]);
  });
});

describe("leaks", () => {
  test("what is acquired while resources are released stays, is named, and keeps the next probe out", () => {
    const m = makeTestKernel();
    const bus = testBus();
    const dev = testDevice(m.kernel, "d", bus);
    m.run(device_add(dev));
    const driver = loggingDriver("d", bus, [], {
      probe: () => {
        devm_add_action(dev, "first", () => void devm_add_action(dev, "late", () => {}));
        return 0;
      },
    });
    m.run(driver_register(m.kernel, driver));
    m.run(device_release_driver(dev));
    expect(m.kernel.warnings.map(({ message }) => message)).toEqual([
      "managed resources were acquired while they were being released: late",
    ]);
    m.run(driver_register(m.kernel, driver));
    expect(m.of("kernel.probe").at(-1)).toMatchObject({ result: "failed", error: -EBUSY });
  });
});
