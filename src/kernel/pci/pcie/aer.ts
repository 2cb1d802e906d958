// SPDX-License-Identifier: GPL-2.0-only
/**
 * Advanced error reporting: a root port's interrupt says that somebody below, or the port itself, has found an error; who that was
 * is looked up, logged, and recovered from. When a kernel begins, it clears what the one before has left behind.
 *
 * After Linux 7.1 drivers/pci/pcie/aer.c. Native error reporting, as with a device tree. Left out: firmware that handles errors first
 * (APEI), root complex event collectors, ECRC, CXL, statistics, injected errors, suspend, rate limits other than the default.
 */
import type { Coroutine } from "../../../sim/index.ts";
import { devm_request_threaded_irq } from "../../irq/manage.ts";
import { IRQ_HANDLED, IRQ_NONE, IRQ_WAKE_THREAD, type IrqReturn } from "../../irq/irq.ts";
import {
  pci_find_ext_capability,
  pci_read_config_dword,
  pci_read_config_word,
  pci_write_config_dword,
  pci_write_config_word,
} from "../access.ts";
import { pci_walk_bus, pcie_find_root_port } from "../bus.ts";
import type { PciDev } from "../pci-dev.ts";
import * as regs from "../pci-regs.ts";
import { Ratelimit } from "../../ratelimit.ts";
import { type AerInfo, aer_print_error, aer_print_source, type AerSeverity } from "./aer-print.ts";
import { aer_clear, pci_aer_clear_nonfatal_status, pci_aer_clear_status, pcie_clear_device_status } from "./aer-status.ts";
import { pci_bus_error_reset, pcie_do_recovery } from "./err.ts";
import { PCI_ERS_RESULT, type PciErsResult } from "./ers.ts";
import { type PcieDevice, PCIE_PORT_SERVICE_AER, type PciePortServiceDriver } from "./port-bus.ts";

const AER_ERROR_SOURCES_MAX = 128;
/** Devices of one error that can be told apart. */
const AER_MAX_MULTI_ERR_DEVICES = 5;

const AER_ERR_STATUS_MASK =
  regs.PCI_ERR_ROOT_UNCOR_RCV | regs.PCI_ERR_ROOT_COR_RCV | regs.PCI_ERR_ROOT_MULTI_COR_RCV | regs.PCI_ERR_ROOT_MULTI_UNCOR_RCV;
const ROOT_PORT_INTR_ON_MESG_MASK = 0x7;
const SYSTEM_ERROR_INTR_ON_MESG_MASK = 0x7;

function change(pdev: PciDev, where: number, off: number, on: number): void {
  pci_write_config_word(pdev, where, (pci_read_config_word(pdev, where) & ~off) | on);
}

/** Of every function that is found: its errors are cleared, and from now on reported. */
export function pci_aer_init(pdev: PciDev): void {
  pdev.aer_cap = pci_find_ext_capability(pdev, regs.PCI_EXT_CAP_ID_ERR);
  if (pdev.aer_cap === 0) return;
  pci_aer_clear_status(pdev);
  change(pdev, pdev.pcie_cap + regs.PCI_EXP_DEVCTL, 0, regs.PCI_EXP_AER_FLAGS);
}

interface ErrSource {
  readonly status: number;
  readonly id: number;
}

/** What the service keeps for one root port (`struct aer_rpc`). */
class RootPortErrors {
  readonly root: PciDev;
  readonly fifo: ErrSource[] = [];
  readonly #limits = new Map<string, Ratelimit>();

  constructor(root: PciDev) {
    this.root = root;
  }

  /** The limit is each device's own. */
  mayPrint(pdev: PciDev, severity: AerSeverity): boolean {
    if (severity === "fatal") return true;
    const key = `${pdev.name} ${severity}`;
    let limit = this.#limits.get(key);
    if (!limit) this.#limits.set(key, (limit = new Ratelimit(pdev.kernel, "aer_ratelimit")));
    return limit.allows();
  }
}

/** The hard handler: takes the source out of the registers, so that the next one has room. */
function aer_irq({ root, fifo }: RootPortErrors): IrqReturn {
  const status = pci_read_config_dword(root, root.aer_cap + regs.PCI_ERR_ROOT_STATUS);
  if ((status & AER_ERR_STATUS_MASK) === 0) return IRQ_NONE;
  const id = pci_read_config_dword(root, root.aer_cap + regs.PCI_ERR_ROOT_ERR_SRC);
  pci_write_config_dword(root, root.aer_cap + regs.PCI_ERR_ROOT_STATUS, status);
  if (fifo.length >= AER_ERROR_SOURCES_MAX) return IRQ_HANDLED;
  fifo.push({ status, id });
  return IRQ_WAKE_THREAD;
}

