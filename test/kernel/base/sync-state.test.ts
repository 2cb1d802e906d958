// SPDX-License-Identifier: GPL-2.0-only
/** sync_state(): when a supplier hears that all its consumers are there, and what the end of probing makes of those that are not. */
import { describe, expect, test } from "vitest";
import {
  device_add,
  device_link_add,
  device_links_supplier_sync_state_pause,
  device_links_supplier_sync_state_resume,
  DL_FLAG,
  driver_register,
  ENODEV,
  type KernelParameters,
} from "../../../src/kernel/index.ts";
import { loggingDriver, node, platformModule, testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

/** A supplier and two consumers, linked; late_initcall is over. */
function rig(): { m: TestKernel; log: string[]; bind(name: string): void } {
  const m = makeTestKernel();
  const bus = testBus();
  const log: string[] = [];
  const [supplier, ...consumers] = ["supplier", "c1", "c2"].map((name) => testDevice(m.kernel, name, bus));
  for (const dev of [supplier!, ...consumers]) m.run(device_add(dev));
  for (const dev of consumers) device_link_add(dev, supplier!, DL_FLAG.AUTOPROBE_CONSUMER);
  m.run(device_links_supplier_sync_state_resume(m.kernel));
  const driver = (name: string) => ({
    ...loggingDriver(name, bus, []),
    sync_state: () => void log.push(`sync_state ${name}`),
  });
  return { m, log, bind: (name) => void m.run(driver_register(m.kernel, driver(name))) };
}

describe("sync_state", () => {
  test("comes once, when the supplier and all its consumers are bound", () => {
    const { log, bind } = rig();
    bind("supplier");
    bind("c1");
    expect(log.filter((line) => line.endsWith("supplier"))).toEqual([]);
    bind("c2");
    expect(log.filter((line) => line.endsWith("supplier"))).toEqual(["sync_state supplier"]);
  });

  test("a device without consumers hears as soon as it is bound", () => {
    const { log, bind } = rig();
    bind("supplier");
    bind("c1");
    expect(log).toEqual(["sync_state c1"]);
  });

  test("is put off while consumers may still be on their way", () => {
    const { m, log, bind } = rig();
    device_links_supplier_sync_state_pause(m.kernel);
    for (const name of ["supplier", "c1", "c2"]) bind(name);
    expect(log).toEqual([]);
    m.run(device_links_supplier_sync_state_resume(m.kernel));
    expect(log.toSorted()).toEqual(["sync_state c1", "sync_state c2", "sync_state supplier"]);
  });

  test("a resume without pause is a warning", () => {
    const { m } = rig();
    m.run(device_links_supplier_sync_state_resume(m.kernel));
    expect(m.kernel.warnings.map(({ message }) => message)).toEqual(["Unmatched sync_state pause/resume!"]);
  });

  test("the bus's callback comes instead of the driver's", () => {
    const m = makeTestKernel();
    const log: string[] = [];
    const bus = testBus({ sync_state: (dev) => void log.push(`bus ${dev.name}`) });
    m.run(device_links_supplier_sync_state_resume(m.kernel));
    m.run(device_add(testDevice(m.kernel, "d", bus)));
    m.run(driver_register(m.kernel, { ...loggingDriver("d", bus, []), sync_state: () => void log.push("driver") }));
    expect(log).toEqual(["bus d"]);
  });
});

describe("the end of probing", () => {
  const synced = (cmdline: Partial<KernelParameters>): { calls: number; said: string[] } => {
    let calls = 0;
    const m = makeTestKernel({
      cmdline,
      nodes: [node("clk", 0x1000), node("display", 0x2000, { clocks: [{ label: "clk", args: [] }] })],
      drivers: [
        platformModule("clk", { sync_state: () => void calls++ }),
        platformModule("display", {
          *probe() {
            return -ENODEV;
          },
        }),
      ],
    });
    m.run(m.kernel.boot());
    const said = m.kernel.printk.lines.map(({ text }) => text).filter((text) => text.includes("sync_state"));
    return { calls, said };
  };

  test("with fw_devlink.sync_state=strict a supplier goes on waiting, and the log says for whom", () => {
    expect(synced({})).toEqual({ calls: 0, said: ["clk-driver 1000.clk: sync_state() pending due to 2000.display"] });
  });

  test("with fw_devlink.sync_state=timeout it is told all the same", () => {
    expect(synced({ fwDevlinkSyncState: "timeout" })).toEqual({
      calls: 1,
      said: ["clk-driver 1000.clk: Timed out. Forcing sync_state()"],
    });
  });
});
