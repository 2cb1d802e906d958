// SPDX-License-Identifier: MIT
/**
 * A bus master behind the SMMU: each access goes through translation, page by page, and then to memory.
 *
 * A part that stalls holds up what is left of its access: the caller is answered `stalled`, and when software has resumed or
 * terminated the part, it is carried out and the access goes on from there (IHI 0070 §3.12.2).
 */
import type { TraceSink } from "../../sim/index.ts";
import { high32, join64, low32 } from "../bits/hex.ts";
import { type DmaAttributes, type DmaEvents, type DmaOutcome, type DmaPort, DmaStatus } from "../memory/dma-port.ts";
import { HostMisuseError } from "../errors.ts";
import { BusStatus, type SystemBus } from "../memory/system-bus.ts";
import { Outcome, Transaction, Via } from "./transaction.ts";
import { checkBoolean, checkInteger, checkMethods, checkNames, shown } from "../checks.ts";

/** The smallest translation granule: no access is translated across its border in one go. */
const PAGE = 4096;

export interface SmmuDmaPortOptions {
  readonly smmu: { translate(tx: Transaction): Outcome };
  readonly bus: SystemBus;
  /** 0 … 2^32 - 1. */
  readonly streamId: number;
  /** The master's name, for the trace. */
  readonly name: string;
  readonly trace: TraceSink<DmaEvents>;
}

/** The door of a device behind an SMMU: accesses are translated page by page, then done on the bus. */
export class SmmuDmaPort implements DmaPort {
  readonly #options: SmmuDmaPortOptions;
  readonly #tx = new Transaction();

  /** @throws HostMisuseError for an option that is missing or cannot be */
  constructor(options: SmmuDmaPortOptions) {
    checkOptions(options);
    this.#options = options;
  }

  read(address: number, out: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.access(high32(address), low32(address), out, false, attributes);
  }

  write(address: number, bytes: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.access(high32(address), low32(address), bytes, true, attributes);
  }

  /**
   * As {@link read} and {@link write}, at any 64-bit address. The parts up to the first that fails are carried out.
   * @throws HostMisuseError for attributes that there are not, as `read` and `write` do
   */
  access(hi: number, lo: number, bytes: Uint8Array, write: boolean, attributes?: DmaAttributes): DmaStatus {
    if (attributes !== undefined) checkAttributes(attributes);
    const { length } = bytes;
    // An access within one page has a short way of its own: most are that. A low half that is not unsigned is put right first.
    if (length === 0 || (lo & (PAGE - 1)) + length > PAGE || lo >>> 0 !== lo)
      return this.#from(0, DmaStatus.ok, hi, lo, bytes, write, attributes);
    const tx = this.#tx;
    this.#set(tx, write, attributes);
    tx.addressHi = hi;
    tx.addressLo = lo;
    const outcome = this.#options.smmu.translate(tx);
    if (outcome === Outcome.stalled) return this.#hold(0, length, DmaStatus.ok, hi, lo, bytes, write, attributes);
    return this.#finish(tx, outcome, bytes, 0, length);
  }

