// SPDX-License-Identifier: MIT
/** What arrives on the wire whether or not anybody is ready for it: broadcasts. */
import type { Prng, ScheduledEvent, Simulation } from "../../sim/index.ts";

/** Who takes frames: a network controller. */
export interface FrameSink {
  /** @returns whether the frame was accepted */
  receive(frame: Uint8Array): boolean;
}

export interface BroadcastSourceOptions {
  readonly periodNs: number;
  /** Length of a frame without its check sequence, at least 18. Default: 60. */
  readonly bytes?: number;
  /** Each period is longer by a random part, up to this percentage. Default: 0. */
  readonly jitterPercent?: number;
  /** Default: a fork of the simulation's. */
  readonly prng?: Prng;
}

/** Ethertype of local experiments (IEEE 802). */
const ETHERTYPE = [0x88, 0xb5] as const;
const SOURCE_ADDRESS = [0x02, 0x51, 0x75, 0x69, 0x65, 0x74] as const;

/**
 * Broadcast frame number `counter`: all-ones destination, local-experiment ethertype, the counter big-endian, then bytes
 * that count up from its low byte; so a frame in the wrong place is recognisable.
 * @param bytes at least 18
 */
export function broadcastFrame(counter: number, bytes: number): Uint8Array {
  const frame = new Uint8Array(Math.max(18, bytes));
  frame.fill(0xff, 0, 6);
  frame.set(SOURCE_ADDRESS, 6);
  frame.set(ETHERTYPE, 12);
  for (let i = 0; i < 4; i++) frame[14 + i] = counter >>> (8 * (3 - i));
  for (let i = 18; i < frame.length; i++) frame[i] = counter + i;
  return frame;
}

/** Sends broadcasts to a controller for as long as it is started. */
export class BroadcastSource {
  /** Frames sent, and of those the ones that the controller took. */
  sent = 0;
  accepted = 0;
  readonly #simulation: Simulation;
  readonly #sink: FrameSink;
  readonly #options: BroadcastSourceOptions;
  readonly #prng: Prng;
  /** The random part of a period is below this. */
  readonly #jitterNs: number;
  #event: ScheduledEvent | null = null;

  constructor(simulation: Simulation, sink: FrameSink, options: BroadcastSourceOptions) {
    this.#simulation = simulation;
    this.#sink = sink;
    this.#options = options;
    this.#prng = options.prng ?? simulation.prng.fork("broadcasts");
    this.#jitterNs = Math.floor((options.periodNs * (options.jitterPercent ?? 0)) / 100);
  }

  get running(): boolean {
    return this.#event !== null;
  }

  /** The first frame comes one period from now. */
  start(): void {
    if (!this.#event) this.#schedule();
  }

  stop(): void {
    this.#event?.cancel();
    this.#event = null;
  }

  #schedule(): void {
    const jitter = this.#jitterNs > 0 ? this.#prng.below(this.#jitterNs) : 0;
    this.#event = this.#simulation.after(this.#options.periodNs + jitter, () => {
      this.#schedule();
      if (this.#sink.receive(broadcastFrame(this.sent++, this.#options.bytes ?? 60))) this.accepted++;
    });
  }
}
