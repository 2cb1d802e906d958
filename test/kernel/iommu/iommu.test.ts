// SPDX-License-Identifier: GPL-2.0-only
/** The IOMMU core: when a device comes to sit behind its IOMMU, in which domain, and how it leaves. */
import { describe, expect, test } from "vitest";
import {
  type Device,
  EBUSY,
  ENODEV,
  EPROBE_DEFER,
  device_unregister,
  iommu_attach_device,
  iommu_detach_device,
  iommu_device_unuse_default_domain,
  iommu_device_use_default_domain,
  iommu_group_claim_dma_owner,
  iommu_group_release_dma_owner,
  of_iommu_configure,
  of_platform_default_populate,
} from "../../../src/kernel/index.ts";
import { node, platformModule } from "../support/devices.ts";
import { makeTestKernel } from "../support/fake-platform.ts";
import { clientMachine, clientNode, FakeDomain, FakeIommu, iommuModule, iommuNode, SIZE_4K } from "./fake-iommu.ts";

const CLIENT = "40000000.client";

describe("of_iommu_configure", () => {
  test("defers a client until its IOMMU registers", () => {
    const machine = makeTestKernel({ nodes: [iommuNode, clientNode("client", 0x4000_0000, 0x10)] });
    machine.run(of_platform_default_populate(machine.kernel));
    const dev = machine.kernel.base.findDevice(CLIENT)!;
    expect(machine.run(of_iommu_configure(dev))).toBe(-EPROBE_DEFER);
    expect(dev.iommu).toBeNull();
  });

  test("a driver that is tried before the IOMMU's is deferred and binds behind it", () => {
    const iommu = new FakeIommu();
    const machine = makeTestKernel({
      nodes: [clientNode("client", 0x4000_0000, 0x10), iommuNode],
      drivers: [platformModule("client", { linkOrder: 43 }), iommuModule(iommu)],
    });
    machine.run(machine.kernel.boot());
    const results = machine.of("kernel.probe").map(({ device, result }) => `${device} ${result}`);
    expect(results).toEqual([`${CLIENT} deferred`, "2b400000.iommu bound", `${CLIENT} bound`]);
  });

  test("answers -ENODEV for a device without IOMMU, which is bound all the same", () => {
    const machine = makeTestKernel({ nodes: [node("client", 0x4000_0000)], drivers: [platformModule("client")] });
    machine.run(machine.kernel.boot());
    const dev = machine.kernel.base.findDevice(CLIENT)!;
    expect(machine.run(of_iommu_configure(dev))).toBe(-ENODEV);
    expect(dev.driver).not.toBeNull();
  });

  test("answers -ENODEV if the IOMMU's node is disabled", () => {
    const machine = makeTestKernel({ nodes: [{ ...iommuNode, status: "disabled" }, clientNode("client", 0x4000_0000, 0x10)] });
    machine.run(of_platform_default_populate(machine.kernel));
    expect(machine.run(of_iommu_configure(machine.kernel.base.findDevice(CLIENT)!))).toBe(-ENODEV);
  });

  test("hands every id of the device tree to of_xlate", () => {
    const iommu = new FakeIommu();
    const client = node("client", 0x4000_0000, {
      iommus: [
        { label: "iommu", args: [3] },
        { label: "iommu", args: [7] },
      ],
    });
    const machine = makeTestKernel({ nodes: [iommuNode, client], drivers: [iommuModule(iommu)] });
    machine.run(machine.kernel.boot());
    expect(iommu.log).toContain(`probe_device ${CLIENT} [3,7]`);
  });
});

describe("iommu_device_register", () => {
  test("probes the devices that were there before, drivers or not, and nobody else", () => {
    const iommu = new FakeIommu();
    const machine = makeTestKernel({
      nodes: [clientNode("client", 0x4000_0000, 0x10), iommuNode, node("plain", 0x4100_0000)],
      drivers: [iommuModule(iommu)],
    });
    machine.run(machine.kernel.boot());
    expect(iommu.log).toEqual([`probe_device ${CLIENT} [16]`, `attach ${CLIENT} to domain0`]);
    expect(machine.kernel.base.findDevice("41000000.plain")!.iommu_group).toBeNull();
  });

  test("a device added later is probed by the bus notifier, before any driver", () => {
    const { kernel, dev, iommu, run } = clientMachine();
    run(device_unregister(dev));
    iommu.log.length = 0;
    run(of_platform_default_populate(kernel));
    expect(iommu.log[0]).toBe(`probe_device ${CLIENT} [16]`);
  });
});

