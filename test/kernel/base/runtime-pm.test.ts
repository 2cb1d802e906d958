// SPDX-License-Identifier: GPL-2.0-only
/** Runtime power management: references, parents and suppliers, autosuspend, the barrier, and what shutdown makes of it. */
import { describe, expect, test } from "vitest";
import {
  type Device,
  type DevPmOps,
  device_add,
  device_link_add,
  device_release_driver,
  device_shutdown,
  DL_FLAG,
  driver_register,
  EAGAIN,
  EACCES,
  EBUSY,
  EINVAL,
  pm_request_resume,
  pm_runtime_allow,
  pm_runtime_barrier,
  pm_runtime_disable,
  pm_runtime_enable,
  pm_runtime_force_resume,
  pm_runtime_force_suspend,
  pm_runtime_forbid,
  pm_runtime_get_if_active,
  pm_runtime_get_noresume,
  pm_runtime_get_sync,
  pm_runtime_put,
  pm_runtime_put_autosuspend,
  pm_runtime_put_noidle,
  pm_runtime_put_sync,
  pm_runtime_resume,
  pm_runtime_resume_and_get,
  pm_runtime_set_active,
  pm_runtime_set_autosuspend_delay,
  pm_runtime_suspend,
  pm_runtime_use_autosuspend,
} from "../../../src/kernel/index.ts";
import { type Coroutine, sleepNs } from "../../../src/sim/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

interface Rig extends TestKernel {
  readonly log: string[];
  /** A registered device whose callbacks write "suspend NAME" and "resume NAME"; runtime PM is enabled and it is suspended. */
  dev(name: string, parent?: Device | null, ops?: DevPmOps): Device;
}

function rig(): Rig {
  const machine = makeTestKernel();
  const log: string[] = [];
  return {
    ...machine,
    log,
    dev(name, parent = null, ops = {}) {
      const dev = testDevice(machine.kernel, name, null, parent);
      dev.pm_domain = {
        name: "test",
        ops: {
          *runtime_suspend() {
            log.push(`suspend ${name}`);
            return 0;
          },
          *runtime_resume() {
            log.push(`resume ${name}`);
            return 0;
          },
          ...ops,
        },
      };
      machine.run(device_add(dev));
      pm_runtime_enable(dev);
      return dev;
    },
  };
}

describe("runtime PM references", () => {
  test("a device begins suspended, disabled, and unused", () => {
    const { kernel } = makeTestKernel();
    const { power } = testDevice(kernel, "d");
    expect([power.runtime_status, power.disable_depth, power.usage_count]).toEqual(["suspended", 1, 0]);
  });

  test("the first reference resumes, the last one given back suspends", () => {
    const m = rig();
    const dev = m.dev("d");
    expect(m.run(pm_runtime_get_sync(dev))).toBe(0);
    expect(m.run(pm_runtime_get_sync(dev))).toBe(1);
    expect(m.run(pm_runtime_put_sync(dev))).toBe(0);
    expect(m.log).toEqual(["resume d"]);
    expect(m.run(pm_runtime_put_sync(dev))).toBe(0);
    expect(m.log).toEqual(["resume d", "suspend d"]);
  });

  test("pm_runtime_put leaves the suspend to a worker", () => {
    const m = rig();
    const dev = m.dev("d");
    m.run(pm_runtime_get_sync(dev));
    pm_runtime_put(dev);
    expect(dev.power.runtime_status).toBe("active");
    m.idle(1000);
    expect(m.log).toEqual(["resume d", "suspend d"]);
  });

  test("a reference that is not there is a warning and changes nothing", () => {
    const m = rig();
    const dev = m.dev("d");
    expect(pm_runtime_put(dev)).toBe(-EINVAL);
    expect(dev.power.usage_count).toBe(0);
    expect(m.kernel.warnings.map(({ message, device }) => [message, device?.name])).toEqual([["Runtime PM usage count underflow!", "d"]]);
  });

  test("pm_runtime_put_noidle stops at zero and says nothing", () => {
    const m = rig();
    const dev = m.dev("d");
    pm_runtime_put_noidle(dev);
    expect([dev.power.usage_count, m.kernel.warnings.length]).toEqual([0, 0]);
  });

  test("enabling what is enabled is a warning", () => {
    const m = rig();
    pm_runtime_enable(m.dev("d"));
    expect(m.kernel.warnings[0]?.message).toBe("Unbalanced pm_runtime_enable!");
  });

  test("while disabled nothing is called, and a suspended device cannot be resumed: -EACCES, the reference is kept", () => {
    const m = rig();
    const dev = m.dev("d");
    m.run(pm_runtime_disable(dev));
    expect(m.run(pm_runtime_get_sync(dev))).toBe(-EACCES);
    expect([dev.power.usage_count, m.log]).toEqual([1, []]);
    expect(m.run(pm_runtime_resume_and_get(dev))).toBe(-EACCES);
    expect(dev.power.usage_count).toBe(1);
  });

  test("pm_runtime_get_if_active takes a reference of an active device only", () => {
    const m = rig();
    const dev = m.dev("d");
    expect(pm_runtime_get_if_active(dev)).toBe(0);
    m.run(pm_runtime_get_sync(dev));
    expect([pm_runtime_get_if_active(dev), dev.power.usage_count]).toEqual([1, 2]);
  });

  test("an idle callback that refuses keeps the device active", () => {
    const m = rig();
    const dev = m.dev("d", null, {
      *runtime_idle() {
        return -EBUSY;
      },
    });
    m.run(pm_runtime_get_sync(dev));
    expect(m.run(pm_runtime_put_sync(dev))).toBe(-EBUSY);
    expect(dev.power.runtime_status).toBe("active");
  });

  test("a suspend that fails leaves the device active; but for -EBUSY and -EAGAIN runtime PM stops there", () => {
    for (const [answer, after] of [
      [-EBUSY, 0],
      [-EINVAL, -EINVAL],
    ] as const) {
      const m = rig();
      const dev = m.dev("d", null, {
        *runtime_suspend() {
          return answer;
        },
      });
      m.run(pm_runtime_resume(dev));
      m.idle(1000);
      expect(dev.power.runtime_status).toBe("active");
      expect(dev.power.runtime_error).toBe(after);
    }
  });

  test("user space may forbid suspending", () => {
    const m = rig();
    const dev = m.dev("d");
    m.run(pm_runtime_forbid(dev));
    expect(m.run(pm_runtime_suspend(dev))).toBe(-EAGAIN);
    pm_runtime_allow(dev);
    m.idle(1000);
    expect(dev.power.runtime_status).toBe("suspended");
  });
});

