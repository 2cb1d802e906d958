// SPDX-License-Identifier: MIT
/** Configuration space as tables: offsets and bits of the PCI and PCI Express specifications. Facts only. */

/** Registers of both header types. */
export const CONFIG = {
  VENDOR_ID: 0x00,
  DEVICE_ID: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  REVISION_ID: 0x08,
  CLASS_CODE: 0x09,
  CACHE_LINE_SIZE: 0x0c,
  LATENCY_TIMER: 0x0d,
  HEADER_TYPE: 0x0e,
  BAR0: 0x10,
  SUBSYSTEM_VENDOR_ID: 0x2c,
  SUBSYSTEM_ID: 0x2e,
  CAPABILITIES_POINTER: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
} as const;

/** Registers of a type 1 header (a bridge). */
export const BRIDGE = {
  PRIMARY_BUS: 0x18,
  SECONDARY_BUS: 0x19,
  SUBORDINATE_BUS: 0x1a,
  SECONDARY_STATUS: 0x1e,
  MEMORY_BASE: 0x20,
  MEMORY_LIMIT: 0x22,
  PREFETCHABLE_BASE: 0x24,
  PREFETCHABLE_LIMIT: 0x26,
  PREFETCHABLE_BASE_UPPER: 0x28,
  PREFETCHABLE_LIMIT_UPPER: 0x2c,
  BRIDGE_CONTROL: 0x3e,
} as const;

/** Bits of COMMAND. */
export const COMMAND = { IO: 0x1, MEM: 0x2, BME: 0x4, PARITY: 0x40, SERR: 0x100, INTX_DISABLE: 0x400 } as const;

/** STATUS: a capability list is there. */
export const STATUS_CAPABILITIES = 0x10;
/** STATUS: the error bits that a written 1 clears. */
export const STATUS_ERRORS = 0xf900;

/** STATUS, and SECONDARY_STATUS of what arrives from below, where bit 14 says that a system error was received. */
export const STATUS = {
  SIGNALED_TARGET_ABORT: 0x0800,
  RECEIVED_TARGET_ABORT: 0x1000,
  RECEIVED_MASTER_ABORT: 0x2000,
  SIGNALED_SYSTEM_ERROR: 0x4000,
} as const;
export const SECONDARY_STATUS_RECEIVED_SYSTEM_ERROR = 0x4000;

/** BRIDGE_CONTROL: error messages from below go on upwards. */
export const BRIDGE_CONTROL_SERR = 0x2;
/** BRIDGE_CONTROL: holds the secondary bus in reset. */
export const BRIDGE_CONTROL_RESET = 0x40;

/** Capability identifiers. */
export const CAPABILITY = { POWER_MANAGEMENT: 0x01, PCI_EXPRESS: 0x10, MSI_X: 0x11 } as const;

/** Power Management: offsets from the capability, bits of PMCSR. */
export const PM = { PMC: 0x02, PMCSR: 0x04, LENGTH: 0x08, STATE: 0x3, NO_SOFT_RESET: 0x8, PME_ENABLE: 0x100, PME_STATUS: 0x8000 } as const;

/** MSI-X: offsets from the capability, bits of message control. */
export const MSIX = { CONTROL: 0x02, TABLE: 0x04, PBA: 0x08, LENGTH: 0x0c, FUNCTION_MASK: 0x4000, ENABLE: 0x8000 } as const;

/** PCI Express: offsets from the capability and bits. */
export const EXPRESS = {
  FLAGS: 0x02,
  DEVCAP: 0x04,
  DEVCTL: 0x08,
  DEVSTA: 0x0a,
  LNKCAP: 0x0c,
  LNKCTL: 0x10,
  LNKSTA: 0x12,
  DEVCAP2: 0x24,
  DEVCTL2: 0x28,
  LENGTH: 0x3c,
  /** Bits of DEVCTL (what is reported) and of DEVSTA (what was found). */
  CORRECTABLE: 0x1,
  NON_FATAL: 0x2,
  FATAL: 0x4,
  UNSUPPORTED: 0x8,
  RTCTL: 0x1c,
  DEVCAP_ROLE_BASED: 0x8000,
  DEVCAP_FLR: 0x10000000,
  DEVCTL_INITIATE_FLR: 0x8000,
  /** End-end TLP prefixes, and one of them at most. */
  DEVCAP2_PREFIXES: 0x0060_0000,
  TYPE_ENDPOINT: 0,
  TYPE_ROOT_PORT: 4,
} as const;

