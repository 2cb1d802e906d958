// SPDX-License-Identifier: MIT
/**
 * The list of extended capabilities from 0x100 on: error reporting, ATS, page requests and PASIDs as registers that software
 * finds and switches. What stands behind them: error-reporting.ts for ports (an endpoint finds no errors), ats-endpoint.ts,
 * page-request-interface.ts, request-port.ts.
 */
import { HostMisuseError } from "../errors.ts";
import type { ConfigSpace } from "./config-space.ts";
import { AER, ATS, EXTENDED, EXTENDED_CAPABILITY, PASID, PRI } from "./spec.ts";

/** Which of them a function has. */
export interface ExtendedCapabilities {
  /** Advanced Error Reporting. */
  readonly aer?: boolean;
  readonly ats?: {
    /** Invalidate requests that it takes in before it holds others up: 1 … 32. Default: 32. */
    readonly queueDepth?: number;
    /** Its untranslated addresses are those of pages. Default: true. */
    readonly pageAligned?: boolean;
    /** It knows invalidation for all PASIDs at once, and translations that are good for all; needs `pasid`. Default: false. */
    readonly globalInvalidate?: boolean;
  };
  readonly pri?: {
    /** Page requests that it can have outstanding: 1 … 2^32 - 1. */
    readonly capacity: number;
    /** It wants the PASID of its request back in the response. Default: false. */
    readonly responsePasid?: boolean;
  };
  readonly pasid?: {
    /** Bits of a PASID: 0 … 20. */
    readonly width: number;
    readonly execute?: boolean;
    readonly privileged?: boolean;
  };
}

/** Offsets of the capabilities; 0: not there. */
export type ExtendedOffsets = Readonly<Record<keyof ExtendedCapabilities, number>>;

function checkRange(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new HostMisuseError("PCI_CAPABILITY", `${what} of ${value} is not in ${least} to ${most}`);
}

/** Defines the capabilities. @throws HostMisuseError for a value that no register can say */
export function defineExtendedCapabilities(config: ConfigSpace, options: ExtendedCapabilities, rootPort: boolean): ExtendedOffsets {
  const offsets = { aer: 0, ats: 0, pri: 0, pasid: 0 };
  let next: number = EXTENDED.FIRST;
  let previous: { readonly at: number; readonly header: number } | undefined;
  const add = (id: number, version: number, length: number): number => {
    const at = next;
    next += length;
    if (previous) config.define(previous.at, 4, (previous.header | (at << EXTENDED.NEXT_SHIFT)) >>> 0);
    previous = { at, header: id | (version << EXTENDED.VERSION_SHIFT) };
    config.define(at, 4, previous.header);
    return at;
  };
  if (options.aer) offsets.aer = defineAer(config, add(EXTENDED_CAPABILITY.AER, 2, rootPort ? AER.LENGTH_ROOT : AER.LENGTH), rootPort);
  if (options.ats?.globalInvalidate && !options.pasid)
    throw new HostMisuseError("PCI_CAPABILITY", "a global invalidation needs PASIDs, and the function has none");
  if (options.ats) offsets.ats = defineAts(config, add(EXTENDED_CAPABILITY.ATS, 1, ATS.LENGTH), options.ats);
  if (options.pri) offsets.pri = definePri(config, add(EXTENDED_CAPABILITY.PRI, 1, PRI.LENGTH), options.pri);
  if (options.pasid) offsets.pasid = definePasid(config, add(EXTENDED_CAPABILITY.PASID, 1, PASID.LENGTH), options.pasid);
  return offsets;
}

function defineAer(config: ConfigSpace, at: number, rootPort: boolean): number {
  config.define(at + AER.UNCORRECTABLE_STATUS, 4, 0, 0, AER.UNCORRECTABLE);
  config.define(at + AER.UNCORRECTABLE_MASK, 4, AER.UNCORRECTABLE_MASK_RESET, AER.UNCORRECTABLE);
  config.define(at + AER.UNCORRECTABLE_SEVERITY, 4, AER.SEVERITY_RESET, AER.UNCORRECTABLE);
  config.define(at + AER.CORRECTABLE_STATUS, 4, 0, 0, AER.CORRECTABLE);
  config.define(at + AER.CORRECTABLE_MASK, 4, AER.CORRECTABLE_MASK_RESET, AER.CORRECTABLE);
  // All but the command register: who has found an error can be told after a reset of the link.
  config.keep(at + AER.UNCORRECTABLE_STATUS, AER.LENGTH - AER.UNCORRECTABLE_STATUS);
  if (!rootPort) return at;
  config.keep(at + AER.ROOT_STATUS, AER.LENGTH_ROOT - AER.ROOT_STATUS);
  config.define(at + AER.ROOT_COMMAND, 4, 0, AER.ROOT_COMMAND_ENABLES);
  config.define(at + AER.ROOT_STATUS, 4, 0, 0, AER.ROOT_STATUS_ERRORS);
  return at;
}

function defineAts(
  config: ConfigSpace,
  at: number,
  { queueDepth = 32, pageAligned = true, globalInvalidate = false }: NonNullable<ExtendedCapabilities["ats"]>,
): number {
  checkRange("an ATS invalidate queue depth", queueDepth, 1, ATS.QUEUE_DEPTH + 1);
  // The field counts modulo 32: 0 stands for 32.
  const kinds = (pageAligned ? ATS.PAGE_ALIGNED : 0) | (globalInvalidate ? ATS.GLOBAL_INVALIDATE : 0);
  config.define(at + ATS.CAPABILITY, 2, (queueDepth & ATS.QUEUE_DEPTH) | kinds);
  config.define(at + ATS.CONTROL, 2, 0, ATS.STU | ATS.ENABLE);
  return at;
}

function definePri(config: ConfigSpace, at: number, { capacity, responsePasid = false }: NonNullable<ExtendedCapabilities["pri"]>): number {
  checkRange("a capacity for page requests", capacity, 1, 2 ** 32 - 1);
  // Reset reads as 0.
  config.define(at + PRI.CONTROL, 2, 0, PRI.ENABLE);
  // Nothing is outstanding.
  config.define(at + PRI.STATUS, 2, PRI.STOPPED | (responsePasid ? PRI.RESPONSE_PASID : 0), 0, PRI.RESPONSE_FAILURE | PRI.UNEXPECTED_INDEX);
  config.define(at + PRI.CAPACITY, 4, capacity);
  config.define(at + PRI.ALLOCATION, 4, 0, 0xffff_ffff);
  return at;
}

function definePasid(config: ConfigSpace, at: number, { width, execute, privileged }: NonNullable<ExtendedCapabilities["pasid"]>): number {
  checkRange("a PASID width", width, 0, 20);
  const kinds = (execute ? PASID.EXECUTE : 0) | (privileged ? PASID.PRIVILEGED : 0);
  config.define(at + PASID.CAPABILITY, 2, kinds | (width << PASID.WIDTH_SHIFT));
  config.define(at + PASID.CONTROL, 2, 0, PASID.ENABLE | kinds);
  return at;
}
