// SPDX-License-Identifier: MIT
/**
 * ATS Translation Requests (IHI 0070 §3.9.1.2, §3.13.7, §13.6, §13.7): the steps of an ordinary translation, which end in a Translation
 * Completion instead of a fault, with the permissions that there are instead of those that are needed.
 *
 * A request looks first and asks for nothing, so that nothing becomes dirty. Only where both stages let it write is what is
 * writable-clean translated once more, as for a write.
 */
import { HostMisuseError } from "../../errors.ts";
import { hex, high32, join64, low32 } from "../../bits/hex.ts";
import { AtsStatus, type TranslationCompletion, type TranslationRequest } from "../../memory/ats.ts";
import { exceeds } from "../translation/address-size.ts";
import type { Cd } from "../config/cd.ts";
import type { SmmuConfig } from "../config/config.ts";
import { NO_CONTEXT, NO_STAGE1, selectContext } from "../config/context.ts";
import { Ats, type Ste } from "../config/ste.ts";
import { EventNumber, FaultClass } from "../spec/events.ts";
import { needOfStage1, Perm2 } from "../translation/permissions.ts";
import { granted, Origin } from "../translation/stage2.ts";
import type { Stage2Config } from "../config/stage2-config.ts";
import type { Wanted } from "../translation/stages.ts";
import { overridden, Transaction } from "../transaction.ts";
import { PLAIN_READ, PLAIN_WRITE } from "../translation/transaction-kinds.ts";
import { Clean, type TlbEntry } from "../caches/tlb.ts";
import type { AtsSteps } from "./steps.ts";

/** What one privilege may do. */
const READ = 1;
const WRITE = 2;
const EXECUTE = 4;
const ALL: number = READ | WRITE | EXECUTE;

/** INSTCFG. */
const DATA = 2;
const INSTRUCTION = 3;

const NO_DATA: Omit<TranslationCompletion, "status" | "sizeLog2"> = {
  translatedHi: 0,
  translatedLo: 0,
  read: false,
  write: false,
  execute: false,
  privileged: false,
  global: false,
  untranslatedOnly: false,
};

/** log2 of the Smallest Translation Unit: the smallest granule (§3.9.1). */
function translationUnit(config: SmmuConfig): number {
  return config.gran4k ? 12 : config.gran16k ? 14 : 16;
}

interface Grant {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
}

export class TranslationRequests {
  readonly #steps: AtsSteps;
  readonly #unit: number;
  /** The request as an ordinary transaction would look, for the detector and for records. */
  readonly #tx = new Transaction();
  readonly #wanted: { -readonly [K in keyof Wanted]: Wanted[K] } = { write: false, privileged: false, need1: 0, need2: 0 };
  /** TR.Exe and TR.Priv. */
  #execute = false;
  #privileged = false;
  #noWrite = false;
  #instCfg = 0;

  constructor(steps: AtsSteps) {
    this.#steps = steps;
    this.#unit = translationUnit(steps.config);
  }

