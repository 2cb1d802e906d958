// SPDX-License-Identifier: GPL-2.0-only
/** device_shutdown: whom it calls, in which order, under which locks, and what it leaves alone. */
import { describe, expect, test } from "vitest";
import {
  type Device,
  device_add,
  device_link_add,
  device_shutdown,
  DL_FLAG,
  driver_register,
  EPROBE_DEFER,
} from "../../../src/kernel/index.ts";
import { sleepNs } from "../../../src/sim/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

/** Adds devices (in this order), binds `driver` to those it matches, and shuts all down. */
function shutDown(driver: ReturnType<typeof loggingDriver> | null, devices: (machine: TestKernel) => Device[]): TestKernel {
  const machine = makeTestKernel();
  for (const dev of devices(machine)) machine.run(device_add(dev));
  if (driver) machine.run(driver_register(machine.kernel, driver));
  machine.run(device_shutdown(machine.kernel));
  return machine;
}

const hooks = (machine: TestKernel): [string, string][] =>
  machine.of("kernel.shutdown").flatMap(({ device, hook, phase }): [string, string][] => (phase === "begin" ? [[device, hook]] : []));

describe("device_shutdown", () => {
  test("walks the list from its tail", () => {
    const log: string[] = [];
    const bus = testBus();
    shutDown(loggingDriver("d", bus, log), ({ kernel }) => ["d1", "d2", "d3"].map((name) => testDevice(kernel, name, bus)));
    expect(log.slice(3)).toEqual(["shutdown d3", "shutdown d2", "shutdown d1"]);
  });

  test("calls bus->shutdown instead of driver->shutdown when the bus has one", () => {
    const log: string[] = [];
    const bus = testBus({
      *shutdown(dev) {
        log.push(`bus shutdown ${dev.name}`);
      },
    });
    const machine = shutDown(loggingDriver("d", bus, log), ({ kernel }) => [testDevice(kernel, "d1", bus)]);
    expect(log).toEqual(["probe d1", "bus shutdown d1"]);
    expect(hooks(machine)).toEqual([["d1", "bus test"]]);
  });

  test("calls bus->shutdown for a device without driver too", () => {
    const log: string[] = [];
    const bus = testBus({
      *shutdown(dev) {
        log.push(`bus shutdown ${dev.name}`);
      },
    });
    shutDown(null, ({ kernel }) => [testDevice(kernel, "d1", bus)]);
    expect(log).toEqual(["bus shutdown d1"]);
  });

  test("a device without driver is passed without a hook", () => {
    const machine = shutDown(null, ({ kernel }) => [testDevice(kernel, "d1", testBus())]);
    expect(hooks(machine)).toEqual([["d1", "none"]]);
  });

  test("a driver without shutdown is passed without a hook and stays bound", () => {
    const log: string[] = [];
    const bus = testBus();
    const machine = makeTestKernel();
    const dev = testDevice(machine.kernel, "d1", bus);
    machine.run(device_add(dev));
    machine.run(driver_register(machine.kernel, loggingDriver("d", bus, log, { hook: false })));
    machine.run(device_shutdown(machine.kernel));
    expect(log).toEqual(["probe d1"]);
    expect(dev.driver?.name).toBe("d");
  });

  test("holds the parent's lock and the device's own while the hook runs", () => {
    const held: (string | null)[] = [];
    const bus = testBus();
    const driver = {
      ...loggingDriver("child", bus, []),
      *shutdown(dev: Device) {
        held.push(dev.parent!.mutex.owner, dev.mutex.owner);
        yield* sleepNs(10);
      },
    };
    const machine = makeTestKernel();
    const parent = testDevice(machine.kernel, "parent");
    const child = testDevice(machine.kernel, "child", bus, parent);
    for (const dev of [parent, child]) machine.run(device_add(dev));
    machine.run(driver_register(machine.kernel, driver));
    machine.run(device_shutdown(machine.kernel));
    expect(held).toEqual(["device_shutdown", "device_shutdown"]);
    expect([parent.mutex.owner, child.mutex.owner]).toEqual([null, null]);
  });

  test("a hook that hangs hangs the machine: later devices are not reached", () => {
    const bus = testBus();
    const machine = makeTestKernel();
    for (const name of ["first", "wedged"]) machine.run(device_add(testDevice(machine.kernel, name, bus)));
    const driver = {
      ...loggingDriver("wedged", bus, []),
      *shutdown() {
        for (;;) yield* sleepNs(1e9);
      },
    };
    machine.run(driver_register(machine.kernel, driver));
    machine.kernel.spawn("reboot", device_shutdown(machine.kernel));
    machine.idle(100e9);
    expect(hooks(machine)).toEqual([["wedged", "driver wedged"]]);
  });

  test("runs the class's shutdown_pre before the hook", () => {
    const log: string[] = [];
    const bus = testBus();
    const machine = makeTestKernel();
    const dev = testDevice(machine.kernel, "tpm0", bus);
    dev.dev_class = {
      name: "tpm",
      *shutdown_pre() {
        log.push("shutdown_pre");
      },
    };
    machine.run(device_add(dev));
    machine.run(driver_register(machine.kernel, loggingDriver("tpm", bus, log)));
    machine.run(device_shutdown(machine.kernel));
    expect(log).toEqual(["probe tpm0", "shutdown_pre", "shutdown tpm0"]);
  });

  test("takes every device off the list, links' own devices included", () => {
    const machine = makeTestKernel();
    const [consumer, supplier] = [testDevice(machine.kernel, "consumer"), testDevice(machine.kernel, "supplier")];
    for (const dev of [consumer, supplier]) machine.run(device_add(dev));
    device_link_add(consumer, supplier, DL_FLAG.STATELESS);
    machine.run(device_shutdown(machine.kernel));
    expect(machine.kernel.base.deviceNames()).toEqual([]);
    expect(hooks(machine).map(([device]) => device)).toContain("no-bus:supplier--no-bus:consumer");
  });

  test("does not look at links: a supplier that stands behind its consumer is shut down first", () => {
    const log: string[] = [];
    const bus = testBus();
    const machine = makeTestKernel();
    const [supplier, consumer] = [testDevice(machine.kernel, "supplier", bus), testDevice(machine.kernel, "consumer", bus)];
    for (const dev of [supplier, consumer]) machine.run(device_add(dev));
    machine.run(driver_register(machine.kernel, loggingDriver("supplier", bus, log)));
    machine.run(driver_register(machine.kernel, loggingDriver("consumer", bus, log)));
    device_link_add(consumer, supplier, 0);
    machine.kernel.base.devices_kset.moveTail(supplier.kset_node);
    log.length = 0;
    machine.run(device_shutdown(machine.kernel));
    expect(log).toEqual(["shutdown supplier", "shutdown consumer"]);
  });

  test("probing is blocked from then on: a driver that comes later is deferred", () => {
    const log: string[] = [];
    const bus = testBus();
    const machine = shutDown(null, ({ kernel }) => [testDevice(kernel, "d1", bus)]);
    machine.run(driver_register(machine.kernel, loggingDriver("d", bus, log)));
    expect(log).toEqual([]);
    expect(machine.of("kernel.probe").at(-1)).toMatchObject({ device: "d1", result: "deferred", error: -EPROBE_DEFER });
  });

  test("waits for a probe that is under way before the first hook", () => {
    const bus = testBus();
    const log: string[] = [];
    const machine = makeTestKernel();
    for (const name of ["slow", "quick"]) machine.run(device_add(testDevice(machine.kernel, name, bus)));
    machine.run(driver_register(machine.kernel, loggingDriver("quick", bus, log)));
    const slow = {
      ...loggingDriver("slow", bus, log),
      *probe(dev: Device) {
        yield* sleepNs(5000);
        log.push(`probe ${dev.name}`);
        return 0;
      },
    };
    machine.kernel.spawn("modprobe", driver_register(machine.kernel, slow));
    machine.idle(1000);
    machine.run(device_shutdown(machine.kernel));
    expect(log).toEqual(["probe quick", "probe slow", "shutdown quick", "shutdown slow"]);
  });

  test("takes a runtime PM reference and resumes nothing", () => {
    const machine = makeTestKernel();
    const dev = testDevice(machine.kernel, "d1");
    machine.run(device_add(dev));
    machine.run(device_shutdown(machine.kernel));
    expect(dev.power.usage_count).toBe(1);
  });

  test("with initcall_debug it logs each hook as Linux does", () => {
    const bus = testBus();
    const machine = makeTestKernel({ cmdline: { initcallDebug: true } });
    machine.run(device_add(testDevice(machine.kernel, "d1", bus)));
    machine.run(driver_register(machine.kernel, loggingDriver("d", bus, [])));
    machine.run(device_shutdown(machine.kernel));
    expect(machine.kernel.printk.lines.at(-1)?.text).toBe("d d1: shutdown");
  });
});