/** Extended capabilities: where the list begins; the header is id, version and the next one's offset. */
export const EXTENDED = { FIRST: 0x100, VERSION_SHIFT: 16, NEXT_SHIFT: 20 } as const;

/** Identifiers of extended capabilities. */
export const EXTENDED_CAPABILITY = { AER: 0x0001, ATS: 0x000f, PRI: 0x0013, PASID: 0x001b } as const;

/** Advanced Error Reporting: offsets from the capability, the errors that there are, masks and severities after reset. */
export const AER = {
  UNCORRECTABLE_STATUS: 0x04,
  UNCORRECTABLE_MASK: 0x08,
  UNCORRECTABLE_SEVERITY: 0x0c,
  CORRECTABLE_STATUS: 0x10,
  CORRECTABLE_MASK: 0x14,
  CONTROL: 0x18,
  /** In CONTROL. */
  FIRST_ERROR: 0x1f,
  HEADER_LOG: 0x1c,
  LENGTH: 0x2c,
  ROOT_COMMAND: 0x2c,
  ROOT_STATUS: 0x30,
  ERROR_SOURCE: 0x34,
  LENGTH_ROOT: 0x38,
  /** Data link 4, surprise down 5, poisoned 12 … unsupported request 20, ACS 21, internal 22 … TLP prefix 25. */
  UNCORRECTABLE: 0x03ff_f030,
  /** Internal errors are masked. */
  UNCORRECTABLE_MASK_RESET: 0x0040_0000,
  /** Fatal: data link, surprise down, flow control, receiver overflow, malformed, internal. */
  SEVERITY_RESET: 0x0046_2030,
  /** Receiver 0, bad TLP 6, bad DLLP 7, rollover 8, replay timeout 12, advisory 13, internal 14, log overflow 15. */
  CORRECTABLE: 0xf1c1,
  CORRECTABLE_MASK_RESET: 0xe000,
  ROOT_COMMAND_ENABLES: 0x7,
  ROOT_STATUS_ERRORS: 0x7f,
  ROOT_CORRECTABLE: 0x01,
  ROOT_MULTIPLE_CORRECTABLE: 0x02,
  ROOT_UNCORRECTABLE: 0x04,
  ROOT_MULTIPLE_UNCORRECTABLE: 0x08,
  ROOT_FIRST_FATAL: 0x10,
  ROOT_NON_FATAL: 0x20,
  ROOT_FATAL: 0x40,
} as const;

/** Address Translation Services: offsets and bits. */
export const ATS = {
  CAPABILITY: 0x04,
  CONTROL: 0x06,
  LENGTH: 0x08,
  QUEUE_DEPTH: 0x1f,
  PAGE_ALIGNED: 0x20,
  GLOBAL_INVALIDATE: 0x40,
  STU: 0x1f,
  ENABLE: 0x8000,
} as const;

/** Page Request Interface: offsets and bits. */
export const PRI = {
  CONTROL: 0x04,
  STATUS: 0x06,
  CAPACITY: 0x08,
  ALLOCATION: 0x0c,
  LENGTH: 0x10,
  ENABLE: 0x1,
  RESET: 0x2,
  RESPONSE_FAILURE: 0x1,
  UNEXPECTED_INDEX: 0x2,
  STOPPED: 0x100,
  RESPONSE_PASID: 0x8000,
} as const;

/** Process Address Space ID: offsets and bits; those of the two kinds stand at the same place in both registers. */
export const PASID = {
  CAPABILITY: 0x04,
  CONTROL: 0x06,
  LENGTH: 0x08,
  ENABLE: 0x1,
  EXECUTE: 0x2,
  PRIVILEGED: 0x4,
  WIDTH_SHIFT: 8,
} as const;
