// SPDX-License-Identifier: MIT
/** Silicon: memory, SMMUv3, interrupts, PCI, DMA masters. Imports sim only and runs in a browser. */
export * from "./errors.ts";
export * from "./bits/fields.ts";
export * from "./bits/hex.ts";
export * from "./memory/physical-memory.ts";
export * from "./memory/system-bus.ts";
export * from "./memory/dma-port.ts";
export * from "./smmuv3/ports.ts";
export * from "./smmuv3/config.ts";
export * from "./smmuv3/spec/registers.ts";
export * from "./smmuv3/spec/commands.ts";
export * from "./smmuv3/command-text.ts";
export * from "./smmuv3/choices-registers.ts";
export * from "./smmuv3/smmu.ts";
export * from "./smmuv3/register-file.ts";
export * from "./smmuv3/dma-port.ts";
export * from "./smmuv3/machine-host.ts";
export * from "./irq/interrupt-controller.ts";
export * from "./irq/msi-frame.ts";
export * from "./pci/bus-master-port.ts";
export * from "./pci/function.ts";
export * from "./pci/root-port.ts";
export * from "./pci/root-complex.ts";
export * from "./devices/e1000e.ts";
export * from "./devices/frame-source.ts";
export * from "./devices/hdlcd.ts";
export * from "./devices/tmc-etr.ts";
