// SPDX-License-Identifier: GPL-2.0-only
/** Memory that the firmware wants a device to reach: regions from the device tree, and what the SMMU driver makes of them. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { ArmSmmuDevice } from "../../../src/drivers/index.ts";
import { DmaStatus, type DmaEvents, createSmmuHost, profiles, Smmu, SmmuDmaPort, type SmmuEvents } from "../../../src/hw/index.ts";
import {
  type DtNode,
  dtNode,
  IOMMU_CACHE,
  IOMMU_READ,
  IOMMU_WRITE,
  of_iommu_get_resv_regions,
  of_iommu_get_rmr_ids,
} from "../../../src/kernel/index.ts";
import { silentTrace } from "../../../src/sim/index.ts";
import { fakeSmmu } from "./fake-smmu.ts";
import { CLIENT_SID, EVTQ_IRQ, GERROR_IRQ, Machine, type MachineOptions, RAM_BASE, RAM_SIZE } from "./machine.ts";

/** The firmware's frame buffer: RAM of the board, none of the kernel's. */
const FRAME = { base: RAM_BASE + RAM_SIZE / 2, size: 0x1_0000 };

function reserved(iova: number, size: number, reg: DtNode["reg"] = [FRAME]): DtNode {
  const region = dtNode({
    name: `framebuffer@${FRAME.base.toString(16)}`,
    label: "fb",
    ...(reg === undefined ? {} : { reg }),
    properties: { "iommu-addresses": [{ label: "client-1000", args: [iova, size] }] },
  });
  return dtNode({ name: "reserved-memory", children: [region] });
}

const CLIENT: Partial<MachineOptions> = {
  ram: RAM_SIZE / 2,
  clientProperties: { "memory-region": [{ label: "fb", args: [] }] },
};
const DIRECT: Partial<MachineOptions> = { ...CLIENT, nodes: [reserved(FRAME.base, FRAME.size)] };

const faked = (options: Partial<MachineOptions>): Machine => new Machine({ ...options, smmu: fakeSmmu(() => {}) }).boot();

describe("of_iommu_get_resv_regions", () => {
  test("a region that the device sees where it is: direct, readable, writable, cached for a coherent device", () => {
    expect(of_iommu_get_resv_regions(faked(DIRECT).client)).toEqual([
      { start: FRAME.base, length: FRAME.size, prot: IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE, type: "direct" },
    ]);
  });

  test("one that it would see elsewhere, or of another size, is reserved with a warning", () => {
    for (const [iova, size] of [
      [0x1000_0000, FRAME.size],
      [FRAME.base, FRAME.size / 2],
    ] as const) {
      const machine = faked({ ...CLIENT, nodes: [reserved(iova, size)] });
      expect(of_iommu_get_resv_regions(machine.client)).toMatchObject([{ start: iova, length: size, type: "reserved" }]);
      expect(machine.log.some((line) => line.includes("treating non-direct mapping"))).toBe(true);
    }
  });

  test("a region without memory of its own is reserved", () => {
    const machine = faked({ ...CLIENT, nodes: [reserved(0x1000_0000, 0x1000, undefined)] });
    expect(of_iommu_get_resv_regions(machine.client)).toMatchObject([{ type: "reserved" }]);
  });

  test("an entry for another device, or a region that the device does not name, is not its own", () => {
    expect(of_iommu_get_resv_regions(faked({ ...DIRECT, clientProperties: {} }).client)).toEqual([]);
    const machine = faked({ ...DIRECT, otherSids: [0x20] });
    expect(of_iommu_get_resv_regions(machine.device("2000.client"))).toEqual([]);
  });

  test("ids of an IOMMU's devices with direct regions, those with reserved ones not", () => {
    const ids = (options: Partial<MachineOptions>): number[] => {
      const { kernel, smmuDevice } = faked({ sids: [CLIENT_SID, CLIENT_SID + 1, CLIENT_SID], otherSids: [0x20], ...options });
      return of_iommu_get_rmr_ids(kernel.platform.deviceTree, smmuDevice.of_node!);
    };
    expect(ids(DIRECT)).toEqual([CLIENT_SID, CLIENT_SID + 1]);
    expect(ids({ ...CLIENT, nodes: [reserved(0x1000_0000, FRAME.size)] })).toEqual([]);
  });
});

describe("arm_smmu_rmr_install_bypass_ste", () => {
  /** Every state of the client's STE from before STRTAB_BASE is written on. */
  function stesAt(options: Partial<MachineOptions>): bigint[] {
    const seen: bigint[] = [];
    const machine: Machine = new Machine({
      ...options,
      smmu: fakeSmmu((fake) => {
        const write64 = fake.write64.bind(fake);
        fake.write64 = (offset: number, lo: number, hi: number): void => {
          write64(offset, lo, hi);
          if (offset !== R.ARM_SMMU_STRTAB_BASE) return;
          const smmu = machine.smmuDevice.drvdata;
          if (smmu instanceof ArmSmmuDevice) seen.push(smmu.strtab.l2!.get(0)?.get64(64 * CLIENT_SID) ?? -1n);
        };
      }),
    });
    machine.boot();
    return seen;
  }

  test("the STE bypasses when the SMMU is given its table", () => {
    expect(stesAt(DIRECT)).toEqual([1n | (4n << 1n)]);
  });

  test("without a direct region there is no level-2 table yet", () => {
    expect(stesAt(CLIENT)).toEqual([-1n]);
  });
});

describe("on the hardware model", () => {
  function rig(options: Partial<MachineOptions>): { readonly machine: Machine; readonly client: SmmuDmaPort } {
    let smmu: Smmu | undefined;
    const machine = new Machine({
      ...options,
      smmu: ({ sim, bus, controller }) => {
        const trace = silentTrace<SmmuEvents>();
        const pulse = (line: string): void => controller.raise(line === "eventq" ? EVTQ_IRQ : GERROR_IRQ);
        smmu = new Smmu(profiles["linux-typical"]!, createSmmuHost({ simulation: sim, bus, trace, pulse }), { trace });
        return { size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth };
      },
    }).boot();
    const trace = silentTrace<DmaEvents>();
    return { machine, client: new SmmuDmaPort({ smmu: smmu!, bus: machine.bus, streamId: CLIENT_SID, name: "client", trace }) };
  }

  test("under its default domain the device reaches its region one to one, and nothing beside it", () => {
    const { client } = rig(DIRECT);
    const read = (address: number): DmaStatus => client.read(address, new Uint8Array(4));
    expect(read(FRAME.base)).toBe(DmaStatus.ok);
    expect(read(FRAME.base + FRAME.size - 4)).toBe(DmaStatus.ok);
    expect(read(FRAME.base + FRAME.size)).toBe(DmaStatus.abort);
  });
});
