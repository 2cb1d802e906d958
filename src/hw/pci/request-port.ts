// SPDX-License-Identifier: MIT
/**
 * The last step of a function's own requests before the link, where it has PASIDs or ATS: which PASID a request may carry, and
 * whether it goes out translated.
 *
 * An access goes part by part, as far as one translation reaches. A part that no translation permits may wait for a page
 * request: a read then waits by itself; a write holds up what comes after it with the same PASID, as a stalled one does
 * ({@link BusMasterPort}). Requests without a PASID wait for those without one, messages (MSI) too; they are never translated.
 */
import { type DmaAttributes, type DmaEvents, DmaStatus } from "../memory/dma-port.ts";
import { BusStatus } from "../memory/system-bus.ts";
import type { TraceSink } from "../../sim/index.ts";
import { HostMisuseError } from "../errors.ts";
import type { AtsEndpoint, Need } from "./ats-endpoint.ts";
import type { Upstream, UpstreamPort } from "./bus-master-port.ts";
import type { ConfigSpace } from "./config-space.ts";
import { PASID } from "./spec.ts";

/** Marks a request that must not be translated: a message-signalled interrupt. */
export const NOT_TRANSLATED: DmaAttributes = { translated: false };

export interface RequestPortOptions {
  readonly name: string;
  readonly config: ConfigSpace;
  /** Offset of the PASID capability; 0: the function has none. */
  readonly pasid: number;
  readonly ats: AtsEndpoint;
  readonly upstream: () => Upstream;
  /** The function itself may issue requests. */
  readonly allowed: () => boolean;
  readonly trace: TraceSink<DmaEvents>;
}

/** An access on its way. */
interface Job {
  readonly address: number;
  /** Of a write that waits: a copy. */
  bytes: Uint8Array;
  readonly write: boolean;
  /** As it may go out. */
  readonly attributes: DmaAttributes;
  readonly onCompletion: ((status: DmaStatus) => void) | undefined;
  done: number;
  worst: DmaStatus;
  /** The function was reset: nothing more of it goes out. */
  lost: boolean;
  told: boolean;
}

/** Neither ended nor failed: something calls back. */
const WAITS = -1;

const PAGE = 4096;

export class RequestPort implements UpstreamPort {
  readonly #options: RequestPortOptions;
  /** Accesses behind a write that waits for a page, it at their head, by PASID. */
  readonly #queues = new Map<number, Job[]>();
  /** Accesses that wait for a page. */
  readonly #faulted = new Set<Job>();
  /** The write that an SMMU stalls; the bus master port behind which others wait knows of it. */
  #stalled: Job | undefined;
  /** Ends of writes that were answered `held`, told once nothing is stalled: the bus master port would take them for that one's. */
  #late: (() => void)[] = [];

  constructor(options: RequestPortOptions) {
    this.#options = options;
  }

  get streamId(): number | undefined {
    return this.#options.upstream().port().streamId;
  }