describe("the default domain", () => {
  test("is a translated one, announced as Linux does", () => {
    const { kernel, dev, domain } = clientMachine();
    expect(domain.type).toBe("dma");
    expect(dev.iommu_group!.domain).toBe(domain);
    const log = kernel.printk.lines.map((line) => line.text);
    expect(log).toContain("iommu: Default domain type: Translated");
    expect(log.some((text) => text.endsWith("Adding to iommu group 0"))).toBe(true);
  });

  test("is the identity domain with iommu.passthrough", () => {
    const { dev, iommu } = clientMachine({ cmdline: { iommuPassthrough: true } });
    expect(dev.iommu_group!.default_domain).toBe(iommu.identity_domain);
    expect(iommu.log).toContain(`attach ${CLIENT} to identity`);
  });

  test("is what the driver insists on (def_domain_type), whatever the command line says", () => {
    const iommu = new FakeIommu();
    iommu.defaultType = "identity";
    expect(clientMachine({ iommu }).dev.iommu_group!.default_domain).toBe(iommu.identity_domain);
  });

  test("has direct regions mapped before any device is attached", () => {
    const iommu = new FakeIommu();
    iommu.regions = [{ start: 0x9000_0000, length: SIZE_4K, prot: 3, type: "direct" }];
    const { domain } = clientMachine({ iommu });
    const attached = iommu.log.findIndex((line) => line.startsWith("attach"));
    expect(iommu.log.indexOf("map 90000000->90000000 1000x1")).toBeLessThan(attached);
    expect(domain.iova_to_phys(0x9000_0000)).toBe(0x9000_0000);
  });

  test("devices that alias share a group and its domain", () => {
    const iommu = new FakeIommu();
    iommu.alias = "share";
    const machine = makeTestKernel({
      nodes: [iommuNode, clientNode("a", 0x4000_0000, 1), clientNode("b", 0x4100_0000, 2)],
      drivers: [iommuModule(iommu)],
    });
    machine.run(machine.kernel.boot());
    const group = machine.kernel.base.findDevice("40000000.a")!.iommu_group!;
    expect(group.devices.map((dev) => dev.name)).toEqual(["40000000.a", "41000000.b"]);
    expect(iommu.domains).toHaveLength(1);
  });

  test("otherwise each device has a group of its own", () => {
    const machine = makeTestKernel({
      nodes: [iommuNode, clientNode("a", 0x4000_0000, 1), clientNode("b", 0x4100_0000, 2)],
      drivers: [iommuModule(new FakeIommu())],
    });
    machine.run(machine.kernel.boot());
    expect(machine.kernel.iommu.groups.map((group) => group.devices.length)).toEqual([1, 1]);
  });
});

describe("DMA ownership", () => {
  function claimed(): { dev: Device; machine: ReturnType<typeof clientMachine> } {
    const machine = clientMachine();
    iommu_device_unuse_default_domain(machine.dev);
    expect(machine.run(iommu_group_claim_dma_owner(machine.dev.iommu_group!, "vfio"))).toBe(0);
    return { dev: machine.dev, machine };
  }

  test("iommu_device_use_default_domain: -EBUSY while somebody claimed the group", () => {
    const { dev, machine } = claimed();
    expect(iommu_device_use_default_domain(dev)).toBe(-EBUSY);
    machine.run(iommu_group_release_dma_owner(dev.iommu_group!));
    expect(iommu_device_use_default_domain(dev)).toBe(0);
  });

  test("iommu_group_claim_dma_owner: -EBUSY while a driver is bound, else all DMA is blocked", () => {
    const bound = clientMachine();
    expect(bound.run(iommu_group_claim_dma_owner(bound.dev.iommu_group!, "vfio"))).toBe(-EBUSY);
    const { dev, machine } = claimed();
    expect(dev.iommu_group!.domain).toBe(machine.iommu.blocked_domain);
  });

  test("an owner attaches its own domain and gets back to blocking", () => {
    const { dev, machine } = claimed();
    const own = new FakeDomain("own", machine.iommu.log);
    expect(machine.run(iommu_attach_device(own, dev))).toBe(0);
    expect(dev.iommu_group!.domain).toBe(own);
    machine.run(iommu_detach_device(dev));
    expect(dev.iommu_group!.domain).toBe(machine.iommu.blocked_domain);
  });
});

describe("iommu_release_device", () => {
  test("the blocked domain is in force before the driver forgets the device", () => {
    const { dev, iommu, run, kernel } = clientMachine();
    iommu.log.length = 0;
    run(device_unregister(dev));
    expect(iommu.log).toEqual([`attach ${CLIENT} to blocked from domain0`, `release_device ${CLIENT}`, "free domain0"]);
    expect(dev.iommu_group).toBeNull();
    expect(kernel.iommu.groups).toEqual([]);
  });
});
