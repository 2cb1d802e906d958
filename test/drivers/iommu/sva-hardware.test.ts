// SPDX-License-Identifier: GPL-2.0-only
/** Shared virtual addressing on the hardware model: a device works in a process's memory, with and without page faults. */
import { describe, expect, test } from "vitest";
import { ArmSmmuDevice, type ArmSmmuShutdown } from "../../../src/drivers/index.ts";
import {
  createSmmuHost,
  type DmaEvents,
  DmaStatus,
  profiles,
  Smmu,
  type SmmuConfig,
  SmmuDmaPort,
  type SmmuEvents,
} from "../../../src/hw/index.ts";
import {
  copy_from_user,
  copy_to_user,
  type IommuSva,
  iommu_sva_bind_device,
  iommu_sva_get_pasid,
  iommu_sva_unbind_device,
  mm_alloc,
  mmput,
  type MmStruct,
  msleep,
  VM_READ,
  VM_WRITE,
  vm_mmap,
  vm_munmap,
} from "../../../src/kernel/index.ts";
import { type Coroutine, silentTrace, Trace } from "../../../src/sim/index.ts";
import { CLIENT_SID, EVTQ_IRQ, GERROR_IRQ, Machine, RAM_BASE, RAM_SIZE } from "./machine.ts";

/** Gives the event time to become a fault that waits. */
function* unbind_after_fault(r: Rig, handle: IommuSva): Coroutine<void> {
  yield* msleep(5);
  expect(r.machine.client.iommu!.fault_param!.faults.size).toBe(1);
  yield* iommu_sva_unbind_device(handle);
}

const RW = VM_READ | VM_WRITE;
const PAGE = 0x1000;

class Rig {
  readonly machine: Machine;
  readonly port: SmmuDmaPort;
  readonly stale: unknown[] = [];
  /** Events by name. */
  readonly recorded: string[] = [];
  readonly driver: ArmSmmuDevice;

