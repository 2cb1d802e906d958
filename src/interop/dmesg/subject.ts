// SPDX-License-Identifier: MIT
/** What the conditions of the table of causes may look at: one record or many equal ones, and their circumstances. */
import { decodeEvent } from "../../hw/index.ts";
import { secondsOf } from "./history.ts";
import type { AddressSummary, Boot, EventFound } from "./types.ts";

/** Addresses of records that are equal otherwise. */
export class Addresses {
  #first: bigint | undefined;
  #last = 0n;
  #lowest = 0n;
  #highest = 0n;
  #rising = 0;
  #count = 0;
  readonly #distinct = new Set<bigint>();

  push(address: bigint): void {
    if (this.#first === undefined) this.#first = this.#lowest = this.#highest = address;
    else if (address > this.#last && address - this.#last <= 0x1_0000n) this.#rising++;
    if (address < this.#lowest) this.#lowest = address;
    if (address > this.#highest) this.#highest = address;
    this.#last = address;
    this.#count++;
    if (this.#distinct.size < 4096) this.#distinct.add(address);
  }

  get first(): bigint | undefined {
    return this.#first;
  }

  get lowest(): bigint {
    return this.#lowest;
  }

  get highest(): bigint {
    return this.#highest;
  }

  /** Most addresses follow their predecessor closely. */
  get pattern(): AddressSummary["pattern"] {
    if (this.#distinct.size <= 1) return "one";
    return this.#rising >= 0.7 * (this.#count - 1) ? "rising" : "scattered";
  }

  summary(): AddressSummary | undefined {
    if (this.#first === undefined) return undefined;
    const text = (address: bigint): string => `0x${address.toString(16)}`;
    return {
      first: text(this.#first),
      lowest: text(this.#lowest),
      highest: text(this.#highest),
      distinct: this.#distinct.size,
      pattern: this.pattern,
    };
  }
}

export interface Subject {
  readonly number: number;
  /** Fields of the record by name; the words that the log lacks read 0. */
  readonly fields: Readonly<Record<string, number>>;
  /** All words of the record are known, so that its direction and stage are. */
  readonly complete: boolean;
  readonly write: boolean;
  readonly instruction: boolean;
  readonly privileged: boolean;
  readonly stage2: boolean;
  /** 0 CD, 1 TT, 2 IN. */
  readonly class: number;
  readonly substream: boolean;
  readonly address: bigint | undefined;
  /** Address of the structure whose fetch failed, if the event has one and the log says it. */
  readonly fetch: bigint | undefined;
  readonly addresses: Addresses;
  readonly count: number;
  readonly client: string | undefined;
  readonly device: string;
  readonly boot: Boot;
  readonly goingDown: string | undefined;
  /** Seconds since the kernel found the SMMU enabled; undefined if it did not, or the log has no such times. */
  readonly sinceTakeover: number | undefined;
}

/** True if an address lies in memory that the kernel listed as RAM. */
export function inRam({ boot }: Subject, address: bigint): boolean {
  return boot.ram.some(({ first, last }) => address >= first && address <= last);
}

function sinceTakeover({ boot, device, time }: EventFound): number | undefined {
  const [then, now] = [boot.takenOver.get(device), secondsOf(time)];
  return then === undefined || now === undefined ? undefined : now - then;
}

export function subjectOf(event: EventFound, addresses: Addresses, count: number): Subject {
  const { number, fields, inputAddress } = decodeEvent(event.words);
  const { FetchAddr } = fields;
  return {
    number,
    fields,
    complete: event.said.access,
    write: fields["RnW"] === 0,
    instruction: fields["InD"] === 1,
    privileged: fields["PnU"] === 1,
    stage2: fields["S2"] === 1,
    class: fields["CLASS"] ?? 2,
    substream: fields["SSV"] === 1 || number === 0x08,
    address: inputAddress === undefined || !event.said.address ? undefined : BigInt(inputAddress),
    fetch: FetchAddr === undefined || !event.said.fetch ? undefined : BigInt(FetchAddr),
    addresses,
    count,
    client: event.client,
    device: event.device,
    boot: event.boot,
    goingDown: event.goingDown,
    sinceTakeover: sinceTakeover(event),
  };
}

/** One reason for an event. */
export interface Cause {
  readonly id: string;
  readonly events: readonly number[];
  /** 0 … 100: how likely it is where the condition holds. */
  readonly weight: number;
  when(subject: Subject): boolean;
  text(subject: Subject): string;
  readonly next?: string;
  readonly reference: string;
}
