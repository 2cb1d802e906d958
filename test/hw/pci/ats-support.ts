// SPDX-License-Identifier: MIT
/** A machine whose root complex has a translation agent made for tests: a table of translations, and a record of what it was asked. */
import {
  type AtsBehaviour,
  AtsStatus,
  type DmaAttributes,
  DmaStatus,
  type ExtendedCapabilities,
  type PageRequest,
  RootComplex,
  SystemBus,
  type TranslationAgent,
  type TranslationCompletion,
  type TranslationRequest,
  type UpstreamPort,
} from "../../../src/hw/index.ts";
import { Simulation, Trace } from "../../../src/sim/index.ts";
import type { DmaEvents } from "../../../src/hw/index.ts";
import { type Access, BME, Config, ECAM, MEM, RAM, TestFunction, WINDOW } from "./support.ts";

/** A request as it left the function. */
export interface Left {
  readonly address: number;
  readonly length: number;
  readonly write: boolean;
  readonly translated: boolean;
  readonly attributes: DmaAttributes | undefined;
}

/** A table entry: by default readable and writable, one page. */
export interface Grant extends Partial<Omit<TranslationCompletion, "translatedHi" | "translatedLo">> {
  readonly to?: number;
}

export class FakeAgent implements TranslationAgent {
  readonly requests: TranslationRequest[] = [];
  readonly pages: PageRequest[] = [];
  /** By PASID (-1: none) and page address. */
  readonly table = new Map<string, Grant>();
  /** What every Translation Request ends with instead. */
  status: AtsStatus = AtsStatus.success;
  onPage: (request: PageRequest) => void = () => {};

  map(address: number, grant: Grant, substreamId = -1): void {
    this.table.set(`${substreamId} ${address}`, grant);
  }

  requestTranslation(request: TranslationRequest): TranslationCompletion {
    this.requests.push(request);
    const address = request.addressHi * 2 ** 32 + request.addressLo;
    const grant = this.table.get(`${request.substreamId} ${address}`) ?? { read: false, write: false };
    const { to = 0, ...others } = grant;
    return {
      status: this.status,
      translatedHi: Math.floor(to / 2 ** 32),
      translatedLo: to >>> 0,
      sizeLog2: 12,
      read: true,
      write: true,
      execute: false,
      privileged: request.privileged,
      global: false,
      untranslatedOnly: false,
      ...others,
    };
  }

  requestPage(request: PageRequest): void {
    this.pages.push(request);
    this.onPage(request);
  }
}

export class AtsFunctionUnderTest extends TestFunction {
  stop(pasid: number, marker: boolean, done: () => void): void {
    this.stopPasid(pasid, marker, done);
  }
}

export interface AtsMachineOptions extends Omit<AtsBehaviour, "after"> {
  readonly extended?: ExtendedCapabilities;
  readonly functionLevelReset?: boolean;
  readonly noSoftReset?: boolean;
  readonly agent?: boolean;
  readonly invalidateTimeoutNs?: number;
  /** Software does not enable anything. */
  readonly off?: boolean;
}

export const ATS_AND_PRI: ExtendedCapabilities = { ats: {}, pri: { capacity: 8 } };
export const EVERYTHING: ExtendedCapabilities = {
  ats: {},
  pri: { capacity: 8 },
  pasid: { width: 8, execute: true, privileged: true },
};

/** A function at 00:01.0 with ATS enabled, its unit 4 KiB. */
export class AtsMachine {
  readonly simulation = new Simulation();
  readonly bus = new SystemBus();
  readonly trace = new Trace<DmaEvents>();
  readonly accesses: Access[] = [];
  readonly agent = new FakeAgent();
  readonly left: Left[] = [];
  readonly root: RootComplex;
  readonly dev: AtsFunctionUnderTest;
  readonly config: Config;
  /** Answers of the port, for each request that reaches it; then ok. */
  readonly answers: DmaStatus[] = [];
  /** Completions of requests that were answered `stalled`. */
  readonly stalled: ((status: DmaStatus) => void)[] = [];

