// SPDX-License-Identifier: MIT
/** A driver that unmaps without CMD_ATC_INV: the NIC goes on by translations that nobody took from it. */
import { expect, test } from "vitest";
import { ArmSmmuDomain } from "../../../src/drivers/iommu/arm-smmu-v3/domains/smmu-domain.ts";
import { arm_smmu_inv_is_ats, ArmSmmuInvs } from "../../../src/drivers/iommu/arm-smmu-v3/invalidation/invs.ts";
import { e1000eModule } from "../../../src/drivers/index.ts";
import { BroadcastSource, E1000e } from "../../../src/hw/index.ts";
import { type DriverModule, iommu_get_domain_for_dev } from "../../../src/kernel/index.ts";
import { claimWords, type CustomClient, parseScenario, type RunResult, runScenario } from "../../../src/lab/index.ts";

const NIC = "0000:01:00.0";

/** Takes out of the list of what the NIC's domain has to invalidate the NIC's own cache. */
const forgetful: DriverModule = {
  name: "forgetful",
  initcall: "module",
  linkOrder: 0,
  init(kernel) {
    const nic = kernel.base.findDevice(NIC);
    const domain = nic && iommu_get_domain_for_dev(nic);
    if (!(domain instanceof ArmSmmuDomain) || !domain.invs.has_ats) throw new Error("the NIC has no domain that invalidates its cache");
    domain.invs = new ArmSmmuInvs(domain.invs.inv.filter((inv) => !arm_smmu_inv_is_ats(inv)));
  },
};

/** The lab's NIC with a cache that outlasts a round of its ring, and packets enough for several. */
const nic: CustomClient = {
  build({ simulation, trace, notModelled }) {
    const after = (delayNs: number, action: () => void): unknown => simulation.after(delayNs, action);
    const pciFunction = new E1000e({
      simulation,
      name: "nic",
      trace,
      notModelled,
      extended: { ats: {} },
      ats: { after, cache: { capacity: 1024 } },
    });
    const source = new BroadcastSource(simulation, pciFunction, { periodNs: 20_000, bytes: 128, jitterPercent: 20 });
    return { pciFunction, start: () => source.start() };
  },
  driver: (shutdown, initcall, up) => e1000eModule({ shutdown, initcall, up }),
};

function run(drivers: readonly DriverModule[]): RunResult {
  const device = "{ name: nic, kind: e1000e, hook: quiescing, ats: true }";
  const text = ["title: t", "story: s", "source: s", `machine: { pci: {}, devices: [${device}] }`, "wayDown: reboot"].join("\n");
  return runScenario(parseScenario(text, "f"), { seed: 1, replay: "", drivers, clients: { nic } });
}

test("with CMD_ATC_INV no packet lands in a buffer that was given back", () => {
  expect(run([]).verdict).toBe("clean");
});

test("without it packets do, and the claim says that the NIC wrote there", () => {
  const result = run([forgetful]);
  expect(claimWords(result.claims)["no-foreign-write"]).toBe("broken");
  const [evidence] = result.claims.find(({ claim }) => claim === "no-foreign-write")!.evidence;
  expect(evidence).toMatchObject({ who: NIC, text: expect.stringContaining("once granted to it") });
});
