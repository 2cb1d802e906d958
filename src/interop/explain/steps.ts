// SPDX-License-Identifier: MIT
/**
 * From the SMMU's own fetches to steps in words. Nothing is walked here: the order of the fetches, their addresses and their
 * contents are the SMMU's; this file only knows what each fetch is for and how to read it.
 */
import { BusStatus, CD, STE, type SmmuAccessKind, type SmmuConfig, hex } from "../../hw/index.ts";
import type { Decoded } from "../decode/decoded.ts";
import { type DescriptorPlace, decodePte, descriptorAddress, descriptorKind, levelShift } from "../decode/descriptor.ts";
import { decodePte128, descriptorAddress128, descriptorKind128, levelShift128 } from "../decode/descriptor128.ts";
import { type WalkShape, fieldOf, stage1Shape, stage2Shape } from "../decode/shape.ts";
import { decodeCd, decodeL1cd, decodeL1std, decodeSte } from "../decode/structures.ts";
import type { ExplainStep } from "./types.ts";

/** A fetch of the SMMU. */
export interface Fetch {
  readonly kind: SmmuAccessKind;
  readonly address: number;
  readonly words: Uint32Array;
  readonly status: BusStatus;
  /** Level of a translation descriptor's table. */
  readonly level: number | undefined;
}

/** What the request and the registers say. */
export interface WalkContext {
  readonly config: SmmuConfig;
  readonly streamId: number;
  /** Index of the CD: the SubstreamID, or 0. */
  readonly index: number;
  readonly addressHi: number;
  readonly addressLo: number;
  /** STRTAB_BASE_CFG.SPLIT of a two-level table. */
  readonly split: number | undefined;
  /** CR2.E2H. */
  readonly e2h: boolean;
  /** STE and CD as the caches have them, for walks that did not fetch them. */
  readonly ste: Uint32Array | undefined;
  readonly cd: Uint32Array | undefined;
}

const STE_MATTERS = [
  "V",
  "Config",
  "S1Fmt",
  "S1ContextPtr",
  "S1CDMax",
  "S1DSS",
  "STRW",
  "PRIVCFG",
  "INSTCFG",
  "S2VMID",
  "S2T0SZ",
  "S2SL0",
  "S2SL0_2",
  "S2DS",
  "S2SKL",
  "S2TG",
  "S2PS",
  "S2AFFD",
  "S2PTW",
  "S2R",
  "S2TTB",
];
/** Fields of descriptors of 128 bits. */
const LEAF128_MATTERS = ["AttrIndx", "MemAttr", "nDirty", "Dirty", "SH", "AF", "nG", "OA[55:12]", "SKL", "Contiguous", "PIIndex"];
const TABLE128_MATTERS = ["NextTable[55:12]", "SKL", "DisCH"];
const LPA2_FIELDS = new Set(["S2SL0_2", "S2DS", "DS"]);
const LEAF_MATTERS = [
  "AttrIndx",
  "MemAttr",
  "AP",
  "S2AP",
  "SH",
  "AF",
  "nG",
  "PXN",
  "UXN",
  "XN",
  "Contiguous",
  "OA[47:12]",
  "OA[51:50]",
  "OA[49:48]",
];
const TABLE_MATTERS = ["NextTable[47:12]", "APTable", "PXNTable", "UXNTable"];
const cdMatters = (half: 0 | 1): string[] => [
  "V",
  `T${half}SZ`,
  `TG${half}`,
  `EPD${half}`,
  `TBI${half}`,
  `TTB${half}`,
  "DS",
  `SKL${half}`,
  "IPS",
  "AFFD",
  "R",
  "A",
  "ASID",
];

function swapped(words: Uint32Array): Uint32Array {
  const swap = (word: number): number => ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
  return words.map((_, i) => swap(words[words.length - 1 - i]!));
}

/** The part of an address that selects the entry of a table at a level. @param skip levels that the way to a table of 128-bit descriptors skips */
function indexAt({ granule, inputBits, startLevel, d128 }: WalkShape, level: number, skip: number, address: bigint): bigint {
  const shift = d128 ? levelShift128(granule, level) : levelShift(granule, level);
  const width = level === startLevel ? inputBits - shift : d128 ? (skip + 1) * (granule - 4) : granule - 3;
  return (address >> BigInt(shift)) & ((1n << BigInt(width)) - 1n);
}

