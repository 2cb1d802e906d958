// SPDX-License-Identifier: GPL-2.0-only
/** PASIDs in the IOMMU core: what a group accepts, all of its devices or none, and PASIDs that are the same everywhere. */
import { describe, expect, test } from "vitest";
import {
  type Device,
  EBUSY,
  EINVAL,
  ENOMEM,
  EOPNOTSUPP,
  IOMMU_PASID_INVALID,
  iommu_alloc_global_pasid,
  iommu_attach_device_pasid,
  iommu_detach_device_pasid,
  iommu_device_register,
  iommu_device_unuse_default_domain,
  iommu_device_use_default_domain,
  iommu_free_global_pasid,
  iommu_replace_device_pasid,
} from "../../../src/kernel/index.ts";
import type { Coroutine } from "../../../src/sim/index.ts";
import { node, platformModule } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";
import { FakeDomain, FakeIommu, iommuNode } from "./fake-iommu.ts";

/** A domain that takes PASIDs, except from one device. */
class PasidDomain extends FakeDomain {
  refuses = "";

  *set_dev_pasid(dev: Device, pasid: number): Coroutine<number> {
    this.log.push(`${dev.name} ${pasid} to ${this.name}`);
    return dev.name === this.refuses ? -ENOMEM : 0;
  }
}

class PasidIommu extends FakeIommu {
  override readonly blocked_domain: PasidDomain = new PasidDomain("blocked", this.log);

  domain(name: string): PasidDomain {
    return new PasidDomain(name, this.log);
  }
}

interface Rig {
  readonly machine: TestKernel;
  readonly iommu: PasidIommu;
  readonly first: Device;
  readonly second: Device;
}

/** An IOMMU with 16 PASIDs, and one group of two devices with 8 and `others` of them. */
function rig(others = 3): Rig {
  const iommu = new PasidIommu();
  iommu.alias = "share";
  const client = (name: string, base: number, bits: number) =>
    node(name, base, { iommus: [{ label: "iommu", args: [1] }], properties: bits > 0 ? { "pasid-num-bits": bits } : {} });
  const machine = makeTestKernel({
    nodes: [iommuNode, client("first", 0x4000_0000, 3), client("second", 0x4100_0000, others)],
    drivers: [
      platformModule("iommu", {
        initcall: "device",
        linkOrder: 65,
        *probe(pdev) {
          return yield* iommu_device_register(pdev.kernel, iommu, pdev, 16);
        },
      }),
    ],
  });
  machine.run(machine.kernel.boot());
  const find = (name: string): Device => machine.kernel.base.findDevice(name)!;
  iommu.log.length = 0;
  return { machine, iommu, first: find("40000000.first"), second: find("41000000.second") };
}

describe("iommu_attach_device_pasid", () => {
  test("every device of the group that knows PASIDs gets the domain", () => {
    const { machine, iommu, first } = rig();
    expect(machine.run(iommu_attach_device_pasid(iommu.domain("a"), first, 1))).toBe(0);
    expect(iommu.log).toEqual(["40000000.first 1 to a", "41000000.second 1 to a"]);
  });

  test("a device without PASIDs does not matter", () => {
    const { machine, iommu, first } = rig(0);
    expect(machine.run(iommu_attach_device_pasid(iommu.domain("a"), first, 7))).toBe(0);
    expect(iommu.log).toEqual(["40000000.first 7 to a"]);
  });

  test("a PASID beyond what any device of the group knows: -EINVAL", () => {
    const { machine, iommu, first } = rig(2);
    expect(machine.run(iommu_attach_device_pasid(iommu.domain("a"), first, 4))).toBe(-EINVAL);
    expect(iommu.log).toEqual([]);
  });

  test("if one device fails, the others are blocked again and the PASID is free", () => {
    const { machine, iommu, first } = rig();
    const domain = iommu.domain("a");
    domain.refuses = "41000000.second";
    expect(machine.run(iommu_attach_device_pasid(domain, first, 1))).toBe(-ENOMEM);
    expect(iommu.log.at(-1)).toBe("40000000.first 1 to blocked");
    expect(machine.run(iommu_attach_device_pasid(iommu.domain("b"), first, 1))).toBe(0);
  });

  test("an IOMMU whose blocked domain takes no PASIDs: -EOPNOTSUPP", () => {
    const { machine, iommu, first } = rig();
    Object.assign(iommu.blocked_domain, { set_dev_pasid: undefined });
    expect(machine.run(iommu_attach_device_pasid(iommu.domain("a"), first, 1))).toBe(-EOPNOTSUPP);
  });
});

describe("iommu_replace_device_pasid", () => {
  test("a PASID without a domain: -EINVAL", () => {
    const { machine, iommu, first } = rig();
    expect(machine.run(iommu_replace_device_pasid(iommu.domain("a"), first, 1))).toBe(-EINVAL);
  });

  test("if one device fails, the others go back to the domain that they had", () => {
    const { machine, iommu, first } = rig();
    machine.run(iommu_attach_device_pasid(iommu.domain("a"), first, 1));
    const next = iommu.domain("b");
    next.refuses = "41000000.second";
    expect(machine.run(iommu_replace_device_pasid(next, first, 1))).toBe(-ENOMEM);
    expect(iommu.log.at(-1)).toBe("40000000.first 1 to a");
  });
});

test("detaching blocks the PASID at every device", () => {
  const { machine, iommu, first } = rig();
  const domain = iommu.domain("a");
  machine.run(iommu_attach_device_pasid(domain, first, 1));
  iommu.log.length = 0;
  machine.run(iommu_detach_device_pasid(domain, first, 1));
  expect(iommu.log).toEqual(["40000000.first 1 to blocked", "41000000.second 1 to blocked"]);
  expect(first.iommu_group!.pasid_array.size).toBe(0);
});

describe("a group with PASIDs in use", () => {
  test("takes no second driver", () => {
    const { machine, iommu, first, second } = rig();
    expect(iommu_device_use_default_domain(first)).toBe(0);
    machine.run(iommu_attach_device_pasid(iommu.domain("a"), first, 1));
    expect(iommu_device_use_default_domain(second)).toBe(-EBUSY);
  });

  test("is a warning when its driver goes", () => {
    const { machine, iommu, first } = rig();
    iommu_device_use_default_domain(first);
    machine.run(iommu_attach_device_pasid(iommu.domain("a"), first, 1));
    iommu_device_unuse_default_domain(first);
    expect(machine.kernel.warnings).toHaveLength(1);
    expect(first.iommu_group!.owner_cnt).toBe(1);
  });
});

describe("global PASIDs", () => {
  test("count from 1 up to what the device knows, and come back", () => {
    const { first } = rig();
    expect(Array.from({ length: 8 }, () => iommu_alloc_global_pasid(first))).toEqual([1, 2, 3, 4, 5, 6, 7, IOMMU_PASID_INVALID]);
    iommu_free_global_pasid(first, 4);
    expect(iommu_alloc_global_pasid(first)).toBe(4);
  });

  test("are the same for all devices", () => {
    const { first, second } = rig();
    expect([iommu_alloc_global_pasid(first), iommu_alloc_global_pasid(second)]).toEqual([1, 2]);
  });

  test("a device without PASIDs gets none", () => {
    expect(iommu_alloc_global_pasid(rig(0).second)).toBe(IOMMU_PASID_INVALID);
  });
});
