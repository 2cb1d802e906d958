// SPDX-License-Identifier: MIT
/** Silicon: memory, SMMUv3, interrupts, PCI, DMA masters. Imports sim only and runs in a browser. */
export * from "./errors.ts";
export * from "./bits/fields.ts";
export * from "./bits/hex.ts";
export * from "./memory/physical-memory.ts";
export * from "./memory/system-bus.ts";
export * from "./memory/dma-port.ts";
export * from "./smmuv3/ports.ts";
