// SPDX-License-Identifier: GPL-2.0-only
/** CPUs beside the boot CPU: who is called as they come and go, and what each way down does to them. */
import { describe, expect, test } from "vitest";
import { build_kernel_image, type CpuhpState, type CpuPlace, EBUSY, EINVAL, EIO } from "../../../src/kernel/index.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const CRASHKERNEL = { base: 0x8800_0000, size: 0x40_0000 };

interface Machine extends TestKernel {
  readonly log: string[];
  step(state: CpuhpState, name?: string): number;
  places(): (CpuPlace | undefined)[];
  steps(): string[];
}

/** Three CPUs, all online. */
function machine(): Machine {
  const base = makeTestKernel({ cmdline: { cpus: 3, crashkernel: CRASHKERNEL } });
  const { smp } = base.kernel;
  smp.smp_init();
  const log: string[] = [];
  return {
    ...base,
    log,
    step: (state, name = state) =>
      smp.cpuhp_setup_state({
        name,
        state,
        startup: (cpu) => (log.push(`${name} up ${cpu}`), 0),
        teardown: (cpu) => (log.push(`${name} down ${cpu}`), 0),
      }),
    places: () => [0, 1, 2].map((cpu) => smp.place(cpu)),
    steps: () => base.of("kernel.path").map(({ step }) => step),
  };
}

describe("cpuhp_setup_state", () => {
  test("starts a step at once on every CPU that is online, and removal tears it down there", () => {
    const on = machine();
    expect(on.step("CPUHP_AP_ONLINE_DYN", "pmu")).toBe(0);
    expect(on.log).toEqual(["pmu up 0", "pmu up 1", "pmu up 2"]);
  });

  test("a start that fails takes back those before it and adds nothing", () => {
    const on = machine();
    const { smp } = on.kernel;
    const startup = (cpu: number): number => (cpu === 2 ? -EIO : 0);
    const teardown = (cpu: number): number => (on.log.push(`down ${cpu}`), 0);
    expect(smp.cpuhp_setup_state({ name: "pmu", state: "CPUHP_AP_ONLINE_DYN", startup, teardown })).toBe(-EIO);
    expect(on.log).toEqual(["down 0", "down 1"]);
    expect(smp.cpu_down(1)).toBe(0);
    expect(on.log).toHaveLength(2);
  });
});

describe("cpu_down and cpu_up", () => {
  test("states are torn down from the last to the first and started from the first to the last, however they were registered", () => {
    const on = machine();
    for (const state of ["CPUHP_AP_WORKQUEUE_ONLINE", "CPUHP_IOMMU_IOVA_DEAD", "CPUHP_AP_IRQ_AFFINITY_ONLINE"] as const) on.step(state);
    on.log.length = 0;
    expect(on.kernel.smp.cpu_down(1)).toBe(0);
    expect(on.log).toEqual(["CPUHP_AP_WORKQUEUE_ONLINE down 1", "CPUHP_AP_IRQ_AFFINITY_ONLINE down 1", "CPUHP_IOMMU_IOVA_DEAD down 1"]);
    on.log.length = 0;
    expect(on.kernel.smp.cpu_up(1)).toBe(0);
    expect(on.log).toEqual(["CPUHP_IOMMU_IOVA_DEAD up 1", "CPUHP_AP_IRQ_AFFINITY_ONLINE up 1", "CPUHP_AP_WORKQUEUE_ONLINE up 1"]);
  });

  test("a teardown that refuses while the CPU still runs keeps it online, and what was down is started again", () => {
    const on = machine();
    const { smp } = on.kernel;
    smp.cpuhp_setup_state({ name: "busy", state: "CPUHP_AP_WORKQUEUE_ONLINE", teardown: () => -EBUSY });
    on.step("CPUHP_AP_ACTIVE", "sched");
    on.log.length = 0;
    expect(smp.cpu_down(1)).toBe(-EBUSY);
    expect(on.log).toEqual(["sched down 1", "sched up 1"]);
    expect(smp.place(1)).toBe("online");
  });

  test("a teardown of a dead CPU cannot fail: it is warned about", () => {
    const on = machine();
    on.kernel.smp.cpuhp_setup_state({ name: "late", state: "CPUHP_IOMMU_IOVA_DEAD", teardown: () => -EBUSY });
    expect(on.kernel.smp.cpu_down(1)).toBe(0);
    expect(on.kernel.warnings).toHaveLength(1);
  });

  test("the last CPU stays, and one that is not online cannot go", () => {
    const { smp } = machine().kernel;
    expect([smp.cpu_down(2), smp.cpu_down(1), smp.cpu_down(0), smp.cpu_down(2), smp.cpu_down(7)]).toEqual([0, 0, -EBUSY, -EINVAL, -EINVAL]);
  });

  test("-EBUSY while hotplug is disabled, as often as it was", () => {
    const { smp } = machine().kernel;
    smp.cpu_hotplug_disable();
    smp.cpu_hotplug_disable();
    smp.cpu_hotplug_enable();
    expect(smp.cpu_down(1)).toBe(-EBUSY);
    smp.cpu_hotplug_enable();
    expect(smp.cpu_down(1)).toBe(0);
  });
});

