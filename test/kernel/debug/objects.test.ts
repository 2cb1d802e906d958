// SPDX-License-Identifier: GPL-2.0-only
/** Objects that are freed while they are in use, and used after they were freed. */
import { describe, expect, test } from "vitest";
import {
  device_add,
  device_del,
  device_release_driver,
  DMA_TO_DEVICE,
  dma_map_single,
  INIT_DELAYED_WORK,
  INIT_WORK,
  mod_timer,
  PAGE_SIZE,
  type PlatformDevice,
  queue_work,
  schedule_delayed_work,
  schedule_work,
  type Timer,
  timer_delete_sync,
  timer_setup,
  type Work,
} from "../../../src/kernel/index.ts";
import { sleepNs } from "../../../src/sim/index.ts";
import { node, platformModule, testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

interface Data {
  readonly timer?: Timer;
  readonly parts?: { readonly works: readonly Work[] };
}

/** A bound platform device whose driver's data is what `make` makes, and what was reported when the driver let go of it. */
function bound(make: (pdev: PlatformDevice) => Data): { machine: TestKernel; dev: PlatformDevice; release(): string[] } {
  const driver = platformModule("dev", {
    *probe(pdev) {
      pdev.drvdata = make(pdev);
      return 0;
    },
  });
  const machine = makeTestKernel({ nodes: [node("dev", 0x1000)], drivers: [driver] });
  machine.run(machine.kernel.boot());
  const dev = machine.kernel.base.findDevice("1000.dev") as PlatformDevice;
  const release = (): string[] => {
    machine.kernel.spawn("rmmod", device_release_driver(dev));
    machine.idle(1000);
    return machine.kernel.warnings.map(({ message }) => message);
  };
  return { machine, dev, release };
}

describe("driver data with", () => {
  test("a pending timer is freed: reported with the device", () => {
    const { machine, release } = bound(({ kernel }) => {
      const timer = timer_setup(kernel, "watchdog", () => {});
      mod_timer(timer, 1000);
      return { timer };
    });
    expect(release()).toEqual(["ODEBUG: free active timer_list: watchdog is pending when dev-driver 1000.dev frees it"]);
    expect(machine.kernel.warnings[0]).toMatchObject({ check: "debug-objects", task: "rmmod", device: { name: "1000.dev" } });
  });

  test("a running work is freed", () => {
    const { release } = bound(({ kernel }) => {
      const work = INIT_WORK(kernel, "reset", () => sleepNs(1e9));
      schedule_work(work);
      return { parts: { works: [work] } };
    });
    expect(release()).toEqual(["ODEBUG: free active work_struct: reset is running when dev-driver 1000.dev frees it"]);
  });

  test("a delayed work whose timer runs is freed", () => {
    const { release } = bound(({ kernel }) => {
      const work = INIT_DELAYED_WORK(kernel, "poll", () => sleepNs(0));
      schedule_delayed_work(work, 1000);
      return { parts: { works: [work] } };
    });
    expect(release()).toEqual(["ODEBUG: free active work_struct: poll is delayed when dev-driver 1000.dev frees it"]);
  });

  test("a timer that was deleted is no report", () => {
    const { release } = bound(({ kernel }) => {
      const timer = timer_setup(kernel, "watchdog", () => {});
      mod_timer(timer, 1000);
      timer_delete_sync(timer);
      return { timer };
    });
    expect(release()).toEqual([]);
  });
});

describe("use after free", () => {
  test("a freed timer that expires", () => {
    const { machine, release } = bound(({ kernel }) => {
      const timer = timer_setup(kernel, "watchdog", () => {});
      mod_timer(timer, 1000);
      return { timer };
    });
    release();
    machine.idle(2e9);
    expect(machine.kernel.warnings.at(-1)).toMatchObject({
      check: "kasan",
      message: "KASAN: use-after-free: expiry of watchdog, freed by dev-driver 1000.dev",
      task: "timer watchdog",
    });
  });

  test("a freed work that is queued", () => {
    const work: { made?: Work } = {};
    const { machine, release } = bound(({ kernel }) => {
      work.made = INIT_WORK(kernel, "reset", () => sleepNs(0));
      return { parts: { works: [work.made] } };
    });
    expect(release()).toEqual([]);
    queue_work(machine.kernel.workqueues.system_wq, work.made!);
    expect(machine.kernel.warnings[0]?.message).toBe("KASAN: use-after-free: queue_work of reset, freed by dev-driver 1000.dev");
  });

  test("data of a device after device_del", () => {
    const { kernel, run } = makeTestKernel();
    const dev = testDevice(kernel, "eth0");
    run(device_add(dev));
    run(device_del(dev));
    expect(dev.drvdata).toBeNull();
    expect(kernel.warnings.map(({ message }) => message)).toEqual(["KASAN: use-after-free: drvdata of deleted device eth0"]);
  });

  test("a DMA mapping for a device after device_del", () => {
    const { kernel, run } = makeTestKernel();
    const dev = testDevice(kernel, "eth0");
    run(device_add(dev));
    run(device_del(dev));
    dma_map_single(dev, kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel"), 64, DMA_TO_DEVICE);
    expect(kernel.warnings.map(({ message }) => message)).toEqual(["KASAN: use-after-free: DMA mapping of deleted device eth0"]);
  });

  test("a device that is added again is alive", () => {
    const { kernel, run } = makeTestKernel();
    const dev = testDevice(kernel, "eth0");
    run(device_add(dev));
    run(device_del(dev));
    run(device_add(dev));
    expect(dev.drvdata).toBeNull();
    expect(kernel.warnings).toEqual([]);
  });
});
