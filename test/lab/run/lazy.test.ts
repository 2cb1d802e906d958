// SPDX-License-Identifier: MIT
/** Lazy invalidation in a whole run: a frame buffer is freed while the display still shows it. */
import { expect, test } from "vitest";
import { dma_free_coherent, type DriverModule, KernelBuffer } from "../../../src/kernel/index.ts";
import { cellScenario, claimWords, parseCell, runScenario, type RunResult } from "../../../src/lab/index.ts";
import { sleepNs } from "../../../src/sim/index.ts";

const TWO_FRAMES_NS = 34_000_000;

/** What a driver with a bug does: gives the frame buffer back without stopping the display. */
const hasty: DriverModule = {
  name: "hasty",
  initcall: "module",
  linkOrder: 0,
  *init(kernel) {
    yield* sleepNs(TWO_FRAMES_NS);
    const node = kernel.of.byLabel("hdlcd");
    const display = node && kernel.of.deviceOf(node);
    const mapping = display && kernel.dma.mappings(display)[0];
    const memory = mapping?.memory[0];
    if (!mapping || !memory) throw new Error("the display has no frame buffer");
    const buffer = new KernelBuffer(kernel, memory.pa, memory.size, display.name);
    yield* dma_free_coherent(display, mapping.size, buffer, mapping.dma);
  },
};

function run(lazy: boolean): RunResult {
  const scenario = cellScenario(parseCell("none/hdlcd/quiescing/power-off")!);
  return runScenario({ ...scenario, kernel: { ...scenario.kernel, lazy } }, { seed: 1, replay: "", drivers: [hasty] });
}

test("strict: the display faults, and nothing that is somebody else's is read", () => {
  const result = run(false);
  expect(result.dma.aborted).toBeGreaterThan(0);
  expect(result.verdict).not.toBe("stray");
  expect(claimWords(result.claims)["no-missed-maintenance"]).toBe("holds");
});

test("lazy: until the flush the display goes on reading memory that was freed", () => {
  const result = run(true);
  expect(result.verdict).toBe("stray");
  expect(claimWords(result.claims)["no-missed-maintenance"]).toBe("broken");
  const [evidence] = result.claims.find(({ claim }) => claim === "no-missed-maintenance")!.evidence;
  expect(evidence?.text).toMatch(/cached tlb used/i);
});
