// SPDX-License-Identifier: MIT
/** What Linux says when it takes an SMMU into service or out of it, and when it meets its clients. */
import { hex } from "../../hw/index.ts";
import { featureTexts } from "./features.ts";
import { isAtLeast } from "./history.ts";
import { type MessageRow, cause, pollLimit } from "./message-row.ts";
import type { Boot, CauseFound } from "./types.ts";

const UNRESPONSIVE: readonly CauseFound[] = [
  cause("no-clock", "the SMMU has no clock or power, or its registers are not where the firmware says", "arm_smmu_write_reg_sync"),
  cause("outstanding", "the SMMU waits for outstanding transactions of a client that never completes them", "IHI 0070 §6.3.9"),
];
const FIRMWARE = (text: string): readonly CauseFound[] => [
  cause("firmware-tables", text, "arm_smmu_device_dt_probe, arm_smmu_device_acpi_probe"),
];

/** What becomes of DMA that is under way when the driver takes over an enabled SMMU: it depends on the kernel's version. */
function takeover(boot: Boot): string {
  const aborts = isAtLeast(boot, 5, 2);
  const before = "DMA still under way then passes untranslated unless GBPA.ABORT was 1 already";
  if (aborts === undefined)
    return `from v5.2 on the driver sets GBPA.ABORT before it disables the SMMU, and DMA still under way is aborted; an older one only disables it, and ${before} (the log does not say the version)`;
  if (!aborts) return `this kernel, older than v5.2, warns and disables the SMMU without setting GBPA.ABORT: ${before}`;
  return boot.how === "crash"
    ? "this is a kdump kernel: it sets GBPA.ABORT and keeps the event queue off, so old DMA is aborted without a record"
    : "the driver sets GBPA.ABORT before it disables the SMMU: DMA still under way is aborted from here on";
}

const ERRNO: Readonly<Record<string, string>> = {
  "-12": "-ENOMEM, no memory",
  "-16": "-EBUSY; before v5.2 a kdump kernel that finds the SMMU enabled sets GBPA.ABORT, disables it and gives up so",
  "-19": "-ENODEV",
  "-22": "-EINVAL, a property or the register region is wrong",
  "-6": "-ENXIO, the SMMU lacks what the driver needs",
  "-110": "-ETIMEDOUT, a register was not acknowledged: no clock or power, or the wrong address",
  "-517": "-EPROBE_DEFER, something else has to come first",
};

