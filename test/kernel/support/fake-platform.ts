// SPDX-License-Identifier: GPL-2.0-only
/**
 * A machine for tests of kernel code: RAM, register windows made of functions, an interrupt controller, and firmware that
 * only writes down what it was asked for. No silicon is involved.
 */
import {
  type CpuBus,
  type DriverModule,
  type DtNode,
  dtNode,
  ExternalAbort,
  type FirmwarePort,
  type InterruptPort,
  Kernel,
  type KernelEvents,
  type KernelOptions,
  type KernelParameters,
  type MemoryKind,
  type PageWatcher,
  type Platform,
} from "../../../src/kernel/index.ts";
import { type Coroutine, type SimEvents, Simulation, type SimulationOptions, Trace, type TraceRecord } from "../../../src/sim/index.ts";

const PAGE = 4096;

/** Registers behind an address range. What is not given reads as zero and ignores writes. */
export interface FakeWindow {
  readonly base: number;
  readonly size: number;
  read?(offset: number, width: number): number;
  write?(offset: number, value: number, width: number): void;
}

/** RAM in pages and register windows; everything else aborts. 64-bit accesses to windows are two of 32 bits, low half first. */
export class FakeBus implements CpuBus {
  readonly windows: FakeWindow[] = [];
  readonly #memory: readonly { readonly base: number; readonly size: number }[];
  readonly #pages = new Map<number, DataView>();

  constructor(memory: readonly { readonly base: number; readonly size: number }[]) {
    this.#memory = memory;
  }

