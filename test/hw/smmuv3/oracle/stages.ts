// SPDX-License-Identifier: MIT
/** AArch64.S1Translate and AArch64.S2Translate in the SMMU's terms (IHI 0070 §3.4, §3.13, §13; DDI 0487 D8.2 … D8.5). */
import { type Attributes, decodeMair, shareOf, type Stage2Attributes, stage2IsDevice } from "./attributes.ts";
import { bit, bits, field, pow2 } from "./bits.ts";
import { CLASS, type Class, type EventName, Faulted } from "./events.ts";
import { effectiveSize, type Features } from "./features.ts";
import {
  type Access,
  FREE,
  mairByte,
  stage1Direct,
  stage1Indirect as indirectRights,
  stage2Direct,
  stage2Indirect as indirectRights2,
  under,
} from "./permissions.ts";
import type { Cd, Ste, World } from "./structures.ts";
import type { Incoming, Registers } from "./types.ts";
import { encode, type Layer, madeDirty, type Update, withAccess } from "./updates.ts";
import {
  ds,
  granuleOfS2tg,
  granuleOfTg0,
  granuleOfTg1,
  stage1Indirect,
  stage2Indirect,
  stage2On,
  stage2Overlay,
  stage2StartLevel,
  tableUsed,
  twoRanges,
} from "./validity.ts";
import { addressOf, decodeBytes, descriptorAddress, firstTable, kindOf, outOfRange, shiftOf, stage1StartLevel, type Walk } from "./walk.ts";

export interface Context {
  readonly f: Features;
  readonly registers: Registers;
  readonly memory: Layer;
  readonly incoming: Incoming;
}

export interface Mapped {
  readonly address: bigint;
  readonly attributes: Attributes;
}

/** How stage 2 sees the SMMU's own reads and its updates of stage-1 descriptors. */
export const DATA_READ: Access = { write: false, instruction: false, privileged: true };
const DATA_WRITE: Access = { ...DATA_READ, write: true };

/** HA, HD and HAFT in force (§5.2, §5.4): HD and HAFT need HA. */
interface Hardware {
  readonly access: boolean;
  readonly dirty: boolean;
  readonly tables: boolean;
}

function hardware(ha: bigint, hd: bigint, haft: bigint, f: Features): Hardware {
  const access = f.HTTU >= 1 && ha === 1n;
  return { access, dirty: access && f.HTTU >= 2 && hd === 1n, tables: access && f.HTTU === 3 && haft === 1n };
}

/** What a walk came to. */
interface Found {
  readonly leaf: bigint;
  readonly address: bigint;
  readonly shift: number;
  readonly hierarchy: typeof FREE;
  /** Descriptors to update if the stage grants the access; the last is the leaf's. */
  readonly updates: Update[];
}

/** What differs between the stages in reading tables. */
interface Reader {
  readonly walk: Walk;
  readonly hardware: Hardware;
  readonly ignoreAccessFlag: boolean;
  readonly hierarchical: boolean;
  /** Where a descriptor is in memory. */
  physical(address: bigint): bigint;
  fault(event: EventName): Faulted;
  abort(physical: bigint): Faulted;
}

/** One walk: per level external abort, invalid descriptor, output size; then the Access flag of the leaf (§7.3.22). */
function walkTables({ f, memory }: Context, reader: Reader, input: bigint): Found {
  const { walk, hardware: hw } = reader;
  const updates: Update[] = [];
  let hierarchy = FREE;
  let table = firstTable(walk);
  for (let level = walk.startLevel; ; level++) {
    const at = descriptorAddress(walk, table, level, input);
    const physical = reader.physical(at);
    const bytes = memory.read(physical, 8);
    if (bytes === undefined) throw reader.abort(physical);
    const descriptor = decodeBytes(bytes, walk);
    const kind = kindOf(walk, level, descriptor, f);
    if (kind === "invalid") throw reader.fault("F_TRANSLATION");
    const shift = kind === "leaf" ? shiftOf(walk.granule, level) : walk.granule;
    const address = addressOf(walk, shift, descriptor, f);
    // What counts of a leaf is where it sends the input: a block may be larger than the output size (§5.2 S2PS, §5.4 IPS).
    if (outOfRange(kind === "leaf" ? address | bits(input, shift - 1, 0) : address, walk)) throw reader.fault("F_ADDR_SIZE");
    if (kind === "table") {
      if (reader.hierarchical) hierarchy = under(hierarchy, descriptor);
      if (hw.tables) updates.push({ address: at, from: descriptor, to: withAccess(descriptor) });
      table = address;
      continue;
    }
    if (!bit(descriptor, 10) && !hw.access && !reader.ignoreAccessFlag) throw reader.fault("F_ACCESS");
    updates.push({ address: at, from: descriptor, to: hw.access ? withAccess(descriptor) : descriptor });
    return { leaf: descriptor, address, shift, hierarchy, updates };
  }
}

