// SPDX-License-Identifier: GPL-2.0-only
/**
 * MSI-X, after Linux 7.1 drivers/pci/msi/{api,msi}.c: vectors are interrupts of the MSI frame; the message goes into the table in
 * the function's BAR with the doorbell's address as the function sees it, which behind an IOMMU is a mapped one.
 *
 * A vector is unmasked when its message is written and masked when it is freed; that request_irq and free_irq do the same
 * is left out. Left out too: plain MSI, interrupt affinity, and falling back to the legacy interrupt.
 */
import { iommu_dma_compose_msi_address, iommu_dma_prepare_msi } from "../dma/dma.ts";
import { EINVAL, ENODEV, ENOSPC } from "../errno.ts";
import { type IoMem, readl, writel } from "../io/io.ts";
import { pci_read_config_dword, pci_read_config_word, pci_write_config_word } from "./access.ts";
import { type PciDev, PciPower } from "./pci-dev.ts";
import * as regs from "./pci-regs.ts";
import { pci_ioremap_bar } from "./setup-bus.ts";

/** `pci_msix_clear_and_set_ctrl`. */
function msixControl(pdev: PciDev, clear: number, set: number): void {
  const where = pdev.msix_cap + regs.PCI_MSIX_FLAGS;
  pci_write_config_word(pdev, where, (pci_read_config_word(pdev, where) & ~clear) | set);
}

/** Enables or disables the function's INTx line, if that changes anything (`pci_intx`). */
function pci_intx(pdev: PciDev, enable: boolean): void {
  const old = pci_read_config_word(pdev, regs.PCI_COMMAND);
  const command = enable ? old & ~regs.PCI_COMMAND_INTX_DISABLE : old | regs.PCI_COMMAND_INTX_DISABLE;
  if (command !== old) pci_write_config_word(pdev, regs.PCI_COMMAND, command);
}

/** Entries of the function's table; 0 without MSI-X. */
export function pci_msix_vec_count(pdev: PciDev): number {
  if (pdev.msix_cap === 0) return 0;
  return (pci_read_config_word(pdev, pdev.msix_cap + regs.PCI_MSIX_FLAGS) & regs.PCI_MSIX_FLAGS_QSIZE) + 1;
}

/** Maps the table (`msix_map_region`); null if its BAR was not assigned. */
function mapTable(pdev: PciDev, entries: number): IoMem | null {
  const table = pci_read_config_dword(pdev, pdev.msix_cap + regs.PCI_MSIX_TABLE);
  const bar = pci_ioremap_bar(pdev, table & regs.PCI_MSIX_TABLE_BIR);
  return bar?.slice((table & regs.PCI_MSIX_TABLE_OFFSET) >>> 0, entries * regs.PCI_MSIX_ENTRY_SIZE) ?? null;
}

