// SPDX-License-Identifier: MIT
/** What the oracle is told and what it answers. Nothing here, nor in what imports it, knows the model. */

/** Registers as software reads them back; CR0 and CR2 in force. */
export interface Registers {
  readonly IDR0: number;
  readonly IDR1: number;
  readonly IDR3: number;
  readonly IDR5: number;
  readonly AIDR: number;
  readonly CR0: number;
  readonly CR2: number;
  readonly GBPA: number;
  /** Where IDR3.S2PI has it, else 0. */
  readonly S2PII: bigint;
  readonly STRTAB_BASE: bigint;
  readonly STRTAB_BASE_CFG: number;
}

/** Physical memory. */
export interface Memory {
  /** @returns undefined for an external abort */
  read(address: bigint, bytes: number): Uint8Array | undefined;
}

export interface Incoming {
  readonly streamId: number;
  readonly substreamId: number | undefined;
  readonly address: bigint;
  readonly write: boolean;
  readonly instruction: boolean;
  readonly privileged: boolean;
}

/** How a transaction has to end. */
export interface Verdict {
  readonly outcome: "forward" | "abort" | "raz-wi" | "stall";
  /** Forwarded only. */
  readonly pa: bigint;
  /** Memory type in the encoding of MAIR, and shareability (0 non, 2 outer, 3 inner). Forwarded only. */
  readonly attributes: number;
  readonly shareability: number;
  /** INST and PRIV as they leave. Forwarded only. */
  readonly instruction: boolean;
  readonly privileged: boolean;
  /** The record that has to be written, as 32-bit words; undefined: none. */
  readonly record: readonly number[] | undefined;
  /** Descriptors that hardware has updated: address and bytes, by address. */
  readonly updates: readonly (readonly [address: bigint, bytes: string])[];
}
