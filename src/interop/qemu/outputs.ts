// SPDX-License-Identifier: MIT
/** Interrupt outputs of a device that a client may watch. */

/** Told of each change: output number and level. */
export type LevelListener = (output: number, level: boolean) => void;

export class Outputs {
  /** Their name among the device's outputs. */
  readonly name: string = "sysbus-irq";
  readonly #levels: boolean[];
  #listener: LevelListener | undefined;

  constructor(count: number) {
    this.#levels = Array.from({ length: count }, () => false);
  }

  /** From now on changes go to `listener`. */
  watch(listener: LevelListener): void {
    this.#listener = listener;
  }

  /** An edge: up and down. */
  pulse(output: number): void {
    this.set(output, true);
    this.set(output, false);
  }

  set(output: number, level: boolean): void {
    if (this.#levels[output] === level) return;
    this.#levels[output] = level;
    this.#listener?.(output, level);
  }
}