describe("ways down", () => {
  test("machine_restart: smp_send_stop stops the others where they are, no callback runs", () => {
    const on = machine();
    on.step("CPUHP_AP_ONLINE_DYN");
    on.log.length = 0;
    on.kernel.spawn("reboot", on.kernel.reboot.kernel_restart());
    on.idle(1e6);
    expect(on.log).toEqual([]);
    expect(on.places()).toEqual(["online", "stopped", "stopped"]);
  });

  test("kernel_kexec: machine_shutdown takes the others down in order, after the devices, with hotplug enabled once more", () => {
    const on = machine();
    on.step("CPUHP_IOMMU_IOVA_DEAD", "iova");
    on.log.length = 0;
    on.kernel.kexec.kexec_load({ kernel: build_kernel_image("next", 4) });
    on.kernel.spawn("kexec", on.kernel.kexec.kernel_kexec());
    on.idle(1e9);
    expect(on.log).toEqual(["iova down 1", "iova down 2"]);
    expect(on.places()).toEqual(["online", "offline", "offline"]);
    const order = ["device_shutdown", "migrate_to_reboot_cpu", "cpu_hotplug_disable", "cpu_hotplug_enable", "smp_shutdown_nonboot_cpus"];
    expect(on.steps().filter((step) => order.includes(step))).toEqual(order);
    expect(on.kernel.state).toBe("gone");
  });

  test("smp_shutdown_nonboot_cpus: BUG at the first CPU that cannot be taken down, and no jump", () => {
    const on = machine();
    let jumped = false;
    on.kernel.onJump = () => (jumped = true);
    on.kernel.smp.cpuhp_setup_state({ name: "busy", state: "CPUHP_AP_ONLINE_DYN", teardown: () => -EBUSY });
    on.kernel.kexec.kexec_load({ kernel: build_kernel_image("next", 4) });
    on.kernel.spawn("kexec", on.kernel.kexec.kernel_kexec());
    on.idle(1e9);
    expect(on.kernel.oopses).toHaveLength(1);
    expect(on.places()).toEqual(["online", "online", "online"]);
    expect(jumped).toBe(false);
  });

  test("crash_kexec: the others stop with their registers saved, no callback runs", () => {
    const on = machine();
    on.step("CPUHP_AP_ONLINE_DYN");
    on.log.length = 0;
    on.kernel.kexec.kexec_load({ kernel: build_kernel_image("kdump", 4) }, "crash");
    on.kernel.spawn("panic", on.kernel.reboot.panic("test"));
    on.idle(1e6);
    expect(on.log).toEqual([]);
    expect(on.places()).toEqual(["online", "crash-stopped", "crash-stopped"]);
  });
});

test("a booting kernel brings up as many CPUs as nr_cpus says", () => {
  const { kernel, run } = makeTestKernel({ cmdline: { cpus: 4 } });
  run(kernel.boot());
  expect(kernel.smp.num_online_cpus).toBe(4);
});
