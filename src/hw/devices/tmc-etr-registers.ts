// SPDX-License-Identifier: MIT
/** The trace memory controller's registers (CoreSight TMC Technical Reference Manual), and what trace looks like here. */

/** Register offsets (CoreSight TMC Technical Reference Manual). */
export const TMC = {
  RSZ: 0x004,
  STS: 0x00c,
  RRD: 0x010,
  RRP: 0x014,
  RWP: 0x018,
  TRG: 0x01c,
  CTL: 0x020,
  RWD: 0x024,
  MODE: 0x028,
  LBUFLEVEL: 0x02c,
  CBUFLEVEL: 0x030,
  BUFWM: 0x034,
  RRPHI: 0x038,
  RWPHI: 0x03c,
  AXICTL: 0x110,
  DBALO: 0x118,
  DBAHI: 0x11c,
  FFSR: 0x300,
  FFCR: 0x304,
  PSCR: 0x308,
  ITCTRL: 0xf00,
  CLAIMSET: 0xfa0,
  CLAIMCLR: 0xfa4,
  LAR: 0xfb0,
  LSR: 0xfb4,
  AUTHSTATUS: 0xfb8,
  DEVID: 0xfc8,
  DEVTYPE: 0xfcc,
} as const;

/** STS: the buffer wrapped; all writes are done after a stop; formatter and buffer hold nothing; a bus error came. */
export const TMC_STS = { FULL: 0x1, TRIGGERED: 0x2, TMC_READY: 0x4, FT_EMPTY: 0x8, EMPTY: 0x10, MEM_ERR: 0x20 } as const;
/** FFCR: a manual flush (clears itself), and stop when a flush completes. */
export const TMC_FFCR = { FLUSH_MAN: 0x40, STOP_ON_FLUSH: 0x1000 } as const;
export const TMC_FFSR = { FLUSH_IN_PROGRESS: 0x1, FORMATTER_STOPPED: 0x2 } as const;

/** Bytes of one frame of trace. */
export const TRACE_FRAME_BYTES = 16;

/**
 * Writes trace frame number `counter` to `out`: the marker "TMC!", the counter, and both again inverted; so trace in the
 * wrong place is recognisable, and its age too.
 */
export function traceFrame(counter: number, out: Uint8Array, offset: number = 0): void {
  const words = [0x2143_4d54, counter, ~0x2143_4d54, ~counter];
  for (let i = 0; i < TRACE_FRAME_BYTES; i++) out[offset + i] = words[i >> 2]! >>> (8 * (i & 3));
}
