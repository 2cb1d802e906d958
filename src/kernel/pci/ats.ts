// SPDX-License-Identifier: GPL-2.0-only
/**
 * The three extended capabilities by which a function takes part in address translation: ATS, PRI and PASID.
 *
 * After Linux 7.1 drivers/pci/ats.c: pci_ats_init … pci_max_pasids; drivers/pci/probe.c: pci_configure_eetlp_prefix. Left out:
 * virtual functions, the check that ACS of every port above keeps requests with PASIDs
 * from other functions.
 */
import { EBUSY, EINVAL } from "../errno.ts";
import {
  pci_find_ext_capability,
  pci_read_config_dword,
  pci_read_config_word,
  pci_write_config_dword,
  pci_write_config_word,
} from "./access.ts";
import type { PciDev } from "./pci-dev.ts";
import * as regs from "./pci-regs.ts";

/** Linux's `WARN_ON(condition)`. */
function warn_on(pdev: PciDev, condition: boolean, what: string): boolean {
  if (condition) pdev.kernel.warn(what, pdev);
  return condition;
}

/** How many end-end TLP prefixes get from here to the root complex: every bridge on the way has to know them. */
export function pci_configure_eetlp_prefix(pdev: PciDev): void {
  if (pdev.pcie_version < 2) return;
  const capabilities = pci_read_config_dword(pdev, pdev.pcie_cap + regs.PCI_EXP_DEVCAP2);
  if ((capabilities & regs.PCI_EXP_DEVCAP2_EE_PREFIX) === 0) return;
  const at_root = pdev.pcie_type === regs.PCI_EXP_TYPE_ROOT_PORT || pdev.pcie_type === regs.PCI_EXP_TYPE_RC_END;
  if (!at_root && (pdev.pciBus.self?.eetlp_prefix_max ?? 0) === 0) return;
  pdev.eetlp_prefix_max = (capabilities & regs.PCI_EXP_DEVCAP2_EE_PREFIX_MAX) >>> 22 || 4;
}

export function pci_ats_init(pdev: PciDev): void {
  if (pdev.kernel.params.configPciAts === false) return;
  pdev.ats_cap = pci_find_ext_capability(pdev, regs.PCI_EXT_CAP_ID_ATS);
}

/** Whether the function may be allowed ATS. */
export function pci_ats_supported(pdev: PciDev): boolean {
  return pdev.ats_cap !== 0 && !pdev.untrusted;
}

/** Sets the smallest translation unit, with ATS off. @param ps log2 of it. @returns 0, -EINVAL or -EBUSY */
export function pci_prepare_ats(pdev: PciDev, ps: number): number {
  return set_ats(pdev, ps, false);
}

/** Lets the function ask for translations and cache them. @param ps log2 of the smallest translation unit. @returns 0, -EINVAL or -EBUSY */
export function pci_enable_ats(pdev: PciDev, ps: number): number {
  const error = set_ats(pdev, ps, true);
  if (error === 0) pdev.ats_enabled = true;
  return error;
}

function set_ats(pdev: PciDev, ps: number, enable: boolean): number {
  if (!pci_ats_supported(pdev)) return -EINVAL;
  if (warn_on(pdev, pdev.ats_enabled, "ATS is enabled already")) return -EBUSY;
  if (ps < regs.PCI_ATS_MIN_STU) return -EINVAL;
  pdev.ats_stu = ps;
  const stu = (ps - regs.PCI_ATS_MIN_STU) & regs.PCI_ATS_CTRL_STU;
  pci_write_config_word(pdev, pdev.ats_cap + regs.PCI_ATS_CTRL, stu | (enable ? regs.PCI_ATS_CTRL_ENABLE : 0));
  return 0;
}

/** What a reset has taken, if it was enabled. */
export function pci_restore_ats_state(pdev: PciDev): void {
  if (!pdev.ats_enabled) return;
  const stu = (pdev.ats_stu - regs.PCI_ATS_MIN_STU) & regs.PCI_ATS_CTRL_STU;
  pci_write_config_word(pdev, pdev.ats_cap + regs.PCI_ATS_CTRL, stu | regs.PCI_ATS_CTRL_ENABLE);
}

/** The function uses no translations of its own any more, and forgets those that it has. */
export function pci_disable_ats(pdev: PciDev): void {
  if (warn_on(pdev, !pdev.ats_enabled, "ATS is not enabled")) return;
  clear_enable(pdev, pdev.ats_cap + regs.PCI_ATS_CTRL, regs.PCI_ATS_CTRL_ENABLE);
  pdev.ats_enabled = false;
}

function clear_enable(pdev: PciDev, where: number, bit: number): void {
  pci_write_config_word(pdev, where, pci_read_config_word(pdev, where) & ~bit);
}

export function pci_pri_init(pdev: PciDev): void {
  pdev.pri_cap = pci_find_ext_capability(pdev, regs.PCI_EXT_CAP_ID_PRI);
  if (pdev.pri_cap === 0) return;
  pdev.pasid_required = (pci_read_config_word(pdev, pdev.pri_cap + regs.PCI_PRI_STATUS) & regs.PCI_PRI_STATUS_PASID) !== 0;
}

