// SPDX-License-Identifier: GPL-2.0-only
/** An IOMMU driver without an IOMMU: it keeps each domain's mappings in a table and writes down what it is asked. */
import {
  type Device,
  type DriverModule,
  type DtNode,
  EEXIST,
  generic_device_group,
  type IommuDomain,
  type IommuGroup,
  type IommuIotlbGather,
  type IommuOps,
  iommu_device_register,
  iommu_fwspec_add_ids,
  iommu_iotlb_gather_add_page,
  type InitcallLevel,
  type PlatformDriver,
  type ResvRegion,
} from "../../../src/kernel/index.ts";
import { type Coroutine, sleepNs } from "../../../src/sim/index.ts";
import { node, platformModule } from "../support/devices.ts";
import { makeTestKernel, type TestKernel, type TestKernelOptions } from "../support/fake-platform.ts";

export const SIZE_4K = 0x1000;
export const SIZE_2M = 0x20_0000;

const hex = (value: number): string => value.toString(16);

/** A domain whose table maps pages of 4 KiB; larger pages are kept as what they are. */
export class FakeDomain implements IommuDomain {
  type: IommuDomain["type"] = "unmanaged";
  pgsize_bitmap: number = SIZE_4K + SIZE_2M;
  aperture_start: number = 0;
  aperture_end: number = 2 ** 48 - 1;
  cookie?: IommuDomain["cookie"];
  /** IOVA to physical address, page size and protection. */
  readonly table: Map<number, { pa: number; pgsize: number; prot: number }> = new Map();
  readonly name: string;
  readonly log: string[];
  /** Mapping fails once so many pages were mapped. */
  pagesLeft: number = Infinity;

  constructor(name: string, log: string[]) {
    this.name = name;
    this.log = log;
  }

  *attach_dev(dev: Device, old: IommuDomain | null): Coroutine<number> {
    if (!dev.iommu!.attach_deferred) yield* sleepNs(10);
    this.log.push(`attach ${dev.name} to ${this.name}${old instanceof FakeDomain ? ` from ${old.name}` : ""}`);
    return 0;
  }

  map_pages(iova: number, pa: number, pgsize: number, count: number, prot: number): { ret: number; mapped: number } {
    this.log.push(`map ${hex(iova)}->${hex(pa)} ${hex(pgsize)}x${count}`);
    for (let i = 0; i < count; i++) {
      if (this.pagesLeft-- <= 0 || this.table.has(iova + i * pgsize)) return { ret: -EEXIST, mapped: i * pgsize };
      this.table.set(iova + i * pgsize, { pa: pa + i * pgsize, pgsize, prot });
    }
    return { ret: 0, mapped: count * pgsize };
  }

  *unmap_pages(iova: number, pgsize: number, count: number, gather: IommuIotlbGather): Coroutine<number> {
    this.log.push(`unmap ${hex(iova)} ${hex(pgsize)}x${count}`);
    for (let i = 0; i < count; i++) {
      if (!this.table.delete(iova + i * pgsize)) return i * pgsize;
      if (gather.queued) continue;
      yield* iommu_iotlb_gather_add_page(this, gather, iova + i * pgsize, pgsize);
    }
    return count * pgsize;
  }

  *iotlb_sync(gather: IommuIotlbGather): Coroutine<void> {
    this.log.push(`sync ${hex(gather.start)}-${hex(gather.end)}`);
  }

  *flush_iotlb_all(): Coroutine<void> {
    this.log.push(`flush ${this.name}`);
  }

  iova_to_phys(iova: number): number {
    for (const [base, { pa, pgsize }] of this.table) if (iova >= base && iova < base + pgsize) return pa + iova - base;
    return 0;
  }

  free(): void {
    this.log.push(`free ${this.name}`);
  }
}

export class FakeIommu implements IommuOps {
  readonly name: string = "fake-iommu";
  readonly log: string[] = [];
  readonly identity_domain: FakeDomain = new FakeDomain("identity", this.log);
  readonly blocked_domain: FakeDomain = new FakeDomain("blocked", this.log);
  readonly domains: FakeDomain[] = [];
  defaultType: "dma" | "identity" | undefined = undefined;
  regions: ResvRegion[] = [];
  /** Devices that wait with attaching until they map. */
  deferred: boolean = false;
  /** One group for all devices instead of one each. */
  alias: IommuGroup | "share" | null = null;

  constructor() {
    this.identity_domain.type = "identity";
    this.blocked_domain.type = "blocked";
  }

  domain_alloc_paging(): FakeDomain {
    const domain = new FakeDomain(`domain${this.domains.length}`, this.log);
    this.domains.push(domain);
    return domain;
  }
  probe_device(dev: Device): number {
    this.log.push(`probe_device ${dev.name} [${dev.iommu?.fwspec.ids.join()}]`);
    return 0;
  }
  release_device(dev: Device): void {
    this.log.push(`release_device ${dev.name}`);
  }
  device_group(dev: Device): IommuGroup {
    if (this.alias === null) return generic_device_group(dev);
    if (this.alias === "share") this.alias = generic_device_group(dev);
    return this.alias;
  }
  of_xlate(dev: Device, args: readonly number[]): number {
    return iommu_fwspec_add_ids(dev, args);
  }
  def_domain_type(): "dma" | "identity" | undefined {
    return this.defaultType;
  }
  get_resv_regions(): ResvRegion[] {
    return this.regions;
  }
  is_attach_deferred(): boolean {
    return this.deferred;
  }
}

/** The IOMMU's node; clients refer to it by `iommus: [{ label: "iommu", args: [id] }]`. */
export const iommuNode: DtNode = node("iommu", 0x2b40_0000);

export function clientNode(name: string, base: number, id: number): DtNode {
  return node(name, base, { iommus: [{ label: "iommu", args: [id] }] });
}

/** The driver of the IOMMU's node. */
export function iommuModule(iommu: FakeIommu, initcall: InitcallLevel | "module" = "device", linkOrder: number = 65): DriverModule {
  return platformModule("iommu", {
    initcall,
    linkOrder,
    *probe(pdev) {
      return yield* iommu_device_register(pdev.kernel, iommu, pdev);
    },
  });
}

export interface ClientMachine extends TestKernel {
  readonly iommu: FakeIommu;
  /** The platform device "40000000.client". */
  readonly dev: Device;
  readonly domain: FakeDomain;
}

/** A booted kernel with one client, bound, behind the fake IOMMU. */
export function clientMachine(
  options: TestKernelOptions & { readonly iommu?: FakeIommu; readonly client?: Partial<PlatformDriver> } = {},
): ClientMachine {
  const iommu = options.iommu ?? new FakeIommu();
  const machine = makeTestKernel({
    nodes: [iommuNode, clientNode("client", 0x4000_0000, 0x10)],
    drivers: [iommuModule(iommu), platformModule("client", options.client)],
    ...options,
  });
  machine.run(machine.kernel.boot());
  const dev = machine.kernel.base.findDevice("40000000.client")!;
  return { ...machine, iommu, dev, domain: dev.iommu_group!.default_domain as FakeDomain };
}