export const SETUP_MESSAGES: readonly MessageRow[] = [
  {
    id: "taken-over",
    pattern: /SMMU currently enabled! Resetting/,
    severity: "warning",
    title: "the SMMU was enabled when this kernel took it over",
    from: "arm_smmu_device_reset",
    story: (_groups, { boot }) => [
      "whoever ran before (an earlier kernel by kexec or kdump, or firmware) left translation on, and maybe devices that do DMA through its tables",
      takeover(boot),
    ],
    next: [
      "faults that follow: do they come from devices whose drivers have no ->shutdown?",
      "the earlier kernel's log: which device was not shut down",
    ],
  },
  {
    id: "cr0-stuck",
    pattern: /failed to clear cr0/,
    severity: "error",
    title: (_groups, { boot }) => `CR0 was not acknowledged within ${pollLimit(boot)}`,
    from: "arm_smmu_device_disable",
    story: () => [
      "the driver wrote 0 to CR0 and CR0ACK did not follow: the SMMU may still translate through tables that are about to be freed",
    ],
    causes: () => UNRESPONSIVE,
    next: ["CR0 and CR0ACK by a debugger; which client has transactions outstanding"],
  },
  {
    id: "gbpa-stuck",
    pattern: /GBPA not responding to update/,
    severity: "error",
    title: (_groups, { boot }) => `GBPA did not take its new value within ${pollLimit(boot)}`,
    from: "arm_smmu_update_gbpa",
    story: () => ["GBPA.Update stayed 1: whether transactions abort or bypass while the SMMU is off is not known"],
    causes: () => UNRESPONSIVE,
  },
  {
    id: "aliasing",
    pattern: /Aliasing StreamID (?<sid>0x[0-9a-f]+) \(from (?<other>[^)]+)\)/,
    severity: "error",
    title: "two devices have one StreamID",
    from: "arm_smmu_insert_master",
    ofClient: true,
    story: ({ sid, other }) => [
      `StreamID ${sid} belongs to ${other} already; the second device gets no IOMMU and its DMA will fault or go astray`,
    ],
    causes: () =>
      FIRMWARE(
        "the firmware's map gives both the same ID: iommus, iommu-map (device tree) or an ID mapping (IORT) is wrong or lacks single-mapping",
      ),
  },
  {
    id: "in-tree",
    pattern: /stream (?<sid>\d+) already in tree/,
    severity: "error",
    title: "two devices have one StreamID",
    from: "arm_smmu_insert_master",
    ofClient: true,
    story: ({ sid }) => [`StreamID ${hex(Number(sid))} belongs to another device already`],
    causes: () => FIRMWARE("the firmware's map gives both the same ID: iommus, iommu-map (device tree) or an ID mapping (IORT)"),
  },
  {
    id: "oas",
    pattern: /unknown output address size/,
    severity: "warning",
    title: "IDR5.OAS has a code that this kernel does not know",
    from: "arm_smmu_device_hw_probe",
    story: () => ["the driver goes on with 48 bits; memory above 256 TiB is out of reach of the tables"],
  },
  {
    id: "probe",
    // Linux 7.1 no longer says what it took for the input size.
    pattern: /(?:ias (?<ias>\d+)-bit, )?oas (?<oas>\d+)-bit \(features (?<features>0x[0-9a-f]+)\)/,
    severity: "info",
    title: "probe",
    from: "arm_smmu_device_hw_probe",
    story: ({ ias, oas, features }) => [
      `${ias === undefined ? "" : `input ${ias} bits, `}output ${oas} bits`,
      `features: ${featureTexts(Number(features)).join(", ")}`,
    ],
  },
  {
    id: "strtab-covers",
    pattern: /2-level strtab only covers (?<covered>\d+)\/(?<bits>\d+) bits of SID/,
    severity: "warning",
    title: "the Stream table does not cover all StreamIDs",
    from: "arm_smmu_init_strtab_2lvl",
    story: ({ covered }) => [`StreamIDs from ${hex(2 ** Number(covered))} up have no STE: C_BAD_STREAMID`],
  },
  {
    id: "allocation",
    pattern: /failed to allocate (?<what>l1 stream table|linear stream table|l2 stream table|queue)/,
    severity: "error",
    title: "no memory for the SMMU's structures",
    from: "arm_smmu_init_structures",
    story: ({ what }) => [
      `${what}: the probe fails or the stream gets no STE; a linear Stream table needs contiguous memory (CMA) aligned to its size`,
    ],
  },
  {
    id: "coherency",
    pattern: /IDR0\.COHACC overridden by FW configuration \((?<value>true|false)\)/,
    severity: "warning",
    title: "firmware and IDR0.COHACC disagree on coherency",
    from: "arm_smmu_device_hw_probe",
    story: ({ value }) => [
      value === "true"
        ? "firmware says coherent, the SMMU says not: if the SMMU is right, it reads stale tables and commands from memory"
        : "firmware says not coherent, the SMMU says coherent: correct but slow; MSI polling is off",
    ],
    causes: () => FIRMWARE("dma-coherent (device tree) or the COHACC override flag (IORT) is wrong"),
  },
  {
    id: "httu",
    pattern: /IDR0\.HTTU features\((?<hw>0x[0-9a-f]+)\) overridden by FW configuration \((?<fw>0x[0-9a-f]+)\)/,
    severity: "warning",
    title: "firmware and IDR0.HTTU disagree",
    from: "arm_smmu_get_httu",
    story: () => ["hardware update of Access and dirty flags follows the firmware's tables"],
  },
  {
    id: "unsupported",
    pattern:
      /(?<what>unknown\/unsupported TT endianness|no translation support|AArch64 table format not supported|embedded implementation not supported|command queue size <= \d+ entries not supported|unit-length command queue not supported)/,
    severity: "error",
    title: "the driver refuses this SMMU",
    from: "arm_smmu_device_hw_probe",
    story: ({ what }) => [`${what}: the probe fails, clients wait for it (deferred probe) or run without translation`],
  },
  {
    id: "reset-step",
    pattern:
      /failed to (?<what>enable command queue|enable event queue|enable PRI queue|enable ATS check|enable SMMU interface|reset impl|setup irqs|disable irqs|enable irqs)/,
    severity: "error",
    title: "a step of the reset was not acknowledged",
    from: "arm_smmu_device_reset",
    story: ({ what }, { boot }) => [`${what}: the acknowledge register did not follow within ${pollLimit(boot)}`],
    causes: () => UNRESPONSIVE,
  },
  {
    id: "no-irq",
    pattern: /no (?<queue>evtq|gerr|priq) irq|failed to enable (?<other>evtq|gerror|priq|combined) irq/,
    severity: "warning",
    title: "an interrupt of the SMMU is missing",
    from: "arm_smmu_setup_unique_irqs",
    story: ({ queue, other }) => [`${queue ?? other}: what it would report stays unseen; an absence of faults in this log proves nothing`],
    causes: () => FIRMWARE("interrupts or interrupt-names (device tree), or GSIVs (IORT), are missing"),
  },
  {
    id: "attach",
    pattern: /cannot attach to (?<what>SMMU .*|incompatible domain[^)]*\)?)/,
    severity: "error",
    title: "a device could not be attached to a domain",
    from: "arm_smmu_attach_dev",
    ofClient: true,
    story: ({ what }) => [`${what}: the domain belongs to another SMMU, or needs more StreamIDs or SubstreamID bits than there are`],
  },
  {
    id: "wired-irqs",
    pattern: /(?<why>msi_domain absent|failed to allocate MSIs) - falling back to wired irqs/,
    severity: "info",
    title: "the SMMU's interrupts are wired, not messages",
    from: "arm_smmu_setup_msis",
    story: ({ why }) => [
      why === "msi_domain absent"
        ? "the SMMU can send messages, and the firmware names no MSI controller for it: the wired interrupts must be there and described"
        : "the MSI controller gave no vectors: the wired interrupts must be there and described",
    ],
    causes: () => FIRMWARE("msi-parent (device tree) or the ITS mapping of the SMMU's node (IORT) is missing, which may be intended"),
    next: ["lines that say no evtq irq or no gerr irq: then faults stay unseen"],
  },
  {
    id: "dma-mask",
    pattern: /failed to set DMA mask for table walker/,
    severity: "warning",
    title: "the kernel refuses the SMMU's address width",
    from: "arm_smmu_device_hw_probe",
    story: () => ["tables and queues may be allocated where the SMMU cannot reach them, or their allocation fails"],
    causes: () => FIRMWARE("dma-ranges of a bus above the SMMU (device tree) or its memory address limit (IORT) is narrower than IDR5.OAS"),
  },
  {
    id: "mmio-small",
    pattern: /MMIO region too small \((?<region>[^)]*)\)?/,
    severity: "error",
    title: "the driver refuses this SMMU: its register region is too small",
    from: "arm_smmu_device_probe",
    story: ({ region }) => [`${region}: two pages of 64 KiB are needed (one on implementations whose page 1 is not used); the probe fails`],
    causes: () => FIRMWARE("reg (device tree) covers page 0 only"),
  },
  {
    id: "ats-enable",
    pattern: /Failed to enable ATS \(STU (?<stu>\d+)\)/,
    severity: "error",
    title: "ATS could not be switched on in a PCIe device",
    from: "arm_smmu_enable_ats",
    ofClient: true,
    story: ({ stu }) => [`the device was to use translation units of 2^${stu} bytes; it works without ATS, although its STE permits it`],
    causes: () => [
      cause("ats-on", "ATS is on already (left by an earlier kernel), or the function's ATS capability is not usable", "pci_enable_ats"),
    ],
    next: ["the ATS capability of the device (lspci -vv)"],
  },
  {
    id: "pasid-enable",
    pattern: /Failed to enable PASID/,
    severity: "error",
    title: "PASID could not be switched on in a PCIe device",
    from: "arm_smmu_enable_pasid",
    ofClient: true,
    story: () => ["the device works without SubstreamIDs: no sharing of process address spaces"],
    causes: () => [
      cause("path", "a bridge or port above the device does not pass PASID prefixes, or the capability is not usable", "pci_enable_pasid"),
    ],
    next: ["the PASID capability of the device, and End-End TLP prefixes of the ports above it (lspci -vv)"],
  },
  {
    id: "probe-failed",
    pattern: /(?:probe with driver arm-smmu-v3 failed with error|arm-smmu-v3: probe of (?<name>\S+) failed with error) (?<error>-\d+)/,
    severity: "error",
    title: "the probe failed: this SMMU has no driver",
    from: "really_probe",
    ofNobody: true,
    story: ({ name, error = "" }) => [
      `${name === undefined ? "" : `${name}: `}error ${error}${ERRNO[error] === undefined ? "" : ` (${ERRNO[error]})`}; clients wait for it or run without translation, as the SMMU was left`,
    ],
    causes: ({ error }) => (error === "-110" ? UNRESPONSIVE : []),
    next: ["the driver's line before this one says which step failed"],
  },
];