function* aer_isr(errors: RootPortErrors): Coroutine<IrqReturn> {
  if (errors.fifo.length === 0) return IRQ_NONE;
  for (let source = errors.fifo.shift(); source; source = errors.fifo.shift()) yield* aer_isr_one_error(errors, source);
  return IRQ_HANDLED;
}

/** Correctable first. */
function* aer_isr_one_error(errors: RootPortErrors, { status, id }: ErrSource): Coroutine<void> {
  const info = (severity: AerSeverity, source: number, multi: number): AerInfo => ({
    id: source,
    severity,
    multi: (status & multi) !== 0,
    status: 0,
    mask: 0,
    // Correctable errors have no pointer: bit 0 passes for the first.
    firstError: 0,
    tlp: null,
  });
  if ((status & regs.PCI_ERR_ROOT_COR_RCV) !== 0) {
    yield* aer_isr_one_error_type(errors, info("correctable", id & 0xffff, regs.PCI_ERR_ROOT_MULTI_COR_RCV));
  }
  if ((status & regs.PCI_ERR_ROOT_UNCOR_RCV) !== 0) {
    const severity = (status & regs.PCI_ERR_ROOT_FATAL_RCV) !== 0 ? "fatal" : "non-fatal";
    yield* aer_isr_one_error_type(errors, info(severity, id >>> 16, regs.PCI_ERR_ROOT_MULTI_UNCOR_RCV));
  }
}

function* aer_isr_one_error_type(errors: RootPortErrors, info: AerInfo): Coroutine<void> {
  const { root } = errors;
  const devices = find_source_device(root, info);
  const printed = devices.filter((pdev) => errors.mayPrint(pdev, info.severity));
  const found = devices.length > 0;
  if (printed.length > 0 || (!found && errors.mayPrint(root, info.severity))) aer_print_source(root, info, found);
  // All are logged before any is handled: a reset loses what is in the registers.
  for (const pdev of devices) {
    if (!aer_get_device_error_info(pdev, info) || !printed.includes(pdev)) continue;
    aer_print_error(pdev, info);
    if (info.id !== 0 && devices.length > 1 && info.id === pdev.requesterId)
      pdev.kernel.printk.dev_err(pdev, "AER:   Error of this Agent is reported first");
  }
  for (const pdev of devices) if (aer_get_device_error_info(pdev, info)) yield* pci_aer_handle_error(pdev, info);
}

function statusOf(pdev: PciDev, { severity }: AerInfo): { readonly status: number; readonly mask: number } {
  const correctable = severity === "correctable";
  const read = (offset: number): number => pci_read_config_dword(pdev, pdev.aer_cap + offset);
  return {
    status: read(correctable ? regs.PCI_ERR_COR_STATUS : regs.PCI_ERR_UNCOR_STATUS),
    mask: read(correctable ? regs.PCI_ERR_COR_MASK : regs.PCI_ERR_UNCOR_MASK),
  };
}

/** A source on bus 0 may be a root port's mistake: there, and after several errors, the registers say who it was. */
function is_error_source(pdev: PciDev, info: AerInfo): boolean {
  if (info.id >> 8 !== 0) {
    if (info.id === pdev.requesterId) return true;
    if (!info.multi) return false;
  }
  if (pdev.pcie_cap === 0 || pdev.aer_cap === 0) return false;
  if ((pci_read_config_word(pdev, pdev.pcie_cap + regs.PCI_EXP_DEVCTL) & regs.PCI_EXP_AER_FLAGS) === 0) return false;
  const { status, mask } = statusOf(pdev, info);
  return (status & ~mask) !== 0;
}

/** The root port itself, or functions below it; one, unless there were several errors. */
function find_source_device(root: PciDev, info: AerInfo): PciDev[] {
  const found: PciDev[] = [];
  for (const pdev of [root, ...(root.subordinate ? pci_walk_bus(root.subordinate) : [])]) {
    if (!is_error_source(pdev, info)) continue;
    if (found.length === AER_MAX_MULTI_ERR_DEVICES) {
      pdev.kernel.printk.dev_err(pdev, `AER: Exceeded max supported (${AER_MAX_MULTI_ERR_DEVICES}) devices with errors logged`);
      break;
    }
    found.push(pdev);
    if (!info.multi) break;
  }
  return found;
}

