// SPDX-License-Identifier: MIT
/**
 * What has to happen to a transaction: registers and memory in, verdict out.
 *
 * Written from the text alone (IHI 0070 §3.3, §3.4, §3.12, §5, §7.3, §13; DDI 0487 D8) to be compared with the model. It shares no line
 * with src/hw/smmuv3, has no caches, and prefers plain steps to speed. Where the text leaves a choice, it takes the one in
 * src/hw/smmuv3/choices.ts and says so.
 */
import {
  type Attributes,
  combineWithStage2,
  decodeMair,
  gbpaOverrides,
  incoming as incomingAttributes,
  output,
  replaceByStage1,
  shareOf,
  type Stage2Attributes,
  stage2IsDevice,
  steOverrides,
} from "./attributes.ts";
import { alignDown, bit, bits, field, littleEndian, pow2 } from "./bits.ts";
import { CLASS, type Class, Faulted, recordOf, TRANSLATION_RELATED } from "./events.ts";
import { beyondOracle, effectiveSize, type Features, featuresOf } from "./features.ts";
import { type Access, FREE, mairByte, stage1Direct, stage1Indirect as indirectRights, stage2Direct, under } from "./permissions.ts";
import { type Cd, decodeCd, decodeSte, type Ste, type World } from "./structures.ts";
import type { Incoming, Memory, Registers, Verdict } from "./types.ts";
import {
  cdIllegal,
  ds,
  granuleOfS2tg,
  granuleOfTg0,
  granuleOfTg1,
  stage1Indirect,
  stage1On,
  stage2On,
  stage2StartLevel,
  steIllegal,
  tableUsed,
  twoRanges,
  worldOf,
} from "./validity.ts";
import { addressOf, decodeBytes, descriptorAddress, firstTable, kindOf, outOfRange, shiftOf, stage1StartLevel, type Walk } from "./walk.ts";

const SILENT: Verdict = { outcome: "abort", pa: 0n, attributes: 0, shareability: 0, record: undefined };

interface Context {
  readonly f: Features;
  readonly registers: Registers;
  readonly memory: Memory;
  readonly incoming: Incoming;
}

interface Mapped {
  readonly address: bigint;
  readonly attributes: Attributes;
}

/** §3.3 as a whole. */
export function judge(registers: Registers, memory: Memory, incoming: Incoming): Verdict {
  const f = featuresOf(registers);
  const beyond = beyondOracle(f);
  if (beyond.length > 0) throw new Error(`the oracle does not know ${beyond.join(", ")}`);
  const context = { f, registers, memory, incoming };
  if ((registers.CR0 & 1) === 0) return globalBypass(context);
  let ste: Ste | undefined;
  let cd: Cd | undefined;
  let access: Access | undefined;
  try {
    ste = fetchSte(context);
    if (steIllegal(ste, f)) throw new Faulted("C_BAD_STE");
    if (ste.Config < 4n) return SILENT;
    access = accessUnder(ste, incoming, f);
    const index = contextIndex(ste, incoming, f);
    let mapped: Mapped = { address: incoming.address, attributes: incomingAttributes(steOverrides(ste), f) };
    if (index === undefined) {
      // §3.4: without stage 1 the input is checked against the IAS; with no stage at all, against the OAS.
      if (incoming.address >= pow2(ste.Config === 4n ? f.OAS : f.IAS)) throw new Faulted("F_ADDR_SIZE", { forced: true });
    } else {
      const world = worldOf(ste, f, (registers.CR2 & 1) === 1);
      cd = fetchCd(context, ste, index);
      if (cdIllegal(cd, ste, world, f)) {
        cd = undefined;
        throw new Faulted("C_BAD_CD");
      }
      const first = stage1(context, ste, cd, world, access);
      mapped = { address: first.address, attributes: replaceByStage1(mapped.attributes, first.attributes) };
    }
    if (stage2On(ste)) {
      const second = stage2(context, ste, mapped.address, CLASS.IN, access);
      mapped = { address: second.address, attributes: combineWithStage2(mapped.attributes, second.attributes, f) };
    }
    return { outcome: "forward", pa: mapped.address % pow2(f.OAS), ...output(mapped.attributes), record: undefined };
  } catch (fault) {
    if (!(fault instanceof Faulted)) throw fault;
    return terminate(context, fault, ste, cd, access);
  }
}

/** SMMUEN is 0: GBPA decides (§3.4, §6.3.14). */
function globalBypass({ f, registers, incoming }: Context): Verdict {
  if ((registers.GBPA & 0x10_0000) !== 0 || incoming.address >= pow2(f.OAS)) return SILENT;
  return { ...SILENT, outcome: "forward", pa: incoming.address, ...output(incomingAttributes(gbpaOverrides(registers.GBPA), f)) };
}

