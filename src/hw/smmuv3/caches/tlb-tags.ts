// SPDX-License-Identifier: MIT
/**
 * Tags of cached translations (IHI 0070 §3.17.1, §3.3.4): which entries serve which lookups, and which ones maintenance
 * reaches together.
 */
import { StreamWorld } from "../ports.ts";
import type { TagContext } from "./tagged-cache.ts";
import { IPA_ENTRY, type TlbKind } from "./tlb-entry.ts";

/** All that an entry is tagged with, but its address. Tags that its kind has not got are 0. */
export interface Tags {
  readonly kind: TlbKind;
  /** A VA entry that includes stage 2. */
  readonly nested: boolean;
  readonly global: boolean;
  readonly vmid: number;
  readonly asid: number;
  /** Counts for global entries only (§3.17.2). */
  readonly aset: number;
}

const IDS = 2 ** 32;

/** One number for one set of tags: entries of a context have this in common. */
export function contextKey({ kind, nested, global, vmid, asid, aset }: Tags): number {
  const flags = (kind << 3) | (nested ? 4 : 0) | (global ? 2 | aset : 0);
  return flags * IDS + (global ? 0 : asid) * 0x1_0000 + vmid;
}

const NESTED_MEMBER = 4 * 0x1_0000;
const GLOBAL_MEMBER = 2 * 0x1_0000;
const ASET_MEMBER = 0x1_0000;

/** What tells the contexts of one {@link contextGroup} apart. A small integer, as that of the group is: to look for one is quick. */
export function memberOfKey(key: number): number {
  return (Math.floor(key / 0x1_0000) & 0xffff) | ((Math.floor(key / IDS) & 7) * 0x1_0000);
}

/** Members that hold what an ASID has of its own: plain and nested. */
export function membersOfAsid(asid: number): readonly number[] {
  return [asid, NESTED_MEMBER | asid];
}

/** Those that hold global entries. */
export const GLOBAL_MEMBERS: readonly number[] = [0, ASET_MEMBER, NESTED_MEMBER, NESTED_MEMBER | ASET_MEMBER].map(
  (member) => member | GLOBAL_MEMBER,
);

/** The inverse of {@link contextKey}. */
export function tagsOfKey(key: number): Tags {
  const flags = Math.floor(key / IDS);
  const ids = key % IDS;
  return {
    kind: (flags >> 3) as TlbKind,
    nested: (flags & 4) !== 0,
    global: (flags & 2) !== 0,
    vmid: ids & 0xffff,
    asid: ids >>> 16,
    aset: flags & 1,
  };
}

/** ASET of a context of global entries. */
export function asetOfKey(key: number): number {
  return Math.floor(key / IDS) & 1;
}

/** Contexts of one kind and VMID. */
export function contextGroup(kind: TlbKind, vmid: number): number {
  return kind * 0x1_0000 + vmid;
}

/**
 * The contexts in which translations of one CD are looked up, found at the first lookup and again when a cache has let go of
 * them.
 */
export class VaLookup {
  readonly world: StreamWorld;
  readonly nested: boolean;
  readonly vmid: number;
  readonly asid: number;
  readonly aset: number;
  /** Entries of the ASID, and global ones, in the TLB. */
  own: TagContext | undefined;
  global: TagContext | undefined;
  /** Tables in the walk cache. */
  walks: TagContext | undefined;

  constructor(world: StreamWorld, nested: boolean, vmid: number, asid: number, aset: number) {
    this.world = world;
    this.nested = nested;
    this.vmid = vmid;
    this.asid = asid;
    this.aset = aset;
  }

  /** The context of an entry, as the last lookup found it. */
  context(global: boolean): TagContext | undefined {
    return global || this.world === StreamWorld.nsEl2 ? this.global : this.own;
  }

  /** @param global in a StreamWorld without ASIDs every entry counts as global */
  tags(global: boolean): Tags {
    const { world, nested, vmid, asid, aset } = this;
    return { kind: world, nested, global: global || world === StreamWorld.nsEl2, vmid, asid, aset };
  }
}

/** The same for one stage 2. */
export class IpaLookup {
  readonly vmid: number;
  /** In the TLB. */
  entries: TagContext | undefined;
  /** In the walk cache. */
  walks: TagContext | undefined;

  constructor(vmid: number) {
    this.vmid = vmid;
  }

  tags(): Tags {
    return { kind: IPA_ENTRY, nested: false, global: false, vmid: this.vmid, asid: 0, aset: 0 };
  }
}
