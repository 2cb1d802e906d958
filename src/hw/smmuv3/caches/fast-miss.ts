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
import type { SmmuConfig } from "../config/config.ts";
import type { FrontTier } from "./front-tier.ts";
import { leafKey, type MissPlan } from "./miss-plan.ts";
import type { SmmuHost } from "../ports.ts";
import { answerOf, type Transaction } from "../transaction.ts";
import type { Stage2 } from "../translation/stage2.ts";
import type { TagContext } from "./tagged-cache.ts";
import { GLOBAL_SHAPE, type Tlb } from "./tlb.ts";
import type { Stage1Walker } from "../translation/walk.ts";
import type { WalkCache } from "./walk-cache.ts";

export interface FastMissDeps {
  readonly config: SmmuConfig;
  readonly host: SmmuHost;
  readonly tlb: Tlb;
  readonly walks: WalkCache;
  readonly front: FrontTier;
  /** The long way. */
  readonly stage2: Stage2;
  readonly walker: Stage1Walker;
}

// Perm1, Perm2 and Clean bits as a row has them: those of other modules are not constants to the compiler of the host.
const SECOND = 6;
const CLEAN = 14;
/** Perm2.read. */
const READ2 = 1;
/** Stage-2 bits with which the long way does more than look at permissions: Perm2.assuredOnly, Clean. */
const PECULIAR2 = 0x380;
const LAST = 3;
const OK: BusStatus = BusStatus.ok;
/** Entries of 4 GiB and more take the long way. */
const HUGE = 32;

export class FastMiss {
  readonly #host: SmmuHost;
  readonly #tlb: Tlb;
  readonly #walks: WalkCache;
  readonly #front: FrontTier;
  readonly #stage2: Stage2;
  readonly #walker: Stage1Walker;
  readonly #fixedOutput: boolean;
  readonly #mteperm: boolean;
  readonly #words = new Uint32Array(2);

  constructor({ config, host, tlb, walks, front, stage2, walker }: FastMissDeps) {
    this.#host = host;
    this.#tlb = tlb;
    this.#walks = walks;
    this.#front = front;
    this.#stage2 = stage2;
    this.#walker = walker;
    this.#fixedOutput = config.version >= 4;
    this.#mteperm = config.mteperm;
  }

  /**
   * @param tx its outputs are those of one that is refused
   * @returns true with other outputs if it is forwarded; false: take the long way
   */
  answer(tx: Transaction, plan: MissPlan): boolean {
    const { ste, cd, half } = plan;
    const { own, global } = cd.lookup;
    if (own === undefined || global === undefined || own.retired || global.retired) return false;
    const { write } = tx;
    const addressHi = tx.addressHi | 0;
    // 4.2
    const { privCfg, instCfg } = ste;
    const privileged = privCfg < 2 ? tx.privileged : privCfg === 3;
    const instruction = !write && (instCfg < 2 ? tx.instruction : instCfg === 3);
    if (half.noUnprivileged && !privileged) return false;
    const lo = tx.addressLo | 0;
    const hi = half.topByteIgnored ? (addressHi << 8) >> 8 : addressHi;
    const kind = write ? 1 : instruction ? 2 : 0;
    const need1 = 1 << (privileged ? kind + 3 : kind);
    const need2 = plan.stage2 === undefined ? 0 : kind < 2 ? 1 << kind : privileged ? 8 : 4;
    // 6.1
    const tlb = this.#tlb;
    let slot = tlb.lookup(own, hi, lo);
    if (slot < 0) slot = tlb.lookup(global, hi, lo);
    if (slot < 0) slot = this.#fill(plan, own, global, hi, lo, need1, need2);
    if (slot < 0) return false;
    const size = tlb.size(slot);
    const permissions = tlb.permissions(slot);
    const second = (permissions >>> SECOND) & 0xff;
    // 6.6, 7.7: an entry that was there may not grant it.
    if (size >= HUGE || permissions >>> CLEAN !== 0 || (permissions & need1) === 0 || (second & need2) !== need2) return false;
    // 6.8, 8
    const paLo = tlb.paLo(slot) | (lo & ((1 << size) - 1));
    const paHi = tlb.paHi(slot);
    const output = plan.output(tlb.attributes(slot));
    const fixed = this.#fixedOutput;
    tx.physicalLo = paLo;
    tx.physicalHi = paHi;
    const answer = answerOf(output, plan.via, !fixed && instruction, fixed || privileged);
    tx.answer = answer;
    this.#remember(tx, plan, own, global, addressHi, lo, plan.rights(permissions), paLo, paHi, answer);
    return true;
  }

