// SPDX-License-Identifier: GPL-2.0-only
/**
 * PCI configuration space: register offsets, bits and capability ids.
 *
 * Names are those of Linux 7.1 include/uapi/linux/pci_regs.h; values are the PCI Local Bus and PCI Express specifications' own.
 * Only what the PCI core and its drivers use.
 */

/** Type 0 and type 1 header, offsets in bytes. */
export const PCI_VENDOR_ID = 0x00;
export const PCI_COMMAND = 0x04;
export const PCI_STATUS = 0x06;
export const PCI_CLASS_REVISION = 0x08;
export const PCI_HEADER_TYPE = 0x0e;
export const PCI_BASE_ADDRESS_0 = 0x10;
export const PCI_CAPABILITY_LIST = 0x34;

/** Type 1 header only. */
export const PCI_PRIMARY_BUS = 0x18;
export const PCI_MEMORY_BASE = 0x20;
export const PCI_PREF_MEMORY_BASE = 0x24;
export const PCI_PREF_BASE_UPPER32 = 0x28;
export const PCI_PREF_LIMIT_UPPER32 = 0x2c;

export const PCI_COMMAND_IO = 0x1;
export const PCI_COMMAND_MEMORY = 0x2;
/** Bus Master Enable: the function may issue memory requests, MSIs included. */
export const PCI_COMMAND_MASTER = 0x4;
export const PCI_COMMAND_INTX_DISABLE = 0x400;

export const PCI_STATUS_CAP_LIST = 0x10;

export const PCI_HEADER_TYPE_MASK = 0x7f;
export const PCI_HEADER_TYPE_BRIDGE = 1;
/** More functions than function 0. */
export const PCI_HEADER_TYPE_MFD = 0x80;

export const PCI_BASE_ADDRESS_SPACE_IO = 0x1;
export const PCI_BASE_ADDRESS_MEM_TYPE_MASK = 0x6;
export const PCI_BASE_ADDRESS_MEM_TYPE_64 = 0x4;
export const PCI_BASE_ADDRESS_MEM_PREFETCH = 0x8;
/** Type 0 headers have six base address registers, type 1 headers two. */
export const PCI_STD_NUM_BARS = 6;
export const PCI_BRIDGE_NUM_BARS = 2;

/** Type 1 header: holds what is below in reset. */
export const PCI_BRIDGE_CONTROL = 0x3e;
export const PCI_BRIDGE_CTL_SERR = 0x2;
export const PCI_BRIDGE_CTL_BUS_RESET = 0x40;

/** Capability ids. */
export const PCI_CAP_ID_PM = 0x01;
export const PCI_CAP_ID_EXP = 0x10;
export const PCI_CAP_ID_MSIX = 0x11;

/** Power management capability: control and status register and its state field. */
export const PCI_PM_CTRL = 4;
export const PCI_PM_CTRL_STATE_MASK = 0x3;

/** MSI-X capability. */
export const PCI_MSIX_FLAGS = 2;
export const PCI_MSIX_FLAGS_QSIZE = 0x07ff;
export const PCI_MSIX_FLAGS_MASKALL = 0x4000;
export const PCI_MSIX_FLAGS_ENABLE = 0x8000;
export const PCI_MSIX_TABLE = 4;
export const PCI_MSIX_TABLE_BIR = 0x7;
export const PCI_MSIX_TABLE_OFFSET = 0xfffffff8;

/** One entry of the MSI-X table, which lies in a BAR. */
export const PCI_MSIX_ENTRY_SIZE = 16;
export const PCI_MSIX_ENTRY_LOWER_ADDR = 0x0;
export const PCI_MSIX_ENTRY_UPPER_ADDR = 0x4;
export const PCI_MSIX_ENTRY_DATA = 0x8;
export const PCI_MSIX_ENTRY_VECTOR_CTRL = 0xc;
export const PCI_MSIX_ENTRY_CTRL_MASKBIT = 0x1;

/** PCI Express capability. */
export const PCI_EXP_FLAGS = 2;
export const PCI_EXP_FLAGS_VERS = 0x000f;
export const PCI_EXP_FLAGS_TYPE = 0x00f0;
export const PCI_EXP_DEVCTL = 0x08;
/** Correctable, non-fatal and fatal errors and unsupported requests are reported. */
export const PCI_EXP_AER_FLAGS = 0x000f;
export const PCI_EXP_DEVSTA = 0x0a;
export const PCI_EXP_DEVSTA_ERRORS = 0x000f;
export const PCI_EXP_LNKCTL = 0x10;
export const PCI_EXP_RTCTL = 0x1c;
export const PCI_EXP_DEVCTL2 = 0x28;
export const PCI_EXP_TYPE_ROOT_PORT = 0x4;
export const PCI_EXP_TYPE_UPSTREAM = 0x5;
export const PCI_EXP_TYPE_DOWNSTREAM = 0x6;
/** From PCI Express to PCI, and the other way round. */
export const PCI_EXP_TYPE_PCI_BRIDGE = 0x7;
export const PCI_EXP_TYPE_PCIE_BRIDGE = 0x8;

