// SPDX-License-Identifier: MIT
/** no-missed-maintenance in a whole run: code that unmaps a buffer and forgets, or does not forget, to invalidate. */
import { expect, test } from "vitest";
import {
  type DriverModule,
  iommu_get_domain_for_dev,
  iommu_iotlb_gather_init,
  iommu_iotlb_sync,
  iommu_unmap_fast,
} from "../../../src/kernel/index.ts";
import { cellScenario, claimWords, parseCell, runScenario, type RunResult } from "../../../src/lab/index.ts";
import { sleepNs } from "../../../src/sim/index.ts";

const HDLCD_FB_BASE = 0x7ff6_0100;
const FRAME_BUFFER = 640 * 480 * 4;
const TWO_FRAMES_NS = 34_000_000;

/** Takes the frame buffer away from the display while it is shown. @param sync invalidate as `iommu_unmap` would */
function unmapper(sync: boolean): DriverModule {
  return {
    name: "unmapper",
    initcall: "module",
    linkOrder: 0,
    *init(kernel) {
      yield* sleepNs(TWO_FRAMES_NS);
      const node = kernel.of.byLabel("hdlcd");
      const display = node && kernel.of.deviceOf(node);
      const domain = display && iommu_get_domain_for_dev(display);
      if (!domain) throw new Error("the display has no domain");
      const gather = iommu_iotlb_gather_init();
      yield* iommu_unmap_fast(domain, kernel.platform.bus.read32(HDLCD_FB_BASE), FRAME_BUFFER, gather);
      if (sync) yield* iommu_iotlb_sync(domain, gather);
    },
  };
}

function run(sync: boolean): RunResult {
  const scenario = cellScenario(parseCell("none/hdlcd/quiescing/power-off")!);
  return runScenario(scenario, { seed: 1, replay: "", drivers: [unmapper(sync)] });
}

test("unmapped without invalidation: the display goes on by cached translations, and the claim names the command that is missing", () => {
  const result = run(false);
  expect(claimWords(result.claims)["no-missed-maintenance"]).toBe("broken");
  const [evidence] = result.claims.find(({ claim }) => claim === "no-missed-maintenance")!.evidence;
  expect(evidence?.text).toMatch(/cached tlb used: .*missing CMD_TLBI_NH_(VA|ASID)/i);
});

test("unmapped with invalidation: the display's accesses fault, and the claim holds", () => {
  const result = run(true);
  expect(claimWords(result.claims)["no-missed-maintenance"]).toBe("holds");
});
