// SPDX-License-Identifier: MIT
/**
 * The PRI queue: page requests of functions written to memory, and the answers that the SMMU gives by itself to those that
 * cannot be written (IHI 0070 §8). Unlike the Event queue it takes nothing while an overflow is unacknowledged.
 */
import type { TraceSink } from "../../../sim/index.ts";
import { checkBoolean, checkInteger } from "../../checks.ts";
import { type PageRequest, PageResponse } from "../../memory/ats.ts";
import { BusStatus } from "../../memory/system-bus.ts";
import { CircularQueue } from "./circular-queue.ts";
import type { SmmuConfig } from "../config/config.ts";
import type { GlobalErrors } from "../registers/gerror.ts";
import type { Interrupts } from "../registers/interrupts.ts";
import type { Lint } from "../lint.ts";
import type { PageResponses } from "./page-responses.ts";
import type { SmmuEvents, SmmuHost } from "../ports.ts";
import { presetOrigin } from "../config/presets.ts";
import type { RegisterFile } from "../registers/register-file.ts";
import { bitsOf, offsetOf } from "../registers/register-layout.ts";
import { PAGE_REQUEST_WORDS } from "../spec/page-request.ts";
import { describePageRequest, encodePageRequest, isStopMarker } from "../tables/page-requests.ts";

const CR0ACK = offsetOf("CR0ACK");
/** PRIQEN in force is 0 while SMMUEN is (§6.3.9.5). */
const ENABLED = bitsOf("CR0ACK", "PRIQEN") | bitsOf("CR0ACK", "SMMUEN");
const BASE = offsetOf("PRIQ_BASE");
const PROD = offsetOf("PRIQ_PROD");
const CONS = offsetOf("PRIQ_CONS");
const IRQ_CFG2 = offsetOf("PRIQ_IRQ_CFG2");
const LAST_ONLY = bitsOf("PRIQ_IRQ_CFG2", "LO");
const OVFLG = bitsOf("PRIQ_PROD", "OVFLG");

export interface PriQueueDeps {
  readonly config: SmmuConfig;
  readonly host: SmmuHost;
  readonly registers: RegisterFile;
  readonly errors: GlobalErrors;
  readonly interrupts: Interrupts;
  readonly responses: PageResponses;
  readonly trace: TraceSink<SmmuEvents>;
  readonly lint: Lint;
}

/** STE.PPAR of a stream: whether automatic responses carry the PASID. undefined: there is no valid STE. */
export type ResponsePasid = (streamId: number, substreamId: number) => boolean | undefined;

export class PriQueue {
  /** Set before the first request comes. */
  responsePasid: ResponsePasid = () => undefined;

  readonly #deps: PriQueueDeps;
  readonly #queue: CircularQueue;
  readonly #words = new Uint32Array(PAGE_REQUEST_WORDS);