describe("whose callback runs", () => {
  const tells = (log: string[], who: string): DevPmOps => ({
    *runtime_resume() {
      log.push(who);
      return 0;
    },
  });

  test("the power domain's, else the class's, else the bus's, else the driver's", () => {
    const log: string[] = [];
    const m = makeTestKernel();
    const bus = testBus({ pm: tells(log, "bus") });
    const dev = testDevice(m.kernel, "d", bus);
    m.run(device_add(dev));
    m.run(driver_register(m.kernel, { ...loggingDriver("d", bus, []), pm: tells(log, "driver") }));
    pm_runtime_enable(dev);
    const resume = (): void => {
      m.run(pm_runtime_resume(dev));
      m.idle(1000);
    };
    resume();
    dev.dev_class = { name: "class", pm: tells(log, "class") };
    resume();
    dev.pm_domain = { name: "domain", ops: tells(log, "domain") };
    resume();
    dev.pm_domain = { name: "empty", ops: {} };
    resume();
    expect(log).toEqual(["bus", "class", "domain", "driver"]);
  });
});

describe("parents", () => {
  test("a parent is resumed before its child and suspended after it", () => {
    const m = rig();
    const parent = m.dev("parent");
    const child = m.dev("child", parent);
    m.run(pm_runtime_get_sync(child));
    expect(parent.power.child_count).toBe(1);
    m.run(pm_runtime_put_sync(child));
    m.idle(1000);
    expect(m.log).toEqual(["resume parent", "resume child", "suspend child", "suspend parent"]);
  });

  test("a parent with an active child is not suspended", () => {
    const m = rig();
    const parent = m.dev("parent");
    m.run(pm_runtime_get_sync(m.dev("child", parent)));
    expect(m.run(pm_runtime_suspend(parent))).toBe(-EBUSY);
  });

  test("a child cannot be set active below a suspended parent", () => {
    const m = rig();
    const child = m.dev("child", m.dev("parent"));
    m.run(pm_runtime_disable(child));
    expect(m.run(pm_runtime_set_active(child))).toBe(-EBUSY);
  });
});

