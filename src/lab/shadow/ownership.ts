// SPDX-License-Identifier: MIT
/**
 * The shadow beside physical memory: who owns each page, which devices may touch it, who gave it up and when.
 *
 * Kernels report allocations and grants through a PageWatcher; the machine reports the ends of kernels. At a kexec jump
 * and at a hardware reset everything the old kernel owned is given away: its grants are void. At a crash jump the old
 * kernel's memory stays what it was, grants included, because the crash kernel keeps out of it. So it does at a kexec jump that
 * means to come back, but for the region whose bytes are exchanged: its books are exchanged with them.
 */
import type { MemoryKind, PageWatcher } from "../../kernel/index.ts";

export const PAGE_SIZE = 4096;

export type PageState = "owned" | "free" | "given-away";

/** What is known of one page. Pages nobody ever had are not recorded. */
export interface PageRecord {
  readonly page: number;
  state: PageState;
  /** The kernel that owns the page, or owned it last. */
  kernel: string;
  owner: string;
  kind: MemoryKind;
  /** Who gave the page up, and when (virtual ns); set while it is not owned. */
  endedBy: string;
  endedAt: number;
  /** Devices that may touch the page, and for each the number of grants by each kernel. */
  grants: Map<string, Map<string, number>> | null;
  /** Devices that this owner ever let touch the page, whether they still may or not. */
  grantees: Set<string> | null;
}

/** A part of an access that lies in a page which was not granted. */
export interface Trespass {
  /** Physical, the first byte of that part. */
  readonly address: number;
  /** Bytes of the access in that page. */
  readonly length: number;
  /** undefined: a page that no kernel ever had. */
  readonly page: PageRecord | undefined;
}

/** What an access has that left nothing. */
export const NO_TRESPASS: readonly Trespass[] = [];

/**
 * True if the page is somebody else's than the device's driver: it has an owner, and that owner never let the device touch
 * it. A page that was unmapped from the device and not given on is nobody else's: writing there is stray.
 */
export function isForeign(page: PageRecord | undefined, device: string): boolean {
  return page !== undefined && page.state === "owned" && page.grantees?.has(device) !== true;
}

/** Whose memory it is (or was), in words. */
export function describePage(page: PageRecord | undefined): string {
  if (page === undefined) return "memory nobody ever had";
  const whose = `${page.owner} (${page.kind}) of the ${page.kernel} kernel`;
  return page.state === "owned" ? whose : `memory that was ${whose}, ${page.state === "free" ? "freed" : "given away"} by ${page.endedBy}`;
}

/** As {@link describePage}, and what the page once was to the device. */
export function describeTrespass({ page }: Trespass, device: string): string {
  const once =
    page?.grantees?.has(device) === true ? (page.state === "owned" ? ", unmapped from it and not given on" : ", once granted to it") : "";
  return `${describePage(page)}${once}`;
}

export class OwnershipShadow {
  readonly #now: () => number;
  readonly #pages = new Map<number, PageRecord>();

  /** @param now virtual nanoseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** What a kernel of this name reports to. */
  watcher(kernel: string): PageWatcher {
    return {
      allocated: (pa, size, owner, kind) => this.own(kernel, pa, size, owner, kind),
      freed: (pa, size, by) => this.#end(pa, size, "free", by),
      granted: (device, pa, size) => this.#grant(kernel, device, pa, size),
      revoked: (device, pa, size) => this.#revoke(kernel, device, pa, size),
    };
  }

  /** The page of an address, if anybody ever had it. */
  find(pa: number): PageRecord | undefined {
    return this.#pages.get(Math.floor(pa / PAGE_SIZE));
  }

  /** Hands whole pages to an owner; what was granted on them before is void. */
  own(kernel: string, pa: number, size: number, owner: string, kind: MemoryKind): void {
    this.#each(pa, size, (page) => {
      this.#pages.set(page, { page, state: "owned", kernel, owner, kind, endedBy: "", endedAt: 0, grants: null, grantees: null });
    });
  }

  #end(pa: number, size: number, state: PageState, by: string): void {
    this.#each(pa, size, (page) => {
      const record = this.#pages.get(page);
      if (record) this.#close(record, state, by);
    });
  }

  #close(record: PageRecord, state: PageState, by: string): void {
    record.state = state;
    record.endedBy = by;
    record.endedAt = this.#now();
    record.grants = null;
  }

  #grant(kernel: string, device: string, pa: number, size: number): void {
    this.#each(pa, size, (page) => {
      let record = this.#pages.get(page);
      if (record === undefined || record.state !== "owned") {
        const owner = `mapping of ${device}`;
        record = { page, state: "owned", kernel, owner, kind: "kernel", endedBy: "", endedAt: 0, grants: null, grantees: null };
        this.#pages.set(page, record);
      }
      record.grants ??= new Map();
      record.grantees ??= new Set();
      record.grantees.add(device);
      const counts = record.grants.get(device) ?? new Map<string, number>();
      record.grants.set(device, counts.set(kernel, (counts.get(kernel) ?? 0) + 1));
    });
  }

  /** Takes back a grant of the same kernel: a crash kernel's unmapping is none of the crashed kernel's grants. */
  #revoke(kernel: string, device: string, pa: number, size: number): void {
    this.#each(pa, size, (page) => {
      const grants = this.#pages.get(page)?.grants;
      const counts = grants?.get(device);
      const count = counts?.get(kernel);
      if (!grants || !counts || count === undefined) return;
      if (count > 1) counts.set(kernel, count - 1);
      else counts.delete(kernel);
      if (counts.size === 0) grants.delete(device);
    });
  }

  #each(pa: number, size: number, action: (page: number) => void): void {
    const last = Math.floor((pa + Math.max(size, 1) - 1) / PAGE_SIZE);
    for (let page = Math.floor(pa / PAGE_SIZE); page <= last; page++) action(page);
  }

  /**
   * The bytes of a range are put by somewhere else, and what is known of its pages with them, to be put back together. Until
   * then, or until somebody else has them, the pages are given away.
   */
  setAside(base: number, size: number, by: string): readonly PageRecord[] {
    const records: PageRecord[] = [];
    this.#each(base, size, (page) => {
      const record = this.#pages.get(page);
      if (record === undefined) return;
      records.push(record);
      const left = { ...record };
      if (left.state === "owned") this.#close(left, "given-away", by);
      this.#pages.set(page, left);
    });
    return records;
  }

  /** Undoes {@link setAside}. */
  putBack(records: readonly PageRecord[]): void {
    for (const record of records) this.#pages.set(record.page, record);
  }

  /** Everything this kernel owns is given away: it jumped into another kernel, or the machine was reset. */
  giveAway(kernel: string, by: string): void {
    for (const record of this.#pages.values()) {
      if (record.kernel === kernel && record.state === "owned") this.#close(record, "given-away", by);
    }
  }

  /** Where an access of `device` leaves what was granted to it: each page of it that was not, in order of address. */
  trespasses(device: string, pa: number, length: number): readonly Trespass[] {
    const end = pa + Math.max(length, 1);
    let found: Trespass[] | undefined;
    for (let page = Math.floor(pa / PAGE_SIZE); page * PAGE_SIZE < end; page++) {
      const record = this.#pages.get(page);
      if (record?.grants?.has(device) === true) continue;
      const address = Math.max(pa, page * PAGE_SIZE);
      found ??= [];
      found.push({ address, length: Math.min(end, (page + 1) * PAGE_SIZE) - address, page: record });
    }
    return found ?? NO_TRESPASS;
  }
}
