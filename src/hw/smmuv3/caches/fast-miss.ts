// SPDX-License-Identifier: MIT
/**
 * The short way through a TLB miss: the last table is in the walk cache, and its entry is a page without peculiarities. One
 * descriptor of each stage is read, and the translation goes into the TLB and the front tier as words of a row.
 *
 * It decides nothing that the long way would not decide. Where anything is unusual, the long way begins anew, from where
 * nothing has changed yet; what was read meanwhile it gets handed, so that nothing is read twice. Comments number the steps
 * as in translator.ts.
 */
import { BusStatus } from "../../memory/system-bus.ts";
import { inRange } from "../translation/address-size.ts";
import { isStage2Device, stage2MemAttr } from "../translation/attributes.ts";
import type { Cd } from "../config/cd.ts";
import type { SmmuConfig } from "../config/config.ts";
import type { ConfigCache } from "../config/config-cache.ts";
import { type DescriptorLoad, descriptorLoadOf } from "../descriptor-load.ts";
import type { FrontTier } from "./front-tier.ts";
import { leafKey, MissPlan } from "./miss-plan.ts";
import type { SmmuHost } from "../ports.ts";
import type { Transaction } from "../transaction.ts";
import type { Stage2 } from "../translation/stage2.ts";
import { ROW, type TagContext } from "./tagged-cache.ts";
import { GLOBAL_SHAPE, type Tlb, TLB_ROW } from "./tlb.ts";
import type { Stage1Walker } from "../translation/walk.ts";
import { WALK_ROW, type WalkCache } from "./walk-cache.ts";

export interface FastMissDeps {
  readonly config: SmmuConfig;
  readonly cache: ConfigCache;
  readonly host: SmmuHost;
  readonly tlb: Tlb;
  readonly walks: WalkCache;
  readonly front: FrontTier;
  /** The long way. */
  readonly stage2: Stage2;
  readonly walker: Stage1Walker;
}

// Constants of other modules are none to the compiler of the host.
const { shift: SHIFT, size: SIZE } = ROW;
const { shape: SHAPE, permissions: PERM, attributes: ATTR, paLo: PA_LO, paHi: PA_HI, ipaLo: IPA_LO, ipaHi: IPA_HI } = TLB_ROW;
const { tableLo: TABLE_LO, tableHi: TABLE_HI, limits: LIMITS } = WALK_ROW;
// Perm2 and Clean bits as a row has them.
const SECOND = 6;
const CLEAN = 14;
/** Perm2.read. */
const READ2 = 1;
/** Stage-2 bits with which the long way does more than look at permissions: Perm2.assuredOnly, Clean. */
const PECULIAR2 = 0x380;
const NEED1 = 63;
const OK: BusStatus = BusStatus.ok;
/** Entries of 4 GiB and more take the long way. */
const HUGE = 32;
/** Flags that are none of a plain read or write; where the others stand in an answer. */
const NOT_PLAIN = ~7;
const FLAGS_SHIFT = 17;
/** Plans that are at hand, two for each stream; a power of two. */
const PLANS = 512;

export class FastMiss {
  readonly #config: SmmuConfig;
  readonly #cache: ConfigCache;
  readonly #load: DescriptorLoad;
  readonly #tlb: Tlb;
  readonly #walks: WalkCache;
  readonly #front: FrontTier;
  readonly #stage2: Stage2;
  readonly #walker: Stage1Walker;
  readonly #plans: (MissPlan | undefined)[] = Array.from({ length: PLANS }, () => undefined);
  readonly #words = new Int32Array(2);

  constructor({ config, cache, host, tlb, walks, front, stage2, walker }: FastMissDeps) {
    this.#config = config;
    this.#cache = cache;
    this.#load = descriptorLoadOf(host);
    this.#tlb = tlb;
    this.#walks = walks;
    this.#front = front;
    this.#stage2 = stage2;
    this.#walker = walker;
  }

  /** Makes a plan for misses like this one, unless there is one. @param cd as the configuration cache has it for the transaction */
  plan(tx: Transaction, cd: Cd): void {
    const place = placeOf(tx.streamId, tx.substreamId, tx.addressHi);
    const known = this.#plans[place];
    const { generation } = this.#cache;
    if (known?.generation === generation && known.streamId === tx.streamId && known.substreamId === tx.substreamId) return;
    const upper = cd.twoPrivileges && (tx.addressHi & 0x0080_0000) !== 0;
    this.#plans[place] = new MissPlan(tx, generation, cd, upper, this.#config);
  }

