// SPDX-License-Identifier: GPL-2.0-only
/** Device links: validity, cycles, states, and what they do to probing and unbinding. */
import { describe, expect, test } from "vitest";
import { DL_FLAG, device_add, device_link_add, device_release_driver, driver_register, type Device } from "../../../src/kernel/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const bus = testBus();

function machineWith(...names: string[]): { machine: TestKernel; devices: Device[] } {
  const machine = makeTestKernel();
  machine.kernel.base.deferred.enabled = true;
  const devices = names.map((name) => testDevice(machine.kernel, name, bus));
  for (const dev of devices) machine.run(device_add(dev));
  return { machine, devices };
}

describe("device_link_add refuses", () => {
  test("a device as its own supplier", () => {
    const { devices } = machineWith("a");
    expect(device_link_add(devices[0]!, devices[0]!, 0)).toBeNull();
  });

  test("STATELESS together with a flag of managed links", () => {
    const { devices } = machineWith("a", "b");
    expect(device_link_add(devices[0]!, devices[1]!, DL_FLAG.STATELESS | DL_FLAG.AUTOREMOVE_CONSUMER)).toBeNull();
  });

  test("AUTOPROBE_CONSUMER together with an AUTOREMOVE flag", () => {
    const { devices } = machineWith("a", "b");
    expect(device_link_add(devices[0]!, devices[1]!, DL_FLAG.AUTOPROBE_CONSUMER | DL_FLAG.AUTOREMOVE_SUPPLIER)).toBeNull();
  });

  test("SYNC_STATE_ONLY together with flags that say more", () => {
    const { devices } = machineWith("a", "b");
    expect(device_link_add(devices[0]!, devices[1]!, DL_FLAG.SYNC_STATE_ONLY | DL_FLAG.PM_RUNTIME)).toBeNull();
  });

  test("a cycle over links", () => {
    const { devices } = machineWith("a", "b", "c");
    const [a, b, c] = devices as [Device, Device, Device];
    device_link_add(a, b, 0);
    device_link_add(b, c, 0);
    expect(device_link_add(c, a, 0)).toBeNull();
  });

  test("a child as its parent's supplier", () => {
    const machine = makeTestKernel();
    const parent = testDevice(machine.kernel, "parent", bus);
    const child = testDevice(machine.kernel, "child", bus, parent);
    for (const dev of [parent, child]) machine.run(device_add(dev));
    expect(device_link_add(parent, child, 0)).toBeNull();
  });
});

describe("managed links", () => {
  test("device_links_check_suppliers defers the consumer until its supplier is bound", () => {
    const { machine, devices } = machineWith("consumer", "supplier");
    const [consumer, supplier] = devices as [Device, Device];
    const link = device_link_add(consumer, supplier, 0)!;
    const log: string[] = [];
    expect(link.status).toBe("dormant");
    machine.run(driver_register(machine.kernel, loggingDriver("consumer", bus, log)));
    expect(log).toEqual([]);
    expect(machine.of("kernel.probe").map(({ device, result }) => [device, result])).toEqual([["consumer", "deferred"]]);
    machine.run(driver_register(machine.kernel, loggingDriver("supplier", bus, log)));
    machine.idle(1000);
    expect(log).toEqual(["probe supplier", "probe consumer"]);
    expect(link.status).toBe("active");
  });

  test("a stateless link does not hold the consumer back", () => {
    const { machine, devices } = machineWith("consumer", "supplier");
    device_link_add(devices[0]!, devices[1]!, DL_FLAG.STATELESS);
    const log: string[] = [];
    machine.run(driver_register(machine.kernel, loggingDriver("consumer", bus, log)));
    expect(log).toEqual(["probe consumer"]);
  });

  test("unbinding a supplier unbinds its consumers first", () => {
    const { machine, devices } = machineWith("consumer", "supplier");
    const link = device_link_add(devices[0]!, devices[1]!, 0)!;
    const log: string[] = [];
    machine.run(driver_register(machine.kernel, loggingDriver("supplier", bus, log)));
    machine.run(driver_register(machine.kernel, loggingDriver("consumer", bus, log)));
    log.length = 0;
    machine.run(device_release_driver(devices[1]!));
    expect(log).toEqual(["remove consumer", "remove supplier"]);
    expect(link.status).toBe("dormant");
  });

  test("AUTOREMOVE_CONSUMER: the link ends when the consumer is unbound", () => {
    const { machine, devices } = machineWith("consumer", "supplier");
    const [consumer, supplier] = devices as [Device, Device];
    machine.run(driver_register(machine.kernel, loggingDriver("supplier", bus, [])));
    machine.run(driver_register(machine.kernel, loggingDriver("consumer", bus, [])));
    device_link_add(consumer, supplier, DL_FLAG.AUTOREMOVE_CONSUMER);
    machine.run(device_release_driver(consumer));
    expect(consumer.links.suppliers).toEqual([]);
    expect(supplier.links.consumers).toEqual([]);
  });

  test("AUTOPROBE_CONSUMER: a consumer that matched is probed once the supplier is bound", () => {
    const { machine, devices } = machineWith("consumer", "supplier");
    const log: string[] = [];
    let answer = -19;
    machine.run(driver_register(machine.kernel, loggingDriver("consumer", bus, log, { probe: () => answer })));
    device_link_add(devices[0]!, devices[1]!, DL_FLAG.AUTOPROBE_CONSUMER);
    answer = 0;
    machine.run(driver_register(machine.kernel, loggingDriver("supplier", bus, log)));
    machine.idle(1000);
    expect(log).toEqual(["probe consumer", "probe supplier", "probe consumer"]);
    expect(devices[0]!.driver?.name).toBe("consumer");
  });

  test("a link made in the consumer's probe to a bound supplier becomes active with the bind", () => {
    const { machine, devices } = machineWith("consumer", "supplier");
    const [consumer, supplier] = devices as [Device, Device];
    machine.run(driver_register(machine.kernel, loggingDriver("supplier", bus, [])));
    const probe = (): number => (device_link_add(consumer, supplier, 0)?.status === "consumer-probe" ? 0 : -22);
    machine.run(driver_register(machine.kernel, loggingDriver("consumer", bus, [], { probe })));
    expect(consumer.links.suppliers[0]?.status).toBe("active");
  });
});
