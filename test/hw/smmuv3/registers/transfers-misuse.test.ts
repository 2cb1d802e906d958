// SPDX-License-Identifier: MIT
/** Broadcasts, DMA ports and batches that the types forbid or whose numbers cannot be. */
import { describe, expect, test } from "vitest";
import { type DmaEvents, Smmu, SmmuDmaPort, SystemBus, TranslationBatch, createSmmuHost, profiles } from "../../../../src/hw/index.ts";
import { Simulation, silentTrace } from "../../../../src/sim/index.ts";
import { type Untyped, misuse } from "../tables/misuse.ts";

const bus = new SystemBus(48);
const smmu = new Smmu(profiles.max, createSmmuHost({ simulation: new Simulation(), bus }));

describe("broadcast", () => {
  test.each<[unknown, string]>([
    [undefined, "undefined where an object is expected"],
    [{ operation: "VAE1", address: 0x1000 }, '"address" is unknown, addressHi may be meant'],
    [{ operation: "VMALLE1", e2h: 1 }, "TLBI VMALLE1: e2h is 1, it can be true or false"],
    [{ operation: "VMALLE1", vmid: null }, "TLBI VMALLE1: vmid is null, it can be 0 to 65535"],
  ])("%j", (tlbi, said) => expect(() => smmu.broadcast(tlbi as Untyped)).toThrow(misuse("BROADCAST_TLBI", said)));
});

describe("SmmuDmaPort", () => {
  const options = { smmu, bus, streamId: 0, name: "nic", trace: silentTrace<DmaEvents>() };
  test.each<[object, string]>([
    [{ streamId: -1 }, "streamId of an SmmuDmaPort is -1: it has to be a whole number from 0 to 0xffffffff"],
    [{ streamId: 1.5 }, "streamId of an SmmuDmaPort is 1.5"],
    [{ streamId: 2 ** 32 }, "streamId of an SmmuDmaPort is 0x100000000"],
    [{ smmu: undefined }, "smmu of an SmmuDmaPort is undefined: it has to be an Smmu"],
    [{ bus: {} }, "bus of an SmmuDmaPort is an object without readBytes, writeBytes"],
    [{ trace: undefined }, "trace of an SmmuDmaPort is undefined"],
    [{ name: undefined }, "name of an SmmuDmaPort is undefined"],
    [{ streamID: 1 }, '"streamID" is unknown, streamId is meant'],
  ])("options with %j", (change, said) => {
    expect(() => new SmmuDmaPort({ ...options, ...change } as Untyped)).toThrow(misuse("DMA_PORT", said));
  });
  test.each<[unknown, string]>([
    [null, "null where an object is expected"],
    [{ substreamID: 1 }, '"substreamID" is unknown, substreamId is meant'],
    [{ substreamId: -1 }, "substreamId of a DMA access is -1: it has to be a whole number from 0 to 0xfffff"],
    [{ substreamId: 2 ** 20 }, "substreamId of a DMA access is 0x100000"],
    [{ substreamId: 1.5 }, "substreamId of a DMA access is 1.5"],
    [{ privileged: 1 }, "privileged of a DMA access is 1: it has to be true or false"],
  ])("attributes %j", (attributes, said) => {
    const port = new SmmuDmaPort(options);
    expect(() => port.read(0, new Uint8Array(4), attributes as Untyped)).toThrow(misuse("DMA_PORT", said));
    expect(() => port.write(0, new Uint8Array(4), attributes as Untyped)).toThrow(misuse("DMA_PORT", said));
  });
  test("substreamId may be undefined, and 0 to 2^20 - 1", () => {
    const port = new SmmuDmaPort(options);
    for (const substreamId of [undefined, 0, 0xf_ffff] as Untyped[])
      expect(() => port.read(0, new Uint8Array(4), { substreamId, privileged: true })).not.toThrow();
  });
});

describe("TranslationBatch", () => {
  const code = "TRANSLATION_BATCH";
  test.each([0, -1, 1.5, NaN, 1e9, "4", undefined])("a capacity of %s", (capacity) => {
    expect(() => new TranslationBatch(capacity as Untyped)).toThrow(misuse(code, "capacity of a TranslationBatch", "from 1 to 0x1000000"));
  });
  test.each([5, -1, 0.5, NaN])("a count of %s in a batch of four", (count) => {
    const batch = Object.assign(new TranslationBatch(4), { count });
    expect(() => smmu.translateBatch(batch)).toThrow(misuse(code, `count of a TranslationBatch is ${count}`, "from 0 to 4"));
  });
  test.each([4, -1, 0.5])("index %s in a batch of four", (index) => {
    expect(() => new TranslationBatch(4).setAddress(index, 0)).toThrow(misuse(code, `index in a TranslationBatch is ${index}`, "0 to 3"));
  });
  test.each([-1, 2 ** 53, 0.5, NaN, -(2 ** 32)])("address %s", (address) => {
    expect(() => new TranslationBatch(4).setAddress(1, address)).toThrow(misuse(code, "address 1 of a TranslationBatch is"));
  });
  test("the largest address has its halves", () => {
    const batch = new TranslationBatch(1);
    batch.setAddress(0, 2 ** 53 - 1);
    expect([batch.addressHi[0], batch.addressLo[0]]).toEqual([0x1f_ffff, 0xffff_ffff]);
  });
});
