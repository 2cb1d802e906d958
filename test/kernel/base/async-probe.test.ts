// SPDX-License-Identifier: GPL-2.0-only
/** Asynchronous probing: who probes in whose task, and who waits for it. */
import { describe, expect, test } from "vitest";
import {
  async_synchronize_full,
  type DeviceDriver,
  device_add,
  device_shutdown,
  driver_register,
  driver_unregister,
  EPROBE_DEFER,
  type KernelParameters,
  wait_for_device_probe,
} from "../../../src/kernel/index.ts";
import { type Coroutine, sleepNs } from "../../../src/sim/index.ts";
import { loggingDriver, node, platformModule, testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

interface Rig extends TestKernel {
  readonly log: string[];
  readonly driver: DeviceDriver;
}

/** Devices d1 and d2 on a bus, and a driver whose probe takes 10 us. */
function rig(cmdline: Partial<KernelParameters>, extra: Partial<DeviceDriver> = {}): Rig {
  const machine = makeTestKernel({ cmdline });
  const bus = testBus();
  const log: string[] = [];
  for (const name of ["d1", "d2"]) machine.run(device_add(testDevice(machine.kernel, name, bus)));
  const driver: DeviceDriver = {
    ...loggingDriver("d", bus, log),
    *probe(dev) {
      log.push(`begin ${dev.name}`);
      yield* sleepNs(10_000);
      log.push(`end ${dev.name}`);
      return 0;
    },
    ...extra,
  };
  return { ...machine, log, driver };
}

function* registered(m: Rig): Coroutine<void> {
  yield* driver_register(m.kernel, m.driver);
  m.log.push("registered");
}

const IN_ORDER = ["begin d1", "end d1", "begin d2", "end d2", "registered"];
const SIDE_BY_SIDE = ["registered", "begin d1", "begin d2", "end d1", "end d2"];

describe("driver_async_probe", () => {
  const probes = (cmdline: Partial<KernelParameters>, extra: Partial<DeviceDriver> = {}): string[] => {
    const m = rig(cmdline, extra);
    m.run(registered(m));
    m.run(async_synchronize_full(m.kernel));
    return m.log;
  };

  test("by default a driver probes its devices one after another, and registering waits", () => {
    expect(probes({})).toEqual(IN_ORDER);
  });

  test("a driver that is named probes its devices side by side, and registering does not wait", () => {
    expect(probes({ asyncProbe: ["d"] })).toEqual(SIDE_BY_SIDE);
  });

  test("* names every driver, and names beside it the exceptions", () => {
    expect(probes({ asyncProbe: ["*"] })).toEqual(SIDE_BY_SIDE);
    expect(probes({ asyncProbe: ["*", "d"] })).toEqual(IN_ORDER);
  });

  test("PROBE_PREFER_ASYNCHRONOUS and PROBE_FORCE_SYNCHRONOUS come before the command line", () => {
    expect(probes({}, { probe_type: "prefer-asynchronous" })).toEqual(SIDE_BY_SIDE);
    expect(probes({ asyncProbe: ["*"] }, { probe_type: "force-synchronous" })).toEqual(IN_ORDER);
  });
});

describe("asynchronous probes", () => {
  test("a device that comes later is attached in a task of its own", () => {
    const m = rig({ asyncProbe: ["d"] });
    m.run(driver_register(m.kernel, m.driver));
    m.run(async_synchronize_full(m.kernel));
    m.log.length = 0;
    m.run(
      (function* () {
        yield* device_add(testDevice(m.kernel, "d3", m.driver.bus));
        m.log.push("added");
      })(),
    );
    m.run(wait_for_device_probe(m.kernel));
    expect(m.log).toEqual(["added", "begin d3", "end d3"]);
  });

  test("synchronous drivers of the bus are tried before asynchronous ones", () => {
    const m = rig({ asyncProbe: ["d"] });
    m.run(driver_register(m.kernel, m.driver));
    m.run(driver_register(m.kernel, loggingDriver("d3", m.driver.bus, m.log)));
    m.run(async_synchronize_full(m.kernel));
    m.log.length = 0;
    m.run(device_add(testDevice(m.kernel, "d3", m.driver.bus)));
    m.run(wait_for_device_probe(m.kernel));
    expect(m.log).toEqual(["probe d3"]);
  });

  test("a deferral that is asked for asynchronously is retried after the next bind", () => {
    let ready = false;
    const m = rig(
      { asyncProbe: ["d"] },
      {
        *probe() {
          return ready ? 0 : -EPROBE_DEFER;
        },
      },
    );
    m.kernel.base.deferred.enabled = true;
    m.run(driver_register(m.kernel, m.driver));
    m.run(wait_for_device_probe(m.kernel));
    ready = true;
    m.run(device_add(testDevice(m.kernel, "other", m.driver.bus)));
    m.run(driver_register(m.kernel, loggingDriver("other", m.driver.bus, [])));
    m.run(wait_for_device_probe(m.kernel));
    expect(m.kernel.base.findDevice("d1")?.driver?.name).toBe("d");
  });

  test("device_shutdown waits for them before its first hook", () => {
    const m = rig({ asyncProbe: ["d"] });
    m.run(driver_register(m.kernel, m.driver));
    m.run(device_shutdown(m.kernel));
    expect(m.log).toEqual(["begin d1", "begin d2", "end d1", "end d2", "shutdown d2", "shutdown d1"]);
  });

  test("a driver that goes away waits for its own", () => {
    const m = rig({ asyncProbe: ["d"] });
    m.run(
      (function* () {
        yield* driver_register(m.kernel, m.driver);
        yield* driver_unregister(m.kernel, m.driver);
      })(),
    );
    expect(m.log).toEqual(["begin d1", "begin d2", "end d1", "end d2", "remove d2", "remove d1"]);
  });

  test("a module is loaded when what it started is done, so the next one finds it bound", () => {
    const seen: string[] = [];
    const machine = makeTestKernel({
      cmdline: { asyncProbe: ["slow-driver"] },
      nodes: [node("slow", 0x1000)],
      drivers: [
        platformModule("slow", {
          initcall: "module",
          *probe() {
            yield* sleepNs(1e6);
            seen.push("probed");
            return 0;
          },
        }),
        { name: "next", initcall: "module", linkOrder: 0, init: () => void seen.push("next module") },
      ],
    });
    machine.run(machine.kernel.boot());
    expect(seen).toEqual(["probed", "next module"]);
  });
});
