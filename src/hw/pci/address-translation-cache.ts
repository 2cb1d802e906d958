// SPDX-License-Identifier: MIT
/**
 * The address translation cache of a function (ATC): what Translation Completions granted it, until it is told to forget
 * (PCI Express Base, 10.2.3, 10.3).
 *
 * An entry is used as it was granted or dropped, never changed. Completions without any permission are not kept: the host
 * need not tell when a page comes to be (10.2.3.5).
 */
import { HostMisuseError } from "../errors.ts";

/** What is dropped for a new entry when the cache is full. */
export type AtcReplacement =
  /** The entry that was used longest ago. */
  | "lru"
  /** The oldest entry. */
  | "fifo";

export interface AtcOptions {
  /** Entries that it holds: 1 or more. Default: 64. */
  readonly capacity?: number;
  /** Default: "lru". */
  readonly replacement?: AtcReplacement;
}

/** A translation. Addresses are multiples of their size. */
export interface AtcEntry {
  /** The PASID of the request; -1: it had none. */
  readonly substreamId: number;
  /** Permissions are those of privileged requests: the two kinds are independent (10.2.3.7). */
  readonly privileged: boolean;
  /** Good for every PASID. */
  readonly global: boolean;
  readonly base: number;
  /** 12 … 63. */
  readonly sizeLog2: number;
  readonly translated: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  /** The range is to be reached by untranslated requests only (U). */
  readonly untranslatedOnly: boolean;
}

/** Which entries an invalidation drops; a member that is absent excludes none. */
export interface AtcSelection {
  /** A range that the entry overlaps. */
  readonly range?: { readonly base: number; readonly sizeLog2: number };
  /** Whether an entry with these marks is meant. Default: all. */
  matches?(entry: AtcEntry): boolean;
}

export class AddressTranslationCache {
  readonly #capacity: number;
  readonly #replacement: AtcReplacement;
  /** The next to be replaced first. */
  #entries: AtcEntry[] = [];

  /** @throws HostMisuseError for a capacity that is none */
  constructor({ capacity = 64, replacement = "lru" }: AtcOptions = {}) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new HostMisuseError("PCI_ATC", `an address translation cache of ${capacity} entries: it needs 1 or more`);
    this.#capacity = capacity;
    this.#replacement = replacement;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The entries, the next to be replaced first. */
  get entries(): readonly AtcEntry[] {
    return this.#entries;
  }

  /** The entry that covers the address for requests of this kind. */
  lookup(substreamId: number, privileged: boolean, address: number): AtcEntry | undefined {
    const entries = this.#entries;
    for (let i = entries.length - 1; i >= 0; i--) {
      const entry = entries[i]!;
      if (address < entry.base || address >= entry.base + 2 ** entry.sizeLog2 || entry.privileged !== privileged) continue;
      if (entry.substreamId !== substreamId && !(entry.global && substreamId !== -1)) continue;
      if (this.#replacement === "lru" && i !== entries.length - 1) {
        entries.splice(i, 1);
        entries.push(entry);
      }
      return entry;
    }
    return undefined;
  }

  /** A new entry; what it overlaps of the same requests goes. */
  insert(entry: AtcEntry): void {
    const { substreamId, privileged, global, base, sizeLog2 } = entry;
    this.invalidate({
      range: { base, sizeLog2 },
      matches: (other) => other.substreamId === substreamId && other.privileged === privileged && other.global === global,
    });
    if (this.#entries.length === this.#capacity) this.#entries.shift();
    this.#entries.push(entry);
  }

  invalidate({ range, matches }: AtcSelection): void {
    this.#entries = this.#entries.filter((entry) => {
      if (range !== undefined && (entry.base >= range.base + 2 ** range.sizeLog2 || range.base >= entry.base + 2 ** entry.sizeLog2))
        return true;
      return matches !== undefined && !matches(entry);
    });
  }

  clear(): void {
    this.#entries = [];
  }
}
