// SPDX-License-Identifier: GPL-2.0-only
/** Domains of PASIDs on the hardware model: each SubstreamID sees its own tables, from the attach until the detach. */
import { describe, expect, test } from "vitest";
import { ArmSmmuDevice } from "../../../src/drivers/index.ts";
import {
  createSmmuHost,
  type DmaEvents,
  DmaStatus,
  profiles,
  Smmu,
  type SmmuConfig,
  SmmuDmaPort,
  type SmmuEvents,
} from "../../../src/hw/index.ts";
import {
  iommu_attach_device,
  iommu_attach_device_pasid,
  iommu_detach_device_pasid,
  iommu_map,
  iommu_replace_device_pasid,
  iommu_unmap,
  KernelBuffer,
} from "../../../src/kernel/index.ts";
import { silentTrace, Trace } from "../../../src/sim/index.ts";
import { CLIENT_SID, EVTQ_IRQ, GERROR_IRQ, Machine, type MachineOptions } from "./machine.ts";
import { newDomain } from "./support.ts";

const IOVA = 0x1_0000;
const BITS = 4;

interface Rig {
  readonly machine: Machine;
  readonly driver: ArmSmmuDevice;
  readonly port: SmmuDmaPort;
  /** Uses of cached entries whose memory had changed. */
  readonly stale: unknown[];
}

function rig(config: SmmuConfig, options: Partial<MachineOptions> = {}): Rig {
  let smmu: Smmu | undefined;
  const trace = new Trace<SmmuEvents>();
  const stale: unknown[] = [];
  trace.on("smmu.stale-use", ({ data }) => stale.push(data));
  const machine = new Machine({
    coherent: config.coherent,
    clientProperties: { "pasid-num-bits": BITS },
    ...options,
    smmu: ({ sim, bus, controller }) => {
      const pulse = (line: string): void => controller.raise(line === "eventq" ? EVTQ_IRQ : GERROR_IRQ);
      smmu = new Smmu(config, createSmmuHost({ simulation: sim, bus, trace, pulse }), { trace, detector: true });
      return { size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth };
    },
  }).boot();
  const driver = machine.smmuDevice.drvdata;
  if (!(driver instanceof ArmSmmuDevice)) throw new Error(`not bound: ${machine.log.join(" | ")}`);
  const port = new SmmuDmaPort({ smmu: smmu!, bus: machine.bus, streamId: CLIENT_SID, name: "client", trace: silentTrace<DmaEvents>() });
  return { machine, driver, port, stale };
}

/** A domain that maps a page of its own at {@link IOVA}. */
function mapped({ machine, driver }: Rig): { readonly domain: ReturnType<typeof newDomain>; readonly page: KernelBuffer } {
  const domain = newDomain(driver);
  const page = KernelBuffer.alloc(machine.kernel, 0x1000, "client");
  if (page === null) throw new Error("no memory");
  expect(iommu_map(machine.sim, domain, IOVA, page.pa, 0x1000, 3)).toBe(0);
  return { domain, page };
}

/** A write of one byte, with that SubstreamID or none. */
function write({ port }: Rig, value: number, substreamId?: number): DmaStatus {
  return port.write(IOVA, Uint8Array.of(value), substreamId === undefined ? {} : { substreamId });
}

const OK = DmaStatus.ok;
const ABORT = DmaStatus.abort;
const CONFIGS = Object.values(profiles).filter(({ ssidSize, stage1 }) => stage1 && ssidSize >= BITS);

describe.each(CONFIGS.map((config) => [config.name, config] as const))("profile %s", (_name, config) => {
  test("two PASIDs have an address space each, and plain DMA a third", () => {
    const r = rig(config);
    const { client } = r.machine;
    const [first, second] = [mapped(r), mapped(r)];
    expect(write(r, 0, 1)).toBe(ABORT);
    expect(r.machine.run(iommu_attach_device_pasid(first.domain, client, 1))).toBe(0);
    expect(r.machine.run(iommu_attach_device_pasid(second.domain, client, 2))).toBe(0);
    expect([write(r, 11, 1), write(r, 22, 2), write(r, 33)]).toEqual([OK, OK, ABORT]);
    expect([first.page.get8(0), second.page.get8(0)]).toEqual([11, 22]);
    expect(r.stale).toEqual([]);
  });

  test("after unmap, replacement and detach nothing cached of before is used", () => {
    const r = rig(config);
    const { client } = r.machine;
    const [first, second] = [mapped(r), mapped(r)];
    r.machine.run(iommu_attach_device_pasid(first.domain, client, 1));
    expect(write(r, 1, 1)).toBe(OK);
    r.machine.run(iommu_replace_device_pasid(second.domain, client, 1));
    expect(write(r, 2, 1)).toBe(OK);
    expect(second.page.get8(0)).toBe(2);
    r.machine.run(iommu_unmap(second.domain, IOVA, 0x1000));
    expect(write(r, 3, 1)).toBe(ABORT);
    r.machine.run(iommu_detach_device_pasid(second.domain, client, 1));
    expect(write(r, 4, 1)).toBe(ABORT);
    expect(r.stale).toEqual([]);
  });

  test("beside identity plain DMA goes on untranslated, before, during and after", () => {
    const r = rig(config, { params: { iommuPassthrough: true } });
    const { client } = r.machine;
    const { domain, page } = mapped(r);
    const plain = KernelBuffer.alloc(r.machine.kernel, 0x1000, "client")!;
    const direct = (): DmaStatus => r.port.write(plain.pa, Uint8Array.of(9));
    expect(direct()).toBe(OK);
    r.machine.run(iommu_attach_device_pasid(domain, client, 1));
    expect([direct(), write(r, 5, 1), page.get8(0)]).toEqual([OK, OK, 5]);
    r.machine.run(iommu_detach_device_pasid(domain, client, 1));
    expect([direct(), write(r, 6, 1)]).toEqual([OK, ABORT]);
    expect(r.stale).toEqual([]);
  });

  test("beside blocked plain DMA is refused while a PASID works", () => {
    const r = rig(config);
    const { client } = r.machine;
    const { domain } = mapped(r);
    r.machine.run(iommu_attach_device(client.iommu_group!.blocking_domain!, client));
    r.machine.run(iommu_attach_device_pasid(domain, client, 1));
    expect([write(r, 7), write(r, 7, 1)]).toEqual([ABORT, OK]);
  });
});

test("some profile has SubstreamIDs", () => expect(CONFIGS).not.toEqual([]));
