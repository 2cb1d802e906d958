// SPDX-License-Identifier: MIT
/**
 * Why events happen: a table of causes, each with the condition under which it is likely, how likely it then is against the
 * others, what to look at, and where it is from. Conditions look at the record itself and at what the log said before.
 */
import { EventNumber } from "../../hw/index.ts";
import { CONFIGURATION_CAUSES } from "./causes-config.ts";
import { type Cause, type Subject, inRam } from "./subject.ts";

const {
  F_TRANSLATION,
  F_ADDR_SIZE,
  F_ACCESS,
  F_PERMISSION,
  C_BAD_STE,
  C_BAD_STREAMID,
  C_BAD_CD,
  C_BAD_SUBSTREAMID,
  F_WALK_EABT,
  F_STE_FETCH,
  F_CD_FETCH,
} = EventNumber;
const TRANSLATION = [F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION];
const ANY_FAULT = [...TRANSLATION, C_BAD_STE, C_BAD_STREAMID, C_BAD_CD, C_BAD_SUBSTREAMID, F_WALK_EABT, F_STE_FETCH, F_CD_FETCH];

/** Linux reserves 1 MiB of every domain's addresses for MSI doorbells. */
const MSI_BASE = 0x0800_0000n;
const MSI_END = 0x080f_ffffn;

/** Seconds after which drivers have taken their devices over. */
const LONG_AFTER = 60;

const own = (subject: Subject): boolean => !subject.stage2;
/** A test for ranges of addresses, which the lowest and the highest address must pass. */
const at = (subject: Subject, test: (address: bigint) => boolean): boolean =>
  subject.address !== undefined && test(subject.addresses.lowest) && test(subject.addresses.highest);
/** Linux hands out addresses from the top of the 32-bit range downwards first. */
const whereLinuxMaps = (address: bigint): boolean => address >= 0xc000_0000n && address < 1n << 32n;
const deviceName = ({ client }: Subject): string => (client === undefined || client === "(unassigned sid)" ? "the device" : client);
const inMsiWindow = (subject: Subject): boolean => at(subject, (address) => address >= MSI_BASE && address <= MSI_END);

