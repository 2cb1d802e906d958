// SPDX-License-Identifier: MIT
/**
 * What each TLBI reaches, in the TLB and in the walk cache alike (IHI 0070 §4.4).
 *
 * Entries of EL2, which have no ASID, count as global: operations by address take them whatever the ASID, operations by ASID
 * spare them.
 */
import { StreamWorld, type TlbiAddress, type TlbInvalidation } from "../ports.ts";
import type { TaggedCache } from "./tagged-cache.ts";
import { IPA_ENTRY, type TlbKind } from "./tlb-entry.ts";
import { TlbiRange } from "./tlb-range.ts";
import { contextGroup, GLOBAL_MEMBERS, membersOfAsid } from "./tlb-tags.ts";

const EL1: readonly TlbKind[] = [StreamWorld.nsEl1];
const ANY_EL2: readonly TlbKind[] = [StreamWorld.nsEl2, StreamWorld.nsEl2E2h];

export class TlbMaintenance implements TlbInvalidation {
  readonly #caches: readonly TaggedCache[];
  readonly #vmids: boolean;
  readonly #wildcard: () => number;
  readonly #range = new TlbiRange();

  /**
   * @param vmids false if stage 2 is not implemented: entries then have no VMID and commands' VMIDs do not count
   * @param wildcard low bits of a VMID that are not compared (CR0.VMW); lookups always compare all of them (§3.17.6)
   */
  constructor(caches: readonly TaggedCache[], vmids: boolean, wildcard: () => number) {
    this.#caches = caches;
    this.#vmids = vmids;
    this.#wildcard = wildcard;
  }

  /** The VMIDs that an operation on one of them reaches. */
  #reached(vmid: number): readonly number[] {
    const wildcard = this.#wildcard();
    if (!this.#vmids) return [0];
    return wildcard === 0 ? [vmid] : Array.from({ length: wildcard + 1 }, (_, low) => (vmid & ~wildcard) | low);
  }

  /** Everything of some kinds, whatever the VMID. */
  #kinds(kinds: readonly TlbKind[]): void {
    for (const cache of this.#caches) cache.dropGroups((group) => kinds.includes((group >>> 16) as TlbKind));
  }

  /** Everything of some kinds and a VMID; of a range, if one is given. */
  #vmid(kinds: readonly TlbKind[], vmid: number, range?: TlbiRange): void {
    for (const id of this.#reached(vmid))
      for (const cache of this.#caches) for (const kind of kinds) cache.dropGroup(contextGroup(kind, id), range);
  }

  /** What an ASID has of its own; of a range, if one is given. */
  #asid(kinds: readonly TlbKind[], vmid: number, asid: number, range?: TlbiRange): void {
    this.#members(kinds, vmid, membersOfAsid(asid), range);
  }

  #members(kinds: readonly TlbKind[], vmid: number, members: readonly number[], range: TlbiRange | undefined): void {
    for (const id of this.#reached(vmid))
      for (const cache of this.#caches) for (const kind of kinds) cache.dropMembers(contextGroup(kind, id), members, range);
  }

  #va(kinds: readonly TlbKind[], vmid: number, asid: number | undefined, address: TlbiAddress): void {
    const range = this.#range.set(address, true);
    if (asid === undefined) {
      this.#vmid(kinds, vmid, range);
      return;
    }
    this.#asid(kinds, vmid, asid, range);
    this.#members(kinds, vmid, GLOBAL_MEMBERS, range);
  }

  // Of one StreamWorld, for broadcasts.

  all(world: StreamWorld, vmid: number): void {
    this.#vmid([world], vmid);
  }

  /** @param spares entries with ASET 1 stay */
  asid(world: StreamWorld, vmid: number, asid: number, spares: boolean): void {
    const range = this.#range.setAll();
    range.sparesPrivate = spares;
    this.#asid([world], vmid, asid, spares ? range : undefined);
  }

  /** @param asid undefined: whatever the ASID @param spares entries with ASET 1 stay */
  va(world: StreamWorld, vmid: number, asid: number | undefined, address: TlbiAddress, spares: boolean): void {
    this.#range.set(address, true).sparesPrivate = spares;
    if (asid === undefined) {
      this.#vmid([world], vmid, this.#range);
      return;
    }
    this.#asid([world], vmid, asid, this.#range);
    this.#members([world], vmid, GLOBAL_MEMBERS, this.#range);
  }

  // Of commands.

  nsnhAll(): void {
    this.#kinds([StreamWorld.nsEl1, IPA_ENTRY]);
  }

  everything(): void {
    this.#kinds([...EL1, ...ANY_EL2, IPA_ENTRY]);
  }

  nhAll(vmid: number): void {
    this.#vmid(EL1, vmid);
  }

  nhAsid(vmid: number, asid: number): void {
    this.#asid(EL1, vmid, asid);
  }

  nhVa(vmid: number, asid: number | undefined, address: TlbiAddress): void {
    this.#va(EL1, vmid, asid, address);
  }

  el2All(): void {
    this.#vmid(ANY_EL2, 0);
  }

  el2Asid(asid: number): void {
    this.#asid(ANY_EL2, 0, asid);
  }

  el2Va(asid: number | undefined, address: TlbiAddress): void {
    this.#va(ANY_EL2, 0, asid, address);
  }

  s12Vmall(vmid: number): void {
    this.#vmid([...EL1, IPA_ENTRY], vmid);
  }

  /** Spares combined entries: they go with NH_ALL, NH_VAA and the like. */
  s2Ipa(vmid: number, address: TlbiAddress): void {
    this.#vmid([IPA_ENTRY], vmid, this.#range.set(address, false));
  }
}
