// SPDX-License-Identifier: MIT
/**
 * The PHY behind MDIC: 32 registers of 16 bits, of which the standard ones behave. Its link goes down on a reset, a
 * restart of negotiation or a power-down, and comes back after a while unless it is powered down.
 */
import type { ScheduledEvent, Simulation } from "../../../sim/index.ts";

const BMCR = 0;
const BMSR = 1;
/** BMCR: reset, autonegotiation on, power down, restart autonegotiation, full duplex, 1000 Mb/s. */
const BMCR_RESET = 0x8000;
const BMCR_POWER_DOWN = 0x0800;
const BMCR_RESTART = 0x0200;
const BMCR_DEFAULT = 0x1140;
const BMSR_CAPABLE = 0x7949;
const BMSR_LINK_AND_DONE = 0x0024;
/** PHY specific status: speed and duplex resolved, 1000 Mb/s full duplex, link. */
const SPECIFIC_STATUS = 17;

/** Values after reset: identifier of the 82574's PHY, advertisement, what the link partner offers. */
const RESET_VALUES: readonly (readonly [number, number])[] = [
  [BMCR, BMCR_DEFAULT],
  [2, 0x0141],
  [3, 0x0cb1],
  [4, 0x0de1],
  [5, 0xcde1],
  [6, 0x000f],
  [9, 0x0e00],
  [10, 0x7c00],
  [15, 0x3000],
];
const READ_ONLY: ReadonlySet<number> = new Set([BMSR, 2, 3, 5, 6, 10, 15, SPECIFIC_STATUS]);

export class Phy {
  readonly #simulation: Simulation;
  readonly #linkUpNs: number;
  readonly #changed: () => void;
  readonly #registers = new Uint16Array(32);
  #link = true;
  #event: ScheduledEvent | null = null;

  /** @param changed called when the link goes up or down */
  constructor(simulation: Simulation, linkUpNs: number, changed: () => void) {
    this.#simulation = simulation;
    this.#linkUpNs = linkUpNs;
    this.#changed = changed;
    for (const [register, value] of RESET_VALUES) this.#registers[register] = value;
  }

  get linkUp(): boolean {
    return this.#link;
  }

  read(register: number): number {
    if (register === BMSR) return BMSR_CAPABLE | (this.#link ? BMSR_LINK_AND_DONE : 0);
    if (register === SPECIFIC_STATUS) return this.#link ? 0xac08 : 0x8000;
    return this.#registers[register] ?? 0;
  }

  write(register: number, value: number): void {
    if (READ_ONLY.has(register)) return;
    if (register !== BMCR) {
      this.#registers[register] = value;
      return;
    }
    if ((value & BMCR_RESET) !== 0) {
      this.reset();
      return;
    }
    const wakes = (this.#registers[BMCR]! & ~value & BMCR_POWER_DOWN) !== 0;
    this.#registers[BMCR] = value & ~BMCR_RESTART;
    if ((value & BMCR_POWER_DOWN) !== 0) this.#down();
    else if (wakes || (value & BMCR_RESTART) !== 0) this.#negotiate();
  }

  /** Registers to their reset values; the link is negotiated anew. */
  reset(): void {
    this.#registers.fill(0);
    for (const [register, value] of RESET_VALUES) this.#registers[register] = value;
    this.#negotiate();
  }

  #down(): void {
    this.#event?.cancel();
    this.#event = null;
    this.#set(false);
  }

  #negotiate(): void {
    this.#down();
    this.#event = this.#simulation.after(this.#linkUpNs, () => {
      this.#event = null;
      this.#set(true);
    });
  }

  #set(link: boolean): void {
    if (this.#link === link) return;
    this.#link = link;
    this.#changed();
  }
}
