// SPDX-License-Identifier: GPL-2.0-only
/** e1000e when the PCI core recovers from an error: after Linux 7.1 e1000_io_error_detected, e1000_io_slot_reset, e1000_io_resume. */
import { expect, test } from "vitest";
import { E1000e } from "../../../src/hw/index.ts";
import { e1000eModule } from "../../../src/drivers/index.ts";
import { pci_read_config_dword, pci_read_config_word } from "../../../src/kernel/index.ts";
import { Machine } from "../../kernel/pci/machine.ts";

const MS = 1_000_000;

test("a refused write costs a reset of the link, and afterwards the interface works as before", () => {
  const found: { nic?: E1000e } = {};
  const m = new Machine({
    aer: true,
    drivers: [e1000eModule({ shutdown: "mainline" })],
    functions: (made) => {
      found.nic = new E1000e({ simulation: made.sim, name: "nic", trace: made.trace, extended: { aer: true } });
      return [{ bus: 1, device: 0, pciFunction: found.nic }];
    },
  });
  m.boot();
  m.idle(500 * MS);
  const nic = found.nic!;
  const pdev = m.pci("0000:01:00.0");
  const log = (): string[] => m.kernel.printk.lines.map(({ text }) => text);
  const ups = (): number => log().filter((line) => line.includes("NIC Link is Up")).length;
  expect(ups()).toBe(1);
  const registers = (): number[] => [
    pci_read_config_word(pdev, 4),
    pci_read_config_word(pdev, pdev.pcie_cap + 8) & 0xf,
    pci_read_config_dword(pdev, pdev.aer_cap + 12),
  ];
  // Bus mastering, all kinds of errors reported, their severities.
  const saved = registers();
  expect([saved[0]! & 4, saved[1]]).toEqual([4, 0xf]);
  const before = m.of("dma.access").length;

  nic.dma.write(0x1_0000_0000, new Uint8Array(4));
  m.idle(1500 * MS);
  expect(log()).toContain("pcieport 0000:00:01.0: AER: Root Port link has been reset (0)");
  expect(log()).toContain("pcieport 0000:00:01.0: AER: device recovery successful");
  expect(registers()).toEqual(saved);
  expect(ups()).toBe(2);

  nic.receive(new Uint8Array(64).fill(0xff));
  m.idle(50 * MS);
  const later = m.of("dma.access").slice(before + 1);
  expect(later.some(({ data }) => data.write && data.length === 64 && data.physical !== undefined)).toBe(true);
});
