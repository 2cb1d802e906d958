// SPDX-License-Identifier: GPL-2.0-only
/** The kernel finds and switches the extended capabilities of modelled functions. */
import { describe, expect, test } from "vitest";
import { type ExtendedCapabilities } from "../../../src/hw/index.ts";
import {
  EINVAL,
  pci_ats_supported,
  pci_enable_ats,
  pci_enable_pasid,
  pci_enable_pri,
  pci_max_pasids,
  pci_pasid_features,
  type PciDev,
} from "../../../src/kernel/index.ts";
import { TestFunction } from "../../hw/pci/support.ts";
import { Machine } from "./machine.ts";

function rig(extended: ExtendedCapabilities, tlpPrefixes = true): { dev: TestFunction; pdev: PciDev } {
  const made: TestFunction[] = [];
  const machine = new Machine({
    tlpPrefixes,
    functions: ({ trace }) => {
      made.push(new TestFunction({ trace, extended }));
      return [{ bus: 1, device: 0, pciFunction: made[0]! }];
    },
  });
  machine.boot();
  const pdev = machine.kernel.pci.find("0000:01:00.0");
  if (pdev === null) throw new Error("the function was not found");
  return { dev: made[0]!, pdev };
}

describe("a function with ATS, PRI and PASIDs", () => {
  const { dev, pdev } = rig({ aer: true, ats: {}, pri: { capacity: 16 }, pasid: { width: 10, privileged: true } });
  const control = (capability: "ats" | "pri" | "pasid", offset: number): number => dev.config.read(dev.extended[capability] + offset, 2);

  test("is found to have them", () => {
    expect(pci_ats_supported(pdev)).toBe(true);
    expect([pci_pasid_features(pdev), pci_max_pasids(pdev)]).toEqual([4, 1024]);
  });

  test("enters each when told", () => {
    expect([pci_enable_pasid(pdev, 4), pci_enable_ats(pdev, 12), pci_enable_pri(pdev, 32)]).toEqual([0, 0, 0]);
    expect([control("pasid", 6), control("ats", 6), control("pri", 4), dev.config.read(dev.extended.pri + 12, 4)]).toEqual([
      5, 0x8000, 1, 16,
    ]);
  });
});

test("without them it has none", () => {
  const { pdev } = rig({});
  expect([pci_ats_supported(pdev), pci_enable_pri(pdev, 1), pci_max_pasids(pdev)]).toEqual([false, -EINVAL, -EINVAL]);
});

test("PASIDs stay off where the port above passes no TLP prefixes", () => {
  const { pdev } = rig({ pasid: { width: 10 } }, false);
  expect(pci_enable_pasid(pdev, 0)).toBe(-EINVAL);
});
