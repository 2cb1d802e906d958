// SPDX-License-Identifier: GPL-2.0-only
/** Boot: initcalls, the place of deferred probes among them, modules, states. */
import { describe, expect, test } from "vitest";
import { type DriverModule, type DtNode, EPROBE_DEFER, type InitcallLevel, PlatformDevice } from "../../../src/kernel/index.ts";
import { node, platformModule } from "../support/devices.ts";
import { makeTestKernel, type TestKernel, type TestKernelOptions } from "../support/fake-platform.ts";

function booted(options: TestKernelOptions): TestKernel {
  const machine = makeTestKernel(options);
  machine.run(machine.kernel.boot());
  return machine;
}

function initcall(name: string, level: InitcallLevel | "module", linkOrder: number, log: string[]): DriverModule {
  return { name, initcall: level, linkOrder, init: () => void log.push(name) };
}

describe("initcalls", () => {
  test("run by level, then by link order, then as given; modules last and as given", () => {
    const log: string[] = [];
    const call = (name: string, level: InitcallLevel | "module", order: number): DriverModule => initcall(name, level, order, log);
    booted({
      drivers: [
        call("module 9", "module", 9),
        call("module 1", "module", 1),
        call("late", "late", 1),
        call("device 2 first", "device", 2),
        call("device 2 second", "device", 2),
        call("device 1", "device", 1),
        call("core", "core", 9),
        call("fs", "fs", 1),
        call("subsys", "subsys", 1),
        call("arch", "arch", 1),
        call("postcore", "postcore", 1),
      ],
    });
    expect(log).toEqual([
      "core",
      "postcore",
      "arch",
      "subsys",
      "fs",
      "device 1",
      "device 2 first",
      "device 2 second",
      "late",
      "module 9",
      "module 1",
    ]);
  });

  test("devices of the tree exist after the arch initcalls and before the subsys ones", () => {
    const seen: Record<string, boolean> = {};
    const look = (level: InitcallLevel): DriverModule => ({
      name: level,
      initcall: level,
      linkOrder: 1,
      init: (kernel) => void (seen[level] = kernel.base.findDevice("1000.dev") !== null),
    });
    booted({ nodes: [node("dev", 0x1000)], drivers: [look("arch"), look("subsys")] });
    expect(seen).toEqual({ arch: false, subsys: true });
  });

  test("deferred probes get their first retry at late_initcall", () => {
    const levels: string[] = [];
    let level = "";
    const mark = (name: InitcallLevel): DriverModule => ({ name, initcall: name, linkOrder: 0, init: () => void (level = name) });
    booted({
      nodes: [node("client", 0x1000), node("other", 0x2000)],
      drivers: [
        mark("device"),
        mark("late"),
        platformModule("client", {
          linkOrder: 1,
          *probe() {
            levels.push(level);
            return level === "late" ? 0 : -EPROBE_DEFER;
          },
        }),
        platformModule("other", { linkOrder: 2 }),
      ],
    });
    expect(levels).toEqual(["device", "late"]);
  });
});

describe("order of clients and supplier", () => {
  // A supplier whose driver sits at drivers/Makefile's place of iommu/ (65); clients before or after it in the tree.
  let ready = false;
  const supplier = platformModule("supplier", {
    linkOrder: 65,
    *probe() {
      ready = true;
      return 0;
    },
  });
  const client = (linkOrder: number, initcall: "device" | "module" = "device"): DriverModule =>
    platformModule("client", {
      linkOrder,
      initcall,
      *probe() {
        return ready ? 0 : -EPROBE_DEFER;
      },
    });
  const order = (nodes: readonly DtNode[], driver: DriverModule): string[] => {
    ready = false;
    const { kernel } = booted({ nodes, drivers: [driver, supplier] });
    return kernel.base.devices().flatMap((dev) => (dev instanceof PlatformDevice ? [dev.name.split(".")[1]!] : []));
  };
  const clientFirst = [node("client", 0x1000), node("supplier", 0x2000)];

  test("a client whose driver is linked before the supplier's is deferred and ends up behind it", () => {
    expect(order(clientFirst, client(43))).toEqual(["supplier", "client"]);
  });

  test("a client whose driver is linked after the supplier's is never deferred and stays in front", () => {
    expect(order(clientFirst, client(68))).toEqual(["client", "supplier"]);
  });

  test("a client driven by a module is never deferred and stays in front", () => {
    expect(order(clientFirst, client(43, "module"))).toEqual(["client", "supplier"]);
  });

  test("a client that comes later in the tree is behind in any case", () => {
    expect(order(clientFirst.toReversed(), client(68))).toEqual(["supplier", "client"]);
  });
});

describe("states", () => {
  test("booting, then running once everything was probed", () => {
    const machine = booted({});
    expect(machine.of("kernel.state").map(({ state }) => state)).toEqual(["booting", "running"]);
    expect(machine.kernel.state).toBe("running");
  });

  test("a kernel that oopsed while it booted stays crashed", () => {
    const machine = makeTestKernel({ drivers: [initcall("bad", "device", 1, [])] });
    machine.kernel.oops("BUG: early");
    machine.run(machine.kernel.boot());
    expect(machine.kernel.state).toBe("crashed");
  });

  test("boot ends although a probe is deferred for ever", () => {
    const machine = booted({
      nodes: [node("dev", 0x1000)],
      drivers: [
        platformModule("dev", {
          *probe() {
            return -EPROBE_DEFER;
          },
        }),
      ],
    });
    expect(machine.kernel.state).toBe("running");
    expect(machine.kernel.base.findDevice("1000.dev")?.driver).toBeNull();
  });

  test("interrupts that an earlier kernel left on are off until they are requested", () => {
    const machine = makeTestKernel({ nodes: [node("dev", 0x1000, { interrupts: [40] })], attach: false });
    machine.platform.interrupts.enable(40, true);
    machine.platform.interrupts.setLevel(40, true);
    machine.run(machine.kernel.boot());
    expect(machine.of("kernel.irq")).toEqual([]);
    expect(machine.platform.interrupts.enabled.has(40)).toBe(false);
  });

  test("a stopped kernel takes no interrupt, runs no task and no timer, and stays gone", () => {
    const machine = booted({});
    machine.kernel.stop();
    expect(machine.kernel.state).toBe("gone");
    expect(machine.sim.interruptHook).toBeNull();
    expect(machine.kernel.tasks.tasks.size).toBe(0);
    machine.kernel.setState("running");
    expect(machine.kernel.state).toBe("gone");
  });

  test("with initcall_debug, initcalls and probes are logged", () => {
    const { kernel } = booted({ nodes: [node("dev", 0x1000)], drivers: [platformModule("dev")], cmdline: { initcallDebug: true } });
    const lines = kernel.printk.lines.map(({ text }) => text);
    expect(lines).toContain("calling  dev_init @ 1");
    expect(lines).toContain("probe of 1000.dev returned 0 after 0 usecs");
    expect(lines).toContain("initcall dev_init returned 0 after 0 usecs");
  });
});
