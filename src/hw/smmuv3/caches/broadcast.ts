// SPDX-License-Identifier: MIT
/**
 * Broadcast TLB maintenance: TLBI instructions of PEs that reach the SMMU without its Command queue (IHI 0070 §3.17, IDR0.BTM).
 *
 * They act on the TLB and the walk caches, never on cached configuration. CR2.PTM opts out of all of them, CD.ASET 1 out of
 * those that match an ASID.
 */
import { HostMisuseError } from "../../errors.ts";
import type { TranslationChoices } from "../choices.ts";
import type { RegisterChoices } from "../choices-registers.ts";
import type { SmmuConfig } from "../config/config.ts";
import { type RegisterView, StreamWorld, type TlbiAddress } from "../ports.ts";
import { type BroadcastOperation, broadcastOperations, type TlbiSpec } from "../spec/tlbi.ts";
import { checkNames, shown } from "../../checks.ts";
import type { TlbMaintenance } from "./tlb-maintenance.ts";

/**
 * A TLBI of a PE in Non-secure state, taken apart. What an operation has no use for may be left out; all default to 0.
 *
 * A PE at EL2 with HCR_EL2.{E2H, TGE} 1 that executes an operation of EL1&0 means its own regime: it is to be forwarded under
 * the name that the operation has for EL2, with `e2h`.
 */
export interface BroadcastTlbi {
  readonly operation: BroadcastOperation;
  /** 0 if the PE has no EL2. */
  readonly vmid?: number;
  readonly asid?: number;
  /** VA or IPA, where a range its base; bits [55:12] count. */
  readonly addressHi?: number;
  readonly addressLo?: number;
  /** TG of a range, TTL[3:2] otherwise: 1 4 KiB, 2 16 KiB, 3 64 KiB; 0 no hint. */
  readonly tg?: number;
  /** TTL of a range, TTL[1:0] otherwise. */
  readonly ttl?: number;
  /** A range has (NUM + 1) * 2^(5 * SCALE + 1) granules. */
  readonly num?: number;
  readonly scale?: number;
  /** EL2 only: HCR_EL2.E2H of the PE. */
  readonly e2h?: boolean;
}

/** CR2.PTM. */
const PTM = 4;
const TG_16K = 2;
/** Operations held back at the most. The oldest are then carried out: they may complete at any time. */
const HELD = 4096;

const LIMITS = {
  vmid: 0xffff,
  asid: 0xffff,
  addressHi: 0xffff_ffff,
  addressLo: 0xffff_ffff,
  tg: 3,
  ttl: 3,
  num: 31,
  scale: 3,
} as const satisfies Partial<Record<keyof BroadcastTlbi, number>>;

const OPERANDS = ["operation", ...Object.keys(LIMITS), "e2h"];

export interface BroadcastDeps {
  readonly config: SmmuConfig;
  readonly registers: Pick<RegisterView, "cr2">;
  readonly tlb: TlbMaintenance;
  readonly choices: Pick<TranslationChoices, "privateAsids"> & Pick<RegisterChoices, "maintenance">;
}

export class BroadcastMaintenance {
  readonly #deps: BroadcastDeps;
  #held: BroadcastTlbi[] = [];

  constructor(deps: BroadcastDeps) {
    this.#deps = deps;
  }

  /** @throws HostMisuseError for an operation that there is not, or operands that no PE can give */
  receive(tlbi: BroadcastTlbi): void {
    check(tlbi);
    const { config, registers } = this.#deps;
    if (config.btm && (registers.cr2() & PTM) === 0) this.take(tlbi);
  }

