// SPDX-License-Identifier: MIT
/** What one half of a stream's address space asks of a miss on the short way (fast-miss.ts), worked out beforehand. */
import { type GranuleBits, levelShift } from "../translation/address-size.ts";
import { combineInputHints, combineShareability, combineStage2Type, outputShareability } from "../translation/attributes.ts";
import type { Cd, Stage1Half } from "../config/cd.ts";
import type { SmmuConfig } from "../config/config.ts";
import { rightsOf, signatureOf } from "./front-rights.ts";
import type { FrontClass } from "./front-tier.ts";
import { needOfStage1, needOfStage2, type Stage1Regime, stage1Permissions, stage2Permissions } from "../translation/permissions.ts";
import { StreamWorld } from "../ports.ts";
import { overridden, overridesOf, Transaction, Via } from "../transaction.ts";
import type { Ste } from "../config/ste.ts";
import type { Stage2Config } from "../config/stage2-config.ts";
import type { TagContext } from "./tagged-cache.ts";
import { shapeOf } from "./tlb.ts";
import type { VaLookup } from "./tlb-tags.ts";

/** Bits of a leaf: valid page, Access flag, AP[2] or S2AP[1]; in the upper word the dirty bit modifier and Contiguous. */
const PAGE = 3;
const ACCESS_FLAG = 0x400;
const BIT7 = 0x80;
const DIRTY_BIT_MODIFIER = 0x8_0000;
const CONTIGUOUS = 0x10_0000;
const NOT_GLOBAL = 0x800;
/** Perm2 bits of a row of the TLB. */
const SECOND = 6;
/** Level of pages, and of the last table descriptor. */
const PAGES = 3;
const LAST_TABLE = 2;

/** Tables whose place is remembered; a power of two. */
const TABLES = 16;

/** The last level of a stage. */
class LastLevel {
  readonly granule: GranuleBits;
  readonly inputBits: number;
  /** log2 of what the table covers. */
  readonly tableSize: number;
  /** Where the walk cache has had such tables. */
  readonly hints: Int32Array = new Int32Array(TABLES);
  /** Of the row of an entry that is not global. */
  readonly shape: number;
  /** Bits that a leaf without peculiarities has. */
  readonly #needed: number;
  /** With {@link DIRTY_BIT_MODIFIER} the value of bit 7 that makes the leaf writable-clean; -1: none does. */
  readonly #clean: number;
  /** Bits of the upper word with which the output is beyond the output size. */
  readonly beyond: number;

  constructor(half: Stage1Half | Stage2Config, aset: number, ignoreAccessFlag: boolean, clean: number) {
    this.granule = half.granule;
    this.inputBits = half.inputBits;
    this.tableSize = levelShift(half.granule, LAST_TABLE);
    this.shape = shapeOf(half.granule, PAGES, false, aset, false);
    this.#needed = ignoreAccessFlag ? PAGE : PAGE | ACCESS_FLAG;
    this.#clean = clean;
    this.beyond = 0xffff & (0xffff << (half.outputBits - 32));
  }

