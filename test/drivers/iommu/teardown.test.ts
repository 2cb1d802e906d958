// SPDX-License-Identifier: GPL-2.0-only
/** Letting go of the SMMU: it is off before the memory of its tables and queues is anybody else's, in each kernel's order. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { ArmSmmuDevice, type ArmSmmuShutdown, type ArmSmmuTeardown } from "../../../src/drivers/iommu/arm-smmu-v3/device.ts";
import { createSmmuHost, type DmaEvents, DmaStatus, profiles, Smmu, SmmuDmaPort, type SmmuEvents } from "../../../src/hw/index.ts";
import {
  device_release_driver,
  device_unregister,
  devres_release_all,
  iommu_attach_device_pasid,
  noPageWatcher,
  type PageWatcher,
} from "../../../src/kernel/index.ts";
import { silentTrace, Trace } from "../../../src/sim/index.ts";
import { FakeSmmu } from "./fake-smmu.ts";
import { CLIENT_SID, EVTQ_IRQ, GERROR_IRQ, Machine } from "./machine.ts";
import { newDomain } from "./support.ts";

const TEARDOWNS: readonly ArmSmmuTeardown[] = ["6.1", "7.1", "7.3"];

interface Rig {
  readonly machine: Machine;
  readonly smmu: Smmu;
  readonly client: SmmuDmaPort;
  /** Whether the SMMU translated when a page of its own was freed, page by page. */
  readonly enabledAtFree: boolean[];
  /** What the SMMU fetched from pages that its driver had freed. */
  readonly staleFetches: string[];
}

function rig(teardown: ArmSmmuTeardown, shutdown: ArmSmmuShutdown = "bypass"): Rig {
  let smmu: Smmu | undefined;
  const enabledAtFree: boolean[] = [];
  const freed = new Set<number>();
  const staleFetches: string[] = [];
  const pages: PageWatcher = {
    ...noPageWatcher,
    freed: (pa, size, by) => {
      if (by === "2b400000.smmu") enabledAtFree.push(smmu!.registers.smmuEnabled());
      for (let page = pa; page < pa + size; page += 0x1000) freed.add(page);
    },
  };
  const trace = new Trace<SmmuEvents>();
  trace.on("smmu.access", ({ data }) => {
    if (freed.has(data.address - (data.address % 0x1000))) staleFetches.push(data.access);
  });
  const machine = new Machine({
    pages,
    driver: { teardown, shutdown },
    clientProperties: { "pasid-num-bits": 4 },
    smmu: ({ sim, bus, controller }) => {
      const pulse = (line: string): void => controller.raise(line === "eventq" ? EVTQ_IRQ : GERROR_IRQ);
      smmu = new Smmu(profiles["linux-typical"]!, createSmmuHost({ simulation: sim, bus, trace, pulse }), { trace, cacheMode: "none" });
      return { size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth };
    },
  }).boot();
  enabledAtFree.length = 0;
  freed.clear();
  const options = { smmu: smmu!, bus: machine.bus, streamId: CLIENT_SID, name: "client", trace: silentTrace<DmaEvents>() };
  return { machine, smmu: smmu!, client: new SmmuDmaPort(options), enabledAtFree, staleFetches };
}

const PASID = { substreamId: 1 };
const access = (port: SmmuDmaPort): unknown => port.write(0x1000, Uint8Array.of(1, 2, 3, 4));

describe.each(TEARDOWNS)("unbinding in the order of %s", (teardown) => {
  test("every table and queue is freed with the SMMU off", () => {
    const { machine, smmu, enabledAtFree } = rig(teardown);
    machine.run(device_release_driver(machine.smmuDevice));
    expect(smmu.registers.smmuEnabled()).toBe(false);
    // What belongs to released clients (CD table, page table) goes while their streams abort.
    const own = enabledAtFree.slice(enabledAtFree.indexOf(false));
    expect(own.length).toBeGreaterThanOrEqual(3);
    expect(own).not.toContain(true);
  });

  test("a client that goes on makes the SMMU fetch nothing from freed memory", () => {
    const { machine, client, staleFetches } = rig(teardown);
    machine.run(device_release_driver(machine.smmuDevice));
    access(client);
    expect(staleFetches).toEqual([]);
  });
});

