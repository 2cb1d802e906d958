// SPDX-License-Identifier: MIT
/** Each claim on hand-made traces: what breaks it, what does not, and what the evidence says. */
import { describe, expect, test } from "vitest";
import type { StaleUse } from "../../../src/hw/index.ts";
import { NoForeignWrite } from "../../../src/lab/monitors/foreign-write.ts";
import { NoMissedMaintenance, WINDOW_NS } from "../../../src/lab/monitors/maintenance.ts";
import { NextKernelIntact } from "../../../src/lab/monitors/next-kernel.ts";
import { QuietAfterShutdown } from "../../../src/lab/monitors/quiet.ts";
import { NoStaleWalk } from "../../../src/lab/monitors/stale-walk.ts";
import { SuppliersLast } from "../../../src/lab/monitors/suppliers-last.ts";
import { TranslatedAfterSmmu } from "../../../src/lab/monitors/untranslated.ts";
import { page, Story, trespass } from "./synthetic.ts";

const bypassed = { outcome: "bypassed" } as const;
const aborted = { outcome: "aborted", reached: false, physical: undefined } as const;
const dropped = { outcome: "dropped", reached: false, physical: undefined } as const;

describe("no-dma-after-own-shutdown", () => {
  const story = (): Story<QuietAfterShutdown> => new Story(new QuietAfterShutdown()).machine("cold-boot", "first");

  test("DMA before the device's shutdown is its business", () => {
    expect(story().dma("nic").shutdown("nic").result().holds).toBe(true);
  });

  test("DMA after its hook breaks the claim, and the evidence names the hook", () => {
    const result = story().shutdown("nic", "driver e1000e").dma("nic").result();
    expect(result).toMatchObject({ holds: false, count: 1 });
    expect(result.evidence[0]?.text).toContain("its hook (driver e1000e) had returned");
  });

  test("a device without a hook is bound as well, once the device core has passed it", () => {
    expect(story().shutdown("nic", "none").dma("nic").result().evidence[0]?.text).toContain("had no hook to run");
  });

  test("an aborted access was issued, a dropped one was not", () => {
    expect(story().shutdown("nic").dma("nic", aborted).result().holds).toBe(false);
    expect(story().shutdown("nic").dma("nic", dropped).result().holds).toBe(true);
  });

  test("other devices do not count", () => {
    expect(story().shutdown("nic").dma("etr").result().holds).toBe(true);
  });

  test("a hardware reset ends the duty", () => {
    expect(story().shutdown("nic").machine("hardware-reset", "first").dma("nic").result().holds).toBe(true);
  });

  test("a jump does not end it, the next kernel's driver does", () => {
    expect(
      story()
        .shutdown("nic")
        .machine("kexec-entry", "second")
        .dma("nic", { trespasses: [trespass(page())] })
        .result().holds,
    ).toBe(false);
    expect(story().shutdown("nic").machine("kexec-entry", "second").bound("nic", "second").dma("nic").result().holds).toBe(true);
  });

  test("what the next kernel granted while it still probes is the next kernel's DMA", () => {
    expect(story().shutdown("nic").machine("kexec-entry", "second").dma("nic").result().holds).toBe(true);
  });
});

describe("no-dma-after-smmu-shutdown", () => {
  const story = (): Story<TranslatedAfterSmmu> => new Story(new TranslatedAfterSmmu("smmu")).machine("cold-boot", "first");

  test("a bypassed access after the SMMU's hook breaks the claim", () => {
    const result = story().shutdown("smmu", "driver arm-smmu-v3").dma("nic", bypassed).result();
    expect(result).toMatchObject({ holds: false, count: 1 });
    expect(result.evidence[0]).toMatchObject({ who: "nic", address: 0xffff_0000, physical: 0x8000_0000 });
  });

  test("translated and aborted accesses are counted and break nothing", () => {
    const told = story().shutdown("smmu").dma("nic").dma("nic", aborted);
    expect(told.result().holds).toBe(true);
    expect(told.monitor.accesses).toBe(2);
  });

  test("a bypassed access that nothing answered reached no memory", () => {
    expect(
      story()
        .shutdown("smmu")
        .dma("nic", { ...bypassed, reached: false })
        .result().holds,
    ).toBe(true);
  });

  test("it ends when the next kernel's driver has bound to the SMMU", () => {
    expect(story().shutdown("smmu").bound("smmu", "second").dma("nic", bypassed).result().holds).toBe(true);
  });

  test("without a shutdown of the SMMU there is nothing to break", () => {
    expect(story().dma("nic", bypassed).result().holds).toBe(true);
  });
});

