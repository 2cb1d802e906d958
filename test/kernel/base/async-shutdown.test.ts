// SPDX-License-Identifier: GPL-2.0-only
/** Shutdown in parallel, as the series "shut down devices asynchronously" proposes it in v16: who overlaps, who waits, what hangs. */
import { describe, expect, test } from "vitest";
import { type Device, device_add, device_link_add, device_shutdown, DL_FLAG, driver_register } from "../../../src/kernel/index.ts";
import { sleepNs } from "../../../src/sim/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

interface Rig extends TestKernel {
  readonly log: string[];
  /** Registers a device with a hook of 10 us; `flagged` ones may run beside others. */
  dev(name: string, options?: { readonly parent?: Device; readonly flagged?: boolean }): Device;
}

function rig(asyncShutdown: "off" | "v16" = "v16", need_parent_lock: boolean = false): Rig {
  const machine = makeTestKernel({ cmdline: { asyncShutdown } });
  const bus = testBus({ need_parent_lock });
  const log: string[] = [];
  machine.run(
    driver_register(machine.kernel, {
      ...loggingDriver("", bus, []),
      *shutdown(dev) {
        log.push(`begin ${dev.name}`);
        yield* sleepNs(10_000);
        log.push(`end ${dev.name}`);
      },
    }),
  );
  return {
    ...machine,
    log,
    dev(name, { parent, flagged } = {}) {
      const dev = testDevice(machine.kernel, name, bus, parent ?? null);
      dev.async_shutdown = flagged ?? false;
      machine.run(device_add(dev));
      return dev;
    },
  };
}

