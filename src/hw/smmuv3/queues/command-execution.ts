// SPDX-License-Identifier: MIT
/** What each command does, and when it is illegal, on the Non-secure Command queue (IHI 0070 §4). */
import { AtcInvalidations } from "../ats/atc-invalidations.ts";
import { hex, join64, POW2 } from "../../bits/hex.ts";
import type { InvalidateRequest } from "../../memory/ats.ts";
import type { RegisterChoices } from "../choices-registers.ts";
import { commandOf, Operands } from "./command-operands.ts";
import { operandAddressBits, ReservedCommandBits } from "./command-reserved.ts";
import type { SmmuConfig } from "../config/config.ts";
import type { HeldInvalidation } from "../caches/deferred-maintenance.ts";
import { has, implementedFeatures } from "../registers/features.ts";
import type { Interrupts } from "../registers/interrupts.ts";
import type { Lint } from "../lint.ts";
import { messageAttributes } from "../translation/own-attributes.ts";
import type { ConfigInvalidation, SmmuHost, StallControl, TlbiAddress, TlbInvalidation } from "../ports.ts";
import type { Prefetches } from "./prefetch.ts";
import type { RegisterFile } from "../registers/register-file.ts";
import { bitsOf } from "../registers/register-layout.ts";
import { CommandError, type OperandCheck, smmuCommands } from "../spec/commands.ts";

const E2H = bitsOf("CR2", "E2H");
/** CMD_CFGI_STE_RANGE.Range of CMD_CFGI_ALL. */
const ALL_STREAMS = 31;
/** CMD_SYNC.CS. */
const SIGNAL_INTERRUPT = 1;
const SIGNAL_EVENT = 2;
const CS_RESERVED = 3;
const RESP_RESERVED = 3;
/** CMD_ATC_INV.Size of all 2^64 bytes. */
const SIZE_ALL = 52;
const TG_16K = 2;
/** SCALE has five bits; with IDR5.DS it has six, and values beyond 39 act as 39. */
const SCALES = 32;
const SCALE_MAX = 39;

/** By opcode: true for CMD_CFGI_* and CMD_TLBI_*. */
const invalidates: boolean[] = [];
for (const { name, opcode } of smmuCommands) invalidates[opcode] = /^CMD_(CFGI|TLBI)_/.test(name);

/** The caches that commands act on. */
export interface Caches {
  readonly configuration: ConfigInvalidation;
  readonly tlb: TlbInvalidation;
  /** A CMD_SYNC is consumed: all earlier invalidations are complete. */
  complete?(): void;
  /** Hardware reset: what was not yet carried out never is. */
  forget?(): void;
  /** Invalidations that wait for the next CMD_SYNC. */
  held?(): readonly HeldInvalidation[];
  /** True if they hold nothing. Asked for STATUSR.DORMANT only. */
  empty(): boolean;
}

export interface ExecutionDeps {
  readonly config: SmmuConfig;
  readonly host: SmmuHost;
  readonly registers: RegisterFile;
  readonly interrupts: Interrupts;
  readonly lint: Lint;
  readonly choices: Pick<RegisterChoices, "commandReservedFields">;
}

export class CommandExecution {
  /** Set before the first command runs. */
  caches: Caches | undefined;
  /** Set before the first command runs, where the SMMU stalls. */
  stalls: StallControl | undefined;
  /** Set before the first command runs, where prefetches are followed. */
  prefetches: Prefetches | undefined;
  /** What CMD_ATC_INV has sent. */
  readonly atc: AtcInvalidations;
  /** The last invalidation that no CMD_SYNC has followed, by name. */
  unsynchronised: string | undefined;

  /** True once an invalidation has run. */
  #hasInvalidated = false;
  readonly #deps: ExecutionDeps;
  /** By opcode: true if all that a command needs is implemented. */
  readonly #implemented: boolean[] = [];
  readonly #reserved: ReservedCommandBits;

  constructor(deps: ExecutionDeps) {
    this.#deps = deps;
    this.atc = new AtcInvalidations(deps.host);
    const features = implementedFeatures(deps.config);
    for (const { opcode, needs } of smmuCommands) this.#implemented[opcode] = has(features, needs);
    this.#reserved = new ReservedCommandBits(deps.config);
  }

