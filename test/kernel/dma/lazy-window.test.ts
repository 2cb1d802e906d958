// SPDX-License-Identifier: GPL-2.0-only
/** The window of lazy invalidation on the hardware model: what its TLB still has, a device can still use. */
import { describe, expect, test } from "vitest";
import { createSmmuHost, type DmaEvents, DmaStatus, profiles, Smmu, SmmuDmaPort, type SmmuEvents } from "../../../src/hw/index.ts";
import { DMA_BIDIRECTIONAL, dma_map_single, dma_unmap_single, KernelBuffer, PAGE_SIZE } from "../../../src/kernel/index.ts";
import { silentTrace, Trace } from "../../../src/sim/index.ts";
import { CLIENT_SID, EVTQ_IRQ, GERROR_IRQ, Machine } from "../../drivers/iommu/machine.ts";

const MS = 1_000_000;

interface Rig {
  readonly machine: Machine;
  readonly port: SmmuDmaPort;
  readonly commands: string[];
  map(): { readonly buffer: KernelBuffer; readonly dma: number };
  unmap(dma: number): void;
  read(dma: number): { readonly status: DmaStatus; readonly first: number };
}

function rig(iommuStrict: boolean): Rig {
  let smmu: Smmu | undefined;
  const trace = new Trace<SmmuEvents>();
  const commands: string[] = [];
  trace.on("smmu.command", ({ data }) => commands.push(data.text.split(" ")[0]!));
  const machine = new Machine({
    params: { iommuStrict },
    smmu: ({ sim, bus, controller }) => {
      const pulse = (line: string): void => controller.raise(line === "eventq" ? EVTQ_IRQ : GERROR_IRQ);
      smmu = new Smmu(profiles["linux-typical"], createSmmuHost({ simulation: sim, bus, trace, pulse }), { trace });
      return { size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth };
    },
  }).boot();
  const port = new SmmuDmaPort({ smmu: smmu!, bus: machine.bus, streamId: CLIENT_SID, name: "client", trace: silentTrace<DmaEvents>() });
  // The boot ends with a prefetch that nobody waits for.
  machine.idle(MS);
  commands.length = 0;
  return {
    machine,
    port,
    commands,
    map: () => {
      const buffer = KernelBuffer.alloc(machine.kernel, PAGE_SIZE, "client")!;
      buffer.fill(0x5a);
      return { buffer, dma: dma_map_single(machine.client, buffer.pa, PAGE_SIZE, DMA_BIDIRECTIONAL) };
    },
    unmap: (dma) => machine.run(dma_unmap_single(machine.client, dma, PAGE_SIZE, DMA_BIDIRECTIONAL)),
    read: (dma) => {
      const out = new Uint8Array(4);
      return { status: port.read(dma, out), first: out[0]! };
    },
  };
}

describe("iommu.strict=0", () => {
  test("a device reads a freed page, with what its next owner wrote, until the queue is flushed", () => {
    const { machine, map, unmap, read } = rig(false);
    const { buffer, dma } = map();
    expect(read(dma)).toEqual({ status: DmaStatus.ok, first: 0x5a });
    unmap(dma);
    const { pa } = buffer;
    buffer.free();
    machine.bus.memory.writeBytes(pa, Uint8Array.of(0x77));
    expect(read(dma)).toEqual({ status: DmaStatus.ok, first: 0x77 });
    machine.idle(9 * MS);
    expect(read(dma)).toEqual({ status: DmaStatus.ok, first: 0x77 });
    machine.idle(2 * MS);
    expect(read(dma).status).toBe(DmaStatus.abort);
  });

  test("what the TLB never had faults at once", () => {
    const { map, unmap, read } = rig(false);
    const { dma } = map();
    unmap(dma);
    expect(read(dma).status).toBe(DmaStatus.abort);
  });

  test("the flush is one invalidation of the domain's ASID, however many pages were unmapped", () => {
    const { machine, map, unmap, commands } = rig(false);
    const pages = [map(), map(), map()];
    for (const { dma } of pages) unmap(dma);
    expect(commands).toEqual([]);
    machine.idle(11 * MS);
    expect(commands).toEqual(["CMD_TLBI_NH_ASID", "CMD_SYNC"]);
  });
});

test("iommu.strict=1: after the unmap the address faults at once", () => {
  const { map, unmap, read } = rig(true);
  const { dma } = map();
  expect(read(dma).status).toBe(DmaStatus.ok);
  unmap(dma);
  expect(read(dma).status).toBe(DmaStatus.abort);
});
