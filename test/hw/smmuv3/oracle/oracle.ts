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
  gbpaOverrides,
  incoming as incomingAttributes,
  output,
  replaceByStage1,
  steOverrides,
} from "./attributes.ts";
import { alignDown, bit, bits, field, littleEndian, pow2 } from "./bits.ts";
import { CLASS, Faulted, recordOf, TRANSLATION_RELATED } from "./events.ts";
import { beyondOracle, type Features, featuresOf } from "./features.ts";
import type { Access } from "./permissions.ts";
import { type Context, DATA_READ, type Mapped, stage1, stage2 } from "./stages.ts";
import { type Cd, decodeCd, decodeSte, type Ste } from "./structures.ts";
import type { Incoming, Memory, Registers, Verdict } from "./types.ts";
import { Layer } from "./updates.ts";
import { cdIllegal, stage1On, stage2On, steIllegal, worldOf } from "./validity.ts";

const SILENT: Verdict = {
  outcome: "abort",
  pa: 0n,
  attributes: 0,
  shareability: 0,
  instruction: false,
  privileged: false,
  record: undefined,
  updates: [],
};

/** §3.3 as a whole. */
export function judge(registers: Registers, memory: Memory, incoming: Incoming): Verdict {
  const f = featuresOf(registers);
  const beyond = beyondOracle(f);
  if (beyond.length > 0) throw new Error(`the oracle does not know ${beyond.join(", ")}`);
  const layer = new Layer(memory);
  const context = { f, registers, memory: layer, incoming };
  if ((registers.CR0 & 1) === 0) return globalBypass(context);
  let ste: Ste | undefined;
  let cd: Cd | undefined;
  let access: Access | undefined;
  try {
    ste = fetchSte(context);
    if (steIllegal(ste, f)) throw new Faulted("C_BAD_STE");
    if (ste.Config < 4n) return SILENT;
    access = accessUnder(Number(ste.PRIVCFG), Number(ste.INSTCFG), incoming, f);
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
    return { ...forward(mapped.address % pow2(f.OAS), mapped.attributes, access, f), updates: layer.updates };
  } catch (fault) {
    if (!(fault instanceof Faulted)) throw fault;
    return terminate(context, fault, ste, cd, access);
  }
}

/** SMMUEN is 0: GBPA decides (§3.4, §6.3.14). */
function globalBypass({ f, registers, incoming }: Context): Verdict {
  if ((registers.GBPA & 0x10_0000) !== 0 || incoming.address >= pow2(f.OAS)) return SILENT;
  const access = accessUnder((registers.GBPA >>> 16) & 3, (registers.GBPA >>> 18) & 3, incoming, f);
  return forward(incoming.address, incomingAttributes(gbpaOverrides(registers.GBPA), f), access, f);
}

/** §3.12: which of abort, RAZ/WI and stall, and whether there is a record. */
function terminate(
  { f, registers, memory, incoming }: Context,
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
  return { ...SILENT, outcome: stall ? "stall" : abort ? "abort" : "raz-wi", record: words, updates: memory.updates };
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

/** §13.1.2, §5.2 PRIVCFG and INSTCFG, §6.3.14: writes are Data. */
function accessUnder(privcfg: number, instcfg: number, incoming: Incoming, f: Features): Access {
  const { write } = incoming;
  let { privileged } = incoming;
  let instruction = incoming.instruction && !write;
  if (f.ATTR_PERMS_OVR) {
    if (privcfg >= 2) privileged = privcfg === 3;
    if (instcfg >= 2 && !write) instruction = instcfg === 3;
  }
  return { write, instruction, privileged };
}

/** §13.1.2: from v3.4 on all leaves as Data, Privileged. */
function forward(pa: bigint, attributes: Attributes, access: Access, f: Features): Verdict {
  const fixed = f.minor >= 4;
  const instruction = !fixed && access.instruction;
  return { ...SILENT, outcome: "forward", pa, ...output(attributes), instruction, privileged: fixed || access.privileged };
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

function fetchThroughStage2(context: Context, ste: Ste, address: bigint, bytes: number): bigint {
  const physical = stage2On(ste) ? stage2(context, ste, address, CLASS.CD, DATA_READ).address : address;
  return fetchStructure(context.memory, physical, bytes, context.f, "F_CD_FETCH");
}