  /** Carries out one that counts, now or later. @throws HostMisuseError as {@link receive} */
  take(tlbi: BroadcastTlbi): void {
    if (this.#deps.choices.maintenance === "at-once") {
      this.#act(tlbi);
      return;
    }
    // A copy: the caller may use its object again.
    this.#held.push({ ...tlbi });
    if (this.#held.length > HELD) this.#act(this.#held.shift()!);
  }

  /** Operations that wait for the next {@link sync}. */
  get held(): readonly BroadcastTlbi[] {
    return this.#held;
  }

  /** A DSB of a PE waits for all that was broadcast before. */
  sync(): void {
    const due = this.#held;
    this.#held = [];
    for (const tlbi of due) this.#act(tlbi);
  }

  /** Hardware reset. */
  reset(): void {
    this.#held = [];
  }

  #act(tlbi: BroadcastTlbi): void {
    const spec = check(tlbi);
    const { tlb, config } = this.#deps;
    const { e2h = false, vmid = 0, asid = 0 } = tlbi;
    const address = addressOf(tlbi, spec, config);
    if (spec.regime === "EL1") this.#actEl1(spec, vmid, asid, address);
    // Operations of a PE with E2H need not reach entries of EL2 without, nor the other way round (§3.17.5).
    else if (spec.regime === "EL2" && e2h) this.#actTagged(StreamWorld.nsEl2E2h, spec, 0, asid, address);
    else if (spec.regime === "EL2" && spec.by === "all") tlb.all(StreamWorld.nsEl2, 0);
    // Entries have no ASID there: ASIDE2 means none, and CD.ASET opts out of all addresses.
    else if (spec.regime === "EL2" && spec.by !== "asid") tlb.va(StreamWorld.nsEl2, 0, undefined, address, this.#spares);
    // EL3: no Non-secure stream is of EL3.
  }

  #actEl1(spec: TlbiSpec, vmid: number, asid: number, address: TlbiAddress): void {
    const { tlb, config } = this.#deps;
    // Without stage 2 all that is cached counts as VMID 0.
    if (spec.vmid && vmid !== 0 && !config.stage2) return;
    if (!spec.vmid) tlb.nsnhAll();
    else if (spec.stages === 12) tlb.s12Vmall(vmid);
    else if (spec.stages === 2) tlb.s2Ipa(vmid, address);
    else this.#actTagged(StreamWorld.nsEl1, spec, vmid, asid, address);
  }

  /** Stage 1 of a regime with ASIDs. */
  #actTagged(world: StreamWorld, spec: TlbiSpec, vmid: number, asid: number, address: TlbiAddress): void {
    const { tlb } = this.#deps;
    if (spec.by === "all") tlb.all(world, vmid);
    else if (spec.by === "asid") tlb.asid(world, vmid, asid, this.#spares);
    else if (spec.by === "va") tlb.va(world, vmid, undefined, address, false);
    else tlb.va(world, vmid, asid, address, this.#spares);
  }

  get #spares(): boolean {
    return this.#deps.choices.privateAsids === "spared";
  }
}

function check(tlbi: BroadcastTlbi): TlbiSpec {
  checkNames("BROADCAST_TLBI", "broadcast({ operation })", tlbi, OPERANDS);
  const { operation, e2h } = tlbi;
  if (!Object.hasOwn(broadcastOperations, operation)) {
    throw new HostMisuseError(
      "BROADCAST_TLBI",
      `no TLBI operation is called ${shown(operation)}: ${Object.keys(broadcastOperations).join(", ")}`,
    );
  }
  for (const [name, most] of Object.entries(LIMITS)) {
    const value = tlbi[name as keyof typeof LIMITS];
    if (value === undefined) continue;
    if (Number.isInteger(value) && value >= 0 && value <= most) continue;
    throw new HostMisuseError("BROADCAST_TLBI", `TLBI ${operation}: ${name} is ${shown(value)}, it can be 0 to ${most}`);
  }
  if (e2h !== undefined && typeof e2h !== "boolean")
    throw new HostMisuseError("BROADCAST_TLBI", `TLBI ${operation}: e2h is ${shown(e2h)}, it can be true or false`);
  const spec: TlbiSpec = broadcastOperations[operation];
  if (spec.range && (tlbi.tg ?? 0) === 0) throw new HostMisuseError("BROADCAST_TLBI", `TLBI ${operation}: a range needs its granule, tg`);
  return spec;
}

function addressOf(tlbi: BroadcastTlbi, spec: TlbiSpec, config: SmmuConfig): TlbiAddress {
  const { addressHi = 0, addressLo = 0, tg = 0, num = 0, scale = 0 } = tlbi;
  // Bits [63:56] are not part of an operand: those of an IPA are zero, those of a VA copies of bit 55.
  const hi = spec.by === "ipa" ? addressHi % 0x100_0000 : addressHi;
  // Level 1 has no 16 KiB leaf but with 52-bit addresses.
  const ttl = tg === 0 || (tg === TG_16K && tlbi.ttl === 1 && !config.ds) ? 0 : (tlbi.ttl ?? 0);
  const size = spec.range ? { num, scale: 5 * scale + 1 } : { num: 0, scale: 0 };
  return { hi, lo: addressLo, leaf: spec.leaf, tg, ttl, ...size };
}