/** Carries out updates in order. @returns false if a descriptor is another one by now */
function update({ memory }: Context, reader: Reader, updates: readonly Update[], toWrite: (address: bigint) => bigint): boolean {
  for (const { address, from, to } of updates) {
    if (from === to) continue;
    const physical = toWrite(address);
    const now = memory.read(physical, 8);
    if (now === undefined) throw reader.abort(physical);
    if (decodeBytes(now, reader.walk) !== from) return false;
    memory.write(physical, encode(to, reader.walk.bigEndian));
  }
  return true;
}

const becomesDirty = (updates: readonly Update[]): Update[] =>
  updates.map((one, i) => (i === updates.length - 1 ? { ...one, to: madeDirty(one.to) } : one));

/** Updates only set bits: walks that disturb themselves come to an end. */
const MOST_WALKS = 8;

/** The walk of TTB0 or TTB1. */
export function stage1Walk(cd: Cd, half: 0 | 1, f: Features): Walk {
  const granule = (half === 0 ? granuleOfTg0(cd.TG0) : granuleOfTg1(cd.TG1))!;
  const inputBits = 64 - Number(half === 0 ? cd.T0SZ : cd.T1SZ);
  return {
    granule,
    inputBits,
    startLevel: stage1StartLevel(granule, inputBits),
    base: (half === 0 ? cd.TTB0 : cd.TTB1) << 4n,
    outputBits: effectiveSize(Number(cd.IPS), f),
    bigEndian: cd.ENDI === 1n,
    wide: ds(cd.DS, granule, f),
  };
}

export function stage1(context: Context, ste: Ste, cd: Cd, world: World, access: Access): Mapped {
  const { f, incoming } = context;
  const va = incoming.address;
  const half = twoRanges(world) && bit(va, 55) ? 1 : 0;
  if (!tableUsed(cd, world, half)) throw new Faulted("F_TRANSLATION");
  const notForUsers = f.E0PD && twoRanges(world) && (half === 0 ? cd.E0PD0 : cd.E0PD1) === 1n;
  if (notForUsers && !access.privileged) throw new Faulted("F_TRANSLATION");
  const walk = stage1Walk(cd, half, f);
  const top = (half === 0 ? cd.TBI0 : cd.TBI1) === 1n ? 55 : 63;
  if (top >= walk.inputBits) {
    const above = bits(va, top, walk.inputBits);
    if (above !== (half === 0 ? 0n : pow2(top - walk.inputBits + 1) - 1n)) throw new Faulted("F_TRANSLATION");
  }
  const through = (purposeAccess: Access) => (address: bigint) =>
    stage2On(ste) ? stage2(context, ste, address, CLASS.TT, purposeAccess).address : address;
  const hw = hardware(cd.HA, cd.HD, cd.HAFT, f);
  const reader: Reader = {
    walk,
    hardware: hw,
    ignoreAccessFlag: cd.AFFD === 1n,
    // AIE turns hierarchical permissions off as HADx does (DDI 0487 R_MJGNV).
    hierarchical: !(f.HAD && (half === 0 ? cd.HAD0 : cd.HAD1) === 1n) && !(f.AIE && cd.AIE === 1n),
    physical: through(DATA_READ),
    fault: (event) => new Faulted(event),
    abort: (physical) => new Faulted("F_WALK_EABT", { class: CLASS.TT, fetch: physical }),
  };
  for (let walks = 0; walks < MOST_WALKS; walks++) {
    const { leaf, address, shift, hierarchy, updates } = walkTables(context, reader, va);
    const answer = stage1Indirect(ste, cd, f)
      ? indirectRights(leaf, cd, twoRanges(world), access, hw.dirty)
      : stage1Direct(leaf, hierarchy, cd, twoRanges(world), f, access, hw.dirty);
    if (answer === "no" || answer === "clean") throw new Faulted("F_PERMISSION", { dirtyBit: answer === "clean" });
    if (!update(context, reader, answer === "makes dirty" ? becomesDirty(updates) : updates, through(DATA_WRITE))) continue;
    const share = shareOf(walk.wide ? Number(half === 0 ? cd.SH0 : cd.SH1) : field(leaf, 9, 8));
    return { address: address | bits(va, shift - 1, 0), attributes: { type: decodeMair(mairByte(leaf, cd, f)), share } };
  }
  throw new Error("a walk of stage 1 that never ends");
}