const CAUSES: readonly Cause[] = [
  {
    id: "mapping-error",
    events: [F_TRANSLATION, F_ADDR_SIZE],
    weight: 96,
    when: (s) => at(s, (address) => address >= (1n << 64n) - 0x1000n),
    text: () => "the address is DMA_MAPPING_ERROR (all ones): the driver gave the device the result of a mapping that had failed",
    next: "the client's driver: is dma_mapping_error() asked after each mapping? CONFIG_DMA_API_DEBUG=y reports it",
    reference: "dma_mapping_error",
  },
  {
    id: "msi-doorbell",
    events: [F_TRANSLATION, F_PERMISSION],
    weight: 93,
    when: (s) => inMsiWindow(s) && (s.write || !s.complete),
    text: (s) =>
      `the address is in the window of MSI doorbells (0x08000000): ${deviceName(s)} signals an interrupt whose doorbell is not mapped in the domain it is in now (interrupts freed or never requested, the domain changed under it by unbind or VFIO, or vectors that an earlier kernel programmed)`,
    next: "MSI address and enable bits in the device's configuration space (lspci -vv); which domain the group is in",
    reference: "arm_smmu_get_resv_regions, iommu_dma_prepare_msi",
  },
  {
    id: "null-address",
    events: [F_TRANSLATION],
    weight: 91,
    when: (s) => own(s) && at(s, (address) => address < 0x1000n),
    text: (s) =>
      `the address is 0: ${deviceName(s)} follows a descriptor or ring base that was never written or was cleared (ring torn down or device reset while it still runs)`,
    next: "the client's ring and descriptor addresses; the order of stop, clear and free in its driver",
    reference: "IHI 0070 §7.3.13",
  },
  {
    id: "sign-extension",
    events: [F_TRANSLATION, F_ADDR_SIZE],
    weight: 88,
    when: (s) => at(s, (address) => address >> 31n === (1n << 33n) - 1n && address < (1n << 64n) - 0x1000n),
    text: () => "the upper half is all ones above bit 31: a 32-bit address was sign-extended on its way to the device",
    next: "types in the client's driver (int, u32 shifted) and registers that hold the upper half of addresses",
    reference: "IHI 0070 §3.4.1",
  },
  {
    id: "old-kernel-long-ago",
    events: ANY_FAULT,
    weight: 38,
    when: ({ boot, device, sinceTakeover = 0 }) => boot.takenOver.has(device) && sinceTakeover > LONG_AFTER,
    text: () =>
      "this kernel found the SMMU enabled when it started: a device that nobody has driven since may still do what an earlier kernel told it",
    reference: "arm_smmu_device_reset",
  },
  {
    id: "old-kernel",
    events: ANY_FAULT,
    weight: 87,
    when: ({ boot, device, sinceTakeover = 0 }) => boot.takenOver.has(device) && sinceTakeover <= LONG_AFTER,
    text: (s) =>
      `this kernel found the SMMU enabled: ${s.boot.how === "crash" ? "the crashed kernel's devices run on in this kdump kernel" : s.boot.how === "kexec" ? "the kernel before the kexec left devices running" : "an earlier kernel or firmware left devices running"}, and ${deviceName(s)} uses addresses of tables that are gone`,
    next: "does the client's driver have a ->shutdown that stops its DMA? After a crash: does the kdump kernel load the driver and reset the device?",
    reference: "arm_smmu_device_reset; device_shutdown",
  },
  {
    id: "way-down",
    events: ANY_FAULT,
    weight: 86,
    when: ({ goingDown }) => goingDown !== undefined,
    text: (s) =>
      `the machine was going down ("${s.goingDown}"): ${deviceName(s)} still does DMA after its mappings or tables were torn down (no ->shutdown hook, or one that does not stop DMA)`,
    next: "the client driver's ->shutdown; device links that make the SMMU's hook run after the client's",
    reference: "device_shutdown, arm_smmu_device_shutdown",
  },
  {
    id: "no-driver",
    events: ANY_FAULT,
    weight: 84,
    when: ({ client }) => client === "(unassigned sid)",
    text: () =>
      "no device of this kernel has this StreamID: DMA of a device that firmware or an earlier kernel started, or whose StreamID the firmware's map does not give (requester ID of a bridge, a second function)",
    next: "iommu-map in the device tree or the ID mappings of the IORT against the StreamID; a region that firmware needs is declared as RMR or iommu-addresses",
    reference: "arm_smmu_insert_master",
  },
  {
    id: "beyond-input",
    events: [F_TRANSLATION, F_ADDR_SIZE],
    weight: 83,
    when: (s) =>
      own(s) && at(s, (address) => address >> BigInt(s.boot.probes.get(s.device)?.ias ?? 52) !== 0n && address >> 31n !== (1n << 33n) - 1n),
    text: (s) =>
      `the address has more bits than the SMMU's input size (${s.boot.probes.get(s.device)?.ias ?? 52}): no address that Linux mapped; the device sends garbage or puts flags into address bits`,
    next: "the descriptor that the device followed, byte by byte",
    reference: "IHI 0070 §3.4.1",
  },
  {
    id: "physical-address",
    events: [F_TRANSLATION],
    weight: 80,
    when: (s) => own(s) && at(s, (address) => inRam(s, address) && !whereLinuxMaps(address)),
    text: (s) =>
      `the address is physical RAM: ${deviceName(s)} was given a physical address (a buffer that did not go through the DMA API, rings or a framebuffer of the firmware, or a kernel before this one that ran without translation)`,
    next: "who programmed the device: its driver (dma_map_*, dma_alloc_*), firmware (needs a reserved region), or an earlier kernel",
    reference: "iommu_dma_map_page; IORT RMR",
  },
  {
    id: "write-to-read-only",
    events: [F_PERMISSION],
    weight: 80,
    when: (s) => s.complete && s.write && !s.stage2,
    text: (s) =>
      `${deviceName(s)} writes through a read-only mapping: the buffer was mapped DMA_TO_DEVICE (or IOMMU_READ) and the device writes to it`,
    next: "the direction given to dma_map_* for this buffer; a descriptor that is written back needs DMA_BIDIRECTIONAL",
    reference: "IHI 0070 §7.3.16; dma_info_to_prot",
  },
  {
    id: "stage2-permission",
    events: [F_PERMISSION],
    weight: 80,
    when: (s) => s.complete && s.stage2,
    text: (s) =>
      `stage 2 refuses: the hypervisor mapped this ${s.write ? "read-only (a ROM, dirty tracking, a page shared copy-on-write)" : "without read permission (an MSI doorbell is write-only)"}${s.class === 2 ? "" : ", or as Device memory, where S2PTW forbids tables"}`,
    next: "the stage-2 mapping of the IPA in the hypervisor or in VFIO",
    reference: "IHI 0070 §7.3.16, §5.2 (S2PTW)",
  },
  {
    id: "execute-never",
    events: [F_PERMISSION],
    weight: 85,
    when: (s) => s.complete && s.instruction,
    text: () => "an instruction fetch through a mapping that is not executable (IOMMU_NOEXEC, or INSTCFG makes reads instruction fetches)",
    reference: "IHI 0070 §7.3.16",
  },
  {
    id: "privileged-only",
    events: [F_PERMISSION],
    weight: 70,
    when: (s) => s.complete && !s.stage2 && !s.write && !s.instruction && !s.privileged,
    text: () =>
      "an unprivileged read: stage 1 always lets those with access read, so the mapping is for privileged accesses only (IOMMU_PRIV) or a table above it says so (APTable)",
    next: "does the device's master issue privileged accesses (AxPROT, PASID Privileged Mode), or should STE.PRIVCFG make them so?",
    reference: "IHI 0070 §3.3.4; IOMMU_PRIV",
  },
  {
    id: "over-the-end",
    events: [F_TRANSLATION],
    weight: 76,
    when: (s) => own(s) && s.addresses.pattern === "rising",
    text: (s) =>
      `the addresses rise step by step: ${deviceName(s)} ${s.write ? "writes" : "reads"} on past the end of a mapping (length in a descriptor larger than what was mapped, or tables torn down under a running stream)`,
    next: "the end of the buffer that was mapped last below the first address",
    reference: "IHI 0070 §7.3.13",
  },
  {
    id: "prefetch",
    events: [F_TRANSLATION],
    weight: 44,
    when: (s) =>
      own(s) &&
      s.complete &&
      !s.write &&
      s.addresses.pattern === "one" &&
      at(s, (address) => address >= 0x1000n && address % 0x1000n === 0n),
    text: (s) =>
      `a read of the first bytes of a page: ${deviceName(s)} may fetch ahead beyond the end of a buffer that ends with the page before`,
    next: "is the page before mapped, and does the buffer end there?",
    reference: "IHI 0070 §7.3.13",
  },
  {
    id: "maybe-physical",
    events: [F_TRANSLATION],
    weight: 48,
    when: (s) =>
      own(s) && s.boot.ram.length === 0 && at(s, (address) => address >= 0x4000_0000n && address < 1n << 40n && !whereLinuxMaps(address)),
    text: () =>
      "the address may be a physical one: Linux maps from the top of the 32-bit range downwards, and the log does not list the RAM",
    next: "the machine's memory map (/proc/iomem)",
    reference: "iommu_dma_alloc_iova",
  },
  {
    id: "unmapped-early",
    events: [F_TRANSLATION],
    weight: 52,
    when: own,
    text: (s) =>
      `the mapping is gone: the driver unmapped or freed the buffer before ${deviceName(s)} was done with it${s.boot.lazy ? " (with lazy invalidation the device may go on for a while before it faults)" : ""}`,
    next: "the driver's order of stopping the device, unmapping and freeing; iommu.strict=1 and CONFIG_DMA_API_DEBUG=y make it repeatable",
    reference: "iommu_dma_unmap_page",
  },
  {
    id: "process-memory",
    events: [F_TRANSLATION, F_ACCESS, F_PERMISSION],
    weight: 78,
    when: (s) => s.substream && own(s),
    text: () =>
      "the access has a SubstreamID (PASID): memory of a process that is not present, not accessed yet, or gone; a device that cannot stall or use PRI needs it pinned",
    next: "is the process alive and the memory pinned? Does the device support page faults (dma-can-stall, PRI)?",
    reference: "arm_smmu_sva_set_dev_pasid",
  },
  {
    id: "guest-hole",
    events: [F_TRANSLATION, F_ADDR_SIZE],
    weight: 79,
    when: (s) => s.stage2,
    text: (s) =>
      `stage 2 has no such intermediate address: ${["the guest's STE points to a CD table", "the guest's CD or tables point to a table", "the guest (or the user of VFIO) gave the device an address"][s.class] ?? "an address"} where the hypervisor mapped nothing (a hole, memory not yet faulted in, ballooned, or another device's registers)`,
    next: "the IPA against the guest's memory map",
    reference: "IHI 0070 §7.3.13; arm_smmu_make_s2_domain_ste",
  },
  {
    id: "bypass-size",
    events: [F_ADDR_SIZE],
    weight: 77,
    when: (s) => own(s) && s.class === 2,
    text: () => "an address beyond the output size, with stage 1 off for the stream (identity domain), or a leaf that points beyond it",
    next: "is the group's domain identity (iommu.passthrough)? Otherwise the leaf descriptor of the address",
    reference: "IHI 0070 §3.4, §7.3.14",
  },
  {
    id: "access-flag",
    events: [F_ACCESS],
    weight: 75,
    when: () => true,
    text: () =>
      "Linux's own tables always have the Access flag set: the tables are a process's (shared, and the SMMU does not set the flag itself), a guest's, or overwritten",
    reference: "IHI 0070 §7.3.15; arm_lpae_prot_to_pte",
  },
  {
    id: "permission-other",
    events: [F_PERMISSION],
    weight: 30,
    when: (s) => !s.complete,
    text: () => "the mapping forbids the access; which access it was is in the words that the log lacks",
    reference: "IHI 0070 §7.3.16",
  },
];

const ALL: readonly Cause[] = [...CAUSES, ...CONFIGURATION_CAUSES];
const SHOWN = 4;

/** The causes whose condition holds, the likeliest first. */
export function likelyCauses(subject: Subject): readonly Cause[] {
  return ALL.filter((cause) => cause.events.includes(subject.number) && cause.when(subject))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, SHOWN);
}
