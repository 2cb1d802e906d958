// SPDX-License-Identifier: MIT
/** What each command does, and when it is illegal, on the Non-secure Command queue (IHI 0070 §4). */
import { fieldNamed, getField } from "../bits/fields.ts";
import { hex, join64 } from "../bits/hex.ts";
import { commandOf } from "./command-text.ts";
import type { SmmuConfig } from "./config.ts";
import { has, implementedFeatures } from "./features.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Lint } from "./lint.ts";
import type { ConfigInvalidation, SmmuHost, TlbiAddress, TlbInvalidation } from "./ports.ts";
import type { RegisterFile } from "./register-file.ts";
import { bitsOf } from "./register-layout.ts";
import type { OperandCheck, SmmuCommand } from "./spec/commands.ts";
import type { SmmuFeature } from "./spec/register-types.ts";

const E2H = bitsOf("CR2", "E2H");
const ALL_STREAMS = 31;
/** CMD_SYNC.CS. */
const SIGNAL_INTERRUPT = 1;
const SIGNAL_EVENT = 2;
const CS_RESERVED = 3;
const RESP_RESERVED = 3;
const TG_16K = 2;

/** The caches that commands act on. */
export interface Caches {
  readonly configuration: ConfigInvalidation;
  readonly tlb: TlbInvalidation;
}

export interface ExecutionDeps {
  readonly config: SmmuConfig;
  readonly host: SmmuHost;
  readonly registers: RegisterFile;
  readonly interrupts: Interrupts;
  readonly lint: Lint;
}

/** Operands of one command by name. */
type Operands = (name: string) => number;

export class CommandExecution {
  /** Set before the first command runs. */
  caches: Caches | undefined;

  readonly #deps: ExecutionDeps;
  readonly #features: ReadonlySet<SmmuFeature>;

  constructor(deps: ExecutionDeps) {
    this.#deps = deps;
    this.#features = implementedFeatures(deps.config);
  }