describe("asynchronous shutdown", () => {
  test("flagged devices run their hooks side by side, and device_shutdown waits for all", () => {
    const m = rig();
    for (const name of ["nvme", "nic"]) m.dev(name, { flagged: true });
    m.run(device_shutdown(m.kernel));
    expect(m.log).toEqual(["begin nic", "begin nvme", "end nic", "end nvme"]);
  });

  test("switched off, flagged devices go one by one from the tail of the list", () => {
    const m = rig("off");
    for (const name of ["nvme", "nic"]) m.dev(name, { flagged: true });
    m.run(device_shutdown(m.kernel));
    expect(m.log).toEqual(["begin nic", "end nic", "begin nvme", "end nvme"]);
  });

  test("devices that are not flagged keep the order of the list among themselves", () => {
    const m = rig();
    for (const name of ["a", "b"]) m.dev(name);
    m.run(device_shutdown(m.kernel));
    expect(m.log).toEqual(["begin b", "end b", "begin a", "end a"]);
  });

  test("a flagged device waits for its children", () => {
    const m = rig();
    const bridge = m.dev("bridge", { flagged: true });
    m.dev("nic", { flagged: true, parent: bridge });
    m.run(device_shutdown(m.kernel));
    expect(m.log).toEqual(["begin nic", "end nic", "begin bridge", "end bridge"]);
  });

  test("a flagged device waits for its consumers, flagged or not", () => {
    const m = rig();
    const [supplier, consumer] = [m.dev("supplier", { flagged: true }), m.dev("consumer")];
    device_link_add(consumer, supplier, DL_FLAG.STATELESS);
    m.run(device_shutdown(m.kernel));
    expect(m.log).toEqual(["begin consumer", "end consumer", "begin supplier", "end supplier"]);
  });

  test("a device that is not flagged waits for flagged consumers", () => {
    const m = rig();
    const [smmu, nic] = [m.dev("smmu"), m.dev("nic", { flagged: true })];
    device_link_add(nic, smmu, DL_FLAG.STATELESS);
    m.run(device_shutdown(m.kernel));
    expect(m.log).toEqual(["begin nic", "end nic", "begin smmu", "end smmu"]);
  });

  test("without a link a flagged client overlaps its IOMMU's hook", () => {
    const m = rig();
    m.dev("smmu");
    m.dev("nic", { flagged: true });
    m.run(device_shutdown(m.kernel));
    expect(m.log.slice(0, 2).toSorted()).toEqual(["begin nic", "begin smmu"]);
  });

  test("a link that only serves sync_state() makes nobody wait", () => {
    const m = rig();
    const [supplier, consumer] = [testDevice(m.kernel, "supplier"), testDevice(m.kernel, "consumer")];
    for (const dev of [supplier, consumer]) m.run(device_add(dev));
    expect(device_link_add(consumer, supplier, DL_FLAG.SYNC_STATE_ONLY)).not.toBeNull();
    consumer.async_shutdown = true;
    m.run(device_shutdown(m.kernel));
    const passed = m.of("kernel.shutdown").flatMap(({ device, phase }) => (phase === "begin" ? [device] : []));
    expect(passed.indexOf("supplier")).toBeLessThan(passed.indexOf("consumer"));
  });

  test("the parent's lock is held only where the bus wants it", () => {
    for (const wanted of [false, true]) {
      const m = rig("v16", wanted);
      const parent = m.dev("parent");
      m.dev("child", { parent, flagged: true });
      m.kernel.spawn("reboot", device_shutdown(m.kernel));
      m.idle(5000);
      expect([m.log, parent.mutex.owner]).toEqual([["begin child"], wanted ? "async shutdown" : null]);
    }
  });

  test("a supplier behind its flagged consumer in the list does no harm by itself", () => {
    const m = rig();
    const [nic, smmu] = [m.dev("nic", { flagged: true }), m.dev("smmu")];
    device_link_add(nic, smmu, DL_FLAG.STATELESS);
    m.kernel.base.devices_kset.moveTail(smmu.kset_node);
    m.run(device_shutdown(m.kernel));
    expect(m.log).toEqual(["begin nic", "end nic", "begin smmu", "end smmu"]);
  });

  test("but if that consumer waits for a device further up the list, the machine hangs, and each wait says for whom", () => {
    const m = rig();
    const nic = m.dev("nic", { flagged: true });
    m.dev("phy", { parent: nic });
    const smmu = m.dev("smmu");
    device_link_add(nic, smmu, DL_FLAG.STATELESS);
    m.kernel.base.devices_kset.moveTail(smmu.kset_node);
    m.kernel.spawn("reboot", device_shutdown(m.kernel));
    const outcome = m.sim.run({ limitNs: 100e9 });
    expect(outcome.kind).toBe("deadlock");
    const waiting = outcome.kind === "deadlock" ? outcome.waiting.map(({ task, reason }) => `${task}: ${reason}`) : [];
    expect(waiting).toEqual(["reboot: event on shutdown of nic", "kworker/async shutdown nic: event on shutdown of phy"]);
    expect(m.log).toEqual([]);
  });

  test.each([
    ["off", false],
    ["off", true],
    ["v16", false],
    ["v16", true],
  ] as const)("%s: the bus's hook runs for a device that another's hook registers, flagged: %s", (how, flagged) => {
    const m = rig(how);
    const log: string[] = [];
    // No driver binds any more.
    const late = testBus({
      *shutdown(dev) {
        log.push(dev.name);
        if (dev.name !== "hub") return;
        const child = testDevice(m.kernel, "late", late);
        child.async_shutdown = flagged;
        yield* device_add(child);
      },
    });
    m.run(device_add(testDevice(m.kernel, "hub", late)));
    m.run(device_shutdown(m.kernel));
    expect(log).toEqual(["hub", "late"]);
  });

  test("the list's order alone shuts the same machine down", () => {
    const m = rig("off");
    const nic = m.dev("nic", { flagged: true });
    m.dev("phy", { parent: nic });
    const smmu = m.dev("smmu");
    device_link_add(nic, smmu, DL_FLAG.STATELESS);
    m.kernel.base.devices_kset.moveTail(smmu.kset_node);
    m.run(device_shutdown(m.kernel));
    expect(m.log.filter((line) => line.startsWith("end"))).toEqual(["end smmu", "end phy", "end nic"]);
  });
});
