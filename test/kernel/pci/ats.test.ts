// SPDX-License-Identifier: GPL-2.0-only
/** ATS, PRI and PASID as the PCI core sees them: an integrated endpoint whose registers can be looked at. */
import { describe, expect, test } from "vitest";
import {
  EBUSY,
  EINVAL,
  PCI_EXT_CAP_ID_ATS,
  pci_ats_supported,
  pci_disable_ats,
  pci_disable_pasid,
  pci_disable_pri,
  pci_enable_ats,
  pci_enable_pasid,
  pci_enable_pri,
  pci_find_ext_capability,
  pci_max_pasids,
  pci_pasid_features,
  pci_prepare_ats,
  pci_reset_pri,
  type PciDev,
} from "../../../src/kernel/index.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";
import { ATS, ENDPOINT, EXPRESS, FakeEndpoint, PASID, pciHost, PRI } from "./fake-endpoint.ts";

interface Rig {
  readonly machine: TestKernel;
  readonly endpoint: FakeEndpoint;
  readonly pdev: PciDev;
}

function narrow(width: number): 1 | 2 | 4 {
  return width === 1 ? 1 : width === 2 ? 2 : 4;
}

function rig(endpoint: FakeEndpoint = new FakeEndpoint()): Rig {
  const { nodes, modules, windows } = pciHost(endpoint);
  const machine = makeTestKernel({
    nodes,
    drivers: modules,
    windows: windows.map(({ base, size, device }) => ({
      base,
      size,
      read: (offset, width) => device.read(offset, narrow(width)),
      write: (offset, value, width) => device.write(offset, narrow(width), value),
    })),
  });
  machine.run(machine.kernel.boot());
  const pdev = machine.kernel.pci.find(ENDPOINT);
  if (pdev === null) throw new Error("no endpoint");
  return { machine, endpoint, pdev };
}

describe("the scan", () => {
  test("finds the extended capabilities", () => {
    expect(rig().pdev).toMatchObject({ ats_cap: ATS, pri_cap: PRI, pasid_cap: PASID, pasid_required: true, eetlp_prefix_max: 1 });
  });

  test("without a PCI Express capability there is no extended configuration space", () => {
    const { pdev } = rig(new FakeEndpoint().set(EXPRESS, 1, 0));
    expect(pdev).toMatchObject({ pcie_cap: 0, ats_cap: 0, pri_cap: 0, pasid_cap: 0, eetlp_prefix_max: 0 });
  });

  test("an empty list, and one that loops, end", () => {
    expect(rig(new FakeEndpoint().set(ATS, 4, 0)).pdev.pri_cap).toBe(0);
    const { pdev } = rig(new FakeEndpoint().set(ATS, 4, (ATS << 20) | 0x1));
    expect(pci_find_ext_capability(pdev, PCI_EXT_CAP_ID_ATS)).toBe(0);
  });

  test("version 1 of the capability does not say whether TLP prefixes pass", () => {
    expect(rig(new FakeEndpoint().set(EXPRESS + 2, 1, 0x91)).pdev.eetlp_prefix_max).toBe(0);
  });

  test("4 TLP prefixes are encoded as 0", () => {
    expect(rig(new FakeEndpoint().set(EXPRESS + 0x24, 4, 0x0020_0000)).pdev.eetlp_prefix_max).toBe(4);
  });
});

describe("ATS", () => {
  test("enabling sets the unit beyond 4 KiB and the enable bit; disabling keeps the unit", () => {
    const { endpoint, pdev } = rig();
    expect([pci_prepare_ats(pdev, 14), pci_enable_ats(pdev, 16)]).toEqual([0, 0]);
    pci_disable_ats(pdev);
    expect(endpoint.writes).toEqual(["ATS=2", "ATS=8004", "ATS=4"]);
  });

  test("a unit below 4 KiB is -EINVAL", () => expect(pci_enable_ats(rig().pdev, 11)).toBe(-EINVAL));

  test("an untrusted function may not have it", () => {
    const { pdev, endpoint } = rig();
    pdev.untrusted = true;
    expect(pci_ats_supported(pdev)).toBe(false);
    expect(pci_enable_ats(pdev, 12)).toBe(-EINVAL);
    expect(endpoint.writes).toEqual([]);
  });

  test("enabling twice and disabling what is off are warnings", () => {
    const { pdev, machine } = rig();
    pci_disable_ats(pdev);
    pci_enable_ats(pdev, 12);
    expect(pci_enable_ats(pdev, 12)).toBe(-EBUSY);
    expect(machine.kernel.warnings.map(({ message }) => message)).toEqual(["ATS is not enabled", "ATS is enabled already"]);
  });
});

describe("PRI", () => {
  test("as many requests as wanted, at most as many as it can, then the enable bit", () => {
    const { endpoint, pdev } = rig();
    expect(pci_enable_pri(pdev, 32)).toBe(0);
    pci_disable_pri(pdev);
    expect(pci_reset_pri(pdev)).toBe(0);
    expect(endpoint.writes).toEqual(["PRI.alloc=10", "PRI=1", "PRI=0", "PRI=2"]);
  });

  test("requests of earlier that are not over: -EBUSY", () => {
    expect(pci_enable_pri(rig(new FakeEndpoint().set(PRI + 6, 2, 0)).pdev, 1)).toBe(-EBUSY);
  });

  test("a function without it: -EINVAL", () => {
    const { pdev } = rig(new FakeEndpoint().hide(PRI));
    expect([pci_enable_pri(pdev, 1), pci_reset_pri(pdev)]).toEqual([-EINVAL, -EINVAL]);
  });
});

describe("PASID", () => {
  test("features and number come from the capability", () => {
    const { pdev } = rig();
    expect([pci_pasid_features(pdev), pci_max_pasids(pdev)]).toEqual([2, 32]);
  });

  test("is enabled with its features and disabled whole", () => {
    const { endpoint, pdev } = rig();
    expect(pci_enable_pasid(pdev, 2)).toBe(0);
    pci_disable_pasid(pdev);
    expect(endpoint.writes).toEqual(["PASID=3", "PASID=0"]);
  });

  test("features that it lacks, or a way without TLP prefixes: -EINVAL", () => {
    expect(pci_enable_pasid(rig().pdev, 4)).toBe(-EINVAL);
    expect(pci_enable_pasid(rig(new FakeEndpoint().set(EXPRESS + 0x24, 4, 0)).pdev, 0)).toBe(-EINVAL);
  });

  test("a function without it: -EINVAL", () => {
    const { pdev } = rig(new FakeEndpoint().hide(PASID));
    expect([pci_pasid_features(pdev), pci_max_pasids(pdev), pci_enable_pasid(pdev, 0)]).toEqual([-EINVAL, -EINVAL, -EINVAL]);
  });
});