  constructor(deps: PriQueueDeps) {
    this.#deps = deps;
    const { config, registers, lint } = deps;
    const at = {
      name: "PRIQ",
      base: BASE,
      prod: PROD,
      cons: CONS,
      log2Max: config.priqLog2Max,
      entryBytes: 4 * PAGE_REQUEST_WORDS,
      origin: presetOrigin(config, "queues"),
    };
    this.#queue = new CircularQueue(registers, at, lint);
    registers.maskReads(PROD, () => OVFLG | this.#queue.indexMask);
    registers.onWrite(CONS, () => this.#checkIndexes());
  }

  /**
   * Takes a page request or a Stop Marker.
   * @throws HostMisuseError for one that no function can send
   */
  receive(streamId: number, message: PageRequest): void {
    checkMessage(streamId, message);
    const { config } = this.#deps;
    // An SMMU without substreams sees no PASID.
    const request = config.ssidSize === 0 && message.substreamId >= 0 ? { ...message, substreamId: -1 } : message;
    encodePageRequest(this.#words, streamId, request);
    // What comes of a request may lead to another one: the words are not ours for long.
    if (!this.#open) this.#refuse(streamId, request);
    else if (this.#overflowed || this.#queue.used >= this.#queue.capacity) this.#overflow(streamId, request);
    else this.#write(streamId, request);
  }

  get #enabled(): boolean {
    return (this.#deps.registers.get(CR0ACK) & ENABLED) === ENABLED;
  }

  /** Room and overflow apart, requests can be written. */
  get #open(): boolean {
    const { errors } = this.#deps;
    return this.#enabled && !errors.isActive("PRIQ_ABT_ERR") && !errors.serviceFailed;
  }

  get #overflowed(): boolean {
    const { registers } = this.#deps;
    return ((registers.get(PROD) ^ registers.get(CONS)) & OVFLG) !== 0;
  }

  /** PRIQ_IRQ_CFG2.LO; 0 where the register does not exist. */
  get #lastOnly(): boolean {
    return (this.#deps.registers.get(IRQ_CFG2) & LAST_ONLY) !== 0;
  }

  #write(streamId: number, request: PageRequest): void {
    const { errors, host, interrupts, registers } = this.#deps;
    const queue = this.#queue;
    const wasEmpty = queue.used === 0;
    const attributes = registers.queueAttributes(BASE, true);
    if (host.store("priq", queue.entryAddress(queue.prod), this.#words, PAGE_REQUEST_WORDS, attributes) !== BusStatus.ok) {
      this.#told(false);
      errors.raise("PRIQ_ABT_ERR");
      this.#respond(streamId, request, PageResponse.failure, false);
      return;
    }
    queue.advance("prod");
    this.#told(true);
    if (this.#lastOnly ? request.last : wasEmpty) interrupts.signal("priq");
  }

  /** The queue is off or in error: every request is answered, not only the last of a group (§8.2). */
  #refuse(streamId: number, request: PageRequest): void {
    this.#told(false);
    this.#respond(streamId, request, PageResponse.failure, false);
  }

  /** OVFLG toggles once; until software makes OVACKFLG equal, all is lost, and groups whose end is lost are answered (§8.1). */
  #overflow(streamId: number, request: PageRequest): void {
    const { registers, interrupts, lint } = this.#deps;
    this.#told(false);
    if (!this.#overflowed) {
      this.#checkIndexes();
      registers.set(PROD, (registers.get(PROD) ^ OVFLG) >>> 0);
      lint("priq-overflow", () => `${this.#queue.capacity} page requests wait in the PRI queue and another one has come`);
    }
    if (!request.last) return;
    if (this.#lastOnly) interrupts.signal("priq");
    this.#respondToLost(streamId, request);
  }

  /** The function is to try again, unless nothing tells whether its response has to have the PASID. */
  #respondToLost(streamId: number, request: PageRequest): void {
    if (isStopMarker(request)) return;
    const pasid = request.substreamId < 0 ? false : this.#deps.config.pps || this.responsePasid(streamId, request.substreamId);
    if (pasid === undefined) this.#respond(streamId, request, PageResponse.failure, false);
    else this.#respond(streamId, request, PageResponse.success, pasid);
  }

  #respond(streamId: number, request: PageRequest, code: PageResponse, pasid: boolean): void {
    if (isStopMarker(request)) return;
    const { substreamId, groupIndex } = request;
    this.#deps.responses.send(streamId, { substreamId: pasid ? substreamId : -1, groupIndex, code }, true);
  }

  #told(recorded: boolean): void {
    const { trace } = this.#deps;
    if (!trace.wants("smmu.page-request")) return;
    trace.emit("smmu.page-request", { words: [...this.#words], recorded, text: describePageRequest(this.#words) });
  }

  #checkIndexes(): void {
    if (!this.#enabled || this.#queue.consistent) return;
    this.#deps.lint(
      "cons-inconsistent",
      () => `PRIQ_CONS ${this.#queue.cons} is inconsistent with PRIQ_PROD ${this.#queue.prod}: the queue counts as full`,
    );
  }
}

const CODE = "PAGE_REQUEST";
const FLAGS = ["read", "write", "execute", "privileged", "last"] as const;
const WORD = 0xffff_ffff;

function checkMessage(streamId: number, request: PageRequest): void {
  const whole = (name: string, value: unknown, low: number, high: number, unit?: number): void =>
    checkInteger(CODE, `${name} of a page request`, value, low, high, unit);
  whole("StreamID", streamId, 0, WORD);
  whole("substreamId", request.substreamId, -1, 0xf_ffff);
  whole("addressHi", request.addressHi, 0, WORD);
  whole("addressLo", request.addressLo, 0, WORD, 4096);
  whole("groupIndex", request.groupIndex, 0, 0x1ff);
  for (const flag of FLAGS) checkBoolean(CODE, `${flag} of a page request`, request[flag]);
}
