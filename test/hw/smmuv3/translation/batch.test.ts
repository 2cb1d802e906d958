// SPDX-License-Identifier: MIT
/** Batches: each answer is that of the same transaction asked alone. */
import { expect, test } from "vitest";
import * as hw from "../../../../src/hw/index.ts";
import { Simulation } from "../../../../src/sim/index.ts";

const RAM = 0x8000_0000;

function machine(): hw.Smmu {
  const bus = new hw.SystemBus(48);
  bus.addRam({ name: "ram", base: RAM, size: 0x1000_0000 });
  const simulation = new Simulation();
  const smmu = new hw.Smmu(hw.profiles["linux-typical"], hw.createSmmuHost({ simulation, bus }));
  const { memory } = bus;
  const arena = new hw.TableArena(RAM, 0x10_0000);
  const table = new hw.PageTable({ memory, arena, stage: 1, granule: 12 });
  table.map(0x1000, RAM + 0x80_0000, 0x2000);
  table.map(0x5000, RAM + 0x90_0000, 0x1000, { ap: 3 });
  const cd = arena.take(64);
  hw.writeWords(memory, cd, hw.stage1Cd({ ttb0: table }));
  const streams = new hw.StreamTables({ memory, arena, log2Size: 4 });
  streams.write(1, hw.stage1Ste(cd));
  smmu.write64(hw.registerOffset("STRTAB_BASE"), streams.base, 0);
  smmu.write(hw.registerOffset("STRTAB_BASE_CFG"), 4, streams.config);
  smmu.write(hw.registerOffset("CR0"), 4, 1);
  simulation.advance(1000);
  return smmu;
}

test("each answer is that of the same transaction asked alone", () => {
  const addresses = [0x1010, 0x2020, 0x3000, 0x1fff, 0x5000, 0xffff_ffff_f000, 0x1010];
  for (const write of [false, true]) {
    const alone = machine();
    const tx = Object.assign(new hw.Transaction(), { streamId: 1, write });
    const expected = addresses.map((address) => {
      tx.setAddress(address);
      return { outcome: alone.translate(tx), physical: tx.physical };
    });
    const batch = Object.assign(new hw.TranslationBatch(8), { streamId: 1, write, count: addresses.length });
    addresses.forEach((address, index) => batch.setAddress(index, address));
    const forwarded = machine().translateBatch(batch);
    expect(addresses.map((_, index) => ({ outcome: batch.outcome[index], physical: batch.physical[index] }))).toEqual(expected);
    expect(forwarded).toBe(expected.filter(({ outcome }) => outcome === hw.Outcome.forward).length);
    expect(forwarded).toBe(write ? 4 : 5);
  }
});
