// SPDX-License-Identifier: GPL-2.0-only
/** What tests of domains share: a booted machine with a recording SMMU, and looks at its tables. */
import { ArmSmmuDevice } from "../../../src/drivers/iommu/arm-smmu-v3/device.ts";
import { ArmSmmuPagingDomain, arm_smmu_domain_alloc_paging_flags } from "../../../src/drivers/iommu/arm-smmu-v3/domains/domain.ts";
import { arm_smmu_get_step_for_sid } from "../../../src/drivers/iommu/arm-smmu-v3/tables/strtab.ts";
import type { Device } from "../../../src/kernel/index.ts";
import { type FakeSmmu, fakeSmmu } from "./fake-smmu.ts";
import { Machine, type MachineOptions } from "./machine.ts";

export interface Rig {
  readonly machine: Machine;
  readonly fake: FakeSmmu;
  readonly smmu: ArmSmmuDevice;
}

export type RigOptions = Partial<MachineOptions> & { readonly ids?: Record<number, number>; prepare?(smmu: FakeSmmu): void };

export function rig(options: RigOptions = {}): Rig {
  let fake: FakeSmmu | undefined;
  const take = (made: FakeSmmu): void => {
    fake = made;
    options.prepare?.(made);
  };
  const machine = new Machine({ ...options, smmu: fakeSmmu(take, options.ids) }).boot();
  const smmu = machine.smmuDevice.drvdata;
  if (!(smmu instanceof ArmSmmuDevice)) throw new Error(`not bound: ${machine.log.join(" | ")}`);
  return { machine, fake: fake!, smmu };
}

/** The paging domain of a device's plain DMA. */
export function domainOf(dev: Device): ArmSmmuPagingDomain {
  const domain = dev.iommu_group?.domain;
  if (!(domain instanceof ArmSmmuPagingDomain)) throw new Error("no paging domain");
  return domain;
}

/** A new domain beside those of the DMA API. */
export function newDomain(smmu: ArmSmmuDevice, flags = 0): ArmSmmuPagingDomain {
  const domain = arm_smmu_domain_alloc_paging_flags(smmu, flags);
  if (typeof domain === "number") throw new Error(`no domain: ${domain}`);
  return domain;
}

/** A word of the STE of a StreamID. */
export function ste(smmu: ArmSmmuDevice, sid: number, word = 0): bigint {
  const { table, offset } = arm_smmu_get_step_for_sid(smmu, sid);
  return table.get64(offset + 8 * word);
}
