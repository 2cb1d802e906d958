// SPDX-License-Identifier: MIT
// DMA of a device through the SMMU, and the cycle of a driver whose buffers come and go.
import * as hw from "../../dist/hw/index.js";
import { makeMachine } from "../machine.mjs";
import { subject } from "../measure.mjs";
import { makeTrace, VA_BASE } from "../workload.mjs";
import { nativeSubject } from "./native.mjs";
import { fitting, reference } from "./translation.mjs";

const MIB = 0x10_0000;
/** Transfers of one sample: of 1 MiB there are fewer, each of 256 translations. */
const transfers = (bytes) => (bytes === MIB ? 64 : 16384);
const name = (bytes) => (bytes === MIB ? "1 MiB" : bytes === 4096 ? "4 KiB" : `${bytes} B`);

function transfer(bytes, pages, write) {
  let made;
  return subject({
    id: `dma/${write ? "write" : "read"}/${bytes}/${pages}`,
    label: `DMA ${write ? "write" : "read"}, ${name(bytes)}, ${pages} pages`,
    unit: "transfer",
    axes: { kind: "dma", bytes, pages },
    bytes,
    settle: true,
    operations: transfers(bytes),
    prepare: () => {
      if (made) return;
      const machine = makeMachine({ pages, streams: 4, caches: fitting(pages) });
      for (let page = 0; page < pages; page++) machine.memory.fill(machine.output + page * 4096, 4096, (page & 0xff) | 1);
      const ports = Array.from(
        { length: 4 },
        (_, streamId) => new hw.SmmuDmaPort({ smmu: machine.smmu, bus: machine.bus, streamId, name: "device", trace: machine.trace }),
      );
      const { stream, hi, lo } = makeTrace({ pages, pattern: "rnd", streams: 4 });
      // The addresses are worked out beforehand: that is none of what is measured.
      const addresses = Float64Array.from({ length: transfers(bytes) }, (_, i) => {
        const exact = hi[i] * 2 ** 32 + (lo[i] >>> 0);
        return bytes < 4096 ? exact : VA_BASE + Math.floor((exact - VA_BASE) / bytes) * bytes;
      });
      made = { ports, buffer: new Uint8Array(bytes), addresses, stream };
    },
    run: () => {
      const { ports, buffer, addresses, stream } = made;
      for (let i = 0; i < addresses.length; i++) {
        const port = ports[bytes > 4096 ? 0 : stream[i]];
        const status = write ? port.write(addresses[i], buffer) : port.read(addresses[i], buffer);
        if (status !== hw.DmaStatus.ok) throw new Error(`transfer ${i} ended with ${status}`);
      }
    },
    dispose: () => (made = undefined),
  });
}

/** What no transfer in this language can beat: pages copied from views that lie ready, without any translation. */
function bareCopy(bytes) {
  let made;
  return subject({
    id: `dma/bare/${bytes}`,
    label: `bare copy from a view, ${name(bytes)}`,
    unit: "transfer",
    axes: { kind: "bare", bytes },
    bytes,
    settle: true,
    operations: transfers(bytes),
    prepare: () => {
      const views = Array.from({ length: 1024 }, (_, page) => new Uint8Array(bytes).fill((page & 0xff) | 1));
      made ??= { views, out: new Uint8Array(bytes), pages: makeTrace({ pages: 1024, pattern: "rnd", streams: 4 }).lo };
    },
    run: () => {
      const { views, out, pages } = made;
      for (let i = 0; i < transfers(bytes); i++) out.set(views[(pages[i] >>> 12) & 1023]);
    },
    dispose: () => (made = undefined),
  });
}

const ROUND = 64;
const CYCLES = 10_240;

/**
 * What a driver does for each buffer: map it, let the device use it, unmap it, invalidate its translation and wait.
 * @param batch buffers that are unmapped together, with one wait
 */
function churn(batch) {
  let made;
  const prepare = () => {
    if (made) return;
    const machine = makeMachine({ pages: 1024, streams: 1, caches: fitting(1024) });
    const { table, smmu, bus, trace } = machine;
    const port = new hw.SmmuDmaPort({ smmu, bus, streamId: 0, name: "device", trace });
    const entries = Array.from({ length: 1024 }, (_, page) => table.entryAddress(VA_BASE + page * 4096, 3));
    const leaves = entries.map((entry) => table.read(entry));
    const commands = entries.map((_, page) =>
      hw.buildCommand("CMD_TLBI_NH_VA", { VMID: 1, ASID: 1, Leaf: 1, Address: VA_BASE + page * 4096 }),
    );
    for (const entry of entries) table.write(entry, [0, 0]);
    made = { machine, port, entries, leaves, commands, sync: hw.buildCommand("CMD_SYNC"), bytes: new Uint8Array(ROUND), next: 0 };
  };
  return subject({
    id: `churn/${batch}`,
    label: `map, DMA, unmap, TLBI, sync${batch === 1 ? "" : `; ${batch} a batch`}`,
    unit: "buffer",
    base: "reference/dma",
    axes: { kind: "churn", batch },
    operations: CYCLES,
    prepare,
    run: () => {
      const { machine, port, entries, leaves, commands, sync, bytes } = made;
      const { memory, queues } = machine;
      for (let done = 0; done < CYCLES; done += batch) {
        for (let i = 0; i < batch; i++) {
          const page = (made.next + i) & 1023;
          const [low, high] = leaves[page];
          memory.write32(entries[page] + 4, high);
          memory.write32(entries[page], low);
          if (port.write(VA_BASE + page * 4096, bytes) !== hw.DmaStatus.ok) throw new Error(`page ${page}: not mapped`);
        }
        for (let i = 0; i < batch; i++) {
          const page = (made.next + i) & 1023;
          memory.write32(entries[page], 0);
          queues.put(commands[page]);
        }
        queues.put(sync);
        queues.ring();
        made.next = (made.next + batch) & 1023;
      }
    },
    /** After its cycle a buffer is gone. */
    check: () => {
      if (made.port.write(VA_BASE, made.bytes) !== hw.DmaStatus.abort) throw new Error("a buffer outlives its unmapping");
      made.machine.queues.drain();
    },
    dispose: () => (made = undefined),
  });
}

export function dma({ quick }, native) {
  const sizes = quick ? [64, 4096] : [64, 4096, MIB];
  return [
    reference("dma"),
    ...sizes.map((bytes) => transfer(bytes, 1024, false)),
    ...sizes.map((bytes) => transfer(bytes, 1024, true)),
    bareCopy(64),
    bareCopy(4096),
    ...(native === undefined
      ? []
      : sizes.map((bytes) =>
          nativeSubject(native, {
            id: `dma/${bytes}`,
            label: `translate and memcpy, ${name(bytes)}`,
            what: `dma-${bytes}`,
            pages: 1024,
            pattern: "rnd",
            operations: transfers(bytes),
            unit: "transfer",
          }),
        )),
    churn(1),
    churn(64),
  ];
}
