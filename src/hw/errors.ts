// SPDX-License-Identifier: MIT
/**
 * The second and the third voice of the hardware: host misuse and what is not modelled.
 *
 * The first voice, a guest's fault, is never an exception: it is an event record, a GERROR bit or an abort on the bus.
 */

/** The embedding program used the library wrongly: overlapping windows, an impossible configuration. */
export class HostMisuseError extends Error {
  readonly code: string;

  /** @param code a short constant to test for, such as "WINDOW_OVERLAP" */
  constructor(code: string, message: string) {
    super(message);
    this.name = "HostMisuseError";
    this.code = code;
  }
}

/** Software asked for something that the architecture has and this model does not. */
export class NotModelledError extends Error {
  readonly code = "NOT_MODELLED";

  /** @param what what was asked for */
  constructor(what: string) {
    super(`not modelled: ${what}`);
    this.name = "NotModelledError";
  }
}

/** Counts and names what was met and is not modelled; can be told to throw instead. */
export class NotModelledLog {
  /** How often each thing was met. */
  readonly counts: Map<string, number> = new Map<string, number>();
  /** True: {@link note} throws. */
  readonly fatal: boolean;

  constructor(fatal: boolean = false) {
    this.fatal = fatal;
  }

  /** @throws NotModelledError if the log is fatal */
  note(what: string): void {
    if (this.fatal) throw new NotModelledError(what);
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}
