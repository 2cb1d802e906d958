// SPDX-License-Identifier: MIT
/** A program can bring a device that the lab does not know, with its driver, into a run. */
import { describe, expect, test } from "vitest";
import { DmaStatus } from "../../../src/hw/index.ts";
import { devm_platform_ioremap_resource, platform_driver_register, type PlatformDevice, readl, writel } from "../../../src/kernel/index.ts";
import { BASE_SCENARIO, boardDevice, type ClientContext, type CustomClient, runScenario } from "../../../src/lab/index.ts";

interface Seen {
  built: number;
  reset: number;
  value: number;
  probes: string[];
  drivers: string[];
}

/** One register; a write of it is a DMA write of a byte to a fixed address that nobody granted. */
function client(seen: Seen): CustomClient {
  return {
    build(context: ClientContext) {
      seen.built++;
      const port = context.port();
      return {
        registers: {
          read: () => seen.value,
          write: (_offset, _width, value) => {
            seen.value = value;
            expect(port.write(0x1234_5000, Uint8Array.of(1))).toBe(DmaStatus.abort);
          },
        },
        reset: () => void seen.reset++,
      };
    },
    node: { compatible: ["test,custom"], interrupts: [80] },
    driver: (hook, initcall, active) => {
      seen.drivers.push(`${hook} ${initcall} ${active}`);
      return {
        name: "custom",
        initcall,
        linkOrder: 1,
        *init(kernel) {
          yield* platform_driver_register(kernel, {
            name: "custom",
            of_match_table: ["test,custom"],
            *probe(pdev: PlatformDevice) {
              const base = devm_platform_ioremap_resource(pdev, 0);
              writel(base, 0, 7);
              seen.probes.push(`${kernel.name} ${pdev.name} irq ${pdev.irqs[0]} reads ${readl(base, 0)}`);
              return 0;
            },
          });
        },
      };
    },
  };
}

describe("RunOptions.clients", () => {
  const seen: Seen = { built: 0, reset: 0, value: 0, probes: [], drivers: [] };
  const device = boardDevice("tmc-etr", { name: "mine", streamId: 0x30, hook: "quiescing" });
  const machine = { ...BASE_SCENARIO.machine, devices: [device] };
  const scenario = { ...BASE_SCENARIO, title: "custom", machine, wayDown: "reboot" as const };
  const result = runScenario(scenario, { seed: 1, replay: "", clients: { mine: client(seen) } });

  test("the device stands in the named one's place, and each kernel's driver finds it there", () => {
    expect(seen.built).toBe(1);
    expect(seen.probes).toEqual(["first 20070000.mine irq 80 reads 7", "second 20070000.mine irq 80 reads 7"]);
  });

  test("the first kernel's driver has the scenario's hook, the second's is mainline and idle", () => {
    expect(seen.drivers).toEqual(["quiescing device true", "mainline device false"]);
  });

  test("one in the place of a device that the scenario has not is refused", () => {
    expect(() => runScenario(scenario, { seed: 1, replay: "", clients: { mien: client(seen) } })).toThrow(
      "the scenario has no device mien",
    );
  });

  test("it is reset with the machine", () => {
    expect(seen.reset).toBe(1);
  });

  test("its DMA goes through the SMMU, and the claims see it", () => {
    expect(result.clientDevices).toEqual(["20070000.mine"]);
    expect(result.verdict).toBe("clean");
  });
});
