// SPDX-License-Identifier: GPL-2.0-only
/** Binding and unbinding: really_probe's order, failures, deferral, managed resources. */
import { describe, expect, test } from "vitest";
import {
  type Device,
  device_add,
  device_block_probing,
  device_del,
  device_release_driver,
  devm_add_action,
  driver_register,
  driver_unregister,
  EBUSY,
  EINVAL,
  ENODEV,
  EPROBE_DEFER,
  wait_for_device_probe,
} from "../../../src/kernel/index.ts";
import { sleepNs } from "../../../src/sim/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel } from "../support/fake-platform.ts";

describe("really_probe", () => {
  test("calls dma_configure before probe, with the driver set", () => {
    const log: string[] = [];
    const bus = testBus({
      *dma_configure(dev) {
        log.push(`dma_configure ${dev.driver?.name}`);
        return 0;
      },
    });
    const { kernel, run } = makeTestKernel();
    run(device_add(testDevice(kernel, "d1", bus)));
    run(driver_register(kernel, loggingDriver("d", bus, log)));
    expect(log).toEqual(["dma_configure d", "probe d1"]);
  });

  test("dma_configure may defer: probe is not called", () => {
    const log: string[] = [];
    const bus = testBus({
      *dma_configure() {
        return -EPROBE_DEFER;
      },
    });
    const { kernel, run, of } = makeTestKernel();
    const dev = testDevice(kernel, "d1", bus);
    run(device_add(dev));
    run(driver_register(kernel, loggingDriver("d", bus, log)));
    expect(log).toEqual([]);
    expect(dev.driver).toBeNull();
    expect(of("kernel.probe").map(({ result }) => result)).toEqual(["deferred"]);
    expect(kernel.base.deferred.pending.toArray()).toEqual([dev]);
  });

  test("calls the bus's probe instead of the driver's", () => {
    const log: string[] = [];
    const bus = testBus({
      *probe(dev) {
        log.push(`bus probe ${dev.name}`);
        return 0;
      },
    });
    const { kernel, run } = makeTestKernel();
    run(device_add(testDevice(kernel, "d1", bus)));
    run(driver_register(kernel, loggingDriver("d", bus, log)));
    expect(log).toEqual(["bus probe d1"]);
  });

  test("a failed probe unwinds: dma_cleanup, then managed resources newest first; the device has no driver", () => {
    const log: string[] = [];
    const bus = testBus({ dma_cleanup: (dev: Device) => void log.push(`dma_cleanup ${dev.driver?.name}`) });
    const { kernel, run } = makeTestKernel();
    const dev = testDevice(kernel, "d1", bus);
    run(device_add(dev));
    const probe = (): number => {
      devm_add_action(dev, "first", () => void log.push("release first"));
      devm_add_action(dev, "second", () => void log.push("release second"));
      return -EINVAL;
    };
    run(driver_register(kernel, loggingDriver("d", bus, log, { probe })));
    expect(log).toEqual(["probe d1", "dma_cleanup d", "release second", "release first"]);
    expect(dev.driver).toBeNull();
    expect(kernel.printk.lines.at(-1)).toMatchObject({ level: "err", text: "d d1: probe with driver d failed with error -22" });
  });

  test("a driver that rejects the device with -ENODEV is no error", () => {
    const bus = testBus();
    const { kernel, run } = makeTestKernel();
    run(device_add(testDevice(kernel, "d1", bus)));
    run(driver_register(kernel, loggingDriver("d", bus, [], { probe: () => -ENODEV })));
    expect(kernel.printk.lines.filter(({ level }) => level === "err")).toEqual([]);
  });

  test("the next matching driver is tried when one fails, in order of registration", () => {
    const log: string[] = [];
    const bus = testBus({ match: () => true });
    const { kernel, run } = makeTestKernel();
    run(driver_register(kernel, { ...loggingDriver("one", bus, log, { probe: () => -ENODEV }) }));
    run(driver_register(kernel, { ...loggingDriver("two", bus, log) }));
    const dev = testDevice(kernel, "d1", bus);
    run(device_add(dev));
    expect(dev.driver?.name).toBe("two");
    expect(log).toEqual(["probe d1", "probe d1"]);
  });

  test("resources present before probing are refused with -EBUSY", () => {
    const log: string[] = [];
    const bus = testBus();
    const { kernel, run, of } = makeTestKernel();
    const dev = testDevice(kernel, "d1", bus);
    devm_add_action(dev, "left over", () => {});
    run(device_add(dev));
    run(driver_register(kernel, loggingDriver("d", bus, log)));
    expect(log).toEqual([]);
    expect(of("kernel.probe")[0]).toMatchObject({ result: "failed", error: -EBUSY });
  });

  test("probe runs with the device's lock held", () => {
    const bus = testBus();
    const { kernel, run } = makeTestKernel();
    const dev = testDevice(kernel, "d1", bus);
    const owners: (string | null)[] = [];
    run(device_add(dev));
    run(driver_register(kernel, loggingDriver("d", bus, [], { probe: () => (owners.push(dev.mutex.owner), 0) })));
    expect(owners).toEqual(["test"]);
    expect(dev.mutex.owner).toBeNull();
  });

  test("bus notifiers hear of a device before drivers are tried on it", () => {
    const log: string[] = [];
    const bus = testBus();
    const { kernel, run } = makeTestKernel();
    kernel.base.bus(bus).notifiers.push((event, dev) => void log.push(`${event} ${dev.name}`));
    run(driver_register(kernel, loggingDriver("d", bus, log)));
    run(device_add(testDevice(kernel, "d1", bus)));
    expect(log).toEqual(["add-device d1", "probe d1", "bound-driver d1"]);
  });
});

