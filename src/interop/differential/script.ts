// SPDX-License-Identifier: MIT
/** A program laid out in memory: operations that any SMMU behind memory, registers and a DMA device can carry out. */

export type Words4 = readonly [number, number, number, number];

/** A 4-byte access of a device. Each access of a script has a word of its own in every page: 4 × `index` bytes into it. */
export interface AccessOperation {
  readonly op: "access";
  /** Number of the access in its script. */
  readonly index: number;
  readonly sid: number;
  readonly addressHi: number;
  readonly addressLo: number;
  readonly write: boolean;
  /** Physical words that this access may reach, as far as the program's tables say. */
  readonly candidates: readonly number[];
  /** What is out of the ordinary about it, for the conditions of deviations and for people. */
  readonly facts: string;
  /** Stages of the stream's STE: bit 0 stage 1, bit 1 stage 2. */
  readonly stages: number;
  /** How it would pass if nothing translated it; undefined if something does. */
  readonly untranslated: "bypass" | "disabled" | undefined;
}

export type Operation =
  | { readonly op: "clear"; readonly address: number; readonly size: number }
  | { readonly op: "memory"; readonly address: number; readonly words: readonly number[] }
  | { readonly op: "write"; readonly offset: number; readonly width: 4 | 8; readonly lo: number; readonly hi: number }
  /** Writes GERROR's value to GERRORN. */
  | { readonly op: "acknowledge" }
  /** Puts commands into the queue from entry `at` on, moves PROD behind them, looks at the error, repairs and acknowledges it. */
  | { readonly op: "commands"; readonly at: number; readonly commands: readonly Words4[] }
  | AccessOperation
  | { readonly op: "read"; readonly offset: number; readonly width: 4 | 8 };

export interface Script {
  readonly operations: readonly Operation[];
  /** The step behind an operation; -1: the beginning. */
  readonly steps: readonly number[];
  readonly accesses: readonly AccessOperation[];
}

/** What an SMMU did. `at` is the number of the operation. */
export type Observation =
  | {
      readonly at: number;
      readonly what: "access";
      /** Event records since the last access. */
      readonly events: readonly (readonly number[])[];
      /** The candidate that was read or written. */
      seen: number | undefined;
    }
  | {
      readonly at: number;
      readonly what: "commands";
      /** CMDQ_CONS.ERR of an active error, else 0. */ readonly error: number;
      readonly index: number;
    }
  | { readonly at: number; readonly what: "read"; readonly lo: number; readonly hi: number };

// Queues, as scripts set them up. The command queue is large enough never to come around.
export const CMDQ_LOG2 = 10;
export const EVENTQ_LOG2 = 7;

/** What an access writes. */
export function tagOf(index: number): number {
  return (0xd000_0000 + index) >>> 0;
}

/** What an access finds at its n-th candidate if it reads. */
export function markerOf(index: number, candidate: number): number {
  return (0xa000_0000 + index * 0x1000 + candidate) >>> 0;
}

/** Accesses that a script may have: the words of the device's buffer. */
export const MAX_ACCESSES = 400;
