// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the driver keeps for one SMMU, and for the driver as a whole in one kernel.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.h: struct arm_smmu_device. Left out: what belongs to
 * implementations with queues of their own.
 */
import { type IoMem, type IopfQueue, type Kernel, type KernelBuffer, Mutex, type PlatformDevice } from "../../../kernel/index.ts";
import { ARM_SMMU_PAGE1_OFFSET, ARM_SMMU_REG_SZ } from "./arm-smmu-v3-regs.ts";
import type { ArmSmmuAudit } from "./shutdown/audit.ts";
import { has_feature } from "./features.ts";
import { IdAllocator } from "./ids.ts";
import type { ArmSmmuMaster } from "./masters/master.ts";
import type { ArmSmmuQueue } from "./queues/queue.ts";

/** What the driver's `->shutdown` does: see shutdown.ts. */
export type ArmSmmuShutdown = "none" | "bypass" | "abort" | "remove" | "gbpa-bypass" | "audit" | "blocked" | "leave-on";

/** What the driver does in a crash kernel with an SMMU that it finds running: see kdump.ts. */
export type ArmSmmuKdumpPolicy = "reset-abort" | "adopt";

/** In which order the driver lets go of an SMMU, by the kernel that did so: see teardown.ts. */
export type ArmSmmuTeardown = "6.1" | "7.1" | "7.3";

export interface ArmSmmuV3Options {
  /** `bypass` is Linux 7.1: CR0 <- 0, and GBPA decides, which nobody wrote. Default: `bypass`. */
  readonly shutdown?: ArmSmmuShutdown;
  /** Default: `reset-abort`, Linux 7.1. */
  readonly kdumpPolicy?: ArmSmmuKdumpPolicy;
  /** Default: `7.1`. */
  readonly teardown?: ArmSmmuTeardown;
  /** The kernel runs at EL2 with VHE: stage 1 then uses the EL2-E2H StreamWorld of SMMUs with IDR0.HYP. Default: false. */
  readonly vhe?: boolean;
  /** What its CPUs' own tables are like, which SVA compares. Default: 48-bit physical addresses, 16-bit ASIDs, no BBML2. */
  readonly cpu?: Partial<ArmCpuFeatures>;
}

/** Of ID_AA64MMFR0_EL1 and ID_AA64MMFR2_EL1, the least over all CPUs. */
export interface ArmCpuFeatures {
  readonly pa_bits: number;
  readonly asid_bits: number;
  /** Break-before-make level 2 without conflict aborts: the kernel then changes block sizes in place. */
  readonly bbml2_noabort: boolean;
}

/** Shared by all SMMUs of a kernel. */
export class ArmSmmuDriverData {
  readonly kernel: Kernel;
  readonly shutdown: ArmSmmuShutdown;
  readonly kdumpPolicy: ArmSmmuKdumpPolicy;
  readonly teardown: ArmSmmuTeardown;
  readonly vhe: boolean;
  readonly cpu: ArmCpuFeatures;
  /** `arm_smmu_asid_xa`: ASIDs are unique over all SMMUs; 0 is not used. */
  readonly asids: IdAllocator = new IdAllocator(1);
  /** `arm_smmu_asid_lock`. */
  readonly asid_lock: Mutex;
  readonly smmus: ArmSmmuDevice[] = [];
  /** SMMUs ever probed. */
  instances = 0;

  constructor(kernel: Kernel, options: ArmSmmuV3Options) {
    this.kernel = kernel;
    this.asid_lock = new Mutex(kernel, "arm_smmu_asid_lock");
    this.shutdown = options.shutdown ?? "bypass";
    this.kdumpPolicy = options.kdumpPolicy ?? "reset-abort";
    this.teardown = options.teardown ?? "7.1";
    this.vhe = options.vhe ?? false;
    this.cpu = { pa_bits: 48, asid_bits: 16, bbml2_noabort: false, ...options.cpu };
  }
}

/** The stream table. A linear one has `l2 === null`. */
export interface ArmSmmuStrtab {
  /** The linear table, or the level-1 table of a two-level one. */
  readonly table: KernelBuffer;
  readonly base_dma: number;
  /** Level-2 tables by level-1 index, allocated when a StreamID of theirs is first used. */
  readonly l2: Map<number, KernelBuffer> | null;
  /** StreamIDs (linear) or level-1 descriptors. */
  readonly num_ents: number;
}

export class ArmSmmuDevice {
  readonly driver: ArmSmmuDriverData;
  readonly kernel: Kernel;
  readonly dev: PlatformDevice;
  readonly base: IoMem;
  /** Page 1, or page 0 where page 1 is broken. */
  page1: IoMem;
  /** Its place in invalidation arrays, which Linux sorts by address of the object. */
  readonly instance: number;
  /** ARM_SMMU_FEAT_* */
  features = 0;
  /** ARM_SMMU_OPT_* */
  options = 0;

  pgsize_bitmap = 0;
  /** Output address bits. */
  oas = 0;
  asid_bits = 0;
  vmid_bits = 0;
  ssid_bits = 0;
  sid_bits = 0;
  cmdq_max_n_shift = 0;
  evtq_max_n_shift = 0;
  priq_max_n_shift = 0;
  /** Stalled transactions that it can hold. */
  max_stalls = 0;

  /** Interrupts; 0: none. */
  combined_irq = 0;
  gerr_irq = 0;
  evtq_irq = 0;
  priq_irq = 0;

  cmdq!: ArmSmmuQueue;
  evtq!: ArmSmmuQueue;
  /** Page faults of its masters; null: it cannot stall for processes. */
  iopf: IopfQueue | null = null;
  /** Only with ARM_SMMU_FEAT_PRI. */
  priq: ArmSmmuQueue | null = null;
  strtab!: ArmSmmuStrtab;
  /** The stream table is the crashed kernel's: see kdump.ts. */
  adopted = false;
  /** The driver's, unless the shutdown hook is that of another kernel. */
  teardown: ArmSmmuTeardown;
  /** VMID 0 belongs to stage-1 domains. */
  readonly vmids: IdAllocator = new IdAllocator(1);
  /** Which master a StreamID belongs to (Linux keeps a red-black tree). */
  readonly streams: Map<number, ArmSmmuMaster> = new Map();
  /** Counts who still comes, once the shutdown variant `audit` has begun. */
  audit: ArmSmmuAudit | null = null;

  constructor(driver: ArmSmmuDriverData, dev: PlatformDevice, registers: IoMem) {
    this.driver = driver;
    this.teardown = driver.teardown;
    this.kernel = dev.kernel;
    this.dev = dev;
    this.instance = driver.instances++;
    this.base = registers.slice(0, ARM_SMMU_REG_SZ);
    this.page1 = registers.slice(ARM_SMMU_PAGE1_OFFSET, ARM_SMMU_REG_SZ);
  }

  has(feature: number): boolean {
    return has_feature(this.features, feature);
  }
}