describe("no-foreign-write", () => {
  const story = (): Story<NoForeignWrite> => new Story(new NoForeignWrite());

  test("a write without a grant breaks the claim and counts its bytes once", () => {
    const told = story().dma("etr", { trespasses: [trespass(undefined)] });
    told.dma("etr", { trespasses: [trespass(undefined)] });
    expect(told.result()).toMatchObject({ holds: false, count: 2 });
    expect(told.monitor.bytes).toBe(64);
    expect(told.monitor.ownedBytes).toBe(0);
  });

  test("a write into somebody else's page counts as owned bytes", () => {
    const told = story().dma("etr", { trespasses: [trespass(page())] });
    expect(told.monitor.ownedBytes).toBe(64);
  });

  test("a write into a page that was unmapped from the device and not given on breaks the claim, and harms nobody else", () => {
    const told = story().dma("nic", { trespasses: [trespass(page({ grantees: new Set(["nic"]) }))] });
    expect(told.result().evidence[0]?.text).toContain("unmapped from it and not given on");
    expect(told.monitor.bytes).toBe(64);
    expect(told.monitor.ownedBytes).toBe(0);
  });

  test("each page of an access is judged", () => {
    const told = story().dma("etr", {
      address: 0xffff_0fe0,
      physical: 0x8000_0fe0,
      trespasses: [
        { address: 0x8000_0fe0, length: 32, page: undefined },
        { address: 0x8000_1000, length: 32, page: page() },
      ],
    });
    expect(told.result()).toMatchObject({ count: 2 });
    expect(told.result().evidence[1]).toMatchObject({ address: 0xffff_1000, physical: 0x8000_1000 });
    expect(told.monitor).toMatchObject({ bytes: 64, ownedBytes: 32, strayAccesses: 1 });
  });

  test("a read without a grant is a stray access and no foreign write", () => {
    const told = story().dma("hdlcd", { write: false, trespasses: [trespass(page())] });
    expect(told.result().holds).toBe(true);
    expect(told.monitor.strayAccesses).toBe(1);
  });

  test("the evidence says who gave the memory up", () => {
    const told = story().dma("etr", { trespasses: [trespass(page({ state: "given-away", endedBy: "the kexec jump" }))] });
    expect(told.result().evidence[0]?.givenUpBy).toBe("the kexec jump");
  });

  test("event records of the SMMU that land in given-away memory count too", () => {
    const told = story();
    told.trace.emit("lab.smmu-access", {
      device: "smmu",
      access: "eventq",
      write: true,
      address: 0x8000_0000,
      physical: 0x8000_0000,
      length: 32,
      outcome: "bypassed",
      reached: true,
      trespasses: [trespass(page({ state: "given-away" }))],
    });
    expect(told.result().holds).toBe(false);
  });
});

describe("no-stale-walk", () => {
  const access = (kind: string, stray: boolean): Story<NoStaleWalk> => {
    const told = new Story(new NoStaleWalk());
    told.trace.emit("lab.smmu-access", {
      device: "smmu",
      access: kind,
      write: false,
      address: 0x8000_0000,
      physical: 0x8000_0000,
      length: 8,
      outcome: "bypassed",
      reached: true,
      trespasses: stray ? [trespass(page({ state: "given-away", endedBy: "the kexec jump" }))] : [],
    });
    return told;
  };

  test.each(["ste", "l1std", "cd", "l1cd", "tt-s1", "tt-s2"])("a %s fetched from memory that was given away breaks the claim", (kind) => {
    const told = access(kind, true);
    expect(told.result()).toMatchObject({ holds: false, count: 1 });
    expect(told.monitor.walks).toBe(1);
  });

  test("a fetch from live tables does not", () => {
    expect(access("tt-s1", false).result().holds).toBe(true);
  });

  test("an event record is no walk", () => {
    expect(access("eventq", true).result().holds).toBe(true);
  });
});