  constructor(config: SmmuConfig, canStall: boolean, shutdown: ArmSmmuShutdown = "bypass") {
    let smmu: Smmu | undefined;
    const trace = new Trace<SmmuEvents>();
    trace.on("smmu.stale-use", ({ data }) => this.stale.push(data));
    trace.on("smmu.event", ({ data }) => this.recorded.push(data.text.split(/[\s:,(]/, 1)[0]!));
    this.machine = new Machine({
      coherent: config.coherent,
      driver: { shutdown },
      clientProperties: { "pasid-num-bits": 4, ...(canStall ? { "dma-can-stall": true } : {}) },
      smmu: ({ sim, bus, controller }) => {
        const pulse = (line: string): void => controller.raise(line === "eventq" ? EVTQ_IRQ : GERROR_IRQ);
        smmu = new Smmu(config, createSmmuHost({ simulation: sim, bus, trace, pulse }), { trace, detector: true });
        return { size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth };
      },
    }).boot();
    const driver = this.machine.smmuDevice.drvdata;
    if (!(driver instanceof ArmSmmuDevice)) throw new Error(`not bound: ${this.machine.log.join(" | ")}`);
    this.driver = driver;
    this.port = new SmmuDmaPort({
      smmu: smmu!,
      bus: this.machine.bus,
      streamId: CLIENT_SID,
      name: "client",
      trace: silentTrace<DmaEvents>(),
    });
  }

  process(): MmStruct {
    const mm = mm_alloc(this.machine.kernel, "app");
    if (mm === null) throw new Error("no memory");
    return mm;
  }

  /** Memory of a process with these bytes at its start. */
  memory(mm: MmStruct, bytes: readonly number[], flags = RW, length = PAGE): number {
    const at = this.machine.run(vm_mmap(mm, length, flags));
    if (this.machine.run(copy_to_user(mm, at, Uint8Array.from(bytes))) !== 0) throw new Error("the process cannot write");
    return at;
  }

  bind(mm: MmStruct): IommuSva {
    const handle = this.machine.run(iommu_sva_bind_device(this.machine.client, mm));
    if (typeof handle === "number") throw new Error(`not bound: ${handle}`);
    return handle;
  }

  /** An access of the device; one that stalls is given time. */
  access(pasid: number, at: number, bytes: Uint8Array, write: boolean): { readonly first: DmaStatus; readonly last: DmaStatus } {
    let last: DmaStatus | undefined;
    const attributes = { substreamId: pasid, onCompletion: (status: DmaStatus) => (last = status) };
    const first = write ? this.port.write(at, bytes, attributes) : this.port.read(at, bytes, attributes);
    if (first === DmaStatus.stalled) this.machine.idle(10_000_000);
    return { first, last: first === DmaStatus.stalled ? (last ?? DmaStatus.stalled) : first };
  }
  read(pasid: number, at: number): { readonly status: DmaStatus; readonly stalled: boolean; readonly value: number } {
    const out = new Uint8Array(1);
    const { first, last } = this.access(pasid, at, out, false);
    return { status: last, stalled: first === DmaStatus.stalled, value: out[0]! };
  }
  write(pasid: number, at: number, value: number): { readonly status: DmaStatus; readonly stalled: boolean } {
    const { first, last } = this.access(pasid, at, Uint8Array.of(value), true);
    return { status: last, stalled: first === DmaStatus.stalled };
  }

  /** The SMMU driver's hook, if it has one. */
  shutDown(): void {
    const { smmuDevice } = this.machine;
    const hook = smmuDevice.driver!.shutdown;
    if (hook) this.machine.run(hook(smmuDevice));
    this.recorded.length = 0;
  }

  user(mm: MmStruct, at: number): number {
    const out = new Uint8Array(1);
    if (this.machine.run(copy_from_user(mm, at, out)) !== 0) throw new Error("the process cannot read");
    return out[0]!;
  }

  events(): string[] {
    return this.machine.log.filter((line) => line.includes(" event: "));
  }
}

/** SVA needs coherent walks, 48-bit physical addresses and 16-bit ASIDs. */
const CONFIGS = Object.values(profiles)
  .filter(({ name }) => name === "linux-typical" || name === "max")
  .map((config) => [config.name, config] as const);
const OK = { status: DmaStatus.ok, stalled: false };
const ABORT = { status: DmaStatus.abort, stalled: false };

describe.each(CONFIGS)("profile %s, a device that cannot stall", (_name, config) => {
  test("reads and writes the memory of the process under the PASID, at the process's addresses", () => {
    const r = new Rig(config, false);
    const mm = r.process();
    const at = r.memory(mm, [7, 8]);
    const pasid = iommu_sva_get_pasid(r.bind(mm));
    expect(r.read(pasid, at + 1)).toEqual({ ...OK, value: 8 });
    expect(r.write(pasid, at, 42)).toEqual(OK);
    expect(r.user(mm, at)).toBe(42);
    expect(r.stale).toEqual([]);
  });

  test("two processes have a PASID each, and the same address means memory of its own", () => {
    const r = new Rig(config, false);
    const [one, two] = [r.process(), r.process()];
    const at = r.memory(one, [1]);
    expect(r.memory(two, [2])).toBe(at);
    const [first, second] = [r.bind(one), r.bind(two)].map(iommu_sva_get_pasid);
    expect(first).not.toBe(second);
    expect([r.read(first!, at).value, r.read(second!, at).value]).toEqual([1, 2]);
  });

  test("munmap invalidates before the page is free: the device is refused and nothing stale is used", () => {
    const r = new Rig(config, false);
    const mm = r.process();
    const at = r.memory(mm, [7], RW, 4 * PAGE);
    const pasid = iommu_sva_get_pasid(r.bind(mm));
    expect(r.read(pasid, at)).toEqual({ ...OK, value: 7 });
    expect(r.machine.run(vm_munmap(mm, at, PAGE))).toBe(0);
    expect(r.read(pasid, at)).toMatchObject(ABORT);
    expect(r.stale).toEqual([]);
  });

  test("a page that is there but not dirty refuses the device's write until the process has written", () => {
    const r = new Rig(config, false);
    const mm = r.process();
    const at = r.memory(mm, []);
    const pasid = iommu_sva_get_pasid(r.bind(mm));
    expect(r.user(mm, at)).toBe(0);
    expect(r.read(pasid, at)).toEqual({ ...OK, value: 0 });
    expect(r.write(pasid, at, 1)).toEqual(ABORT);
    expect(r.machine.run(copy_to_user(mm, at, Uint8Array.of(5)))).toBe(0);
    expect(r.write(pasid, at, 1)).toEqual(OK);
  });

  test("after exit every access is refused, without an event and without C_BAD_CD, and the pages are free", () => {
    const r = new Rig(config, false);
    const mm = r.process();
    const free = r.machine.kernel.mm.freeBytes;
    const at = r.memory(mm, [7]);
    const handle = r.bind(mm);
    const pasid = iommu_sva_get_pasid(handle);
    expect(r.read(pasid, at).status).toBe(DmaStatus.ok);
    r.machine.run(mmput(mm));
    const events = r.events().length;
    expect(r.read(pasid, at)).toMatchObject(ABORT);
    r.machine.idle(1_000_000);
    expect(r.events().slice(events)).toEqual([]);
    expect(r.stale).toEqual([]);
    r.machine.run(iommu_sva_unbind_device(handle));
    // The process's first table goes with the last bond; its CD table stays.
    expect(r.machine.kernel.mm.ownerOf(mm.pgd)).toBeNull();
    expect(r.machine.kernel.iommu.global_pasids.size).toBe(0);
    expect(r.machine.kernel.mm.freeBytes).toBeGreaterThanOrEqual(free);
    expect(r.machine.kernel.warnings).toEqual([]);
  });

  test("after unbind the PASID is refused and the process lives on; bound again, it works again", () => {
    const r = new Rig(config, false);
    const mm = r.process();
    const at = r.memory(mm, [7]);
    const handle = r.bind(mm);
    const pasid = iommu_sva_get_pasid(handle);
    expect(r.bind(mm)).toBe(handle);
    r.machine.run(iommu_sva_unbind_device(handle));
    expect(r.read(pasid, at)).toEqual({ ...OK, value: 7 });
    r.machine.run(iommu_sva_unbind_device(handle));
    expect(r.read(pasid, at)).toMatchObject(ABORT);
    expect(r.user(mm, at)).toBe(7);
    expect(iommu_sva_get_pasid(r.bind(mm))).toBe(pasid);
    expect(r.read(pasid, at)).toEqual({ ...OK, value: 7 });
    expect(r.stale).toEqual([]);
  });
});

const STALLED = { status: DmaStatus.ok, stalled: true };
const STALLED_ABORT = { status: DmaStatus.abort, stalled: true };

describe.each(CONFIGS)("profile %s, a device whose faults stall", (_name, config) => {
  test("memory that nobody has touched: the access waits for the page and succeeds, and no event is printed", () => {
    const r = new Rig(config, true);
    const mm = r.process();
    const at = r.memory(mm, []);
    const pasid = iommu_sva_get_pasid(r.bind(mm));
    expect(r.write(pasid, at + 5, 99)).toEqual(STALLED);
    expect(r.user(mm, at + 5)).toBe(99);
    expect(r.read(pasid, at + 5)).toEqual({ ...OK, value: 99 });
    expect(r.events()).toEqual([]);
    expect(r.stale).toEqual([]);
  });

  test("a clean page: the write waits until it is dirty, and the stale read-only entry is gone", () => {
    const r = new Rig(config, true);
    const mm = r.process();
    const at = r.memory(mm, []);
    const pasid = iommu_sva_get_pasid(r.bind(mm));
    expect(r.read(pasid, at)).toEqual({ ...STALLED, value: 0 });
    expect(r.read(pasid, at)).toEqual({ ...OK, value: 0 });
    expect(r.write(pasid, at, 3)).toEqual(STALLED);
    expect(r.user(mm, at)).toBe(3);
    expect(r.stale).toEqual([]);
  });

  test.each([
    ["beyond the process's memory", RW, PAGE],
    ["a write to memory that may only be read", VM_READ, 0],
  ])("%s: the access is answered with an abort", (_what, flags, offset) => {
    const r = new Rig(config, true);
    const mm = r.process();
    const at = r.memory(mm, [], flags);
    const pasid = iommu_sva_get_pasid(r.bind(mm));
    expect(r.write(pasid, at + offset, 1)).toEqual(STALLED_ABORT);
    expect(r.driver.streams.get(CLIENT_SID)!.iopf_refcount).toBe(1);
  });

  test("munmap of what was faulted in: the next access faults again and is refused", () => {
    const r = new Rig(config, true);
    const mm = r.process();
    const at = r.memory(mm, []);
    const pasid = iommu_sva_get_pasid(r.bind(mm));
    expect(r.write(pasid, at, 1)).toEqual(STALLED);
    r.machine.run(vm_munmap(mm, at, PAGE));
    expect(r.write(pasid, at, 2)).toEqual(STALLED_ABORT);
    expect(r.stale).toEqual([]);
  });

  test("without memory for the page the access is refused", () => {
    const r = new Rig(config, true);
    const { kernel } = r.machine;
    const mm = r.process();
    const at = r.memory(mm, []);
    const pasid = iommu_sva_get_pasid(r.bind(mm));
    kernel.mm.alloc_pages = () => -1;
    expect(r.write(pasid, at, 1)).toEqual(STALLED_ABORT);
  });

  test("an access after exit is aborted at once: the released descriptor does not stall", () => {
    const r = new Rig(config, true);
    const mm = r.process();
    const at = r.memory(mm, []);
    const pasid = iommu_sva_get_pasid(r.bind(mm));
    expect(r.write(pasid, at, 1)).toEqual(STALLED);
    r.machine.run(mmput(mm));
    expect(r.write(pasid, at, 1)).toEqual(ABORT);
  });

  test("an access without PASID that stalls is refused at once and printed: the DMA API's domain handles no faults", () => {
    const r = new Rig(config, true);
    let last: DmaStatus | undefined;
    expect(r.port.read(0x1234_0000, new Uint8Array(1), { onCompletion: (status) => (last = status) })).toBe(DmaStatus.stalled);
    r.machine.idle(10_000_000);
    expect(last).toBe(DmaStatus.abort);
    expect(r.events()).toHaveLength(1);
  });

  test("faults that wait when the bond ends are refused", () => {
    const r = new Rig(config, true);
    const mm = r.process();
    const at = r.memory(mm, []);
    const handle = r.bind(mm);
    const pasid = iommu_sva_get_pasid(handle);
    let last: DmaStatus | undefined;
    const ended = r.machine.run(
      (function* () {
        // The handler needs the lock, so the fault waits.
        yield* mm.mmap_lock.lock("test");
        r.port.write(at, Uint8Array.of(1), { substreamId: pasid, onCompletion: (status) => (last = status) });
        yield* unbind_after_fault(r, handle);
        mm.mmap_lock.unlock();
        return true;
      })(),
    );
    expect(ended).toBe(true);
    r.machine.idle(10_000_000);
    expect(last).toBe(DmaStatus.abort);
    expect(r.machine.client.iommu!.fault_param).toBeUndefined();
  });
});

describe("after the SMMU driver's shutdown, while the device works on in the process", () => {
  const config = profiles["linux-typical"]!;
  /** RAM that the process has not got: its addresses begin above all RAM of the machine. */
  const RAW = RAM_BASE + 0x800_0000;
  const NOTHING: readonly string[] = [];

  /** A device that was at work, and the hook. */
  function afterHook(shutdown: ArmSmmuShutdown, canStall = false): { r: Rig; mm: MmStruct; at: number; pasid: number } {
    const r = new Rig(config, canStall, shutdown);
    const mm = r.process();
    const at = r.memory(mm, [7]);
    expect(at).toBeGreaterThan(RAM_BASE + RAM_SIZE);
    const pasid = iommu_sva_get_pasid(r.bind(mm));
    expect(r.write(pasid, at, 8)).toEqual(OK);
    r.shutDown();
    return { r, mm, at, pasid };
  }

  // With SMMUEN 0 SubstreamIDs mean nothing, and GBPA says what happens (IHI 0070 §3.11, §6.3.14); an STE of Config 0 refuses
  // every SubstreamID in silence, an invalid one is C_BAD_STE (§5.2).
  test.each<[ArmSmmuShutdown, string, DmaStatus, DmaStatus, readonly string[]]>([
    ["none", "goes on in the process's memory", DmaStatus.ok, DmaStatus.abort, ["F_TRANSLATION"]],
    ["leave-on", "goes on in the process's memory", DmaStatus.ok, DmaStatus.abort, ["F_TRANSLATION"]],
    ["bypass", "has its addresses taken for physical ones", DmaStatus.abort, DmaStatus.ok, NOTHING],
    ["gbpa-bypass", "has its addresses taken for physical ones", DmaStatus.abort, DmaStatus.ok, NOTHING],
    ["remove", "has its addresses taken for physical ones", DmaStatus.abort, DmaStatus.ok, NOTHING],
    ["abort", "is refused in silence", DmaStatus.abort, DmaStatus.abort, NOTHING],
    ["blocked", "is refused in silence", DmaStatus.abort, DmaStatus.abort, NOTHING],
    ["audit", "is refused and recorded", DmaStatus.abort, DmaStatus.abort, ["C_BAD_STE", "C_BAD_STE"]],
  ])("%s: it %s", (shutdown, _what, mapped, raw, events) => {
    const { r, mm, at, pasid } = afterHook(shutdown);
    expect(r.write(pasid, at, 42).status).toBe(mapped);
    expect(r.user(mm, at)).toBe(mapped === DmaStatus.ok ? 42 : 8);
    expect(r.write(pasid, RAW, 9).status).toBe(raw);
    const there = new Uint8Array(1);
    r.machine.kernel.platform.bus.readBytes(RAW, there);
    expect(there[0]).toBe(raw === DmaStatus.ok ? 9 : 0);
    expect(r.recorded).toEqual(events);
    expect(r.stale).toEqual([]);
  });

  // `none` has its queues and interrupts, so the fault is handled. Without SMMUEN nothing stalls, nor where no table is reached.
  test.each<[ArmSmmuShutdown, object]>([
    ["none", STALLED],
    ["bypass", ABORT],
    ["gbpa-bypass", ABORT],
    ["remove", ABORT],
    ["abort", ABORT],
    ["blocked", ABORT],
    ["audit", ABORT],
  ])("%s: an access to a page of the process that is not there yet, of a device that can stall", (shutdown, met) => {
    const r = new Rig(config, true, shutdown);
    const mm = r.process();
    const at = r.memory(mm, [7], RW, 2 * PAGE);
    const pasid = iommu_sva_get_pasid(r.bind(mm));
    r.shutDown();
    expect(r.write(pasid, at + PAGE, 1)).toEqual(met);
  });

  test.each<ArmSmmuShutdown>(["bypass", "gbpa-bypass", "remove", "abort"])(
    "%s: an access that stalls when SMMUEN goes to 0 ends in an abort, and none is left (§3.12.2)",
    (shutdown) => {
      const r = new Rig(config, true, shutdown);
      const mm = r.process();
      const at = r.memory(mm, []);
      const pasid = iommu_sva_get_pasid(r.bind(mm));
      let last: DmaStatus | undefined;
      const hook = r.machine.smmuDevice.driver!.shutdown!;
      const met = r.machine.run(
        (function* (): Coroutine<DmaStatus | undefined> {
          // The handler needs the lock, so the fault waits.
          yield* mm.mmap_lock.lock("test");
          r.port.write(at, Uint8Array.of(1), { substreamId: pasid, onCompletion: (status) => (last = status) });
          yield* msleep(5);
          expect(last).toBeUndefined();
          const task = r.machine.kernel.spawn("reboot", hook(r.machine.smmuDevice));
          yield* msleep(5);
          mm.mmap_lock.unlock();
          yield* msleep(5);
          expect(task.state).toBe("done");
          return last;
        })(),
      );
      expect(met).toBe(DmaStatus.abort);
    },
  );
});