  #set(tx: Transaction, write: boolean, attributes: DmaAttributes | undefined): void {
    tx.streamId = this.#options.streamId;
    tx.substreamId = attributes?.substreamId ?? -1;
    tx.privileged = attributes?.privileged ?? false;
    tx.instruction = attributes?.instruction ?? false;
    tx.write = write;
    tx.translated = attributes?.translated ?? false;
  }

  /** @param worst of the parts before byte `start` */
  #from(
    start: number,
    worst: DmaStatus,
    hi: number,
    lo: number,
    bytes: Uint8Array,
    write: boolean,
    attributes: DmaAttributes | undefined,
  ): DmaStatus {
    const tx = this.#tx;
    this.#set(tx, write, attributes);
    for (let done = start; done < bytes.length;) {
      const at = lo + done;
      tx.addressHi = at < 0x1_0000_0000 ? hi : (hi + Math.floor(at / 0x1_0000_0000)) >>> 0;
      tx.addressLo = at >>> 0;
      const end = Math.min(done + PAGE - (at & (PAGE - 1)), bytes.length);
      const outcome = this.#options.smmu.translate(tx);
      if (outcome === Outcome.stalled) return this.#hold(done, end, worst, hi, lo, bytes, write, attributes);
      const status = this.#finish(tx, outcome, bytes, done, end - done);
      if (status === DmaStatus.abort) return status;
      worst = worse(worst, status);
      done = end;
    }
    return worst;
  }

  /** Waits for software: bytes `start` to `end` have stalled. Apart, so that an access that does not stall makes no closure. */
  #hold(
    start: number,
    end: number,
    worst: DmaStatus,
    hi: number,
    lo: number,
    bytes: Uint8Array,
    write: boolean,
    attributes: DmaAttributes | undefined,
  ): DmaStatus {
    // Not slice(): that of a Buffer of Node copies nothing.
    const kept = write ? new Uint8Array(bytes) : bytes;
    this.#tx.stall!.onEnd = (ended, held) => {
      const status = this.#finish(held, ended, kept, start, end - start);
      const all = status === DmaStatus.abort ? status : this.#from(end, worse(worst, status), hi, lo, kept, write, attributes);
      if (all !== DmaStatus.stalled) attributes?.onCompletion?.(all);
    };
    return DmaStatus.stalled;
  }

  /** Carries out the part that a transaction stands for, as the SMMU has answered. */
  #finish(tx: Transaction, outcome: Outcome, bytes: Uint8Array, start: number, length: number): DmaStatus {
    switch (outcome) {
      case Outcome.forward: {
        const { bus } = this.#options;
        const status = tx.write ? bus.writeBytes(tx.physical, bytes, start, length) : bus.readBytes(tx.physical, bytes, start, length);
        const bypassed = tx.via === Via.globalBypass || tx.via === Via.steBypass;
        this.#trace(tx, length, tx.physical, bypassed ? "bypassed" : "translated", status);
        return status === BusStatus.ok ? DmaStatus.ok : DmaStatus.abort;
      }
      case Outcome.razWi:
        if (!tx.write) bytes.fill(0, start, start + length);
        this.#trace(tx, length, undefined, "raz-wi", BusStatus.ok);
        return DmaStatus.razWi;
      default:
        if (!tx.write) bytes.fill(0, start, start + length);
        this.#trace(tx, length, undefined, "aborted", BusStatus.abort);
        return DmaStatus.abort;
    }
  }

  #trace(tx: Transaction, length: number, physical: number | undefined, outcome: DmaOutcome, bus: BusStatus): void {
    if (this.#options.trace.wants("dma.access")) this.#emit(tx, length, physical, outcome, bus);
  }

  #emit(tx: Transaction, length: number, physical: number | undefined, outcome: DmaOutcome, bus: BusStatus): void {
    const { trace, name, streamId } = this.#options;
    const address = join64(tx.addressHi, tx.addressLo);
    trace.emit("dma.access", { master: name, streamId, address, physical, length, write: tx.write, outcome, bus });
  }
}

function worse(worst: DmaStatus, status: DmaStatus): DmaStatus {
  return status === DmaStatus.ok ? worst : status;
}

const CODE = "DMA_PORT";
const OPTIONS = ["smmu", "bus", "streamId", "name", "trace"];
const SMMU = ["translate"];
const BUS = ["readBytes", "writeBytes"];
const TRACE = ["wants", "emit"];
const ATTRIBUTES = ["substreamId", "privileged", "instruction", "translated", "onCompletion"];

function checkOptions(options: SmmuDmaPortOptions): void {
  checkNames(CODE, "options of an SmmuDmaPort", options, OPTIONS);
  const { smmu, bus, streamId, name, trace } = options;
  checkMethods(CODE, "smmu of an SmmuDmaPort", smmu, SMMU, "an Smmu");
  checkMethods(CODE, "bus of an SmmuDmaPort", bus, BUS, "a SystemBus");
  checkInteger(CODE, "streamId of an SmmuDmaPort", streamId, 0, 0xffff_ffff);
  if (typeof name !== "string") throw new HostMisuseError(CODE, `name of an SmmuDmaPort is ${shown(name)}: it has to be a string`);
  checkMethods(CODE, "trace of an SmmuDmaPort", trace, TRACE, "a TraceSink, such as a Trace");
}

/** Asked at each access with attributes: what is right is told by comparisons alone. */
function checkAttributes(attributes: DmaAttributes): void {
  let right = typeof attributes === "object" && attributes !== null;
  for (const key in attributes) {
    if (key === "substreamId") {
      const id = attributes.substreamId;
      right &&= id === undefined || (id & 0xf_ffff) === id;
    } else if (key === "privileged" || key === "instruction" || key === "translated") {
      const flag = attributes[key];
      right &&= flag === undefined || typeof flag === "boolean";
    } else right &&= key === "onCompletion";
  }
  if (!right) refuseAttributes(attributes);
}

function refuseAttributes(attributes: DmaAttributes): void {
  checkNames(CODE, "attributes of a DMA access", attributes, ATTRIBUTES);
  const { substreamId, privileged, instruction, translated } = attributes;
  if (substreamId !== undefined) checkInteger(CODE, "substreamId of a DMA access", substreamId, 0, 0xf_ffff);
  if (privileged !== undefined) checkBoolean(CODE, "privileged of a DMA access", privileged);
  if (instruction !== undefined) checkBoolean(CODE, "instruction of a DMA access", instruction);
  if (translated !== undefined) checkBoolean(CODE, "translated of a DMA access", translated);
}
