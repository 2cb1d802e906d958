// SPDX-License-Identifier: MIT
/**
 * In what the boots of Linux 6.1 and 6.12 that were recorded differ from a boot of this project's kernel, which follows
 * Linux 7.1, on an SMMU with the same ID registers. What does not stand here must be equal, and what stands here must
 * occur wherever it applies.
 */
import { fieldNamed, getField, smmuRegisters } from "../../hw/index.ts";

/** What a recorded boot was a boot of. */
export interface BootFacts {
  /** "6.1", "6.12". */
  readonly linux: string;
  /** It found the SMMU enabled. */
  readonly crash: boolean;
  /** `iommu.passthrough=1` */
  readonly passthrough: boolean;
  /** IDR0 … IDR5. */
  readonly idr: readonly number[];
  /** The recording shows the first device's STE and CD. */
  readonly structures: boolean;
}

export interface BootDifference {
  readonly name: string;
  /** Versions of Linux whose boots have it. */
  readonly linux: readonly string[];
  /** Lines of the recorded boot that ours does not have. */
  readonly recorded: readonly RegExp[];
  /** Lines of ours that the recorded boot does not have. */
  readonly ours: readonly RegExp[];
  readonly what: string;
  readonly why: string;
  /** Boots in which it must occur. */
  when(facts: BootFacts): boolean;
}

const EVERY: readonly string[] = ["6.1", "6.12"];

function id(register: 0 | 1 | 3, field: string): (facts: BootFacts) => number {
  const table = smmuRegisters.find(({ name }) => name === `SMMU_IDR${register}`)!;
  return ({ idr }) => getField([idr[register] ?? 0], fieldNamed(table.fields, field));
}
const cmdqs = id(1, "CMDQS");
const eventqs = id(1, "EVENTQS");
const sidsize = id(1, "SIDSIZE");
const stLevel = id(0, "ST_LEVEL");
const s1p = id(0, "S1P");
const had = id(3, "HAD");

const rows: readonly BootDifference[] = [
  {
    name: "command queue of 1 MiB",
    linux: EVERY,
    recorded: [/^SMMU_CMDQ_BASE <- address \| 0x4000000000000010$/],
    ours: [/^SMMU_CMDQ_BASE <- address \| 0x400000000000001[1-3]$/],
    what: "The recorded kernels allocate 2^16 commands, ours what one allocation holds: 2^18, or less if IDR1.CMDQS is less.",
    why: "They were built with CONFIG_CMA_ALIGNMENT=8, which bounds a queue in place of MAX_PAGE_ORDER. A choice of the configuration, not of the version.",
    when: (facts) => cmdqs(facts) > 16,
  },
  {
    name: "event queue of 1 MiB",
    linux: EVERY,
    recorded: [/^SMMU_EVENTQ_BASE <- address \| 0x400000000000000f$/],
    ours: [/^SMMU_EVENTQ_BASE <- address \| 0x40000000000000(10|11)$/],
    what: "The recorded kernels allocate 2^15 event records, ours 2^17, or less if IDR1.EVENTQS is less.",
    why: "As for the command queue.",
    when: (facts) => eventqs(facts) > 15,
  },
  {
    name: "flush after direct mappings",
    linux: EVERY,
    recorded: [/^CMD_TLBI_(NH_ASID VMID=0 ASID=1|S12_VMALL VMID=1); CMD_SYNC /],
    ours: [],
    what: "The tag of a new default domain is flushed although nothing can be cached for it: before the first attach in 6.12, after it in 6.1.",
    why: "iommu_create_device_direct_mappings ended with iommu_flush_iotlb_all for any device with reserved regions, and the doorbell window is one. It does not in 7.1.",
    when: ({ passthrough }) => !passthrough,
  },
  {
    name: "no CFGI_CD before the domain has devices",
    linux: ["6.1"],
    recorded: [/^CMD_SYNC /, /^CMD_SYNC /],
    ours: [/^CMD_CFGI_CD StreamID=\S+ Leaf=1; CMD_SYNC /, /^CMD_CFGI_CD StreamID=\S+ Leaf=1; CMD_SYNC /],
    what: "The two batches that follow the writes of a CD hold a CMD_SYNC alone.",
    why: "6.1 sends CFGI_CD to the devices of the domain, and the first one joins it after its CD is written; 7.1 has one CD table for each master and sends it to that master.",
    when: (facts) => facts.linux === "6.1" && !facts.passthrough && s1p(facts) === 1,
  },
  {
    name: "no prefetch of a bypass STE",
    linux: ["6.1"],
    recorded: [],
    ours: [/^CMD_PREFETCH_CONFIG StreamID=/],
    what: "No CMD_PREFETCH_CONFIG follows the write of a bypass STE.",
    why: "6.1 is done with an STE without translation after its CFGI_STE; in 6.12, as in 7.1, one function writes all STEs and always prefetches.",
    when: ({ linux, passthrough }) => linux === "6.1" && passthrough,
  },
  {
    name: "SHCFG in a bypass STE",
    linux: ["6.1"],
    recorded: [/^STE\[1\] = 0x0000100000000000$/],
    ours: [],
    what: "A bypass STE has SHCFG 1 (use incoming) on an SMMU whose IDR1.ATTR_TYPES_OVR is 0.",
    why: "6.1 always sets the field; 7.1 only where IDR1.ATTR_TYPES_OVR gives it a meaning.",
    when: ({ linux, passthrough, structures }) => linux === "6.1" && passthrough && structures,
  },
  {
    name: "one read of GBPA more",
    linux: EVERY,
    recorded: [],
    ours: [/^SMMU_GBPA reads 0x1000$/],
    what: "Before GBPA.ABORT is set, the register is read twice where Linux reads it once.",
    why: "Linux goes on with the value at which its poll of Update ended; the poll here does not hand it out. Of no consequence to the SMMU.",
    when: ({ crash }) => crash,
  },
  {
    name: "linear table for 16 StreamID bits",
    linux: ["6.12"],
    recorded: [/^SMMU_IDR0 reads 0x544101b$/, /^SMMU_STRTAB_BASE_CFG <- 0x10$/],
    ours: [/^SMMU_IDR0 reads 0xd44101b$/, /^SMMU_STRTAB_BASE_CFG <- 0x10210$/],
    what: "The recorded SMMU offers no two-level table, ours does, and each kernel takes what there is.",
    why: "The recorder cleared IDR0.ST_LEVEL, which an SMMU with 7 or more StreamID bits must not do (IHI 0070 6.3.1); no such SMMU can be configured here.",
    when: (facts) => stLevel(facts) === 0 && sidsize(facts) >= 7,
  },
  {
    name: "HAD without stage 1",
    linux: ["6.12"],
    recorded: [/^SMMU_IDR3 reads 0x1414$/],
    ours: [/^SMMU_IDR3 reads 0x1410$/],
    what: "IDR3.HAD reads 1 on the recorded SMMU that has stage 2 only.",
    why: "QEMU sets it all the same; it is a feature of stage 1 (IHI 0070 6.3.4). No driver looks at it.",
    when: (facts) => s1p(facts) === 0 && had(facts) === 1,
  },
];

export const bootDifferences: readonly BootDifference[] = rows;
