// SPDX-License-Identifier: GPL-2.0-only
/**
 * How errors stand in the log. After Linux 7.1 drivers/pci/pcie/aer.c: aer_print_error, aer_print_source and its tables;
 * drivers/pci/pcie/tlp.c: pcie_print_tlp_log. Left out: TLP prefixes and flit mode, CXL, tracepoints.
 */
import { type PciDev, pci_name } from "../pci-dev.ts";
import * as regs from "../pci-regs.ts";

export type AerSeverity = "correctable" | "non-fatal" | "fatal";

const SEVERITY: Readonly<Record<AerSeverity, string>> = {
  correctable: "Correctable",
  "non-fatal": "Uncorrectable (Non-Fatal)",
  fatal: "Uncorrectable (Fatal)",
};

/** By bit. */
const CORRECTABLE: Readonly<Record<number, string>> = {
  0: "RxErr",
  6: "BadTLP",
  7: "BadDLLP",
  8: "Rollover",
  12: "Timeout",
  13: "NonFatalErr",
  14: "CorrIntErr",
  15: "HeaderOF",
};
const UNCORRECTABLE: Readonly<Record<number, string>> = {
  0: "Undefined",
  4: "DLP",
  5: "SDES",
  12: "TLP",
  13: "FCP",
  14: "CmpltTO",
  15: "CmpltAbrt",
  16: "UnxCmplt",
  17: "RxOF",
  18: "MalfTLP",
  19: "ECRC",
  20: "UnsupReq",
  21: "ACSViol",
  22: "UncorrIntErr",
  23: "BlockedTLP",
  24: "AtomicOpBlocked",
  25: "TLPBlockedErr",
  26: "PoisonTLPBlocked",
  27: "DMWrReqBlocked",
  28: "IDECheck",
  29: "MisIDETLP",
  30: "PCRC_CHECK",
  31: "TLPXlatBlocked",
};

const COR_RCVR = 0x1;
const COR_DATA_LINK = 0x11c0;
const COR_TRANSMITTER = 0x1100;
const UNC_DLP = 0x10;
const UNC_REQUESTER = 0x0010_4000;

/** What one device's registers say of an error. */
export interface AerInfo {
  /** Requester id in the message. */
  readonly id: number;
  readonly severity: AerSeverity;
  readonly multi: boolean;
  status: number;
  mask: number;
  firstError: number;
  /** The four words of the header, if it was logged. */
  tlp: readonly number[] | null;
}

const hex8 = (value: number): string => value.toString(16).padStart(8, "0");
const hex4 = (value: number): string => value.toString(16).padStart(4, "0");

function layer({ severity, status }: AerInfo): string {
  if (severity !== "correctable") return (status & UNC_DLP) !== 0 ? "Data Link Layer" : "Transaction Layer";
  if ((status & COR_RCVR) !== 0) return "Physical Layer";
  return (status & COR_DATA_LINK) !== 0 ? "Data Link Layer" : "Transaction Layer";
}

function agent({ severity, status }: AerInfo): string {
  if (severity === "correctable") return (status & COR_TRANSMITTER) !== 0 ? "Transmitter ID" : "Receiver ID";
  if ((status & regs.PCI_ERR_UNC_COMP_ABORT) !== 0) return "Completer ID";
  return (status & UNC_REQUESTER) !== 0 ? "Requester ID" : "Receiver ID";
}

/** @param found a device has the error in its registers */
export function aer_print_source(root: PciDev, { id, severity, multi }: AerInfo, found: boolean): void {
  const text = `${multi ? "Multiple " : ""}${SEVERITY[severity]} error message received from ${pci_name(id >> 8, id & 0xff)}`;
  root.kernel.printk.dev_info(root, `AER: ${text}${found ? "" : " (no details found"}`);
}

export function aer_print_error(pdev: PciDev, info: AerInfo): void {
  const { printk } = pdev.kernel;
  const { severity, status, mask } = info;
  const say = (text: string): void => (severity === "correctable" ? printk.dev_warn(pdev, text) : printk.dev_err(pdev, text));
  if (status === 0) {
    printk.dev_err(pdev, `AER: PCIe Bus Error: severity=${SEVERITY[severity]}, type=Inaccessible, (Unregistered Agent ID)`);
    return;
  }
  say(`PCIe Bus Error: severity=${SEVERITY[severity]}, type=${layer(info)}, (${agent(info)})`);
  say(`  device [${hex4(pdev.vendor)}:${hex4(pdev.device)}] error status/mask=${hex8(status)}/${hex8(mask)}`);
  const names = severity === "correctable" ? CORRECTABLE : UNCORRECTABLE;
  for (let bit = 0; bit < 32; bit++) {
    if ((((status & ~mask) >>> bit) & 1) === 0) continue;
    const first = bit === info.firstError ? " (First)" : "";
    say(`   [${String(bit).padStart(2)}] ${(names[bit] ?? "Unknown Error Bit").padEnd(22)}${first}`);
  }
  if (info.tlp) say(`AER:   TLP Header: ${info.tlp.map((word) => `0x${hex8(word)}`).join(" ")}`);
}
