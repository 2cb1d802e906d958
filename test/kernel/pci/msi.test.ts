// SPDX-License-Identifier: GPL-2.0-only
/** MSI-X: from pci_alloc_irq_vectors to a handler. */
import { describe, expect, test } from "vitest";
import { E1000e } from "../../../src/hw/index.ts";
import {
  ENOSPC,
  IRQ_HANDLED,
  pci_alloc_irq_vectors,
  pci_enable_device_mem,
  pci_free_irq_vectors,
  pci_ioremap_bar,
  pci_irq_vector,
  pci_msix_vec_count,
  pci_read_config_word,
  pci_set_master,
  type PciDev,
  readl,
  request_irq,
} from "../../../src/kernel/index.ts";
import { Machine, MSI_FRAME } from "./machine.ts";

const ENABLE = 0x8000;
const MASKALL = 0x4000;
const INTX_DISABLE = 0x400;

function machine(): { m: Machine; nic: E1000e; pdev: PciDev } {
  const found: { nic?: E1000e } = {};
  const m = new Machine({
    functions: (made) => {
      found.nic = new E1000e({ simulation: made.sim, name: "nic", trace: made.trace });
      return [{ bus: 1, device: 0, pciFunction: found.nic }];
    },
  });
  m.boot();
  const pdev = m.pci("0000:01:00.0");
  m.run(pci_enable_device_mem(pdev));
  pci_set_master(pdev);
  return { m, nic: found.nic!, pdev };
}

function control(pdev: PciDev): number {
  return pci_read_config_word(pdev, pdev.msix_cap + 2);
}

describe("pci_alloc_irq_vectors", () => {
  test("each entry holds the doorbell's address and its interrupt number, unmasked", () => {
    const { pdev } = machine();
    expect(pci_alloc_irq_vectors(pdev, 3, 3)).toBe(3);
    const table = pci_ioremap_bar(pdev, 3)!;
    for (let entry = 0; entry < 3; entry++) {
      expect(readl(table, 16 * entry)).toBe(MSI_FRAME + 0x40);
      expect(readl(table, 16 * entry + 4)).toBe(0);
      expect(readl(table, 16 * entry + 8)).toBe(pci_irq_vector(pdev, entry));
      expect(readl(table, 16 * entry + 12) & 1).toBe(0);
    }
  });

  test("entries that are not used stay masked", () => {
    const { pdev } = machine();
    pci_alloc_irq_vectors(pdev, 1, 1);
    const table = pci_ioremap_bar(pdev, 3)!;
    for (let entry = 1; entry < pci_msix_vec_count(pdev); entry++) expect(readl(table, 16 * entry + 12) & 1).toBe(1);
  });

  test("the function ends with MSI-X enabled, not masked as a whole, and INTx off", () => {
    const { pdev } = machine();
    pci_alloc_irq_vectors(pdev, 1, 1);
    expect(control(pdev) & (ENABLE | MASKALL)).toBe(ENABLE);
    expect(pci_read_config_word(pdev, 4) & INTX_DISABLE).toBe(INTX_DISABLE);
  });

  test("more vectors than the table has entries are refused with -ENOSPC", () => {
    const { pdev } = machine();
    expect(pci_alloc_irq_vectors(pdev, 99, 99)).toBe(-ENOSPC);
    expect(control(pdev) & ENABLE).toBe(0);
  });

  test("more vectors than the MSI frame has left are refused with -ENOSPC", () => {
    const { m, pdev } = machine();
    const { msi } = m.kernel.irq;
    msi.alloc(pdev, [...msi.range()].length - 2);
    expect(pci_alloc_irq_vectors(pdev, 3, 3)).toBe(-ENOSPC);
    expect(control(pdev) & ENABLE).toBe(0);
  });

  test("a message of the function runs the handler of its vector", () => {
    const { m, nic, pdev } = machine();
    pci_alloc_irq_vectors(pdev, 3, 3);
    const taken: number[] = [];
    for (let vector = 0; vector < 3; vector++) {
      request_irq(pdev, pci_irq_vector(pdev, vector), () => {
        taken.push(vector);
        return IRQ_HANDLED;
      });
    }
    m.sim.after(10, () => nic.raiseMsix(1));
    m.idle(1000);
    expect(taken).toEqual([1]);
  });

  test("with COMMAND.BME off a message goes nowhere", () => {
    const { m, nic, pdev } = machine();
    pci_alloc_irq_vectors(pdev, 1, 1);
    const taken: number[] = [];
    request_irq(pdev, pci_irq_vector(pdev, 0), () => {
      taken.push(0);
      return IRQ_HANDLED;
    });
    nic.configWrite(4, 2, 2);
    m.sim.after(10, () => nic.raiseMsix(0));
    m.idle(1000);
    expect(taken).toEqual([]);
  });
});

describe("pci_free_irq_vectors", () => {
  test("MSI-X is off, INTx allowed, and the interrupts can be had again", () => {
    const { pdev } = machine();
    pci_alloc_irq_vectors(pdev, 3, 3);
    const first = pci_irq_vector(pdev, 0);
    pci_free_irq_vectors(pdev);
    expect(control(pdev) & ENABLE).toBe(0);
    expect(pci_read_config_word(pdev, 4) & INTX_DISABLE).toBe(0);
    pci_alloc_irq_vectors(pdev, 1, 1);
    expect(pci_irq_vector(pdev, 0)).toBe(first);
  });
});