  /** @param serviceFailed Service Failure Mode */
  answer(streamId: number, request: TranslationRequest, serviceFailed: boolean): TranslationCompletion {
    const { config, registers, fault, detector, streams, contexts, access } = this.#steps;
    checkRequest(streamId, request);
    if (!config.ats) return this.#refuse(AtsStatus.unsupportedRequest);
    if (serviceFailed) return this.#refuse(AtsStatus.completerAbort);
    const tx = this.#tx;
    this.#take(streamId, request);
    detector?.begin(tx);
    fault.mayMerge = false;
    // 2.1
    if (!registers.smmuEnabled()) return this.#bad();
    // 3
    const stream = streams.find(streamId);
    if (stream === undefined) return this.#failed();
    const { ste } = stream;
    fault.mayMerge = ste.fields.MEV === 1;
    if (ste.broken !== undefined) {
      fault.raise(EventNumber.C_BAD_STE);
      return this.#failed();
    }
    if (ste.aborts) return this.#refuse(AtsStatus.unsupportedRequest);
    // 4.1
    if (ste.ats === Ats.off || (ste.ats === Ats.split && !registers.atsChecked())) return this.#bad();
    // 4.2
    access.override(this.#privileged, this.#execute, ste.privCfg, ste.instCfg);
    this.#wanted.privileged = overridden(ste.privCfg, this.#privileged);
    this.#instCfg = ste.instCfg;
    // 4.3, 4.4
    const index = selectContext(ste, tx.substreamId, fault);
    if (index === NO_CONTEXT) return this.#failed();
    if (index === NO_STAGE1) return this.#withoutStage1(ste);
    // 5
    const cd = contexts.find(stream, index);
    if (cd === undefined) return fault.translationRelated ? this.#nothing() : this.#failed();
    if (cd.broken !== undefined) {
      fault.raise(EventNumber.C_BAD_CD);
      return this.#failed();
    }
    return this.#withStage1(ste, cd);
  }

  #take(streamId: number, request: TranslationRequest): void {
    const tx = this.#tx;
    const pasid = request.substreamId >= 0;
    // Without a PASID there are no such bits (§13.7.1).
    this.#execute = pasid && request.execute;
    this.#privileged = pasid && request.privileged;
    this.#noWrite = request.noWrite;
    tx.streamId = streamId;
    tx.substreamId = request.substreamId;
    tx.addressHi = request.addressHi;
    tx.addressLo = request.addressLo;
    tx.write = !request.noWrite;
    tx.instruction = this.#execute;
    tx.privileged = this.#privileged;
    tx.answer = 0;
    this.#steps.access.rules = request.noWrite ? PLAIN_READ : PLAIN_WRITE;
  }

  // How requests end.

  #refuse(status: AtsStatus): TranslationCompletion {
    return { status, sizeLog2: this.#unit, ...NO_DATA };
  }

  /** UR with F_BAD_ATS_TREQ. */
  #bad(): TranslationCompletion {
    const { fault, failures } = this.#steps;
    fault.raise(EventNumber.F_BAD_ATS_TREQ);
    failures.configuration(this.#tx);
    return this.#refuse(AtsStatus.unsupportedRequest);
  }