function maskEntry(table: IoMem, entry: number, mask: boolean): void {
  const where = entry * regs.PCI_MSIX_ENTRY_SIZE + regs.PCI_MSIX_ENTRY_VECTOR_CTRL;
  const old = readl(table, where);
  writel(table, where, mask ? old | regs.PCI_MSIX_ENTRY_CTRL_MASKBIT : old & ~regs.PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/** Writes a vector's message, low address first (`pci_write_msg_msix`). */
function writeMessage(pdev: PciDev, table: IoMem, entry: number, intid: number): void {
  const { address, data } = pdev.kernel.irq.msi.message(intid);
  const doorbell = iommu_dma_compose_msi_address(pdev, address);
  const at = entry * regs.PCI_MSIX_ENTRY_SIZE;
  writel(table, at + regs.PCI_MSIX_ENTRY_LOWER_ADDR, doorbell % 0x1_0000_0000);
  writel(table, at + regs.PCI_MSIX_ENTRY_UPPER_ADDR, Math.floor(doorbell / 0x1_0000_0000));
  writel(table, at + regs.PCI_MSIX_ENTRY_DATA, data);
}

/** Gets interrupts and has their doorbell mapped for the function. @returns 0 or -errno */
function msix_setup_interrupts(pdev: PciDev, table: IoMem, count: number): number {
  const { msi } = pdev.kernel.irq;
  const irqs = msi.alloc(pdev, count);
  if (typeof irqs === "number") return irqs;
  for (const [entry, intid] of irqs.entries()) {
    const ret = iommu_dma_prepare_msi(pdev, msi.message(intid).address);
    if (ret !== 0) {
      msi.free(irqs);
      return ret;
    }
    maskEntry(table, entry, true);
    writeMessage(pdev, table, entry, intid);
  }
  pdev.irqs.push(...irqs);
  return 0;
}

/**
 * Enables MSI-X with `minVecs` to `maxVecs` vectors: table masked as a whole while it is set up, INTx off.
 * @returns how many vectors there are, or -ENODEV, -EINVAL, -ENOSPC, -ENOMEM
 */
export function pci_alloc_irq_vectors(pdev: PciDev, minVecs: number, maxVecs: number): number {
  if (pdev.msix_cap === 0 || pdev.kernel.irq.msi.frame === null || pdev.current_state !== PciPower.D0) return -ENODEV;
  if (pdev.msix_enabled) return -EINVAL;
  const entries = pci_msix_vec_count(pdev);
  const count = Math.min(maxVecs, entries);
  if (count < minVecs) return -ENOSPC;
  msixControl(pdev, 0, regs.PCI_MSIX_FLAGS_MASKALL | regs.PCI_MSIX_FLAGS_ENABLE);
  const table = mapTable(pdev, entries);
  const ret = table ? msix_setup_interrupts(pdev, table, count) : -ENODEV;
  if (table === null || ret !== 0) {
    msixControl(pdev, regs.PCI_MSIX_FLAGS_MASKALL | regs.PCI_MSIX_FLAGS_ENABLE, 0);
    return ret;
  }
  pdev.msix_enabled = true;
  pdev.msix_base = table;
  pci_intx(pdev, false);
  // Entries that are not used stay masked: a kernel before this one may have left messages in them.
  for (let entry = 0; entry < entries; entry++) maskEntry(table, entry, entry >= count);
  msixControl(pdev, regs.PCI_MSIX_FLAGS_MASKALL, 0);
  return count;
}

/** Puts the messages back into a function that lost them (`pci_restore_msi_state`). */
export function pci_restore_msi_state(pdev: PciDev): void {
  const { msix_base: table } = pdev;
  if (!pdev.msix_enabled || table === null) return;
  msixControl(pdev, 0, regs.PCI_MSIX_FLAGS_MASKALL | regs.PCI_MSIX_FLAGS_ENABLE);
  for (const [entry, intid] of pdev.irqs.entries()) {
    writeMessage(pdev, table, entry, intid);
    maskEntry(table, entry, false);
  }
  msixControl(pdev, regs.PCI_MSIX_FLAGS_MASKALL, 0);
}

/** Disables MSI-X and gives its interrupts back; handlers must have been freed. The doorbell's mapping stays. */
export function pci_free_irq_vectors(pdev: PciDev): void {
  if (!pdev.msix_enabled) return;
  if (pdev.msix_base) for (let entry = 0; entry < pdev.irqs.length; entry++) maskEntry(pdev.msix_base, entry, true);
  msixControl(pdev, regs.PCI_MSIX_FLAGS_ENABLE, 0);
  pci_intx(pdev, true);
  pdev.kernel.irq.msi.free(pdev.irqs);
  pdev.irqs.length = 0;
  pdev.msix_enabled = false;
  pdev.msix_base = null;
}

/** The interrupt number of vector `index`, or -EINVAL. */
export function pci_irq_vector(pdev: PciDev, index: number): number {
  return pdev.irqs[index] ?? -EINVAL;
}
