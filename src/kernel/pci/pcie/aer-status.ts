// SPDX-License-Identifier: GPL-2.0-only
/**
 * The status registers of errors: a written 1 clears. After Linux 7.1 drivers/pci/pcie/aer.c: pci_aer_raw_clear_status,
 * pci_aer_clear_nonfatal_status; drivers/pci/pci.c: pcie_clear_device_status. Left out: firmware that owns the registers.
 */
import { pci_read_config_dword, pci_write_config_dword, pci_write_config_word } from "../access.ts";
import type { PciDev } from "../pci-dev.ts";
import * as regs from "../pci-regs.ts";

/** Writes back what a status register of the capability says. @returns that */
export function aer_clear(pdev: PciDev, offset: number): number {
  const status = pci_read_config_dword(pdev, pdev.aer_cap + offset);
  pci_write_config_dword(pdev, pdev.aer_cap + offset, status);
  return status;
}

export function pci_aer_clear_status(pdev: PciDev): void {
  if (pdev.aer_cap === 0) return;
  if (pdev.pcie_type === regs.PCI_EXP_TYPE_ROOT_PORT) aer_clear(pdev, regs.PCI_ERR_ROOT_STATUS);
  aer_clear(pdev, regs.PCI_ERR_COR_STATUS);
  aer_clear(pdev, regs.PCI_ERR_UNCOR_STATUS);
}

export function pci_aer_clear_nonfatal_status(pdev: PciDev): void {
  if (pdev.aer_cap === 0) return;
  const status = pci_read_config_dword(pdev, pdev.aer_cap + regs.PCI_ERR_UNCOR_STATUS);
  const nonfatal = (status & ~pci_read_config_dword(pdev, pdev.aer_cap + regs.PCI_ERR_UNCOR_SEVER)) >>> 0;
  if (nonfatal !== 0) pci_write_config_dword(pdev, pdev.aer_cap + regs.PCI_ERR_UNCOR_STATUS, nonfatal);
}

export function pcie_clear_device_status(pdev: PciDev): void {
  pci_write_config_word(pdev, pdev.pcie_cap + regs.PCI_EXP_DEVSTA, regs.PCI_EXP_DEVSTA_ERRORS);
}
