// SPDX-License-Identifier: GPL-2.0-only
/**
 * From a platform device to an SMMU that translates.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_device_probe, arm_smmu_device_dt_probe,
 * arm_smmu_init_structures, arm_smmu_init_queues, arm_smmu_init_one_queue. Left out: ACPI, implementation-specific parts
 * (tegra241-cmdqv), sysfs.
 */
import {
  EINVAL,
  ENOMEM,
  type PlatformDevice,
  dev_err,
  dev_info,
  dev_warn,
  devm_platform_ioremap_resource,
  dmam_alloc_coherent,
  dt_number,
  iommu_device_register,
  iommu_device_sysfs_add,
  iommu_device_sysfs_remove,
  iopf_queue_alloc,
  platform_get_irq,
} from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { FIELD_PREP_ULL } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { ArmSmmuDevice, type ArmSmmuDriverData } from "../device.ts";
import * as F from "../features.ts";
import { arm_smmu_device_hw_probe } from "./hw-probe.ts";
import { arm_smmu_ops } from "../ops.ts";
import type { ArmSmmuQueue, ArmSmmuRegister } from "../queues/queue.ts";
import { arm_smmu_kdump_adopt, arm_smmu_kdump_reset } from "./kdump.ts";
import { arm_smmu_device_reset } from "./reset.ts";
import { arm_smmu_rmr_install_bypass_ste } from "./rmr.ts";
import { arm_smmu_init_strtab } from "../tables/strtab.ts";
import { arm_smmu_manage_disable, arm_smmu_probe_failed } from "../shutdown/teardown.ts";

const PAGE_SIZE = 4096;

/** Options by device tree property (`arm_smmu_options`). */
const DT_OPTIONS: readonly (readonly [property: string, option: number])[] = [
  ["hisilicon,broken-prefetch-cmd", F.ARM_SMMU_OPT_SKIP_PREFETCH],
  ["cavium,cn9900-broken-page1-regspace", F.ARM_SMMU_OPT_PAGE0_REGS_ONLY],
];

/** What the firmware says. References carry their own cells here, so `#iommu-cells` may be left out. @returns 0 or -EINVAL */
function arm_smmu_device_dt_probe(smmu: ArmSmmuDevice): number {
  const node = smmu.dev.of_node;
  const cells = node === null ? 1 : (dt_number(node, "#iommu-cells") ?? 1);
  if (cells !== 1) {
    dev_err(smmu.dev, `invalid #iommu-cells value (${cells})`);
    return -EINVAL;
  }
  for (const [property, option] of DT_OPTIONS) {
    if (node?.properties[property] !== true) continue;
    smmu.options |= option;
    dev_info(smmu.dev, `option ${property}`);
  }
  if (smmu.dev.dma_coherent) smmu.features |= F.ARM_SMMU_FEAT_COHERENCY;
  return 0;
}

/** Queue memory: as large as the SMMU allows, halved while there is none. */
function arm_smmu_init_one_queue(
  smmu: ArmSmmuDevice,
  name: string,
  max_n_shift: number,
  ent_dwords: number,
  prod_reg: ArmSmmuRegister,
  cons_reg: ArmSmmuRegister,
): ArmSmmuQueue | null {
  for (let shift = max_n_shift; ; shift--) {
    const size = 2 ** shift * ent_dwords * 8;
    const memory = dmam_alloc_coherent(smmu.dev, size);
    if (memory === null && size >= PAGE_SIZE) continue;
    if (memory === null) {
      dev_err(smmu.dev, `failed to allocate queue (0x${size.toString(16)} bytes) for ${name}`);
      return null;
    }
    if (memory.dma % size !== 0) dev_warn(smmu.dev, `${name} is not aligned to its size`);
    dev_info(smmu.dev, `allocated ${2 ** shift} entries for ${name}`);
    const q_base = R.Q_BASE_RWA | (BigInt(memory.dma) & R.Q_BASE_ADDR_MASK) | FIELD_PREP_ULL(R.Q_BASE_LOG2SIZE, shift);
    const llq = { prod: 0, cons: 0, max_n_shift: shift };
    return { name, llq, base: memory.cpu, base_dma: memory.dma, q_base, ent_dwords, prod_reg, cons_reg };
  }
}