/** @returns false if the device has no such error */
function aer_get_device_error_info(pdev: PciDev, info: AerInfo): boolean {
  info.status = 0;
  info.tlp = null;
  if (pdev.aer_cap === 0) return false;
  const isPort = pdev.pcie_type === regs.PCI_EXP_TYPE_ROOT_PORT || pdev.pcie_type === regs.PCI_EXP_TYPE_DOWNSTREAM;
  // Behind a link that has failed nothing can be read.
  if (info.severity === "fatal" && !isPort) return true;
  const { status, mask } = statusOf(pdev, info);
  info.status = status;
  info.mask = mask;
  if ((status & ~mask) === 0) return false;
  if (info.severity === "correctable") return true;
  const control = pci_read_config_dword(pdev, pdev.aer_cap + regs.PCI_ERR_CAP);
  info.firstError = control & regs.PCI_ERR_CAP_FEP;
  if ((status & regs.PCI_ERR_UNC_TLP_LOGGED) !== 0) {
    info.tlp = [0, 4, 8, 12].map((word) => pci_read_config_dword(pdev, pdev.aer_cap + regs.PCI_ERR_HEADER_LOG + word));
  }
  return true;
}

/** A correctable error is cleared, another recovered from. */
function* pci_aer_handle_error(pdev: PciDev, { severity, status }: AerInfo): Coroutine<void> {
  if (severity !== "correctable") {
    yield* pcie_do_recovery(pdev, severity === "fatal" ? "frozen" : "normal", aer_root_reset, (source) => {
      pcie_clear_device_status(source);
      pci_aer_clear_nonfatal_status(source);
    });
    return;
  }
  if (pdev.aer_cap !== 0) pci_write_config_dword(pdev, pdev.aer_cap + regs.PCI_ERR_COR_STATUS, status);
  const told = pdev.pci_driver?.err_handler?.cor_error_detected?.(pdev);
  if (told) yield* told;
  pcie_clear_device_status(pdev);
}

function aer_enable_irq(root: PciDev): void {
  change(root, root.aer_cap + regs.PCI_ERR_ROOT_COMMAND, 0, ROOT_PORT_INTR_ON_MESG_MASK);
}

function aer_disable_irq(root: PciDev): void {
  change(root, root.aer_cap + regs.PCI_ERR_ROOT_COMMAND, ROOT_PORT_INTR_ON_MESG_MASK, 0);
}

function* aer_root_reset(bridge: PciDev): Coroutine<PciErsResult> {
  const root = pcie_find_root_port(bridge);
  const reporting = root !== null && root.aer_cap !== 0 ? root : null;
  if (reporting) aer_disable_irq(reporting);
  const error = yield* pci_bus_error_reset(bridge);
  bridge.kernel.printk.dev_info(bridge, `AER: ${bridge.pciBus.self === null ? "Root" : "Downstream"} Port link has been reset (${error})`);
  if (reporting) {
    aer_clear(reporting, regs.PCI_ERR_ROOT_STATUS);
    aer_enable_irq(reporting);
  }
  return error === 0 ? PCI_ERS_RESULT.RECOVERED : PCI_ERS_RESULT.DISCONNECT;
}

function aer_enable_rootport(root: PciDev): void {
  const devsta = root.pcie_cap + regs.PCI_EXP_DEVSTA;
  pci_write_config_word(root, devsta, pci_read_config_word(root, devsta));
  change(root, root.pcie_cap + regs.PCI_EXP_RTCTL, SYSTEM_ERROR_INTR_ON_MESG_MASK, 0);
  const status = aer_clear(root, regs.PCI_ERR_ROOT_STATUS);
  if ((status & AER_ERR_STATUS_MASK) !== 0 && root.subordinate) {
    for (const below of pci_walk_bus(root.subordinate)) {
      if (below.pcie_cap === 0) continue;
      if ((pci_read_config_word(below, below.pcie_cap + regs.PCI_EXP_DEVCTL) & regs.PCI_EXP_AER_FLAGS) === 0) continue;
      pci_aer_clear_status(below);
      pcie_clear_device_status(below);
    }
  }
  aer_clear(root, regs.PCI_ERR_COR_STATUS);
  aer_clear(root, regs.PCI_ERR_UNCOR_STATUS);
  aer_enable_irq(root);
}

function* aer_probe(dev: PcieDevice): Coroutine<number> {
  const errors = new RootPortErrors(dev.port);
  const ret = devm_request_threaded_irq(dev, dev.irq, () => aer_irq(errors), { name: "aerdrv", thread: () => aer_isr(errors) });
  if (ret !== 0) {
    dev.kernel.printk.dev_err(dev.port, `AER: request AER IRQ ${dev.irq} failed`);
    return ret;
  }
  aer_enable_rootport(dev.port);
  dev.kernel.printk.dev_info(dev.port, `AER: enabled with IRQ ${dev.irq}`);
  return 0;
}

function* aer_remove({ port }: PcieDevice): Coroutine<void> {
  aer_disable_irq(port);
  aer_clear(port, regs.PCI_ERR_ROOT_STATUS);
}

export const aerdriver: PciePortServiceDriver = { name: "aer", service: PCIE_PORT_SERVICE_AER, probe: aer_probe, remove: aer_remove };