describe("suppliers", () => {
  const linked = (flags: number): Rig & { supplier: Device; consumer: Device } => {
    const m = rig();
    const [consumer, supplier] = [m.dev("consumer"), m.dev("supplier")];
    device_link_add(consumer, supplier, flags);
    return { ...m, consumer, supplier };
  };

  test("with DL_FLAG_PM_RUNTIME a supplier is resumed before its consumer and suspended after it", () => {
    const m = linked(DL_FLAG.STATELESS | DL_FLAG.PM_RUNTIME);
    m.run(pm_runtime_get_sync(m.consumer));
    expect(m.supplier.power.usage_count).toBe(1);
    m.run(pm_runtime_put_sync(m.consumer));
    m.idle(1000);
    expect(m.log).toEqual(["resume supplier", "resume consumer", "suspend consumer", "suspend supplier"]);
  });

  test("without it the supplier is left alone", () => {
    const m = linked(DL_FLAG.STATELESS);
    m.run(pm_runtime_get_sync(m.consumer));
    expect(m.log).toEqual(["resume consumer"]);
  });

  test("DL_FLAG_RPM_ACTIVE holds the supplier until the link ends", () => {
    const m = linked(DL_FLAG.STATELESS | DL_FLAG.PM_RUNTIME | DL_FLAG.RPM_ACTIVE);
    m.idle(1000);
    expect(m.supplier.power.usage_count).toBe(1);
    expect(m.log).toEqual(["resume supplier"]);
  });

  test("suppliers are active while a driver is probed", () => {
    const m = makeTestKernel();
    const bus = testBus();
    const [supplier, consumer] = [testDevice(m.kernel, "supplier", bus), testDevice(m.kernel, "consumer", bus)];
    for (const dev of [supplier, consumer]) m.run(device_add(dev));
    pm_runtime_enable(supplier);
    device_link_add(consumer, supplier, DL_FLAG.STATELESS | DL_FLAG.PM_RUNTIME);
    const seen: string[] = [];
    const probe = (): number => {
      seen.push(supplier.power.runtime_status);
      return 0;
    };
    m.run(driver_register(m.kernel, loggingDriver("consumer", bus, [], { probe })));
    m.idle(1000);
    expect([...seen, supplier.power.runtime_status]).toEqual(["active", "suspended"]);
  });
});

describe("autosuspend", () => {
  const resting = (): Rig & { d: Device } => {
    const m = rig();
    const d = m.dev("d");
    m.run(pm_runtime_set_autosuspend_delay(d, 100));
    m.run(pm_runtime_use_autosuspend(d));
    m.run(pm_runtime_get_sync(d));
    return { ...m, d };
  };

  test("the device is suspended when it has rested for its delay", () => {
    const m = resting();
    pm_runtime_put_autosuspend(m.d);
    m.idle(99e6);
    expect(m.d.power.runtime_status).toBe("active");
    m.idle(2e6);
    expect(m.d.power.runtime_status).toBe("suspended");
  });

  test("use meanwhile starts the rest anew", () => {
    const m = resting();
    pm_runtime_put_autosuspend(m.d);
    m.idle(60e6);
    m.run(pm_runtime_get_sync(m.d));
    pm_runtime_put_autosuspend(m.d);
    m.idle(60e6);
    expect(m.d.power.runtime_status).toBe("active");
    m.idle(60e6);
    expect(m.d.power.runtime_status).toBe("suspended");
  });

  test("a negative delay forbids suspending", () => {
    const m = resting();
    m.run(pm_runtime_set_autosuspend_delay(m.d, -1));
    pm_runtime_put_autosuspend(m.d);
    m.idle(1e9);
    expect(m.d.power.runtime_status).toBe("active");
  });
});

describe("transitions that meet", () => {
  const slow = (m: Rig, steps: string[] = []): Device =>
    m.dev("d", null, {
      *runtime_suspend() {
        steps.push("suspending");
        yield* sleepNs(5000);
        steps.push("suspended");
        return 0;
      },
      *runtime_resume() {
        steps.push("resumed");
        return 0;
      },
    });

  test("a resume waits for the suspend that is under way", () => {
    const m = rig();
    const steps: string[] = [];
    const dev = slow(m, steps);
    m.run(pm_runtime_get_sync(dev));
    pm_runtime_put(dev);
    m.idle(1000);
    expect(dev.power.runtime_status).toBe("suspending");
    expect(m.run(pm_runtime_get_sync(dev))).toBe(0);
    expect(steps).toEqual(["resumed", "suspending", "suspended", "resumed"]);
  });

  test("a request to resume during a suspend is honoured after it", () => {
    const m = rig();
    const dev = slow(m);
    m.run(pm_runtime_resume(dev));
    m.idle(1000);
    expect(dev.power.runtime_status).toBe("suspending");
    pm_runtime_get_noresume(dev);
    pm_request_resume(dev);
    m.idle(20_000);
    expect(dev.power.runtime_status).toBe("active");
  });

  test("pm_runtime_barrier waits for a transition, makes a resume that was asked for, and drops all else", () => {
    const m = rig();
    const dev = slow(m);
    m.run(pm_runtime_get_sync(dev));
    pm_runtime_put(dev);
    m.idle(1000);
    m.run(pm_runtime_barrier(dev));
    expect(dev.power.runtime_status).toBe("suspended");
    const asked = function* (): Coroutine<string> {
      pm_request_resume(dev);
      yield* pm_runtime_barrier(dev);
      return `${dev.power.runtime_status} ${dev.power.request_pending}`;
    };
    expect(m.run(asked())).toBe("active false");
  });
});