  /** @returns true with the outputs set if it is forwarded; false: take the long way */
  answer(tx: Transaction): boolean {
    const { streamId, substreamId, addressHi, flags } = tx;
    const plan = this.#plans[placeOf(streamId, substreamId, addressHi)];
    if (plan === undefined || plan.streamId !== streamId || plan.substreamId !== substreamId) return false;
    if (plan.generation !== this.#cache.generation || !plan.usable || (flags & NOT_PLAIN) !== 0) return false;
    const { own, global } = plan.lookup;
    if (own === undefined || global === undefined || own.retired || global.retired) return false;
    // 4.2
    const need = plan.needs[flags]!;
    if (need === 0) return false;
    const lo = tx.addressLo | 0;
    const hi = plan.topByteIgnored ? (addressHi << 8) >> 8 : addressHi | 0;
    // 6.1
    const tlb = this.#tlb;
    let slot = tlb.lookup(own, hi, lo);
    if (slot < 0 && global.sizes !== 0) slot = tlb.lookup(global, hi, lo);
    if (slot < 0) slot = this.#fill(plan, own, global, hi, lo, need);
    if (slot < 0) return false;
    const rows = tlb.words;
    const at = slot << SHIFT;
    const size = rows[at | SIZE]! & 0xff;
    const permissions = rows[at | PERM]!;
    // 6.6, 7.7: an entry that was there may not grant it.
    if (size >= HUGE || permissions >>> CLEAN !== 0 || (permissions & need) !== need) return false;
    // 6.8, 8
    const paLo = rows[at | PA_LO]! | (lo & ((1 << size) - 1));
    const paHi = rows[at | PA_HI]!;
    const answer = plan.output(rows[at | ATTR]!) | plan.answer;
    tx.physicalLo = paLo;
    tx.physicalHi = paHi;
    tx.answer = answer | (flags << FLAGS_SHIFT);
    tx.stall = null;
    const { member } = plan;
    const rights = plan.rights(permissions);
    const known = member !== undefined && plan.own === own && plan.global === global;
    if (!known || !this.#front.keepIn(member, streamId, substreamId, addressHi | 0, lo, rights, paLo, paHi, answer))
      this.#remember(tx, plan, own, global, rights);
    return true;
  }

  #remember(tx: Transaction, plan: MissPlan, own: TagContext, global: TagContext, rights: number): void {
    const { streamId, substreamId, addressHi, addressLo, physicalLo, physicalHi, answer } = tx;
    plan.own = own;
    plan.global = global;
    const { signature } = plan;
    const front = this.#front;
    plan.member = front.keep(streamId, substreamId, own, global, signature, addressHi, addressLo, rights, physicalLo, physicalHi, answer);
  }

  /** 6.2 to 7. @returns the slot of a new entry that grants the access, or -1 */
  #fill(plan: MissPlan, own: TagContext, global: TagContext, hi: number, lo: number, need: number): number {
    const { stage1, leaf } = plan;
    const { granule } = stage1;
    const context = plan.lookup.walks;
    if (context === undefined || context.retired || !inRange(stage1.inputBits, plan.upper, hi, lo)) return -1;
    const walks = this.#walks;
    const table = walks.last(context, stage1.tableSize, hi, lo, stage1.hints);
    if (table < 0) return -1;
    const tables = walks.words;
    const tableAt = table << SHIFT;
    const tlb = this.#tlb;
    const rows = tlb.words;
    // 6.4
    let atLo = tables[tableAt | TABLE_LO]! | stage1.offset(lo);
    let atHi = tables[tableAt | TABLE_HI]!;
    if (plan.stage2 !== undefined) {
      const slot = this.#secondStage(plan, atHi, atLo, READ2, true);
      if (slot < 0) return -1;
      const row = slot << SHIFT;
      atLo = rows[row | PA_LO]! | (atLo & ((1 << rows[row | SIZE]!) - 1));
      atHi = rows[row | PA_HI]!;
    }
    const words = this.#words;
    const status = this.#load("tt-s1", atHi, atLo, words);
    const leafLo = words[0]!;
    const leafHi = words[1]!;
    leaf.take(leafHi, leafLo, tables[tableAt | LIMITS]! & 15);
    let { permissions, attributes } = leaf;
    // 6.5, 6.6
    if (status !== OK || !leaf.plain || (leafHi & stage1.beyond) !== 0 || (permissions & need & NEED1) === 0)
      return this.#give(atHi, atLo, status, leafHi, leafLo);
    const inPage = (1 << granule) - 1;
    const ipaLo = (leafLo & ~inPage) | (lo & inPage);
    const ipaHi = leafHi & 0xffff;
    let size: number = granule;
    let paLo = ipaLo;
    let paHi = ipaHi;
    // 7
    if (plan.stage2 !== undefined) {
      const slot = this.#secondStage(plan, ipaHi, ipaLo, need >>> SECOND, false);
      if (slot < 0) return this.#give(atHi, atLo, status, leafHi, leafLo);
      const row = slot << SHIFT;
      const size2 = rows[row | SIZE]! & 0xff;
      paLo = rows[row | PA_LO]! | (ipaLo & ((1 << size2) - 1));
      paHi = rows[row | PA_HI]!;
      // Rows of stage 2 have nothing where stage 1 has something.
      permissions |= rows[row | PERM]!;
      attributes |= rows[row | ATTR]!;
      if (size2 < size) size = size2;
    }
    const home = leaf.global ? global : own;
    const slot = tlb.take(home, size, hi, lo, size < granule);
    if (!leaf.global) tlb.came(home, plan.aset, size, hi, lo);
    const at = slot << SHIFT;
    const low = -(1 << size);
    rows[at | SHAPE] = leaf.global ? stage1.shape | GLOBAL_SHAPE : stage1.shape;
    rows[at | PERM] = permissions;
    rows[at | ATTR] = attributes;
    rows[at | PA_LO] = paLo & low;
    rows[at | PA_HI] = paHi;
    rows[at | IPA_LO] = ipaLo & low;
    rows[at | IPA_HI] = ipaHi;
    return slot;
  }