  /** Accesses that wait for a page, or behind one that does. */
  get waiting(): number {
    let count = [...this.#faulted].filter(({ write }) => !write).length;
    for (const queue of this.#queues.values()) count += queue.length;
    return count;
  }

  read(address: number, out: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#access(address, out, false, attributes);
  }

  write(address: number, bytes: Uint8Array, attributes?: DmaAttributes): DmaStatus {
    return this.#access(address, bytes, true, attributes);
  }

  #access(address: number, bytes: Uint8Array, write: boolean, attributes: DmaAttributes | undefined): DmaStatus {
    const carried = this.#carried(attributes);
    if (carried === undefined) return this.#refuse(address, bytes.length, write, "dropped");
    const { ats } = this.#options;
    const idle = this.#queues.size === 0 && this.#faulted.size === 0;
    if (idle && (!ats.active || carried.translated === false)) return this.#issue(address, bytes, write, carried);
    const { onCompletion, ...rest } = carried;
    const job: Job = { address, bytes, write, attributes: rest, onCompletion, done: 0, worst: DmaStatus.ok, lost: false, told: false };
    const queue = this.#queues.get(carried.substreamId ?? -1);
    const status = queue === undefined ? this.#advance(job) : WAITS;
    if (status !== WAITS) return status;
    if (write) job.bytes = new Uint8Array(bytes);
    queue?.push(job);
    // What waits for a page has not left the function; what an SMMU stalls has.
    if (write && (queue !== undefined || this.#faulted.has(job))) return DmaStatus.held;
    if (write) this.#stalled = job;
    return DmaStatus.stalled;
  }

  /**
   * The attributes that the request may carry (6.20, 7.8.9): no PASID unless that is enabled, and of its two bits those that are
   * enabled. undefined: it must not be sent.
   */
  #carried(attributes: DmaAttributes | undefined): DmaAttributes | undefined {
    const { config, pasid } = this.#options;
    if (attributes?.substreamId !== undefined && pasid === 0)
      throw new HostMisuseError("PCI_PASID", `${this.#options.name}: a request with a PASID, and no PASID capability`);
    if (attributes === undefined || pasid === 0) return attributes ?? {};
    const { substreamId, privileged, instruction, ...others } = attributes;
    if (substreamId === undefined) return others;
    const control = config.read(pasid + PASID.CONTROL, 2);
    const width = config.read(pasid + PASID.CAPABILITY, 2) >>> PASID.WIDTH_SHIFT;
    if ((control & PASID.ENABLE) === 0 || substreamId >= 2 ** width) return undefined;
    return {
      ...others,
      substreamId,
      privileged: privileged === true && (control & PASID.PRIVILEGED) !== 0,
      instruction: instruction === true && (control & PASID.EXECUTE) !== 0,
    };
  }

  /** Goes on with an access until it ends, fails or has to wait. */
  #advance(job: Job): DmaStatus | typeof WAITS {
    const { bytes, write, attributes } = job;
    const { ats } = this.#options;
    do {
      const at = job.address + job.done;
      const way = ats.active && attributes.translated !== false ? ats.way(at, needOf(job)) : undefined;
      let target = at;
      let length = bytes.length - job.done;
      let translated = false;
      if (way?.to === "error") return this.#refuse(at, length, write, "aborted");
      if (way?.to === "fault") {
        const { onFault } = ats.behaviour;
        if (onFault === "page-request" && this.#page(job, at)) return WAITS;
        if (onFault !== "untranslated") return this.#refuse(at, length, write, "aborted");
        length = Math.min(length, PAGE - (at % PAGE));
      } else if (way !== undefined) {
        length = Math.min(length, way.end - at);
        translated = way.to === "translated";
        if (way.to === "translated") target = way.address;
      }
      const part = bytes.subarray(job.done, job.done + length);
      const onCompletion = (status: DmaStatus): void => {
        this.#ended(job, length, status);
        this.#resume(job, status === DmaStatus.abort);
      };
      // "Translated Requests with PASID" is a capability that no function here has (7.8.9.2).
      const carried = translated ? { translated, onCompletion } : { ...attributes, onCompletion };
      const status = this.#issue(target, part, write, carried);
      if (status === DmaStatus.stalled) return WAITS;
      this.#ended(job, length, status);
      if (status === DmaStatus.abort) return status;
    } while (job.done < bytes.length);
    return job.worst;
  }

  /** Sends a request; a refusal is the business of the ports above. */
  #issue(address: number, bytes: Uint8Array, write: boolean, attributes: DmaAttributes): DmaStatus {
    const upstream = this.#options.upstream();
    const { length } = bytes;
    const onCompletion = (ended: DmaStatus): void => {
      if (ended === DmaStatus.abort) upstream.refused(address, length, write);
      attributes.onCompletion?.(ended);
    };
    const port = upstream.port();
    const watched = { ...attributes, onCompletion };
    const status = write ? port.write(address, bytes, watched) : port.read(address, bytes, watched);
    if (status === DmaStatus.abort) upstream.refused(address, length, write);
    return status;
  }

  #ended(job: Job, length: number, status: DmaStatus): void {
    job.done += length;
    if (status !== DmaStatus.ok) job.worst = status;
  }

