// SPDX-License-Identifier: MIT
/**
 * The root complex: routes configuration accesses (ECAM) by bus numbers, puts BARs on the system bus where software
 * programmed them, and gives each function its way to memory.
 *
 * The topology is fixed by the bus numbers under which functions are added: 0 is the root bus, another number is the link
 * below the root port of that `downstream` number. The bus number that software sees is what it programmed into the port.
 */
import { HostMisuseError } from "../errors.ts";
import type { AtsFunction, InvalidateEnd } from "../memory/ats.ts";
import type { DmaEvents } from "../memory/dma-port.ts";
import type { MmioDevice, MmioWindow, SystemBus } from "../memory/system-bus.ts";
import type { TraceSink } from "../../sim/index.ts";
import type { UpstreamPort } from "./bus-master-port.ts";
import type { PciFunction, PciSlot } from "./function.ts";
import { packetsOf, type RefusedRequest, type Refusal } from "./error-reporting.ts";
import { RootPort } from "./root-port.ts";
import { EXPRESS } from "./spec.ts";

const BUS_SIZE = 2 ** 20;
const WIDTHS = [1, 2, 4] as const;

export interface RootComplexOptions {
  readonly name: string;
  readonly bus: SystemBus;
  readonly ecamBase: number;
  /** Bytes: 1 MiB per bus. */
  readonly ecamSize: number;
  /** Number of buses, 1 … 256. */
  readonly busCount: number;
  /** Where BARs may be: an address outside is not decoded. */
  readonly memoryWindow: { readonly base: number; readonly size: number };
  /** The way to memory of a requester id; asked once for each id that issues requests. */
  portFor(requesterId: number): UpstreamPort;
  /**
   * As what a request is refused that the SMMU or memory has aborted. The architecture of neither says it, and root complexes
   * differ. Default: "unsupported-request", as for an address where nothing is.
   */
  readonly abortsAs?: Refusal;
  readonly trace: TraceSink<DmaEvents>;
  /** Virtual time, as `Simulation.after`. Without it an Invalidate Request that nobody answers never ends. */
  after?(delayNs: number, action: () => void): unknown;
  /**
   * How long an Invalidate Request may stay without an answer. Virtual nanoseconds. Default: 90 s; devices should answer within a minute
   * and half of one (PCI Express Base, 10.3.1).
   */
  readonly invalidateTimeoutNs?: number;
}

/** A minute, plus 50 %. */
const INVALIDATE_TIMEOUT_NS = 90e9;

interface Placed {
  readonly link: number;
  readonly devfn: number;
  /** The ports above, nearest first. */
  readonly ports: readonly RootPort[];
  readonly pciFunction: PciFunction;
}

export class RootComplex {
  readonly name: string;
  /** The configuration window, which registers itself on the bus. */
  readonly ecam: MmioDevice;
  readonly #options: RootComplexOptions;
  readonly #placed: Placed[] = [];
  readonly #ports = new Map<number, UpstreamPort>();
  #decoded: MmioWindow[] = [];

  /** @throws HostMisuseError if the ECAM window does not hold the buses or overlaps something */
  constructor(options: RootComplexOptions) {
    const { name, bus, ecamBase, ecamSize, busCount } = options;
    if (busCount < 1 || busCount > 256 || ecamSize < busCount * BUS_SIZE) {
      throw new HostMisuseError("ECAM_SIZE", `${name}: ${busCount} buses do not fit an ECAM window of ${ecamSize} bytes`);
    }
    this.name = name;
    this.#options = options;
    this.ecam = {
      read: (offset, width) => this.#at(offset)?.configRead(offset % 4096, width) ?? 2 ** (8 * width) - 1,
      write: (offset, width, value) => this.#at(offset)?.configWrite(offset % 4096, width, value),
    };
    bus.addWindow({ name: `${name} ECAM`, base: ecamBase, size: ecamSize, device: this.ecam, widths: WIDTHS });
  }

  /**
   * Places a function. A port comes before what is behind it.
   * @param busNo 0, or the `downstream` number of a root port
   * @throws HostMisuseError if the place is taken or does not exist
   */
  addFunction(busNo: number, device: number, fn: number, pciFunction: PciFunction): void {
    const devfn = (device << 3) | fn;
    const above = this.#placed.find(({ pciFunction: port }) => port instanceof RootPort && port.downstream === busNo);
    if (
      device < 0 ||
      device > 31 ||
      fn < 0 ||
      fn > 7 ||
      (busNo !== 0 && !above) ||
      this.#placed.some((other) => other.link === busNo && other.devfn === devfn)
    ) {
      throw new HostMisuseError("PCI_PLACE", `${pciFunction.name} cannot be placed at bus ${busNo}, device ${device}, function ${fn}`);
    }
    const ports = above?.pciFunction instanceof RootPort ? [above.pciFunction, ...above.ports] : [];
    const placed: Placed = { link: busNo, devfn, ports, pciFunction };
    pciFunction.attach(this.#slot(placed));
    this.#placed.push(placed);
  }

  #slot(placed: Placed): PciSlot {
    const requesterId = (): number => ((placed.ports[0]?.secondaryBus ?? 0) << 8) | placed.devfn;
    return {
      requesterId,
      blocked: () => placed.ports.some((port) => !port.busMaster),
      port: () => this.#port(requesterId()),
      refuse: (address, length, write) => this.#refuse(placed, { requesterId: requesterId(), address, length, write }),
      changed: () => this.#decode(),
      resetBelow: () => {
        for (const other of this.#placed) {
          if (other.ports.some((port) => port === placed.pciFunction)) other.pciFunction.hotReset();
        }
      },
    };
  }

