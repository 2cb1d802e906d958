// SPDX-License-Identifier: MIT
/**
 * The Page Request Interface of a function: groups of page requests, the credit that software allots, responses, and the
 * registers of the capability (PCI Express Base, 10.4, 10.5.2).
 *
 * A group is outstanding from its last request to its response; each of its pages takes one credit until then. With ENABLE
 * cleared the interface stops: nothing new goes out, and STOPPED is set once all responses are here. A Response Failure turns the
 * interface off until ENABLE goes from 0 to 1 again, whatever that bit reads meanwhile.
 */
import { high32, low32 } from "../bits/hex.ts";
import { PageResponse, type PageGroupResponse, type PageRequest } from "../memory/ats.ts";
import type { ConfigSpace } from "./config-space.ts";
import { PRI } from "./spec.ts";

/** How a group ended: Success, Invalid Request, or no answer that it could go on with. */
export type PageOutcome = "success" | "invalid" | "failed";

/** What a group asks for, for each of its pages. */
export interface PageNeed {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  readonly privileged: boolean;
}

interface Wanted {
  readonly substreamId: number;
  readonly need: PageNeed;
  /** Addresses of pages of 4 KiB. */
  readonly pages: readonly number[];
  readonly done: (outcome: PageOutcome) => void;
}

interface Group extends Wanted {
  /** Of a PASID that was stopped: its response returns credit and index, nothing else (10.4.1.2). */
  stale: boolean;
}

export interface PageRequestInterfaceOptions {
  readonly config: ConfigSpace;
  /** Offset of the capability. */
  readonly at: number;
  readonly capacity: number;
  readonly responsePasid: boolean;
  /** Sends a Page Request Message. */
  send(request: PageRequest): void;
}

/** Group indices have 9 bits. */
const INDICES = 512;

export class PageRequestInterface {
  readonly #options: PageRequestInterfaceOptions;
  readonly #groups = new Map<number, Group>();
  #waiting: Wanted[] = [];
  #outstanding = 0;
  #allocation = 0;
  #enabled = false;
  #failed = false;
  #nextIndex = 0;
  #stopping: { readonly substreamId: number; readonly done: () => void }[] = [];

  constructor(options: PageRequestInterfaceOptions) {
    this.#options = options;
  }

  /** Page requests that have gone out without a response. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Groups that wait for credit. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** The interface may send requests. */
  get usable(): boolean {
    return this.#enabled && !this.#failed;
  }

  /**
   * Asks for pages as one group, as soon as there is credit; for the first of them only where the credit is for fewer.
   * @param done called once, at once or later; not for a group of a PASID that is stopped meanwhile
   * @returns false: the interface is not enabled, or a failure turned it off
   */
  request(substreamId: number, need: PageNeed, pages: readonly number[], done: (outcome: PageOutcome) => void): boolean {
    if (!this.usable) return false;
    this.#waiting.push({ substreamId, need, pages, done });
    this.#pump();
    return true;
  }

  #pump(): void {
    while (this.usable && this.#waiting.length > 0) {
      const room = this.#allocation - this.#outstanding;
      if (room < 1 || this.#groups.size === INDICES) return;
      const wanted = this.#waiting.shift()!;
      this.#send({ ...wanted, pages: wanted.pages.slice(0, room), stale: false });
    }
  }

