// SPDX-License-Identifier: MIT
/** The shape of the register tables, and the names that their conditions use. */
import type { Field } from "../../bits/fields.ts";

/** What must be implemented for a register, a field or a command to exist. */
export type SmmuFeature =
  | "stage1"
  | "stage2"
  | "two-level"
  | "substreams"
  | "hyp"
  | "msi"
  | "ats"
  | "atsrecerr"
  | "pri"
  | "stall"
  | "vmw"
  | "btm"
  | "dormhint"
  | "atos"
  | "vatos"
  | "mpam"
  | "dpt"
  | "ecmdq"
  | "s2pi"
  | "presets"
  | "secure-queue"
  /** IMPLEMENTATION DEFINED contents. */
  | "impdef";

/** The enable that must be 0, in the control register and in its acknowledge, for a write to count. */
export type RegisterGuard =
  | "SMMUEN"
  | "CMDQEN"
  | "EVENTQEN"
  | "PRIQEN"
  /** All of CMDQEN, EVENTQEN, PRIQEN. */
  | "any-queue"
  | "EVENTQ_IRQEN"
  | "PRIQ_IRQEN"
  | "GERROR_IRQEN"
  /** The register's own bit 31. */
  | "Update"
  /** RUN of the same ATOS group. */
  | "RUN"
  | "DPT_WALK_EN";

/** IDR1.TABLES_PRESET or IDR1.QUEUES_PRESET: where it is 1, software cannot write and the value is the implementation's. */
export type RegisterPreset = "tables" | "queues";

/** After a reset: a value; "unknown" or "impdef" as the architecture says; "id": constant, follows from the configuration. */
export type FieldReset = number | "unknown" | "impdef" | "id";

export interface RegisterField extends Field {
  readonly reset: FieldReset;
  readonly needs?: readonly SmmuFeature[];
  readonly guard?: RegisterGuard;
  /** As for registers. */
  readonly preset?: RegisterPreset;
  /** Values and remarks. */
  readonly what?: string;
}

export interface SmmuRegister {
  readonly name: string;
  /** From the start of page 0. */
  readonly offset: number;
  readonly page: 0 | 1;
  readonly width: 32 | 64;
  readonly access: "RO" | "RW";
  /** Section of IHI 0070. */
  readonly section: string;
  readonly needs?: readonly SmmuFeature[];
  readonly guard?: RegisterGuard;
  readonly preset?: RegisterPreset;
  /** `count` registers, `stride` bytes apart. */
  readonly stride?: number;
  readonly count?: number;
  readonly fields: readonly RegisterField[];
  /** ATOS results: the layout when FAULT is 1; `fields` is the one when FAULT is 0. */
  readonly whenFault?: readonly RegisterField[];
}