  /** A page that is mapped as it stands: if its output is in range, it does not fault, has nothing updated and is no part of a run. */
  isPlain(hi: number, lo: number): boolean {
    if ((lo & this.#needed) !== this.#needed || (hi & CONTIGUOUS) !== 0) return false;
    return (hi & DIRTY_BIT_MODIFIER) === 0 || (lo & BIT7) !== this.#clean;
  }

  /** Offset of the entry for an address in the table. */
  offset(lo: number): number {
    return ((lo >>> this.granule) << 3) & ((1 << this.granule) - 1);
  }
}

/** Descriptors of 64 bits, little-endian, with addresses of at most 48 bits, and above them a table. Those of 128 bits are wide. */
function isPlainStage(half: Stage1Half | Stage2Config, bigEndian: boolean): boolean {
  return !half.wide && !bigEndian && half.startLevel <= LAST_TABLE;
}

function isPlainStage2({ d128, overlay, indirect, assuredOnly }: Stage2Config): boolean {
  return !d128 && overlay === undefined && !indirect && !assuredOnly;
}

/** What stage 1 makes of leaves that differ in nothing but their output. */
class LeafKind {
  /** Bits 11:0 and 63:48 of the leaf, and what the tables above take away. */
  #low = -1;
  #high = 0;
  #limits = 0;
  /** It is mapped as it stands. */
  plain = false;
  permissions = 0;
  attributes = 0;
  global = false;
  readonly #cd: Cd;
  readonly #stage1: LastLevel;
  /** Perm1 bits by {@link leafKey} and TableLimit bits. */
  readonly #permissions: Uint8Array;
  readonly #alwaysGlobal: boolean;

  constructor(cd: Cd, stage1: LastLevel) {
    this.#cd = cd;
    this.#stage1 = stage1;
    this.#permissions = stage1Table(cd);
    this.#alwaysGlobal = cd.ste.world === StreamWorld.nsEl2;
  }

  /** Becomes the kind of a leaf. Most leaves are of the kind of the one before. */
  take(hi: number, lo: number, limits: number): void {
    if ((lo & 0xfff) !== this.#low || hi >> 16 !== this.#high || limits !== this.#limits) this.#read(hi, lo, limits);
  }

  #read(hi: number, lo: number, limits: number): void {
    const { wideAttrIndx, memoryTypes } = this.#cd;
    this.#low = lo & 0xfff;
    this.#high = hi >> 16;
    this.#limits = limits;
    this.plain = this.#stage1.isPlain(hi, lo);
    this.permissions = this.#permissions[leafKey(hi, lo) | (limits << 4)]!;
    const index = ((lo >>> 2) & 7) | (wideAttrIndx ? (hi >>> 24) & 8 : 0);
    this.attributes = memoryTypes[index]! | (lo & 0x300);
    this.global = this.#alwaysGlobal || (lo & NOT_GLOBAL) === 0;
  }
}

export class MissPlan {
  /** False: misses here take the long way. */
  readonly usable: boolean;
  /** Whose it is, while the configuration cache is of this generation. */
  readonly streamId: number;
  readonly substreamId: number;
  readonly generation: number;
  readonly lookup: VaLookup;
  readonly aset: number;
  readonly topByteIgnored: boolean;
  /** The half of TTB1. */
  readonly upper: boolean;
  readonly stage1: LastLevel;
  readonly leaf: LeafKind;
  /** The other stage, if there is one. */
  readonly config2: Stage2Config | undefined;
  readonly stage2: LastLevel | undefined;
  /** Perm2 bits by {@link leafKey}. */
  readonly permissions2: Uint8Array;
  /** What an access has to be granted, by its flags, as a row of the TLB has it; 0: E0PD refuses it. */
  readonly needs: Int32Array;
  /** What an answer says besides memory type, shareability and flags. */
  readonly answer: number;
  /** What the front tier is told. */
  readonly signature: number;
  /** Where the last line went, and the contexts that it came from. */
  member: FrontClass | undefined;
  own: TagContext | undefined;
  global: TagContext | undefined;
  /** Where stage 2 had the last table of stage 1. */
  tableSlot = 0;
  readonly #ste: Ste;
  readonly #via: Via;
  readonly #unprivileged: boolean;
  /** The last permissions and what they are to the front tier: {@link rights}. */
  #permissions = -1;
  #rights = 0;
  /** The last attributes and what they come to: {@link output}. */
  #attributes = -1;
  #output = 0;

  constructor(tx: Transaction, generation: number, cd: Cd, upper: boolean, config: SmmuConfig) {
    const { ste } = cd;
    const { stage2 } = ste;
    const half = upper ? cd.ttb1 : cd.ttb0;
    this.streamId = tx.streamId;
    this.substreamId = tx.substreamId;
    this.generation = generation;
    this.#ste = ste;
    this.#via = stage2 === undefined ? Via.stage1 : Via.nested;
    this.#unprivileged = !half.noUnprivileged;
    this.lookup = cd.lookup;
    this.aset = cd.aset;
    this.topByteIgnored = half.topByteIgnored;
    this.upper = upper;
    this.config2 = stage2;
    this.stage1 = new LastLevel(half, cd.aset, cd.ignoreAccessFlag, cd.hardwareDirty ? BIT7 : -1);
    this.leaf = new LeafKind(cd, this.stage1);
    this.stage2 = stage2 && new LastLevel(stage2, 0, stage2.ignoreAccessFlag, stage2.hardwareDirty ? 0 : -1);
    this.permissions2 = config.xnx ? STAGE2_XNX : STAGE2;
    this.needs = Int32Array.from({ length: 8 }, (_, flags) => needsOf(ste, this.#unprivileged, flags));
    this.answer = overridesOf(ste.privCfg, ste.instCfg, config.version >= 4, this.#via);
    this.signature = signatureOf(ste, cd);
    this.usable =
      half.enabled &&
      isPlainStage(half, cd.bigEndian) &&
      !cd.d128 &&
      cd.indirect === undefined &&
      !cd.protectedBit &&
      (stage2 === undefined || (isPlainStage(stage2, stage2.bigEndian) && isPlainStage2(stage2)));
  }

  /** The second word of a line. @param permissions of an entry that is not writable-clean, as its row has them */
  rights(permissions: number): number {
    if (permissions !== this.#permissions) {
      this.#permissions = permissions;
      this.#rights = rightsOf(this.#ste, permissions & 63, (permissions >>> SECOND) & 0xff, 0, this.#via, this.#unprivileged);
    }
    return this.#rights;
  }

  /** 6.8 and 8 for the attributes of an entry. @returns the memory type, and shareability from bit 8 on */
  output(attributes: number): number {
    if (attributes !== this.#attributes) {
      this.#attributes = attributes;
      this.#output = this.#combined(attributes);
    }
    return this.#output;
  }

  #combined(attributes: number): number {
    let type = combineInputHints(attributes & 0xff, this.#ste.incomingType);
    let shareability = (attributes >>> 8) & 3;
    if (this.config2 !== undefined) {
      type = combineStage2Type(type, (attributes >>> 10) & 15, (attributes & 0x1_0000) !== 0);
      shareability = combineShareability(shareability, (attributes >>> 14) & 3);
    }
    return type | (outputShareability(type, shareability) << 8);
  }
}

/** 4.2 for a plain read or write with these flags. */
function needsOf({ privCfg, instCfg, stage2 }: Ste, unprivileged: boolean, flags: number): number {
  const tx = new Transaction();
  tx.flags = flags;
  const { write } = tx;
  const privileged = overridden(privCfg, tx.privileged);
  const instruction = !write && overridden(instCfg, tx.instruction);
  if (!unprivileged && !privileged) return 0;
  const second = stage2 === undefined ? 0 : needOfStage2(write, instruction, privileged);
  return needOfStage1(write, instruction, privileged) | (second << SECOND);
}

/** AP or S2AP in bits 1:0, and bits 54:53 above them. */
export function leafKey(hi: number, lo: number): number {
  return ((lo >>> 6) & 3) | ((hi >>> 19) & 12);
}

/** By regime: 256 permissions each. */
const STAGE1: (Uint8Array | undefined)[] = [];

/** By {@link leafKey} and, from bit 4 on, TableLimit bits. */
function stage1Table(regime: Stage1Regime): Uint8Array {
  const { twoPrivileges, WXN, PAN, EPAN } = regime;
  const number = (twoPrivileges ? 8 : 0) | (WXN ? 4 : 0) | (PAN ? 2 : 0) | (EPAN ? 1 : 0);
  return (STAGE1[number] ??= Uint8Array.from({ length: 256 }, (_, key) =>
    stage1Permissions(key & 3, (key & 4) !== 0, (key & 8) !== 0, key >>> 4, regime),
  ));
}

const [STAGE2, STAGE2_XNX] = [false, true].map((xnx) =>
  Uint8Array.from({ length: 16 }, (_, key) => stage2Permissions(key & 3, key >>> 2, xnx)),
) as [Uint8Array, Uint8Array];