describe("deferred probe", () => {
  test("nothing is retried before late_initcall", () => {
    const log: string[] = [];
    const bus = testBus();
    const { kernel, run, idle } = makeTestKernel();
    for (const name of ["client", "other"]) run(device_add(testDevice(kernel, name, bus)));
    run(driver_register(kernel, loggingDriver("client", bus, log, { probe: () => -EPROBE_DEFER })));
    run(driver_register(kernel, loggingDriver("other", bus, log)));
    idle(1e9);
    expect(log).toEqual(["probe client", "probe other"]);
  });

  test("each successful bind retries all that is pending", () => {
    const log: string[] = [];
    const bus = testBus();
    const { kernel, run, idle } = makeTestKernel();
    kernel.base.deferred.enabled = true;
    for (const name of ["client1", "client2", "other"]) run(device_add(testDevice(kernel, name, bus)));
    run(driver_register(kernel, loggingDriver("client", bus, log, { probe: () => -EPROBE_DEFER })));
    log.length = 0;
    run(driver_register(kernel, loggingDriver("other", bus, log)));
    idle(1e9);
    expect(log).toEqual(["probe other", "probe client1", "probe client2"]);
  });

  test("a bind that happened while a deferring probe ran triggers another try", () => {
    const log: string[] = [];
    const bus = testBus();
    const machine = makeTestKernel();
    const { kernel } = machine;
    kernel.base.deferred.enabled = true;
    let ready = false;
    for (const name of ["client", "other"]) machine.run(device_add(testDevice(kernel, name, bus)));
    const client = {
      ...loggingDriver("client", bus, log),
      *probe() {
        const answer = ready ? 0 : -EPROBE_DEFER;
        log.push(`probe client ${answer}`);
        yield* sleepNs(1000);
        return answer;
      },
    };
    const task = driver_register(kernel, client);
    kernel.spawn("modprobe client", task);
    machine.idle(100);
    machine.run(driver_register(kernel, loggingDriver("other", bus, log, { probe: () => ((ready = true), 0) })));
    machine.idle(1e6);
    expect(log).toEqual([`probe client ${-EPROBE_DEFER}`, "probe other", "probe client 0"]);
  });

  test("device_block_probing defers every later probe", () => {
    const log: string[] = [];
    const bus = testBus();
    const { kernel, run } = makeTestKernel();
    run(device_add(testDevice(kernel, "d1", bus)));
    run(device_block_probing(kernel));
    run(driver_register(kernel, loggingDriver("d", bus, log)));
    expect(log).toEqual([]);
    expect(kernel.base.deferred.pending.toArray().map(({ name }) => name)).toEqual(["d1"]);
  });

  test("wait_for_device_probe waits for the worker", () => {
    const log: string[] = [];
    const bus = testBus();
    const { kernel, run } = makeTestKernel();
    kernel.base.deferred.enabled = true;
    let tries = 0;
    for (const name of ["client", "other"]) run(device_add(testDevice(kernel, name, bus)));
    run(driver_register(kernel, loggingDriver("client", bus, log, { probe: () => (tries++ === 0 ? -EPROBE_DEFER : 0) })));
    run(driver_register(kernel, loggingDriver("other", bus, log)));
    run(wait_for_device_probe(kernel));
    expect(log).toEqual(["probe client", "probe other", "probe client"]);
  });

  test("a deferred device that is removed is not retried", () => {
    const bus = testBus();
    const { kernel, run } = makeTestKernel();
    const dev = testDevice(kernel, "client", bus);
    run(device_add(dev));
    run(driver_register(kernel, loggingDriver("client", bus, [], { probe: () => -EPROBE_DEFER })));
    run(device_del(dev));
    expect(kernel.base.deferred.pending.empty).toBe(true);
  });
});

describe("unbinding", () => {
  test("device_release_driver: remove, dma_cleanup, then managed resources in reverse", () => {
    const log: string[] = [];
    const bus = testBus({ dma_cleanup: () => void log.push("dma_cleanup") });
    const { kernel, run } = makeTestKernel();
    const dev = testDevice(kernel, "d1", bus);
    run(device_add(dev));
    const probe = (): number => {
      devm_add_action(dev, "a", () => void log.push("release a"));
      devm_add_action(dev, "b", function* () {
        yield* sleepNs(5);
        log.push("release b");
      });
      return 0;
    };
    run(driver_register(kernel, loggingDriver("d", bus, log, { probe })));
    run(device_release_driver(dev));
    expect(log).toEqual(["probe d1", "remove d1", "dma_cleanup", "release b", "release a"]);
    expect([dev.driver, dev.drvdata]).toEqual([null, null]);
  });

  test("driver_unregister lets go of its devices, the last one first", () => {
    const log: string[] = [];
    const bus = testBus();
    const { kernel, run } = makeTestKernel();
    const driver = loggingDriver("d", bus, log);
    run(driver_register(kernel, driver));
    for (const name of ["d1", "d2"]) run(device_add(testDevice(kernel, name, bus)));
    run(driver_unregister(kernel, driver));
    expect(log.slice(2)).toEqual(["remove d2", "remove d1"]);
  });
});