/** §3.12: which of abort, RAZ/WI and stall, and whether there is a record. */
function terminate(
  { f, registers, incoming }: Context,
  fault: Faulted,
  ste: Ste | undefined,
  cd: Cd | undefined,
  access: Access | undefined,
): Verdict {
  let abort = true;
  let record = true;
  let stall = false;
  if (fault.event === "C_BAD_STREAMID") record = (registers.CR2 & 2) !== 0;
  if (TRANSLATION_RELATED.includes(fault.event) && !fault.forced) {
    if (fault.stage2 !== undefined) {
      record = ste!.S2R === 1n;
      stall = ste!.S2S === 1n;
    } else {
      abort = cd!.A === 1n;
      record = cd!.R === 1n;
      stall = cd!.S === 1n;
    }
  }
  const words = record || stall ? recordOf(fault, incoming, access, f.OAS, stall) : undefined;
  return { ...SILENT, outcome: stall ? "stall" : abort ? "abort" : "raz-wi", record: words };
}

/** §3.3.2, §5.1, §6.3.24 */
function fetchSte({ f, registers, memory, incoming }: Context): Ste {
  const configuration = BigInt(registers.STRTAB_BASE_CFG >>> 0);
  const log2size = field(configuration, 5, 0);
  const sid = BigInt(incoming.streamId);
  if (sid >= pow2(Math.min(log2size, f.SIDSIZE))) throw new Faulted("C_BAD_STREAMID");
  const base = bits(registers.STRTAB_BASE, 55, 6) << 6n;
  const twoLevel = f.ST_LEVEL !== 0 && field(configuration, 17, 16) === 1;
  let address: bigint;
  if (twoLevel) {
    const splitField = field(configuration, 10, 6);
    const split = splitField === 8 || splitField === 10 ? splitField : 6;
    // Level-1 tables are aligned to their size, or 64 bytes.
    const level1 = alignDown(base, Math.max(6, 3 + log2size - split)) + (sid >> BigInt(split)) * 8n;
    const descriptor = fetchStructure(memory, level1, 8, f, "F_STE_FETCH");
    const span = field(descriptor, 4, 0);
    const index = sid % pow2(split);
    if (span === 0 || span > 11 || span > split + 1 || index >= pow2(span - 1)) throw new Faulted("C_BAD_STREAMID");
    address = alignDown(bits(descriptor, 55, 6) << 6n, 5 + span) + index * 64n;
  } else {
    address = alignDown(base, 6 + log2size) + sid * 64n;
  }
  return decodeSte(fetchStructure(memory, address, 64, f, "F_STE_FETCH"));
}

/** A physical address beyond the OAS is not truncated (choice "strtab-beyond-oas"). */
function fetchStructure(memory: Memory, address: bigint, bytes: number, f: Features, event: "F_STE_FETCH" | "F_CD_FETCH"): bigint {
  const read = address >= pow2(f.OAS) ? undefined : memory.read(address, bytes);
  if (read === undefined) throw new Faulted(event, { fetch: address });
  return littleEndian(read);
}

/** §13.1.2, §5.2 PRIVCFG and INSTCFG: writes are Data. */
function accessUnder(ste: Ste, incoming: Incoming, f: Features): Access {
  const { write } = incoming;
  let { privileged } = incoming;
  let instruction = incoming.instruction && !write;
  if (f.ATTR_PERMS_OVR) {
    if (ste.PRIVCFG >= 2n) privileged = ste.PRIVCFG === 3n;
    if (ste.INSTCFG >= 2n && !write) instruction = ste.INSTCFG === 3n;
  }
  return { write, instruction, privileged };
}

/** §5.2 S1CDMax, S1DSS; §7.3.7, §7.3.9. @returns undefined: no stage 1 */
function contextIndex(ste: Ste, { substreamId }: Incoming, f: Features): number | undefined {
  const cds = f.SSIDSIZE === 0 ? 0 : Number(ste.S1CDMax);
  if (substreamId !== undefined && (!stage1On(ste) || cds === 0 || substreamId >= 2 ** cds)) {
    throw new Faulted("C_BAD_SUBSTREAMID", { index: substreamId });
  }
  if (!stage1On(ste)) return undefined;
  if (cds === 0) return 0;
  if (substreamId === undefined) {
    if (ste.S1DSS === 1n) return undefined;
    if (ste.S1DSS === 2n) return 0;
    throw new Faulted("F_STREAM_DISABLED");
  }
  if (substreamId === 0 && ste.S1DSS === 2n) throw new Faulted("F_STREAM_DISABLED");
  return substreamId;
}

/** §5.2 S1Fmt, §5.3, §5.5 */
function fetchCd(context: Context, ste: Ste, index: number): Cd {
  const { f } = context;
  const cds = f.SSIDSIZE === 0 ? 0 : Number(ste.S1CDMax);
  const pointer = ste.S1ContextPtr << 6n;
  const leafBits = cds === 0 ? 0 : ste.S1Fmt === 1n ? 6 : ste.S1Fmt === 2n ? 10 : 0;
  const at = BigInt(index);
  let address: bigint;
  if (leafBits === 0) {
    // Bits below the table's alignment count as zero (choice "s1contextptr-low-bits").
    address = alignDown(pointer, 6 + cds) + at * 64n;
  } else {
    const level1 = alignDown(pointer, Math.max(6, 3 + cds - leafBits)) + (at >> BigInt(leafBits)) * 8n;
    const descriptor = fetchThroughStage2(context, ste, level1, 8);
    const leaf = bits(descriptor, 55, 12) << 12n;
    // Beyond the IAS a stage-2 fault would do as well (choice "l2ptr-beyond-ias").
    if (!bit(descriptor, 0) || leaf >= pow2(stage2On(ste) ? f.IAS : f.OAS)) throw new Faulted("C_BAD_SUBSTREAMID", { index });
    address = alignDown(leaf, leafBits + 6) + (at % pow2(leafBits)) * 64n;
  }
  return decodeCd(fetchThroughStage2(context, ste, address, 64));
}