/** Command and event queue, and the PRI queue of an SMMU that has one. @returns 0 or -ENOMEM */
function arm_smmu_init_queues(smmu: ArmSmmuDevice): number {
  const { base, page1 } = smmu;
  const cmdq = arm_smmu_init_one_queue(
    smmu,
    "cmdq",
    smmu.cmdq_max_n_shift,
    R.CMDQ_ENT_DWORDS,
    { io: base, offset: R.ARM_SMMU_CMDQ_PROD },
    { io: base, offset: R.ARM_SMMU_CMDQ_CONS },
  );
  if (cmdq === null) return -ENOMEM;
  smmu.cmdq = cmdq;
  const evtq = arm_smmu_init_one_queue(
    smmu,
    "evtq",
    smmu.evtq_max_n_shift,
    R.EVTQ_ENT_DWORDS,
    { io: page1, offset: R.ARM_SMMU_EVTQ_PROD },
    { io: page1, offset: R.ARM_SMMU_EVTQ_CONS },
  );
  if (evtq === null) return -ENOMEM;
  smmu.evtq = evtq;
  if (smmu.has(F.ARM_SMMU_FEAT_SVA) && smmu.has(F.ARM_SMMU_FEAT_STALLS)) smmu.iopf = iopf_queue_alloc(smmu.kernel, smmu.dev.name);
  if (!smmu.has(F.ARM_SMMU_FEAT_PRI)) return 0;
  smmu.priq = arm_smmu_init_one_queue(
    smmu,
    "priq",
    smmu.priq_max_n_shift,
    R.PRIQ_ENT_DWORDS,
    { io: page1, offset: R.ARM_SMMU_PRIQ_PROD },
    { io: page1, offset: R.ARM_SMMU_PRIQ_CONS },
  );
  return smmu.priq === null ? -ENOMEM : 0;
}

function arm_smmu_init_structures(smmu: ArmSmmuDevice): number {
  const ret = arm_smmu_init_queues(smmu);
  if (ret !== 0 || arm_smmu_kdump_adopt(smmu)) return ret;
  return arm_smmu_init_strtab(smmu);
}

/** Wired interrupts: one for all, or one for each. */
function get_irqs(smmu: ArmSmmuDevice): void {
  const irq = (name: string): number => Math.max(0, platform_get_irq(smmu.dev, name));
  smmu.combined_irq = irq("combined");
  if (smmu.combined_irq > 0) return;
  smmu.evtq_irq = irq("eventq");
  smmu.priq_irq = irq("priq");
  smmu.gerr_irq = irq("gerror");
}

/** @returns 0 or -errno; what was acquired is given back by the device core */
export function* arm_smmu_device_probe(driver: ArmSmmuDriverData, pdev: PlatformDevice): Coroutine<number> {
  const registers = devm_platform_ioremap_resource(pdev, 0);
  const smmu = new ArmSmmuDevice(driver, pdev, registers);
  let ret = arm_smmu_device_dt_probe(smmu);
  if (ret !== 0) return ret;
  const page0_only = (smmu.options & F.ARM_SMMU_OPT_PAGE0_REGS_ONLY) !== 0;
  if (page0_only) smmu.page1 = smmu.base;
  if (registers.size < (page0_only ? R.ARM_SMMU_PAGE1_OFFSET : 2 * R.ARM_SMMU_PAGE1_OFFSET)) {
    dev_err(pdev, `MMIO region too small (0x${registers.size.toString(16)} bytes)`);
    return -EINVAL;
  }
  get_irqs(smmu);
  ret = arm_smmu_device_hw_probe(smmu) || arm_smmu_init_structures(smmu);
  if (ret !== 0) return ret;
  pdev.drvdata = smmu;
  // What an adopted table says stays as it is.
  if (!smmu.adopted) arm_smmu_rmr_install_bypass_ste(smmu);
  ret = yield* smmu.adopted ? arm_smmu_kdump_reset(smmu) : arm_smmu_device_reset(smmu);
  if (ret === 0) {
    arm_smmu_manage_disable(smmu);
    driver.smmus.push(smmu);
    yield* iommu_device_sysfs_add(pdev, `smmu3.0x${registers.base.toString(16).padStart(16, "0")}`);
    ret = yield* iommu_device_register(smmu.kernel, arm_smmu_ops(driver), pdev, 2 ** smmu.ssid_bits);
    if (ret === 0) return 0;
    yield* iommu_device_sysfs_remove(pdev);
  }
  yield* arm_smmu_probe_failed(smmu);
  return ret;
}