/** From version 2 of the capability on. */
export const PCI_EXP_DEVCAP2 = 0x24;
/** The function handles end-end TLP prefixes, such as PASIDs, and how many; 0 stands for 4. */
export const PCI_EXP_DEVCAP2_EE_PREFIX = 0x0020_0000;
export const PCI_EXP_DEVCAP2_EE_PREFIX_MAX = 0x00c0_0000;
export const PCI_EXP_TYPE_RC_END = 0x9;

/** Extended configuration space begins here, with a list of its own. */
export const PCI_CFG_SPACE_SIZE = 0x100;
export const PCI_CFG_SPACE_EXP_SIZE = 0x1000;
/** Header: id in bits 15:0, version in 19:16, next in 31:20. */
export const PCI_EXT_CAP_ID_ATS = 0x0f;
export const PCI_EXT_CAP_ID_PRI = 0x13;
export const PCI_EXT_CAP_ID_PASID = 0x1b;

/** Advanced error reporting. */
export const PCI_EXT_CAP_ID_ERR = 0x01;
export const PCI_ERR_UNCOR_STATUS = 0x04;
export const PCI_ERR_UNCOR_MASK = 0x08;
export const PCI_ERR_UNCOR_SEVER = 0x0c;
export const PCI_ERR_COR_STATUS = 0x10;
export const PCI_ERR_COR_MASK = 0x14;
export const PCI_ERR_CAP = 0x18;
export const PCI_ERR_CAP_FEP = 0x1f;
export const PCI_ERR_HEADER_LOG = 0x1c;
export const PCI_ERR_ROOT_COMMAND = 0x2c;
export const PCI_ERR_ROOT_STATUS = 0x30;
export const PCI_ERR_ROOT_COR_RCV = 0x01;
export const PCI_ERR_ROOT_MULTI_COR_RCV = 0x02;
export const PCI_ERR_ROOT_UNCOR_RCV = 0x04;
export const PCI_ERR_ROOT_MULTI_UNCOR_RCV = 0x08;
export const PCI_ERR_ROOT_FATAL_RCV = 0x40;
/** Interrupt message number. */
export const PCI_ERR_ROOT_AER_IRQ = 0xf800_0000;
export const PCI_ERR_ROOT_ERR_SRC = 0x34;
export const PCI_ERR_UNC_COMP_ABORT = 0x0000_8000;
/** Errors for which a header is always logged: poisoned, ECRC, unsupported, completer abort, unexpected completion, … */
export const PCI_ERR_UNC_TLP_LOGGED = 0xffbd_9000;

/** Address translation services. */
export const PCI_ATS_CTRL = 0x06;
export const PCI_ATS_CTRL_ENABLE = 0x8000;
/** Smallest translation unit, as a shift beyond {@link PCI_ATS_MIN_STU}. */
export const PCI_ATS_CTRL_STU = 0x001f;
export const PCI_ATS_MIN_STU = 12;

/** Page request interface. */
export const PCI_PRI_CTRL = 0x04;
export const PCI_PRI_CTRL_ENABLE = 0x0001;
export const PCI_PRI_CTRL_RESET = 0x0002;
export const PCI_PRI_STATUS = 0x06;
export const PCI_PRI_STATUS_STOPPED = 0x0100;
/** Responses carry the PASID of the request. */
export const PCI_PRI_STATUS_PASID = 0x8000;
export const PCI_PRI_MAX_REQ = 0x08;
export const PCI_PRI_ALLOC_REQ = 0x0c;

/** Process address space ids. */
export const PCI_PASID_CAP = 0x04;
export const PCI_PASID_CAP_EXEC = 0x0002;
export const PCI_PASID_CAP_PRIV = 0x0004;
/** Bits of a PASID. */
export const PCI_PASID_CAP_WIDTH = 0x1f00;
export const PCI_PASID_CTRL = 0x06;
export const PCI_PASID_CTRL_ENABLE = 0x0001;

/** Class code of a PCI-to-PCI bridge, base class and subclass. */
export const PCI_CLASS_BRIDGE_PCI = 0x0604;

/** What reads back from a function that is not there. */
export const PCI_NO_FUNCTION = 0xffffffff;