  #window(pa: number): FakeWindow | undefined {
    return this.windows.find((window) => pa >= window.base && pa < window.base + window.size);
  }

  #ram(pa: number, width: number, write: boolean): DataView {
    if (!this.#memory.some((range) => pa >= range.base && pa + width <= range.base + range.size)) throw new ExternalAbort(pa, write);
    const number = Math.floor(pa / PAGE);
    let page = this.#pages.get(number);
    if (!page) this.#pages.set(number, (page = new DataView(new ArrayBuffer(PAGE))));
    return page;
  }

  #read(pa: number, width: 1 | 2 | 4): number {
    const window = this.#window(pa);
    if (window) return window.read?.(pa - window.base, width) ?? 0;
    const page = this.#ram(pa, width, false);
    if (width === 1) return page.getUint8(pa % PAGE);
    return width === 2 ? page.getUint16(pa % PAGE, true) : page.getUint32(pa % PAGE, true);
  }

  #write(pa: number, width: 1 | 2 | 4, value: number): void {
    const window = this.#window(pa);
    if (window) {
      window.write?.(pa - window.base, value, width);
      return;
    }
    const page = this.#ram(pa, width, true);
    if (width === 1) page.setUint8(pa % PAGE, value);
    else if (width === 2) page.setUint16(pa % PAGE, value, true);
    else page.setUint32(pa % PAGE, value, true);
  }

  read8(pa: number): number {
    return this.#read(pa, 1);
  }
  read16(pa: number): number {
    return this.#read(pa, 2);
  }
  read32(pa: number): number {
    return this.#read(pa, 4);
  }
  read64(pa: number): bigint {
    return BigInt(this.#read(pa, 4)) | (BigInt(this.#read(pa + 4, 4)) << 32n);
  }
  write8(pa: number, value: number): void {
    this.#write(pa, 1, value);
  }
  write16(pa: number, value: number): void {
    this.#write(pa, 2, value);
  }
  write32(pa: number, value: number): void {
    this.#write(pa, 4, value);
  }
  write64(pa: number, value: bigint): void {
    this.#write(pa, 4, Number(value & 0xffff_ffffn));
    this.#write(pa + 4, 4, Number(value >> 32n));
  }
  /** Each page that the bytes touch, with the part that lies in it. */
  *#spans(pa: number, length: number, write: boolean): IterableIterator<[Uint8Array, number]> {
    for (let done = 0; done < length;) {
      const at = (pa + done) % PAGE;
      const count = Math.min(length - done, PAGE - at);
      yield [new Uint8Array(this.#ram(pa + done, count, write).buffer, at, count), done];
      done += count;
    }
  }
  readBytes(pa: number, out: Uint8Array): void {
    for (const [span, done] of this.#spans(pa, out.length, false)) out.set(span, done);
  }
  writeBytes(pa: number, bytes: Uint8Array): void {
    for (const [span, done] of this.#spans(pa, bytes.length, true)) span.set(bytes.subarray(done, done + span.length));
  }
  fill(pa: number, length: number, value: number): void {
    for (const [span] of this.#spans(pa, length, true)) span.fill(value);
  }
}

/** Edge and level interrupts; the lowest pending one that is enabled is served first. */
export class FakeInterrupts implements InterruptPort {
  readonly enabled: Set<number> = new Set<number>();
  readonly completed: number[] = [];
  readonly #edges = new Set<number>();
  readonly #levels = new Set<number>();

  /** An edge: pending until acknowledged. */
  raise(intid: number): void {
    this.#edges.add(intid);
  }
  /** A level: pending while on. */
  setLevel(intid: number, on: boolean): void {
    if (on) this.#levels.add(intid);
    else this.#levels.delete(intid);
  }
  acknowledge(): number {
    const pending = [...this.#edges, ...this.#levels].filter((intid) => this.enabled.has(intid));
    if (pending.length === 0) return -1;
    const intid = Math.min(...pending);
    this.#edges.delete(intid);
    return intid;
  }
  complete(intid: number): void {
    this.completed.push(intid);
  }
  enable(intid: number, on: boolean): void {
    if (on) this.enabled.add(intid);
    else this.enabled.delete(intid);
  }
}

/** Writes down what it is told, one line each. */
export class FakeWatcher implements PageWatcher {
  readonly log: string[] = [];

  allocated(pa: number, size: number, owner: string, kind: MemoryKind): void {
    this.log.push(`allocated ${pa.toString(16)}+${size.toString(16)} ${owner} ${kind}`);
  }
  freed(pa: number, size: number, by: string): void {
    this.log.push(`freed ${pa.toString(16)}+${size.toString(16)} ${by}`);
  }
  granted(device: string, pa: number, size: number, how: "streaming" | "coherent" | "table"): void {
    this.log.push(`granted ${device} ${pa.toString(16)}+${size.toString(16)} ${how}`);
  }
  revoked(device: string, pa: number, size: number): void {
    this.log.push(`revoked ${device} ${pa.toString(16)}+${size.toString(16)}`);
  }
}

export class FakeFirmware implements FirmwarePort {
  readonly calls: ("systemReset" | "systemOff" | "halt")[] = [];

  systemReset(): void {
    this.calls.push("systemReset");
  }
  systemOff(): void {
    this.calls.push("systemOff");
  }
  halt(): void {
    this.calls.push("halt");
  }
}

export class FakePlatform implements Platform {
  readonly bus: FakeBus;
  readonly interrupts: FakeInterrupts = new FakeInterrupts();
  readonly firmware: FakeFirmware = new FakeFirmware();
  readonly pages: FakeWatcher = new FakeWatcher();
  readonly deviceTree: DtNode;
  readonly memory: readonly { readonly base: number; readonly size: number }[];
  readonly mmioNs: number;

  constructor(options: Pick<TestKernelOptions, "nodes" | "memory" | "mmioNs" | "windows"> = {}) {
    this.deviceTree = dtNode({ name: "", children: options.nodes ?? [] });
    this.memory = options.memory ?? [{ base: 0x8000_0000, size: 0x1000_0000 }];
    this.mmioNs = options.mmioNs ?? 100;
    this.bus = new FakeBus(this.memory);
    this.bus.windows.push(...(options.windows ?? []));
  }
}

export interface TestKernelOptions {
  readonly name?: string;
  /** Children of the device tree's root. */
  readonly nodes?: readonly DtNode[];
  /** Default: 256 MiB at 2 GiB. */
  readonly memory?: readonly { readonly base: number; readonly size: number }[];
  /** Default: 100. */
  readonly mmioNs?: number;
  readonly windows?: readonly FakeWindow[];
  readonly drivers?: readonly DriverModule[];
  readonly cmdline?: Partial<KernelParameters>;
  readonly kernel?: Pick<KernelOptions, "memoryLimits" | "boot">;
  readonly simulation?: Omit<SimulationOptions, "trace">;
  /** Run on this machine instead of a new one: another kernel after a first. */
  readonly on?: TestKernel;
  /** Take interrupts without booting. Default: true. */
  readonly attach?: boolean;
}

type Events = KernelEvents & SimEvents;

export interface TestKernel {
  readonly kernel: Kernel;
  readonly sim: Simulation;
  readonly platform: FakePlatform;
  readonly trace: Trace<Events>;
  /** Everything that was traced. */
  readonly records: readonly TraceRecord<Events>[];
  /** What was traced of one kind, in order. */
  of<K extends keyof KernelEvents & string>(kind: K): KernelEvents[K][];
  /**
   * Runs a coroutine as a task until it ends.
   * @throws Error if it does not end within a virtual hour, or if the kernel oopses or its checks report something meanwhile
   */
  run<T>(body: Coroutine<T>): T;
  /** As `run`, but a report of the kernel's checks is what the test wants. @returns the message of the first */
  runToReport(body: Coroutine<unknown>): string;
  /** As `run`, but an oops is what the test wants. @returns the message of the first oops */
  runToOops(body: Coroutine<unknown>): string;
  /** Lets virtual time pass. */
  idle(ns: number): void;
}

const HOUR_NS = 3600e9;

/** A kernel on a fake machine, not booted; `run(kernel.boot())` boots it. */
export function makeTestKernel(options: TestKernelOptions = {}): TestKernel {
  const trace = options.on?.trace ?? new Trace<Events>();
  const records: TraceRecord<Events>[] = [];
  trace.on("*", (record) => records.push(record));
  const sim = options.on?.sim ?? new Simulation({ ...options.simulation, trace });
  const platform = options.on?.platform ?? new FakePlatform(options);
  const kernel = new Kernel({
    name: options.name ?? "linux",
    simulation: sim,
    platform,
    trace,
    drivers: options.drivers ?? [],
    ...(options.cmdline ? { cmdline: options.cmdline } : {}),
    ...options.kernel,
  });
  if (options.attach ?? true) kernel.irq.attach();

  function start<T>(body: Coroutine<T>): { finished: boolean; value: T | undefined } {
    const result: { finished: boolean; value: T | undefined } = { finished: false, value: undefined };
    const oopses = kernel.oopses.length;
    kernel.spawn(
      "test",
      (function* () {
        result.value = yield* body;
        result.finished = true;
      })(),
    );
    const outcome = sim.run({ until: () => result.finished || kernel.oopses.length > oopses, limitNs: sim.now + HOUR_NS });
    if (outcome.kind !== "done") throw new Error(`the test's task does not end: ${JSON.stringify(outcome)}`);
    return result;
  }

  return {
    kernel,
    sim,
    platform,
    trace,
    records,
    of: <K extends keyof KernelEvents & string>(kind: K): KernelEvents[K][] =>
      records.flatMap((record) => (record.kind === kind ? [record.data as KernelEvents[K]] : [])),
    run<T>(body: Coroutine<T>): T {
      const oopses = kernel.oopses.length;
      const warnings = kernel.warnings.length;
      const result = start(body);
      const oops = kernel.oopses[oopses];
      if (oops) throw oops.error instanceof Error ? oops.error : new Error(oops.message);
      const report = kernel.warnings.slice(warnings).find(({ check }) => check !== null);
      if (report) throw new Error(report.message);
      if (!result.finished) throw new Error("the test's task was killed");
      return result.value as T;
    },
    runToReport(body: Coroutine<unknown>): string {
      const warnings = kernel.warnings.length;
      start(body);
      const report = kernel.warnings.slice(warnings).find(({ check }) => check !== null);
      if (!report) throw new Error("no report came");
      return report.message;
    },
    runToOops(body: Coroutine<unknown>): string {
      start(body);
      const oops = kernel.oopses[0];
      if (!oops) throw new Error("no oops came");
      return oops.message;
    },
    idle(ns: number): void {
      const end = sim.now + ns;
      sim.run({ limitNs: end });
      if (sim.now < end) sim.advance(end - sim.now);
    },
  };
}
