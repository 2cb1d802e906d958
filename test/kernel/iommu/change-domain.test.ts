// SPDX-License-Identifier: GPL-2.0-only
/** The default domain of a group can be changed: to a lazy one at any time, to others while no driver is bound. */
import { describe, expect, test } from "vitest";
import {
  device_release_driver,
  DMA_TO_DEVICE,
  dma_map_single,
  dma_unmap_single,
  EINVAL,
  ENOMEM,
  EPERM,
  type IommuDomainType,
  iommu_get_dma_domain,
  iommu_group_store_type,
  PAGE_SIZE,
} from "../../../src/kernel/index.ts";
import { clientMachine, type ClientMachine, FakeDomain, FakeIommu } from "./fake-iommu.ts";

function unbound(iommu: FakeIommu = new FakeIommu()): ClientMachine {
  const machine = clientMachine({ iommu });
  machine.run(device_release_driver(machine.dev));
  machine.iommu.log.length = 0;
  return machine;
}

const type = ({ dev }: ClientMachine): IommuDomainType => dev.iommu_group!.default_domain!.type;
const page = ({ kernel }: ClientMachine): number => kernel.mm.alloc_pages(PAGE_SIZE, "buffers", "kernel");

describe("iommu_group_store_type", () => {
  test("DMA becomes DMA-FQ under a bound driver, and its next unmap is lazy", () => {
    const machine = clientMachine();
    const { dev, iommu } = machine;
    const dma = dma_map_single(dev, page(machine), 64, DMA_TO_DEVICE);
    expect(machine.run(iommu_group_store_type(dev.iommu_group!, "DMA-FQ"))).toBe(0);
    expect(type(machine)).toBe("dma-fq");
    iommu.log.length = 0;
    machine.run(dma_unmap_single(dev, dma, 64, DMA_TO_DEVICE));
    expect(iommu.log).toEqual(["unmap fffff000 1000x1"]);
  });

  test.each(["identity", "auto", "DMA"] as const)("%s is refused with -EPERM while a driver is bound", (word) => {
    const machine = clientMachine({ cmdline: { iommuStrict: false } });
    expect(machine.run(iommu_group_store_type(machine.dev.iommu_group!, word))).toBe(-EPERM);
    expect(type(machine)).toBe("dma-fq");
  });

  test("identity attaches the identity domain and frees the old one; DMA takes a new one", () => {
    const machine = unbound();
    const group = machine.dev.iommu_group!;
    expect(machine.run(iommu_group_store_type(group, "identity"))).toBe(0);
    expect(machine.iommu.log).toEqual(["attach 40000000.client to identity from domain0", "free domain0"]);
    expect(iommu_get_dma_domain(machine.dev)).toBeNull();
    expect(machine.run(iommu_group_store_type(group, "DMA"))).toBe(0);
    expect(machine.iommu.log.at(-1)).toBe("attach 40000000.client to domain1 from identity");
    expect(dma_map_single(machine.dev, page(machine), 64, DMA_TO_DEVICE)).toBe(0xffff_f000);
  });

  test("auto gives what the command line says", () => {
    const machine = unbound();
    const group = machine.dev.iommu_group!;
    machine.run(iommu_group_store_type(group, "identity"));
    machine.run(iommu_group_store_type(group, "auto"));
    expect(type(machine)).toBe("dma");
  });

  test("the type that it has changes nothing", () => {
    const machine = unbound();
    expect(machine.run(iommu_group_store_type(machine.dev.iommu_group!, "DMA"))).toBe(0);
    expect(machine.iommu.log).toEqual([]);
  });

  test("a type other than the driver insists on is refused with -EINVAL", () => {
    const iommu = new FakeIommu();
    const machine = unbound(iommu);
    iommu.defaultType = "dma";
    expect(machine.run(iommu_group_store_type(machine.dev.iommu_group!, "identity"))).toBe(-EINVAL);
    expect(type(machine)).toBe("dma");
  });

  test("if attaching fails, the old domain stays and the new one is freed", () => {
    const iommu = new FakeIommu();
    const machine = unbound(iommu);
    const group = machine.dev.iommu_group!;
    machine.run(iommu_group_store_type(group, "identity"));
    iommu.domain_alloc_paging = () => {
      const domain = new FakeDomain("broken", iommu.log);
      domain.attach_dev = function* () {
        return -ENOMEM;
      };
      return domain;
    };
    expect(machine.run(iommu_group_store_type(group, "DMA"))).toBe(-ENOMEM);
    expect(type(machine)).toBe("identity");
    expect(iommu.log.at(-1)).toBe("free broken");
  });

  test("direct regions are mapped in the new domain before it is attached", () => {
    const iommu = new FakeIommu();
    const machine = unbound(iommu);
    const group = machine.dev.iommu_group!;
    machine.run(iommu_group_store_type(group, "identity"));
    iommu.regions = [{ start: 0x9000_0000, length: 0x2000, prot: 3, type: "direct" }];
    iommu.log.length = 0;
    machine.run(iommu_group_store_type(group, "DMA"));
    expect(iommu.log).toEqual(["map 90000000->90000000 1000x2", "attach 40000000.client to domain1 from identity"]);
  });
});