describe("pm_runtime_force_suspend", () => {
  test("suspends a device that is in use, and force_resume brings it back", () => {
    const m = rig();
    const dev = m.dev("d");
    m.run(pm_runtime_get_sync(dev));
    pm_runtime_get_noresume(dev);
    expect(m.run(pm_runtime_force_suspend(dev))).toBe(0);
    expect(m.log).toEqual(["resume d", "suspend d"]);
    m.run(pm_runtime_force_resume(dev));
    expect(m.log).toEqual(["resume d", "suspend d", "resume d"]);
  });

  test("does nothing for a device that is suspended", () => {
    const m = rig();
    expect(m.run(pm_runtime_force_suspend(m.dev("d")))).toBe(0);
    expect(m.log).toEqual([]);
  });
});

describe("device_shutdown and runtime PM", () => {
  test("a suspended platform-like device is not resumed for its hook", () => {
    const m = rig();
    const dev = m.dev("d");
    m.run(device_shutdown(m.kernel));
    expect([m.log, dev.power.runtime_status, dev.power.usage_count]).toEqual([[], "suspended", 1]);
  });

  test("an autosuspend that is due during shutdown does not come any more", () => {
    const m = rig();
    const dev = m.dev("d");
    m.run(pm_runtime_set_autosuspend_delay(dev, 1));
    m.run(pm_runtime_use_autosuspend(dev));
    m.run(pm_runtime_get_sync(dev));
    pm_runtime_put_autosuspend(dev);
    m.run(device_shutdown(m.kernel));
    m.idle(1e9);
    expect(m.log).toEqual(["resume d"]);
  });

  test("a suspend that is under way ends before the hook runs", () => {
    const m = makeTestKernel();
    const bus = testBus();
    const seen: string[] = [];
    const dev = testDevice(m.kernel, "d", bus);
    m.run(device_add(dev));
    m.run(
      driver_register(m.kernel, {
        ...loggingDriver("d", bus, []),
        *shutdown() {
          seen.push(dev.power.runtime_status);
        },
        pm: {
          *runtime_suspend() {
            yield* sleepNs(10_000);
            return 0;
          },
        },
      }),
    );
    m.run(pm_runtime_set_active(dev));
    pm_runtime_enable(dev);
    m.kernel.spawn("rest", pm_runtime_suspend(dev));
    m.idle(1000);
    m.run(device_shutdown(m.kernel));
    expect(seen).toEqual(["suspended"]);
  });
});

describe("binding and runtime PM", () => {
  test("a device whose driver is gone and whose runtime PM is off counts as suspended", () => {
    const m = makeTestKernel();
    const bus = testBus();
    const dev = testDevice(m.kernel, "d", bus);
    m.run(device_add(dev));
    m.run(driver_register(m.kernel, loggingDriver("d", bus, [])));
    m.run(pm_runtime_set_active(dev));
    m.run(device_release_driver(dev));
    expect(dev.power.runtime_status).toBe("suspended");
  });

  test("the device is active while its driver is unbound", () => {
    const m = makeTestKernel();
    const bus = testBus();
    const dev = testDevice(m.kernel, "d", bus);
    const log: string[] = [];
    m.run(device_add(dev));
    m.run(
      driver_register(m.kernel, {
        ...loggingDriver("d", bus, log),
        pm: {
          *runtime_resume() {
            log.push("resume");
            return 0;
          },
        },
      }),
    );
    pm_runtime_enable(dev);
    m.run(device_release_driver(dev));
    expect(log).toEqual(["probe d", "resume", "remove d"]);
  });
});