  /** True if a command has to wait: a CMD_SYNC, while Invalidate Requests are under way. */
  waits(words: Uint32Array): boolean {
    return !this.atc.settled && commandOf(words)?.name === "CMD_SYNC";
  }

  /**
   * Carries out a command.
   * @returns its operands, or the code of an error: nothing was done
   */
  execute(words: Uint32Array): Operands | CommandError {
    const command = commandOf(words);
    if (command === undefined || !this.#implemented[command.opcode]) return CommandError.illegal;
    const operands = new Operands(command, words);
    for (const check of command.checks) if (!this.#passes(check, operands)) return CommandError.illegal;
    if (this.#malformed(operands, words)) return CommandError.illegal;
    if (command.name === "CMD_SYNC" && this.atc.takeTimeout()) return CommandError.atcInvSync;
    this.#run(operands);
    if (invalidates[command.opcode]) {
      this.unsynchronised = command.name;
      this.#hasInvalidated = true;
    } else if (command.name === "CMD_ATC_INV") {
      this.unsynchronised = command.name;
    } else if (command.name === "CMD_SYNC") {
      this.unsynchronised = undefined;
      this.caches!.complete?.();
    }
    return operands;
  }

  /** Hardware reset. */
  reset(): void {
    this.unsynchronised = undefined;
    this.#hasInvalidated = false;
    this.atc.reset();
    this.caches?.forget?.();
  }

  /** The hint of §3.19.1: nothing is cached. It starts with maintenance, as it is 0 after a reset; nothing is fetched ahead. */
  get dormant(): boolean {
    return this.#hasInvalidated && (this.caches?.empty() ?? false);
  }

  /** Reserved bits that are set make a command malformed, or are ignored: an implementation's choice (§4.1.5). */
  #malformed({ command }: Operands, words: Uint32Array): boolean {
    if (!this.#reserved.areSet(command, words)) return false;
    const { lint, choices } = this.#deps;
    lint("command-reserved-bits", () => `${command.name} ${Array.from(words, (word) => hex(word, 8)).join(" ")} sets reserved bits`);
    return choices.commandReservedFields === "illegal";
  }

  #passes(check: OperandCheck, operands: Operands): boolean {
    switch (check) {
      case "SSec":
        return operands.get("SSec") === 0;
      case "CS":
        return operands.get("CS") !== CS_RESERVED;
      case "Resp":
        return operands.get("Resp") !== RESP_RESERVED;
      case "Size":
        return operands.get("Size") <= SIZE_ALL;
      case "range": {
        const { tg, num, scale, ttl } = this.#range(operands);
        return tg === 0 || num !== 0 || scale !== 0 || ttl !== 0;
      }
    }
  }

  #run(operands: Operands): void {
    const { configuration, tlb } = this.caches!;
    switch (operands.command.name) {
      case "CMD_PREFETCH_CONFIG":
        this.prefetches?.configuration(operands.get("StreamID"), substream(operands));
        break;
      case "CMD_PREFETCH_ADDR":
        this.#prefetchAddresses(operands);
        break;
      case "CMD_CFGI_STE":
        if (this.#streamInRange(operands)) configuration.invalidateSte(operands.get("StreamID"), leafOnly(operands));
        break;
      case "CMD_CFGI_STE_RANGE":
        if (operands.get("Range") === ALL_STREAMS) configuration.invalidateAll();
        else this.#invalidateSteRange(operands);
        break;
      case "CMD_CFGI_CD":
        if (this.#streamInRange(operands) && this.#substreamInRange(operands)) {
          configuration.invalidateCd(operands.get("StreamID"), operands.get("SubstreamID"), leafOnly(operands));
        }
        break;
      case "CMD_CFGI_CD_ALL":
        if (this.#streamInRange(operands)) configuration.invalidateCdAll(operands.get("StreamID"));
        break;
      case "CMD_TLBI_NH_ALL":
        tlb.nhAll(this.#stage1Vmid(operands));
        break;
      case "CMD_TLBI_NH_ASID":
        tlb.nhAsid(this.#stage1Vmid(operands), this.#asid(operands));
        break;
      case "CMD_TLBI_NH_VA":
        tlb.nhVa(this.#stage1Vmid(operands), this.#asid(operands), this.#address(operands));
        break;
      case "CMD_TLBI_NH_VAA":
        tlb.nhVa(this.#stage1Vmid(operands), undefined, this.#address(operands));
        break;
      case "CMD_TLBI_EL2_ALL":
        tlb.el2All();
        break;
      case "CMD_TLBI_EL2_ASID":
        tlb.el2Asid(this.#asid(operands));
        break;
      case "CMD_TLBI_EL2_VA":
        // Without E2H, EL2 entries have no ASID (§4.4.2.8).
        tlb.el2Va((this.#deps.registers.cr2() & E2H) !== 0 ? this.#asid(operands) : undefined, this.#address(operands));
        break;
      case "CMD_TLBI_EL2_VAA":
        tlb.el2Va(undefined, this.#address(operands));
        break;
      case "CMD_TLBI_S12_VMALL":
        tlb.s12Vmall(this.#vmid(operands));
        break;
      case "CMD_TLBI_S2_IPA":
        tlb.s2Ipa(this.#vmid(operands), this.#ipa(operands));
        break;
      case "CMD_TLBI_NSNH_ALL":
        tlb.nsnhAll();
        break;
      case "CMD_ATC_INV":
        this.#invalidateAtc(operands);
        break;
      case "CMD_RESUME":
        this.#resume(operands);
        break;
      case "CMD_STALL_TERM":
        if (this.#streamInRange(operands)) this.stalls?.terminateStream(operands.get("StreamID"));
        break;
      default:
        // CMD_SYNC: all earlier commands are complete when it runs.
        break;
    }
  }

  #vmid(operands: Operands): number {
    return this.#tag("VMID", operands, this.#deps.config.vmid16);
  }

  #asid(operands: Operands): number {
    return this.#tag("ASID", operands, this.#deps.config.asid16);
  }

  #prefetchAddresses(operands: Operands): void {
    const { hi, lo } = operands.address("Address");
    const step = this.#deps.config.version === 0 ? 0 : operands.get("Stride");
    this.prefetches?.addresses(operands.get("StreamID"), substream(operands), hi, lo, 12 + step, operands.get("Size"));
  }

  /** With SMMUEN 0 it is ignored (§4.5.1). */
  #invalidateAtc(operands: Operands): void {
    const { registers, lint } = this.#deps;
    if (!registers.smmuEnabled() || !this.#streamInRange(operands)) return;
    if (this.unsynchronised?.startsWith("CMD_TLBI") === true) {
      const { unsynchronised } = this;
      lint(
        "atc-inv-before-sync",
        () => `CMD_ATC_INV of StreamID ${hex(operands.get("StreamID"))}: no CMD_SYNC has come after ${unsynchronised}`,
      );
    }
    this.atc.send(operands.get("StreamID"), this.#invalidateRequest(operands));
  }

  /** Without substreams SSV counts as 0, by choice. */
  #invalidateRequest(operands: Operands): InvalidateRequest {
    const sizeLog2 = 12 + operands.get("Size");
    const { hi, lo } = operands.address("Address");
    const pasid = this.#deps.config.ssidSize !== 0 && operands.get("SSV") === 1;
    return {
      substreamId: pasid ? operands.get("SubstreamID") : -1,
      global: pasid && operands.get("Global") === 1,
      // Bits below the size count as zero.
      addressHi: sizeLog2 > 32 ? hi - (hi % 2 ** (sizeLog2 - 32)) : hi,
      addressLo: sizeLog2 >= 32 ? 0 : lo - (lo % 2 ** sizeLog2),
      sizeLog2,
    };
  }

  /** Both the StreamID and the STAG have to match; else it is a no-op (§4.7.1). */
  #resume(operands: Operands): void {
    if (!this.#streamInRange(operands)) return;
    const streamId = operands.get("StreamID");
    const stag = operands.get("STAG");
    if (this.stalls?.resume(streamId, stag, operands.get("Ac") === 1, operands.get("Ab") === 1)) return;
    this.#deps.lint("resume-unmatched", () => `no stalled transaction of StreamID ${hex(streamId)} has STAG ${hex(stag)}`);
  }

  /** Commands of stage 1 compare the VMID only where stage 2 is implemented (§4.4.2). */
  #stage1Vmid(operands: Operands): number {
    const { stage2 } = this.#deps.config;
    if (stage2) return this.#vmid(operands);
    this.#inRange("VMID", operands.get("VMID"), operands, 0);
    return 0;
  }

  /** An ASID or VMID. One beyond 8 bits where only 8 are implemented matches no entry (§4.4). */
  #tag(name: string, operands: Operands, wide: boolean): number {
    const value = operands.get(name);
    this.#inRange(name, value, operands, wide ? 16 : 8);
    return value;
  }

  /** The low Range + 1 bits of the StreamID do not count (§4.3.2), so they cannot be out of range either. */
  #invalidateSteRange(operands: Operands): void {
    const range = operands.get("Range");
    const span = 2 ** (range + 1);
    const first = Math.floor(operands.get("StreamID") / span) * span;
    if (this.#inRange("StreamID", first, operands, this.#deps.config.sidSize)) {
      this.caches!.configuration.invalidateSteRange(operands.get("StreamID"), range);
    }
  }

  #streamInRange(operands: Operands): boolean {
    return this.#inRange("StreamID", operands.get("StreamID"), operands, this.#deps.config.sidSize);
  }

  #substreamInRange(operands: Operands): boolean {
    return this.#inRange("SubstreamID", operands.get("SubstreamID"), operands, this.#deps.config.ssidSize);
  }

  #inRange(name: string, value: number, operands: Operands, bits: number): boolean {
    if (value < POW2[bits]!) return true;
    const { name: command } = operands.command;
    this.#deps.lint("operand-out-of-range", () => `${name} ${hex(value)} of ${command} is beyond the ${bits} bits implemented`);
    return false;
  }

  /** Range and level hint; RES0 without IDR3.RIL, and all but TG when TG is 0 (§4.4.1.1). */
  #range(operands: Operands): Pick<TlbiAddress, "tg" | "ttl" | "ttl128" | "num" | "scale"> {
    const tg = this.#deps.config.ril ? operands.get("TG") : 0;
    if (tg === 0) return { tg, ttl: 0, num: 0, scale: 0 };
    const { ds, d128 } = this.#deps.config;
    // With 16KB pages there is no level 1 leaf unless addresses have 52 bits (IDR5.DS).
    const ttl = tg === TG_16K && operands.get("TTL") === 1 && !ds ? 0 : operands.get("TTL");
    const scale = ds ? Math.min(operands.get("SCALE"), SCALE_MAX) : operands.get("SCALE") % SCALES;
    const range = { tg, ttl, num: operands.get("NUM"), scale };
    return d128 && ttl !== 0 ? { ...range, ttl128: operands.get("TTL128") === 1 } : range;
  }

  #address(operands: Operands): TlbiAddress {
    const { hi, lo } = operands.address("Address");
    return { hi, lo, leaf: leafOnly(operands), ...this.#range(operands) };
  }

  #ipa(operands: Operands): TlbiAddress {
    const address = this.#address(operands);
    return { ...address, hi: this.#withoutReserved(address.hi) };
  }

  /** The high half of an IPA or PA operand, as far as this version has its bits. */
  #withoutReserved(hi: number): number {
    return hi % POW2[operandAddressBits(this.#deps.config) - 32]!;
  }

  /** The completion signal of a CMD_SYNC, to be sent when it has been consumed; other commands have none (§4.7.3). */
  signalCompletion(operands: Operands): void {
    if (operands.command.name !== "CMD_SYNC") return;
    const { host, config, interrupts } = this.#deps;
    const signal = operands.get("CS");
    if (signal === SIGNAL_EVENT && config.sev) host.sendEvent();
    if (signal !== SIGNAL_INTERRUPT) return;
    const { hi: whole, lo } = operands.address("MSIAddress");
    const hi = this.#withoutReserved(whole);
    if (hi !== 0 || lo !== 0) {
      // The whole field decides; then bits above the output address size are dropped.
      const target = join64(hi % 2 ** (config.oas - 32), lo);
      const attributes = messageAttributes(operands.get("MSIAttr"), operands.get("MSH"));
      interrupts.message(target, operands.get("MSIData"), "MSI_CMDQ_ABT_ERR", attributes);
    }
    host.pulse("cmdq-sync");
  }
}

/** The SubstreamID of a prefetch; -1: none. */
function substream(operands: Operands): number {
  return operands.get("SSV") === 1 ? operands.get("SubstreamID") : -1;
}

function leafOnly(operands: Operands): boolean {
  return operands.get("Leaf") === 1;
}