  /** A configuration error, or an abort of a walk. */
  #failed(): TranslationCompletion {
    this.#steps.failures.ats(this.#tx, true);
    return this.#refuse(AtsStatus.completerAbort);
  }

  /** Success with R = W = 0. */
  #nothing(): TranslationCompletion {
    return { status: AtsStatus.success, sizeLog2: this.#unit, ...NO_DATA, privileged: this.#privileged };
  }

  /** The fault of a stage: what is not translation-related is an error. */
  #faulted(): TranslationCompletion {
    return this.#steps.fault.translationRelated ? this.#nothing() : this.#failed();
  }

  /** @param address where the request's address goes; `sizeLog2` of the mapping */
  #success(address: number, sizeLog2: number, rights: number): TranslationCompletion {
    const grant = this.#grant(rights);
    return grant.read || grant.write ? this.#complete(address, sizeLog2, grant) : this.#nothing();
  }

  #complete(address: number, sizeLog2: number, grant: Grant): TranslationCompletion {
    const base = address - (address % 2 ** sizeLog2);
    return {
      status: AtsStatus.success,
      translatedHi: high32(base),
      translatedLo: low32(base),
      sizeLog2,
      ...grant,
      privileged: this.#privileged,
      global: false,
      untranslatedOnly: false,
    };
  }

  /** §13.7.1. @param rights of all stages */
  #grant(rights: number): Grant {
    const readable = (rights & READ) !== 0;
    const executable = (rights & EXECUTE) !== 0;
    const write = (rights & WRITE) !== 0 && (!this.#noWrite || this.#steps.choices.unaskedWrite === "granted");
    const instCfg = this.#instCfg;
    const read = instCfg === INSTRUCTION ? executable : readable;
    return { read, write, execute: this.#execute && read && (instCfg === DATA || executable) };
  }

  /** 6.0: without a PASID, STE.S1DSS skips stage 1; or there is stage 2 alone. */
  #withoutStage1(ste: Ste): TranslationCompletion {
    const { config, stage2 } = this.#steps;
    const { addressHi, addressLo } = this.#tx;
    if (exceeds(addressHi, config.oas)) return this.#nothing();
    const ipa = join64(addressHi, addressLo);
    const second = ste.stage2;
    // Identity: whatever the address, the answer is the same (§13.6.4).
    if (second === undefined) return this.#complete(ipa, config.oas, { read: true, write: true, execute: false });
    const look = (need: number): boolean => stage2.translate(second, ipa, FaultClass.in, need, Origin.notAssured);
    if (!look(0)) return this.#faulted();
    if (this.#marksDirty(this.#rights2(second, stage2.entry), stage2.entry) && !look(Perm2.write)) return this.#faulted();
    const address = ste.ats === Ats.split ? ipa : stage2.physical;
    return this.#success(address, stage2.entry.size, this.#rights2(second, stage2.entry));
  }

  /** 6, 7 */
  #withStage1(ste: Ste, cd: Cd): TranslationCompletion {
    const { stages } = this.#steps;
    const { entry } = stages;
    const wanted = this.#wanted;
    wanted.write = false;
    wanted.need1 = 0;
    wanted.need2 = 0;
    // Where stage 1 grants nothing, stage 2 is not asked (§3.9.1.2).
    const grants = (): boolean => {
      const { read, write } = this.#grant(this.#rights1(cd, entry));
      return read || write;
    };
    const rights = (): number => this.#rights1(cd, entry) & (ste.stage2 === undefined ? ALL : this.#rights2(ste.stage2, entry));
    if (!this.#look(cd, grants)) return this.#faulted();
    if (this.#marksDirty(rights(), entry)) {
      wanted.write = true;
      wanted.need1 = needOfStage1(true, false, wanted.privileged);
      wanted.need2 = Perm2.write;
      if (!this.#look(cd, grants)) return this.#faulted();
    }
    return this.#success(ste.ats === Ats.split ? entry.ipa : entry.pa, entry.size, rights());
  }

  #look(cd: Cd, grants: () => boolean): boolean {
    const { addressHi, addressLo } = this.#tx;
    return this.#steps.stages.translate(cd, addressHi, addressLo, this.#wanted, grants);
  }

  /** A request with NW 0 that is let write makes dirty what is not (§3.13.7.1). */
  #marksDirty(rights: number, entry: TlbEntry): boolean {
    return !this.#noWrite && (rights & WRITE) !== 0 && entry.clean !== 0;
  }

  /** What stage 1 permits. Writable-clean memory is writable if it can become dirty: by hardware, and for a request with NW 0. */
  #rights1(cd: Cd, entry: TlbEntry): number {
    const rights = (this.#wanted.privileged ? entry.stage1 >> 3 : entry.stage1) & ALL;
    return this.#staysClean(Clean.stage1, entry, cd.hardwareDirty) ? rights & ~WRITE : rights;
  }

  #rights2(second: Stage2Config, entry: TlbEntry): number {
    const bits = granted(second, entry);
    const executable = (bits & (this.#wanted.privileged ? Perm2.privExecute : Perm2.userExecute)) !== 0;
    const rights = (bits & (Perm2.read | Perm2.write)) | (executable ? EXECUTE : 0);
    return this.#staysClean(Clean.stage2, entry, second.hardwareDirty) ? rights & ~WRITE : rights;
  }

  #staysClean(stage: number, entry: TlbEntry, hardwareDirty: boolean): boolean {
    return (entry.clean & stage) !== 0 && (this.#noWrite || !hardwareDirty);
  }
}

const CODE = "TRANSLATION_REQUEST";

function checkRequest(streamId: number, request: TranslationRequest): void {
  const { substreamId, addressHi, addressLo } = request;
  const known = substreamId === -1 || (substreamId & 0xf_ffff) === substreamId;
  if (streamId >>> 0 !== streamId || !known)
    throw new HostMisuseError(
      CODE,
      `a Translation Request of StreamID ${streamId}, SubstreamID ${substreamId}: they are whole numbers below 2^32 and below 2^20, or -1 for no SubstreamID`,
    );
  if (addressHi >>> 0 !== addressHi || addressLo >>> 0 !== addressLo || addressLo % 4096 !== 0)
    throw new HostMisuseError(
      CODE,
      `a Translation Request for address ${addressHi}, ${addressLo}: its halves are unsigned 32-bit numbers, the lower one a multiple of ${hex(4096)}`,
    );
}