  #remember(
    tx: Transaction,
    plan: MissPlan,
    own: TagContext,
    global: TagContext,
    hi: number,
    lo: number,
    rights: number,
    paLo: number,
    paHi: number,
    output: number,
  ): void {
    const front = this.#front;
    const { streamId, substreamId } = tx;
    const { member } = plan;
    const known = member !== undefined && plan.own === own && plan.global === global;
    if (known && front.keepIn(member, streamId, substreamId, hi, lo, rights, paLo, paHi, output)) return;
    plan.own = own;
    plan.global = global;
    const { signature } = plan;
    plan.member = front.keep(streamId, substreamId, own, global, signature, hi, lo, rights, paLo, paHi, output);
  }

  /** 6.2 to 7. @returns the slot of a new entry that grants the access, or -1 */
  #fill(plan: MissPlan, own: TagContext, global: TagContext, hi: number, lo: number, need1: number, need2: number): number {
    const { cd, stage1 } = plan;
    const { granule } = stage1;
    const context = cd.lookup.walks;
    if (context === undefined || context.retired || !inRange(stage1.inputBits, plan.upper, hi, lo)) return -1;
    const walks = this.#walks;
    const table = walks.last(context, stage1.tableSize, hi, lo, stage1.hints);
    if (table < 0) return -1;
    const limits = walks.limits(table) & 15;
    const tlb = this.#tlb;
    // 6.4
    let atLo = walks.tableLo(table) | stage1.offset(lo);
    let atHi = walks.tableHi(table);
    if (plan.stage2 !== undefined) {
      const slot = this.#secondStage(plan, atHi, atLo, READ2, true);
      if (slot < 0) return -1;
      atLo = tlb.paLo(slot) | (atLo & ((1 << tlb.size(slot)) - 1));
      atHi = tlb.paHi(slot);
    }
    const words = this.#words;
    const physical = atHi * 0x1_0000_0000 + (atLo >>> 0);
    const status = this.#host.load("tt-s1", physical, words, 2, LAST);
    const leafLo = words[0]! | 0;
    const leafHi = words[1]! | 0;
    let permissions = plan.permissions1[leafKey(leafHi, leafLo) | (limits << 4)]!;
    // 6.5, 6.6
    if (status !== OK || !stage1.isPlain(leafHi, leafLo) || (permissions & need1) === 0)
      return this.#give(physical, status, leafHi, leafLo);
    const inPage = (1 << granule) - 1;
    const ipaLo = (leafLo & ~inPage) | (lo & inPage);
    const ipaHi = leafHi & 0xffff;
    const index = ((leafLo >>> 2) & 7) | (cd.wideAttrIndx ? (leafHi >>> 24) & 8 : 0);
    let attributes = cd.memoryTypes[index]! | (leafLo & 0x300);
    let size: number = granule;
    let paLo = ipaLo;
    let paHi = ipaHi;
    // 7
    if (plan.stage2 !== undefined) {
      const slot = this.#secondStage(plan, ipaHi, ipaLo, need2, false);
      if (slot < 0) return this.#give(physical, status, leafHi, leafLo);
      const size2 = tlb.size(slot);
      paLo = tlb.paLo(slot) | (ipaLo & ((1 << size2) - 1));
      paHi = tlb.paHi(slot);
      // Rows of stage 2 have nothing where stage 1 has something.
      permissions |= tlb.permissions(slot);
      attributes |= tlb.attributes(slot);
      if (size2 < size) size = size2;
    }
    const isGlobal = plan.alwaysGlobal || (leafLo & 0x800) === 0;
    const shape = isGlobal ? stage1.shape | GLOBAL_SHAPE : stage1.shape;
    const home = isGlobal ? global : own;
    return tlb.insertRow(home, cd.aset, size, hi, lo, size < granule, shape, permissions, attributes, paLo, paHi, ipaLo, ipaHi);
  }

  /** The long way gets what was read. */
  #give(physical: number, status: BusStatus, hi: number, lo: number): -1 {
    this.#walker.fetched(physical, status, hi, lo);
    return -1;
  }

  /** 7.2 to 7.7. @param walk for a table of stage 1 @returns the slot of an entry that grants the access, or -1 */
  #secondStage(plan: MissPlan, hi: number, lo: number, need: number, walk: boolean): number {
    const config = plan.config2!;
    const stage2 = plan.stage2!;
    const { entries, walks: context } = config.lookup;
    if (entries === undefined || context === undefined || entries.retired || context.retired) return -1;
    const tlb = this.#tlb;
    const found = tlb.lookup(entries, hi, lo);
    const { protectWalks, forcedWriteBack: fwb } = config;
    if (found >= 0) {
      const second = tlb.permissions(found) >>> SECOND;
      if (tlb.size(found) >= HUGE || (second & need) === 0 || (second & PECULIAR2) !== 0) return -1;
      const attributes = tlb.attributes(found);
      const device = walk && protectWalks && isStage2Device((attributes >>> 10) & 15, (attributes & 0x1_0000) !== 0);
      return device ? -1 : found;
    }
    // 7.3
    const { granule, inputBits } = stage2;
    if (!inRange(inputBits, false, hi, lo)) return -1;
    const walks = this.#walks;
    const table = walks.last(context, stage2.tableSize, hi, lo, stage2.hints);
    if (table < 0) return -1;
    // 7.5
    const words = this.#words;
    const atLo = walks.tableLo(table) | stage2.offset(lo);
    const status = this.#host.load("tt-s2", walks.tableHi(table) * 0x1_0000_0000 + (atLo >>> 0), words, 2, LAST);
    const leafLo = words[0]! | 0;
    const leafHi = words[1]! | 0;
    const granted = plan.permissions2[leafKey(leafHi, leafLo)]!;
    const memAttr = stage2MemAttr((leafLo >>> 2) & 15, fwb, this.#mteperm);
    // 7.6, 7.7
    if (
      status !== OK ||
      !stage2.isPlain(leafHi, leafLo) ||
      (granted & need) === 0 ||
      (walk && protectWalks && isStage2Device(memAttr, fwb))
    ) {
      this.#stage2.fetched(status, leafHi, leafLo);
      return -1;
    }
    const attributes = (memAttr << 10) | ((leafLo & 0x300) << 6) | (fwb ? 0x1_0000 : 0);
    const permissions = granted << SECOND;
    return tlb.insertRow(entries, 0, granule, hi, lo, false, stage2.shape, permissions, attributes, leafLo, leafHi & 0xffff, 0, 0);
  }
}