  #send(group: Group): void {
    while (this.#groups.has(this.#nextIndex)) this.#nextIndex = (this.#nextIndex + 1) % INDICES;
    const groupIndex = this.#nextIndex;
    this.#nextIndex = (groupIndex + 1) % INDICES;
    this.#groups.set(groupIndex, group);
    this.#outstanding += group.pages.length;
    const { substreamId, need, pages } = group;
    for (const [i, page] of pages.entries()) {
      // The answer to the one before may have been a Response Failure, which disables the interface.
      if (this.#failed) return;
      const last = i === pages.length - 1;
      this.#options.send({ substreamId, addressHi: high32(page), addressLo: low32(page), ...need, last, groupIndex });
    }
  }

  /** A PRG Response Message. */
  respond({ substreamId, groupIndex, code }: PageGroupResponse): void {
    // Ignored until the interface is enabled again (10.4.2.1).
    if (this.#failed) return;
    // Codes that are not used act as Response Failure, of which the index need not be that of a request (Table 10-8, 10.4.1.1).
    if (code !== PageResponse.success && code !== PageResponse.invalidRequest && (this.#enabled || this.#groups.size > 0)) {
      this.#status(PRI.RESPONSE_FAILURE);
      this.#failed = true;
      this.#abandon();
      if (!this.#enabled) this.#status(PRI.STOPPED);
      return;
    }
    const group = this.#groups.get(groupIndex);
    if (group === undefined || (this.#options.responsePasid && group.substreamId !== substreamId)) {
      this.#status(PRI.UNEXPECTED_INDEX);
      return;
    }
    this.#groups.delete(groupIndex);
    this.#outstanding -= group.pages.length;
    if (!this.#enabled && this.#groups.size === 0) this.#status(PRI.STOPPED);
    if (!group.stale) group.done(code === PageResponse.success ? "success" : "invalid");
    this.#stopped();
    this.#pump();
  }

  /**
   * Stops the use of a PASID (10.4.1.2): what waits for credit is forgotten. With a marker what is outstanding becomes stale and a
   * Stop Marker goes out; without one, `done` waits for the responses.
   */
  stop(substreamId: number, marker: boolean, done: () => void): void {
    this.#waiting = this.#waiting.filter((wanted) => wanted.substreamId !== substreamId);
    this.#stopping.push({ substreamId, done });
    if (marker) {
      for (const group of this.#groups.values()) if (group.substreamId === substreamId) group.stale = true;
      const nothing = { read: false, write: false, execute: false, privileged: false };
      this.#options.send({ substreamId, addressHi: 0, addressLo: 0, ...nothing, last: true, groupIndex: 0 });
    }
    this.#stopped();
  }

  #stopped(): void {
    const over = this.#stopping.filter(
      ({ substreamId }) => ![...this.#groups.values()].some((group) => group.substreamId === substreamId && !group.stale),
    );
    if (over.length === 0) return;
    this.#stopping = this.#stopping.filter((stop) => !over.includes(stop));
    for (const { done } of over) done();
  }

  /** Software may have written CONTROL. @param reset it wrote 1 to RESET */
  written(reset: boolean): void {
    const { config, at, capacity } = this.#options;
    const enabled = (config.read(at + PRI.CONTROL, 2) & PRI.ENABLE) !== 0;
    if (enabled !== this.#enabled) {
      this.#enabled = enabled;
      if (enabled) this.#start(Math.min(config.read(at + PRI.ALLOCATION, 4), capacity));
      else this.#wind();
    }
    if (reset && !enabled) {
      this.#abandon();
      this.#status(PRI.STOPPED);
    }
  }

  #start(allocation: number): void {
    const { config, at } = this.#options;
    // The allocation is that of now until the interface is enabled again (10.4).
    this.#allocation = allocation;
    this.#failed = false;
    const flags = PRI.STOPPED | PRI.RESPONSE_FAILURE | PRI.UNEXPECTED_INDEX;
    config.set(at + PRI.STATUS, 2, config.read(at + PRI.STATUS, 2) & ~flags);
  }

  #wind(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (this.#groups.size === 0) this.#status(PRI.STOPPED);
    for (const { done } of waiting) done("failed");
  }

  /** Nothing is outstanding any more, and nothing will be answered. */
  #abandon(): void {
    const given = [...[...this.#groups.values()].filter(({ stale }) => !stale), ...this.#waiting];
    this.#groups.clear();
    this.#waiting = [];
    this.#outstanding = 0;
    for (const { done } of given) done("failed");
    this.#stopped();
  }

  /** A reset of the function; the registers are reset by whoever resets them all. Nobody is told. */
  reset(): void {
    this.#groups.clear();
    this.#waiting = [];
    this.#stopping = [];
    this.#outstanding = 0;
    this.#enabled = false;
    this.#failed = false;
    this.#nextIndex = 0;
  }

  #status(bits: number): void {
    const { config, at } = this.#options;
    config.set(at + PRI.STATUS, 2, config.read(at + PRI.STATUS, 2) | bits);
  }
}
