// SPDX-License-Identifier: GPL-2.0-only
/** The kernel's PCI header and the hardware's tables were written apart; here they check each other. */
import { expect, test } from "vitest";
import { BRIDGE, CAPABILITY, COMMAND, CONFIG, EXPRESS, MSIX, PM, STATUS_CAPABILITIES } from "../../../src/hw/pci/spec.ts";
import * as regs from "../../../src/kernel/pci/pci-regs.ts";

test.each([
  ["VENDOR_ID", regs.PCI_VENDOR_ID, CONFIG.VENDOR_ID],
  ["COMMAND", regs.PCI_COMMAND, CONFIG.COMMAND],
  ["STATUS", regs.PCI_STATUS, CONFIG.STATUS],
  ["CLASS_REVISION", regs.PCI_CLASS_REVISION, CONFIG.REVISION_ID],
  ["HEADER_TYPE", regs.PCI_HEADER_TYPE, CONFIG.HEADER_TYPE],
  ["BASE_ADDRESS_0", regs.PCI_BASE_ADDRESS_0, CONFIG.BAR0],
  ["CAPABILITY_LIST", regs.PCI_CAPABILITY_LIST, CONFIG.CAPABILITIES_POINTER],
  ["PRIMARY_BUS", regs.PCI_PRIMARY_BUS, BRIDGE.PRIMARY_BUS],
  ["MEMORY_BASE", regs.PCI_MEMORY_BASE, BRIDGE.MEMORY_BASE],
  ["PREF_MEMORY_BASE", regs.PCI_PREF_MEMORY_BASE, BRIDGE.PREFETCHABLE_BASE],
  ["PREF_BASE_UPPER32", regs.PCI_PREF_BASE_UPPER32, BRIDGE.PREFETCHABLE_BASE_UPPER],
  ["PREF_LIMIT_UPPER32", regs.PCI_PREF_LIMIT_UPPER32, BRIDGE.PREFETCHABLE_LIMIT_UPPER],
  ["PM_CTRL", regs.PCI_PM_CTRL, PM.PMCSR],
  ["MSIX_FLAGS", regs.PCI_MSIX_FLAGS, MSIX.CONTROL],
  ["MSIX_TABLE", regs.PCI_MSIX_TABLE, MSIX.TABLE],
  ["EXP_FLAGS", regs.PCI_EXP_FLAGS, EXPRESS.FLAGS],
])("%s has one offset", (_name, own, modelled) => {
  expect(own).toBe(modelled);
});

test.each([
  ["COMMAND.MEM", regs.PCI_COMMAND_MEMORY, COMMAND.MEM],
  ["COMMAND.BME", regs.PCI_COMMAND_MASTER, COMMAND.BME],
  ["COMMAND.INTX_DISABLE", regs.PCI_COMMAND_INTX_DISABLE, COMMAND.INTX_DISABLE],
  ["STATUS.CAP_LIST", regs.PCI_STATUS_CAP_LIST, STATUS_CAPABILITIES],
  ["capability PM", regs.PCI_CAP_ID_PM, CAPABILITY.POWER_MANAGEMENT],
  ["capability Express", regs.PCI_CAP_ID_EXP, CAPABILITY.PCI_EXPRESS],
  ["capability MSI-X", regs.PCI_CAP_ID_MSIX, CAPABILITY.MSI_X],
  ["PMCSR.PowerState", regs.PCI_PM_CTRL_STATE_MASK, PM.STATE],
  ["MSI-X enable", regs.PCI_MSIX_FLAGS_ENABLE, MSIX.ENABLE],
  ["MSI-X function mask", regs.PCI_MSIX_FLAGS_MASKALL, MSIX.FUNCTION_MASK],
  ["port type root port", regs.PCI_EXP_TYPE_ROOT_PORT, EXPRESS.TYPE_ROOT_PORT],
])("%s has one value", (_name, own, modelled) => {
  expect(own).toBe(modelled);
});
