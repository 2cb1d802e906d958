// SPDX-License-Identifier: GPL-2.0-only
/**
 * Changing the default domain of a group while the kernel runs: what writing to `/sys/kernel/iommu_groups/N/type` does.
 *
 * After Linux 7.1 drivers/iommu/iommu.c: iommu_group_store_type (once iommu_change_dev_def_domain), and of
 * iommu_setup_default_domain what replaces a domain. Left out: a second try at direct mappings after attaching.
 */
import type { Coroutine } from "../../sim/index.ts";
import { iommu_dma_init_fq } from "../dma/iommu-dma.ts";
import { EINVAL, ENODEV, EPERM } from "../errno.ts";
import {
  type DefaultDomainType,
  dev_iommu_ops,
  iommu_create_device_direct_mappings,
  iommu_free_default_domain,
  iommu_get_def_domain_type,
  iommu_group_alloc_default_domain,
  iommu_group_set_domain,
  iommu_setup_dma_ops,
} from "./default-domain.ts";
import type { IommuGroup } from "./group.ts";

/** The words that the file takes. auto: what the driver insists on, or the command line says. */
export type GroupTypeWord = "identity" | "DMA" | "DMA-FQ" | "auto";

const TYPES: Readonly<Record<GroupTypeWord, DefaultDomainType | null>> = {
  identity: "identity",
  DMA: "dma",
  "DMA-FQ": "dma-fq",
  auto: null,
};

/** @returns 0; -EPERM while a driver is bound, except from DMA to DMA-FQ; -EINVAL if a driver insists on another type; -errno */
export function* iommu_group_store_type(group: IommuGroup, word: GroupTypeWord): Coroutine<number> {
  const wanted = TYPES[word];
  return yield* group.mutex.with("iommu_group_store_type", function* () {
    const current = group.default_domain;
    if (current === null) return -EINVAL;
    if (wanted === "dma-fq" && current.type === "dma") {
      // A flush queue can come to a domain that is in use.
      current.type = "dma-fq";
      iommu_dma_init_fq(current, group.kernel);
      return 0;
    }
    if (group.devices.length === 0 || group.owner_cnt > 0) return -EPERM;
    return yield* replace(group, wanted);
  });
}

/** Every device goes from the old default domain to a new one. */
function* replace(group: IommuGroup, wanted: DefaultDomainType | null): Coroutine<number> {
  const first = group.devices[0]!;
  const ops = dev_iommu_ops(first);
  if (ops === null) return -ENODEV;
  const insisted = group.devices.map(iommu_get_def_domain_type).find((type) => type !== undefined);
  if (wanted !== null && insisted !== undefined && wanted !== insisted) return -EINVAL;
  const type = wanted ?? insisted ?? group.kernel.iommu.iommu_def_domain_type;
  const old = group.default_domain;
  if (old?.type === type) return 0;

  const domain = iommu_group_alloc_default_domain(first, ops, type);
  for (const dev of group.devices) iommu_create_device_direct_mappings(domain, dev);
  group.default_domain = domain;
  const error = yield* iommu_group_set_domain(group, domain);
  if (error !== 0) {
    group.default_domain = old;
    iommu_free_default_domain(domain);
    return error;
  }
  if (old !== null) iommu_free_default_domain(old);
  for (const dev of group.devices) iommu_setup_dma_ops(dev);
  return 0;
}
