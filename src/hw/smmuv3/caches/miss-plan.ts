// SPDX-License-Identifier: MIT
/** What one half of a stream's address space asks of a miss on the short way (fast-miss.ts), worked out beforehand. */
import { type GranuleBits, levelShift } from "../translation/address-size.ts";
import { combineInputHints, combineShareability, combineStage2Type, outputShareability } from "../translation/attributes.ts";
import type { Cd, Stage1Half } from "../config/cd.ts";
import type { SmmuConfig } from "../config/config.ts";
import { rightsOf, signatureOf } from "./front-rights.ts";
import type { FrontClass } from "./front-tier.ts";
import { type Stage1Regime, stage1Permissions, stage2Permissions } from "../translation/permissions.ts";
import { StreamWorld } from "../ports.ts";
import { Via } from "../transaction.ts";
import type { Ste } from "../config/ste.ts";
import type { Stage2Config } from "../config/stage2-config.ts";
import type { TagContext } from "./tagged-cache.ts";
import { shapeOf } from "./tlb.ts";

/** Bits of a leaf: valid page, Access flag, AP[2] or S2AP[1]; in the upper word the dirty bit modifier and Contiguous. */
const PAGE = 3;
const ACCESS_FLAG = 0x400;
const BIT7 = 0x80;
const DIRTY_BIT_MODIFIER = 0x8_0000;
const CONTIGUOUS = 0x10_0000;
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
  readonly #outputShift: number;

  constructor(half: Stage1Half | Stage2Config, aset: number, ignoreAccessFlag: boolean, clean: number) {
    this.granule = half.granule;
    this.inputBits = half.inputBits;
    this.tableSize = levelShift(half.granule, LAST_TABLE);
    this.shape = shapeOf(half.granule, PAGES, false, aset, false);
    this.#needed = ignoreAccessFlag ? PAGE : PAGE | ACCESS_FLAG;
    this.#clean = clean;
    this.#outputShift = half.outputBits - 32;
  }

  /** A page that is mapped as it stands: it does not fault, has nothing updated and is no part of a run. */
  isPlain(hi: number, lo: number): boolean {
    if ((lo & this.#needed) !== this.#needed || (hi & CONTIGUOUS) !== 0 || (hi & 0xffff) >>> this.#outputShift !== 0) return false;
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

export class MissPlan {
  /** False: misses here take the long way. */
  readonly usable: boolean;
  readonly ste: Ste;
  readonly cd: Cd;
  readonly half: Stage1Half;
  /** The half of TTB1. */
  readonly upper: boolean;
  readonly stage1: LastLevel;
  /** The other stage, if there is one. */
  readonly config2: Stage2Config | undefined;
  readonly stage2: LastLevel | undefined;
  /** Perm1 bits by what a leaf says and what the tables above take away, see {@link leafKey}; Perm2 bits by the former. */
  readonly permissions1: Uint8Array;
  readonly permissions2: Uint8Array;
  readonly alwaysGlobal: boolean;
  readonly via: Via;
  /** What the front tier is told. */
  readonly signature: number;
  /** Where the last line went, and the contexts that it came from. */
  member: FrontClass | undefined;
  own: TagContext | undefined;
  global: TagContext | undefined;
  /** The last permissions and what they are to the front tier: {@link rights}. */
  #permissions = -1;
  #rights = 0;
  /** The last attributes and what they come to: {@link output}. */
  #attributes = -1;
  #output = 0;

  constructor(cd: Cd, upper: boolean, config: SmmuConfig) {
    const { ste } = cd;
    const { stage2 } = ste;
    const half = upper ? cd.ttb1 : cd.ttb0;
    this.ste = ste;
    this.cd = cd;
    this.half = half;
    this.upper = upper;
    this.config2 = stage2;
    this.stage1 = new LastLevel(half, cd.aset, cd.ignoreAccessFlag, cd.hardwareDirty ? BIT7 : -1);
    this.stage2 = stage2 && new LastLevel(stage2, 0, stage2.ignoreAccessFlag, stage2.hardwareDirty ? 0 : -1);
    this.permissions1 = stage1Table(cd);
    this.permissions2 = config.xnx ? STAGE2_XNX : STAGE2;
    this.alwaysGlobal = ste.world === StreamWorld.nsEl2;
    this.via = stage2 === undefined ? Via.stage1 : Via.nested;
    this.signature = signatureOf(ste, !half.noUnprivileged);
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
      this.#rights = rightsOf(this.ste, permissions & 63, (permissions >>> 6) & 0xff, 0, this.via, !this.half.noUnprivileged);
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
    let type = combineInputHints(attributes & 0xff, this.ste.incomingType);
    let shareability = (attributes >>> 8) & 3;
    if (this.config2 !== undefined) {
      type = combineStage2Type(type, (attributes >>> 10) & 15, (attributes & 0x1_0000) !== 0);
      shareability = combineShareability(shareability, (attributes >>> 14) & 3);
    }
    return type | (outputShareability(type, shareability) << 8);
  }
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