/**
 * Lets the function ask for pages.
 * @param reqs how many requests it may have outstanding, at most as many as it can
 * @returns 0; -EINVAL: it has no PRI; -EBUSY: enabled already, or requests of earlier are not over
 */
export function pci_enable_pri(pdev: PciDev, reqs: number): number {
  if (warn_on(pdev, pdev.pri_enabled, "PRI is enabled already")) return -EBUSY;
  if (pdev.pri_cap === 0) return -EINVAL;
  if ((pci_read_config_word(pdev, pdev.pri_cap + regs.PCI_PRI_STATUS) & regs.PCI_PRI_STATUS_STOPPED) === 0) return -EBUSY;
  pdev.pri_reqs_alloc = Math.min(reqs, pci_read_config_dword(pdev, pdev.pri_cap + regs.PCI_PRI_MAX_REQ));
  pci_write_config_dword(pdev, pdev.pri_cap + regs.PCI_PRI_ALLOC_REQ, pdev.pri_reqs_alloc);
  pci_write_config_word(pdev, pdev.pri_cap + regs.PCI_PRI_CTRL, regs.PCI_PRI_CTRL_ENABLE);
  pdev.pri_enabled = true;
  return 0;
}

/** What a reset has taken, if it was enabled. */
export function pci_restore_pri_state(pdev: PciDev): void {
  if (!pdev.pri_enabled) return;
  pci_write_config_dword(pdev, pdev.pri_cap + regs.PCI_PRI_ALLOC_REQ, pdev.pri_reqs_alloc);
  pci_write_config_word(pdev, pdev.pri_cap + regs.PCI_PRI_CTRL, regs.PCI_PRI_CTRL_ENABLE);
}

export function pci_disable_pri(pdev: PciDev): void {
  if (warn_on(pdev, !pdev.pri_enabled, "PRI is not enabled")) return;
  clear_enable(pdev, pdev.pri_cap + regs.PCI_PRI_CTRL, regs.PCI_PRI_CTRL_ENABLE);
  pdev.pri_enabled = false;
}

/** Forgets requests and errors of earlier. @returns 0, -EBUSY while PRI is enabled, -EINVAL without it */
export function pci_reset_pri(pdev: PciDev): number {
  if (warn_on(pdev, pdev.pri_enabled, "PRI is enabled")) return -EBUSY;
  if (pdev.pri_cap === 0) return -EINVAL;
  pci_write_config_word(pdev, pdev.pri_cap + regs.PCI_PRI_CTRL, regs.PCI_PRI_CTRL_RESET);
  return 0;
}

export function pci_pasid_init(pdev: PciDev): void {
  pdev.pasid_cap = pci_find_ext_capability(pdev, regs.PCI_EXT_CAP_ID_PASID);
}

/** Kinds of requests with PASIDs that the function knows: PCI_PASID_CAP_EXEC, PCI_PASID_CAP_PRIV. -EINVAL without PASIDs. */
export function pci_pasid_features(pdev: PciDev): number {
  if (pdev.pasid_cap === 0) return -EINVAL;
  return pci_read_config_word(pdev, pdev.pasid_cap + regs.PCI_PASID_CAP) & (regs.PCI_PASID_CAP_EXEC | regs.PCI_PASID_CAP_PRIV);
}

/** How many PASIDs the function knows; -EINVAL: none. */
export function pci_max_pasids(pdev: PciDev): number {
  if (pdev.pasid_cap === 0) return -EINVAL;
  return 2 ** ((pci_read_config_word(pdev, pdev.pasid_cap + regs.PCI_PASID_CAP) & regs.PCI_PASID_CAP_WIDTH) >>> 8);
}

/**
 * Lets the function put PASIDs on its requests.
 * @param features as {@link pci_pasid_features} gave them, or fewer
 * @returns 0; -EBUSY: enabled already; -EINVAL: not possible, or not these features
 */
export function pci_enable_pasid(pdev: PciDev, features: number): number {
  if (warn_on(pdev, pdev.pasid_enabled, "PASIDs are enabled already")) return -EBUSY;
  if (pdev.eetlp_prefix_max === 0) return -EINVAL;
  const supported = pci_pasid_features(pdev);
  if (supported < 0 || (supported & features) !== features) return -EINVAL;
  pdev.pasid_features = features;
  pci_write_config_word(pdev, pdev.pasid_cap + regs.PCI_PASID_CTRL, regs.PCI_PASID_CTRL_ENABLE | features);
  pdev.pasid_enabled = true;
  return 0;
}

/** What a reset has taken, if it was enabled. */
export function pci_restore_pasid_state(pdev: PciDev): void {
  if (!pdev.pasid_enabled) return;
  pci_write_config_word(pdev, pdev.pasid_cap + regs.PCI_PASID_CTRL, regs.PCI_PASID_CTRL_ENABLE | pdev.pasid_features);
}

export function pci_disable_pasid(pdev: PciDev): void {
  if (warn_on(pdev, !pdev.pasid_enabled, "PASIDs are not enabled")) return;
  pci_write_config_word(pdev, pdev.pasid_cap + regs.PCI_PASID_CTRL, 0);
  pdev.pasid_enabled = false;
}