  /**
   * Carries out a command, except for the completion signal of CMD_SYNC.
   * @returns false if the command is illegal: CERROR_ILL, nothing was done
   */
  execute(words: Uint32Array): boolean {
    const command = commandOf(words);
    if (command === undefined || !has(this.#features, command.needs)) return false;
    const operands: Operands = (name) => getField(words, fieldNamed(command.fields, name));
    if (!command.checks.every((check) => this.#passes(check, operands))) return false;
    this.#run(command, operands, words);
    return true;
  }

  #passes(check: OperandCheck, of: Operands): boolean {
    switch (check) {
      case "SSec":
        return of("SSec") === 0;
      case "CS":
        return of("CS") !== CS_RESERVED;
      case "Resp":
        return of("Resp") !== RESP_RESERVED;
      case "range":
        return !this.#deps.config.ril || of("TG") === 0 || of("NUM") !== 0 || of("SCALE") % 32 !== 0 || level(of) !== 0;
    }
  }

  #run(command: SmmuCommand, of: Operands, words: Uint32Array): void {
    const { configuration, tlb } = this.caches!;
    switch (command.name) {
      case "CMD_CFGI_STE":
        if (this.#streamInRange(of)) configuration.invalidateSte(of("StreamID"), of("Leaf") === 1);
        break;
      case "CMD_CFGI_STE_RANGE":
        if (of("Range") === ALL_STREAMS) configuration.invalidateAll();
        else if (this.#streamInRange(of)) configuration.invalidateSteRange(of("StreamID"), of("Range"));
        break;
      case "CMD_CFGI_CD":
        if (this.#streamInRange(of) && this.#substreamInRange(of)) {
          configuration.invalidateCd(of("StreamID"), of("SubstreamID"), of("Leaf") === 1);
        }
        break;
      case "CMD_CFGI_CD_ALL":
        if (this.#streamInRange(of)) configuration.invalidateCdAll(of("StreamID"));
        break;
      case "CMD_TLBI_NH_ALL":
        tlb.nhAll(this.#stage1Vmid(of));
        break;
      case "CMD_TLBI_NH_ASID":
        tlb.nhAsid(this.#stage1Vmid(of), of("ASID"));
        break;
      case "CMD_TLBI_NH_VA":
        tlb.nhVa(this.#stage1Vmid(of), of("ASID"), this.#address(of, words));
        break;
      case "CMD_TLBI_NH_VAA":
        tlb.nhVa(this.#stage1Vmid(of), undefined, this.#address(of, words));
        break;
      case "CMD_TLBI_EL2_ALL":
        tlb.el2All();
        break;
      case "CMD_TLBI_EL2_ASID":
        tlb.el2Asid(of("ASID"));
        break;
      case "CMD_TLBI_EL2_VA":
        // Without E2H, EL2 entries have no ASID (§4.4.2.8).
        tlb.el2Va((this.#deps.registers.cr2() & E2H) !== 0 ? of("ASID") : undefined, this.#address(of, words));
        break;
      case "CMD_TLBI_EL2_VAA":
        tlb.el2Va(undefined, this.#address(of, words));
        break;
      case "CMD_TLBI_S12_VMALL":
        tlb.s12Vmall(of("VMID"));
        break;
      case "CMD_TLBI_S2_IPA":
        tlb.s2Ipa(of("VMID"), this.#address(of, words));
        break;
      case "CMD_TLBI_NSNH_ALL":
        tlb.nsnhAll();
        break;
      default:
        // CMD_SYNC: all earlier commands are complete when it runs. CMD_PREFETCH_*: hints that are not followed.
        break;
    }
  }

  /** Commands of stage 1 compare the VMID only where stage 2 is implemented (§4.4.2). */
  #stage1Vmid(of: Operands): number {
    return this.#deps.config.stage2 ? of("VMID") : 0;
  }

  #streamInRange(of: Operands): boolean {
    return this.#inRange("StreamID", of, this.#deps.config.sidSize);
  }

  #substreamInRange(of: Operands): boolean {
    return this.#inRange("SubstreamID", of, this.#deps.config.ssidSize);
  }

  #inRange(name: string, of: Operands, bits: number): boolean {
    if (of(name) < 2 ** bits) return true;
    this.#deps.lint("operand-out-of-range", () => `${name} ${hex(of(name))} of a command is beyond the ${bits} bits implemented`, "§4.1.7");
    return false;
  }

  /** The address with its range and hints; those are RES0 without IDR3.RIL, and when TG is 0 (§4.4.1.1). */
  #address(of: Operands, words: Uint32Array): TlbiAddress {
    const tg = this.#deps.config.ril ? of("TG") : 0;
    const ranged = tg !== 0;
    return {
      hi: words[3]!,
      lo: (words[2]! & ~0xfff) >>> 0,
      leaf: of("Leaf") === 1,
      tg,
      ttl: ranged ? level(of) : 0,
      num: ranged ? of("NUM") : 0,
      scale: ranged ? of("SCALE") % 32 : 0,
    };
  }

  /** The completion signal of a CMD_SYNC that has been consumed (§4.7.3). */
  signalCompletion(words: Uint32Array): void {
    const { host, config, interrupts } = this.#deps;
    const signal = (words[0]! >>> 12) & 3;
    if (signal === SIGNAL_EVENT && config.sev) host.sendEvent();
    if (signal !== SIGNAL_INTERRUPT) return;
    const address = join64(words[3]! & 0x00ff_ffff, words[2]! & ~3);
    if (address !== 0) interrupts.message(address % 2 ** config.oas, words[1]!, "MSI_CMDQ_ABT_ERR");
    host.pulse("cmdq-sync");
  }
}

/** TTL as it counts: a level 1 leaf does not exist with 16KB pages unless addresses have 52 bits (IDR5.DS). */
function level(of: Operands): number {
  return of("TG") === TG_16K && of("TTL") === 1 ? 0 : of("TTL");
}