describe("a device that leaves with a PASID in use", () => {
  function released(teardown: ArmSmmuTeardown): Rig {
    const made = rig(teardown);
    const { machine, client } = made;
    const driver = machine.smmuDevice.drvdata as ArmSmmuDevice;
    expect(machine.run(iommu_attach_device_pasid(newDomain(driver), machine.client, 1))).toBe(0);
    machine.run(device_unregister(machine.client));
    client.write(0x1000, Uint8Array.of(1), PASID);
    return made;
  }

  test.each<[ArmSmmuTeardown, boolean]>([
    ["6.1", false],
    ["7.1", true],
    ["7.3", true],
  ])("%s: the SMMU fetches context descriptors from freed memory: %s", (teardown, stale) => {
    expect(released(teardown).staleFetches.includes("cd")).toBe(stale);
  });

  test("the core warns of the PASIDs that the driver left behind", () => {
    const warnings = released("7.1").machine.kernel.warnings.map(({ message }) => message);
    expect(warnings).toEqual(["driver gone with PASIDs in use"]);
  });
});

describe("remove as the shutdown hook", () => {
  test.each(TEARDOWNS)("with unbinding as in %s, the SMMU is off when the hook returns: the hook is that of 6.1", (teardown) => {
    const { machine, smmu } = rig(teardown, "remove");
    machine.run(machine.smmuDevice.driver!.shutdown!(machine.smmuDevice));
    expect(smmu.registers.smmuEnabled()).toBe(false);
  });

  test.each(TEARDOWNS)("with unbinding as in %s, a PASID in use is cut off before its table is free", (teardown) => {
    const { machine, smmu, client, staleFetches } = rig(teardown, "remove");
    const driver = machine.smmuDevice.drvdata as ArmSmmuDevice;
    machine.run(iommu_attach_device_pasid(newDomain(driver), machine.client, 1));
    const met: DmaStatus[] = [];
    const free = machine.kernel.mm.free_pages.bind(machine.kernel.mm);
    machine.kernel.mm.free_pages = (...args): void => {
      free(...args);
      expect(smmu.registers.smmuEnabled()).toBe(true);
      met.push(client.write(0x1000, Uint8Array.of(1), PASID));
    };
    machine.run(machine.smmuDevice.driver!.shutdown!(machine.smmuDevice));
    expect(new Set(met)).toEqual(new Set([DmaStatus.abort]));
    expect(staleFetches).toEqual([]);
  });
});

describe("managed resources alone, without the remove function", () => {
  test.each<[ArmSmmuTeardown, boolean]>([
    ["6.1", true],
    ["7.1", true],
    ["7.3", false],
  ])("%s: the SMMU fetches its stream table from freed memory: %s", (teardown, stale) => {
    const { machine, client, staleFetches } = rig(teardown);
    machine.run(devres_release_all(machine.smmuDevice));
    access(client);
    expect(staleFetches.includes("l1std")).toBe(stale);
  });
});

describe("a probe that fails when translation is not acknowledged", () => {
  /** Takes CR0.SMMUEN and never says so. */
  class Mute extends FakeSmmu {
    override write(offset: number, width: number, value: number): void {
      super.write(offset, width, value);
      if (offset === R.ARM_SMMU_CR0 && (value & R.CR0_SMMUEN) !== 0) this.regs.set(R.ARM_SMMU_CR0ACK, 0n);
    }
  }

  test.each<[ArmSmmuTeardown, string]>([
    ["6.1", "CR0=d"],
    ["7.1", "CR0=0"],
    ["7.3", "CR0=0"],
  ])("%s: the last write is %s", (teardown, last) => {
    let fake: Mute | undefined;
    const machine = new Machine({
      sids: [],
      driver: { teardown },
      smmu: (made) => {
        fake = new Mute(made);
        return { size: 0x2_0000, device: fake, widths: [4, 8] };
      },
    }).boot();
    expect(machine.smmuDevice.driver).toBeNull();
    expect(fake!.writes.at(-1)).toBe(last);
  });
});
