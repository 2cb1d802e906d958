// SPDX-License-Identifier: MIT
/** The Event queue: records written to memory, overflow, aborts of its writes (IHI 0070 §7.2, §7.4). */
import { BusStatus } from "../../memory/system-bus.ts";
import { CircularQueue } from "./circular-queue.ts";
import type { RegisterChoices } from "../choices-registers.ts";
import type { SmmuConfig } from "../config/config.ts";
import { EventMerging } from "./event-merging.ts";
import type { GlobalErrors } from "../registers/gerror.ts";
import type { Interrupts } from "../registers/interrupts.ts";
import type { Lint } from "../lint.ts";
import type { EventSink, SmmuHost } from "../ports.ts";
import { presetOrigin } from "../config/presets.ts";
import type { RegisterFile } from "../registers/register-file.ts";
import { bitsOf, offsetOf } from "../registers/register-layout.ts";

const CR0ACK = offsetOf("CR0ACK");
const EVENTQEN = bitsOf("CR0ACK", "EVENTQEN");
const BASE = offsetOf("EVENTQ_BASE");
const PROD = offsetOf("EVENTQ_PROD");
const CONS = offsetOf("EVENTQ_CONS");
const OVFLG = bitsOf("EVENTQ_PROD", "OVFLG");
const RECORD_WORDS = 8;

export interface EventQueueDeps {
  readonly config: SmmuConfig;
  readonly host: SmmuHost;
  readonly registers: RegisterFile;
  readonly errors: GlobalErrors;
  readonly interrupts: Interrupts;
  readonly lint: Lint;
  readonly choices: Pick<RegisterChoices, "eventMerging">;
}

export class EventQueue implements EventSink {
  /** Called when the queue may have become writable: stalled transactions wait for that. */
  onWritable: () => void = () => {};

  readonly #deps: EventQueueDeps;
  readonly #queue: CircularQueue;
  readonly #merging: EventMerging | undefined;

  constructor(deps: EventQueueDeps) {
    this.#deps = deps;
    this.#merging = deps.choices.eventMerging ? new EventMerging() : undefined;
    const { config, registers, lint } = deps;
    const at = {
      name: "EVENTQ",
      base: BASE,
      prod: PROD,
      cons: CONS,
      log2Max: config.eventqLog2Max,
      entryBytes: 32,
      origin: presetOrigin(config, "queues"),
    };
    this.#queue = new CircularQueue(registers, at, lint);
    registers.maskReads(PROD, () => OVFLG | this.#queue.indexMask);
    registers.onWrite(CONS, () => {
      this.#checkIndexes();
      this.announce();
    });
  }

  /** Hardware reset, or the queue is switched on or off: no earlier record stands for what comes. */
  reset(): void {
    this.#merging?.forget();
  }

  get #enabled(): boolean {
    return (this.#deps.registers.get(CR0ACK) & EVENTQEN) !== 0;
  }

  writable(): boolean {
    return this.#open && this.#queue.used < this.#queue.capacity;
  }

  /** Room apart, records can be written. */
  get #open(): boolean {
    const { errors } = this.#deps;
    return this.#enabled && !errors.isActive("EVENTQ_ABT_ERR") && !errors.serviceFailed;
  }

  /** CONS, EVENTQEN or GERRORN has changed: tells of a queue that is writable (IHI 0070 §7.2.1). */
  announce(): void {
    if (this.writable()) this.onWritable();
  }

  /** A record that cannot be written now is lost, but for that of a stalled transaction, which waits (§7.4). */
  record(words: Uint32Array, mayMerge: boolean = false, stall: boolean = false): boolean {
    const { errors, host, interrupts, registers } = this.#deps;
    if (!this.#open) return false;
    const queue = this.#queue;
    const youngest = (queue.prod - 1) & queue.indexMask;
    if (queue.used > 0 && queue.consistent && this.#merging?.covers(words, youngest, mayMerge, host.now())) return true;
    if (queue.used >= queue.capacity) {
      this.#checkIndexes();
      if (!stall) this.#overflow();
      return false;
    }
    const wasEmpty = queue.used === 0;
    const index = queue.prod;
    const attributes = registers.queueAttributes(BASE, true);
    if (host.store("eventq", queue.entryAddress(queue.prod), words, RECORD_WORDS, attributes) !== BusStatus.ok) {
      errors.raise("EVENTQ_ABT_ERR");
      return false;
    }
    queue.advance("prod");
    this.#merging?.written(words, index, mayMerge, host.now());
    if (wasEmpty) interrupts.signal("eventq");
    return true;
  }

  /** OVFLG toggles once; until software makes OVACKFLG equal, further losses change nothing. */
  #overflow(): void {
    const { registers } = this.#deps;
    const prod = registers.get(PROD);
    if (((prod ^ registers.get(CONS)) & OVFLG) === 0) registers.set(PROD, (prod ^ OVFLG) >>> 0);
  }

  #checkIndexes(): void {
    if (!this.#enabled || this.#queue.consistent) return;
    this.#deps.lint(
      "cons-inconsistent",
      () => `EVENTQ_CONS ${this.#queue.cons} is inconsistent with EVENTQ_PROD ${this.#queue.prod}: the queue counts as full`,
    );
  }
}
