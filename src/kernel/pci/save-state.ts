// SPDX-License-Identifier: GPL-2.0-only
/**
 * The configuration of a function that a reset or D3hot would lose: saved when the function is opened to drivers and before a
 * suspend, and put back.
 *
 * After Linux 7.1 drivers/pci/pci.c: pci_save_state, pci_restore_state, pci_save_pcie_state; drivers/pci/pcie/aer.c: pci_save_aer_state,
 * pci_restore_aer_state; drivers/pci/ats.c: pci_restore_ats_state, pci_restore_pri_state, pci_restore_pasid_state. Left out: capabilities
 * that no function here has (PCI-X, virtual channels, DPC, PTM, LTR …), retries.
 */
import { pci_read_config_dword, pci_read_config_word, pci_write_config_dword, pci_write_config_word } from "./access.ts";
import { pci_restore_ats_state, pci_restore_pasid_state, pci_restore_pri_state } from "./ats.ts";
import { pci_restore_msi_state } from "./msi.ts";
import type { PciDev } from "./pci-dev.ts";
import { pci_aer_clear_status } from "./pcie/aer-status.ts";
import * as regs from "./pci-regs.ts";

/** Double words of a header. */
const HEADER_DWORDS = 16;
const EXPRESS_WORDS = [regs.PCI_EXP_DEVCTL, regs.PCI_EXP_LNKCTL, regs.PCI_EXP_RTCTL, regs.PCI_EXP_DEVCTL2];
const AER_DWORDS = [regs.PCI_ERR_UNCOR_MASK, regs.PCI_ERR_UNCOR_SEVER, regs.PCI_ERR_COR_MASK, regs.PCI_ERR_CAP];

/** What {@link pci_save_state} keeps. */
export interface PciSavedState {
  readonly header: readonly number[];
  readonly express: readonly number[];
  readonly aer: readonly number[];
}

/** The root port alone has a command register for errors, and root control. */
function aerDwords(pdev: PciDev): readonly number[] {
  if (pdev.aer_cap === 0) return [];
  return pdev.pcie_type === regs.PCI_EXP_TYPE_ROOT_PORT ? [...AER_DWORDS, regs.PCI_ERR_ROOT_COMMAND] : AER_DWORDS;
}

function expressWords(pdev: PciDev): readonly number[] {
  if (pdev.pcie_cap === 0) return [];
  return EXPRESS_WORDS.filter((word) => word !== regs.PCI_EXP_RTCTL || pdev.pcie_type === regs.PCI_EXP_TYPE_ROOT_PORT);
}

export function pci_save_state(pdev: PciDev): void {
  pdev.saved_config_space = {
    header: Array.from({ length: HEADER_DWORDS }, (_, index) => pci_read_config_dword(pdev, 4 * index)),
    express: expressWords(pdev).map((word) => pci_read_config_word(pdev, pdev.pcie_cap + word)),
    aer: aerDwords(pdev).map((dword) => pci_read_config_dword(pdev, pdev.aer_cap + dword)),
  };
  pdev.state_saved = true;
}

/** Puts back what was saved last, if anything was; errors that are on record are forgotten. */
export function pci_restore_state(pdev: PciDev): void {
  const { saved_config_space: saved } = pdev;
  if (saved === null) return;
  for (const [index, word] of expressWords(pdev).entries()) pci_write_config_word(pdev, pdev.pcie_cap + word, saved.express[index]!);
  pci_restore_pasid_state(pdev);
  pci_restore_pri_state(pdev);
  pci_restore_ats_state(pdev);
  pci_aer_clear_status(pdev);
  for (const [index, dword] of aerDwords(pdev).entries()) pci_write_config_dword(pdev, pdev.aer_cap + dword, saved.aer[index]!);
  // COMMAND comes after what it enables (pci_restore_config_space).
  for (let i = HEADER_DWORDS - 1; i >= 0; i--) {
    if (pci_read_config_dword(pdev, 4 * i) !== saved.header[i]) pci_write_config_dword(pdev, 4 * i, saved.header[i]!);
  }
  pci_restore_msi_state(pdev);
  pdev.state_saved = false;
}
