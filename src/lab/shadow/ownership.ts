// SPDX-License-Identifier: MIT
/**
 * The shadow beside physical memory: who owns each page, which devices may touch it, who gave it up and when.
 *
 * Kernels report allocations and grants through a PageWatcher; the machine reports the ends of kernels. At a kexec jump
 * and at a hardware reset everything the old kernel owned is given away: its grants are void. At a crash jump the old
 * kernel's memory stays what it was, grants included, because the crash kernel keeps out of it.
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
  /** Devices that may touch the page, each with the number of grants that cover it. */
  grants: Map<string, number> | null;
}

/** How an access fits the shadow: the first page that was not granted, or undefined if all were. */
export interface Trespass {
  readonly address: number;
  /** undefined: a page that no kernel ever had. */
  readonly page: PageRecord | undefined;
}

/** Whose memory it is (or was), in words. */
export function describePage(page: PageRecord | undefined): string {
  if (page === undefined) return "memory nobody ever had";
  const whose = `${page.owner} (${page.kind}) of the ${page.kernel} kernel`;
  return page.state === "owned" ? whose : `memory that was ${whose}, ${page.state === "free" ? "freed" : "given away"} by ${page.endedBy}`;
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
      revoked: (device, pa, size) => this.#revoke(device, pa, size),
    };
  }

  /** The page of an address, if anybody ever had it. */
  find(pa: number): PageRecord | undefined {
    return this.#pages.get(Math.floor(pa / PAGE_SIZE));
  }

  /** Hands whole pages to an owner; what was granted on them before is void. */
  own(kernel: string, pa: number, size: number, owner: string, kind: MemoryKind): void {
    this.#each(pa, size, (page) => {
      this.#pages.set(page, { page, state: "owned", kernel, owner, kind, endedBy: "", endedAt: 0, grants: null });
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
        record = { page, state: "owned", kernel, owner: `mapping of ${device}`, kind: "kernel", endedBy: "", endedAt: 0, grants: null };
        this.#pages.set(page, record);
      }
      record.grants ??= new Map();
      record.grants.set(device, (record.grants.get(device) ?? 0) + 1);
    });
  }

  #revoke(device: string, pa: number, size: number): void {
    this.#each(pa, size, (page) => {
      const grants = this.#pages.get(page)?.grants;
      const count = grants?.get(device);
      if (!grants || count === undefined) return;
      if (count > 1) grants.set(device, count - 1);
      else grants.delete(device);
    });
  }

  #each(pa: number, size: number, action: (page: number) => void): void {
    const last = Math.floor((pa + Math.max(size, 1) - 1) / PAGE_SIZE);
    for (let page = Math.floor(pa / PAGE_SIZE); page <= last; page++) action(page);
  }

  /** Everything this kernel owns is given away: it jumped into another kernel, or the machine was reset. */
  giveAway(kernel: string, by: string): void {
    for (const record of this.#pages.values()) {
      if (record.kernel === kernel && record.state === "owned") this.#close(record, "given-away", by);
    }
  }

  /** Where an access of `device` leaves what was granted to it; undefined if it does not. */
  trespass(device: string, pa: number, length: number): Trespass | undefined {
    const last = Math.floor((pa + Math.max(length, 1) - 1) / PAGE_SIZE);
    for (let page = Math.floor(pa / PAGE_SIZE); page <= last; page++) {
      const record = this.#pages.get(page);
      if (record?.grants?.has(device) === true) continue;
      return { address: Math.max(pa, page * PAGE_SIZE), page: record };
    }
    return undefined;
  }
}