describe("suppliers-last", () => {
  const story = (): Story<SuppliersLast> =>
    new Story(
      new SuppliersLast(
        new Map([
          ["nic", ["smmu"]],
          ["etr", ["smmu"]],
        ]),
      ),
    );

  test("consumers first, then the supplier: holds", () => {
    expect(story().shutdown("nic").shutdown("etr").shutdown("smmu").result().holds).toBe(true);
  });

  test("a supplier before one of its consumers breaks it once for that consumer", () => {
    expect(story().shutdown("nic").shutdown("smmu").shutdown("etr").result()).toMatchObject({ holds: false, count: 1 });
  });

  test("each kernel's shutdown is looked at by itself", () => {
    expect(story().shutdown("nic").shutdown("etr").shutdown("smmu").shutdown("nic", "none", "second").result().holds).toBe(true);
  });
});

describe("next-kernel-intact", () => {
  const story = (changed: number = 0): Story<NextKernelIntact> =>
    new Story(new NextKernelIntact(["first", "second"], () => [{ kernel: "second", bytes: changed, first: "text at 0x80200000" }]));

  test("a device write into the next kernel's memory breaks the claim", () => {
    const told = story().dma("etr", { trespasses: [trespass(page({ kernel: "second", kind: "early" }))] });
    expect(told.result().holds).toBe(false);
    expect(told.monitor.bytes).toBe(64);
  });

  test("a page that the next kernel had granted to the device itself is its driver's affair", () => {
    const told = story().dma("nic", { trespasses: [trespass(page({ kernel: "second", grantees: new Set(["nic"]) }))] });
    expect(told.result().holds).toBe(true);
  });

  test("a segment that waits for the jump is the next kernel's already", () => {
    expect(
      story()
        .dma("etr", { trespasses: [trespass(page({ kind: "kexec-segment" }))] })
        .result().holds,
    ).toBe(false);
  });

  test("the old kernel's own memory is not the next kernel's", () => {
    expect(
      story()
        .dma("etr", { trespasses: [trespass(page())] })
        .result().holds,
    ).toBe(true);
  });

  test("a read changes nothing", () => {
    expect(
      story()
        .dma("hdlcd", { write: false, trespasses: [trespass(page({ kernel: "second" }))] })
        .result().holds,
    ).toBe(true);
  });

  test("a checksum that differs at the end breaks the claim, whoever did it", () => {
    const told = story(12);
    expect(told.result()).toMatchObject({ holds: false, count: 1 });
    expect(told.monitor.bytes).toBe(12);
  });
});

describe("no-missed-maintenance", () => {
  const use: StaleUse = {
    what: "tlb",
    streamId: 16,
    addressHi: 0,
    addressLo: 0xf000,
    structure: 0x8000_1000,
    cached: "a",
    inMemory: "b",
    missing: "CMD_TLBI_NH_VA",
    entry: 7,
  };
  const story = (): Story<NoMissedMaintenance> => new Story(new NoMissedMaintenance());

  test("a stale use that no maintenance follows is a miss, and the evidence names the command", () => {
    const told = story();
    told.trace.emit("smmu.stale-use", use);
    told.now = WINDOW_NS;
    const result = told.result();
    expect(result).toMatchObject({ holds: false, count: 1 });
    expect(result.evidence[0]?.text).toContain("missing CMD_TLBI_NH_VA");
  });

  test("maintenance within the window forgives it", () => {
    const told = story();
    told.trace.emit("smmu.stale-use", use);
    told.now = WINDOW_NS - 1;
    told.trace.emit("smmu.stale-dropped", { entry: 7 });
    told.now = 10 * WINDOW_NS;
    expect(told.result().holds).toBe(true);
  });

  test("maintenance after the window comes too late", () => {
    const told = story();
    told.trace.emit("smmu.stale-use", use);
    told.now = WINDOW_NS;
    told.trace.emit("smmu.stale-dropped", { entry: 7 });
    expect(told.result().holds).toBe(false);
  });

  test("a use whose window is still open at the end is no miss", () => {
    const told = story();
    told.trace.emit("smmu.stale-use", use);
    told.now = WINDOW_NS - 1;
    expect(told.result().holds).toBe(true);
  });

  test("a hardware reset drops every entry", () => {
    const told = story();
    told.trace.emit("smmu.stale-use", use);
    told.machine("hardware-reset", "first");
    told.now = 2 * WINDOW_NS;
    expect(told.result().holds).toBe(true);
  });
});