export function stage2Walk(ste: Ste, f: Features): Walk {
  const granule = granuleOfS2tg(ste.S2TG)!;
  return {
    granule,
    inputBits: 64 - Number(ste.S2T0SZ),
    startLevel: stage2StartLevel(ste, f)!,
    base: ste.S2TTB << 4n,
    outputBits: effectiveSize(Number(ste.S2PS), f),
    bigEndian: ste.S2ENDI === 1n,
    wide: ds(ste.S2DS, granule, f),
  };
}

export function stage2(
  context: Context,
  ste: Ste,
  ipa: bigint,
  purpose: Class,
  access: Access,
): { readonly address: bigint; readonly attributes: Stage2Attributes } {
  const { f } = context;
  const walk = stage2Walk(ste, f);
  const hw = hardware(ste.S2HA, ste.S2HD, ste.S2HAFT, f);
  const refused = (event: EventName, more: { dirtyBit?: boolean; overlay?: boolean }): Faulted =>
    new Faulted(event, { stage2: { ipa }, class: purpose, walkWrites: access.write, ...more });
  const reader: Reader = {
    walk,
    hardware: hw,
    ignoreAccessFlag: ste.S2AFFD === 1n,
    hierarchical: false,
    physical: (address) => address,
    fault: (event) => refused(event, {}),
    abort: (physical) => new Faulted("F_WALK_EABT", { stage2: { ipa }, class: purpose, fetch: physical }),
  };
  if (ipa >= pow2(walk.inputBits)) throw reader.fault("F_TRANSLATION");
  for (let walks = 0; walks < MOST_WALKS; walks++) {
    const { leaf, address, shift, updates } = walkTables(context, reader, ipa);
    const overlay = stage2Overlay(ste, f) ? ste.S2POI : undefined;
    const answer = stage2Indirect(ste, f)
      ? indirectRights2(leaf, context.registers.S2PII, overlay, access, purpose !== CLASS.IN, hw.dirty)
      : stage2Direct(leaf, f, access, hw.dirty);
    if (answer === "no" || answer === "overlaid") throw refused("F_PERMISSION", { overlay: answer === "overlaid" });
    const attributes: Stage2Attributes = {
      memAttr: field(leaf, 5, 2),
      share: shareOf(walk.wide ? Number(ste.S2SH0) : field(leaf, 9, 8)),
      fwb: f.FWB && ste.S2FWB === 1n,
    };
    if (purpose !== CLASS.IN && ste.S2PTW === 1n && stage2IsDevice(attributes, f)) throw reader.fault("F_PERMISSION");
    // The dirty state comes last (§3.26.2).
    if (answer === "clean") throw refused("F_PERMISSION", { dirtyBit: true });
    if (!update(context, reader, answer === "makes dirty" ? becomesDirty(updates) : updates, (at) => at)) continue;
    return { address: address | bits(ipa, shift - 1, 0), attributes };
  }
  throw new Error("a walk of stage 2 that never ends");
}
