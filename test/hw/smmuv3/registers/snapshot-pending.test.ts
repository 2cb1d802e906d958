// SPDX-License-Identifier: MIT
/** What an SMMU has accepted and not carried out goes with its snapshot: Updates, commands, invalidations, the failure mode. */
import { describe, expect, test } from "vitest";
import { HostMisuseError, profiles, registerOffset, restoreSnapshot, type SmmuSnapshot, snapshotOf } from "../../../../src/hw/index.ts";
import { CFGI_STE, CMDQ, CMDQEN, Driver, EVENTQEN, PA, SMMUEN, STREAM, SYNC, at } from "../lint/driver.ts";

const IRQ_CTRL = registerOffset("IRQ_CTRL");
const IRQ_CTRLACK = registerOffset("IRQ_CTRLACK");
const AT_SYNC = { choices: { maintenance: "at-sync" } } as const;

/** Another machine with the memory of `one`, as a file would carry the SMMU there. */
function copyOf(one: Driver, options = {}, change: (snapshot: SmmuSnapshot) => object = (snapshot) => snapshot): Driver {
  const other = new Driver(one.smmu.config, options);
  for (const { address, bytes } of one.bus.memory.pages()) other.bus.memory.writeBytes(address, bytes);
  other.prod = one.prod;
  restoreSnapshot(other.smmu, change(JSON.parse(JSON.stringify(snapshotOf(one.smmu))) as SmmuSnapshot) as SmmuSnapshot);
  return other;
}

/** A running SMMU whose stream has been used. */
function running(options = {}): Driver {
  const driver = new Driver({}, options);
  driver.start();
  driver.install(driver.attach().ste);
  driver.dma();
  return driver;
}

describe("Updates", () => {
  test.each([SMMUEN, EVENTQEN, CMDQEN])("IHI 0070 §6.3.9: the Update of CR0 field %i ends, and the field can be written again", (field) => {
    for (const on of [true, false]) {
      const driver = running();
      const all = SMMUEN | EVENTQEN | CMDQEN;
      if (on) driver.cr0(all & ~field);
      driver.w32(at.CR0, on ? all : all & ~field);
      const copy = copyOf(driver);
      expect(copy.r32(at.CR0ACK)).toBe(driver.r32(at.CR0ACK));
      copy.simulation.advance(100_000);
      expect(copy.r32(at.CR0ACK)).toBe(on ? all : all & ~field);
      copy.cr0(on ? all & ~field : all);
    }
  });

  test("IHI 0070 §6.3.16: that of IRQ_CTRL ends, too", () => {
    const driver = running();
    driver.w32(IRQ_CTRL, 5);
    const copy = copyOf(driver);
    copy.simulation.advance(100_000);
    expect(copy.r32(IRQ_CTRLACK)).toBe(5);
    copy.w32(IRQ_CTRL, 0);
    copy.simulation.advance(100_000);
    expect(copy.r32(IRQ_CTRLACK)).toBe(0);
  });
});

describe("commands", () => {
  test("IHI 0070 §3.5.1: what is in the queue is consumed when time passes", () => {
    const driver = running();
    driver.w32(at.CMDQ_PROD, driver.prod);
    driver.bus.memory.storeWords(CMDQ + 16 * (driver.prod % 16), SYNC, 4);
    driver.prod = (driver.prod + 1) % 32;
    driver.w32(at.CMDQ_PROD, driver.prod);
    const copy = copyOf(driver);
    expect(copy.r32(at.CMDQ_CONS)).not.toBe(driver.prod);
    copy.simulation.advance(100_000);
    expect(copy.r32(at.CMDQ_CONS)).toBe(driver.prod);
  });
});

describe("invalidations that wait (choice maintenance: at-sync)", () => {
  /** An STE is gone from memory and its CMD_CFGI_STE consumed, without a CMD_SYNC. */
  function invalidated(): Driver {
    const driver = running(AT_SYNC);
    driver.streams.write(STREAM, new Uint32Array(16));
    driver.issue(CFGI_STE);
    return driver;
  }

  test("IHI 0070 §4.7.3: the CMD_SYNC after a restart completes them", () => {
    const copy = copyOf(invalidated(), AT_SYNC);
    expect(copy.dma()).toBe(PA);
    copy.issue(SYNC);
    expect(copy.dma()).toBeUndefined();
  });

  test("taking a snapshot completes nothing", () => {
    const driver = invalidated();
    snapshotOf(driver.smmu);
    expect(driver.dma()).toBe(PA);
  });

  test("an SMMU that holds nothing back carries them out at once", () => {
    expect(copyOf(invalidated()).dma()).toBeUndefined();
  });

  test("IHI 0070 §3.17: broadcast ones wait for the DSB", () => {
    const driver = running(AT_SYNC);
    driver.smmu.broadcast({ operation: "ALLE1" });
    const copy = copyOf(driver, AT_SYNC);
    expect(copy.smmu.translation.tlb.entriesInUse).toBeGreaterThan(0);
    copy.smmu.broadcastSync();
    expect(copy.smmu.translation.tlb.entriesInUse).toBe(0);
  });

  test("one that there is not is an error", () => {
    const bad = (snapshot: SmmuSnapshot): object => ({
      ...snapshot,
      pending: { ...snapshot.pending, invalidations: [{ on: "tlb", name: "all", operands: [] }] },
    });
    expect(() => copyOf(invalidated(), {}, bad)).toThrow(RangeError);
  });
});

test("IHI 0070 §12.3: Service Failure Mode goes with it, though SFM_ERR is acknowledged", () => {
  const driver = running();
  driver.smmu.failService();
  driver.w32(at.GERRORN, driver.r32(at.GERROR));
  const copy = copyOf(driver);
  expect(copy.dma()).toBeUndefined();
  copy.issue(SYNC);
  expect(copy.r32(at.CMDQ_CONS)).not.toBe(copy.prod);
});

describe("another configuration", () => {
  test("is refused, and what differs is named", () => {
    const { smmu } = new Driver(profiles.tiny);
    expect(() => restoreSnapshot(smmu, snapshotOf(running().smmu))).toThrow(HostMisuseError);
    const other = new Driver({ asid16: false });
    expect(() => restoreSnapshot(other.smmu, snapshotOf(running().smmu))).toThrow("asid16 is true there and false here");
  });

  test("sizes of caches may differ", () => {
    const driver = running();
    const other = new Driver({ caches: { ...driver.smmu.config.caches, tlb: 8 } });
    expect(() => restoreSnapshot(other.smmu, snapshotOf(driver.smmu))).not.toThrow();
  });

  test("an object that is no snapshot is refused", () => {
    expect(() => restoreSnapshot(running().smmu, {} as SmmuSnapshot)).toThrow(HostMisuseError);
  });
});