/** Reads fetches in their order; keeps the structures that say how to read the next ones. */
export class StepReader {
  readonly #context: WalkContext;
  #ste: Uint32Array | undefined;
  #cd: Uint32Array | undefined;
  /** Of the last descriptor of stage 1. */
  #level: number | undefined;

  constructor(context: WalkContext) {
    this.#context = context;
    this.#ste = context.ste;
    this.#cd = context.cd;
  }

  /** @param purpose of a stage-2 fetch: what its address is needed for */
  read(fetch: Fetch, purpose: string): ExplainStep {
    switch (fetch.kind) {
      case "l1std":
        return this.#level1Stream(fetch);
      case "ste":
        this.#ste = fetch.words;
        return this.#structure("STE", "3.3.1, 5.2", fetch, this.#shown(STE_MATTERS), () => decodeSte(fetch.words, this.#context.config), [
          this.#steRule(),
        ]);
      case "l1cd":
        return this.#structure("level-1 CD descriptor", "3.3.2, 5.3", fetch, ["V", "L2Ptr"], () => decodeL1cd(fetch.words), [
          `SubstreamID ${hex(this.#context.index)} selects this descriptor of the CD table`,
        ]);
      case "cd":
        this.#cd = fetch.words;
        return this.#structure(
          "CD",
          "3.3.2, 5.4",
          fetch,
          this.#shown(cdMatters(this.#half())),
          () => decodeCd(fetch.words, this.#context.config, this.#ste),
          [`index ${hex(this.#context.index)} of the CD table`],
        );
      case "tt-s1":
        return this.#stage1(fetch);
      case "tt-s2":
        return this.#stage2(fetch, purpose);
      case "httu":
        return {
          title: "descriptor, to be updated",
          section: "3.13",
          address: hex(fetch.address),
          decoded: undefined,
          fields: [],
          says: ["the SMMU reads it again and sets its Access flag or its dirty state, if it is what the walk had read"],
        };
      default:
        return { title: fetch.kind, section: "3.3", address: hex(fetch.address), decoded: undefined, fields: [], says: [] };
    }
  }

  /** Without fields that this SMMU has not got. */
  #shown(names: readonly string[]): readonly string[] {
    const { ds, d128 } = this.#context.config;
    return names.filter((name) => (ds || !LPA2_FIELDS.has(name)) && (d128 || !name.includes("SKL")));
  }

  #structure(
    title: string,
    section: string,
    fetch: Fetch,
    fields: readonly string[],
    decode: () => Decoded,
    rules: readonly string[],
  ): ExplainStep {
    const aborted = fetch.status !== BusStatus.ok;
    const decoded = aborted ? undefined : decode();
    const ending = aborted ? ["memory answered with an abort"] : (decoded!.objections.map(({ text }) => `ILLEGAL: ${text}`) ?? []);
    return { title, section, address: hex(fetch.address), decoded, fields, says: [...rules, ...ending] };
  }

  #level1Stream(fetch: Fetch): ExplainStep {
    const { streamId, split = 0 } = this.#context;
    const index = Math.floor(streamId / 2 ** split);
    const rule = `two-level Stream table: StreamID >> ${split} is ${hex(index)}, the index of this descriptor`;
    return this.#structure("level-1 Stream table descriptor", "3.3.1.2, 5.1", fetch, ["Span", "L2Ptr"], () => decodeL1std(fetch.words), [
      rule,
    ]);
  }

  #steRule(): string {
    const { streamId, split } = this.#context;
    return split === undefined
      ? `linear Stream table: the STE at index ${hex(streamId)}`
      : `the STE at index ${hex(streamId % 2 ** split)} of the level-2 array`;
  }

  /** VA[55] chooses the table where the StreamWorld has two. */
  #half(): 0 | 1 {
    const strw = this.#ste === undefined ? 0 : fieldOf(STE, this.#ste, "STRW");
    const twoTables = strw === 0 || this.#context.e2h;
    return twoTables && (this.#context.addressHi & 0x0080_0000) !== 0 ? 1 : 0;
  }

  #stage1(fetch: Fetch): ExplainStep {
    const half = this.#half();
    const shape = this.#cd && stage1Shape(this.#cd, half, this.#context.config);
    if (!shape)
      return {
        title: "stage-1 descriptor",
        section: "3.3.5",
        address: hex(fetch.address),
        decoded: undefined,
        fields: [],
        says: ["the CD that led here is not known any more"],
      };
    const { level = shape.startLevel } = fetch;
    const address = (BigInt(this.#context.addressHi) << 32n) | BigInt(this.#context.addressLo);
    const above = this.#level;
    this.#level = level;
    // How large a table of 128-bit descriptors is, the descriptor above it tells.
    const known = !shape.d128 || level === shape.startLevel || (above !== undefined && above < level);
    const skip = above === undefined ? 0 : level - above - 1;
    const entry = known ? `entry 0x${indexAt(shape, level, skip, address).toString(16)}` : "an entry";
    const index = `${entry} of the ${level === shape.startLevel ? `table of TTB${half}` : "next table"}`;
    return this.#descriptor(`stage 1, level ${level}`, fetch, shape, level, [index], fieldOf(CD, this.#cd!, "IPS"));
  }

  #stage2(fetch: Fetch, purpose: string): ExplainStep {
    const shape = this.#ste && stage2Shape(this.#ste, this.#context.config);
    if (!shape)
      return {
        title: "stage-2 descriptor",
        section: "3.3.5",
        address: hex(fetch.address),
        decoded: undefined,
        fields: [],
        says: ["the STE that led here is not known any more"],
      };
    const { level = shape.startLevel } = fetch;
    return this.#descriptor(`stage 2, level ${level}, for ${purpose}`, fetch, shape, level, [], fieldOf(STE, this.#ste!, "S2PS"));
  }

  #descriptor(title: string, fetch: Fetch, shape: WalkShape, level: number, rules: readonly string[], size: number): ExplainStep {
    const { config } = this.#context;
    const words = shape.bigEndian ? swapped(fetch.words) : fetch.words;
    const { d128 } = shape;
    const place: DescriptorPlace = { stage: shape.stage, level, granule: shape.granule, ds: shape.ds, d128 };
    const { kind } = d128 ? descriptorKind128(words, place) : descriptorKind(words, place, config.oas === 52);
    const outputBits = Math.min([32, 36, 40, 42, 44, 48, 52, 52][size]!, config.oas, d128 || shape.granule === 16 || shape.ds ? 52 : 48);
    const table = kind === "table";
    const output = d128 ? descriptorAddress128(words, place, table) : descriptorAddress(words, place, table);
    const tooLarge = kind !== "invalid" && fetch.status === BusStatus.ok && output >= 2 ** outputBits;
    const says = tooLarge ? [...rules, `${hex(output)} is beyond the output size of ${outputBits} bits: F_ADDR_SIZE`] : rules;
    return this.#structure(
      title,
      d128 ? `DDI 0487 D8.3.2.${table ? 1 : 2}` : table ? "DDI 0487 D8.3.1" : "DDI 0487 D8.3.2",
      fetch,
      d128 ? (table ? TABLE128_MATTERS : LEAF128_MATTERS) : table ? TABLE_MATTERS : LEAF_MATTERS,
      () => (d128 ? decodePte128(words, place, config) : decodePte(words, place, config)),
      says,
    );
  }
}

const PURPOSES: Readonly<Partial<Record<SmmuAccessKind, string>>> = {
  l1cd: "the CD table's address",
  cd: "the CD's address",
  "tt-s1": "a stage-1 table's address",
};

/** What each stage-2 fetch is for: what follows it tells. */
function purposesOf(fetches: readonly Fetch[]): string[] {
  const purposes: string[] = [];
  let next = "the access's own address";
  for (let i = fetches.length - 1; i >= 0; i--) {
    next = PURPOSES[fetches[i]!.kind] ?? next;
    purposes[i] = next;
  }
  return purposes;
}

export function stepsOf(fetches: readonly Fetch[], context: WalkContext): ExplainStep[] {
  const reader = new StepReader(context);
  const purposes = purposesOf(fetches);
  return fetches.map((fetch, i) => reader.read(fetch, purposes[i]!));
}
