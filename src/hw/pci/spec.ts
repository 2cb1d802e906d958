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
  DEVCTL2: 0x28,
  LENGTH: 0x3c,
  DEVCAP_FLR: 0x10000000,
  DEVCTL_INITIATE_FLR: 0x8000,
  TYPE_ENDPOINT: 0,
  TYPE_ROOT_PORT: 4,
} as const;