  /** The long way gets what was read. */
  #give(atHi: number, atLo: number, status: BusStatus, hi: number, lo: number): -1 {
    this.#walker.fetched(atHi * 0x1_0000_0000 + (atLo >>> 0), status, hi, lo);
    return -1;
  }

  /** 7.2 to 7.7. @param walk for a table of stage 1 @returns the slot of an entry that grants the access, or -1 */
  #secondStage(plan: MissPlan, hi: number, lo: number, need: number, walk: boolean): number {
    const config = plan.config2!;
    const stage2 = plan.stage2!;
    const { entries, walks: context } = config.lookup;
    if (entries === undefined || context === undefined || entries.retired || context.retired) return -1;
    const tlb = this.#tlb;
    const found = walk ? tlb.lookupNear(entries, hi, lo, plan.tableSlot) : tlb.lookup(entries, hi, lo);
    const { protectWalks, forcedWriteBack: fwb } = config;
    const rows = tlb.words;
    if (found >= 0) {
      const at = found << SHIFT;
      const second = rows[at | PERM]! >>> SECOND;
      if ((rows[at | SIZE]! & 0xff) >= HUGE || (second & need) === 0 || (second & PECULIAR2) !== 0) return -1;
      const attributes = rows[at | ATTR]!;
      if (walk && protectWalks && isStage2Device((attributes >>> 10) & 15, (attributes & 0x1_0000) !== 0)) return -1;
      if (walk) plan.tableSlot = found;
      return found;
    }
    // 7.3
    const { granule, inputBits } = stage2;
    if (!inRange(inputBits, false, hi, lo)) return -1;
    const walks = this.#walks;
    const table = walks.last(context, stage2.tableSize, hi, lo, stage2.hints);
    if (table < 0) return -1;
    // 7.5
    const words = this.#words;
    const tables = walks.words;
    const tableAt = table << SHIFT;
    const status = this.#load("tt-s2", tables[tableAt | TABLE_HI]!, tables[tableAt | TABLE_LO]! | stage2.offset(lo), words);
    const leafLo = words[0]!;
    const leafHi = words[1]!;
    const granted = plan.permissions2[leafKey(leafHi, leafLo)]!;
    const memAttr = stage2MemAttr((leafLo >>> 2) & 15, fwb, this.#config.mteperm);
    // 7.6, 7.7
    if (
      status !== OK ||
      !stage2.isPlain(leafHi, leafLo) ||
      (leafHi & stage2.beyond) !== 0 ||
      (granted & need) === 0 ||
      (walk && protectWalks && isStage2Device(memAttr, fwb))
    ) {
      this.#stage2.fetched(status, leafHi, leafLo);
      return -1;
    }
    const slot = tlb.take(entries, granule, hi, lo, false);
    const at = slot << SHIFT;
    rows[at | SHAPE] = stage2.shape;
    rows[at | PERM] = granted << SECOND;
    rows[at | ATTR] = (memAttr << 10) | ((leafLo & 0x300) << 6) | (fwb ? 0x1_0000 : 0);
    rows[at | PA_LO] = leafLo & -(1 << granule);
    rows[at | PA_HI] = leafHi & 0xffff;
    rows[at | IPA_LO] = 0;
    rows[at | IPA_HI] = 0;
    return slot;
  }
}

/** Where the plan of a stream lies for addresses with bit 55 as this one has it. */
function placeOf(streamId: number, substreamId: number, addressHi: number): number {
  return ((spread(streamId, substreamId) << 1) | ((addressHi >>> 23) & 1)) & (PLANS - 1);
}

/** Sends a few streams of a few SubstreamIDs each to different places, and many streams without any, too. */
export function spread(streamId: number, substreamId: number): number {
  return Math.imul(streamId, 17) + substreamId;
}