  /**
   * A port that lets nothing through refuses by itself; what comes to the root complex is refused by the root port. The errors
   * go up to the root port. A function on the root bus has nobody who would report them.
   */
  #refuse({ ports, pciFunction }: Placed, access: RefusedRequest): Refusal {
    const closed = ports.findIndex((port) => !port.busMaster);
    const as = closed < 0 ? (this.#options.abortsAs ?? "unsupported-request") : "unsupported-request";
    const root = ports.at(-1);
    if (!root) return as;
    const finder = closed < 0 ? root : ports[closed]!;
    const above = ports.slice(ports.indexOf(finder) + 1);
    const control = pciFunction.config.read(pciFunction.capabilities.express + EXPRESS.DEVCTL, 2);
    for (const packet of packetsOf(access, control)) {
      const message = finder.errors.refuse(packet, as);
      if (message !== null && above.every((port) => port.errors.forward(message))) root.errors.receive(message, finder.requesterId);
    }
    return as;
  }

  #port(requesterId: number): UpstreamPort {
    let port = this.#ports.get(requesterId);
    if (!port) {
      port = this.#options.portFor(requesterId);
      this.#ports.set(requesterId, port);
    }
    return port;
  }

  /** The function that an ECAM offset addresses, as the bus numbers in the ports stand now. */
  #at(offset: number): PciFunction | undefined {
    return this.#find(Math.floor(offset / BUS_SIZE), Math.floor(offset / 4096) & 0xff)?.pciFunction;
  }

  #find(busNo: number, devfn: number): Placed | undefined {
    if (busNo >= this.#options.busCount) return undefined;
    const link = this.#linkOf(busNo, 0);
    return this.#placed.find((placed) => placed.link === link && placed.devfn === devfn);
  }

  /**
   * The way of a translation agent's messages to a function, routed by its requester id as the bus numbers stand when each is sent.
   * An Invalidate Request for a function that is not there, or has no ATS, is unsupported; one that nothing answers ends with the
   * timeout of this root complex. Bus mastering of function and ports does not matter to messages.
   */
  atsFunction(requesterId: number): AtsFunction {
    const find = (): Placed | undefined => this.#find(requesterId >>> 8, requesterId & 0xff);
    return {
      invalidate: (request, ended) => {
        const placed = find();
        if (placed?.pciFunction.ats === undefined) return ended("unsupported-request");
        let open = true;
        const end = (how: InvalidateEnd): void => {
          if (!open) return;
          open = false;
          ended(how);
        };
        if (placed.ports.every((port) => port.linkUp)) placed.pciFunction.ats.invalidate(request, end);
        const { after, invalidateTimeoutNs = INVALIDATE_TIMEOUT_NS } = this.#options;
        if (open) after?.(invalidateTimeoutNs, () => end("timeout"));
      },
      respond: (response) => {
        const placed = find();
        if (placed?.ports.every((port) => port.linkUp)) placed.pciFunction.ats?.respond(response);
      },
    };
  }

  #linkOf(busNo: number, link: number): number | undefined {
    if (busNo === 0) return 0;
    for (const { link: at, pciFunction: port } of this.#placed) {
      if (at !== link || !(port instanceof RootPort) || busNo < port.secondaryBus || busNo > port.subordinateBus) continue;
      return busNo === port.secondaryBus ? port.downstream : this.#linkOf(busNo, port.downstream);
    }
    return undefined;
  }

  /** Puts on the bus what is decoded now and takes off what no longer is. Of two BARs at one address the first stays. */
  #decode(): void {
    const { bus, memoryWindow } = this.#options;
    const wanted: MmioWindow[] = [];
    for (const placed of this.#placed) {
      const { pciFunction } = placed;
      if (!pciFunction.memoryDecode) continue;
      for (const bar of pciFunction.bars) {
        const base = pciFunction.barAddress(bar);
        if (base < memoryWindow.base || base + bar.size > memoryWindow.base + memoryWindow.size) continue;
        if (!placed.ports.every((port) => port.forwards(base, bar.size))) continue;
        wanted.push({ name: `${pciFunction.name} BAR ${bar.index}`, base, size: bar.size, device: bar.device, widths: bar.widths ?? [4] });
      }
    }
    const same = (a: MmioWindow, b: MmioWindow): boolean => a.device === b.device && a.base === b.base;
    const kept: MmioWindow[] = [];
    for (const decoded of this.#decoded) {
      if (wanted.some((window) => same(window, decoded))) kept.push(decoded);
      else bus.removeWindow(decoded);
    }
    for (const window of wanted) {
      const taken = [...bus.windows, ...bus.ram].some(
        (other) => window.base < other.base + other.size && other.base < window.base + window.size,
      );
      if (taken) continue;
      bus.addWindow(window);
      kept.push(window);
    }
    this.#decoded = kept;
  }

  /** Fundamental reset of every function: nothing is decoded, no function is a bus master. */
  reset(): void {
    for (const { pciFunction } of this.#placed) pciFunction.reset();
  }
}