  constructor(options: AtsMachineOptions = {}) {
    const { extended = { ats: {} }, functionLevelReset = false, noSoftReset = false, agent = true, off = false, ...rest } = options;
    const { invalidateTimeoutNs, ...behaviour } = rest;
    this.trace.on("dma.access", ({ data }) => this.accesses.push(data));
    this.bus.addRam({ name: "ram", base: RAM, size: 0x100_0000 });
    const after = (ns: number, action: () => void): unknown => this.simulation.after(ns, action);
    this.root = new RootComplex({
      name: "pcie",
      bus: this.bus,
      ecamBase: ECAM,
      ecamSize: 4 << 20,
      busCount: 4,
      memoryWindow: { base: WINDOW, size: 0x100_0000 },
      portFor: () => this.#port(agent),
      trace: this.trace,
      after,
      ...(invalidateTimeoutNs === undefined ? {} : { invalidateTimeoutNs }),
    });
    this.dev = new AtsFunctionUnderTest({
      trace: this.trace,
      extended,
      functionLevelReset,
      noSoftReset,
      ats: { after, ...behaviour },
    });
    this.root.addFunction(0, 1, 0, this.dev);
    this.config = new Config({ read: (a, w) => this.#load(a, w), write: (a, v, w) => this.#store(a, v, w) }, ECAM + (1 << 15));
    this.config.command(BME | MEM);
    if (off) return;
    if (extended.pasid) this.enablePasid(7);
    this.enableAts();
    if (extended.pri) this.enablePri();
  }

  #port(agent: boolean): UpstreamPort {
    const request = (address: number, bytes: Uint8Array, write: boolean, attributes: DmaAttributes | undefined): DmaStatus => {
      this.left.push({ address, length: bytes.length, write, translated: attributes?.translated ?? false, attributes });
      const status = this.answers.shift() ?? DmaStatus.ok;
      if (status === DmaStatus.stalled) this.stalled.push((end) => attributes?.onCompletion?.(end));
      return status;
    };
    return {
      read: (address, out, attributes) => request(address, out, false, attributes),
      write: (address, bytes, attributes) => request(address, bytes, true, attributes),
      ...(agent ? { agent: this.agent } : {}),
    };
  }

  #load(address: number, width: 1 | 2 | 4 = 4): number | undefined {
    const out = new Uint32Array(2);
    this.bus.read(address, width, out);
    return out[0];
  }

  #store(address: number, value: number, width: 1 | 2 | 4 = 4): boolean {
    return this.bus.write(address, width, value >>> 0) === 0;
  }

  /** @param unit log2 of the smallest translation unit, above 12 */
  enableAts(unit = 0): void {
    this.config.write(this.dev.extended.ats + 6, 0x8000 | unit, 2);
  }

  disableAts(): void {
    this.config.write(this.dev.extended.ats + 6, 0, 2);
  }

  enablePri(allocation = 8): void {
    this.config.write(this.dev.extended.pri + 12, allocation, 4);
    this.config.write(this.dev.extended.pri + 4, 1, 2);
  }

  disablePri(): void {
    this.config.write(this.dev.extended.pri + 4, 0, 2);
  }

  /** STATUS of PRI: bit 0 RF, bit 1 UPRGI, bit 8 STOPPED. */
  get priStatus(): number {
    return this.config.read(this.dev.extended.pri + 6, 2)!;
  }

  enablePasid(bits: number): void {
    this.config.write(this.dev.extended.pasid + 6, bits, 2);
  }

  write(address: number, length = 4, attributes?: DmaAttributes): DmaStatus {
    return this.dev.dma.write(address, new Uint8Array(length), attributes);
  }

  read(address: number, length = 4, attributes?: DmaAttributes): DmaStatus {
    return this.dev.dma.read(address, new Uint8Array(length), attributes);
  }

  /** Lets virtual time pass. */
  pass(ns: number): void {
    this.simulation.advance(ns);
  }

  /** An Invalidate Request; how it ended so far. */
  invalidate(
    address: number,
    {
      size = 12,
      pasid = -1,
      global = false,
      requester = 0x08,
    }: { size?: number; pasid?: number; global?: boolean; requester?: number } = {},
  ): string[] {
    const ends: string[] = [];
    const [addressHi, addressLo] = [Math.floor(address / 2 ** 32), address >>> 0];
    this.root
      .atsFunction(requester)
      .invalidate({ substreamId: pasid, global, addressHi, addressLo, sizeLog2: size }, (how) => ends.push(how));
    return ends;
  }
}