  /** Asks for the pages that the rest of an access lacks. @returns false if that cannot be asked for */
  #page(job: Job, at: number): boolean {
    const { ats } = this.#options;
    const need = needOf(job);
    const end = job.address + job.bytes.length;
    const lacking = [at - (at % PAGE)];
    for (let page = lacking[0]! + PAGE; page < end && ats.active; page += PAGE) if (ats.way(page, need).to === "fault") lacking.push(page);
    const { substreamId, write, execute, privileged } = need;
    const asked = ats.pages?.request(substreamId, { read: !write, write, execute, privileged }, lacking, (outcome) => {
      // Not from within whatever brought the answer.
      ats.after(outcome === "success" ? ats.behaviour.retryNs : 0, () => {
        if (this.#faulted.delete(job)) this.#resume(job, outcome !== "success");
      });
    });
    if (asked !== true) return false;
    this.#faulted.add(job);
    if (write && !this.#queues.has(substreamId)) this.#queues.set(substreamId, [job]);
    return true;
  }

  /** Something that an access waited for is over. @param failed no part of it goes out any more */
  #resume(job: Job, failed: boolean): void {
    const status = this.#outcome(job, failed);
    if (status === WAITS) return;
    this.#over(job, status);
  }

  #outcome(job: Job, failed: boolean): DmaStatus | typeof WAITS {
    const left = job.bytes.length - job.done;
    if (job.lost) return DmaStatus.dropped;
    if (failed && left > 0 && job.worst !== DmaStatus.abort) return this.#refuse(job.address + job.done, left, job.write, "aborted");
    if (failed) return DmaStatus.abort;
    if (left === 0) return job.worst;
    const { allowed, upstream } = this.#options;
    if (!allowed()) return this.#refuse(job.address + job.done, left, job.write, "dropped");
    if (upstream().blocked()) {
      this.#refuse(job.address + job.done, left, job.write, "dropped");
      upstream().refused(job.address + job.done, left, job.write);
      return job.write ? DmaStatus.dropped : DmaStatus.abort;
    }
    return this.#advance(job);
  }

  /** An access that had to wait has ended: what waits behind it goes on. */
  #over(job: Job, status: DmaStatus): void {
    const substreamId = job.attributes.substreamId ?? -1;
    const queue = this.#queues.get(substreamId);
    if (queue?.[0] === job) {
      queue.shift();
      this.#tell(job, status);
      this.#next(substreamId, queue);
    } else {
      this.#tell(job, status);
    }
  }

  #tell(job: Job, status: DmaStatus): void {
    if (job.told) return;
    job.told = true;
    if (job.write && this.#stalled !== undefined && this.#stalled !== job) {
      this.#late.push(() => job.onCompletion?.(status));
      return;
    }
    if (this.#stalled === job) this.#stalled = undefined;
    job.onCompletion?.(status);
    while (this.#stalled === undefined && this.#late.length > 0) this.#late.shift()!();
  }

  #next(substreamId: number, queue: Job[]): void {
    while (queue.length > 0 && this.#queues.get(substreamId) === queue) {
      const next = queue[0]!;
      const status = this.#outcome(next, false);
      if (status === WAITS) {
        if (next.write) return;
        // A read waits by itself.
        queue.shift();
      } else {
        queue.shift();
        this.#tell(next, status);
      }
    }
    if (this.#queues.get(substreamId) === queue) this.#queues.delete(substreamId);
  }

  /** The function stops using a PASID: what waits with it ends, unsent. */
  stop(substreamId: number): void {
    this.#drop((job) => (job.attributes.substreamId ?? -1) === substreamId);
  }

  /** A reset of the function: what waits in it is lost. What an SMMU stalls has left it, up to the part that is stalled. */
  reset(): void {
    this.#drop(() => true);
  }

  #drop(which: (job: Job) => boolean): void {
    const lost = new Set([...this.#faulted].filter((job) => which(job)));
    for (const [substreamId, queue] of this.#queues) {
      for (const job of queue) if (which(job)) lost.add(job);
      if (queue.every((job) => lost.has(job))) this.#queues.delete(substreamId);
    }
    for (const job of lost) {
      job.lost = true;
      this.#faulted.delete(job);
      this.#tell(job, DmaStatus.dropped);
    }
  }

  /** A part that does not leave the function. */
  #refuse(address: number, length: number, write: boolean, outcome: "dropped" | "aborted"): DmaStatus {
    const { trace, name } = this.#options;
    if (trace.wants("dma.access")) {
      const { streamId } = this;
      trace.emit("dma.access", { master: name, streamId, address, physical: undefined, length, write, outcome, bus: BusStatus.abort });
    }
    return outcome === "dropped" ? DmaStatus.dropped : DmaStatus.abort;
  }
}

function needOf({ attributes, write }: Job): Need {
  const { substreamId = -1, privileged = false, instruction = false } = attributes;
  return { substreamId, write, execute: instruction && !write && substreamId !== -1, privileged: privileged && substreamId !== -1 };
}