const DATA_READ: Access = { write: false, instruction: false, privileged: true };

function fetchThroughStage2(context: Context, ste: Ste, address: bigint, bytes: number): bigint {
  const physical = stage2On(ste) ? stage2(context, ste, address, CLASS.CD, DATA_READ).address : address;
  return fetchStructure(context.memory, physical, bytes, context.f, "F_CD_FETCH");
}

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

/** AArch64.S1Translate with the SMMU's checks around it. */
function stage1(context: Context, ste: Ste, cd: Cd, world: World, access: Access): Mapped {
  const { f, memory, incoming } = context;
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
  const hierarchical = !(f.HAD && (half === 0 ? cd.HAD0 : cd.HAD1) === 1n);
  let hierarchy = FREE;
  let table = firstTable(walk);
  for (let level = walk.startLevel; ; level++) {
    const at = descriptorAddress(walk, table, level, va);
    const physical = stage2On(ste) ? stage2(context, ste, at, CLASS.TT, DATA_READ).address : at;
    const bytes = memory.read(physical, 8);
    if (bytes === undefined) throw new Faulted("F_WALK_EABT", { class: CLASS.TT, fetch: physical });
    const descriptor = decodeBytes(bytes, walk);
    const kind = kindOf(walk, level, descriptor, f);
    if (kind === "invalid") throw new Faulted("F_TRANSLATION");
    const shift = kind === "leaf" ? shiftOf(walk.granule, level) : walk.granule;
    const address = addressOf(walk, shift, descriptor, f);
    if (outOfRange(address, walk)) throw new Faulted("F_ADDR_SIZE");
    if (kind === "table") {
      if (hierarchical) hierarchy = under(hierarchy, descriptor);
      table = address;
      continue;
    }
    if (!bit(descriptor, 10) && cd.AFFD === 0n) throw new Faulted("F_ACCESS");
    const allowed = stage1Indirect(ste, cd, f)
      ? indirectRights(descriptor, cd, twoRanges(world), access)
      : stage1Direct(descriptor, hierarchy, cd, twoRanges(world), f, access);
    if (!allowed) throw new Faulted("F_PERMISSION");
    const share = shareOf(walk.wide ? Number(half === 0 ? cd.SH0 : cd.SH1) : field(descriptor, 9, 8));
    return { address: address | bits(va, shift - 1, 0), attributes: { type: decodeMair(mairByte(descriptor, cd, f)), share } };
  }
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

/** AArch64.S2Translate. */
function stage2(
  context: Context,
  ste: Ste,
  ipa: bigint,
  purpose: Class,
  access: Access,
): { readonly address: bigint; readonly attributes: Stage2Attributes } {
  const { f, memory } = context;
  const walk = stage2Walk(ste, f);
  const fails = (event: "F_TRANSLATION" | "F_ADDR_SIZE" | "F_ACCESS" | "F_PERMISSION"): Faulted =>
    new Faulted(event, { stage2: { ipa }, class: purpose, walkWrites: access.write });
  if (ipa >= pow2(walk.inputBits)) throw fails("F_TRANSLATION");
  let table = firstTable(walk);
  for (let level = walk.startLevel; ; level++) {
    const at = descriptorAddress(walk, table, level, ipa);
    const bytes = memory.read(at, 8);
    if (bytes === undefined) throw new Faulted("F_WALK_EABT", { stage2: { ipa }, class: purpose, fetch: at });
    const descriptor = decodeBytes(bytes, walk);
    const kind = kindOf(walk, level, descriptor, f);
    if (kind === "invalid") throw fails("F_TRANSLATION");
    const shift = kind === "leaf" ? shiftOf(walk.granule, level) : walk.granule;
    const address = addressOf(walk, shift, descriptor, f);
    if (outOfRange(address, walk)) throw fails("F_ADDR_SIZE");
    if (kind === "table") {
      table = address;
      continue;
    }
    if (!bit(descriptor, 10) && ste.S2AFFD === 0n) throw fails("F_ACCESS");
    if (!stage2Direct(descriptor, f, access)) throw fails("F_PERMISSION");
    const attributes: Stage2Attributes = {
      memAttr: field(descriptor, 5, 2),
      share: shareOf(walk.wide ? Number(ste.S2SH0) : field(descriptor, 9, 8)),
      fwb: f.FWB && ste.S2FWB === 1n,
    };
    if (purpose !== CLASS.IN && ste.S2PTW === 1n && stage2IsDevice(attributes, f)) throw fails("F_PERMISSION");
    return { address: address | bits(ipa, shift - 1, 0), attributes };
  }
}
