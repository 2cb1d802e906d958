// SPDX-License-Identifier: MIT
/**
 * What the architecture would say if something were otherwise: a request translated once more, from memory alone, on the
 * side and without any trace of it, with an attribute of the request or a field of a structure as supposed. This is how an
 * answer that another SMMU gave by leaving a check out can be foretold to the bit.
 */
import {
  BusStatus,
  CD,
  L1STD,
  NotModelledLog,
  STE,
  type Smmu,
  type SmmuHost,
  type Structure,
  Transaction,
  Translator,
  fieldNamed,
  getField,
  setField,
} from "../../hw/index.ts";
import { silentTrace } from "../../sim/index.ts";
import { answerOf } from "./answer.ts";
import type { TranslationAnswer } from "./recording.ts";

/** New values of fields, each from the structure as it is in memory. */
type Fields = Readonly<Record<string, number | ((field: (name: string) => number) => number)>>;

export interface Supposition {
  readonly write?: boolean;
  readonly privileged?: boolean;
  readonly addressHi?: number;
  readonly l1std?: Fields;
  readonly ste?: Fields;
  readonly cd?: Fields;
}

/** A descriptor of stage 1 as a walk read it. */
export interface ReadDescriptor {
  readonly lo: number;
  readonly hi: number;
  /** Descriptors that the walk had read before it. */
  readonly index: number;
}

export interface ProbeRequest {
  readonly sid: number;
  readonly addressHi: number;
  readonly addressLo: number;
  readonly write: boolean;
}

function change(words: Uint32Array, { fields }: Structure, values: Fields | undefined): void {
  if (values === undefined) return;
  const now = (name: string): number => getField(words, fieldNamed(fields, name));
  for (const [name, value] of Object.entries(values))
    setField(words, fieldNamed(fields, name), typeof value === "number" ? value : value(now));
}

export class Probe {
  readonly #translator: Translator;
  readonly #tx = new Transaction();
  #supposed: Supposition = {};
  #descriptors = 0;
  #steShift = 0;
  #last: ReadDescriptor | undefined;

  /** @param smmu whose registers and configuration count */
  constructor(smmu: Smmu, host: SmmuHost) {
    this.#translator = new Translator({
      config: { ...smmu.config, caches: { ...smmu.config.caches, ste: 0, cd: 0, tlb: 0, walk: 0 } },
      registers: smmu.registers,
      events: { record: () => true, writable: () => true },
      // Nothing that a supposed walk writes comes to memory.
      host: { ...host, load: (kind, address, out, count) => this.#load(host, kind, address, out, count), store: () => BusStatus.ok },
      trace: silentTrace(),
      notModelled: new NotModelledLog(),
      detector: false,
    });
  }

  #load: (host: SmmuHost, ...of: Parameters<SmmuHost["load"]>) => ReturnType<SmmuHost["load"]> = (host, kind, address, out, count) => {
    const status = host.peek(kind === "ste" ? this.#steAddress(address) : address, out, count);
    const { l1std, ste, cd } = this.#supposed;
    if (kind === "l1std") this.#level1(out, l1std);
    else if (kind === "ste") change(out, STE, ste);
    else if (kind === "cd") change(out, CD, cd);
    else if (kind === "tt-s1") this.#last = { lo: out[0]!, hi: out[1]!, index: this.#descriptors++ };
    return status;
  };

  /** A Span that is only supposed must not move the array, which is aligned to its size. */
  #level1(words: Uint32Array, supposed: Fields | undefined): void {
    const field = (name: string): number => getField(words, fieldNamed(L1STD.fields, name));
    const pointer = 64 * field("L2Ptr");
    change(words, L1STD, supposed);
    this.#steShift = supposed === undefined ? 0 : pointer % (64 * 2 ** (Math.max(1, field("Span")) - 1));
  }

  #steAddress(address: number): number {
    return address + this.#steShift;
  }

  answer(request: ProbeRequest, supposed: Supposition): TranslationAnswer {
    const tx = this.#tx;
    this.#supposed = supposed;
    this.#descriptors = 0;
    this.#last = undefined;
    this.#steShift = 0;
    tx.streamId = request.sid;
    tx.substreamId = -1;
    tx.addressHi = supposed.addressHi ?? request.addressHi;
    tx.addressLo = request.addressLo;
    tx.write = supposed.write ?? request.write;
    tx.instruction = false;
    tx.privileged = supposed.privileged ?? false;
    const answer = answerOf(this.#translator.translate(tx), tx, this.#translator);
    return tx.event !== 0 && !tx.recorded ? { ...answer, keptBack: true } : answer;
  }

  /** The descriptor of stage 1 at which the walk of a request ends; undefined if there is no such walk. */
  lastDescriptor(request: ProbeRequest, supposed: Supposition = {}): ReadDescriptor | undefined {
    this.answer(request, supposed);
    return this.#last;
  }
}
